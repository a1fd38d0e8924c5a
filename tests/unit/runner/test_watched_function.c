#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runner/watched_function.h"

static struct tumble_function_answer next_answer;

static enum tumble_code answer(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *out, struct tumble_error *err) {
    (void)ctx;
    (void)request;
    (void)err;
    *out = next_answer;
    return TUMBLE_OK;
}

static struct tumble_watch_view seen;
static struct tumble_watch_fragment fragments[16];

static void look(void *ctx, const struct tumble_watch_view *view) {
    (void)ctx;
    seen = *view;
    memcpy(fragments, view->timeline.fragments, view->timeline.count * sizeof fragments[0]);
}

struct setting {
    struct tumble_watch *watch;
    struct tumble_watched_function function;
    struct tumble_emulated_function watched;
    struct tumble_stream_record records[8];
    char numbers[8][8];
    struct tumble_function_request request;
};

static void set_up(struct setting *setting) {
    const struct tumble_emulated_function inner = {.invoke = answer};
    memset(setting, 0, sizeof *setting);
    setting->watch = tumble_watch_new(TUMBLE_WATCH_MAPPING);
    tumble_watched_function_init(&setting->function, setting->watch, &inner, 1, &setting->watched);
    for (int i = 0; i < 8; i++) {
        setting->numbers[i][0] = (char)('1' + i);
        setting->records[i] = (struct tumble_stream_record){.data = tumble_bytes_of("0123456789"),
                                                            .partition_key = tumble_bytes_of("k"),
                                                            .sequence = tumble_bytes_of(setting->numbers[i]),
                                                            .arrival_ms = 1000 + i};
    }
    setting->request = (struct tumble_function_request){.attempt = 1,
                                                        .shard_id = tumble_bytes_of("shardId-000000000000"),
                                                        .records = setting->records,
                                                        .has_window = 1,
                                                        .window_start_ms = 0,
                                                        .window_end_ms = 60000,
                                                        .state = tumble_bytes_of("{}"),
                                                        .sent_ms = 5000,
                                                        .deadline_ms = 8000};
    next_answer = (struct tumble_function_answer){.kind = TUMBLE_ANSWER_RESPONSE, .duration_us = 40000};
}

static void send(struct setting *setting, size_t from, size_t count, uint32_t attempt) {
    struct tumble_function_answer out;
    setting->request.records = setting->records + from;
    setting->request.record_count = count;
    setting->request.attempt = attempt;
    assert_int_equal(setting->watched.invoke(setting->watched.ctx, &setting->request, &out, NULL), TUMBLE_OK);
    setting->request.sent_ms += 100;
    setting->request.deadline_ms += 100;
}

static void tear_down(struct setting *setting) {
    tumble_watched_function_clean_up(&setting->function);
    tumble_watch_destroy(setting->watch);
}

static void records_sent_again_are_counted_as_sent_and_not_as_new(void **state) {
    struct setting setting;
    (void)state;
    set_up(&setting);
    next_answer.kind = TUMBLE_ANSWER_ERROR;
    send(&setting, 0, 4, 1);
    next_answer.kind = TUMBLE_ANSWER_RESPONSE;
    send(&setting, 0, 4, 2);
    send(&setting, 2, 5, 1); /* as after a partial answer */
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.batches, 3);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.retries, 2);
    assert_int_equal(seen.records, 13);
    assert_int_equal(seen.new_records, 7);
    assert_int_equal(seen.put_units, 7);
    assert_int_equal(seen.bytes, 130);
    assert_int_equal(seen.iterator_age_ms, 5200 - 1006);
    assert_int_equal(seen.iterator_age_most_ms, 5200 - 1006);
    assert_int_equal(seen.took[TUMBLE_WATCH_INVOCATION].sum, 120000000);
    assert_int_equal(fragments[0].records, 7);
    assert_int_equal(fragments[0].errors, 1);
    tear_down(&setting);
}

static void a_window_ends_with_the_final_that_is_not_sent_again(void **state) {
    struct setting setting;
    (void)state;
    set_up(&setting);
    send(&setting, 0, 2, 1);
    setting.request.is_final = 1;
    next_answer.kind = TUMBLE_ANSWER_TIMED_OUT;
    send(&setting, 2, 0, 1);
    next_answer.kind = TUMBLE_ANSWER_RESPONSE;
    send(&setting, 2, 0, 2); /* an answer that the mapping does not take */
    send(&setting, 2, 0, 3);
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.windows_closed, 0);
    setting.request.is_final = 0;
    setting.request.window_start_ms = 60000;
    setting.request.window_end_ms = 120000;
    send(&setting, 2, 1, 1);
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.windows_closed, 1);
    assert_int_equal(fragments[0].closed_us, 5300000 + 40000);
    assert_int_equal(fragments[1].closed_us, -1);
    tumble_watched_function_end(&setting.function, 9000000, 1);
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.fragments_lost, 1); /* the run is over and no final came through */
    assert_true(fragments[1].is_lost);
    tear_down(&setting);
}

static void a_window_whose_final_was_given_up_is_lost(void **state) {
    struct setting setting;
    (void)state;
    set_up(&setting);
    send(&setting, 0, 2, 1);
    setting.request.is_final = 1;
    next_answer.kind = TUMBLE_ANSWER_CRASHED;
    send(&setting, 2, 0, 1);
    setting.request.is_final = 0;
    next_answer.kind = TUMBLE_ANSWER_RESPONSE;
    setting.request.window_start_ms = 60000;
    setting.request.window_end_ms = 120000;
    send(&setting, 2, 1, 1);
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.windows_closed, 0);
    assert_int_equal(seen.fragments_lost, 1);
    assert_true(fragments[0].is_lost);
    assert_int_equal(seen.timeline.count, 2);
    tear_down(&setting);
}

static void what_lasts_longer_than_the_timeout_is_an_error_of_that_length(void **state) {
    struct setting setting;
    (void)state;
    set_up(&setting);
    next_answer.duration_us = 10000000;
    send(&setting, 0, 1, 1);
    next_answer.kind = TUMBLE_ANSWER_LOST;
    next_answer.duration_us = 1000;
    send(&setting, 0, 1, 2);
    next_answer.kind = TUMBLE_ANSWER_THROTTLED;
    send(&setting, 0, 1, 3);
    tumble_watch_look(setting.watch, look, NULL);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.batches, 2);
    assert_int_equal(seen.throttles, 1);
    assert_int_equal(seen.took[TUMBLE_WATCH_INVOCATION].fine.max_ns, UINT64_C(3000000000));
    tear_down(&setting);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_sent_again_are_counted_as_sent_and_not_as_new),
        cmocka_unit_test(a_window_ends_with_the_final_that_is_not_sent_again),
        cmocka_unit_test(a_window_whose_final_was_given_up_is_lost),
        cmocka_unit_test(what_lasts_longer_than_the_timeout_is_an_error_of_that_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
