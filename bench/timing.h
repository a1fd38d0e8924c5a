#ifndef TUMBLE_BENCH_TIMING_H
#define TUMBLE_BENCH_TIMING_H

/* What programs share that time a function: a clock, and values that are drawn alike in every run. */

#include <stdint.h>
#include <time.h>

static inline double now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

/* Marsaglia, "Xorshift RNGs" (2003). */
static inline uint64_t draw(uint64_t below) {
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static inline int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
