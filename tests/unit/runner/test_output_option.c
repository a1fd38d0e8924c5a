#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runner/nearest.h"
#include "runner/output_option.h"

static const char *const words[] = {"gzip", "zstd", "none", NULL};

static void values_are_read_by_their_type(void **state) {
    (void)state;
    static const struct {
        enum tumble_option_type type;
        const char *text;
        int good;
        int64_t number;
    } cases[] = {{TUMBLE_OPTION_STRING, "", 1, 0},
                 {TUMBLE_OPTION_INTEGER, "0", 1, 0},
                 {TUMBLE_OPTION_INTEGER, "-12", 1, -12},
                 {TUMBLE_OPTION_INTEGER, "9223372036854775807", 1, INT64_MAX},
                 {TUMBLE_OPTION_INTEGER, "9223372036854775808", 0, 0},
                 {TUMBLE_OPTION_INTEGER, "", 0, 0},
                 {TUMBLE_OPTION_INTEGER, "-", 0, 0},
                 {TUMBLE_OPTION_INTEGER, "+1", 0, 0},
                 {TUMBLE_OPTION_INTEGER, " 1", 0, 0},
                 {TUMBLE_OPTION_INTEGER, "1 ", 0, 0},
                 {TUMBLE_OPTION_INTEGER, "1k", 0, 0},
                 {TUMBLE_OPTION_BOOLEAN, "true", 1, 1},
                 {TUMBLE_OPTION_BOOLEAN, "1", 1, 1},
                 {TUMBLE_OPTION_BOOLEAN, "false", 1, 0},
                 {TUMBLE_OPTION_BOOLEAN, "0", 1, 0},
                 {TUMBLE_OPTION_BOOLEAN, "yes", 0, 0},
                 {TUMBLE_OPTION_BOOLEAN, "", 0, 0},
                 {TUMBLE_OPTION_ENUM, "gzip", 1, 0},
                 {TUMBLE_OPTION_ENUM, "none", 1, 2},
                 {TUMBLE_OPTION_ENUM, "Gzip", 0, 0},
                 {TUMBLE_OPTION_SIZE, "65536", 1, 65536},
                 {TUMBLE_OPTION_SIZE, "64KiB", 1, 65536},
                 {TUMBLE_OPTION_SIZE, "8MiB", 1, 8388608},
                 {TUMBLE_OPTION_SIZE, "1GiB", 1, 1073741824},
                 {TUMBLE_OPTION_SIZE, "10kB", 1, 10000},
                 {TUMBLE_OPTION_SIZE, "5MB", 1, 5000000},
                 {TUMBLE_OPTION_SIZE, "2M", 1, 2097152},
                 {TUMBLE_OPTION_SIZE, "-1", 0, 0},
                 {TUMBLE_OPTION_SIZE, "99999999999G", 0, 0},
                 {TUMBLE_OPTION_SIZE, "1.5M", 0, 0},
                 {TUMBLE_OPTION_DURATION, "250ms", 1, 250},
                 {TUMBLE_OPTION_DURATION, "30s", 1, 30000},
                 {TUMBLE_OPTION_DURATION, "30", 1, 30000},
                 {TUMBLE_OPTION_DURATION, "5m", 1, 300000},
                 {TUMBLE_OPTION_DURATION, "2h", 1, 7200000},
                 {TUMBLE_OPTION_DURATION, "1d", 1, 86400000},
                 {TUMBLE_OPTION_DURATION, "-1s", 0, 0},
                 {TUMBLE_OPTION_DURATION, "1w", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tumble_output_option option = {.name = "opt", .type = cases[i].type, .words = words};
        struct tumble_option_value value = {0};
        struct tumble_error err = {0};
        enum tumble_code code = tumble_output_option_read(&option, cases[i].text, "x:y", &value, &err);
        if ((code == TUMBLE_OK) != cases[i].good || value.number * cases[i].good != cases[i].number) {
            fail_msg("%s \"%s\": %s, %lld", tumble_output_option_type(cases[i].type), cases[i].text, err.text,
                     (long long)value.number);
        }
        if (!cases[i].good) {
            assert_int_equal(code, TUMBLE_EUSAGE);
            assert_ptr_equal(strstr(err.text, "x:y: "), err.text);
            assert_non_null(strstr(err.text, "opt"));
        }
    }
}

static void bounds_hold_at_both_ends(void **state) {
    (void)state;
    struct tumble_output_option option = {.name = "n", .type = TUMBLE_OPTION_INTEGER, .minimum = -5, .maximum = 5};
    struct tumble_option_value value;
    struct tumble_error err;
    assert_int_equal(tumble_output_option_read(&option, "-5", "x", &value, &err), TUMBLE_OK);
    assert_int_equal(tumble_output_option_read(&option, "5", "x", &value, &err), TUMBLE_OK);
    assert_int_equal(tumble_output_option_read(&option, "-6", "x", &value, &err), TUMBLE_EUSAGE);
    assert_int_equal(tumble_output_option_read(&option, "6", "x", &value, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "between -5 and 5"));
}

static void percent_signs_are_decoded_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *decoded; /* NULL: refused */
    } cases[] = {{"", ""},    {"plain", "plain"}, {"a%20b%26", "a b&"}, {"%25", "%"}, {"%c3%A9", "\xc3\xa9"},
                 {"%", NULL}, {"%2", NULL},       {"%2g", NULL},        {"%00", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32] = "";
        memcpy(text, cases[i].text, strlen(cases[i].text));
        assert_int_equal(tumble_percent_decode(text), cases[i].decoded != NULL);
        if (cases[i].decoded) {
            assert_string_equal(text, cases[i].decoded);
        }
    }
}

static void the_nearest_word_is_found(void **state) {
    (void)state;
    static const char *const candidates[] = {"file", "dynamodb", "sqs", NULL};
    assert_string_equal(tumble_nearest("flie", candidates), "file");
    assert_string_equal(tumble_nearest("dynamo", candidates), "dynamodb");
    assert_null(tumble_nearest("kafka", candidates));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_their_type),
        cmocka_unit_test(bounds_hold_at_both_ends),
        cmocka_unit_test(percent_signs_are_decoded_or_refused),
        cmocka_unit_test(the_nearest_word_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
