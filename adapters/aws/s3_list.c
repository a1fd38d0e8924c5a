#include "adapters/aws/aws_text.h"
#include "adapters/aws/s3_calls.h"
#include "adapters/aws/sigv4.h"
#include "engine/base/fail.h"

enum { QUERY_BYTES = 32 * 1024, TEXT_BYTES = 64 * 1024 };

/* What one listing needs from page to page. */
struct listing {
    struct tw_buf query; /* NUL-terminated */
    struct tw_buf token; /* NextContinuationToken; empty: the last page was read, or none yet */
    struct tw_buf key;
    struct tw_buf etag;
};

static enum tumble_code make_query(struct listing *listing, struct tumble_bytes prefix,
                                   struct tumble_bytes start_after) {
    struct tw_buf *query = &listing->query;
    tw_buf_clear(query);
    TW_TRY(tw_buf_append_text(query, "encoding-type=url&list-type=2&prefix="));
    TW_TRY(tw_percent_encode(query, prefix, false));
    if (listing->token.length) {
        TW_TRY(tw_buf_append_text(query, "&continuation-token="));
        TW_TRY(tw_percent_encode(query, tw_buf_view(&listing->token), false));
    } else if (start_after.length) {
        TW_TRY(tw_buf_append_text(query, "&start-after="));
        TW_TRY(tw_percent_encode(query, start_after, false));
    }
    return tw_buf_append_byte(query, '\0');
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* As S3 encodes with encoding-type=url: %XX, and a plus for a space. In place. */
static void undo_url(struct tw_buf *text) {
    size_t to = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->data[i];
        if (c == '%' && i + 2 < text->length && hex_digit(text->data[i + 1]) >= 0 &&
            hex_digit(text->data[i + 2]) >= 0) {
            c = (char)(hex_digit(text->data[i + 1]) << 4 | hex_digit(text->data[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        text->data[to++] = c;
    }
    text->length = to;
}

static enum tumble_code malformed(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                 : tw_fail(err, TUMBLE_EOUTPUT, "s3 ListObjectsV2: the answer is malformed");
}

static uint64_t whole(struct tumble_bytes text) {
    uint64_t value = 0;
    for (size_t i = 0; i < text.length && i < 19 && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    return value;
}

static enum tumble_code read_entry(struct listing *listing, struct tumble_bytes contents, bool encoded,
                                   struct tw_s3_listed *object) {
    struct tumble_bytes text;
    int64_t modified_ms;
    tw_buf_clear(&listing->key);
    tw_buf_clear(&listing->etag);
    if (!tw_xml_find(contents, "Key", &text)) {
        return TUMBLE_EJSON;
    }
    TW_TRY(tw_xml_text(text, &listing->key));
    if (encoded) {
        undo_url(&listing->key);
    }
    if (tw_xml_find(contents, "ETag", &text)) {
        TW_TRY(tw_xml_text(text, &listing->etag));
    }
    object->key = tw_buf_view(&listing->key);
    object->etag = tw_buf_view(&listing->etag);
    object->size = tw_xml_find(contents, "Size", &text) ? whole(text) : 0;
    object->modified_s =
        tw_xml_find(contents, "LastModified", &text) && tw_iso_date(text, &modified_ms) ? modified_ms / 1000 : -1;
    return TUMBLE_OK;
}

static enum tumble_code read_page(struct listing *listing, struct tumble_bytes xml,
                                  enum tumble_code (*each)(void *ctx, const struct tw_s3_listed *object,
                                                           struct tumble_error *err),
                                  void *ctx, struct tumble_error *err) {
    struct tumble_bytes text;
    struct tumble_bytes at = xml;
    struct tumble_bytes contents;
    bool encoded = tw_xml_find(xml, "EncodingType", &text) && tumble_bytes_equal(text, tumble_bytes_of("url"));
    if (!tw_xml_find(xml, "ListBucketResult", &text)) {
        return malformed(TUMBLE_EJSON, err);
    }
    while (tw_xml_next(&at, "Contents", &contents)) {
        struct tw_s3_listed object;
        enum tumble_code code = read_entry(listing, contents, encoded, &object);
        if (code != TUMBLE_OK) {
            return malformed(code, err);
        }
        TW_TRY(each(ctx, &object, err));
    }
    tw_buf_clear(&listing->token);
    if (tw_xml_find(xml, "IsTruncated", &text) && tumble_bytes_equal(text, tumble_bytes_of("true"))) {
        enum tumble_code code = tw_xml_find(xml, "NextContinuationToken", &text) && text.length
                                    ? tw_xml_text(text, &listing->token)
                                    : TUMBLE_EJSON;
        if (code != TUMBLE_OK) {
            return malformed(code, err);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_s3_list(struct tw_aws_client *client, const char *bucket, struct tumble_bytes prefix,
                            struct tumble_bytes start_after, int64_t deadline_ms,
                            enum tumble_code (*each)(void *ctx, const struct tw_s3_listed *object,
                                                     struct tumble_error *err),
                            void *ctx, struct tw_aws_answer *answer, struct tumble_error *err) {
    struct listing listing;
    struct tumble_alloc alloc = tw_alloc_default();
    enum tumble_code code;
    tw_buf_init(&listing.query, alloc, QUERY_BYTES);
    tw_buf_init(&listing.token, alloc, TEXT_BYTES);
    tw_buf_init(&listing.key, alloc, TEXT_BYTES);
    tw_buf_init(&listing.etag, alloc, TEXT_BYTES);
    memset(answer, 0, sizeof *answer);
    do {
        code = make_query(&listing, prefix, start_after);
        if (code != TUMBLE_OK) {
            code =
                code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, TUMBLE_EINVAL, "s3: the prefix is too long");
            break;
        }
        struct tw_aws_call call = {
            .method = "GET", .bucket = bucket, .query = listing.query.data, .deadline_ms = deadline_ms};
        code = tw_aws_call(client, &call, answer, err);
        if (code == TUMBLE_OK) {
            code = read_page(&listing, answer->body, each, ctx, err);
        }
    } while (code == TUMBLE_OK && listing.token.length);
    tw_buf_clean_up(&listing.query);
    tw_buf_clean_up(&listing.token);
    tw_buf_clean_up(&listing.key);
    tw_buf_clean_up(&listing.etag);
    return code;
}
