#include "engine/aggregate/ddsketch_block.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* The stored form of a DDSketch. */

static enum tumble_code append_ordered(struct tw_buf *out, const struct tw_decimal *number) {
    char bytes[TW_DECIMAL_ORDERED];
    return tw_buf_append(out, bytes, tw_decimal_encode_ordered(number, bytes));
}

enum { ENTRY_MOST = 5 + 10 }; /* bytes of a bucket, or how far it is from the one before, and of its count */

static inline char *put_varint(char *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *out++ = (char)(value | 0x80);
    }
    *out++ = (char)value;
    return out;
}

struct entries {
    char *to;
    int32_t before; /* the last bucket */
    bool first;
};

static inline __attribute__((always_inline)) void put_entry(struct entries *entries, int32_t bucket, uint64_t count) {
    const uint64_t zigzag = ((uint64_t)bucket << 1) ^ (0 - ((uint64_t)bucket >> 63));
    char *const to =
        put_varint(entries->to, entries->first ? zigzag : (uint64_t)((int64_t)bucket - entries->before - 1));
    entries->before = bucket;
    entries->first = false;
    if (count < 1 << 14) { /* of one byte or two: nobody can guess it */
        const unsigned two = count >= 0x80;
        to[0] = (char)(count | two << 7);
        to[1] = (char)(count >> 7);
        entries->to = to + 1 + two;
    } else {
        entries->to = put_varint(to, count);
    }
}

enum tumble_code tw_ddsketch_encode(const struct tw_ddsketch *sketch, struct tw_buf *out) {
    if (!sketch->block) {
        return tw_buf_append_byte(out, 0);
    }
    const struct tw_sketch_list list = tw_sketch_list_of(sketch);
    TW_TRY(tw_buf_append_byte(out, (char)(sketch->level + 1)));
    TW_TRY(append_ordered(out, &list.parts.ends->least));
    TW_TRY(append_ordered(out, &list.parts.ends->greatest));
    TW_TRY(tw_buf_append_varint(out, sketch->zeros));
    TW_TRY(tw_buf_append_varint(out, sketch->count));
    TW_TRY(tw_buf_reserve(out, (size_t)sketch->count * ENTRY_MOST));
    const struct tw_sketch_parts *const parts = &list.parts;
    struct entries entries = {out->data + out->length, 0, true};
    for (uint32_t i = 0; i < list.below; i++) {
        put_entry(&entries, parts->buckets[i], parts->counts[i]);
    }
    for (uint32_t place = 0; place < parts->places; place += 8) {
        uint64_t eight = tw_sketch_eight(parts, place);
        while (eight) { /* from one that is there to the next: whether one is nobody can guess */
            const unsigned bit = (unsigned)__builtin_ctzll(eight) & ~7u;
            const uint32_t at = place + bit / 8;
            put_entry(&entries, parts->first + (int32_t)at, parts->window[at] + (eight >> bit & 0xff));
            eight &= ~(UINT64_C(0xff) << bit);
        }
    }
    for (uint32_t i = list.below; i < parts->others; i++) {
        put_entry(&entries, parts->buckets[i], parts->counts[i]);
    }
    out->length = (size_t)(entries.to - out->data);
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
                         struct tw_sketch_parts *parts) {
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
static bool end_fits(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                     const struct tw_sketch_parts *parts, const struct tw_decimal *end, bool lower) {
    uint32_t count = sketch->count;
    bool negative = end->high < 0;
    if (tw_sketch_is_zero(end)) {
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
                     const struct tw_sketch_parts *parts) {
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
    struct tw_sketch_ends ends;
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
    /* First one behind the other, outside any window; then, when they are known to be sound, where they belong. */
    struct tw_ddsketch read = {.zeros = zeros};
    if (!tw_sketch_lay_out(&read, rules, count ? (uint32_t)count : 1, true, heap)) {
        return tw_no_memory(err);
    }
    read.count = (uint32_t)count;
    read.level = (uint8_t)(level - 1);
    struct tw_sketch_parts parts = tw_sketch_parts_of(&read);
    parts.others = read.count;
    *parts.ends = ends;
    if (parts.reach) {
        parts.reach->others = read.count;
    }
    if (!take_buckets(&read, rules, in, &parts) || !ends_fit(&read, rules, &parts)) {
        tw_heap_give(heap, read.block, (size_t)1 << read.block_log2);
        return damaged(err);
    }
    if (parts.reach && read.count) {
        parts.reach->low = parts.buckets[0];
        parts.reach->high = parts.buckets[read.count - 1];
    }
    if (parts.reach && !tw_sketch_lay_out(&read, rules, 0, false, heap)) {
        tw_heap_give(heap, read.block, (size_t)1 << read.block_log2);
        return tw_no_memory(err);
    }
    tw_sketch_changed(&read, rules);
    *sketch = read;
    return TUMBLE_OK;
}
