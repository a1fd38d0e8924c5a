#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/base/digits.h"
#include "engine/base/number.h"

static struct tw_decimal parsed(const char *text) {
    struct tw_decimal number;
    struct tumble_error err;
    if (tw_decimal_parse(&number, text, strlen(text), &err) != TUMBLE_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return number;
}

static void assert_text(const char *text, const char *expected) {
    struct tw_decimal number = parsed(text);
    char out[TW_DECIMAL_TEXT + 1];
    out[tw_decimal_format(&number, out)] = '\0';
    assert_string_equal(out, expected);
}

static void assert_refused(const char *text, const char *why) {
    struct tw_decimal number;
    struct tumble_error err;
    assert_int_equal(tw_decimal_parse(&number, text, strlen(text), &err), TUMBLE_ENUMBER);
    assert_non_null(strstr(err.text, why));
    assert_int_equal(tw_decimal_parse(&number, text, strlen(text), NULL), TUMBLE_ENUMBER);
}

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void random_number(char out[64]) {
    static const int digit_counts[] = {1, 2, 3, 5, 17, 18, 19, 20, 33, 34};
    int digits = digit_counts[draw(10)];
    int at = 0;
    if (draw(2)) {
        out[at++] = '-';
    }
    out[at++] = (char)('1' + draw(9));
    int point = draw(3) ? -1 : (int)draw((uint64_t)digits);
    for (int i = 1; i < digits; i++) {
        if (i == point) {
            out[at++] = '.';
        }
        out[at++] = (char)('0' + (draw(4) ? draw(10) : 0));
    }
    out[at] = '\0';
    if (draw(2)) {
        sprintf(out + at, "e%d", (int)draw(600) - 320);
    }
}

static void number_equal_values_have_equal_bytes(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"1", "1.0"},
        {"1", "1e0"},
        {"100", "1e2"},
        {"100.00", "1E+2"},
        {"0", "-0"},
        {"0", "-0.0e99"},
        {"0", "0e999999999"},
        {"0.10", "1e-1"},
        {"-12.50", "-125E-1"},
        {"120", "0.12e3"},
        {"1000000000000000000000", "1e21"},
        {"0.000000000000000000000000001", "1e-27"},
        {"12345678901234567890.0", "12345678901234567890"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct tw_decimal a = parsed(same[i][0]);
        struct tw_decimal b = parsed(same[i][1]);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void number_text_is_written_in_full_up_to_34_places_on_either_side(void **state) {
    (void)state;
    assert_text("19.990", "19.99");
    assert_text("-0.001", "-0.001");
    assert_text("120000", "120000");
    assert_text("-0", "0");
    assert_text("1e0", "1");
    assert_text("1234567890123456789.5", "1234567890123456789.5");
    assert_text("1e33", "1000000000000000000000000000000000");
    assert_text("1e34", "1e+34");
    assert_text("-1.5e34", "-1.5e+34");
    assert_text("1e-34", "0.0000000000000000000000000000000001");
    assert_text("1e-35", "1e-35");
    assert_text("1.25e-33", "1.25e-33");
    assert_text("1e300", "1e+300");
    assert_text("1e308", "1e+308");
    assert_text("-1e-324", "-1e-324");
    assert_text("9999999999999999999999999999999999", "9999999999999999999999999999999999");
    assert_text("0.1234567890123456789012345678901234", "0.1234567890123456789012345678901234");
    assert_text("1.234567890123456789012345678901234e-9", "1.234567890123456789012345678901234e-09");
}

static void number_rejects_more_than_34_digits(void **state) {
    (void)state;
    assert_text("1234567890123456789012345678901234", "1234567890123456789012345678901234");
    assert_refused("12345678901234567890123456789012345", "34 significant digits");
    assert_refused("0.10000000000000000000000000000000001", "34 significant digits");
    assert_refused("1000000000000000000000000000000000.1", "34 significant digits");
    /* zeros at either end are not significant */
    assert_text("00000.0000000000000000000000000000000000000000000000000012300000000000", "1.23e-51");
    assert_text("1000000000000000000000000000000000000000000000.000000000000000000", "1e+45");
}

static void number_rejects_magnitudes_no_double_has(void **state) {
    (void)state;
    assert_text("9.999999999999999999999999999999999e308", "9.999999999999999999999999999999999e+308");
    assert_refused("1e309", "beyond");
    assert_refused("-10e308", "beyond");
    assert_refused("1e400", "beyond");
    assert_refused("1e999999999999999999999999", "beyond");
    assert_text("1e-324", "1e-324");
    assert_text("10e-325", "1e-324");
    assert_refused("9.99e-325", "nearer to 0");
    assert_refused("1e-99999999999999999999999", "nearer to 0");
}

static void number_reads_exponents_that_undo_long_runs_of_zeros(void **state) {
    (void)state;
    static char text[5000];
    memset(text, '0', sizeof text);
    text[0] = '7';
    strcpy(text + 4001, "e-4000");
    struct tw_decimal seven = parsed("7");
    struct tw_decimal number = parsed(text);
    assert_memory_equal(&number, &seven, sizeof seven);
    memset(text, '0', sizeof text);
    text[1] = '.';
    strcpy(text + 4000, "7e3999");
    number = parsed(text);
    assert_memory_equal(&number, &seven, sizeof seven);
}

static void number_text_reads_back_as_the_same_number(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        random_number(text);
        struct tw_decimal number;
        if (tw_decimal_parse(&number, text, strlen(text), NULL) != TUMBLE_OK) {
            continue;
        }
        char out[TW_DECIMAL_TEXT];
        size_t length = tw_decimal_format(&number, out);
        assert_true(length <= TW_DECIMAL_TEXT);
        struct tw_decimal again;
        assert_int_equal(tw_decimal_parse(&again, out, length, NULL), TUMBLE_OK);
        assert_memory_equal(&number, &again, sizeof number);
    }
}

static int sign(int order) { return (order > 0) - (order < 0); }

static const char *const ascending[] = {
    "-9.999999999999999999999999999999999e308",
    "-1e308",
    "-1234567890123456789012345678901234",
    "-1234567890123456789012345678901233",
    "-100",
    "-99.5",
    "-99",
    "-10",
    "-9",
    "-1.0000000000000000000000000001",
    "-1",
    "-0.1",
    "-1e-324",
    "0",
    "1e-324",
    "1.5e-324",
    "1e-323",
    "0.001",
    "0.0999",
    "0.1",
    "0.11",
    "1",
    "1.01",
    "1.1",
    "9",
    "10",
    "99",
    "99.5",
    "100",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e34",
    "1e308",
};
enum { ASCENDING = sizeof ascending / sizeof *ascending };

/* Wherever a number stands among other bytes, it is the one it is alone. */
static void number_is_the_same_when_bytes_before_it_may_be_read(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",       "-0",       "0.0",      "-0.00",    "7",        "-7",        "10",       "100",
        "1200.0",  "3.16",     "-3.16",    "25.85",    "0.5",      "0.05",      "-0.001",   "12345678",
        "1234567", "-1234567", "1.234567", "123456.7", "1e5",      "1E+5",      "-1.5e-3",  "0e0",
        "10.0",    "90000000", "0.000000", "0.100000", "-99999.9", "123456789", "-12345678"};
    static const char around[] = "9.-\"e:0 }";
    for (size_t i = 0; i < sizeof texts / sizeof *texts + 2000; i++) {
        char text[64];
        if (i < sizeof texts / sizeof *texts) {
            strcpy(text, texts[i]);
        } else {
            random_number(text);
        }
        size_t length = strlen(text);
        for (size_t before = 0; before < 12; before++) {
            char line[96];
            struct tw_decimal alone, among;
            for (size_t at = 0; at < before; at++) {
                line[at] = around[(at + i) % (sizeof around - 1)];
            }
            memcpy(line + before, text, length);
            line[before + length] = '5';
            enum tumble_code code = tw_decimal_parse(&alone, text, length, NULL);
            assert_int_equal(tw_decimal_parse_in(&among, line, line + before, length, NULL), code);
            if (code == TUMBLE_OK) {
                assert_memory_equal(&among, &alone, sizeof alone);
            }
        }
    }
}

static void number_compare_orders_by_value(void **state) {
    (void)state;
    for (int i = 0; i < ASCENDING; i++) {
        for (int j = 0; j < ASCENDING; j++) {
            struct tw_decimal a = parsed(ascending[i]);
            struct tw_decimal b = parsed(ascending[j]);
            assert_int_equal(sign(tw_decimal_compare(&a, &b)), sign(i - j));
            assert_int_equal(tw_decimal_less(&a, &b), i < j);
        }
    }
}

static void number_ordered_bytes_order_as_the_numbers_do(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char texts[2][64];
        struct tw_decimal n[2];
        bool usable = true;
        for (int k = 0; k < 2; k++) {
            if (draw(8)) {
                random_number(texts[k]);
            } else {
                strcpy(texts[k], ascending[draw(ASCENDING)]);
            }
            usable = usable && tw_decimal_parse(&n[k], texts[k], strlen(texts[k]), NULL) == TUMBLE_OK;
        }
        if (!usable) {
            continue;
        }
        char a[TW_DECIMAL_ORDERED];
        char b[TW_DECIMAL_ORDERED];
        size_t a_length = tw_decimal_encode_ordered(&n[0], a);
        size_t b_length = tw_decimal_encode_ordered(&n[1], b);
        size_t common = a_length < b_length ? a_length : b_length;
        int order = sign(memcmp(a, b, common));
        assert_int_equal(order, sign(tw_decimal_compare(&n[0], &n[1])));
        assert_int_equal(tw_decimal_less(&n[0], &n[1]), order < 0);
        assert_true(order != 0 || a_length == b_length); /* prefix-free */
        const char *at = a;
        struct tw_decimal back;
        assert_true(tw_decimal_decode_ordered(&at, a + a_length, &back));
        assert_ptr_equal(at, a + a_length);
        assert_memory_equal(&back, &n[0], sizeof back);
        at = a;
        assert_false(tw_decimal_decode_ordered(&at, a + a_length - 1, &back));
        assert_ptr_equal(at, a);
    }
}

static void number_ordered_decode_accepts_only_what_encode_writes(void **state) {
    (void)state;
    int accepted = 0;
    for (int i = 0; i < 200000; i++) {
        char bytes[24];
        struct tw_decimal number = parsed(ascending[draw(ASCENDING)]);
        char encoded[TW_DECIMAL_ORDERED];
        size_t length = tw_decimal_encode_ordered(&number, encoded);
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, encoded, length);
        bytes[draw(length)] = (char)draw(256);
        const char *at = bytes;
        struct tw_decimal out;
        if (tw_decimal_decode_ordered(&at, bytes + sizeof bytes, &out)) {
            char again[TW_DECIMAL_ORDERED];
            size_t again_length = tw_decimal_encode_ordered(&out, again);
            assert_int_equal(again_length, at - bytes);
            assert_memory_equal(again, bytes, again_length);
            accepted++;
        } else {
            assert_ptr_equal(at, bytes);
        }
    }
    assert_true(accepted > 0);
}

static void number_digit_count_and_zeros_are_right_at_every_power_of_ten(void **state) {
    (void)state;
    assert_int_equal(tw_digit_count(0), 0);
    for (int i = 0; i < TW_POWERS_OF_TEN; i++) {
        tw_uint128 power = tw_power_of_ten[i];
        assert_int_equal(tw_digit_count(power), i + 1);
        assert_int_equal(tw_digit_count(power - 1), i);
        assert_int_equal(tw_strip_trailing_zeros(&power), i);
        assert_true(power == 1);
    }
    assert_int_equal(tw_digit_count(~(tw_uint128)0), 39);
}

/* Numbers of up to eight digits take a way of their own: theirs and their neighbours' bytes are those of the text. */
static void assert_short_number(int64_t coefficient, int places) {
    char expected[64], written[TW_DECIMAL_TEXT], digits[32], ordered[TW_DECIMAL_ORDERED];
    uint64_t magnitude = (uint64_t)(coefficient < 0 ? -coefficient : coefficient);
    int length = snprintf(digits, sizeof digits, "%0*llu", places + 1, (unsigned long long)magnitude);
    int written_length = snprintf(expected, sizeof expected, "%s%.*s%s%s", coefficient < 0 ? "-" : "", length - places,
                                  digits, places ? "." : "", digits + length - places);
    struct tw_decimal number = {.low = (uint64_t)coefficient, .high = coefficient < 0 ? -1 : 0, .exponent = -places};
    struct tw_decimal read, back;
    assert_int_equal(tw_decimal_parse(&read, expected, (size_t)written_length, NULL), TUMBLE_OK);
    if (memcmp(&read, &number, sizeof read) != 0) {
        return; /* it has zeros at its end: no number of ours */
    }
    size_t got = tw_decimal_format(&number, written);
    if (got != (size_t)written_length || memcmp(written, expected, got) != 0) {
        fail_msg("%s came out as %.*s", expected, (int)got, written);
    }
    const char *at = ordered;
    size_t bytes = tw_decimal_encode_ordered(&number, ordered);
    assert_true(tw_decimal_decode_ordered(&at, ordered + bytes, &back));
    assert_ptr_equal(at, ordered + bytes);
    assert_memory_equal(&back, &number, sizeof back);
}

static void numbers_of_few_digits_are_written_like_all_others(void **state) {
    (void)state;
    for (int places = 0; places <= 9; places++) {
        for (int64_t power = 1; power <= 10000000000; power *= 10) {
            for (int64_t near = -3; near <= 3; near++) {
                assert_short_number(power + near, places);
                assert_short_number(-(power + near), places);
            }
        }
        for (int64_t coefficient = 1; coefficient < 200000000; coefficient += coefficient / 7 + 1) {
            assert_short_number(coefficient, places);
            assert_short_number(-coefficient, places);
        }
    }
    for (uint32_t value = 0; value < 100000000; value += 1 + value / 100) {
        uint64_t digits = tw_eight_digits(value), pairs = tw_four_pairs(value);
        uint32_t of_digits = 0, of_pairs = 0;
        for (int i = 0; i < 8; i++) {
            of_digits = of_digits * 10 + (uint32_t)(digits >> 8 * i & 0xff);
            of_pairs = i % 2 ? of_pairs : of_pairs * 100 + (uint32_t)(pairs >> 8 * i & 0xffff);
        }
        assert_int_equal(of_digits, value);
        assert_int_equal(of_pairs, value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_few_digits_are_written_like_all_others),
        cmocka_unit_test(number_equal_values_have_equal_bytes),
        cmocka_unit_test(number_text_is_written_in_full_up_to_34_places_on_either_side),
        cmocka_unit_test(number_rejects_more_than_34_digits),
        cmocka_unit_test(number_is_the_same_when_bytes_before_it_may_be_read),
        cmocka_unit_test(number_rejects_magnitudes_no_double_has),
        cmocka_unit_test(number_reads_exponents_that_undo_long_runs_of_zeros),
        cmocka_unit_test(number_text_reads_back_as_the_same_number),
        cmocka_unit_test(number_compare_orders_by_value),
        cmocka_unit_test(number_ordered_bytes_order_as_the_numbers_do),
        cmocka_unit_test(number_ordered_decode_accepts_only_what_encode_writes),
        cmocka_unit_test(number_digit_count_and_zeros_are_right_at_every_power_of_ten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
