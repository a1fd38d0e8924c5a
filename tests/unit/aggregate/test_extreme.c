#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

static void min_and_max_compare_numbers_by_value(void **state) {
    (void)state;
    assert_result("min", "", "10 9 100", "9");
    assert_result("max", "", "10 9 100", "100");
    assert_result("min", "", "-1.5 -1.49 -1e1", "-10");
    assert_result("max", "", "-1.5 -1.49 -1e1", "-1.49");
    assert_result("min", "", "1e-324 0 -1e-324", "-1e-324");
    assert_result("max", "", "9007199254740993 9007199254740992", "9007199254740993");
    assert_result("max", "", "1e308 9.999e307", "1e+308");
}

static void min_and_max_know_one_zero_and_one_one(void **state) {
    (void)state;
    assert_result("min", "", "-0", "0");
    assert_result("max", "", "-0.0 0", "0");
    assert_result("min", "", "1.0 1e0 1", "1");
    assert_result("max", "", "1.50", "1.5");
}

static void min_and_max_of_strings_go_by_bytes(void **state) {
    (void)state;
    assert_result("min", "string", "\"b\" \"a\" \"ab\"", "\"a\"");
    assert_result("max", "string", "\"b\" \"a\" \"ab\"", "\"b\"");
    assert_result("min", "string", "\"a\" \"\"", "\"\"");
    assert_result("max", "string", "\"\"", "\"\"");
    assert_result("min", "string", "\"9\" \"10\"", "\"10\"");
    assert_result("max", "string", "\"Z\" \"a\"", "\"a\"");
    assert_result("max", "string", "\"z\" \"\xc3\xa9\" \"\xf0\x9f\x98\x80\" \"\xef\xbf\xbd\"", "\"\xf0\x9f\x98\x80\"");
}

static void min_and_max_of_strings_escape_what_json_must(void **state) {
    (void)state;
    assert_result("max", "string", "\"a\\b\"", "\"a\\\\b\"");
    assert_result("max", "string", "\"a\tb\"", "\"a\\tb\"");
}

static void strings_of_the_greatest_length_are_kept_and_read_back(void **state) {
    (void)state;
    static char text[TW_LIMIT_STRING_VALUE_BYTES];
    memset(text, 'x', sizeof text);
    struct stepping s;
    stepping_init(&s, "max", "string");
    struct tw_value value = {.type = TUMBLE_TYPE_STRING, .text = {text, 3}};
    struct tw_position position = {0};
    step_value(s.aggregate, &s.params, s.state, &value, &position, &s.heap);
    value.text.length = sizeof text;
    step_value(s.aggregate, &s.params, s.state, &value, &position, &s.heap);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&s.out));
    s.aggregate->init(s.state, &s.params);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->value(s.state, &s.params, 0, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, sizeof text + 2);
    stepping_clean_up(&s);
}

static void decode_refuses_strings_too_long_cut_or_not_utf8(void **state) {
    (void)state;
    static const char *const bad[] = {"\x03z", "\x02\xff", "\x03\xc0\x80", "\x04\xed\xa0\x80", "\x82\x80\x04", ""};
    static const size_t lengths[] = {2, 2, 3, 4, 3, 0};
    for (int i = 0; i < 6; i++) {
        struct stepping s;
        stepping_init(&s, "min", "string");
        struct tumble_bytes bytes = {bad[i], lengths[i]};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        struct tumble_error err;
        assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
        assert_int_equal(s.heap.bytes, 0);
        stepping_clean_up(&s);
    }
}

static void merge_of_strings_without_memory_says_so(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "min", "string");
    feed(&s, "\"a\"");
    uint64_t other[2];
    s.aggregate->init(other, &s.params);
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    assert_int_equal(s.aggregate->merge(other, &s.params, s.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(min_and_max_compare_numbers_by_value),
        cmocka_unit_test(min_and_max_know_one_zero_and_one_one),
        cmocka_unit_test(min_and_max_of_strings_go_by_bytes),
        cmocka_unit_test(min_and_max_of_strings_escape_what_json_must),
        cmocka_unit_test(strings_of_the_greatest_length_are_kept_and_read_back),
        cmocka_unit_test(decode_refuses_strings_too_long_cut_or_not_utf8),
        cmocka_unit_test(merge_of_strings_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
