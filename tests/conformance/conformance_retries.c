#include "mapping_fixture.h"

/* Batches that fail: retries, bisect, partial answers, throttles, age. */

static enum tumble_answer_kind raise_poison(struct world *world, const struct tumble_function_request *request,
                                            struct log *answer) {
    return contains(request, world->poison) ? TUMBLE_ANSWER_ERROR : succeed(world, request, answer);
}

static enum tumble_answer_kind report_poison(struct world *world, const struct tumble_function_request *request,
                                             struct log *answer) {
    if (!contains(request, world->poison)) {
        return succeed(world, request, answer);
    }
    log_add(answer, "{\"state\":{},\"batchItemFailures\":[{\"itemIdentifier\":\"%s\"}]}", sequence_of(world->poison));
    return TUMBLE_ANSWER_RESPONSE;
}

static struct world *four_records(world_handler handler, int retries) {
    struct world *world = world_new(handler);
    world->parameters.maximum_retry_attempts = retries;
    world->poison = 2;
    put_range(world, 1, 4, 1000000);
    return world;
}

static uint64_t document_invoke_count(const struct world *world) {
    const char *at = strstr(world->documents.text, "\"approximateInvokeCount\":");
    assert_non_null(at);
    return strtoull(at + strlen("\"approximateInvokeCount\":"), NULL, 10);
}

static void point_30_n_retries_are_n_plus_one_deliveries(void **state) {
    (void)state;
    for (int retries = 0; retries < 4; retries++) {
        struct world *world = four_records(raise_poison, retries);
        put(world, 5, 1000000);
        world->parameters.batch_size = 4;
        run(world);
        assert_int_equal(world->invocations, retries + 2);
        assert_int_equal(lines_in(&world->documents), 1);
        assert_int_equal(document_invoke_count(world), retries + 1);
        assert_int_equal(world->metrics.errors, retries + 1);
        assert_int_equal(world->metrics.discarded_records, 4);
        assert_int_equal(world->metrics.succeeded_records, 1);
        world_free(world);
    }
}

/* captured: `partial_enabled`, retries 1 */
static void point_29_a_suffix_has_retries_and_a_request_id_of_its_own(void **state) {
    (void)state;
    struct world *world = four_records(report_poison, 1);
    world->parameters.report_batch_item_failures = 1;
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[2,3,4]\n[2,3,4]\n");
    assert_string_equal(world->request_ids.text, "abb"); /* an unchanged retry keeps its id */
    assert_int_equal(document_invoke_count(world), 2);
    assert_int_equal(world->metrics.succeeded_records, 1);
    assert_int_equal(world->metrics.discarded_records, 3);
    world_free(world);
}

/* captured: retries 3, the failing record delivered five times, count 4 */
static void point_29_three_retries_deliver_the_failing_record_five_times(void **state) {
    (void)state;
    struct world *world = four_records(report_poison, 3);
    world->parameters.report_batch_item_failures = 1;
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[2,3,4]\n[2,3,4]\n[2,3,4]\n[2,3,4]\n");
    assert_int_equal(document_invoke_count(world), 4);
    world_free(world);
}

/* captured: `raise_bisect` */
static void point_31_bisect_splits_at_once_left_half_first_and_depth_first(void **state) {
    (void)state;
    struct world *world = four_records(raise_poison, 1);
    world->parameters.bisect_batch_on_function_error = 1;
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[1,2]\n[1]\n[2]\n[2]\n[3,4]\n");
    assert_string_equal(world->request_ids.text, "abcdde");
    assert_int_equal(document_invoke_count(world), 2);
    assert_int_equal(world->metrics.discarded_records, 1);
    assert_int_equal(world->metrics.succeeded_records, 3);
    world_free(world);
}

static void point_31_the_left_part_of_an_odd_batch_is_the_smaller(void **state) {
    (void)state;
    struct world *world = world_new(raise_poison);
    world->parameters.maximum_retry_attempts = 0;
    world->parameters.bisect_batch_on_function_error = 1;
    world->poison = 5;
    put_range(world, 1, 5, 1000000);
    run(world);
    assert_deliveries(world, "[1,2,3,4,5]\n[1,2]\n[3,4,5]\n[3]\n[4,5]\n[4]\n[5]\n");
    world_free(world);
}

/* captured: `partial_bisect` */
static void point_32_bisect_with_reports_cuts_at_the_reported_record(void **state) {
    (void)state;
    struct world *world = four_records(report_poison, 1);
    world->parameters.bisect_batch_on_function_error = 1;
    world->parameters.report_batch_item_failures = 1;
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[2,3,4]\n[2]\n[2]\n[3,4]\n");
    assert_int_equal(document_invoke_count(world), 2);
    world_free(world);
}

static void point_33_reporting_the_first_record_acknowledges_nothing_and_ends(void **state) {
    (void)state;
    struct world *world = four_records(report_poison, 2);
    world->parameters.report_batch_item_failures = 1;
    world->poison = 1;
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[1,2,3,4]\n[1,2,3,4]\n");
    assert_string_equal(world->request_ids.text, "aaa");
    assert_int_equal(world->metrics.discarded_records, 4);
    world_free(world);
}

static enum tumble_answer_kind throttle_first(struct world *world, const struct tumble_function_request *request,
                                              struct log *answer) {
    if (world->invocations <= 20) {
        return world->invocations % 2 ? TUMBLE_ANSWER_THROTTLED : TUMBLE_ANSWER_LOST;
    }
    return raise_poison(world, request, answer);
}

static void point_36_throttles_take_no_retries(void **state) {
    (void)state;
    struct world *world = four_records(throttle_first, 1);
    run(world);
    assert_int_equal(world->invocations, 22);
    assert_int_equal(world->metrics.throttles, 10);
    assert_int_equal(world->metrics.invocations, 12);
    assert_int_equal(document_invoke_count(world), 2);
    assert_int_equal(world->id_count, 1);
    world_free(world);
}

static enum tumble_answer_kind throttle_always(struct world *world, const struct tumble_function_request *request,
                                               struct log *answer) {
    (void)world;
    (void)request;
    (void)answer;
    return TUMBLE_ANSWER_THROTTLED;
}

static void point_36_throttles_go_on_until_the_records_are_too_old(void **state) {
    (void)state;
    struct world *world = four_records(throttle_always, 0);
    world->parameters.maximum_record_age_in_seconds = 60;
    run(world);
    assert_true(world->invocations > 4);
    assert_non_null(strstr(world->documents.text, "\"condition\":\"RecordAgeExceeded\",\"approximateInvokeCount\":1}"));
    assert_int_equal(world->metrics.invocations, 0);
    assert_int_equal(world->metrics.discarded_records, 4);
    world_free(world);
}

static void point_35_records_too_old_are_given_up_before_they_are_delivered(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->parameters.maximum_record_age_in_seconds = 60;
    put_range(world, 1, 2, 1000000 - 60001);
    put_range(world, 3, 4, 1000000 - 60000);
    run(world);
    assert_deliveries(world, "[3,4]\n");
    assert_non_null(strstr(world->documents.text, "\"condition\":\"RecordAgeExceeded\",\"approximateInvokeCount\":1}"));
    assert_null(strstr(world->documents.text, "responseContext")); /* point 34 */
    assert_non_null(strstr(world->documents.text, "\"batchSize\":2"));
    world_free(world);
}

static enum tumble_answer_kind answer_nonsense(struct world *world, const struct tumble_function_request *request,
                                               struct log *answer) {
    (void)world;
    (void)request;
    log_add(answer, "%s", "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}");
    return TUMBLE_ANSWER_RESPONSE;
}

/* captured: retries 2, three invocations, count 3 */
static void point_34_only_what_the_function_raised_is_unhandled(void **state) {
    (void)state;
    static const struct {
        world_handler handler;
        const char *error;
    } cases[] = {{answer_nonsense, "\"functionError\":null}"},
                 {report_poison, "\"functionError\":null}"},
                 {raise_poison, "\"functionError\":\"Unhandled\"}"}};
    for (size_t i = 0; i < 3; i++) {
        struct world *world = four_records(cases[i].handler, 2);
        world->parameters.report_batch_item_failures = 1;
        world->poison = 1;
        run(world);
        assert_int_equal(world->invocations, 3);
        assert_int_equal(document_invoke_count(world), 3);
        assert_non_null(strstr(world->documents.text, cases[i].error));
        assert_int_equal(world->metrics.errors, cases[i].handler == raise_poison ? 3 : 0);
        world_free(world);
    }
}

/* captured: a batch that grew too old while it was retried had been invoked eight times */
static void age_ends_retries_without_limit_and_counts_the_attempts(void **state) {
    (void)state;
    struct world *world = four_records(raise_poison, -1);
    world->parameters.maximum_record_age_in_seconds = 127;
    run(world); /* at 0, 1, 3, 7, 15, 31, 63, 123 and then every 60 s */
    assert_int_equal(world->invocations, 8);
    assert_string_equal(world->times.text, "1000000 1001000 1003000 1007000 1015000 1031000 1063000 1123000 ");
    assert_non_null(strstr(world->documents.text, "\"condition\":\"RecordAgeExceeded\",\"approximateInvokeCount\":8}"));
    assert_null(strstr(world->documents.text, "responseContext"));
    world_free(world);
}

static void retries_without_limit_end_when_the_stream_forgets_the_record(void **state) {
    (void)state;
    struct world *world = four_records(raise_poison, -1);
    put(world, 5, 1000000);
    world->parameters.batch_size = 4;
    world->options.retention_ms = 3600000;
    run(world);
    assert_int_equal(world->metrics.lost_to_retention, 5); /* the shard was blocked: 5 is gone too */
    assert_int_equal(world->metrics.discarded_records, 0);
    assert_string_equal(world->documents.text, "");
    world_free(world);
}

static enum tumble_answer_kind recover(struct world *world, const struct tumble_function_request *request,
                                       struct log *answer) {
    return world->invocations < 4 ? TUMBLE_ANSWER_TIMED_OUT : succeed(world, request, answer);
}

static void a_shard_waits_while_its_batch_is_retried(void **state) {
    (void)state;
    struct world *world = world_new(recover);
    world->parameters.batch_size = 2;
    put_range(world, 1, 4, 1000000);
    world->duration_us = 500;
    run(world);
    assert_deliveries(world, "[1,2]\n[1,2]\n[1,2]\n[1,2]\n[3,4]\n");
    assert_string_equal(world->times.text, "1000000 1001001 1003002 1007003 1007004 ");
    assert_string_equal(world->request_ids.text, "aaaab");
    world_free(world);
}

static enum tumble_answer_kind too_slow(struct world *world, const struct tumble_function_request *request,
                                        struct log *answer) {
    world->duration_us = 3000001;
    return succeed(world, request, answer);
}

static void an_answer_after_the_function_time_out_is_none(void **state) {
    (void)state;
    struct world *world = four_records(too_slow, 0);
    world->options.function_timeout_ms = 3000;
    run(world);
    assert_int_equal(world->metrics.discarded_records, 4);
    assert_int_equal(world->metrics.errors, 1);
    assert_true(world->metrics.duration_ms.most == 3000.0);
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_29_a_suffix_has_retries_and_a_request_id_of_its_own),
        cmocka_unit_test(point_29_three_retries_deliver_the_failing_record_five_times),
        cmocka_unit_test(point_30_n_retries_are_n_plus_one_deliveries),
        cmocka_unit_test(point_31_bisect_splits_at_once_left_half_first_and_depth_first),
        cmocka_unit_test(point_31_the_left_part_of_an_odd_batch_is_the_smaller),
        cmocka_unit_test(point_32_bisect_with_reports_cuts_at_the_reported_record),
        cmocka_unit_test(point_33_reporting_the_first_record_acknowledges_nothing_and_ends),
        cmocka_unit_test(point_34_only_what_the_function_raised_is_unhandled),
        cmocka_unit_test(point_35_records_too_old_are_given_up_before_they_are_delivered),
        cmocka_unit_test(point_36_throttles_take_no_retries),
        cmocka_unit_test(point_36_throttles_go_on_until_the_records_are_too_old),
        cmocka_unit_test(age_ends_retries_without_limit_and_counts_the_attempts),
        cmocka_unit_test(retries_without_limit_end_when_the_stream_forgets_the_record),
        cmocka_unit_test(a_shard_waits_while_its_batch_is_retried),
        cmocka_unit_test(an_answer_after_the_function_time_out_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
