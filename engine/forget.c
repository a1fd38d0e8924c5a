#include <string.h>

#include <tumble/delivery.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* A shard that another process reads from now on: what it has here must neither go on nor leave. Chunks of the outbox
 * are numbered without gaps, so those of the shard stay, without rows, until they are dropped like others. */

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* The shard whose rows a chunk holds, NULL for one without rows. In a transaction of the store. */
static enum tumble_code shard_of_chunk(struct tumble_engine *engine, uint64_t chunk, struct tumble_shard **out,
                                       struct tumble_error *err) {
    struct tw_key key = tw_key_outbox(TUMBLE_ROW_WINDOW, chunk);
    struct tumble_bytes value, payload, id;
    uint64_t start, end, length;
    bool found;
    const struct tw_closed *closed = tw_closed_find(engine, chunk);
    *out = closed ? closed->shard : NULL;
    if (closed) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_store_get(engine->store, tw_key_view(&key), &found, &value, err));
    if (!found) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "chunk %llu of the outbox is missing: restore the state directory or start anew",
                       (unsigned long long)chunk);
    }
    TW_TRY(tw_frame_open(value, TW_FRAME_ROWS, engine->spec->digest, "a chunk of rows", &payload, err));
    struct tw_cursor in = tw_cursor_of(payload);
    if (!tw_take_u64(&in, &start) || !tw_take_u64(&in, &end) || !tw_take_varint(&in, &length) ||
        length > tw_cursor_left(&in) || !tw_take_bytes(&in, (size_t)length, &id)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a chunk of rows is cut: restore the state directory or start anew");
    }
    for (size_t i = 0; i < engine->shard_count && !*out; i++) {
        *out = tumble_bytes_equal(tumble_shard_id(engine->shards[i]), id) ? engine->shards[i] : NULL;
    }
    return TUMBLE_OK;
}

/* An output that stands inside a chunk of the shard goes back to the chunk's beginning: it will have no rows. */
static enum tumble_code step_back(struct tumble_engine *engine, struct tw_output *output,
                                  const struct tumble_shard *shard, struct tumble_error *err) {
    struct tumble_shard *of;
    if (output->unflushed) {
        tw_output_rewind(output);
    }
    if (output->row == 0 || output->chunk >= engine->next_chunk[TUMBLE_ROW_WINDOW]) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_store_begin(engine->store, err));
    enum tumble_code code = shard_of_chunk(engine, output->chunk, &of, err);
    tw_store_abort(engine->store);
    if (code == TUMBLE_OK && of == shard) {
        output->row = output->at_row = 0;
        output->changed = true;
    }
    return code;
}

enum tumble_code tumble_shard_forget(struct tumble_shard *shard, struct tumble_error *err) {
    struct tumble_engine *engine = shard->engine;
    if (engine->read_only || engine->carried) {
        return tw_fail(err, TUMBLE_EINVAL, "only an engine that keeps windows of its own can forget a shard");
    }
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].kind == TUMBLE_ROW_WINDOW) {
            TW_TRY(step_back(engine, &engine->outputs[i], shard, err));
        }
    }
    for (size_t i = 0; i < shard->window_count; i++) {
        shard->windows[i]->phase = TW_WINDOW_CLOSING;
        shard->windows[i]->changed = true;
        shard->windows[i]->forgotten = true;
    }
    tw_buf_clear(&shard->failures);
    shard->forgotten = true;
    engine->forgets = true;
    return TUMBLE_OK;
}

static enum tumble_code put_empty(struct tw_outbox_put *put, uint64_t chunk, struct tumble_error *err) {
    /* window 0 to 0, no shard, no sequence numbers, from row 0 on; a summary of nothing */
    static const char nothing[8 + 8 + 1 + 1 + 1 + 1] = {0}, summary[32] = {0};
    struct tumble_engine *engine = put->engine;
    struct tw_buf *frame = &engine->frame;
    size_t mark;
    tw_buf_clear(frame);
    enum tumble_code code = tw_frame_begin(frame, TW_FRAME_ROWS, engine->spec->digest, &mark);
    code = code == TUMBLE_OK ? tw_buf_append(frame, nothing, sizeof nothing) : code;
    code = code == TUMBLE_OK ? tw_buf_append_byte(frame, 1) : code;
    code = code == TUMBLE_OK ? tw_buf_append(frame, summary, sizeof summary) : code;
    code = code == TUMBLE_OK ? tw_buf_append_byte(frame, 0) : code; /* nor a head */
    code = code == TUMBLE_OK ? tw_frame_seal(frame, mark) : code;
    TW_TRY(text_of(err, code));
    struct tw_key key = tw_key_outbox(TUMBLE_ROW_WINDOW, chunk), fragment = tw_key_fragment(chunk);
    put->bytes += frame->length;
    TW_TRY(tw_store_put(engine->store, tw_key_view(&key), tw_buf_view(frame), err));
    return tw_store_delete(engine->store, tw_key_view(&fragment), err);
}

enum tumble_code tw_outbox_put_forgotten(struct tw_outbox_put *put, struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    for (uint64_t chunk = engine->first_chunk[TUMBLE_ROW_WINDOW]; chunk < engine->next_chunk[TUMBLE_ROW_WINDOW];
         chunk++) {
        struct tumble_shard *shard;
        TW_TRY(shard_of_chunk(engine, chunk, &shard, err));
        if (shard && shard->forgotten) {
            struct tw_closed *closed = tw_closed_find(engine, chunk);
            if (closed) {
                TW_TRY(tw_closed_erase_groups(engine, closed, err));
                tw_closed_forget(engine, closed);
            }
            TW_TRY(put_empty(put, chunk, err));
        }
    }
    return TUMBLE_OK;
}

void tumble_engine_outbox_progress(const struct tumble_engine *engine, enum tumble_row_kind kind, uint64_t *written,
                                   uint64_t *acknowledged) {
    *written = *acknowledged = engine->next_chunk[kind];
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].kind == kind && engine->outputs[i].chunk < *acknowledged) {
            *acknowledged = engine->outputs[i].chunk;
        }
    }
}
