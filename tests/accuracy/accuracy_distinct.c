#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

/* distinct at every power of ten, with every seed: exact up to its limit, then within three standard errors. */

enum { EXACT_AT_DEFAULT = 1536, SEEDS = 5 };

static bool wants_long(void) {
    const char *text = getenv("LONG");
    return text && *text && strcmp(text, "0") != 0;
}

/* Value i of a seed: a bijection of 64 bits (splitmix64), so that different i are different values. */
static struct tw_value draw(uint64_t seed, uint64_t i) {
    uint64_t z = (seed << 40) + i;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    struct tw_value value = {.type = TUMBLE_TYPE_NUMBER, .number = {.low = z}};
    while (value.number.low && value.number.low % 10 == 0) {
        value.number.low /= 10;
        value.number.exponent++;
    }
    return value;
}

static void feed_range(struct stepping *s, uint64_t seed, uint64_t from, uint64_t to) {
    static const struct tw_position position;
    for (uint64_t i = from; i < to; i++) {
        struct tw_value value = draw(seed, i);
        step_value(s->aggregate, &s->params, s->state, &value, &position, &s->heap);
    }
}

static double error_of(const char *result, uint64_t truth) {
    return (strtod(result, NULL) - (double)truth) / (double)truth;
}

static void assert_errors(const char *options, double standard_error, uint64_t exact, uint64_t most) {
    double squares = 0;
    int estimates = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct stepping s;
        stepping_init_with(&s, "distinct", NULL, options);
        uint64_t fed = 0;
        for (uint64_t size = 10; size <= most; size *= 10) {
            feed_range(&s, seed, fed, size);
            fed = size;
            double error = error_of(result_of(&s), size);
            double allowed = size <= exact ? 0 : 3 * standard_error;
            if (error > allowed || error < -allowed) {
                fail_msg("%s, seed %d: %s for %.0f", options, (int)seed, s.text, (double)size);
            }
            if (size > exact) {
                squares += error * error;
                estimates++;
            }
        }
        stepping_clean_up(&s);
    }
    /* All together: neither worse than stated nor suspiciously good. */
    double mean = squares / estimates / (standard_error * standard_error);
    assert_true(mean > 0.2 && mean < 2);
}

static void every_power_of_ten_is_within_three_standard_errors(void **state) {
    (void)state;
    assert_errors("error=0.01", 1.04 / 128, EXACT_AT_DEFAULT, wants_long() ? 10000000 : 1000000);
}

static void coarser_errors_hold_too(void **state) {
    (void)state;
    assert_errors("error=0.26", 1.04 / 4, 1, 100000);
    assert_errors("error=0.1", 1.04 / 11.3137, 12, 100000);
    assert_errors("error=0.03", 1.04 / 45.2548, 192, 100000);
}

static void a_finer_error_holds_too(void **state) {
    (void)state;
    assert_errors("error=0.002", 1.04 / 724.077, 49152, wants_long() ? 10000000 : 1000000);
}

static void the_boundary_from_exact_to_estimated_is_smooth(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct stepping s;
        stepping_init(&s, "distinct", NULL);
        for (uint64_t n = 1; n < 20000; n++) {
            feed_range(&s, seed, n - 1, n);
            if (n > EXACT_AT_DEFAULT - 3 && (n < EXACT_AT_DEFAULT + 300 || n % 997 == 0)) {
                double error = error_of(result_of(&s), n);
                double allowed = n <= EXACT_AT_DEFAULT ? 0 : 3 * 1.04 / 128;
                assert_true(error <= allowed && error >= -allowed);
            }
        }
        stepping_clean_up(&s);
    }
}

static void encoded(struct stepping *s, struct tw_buf *out) {
    tw_buf_clear(out);
    assert_int_equal(s->aggregate->encode(s->state, &s->params, out), TUMBLE_OK);
}

/* Two ranges of one seed, disjoint, overlapping, one within the other or the same: merged, and fed one behind the
 * other. */
static void a_merge_is_the_feed_of_the_union(void **state) {
    (void)state;
    static const uint64_t ranges[][4] = {{0, 700, 700, 1400},   {0, 768, 768, 1536},        {0, 768, 768, 1537},
                                         {0, 1000, 500, 1500},  {0, 1000, 500, 1600},       {0, 1536, 0, 1536},
                                         {0, 1536, 1535, 1537}, {0, 3000, 10, 20},          {10, 20, 0, 3000},
                                         {0, 5000, 2500, 7500}, {0, 1537, 1537, 3000},      {0, 100000, 50000, 150000},
                                         {0, 100000, 0, 101},   {0, 200000, 200000, 400000}};
    struct tw_buf merged;
    struct tw_buf fed;
    tw_buf_init(&merged, tw_alloc_default(), 1 << 20);
    tw_buf_init(&fed, tw_alloc_default(), 1 << 20);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (int reversed = 0; reversed < 2; reversed++) {
            struct stepping parts[2];
            struct stepping both;
            stepping_init(&both, "distinct", NULL);
            for (int part = 0; part < 2; part++) {
                const uint64_t *range = ranges[i] + 2 * part;
                stepping_init(&parts[part], "distinct", NULL);
                feed_range(&parts[part], 77, range[0], range[1]);
                feed_range(&both, 77, range[0], range[1]);
            }
            struct stepping *into = &parts[reversed];
            assert_int_equal(into->aggregate->merge(into->state, &into->params, parts[1 - reversed].state, &into->heap),
                             TUMBLE_OK);
            encoded(into, &merged);
            encoded(&both, &fed);
            assert_int_equal(merged.length, fed.length);
            assert_memory_equal(merged.data, fed.data, fed.length);
            assert_true(fed.length <= 16 * 1024);
            char text[64];
            strcpy(text, result_of(into));
            assert_string_equal(text, result_of(&both));
            stepping_clean_up(&parts[0]);
            stepping_clean_up(&parts[1]);
            stepping_clean_up(&both);
        }
    }
    tw_buf_clean_up(&merged);
    tw_buf_clean_up(&fed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_power_of_ten_is_within_three_standard_errors),
        cmocka_unit_test(coarser_errors_hold_too),
        cmocka_unit_test(a_finer_error_holds_too),
        cmocka_unit_test(the_boundary_from_exact_to_estimated_is_smooth),
        cmocka_unit_test(a_merge_is_the_feed_of_the_union),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
