#ifndef TW_AGGREGATE_DDSKETCH_INDEX_H
#define TW_AGGREGATE_DDSKETCH_INDEX_H

#include "engine/base/number.h"

/* Which bucket of a DDSketch a number falls into, and which number stands for a bucket: integer arithmetic alone, no
 * floating point, so that machines agree bit for bit.
 *
 * Sources: C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
 * guarantees", VLDB 2019 (the buckets; the cubic stand-in for the logarithm is from its authors' implementations);
 * I. Epicoco, C. Melle, M. Cafaro, M. Pulimeno, G. Morleo, "UDDSketch: accurate tracking of quantiles in data streams",
 * IEEE Access 8, 2020 (the uniform collapse, which squares the ratio γ of a bucket's bounds).
 *
 * |x| = (1 + m) 2^e. In place of log2|x| stands L = e + m (50 − 21 m + 6 m²) / 35, which rises from e to e + 1 over an
 * octave. Its slope against ln|x| is (1 + m) (50 − 42 m + 18 m²) / 35, at least 10/7 (at m = 0 and m = 2/3; the slope
 * of log2 is 1.4427), so bounds W apart in L lie at most a ratio γ = exp(7 W / 10) apart in x. The index at level 0 is
 * floor(L / W), counted from L = −1200; at level l it is that, halved l times downwards. A value that stands for a
 * bucket [a, b] is 2ab / (a + b), which is within (b − a) / (a + b) = (γ − 1) / (γ + 1) of both ends, and so of all
 * between.
 *
 * The decimal's mantissa, L and W are cut to 58 bits or more: near a bucket's bound two numbers less than 2^-50 apart
 * (of themselves) may be put the wrong way round, by one bucket at most, the same way everywhere. W is chosen for an
 * error smaller by 2^-11 of itself than what was asked for; that pays for these cuts and for the digits of the output.
 */

enum { TW_DDSKETCH_LEVELS = 25 }; /* 0 … 24: at the last, all positive numbers are one bucket */

/* What relative_error makes of the mapping. */
struct tw_ddsketch_scale {
    uint64_t buckets_per_octave; /* × 2^36, rounded up: the index is L × this / 2^36 */
    uint64_t error;              /* what was asked for × 2^62, rounded up */
};

/* error: 0.0001 … 0.5. */
void tw_ddsketch_scale_of(struct tw_ddsketch_scale *scale, const struct tw_decimal *error);

/* Bucket of a number that is not 0: index of its magnitude, and for a negative one the complement of it (−1 − index),
 * so that buckets order as their numbers do and an arithmetic shift to the right collapses both signs alike. */
int32_t tw_ddsketch_bucket(const struct tw_ddsketch_scale *scale, const struct tw_decimal *number);
/* The same for each of count numbers, which stand stride bytes apart; TW_DDSKETCH_ZERO for 0. Doubles say where a
 * number falls, and integers have the word where that is so near to a bucket's bound that doubles might be wrong. */
enum { TW_DDSKETCH_ZERO = INT32_MIN };
void tw_ddsketch_buckets(const struct tw_ddsketch_scale *scale, const struct tw_decimal *numbers, size_t stride,
                         size_t count, int32_t *out);
/* The same for count integers of at most 51 bits each, times 10^exponent, which is from -18 to 0. */
void tw_ddsketch_buckets_scaled(const struct tw_ddsketch_scale *scale, const int64_t *numbers, int exponent,
                                size_t count, int32_t *out);
/* Pairs of buckets become one: level by level. */
static inline int32_t tw_ddsketch_collapse(int32_t bucket, unsigned levels) { return bucket >> levels; }
/* The highest bucket at level 0; the lowest is the complement of it. */
int32_t tw_ddsketch_highest(const struct tw_ddsketch_scale *scale);
/* True for what tw_ddsketch_bucket, collapsed to level, can give. */
bool tw_ddsketch_bucket_valid(const struct tw_ddsketch_scale *scale, int64_t bucket, unsigned level);

/* The number that stands for a bucket, to 9 significant digits. Where a bucket begins below every number there is, so
 * may this: the caller holds it between the least and the greatest number added. */
void tw_ddsketch_number(const struct tw_ddsketch_scale *scale, int32_t bucket, unsigned level, struct tw_decimal *out);
/* The relative error such numbers keep within at a level above 0, rounded up to 7 decimals. */
void tw_ddsketch_error(const struct tw_ddsketch_scale *scale, unsigned level, struct tw_decimal *out);

/* A decimal between 0 and 1 × 10^18, cut to an integer. */
uint64_t tw_ddsketch_fraction(const struct tw_decimal *number);

#endif
