#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "aggregate/stepping.h"

static uint64_t seed = 0xda3e39cb94b95bdb;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void sum_of_ten_tenths_is_one(void **state) {
    (void)state;
    assert_result("sum", "", "0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1", "1");
}

static void sum_keeps_cents_and_signs(void **state) {
    (void)state;
    assert_result("sum", "", "12.34 5.6 7", "24.94");
    assert_result("sum", "", "-12.34 12.34", "0");
    assert_result("sum", "", "-0", "0");
    assert_result("sum", "", "-0.0 -5", "-5");
    assert_result("sum", "", "1e2 0.01", "100.01");
}

static void sum_passes_through_1e308_and_comes_back(void **state) {
    (void)state;
    assert_result("sum", "", "1e308 1e308 -1e308", "1e+308");
    assert_result("sum", "", "1e308 1 -1e308", "1");
    assert_result("sum", "", "1e308 1e-324 -1e308", "1e-324");
    assert_result("sum", "", "9e308 9e308", "1.8e+309");
}

static void sum_of_34_digits_stands_in_full_and_of_35_is_rounded(void **state) {
    (void)state;
    assert_result("sum", "", "1234567890123456789012345678901234 1", "1234567890123456789012345678901235");
    assert_result("sum", "", "9999999999999999999999999999999999 1", "1e+34");
    assert_result("sum", "", "1e34 1", "1e+34");
    assert_result("sum", "", "1234567890123456789012345678901234 0.5", "1234567890123456800000000000000000");
    assert_result("sum", "", "9e37 9e37 -1", "1.8e+38");
}

static void sum_widens_where_128_bits_end_and_hides_it(void **state) {
    (void)state;
    struct stepping wide;
    struct stepping narrow;
    stepping_init(&wide, "sum", "");
    stepping_init(&narrow, "sum", "");
    feed(&wide, "1e40");
    feed(&wide, "0.25");
    feed(&wide, "-1e40");
    feed(&narrow, "0.25");
    struct tw_buf encoded;
    tw_buf_init(&encoded, tw_alloc_default(), 1024);
    assert_int_equal(wide.aggregate->encode(wide.state, &wide.params, &encoded), TUMBLE_OK);
    assert_int_equal(narrow.aggregate->encode(narrow.state, &narrow.params, &narrow.out), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&encoded), tw_buf_view(&narrow.out)));
    assert_int_equal(encoded.length, 3);
    tw_buf_clean_up(&encoded);
    stepping_clean_up(&wide);
    stepping_clean_up(&narrow);
}

/* The oracle: signed digits with a weight for each power of ten from −360 to 359, carried only when read. */
enum { PLACES = 720, LOWEST = -360 };

static void oracle_add(int64_t *places, const char *text) {
    int sign = *text == '-' ? -1 : 1;
    const char *mark = strchr(text, 'e');
    const char *end = mark ? mark : text + strlen(text);
    const char *point = memchr(text, '.', (size_t)(end - text));
    int exponent = mark ? (int)strtol(mark + 1, NULL, 10) : 0;
    int place = exponent - (point ? (int)(end - point) - 1 : 0) - LOWEST;
    for (const char *at = end - 1; at >= text; at--) {
        if (*at >= '0' && *at <= '9') {
            places[place++] += sign * (*at - '0');
        }
    }
}

/* Digits without leading and trailing zeros and the power of ten of the last; returns how many. */
static int oracle_read(const int64_t *places, bool *negative, char *digits, int *exponent) {
    int64_t carried[PLACES];
    *negative = false;
    for (int pass = 0; pass < 2; pass++) {
        int64_t carry = 0;
        for (int i = 0; i < PLACES; i++) {
            int64_t sum = (*negative ? -places[i] : places[i]) + carry;
            int64_t digit = ((sum % 10) + 10) % 10;
            carried[i] = digit;
            carry = (sum - digit) / 10;
        }
        if (carry >= 0) {
            break;
        }
        *negative = true;
    }
    int low = 0;
    int high = PLACES - 1;
    while (low < PLACES && carried[low] == 0) {
        low++;
    }
    while (high > low && carried[high] == 0) {
        high--;
    }
    int count = 0;
    for (int i = high; i >= low; i--) {
        digits[count++] = (char)('0' + carried[i]);
    }
    *exponent = low + LOWEST;
    return low == PLACES ? 0 : count;
}

static void draw_number(char *out) {
    int at = sprintf(out, "%s%c", draw(2) ? "-" : "", (char)('1' + draw(9)));
    for (int digits = (int)draw(draw(3) ? 6 : 34); digits > 0; digits--) {
        out[at++] = (char)('0' + draw(10));
        if (digits > 1 && draw(12) == 0 && !memchr(out, '.', (size_t)at)) {
            out[at++] = '.';
        }
    }
    out[at] = '\0';
    if (draw(3) == 0) {
        sprintf(out + at, "e%d", (int)draw(60) - 30);
    } else if (draw(10) == 0) {
        sprintf(out + at, "e%d", (int)draw(590) - 320);
    }
}

static void sum_equals_an_independent_sum_of_digits(void **state) {
    (void)state;
    int in_full = 0;
    int rounded = 0;
    for (int round = 0; round < 3000; round++) {
        static int64_t places[PLACES];
        memset(places, 0, sizeof places);
        struct stepping s;
        stepping_init(&s, "sum", "");
        char texts[16][64];
        for (int i = 0; i < 16; i++) {
            struct tw_decimal number;
            if (i > 0 && draw(3) == 0) { /* take an earlier one back */
                const char *earlier = texts[draw((uint64_t)i)];
                char negated[64] = "-";
                strcpy(negated + (*earlier != '-'), earlier + (*earlier == '-'));
                strcpy(texts[i], negated);
            } else {
                draw_number(texts[i]);
            }
            if (tw_decimal_parse(&number, texts[i], strlen(texts[i]), NULL) != TUMBLE_OK) {
                strcpy(texts[i], "1");
            }
            oracle_add(places, texts[i]);
            feed(&s, texts[i]);
        }
        char digits[PLACES];
        bool negative;
        int exponent;
        int count = oracle_read(places, &negative, digits, &exponent);
        const char *text = result_of(&s);
        if (count == 0) {
            assert_string_equal(text, "0");
        } else if (count <= 34) {
            in_full++;
            char expected[128];
            sprintf(expected, "%s%.*se%d", negative ? "-" : "", count, digits, exponent);
            struct tw_decimal number = {0};
            struct tw_decimal read = {0};
            if (exponent + count - 1 > 308) {
                stepping_clean_up(&s);
                continue; /* parse takes no such number: the texts below cover it */
            }
            assert_int_equal(tw_decimal_parse(&number, expected, strlen(expected), NULL), TUMBLE_OK);
            assert_int_equal(tw_decimal_parse(&read, text, strlen(text), NULL), TUMBLE_OK);
            assert_memory_equal(&number, &read, sizeof read);
        } else if (exponent + count - 1 < 308) {
            rounded++;
            char expected[PLACES + 16];
            sprintf(expected, "%s%.*se%d", negative ? "-" : "", count, digits, exponent);
            assert_true(strtod(expected, NULL) == strtod(text, NULL));
        }
        stepping_clean_up(&s);
    }
    assert_true(in_full > 300 && rounded > 300);
}

static void sum_merge_without_memory_says_so(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "sum", "");
    feed(&s, "1e300");
    uint64_t narrow[4];
    s.aggregate->init(narrow, &s.params);
    struct tw_value one = value_of("1");
    struct tw_position position = {0};
    struct tw_heap none = {.alloc = tw_alloc_default()};
    s.aggregate->step(narrow, &s.params, &(struct tw_input){.value = &one, .position = position}, &none);
    assert_int_equal(none.bytes, 0);
    none.alloc.alloc = refuse_memory;
    assert_int_equal(s.aggregate->merge(narrow, &s.params, s.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
}

static void sum_decode_refuses_forms_with_a_shorter_one(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"", 0},
        {"\x05", 1},                            /* no such tag */
        {"\x01", 1},                            /* cut */
        {"\x01\x00\x0a", 3},                    /* 10 is 1e1 */
        {"\x01\x02\x00", 3},                    /* 0e1 is 0 */
        {"\x02\x00\x00", 3},                    /* negative zero */
        {"\x01\x00\x81\x00", 4},                /* over-long coefficient */
        {"\x01\xcb\x05\x01", 4},                /* exponent −358 */
        {"\x01\x90\x05\x01", 4},                /* 1e328 */
        {"\x03\x14\x01\x01\0\0\0\0\0\0\0", 11}, /* one limb: fits narrow */
        {"\x03\x27\x01\x01\0\0\0\0\0\0\0", 11}, /* limb 39 */
        {"\x03\x00\x00", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct stepping s;
        stepping_init(&s, "sum", "");
        struct tumble_bytes bytes = {bad[i].bytes, bad[i].length};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_ECORRUPT);
        stepping_clean_up(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_of_ten_tenths_is_one),
        cmocka_unit_test(sum_keeps_cents_and_signs),
        cmocka_unit_test(sum_passes_through_1e308_and_comes_back),
        cmocka_unit_test(sum_of_34_digits_stands_in_full_and_of_35_is_rounded),
        cmocka_unit_test(sum_widens_where_128_bits_end_and_hides_it),
        cmocka_unit_test(sum_equals_an_independent_sum_of_digits),
        cmocka_unit_test(sum_merge_without_memory_says_so),
        cmocka_unit_test(sum_decode_refuses_forms_with_a_shorter_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
