#include "mapping_fixture.h"

/* Tumbling windows: bounds, state, finals, early ends, shards. Times in the log are seconds since the epoch. */

/* state {"n":N}: how many records the window has had. */
static enum tumble_answer_kind count_records(struct world *world, const struct tumble_function_request *request,
                                             struct log *answer) {
    (void)world;
    int n = count_in(request->state);
    assert_true(request->state.length >= 2 && request->state.data[0] == '{');
    log_add(answer, "{\"state\":{\"n\":%d},\"batchItemFailures\":[]}", n + (int)request->record_count);
    return TUMBLE_ANSWER_RESPONSE;
}

static struct world *windows_of(int seconds, world_handler handler) {
    struct world *world = world_new(handler);
    world->parameters.tumbling_window_in_seconds = seconds;
    world->parameters.maximum_retry_attempts = 0;
    world->options.start_ms = 0;
    return world;
}

static struct world *live_windows_of(int seconds, world_handler handler) {
    struct world *world = windows_of(seconds, handler);
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->options.poll_interval_ms = -1;
    return world;
}

static void point_1_windows_are_aligned_to_the_epoch_wherever_the_mapping_starts(void **state) {
    (void)state;
    struct world *world = windows_of(120, count_records);
    put(world, 1, INT64_C(1607497475000));
    run(world);
    assert_deliveries(world, "1607497440 {} [1]\n1607497440 {\"n\":1} [] final\n");
    world_free(world);
    world = live_windows_of(7, count_records); /* a length that does not divide an hour */
    world->options.start_ms = INT64_C(1607497470000);
    put(world, 1, INT64_C(1607497475000));
    run(world);
    assert_deliveries(world, "1607497472 {} [1]\n1607497472 {\"n\":1} [] final\n");
    world_free(world);
}

static void point_2_a_window_does_not_hold_its_end(void **state) {
    (void)state;
    struct world *world = windows_of(10, count_records);
    put(world, 1, 10000);
    put(world, 2, 19999);
    put(world, 3, 20000);
    run(world);
    assert_deliveries(world, "10 {} [1,2]\n10 {\"n\":2} [] final\n20 {} [3]\n20 {\"n\":1} [] final\n");
    world_free(world);
}

static void point_4_every_window_begins_with_an_empty_state(void **state) {
    (void)state;
    struct world *world = windows_of(10, count_records);
    world->parameters.batch_size = 2;
    put_range(world, 1, 3, 1000);
    put_range(world, 4, 4, 11000);
    run(world);
    assert_deliveries(world, "0 {} [1,2]\n0 {\"n\":2} [3]\n0 {\"n\":3} [] final\n10 {} [4]\n10 {\"n\":1} [] final\n");
    world_free(world);
}

/* captured: `delivery_batches.tumbling`, batch size 1 */
static void point_5_a_batch_never_mixes_windows(void **state) {
    (void)state;
    struct world *world = windows_of(10, count_records);
    world->parameters.batch_size = 1;
    put_range(world, 1, 4, 1000);
    put(world, 5, 12000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [2]\n0 {\"n\":2} [3]\n0 {\"n\":3} [4]\n0 {\"n\":4} [] final\n"
                             "10 {} [5]\n10 {\"n\":1} [] final\n");
    world_free(world);
}

static void point_5_a_run_that_crosses_a_boundary_is_cut_there_though_the_batching_window_is_open(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, count_records);
    world->parameters.maximum_batching_window_in_seconds = 300;
    put(world, 1, 8000);
    put(world, 2, 9000);
    put(world, 3, 11000);
    world->options.idle_ms = 20000;
    run(world);
    assert_deliveries(world, "0 {} [1,2]\n0 {\"n\":2} [] final\n10 {} [3]\n10 {\"n\":1} [] final\n");
    assert_string_equal(world->times.text, "11000 11000 311000 311000 ");
    world_free(world);
}

static void point_6_and_7_a_final_has_no_records_and_comes_before_the_next_window(void **state) {
    (void)state;
    struct world *world = windows_of(60, count_records);
    put(world, 1, 1000);
    put(world, 2, 61000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n60 {} [2]\n60 {\"n\":1} [] final\n");
    assert_int_equal(world->metrics.windows, 2);
    world_free(world);
}

static void point_8_empty_windows_invoke_nothing(void **state) {
    (void)state;
    struct world *world = windows_of(10, count_records);
    put(world, 1, 1000);
    put(world, 2, 901000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n900 {} [2]\n900 {\"n\":1} [] final\n");
    world_free(world);
}

/* captured: silence for 110 s after the end of the window, then final and first batch right behind each other */
static void point_9_the_clock_alone_does_not_close_a_window_a_later_record_does(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, count_records);
    put(world, 1, 1000);
    put(world, 2, 120000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n120 {} [2]\n120 {\"n\":1} [] final\n");
    assert_string_equal(world->times.text, "1000 120000 120000 250000 ");
    world_free(world);
}

static void point_10_two_minutes_of_quiet_close_a_window(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, count_records);
    put(world, 1, 1000);
    put(world, 2, 200000);
    run(world);
    assert_string_equal(world->times.text, "1000 130000 200000 330000 "); /* the end of the window + 120 s */
    world_free(world);
    world = live_windows_of(10, count_records);
    world->options.idle_from = TUMBLE_IDLE_FROM_LAST_RECORD;
    put(world, 1, 1000);
    put(world, 2, 200000);
    run(world);
    assert_string_equal(world->times.text, "1000 121000 200000 320000 ");
    world_free(world);
}

static void split_stream(struct world *world) { /* 0 → 1 and 2 → 3 */
    world->stream.shard_count = 4;
    world->shards[1].parents[0] = 0;
    world->shards[2].parents[0] = 0;
    world->shards[3].parents[0] = 1;
    world->shards[3].parents[1] = 2;
    for (int i = 0; i < 3; i++) {
        world->shards[i].is_closed = 1;
    }
    put_key(world, 0, 1, 1000, "pk");
    put_key(world, 1, 2, 2000, "pk");
    put_key(world, 2, 3, 2000, "pk");
    put_key(world, 2, 4, 3000, "pk");
    put_key(world, 3, 5, 4000, "pk");
}

static void point_11_and_45_the_end_of_a_shard_closes_its_window_and_children_begin_anew(void **state) {
    (void)state;
    struct world *world = windows_of(60, count_records);
    split_stream(world);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n"
                             "0 {} [2]\n0 {\"n\":1} [] final\n0 {} [3,4]\n0 {\"n\":2} [] final\n"
                             "0 {} [5]\n0 {\"n\":1} [] final\n");
    assert_string_equal(world->times.text, "0 0 0 0 0 0 0 120000 ");
    world_free(world);
}

static enum tumble_answer_kind slow_first_shard(struct world *world, const struct tumble_function_request *request,
                                                struct log *answer) {
    world->duration_us = request->shard == 1 ? 5000000 : 1000;
    return count_records(world, request, answer);
}

static void point_45_a_merged_shard_waits_for_both_parents(void **state) {
    (void)state;
    struct world *world = windows_of(60, slow_first_shard);
    split_stream(world);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n"
                             "0 {} [2]\n0 {} [3,4]\n0 {\"n\":2} [] final\n0 {\"n\":1} [] final\n"
                             "0 {} [5]\n0 {\"n\":1} [] final\n");
    assert_string_equal(world->times.text, "0 1 2 2 3 5002 10002 120000 ");
    assert_int_equal(world->metrics.concurrent_executions, 2);
    world_free(world);
}

/* A state of as many bytes as world->poison says, from the second record on. */
static enum tumble_answer_kind grow(struct world *world, const struct tumble_function_request *request,
                                    struct log *answer) {
    int large = contains(request, 2) || contains(request, 4);
    int fill = large ? world->poison - 8 : 1;
    log_add(answer, "{\"state\":{\"s\":\"%0*d\"}}", fill, 0);
    return TUMBLE_ANSWER_RESPONSE;
}

static void point_12_and_13_a_state_over_the_limit_ends_the_window_early_and_it_goes_on(void **state) {
    (void)state;
    struct world *world = windows_of(60, grow);
    world->options.state_limit_bytes = 20;
    world->parameters.batch_size = 1;
    world->poison = 21;
    put_range(world, 1, 3, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"s\":\"0\"} [2]\n0 {\"s\":\"0000000000000\"} [] early\n"
                             "0 {} [3]\n0 {\"s\":\"0\"} [] final\n");
    assert_int_equal(world->metrics.early_terminations, 1);
    assert_int_equal(world->metrics.windows, 1);
    assert_int_equal(world->metrics.errors, 0);
    assert_string_equal(world->documents.text, "");
    assert_int_equal(world->metrics.reopened_by_late_records, 0);
    rewind_world(world);
    world->poison = 20; /* exactly the limit */
    run(world);
    assert_int_equal(world->metrics.early_terminations, 0);
    world_free(world);
}

static void point_13_a_window_ended_early_with_nothing_behind_has_no_second_final(void **state) {
    (void)state;
    struct world *world = windows_of(60, grow);
    world->options.state_limit_bytes = 20;
    world->parameters.batch_size = 1;
    world->poison = 21;
    put_range(world, 1, 2, 1000);
    put(world, 3, 61000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"s\":\"0\"} [2]\n0 {\"s\":\"0000000000000\"} [] early\n"
                             "60 {} [3]\n60 {\"s\":\"0\"} [] final\n");
    world_free(world);
}

static void point_12_the_limit_is_a_mebibyte(void **state) {
    (void)state;
    assert_int_equal(TUMBLE_STATE_LIMIT_BYTES, 1048576);
}

static enum tumble_answer_kind grow_after_poison(struct world *world, const struct tumble_function_request *request,
                                                 struct log *answer) {
    if (request->record_count == 4 || contains(request, world->poison)) {
        return TUMBLE_ANSWER_ERROR;
    }
    log_add(answer, "{\"state\":{\"s\":\"%0*d\"}}", contains(request, 1) ? 14 : 1, 0);
    return TUMBLE_ANSWER_RESPONSE;
}

static void an_early_end_between_the_halves_of_a_batch_leaves_the_rest_an_empty_state(void **state) {
    (void)state;
    struct world *world = windows_of(60, grow_after_poison);
    world->options.state_limit_bytes = 20;
    world->parameters.bisect_batch_on_function_error = 1;
    world->poison = 99;
    put_range(world, 1, 4, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1,2,3,4]\n0 {} [1,2]\n0 {\"s\":\"00000000000000\"} [] early\n"
                             "0 {} [3,4]\n0 {\"s\":\"0\"} [] final\n");
    world_free(world);
}

static enum tumble_answer_kind fail_early_final(struct world *world, const struct tumble_function_request *request,
                                                struct log *answer) {
    return request->is_terminated_early ? TUMBLE_ANSWER_ERROR : grow(world, request, answer);
}

static void an_early_final_that_is_given_up_takes_its_state_along(void **state) {
    (void)state;
    struct world *world = windows_of(60, fail_early_final);
    world->options.state_limit_bytes = 20;
    world->parameters.batch_size = 1;
    world->poison = 21;
    put_range(world, 1, 3, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"s\":\"0\"} [2]\n0 {\"s\":\"0000000000000\"} [] early\n"
                             "0 {} [3]\n0 {\"s\":\"0\"} [] final\n");
    assert_non_null(strstr(world->documents.text, "\"isFinalInvokeForWindow\":true,\"isWindowTerminatedEarly\":true}"));
    world_free(world);
}

static enum tumble_answer_kind without_state(struct world *world, const struct tumble_function_request *request,
                                             struct log *answer) {
    static const char *const responses[] = {
        "{\"batchItemFailures\":[]}", "{}",       "null",          "", "{\"state\":null}", "{\"state\":[]}",
        "{\"state\":\"{}\"}",         "nonsense", "{\"State\":{}}"};
    (void)request;
    log_add(answer, "%s", responses[world->poison]);
    return TUMBLE_ANSWER_RESPONSE;
}

static void point_14_a_response_without_a_state_is_a_failed_invocation(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        for (int reports = 0; reports < 2; reports++) {
            struct world *world = windows_of(60, without_state);
            world->parameters.report_batch_item_failures = reports;
            world->poison = i;
            put_range(world, 1, 2, 1000);
            run(world);
            assert_int_equal(world->metrics.discarded_records, 2);
            assert_int_equal(world->metrics.errors, 0); /* the function itself did not fail */
            assert_non_null(strstr(world->documents.text, "\"functionError\":null"));
            world_free(world);
        }
    }
}

static enum tumble_answer_kind final_without_state(struct world *world, const struct tumble_function_request *request,
                                                   struct log *answer) {
    if (request->is_final) {
        log_add(answer, "%s", "{}");
        return TUMBLE_ANSWER_RESPONSE;
    }
    return count_records(world, request, answer);
}

static void point_14_on_a_final_too_unless_it_is_set_otherwise(void **state) {
    (void)state;
    for (int tolerant = 0; tolerant < 2; tolerant++) {
        struct world *world = windows_of(60, final_without_state);
        world->options.final_without_state_succeeds = tolerant;
        put_range(world, 1, 2, 1000);
        run(world);
        assert_int_equal(world->metrics.discarded_finals, !tolerant);
        assert_int_equal(world->metrics.windows, tolerant);
        world_free(world);
    }
}

static enum tumble_answer_kind state_only(struct world *world, const struct tumble_function_request *request,
                                          struct log *answer) {
    (void)world;
    (void)request;
    log_add(answer, "%s", " { \"state\" : {\"a\":[1,{\"b\":1e0}],  \"u\":\"\\u00e9\"} } ");
    return TUMBLE_ANSWER_RESPONSE;
}

static void point_15_a_state_alone_is_success_and_travels_byte_for_byte(void **state) {
    (void)state;
    struct world *world = windows_of(60, state_only);
    world->parameters.report_batch_item_failures = 1;
    put(world, 1, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"a\":[1,{\"b\":1e0}],  \"u\":\"\\u00e9\"} [] final\n");
    world_free(world);
}

static enum tumble_answer_kind fail_second_attempt(struct world *world, const struct tumble_function_request *request,
                                                   struct log *answer) {
    enum tumble_answer_kind kind = count_records(world, request, answer);
    return world->invocations == 2 || world->invocations == 3 ? TUMBLE_ANSWER_TIMED_OUT : kind;
}

static void point_16_a_retry_has_the_state_that_the_failed_attempt_had(void **state) {
    (void)state;
    struct world *world = windows_of(60, fail_second_attempt);
    world->parameters.maximum_retry_attempts = 5;
    world->parameters.batch_size = 2;
    put_range(world, 1, 4, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1,2]\n0 {\"n\":2} [3,4]\n0 {\"n\":2} [3,4]\n0 {\"n\":2} [3,4]\n"
                             "0 {\"n\":4} [] final\n");
    assert_string_equal(world->request_ids.text, "abbbc");
    world_free(world);
}

static enum tumble_answer_kind count_until_poison(struct world *world, const struct tumble_function_request *request,
                                                  struct log *answer) {
    if (!contains(request, world->poison)) {
        return count_records(world, request, answer);
    }
    int n = count_in(request->state);
    for (size_t i = 0; i < request->record_count && number_of(&request->records[i]) != world->poison; i++) {
        n++;
    }
    log_add(answer, "{\"state\":{\"n\":%d},\"batchItemFailures\":[{\"itemIdentifier\":\"%s\"}]}", n,
            sequence_of(world->poison));
    return TUMBLE_ANSWER_RESPONSE;
}

static void point_17_a_partial_answer_hands_its_state_to_the_suffix(void **state) {
    (void)state;
    struct world *world = windows_of(60, count_until_poison);
    world->parameters.report_batch_item_failures = 1;
    world->poison = 3;
    put_range(world, 1, 4, 1000);
    put(world, 5, 61000);
    run(world);
    assert_deliveries(world, "0 {} [1,2,3,4]\n0 {\"n\":2} [3,4]\n0 {\"n\":2} [] final\n60 {} [5]\n"
                             "60 {\"n\":1} [] final\n");
    assert_int_equal(world->metrics.discarded_records, 2);
    world_free(world);
}

static enum tumble_answer_kind raise_at_poison(struct world *world, const struct tumble_function_request *request,
                                               struct log *answer) {
    return contains(request, world->poison) ? TUMBLE_ANSWER_CRASHED : count_records(world, request, answer);
}

static void bisect_threads_the_state_from_left_to_right(void **state) {
    (void)state;
    struct world *world = windows_of(60, raise_at_poison);
    world->parameters.bisect_batch_on_function_error = 1;
    world->parameters.maximum_retry_attempts = 1;
    world->poison = 2;
    put_range(world, 1, 4, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1,2,3,4]\n0 {} [1,2]\n0 {} [1]\n0 {\"n\":1} [2]\n0 {\"n\":1} [2]\n"
                             "0 {\"n\":1} [3,4]\n0 {\"n\":3} [] final\n");
    world_free(world);
}

static enum tumble_answer_kind fail_finals(struct world *world, const struct tumble_function_request *request,
                                           struct log *answer) {
    return request->is_final && request->window_start_ms == 0 && world->poison-- > 0
               ? TUMBLE_ANSWER_ERROR
               : count_records(world, request, answer);
}

/* captured: `final_failure`, MaximumRetryAttempts 0 */
static void point_18_a_final_that_fails_is_given_up_with_its_retries(void **state) {
    (void)state;
    for (int retries = 0; retries < 3; retries++) {
        struct world *world = windows_of(10, fail_finals);
        world->parameters.maximum_retry_attempts = retries;
        world->poison = 99;
        put_range(world, 1, 2, 1000);
        put(world, 3, 11000);
        run(world);
        struct log expected = {.length = 0};
        log_add(&expected, "%s", "0 {} [1,2]\n");
        for (int i = 0; i <= retries; i++) {
            log_add(&expected, "%s", "0 {\"n\":2} [] final\n");
        }
        log_add(&expected, "%s", "10 {} [3]\n10 {\"n\":1} [] final\n");
        assert_deliveries(world, expected.text);
        assert_int_equal(lines_in(&world->documents), 1);
        assert_int_equal(world->metrics.discarded_finals, 1);
        assert_int_equal(world->metrics.windows, 1);
        assert_int_equal(world->metrics.discarded_records, 0);
        world_free(world);
    }
}

static void point_19_without_a_limit_a_failing_final_blocks_the_shard(void **state) {
    (void)state;
    struct world *world = windows_of(10, fail_finals);
    world->parameters.maximum_retry_attempts = -1;
    world->poison = 30;
    put(world, 1, 1000);
    put(world, 2, 11000);
    run(world);
    assert_int_equal(world->invocations, 1 + 31 + 2);
    assert_int_equal(world->metrics.windows, 2);
    assert_int_equal(world->metrics.discarded_finals, 0);
    world_free(world);
}

static enum tumble_answer_kind lose_a_final(struct world *world, const struct tumble_function_request *request,
                                            struct log *answer) {
    count_records(world, request, answer);
    return request->is_final && world->poison-- > 0 ? TUMBLE_ANSWER_LOST : TUMBLE_ANSWER_RESPONSE;
}

static void point_47_a_final_whose_answer_was_lost_comes_again_unchanged(void **state) {
    (void)state;
    struct world *world = windows_of(10, lose_a_final);
    world->poison = 2;
    put_range(world, 1, 2, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1,2]\n0 {\"n\":2} [] final\n0 {\"n\":2} [] final\n0 {\"n\":2} [] final\n");
    assert_string_equal(world->request_ids.text, "abbb");
    assert_int_equal(world->metrics.windows, 1);
    world_free(world);
}

static void a_final_grows_too_old_from_when_it_was_due(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, fail_finals);
    world->parameters.maximum_retry_attempts = -1;
    world->parameters.maximum_record_age_in_seconds = 60;
    world->poison = 99;
    put(world, 1, 1000);
    put(world, 2, 500000); /* by then its window has long been quiet */
    run(world);
    /* at 130, 131, 133, 137, 145 and 161 s: the one at 193 s is too late */
    assert_string_equal(world->times.text, "1000 130000 131000 133000 137000 145000 161000 500000 630000 ");
    assert_non_null(strstr(world->documents.text, "\"condition\":\"RecordAgeExceeded\",\"approximateInvokeCount\":6}"));
    assert_null(strstr(world->documents.text, "responseContext"));
    assert_int_equal(world->metrics.discarded_finals, 1);
    world_free(world);
}

static void a_final_that_the_stream_outlives_is_in_no_destination(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, fail_finals);
    world->parameters.maximum_retry_attempts = -1;
    world->options.retention_ms = 3600000;
    world->poison = 9999;
    put(world, 1, 1000);
    put(world, 2, 11000); /* the shard was blocked: it is gone as well */
    put(world, 3, 5000000);
    run(world);
    assert_int_equal(world->metrics.discarded_finals, 1);
    assert_int_equal(world->metrics.lost_to_retention, 1);
    assert_int_equal(world->metrics.windows, 1);
    assert_string_equal(world->documents.text, "");
    world_free(world);
}

static void without_an_idle_time_the_end_of_the_input_closes_a_window(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, count_records);
    world->options.idle_ms = -1;
    put(world, 1, 1000);
    put(world, 2, 3000000);
    run(world);
    assert_string_equal(world->times.text, "1000 3000000 3000000 3000000 ");
    world_free(world);
}

static enum tumble_answer_kind fail_batches(struct world *world, const struct tumble_function_request *request,
                                            struct log *answer) {
    return request->record_count && contains(request, world->poison) ? TUMBLE_ANSWER_ERROR
                                                                     : count_records(world, request, answer);
}

static void a_batch_given_up_leaves_the_window_and_its_state_as_they_were(void **state) {
    (void)state;
    struct world *world = windows_of(60, fail_batches);
    world->parameters.batch_size = 1;
    world->poison = 2;
    put_range(world, 1, 3, 1000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [2]\n0 {\"n\":1} [3]\n0 {\"n\":2} [] final\n");
    world_free(world);
}

static void point_48_a_late_record_gets_a_window_of_its_own(void **state) {
    (void)state;
    struct world *world = windows_of(10, count_records);
    put(world, 1, 1000);
    put(world, 2, 11000);
    put(world, 3, 9999); /* its host's clock is behind */
    put(world, 4, 12000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n10 {} [2]\n10 {\"n\":1} [] final\n"
                             "0 {} [3]\n0 {\"n\":1} [] final\n10 {} [4]\n10 {\"n\":1} [] final\n");
    assert_int_equal(world->metrics.reopened_by_late_records, 1);
    world_free(world);
}

static void point_23_shards_have_states_of_their_own(void **state) {
    (void)state;
    struct world *world = windows_of(60, count_records);
    world->stream.shard_count = 2;
    put_key(world, 0, 1, 1000, "a");
    put_key(world, 1, 2, 1000, "b");
    put_key(world, 1, 3, 1000, "b");
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {} [2,3]\n0 {\"n\":1} [] final\n0 {\"n\":2} [] final\n");
    world_free(world);
}

static void point_52_a_final_has_no_iterator_age(void **state) {
    (void)state;
    struct world *world = live_windows_of(10, count_records);
    put(world, 1, 1000);
    put(world, 2, 2500);
    run(world);
    assert_int_equal(world->metrics.invocations, 3);
    assert_int_equal(world->metrics.iterator_age_ms.count, 2);
    assert_true(world->metrics.iterator_age_ms.most == 0);
    world_free(world);
    world = windows_of(10, count_records);
    world->options.start_ms = 10000;
    put(world, 1, 1000);
    put(world, 2, 2500);
    run(world);
    assert_true(world->metrics.iterator_age_ms.most == 7500); /* of the last record */
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_1_windows_are_aligned_to_the_epoch_wherever_the_mapping_starts),
        cmocka_unit_test(point_2_a_window_does_not_hold_its_end),
        cmocka_unit_test(point_4_every_window_begins_with_an_empty_state),
        cmocka_unit_test(point_5_a_batch_never_mixes_windows),
        cmocka_unit_test(point_5_a_run_that_crosses_a_boundary_is_cut_there_though_the_batching_window_is_open),
        cmocka_unit_test(point_6_and_7_a_final_has_no_records_and_comes_before_the_next_window),
        cmocka_unit_test(point_8_empty_windows_invoke_nothing),
        cmocka_unit_test(point_9_the_clock_alone_does_not_close_a_window_a_later_record_does),
        cmocka_unit_test(point_10_two_minutes_of_quiet_close_a_window),
        cmocka_unit_test(point_11_and_45_the_end_of_a_shard_closes_its_window_and_children_begin_anew),
        cmocka_unit_test(point_12_and_13_a_state_over_the_limit_ends_the_window_early_and_it_goes_on),
        cmocka_unit_test(point_12_the_limit_is_a_mebibyte),
        cmocka_unit_test(point_13_a_window_ended_early_with_nothing_behind_has_no_second_final),
        cmocka_unit_test(point_14_a_response_without_a_state_is_a_failed_invocation),
        cmocka_unit_test(point_14_on_a_final_too_unless_it_is_set_otherwise),
        cmocka_unit_test(point_15_a_state_alone_is_success_and_travels_byte_for_byte),
        cmocka_unit_test(point_16_a_retry_has_the_state_that_the_failed_attempt_had),
        cmocka_unit_test(point_17_a_partial_answer_hands_its_state_to_the_suffix),
        cmocka_unit_test(point_18_a_final_that_fails_is_given_up_with_its_retries),
        cmocka_unit_test(point_19_without_a_limit_a_failing_final_blocks_the_shard),
        cmocka_unit_test(point_23_shards_have_states_of_their_own),
        cmocka_unit_test(point_45_a_merged_shard_waits_for_both_parents),
        cmocka_unit_test(point_47_a_final_whose_answer_was_lost_comes_again_unchanged),
        cmocka_unit_test(point_48_a_late_record_gets_a_window_of_its_own),
        cmocka_unit_test(point_52_a_final_has_no_iterator_age),
        cmocka_unit_test(an_early_end_between_the_halves_of_a_batch_leaves_the_rest_an_empty_state),
        cmocka_unit_test(an_early_final_that_is_given_up_takes_its_state_along),
        cmocka_unit_test(bisect_threads_the_state_from_left_to_right),
        cmocka_unit_test(a_final_grows_too_old_from_when_it_was_due),
        cmocka_unit_test(a_final_that_the_stream_outlives_is_in_no_destination),
        cmocka_unit_test(without_an_idle_time_the_end_of_the_input_closes_a_window),
        cmocka_unit_test(a_batch_given_up_leaves_the_window_and_its_state_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
