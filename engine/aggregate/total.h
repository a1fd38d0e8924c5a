#ifndef TW_AGGREGATE_TOTAL_H
#define TW_AGGREGATE_TOTAL_H

#include "engine/aggregate/aggregate.h"
#include "engine/base/wide.h"

/* An exact total of decimals, what sum and mean are made of. It begins narrow, coefficient × 10^exponent in place, and
 * goes wide (a tw_wide from the heap) when that no longer fits; it never goes back. Which of the two it is depends on
 * the order of arrival and shows nowhere: text and encoding are functions of the exact value alone. All zero is empty.
 */
struct tw_total {
    uint64_t low; /* narrow: coefficient; wide: address of the tw_wide */
    int64_t high;
    int32_t exponent;
    uint32_t form; /* enum tw_total_form */
};

enum tw_total_form { TW_TOTAL_EMPTY = 0, TW_TOTAL_NARROW, TW_TOTAL_WIDE };

/* First bytes of the encoding of a total of at most 38 digits. */
enum { TW_TOTAL_TAG_POSITIVE = 1, TW_TOTAL_TAG_NEGATIVE = 2 };

/* Most heap bytes one add can take. */
size_t tw_total_growth(void);

/* Any decimal a state can hold; false: the heap has no memory (it cannot happen when growth was reserved). */
bool tw_total_add_slowly(struct tw_total *total, tw_int128 coefficient, int exponent, struct tw_heap *heap);
enum tumble_code tw_total_merge(struct tw_total *total, const struct tw_total *other, struct tw_heap *heap);
/* The exact value as limbs; zero when empty. */
void tw_total_split(const struct tw_total *total, struct tw_wide_magnitude *out);
/* Text of total / divisor (rounding: engine/base/number_text.h), null when empty. */
enum tumble_code tw_total_value(const struct tw_total *total, uint64_t divisor, struct tw_buf *out);
/* Byte 0: empty. 1, 2: a total of at most 38 significant digits, 2 is negative: zigzag varint exponent, coefficient as
 * LEB128 of up to 128 bits, no trailing decimal zeros. 3, 4: more digits: index of the lowest limb, count of limbs,
 * the limbs of tw_wide's magnitude as little-endian u64. */
enum tumble_code tw_total_encode(const struct tw_total *total, struct tw_buf *out);
enum tumble_code tw_total_decode(struct tw_total *total, struct tw_cursor *in, struct tw_heap *heap,
                                 struct tumble_error *err);

/* The addition of nearly every record: the total is narrow and the addend's last digit stands no further right. */
static inline void tw_total_add(struct tw_total *total, const struct tw_decimal *addend, struct tw_heap *heap) {
    int shift = addend->exponent - total->exponent;
    if (total->form == TW_TOTAL_NARROW && shift >= 0 && shift <= 18 && addend->high == (int64_t)addend->low >> 63) {
        /* A 64-bit coefficient times at most 10^18 is below 2^123. */
        tw_int128 scaled = (tw_int128)(int64_t)addend->low * (int64_t)(uint64_t)tw_power_of_ten[shift];
        tw_int128 sum = (tw_int128)(((tw_uint128)(uint64_t)total->high << 64) | total->low);
        if (!__builtin_add_overflow(sum, scaled, &sum)) {
            total->low = (uint64_t)sum;
            total->high = (int64_t)(uint64_t)((tw_uint128)sum >> 64);
            return;
        }
    }
    tw_total_add_slowly(total, tw_decimal_coefficient(addend), addend->exponent, heap);
}

#endif
