#include "engine/base/wide.h"

#include <string.h>

enum { LIMB_DIGITS = 18, TOP = TW_WIDE_LIMBS - 1, NARROW_DIGITS = 38 };
static const int64_t base = TW_WIDE_BASE;
static const uint64_t unsigned_base = TW_WIDE_BASE;

void tw_wide_clear(struct tw_wide *wide) { memset(wide, 0, sizeof *wide); }

/* Adds 0 <= piece < 10^18 at limb index and lets the carry run. */
static void add_limb(struct tw_wide *wide, int index, int64_t piece) {
    while (index < TOP) {
        int64_t sum = wide->limbs[index] + piece;
        if (sum < base) {
            wide->limbs[index] = sum;
            return;
        }
        wide->limbs[index++] = sum - base;
        piece = 1;
    }
    wide->limbs[TOP] += piece;
}

static void subtract_limb(struct tw_wide *wide, int index, int64_t piece) {
    while (index < TOP) {
        int64_t difference = wide->limbs[index] - piece;
        if (difference >= 0) {
            wide->limbs[index] = difference;
            return;
        }
        wide->limbs[index++] = difference + base;
        piece = 1;
    }
    wide->limbs[TOP] -= piece;
}

void tw_wide_add(struct tw_wide *wide, tw_int128 coefficient, int exponent) {
    bool negative = coefficient < 0;
    tw_uint128 rest = negative ? -(tw_uint128)coefficient : (tw_uint128)coefficient;
    int place = exponent - TW_WIDE_EXPONENT;
    int index = place / LIMB_DIGITS;
    uint64_t scale = (uint64_t)tw_power_of_ten[place % LIMB_DIGITS];
    uint64_t carry = 0;
    while ((rest || carry) && index < TW_WIDE_LIMBS) {
        tw_uint128 scaled = (tw_uint128)(uint64_t)(rest % unsigned_base) * scale + carry;
        int64_t piece = (int64_t)(scaled % unsigned_base);
        carry = (uint64_t)(scaled / unsigned_base);
        rest /= unsigned_base;
        if (piece && negative) {
            subtract_limb(wide, index, piece);
        } else if (piece) {
            add_limb(wide, index, piece);
        }
        index++;
    }
}

void tw_wide_add_wide(struct tw_wide *wide, const struct tw_wide *other) {
    int64_t carry = 0;
    for (int i = 0; i < TOP; i++) {
        int64_t sum = wide->limbs[i] + other->limbs[i] + carry;
        carry = sum >= base;
        wide->limbs[i] = carry ? sum - base : sum;
    }
    wide->limbs[TOP] += other->limbs[TOP] + carry;
}

static void negate(struct tw_wide *wide) {
    int64_t borrow = 0;
    for (int i = 0; i < TOP; i++) {
        int64_t difference = -wide->limbs[i] - borrow;
        borrow = difference < 0;
        wide->limbs[i] = borrow ? difference + base : difference;
    }
    wide->limbs[TOP] = -wide->limbs[TOP] - borrow;
}

void tw_wide_split(const struct tw_wide *wide, struct tw_wide_magnitude *out) {
    struct tw_wide copy = *wide;
    out->negative = wide->limbs[TOP] < 0;
    if (out->negative) {
        negate(&copy);
    }
    out->lowest = TW_WIDE_LIMBS;
    out->highest = -1;
    for (int i = 0; i < TW_WIDE_LIMBS; i++) {
        out->limbs[i] = (uint64_t)copy.limbs[i];
        if (copy.limbs[i]) {
            out->lowest = i < out->lowest ? i : out->lowest;
            out->highest = i;
        }
    }
}

void tw_wide_join(struct tw_wide *wide, const struct tw_wide_magnitude *magnitude) {
    tw_wide_clear(wide);
    for (int i = magnitude->lowest; i <= magnitude->highest; i++) {
        wide->limbs[i] = (int64_t)magnitude->limbs[i];
    }
    if (magnitude->negative) {
        negate(wide);
    }
}

bool tw_wide_narrow(const struct tw_wide_magnitude *magnitude, tw_uint128 *coefficient, int *exponent) {
    int lowest = magnitude->lowest;
    int highest = magnitude->highest;
    if (highest < lowest) {
        *coefficient = 0;
        *exponent = 0;
        return true;
    }
    tw_uint128 bottom = magnitude->limbs[lowest];
    int zeros = tw_strip_trailing_zeros(&bottom);
    if (tw_digit_count(magnitude->limbs[highest]) + LIMB_DIGITS * (highest - lowest) - zeros > NARROW_DIGITS) {
        return false;
    }
    tw_uint128 value = 0;
    for (int i = highest; i > lowest; i--) {
        value = value * unsigned_base + magnitude->limbs[i];
    }
    *coefficient = value * tw_power_of_ten[LIMB_DIGITS - zeros] + bottom;
    *exponent = TW_WIDE_EXPONENT + LIMB_DIGITS * lowest + zeros;
    return true;
}
