#include "adapters/outputs/s3/s3_failures.h"

#include <string.h>

#include "adapters/aws/s3_calls.h"
#include "adapters/outputs/client/output_client.h"
#include "adapters/outputs/s3/s3_key.h"
#include "engine/base/fail.h"

struct s3_failures {
    struct tumble_alloc alloc;
    struct tw_output_client client;
    char *target;
    struct tw_s3_place place;
    struct tw_buf key;
};

static const struct tumble_output_option options[] = {TW_OUTPUT_CLIENT_OPTIONS};

static enum tumble_code failures_check(const struct tumble_output_open *how, struct tumble_error *err) {
    struct tw_s3_place place;
    return tw_s3_place_read(how->target, how->uri ? how->uri : "s3", &place, err);
}

static void failures_close(void *ptr) {
    struct s3_failures *self = ptr;
    if (!self) {
        return;
    }
    struct tumble_alloc alloc = self->alloc;
    tw_buf_clean_up(&self->key);
    tw_output_client_close(&self->client);
    tw_free(&alloc, self->target);
    tw_free(&alloc, self);
}

static enum tumble_code prepare(struct s3_failures *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    tw_buf_init(&self->key, self->alloc, TW_S3_KEY_BYTES);
    self->target = tw_copy_text(&self->alloc, how->target, strlen(how->target));
    if (!self->target) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_s3_place_read(self->target, how->uri ? how->uri : "s3", &self->place, err));
    return tw_output_client_open(&self->client, TW_AWS_S3, how, err);
}

static enum tumble_code failures_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_default();
    struct s3_failures *self = tw_alloc_zero(&alloc, sizeof *self);
    if (!self) {
        return tw_no_memory(err);
    }
    self->alloc = alloc;
    enum tumble_code code = prepare(self, how, err);
    if (code != TUMBLE_OK) {
        failures_close(self);
        return code;
    }
    *out = self;
    return TUMBLE_OK;
}

static enum tumble_code write_key(struct s3_failures *self, struct tumble_bytes key, struct tumble_error *err) {
    struct tumble_bytes prefix = self->place.prefix;
    tw_buf_clear(&self->key);
    enum tumble_code code = tw_buf_append(&self->key, prefix.data, prefix.length);
    if (code == TUMBLE_OK && prefix.length) {
        code = tw_buf_append_byte(&self->key, '/');
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append(&self->key, key.data, key.length);
    }
    if (code == TUMBLE_ELIMIT) {
        return tw_fail(err, TUMBLE_EUSAGE, "s3://%s: with its prefix a key has more than %d bytes", self->place.bucket,
                       TW_S3_KEY_BYTES);
    }
    return code == TUMBLE_OK ? code : tw_no_memory(err);
}

static enum tumble_code failures_write(void *ptr, const struct tumble_row *rows, size_t count,
                                       struct tumble_delivery *out, struct tumble_error *err) {
    struct s3_failures *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    for (size_t i = 0; i < count; i++) {
        if (rows[i].value_count != 1) {
            return tw_fail(err, TUMBLE_EINVAL, "a document for a bucket comes with its key");
        }
        TW_TRY(write_key(self, rows[i].values[0], err));
        const struct tw_s3_put put = {
            .bucket = self->place.bucket, .key = tw_buf_view(&self->key), .body = rows[i].json};
        char etag[TW_S3_ETAG];
        enum tumble_code code = tw_s3_put(self->client.aws, &put, tw_output_client_deadline(&self->client), etag,
                                          &self->client.answer, &failure);
        if (code != TUMBLE_OK) {
            return tw_output_hold(&self->client, out, i, count, code, &failure, err);
        }
        tw_output_delivered(&out[i]);
    }
    return TUMBLE_OK;
}

/* What was delivered is safe already. */
static enum tumble_code failures_flush(void *ptr, int pending_done, struct tumble_error *err) {
    (void)ptr;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

const struct tumble_output_api tumble_s3_failures = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "s3",
    .flags = TUMBLE_OUTPUT_NO_ROWS | TUMBLE_OUTPUT_WANTS_VALUES,
    .target = "//BUCKET[/PREFIX]",
    .summary = "an object for each document of a mapping's on-failure destination, under the key that Lambda gives it",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .open = failures_open,
    .write = failures_write,
    .flush = failures_flush,
    .close = failures_close,
    .check = failures_check,
};
