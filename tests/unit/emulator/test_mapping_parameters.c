#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "counting_alloc.h"
#include "emulator/mapping_parameters.h"

static struct tumble_error error;

static struct tumble_mapping_parameters fresh(void) {
    struct tumble_mapping_parameters parameters;
    tumble_mapping_parameters_init(&parameters, (struct tumble_alloc){0});
    memset(&error, 0, sizeof error);
    return parameters;
}

/* What get-event-source-mapping prints, recorded. */
static const char printed[] =
    "{\"UUID\":\"0d1b2f\",\"StartingPosition\":\"TRIM_HORIZON\",\"BatchSize\":100,"
    "\"MaximumBatchingWindowInSeconds\":0,\"ParallelizationFactor\":1,"
    "\"EventSourceArn\":\"arn:aws:kinesis:us-east-1:123456789012:stream/s\","
    "\"FunctionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:f\","
    "\"LastModified\":\"2025-11-25T12:00:00+00:00\",\"LastProcessingResult\":\"No records processed\","
    "\"State\":\"Creating\",\"StateTransitionReason\":\"User action\",\"DestinationConfig\":{\"OnFailure\":{}},"
    "\"MaximumRecordAgeInSeconds\":-1,\"BisectBatchOnFunctionError\":false,\"MaximumRetryAttempts\":-1,"
    "\"TumblingWindowInSeconds\":0,\"FunctionResponseTypes\":[],\"EventSourceMappingArn\":\"arn:aws:lambda:x\"}";

static void defaults_are_those_that_aws_prints(void **state) {
    (void)state;
    struct tumble_mapping_parameters defaults = fresh(), read = fresh();
    assert_int_equal(tumble_mapping_parameters_read(&read, tumble_bytes_of(printed), &error), TUMBLE_OK);
    assert_int_equal(read.starting_position, TUMBLE_TRIM_HORIZON);
    assert_string_equal(read.uuid, "0d1b2f");
    assert_string_equal(read.function_arn, "arn:aws:lambda:us-east-1:123456789012:function:f");
    defaults.starting_position = TUMBLE_TRIM_HORIZON;
    memcpy(defaults.uuid, read.uuid, sizeof read.uuid);
    memcpy(defaults.function_arn, read.function_arn, sizeof read.function_arn);
    memcpy(defaults.event_source_arn, read.event_source_arn, sizeof read.event_source_arn);
    assert_memory_equal(&defaults, &read, sizeof read);
    assert_int_equal(tumble_mapping_parameters_check(&read, INT64_MAX, &error), TUMBLE_OK);
}

static void everything_can_be_read_from_json(void **state) {
    (void)state;
    struct tumble_mapping_parameters read = fresh();
    static const char json[] =
        "{\"StartingPosition\":\"AT_TIMESTAMP\",\"StartingPositionTimestamp\":1607497475.5,\"BatchSize\":10000,"
        "\"MaximumBatchingWindowInSeconds\":300,\"ParallelizationFactor\":10,\"MaximumRetryAttempts\":10000,"
        "\"MaximumRecordAgeInSeconds\":604800,\"TumblingWindowInSeconds\":900,\"BisectBatchOnFunctionError\":true,"
        "\"FunctionResponseTypes\":[\"ReportBatchItemFailures\"],\"DestinationConfig\":{\"OnSuccess\":{},\"OnFailure\":"
        "{\"Destination\":\"arn:aws:sqs:us-east-1:123456789012:q\"}},\"FilterCriteria\":{\"Filters\":[{\"Pattern\":"
        "\"{\\\"data\\\":{\\\"a\\\":[1]}}\"},{\"Pattern\":\"{\\\"data\\\":{\\\"b\\\":[2]}}\"}]},"
        "\"MetricsConfig\":{\"Metrics\":[\"EventCount\"]},\"State\":\"Disabled\",\"KMSKeyArn\":null,\"Topics\":[]}";
    if (tumble_mapping_parameters_read(&read, tumble_bytes_of(json), &error) != TUMBLE_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(read.starting_position, TUMBLE_AT_TIMESTAMP);
    assert_int_equal(read.starting_position_timestamp_ms, INT64_C(1607497475500));
    assert_int_equal(read.batch_size, 10000);
    assert_int_equal(read.maximum_batching_window_in_seconds, 300);
    assert_int_equal(read.parallelization_factor, 10);
    assert_int_equal(read.maximum_retry_attempts, 10000);
    assert_int_equal(read.maximum_record_age_in_seconds, 604800);
    assert_int_equal(read.tumbling_window_in_seconds, 900);
    assert_true(read.bisect_batch_on_function_error && read.report_batch_item_failures && read.event_count_metrics);
    assert_string_equal(read.on_failure, "arn:aws:sqs:us-east-1:123456789012:q");
    assert_int_equal(read.filter_count, 2);
    assert_string_equal(read.filters[1], "{\"data\":{\"b\":[2]}}");
    assert_false(read.enabled);
    /* "" takes a destination away, an empty list of filters all filters */
    static const char less[] = "{\"DestinationConfig\":{\"OnFailure\":{\"Destination\":\"\"}},\"FilterCriteria\":"
                               "{\"Filters\":[]},\"FunctionResponseTypes\":[],\"Enabled\":true}";
    assert_int_equal(tumble_mapping_parameters_read(&read, tumble_bytes_of(less), &error), TUMBLE_OK);
    assert_string_equal(read.on_failure, "");
    assert_int_equal(read.filter_count, 0);
    assert_false(read.report_batch_item_failures);
    assert_true(read.enabled);
    tumble_mapping_parameters_clean_up(&read);
}

static void every_parameter_has_a_flag(void **state) {
    (void)state;
    static const char *const values[][2] = {
        {"starting-position", "LATEST"},
        {"starting-position-timestamp", "2020-12-09T07:04:35Z"},
        {"batch-size", "7"},
        {"maximum-batching-window-in-seconds", "8"},
        {"parallelization-factor", "9"},
        {"tumbling-window-in-seconds", "10"},
        {"maximum-retry-attempts", "11"},
        {"maximum-record-age-in-seconds", "60"},
        {"bisect-batch-on-function-error", NULL},
        {"function-response-types", "ReportBatchItemFailures"},
        {"destination-config", "{\"OnFailure\":{\"Destination\":\"file:/tmp/f\"}}"},
        {"filter-criteria", "{\"Filters\":[{\"Pattern\":\"{\\\"data\\\":{\\\"a\\\":[1]}}\"}]}"},
        {"metrics-config", "Metrics=EventCount"},
        {"enabled", "false"},
        {"event-source-arn", "arn:aws:kinesis:us-east-1:1:stream/s/consumer/c:1"},
        {"function-arn", "arn:f"},
        {"uuid", "u"}};
    struct tumble_mapping_parameters parameters = fresh();
    size_t count = sizeof values / sizeof *values;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(tumble_mapping_parameters_flag(i), values[i][0]);
        assert_int_equal(tumble_mapping_parameters_is_boolean(values[i][0]),
                         !values[i][1] || strcmp(values[i][1], "false") == 0);
        if (tumble_mapping_parameters_set(&parameters, values[i][0], values[i][1], &error) != TUMBLE_OK) {
            fail_msg("%s: %s", values[i][0], error.text);
        }
    }
    assert_null(tumble_mapping_parameters_flag(count));
    assert_null(tumble_mapping_parameters_flag(1000));
    assert_int_equal(parameters.starting_position, TUMBLE_LATEST);
    assert_int_equal(parameters.starting_position_timestamp_ms, INT64_C(1607497475000));
    assert_int_equal(parameters.batch_size, 7);
    assert_int_equal(parameters.maximum_batching_window_in_seconds, 8);
    assert_int_equal(parameters.parallelization_factor, 9);
    assert_int_equal(parameters.tumbling_window_in_seconds, 10);
    assert_int_equal(parameters.maximum_retry_attempts, 11);
    assert_int_equal(parameters.maximum_record_age_in_seconds, 60);
    assert_true(parameters.bisect_batch_on_function_error && parameters.report_batch_item_failures);
    assert_true(parameters.event_count_metrics && !parameters.enabled);
    assert_string_equal(parameters.on_failure, "file:/tmp/f");
    assert_int_equal(parameters.filter_count, 1);
    assert_int_equal(tumble_mapping_parameters_set(&parameters, "enabled", "true", &error), TUMBLE_OK);
    assert_int_equal(
        tumble_mapping_parameters_set(&parameters, "function-response-types", "[\"ReportBatchItemFailures\"]", &error),
        TUMBLE_OK);
    assert_int_equal(tumble_mapping_parameters_set(&parameters, "metrics-config", "{\"Metrics\":[]}", &error),
                     TUMBLE_OK);
    assert_true(parameters.enabled && parameters.report_batch_item_failures && !parameters.event_count_metrics);
    tumble_mapping_parameters_clean_up(&parameters);
}

struct refusal {
    const char *json;
    enum tumble_code code;
    const char *text;
};

static void wrong_json_is_refused_by_name_and_place(void **state) {
    (void)state;
    static const struct refusal refusals[] = {
        {"{\"TumblingWindowInSeconds\":901}", TUMBLE_EUSAGE, /* point 22 */
         "TumblingWindowInSeconds (byte 27): 1 validation error detected: Value '901' at 'tumblingWindowInSeconds' "
         "failed to satisfy constraint: Member must have value less than or equal to 900"},
        {"{\"TumblingWindowInSeconds\":-1}", TUMBLE_EUSAGE, "Member must have value greater than or equal to 0"},
        {"{\"BatchSize\":10001}", TUMBLE_EUSAGE,
         "at 'batchSize' failed to satisfy constraint: Member must have value "
         "less than or equal to 10000"},
        {"{\"BatchSize\":0}", TUMBLE_EUSAGE, "greater than or equal to 1"},
        {"{\"BatchSize\":1.5}", TUMBLE_EUSAGE, "a whole number, please, not 1.5"},
        {"{\"BatchSize\":\"7\"}", TUMBLE_EUSAGE, "a whole number, please, not a string"},
        {"{\"MaximumBatchingWindowInSeconds\":301}", TUMBLE_EUSAGE, "less than or equal to 300"},
        {"{\"ParallelizationFactor\":11}", TUMBLE_EUSAGE, "less than or equal to 10"},
        {"{\"MaximumRetryAttempts\":10001}", TUMBLE_EUSAGE, "less than or equal to 10000"},
        {"{\"MaximumRetryAttempts\":-2}", TUMBLE_EUSAGE, "greater than or equal to -1"},
        {"{\"MaximumRecordAgeInSeconds\":59}", TUMBLE_EUSAGE,
         "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"},
        {"{\"MaximumRecordAgeInSeconds\":0}", TUMBLE_EUSAGE, "must be either -1 (forever) or between 60 and 604800"},
        {"{\"MaximumRecordAgeInSeconds\":604801}", TUMBLE_EUSAGE, "less than or equal to 604800"},
        {"{\"StartingPosition\":\"EARLIEST\"}", TUMBLE_EUSAGE,
         "Value 'EARLIEST' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: "
         "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]"},
        {"{\"StartingPosition\":1}", TUMBLE_EUSAGE, "StartingPosition is a number, not a string"},
        {"{\"StartingPositionTimestamp\":\"soon\"}", TUMBLE_EUSAGE, "StartingPositionTimestamp (byte "},
        {"{\"StartingPositionTimestamp\":true}", TUMBLE_EUSAGE, "epoch seconds or ISO 8601"},
        {"{\"BisectBatchOnFunctionError\":1}", TUMBLE_EUSAGE, "true or false"},
        {"{\"FunctionResponseTypes\":[\"Report\"]}", TUMBLE_EUSAGE, "there is only ReportBatchItemFailures"},
        {"{\"FunctionResponseTypes\":\"ReportBatchItemFailures\"}", TUMBLE_EUSAGE, "is a string, not an array"},
        {"{\"DestinationConfig\":{\"OnSuccess\":{\"Destination\":\"arn:aws:sqs:us-east-1:1:q\"}}}", TUMBLE_EUSAGE,
         "OnSuccess configuration is not supported for event source mappings."},
        {"{\"DestinationConfig\":{\"OnFailed\":{}}}", TUMBLE_EUSAGE, "did you mean 'OnFailure'?"},
        {"{\"DestinationConfig\":{\"OnFailure\":{\"Destiny\":\"\"}}}", TUMBLE_EUSAGE, "unknown key 'Destiny'"},
        {"{\"DestinationConfig\":{\"OnFailure\":{\"Destination\":7}}}", TUMBLE_EUSAGE, "is a number, not a string"},
        {"{\"DestinationConfig\":{\"OnFailure\":{\"Destination\":\"kafka://t\"}}}", TUMBLE_EUSAGE, "is no destination"},
        {"{\"DestinationConfig\":{\"OnFailure\":{\"Destination\":\"arn:aws:sqs:us-east-1:1:q.fifo\"}}}", TUMBLE_EUSAGE,
         "FIFO queues and topics are not supported"},
        {"{\"DestinationConfig\":[]}", TUMBLE_EUSAGE, "is an array, not an object"},
        {"{\"FilterCriteria\":{\"Filters\":[{\"Pattern\":\"no\"}]}}", TUMBLE_EPATTERN,
         "Invalid filter pattern definition."},
        {"{\"FilterCriteria\":{\"Filter\":[]}}", TUMBLE_EUSAGE, "did you mean 'Filters'?"},
        {"{\"FilterCriteria\":{\"Filters\":[{\"Patern\":\"{}\"}]}}", TUMBLE_EUSAGE, "did you mean 'Pattern'?"},
        {"{\"MetricsConfig\":{\"Metrics\":[\"Events\"]}}", TUMBLE_EUSAGE, "there is only EventCount"},
        {"{\"BatchSze\":1}", TUMBLE_EUSAGE,
         "mapping (byte 2): unknown key 'BatchSze' in a mapping of a Kinesis stream; "
         "did you mean 'BatchSize'?"},
        {"{\"BatchSize\":1,\"BatchSize\":2}", TUMBLE_EUSAGE, "BatchSize (byte 16): given twice"},
        {"{\"Queues\":[\"q\"]}", TUMBLE_EUSAGE, "a mapping of a Kinesis stream does not take it"},
        {"{\"EventSourceArn\":\"arn:aws:sqs:us-east-1:1:q\"}", TUMBLE_EUSAGE, "not the ARN of a Kinesis stream"},
        {"[]", TUMBLE_EJSON, ""},
        {"{\"BatchSize\":1", TUMBLE_EJSON, ""},
        {"", TUMBLE_EJSON, ""},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct tumble_mapping_parameters parameters = fresh();
        enum tumble_code code = tumble_mapping_parameters_read(&parameters, tumble_bytes_of(refusals[i].json), &error);
        if (code != refusals[i].code || !strstr(error.text, refusals[i].text)) {
            fail_msg("%s: %s: %s", refusals[i].json, tumble_code_name(code), error.text);
        }
        tumble_mapping_parameters_clean_up(&parameters);
    }
}

static void point_22_windows_of_zero_and_one_second_are_admitted_901_is_not(void **state) {
    (void)state;
    struct tumble_mapping_parameters parameters = fresh();
    static const char *const values[] = {"0", "1", "900"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tumble_mapping_parameters_set(&parameters, "tumbling-window-in-seconds", values[i], &error),
                         TUMBLE_OK);
    }
    assert_int_equal(tumble_mapping_parameters_set(&parameters, "tumbling-window-in-seconds", "901", &error),
                     TUMBLE_EUSAGE);
    assert_string_equal(error.text,
                        "--tumbling-window-in-seconds: 1 validation error detected: Value '901' at "
                        "'tumblingWindowInSeconds' failed to satisfy constraint: Member must have value less than or "
                        "equal to 900");
}

static void wrong_flags_are_refused(void **state) {
    (void)state;
    static const char *const refusals[][3] = {
        {"batch-size", "many", "--batch-size: a whole number, please, not 'many'"},
        {"batch-size", "10 ", NULL},
        {"batch-size", "1 2", "--batch-size: a whole number"},
        {"batch-size", "", "--batch-size: a whole number"},
        {"batch-size", NULL, "--batch-size: a value is missing"},
        {"batch-size", "10001", "--batch-size: 1 validation error detected: Value '10001' at 'batchSize'"},
        {"enabled", "maybe", "--enabled: true or false"},
        {"function-response-types", "Report", "there is only ReportBatchItemFailures"},
        {"metrics-config", "EventCount", "there is only Metrics=EventCount"},
        {"destination-config", "file:x", "--destination-config: "},
        {"destination-config", "{\"OnFailure\":{\"Destination\":\"x\"}}", "is no destination"},
        {"starting-position", "latest", "Value 'latest' at 'startingPosition'"},
        {"starting-position-timestamp", "x", "--starting-position-timestamp: "},
        {"uuid", NULL, "a value is missing"},
        {"batchsize", "1", "--batchsize is not a parameter of a mapping"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct tumble_mapping_parameters parameters = fresh();
        enum tumble_code code = tumble_mapping_parameters_set(&parameters, refusals[i][0], refusals[i][1], &error);
        if ((code == TUMBLE_OK) != !refusals[i][2] || (refusals[i][2] && !strstr(error.text, refusals[i][2]))) {
            fail_msg("%s %s: %s", refusals[i][0], refusals[i][1] ? refusals[i][1] : "", error.text);
        }
    }
    assert_false(tumble_mapping_parameters_is_boolean("nothing"));
}

static void point_21_what_aws_refuses_together_is_refused(void **state) {
    (void)state;
    struct tumble_mapping_parameters parameters = fresh();
    assert_int_equal(tumble_mapping_parameters_check(&parameters, INT64_MAX, &error), TUMBLE_EUSAGE);
    assert_string_equal(error.text, "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
                                    "constraint: Member must not be null.");
    parameters.starting_position = TUMBLE_TRIM_HORIZON;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, INT64_MAX, &error), TUMBLE_OK);
    parameters.starting_position_timestamp_ms = 5000;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, INT64_MAX, &error), TUMBLE_EUSAGE);
    assert_string_equal(error.text, "Timestamp only valid with StartingPosition AT_TIMESTAMP");
    parameters.starting_position = TUMBLE_AT_TIMESTAMP;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_OK);
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 4999, &error), TUMBLE_EUSAGE);
    parameters.starting_position_timestamp_ms = -1;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_EUSAGE);
    parameters.starting_position = TUMBLE_LATEST;
    parameters.parallelization_factor = 2;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_OK);
    parameters.tumbling_window_in_seconds = 1;
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_EUSAGE);
    assert_string_equal(error.text,
                        "Parallelization factor must be equal to 1 when tumbling window period is configured");
    parameters.parallelization_factor = 1;
    assert_int_equal(tumble_mapping_parameters_set(&parameters, "filter-criteria", "{\"Filters\":[]}", &error),
                     TUMBLE_OK);
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_OK);
    assert_int_equal(tumble_mapping_parameters_set(&parameters, "filter-criteria",
                                                   "{\"Filters\":[{\"Pattern\":\"{\\\"data\\\":{\\\"a\\\":[1]}}\"}]}",
                                                   &error),
                     TUMBLE_OK);
    assert_int_equal(tumble_mapping_parameters_check(&parameters, 5000, &error), TUMBLE_EUSAGE);
    tumble_mapping_parameters_clean_up(&parameters);
}

static void there_are_at_most_ten_filters(void **state) {
    (void)state;
    for (int count = 10; count <= 11; count++) {
        struct tumble_mapping_parameters parameters = fresh();
        char json[1024];
        size_t length = (size_t)snprintf(json, sizeof json, "{\"Filters\":[");
        for (int i = 0; i < count; i++) {
            length += (size_t)snprintf(json + length, sizeof json - length,
                                       "%s{\"Pattern\":\"{\\\"data\\\":{\\\"a\\\":[%d]}}\"}", i ? "," : "", i);
        }
        snprintf(json + length, sizeof json - length, "]}");
        assert_int_equal(tumble_mapping_parameters_set(&parameters, "filter-criteria", json, &error),
                         count == 10 ? TUMBLE_OK : TUMBLE_EUSAGE);
        tumble_mapping_parameters_clean_up(&parameters);
    }
}

static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    static const char json[] = "{\"FilterCriteria\":{\"Filters\":[{\"Pattern\":\"{\\\"data\\\":{\\\"a\\\":[1]}}\"}]},"
                               "\"DestinationConfig\":{\"OnFailure\":{\"Destination\":\"file:x\"}}}";
    for (size_t fail_at = 1;; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tumble_mapping_parameters parameters;
        tumble_mapping_parameters_init(&parameters, counting_alloc_of(&count));
        enum tumble_code code = tumble_mapping_parameters_read(&parameters, tumble_bytes_of(json), &error);
        tumble_mapping_parameters_clean_up(&parameters);
        assert_int_equal(count.live, 0);
        if (!count.failed) {
            assert_int_equal(code, TUMBLE_OK);
            break;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_that_aws_prints),
        cmocka_unit_test(everything_can_be_read_from_json),
        cmocka_unit_test(every_parameter_has_a_flag),
        cmocka_unit_test(wrong_json_is_refused_by_name_and_place),
        cmocka_unit_test(point_22_windows_of_zero_and_one_second_are_admitted_901_is_not),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(point_21_what_aws_refuses_together_is_refused),
        cmocka_unit_test(there_are_at_most_ten_filters),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
