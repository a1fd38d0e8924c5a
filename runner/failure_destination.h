#ifndef TUMBLE_RUNNER_FAILURE_DESTINATION_H
#define TUMBLE_RUNNER_FAILURE_DESTINATION_H

#include "runner/output_registry.h"

/* A mapping's on-failure destination as an output: the ARN of a queue (called in its own region and account) or of a
 * bucket, "s3://BUCKET/PREFIX" (an object a document, adapters/outputs/s3/s3_failures.h), or any URI of an output that
 * takes failures. Opens nothing. Errors: EUSAGE; a topic of SNS is one. */
enum tumble_code tumble_failure_destination_parse(const struct tumble_output_registry *registry, const char *text,
                                                  struct tumble_output_uri *out, struct tumble_error *err);

#endif
