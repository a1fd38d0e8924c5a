#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"

/* Outbox to outputs. Rows are read from committed chunks in order, gathered over chunks and windows, offered to each
 * output from its own place, flushed, and forgotten by the store only when every output of their kind has acknowledged
 * them in a later commit. An output in trouble is held and leaves the others alone. */

enum {
    ROWS_AT_ONCE = 1024,
    FRAGMENTS_AT_ONCE = 128,
    BYTES_AT_ONCE = 1024 * 1024,
    AHEAD_BYTES = 2048, /* of kept rows, asked for before they are needed */
    FLUSH_ROWS = 65536, /* a long backlog is acknowledged in parts */
    UNANSWERED = -1
};

struct tw_delivery { /* rows offered together, and room for what they point to */
    struct tumble_row rows[ROWS_AT_ONCE];
    struct tumble_delivery outcomes[ROWS_AT_ONCE];
    struct {
        uint64_t chunk; /* behind this row */
        uint64_t row;
        size_t json_at; /* in text */
    } places[ROWS_AT_ONCE];
    struct tw_fragment_text fragments[FRAGMENTS_AT_ONCE];
    size_t fragment_count;
    uint64_t fragment_chunk; /* whose the last of them is */
    size_t count;
    struct tw_buf text;
    struct tumble_bytes *values; /* ROWS_AT_ONCE × columns, when an output wanted them */
    size_t columns;
    struct tw_chunk_reader reader;
};

struct trouble { /* of one output, that may pass */
    bool happened;
    int64_t retry_after_ms;
    char why[TUMBLE_ERROR_TEXT];
};

void tw_delivery_destroy(struct tumble_engine *engine) {
    struct tw_delivery *delivery = engine->outbox.delivery;
    if (delivery) {
        tw_buf_clean_up(&delivery->text);
        tw_free(&engine->alloc, delivery->values);
        tw_free(&engine->alloc, delivery);
        engine->outbox.delivery = NULL;
    }
}

static struct tw_delivery *delivery_of(struct tumble_engine *engine) {
    struct tw_delivery *delivery = engine->outbox.delivery;
    if (!delivery) {
        delivery = tw_alloc(&engine->alloc, sizeof *delivery);
        if (delivery) {
            tw_buf_init(&delivery->text, engine->alloc, SIZE_MAX / 4);
            delivery->values = NULL;
            delivery->columns = engine->spec->column_count;
            engine->outbox.delivery = delivery;
        }
    }
    return delivery;
}

static bool whole_fragments(const struct tw_output *output) {
    return (output->api->flags & TUMBLE_OUTPUT_WHOLE_FRAGMENTS) && output->kind == TUMBLE_ROW_WINDOW;
}

static bool ends_fragment(const struct tumble_row *row) {
    return row->fragment && row->fragment_row + 1 == row->fragment->row_count;
}

/* ---- gathering ---- */

/* Copies the fragment that the reader stands in, unless it is the last one copied. */
static const struct tumble_fragment *keep_fragment(struct tw_delivery *delivery) {
    const struct tw_fragment_text *from = &delivery->reader.fragment;
    if (delivery->fragment_count && delivery->fragment_chunk == delivery->reader.chunk) {
        return &delivery->fragments[delivery->fragment_count - 1].fragment;
    }
    delivery->fragment_chunk = delivery->reader.chunk;
    struct tw_fragment_text *to = &delivery->fragments[delivery->fragment_count ? delivery->fragment_count - 1 : 0];
    bool same = delivery->fragment_count > 0 && to->fragment.window_start_ms == from->fragment.window_start_ms &&
                memcmp(to->fragment.digest, from->fragment.digest, sizeof to->fragment.digest) == 0 &&
                tumble_bytes_equal(to->fragment.shard_id, from->fragment.shard_id) &&
                tumble_bytes_equal(to->fragment.first_sequence, from->fragment.first_sequence);
    if (!same) {
        to = &delivery->fragments[delivery->fragment_count++];
        *to = *from;
        to->fragment.shard_id.data = to->shard_id;
        to->fragment.first_sequence.data = to->sequences[0];
        to->fragment.last_sequence.data = to->sequences[1];
    }
    return &to->fragment;
}

static enum tumble_code gather(struct tw_delivery *delivery, const struct tw_output *output, bool *at_end,
                               struct tumble_error *err) {
    delivery->count = delivery->fragment_count = 0;
    tw_buf_clear(&delivery->text);
    *at_end = false;
    while (delivery->count < ROWS_AT_ONCE && delivery->text.length < BYTES_AT_ONCE &&
           delivery->fragment_count < FRAGMENTS_AT_ONCE) {
        size_t i = delivery->count;
        struct tumble_row *row = &delivery->rows[i];
        bool got;
        TW_TRY(tw_chunk_reader_next(&delivery->reader, row, &got, err));
        if (!got) {
            *at_end = true;
            break;
        }
        /* They lie one behind the other, but the processor looks for such only as far as a page's end. */
        __builtin_prefetch(row->json.data + AHEAD_BYTES);
        __builtin_prefetch(row->json.data + AHEAD_BYTES + 64);
        delivery->places[i].json_at = delivery->text.length;
        const struct tumble_bytes head = delivery->reader.head;
        if (tw_buf_reserve(&delivery->text, head.length + row->json.length + 1) != TUMBLE_OK) {
            return tw_no_memory(err);
        }
        tw_buf_append(&delivery->text, head.data, head.length); /* these cannot fail: there is room */
        tw_buf_append(&delivery->text, row->json.data, row->json.length);
        tw_buf_append_byte(&delivery->text, '\n');
        row->json.length += head.length;
        tw_chunk_reader_position(&delivery->reader, &delivery->places[i].chunk, &delivery->places[i].row);
        row->fragment = row->fragment ? keep_fragment(delivery) : NULL;
        delivery->count++;
        if (whole_fragments(output) && ends_fragment(row)) {
            break;
        }
    }
    for (size_t i = 0; i < delivery->count; i++) {
        struct tumble_row *row = &delivery->rows[i];
        row->json.data = delivery->text.data + delivery->places[i].json_at;
        row->line_bytes = delivery->text.length - delivery->places[i].json_at;
        if ((output->api->flags & TUMBLE_OUTPUT_WANTS_VALUES) && output->kind == TUMBLE_ROW_WINDOW) {
            struct tumble_bytes *values = delivery->values + i * delivery->columns;
            if (tw_json_split(row->json, values, delivery->columns)) {
                row->values = values;
                row->value_count = delivery->columns;
            }
        }
    }
    return TUMBLE_OK;
}

/* ---- offering ---- */

enum tumble_code tw_output_reject(struct tumble_engine *engine, struct tw_output *output, const struct tumble_row *row,
                                  const char *reason, struct tumble_error *err) {
    if (!tw_engine_has_failures(engine) || output->kind == TUMBLE_ROW_FAILURE) {
        return tw_fail(err, TUMBLE_EREJECTED,
                       "output %s rejected a row (%s): name a --failures output to go on without it", output->name,
                       reason);
    }
    if (!tw_utf8_valid(tumble_bytes_of(reason))) {
        reason = "a reason that is not UTF-8";
    }
    struct tw_buf document;
    tw_buf_init(&document, engine->alloc, SIZE_MAX / 4);
    enum tumble_code code = tw_buf_append_text(&document, "{\"fate\":\"rejected\",\"reason\":");
    code = code == TUMBLE_OK ? tw_buf_append_json_string(&document, tumble_bytes_of(reason)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&document, ",\"output\":") : code;
    code = code == TUMBLE_OK ? tw_buf_append_json_string(&document, tumble_bytes_of(output->name)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&document, ",\"row\":") : code;
    code = code == TUMBLE_OK ? tw_buf_append(&document, row->json.data, row->json.length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_byte(&document, '}') : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(&output->rejected, document.length) : code;
    code = code == TUMBLE_OK ? tw_buf_append(&output->rejected, document.data, document.length) : code;
    tw_buf_clean_up(&document);
    output->rejected_count += code == TUMBLE_OK;
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

void tw_output_expect_outcomes(struct tumble_delivery *outcomes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        outcomes[i].outcome = (enum tumble_outcome)UNANSWERED;
        outcomes[i].retry_after_ms = 0;
        outcomes[i].reason = NULL;
    }
}

enum tumble_code tw_output_check_outcome(const struct tw_output *output, const struct tumble_delivery *outcome,
                                         struct tumble_error *err) {
    int answer = (int)outcome->outcome;
    if (answer != TUMBLE_DELIVERED && answer != TUMBLE_RETRY && answer != TUMBLE_REJECTED) {
        return answer == UNANSWERED
                   ? tw_fail(err, TUMBLE_EOUTPUT, "output %s left a row without an answer", output->name)
                   : tw_fail(err, TUMBLE_EOUTPUT, "output %s answered %d for a row, which is no outcome", output->name,
                             answer);
    }
    if (answer != TUMBLE_DELIVERED && !outcome->reason) {
        return tw_fail(err, TUMBLE_EOUTPUT, "output %s gave no reason to %s a row", output->name,
                       answer == TUMBLE_RETRY ? "retry" : "reject");
    }
    return TUMBLE_OK;
}

/* Everything since the last good flush comes again; when that may help, later. */
static enum tumble_code fall_back(struct tw_output *output, enum tumble_code code, bool mends, struct trouble *trouble,
                                  const struct tumble_error *why) {
    tw_output_rewind(output);
    if (!mends) {
        return code;
    }
    trouble->happened = true;
    memcpy(trouble->why, why->text, sizeof trouble->why);
    return TUMBLE_OK;
}

/* Offers the gathered rows; the output's place moves behind those that are settled. */
static enum tumble_code offer(struct tumble_engine *engine, struct tw_output *output, struct trouble *trouble,
                              struct tumble_error *err) {
    struct tw_delivery *delivery = engine->outbox.delivery;
    tw_output_expect_outcomes(delivery->outcomes, delivery->count);
    bool mends;
    tw_output_expect_answer(err);
    enum tumble_code code = output->api->write(output->self, delivery->rows, delivery->count, delivery->outcomes, err);
    code = tw_output_answer(output, "write", code, &mends, err);
    if (code != TUMBLE_OK) {
        return fall_back(output, code, mends, trouble, err);
    }
    for (size_t i = 0; i < delivery->count; i++) {
        const struct tumble_delivery *outcome = &delivery->outcomes[i];
        code = tw_output_check_outcome(output, outcome, err);
        if (code == TUMBLE_OK && outcome->outcome == TUMBLE_RETRY) {
            tw_fail(err, TUMBLE_EOUTPUT, "%s",
                    outcome->reason[0] ? outcome->reason : "to be tried again, without a reason");
            trouble->happened = true;
            trouble->retry_after_ms = outcome->retry_after_ms;
            memcpy(trouble->why, err->text, sizeof trouble->why);
            return TUMBLE_OK;
        }
        if (code == TUMBLE_OK && outcome->outcome == TUMBLE_REJECTED) {
            code = tw_output_reject(engine, output, &delivery->rows[i], outcome->reason, err);
        }
        if (code != TUMBLE_OK) {
            tw_output_rewind(output);
            return code;
        }
        output->at_chunk = delivery->places[i].chunk;
        output->at_row = delivery->places[i].row;
        output->at_end_of_fragment = ends_fragment(&delivery->rows[i]);
        output->unflushed++;
    }
    return TUMBLE_OK;
}

static enum tumble_code flush(struct tumble_engine *engine, struct tw_output *output, bool pending_done,
                              struct trouble *trouble, struct tumble_error *err) {
    bool mends;
    tw_output_expect_answer(err);
    enum tumble_code code =
        tw_output_answer(output, "flush", output->api->flush(output->self, pending_done, err), &mends, err);
    if (code != TUMBLE_OK) {
        return fall_back(output, code, mends, trouble, err);
    }
    code = tw_output_take_checkpoint(output, err);
    if (code == TUMBLE_OK && output->rejected_count) {
        code = tw_buf_append(&engine->rejected, output->rejected.data, output->rejected.length);
        code = code == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(err);
    }
    if (code != TUMBLE_OK) {
        tw_output_rewind(output);
        return code;
    }
    engine->counters.rows_rejected += output->rejected_count;
    output->rejected_count = 0;
    tw_buf_clear(&output->rejected);
    if (output->unflushed) { /* it works: what was wrong before is over */
        output->attempts = 0;
        output->last_error[0] = '\0';
    }
    output->chunk = output->at_chunk;
    output->row = output->at_row;
    output->unflushed = 0;
    output->changed = true;
    output->drained_once = output->drained_once || pending_done;
    return TUMBLE_OK;
}

/* ---- one output ---- */

/* Inside a transaction of the store. */
static enum tumble_code deliver_rows(struct tumble_engine *engine, struct tw_output *output, struct trouble *trouble,
                                     struct tumble_error *err) {
    struct tw_delivery *delivery = engine->outbox.delivery;
    bool at_end = false;
    tw_chunk_reader_init(&delivery->reader, engine, output->kind, output->at_chunk, output->at_row);
    while (!at_end) {
        TW_TRY(gather(delivery, output, &at_end, err));
        if (delivery->count == 0) {
            break;
        }
        TW_TRY(offer(engine, output, trouble, err));
        uint64_t flush_rows = output->is_careful ? 1 : FLUSH_ROWS;
        bool may_flush = !whole_fragments(output) || output->at_end_of_fragment;
        if (!trouble->happened && may_flush && output->unflushed >= flush_rows) {
            TW_TRY(flush(engine, output, false, trouble, err));
        }
        if (trouble->happened) {
            break;
        }
    }
    bool done = !trouble->happened;
    if (done && output->unflushed == 0) { /* nothing but chunks without rows, if any, up to the end */
        output->changed = output->changed || output->chunk != engine->next_chunk[output->kind];
        output->chunk = output->at_chunk = engine->next_chunk[output->kind];
        output->row = output->at_row = 0;
    }
    /* What was asked to come again goes on from there. Its whole fragments are flushed with those behind them: to flush
     * them now would have the output wait for what it asked time for. */
    bool goes_on = whole_fragments(output) && output->unflushed > 0 && (!done || !output->at_end_of_fragment);
    if (output->is_open && !goes_on && (output->unflushed > 0 || (done && !output->drained_once))) {
        struct trouble other = {0};
        TW_TRY(flush(engine, output, done && !output->drained_once, &other, err));
        if (other.happened) {
            *trouble = other;
        } else if (trouble->happened && trouble->why[0]) {
            tw_fail(err, TUMBLE_EOUTPUT, "%s", trouble->why);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code deliver_output(struct tumble_engine *engine, struct tw_output *output, struct trouble *trouble,
                                       struct tumble_error *err) {
    if (output->starts && output->is_open && !output->changed) {
        output->starts = false;
    }
    if (!output->is_open) {
        bool mends;
        enum tumble_code code = tw_output_open(output, &mends, err);
        if (code != TUMBLE_OK) {
            return fall_back(output, code, mends, trouble, err);
        }
    }
    if (output->starts) {
        return TUMBLE_OK; /* after the next commit */
    }
    struct tw_delivery *delivery = engine->outbox.delivery;
    if ((output->api->flags & TUMBLE_OUTPUT_WANTS_VALUES) && !delivery->values) {
        delivery->values = tw_alloc_array(&engine->alloc, ROWS_AT_ONCE * delivery->columns, sizeof *delivery->values);
        if (!delivery->values) {
            return tw_no_memory(err);
        }
    }
    TW_TRY(tw_store_begin(engine->store, err));
    enum tumble_code code = deliver_rows(engine, output, trouble, err);
    tw_chunk_reader_clean_up(&engine->outbox.delivery->reader);
    tw_store_abort(engine->store);
    return code;
}

/* Most commits close no window, and then there is nothing to read, send or flush. */
static bool has_work(const struct tumble_engine *engine, const struct tw_output *output) {
    return output->api && (output->chunk != engine->next_chunk[output->kind] || !output->drained_once);
}

/* ---- all of them ---- */

enum tumble_code tumble_engine_deliver(struct tumble_engine *engine, const struct tumble_delivery_options *options,
                                       int64_t *next_ms, struct tumble_error *err) {
    static const struct tumble_delivery_options now = {.ignore_holds = 1};
    struct tumble_error own = {.byte = -1, .record = -1};
    int64_t next = INT64_MAX;
    if (engine->forgets) {
        return tw_fail(err, TUMBLE_EINVAL, "a shard was forgotten: commit before rows are delivered");
    }
    options = options ? options : &now;
    err = err ? err : &own;
    enum tumble_code result = TUMBLE_OK;
    for (size_t i = 0; i < engine->output_count && result == TUMBLE_OK; i++) {
        struct tw_output *output = &engine->outputs[i];
        if (!has_work(engine, output)) {
            continue;
        }
        int64_t at = options->now_ms ? options->now_ms(options->ctx) : 0;
        if (output->attempts && output->held_since_ms < 0) {
            output->held_since_ms = at;
        }
        if (output->attempts && !options->ignore_holds && output->due_ms > at) {
            next = output->due_ms < next ? output->due_ms : next;
            continue;
        }
        if (!delivery_of(engine)) {
            return tw_no_memory(err);
        }
        struct trouble trouble = {0};
        result = deliver_output(engine, output, &trouble, err);
        if (trouble.happened && result == TUMBLE_OK) {
            tw_output_defer(engine, output, options, trouble.retry_after_ms, trouble.why);
            next = output->due_ms < next ? output->due_ms : next;
        } else if (result == TUMBLE_OK) {
            output->attempts = 0;
            output->last_error[0] = '\0';
        }
        if (output->chunk == engine->next_chunk[output->kind]) {
            output->is_careful = false;
            output->caught_up = engine->outbox.added[output->kind];
            output->backlog = 0;
        }
    }
    if (next_ms) {
        *next_ms = next;
    }
    return result;
}

enum tumble_code tumble_engine_drain(struct tumble_engine *engine, struct tumble_error *err) {
    int64_t next = INT64_MAX;
    TW_TRY(tumble_engine_deliver(engine, NULL, &next, err));
    if (next == INT64_MAX) {
        return TUMBLE_OK;
    }
    const struct tw_output *held = engine->outputs;
    while (!held->attempts) {
        held++;
    }
    return tw_fail(err, TUMBLE_EOUTPUT, "%s", held->last_error);
}
