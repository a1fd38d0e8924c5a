#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tumble/timestamp.h>

static struct tumble_value value_of(uint8_t type, const char *text) {
    struct tumble_value value = {text, (uint32_t)strlen(text), type, 0, 0};
    if (type == TUMBLE_TYPE_STRING && strchr(text, '\\')) {
        value.flags = TUMBLE_VALUE_ESCAPED;
    }
    return value;
}

enum { N = TUMBLE_TYPE_NUMBER, S = TUMBLE_TYPE_STRING };

static void reads_every_documented_form(void **state) {
    (void)state;
    static const struct {
        const char *format;
        uint8_t type;
        const char *text;
        int64_t ms;
    } cases[] = {
        {"auto", N, "1691068717", 1691068717000},
        {"auto", N, "1691068717170", 1691068717170},
        {"auto", N, "1.69106871717E9", 1691068717170}, /* semantics point 24 */
        {"auto", N, "1.691068717170E12", 1691068717170},
        {"auto", S, "1607497475.000", 1607497475000},
        {"auto", N, "1607497475.0004", 1607497475000},
        {"auto", N, "1607497475.0005", 1607497475001}, /* half up */
        {"auto", N, "1607497475.00049999999999999999999999999999999999", 1607497475000},
        {"auto", N, "99999999999", 99999999999000},
        {"auto", N, "99999999999.9999", 100000000000000},
        {"auto", N, "100000000000", 100000000000},
        {"auto", N, "0", 0},
        {"auto", S, "0000000000", 0},
        {"auto", N, "1607497475.123456789", 1607497475123},
        {"auto", N, "1607497475.1234567891", 1607497475123},
        {"epoch_s", N, "1607497475.9995", 1607497476000},
        {"epoch_ms", N, "1607497475.5", 1607497476},
        {"auto", N, "-0", 0},
        {"auto", N, "-0.0e5", 0},
        {"auto", N, "0.0015", 2},
        {"auto", N, "0.0005", 1},
        {"auto", N, "0.00049", 0},
        {"auto", N, "1e-400", 0},
        {"auto", N, "15e-1", 1500},
        {"auto", S, "2023-08-03T13:18:37Z", 1691068717000},
        {"auto", S, "2023-08-03t13:18:37z", 1691068717000},
        {"auto", S, "2023-08-03 13:18:37.17Z", 1691068717170},
        {"auto", S, "2023-08-03T13:18:37,170+00:00", 1691068717170},
        {"auto", S, "2023-08-03T15:18:37.170+02:00", 1691068717170},
        {"auto", S, "2023-08-03T15:18:37+0200", 1691068717000},
        {"auto", S, "2023-08-03T07:48:37-05:30", 1691068717000},
        {"auto", S, "2023-08-03T15:18:37+02", 1691068717000},
        {"auto", S, "2023-08-03T13:18:37", 1691068717000},
        {"auto", S, "2023-08-03", 1691020800000},
        {"auto", S, "1970-01-01T00:00:00Z", 0},
        {"auto", S, "1969-12-31T23:00:00-01:00", 0},
        {"auto", S, "9999-12-31T23:59:59.999Z", TUMBLE_TIMESTAMP_MAX_MS},
        {"auto", S, "9999-12-31T23:59:59.999499999Z", TUMBLE_TIMESTAMP_MAX_MS},
        {"auto", S, "2000-02-29", 951782400000},
        {"auto", S, "2016-12-31T23:59:60Z", 1483228800000},
        {"auto", S, "2023-08-03T13:18:37.123456789Z", 1691068717123},
        {"auto", S, "2023\\u002d08-03T13:18:37Z", 1691068717000},
        {"epoch_s", N, "253402300799", 253402300799000},
        {"epoch_s", N, "253402300799.999", TUMBLE_TIMESTAMP_MAX_MS},
        {"epoch_s", S, "12", 12000},
        {"epoch_ms", N, "12.5", 13},
        {"epoch_ms", N, "253402300799999", TUMBLE_TIMESTAMP_MAX_MS},
        {"epoch_ms", N, "1691068717", 1691068717},
        {"iso8601", S, "2023-08-03", 1691020800000},
        {"%Y-%m-%d %H:%M:%S", S, "2023-08-03 13:18:37", 1691068717000},
        {"%Y-%m-%d %H:%M:%S %z", S, "2023-08-03 15:18:37 +0200", 1691068717000},
        {"%d/%b/%Y:%T %z", S, "03/Aug/2023:13:18:37 +0000", 1691068717000},
        {"%a, %d %B %Y %I:%M:%S.%f %p", S, "Thu, 03 august 2023 01:18:37.17 PM", 1691068717170},
        {"%I %p", S, "12 am", 0},
        {"%I %p", S, "12 pm", 43200000},
        {"%Y%m%d", N, "20230803", 1691020800000},
        {"%Y %j", S, "2024 366", 1735603200000},
        {"%D %R", S, "08/03/23 13:18", 1691068680000},
        {"%s.%f", S, "1691068717.17", 1691068717170},
        {"%y%%%e", S, "70% 1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_timestamp_format format;
        struct tumble_value value = value_of(cases[i].type, cases[i].text);
        struct tumble_error err = {.text = ""};
        int64_t ms = -1;
        assert_int_equal(tumble_timestamp_format_parse(&format, tumble_bytes_of(cases[i].format), &err), TUMBLE_OK);
        if (tumble_timestamp_ms(&format, &value, &ms, &err) != TUMBLE_OK || ms != cases[i].ms) {
            fail_msg("%s of %s: got %lld, wanted %lld %s", cases[i].text, cases[i].format, (long long)ms,
                     (long long)cases[i].ms, err.text);
        }
    }
}

static void refuses_what_is_no_instant_and_says_why(void **state) {
    (void)state;
    static const struct {
        const char *format;
        uint8_t type;
        const char *text;
        const char *message;
    } cases[] = {
        {"auto", N, "-1", "the timestamp -1 is before 1970-01-01T00:00:00Z"},
        {"auto", N, "-1e-30", "the timestamp -1e-30 is before 1970-01-01T00:00:00Z"},
        {"auto", S, "1969-12-31T23:59:59.999Z",
         "the timestamp \"1969-12-31T23:59:59.999Z\" is before 1970-01-01T00:00:00Z"},
        {"auto", S, "0000-01-01", "the timestamp \"0000-01-01\" is before 1970-01-01T00:00:00Z"},
        {"auto", N, "253402300800000", "the timestamp 253402300800000 is after 9999-12-31T23:59:59.999Z"},
        {"epoch_ms", N, "253402300799999.5", "the timestamp 253402300799999.5 is after 9999-12-31T23:59:59.999Z"},
        {"auto", N, "99999999999999999999", "the timestamp 99999999999999999999 is after 9999-12-31T23:59:59.999Z"},
        {"auto", N, "1e400", "the timestamp 1e400 is after 9999-12-31T23:59:59.999Z"},
        {"auto", N, "1e99999999999999999999", "the timestamp 1e99999999999999999999 is after 9999-12-31T23:59:59.999Z"},
        {"epoch_s", N, "1691068717170",
         "the timestamp 1691068717170 is after 9999-12-31T23:59:59.999Z: is it milliseconds (epoch_ms)?"},
        {"auto", S, "9999-12-31T23:59:59.9995Z",
         "the timestamp \"9999-12-31T23:59:59.9995Z\" is after 9999-12-31T23:59:59.999Z"},
        {"auto", S, "2023-02-29", "the timestamp \"2023-02-29\" is no day or time that exists"},
        {"auto", S, "2023-13-01", "the timestamp \"2023-13-01\" is no day or time that exists"},
        {"auto", S, "2023-01-01T24:00:00Z", "the timestamp \"2023-01-01T24:00:00Z\" is no day or time that exists"},
        {"auto", S, "1900-02-29", "the timestamp \"1900-02-29\" is no day or time that exists"},
        {"auto", S, "yesterday",
         "the timestamp \"yesterday\" is malformed: expected seconds or milliseconds since 1970, or an ISO 8601 date"},
        {"auto", S, "",
         "the timestamp \"\" is malformed: expected seconds or milliseconds since 1970, or an ISO 8601 date"},
        {"iso8601", S, "2023-08-03T13:18:37.1234567891Z", NULL},
        {"iso8601", S, "2023-08-03T13:18:37.Z", NULL},
        {"iso8601", S, "2023-08-03T13:18:37+2:00", NULL},
        {"iso8601", S, "2023-08-03T13:18:37+02:60", NULL},
        {"iso8601", S, "2023-08-03T13:18:37ZZ", NULL},
        {"iso8601", S, "2023-08-03T13:18", NULL},
        {"iso8601", S, "2023-08-0x", NULL},
        {"iso8601", S, "20230803", NULL},
        {"iso8601", N, "1691068717", NULL},
        {"epoch_s", S, "1.", NULL},
        {"epoch_s", S, ".5", NULL},
        {"epoch_s", S, "1e", NULL},
        {"epoch_s", S, "1e+", NULL},
        {"epoch_s", S, "1.2.3", NULL},
        {"epoch_s", S, "12 ", NULL},
        {"epoch_s", S, "+12", NULL},
        {"epoch_s", S, "-", NULL},
        {"%Y-%m-%d", S, "2023-08-03x", "the timestamp \"2023-08-03x\" is malformed: expected %Y-%m-%d"},
        {"%Y-%m-%d", S, "2023-8", NULL},
        {"%b", S, "Xyz", NULL},
        {"%I", S, "13", NULL},
        {"%Y %j", S, "2023 366", "the timestamp \"2023 366\" is no day or time that exists"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_timestamp_format format;
        struct tumble_value value = value_of(cases[i].type, cases[i].text);
        struct tumble_error err = {.text = ""};
        int64_t ms = -7;
        assert_int_equal(tumble_timestamp_format_parse(&format, tumble_bytes_of(cases[i].format), &err), TUMBLE_OK);
        if (tumble_timestamp_ms(&format, &value, &ms, &err) != TUMBLE_ETIMESTAMP) {
            fail_msg("%s of %s was taken as %lld", cases[i].text, cases[i].format, (long long)ms);
        }
        assert_int_equal(ms, -7);
        if (cases[i].message) {
            assert_string_equal(err.text, cases[i].message);
        }
    }
}

static void refuses_other_types(void **state) {
    (void)state;
    static const char *const texts[] = {"missing", "null", "false", "true", NULL, NULL, "an array", "an object"};
    struct tumble_timestamp_format format = {.kind = TUMBLE_TIMESTAMP_EPOCH_MS};
    for (uint8_t type = 0; type < 8; type++) {
        struct tumble_value value = {.type = type};
        struct tumble_error err = {.text = ""};
        int64_t ms;
        if (texts[type]) {
            char expected[128];
            snprintf(expected, sizeof expected, "the timestamp is %s: expected milliseconds since 1970", texts[type]);
            assert_int_equal(tumble_timestamp_ms(&format, &value, &ms, &err), TUMBLE_ETIMESTAMP);
            assert_string_equal(err.text, expected);
        }
    }
}

static void refuses_formats_it_does_not_know(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "iso", "AUTO", "%Q", "%Y-%", "%c", "%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y%Y"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tumble_timestamp_format format;
        struct tumble_error err = {.text = ""};
        assert_int_equal(tumble_timestamp_format_parse(&format, tumble_bytes_of(texts[i]), &err), TUMBLE_ESPEC);
        assert_true(err.text[0] != '\0');
    }
}

static void writes_text_that_it_reads_back(void **state) {
    (void)state;
    struct tumble_timestamp_format format = {.kind = TUMBLE_TIMESTAMP_ISO8601};
    char text[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(1691068717170, text);
    assert_string_equal(text, "2023-08-03T13:18:37Z");
    tumble_timestamp_text_ms(TUMBLE_TIMESTAMP_MAX_MS, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    int64_t step = INT64_C(86400000) * 7 + 3723001;
    for (int64_t ms = 0; ms <= TUMBLE_TIMESTAMP_MAX_MS; ms += step) {
        int64_t back = -1;
        tumble_timestamp_text_ms(ms, text);
        struct tumble_value value = value_of(S, text);
        assert_int_equal(tumble_timestamp_ms(&format, &value, &back, NULL), TUMBLE_OK);
        assert_int_equal(back, ms);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_documented_form),
        cmocka_unit_test(refuses_what_is_no_instant_and_says_why),
        cmocka_unit_test(refuses_other_types),
        cmocka_unit_test(refuses_formats_it_does_not_know),
        cmocka_unit_test(writes_text_that_it_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
