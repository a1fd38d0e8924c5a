#ifndef TW_AWS_CREDENTIALS_H
#define TW_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/error.h>

#include "adapters/aws/aws_host.h"
#include "adapters/aws/profile.h"
#include "adapters/aws/sigv4.h"

/* Where credentials come from, asked in this order (botocore's); the first that has any is kept:
 *   1. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY [and AWS_SESSION_TOKEN]; not when a profile was named by argument
 *   2. AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE [and AWS_ROLE_SESSION_NAME], or the profile's role_arn and
 *      web_identity_token_file: an unsigned call of STS; the file is read anew at each refresh
 *   3. the shared files: the profile's aws_access_key_id …, then its credential_process
 *   4. the container's endpoint: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
 *   5. IMDSv2, the instance's metadata
 * A source that is configured and fails is an error; only one that is not configured lets the next one try. Credentials
 * with an end are fetched anew ahead of it; when that fails and the old ones still hold, those are used.
 * One thread at a time. */
struct tw_aws_credentials;

struct tw_aws_credentials_options {
    struct tumble_alloc alloc;
    const struct tw_aws_host *host;       /* borrowed */
    const struct tw_aws_profile *profile; /* borrowed */
    bool explicit_profile;                /* named by argument: the environment's keys do not count */
    const char *region;                   /* for STS; NULL: its global endpoint. Borrowed */
    const char *ca_bundle;                /* borrowed; NULL: probed */
};

/* Fetches nothing yet. Errors: ENOMEM. */
enum tumble_code tw_aws_credentials_open(const struct tw_aws_credentials_options *options,
                                         struct tw_aws_credentials **out, struct tumble_error *err);
void tw_aws_credentials_destroy(struct tw_aws_credentials *credentials); /* wipes; NULL allowed */

/* The keys to sign with now; they live until the next call. deadline_ms: steady clock. Errors: ENOMEM, EUSAGE (no
 * source has any, or one is set up wrongly: names what was asked), EOUTPUT (a source could not be reached; may be tried
 * again). Texts never hold keys, tokens, or what a source answered. */
enum tumble_code tw_aws_credentials_get(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                        struct tw_aws_keys *keys, struct tumble_error *err);

/* The service said that they are expired or unknown: the next get fetches anew. */
void tw_aws_credentials_forget(struct tw_aws_credentials *credentials);

/* "environment", "web identity", "shared files", "credential_process", "container", "instance", or "none" before get.
 */
const char *tw_aws_credentials_source(const struct tw_aws_credentials *credentials);

#endif
