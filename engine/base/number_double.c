#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

/* Powers of ten that a double holds exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

double tw_decimal_double(const struct tw_decimal *d) {
    tw_int128 coefficient = tw_decimal_coefficient(d);
    const tw_int128 exact = (tw_int128)1 << 53;
    if (coefficient > -exact && coefficient < exact && d->exponent >= -22 && d->exponent <= 22) {
        /* Both operands are exact, so the one operation is correctly rounded (Clinger 1990). */
        double value = (double)(int64_t)coefficient;
        return d->exponent < 0 ? value / exact_powers[-d->exponent] : value * exact_powers[d->exponent];
    }
    /* Digits and an exponent, no decimal point: strtod reads that alike in every locale, correctly rounded. */
    char digits[40], text[64];
    size_t at = sizeof digits;
    tw_uint128 rest = coefficient < 0 ? -(tw_uint128)coefficient : (tw_uint128)coefficient;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest);
    snprintf(text, sizeof text, "%s%se%d", coefficient < 0 ? "-" : "", digits + at, (int)d->exponent);
    return strtod(text, NULL);
}
