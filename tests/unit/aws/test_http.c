#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <time.h>

#include "adapters/aws/http.h"
#include "canned_server.h"
#include "counting_alloc.h"

static struct tw_http_client *open_client(void) {
    struct tw_http_options options = {0};
    struct tw_http_client *client = NULL;
    assert_int_equal(tw_http_open(&options, &client, NULL), TUMBLE_OK);
    return client;
}

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One server, one client, one response, and what sending gave. */
struct trial {
    struct canned_server server;
    struct tw_http_client *client;
    struct tw_http_response response;
    struct tumble_error err;
    int64_t took_ms;
};

static void begin(struct trial *trial, const struct canned *answers, size_t count, size_t cap) {
    assert_true(canned_start(&trial->server, answers, count));
    trial->client = open_client();
    tw_http_response_init(&trial->response, tw_alloc_default(), cap);
    memset(&trial->err, 0, sizeof trial->err);
}

static enum tumble_code ask(struct trial *trial, struct tw_http_request request) {
    int64_t began = clock_ms();
    if (!request.url) {
        request.url = trial->server.url;
    }
    if (!request.method) {
        request.method = "GET";
    }
    enum tumble_code code = tw_http_send(trial->client, &request, &trial->response, &trial->err);
    trial->took_ms = clock_ms() - began;
    return code;
}

static void end(struct trial *trial) {
    tw_http_response_clean_up(&trial->response);
    tw_http_destroy(trial->client);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static void http_keeps_the_connection_and_reads_every_form_of_body(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {OK_HEAD "Content-Length: 5\r\nX-Amzn-RequestId:  abc \r\nx-twice: 1\r\nX-Twice: 2\r\n\r\nhello", CANNED_KEEP},
        {"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\n" OK_HEAD
         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         CANNED_KEEP},
        {"HTTP/1.1 204 No Content\r\n\r\n", CANNED_KEEP},
        {"HTTP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n", CANNED_KEEP},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", CANNED_CLOSE},
    };
    struct trial trial;
    struct tumble_bytes value;
    begin(&trial, answers, 5, 1000);
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_int_equal(trial.response.status, 200);
    assert_int_equal(trial.response.failure, TW_HTTP_NONE);
    assert_true(tumble_bytes_equal(tw_buf_view(&trial.response.body), tumble_bytes_of("hello")));
    assert_true(tw_http_header(&trial.response, "x-amzn-requestid", &value));
    assert_true(tumble_bytes_equal(value, tumble_bytes_of("abc")));
    assert_true(tw_http_header(&trial.response, "x-twice", &value));
    assert_true(tumble_bytes_equal(value, tumble_bytes_of("1")));
    assert_false(tw_http_header(&trial.response, "x-amzn", &value));
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&trial.response.body), tumble_bytes_of("abcde")));
    assert_false(tw_http_header(&trial.response, "x-interim", &value));
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_int_equal(trial.response.status, 204);
    assert_int_equal(trial.response.body.length, 0);
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_int_equal(trial.response.status, 503);
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&trial.response.body), tumble_bytes_of("until the end")));
    assert_int_equal(trial.server.connections, 1);
    end(&trial);
}

static void http_sends_what_it_was_given_and_nothing_of_its_own(void **state) {
    (void)state;
    static const struct canned answers[] = {{OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP},
                                            {OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP},
                                            {OK_HEAD "Content-Length: 9\r\n\r\n", CANNED_KEEP},
                                            {OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP}};
    static const struct tw_http_header headers[] = {{"X-Empty", ""}, {"content-type", "a/b"}, {"host", "elsewhere:99"}};
    struct trial trial;
    char url[200];
    begin(&trial, answers, 4, 1000);
    snprintf(url, sizeof url, "%s/a//b/../c/%%2F%%20?x=1&y", trial.server.url);
    struct tw_http_request put = {
        .method = "PUT", .url = url, .headers = headers, .header_count = 3, .body = {"\0\1\2", 3}};
    assert_int_equal(ask(&trial, put), TUMBLE_OK);
    const char *sent = trial.server.requests[0];
    assert_non_null(strstr(sent, "PUT /a//b/../c/%2F%20?x=1&y HTTP/1.1\r\n"));
    assert_non_null(strstr(sent, "X-Empty:\r\n"));
    assert_non_null(strcasestr(sent, "\r\nhost: elsewhere:99\r\n"));
    assert_non_null(strstr(sent, "Content-Length: 3\r\n"));
    assert_null(strcasestr(sent, "Expect"));
    assert_null(strcasestr(sent, "urlencoded"));
    assert_int_equal(ask(&trial, (struct tw_http_request){.method = "POST"}), TUMBLE_OK);
    assert_non_null(strstr(trial.server.requests[1], "Content-Length: 0\r\n"));
    assert_null(strcasestr(trial.server.requests[1], "Content-Type"));
    assert_int_equal(ask(&trial, (struct tw_http_request){.method = "HEAD"}), TUMBLE_OK);
    assert_int_equal(trial.response.body.length, 0);
    assert_int_equal(ask(&trial, (struct tw_http_request){.method = "DELETE"}), TUMBLE_OK);
    assert_non_null(strstr(trial.server.requests[3], "DELETE / HTTP/1.1\r\n"));
    assert_null(strcasestr(trial.server.requests[3], "Content-Length"));
    assert_int_equal(trial.server.connections, 1);
    end(&trial);
}

static void http_sends_a_large_body_whole(void **state) {
    (void)state;
    static const struct canned answers[] = {{OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP}};
    size_t length = 700000;
    char *body = malloc(length);
    struct trial trial;
    for (size_t i = 0; i < length; i++) {
        body[i] = (char)('a' + i * 7 % 26);
    }
    begin(&trial, answers, 1, 1000);
    assert_int_equal(ask(&trial, (struct tw_http_request){.method = "PUT", .body = {body, length}}), TUMBLE_OK);
    const char *received = strstr(trial.server.requests[0], "\r\n\r\n") + 4;
    assert_int_equal(strlen(received), length);
    assert_memory_equal(received, body, length);
    end(&trial);
    free(body);
}

static void http_tells_failures_apart(void **state) {
    (void)state;
    static const struct {
        struct canned canned;
        size_t cap;
        int64_t timeout_ms;
        int64_t stall_ms;
        enum tw_http_failure failure;
        enum tumble_code code;
    } cases[] = {
        {{OK_HEAD "Content-Length: 50\r\n\r\ncut short", CANNED_CLOSE}, 100, 5000, 0, TW_HTTP_BROKEN, TUMBLE_EOUTPUT},
        {{OK_HEAD "Content-Length: 50\r\n\r\nreset", CANNED_RESET}, 100, 5000, 0, TW_HTTP_BROKEN, TUMBLE_EOUTPUT},
        {{OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", CANNED_CLOSE},
         100,
         5000,
         0,
         TW_HTTP_BROKEN,
         TUMBLE_EOUTPUT},
        {{NULL, CANNED_CLOSE}, 100, 5000, 0, TW_HTTP_BROKEN, TUMBLE_EOUTPUT},
        {{"SSH-2.0-OpenSSH\r\n\r\n", CANNED_CLOSE}, 100, 5000, 0, TW_HTTP_BROKEN, TUMBLE_EOUTPUT},
        {{NULL, CANNED_STALL}, 100, 300, 0, TW_HTTP_TIMEOUT, TUMBLE_EOUTPUT},
        {{OK_HEAD "Content-Length: 50\r\n\r\nslow", CANNED_STALL}, 100, 300, 0, TW_HTTP_TIMEOUT, TUMBLE_EOUTPUT},
        {{OK_HEAD "Content-Length: 50\r\n\r\nslow", CANNED_DRIP}, 100, 500, 0, TW_HTTP_TIMEOUT, TUMBLE_EOUTPUT},
        {{NULL, CANNED_STALL}, 100, 0, 1000, TW_HTTP_TIMEOUT, TUMBLE_EOUTPUT},
        {{OK_HEAD "Content-Length: 11\r\n\r\n12345678901", CANNED_KEEP}, 10, 5000, 0, TW_HTTP_TOO_LARGE, TUMBLE_ELIMIT},
        {{OK_HEAD "\r\n12345678901", CANNED_CLOSE}, 10, 5000, 0, TW_HTTP_TOO_LARGE, TUMBLE_ELIMIT},
        {{OK_HEAD "Content-Length: 10\r\n\r\n1234567890", CANNED_KEEP}, 10, 5000, 0, TW_HTTP_NONE, TUMBLE_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trial trial;
        begin(&trial, &cases[i].canned, 1, cases[i].cap);
        enum tumble_code code = ask(&trial, (struct tw_http_request){.method = "POST",
                                                                     .body = {"x", 1},
                                                                     .timeout_ms = cases[i].timeout_ms,
                                                                     .stall_timeout_ms = cases[i].stall_ms});
        if (code != cases[i].code || trial.response.failure != cases[i].failure) {
            print_error("case %zu: %d %d %s\n", i, (int)code, (int)trial.response.failure, trial.err.text);
        }
        assert_int_equal(code, cases[i].code);
        assert_int_equal(trial.response.failure, cases[i].failure);
        assert_true(trial.took_ms < 4000);
        if (code != TUMBLE_OK) {
            assert_non_null(strstr(trial.err.text, trial.server.url));
        }
        end(&trial);
    }
}

static void http_refuses_headers_without_end(void **state) {
    (void)state;
    size_t length = (size_t)TW_HTTP_HEADER_BYTES * 2;
    char *answer = malloc(length + 1000);
    char *at = answer + sprintf(answer, OK_HEAD);
    for (int i = 0; at < answer + length; i++) {
        at += sprintf(at, "x-header-%d: %0500d\r\n", i, i);
    }
    sprintf(at, "\r\n");
    struct canned canned = {answer, CANNED_CLOSE};
    struct trial trial;
    begin(&trial, &canned, 1, 100);
    assert_int_not_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_int_not_equal(trial.response.failure, TW_HTTP_NONE);
    assert_true(trial.response.heads.length <= TW_HTTP_HEADER_BYTES);
    end(&trial);
    free(answer);
}

static void http_names_what_was_never_sent(void **state) {
    (void)state;
    struct trial trial;
    char url[64];
    static const struct canned none = {NULL, CANNED_CLOSE};
    begin(&trial, &none, 1, 100);
    canned_stop(&trial.server); /* nobody listens at that port now */
    snprintf(url, sizeof url, "http://127.0.0.1:%d/path?secret=1", trial.server.port);
    assert_int_equal(ask(&trial, (struct tw_http_request){.url = url}), TUMBLE_EOUTPUT);
    assert_int_equal(trial.response.failure, TW_HTTP_UNREACHABLE);
    assert_null(strstr(trial.err.text, "secret"));
    assert_int_equal(ask(&trial, (struct tw_http_request){.url = "http://user:hunter2@127.0.0.1:1/"}), TUMBLE_EOUTPUT);
    assert_null(strstr(trial.err.text, "hunter2"));
    for (int i = 0; i < 2; i++) { /* and again: libcurl 7.88 then refuses other sizes of its buffers */
        assert_int_equal(ask(&trial, (struct tw_http_request){.url = "http://no-such-host.invalid/"}), TUMBLE_EOUTPUT);
        assert_int_equal(trial.response.failure, TW_HTTP_UNREACHABLE);
    }
    assert_int_equal(ask(&trial, (struct tw_http_request){.url = "file:///etc/passwd"}), TUMBLE_EINVAL);
    assert_int_equal(trial.response.failure, TW_HTTP_BAD_REQUEST);
    static const struct tw_http_header broken[] = {{"x-a", "b\r\nx-injected: 1"}};
    assert_int_equal(ask(&trial, (struct tw_http_request){.headers = broken, .header_count = 1}), TUMBLE_EINVAL);
    assert_int_equal(trial.response.failure, TW_HTTP_BAD_REQUEST);
    tw_http_response_clean_up(&trial.response);
    tw_http_destroy(trial.client);
    canned_forget(&trial.server);
}

/* The server closes a kept connection after reading the second request: libcurl sends it again on a new one. */
static void http_tells_when_a_request_went_out_twice(void **state) {
    (void)state;
    static const struct canned answers[] = {{OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP},
                                            {NULL, CANNED_CLOSE},
                                            {OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP}};
    struct trial trial;
    begin(&trial, answers, 3, 100);
    struct tw_http_request request = {.method = "POST", .body = {"row", 3}};
    assert_int_equal(ask(&trial, request), TUMBLE_OK);
    assert_false(trial.response.resent);
    enum tumble_code code = ask(&trial, request);
    assert_true(code == TUMBLE_OK ? trial.response.resent : trial.response.failure == TW_HTTP_BROKEN);
    assert_int_equal(code, TUMBLE_OK);
    assert_int_equal(trial.server.served, 3);
    end(&trial);
}

/* A signal of the process's own, sent while a request runs, is neither lost nor doubled by the holding back of SIGPIPE.
 */
static void http_leaves_signals_as_they_were(void **state) {
    (void)state;
    static const struct canned answer = {OK_HEAD "Content-Length: 0\r\n\r\n", CANNED_KEEP};
    struct trial trial;
    sigset_t set;
    sigset_t after;
    begin(&trial, &answer, 1, 100);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    raise(SIGPIPE); /* pending, and somebody waits for it */
    assert_int_equal(ask(&trial, (struct tw_http_request){0}), TUMBLE_OK);
    assert_int_equal(sigpending(&after), 0);
    assert_int_equal(sigismember(&after, SIGPIPE), 1);
    int taken = 0;
    assert_int_equal(sigwait(&set, &taken), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    end(&trial);
}

static int questions;

static bool stop_at_second_question(void *ctx) {
    (void)ctx;
    return ++questions >= 2;
}

static void http_stops_when_told(void **state) {
    (void)state;
    static const struct canned stall = {NULL, CANNED_STALL};
    struct trial trial;
    begin(&trial, &stall, 1, 100);
    questions = 0;
    assert_int_equal(ask(&trial, (struct tw_http_request){.stop = stop_at_second_question}), TUMBLE_EINTERRUPTED);
    assert_int_equal(trial.response.failure, TW_HTTP_STOPPED);
    assert_true(trial.took_ms < 5000);
    end(&trial);
}

static void http_without_memory_says_so(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {OK_HEAD "Content-Length: 300\r\nx-a: b\r\n\r\n"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         CANNED_CLOSE}};
    static const struct tw_http_header headers[] = {{"x-a", "b"}};
    for (size_t fail_at = 1; fail_at < 10; fail_at++) {
        struct canned_server server;
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_http_options options = {.alloc = counting_alloc_of(&count)};
        struct tw_http_client *client;
        struct tw_http_response response;
        assert_true(canned_start(&server, answers, 1));
        tw_http_response_init(&response, options.alloc, 1000);
        enum tumble_code code = tw_http_open(&options, &client, NULL);
        if (code == TUMBLE_OK) {
            struct tw_http_request request = {
                .method = "GET", .url = server.url, .headers = headers, .header_count = 1, .timeout_ms = 5000};
            code = tw_http_send(client, &request, &response, NULL);
        }
        assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        tw_http_destroy(client);
        tw_http_response_clean_up(&response);
        assert_int_equal(count.live, 0);
        canned_stop(&server);
        canned_forget(&server);
    }
}

static const char *bundle_variable(void *ctx, const char *name) {
    return strcmp(name, ctx) == 0 ? "/of/the/user" : NULL;
}

static void http_ca_bundle_of_the_user_wins(void **state) {
    (void)state;
    char aws[] = "AWS_CA_BUNDLE";
    char ssl[] = "SSL_CERT_FILE";
    char none[] = "NONE";
    assert_string_equal(tw_http_find_ca_bundle(bundle_variable, aws), "/of/the/user");
    assert_string_equal(tw_http_find_ca_bundle(bundle_variable, ssl), "/of/the/user");
    const char *probed = tw_http_find_ca_bundle(bundle_variable, none);
    assert_true(!probed || access(probed, R_OK) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_keeps_the_connection_and_reads_every_form_of_body),
        cmocka_unit_test(http_sends_what_it_was_given_and_nothing_of_its_own),
        cmocka_unit_test(http_sends_a_large_body_whole),
        cmocka_unit_test(http_tells_failures_apart),
        cmocka_unit_test(http_refuses_headers_without_end),
        cmocka_unit_test(http_names_what_was_never_sent),
        cmocka_unit_test(http_tells_when_a_request_went_out_twice),
        cmocka_unit_test(http_leaves_signals_as_they_were),
        cmocka_unit_test(http_stops_when_told),
        cmocka_unit_test(http_without_memory_says_so),
        cmocka_unit_test(http_ca_bundle_of_the_user_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
