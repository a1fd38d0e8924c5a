#ifndef TW_AGGREGATE_SQUARES_H
#define TW_AGGREGATE_SQUARES_H

#include "engine/aggregate/aggregate.h"
#include "engine/base/wide_squares.h"

/* An exact sum of squares of decimals: as tw_total, but never negative and twice as wide. Narrow, a coefficient ×
 * 10^exponent in place, until that no longer fits, then wide (a tw_wide_squares from the heap) for good. Text and
 * encoding are functions of the exact value alone. All zero is a sum of zero. */
struct tw_squares {
    uint64_t low; /* narrow: coefficient; wide: address of the tw_wide_squares */
    uint64_t high;
    int32_t exponent;
    uint32_t is_wide;
};

/* Most heap bytes one addition can take. */
size_t tw_squares_growth(const struct tw_squares *squares);
/* Adds the square of any decimal; false: the heap has no memory (it cannot happen when growth was reserved). */
bool tw_squares_add_slowly(struct tw_squares *squares, const struct tw_decimal *number, struct tw_heap *heap);
enum tumble_code tw_squares_merge(struct tw_squares *squares, const struct tw_squares *other, struct tw_heap *heap);
/* The exact value as limbs. */
void tw_squares_widen(const struct tw_squares *squares, struct tw_wide_squares *out);
/* Byte 1: at most 38 significant digits, the form of scaled.h. Byte 3: more: index of the lowest limb, count of limbs,
 * the limbs of tw_wide_squares as little-endian u64. */
enum tumble_code tw_squares_encode(const struct tw_squares *squares, struct tw_buf *out);
enum tumble_code tw_squares_decode(struct tw_squares *squares, struct tw_cursor *in, struct tw_heap *heap,
                                   struct tumble_error *err);

/* The square of nearly every record: a number of up to 63 bits whose last digit stands no further right than that of
 * any before. */
static inline void tw_squares_add(struct tw_squares *squares, const struct tw_decimal *number, struct tw_heap *heap) {
    int shift = 2 * number->exponent - squares->exponent;
    if (!squares->is_wide && shift >= 0 && shift <= 18 && number->high == (int64_t)number->low >> 63) {
        uint64_t sign = (uint64_t)number->high;
        uint64_t magnitude = (number->low ^ sign) - sign;
        tw_uint128 square = (tw_uint128)magnitude * magnitude;
        tw_uint128 sum = (tw_uint128)squares->high << 64 | squares->low;
        /* Below 2^64 a square times at most 10^18 is below 2^124; a greater one must not need it. */
        if (shift == 0 || square >> 64 == 0) {
            if (shift) {
                square = (tw_uint128)(uint64_t)square * (uint64_t)tw_power_of_ten[shift];
            }
            if (!__builtin_add_overflow(sum, square, &sum)) {
                squares->low = (uint64_t)sum;
                squares->high = (uint64_t)(sum >> 64);
                return;
            }
        }
    }
    tw_squares_add_slowly(squares, number, heap);
}

#endif
