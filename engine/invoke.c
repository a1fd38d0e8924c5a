#include <tumble/invoke.h>

#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/base/utf8.h"
#include "engine/carried.h"

/* One event, from its bytes to its response. What is in memory afterwards is either exactly what the response says, or
 * nothing: on any failure the shard's window is dropped, and the next event brings its state along. */

int64_t tw_carried_remaining(const struct tw_carried *carried) {
    const struct tumble_host *host = &carried->options.host;
    return host->remaining_ms ? host->remaining_ms(host->ctx) : INT64_MAX;
}

/* ---- making and ending ---- */

static enum tumble_code set_up(struct tumble_engine *engine, const struct tumble_carried_options *options,
                               struct tumble_error *err) {
    struct tw_carried *carried = tw_alloc_zero(&engine->alloc, sizeof *carried);
    if (!carried) {
        return tw_no_memory(err);
    }
    engine->carried = carried;
    carried->owner = engine;
    carried->alloc = engine->alloc;
    carried->options = *options;
    if (!carried->options.inline_state_limit) {
        carried->options.inline_state_limit = TUMBLE_INLINE_STATE_LIMIT;
    }
    if (carried->options.inline_state_limit > TW_PACKED_BYTES_MAX) { /* no answer may outgrow Lambda's limit */
        carried->options.inline_state_limit = TW_PACKED_BYTES_MAX;
    }
    tw_window_event_init(&carried->event, carried->alloc);
    struct tw_buf *buffers[] = {&carried->payloads, &carried->raw,  &carried->packed,
                                &carried->object,   &carried->text, &carried->response};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        tw_buf_init(buffers[i], carried->alloc, SIZE_MAX / 4);
    }
    carried->engines[0].engine = engine;
    carried->engine_count = 1;
    carried->slice = tw_alloc_array(&carried->alloc, TW_SLICE_RECORDS, sizeof *carried->slice);
    carried->origin = tw_alloc_array(&carried->alloc, TW_SLICE_RECORDS, sizeof *carried->origin);
    carried->zstd = tw_zstd_new(carried->alloc);
    if (!carried->slice || !carried->origin || !carried->zstd) {
        return tw_no_memory(err);
    }
    TW_TRY(tumble_kpl_new(carried->alloc, &carried->kpl, err));
    if (options->cache_directory && options->spill) { /* it holds what was spilled, and nothing else */
        carried->cache_directory =
            tw_copy_text(&carried->alloc, options->cache_directory, strlen(options->cache_directory));
        if (!carried->cache_directory) {
            return tw_no_memory(err);
        }
        tw_cache_open(carried);
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_open_carried(const struct tumble_engine_options *options,
                                            const struct tumble_carried_options *carried, struct tumble_engine **out,
                                            struct tumble_error *err) {
    struct tumble_engine_options own = {
        .spec = options->spec,
        .source = options->source,
        .window_seconds = 1, /* every event brings its own */
        .durability = options->durability == TUMBLE_DURABILITY_NONE ? TUMBLE_DURABILITY_NONE : TUMBLE_DURABILITY_COMMIT,
        .fragments_possible = 1,
        .memory_limit_bytes = options->memory_limit_bytes,
        .alloc = options->alloc};
    TW_TRY(tumble_engine_open(&own, out, err));
    enum tumble_code code = set_up(*out, carried, err);
    if (code != TUMBLE_OK) {
        tumble_engine_destroy(*out);
        *out = NULL;
    }
    return code;
}

static void end_engine(struct tw_carried *carried, struct tw_carried_engine *engine) {
    for (size_t i = 0; i < engine->shard_count; i++) {
        tw_carried_state_clear(carried, &engine->shards[i].state);
        tw_carried_forget_finished(carried, &engine->shards[i]);
    }
    tw_free(&carried->alloc, engine->shards);
    if (engine->spec) {
        tumble_engine_destroy(engine->engine);
        tumble_spec_destroy(engine->spec);
    }
    memset(engine, 0, sizeof *engine);
}

void tw_carried_destroy(struct tw_carried *carried) {
    if (!carried) {
        return;
    }
    struct tumble_alloc alloc = carried->alloc;
    for (size_t i = 0; i < carried->engine_count; i++) {
        end_engine(carried, &carried->engines[i]);
    }
    tw_store_close(carried->cache);
    tw_free(&alloc, carried->cache_directory);
    tw_zstd_destroy(carried->zstd);
    tumble_kpl_destroy(carried->kpl);
    tw_window_event_clean_up(&carried->event);
    tw_free(&alloc, carried->slice);
    tw_free(&alloc, carried->origin);
    tw_buf_clean_up(&carried->payloads);
    tw_buf_clean_up(&carried->raw);
    tw_buf_clean_up(&carried->packed);
    tw_buf_clean_up(&carried->object);
    tw_buf_clean_up(&carried->text);
    tw_buf_clean_up(&carried->response);
    tw_free(&alloc, carried);
}

/* ---- the engine of a spec ---- */

static void close_other_outputs(struct tw_carried *carried, const struct tw_carried_engine *keep) {
    for (size_t i = 0; i < carried->engine_count; i++) {
        if (&carried->engines[i] != keep) {
            tw_carried_close_outputs(carried->engines[i].engine);
        }
    }
}

/* The spec an open window began under is no longer the function's: its text travels with the state. */
static enum tumble_code engine_of_text(struct tw_carried *carried, const struct tw_state_envelope *envelope,
                                       struct tw_carried_engine **out, struct tumble_error *err) {
    const struct tumble_spec *now = carried->owner->spec;
    struct tumble_bytes payload, text;
    const struct tumble_aggregate *custom[TW_LIMIT_AGGREGATES];
    struct tumble_spec_overrides overrides = {.custom = custom,
                                              .bad_records = now->divert_bad_records ? "divert" : "fail"};
    for (size_t i = 0; i < now->aggregate_count; i++) {
        if (now->aggregates[i].params.custom) {
            custom[overrides.custom_count++] = now->aggregates[i].params.custom;
        }
    }
    TW_TRY(tw_state_open(carried, envelope, &payload, err));
    TW_TRY(tw_state_spec_text(payload, &text, err));
    struct tw_carried_engine made = {0};
    enum tumble_code code = tumble_spec_parse(text, &overrides, carried->alloc, &made.spec, err);
    if (code != TUMBLE_OK) {
        if (code != TUMBLE_ENOMEM) {
            tw_error_prefix(err, "the spec that the window began under");
        }
        return code == TUMBLE_ENOMEM ? code : TUMBLE_EVERSION;
    }
    struct tumble_engine_options options = {.spec = made.spec,
                                            .source = {carried->owner->source, carried->owner->source_length},
                                            .window_seconds = 1,
                                            .memory_limit_bytes = carried->owner->memory_limit,
                                            .alloc = carried->alloc};
    code = tumble_engine_open(&options, &made.engine, err);
    if (code == TUMBLE_OK && made.engine->spec->digest != envelope->spec_digest) {
        code = tw_fail(err, TUMBLE_ECORRUPT, "the event's state is damaged: its spec does not fit the spec's digest");
    }
    close_other_outputs(carried, NULL); /* some can be open once only */
    for (size_t i = 0; i < carried->owner->output_count && code == TUMBLE_OK; i++) {
        code = tw_carried_attach_again(carried, made.engine, i, err);
    }
    if (code != TUMBLE_OK) {
        tumble_engine_destroy(made.engine);
        tumble_spec_destroy(made.spec);
        return code;
    }
    struct tw_carried_engine *place = &carried->engines[carried->engine_count];
    if (carried->engine_count == TW_STATE_SPECS) { /* the one used longest ago, the function's own excepted */
        place = &carried->engines[1];
        for (size_t i = 2; i < TW_STATE_SPECS; i++) {
            if (carried->engines[i].used_at < place->used_at) {
                place = &carried->engines[i];
            }
        }
        end_engine(carried, place);
    } else {
        carried->engine_count++;
    }
    *place = made;
    *out = place;
    return TUMBLE_OK;
}

static enum tumble_code choose_engine(struct tw_carried *carried, const struct tw_state_envelope *envelope,
                                      struct tw_carried_engine **out, struct tumble_error *err) {
    *out = &carried->engines[0];
    if (envelope->is_fresh) {
        return TUMBLE_OK;
    }
    for (size_t i = 0; i < carried->engine_count; i++) {
        if (carried->engines[i].engine->spec->digest == envelope->spec_digest) {
            *out = &carried->engines[i];
            return TUMBLE_OK;
        }
    }
    return engine_of_text(carried, envelope, out, err);
}

/* The stream is known from the event: without a consumer's suffix (rule R9). */
static enum tumble_code set_source(struct tumble_engine *engine, struct tumble_bytes arn, struct tumble_error *err) {
    static const char consumer[] = "/consumer/";
    for (size_t at = 0; at + sizeof consumer - 1 <= arn.length; at++) {
        if (memcmp(arn.data + at, consumer, sizeof consumer - 1) == 0) {
            arn.length = at;
        }
    }
    if (arn.length == engine->source_length && memcmp(arn.data ? arn.data : "", engine->source, arn.length) == 0) {
        return TUMBLE_OK;
    }
    char *source = tw_copy_text(&engine->alloc, arn.data ? arn.data : "", arn.length);
    if (!source) {
        return tw_no_memory(err);
    }
    tw_carried_close_outputs(engine); /* they were opened for another stream */
    tw_free(&engine->alloc, engine->source);
    engine->source = source;
    engine->source_length = arn.length;
    return TUMBLE_OK;
}

/* ---- the window of a shard ---- */

/* What one invocation works on. */
struct invocation {
    struct tw_carried *carried;
    struct tw_window_event *event;
    struct tw_state_envelope envelope;
    struct tw_carried_engine *engine;
    struct tumble_shard *shard;
    struct tw_carried_shard *held;
    struct tumble_invoked *out;
    struct tumble_error *err;
};

static enum tumble_code resume(struct invocation *at) {
    struct tw_carried *carried = at->carried;
    struct tw_window_event *event = at->event;
    struct tw_carried_shard *held = at->held;
    struct tumble_bytes payload;
    if (held->valid && !at->envelope.is_fresh && held->start_ms == event->start_ms && held->end_ms == event->end_ms &&
        memcmp(held->state.digest, at->envelope.digest, TW_STATE_DIGEST_BYTES) == 0) {
        at->out->cache_hit = 1;
        return TUMBLE_OK;
    }
    tw_carried_forget(carried, held, at->shard);
    held->start_ms = event->start_ms;
    held->end_ms = event->end_ms;
    if (at->envelope.is_fresh) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_state_open(carried, &at->envelope, &payload, at->err));
    at->out->cache_hit = 1; /* until an object is not there */
    TW_TRY(tw_state_load(carried, at->engine, at->shard, held, payload, at->err));
    if (held->state.object_count == 0) {
        at->out->cache_hit = 0;
    }
    memcpy(held->state.digest, at->envelope.digest, TW_STATE_DIGEST_BYTES);
    return TUMBLE_OK;
}

/* Brings the window back to what the event says, and applies only the records before limit. */
static enum tumble_code apply_again(struct invocation *at, size_t limit, struct tw_applied *applied) {
    at->held->valid = false;
    TW_TRY(resume(at));
    TW_TRY(tw_carried_apply(at->carried, at->engine, at->shard, at->event->start_ms, limit, applied, at->err));
    if (applied->records != limit && !applied->is_late) {
        return tw_fail(at->err, TUMBLE_EINTERNAL, "records that were applied before are refused the second time");
    }
    return TUMBLE_OK;
}

/* ---- failing ---- */

static const char *type_of(enum tumble_code code) {
    switch (code) {
    case TUMBLE_EEVENT:
    case TUMBLE_EJSON:
    case TUMBLE_EUTF8:
    case TUMBLE_EDEPTH:
    case TUMBLE_ETIMESTAMP:
    case TUMBLE_ESEQUENCE: return "Tumble.InvalidEvent";
    case TUMBLE_ECORRUPT:
    case TUMBLE_ECOMPRESS:
    case TUMBLE_EMISMATCH: return "Tumble.StateCorrupt";
    case TUMBLE_EVERSION: return "Tumble.StateVersion";
    case TUMBLE_ERECORD: return "Tumble.BadRecord";
    case TUMBLE_EOUTPUT:
    case TUMBLE_EREFUSED:
    case TUMBLE_EUSAGE: return "Tumble.OutputFailed";
    case TUMBLE_EREJECTED: return "Tumble.RowRejected";
    case TUMBLE_EINTERRUPTED: return "Tumble.DeadlineExceeded";
    case TUMBLE_ELIMIT: return "Tumble.LimitExceeded";
    case TUMBLE_ENOMEM: return "Tumble.OutOfMemory";
    default: return "Tumble.Internal";
    }
}

static enum tumble_code failed(struct tw_carried *carried, const char *type, char *message) {
    struct tw_buf *out = &carried->response;
    if (!tw_utf8_valid(tumble_bytes_of(message))) { /* a plug-in's */
        for (char *at = message; *at; at++) {
            *at = (unsigned char)*at < 0x80 ? *at : '?';
        }
    }
    tw_buf_clear(out);
    TW_TRY(tw_buf_append_text(out, "{\"errorMessage\":"));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(message)));
    TW_TRY(tw_buf_append_text(out, ",\"errorType\":"));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(type)));
    return tw_buf_append_text(out, ",\"stackTrace\":[]}");
}

static enum tumble_code late(struct invocation *at) {
    at->out->error_type = "Tumble.DeadlineExceeded";
    return tw_fail(at->err, TUMBLE_EOUTPUT,
                   "the deadline came before the event was done, and nothing of it was kept: give the function more "
                   "time or memory, or the mapping a smaller batch");
}

/* ---- records ---- */

static enum tumble_code bad(struct invocation *at, size_t record) {
    struct tumble_bytes number = tw_carried_sequence(at->carried, record);
    int shown = (int)(number.length < TW_LIMIT_SEQUENCE_DIGITS ? number.length : TW_LIMIT_SEQUENCE_DIGITS);
    tw_error_prefix(at->err, "record %zu of the event (sequence number %.*s)", record + 1, shown,
                    number.data ? number.data : "");
    return TUMBLE_ERECORD;
}

/* Until which record the event was applied; expect is what a partial answer reports. */
static enum tumble_code apply(struct invocation *at, struct tumble_bytes *expect) {
    struct tw_applied applied;
    size_t count = at->event->record_count;
    expect->length = 0;
    TW_TRY(tw_carried_apply(at->carried, at->engine, at->shard, at->event->start_ms, count, &applied, at->err));
    if (applied.records == count) {
        return TUMBLE_OK;
    }
    if (at->event->is_final || !at->carried->options.report_batch_item_failures || applied.records == 0) {
        return applied.is_late ? late(at) : bad(at, applied.stopped);
    }
    size_t reported = applied.records;
    if (applied.is_partial) { /* the sequence number is the unit: none of it may stay (rule R7) */
        TW_TRY(apply_again(at, reported, &applied));
        if (applied.records != reported) {
            return late(at);
        }
    }
    *expect = tw_carried_sequence(at->carried, reported);
    if (!expect->length) { /* without an identifier the answer would acknowledge the batch */
        return applied.is_late ? late(at) : TUMBLE_ERECORD;
    }
    at->out->reported = 1;
    return TUMBLE_OK;
}

/* Whether the event begins beyond what the last answer reported (rule R1). */
static void note_skipped(struct invocation *at) {
    const struct tw_carried_state *state = &at->held->state;
    struct tumble_bytes expected = {state->expect, state->expect_length}, first;
    if (expected.length && at->event->record_count &&
        tw_sequence_check(tw_carried_sequence(at->carried, 0), &first, NULL) == TUMBLE_OK &&
        tw_sequence_compare(first, expected) > 0) {
        at->out->skipped = 1;
    }
}

/* ---- answering ---- */

static enum tumble_code put_failures(struct tw_carried *carried, struct tumble_bytes expect) {
    struct tw_buf *out = &carried->response;
    TW_TRY(tw_buf_append_text(out, ",\"batchItemFailures\":["));
    if (expect.length) {
        TW_TRY(tw_buf_append_text(out, "{\"itemIdentifier\":"));
        TW_TRY(tw_buf_append_json_string(out, expect));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return tw_buf_append_text(out, "]}");
}

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* What the last answer reported and this event ends before is still expected. */
static bool still_expects(const struct invocation *at) {
    const struct tw_carried_state *state = &at->held->state;
    struct tumble_bytes expected = {state->expect, state->expect_length}, last;
    size_t count = at->event->record_count;
    return expected.length &&
           (count == 0 || (tw_sequence_check(tw_carried_sequence(at->carried, count - 1), &last, NULL) == TUMBLE_OK &&
                           tw_sequence_compare(last, expected) < 0));
}

/* The state into the response. One too large to be carried is met by answering for fewer records: over 1 MB Lambda ends
 * the window early and begins it anew, so what is left finds room (rule R17). */
static enum tumble_code save(struct invocation *at, struct tumble_bytes *expect) {
    struct tw_carried *carried = at->carried;
    size_t applied = at->event->record_count;
    if (expect->length) {
        while (applied > 0 && !tumble_bytes_equal(tw_carried_sequence(carried, applied - 1), *expect)) {
            applied--;
        }
        while (applied > 0 && tumble_bytes_equal(tw_carried_sequence(carried, applied - 1), *expect)) {
            applied--;
        }
    }
    for (;;) {
        bool too_large;
        struct tumble_bytes digits = {NULL, 0};
        tw_buf_clear(&carried->response);
        TW_TRY(text_of(at->err, tw_buf_append_text(&carried->response, "{\"state\":")));
        size_t mark = carried->response.length;
        if (expect->length && tw_sequence_check(*expect, &digits, NULL) != TUMBLE_OK) {
            digits.length = 0; /* it is the bad record's, so it may be no number */
        } else if (!expect->length && still_expects(at)) {
            digits.data = at->held->state.expect;
            digits.length = at->held->state.expect_length;
        }
        if (!tw_shard_find_window(at->shard, at->event->start_ms)) {
            TW_TRY(text_of(at->err, tw_buf_append_text(&carried->response, "{}"))); /* an event without records */
            return TUMBLE_OK;
        }
        TW_TRY(
            tw_state_save(carried, at->engine, at->shard, at->held, digits, &carried->response, &too_large, at->err));
        at->out->state_bytes = carried->response.length - mark;
        if (!too_large) {
            return TUMBLE_OK;
        }
        struct tw_applied again;
        applied /= 2;
        while (applied > 0 &&
               tumble_bytes_equal(tw_carried_sequence(carried, applied - 1), tw_carried_sequence(carried, applied))) {
            applied--;
        }
        if (applied == 0 || !carried->options.report_batch_item_failures) {
            at->out->error_type = "Tumble.StateTooLarge";
            return tw_fail(
                at->err, TUMBLE_ELIMIT,
                "the state of the window has grown over %u bytes: configure a spill store (TUMBLE_SPILL), or "
                "ReportBatchItemFailures with smaller batches",
                TW_PACKED_BYTES_MAX);
        }
        TW_TRY(apply_again(at, applied, &again));
        if (again.records != applied) {
            return late(at);
        }
        *expect = tw_carried_sequence(carried, applied);
        at->out->reported = 1;
    }
}

/* ---- the invocation ---- */

enum { FINAL_ANSWER_BYTES = 64 };

static enum tumble_code finish(struct invocation *at) {
    struct tw_carried *carried = at->carried;
    struct tw_window *window = tw_shard_find_window(at->shard, at->event->start_ms);
    uint8_t rows[TW_STATE_DIGEST_BYTES] = {0};
    tw_buf_clear(&carried->response); /* room for the answer first: once rows are out, nothing may fail any more */
    TW_TRY(text_of(at->err, tw_buf_reserve(&carried->response, FINAL_ANSWER_BYTES)));
    if (window && window->records) {
        TW_TRY(tw_carried_emit(carried, at->engine, at->shard, window, rows, at->err));
    }
    TW_TRY(tw_carried_emit_failures(carried, at->engine, at->shard, at->err));
    tw_carried_note_finished(carried, at->engine->engine, at->shard, at->held, rows);
    tw_carried_forget(carried, at->held, at->shard);
    return text_of(at->err, tw_buf_append_text(&carried->response, "{\"state\":{}"));
}

static enum tumble_code carry_on(struct invocation *at, struct tumble_bytes *expect) {
    struct tw_carried *carried = at->carried;
    struct tw_carried_state came_back = at->held->state; /* its garbage may go once this answer stands */
    at->held->state.garbage = NULL;
    at->held->state.garbage_count = 0;
    enum tumble_code code = save(at, expect);
    if (code == TUMBLE_OK) {
        code = tw_carried_emit_failures(carried, at->engine, at->shard, at->err);
    }
    if (code == TUMBLE_OK) {
        const struct tw_window *window = tw_shard_find_window(at->shard, at->event->start_ms);
        at->out->groups = window ? window->groups.count : 0;
        at->held->valid = window != NULL;
        tw_carried_sweep(carried, at->engine->engine, at->shard, at->held, &came_back);
    }
    tw_free(&carried->alloc, came_back.garbage);
    return code;
}

static enum tumble_code run(struct invocation *at) {
    struct tw_carried *carried = at->carried;
    struct tw_window_event *event = at->event;
    struct tumble_bytes expect = {NULL, 0};
    if (!event->has_window) {
        at->out->error_type = "Tumble.WindowNotConfigured";
        return tw_fail(at->err, TUMBLE_EEVENT,
                       "the event has no window: set TumblingWindowInSeconds of the event source mapping");
    }
    at->out->is_final = event->is_final;
    at->out->is_terminated_early = event->is_terminated_early;
    at->out->window_start_ms = event->start_ms;
    at->out->window_end_ms = event->end_ms;
    TW_TRY(tw_state_envelope_read(carried, &event->state, &at->envelope, at->err));
    TW_TRY(choose_engine(carried, &at->envelope, &at->engine, at->err));
    at->engine->used_at = ++carried->invocations;
    close_other_outputs(carried, at->engine);
    at->engine->engine->window_ms = event->end_ms - event->start_ms;
    TW_TRY(set_source(at->engine->engine, event->event_source_arn, at->err));
    TW_TRY(tw_carried_hold(carried, at->engine, event->shard_id, &at->shard, &at->held, at->err));
    TW_TRY(resume(at));
    note_skipped(at);
    TW_TRY(apply(at, &expect));
    TW_TRY(event->is_final ? finish(at) : carry_on(at, &expect));
    TW_TRY(text_of(at->err, put_failures(carried, expect)));
    tw_carried_make_room(carried, at->shard);
    return TUMBLE_OK;
}

/* Runs what was read (code: how reading it went), and answers. */
static enum tumble_code answer(struct tw_carried *carried, enum tumble_code code, struct tumble_invoked *out,
                               struct tumble_error *err) {
    struct invocation at = {.carried = carried, .event = &carried->event, .out = out, .err = err};
    if (code == TUMBLE_OK) {
        code = run(&at);
    }
    if (code == TUMBLE_OK && carried->response.length > TUMBLE_EVENT_LIMIT) {
        out->error_type = "Tumble.StateTooLarge";
        code = tw_fail(err, TUMBLE_ELIMIT, "the response has %zu bytes: Lambda takes at most %u",
                       carried->response.length, TUMBLE_EVENT_LIMIT);
    }
    if (code != TUMBLE_OK) {
        if (at.held) {
            tw_carried_forget(carried, at.held, at.shard);
            tw_carried_drop_rejected(at.engine->engine);
        }
        if (!out->error_type) {
            out->error_type = type_of(code);
        }
        if (failed(carried, out->error_type, err->text) != TUMBLE_OK) {
            tw_buf_clear(&carried->response);
        }
    }
    out->response = tw_buf_view(&carried->response);
    return code;
}

/* NULL: not an engine that is invoked. */
static struct tw_carried *begin(struct tumble_engine *engine, struct tumble_invoked *out) {
    memset(out, 0, sizeof *out);
    out->last_arrival_ms = -1;
    if (engine->carried) {
        engine->carried->out = out;
    } else {
        out->error_type = "Tumble.Internal";
    }
    return engine->carried;
}

static enum tumble_code not_carried(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EINVAL, "the engine was not opened with tumble_engine_open_carried");
}

enum tumble_code tumble_engine_invoke(struct tumble_engine *engine, struct tumble_bytes event,
                                      struct tumble_invoked *out, struct tumble_error *err) {
    struct tumble_error own;
    struct tw_carried *carried = begin(engine, out);
    err = err ? err : &own;
    if (!carried) {
        return not_carried(err);
    }
    enum tumble_code code;
    if (event.length > TUMBLE_EVENT_LIMIT) {
        out->error_type = "Tumble.InvalidEvent";
        code = tw_fail(err, TUMBLE_EEVENT, "the event has %zu bytes: Lambda sends at most %u", event.length,
                       TUMBLE_EVENT_LIMIT);
    } else {
        code = tw_window_event_parse(&carried->event, event, err);
    }
    return answer(carried, code, out, err);
}

enum tumble_code tumble_engine_invoke_batch(struct tumble_engine *engine, const struct tumble_window_batch *batch,
                                            struct tumble_invoked *out, struct tumble_error *err) {
    struct tumble_error own;
    struct tw_carried *carried = begin(engine, out);
    err = err ? err : &own;
    if (!carried) {
        return not_carried(err);
    }
    return answer(carried, tw_window_event_give(&carried->event, batch, err), out, err);
}
