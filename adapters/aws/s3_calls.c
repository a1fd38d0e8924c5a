#include "adapters/aws/s3_internal.h"

#include <stdio.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/digest.h"
#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/md5.h"

enum { HEADERS = 4, SHA256_BASE64 = 45, ERROR_BYTES = 64 * 1024 /* room for the words of a refusal */ };

const char *tw_s3_content_type(const char *content_type) {
    return content_type ? content_type : "application/octet-stream";
}

void tw_s3_md5(struct tumble_bytes body, char out[TW_S3_MD5]) {
    uint8_t digest[16];
    tw_md5(body.length ? body.data : "", body.length, digest);
    struct tumble_bytes bytes = {(const char *)digest, sizeof digest};
    tw_base64_encode(bytes, out);
    out[TW_S3_MD5 - 1] = '\0';
}

void tw_s3_etag(const struct tw_aws_client *client, char etag[TW_S3_ETAG]) {
    struct tumble_bytes value;
    if (etag) {
        etag[0] = '\0';
        if (tw_aws_header(client, "etag", &value)) {
            tw_copy_cut(value, etag, TW_S3_ETAG);
        }
    }
}

size_t tw_s3_conditions(struct tw_http_header *headers, size_t count, const struct tw_s3_put *put) {
    if (put->if_none_match) {
        headers[count++] = (struct tw_http_header){"if-none-match", put->if_none_match};
    }
    if (put->if_match) {
        headers[count++] = (struct tw_http_header){"if-match", put->if_match};
    }
    return count;
}

enum tumble_code tw_s3_put(struct tw_aws_client *client, const struct tw_s3_put *put, int64_t deadline_ms,
                           char etag[TW_S3_ETAG], struct tw_aws_answer *answer, struct tumble_error *err) {
    char checksum[SHA256_BASE64];
    uint8_t digest[TW_SHA256_BYTES];
    struct tw_http_header headers[HEADERS] = {{"x-amz-checksum-sha256", checksum}};
    size_t count = 1;
    if (etag) {
        etag[0] = '\0';
    }
    if (tw_sha256(put->body, digest) != TUMBLE_OK) {
        memset(answer, 0, sizeof *answer);
        return tw_no_memory(err);
    }
    tw_base64_encode((struct tumble_bytes){(const char *)digest, sizeof digest}, checksum);
    checksum[SHA256_BASE64 - 1] = '\0';
    if (put->content_encoding) {
        headers[count++] = (struct tw_http_header){"content-encoding", put->content_encoding};
    }
    count = tw_s3_conditions(headers, count, put);
    struct tw_aws_call call = {.method = "PUT",
                               .bucket = put->bucket,
                               .path = put->key,
                               .content_type = tw_s3_content_type(put->content_type),
                               .headers = headers,
                               .header_count = count,
                               .body = put->body,
                               .body_sha256 = digest,
                               .deadline_ms = deadline_ms};
    struct tumble_bytes value;
    TW_TRY(tw_aws_call(client, &call, answer, err));
    if (!tw_aws_header(client, "etag", &value)) { /* every S3 gives one; what else answers 200 holds no object */
        answer->may_have_been_done = true;
        answer->kind = TW_AWS_TRANSIENT;
        return tw_fail(err, TUMBLE_EOUTPUT, "s3 PUT %s: the answer is not S3's, it has no ETag", put->bucket);
    }
    tw_s3_etag(client, etag);
    return TUMBLE_OK;
}

static bool number(struct tumble_bytes text, uint64_t *out) {
    uint64_t value = 0;
    if (text.length == 0 || text.length > 19) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

static void read_object(const struct tw_aws_client *client, const struct tw_aws_answer *answer,
                        struct tw_s3_object *out) {
    struct tumble_bytes value;
    int64_t modified_ms;
    out->found = true;
    out->body = answer->body;
    out->size = answer->body.length;
    if (tw_aws_header(client, "content-length", &value)) {
        number(value, &out->size);
    }
    if (tw_aws_header(client, "content-range", &value)) { /* bytes 0-9/1234 */
        const char *slash = memchr(value.data, '/', value.length);
        if (slash) {
            number((struct tumble_bytes){slash + 1, value.length - (size_t)(slash + 1 - value.data)}, &out->size);
        }
    }
    if (tw_aws_header(client, "last-modified", &value) && tw_http_date(value, &modified_ms)) {
        out->modified_s = modified_ms / 1000;
    }
    tw_s3_etag(client, out->etag);
}

static void nothing(struct tw_s3_object *out) {
    memset(out, 0, sizeof *out);
    out->modified_s = -1;
}

static bool no_such_key(const struct tw_aws_answer *answer) {
    return answer->status == 404 && !tw_aws_answer_is(answer, "NoSuchBucket");
}

static enum tumble_code read_call(struct tw_aws_client *client, const struct tw_aws_call *call,
                                  struct tw_s3_object *out, struct tw_aws_answer *answer, struct tumble_error *err) {
    nothing(out);
    enum tumble_code code = tw_aws_call(client, call, answer, err);
    if (code == TUMBLE_EREJECTED && no_such_key(answer)) {
        return TUMBLE_OK;
    }
    if (code == TUMBLE_OK) {
        read_object(client, answer, out);
    }
    return code;
}

enum tumble_code tw_s3_get(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key, size_t max_bytes,
                           int64_t deadline_ms, struct tw_s3_object *out, struct tw_aws_answer *answer,
                           struct tumble_error *err) {
    struct tw_aws_call call = {.method = "GET",
                               .bucket = bucket,
                               .path = key,
                               .max_response_bytes = max_bytes && max_bytes < ERROR_BYTES ? ERROR_BYTES : max_bytes,
                               .deadline_ms = deadline_ms};
    TW_TRY(read_call(client, &call, out, answer, err));
    if (max_bytes && out->body.length > max_bytes) {
        return tw_fail(err, TUMBLE_ELIMIT, "s3 GET %s: the object has %zu bytes, more than %zu", bucket,
                       out->body.length, max_bytes);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_s3_get_range(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                                 uint64_t offset, size_t length, const char *if_match, int64_t deadline_ms,
                                 struct tw_s3_object *out, struct tw_aws_answer *answer, struct tumble_error *err) {
    char range[64];
    struct tw_http_header headers[2] = {{"range", range}, {"if-match", if_match}};
    if (length == 0 || length > UINT64_MAX - offset) {
        nothing(out);
        return tw_fail(err, TUMBLE_EINVAL, "s3: a range of no bytes, or beyond any object");
    }
    snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset,
             (unsigned long long)(offset + length - 1));
    struct tw_aws_call call = {.method = "GET",
                               .bucket = bucket,
                               .path = key,
                               .headers = headers,
                               .header_count = if_match ? 2 : 1,
                               .max_response_bytes = length < ERROR_BYTES ? ERROR_BYTES : length,
                               .deadline_ms = deadline_ms};
    enum tumble_code code = read_call(client, &call, out, answer, err);
    if (code == TUMBLE_EREJECTED && answer->status == 416) {
        read_object(client, answer, out);
        out->body = (struct tumble_bytes){NULL, 0};
        return TUMBLE_OK;
    }
    if (code == TUMBLE_OK && out->found && answer->status == 200) { /* the server does not know ranges */
        size_t from = offset < out->body.length ? (size_t)offset : out->body.length;
        out->body.data += from;
        out->body.length -= from;
    }
    if (out->body.length > length) {
        out->body.length = length;
    }
    return code;
}

enum tumble_code tw_s3_head(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                            int64_t deadline_ms, struct tw_s3_object *out, struct tw_aws_answer *answer,
                            struct tumble_error *err) {
    struct tw_aws_call call = {.method = "HEAD", .bucket = bucket, .path = key, .deadline_ms = deadline_ms};
    return read_call(client, &call, out, answer, err);
}

enum tumble_code tw_s3_delete(struct tw_aws_client *client, const char *bucket, struct tumble_bytes key,
                              int64_t deadline_ms, struct tw_aws_answer *answer, struct tumble_error *err) {
    struct tw_aws_call call = {.method = "DELETE", .bucket = bucket, .path = key, .deadline_ms = deadline_ms};
    enum tumble_code code = tw_aws_call(client, &call, answer, err);
    return code == TUMBLE_EREJECTED && no_such_key(answer) ? TUMBLE_OK : code;
}
