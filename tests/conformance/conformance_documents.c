#include "mapping_fixture.h"

/* What an on-failure destination gets, byte for byte, and what events look like. */

static enum tumble_answer_kind fail_all(struct world *world, const struct tumble_function_request *request,
                                        struct log *answer) {
    (void)world;
    (void)request;
    (void)answer;
    return TUMBLE_ANSWER_ERROR;
}

static enum tumble_answer_kind fail_finals(struct world *world, const struct tumble_function_request *request,
                                           struct log *answer) {
    if (request->is_final) {
        return TUMBLE_ANSWER_ERROR;
    }
    log_add(answer, "%s", "{\"state\":{\"count\":2}}");
    (void)world;
    return TUMBLE_ANSWER_RESPONSE;
}

static struct world *documented(world_handler handler) {
    struct world *world = world_new(handler);
    world->parameters.maximum_retry_attempts = 0;
    snprintf(world->parameters.function_arn, sizeof world->parameters.function_arn, "%s",
             "arn:aws:lambda:us-east-1:123456789012:function:f");
    snprintf(world->parameters.uuid, sizeof world->parameters.uuid, "%s", "87654321-abcd-4000-8000-000000000000");
    world->options.start_ms = INT64_C(1789654392081);
    return world;
}

#define CONTEXT                                                                                                        \
    "{\"requestContext\":{\"requestId\":\"%s\",\"functionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:f\","  \
    "\"condition\":\"RetryAttemptsExhausted\",\"approximateInvokeCount\":1},\"responseContext\":{\"statusCode\":200,"  \
    "\"executedVersion\":\"$LATEST\",\"functionError\":\"Unhandled\"},\"version\":\"1.0\""

static void the_document_of_a_batch_has_the_shape_of_aws(void **state) {
    (void)state;
    struct world *world = documented(fail_all);
    put(world, 1, INT64_C(1789654391000));
    put(world, 2, INT64_C(1789654391050));
    run(world);
    char expected[2048];
    snprintf(expected, sizeof expected,
             CONTEXT ",\"timestamp\":\"2026-09-17T14:13:12.081Z\",\"KinesisBatchInfo\":{\"shardId\":"
                     "\"shardId-000000000000\",\"startSequenceNumber\":\"%s\",\"endSequenceNumber\":\"%s\","
                     "\"approximateArrivalOfFirstRecord\":\"2026-09-17T14:13:11.000Z\","
                     "\"approximateArrivalOfLastRecord\":\"2026-09-17T14:13:11.050Z\",\"batchSize\":2,"
                     "\"streamArn\":\"" STREAM_ARN "\"}}\n",
             world->ids_seen[0], sequence_of(1), sequence_of(2));
    assert_string_equal(world->documents.text, expected);
    assert_string_equal(world->keys.text, "-\n");
    assert_int_equal(strlen(world->ids_seen[0]), 36);
    world_free(world);
}

/* captured: `final_failure` */
static void point_20_the_document_of_a_final_names_its_window_and_no_records(void **state) {
    (void)state;
    struct world *world = documented(fail_finals);
    world->parameters.tumbling_window_in_seconds = 10;
    world->shards[0].is_closed = 1;
    snprintf(world->parameters.on_failure, sizeof world->parameters.on_failure, "arn:aws:s3:::bucket");
    put(world, 1, INT64_C(1789654271000));
    run(world);
    char expected[4096];
    snprintf(expected, sizeof expected,
             CONTEXT ",\"payload\":\"{\\\"Records\\\":[],\\\"shardId\\\":\\\"shardId-000000000000\\\","
                     "\\\"eventSourceARN\\\":\\\"" STREAM_ARN "\\\",\\\"window\\\":{\\\"start\\\":"
                     "\\\"2026-09-17T14:11:10Z\\\",\\\"end\\\":\\\"2026-09-17T14:11:20Z\\\"},\\\"state\\\":"
                     "{\\\"count\\\":2},\\\"isFinalInvokeForWindow\\\":true,\\\"isWindowTerminatedEarly\\\":false}\","
                     "\"timestamp\":\"2026-09-17T14:13:12.081Z\","
                     "\"KinesisBatchInfo\":{\"shardId\":\"shardId-000000000000\",\"streamArn\":\"" STREAM_ARN "\"},"
                     "\"timeWindowInfo\":{\"window\":{\"start\":\"2026-09-17T14:11:10Z\",\"end\":"
                     "\"2026-09-17T14:11:20Z\"},\"isFinalInvokeForWindow\":true,\"isWindowTerminatedEarly\":false}}\n",
             world->ids_seen[1]);
    assert_string_equal(world->documents.text, expected);
    static const char key[] = "aws/lambda/87654321-abcd-4000-8000-000000000000/shardId-000000000000/2026/09/17/"
                              "2026-09-17T14.13.12-";
    assert_memory_equal(world->keys.text, key, sizeof key - 1);
    assert_int_equal(strlen(world->keys.text), sizeof key - 1 + 36 + 1);
    world_free(world);
}

static void documents_can_carry_the_records(void **state) {
    (void)state;
    struct world *world = documented(fail_all);
    world->options.failures_with_records = 1;
    world->parameters.tumbling_window_in_seconds = 10;
    put(world, 1, INT64_C(1789654391500));
    run(world);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false},\"records\":[{\"kinesis\":"
             "{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"pk\",\"sequenceNumber\":\"%s\",\"data\":\"MQ==\","
             "\"approximateArrivalTimestamp\":1.7896543915E9},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\","
             "\"eventID\":\"shardId-000000000000:%s\",",
             sequence_of(1), sequence_of(1));
    assert_non_null(strstr(world->documents.text, expected));
    assert_non_null(strstr(world->documents.text, "\"eventSourceARN\":\"" STREAM_ARN "\"}]}\n"));
    world_free(world);
}

static void point_39_a_consumer_s_arn_stands_in_documents_and_events(void **state) {
    (void)state;
    struct world *world = documented(fail_all);
    snprintf(world->parameters.event_source_arn, sizeof world->parameters.event_source_arn,
             STREAM_ARN "/consumer/fan:1700000000");
    world->options.failures_with_records = 1;
    put(world, 1, INT64_C(1789654391500));
    run(world);
    assert_non_null(strstr(world->documents.text, "\"streamArn\":\"" STREAM_ARN "/consumer/fan:1700000000\"}"));
    assert_non_null(strstr(world->documents.text, "\"eventSourceARN\":\"" STREAM_ARN "/consumer/fan:1700000000\"}"));
    assert_non_null(strstr(world->documents.text, "\"awsRegion\":\"us-east-1\""));
    world_free(world);
}

static void the_same_seed_gives_the_same_ids_and_another_others(void **state) {
    (void)state;
    char first[2][TUMBLE_REQUEST_ID_TEXT];
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct world *world = documented(fail_all);
        world->options.seed = seed / 2;
        put(world, 1, INT64_C(1789654391500));
        run(world);
        if (seed < 2) {
            memcpy(first[seed], world->ids_seen[0], TUMBLE_REQUEST_ID_TEXT);
        } else {
            assert_string_not_equal(first[0], world->ids_seen[0]);
        }
        world_free(world);
    }
    assert_string_equal(first[0], first[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_of_a_batch_has_the_shape_of_aws),
        cmocka_unit_test(point_20_the_document_of_a_final_names_its_window_and_no_records),
        cmocka_unit_test(documents_can_carry_the_records),
        cmocka_unit_test(point_39_a_consumer_s_arn_stands_in_documents_and_events),
        cmocka_unit_test(the_same_seed_gives_the_same_ids_and_another_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
