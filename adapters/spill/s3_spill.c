#include "adapters/spill/s3_spill.h"

#include <string.h>

#include "adapters/aws/s3_calls.h"
#include "adapters/spill/spill_name.h"
#include "engine/base/fail.h"

enum { BUCKET_BYTES = 256, PREFIX_BYTES = 512, WARM_MS = 3000, REMOVE_MS = 2000 };

struct tw_s3_spill {
    struct tumble_alloc alloc;
    struct tumble_spill_store store;
    struct tumble_host host;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    struct tw_buf key;
    char bucket[BUCKET_BYTES];
    char prefix[PREFIX_BYTES]; /* "" or with its slash */
};

/* When a call has to be over, on the client's steady clock. */
static int64_t deadline_of(const struct tw_s3_spill *spill, int64_t most) {
    int64_t left = spill->host.remaining_ms ? spill->host.remaining_ms(spill->host.ctx) : INT64_MAX;
    left = left < most ? left : most;
    const struct tw_aws_host *host = tw_aws_client_host(spill->client);
    int64_t now = host->steady_ms(host->ctx);
    left = left < 1 ? 1 : left; /* 0 would mean none */
    return left > TW_NO_DEADLINE - now ? TW_NO_DEADLINE : now + left;
}

static enum tumble_code key_of(struct tw_s3_spill *spill, const char *name, struct tumble_bytes *key,
                               struct tumble_error *err) {
    TW_TRY(tw_spill_name_check(name, err));
    tw_buf_clear(&spill->key);
    if (tw_buf_append_text(&spill->key, spill->prefix) != TUMBLE_OK ||
        tw_buf_append_text(&spill->key, name) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    *key = tw_buf_view(&spill->key);
    return TUMBLE_OK;
}

static enum tumble_code named(enum tumble_code code, struct tumble_error *err) {
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "spill store");
    }
    return code;
}

static enum tumble_code put(void *ctx, const char *name, struct tumble_bytes bytes, struct tumble_error *err) {
    struct tw_s3_spill *spill = ctx;
    struct tw_s3_put what = {.bucket = spill->bucket, .body = bytes};
    TW_TRY(key_of(spill, name, &what.key, err));
    return named(tw_s3_put(spill->client, &what, deadline_of(spill, INT64_MAX), NULL, &spill->answer, err), err);
}

static enum tumble_code get(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                            struct tumble_error *err) {
    struct tw_s3_spill *spill = ctx;
    struct tumble_bytes key;
    struct tw_s3_object object = {0};
    *out = (struct tumble_bytes){NULL, 0};
    TW_TRY(key_of(spill, name, &key, err));
    TW_TRY(named(tw_s3_get(spill->client, spill->bucket, key, max_bytes, deadline_of(spill, INT64_MAX), &object,
                           &spill->answer, err),
                 err));
    if (object.found) {
        *out = object.body.data ? object.body : tumble_bytes_of("");
    }
    return TUMBLE_OK;
}

static enum tumble_code remove_object(void *ctx, const char *name, struct tumble_error *err) {
    struct tw_s3_spill *spill = ctx;
    struct tumble_bytes key;
    TW_TRY(key_of(spill, name, &key, err));
    /* Not worth the time that the answer needs: what is left, a lifecycle rule takes. */
    int64_t end = deadline_of(spill, REMOVE_MS);
    return named(tw_s3_delete(spill->client, spill->bucket, key, end, &spill->answer, err), err);
}

static enum tumble_code read_target(struct tw_s3_spill *spill, const char *target, struct tumble_error *err) {
    const char *slash = strchr(target, '/');
    size_t bucket = slash ? (size_t)(slash - target) : strlen(target);
    const char *prefix = slash ? slash + 1 : "";
    size_t length = strlen(prefix);
    if (bucket < 3 || bucket >= BUCKET_BYTES || length + 2 > PREFIX_BYTES || strpbrk(target, "?#\r\n")) {
        return tw_fail(err, TUMBLE_EUSAGE, "spill store: write s3://BUCKET/PREFIX, not \"s3://%.100s\"", target);
    }
    memcpy(spill->bucket, target, bucket);
    memcpy(spill->prefix, prefix, length);
    if (length > 0 && prefix[length - 1] != '/') {
        spill->prefix[length] = '/';
    }
    return TUMBLE_OK;
}

enum tumble_code tw_s3_spill_open(const struct tw_s3_spill_options *options, struct tw_s3_spill **out,
                                  struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tw_s3_spill *spill = tw_alloc_zero(&alloc, sizeof *spill);
    if (!spill) {
        return tw_no_memory(err);
    }
    spill->alloc = alloc;
    spill->host = options->host;
    tw_buf_init(&spill->key, alloc, TW_S3_KEY_BYTES * 2);
    struct tw_aws_options aws = {.alloc = alloc};
    enum tumble_code code = read_target(spill, options->target, err);
    if (code == TUMBLE_OK) {
        code = named(tw_aws_client_open(&aws, TW_AWS_S3, &spill->client, err), err);
    }
    if (code != TUMBLE_OK) {
        tw_s3_spill_close(spill);
        return code;
    }
    if (options->warm) {
        const struct tw_aws_host *host = tw_aws_client_host(spill->client);
        tw_aws_client_warm(spill->client, host->steady_ms(host->ctx) + WARM_MS, NULL);
    }
    spill->store = (struct tumble_spill_store){spill, put, get, remove_object};
    *out = spill;
    return TUMBLE_OK;
}

const struct tumble_spill_store *tw_s3_spill_store(const struct tw_s3_spill *spill) { return &spill->store; }

void tw_s3_spill_close(struct tw_s3_spill *spill) {
    if (spill) {
        struct tumble_alloc alloc = spill->alloc;
        tw_aws_client_destroy(spill->client);
        tw_buf_clean_up(&spill->key);
        tw_free(&alloc, spill);
    }
}
