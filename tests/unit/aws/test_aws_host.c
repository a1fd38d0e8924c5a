#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/aws/aws_host.h"

static const struct tw_aws_host *const host = &tw_aws_host_real;

struct outcome {
    enum tumble_code code;
    struct tumble_error err;
    struct tw_buf out;
    int64_t took_ms;
};

static void run(struct outcome *outcome, const char *script, int64_t timeout_ms, size_t cap) {
    char shell[] = "sh";
    char option[] = "-c";
    char text[200];
    snprintf(text, sizeof text, "%s", script);
    char *argv[] = {shell, option, text, NULL};
    int64_t began = host->steady_ms(host->ctx);
    tw_buf_init(&outcome->out, tw_alloc_default(), cap);
    outcome->code = host->run(host->ctx, argv, timeout_ms, &outcome->out, &outcome->err);
    outcome->took_ms = host->steady_ms(host->ctx) - began;
}

static void host_runs_a_command_and_reads_what_it_writes(void **state) {
    (void)state;
    static const struct {
        const char *script;
        int64_t timeout_ms;
        size_t cap;
        enum tumble_code code;
        const char *output; /* or what the error says */
    } cases[] = {
        {"printf abc; printf err >&2", 20000, 100, TUMBLE_OK, "abc"},
        {"cat", 20000, 100, TUMBLE_OK, ""}, /* stdin is empty */
        {"exit 7", 20000, 100, TUMBLE_EINPUT, "exit status 7"},
        {"kill -TERM $$", 20000, 100, TUMBLE_EINPUT, "signal 15"},
        {"printf 12345678901", 20000, 10, TUMBLE_ELIMIT, "more than 10 bytes"},
        {"exec sleep 100", 200, 100, TUMBLE_EINPUT, "in time"},
        {"exec >&-; exec sleep 100", 300, 100, TUMBLE_EINPUT, "in time"},   /* its output ends, it does not */
        {"printf x; sleep 3 & exit 0", 500, 100, TUMBLE_EINPUT, "in time"}, /* a child of its own keeps the pipe */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = {0};
        run(&outcome, cases[i].script, cases[i].timeout_ms, cases[i].cap);
        if (outcome.code != cases[i].code) {
            fail_msg("%s: %d %s", cases[i].script, (int)outcome.code, outcome.err.text);
        }
        if (outcome.code == TUMBLE_OK) {
            assert_true(tumble_bytes_equal(tw_buf_view(&outcome.out), tumble_bytes_of(cases[i].output)));
        } else {
            assert_non_null(strstr(outcome.err.text, cases[i].output));
        }
        assert_true(outcome.took_ms < 15000);
        tw_buf_clean_up(&outcome.out);
    }
}

static void host_says_which_command_is_not_there(void **state) {
    (void)state;
    char name[] = "/no/such/command";
    char *argv[] = {name, NULL};
    struct tw_buf out;
    struct tumble_error err;
    tw_buf_init(&out, tw_alloc_default(), 100);
    assert_int_equal(host->run(host->ctx, argv, 1000, &out, &err), TUMBLE_EINPUT);
    assert_non_null(strstr(err.text, name));
    tw_buf_clean_up(&out);
}

static void host_reads_whole_files_up_to_a_cap(void **state) {
    (void)state;
    char path[] = "/tmp/tumble-aws-host-XXXXXX";
    int fd = mkstemp(path);
    struct tw_buf out;
    bool found;
    struct tumble_error err;
    assert_true(fd >= 0 && write(fd, "0123456789", 10) == 10);
    close(fd);
    tw_buf_init(&out, tw_alloc_default(), 10);
    assert_int_equal(host->read_file(host->ctx, path, &out, &found, &err), TUMBLE_OK);
    assert_true(found);
    assert_int_equal(out.length, 10);
    tw_buf_clean_up(&out);
    tw_buf_init(&out, tw_alloc_default(), 9);
    assert_int_equal(host->read_file(host->ctx, path, &out, &found, &err), TUMBLE_ELIMIT);
    assert_false(found);
    tw_buf_clear(&out);
    unlink(path);
    assert_int_equal(host->read_file(host->ctx, path, &out, &found, &err), TUMBLE_OK);
    assert_false(found);
    assert_int_equal(host->read_file(host->ctx, "/tmp", &out, &found, &err), TUMBLE_EINPUT);
    assert_non_null(strstr(err.text, "/tmp"));
    tw_buf_clean_up(&out);
}

static void host_clocks_run_and_numbers_vary(void **state) {
    (void)state;
    int64_t steady = host->steady_ms(host->ctx);
    host->sleep_ms(host->ctx, 20);
    assert_true(host->steady_ms(host->ctx) >= steady + 19);
    host->sleep_ms(host->ctx, -5);
    assert_true(host->now_ms(host->ctx) > INT64_C(1700000000000));
    uint64_t seen = 0;
    for (int i = 0; i < 8; i++) {
        seen |= host->random(host->ctx) ^ host->random(host->ctx);
    }
    assert_true(seen != 0);
}

static const char *given(void *ctx, const char *name) {
    (void)name;
    return ctx;
}

static void host_switches_are_true_in_any_case(void **state) {
    (void)state;
    char yes[] = "TruE";
    char one[] = "1";
    char none[] = "";
    struct tw_aws_host fake = {.ctx = yes, .variable = given};
    assert_true(tw_aws_variable_true(&fake, "X"));
    fake.ctx = one;
    assert_false(tw_aws_variable_true(&fake, "X"));
    fake.ctx = none;
    assert_null(tw_aws_variable(&fake, "X"));
    fake.ctx = NULL;
    assert_null(tw_aws_variable(&fake, "X"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_runs_a_command_and_reads_what_it_writes),
        cmocka_unit_test(host_says_which_command_is_not_there),
        cmocka_unit_test(host_reads_whole_files_up_to_a_cap),
        cmocka_unit_test(host_clocks_run_and_numbers_vary),
        cmocka_unit_test(host_switches_are_true_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
