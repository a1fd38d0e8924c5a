#ifndef TW_DYNAMODB_BATCH_H
#define TW_DYNAMODB_BATCH_H

#include "adapters/aws/dynamodb_calls.h"
#include "adapters/outputs/client/output_client.h"
#include "engine/base/arena.h"

/* Up to 25 items on their way to a table with BatchWriteItem. What the table hands back is sent again, later and
 * later; an item that it refuses is found by sending each alone. One thread per object. */

enum { TW_DYNAMODB_BATCH = 25, TW_DYNAMODB_REQUEST_BYTES = 16 * 1024 * 1024 };

struct tw_dynamodb_batch {
    struct tumble_alloc alloc;
    struct tw_output_client *client;
    const char *table;
    struct tw_buf request; /* {"RequestItems":{TABLE:[{"PutRequest":{"Item":…}},… */
    size_t head;           /* length of what stands before the first item */
    struct tw_buf again;
    struct tw_buf keys;
    struct {
        size_t begin, end;         /* of the put in request */
        size_t key_begin, key_end; /* in keys */
        uint64_t key_hash;
        size_t row; /* the caller's */
    } items[TW_DYNAMODB_BATCH];
    size_t count;
    uint64_t resent; /* items handed back and sent again, since init */
};

enum tumble_code tw_dynamodb_batch_init(struct tw_dynamodb_batch *batch, struct tw_output_client *client,
                                        const char *table, struct tumble_alloc alloc, struct tumble_error *err);
void tw_dynamodb_batch_clean_up(struct tw_dynamodb_batch *batch); /* idempotent; zeroed allowed */

/* Can an item of these sizes be added: is there room, and is none of this key in? (A batch with one key twice is
 * refused whole.) */
bool tw_dynamodb_batch_takes(const struct tw_dynamodb_batch *batch, struct tumble_bytes key, size_t item_bytes);
/* Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_dynamodb_batch_add(struct tw_dynamodb_batch *batch, struct tumble_bytes key,
                                       struct tumble_bytes item, size_t row);

void tw_dynamodb_batch_clear(struct tw_dynamodb_batch *batch);

/* Sends all and empties the batch; items that the table refuses get their delivery (out[row]) rejected, with a reason
 * in arena, the others are not touched. On failure the batch is emptied too; what of it was written may be written
 * again. */
enum tumble_code tw_dynamodb_batch_send(struct tw_dynamodb_batch *batch, struct tw_arena *arena,
                                        struct tumble_delivery *out, struct tumble_error *err);

/* out[row] rejected, with a copy of text in arena. */
enum tumble_code tw_dynamodb_reject(struct tw_arena *arena, struct tumble_delivery *delivery, const char *text,
                                    struct tumble_error *err);

#endif
