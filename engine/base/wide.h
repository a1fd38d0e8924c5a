#ifndef TW_BASE_WIDE_H
#define TW_BASE_WIDE_H

#include "engine/base/number.h"

/* An exact fixed-point accumulator for every sum of up to 2^63 numbers that tw_decimal_parse accepts: the value is
 * Σ limbs[i] × 10^(18 i − 360). Limbs below the top are 0 … 10^18−1, the top one carries the sign (ten's complement),
 * so a value has one representation. Numbers begin at 10^-357 (34 digits of 1e-324) and sums end below 10^328, where
 * the top limb is below 10^4. Plain memory: may be copied. */
#define TW_WIDE_LIMBS    39
#define TW_WIDE_EXPONENT (-360)
#define TW_WIDE_BASE     1000000000000000000
#define TW_WIDE_TOP_MAX  9999
#define TW_WIDE_ADJUSTED 327 /* exponent of the first digit of the greatest sum */

struct tw_wide {
    int64_t limbs[TW_WIDE_LIMBS];
};

/* A wide value without its sign: limbs[lowest … highest] hold everything that is not 0. */
struct tw_wide_magnitude {
    uint64_t limbs[TW_WIDE_LIMBS];
    int lowest;
    int highest; /* below lowest: zero */
    bool negative;
};

void tw_wide_clear(struct tw_wide *wide);
/* coefficient × 10^exponent; exponent >= -360, |coefficient × 10^exponent| < 10^328. */
void tw_wide_add(struct tw_wide *wide, tw_int128 coefficient, int exponent);
void tw_wide_add_wide(struct tw_wide *wide, const struct tw_wide *other);
void tw_wide_split(const struct tw_wide *wide, struct tw_wide_magnitude *out);
/* The inverse of split; every limb must be below 10^18. */
void tw_wide_join(struct tw_wide *wide, const struct tw_wide_magnitude *magnitude);
/* true when the magnitude has at most 38 significant digits: then it is coefficient × 10^exponent, no trailing zero. */
bool tw_wide_narrow(const struct tw_wide_magnitude *magnitude, tw_uint128 *coefficient, int *exponent);

#endif
