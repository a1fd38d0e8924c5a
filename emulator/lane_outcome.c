#include "engine/base/fail.h"

#include "emulator/mapping_internal.h"

/* What follows from an answer: the queue moves on, a batch is cut smaller, tried again or given up, a window closes. */

enum tumble_code tw_lane_close_window(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    if (lane->closing != TW_CLOSING_EARLY) { /* after which the same window goes on (point 13) */
        lane->was_closed = true;
        lane->closed_ms = lane->window_ms;
    }
    lane->closing = TW_CLOSING_NOT;
    lane->is_open = false;
    lane->not_before_ms = 0;
    tw_lane_forget_answered(mapping, lane);
    return tw_lane_empty_state(lane, err); /* for what is left of a batch in which an early end fell */
}

static int64_t backoff(const struct tumble_mapping *mapping, uint32_t times) {
    int64_t wait = mapping->options.retry_backoff_ms;
    for (; times > 1 && wait < mapping->options.retry_backoff_max_ms; times--) {
        wait *= 2;
    }
    return wait < mapping->options.retry_backoff_max_ms ? wait : mapping->options.retry_backoff_max_ms;
}

static void new_batch(struct tw_segment *segment, uint32_t count) {
    memset(segment, 0, sizeof *segment);
    segment->count = count;
}

enum tumble_code tw_lane_discard(struct tumble_mapping *mapping, struct tw_lane *lane, size_t count,
                                 enum tumble_failure_condition condition, bool has_context, const char *function_error,
                                 struct tumble_error *err) {
    struct tumble_mapping_metrics *metrics = &mapping->metrics;
    const struct tw_segment *segment = tw_lane_current(lane);
    int delivered = 0;
    if (mapping->options.on_failure) {
        char key[TW_S3_KEY_TEXT];
        struct tw_failure_facts facts = {.invoke_count = segment->failures ? segment->failures : 1, /* point 35 */
                                         .has_context = has_context,
                                         .function_error = function_error};
        struct tumble_failure failure = {
            .condition = condition,
            .request_id = segment->request_id,
            .shard = lane->shard,
            .records = lane->queue.records + lane->queue.front,
            .record_count = count,
            .has_window = mapping->window_length_ms > 0,
            .window_start_ms = lane->window_ms,
            .window_end_ms = lane->window_ms + mapping->window_length_ms,
            .state = tw_buf_view(&lane->state),
            .is_final = lane->closing != TW_CLOSING_NOT,
            .is_terminated_early = lane->closing == TW_CLOSING_EARLY,
            .at_ms = lane->next_ms,
        };
        TW_TRY(tw_failure_document(mapping, &facts, &failure, key, err));
        TW_TRY(mapping->options.on_failure(mapping->options.failure_ctx, &failure, &delivered, err));
        if (!delivered) {
            metrics->destination_delivery_failures++;
        }
    }
    if (delivered) {
        metrics->on_failure_destination_delivered_event_count += count;
    } else if (mapping->options.on_failure || !mapping->options.dropped_needs_destination) {
        metrics->dropped_event_count += count;
    }
    metrics->discarded_records += count;
    metrics->discarded_finals += lane->closing != TW_CLOSING_NOT;
    if (count) {
        tw_lane_pop(mapping, lane, count, false);
    }
    return TUMBLE_OK;
}

/* Halves at once, left one first, each with retries of its own (point 31). */
static enum tumble_code bisect(struct tw_lane *lane, struct tumble_error *err) {
    struct tw_segment *segment = tw_lane_current(lane);
    uint32_t left = segment->count / 2;
    if (lane->segment_count == TW_SPLITS_MAX) {
        return tw_fail(err, TUMBLE_EINTERNAL, "a batch was split %d times", TW_SPLITS_MAX);
    }
    new_batch(segment, segment->count - left);
    new_batch(&lane->segments[lane->segment_count++], left);
    lane->not_before_ms = 0;
    return TUMBLE_OK;
}

enum tumble_code tw_lane_failed(struct tumble_mapping *mapping, struct tw_lane *lane, bool has_context,
                                const char *function_error, struct tumble_error *err) {
    const struct tumble_mapping_parameters *parameters = mapping->parameters;
    struct tw_segment *segment = tw_lane_current(lane);
    segment->failures++;
    if (parameters->bisect_batch_on_function_error && segment->count > 1) {
        return bisect(lane, err);
    }
    if (parameters->maximum_retry_attempts < 0 || segment->failures <= (uint32_t)parameters->maximum_retry_attempts) {
        lane->not_before_ms = lane->next_ms + backoff(mapping, segment->failures);
        return TUMBLE_OK;
    }
    TW_TRY(tw_lane_discard(mapping, lane, segment->count, TUMBLE_RETRY_ATTEMPTS_EXHAUSTED, has_context, function_error,
                           err));
    lane->not_before_ms = 0;
    if (lane->closing) {
        return tw_lane_close_window(mapping, lane, err); /* point 18 */
    }
    lane->segment_count--;
    return TUMBLE_OK;
}

/* The state that the function returned is what the next invocation is given; over the limit the window ends (point 12).
 */
static void take_state(struct tumble_mapping *mapping, struct tw_lane *lane) {
    if (!mapping->window_length_ms) {
        return;
    }
    struct tw_buf old = lane->state;
    lane->state = lane->next_state;
    lane->next_state = old;
    if (lane->state.length > mapping->options.state_limit_bytes) {
        memset(&lane->final, 0, sizeof lane->final);
        lane->closing = TW_CLOSING_EARLY;
        lane->final_due_ms = lane->next_ms;
    }
}

enum tumble_code tw_lane_finish(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    struct tw_segment *segment = tw_lane_current(lane);
    struct tumble_mapping_metrics *metrics = &mapping->metrics;
    if (lane->slot != TW_NO_SLOT) {
        mapping->slots[lane->slot] = 0;
        mapping->running--;
    }
    lane->not_before_ms = 0;
    switch (lane->outcome.kind) {
    case TW_OUTCOME_SUCCESS:
        if (lane->closing) {
            metrics->early_terminations += lane->closing == TW_CLOSING_EARLY;
            metrics->windows += lane->closing == TW_CLOSING_FINAL;
            return tw_lane_close_window(mapping, lane, err);
        }
        metrics->succeeded_records += segment->count;
        lane->segment_count--;
        tw_lane_pop(mapping, lane, segment->count, true);
        take_state(mapping, lane);
        return TUMBLE_OK;
    case TW_OUTCOME_PARTIAL: { /* a new batch from there on (points 28 and 29) */
        uint32_t acknowledged = lane->outcome.acknowledged;
        metrics->succeeded_records += acknowledged;
        metrics->failed_invoke_event_count += segment->count - acknowledged;
        tw_lane_pop(mapping, lane, acknowledged, true);
        new_batch(segment, segment->count - acknowledged);
        take_state(mapping, lane);
        return TUMBLE_OK;
    }
    case TW_OUTCOME_FAILURE:
        metrics->failed_invoke_event_count += segment->count;
        return tw_lane_failed(mapping, lane, true, lane->outcome.function_error, err);
    case TW_OUTCOME_AGAIN:
        segment->throttles++;
        lane->not_before_ms = lane->next_ms + backoff(mapping, segment->throttles);
        return TUMBLE_OK;
    }
    return TUMBLE_OK;
}
