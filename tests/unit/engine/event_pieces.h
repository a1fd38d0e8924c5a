#ifndef TESTS_EVENT_PIECES_H
#define TESTS_EVENT_PIECES_H

#include <stdbool.h>

#include <tumble/event.h>

#include "tests/unit/codec/exact_copy.h"

/* How an event is cut: a first piece of so many bytes, then pieces of at_most bytes, or of any number up to that. */
struct cuts {
    size_t first; /* 0: like the others */
    size_t at_most;
    uint64_t random; /* 0: each has at_most */
    bool exact;      /* is_last comes with a piece of no bytes */
};

/* The event in pieces, each of which is gone when the next comes. */
static inline enum tumble_code apply_in_pieces(struct tumble_shard *shard, struct tumble_bytes event,
                                               const struct cuts *cuts, struct tumble_event_result *result,
                                               struct tumble_error *err) {
    uint64_t random = cuts->random;
    enum tumble_code code = tumble_shard_event_begin(shard, err);
    bool is_last = false;
    for (size_t at = 0, pieces = 0; code == TUMBLE_OK && !is_last; pieces++) {
        size_t length = pieces == 0 && cuts->first ? cuts->first
                        : random                   ? random_below(&random, cuts->at_most + 1)
                                                   : cuts->at_most;
        const size_t left = event.length - at;
        length = length < left ? length : left;
        is_last = length == left && !(cuts->exact && left);
        char *copy = exact_copy(event.data + at, length);
        code = tumble_shard_event_feed(shard, (struct tumble_bytes){copy, length}, is_last, NULL, result, err);
        free(copy);
        at += length;
    }
    return code;
}

#endif
