#include "engine/aggregate/ddsketch_block.h"

size_t tw_sketch_block_size(size_t buckets) {
    return buckets <= TW_SKETCH_NARROW ? tw_heap_size(sizeof(struct tw_sketch_ends) + buckets * TW_SKETCH_BUCKET)
                                       : tw_heap_size(2 * (TW_SKETCH_FRONT + buckets * TW_SKETCH_BUCKET));
}

/* Where a window of so many places holds the most buckets, and how many. */
static uint32_t best_window(const struct tw_sketch_list *list, uint32_t places, int32_t *first) {
    uint32_t best = 0, held = 0, tail = 0;
    int32_t bucket, lowest = 0;
    *first = TW_SKETCH_NO_WINDOW;
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

bool tw_sketch_lay_out(struct tw_ddsketch *sketch, uint32_t more, bool all_outside, struct tw_heap *heap) {
    struct tw_sketch_list from = {0};
    const size_t all = (size_t)sketch->count + more;
    size_t size = tw_sketch_block_size(all);
    int32_t first = TW_SKETCH_NO_WINDOW;
    if (sketch->block) {
        from = tw_sketch_list_of(sketch);
    }
    for (unsigned log2 = all_outside ? (unsigned)__builtin_ctzll(size) : TW_SKETCH_WINDOWED;
         size >> TW_SKETCH_WINDOWED && log2 <= (unsigned)__builtin_ctzll(size); log2++) {
        const uint32_t room = tw_sketch_capacity(log2);
        const uint32_t held = best_window(&from, tw_sketch_places(log2), &first);
        if (all - held + room / 4 <= room) {
            size = (size_t)1 << log2;
        }
    }
    char *block = tw_heap_take(heap, size);
    if (!block) {
        return false;
    }
    struct tw_ddsketch made = *sketch;
    made.block = block;
    made.block_log2 = (uint8_t)__builtin_ctzll(size);
    const bool windowed = made.block_log2 >= TW_SKETCH_WINDOWED;
    if (windowed) {
        const struct tw_sketch_reach reach = {.first = first};
        *tw_sketch_reach_of(block) = reach;
    }
    struct tw_sketch_parts to = tw_sketch_parts_of(&made);
    memset(to.ends, 0, sizeof *to.ends);
    memset(to.window, 0, to.places * sizeof *to.window);
    uint32_t others = 0;
    int32_t bucket = 0;
    bool any = false;
    for (uint32_t at = 0; at < from.length; at++) {
        const uint64_t count = tw_sketch_entry(&from, at, &bucket);
        if (!count) {
            continue;
        }
        const uint32_t place = (uint32_t)(bucket - to.first);
        if (place < to.places) {
            to.window[place] = count;
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
        *to.ends = *from.parts.ends;
        tw_heap_give(heap, sketch->block, (size_t)1 << sketch->block_log2);
    }
    *sketch = made;
    return true;
}
