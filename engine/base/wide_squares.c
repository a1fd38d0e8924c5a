#include "engine/base/wide_squares.h"

#include <string.h>

enum { LIMB_DIGITS = 18, TOP = TW_SQUARES_LIMBS - 1, NARROW_DIGITS = 38 };
static const uint64_t base = TW_WIDE_BASE;

void tw_wide_squares_clear(struct tw_wide_squares *wide) { memset(wide, 0, sizeof *wide); }

void tw_wide_squares_add(struct tw_wide_squares *wide, tw_uint128 coefficient, int exponent) {
    int place = exponent - TW_SQUARES_EXPONENT;
    int index = place / LIMB_DIGITS;
    uint64_t scale = (uint64_t)tw_power_of_ten[place % LIMB_DIGITS];
    uint64_t carry = 0;
    for (; (coefficient || carry) && index < TOP; index++) {
        tw_uint128 part = (tw_uint128)(uint64_t)(coefficient % base) * scale + carry + wide->limbs[index];
        wide->limbs[index] = (uint64_t)(part % base);
        carry = (uint64_t)(part / base);
        coefficient /= base;
    }
    if (index == TOP) {
        wide->limbs[TOP] += (uint64_t)coefficient * scale + carry;
    }
}

void tw_wide_squares_add_square(struct tw_wide_squares *wide, tw_uint128 coefficient, int exponent) {
    uint64_t high = (uint64_t)(coefficient / base);
    uint64_t low = (uint64_t)(coefficient % base);
    tw_wide_squares_add(wide, (tw_uint128)low * low, 2 * exponent);
    if (high) {
        tw_wide_squares_add(wide, (tw_uint128)high * low * 2, 2 * exponent + LIMB_DIGITS);
        tw_wide_squares_add(wide, (tw_uint128)high * high, 2 * exponent + 2 * LIMB_DIGITS);
    }
}

void tw_wide_squares_add_wide(struct tw_wide_squares *wide, const struct tw_wide_squares *other) {
    uint64_t carry = 0;
    for (int i = 0; i < TOP; i++) {
        uint64_t sum = wide->limbs[i] + other->limbs[i] + carry;
        carry = sum >= base;
        wide->limbs[i] = carry ? sum - base : sum;
    }
    wide->limbs[TOP] += other->limbs[TOP] + carry;
}

bool tw_wide_squares_narrow(const struct tw_wide_squares *wide, tw_uint128 *coefficient, int *exponent) {
    int lowest = 0;
    int highest = TOP;
    while (lowest < TOP && !wide->limbs[lowest]) {
        lowest++;
    }
    while (highest > lowest && !wide->limbs[highest]) {
        highest--;
    }
    tw_uint128 bottom = wide->limbs[lowest];
    if (bottom == 0) {
        *coefficient = 0;
        *exponent = 0;
        return true;
    }
    int zeros = tw_strip_trailing_zeros(&bottom);
    if (tw_digit_count(wide->limbs[highest]) + LIMB_DIGITS * (highest - lowest) - zeros > NARROW_DIGITS) {
        return false;
    }
    tw_uint128 value = 0;
    for (int i = highest; i > lowest; i--) {
        value = value * base + wide->limbs[i];
    }
    *coefficient = value * tw_power_of_ten[LIMB_DIGITS - zeros] + bottom;
    *exponent = TW_SQUARES_EXPONENT + LIMB_DIGITS * lowest + zeros;
    return true;
}

/* (Σx)²: limb i of a tw_wide times limb j stands at limb i + j here, because the exponents add up too. */
static void square_sum(const struct tw_wide_magnitude *sum, uint64_t out[TW_EXCESS_LIMBS]) {
    for (int i = sum->lowest; i <= sum->highest; i++) {
        uint64_t carry = 0;
        for (int j = sum->lowest; j <= sum->highest; j++) {
            tw_uint128 part = (tw_uint128)sum->limbs[i] * sum->limbs[j] + out[i + j] + carry;
            out[i + j] = (uint64_t)(part % base);
            carry = (uint64_t)(part / base);
        }
        out[i + sum->highest + 1] = carry; /* nothing stands there yet */
    }
}

bool tw_excess_find(const struct tw_wide_squares *squares, uint64_t count, const struct tw_wide_magnitude *sum,
                    struct tw_excess *out) {
    uint64_t squared[TW_EXCESS_LIMBS] = {0};
    tw_uint128 carry = 0;
    uint64_t borrow = 0;
    square_sum(sum, squared);
    out->lowest = TW_EXCESS_LIMBS;
    out->highest = -1;
    for (int i = 0; i < TW_EXCESS_LIMBS; i++) {
        uint64_t limb = i < TW_SQUARES_LIMBS ? squares->limbs[i] : 0;
        uint64_t multiplied = 0;
        if (limb || carry) {
            tw_uint128 part = (tw_uint128)limb * count + carry;
            multiplied = (uint64_t)(part % base);
            carry = part / base;
        }
        uint64_t taken = squared[i] + borrow;
        borrow = multiplied < taken;
        out->limbs[i] = multiplied - taken + (borrow ? base : 0);
        if (out->limbs[i]) {
            out->lowest = i < out->lowest ? i : out->lowest;
            out->highest = i;
        }
    }
    return !borrow;
}
