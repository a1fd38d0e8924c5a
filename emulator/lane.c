#include "engine/base/fail.h"
#include "engine/codec/window_span.h"

#include "emulator/event_size.h"
#include "emulator/mapping_internal.h"
#include "emulator/seeded.h"

/* What a lane does next, decided the moment it is free: the batch it will send and when, or the final that comes before
 * it. */

int64_t tw_lane_window_of(const struct tumble_mapping *mapping, const struct tumble_stream_record *record) {
    return tw_window_start(record->arrival_ms, mapping->window_length_ms);
}

struct tw_segment *tw_lane_current(struct tw_lane *lane) {
    return lane->closing ? &lane->final : &lane->segments[lane->segment_count - 1];
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static void ready(struct tw_lane *lane, int64_t at_ms) {
    lane->phase = TW_PHASE_READY;
    lane->next_ms = at_ms;
}

static void close_at(struct tw_lane *lane, int64_t at_ms) {
    memset(&lane->final, 0, sizeof lane->final);
    lane->closing = TW_CLOSING_FINAL;
    lane->final_due_ms = at_ms;
    lane->not_before_ms = at_ms;
    ready(lane, at_ms);
}

/* When an open window counts as over because nothing came (point 10). */
static int64_t idle_end(const struct tumble_mapping *mapping, const struct tw_lane *lane) {
    int64_t from = lane->last_available_ms;
    if (mapping->options.idle_ms < 0) {
        return INT64_MAX;
    }
    if (mapping->options.arrival == TUMBLE_ARRIVAL_LIVE && mapping->options.idle_from == TUMBLE_IDLE_FROM_WINDOW_END) {
        from = later(from, lane->window_ms + mapping->window_length_ms);
    }
    return from + mapping->options.idle_ms;
}

static void nothing_left(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms) {
    if (lane->is_open) {
        /* the end of a shard closes it at once (point 11), silence after a while, the end of all input in any case */
        int64_t idle = idle_end(mapping, lane);
        int is_closed = mapping->stream.shards[lane->shard].is_closed;
        close_at(lane, is_closed || idle == INT64_MAX ? now_ms : later(now_ms, idle));
        return;
    }
    lane->phase = TW_PHASE_DONE;
    lane->next_ms = now_ms;
}

struct cut {
    uint32_t count;
    bool is_oversized;
    int64_t send_ms;
};

/* How many records the next batch takes, and when it goes: when it is full, when its batching window is over, or when
 * there cannot be more. */
static enum tumble_code cut_batch(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms, struct cut *cut,
                                  struct tumble_error *err) {
    const struct tumble_mapping_parameters *parameters = mapping->parameters;
    const struct tw_queue *queue = &lane->queue;
    int64_t first_ms = queue->marks[queue->front].available_ms;
    int64_t deadline = later(now_ms, first_ms + (int64_t)parameters->maximum_batching_window_in_seconds * 1000);
    size_t shard_id = strlen(mapping->stream.shards[lane->shard].id);
    size_t fixed = mapping->record_fixed + shard_id;
    size_t around = tumble_event_envelope_size(mapping->event_source_arn, shard_id, mapping->window_length_ms > 0) +
                    lane->state.length - 1; /* the last record has no comma */
    size_t limit = mapping->options.event_limit_bytes;
    size_t room = limit > around ? limit - around : 0;
    size_t bytes = 0;
    int64_t window_end = mapping->window_length_ms ? lane->window_ms + mapping->window_length_ms : 0;
    uint32_t count = 0;
    cut->is_oversized = false;
    cut->send_ms = deadline;
    for (; count < parameters->batch_size; count++) {
        bool there = true, full = false;
        if (tw_queue_length(queue) <= count) {
            TW_TRY(tw_lane_reach(mapping, lane, count, &there, &full, err));
        }
        if (!there) {
            bool is_over = !full && mapping->stream.shards[lane->shard].is_closed;
            if (is_over || full) {
                cut->send_ms = later(now_ms, queue->marks[queue->front + count - 1].available_ms);
            }
            break;
        }
        size_t at = queue->front + count;
        if (queue->marks[at].available_ms > deadline) {
            break;
        }
        const struct tumble_stream_record *record = &queue->records[at];
        size_t size = fixed + tw_event_record_varying(record);
        bool is_other_window = window_end && (record->arrival_ms < lane->window_ms || record->arrival_ms >= window_end);
        if (is_other_window || size > room - bytes) {
            if (count == 0) {
                cut->is_oversized = true; /* its window is the lane's */
                count = 1;
            }
            cut->send_ms = later(now_ms, queue->marks[at].available_ms);
            break;
        }
        bytes += size;
    }
    if (count == parameters->batch_size && !cut->is_oversized) {
        cut->send_ms = later(now_ms, queue->marks[queue->front + count - 1].available_ms);
    }
    cut->count = count;
    return TUMBLE_OK;
}

enum tumble_code tw_lane_empty_state(struct tw_lane *lane, struct tumble_error *err) {
    tw_buf_clear(&lane->state);
    return tw_buf_append_text(&lane->state, "{}") == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(err);
}

static enum tumble_code prepare_batch(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                                      struct tumble_error *err) {
    bool there, full;
    TW_TRY(tw_lane_reach(mapping, lane, 0, &there, &full, err));
    if (full) {
        lane->phase = TW_PHASE_STARVED;
        return TUMBLE_OK;
    }
    if (!there) {
        nothing_left(mapping, lane, now_ms);
        return TUMBLE_OK;
    }
    const struct tw_queue *queue = &lane->queue;
    if (mapping->window_length_ms) {
        int64_t available = queue->marks[queue->front].available_ms;
        int64_t window = tw_lane_window_of(mapping, &queue->records[queue->front]);
        if (lane->is_open) {
            int64_t idle = idle_end(mapping, lane);
            bool is_quiet = available > idle && available > now_ms;
            if (window != lane->window_ms || is_quiet) {
                close_at(lane, later(now_ms, is_quiet ? idle : available)); /* points 7, 9 and 10 */
                return TUMBLE_OK;
            }
        } else {
            lane->window_ms = window;
            TW_TRY(tw_lane_empty_state(lane, err)); /* point 4 */
        }
    }
    struct cut cut;
    TW_TRY(cut_batch(mapping, lane, now_ms, &cut, err));
    struct tw_segment *segment = &lane->segments[lane->segment_count++];
    memset(segment, 0, sizeof *segment);
    segment->count = cut.count;
    segment->is_oversized = cut.is_oversized;
    lane->not_before_ms = cut.send_ms;
    ready(lane, cut.send_ms);
    return TUMBLE_OK;
}

enum tumble_code tw_lane_prepare(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                                 struct tumble_error *err) {
    if (lane->closing || lane->segment_count) {
        ready(lane, later(now_ms, lane->not_before_ms));
        return TUMBLE_OK;
    }
    return prepare_batch(mapping, lane, now_ms, err);
}

/* ---- sending ---- */

/* Older than allowed? Arrivals that lie ahead of the virtual clock have no age. */
static bool is_older(int64_t now_ms, int64_t since_ms, int64_t age_ms) {
    return age_ms >= 0 && now_ms - since_ms > age_ms;
}

/* Records that the stream does not hold any more are just gone; those over the mapping's age are given up, before they
 * are delivered (point 35). What is left is a new batch. */
static enum tumble_code expire_records(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                                       bool *changed, struct tumble_error *err) {
    struct tw_segment *segment = tw_lane_current(lane);
    const struct tw_queue *queue = &lane->queue;
    int32_t age_s = mapping->parameters->maximum_record_age_in_seconds;
    size_t lost = 0, expired = 0;
    while (lost < segment->count &&
           is_older(now_ms, queue->marks[queue->front + lost].available_ms, mapping->options.retention_ms)) {
        lost++;
    }
    if (lost) {
        mapping->metrics.lost_to_retention += lost;
        tw_lane_pop(mapping, lane, lost, false);
        segment->count -= (uint32_t)lost;
    }
    while (age_s >= 0 && expired < segment->count &&
           is_older(now_ms, queue->records[queue->front + expired].arrival_ms, (int64_t)age_s * 1000)) {
        expired++;
    }
    if (expired) {
        TW_TRY(tw_lane_discard(mapping, lane, expired, TUMBLE_RECORD_AGE_EXCEEDED, false, NULL, err));
        segment->count -= (uint32_t)expired;
    }
    *changed = lost || expired;
    if (*changed) {
        uint32_t count = segment->count;
        memset(segment, 0, sizeof *segment);
        segment->count = count;
        lane->segment_count -= count == 0;
    }
    return TUMBLE_OK;
}

/* A final grows old from when it was due. */
static enum tumble_code expire_final(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                                     struct tumble_error *err) {
    int32_t age_s = mapping->parameters->maximum_record_age_in_seconds;
    bool is_lost = is_older(now_ms, lane->final_due_ms, mapping->options.retention_ms);
    if (!is_lost && (age_s < 0 || !is_older(now_ms, lane->final_due_ms, (int64_t)age_s * 1000))) {
        return TUMBLE_OK;
    }
    if (is_lost) {
        mapping->metrics.discarded_finals++;
    } else {
        TW_TRY(tw_lane_discard(mapping, lane, 0, TUMBLE_RECORD_AGE_EXCEEDED, false, NULL, err));
    }
    return tw_lane_close_window(mapping, lane, err);
}

static struct tw_outcome judge(struct tumble_mapping *mapping, const struct tumble_function_request *request,
                               const struct tumble_function_answer *answer) {
    const struct tumble_mapping_parameters *parameters = mapping->parameters;
    struct tw_outcome outcome = {.kind = TW_OUTCOME_FAILURE, .function_error = "Unhandled"};
    bool needs_state = request->has_window && !(request->is_final && mapping->options.final_without_state_succeeds);
    switch (answer->kind) {
    case TUMBLE_ANSWER_RESPONSE:
        if (answer->response.length > mapping->options.event_limit_bytes) {
            return outcome; /* Function.ResponseSizeTooLarge */
        }
        return tw_batch_response(answer->response, needs_state, parameters->report_batch_item_failures,
                                 request->records, request->record_count);
    case TUMBLE_ANSWER_THROTTLED:
    case TUMBLE_ANSWER_LOST: outcome.kind = TW_OUTCOME_AGAIN; break;
    default: break;
    }
    return outcome;
}

static void span_add(struct tumble_mapping_span *span, double value) {
    span->least = span->count == 0 || value < span->least ? value : span->least;
    span->most = span->count == 0 || value > span->most ? value : span->most;
    span->sum += value;
    span->count++;
}

static void count_invocation(struct tumble_mapping *mapping, const struct tumble_function_request *request,
                             const struct tumble_function_answer *answer) {
    struct tumble_mapping_metrics *metrics = &mapping->metrics;
    if (answer->kind == TUMBLE_ANSWER_THROTTLED) {
        metrics->throttles++;
        return;
    }
    metrics->invocations++;
    metrics->errors += answer->kind != TUMBLE_ANSWER_RESPONSE && answer->kind != TUMBLE_ANSWER_LOST;
    metrics->invoked_event_count += request->record_count;
    span_add(&metrics->duration_ms, (double)answer->duration_us / 1000.0);
    if (request->record_count) { /* point 52 */
        int64_t age = request->sent_ms - request->records[request->record_count - 1].arrival_ms;
        span_add(&metrics->iterator_age_ms, age > 0 ? (double)age : 0.0);
    }
}

/* The lowest that is free: sandboxes are as many as ran at a time. */
static uint32_t take_slot(struct tumble_mapping *mapping) {
    if (mapping->running >= mapping->options.concurrency_limit) {
        return TW_NO_SLOT;
    }
    uint8_t *slot = memchr(mapping->slots, 0, mapping->lane_count);
    *slot = 1;
    mapping->running++;
    if (mapping->running > mapping->metrics.concurrent_executions) {
        mapping->metrics.concurrent_executions = mapping->running;
    }
    return (uint32_t)(slot - mapping->slots);
}

static enum tumble_code invoke(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                               struct tumble_error *err) {
    struct tw_segment *segment = tw_lane_current(lane);
    const struct tw_queue *queue = &lane->queue;
    char invocation_id[TUMBLE_REQUEST_ID_TEXT];
    tw_seeded_uuid(&mapping->random, invocation_id);
    lane->slot = take_slot(mapping);
    struct tumble_function_request request = {
        .request_id = segment->request_id,
        .invocation_id = invocation_id,
        .attempt = segment->failures + segment->throttles + 1,
        .slot = lane->slot,
        .shard = lane->shard,
        .lane = lane->part,
        .shard_id = tumble_bytes_of(mapping->stream.shards[lane->shard].id),
        .event_source_arn = mapping->event_source_arn,
        .records = queue->records + queue->front,
        .record_count = segment->count,
        .answered_count = queue->answered,
        .has_window = mapping->window_length_ms > 0,
        .window_start_ms = lane->window_ms,
        .window_end_ms = lane->window_ms + mapping->window_length_ms,
        .state = tw_buf_view(&lane->state),
        .is_final = lane->closing != TW_CLOSING_NOT,
        .is_terminated_early = lane->closing == TW_CLOSING_EARLY,
        .sent_ms = now_ms,
        .deadline_ms = now_ms + mapping->options.function_timeout_ms,
    };
    struct tumble_function_answer answer = {.kind = TUMBLE_ANSWER_THROTTLED};
    if (lane->slot != TW_NO_SLOT) {
        answer.kind = TUMBLE_ANSWER_RESPONSE;
        TW_TRY(mapping->function.invoke(mapping->function.ctx, &request, &answer, err));
    }
    int64_t most_us = mapping->options.function_timeout_ms * 1000;
    if (answer.duration_us > most_us) {
        answer.duration_us = most_us;
        answer.kind = answer.kind == TUMBLE_ANSWER_RESPONSE ? TUMBLE_ANSWER_TIMED_OUT : answer.kind;
    }
    answer.duration_us = answer.duration_us < 0 ? 0 : answer.duration_us;
    lane->outcome = judge(mapping, &request, &answer);
    count_invocation(mapping, &request, &answer);
    if (request.has_window && !lane->is_open) {
        mapping->metrics.reopened_by_late_records += lane->was_closed && lane->window_ms <= lane->closed_ms;
        lane->is_open = true;
    }
    if (segment->count) {
        lane->last_available_ms = queue->marks[queue->front + segment->count - 1].available_ms;
    }
    if (lane->outcome.state.data) { /* the function's buffer is its own: keep the state until the invocation ends */
        tw_buf_clear(&lane->next_state);
        if (tw_buf_append(&lane->next_state, lane->outcome.state.data, lane->outcome.state.length) != TUMBLE_OK) {
            return tw_no_memory(err);
        }
    }
    lane->phase = TW_PHASE_RUNNING;
    lane->next_ms = now_ms + (answer.duration_us + 999) / 1000;
    return TUMBLE_OK;
}

enum tumble_code tw_lane_send(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    int64_t now_ms = lane->next_ms;
    struct tw_segment *segment = tw_lane_current(lane);
    if (!segment->has_id) {
        tw_seeded_uuid(&mapping->random, segment->request_id);
        segment->has_id = true;
    }
    if (lane->closing) {
        TW_TRY(expire_final(mapping, lane, now_ms, err));
        if (!lane->closing) {
            return tw_lane_prepare(mapping, lane, now_ms, err);
        }
    } else {
        bool changed;
        TW_TRY(expire_records(mapping, lane, now_ms, &changed, err));
        if (changed) {
            return tw_lane_prepare(mapping, lane, now_ms, err);
        }
        if (segment->is_oversized) { /* point 37 */
            TW_TRY(tw_lane_failed(mapping, lane, false, NULL, err));
            return tw_lane_prepare(mapping, lane, now_ms, err);
        }
    }
    return invoke(mapping, lane, now_ms, err);
}
