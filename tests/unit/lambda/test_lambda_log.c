#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/inputs/lambda/lambda_log.h"
#include "engine/codec/json.h"

static int ends[2];
static struct tw_lambda_log *log_under_test;

static int set_up(void **state) {
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(tw_lambda_log_open(ends[1], TW_LOG_INFO, (struct tumble_alloc){0}, &log_under_test, NULL),
                     TUMBLE_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_lambda_log_close(log_under_test);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void expect_line(const char *expected) {
    static char line[8192];
    ssize_t n = read(ends[0], line, sizeof line - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_string_equal(line, expected);
    struct tumble_value value;
    struct tumble_bytes text = {line, (size_t)n};
    assert_int_equal(tw_json_document(text, TUMBLE_TYPE_OBJECT, &value, NULL), TUMBLE_OK);
}

static void a_line_is_an_object_in_lambdas_members(void **state) {
    (void)state;
    tw_lambda_log_write(log_under_test, TW_LOG_ERROR, 1607497475123, "r-1", "Tumble.BadRecord",
                        "record %d is \"bad\"\n", 7);
    expect_line("{\"timestamp\":\"2020-12-09T07:04:35.123Z\",\"level\":\"ERROR\",\"requestId\":\"r-1\","
                "\"errorType\":\"Tumble.BadRecord\",\"message\":\"record 7 is \\\"bad\\\"\\n\"}\n");
    tw_lambda_log_write(log_under_test, TW_LOG_INFO, 0, NULL, NULL, "up");
    expect_line("{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"INFO\",\"message\":\"up\"}\n");
}

static void lines_below_the_level_are_not_written(void **state) {
    (void)state;
    assert_false(tw_lambda_log_takes(log_under_test, TW_LOG_DEBUG));
    assert_false(tw_lambda_log_takes(NULL, TW_LOG_ERROR));
    tw_lambda_log_write(log_under_test, TW_LOG_DEBUG, 0, NULL, NULL, "unseen");
    tw_lambda_log_write(NULL, TW_LOG_ERROR, 0, NULL, NULL, "nowhere");
    tw_lambda_log_write(log_under_test, TW_LOG_WARN, 0, NULL, NULL, "seen");
    expect_line("{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"WARN\",\"message\":\"seen\"}\n");
}

static void malformed_utf8_does_not_break_the_line(void **state) {
    (void)state;
    tw_lambda_log_write(log_under_test, TW_LOG_INFO, 0, "\xff", NULL, "a\xc3z \xc3\xa9");
    expect_line("{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"INFO\",\"requestId\":\"?\",\"message\":\"a?z "
                "?\?\"}\n");
}

static void levels_have_names(void **state) {
    (void)state;
    enum tw_log_level level;
    assert_true(tw_log_level_of("Debug", &level) && level == TW_LOG_DEBUG);
    assert_true(tw_log_level_of("FATAL", &level) && level == TW_LOG_ERROR);
    assert_true(tw_log_level_of("off", &level) && level == TW_LOG_OFF);
    assert_false(tw_log_level_of("", &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_an_object_in_lambdas_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_utf8_does_not_break_the_line, set_up, tear_down),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
