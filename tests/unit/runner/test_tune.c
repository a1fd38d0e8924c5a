#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner/tune.h"

static struct tumble_error err;

/* ---- which points are worth having ---- */

static struct tumble_tune_point point(int64_t age_ms, double price) {
    struct tumble_tune_point made = {
        .was_run = 1, .age_p99_ms = age_ms, .age_most_ms = 2 * age_ms, .wait_p99_ms = age_ms};
    made.cost[TW_STREAM_PROVISIONED].total = price;
    made.cost[TW_STREAM_ON_DEMAND].total = 10 - price;
    return made;
}

static void points_that_others_are_better_than_are_not_marked(void **state) {
    (void)state;
    struct tumble_tune_point points[] = {point(100, 5), point(200, 4), point(200, 5),
                                         point(300, 3), point(300, 3), point(50, 9)};
    points[5].problem = TUMBLE_TUNE_OVERLOADED;
    tumble_tune_pareto(points, 6, TW_STREAM_PROVISIONED);
    assert_true(points[0].is_pareto && points[1].is_pareto && points[3].is_pareto);
    assert_false(points[2].is_pareto);                         /* as slow as 1, and dearer */
    assert_true(!points[4].is_pareto && !points[5].is_pareto); /* the equal of 3; cannot be had */
    points[2].wait_p99_ms = 10;
    tumble_tune_pareto(points, 6, TW_STREAM_PROVISIONED);
    assert_true(points[2].is_pareto);
    tumble_tune_pareto(points, 6, TW_STREAM_ON_DEMAND); /* what was dear is cheap */
    assert_false(points[3].is_pareto);
}

static void a_choice_follows_its_objective_and_its_limit(void **state) {
    (void)state;
    struct tumble_tune_point points[] = {point(100, 5), point(120, 4), point(900, 3)};
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_LATENCY, 0), 0);
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 0), 2);
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_BALANCED, 0), 1);
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 240),
                     1); /* ages reach twice p99 */
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 100), -1);
    points[2].early_terminations = 1;
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 0), 1);
    points[0].problem = points[1].problem = TUMBLE_TUNE_TIMED_OUT;
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 0), 2);
    points[2].problem = TUMBLE_TUNE_OVERLOADED; /* then it has to do */
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 0), 2);
    points[2].problem = TUMBLE_TUNE_FAILED;
    assert_int_equal(tumble_tune_choose(points, 3, TW_STREAM_PROVISIONED, TUMBLE_TUNE_PRICE, 0), -1);
}

static void memory_brings_processor_up_to_one(void **state) {
    (void)state;
    assert_true(tumble_tune_at_memory_us(100, TUMBLE_TUNE_VCPU_MB) == 100);
    assert_true(tumble_tune_at_memory_us(100, 10240) == 100);
    assert_true(tumble_tune_at_memory_us(128, 128) == TUMBLE_TUNE_VCPU_MB);
}

/* ---- a capture over a grid ---- */

static char path[] = "/tmp/tune_XXXXXX";
static struct tumble_spec *spec;
static struct tw_prices prices;
static const struct tumble_duration_model model = {.us = {500, 3, 1, 1, 1, 200, 1, 100, 1}};

static int set_up(void **state) {
    (void)state;
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        return -1;
    }
    for (int i = 0; i < 4000; i++) {
        fprintf(file, "{\"ts\":%lld,\"k\":\"%d\",\"v\":%d}\n", 1762732800000LL + i * 7, i % 5, i);
    }
    fclose(file);
    struct tumble_alloc alloc = {0};
    static const char text[] = "{\"window\":{\"seconds\":10},\"timestamp\":{\"field\":\"ts\"},\"group_by\":[\"k\"],"
                               "\"aggregates\":[{\"name\":\"v\",\"function\":\"sum\",\"field\":\"v\"}]}";
    return tumble_spec_parse(tumble_bytes_of(text), NULL, alloc, &spec, &err) == TUMBLE_OK &&
                   tw_prices_default(&prices, &err) == TUMBLE_OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    tumble_spec_destroy(spec);
    return 0;
}

static uint32_t told;
static void on_progress(void *ctx, uint32_t done, uint32_t total) {
    (void)ctx;
    told = done <= total && done == told + 1 ? done : UINT32_MAX / 2;
}

static enum tumble_code tune(const struct tumble_tune_grid *grid, uint32_t threads, int (*interrupted)(void *),
                             struct tumble_tune_result *out) {
    static const char *paths[1];
    struct tumble_mapping_parameters parameters;
    struct tumble_alloc alloc = {0};
    paths[0] = path;
    told = 0;
    tumble_mapping_parameters_init(&parameters, alloc);
    parameters.tumbling_window_in_seconds = 10;
    parameters.starting_position = TUMBLE_TRIM_HORIZON;
    struct tumble_tune_options options = {.source = {.paths = paths,
                                                     .path_count = 1,
                                                     .timestamp_field = "ts",
                                                     .timestamp_format = *tumble_spec_timestamp_format(spec)},
                                          .grid = grid,
                                          .parameters = &parameters,
                                          .spec = spec,
                                          .timeout_ms = 60000,
                                          .model = &model,
                                          .prices = &prices,
                                          .threads = threads,
                                          .progress = on_progress,
                                          .interrupted = interrupted};
    enum tumble_code code = tumble_tune(&options, out, &err);
    tumble_mapping_parameters_clean_up(&parameters);
    return code;
}

static void threads_change_nothing(void **state) {
    (void)state;
    struct tumble_tune_grid grid = {
        .shards = {{1, 3}, 2}, .memory_mb = {{128, 1769}, 2}, .batch_sizes = {{50, 400}, 2}};
    struct tumble_tune_result one, four;
    assert_int_equal(tune(&grid, 1, NULL, &one), TUMBLE_OK);
    assert_int_equal(told, 2 * 2 * 2 * 3); /* three batching windows by default */
    assert_int_equal(tune(&grid, 4, NULL, &four), TUMBLE_OK);
    assert_int_equal(told, one.point_count);
    assert_int_equal(one.point_count, four.point_count);
    assert_memory_equal(one.points, four.points, one.point_count * sizeof *one.points);
    assert_true(one.chosen >= 0 && one.chosen == four.chosen);
    for (uint32_t i = 0; i < one.point_count; i++) {
        assert_true(one.points[i].was_run && one.points[i].problem == TUMBLE_TUNE_FINE &&
                    one.points[i].invocations > 0);
        assert_true(one.points[i].age_most_ms <= one.points[i].wait_most_ms);
    }
    tumble_tune_result_clean_up(&one);
    tumble_tune_result_clean_up(&four);
}

static void a_grid_that_is_none_is_refused(void **state) {
    (void)state;
    struct tumble_tune_result result;
    struct tumble_tune_grid twice = {.batch_sizes = {{100, 200, 100}, 3}};
    assert_int_equal(tune(&twice, 1, NULL, &result), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "--batch-size: 100 stands there twice");
    tumble_tune_result_clean_up(&result);
    struct tumble_tune_grid beyond = {.batching_windows = {{301}, 1}};
    assert_int_equal(tune(&beyond, 1, NULL, &result), TUMBLE_EUSAGE);
    tumble_tune_result_clean_up(&result);
}

static int at_once(void *ctx) {
    (void)ctx;
    return 1;
}

static void a_signal_ends_it(void **state) {
    (void)state;
    struct tumble_tune_grid grid = {.shards = {{1}, 1}};
    struct tumble_tune_result result;
    assert_int_equal(tune(&grid, 2, at_once, &result), TUMBLE_OK);
    assert_true(result.stopped && result.chosen < 0);
    tumble_tune_result_clean_up(&result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_that_others_are_better_than_are_not_marked),
        cmocka_unit_test(a_choice_follows_its_objective_and_its_limit),
        cmocka_unit_test(memory_brings_processor_up_to_one),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(a_grid_that_is_none_is_refused),
        cmocka_unit_test(a_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
