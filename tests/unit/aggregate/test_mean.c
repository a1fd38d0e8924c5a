#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

static void mean_that_ends_is_exact(void **state) {
    (void)state;
    assert_result("mean", "", "1 2", "1.5");
    assert_result("mean", "", "0.1 0.2 0.3", "0.2");
    assert_result("mean", "", "12.34", "12.34");
    assert_result("mean", "", "-1 1", "0");
    assert_result("mean", "", "1e308 1e308", "1e+308");
    assert_result("mean", "", "9e308 9e308 9e308 9e308 9e308 9e308 9e308 9e308", "9e+308");
    assert_result("mean", "", "1e-324", "1e-324");
}

static void mean_that_does_not_end_is_the_nearest_double(void **state) {
    (void)state;
    assert_result("mean", "", "1 2 2", "1.6666666666666667");
    assert_result("mean", "", "1 0 0", "0.3333333333333333");
    assert_result("mean", "", "-1 -1 0", "-0.6666666666666666");
    assert_result("mean", "", "1 1 1 1 1 1 2", "1.1428571428571428");
}

static void mean_rounds_once(void **state) {
    (void)state;
    /* Rounding the sum to a double first would lose the 1. */
    assert_result("mean", "", "1e30 1 -1e30", "0.3333333333333333");
    /* (2^53+1)·3 + 1e-300 over 3: above the point halfway between two doubles */
    assert_result("mean", "", "27021597764222979 1e-300 0", "9007199254740994");
    assert_result("mean", "", "27021597764222979 -1e-300 0", "9007199254740992");
}

static void mean_that_no_double_holds_has_17_digits(void **state) {
    (void)state;
    assert_result("mean", "", "9e308 9e308 2e308", "6.6666666666666667e+308");
    assert_result("mean", "", "1e-324 0 0", "3.3333333333333333e-325");
    assert_result("mean", "", "5e-324 5e-324 4e-324", "5e-324");
}

static void mean_decode_refuses_a_count_without_a_total(void **state) {
    (void)state;
    static const char *const bad[] = {"\x01\x00", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ""};
    static const size_t lengths[] = {2, 10, 0};
    for (int i = 0; i < 3; i++) {
        struct stepping s;
        stepping_init(&s, "mean", "");
        struct tumble_bytes bytes = {bad[i], lengths[i]};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_ECORRUPT);
        stepping_clean_up(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_that_ends_is_exact),
        cmocka_unit_test(mean_that_does_not_end_is_the_nearest_double),
        cmocka_unit_test(mean_rounds_once),
        cmocka_unit_test(mean_that_no_double_holds_has_17_digits),
        cmocka_unit_test(mean_decode_refuses_a_count_without_a_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
