#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runner/live_internal.h"

/* Batches of a shard into its windows, in order. A record of a later window closes the earlier ones, one of a window
 * that was closed opens a further fragment (design R10): so where fragments begin and end is decided by the shard's
 * records alone, whoever reads them and however they come, but for windows closed because nothing came. */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- closing ---- */

static int is_closing(const struct live_shard *shard, int64_t start_ms) {
    for (size_t i = 0; i < shard->closing_count; i++) {
        if (shard->closing[i] == start_ms) {
            return 1;
        }
    }
    return 0;
}

static void tell_closed(struct live *live, const struct live_shard *shard, const struct tumble_window_info *info) {
    struct tumble_watch_closing closing = {.shard = shard->watch,
                                           .at_us = tumble_watch_now_us(),
                                           .window_start_ms = info->start_ms,
                                           .window_end_ms = info->end_ms,
                                           .records = (int64_t)info->records,
                                           .groups = (int64_t)info->groups,
                                           .state_bytes = -1};
    tumble_watch_window_closed(live->options->watch, &closing);
}

static enum tumble_code close_one(struct live *live, struct live_shard *shard, int64_t start_ms,
                                  struct tumble_error *err) {
    struct tumble_window_info info;
    enum tumble_code code = tumble_shard_window_info(shard->engine_shard, start_ms, &info, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    tell_closed(live, shard, &info);
    code = tumble_live_share_closed(live, shard, &info, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    if (!tumble_live_push_start(&shard->closing, &shard->closing_count, &shard->closing_capacity, start_ms)) {
        return tumble_live_no_memory(err);
    }
    live->is_dirty = 1;
    return tumble_shard_close(shard->engine_shard, start_ms, err);
}

enum tumble_code tumble_live_close_windows(struct live *live, struct live_shard *shard, int64_t before_ms,
                                           struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    size_t closed = 0;
    while (closed < shard->open_count && shard->open[closed] < before_ms && code == TUMBLE_OK) {
        code = close_one(live, shard, shard->open[closed], err);
        closed += code == TUMBLE_OK;
    }
    if (closed) {
        shard->open_count -= closed;
        memmove(shard->open, shard->open + closed, shard->open_count * sizeof *shard->open);
    }
    return code;
}

enum tumble_code tumble_live_close_idle(struct live *live, struct tumble_error *err) {
    int64_t steady = tumble_live_steady_ms(), now = tumble_kinesis_now_ms(live->stream);
    for (size_t i = 0; i < live->shard_count; i++) {
        struct live_shard *shard = live->shards[i];
        int is_idle =
            shard->tip_since_ms >= 0 && !shard->held && steady - shard->tip_since_ms >= live->options->idle_ms;
        if (is_idle && shard->open_count) {
            enum tumble_code code = tumble_live_close_windows(live, shard, now - live->window_ms + 1, err);
            if (code != TUMBLE_OK) {
                return code;
            }
        }
    }
    return TUMBLE_OK;
}

/* The window is there to be applied to: those before it are closed, it is open or will be. */
static enum tumble_code enter_window(struct live *live, struct live_shard *shard, int64_t start_ms,
                                     struct tumble_error *err) {
    enum tumble_code code = tumble_live_close_windows(live, shard, start_ms, err);
    if (code == TUMBLE_OK && is_closing(shard, start_ms)) { /* a straggler: its window's rows go first */
        code = tumble_live_commit(live, err);
    }
    for (size_t i = shard->open_count; i > 0 && code == TUMBLE_OK; i--) {
        if (shard->open[i - 1] == start_ms) {
            return TUMBLE_OK;
        }
    }
    if (code == TUMBLE_OK &&
        !tumble_live_push_start(&shard->open, &shard->open_count, &shard->open_capacity, start_ms)) {
        code = tumble_live_no_memory(err);
    }
    return code;
}

/* ---- applying ---- */

static void pass(struct live_shard *shard, const struct tumble_kinesis_read *record) {
    memcpy(shard->sequence, record->sequence_number.data, record->sequence_number.length);
    shard->sequence[record->sequence_number.length] = '\0';
    shard->arrival_ms = record->arrival_ms;
}

static void locate(const struct live_shard *shard, const struct tumble_kinesis_read *record, uint64_t part,
                   struct tumble_error *err) {
    struct tumble_error inner = *err;
    char inside[64] = "";
    if (part) {
        snprintf(inside, sizeof inside, ", record %llu of its aggregate", (unsigned long long)part + 1);
    }
    tumble_runner_fail(err, TUMBLE_ERECORD, "shard %.60s, sequence number %.*s%s: %.150s", shard->id,
                       (int)record->sequence_number.length, record->sequence_number.data, inside, inner.text);
    err->byte = inner.byte;
}

static void tell_batch(struct live *live, const struct live_shard *shard, size_t from, size_t to,
                       uint64_t duration_ns) {
    const struct tumble_record *last = &live->run[to - 1];
    int64_t age = tumble_kinesis_now_ms(live->stream) - last->arrival_ms;
    uint64_t bytes = 0;
    for (size_t i = from; i < to; i++) {
        bytes += live->run[i].data.length;
    }
    age = age > 0 ? age : 0;
    live->summary->iterator_age_sum_ms += (double)age;
    if (live->summary->iterator_ages++ == 0 || age < live->summary->iterator_age_least_ms) {
        live->summary->iterator_age_least_ms = age;
    }
    if (age > live->summary->iterator_age_most_ms) {
        live->summary->iterator_age_most_ms = age;
    }
    live->summary->batches++;
    live->uncommitted_bytes += bytes;
    struct tumble_watch_batch told = {.shard = shard->watch,
                                      .outcome = TUMBLE_WATCH_SUCCEEDED,
                                      .at_us = tumble_watch_now_us() - (int64_t)(duration_ns / 1000),
                                      .duration_ns = duration_ns,
                                      .records = to - from,
                                      .new_records = to - from,
                                      .bytes = bytes,
                                      .iterator_age_ms = age,
                                      .last_arrival_ms = last->arrival_ms,
                                      .window_start_ms = live->run_window_ms,
                                      .window_end_ms = live->run_window_ms + live->window_ms};
    tumble_watch_batch(live->options->watch, &told);
}

/* Applies what was gathered, all of one window, in batches. */
static enum tumble_code flush(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch,
                              struct tumble_error *err) {
    enum tumble_code code = live->run_count ? enter_window(live, shard, live->run_window_ms, err) : TUMBLE_OK;
    size_t batch_size = live->options->batch_size;
    for (size_t from = 0; from < live->run_count && code == TUMBLE_OK; from += batch_size) {
        size_t to = live->run_count - from < batch_size ? live->run_count : from + batch_size;
        struct tumble_apply_result result;
        uint64_t began = now_ns();
        code = tumble_shard_apply(shard->engine_shard, live->run_window_ms, live->run + from, to - from, &result, err);
        uint64_t took = now_ns() - began;
        tumble_latency_add(live->latency, took);
        live->is_dirty = 1;
        if (code == TUMBLE_OK) {
            tell_batch(live, shard, from, to, took);
            pass(shard, &batch->records[live->run_index[to - 1]]);
        } else if (code == TUMBLE_ERECORD) {
            size_t failed = from + result.processed;
            uint32_t index = live->run_index[failed];
            if (index > 0) { /* whole records before it stay; of its own aggregate what was applied is known there */
                pass(shard, &batch->records[index - 1]);
            }
            locate(shard, &batch->records[index], live->run[failed].sub_sequence_number, err);
        }
    }
    live->run_count = 0;
    return code;
}

static enum tumble_code gather(struct live *live, const struct tumble_record *record, size_t index,
                               struct tumble_error *err) {
    struct tumble_record *run = tumble_runner_grow(live->run, live->run_count, &live->run_capacity, sizeof *run);
    if (!run) {
        return tumble_live_no_memory(err);
    }
    live->run = run;
    uint32_t *indexes = tumble_runner_grow(live->run_index, live->run_count, &live->index_capacity, sizeof *indexes);
    if (!indexes) {
        return tumble_live_no_memory(err);
    }
    live->run_index = indexes;
    run[live->run_count] = *record;
    indexes[live->run_count++] = (uint32_t)index;
    return TUMBLE_OK;
}

/* Records of an aggregate, or the record itself. */
static enum tumble_code gather_parts(struct live *live, struct live_shard *shard,
                                     const struct tumble_kinesis_read *from, size_t index, struct tumble_error *err) {
    struct tumble_record record = {.data = from->data,
                                   .partition_key = from->partition_key,
                                   .sequence_number = from->sequence_number,
                                   .arrival_ms = from->arrival_ms,
                                   .bad = from->bad};
    enum tumble_kpl_kind kind = TUMBLE_KPL_PLAIN;
    uint64_t count = 0;
    enum tumble_code code = TUMBLE_OK;
    if (!from->bad && !live->options->keep_aggregates && tumble_kpl_suspect(from->data)) {
        code = tumble_kpl_open(live->kpl, from->data, &shard->range, &kind, &count, err);
    }
    if (code != TUMBLE_OK || kind == TUMBLE_KPL_PLAIN) {
        return code == TUMBLE_OK ? gather(live, &record, index, err) : code;
    }
    if (kind == TUMBLE_KPL_FOREIGN) { /* as Amazon's consumer library does; but counted */
        if (live->summary->aggregates_dropped++ == 0) {
            tumble_live_say(live,
                            "note: shard %s: an aggregate of the Kinesis Producer Library holds records of other "
                            "shards: it is passed over, as its producer puts those again (counted, told once)",
                            shard->id);
        }
        for (uint64_t i = 0; i < count && code == TUMBLE_OK; i++) {
            code = tumble_shard_reject(shard->engine_shard, &record, TUMBLE_FATE_DUPLICATE, NULL, err);
        }
        return code;
    }
    struct tumble_kpl_record part;
    while (code == TUMBLE_OK && tumble_kpl_next(live->kpl, &part)) {
        record.data = part.data;
        record.partition_key = part.partition_key;
        record.sub_sequence_number = part.sub_sequence_number;
        record.bad = part.bad;
        code = gather(live, &record, index, err);
    }
    return code;
}

static void note_arrival(struct live *live, int64_t arrival_ms) {
    struct tumble_live_summary *summary = live->summary;
    if (summary->first_arrival_ms < 0 || arrival_ms < summary->first_arrival_ms) {
        summary->first_arrival_ms = arrival_ms;
    }
    if (arrival_ms > summary->last_arrival_ms) {
        summary->last_arrival_ms = arrival_ms;
    }
}

/* Too old to be wanted: it is not applied, and goes where late records go. */
static enum tumble_code expire(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch,
                               size_t index, struct tumble_error *err) {
    const struct tumble_kinesis_read *from = &batch->records[index];
    struct tumble_record record = {.data = from->data,
                                   .partition_key = from->partition_key,
                                   .sequence_number = from->sequence_number,
                                   .arrival_ms = from->arrival_ms};
    char reason[96];
    snprintf(reason, sizeof reason, "it was older than the maximum record age of %lld s",
             (long long)(live->options->maximum_record_age_ms / 1000));
    enum tumble_code code = flush(live, shard, batch, err);
    if (code == TUMBLE_OK) {
        code = tumble_shard_reject(shard->engine_shard, &record, TUMBLE_FATE_LATE, reason, err);
    }
    if (code == TUMBLE_OK) {
        pass(shard, from);
        live->is_dirty = 1;
    }
    return code;
}

/* Another process delivered what this record is part of, before the shard came here. */
static enum tumble_code pass_over(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch,
                                  size_t index, struct tumble_error *err) {
    const struct tumble_kinesis_read *from = &batch->records[index];
    struct tumble_record record = {.data = from->data, .sequence_number = from->sequence_number};
    enum tumble_code code = flush(live, shard, batch, err);
    if (code == TUMBLE_OK) {
        code = tumble_shard_reject(shard->engine_shard, &record, TUMBLE_FATE_DUPLICATE, NULL, err);
    }
    if (code == TUMBLE_OK) {
        pass(shard, from);
    }
    return code;
}

/* The process before this one closed the window behind this record, and rows that say so may have left. */
static enum tumble_code end_as_recorded(struct live *live, struct live_shard *shard,
                                        const struct tumble_live_batch *batch, int64_t start_ms,
                                        struct tumble_error *err) {
    enum tumble_code code = flush(live, shard, batch, err);
    for (size_t i = 0; i < shard->open_count && code == TUMBLE_OK; i++) {
        if (shard->open[i] == start_ms) {
            code = close_one(live, shard, start_ms, err);
            shard->open_count--;
            memmove(shard->open + i, shard->open + i + 1, (shard->open_count - i) * sizeof *shard->open);
            break;
        }
    }
    return code;
}

static enum tumble_code apply_records(struct live *live, struct live_shard *shard,
                                      const struct tumble_live_batch *batch, struct tumble_error *err) {
    int64_t oldest = live->options->maximum_record_age_ms < 0
                         ? INT64_MIN
                         : tumble_kinesis_now_ms(live->stream) - live->options->maximum_record_age_ms;
    enum tumble_code code = TUMBLE_OK;
    live->run_count = 0;
    for (size_t i = 0; i < batch->count && code == TUMBLE_OK; i++) {
        const struct tumble_kinesis_read *record = &batch->records[i];
        int64_t arrival_ms = record->arrival_ms > 0 ? record->arrival_ms : 0;
        int64_t start_ms = arrival_ms - arrival_ms % live->window_ms;
        note_arrival(live, arrival_ms);
        if (arrival_ms < oldest) {
            code = expire(live, shard, batch, i, err);
            continue;
        }
        if (live->run_count && start_ms != live->run_window_ms) {
            code = flush(live, shard, batch, err);
        }
        const struct live_fragment *cut = tumble_live_share_cut(shard, start_ms, record->sequence_number);
        if (cut && cut->cut.is_delivered) {
            code = code == TUMBLE_OK ? pass_over(live, shard, batch, i, err) : code;
            continue;
        }
        int ends = cut && tumble_bytes_equal(tumble_bytes_of(cut->cut.last), record->sequence_number);
        live->run_window_ms = start_ms;
        if (code == TUMBLE_OK) {
            code = gather_parts(live, shard, record, i, err);
        }
        if (code == TUMBLE_OK && ends) {
            code = end_as_recorded(live, shard, batch, start_ms, err);
        }
    }
    code = code == TUMBLE_OK ? flush(live, shard, batch, err) : code;
    if (code == TUMBLE_OK && batch->count) { /* the last may have been an aggregate of nothing */
        pass(shard, &batch->records[batch->count - 1]);
        live->is_dirty = 1;
    }
    return code;
}

static enum tumble_code apply_batch(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch,
                                    struct tumble_error *err) {
    enum tumble_code code = apply_records(live, shard, batch, err);
    if (code == TUMBLE_OK && batch->is_end) {
        code = tumble_live_close_windows(live, shard, INT64_MAX, err);
        shard->phase = LIVE_DRAINED;
        shard->feed = 0;
        shard->behind_ms = -1;
        live->is_dirty = 1;
    }
    return code;
}

/* ---- what waits for its batch to fill ---- */

static enum tumble_code apply_waiting(struct live *live, struct live_shard *shard, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    while (shard->held && code == TUMBLE_OK) {
        struct tumble_live_batch *batch = shard->held;
        shard->held = batch->next;
        code = apply_batch(live, shard, batch, err);
        tumble_live_batch_free(batch);
    }
    if (!shard->held) {
        shard->held_last = &shard->held;
        shard->held_records = 0;
    }
    return code;
}

/* As Lambda's own batching: until the batch is full, its time is over, its window is, or the shard ends. */
static int may_wait(const struct live *live, const struct live_shard *shard, const struct tumble_live_batch *batch) {
    const struct tumble_kinesis_read *first = shard->held && shard->held->count ? &shard->held->records[0] : NULL;
    if (live->options->batching_window_ms == 0 || batch->is_end || live->stopping ||
        shard->held_records >= live->options->batch_size) {
        return 0;
    }
    if (first && batch->count &&
        first->arrival_ms / live->window_ms != batch->records[batch->count - 1].arrival_ms / live->window_ms) {
        return 0;
    }
    return tumble_live_steady_ms() - shard->held_since_ms < live->options->batching_window_ms;
}

enum tumble_code tumble_live_apply_held(struct live *live, int all, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    int64_t now = live->options->batching_window_ms ? tumble_live_steady_ms() : 0;
    for (size_t i = 0; live->options->batching_window_ms && i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        if (shard->held && (all || now - shard->held_since_ms >= live->options->batching_window_ms)) {
            code = apply_waiting(live, shard, err);
        }
    }
    return code;
}

/* ---- what a poll says beside its records ---- */

static void tell_trouble(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch) {
    enum { PATIENCE_MS = 3000 };
    int64_t at = tumble_watch_now_us();
    if (batch->trouble[0]) {
        live->summary->throttles += batch->throttled != 0;
        live->summary->troubles += batch->throttled == 0;
        tumble_watch_event(live->options->watch,
                           batch->throttled ? TUMBLE_WATCH_READ_THROTTLED : TUMBLE_WATCH_READ_ERROR, shard->watch, at);
        live->troubled_shards += !shard->is_in_trouble;
        shard->is_in_trouble = 1;
        shard->tip_since_ms = -1; /* nobody knows */
        if (!live->trouble_told && (batch->failing_for_ms >= PATIENCE_MS || batch->failures >= 5)) {
            live->trouble_told = 1;
            tumble_live_say(live, "reading is in trouble (shard %s: %s): it is tried again until it works", shard->id,
                            batch->trouble);
        }
    } else if (shard->is_in_trouble && (batch->asked || batch->count)) {
        shard->is_in_trouble = 0;
        if (--live->troubled_shards == 0 && live->trouble_told) {
            live->trouble_told = 0;
            tumble_live_say(live, "reading works again");
        }
    }
    if (batch->renewed) {
        live->summary->iterators_expired++;
        tumble_watch_event(live->options->watch, TUMBLE_WATCH_ITERATOR_EXPIRED, shard->watch, at);
    }
    if (batch->gap[0]) {
        live->summary->gaps++;
        tumble_live_say(live, "warning: %s", batch->gap);
    }
}

static void look_at(struct live *live, struct live_shard *shard, const struct tumble_live_batch *batch) {
    tell_trouble(live, shard, batch);
    if (batch->asked) {
        tumble_watch_took(live->options->watch, TUMBLE_WATCH_GET_RECORDS, tumble_watch_now_us(),
                          (uint64_t)(batch->get_records_ms > 0 ? batch->get_records_ms : 0) * 1000000);
        shard->behind_ms = batch->millis_behind_latest;
        int at_tip = batch->count == 0 && batch->millis_behind_latest <= 0;
        if (!at_tip) {
            shard->tip_since_ms = -1;
        } else if (shard->tip_since_ms < 0) {
            shard->tip_since_ms = batch->taken_steady_ms;
        }
    }
    live->summary->records_read += batch->count;
    live->summary->bytes_read += batch->bytes;
}

static enum tumble_code fail_for_good(const struct live_shard *shard, const struct tumble_live_batch *batch,
                                      struct tumble_error *err) {
    /* Mid-run, keys that expired are an input that cannot be read any more, not a wrong command. */
    enum tumble_code code = batch->code == TUMBLE_EUSAGE ? TUMBLE_EINPUT : batch->code;
    return tumble_runner_fail(err, code, "shard %.40s: %.250s", shard->id, batch->error.text);
}

enum tumble_code tumble_live_apply(struct live *live, struct tumble_live_batch *batch, struct tumble_error *err) {
    struct live_shard *shard = batch->owner;
    enum tumble_code code = TUMBLE_OK;
    if (batch->serial != shard->feed) { /* of before it was given up */
        tumble_live_batch_free(batch);
        return TUMBLE_OK;
    }
    if (batch->code != TUMBLE_OK) {
        code = fail_for_good(shard, batch, err);
        tumble_live_batch_free(batch);
        return code;
    }
    look_at(live, shard, batch);
    if (batch->count == 0 && !batch->is_end) {
        tumble_live_batch_free(batch);
        return TUMBLE_OK;
    }
    if (!shard->held) {
        shard->held_since_ms = batch->taken_steady_ms;
    }
    shard->held_records += batch->count;
    int waits = may_wait(live, shard, batch);
    batch->next = NULL;
    *shard->held_last = batch;
    shard->held_last = &batch->next;
    return waits ? TUMBLE_OK : apply_waiting(live, shard, err);
}
