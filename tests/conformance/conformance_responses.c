#include "mapping_fixture.h"

/* The grammar of a response, as recorded on AWS (points 26 to 28). */

enum { SUCCESS, FAILURE };

static const char *response_now;

static enum tumble_answer_kind answer_so(struct world *world, const struct tumble_function_request *request,
                                         struct log *answer) {
    (void)request;
    log_add(answer, "%s", world->invocations == 1 ? response_now : "{}");
    return TUMBLE_ANSWER_RESPONSE;
}

static struct world *answered(const char *response, int reports) {
    struct world *world = world_new(answer_so);
    response_now = response;
    world->parameters.report_batch_item_failures = reports;
    world->parameters.maximum_retry_attempts = 0;
    put_range(world, 9, 12, 1000000);
    run(world);
    return world;
}

#define ID(text) "{\"batchItemFailures\":[{\"itemIdentifier\":" text "}]}"
#define SEQUENCE "49590338271490256608559692538361571095921575989136"

static void point_26_what_says_nothing_is_success(void **state) {
    (void)state;
    static const char *const responses[] = {"{\"batchItemFailures\":[]}",
                                            "{\"batchItemFailures\":null}",
                                            "{}",
                                            "null",
                                            "[]",
                                            "\"\"",
                                            "",
                                            " { } ",
                                            "{\"other\":1}"};
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        struct world *world = answered(responses[i], 1);
        assert_deliveries(world, "[9,10,11,12]\n");
        assert_int_equal(world->metrics.succeeded_records, 4);
        assert_int_equal(world->metrics.discarded_records, 0);
        world_free(world);
    }
}

static void point_26_what_names_no_record_fails_the_batch(void **state) {
    (void)state;
    static const char *const responses[] = {ID("\"\""),
                                            ID("null"),
                                            ID("123"),
                                            ID("{}"),
                                            ID("\"12345\""),
                                            ID("\"" SEQUENCE "000013\""),
                                            ID("\"" SEQUENCE "\""),
                                            ID("\"x\""),
                                            "{\"batchItemFailures\":[{\"foo\":123}]}",
                                            "{\"batchItemFailures\":[{\"foo\":null}]}",
                                            "{\"batchItemFailures\":[{}]}",
                                            "{\"batchItemFailures\":[null]}",
                                            "{\"batchItemFailures\":[\"" SEQUENCE "000010\"]}",
                                            "{\"batchItemFailures\":{}}",
                                            "{\"batchItemFailures\":\"\"}",
                                            "{\"batchItemFailures\":[{\"itemIdentifier\":\"" SEQUENCE
                                            "000010\"},{\"itemIdentifier\":\"\"}]}",
                                            "{\"batchItemFailures\":[",
                                            "7",
                                            "[1]"};
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        struct world *world = answered(responses[i], 1);
        assert_deliveries(world, "[9,10,11,12]\n");
        assert_int_equal(world->metrics.succeeded_records, 0);
        assert_int_equal(world->metrics.discarded_records, 4);
        assert_int_equal(world->metrics.errors, 0);
        assert_int_equal(world->metrics.failed_invoke_event_count, 4);
        /* point 34: the invocation itself was fine */
        assert_non_null(strstr(world->documents.text, "\"responseContext\":{\"statusCode\":200,\"executedVersion\":"
                                                      "\"$LATEST\",\"functionError\":null}"));
        world_free(world);
    }
}

static void point_27_failures_are_not_looked_at_unless_the_mapping_lists_them(void **state) {
    (void)state;
    static const char *const responses[] = {ID("\"" SEQUENCE "000010\""), ID("\"\""), "nonsense", "7", ""};
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        struct world *world = answered(responses[i], 0);
        assert_deliveries(world, "[9,10,11,12]\n");
        assert_int_equal(world->metrics.succeeded_records, 4);
        world_free(world);
    }
}

static void point_28_of_several_the_lowest_decides(void **state) {
    (void)state;
    struct world *world = answered("{\"batchItemFailures\":[{\"itemIdentifier\":\"" SEQUENCE
                                   "000012\"},{\"itemIdentifier\":\"" SEQUENCE "000010\"}]}",
                                   1);
    assert_deliveries(world, "[9,10,11,12]\n[10,11,12]\n");
    assert_int_equal(world->metrics.failed_invoke_event_count, 3);
    assert_int_equal(world->metrics.succeeded_records, 4);
    world_free(world);
}

static void point_25_the_lowest_is_so_as_a_number(void **state) {
    (void)state;
    struct world *world = world_new(answer_so);
    world->parameters.report_batch_item_failures = 1;
    put(world, 1, 1000000)->sequence = tumble_bytes_of("7");
    put(world, 2, 1000000)->sequence = tumble_bytes_of("98");
    put(world, 3, 1000000)->sequence = tumble_bytes_of("123");
    response_now = "{\"batchItemFailures\":[{\"itemIdentifier\":\"123\"},{\"itemIdentifier\":\"98\"}]}";
    run(world);
    assert_deliveries(world, "[1,2,3]\n[2,3]\n");
    world_free(world);
}

static void point_40_a_number_shared_by_sub_records_stands_for_the_first_of_them(void **state) {
    (void)state;
    struct world *world = world_new(answer_so);
    world->parameters.report_batch_item_failures = 1;
    put(world, 1, 1000000)->sequence = tumble_bytes_of("7");
    for (int i = 2; i <= 4; i++) {
        put(world, i, 1000000)->sequence = tumble_bytes_of("98");
    }
    put(world, 5, 1000000)->sequence = tumble_bytes_of("99");
    response_now = "{\"batchItemFailures\":[{\"itemIdentifier\":\"98\"}]}";
    run(world);
    assert_deliveries(world, "[1,2,3,4,5]\n[2,3,4,5]\n");
    world_free(world);
}

static void escapes_and_repeated_keys_are_json(void **state) {
    (void)state;
    struct world *world = answered("{\"batchItemFailures\":[],\"batch\\u0049temFailures\":[{\"itemIdentifi\\u0065r\":"
                                   "\"" SEQUENCE "0000\\u0031\\u0030\"}]}",
                                   1);
    assert_deliveries(world, "[9,10,11,12]\n[10,11,12]\n");
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_25_the_lowest_is_so_as_a_number),
        cmocka_unit_test(point_26_what_says_nothing_is_success),
        cmocka_unit_test(point_26_what_names_no_record_fails_the_batch),
        cmocka_unit_test(point_27_failures_are_not_looked_at_unless_the_mapping_lists_them),
        cmocka_unit_test(point_28_of_several_the_lowest_decides),
        cmocka_unit_test(point_40_a_number_shared_by_sub_records_stands_for_the_first_of_them),
        cmocka_unit_test(escapes_and_repeated_keys_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
