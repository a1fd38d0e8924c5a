#include "adapters/aws/retry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/fail.h"

enum {
    DEFAULT_ATTEMPTS = 3,
    MOST_ATTEMPTS = 1000,
    QUOTA = 500,
    MAX_DELAY_MS = 20000,
    /* until 2026 */
    OLD_SCALE_MS = 1000,
    OLD_COST = 5,
    OLD_TIMEOUT_COST = 10,
    /* since */
    NEW_DYNAMODB_ATTEMPTS = 4,
    NEW_SCALE_MS = 50,
    NEW_DYNAMODB_SCALE_MS = 25,
    NEW_THROTTLED_SCALE_MS = 1000,
    NEW_COST = 14,
    NEW_THROTTLED_COST = 5,
    RETRY_AFTER_MOST_MS = 5000 /* that the service may add to our own delay */
};

static const struct {
    const char *code;
    enum tw_aws_kind kind;
} codes[] = {
    {"Throttling", TW_AWS_THROTTLED},
    {"ThrottlingException", TW_AWS_THROTTLED},
    {"ThrottledException", TW_AWS_THROTTLED},
    {"RequestThrottled", TW_AWS_THROTTLED},
    {"RequestThrottledException", TW_AWS_THROTTLED},
    {"TooManyRequestsException", TW_AWS_THROTTLED},
    {"ProvisionedThroughputExceededException", TW_AWS_THROTTLED},
    {"TransactionInProgressException", TW_AWS_THROTTLED},
    {"RequestLimitExceeded", TW_AWS_THROTTLED},
    {"BandwidthLimitExceeded", TW_AWS_THROTTLED},
    {"LimitExceededException", TW_AWS_THROTTLED},
    {"SlowDown", TW_AWS_THROTTLED},
    {"EC2ThrottledException", TW_AWS_THROTTLED},
    {"KMSThrottlingException", TW_AWS_THROTTLED},
    {"KmsThrottled", TW_AWS_THROTTLED}, /* SQS */
    {"AWS.SimpleQueueService.KmsThrottled", TW_AWS_THROTTLED},
    {"PriorRequestNotComplete", TW_AWS_THROTTLED}, /* in both of botocore's lists; throttling is asked first */
    {"RequestTimeout", TW_AWS_TRANSIENT},
    {"RequestTimeoutException", TW_AWS_TRANSIENT},
    {"IDPCommunicationError", TW_AWS_TRANSIENT},
    {"InternalError", TW_AWS_TRANSIENT},
    {"InternalServerError", TW_AWS_TRANSIENT},
    {"InternalFailure", TW_AWS_TRANSIENT},
    {"ServiceUnavailable", TW_AWS_TRANSIENT},
    {"OperationAborted", TW_AWS_TRANSIENT}, /* S3: another conditional write is under way */
    {"ConditionalRequestConflict", TW_AWS_TRANSIENT},
    {"RequestTimeTooSkewed", TW_AWS_SKEWED},
    {"RequestExpired", TW_AWS_SKEWED},
    {"RequestInTheFuture", TW_AWS_SKEWED},
    {"InvalidSignatureException", TW_AWS_SKEWED}, /* or a wrong secret: the Date header tells */
    {"SignatureDoesNotMatch", TW_AWS_SKEWED},
    {"SignatureExpired", TW_AWS_SKEWED},
    {"AuthFailure", TW_AWS_SKEWED},
    {"ExpiredToken", TW_AWS_EXPIRED},
    {"ExpiredTokenException", TW_AWS_EXPIRED},
    {"TokenRefreshRequired", TW_AWS_EXPIRED},
};

enum tw_aws_kind tw_aws_classify(int status, enum tw_http_failure failure, const char *code) {
    switch (failure) {
    case TW_HTTP_NONE: break;
    case TW_HTTP_UNREACHABLE:
    case TW_HTTP_TIMEOUT:
    case TW_HTTP_BROKEN: return TW_AWS_TRANSIENT;
    default: return TW_AWS_REFUSED;
    }
    for (size_t i = 0; code && *code && i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(code, codes[i].code) == 0) {
            return codes[i].kind;
        }
    }
    switch (status) {
    case 429: return TW_AWS_THROTTLED;
    case 500:
    case 502:
    case 503:
    case 504: return TW_AWS_TRANSIENT;
    default: break;
    }
    /* 304 answers a condition: the object is as it was. */
    bool success = (status >= 200 && status < 300) || status == 304;
    return success && !(code && *code) ? TW_AWS_SUCCESS : TW_AWS_REFUSED;
}

static enum tumble_code read_attempts(int *attempts, const struct tw_aws_host *host,
                                      const struct tw_aws_profile *profile, struct tumble_error *err) {
    const char *text = tw_aws_variable(host, "AWS_MAX_ATTEMPTS");
    text = text ? text : tw_aws_profile_get(profile, "max_attempts");
    if (!text) {
        return TUMBLE_OK;
    }
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < 1 || value > MOST_ATTEMPTS) {
        return tw_fail(err, TUMBLE_EUSAGE, "AWS_MAX_ATTEMPTS (max_attempts): a number from 1 to %d, not \"%.40s\"",
                       MOST_ATTEMPTS, text);
    }
    *attempts = (int)value;
    return TUMBLE_OK;
}

enum tumble_code tw_retry_options_read(struct tw_retry_options *options, const struct tw_aws_host *host,
                                       const struct tw_aws_profile *profile, bool dynamodb, struct tumble_error *err) {
    const char *mode = tw_aws_variable(host, "AWS_RETRY_MODE");
    mode = mode ? mode : tw_aws_profile_get(profile, "retry_mode");
    if (mode && strcasecmp(mode, "standard") != 0 && strcasecmp(mode, "legacy") != 0 &&
        strcasecmp(mode, "adaptive") != 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "AWS_RETRY_MODE (retry_mode): standard, adaptive or legacy, not \"%.40s\"",
                       mode);
    }
    options->new_numbers = tw_aws_variable_true(host, "AWS_NEW_RETRIES_2026");
    options->dynamodb = dynamodb;
    options->max_attempts = options->new_numbers && dynamodb ? NEW_DYNAMODB_ATTEMPTS : DEFAULT_ATTEMPTS;
    return read_attempts(&options->max_attempts, host, profile, err);
}

void tw_retry_init(struct tw_retry *retry, const struct tw_retry_options *options) {
    retry->options = *options;
    retry->quota = QUOTA;
    retry->last_cost = 0;
}

bool tw_retry_take(struct tw_retry *retry, enum tw_aws_kind kind, int attempt, bool timeout) {
    if ((kind != TW_AWS_TRANSIENT && kind != TW_AWS_THROTTLED) || attempt >= retry->options.max_attempts) {
        return false;
    }
    int cost = timeout ? OLD_TIMEOUT_COST : OLD_COST;
    if (retry->options.new_numbers) {
        cost = kind == TW_AWS_THROTTLED ? NEW_THROTTLED_COST : NEW_COST;
    }
    if (cost > retry->quota) {
        return false;
    }
    retry->quota -= cost;
    retry->last_cost = cost;
    return true;
}

void tw_retry_give_back(struct tw_retry *retry) {
    retry->quota += retry->last_cost ? retry->last_cost : 1;
    retry->quota = retry->quota > QUOTA ? QUOTA : retry->quota;
    retry->last_cost = 0;
}

int64_t tw_backoff_ms(int64_t base_ms, int64_t cap_ms, int attempt, uint64_t random) {
    int doublings = attempt < 1 ? 0 : attempt > 31 ? 30 : attempt - 1;
    int64_t most = base_ms > (cap_ms >> doublings) ? cap_ms : base_ms << doublings;
    most = most < cap_ms ? most : cap_ms;
    /* 32 random bits as a fraction of 1: most is at most an hour or so, far from overflow */
    return (int64_t)(((uint64_t)most * (random >> 32)) >> 32);
}

int64_t tw_retry_delay_ms(const struct tw_retry *retry, enum tw_aws_kind kind, int attempt, uint64_t random,
                          int64_t retry_after_ms) {
    int64_t scale = OLD_SCALE_MS;
    if (retry->options.new_numbers) {
        scale = kind == TW_AWS_THROTTLED  ? NEW_THROTTLED_SCALE_MS
                : retry->options.dynamodb ? NEW_DYNAMODB_SCALE_MS
                                          : NEW_SCALE_MS;
    }
    int64_t delay = tw_backoff_ms(scale, MAX_DELAY_MS, attempt, random);
    if (retry_after_ms > delay) {
        delay = retry_after_ms < delay + RETRY_AFTER_MOST_MS ? retry_after_ms : delay + RETRY_AFTER_MOST_MS;
    }
    return delay;
}
