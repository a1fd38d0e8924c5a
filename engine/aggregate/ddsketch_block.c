#include "engine/aggregate/ddsketch_block.h"

#include "engine/aggregate/aggregate.h"

size_t tw_sketch_block_size(size_t buckets) {
    return buckets <= TW_SKETCH_NARROW ? tw_heap_size(sizeof(struct tw_sketch_ends) + buckets * TW_SKETCH_BUCKET)
                                       : tw_heap_size(2 * (TW_SKETCH_FRONT + buckets * TW_SKETCH_BUCKET));
}

/* A sketch's buckets. */
struct all {
    struct tw_sketch_list list;
    uint32_t count;
    int32_t low; /* where count is not 0 */
    int32_t high;
};

/* Where a window of so many places holds the most buckets, and how many. */
static uint32_t best_window(const struct all *all, uint32_t places, int32_t *first) {
    const struct tw_sketch_list *const list = &all->list;
    uint32_t best = 0, held = 0, tail = 0;
    int32_t bucket, lowest = 0;
    *first = TW_SKETCH_NO_WINDOW;
    if (all->count && (uint32_t)(all->high - all->low) < places) { /* as mostly */
        *first = all->low - (int32_t)(places - 1 - (uint32_t)(all->high - all->low)) / 2;
        return all->count;
    }
    for (uint32_t at = 0; at < list->length; at++) {
        if (!tw_sketch_entry(list, at, &bucket)) {
            continue;
        }
        if (held++ == 0) {
            tail = at;
            lowest = bucket;
        }
        while ((uint32_t)(bucket - lowest) >= places) {
            held--;
            while (!tw_sketch_entry(list, ++tail, &lowest)) {
            }
        }
        if (held > best) {
            best = held;
            *first = lowest - (int32_t)(places - 1 - (uint32_t)(bucket - lowest)) / 2; /* what is left, on both sides */
        }
    }
    return best;
}

enum { ROOM_LEAST = TW_STEPS_AT_ONCE + 1 }; /* with less, memory would have to be asked for at every chunk */

/* Of a block with a window of so many eighths. */
static struct tw_sketch_reach shares(unsigned block_log2, unsigned eighths) {
    enum { PLACE = sizeof(uint8_t) + sizeof(uint64_t) };
    const size_t window = ((size_t)1 << (block_log2 - 3)) * eighths;
    const size_t front = TW_SKETCH_FRONT + window, block = (size_t)1 << block_log2;
    const size_t others = front < block ? block - front : 0;
    struct tw_sketch_reach reach = {.places = (uint32_t)(window / PLACE & ~(size_t)7),
                                    .capacity = (uint32_t)(others / TW_SKETCH_BUCKET)};
    return reach;
}

/* Which shares of a block of this size, if any, leave a quarter of the room outside the window free. */
static bool find_shares(const struct all *from, size_t all, unsigned block_log2, struct tw_sketch_reach *out) {
    for (unsigned eighths = 7; eighths >= 4; eighths--) {
        *out = shares(block_log2, eighths);
        if (eighths > 4 && out->capacity < ROOM_LEAST) {
            continue;
        }
        const uint32_t most = out->places < from->count ? out->places : from->count;
        const size_t outside = out->capacity - out->capacity / 4;
        if (all - most <= outside && all - best_window(from, out->places, &out->first) <= outside) {
            return true;
        }
    }
    return false;
}

static struct all all_of(const struct tw_ddsketch *sketch) {
    struct all all = {.count = sketch->count};
    if (sketch->block) {
        all.list = tw_sketch_list_of(sketch);
        if (sketch->count) {
            const struct tw_sketch_parts *const parts = &all.list.parts;
            all.low = parts->reach ? parts->reach->low : parts->buckets[0];
            all.high = parts->reach ? parts->reach->high : parts->buckets[sketch->count - 1];
        }
    }
    return all;
}

/* To a block of this size, where they have room. */
static bool move(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, const struct all *from, size_t size,
                 const struct tw_sketch_reach *reach, struct tw_heap *heap) {
    char *block = tw_heap_take(heap, size);
    if (!block) {
        return false;
    }
    struct tw_ddsketch made = *sketch;
    made.block = block;
    made.block_log2 = (uint8_t)__builtin_ctzll(size);
    const bool windowed = made.block_log2 >= TW_SKETCH_WINDOWED;
    if (windowed) {
        *tw_sketch_reach_of(block) = *reach;
    }
    struct tw_sketch_parts to = tw_sketch_parts_of(&made);
    memset(to.ends, 0, sizeof *to.ends);
    memset(to.near, 0, to.places);
    memset(to.window, 0, to.places * sizeof *to.window);
    uint32_t others = 0;
    int32_t bucket = 0;
    bool any = false;
    for (uint32_t at = 0; at < from->list.length; at++) {
        const uint64_t count = tw_sketch_entry(&from->list, at, &bucket);
        if (!count) {
            continue;
        }
        const uint32_t place = (uint32_t)(bucket - to.first);
        if (place < to.places) {
            tw_sketch_raise(&to, place, count);
        } else {
            to.buckets[others] = bucket;
            to.counts[others++] = count;
        }
        if (windowed) {
            to.reach->low = any ? to.reach->low : bucket;
            to.reach->high = bucket;
            any = true;
        }
    }
    if (windowed) {
        to.reach->others = others;
    }
    if (sketch->block) {
        *to.ends = *from->list.parts.ends;
        tw_heap_give(heap, sketch->block, (size_t)1 << sketch->block_log2);
    }
    *sketch = made;
    tw_sketch_changed(sketch, rules);
    return true;
}

bool tw_sketch_lay_out(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t more,
                       bool all_outside, struct tw_heap *heap) {
    const struct all from = all_of(sketch);
    const size_t all = (size_t)sketch->count + more;
    const size_t most = tw_sketch_block_size(all);
    const unsigned most_log2 = (unsigned)__builtin_ctzll(most);
    struct tw_sketch_reach reach = {0};
    size_t size = most;
    if (most_log2 >= TW_SKETCH_WINDOWED) {
        unsigned log2 = all_outside ? most_log2 : TW_SKETCH_WINDOWED;
        bool found = false;
        for (; !found && log2 < most_log2; log2++) {
            found = find_shares(&from, all, log2, &reach);
            size = (size_t)1 << log2;
        }
        if (!found) { /* half of it holds them wherever they are */
            size = most;
            reach = shares(most_log2, 4);
            best_window(&from, reach.places, &reach.first);
        }
    }
    return move(sketch, rules, &from, size, &reach, heap);
}

/* The least block whose window has so many places and leaves room beside it; 0: that is too large. */
static size_t wide(uint32_t places, struct tw_sketch_reach *out) {
    enum { WIDE_LOG2 = 15 };
    for (unsigned log2 = TW_SKETCH_WINDOWED; log2 <= WIDE_LOG2; log2++) {
        for (unsigned eighths = 7; eighths >= 4; eighths--) {
            *out = shares(log2, eighths);
            if (out->places >= places && out->capacity >= ROOM_LEAST) {
                return (size_t)1 << log2;
            }
        }
    }
    return 0;
}

size_t tw_sketch_wide_size(int32_t low, int32_t high) {
    struct tw_sketch_reach reach;
    return wide((uint32_t)(high - low) + 1, &reach);
}

bool tw_sketch_widen(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t low, int32_t high,
                     struct tw_heap *heap) {
    const struct all from = all_of(sketch);
    struct tw_sketch_reach reach;
    const size_t size = wide((uint32_t)(high - low) + 1, &reach);
    if (!size || ((size_t)1 << sketch->block_log2) >= size) {
        return false;
    }
    reach.first = low - (int32_t)(reach.places - (uint32_t)(high - low + 1)) / 2;
    uint32_t outside = 0;
    for (uint32_t at = 0; at < from.list.length; at++) {
        int32_t bucket;
        outside += tw_sketch_entry(&from.list, at, &bucket) && (uint32_t)(bucket - reach.first) >= reach.places;
    }
    if (outside > reach.capacity / 4) {
        return false;
    }
    return move(sketch, rules, &from, size, &reach, heap);
}
