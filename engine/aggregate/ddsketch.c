#include "engine/aggregate/ddsketch.h"

#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

struct ends { /* the front of a block */
    struct tw_decimal least;
    struct tw_decimal greatest;
};

/* The parts of a block. */
struct parts {
    struct ends *ends;
    uint64_t *counts;
    int32_t *buckets;
};

enum { BYTES_A_BUCKET = sizeof(uint64_t) + sizeof(int32_t) };

static size_t block_size(size_t buckets) { return tw_heap_size(sizeof(struct ends) + buckets * BYTES_A_BUCKET); }

static inline uint32_t capacity_of(unsigned block_log2) {
    return block_log2 ? (uint32_t)((((size_t)1 << block_log2) - sizeof(struct ends)) / BYTES_A_BUCKET) : 0;
}

static inline struct parts parts_of(char *block, unsigned block_log2) {
    struct parts parts;
    parts.ends = (void *)block;
    parts.counts = (void *)(block + sizeof(struct ends));
    parts.buckets = (void *)(parts.counts + capacity_of(block_log2));
    return parts;
}

static inline bool is_zero(const struct tw_decimal *number) { return number->low == 0 && number->high == 0; }

/* How many buckets stand below this one. */
static inline uint32_t rank_of(const int32_t *buckets, uint32_t count, int32_t bucket) {
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

/* Room for this many buckets; false: no memory, nothing changed. */
static bool make_room(struct tw_ddsketch *sketch, uint32_t buckets, struct tw_heap *heap) {
    if (sketch->block && buckets <= capacity_of(sketch->block_log2)) {
        return true;
    }
    size_t size = block_size(buckets);
    char *block = tw_heap_take(heap, size);
    if (!block) {
        return false;
    }
    uint8_t size_log2 = (uint8_t)__builtin_ctzll(size);
    if (sketch->block) {
        struct parts from = parts_of(sketch->block, sketch->block_log2);
        struct parts to = parts_of(block, size_log2);
        *to.ends = *from.ends;
        memcpy(to.counts, from.counts, sketch->count * sizeof *to.counts);
        memcpy(to.buckets, from.buckets, sketch->count * sizeof *to.buckets);
        tw_heap_give(heap, sketch->block, (size_t)1 << sketch->block_log2);
    } else {
        memset(block, 0, sizeof(struct ends));
    }
    sketch->block = block;
    sketch->block_log2 = size_log2;
    return true;
}

static void collapse(struct tw_ddsketch *sketch, struct parts *parts, unsigned level) {
    unsigned shift = level - sketch->level;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sketch->count; i++) {
        int32_t bucket = tw_ddsketch_collapse(parts->buckets[i], shift);
        uint64_t count = parts->counts[i];
        if (kept && parts->buckets[kept - 1] == bucket) {
            parts->counts[kept - 1] += count;
        } else {
            parts->buckets[kept] = bucket;
            parts->counts[kept++] = count;
        }
    }
    sketch->count = kept;
    sketch->level = (uint8_t)level;
}

size_t tw_ddsketch_growth(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t before) {
    size_t most = (size_t)sketch->count + before + 1;
    most = most < (size_t)rules->limit + 1 ? most : (size_t)rules->limit + 1;
    return sketch->block && most <= capacity_of(sketch->block_log2) ? 0 : block_size(most);
}

static void count_in(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t bucket, uint32_t rank,
                     struct parts *parts) {
    uint32_t above = sketch->count - rank;
    memmove(parts->counts + rank + 1, parts->counts + rank, above * sizeof *parts->counts);
    memmove(parts->buckets + rank + 1, parts->buckets + rank, above * sizeof *parts->buckets);
    parts->counts[rank] = 1;
    parts->buckets[rank] = bucket;
    sketch->count++;
    while (sketch->count > rules->limit && sketch->level + 1 < TW_DDSKETCH_LEVELS) {
        collapse(sketch, parts, sketch->level + 1u);
    }
}

void tw_ddsketch_add(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, const struct tw_decimal *number,
                     struct tw_heap *heap) {
    bool first = !sketch->block;
    if (!make_room(sketch, first ? 1 : sketch->count, heap)) {
        return; /* never: growth was reserved */
    }
    struct parts parts = parts_of(sketch->block, sketch->block_log2);
    bool lowest = true;
    bool highest = true;
    if (is_zero(number)) {
        sketch->zeros++;
    } else {
        int32_t bucket = tw_ddsketch_collapse(tw_ddsketch_bucket(&rules->scale, number), sketch->level);
        uint32_t rank = rank_of(parts.buckets, sketch->count, bucket);
        if (sketch->count) { /* one bucket beside an end may still hold the end: ddsketch_index.h */
            lowest = bucket <= parts.buckets[0] + 1;
            highest = bucket >= parts.buckets[sketch->count - 1] - 1;
        }
        if (rank < sketch->count && parts.buckets[rank] == bucket) {
            parts.counts[rank]++;
        } else {
            if (!make_room(sketch, sketch->count + 1, heap)) {
                return; /* never, as above */
            }
            parts = parts_of(sketch->block, sketch->block_log2);
            count_in(sketch, rules, bucket, rank, &parts);
        }
    }
    if (first || (lowest && tw_decimal_compare(number, &parts.ends->least) < 0)) {
        parts.ends->least = *number;
    }
    if (first || (highest && tw_decimal_compare(number, &parts.ends->greatest) > 0)) {
        parts.ends->greatest = *number;
    }
}

/* Buckets of two sketches, each halved so and so often, in descending order: the next of those below a_left and b_left,
 * and how many numbers it holds. */
struct walk {
    struct parts a;
    struct parts b;
    uint32_t a_left;
    uint32_t b_left;
    unsigned a_shift;
    unsigned b_shift;
};

static bool walk_down(struct walk *walk, int32_t *bucket, uint64_t *count) {
    if (!walk->a_left && !walk->b_left) {
        return false;
    }
    int32_t a = walk->a_left ? tw_ddsketch_collapse(walk->a.buckets[walk->a_left - 1], walk->a_shift) : INT32_MIN;
    int32_t b = walk->b_left ? tw_ddsketch_collapse(walk->b.buckets[walk->b_left - 1], walk->b_shift) : INT32_MIN;
    int32_t next = a > b ? a : b;
    uint64_t sum = 0;
    while (walk->a_left && tw_ddsketch_collapse(walk->a.buckets[walk->a_left - 1], walk->a_shift) == next) {
        sum += walk->a.counts[--walk->a_left];
    }
    while (walk->b_left && tw_ddsketch_collapse(walk->b.buckets[walk->b_left - 1], walk->b_shift) == next) {
        sum += walk->b.counts[--walk->b_left];
    }
    *bucket = next;
    *count = sum;
    return true;
}

static struct walk walk_of(const struct tw_ddsketch *a, const struct tw_ddsketch *b, unsigned level) {
    struct walk walk;
    walk.a = parts_of(a->block, a->block_log2);
    walk.b = parts_of(b->block, b->block_log2);
    walk.a_left = a->count;
    walk.b_left = b->count;
    walk.a_shift = level - a->level;
    walk.b_shift = level - b->level;
    return walk;
}

enum tumble_code tw_ddsketch_merge(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                   const struct tw_ddsketch *other, struct tw_heap *heap) {
    if (!other->block) {
        return TUMBLE_OK;
    }
    bool first = !sketch->block;
    if (!make_room(sketch, sketch->count ? sketch->count : 1, heap)) {
        return TUMBLE_ENOMEM;
    }
    unsigned level = sketch->level > other->level ? sketch->level : other->level;
    int32_t bucket;
    uint64_t count;
    uint32_t together;
    for (;; level++) {
        struct walk walk = walk_of(sketch, other, level);
        for (together = 0; walk_down(&walk, &bucket, &count);) {
            together++;
        }
        if (together <= rules->limit || level + 1 == TW_DDSKETCH_LEVELS) {
            break;
        }
    }
    if (!make_room(sketch, together, heap)) {
        return TUMBLE_ENOMEM;
    }
    struct parts parts = parts_of(sketch->block, sketch->block_log2);
    collapse(sketch, &parts, level);
    /* From the top down nothing is written over before it was read: at least as many are still to come as are left. */
    struct walk walk = walk_of(sketch, other, level);
    for (uint32_t at = together; walk_down(&walk, &bucket, &count);) {
        parts.buckets[--at] = bucket;
        parts.counts[at] = count;
    }
    sketch->count = together;
    sketch->zeros += other->zeros;
    const struct ends *theirs = walk.b.ends;
    if (first || tw_decimal_compare(&theirs->least, &parts.ends->least) < 0) {
        parts.ends->least = theirs->least;
    }
    if (first || tw_decimal_compare(&theirs->greatest, &parts.ends->greatest) > 0) {
        parts.ends->greatest = theirs->greatest;
    }
    return TUMBLE_OK;
}

static void hold_between(const struct ends *ends, struct tw_decimal *number) {
    if (tw_decimal_compare(number, &ends->least) < 0) {
        *number = ends->least;
    } else if (tw_decimal_compare(number, &ends->greatest) > 0) {
        *number = ends->greatest;
    }
}

bool tw_ddsketch_quantile(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint64_t fraction,
                          struct tw_decimal *out) {
    if (!sketch->block) {
        return false;
    }
    struct parts parts = parts_of(sketch->block, sketch->block_log2);
    uint64_t total = sketch->zeros;
    for (uint32_t i = 0; i < sketch->count; i++) {
        total += parts.counts[i];
    }
    uint64_t rank = (uint64_t)((tw_uint128)(total - 1) * fraction / 1000000000000000000);
    if (rank == 0 || rank >= total - 1) {
        *out = rank == 0 ? parts.ends->least : parts.ends->greatest;
        return true;
    }
    uint32_t negative = rank_of(parts.buckets, sketch->count, 0);
    uint64_t below = 0;
    for (uint32_t i = 0; i <= sketch->count; i++) {
        if (i == negative) {
            below += sketch->zeros;
            if (rank < below) {
                memset(out, 0, sizeof *out);
                return true;
            }
        }
        if (i < sketch->count) {
            below += parts.counts[i];
            if (rank < below) {
                tw_ddsketch_number(&rules->scale, parts.buckets[i], sketch->level, out);
                hold_between(parts.ends, out);
                return true;
            }
        }
    }
    *out = parts.ends->greatest;
    return true;
}

static enum tumble_code append_ordered(struct tw_buf *out, const struct tw_decimal *number) {
    char bytes[TW_DECIMAL_ORDERED];
    return tw_buf_append(out, bytes, tw_decimal_encode_ordered(number, bytes));
}

enum tumble_code tw_ddsketch_encode(const struct tw_ddsketch *sketch, struct tw_buf *out) {
    if (!sketch->block) {
        return tw_buf_append_byte(out, 0);
    }
    struct parts parts = parts_of(sketch->block, sketch->block_log2);
    TW_TRY(tw_buf_append_byte(out, (char)(sketch->level + 1)));
    TW_TRY(append_ordered(out, &parts.ends->least));
    TW_TRY(append_ordered(out, &parts.ends->greatest));
    TW_TRY(tw_buf_append_varint(out, sketch->zeros));
    TW_TRY(tw_buf_append_varint(out, sketch->count));
    for (uint32_t i = 0; i < sketch->count; i++) {
        int64_t bucket = parts.buckets[i];
        uint64_t zigzag = ((uint64_t)bucket << 1) ^ (0 - ((uint64_t)bucket >> 63));
        TW_TRY(tw_buf_append_varint(out, i ? (uint64_t)(bucket - parts.buckets[i - 1] - 1) : zigzag));
        TW_TRY(tw_buf_append_varint(out, parts.counts[i]));
    }
    return TUMBLE_OK;
}

/* At level 0, where buckets are furthest apart: the lowest and the steps up from it, then the counts, zeros among them.
 */
uint64_t tw_ddsketch_stored_most(const struct tw_ddsketch_rules *rules) {
    uint64_t highest = (uint64_t)tw_ddsketch_highest(&rules->scale);
    uint64_t places = 2 * (highest + 1);
    uint64_t buckets = places < rules->limit ? places : rules->limit;
    return 1 + 2 * TW_STORED_NUMBER + tw_stored_varint(buckets) + tw_stored_varint(2 * highest + 1) +
           tw_stored_varints(buckets - 1, 0, places - buckets) + tw_stored_varints(buckets + 1, 0, INT64_MAX);
}

/* ---- decoding ---- */

static bool take_buckets(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, struct tw_cursor *in,
                         struct parts *parts) {
    uint64_t left = INT64_MAX - sketch->zeros; /* no run of records is longer */
    uint64_t lower_occupied = 0;               /* how many may have been occupied one level lower */
    for (uint32_t i = 0; i < sketch->count; i++) {
        uint64_t step;
        uint64_t count;
        if (!tw_take_varint(in, &step) || step > UINT32_MAX || !tw_take_varint(in, &count) || count == 0 ||
            count > left) {
            return false;
        }
        int64_t bucket = i ? (int64_t)step + parts->buckets[i - 1] + 1 : (int64_t)(step >> 1) ^ -(int64_t)(step & 1);
        if (!tw_ddsketch_bucket_valid(&rules->scale, bucket, sketch->level)) {
            return false;
        }
        parts->buckets[i] = (int32_t)bucket;
        parts->counts[i] = count;
        left -= count;
        lower_occupied += count > 1 ? 2 : 1;
    }
    return sketch->level == 0 || lower_occupied > rules->limit;
}

/* Whether an end lies in the bucket at its end (or, at a bucket's bound, in the next one), or is the zero there. */
static bool end_fits(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, const struct parts *parts,
                     const struct tw_decimal *end, bool lower) {
    uint32_t count = sketch->count;
    bool negative = end->high < 0;
    if (is_zero(end)) {
        return sketch->zeros && (count == 0 || (lower ? parts->buckets[0] >= 0 : parts->buckets[count - 1] < 0));
    }
    if (count == 0 || (sketch->zeros && negative != lower)) {
        return false;
    }
    int32_t bucket = tw_ddsketch_collapse(tw_ddsketch_bucket(&rules->scale, end), sketch->level);
    int32_t outer = lower ? parts->buckets[0] : parts->buckets[count - 1];
    int32_t inner = count == 1 ? outer : lower ? parts->buckets[1] : parts->buckets[count - 2];
    bool beside = bucket == inner && (inner - outer == 1 || outer - inner == 1);
    return (outer < 0) == negative && (bucket == outer || beside);
}

static bool ends_fit(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                     const struct parts *parts) {
    int order = tw_decimal_compare(&parts->ends->least, &parts->ends->greatest);
    uint32_t places = sketch->count + (sketch->zeros > 0);
    bool alone = places == 1 && (sketch->count ? parts->counts[0] : sketch->zeros) == 1;
    return order <= 0 && (order < 0 ? !alone : places == 1) &&
           end_fits(sketch, rules, parts, &parts->ends->least, true) &&
           end_fits(sketch, rules, parts, &parts->ends->greatest, false);
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "a stored quantile is damaged: it is not a form encode writes");
}

enum tumble_code tw_ddsketch_decode(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                    struct tw_cursor *in, struct tw_heap *heap, struct tumble_error *err) {
    uint8_t level;
    struct ends ends;
    uint64_t zeros;
    uint64_t count;
    if (!tw_take_u8(in, &level) || level > TW_DDSKETCH_LEVELS) {
        return damaged(err);
    }
    if (level == 0) {
        return TUMBLE_OK;
    }
    if (!tw_decimal_decode_ordered(&in->at, in->end, &ends.least) ||
        !tw_decimal_decode_ordered(&in->at, in->end, &ends.greatest) || !tw_take_varint(in, &zeros) ||
        zeros > INT64_MAX || !tw_take_varint(in, &count) || count > rules->limit || count > tw_cursor_left(in) / 2 ||
        (zeros == 0 && count == 0)) {
        return damaged(err);
    }
    struct tw_ddsketch read = {.zeros = zeros};
    if (!make_room(&read, count ? (uint32_t)count : 1, heap)) {
        return tw_no_memory(err);
    }
    read.count = (uint32_t)count;
    read.level = (uint8_t)(level - 1);
    struct parts parts = parts_of(read.block, read.block_log2);
    *parts.ends = ends;
    if (!take_buckets(&read, rules, in, &parts) || !ends_fit(&read, rules, &parts)) {
        tw_heap_give(heap, read.block, (size_t)1 << read.block_log2);
        return damaged(err);
    }
    *sketch = read;
    return TUMBLE_OK;
}
