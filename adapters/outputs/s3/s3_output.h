#ifndef TUMBLE_S3_OUTPUT_H
#define TUMBLE_S3_OUTPUT_H

#include <tumble/output.h>

/* "s3://BUCKET/PREFIX": an object of NDJSON for each fragment of a window, and a manifest beside it (s3_key.h,
 * s3_manifest.h). Options: compression = gzip (default) | zstd | none; if_none_match = true: never replace an object of
 * other content; region, profile, endpoint-url. A fragment delivered again replaces itself, byte for byte; a longer one
 * replaces it; other rows of the same records are rejected as overlap (design R8). */
extern const struct tumble_output_api tumble_s3_output;

#endif
