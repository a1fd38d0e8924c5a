#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/hash.h"
#include "engine/engine_internal.h"

/* What a transaction writes of the outbox: failures into chunks, where outputs stand, and what every one of them has
 * acknowledged out of the store. Closed windows: outbox_closed.c. */

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

void tw_outbox_put_begin(struct tw_outbox_put *put, struct tumble_engine *engine) {
    memset(put, 0, sizeof *put);
    put->engine = engine;
    memcpy(put->next_chunk, engine->next_chunk, sizeof put->next_chunk);
    memcpy(put->first_chunk, engine->first_chunk, sizeof put->first_chunk);
    tw_closed_begin(engine);
}

void tw_outbox_settle(const struct tw_outbox_put *put) {
    struct tumble_engine *engine = put->engine;
    memcpy(engine->next_chunk, put->next_chunk, sizeof engine->next_chunk);
    memcpy(engine->first_chunk, put->first_chunk, sizeof engine->first_chunk);
    for (int kind = 0; kind < 2; kind++) {
        engine->outbox.added[kind] += put->added[kind];
    }
    engine->counters.rows += put->rows;
    engine->counters.failures += put->failures;
    for (size_t i = 0; i < engine->output_count; i++) {
        engine->outputs[i].changed = false;
    }
    tw_closed_settle(engine);
}

static enum tumble_code frame_begin(struct tw_outbox_put *put, enum tw_frame_kind kind, size_t *mark,
                                    struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    tw_buf_clear(&engine->frame);
    return text_of(err, tw_frame_begin(&engine->frame, kind, engine->spec->digest, mark));
}

static enum tumble_code frame_put(struct tw_outbox_put *put, struct tw_key key, size_t mark, struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    TW_TRY(text_of(err, tw_frame_seal(&engine->frame, mark)));
    put->bytes += engine->frame.length;
    return tw_store_put(engine->store, tw_key_view(&key), tw_buf_view(&engine->frame), err);
}

static enum tumble_code chunk_end(struct tw_outbox_put *put, enum tumble_row_kind kind, size_t mark,
                                  struct tumble_error *err) {
    TW_TRY(frame_put(put, tw_key_outbox(kind, put->next_chunk[kind]), mark, err));
    put->next_chunk[kind]++;
    put->added[kind] += put->engine->frame.length;
    return TUMBLE_OK;
}

enum tumble_code tw_outbox_append_row(struct tw_buf *out, const uint8_t key[16], struct tumble_bytes json) {
    TW_TRY(tw_buf_append_few(out, key, 16));
    TW_TRY(tw_buf_append_varint(out, json.length));
    return tw_buf_append(out, json.data, json.length);
}

/* ---- rows ---- */

void tw_fragment_digest_add(uint8_t digest[16], struct tumble_bytes own) {
    tw_hash128_chain(digest, own.data, own.length);
}

/* ---- failures ---- */

static enum tumble_code failures_begin(struct tw_outbox_put *put, size_t *mark, struct tumble_error *err) {
    TW_TRY(frame_begin(put, TW_FRAME_OUTBOX, mark, err));
    enum tumble_code code = tw_buf_append_u64(&put->engine->frame, 0);
    return text_of(err, code == TUMBLE_OK ? tw_buf_append_u64(&put->engine->frame, 0) : code);
}

enum tumble_code tw_outbox_put_failures(struct tw_outbox_put *put, const struct tw_buf *documents,
                                        struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    struct tw_cursor in = tw_cursor_of(tw_buf_view(documents));
    size_t mark = 0;
    bool begun = false;
    while (tw_cursor_left(&in)) {
        uint64_t length;
        struct tumble_bytes document;
        if (!tw_take_varint(&in, &length) || !tw_take_bytes(&in, (size_t)length, &document)) {
            return tw_fail(err, TUMBLE_EINTERNAL, "the list of failures is damaged in memory");
        }
        if (!begun) {
            TW_TRY(failures_begin(put, &mark, err));
            begun = true;
        }
        uint8_t key[16];
        tw_hash128(document.data, document.length, key);
        TW_TRY(text_of(err, tw_outbox_append_row(&engine->frame, key, document)));
        put->failures++;
        if (engine->frame.length >= TW_LIMIT_OUTBOX_CHUNK_BYTES) {
            TW_TRY(chunk_end(put, TUMBLE_ROW_FAILURE, mark, err));
            begun = false;
        }
    }
    return begun ? chunk_end(put, TUMBLE_ROW_FAILURE, mark, err) : TUMBLE_OK;
}

/* ---- acknowledgements ---- */

enum tumble_code tw_outbox_drop(struct tw_outbox_put *put, enum tumble_row_kind kind, struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    uint64_t passed = UINT64_MAX;
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].kind == kind && engine->outputs[i].chunk < passed) {
            passed = engine->outputs[i].chunk;
        }
    }
    if (passed == UINT64_MAX) {
        return TUMBLE_OK;
    }
    for (; put->first_chunk[kind] < passed; put->first_chunk[kind]++) {
        const struct tw_closed *closed =
            kind == TUMBLE_ROW_WINDOW ? tw_closed_find(engine, put->first_chunk[kind]) : NULL;
        struct tw_key key = tw_key_outbox(kind, put->first_chunk[kind]);
        TW_TRY(tw_store_delete(engine->store, tw_key_view(&key), err));
        if (closed) {
            TW_TRY(tw_closed_erase_groups(engine, closed, err));
        } else if (kind == TUMBLE_ROW_WINDOW) {
            key = tw_key_fragment(put->first_chunk[kind]);
            TW_TRY(tw_store_delete(engine->store, tw_key_view(&key), err));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code append_text(struct tw_buf *frame, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_varint(frame, text.length));
    return tw_buf_append(frame, text.data, text.length);
}

enum tumble_code tw_outbox_put_cursor(struct tw_outbox_put *put, const struct tw_output *output,
                                      struct tumble_error *err) {
    struct tw_buf *frame = &put->engine->frame;
    size_t mark;
    TW_TRY(frame_begin(put, TW_FRAME_CURSOR, &mark, err));
    enum tumble_code code = append_text(frame, tumble_bytes_of(output->name));
    code = code == TUMBLE_OK ? tw_buf_append_byte(frame, (char)output->kind) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, output->chunk) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, output->row) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, output->checkpoint_length) : code;
    code = code == TUMBLE_OK ? tw_buf_append(frame, output->checkpoint, output->checkpoint_length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, output->attempts) : code;
    code = code == TUMBLE_OK ? append_text(frame, tumble_bytes_of(output->last_error)) : code;
    TW_TRY(text_of(err, code));
    return frame_put(put, tw_key_cursor(output->name, output->kind), mark, err);
}
