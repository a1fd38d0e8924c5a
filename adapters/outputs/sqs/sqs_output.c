#include "adapters/outputs/sqs/sqs_output.h"

#include <stdio.h>
#include <string.h>

#include "adapters/aws/sqs_calls.h"
#include "adapters/outputs/client/output_client.h"
#include "adapters/outputs/sqs/sqs_body.h"
#include "engine/base/arena.h"
#include "engine/base/fail.h"

enum { KEY_TEXT = 33, ROUNDS = 8, FIRST_WAIT_MS = 50, LONGEST_WAIT_MS = 5000, BODIES_CAP = 64 * 1024 * 1024 };

struct sqs_output {
    struct tumble_alloc alloc;
    struct tw_output_client client;
    enum tumble_row_kind kind;
    char url[TW_SQS_URL];
    bool fifo;
    char *group_id;
    size_t max_bytes;
    struct tw_arena arena; /* reasons, until the next write */
    /* The batch at hand. */
    struct tw_buf bodies;
    struct {
        size_t begin, end; /* of the body in bodies */
        size_t row;
        enum tw_sqs_encoding encoding;
        char key[KEY_TEXT];
    } entries[TW_SQS_BATCH];
    struct tw_sqs_message messages[TW_SQS_BATCH];
    struct tw_sqs_result results[TW_SQS_BATCH];
    size_t count;
    size_t bytes; /* as the limit counts */
};

static const struct tumble_output_option options[] = {
    TW_OUTPUT_CLIENT_OPTIONS,
    {.name = "group_id", .default_value = "tumble", .help = "message group, on a FIFO queue"},
    {.name = "max_bytes",
     .type = TUMBLE_OPTION_SIZE,
     .default_value = "1MiB",
     .help = "most that the queue takes in a message and in a batch",
     .minimum = 1024,
     .maximum = TW_SQS_BYTES},
};

/* ---- open ---- */

static enum tumble_code sqs_check(const struct tumble_output_open *how, struct tumble_error *err) {
    const struct tumble_option_value *group = tw_output_option(how, "group_id");
    if (how->target[0] == '\0' || strlen(how->target) >= TW_SQS_URL) {
        return tw_fail(err, TUMBLE_EUSAGE, "sqs: needs a queue's name or URL behind it, as in sqs:orders-rejected");
    }
    return !group || (group->value[0] && strlen(group->value) <= 128)
               ? TUMBLE_OK
               : tw_fail(err, TUMBLE_EUSAGE, "%s: a group_id has 1 to 128 characters", how->target);
}

static void sqs_close(void *ptr) {
    struct sqs_output *self = ptr;
    if (!self) {
        return;
    }
    tw_buf_clean_up(&self->bodies);
    tw_arena_clean_up(&self->arena);
    tw_output_client_close(&self->client);
    struct tumble_alloc alloc = self->alloc;
    tw_free(&alloc, self->group_id);
    tw_free(&alloc, self);
}

static enum tumble_code prepare(struct sqs_output *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    const struct tumble_option_value *group = tw_output_option(how, "group_id");
    const struct tumble_option_value *max_bytes = tw_output_option(how, "max_bytes");
    const char *group_id = group ? group->value : "tumble";
    tw_buf_init(&self->bodies, self->alloc, BODIES_CAP);
    tw_arena_init(&self->arena, self->alloc);
    TW_TRY(sqs_check(how, err));
    self->kind = how->kind;
    self->max_bytes = max_bytes && max_bytes->number > 0 && max_bytes->number < TW_SQS_BYTES ? (size_t)max_bytes->number
                                                                                             : TW_SQS_BYTES;
    self->group_id = tw_copy_text(&self->alloc, group_id, strlen(group_id));
    if (!self->group_id) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_output_client_open(&self->client, TW_AWS_SQS, how, err));
    TW_TRY(tw_sqs_queue_url(self->client.aws, how->target, tw_output_client_deadline(&self->client), self->url,
                            &self->client.answer, err));
    size_t length = strlen(self->url);
    self->fifo = length > 5 && strcmp(self->url + length - 5, ".fifo") == 0;
    return TUMBLE_OK;
}

static enum tumble_code sqs_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_default();
    struct sqs_output *self = tw_alloc_zero(&alloc, sizeof *self);
    if (!self) {
        return tw_no_memory(err);
    }
    self->alloc = alloc;
    enum tumble_code code = prepare(self, how, err);
    if (code != TUMBLE_OK) {
        sqs_close(self);
        return code;
    }
    *out = self;
    return TUMBLE_OK;
}

/* ---- the batch ---- */

static void clear(struct sqs_output *self) {
    tw_buf_clear(&self->bodies);
    self->count = 0;
    self->bytes = 0;
}

/* Only once all bodies are in their place: they move while the buffer grows. */
static void make_messages(struct sqs_output *self) {
    for (size_t i = 0; i < self->count; i++) {
        struct tw_sqs_message *message = &self->messages[i];
        memset(message, 0, sizeof *message);
        message->body.data = self->bodies.data + self->entries[i].begin;
        message->body.length = self->entries[i].end - self->entries[i].begin;
        message->attributes[0].name = "tumble_key";
        message->attributes[0].value = tumble_bytes_of(self->entries[i].key);
        message->attributes[1].name = "tumble_kind";
        message->attributes[1].value = tumble_bytes_of(self->kind == TUMBLE_ROW_FAILURE ? "failure" : "row");
        message->attribute_count = 2;
        if (self->entries[i].encoding == TW_SQS_BASE64) {
            message->attributes[2].name = "tumble_encoding";
            message->attributes[2].value = tumble_bytes_of("base64");
            message->attribute_count = 3;
        }
        if (self->fifo) {
            message->group_id = self->group_id;
            message->deduplication_id = self->entries[i].key;
        }
    }
}

static enum tumble_code reject(struct sqs_output *self, struct tumble_delivery *delivery, const char *text,
                               struct tumble_error *err) {
    size_t length = strlen(text) + 1;
    char *reason = tw_arena_take(&self->arena, length);
    if (!reason) {
        return tw_no_memory(err);
    }
    memcpy(reason, text, length);
    delivery->outcome = TUMBLE_REJECTED;
    delivery->reason = reason;
    return TUMBLE_OK;
}

/* Looks at the results; the entries to be sent again move to the front. */
static enum tumble_code settle(struct sqs_output *self, struct tumble_delivery *out, size_t *again,
                               struct tumble_error *err) {
    char text[320];
    *again = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct tw_sqs_result *result = &self->results[i];
        if (result->again) {
            if (*again == 0) {
                snprintf(self->client.reason, sizeof self->client.reason, "%s: %.180s", result->code, result->message);
            }
            self->entries[(*again)++] = self->entries[i];
        } else if (!result->sent) {
            snprintf(text, sizeof text, "%s: %.180s", result->code, result->message);
            TW_TRY(reject(self, &out[self->entries[i].row], text, err));
        }
    }
    self->count = *again;
    return TUMBLE_OK;
}

static enum tumble_code send(struct sqs_output *self, struct tumble_delivery *out, struct tumble_error *err) {
    struct tw_output_client *client = &self->client;
    for (int round = 1; self->count > 0; round++) {
        size_t again;
        make_messages(self);
        TW_TRY(tw_sqs_send_batch(client->aws, self->url, self->messages, self->count, tw_output_client_deadline(client),
                                 self->results, &client->answer, err));
        TW_TRY(settle(self, out, &again, err));
        uint64_t random = client->system->random(client->system->ctx);
        if (again > 0 &&
            (round == ROUNDS ||
             !tw_output_client_wait(client, tw_backoff_ms(FIRST_WAIT_MS, LONGEST_WAIT_MS, round, random)))) {
            return tw_fail(err, TUMBLE_EOUTPUT, "queue %s does not take all messages: %s", self->url, client->reason);
        }
    }
    clear(self);
    return TUMBLE_OK;
}

static enum tumble_code no_room(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

static void key_of(const struct tumble_row *row, char out[KEY_TEXT]) {
    for (size_t i = 0; i < sizeof row->key; i++) {
        snprintf(out + 2 * i, 3, "%02x", row->key[i]);
    }
}

/* *first is the row at which the batch at hand begins: those before it are settled. */
static enum tumble_code add(struct sqs_output *self, const struct tumble_row *row, size_t i, size_t *first,
                            struct tumble_delivery *out, struct tumble_error *err) {
    size_t begin = self->bodies.length, at = self->count;
    if (at == TW_SQS_BATCH) {
        TW_TRY(send(self, out, err));
        *first = i;
        begin = at = 0;
    }
    TW_TRY(no_room(tw_sqs_body(&self->bodies, row->json, &self->entries[at].encoding), err));
    self->entries[at].begin = begin;
    self->entries[at].end = self->bodies.length;
    self->entries[at].row = i;
    key_of(row, self->entries[at].key);
    self->count = at + 1;
    make_messages(self);
    size_t bytes = tw_sqs_message_bytes(&self->messages[at]);
    if (bytes > self->max_bytes) {
        char text[160];
        self->count = at;
        self->bodies.length = begin;
        snprintf(text, sizeof text, "a message of %zu bytes: the queue takes %zu at most", bytes, self->max_bytes);
        return reject(self, &out[i], text, err);
    }
    if (self->bytes + bytes <= self->max_bytes) {
        self->bytes += bytes;
        return TUMBLE_OK;
    }
    self->count = at; /* it goes with the next */
    self->bodies.length = begin;
    TW_TRY(send(self, out, err));
    *first = i;
    return add(self, row, i, first, out, err);
}

static enum tumble_code sqs_write(void *ptr, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                  struct tumble_error *err) {
    struct sqs_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    enum tumble_code code = TUMBLE_OK;
    size_t first = 0;
    clear(self);
    tw_arena_reset(&self->arena);
    for (size_t i = 0; i < count && code == TUMBLE_OK; i++) {
        tw_output_delivered(&out[i]);
        code = add(self, &rows[i], i, &first, out, &failure);
    }
    code = code == TUMBLE_OK ? send(self, out, &failure) : code;
    return code == TUMBLE_OK ? code : tw_output_hold(&self->client, out, first, count, code, &failure, err);
}

/* What was delivered is safe already. */
static enum tumble_code sqs_flush(void *ptr, int pending_done, struct tumble_error *err) {
    (void)ptr;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

const struct tumble_output_api tumble_sqs_output = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "sqs",
    .flags = TUMBLE_OUTPUT_AT_LEAST_ONCE,
    .target = "QUEUE",
    .summary = "a message for each row or failure, with its key as attribute; at least once",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .open = sqs_open,
    .write = sqs_write,
    .flush = sqs_flush,
    .close = sqs_close,
    .check = sqs_check,
};
