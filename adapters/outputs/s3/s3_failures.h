#ifndef TUMBLE_S3_FAILURES_H
#define TUMBLE_S3_FAILURES_H

#include <tumble/output.h>

/* "s3://BUCKET[/PREFIX]" as a mapping's on-failure destination: an object for each document, as Lambda writes them. A
 * row is a failure whose json is the document and whose one value (values[0]) is the object's key as it is, not JSON:
 * aws/lambda/MAPPING/SHARD/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-UUID; PREFIX/ comes before it. A document delivered again
 * replaces itself. Options: region, profile, endpoint-url. */
extern const struct tumble_output_api tumble_s3_failures;

#endif
