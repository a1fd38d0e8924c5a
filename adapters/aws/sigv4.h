#ifndef TW_SIGV4_H
#define TW_SIGV4_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "adapters/aws/digest.h"
#include "adapters/aws/http.h"
#include "engine/base/buf.h"

/* AWS Signature Version 4, in the Authorization header. Pure: no clock, no environment. Source: AWS's documentation
 * "Create a signed AWS API request"; checked byte for byte against botocore (tests/aws/sign). */

/* A view of somebody's credentials. */
struct tw_aws_keys {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* NULL: none */
};

struct tw_sigv4_request {
    const char *method;
    struct tumble_bytes path;  /* as sent: percent-encoded once, "/" at least, no query */
    struct tumble_bytes query; /* as sent: percent-encoded, no "?"; any order; "uploads" counts as "uploads=" */
    const struct tw_http_header *headers; /* all that are sent and should be signed, host among them; no x-amz-date,
                                             x-amz-security-token, x-amz-content-sha256, authorization */
    size_t header_count;
    const char *payload_sha256; /* hex, or "UNSIGNED-PAYLOAD"; NULL: of the empty body */
    bool s3;                    /* S3's rules: the path is signed as sent, and x-amz-content-sha256 is sent and signed.
                                   Otherwise the path is normalised ("//", ".", "..") and encoded once more */
    const char *region;
    const char *service;
    int64_t time_s; /* since 1970 UTC */
    struct tw_aws_keys keys;
};

enum { TW_SIGV4_HEADERS = 4, TW_SIGV4_MAX_HEADERS = 64 };

/* What to send beside the headers that were signed. Zeroed is not valid: tw_sigv4_init. Reused from call to call. */
struct tw_sigv4 {
    struct tw_http_header headers[TW_SIGV4_HEADERS]; /* x-amz-date, authorization, and where they apply
                                                        x-amz-content-sha256, x-amz-security-token; they live until the
                                                        next call, the token as long as the keys */
    size_t header_count;
    char date[17];
    char payload[TW_SHA256_HEX];
    struct tw_buf authorization; /* NUL-terminated */
    struct tw_buf canonical; /* the canonical request, for tests; holds the session token, so it is wiped by clean_up */
    struct tw_buf scratch;
    /* The signing key of the last call, kept because it changes once a day. */
    uint8_t key[TW_SHA256_BYTES];
    uint8_t key_of[TW_SHA256_BYTES]; /* digest of what it was made from */
    bool has_key;
};

void tw_sigv4_init(struct tw_sigv4 *signer, struct tumble_alloc alloc);
void tw_sigv4_clean_up(struct tw_sigv4 *signer); /* wipes; idempotent */

/* Errors: ENOMEM, ELIMIT (more than TW_SIGV4_MAX_HEADERS, more than 1 MiB of path, query and headers), EINVAL (no host
 * header, a control character in a header, a time before 1970 or after 9999). Texts never hold keys. */
enum tumble_code tw_sigv4_sign(struct tw_sigv4 *signer, const struct tw_sigv4_request *request,
                               struct tumble_error *err);

/* Appends text percent-encoded: all but A-Z a-z 0-9 - . _ ~ become upper-case %XX, and "/" too unless keep_slash. What
 * a path segment, an S3 key or a query's name and value need, once. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_percent_encode(struct tw_buf *out, struct tumble_bytes text, bool keep_slash);

#endif
