#include "runner/round.h"

#include <string.h>
#include <time.h>

#include "runner/memory.h"

void tumble_round_init(struct tumble_round *round, struct tumble_engine *engine, struct tumble_batch_limits limits) {
    memset(round, 0, sizeof *round);
    round->engine = engine;
    round->limits = limits;
}

static void clean_up_load(struct tumble_load *load) {
    for (size_t i = 0; i < load->run_capacity; i++) {
        tumble_runner_free(load->runs[i].records);
        tumble_runner_free(load->runs[i].origins);
        tumble_runner_free(load->runs[i].shorts);
        tumble_runner_free(load->runs[i].batch_ends);
    }
    tumble_runner_free(load->runs);
    tumble_runner_free(load->refusals);
}

static void destroy_lane(struct tumble_lane *lane) {
    clean_up_load(&lane->loads[0]);
    clean_up_load(&lane->loads[1]);
    tumble_runner_free(lane->latency);
    tumble_runner_free(lane);
}

void tumble_round_clean_up(struct tumble_round *round) {
    for (size_t i = 0; i < round->lane_count; i++) {
        destroy_lane(round->lanes[i]);
    }
    tumble_runner_free(round->lanes);
    tumble_runner_free(round->places[0].spans);
    tumble_runner_free(round->places[1].spans);
    tumble_runner_free(round->applied);
    memset(round, 0, sizeof *round);
}

enum tumble_code tumble_round_lane(struct tumble_round *round, struct tumble_bytes shard_id, struct tumble_lane **out,
                                   struct tumble_error *err) {
    for (size_t i = 0; i < round->lane_count; i++) {
        if (tumble_bytes_equal(tumble_shard_id(round->lanes[i]->shard), shard_id)) {
            *out = round->lanes[i];
            return TUMBLE_OK;
        }
    }
    if (round->workers) {
        tumble_workers_wait(round->workers); /* an engine gets no shard while others are at work */
    }
    struct tumble_shard *shard;
    enum tumble_code code = tumble_engine_shard(round->engine, shard_id, &shard, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_lane **lanes =
        tumble_runner_grow(round->lanes, round->lane_count, &round->lane_capacity, sizeof(struct tumble_lane *));
    if (!lanes) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    round->lanes = lanes;
    struct tumble_lane *lane = tumble_runner_alloc(sizeof *lane);
    if (!lane) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    lane->latency = tumble_runner_alloc(sizeof *lane->latency);
    if (!lane->latency) {
        destroy_lane(lane);
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    lane->shard = shard;
    lane->index = (uint32_t)round->lane_count;
    lane->watch_shard = tumble_watch_shard(round->watch, shard_id);
    round->lanes[round->lane_count++] = lane;
    *out = lane;
    return TUMBLE_OK;
}

/* The run of a window in this round; runs keep their arrays from round to round. */
static struct tumble_run *run_of(struct tumble_load *load, int64_t window_start_ms) {
    for (size_t i = load->run_count; i > 0; i--) {
        if (load->runs[i - 1].window_start_ms == window_start_ms) {
            return &load->runs[i - 1];
        }
    }
    if (load->run_count == load->run_capacity) {
        size_t before = load->run_capacity;
        struct tumble_run *runs = tumble_runner_grow(load->runs, before, &load->run_capacity, sizeof *runs);
        if (!runs) {
            return NULL;
        }
        memset(runs + before, 0, (load->run_capacity - before) * sizeof *runs);
        load->runs = runs;
    }
    struct tumble_run *run = &load->runs[load->run_count++];
    run->window_start_ms = window_start_ms;
    run->count = 0;
    run->batch_count = 0;
    run->applied = 0;
    run->applied_ns = 0;
    tumble_batcher_reset(&run->batcher);
    return run;
}

/* Into the batch at hand, or the next one. */
static inline enum tumble_code count_bytes(struct tumble_round *round, const struct tumble_lane *lane,
                                           struct tumble_run *run, size_t data_bytes, size_t key_bytes,
                                           size_t sequence_digits) {
    size_t bytes = tumble_event_record_bytes(&round->limits, data_bytes, key_bytes, sequence_digits,
                                             tumble_shard_id(lane->shard).length);
    if (tumble_batcher_add(&run->batcher, &round->limits, bytes)) {
        uint32_t *ends =
            tumble_runner_grow(run->batch_ends, run->batch_count, &run->batch_capacity, sizeof *run->batch_ends);
        if (!ends) {
            return TUMBLE_ENOMEM;
        }
        run->batch_ends = ends;
        run->batch_ends[run->batch_count++] = (uint32_t)run->count;
        round->full_batch = 1;
    }
    round->records++;
    round->bytes += bytes;
    round->full_batch |= run->batcher.records >= round->limits.batch_size;
    return TUMBLE_OK;
}

/* Where the next record of a run goes; NULL: no memory. */
static inline struct tumble_record *next_place(struct tumble_run *run) {
    struct tumble_record *records =
        tumble_runner_grow(run->records, run->count, &run->record_capacity, sizeof *run->records);
    if (!records) {
        return NULL;
    }
    run->records = records;
    struct tumble_origin *origins =
        tumble_runner_grow(run->origins, run->count, &run->origin_capacity, sizeof *run->origins);
    if (!origins) {
        return NULL;
    }
    run->origins = origins;
    return &records[run->count];
}

static inline enum tumble_code add(struct tumble_round *round, const struct tumble_lane *lane, struct tumble_run *run,
                                   const struct tumble_record *record, const struct tumble_origin *origin) {
    struct tumble_record *const place = next_place(run);
    if (!place || count_bytes(round, lane, run, record->data.length, record->partition_key.length,
                              record->sequence_number.length) != TUMBLE_OK) {
        return TUMBLE_ENOMEM;
    }
    *place = *record;
    run->origins[run->count++] = *origin;
    return TUMBLE_OK;
}

enum tumble_code tumble_round_add(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                  const struct tumble_record *record, const struct tumble_origin *origin) {
    struct tumble_run *run = run_of(&lane->loads[round->taking], window_start_ms);
    return run ? add(round, lane, run, record, origin) : TUMBLE_ENOMEM;
}

enum tumble_code tumble_round_add_alike(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                        const struct tumble_captured_alike *alike, size_t at, uint64_t ordinal,
                                        size_t *count) {
    struct tumble_run *run = run_of(&lane->loads[round->taking], window_start_ms);
    const int alone = round->lane_count <= 1; /* a full batch ends the round */
    struct tumble_origin origin = {.ordinal = ordinal, .number = alike->number + at, .input = alike->input};
    origin.line = alike->line + at * alike->newlines;
    if (!run) {
        return TUMBLE_ENOMEM;
    }
    for (size_t i = 0; i < *count; i++) {
        origin.offset = alike->offset + (uint64_t)(alike->begins[at + i] - alike->begins[0]);
        if (add(round, lane, run, &alike->records[at + i], &origin) != TUMBLE_OK) {
            return TUMBLE_ENOMEM;
        }
        if ((alone && round->full_batch) || round->bytes >= TUMBLE_ROUND_BYTES) {
            *count = i + 1;
        }
        origin.ordinal++;
        origin.number++;
        origin.line += alike->newlines;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_round_span(struct tumble_round *round, const struct tumble_span *span) {
    size_t *const count = &round->places[round->taking].span_count;
    struct tumble_span *spans = tumble_runner_grow(round->places[round->taking].spans, *count,
                                                   &round->places[round->taking].span_capacity, sizeof *spans);
    if (!spans) {
        return TUMBLE_ENOMEM;
    }
    round->places[round->taking].spans = spans;
    spans[(*count)++] = *span;
    return TUMBLE_OK;
}

/* Those from the front that neither fill a batch nor end the round, as far as there is room for them. */
static size_t add_plain(struct tumble_round *round, const struct tumble_lane *lane, struct tumble_run *run,
                        const struct tumble_short_record *records, size_t count, uint64_t number, size_t key_bytes,
                        size_t sequence_digits) {
    const struct tumble_batch_limits limits = round->limits;
    const size_t shard_bytes = tumble_shard_id(lane->shard).length;
    const size_t most = run->short_capacity - run->count;
    const size_t left = limits.batch_size > run->batcher.records ? limits.batch_size - run->batcher.records - 1 : 0;
    const size_t batch_room = tumble_batcher_room(&run->batcher, &limits);
    const size_t round_room = round->bytes < TUMBLE_ROUND_BYTES ? TUMBLE_ROUND_BYTES - round->bytes - 1 : 0;
    const size_t room = batch_room < round_room ? batch_room : round_room;
    struct tumble_short_record *shorts = run->shorts + run->count;
    size_t used = 0, i = 0;
    count = count < most ? count : most;
    count = count < left ? count : left;
    for (; i < count; i++) {
        const size_t bytes =
            tumble_event_record_bytes(&limits, records[i].data.length, key_bytes, sequence_digits, shard_bytes);
        if (bytes > room - used) {
            break;
        }
        used += bytes;
        shorts[i] = records[i];
        shorts[i].number = number + i;
    }
    run->count += i;
    run->batcher.records += (uint32_t)i;
    run->batcher.bytes += used;
    round->records += i;
    round->bytes += used;
    return i;
}

enum tumble_code tumble_round_add_shorts(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                         const struct tumble_short_record *records, size_t *count, uint64_t number,
                                         size_t key_bytes, size_t sequence_digits) {
    struct tumble_run *run = run_of(&lane->loads[round->taking], window_start_ms);
    const int alone = round->lane_count <= 1; /* a full batch ends the round */
    if (!run) {
        return TUMBLE_ENOMEM;
    }
    for (size_t i = 0; i < *count; i++) {
        if (!(alone && round->full_batch)) {
            i += add_plain(round, lane, run, records + i, *count - i, number + i, key_bytes, sequence_digits);
            if (i == *count) {
                break;
            }
        }
        struct tumble_short_record *shorts =
            tumble_runner_grow(run->shorts, run->count, &run->short_capacity, sizeof *shorts);
        if (!shorts) {
            return TUMBLE_ENOMEM;
        }
        run->shorts = shorts;
        if (count_bytes(round, lane, run, records[i].data.length, key_bytes, sequence_digits) != TUMBLE_OK) {
            return TUMBLE_ENOMEM;
        }
        shorts += run->count++;
        *shorts = records[i];
        shorts->number = number + i;
        if ((alone && round->full_batch) || round->bytes >= TUMBLE_ROUND_BYTES) {
            *count = i + 1;
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_round_refuse(struct tumble_round *round, struct tumble_lane *lane, enum tumble_fate fate,
                                     const struct tumble_record *record, const struct tumble_origin *origin,
                                     const char *reason) {
    struct tumble_load *const load = &lane->loads[round->taking];
    struct tumble_refusal *refusals =
        tumble_runner_grow(load->refusals, load->refusal_count, &load->refusal_capacity, sizeof *refusals);
    if (!refusals) {
        return TUMBLE_ENOMEM;
    }
    load->refusals = refusals;
    struct tumble_refusal *refusal = &refusals[load->refusal_count++];
    refusal->record = *record;
    refusal->origin = *origin;
    refusal->fate = fate;
    size_t length = reason ? strlen(reason) : 0;
    if (length >= sizeof refusal->reason) {
        length = sizeof refusal->reason - 1;
    }
    if (length) {
        memcpy(refusal->reason, reason, length);
    }
    refusal->reason[length] = '\0';
    round->records++;
    round->bytes += record->data.length;
    return TUMBLE_OK;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void tell_batch(const struct tumble_round *round, const struct tumble_lane *lane, const struct tumble_run *run,
                       size_t from, size_t to, uint64_t duration_ns, enum tumble_code code) {
    struct tumble_watch_batch batch = {.shard = lane->watch_shard,
                                       .outcome = code == TUMBLE_OK ? TUMBLE_WATCH_SUCCEEDED : TUMBLE_WATCH_ERROR,
                                       .at_us = tumble_watch_now_us() - (int64_t)(duration_ns / 1000),
                                       .duration_ns = duration_ns,
                                       .records = to - from,
                                       .new_records = to - from,
                                       .iterator_age_ms = -1,
                                       .last_arrival_ms = round->lengthen ? run->shorts[to - 1].arrival_ms
                                                                          : run->records[to - 1].arrival_ms,
                                       .window_start_ms = run->window_start_ms,
                                       .window_end_ms = run->window_start_ms + tumble_engine_window_ms(round->engine)};
    for (size_t i = from; i < to; i++) {
        batch.bytes += round->lengthen ? run->shorts[i].data.length : run->records[i].data.length;
    }
    tumble_watch_batch(round->watch, &batch);
}

static struct tumble_origin origin_of(const struct tumble_round *round, const struct tumble_run *run, size_t index) {
    if (!round->lengthen) {
        return run->origins[index];
    }
    const struct tumble_short_record *record = &run->shorts[index];
    const struct tumble_span *const spans = round->places[round->applying].spans;
    size_t low = 0, high = round->places[round->applying].span_count;
    while (high - low > 1) { /* the last that does not begin behind it */
        size_t middle = low + (high - low) / 2;
        *(spans[middle].origin.ordinal < record->number ? &low : &high) = middle;
    }
    const struct tumble_span *span = &spans[low];
    struct tumble_origin origin = span->origin;
    uint64_t behind = record->number - 1 - origin.ordinal;
    origin.ordinal += behind;
    origin.number += behind;
    origin.offset += (uint64_t)(record->data.data - span->data);
    for (const char *at = span->data; (at = memchr(at, '\n', (size_t)(record->data.data - at))); at++) {
        origin.line++;
    }
    return origin;
}

static void apply_some(const struct tumble_round *round, struct tumble_lane *lane, struct tumble_run *run, size_t from,
                       size_t to) {
    uint64_t start = now_ns();
    struct tumble_error error;
    enum tumble_code code =
        round->lengthen
            ? tumble_shard_apply_short(lane->shard, run->window_start_ms, run->shorts + from, to - from,
                                       round->lengthen, round->lengthen_ctx, NULL, &error)
            : tumble_shard_apply(lane->shard, run->window_start_ms, run->records + from, to - from, NULL, &error);
    uint64_t duration = now_ns() - start;
    run->applied_ns += duration;
    run->applied += to - from;
    if (round->watch) {
        tell_batch(round, lane, run, from, to, duration, code);
    }
    if (code == TUMBLE_OK) {
        return;
    }
    struct tumble_origin origin = {0};
    if (error.record >= 0) {
        origin = origin_of(round, run, from + (size_t)error.record);
    }
    /* Windows of a round are applied one after the other: the earliest record of the input is the one to report. */
    if (lane->code == TUMBLE_OK ||
        (code == TUMBLE_ERECORD && lane->code == TUMBLE_ERECORD && origin.ordinal < lane->failed.ordinal) ||
        (code != TUMBLE_ERECORD && lane->code == TUMBLE_ERECORD)) {
        lane->code = code;
        lane->error = error;
        if (error.record >= 0) {
            lane->failed = origin;
        }
    }
}

static void end_batch(struct tumble_lane *lane, struct tumble_run *run) {
    if (run->applied) {
        tumble_latency_add(lane->latency, run->applied_ns);
        lane->batches++;
    }
    run->applied = 0;
    run->applied_ns = 0;
}

/* to_the_end: the batch at hand is over, too. */
static void apply_run(const struct tumble_round *round, struct tumble_lane *lane, struct tumble_run *run,
                      int to_the_end) {
    size_t from = 0;
    for (size_t b = 0; b <= run->batch_count; b++) {
        size_t to = b < run->batch_count ? run->batch_ends[b] : run->count;
        enum tumble_code before = lane->code;
        if (to > from) {
            apply_some(round, lane, run, from, to);
        }
        if (b < run->batch_count || to_the_end) {
            end_batch(lane, run);
        }
        if (lane->code != before) {
            break; /* what follows in this window comes later in the input */
        }
        from = to;
    }
    run->count = 0;
    run->batch_count = 0;
}

static void apply_lane(const struct tumble_round *round, struct tumble_lane *lane, int to_the_end) {
    struct tumble_load *const load = &lane->loads[round->applying];
    lane->code = TUMBLE_OK;
    for (size_t i = 0; i < load->refusal_count && lane->code == TUMBLE_OK; i++) {
        const struct tumble_refusal *refusal = &load->refusals[i];
        lane->code = tumble_shard_reject(lane->shard, &refusal->record, refusal->fate, refusal->reason, &lane->error);
    }
    load->refusal_count = 0;
    for (size_t r = 0; r < load->run_count && (lane->code == TUMBLE_OK || lane->code == TUMBLE_ERECORD); r++) {
        apply_run(round, lane, &load->runs[r], to_the_end);
    }
}

static void apply_lane_early(void *ctx, uint32_t item) {
    const struct tumble_round *round = ctx;
    apply_lane(round, round->lanes[item], 0);
}

static void apply_whole_lane(void *ctx, uint32_t item) {
    const struct tumble_round *round = ctx;
    apply_lane(round, round->applied[item], 1);
}

/* The lane whose record comes first in the input, of those that failed. */
static enum tumble_code find_failed(struct tumble_lane *const *lanes, size_t count, struct tumble_lane **failed) {
    struct tumble_lane *worst = NULL;
    for (size_t i = 0; i < count; i++) {
        struct tumble_lane *lane = lanes[i];
        if (lane->code != TUMBLE_OK &&
            (!worst || (worst->code == TUMBLE_ERECORD &&
                        (lane->code != TUMBLE_ERECORD || lane->failed.ordinal < worst->failed.ordinal)))) {
            worst = lane;
        }
    }
    *failed = worst;
    return worst ? worst->code : TUMBLE_OK;
}

enum tumble_code tumble_round_apply_early(struct tumble_round *round, struct tumble_workers *workers,
                                          struct tumble_lane **failed) {
    round->applying = round->taking;
    tumble_workers_run(workers, (uint32_t)round->lane_count, apply_lane_early, round);
    round->places[round->taking].span_count = 0;
    return find_failed(round->lanes, round->lane_count, failed);
}

enum tumble_code tumble_round_start(struct tumble_round *round, struct tumble_workers *workers) {
    while (round->applied_capacity < round->lane_count) {
        struct tumble_lane **applied = tumble_runner_grow(round->applied, round->applied_capacity,
                                                          &round->applied_capacity, sizeof(struct tumble_lane *));
        if (!applied) {
            return TUMBLE_ENOMEM;
        }
        round->applied = applied;
    }
    for (size_t i = 0; i < round->lane_count; i++) {
        round->applied[i] = round->lanes[i];
    }
    round->applied_count = round->lane_count;
    round->applying = round->taking;
    round->taking = !round->taking;
    round->records = 0;
    round->bytes = 0;
    round->full_batch = 0;
    round->workers = workers;
    tumble_workers_start(workers, (uint32_t)round->applied_count, apply_whole_lane, round);
    return TUMBLE_OK;
}

enum tumble_code tumble_round_wait(struct tumble_round *round, struct tumble_lane **failed) {
    *failed = NULL;
    if (!round->workers) {
        return TUMBLE_OK;
    }
    tumble_workers_wait(round->workers);
    round->workers = NULL;
    for (size_t i = 0; i < round->applied_count; i++) {
        round->applied[i]->loads[round->applying].run_count = 0;
    }
    round->places[round->applying].span_count = 0;
    round->applying = round->taking;
    return find_failed(round->applied, round->applied_count, failed);
}

enum tumble_code tumble_round_apply(struct tumble_round *round, struct tumble_workers *workers,
                                    struct tumble_lane **failed) {
    *failed = NULL;
    enum tumble_code code = tumble_round_start(round, workers);
    return code == TUMBLE_OK ? tumble_round_wait(round, failed) : code;
}
