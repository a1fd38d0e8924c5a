#ifndef TUMBLE_LEASE_INTERNAL_H
#define TUMBLE_LEASE_INTERNAL_H

#include <stdbool.h>

#include "adapters/aws/aws_client.h"
#include "adapters/leases/dynamodb_lease.h"
#include "engine/base/buf.h"
#include "engine/codec/json.h"

/* As the files of this directory share it. dynamodb_lease.c: calls for one shard's lease, and the list of all ·
 * lease_item.c: a lease in memory and as an item · lease_group.c: the table, and what its processes have in common.
 *
 * The table's key is (application, shard). An item of shard "#group" says what the processes have in common; those of
 * shards have owner, wanted_by, counter, term, position, sequence, arrival, cuts (a list of texts "window first last
 * state") and done. Names stand in ExpressionAttributeNames: several are reserved words. */

enum { TW_LEASE_REQUEST_BYTES = 1024 * 1024 };

#define TW_LEASE_GROUP_ITEM "#group"

struct tumble_leases {
    struct tumble_alloc alloc;
    struct tw_aws_client *client;
    const struct tw_aws_host *host;
    char *table;
    char *application;
    char owner[TUMBLE_LEASE_OWNER];
    char group[TUMBLE_LEASE_GROUP_ID]; /* that was joined */
    int64_t call_ms;
    int (*interrupted)(void *ctx);
    void *interrupted_ctx;
    struct tw_buf request;
    struct tw_aws_answer answer;
};

/* lease_item.c */
/* The value inside {"S": …} or {"N": …} of an attribute; false, and out empty: it is missing, or too long. */
bool tw_lease_attribute(const struct tumble_value *item, const char *name, const char *type, char *out, size_t size);
int64_t tw_lease_signed_number(const struct tumble_value *item, const char *name); /* -1: missing */
/* Errors: EINPUT (an item that is not tumble's), ENOMEM. */
enum tumble_code tw_lease_read_item(const struct tumble_leases *leases, const struct tumble_value *item,
                                    struct tumble_lease *lease, struct tumble_error *err);
enum tumble_code tw_lease_damaged(const struct tumble_leases *leases, const char *shard, struct tumble_error *err);
/* ,":p":… of position, sequence, arrival, done and cuts, for an UpdateExpression. */
enum tumble_code tw_lease_put_state(struct tumble_leases *leases, enum tumble_code before,
                                    const struct tumble_lease *lease);

/* dynamodb_lease.c: a request is appended to leases->request piece by piece; `before` is what became of the pieces
 * before. */
enum tumble_code tw_lease_put(struct tw_buf *out, enum tumble_code before, const char *text);
enum tumble_code tw_lease_put_string(struct tw_buf *out, enum tumble_code before, const char *text);
enum tumble_code tw_lease_put_number(struct tw_buf *out, enum tumble_code before, const char *format, int64_t value);
/* A request anew: {"TableName":… */
enum tumble_code tw_lease_begin(struct tumble_leases *leases);
/* {"TableName":…,"Key":{…} and no closing brace. */
enum tumble_code tw_lease_put_key(struct tumble_leases *leases, const char *shard);
/* Sends it. response borrows until the next call. */
enum tumble_code tw_lease_call(struct tumble_leases *leases, const char *operation, enum tumble_code built,
                               struct tumble_value *response, struct tumble_error *err);
int64_t tw_lease_deadline(const struct tumble_leases *leases);
/* What a refusal of DynamoDB means to a run: its leases cannot be kept. */
enum tumble_code tw_lease_as_input(const struct tumble_leases *leases, enum tumble_code code, struct tumble_error *err);
/* An item that is not there yet, with rest behind its key; no error when it is there. */
enum tumble_code tw_lease_put_new(struct tumble_leases *leases, const char *shard, const char *rest,
                                  struct tumble_error *err);

#endif
