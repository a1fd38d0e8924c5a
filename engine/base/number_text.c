#include "engine/base/number_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/limits.h"
#include "engine/base/short_number.h"

enum {
    FULL_DIGITS = 34, /* integer part and fraction of a number written in full */
    MORE_DIGITS = 40  /* after a probe of few */
};

static size_t put(char *out, size_t at, const char *digits, size_t count) {
    memcpy(out + at, digits, count);
    return at + count;
}

static size_t put_zeros(char *out, size_t at, size_t count) {
    memset(out + at, '0', count);
    return at + count;
}

static size_t format_scientific(const struct tw_digits *d, char *out, size_t at) {
    int adjusted = d->exponent + (int)d->length - 1;
    out[at++] = d->digits[0];
    if (d->length > 1) {
        out[at++] = '.';
        at = put(out, at, d->digits + 1, d->length - 1);
    }
    out[at++] = 'e';
    out[at++] = adjusted < 0 ? '-' : '+';
    int power = adjusted < 0 ? -adjusted : adjusted;
    if (power >= 100) {
        out[at++] = (char)('0' + power / 100);
    }
    out[at++] = (char)('0' + power / 10 % 10);
    out[at++] = (char)('0' + power % 10);
    return at;
}

size_t tw_digits_format(const struct tw_digits *d, char out[TW_DECIMAL_TEXT]) {
    size_t at = 0;
    if (d->negative) {
        out[at++] = '-';
    }
    int length = (int)d->length;
    int point = length + d->exponent; /* digits in front of the decimal point; negative: zeros behind it */
    if (point > FULL_DIGITS || -d->exponent > FULL_DIGITS) {
        return format_scientific(d, out, at);
    }
    if (d->exponent >= 0) {
        at = put(out, at, d->digits, d->length);
        return put_zeros(out, at, (size_t)d->exponent);
    }
    if (point > 0) {
        at = put(out, at, d->digits, (size_t)point);
        out[at++] = '.';
        return put(out, at, d->digits + point, d->length - (size_t)point);
    }
    out[at++] = '0';
    out[at++] = '.';
    at = put_zeros(out, at, (size_t)-point);
    return put(out, at, d->digits, d->length);
}

/* Writes exactly width digits, leading zeros included. */
static void put_limb(char *out, int width, uint64_t value) {
    while (width-- > 0) {
        out[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

static __attribute__((noinline)) size_t format_any(const struct tw_decimal *d, char out[TW_DECIMAL_TEXT]) {
    tw_int128 coefficient = tw_decimal_coefficient(d);
    tw_uint128 magnitude = coefficient < 0 ? -(tw_uint128)coefficient : (tw_uint128)coefficient;
    if (magnitude == 0) {
        out[0] = '0';
        return 1;
    }
    char digits[TW_POWERS_OF_TEN];
    int length = tw_digit_count(magnitude);
    int at = length;
    while (magnitude >> 64) {
        put_limb(digits + at - 18, 18, (uint64_t)(magnitude % TW_WIDE_BASE));
        magnitude /= TW_WIDE_BASE;
        at -= 18;
    }
    put_limb(digits, at, (uint64_t)magnitude);
    struct tw_digits view = {digits, (size_t)length, d->exponent, coefficient < 0};
    return tw_digits_format(&view, out);
}

/* ---- most numbers ---- */

size_t tw_decimal_format(const struct tw_decimal *d, char out[TW_DECIMAL_TEXT]) {
    struct tw_short text;
    return tw_short_decimal(d, &text) ? tw_short_put(&text, out) : format_any(d, out);
}

static size_t format_count(uint64_t count, char out[TW_DECIMAL_TEXT]) {
    const struct tw_decimal d = {.low = count, .high = 0};
    return tw_decimal_format(&d, out);
}

enum tumble_code tw_buf_append_decimal(struct tw_buf *out, const struct tw_decimal *d) {
    char text[TW_DECIMAL_TEXT];
    if (out->capacity - out->length < TW_DECIMAL_TEXT) {
        return tw_buf_append(out, text, tw_decimal_format(d, text));
    }
    out->length += tw_decimal_format(d, out->data + out->length);
    return TUMBLE_OK;
}

enum tumble_code tw_buf_append_count(struct tw_buf *out, uint64_t count) {
    char text[TW_DECIMAL_TEXT];
    if (out->capacity - out->length < TW_DECIMAL_TEXT) {
        return tw_buf_append(out, text, format_count(count, text));
    }
    out->length += format_count(count, out->data + out->length);
    return TUMBLE_OK;
}

/* strtod without its decimal point knows no locale; the C library rounds it correctly whatever the length. */
static double read_double(const char *digits, size_t length, int exponent) {
    char text[TW_RATIO_EXACT + 64];
    memcpy(text, digits, length);
    snprintf(text + length, sizeof text - length, "e%d", exponent);
    return strtod(text, NULL);
}

/* Adds 1 (or takes 1 away) at the last digit; false when that would change the number of digits. */
static bool nudge(char *digits, size_t length, int step) {
    while (length-- > 0) {
        if (step > 0 ? digits[length] < '9' : digits[length] > '0') {
            digits[length] = (char)(digits[length] + step);
            return digits[0] != '0';
        }
        digits[length] = step > 0 ? '0' : '9';
    }
    return false;
}

/* q holds the probed digits and may be filled with more. */
static double nearest_double(const struct tw_ratio *ratio, struct tw_ratio_digits *q) {
    char next[sizeof q->digits];
    for (int more = 0; more < 2; more++) {
        double below = read_double(q->digits, q->length, q->exponent);
        if (q->ends) {
            return below;
        }
        /* The value lies between the digits and the next ones: mostly both are nearest to the same double. */
        memcpy(next, q->digits, q->length);
        if (nudge(next, q->length, 1) && read_double(next, q->length, q->exponent) == below) {
            return below;
        }
        tw_ratio_find_digits(ratio, more == 0 ? MORE_DIGITS : TW_RATIO_EXACT, q);
    }
    if (!q->ends) {
        q->digits[q->length++] = '1'; /* sticky: a little more than the digits say */
        q->exponent--;
    }
    return read_double(q->digits, q->length, q->exponent);
}

/* Digits of value (positive, finite) rounded to count of them, half to even, as the C library prints it. */
static int print_digits(double value, int count, char *digits) {
    char text[64];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *mark = strchr(text, 'e');
    int written = 0;
    for (const char *at = text; at < mark && written < count; at++) { /* the point may be any character of a locale */
        if (*at >= '0' && *at <= '9') {
            digits[written++] = *at;
        }
    }
    return (int)strtol(mark + 1, NULL, 10) - count + 1;
}

/* The fewest digits that read back as value. 15 suffice for whatever has 15 or fewer, so only subnormals begin below.
 */
static void shortest(double value, struct tw_digits *out, char digits[24]) {
    int count = value < 0x1p-1022 ? 1 : 15;
    for (; count <= 17; count++) {
        int exponent = print_digits(value, count, digits);
        out->length = (size_t)count;
        out->exponent = exponent;
        if (read_double(digits, (size_t)count, exponent) == value) {
            break;
        }
        /* Above a power of two doubles lie twice as far apart as below: the nearest digits may miss where a neighbour
         * does not. */
        char neighbour[24];
        bool found = false;
        for (int step = 1; step >= -1 && !found; step -= 2) {
            memcpy(neighbour, digits, (size_t)count);
            found = nudge(neighbour, (size_t)count, step) && read_double(neighbour, (size_t)count, exponent) == value;
        }
        if (found) {
            memcpy(digits, neighbour, (size_t)count);
            break;
        }
    }
    while (out->length > 1 && digits[out->length - 1] == '0') {
        out->length--;
        out->exponent++;
    }
}

/* 17 digits, half to even: for what no double can hold. */
static void round_to_17(struct tw_ratio_digits *q) {
    enum { KEPT = 17 };
    if (q->length <= KEPT) {
        return;
    }
    bool tie = q->ends && q->length == KEPT + 1 && q->digits[KEPT] == '5';
    bool up = tie ? (q->digits[KEPT - 1] - '0') % 2 == 1 : q->digits[KEPT] >= '5';
    q->exponent += (int)q->length - KEPT;
    q->length = KEPT;
    if (up && !nudge(q->digits, KEPT, 1)) {
        q->digits[0] = '1'; /* all nines became zeros */
        q->exponent++;
    }
    while (q->length > 1 && q->digits[q->length - 1] == '0') {
        q->length--;
        q->exponent++;
    }
}

size_t tw_ratio_format(const struct tw_ratio *ratio, char out[TW_DECIMAL_TEXT]) {
    struct tw_ratio_digits q;
    tw_ratio_probe(ratio, &q);
    struct tw_digits view = {q.digits, q.length, q.exponent, ratio->negative};
    if (q.ends && q.length <= TW_LIMIT_NUMBER_DIGITS) {
        return tw_digits_format(&view, out);
    }
    double nearest = nearest_double(ratio, &q);
    char digits[24];
    if (nearest > 0 && !isinf(nearest)) {
        view.digits = digits;
        shortest(nearest, &view, digits);
    } else {
        round_to_17(&q);
        view.length = q.length;
        view.exponent = q.exponent;
    }
    return tw_digits_format(&view, out);
}

size_t tw_wide_format(const struct tw_wide *wide, uint64_t divisor, char out[TW_DECIMAL_TEXT]) {
    struct tw_wide_magnitude magnitude;
    tw_wide_split(wide, &magnitude);
    if (magnitude.highest < magnitude.lowest) {
        out[0] = '0';
        return 1;
    }
    struct tw_ratio ratio = {.limbs = magnitude.limbs,
                             .lowest = magnitude.lowest,
                             .highest = magnitude.highest,
                             .exponent = TW_WIDE_EXPONENT,
                             .divisors = {divisor, 1},
                             .negative = magnitude.negative};
    return tw_ratio_format(&ratio, out);
}
