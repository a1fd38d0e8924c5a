#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/inputs/lambda/lambda_settings.h"
#include "counting_alloc.h"

static struct tw_lambda_settings settings;
static struct tumble_error err;

static int tear_down(void **state) {
    (void)state;
    tw_lambda_settings_clean_up(&settings);
    return 0;
}

/* Reads an environment of up to four variables. */
static enum tumble_code read_of(const char *a, const char *b, const char *c, const char *d) {
    const char *environment[] = {a, b, c, d, NULL};
    static const char *kept[5];
    memcpy(kept, environment, sizeof kept);
    tw_lambda_settings_clean_up(&settings);
    memset(&err, 0, sizeof err);
    return tw_lambda_settings_read(&settings, kept, (struct tumble_alloc){0}, &err);
}

static void refuses(const char *variable, const char *text) {
    assert_int_equal(read_of(variable, NULL, NULL, NULL), TUMBLE_EUSAGE);
    if (!strstr(err.text, text)) {
        fail_msg("\"%s\" is not in: %s", text, err.text);
    }
}

static void nothing_set_gives_the_documented_defaults(void **state) {
    (void)state;
    assert_int_equal(read_of(NULL, NULL, NULL, NULL), TUMBLE_OK);
    assert_null(settings.runtime_api);
    assert_null(settings.spec);
    assert_string_equal(settings.task_root, ".");
    assert_string_equal(settings.state_directory, "/tmp/tumble");
    assert_int_equal(settings.output_count, 0);
    assert_false(settings.report_batch_item_failures);
    assert_int_equal(settings.inline_state_limit, 0);
    assert_int_equal(settings.log_level, TW_LOG_INFO);
    assert_string_equal(settings.metrics_namespace, "tumble");
    assert_int_equal(settings.deadline_margin_ms, 200);
}

static void a_spec_is_json_when_it_begins_with_a_brace(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_SPEC= {\"aggregates\":[]}", NULL, NULL, NULL), TUMBLE_OK);
    assert_true(settings.spec_is_text);
    assert_int_equal(read_of("TUMBLE_SPEC=orders.json", NULL, NULL, NULL), TUMBLE_OK);
    assert_false(settings.spec_is_text);
    assert_string_equal(settings.spec, "orders.json");
}

static void outputs_are_words_or_a_json_array(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_OUTPUTS= dynamodb:t, s3://b/p,file:/x ", NULL, NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.output_count, 3);
    assert_string_equal(settings.outputs[0], "dynamodb:t");
    assert_string_equal(settings.outputs[1], "s3://b/p");
    assert_string_equal(settings.outputs[2], "file:/x");
    assert_int_equal(read_of("TUMBLE_OUTPUTS= [\"file:/a,b c\", \"s3://\\u0062\"]", NULL, NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.output_count, 2);
    assert_string_equal(settings.outputs[0], "file:/a,b c");
    assert_string_equal(settings.outputs[1], "s3://b");
}

static void malformed_lists_name_the_variable(void **state) {
    (void)state;
    refuses("TUMBLE_OUTPUTS=[\"a\"", "TUMBLE_OUTPUTS");
    refuses("TUMBLE_OUTPUTS=[1]", "a number");
    refuses("TUMBLE_OUTPUTS=[\"\"]", "empty");
    refuses("TUMBLE_OUTPUTS=[\"a\\u0000b\"]", "NUL");
    refuses("TUMBLE_OUTPUTS=a a a a a a a a a a a a a a a a a", "more than 16");
}

static void response_types_are_lambdas_only_one(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_FUNCTION_RESPONSE_TYPES=ReportBatchItemFailures", NULL, NULL, NULL), TUMBLE_OK);
    assert_true(settings.report_batch_item_failures);
    assert_int_equal(read_of("TUMBLE_FUNCTION_RESPONSE_TYPES=[\"ReportBatchItemFailures\"]", NULL, NULL, NULL),
                     TUMBLE_OK);
    assert_true(settings.report_batch_item_failures);
    assert_int_equal(read_of("TUMBLE_FUNCTION_RESPONSE_TYPES=[]", NULL, NULL, NULL), TUMBLE_OK);
    assert_false(settings.report_batch_item_failures);
    refuses("TUMBLE_FUNCTION_RESPONSE_TYPES=reportBatchItemFailures", "ReportBatchItemFailures");
}

static void a_misspelt_variable_is_refused_with_the_nearest_one(void **state) {
    (void)state;
    refuses("TUMBLE_OUTPUT=file:/x", "did you mean TUMBLE_OUTPUTS?");
    assert_int_equal(read_of("TUMBLE_HASH_SEED=7", "TUMBLE_CPU=portable", "TUMBLER=1", "tumble_x=1"), TUMBLE_OK);
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_INLINE_STATE_LIMIT=5000", "TUMBLE_DEADLINE_MARGIN_MS=0", NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.inline_state_limit, 5000);
    assert_int_equal(settings.deadline_margin_ms, 0);
    refuses("TUMBLE_INLINE_STATE_LIMIT=999", "1000 to 4194304");
    refuses("TUMBLE_INLINE_STATE_LIMIT=1e5", "1e5");
    refuses("TUMBLE_INLINE_STATE_LIMIT=-5", "-5");
    refuses("TUMBLE_INLINE_STATE_LIMIT=99999999999999999999999", "whole number");
    refuses("TUMBLE_DEADLINE_MARGIN_MS=600001", "600000");
}

static void the_log_level_is_tumbles_before_lambdas(void **state) {
    (void)state;
    assert_int_equal(read_of("AWS_LAMBDA_LOG_LEVEL=WARN", NULL, NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.log_level, TW_LOG_WARN);
    assert_int_equal(read_of("AWS_LAMBDA_LOG_LEVEL=WARN", "TUMBLE_LOG_LEVEL=debug", NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.log_level, TW_LOG_DEBUG);
    assert_int_equal(read_of("AWS_LAMBDA_LOG_LEVEL=shout", NULL, NULL, NULL), TUMBLE_OK);
    assert_int_equal(settings.log_level, TW_LOG_INFO);
    refuses("TUMBLE_LOG_LEVEL=loud", "loud");
}

static void metrics_can_be_turned_off(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_METRICS_NAMESPACE=none", NULL, NULL, NULL), TUMBLE_OK);
    assert_null(settings.metrics_namespace);
    assert_int_equal(read_of("TUMBLE_METRICS_NAMESPACE=", NULL, NULL, NULL), TUMBLE_OK);
    assert_string_equal(settings.metrics_namespace, "tumble");
}

static void the_runtime_api_is_known_even_when_the_rest_is_wrong(void **state) {
    (void)state;
    assert_int_equal(read_of("TUMBLE_NONSENSE=1", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", NULL, NULL), TUMBLE_EUSAGE);
    assert_string_equal(settings.runtime_api, "127.0.0.1:9001");
}

static void no_memory_is_an_ordinary_error(void **state) {
    (void)state;
    static const char *const environment[] = {"TUMBLE_OUTPUTS=[\"a\",\"b\"]", NULL};
    for (size_t i = 1; i <= 2; i++) {
        struct counting_alloc count = {.fail_at = i, .persistent = 1};
        assert_int_equal(tw_lambda_settings_read(&settings, environment, counting_alloc_of(&count), &err),
                         TUMBLE_ENOMEM);
        tw_lambda_settings_clean_up(&settings);
        assert_int_equal(count.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_set_gives_the_documented_defaults, tear_down),
        cmocka_unit_test_teardown(a_spec_is_json_when_it_begins_with_a_brace, tear_down),
        cmocka_unit_test_teardown(outputs_are_words_or_a_json_array, tear_down),
        cmocka_unit_test_teardown(malformed_lists_name_the_variable, tear_down),
        cmocka_unit_test_teardown(response_types_are_lambdas_only_one, tear_down),
        cmocka_unit_test_teardown(a_misspelt_variable_is_refused_with_the_nearest_one, tear_down),
        cmocka_unit_test_teardown(numbers_out_of_range_are_refused, tear_down),
        cmocka_unit_test_teardown(the_log_level_is_tumbles_before_lambdas, tear_down),
        cmocka_unit_test_teardown(metrics_can_be_turned_off, tear_down),
        cmocka_unit_test_teardown(the_runtime_api_is_known_even_when_the_rest_is_wrong, tear_down),
        cmocka_unit_test_teardown(no_memory_is_an_ordinary_error, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
