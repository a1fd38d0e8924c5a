#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counting_alloc.h"
#include "emulator/event_json.h"

#define ARN      "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
#define SEQUENCE "49590338271490256608559692538361571095921575989136588898"

static struct tumble_stream_record hello(void) {
    struct tumble_stream_record record = {tumble_bytes_of("Hello, this is a test."), tumble_bytes_of("1"),
                                          tumble_bytes_of(SEQUENCE), INT64_C(1545084650987)};
    return record;
}

static struct tumble_bytes write_event(struct tumble_event_writer *writer,
                                       const struct tumble_function_request *request) {
    struct tumble_bytes event;
    struct tumble_error error;
    assert_int_equal(tumble_event_write(writer, request, &event, &error), TUMBLE_OK);
    return event;
}

static struct tumble_event_writer *writer_of(const struct tumble_event_form *form) {
    struct tumble_event_writer *writer;
    struct tumble_error error;
    assert_int_equal(tumble_event_writer_new(form, (struct tumble_alloc){0}, &writer, &error), TUMBLE_OK);
    return writer;
}

static void assert_event(struct tumble_bytes event, const char *expected) {
    char *text = malloc(event.length + 1);
    memcpy(text, event.data, event.length);
    text[event.length] = '\0';
    assert_string_equal(text, expected);
    free(text);
}

#define RECORD(arrival)                                                                                                \
    "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"1\",\"sequenceNumber\":\"" SEQUENCE             \
    "\",\"data\":\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\",\"approximateArrivalTimestamp\":" arrival                        \
    "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000006:" SEQUENCE          \
    "\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/lambda-role\","    \
    "\"awsRegion\":\"us-east-2\",\"eventSourceARN\":\"" ARN "\"}"

static void an_event_is_what_aws_documents_key_for_key(void **state) {
    (void)state;
    struct tumble_event_form form = {TUMBLE_ARRIVAL_PLAIN, "arn:aws:iam::123456789012:role/lambda-role"};
    struct tumble_event_writer *writer = writer_of(&form);
    struct tumble_stream_record records[2] = {hello(), hello()};
    struct tumble_function_request request = {.shard_id = tumble_bytes_of("shardId-000000000006"),
                                              .event_source_arn = tumble_bytes_of(ARN),
                                              .records = records,
                                              .record_count = 1};
    assert_event(write_event(writer, &request), "{\"Records\":[" RECORD("1545084650.987") "]}");
    request.record_count = 2;
    assert_event(write_event(writer, &request),
                 "{\"Records\":[" RECORD("1545084650.987") "," RECORD("1545084650.987") "]}");
    tumble_event_writer_destroy(writer);
}

static void point_3_a_window_stands_behind_the_records_its_bounds_without_a_fraction(void **state) {
    (void)state;
    struct tumble_event_form form = {TUMBLE_ARRIVAL_JAVA, "arn:aws:iam::123456789012:role/lambda-role"};
    struct tumble_event_writer *writer = writer_of(&form);
    struct tumble_stream_record record = hello();
    struct tumble_function_request request = {.shard_id = tumble_bytes_of("shardId-000000000006"),
                                              .event_source_arn = tumble_bytes_of(ARN),
                                              .records = &record,
                                              .record_count = 1,
                                              .has_window = 1,
                                              .window_start_ms = INT64_C(1789654270000),
                                              .window_end_ms = INT64_C(1789654280000),
                                              .state = tumble_bytes_of("{\"count\": 2}")};
    assert_event(
        write_event(writer, &request),
        "{\"Records\":[" RECORD("1.545084650987E9") "],\"shardId\":\"shardId-000000000006\","
                                                    "\"eventSourceARN\":\"" ARN
                                                    "\",\"window\":{\"start\":\"2026-09-17T14:11:10Z\",\"end\":"
                                                    "\"2026-09-17T14:11:20Z\"},\"state\":{\"count\": 2},"
                                                    "\"isFinalInvokeForWindow\":false,"
                                                    "\"isWindowTerminatedEarly\":false}");
    request.record_count = 0;
    request.is_final = request.is_terminated_early = 1;
    assert_event(write_event(writer, &request),
                 "{\"Records\":[],\"shardId\":\"shardId-000000000006\",\"eventSourceARN\":\"" ARN
                 "\",\"window\":{\"start\":\"2026-09-17T14:11:10Z\",\"end\":\"2026-09-17T14:11:20Z\"},"
                 "\"state\":{\"count\": 2},\"isFinalInvokeForWindow\":true,\"isWindowTerminatedEarly\":true}");
    tumble_event_writer_destroy(writer);
}

/* the numbers recorded on AWS */
static void point_24_arrivals_are_written_as_java_writes_doubles(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *java, *plain;
    } cases[] = {{INT64_C(1691068717170), "1.69106871717E9", "1691068717.170"},
                 {INT64_C(1691068717172), "1.691068717172E9", "1691068717.172"},
                 {INT64_C(1789651658000), "1.789651658E9", "1789651658.000"},
                 {INT64_C(1789651660000), "1.78965166E9", "1789651660.000"},
                 {INT64_C(1607497475000), "1.607497475E9", "1607497475.000"},
                 {INT64_C(2000000000000), "2.0E9", "2000000000.000"},
                 {INT64_C(10000000000), "1.0E7", "10000000.000"},
                 {INT64_C(9999999999), "9999999.999", "9999999.999"},
                 {INT64_C(9999999900), "9999999.9", "9999999.900"},
                 {INT64_C(1000), "1.0", "1.000"},
                 {INT64_C(1), "0.001", "0.001"},
                 {INT64_C(0), "0.0", "0.000"},
                 {INT64_C(-5), "0.0", "0.000"},
                 {INT64_C(253402300799999), "2.53402300799999E11", "253402300799.999"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TUMBLE_ARRIVAL_TEXT];
        assert_int_equal(tumble_arrival_text(TUMBLE_ARRIVAL_JAVA, cases[i].ms, text), strlen(cases[i].java));
        assert_string_equal(text, cases[i].java);
        tumble_arrival_text(TUMBLE_ARRIVAL_PLAIN, cases[i].ms, text);
        assert_string_equal(text, cases[i].plain);
    }
}

static void arrivals_read_back_as_the_same_millisecond(void **state) {
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        char text[TUMBLE_ARRIVAL_TEXT];
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t ms = (int64_t)((random >> 20) % UINT64_C(253402300800000));
        for (int form = 0; form < 2; form++) {
            tumble_arrival_text((enum tumble_arrival_form)form, ms, text);
            assert_true((int64_t)(strtod(text, NULL) * 1000.0 + 0.5) == ms);
        }
    }
}

static void partition_keys_are_escaped(void **state) {
    (void)state;
    struct tumble_event_writer *writer = writer_of(NULL);
    struct tumble_stream_record record = hello();
    record.partition_key = tumble_bytes_of("a\"b\\c\n\x01\xc3\xa9");
    struct tumble_function_request request = {.shard_id = tumble_bytes_of("s"),
                                              .event_source_arn = tumble_bytes_of(ARN),
                                              .records = &record,
                                              .record_count = 1};
    struct tumble_bytes event = write_event(writer, &request);
    static const char begin[] = "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":"
                                "\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\",\"sequenceNumber\":\"";
    assert_memory_equal(event.data, begin, sizeof begin - 1);
    /* sizes count the escapes; the arrival is the only slack */
    size_t size = tumble_event_record_size(&(struct tumble_event_form){0}, request.event_source_arn, 1, &record) +
                  tumble_event_envelope_size(request.event_source_arn, 1, 0) - 1;
    assert_int_equal(size - event.length, strlen("2.53402300799999E11") - strlen("1.545084650987E9"));
    tumble_event_writer_destroy(writer);
}

static void sizes_are_those_of_what_is_written(void **state) {
    (void)state;
    struct tumble_event_writer *writer = writer_of(NULL);
    struct tumble_stream_record records[3] = {hello(), hello(), hello()};
    struct tumble_function_request request = {.shard_id = tumble_bytes_of("shardId-000000000006"),
                                              .event_source_arn = tumble_bytes_of(ARN),
                                              .records = records,
                                              .record_count = 3,
                                              .has_window = 1,
                                              .state = tumble_bytes_of("{\"a\":1}")};
    size_t total =
        tumble_event_envelope_size(request.event_source_arn, request.shard_id.length, 1) + request.state.length - 1;
    for (int i = 0; i < 3; i++) {
        records[i].arrival_ms = INT64_C(253402300799999);
        records[i].data.length = (size_t)(20 + i);
        total += tumble_event_record_size(&(struct tumble_event_form){0}, request.event_source_arn,
                                          request.shard_id.length, &records[i]);
    }
    assert_int_equal(write_event(writer, &request).length, total);
    tumble_event_writer_destroy(writer);
}

static void the_region_comes_from_the_arn_or_is_made_up(void **state) {
    (void)state;
    static const char *const arns[][2] = {{"arn:aws-cn:kinesis:cn-north-1:1:stream/s", "\"awsRegion\":\"cn-north-1\""},
                                          {"nonsense", "\"awsRegion\":\"us-east-1\""},
                                          {"", "\"awsRegion\":\"us-east-1\""},
                                          {"a:b:c:d", "\"awsRegion\":\"d\""}};
    for (size_t i = 0; i < 4; i++) {
        struct tumble_event_writer *writer = writer_of(NULL);
        struct tumble_stream_record record = hello();
        struct tumble_function_request request = {.shard_id = tumble_bytes_of("s"),
                                                  .event_source_arn = tumble_bytes_of(arns[i][0]),
                                                  .records = &record,
                                                  .record_count = 1};
        struct tumble_bytes event = write_event(writer, &request);
        char text[2048];
        snprintf(text, sizeof text, "%.*s", (int)event.length, event.data);
        assert_non_null(strstr(text, arns[i][1]));
        tumble_event_writer_destroy(writer);
    }
}

static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tumble_event_writer *writer;
        struct tumble_error error;
        struct tumble_bytes event;
        struct tumble_stream_record record = hello();
        struct tumble_function_request request = {.shard_id = tumble_bytes_of("s"),
                                                  .event_source_arn = tumble_bytes_of(ARN),
                                                  .records = &record,
                                                  .record_count = 1};
        enum tumble_code code = tumble_event_writer_new(NULL, counting_alloc_of(&count), &writer, &error);
        if (code == TUMBLE_OK) {
            code = tumble_event_write(writer, &request, &event, &error);
        }
        tumble_event_writer_destroy(writer);
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
        cmocka_unit_test(an_event_is_what_aws_documents_key_for_key),
        cmocka_unit_test(point_3_a_window_stands_behind_the_records_its_bounds_without_a_fraction),
        cmocka_unit_test(point_24_arrivals_are_written_as_java_writes_doubles),
        cmocka_unit_test(arrivals_read_back_as_the_same_millisecond),
        cmocka_unit_test(partition_keys_are_escaped),
        cmocka_unit_test(sizes_are_those_of_what_is_written),
        cmocka_unit_test(the_region_comes_from_the_arn_or_is_made_up),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
