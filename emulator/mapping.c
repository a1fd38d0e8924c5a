#include "emulator/mapping.h"

#include "engine/base/fail.h"

#include "emulator/emulator.h"
#include "emulator/mapping_internal.h"

/* The simulation: the lane whose next event is first, by virtual time and then by number, has its turn. */

/* What a mapping of nobody's account is called where AWS would name it. */
#define ASSUMED_EVENT_SOURCE_ARN "arn:aws:kinesis:us-east-1:123456789012:stream/tumble"
#define ASSUMED_FUNCTION_ARN     "arn:aws:lambda:us-east-1:123456789012:function:tumble"
#define ASSUMED_UUID             "00000000-0000-4000-8000-000000000000"

/* ---- what is next ---- */

static bool comes_before(const struct tumble_mapping *mapping, uint32_t a, uint32_t b) {
    int64_t a_ms = mapping->lanes[a].next_ms, b_ms = mapping->lanes[b].next_ms;
    return a_ms != b_ms ? a_ms < b_ms : a < b;
}

static void heap_push(struct tumble_mapping *mapping, uint32_t lane) {
    uint32_t at = mapping->heap_count++;
    while (at > 0 && comes_before(mapping, lane, mapping->heap[(at - 1) / 2])) {
        mapping->heap[at] = mapping->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    mapping->heap[at] = lane;
}

static uint32_t heap_pop(struct tumble_mapping *mapping) {
    uint32_t first = mapping->heap[0];
    uint32_t lane = mapping->heap[--mapping->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= mapping->heap_count) {
            break;
        }
        child +=
            child + 1 < mapping->heap_count && comes_before(mapping, mapping->heap[child + 1], mapping->heap[child]);
        if (!comes_before(mapping, mapping->heap[child], lane)) {
            break;
        }
        mapping->heap[at] = mapping->heap[child];
        at = child;
    }
    mapping->heap[at] = lane;
    return first;
}

/* ---- making and ending ---- */

static void fill_defaults(struct tumble_mapping *mapping) {
    struct tumble_mapping_options *options = &mapping->options;
    const struct tumble_mapping_parameters *parameters = mapping->parameters;
    if (options->poll_interval_ms == 0) { /* to a consumer Kinesis pushes */
        options->poll_interval_ms = strstr(parameters->event_source_arn, "/consumer/") ? -1 : TUMBLE_POLL_INTERVAL_MS;
    }
#define DEFAULT(member, value) options->member = options->member ? options->member : (value)
    DEFAULT(idle_ms, TUMBLE_IDLE_MS);
    DEFAULT(state_limit_bytes, TUMBLE_STATE_LIMIT_BYTES);
    DEFAULT(event_limit_bytes, TUMBLE_EVENT_LIMIT_BYTES);
    DEFAULT(retry_backoff_ms, TUMBLE_RETRY_BACKOFF_MS);
    DEFAULT(retry_backoff_max_ms, TUMBLE_RETRY_BACKOFF_MAX_MS);
    DEFAULT(retention_ms, TUMBLE_RETENTION_MS);
    DEFAULT(function_timeout_ms, TUMBLE_FUNCTION_TIMEOUT_MS);
    DEFAULT(read_ahead_records, TUMBLE_READ_AHEAD_RECORDS);
    DEFAULT(concurrency_limit, TUMBLE_CONCURRENCY_LIMIT);
    DEFAULT(executed_version, "$LATEST");
#undef DEFAULT
    options->retry_backoff_ms = options->retry_backoff_ms < 0 ? 0 : options->retry_backoff_ms;
    mapping->window_length_ms = (int64_t)parameters->tumbling_window_in_seconds * 1000;
    mapping->event_source_arn =
        tumble_bytes_of(parameters->event_source_arn[0] ? parameters->event_source_arn : ASSUMED_EVENT_SOURCE_ARN);
    mapping->function_arn = parameters->function_arn[0] ? parameters->function_arn : ASSUMED_FUNCTION_ARN;
    mapping->uuid = parameters->uuid[0] ? parameters->uuid : ASSUMED_UUID;
    mapping->random = options->seed;
    const struct tumble_stream_record none = {.arrival_ms = 0};
    mapping->record_fixed = tumble_event_record_size(&options->form, mapping->event_source_arn, 0, &none);
}

static enum tumble_code check_stream(const struct tumble_stream *stream, struct tumble_error *err) {
    for (uint32_t i = 0; i < stream->shard_count; i++) {
        for (int k = 0; k < 2; k++) {
            uint32_t parent = stream->shards[i].parents[k];
            if (parent != TUMBLE_NO_SHARD && parent >= i) {
                return tw_fail(err, TUMBLE_EINVAL, "shard %u comes before its parent: parents first, please", i);
            }
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code make_lanes(struct tumble_mapping *mapping, struct tumble_error *err) {
    uint32_t shards = mapping->stream.shard_count, factor = mapping->parameters->parallelization_factor;
    mapping->lane_count = shards * factor;
    mapping->shards = tw_alloc_array(&mapping->alloc, shards, sizeof *mapping->shards);
    mapping->lanes = tw_alloc_array(&mapping->alloc, mapping->lane_count, sizeof *mapping->lanes);
    mapping->heap = tw_alloc_array(&mapping->alloc, mapping->lane_count, sizeof *mapping->heap);
    mapping->slots = tw_alloc_zero(&mapping->alloc, mapping->lane_count);
    if (!mapping->shards || !mapping->lanes || !mapping->heap || !mapping->slots) {
        mapping->lane_count = 0;
        return tw_no_memory(err);
    }
    memset(mapping->shards, 0, shards * sizeof *mapping->shards);
    memset(mapping->lanes, 0, mapping->lane_count * sizeof *mapping->lanes);
    for (uint32_t i = 0; i < mapping->lane_count; i++) {
        struct tw_lane *lane = &mapping->lanes[i];
        lane->shard = i / factor;
        lane->part = i % factor;
        tw_buf_init(&lane->state, mapping->alloc, SIZE_MAX / 4);
        tw_buf_init(&lane->next_state, mapping->alloc, SIZE_MAX / 4);
    }
    for (uint32_t i = 0; i < shards; i++) {
        mapping->shards[i].lanes = &mapping->lanes[i * factor];
        mapping->shards[i].lanes_left = factor;
        mapping->shards[i].visible_ms = mapping->options.start_ms;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_mapping_new(const struct tumble_mapping_parameters *parameters,
                                    const struct tumble_mapping_options *options, const struct tumble_stream *stream,
                                    const struct tumble_emulated_function *function, struct tumble_mapping **out,
                                    struct tumble_error *err) {
    *out = NULL;
    TW_TRY(tumble_mapping_parameters_check(parameters, INT64_MAX, err));
    TW_TRY(check_stream(stream, err));
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tumble_mapping *mapping = tw_alloc_zero(&alloc, sizeof *mapping);
    if (!mapping) {
        return tw_no_memory(err);
    }
    mapping->alloc = alloc;
    mapping->parameters = parameters;
    mapping->options = *options;
    mapping->stream = *stream;
    mapping->function = *function;
    tw_buf_init(&mapping->document, alloc, SIZE_MAX / 4);
    fill_defaults(mapping);
    enum tumble_code code = make_lanes(mapping, err);
    if (code == TUMBLE_OK) {
        code = tw_record_filter_new(parameters, alloc, &mapping->filter, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_event_writer_new(&mapping->options.form, alloc, &mapping->writer, err);
    }
    if (code != TUMBLE_OK) {
        tumble_mapping_destroy(mapping);
        return code;
    }
    *out = mapping;
    return TUMBLE_OK;
}

void tumble_mapping_destroy(struct tumble_mapping *mapping) {
    if (!mapping) {
        return;
    }
    struct tumble_alloc alloc = mapping->alloc;
    for (uint32_t i = 0; i < mapping->lane_count; i++) {
        tw_queue_clean_up(mapping, &mapping->lanes[i].queue);
        tw_buf_clean_up(&mapping->lanes[i].state);
        tw_buf_clean_up(&mapping->lanes[i].next_state);
    }
    tw_buf_clean_up(&mapping->document);
    tw_record_filter_destroy(mapping->filter);
    tumble_event_writer_destroy(mapping->writer);
    tw_free(&alloc, mapping->shards);
    tw_free(&alloc, mapping->lanes);
    tw_free(&alloc, mapping->heap);
    tw_free(&alloc, mapping->slots);
    tw_free(&alloc, mapping);
}

const struct tumble_mapping_metrics *tumble_mapping_metrics(const struct tumble_mapping *mapping) {
    return &mapping->metrics;
}

/* ---- running ---- */

static bool is_over(const struct tumble_mapping *mapping, uint32_t shard) {
    return shard == TUMBLE_NO_SHARD || mapping->shards[shard].lanes_left == 0;
}

static enum tumble_code begin_children(struct tumble_mapping *mapping, uint32_t parent, int64_t now_ms,
                                       struct tumble_error *err);

/* A lane has its next step: into the heap with it, or it is over. */
static enum tumble_code settle(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    if (lane->phase == TW_PHASE_READY || lane->phase == TW_PHASE_RUNNING) {
        heap_push(mapping, (uint32_t)(lane - mapping->lanes));
    } else if (lane->phase == TW_PHASE_DONE) {
        if (--mapping->shards[lane->shard].lanes_left == 0) {
            return begin_children(mapping, lane->shard, lane->next_ms, err);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code begin_shard(struct tumble_mapping *mapping, uint32_t index, int64_t now_ms,
                                    struct tumble_error *err) {
    mapping->shards[index].is_started = true;
    for (uint32_t i = 0; i < mapping->parameters->parallelization_factor; i++) {
        struct tw_lane *lane = &mapping->shards[index].lanes[i];
        TW_TRY(tw_lane_prepare(mapping, lane, now_ms, err));
        TW_TRY(settle(mapping, lane, err));
    }
    return TUMBLE_OK;
}

/* Children are read once all their parents are drained, their last window closed (points 11 and 45). */
static enum tumble_code begin_children(struct tumble_mapping *mapping, uint32_t parent, int64_t now_ms,
                                       struct tumble_error *err) {
    for (uint32_t i = parent + 1; i < mapping->stream.shard_count; i++) {
        const uint32_t *parents = mapping->stream.shards[i].parents;
        if (!mapping->shards[i].is_started && (parents[0] == parent || parents[1] == parent) &&
            is_over(mapping, parents[0]) && is_over(mapping, parents[1])) {
            TW_TRY(begin_shard(mapping, i, now_ms, err));
        }
    }
    return TUMBLE_OK;
}

/* Room was made in the shard: lanes that had nothing to read may go on. */
static enum tumble_code feed_starved(struct tumble_mapping *mapping, uint32_t shard, int64_t now_ms,
                                     struct tumble_error *err) {
    for (uint32_t i = 0; i < mapping->parameters->parallelization_factor; i++) {
        struct tw_lane *lane = &mapping->shards[shard].lanes[i];
        if (lane->phase == TW_PHASE_STARVED) {
            TW_TRY(tw_lane_prepare(mapping, lane, now_ms, err));
            TW_TRY(settle(mapping, lane, err));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code turn(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    int64_t now_ms = lane->next_ms;
    if (lane->phase == TW_PHASE_READY) {
        TW_TRY(tw_lane_send(mapping, lane, err));
    } else {
        TW_TRY(tw_lane_finish(mapping, lane, err));
        TW_TRY(tw_lane_prepare(mapping, lane, now_ms, err));
    }
    TW_TRY(settle(mapping, lane, err));
    return mapping->parameters->parallelization_factor > 1 ? feed_starved(mapping, lane->shard, now_ms, err)
                                                           : TUMBLE_OK;
}

static bool is_disabled(const struct tumble_mapping *mapping, const struct tw_lane *lane) {
    const struct tumble_mapping_options *options = &mapping->options;
    return options->has_pause && lane->phase == TW_PHASE_READY && lane->next_ms >= options->disabled_from_ms &&
           lane->next_ms < options->enabled_again_ms;
}

/* Nothing is sent while the mapping is disabled. Enabled again it goes on behind the last record processed: an open
 * window with its state, a retry as one, a batch or a final that was never sent decided anew, for there may be more
 * records by then. */
static enum tumble_code postpone(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err) {
    int64_t now_ms = mapping->options.enabled_again_ms;
    bool is_untouched = !tw_lane_current(lane)->has_id;
    if (now_ms == INT64_MAX) {
        return TUMBLE_OK; /* it has no next event */
    }
    if (is_untouched && lane->closing == TW_CLOSING_FINAL) {
        lane->closing = TW_CLOSING_NOT;
    } else if (is_untouched && !lane->closing && lane->segment_count == 1) {
        lane->segment_count = 0;
    }
    lane->not_before_ms = lane->not_before_ms > now_ms ? lane->not_before_ms : now_ms;
    TW_TRY(tw_lane_prepare(mapping, lane, now_ms, err));
    return settle(mapping, lane, err);
}

enum tumble_code tumble_mapping_run(struct tumble_mapping *mapping, struct tumble_error *err) {
    if (!mapping->parameters->enabled) {
        return TUMBLE_OK;
    }
    for (uint32_t i = 0; i < mapping->stream.shard_count; i++) {
        const uint32_t *parents = mapping->stream.shards[i].parents;
        if (parents[0] == TUMBLE_NO_SHARD && parents[1] == TUMBLE_NO_SHARD) {
            TW_TRY(begin_shard(mapping, i, mapping->options.start_ms, err));
        }
    }
    while (mapping->heap_count) {
        struct tw_lane *lane = &mapping->lanes[heap_pop(mapping)];
        if (is_disabled(mapping, lane)) {
            TW_TRY(postpone(mapping, lane, err));
            continue;
        }
        mapping->metrics.end_ms = lane->next_ms;
        if (mapping->options.pace && mapping->options.pace(mapping->options.pace_ctx, lane->next_ms)) {
            break;
        }
        TW_TRY(turn(mapping, lane, err));
    }
    return TUMBLE_OK;
}
