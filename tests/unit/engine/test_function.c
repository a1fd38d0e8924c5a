#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tumble/function.h>

static const char spec[] = "{\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"total\",\"function\":"
                           "\"sum\",\"field\":\"a\"}],\"bad_records\":\"divert\"}";

struct seen {
    char rows[4096];
    char failures[4096];
    char keys[4][33];
    size_t count;
    int refuse;
};

static int take_row(void *ctx, const char *json, size_t length, const char *key) {
    struct seen *seen = ctx;
    size_t used = strlen(seen->rows);
    snprintf(seen->rows + used, sizeof seen->rows - used, "%.*s\n", (int)length, json);
    if (seen->count < 4) {
        snprintf(seen->keys[seen->count], sizeof seen->keys[0], "%s", key);
    }
    seen->count++;
    return seen->refuse;
}

static int take_failure(void *ctx, const char *json, size_t length, const char *key) {
    struct seen *seen = ctx;
    assert_int_equal(strlen(key), 32);
    snprintf(seen->failures, sizeof seen->failures, "%.*s", (int)length, json);
    return 0;
}

static int64_t no_time(void *ctx) {
    (void)ctx;
    return 0;
}

static struct tumble_function *open_with(struct seen *seen, tumble_function_remaining_fn *remaining) {
    struct tumble_function *function;
    char message[TUMBLE_ERROR_TEXT] = "";
    memset(seen, 0, sizeof *seen);
    int code = tumble_function_open(spec, strlen(spec), 0, 0, take_row, take_failure, remaining, seen, &function,
                                    message, sizeof message);
    if (code) {
        fail_msg("%s", message);
    }
    return function;
}

/* An event of one record, or a final without. */
static const char *event_of(const char *base64, const char *state, int final) {
    static char text[8192];
    char record[1024] = "";
    if (base64) {
        snprintf(record, sizeof record,
                 "{\"kinesis\":{\"partitionKey\":\"1\",\"sequenceNumber\":\"49\",\"data\":\"%s\","
                 "\"approximateArrivalTimestamp\":1607497475.0},\"eventSource\":\"aws:kinesis\","
                 "\"eventID\":\"shardId-000000000006:49\",\"eventSourceARN\":\"arn:aws:kinesis:us-east-1:1:stream/s\"}",
                 base64);
    }
    snprintf(
        text, sizeof text,
        "{\"Records\":[%s],\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"},"
        "\"state\":%s,\"shardId\":\"shardId-000000000006\",\"eventSourceARN\":"
        "\"arn:aws:kinesis:us-east-1:1:stream/s\",\"isFinalInvokeForWindow\":%s,\"isWindowTerminatedEarly\":false}",
        record, state, final ? "true" : "false");
    return text;
}

static int invoke(struct tumble_function *function, const char *event, char out[4096]) {
    const char *answer;
    size_t length;
    int code = tumble_function_invoke(function, event, strlen(event), &answer, &length);
    snprintf(out, 4096, "%.*s", (int)length, answer);
    return code;
}

/* The value of "state" of a response. */
static const char *state_of(const char *response, char out[4096]) {
    const char *begin = strstr(response, "\"state\":");
    assert_non_null(begin);
    const char *end = strchr(begin, '}');
    assert_non_null(end);
    snprintf(out, 4096, "%.*s", (int)(end + 1 - begin - 8), begin + 8);
    return out;
}

static void a_final_hands_its_rows_to_the_callback(void **unused) {
    (void)unused;
    static struct seen seen;
    char answer[4096], state[4096];
    struct tumble_function *function = open_with(&seen, NULL);
    assert_int_equal(invoke(function, event_of("eyJhIjo3fQ==" /* {"a":7} */, "{}", 0), answer), 0);
    assert_string_equal(tumble_function_error_type(function), "");
    assert_int_equal(seen.count, 0);
    assert_int_equal(invoke(function, event_of(NULL, state_of(answer, state), 1), answer), 0);
    assert_int_equal(seen.count, 1);
    assert_non_null(strstr(seen.rows, "\"total\":7"));
    assert_int_equal(strlen(seen.keys[0]), 32);
    tumble_function_close(function);
}

static void a_row_that_is_not_taken_fails_the_invocation_and_comes_again_with_its_key(void **unused) {
    (void)unused;
    static struct seen seen;
    char answer[4096], state[4096];
    struct tumble_function *function = open_with(&seen, NULL);
    assert_int_equal(invoke(function, event_of("eyJhIjo3fQ==", "{}", 0), answer), 0);
    state_of(answer, state);
    seen.refuse = 1;
    assert_int_not_equal(invoke(function, event_of(NULL, state, 1), answer), 0);
    assert_string_equal(tumble_function_error_type(function), "Tumble.OutputFailed");
    assert_non_null(strstr(answer, "\"errorType\":\"Tumble.OutputFailed\""));
    assert_true(strlen(tumble_function_error_text(function)) > 0);
    seen.refuse = 0;
    size_t before = seen.count;
    assert_int_equal(invoke(function, event_of(NULL, state, 1), answer), 0);
    assert_int_equal(seen.count, before + 1);
    assert_string_equal(seen.keys[0], seen.keys[before]);
    tumble_function_close(function);
}

static void a_diverted_record_goes_to_the_other_callback(void **unused) {
    (void)unused;
    static struct seen seen;
    char answer[4096];
    struct tumble_function *function = open_with(&seen, NULL);
    assert_int_equal(invoke(function, event_of("eyJhIjoieCJ9" /* {"a":"x"} */, "{}", 0), answer), 0);
    assert_non_null(strstr(seen.failures, "49"));
    tumble_function_close(function);
}

static void an_event_that_is_none_gives_the_document_and_the_next_one_works(void **unused) {
    (void)unused;
    static struct seen seen;
    char answer[4096];
    struct tumble_function *function = open_with(&seen, NULL);
    assert_int_not_equal(invoke(function, "{", answer), 0);
    assert_string_equal(tumble_function_error_type(function), "Tumble.InvalidEvent");
    assert_int_equal(invoke(function, event_of("eyJhIjo3fQ==", "{}", 0), answer), 0);
    assert_string_equal(tumble_function_error_type(function), "");
    assert_string_equal(tumble_function_error_text(function), "");
    tumble_function_close(function);
}

static void a_final_without_time_fails_and_loses_nothing(void **unused) {
    (void)unused;
    static struct seen seen;
    char answer[4096], state[4096];
    struct tumble_function *function = open_with(&seen, NULL);
    assert_int_equal(invoke(function, event_of("eyJhIjo3fQ==", "{}", 0), answer), 0);
    state_of(answer, state);
    tumble_function_close(function);
    function = open_with(&seen, no_time);
    assert_int_not_equal(invoke(function, event_of(NULL, state, 1), answer), 0);
    assert_int_equal(seen.count, 0);
    tumble_function_close(function);
    function = open_with(&seen, NULL);
    assert_int_equal(invoke(function, event_of(NULL, state, 1), answer), 0);
    assert_int_equal(seen.count, 1);
    tumble_function_close(function);
}

static void what_cannot_be_opened_says_why(void **unused) {
    (void)unused;
    static struct seen seen;
    struct tumble_function *function = (void *)&seen; /* anything but NULL */
    char message[64] = "";
    assert_int_equal(tumble_function_open("{\"agregates\":[]}", 16, 0, 0, take_row, NULL, NULL, NULL, &function,
                                          message, sizeof message),
                     TUMBLE_ESPEC);
    assert_non_null(strstr(message, "agregates"));
    assert_null(function);
    assert_int_equal(
        tumble_function_open(spec, strlen(spec), 0, 0, NULL, NULL, NULL, NULL, &function, message, sizeof message),
        TUMBLE_EINVAL);
    assert_int_equal(tumble_function_open("", 0, 0, 0, NULL, NULL, NULL, NULL, &function, NULL, 0), TUMBLE_EINVAL);
    tumble_function_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_final_hands_its_rows_to_the_callback),
        cmocka_unit_test(a_row_that_is_not_taken_fails_the_invocation_and_comes_again_with_its_key),
        cmocka_unit_test(a_diverted_record_goes_to_the_other_callback),
        cmocka_unit_test(an_event_that_is_none_gives_the_document_and_the_next_one_works),
        cmocka_unit_test(a_final_without_time_fails_and_loses_nothing),
        cmocka_unit_test(what_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
