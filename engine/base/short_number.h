#ifndef TW_BASE_SHORT_NUMBER_H
#define TW_BASE_SHORT_NUMBER_H

#include <string.h>

#include "engine/base/digits.h"
#include "engine/base/number.h"

/* The forms of number.h for nearly every number there is, of up to eight digits, in place. 0: it is not such a number
 * (or bytes stand the other way around here), ask the function. */

enum { TW_SHORT_END = 100000000, TW_SHORT_PLACES = 7, TW_SHORT_TEXT = 10, TW_SHORT_ORDERED = 8 };

/* The first byte of the ordered form, and what is added to an exponent there. */
enum { TW_ORDERED_NEGATIVE = 1, TW_ORDERED_ZERO = 2, TW_ORDERED_POSITIVE = 3, TW_ORDERED_BIAS = 1000 };

static inline bool tw_is_short(const struct tw_decimal *d) {
    const int64_t low = (int64_t)d->low;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && d->high == low >> 63 && low > -TW_SHORT_END &&
           low < TW_SHORT_END;
}

/* A number's text in registers: up to nine characters behind its sign. */
struct tw_short {
    uint64_t head;
    uint32_t length; /* without the sign */
    bool negative;
    bool was_cut; /* of zeros at its end */
    char ninth;
};

/* magnitude / 10^places, below 10^8 and at most 7: leading zeros are cut, and the point stands in front of the last
 * places digits. cut: so are zeros behind the point, and the point where nothing is left behind it. */
static inline struct tw_short tw_short_of(uint32_t magnitude, bool negative, unsigned places, bool cut) {
    const uint64_t eight = tw_eight_digits(magnitude);
    const unsigned front = (unsigned)__builtin_ctzll(eight | UINT64_C(1) << 56) / 8;
    const unsigned zeros = front < 7 - places ? front : 7 - places, whole = 8 - zeros - places;
    const unsigned back = cut ? (unsigned)__builtin_clzll(eight | 1) / 8 : 0;
    const unsigned left = places - (back < places ? back : places);
    const uint64_t text = (eight | UINT64_C(0x3030303030303030)) >> 8 * zeros;
    const uint64_t before = UINT64_MAX >> (64 - 8 * whole);
    return (struct tw_short){
        .head = (text & before) | (text & ~before) << 8 | (uint64_t)'.' << 8 * (whole - 1) << 8,
        .length = whole + left + (left != 0),
        .negative = negative,
        .was_cut = left != places,
        .ninth = (char)(text >> 56),
    };
}

/* Writes up to TW_SHORT_TEXT bytes. */
static inline size_t tw_short_put(const struct tw_short *text, char *out) {
    out[0] = '-';
    out += text->negative;
    memcpy(out, &text->head, sizeof text->head);
    out[sizeof text->head] = text->ninth;
    return text->negative + text->length;
}

/* As tw_decimal_format; false: it is not such a number. */
static inline bool tw_short_decimal(const struct tw_decimal *d, struct tw_short *out) {
    const int64_t low = (int64_t)d->low;
    if (!tw_is_short(d) || d->exponent > 0 || d->exponent < -TW_SHORT_PLACES) {
        return false;
    }
    *out = tw_short_of((uint32_t)(low < 0 ? -low : low), low < 0, (unsigned)-d->exponent, false);
    return true;
}

/* Added to a number, by its highest bit, this leaves its count of digits above 32 bits: that of the power of two in
 * front of it, and one more from the power of ten on that lies between two of them (after D. Lemire). */
#define TW_DIGITS(n)           ((uint64_t)(n) << 32)
#define TW_DIGITS_UP(n, power) (TW_DIGITS((n) + 1) - (power))
static const uint64_t tw_digits_by_bit[] = {TW_DIGITS(1),
                                            TW_DIGITS(1),
                                            TW_DIGITS(1),
                                            TW_DIGITS_UP(1, 10),
                                            TW_DIGITS(2),
                                            TW_DIGITS(2),
                                            TW_DIGITS_UP(2, 100),
                                            TW_DIGITS(3),
                                            TW_DIGITS(3),
                                            TW_DIGITS_UP(3, 1000),
                                            TW_DIGITS(4),
                                            TW_DIGITS(4),
                                            TW_DIGITS(4),
                                            TW_DIGITS_UP(4, 10000),
                                            TW_DIGITS(5),
                                            TW_DIGITS(5),
                                            TW_DIGITS_UP(5, 100000),
                                            TW_DIGITS(6),
                                            TW_DIGITS(6),
                                            TW_DIGITS_UP(6, 1000000),
                                            TW_DIGITS(7),
                                            TW_DIGITS(7),
                                            TW_DIGITS(7),
                                            TW_DIGITS_UP(7, 10000000),
                                            TW_DIGITS(8),
                                            TW_DIGITS(8),
                                            TW_DIGITS(8)};

/* As tw_decimal_encode_ordered; writes up to TW_SHORT_ORDERED bytes, as one word. */
static inline size_t tw_short_ordered(const struct tw_decimal *d, char *out) {
    static const uint32_t powers[] = {100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    const uint64_t sign = (uint64_t)((int64_t)d->low >> 63), magnitude = (d->low ^ sign) - sign;
    if (!tw_is_short(d) || magnitude == 0) {
        return 0;
    }
    const unsigned digits = (unsigned)((magnitude + tw_digits_by_bit[63 - __builtin_clzll(magnitude)]) >> 32);
    const unsigned biased = (unsigned)(d->exponent + (int)digits - 1 + TW_ORDERED_BIAS), hundreds = biased * 5243 >> 19;
    uint64_t pairs = tw_four_pairs((uint32_t)magnitude * powers[digits]); /* left-aligned */
    pairs = (pairs | pairs >> 8) & UINT64_C(0x0000ffff0000ffff);
    pairs = (pairs | pairs >> 16) & UINT32_MAX;
    const unsigned bits = 24 + (digits + 1) / 2 * 8; /* in front of the byte 0 that ends it */
    uint64_t word = (uint64_t)TW_ORDERED_POSITIVE | hundreds << 8 | (biased - 100 * hundreds) << 16 | pairs << 24;
    word = (word + UINT64_C(0x0101010101010100)) & ((UINT64_C(1) << bits) - 1);
    word ^= sign & (((UINT64_C(256) << bits) - 1 - 0xff) | (TW_ORDERED_POSITIVE ^ TW_ORDERED_NEGATIVE));
    memcpy(out, &word, sizeof word);
    return bits / 8 + 1;
}

#endif
