#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

static void a_sample_loses_one_a_population_none(void **state) {
    (void)state;
    assert_result("variance", "", "1 2 3 4", "1.6666666666666667");
    assert_result("variance", "sample", "1 2 3 4", "1.6666666666666667");
    assert_result("variance", "population", "1 2 3 4", "1.25");
    assert_result("stddev", "population", "2 4 4 4 5 5 7 9", "2");
    assert_result("stddev", "", "2 4 4 4 5 5 7 9", "2.138089935299395");
    assert_result("stddev", "sample", "2 4 4 4 5 5 7 9", "2.138089935299395");
}

static void one_number_has_a_population_but_no_sample(void **state) {
    (void)state;
    assert_result("variance", "", "7", "null");
    assert_result("variance", "sample", "7", "null");
    assert_result("variance", "population", "7", "0");
    assert_result("stddev", "", "7", "null");
    assert_result("stddev", "sample", "7", "null");
    assert_result("stddev", "population", "7", "0");
    assert_result("variance", "population", "", "null");
    assert_result("stddev", "", "0.1 0.1 0.1", "0");
}

static void nothing_is_lost_to_cancellation(void **state) {
    (void)state;
    assert_result("variance", "", "1000000000000001 1000000000000002 1000000000000003", "1");
    assert_result("variance", "population", "0.1 0.3", "0.01");
    assert_result("stddev", "population", "0.1 0.3", "0.1");
    assert_result("variance", "", "1e30 1e30 1000000000000000000000000000003", "3");
    assert_result("stddev", "", "1e30 1e30 1000000000000000000000000000003", "1.7320508075688772");
}

static void the_ends_of_the_range_stay_exact(void **state) {
    (void)state;
    assert_result("variance", "population", "1e308 -1e308", "1e+616");
    assert_result("stddev", "population", "1e308 -1e308", "1e+308");
    assert_result("variance", "", "1e308 -1e308 0 1", "6.6666666666666667e+615");
    assert_result("stddev", "", "9.99e308 -9.99e308", "1.412799348810722e+309");
    assert_result("variance", "population", "1e-324 -1e-324", "1e-648");
    assert_result("stddev", "population", "1e-324 -1e-324", "1e-324");
    assert_result("variance", "", "1e-324 0 0", "3.3333333333333333e-649");
    assert_result("variance", "population", "1e308 1e-324 1e308 1e-324", "2.5e+615");
}

struct golden {
    const char *numbers;
    const char *bytes;
    size_t length;
};

#define BYTES(TEXT) (TEXT), sizeof(TEXT) - 1

static void stored_bytes_are_these(void **state) {
    (void)state;
    static const struct golden goldens[] = {
        {"", BYTES("\x00")},
        {"0", BYTES("\x01\x01\x00\x00\x01\x00\x00")},
        {"0.5 1.5", BYTES("\x02\x01\x00\x02\x01\x01\x19")},
        {"-3 -4", BYTES("\x02\x02\x00\x07\x01\x00\x19")},
        {"1e20 1", BYTES("\x02\x01\x00\x81\x80\xc0\x98\xd6\xc5\xd7\xe3\xeb\x0a\x03\x28\x03"
                         "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                         "\x10\x27\x00\x00\x00\x00\x00\x00")},
    };
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        struct stepping s;
        char copy[64];
        stepping_init(&s, "variance", "");
        strcpy(copy, goldens[i].numbers);
        for (char *at = strtok(copy, " "); at; at = strtok(NULL, " ")) {
            feed(&s, at);
        }
        tw_buf_clear(&s.out);
        assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
        assert_int_equal(s.out.length, goldens[i].length);
        assert_memory_equal(s.out.data, goldens[i].bytes, goldens[i].length);
        stepping_clean_up(&s);
    }
}

static void decode_refuses(const char *bytes, size_t length) {
    struct stepping s;
    struct tumble_error err;
    stepping_init(&s, "stddev", "population");
    struct tumble_bytes view = {bytes, length};
    struct tw_cursor cursor = tw_cursor_of(view);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "damaged"));
    stepping_clean_up(&s);
}

static void decode_refuses_what_no_numbers_make(void **state) {
    (void)state;
    decode_refuses(BYTES(""));
    decode_refuses(BYTES("\x01"));
    decode_refuses(BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01\x00\x01\x01\x00\x01")); /* 2^63 numbers */
    decode_refuses(BYTES("\x01\x00\x01\x00\x00"));                                             /* no sum */
    decode_refuses(BYTES("\x01\x01\x00\x01\x01\x00\x02"));                                     /* 1 is not √2 */
    decode_refuses(BYTES("\x02\x01\x00\x04\x01\x00\x07"));     /* two of sum 4: squares are at least 8 */
    decode_refuses(BYTES("\x02\x01\x00\x04\x02\x00\x09"));     /* squares below zero */
    decode_refuses(BYTES("\x02\x01\x00\x04\x01\x00\x0a"));     /* trailing decimal zero */
    decode_refuses(BYTES("\x02\x01\x00\x04\x01\x02\x00"));     /* zero with an exponent */
    decode_refuses(BYTES("\x02\x01\x00\x04\x01\xe5\x0a\x09")); /* 9e-691 …: below what 4 needs */
    decode_refuses(BYTES("\x02\x01\x00\x00\x01\x95\x0b\x09")); /* ends at 10^-715 */
    decode_refuses(BYTES("\x02\x01\x00\x00\x01\xfa\x09\x09")); /* 9 × 10^637 */
    decode_refuses(BYTES("\x02\x01\x00\x00\x03\x28\x00"));     /* no limbs */
    decode_refuses(BYTES("\x02\x01\x00\x00\x03\x4b\x02"));     /* limbs past the top */
    decode_refuses(BYTES("\x02\x01\x00\x00\x03\x28\x01\x01\x00\x00\x00\x00\x00\x00\x00")); /* has a narrow form */
    decode_refuses(
        BYTES("\x02\x01\x00\x00\x03\x28\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x64\xa7\xb3\xb6\xe0\x0d\x10"
              "\x27\x00\x00\x00\x00\x00\x00")); /* a limb of 10^18 */
    decode_refuses(
        BYTES("\x02\x01\x00\x00\x03\x00\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
              "\x27\x00\x00\x00\x00\x00\x00")); /* ends at 10^-720 */
    decode_refuses(
        BYTES("\x02\x01\x00\x00\x03\x49\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
              "\x96\x98\x00\x00\x00\x00\x00")); /* 10^637 */
    decode_refuses(
        BYTES("\x02\x01\x00\x00\x03\x28\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
              "\x27\x00\x00\x00\x00\x00")); /* cut off */
}

/* Counts that only damage can make add up to their limit, not round to a zero that would be divided by. */
static void absurd_counts_do_not_wrap(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "variance", "population");
    static const char bytes[] = "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00\x01\x01\x00\x01";
    struct tumble_bytes view = {bytes, sizeof bytes - 1};
    for (int i = 0; i < 3; i++) {
        uint64_t other[8];
        struct tw_cursor cursor = tw_cursor_of(view);
        s.aggregate->init(other, &s.params);
        assert_int_equal(s.aggregate->decode(other, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
        assert_int_equal(s.aggregate->merge(s.state, &s.params, other, &s.heap), TUMBLE_OK);
    }
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_memory_equal(s.out.data, bytes, 9);
    assert_string_equal(result_of(&s), "3.2526065174565133e-19");
    stepping_clean_up(&s);
}

static void merge_without_memory_says_so(void **state) {
    (void)state;
    struct stepping s;
    struct stepping wide;
    stepping_init(&s, "variance", "");
    stepping_init(&wide, "variance", "");
    feed(&s, "1");
    feed(&wide, "1e300");
    feed(&wide, "1");
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    none.alloc.resize = refuse_to_resize;
    assert_int_equal(s.aggregate->merge(s.state, &s.params, wide.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
    stepping_clean_up(&wide);
}

static void what_growth_says_is_enough_for_any_number(void **state) {
    (void)state;
    static const char *const numbers[] = {"1",   "9999999999999999999999999999999999", "1e-324", "9.99e308", "-0.5",
                                          "1e17"};
    for (uint64_t round = 0; round < 64; round++) {
        struct stepping s;
        stepping_init(&s, "stddev", "");
        struct tumble_alloc real = s.heap.alloc;
        for (int i = 0; i < 6; i++) {
            struct tw_value value = value_of(numbers[(round >> i ^ (uint64_t)i) % 6]);
            struct tw_input input = {.value = &value, .position = {0, tumble_bytes_of("1"), 0}};
            s.heap.alloc = real;
            assert_true(tw_heap_reserve(&s.heap, s.aggregate->growth(s.state, &s.params, &input)));
            s.heap.alloc.alloc = refuse_memory;
            s.heap.alloc.resize = refuse_to_resize;
            size_t held = s.heap.bytes;
            s.aggregate->step(s.state, &s.params, &input, &s.heap);
            assert_int_equal(s.heap.bytes, held);
        }
        s.heap.alloc = real;
        stepping_clean_up(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_loses_one_a_population_none),
        cmocka_unit_test(one_number_has_a_population_but_no_sample),
        cmocka_unit_test(nothing_is_lost_to_cancellation),
        cmocka_unit_test(the_ends_of_the_range_stay_exact),
        cmocka_unit_test(stored_bytes_are_these),
        cmocka_unit_test(decode_refuses_what_no_numbers_make),
        cmocka_unit_test(absurd_counts_do_not_wrap),
        cmocka_unit_test(merge_without_memory_says_so),
        cmocka_unit_test(what_growth_says_is_enough_for_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
