#ifndef TW_BASE_WIDE_SQUARES_H
#define TW_BASE_WIDE_SQUARES_H

#include "engine/base/wide.h"

/* An exact accumulator for every sum of up to 2^63 squares of numbers that tw_decimal_parse accepts, as tw_wide is one
 * for the numbers: the value is Σ limbs[i] × 10^(18 i − 720), every limb below 10^18 but the top one, which stays below
 * 10^7 (the greatest sum is below 10^637). Never negative. Plain memory: may be copied. */
#define TW_SQUARES_LIMBS    76
#define TW_SQUARES_EXPONENT (2 * TW_WIDE_EXPONENT)
#define TW_SQUARES_LOWEST   (-714) /* exponent of the finest square: 34 digits of 1e-324 */
#define TW_SQUARES_TOP_MAX  9999999
#define TW_SQUARES_ADJUSTED 636 /* exponent of the first digit of the greatest sum */

struct tw_wide_squares {
    uint64_t limbs[TW_SQUARES_LIMBS];
};

void tw_wide_squares_clear(struct tw_wide_squares *wide);
/* coefficient × 10^exponent; exponent >= -720, the product below 10^637. */
void tw_wide_squares_add(struct tw_wide_squares *wide, tw_uint128 coefficient, int exponent);
/* (coefficient × 10^exponent)²; coefficient < 10^36. */
void tw_wide_squares_add_square(struct tw_wide_squares *wide, tw_uint128 coefficient, int exponent);
void tw_wide_squares_add_wide(struct tw_wide_squares *wide, const struct tw_wide_squares *other);
/* true when the value has at most 38 significant digits: then it is coefficient × 10^exponent, no trailing zero. */
bool tw_wide_squares_narrow(const struct tw_wide_squares *wide, tw_uint128 *coefficient, int *exponent);

/* What variance is made of: count × Σx² − (Σx)², as limbs in base 10^18 from 10^-720 upwards. */
#define TW_EXCESS_LIMBS 80
struct tw_excess {
    uint64_t limbs[TW_EXCESS_LIMBS];
    int lowest;  /* limbs[lowest … highest] hold everything that is not 0 */
    int highest; /* below lowest: zero */
};

/* false when it is negative, which no numbers make it (Cauchy and Schwarz). */
bool tw_excess_find(const struct tw_wide_squares *squares, uint64_t count, const struct tw_wide_magnitude *sum,
                    struct tw_excess *out);

#endif
