#include "mapping_fixture.h"

/* A mapping that is disabled in mid-run and enabled again: "Lambda keeps track of the last record processed and resumes
 * processing from that point". What becomes of an open window AWS does not say (docs/assumptions.md). */

static enum tumble_answer_kind count_records(struct world *world, const struct tumble_function_request *request,
                                             struct log *answer) {
    (void)world;
    log_add(answer, "{\"state\":{\"n\":%d}}", count_in(request->state) + (int)request->record_count);
    return TUMBLE_ANSWER_RESPONSE;
}

static enum tumble_answer_kind fail_once(struct world *world, const struct tumble_function_request *request,
                                         struct log *answer) {
    if (world->invocations == 1) {
        return TUMBLE_ANSWER_ERROR;
    }
    return count_records(world, request, answer);
}

static struct world *paused(int64_t from_ms, int64_t again_ms, world_handler handler) {
    struct world *world = world_new(handler);
    world->options.start_ms = 0;
    world->options.arrival = TUMBLE_ARRIVAL_LIVE;
    world->options.poll_interval_ms = -1;
    world->options.has_pause = 1;
    world->options.disabled_from_ms = from_ms;
    world->options.enabled_again_ms = again_ms;
    return world;
}

static void a_mapping_enabled_again_goes_on_behind_the_last_record_processed(void **state) {
    (void)state;
    struct world *world = paused(2000, 60000, succeed);
    put(world, 1, 1000);
    put(world, 2, 5000);
    put(world, 3, 10000);
    put(world, 4, 70000);
    run(world);
    assert_deliveries(world, "[1]\n[2,3]\n[4]\n");
    assert_string_equal(world->times.text, "1000 60000 70000 ");
    assert_int_equal(world->metrics.succeeded_records, 4);
    world_free(world);
}

static void the_bounds_are_half_open(void **state) {
    (void)state;
    struct world *world = paused(2000, 5000, succeed);
    put(world, 1, 1999);
    put(world, 2, 2000);
    put(world, 3, 5000);
    run(world);
    assert_deliveries(world, "[1]\n[2,3]\n");
    assert_string_equal(world->times.text, "1999 5000 ");
    world_free(world);
}

static void what_runs_when_it_is_disabled_counts(void **state) {
    (void)state;
    struct world *world = paused(2000, 60000, succeed);
    world->duration_us = 5000000;
    put(world, 1, 1000);
    put(world, 2, 3000);
    run(world);
    assert_deliveries(world, "[1]\n[2]\n");
    assert_string_equal(world->times.text, "1000 60000 ");
    world_free(world);
}

static void an_open_window_goes_on_with_its_state(void **state) {
    (void)state;
    struct world *world = paused(20000, 60000, count_records);
    world->parameters.tumbling_window_in_seconds = 120;
    put(world, 1, 10000);
    put(world, 2, 30000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [2]\n0 {\"n\":2} [] final\n");
    assert_string_equal(world->times.text, "10000 60000 240000 ");
    world_free(world);
}

static void a_final_that_was_due_waits(void **state) {
    (void)state;
    struct world *world = paused(140000, 400000, count_records);
    world->parameters.tumbling_window_in_seconds = 30;
    put(world, 1, 10000);
    put(world, 2, 200000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n0 {\"n\":1} [] final\n180 {} [2]\n180 {\"n\":1} [] final\n");
    assert_string_equal(world->times.text, "10000 400000 400000 400000 ");
    world_free(world);
}

static void a_retry_stays_one(void **state) {
    (void)state;
    struct world *world = paused(1500, 60000, fail_once);
    world->parameters.maximum_retry_attempts = 1;
    put(world, 1, 1000);
    put(world, 2, 30000);
    run(world);
    assert_deliveries(world, "[1]\n[1]\n[2]\n");
    assert_string_equal(world->request_ids.text, "aab");
    assert_string_equal(world->times.text, "1000 60000 60000 ");
    world_free(world);
}

static void the_halves_of_a_batch_stay_halves(void **state) {
    (void)state;
    struct world *world = paused(1000, 60000, fail_once);
    world->parameters.bisect_batch_on_function_error = 1;
    world->options.retry_backoff_ms = 1000;
    world->duration_us = 1000000;
    put(world, 1, 500);
    put(world, 2, 500);
    put(world, 3, 500);
    put(world, 4, 500);
    put(world, 5, 30000);
    run(world);
    assert_deliveries(world, "[1,2,3,4]\n[1,2]\n[3,4]\n[5]\n");
    world_free(world);
}

static void records_grow_old_meanwhile(void **state) {
    (void)state;
    struct world *world = paused(1500, 100000, succeed);
    world->parameters.maximum_record_age_in_seconds = 60;
    put(world, 1, 1000);
    put(world, 2, 2000);
    put(world, 3, 90000);
    run(world);
    assert_deliveries(world, "[1]\n[3]\n");
    assert_non_null(strstr(world->documents.text, "RecordAgeExceeded"));
    world_free(world);
}

static void without_an_end_nothing_more_is_delivered(void **state) {
    (void)state;
    struct world *world = paused(2000, INT64_MAX, count_records);
    world->parameters.tumbling_window_in_seconds = 30;
    put(world, 1, 1000);
    put(world, 2, 3000);
    run(world);
    assert_deliveries(world, "0 {} [1]\n");
    assert_int_equal(world->metrics.discarded_records, 0);
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapping_enabled_again_goes_on_behind_the_last_record_processed),
        cmocka_unit_test(the_bounds_are_half_open),
        cmocka_unit_test(what_runs_when_it_is_disabled_counts),
        cmocka_unit_test(an_open_window_goes_on_with_its_state),
        cmocka_unit_test(a_final_that_was_due_waits),
        cmocka_unit_test(a_retry_stays_one),
        cmocka_unit_test(the_halves_of_a_batch_stay_halves),
        cmocka_unit_test(records_grow_old_meanwhile),
        cmocka_unit_test(without_an_end_nothing_more_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
