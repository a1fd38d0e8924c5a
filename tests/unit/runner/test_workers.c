#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#include "runner/workers.h"

enum { ITEMS = 97 };

struct job {
    uint32_t done[ITEMS];
};

static void mark(void *ctx, uint32_t item) { ((struct job *)ctx)->done[item]++; }

static void every_item_of_every_job_is_done_once(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct tumble_workers *workers;
        assert_int_equal(tumble_workers_new(threads, &workers, NULL), TUMBLE_OK);
        struct job job = {0};
        for (uint32_t round = 1; round <= 300; round++) {
            uint32_t count = round % (ITEMS + 1);
            struct job before = job;
            tumble_workers_run(workers, count, mark, &job);
            for (uint32_t i = 0; i < ITEMS; i++) {
                assert_int_equal(job.done[i], before.done[i] + (i < count));
            }
        }
        tumble_workers_destroy(workers);
    }
    tumble_workers_destroy(NULL);
}

struct spare {
    atomic_uint left;
    atomic_uint done;
};

static int take_one(void *ctx) {
    struct spare *spare = ctx;
    unsigned left = atomic_load(&spare->left);
    while (left > 0 && !atomic_compare_exchange_weak(&spare->left, &left, left - 1)) {
    }
    atomic_fetch_add(&spare->done, left > 0);
    return left > 0;
}

/* Threads are ended, given jobs and woken while they look for something to do, and miss none of it. */
static void what_may_be_done_at_any_time_is_done_beside_jobs(void **state) {
    (void)state;
    for (unsigned turn = 0; turn < 300; turn++) {
        struct tumble_workers *workers;
        struct spare spare = {0};
        struct job job = {0};
        assert_int_equal(tumble_workers_new(2 + turn % 3, &workers, NULL), TUMBLE_OK);
        tumble_workers_set_spare(workers, take_one, &spare);
        for (unsigned wake = 1; wake <= 1 + turn % 7; wake++) {
            atomic_fetch_add(&spare.left, 3);
            tumble_workers_wake(workers);
            tumble_workers_run(workers, 5, mark, &job);
            assert_int_equal(job.done[4], wake);
            while (turn % 2 && atomic_load(&spare.done) < wake * 3) {
                sched_yield();
            }
        }
        tumble_workers_destroy(workers);
        assert_true(turn % 2 == 0 || atomic_load(&spare.left) == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_of_every_job_is_done_once),
        cmocka_unit_test(what_may_be_done_at_any_time_is_done_beside_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
