#include "adapters/outputs/dynamodb/dynamodb_batch.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/hash.h"

enum {
    ROUNDS_WITHOUT_PROGRESS = 8, /* then the host waits, which may take longer */
    FIRST_WAIT_MS = 50,
    LONGEST_WAIT_MS = 5000,
    CLOSING_BYTES = 8
};

enum tumble_code tw_dynamodb_batch_init(struct tw_dynamodb_batch *batch, struct tw_output_client *client,
                                        const char *table, struct tumble_alloc alloc, struct tumble_error *err) {
    memset(batch, 0, sizeof *batch);
    batch->alloc = alloc;
    batch->client = client;
    batch->table = table;
    tw_buf_init(&batch->request, alloc, TW_DYNAMODB_REQUEST_BYTES);
    tw_buf_init(&batch->again, alloc, TW_DYNAMODB_REQUEST_BYTES);
    tw_buf_init(&batch->keys, alloc, TW_DYNAMODB_REQUEST_BYTES);
    enum tumble_code code = tw_buf_append_text(&batch->request, "{\"RequestItems\":{");
    code = code == TUMBLE_OK ? tw_buf_append_json_string(&batch->request, tumble_bytes_of(table)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&batch->request, ":[") : code;
    batch->head = batch->request.length;
    return code == TUMBLE_OK ? code : tw_no_memory(err);
}

void tw_dynamodb_batch_clean_up(struct tw_dynamodb_batch *batch) {
    tw_buf_clean_up(&batch->request);
    tw_buf_clean_up(&batch->again);
    tw_buf_clean_up(&batch->keys);
}

void tw_dynamodb_batch_clear(struct tw_dynamodb_batch *batch) {
    batch->request.length = batch->head;
    tw_buf_clear(&batch->keys);
    batch->count = 0;
}

bool tw_dynamodb_batch_takes(const struct tw_dynamodb_batch *batch, struct tumble_bytes key, size_t item_bytes) {
    if (batch->count == TW_DYNAMODB_BATCH ||
        batch->request.length + item_bytes + 64 + CLOSING_BYTES > TW_DYNAMODB_REQUEST_BYTES) {
        return false;
    }
    uint64_t hash = tw_hash64(key.data, key.length);
    for (size_t i = 0; i < batch->count; i++) {
        struct tumble_bytes there = {batch->keys.data + batch->items[i].key_begin,
                                     batch->items[i].key_end - batch->items[i].key_begin};
        if (batch->items[i].key_hash == hash && tumble_bytes_equal(there, key)) {
            return false;
        }
    }
    return true;
}

enum tumble_code tw_dynamodb_batch_add(struct tw_dynamodb_batch *batch, struct tumble_bytes key,
                                       struct tumble_bytes item, size_t row) {
    size_t before = batch->request.length, key_begin = batch->keys.length;
    enum tumble_code code = batch->count > 0 ? tw_buf_append_byte(&batch->request, ',') : TUMBLE_OK;
    size_t begin = batch->request.length;
    code = code == TUMBLE_OK ? tw_buf_append_text(&batch->request, "{\"PutRequest\":{\"Item\":") : code;
    code = code == TUMBLE_OK ? tw_buf_append(&batch->request, item.data, item.length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(&batch->request, "}}") : code;
    code = code == TUMBLE_OK ? tw_buf_append(&batch->keys, key.data, key.length) : code;
    if (code != TUMBLE_OK) {
        batch->request.length = before;
        batch->keys.length = key_begin;
        return code;
    }
    batch->items[batch->count].begin = begin;
    batch->items[batch->count].end = batch->request.length;
    batch->items[batch->count].key_begin = key_begin;
    batch->items[batch->count].key_end = batch->keys.length;
    batch->items[batch->count].key_hash = tw_hash64(key.data, key.length);
    batch->items[batch->count].row = row;
    batch->count++;
    return TUMBLE_OK;
}

/* ---- sending ---- */

static enum tumble_code no_room(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* What came back becomes the next request. */
static enum tumble_code take_back(struct tw_dynamodb_batch *batch, const struct tumble_value *unprocessed,
                                  struct tumble_error *err) {
    tw_buf_clear(&batch->again);
    enum tumble_code code = tw_buf_append_text(&batch->again, "{\"RequestItems\":");
    code = code == TUMBLE_OK ? tw_buf_append(&batch->again, unprocessed->text, unprocessed->length) : code;
    return no_room(code == TUMBLE_OK ? tw_buf_append_byte(&batch->again, '}') : code, err);
}

static enum tumble_code send(struct tw_dynamodb_batch *batch, struct tumble_bytes request, struct tumble_error *err) {
    struct tw_output_client *client = batch->client;
    struct tumble_value unprocessed;
    size_t left = SIZE_MAX;
    for (int round = 1, still = 0;; round++) {
        TW_TRY(tw_dynamodb_batch_write(client->aws, request, tw_output_client_deadline(client), &unprocessed,
                                       &client->answer, err));
        if (unprocessed.type == TUMBLE_TYPE_MISSING) {
            return TUMBLE_OK;
        }
        still = unprocessed.length < left ? 0 : still + 1;
        left = unprocessed.length;
        TW_TRY(take_back(batch, &unprocessed, err));
        batch->resent++;
        uint64_t random = client->system->random(client->system->ctx);
        if (still == ROUNDS_WITHOUT_PROGRESS ||
            !tw_output_client_wait(client, tw_backoff_ms(FIRST_WAIT_MS, LONGEST_WAIT_MS, round, random))) {
            return tw_fail(err, TUMBLE_EOUTPUT, "table %s hands items back unprocessed: it is throttled", batch->table);
        }
        request = tw_buf_view(&batch->again);
    }
}

enum tumble_code tw_dynamodb_reject(struct tw_arena *arena, struct tumble_delivery *delivery, const char *text,
                                    struct tumble_error *err) {
    size_t length = strlen(text) + 1;
    char *reason = tw_arena_take(arena, length);
    if (!reason) {
        return tw_no_memory(err);
    }
    memcpy(reason, text, length);
    delivery->outcome = TUMBLE_REJECTED;
    delivery->retry_after_ms = 0;
    delivery->reason = reason;
    return TUMBLE_OK;
}

/* Another key schema than when the output was opened: no item is to blame. */
static bool refuses_keys(const struct tw_aws_answer *answer) {
    return strstr(answer->message, "does not match the schema") || strstr(answer->message, "Missing the key ") ||
           strstr(answer->message, "Type mismatch for key ");
}

static bool refuses_items(const struct tw_dynamodb_batch *batch) {
    const struct tw_aws_answer *answer = &batch->client->answer;
    if (refuses_keys(answer)) {
        return false;
    }
    return tw_aws_answer_is(answer, "ValidationException") ||
           tw_aws_answer_is(answer, "ItemCollectionSizeLimitExceededException");
}

/* One of them is to blame: each goes alone. */
static enum tumble_code send_each(struct tw_dynamodb_batch *batch, struct tw_arena *arena, struct tumble_delivery *out,
                                  struct tumble_error *err) {
    struct tw_buf one;
    enum tumble_code code = TUMBLE_OK;
    tw_buf_init(&one, batch->alloc, TW_DYNAMODB_REQUEST_BYTES);
    for (size_t i = 0; i < batch->count && code == TUMBLE_OK; i++) {
        const char *put = batch->request.data + batch->items[i].begin;
        tw_buf_clear(&one);
        code = no_room(tw_buf_append(&one, batch->request.data, batch->head), err);
        code = code == TUMBLE_OK ? no_room(tw_buf_append(&one, put, batch->items[i].end - batch->items[i].begin), err)
                                 : code;
        code = code == TUMBLE_OK ? no_room(tw_buf_append_text(&one, "]}}"), err) : code;
        code = code == TUMBLE_OK ? send(batch, tw_buf_view(&one), err) : code;
        if (code == TUMBLE_EREJECTED && refuses_items(batch)) {
            const char *why = batch->client->answer.message;
            code = tw_dynamodb_reject(arena, &out[batch->items[i].row], why[0] ? why : "refused by the table", err);
        }
    }
    tw_buf_clean_up(&one);
    return code;
}

enum tumble_code tw_dynamodb_batch_send(struct tw_dynamodb_batch *batch, struct tw_arena *arena,
                                        struct tumble_delivery *out, struct tumble_error *err) {
    if (batch->count == 0) {
        return TUMBLE_OK;
    }
    size_t length = batch->request.length;
    enum tumble_code code = no_room(tw_buf_append_text(&batch->request, "]}}"), err);
    code = code == TUMBLE_OK ? send(batch, tw_buf_view(&batch->request), err) : code;
    batch->request.length = length;
    if (code == TUMBLE_EREJECTED && refuses_items(batch)) {
        code = send_each(batch, arena, out, err);
    }
    tw_dynamodb_batch_clear(batch);
    return code;
}
