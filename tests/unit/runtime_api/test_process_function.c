#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emulator/runtime_api/process_function.h"

/* Functions of every temper: tests/runtime_api/function.py. */

#define SEQUENCE "49590338271490256608559692538361571095921575989136588898"

struct bench {
    struct tumble_process_function *function;
    struct tumble_emulated_function call;
    struct tumble_function_answer answer;
    struct tumble_error err;
    uint32_t slot;
    int number;
    int log;
    int lines;
    char last_line[700];
    int stop;
    int64_t now_ms;
    char data[16 * 1024];
    size_t data_length;
};

static void on_line(void *ctx, const char *line) {
    struct bench *bench = ctx;
    bench->lines++;
    snprintf(bench->last_line, sizeof bench->last_line, "%s", line);
}

static int is_stopping(void *ctx) {
    const struct bench *bench = ctx;
    return bench->stop;
}

static struct tumble_process_options options_of(struct bench *bench, const char *command) {
    const char *log = getenv("TUMBLE_TEST_FUNCTION_LOG"); /* what the functions say, when a test fails */
    bench->log = open(log ? log : "/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
    return (struct tumble_process_options){
        .command = command, .log_fd = bench->log, .ctx = bench, .stopping = is_stopping, .say = on_line};
}

static void set_up(struct bench *bench, const struct tumble_process_options *options) {
    assert_int_equal(tumble_process_open(options, &bench->function, &bench->err), TUMBLE_OK);
    tumble_process_wrap(bench->function, &bench->call);
}

static void tear_down(struct bench *bench) {
    tumble_process_close(bench->function);
    close(bench->log);
}

#define BENCH(name, command)                                                                                           \
    struct bench name;                                                                                                 \
    memset(&name, 0, sizeof name);                                                                                     \
    struct tumble_process_options options = options_of(&name, command);                                                \
    set_up(&name, &options)

static enum tumble_code invoke(struct bench *bench, enum tumble_answer_kind *kind) {
    char id[TUMBLE_REQUEST_ID_TEXT], invocation_id[TUMBLE_REQUEST_ID_TEXT];
    bench->number++;
    snprintf(id, sizeof id, "5759e988-bd86-4fe1-8e46-%012d", bench->number);
    snprintf(invocation_id, sizeof invocation_id, "00000000-bd86-4fe1-8e46-%012d", bench->number);
    struct tumble_stream_record records[400];
    for (size_t i = 0; i < 400; i++) {
        records[i] = (struct tumble_stream_record){.data = {bench->data, bench->data_length},
                                                   .partition_key = tumble_bytes_of("k"),
                                                   .sequence = tumble_bytes_of(SEQUENCE),
                                                   .arrival_ms = 1607497475000};
    }
    struct tumble_function_request request = {
        .request_id = id,
        .invocation_id = invocation_id,
        .attempt = 1,
        .slot = bench->slot,
        .shard_id = tumble_bytes_of("shardId-000000000000"),
        .event_source_arn = tumble_bytes_of("arn:aws:kinesis:us-east-1:123456789012:stream/clicks"),
        .records = records,
        .record_count = bench->data_length > 100 ? 400 : 1,
        .sent_ms = bench->now_ms,
        .deadline_ms = bench->now_ms + 3000};
    enum tumble_code code = bench->call.invoke(bench->call.ctx, &request, &bench->answer, &bench->err);
    *kind = bench->answer.kind;
    return code;
}

static const char *respond(struct bench *bench) {
    static char text[64 * 1024];
    enum tumble_answer_kind kind;
    enum tumble_code code = invoke(bench, &kind);
    if (code != TUMBLE_OK || kind != TUMBLE_ANSWER_RESPONSE) {
        fail_msg("code %d (%s), answer %d, %s", (int)code, bench->err.text, (int)kind, bench->last_line);
    }
    assert_true(bench->answer.response.length < sizeof text);
    memcpy(text, bench->answer.response.data, bench->answer.response.length);
    text[bench->answer.response.length] = '\0';
    return text;
}

static void assert_answer(struct bench *bench, enum tumble_answer_kind wanted, const char *line) {
    enum tumble_answer_kind kind;
    bench->last_line[0] = '\0';
    assert_int_equal(invoke(bench, &kind), TUMBLE_OK);
    if (kind != wanted || !strstr(bench->last_line, line)) {
        fail_msg("answer %d, \"%s\"", (int)kind, bench->last_line);
    }
}

static void assert_has(const char *text, const char *wanted) {
    if (!strstr(text, wanted)) {
        fail_msg("no %s in %.2000s", wanted, text);
    }
}

static int pid_in(const char *text) {
    const char *at = strstr(text, "\"pid\": ");
    assert_non_null(at);
    return (int)strtol(at + 7, NULL, 10);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Those that are dead stay listed where nobody buries them. */
static int alive_now(int group) {
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    int count = 0;
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        char path[300], text[400] = "";
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = strtol(entry->d_name, NULL, 10) > 0 ? fopen(path, "r") : NULL;
        const char *state = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        if (state && strlen(state) > 4 && state[2] != 'Z') { /* ") S PARENT GROUP …" */
            char *end;
            strtol(state + 4, &end, 10);
            count += strtol(end, NULL, 10) == group ? 1 : 0;
        }
        if (file) {
            fclose(file);
        }
    }
    closedir(directory);
    return count;
}

/* What was killed may take a moment to die on a busy machine. */
static int alive_in_group(int group) {
    int count = alive_now(group);
    for (int i = 0; count && i < 500; i++) {
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
        count = alive_now(group);
    }
    return count;
}

#define FUNCTION "exec python3 runtime_api/function.py "

static void an_event_comes_back_as_it_was_sent(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "echo");
    for (int i = 0; i < 3; i++) {
        const char *text = respond(&bench);
        assert_has(text, "{\"Records\":[{\"kinesis\":");
        assert_has(text, SEQUENCE);
        assert_true(bench.answer.duration_us > 0);
    }
    assert_int_equal(tumble_process_figures(bench.function)->starts, 1);
    assert_int_equal(tumble_process_figures(bench.function)->invocations, 3);
    tear_down(&bench);
}

static void a_process_sees_lambdas_headers_and_variables(void **state) {
    (void)state;
    setenv("AWS_LAMBDA_RUNTIME_API", "not this", 1);
    setenv("AWS_REGION", "eu-central-1", 1);
    BENCH(bench, FUNCTION "tell");
    const char *text = respond(&bench);
    assert_has(text, "\"lambda-runtime-aws-request-id\": \"5759e988-bd86-4fe1-8e46-000000000001\"");
    assert_has(text, "\"lambda-runtime-invocation-id\": \"00000000-bd86-4fe1-8e46-000000000001\"");
    assert_has(text,
               "\"lambda-runtime-invoked-function-arn\": \"arn:aws:lambda:us-east-1:123456789012:function:function\"");
    assert_has(text,
               "\"lambda-runtime-trace-id\": \"Root=1-5759e988-bd864fe18e46000000000001;Parent=8e46000000000001;");
    assert_has(text, "\"AWS_LAMBDA_RUNTIME_API\": \"127.0.0.1:");
    assert_has(text, "\"AWS_LAMBDA_FUNCTION_NAME\": \"function\"");
    assert_has(text, "\"AWS_LAMBDA_FUNCTION_VERSION\": \"$LATEST\"");
    assert_has(text, "\"AWS_LAMBDA_FUNCTION_MEMORY_SIZE\": \"128\"");
    assert_has(text, "\"AWS_LAMBDA_LOG_GROUP_NAME\": \"/aws/lambda/function\"");
    assert_has(text, "\"AWS_LAMBDA_INITIALIZATION_TYPE\": \"on-demand\"");
    assert_has(text, "\"AWS_REGION\": \"eu-central-1\"");
    assert_has(text, "\"_HANDLER\": \"bootstrap\"");
    assert_has(text, "\"stdin\": \"\"");
    const char *left = strstr(text, "\"left_ms\": ");
    assert_non_null(left);
    double ms = strtod(left + 11, NULL);
    assert_true(ms > 2500 && ms <= 3001);
    assert_has(respond(&bench), "\"count\": 2");
    tear_down(&bench);
    unsetenv("AWS_LAMBDA_RUNTIME_API");
    unsetenv("AWS_REGION");
}

static void slots_are_sandboxes_of_their_own(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "tell");
    int first = pid_in(respond(&bench));
    bench.slot = 3;
    int second = pid_in(respond(&bench));
    assert_int_not_equal(first, second);
    bench.slot = 0;
    assert_int_equal(pid_in(respond(&bench)), first);
    assert_int_equal(tumble_process_figures(bench.function)->starts, 2);
    tear_down(&bench);
    assert_int_not_equal(kill(first, 0), 0);
    assert_int_not_equal(kill(second, 0), 0);
}

static void an_error_that_is_posted_fails_the_invocation_and_spares_the_sandbox(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "error");
    assert_answer(&bench, TUMBLE_ANSWER_ERROR, "Function error: {\"errorMessage\": \"no\", \"errorType\": \"Boom\"");
    assert_answer(&bench, TUMBLE_ANSWER_ERROR, "Boom");
    assert_int_equal(tumble_process_figures(bench.function)->starts, 1);
    assert_int_equal(tumble_process_figures(bench.function)->errors, 2);
    tear_down(&bench);
}

static void a_time_out_kills_all_of_the_sandbox_and_the_next_event_starts_it_again(void **state) {
    (void)state;
    struct bench bench = {.number = 0};
    struct tumble_process_options options = options_of(&bench, FUNCTION "hang 2");
    options.timeout_ms = 700;
    set_up(&bench, &options);
    int pid = pid_in(respond(&bench));
    int64_t began = now_ms();
    assert_answer(&bench, TUMBLE_ANSWER_TIMED_OUT, "Task timed out after 0.70 seconds");
    assert_in_range(now_ms() - began, 690, 30000); /* how late a busy machine is says nothing */
    assert_int_equal(bench.answer.duration_us, 700000);
    assert_int_equal(alive_in_group(pid), 0); /* its children too */
    assert_int_not_equal(pid_in(respond(&bench)), pid);
    assert_int_equal(tumble_process_figures(bench.function)->timeouts, 1);
    assert_int_equal(tumble_process_figures(bench.function)->starts, 2);
    tear_down(&bench);
}

static void a_crash_fails_the_invocation_and_the_next_event_starts_it_again(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "crash 2");
    assert_has(respond(&bench), "\"count\": 1");
    assert_answer(&bench, TUMBLE_ANSWER_CRASHED, "Runtime exited with error: exit status 3 Runtime.ExitError");
    assert_has(respond(&bench), "\"count\": 1");
    assert_int_equal(tumble_process_figures(bench.function)->crashes, 1);
    tear_down(&bench);
}

static void a_process_that_ends_between_two_events_is_nobodys_failure(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "once");
    for (int i = 0; i < 3; i++) {
        respond(&bench);
    }
    assert_int_equal(tumble_process_figures(bench.function)->crashes, 0);
    assert_int_equal(tumble_process_figures(bench.function)->starts, 3);
    tear_down(&bench);
}

static void an_init_error_is_tried_again_once_and_then_fails_the_invocation(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "init_error");
    assert_answer(&bench, TUMBLE_ANSWER_ERROR, "Init error: {\"errorMessage\": \"no spec\"");
    assert_int_equal(tumble_process_figures(bench.function)->starts, 2);
    assert_answer(&bench, TUMBLE_ANSWER_ERROR, "Init error");
    assert_int_equal(tumble_process_figures(bench.function)->starts, 3);
    assert_int_equal(tumble_process_figures(bench.function)->init_errors, 3);
    enum tumble_answer_kind kind; /* what never began once will not begin */
    assert_int_equal(invoke(&bench, &kind), TUMBLE_EUSAGE);
    assert_has(bench.err.text, "does not begin, tried 4 times: {\"errorMessage\": \"no spec\"");
    tear_down(&bench);
}

static void an_init_that_takes_too_long_is_begun_again_within_the_invocation(void **state) {
    (void)state;
    char command[200], path[] = "/tmp/tumble-init-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(command, sizeof command, FUNCTION "slow_init %s", path);
    struct bench bench = {.number = 0};
    struct tumble_process_options options = options_of(&bench, command);
    options.init_timeout_ms = 600;
    set_up(&bench, &options);
    assert_has(respond(&bench), "Records");
    assert_int_equal(tumble_process_figures(bench.function)->starts, 2);
    assert_int_equal(tumble_process_figures(bench.function)->init_timeouts, 1);
    tear_down(&bench);
    unlink(path);
}

static void what_never_asks_for_an_event_is_no_function(void **state) {
    (void)state;
    static const char *const commands[] = {"/nowhere/at-all", "true", "exit 7", "sleep 1000"};
    static const char *const words[] = {"exit status 127", "exit status 0", "exit status 7", "asked for no event"};
    for (size_t i = 0; i < 4; i++) {
        struct bench bench = {.number = 0};
        enum tumble_answer_kind kind;
        struct tumble_process_options options = options_of(&bench, commands[i]);
        options.init_timeout_ms = options.timeout_ms = 300;
        set_up(&bench, &options);
        assert_int_equal(invoke(&bench, &kind), TUMBLE_EUSAGE);
        assert_has(bench.err.text, words[i]);
        tear_down(&bench);
    }
}

static void what_is_refused_is_refused_and_the_right_answer_still_counts(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "wrong");
    for (int i = 0; i < 2; i++) {
        const char *text = respond(&bench);
        assert_has(text, "\"wrong id\": [400, \"{\\\"errorMessage\\\":\\\"Invalid request ID\\\"");
        assert_has(text, "InvalidRequestID");
        assert_has(text, "\"wrong invocation\": [400, ");
        assert_has(text, "InvalidInvocationId");
        assert_has(text, "\"no such path\": [404, ");
        assert_has(text, "\"wrong method\": [405, ");
        assert_has(text, "\"next in between\": [403, ");
        assert_has(text, "\"init error\": [403, ");
        assert_has(text, "\"stranger\": [403, ");
        assert_has(text, "\"late extension\": [403, ");
        assert_has(text, "\"telemetry\": [202, ");
    }
    tear_down(&bench);
}

static void a_second_answer_is_refused(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "twice");
    assert_has(respond(&bench), "{\"second\": null}");
    assert_has(respond(&bench), "{\"second\": [400, ");
    tear_down(&bench);
}

static void a_response_above_the_limit_is_an_error_whatever_comes_after_it(void **state) {
    (void)state;
    {
        BENCH(bench, FUNCTION "too_large next");
        assert_answer(&bench, TUMBLE_ANSWER_ERROR, "Function.ResponseSizeTooLarge");
        assert_has(respond(&bench),
                   "[413, \"{\\\"errorMessage\\\":\\\"Exceeded maximum allowed payload size (6291556 bytes).\\\"");
        assert_int_equal(tumble_process_figures(bench.function)->too_large, 1);
        tear_down(&bench);
    }
    {
        BENCH(bench, FUNCTION "too_large error");
        assert_answer(&bench, TUMBLE_ANSWER_ERROR, "it was too large");
        assert_has(respond(&bench), "202, \"{\\\"status\\\":\\\"OK\\\"}");
        assert_answer(&bench, TUMBLE_ANSWER_ERROR, "it was too large");
        tear_down(&bench);
    }
    {
        BENCH(bench, FUNCTION "too_large end");
        assert_answer(&bench, TUMBLE_ANSWER_CRASHED, "exit status 1");
        tear_down(&bench);
    }
}

static void the_largest_response_is_taken(void **state) {
    (void)state;
    enum tumble_answer_kind kind;
    BENCH(bench, FUNCTION "largest");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(invoke(&bench, &kind), TUMBLE_OK);
        assert_int_equal(kind, TUMBLE_ANSWER_RESPONSE);
        assert_int_equal(bench.answer.response.length, 6291556);
    }
    tear_down(&bench);
}

static void garbage_and_floods_do_no_harm(void **state) {
    (void)state;
    static const char *const commands[] = {FUNCTION "garbage", FUNCTION "flood", FUNCTION "slow_body 0.3"};
    for (size_t i = 0; i < 3; i++) {
        struct bench bench = {.number = 0};
        struct tumble_process_options options = options_of(&bench, commands[i]);
        options.timeout_ms = 30000;
        set_up(&bench, &options);
        for (int j = 0; j < 2; j++) {
            respond(&bench);
        }
        assert_int_equal(tumble_process_figures(bench.function)->starts, 1);
        tear_down(&bench);
    }
}

static void an_event_goes_to_who_still_waits_for_it(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "gives_up");
    for (int i = 0; i < 3; i++) {
        assert_has(respond(&bench), "alive");
        usleep(400000);
    }
    assert_int_equal(tumble_process_figures(bench.function)->starts, 1);
    tear_down(&bench);
}

static void bodies_that_never_end_meet_the_time_out(void **state) {
    (void)state;
    static const char *const commands[] = {FUNCTION "slow_body 60", FUNCTION "endless_body"};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench = {.number = 0};
        struct tumble_process_options options = options_of(&bench, commands[i]);
        options.timeout_ms = 1000;
        set_up(&bench, &options);
        assert_answer(&bench, TUMBLE_ANSWER_TIMED_OUT, "Task timed out after 1.00 seconds");
        tear_down(&bench);
    }
}

static void who_answers_before_it_read_the_event_loses_its_sandbox(void **state) {
    (void)state;
    BENCH(bench, FUNCTION "deaf");
    memset(bench.data, 'x', sizeof bench.data - 1);
    bench.data_length = 12000;
    int first = pid_in(respond(&bench));
    int second = pid_in(respond(&bench));
    assert_int_not_equal(first, second);
    tear_down(&bench);
}

static void what_goes_on_after_the_answer_takes_of_the_next_ones_time(void **state) {
    (void)state;
    struct bench bench = {.number = 0};
    struct tumble_process_options options = options_of(&bench, FUNCTION "late_again");
    options.timeout_ms = 2000;
    set_up(&bench, &options);
    assert_has(respond(&bench), "{}");
    assert_answer(&bench, TUMBLE_ANSWER_TIMED_OUT, "Task timed out");
    assert_has(respond(&bench), "{}");
    tear_down(&bench);
}

static void sandboxes_are_recycled_after_their_lifetime(void **state) {
    (void)state;
    struct bench bench = {.number = 0};
    struct tumble_process_options options = options_of(&bench, FUNCTION "tell");
    options.lifetime_invocations = 2;
    options.lifetime_ms = 60000;
    set_up(&bench, &options);
    int first = pid_in(respond(&bench));
    assert_int_equal(pid_in(respond(&bench)), first);
    int second = pid_in(respond(&bench));
    assert_int_not_equal(second, first);
    bench.now_ms += 60000;
    int third = pid_in(respond(&bench));
    assert_int_not_equal(third, second);
    assert_int_equal(tumble_process_figures(bench.function)->recycled, 2);
    assert_int_equal(bench.call.recycle(bench.call.ctx, 0, &bench.err), TUMBLE_OK);
    assert_int_equal(bench.call.recycle(bench.call.ctx, 77, &bench.err), TUMBLE_OK);
    assert_int_not_equal(pid_in(respond(&bench)), third);
    tear_down(&bench);
}

/* What the function wrote down about its end, and how long the end took. */
static int64_t end_of(const char *arguments, char text[400]) {
    char command[300], path[] = "/tmp/tumble-extension-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(command, sizeof command, arguments, path);
    BENCH(bench, command);
    assert_has(respond(&bench), "{\"registered\": {\"functionName\": \"function\", \"functionVersion\": \"$LATEST\", ");
    int64_t began = now_ms();
    tear_down(&bench);
    int64_t took = now_ms() - began;
    ssize_t length = read(fd, text, 399);
    text[length > 0 ? length : 0] = '\0';
    close(fd);
    unlink(path);
    return took;
}

static void sigterm_comes_with_an_extension(void **state) {
    (void)state;
    char text[400];
    assert_true(end_of(FUNCTION "extension %s", text) < 490);
    assert_has(text, "SIGTERM");
}

static void an_extension_gets_the_events_it_asked_for(void **state) {
    (void)state;
    char text[400];
    assert_true(end_of(FUNCTION "extension %s INVOKE,SHUTDOWN", text) < 1900);
    assert_has(text, "200 INVOKE");
    assert_has(text, "200 SHUTDOWN");
    assert_has(text, "SPINDOWN");
}

static void who_ignores_sigterm_is_killed_when_its_time_is_over(void **state) {
    (void)state;
    char text[400];
    assert_in_range(end_of(FUNCTION "ignores %s", text), 480, 30000);
}

static void without_an_extension_the_end_is_at_once(void **state) {
    (void)state;
    BENCH(bench, "trap '' TERM; " FUNCTION "echo");
    respond(&bench);
    int64_t began = now_ms();
    tear_down(&bench);
    assert_true(now_ms() - began < 480); /* it was not waited for */
}

static void a_signal_ends_the_wait_for_an_answer(void **state) {
    (void)state;
    enum tumble_answer_kind kind;
    BENCH(bench, FUNCTION "hang 2");
    respond(&bench);
    bench.stop = 1;
    int64_t began = now_ms();
    assert_int_equal(invoke(&bench, &kind), TUMBLE_EINTERRUPTED);
    assert_true(now_ms() - began < 2500); /* the time-out is three seconds */
    tear_down(&bench);
}

/* Reads one line of a child that opens a function, and kills the child: the group of what it left behind. */
static int group_of_a_killed_parent(const char *command) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct bench bench = {.number = 0};
        struct tumble_process_options options = options_of(&bench, command);
        enum tumble_answer_kind kind;
        close(ends[0]);
        if (tumble_process_open(&options, &bench.function, &bench.err) == TUMBLE_OK) {
            tumble_process_wrap(bench.function, &bench.call);
            if (invoke(&bench, &kind) == TUMBLE_OK &&
                write(ends[1], bench.answer.response.data, bench.answer.response.length) > 0) {
                sleep(100);
            }
        }
        _exit(1);
    }
    char text[64 * 1024];
    ssize_t length = read(ends[0], text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    close(ends[0]);
    close(ends[1]);
    int group = getpgid(pid_in(text));
    assert_true(group > 0 && alive_now(group) > 0);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    return group;
}

static void nothing_outlives_a_parent_that_is_killed(void **state) {
    (void)state;
    /* The second one is a grandchild: no signal at its parent's end reaches it. */
    static const char *const commands[] = {FUNCTION "tell", "python3 runtime_api/function.py tell; true"};
    for (size_t i = 0; i < 2; i++) {
        int group = group_of_a_killed_parent(commands[i]);
        int64_t until = now_ms() + 3000;
        while (alive_now(group) > 0 && now_ms() < until) {
            usleep(10000);
        }
        assert_int_equal(alive_in_group(group), 0);
    }
}

static void options_that_make_no_sense_are_refused(void **state) {
    (void)state;
    struct tumble_process_function *function;
    struct tumble_error err;
    struct tumble_process_options options = {.command = ""};
    assert_int_equal(tumble_process_open(&options, &function, &err), TUMBLE_EUSAGE);
    options = (struct tumble_process_options){.command = "true", .function_name = "a b"};
    assert_int_equal(tumble_process_open(&options, &function, &err), TUMBLE_EUSAGE);
    assert_null(function);
    tumble_process_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_comes_back_as_it_was_sent),
        cmocka_unit_test(a_process_sees_lambdas_headers_and_variables),
        cmocka_unit_test(slots_are_sandboxes_of_their_own),
        cmocka_unit_test(an_error_that_is_posted_fails_the_invocation_and_spares_the_sandbox),
        cmocka_unit_test(a_time_out_kills_all_of_the_sandbox_and_the_next_event_starts_it_again),
        cmocka_unit_test(a_crash_fails_the_invocation_and_the_next_event_starts_it_again),
        cmocka_unit_test(a_process_that_ends_between_two_events_is_nobodys_failure),
        cmocka_unit_test(an_init_error_is_tried_again_once_and_then_fails_the_invocation),
        cmocka_unit_test(an_init_that_takes_too_long_is_begun_again_within_the_invocation),
        cmocka_unit_test(what_never_asks_for_an_event_is_no_function),
        cmocka_unit_test(what_is_refused_is_refused_and_the_right_answer_still_counts),
        cmocka_unit_test(a_second_answer_is_refused),
        cmocka_unit_test(a_response_above_the_limit_is_an_error_whatever_comes_after_it),
        cmocka_unit_test(the_largest_response_is_taken),
        cmocka_unit_test(garbage_and_floods_do_no_harm),
        cmocka_unit_test(an_event_goes_to_who_still_waits_for_it),
        cmocka_unit_test(bodies_that_never_end_meet_the_time_out),
        cmocka_unit_test(who_answers_before_it_read_the_event_loses_its_sandbox),
        cmocka_unit_test(what_goes_on_after_the_answer_takes_of_the_next_ones_time),
        cmocka_unit_test(sandboxes_are_recycled_after_their_lifetime),
        cmocka_unit_test(sigterm_comes_with_an_extension),
        cmocka_unit_test(an_extension_gets_the_events_it_asked_for),
        cmocka_unit_test(who_ignores_sigterm_is_killed_when_its_time_is_over),
        cmocka_unit_test(without_an_extension_the_end_is_at_once),
        cmocka_unit_test(a_signal_ends_the_wait_for_an_answer),
        cmocka_unit_test(nothing_outlives_a_parent_that_is_killed),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
