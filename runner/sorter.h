#ifndef TUMBLE_RUNNER_SORTER_H
#define TUMBLE_RUNNER_SORTER_H

#include <string.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "adapters/inputs/capture/capture.h"

/* --sort: a finite input, held whole in memory, in the order of its arrival times. Records without sequence numbers of
 * their own go by (arrival, place in the input). Those with one keep the order of their shard (sequence number), and
 * shards are merged by arrival; a record delivered twice stands twice, one behind the other. */
struct tumble_sorted {
    struct tumble_captured record;
    int64_t arrival_ms; /* -1: no usable timestamp; such records come first, in input order */
    uint64_t place;
};

struct tumble_sorter {
    struct tumble_sorted *records;
    size_t count;
    size_t capacity;
    size_t next;
};

/* By length, then byte by byte: for digits without leading zeros the order of the numbers (point 25). */
static inline int tumble_compare_by_length(struct tumble_bytes a, struct tumble_bytes b) {
    if (a.length != b.length) {
        return a.length < b.length ? -1 : 1;
    }
    return a.length ? memcmp(a.data, b.data, a.length) : 0;
}

enum tumble_code tumble_sorter_add(struct tumble_sorter *sorter, const struct tumble_captured *record,
                                   int64_t arrival_ms, struct tumble_error *err);
enum tumble_code tumble_sorter_sort(struct tumble_sorter *sorter, struct tumble_error *err);
void tumble_sorter_clean_up(struct tumble_sorter *sorter);

#endif
