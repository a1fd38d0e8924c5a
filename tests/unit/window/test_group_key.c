#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/window/group_key.h"

/* Group keys: memcmp orders them as rows are ordered, and they read back as JSON. */

static struct tw_value number(const char *text) {
    struct tw_value value = {.type = TUMBLE_TYPE_NUMBER};
    assert_int_equal(tw_decimal_parse(&value.number, text, strlen(text), NULL), TUMBLE_OK);
    return value;
}

static struct tw_value string(const char *data, size_t length) {
    struct tw_value value = {.type = TUMBLE_TYPE_STRING, .text = {data, length}};
    return value;
}

static size_t put(const struct tw_value *a, const struct tw_value *b, char *out) {
    assert_true(tw_group_key_bound(a) + tw_group_key_bound(b) <= 256);
    size_t length = tw_group_key_put(a, out);
    return length + tw_group_key_put(b, out + length);
}

static void keys_order_as_their_values_do(void **state) {
    (void)state;
    struct tw_value values[] = {{.type = TUMBLE_TYPE_NULL},
                                {.type = TUMBLE_TYPE_FALSE},
                                {.type = TUMBLE_TYPE_TRUE},
                                number("-1e300"),
                                number("-2"),
                                number("-1.5"),
                                number("0"),
                                number("1e-9"),
                                number("0.5"),
                                number("9"),
                                number("10"),
                                number("1e300"),
                                string("", 0),
                                string("\0", 1),
                                string("\0\0", 2),
                                string("\0a", 2),
                                string("A", 1),
                                string("a", 1),
                                string("a\0", 2),
                                string("a\0b", 3),
                                string("aa", 2),
                                string("b", 1),
                                string("\xc3\xa9", 2)};
    const size_t n = sizeof values / sizeof *values;
    for (size_t i = 0; i < n * n; i++) {
        for (size_t j = 0; j < n * n; j++) {
            char a[256], b[256];
            size_t a_length = put(&values[i / n], &values[i % n], a), b_length = put(&values[j / n], &values[j % n], b);
            size_t common = a_length < b_length ? a_length : b_length;
            int order = memcmp(a, b, common);
            order = order ? order : (a_length > b_length) - (a_length < b_length);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void keys_read_back_as_json(void **state) {
    (void)state;
    struct tw_value values[] = {{.type = TUMBLE_TYPE_MISSING},
                                {.type = TUMBLE_TYPE_FALSE},
                                {.type = TUMBLE_TYPE_TRUE},
                                number("1.50"),
                                string("a\"b", 3),
                                string("a\0b\0", 4),
                                string("", 0)};
    char key[512];
    size_t length = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        length += tw_group_key_put(&values[i], key + length);
    }
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    struct tumble_bytes bytes = {key, length};
    struct tw_cursor in = tw_cursor_of(bytes);
    while (tw_cursor_left(&in)) {
        assert_int_equal(tw_group_key_json(&in, &out), TUMBLE_OK);
        tw_buf_append_byte(&out, ' ');
    }
    static const char expected[] = "null false true 1.5 \"a\\\"b\" \"a\\u0000b\\u0000\" \"\" ";
    assert_int_equal(out.length, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.length);
    tw_buf_clean_up(&out);
}

static void bytes_that_are_no_key_are_refused(void **state) {
    (void)state;
    static const struct tumble_bytes bad[] = {{"", 0},
                                              {"\0", 1},
                                              {"\6", 1},
                                              {"\5abc", 4},
                                              {"\5a\0\xff"
                                               "b",
                                               5},
                                              {"\4", 1}};
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tw_cursor in = tw_cursor_of(bad[i]);
        assert_int_equal(tw_group_key_json(&in, &out), TUMBLE_ECORRUPT);
    }
    tw_buf_clean_up(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_order_as_their_values_do),
        cmocka_unit_test(keys_read_back_as_json),
        cmocka_unit_test(bytes_that_are_no_key_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
