#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runner/latency.h"

static void quantiles_are_at_most_a_bucket_above_the_true_ones(void **state) {
    (void)state;
    struct tumble_latency *all = calloc(1, sizeof *all), *odd = calloc(1, sizeof *odd), *even = calloc(1, sizeof *even);
    for (uint64_t i = 1; i <= 100000; i++) {
        tumble_latency_add(all, i * 137);
        tumble_latency_add(i % 2 ? odd : even, i * 137);
    }
    static const double qs[] = {0, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < 5; i++) {
        double truth = (double)((uint64_t)(qs[i] * 99999) + 1) * 137 / 1000.0;
        double got = tumble_latency_quantile_us(all, qs[i]);
        assert_true(got >= truth * 0.999999 && got <= truth * 1.033);
    }
    assert_int_equal(all->max_ns, 13700000);
    tumble_latency_merge(odd, even);
    assert_memory_equal(odd, all, sizeof *all);
    free(all);
    free(odd);
    free(even);
}

static void the_whole_range_fits(void **state) {
    (void)state;
    struct tumble_latency *latency = calloc(1, sizeof *latency);
    assert_true(tumble_latency_quantile_us(latency, 0.5) == 0);
    for (int shift = 0; shift < 64; shift++) {
        tumble_latency_add(latency, UINT64_C(1) << shift);
    }
    tumble_latency_add(latency, 0);
    tumble_latency_add(latency, UINT64_MAX);
    assert_int_equal(latency->count, 66);
    assert_int_equal(latency->max_ns, UINT64_MAX);
    assert_true(tumble_latency_quantile_us(latency, 0) == 0);
    free(latency);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_at_most_a_bucket_above_the_true_ones),
        cmocka_unit_test(the_whole_range_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
