#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "aggregate/stepping.h"

/* quantile against exact order statistics, with fixed seeds: every one of 16 q within the relative error that the state
 * itself names, on data of every shape. */

#define QS "0,0.0001,0.001,0.01,0.05,0.1,0.25,0.5,0.75,0.9,0.95,0.99,0.999,0.9999,0.99999,1"
enum { Q_COUNT = 16, FULL = 1000000, FEWER = 100000 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

static size_t size_of_run(void) {
    const char *text = getenv("LONG");
    bool wants_long = text && *text && strcmp(text, "0") != 0;
    return SANITIZED && !wants_long ? FEWER : FULL;
}

static uint64_t seed;
static double uniform(void) { /* above 0, below 1 */
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return ((double)(z >> 12) + 0.5) / 4503599627370496.0;
}

static double draw_uniform(void) { return uniform() * 1000; }
static double draw_exponential(void) { return -log(uniform()) * 20; }
static double draw_pareto(void) { return pow(uniform(), -1 / 1.1); }
static double draw_constant(void) { return 42.5; }
static double draw_bimodal(void) {
    double bell = 0;
    for (int i = 0; i < 12; i++) {
        bell += uniform();
    }
    return uniform() < 0.7 ? 10 + (bell - 6) : 5000 + 300 * (bell - 6);
}
static double draw_both_signs(void) { /* a tenth zeros */
    double magnitude = -log(uniform());
    double side = uniform();
    return side < 0.1 ? 0 : side < 0.5 ? -magnitude : magnitude * 1000;
}
static double draw_decades(void) { /* 600 of them: far past what 2048 buckets hold at 1 % */
    return pow(10, uniform() * 600 - 300);
}
static double draw_decades_of_both_signs(void) {
    double magnitude = draw_decades();
    return uniform() < 0.5 ? -magnitude : magnitude;
}

struct shape {
    const char *name;
    double (*draw)(void);
    const char *format; /* how many digits a number has */
};

static const struct shape shapes[] = {
    {"uniform", draw_uniform, "%.3f"},   {"exponential", draw_exponential, "%.17g"},
    {"pareto", draw_pareto, "%.6f"},     {"bimodal", draw_bimodal, "%.12g"},
    {"constant", draw_constant, "%.1f"}, {"both signs", draw_both_signs, "%.9g"},
    {"decades", draw_decades, "%.17g"},  {"decades of both signs", draw_decades_of_both_signs, "%.6g"},
};

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Feeds the numbers (leaves them sorted) and returns the error that the state names. */
static double assert_within(const struct shape *shape, const char *options, double *numbers, size_t count) {
    static const struct tw_position position;
    struct stepping s;
    stepping_init_with(&s, "quantile", NULL, options);
    for (size_t i = 0; i < count; i++) {
        char text[48];
        snprintf(text, sizeof text, shape->format, shape->draw());
        numbers[i] = strtod(text, NULL);
        struct tw_value value = value_of(text);
        step_value(s.aggregate, &s.params, s.state, &value, &position, &s.heap);
    }
    qsort(numbers, count, sizeof *numbers, compare_doubles);
    static const uint32_t q_millionths[Q_COUNT] = {0,      100,    1000,   10000,  50000,  100000, 250000, 500000,
                                                   750000, 900000, 950000, 990000, 999000, 999900, 999990, 1000000};
    double bound = strtod(column_of(&s, Q_COUNT), NULL);
    for (uint32_t i = 0; i < Q_COUNT; i++) {
        double truth = numbers[(count - 1) * q_millionths[i] / 1000000];
        double found = strtod(column_of(&s, i), NULL);
        bool exact = i == 0 || i == Q_COUNT - 1 || truth == 0 || numbers[0] == numbers[count - 1];
        double allowed = exact ? 0 : bound * fabs(truth) * (1 + 1e-12);
        if (!(fabs(found - truth) <= allowed)) {
            fail_msg("%s, %s, q %u/1000000: %s for %.17g, more than %g off", shape->name, options, q_millionths[i],
                     s.text, truth, bound);
        }
    }
    stepping_clean_up(&s);
    return bound;
}

static void every_shape_is_within_the_error_the_row_names(void **state) {
    (void)state;
    size_t count = size_of_run();
    double *numbers = malloc(count * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        seed = 1000 + i;
        double bound = assert_within(&shapes[i], "q=" QS, numbers, count);
        /* 600 decades need 69000 buckets at 1 %: six collapses; twice that seven. */
        bool wide = shapes[i].draw == draw_decades;
        bool wider = shapes[i].draw == draw_decades_of_both_signs;
        double expected = wide ? 0.5649141 : wider ? 0.8564963 : 0.01; /* tanh(2^k atanh(0.01)) */
        if (fabs(bound - expected) > 0.0000002) {
            fail_msg("%s: the state names %.9g", shapes[i].name, bound);
        }
    }
    free(numbers);
}

static void finer_and_coarser_errors_hold_too(void **state) {
    (void)state;
    size_t count = size_of_run() / 10;
    double *numbers = malloc(count * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        seed = 2000 + i;
        assert_true(assert_within(&shapes[i], "q=" QS " relative_error=0.3 max_buckets=5000", numbers, count) == 0.3);
        assert_true(assert_within(&shapes[i], "q=" QS " relative_error=0.0001 max_buckets=65536", numbers, count) <
                    0.03);
    }
    free(numbers);
}

/* With few buckets every shape but the constant collapses, often several times, and names an error it keeps. */
static void collapsed_sketches_keep_the_greater_error(void **state) {
    (void)state;
    static const char *const options[] = {"q=" QS " max_buckets=16", "q=" QS " max_buckets=50",
                                          "q=" QS " max_buckets=200 relative_error=0.0001"};
    size_t count = size_of_run() / 10;
    double *numbers = malloc(count * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (size_t o = 0; o < sizeof options / sizeof *options; o++) {
            seed = 3000 + i;
            double bound = assert_within(&shapes[i], options[o], numbers, count);
            double asked = o == 2 ? 0.0001 : 0.01;
            assert_true(shapes[i].draw == draw_constant ? bound == asked : bound > asked);
        }
    }
    free(numbers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_within_the_error_the_row_names),
        cmocka_unit_test(finer_and_coarser_errors_hold_too),
        cmocka_unit_test(collapsed_sketches_keep_the_greater_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
