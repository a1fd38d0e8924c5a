#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/field_path.h"
#include "engine/codec/json.h"
#include "engine/codec/json_text.h"

static void document_wants_one_value_of_the_type_and_nothing_behind(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum tumble_code code;
        int byte;
        const char *message;
    } cases[] = {
        {" {\"a\":1} \n", TUMBLE_OK, 0, NULL},
        {"", TUMBLE_EJSON, 0, "the text is empty: expected an object"},
        {" \n", TUMBLE_EJSON, 0, "the text is empty: expected an object"},
        {"{} {}", TUMBLE_EJSON, 3, "more text behind the end of the JSON value"},
        {" []", TUMBLE_EJSON, 1, "expected an object, found an array"},
        {"{\"a\":1,}", TUMBLE_EJSON, -2, NULL},
        {"{\"a\":\"\xc0\x80\"}", TUMBLE_EUTF8, -2, NULL},
        {"{\"a\":\"\\udc00\"}", TUMBLE_EUTF8, -2, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value value;
        struct tumble_error err = {.byte = -7, .text = ""};
        assert_int_equal(tw_json_document(tumble_bytes_of(cases[i].text), TUMBLE_TYPE_OBJECT, &value, &err),
                         cases[i].code);
        if (cases[i].message) {
            assert_string_equal(err.text, cases[i].message);
            assert_int_equal(err.byte, cases[i].byte);
        }
    }
}

static void integer_takes_whole_numbers_in_any_spelling(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
        bool taken;
    } cases[] = {
        {"60", 60, true},    {"60.0", 60, true},
        {"6e1", 60, true},   {"-0", 0, true},
        {"60.5", 0, false},  {"1e18", 1000000000000000000, true},
        {"1e19", 0, false},  {"9223372036854775807", INT64_MAX, true},
        {"1e400", 0, false}, {"9223372036854775808", 0, false},
        {"1e-3", 0, false},  {"-9223372036854775808", INT64_MIN, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value number = {cases[i].text, (uint32_t)strlen(cases[i].text), TUMBLE_TYPE_NUMBER, 0, 0};
        int64_t value = 0;
        assert_int_equal(tw_json_integer(&number, &value), cases[i].taken);
        assert_int_equal(value, cases[i].value);
    }
}

static void nearest_name_is_near_or_none(void **state) {
    (void)state;
    static const char *const names[] = {"name", "function", "field", "type"};
    assert_string_equal(tw_name_nearest(tumble_bytes_of("feild"), names, 4), "field");
    assert_string_equal(tw_name_nearest(tumble_bytes_of("Function"), names, 4), "function");
    assert_string_equal(tw_name_nearest(tumble_bytes_of("tpye"), names, 4), "type");
    assert_null(tw_name_nearest(tumble_bytes_of("aggregates"), names, 4));
    assert_null(
        tw_name_nearest(tumble_bytes_of("a very long word that nobody would take for a name of ours"), names, 4));
}

static void strings_are_copied_without_their_escapes(void **state) {
    (void)state;
    const char *text = "a\\u00e9\\ud83d\\ude00\\n\\\"\\/\\b\\f\\r\\t\\\\\xc3\xa9\xe2\x82\xac";
    struct tumble_value value = {text, (uint32_t)strlen(text), TUMBLE_TYPE_STRING, TUMBLE_VALUE_ESCAPED, 0};
    char out[64];
    size_t length = tw_json_text_copy(&value, out, sizeof out);
    const char *plain = "a\xc3\xa9\xf0\x9f\x98\x80\n\"/\b\f\r\t\\\xc3\xa9\xe2\x82\xac";
    assert_int_equal(length, strlen(plain));
    assert_memory_equal(out, plain, length);
    assert_true(tw_json_text_copy(&value, out, length) == length);
    assert_true(tw_json_text_copy(&value, out, length - 1) == SIZE_MAX);
}

static void paths_are_checked_and_have_one_canonical_spelling(void **state) {
    (void)state;
    static const struct {
        const char *path;
        const char *canonical; /* NULL: refused */
        int byte;
    } cases[] = {
        {"a", "a", 0},
        {"geo.country", "geo.country", 0},
        {"/geo/country", "geo.country", 0},
        {"a.0.b", "a.0.b", 0},
        {"/a/0/b", "/a/0/b", 0}, /* a position too: another meaning than a.0.b */
        {"/a.b", "/a.b", 0},
        {"/a~1b", "/a~1b", 0},
        {"/", "/", 0},
        {"/a/", "/a/", 0},
        {"/$x", "/$x", 0},
        {"/a/$x", "a.$x", 0},
        {"", NULL, 0},
        {".a", NULL, 0},
        {"a.", NULL, 1},
        {"a..b", NULL, 2},
        {"/a~", NULL, 2},
        {"/a~2", NULL, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_error err = {.text = ""};
        enum tumble_code code = tw_field_path_check(tumble_bytes_of(cases[i].path), &err);
        if (!cases[i].canonical) {
            assert_int_equal(code, TUMBLE_EPATH);
            assert_int_equal(err.byte, cases[i].byte);
            continue;
        }
        struct tw_buf out;
        tw_buf_init(&out, tw_alloc_default(), 256);
        assert_int_equal(code, TUMBLE_OK);
        assert_int_equal(tw_field_path_canonical(tumble_bytes_of(cases[i].path), &out), TUMBLE_OK);
        assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
        assert_string_equal(out.data, cases[i].canonical);
        tw_buf_clean_up(&out);
    }
    char too_long[1026];
    memset(too_long, 'x', sizeof too_long);
    struct tumble_bytes path = {too_long, 1025};
    assert_int_equal(tw_field_path_check(path, NULL), TUMBLE_EPATH);
    path.length = 1024;
    assert_int_equal(tw_field_path_check(path, NULL), TUMBLE_OK);
    too_long[5] = '\0';
    assert_int_equal(tw_field_path_check(path, NULL), TUMBLE_EPATH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_wants_one_value_of_the_type_and_nothing_behind),
        cmocka_unit_test(integer_takes_whole_numbers_in_any_spelling),
        cmocka_unit_test(nearest_name_is_near_or_none),
        cmocka_unit_test(strings_are_copied_without_their_escapes),
        cmocka_unit_test(paths_are_checked_and_have_one_canonical_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
