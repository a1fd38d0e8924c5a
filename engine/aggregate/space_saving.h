#ifndef TW_AGGREGATE_SPACE_SAVING_H
#define TW_AGGREGATE_SPACE_SAVING_H

#include "engine/aggregate/total_order.h"

/* Counters of the most frequent keys: SpaceSaving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and
 * Top-k Elements in Data Streams", ICDT 2005), merged as in Agarwal, Cormode, Huang, Phillips, Wei, Yi, "Mergeable
 * Summaries" (ACM TODS 38, 2013) and Cafaro, Pulimeno, Tempesta, "A parallel space saving algorithm" (2016).
 *
 * While every key has a counter of its own all counts are exact and the state is a function of the weights alone. The
 * key that finds no room takes over the lowest counter (of several the one with the greatest key): it then claims what
 * that one had, and that much is its error. With N the sum of all weights and C the capacity, always:
 *   true count of a key that has a counter: from count - error to count;
 *   true count of a key that has none: at most the lowest count, which is at most N / C.
 *
 * Counters are found by a 4-ary trie over a hash of their keys (seeded by process) and ordered by a pairing heap, both
 * of which hang in the counters themselves: a step takes no memory but its own counter. */
struct tw_counter {
    struct tw_counter *branches[4]; /* of the trie */
    struct tw_counter *child;       /* of the heap, as sibling */
    struct tw_counter *sibling;
    uint64_t hash;
    struct tw_total count; /* above 0 */
    struct tw_total error; /* empty: 0; always below count */
    uint32_t text_length;  /* STRING */
    uint8_t type;          /* of the key, enum tumble_type */
    bool risen;            /* since it was placed in the heap: its subtree may hold lower counts */
    uint8_t reserved[2];
    char key[];
};

/* All zero is empty. */
struct tw_space_saving {
    struct tw_counter *root;  /* of the trie */
    struct tw_counter *trees; /* of the heap, linked as siblings; those at the front may not be ordered yet */
    uint32_t count;
    uint32_t overflowed; /* some key lost its counter, or never had one of its own */
};

void tw_counter_key(const struct tw_counter *counter, struct tw_value *key);
/* Highest count first, then by key; pointers to counters, for tw_sort_pointers. */
int tw_counter_rank(const void *a, const void *b);
int tw_counter_compare_keys(const void *a, const void *b);

/* Most heap bytes an add of this key can take, whatever comes before it. */
size_t tw_space_saving_growth(const struct tw_value *key);
/* Adds weight (at least 0; 0 adds nothing). false: the heap has no memory, nothing changed. */
bool tw_space_saving_add(struct tw_space_saving *summary, uint32_t capacity, const struct tw_value *key,
                         const struct tw_decimal *weight, struct tw_heap *heap);
/* A zeroed counter for a key that has none; NULL: no memory. For decoders: neither capacity nor heap order is looked
 * at until the next add, so the count may be filled in behind this call. */
struct tw_counter *tw_space_saving_insert(struct tw_space_saving *summary, const struct tw_value *key,
                                          struct tw_heap *heap);
/* Errors: ENOMEM; summary is then fit for nothing but being dropped with its heap. */
enum tumble_code tw_space_saving_merge(struct tw_space_saving *summary, uint32_t capacity,
                                       const struct tw_space_saving *other, struct tw_heap *heap);
/* The counters in no particular order, in memory of alloc; NULL: there is none. */
struct tw_counter **tw_space_saving_list(const struct tw_space_saving *summary, const struct tumble_alloc *alloc);

#endif
