#ifndef TW_S3_CALLS_H
#define TW_S3_CALLS_H

#include "adapters/aws/aws_client.h"

/* S3's REST calls. client was opened for TW_AWS_S3; keys are bytes, encoded here. Views live until the client's next
 * call. Every function takes deadline_ms as struct tw_aws_call does, and gives its errors. */

enum {
    TW_S3_KEY_BYTES = 1024,
    TW_S3_ETAG = 128,
    TW_S3_UPLOAD_ID = 1024,
    TW_S3_PART_MINIMUM = 5 * 1024 * 1024,
    TW_S3_PARTS = 10000
};

struct tw_s3_put {
    const char *bucket;
    struct tumble_bytes key;
    struct tumble_bytes body;
    const char *content_type;     /* NULL: application/octet-stream */
    const char *content_encoding; /* NULL: none */
    const char *if_none_match;    /* "*": only when there is none; NULL: always */
    const char *if_match;         /* an ETag with its quotes: only over that one */
};

/* One object in one request, with x-amz-checksum-sha256 and a signed SHA-256: a Content-MD5 beside them would cost more
 * than both. etag (may be NULL) gets the object's; an answer without one is EOUTPUT. A failed condition is EREJECTED
 * with answer->status 412 (409 ConditionalRequestConflict is tried again): look at answer->may_have_been_done before
 * believing it. */
enum tumble_code tw_s3_put(struct tw_aws_client *client, const struct tw_s3_put *put, int64_t deadline_ms,
                           char etag[TW_S3_ETAG], struct tw_aws_answer *answer, struct tumble_error *err);

struct tw_s3_object {
    bool found; /* false: 404 of the key (not of the bucket, which is an error) */
    struct tumble_bytes body;
    uint64_t size;
    char etag[TW_S3_ETAG]; /* with its quotes */
    int64_t modified_s;    /* Last-Modified, -1: not known */
};

/* max_bytes: a larger object is ELIMIT. */
enum tumble_code tw_s3_get(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key, size_t max_bytes,
                           int64_t deadline_ms, struct tw_s3_object *out, struct tw_aws_answer *answer,
                           struct tumble_error *err);
/* length bytes from offset, fewer at the end; if_match: an ETag the object must still have, or NULL. For reading large
 * objects by pieces. An offset at or behind the end: OK, found, empty body. */
enum tumble_code tw_s3_get_range(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                                 uint64_t offset, size_t length, const char *if_match, int64_t deadline_ms,
                                 struct tw_s3_object *out, struct tw_aws_answer *answer, struct tumble_error *err);
enum tumble_code tw_s3_head(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                            int64_t deadline_ms, struct tw_s3_object *out, struct tw_aws_answer *answer,
                            struct tumble_error *err);
/* One that is gone: OK. */
enum tumble_code tw_s3_delete(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                              int64_t deadline_ms, struct tw_aws_answer *answer, struct tumble_error *err);

/* One object of a listing, borrowed for the call of each. */
struct tw_s3_listed {
    struct tumble_bytes key;
    uint64_t size;
    struct tumble_bytes etag; /* with its quotes */
    int64_t modified_s;       /* -1: not known */
};

/* All objects under prefix, in the order of their keys' bytes, page by page (ListObjectsV2). each must not use the
 * client; anything but OK from it ends the listing and is returned. start_after: a key, empty: from the first. */
enum tumble_code tw_s3_list(struct tw_aws_client *client, const char *bucket, struct tumble_bytes prefix,
                            struct tumble_bytes start_after, int64_t deadline_ms,
                            enum tumble_code (*each)(void *ctx, const struct tw_s3_listed *object,
                                                     struct tumble_error *err),
                            void *ctx, struct tw_aws_answer *answer, struct tumble_error *err);

/* Multipart: create, parts 1 … n of at least 5 MiB but the last, complete; or abort. put's body is not used by create;
 * its conditions count at complete. Some servers (radosgw) give no ETag at complete: etag is then "". */
enum tumble_code tw_s3_multipart_create(struct tw_aws_client *client, const struct tw_s3_put *put, int64_t deadline_ms,
                                        char upload_id[TW_S3_UPLOAD_ID], struct tw_aws_answer *answer,
                                        struct tumble_error *err);
enum tumble_code tw_s3_multipart_part(struct tw_aws_client *client, const struct tw_s3_put *put, const char *upload_id,
                                      int part, struct tumble_bytes body, int64_t deadline_ms, char etag[TW_S3_ETAG],
                                      struct tw_aws_answer *answer, struct tumble_error *err);
enum tumble_code tw_s3_multipart_complete(struct tw_aws_client *client, const struct tw_s3_put *put,
                                          const char *upload_id, char (*etags)[TW_S3_ETAG], int count,
                                          int64_t deadline_ms, char etag[TW_S3_ETAG], struct tw_aws_answer *answer,
                                          struct tumble_error *err);
enum tumble_code tw_s3_multipart_abort(struct tw_aws_client *client, const struct tw_s3_put *put, const char *upload_id,
                                       int64_t deadline_ms, struct tw_aws_answer *answer, struct tumble_error *err);
/* The whole of put->body: one put up to threshold bytes (0: 8 MiB), else multipart by parts of that size (grown so that
 * there are at most 10,000), aborted when it fails. */
enum tumble_code tw_s3_upload(struct tw_aws_client *client, const struct tw_s3_put *put, size_t threshold,
                              int64_t deadline_ms, char etag[TW_S3_ETAG], struct tw_aws_answer *answer,
                              struct tumble_error *err);

#endif
