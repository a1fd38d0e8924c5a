#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runner/watch.h"

static const int64_t begin_us = INT64_C(1750000000) * 1000000;

/* What a look saw, summed up. */
struct seen {
    struct tumble_watch_view view;
    uint64_t records, batches, errors, throttles, retries, windows, read_records, read_bytes, latencies;
    uint64_t shard_records, shard_batches, series_records;
    int64_t age_most;
    double p50_us, p99_us;
    struct tumble_watch_fragment fragments[TUMBLE_WATCH_FRAGMENTS];
    char last_shard[TUMBLE_WATCH_NAME];
};

static void sum_up(void *ctx, const struct tumble_watch_view *view) {
    struct seen *seen = ctx;
    memset(seen, 0, sizeof *seen);
    seen->view = *view;
    seen->age_most = -1;
    for (uint32_t i = 0; i < view->point_count; i++) {
        const struct tumble_watch_point *point = &view->points[i];
        seen->records += point->records;
        seen->batches += point->batches;
        seen->errors += point->errors;
        seen->throttles += point->throttles;
        seen->retries += point->retries;
        seen->windows += point->windows_closed;
        seen->read_records += point->read_records;
        seen->read_bytes += point->read_bytes;
        seen->age_most = point->age_most_ms > seen->age_most ? point->age_most_ms : seen->age_most;
        for (uint32_t k = 0; k < view->shard_series; k++) {
            seen->series_records += view->shard_records[k * TUMBLE_WATCH_POINTS + i];
        }
        for (uint32_t k = 0; k < TUMBLE_WATCH_SERIES_BUCKETS; k++) {
            seen->latencies += point->latency[k];
        }
    }
    if (view->point_count) {
        seen->p50_us = tumble_watch_point_latency_us(&view->points[0], 0.5);
        seen->p99_us = tumble_watch_point_latency_us(&view->points[0], 0.99);
    }
    for (uint32_t i = 0; i < view->shard_count; i++) {
        seen->shard_records += view->shards[i].records;
        seen->shard_batches += view->shards[i].batches;
        memcpy(seen->last_shard, view->shards[i].id, sizeof seen->last_shard);
    }
    memcpy(seen->fragments, view->timeline.fragments, view->timeline.count * sizeof seen->fragments[0]);
}

static struct seen *look(struct tumble_watch *watch) {
    static struct seen seen;
    tumble_watch_look(watch, sum_up, &seen);
    return &seen;
}

static void tell(struct tumble_watch *watch, uint32_t shard, int64_t at_us, uint64_t records, int64_t window_ms) {
    tumble_watch_batch(watch, &(struct tumble_watch_batch){.shard = shard,
                                                           .at_us = at_us,
                                                           .duration_ns = 1000000,
                                                           .records = records,
                                                           .new_records = records,
                                                           .bytes = records * 100,
                                                           .iterator_age_ms = (int64_t)records,
                                                           .last_arrival_ms = at_us / 1000,
                                                           .window_start_ms = window_ms,
                                                           .window_end_ms = window_ms < 0 ? -1 : window_ms + 60000});
}

static void a_run_of_any_length_keeps_its_sums_and_its_peaks(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_MAPPING);
    uint32_t shard = tumble_watch_shard(watch, tumble_bytes_of("shardId-000000000000"));
    for (int64_t i = 0; i < 5000; i++) { /* from seconds to weeks between batches */
        tell(watch, shard, begin_us + i * i * 100000, i == 777 ? 9999 : (uint64_t)(i % 1000), -1);
        tumble_watch_read(watch, begin_us + i * i * 100000, (uint64_t)i + 1, 10 * ((uint64_t)i + 1), -1);
    }
    const struct seen *seen = look(watch);
    assert_true(seen->view.point_count <= TUMBLE_WATCH_POINTS);
    assert_true(seen->view.point_count > TUMBLE_WATCH_POINTS / 2);
    assert_int_equal(seen->batches, 5000);
    assert_int_equal(seen->records, 5 * 499500 - 777 + 9999);
    assert_int_equal(seen->series_records, seen->records);
    assert_int_equal(seen->shard_records, seen->records);
    assert_int_equal(seen->view.records, seen->records);
    assert_int_equal(seen->latencies, 5000);
    assert_int_equal(seen->age_most, 9999);
    assert_int_equal(seen->read_records, 5000);
    assert_int_equal(seen->read_bytes, 50000);
    assert_int_equal(seen->view.began_us, begin_us);
    assert_int_equal(seen->view.now_us, begin_us + INT64_C(4999) * 4999 * 100000);
    assert_true(seen->view.step_us * seen->view.point_count >= seen->view.now_us - seen->view.began_us);
    tumble_watch_destroy(watch);
}

static void records_flow_from_the_first_to_the_last_batch_that_has_any(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_MAPPING);
    uint32_t shard = tumble_watch_shard(watch, tumble_bytes_of("s"));
    tumble_watch_read(watch, begin_us, 0, 0, -1);
    assert_int_equal(look(watch)->view.flow_began_us, -1);
    tell(watch, shard, begin_us + 1000000, 0, -1);
    assert_int_equal(look(watch)->view.flow_ended_us, -1);
    tell(watch, shard, begin_us + 5000000, 50, -1); /* 50 ms old */
    tell(watch, shard, begin_us + 9000000, 10, -1);
    tell(watch, shard, begin_us + 129000000, 0, -1); /* the final of a window */
    const struct seen *seen = look(watch);
    assert_int_equal(seen->view.flow_began_us, begin_us + 4950000);
    assert_int_equal(seen->view.flow_ended_us, begin_us + 9001000); /* it took a millisecond */
    assert_int_equal(seen->view.now_us, begin_us + 129000000);
    tell(watch, shard, begin_us + 5000000, 9999, -1); /* waited for the run to begin */
    assert_int_equal(look(watch)->view.flow_began_us, begin_us);
    tumble_watch_destroy(watch);
}

static void a_point_s_latencies_are_at_most_an_eighth_above_the_true_ones(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_LIVE);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct tumble_watch_batch batch = {.at_us = begin_us,
                                           .duration_ns = i * 1000000,
                                           .iterator_age_ms = -1,
                                           .last_arrival_ms = -1,
                                           .window_start_ms = -1};
        batch.shard = tumble_watch_shard(watch, tumble_bytes_of("s"));
        tumble_watch_batch(watch, &batch);
    }
    const struct seen *seen = look(watch);
    assert_true(seen->p50_us >= 500000 && seen->p50_us <= 500000 * 1.126);
    assert_true(seen->p99_us >= 990000 && seen->p99_us <= 990000 * 1.126);
    const struct tumble_watch_histogram *took = &seen->view.took[TUMBLE_WATCH_INVOCATION];
    uint64_t upto_a_tenth = 0;
    for (int i = 0; took->bounds[i] <= 100000000; i++) {
        upto_a_tenth += took->upto[i];
    }
    assert_int_equal(upto_a_tenth, 100); /* exact: 1 … 100 ms */
    assert_int_equal(took->fine.count, 1000);
    assert_int_equal(took->sum, UINT64_C(500500) * 1000000);
    tumble_watch_destroy(watch);
}

static void throttles_are_no_batches_and_errors_are(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_MAPPING);
    struct tumble_watch_batch batch = {.records = 10, .new_records = 10, .at_us = begin_us, .window_start_ms = -1};
    batch.shard = tumble_watch_shard(watch, tumble_bytes_of("s"));
    batch.outcome = TUMBLE_WATCH_THROTTLED;
    tumble_watch_batch(watch, &batch);
    batch.outcome = TUMBLE_WATCH_ERROR;
    batch.is_retry = 1;
    tumble_watch_batch(watch, &batch);
    batch.outcome = TUMBLE_WATCH_SUCCEEDED;
    batch.new_records = 0;
    tumble_watch_batch(watch, &batch);
    const struct seen *seen = look(watch);
    assert_int_equal(seen->throttles, 1);
    assert_int_equal(seen->view.throttles, 1);
    assert_int_equal(seen->batches, 2);
    assert_int_equal(seen->errors, 1);
    assert_int_equal(seen->retries, 2);
    assert_int_equal(seen->records, 20);
    assert_int_equal(seen->view.new_records, 10);
    tumble_watch_destroy(watch);
}

static void close_window(struct tumble_watch *watch, uint32_t shard, int64_t at_us, int64_t start_ms, int early) {
    tumble_watch_window_closed(watch, &(struct tumble_watch_closing){.shard = shard,
                                                                     .is_early = early,
                                                                     .at_us = at_us,
                                                                     .window_start_ms = start_ms,
                                                                     .window_end_ms = start_ms + 60000,
                                                                     .records = -1,
                                                                     .groups = 3,
                                                                     .state_bytes = 77});
}

static void a_window_that_opens_again_is_a_further_fragment(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_MAPPING);
    uint32_t a = tumble_watch_shard(watch, tumble_bytes_of("a")), b = tumble_watch_shard(watch, tumble_bytes_of("b"));
    assert_int_equal(tumble_watch_shard(watch, tumble_bytes_of("a")), a);
    tell(watch, a, begin_us, 5, 60000);
    tell(watch, b, begin_us + 1, 7, 60000);
    tell(watch, a, begin_us + 2, 6, 60000);
    close_window(watch, a, begin_us + 10, 60000, 1);
    tell(watch, a, begin_us + 20, 1, 60000);
    close_window(watch, a, begin_us + 30, 60000, 0);
    const struct seen *seen = look(watch);
    assert_int_equal(seen->view.timeline.count, 3);
    assert_int_equal(seen->view.timeline.every, 1);
    assert_int_equal(seen->view.windows_closed, 1);
    assert_int_equal(seen->view.fragments_early, 1);
    const struct tumble_watch_fragment *fragments = seen->fragments;
    assert_int_equal(fragments[0].records, 11);
    assert_int_equal(fragments[0].batches, 2);
    assert_int_equal(fragments[0].ordinal, 1);
    assert_int_equal(fragments[0].closed_us, begin_us + 10);
    assert_int_equal(fragments[0].state_bytes, 77);
    assert_true(fragments[0].is_early);
    assert_int_equal(fragments[1].shard, b);
    assert_int_equal(fragments[1].closed_us, -1);
    assert_int_equal(fragments[2].ordinal, 2);
    assert_int_equal(fragments[2].records, 1);
    assert_false(fragments[2].is_early);
    tumble_watch_destroy(watch);
}

static void a_long_timeline_keeps_every_nth_window_of_all_shards(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_HELD);
    uint32_t shards[3];
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('a' + i), 0};
        shards[i] = tumble_watch_shard(watch, tumble_bytes_of(id));
    }
    for (int64_t window = 0; window < 20000; window++) {
        for (int i = 0; i < 3; i++) {
            tell(watch, shards[i], begin_us + window * 1000, 2, window * 60000);
            close_window(watch, shards[i], begin_us + window * 1000 + 1, window * 60000, 0);
        }
    }
    const struct seen *seen = look(watch);
    const struct tumble_watch_timeline *timeline = &seen->view.timeline;
    assert_int_equal(timeline->every, 16);
    assert_int_equal(timeline->count, 3 * 20000 / 16);
    assert_int_equal(seen->view.windows_closed, 60000);
    assert_int_equal(seen->windows, 60000);
    for (uint32_t i = 0; i < timeline->count; i++) {
        assert_int_equal(seen->fragments[i].start_ms / 60000 % 16, 0);
        assert_int_equal(seen->fragments[i].records, 2);
        assert_int_equal(seen->fragments[i].ordinal, 1);
        assert_int_equal(seen->fragments[i].shard, shards[i % 3]);
    }
    tumble_watch_destroy(watch);
}

static void shards_beyond_those_told_apart_are_one(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_LIVE);
    for (int i = 0; i < 3 * TUMBLE_WATCH_SHARDS; i++) {
        char id[32];
        int length = snprintf(id, sizeof id, "shardId-%012d", i);
        uint32_t shard = tumble_watch_shard(watch, (struct tumble_bytes){id, (size_t)length});
        assert_int_equal(shard, i < TUMBLE_WATCH_SHARDS ? i : TUMBLE_WATCH_SHARDS);
        tell(watch, shard, begin_us, 1, 0);
        close_window(watch, shard, begin_us, 0, 0);
        tumble_watch_shard_gone(watch, shard);
    }
    const struct seen *seen = look(watch);
    assert_int_equal(seen->view.shard_count, TUMBLE_WATCH_SHARDS + 1);
    assert_string_equal(seen->last_shard, "other");
    assert_int_equal(seen->shard_records, 3 * TUMBLE_WATCH_SHARDS);
    assert_int_equal(seen->series_records, TUMBLE_WATCH_SHARD_SERIES);
    assert_int_equal(seen->view.timeline.count, TUMBLE_WATCH_SHARD_SERIES);
    assert_int_equal(seen->view.timeline.left_out_shards, 3 * TUMBLE_WATCH_SHARDS - TUMBLE_WATCH_SHARD_SERIES);
    tumble_watch_destroy(watch);
}

static void nobody_looking_costs_nothing(void **state) {
    (void)state;
    tell(NULL, tumble_watch_shard(NULL, tumble_bytes_of("a")), begin_us, 1, -1);
    close_window(NULL, 0, begin_us, 0, 0);
    tumble_watch_read(NULL, begin_us, 1, 1, 1);
    tumble_watch_took(NULL, TUMBLE_WATCH_COMMIT, begin_us, 1);
    tumble_watch_event(NULL, TUMBLE_WATCH_READ_ERROR, 0, begin_us);
    tumble_watch_engine(NULL, NULL, begin_us);
    tumble_watch_counters(NULL, NULL);
    tumble_watch_mapping(NULL, NULL);
    tumble_watch_shard_gone(NULL, 0);
    tumble_watch_destroy(NULL);
}

static void *tell_much(void *ctx) {
    struct tumble_watch *watch = ctx;
    uint32_t shard = tumble_watch_shard(watch, tumble_bytes_of("together"));
    for (int64_t i = 0; i < 2000; i++) {
        tell(watch, shard, tumble_watch_now_us(), 3, i % 10 * 60000);
        tumble_watch_took(watch, TUMBLE_WATCH_COMMIT, tumble_watch_now_us(), 5);
    }
    return NULL;
}

static void threads_tell_and_look_at_the_same_time(void **state) {
    (void)state;
    struct tumble_watch *watch = tumble_watch_new(TUMBLE_WATCH_LIVE);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, tell_much, watch), 0);
    }
    for (int i = 0; i < 20; i++) {
        const struct seen *seen = look(watch);
        assert_int_equal(seen->records, seen->view.records);
        assert_int_equal(seen->records, 3 * seen->batches);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(look(watch)->batches, 8000);
    assert_int_equal(look(watch)->view.shard_count, 1);
    tumble_watch_destroy(watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_of_any_length_keeps_its_sums_and_its_peaks),
        cmocka_unit_test(records_flow_from_the_first_to_the_last_batch_that_has_any),
        cmocka_unit_test(a_point_s_latencies_are_at_most_an_eighth_above_the_true_ones),
        cmocka_unit_test(throttles_are_no_batches_and_errors_are),
        cmocka_unit_test(a_window_that_opens_again_is_a_further_fragment),
        cmocka_unit_test(a_long_timeline_keeps_every_nth_window_of_all_shards),
        cmocka_unit_test(shards_beyond_those_told_apart_are_one),
        cmocka_unit_test(nobody_looking_costs_nothing),
        cmocka_unit_test(threads_tell_and_look_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
