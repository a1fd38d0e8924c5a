#ifndef TW_AWS_CLIENT_H
#define TW_AWS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "adapters/aws/aws_host.h"
#include "adapters/aws/endpoint.h"
#include "adapters/aws/http.h"
#include "adapters/aws/retry.h"

/* One service of AWS, called from one thread at a time: credentials, endpoint, signature, transport, retries. */
struct tw_aws_client;

/* Zeroed members mean what AWS's conventions give. */
struct tw_aws_options {
    struct tumble_alloc alloc;
    const struct tw_aws_host *host; /* NULL: tw_aws_host_real; borrowed */
    const char *region;             /* all copied */
    const char *profile;
    const char *endpoint_url;
    const char *ca_bundle;
    int max_attempts;           /* of a call; 0: AWS_MAX_ATTEMPTS, or AWS's default */
    int64_t attempt_timeout_ms; /* of one attempt; 0: 60 s (TW_AWS_ATTEMPT_MS) */
    size_t max_response_bytes;  /* 0: 16 MiB; a call may ask for less or more */
    bool (*stop)(void *ctx);    /* as in struct tw_http_request, and asked between attempts; may be NULL */
    void *stop_ctx;
};

enum { TW_AWS_ATTEMPT_MS = 60000 };

/* Reads the configuration, sends nothing. Errors: ENOMEM, EUSAGE, EINPUT. */
enum tumble_code tw_aws_client_open(const struct tw_aws_options *options, enum tw_aws_service service,
                                    struct tw_aws_client **out, struct tumble_error *err);
void tw_aws_client_destroy(struct tw_aws_client *client); /* NULL allowed */

/* Resolves credentials and opens the connection, so that the first call finds both: for the init phase of Lambda, where
 * loading TLS's certificates costs ~30 ms. A failure may be ignored: the first call says it again. */
enum tumble_code tw_aws_client_warm(struct tw_aws_client *client, int64_t deadline_ms, struct tumble_error *err);

/* One request, all borrowed for the call. */
struct tw_aws_call {
    const char *method;       /* NULL: POST */
    const char *bucket;       /* S3 only: goes before the host or into the path; NULL otherwise */
    struct tumble_bytes path; /* as its bytes are, not encoded, without the leading "/": an S3 key; empty: "/" */
    const char *query;        /* percent-encoded ("list-type=2&prefix=a%2F"); NULL: none */
    const char *target;       /* X-Amz-Target; NULL: none */
    const char *content_type; /* NULL: none */
    const struct tw_http_header *headers; /* others, such as If-None-Match; signed too */
    size_t header_count;                  /* at most 16 */
    struct tumble_bytes body;
    const uint8_t *body_sha256; /* 32 bytes, when the caller has it already; NULL: computed */
    int64_t deadline_ms; /* steady clock of the host; 0 or TW_NO_DEADLINE: none. No attempt and no wait outlives it */
    size_t max_response_bytes; /* 0: the client's */
    bool error_in_200;         /* a 200 whose XML is an <Error> is a failure (S3's CompleteMultipartUpload) */
    bool once;                 /* a single attempt: the caller repeats it itself (not for skew and expiry) */
};

/* How a call went; all of it lives until the client's next call. */
struct tw_aws_answer {
    enum tw_aws_kind kind; /* SUCCESS: status 2xx (or 304) */
    int status;            /* 0: no response to the last attempt */
    int attempts;
    bool may_have_been_done; /* no success, but this or an earlier attempt may have reached the service: of a
                                conditional write, ask what is there before believing a failed condition. On SUCCESS
                                too, when an earlier attempt's end is not known */
    bool deadline;           /* the deadline (or stop) ended it */
    enum tw_http_failure failure;
    int64_t retry_after_ms; /* what the service asked for; -1: nothing */
    char code[128];         /* "ConditionalCheckFailedException", "NoSuchKey", "" */
    char message[256];      /* the service's words, cut; dropped when a secret stands in them */
    char request_id[128];
    struct tumble_bytes body; /* of a failure too; not for logs: of a signature error it may hold the session token */
};

/* OK: kind SUCCESS. Otherwise, the text naming service, operation, status, code, message and request id:
 * EOUTPUT: transient, throttled or unreachable, attempts used up, or the deadline; worth another call later.
 * EREJECTED: the service refused this request (REFUSED, also EXPIRED and SKEWED that new keys and clock did not help).
 * EUSAGE: credentials, configuration, a certificate not to be trusted. ELIMIT: response over its cap. EINTERRUPTED:
 * stop. ENOMEM. */
enum tumble_code tw_aws_call(struct tw_aws_client *client, const struct tw_aws_call *call, struct tw_aws_answer *answer,
                             struct tumble_error *err);

/* A header of the last response; name in lower case. */
bool tw_aws_header(const struct tw_aws_client *client, const char *name, struct tumble_bytes *value);

bool tw_aws_answer_is(const struct tw_aws_answer *answer, const char *code);

/* For callers' own waits and deadlines. */
const struct tw_aws_host *tw_aws_client_host(const struct tw_aws_client *client);
const char *tw_aws_client_region(const struct tw_aws_client *client);
const char *tw_aws_client_endpoint(const struct tw_aws_client *client);
const char *tw_aws_client_credentials_source(const struct tw_aws_client *client);

#endif
