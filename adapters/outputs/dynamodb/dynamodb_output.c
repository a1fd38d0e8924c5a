#include "adapters/outputs/dynamodb/dynamodb_output.h"

#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_batch.h"
#include "adapters/outputs/dynamodb/dynamodb_form.h"
#include "adapters/outputs/dynamodb/dynamodb_merge.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"

struct dynamodb_output {
    struct tumble_alloc alloc;
    struct tw_output_client client;
    char *table;
    char *templates; /* copies of the options that are not the table's, for form and merge to point into */
    struct tw_dynamodb_form form;
    struct tw_dynamodb_batch batch;
    struct tw_dynamodb_merge *merge; /* NULL: an item a row */
    struct tw_arena arena;           /* reasons, until the next write */
    struct tw_buf key;
    struct tw_buf item;
};

static const struct tumble_output_option options[] = {
    TW_OUTPUT_CLIENT_OPTIONS,
    {.name = "merge",
     .type = TUMBLE_OPTION_BOOLEAN,
     .default_value = "false",
     .help = "one item for each window and group, to which every shard is added exactly once"},
    {.name = "ttl", .help = "ATTRIBUTE:SECONDS: when the item may go, counted from the window's end"},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static bool is_merged(const struct tumble_output_open *how) {
    const struct tumble_option_value *merge = tw_output_option(how, "merge");
    return merge && merge->number != 0;
}

static const char *ttl_of(const struct tumble_output_open *how) {
    const struct tumble_option_value *ttl = tw_output_option(how, "ttl");
    return ttl ? ttl->value : NULL;
}

/* ---- open ---- */

static enum tumble_code dynamodb_check(const struct tumble_output_open *how, struct tumble_error *err) {
    char name[256];
    int64_t seconds;
    if (how->target[0] == '\0') {
        return tw_fail(err, TUMBLE_EUSAGE, "dynamodb: needs a table behind it, as in dynamodb:orders");
    }
    if (how->target[0] == '/') {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "dynamodb:%.200s: the table stands right behind the colon, as in dynamodb:orders", how->target);
    }
    if (ttl_of(how)) {
        TW_TRY(tw_dynamodb_ttl_read(ttl_of(how), name, &seconds, err));
    }
    return tw_dynamodb_options_check(how, OPTION_COUNT, is_merged(how), err);
}

static void dynamodb_close(void *ptr) {
    struct dynamodb_output *self = ptr;
    if (!self) {
        return;
    }
    tw_dynamodb_merge_destroy(self->merge);
    tw_dynamodb_batch_clean_up(&self->batch);
    tw_dynamodb_form_clean_up(&self->form);
    tw_arena_clean_up(&self->arena);
    tw_buf_clean_up(&self->key);
    tw_buf_clean_up(&self->item);
    tw_output_client_close(&self->client);
    struct tumble_alloc alloc = self->alloc;
    tw_free(&alloc, self->templates);
    tw_free(&alloc, self->table);
    tw_free(&alloc, self);
}

/* The form points into the options' values, which are the host's only during open. */
static enum tumble_code read_form(struct dynamodb_output *self, const struct tumble_output_open *how,
                                  const struct tw_dynamodb_table *table, struct tumble_error *err) {
    struct tumble_option_value copies[TW_TEMPLATE_PARTS];
    struct tumble_output_open with_copies = *how;
    size_t bytes = 1;
    if (how->option_count > TW_TEMPLATE_PARTS) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: too many options", how->uri ? how->uri : how->target);
    }
    for (size_t i = 0; i < how->option_count; i++) {
        bytes += how->options[i].value ? strlen(how->options[i].value) + 1 : 0;
    }
    self->templates = tw_alloc(&self->alloc, bytes);
    if (!self->templates) {
        return tw_no_memory(err);
    }
    char *at = self->templates;
    for (size_t i = 0; i < how->option_count; i++) {
        copies[i] = how->options[i];
        if (copies[i].value) {
            size_t length = strlen(copies[i].value) + 1;
            memcpy(at, copies[i].value, length);
            copies[i].value = at;
            at += length;
        }
    }
    with_copies.options = copies;
    return tw_dynamodb_form_init(&self->form, &with_copies, OPTION_COUNT, table, is_merged(how), ttl_of(how),
                                 self->alloc, err);
}

static enum tumble_code prepare(struct dynamodb_output *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    struct tw_dynamodb_table table;
    tw_arena_init(&self->arena, self->alloc);
    tw_buf_init(&self->key, self->alloc, 1 << 20);
    tw_buf_init(&self->item, self->alloc, TW_DYNAMODB_REQUEST_BYTES);
    TW_TRY(dynamodb_check(how, err));
    if (!tw_utf8_valid(how->source)) { /* it stands in items */
        return tw_fail(err, TUMBLE_EUSAGE, "dynamodb: the name of the source is not UTF-8: give another by --source");
    }
    self->table = tw_copy_text(&self->alloc, how->target, strlen(how->target));
    if (!self->table) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_output_client_open(&self->client, TW_AWS_DYNAMODB, how, err));
    TW_TRY(tw_dynamodb_describe_table(self->client.aws, self->table, tw_output_client_deadline(&self->client), &table,
                                      &self->client.answer, err));
    TW_TRY(read_form(self, how, &table, err));
    TW_TRY(tw_dynamodb_batch_init(&self->batch, &self->client, self->table, self->alloc, err));
    return self->form.merged
               ? tw_dynamodb_merge_new(&self->client, self->table, &self->form, self->alloc, &self->merge, err)
               : TUMBLE_OK;
}

static enum tumble_code dynamodb_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_default();
    struct dynamodb_output *self = tw_alloc_zero(&alloc, sizeof *self);
    if (!self) {
        return tw_no_memory(err);
    }
    self->alloc = alloc;
    enum tumble_code code = prepare(self, how, err);
    if (code != TUMBLE_OK) {
        dynamodb_close(self);
        return code;
    }
    *out = self;
    return TUMBLE_OK;
}

/* ---- rows ---- */

static enum tumble_code no_room(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_OK       ? TUMBLE_OK
           : code == TUMBLE_EINVAL ? tw_fail(err, code, "dynamodb takes rows of windows, with their values")
                                   : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* Makes the row's key and item; *rejected: it has none, and its delivery says why. */
static enum tumble_code make_item(struct dynamodb_output *self, const struct tumble_row *row,
                                  struct tumble_delivery *out, bool *rejected, struct tumble_error *err) {
    tw_buf_clear(&self->key);
    tw_buf_clear(&self->item);
    enum tumble_code code = tw_dynamodb_form_key(&self->form, row, &self->key);
    if (code == TUMBLE_OK && !self->merge) {
        code = tw_dynamodb_form_item(&self->form, row, &self->item);
    }
    *rejected = code == TUMBLE_EREJECTED;
    return *rejected ? tw_dynamodb_reject(&self->arena, out, self->form.reason.text, err) : no_room(code, err);
}

/* Adds a row to the batch, sending what does not go with it. *first is the first row of the batch at hand: those
 * before it are settled. */
static enum tumble_code add(struct dynamodb_output *self, const struct tumble_row *rows, size_t i, size_t *first,
                            struct tumble_delivery *out, struct tumble_error *err) {
    bool rejected;
    tw_output_delivered(&out[i]);
    TW_TRY(make_item(self, &rows[i], &out[i], &rejected, err));
    if (rejected) {
        return TUMBLE_OK;
    }
    struct tumble_bytes key = tw_buf_view(&self->key);
    if (!tw_dynamodb_batch_takes(&self->batch, key, self->item.length)) {
        TW_TRY(tw_dynamodb_batch_send(&self->batch, &self->arena, out, err));
        *first = i;
    }
    return no_room(tw_dynamodb_batch_add(&self->batch, key, tw_buf_view(&self->item), i), err);
}

static enum tumble_code write_batches(struct dynamodb_output *self, const struct tumble_row *rows, size_t count,
                                      struct tumble_delivery *out, size_t *first, struct tumble_error *err) {
    for (size_t i = 0; i < count; i++) {
        TW_TRY(add(self, rows, i, first, out, err));
    }
    return tw_dynamodb_batch_send(&self->batch, &self->arena, out, err);
}

static enum tumble_code write_merged(struct dynamodb_output *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, size_t *first, struct tumble_error *err) {
    for (*first = 0; *first < count; ++*first) {
        bool rejected;
        struct tumble_delivery *delivery = &out[*first];
        tw_output_delivered(delivery);
        TW_TRY(make_item(self, &rows[*first], delivery, &rejected, err));
        if (!rejected) {
            TW_TRY(tw_dynamodb_merge_row(self->merge, &rows[*first], tw_buf_view(&self->key), &self->arena, delivery,
                                         err));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code dynamodb_write(void *ptr, const struct tumble_row *rows, size_t count,
                                       struct tumble_delivery *out, struct tumble_error *err) {
    struct dynamodb_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    size_t first = 0; /* rows before it are settled */
    tw_arena_reset(&self->arena);
    tw_dynamodb_batch_clear(&self->batch);
    enum tumble_code code = self->merge ? write_merged(self, rows, count, out, &first, &failure)
                                        : write_batches(self, rows, count, out, &first, &failure);
    return code == TUMBLE_OK ? code : tw_output_hold(&self->client, out, first, count, code, &failure, err);
}

/* What was delivered is safe already. */
static enum tumble_code dynamodb_flush(void *ptr, int pending_done, struct tumble_error *err) {
    (void)ptr;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

const struct tumble_output_api tumble_dynamodb_output = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "dynamodb",
    .flags = TUMBLE_OUTPUT_WANTS_VALUES | TUMBLE_OUTPUT_NO_FAILURES | TUMBLE_OUTPUT_OTHER_OPTIONS,
    .target = "TABLE",
    .summary = "an item for each row, or with merge=true for each window and group over all shards; KEY={column} fills "
               "a key attribute",
    .options = options,
    .option_count = OPTION_COUNT,
    .open = dynamodb_open,
    .write = dynamodb_write,
    .flush = dynamodb_flush,
    .close = dynamodb_close,
    .check = dynamodb_check,
};
