#include <inttypes.h>
#include <stdio.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/dynamodb_calls.h"
#include "adapters/leases/lease_internal.h"
#include "engine/base/fail.h"

/* The table, and the item that says what the processes of a group have in common. */

enum { MAKING_MS = 60000, JOINING_MS = 30000, NUMBER_TEXT = 24 };

/* ---- the table and the group ---- */

static enum tumble_code create_table(struct tumble_leases *leases, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = tw_lease_begin(leases);
    code = tw_lease_put(
        out, code,
        ",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":\"application\","
        "\"AttributeType\":\"S\"},{\"AttributeName\":\"shard\",\"AttributeType\":\"S\"}],\"KeySchema\":[{"
        "\"AttributeName\":\"application\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"shard\",\"KeyType\":"
        "\"RANGE\"}]}");
    code = tw_lease_call(leases, "CreateTable", code, &response, err);
    bool is_there = tw_aws_answer_is(&leases->answer, "ResourceInUseException");
    return code == TUMBLE_OK || is_there ? TUMBLE_OK : tw_lease_as_input(leases, code, err);
}

static enum tumble_code need_table(struct tumble_leases *leases, struct tumble_error *err) {
    int64_t until = leases->host->steady_ms(leases->host->ctx) + MAKING_MS;
    for (bool asked = false;;) {
        struct tw_dynamodb_table table;
        enum tumble_code code = tw_dynamodb_describe_table(leases->client, leases->table, tw_lease_deadline(leases),
                                                           &table, &leases->answer, err);
        if (code == TUMBLE_OK && (strcmp(table.hash.name, "application") != 0 || table.hash.type != 'S' ||
                                  strcmp(table.range.name, "shard") != 0 || table.range.type != 'S')) {
            return tw_fail(
                err, TUMBLE_EUSAGE,
                "table %.80s is no lease table: its key is not (application S, shard S); name another, it is "
                "made when it is missing",
                leases->table);
        }
        if (code == TUMBLE_OK && strcmp(table.status, "CREATING") != 0) {
            return TUMBLE_OK;
        }
        if (code != TUMBLE_OK && !tw_aws_answer_is(&leases->answer, "ResourceNotFoundException")) {
            return tw_lease_as_input(leases, code, err);
        }
        if (code != TUMBLE_OK && !asked) {
            TW_TRY(create_table(leases, err));
            asked = true;
        }
        if (leases->interrupted && leases->interrupted(leases->interrupted_ctx)) {
            return tw_fail(err, TUMBLE_EINTERRUPTED, "stopped while the lease table was made");
        }
        if (leases->host->steady_ms(leases->host->ctx) > until) {
            return tw_fail(err, TUMBLE_EOUTPUT, "table %.80s is still being made: try again later", leases->table);
        }
        leases->host->sleep_ms(leases->host->ctx, 100);
    }
}

static enum tumble_code differs(const struct tumble_leases *leases, const char *what, const char *was, const char *is,
                                struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EMISMATCH,
                   "lease table %.40s: the processes of application %.40s have another %s (%.60s) than this one "
                   "(%.60s): give the same, or another --application",
                   leases->table, leases->application, what, was, is);
}

static enum tumble_code same_text(const struct tumble_leases *leases, const struct tumble_value *item, const char *name,
                                  const char *type, const char *what, const char *wanted, struct tumble_error *err) {
    char text[2200];
    tw_lease_attribute(item, name, type, text, sizeof text);
    return strcmp(text, wanted) == 0 ? TUMBLE_OK : differs(leases, what, text, wanted, err);
}

static enum tumble_code join(struct tumble_leases *leases, struct tumble_lease_group *group, struct tumble_error *err) {
    char digest[24], window[NUMBER_TEXT], created[NUMBER_TEXT], rest[320];
    struct tumble_value response, item;
    struct tw_buf source;
    snprintf(digest, sizeof digest, "%016" PRIx64, group->spec_digest);
    snprintf(window, sizeof window, "%" PRId64, group->window_ms);
    snprintf(created, sizeof created, "%" PRId64, group->created_ms);
    TW_TRY(need_table(leases, err));
    tw_buf_init(&source, leases->alloc, TW_LEASE_REQUEST_BYTES);
    snprintf(rest, sizeof rest,
             "},\"spec\":{\"S\":\"%s\"},\"window_ms\":{\"N\":\"%s\"},\"created_ms\":{\"N\":\"%s\"},\"start\":{\"N\":"
             "\"%d\"},\"start_ms\":{\"N\":\"%" PRId64 "\"},\"id\":{\"S\":\"%s\"}",
             digest, window, created, group->start, group->start_ms, group->id);
    enum tumble_code code = tw_lease_put(&source, TUMBLE_OK, ",\"source\":{\"S\":");
    code = tw_lease_put_string(&source, code, group->source);
    code = tw_lease_put(&source, code, rest);
    code = code == TUMBLE_OK ? tw_buf_append_byte(&source, '\0') : code;
    code = code == TUMBLE_OK ? tw_lease_put_new(leases, TW_LEASE_GROUP_ITEM, source.data, err) : tw_no_memory(err);
    tw_buf_clean_up(&source);
    TW_TRY(code);
    code = tw_lease_put_key(leases, TW_LEASE_GROUP_ITEM);
    code = tw_lease_call(leases, "GetItem", tw_lease_put(&leases->request, code, ",\"ConsistentRead\":true}"),
                         &response, err);
    TW_TRY(tw_lease_as_input(leases, code, err));
    if (!tw_json_member(&response, "Item", &item)) {
        return tw_lease_damaged(leases, TW_LEASE_GROUP_ITEM, err);
    }
    TW_TRY(same_text(leases, &item, "source", "S", "stream", group->source, err));
    TW_TRY(same_text(leases, &item, "spec", "S", "spec", digest, err));
    TW_TRY(same_text(leases, &item, "window_ms", "N", "window", window, err));
    TW_TRY(same_text(leases, &item, "created_ms", "N", "instant at which the stream was made", created, err));
    char id[TUMBLE_LEASE_GROUP_ID];
    if (!tw_lease_attribute(&item, "id", "S", id, sizeof id) || !id[0]) {
        return tw_lease_damaged(leases, TW_LEASE_GROUP_ITEM, err);
    }
    memcpy(group->id, id, sizeof id);
    memcpy(leases->group, id, sizeof id);
    group->start = (int)tw_lease_signed_number(&item, "start");
    group->start_ms = tw_lease_signed_number(&item, "start_ms");
    return TUMBLE_OK;
}

/* No lease is held yet: there is time. */
enum tumble_code tumble_leases_join(struct tumble_leases *leases, struct tumble_lease_group *group,
                                    struct tumble_error *err) {
    int64_t call_ms = leases->call_ms;
    leases->call_ms = call_ms > JOINING_MS ? call_ms : JOINING_MS;
    enum tumble_code code = join(leases, group, err);
    leases->call_ms = call_ms;
    return code;
}
