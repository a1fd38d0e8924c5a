#ifndef TW_DYNAMODB_CALLS_H
#define TW_DYNAMODB_CALLS_H

#include <tumble/projection.h>

#include "adapters/aws/aws_client.h"

/* DynamoDB's JSON protocol. The caller writes the request's JSON; answers are views into the client's last response,
 * valid until its next call. client was opened for TW_AWS_DYNAMODB. */

/* One operation ("PutItem", "UpdateItem", "GetItem", …): request is its JSON. On OK *response is the whole answer, an
 * object whose JSON was checked. A bad crc32 counts as a transient failure and is tried again. Errors: as tw_aws_call;
 * EOUTPUT for an answer that is not JSON. */
enum tumble_code tw_dynamodb_call(struct tw_aws_client *client, const char *operation, struct tumble_bytes request,
                                  int64_t deadline_ms, struct tumble_value *response, struct tw_aws_answer *answer,
                                  struct tumble_error *err);

/* After a failed conditional write with ReturnValuesOnConditionCheckFailure ALL_OLD: the item that is there. false: the
 * server gave none (ask with a consistent GetItem). */
bool tw_dynamodb_old_item(const struct tw_aws_answer *answer, struct tumble_value *item);

/* request: {"RequestItems":{TABLE:[…at most 25…]}}. On OK *unprocessed is the value of UnprocessedItems, type OBJECT;
 * TUMBLE_TYPE_MISSING when everything was written. Resend those, with backoff (tw_backoff_ms). */
enum tumble_code tw_dynamodb_batch_write(struct tw_aws_client *client, struct tumble_bytes request, int64_t deadline_ms,
                                         struct tumble_value *unprocessed, struct tw_aws_answer *answer,
                                         struct tumble_error *err);

struct tw_dynamodb_key {
    char name[256]; /* UTF-8; "": there is no such key */
    char type;      /* 'S', 'N' or 'B' */
};

struct tw_dynamodb_table {
    struct tw_dynamodb_key hash;
    struct tw_dynamodb_key range;
    char status[32]; /* "ACTIVE" */
};

/* Errors: as tw_aws_call (ResourceNotFoundException: EREJECTED), EOUTPUT for an answer without a key schema. */
enum tumble_code tw_dynamodb_describe_table(struct tw_aws_client *client, const char *table, int64_t deadline_ms,
                                            struct tw_dynamodb_table *out, struct tw_aws_answer *answer,
                                            struct tumble_error *err);

/* A page of a Scan, for `tumble merge`: consistent reads; exclusive_start is the LastEvaluatedKey object of the page
 * before, its bytes copied by the caller; empty: from the start. *items is an ARRAY, *last an OBJECT or MISSING (the
 * end). */
enum tumble_code tw_dynamodb_scan(struct tw_aws_client *client, const char *table, struct tumble_bytes exclusive_start,
                                  int64_t deadline_ms, struct tumble_value *items, struct tumble_value *last,
                                  struct tw_aws_answer *answer, struct tumble_error *err);

#endif
