#include <tumble/engine.h>

#include <string.h>

#include "engine/apply_tally.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/carried.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"
#include "engine/partial.h"
#include "engine/window/group_key.h"

/* ---- making and ending an engine ---- */

static enum tumble_code make_layout(struct tumble_engine *engine, struct tumble_error *err) {
    const struct tumble_spec *spec = engine->spec;
    engine->layout_items = tw_alloc_array(&engine->alloc, spec->aggregate_count, sizeof *engine->layout_items);
    if (!engine->layout_items) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        engine->layout_items[i].function = spec->aggregates[i].function;
        engine->layout_items[i].params = &spec->aggregates[i].params;
        engine->layout_items[i].offset = spec->aggregates[i].state_offset;
    }
    engine->layout.items = engine->layout_items;
    engine->layout.count = spec->aggregate_count;
    engine->layout.bytes = spec->accumulator_bytes;
    engine->layout.spans = &engine->spans;
    engine->fresh_group = tw_alloc_zero(&engine->alloc, engine->layout.bytes + 1);
    if (!engine->fresh_group) {
        return tw_no_memory(err);
    }
    tw_layout_init(&engine->layout, engine->fresh_group);
    engine->layout.fresh = engine->fresh_group;
    return TUMBLE_OK;
}

/* Extra fields, then the spec's, then the filter's, then those of the filters of aggregates. */
static enum tumble_code make_projection(struct tumble_engine *engine, const struct tumble_engine_options *options,
                                        struct tumble_error *err) {
    const struct tumble_spec *spec = engine->spec;
    size_t payload_fields = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        payload_fields += spec->fields[i].source == TW_FIELD_PAYLOAD;
    }
    size_t where_fields = spec->where ? tw_filter_pattern_path_count(spec->where) : 0;
    size_t aggregate_where_fields = 0;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        aggregate_where_fields +=
            spec->aggregates[i].where ? tw_filter_pattern_path_count(spec->aggregates[i].where) : 0;
    }
    engine->first_spec_field = options->extra_field_count;
    engine->first_where_field = engine->first_spec_field + payload_fields;
    engine->projected_count = engine->first_where_field + where_fields + aggregate_where_fields;
    engine->aggregate_where = tw_alloc_array(&engine->alloc, spec->aggregate_count, sizeof *engine->aggregate_where);
    if (!engine->aggregate_where) {
        return tw_no_memory(err);
    }
    struct tumble_bytes *paths = tw_alloc_array(&engine->alloc, engine->projected_count, sizeof *paths);
    if (!paths) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < options->extra_field_count; i++) {
        paths[i] = options->extra_fields[i];
    }
    for (size_t i = 0; i < spec->field_count; i++) {
        if (spec->fields[i].source == TW_FIELD_PAYLOAD) {
            paths[engine->first_spec_field + spec->fields[i].projected] = spec->fields[i].path;
        }
    }
    for (size_t i = 0; i < where_fields; i++) {
        paths[engine->first_where_field + i] = tw_filter_pattern_path(spec->where, i);
    }
    size_t next = engine->first_where_field + where_fields;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_filter_pattern *where = spec->aggregates[i].where;
        engine->aggregate_where[i] = (uint32_t)next;
        for (size_t path = 0; where && path < tw_filter_pattern_path_count(where); path++) {
            paths[next++] = tw_filter_pattern_path(where, path);
        }
    }
    enum tumble_code code = tw_projection_new(paths, engine->projected_count, engine->alloc, &engine->projection, err);
    tw_free(&engine->alloc, paths);
    return code;
}

/* ,"name": of every group and aggregate column, so that a row is written by copying. */
static enum tumble_code make_column_prefixes(struct tumble_engine *engine, struct tumble_error *err) {
    const struct tumble_spec *spec = engine->spec;
    size_t first = 0;
    while (spec->columns[first].kind == TUMBLE_COLUMN_WINDOW) {
        first++;
    }
    size_t count = spec->column_count - 1 - first; /* the last one is records */
    struct tw_buf text;
    tw_buf_init(&text, engine->alloc, SIZE_MAX / 4);
    engine->column_prefix_end = tw_alloc_array(&engine->alloc, count, sizeof *engine->column_prefix_end);
    enum tumble_code code = engine->column_prefix_end ? TUMBLE_OK : TUMBLE_ENOMEM;
    for (size_t i = 0; i < count && code == TUMBLE_OK; i++) {
        code = tw_buf_append_byte(&text, ',');
        if (code == TUMBLE_OK) {
            code = tw_buf_append_json_string(&text, tumble_bytes_of(spec->columns[first + i].name));
        }
        if (code == TUMBLE_OK) {
            code = tw_buf_append_byte(&text, ':');
        }
        engine->column_prefix_end[i] = (uint32_t)text.length;
    }
    code = code == TUMBLE_OK ? tw_buf_reserve(&text, TW_PREFIX_SLACK) : code;
    engine->column_prefix = text.data;
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static enum tumble_code make_partial_prefixes(struct tumble_engine *engine, struct tumble_error *err) {
    const struct tumble_spec *spec = engine->spec;
    engine->partial_prefix_end =
        tw_alloc_array(&engine->alloc, spec->aggregate_count, sizeof *engine->partial_prefix_end);
    enum tumble_code code = engine->partial_prefix_end ? TUMBLE_OK : TUMBLE_ENOMEM;
    for (size_t i = 0; i < spec->aggregate_count && code == TUMBLE_OK; i++) {
        code = tw_partial_prefix(&spec->aggregates[i], spec->aggregates[i].digest, &engine->partial_prefix);
        engine->partial_prefix_end[i] = (uint32_t)engine->partial_prefix.length;
    }
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static enum tumble_code set_up(struct tumble_engine *engine, const struct tumble_engine_options *options,
                               struct tumble_error *err) {
    const struct tumble_spec *spec =
        options->fragments_possible ? tumble_spec_for_fragments(options->spec) : options->spec;
    engine->spec = spec;
    engine->read_only = options->read_only != 0;
    engine->persist = options->state_directory != NULL;
    engine->durability = options->durability;
    engine->sync_every = options->sync_every ? options->sync_every : 1;
    engine->memory_limit = options->memory_limit_bytes;
    engine->spans.most = engine->memory_limit ? 0 : TW_SPANS_KEPT;
    engine->hash_seed = tw_hash_process_seed();
    if ((int)options->durability < 0 || options->durability > TUMBLE_DURABILITY_EVERY ||
        (options->durability == TUMBLE_DURABILITY_EVERY && options->sync_every == 0)) {
        return tw_fail(err, TUMBLE_EINVAL, "durability is commit, none or every, which needs sync_every of 1 at least");
    }
    if (!tw_utf8_valid(options->source)) {
        return tw_fail(err, TUMBLE_EINVAL, "the source's name is not UTF-8: name it otherwise (--source)");
    }
    int64_t window_seconds = options->window_seconds ? options->window_seconds : spec->window_seconds;
    if (window_seconds < 0 || window_seconds > TUMBLE_TIMESTAMP_MAX_MS / 1000 ||
        (window_seconds == 0 && !options->read_only)) {
        return tw_fail(err, TUMBLE_EINVAL, "the window must be at least 1 second long: set window.seconds in the spec");
    }
    engine->window_ms = window_seconds * 1000;
    engine->source = tw_copy_text(&engine->alloc, options->source.data, options->source.length);
    if (!engine->source) {
        return tw_no_memory(err);
    }
    engine->source_length = options->source.length;
    TW_TRY(make_layout(engine, err));
    TW_TRY(make_projection(engine, options, err));
    TW_TRY(make_column_prefixes(engine, err));
    if (spec->partials) {
        TW_TRY(make_partial_prefixes(engine, err));
    }
    struct tw_store_options store = {
        .directory = options->state_directory,
        .read_only = options->read_only != 0,
        .verify = options->verify != 0,
        .sync = options->durability == TUMBLE_DURABILITY_COMMIT,
        .alloc = engine->alloc,
    };
    TW_TRY(tw_store_open(&store, &engine->store, err));
    return tw_engine_recover(engine, err);
}

enum tumble_code tumble_engine_open(const struct tumble_engine_options *options, struct tumble_engine **out,
                                    struct tumble_error *err) {
    *out = NULL;
    if (!options->spec) {
        return tw_fail(err, TUMBLE_EINVAL, "an engine needs a spec");
    }
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tumble_engine *engine = tw_alloc_zero(&alloc, sizeof *engine);
    if (!engine) {
        return tw_no_memory(err);
    }
    engine->alloc = alloc;
    tw_buf_init(&engine->scratch, alloc, SIZE_MAX / 4);
    tw_buf_init(&engine->frame, alloc, SIZE_MAX / 4);
    tw_buf_init(&engine->outbox.spare, alloc, SIZE_MAX / 4);
    tw_buf_init(&engine->rejected, alloc, SIZE_MAX / 4);
    tw_buf_init(&engine->partial_prefix, alloc, SIZE_MAX / 4);
    tw_buf_init(&engine->partial, alloc, SIZE_MAX / 4);
    pthread_mutex_init(&engine->store_lock, NULL);
    pthread_mutex_init(&engine->desk_lock, NULL);
    tw_spans_init(&engine->spans, alloc);
    enum tumble_code code = set_up(engine, options, err);
    if (code != TUMBLE_OK) {
        tumble_engine_destroy(engine);
        return code;
    }
    *out = engine;
    return TUMBLE_OK;
}

static void destroy_shard(struct tumble_engine *engine, struct tumble_shard *shard) {
    for (size_t i = 0; i < shard->window_count; i++) {
        tw_window_clean_up(shard->windows[i]);
        tw_free(&engine->alloc, shard->windows[i]);
    }
    tw_free(&engine->alloc, shard->windows);
    tw_free(&engine->alloc, shard->projected);
    tw_free(&engine->alloc, shard->values);
    tw_free(&engine->alloc, shard->lengthened);
    tw_shard_tallies_free(shard);
    tw_free(&engine->alloc, shard->found);
    tw_buf_clean_up(&shard->failures);
    tw_buf_clean_up(&shard->keys);
    tw_arena_clean_up(&shard->text);
    tw_event_scratch_destroy(shard->event, &engine->alloc);
    tw_free(&engine->alloc, shard);
}

void tumble_engine_destroy(struct tumble_engine *engine) {
    if (!engine) {
        return;
    }
    struct tumble_alloc alloc = engine->alloc;
    tw_carried_destroy(engine->carried);
    for (size_t i = 0; i < engine->output_count; i++) {
        tw_output_clean_up(engine, &engine->outputs[i]);
    }
    for (size_t i = 0; i < engine->shard_count; i++) {
        destroy_shard(engine, engine->shards[i]);
    }
    tw_free(&alloc, engine->shards);
    tw_event_desks_destroy(engine);
    for (size_t i = 0; i < engine->note_count; i++) {
        tw_buf_clean_up(&engine->notes[i].value);
    }
    tw_free(&alloc, engine->notes);
    tw_delivery_destroy(engine);
    tw_closed_clean_up(engine);
    tw_store_close(engine->store);
    tw_projection_destroy(engine->projection);
    tw_free(&alloc, engine->layout_items);
    tw_free(&alloc, engine->fresh_group);
    tw_free(&alloc, engine->aggregate_where);
    tw_free(&alloc, engine->column_prefix);
    tw_free(&alloc, engine->column_prefix_end);
    tw_free(&alloc, engine->order);
    tw_free(&alloc, engine->source);
    tw_buf_clean_up(&engine->scratch);
    tw_buf_clean_up(&engine->frame);
    tw_buf_clean_up(&engine->rejected);
    tw_buf_clean_up(&engine->partial_prefix);
    tw_buf_clean_up(&engine->partial);
    tw_free(&alloc, engine->partial_prefix_end);
    pthread_mutex_destroy(&engine->store_lock);
    pthread_mutex_destroy(&engine->desk_lock);
    tw_spans_clean_up(&engine->spans);
    tw_free(&alloc, engine);
}

const struct tumble_projection *tumble_engine_projection(const struct tumble_engine *engine) {
    return engine->projection;
}

int64_t tumble_engine_window_ms(const struct tumble_engine *engine) { return engine->window_ms; }

uint32_t tw_engine_key_hash(const void *engine, struct tumble_bytes key) {
    return (uint32_t)tw_group_key_hash(key, ((const struct tumble_engine *)engine)->hash_seed);
}

enum tumble_code tw_engine_order(struct tumble_engine *engine, size_t n, struct tumble_error *err) {
    if (n <= engine->order_capacity) {
        return TUMBLE_OK;
    }
    size_t capacity = engine->order_capacity ? engine->order_capacity : 64;
    while (capacity < n) {
        capacity *= 2;
    }
    struct tw_group_rank *order = tw_alloc_array(&engine->alloc, capacity, sizeof *order);
    if (!order) {
        return tw_no_memory(err);
    }
    tw_free(&engine->alloc, engine->order);
    engine->order = order;
    engine->order_capacity = capacity;
    return TUMBLE_OK;
}

/* ---- shards and their windows ---- */

enum tumble_code tw_shard_add(struct tumble_engine *engine, struct tumble_bytes id, struct tumble_shard **out,
                              struct tumble_error *err) {
    if (id.length == 0 || id.length > TW_LIMIT_SHARD_ID_BYTES) {
        return tw_fail(err, TUMBLE_EINVAL, "a shard id has 1 to %d bytes, not %zu", TW_LIMIT_SHARD_ID_BYTES, id.length);
    }
    if (engine->shard_count == TW_LIMIT_SHARDS) {
        return tw_fail(err, TUMBLE_ELIMIT, "more than %d shards", TW_LIMIT_SHARDS);
    }
    if (engine->shard_count == engine->shard_capacity) {
        size_t capacity = engine->shard_capacity ? engine->shard_capacity * 2 : 4;
        struct tumble_shard **shards = tw_resize(&engine->alloc, engine->shards,
                                                 engine->shard_capacity * sizeof *shards, capacity * sizeof *shards);
        if (!shards) {
            return tw_no_memory(err);
        }
        engine->shards = shards;
        engine->shard_capacity = capacity;
    }
    struct tumble_shard *shard = tw_alloc_zero(&engine->alloc, sizeof *shard);
    if (!shard) {
        return tw_no_memory(err);
    }
    shard->engine = engine;
    shard->index = (uint32_t)engine->shard_count;
    memcpy(shard->id, id.data, id.length);
    shard->id_length = (uint32_t)id.length;
    tw_buf_init(&shard->failures, engine->alloc, SIZE_MAX / 4);
    tw_buf_init(&shard->keys, engine->alloc, SIZE_MAX / 4);
    tw_arena_init(&shard->text, engine->alloc);
    shard->projected = tw_alloc_array(&engine->alloc, engine->projected_count, sizeof *shard->projected);
    shard->values = tw_alloc_array(&engine->alloc, engine->spec->field_count * TW_CHUNK_RECORDS, sizeof *shard->values);
    shard->found = tw_alloc_zero(&engine->alloc, engine->spec->field_count * sizeof *shard->found);
    if (!shard->projected || !shard->values || !shard->found) {
        destroy_shard(engine, shard);
        return tw_no_memory(err);
    }
    engine->shards[engine->shard_count++] = shard;
    *out = shard;
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_shard(struct tumble_engine *engine, struct tumble_bytes shard_id,
                                     struct tumble_shard **out, struct tumble_error *err) {
    for (size_t i = 0; i < engine->shard_count; i++) {
        struct tumble_bytes id = {engine->shards[i]->id, engine->shards[i]->id_length};
        if (tumble_bytes_equal(id, shard_id)) {
            *out = engine->shards[i];
            return TUMBLE_OK;
        }
    }
    return tw_shard_add(engine, shard_id, out, err);
}

struct tumble_bytes tumble_shard_id(const struct tumble_shard *shard) {
    struct tumble_bytes id = {shard->id, shard->id_length};
    return id;
}

/* Index of the first window that begins at or after start_ms. */
static size_t window_place(const struct tumble_shard *shard, int64_t start_ms) {
    size_t at = shard->window_count; /* the newest windows are asked for most */
    while (at > 0 && shard->windows[at - 1]->start_ms >= start_ms) {
        at--;
    }
    return at;
}

struct tw_window *tw_shard_find_window(const struct tumble_shard *shard, int64_t start_ms) {
    size_t at = window_place(shard, start_ms);
    return at < shard->window_count && shard->windows[at]->start_ms == start_ms ? shard->windows[at] : NULL;
}

enum tumble_code tw_shard_insert_window(struct tumble_shard *shard, struct tw_window *window,
                                        struct tumble_error *err) {
    if (shard->window_count == shard->window_capacity) {
        size_t capacity = shard->window_capacity ? shard->window_capacity * 2 : 4;
        struct tw_window **windows =
            tw_resize(&shard->engine->alloc, shard->windows, shard->window_capacity * sizeof(struct tw_window *),
                      capacity * sizeof(struct tw_window *));
        if (!windows) {
            return tw_no_memory(err);
        }
        shard->windows = windows;
        shard->window_capacity = capacity;
    }
    size_t at = window_place(shard, window->start_ms);
    memmove(&shard->windows[at + 1], &shard->windows[at], (shard->window_count - at) * sizeof(struct tw_window *));
    shard->windows[at] = window;
    shard->window_count++;
    return TUMBLE_OK;
}

/* A window has about as many groups as the one before it: its index need not grow on the way there. It does where
 * memory is limited, or shared by many windows. */
static enum tumble_code expect_groups(const struct tumble_shard *shard, struct tw_window *window,
                                      struct tumble_error *err) {
    uint64_t count = shard->groups_before;
    if (shard->engine->memory_limit || shard->window_count > 1) {
        return TUMBLE_OK;
    }
    if (shard->window_count && shard->windows[0]->groups.count > count) {
        count = shard->windows[0]->groups.count;
    }
    return count == 0 || tw_group_table_expect(&window->groups, count) == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(err);
}

enum tumble_code tw_shard_window(struct tumble_shard *shard, int64_t start_ms, struct tw_window **out,
                                 struct tumble_error *err) {
    struct tumble_engine *engine = shard->engine;
    struct tw_window *window = tw_shard_find_window(shard, start_ms);
    if (window && window->phase == TW_WINDOW_CLOSING) {
        return tw_fail(err, TUMBLE_EINVAL, "the window is closing: commit before more records are applied to it");
    }
    if (!window) {
        window = tw_alloc(&engine->alloc, sizeof *window);
        if (!window) {
            return tw_no_memory(err);
        }
        tw_window_init(window, start_ms, engine->alloc, &engine->layout);
        window->loaded = true;
        window->generation = tw_closed_next_generation(engine, shard, start_ms);
        enum tumble_code code = expect_groups(shard, window, err);
        code = code == TUMBLE_OK ? tw_shard_insert_window(shard, window, err) : code;
        if (code != TUMBLE_OK) {
            tw_window_clean_up(window);
            tw_free(&engine->alloc, window);
            return code;
        }
        shard->windows_opened++;
    } else if (!window->loaded) {
        pthread_mutex_lock(&engine->store_lock);
        enum tumble_code code = tw_window_load(shard, window, err);
        pthread_mutex_unlock(&engine->store_lock);
        TW_TRY(code);
    }
    *out = window;
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_close(struct tumble_shard *shard, int64_t window_start_ms, struct tumble_error *err) {
    (void)err;
    struct tw_window *window = tw_shard_find_window(shard, window_start_ms);
    if (window) {
        window->phase = TW_WINDOW_CLOSING;
        window->changed = true;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_windows(struct tumble_engine *engine, tumble_window_fn *visit, void *ctx) {
    for (int64_t after = INT64_MIN;;) { /* few windows are open at a time: find the next start, visit its shards */
        int64_t next = INT64_MAX;
        bool found = false;
        for (size_t i = 0; i < engine->shard_count; i++) {
            const struct tumble_shard *shard = engine->shards[i];
            for (size_t w = 0; w < shard->window_count; w++) {
                int64_t start = shard->windows[w]->start_ms;
                if (shard->windows[w]->phase == TW_WINDOW_OPEN && (start > after || after == INT64_MIN) &&
                    (!found || start < next)) {
                    next = start;
                    found = true;
                }
            }
        }
        if (!found) {
            return TUMBLE_OK;
        }
        for (size_t i = 0; i < engine->shard_count; i++) {
            struct tw_window *window = tw_shard_find_window(engine->shards[i], next);
            if (window && window->phase == TW_WINDOW_OPEN) {
                TW_TRY(visit(ctx, engine->shards[i], next));
            }
        }
        after = next;
    }
}

static enum tumble_code need_window(struct tumble_shard *shard, int64_t start_ms, bool loaded, struct tw_window **out,
                                    struct tumble_error *err) {
    *out = tw_shard_find_window(shard, start_ms);
    if (!*out) {
        char text[TUMBLE_TIMESTAMP_TEXT];
        tumble_timestamp_text(start_ms, text);
        return tw_fail(err, TUMBLE_EINVAL, "shard %s has no open window that begins at %s", shard->id, text);
    }
    return loaded && !(*out)->loaded ? tw_window_load(shard, *out, err) : TUMBLE_OK;
}

enum tumble_code tumble_shard_window_info(struct tumble_shard *shard, int64_t window_start_ms,
                                          struct tumble_window_info *out, struct tumble_error *err) {
    struct tw_window *window;
    TW_TRY(need_window(shard, window_start_ms, false, &window, err));
    memset(out, 0, sizeof *out);
    out->shard_id = tumble_shard_id(shard);
    out->start_ms = window->start_ms;
    out->end_ms = window->start_ms + shard->engine->window_ms;
    out->groups = window->loaded ? window->groups.count : window->group_count;
    out->records = window->records;
    out->first_sequence = tw_window_first(window);
    out->last_sequence = tw_window_last(window);
    out->stored_bytes = window->snapshot_bytes + window->delta_bytes;
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_rows(struct tumble_shard *shard, int64_t window_start_ms, tumble_row_fn *visit, void *ctx,
                                   struct tumble_error *err) {
    struct tumble_engine *engine = shard->engine;
    struct tw_window *window;
    TW_TRY(need_window(shard, window_start_ms, true, &window, err));
    TW_TRY(tw_engine_order(engine, window->groups.count, err));
    tw_group_order(&window->groups, engine->order);
    struct tw_row_writer writer;
    enum tumble_code code = tw_row_writer_init(&writer, shard, window, err);
    struct tumble_bytes *values = tw_alloc_array(&engine->alloc, engine->spec->column_count, sizeof *values);
    if (code == TUMBLE_OK && !values) {
        code = tw_no_memory(err);
    }
    for (uint32_t i = 0; i < window->groups.count && code == TUMBLE_OK; i++) {
        if (tw_group_at(&window->groups, engine->order[i].reference)->records == 0) {
            continue;
        }
        struct tumble_row row = {.window_start_ms = window->start_ms,
                                 .window_end_ms = window->start_ms + engine->window_ms};
        tw_buf_clear(&engine->scratch);
        code = tw_row_append(&writer, shard, window, engine->order[i].reference, &engine->scratch, row.key);
        row.json = tw_buf_view(&engine->scratch);
        if (code == TUMBLE_OK && tw_json_split(row.json, values, engine->spec->column_count)) {
            row.values = values;
            row.value_count = engine->spec->column_count;
        }
        code = code == TUMBLE_OK ? visit(ctx, &row) : tw_fail(err, code, "%s", tumble_code_text(code));
    }
    tw_free(&engine->alloc, values);
    tw_row_writer_clean_up(&writer);
    return code;
}

/* ---- notes and figures ---- */

static struct tw_note *find_note(const struct tumble_engine *engine, struct tumble_bytes name) {
    for (size_t i = 0; i < engine->note_count; i++) {
        if (tumble_bytes_equal(tumble_bytes_of(engine->notes[i].name), name)) {
            return &engine->notes[i];
        }
    }
    return NULL;
}

enum tumble_code tw_note_set(struct tumble_engine *engine, struct tumble_bytes name, struct tumble_bytes value,
                             struct tw_note **out, struct tumble_error *err) {
    if (name.length == 0 || name.length > TW_LIMIT_NOTE_NAME_BYTES) {
        return tw_fail(err, TUMBLE_EINVAL, "the name of a note has 1 to %d bytes", TW_LIMIT_NOTE_NAME_BYTES);
    }
    struct tw_note *note = find_note(engine, name);
    if (!note) {
        struct tw_note *notes = tw_resize(&engine->alloc, engine->notes, engine->note_count * sizeof *notes,
                                          (engine->note_count + 1) * sizeof *notes);
        if (!notes) {
            return tw_no_memory(err);
        }
        engine->notes = notes;
        note = &notes[engine->note_count++];
        memset(note, 0, sizeof *note);
        memcpy(note->name, name.data, name.length);
        tw_buf_init(&note->value, engine->alloc, SIZE_MAX / 4);
    }
    tw_buf_clear(&note->value);
    if (tw_buf_append(&note->value, value.data, value.length) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    *out = note;
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_set_note(struct tumble_engine *engine, const char *name, struct tumble_bytes value,
                                        struct tumble_error *err) {
    struct tw_note *note = NULL;
    TW_TRY(tw_note_set(engine, tumble_bytes_of(name), value, &note, err));
    note->changed = true;
    return TUMBLE_OK;
}

struct tumble_bytes tumble_engine_note(const struct tumble_engine *engine, const char *name) {
    const struct tw_note *note = find_note(engine, tumble_bytes_of(name));
    return note ? tw_buf_view(&note->value) : tumble_bytes_of(NULL);
}

void tw_engine_total(const struct tumble_engine *engine, struct tumble_counters *out) {
    *out = engine->counters;
    for (size_t i = 0; i < engine->shard_count; i++) {
        const struct tumble_shard *shard = engine->shards[i];
        out->records += shard->records;
        for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
            out->fates[fate] += shard->fates[fate];
        }
        out->skipped += shard->skipped;
        out->windows_opened += shard->windows_opened;
    }
}

int tumble_engine_field(const struct tumble_engine *engine, size_t index, struct tumble_bytes *path, uint64_t *found) {
    if (index >= engine->spec->field_count) {
        return 0;
    }
    *path = engine->spec->fields[index].path;
    *found = 0;
    for (size_t i = 0; i < engine->shard_count; i++) {
        *found += engine->shards[i]->found[index];
    }
    return 1;
}

void tumble_engine_counters(const struct tumble_engine *engine, struct tumble_counters *out) {
    tw_engine_total(engine, out);
    out->groups_open = 0;
    out->memory_bytes = 0;
    for (size_t i = 0; i < engine->shard_count; i++) {
        for (size_t w = 0; w < engine->shards[i]->window_count; w++) {
            const struct tw_window *window = engine->shards[i]->windows[w];
            out->groups_open += window->loaded ? window->groups.count : window->group_count;
            out->memory_bytes += tw_window_memory(window);
        }
    }
    out->memory_bytes += tw_closed_memory(engine);
    if (out->groups_peak < out->groups_open) {
        out->groups_peak = out->groups_open;
    }
}
