#ifndef TW_AGGREGATE_DDSKETCH_BLOCK_H
#define TW_AGGREGATE_DDSKETCH_BLOCK_H

#include <string.h>

#include "engine/aggregate/ddsketch.h"

/* How a DDSketch lies in its block (ddsketch.h, "Memory"); for the files of ddsketch alone. */

struct tw_sketch_ends { /* the front of a block */
    struct tw_decimal least;
    struct tw_decimal greatest;
};

/* Behind the ends, where there is a window. */
struct tw_sketch_reach {
    int32_t first;     /* the window's */
    uint32_t places;   /* a multiple of 8 */
    uint32_t capacity; /* for buckets outside the window */
    uint32_t others;   /* of these there are */
    int32_t low;       /* the lowest and the highest bucket there is */
    int32_t high;
    int32_t inner; /* the window's part whose numbers cannot be an end: from here on so many places */
    uint32_t inner_places;
};

/* The parts of a block. */
struct tw_sketch_parts {
    struct tw_sketch_ends *ends;
    struct tw_sketch_reach *reach; /* NULL: no window */
    int32_t first;
    uint32_t places;  /* of the window */
    uint8_t *near;    /* of the window's counts what was counted last: 0: no such bucket */
    uint64_t *window; /* the rest of them */
    uint32_t others;  /* outside the window: counts, and buckets ascending */
    uint32_t capacity;
    uint64_t *counts;
    int32_t *buckets;
};

enum {
    TW_SKETCH_BUCKET = sizeof(uint64_t) + sizeof(int32_t),
    TW_SKETCH_FRONT = sizeof(struct tw_sketch_ends) + sizeof(struct tw_sketch_reach),
    TW_SKETCH_WINDOWED = 9, /* log2 of the least block with a window */
    TW_SKETCH_NARROW = ((1 << (TW_SKETCH_WINDOWED - 1)) - sizeof(struct tw_sketch_ends)) / TW_SKETCH_BUCKET,
    TW_SKETCH_NO_WINDOW = 1 << 30 /* first of a window that holds nothing: no bucket is near */
};

/* Of a block without a window. */
static inline uint32_t tw_sketch_narrow_capacity(unsigned block_log2) {
    const size_t bytes = (size_t)1 << block_log2;
    return block_log2 ? (uint32_t)((bytes - sizeof(struct tw_sketch_ends)) / TW_SKETCH_BUCKET) : 0;
}

static inline struct tw_sketch_reach *tw_sketch_reach_of(char *block) {
    return (void *)(block + sizeof(struct tw_sketch_ends));
}

static inline struct tw_sketch_parts tw_sketch_parts_of(const struct tw_ddsketch *sketch) {
    const bool windowed = sketch->block_log2 >= TW_SKETCH_WINDOWED;
    struct tw_sketch_parts parts;
    parts.ends = (void *)sketch->block;
    parts.reach = windowed ? tw_sketch_reach_of(sketch->block) : NULL;
    parts.first = windowed ? parts.reach->first : TW_SKETCH_NO_WINDOW;
    parts.places = windowed ? parts.reach->places : 0;
    parts.near = (void *)(sketch->block + (windowed ? TW_SKETCH_FRONT : sizeof(struct tw_sketch_ends)));
    parts.window = (void *)(parts.near + parts.places);
    parts.capacity = windowed ? parts.reach->capacity : tw_sketch_narrow_capacity(sketch->block_log2);
    parts.others = windowed ? parts.reach->others : sketch->count;
    parts.counts = parts.window + parts.places;
    parts.buckets = (void *)(parts.counts + parts.capacity);
    return parts;
}

/* After any change of the window, the ends' buckets, or how many lie outside the window. A number one bucket beside an
 * end may still be the end: ddsketch_index.h. */
static inline void tw_sketch_changed(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules) {
    const struct tw_sketch_parts parts = tw_sketch_parts_of(sketch);
    struct tw_sketch_reach *reach = parts.reach;
    const uint32_t room = parts.capacity > rules->limit ? UINT16_MAX : parts.capacity - parts.others;
    sketch->room = room < UINT16_MAX ? (uint16_t)room : UINT16_MAX;
    if (reach) {
        const int32_t end = parts.first + (int32_t)parts.places;
        const int32_t from = reach->low + 2 > parts.first ? reach->low + 2 : parts.first;
        const int32_t to = reach->high - 1 < end ? reach->high - 1 : end;
        reach->inner = from;
        reach->inner_places = to > from ? (uint32_t)(to - from) : 0;
    }
}

/* Adds to the count at a place of the window; true: it was 0. */
static inline bool tw_sketch_raise(const struct tw_sketch_parts *parts, uint32_t place, uint64_t count) {
    const bool fresh = parts->near[place] == 0;
    parts->window[place] += parts->near[place] + count - 1;
    parts->near[place] = 1;
    return fresh;
}

static inline bool tw_sketch_is_zero(const struct tw_decimal *number) { return number->low == 0 && number->high == 0; }

/* How many buckets stand below this one. */
static inline uint32_t tw_sketch_rank(const int32_t *buckets, uint32_t count, int32_t bucket) {
    if (count == 0 || bucket <= buckets[0]) {
        return 0;
    }
    if (bucket > buckets[count - 1]) {
        return count;
    }
    /* No two are equal: at most this many stand below it, and at most that many above. */
    uint32_t most = (uint32_t)(bucket - buckets[0]);
    uint32_t above = (uint32_t)(buckets[count - 1] - bucket);
    uint32_t high = most < count - 1 ? most : count - 1;
    uint32_t low = above < count - 1 ? count - 1 - above : 0;
    const int32_t *at = buckets + low;
    for (uint32_t left = high - low; left; left -= (left + 1) / 2) {
        at += at[(left + 1) / 2 - 1] < bucket ? (left + 1) / 2 : 0;
    }
    return (uint32_t)(at - buckets);
}

/* All buckets in ascending order: those below the window, its places, those above it. */
struct tw_sketch_list {
    struct tw_sketch_parts parts;
    uint32_t below;
    uint32_t length; /* places without a bucket among them */
};

static inline struct tw_sketch_list tw_sketch_list_of(const struct tw_ddsketch *sketch) {
    struct tw_sketch_list list;
    list.parts = tw_sketch_parts_of(sketch);
    list.below = tw_sketch_rank(list.parts.buckets, list.parts.others, list.parts.first);
    list.length = list.parts.others + list.parts.places;
    return list;
}

/* How many numbers the bucket at a place of the list holds; 0: there is none. */
static inline uint64_t tw_sketch_entry(const struct tw_sketch_list *list, uint32_t at, int32_t *bucket) {
    const struct tw_sketch_parts *parts = &list->parts;
    const uint32_t place = at - list->below;
    if (place < parts->places) {
        *bucket = parts->first + (int32_t)place;
        return parts->window[place] + parts->near[place];
    }
    const uint32_t other = at < list->below ? at : at - parts->places;
    *bucket = parts->buckets[other];
    return parts->counts[other];
}

/* What was counted last at eight places of the window, from one that is a multiple of 8: the first in the lowest byte.
 */
static inline uint64_t tw_sketch_eight(const struct tw_sketch_parts *parts, uint32_t place) {
    uint64_t eight;
    memcpy(&eight, parts->near + place, sizeof eight);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return eight;
}

/* Size of a block that holds this many buckets wherever they are. */
size_t tw_sketch_block_size(size_t buckets);
/* A block that has room for `more` buckets more, wherever they are, and the window where it holds the most. The least
 * that leaves a quarter free, but never more than block_size of them all, and that at once when all of them are to have
 * room outside the window. False: no memory, nothing changed. */
bool tw_sketch_lay_out(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t more,
                       bool all_outside, struct tw_heap *heap);

/* Size of a block with a window from low to high; 0: that is too wide. */
size_t tw_sketch_wide_size(int32_t low, int32_t high);
/* Moves a sketch nearly all of whose buckets lie there, and whose block is smaller, to such a block. False: not so, or
 * no memory; nothing changed. */
bool tw_sketch_widen(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t low, int32_t high,
                     struct tw_heap *heap);

#endif
