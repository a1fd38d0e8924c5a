#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_item_of_every_job_is_done_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
