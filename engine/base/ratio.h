#ifndef TW_BASE_RATIO_H
#define TW_BASE_RATIO_H

#include "engine/base/number.h"

/* An exact quotient, or the square root of one, as a source of decimal digits:
 *   ± Σ limbs[i] × 10^(18 i + exponent) / (divisors[0] × divisors[1])
 * Not zero. Plain memory; limbs are borrowed. */
struct tw_ratio {
    const uint64_t *limbs; /* each below 10^18 */
    int lowest;            /* limbs[lowest … highest] hold everything that is not 0 */
    int highest;
    int exponent;
    uint64_t divisors[2]; /* each above 0 */
    bool root;            /* the square root of the above */
    bool negative;        /* only without root */
};

/* No point halfway between two doubles has more than 767 digits: so many tell on which side of it the value lies. */
#define TW_RATIO_EXACT 800

/* The value is digits × 10^exponent (without its sign), or lies above that by less than 1 in the last digit. */
struct tw_ratio_digits {
    char digits[TW_RATIO_EXACT + 40]; /* room for the limb that reaches the count, and a digit the user may add */
    size_t length;
    int exponent;
    bool ends; /* nothing follows: the digits are the value, the last one is not 0 */
};

/* At least wanted digits, fewer only when it ends before. wanted <= TW_RATIO_EXACT. */
void tw_ratio_find_digits(const struct tw_ratio *ratio, size_t wanted, struct tw_ratio_digits *out);
/* What is cheap, but enough to see whether the value ends within 34 digits and nearly always to round it to a double:
 * 19 digits or more. */
void tw_ratio_probe(const struct tw_ratio *ratio, struct tw_ratio_digits *out);

#endif
