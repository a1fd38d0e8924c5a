#include "engine/aggregate/ddsketch.h"

#include "engine/aggregate/ddsketch_block.h"

/* Room for the first number. */
static bool begin(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, struct tw_heap *heap) {
    return sketch->block || tw_sketch_lay_out(sketch, rules, 1, false, heap);
}

/* In place: no bucket's place is behind the one it had. */
static void collapse(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, unsigned level) {
    struct tw_sketch_parts parts = tw_sketch_parts_of(sketch);
    const unsigned shift = level - sketch->level;
    const int32_t first = tw_ddsketch_collapse(parts.first, shift);
    uint32_t held = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < parts.places; i++) {
        if (parts.near[i]) {
            const uint64_t count = parts.window[i] + parts.near[i];
            const int32_t to = tw_ddsketch_collapse(parts.first + (int32_t)i, shift) - first;
            parts.near[i] = 0;
            parts.window[i] = 0;
            held += tw_sketch_raise(&parts, (uint32_t)to, count);
        }
    }
    for (uint32_t i = 0; i < parts.others; i++) {
        const int32_t bucket = tw_ddsketch_collapse(parts.buckets[i], shift);
        const uint64_t count = parts.counts[i];
        const uint32_t place = (uint32_t)(bucket - first);
        if (place < parts.places) {
            held += tw_sketch_raise(&parts, place, count);
        } else if (kept && parts.buckets[kept - 1] == bucket) {
            parts.counts[kept - 1] += count;
        } else {
            parts.buckets[kept] = bucket;
            parts.counts[kept++] = count;
        }
    }
    sketch->count = held + kept;
    sketch->level = (uint8_t)level;
    if (parts.reach) {
        parts.reach->first = first;
        parts.reach->low = tw_ddsketch_collapse(parts.reach->low, shift);
        parts.reach->high = tw_ddsketch_collapse(parts.reach->high, shift);
        parts.reach->others = kept;
    }
    tw_sketch_changed(sketch, rules);
}

static inline size_t growth(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t before) {
    if (sketch->room > before) {
        return 0;
    }
    const size_t most = (size_t)sketch->count + before + 1;
    return tw_sketch_block_size(most < (size_t)rules->limit + 1 ? most : (size_t)rules->limit + 1);
}

size_t tw_ddsketch_growth(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t before) {
    return growth(sketch, rules, before);
}

static void insert(struct tw_sketch_parts *parts, int32_t bucket, uint64_t count, uint32_t rank) {
    const uint32_t above = parts->others - rank;
    memmove(parts->counts + rank + 1, parts->counts + rank, above * sizeof *parts->counts);
    memmove(parts->buckets + rank + 1, parts->buckets + rank, above * sizeof *parts->buckets);
    parts->counts[rank] = count;
    parts->buckets[rank] = bucket;
    if (parts->reach) {
        parts->reach->others++;
    }
}

/* bucket is one of the sketch's level. False: no memory, nothing changed. */
static bool count_in(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t bucket, uint64_t count,
                     struct tw_heap *heap) {
    for (;;) {
        struct tw_sketch_parts parts = tw_sketch_parts_of(sketch);
        const uint32_t place = (uint32_t)(bucket - parts.first);
        if (place < parts.places) {
            if (!tw_sketch_raise(&parts, place, count)) {
                return true;
            }
            break;
        }
        const uint32_t rank = tw_sketch_rank(parts.buckets, parts.others, bucket);
        if (rank < parts.others && parts.buckets[rank] == bucket) {
            parts.counts[rank] += count;
            return true;
        }
        if (parts.others < parts.capacity) {
            insert(&parts, bucket, count, rank);
            break;
        }
        if (!tw_sketch_lay_out(sketch, rules, 1, false, heap)) {
            return false;
        }
    }
    if (sketch->block_log2 >= TW_SKETCH_WINDOWED) {
        struct tw_sketch_reach *reach = tw_sketch_reach_of(sketch->block);
        reach->low = sketch->count && reach->low < bucket ? reach->low : bucket;
        reach->high = sketch->count && reach->high > bucket ? reach->high : bucket;
    }
    sketch->count++;
    tw_sketch_changed(sketch, rules);
    while (sketch->count > rules->limit && sketch->level + 1 < TW_DDSKETCH_LEVELS) {
        collapse(sketch, rules, sketch->level + 1u);
    }
    return true;
}

/* bucket is one of level 0, or TW_DDSKETCH_ZERO. */
static __attribute__((noinline)) void add(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                          int32_t bucket, const struct tw_decimal *number, struct tw_heap *heap) {
    const bool first = !sketch->block;
    bool lowest = true;
    bool highest = true;
    if (!begin(sketch, rules, heap)) {
        return; /* never: growth was reserved */
    }
    if (bucket == TW_DDSKETCH_ZERO) {
        sketch->zeros++;
    } else {
        bucket = tw_ddsketch_collapse(bucket, sketch->level);
        if (sketch->count) { /* one bucket beside an end may still hold the end: ddsketch_index.h */
            const struct tw_sketch_parts parts = tw_sketch_parts_of(sketch);
            lowest = bucket <= (parts.reach ? parts.reach->low : parts.buckets[0]) + 1;
            highest = bucket >= (parts.reach ? parts.reach->high : parts.buckets[sketch->count - 1]) - 1;
        }
        if (!count_in(sketch, rules, bucket, 1, heap)) {
            return; /* never, as above */
        }
    }
    struct tw_sketch_ends *ends = (void *)sketch->block;
    if (first || (lowest && tw_decimal_compare(number, &ends->least) < 0)) {
        ends->least = *number;
    }
    if (first || (highest && tw_decimal_compare(number, &ends->greatest) > 0)) {
        ends->greatest = *number;
    }
}

void tw_ddsketch_add(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, const struct tw_decimal *number,
                     struct tw_heap *heap) {
    int32_t bucket;
    tw_ddsketch_buckets(&rules->scale, number, 0, 1, &bucket);
    add(sketch, rules, bucket, number, heap);
}

/* add for nearly every number: its bucket is within the window and not near an end. */
static inline bool count_soon(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t bucket) {
    if (sketch->block_log2 < TW_SKETCH_WINDOWED) {
        return false;
    }
    const struct tw_sketch_reach *reach = tw_sketch_reach_of(sketch->block);
    bucket = tw_ddsketch_collapse(bucket, sketch->level); /* TW_DDSKETCH_ZERO is below all that there are */
    if ((uint32_t)bucket - (uint32_t)reach->inner >= reach->inner_places) {
        return false;
    }
    uint8_t *near = (uint8_t *)sketch->block + TW_SKETCH_FRONT + (bucket - reach->first);
    if (*near == UINT8_MAX) {
        return false;
    }
    if (*near == 0) { /* a new one: neither the ends nor what lies outside the window change */
        if (sketch->count >= rules->limit) {
            return false;
        }
        sketch->count++;
    }
    ++*near;
    return true;
}

void tw_ddsketch_add_all(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules,
                         const struct tw_decimal *numbers, size_t stride, size_t count, struct tw_heap *heap) {
    enum { AT_ONCE = 32 };
    const char *at = (const char *)numbers;
    for (size_t done = 0; done < count;) {
        int32_t buckets[AT_ONCE];
        const size_t some = count - done < AT_ONCE ? count - done : AT_ONCE;
        tw_ddsketch_buckets(&rules->scale, (const void *)at, stride, some, buckets);
        for (size_t i = 0; i < some; i++, at += stride) {
            struct tw_ddsketch *sketch = (struct tw_ddsketch *)(void *)(groups[done + i] + offset);
            if (!count_soon(sketch, rules, buckets[i])) {
                add(sketch, rules, buckets[i], (const void *)at, heap);
            }
        }
        done += some;
    }
}

void tw_ddsketch_add_scaled(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules,
                            const int64_t *numbers, int exponent, size_t count, struct tw_heap *heap) {
    enum { AT_ONCE = 32 };
    for (size_t done = 0; done < count;) {
        int32_t buckets[AT_ONCE];
        const size_t some = count - done < AT_ONCE ? count - done : AT_ONCE;
        tw_ddsketch_buckets_scaled(&rules->scale, numbers + done, exponent, some, buckets);
        for (size_t i = 0; i < some; i++) {
            struct tw_ddsketch *sketch = (struct tw_ddsketch *)(void *)(groups[done + i] + offset);
            if (!count_soon(sketch, rules, buckets[i])) {
                struct tw_decimal number;
                tw_decimal_of(&number, numbers[done + i], exponent);
                add(sketch, rules, buckets[i], &number, heap);
            }
        }
        done += some;
    }
}

/* From the lowest bucket to the highest: a new one in between changes neither, nor what lies outside the window. */
void tw_ddsketch_counting(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, struct tw_counting *out) {
    out->places = 0;
    if (sketch->block_log2 < TW_SKETCH_WINDOWED || !sketch->count || sketch->level) {
        return;
    }
    const struct tw_sketch_reach *const reach = tw_sketch_reach_of(sketch->block);
    const int32_t end = reach->first + (int32_t)reach->places;
    const int32_t from = reach->low > reach->first ? reach->low : reach->first;
    const int32_t to = reach->high < end ? reach->high + 1 : end;
    if (from < to && sketch->count + (uint32_t)(to - from) <= rules->limit) {
        out->counts = (uint8_t *)sketch->block + TW_SKETCH_FRONT + (from - reach->first);
        out->occupied = &sketch->count;
        out->places = (uint32_t)(to - from);
        out->first = from;
        out->low = reach->low;
        out->high = reach->high;
    }
}

size_t tw_ddsketch_widen_growth(int32_t low, int32_t high) { return tw_sketch_wide_size(low, high); }

void tw_ddsketch_widen(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t low, int32_t high,
                       struct tw_heap *heap) {
    enum { FEW = 8 }; /* buckets: it may stay as small as most are */
    if (sketch->count >= FEW && sketch->level == 0) {
        (void)tw_sketch_widen(sketch, rules, low, high, heap);
    }
}

void tw_ddsketch_count_ends(struct tw_ddsketch *sketch, const struct tw_decimal *least,
                            const struct tw_decimal *greatest) {
    struct tw_sketch_ends *ends = (void *)sketch->block;
    if (tw_decimal_less(least, &ends->least)) {
        ends->least = *least;
    }
    if (tw_decimal_less(&ends->greatest, greatest)) {
        ends->greatest = *greatest;
    }
}

size_t tw_ddsketch_growth_all(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules, size_t count,
                              uint32_t before) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += growth((const struct tw_ddsketch *)(const void *)(groups[i] + offset), rules, before);
    }
    return total;
}

static bool holds(const struct tw_sketch_parts *parts, int32_t bucket) {
    const uint32_t place = (uint32_t)(bucket - parts->first);
    if (place < parts->places) {
        return true;
    }
    const uint32_t rank = tw_sketch_rank(parts->buckets, parts->others, bucket);
    return rank < parts->others && parts->buckets[rank] == bucket;
}

/* How many of other's buckets may want room outside the sketch's window. */
static uint32_t wanting(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                        const struct tw_ddsketch *other, const struct tw_sketch_list *theirs) {
    const uint32_t most = rules->limit + 1 - sketch->count;
    uint32_t more = 0;
    if (other->level > sketch->level) {
        more = other->count; /* it is not at their level yet */
    } else {
        const struct tw_sketch_parts parts = tw_sketch_parts_of(sketch);
        int32_t bucket;
        for (uint32_t at = 0; at < theirs->length; at++) {
            if (tw_sketch_entry(theirs, at, &bucket)) {
                more += !holds(&parts, tw_ddsketch_collapse(bucket, sketch->level - other->level));
            }
        }
    }
    return more < most ? more : most;
}

static bool copy(struct tw_ddsketch *sketch, const struct tw_ddsketch *other, struct tw_heap *heap) {
    const size_t size = (size_t)1 << other->block_log2;
    char *block = tw_heap_take(heap, size);
    if (!block) {
        return false;
    }
    memcpy(block, other->block, size);
    *sketch = *other;
    sketch->block = block;
    return true;
}

enum tumble_code tw_ddsketch_merge(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                   const struct tw_ddsketch *other, struct tw_heap *heap) {
    if (!other->block) {
        return TUMBLE_OK;
    }
    if (!sketch->block) {
        return copy(sketch, other, heap) ? TUMBLE_OK : TUMBLE_ENOMEM;
    }
    const struct tw_sketch_list theirs = tw_sketch_list_of(other);
    const uint32_t more = wanting(sketch, rules, other, &theirs);
    const bool collapses = other->level > sketch->level || sketch->count + more > rules->limit; /* the window empties */
    const struct tw_sketch_parts ours = tw_sketch_parts_of(sketch);
    if ((collapses ? sketch->count : ours.others) + more > ours.capacity &&
        !tw_sketch_lay_out(sketch, rules, more, collapses, heap)) {
        return TUMBLE_ENOMEM;
    }
    if (other->level > sketch->level) {
        collapse(sketch, rules, other->level);
    }
    for (uint32_t at = 0; at < theirs.length; at++) {
        int32_t bucket;
        const uint64_t count = tw_sketch_entry(&theirs, at, &bucket);
        if (count &&
            !count_in(sketch, rules, tw_ddsketch_collapse(bucket, sketch->level - other->level), count, heap)) {
            return TUMBLE_ENOMEM; /* never: there is room */
        }
    }
    sketch->zeros += other->zeros;
    struct tw_sketch_ends *ends = (void *)sketch->block;
    if (tw_decimal_compare(&theirs.parts.ends->least, &ends->least) < 0) {
        ends->least = theirs.parts.ends->least;
    }
    if (tw_decimal_compare(&theirs.parts.ends->greatest, &ends->greatest) > 0) {
        ends->greatest = theirs.parts.ends->greatest;
    }
    return TUMBLE_OK;
}

static void hold_between(const struct tw_sketch_ends *ends, struct tw_decimal *number) {
    if (tw_decimal_compare(number, &ends->least) < 0) {
        *number = ends->least;
    } else if (tw_decimal_compare(number, &ends->greatest) > 0) {
        *number = ends->greatest;
    }
}

/* What eight places of the window hold. */
static inline uint64_t eight_of(const struct tw_sketch_parts *parts, uint32_t place) {
    const uint64_t pairs = UINT64_C(0x00ff00ff00ff00ff);
    const uint64_t near = tw_sketch_eight(parts, place);
    uint64_t sum = ((near & pairs) + (near >> 8 & pairs)) * UINT64_C(0x0001000100010001) >> 48;
    for (uint32_t i = 0; i < 8; i++) {
        sum += parts->window[place + i];
    }
    return sum;
}

static uint64_t total_of(const struct tw_sketch_parts *parts) {
    uint64_t total = 0;
    for (uint32_t place = 0; place < parts->places; place += 8) {
        total += eight_of(parts, place);
    }
    for (uint32_t i = 0; i < parts->others; i++) {
        total += parts->counts[i];
    }
    return total;
}

bool tw_ddsketch_quantile(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint64_t fraction,
                          struct tw_decimal *out) {
    if (!sketch->block) {
        return false;
    }
    const struct tw_sketch_list list = tw_sketch_list_of(sketch);
    const uint64_t total = sketch->zeros + total_of(&list.parts);
    uint64_t rank = (uint64_t)((tw_uint128)(total - 1) * fraction / 1000000000000000000);
    if (rank == 0 || rank >= total - 1) {
        *out = rank == 0 ? list.parts.ends->least : list.parts.ends->greatest;
        return true;
    }
    uint64_t below = 0;
    bool past_zero = false;
    for (uint32_t at = 0; at <= list.length; at++) {
        const uint32_t place = at - list.below;
        if (place < list.parts.places && place % 8 == 0 && (past_zero || list.parts.first + (int32_t)place <= -8)) {
            const uint64_t eight = eight_of(&list.parts, place);
            if (rank >= below + eight) {
                below += eight;
                at += 7;
                continue;
            }
        }
        int32_t bucket = 0;
        const uint64_t count = at < list.length ? tw_sketch_entry(&list, at, &bucket) : 0;
        if (!past_zero && (at == list.length || (count && bucket >= 0))) {
            past_zero = true;
            below += sketch->zeros;
            if (rank < below) {
                memset(out, 0, sizeof *out);
                return true;
            }
        }
        below += count;
        if (rank < below) {
            tw_ddsketch_number(&rules->scale, bucket, sketch->level, out);
            hold_between(list.parts.ends, out);
            return true;
        }
    }
    *out = list.parts.ends->greatest;
    return true;
}
