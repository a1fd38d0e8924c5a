#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number_text.h"

/* Text of (a sum of numbers) / divisor. */
static const char *text_of(const char *numbers, uint64_t divisor) {
    static char out[TW_DECIMAL_TEXT + 1];
    struct tw_wide wide;
    tw_wide_clear(&wide);
    char copy[2048];
    strcpy(copy, numbers);
    for (char *at = strtok(copy, " "); at; at = strtok(NULL, " ")) {
        struct tw_decimal number;
        assert_int_equal(tw_decimal_parse(&number, at, strlen(at), NULL), TUMBLE_OK);
        tw_wide_add(&wide, tw_decimal_coefficient(&number), number.exponent);
    }
    out[tw_wide_format(&wide, divisor, out)] = '\0';
    return out;
}

static void a_quotient_that_ends_within_34_digits_is_written_in_full(void **state) {
    (void)state;
    assert_string_equal(text_of("1", 8), "0.125");
    assert_string_equal(text_of("-1", 1024), "-0.0009765625");
    assert_string_equal(text_of("0", 7), "0");
    assert_string_equal(text_of("1 -1", 7), "0");
    assert_string_equal(text_of("1234567890123456789012345678901234", 1), "1234567890123456789012345678901234");
    assert_string_equal(text_of("9999999999999999999999999999999999 1", 1), "1e+34");
    assert_string_equal(text_of("1e308 9e308", 1), "1e+309");
}

static void the_35th_digit_makes_it_the_nearest_double(void **state) {
    (void)state;
    assert_string_equal(text_of("1e34 1", 1), "1e+34");
    assert_string_equal(text_of("1234567890123456789012345678901234 0.5", 1), "1234567890123456800000000000000000");
    assert_string_equal(text_of("1", 3), "0.3333333333333333");
    assert_string_equal(text_of("-2", 3), "-0.6666666666666666");
    assert_string_equal(text_of("10", 3), "3.3333333333333335");
    assert_string_equal(text_of("1e22", 3), "3333333333333333500000");
}

static void beyond_double_there_are_17_digits_half_to_even(void **state) {
    (void)state;
    assert_string_equal(text_of("9e308 9e308 1e-324", 1), "1.8e+309");
    assert_string_equal(text_of("1.23456789012345675e308 9e308 1e100 -1e100 1e200", 1), "1.0234567890123457e+309");
    /* ties at the 17th digit; a crumb far below decides them */
    assert_string_equal(text_of("9.99999999999999995e308 1e-324", 1), "1e+309");
    assert_string_equal(text_of("9.99999999999999985e308 1e-324", 1), "9.9999999999999999e+308");
    assert_string_equal(text_of("9.99999999999999985e308 -1e-324", 1), "9.9999999999999998e+308");
    assert_string_equal(text_of("1e-324", 3), "3.3333333333333333e-325");
    assert_string_equal(text_of("2e-324", 3), "6.6666666666666667e-325");
}

static void a_crumb_beside_a_point_halfway_between_doubles_decides_the_rounding(void **state) {
    (void)state;
    /* 2^53 + 1 lies halfway; it needs more than 34 digits before it is rounded at all */
    assert_string_equal(text_of("9007199254740993 1e-300", 1), "9007199254740994");
    assert_string_equal(text_of("9007199254740993 -1e-300", 1), "9007199254740992");
    assert_string_equal(text_of("9007199254740993 1e-324", 1), "9007199254740994");
    assert_string_equal(text_of("9007199254740993", 1), "9007199254740993");
    assert_string_equal(text_of("27021597764222979 1e-320", 3), "9007199254740994");
    assert_string_equal(text_of("27021597764222979 -1e-320", 3), "9007199254740992");
}

static int significant_digits(const char *text) {
    int digits = 0;
    int zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '0') {
            zeros += digits > 0;
        } else if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

/* So that the third part never ends. The change is in the last of 33 digits. */
static void make_indivisible_by_three(char *digits) {
    int sum = 0;
    char *last = strchr(digits, 'e') - 1;
    for (char *at = digits; at <= last; at++) {
        sum += *at >= '0' && *at <= '9' ? *at - '0' : 0;
    }
    if (sum % 3 == 0) {
        *last = *last == '9' ? '8' : (char)(*last + 1);
    }
}

static void text_of_a_double_is_the_shortest_that_reads_back_at_every_power_of_two(void **state) {
    (void)state;
    for (int power = -1074; power <= 1022; power++) {
        double value = ldexp(1.0, power);
        char triple[64];
        snprintf(triple, sizeof triple, "%.32e", ldexp(3.0, power));
        make_indivisible_by_three(triple);
        const char *text = text_of(triple, 3);
        assert_true(strtod(text, NULL) == value);
        int fewest = 1;
        for (char printed[64]; fewest < 17; fewest++) {
            snprintf(printed, sizeof printed, "%.*e", fewest - 1, value);
            if (strtod(printed, NULL) == value) {
                break;
            }
        }
        assert_true(significant_digits(text) <= fewest);
    }
}

static void shortest_text_takes_the_neighbour_where_the_nearest_digits_miss(void **state) {
    (void)state;
    /* 2^-44 = 5.684341886080801486968994140625e-14: 16 digits rounded to nearest read back as the double below */
    assert_string_equal(text_of("5.684341886080801486968994140625e-14 1e-324", 1), "0.00000000000005684341886080802");
    assert_string_equal(text_of("9.5367431640625e-7 1e-324", 1), "0.00000095367431640625");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quotient_that_ends_within_34_digits_is_written_in_full),
        cmocka_unit_test(the_35th_digit_makes_it_the_nearest_double),
        cmocka_unit_test(beyond_double_there_are_17_digits_half_to_even),
        cmocka_unit_test(a_crumb_beside_a_point_halfway_between_doubles_decides_the_rounding),
        cmocka_unit_test(text_of_a_double_is_the_shortest_that_reads_back_at_every_power_of_two),
        cmocka_unit_test(shortest_text_takes_the_neighbour_where_the_nearest_digits_miss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
