#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* What open and a window dropped from memory read back from the store. */

static enum tumble_code damaged(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT, "the state directory is damaged (%s): restore it, or remove it and run again",
                   what);
}

/* ---- windows ---- */

struct load {
    struct tumble_engine *engine;
    struct tw_window *window;
    uint32_t snapshot_chunks;
    uint32_t deltas;
    struct tw_group_places places;
};

static enum tumble_code load_part(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    struct load *load = ctx;
    (void)stop;
    if (key.length < 18) {
        return damaged(err, "a key of groups");
    }
    const bool snapshot = key.data[17] == 'S';
    const unsigned written = tw_frame_kind_of(value);
    const bool by_place = !snapshot && (written == TW_FRAME_TOUCHED || written == TW_FRAME_BRIEF);
    const enum tw_frame_kind kind = snapshot   ? TW_FRAME_SNAPSHOT
                                    : by_place ? (enum tw_frame_kind)written
                                               : TW_FRAME_DELTA;
    struct tumble_bytes payload;
    TW_TRY(tw_frame_open(value, kind, load->engine->spec->digest, snapshot ? "a snapshot" : "a delta", &payload, err));
    if (snapshot) {
        load->snapshot_chunks++;
    } else {
        load->deltas++;
    }
    if (by_place) {
        return tw_window_decode_touched(load->window, payload, kind == TW_FRAME_BRIEF, &load->places,
                                        tw_engine_key_hash, load->engine, err);
    }
    return tw_window_decode_groups(load->window, payload, tw_engine_key_hash, load->engine, err);
}

static enum tumble_code load_groups(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err) {
    struct tumble_engine *engine = shard->engine;
    struct load load = {.engine = engine, .window = window};
    struct tw_key prefix = tw_key_generation(shard->index, window->start_ms, window->generation);
    /* snapshot first, then deltas by number: a delta's groups replace the snapshot's */
    prefix.bytes[prefix.length++] = 'S';
    TW_TRY(tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&prefix), load_part, &load, err));
    prefix.bytes[prefix.length - 1] = 'D';
    enum tumble_code code =
        tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&prefix), load_part, &load, err);
    tw_group_places_clean_up(&load.places, window);
    TW_TRY(code);
    if (load.snapshot_chunks != window->snapshot_chunks || load.deltas != window->deltas ||
        window->groups.count != window->group_count) {
        return damaged(err, "groups of a window are missing");
    }
    return TUMBLE_OK;
}

enum tumble_code tw_window_read_groups(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err) {
    enum tumble_code code = load_groups(shard, window, err);
    if (code != TUMBLE_OK) {
        tw_window_unload(window);
        return code;
    }
    window->loaded = true;
    return TUMBLE_OK;
}

/* Beside a writer the header is as old as the transaction it was read in: once more, as of that of the groups. */
static enum tumble_code read_header_again(struct tumble_shard *shard, struct tw_window *window,
                                          struct tumble_error *err) {
    struct tumble_engine *engine = shard->engine;
    struct tw_key key = tw_key_window(shard->index, window->start_ms);
    struct tumble_bytes value, payload;
    bool found;
    TW_TRY(tw_store_get(engine->store, tw_key_view(&key), &found, &value, err));
    if (!found) {
        return tw_fail(err, TUMBLE_EBUSY, "a window was closed while it was looked at: run again");
    }
    TW_TRY(tw_frame_open(value, TW_FRAME_WINDOW, engine->spec->digest, "a window", &payload, err));
    return tw_window_decode_header(window, payload, err);
}

enum tumble_code tw_window_load(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err) {
    TW_TRY(tw_store_begin(shard->engine->store, err));
    enum tumble_code code = shard->engine->read_only ? read_header_again(shard, window, err) : TUMBLE_OK;
    code = code == TUMBLE_OK ? tw_window_read_groups(shard, window, err) : code;
    tw_store_abort(shard->engine->store);
    return code;
}

/* ---- open ---- */

static enum tumble_code take_text(struct tw_cursor *in, struct tumble_bytes *out) {
    uint64_t length;
    return tw_take_varint(in, &length) && length <= tw_cursor_left(in) && tw_take_bytes(in, (size_t)length, out)
               ? TUMBLE_OK
               : TUMBLE_ECORRUPT;
}

struct meta {
    struct tumble_bytes spec;
    struct tumble_bytes source;
    uint64_t window_ms;
};

static enum tumble_code read_meta(struct tw_store *store, bool *found, struct meta *meta, struct tumble_error *err) {
    struct tw_key key = tw_key_meta();
    struct tumble_bytes value, payload;
    TW_TRY(tw_store_get(store, tw_key_view(&key), found, &value, err));
    if (!*found) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_frame_open(value, TW_FRAME_META, 0, "the state's description", &payload, err));
    struct tw_cursor in = tw_cursor_of(payload);
    if (take_text(&in, &meta->spec) != TUMBLE_OK || take_text(&in, &meta->source) != TUMBLE_OK ||
        !tw_take_varint(&in, &meta->window_ms) || meta->window_ms == 0 ||
        meta->window_ms > (uint64_t)TUMBLE_TIMESTAMP_MAX_MS || tw_cursor_left(&in)) {
        return damaged(err, "its description");
    }
    return TUMBLE_OK;
}

static enum tumble_code differs(struct tumble_error *err, const char *what, struct tumble_bytes was,
                                struct tumble_bytes is) {
    size_t at = 0;
    while (at < was.length && at < is.length && was.data[at] == is.data[at]) {
        at++;
    }
    size_t from = at > 24 ? at - 24 : 0;
    return tw_fail(err, TUMBLE_EMISMATCH,
                   "the state was made with another %s (it has …%.*s, this run …%.*s): use what it was made with, or "
                   "another --state",
                   what, (int)(was.length - from > 60 ? 60 : was.length - from), was.data + from,
                   (int)(is.length - from > 60 ? 60 : is.length - from), is.data + from);
}

static enum tumble_code check_meta(struct tumble_engine *engine, const struct meta *meta, struct tumble_error *err) {
    struct tumble_bytes spec = {engine->spec->canonical, engine->spec->canonical_length};
    struct tumble_bytes source = {engine->source, engine->source_length};
    if (!tumble_bytes_equal(spec, meta->spec)) {
        return differs(err, "spec", meta->spec, spec);
    }
    if (engine->read_only) {
        if (engine->window_ms == 0) {
            engine->window_ms = (int64_t)meta->window_ms;
        }
        return TUMBLE_OK;
    }
    if ((uint64_t)engine->window_ms != meta->window_ms) {
        return tw_fail(
            err, TUMBLE_EMISMATCH,
            "the state was made with windows of %llu seconds, this run has %lld: use the same, or another --state",
            (unsigned long long)meta->window_ms / 1000, (long long)engine->window_ms / 1000);
    }
    return tumble_bytes_equal(source, meta->source) ? TUMBLE_OK : differs(err, "source", meta->source, source);
}

static enum tumble_code read_shard(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                   struct tumble_error *err) {
    struct tumble_engine *engine = ctx;
    struct tumble_bytes id;
    struct tumble_shard *shard;
    (void)key;
    (void)stop;
    TW_TRY(tw_frame_open(value, TW_FRAME_SHARD, engine->spec->digest, "a shard", &id, err));
    TW_TRY(tw_shard_add(engine, id, &shard, err));
    shard->stored = true;
    return TUMBLE_OK;
}

static enum tumble_code read_window(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                    struct tumble_error *err) {
    struct tumble_engine *engine = ctx;
    uint32_t index;
    int64_t start_ms;
    struct tumble_bytes payload;
    (void)stop;
    if (!tw_key_read_window(key, &index, &start_ms) || index >= engine->shard_count) {
        return damaged(err, "a key of a window");
    }
    TW_TRY(tw_frame_open(value, TW_FRAME_WINDOW, engine->spec->digest, "a window", &payload, err));
    struct tw_window *window = tw_alloc(&engine->alloc, sizeof *window);
    if (!window) {
        return tw_no_memory(err);
    }
    tw_window_init(window, start_ms, engine->alloc, &engine->layout);
    enum tumble_code code = tw_window_decode_header(window, payload, err);
    if (code == TUMBLE_OK) {
        code = tw_shard_insert_window(engine->shards[index], window, err);
    }
    if (code != TUMBLE_OK) {
        tw_window_clean_up(window);
        tw_free(&engine->alloc, window);
    }
    return code;
}

static enum tumble_code read_chunk(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                   struct tumble_error *err) {
    struct tumble_engine *engine = ctx;
    uint64_t chunk;
    (void)stop;
    if (!tw_key_read_outbox(key, &chunk)) {
        return damaged(err, "a key of the outbox");
    }
    return tw_frame_kind_of(value) == TW_FRAME_CLOSED ? tw_closed_read(engine, chunk, value, err) : TUMBLE_OK;
}

static enum tumble_code read_note(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    struct tumble_engine *engine = ctx;
    struct tumble_bytes payload;
    struct tumble_bytes name = {key.data + 1, key.length - 1};
    struct tw_note *note;
    (void)stop;
    TW_TRY(tw_frame_open(value, TW_FRAME_NOTE, engine->spec->digest, "a note", &payload, err));
    return tw_note_set(engine, name, payload, &note, err);
}

static enum tumble_code read_counters(struct tumble_engine *engine, struct tumble_error *err) {
    struct tw_key key = tw_key_counters();
    bool found;
    struct tumble_bytes value, payload;
    TW_TRY(tw_store_get(engine->store, tw_key_view(&key), &found, &value, err));
    if (!found) {
        return damaged(err, "its counters are missing");
    }
    TW_TRY(tw_frame_open(value, TW_FRAME_COUNTERS, engine->spec->digest, "the counters", &payload, err));
    struct tumble_counters *c = &engine->counters;
    uint64_t *into[] = {&c->records,
                        &c->fates[0],
                        &c->fates[1],
                        &c->fates[2],
                        &c->fates[3],
                        &c->fates[4],
                        &c->windows_opened,
                        &c->windows_closed,
                        &c->rows,
                        &c->rows_rejected,
                        &c->failures,
                        &c->skipped,
                        &c->groups_peak,
                        &c->state_bytes_peak,
                        &engine->next_chunk[0],
                        &engine->next_chunk[1],
                        &engine->first_chunk[0],
                        &engine->first_chunk[1]};
    struct tw_cursor in = tw_cursor_of(payload);
    for (size_t i = 0; i < sizeof into / sizeof *into; i++) {
        if (!tw_take_varint(&in, into[i])) {
            return damaged(err, "its counters");
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code recover(struct tumble_engine *engine, struct tumble_error *err) {
    bool found;
    struct meta meta;
    TW_TRY(read_meta(engine->store, &found, &meta, err));
    if (!found) {
        return engine->read_only ? tw_fail(err, TUMBLE_ESTORE, "there is no committed state in the directory yet")
                                 : TUMBLE_OK;
    }
    TW_TRY(check_meta(engine, &meta, err));
    engine->meta_stored = true;
    TW_TRY(read_counters(engine, err));
    struct tw_key shards = tw_key_prefix('S'), windows = tw_key_prefix('W'), notes = tw_key_prefix('N');
    struct tw_key chunks = tw_key_outbox_all(TUMBLE_ROW_WINDOW);
    TW_TRY(tw_store_scan(engine->store, tw_key_view(&shards), tw_key_view(&shards), read_shard, engine, err));
    TW_TRY(tw_store_scan(engine->store, tw_key_view(&windows), tw_key_view(&windows), read_window, engine, err));
    TW_TRY(tw_store_scan(engine->store, tw_key_view(&chunks), tw_key_view(&chunks), read_chunk, engine, err));
    return tw_store_scan(engine->store, tw_key_view(&notes), tw_key_view(&notes), read_note, engine, err);
}

enum tumble_code tw_engine_recover(struct tumble_engine *engine, struct tumble_error *err) {
    TW_TRY(tw_store_begin(engine->store, err));
    enum tumble_code code = recover(engine, err);
    tw_store_abort(engine->store);
    return code;
}

enum tumble_code tw_cursor_read(const struct tumble_engine *engine, struct tumble_bytes value,
                                struct tw_cursor_text *out, struct tumble_error *err) {
    struct tumble_bytes payload;
    uint8_t kind;
    uint64_t attempts = 0;
    memset(out, 0, sizeof *out);
    TW_TRY(tw_frame_open(value, TW_FRAME_CURSOR, engine->spec->digest, "the position of an output", &payload, err));
    struct tw_cursor in = tw_cursor_of(payload);
    bool good = take_text(&in, &out->name) == TUMBLE_OK && tw_take_u8(&in, &kind) && kind <= TUMBLE_ROW_FAILURE &&
                tw_take_varint(&in, &out->chunk) && tw_take_varint(&in, &out->row) &&
                take_text(&in, &out->checkpoint) == TUMBLE_OK &&
                out->checkpoint.length <= TUMBLE_OUTPUT_CHECKPOINT_BYTES;
    if (good && tw_cursor_left(&in)) { /* the first states did not keep these */
        good = tw_take_varint(&in, &attempts) && take_text(&in, &out->last_error) == TUMBLE_OK;
    }
    if (!good) {
        return damaged(err, "the position of an output");
    }
    out->kind = (enum tumble_row_kind)kind;
    out->attempts = attempts < UINT32_MAX ? (uint32_t)attempts : UINT32_MAX;
    return TUMBLE_OK;
}

static enum tumble_code find_cursor(struct tumble_engine *engine, struct tw_output *output, struct tumble_error *err) {
    struct tw_key key = tw_key_cursor(output->name, output->kind);
    bool found;
    struct tumble_bytes value;
    struct tw_cursor_text text;
    TW_TRY(tw_store_get(engine->store, tw_key_view(&key), &found, &value, err));
    if (!found) {
        output->chunk = engine->first_chunk[output->kind];
        output->changed = true;
        return TUMBLE_OK;
    }
    TW_TRY(tw_cursor_read(engine, value, &text, err));
    if (text.kind != output->kind || !tumble_bytes_equal(text.name, tumble_bytes_of(output->name))) {
        return damaged(err, "the position of an output");
    }
    output->chunk = text.chunk;
    output->row = text.row;
    output->checkpoint_length = text.checkpoint.length;
    if (text.checkpoint.length) {
        memcpy(output->checkpoint, text.checkpoint.data, text.checkpoint.length);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_engine_read_cursor(struct tumble_engine *engine, struct tw_output *output,
                                       struct tumble_error *err) {
    TW_TRY(tw_store_begin(engine->store, err));
    enum tumble_code code = find_cursor(engine, output, err);
    tw_store_abort(engine->store);
    return code;
}

/* Opens a state to look at its description; *store is closed by the caller in any case. */
static enum tumble_code peek(const char *state_directory, struct tumble_alloc alloc, struct tw_store **store,
                             struct meta *meta, struct tumble_error *err) {
    struct tw_store_options options = {.directory = state_directory, .read_only = true, .verify = true, .alloc = alloc};
    bool found = false;
    TW_TRY(tw_store_open(&options, store, err));
    TW_TRY(tw_store_begin(*store, err));
    TW_TRY(read_meta(*store, &found, meta, err));
    return found ? TUMBLE_OK : tw_fail(err, TUMBLE_ESTORE, "there is no committed state in %s yet", state_directory);
}

enum tumble_code tumble_engine_peek_spec(const char *state_directory, struct tumble_alloc alloc, char **json,
                                         struct tumble_error *err) {
    struct tw_store *store = NULL;
    struct meta meta;
    *json = NULL;
    alloc = tw_alloc_or_default(alloc);
    enum tumble_code code = peek(state_directory, alloc, &store, &meta, err);
    if (code == TUMBLE_OK) {
        *json = tw_copy_text(&alloc, meta.spec.data, meta.spec.length);
        code = *json ? TUMBLE_OK : tw_no_memory(err);
    }
    tw_store_close(store);
    return code;
}

enum tumble_code tumble_engine_peek_source(const char *state_directory, struct tumble_alloc alloc, char **source,
                                           int64_t *window_seconds, struct tumble_error *err) {
    struct tw_store *store = NULL;
    struct meta meta;
    *source = NULL;
    alloc = tw_alloc_or_default(alloc);
    enum tumble_code code = peek(state_directory, alloc, &store, &meta, err);
    if (code == TUMBLE_OK) {
        *window_seconds = (int64_t)meta.window_ms / 1000;
        *source = tw_copy_text(&alloc, meta.source.data, meta.source.length);
        code = *source ? TUMBLE_OK : tw_no_memory(err);
    }
    tw_store_close(store);
    return code;
}
