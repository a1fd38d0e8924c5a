#ifndef TW_BASE_NUMBER_H
#define TW_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

__extension__ typedef __int128 tw_int128;
__extension__ typedef unsigned __int128 tw_uint128;

/* An exact decimal: coefficient × 10^exponent, as the number stands in its JSON text. |coefficient| < 10^34 and
 * normalised: no trailing zeros in the coefficient; zero is {0, 0, 0}. So equal numbers have equal bytes (1 = 1.0 =
 * 1e0, −0 = 0). The coefficient is kept in two halves so that the struct is 24 bytes and needs only 8-byte alignment.
 */
struct tw_decimal {
    uint64_t low;
    int64_t high;
    int32_t exponent;
    int32_t reserved; /* 0 */
};

static inline tw_int128 tw_decimal_coefficient(const struct tw_decimal *d) {
    return (tw_int128)(((tw_uint128)(uint64_t)d->high << 64) | d->low);
}

/* Reads a JSON number (grammar already checked). At most 34 significant digits, magnitude from 1e-324 to below 1e309,
 * or zero; otherwise ENUMBER. Never uses floating point. The path for up to 18 digits without exponent is the hot one.
 */
enum tumble_code tw_decimal_parse(struct tw_decimal *out, const char *text, size_t length, struct tumble_error *err);

/* The same, where the bytes from begin on may be read too: eight at once when they hold the number. */
enum tumble_code tw_decimal_parse_in(struct tw_decimal *out, const char *begin, const char *text, size_t length,
                                     struct tumble_error *err);

/* coefficient × 10^exponent, normalised. */
void tw_decimal_of(struct tw_decimal *out, int64_t coefficient, int exponent);

/* 10^0 … 10^38: every power of ten a signed 128-bit integer holds. */
#define TW_POWERS_OF_TEN 39
extern const tw_uint128 tw_power_of_ten[TW_POWERS_OF_TEN];
/* Decimal digits of value; 0 has none. */
int tw_digit_count(tw_uint128 value);
/* Divides by ten as often as that leaves no remainder; returns how often. 0 stays 0. */
int tw_strip_trailing_zeros(tw_uint128 *value);

int tw_decimal_compare(const struct tw_decimal *a, const struct tw_decimal *b); /* <0, 0, >0 */

/* a < b, in place for nearly every pair there is: coefficients of 64 bits whose last digits stand at most 18 places
 * apart. Scaled by 10^18 such a coefficient is below 2^123. */
static inline bool tw_decimal_less(const struct tw_decimal *a, const struct tw_decimal *b) {
    int64_t x = (int64_t)a->low;
    int64_t y = (int64_t)b->low;
    int shift = a->exponent - b->exponent;
    if (a->high != x >> 63 || b->high != y >> 63 || shift < -18 || shift > 18) {
        return tw_decimal_compare(a, b) < 0;
    }
    /* Which of the two is scaled cannot be guessed where numbers have one decimal place or two, so both are; the
     * barrier keeps a compiler from branching all the same. */
    int negative = shift >> 31;
    __asm__("" : "+r"(negative));
    tw_int128 wide_x = (tw_int128)x * (int64_t)(uint64_t)tw_power_of_ten[shift & ~negative];
    tw_int128 wide_y = (tw_int128)y * (int64_t)(uint64_t)tw_power_of_ten[-shift & negative];
    return wide_x < wide_y;
}

/* Canonical text: digits in full ("19.99", "-0.001", "120000") when both the integer part and the fraction have at
 * most 34 digits written that way, else d.ddde±XX ("1e+300"). Returns the length; out is not NUL-terminated. */
#define TW_DECIMAL_TEXT 80
size_t tw_decimal_format(const struct tw_decimal *d, char out[TW_DECIMAL_TEXT]);

/* The nearest double, ties to even; infinite beyond its range. Independent of locale. */
double tw_decimal_double(const struct tw_decimal *d);

/* Order-preserving bytes: memcmp of two encodings orders as the numbers do. Self-delimiting (ends at a terminator that
 * no other position can hold). Returns the length. decode returns false for bytes encode never writes. */
#define TW_DECIMAL_ORDERED 48
size_t tw_decimal_encode_ordered(const struct tw_decimal *d, char out[TW_DECIMAL_ORDERED]);
bool tw_decimal_decode_ordered(const char **at, const char *end, struct tw_decimal *out);

#endif
