#include "adapters/inputs/capture/object_source.h"

#include <stdio.h>
#include <string.h>

#include "adapters/aws/s3_calls.h"
#include "engine/base/fail.h"

enum { PIECE_BYTES = 8 * 1024 * 1024, BUCKET_BYTES = 256, CALL_MS = 120000 };

static const char scheme[] = "s3://";

struct tw_object_source {
    struct tumble_alloc alloc;
    const char *path;
    int (*stopping)(void *ctx);
    void *stopping_ctx;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    char bucket[BUCKET_BYTES];
    struct tumble_bytes key;
    char etag[TW_S3_ETAG]; /* "" before the first piece */
    uint64_t offset;       /* of the next piece */
    bool at_end;
    struct tumble_bytes piece; /* in the client's response */
};

bool tw_object_source_takes(const char *path) { return strncmp(path, scheme, sizeof scheme - 1) == 0; }

static bool asked_to_stop(void *ctx) {
    const struct tw_object_source *source = ctx;
    return source->stopping && source->stopping(source->stopping_ctx);
}

/* Bucket and key of a path, and a client. */
static enum tumble_code connect_to(struct tw_object_source *source, const char *path, struct tumble_error *err) {
    const char *bucket = path + sizeof scheme - 1;
    size_t length = strcspn(bucket, "/");
    if (length < 3 || length >= sizeof source->bucket) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: names no bucket: write s3://BUCKET/KEY or s3://BUCKET/PREFIX/", path);
    }
    memcpy(source->bucket, bucket, length);
    source->bucket[length] = '\0';
    source->key = tumble_bytes_of(bucket[length] ? bucket + length + 1 : "");
    if (source->key.length > TW_S3_KEY_BYTES) {
        return tw_fail(err, TUMBLE_EINPUT, "%.60s…: a key of %zu bytes: S3 has at most %d", path, source->key.length,
                       TW_S3_KEY_BYTES);
    }
    source->path = path;
    struct tw_aws_options options = {.alloc = source->alloc,
                                     .max_response_bytes = PIECE_BYTES + 65536,
                                     .stop = source->stopping ? asked_to_stop : NULL,
                                     .stop_ctx = source};
    return tw_aws_client_open(&options, TW_AWS_S3, &source->client, err);
}

static int64_t deadline_of(const struct tw_object_source *source) {
    const struct tw_aws_host *host = tw_aws_client_host(source->client);
    return host->steady_ms(host->ctx) + CALL_MS;
}

/* What goes wrong with an input is the input's, except what the user has to set right. */
static enum tumble_code input_error(const struct tw_object_source *source, enum tumble_code code,
                                    struct tumble_error *err) {
    tw_error_prefix(err, "%s", source->path);
    if (code != TUMBLE_EOUTPUT && code != TUMBLE_EREJECTED && code != TUMBLE_ELIMIT) {
        return code;
    }
    if (err) {
        err->code = TUMBLE_EINPUT;
    }
    return TUMBLE_EINPUT;
}

static enum tumble_code get_size(struct tw_object_source *source, int64_t *size, struct tumble_error *err) {
    struct tw_s3_object object;
    enum tumble_code code =
        tw_s3_head(source->client, source->bucket, source->key, deadline_of(source), &object, &source->answer, err);
    if (code != TUMBLE_OK) {
        return input_error(source, code, err);
    }
    if (!object.found) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: there is no such object", source->path);
    }
    *size = (int64_t)object.size;
    return TUMBLE_OK;
}

enum tumble_code tw_object_source_check(const char *path, int64_t *size, struct tumble_error *err) {
    struct tw_object_source source = {.alloc = tw_alloc_default()};
    enum tumble_code code = connect_to(&source, path, err);
    if (code == TUMBLE_OK) {
        code = get_size(&source, size, err);
    }
    tw_aws_client_destroy(source.client);
    return code;
}

enum tumble_code tw_object_source_open(const char *path, struct tumble_alloc alloc, int (*stopping)(void *ctx),
                                       void *stopping_ctx, struct tw_object_source **out, struct tumble_error *err) {
    *out = NULL;
    struct tw_object_source *source = tw_alloc_zero(&alloc, sizeof *source);
    if (!source) {
        return tw_no_memory(err);
    }
    source->alloc = alloc;
    source->stopping = stopping;
    source->stopping_ctx = stopping_ctx;
    enum tumble_code code = connect_to(source, path, err);
    if (code != TUMBLE_OK) {
        tw_object_source_close(source);
        return code;
    }
    *out = source;
    return TUMBLE_OK;
}

void tw_object_source_close(struct tw_object_source *source) {
    if (source) {
        struct tumble_alloc alloc = source->alloc;
        tw_aws_client_destroy(source->client);
        tw_free(&alloc, source);
    }
}

static enum tumble_code next_piece(struct tw_object_source *source, struct tumble_error *err) {
    struct tw_s3_object object;
    const char *same = source->etag[0] ? source->etag : NULL;
    enum tumble_code code = tw_s3_get_range(source->client, source->bucket, source->key, source->offset, PIECE_BYTES,
                                            same, deadline_of(source), &object, &source->answer, err);
    if (code != TUMBLE_OK && source->answer.status == 412) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: was replaced while it was read, at byte %llu", source->path,
                       (unsigned long long)source->offset);
    }
    if (code != TUMBLE_OK) {
        return input_error(source, code, err);
    }
    if (!object.found) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: there is no such object%s", source->path,
                       source->offset ? " any more" : "");
    }
    memcpy(source->etag, object.etag, sizeof source->etag);
    source->piece = object.body;
    source->offset += object.body.length;
    source->at_end = object.body.length == 0 || source->offset >= object.size;
    return TUMBLE_OK;
}

enum tumble_code tw_object_source_read(struct tw_object_source *source, char *out, size_t capacity, size_t *got,
                                       struct tumble_error *err) {
    if (source->piece.length == 0 && !source->at_end) {
        TW_TRY(next_piece(source, err));
    }
    *got = source->piece.length < capacity ? source->piece.length : capacity;
    if (*got) {
        memcpy(out, source->piece.data, *got);
        source->piece.data += *got;
        source->piece.length -= *got;
    }
    return TUMBLE_OK;
}

/* ---- listing ---- */

struct listing {
    const struct tw_object_source *source;
    enum tumble_code (*each)(void *ctx, const char *path, struct tumble_error *err);
    void *ctx;
    size_t given;
    bool exact; /* the first one is what path names: it alone */
};

static bool is_hidden(struct tumble_bytes key) {
    for (size_t i = 0; i < key.length; i++) {
        if ((i == 0 || key.data[i - 1] == '/') && (key.data[i] == '_' || key.data[i] == '.')) {
            return true;
        }
    }
    return false;
}

static enum tumble_code give(struct listing *listing, struct tumble_bytes key, struct tumble_error *err) {
    char path[sizeof scheme + BUCKET_BYTES + TW_S3_KEY_BYTES + 2];
    snprintf(path, sizeof path, "%s%s/%.*s", scheme, listing->source->bucket, (int)key.length, key.data);
    listing->given++;
    return listing->each(listing->ctx, path, err);
}

static enum tumble_code listed(void *ctx, const struct tw_s3_listed *object, struct tumble_error *err) {
    struct listing *listing = ctx;
    if (listing->exact) {
        return TUMBLE_OK;
    }
    if (tumble_bytes_equal(object->key, listing->source->key)) { /* keys come in order, so it is the first */
        listing->exact = true;
        return give(listing, object->key, err);
    }
    struct tumble_bytes prefix = listing->source->key, rest = object->key;
    while (prefix.length && prefix.data[prefix.length - 1] != '/') { /* what was written out is meant */
        prefix.length--;
    }
    rest.data += prefix.length;
    rest.length -= prefix.length;
    return object->size == 0 || is_hidden(rest) ? TUMBLE_OK : give(listing, object->key, err);
}

enum tumble_code tw_object_source_list(const char *path, struct tumble_alloc alloc,
                                       enum tumble_code (*each)(void *ctx, const char *path, struct tumble_error *err),
                                       void *ctx, struct tumble_error *err) {
    struct tw_object_source source = {.alloc = alloc};
    struct listing listing = {.source = &source, .each = each, .ctx = ctx};
    struct tumble_bytes from_the_first = {NULL, 0};
    enum tumble_code code = connect_to(&source, path, err);
    if (code == TUMBLE_OK) {
        code = tw_s3_list(source.client, source.bucket, source.key, from_the_first, TW_NO_DEADLINE, listed, &listing,
                          &source.answer, err);
        code = code == TUMBLE_OK ? code : input_error(&source, code, err);
    }
    if (code == TUMBLE_OK && listing.given == 0) {
        code = tw_fail(err, TUMBLE_EINPUT, "%s: no object's key begins so", path);
    }
    tw_aws_client_destroy(source.client);
    return code;
}
