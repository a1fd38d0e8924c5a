#include "mapping_fixture.h"

/* Batches without a window: when they are sent and how they are cut; starting positions, filters, lanes, metrics. */

static void a_batch_goes_as_soon_as_there_are_records(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    put(world, 1, 1000000);
    put(world, 2, 1000300);
    put(world, 3, 1000900);
    put(world, 4, 1001001);
    run(world);
    assert_deliveries(world, "[1]\n[2,3]\n[4]\n"); /* a poll a second */
    assert_string_equal(world->times.text, "1000000 1001000 1002000 ");
    rewind_world(world);
    snprintf(world->parameters.event_source_arn, sizeof world->parameters.event_source_arn, STREAM_ARN "/consumer/c:1");
    run(world);
    assert_deliveries(world, "[1]\n[2]\n[3]\n[4]\n"); /* pushed */
    assert_string_equal(world->times.text, "1000000 1000300 1000900 1001001 ");
    world_free(world);
}

/* captured: `window_flush`, size 2 and a batching window of 5 s */
static void a_full_batch_goes_at_once_the_rest_when_the_batching_window_is_over(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->parameters.batch_size = 2;
    world->parameters.maximum_batching_window_in_seconds = 5;
    put_range(world, 1, 5, 1000000);
    run(world);
    assert_deliveries(world, "[1,2]\n[3,4]\n[5]\n");
    assert_string_equal(world->times.text, "1000000 1000000 1005000 ");
    world_free(world);
}

static void the_batching_window_collects_across_polls_and_ends_when_the_batch_is_full(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->parameters.batch_size = 3;
    world->parameters.maximum_batching_window_in_seconds = 5;
    static const int seconds[] = {0, 2, 4, 10, 14, 16, 17};
    for (int i = 0; i < 7; i++) {
        put(world, i + 1, 1000000 + 1000 * seconds[i]);
    }
    run(world);
    assert_deliveries(world, "[1,2,3]\n[4,5]\n[6,7]\n");
    assert_string_equal(world->times.text, "1004000 1015000 1021000 ");
    world_free(world);
}

static void records_wait_while_the_function_runs(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->options.poll_interval_ms = -1;
    world->duration_us = 2500000;
    for (int i = 0; i < 6; i++) {
        put(world, i + 1, 1000000 + 1000 * i);
    }
    run(world);
    assert_deliveries(world, "[1]\n[2,3]\n[4,5,6]\n");
    assert_string_equal(world->times.text, "1000000 1002500 1005000 ");
    assert_true(world->metrics.iterator_age_ms.most == 500);
    assert_true(world->metrics.duration_ms.sum == 7500);
    assert_int_equal(world->metrics.end_ms, 1007500);
    world_free(world);
}

static void a_closed_shard_waits_for_nothing(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->parameters.maximum_batching_window_in_seconds = 300;
    world->shards[0].is_closed = 1;
    put_range(world, 1, 2, 1000000);
    run(world);
    assert_string_equal(world->times.text, "1000000 ");
    world_free(world);
}

static void starting_positions_choose_where_reading_begins(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    for (int i = 1; i <= 6; i++) {
        put(world, i, 1000000 - 3000 + 1000 * i);
    }
    run(world);
    assert_deliveries(world, "[1,2,3,4,5,6]\n");
    world->parameters.starting_position = TUMBLE_AT_TIMESTAMP;
    world->parameters.starting_position_timestamp_ms = 1000000 + 1000;
    rewind_world(world);
    run(world);
    assert_deliveries(world, "[4,5,6]\n");
    assert_int_equal(world->metrics.skipped_by_starting_position, 3);
    assert_int_equal(world->metrics.polled_event_count, 3);
    world_free(world);
}

static void point_46_latest_sees_nothing_of_what_lies_in_the_stream_already(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    for (int i = 1; i <= 6; i++) {
        put(world, i, 1000000 - 3000 + 1000 * i);
    }
    world->parameters.starting_position = TUMBLE_LATEST;
    run(world);
    assert_deliveries(world, "");
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    rewind_world(world);
    run(world);
    assert_deliveries(world, "[3]\n[4]\n[5]\n[6]\n");
    world_free(world);
}

static void a_record_older_than_its_predecessor_is_not_skipped_once_reading_has_begun(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->parameters.starting_position = TUMBLE_AT_TIMESTAMP;
    world->parameters.starting_position_timestamp_ms = 5000;
    put(world, 1, 4999);
    put(world, 2, 5000);
    put(world, 3, 4000);
    run(world);
    assert_deliveries(world, "[2,3]\n");
    world_free(world);
}

static void a_disabled_mapping_delivers_nothing(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    world->parameters.enabled = 0;
    put(world, 1, 1000000);
    run(world);
    assert_deliveries(world, "");
    assert_int_equal(world->metrics.polled_event_count, 0);
    world_free(world);
}

static size_t event_size(const struct tumble_function_request *request) {
    struct tumble_event_writer *writer;
    struct tumble_error error;
    struct tumble_bytes event;
    assert_int_equal(tumble_event_writer_new(NULL, (struct tumble_alloc){0}, &writer, &error), TUMBLE_OK);
    assert_int_equal(tumble_event_write(writer, request, &event, &error), TUMBLE_OK);
    size_t size = event.length;
    tumble_event_writer_destroy(writer);
    return size;
}

static size_t largest_event;
static enum tumble_answer_kind measure(struct world *world, const struct tumble_function_request *request,
                                       struct log *answer) {
    size_t size = event_size(request);
    largest_event = size > largest_event ? size : largest_event;
    return succeed(world, request, answer);
}

static void point_38_the_limit_is_on_the_event_base64_included(void **state) {
    (void)state;
    struct world *world = world_new(measure);
    static char megabyte[1 << 20];
    memset(megabyte, 'x', sizeof megabyte);
    for (int i = 1; i <= 9; i++) {
        struct tumble_stream_record *record = put(world, i, 1691068717172);
        megabyte[0] = '5';
        megabyte[1] = 0;
        record->data.data = megabyte;
        record->data.length = sizeof megabyte;
    }
    run(world);
    assert_deliveries(world, "[5,5,5,5]\n[5,5,5,5]\n[5]\n"); /* of 1 MiB each: four, not six */
    assert_true(largest_event < 6291456);
    /* to the byte, each arrival counted as if it were of the longest form */
    size_t exact = largest_event + 4 * (strlen("2.53402300799999E11") - strlen("1.691068717172E9"));
    for (size_t short_by = 0; short_by < 2; short_by++) {
        rewind_world(world);
        world->options.event_limit_bytes = exact - short_by;
        run(world);
        assert_deliveries(world, short_by ? "[5,5,5]\n[5,5,5]\n[5,5,5]\n" : "[5,5,5,5]\n[5,5,5,5]\n[5]\n");
    }
    world_free(world);
}

/* captured: 5 MiB of data, retries 0 and 2: counts 1 and 3, no responseContext, and the shard goes on */
static void point_37_a_record_too_large_for_an_event_never_reaches_the_function(void **state) {
    (void)state;
    static char large[5 << 20];
    memset(large, 'x', sizeof large);
    for (int retries = 0; retries <= 2; retries += 2) {
        struct world *world = world_new(succeed);
        world->parameters.maximum_retry_attempts = retries;
        put(world, 1, 1000000);
        struct tumble_stream_record *record = put(world, 2, 1000000);
        record->data.data = large;
        record->data.length = sizeof large;
        put(world, 3, 1000000);
        run(world);
        assert_deliveries(world, "[1]\n[3]\n");
        char expected[128];
        snprintf(expected, sizeof expected,
                 "\"condition\":\"RetryAttemptsExhausted\",\"approximateInvokeCount\":%d},\"version\"", retries + 1);
        assert_non_null(strstr(world->documents.text, expected));
        assert_null(strstr(world->documents.text, "responseContext"));
        assert_int_equal(world->metrics.discarded_records, 1);
        world_free(world);
    }
}

static void add_filter(struct world *world, const char *pattern) {
    struct tumble_error error;
    char json[512], escaped[400];
    size_t length = 0;
    for (const char *at = pattern; *at; at++) {
        if (*at == '"' || *at == '\\') {
            escaped[length++] = '\\';
        }
        escaped[length++] = *at;
    }
    escaped[length] = '\0';
    snprintf(json, sizeof json, "{\"Filters\":[{\"Pattern\":\"%s\"}]}", escaped);
    if (tumble_mapping_parameters_set(&world->parameters, "filter-criteria", json, &error) != TUMBLE_OK) {
        fail_msg("%s", error.text);
    }
}

static void put_json(struct world *world, const char *json) {
    struct tumble_stream_record *record = put(world, 0, 1000000);
    record->data = tumble_bytes_of(json);
}

static void filters_look_at_decoded_data_and_move_the_position_on(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    add_filter(world, "{\"data\":{\"city\":[{\"prefix\":\"Se\"}],\"n\":[{\"numeric\":[\">\",2]}]}}");
    put_json(world, "{\"city\":\"Seattle\",\"n\":3}");
    put_json(world, "{\"city\":\"Seattle\",\"n\":2}");
    put_json(world, "{\"city\":\"Portland\",\"n\":9}");
    put_json(world, "no JSON");
    put_json(world, "{\"n\":9,\"city\":\"Sedona\"}");
    run(world);
    assert_int_equal(world->invocations, 1);
    assert_int_equal(world->metrics.invoked_event_count, 2);
    assert_int_equal(world->metrics.filtered_out_event_count, 3);
    assert_int_equal(world->metrics.polled_event_count, 5);
    assert_int_equal(world->metrics.dropped_event_count, 0);
    rewind_world(world);
    add_filter(world, "{\"data\":[\"no JSON\"]}");
    run(world);
    assert_int_equal(world->metrics.invoked_event_count, 1);
    world_free(world);
}

static void a_filter_on_anything_but_data_is_refused(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    struct tumble_mapping *mapping;
    struct tumble_emulated_function function = {.ctx = world, .invoke = world_invoke};
    add_filter(world, "{\"partitionKey\":[\"a\"]}");
    assert_int_equal(
        tumble_mapping_new(&world->parameters, &world->options, &world->stream, &function, &mapping, &world->error),
        TUMBLE_EPATTERN);
    assert_non_null(strstr(world->error.text, "not '/partitionKey'"));
    add_filter(world, "{\"dataset\":[\"a\"]}");
    assert_int_equal(
        tumble_mapping_new(&world->parameters, &world->options, &world->stream, &function, &mapping, &world->error),
        TUMBLE_EPATTERN);
    world_free(world);
}

static enum tumble_answer_kind slow(struct world *world, const struct tumble_function_request *request,
                                    struct log *answer) {
    world->duration_us = 1000000;
    for (size_t i = 1; i < request->record_count; i++) { /* in order, within a batch */
        assert_true(number_of(&request->records[i - 1]) < number_of(&request->records[i]));
    }
    return succeed(world, request, answer);
}

static void a_parallelization_factor_keeps_the_order_of_each_partition_key(void **state) {
    (void)state;
    struct world *world = world_new(slow);
    world->parameters.parallelization_factor = 4;
    world->parameters.batch_size = 3;
    for (int i = 1; i <= 60; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i % 7);
        put_key(world, 0, i, 1000000, key);
    }
    run(world);
    assert_int_equal(world->metrics.succeeded_records, 60);
    assert_in_range(world->metrics.concurrent_executions, 2, 4);
    int last[7] = {0};
    const char *at = world->deliveries.text;
    while (*at) {
        if (*at >= '0' && *at <= '9') {
            int number = (int)strtol(at, (char **)(uintptr_t)&at, 10);
            assert_true(number > last[number % 7]);
            last[number % 7] = number;
        } else {
            at++;
        }
    }
    world_free(world);
}

static void lanes_of_a_shard_read_only_so_far_ahead(void **state) {
    (void)state;
    struct world *world = world_new(slow);
    world->parameters.parallelization_factor = 2;
    world->parameters.batch_size = 2;
    world->options.read_ahead_records = 4;
    for (int i = 1; i <= 50; i++) { /* one key for long: the other lane has nothing to do */
        put_key(world, 0, i, 1000000, i <= 40 ? "a" : &"bcdefghi"[i % 8]);
    }
    run(world);
    assert_int_equal(world->metrics.succeeded_records, 50);
    world_free(world);
}

static enum tumble_answer_kind fail_all(struct world *world, const struct tumble_function_request *request,
                                        struct log *answer) {
    (void)world;
    (void)request;
    (void)answer;
    return TUMBLE_ANSWER_ERROR;
}

static enum tumble_answer_kind talk(struct world *world, const struct tumble_function_request *request,
                                    struct log *answer) {
    (void)request;
    log_add(answer, "{\"filler\":\"%0*d\"}", world->poison - (int)sizeof "{\"filler\":\"\"}" + 1, 0);
    return TUMBLE_ANSWER_RESPONSE;
}

static void a_response_over_the_limit_is_an_error_of_the_function(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct world *world = world_new(talk);
        world->parameters.maximum_retry_attempts = 0;
        world->options.event_limit_bytes = 2000;
        world->poison = 2000 + over;
        put(world, 1, 1000000);
        run(world);
        assert_int_equal(world->metrics.discarded_records, over);
        assert_int_equal(strstr(world->documents.text, "\"functionError\":\"Unhandled\"") != NULL, over);
        world_free(world);
    }
}

static void point_53_dropped_events_are_those_no_destination_took(void **state) {
    (void)state;
    struct world *world = world_new(fail_all);
    world->parameters.maximum_retry_attempts = 1;
    put_range(world, 1, 3, 1000000);
    run(world);
    assert_int_equal(world->metrics.on_failure_destination_delivered_event_count, 3);
    assert_int_equal(world->metrics.dropped_event_count, 0);
    assert_int_equal(world->metrics.invoked_event_count, 6); /* retries count */
    assert_int_equal(world->metrics.failed_invoke_event_count, 6);
    rewind_world(world);
    world->destination_refuses = 1;
    run(world);
    assert_int_equal(world->metrics.on_failure_destination_delivered_event_count, 0);
    assert_int_equal(world->metrics.dropped_event_count, 3);
    assert_int_equal(world->metrics.destination_delivery_failures, 1);
    rewind_world(world);
    world->options.on_failure = NULL;
    run(world);
    assert_int_equal(world->metrics.dropped_event_count, 3);
    rewind_world(world);
    world->options.dropped_needs_destination = 1;
    run(world);
    assert_int_equal(world->metrics.dropped_event_count, 0);
    assert_int_equal(world->metrics.discarded_records, 3);
    world_free(world);
}

static int stop_after(void *ctx, int64_t now_ms) { return now_ms > *(int64_t *)ctx; }

static void pace_is_told_the_time_and_can_stop_the_run(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    int64_t until = 1002000;
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->options.pace = stop_after;
    world->options.pace_ctx = &until;
    for (int i = 0; i < 6; i++) {
        put(world, i + 1, 1000000 + 1000 * i);
    }
    struct tumble_mapping *mapping;
    struct tumble_emulated_function function = {.ctx = world, .invoke = world_invoke};
    assert_int_equal(
        tumble_mapping_new(&world->parameters, &world->options, &world->stream, &function, &mapping, &world->error),
        TUMBLE_OK);
    assert_int_equal(tumble_mapping_run(mapping, &world->error), TUMBLE_OK);
    tumble_mapping_destroy(mapping);
    assert_deliveries(world, "[1]\n[2]\n[3]\n");
    world_free(world);
}

static void a_child_before_its_parent_is_refused(void **state) {
    (void)state;
    struct world *world = world_new(succeed);
    struct tumble_mapping *mapping;
    struct tumble_emulated_function function = {.ctx = world, .invoke = world_invoke};
    world->stream.shard_count = 2;
    world->shards[0].parents[0] = 1;
    assert_int_equal(
        tumble_mapping_new(&world->parameters, &world->options, &world->stream, &function, &mapping, &world->error),
        TUMBLE_EINVAL);
    world_free(world);
}

/* Two shards at a time have two slots, whichever shards they are; one that is beyond the limit is throttled and takes
 * no retry. */
static enum tumble_answer_kind note_slot(struct world *world, const struct tumble_function_request *request,
                                         struct log *answer) {
    log_add(&world->keys, "%u", request->slot);
    return succeed(world, request, answer);
}

static void slots_are_as_many_as_run_at_a_time(void **state) {
    (void)state;
    struct world *world = world_new(note_slot);
    world->stream.shard_count = 4;
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->options.poll_interval_ms = -1;
    world->duration_us = 1000000;
    put_key(world, 0, 1, 1000000, "a");
    put_key(world, 1, 2, 1000500, "a");
    put_key(world, 2, 3, 1001200, "a");
    put_key(world, 3, 4, 1005000, "a");
    run(world);
    assert_string_equal(world->keys.text, "0100");
    assert_int_equal(world->metrics.concurrent_executions, 2);
    world_free(world);
}

static void what_is_beyond_the_concurrency_is_throttled_and_comes_again(void **state) {
    (void)state;
    struct world *world = world_new(note_slot);
    world->stream.shard_count = 4;
    world->options.concurrency_limit = 2;
    world->parameters.maximum_retry_attempts = 0;
    world->duration_us = 1500000;
    for (uint32_t shard = 0; shard < 4; shard++) {
        put_key(world, shard, (int)shard + 1, 1000000, "a");
    }
    run(world);
    assert_int_equal(world->metrics.invocations, 4);
    assert_int_equal(world->metrics.succeeded_records, 4);
    assert_int_equal(world->metrics.throttles, 4); /* both at once, and a second later */
    assert_int_equal(world->metrics.concurrent_executions, 2);
    assert_int_equal(world->metrics.discarded_records, 0);
    assert_string_equal(world->keys.text, "0101");
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_goes_as_soon_as_there_are_records),
        cmocka_unit_test(a_full_batch_goes_at_once_the_rest_when_the_batching_window_is_over),
        cmocka_unit_test(the_batching_window_collects_across_polls_and_ends_when_the_batch_is_full),
        cmocka_unit_test(records_wait_while_the_function_runs),
        cmocka_unit_test(a_closed_shard_waits_for_nothing),
        cmocka_unit_test(starting_positions_choose_where_reading_begins),
        cmocka_unit_test(point_46_latest_sees_nothing_of_what_lies_in_the_stream_already),
        cmocka_unit_test(a_record_older_than_its_predecessor_is_not_skipped_once_reading_has_begun),
        cmocka_unit_test(a_disabled_mapping_delivers_nothing),
        cmocka_unit_test(point_37_a_record_too_large_for_an_event_never_reaches_the_function),
        cmocka_unit_test(point_38_the_limit_is_on_the_event_base64_included),
        cmocka_unit_test(a_response_over_the_limit_is_an_error_of_the_function),
        cmocka_unit_test(point_53_dropped_events_are_those_no_destination_took),
        cmocka_unit_test(filters_look_at_decoded_data_and_move_the_position_on),
        cmocka_unit_test(a_filter_on_anything_but_data_is_refused),
        cmocka_unit_test(a_parallelization_factor_keeps_the_order_of_each_partition_key),
        cmocka_unit_test(lanes_of_a_shard_read_only_so_far_ahead),
        cmocka_unit_test(slots_are_as_many_as_run_at_a_time),
        cmocka_unit_test(what_is_beyond_the_concurrency_is_throttled_and_comes_again),
        cmocka_unit_test(pace_is_told_the_time_and_can_stop_the_run),
        cmocka_unit_test(a_child_before_its_parent_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
