#ifndef TUMBLE_RUNNER_SORTER_H
#define TUMBLE_RUNNER_SORTER_H

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

enum tumble_code tumble_sorter_add(struct tumble_sorter *sorter, const struct tumble_captured *record,
                                   int64_t arrival_ms, struct tumble_error *err);
enum tumble_code tumble_sorter_sort(struct tumble_sorter *sorter, struct tumble_error *err);
void tumble_sorter_clean_up(struct tumble_sorter *sorter);

#endif
