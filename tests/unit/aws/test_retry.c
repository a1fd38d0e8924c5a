#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/retry.h"
#include "fake_host.h"

static void retry_classifies_by_code_then_status(void **state) {
    (void)state;
    static const struct {
        int status;
        enum tw_http_failure failure;
        const char *code;
        enum tw_aws_kind kind;
    } cases[] = {
        {200, TW_HTTP_NONE, "", TW_AWS_SUCCESS},
        {204, TW_HTTP_NONE, NULL, TW_AWS_SUCCESS},
        {304, TW_HTTP_NONE, "", TW_AWS_SUCCESS},
        {301, TW_HTTP_NONE, "", TW_AWS_REFUSED},
        {500, TW_HTTP_NONE, "", TW_AWS_TRANSIENT},
        {501, TW_HTTP_NONE, "NotImplemented", TW_AWS_REFUSED},
        {502, TW_HTTP_NONE, "", TW_AWS_TRANSIENT},
        {503, TW_HTTP_NONE, "", TW_AWS_TRANSIENT},
        {504, TW_HTTP_NONE, "", TW_AWS_TRANSIENT},
        {503, TW_HTTP_NONE, "SlowDown", TW_AWS_THROTTLED},
        {429, TW_HTTP_NONE, "", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "Throttling", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "ThrottlingException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "ThrottledException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "RequestThrottled", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "RequestThrottledException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "TooManyRequestsException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "ProvisionedThroughputExceededException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "TransactionInProgressException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "RequestLimitExceeded", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "BandwidthLimitExceeded", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "LimitExceededException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "EC2ThrottledException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "KMSThrottlingException", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "PriorRequestNotComplete", TW_AWS_THROTTLED},
        {400, TW_HTTP_NONE, "RequestTimeout", TW_AWS_TRANSIENT},
        {400, TW_HTTP_NONE, "RequestTimeoutException", TW_AWS_TRANSIENT},
        {409, TW_HTTP_NONE, "ConditionalRequestConflict", TW_AWS_TRANSIENT},
        {400, TW_HTTP_NONE, "ConditionalCheckFailedException", TW_AWS_REFUSED},
        {400, TW_HTTP_NONE, "ValidationException", TW_AWS_REFUSED},
        {404, TW_HTTP_NONE, "NoSuchKey", TW_AWS_REFUSED},
        {412, TW_HTTP_NONE, "PreconditionFailed", TW_AWS_REFUSED},
        {403, TW_HTTP_NONE, "RequestTimeTooSkewed", TW_AWS_SKEWED},
        {400, TW_HTTP_NONE, "InvalidSignatureException", TW_AWS_SKEWED},
        {403, TW_HTTP_NONE, "SignatureDoesNotMatch", TW_AWS_SKEWED},
        {400, TW_HTTP_NONE, "ExpiredTokenException", TW_AWS_EXPIRED},
        {400, TW_HTTP_NONE, "ExpiredToken", TW_AWS_EXPIRED},
        {400, TW_HTTP_NONE, "UnrecognizedClientException", TW_AWS_REFUSED},
        {200, TW_HTTP_NONE, "InternalError", TW_AWS_TRANSIENT},
        {200, TW_HTTP_NONE, "Whatever", TW_AWS_REFUSED},
        {0, TW_HTTP_UNREACHABLE, "", TW_AWS_TRANSIENT},
        {0, TW_HTTP_TIMEOUT, "", TW_AWS_TRANSIENT},
        {0, TW_HTTP_BROKEN, "", TW_AWS_TRANSIENT},
        {200, TW_HTTP_BROKEN, "", TW_AWS_TRANSIENT},
        {0, TW_HTTP_TLS, "", TW_AWS_REFUSED},
        {200, TW_HTTP_TOO_LARGE, "", TW_AWS_REFUSED},
        {0, TW_HTTP_STOPPED, "", TW_AWS_REFUSED},
        {0, TW_HTTP_BAD_REQUEST, "", TW_AWS_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (tw_aws_classify(cases[i].status, cases[i].failure, cases[i].code) != cases[i].kind) {
            fail_msg("case %zu: %d %s", i, cases[i].status, cases[i].code);
        }
    }
}

static void retry_options_are_read_as_the_sdks_do(void **state) {
    (void)state;
    static const struct {
        struct fake_pair a, b;
        const char *config;
        bool dynamodb;
        int attempts; /* 0: refused */
        bool new_numbers;
    } cases[] = {
        {{0}, {0}, "", false, 3, false},
        {{0}, {0}, "", true, 3, false},
        {{"AWS_NEW_RETRIES_2026", "true"}, {0}, "", false, 3, true},
        {{"AWS_NEW_RETRIES_2026", "true"}, {0}, "", true, 4, true},
        {{"AWS_NEW_RETRIES_2026", "true"}, {"AWS_MAX_ATTEMPTS", "2"}, "", true, 2, true},
        {{"AWS_NEW_RETRIES_2026", "false"}, {0}, "", true, 3, false},
        {{"AWS_MAX_ATTEMPTS", "7"}, {"AWS_RETRY_MODE", "adaptive"}, "[default]\nmax_attempts=9\n", false, 7, false},
        {{0}, {0}, "[default]\nmax_attempts=9\nretry_mode=legacy", false, 9, false},
        {{"AWS_MAX_ATTEMPTS", "0"}, {0}, "", false, 0, false},
        {{"AWS_MAX_ATTEMPTS", "many"}, {0}, "", false, 0, false},
        {{"AWS_RETRY_MODE", "never"}, {0}, "", false, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host fake = {.variables = {{"HOME", "/h"}, cases[i].a, cases[i].b},
                                 .files = {{"/h/.aws/config", cases[i].config}}};
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_profile profile;
        struct tw_retry_options options;
        assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, NULL), TUMBLE_OK);
        enum tumble_code code = tw_retry_options_read(&options, &host, &profile, cases[i].dynamodb, NULL);
        assert_int_equal(code, cases[i].attempts ? TUMBLE_OK : TUMBLE_EUSAGE);
        if (cases[i].attempts) {
            assert_int_equal(options.max_attempts, cases[i].attempts);
            assert_int_equal(options.new_numbers, cases[i].new_numbers);
        }
        tw_aws_profile_clean_up(&profile);
    }
}

static struct tw_retry make(bool new_numbers, bool dynamodb, int attempts) {
    struct tw_retry retry;
    struct tw_retry_options options = {new_numbers, dynamodb, attempts};
    tw_retry_init(&retry, &options);
    return retry;
}

static void retry_waits_double_up_to_their_cap(void **state) {
    (void)state;
    static const struct {
        bool new_numbers, dynamodb;
        enum tw_aws_kind kind;
        int attempt;
        int64_t retry_after_ms;
        int64_t longest; /* with a random number just below 1; with 0 it is 0 or what the service asked for */
    } cases[] = {
        {false, false, TW_AWS_TRANSIENT, 1, -1, 999},    {false, true, TW_AWS_THROTTLED, 2, -1, 1999},
        {false, false, TW_AWS_TRANSIENT, 5, -1, 15999},  {false, false, TW_AWS_TRANSIENT, 6, -1, 19999},
        {false, false, TW_AWS_TRANSIENT, 99, -1, 19999}, {true, false, TW_AWS_TRANSIENT, 1, -1, 49},
        {true, true, TW_AWS_TRANSIENT, 1, -1, 24},       {true, true, TW_AWS_TRANSIENT, 3, -1, 99},
        {true, true, TW_AWS_THROTTLED, 1, -1, 999},      {true, false, TW_AWS_THROTTLED, 30, -1, 19999},
        {true, false, TW_AWS_TRANSIENT, 1, 1500, 1500},  {true, false, TW_AWS_TRANSIENT, 1, 60000, 5049},
        {true, false, TW_AWS_THROTTLED, 1, 10, 999},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_retry retry = make(cases[i].new_numbers, cases[i].dynamodb, 3);
        assert_int_equal(
            tw_retry_delay_ms(&retry, cases[i].kind, cases[i].attempt, UINT64_MAX, cases[i].retry_after_ms),
            cases[i].longest);
        int64_t shortest = cases[i].retry_after_ms < 0      ? 0
                           : cases[i].retry_after_ms > 5000 ? 5000
                                                            : cases[i].retry_after_ms;
        assert_int_equal(tw_retry_delay_ms(&retry, cases[i].kind, cases[i].attempt, 0, cases[i].retry_after_ms),
                         shortest);
    }
    assert_int_equal(tw_backoff_ms(100, 1000, 3, UINT64_C(1) << 63), 200);
    assert_int_equal(tw_backoff_ms(100, 1000, 40, UINT64_C(1) << 63), 500);
    assert_int_equal(tw_backoff_ms(100, 1000, 0, UINT64_C(1) << 63), 50);
}

static void retry_quota_is_spent_and_paid_back(void **state) {
    (void)state;
    struct tw_retry retry = make(false, false, 1000);
    int taken = 0;
    while (tw_retry_take(&retry, TW_AWS_TRANSIENT, 1, false)) {
        taken++;
    }
    assert_int_equal(taken, 100); /* 500 tokens, 5 each */
    assert_int_equal(retry.quota, 0);
    tw_retry_give_back(&retry); /* the last retry's cost */
    assert_int_equal(retry.quota, 5);
    tw_retry_give_back(&retry); /* a success at once pays 1 */
    assert_int_equal(retry.quota, 6);
    assert_false(tw_retry_take(&retry, TW_AWS_TRANSIENT, 1, true)); /* a time-out costs 10 */
    for (int i = 0; i < 1000; i++) {
        tw_retry_give_back(&retry);
    }
    assert_int_equal(retry.quota, 500);
    retry = make(true, false, 1000);
    assert_true(tw_retry_take(&retry, TW_AWS_TRANSIENT, 1, true));
    assert_int_equal(retry.quota, 486);
    assert_true(tw_retry_take(&retry, TW_AWS_THROTTLED, 2, false));
    assert_int_equal(retry.quota, 481);
}

static void retry_ends_with_the_attempts_and_for_what_is_final(void **state) {
    (void)state;
    struct tw_retry retry = make(false, false, 3);
    assert_true(tw_retry_take(&retry, TW_AWS_TRANSIENT, 1, false));
    assert_true(tw_retry_take(&retry, TW_AWS_THROTTLED, 2, false));
    assert_false(tw_retry_take(&retry, TW_AWS_TRANSIENT, 3, false));
    assert_false(tw_retry_take(&retry, TW_AWS_REFUSED, 1, false));
    assert_false(tw_retry_take(&retry, TW_AWS_EXPIRED, 1, false));
    retry = make(false, false, 1);
    assert_false(tw_retry_take(&retry, TW_AWS_TRANSIENT, 1, false));
    assert_int_equal(retry.quota, 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_classifies_by_code_then_status),
        cmocka_unit_test(retry_options_are_read_as_the_sdks_do),
        cmocka_unit_test(retry_waits_double_up_to_their_cap),
        cmocka_unit_test(retry_quota_is_spent_and_paid_back),
        cmocka_unit_test(retry_ends_with_the_attempts_and_for_what_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
