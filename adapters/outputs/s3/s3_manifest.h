#ifndef TW_S3_MANIFEST_H
#define TW_S3_MANIFEST_H

#include <tumble/output.h>

#include "engine/base/buf.h"

/* What stands beside a fragment's object: one JSON object that says what is in it, written after it. Pure. */

struct tw_s3_manifest {
    struct tumble_bytes object; /* its key */
    const char *compression;
    uint64_t bytes;
    struct tumble_bytes source;
    uint64_t spec_digest;
    struct tumble_fragment fragment;
};

/* Replaces out. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_s3_manifest_write(struct tw_buf *out, const struct tw_s3_manifest *manifest);

/* What a fragment's delivery asks of a manifest that is there. */
struct tw_s3_manifest_seen {
    char object[1025]; /* its key, NUL-terminated */
    uint64_t bytes;
    uint64_t rows;
    char last_sequence[129];
    char digest[33]; /* hex */
};

/* Errors: ECORRUPT: not a manifest of this version. */
enum tumble_code tw_s3_manifest_read(struct tumble_bytes json, struct tw_s3_manifest_seen *out,
                                     struct tumble_error *err);

/* Rule R8 over the manifest that is there (NULL: none) and the fragment that comes. */
enum tw_s3_verdict {
    TW_S3_WRITE,      /* nothing is there, or what the fragment supersedes */
    TW_S3_THERE,      /* the same rows are */
    TW_S3_SUPERSEDED, /* a longer one of the same beginning is */
    TW_S3_OVERLAP     /* other rows of the same records are */
};
enum tw_s3_verdict tw_s3_judge(const struct tw_s3_manifest_seen *there, const struct tumble_fragment *fragment);

#endif
