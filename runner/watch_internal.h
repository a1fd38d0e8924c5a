#ifndef TUMBLE_RUNNER_WATCH_INTERNAL_H
#define TUMBLE_RUNNER_WATCH_INTERNAL_H

#include <pthread.h>

#include "runner/watch.h"

/* watch.c: totals, and the lock · watch_series.c: figures over time · watch_timeline.c: windows and their fragments. */

enum { TUMBLE_WATCH_SLOTS = 2 * TUMBLE_WATCH_FRAGMENTS, TUMBLE_WATCH_SHARD_SLOTS = 1024 };

struct tumble_watch_series {
    int64_t began_us; /* -1: nothing was told yet */
    int64_t now_us;
    int64_t step_us;
    uint32_t count;
    struct tumble_watch_point points[TUMBLE_WATCH_POINTS];
    int64_t ages[TUMBLE_WATCH_SHARD_SERIES][TUMBLE_WATCH_POINTS];
    uint32_t records[TUMBLE_WATCH_SHARD_SERIES][TUMBLE_WATCH_POINTS];
};

struct tumble_watch_fragments {
    struct tumble_watch_fragment list[TUMBLE_WATCH_FRAGMENTS];
    uint32_t count;
    uint32_t every;
    uint64_t left_out_shards;
    uint16_t slots[TUMBLE_WATCH_SLOTS]; /* index + 1 of the latest fragment of a window of a shard; 0: free */
};

struct tumble_watch {
    pthread_mutex_t lock;
    struct tumble_watch_view view;
    struct tumble_watch_histogram took[TUMBLE_WATCH_WORKS];
    struct tumble_watch_histogram batch_records;
    struct tumble_watch_shard shards[TUMBLE_WATCH_SHARDS + 1];
    uint16_t shard_slots[TUMBLE_WATCH_SHARD_SLOTS]; /* index + 1 */
    struct tumble_watch_peaks peaks;
    struct tumble_watch_output outputs[TUMBLE_WATCH_OUTPUTS];
    struct tumble_watch_series series;
    struct tumble_watch_fragments fragments;
};

void tumble_watch_series_init(struct tumble_watch_series *series);
/* The step of that instant; instants before the first one are of the first. */
struct tumble_watch_point *tumble_watch_series_at(struct tumble_watch_series *series, int64_t at_us);
void tumble_watch_point_add_latency(struct tumble_watch_point *point, uint64_t duration_ns);

void tumble_watch_fragments_init(struct tumble_watch_fragments *fragments);
/* Its open fragment, begun when there is none; NULL: it is not of those that are kept. */
struct tumble_watch_fragment *tumble_watch_fragments_open(struct tumble_watch_fragments *fragments, uint32_t shard,
                                                          uint32_t lane, int64_t start_ms, int64_t end_ms,
                                                          int64_t at_us);

#endif
