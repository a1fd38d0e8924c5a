#include "runner/latency.h"

enum { SUB_BITS = 5 };

/* Values below 32 have a bucket each; above, the top five bits below the leading one choose among 32 of an octave. */
static uint32_t bucket_of(uint64_t ns) {
    if (ns < 1u << SUB_BITS) {
        return (uint32_t)ns;
    }
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t sub = (uint32_t)(ns >> (octave - SUB_BITS)) & ((1u << SUB_BITS) - 1);
    return ((octave - SUB_BITS + 1) << SUB_BITS) + sub;
}

/* Largest value of a bucket. */
static uint64_t upper_of(uint32_t bucket) {
    uint32_t octave = bucket >> SUB_BITS;
    if (octave == 0) {
        return bucket;
    }
    uint64_t base = (UINT64_C(1) << SUB_BITS) + (bucket & ((1u << SUB_BITS) - 1));
    return ((base + 1) << (octave - 1)) - 1;
}

void tumble_latency_add(struct tumble_latency *latency, uint64_t ns) {
    latency->counts[bucket_of(ns)]++;
    latency->count++;
    if (ns > latency->max_ns) {
        latency->max_ns = ns;
    }
}

void tumble_latency_merge(struct tumble_latency *into, const struct tumble_latency *from) {
    for (uint32_t i = 0; i < TUMBLE_LATENCY_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->count += from->count;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
}

double tumble_latency_quantile_us(const struct tumble_latency *latency, double q) {
    if (latency->count == 0) {
        return 0;
    }
    uint64_t rank = (uint64_t)(q * (double)(latency->count - 1));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < TUMBLE_LATENCY_BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen > rank) {
            uint64_t upper = upper_of(i);
            return (double)(upper < latency->max_ns ? upper : latency->max_ns) / 1000.0;
        }
    }
    return (double)latency->max_ns / 1000.0;
}
