#include "engine/aggregate/ddsketch_index.h"

#include <string.h>

#include "engine/codec/cpu.h"

/* A positive number: mantissa × 2^(exponent − 63), first bit of the mantissa set. */
struct binary {
    uint64_t mantissa;
    int exponent;
};

enum {
    L_BITS = 52,     /* of L behind the point; 12 in front */
    L_BIAS = 1200,   /* the least number is above 2^-1077 */
    L_TOP = 1030,    /* the greatest is below 2^1027 */
    SCALE_BITS = 36, /* of buckets_per_octave behind the point */
    ERROR_BITS = 62, /* of error, all behind the point */
    FRACTION_BITS = 58,
    COARSE_STEP = 18, /* powers of ten: multiples of this from a table, the rest of them exact */
    COARSE_FIRST = -21,
    DIGITS = 9 /* of a bucket's number */
};

static const uint64_t decimal_unit = 1000000000000000000; /* 10^18 */

/* 10^(18 i), i = -21 … 22: the first 64 bits. */
static const uint64_t coarse[] = {
    0x9ecffc31d586abc0, 0x89bf722840327f82, 0xeef453d6923bd65a, 0xcf42894a5dce35ea, 0xb3c4f1ba87bc8696,
    0x9becce62836ac577, 0x873e4f75e2224e68, 0xea9c227723ee8bcb, 0xcb7ddcdda26da268, 0xb080392cc4349dec,
    0x991711052d8bf3c5, 0x84c8d4dfd2c63f3b, 0xe65829b3046b0afa, 0xc7caba6e7c5382c8, 0xad4ab7112eb3929d,
    0x964e858c91ba2655, 0x825ecc24c873782f, 0xe2280b6c20dd5232, 0xc428d05aa4751e4c, 0xaa242499697392d2,
    0x9392ee8e921d5d07, 0x8000000000000000, 0xde0b6b3a76400000, 0xc097ce7bc90715b3, 0xa70c3c40a64e6c51,
    0x90e40fbeea1d3a4a, 0xfb5878494ace3a5f, 0xda01ee641a708de9, 0xbd176620a501fbff, 0xa402b9c5a8d3a6e7,
    0x8e41ade9fbebc27d, 0xf6c69a72a3989f5b, 0xd60b3bd56a5586f1, 0xb9a74a0637ce2ee1, 0xa1075a24e4421730,
    0x8bab8eefb6409c1a, 0xf24a01a73cf2dccf, 0xd226fc195c6a2f8c, 0xb6472e511c81471d, 0x9e19db92b4e31ba9,
    0x892179be91d43a43, 0xede24ae798ec8284, 0xce54d951f70637d5, 0xb2f6c887001a31e2,
};

static inline struct binary normalise(tw_uint128 value) {
    uint64_t high = (uint64_t)(value >> 64);
    struct binary out;
    if (high == 0) {
        int zeros = __builtin_clzll((uint64_t)value);
        out.mantissa = (uint64_t)value << zeros;
        out.exponent = 63 - zeros;
    } else {
        int zeros = __builtin_clzll(high);
        out.mantissa = (uint64_t)(value << zeros >> 64);
        out.exponent = 127 - zeros;
    }
    return out;
}

static inline struct binary multiply(struct binary a, struct binary b) {
    tw_uint128 product = (tw_uint128)a.mantissa * b.mantissa; /* 2^126 or more */
    uint64_t high = (uint64_t)(product >> 64);
    int carry = (int)(high >> 63);
    struct binary out;
    out.mantissa = carry ? high : (uint64_t)(product >> 63);
    out.exponent = a.exponent + b.exponent + carry;
    return out;
}

/* a × 10^power, cut; power -378 … 413. */
static struct binary scale_by_ten(struct binary a, int power) {
    int step = (power - COARSE_FIRST * COARSE_STEP) / COARSE_STEP;
    int fine = power - (step + COARSE_FIRST) * COARSE_STEP;
    if (fine) {
        a = multiply(a, normalise(tw_power_of_ten[fine]));
    }
    if (step + COARSE_FIRST) {
        /* floor(p × log2(10)) for every p of the table */
        struct binary ten = {coarse[step], ((step + COARSE_FIRST) * COARSE_STEP * 217706) >> 16};
        a = multiply(a, ten);
    }
    return a;
}

uint64_t tw_ddsketch_fraction(const struct tw_decimal *number) {
    tw_uint128 value = (tw_uint128)tw_decimal_coefficient(number);
    int shift = number->exponent + COARSE_STEP;
    if (shift < 0) {
        return shift <= -TW_POWERS_OF_TEN ? 0 : (uint64_t)(value / tw_power_of_ten[-shift]);
    }
    return (uint64_t)(value * tw_power_of_ten[shift]);
}

void tw_ddsketch_scale_of(struct tw_ddsketch_scale *scale, const struct tw_decimal *error) {
    tw_uint128 asked = (tw_uint128)tw_ddsketch_fraction(error) << ERROR_BITS;
    scale->error = (uint64_t)(asked / decimal_unit) + 1;
    /* atanh(kept) = Σ kept^(2i+1) / (2i+1), every term cut: a little too small, and so is W. ln γ is twice that. */
    uint64_t kept = (uint64_t)(asked / decimal_unit);
    kept -= kept >> 11;
    uint64_t sum = 0;
    uint64_t power = kept;
    uint64_t square = (uint64_t)((tw_uint128)kept * kept >> ERROR_BITS);
    for (uint64_t odd = 1; power; odd += 2) {
        sum += power / odd;
        power = (uint64_t)((tw_uint128)power * square >> ERROR_BITS);
    }
    /* 1 / W = 1 / (10/7 × 2 × sum / 2^62) */
    tw_uint128 sevenths = (tw_uint128)7 << (ERROR_BITS + SCALE_BITS);
    scale->buckets_per_octave = (uint64_t)((sevenths - 1) / ((tw_uint128)20 * sum)) + 1;
}

/* m (50 − 21 m + 6 m²) / 35 for m = fraction / 2^58, in units of 2^-52. */
static inline uint64_t octave_part(uint64_t fraction) {
    uint64_t inner = ((uint64_t)21 << FRACTION_BITS) - 6 * fraction;
    inner = (uint64_t)((tw_uint128)inner * fraction >> FRACTION_BITS);
    inner = ((uint64_t)50 << FRACTION_BITS) - inner;
    inner = (uint64_t)((tw_uint128)inner * fraction >> FRACTION_BITS);
    return inner / (35 << (FRACTION_BITS - L_BITS));
}

static inline uint64_t fraction_of(uint64_t mantissa) { return (mantissa << 1) >> (64 - FRACTION_BITS); }

int32_t tw_ddsketch_bucket(const struct tw_ddsketch_scale *scale, const struct tw_decimal *number) {
    tw_int128 coefficient = tw_decimal_coefficient(number);
    bool negative = coefficient < 0;
    struct binary x = normalise(negative ? -(tw_uint128)coefficient : (tw_uint128)coefficient);
    if (number->exponent) {
        x = scale_by_ten(x, number->exponent);
    }
    uint64_t l = ((uint64_t)(x.exponent + L_BIAS) << L_BITS) + octave_part(fraction_of(x.mantissa));
    int32_t index = (int32_t)((tw_uint128)l * scale->buckets_per_octave >> (L_BITS + SCALE_BITS));
    return negative ? ~index : index;
}

/* ---- many at once ----
 *
 * In doubles: a number of at most 63 bits times a power of ten from the table is off by less than 2^-50 of itself, and
 * so is e + m by less than 2^-49. L is off by less than 2^-40, and with at most 3,510 buckets in an octave L / W by
 * less than 2^-27, whether or not a compiler fuses a product and a sum. tw_ddsketch_bucket's own cuts come to less than
 * that. So where L / W is 2^-20 from an integer or further, both have the same floor. */
enum { POWERS = 22 }; /* of ten, on either side */

static const double powers[2 * POWERS + 1] = {
    1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8,
    1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,   1e6,  1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,  1e21, 1e22,
};

enum { PLACE_BITS = 20, AT_ONCE = 32, LANES = 4 };

/* L / W × 2^20 = octave × e + constant + m (first − m (second − m third)), e with its bias. */
struct mapping {
    double octave;
    double constant;
    double first;
    double second;
    double third;
};

typedef double doubles4 __attribute__((vector_size(32)));
typedef int64_t words4 __attribute__((vector_size(32)));
typedef int32_t buckets4 __attribute__((vector_size(16)));

/* Of count doubles, some times LANES; or, power not being 0, of integers of at most 51 bits times that. False: of one
 * of them tw_ddsketch_bucket has to be asked. Integers become doubles, and doubles integers, by the bits that they have
 * when a large number is added. */
static inline __attribute__((always_inline)) bool place_all(const struct mapping *mapping, const void *numbers,
                                                            bool scaled, double power, size_t count, int32_t *out) {
    const int64_t fraction = (INT64_C(1) << 52) - 1, one = INT64_C(1023) << 52, integers = INT64_C(1075) << 52;
    const int64_t of_either_sign = INT64_C(0x4338) << 48; /* 0x1.8p52 */
    const int64_t far = (INT64_C(1) << PLACE_BITS) - 2;   /* bits of what is further from an integer */
    words4 doubtful = {0};
    for (size_t i = 0; i < count; i += LANES) {
        words4 bits;
        memcpy(&bits, (const char *)numbers + i * sizeof(int64_t), sizeof bits);
        if (scaled) {
            bits = (words4)(((doubles4)(bits + of_either_sign) - 0x1.8p52) * power);
        }
        const words4 negative = bits >> 63;
        bits &= INT64_MAX;
        const doubles4 m = (doubles4)((bits & fraction) | one) - 1.0;
        const doubles4 exponent = (doubles4)(bits >> 52 | integers) - 0x1p52;
        const doubles4 within = m * (mapping->first - m * (mapping->second - m * mapping->third));
        const doubles4 place = exponent * mapping->octave + (mapping->constant + within);
        const words4 whole = (words4)(place + 0x1p52) & fraction;
        doubtful |= (words4)(((whole + 1) & far) == 0) | (words4)(bits == 0);
        const buckets4 buckets = __builtin_convertvector((whole >> PLACE_BITS) ^ negative, buckets4);
        memcpy(out + i, &buckets, sizeof buckets);
    }
    return (doubtful[0] | doubtful[1] | doubtful[2] | doubtful[3]) == 0;
}

static bool place_all_portable(const struct mapping *mapping, const void *numbers, double power, size_t count,
                               int32_t *out) {
    return power != 0 ? place_all(mapping, numbers, true, power, count, out)
                      : place_all(mapping, numbers, false, power, count, out);
}

#ifdef TW_HAVE_AVX
static __attribute__((target("avx2"))) bool place_all_avx2(const struct mapping *mapping, const void *numbers,
                                                           double power, size_t count, int32_t *out) {
    return power != 0 ? place_all(mapping, numbers, true, power, count, out)
                      : place_all(mapping, numbers, false, power, count, out);
}
#endif

static inline bool place_some(const struct mapping *mapping, const void *numbers, double power, size_t count,
                              int32_t *out) {
#ifdef TW_HAVE_AVX
    if (tw_cpu_has_avx2()) {
        return place_all_avx2(mapping, numbers, power, count, out);
    }
#endif
    return place_all_portable(mapping, numbers, power, count, out);
}

/* 0 for what a double does not say, and for 0. */
static inline double double_of(const struct tw_decimal *number) {
    const int64_t coefficient = (int64_t)number->low;
    const unsigned power = (unsigned)number->exponent + POWERS;
    const bool says = (number->high == coefficient >> 63) & (power <= 2 * POWERS);
    return says ? (double)coefficient * powers[power] : 0.0;
}

static int32_t bucket_or_zero(const struct tw_ddsketch_scale *scale, const struct tw_decimal *number) {
    const bool zero = number->low == 0 && number->high == 0;
    return zero ? TW_DDSKETCH_ZERO : tw_ddsketch_bucket(scale, number);
}

/* place_all for one. */
static bool place_one(const struct mapping *mapping, double number, int32_t *out) {
    const int64_t fraction = (INT64_C(1) << 52) - 1, one = INT64_C(1023) << 52;
    int64_t bits;
    memcpy(&bits, &number, sizeof bits);
    const int64_t magnitude = bits & INT64_MAX, mantissa = (magnitude & fraction) | one;
    double m;
    memcpy(&m, &mantissa, sizeof m);
    m -= 1.0;
    const double within = m * (mapping->first - m * (mapping->second - m * mapping->third));
    const int64_t place = (int64_t)((double)(magnitude >> 52) * mapping->octave + (mapping->constant + within));
    *out = (int32_t)(place >> PLACE_BITS) ^ (int32_t)(bits >> 63);
    return ((place + 1) & ((INT64_C(1) << PLACE_BITS) - 2)) != 0 && magnitude != 0;
}

static inline struct mapping mapping_of(const struct tw_ddsketch_scale *scale) {
    const double octave = (double)scale->buckets_per_octave * (0x1p20 / 0x1p36);
    return (struct mapping){octave, octave * (L_BIAS - 1023), octave * (50.0 / 35), octave * (21.0 / 35),
                            octave * (6.0 / 35)};
}

void tw_ddsketch_buckets(const struct tw_ddsketch_scale *scale, const struct tw_decimal *numbers, size_t stride,
                         size_t count, int32_t *out) {
    const struct mapping mapping = mapping_of(scale);
    const char *at = (const char *)numbers;
    size_t done = 0;
    while (count - done >= LANES) {
        double doubles[AT_ONCE];
        const size_t some = count - done < AT_ONCE ? (count - done) / LANES * LANES : AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            doubles[i] = double_of((const void *)(at + i * stride));
        }
        if (!place_some(&mapping, doubles, 0, some, out + done)) {
            for (size_t i = 0; i < some; i++) {
                out[done + i] = bucket_or_zero(scale, (const void *)(at + i * stride));
            }
        }
        done += some;
        at += some * stride;
    }
    for (; done < count; done++, at += stride) {
        const struct tw_decimal *const number = (const void *)at;
        if (!place_one(&mapping, double_of(number), out + done)) {
            out[done] = bucket_or_zero(scale, number);
        }
    }
}

void tw_ddsketch_buckets_scaled(const struct tw_ddsketch_scale *scale, const int64_t *numbers, int exponent,
                                size_t count, int32_t *out) {
    const struct mapping mapping = mapping_of(scale);
    const double power = powers[exponent + POWERS];
    const size_t rest = count % LANES, most = count - rest;
    bool known = place_some(&mapping, numbers, power, most, out);
    if (rest) {
        int64_t last[LANES] = {1, 1, 1, 1};
        int32_t buckets[LANES];
        memcpy(last, numbers + most, rest * sizeof *last);
        known = place_some(&mapping, last, power, LANES, buckets) && known;
        memcpy(out + most, buckets, rest * sizeof *out);
    }
    for (size_t i = 0; i < count && !known; i++) {
        struct tw_decimal number;
        tw_decimal_of(&number, numbers[i], exponent);
        out[i] = bucket_or_zero(scale, &number);
    }
}

int32_t tw_ddsketch_highest(const struct tw_ddsketch_scale *scale) {
    tw_uint128 top = (tw_uint128)(L_TOP + L_BIAS) * scale->buckets_per_octave;
    return (int32_t)(top >> SCALE_BITS);
}

bool tw_ddsketch_bucket_valid(const struct tw_ddsketch_scale *scale, int64_t bucket, unsigned level) {
    int64_t highest = tw_ddsketch_highest(scale) >> level;
    return bucket >= ~highest && bucket <= highest;
}

/* The number whose L is l / 2^52 − 1200: the octave's part by halving the interval. */
static struct binary number_at(tw_uint128 l) {
    uint64_t wanted = (uint64_t)l & (((uint64_t)1 << L_BITS) - 1);
    uint64_t fraction = 0;
    for (uint64_t bit = (uint64_t)1 << (FRACTION_BITS - 1); bit; bit >>= 1) {
        if (octave_part(fraction | bit) <= wanted) {
            fraction |= bit;
        }
    }
    struct binary out = {((uint64_t)1 << 63) + (fraction << (63 - FRACTION_BITS)), (int)(l >> L_BITS) - L_BIAS};
    return out;
}

/* The least L of a bucket. */
static tw_uint128 lower_bound(const struct tw_ddsketch_scale *scale, uint64_t index, unsigned level) {
    tw_uint128 first = (tw_uint128)(index << level) << (L_BITS + SCALE_BITS);
    return first ? (first - 1) / scale->buckets_per_octave + 1 : 0;
}

static void to_digits(struct binary x, bool negative, struct tw_decimal *out) {
    /* 1233 / 4096 is log10(2), near enough to be one digit wrong at most */
    int ten = ((x.exponent * 1233) >> 12) - DIGITS + 1;
    tw_uint128 digits;
    for (;;) {
        struct binary y = scale_by_ten(x, -ten);
        int drop = 63 - y.exponent;
        digits = y.exponent < 0 ? 0 : ((y.mantissa >> (drop - 1)) + 1) >> 1;
        if (digits < tw_power_of_ten[DIGITS - 1]) {
            ten--;
        } else if (digits >= tw_power_of_ten[DIGITS]) {
            ten++;
        } else {
            break;
        }
    }
    ten += tw_strip_trailing_zeros(&digits);
    tw_int128 coefficient = negative ? -(tw_int128)digits : (tw_int128)digits;
    out->low = (uint64_t)coefficient;
    out->high = (int64_t)(coefficient >> 64);
    out->exponent = ten;
    out->reserved = 0;
}

void tw_ddsketch_number(const struct tw_ddsketch_scale *scale, int32_t bucket, unsigned level, struct tw_decimal *out) {
    bool negative = bucket < 0;
    uint64_t index = (uint64_t)(negative ? ~bucket : bucket);
    struct binary a = number_at(lower_bound(scale, index, level));
    struct binary b = number_at(lower_bound(scale, index + 1, level));
    /* 2a / (1 + a/b), in units of 2^-62: a/b is at most 1 */
    int apart = b.exponent - a.exponent;
    tw_uint128 ratio = ((tw_uint128)a.mantissa << 62) / b.mantissa;
    ratio = apart < 64 ? ratio >> apart : 0;
    tw_uint128 middle = ((tw_uint128)a.mantissa << 63) / (((tw_uint128)1 << 62) + ratio);
    struct binary x = normalise(middle);
    x.exponent += a.exponent - 63;
    to_digits(x, negative, out);
}

/* One collapse squares γ: the error α = (γ − 1) / (γ + 1) becomes 2α / (1 + α²), here with every division rounded up.
 * 1.5e-8 more than pays for the 9 digits where 2^-11 of α does not: when α is nearly 1. */
void tw_ddsketch_error(const struct tw_ddsketch_scale *scale, unsigned level, struct tw_decimal *out) {
    const uint64_t one = (uint64_t)1 << ERROR_BITS;
    uint64_t error = scale->error;
    for (; level; level--) {
        uint64_t square = (uint64_t)((tw_uint128)error * error >> ERROR_BITS);
        error = (uint64_t)(((tw_uint128)error << (ERROR_BITS + 1)) / (one + square)) + 1;
        error = error < one ? error : one;
    }
    tw_uint128 digits = (tw_uint128)error * 1000000000 + (tw_uint128)15 * one;
    digits = ((digits - 1) / ((tw_uint128)100 * one)) + 1;
    int exponent = -7 + tw_strip_trailing_zeros(&digits);
    out->low = (uint64_t)digits;
    out->high = 0;
    out->exponent = exponent;
    out->reserved = 0;
}
