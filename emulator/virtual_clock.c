#include "emulator/emulator.h"

#include <stddef.h>

int tumble_virtual_clock_closed(const struct tumble_virtual_clock *clock, int64_t window_start_ms) {
    int64_t closes_at;
    if (__builtin_add_overflow(window_start_ms, clock->window_ms, &closes_at) ||
        __builtin_add_overflow(closes_at, clock->allowed_lateness_ms, &closes_at)) {
        return 0; /* beyond the end of time */
    }
    return closes_at <= clock->watermark_ms;
}

enum tumble_arrival tumble_virtual_clock_arrive(struct tumble_virtual_clock *clock, int64_t arrival_ms,
                                                int64_t *window_start_ms) {
    /* Windows are half-open and aligned to the epoch, never to the mapping's start (points 1 and 2). */
    int64_t start = clock->recent_start_ms;
    if ((uint64_t)arrival_ms - (uint64_t)start >= (uint64_t)clock->window_ms) {
        start = arrival_ms - arrival_ms % clock->window_ms;
        if (arrival_ms < 0 && arrival_ms % clock->window_ms) {
            start -= clock->window_ms;
        }
        clock->recent_start_ms = start;
    }
    if (window_start_ms) {
        *window_start_ms = start;
    }
    int late = tumble_virtual_clock_closed(clock, start);
    if (arrival_ms > clock->watermark_ms) {
        clock->watermark_ms = arrival_ms;
    }
    return late ? TUMBLE_ARRIVAL_LATE : TUMBLE_ARRIVAL_ON_TIME;
}
