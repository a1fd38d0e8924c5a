#include <stdio.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/s3_internal.h"
#include "adapters/aws/sigv4.h"
#include "engine/base/fail.h"

enum { QUERY_BYTES = 4 * TW_S3_UPLOAD_ID, XML_BYTES = 4 * 1024 * 1024, PART_BYTES = 8 * 1024 * 1024 };

enum tumble_code tw_s3_multipart_create(struct tw_aws_client *client, const struct tw_s3_put *put, int64_t deadline_ms,
                                        char upload_id[TW_S3_UPLOAD_ID], struct tw_aws_answer *answer,
                                        struct tumble_error *err) {
    struct tw_http_header encoding = {"content-encoding", put->content_encoding};
    struct tw_aws_call call = {.method = "POST",
                               .bucket = put->bucket,
                               .path = put->key,
                               .query = "uploads=",
                               .content_type = tw_s3_content_type(put->content_type),
                               .headers = &encoding,
                               .header_count = put->content_encoding ? 1 : 0,
                               .deadline_ms = deadline_ms};
    struct tumble_bytes text;
    TW_TRY(tw_aws_call(client, &call, answer, err));
    if (!tw_xml_find(answer->body, "UploadId", &text) || text.length == 0 || text.length >= TW_S3_UPLOAD_ID) {
        return tw_fail(err, TUMBLE_EOUTPUT, "s3 CreateMultipartUpload: the answer has no upload id");
    }
    tw_copy_cut(text, upload_id, TW_S3_UPLOAD_ID);
    return TUMBLE_OK;
}

/* [partNumber=N&]uploadId=…, encoded and NUL-terminated; an id is never near as long as there is room. */
static enum tumble_code make_query(char *out, size_t capacity, int number, const char *upload_id) {
    int length =
        number ? snprintf(out, capacity, "partNumber=%d&uploadId=", number) : snprintf(out, capacity, "uploadId=");
    struct tw_buf encoded;
    tw_buf_init(&encoded, tw_alloc_default(), capacity - (size_t)length - 1);
    enum tumble_code code = tw_percent_encode(&encoded, tumble_bytes_of(upload_id), false);
    if (code == TUMBLE_OK) {
        tw_copy_cut(tw_buf_view(&encoded), out + length, capacity - (size_t)length);
    }
    tw_buf_clean_up(&encoded);
    return code;
}

static enum tumble_code cannot_write(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, TUMBLE_EINVAL, "s3: an upload id without end");
}

enum tumble_code tw_s3_multipart_part(struct tw_aws_client *client, const struct tw_s3_put *put, const char *upload_id,
                                      int part, struct tumble_bytes body, int64_t deadline_ms, char etag[TW_S3_ETAG],
                                      struct tw_aws_answer *answer, struct tumble_error *err) {
    char query[QUERY_BYTES];
    char md5[TW_S3_MD5];
    struct tw_http_header header = {"content-md5", md5};
    enum tumble_code code = make_query(query, sizeof query, part, upload_id);
    if (code != TUMBLE_OK) {
        return cannot_write(code, err);
    }
    tw_s3_md5(body, md5);
    struct tw_aws_call call = {.method = "PUT",
                               .bucket = put->bucket,
                               .path = put->key,
                               .query = query,
                               .headers = &header,
                               .header_count = 1,
                               .body = body,
                               .deadline_ms = deadline_ms};
    TW_TRY(tw_aws_call(client, &call, answer, err));
    tw_s3_etag(client, etag);
    if (!*etag) {
        return tw_fail(err, TUMBLE_EOUTPUT, "s3 UploadPart: the answer has no ETag");
    }
    return TUMBLE_OK;
}

static enum tumble_code append_parts(struct tw_buf *xml, char (*etags)[TW_S3_ETAG], int count) {
    TW_TRY(tw_buf_append_text(xml, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
    for (int i = 0; i < count; i++) {
        char number[64];
        snprintf(number, sizeof number, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1);
        TW_TRY(tw_buf_append_text(xml, number));
        for (const char *c = etags[i]; *c; c++) {
            TW_TRY(*c == '"'   ? tw_buf_append_text(xml, "&quot;")
                   : *c == '&' ? tw_buf_append_text(xml, "&amp;")
                   : *c == '<' ? tw_buf_append_text(xml, "&lt;")
                               : tw_buf_append_byte(xml, *c));
        }
        TW_TRY(tw_buf_append_text(xml, "</ETag></Part>"));
    }
    return tw_buf_append_text(xml, "</CompleteMultipartUpload>");
}

enum tumble_code tw_s3_multipart_complete(struct tw_aws_client *client, const struct tw_s3_put *put,
                                          const char *upload_id, char (*etags)[TW_S3_ETAG], int count,
                                          int64_t deadline_ms, char etag[TW_S3_ETAG], struct tw_aws_answer *answer,
                                          struct tumble_error *err) {
    char query[QUERY_BYTES];
    struct tw_http_header headers[2];
    size_t header_count = tw_s3_conditions(headers, 0, put);
    struct tw_buf xml;
    struct tumble_bytes text;
    tw_buf_init(&xml, tw_alloc_default(), XML_BYTES);
    enum tumble_code code = make_query(query, sizeof query, 0, upload_id);
    if (code == TUMBLE_OK) {
        code = append_parts(&xml, etags, count);
    }
    if (code != TUMBLE_OK) {
        tw_buf_clean_up(&xml);
        return cannot_write(code, err);
    }
    struct tw_aws_call call = {.method = "POST",
                               .bucket = put->bucket,
                               .path = put->key,
                               .query = query,
                               .content_type = "application/xml",
                               .headers = headers,
                               .header_count = header_count,
                               .body = tw_buf_view(&xml),
                               .error_in_200 = true,
                               .deadline_ms = deadline_ms};
    code = tw_aws_call(client, &call, answer, err);
    tw_buf_clean_up(&xml);
    if (code == TUMBLE_OK && etag) {
        struct tw_buf plain;
        etag[0] = '\0';
        tw_buf_init(&plain, tw_alloc_default(), TW_S3_ETAG - 1);
        if (tw_xml_find(answer->body, "ETag", &text) && tw_xml_text(text, &plain) == TUMBLE_OK) {
            tw_copy_cut(tw_buf_view(&plain), etag, TW_S3_ETAG);
        }
        tw_buf_clean_up(&plain);
    }
    return code;
}

enum tumble_code tw_s3_multipart_abort(struct tw_aws_client *client, const struct tw_s3_put *put, const char *upload_id,
                                       int64_t deadline_ms, struct tw_aws_answer *answer, struct tumble_error *err) {
    char query[QUERY_BYTES];
    enum tumble_code code = make_query(query, sizeof query, 0, upload_id);
    if (code != TUMBLE_OK) {
        return cannot_write(code, err);
    }
    struct tw_aws_call call = {
        .method = "DELETE", .bucket = put->bucket, .path = put->key, .query = query, .deadline_ms = deadline_ms};
    code = tw_aws_call(client, &call, answer, err);
    return code == TUMBLE_EREJECTED && answer->status == 404 ? TUMBLE_OK : code;
}

/* The upload was gone at a repeated complete: did an earlier one, whose answer was lost, make the object? */
static bool was_completed(struct tw_aws_client *client, const struct tw_s3_put *put, int count, int64_t deadline_ms,
                          char etag[TW_S3_ETAG]) {
    struct tw_aws_answer answer;
    struct tw_s3_object object;
    char suffix[16];
    if (tw_s3_head(client, put->bucket, put->key, deadline_ms, &object, &answer, NULL) != TUMBLE_OK || !object.found ||
        object.size != put->body.length) {
        return false;
    }
    size_t length = strlen(object.etag);
    size_t wanted = (size_t)snprintf(suffix, sizeof suffix, "-%d\"", count); /* of an object of that many parts */
    if (length < wanted || strcmp(object.etag + length - wanted, suffix) != 0) {
        return false;
    }
    if (etag) {
        memcpy(etag, object.etag, sizeof object.etag);
    }
    return true;
}

static enum tumble_code upload_parts(struct tw_aws_client *client, const struct tw_s3_put *put, size_t part_bytes,
                                     int count, const char *upload_id, char (*etags)[TW_S3_ETAG], int64_t deadline_ms,
                                     char etag[TW_S3_ETAG], struct tw_aws_answer *answer, struct tumble_error *err) {
    for (int i = 0; i < count; i++) {
        size_t from = (size_t)i * part_bytes;
        size_t left = put->body.length - from;
        struct tumble_bytes part = {put->body.data + from, left < part_bytes ? left : part_bytes};
        TW_TRY(tw_s3_multipart_part(client, put, upload_id, i + 1, part, deadline_ms, etags[i], answer, err));
    }
    enum tumble_code code =
        tw_s3_multipart_complete(client, put, upload_id, etags, count, deadline_ms, etag, answer, err);
    if (code == TUMBLE_EREJECTED && tw_aws_answer_is(answer, "NoSuchUpload") && answer->may_have_been_done &&
        was_completed(client, put, count, deadline_ms, etag)) {
        answer->kind = TW_AWS_SUCCESS;
        return TUMBLE_OK;
    }
    return code;
}

enum tumble_code tw_s3_upload(struct tw_aws_client *client, const struct tw_s3_put *put, size_t threshold,
                              int64_t deadline_ms, char etag[TW_S3_ETAG], struct tw_aws_answer *answer,
                              struct tumble_error *err) {
    size_t part_bytes = threshold ? threshold : PART_BYTES;
    part_bytes = part_bytes < TW_S3_PART_MINIMUM ? TW_S3_PART_MINIMUM : part_bytes;
    if (put->body.length <= part_bytes) {
        return tw_s3_put(client, put, deadline_ms, etag, answer, err);
    }
    if (put->body.length / part_bytes >= TW_S3_PARTS) {
        part_bytes = put->body.length / TW_S3_PARTS + 1;
    }
    int count = (int)((put->body.length + part_bytes - 1) / part_bytes);
    struct tumble_alloc alloc = tw_alloc_default();
    char upload_id[TW_S3_UPLOAD_ID];
    char(*etags)[TW_S3_ETAG] = tw_alloc_array(&alloc, (size_t)count, sizeof *etags);
    if (!etags) {
        memset(answer, 0, sizeof *answer);
        return tw_no_memory(err);
    }
    enum tumble_code code = tw_s3_multipart_create(client, put, deadline_ms, upload_id, answer, err);
    if (code == TUMBLE_OK) {
        code = upload_parts(client, put, part_bytes, count, upload_id, etags, deadline_ms, etag, answer, err);
        if (code != TUMBLE_OK) {
            struct tw_aws_answer ignored; /* what cannot be aborted, the bucket's lifecycle rule removes */
            tw_s3_multipart_abort(client, put, upload_id, deadline_ms, &ignored, NULL);
        }
    }
    tw_free(&alloc, etags);
    return code;
}
