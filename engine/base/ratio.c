#include "engine/base/ratio.h"

#include <string.h>

#include "engine/base/wide.h"

enum {
    LIMB_DIGITS = 18,
    PROBE_DIGITS = 36,     /* two more than a number in full may have */
    SHORT_ROOT = 19,       /* digits of the root of a number of 38, which 128 bits hold */
    ROOT_LIMB_DIGITS = 16, /* so that a hundred times a limb fits 64 bits */
    ROOT_LIMBS = (TW_RATIO_EXACT + 2) / ROOT_LIMB_DIGITS + 1,
    SQUARE_DIGITS = 2 * TW_RATIO_EXACT + LIMB_DIGITS
};
#define ROOT_BASE 10000000000000000u

/* Writes exactly width digits, leading zeros included. */
static void put_limb(char *out, int width, uint64_t value) {
    while (width-- > 0) {
        out[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Digits without their buffer, so that those of a quotient to take the root of may be twice as many. */
struct run {
    char *digits;
    size_t length;
    int exponent;
    bool ends;
};

/* Only of digits that end: the zeros of others say where the next digit stands. */
static void strip_zeros(struct run *run) {
    while (run->length > 1 && run->digits[run->length - 1] == '0') {
        run->length--;
        run->exponent++;
    }
}

static uint64_t divide_limb(uint64_t limb, uint64_t divisor, uint64_t *rest) {
    if (divisor == 1) {
        return limb;
    }
    tw_uint128 part = (tw_uint128)*rest * TW_WIDE_BASE + limb;
    *rest = (uint64_t)(part % divisor);
    return (uint64_t)(part / divisor);
}

/* Long division limb by limb, cut off behind the limb that reaches the wanted count. Dividing what the first division
 * gives by the second divisor is dividing by their product: ⌊⌊x/a⌋/b⌋ = ⌊x/(ab)⌋. */
static void divide(const struct tw_ratio *ratio, size_t wanted, struct run *out) {
    uint64_t rests[2] = {0, 0};
    int i = ratio->highest;
    out->length = 0;
    out->ends = false;
    for (; out->length < wanted && !out->ends; i--) {
        uint64_t limb = i >= ratio->lowest ? ratio->limbs[i] : 0;
        limb = divide_limb(limb, ratio->divisors[0], &rests[0]);
        limb = divide_limb(limb, ratio->divisors[1], &rests[1]);
        if (out->length) {
            put_limb(out->digits + out->length, LIMB_DIGITS, limb);
            out->length += LIMB_DIGITS;
        } else if (limb) {
            int width = tw_digit_count(limb);
            put_limb(out->digits, width, limb);
            out->length = (size_t)width;
        }
        out->ends = i <= ratio->lowest && rests[0] == 0 && rests[1] == 0;
    }
    out->exponent = ratio->exponent + LIMB_DIGITS * (i + 1);
    if (out->ends) {
        strip_zeros(out);
    }
}

/* ⌊√value⌋ bit by bit, for value < 2^127; the rest is what its square leaves. */
static uint64_t short_root(tw_uint128 value, tw_uint128 *rest) {
    tw_uint128 root = 0;
    for (tw_uint128 bit = (tw_uint128)1 << 126; bit; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    *rest = value;
    return (uint64_t)root;
}

static void take_short_root(const char *square, size_t length, struct run *out, bool *rest_is_zero) {
    tw_uint128 value = 0;
    for (size_t i = 0; i < length; i++) {
        value = value * 10 + (tw_uint128)(uint64_t)(square[i] - '0');
    }
    tw_uint128 rest;
    uint64_t root = short_root(value, &rest);
    out->length = (size_t)tw_digit_count(root);
    put_limb(out->digits, (int)out->length, root);
    *rest_is_zero = rest == 0;
}

struct natural { /* little-endian limbs below ROOT_BASE */
    uint64_t limbs[ROOT_LIMBS];
};

static void multiply_add(struct natural *n, size_t limbs, unsigned factor, unsigned addend) {
    uint64_t carry = addend;
    for (size_t i = 0; i < limbs; i++) {
        uint64_t part = n->limbs[i] * factor + carry;
        carry = part / ROOT_BASE;
        n->limbs[i] = part % ROOT_BASE;
    }
}

/* The next odd number. */
static void add_two(struct natural *n) {
    n->limbs[0] += 2;
    for (size_t i = 0; n->limbs[i] >= ROOT_BASE; i++) {
        n->limbs[i] -= ROOT_BASE;
        n->limbs[i + 1]++;
    }
}

static bool at_least(const struct natural *a, const struct natural *b, size_t limbs) {
    while (limbs-- > 0) {
        if (a->limbs[limbs] != b->limbs[limbs]) {
            return a->limbs[limbs] > b->limbs[limbs];
        }
    }
    return true;
}

static void subtract(struct natural *a, const struct natural *b, size_t limbs) {
    uint64_t borrow = 0;
    for (size_t i = 0; i < limbs; i++) {
        uint64_t taken = b->limbs[i] + borrow;
        borrow = a->limbs[i] < taken;
        a->limbs[i] += (borrow ? ROOT_BASE : 0) - taken;
    }
}

static bool is_zero(const struct natural *n, size_t limbs) {
    for (size_t i = 0; i < limbs; i++) {
        if (n->limbs[i]) {
            return false;
        }
    }
    return true;
}

/* The root by hand: two digits of the square are brought down for each digit of the root, which is how many of the odd
 * numbers 20p+1, 20p+3, … (p: the root so far) can be taken from the rest. length is even. */
static void take_long_root(const char *square, size_t length, struct run *out, bool *rest_is_zero) {
    struct natural rest = {{0}};
    struct natural odd = {{1}};
    size_t limbs = (length / 2 + 2) / ROOT_LIMB_DIGITS + 1; /* both have at most two digits more than the root */
    out->length = 0;
    for (size_t at = 0; at < length; at += 2) {
        multiply_add(&rest, limbs, 100, (unsigned)(square[at] - '0') * 10 + (unsigned)(square[at + 1] - '0'));
        if (at) {
            multiply_add(&odd, limbs, 10, 0);
            odd.limbs[0] -= 9; /* ten times an odd number: its lowest limb is not below 10 */
        }
        char digit = '0';
        for (; at_least(&rest, &odd, limbs); digit++) {
            subtract(&rest, &odd, limbs);
            add_two(&odd);
        }
        out->digits[out->length++] = digit;
    }
    *rest_is_zero = is_zero(&rest, limbs);
}

/* count digits of the root of square, from so many of its digits (zeros behind its last) that an even exponent is
 * left: the digits of a root of whole pairs. ⌊√⌊x⌋⌋ = ⌊√x⌋, so what follows them changes no digit. */
static void take_root(const struct run *square, size_t count, struct run *out) {
    char pairs[2 * TW_RATIO_EXACT];
    size_t length = 2 * count;
    int point = square->exponent + (int)square->length;
    size_t odd = point % 2 != 0; /* the first pair begins with a 0 */
    size_t copied = square->length < length - odd ? square->length : length - odd;
    memset(pairs, '0', length);
    memcpy(pairs + odd, square->digits, copied);
    bool rest_is_zero;
    if (count == SHORT_ROOT) {
        take_short_root(pairs, length, out, &rest_is_zero);
    } else {
        take_long_root(pairs, length, out, &rest_is_zero);
    }
    out->exponent = (point + (int)odd - (int)length) / 2;
    out->ends = rest_is_zero && square->ends && copied == square->length;
    if (out->ends) {
        strip_zeros(out);
    }
}

static void give(const struct run *run, struct tw_ratio_digits *out) {
    out->length = run->length;
    out->exponent = run->exponent;
    out->ends = run->ends;
}

void tw_ratio_find_digits(const struct tw_ratio *ratio, size_t wanted, struct tw_ratio_digits *out) {
    struct run run = {.digits = out->digits};
    if (ratio->root) {
        char digits[SQUARE_DIGITS];
        struct run square = {.digits = digits};
        divide(ratio, 2 * wanted, &square);
        take_root(&square, wanted, &run);
    } else {
        divide(ratio, wanted, &run);
    }
    give(&run, out);
}

void tw_ratio_probe(const struct tw_ratio *ratio, struct tw_ratio_digits *out) {
    if (!ratio->root) {
        tw_ratio_find_digits(ratio, PROBE_DIGITS, out);
        return;
    }
    /* A root of at most 34 digits has a square of at most 68. So a square that goes on behind 72 has no such root, and
     * one that ends within 37 has a root of at most 19 digits or an endless one: both are seen from 19. */
    char digits[2 * PROBE_DIGITS + LIMB_DIGITS];
    struct run square = {.digits = digits};
    struct run run = {.digits = out->digits};
    divide(ratio, 2 * PROBE_DIGITS, &square);
    bool is_short = !square.ends || square.length < 2 * SHORT_ROOT;
    take_root(&square, is_short ? SHORT_ROOT : PROBE_DIGITS, &run);
    give(&run, out);
}
