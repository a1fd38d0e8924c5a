#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/aws_client.h"
#include "canned_server.h"
#include "counting_alloc.h"
#include "fake_host.h"

#define START    INT64_C(1795420800000) /* 2026-11-23T08:00:00Z */
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define BODY(status, body, length)                                                                                     \
    "HTTP/1.1 " status "\r\nx-amzn-requestid: RID\r\nContent-Length: " length "\r\n\r\n" body
#define THROTTLED   BODY("400 Bad Request", "{\"__type\":\"a#ThrottlingException\"}", "34")
#define CONDITION   BODY("400 Bad Request", "{\"__type\":\"ConditionalCheckFailedException\",\"message\":\"no\"}", "59")
#define SERVER_DOWN BODY("500 Internal Server Error", "", "0")
#define SKEWED                                                                                                         \
    "HTTP/1.1 403 Forbidden\r\nDate: Mon, 23 Nov 2026 08:30:00 GMT\r\nContent-Length: "                                \
    "41\r\n\r\n<Error><Code>RequestTimeTooSkewed</Code> "
#define BAD_SIGN                                                                                                       \
    "HTTP/1.1 403 Forbidden\r\nDate: Mon, 23 Nov 2026 08:00:30 GMT\r\nContent-Length: "                                \
    "42\r\n\r\n<Error><Code>SignatureDoesNotMatch</Code> "
#define EXPIRED BODY("400 Bad Request", "{\"__type\":\"ExpiredTokenException\"}", "34")

/* A client of a service whose answers are canned; the clock and its waits are fake. */
struct trial {
    struct canned_server server;
    struct fake_host fake;
    struct tw_aws_host host;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    struct tumble_error err;
};

static void begin(struct trial *trial, enum tw_aws_service service, const struct canned *answers, size_t count,
                  const struct tw_aws_options *options) {
    struct tw_aws_options own = options ? *options : (struct tw_aws_options){0};
    memset(trial, 0, sizeof *trial);
    assert_true(canned_start(&trial->server, answers, count));
    trial->fake = (struct fake_host){.variables = {{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
                                                   {"AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"},
                                                   {"AWS_SESSION_TOKEN", "TOKENONE"}},
                                     .now_ms = START,
                                     .steady_ms = 1000,
                                     .random = UINT64_MAX};
    trial->host = fake_host_of(&trial->fake);
    own.host = &trial->host;
    own.region = "us-east-1";
    own.endpoint_url = trial->server.url;
    assert_int_equal(tw_aws_client_open(&own, service, &trial->client, &trial->err), TUMBLE_OK);
}

static void end(struct trial *trial) {
    tw_aws_client_destroy(trial->client);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
}

static enum tumble_code call(struct trial *trial, struct tw_aws_call call) {
    call.target = call.target ? call.target : "DynamoDB_20120810.PutItem";
    call.content_type = "application/x-amz-json-1.0";
    call.body = call.body.data ? call.body : tumble_bytes_of("{}");
    return tw_aws_call(trial->client, &call, &trial->answer, &trial->err);
}

static void client_tries_again_what_is_worth_it(void **state) {
    (void)state;
    static const struct {
        struct canned answers[4];
        size_t count; /* that are asked for */
        enum tumble_code code;
        enum tw_aws_kind kind;
        bool may;
        int64_t slept_ms;
    } cases[] = {
        {{{OK_EMPTY, CANNED_KEEP}}, 1, TUMBLE_OK, TW_AWS_SUCCESS, false, 0},
        {{{THROTTLED, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}}, 2, TUMBLE_OK, TW_AWS_SUCCESS, false, 999},
        {{{SERVER_DOWN, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}}, 2, TUMBLE_OK, TW_AWS_SUCCESS, true, 999},
        {{{NULL, CANNED_CLOSE}, {OK_EMPTY, CANNED_KEEP}}, 2, TUMBLE_OK, TW_AWS_SUCCESS, true, 999},
        {{{THROTTLED, CANNED_KEEP}, {THROTTLED, CANNED_KEEP}, {THROTTLED, CANNED_KEEP}},
         3,
         TUMBLE_EOUTPUT,
         TW_AWS_THROTTLED,
         false,
         2998},
        {{{CONDITION, CANNED_KEEP}}, 1, TUMBLE_EREJECTED, TW_AWS_REFUSED, false, 0},
        {{{NULL, CANNED_CLOSE}, {CONDITION, CANNED_KEEP}}, 2, TUMBLE_EREJECTED, TW_AWS_REFUSED, true, 999},
        {{{SERVER_DOWN, CANNED_KEEP}, {SERVER_DOWN, CANNED_KEEP}, {SERVER_DOWN, CANNED_KEEP}},
         3,
         TUMBLE_EOUTPUT,
         TW_AWS_TRANSIENT,
         true,
         2998},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trial trial;
        begin(&trial, TW_AWS_DYNAMODB, cases[i].answers, cases[i].count, NULL);
        enum tumble_code code = call(&trial, (struct tw_aws_call){0});
        if (code != cases[i].code || trial.answer.may_have_been_done != cases[i].may) {
            fail_msg("case %zu: %d %s", i, (int)code, trial.err.text);
        }
        assert_int_equal(trial.answer.kind, cases[i].kind);
        assert_int_equal(trial.answer.attempts, cases[i].count);
        assert_int_equal(trial.server.served, cases[i].count);
        assert_int_equal(trial.fake.slept_ms, cases[i].slept_ms);
        end(&trial);
    }
}

static void client_says_service_operation_code_message_and_request(void **state) {
    (void)state;
    static const struct canned answer = {CONDITION, CANNED_KEEP};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, &answer, 1, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED);
    assert_string_equal(trial.err.text, "dynamodb PutItem: 400 ConditionalCheckFailedException: no (request RID)");
    assert_true(tw_aws_answer_is(&trial.answer, "ConditionalCheckFailedException"));
    assert_string_equal(trial.answer.request_id, "RID");
    end(&trial);
}

static void client_attempts_once_when_asked(void **state) {
    (void)state;
    static const struct canned answer = {THROTTLED, CANNED_KEEP};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, &answer, 1, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){.once = true}), TUMBLE_EOUTPUT);
    assert_int_equal(trial.answer.attempts, 1);
    end(&trial);
}

static void client_does_not_wait_beyond_the_deadline(void **state) {
    (void)state;
    static const struct canned answers[] = {{THROTTLED, CANNED_KEEP}, {NULL, CANNED_STALL}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 2, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){.deadline_ms = 1900}),
                     TUMBLE_EOUTPUT); /* 900 ms, a wait is 999 */
    assert_true(trial.answer.deadline);
    assert_int_equal(trial.answer.attempts, 1);
    assert_int_equal(trial.fake.slept_ms, 0);
    assert_int_equal(call(&trial, (struct tw_aws_call){.deadline_ms = 1000}), TUMBLE_EOUTPUT);
    assert_int_equal(trial.answer.attempts, 0);
    assert_true(trial.answer.deadline);
    assert_false(trial.answer.may_have_been_done);
    assert_int_equal(call(&trial, (struct tw_aws_call){.deadline_ms = 1200}), TUMBLE_EOUTPUT); /* a stall of 200 ms */
    assert_int_equal(trial.answer.failure, TW_HTTP_TIMEOUT);
    assert_true(trial.answer.may_have_been_done);
    end(&trial);
}

static void client_corrects_its_clock_once(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {SKEWED, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}, {BAD_SIGN, CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 4, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_non_null(strstr(trial.server.requests[0], "x-amz-date: 20261123T080000Z"));
    assert_non_null(strstr(trial.server.requests[1], "x-amz-date: 20261123T083000Z"));
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_non_null(strstr(trial.server.requests[2], "x-amz-date: 20261123T083000Z"));
    trial.fake.now_ms -= 30 * 60000 - 30000;                                   /* now the corrected clock is right */
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED); /* so it is the secret */
    assert_int_equal(trial.answer.attempts, 1);
    end(&trial);
}

static void client_gives_up_on_a_clock_that_does_not_get_right(void **state) {
    (void)state;
    static const struct canned answers[] = {{SKEWED, CANNED_KEEP}, {SKEWED, CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 2, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED);
    assert_int_equal(trial.answer.attempts, 2);
    assert_int_equal(trial.answer.kind, TW_AWS_SKEWED);
    end(&trial);
}

static enum tumble_code swap_token(void *ctx, const char *name) {
    (void)name;
    struct fake_host *fake = ctx;
    fake->variables[2].value = "TOKENTWO";
    return TUMBLE_OK;
}

static void client_fetches_new_keys_when_the_old_expired(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {OK_EMPTY, CANNED_KEEP}, {EXPIRED, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}, {EXPIRED, CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 4, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_int_equal(swap_token(&trial.fake, "AWS_SESSION_TOKEN"), TUMBLE_OK);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_int_equal(trial.answer.attempts, 2);
    assert_non_null(strstr(trial.server.requests[1], "x-amz-security-token: TOKENONE"));
    assert_non_null(strstr(trial.server.requests[2], "x-amz-security-token: TOKENTWO"));
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED); /* no newer ones are to be had */
    assert_int_equal(trial.answer.attempts, 1);
    end(&trial);
}

static void client_checks_dynamodbs_checksum(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {"HTTP/1.1 200 OK\r\nx-amz-crc32: 1\r\nContent-Length: 2\r\n\r\n{}", CANNED_KEEP},
        {"HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}", CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 2, NULL);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_int_equal(trial.answer.attempts, 2);
    assert_true(trial.answer.may_have_been_done);
    end(&trial);
}

static void client_never_repeats_a_secret(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {BODY("403 Forbidden", "{\"__type\":\"InvalidSignatureException\",\"message\":\"should have been TOKENONE\"}",
              "75"),
         CANNED_KEEP},
        {BODY("400 Bad Request", "{\"__type\":\"X\",\"message\":\"wJalrXUtnFEMI\"}", "40"), CANNED_KEEP},
        /* A token that stands there escaped is not found by its bytes. */
        {BODY("403 Forbidden",
              "{\"__type\":\"InvalidSignatureException\",\"message\":\"No match.\\n\\nPOST\\nTOKEN\\u004fNE\"}", "83"),
         CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 3, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED);
        assert_null(strstr(trial.err.text, "TOKENONE"));
        assert_null(strstr(trial.answer.message, "TOKENONE"));
        assert_null(strstr(trial.err.text, "wJalr"));
        assert_non_null(strstr(trial.err.text, "repeats a secret"));
    }
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EREJECTED);
    assert_string_equal(trial.answer.message, "No match.");
    end(&trial);
}

static void client_signs_the_url_it_sends(void **state) {
    (void)state;
    static const struct canned answers[] = {{OK_EMPTY, CANNED_KEEP}, {OK_EMPTY, CANNED_KEEP}};
    static const struct tw_http_header header = {"if-none-match", "*"};
    struct trial trial;
    begin(&trial, TW_AWS_S3, answers, 2, NULL);
    struct tw_aws_call put = {.method = "PUT",
                              .bucket = "my-bucket",
                              .path = tumble_bytes_of("a//b/../date=2026/\xc3\xa4 +?.json"),
                              .headers = &header,
                              .header_count = 1,
                              .body = tumble_bytes_of("abc")};
    assert_int_equal(tw_aws_call(trial.client, &put, &trial.answer, &trial.err), TUMBLE_OK);
    const char *sent = trial.server.requests[0];
    assert_non_null(strstr(sent, "PUT /my-bucket/a//b/../date%3D2026/%C3%A4%20%2B%3F.json HTTP/1.1\r\n"));
    assert_non_null(
        strstr(sent, "x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_non_null(
        strstr(sent, "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
    char host[64];
    snprintf(host, sizeof host, "ost: 127.0.0.1:%d\r\n", trial.server.port);
    assert_non_null(strstr(sent, host));
    struct tw_aws_call list = {.method = "GET", .bucket = "b", .query = "list-type=2"};
    assert_int_equal(tw_aws_call(trial.client, &list, &trial.answer, &trial.err), TUMBLE_OK);
    assert_non_null(strstr(trial.server.requests[1], "GET /b/?list-type=2 HTTP/1.1\r\n"));
    assert_int_equal(trial.server.connections, 1);
    end(&trial);
}

static void client_caps_a_response(void **state) {
    (void)state;
    static const struct canned answers[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"aaaaaaaaaaaaa\": 0}", CANNED_KEEP},
        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"aaaaaaaaaaaaa\": 0}", CANNED_KEEP},
        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"aaaaaaaaaaaaa\": 0}", CANNED_KEEP}};
    struct tw_aws_options options = {.max_response_bytes = 19};
    struct trial trial;
    begin(&trial, TW_AWS_SQS, answers, 3, &options);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_ELIMIT);
    assert_true(trial.answer.may_have_been_done);
    assert_int_equal(call(&trial, (struct tw_aws_call){.max_response_bytes = 20}), TUMBLE_OK);
    assert_int_equal(call(&trial, (struct tw_aws_call){.max_response_bytes = 5}), TUMBLE_ELIMIT);
    end(&trial);
}

static bool always(void *ctx) {
    (void)ctx;
    return true;
}

static void client_stops_when_told(void **state) {
    (void)state;
    static const struct canned answers[] = {{NULL, CANNED_STALL}};
    struct tw_aws_options options = {.stop = always};
    struct trial trial;
    begin(&trial, TW_AWS_SQS, answers, 1, &options);
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_EINTERRUPTED);
    end(&trial);
}

static void client_without_keys_region_or_endpoint_says_so(void **state) {
    (void)state;
    static const struct {
        struct tw_aws_options options;
        const char *says;
    } cases[] = {{{.region = NULL}, "no AWS region"},
                 {{.region = "a", .endpoint_url = "x"}, "URL"},
                 {{.region = "a", .profile = "p"}, "\"p\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host fake = {.variables = {{"AWS_EC2_METADATA_DISABLED", "true"}}};
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_options options = cases[i].options;
        struct tw_aws_client *client;
        struct tumble_error err;
        options.host = &host;
        assert_int_equal(tw_aws_client_open(&options, TW_AWS_S3, &client, &err), TUMBLE_EUSAGE);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_null(client);
    }
    struct fake_host fake = {.variables = {{"AWS_EC2_METADATA_DISABLED", "true"}}};
    struct tw_aws_host host = fake_host_of(&fake);
    struct tw_aws_options options = {.host = &host, .region = "a", .endpoint_url = "http://127.0.0.1:1"};
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    struct tumble_error err;
    struct tw_aws_call nothing = {0};
    assert_int_equal(tw_aws_client_open(&options, TW_AWS_S3, &client, &err), TUMBLE_OK);
    assert_int_equal(tw_aws_call(client, &nothing, &answer, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "no AWS credentials"));
    assert_int_equal(answer.attempts, 1);
    tw_aws_client_destroy(client);
}

static void client_is_warm_after_one_unsigned_request(void **state) {
    (void)state;
    static const struct canned answers[] = {{"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", CANNED_KEEP},
                                            {OK_EMPTY, CANNED_KEEP}};
    struct trial trial;
    begin(&trial, TW_AWS_DYNAMODB, answers, 2, NULL);
    assert_int_equal(tw_aws_client_warm(trial.client, 900, &trial.err), TUMBLE_EOUTPUT); /* it is 1000 */
    assert_int_equal(tw_aws_client_warm(trial.client, TW_NO_DEADLINE, &trial.err), TUMBLE_OK);
    assert_string_equal(tw_aws_client_credentials_source(trial.client), "environment");
    assert_non_null(strstr(trial.server.requests[0], "HEAD / HTTP/1.1\r\n"));
    assert_null(strcasestr(trial.server.requests[0], "authorization"));
    assert_int_equal(call(&trial, (struct tw_aws_call){0}), TUMBLE_OK);
    assert_int_equal(trial.server.connections, 1);
    end(&trial);
}

static void client_without_memory_says_so(void **state) {
    (void)state;
    static const struct canned answer = {OK_EMPTY, CANNED_KEEP};
    int failures = 0;
    for (size_t fail_at = 1; fail_at < 40; fail_at++) {
        struct canned_server server;
        struct counting_alloc count = {.fail_at = fail_at};
        struct fake_host fake = {.variables = {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "S"}},
                                 .now_ms = START};
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_client *client;
        struct tw_aws_answer got;
        assert_true(canned_start(&server, &answer, 1));
        struct tw_aws_options options = {
            .alloc = counting_alloc_of(&count), .host = &host, .region = "a", .endpoint_url = server.url};
        enum tumble_code code = tw_aws_client_open(&options, TW_AWS_DYNAMODB, &client, NULL);
        if (code == TUMBLE_OK) {
            struct tw_aws_call call_it = {.target = "A.B", .body = tumble_bytes_of("{}")};
            code = tw_aws_call(client, &call_it, &got, NULL);
        }
        assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        failures += count.failed != 0;
        tw_aws_client_destroy(client);
        assert_int_equal(count.live, 0);
        canned_stop(&server);
        canned_forget(&server);
    }
    assert_true(failures > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_tries_again_what_is_worth_it),
        cmocka_unit_test(client_says_service_operation_code_message_and_request),
        cmocka_unit_test(client_attempts_once_when_asked),
        cmocka_unit_test(client_does_not_wait_beyond_the_deadline),
        cmocka_unit_test(client_corrects_its_clock_once),
        cmocka_unit_test(client_gives_up_on_a_clock_that_does_not_get_right),
        cmocka_unit_test(client_fetches_new_keys_when_the_old_expired),
        cmocka_unit_test(client_checks_dynamodbs_checksum),
        cmocka_unit_test(client_never_repeats_a_secret),
        cmocka_unit_test(client_signs_the_url_it_sends),
        cmocka_unit_test(client_caps_a_response),
        cmocka_unit_test(client_stops_when_told),
        cmocka_unit_test(client_without_keys_region_or_endpoint_says_so),
        cmocka_unit_test(client_is_warm_after_one_unsigned_request),
        cmocka_unit_test(client_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
