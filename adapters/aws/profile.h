#ifndef TW_AWS_PROFILE_H
#define TW_AWS_PROFILE_H

#include <stdbool.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "adapters/aws/aws_host.h"
#include "engine/base/buf.h"

/* The shared files: ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE) and ~/.aws/config (AWS_CONFIG_FILE), the one
 * profile of them that counts, read once. Parsed as the AWS CLI does: sections [name] in credentials, [profile name]
 * and [default] in config, [services name] with nested settings; # and ; begin a comment at the start of a line, and
 * behind white space in a value. Where both files have a key of the profile, credentials wins. Read-only once loaded.
 */
struct tw_aws_profile {
    struct tumble_alloc alloc;
    char *name;         /* the profile's */
    bool named;         /* by an argument or AWS_PROFILE, not by default */
    bool found;         /* a section of that name stands in one of the files */
    struct tw_buf text; /* what the pairs point into; wiped by clean_up */
    struct tw_profile_pair *pairs;
    size_t pair_count;
    size_t pair_capacity;
};

/* explicit_name: --profile, or NULL for AWS_PROFILE, AWS_DEFAULT_PROFILE, "default". Files that are not there are
 * empty. Errors: ENOMEM, EUSAGE (a profile that was named stands in neither file, a malformed line: file and line
 * number, never the line), EINPUT. */
enum tumble_code tw_aws_profile_load(struct tw_aws_profile *profile, const struct tw_aws_host *host,
                                     const char *explicit_name, struct tumble_alloc alloc, struct tumble_error *err);
void tw_aws_profile_clean_up(struct tw_aws_profile *profile); /* wipes; idempotent; a zeroed one is allowed */

/* Value of a key ("region"), NUL-terminated, or NULL. Keys are compared without case. An empty value is NULL. */
const char *tw_aws_profile_get(const struct tw_aws_profile *profile, const char *key);
/* Does that value stand in the credentials file (not in config)? */
bool tw_aws_profile_from_credentials(const struct tw_aws_profile *profile, const char *key);
/* A nested key: tw_aws_profile_get_in(p, "s3", "addressing_style"). */
const char *tw_aws_profile_get_in(const struct tw_aws_profile *profile, const char *block, const char *key);
/* A nested key of the [services NAME] section that the profile's `services` names: ("dynamodb", "endpoint_url"). */
const char *tw_aws_profile_service(const struct tw_aws_profile *profile, const char *service, const char *key);

#endif
