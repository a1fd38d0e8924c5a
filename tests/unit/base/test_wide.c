#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/wide.h"

static uint64_t seed = 0xc0ffee1234567891;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static tw_int128 draw_coefficient(void) {
    tw_uint128 bits = (tw_uint128)draw(UINT64_MAX) << 64 | draw(UINT64_MAX);
    bits %= tw_power_of_ten[1 + draw(38)];
    return draw(2) ? (tw_int128)bits : -(tw_int128)bits;
}

static void wide_has_one_representation_whatever_the_order(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        enum { ADDENDS = 12 };
        tw_int128 coefficients[ADDENDS];
        int exponents[ADDENDS];
        struct tw_wide forward;
        struct tw_wide backward;
        struct tw_wide halves[2];
        tw_wide_clear(&forward);
        tw_wide_clear(&backward);
        tw_wide_clear(&halves[0]);
        tw_wide_clear(&halves[1]);
        for (int i = 0; i < ADDENDS; i++) {
            coefficients[i] = draw_coefficient();
            exponents[i] = -360 + (int)draw(648); /* below 10^327 */
        }
        for (int i = 0; i < ADDENDS; i++) {
            tw_wide_add(&forward, coefficients[i], exponents[i]);
            tw_wide_add(&backward, coefficients[ADDENDS - 1 - i], exponents[ADDENDS - 1 - i]);
            tw_wide_add(&halves[draw(2)], coefficients[i], exponents[i]);
        }
        tw_wide_add_wide(&halves[0], &halves[1]);
        assert_memory_equal(&forward, &backward, sizeof forward);
        assert_memory_equal(&forward, &halves[0], sizeof forward);
        struct tw_wide_magnitude magnitude;
        tw_wide_split(&forward, &magnitude);
        tw_wide_join(&backward, &magnitude);
        assert_memory_equal(&forward, &backward, sizeof forward);
        for (int i = 0; i < ADDENDS; i++) {
            tw_wide_add(&forward, -coefficients[i], exponents[i]);
        }
        tw_wide_clear(&backward);
        assert_memory_equal(&forward, &backward, sizeof forward);
    }
}

static void wide_is_narrow_up_to_38_digits_wherever_they_stand(void **state) {
    (void)state;
    for (int exponent = -360; exponent <= 288; exponent++) {
        struct tw_wide wide;
        struct tw_wide_magnitude magnitude;
        tw_uint128 coefficient;
        int found;
        tw_wide_clear(&wide);
        tw_wide_add(&wide, -(tw_int128)(tw_power_of_ten[38] - 1), exponent);
        tw_wide_split(&wide, &magnitude);
        assert_true(magnitude.negative);
        assert_true(tw_wide_narrow(&magnitude, &coefficient, &found));
        assert_true(coefficient == tw_power_of_ten[38] - 1);
        assert_int_equal(found, exponent);
        tw_wide_add(&wide, -1, exponent);
        tw_wide_split(&wide, &magnitude);
        assert_true(tw_wide_narrow(&magnitude, &coefficient, &found));
        assert_true(coefficient == 1);
        assert_int_equal(found, exponent + 38);
        tw_wide_add(&wide, -1, exponent); /* 10^38 + 1: 39 digits */
        tw_wide_split(&wide, &magnitude);
        assert_false(tw_wide_narrow(&magnitude, &coefficient, &found));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_has_one_representation_whatever_the_order),
        cmocka_unit_test(wide_is_narrow_up_to_38_digits_wherever_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
