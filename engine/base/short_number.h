#ifndef TW_BASE_SHORT_NUMBER_H
#define TW_BASE_SHORT_NUMBER_H

#include <string.h>

#include "engine/base/digits.h"
#include "engine/base/number.h"

/* The forms of number.h for nearly every number there is, of up to eight digits, in place. 0: it is not such a number
 * (or bytes stand the other way around here), ask the function. */

enum { TW_SHORT_END = 100000000, TW_SHORT_PLACES = 7, TW_SHORT_TEXT = 17, TW_SHORT_ORDERED = 8 };

/* The first byte of the ordered form, and what is added to an exponent there. */
enum { TW_ORDERED_NEGATIVE = 1, TW_ORDERED_ZERO = 2, TW_ORDERED_POSITIVE = 3, TW_ORDERED_BIAS = 1000 };

static inline bool tw_is_short(const struct tw_decimal *d) {
    const int64_t low = (int64_t)d->low;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && d->high == low >> 63 && low > -TW_SHORT_END &&
           low < TW_SHORT_END;
}

/* magnitude / 10^places, below 10^8 and at most 7: leading zeros are cut, and the point stands in front of the last
 * places digits. Writes up to TW_SHORT_TEXT bytes. */
static inline size_t tw_short_text(uint32_t magnitude, bool negative, unsigned places, char *out) {
    uint64_t digits = tw_eight_digits(magnitude);
    unsigned zeros = magnitude ? (unsigned)__builtin_ctzll(digits) / 8 : 7;
    zeros = zeros < 7 - places ? zeros : 7 - places;
    const unsigned whole = 8 - zeros - places;
    digits = (digits | UINT64_C(0x3030303030303030)) >> 8 * zeros;
    out[0] = '-';
    out += negative;
    memcpy(out, &digits, sizeof digits);
    if (places == 0) {
        return negative + whole;
    }
    digits >>= 8 * whole;
    out[whole] = '.';
    memcpy(out + whole + 1, &digits, sizeof digits);
    return negative + whole + 1 + places;
}

/* As tw_decimal_format; writes up to TW_SHORT_TEXT bytes. */
static inline size_t tw_short_decimal(const struct tw_decimal *d, char *out) {
    const int64_t low = (int64_t)d->low;
    if (!tw_is_short(d) || d->exponent > 0 || d->exponent < -TW_SHORT_PLACES) {
        return 0;
    }
    return tw_short_text((uint32_t)(low < 0 ? -low : low), low < 0, (unsigned)-d->exponent, out);
}

/* As tw_decimal_encode_ordered; writes up to TW_SHORT_ORDERED bytes. */
static inline size_t tw_short_ordered(const struct tw_decimal *d, char *out) {
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const int64_t low = (int64_t)d->low;
    if (!tw_is_short(d) || low == 0) {
        return 0;
    }
    const uint32_t magnitude = (uint32_t)(low < 0 ? -low : low);
    const unsigned guess = (unsigned)((32 - __builtin_clz(magnitude)) * 1233) >> 12; /* as in tw_digit_count */
    const unsigned digits = guess + (magnitude >= powers[guess]);
    const unsigned biased = (unsigned)(d->exponent + (int)digits - 1 + TW_ORDERED_BIAS);
    uint64_t pairs = tw_four_pairs(magnitude * powers[8 - digits]); /* left-aligned */
    pairs = (pairs | pairs >> 8) & UINT64_C(0x0000ffff0000ffff);
    const uint32_t bytes = (uint32_t)(pairs | pairs >> 16) + 0x01010101u;
    const size_t count = (digits + 1) / 2;
    out[0] = TW_ORDERED_POSITIVE;
    out[1] = (char)(biased / 100 + 1);
    out[2] = (char)(biased % 100 + 1);
    memcpy(out + 3, &bytes, sizeof bytes);
    out[3 + count] = 0;
    if (low < 0) {
        out[0] = TW_ORDERED_NEGATIVE;
        for (size_t i = 1; i < 4 + count; i++) {
            out[i] = (char)~out[i];
        }
    }
    return 4 + count;
}

#endif
