#ifndef TUMBLE_RUNNER_LATENCY_H
#define TUMBLE_RUNNER_LATENCY_H

#include <stdint.h>

/* How long batches took, as a log-linear histogram: 32 buckets an octave of nanoseconds, so a quantile is at most 3.2 %
 * above the true one; the maximum is exact. Zeroed is empty. One thread; merge adds another's counts. */
enum { TUMBLE_LATENCY_BUCKETS = 64 * 32 };

struct tumble_latency {
    uint64_t counts[TUMBLE_LATENCY_BUCKETS];
    uint64_t count;
    uint64_t max_ns;
};

void tumble_latency_add(struct tumble_latency *latency, uint64_t ns);
void tumble_latency_merge(struct tumble_latency *into, const struct tumble_latency *from);
double tumble_latency_quantile_us(const struct tumble_latency *latency, double q); /* 0 when empty */

#endif
