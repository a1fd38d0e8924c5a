#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aggregate/law.h"
#include "aggregate/stepping.h"

static void values_stand_in_the_order_of_positions(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "collect", "");
    assert_string_equal(column_of(&s, 0), "null");
    assert_string_equal(column_of(&s, 1), "0");
    feed_at(&s, "\"c\"", 5, "9", 0);
    feed_at(&s, "1.50", 5, "10", 0);
    feed_at(&s, "true", -7, "11", 0);
    feed_at(&s, "\"\"", 5, "9", 1);
    assert_string_equal(column_of(&s, 0), "[true,\"c\",\"\",1.5]");
    assert_string_equal(column_of(&s, 1), "4");
    stepping_clean_up(&s);
}

static void past_the_cap_the_lowest_positions_stay(void **state) {
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct stepping s;
        stepping_init_with(&s, "collect", "", "cap=3");
        for (int i = 0; i < 10; i++) {
            char text[8];
            int n = backwards ? 9 - i : i;
            snprintf(text, sizeof text, "%d", n);
            feed_at(&s, text, n / 2, text, 0);
        }
        assert_string_equal(column_of(&s, 0), "[0,1,2]");
        assert_string_equal(column_of(&s, 1), "10");
        stepping_clean_up(&s);
    }
}

static void one_position_is_ordered_by_value_and_keeps_repeats(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "collect", "", "cap=5");
    static const char *const values[] = {"\"b\"", "2", "\"b\"", "false", "2", "\"c\"", "-1"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        feed_at(&s, values[i], 1, "7", 0);
    }
    assert_string_equal(column_of(&s, 0), "[false,-1,2,2,\"b\"]");
    assert_string_equal(column_of(&s, 1), "7");
    stepping_clean_up(&s);
}

static void columns_are_the_array_and_its_total(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "collect", "");
    tw_buf_clear(&s.out);
    assert_true(s.aggregate->column(&s.params, 0, &s.out));
    assert_int_equal(s.out.length, 0);
    assert_true(s.aggregate->column(&s.params, 1, &s.out));
    assert_true(tumble_bytes_equal(tw_buf_view(&s.out), tumble_bytes_of("_total")));
    assert_false(s.aggregate->column(&s.params, 2, &s.out));
    stepping_clean_up(&s);
}

/* A value that comes behind all that are kept needs no memory and changes none. */
static void records_in_order_cost_no_memory_past_the_cap(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "collect", "", "cap=10");
    size_t bytes = 0;
    for (int i = 0; i < 20000; i++) {
        feed_at(&s, "\"abcdefgh\"", i, "12345678", 0);
        if (i == 10) {
            bytes = s.heap.bytes;
        }
    }
    assert_int_equal(s.heap.bytes, bytes);
    for (int i = 0; i < 20000; i++) { /* the other way each replaces one, whose block it gets */
        feed_at(&s, "\"abcdefgh\"", -i - 1, "12345678", 0);
    }
    assert_true(s.heap.bytes <= bytes + 8192);
    assert_string_equal(column_of(&s, 1), "40000");
    stepping_clean_up(&s);
}

static void growth_holds_for_steps_at_once(void **state) {
    (void)state;
    law_growth_is_honest("collect", "cap=20", false);
    law_growth_is_honest("collect", "cap=10000", false);
}

static void any_order_cut_and_merge_gives_the_same_bytes(void **state) {
    (void)state;
    static const char *const options[] = {"cap=1", "cap=2", "cap=7", "cap=30", "cap=1000"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        law_holds("collect", options[i], 120, false);
    }
}

static void the_stored_form_is_fixed(void **state) {
    (void)state;
    static const char golden[] = "\x03"
                                 "\x03\x02\x01\x07\x00"     /* true at (1, 7, 0) */
                                 "\x05\x04\x02\x2a\x03\x02" /* a string at (2, 42, 3) */
                                 "hi";
    struct stepping s;
    stepping_init_with(&s, "collect", "", "cap=2");
    feed_at(&s, "\"hi\"", 2, "42", 3);
    feed_at(&s, "15", 2, "42", 4);
    feed_at(&s, "true", 1, "7", 0);
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, sizeof golden - 1);
    assert_memory_equal(s.out.data, golden, sizeof golden - 1);
    stepping_clean_up(&s);
}

static void what_encode_never_writes_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } forms[] = {
        {"", 0},
        {"\x02\x03\x02\x01\x07\x00", 6},                      /* one entry of two */
        {"\x02\x03\x04\x01\x07\x00\x03\x02\x01\x07\x00", 11}, /* positions descend */
        {"\x02\x03\x02\x01\x07\x00\x02\x02\x01\x07\x00", 11}, /* true before false at one position */
        {"\x01\x06\x02\x01\x07\x00", 6},                      /* an array */
        {"\x01\x05\x02\x01\x07\x00\xff\xff\xff\xff\x0f", 11}, /* a string longer than all bytes */
        {"\x01\x05\x02\x01\x07\x00\x01\xff", 8},              /* not UTF-8 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},     /* a great total and nothing */
        {"\x01\x03\x01\x01\x07\x00", 6},                      /* before 1970 */
    };
    struct stepping s;
    stepping_init_with(&s, "collect", "", "cap=5");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tumble_bytes bytes = {forms[i].bytes, forms[i].length};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        struct tumble_error err;
        uint64_t read[8];
        s.aggregate->init(read, &s.params);
        assert_int_equal(s.aggregate->decode(read, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
        assert_non_null(strstr(err.text, "damaged"));
    }
    stepping_clean_up(&s);
}

static void random_damage_is_refused_or_canonical(void **state) {
    (void)state;
    law_damage_is_seen("collect", "cap=4", 3000, false);
}

/* Stored totals may claim anything; adding them up must not wrap round below what is kept. */
static void totals_stay_at_the_greatest(void **state) {
    (void)state;
    static const char full[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x03\x02\x01\x07\x00";
    struct tumble_bytes bytes = {full, sizeof full - 1};
    struct tw_cursor cursor = tw_cursor_of(bytes);
    struct stepping s;
    stepping_init_with(&s, "collect", "", "cap=1");
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
    feed_at(&s, "false", 9, "1", 0);
    assert_string_equal(column_of(&s, 0), "[true]");
    assert_string_equal(column_of(&s, 1), "18446744073709551615");
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_in_the_order_of_positions),
        cmocka_unit_test(past_the_cap_the_lowest_positions_stay),
        cmocka_unit_test(one_position_is_ordered_by_value_and_keeps_repeats),
        cmocka_unit_test(columns_are_the_array_and_its_total),
        cmocka_unit_test(records_in_order_cost_no_memory_past_the_cap),
        cmocka_unit_test(growth_holds_for_steps_at_once),
        cmocka_unit_test(any_order_cut_and_merge_gives_the_same_bytes),
        cmocka_unit_test(the_stored_form_is_fixed),
        cmocka_unit_test(what_encode_never_writes_is_refused),
        cmocka_unit_test(random_damage_is_refused_or_canonical),
        cmocka_unit_test(totals_stay_at_the_greatest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
