#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* Chunks of the outbox as rows, one after the other. The reader reads the store only between chunks, so a chunk's value
 * stays where it is while its rows are taken. */

static enum tumble_code cut(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT, "%s is cut: restore the state directory or start anew", what);
}

/* ---- closed windows ---- */

enum { MADE_AT_ONCE = 64 * 1024 }; /* bytes of rows */

static void leave_closed(struct tw_chunk_reader *reader) {
    if (reader->writer) {
        tw_row_writer_clean_up(reader->writer);
        tw_free(&reader->engine->alloc, reader->writer);
        reader->writer = NULL;
    }
    if (reader->has_loaded) {
        tw_window_unload(reader->closed->window);
        reader->has_loaded = false;
    }
    tw_free(&reader->engine->alloc, reader->order);
    reader->order = NULL;
    reader->closed = NULL;
}

void tw_chunk_reader_clean_up(struct tw_chunk_reader *reader) {
    leave_closed(reader);
    tw_buf_clean_up(&reader->text);
}

/* More of the rows, as a chunk of text has them. */
static enum tumble_code make_more(struct tw_chunk_reader *reader, struct tumble_error *err) {
    const struct tw_window *window = reader->closed->window;
    const size_t count = reader->order ? window->groups.count : 0;
    uint64_t made = reader->fragment_row;
    tw_buf_clear(&reader->text);
    for (; reader->group < count && reader->text.length < MADE_AT_ONCE; reader->group++) {
        uint32_t reference = reader->order[reader->group].reference;
        if (reader->group + TW_GROUPS_AHEAD < count) {
            tw_group_fetch(&window->groups, reader->order[reader->group + TW_GROUPS_AHEAD].reference);
        }
        if (tw_group_at(&window->groups, reference)->records == 0) {
            continue;
        }
        struct tumble_bytes own;
        enum tumble_code code =
            tw_row_append_kept(reader->writer, reader->closed->shard, window, reference, &reader->text, &own);
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s while rows are made", tumble_code_text(code));
        }
        if (++made > reader->closed->fragment.row_count) {
            return cut(err, "a closed window has more rows than it closed with: what the outbox says of it");
        }
    }
    reader->in = tw_cursor_of(tw_buf_view(&reader->text));
    return reader->text.length ? TUMBLE_OK : cut(err, "a closed window has fewer rows than it closed with: it");
}

/* Beside a writer: groups leave the store together with their chunk. */
static enum tumble_code damaged_or_gone(struct tw_chunk_reader *reader, struct tumble_error *err) {
    struct tw_key key = tw_key_outbox(reader->kind, reader->chunk);
    struct tumble_bytes value;
    bool found;
    TW_TRY(tw_store_get(reader->engine->store, tw_key_view(&key), &found, &value, NULL));
    return found ? TUMBLE_ECORRUPT
                 : tw_fail(err, TUMBLE_EBUSY, "rows were delivered while they were looked at: run again");
}

static enum tumble_code order_groups(struct tw_chunk_reader *reader, struct tumble_error *err) {
    struct tumble_engine *engine = reader->engine;
    struct tw_window *window = reader->closed->window;
    if (!window->loaded) {
        enum tumble_code code = tw_window_read_groups(reader->closed->shard, window, err);
        TW_TRY(code == TUMBLE_ECORRUPT && engine->read_only ? damaged_or_gone(reader, err) : code);
        reader->has_loaded = true;
    }
    reader->order = tw_alloc_array(&engine->alloc, window->groups.count, sizeof *reader->order);
    if (!reader->order) {
        return tw_no_memory(err);
    }
    tw_group_order(&window->groups, reader->order);
    reader->group = 0;
    for (uint64_t row = 0; row < reader->row && reader->group < window->groups.count; reader->group++) {
        row += tw_group_at(&window->groups, reader->order[reader->group].reference)->records != 0;
    }
    return make_more(reader, err);
}

static void keep_text(char *into, size_t room, struct tumble_bytes *text) {
    text->length = text->length < room ? text->length : room;
    if (text->length) {
        memcpy(into, text->data, text->length);
    }
    text->data = into;
}

static enum tumble_code skip_rows(struct tw_chunk_reader *reader, struct tumble_error *err);

static enum tumble_code open_closed(struct tw_chunk_reader *reader, struct tw_closed *closed,
                                    struct tumble_error *err) {
    struct tumble_engine *engine = reader->engine;
    struct tw_fragment_text *text = &reader->fragment;
    reader->closed = closed;
    reader->writer = tw_alloc_zero(&engine->alloc, sizeof *reader->writer);
    if (!reader->writer) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_row_writer_init(reader->writer, closed->shard, closed->window, err));
    reader->head = tw_buf_view(&reader->writer->head);
    text->fragment = closed->fragment;
    keep_text(text->shard_id, sizeof text->shard_id, &text->fragment.shard_id);
    keep_text(text->sequences[0], sizeof text->sequences[0], &text->fragment.first_sequence);
    keep_text(text->sequences[1], sizeof text->sequences[1], &text->fragment.last_sequence);
    if (reader->row >= closed->fragment.row_count) {
        return cut(err, "the position of an output is behind its window's rows, or the window");
    }
    reader->is_open = true;
    reader->writer->no_keys = !tw_outputs_want_keys(engine);
    if (closed->rows.length && (!closed->has_no_keys || reader->writer->no_keys)) {
        reader->fragment_row = 0;
        reader->in = tw_cursor_of(tw_buf_view(&closed->rows));
        return skip_rows(reader, err);
    }
    reader->fragment_row = reader->row;
    return order_groups(reader, err);
}

/* Rows of the chunk that are not made yet. */
static bool has_more(const struct tw_chunk_reader *reader) {
    return reader->closed && reader->fragment_row < reader->closed->fragment.row_count;
}

void tw_chunk_reader_init(struct tw_chunk_reader *reader, struct tumble_engine *engine, enum tumble_row_kind kind,
                          uint64_t chunk, uint64_t row) {
    memset(reader, 0, sizeof *reader);
    reader->engine = engine;
    reader->kind = kind;
    reader->chunk = chunk;
    reader->row = row;
    reader->summary_chunk = UINT64_MAX;
    tw_buf_init(&reader->text, engine->alloc, SIZE_MAX / 4);
}

void tw_chunk_reader_position(const struct tw_chunk_reader *reader, uint64_t *chunk, uint64_t *row) {
    bool at_end = reader->is_open && tw_cursor_left(&reader->in) == 0 && !has_more(reader);
    *chunk = reader->chunk + at_end;
    *row = at_end ? 0 : reader->row;
}

static bool take_text(struct tw_cursor *in, char *into, size_t capacity, struct tumble_bytes *out) {
    uint64_t length;
    struct tumble_bytes bytes;
    if (!tw_take_varint(in, &length) || length > capacity || !tw_take_bytes(in, (size_t)length, &bytes)) {
        return false;
    }
    if (bytes.length) {
        memcpy(into, bytes.data, bytes.length);
    }
    out->data = into;
    out->length = bytes.length;
    return true;
}

static bool take_summary(struct tw_cursor *in, struct tw_chunk_reader *reader) {
    struct tumble_bytes digest;
    if (!tw_take_u64(in, &reader->summary[0]) || !tw_take_u64(in, &reader->summary[1]) ||
        !tw_take_bytes(in, sizeof reader->summary_digest, &digest)) {
        return false;
    }
    memcpy(reader->summary_digest, digest.data, digest.length);
    return true;
}

/* ---- the summary of a fragment of several chunks ---- */

static enum tumble_code visit_summary(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                      struct tumble_error *err) {
    struct tw_chunk_reader *reader = ctx;
    struct tumble_bytes payload;
    TW_TRY(tw_frame_open(value, TW_FRAME_FRAGMENT, reader->engine->spec->digest, "the summary of a fragment", &payload,
                         err));
    struct tw_cursor in = tw_cursor_of(payload);
    if (!tw_key_read_fragment(key, &reader->summary_chunk) || !take_summary(&in, reader)) {
        return cut(err, "the summary of a fragment");
    }
    *stop = true;
    return TUMBLE_OK;
}

/* It stands beside the fragment's last chunk: the first summary at or behind this one. */
static enum tumble_code find_summary(struct tw_chunk_reader *reader, struct tumble_error *err) {
    if (reader->summary_chunk != UINT64_MAX && reader->chunk <= reader->summary_chunk) {
        return TUMBLE_OK; /* read for an earlier chunk of the fragment: no other ends between */
    }
    reader->summary_chunk = UINT64_MAX;
    struct tw_key prefix = tw_key_prefix(TW_KEY_FRAGMENT), from = tw_key_fragment(reader->chunk);
    TW_TRY(tw_store_scan(reader->engine->store, tw_key_view(&prefix), tw_key_view(&from), visit_summary, reader, err));
    return reader->summary_chunk == UINT64_MAX ? cut(err, "the outbox: the summary of a fragment is missing, it")
                                               : TUMBLE_OK;
}

/* ---- chunks ---- */

static enum tumble_code read_value(struct tw_chunk_reader *reader, struct tumble_error *err) {
    struct tumble_engine *engine = reader->engine;
    struct tw_key key = tw_key_outbox(reader->kind, reader->chunk);
    struct tumble_bytes value, payload;
    bool found;
    TW_TRY(tw_store_get(engine->store, tw_key_view(&key), &found, &value, err));
    if (!found) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "chunk %llu of the outbox is missing: restore the state directory or start anew",
                       (unsigned long long)reader->chunk);
    }
    bool rows = reader->kind == TUMBLE_ROW_WINDOW;
    TW_TRY(tw_frame_open(value, rows ? TW_FRAME_ROWS : TW_FRAME_OUTBOX, engine->spec->digest, "a chunk of rows",
                         &payload, err));
    reader->in = tw_cursor_of(payload);
    return TUMBLE_OK;
}

/* *is_single: the summary stands in the chunk itself. */
static enum tumble_code read_head(struct tw_chunk_reader *reader, bool *is_single, struct tumble_error *err) {
    struct tw_fragment_text *text = &reader->fragment;
    struct tumble_fragment *fragment = &text->fragment;
    uint64_t start, end, length;
    uint8_t flag = 1;
    reader->head = tumble_bytes_of(NULL);
    bool good = tw_take_u64(&reader->in, &start) && tw_take_u64(&reader->in, &end);
    reader->fragment_row = 0;
    memset(fragment, 0, sizeof *fragment);
    fragment->struct_size = sizeof *fragment;
    if (good && reader->kind == TUMBLE_ROW_WINDOW) {
        good = take_text(&reader->in, text->shard_id, sizeof text->shard_id, &fragment->shard_id) &&
               take_text(&reader->in, text->sequences[0], sizeof text->sequences[0], &fragment->first_sequence) &&
               take_text(&reader->in, text->sequences[1], sizeof text->sequences[1], &fragment->last_sequence) &&
               tw_take_varint(&reader->in, &reader->fragment_row) && tw_take_u8(&reader->in, &flag);
        uint64_t kept[2] = {reader->summary[0], reader->summary[1]};
        uint8_t kept_digest[16];
        memcpy(kept_digest, reader->summary_digest, sizeof kept_digest);
        good = good && take_summary(&reader->in, reader);
        if (good && flag == 1) {
            fragment->row_count = reader->summary[0];
            fragment->record_count = reader->summary[1];
            memcpy(fragment->digest, reader->summary_digest, sizeof fragment->digest);
        }
        good = good && tw_take_varint(&reader->in, &length) && length <= tw_cursor_left(&reader->in) &&
               tw_take_bytes(&reader->in, (size_t)length, &reader->head);
        memcpy(reader->summary, kept, sizeof kept);
        memcpy(reader->summary_digest, kept_digest, sizeof kept_digest);
    }
    if (!good) {
        return cut(err, "a chunk of rows");
    }
    fragment->window_start_ms = (int64_t)start;
    fragment->window_end_ms = (int64_t)end;
    *is_single = flag == 1;
    return TUMBLE_OK;
}

static enum tumble_code skip_rows(struct tw_chunk_reader *reader, struct tumble_error *err) {
    for (uint64_t row = 0; row < reader->row; row++) {
        struct tumble_bytes key, json;
        uint64_t length;
        if (!tw_take_bytes(&reader->in, 16, &key) || !tw_take_varint(&reader->in, &length) ||
            length > tw_cursor_left(&reader->in) || !tw_take_bytes(&reader->in, (size_t)length, &json)) {
            return cut(err, "a row in the outbox");
        }
    }
    reader->fragment_row += reader->row;
    return TUMBLE_OK;
}

static enum tumble_code open_chunk(struct tw_chunk_reader *reader, struct tumble_error *err) {
    bool is_single;
    struct tw_closed *closed = reader->kind == TUMBLE_ROW_WINDOW ? tw_closed_find(reader->engine, reader->chunk) : NULL;
    if (closed) {
        return open_closed(reader, closed, err);
    }
    TW_TRY(read_value(reader, err));
    TW_TRY(read_head(reader, &is_single, err));
    if (!is_single) {
        uint64_t first_row = reader->fragment_row;
        TW_TRY(find_summary(reader, err)); /* may move the chunk's value: it is read again */
        TW_TRY(read_value(reader, err));
        TW_TRY(read_head(reader, &is_single, err));
        struct tumble_fragment *fragment = &reader->fragment.fragment;
        fragment->row_count = reader->summary[0];
        fragment->record_count = reader->summary[1];
        memcpy(fragment->digest, reader->summary_digest, sizeof fragment->digest);
        reader->fragment_row = first_row;
    }
    reader->is_open = true;
    return skip_rows(reader, err);
}

enum tumble_code tw_chunk_reader_next(struct tw_chunk_reader *reader, struct tumble_row *row, bool *got,
                                      struct tumble_error *err) {
    *got = false;
    while (!reader->is_open || tw_cursor_left(&reader->in) == 0) {
        if (reader->is_open && has_more(reader)) {
            TW_TRY(make_more(reader, err));
            continue;
        }
        if (reader->is_open) {
            leave_closed(reader);
            reader->chunk++;
            reader->row = 0;
            reader->is_open = false;
        }
        if (reader->chunk >= reader->engine->next_chunk[reader->kind]) {
            return TUMBLE_OK;
        }
        TW_TRY(open_chunk(reader, err));
    }
    struct tumble_bytes key;
    uint64_t length;
    memset(row, 0, sizeof *row);
    if (!tw_take_bytes(&reader->in, sizeof row->key, &key) || !tw_take_varint(&reader->in, &length) ||
        length > tw_cursor_left(&reader->in) || !tw_take_bytes(&reader->in, (size_t)length, &row->json)) {
        return cut(err, "a row in the outbox");
    }
    memcpy(row->key, key.data, sizeof row->key);
    row->window_start_ms = reader->fragment.fragment.window_start_ms;
    row->window_end_ms = reader->fragment.fragment.window_end_ms;
    if (reader->kind == TUMBLE_ROW_WINDOW) {
        row->fragment = &reader->fragment.fragment;
        row->fragment_row = reader->fragment_row++;
    }
    reader->row++;
    *got = true;
    return TUMBLE_OK;
}

struct waiting {
    const struct tumble_engine *engine;
    uint64_t bytes;
};

static enum tumble_code add_bytes(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    struct waiting *waiting = ctx;
    uint64_t chunk;
    (void)stop;
    (void)err;
    const struct tw_closed *closed = tw_frame_kind_of(value) == TW_FRAME_CLOSED && tw_key_read_outbox(key, &chunk)
                                         ? tw_closed_find(waiting->engine, chunk)
                                         : NULL;
    waiting->bytes += closed ? closed->row_bytes : value.length;
    return TUMBLE_OK;
}

enum tumble_code tw_outbox_bytes(struct tumble_engine *engine, enum tumble_row_kind kind, uint64_t chunk,
                                 uint64_t *bytes, struct tumble_error *err) {
    *bytes = 0;
    if (chunk == engine->next_chunk[kind]) {
        return TUMBLE_OK;
    }
    struct tw_key prefix = tw_key_outbox_all(kind), from = tw_key_outbox(kind, chunk);
    TW_TRY(tw_store_begin(engine->store, err));
    struct waiting waiting = {engine, 0};
    enum tumble_code code =
        tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&from), add_bytes, &waiting, err);
    *bytes = waiting.bytes;
    tw_store_abort(engine->store);
    return code;
}
