#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "adapters/outputs/client/output_client.h"

static int64_t left_ms, clock_ms, slept_ms;

static int64_t remaining(void *ctx) {
    (void)ctx;
    return left_ms == INT64_MAX ? left_ms : left_ms - slept_ms;
}
static int64_t steady(void *ctx) {
    (void)ctx;
    return clock_ms + slept_ms;
}
static void sleep_for(void *ctx, int64_t ms) {
    (void)ctx;
    assert_in_range(ms, 1, 200); /* the host is asked in between */
    slept_ms += ms;
}

static const struct tumble_output_host host = {.struct_size = sizeof host, .remaining_ms = remaining};
static const struct tw_aws_host machine = {.steady_ms = steady, .sleep_ms = sleep_for};
static struct tw_output_client client;

static int set_up(void **state) {
    (void)state;
    memset(&client, 0, sizeof client);
    client.host = &host;
    client.system = &machine;
    clock_ms = 1000;
    slept_ms = 0;
    left_ms = INT64_MAX;
    return 0;
}

static void a_deadline_is_the_hosts_on_the_steady_clock(void **state) {
    (void)state;
    assert_true(tw_output_client_deadline(&client) == TW_NO_DEADLINE);
    left_ms = 250;
    assert_int_equal(tw_output_client_deadline(&client), 1250);
    left_ms = -5000;
    assert_int_equal(tw_output_client_deadline(&client), 1); /* long over, and not "none" */
    client.host = NULL;
    assert_true(tw_output_client_deadline(&client) == TW_NO_DEADLINE);
}

static void a_wait_ends_when_there_is_no_time_for_it(void **state) {
    (void)state;
    assert_true(tw_output_client_wait(&client, 450));
    assert_int_equal(slept_ms, 450);
    left_ms = slept_ms + 300;
    assert_false(tw_output_client_wait(&client, 300));
    assert_int_equal(slept_ms, 450);
    assert_true(tw_output_client_wait(&client, 299));
}

static void rows_wait_or_the_call_fails(void **state) {
    (void)state;
    static const struct {
        enum tumble_code code;
        size_t from;
        bool held;
    } cases[] = {{TUMBLE_EOUTPUT, 0, true},   {TUMBLE_EOUTPUT, 2, true},    {TUMBLE_ENOMEM, 0, true},
                 {TUMBLE_EREJECTED, 2, true}, {TUMBLE_EREJECTED, 0, false}, {TUMBLE_EUSAGE, 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_delivery out[4];
        struct tumble_error err = {.text = "mine"}, failure = {.code = cases[i].code, .text = "the service's words"};
        for (size_t n = 0; n < 4; n++) {
            tw_output_delivered(&out[n]);
        }
        client.answer.retry_after_ms = 70;
        enum tumble_code code = tw_output_hold(&client, out, cases[i].from, 4, cases[i].code, &failure, &err);
        assert_int_equal(code, cases[i].held ? TUMBLE_OK : cases[i].code);
        assert_string_equal(err.text, cases[i].held ? "mine" : "the service's words");
        for (size_t n = 0; n < 4 && cases[i].held; n++) {
            assert_int_equal(out[n].outcome, n < cases[i].from ? TUMBLE_DELIVERED : TUMBLE_RETRY);
            if (n >= cases[i].from) {
                assert_string_equal(out[n].reason, "the service's words");
                assert_int_equal(out[n].retry_after_ms, 70);
            }
        }
    }
}

static void an_option_without_a_value_is_not_given(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {{.name = "region"}, {.name = "profile", .value = "p"}};
    const struct tumble_output_open how = {.options = options, .option_count = 2};
    assert_null(tw_output_option(&how, "region"));
    assert_null(tw_output_option(&how, "other"));
    assert_ptr_equal(tw_output_option(&how, "profile"), &options[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_deadline_is_the_hosts_on_the_steady_clock, set_up),
        cmocka_unit_test_setup(a_wait_ends_when_there_is_no_time_for_it, set_up),
        cmocka_unit_test_setup(rows_wait_or_the_call_fails, set_up),
        cmocka_unit_test(an_option_without_a_value_is_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
