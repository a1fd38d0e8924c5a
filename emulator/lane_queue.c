#include "engine/base/fail.h"
#include "engine/codec/hash.h"

#include "emulator/mapping_internal.h"

/* From the stream into the queues. Polling takes no part of its own in the simulation: when a poller sees a record
 * follows from the record's arrival alone. */

void tw_queue_clean_up(struct tumble_mapping *mapping, struct tw_queue *queue) {
    tw_free(&mapping->alloc, queue->records);
    tw_free(&mapping->alloc, queue->marks);
    memset(queue, 0, sizeof *queue);
}

static enum tumble_code make_room(struct tumble_mapping *mapping, struct tw_queue *queue, size_t extra,
                                  struct tumble_error *err) {
    if (queue->capacity - queue->end >= extra) {
        return TUMBLE_OK;
    }
    size_t begin = queue->front - queue->answered;
    size_t kept = queue->end - begin;
    if (kept + extra > queue->capacity / 2) { /* else moving would be done too often */
        size_t capacity = 2 * (kept + extra);
        struct tumble_stream_record *records =
            tw_resize(&mapping->alloc, queue->records, queue->capacity * sizeof *records, capacity * sizeof *records);
        if (!records) {
            return tw_no_memory(err);
        }
        queue->records = records;
        struct tw_mark *marks =
            tw_resize(&mapping->alloc, queue->marks, queue->capacity * sizeof *marks, capacity * sizeof *marks);
        if (!marks) {
            return tw_no_memory(err);
        }
        queue->marks = marks;
        queue->capacity = capacity;
    }
    memmove(queue->records, queue->records + begin, kept * sizeof *queue->records);
    memmove(queue->marks, queue->marks + begin, kept * sizeof *queue->marks);
    queue->front -= begin;
    queue->end -= begin;
    return TUMBLE_OK;
}

/* Before where the mapping begins to read? Once begun, every record counts. */
static bool is_skipped(struct tumble_mapping *mapping, struct tw_shard *shard, int64_t arrival_ms) {
    if (shard->is_begun) {
        return false;
    }
    switch (mapping->parameters->starting_position) {
    case TUMBLE_LATEST:
        if (mapping->options.arrival == TUMBLE_ARRIVAL_BACKLOG || arrival_ms < mapping->options.start_ms) {
            return true;
        }
        break;
    case TUMBLE_AT_TIMESTAMP:
        if (arrival_ms < mapping->parameters->starting_position_timestamp_ms) {
            return true;
        }
        break;
    default: break;
    }
    shard->is_begun = true;
    return false;
}

/* The first poll that sees the record. */
static int64_t available_ms(const struct tumble_mapping *mapping, struct tw_shard *shard, int64_t arrival_ms) {
    int64_t start = mapping->options.start_ms;
    if (mapping->options.arrival == TUMBLE_ARRIVAL_BACKLOG) {
        return start;
    }
    if (arrival_ms > shard->visible_ms) { /* records come in order, whatever their clocks say */
        int64_t interval = mapping->options.poll_interval_ms;
        int64_t behind = arrival_ms - start;
        int64_t rest = interval > 0 ? behind % interval : 0;
        shard->visible_ms = arrival_ms + (rest ? interval - rest : 0);
    }
    return shard->visible_ms;
}

static inline struct tw_lane *lane_of(const struct tumble_mapping *mapping, const struct tw_shard *shard,
                                      const struct tumble_stream_record *record) {
    uint32_t factor = mapping->parameters->parallelization_factor;
    return factor == 1 ? shard->lanes
                       : &shard->lanes[tw_hash64(record->partition_key.data, record->partition_key.length) % factor];
}

/* The first record of the shard that a lane may still look at. */
static uint64_t first_needed(const struct tw_shard *shard, const struct tw_queue *queue) {
    size_t begin = queue->front - queue->answered;
    return begin < queue->end ? queue->marks[begin].position : shard->pulled;
}

static void tell_done(struct tumble_mapping *mapping, uint32_t index) {
    const struct tw_shard *shard = &mapping->shards[index];
    uint64_t position = shard->pulled;
    if (!mapping->stream.done) {
        return;
    }
    for (uint32_t i = 0; i < mapping->parameters->parallelization_factor; i++) {
        uint64_t needed = first_needed(shard, &shard->lanes[i].queue);
        position = needed < position ? needed : position;
    }
    mapping->stream.done(mapping->stream.ctx, index, position);
}

static enum tumble_code pull(struct tumble_mapping *mapping, uint32_t index, struct tumble_error *err) {
    struct tw_shard *shard = &mapping->shards[index];
    size_t count = 0, kept = 0;
    TW_TRY(mapping->stream.read(mapping->stream.ctx, index, mapping->pulled, TW_RECORDS_PULLED, &count, err));
    if (count == 0) {
        shard->is_drained = true;
        return TUMBLE_OK;
    }
    uint32_t factor = mapping->parameters->parallelization_factor;
    for (uint32_t i = 0; i < factor; i++) {
        TW_TRY(make_room(mapping, &shard->lanes[i].queue, count, err));
    }
    for (size_t i = 0; i < count; i++) {
        const struct tumble_stream_record *record = &mapping->pulled[i];
        uint64_t position = shard->pulled++;
        if (is_skipped(mapping, shard, record->arrival_ms)) {
            mapping->metrics.skipped_by_starting_position++;
            continue;
        }
        mapping->metrics.polled_event_count++;
        int64_t available = available_ms(mapping, shard, record->arrival_ms);
        if (mapping->filter && !tw_record_filter_passes(mapping->filter, record->data)) {
            mapping->metrics.filtered_out_event_count++;
            continue;
        }
        struct tw_queue *queue = &lane_of(mapping, shard, record)->queue;
        queue->marks[queue->end].available_ms = available;
        queue->marks[queue->end].position = position;
        queue->records[queue->end++] = *record;
        shard->buffered++;
        kept++;
    }
    if (kept < count) {
        tell_done(mapping, index);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_lane_reach(struct tumble_mapping *mapping, struct tw_lane *lane, size_t index, bool *there,
                               bool *full, struct tumble_error *err) {
    struct tw_shard *shard = &mapping->shards[lane->shard];
    size_t room = mapping->options.read_ahead_records +
                  (size_t)mapping->parameters->batch_size * mapping->parameters->parallelization_factor;
    *full = false;
    while (tw_queue_length(&lane->queue) <= index) {
        if (shard->is_drained) {
            *there = false;
            return TUMBLE_OK;
        }
        if (mapping->parameters->parallelization_factor > 1 && shard->buffered >= room) {
            *there = false;
            *full = true;
            return TUMBLE_OK;
        }
        TW_TRY(pull(mapping, lane->shard, err));
    }
    *there = true;
    return TUMBLE_OK;
}

void tw_lane_pop(struct tumble_mapping *mapping, struct tw_lane *lane, size_t count, bool answered) {
    struct tw_queue *queue = &lane->queue;
    queue->front += count;
    mapping->shards[lane->shard].buffered -= count;
    queue->answered = answered && mapping->window_length_ms ? queue->answered + count : 0;
    if (queue->answered > TW_ANSWERED_KEPT) {
        queue->answered = TW_ANSWERED_KEPT;
    }
    tell_done(mapping, lane->shard);
}

void tw_lane_forget_answered(struct tumble_mapping *mapping, struct tw_lane *lane) {
    lane->queue.answered = 0;
    tell_done(mapping, lane->shard);
}
