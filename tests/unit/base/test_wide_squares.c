#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/wide_squares.h"

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static tw_uint128 draw_coefficient(void) {
    tw_uint128 bits = (tw_uint128)draw(UINT64_MAX) << 64 | draw(UINT64_MAX);
    return bits % tw_power_of_ten[1 + draw(34)];
}

static void squares_add_up_in_any_order(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        enum { ADDENDS = 12 };
        struct tw_wide_squares forward;
        struct tw_wide_squares backward;
        struct tw_wide_squares halves[2];
        tw_uint128 coefficients[ADDENDS];
        int exponents[ADDENDS];
        tw_wide_squares_clear(&forward);
        tw_wide_squares_clear(&backward);
        tw_wide_squares_clear(&halves[0]);
        tw_wide_squares_clear(&halves[1]);
        for (int i = 0; i < ADDENDS; i++) {
            coefficients[i] = draw_coefficient();
            exponents[i] = -357 + (int)draw(357 + 275);
        }
        for (int i = 0; i < ADDENDS; i++) {
            tw_wide_squares_add_square(&forward, coefficients[i], exponents[i]);
            tw_wide_squares_add_square(&backward, coefficients[ADDENDS - 1 - i], exponents[ADDENDS - 1 - i]);
            tw_wide_squares_add_square(&halves[draw(2)], coefficients[i], exponents[i]);
        }
        tw_wide_squares_add_wide(&halves[0], &halves[1]);
        assert_memory_equal(&forward, &backward, sizeof forward);
        assert_memory_equal(&forward, &halves[0], sizeof forward);
    }
}

static void a_sum_of_squares_is_narrow_up_to_38_digits(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct tw_wide_squares wide;
        tw_uint128 coefficient = draw_coefficient() + 1;
        int exponent = -714 + (int)draw(714 + 600);
        tw_strip_trailing_zeros(&coefficient);
        tw_uint128 found;
        int found_exponent;
        tw_wide_squares_clear(&wide);
        tw_wide_squares_add(&wide, coefficient, exponent);
        assert_true(tw_wide_squares_narrow(&wide, &found, &found_exponent));
        assert_true(found == coefficient && found_exponent == exponent);
        int digits = tw_digit_count(coefficient);
        tw_wide_squares_add(&wide, 1, exponent + 37);
        assert_true(digits > 37 || tw_wide_squares_narrow(&wide, &found, &found_exponent));
        tw_wide_squares_add(&wide, 1, exponent + 38);
        assert_false(tw_wide_squares_narrow(&wide, &found, &found_exponent));
    }
}

static void excess_of(const char *const *numbers, uint64_t times, struct tw_excess *out, bool *possible) {
    struct tw_wide wide;
    struct tw_wide_squares squares;
    struct tw_wide_magnitude sum;
    uint64_t count = 0;
    tw_wide_clear(&wide);
    tw_wide_squares_clear(&squares);
    for (; numbers[count]; count++) {
        struct tw_decimal number;
        assert_int_equal(tw_decimal_parse(&number, numbers[count], strlen(numbers[count]), NULL), TUMBLE_OK);
        tw_int128 coefficient = tw_decimal_coefficient(&number);
        tw_wide_add(&wide, coefficient, number.exponent);
        tw_wide_squares_add_square(&squares, coefficient < 0 ? -(tw_uint128)coefficient : (tw_uint128)coefficient,
                                   number.exponent);
    }
    tw_wide_split(&wide, &sum);
    *possible = tw_excess_find(&squares, times ? times : count, &sum, out);
}

static void the_excess_is_exact_at_both_ends_of_the_range(void **state) {
    (void)state;
    static const char *const ends[] = {"9.999999999999999999999999999999999e308",
                                       "1.000000000000000000000000000000001e-324", NULL};
    static const char *const same[] = {"-7e300", "-7e300", "-7e300", NULL};
    static const char *const around[] = {"1e30", "-1e30", NULL};
    struct tw_excess excess;
    bool possible;
    excess_of(ends, 0, &excess, &possible); /* 2(a² + b²) − (a + b)² = (a − b)² */
    assert_true(possible);
    assert_int_equal(excess.lowest, 0); /* b² ends at 10^-714: limb 0 is … 000001 × 10^6 */
    assert_int_equal(excess.limbs[0] % 10000000, 1000000);
    assert_int_equal(excess.highest, (617 + 720) / 18);
    excess_of(same, 0, &excess, &possible);
    assert_true(possible && excess.highest < excess.lowest);
    excess_of(around, 0, &excess, &possible); /* 4e60 */
    assert_true(possible && excess.lowest == 780 / 18 && excess.highest == 780 / 18);
    assert_int_equal(excess.limbs[780 / 18], 4000000);
}

static void an_excess_below_zero_is_told(void **state) {
    (void)state;
    static const char *const same[] = {"3", "3", "3", NULL};
    static const char *const extreme[] = {"9.9e308", "9.9e308", NULL};
    struct tw_excess excess;
    bool possible;
    excess_of(same, 2, &excess, &possible);
    assert_false(possible);
    excess_of(same, 4, &excess, &possible);
    assert_true(possible);
    excess_of(extreme, 1, &excess, &possible);
    assert_false(possible);
    excess_of(extreme, INT64_MAX, &excess, &possible);
    assert_true(possible);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squares_add_up_in_any_order),
        cmocka_unit_test(a_sum_of_squares_is_narrow_up_to_38_digits),
        cmocka_unit_test(the_excess_is_exact_at_both_ends_of_the_range),
        cmocka_unit_test(an_excess_below_zero_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
