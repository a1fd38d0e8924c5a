#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "emulator/emulator.h"

#define ARN "arn:aws:kinesis:ap-southeast-1:123456789012:stream/lambda-stream"
#define RECORD                                                                                                         \
    "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"1\",\"sequenceNumber\":"                        \
    "\"49590338271490256608559692538361571095921575989136588898\",\"data\":\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\","      \
    "\"approximateArrivalTimestamp\":1.691068717172E9},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\","      \
    "\"eventID\":\"shardId-000000000006:49590338271490256608559692538361571095921575989136588898\","                   \
    "\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/"                     \
    "lambda-kinesis-role\",\"awsRegion\":\"ap-southeast-1\",\"eventSourceARN\":\"" ARN "\"}"

static const struct tumble_batch_limits limits = {100, TUMBLE_EVENT_LIMIT_BYTES, sizeof ARN - 1};

static void event_bytes_are_those_of_the_json_that_lambda_writes(void **state) {
    (void)state;
    static const char event[] =
        "{\"Records\":[" RECORD "," RECORD "],\"shardId\":\"shardId-000000000006\",\"eventSourceARN\":\"" ARN "\","
        "\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"},\"state\":"
        ",\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}";
    size_t record = tumble_event_record_bytes(&limits, strlen("Hello, this is a test."), 1, 56, 20);
    assert_int_equal(record, strlen(RECORD ","));
    assert_int_equal(tumble_event_envelope_bytes(&limits) + 2 * record, strlen(event));
}

static void batches_are_cut_at_the_batch_size(void **state) {
    (void)state;
    struct tumble_batcher batcher = {0, 0};
    struct tumble_batch_limits small = limits;
    small.batch_size = 3;
    static const int cuts[] = {0, 0, 0, 1, 0, 0, 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(tumble_batcher_add(&batcher, &small, 500), cuts[i]);
    }
    assert_int_equal(batcher.records, 1);
    assert_int_equal(batcher.bytes, 500);
    tumble_batcher_reset(&batcher);
    assert_int_equal(tumble_batcher_add(&batcher, &small, 500), 0);
}

static void a_batch_of_one_is_cut_before_every_record_but_the_first(void **state) {
    (void)state;
    struct tumble_batcher batcher = {0, 0};
    struct tumble_batch_limits one = limits;
    one.batch_size = 1;
    assert_int_equal(tumble_batcher_add(&batcher, &one, 10), 0);
    assert_int_equal(tumble_batcher_add(&batcher, &one, 10), 1);
    assert_int_equal(tumble_batcher_add(&batcher, &one, 10), 1);
}

/* lambda-semantics point 38: the limit is on the event, base64 included, to the byte. */
static void batches_are_cut_before_the_event_would_pass_its_limit(void **state) {
    (void)state;
    struct tumble_batcher batcher = {0, 0};
    struct tumble_batch_limits tight = limits;
    tight.event_limit_bytes = tumble_event_envelope_bytes(&limits) + 1000;
    assert_int_equal(tumble_batcher_add(&batcher, &tight, 600), 0);
    assert_int_equal(tumble_batcher_add(&batcher, &tight, 400), 0);
    assert_int_equal(tumble_batcher_add(&batcher, &tight, 1), 1);
    assert_int_equal(tumble_batcher_add(&batcher, &tight, 1000), 1);
}

static void four_thirds_of_the_data_count(void **state) {
    (void)state;
    struct tumble_batcher batcher = {0, 0};
    struct tumble_batch_limits all = limits;
    all.batch_size = 10000;
    size_t record = tumble_event_record_bytes(&all, 1048576, 1, 56, 20); /* 1 MiB: four fit, not six */
    uint32_t fit = 0;
    while (!tumble_batcher_add(&batcher, &all, record)) {
        fit++;
    }
    assert_int_equal(fit, 4);
}

/* point 37: Lambda never delivers it; a replay does, by itself. */
static void a_record_beyond_the_limit_forms_a_batch_of_its_own(void **state) {
    (void)state;
    struct tumble_batcher batcher = {0, 0};
    assert_int_equal(tumble_batcher_add(&batcher, &limits, TUMBLE_EVENT_LIMIT_BYTES + 1), 0);
    assert_int_equal(tumble_batcher_add(&batcher, &limits, 10), 1);
    assert_int_equal(tumble_batcher_add(&batcher, &limits, TUMBLE_EVENT_LIMIT_BYTES + 1), 1);
    struct tumble_batch_limits none = limits;
    none.event_limit_bytes = 0;
    tumble_batcher_reset(&batcher);
    assert_int_equal(tumble_batcher_add(&batcher, &none, 10), 0);
    assert_int_equal(tumble_batcher_add(&batcher, &none, 10), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_bytes_are_those_of_the_json_that_lambda_writes),
        cmocka_unit_test(batches_are_cut_at_the_batch_size),
        cmocka_unit_test(a_batch_of_one_is_cut_before_every_record_but_the_first),
        cmocka_unit_test(batches_are_cut_before_the_event_would_pass_its_limit),
        cmocka_unit_test(four_thirds_of_the_data_count),
        cmocka_unit_test(a_record_beyond_the_limit_forms_a_batch_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
