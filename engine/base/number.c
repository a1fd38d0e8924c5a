#include "engine/base/number.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/base/short_number.h"

#define SIX(n) (n) * 1, (n)*10, (n)*100, (n)*1000, (n)*10000, (n)*100000

_Static_assert(TW_POWERS_OF_TEN == 6 * 6 + 3, "the table below is six sixes and three");
const tw_uint128 tw_power_of_ten[TW_POWERS_OF_TEN] = {
    SIX((tw_uint128)1),
    SIX((tw_uint128)1000000),
    SIX((tw_uint128)1000000000000),
    SIX((tw_uint128)1000000000000000000),
    SIX((tw_uint128)1000000000000000000 * 1000000),
    SIX((tw_uint128)1000000000000000000 * 1000000000000),
    (tw_uint128)1000000000000000000 * 1000000000000000000,
    (tw_uint128)1000000000000000000 * 1000000000000000000 * 10,
    (tw_uint128)1000000000000000000 * 1000000000000000000 * 100,
};

enum { ADJUSTED_MIN = -324, ADJUSTED_MAX = 308 }; /* exponent of the first digit: 1e-324 … 9.99e308 */

int tw_digit_count(tw_uint128 value) {
    uint64_t high = (uint64_t)(value >> 64);
    uint64_t low = (uint64_t)value;
    if (value == 0) {
        return 0;
    }
    int bits = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low);
    int digits = (bits * 1233) >> 12; /* floor(bits × log10(2)): the right count or one too few */
    return digits < TW_POWERS_OF_TEN && value >= tw_power_of_ten[digits] ? digits + 1 : digits;
}

static int strip_small(uint64_t *value) {
    int stripped = 0;
    while (*value % 10 == 0) {
        *value /= 10;
        stripped++;
    }
    return stripped;
}

int tw_strip_trailing_zeros(tw_uint128 *value) {
    if (*value == 0) {
        return 0;
    }
    int stripped = 0;
    while (*value >> 64) {
        if (*value % 10 != 0) {
            return stripped;
        }
        *value /= 10;
        stripped++;
    }
    uint64_t small = (uint64_t)*value;
    stripped += strip_small(&small);
    *value = small;
    return stripped;
}

static void set(struct tw_decimal *out, bool negative, tw_uint128 magnitude, int exponent) {
    tw_uint128 bits = negative ? -magnitude : magnitude;
    out->low = (uint64_t)bits;
    out->high = (int64_t)(uint64_t)(bits >> 64);
    out->exponent = magnitude ? exponent : 0;
    out->reserved = 0;
}

void tw_decimal_of(struct tw_decimal *out, int64_t coefficient, int exponent) {
    uint64_t magnitude = coefficient < 0 ? -(uint64_t)coefficient : (uint64_t)coefficient;
    if (magnitude) {
        exponent += strip_small(&magnitude);
    }
    set(out, coefficient < 0, magnitude, exponent);
}

static enum tumble_code refuse(const char *text, size_t length, const char *why, struct tumble_error *err) {
    enum { SHOWN = 48 };
    return tw_fail(err, TUMBLE_ENUMBER, "the number %.*s%s %s; send it as a string if it is not a quantity",
                   (int)(length < SHOWN ? length : SHOWN), text, length > SHOWN ? "…" : "", why);
}

/* Reads [+-]digits; saturates far beyond what any text length can bring back into range. */
static int64_t read_exponent(const char *at, const char *end) {
    enum { SATURATED = 1000000000 };
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    int64_t value = 0;
    for (; at < end; at++) {
        value = value < SATURATED ? value * 10 + (*at - '0') : value;
    }
    return negative ? -value : value;
}

static enum tumble_code parse_any(struct tw_decimal *out, const char *text, size_t length, struct tumble_error *err) {
    const char *end = text + length;
    const char *at = text;
    bool negative = at < end && *at == '-';
    if (negative) {
        at++;
    }
    const char *mantissa_end = at;
    const char *point = NULL;
    while (mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E') {
        if (*mantissa_end == '.') {
            point = mantissa_end;
        }
        mantissa_end++;
    }
    int64_t weight = (point ? point : mantissa_end) - at - 1; /* power of ten of the digit at `at` */
    int64_t last_weight = 0;                                  /* of the last digit that is not 0 */
    int64_t zeros = 0; /* seen since that one: they count only if another follows */
    int digits = 0;
    tw_uint128 magnitude = 0;
    for (; at < mantissa_end; at++) {
        if (*at == '.') {
            continue;
        }
        if (*at == '0') {
            zeros += digits > 0;
        } else {
            if (digits + zeros + 1 > TW_LIMIT_NUMBER_DIGITS) {
                return refuse(text, length, "has more than 34 significant digits", err);
            }
            magnitude = magnitude * tw_power_of_ten[zeros + 1] + (tw_uint128)(uint64_t)(*at - '0');
            digits += (int)zeros + 1;
            zeros = 0;
            last_weight = weight;
        }
        weight--;
    }
    if (magnitude == 0) {
        set(out, false, 0, 0);
        return TUMBLE_OK;
    }
    int64_t exponent = last_weight + (mantissa_end < end ? read_exponent(mantissa_end + 1, end) : 0);
    int64_t adjusted = exponent + digits - 1;
    if (adjusted < ADJUSTED_MIN || adjusted > ADJUSTED_MAX) {
        return refuse(text, length, adjusted < 0 ? "is nearer to 0 than 1e-324" : "is beyond ±1e308", err);
    }
    set(out, negative, magnitude, (int)exponent);
    return TUMBLE_OK;
}

enum tumble_code tw_decimal_parse(struct tw_decimal *out, const char *text, size_t length, struct tumble_error *err) {
    /* 19 bytes hold at most 19 digits, which fit 64 bits whatever they are. */
    if (length == 0 || length > 19) {
        return parse_any(out, text, length, err);
    }
    const char *at = text;
    const char *end = text + length;
    bool negative = *at == '-';
    at += negative;
    uint64_t magnitude = 0;
    for (; at < end && (unsigned char)(*at - '0') < 10; at++) {
        magnitude = magnitude * 10 + (uint64_t)(*at - '0');
    }
    int exponent = 0;
    if (at < end) {
        if (*at != '.') {
            return parse_any(out, text, length, err);
        }
        const char *fraction = ++at;
        for (; at < end && (unsigned char)(*at - '0') < 10; at++) {
            magnitude = magnitude * 10 + (uint64_t)(*at - '0');
        }
        if (at < end) {
            return parse_any(out, text, length, err);
        }
        exponent = (int)(fraction - end);
    }
    if (end[-1] == '0' && magnitude) {
        exponent += strip_small(&magnitude);
    }
    uint64_t sign = (uint64_t)0 - (uint64_t)(negative && magnitude);
    out->low = (magnitude ^ sign) - sign;
    out->high = (int64_t)sign;
    out->exponent = magnitude ? exponent : 0;
    out->reserved = 0;
    return TUMBLE_OK;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* At most eight characters, the last of eight that may be read: what stands before them, a minus sign and the point are
 * made zeros (the point by moving up what is in front of it), then pairs, fours and the eight digits are joined. */
static inline bool parse_eight(struct tw_decimal *out, const char *text, size_t length) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    const uint64_t zeros = UINT64_C(0x3030303030303030), nibbles = UINT64_C(0xf0f0f0f0f0f0f0f0);
    const uint64_t pairs = UINT64_C(0x000000ff000000ff);
    unsigned before = 64 - 8 * (unsigned)length; /* bits of what is not the number's */
    uint64_t word;
    memcpy(&word, text + length - 8, sizeof word);
    uint64_t ours = ~UINT64_C(0) << before;
    bool negative = *text == '-';
    word = (word & ours) | (zeros & ~ours);
    word ^= (uint64_t)(negative ? '-' ^ '0' : 0) << before;
    uint64_t point = word ^ ones * '.';
    point = (point - ones) & ~point & highs; /* its lowest bit is right, and one is all there can be */
    int exponent = 0;
    if (point) {
        unsigned bit = (unsigned)__builtin_ctzll(point) & ~7u;
        uint64_t in_front = word & ((UINT64_C(1) << bit) - 1);
        uint64_t behind = word & ~((UINT64_C(2) << (bit + 7)) - 1);
        word = behind | in_front << 8 | '0';
        exponent = (int)(bit / 8) - 7;
    }
    if ((((word & nibbles) ^ zeros) | (((word + ones * 6) & nibbles) ^ zeros)) != 0) {
        return false;
    }
    word -= zeros;
    word = word * 10 + (word >> 8);
    uint64_t magnitude =
        ((word & pairs) * (100 + (UINT64_C(1000000) << 32)) + (word >> 16 & pairs) * (1 + (UINT64_C(10000) << 32))) >>
        32;
    if (text[length - 1] == '0' && magnitude) {
        exponent += strip_small(&magnitude);
    }
    uint64_t sign = (uint64_t)0 - (uint64_t)(negative && magnitude);
    out->low = (magnitude ^ sign) - sign;
    out->high = (int64_t)sign;
    out->exponent = magnitude ? exponent : 0;
    out->reserved = 0;
    return true;
}
#else
static inline bool parse_eight(struct tw_decimal *out, const char *text, size_t length) {
    (void)out;
    (void)text;
    (void)length;
    return false;
}
#endif

enum tumble_code tw_decimal_parse_in(struct tw_decimal *out, const char *begin, const char *text, size_t length,
                                     struct tumble_error *err) {
    if (length - 1 < 8 && (size_t)(text - begin) + length >= 8 && parse_eight(out, text, length)) {
        return TUMBLE_OK;
    }
    return tw_decimal_parse(out, text, length, err);
}

static tw_uint128 magnitude_of(tw_int128 coefficient) {
    return coefficient < 0 ? -(tw_uint128)coefficient : (tw_uint128)coefficient;
}

static int compare_wide(tw_int128 x, tw_int128 y) { return (x > y) - (x < y); }

int tw_decimal_compare(const struct tw_decimal *a, const struct tw_decimal *b) {
    tw_int128 x = tw_decimal_coefficient(a);
    tw_int128 y = tw_decimal_coefficient(b);
    if (a->exponent == b->exponent) {
        return compare_wide(x, y);
    }
    int x_sign = (x > 0) - (x < 0);
    int y_sign = (y > 0) - (y < 0);
    if (x_sign != y_sign || x_sign == 0) {
        return x_sign - y_sign;
    }
    int x_digits = tw_digit_count(magnitude_of(x));
    int y_digits = tw_digit_count(magnitude_of(y));
    int x_adjusted = x_digits + a->exponent;
    int y_adjusted = y_digits + b->exponent;
    if (x_adjusted != y_adjusted) {
        return x_adjusted > y_adjusted ? x_sign : -x_sign;
    }
    /* The first digits stand at the same place, so the shorter one, scaled, is as long as the other: 34 digits at most.
     */
    if (x_digits < y_digits) {
        x *= (tw_int128)tw_power_of_ten[y_digits - x_digits];
    } else {
        y *= (tw_int128)tw_power_of_ten[x_digits - y_digits];
    }
    return compare_wide(x, y);
}

/* Ordered bytes: sign (1 negative, 2 zero, 3 positive), exponent of the first digit in two base-100 bytes, digits in
 * pairs, terminator. Every byte between sign and terminator is 1 … 100, the terminator 0; a negative number has all
 * bytes behind the sign complemented, so that greater magnitudes come first. */
enum { PAIRS_MAX = 17 };

static __attribute__((noinline)) size_t encode_any(const struct tw_decimal *d, char out[TW_DECIMAL_ORDERED]) {
    tw_int128 coefficient = tw_decimal_coefficient(d);
    size_t length = 0;
    if (coefficient == 0) {
        out[length++] = TW_ORDERED_ZERO;
        out[length++] = 0;
        return length;
    }
    tw_uint128 magnitude = magnitude_of(coefficient);
    int digits = tw_digit_count(magnitude);
    int biased = d->exponent + digits - 1 + TW_ORDERED_BIAS;
    int pairs = (digits + 1) / 2;
    if (digits % 2) {
        magnitude *= 10; /* left-aligned: the last pair ends in 0 */
    }
    out[length++] = coefficient < 0 ? TW_ORDERED_NEGATIVE : TW_ORDERED_POSITIVE;
    out[length++] = (char)(biased / 100 + 1);
    out[length++] = (char)(biased % 100 + 1);
    int left = pairs;
    for (; left > 0 && magnitude > UINT64_MAX; left--) {
        out[length + (size_t)left - 1] = (char)(magnitude % 100 + 1);
        magnitude /= 100;
    }
    uint64_t low = (uint64_t)magnitude; /* most numbers need no division of 128 bits */
    for (; left > 0; left--) {
        out[length + (size_t)left - 1] = (char)(low % 100 + 1);
        low /= 100;
    }
    length += (size_t)pairs;
    out[length++] = 0;
    if (coefficient < 0) {
        for (size_t i = 1; i < length; i++) {
            out[i] = (char)~out[i];
        }
    }
    return length;
}

size_t tw_decimal_encode_ordered(const struct tw_decimal *d, char out[TW_DECIMAL_ORDERED]) {
    size_t length = tw_short_ordered(d, out);
    return length ? length : encode_any(d, out);
}

bool tw_decimal_decode_ordered(const char **at, const char *end, struct tw_decimal *out) {
    const unsigned char *in = (const unsigned char *)*at;
    const unsigned char *stop = (const unsigned char *)end;
    if (stop - in < 2) {
        return false;
    }
    unsigned sign = *in++;
    if (sign == TW_ORDERED_ZERO) {
        if (*in != 0) {
            return false;
        }
        set(out, false, 0, 0);
        *at += 2;
        return true;
    }
    if (sign != TW_ORDERED_NEGATIVE && sign != TW_ORDERED_POSITIVE) {
        return false;
    }
    unsigned flip = sign == TW_ORDERED_NEGATIVE ? 0xff : 0;
    int body[2 + PAIRS_MAX]; /* two of the exponent, then the pairs */
    int count = 0;
    for (;; in++) {
        if (in == stop) {
            return false;
        }
        unsigned byte = *in ^ flip;
        if (byte == 0) {
            break;
        }
        if (byte > 100 || count == 2 + PAIRS_MAX) {
            return false;
        }
        body[count++] = (int)byte - 1;
    }
    if (count < 3 || body[2] < 10 || body[count - 1] == 0) {
        return false;
    }
    tw_uint128 magnitude = 0;
    for (int i = 2; i < count; i++) {
        magnitude = magnitude * 100 + (tw_uint128)(uint64_t)body[i];
    }
    int adjusted = body[0] * 100 + body[1] - TW_ORDERED_BIAS;
    if (adjusted < ADJUSTED_MIN || adjusted > ADJUSTED_MAX) {
        return false;
    }
    int digits = 2 * (count - 2);
    if (body[count - 1] % 10 == 0) {
        magnitude /= 10;
        digits--;
    }
    set(out, sign == TW_ORDERED_NEGATIVE, magnitude, adjusted - digits + 1);
    *at = (const char *)in + 1;
    return true;
}
