#ifndef TW_S3_UPLOAD_H
#define TW_S3_UPLOAD_H

#include "adapters/aws/s3_calls.h"
#include "adapters/outputs/client/output_client.h"
#include "engine/codec/compressor.h"

/* One object on its way to S3, compressed as it comes: held back up to the size of a part, then sent as a multipart
 * upload, so that an object of any size takes bounded memory. The parts' cuts depend on the bytes only. */

enum { TW_S3_PART_BYTES = 8 * 1024 * 1024 };

struct tw_s3_upload_state {
    struct tumble_alloc alloc;
    struct tw_output_client *client;
    const char *bucket;
    const char *content_type;
    bool if_none_match; /* never replace an object of other content */
    struct tw_compressor *compressor;
    struct tw_buf key;
    struct tw_buf body; /* not sent yet */
    uint64_t bytes;     /* compressed, in all */
    bool ended;         /* body holds the end */
    bool sent;
    char upload_id[TW_S3_UPLOAD_ID]; /* "": no multipart upload is open */
    char (*etags)[TW_S3_ETAG];
    int parts;
    int part_room;
};

/* bucket and client are borrowed. clean_up is idempotent and gives up what is open; a zeroed one may be cleaned up. */
enum tumble_code tw_s3_upload_init(struct tw_s3_upload_state *up, struct tw_output_client *client, const char *bucket,
                                   enum tw_compression compression, bool if_none_match, struct tumble_alloc alloc,
                                   struct tumble_error *err);
void tw_s3_upload_clean_up(struct tw_s3_upload_state *up);

/* Forgets what was begun (an open multipart upload is given up on the server too, if it can be reached) and begins an
 * object under the key that the caller puts into up->key. */
void tw_s3_upload_begin(struct tw_s3_upload_state *up);
/* Sends parts that are whole. Nothing is lost when it fails: call it again. */
enum tumble_code tw_s3_upload_parts(struct tw_s3_upload_state *up, struct tumble_error *err);
/* Takes bytes; sends nothing. Errors: ENOMEM, ELIMIT: the object is spoilt, begin anew. */
enum tumble_code tw_s3_upload_take(struct tw_s3_upload_state *up, struct tumble_bytes bytes, struct tumble_error *err);
enum tumble_code tw_s3_upload_end(struct tw_s3_upload_state *up, struct tumble_error *err);
/* Sends what is left and completes the object. May be called again when it failed. EREJECTED: if_none_match, and
 * something else stands there. */
enum tumble_code tw_s3_upload_send(struct tw_s3_upload_state *up, struct tumble_error *err);

/* The ETag S3 gives an object it keeps as it came: MD5 in hex of the bytes, or of the parts' MD5s and "-count"; quotes
 * around it. Pure. */
void tw_s3_plain_etag(struct tumble_bytes body, char out[TW_S3_ETAG]);
bool tw_s3_parts_etag(char (*etags)[TW_S3_ETAG], int count, char out[TW_S3_ETAG]); /* false: a part's is no MD5 */

#endif
