#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner/duration_model.h"

enum { SAMPLES = 300 };

static const struct tumble_duration_model truth = {.us = {150, 0.4, 2.5, 6, 11, 900, 3, 200, 0.2}};
static struct tumble_error err;

/* As a capture gives them: records, their bytes and the state go up and down by themselves. A sandbox in thirty. */
static void make_samples(struct tumble_duration_sample out[SAMPLES]) {
    uint64_t seed = 7;
    struct tumble_duration_sandbox sandbox;
    for (int i = 0; i < SAMPLES; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t records = (seed >> 40) % 3000, bytes = records * (50 + (seed >> 30) % 200),
                 state = (seed >> 20) % 90000;
        out[i].load = tumble_duration_load_of(records, bytes, state, state + 100, i % 10 == 0);
        if (i % 30 == 0) {
            memset(&sandbox, 0, sizeof sandbox);
        }
        tumble_duration_in_sandbox(&sandbox, i % 2 ? 0 : TUMBLE_DURATION_IDLE_MS, &out[i].load);
        out[i].us = tumble_duration_us(&truth, &out[i].load);
    }
}

static void an_invocation_takes_the_sum_of_its_parts(void **state) {
    (void)state;
    struct tumble_duration_load load = tumble_duration_load_of(100, 20000, 3000, 5000, 0);
    assert_true(fabs(tumble_duration_us(&truth, &load) - (150 + 40 + 50 + 48)) < 1e-9);
    load = tumble_duration_load_of(0, 0, 3000, 2, 1);
    assert_true(fabs(tumble_duration_us(&truth, &load) - (150 + 6 * 3.002 + 33)) < 1e-9);
}

static void a_fit_finds_what_the_samples_were_made_of(void **state) {
    (void)state;
    static struct tumble_duration_sample samples[SAMPLES];
    struct tumble_duration_model found;
    make_samples(samples);
    assert_int_equal(tumble_duration_fit(samples, SAMPLES, &found, &err), TUMBLE_OK);
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        assert_true(fabs(found.us[i] - truth.us[i]) < 1e-3 * truth.us[i]);
    }
    assert_true(found.median_miss < 1e-4);
    assert_int_equal(found.samples, SAMPLES);
}

static void invocations_that_were_disturbed_do_not_count(void **state) {
    (void)state;
    static struct tumble_duration_sample samples[SAMPLES];
    struct tumble_duration_model found;
    make_samples(samples);
    for (int i = 0; i < SAMPLES; i += 9) {
        samples[i].us *= 4;
    }
    assert_int_equal(tumble_duration_fit(samples, SAMPLES, &found, &err), TUMBLE_OK);
    for (int i = 1; i < SAMPLES; i += 9) {
        assert_true(fabs(tumble_duration_us(&found, &samples[i].load) - samples[i].us) < 0.05 * samples[i].us);
    }
}

static void a_sandbox_knows_its_first_invocation_its_largest_and_rest(void **state) {
    (void)state;
    static const uint64_t payloads[] = {5000, 3000, 9000, 9000}, growths[] = {5, 0, 4, 0};
    struct tumble_duration_sandbox sandbox = {.is_warm = 0};
    for (int i = 0; i < 4; i++) {
        struct tumble_duration_load load = tumble_duration_load_of(10, payloads[i], 0, 0, 0);
        tumble_duration_in_sandbox(&sandbox, i == 3 ? 1000 : 0, &load);
        assert_true(load.of[TUMBLE_DURATION_IDLE] == (i == 0 || i == 3));
        assert_true(load.of[TUMBLE_DURATION_IDLE_RECORD] == (i == 0 || i == 3 ? 10 : 0));
        assert_true(load.of[TUMBLE_DURATION_FIRST] == (i == 0));
        assert_true(fabs(load.of[TUMBLE_DURATION_GROWTH_KB] - (double)growths[i]) < 1e-9);
    }
}

/* As a machine gives them that is slower for a while in each minute. What is billed is the sum. */
static void the_sum_over_quick_and_slow_invocations_is_foretold(void **state) {
    (void)state;
    static struct tumble_duration_sample samples[SAMPLES];
    struct tumble_duration_model found;
    double taken = 0, foretold = 0;
    make_samples(samples);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i].us *= i % 3 == 0 ? 1.9 : i % 7 == 0 ? 0.8 : 1;
        taken += samples[i].us;
    }
    assert_int_equal(tumble_duration_fit(samples, SAMPLES, &found, &err), TUMBLE_OK);
    for (int i = 0; i < SAMPLES; i++) {
        foretold += tumble_duration_us(&found, &samples[i].load);
    }
    assert_true(fabs(foretold - taken) < 0.03 * taken);
}

static void no_part_is_below_zero_and_what_no_sample_has_is_none(void **state) {
    (void)state;
    struct tumble_duration_model found;
    struct tumble_duration_sample samples[] = {{tumble_duration_load_of(10, 0, 0, 0, 0), 900},
                                               {tumble_duration_load_of(1000, 0, 0, 0, 0), 800}};
    assert_int_equal(tumble_duration_fit(samples, 2, &found, &err), TUMBLE_OK);
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        assert_true(found.us[i] >= 0);
    }
    assert_true(found.us[TUMBLE_DURATION_RECORD] < 1e-6 && found.us[TUMBLE_DURATION_STATE_KB] == 0);
    assert_true(found.us[TUMBLE_DURATION_INVOCATION] > 800 && found.us[TUMBLE_DURATION_INVOCATION] < 900);
    assert_int_equal(tumble_duration_fit(samples, 0, &found, &err), TUMBLE_EINVAL);
}

static void what_is_printed_can_be_loaded(void **state) {
    (void)state;
    struct tumble_duration_model found;
    char path[] = "/tmp/model_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    tumble_duration_model_print(file, &truth);
    fclose(file);
    assert_int_equal(tumble_duration_model_load(path, &found, &err), TUMBLE_OK);
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        assert_true(fabs(found.us[i] - truth.us[i]) < 1e-9);
    }
    unlink(path);
    assert_int_equal(tumble_duration_model_load(path, &found, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "No such file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invocation_takes_the_sum_of_its_parts),
        cmocka_unit_test(a_fit_finds_what_the_samples_were_made_of),
        cmocka_unit_test(invocations_that_were_disturbed_do_not_count),
        cmocka_unit_test(a_sandbox_knows_its_first_invocation_its_largest_and_rest),
        cmocka_unit_test(the_sum_over_quick_and_slow_invocations_is_foretold),
        cmocka_unit_test(no_part_is_below_zero_and_what_no_sample_has_is_none),
        cmocka_unit_test(what_is_printed_can_be_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
