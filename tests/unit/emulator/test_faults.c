#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counting_alloc.h"
#include "emulator/faults.h"

struct seen {
    int calls, recycled;
    char records[64];
    int64_t sent_ms, deadline_ms;
};

static enum tumble_code inner_invoke(void *ctx, const struct tumble_function_request *request,
                                     struct tumble_function_answer *answer, struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)err;
    seen->calls++;
    size_t i = 0;
    for (; i < request->record_count; i++) {
        seen->records[i] = request->records[i].data.data[0];
    }
    seen->records[i] = '\0';
    seen->sent_ms = request->sent_ms;
    seen->deadline_ms = request->deadline_ms;
    answer->kind = TUMBLE_ANSWER_RESPONSE;
    answer->response = tumble_bytes_of("{}");
    answer->duration_us = 7;
    return TUMBLE_OK;
}

static enum tumble_code inner_recycle(void *ctx, uint32_t slot, struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)slot;
    (void)err;
    seen->recycled++;
    return TUMBLE_OK;
}

static struct tumble_stream_record stream_of[8];

static struct tumble_function_request request_of(size_t answered, size_t count) {
    static const char digits[] = "12345678";
    for (size_t i = 0; i < 8; i++) {
        stream_of[i].data.data = digits + i;
        stream_of[i].data.length = 1;
    }
    struct tumble_function_request request = {.request_id = "r",
                                              .invocation_id = "i",
                                              .records = stream_of + answered,
                                              .record_count = count,
                                              .answered_count = answered,
                                              .sent_ms = 1000000,
                                              .deadline_ms = 1060000};
    return request;
}

struct tried {
    struct seen seen;
    struct tumble_function_answer answer;
    uint64_t happened[TUMBLE_FAULT_COUNT];
};

static struct tried try_once(const char *spec, uint64_t seed, const struct tumble_function_request *request) {
    struct tried tried;
    struct tumble_faults faults;
    struct tumble_error error;
    memset(&tried, 0, sizeof tried);
    struct tumble_emulated_function inner = {&tried.seen, inner_invoke, inner_recycle}, outer;
    assert_int_equal(tumble_faults_init(&faults, spec, seed, (struct tumble_alloc){0}, &error), TUMBLE_OK);
    tumble_faults_wrap(&faults, &inner, &outer);
    assert_int_equal(outer.invoke(outer.ctx, request, &tried.answer, &error), TUMBLE_OK);
    memcpy(tried.happened, faults.happened, sizeof tried.happened);
    tumble_faults_clean_up(&faults);
    return tried;
}

static void each_fault_does_what_its_name_says(void **state) {
    (void)state;
    struct tumble_function_request request = request_of(2, 3);
    struct tried tried = try_once("", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_RESPONSE);
    assert_int_equal(tried.seen.calls, 1);
    assert_string_equal(tried.seen.records, "345");
    tried = try_once("error=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_ERROR);
    assert_int_equal(tried.seen.calls, 0);
    tried = try_once("throttle=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_THROTTLED);
    assert_int_equal(tried.seen.calls, 0);
    tried = try_once("timeout=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_TIMED_OUT);
    assert_int_equal(tried.answer.duration_us, 60000000);
    assert_int_equal(tried.seen.calls, 1);
    assert_int_equal(tried.seen.recycled, 1);
    tried = try_once("lost=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_LOST);
    assert_int_equal(tried.seen.calls, 1);
    tried = try_once("slow=1:2500", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_RESPONSE);
    assert_int_equal(tried.answer.duration_us, 2500007);
    tried = try_once("duplicate=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_RESPONSE);
    assert_int_equal(tried.seen.calls, 2);
    tried = try_once("recycle=1", 1, &request);
    assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_RESPONSE);
    assert_int_equal(tried.seen.recycled, 1);
}

static void a_crash_comes_before_or_after_the_work(void **state) {
    (void)state;
    struct tumble_function_request request = request_of(0, 1);
    int calls[2] = {0, 0};
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct tried tried = try_once("crash=1", seed, &request);
        assert_int_equal(tried.answer.kind, TUMBLE_ANSWER_CRASHED);
        assert_int_equal(tried.seen.recycled, 1);
        calls[tried.seen.calls]++;
    }
    assert_true(calls[0] > 5 && calls[1] > 5);
}

static void answered_records_come_again_before_or_behind_the_new_ones(void **state) {
    (void)state;
    static const char *const expected[] = {"1234567", "2345678", "345",    "4567123",
                                           "456723",  "45673",   "234567", "34567"};
    struct tumble_function_request request = request_of(3, 4);
    int found[8] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct tried tried = try_once("redeliver=1", seed, &request);
        int known = 0;
        for (int i = 0; i < 8; i++) {
            if (strcmp(tried.seen.records, expected[i]) == 0) {
                found[i]++;
                known = 1;
            }
        }
        assert_true(known);
        assert_int_equal(tried.happened[TUMBLE_FAULT_REDELIVER], 1);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(found[i] > 0, i != 1 && i != 2);
    }
    struct tried at_most_one = try_once("redeliver=1:1", 3, &request);
    assert_int_equal(strlen(at_most_one.seen.records), 5);
    request = request_of(0, 4); /* nothing was answered yet */
    assert_string_equal(try_once("redeliver=1", 1, &request).seen.records, "1234");
    request = request_of(3, 0);
    request.is_final = 1;
    assert_string_equal(try_once("redeliver=1", 1, &request).seen.records, "");
}

static void a_skewed_clock_is_off_by_at_most_the_parameter(void **state) {
    (void)state;
    struct tumble_function_request request = request_of(0, 1);
    int64_t least = 0, most = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct tried tried = try_once("skew=1:100", seed, &request);
        int64_t off = tried.seen.sent_ms - request.sent_ms;
        assert_int_equal(tried.seen.deadline_ms - request.deadline_ms, off);
        least = off < least ? off : least;
        most = off > most ? off : most;
    }
    assert_in_range(-least, 50, 100);
    assert_in_range(most, 50, 100);
}

static void the_same_seed_gives_the_same_faults(void **state) {
    (void)state;
    struct tumble_function_request request = request_of(3, 4);
    unsigned different = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct tried first = try_once("all=0.3", seed, &request), again = try_once("all=0.3", seed, &request);
        struct tried other = try_once("all=0.3", seed + 1000, &request);
        assert_memory_equal(first.happened, again.happened, sizeof first.happened);
        assert_int_equal(first.answer.kind, again.answer.kind);
        different += memcmp(first.happened, other.happened, sizeof first.happened) != 0;
    }
    assert_true(different > 50);
}

static void all_sets_what_is_not_named(void **state) {
    (void)state;
    struct tumble_faults faults;
    struct tumble_error error;
    assert_int_equal(tumble_faults_init(&faults, "slow=0.5:20,all=0.25,error=0", 1, (struct tumble_alloc){0}, &error),
                     TUMBLE_OK);
    assert_true(faults.probability[TUMBLE_FAULT_SLOW] == 0.5 && faults.probability[TUMBLE_FAULT_CRASH] == 0.25 &&
                faults.probability[TUMBLE_FAULT_ERROR] == 0);
    assert_int_equal(faults.parameter[TUMBLE_FAULT_SLOW], 20);
    tumble_faults_clean_up(&faults);
}

static void wrong_faults_are_refused(void **state) {
    (void)state;
    static const char *const refusals[][2] = {{"eror=0.1", "did you mean 'error'?"},
                                              {"error", "error needs a probability"},
                                              {"error=2", "error: a probability is at most 1"},
                                              {"error=-1", "a number from 0 on"},
                                              {"error=x", "a number from 0 on"},
                                              {"error=nan", "a number from 0 on"},
                                              {"error=0.1;crash=1", "a comma"},
                                              {"slow=0.1:", "a number from 0 on"},
                                              {"slow=0.1:1e12", "slow: at most 86400000"},
                                              {",", "there is no fault ''"},
                                              {"=1", "there is no fault ''"}};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct tumble_faults faults;
        struct tumble_error error = {.text = ""};
        enum tumble_code code = tumble_faults_init(&faults, refusals[i][0], 1, (struct tumble_alloc){0}, &error);
        if (code != TUMBLE_EUSAGE || !strstr(error.text, refusals[i][1])) {
            fail_msg("%s: %s", refusals[i][0], error.text);
        }
    }
}

static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    struct tumble_function_request request = request_of(3, 4);
    struct counting_alloc count = {.fail_at = 1};
    struct seen seen;
    struct tumble_emulated_function inner = {&seen, inner_invoke, inner_recycle}, outer;
    struct tumble_function_answer answer;
    struct tumble_faults faults;
    struct tumble_error error;
    int failures = 0;
    assert_int_equal(tumble_faults_init(&faults, "redeliver=1", 1, counting_alloc_of(&count), &error), TUMBLE_OK);
    tumble_faults_wrap(&faults, &inner, &outer);
    for (int i = 0; i < 50; i++) {
        enum tumble_code code = outer.invoke(outer.ctx, &request, &answer, &error);
        assert_true(code == TUMBLE_OK || code == TUMBLE_ENOMEM);
        failures += code == TUMBLE_ENOMEM;
    }
    assert_int_equal(failures, 1);
    tumble_faults_clean_up(&faults);
    assert_int_equal(count.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_does_what_its_name_says),
        cmocka_unit_test(a_crash_comes_before_or_after_the_work),
        cmocka_unit_test(answered_records_come_again_before_or_behind_the_new_ones),
        cmocka_unit_test(a_skewed_clock_is_off_by_at_most_the_parameter),
        cmocka_unit_test(the_same_seed_gives_the_same_faults),
        cmocka_unit_test(all_sets_what_is_not_named),
        cmocka_unit_test(wrong_faults_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
