#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/engine_internal.h"

/* Outbox to outputs. Rows are read from committed chunks in order, offered to each output from its own cursor, and
 * forgotten by the store only when every output of their kind has acknowledged them in a later commit. */

enum { ROWS_AT_ONCE = 512 };

static enum tumble_code take_checkpoint(struct tw_output *output, struct tumble_error *err) {
    size_t length = output->api->checkpoint(output->self, output->checkpoint);
    if (length > sizeof output->checkpoint) {
        output->checkpoint_length = 0;
        return tw_fail(err, TUMBLE_EOUTPUT, "output %s gave a checkpoint of %zu bytes: at most %d", output->name,
                       length, TUMBLE_OUTPUT_CHECKPOINT_BYTES);
    }
    output->checkpoint_length = length;
    return TUMBLE_OK;
}

/* What an output answers comes from outside: a code that is none of ours, or one without a text, gets both. */
static enum tumble_code answer_of(const struct tw_output *output, const char *call, enum tumble_code code,
                                  struct tumble_error *err) {
    if (code == TUMBLE_OK) {
        return TUMBLE_OK;
    }
    if (strcmp(tumble_code_name(code), "UNKNOWN") == 0) {
        return tw_fail(err, TUMBLE_EOUTPUT, "output %s answered %d to %s, which is no code of tumble", output->name,
                       (int)code, call);
    }
    return err && err->code == code && err->text[0]
               ? code
               : tw_fail(err, code, "output %s failed in %s: %s", output->name, call, tumble_code_text(code));
}

static void expect_answer(struct tumble_error *err) {
    if (err) {
        err->code = TUMBLE_OK;
        err->text[0] = '\0';
    }
}

enum tumble_code tumble_engine_attach(struct tumble_engine *engine, const char *name,
                                      const struct tumble_output_api *api, const struct tumble_output_open *how,
                                      struct tumble_error *err) {
    size_t needed = offsetof(struct tumble_output_api, close) + sizeof api->close;
    if (api->abi_version != TUMBLE_OUTPUT_ABI || api->struct_size < needed) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s speaks version %u of the output ABI, this tumble speaks %u",
                       api->name ? api->name : name, api->abi_version, TUMBLE_OUTPUT_ABI);
    }
    if (engine->output_count == TW_LIMIT_OUTPUTS) {
        return tw_fail(err, TUMBLE_ELIMIT, "more than %d outputs", TW_LIMIT_OUTPUTS);
    }
    for (size_t i = 0; i < engine->output_count; i++) {
        if (strcmp(engine->outputs[i].name, name) == 0 && engine->outputs[i].kind == how->kind) {
            return tw_fail(err, TUMBLE_EINVAL, "output %s is named twice", name);
        }
        if (engine->outputs[i].kind == TUMBLE_ROW_FAILURE && how->kind == TUMBLE_ROW_FAILURE) {
            return tw_fail(err, TUMBLE_EINVAL, "there can be one failures output only");
        }
    }
    struct tw_output *output = &engine->outputs[engine->output_count];
    memset(output, 0, sizeof *output);
    output->api = api;
    output->kind = how->kind;
    output->name = tw_copy_text(&engine->alloc, name, strlen(name));
    if (!output->name) {
        return tw_no_memory(err);
    }
    enum tumble_code code = tw_engine_read_cursor(engine, output, err);
    struct tumble_output_open open = *how;
    if (code == TUMBLE_OK) {
        open.spec = engine->spec;
        open.checkpoint.data = output->checkpoint;
        open.checkpoint.length = output->checkpoint_length;
        open.durable = engine->durability != TUMBLE_DURABILITY_NONE;
        expect_answer(err);
        code = answer_of(output, "open", api->open(&open, &output->self, err), err);
    }
    if (code != TUMBLE_OK) {
        tw_free(&engine->alloc, output->name);
        return code;
    }
    if (output->changed &&
        api->checkpoint) { /* new to this state: where it begins is committed before it is written to */
        code = take_checkpoint(output, err);
    }
    engine->output_count++;
    return code;
}

/* ---- reading chunks ---- */

struct chunk_reader {
    struct tw_cursor in;
    int64_t start_ms;
    int64_t end_ms;
};

static enum tumble_code chunk_open(const struct tumble_engine *engine, struct tumble_bytes value,
                                   struct chunk_reader *reader, struct tumble_error *err) {
    struct tumble_bytes payload;
    uint64_t start, end;
    TW_TRY(tw_frame_open(value, TW_FRAME_OUTBOX, engine->spec->digest, "a chunk of rows", &payload, err));
    reader->in = tw_cursor_of(payload);
    if (!tw_take_u64(&reader->in, &start) || !tw_take_u64(&reader->in, &end)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a chunk of rows is cut: restore the state directory or start anew");
    }
    reader->start_ms = (int64_t)start;
    reader->end_ms = (int64_t)end;
    return TUMBLE_OK;
}

/* *got false: end of the chunk. */
static enum tumble_code chunk_row(struct chunk_reader *reader, struct tumble_row *row, bool *got,
                                  struct tumble_error *err) {
    *got = tw_cursor_left(&reader->in) > 0;
    if (!*got) {
        return TUMBLE_OK;
    }
    struct tumble_bytes key;
    uint64_t length;
    memset(row, 0, sizeof *row);
    if (!tw_take_bytes(&reader->in, sizeof row->key, &key) || !tw_take_varint(&reader->in, &length) ||
        length > tw_cursor_left(&reader->in) || !tw_take_bytes(&reader->in, (size_t)length, &row->json)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a row in the outbox is cut: restore the state directory or start anew");
    }
    memcpy(row->key, key.data, sizeof row->key);
    row->window_start_ms = reader->start_ms;
    row->window_end_ms = reader->end_ms;
    return TUMBLE_OK;
}

/* ---- delivering ---- */

struct delivery {
    struct tumble_engine *engine;
    struct tw_output *output;
    struct tumble_row rows[ROWS_AT_ONCE];
    struct tumble_delivery outcomes[ROWS_AT_ONCE];
    struct tumble_bytes *values; /* ROWS_AT_ONCE × columns, when the output wants them */
    size_t columns;
    size_t count;
    enum tumble_code held; /* EOUTPUT once the output asked to retry */
};

static enum tumble_code reject(struct tumble_engine *engine, const struct tw_output *output,
                               const struct tumble_row *row, const char *reason, struct tumble_error *err) {
    if (!tw_engine_has_failures(engine) || output->kind == TUMBLE_ROW_FAILURE) {
        return tw_fail(err, TUMBLE_EREJECTED,
                       "output %s rejected a row (%s): name a --failures output to go on without it", output->name,
                       reason ? reason : "no reason given");
    }
    if (reason && !tw_utf8_valid(tumble_bytes_of(reason))) {
        reason = "a reason that is not UTF-8";
    }
    struct tw_buf document;
    tw_buf_init(&document, engine->alloc, SIZE_MAX / 4);
    enum tumble_code code = tw_buf_append_text(&document, "{\"fate\":\"rejected\",\"reason\":");
    code = code == TUMBLE_OK ? tw_buf_append_json_string(&document, tumble_bytes_of(reason ? reason : "")) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&document, ",\"output\":") : code;
    code = code == TUMBLE_OK ? tw_buf_append_json_string(&document, tumble_bytes_of(output->name)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&document, ",\"row\":") : code;
    code = code == TUMBLE_OK ? tw_buf_append(&document, row->json.data, row->json.length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_byte(&document, '}') : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(&engine->rejected, document.length) : code;
    code = code == TUMBLE_OK ? tw_buf_append(&engine->rejected, document.data, document.length) : code;
    tw_buf_clean_up(&document);
    if (code == TUMBLE_OK) {
        engine->counters.rows_rejected++;
    }
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* Offers the gathered rows; moves the cursor over those that are settled. */
static enum tumble_code offer(struct delivery *delivery, struct tumble_error *err) {
    struct tw_output *output = delivery->output;
    if (delivery->count == 0) {
        return TUMBLE_OK;
    }
    memset(delivery->outcomes, 0, delivery->count * sizeof *delivery->outcomes);
    expect_answer(err);
    TW_TRY(answer_of(output, "write",
                     output->api->write(output->self, delivery->rows, delivery->count, delivery->outcomes, err), err));
    for (size_t i = 0; i < delivery->count; i++) {
        const struct tumble_delivery *outcome = &delivery->outcomes[i];
        if (outcome->outcome == TUMBLE_RETRY) {
            delivery->held = tw_fail(err, TUMBLE_EOUTPUT, "output %s asks to try again later: %s", output->name,
                                     outcome->reason ? outcome->reason : "no reason given");
            break;
        }
        if (outcome->outcome == TUMBLE_REJECTED) {
            TW_TRY(reject(delivery->engine, output, &delivery->rows[i], outcome->reason, err));
        } else if (outcome->outcome != TUMBLE_DELIVERED) {
            return tw_fail(err, TUMBLE_EOUTPUT, "output %s answered %d for a row, which is no outcome", output->name,
                           (int)outcome->outcome);
        }
        output->row++;
        output->changed = true;
    }
    delivery->count = 0;
    return TUMBLE_OK;
}

static enum tumble_code deliver_chunk(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                      struct tumble_error *err) {
    struct delivery *delivery = ctx;
    struct tw_output *output = delivery->output;
    struct chunk_reader reader;
    uint64_t number;
    if (!tw_key_read_outbox(key, &number)) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "a key of the outbox is damaged: restore the state directory or start anew");
    }
    if (number != output->chunk) {
        output->chunk = number;
        output->row = 0;
        output->changed = true;
    }
    TW_TRY(chunk_open(delivery->engine, value, &reader, err));
    bool got = true;
    for (uint64_t row = 0; got && delivery->held == TUMBLE_OK; row++) {
        struct tumble_row *next = &delivery->rows[delivery->count];
        TW_TRY(chunk_row(&reader, next, &got, err));
        if (!got || row < output->row) {
            continue; /* acknowledged before: row counts up to the cursor, which offer moves only later */
        }
        if (delivery->values) {
            struct tumble_bytes *values = delivery->values + delivery->count * delivery->columns;
            if (tw_row_split(next->json, values, delivery->columns)) {
                next->values = values;
                next->value_count = delivery->columns;
            }
        }
        if (++delivery->count == ROWS_AT_ONCE) {
            uint64_t before = output->row;
            TW_TRY(offer(delivery, err));
            if (delivery->held == TUMBLE_OK && output->row != before + ROWS_AT_ONCE) {
                return tw_fail(err, TUMBLE_EINTERNAL, "the cursor of output %s lost rows", output->name);
            }
        }
    }
    TW_TRY(offer(delivery, err));
    if (delivery->held == TUMBLE_OK) {
        output->chunk = number + 1;
        output->row = 0;
        output->changed = true;
    } else {
        *stop = true;
    }
    return TUMBLE_OK;
}

static enum tumble_code drain_output(struct tumble_engine *engine, struct tw_output *output, struct delivery *delivery,
                                     struct tumble_error *err) {
    struct tw_key prefix = tw_key_outbox_all(output->kind);
    struct tw_key from = tw_key_outbox(output->kind, output->chunk);
    delivery->engine = engine;
    delivery->output = output;
    delivery->count = 0;
    delivery->held = TUMBLE_OK;
    delivery->columns = engine->spec->column_count;
    delivery->values = NULL;
    if ((output->api->flags & TUMBLE_OUTPUT_WANTS_VALUES) && output->kind == TUMBLE_ROW_WINDOW) {
        delivery->values = tw_alloc_array(&engine->alloc, ROWS_AT_ONCE * delivery->columns, sizeof *delivery->values);
        if (!delivery->values) {
            return tw_no_memory(err);
        }
    }
    enum tumble_code code = tw_store_begin(engine->store, err);
    if (code == TUMBLE_OK) {
        code = tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&from), deliver_chunk, delivery, err);
        tw_store_abort(engine->store);
    }
    tw_free(&engine->alloc, delivery->values);
    TW_TRY(code);
    bool first = !output->drained_once;
    if (output->changed || first) {
        struct tumble_error own; /* err says already why rows are held */
        struct tumble_error *of_flush = delivery->held != TUMBLE_OK && err ? &own : err;
        expect_answer(of_flush);
        code = answer_of(output, "flush", output->api->flush(output->self, first, of_flush), of_flush);
        if (code == TUMBLE_OK) {
            output->drained_once = true;
            code = output->api->checkpoint ? take_checkpoint(output, of_flush) : TUMBLE_OK;
        }
        if (code != TUMBLE_OK) {
            if (of_flush != err) {
                *err = own;
            }
            return code;
        }
    }
    return delivery->held;
}

/* Most commits close no window, and then there is nothing to read, send or flush. */
static bool has_work(const struct tumble_engine *engine, const struct tw_output *output) {
    return output->chunk != engine->next_chunk[output->kind] || output->changed || !output->drained_once;
}

enum tumble_code tumble_engine_drain(struct tumble_engine *engine, struct tumble_error *err) {
    size_t idle = 0;
    while (idle < engine->output_count && !has_work(engine, &engine->outputs[idle])) {
        idle++;
    }
    if (idle == engine->output_count) {
        return TUMBLE_OK;
    }
    struct delivery *delivery = tw_alloc(&engine->alloc, sizeof *delivery);
    if (!delivery) {
        return tw_no_memory(err);
    }
    enum tumble_code result = TUMBLE_OK;
    for (size_t i = 0; i < engine->output_count; i++) {
        enum tumble_code code = drain_output(engine, &engine->outputs[i], delivery, err);
        if (code != TUMBLE_OK && code != TUMBLE_EOUTPUT) {
            result = code;
            break;
        }
        if (code != TUMBLE_OK) {
            result = code; /* one output that is down does not keep rows from the others */
        }
    }
    tw_free(&engine->alloc, delivery);
    return result;
}

/* ---- looking ---- */

struct look {
    struct tumble_engine *engine;
    tumble_row_fn *visit;
    void *ctx;
};

static enum tumble_code look_chunk(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                   struct tumble_error *err) {
    struct look *look = ctx;
    struct chunk_reader reader;
    (void)key;
    (void)stop;
    TW_TRY(chunk_open(look->engine, value, &reader, err));
    for (;;) {
        struct tumble_row row;
        bool got;
        TW_TRY(chunk_row(&reader, &row, &got, err));
        if (!got) {
            return TUMBLE_OK;
        }
        TW_TRY(look->visit(look->ctx, &row));
    }
}

enum tumble_code tumble_engine_outbox(struct tumble_engine *engine, enum tumble_row_kind kind, tumble_row_fn *visit,
                                      void *ctx, struct tumble_error *err) {
    struct look look = {engine, visit, ctx};
    struct tw_key prefix = tw_key_outbox_all(kind);
    TW_TRY(tw_store_begin(engine->store, err));
    enum tumble_code code =
        tw_store_scan(engine->store, tw_key_view(&prefix), tw_key_view(&prefix), look_chunk, &look, err);
    tw_store_abort(engine->store);
    return code;
}
