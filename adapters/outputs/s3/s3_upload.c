#include "adapters/outputs/s3/s3_upload.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/md5.h"

/* A row compresses to no more than it is and a little: what stands in memory is a part, a row and what the compressor
 * holds. */
enum { BODY_CAP = TW_S3_PART_BYTES + 64 * 1024 * 1024 };

enum tumble_code tw_s3_upload_init(struct tw_s3_upload_state *up, struct tw_output_client *client, const char *bucket,
                                   enum tw_compression compression, bool if_none_match, struct tumble_alloc alloc,
                                   struct tumble_error *err) {
    memset(up, 0, sizeof *up);
    up->alloc = alloc;
    up->client = client;
    up->bucket = bucket;
    up->content_type = compression == TW_COMPRESSION_GZIP   ? "application/gzip"
                       : compression == TW_COMPRESSION_ZSTD ? "application/zstd"
                                                            : "application/x-ndjson";
    up->if_none_match = if_none_match;
    tw_buf_init(&up->key, alloc, TW_S3_KEY_BYTES);
    tw_buf_init(&up->body, alloc, BODY_CAP);
    return tw_compressor_new(compression, alloc, &up->compressor, err);
}

static struct tw_s3_put put_of(const struct tw_s3_upload_state *up) {
    struct tw_s3_put put = {.bucket = up->bucket,
                            .key = tw_buf_view(&up->key),
                            .content_type = up->content_type,
                            .if_none_match = up->if_none_match ? "*" : NULL};
    return put;
}

/* What cannot be given up now stays until the bucket's lifecycle rule for incomplete uploads takes it. */
static void give_up(struct tw_s3_upload_state *up) {
    if (up->upload_id[0]) {
        struct tw_s3_put put = put_of(up);
        tw_s3_multipart_abort(up->client->aws, &put, up->upload_id, tw_output_client_deadline(up->client),
                              &up->client->answer, NULL);
        up->upload_id[0] = '\0';
    }
}

void tw_s3_upload_clean_up(struct tw_s3_upload_state *up) {
    if (!up->client) {
        return;
    }
    give_up(up);
    tw_compressor_destroy(up->compressor);
    tw_buf_clean_up(&up->key);
    tw_buf_clean_up(&up->body);
    tw_free(&up->alloc, up->etags);
    memset(up, 0, sizeof *up);
}

void tw_s3_upload_begin(struct tw_s3_upload_state *up) {
    give_up(up);
    tw_compress_begin(up->compressor);
    tw_buf_clear(&up->body);
    up->bytes = 0;
    up->parts = 0;
    up->ended = up->sent = false;
}

enum tumble_code tw_s3_upload_take(struct tw_s3_upload_state *up, struct tumble_bytes bytes, struct tumble_error *err) {
    size_t before = up->body.length;
    enum tumble_code code = tw_compress(up->compressor, bytes, &up->body, err);
    up->bytes += up->body.length - before;
    return code;
}

enum tumble_code tw_s3_upload_end(struct tw_s3_upload_state *up, struct tumble_error *err) {
    size_t before = up->body.length;
    enum tumble_code code = tw_compress_end(up->compressor, &up->body, err);
    up->bytes += up->body.length - before;
    up->ended = code == TUMBLE_OK;
    return code;
}

static enum tumble_code part_room(struct tw_s3_upload_state *up, struct tumble_error *err) {
    if (up->parts == TW_S3_PARTS) {
        return tw_fail(err, TUMBLE_ELIMIT, "an object of more than %d parts of %d bytes", TW_S3_PARTS,
                       TW_S3_PART_BYTES);
    }
    if (up->parts < up->part_room) {
        return TUMBLE_OK;
    }
    int room = up->part_room ? up->part_room * 2 : 16;
    void *grown =
        tw_resize(&up->alloc, up->etags, (size_t)up->part_room * sizeof *up->etags, (size_t)room * sizeof *up->etags);
    if (!grown) {
        return tw_no_memory(err);
    }
    up->etags = grown;
    up->part_room = room;
    return TUMBLE_OK;
}

static enum tumble_code send_part(struct tw_s3_upload_state *up, size_t length, struct tumble_error *err) {
    struct tw_output_client *client = up->client;
    struct tw_s3_put put = put_of(up);
    struct tumble_bytes part = {up->body.data, length};
    TW_TRY(part_room(up, err));
    if (!up->upload_id[0]) {
        TW_TRY(tw_s3_multipart_create(client->aws, &put, tw_output_client_deadline(client), up->upload_id,
                                      &client->answer, err));
    }
    TW_TRY(tw_s3_multipart_part(client->aws, &put, up->upload_id, up->parts + 1, part,
                                tw_output_client_deadline(client), up->etags[up->parts], &client->answer, err));
    up->parts++;
    up->body.length -= length;
    memmove(up->body.data, up->body.data + length, up->body.length);
    return TUMBLE_OK;
}

enum tumble_code tw_s3_upload_parts(struct tw_s3_upload_state *up, struct tumble_error *err) {
    while (up->body.length > TW_S3_PART_BYTES) { /* a body of just one part goes in one request */
        TW_TRY(send_part(up, TW_S3_PART_BYTES, err));
    }
    return TUMBLE_OK;
}

/* ---- is it ours already? ---- */

void tw_s3_plain_etag(struct tumble_bytes body, char out[TW_S3_ETAG]) {
    uint8_t digest[16];
    tw_md5(body.data, body.length, digest);
    out[0] = '"';
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(out + 1 + 2 * i, 3, "%02x", digest[i]);
    }
    memcpy(out + 33, "\"", 2);
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool tw_s3_parts_etag(char (*etags)[TW_S3_ETAG], int count, char out[TW_S3_ETAG]) {
    struct tw_buf digests;
    bool sound = true;
    tw_buf_init(&digests, tw_alloc_default(), SIZE_MAX / 4);
    for (int i = 0; i < count && sound; i++) {
        const char *at = etags[i] + (etags[i][0] == '"');
        for (int n = 0; n < 16 && sound; n++) {
            int high = hex_digit(at[2 * n]), low = high < 0 ? -1 : hex_digit(at[2 * n + 1]);
            sound = low >= 0 && tw_buf_append_byte(&digests, (char)(high << 4 | low)) == TUMBLE_OK;
        }
    }
    if (sound) {
        tw_s3_plain_etag(tw_buf_view(&digests), out);
        snprintf(out + 33, 16, "-%d\"", count);
    }
    tw_buf_clean_up(&digests);
    return sound;
}

/* A failed If-None-Match: what stands there may be this very object, from a run before or an answer that was lost. */
static enum tumble_code compare(struct tw_s3_upload_state *up, struct tumble_error *err) {
    struct tw_output_client *client = up->client;
    struct tw_s3_object there;
    char etag[TW_S3_ETAG] = "";
    struct tumble_bytes key = tw_buf_view(&up->key);
    TW_TRY(tw_s3_head(client->aws, up->bucket, key, tw_output_client_deadline(client), &there, &client->answer, err));
    if (up->parts == 0) {
        tw_s3_plain_etag(tw_buf_view(&up->body), etag);
    } else if (!tw_s3_parts_etag(up->etags, up->parts, etag)) {
        etag[0] = '\0';
    }
    bool same = there.found && there.size == up->bytes && strcmp(etag, there.etag) == 0;
    if (!same && there.found && there.size == up->bytes && up->parts == 0) { /* encrypted: the ETag is no MD5 */
        TW_TRY(tw_s3_get(client->aws, up->bucket, key, up->body.length, tw_output_client_deadline(client), &there,
                         &client->answer, err));
        same = there.found && tumble_bytes_equal(there.body, tw_buf_view(&up->body));
    }
    if (same) {
        return TUMBLE_OK;
    }
    return up->if_none_match
               ? tw_fail(err, TUMBLE_EREJECTED,
                         "s3://%s/%.*s is there already, of other content, and if_none_match=1 forbids to replace it",
                         up->bucket, (int)(key.length < 120 ? key.length : 120), key.data)
               : tw_fail(err, TUMBLE_EOUTPUT, "s3://%s/%.*s: its multipart upload is gone", up->bucket,
                         (int)(key.length < 120 ? key.length : 120), key.data);
}

static enum tumble_code complete(struct tw_s3_upload_state *up, struct tumble_error *err) {
    struct tw_output_client *client = up->client;
    struct tw_s3_put put = put_of(up);
    if (up->body.length > 0) {
        TW_TRY(send_part(up, up->body.length, err));
    }
    enum tumble_code code = tw_s3_multipart_complete(client->aws, &put, up->upload_id, up->etags, up->parts,
                                                     tw_output_client_deadline(client), NULL, &client->answer, err);
    if (code == TUMBLE_EREJECTED && tw_aws_answer_is(&client->answer, "NoSuchUpload")) {
        up->upload_id[0] = '\0'; /* completed by an attempt whose answer was lost, or given up by somebody */
        return compare(up, err);
    }
    if (code == TUMBLE_EREJECTED && client->answer.status == 412) {
        TW_TRY(compare(up, err));
        give_up(up);
        return TUMBLE_OK;
    }
    if (code == TUMBLE_OK) {
        up->upload_id[0] = '\0';
    }
    return code;
}

static enum tumble_code put_whole(struct tw_s3_upload_state *up, struct tumble_error *err) {
    struct tw_output_client *client = up->client;
    struct tw_s3_put put = put_of(up);
    put.body = tw_buf_view(&up->body);
    enum tumble_code code = tw_s3_put(client->aws, &put, tw_output_client_deadline(client), NULL, &client->answer, err);
    return code == TUMBLE_EREJECTED && client->answer.status == 412 ? compare(up, err) : code;
}

enum tumble_code tw_s3_upload_send(struct tw_s3_upload_state *up, struct tumble_error *err) {
    if (up->sent) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_s3_upload_parts(up, err));
    TW_TRY(up->parts > 0 ? complete(up, err) : put_whole(up, err));
    up->sent = true;
    tw_buf_clear(&up->body);
    return TUMBLE_OK;
}
