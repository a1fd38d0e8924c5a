#ifndef TW_AWS_RETRY_H
#define TW_AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "adapters/aws/aws_host.h"
#include "adapters/aws/http.h"
#include "adapters/aws/profile.h"

/* AWS's retry mode "standard": how often, how soon, and how much of it in all. Pure but for the host's random numbers.
 * Source: AWS SDKs and Tools reference guide, "Retry behavior"; botocore's retries/standard.py and quota.py. */

enum tw_aws_kind {
    TW_AWS_SUCCESS = 0,
    TW_AWS_TRANSIENT, /* worth another attempt: 500, 502, 503, 504, connection trouble */
    TW_AWS_THROTTLED, /* worth another attempt, later */
    TW_AWS_SKEWED,    /* our clock is off: sign again with the server's */
    TW_AWS_EXPIRED,   /* the credentials are: fetch new ones, sign again */
    TW_AWS_REFUSED    /* the same request will not do better */
};

/* status 0: no response, failure says why. code: the service's error code without prefix ("ThrottlingException"). */
enum tw_aws_kind tw_aws_classify(int status, enum tw_http_failure failure, const char *code);

struct tw_retry_options {
    bool new_numbers; /* AWS_NEW_RETRIES_2026: shorter waits, dearer retries, x-amz-retry-after */
    bool dynamodb;    /* has numbers of its own among the new ones */
    int max_attempts; /* the first counts; at least 1 */
};

/* AWS_MAX_ATTEMPTS or the profile's max_attempts, AWS_RETRY_MODE (legacy, standard and adaptive all mean standard
 * here), AWS_NEW_RETRIES_2026. Errors: EUSAGE. */
enum tumble_code tw_retry_options_read(struct tw_retry_options *options, const struct tw_aws_host *host,
                                       const struct tw_aws_profile *profile, bool dynamodb, struct tumble_error *err);

/* A client's quota: what retries may cost before successes pay it back. */
struct tw_retry {
    struct tw_retry_options options;
    int quota;
    int last_cost; /* of this call's last retry */
};

void tw_retry_init(struct tw_retry *retry, const struct tw_retry_options *options);

/* May the call that failed at attempt (1-based) be tried again? Takes the cost from the quota. timeout: of connecting
 * or reading. */
bool tw_retry_take(struct tw_retry *retry, enum tw_aws_kind kind, int attempt, bool timeout);
/* A call succeeded: its last retry's cost comes back, or 1 when it needed none. */
void tw_retry_give_back(struct tw_retry *retry);

/* Before attempt+1: random (0 to 1, full jitter) times the scale doubled with every attempt, at most 20 s;
 * retry_after_ms is what x-amz-retry-after said, -1: nothing. */
int64_t tw_retry_delay_ms(const struct tw_retry *retry, enum tw_aws_kind kind, int attempt, uint64_t random,
                          int64_t retry_after_ms);
/* The same for callers with attempts of their own (UnprocessedItems): base doubled, full jitter, at most cap_ms. */
int64_t tw_backoff_ms(int64_t base_ms, int64_t cap_ms, int attempt, uint64_t random);

#endif
