#include <string.h>

#include "runner/watch_internal.h"

enum { OCTAVE_BITS = 3, OCTAVE = 1 << OCTAVE_BITS };

static void clear_point(struct tumble_watch_series *series, uint32_t index) {
    memset(&series->points[index], 0, sizeof series->points[index]);
    series->points[index].age_most_ms = series->points[index].arrival_most_ms = -1;
    for (uint32_t shard = 0; shard < TUMBLE_WATCH_SHARD_SERIES; shard++) {
        series->ages[shard][index] = -1;
        series->records[shard][index] = 0;
    }
}

void tumble_watch_series_init(struct tumble_watch_series *series) {
    series->began_us = series->now_us = -1;
    series->step_us = TUMBLE_WATCH_FIRST_STEP_US;
    series->count = 0;
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static uint64_t most_of(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void merge_points(struct tumble_watch_point *into, const struct tumble_watch_point *from) {
    into->read_records += from->read_records;
    into->read_bytes += from->read_bytes;
    into->records += from->records;
    into->bytes += from->bytes;
    into->batches += from->batches;
    into->errors += from->errors;
    into->throttles += from->throttles;
    into->retries += from->retries;
    into->windows_closed += from->windows_closed;
    into->fragments_early += from->fragments_early;
    into->commits += from->commits;
    into->deliveries += from->deliveries;
    into->ages += from->ages;
    into->commit_ns += from->commit_ns;
    into->delivery_ns += from->delivery_ns;
    into->age_sum_ms += from->age_sum_ms;
    into->commit_most_ns = most_of(into->commit_most_ns, from->commit_most_ns);
    into->delivery_most_ns = most_of(into->delivery_most_ns, from->delivery_most_ns);
    into->age_most_ms = most(into->age_most_ms, from->age_most_ms);
    into->arrival_most_ms = most(into->arrival_most_ms, from->arrival_most_ms);
    into->waiting_bytes = most_of(into->waiting_bytes, from->waiting_bytes);
    into->memory_bytes = most_of(into->memory_bytes, from->memory_bytes);
    into->open_windows = most_of(into->open_windows, from->open_windows);
    for (uint32_t i = 0; i < TUMBLE_WATCH_SERIES_BUCKETS; i++) {
        into->latency[i] += from->latency[i];
    }
}

/* Neighbours become one, and there is room for as many again. */
static void coarsen(struct tumble_watch_series *series) {
    uint32_t count = (series->count + 1) / 2;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t left = 2 * i, right = left + 1;
        if (i > 0) {
            series->points[i] = series->points[left];
        }
        if (right < series->count) {
            merge_points(&series->points[i], &series->points[right]);
        }
        for (uint32_t shard = 0; shard < TUMBLE_WATCH_SHARD_SERIES; shard++) {
            int64_t *ages = series->ages[shard];
            uint32_t *records = series->records[shard];
            ages[i] = right < series->count ? most(ages[left], ages[right]) : ages[left];
            records[i] = records[left] + (right < series->count ? records[right] : 0);
        }
    }
    series->count = count;
    series->step_us *= 2;
}

struct tumble_watch_point *tumble_watch_series_at(struct tumble_watch_series *series, int64_t at_us) {
    if (series->began_us < 0) {
        series->began_us = series->now_us = at_us;
    }
    series->now_us = most(series->now_us, at_us);
    int64_t past_us = at_us > series->began_us ? at_us - series->began_us : 0;
    while (past_us / series->step_us >= TUMBLE_WATCH_POINTS) {
        coarsen(series);
    }
    uint32_t index = (uint32_t)(past_us / series->step_us);
    while (series->count <= index) {
        clear_point(series, series->count++);
    }
    return &series->points[index];
}

/* 0 … 7 µs have a bucket each; above, the three bits below the leading one choose among 8 of an octave. */
static uint32_t bucket_of(uint64_t us) {
    if (us < OCTAVE) {
        return (uint32_t)us;
    }
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(us);
    uint32_t bucket =
        ((octave - OCTAVE_BITS + 1) << OCTAVE_BITS) + ((uint32_t)(us >> (octave - OCTAVE_BITS)) & (OCTAVE - 1));
    return bucket < TUMBLE_WATCH_SERIES_BUCKETS ? bucket : TUMBLE_WATCH_SERIES_BUCKETS - 1;
}

/* Where the bucket ends. */
static double end_of(uint32_t bucket) {
    uint32_t octave = bucket >> OCTAVE_BITS;
    return octave == 0 ? (double)bucket + 1
                       : (double)((uint64_t)(OCTAVE + (bucket & (OCTAVE - 1)) + 1) << (octave - 1));
}

void tumble_watch_point_add_latency(struct tumble_watch_point *point, uint64_t duration_ns) {
    point->latency[bucket_of(duration_ns / 1000)]++;
}

double tumble_watch_point_latency_us(const struct tumble_watch_point *point, double q) {
    uint64_t count = 0, seen = 0;
    for (uint32_t i = 0; i < TUMBLE_WATCH_SERIES_BUCKETS; i++) {
        count += point->latency[i];
    }
    uint64_t rank = count ? (uint64_t)(q * (double)(count - 1)) : 0;
    for (uint32_t i = 0; i < TUMBLE_WATCH_SERIES_BUCKETS; i++) {
        seen += point->latency[i];
        if (seen > rank) {
            return end_of(i);
        }
    }
    return -1;
}
