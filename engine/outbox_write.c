#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/hash.h"
#include "engine/engine_internal.h"

/* Rows and failures into chunks, inside the transaction that closes their window. A chunk of rows begins with what
 * their fragment is; its summary (rows, records, digest) is known only behind the last row, so it is filled in there
 * when the fragment fits one chunk, and otherwise put beside the last chunk, where every chunk of the fragment looks
 * for it (docs/format-frames.md). */

enum { SUMMARY_BYTES = 32 };

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

void tw_outbox_put_begin(struct tw_outbox_put *put, struct tumble_engine *engine) {
    memset(put, 0, sizeof *put);
    put->engine = engine;
    memcpy(put->next_chunk, engine->next_chunk, sizeof put->next_chunk);
    memcpy(put->first_chunk, engine->first_chunk, sizeof put->first_chunk);
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

/* json: of a row, what stands behind its chunk's head. */
static enum tumble_code append_row(struct tw_buf *frame, const uint8_t key[16], struct tumble_bytes json) {
    TW_TRY(tw_buf_append(frame, key, 16));
    TW_TRY(tw_buf_append_varint(frame, json.length));
    return tw_buf_append(frame, json.data, json.length);
}

/* ---- rows ---- */

void tw_fragment_digest_add(uint8_t digest[16], struct tumble_bytes json) {
    uint8_t both[32];
    memcpy(both, digest, 16);
    tw_hash128(json.data, json.length, both + 16);
    tw_hash128(both, sizeof both, digest);
}

struct summary {
    uint64_t rows;
    uint64_t records;
    uint8_t digest[16];
};

static void lay_summary(const struct summary *summary, char out[SUMMARY_BYTES]) {
    for (int i = 0; i < 8; i++) {
        out[i] = (char)(summary->rows >> (8 * i));
        out[8 + i] = (char)(summary->records >> (8 * i));
    }
    memcpy(out + 16, summary->digest, 16);
}

struct rows_chunk { /* the one being filled */
    size_t mark;
    size_t summary_at; /* offset of the flag in front of it */
};

static enum tumble_code append_text(struct tw_buf *frame, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_varint(frame, text.length));
    return tw_buf_append(frame, text.data, text.length);
}

static enum tumble_code rows_begin(struct tw_outbox_put *put, const struct tumble_shard *shard,
                                   const struct tw_window *window, const struct tw_row_writer *writer,
                                   uint64_t first_row, struct rows_chunk *chunk, struct tumble_error *err) {
    static const char later[SUMMARY_BYTES + 1];
    struct tw_buf *frame = &put->engine->frame;
    TW_TRY(frame_begin(put, TW_FRAME_ROWS, &chunk->mark, err));
    enum tumble_code code = tw_buf_append_u64(frame, (uint64_t)window->start_ms);
    code = code == TUMBLE_OK ? tw_buf_append_u64(frame, (uint64_t)(window->start_ms + put->engine->window_ms)) : code;
    code = code == TUMBLE_OK ? append_text(frame, tumble_shard_id(shard)) : code;
    code = code == TUMBLE_OK ? append_text(frame, tw_window_first(window)) : code;
    code = code == TUMBLE_OK ? append_text(frame, tw_window_last(window)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, first_row) : code;
    chunk->summary_at = frame->length;
    code = code == TUMBLE_OK ? tw_buf_append(frame, later, sizeof later) : code;
    return text_of(err, code == TUMBLE_OK ? append_text(frame, tw_buf_view(&writer->head)) : code);
}

static enum tumble_code rows_end(struct tw_outbox_put *put, const struct rows_chunk *chunk, bool is_single,
                                 bool is_last, const struct summary *summary, struct tumble_error *err) {
    struct tw_buf *frame = &put->engine->frame;
    if (is_single && is_last) {
        frame->data[chunk->summary_at] = 1;
        lay_summary(summary, frame->data + chunk->summary_at + 1);
    }
    TW_TRY(chunk_end(put, TUMBLE_ROW_WINDOW, chunk->mark, err));
    if (is_last && !is_single) {
        size_t mark;
        char bytes[SUMMARY_BYTES];
        lay_summary(summary, bytes);
        TW_TRY(frame_begin(put, TW_FRAME_FRAGMENT, &mark, err));
        TW_TRY(text_of(err, tw_buf_append(frame, bytes, sizeof bytes)));
        TW_TRY(frame_put(put, tw_key_fragment(put->next_chunk[TUMBLE_ROW_WINDOW] - 1), mark, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code put_rows(struct tw_outbox_put *put, const struct tumble_shard *shard,
                                 const struct tw_window *window, struct tw_row_writer *writer,
                                 struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    struct summary summary = {0};
    struct rows_chunk chunk;
    bool is_single = true, begun = false;
    for (uint32_t i = 0; i < window->groups.count; i++) {
        uint32_t reference = engine->order[i].reference;
        if (i + TW_GROUPS_AHEAD < window->groups.count) {
            tw_group_fetch(&window->groups, engine->order[i + TW_GROUPS_AHEAD].reference);
        }
        uint64_t records = tw_group_at(&window->groups, reference)->records;
        if (records == 0) {
            continue; /* made for a record that memory then ran out for */
        }
        if (begun && engine->frame.length >= TW_LIMIT_OUTBOX_CHUNK_BYTES) { /* another row follows */
            is_single = false;
            begun = false;
            TW_TRY(rows_end(put, &chunk, false, false, &summary, err));
        }
        if (!begun) {
            TW_TRY(rows_begin(put, shard, window, writer, summary.rows, &chunk, err));
            begun = true;
        }
        uint8_t key[16];
        tw_buf_clear(&engine->scratch);
        TW_TRY(text_of(err, tw_row_append(writer, shard, window, reference, &engine->scratch, key)));
        const struct tumble_bytes json = tw_buf_view(&engine->scratch);
        const struct tumble_bytes own = {json.data + writer->head.length, json.length - writer->head.length};
        TW_TRY(text_of(err, append_row(&engine->frame, key, own)));
        tw_fragment_digest_add(summary.digest, json);
        summary.rows++;
        summary.records += records;
    }
    put->rows += summary.rows;
    return begun ? rows_end(put, &chunk, is_single, true, &summary, err) : TUMBLE_OK;
}

enum tumble_code tw_outbox_put_window(struct tw_outbox_put *put, const struct tumble_shard *shard,
                                      const struct tw_window *window, struct tumble_error *err) {
    TW_TRY(tw_engine_order(put->engine, window->groups.count, err));
    tw_group_order(&window->groups, put->engine->order);
    struct tw_row_writer writer;
    enum tumble_code code = tw_row_writer_init(&writer, shard, window, err);
    if (code == TUMBLE_OK) {
        code = put_rows(put, shard, window, &writer, err);
    }
    tw_row_writer_clean_up(&writer);
    return code;
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
        TW_TRY(text_of(err, append_row(&engine->frame, key, document)));
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
        struct tw_key key = tw_key_outbox(kind, put->first_chunk[kind]);
        TW_TRY(tw_store_delete(engine->store, tw_key_view(&key), err));
        if (kind == TUMBLE_ROW_WINDOW) {
            key = tw_key_fragment(put->first_chunk[kind]);
            TW_TRY(tw_store_delete(engine->store, tw_key_view(&key), err));
        }
    }
    return TUMBLE_OK;
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
