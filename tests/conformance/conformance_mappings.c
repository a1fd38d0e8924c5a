#include "mapping_fixture.h"

/* Two mappings on one stream. */

static struct world *other;

static enum tumble_answer_kind count_records(struct world *world, const struct tumble_function_request *request,
                                             struct log *answer) {
    if (world->invocations == 2 && other) { /* in the middle of a window of the first, all of the second */
        struct world *second = other;
        other = NULL;
        run(second);
    }
    log_add(answer, "{\"state\":{\"n\":%d}}", count_in(request->state) + (int)request->record_count);
    return TUMBLE_ANSWER_RESPONSE;
}

static struct world *mapping_of(uint32_t batch_size) {
    struct world *world = world_new(count_records);
    world->parameters.tumbling_window_in_seconds = 60;
    world->parameters.batch_size = batch_size;
    put_range(world, 1, 4, 1000);
    return world;
}

static void point_23_two_mappings_of_a_stream_have_states_of_their_own(void **state) {
    (void)state;
    struct world *first = mapping_of(1), *second = mapping_of(3);
    other = second;
    run(first);
    assert_deliveries(first, "0 {} [1]\n0 {\"n\":1} [2]\n0 {\"n\":2} [3]\n0 {\"n\":3} [4]\n0 {\"n\":4} [] final\n");
    assert_deliveries(second, "0 {} [1,2,3]\n0 {\"n\":3} [4]\n0 {\"n\":4} [] final\n");
    world_free(first);
    world_free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_23_two_mappings_of_a_stream_have_states_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
