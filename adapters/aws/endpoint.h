#ifndef TW_AWS_ENDPOINT_H
#define TW_AWS_ENDPOINT_H

#include <stdbool.h>

#include <tumble/error.h>

#include "adapters/aws/aws_host.h"
#include "adapters/aws/profile.h"
#include "engine/base/buf.h"

enum tw_aws_service { TW_AWS_DYNAMODB, TW_AWS_KINESIS, TW_AWS_S3, TW_AWS_SQS, TW_AWS_STS, TW_AWS_SERVICE_COUNT };

const char *
tw_aws_service_name(enum tw_aws_service service); /* "dynamodb": as it is signed and as its endpoint is called */

/* Argument > AWS_REGION > AWS_DEFAULT_REGION > the profile's region > NULL. Checked to be a host label. The result
 * lives as long as what it came from. Errors: EUSAGE (none, or not one that can stand in a host name). */
enum tumble_code tw_aws_region(const struct tw_aws_host *host, const struct tw_aws_profile *profile,
                               const char *argument, const char **region, struct tumble_error *err);

/* Where a service is. */
struct tw_aws_endpoint {
    struct tw_buf url; /* "https://host[:port]", or "http://host/base": no slash at the end; NUL-terminated */
    bool overridden;   /* not AWS's own: S3 is then addressed by path */
};

/* Argument > AWS_ENDPOINT_URL_<SERVICE> > AWS_ENDPOINT_URL > the profile's services section > its endpoint_url > AWS's
 * own (https, the region's partition). AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true, and the profile's
 * ignore_configured_endpoint_urls, leave the argument only. Errors: ENOMEM, EUSAGE (not an http or https URL, one with
 * a query, user or password). */
enum tumble_code tw_aws_endpoint_init(struct tw_aws_endpoint *endpoint, const struct tw_aws_host *host,
                                      const struct tw_aws_profile *profile, enum tw_aws_service service,
                                      const char *region, const char *argument, struct tumble_alloc alloc,
                                      struct tumble_error *err);
void tw_aws_endpoint_clean_up(struct tw_aws_endpoint *endpoint);

/* May the bucket's name stand in front of the host (lower case, no dots, 3 to 63)? Otherwise it goes into the path. */
bool tw_s3_bucket_as_host(const char *bucket);

#endif
