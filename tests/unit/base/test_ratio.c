#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/number_text.h"
#include "engine/base/ratio.h"
#include "engine/base/wide.h"

static uint64_t seed = 0x2545f4914f6cdd1d;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

/* limbs × 10^exponent / (a × b), or its root. The highest limb is not 0. */
static struct tw_ratio ratio_of(const uint64_t *limbs, int count, int exponent, uint64_t a, uint64_t b, bool root) {
    struct tw_ratio ratio = {
        .limbs = limbs, .highest = count - 1, .exponent = exponent, .divisors = {a, b}, .root = root};
    while (limbs[ratio.lowest] == 0) {
        ratio.lowest++;
    }
    return ratio;
}

static void assert_text(const struct tw_ratio *ratio, const char *expected) {
    char text[TW_DECIMAL_TEXT + 1];
    text[tw_ratio_format(ratio, text)] = '\0';
    assert_string_equal(text, expected);
}

static void assert_one(uint64_t value, int exponent, uint64_t a, uint64_t b, bool root, const char *expected) {
    struct tw_ratio ratio = ratio_of(&value, 1, exponent, a, b, root);
    assert_text(&ratio, expected);
}

static void a_quotient_is_divided_by_both_divisors(void **state) {
    (void)state;
    assert_one(42, 0, 6, 7, false, "1");
    assert_one(1, 0, 8, 125, false, "0.001");
    assert_one(1, 0, 3, 1, false, "0.3333333333333333");
    assert_one(1, 0, 1, 3, false, "0.3333333333333333");
    assert_one(2, 3, 3, 3, false, "222.22222222222223");
    assert_one(1, 0, UINT64_MAX, UINT64_MAX, false, "2.938735877055719e-39");
}

static void a_root_that_ends_within_34_digits_stands_in_full(void **state) {
    (void)state;
    assert_one(4, 0, 1, 1, true, "2");
    assert_one(25, -1, 10, 1, true, "0.5");
    assert_one(1, -600, 1, 1, true, "1e-300");
    assert_one(9, 7, 1, 10, true, "3000");
    assert_one(152399025, 0, 1, 1, true, "12345");
    static const uint64_t of_34_digits[] = {784374345526722756, 666792303015211342, 883675049535156256, 1524157875323};
    struct tw_ratio ratio = ratio_of(of_34_digits, 4, -20, 1, 1, true);
    assert_text(&ratio, "123456789012345678901234.5678901234");
    static const uint64_t of_34_nines[] = {1, 980000000000000000, 999999999999999999, 99999999999999};
    ratio = ratio_of(of_34_nines, 4, -68, 1, 1, true);
    assert_text(&ratio, "0.9999999999999999999999999999999999");
    static const uint64_t of_35_digits[] = {338669120562399025, 802687090533479957, 367504953515625666,
                                            152415787532388};
    ratio = ratio_of(of_35_digits, 4, 0, 1, 1, true);
    assert_text(&ratio, "1.234567890123457e+34");
}

static void a_root_without_end_is_the_nearest_double(void **state) {
    (void)state;
    assert_one(2, 0, 1, 1, true, "1.4142135623730951");
    assert_one(3, 0, 1, 1, true, "1.7320508075688772");
    assert_one(2, 0, 3, 1, true, "0.816496580927726");
    assert_one(1, 1, 1, 1, true, "3.1622776601683795");
    assert_one(2, -640, 1, 1, true, "1.414e-320");
    assert_one(2, -650, 1, 1, true, "1.414213562373095e-325");
}

/* The text of √(above × 10^exponent), and of the root of 10^-1080 more and less. */
static void assert_beside(const uint64_t *above, int count, int exponent, const char *more, const char *less) {
    uint64_t limbs[80] = {0};
    int lowest = (1080 + exponent) / 18;
    memcpy(limbs + lowest, above, (size_t)count * sizeof *above);
    limbs[0] = 1;
    struct tw_ratio ratio = ratio_of(limbs, lowest + count, -1080, 1, 1, true);
    assert_text(&ratio, more);
    limbs[lowest]--;
    for (int i = 0; i < lowest; i++) {
        limbs[i] = TW_WIDE_BASE - 1;
    }
    ratio = ratio_of(limbs, lowest + count, -1080, 1, 1, true);
    assert_text(&ratio, less);
}

static void a_root_beside_a_point_halfway_between_doubles_is_rounded_right(void **state) {
    (void)state;
    /* 18014398509481986 = 2^54 + 2 is halfway between …984 and …988. */
    tw_uint128 square = (tw_uint128)18014398509481986 * 18014398509481986;
    uint64_t limbs[] = {(uint64_t)(square % TW_WIDE_BASE), (uint64_t)(square / TW_WIDE_BASE)};
    struct tw_ratio ratio = ratio_of(limbs, 2, 0, 1, 1, true);
    assert_text(&ratio, "18014398509481986"); /* in full */
    assert_beside(limbs, 2, 0, "18014398509481988", "18014398509481984");
    /* The same times 2^-100, which has more than 34 digits, and more than 40. */
    static const uint64_t finer[] = {886417388916015625, 786635822048992849, 577929250285446782, 451955641741267098,
                                     940167886394185163, 348200932327052572, 121908947815195058, 106542033561798657,
                                     736579067026953371, 201948391};
    ratio = ratio_of(finer, 10, -198, 1, 1, true);
    assert_text(&ratio, "0.000000000000014210854715202004");
    assert_beside(finer, 10, -198, "0.000000000000014210854715202007", "0.000000000000014210854715202004");
}

static void a_crumb_far_behind_short_digits_does_not_move_them(void **state) {
    (void)state;
    uint64_t limbs[61] = {[0] = 1, [60] = 12300};
    struct tw_ratio ratio = ratio_of(limbs, 61, -1084, 1, 1, false);
    assert_text(&ratio, "1.23");
    limbs[60] = 15129;
    ratio = ratio_of(limbs, 61, -1084, 1, 1, true);
    assert_text(&ratio, "1.23");
}

enum { PLACES = 1800 };

/* Natural numbers as digits, the lowest first. */
struct places {
    uint8_t at[PLACES];
};

static void set_places(struct places *out, const char *digits, size_t length, int shift) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < length; i++) {
        out->at[(size_t)shift + length - 1 - i] = (uint8_t)(digits[i] - '0');
    }
}

static void square_places(const struct places *n, size_t length, int shift, struct places *out) {
    static uint32_t sums[PLACES];
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < length; i++) {
        for (size_t k = 0; k < length; k++) {
            sums[i + k + (size_t)shift] += (uint32_t)n->at[i] * n->at[k];
        }
    }
    uint32_t carry = 0;
    for (size_t i = 0; i < PLACES; i++) {
        carry += sums[i];
        out->at[i] = (uint8_t)(carry % 10);
        carry /= 10;
    }
}

static int compare_places(const struct places *a, const struct places *b) {
    for (size_t i = PLACES; i-- > 0;) {
        if (a->at[i] != b->at[i]) {
            return a->at[i] < b->at[i] ? -1 : 1;
        }
    }
    return 0;
}

/* With D digits found: D² <= x < (D+1)², and equal exactly when it says that it ends. */
static void check_root(const uint64_t *limbs, int count, int exponent, size_t wanted) {
    static struct places x;
    static struct places root;
    static struct places square;
    struct tw_ratio ratio = ratio_of(limbs, count, exponent, 1, 1, true);
    struct tw_ratio_digits found;
    tw_ratio_find_digits(&ratio, wanted, &found);
    assert_true(found.ends ? found.length <= wanted : found.length == wanted);
    assert_true(found.digits[0] != '0');
    int lowest = exponent < 2 * found.exponent ? exponent : 2 * found.exponent;
    memset(&x, 0, sizeof x);
    for (int i = 0; i < count; i++) {
        uint64_t limb = limbs[i];
        for (int k = 0; k < 18; k++, limb /= 10) {
            x.at[exponent - lowest + 18 * i + k] = (uint8_t)(limb % 10);
        }
    }
    set_places(&root, found.digits, found.length, 0);
    square_places(&root, found.length, 2 * found.exponent - lowest, &square);
    int order = compare_places(&square, &x);
    assert_true(found.ends ? order == 0 : order <= 0); /* equal and not ended: only where digits were left out */
    size_t at = 0;
    for (; root.at[at] == 9; at++) {
        root.at[at] = 0;
    }
    root.at[at]++;
    square_places(&root, found.length + 1, 2 * found.exponent - lowest, &square);
    assert_true(compare_places(&square, &x) > 0);
}

static void the_digits_of_a_root_are_those_below_it(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        uint64_t limbs[20];
        int count = 1 + (int)draw(20);
        for (int i = 0; i < count; i++) {
            limbs[i] = draw(3) ? draw(TW_WIDE_BASE) : draw(2) * (TW_WIDE_BASE - 1);
        }
        limbs[count - 1] = 1 + draw(draw(2) ? 9 : TW_WIDE_BASE - 1);
        check_root(limbs, count, -(int)draw(40), draw(2) ? 19 : 1 + draw(60));
    }
    uint64_t crumb[] = {1, 0, 4}; /* the rest of the digits that are asked for is 0, and yet it does not end */
    check_root(crumb, 3, 0, 5);
    uint64_t within[] = {40000000000000001};
    check_root(within, 1, 0, 5);
    uint64_t two = 2;
    check_root(&two, 1, 0, TW_RATIO_EXACT);
    check_root(&two, 1, -1, TW_RATIO_EXACT);
    uint64_t nines[] = {TW_WIDE_BASE - 1, TW_WIDE_BASE - 1};
    check_root(nines, 2, 0, TW_RATIO_EXACT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quotient_is_divided_by_both_divisors),
        cmocka_unit_test(a_root_that_ends_within_34_digits_stands_in_full),
        cmocka_unit_test(a_root_without_end_is_the_nearest_double),
        cmocka_unit_test(a_root_beside_a_point_halfway_between_doubles_is_rounded_right),
        cmocka_unit_test(a_crumb_far_behind_short_digits_does_not_move_them),
        cmocka_unit_test(the_digits_of_a_root_are_those_below_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
