#include <pthread.h>

#include "event_fixture.h"

enum { T0 = 1607497440 }; /* seconds: a window begins */

struct worker {
    struct tumble_shard *shard;
    const char *id;
    int failed;
};

static void *work(void *ctx) {
    struct worker *worker = ctx;
    struct writer w = {.out = new_buf(), .random = 77};
    for (uint64_t event = 0; event < 60; event++) {
        begin_records(&w, (unsigned)event % SPELLINGS);
        for (uint64_t r = 0; r < 50; r++) {
            static const char payload[] = "{\"k\":\"some group\",\"v\":1.25}";
            struct item item = {.shard = worker->id,
                                .sequence = 50 * event + r,
                                .arrival_ms = T0 * INT64_C(1000) + (int64_t)(event * 7000 + r),
                                .payload = {payload, sizeof payload - 1}};
            put_item(&w, &item);
        }
        end_records(&w);
        struct tumble_bytes id;
        worker->failed |= tumble_event_shard_id(tw_buf_view(&w.out), &id, NULL) != TUMBLE_OK && event % SPELLINGS < 8;
        worker->failed |= tumble_shard_apply_event(worker->shard, tw_buf_view(&w.out), NULL, NULL) != TUMBLE_OK;
    }
    tw_buf_clean_up(&w.out);
    return NULL;
}

static void events_of_two_shards_may_be_applied_at_once(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct worker workers[2] = {{.id = SHARD}, {.id = "shardId-000000000007"}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i].shard = shard_of(engine, workers[i].id);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    struct tumble_counters counters;
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.fates[TUMBLE_FATE_APPLIED], 2 * 60 * 50);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_two_shards_may_be_applied_at_once),
    };
    return cmocka_run_group_tests_name("event_apply_threads", tests, NULL, NULL);
}
