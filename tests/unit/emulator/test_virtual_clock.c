#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "emulator/emulator.h"

static struct tumble_virtual_clock clock_of(int64_t window_ms, int64_t allowed_lateness_ms) {
    struct tumble_virtual_clock clock = {
        .watermark_ms = -1, .allowed_lateness_ms = allowed_lateness_ms, .window_ms = window_ms};
    return clock;
}

/* lambda-semantics point 1, and the guide's own example: 1607497475 s with windows of 120 s. */
static void windows_start_at_multiples_of_their_length_in_epoch_time(void **state) {
    (void)state;
    struct tumble_virtual_clock clock = clock_of(120000, 0);
    int64_t start;
    assert_int_equal(tumble_virtual_clock_arrive(&clock, INT64_C(1607497475000), &start), TUMBLE_ARRIVAL_ON_TIME);
    assert_int_equal(start, INT64_C(1607497440000));
    clock = clock_of(7000, 0); /* a length that does not divide an hour */
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 20999, &start), TUMBLE_ARRIVAL_ON_TIME);
    assert_int_equal(start, 14000);
}

/* point 2 */
static void a_record_at_the_end_of_a_window_belongs_to_the_next_one(void **state) {
    (void)state;
    struct tumble_virtual_clock clock = clock_of(10000, 0);
    int64_t start;
    tumble_virtual_clock_arrive(&clock, 9999, &start);
    assert_int_equal(start, 0);
    tumble_virtual_clock_arrive(&clock, 10000, &start);
    assert_int_equal(start, 10000);
}

static void a_record_of_a_closed_window_is_late(void **state) {
    (void)state;
    struct tumble_virtual_clock clock = clock_of(10000, 0);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 5000, NULL), TUMBLE_ARRIVAL_ON_TIME);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 9999, NULL), TUMBLE_ARRIVAL_ON_TIME);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 0, NULL),
                     TUMBLE_ARRIVAL_ON_TIME); /* out of order, still open */
    assert_false(tumble_virtual_clock_closed(&clock, 0));
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 10000, NULL), TUMBLE_ARRIVAL_ON_TIME);
    assert_true(tumble_virtual_clock_closed(&clock, 0));
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 9999, NULL), TUMBLE_ARRIVAL_LATE);
    assert_int_equal(clock.watermark_ms, 10000); /* a late record does not move it back */
}

static void allowed_lateness_keeps_a_window_open_that_much_longer(void **state) {
    (void)state;
    struct tumble_virtual_clock clock = clock_of(10000, 5000);
    tumble_virtual_clock_arrive(&clock, 14999, NULL);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 9999, NULL), TUMBLE_ARRIVAL_ON_TIME);
    tumble_virtual_clock_arrive(&clock, 15000, NULL);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 9999, NULL), TUMBLE_ARRIVAL_LATE);
}

static void a_lateness_beyond_the_end_of_time_never_closes(void **state) {
    (void)state;
    struct tumble_virtual_clock clock = clock_of(1000, INT64_MAX);
    tumble_virtual_clock_arrive(&clock, INT64_C(253402300799999), NULL);
    assert_int_equal(tumble_virtual_clock_arrive(&clock, 0, NULL), TUMBLE_ARRIVAL_ON_TIME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_start_at_multiples_of_their_length_in_epoch_time),
        cmocka_unit_test(a_record_at_the_end_of_a_window_belongs_to_the_next_one),
        cmocka_unit_test(a_record_of_a_closed_window_is_late),
        cmocka_unit_test(allowed_lateness_keeps_a_window_open_that_much_longer),
        cmocka_unit_test(a_lateness_beyond_the_end_of_time_never_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
