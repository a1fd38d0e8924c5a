#include "runner/watched_function.h"

#include <string.h>

#include "adapters/metrics/prices.h"
#include "runner/memory.h"

enum { SEQUENCE_BYTES = 128 };

/* What one lane of the mapping is at. A final that was answered may yet be found wanting: that its window is over shows
 * with the lane's next request, when that is not the same final again. */
struct tumble_watched_slot {
    int is_open;     /* a window was sent and has no end yet */
    int is_answered; /* so was its final */
    struct tumble_watch_closing closing;
    uint32_t mark_length; /* highest sequence number sent */
    char mark[SEQUENCE_BYTES];
};

static int is_above(struct tumble_bytes sequence, const struct tumble_watched_slot *slot) {
    return sequence.length != slot->mark_length ? sequence.length > slot->mark_length
                                                : memcmp(sequence.data, slot->mark, sequence.length) > 0;
}

/* Records that no attempt before had; they are in order. */
static size_t count_new(struct tumble_watched_slot *slot, const struct tumble_function_request *request) {
    size_t count = request->record_count, from = 0;
    while (from < count && !is_above(request->records[from].sequence, slot)) {
        from++;
    }
    if (from < count) {
        struct tumble_bytes last = request->records[count - 1].sequence;
        slot->mark_length = last.length < SEQUENCE_BYTES ? (uint32_t)last.length : SEQUENCE_BYTES;
        memcpy(slot->mark, last.data, slot->mark_length);
    }
    return count - from;
}

static struct tumble_watched_slot *slot_of(struct tumble_watched_function *function, uint32_t number) {
    while (function->slot_count <= number) {
        size_t before = function->slot_capacity;
        struct tumble_watched_slot *slots =
            tumble_runner_grow(function->slots, function->slot_count, &function->slot_capacity, sizeof *slots);
        if (!slots) {
            return NULL;
        }
        function->slots = slots;
        memset(slots + before, 0, (function->slot_capacity - before) * sizeof *slots);
        function->slot_count++;
    }
    return &function->slots[number];
}

static void close_window(struct tumble_watched_function *function, struct tumble_watched_slot *slot, int is_lost) {
    slot->closing.is_lost = is_lost;
    tumble_watch_window_closed(function->watch, &slot->closing);
    slot->is_open = slot->is_answered = 0;
}

/* What the request tells about the one before it. */
static void follow_window(struct tumble_watched_function *function, struct tumble_watched_slot *slot,
                          const struct tumble_function_request *request, uint32_t shard) {
    if (!request->has_window) {
        return;
    }
    int same = slot->is_open && slot->closing.window_start_ms == request->window_start_ms;
    if (slot->is_answered && !(same && request->is_final)) {
        close_window(function, slot, 0);
    } else if (slot->is_open && !same) { /* its final was given up */
        slot->closing.at_us = request->sent_ms * 1000;
        close_window(function, slot, 1);
    }
    slot->is_open = 1;
    slot->is_answered = 0;
    slot->closing = (struct tumble_watch_closing){.shard = shard,
                                                  .lane = request->lane,
                                                  .is_early = request->is_terminated_early,
                                                  .window_start_ms = request->window_start_ms,
                                                  .window_end_ms = request->window_end_ms,
                                                  .records = -1,
                                                  .groups = -1,
                                                  .state_bytes = (int64_t)request->state.length};
}

static void tell(struct tumble_watched_function *function, struct tumble_watched_slot *slot,
                 const struct tumble_function_request *request, const struct tumble_function_answer *answer) {
    uint32_t shard = tumble_watch_shard(function->watch, request->shard_id);
    int64_t most_us = (request->deadline_ms - request->sent_ms) * 1000;
    int64_t duration_us = answer->duration_us < 0         ? 0
                          : answer->duration_us > most_us ? most_us /* the mapping makes a time-out of it */
                                                          : answer->duration_us;
    int failed =
        answer->duration_us > most_us || (answer->kind != TUMBLE_ANSWER_RESPONSE && answer->kind != TUMBLE_ANSWER_LOST);
    struct tumble_watch_batch batch = {.shard = shard,
                                       .lane = request->lane,
                                       .outcome = answer->kind == TUMBLE_ANSWER_THROTTLED ? TUMBLE_WATCH_THROTTLED
                                                  : failed                                ? TUMBLE_WATCH_ERROR
                                                                                          : TUMBLE_WATCH_SUCCEEDED,
                                       .at_us = request->sent_ms * 1000,
                                       .duration_ns = (uint64_t)duration_us * 1000,
                                       .records = request->record_count,
                                       .iterator_age_ms = -1,
                                       .last_arrival_ms = -1,
                                       .window_start_ms = request->has_window ? request->window_start_ms : -1,
                                       .window_end_ms = request->window_end_ms};
    if (batch.outcome != TUMBLE_WATCH_THROTTLED) {
        follow_window(function, slot, request, shard);
        batch.new_records = count_new(slot, request);
    }
    batch.is_retry =
        request->attempt > 1 || (batch.outcome != TUMBLE_WATCH_THROTTLED && batch.new_records < batch.records);
    for (size_t i = 0; i < request->record_count; i++) {
        const struct tumble_stream_record *record = &request->records[i];
        batch.bytes += record->data.length;
        if (i >= request->record_count - batch.new_records) {
            batch.put_units += tw_put_payload_units(record->data.length + record->partition_key.length);
        }
    }
    if (request->record_count) {
        int64_t arrival_ms = request->records[request->record_count - 1].arrival_ms;
        batch.last_arrival_ms = arrival_ms;
        batch.iterator_age_ms = request->sent_ms > arrival_ms ? request->sent_ms - arrival_ms : 0;
    }
    tumble_watch_batch(function->watch, &batch);
    if (request->has_window && request->is_final && !failed && answer->kind == TUMBLE_ANSWER_RESPONSE) {
        slot->is_answered = 1;
        slot->closing.at_us = request->sent_ms * 1000 + duration_us;
    }
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct tumble_watched_function *function = ctx;
    enum tumble_code code = function->inner.invoke(function->inner.ctx, request, answer, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_watched_slot *slot = slot_of(function, request->shard * function->factor + request->lane);
    if (!slot) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    tell(function, slot, request, answer);
    return TUMBLE_OK;
}

static enum tumble_code recycle(void *ctx, uint32_t slot, struct tumble_error *err) {
    const struct tumble_watched_function *function = ctx;
    return function->inner.recycle(function->inner.ctx, slot, err);
}

void tumble_watched_function_init(struct tumble_watched_function *function, struct tumble_watch *watch,
                                  const struct tumble_emulated_function *inner, uint32_t parallelization_factor,
                                  struct tumble_emulated_function *out) {
    *function = (struct tumble_watched_function){
        .watch = watch, .inner = *inner, .factor = parallelization_factor ? parallelization_factor : 1};
    *out = (struct tumble_emulated_function){
        .ctx = function, .invoke = invoke, .recycle = inner->recycle ? recycle : NULL};
}

void tumble_watched_function_end(struct tumble_watched_function *function, int64_t at_us, int is_whole) {
    for (size_t i = 0; i < function->slot_count; i++) {
        struct tumble_watched_slot *slot = &function->slots[i];
        if (slot->is_answered) {
            close_window(function, slot, 0);
        } else if (slot->is_open && is_whole) {
            slot->closing.at_us = at_us;
            close_window(function, slot, 1);
        }
    }
}

void tumble_watched_function_clean_up(struct tumble_watched_function *function) {
    tumble_runner_free(function->slots);
    function->slots = NULL;
    function->slot_count = function->slot_capacity = 0;
}
