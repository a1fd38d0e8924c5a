#include <inttypes.h>
#include <stdio.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/dynamodb_calls.h"
#include "adapters/leases/lease_internal.h"
#include "engine/base/fail.h"

enum { RACES = 8, ATTEMPTS = 12 };

/* ---- requests ---- */

enum tumble_code tw_lease_put(struct tw_buf *out, enum tumble_code before, const char *text) {
    return before == TUMBLE_OK ? tw_buf_append_text(out, text) : before;
}

enum tumble_code tw_lease_put_string(struct tw_buf *out, enum tumble_code before, const char *text) {
    return before == TUMBLE_OK ? tw_buf_append_json_string(out, tumble_bytes_of(text)) : before;
}

enum tumble_code tw_lease_put_number(struct tw_buf *out, enum tumble_code before, const char *format, int64_t value) {
    char text[80];
    snprintf(text, sizeof text, format, value);
    return tw_lease_put(out, before, text);
}

enum tumble_code tw_lease_begin(struct tumble_leases *leases) {
    tw_buf_clear(&leases->request);
    enum tumble_code code = tw_lease_put(&leases->request, TUMBLE_OK, "{\"TableName\":");
    return tw_lease_put_string(&leases->request, code, leases->table);
}

enum tumble_code tw_lease_put_key(struct tumble_leases *leases, const char *shard) {
    struct tw_buf *out = &leases->request;
    enum tumble_code code = tw_lease_begin(leases);
    code = tw_lease_put(out, code, ",\"Key\":{\"application\":{\"S\":");
    code = tw_lease_put_string(out, code, leases->application);
    code = tw_lease_put(out, code, "},\"shard\":{\"S\":");
    code = tw_lease_put_string(out, code, shard);
    return tw_lease_put(out, code, "}}");
}

int64_t tw_lease_deadline(const struct tumble_leases *leases) {
    return leases->host->steady_ms(leases->host->ctx) + leases->call_ms;
}

/* What a refusal of DynamoDB means to a run: its leases cannot be kept. */
enum tumble_code tw_lease_as_input(const struct tumble_leases *leases, enum tumble_code code,
                                   struct tumble_error *err) {
    if (code != TUMBLE_EREJECTED && code != TUMBLE_EUSAGE && code != TUMBLE_ELIMIT) {
        return code;
    }
    char inner[TUMBLE_ERROR_TEXT];
    snprintf(inner, sizeof inner, "%s", err ? err->text : "");
    return tw_fail(err, TUMBLE_EINPUT, "lease table %.60s: %.230s", leases->table, inner);
}

enum tumble_code tw_lease_call(struct tumble_leases *leases, const char *operation, enum tumble_code built,
                               struct tumble_value *response, struct tumble_error *err) {
    struct tumble_error own = {.byte = -1, .record = -1};
    err = err ? err : &own;
    if (built != TUMBLE_OK) {
        return built == TUMBLE_ENOMEM ? tw_no_memory(err)
                                      : tw_fail(err, TUMBLE_ELIMIT, "a lease with too many open cuts");
    }
    return tw_dynamodb_call(leases->client, operation, tw_buf_view(&leases->request), tw_lease_deadline(leases),
                            response, &leases->answer, err);
}

static bool condition_failed(const struct tumble_leases *leases) {
    return tw_aws_answer_is(&leases->answer, "ConditionalCheckFailedException");
}

/* *found 0: there is none. */
static enum tumble_code get_item(struct tumble_leases *leases, const char *shard, struct tumble_lease *lease,
                                 int *found, struct tumble_error *err) {
    struct tumble_value response, item;
    enum tumble_code code = tw_lease_put_key(leases, shard);
    code = tw_lease_put(&leases->request, code, ",\"ConsistentRead\":true}");
    code = tw_lease_call(leases, "GetItem", code, &response, err);
    if (code != TUMBLE_OK) {
        return tw_lease_as_input(leases, code, err);
    }
    *found = tw_json_member(&response, "Item", &item) && item.type == TUMBLE_TYPE_OBJECT;
    return *found ? tw_lease_read_item(leases, &item, lease, err) : TUMBLE_OK;
}

/* Behind put_key: names of everything, so that expressions are short. */
#define NAMES     ",\"ExpressionAttributeNames\":{\"#o\":\"owner\",\"#c\":\"counter\""
#define WITH_TERM ",\"#t\":\"term\""
#define WITH_WANT ",\"#w\":\"wanted_by\""

/* An UpdateItem of a lease that is ours, by its counter; what set says is done beside moving the counter. *done 0: it
 * is another's. Only its owner moves a lease's counter: an item that still bears this process's name and term is ours,
 * whatever counter the end of an earlier call left there. */
static enum tumble_code update_own(struct tumble_leases *leases, struct tumble_lease *lease, bool with_state,
                                   bool gives_up, int *done, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    for (int race = 0; race < RACES; race++) {
        struct tumble_value response, item;
        enum tumble_code code = tw_lease_put_key(leases, lease->shard);
        code = tw_lease_put(out, code, ",\"UpdateExpression\":\"SET #c = :n");
        code = tw_lease_put(out, code, with_state ? ", #p = :p, #s = :s, #a = :a, #d = :d, #k = :k" : "");
        code = tw_lease_put(out, code, gives_up ? " REMOVE #o" : "");
        code =
            tw_lease_put(out, code, "\",\"ConditionExpression\":\"#o = :o AND #c = :c AND #t = :t\"" NAMES WITH_TERM);
        code = tw_lease_put(out, code,
                            with_state
                                ? ",\"#p\":\"position\",\"#s\":\"sequence\",\"#a\":\"arrival\",\"#d\":\"done\",\"#k\":"
                                  "\"cuts\""
                                : "");
        code = tw_lease_put(out, code, "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
        code = tw_lease_put_string(out, code, leases->owner);
        code = tw_lease_put_number(out, code, "},\":c\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter);
        code = tw_lease_put_number(out, code, ",\":n\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter + 1);
        code = tw_lease_put_number(out, code, ",\":t\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->term);
        code = with_state ? tw_lease_put_state(leases, code, lease) : code;
        code = tw_lease_put(out, code,
                            "},\"ReturnValues\":\"ALL_NEW\",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
        code = tw_lease_call(leases, "UpdateItem", code, &response, err);
        if (code == TUMBLE_OK) {
            lease->counter++;
            *done = 1;
            if (tw_json_member(&response, "Attributes", &item)) {
                tw_lease_attribute(&item, "wanted_by", "S", lease->wanted_by, sizeof lease->wanted_by);
            }
            return TUMBLE_OK;
        }
        if (!condition_failed(leases)) {
            return tw_lease_as_input(leases, code, err);
        }
        struct tumble_lease there = {0};
        int found;
        bool may_be_done = leases->answer.may_have_been_done;
        code = get_item(leases, lease->shard, &there, &found, err);
        uint64_t counter = there.counter;
        bool is_ours = found && strcmp(there.owner, leases->owner) == 0 && there.term == lease->term;
        bool was_given_up = found && gives_up && may_be_done && !there.owner[0] && there.term == lease->term;
        if (found && !is_ours) {
            memcpy(lease->owner, there.owner, sizeof lease->owner);
        } else if (!found) {
            lease->owner[0] = '\0';
        }
        tumble_lease_clean_up(&there);
        if (code != TUMBLE_OK) {
            return code;
        }
        if (was_given_up || !is_ours) {
            *done = was_given_up;
            return TUMBLE_OK;
        }
        lease->counter = counter; /* an earlier call came through after all; this one is said again */
    }
    return tw_fail(err, TUMBLE_EOUTPUT, "lease table %s: shard %s cannot be written", leases->table, lease->shard);
}

enum tumble_code tumble_leases_renew(struct tumble_leases *leases, struct tumble_lease *lease, int *done,
                                     struct tumble_error *err) {
    return update_own(leases, lease, false, false, done, err);
}

enum tumble_code tumble_leases_write(struct tumble_leases *leases, struct tumble_lease *lease, int gives_up, int *done,
                                     struct tumble_error *err) {
    return update_own(leases, lease, true, gives_up != 0, done, err);
}

enum tumble_code tumble_leases_take(struct tumble_leases *leases, struct tumble_lease *lease, int *done,
                                    struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response, item;
    uint64_t term = lease->term;
    enum tumble_code code = tw_lease_put_key(leases, lease->shard);
    *done = 0;
    code = tw_lease_put(out, code,
                        ",\"UpdateExpression\":\"SET #o = :o, #c = :n, #t = :u REMOVE #w\",\"ConditionExpression\":\"");
    code = tw_lease_put(out, code, lease->owner[0] ? "#o = :f" : "attribute_not_exists(#o)");
    code = tw_lease_put(out, code,
                        " AND #c = :c AND #t = :t\"" NAMES WITH_TERM WITH_WANT
                        "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
    code = tw_lease_put_string(out, code, leases->owner);
    if (lease->owner[0]) {
        code = tw_lease_put(out, code, "},\":f\":{\"S\":");
        code = tw_lease_put_string(out, code, lease->owner);
    }
    code = tw_lease_put_number(out, code, "},\":c\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter);
    code = tw_lease_put_number(out, code, ",\":n\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter + 1);
    code = tw_lease_put_number(out, code, ",\":t\":{\"N\":\"%" PRId64 "\"}", (int64_t)term);
    code = tw_lease_put_number(out, code, ",\":u\":{\"N\":\"%" PRId64 "\"}}", (int64_t)term + 1);
    code = tw_lease_put(out, code, ",\"ReturnValues\":\"ALL_NEW\"}");
    code = tw_lease_call(leases, "UpdateItem", code, &response, err);
    if (code == TUMBLE_OK && tw_json_member(&response, "Attributes", &item)) {
        *done = 1;
        return tw_lease_read_item(leases, &item, lease, err);
    }
    if (code == TUMBLE_OK || (condition_failed(leases) && leases->answer.may_have_been_done)) {
        int found; /* was it us? */
        code = get_item(leases, lease->shard, lease, &found, err);
        *done = code == TUMBLE_OK && found && strcmp(lease->owner, leases->owner) == 0 && lease->term == term + 1;
        return code;
    }
    return condition_failed(leases) ? TUMBLE_OK : tw_lease_as_input(leases, code, err);
}

enum tumble_code tumble_leases_want(struct tumble_leases *leases, const struct tumble_lease *lease, int *done,
                                    struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = tw_lease_put_key(leases, lease->shard);
    *done = 0;
    code = tw_lease_put(out, code,
                        ",\"UpdateExpression\":\"SET #w = :o\",\"ConditionExpression\":\"#o = :f AND #t = :t AND "
                        "attribute_not_exists(#w)\",\"ExpressionAttributeNames\":{\"#o\":\"owner\"" WITH_TERM WITH_WANT
                        "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
    code = tw_lease_put_string(out, code, leases->owner);
    code = tw_lease_put(out, code, "},\":f\":{\"S\":");
    code = tw_lease_put_string(out, code, lease->owner);
    code = tw_lease_put_number(out, code, "},\":t\":{\"N\":\"%" PRId64 "\"}}}", (int64_t)lease->term);
    code = tw_lease_call(leases, "UpdateItem", code, &response, err);
    *done = code == TUMBLE_OK;
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : tw_lease_as_input(leases, code, err);
}

enum tumble_code tumble_leases_remove(struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = tw_lease_put_key(leases, shard);
    code = tw_lease_put(out, code,
                        ",\"ConditionExpression\":\"#d = :d\",\"ExpressionAttributeNames\":{\"#d\":\"done\"},"
                        "\"ExpressionAttributeValues\":{\":d\":{\"N\":\"1\"}}}");
    code = tw_lease_call(leases, "DeleteItem", code, &response, err);
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : tw_lease_as_input(leases, code, err);
}

/* ---- making ---- */

enum tumble_code tw_lease_put_new(struct tumble_leases *leases, const char *shard, const char *rest,
                                  struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = tw_lease_begin(leases);
    code = tw_lease_put(
        out, code,
        ",\"ConditionExpression\":\"attribute_not_exists(#s)\",\"ExpressionAttributeNames\":{\"#s\":\"shard\"},"
        "\"Item\":{\"application\":{\"S\":");
    code = tw_lease_put_string(out, code, leases->application);
    code = tw_lease_put(out, code, "},\"shard\":{\"S\":");
    code = tw_lease_put_string(out, code, shard);
    code = tw_lease_put(out, code, "}");
    code = tw_lease_put(out, code, rest);
    code = tw_lease_put(out, code, "}}");
    code = tw_lease_call(leases, "PutItem", code, &response, err);
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : tw_lease_as_input(leases, code, err);
}

enum tumble_code tumble_leases_make(struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    return tw_lease_put_new(
        leases, shard,
        ",\"counter\":{\"N\":\"0\"},\"term\":{\"N\":\"0\"},\"done\":{\"N\":\"0\"},\"arrival\":{\"N\":\"-1\"},"
        "\"position\":{\"S\":\"START\"},\"sequence\":{\"S\":\"-\"},\"cuts\":{\"L\":[]}",
        err);
}

/* ---- listing ---- */

static enum tumble_code visit_page(struct tumble_leases *leases, const struct tumble_value *items, bool *is_same,
                                   tumble_lease_fn *visit, void *ctx, struct tumble_error *err) {
    struct tumble_value key, item;
    struct tw_json_walk walk;
    struct tumble_lease lease = {0};
    enum tumble_code code = TUMBLE_OK;
    tw_json_walk_begin(&walk, items);
    while (code == TUMBLE_OK && tw_json_walk_next(&walk, &key, &item)) {
        char shard[TUMBLE_LEASE_NAME];
        tw_lease_attribute(&item, "shard", "S", shard, sizeof shard);
        if (strcmp(shard, TW_LEASE_GROUP_ITEM) == 0) {
            char group[TUMBLE_LEASE_GROUP_ID];
            tw_lease_attribute(&item, "id", "S", group, sizeof group);
            *is_same |= strcmp(group, leases->group) == 0;
            continue;
        }
        code = tw_lease_read_item(leases, &item, &lease, err);
        if (code == TUMBLE_OK) {
            code = visit(ctx, &lease);
        }
    }
    tumble_lease_clean_up(&lease);
    return code;
}

enum tumble_code tumble_leases_list(struct tumble_leases *leases, tumble_lease_fn *visit, void *ctx,
                                    struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tw_buf last;
    enum tumble_code code = TUMBLE_OK;
    bool is_same = !leases->group[0];
    tw_buf_init(&last, leases->alloc, TW_LEASE_REQUEST_BYTES);
    for (bool more = true; more && code == TUMBLE_OK;) {
        struct tumble_value response, items, next;
        code = tw_lease_begin(leases);
        code = tw_lease_put(
            out, code,
            ",\"ConsistentRead\":true,\"KeyConditionExpression\":\"#p = :p\",\"ExpressionAttributeNames\":{"
            "\"#p\":\"application\"},\"ExpressionAttributeValues\":{\":p\":{\"S\":");
        code = tw_lease_put_string(out, code, leases->application);
        code = tw_lease_put(out, code, "}}");
        if (last.length) {
            code = tw_lease_put(out, code, ",\"ExclusiveStartKey\":");
            code = code == TUMBLE_OK ? tw_buf_append(out, last.data, last.length) : code;
        }
        code = tw_lease_call(leases, "Query", tw_lease_put(out, code, "}"), &response, err);
        if (code != TUMBLE_OK) {
            code = tw_lease_as_input(leases, code, err);
            break;
        }
        tw_buf_clear(&last);
        more = tw_json_member(&response, "LastEvaluatedKey", &next) && next.type == TUMBLE_TYPE_OBJECT;
        if (more && tw_buf_append(&last, next.text, next.length) != TUMBLE_OK) {
            code = tw_no_memory(err);
        } else if (!tw_json_member(&response, "Items", &items) || items.type != TUMBLE_TYPE_ARRAY) {
            code = tw_fail(err, TUMBLE_EOUTPUT, "dynamodb Query: the answer has no items");
        } else {
            code = visit_page(leases, &items, &is_same, visit, ctx, err);
        }
    }
    tw_buf_clean_up(&last);
    return code != TUMBLE_OK || is_same
               ? code
               : tw_fail(
                     err, TUMBLE_EMISMATCH,
                     "lease table %.60s: it was deleted and made anew, or the items of application %.60s were: what "
                     "this process knows of its leases means nothing there; start it again, with another --state",
                     leases->table, leases->application);
}

/* ---- opening ---- */

static bool stop(void *ctx) {
    const struct tumble_leases *leases = ctx;
    return leases->interrupted && leases->interrupted(leases->interrupted_ctx);
}

enum tumble_code tumble_leases_open(const struct tumble_leases_options *options, struct tumble_leases **out,
                                    struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_default();
    struct tumble_leases *leases = tw_alloc_zero(&alloc, sizeof *leases);
    *out = NULL;
    if (!leases) {
        return tw_no_memory(err);
    }
    leases->alloc = alloc;
    leases->call_ms = options->call_ms;
    leases->interrupted = options->interrupted;
    leases->interrupted_ctx = options->interrupted_ctx;
    tw_buf_init(&leases->request, alloc, TW_LEASE_REQUEST_BYTES);
    snprintf(leases->owner, sizeof leases->owner, "%s", options->owner);
    leases->table = tw_copy_text(&alloc, options->table, strlen(options->table));
    leases->application = tw_copy_text(&alloc, options->application, strlen(options->application));
    struct tw_aws_options aws = {.region = options->region,
                                 .profile = options->profile,
                                 .endpoint_url = options->endpoint_url,
                                 .max_attempts = ATTEMPTS, /* the deadline of a call ends it before */
                                 .attempt_timeout_ms = options->call_ms,
                                 .stop = stop,
                                 .stop_ctx = leases};
    enum tumble_code code = leases->table && leases->application
                                ? tw_aws_client_open(&aws, TW_AWS_DYNAMODB, &leases->client, err)
                                : tw_no_memory(err);
    if (code != TUMBLE_OK) {
        tumble_leases_close(leases);
        return code;
    }
    leases->host = tw_aws_client_host(leases->client);
    *out = leases;
    return TUMBLE_OK;
}

void tumble_leases_close(struct tumble_leases *leases) {
    if (!leases) {
        return;
    }
    struct tumble_alloc alloc = leases->alloc;
    tw_aws_client_destroy(leases->client);
    tw_buf_clean_up(&leases->request);
    tw_free(&alloc, leases->table);
    tw_free(&alloc, leases->application);
    tw_free(&alloc, leases);
}
