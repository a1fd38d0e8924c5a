#ifndef TW_S3_KEY_H
#define TW_S3_KEY_H

#include <tumble/output.h>

#include "engine/base/buf.h"
#include "engine/codec/compress.h"

/* Names of objects. Pure. A fragment's object is
 *     PREFIX/date=YYYY-MM-DD/hour=HH/YYYYMMDDTHHMMSSZ-60s-SHARD-FIRST-IDENTITY.ndjson.gz
 * (window start twice, as a partition and to be unique; IDENTITY stands for source and spec), its manifest
 *     PREFIX/_manifests/date=…/hour=…/….json
 * Nothing in a name depends on the run, so a fragment that is delivered again replaces itself. */

enum { TW_S3_BUCKET = 64, TW_S3_IDENTITY = 17 };

struct tw_s3_place {
    char bucket[TW_S3_BUCKET];
    struct tumble_bytes prefix; /* into the target; without slashes at its ends, may be empty */
};

/* "//BUCKET/PREFIX" as it stands behind "s3:". name is for messages. Errors: EUSAGE. */
enum tumble_code tw_s3_place_read(const char *target, const char *name, struct tw_s3_place *out,
                                  struct tumble_error *err);

/* 16 hex digits that stand for (source, spec digest), and a NUL. Errors: ENOMEM. */
enum tumble_code tw_s3_identity(struct tumble_bytes source, uint64_t spec_digest, struct tumble_alloc alloc,
                                char out[TW_S3_IDENTITY]);

/* Both replace out. Errors: ENOMEM, ELIMIT (longer than a key may be). */
enum tumble_code tw_s3_object_key(struct tw_buf *out, struct tumble_bytes prefix,
                                  const struct tumble_fragment *fragment, const char *identity,
                                  enum tw_compression compression);
enum tumble_code tw_s3_manifest_key(struct tw_buf *out, struct tumble_bytes prefix,
                                    const struct tumble_fragment *fragment, const char *identity);

#endif
