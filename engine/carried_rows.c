#include <string.h>

#include "engine/base/fail.h"
#include "engine/carried.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"

/* Rows of a window that ends, straight to the outputs: within one invocation there is nothing to wait for them in.
 * They have a canonical order (rule R13): the digest and number of rows are counted first, then they are written again,
 * a batch at a time, to every output from where its mark says it was. */

enum {
    ROWS_AT_ONCE = 256,
    FIRST_DELAY_MS = 50,
    LONGEST_DELAY_MS = 5000,
    LONGEST_ASKED_MS = 3600000,
    ATTEMPTS_WITHOUT_END = 8
};

struct emission {
    struct tw_carried *carried;
    struct tw_carried_engine *engine;
    struct tumble_shard *shard;
    struct tw_window *window;
    struct tw_row_writer writer;
    struct tumble_fragment fragment;
    struct tw_buf text; /* of the batch */
    struct tumble_row rows[ROWS_AT_ONCE];
    struct tumble_delivery outcomes[ROWS_AT_ONCE];
    size_t ends[ROWS_AT_ONCE];
    struct tumble_bytes *values; /* ROWS_AT_ONCE × columns; NULL: no output wants them */
    uint64_t done[TW_LIMIT_OUTPUTS];
    uint64_t marked[TW_LIMIT_OUTPUTS]; /* as far as a retry need not go again */
    struct tumble_error *err;
};

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

enum tumble_code tw_carried_attach_again(struct tw_carried *carried, struct tumble_engine *engine, size_t output,
                                         struct tumble_error *err) {
    const struct tw_output *from = &carried->owner->outputs[output];
    return tumble_engine_attach(engine, from->name, from->api, &from->how, err);
}

void tw_carried_close_outputs(struct tumble_engine *engine) {
    for (size_t i = 0; i < engine->output_count; i++) {
        tw_output_rewind(&engine->outputs[i]);
    }
}

void tw_carried_drop_rejected(struct tumble_engine *engine) {
    for (size_t i = 0; i < engine->output_count; i++) {
        tw_buf_clear(&engine->outputs[i].rejected);
        engine->outputs[i].rejected_count = 0;
    }
}

static enum tumble_code need_open(struct tumble_engine *engine, struct tw_output *output, struct tumble_error *err) {
    if (output->is_open) {
        return TUMBLE_OK;
    }
    output->how.source.data = engine->source;
    output->how.source.length = engine->source_length;
    bool mends;
    return tw_output_open(output, &mends, err);
}

/* Waits before another attempt; false: there is no time for one. */
static bool wait(struct tw_carried *carried, uint32_t attempt, int64_t asked_ms) {
    const struct tumble_host *host = &carried->options.host;
    int64_t delay = FIRST_DELAY_MS;
    for (uint32_t i = 0; i < attempt && delay < LONGEST_DELAY_MS; i++) {
        delay *= 2;
    }
    /* full jitter; what decides it is no secret and need not be random, only spread */
    uint64_t spread = tw_hash_seeded(&attempt, sizeof attempt, tw_hash_process_seed() ^ carried->invocations);
    delay = (int64_t)(spread % ((uint64_t)delay + 1));
    asked_ms = asked_ms < LONGEST_ASKED_MS ? asked_ms : LONGEST_ASKED_MS;
    delay = delay > asked_ms ? delay : asked_ms;
    if (!host->sleep_ms || (!host->remaining_ms && attempt >= ATTEMPTS_WITHOUT_END) ||
        tw_carried_remaining(carried) - delay < TW_DEADLINE_MARGIN_MS) {
        return false;
    }
    carried->out->output_retries++;
    host->sleep_ms(host->ctx, delay);
    return true;
}

static enum tumble_code give_up(struct tw_output *output, enum tumble_code code) {
    tw_output_rewind(output); /* the next invocation opens it again */
    return code;
}

/* Offers rows [0, count) to an output until each is settled; *taken of them were. After trouble the output is closed,
 * unless all it did was to ask for patience: then what it took can still be made safe. */
static enum tumble_code offer(struct tw_carried *carried, struct tumble_engine *engine, struct tw_output *output,
                              const struct tumble_row *rows, struct tumble_delivery *outcomes, size_t count,
                              size_t *taken, struct tumble_error *err) {
    size_t from = *taken = 0;
    for (uint32_t attempt = 0; from < count;) {
        bool mends;
        tw_output_expect_outcomes(outcomes, count - from);
        enum tumble_code code = need_open(engine, output, err);
        if (code == TUMBLE_OK) {
            tw_output_expect_answer(err);
            code = output->api->write(output->self, rows + from, count - from, outcomes, err);
            code = tw_output_answer(output, "write", code, &mends, err);
        }
        size_t settled = 0;
        while (code == TUMBLE_OK && from + settled < count) {
            const struct tumble_delivery *outcome = &outcomes[settled];
            code = tw_output_check_outcome(output, outcome, err);
            if (code == TUMBLE_OK && outcome->outcome == TUMBLE_REJECTED) {
                code = tw_output_reject(engine, output, &rows[from + settled], outcome->reason, err);
            }
            if (outcome->outcome == TUMBLE_RETRY) {
                break;
            }
            settled++;
        }
        if (code != TUMBLE_OK) {
            return give_up(output, code);
        }
        *taken = from += settled;
        attempt = settled ? 0 : attempt + 1;
        if (from < count && !wait(carried, attempt, outcomes[settled].retry_after_ms)) {
            return tw_fail(err, TUMBLE_EOUTPUT, "output %.120s asks to try again later: %.160s", output->name,
                           outcomes[settled].reason);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code flush(struct tumble_engine *engine, struct tw_output *output, struct tumble_error *err) {
    bool mends;
    TW_TRY(need_open(engine, output, err));
    tw_output_expect_answer(err);
    enum tumble_code code = tw_output_answer(output, "flush", output->api->flush(output->self, 1, err), &mends, err);
    return code == TUMBLE_OK ? TUMBLE_OK : give_up(output, code);
}

/* ---- failures ---- */

static enum tumble_code offer_documents(struct tw_carried *carried, struct tumble_engine *engine,
                                        struct tw_output *output, struct tw_buf *documents, struct tumble_error *err) {
    enum { DOCUMENTS_AT_ONCE = 64 };
    struct tw_cursor in = tw_cursor_of(tw_buf_view(documents));
    struct tumble_row rows[DOCUMENTS_AT_ONCE];
    struct tumble_delivery outcomes[DOCUMENTS_AT_ONCE];
    while (tw_cursor_left(&in)) {
        size_t count = 0;
        for (; count < DOCUMENTS_AT_ONCE && tw_cursor_left(&in); count++) {
            uint64_t length;
            struct tumble_row *row = &rows[count];
            memset(row, 0, sizeof *row);
            if (!tw_take_varint(&in, &length) || !tw_take_bytes(&in, (size_t)length, &row->json)) {
                return tw_fail(err, TUMBLE_EINTERNAL, "the list of failures is damaged in memory");
            }
            tw_hash128(row->json.data, row->json.length, row->key);
        }
        size_t taken;
        enum tumble_code code = offer(carried, engine, output, rows, outcomes, count, &taken, err);
        if (code != TUMBLE_OK) {
            return give_up(output, code);
        }
    }
    TW_TRY(flush(engine, output, err));
    tw_buf_clear(documents);
    return TUMBLE_OK;
}

static struct tw_output *failures_of(struct tumble_engine *engine) {
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].kind == TUMBLE_ROW_FAILURE) {
            return &engine->outputs[i];
        }
    }
    return NULL;
}

/* Rows that an output rejected. */
static enum tumble_code emit_rejected(struct tw_carried *carried, struct tumble_engine *engine,
                                      struct tw_output *output, struct tumble_error *err) {
    struct tw_output *failures = failures_of(engine);
    if (failures && output->rejected.length) {
        TW_TRY(offer_documents(carried, engine, failures, &output->rejected, err));
    }
    output->rejected_count = 0;
    return TUMBLE_OK;
}

/* ---- rows ---- */

static uint32_t reference_at(const struct emission *at, uint64_t row) {
    return at->engine->engine->order[row].reference;
}

/* First time over the rows: how many, of how many records, and their digest. */
static enum tumble_code count_rows(struct emission *at) {
    struct tumble_fragment *fragment = &at->fragment;
    const struct tw_window *window = at->window;
    fragment->struct_size = sizeof *fragment;
    fragment->shard_id = tumble_shard_id(at->shard);
    fragment->first_sequence = tw_window_first(window);
    fragment->last_sequence = tw_window_last(window);
    fragment->window_start_ms = window->start_ms;
    fragment->window_end_ms = window->start_ms + at->engine->engine->window_ms;
    for (uint32_t i = 0; i < window->groups.count; i++) {
        uint8_t key[16];
        tw_buf_clear(&at->text);
        TW_TRY(
            text_of(at->err, tw_row_append_own(&at->writer, at->shard, window, reference_at(at, i), &at->text, key)));
        tw_fragment_digest_add(fragment->digest, tw_buf_view(&at->text));
        fragment->record_count += tw_group_at(&window->groups, reference_at(at, i))->records;
        fragment->row_count++;
    }
    return TUMBLE_OK;
}

static enum tumble_code build_batch(struct emission *at, uint64_t first, size_t count) {
    const struct tumble_engine *engine = at->engine->engine;
    tw_buf_clear(&at->text);
    for (size_t i = 0; i < count; i++) {
        struct tumble_row *row = &at->rows[i];
        memset(row, 0, sizeof *row);
        TW_TRY(text_of(at->err, tw_row_append(&at->writer, at->shard, at->window, reference_at(at, first + i),
                                              &at->text, row->key)));
        TW_TRY(text_of(at->err, tw_buf_append_byte(&at->text, '\n')));
        at->ends[i] = at->text.length;
    }
    for (size_t i = 0, from = 0; i < count; from = at->ends[i], i++) {
        struct tumble_row *row = &at->rows[i];
        row->json.data = at->text.data + from;
        row->json.length = at->ends[i] - from - 1;
        row->line_bytes = at->text.length - from;
        row->window_start_ms = at->fragment.window_start_ms;
        row->window_end_ms = at->fragment.window_end_ms;
        row->fragment = &at->fragment;
        row->fragment_row = first + i;
        if (at->values) {
            struct tumble_bytes *values = at->values + i * engine->spec->column_count;
            if (tw_json_split(row->json, values, engine->spec->column_count)) {
                row->values = values;
                row->value_count = engine->spec->column_count;
            }
        }
    }
    return TUMBLE_OK;
}

static bool takes_rows(const struct tw_output *output) { return output->kind == TUMBLE_ROW_WINDOW && output->api; }

static bool takes_parts(const struct tw_output *output) {
    return takes_rows(output) && !(output->api->flags & TUMBLE_OUTPUT_WHOLE_FRAGMENTS);
}

/* What an output took of a final that fails is made safe and marked: flushed, and what it rejected handed over. */
static bool mark(struct emission *at, size_t i) {
    struct tumble_engine *engine = at->engine->engine;
    struct tw_output *output = &engine->outputs[i];
    struct tumble_error ignored; /* why the final fails is known already */
    bool has_place = at->carried->options.spill || at->carried->cache;
    return has_place && output->is_open && takes_parts(output) && at->done[i] > at->marked[i] &&
           flush(engine, output, &ignored) == TUMBLE_OK &&
           emit_rejected(at->carried, engine, output, &ignored) == TUMBLE_OK &&
           tw_mark_put(at->carried, engine, at->shard, at->window->start_ms, output->name, at->fragment.digest,
                       at->done[i], &ignored) == TUMBLE_OK;
}

/* A final that fails: a retry goes on from the marks. An output that has none begins with nothing half taken. */
static void keep_progress(struct emission *at) {
    struct tumble_engine *engine = at->engine->engine;
    for (size_t i = 0; i < engine->output_count; i++) {
        if (takes_rows(&engine->outputs[i]) && !mark(at, i)) {
            tw_output_rewind(&engine->outputs[i]);
        }
    }
}

static enum tumble_code put_off(struct emission *at) {
    at->carried->out->error_type = "Tumble.DeadlineExceeded";
    return tw_fail(at->err, TUMBLE_EOUTPUT,
                   "the deadline came before all %llu rows of the window were delivered: the retry goes on from there",
                   (unsigned long long)at->fragment.row_count);
}

static enum tumble_code deliver(struct emission *at) {
    struct tumble_engine *engine = at->engine->engine;
    uint64_t count = at->fragment.row_count, first = count;
    for (size_t i = 0; i < engine->output_count; i++) {
        struct tw_output *output = &engine->outputs[i];
        if (takes_parts(output)) {
            TW_TRY(tw_mark_get(at->carried, engine, at->shard, at->window->start_ms, output->name, at->fragment.digest,
                               &at->done[i], at->err));
            if (at->done[i] > count) { /* no mark of this final */
                at->done[i] = 0;
            }
            at->marked[i] = at->done[i];
        }
        if (takes_rows(output) && at->done[i] < first) {
            first = at->done[i];
        }
    }
    for (uint64_t row = first - first % ROWS_AT_ONCE; row < count; row += ROWS_AT_ONCE) {
        size_t batch = count - row < ROWS_AT_ONCE ? (size_t)(count - row) : ROWS_AT_ONCE;
        if (tw_carried_remaining(at->carried) < TW_DEADLINE_MARGIN_MS) {
            return put_off(at);
        }
        TW_TRY(build_batch(at, row, batch));
        for (size_t i = 0; i < engine->output_count; i++) {
            struct tw_output *output = &engine->outputs[i];
            if (!takes_rows(output) || at->done[i] >= row + batch) {
                continue;
            }
            size_t skip = at->done[i] > row ? (size_t)(at->done[i] - row) : 0, taken;
            enum tumble_code code =
                offer(at->carried, engine, output, at->rows + skip, at->outcomes, batch - skip, &taken, at->err);
            at->done[i] = row + skip + taken;
            TW_TRY(code);
        }
    }
    for (size_t i = 0; i < engine->output_count; i++) {
        if (takes_rows(&engine->outputs[i])) {
            TW_TRY(flush(engine, &engine->outputs[i], at->err));
        }
    }
    at->carried->out->rows = count;
    return TUMBLE_OK;
}

enum tumble_code tw_carried_emit(struct tw_carried *carried, struct tw_carried_engine *engine,
                                 struct tumble_shard *shard, struct tw_window *window,
                                 uint8_t digest[TW_STATE_DIGEST_BYTES], struct tumble_error *err) {
    struct tumble_engine *of = engine->engine;
    bool wants_values = false;
    for (size_t i = 0; i < of->output_count; i++) {
        wants_values |= takes_rows(&of->outputs[i]) && (of->outputs[i].api->flags & TUMBLE_OUTPUT_WANTS_VALUES);
    }
    TW_TRY(tw_engine_order(of, window->groups.count, err));
    tw_group_order(&window->groups, of->order);
    struct emission *at = tw_alloc_zero(&carried->alloc, sizeof *at);
    if (!at) {
        return tw_no_memory(err);
    }
    at->carried = carried;
    at->engine = engine;
    at->shard = shard;
    at->window = window;
    at->err = err;
    tw_buf_init(&at->text, carried->alloc, SIZE_MAX / 4);
    enum tumble_code code = tw_row_writer_init(&at->writer, shard, window, err);
    if (code == TUMBLE_OK && wants_values) {
        at->values = tw_alloc_array(&carried->alloc, ROWS_AT_ONCE * of->spec->column_count, sizeof *at->values);
        code = at->values ? TUMBLE_OK : tw_no_memory(err);
    }
    code = code == TUMBLE_OK ? count_rows(at) : code;
    if (code == TUMBLE_OK) {
        code = deliver(at);
        if (code != TUMBLE_OK) {
            keep_progress(at);
        }
    }
    memcpy(digest, at->fragment.digest, TW_STATE_DIGEST_BYTES);
    tw_row_writer_clean_up(&at->writer);
    tw_buf_clean_up(&at->text);
    tw_free(&carried->alloc, at->values);
    tw_free(&carried->alloc, at);
    return code;
}

enum tumble_code tw_carried_emit_failures(struct tw_carried *carried, struct tw_carried_engine *engine,
                                          struct tumble_shard *shard, struct tumble_error *err) {
    struct tumble_engine *of = engine->engine;
    struct tw_output *failures = failures_of(of);
    if (failures && shard->failures.length) {
        TW_TRY(offer_documents(carried, of, failures, &shard->failures, err));
    }
    for (size_t i = 0; i < of->output_count; i++) {
        TW_TRY(emit_rejected(carried, of, &of->outputs[i], err));
    }
    return TUMBLE_OK;
}
