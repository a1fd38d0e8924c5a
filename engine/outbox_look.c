#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* What waits in the outbox, for people. */

enum tumble_code tumble_engine_outbox(struct tumble_engine *engine, enum tumble_row_kind kind, tumble_row_fn *visit,
                                      void *ctx, struct tumble_error *err) {
    struct tw_chunk_reader reader;
    struct tw_buf text;
    bool got = true;
    tw_buf_init(&text, engine->alloc, SIZE_MAX / 4);
    tw_chunk_reader_init(&reader, engine, kind, engine->first_chunk[kind], 0);
    enum tumble_code code = tw_store_begin(engine->store, err);
    while (code == TUMBLE_OK && got) {
        struct tumble_row row;
        code = tw_chunk_reader_next(&reader, &row, &got, err);
        if (code == TUMBLE_OK && got) {
            tw_buf_clear(&text);
            code = tw_buf_append(&text, reader.head.data, reader.head.length);
            code = code == TUMBLE_OK ? tw_buf_append(&text, row.json.data, row.json.length) : code;
            row.json = tw_buf_view(&text);
            code = code == TUMBLE_OK ? visit(ctx, &row) : tw_no_memory(err);
        }
    }
    tw_buf_clean_up(&text);
    tw_chunk_reader_clean_up(&reader);
    tw_store_abort(engine->store);
    return code;
}

int tumble_engine_output_status(const struct tumble_engine *engine, size_t index, struct tumble_output_status *out) {
    if (index >= engine->output_count) {
        return 0;
    }
    const struct tw_output *output = &engine->outputs[index];
    memset(out, 0, sizeof *out);
    out->name = output->name;
    out->kind = output->kind;
    out->is_absent = !output->api;
    out->is_waiting = output->chunk != engine->next_chunk[output->kind];
    out->waiting_bytes = out->is_waiting ? engine->outbox.added[output->kind] - output->caught_up + output->backlog : 0;
    out->attempts = output->attempts;
    out->held_since_ms = output->held_since_ms;
    out->next_ms = output->due_ms;
    out->last_error = output->attempts ? output->last_error : "";
    return 1;
}

/* ---- what a state knows of its outputs ---- */

struct stored {
    struct tw_cursor_text text;
    char name[TW_LIMIT_URI_BYTES];
    char last_error[TUMBLE_ERROR_TEXT];
};

struct found {
    struct tumble_engine *engine;
    struct stored *items;
    size_t count;
};

static enum tumble_code take_cursor(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                    struct tumble_error *err) {
    struct found *found = ctx;
    (void)key;
    (void)stop;
    if (found->count == TW_LIMIT_STORED_OUTPUTS) {
        return tw_fail(err, TUMBLE_ELIMIT, "the state knows more than %d outputs", TW_LIMIT_STORED_OUTPUTS);
    }
    struct stored *item = &found->items[found->count];
    TW_TRY(tw_cursor_read(found->engine, value, &item->text, err));
    if (item->text.name.length >= sizeof item->name || item->text.last_error.length >= sizeof item->last_error) {
        return tw_fail(err, TUMBLE_ECORRUPT, "the name of an output is too long: restore the state directory");
    }
    memcpy(item->name, item->text.name.data, item->text.name.length);
    if (item->text.last_error.length) {
        memcpy(item->last_error, item->text.last_error.data, item->text.last_error.length);
    }
    item->text.name.data = item->name;
    item->text.last_error.data = item->last_error;
    found->count++;
    return TUMBLE_OK;
}

static int by_kind_and_name(const void *a, const void *b) {
    const struct stored *x = a, *y = b;
    return x->text.kind != y->text.kind ? (int)x->text.kind - (int)y->text.kind : strcmp(x->name, y->name);
}

static void note_start(struct tumble_stored_output *out, enum tumble_row_kind kind, int64_t start_ms) {
    bool older = out->oldest_window_start_ms < 0 || start_ms < out->oldest_window_start_ms;
    if (kind == TUMBLE_ROW_WINDOW && older) {
        out->oldest_window_start_ms = start_ms;
    }
}

static enum tumble_code count_rows(struct tw_chunk_reader *reader, const struct stored *item,
                                   struct tumble_stored_output *out, struct tumble_error *err) {
    for (;;) {
        struct tumble_row row;
        bool got;
        TW_TRY(tw_chunk_reader_next(reader, &row, &got, err));
        if (!got) {
            return TUMBLE_OK;
        }
        out->rows++;
        out->bytes += reader->head.length + row.json.length;
        note_start(out, item->text.kind, row.window_start_ms);
    }
}

/* Closed windows that wait whole know themselves what they are: there may be many. */
static uint64_t count_closed(const struct tumble_engine *engine, const struct stored *item,
                             struct tumble_stored_output *out) {
    uint64_t chunk = item->text.chunk;
    const struct tw_closed *closed;
    while (item->text.kind == TUMBLE_ROW_WINDOW && (chunk > item->text.chunk || item->text.row == 0) &&
           (closed = tw_closed_find(engine, chunk))) {
        out->rows += closed->fragment.row_count;
        out->bytes += closed->row_bytes;
        note_start(out, item->text.kind, closed->fragment.window_start_ms);
        chunk++;
    }
    return chunk;
}

static enum tumble_code count_waiting(struct tumble_engine *engine, const struct stored *item,
                                      struct tumble_stored_output *out, struct tumble_error *err) {
    struct tw_chunk_reader reader;
    out->oldest_window_start_ms = -1;
    uint64_t chunk = count_closed(engine, item, out);
    tw_chunk_reader_init(&reader, engine, item->text.kind, chunk, chunk == item->text.chunk ? item->text.row : 0);
    enum tumble_code code = count_rows(&reader, item, out, err);
    tw_chunk_reader_clean_up(&reader);
    return code;
}

static enum tumble_code visit_all(struct tumble_engine *engine, struct found *found, tumble_stored_output_fn *visit,
                                  void *ctx, struct tumble_error *err) {
    struct tw_key prefix = tw_key_prefix('R');
    TW_TRY(tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&prefix), take_cursor, found, err));
    for (size_t i = 0; i < found->count; i++) { /* items move when they are sorted */
        found->items[i].text.name.data = NULL;
    }
    qsort(found->items, found->count, sizeof *found->items, by_kind_and_name);
    for (size_t i = 0; i < found->count; i++) {
        struct stored *item = &found->items[i];
        struct tumble_stored_output out = {.name = {item->name, item->text.name.length},
                                           .kind = item->text.kind,
                                           .attempts = item->text.attempts,
                                           .last_error = {item->last_error, item->text.last_error.length}};
        TW_TRY(count_waiting(engine, item, &out, err));
        TW_TRY(visit(ctx, &out));
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_stored_outputs(struct tumble_engine *engine, tumble_stored_output_fn *visit, void *ctx,
                                              struct tumble_error *err) {
    struct found found = {.engine = engine};
    found.items = tw_alloc_zero(&engine->alloc, TW_LIMIT_STORED_OUTPUTS * sizeof *found.items);
    if (!found.items) {
        return tw_no_memory(err);
    }
    enum tumble_code code = tw_store_begin(engine->store, err);
    if (code == TUMBLE_OK) {
        code = visit_all(engine, &found, visit, ctx, err);
        tw_store_abort(engine->store);
    }
    tw_free(&engine->alloc, found.items);
    return code;
}
