#include "adapters/leases/dynamodb_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/dynamodb_calls.h"
#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/codec/json.h"

/* The table's key is (application, shard). An item of shard "#group" says what the processes have in common; those of
 * shards have owner, wanted_by, counter, term, position, sequence, arrival, cuts (a list of texts "window first last
 * state") and done. Names stand in ExpressionAttributeNames: several are reserved words. */

enum { REQUEST_BYTES = 1024 * 1024, RACES = 8, MAKING_MS = 60000, JOINING_MS = 30000, ATTEMPTS = 12, NUMBER_TEXT = 24 };

#define GROUP_ITEM "#group"

struct tumble_leases {
    struct tumble_alloc alloc;
    struct tw_aws_client *client;
    const struct tw_aws_host *host;
    char *table;
    char *application;
    char owner[TUMBLE_LEASE_OWNER];
    int64_t call_ms;
    int (*interrupted)(void *ctx);
    void *interrupted_ctx;
    struct tw_buf request;
    struct tw_aws_answer answer;
};

/* ---- a lease in memory ---- */

void tumble_lease_clean_up(struct tumble_lease *lease) {
    struct tumble_alloc alloc = tw_alloc_default();
    tw_free(&alloc, lease->cuts);
    lease->cuts = NULL;
    lease->cut_count = lease->cut_capacity = 0;
}

struct tumble_lease_cut *tumble_lease_add_cut(struct tumble_lease *lease) {
    struct tumble_alloc alloc = tw_alloc_default();
    if (lease->cut_count == lease->cut_capacity) {
        uint32_t capacity = lease->cut_capacity ? lease->cut_capacity * 2 : 4;
        struct tumble_lease_cut *cuts =
            tw_resize(&alloc, lease->cuts, lease->cut_capacity * sizeof *cuts, capacity * sizeof *cuts);
        if (!cuts) {
            return NULL;
        }
        lease->cuts = cuts;
        lease->cut_capacity = capacity;
    }
    struct tumble_lease_cut *cut = &lease->cuts[lease->cut_count++];
    memset(cut, 0, sizeof *cut);
    return cut;
}

enum tumble_code tumble_lease_copy(struct tumble_lease *to, const struct tumble_lease *from) {
    struct tumble_lease copy = *from;
    copy.cuts = NULL;
    copy.cut_count = copy.cut_capacity = 0;
    for (uint32_t i = 0; i < from->cut_count; i++) {
        struct tumble_lease_cut *cut = tumble_lease_add_cut(&copy);
        if (!cut) {
            tumble_lease_clean_up(&copy);
            return TUMBLE_ENOMEM;
        }
        *cut = from->cuts[i];
    }
    tumble_lease_clean_up(to);
    *to = copy;
    return TUMBLE_OK;
}

/* ---- reading items ---- */

/* The value inside {"S": …} or {"N": …} of an attribute. */
static bool attribute(const struct tumble_value *item, const char *name, const char *type, char *out, size_t size) {
    struct tumble_value typed;
    out[0] = '\0';
    return tw_json_member(item, name, &typed) && typed.type == TUMBLE_TYPE_OBJECT &&
           tw_json_member_text(&typed, type, out, size);
}

static uint64_t number(const struct tumble_value *item, const char *name) {
    char text[NUMBER_TEXT];
    return attribute(item, name, "N", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

/* One that conditions compare with: read as anything else than it is, it would never be met. */
static bool counting_number(const struct tumble_value *item, const char *name, uint64_t *out) {
    char text[NUMBER_TEXT];
    bool good = attribute(item, name, "N", text, sizeof text) && text[0] && strlen(text) <= 18 &&
                strspn(text, "0123456789") == strlen(text);
    *out = good ? strtoull(text, NULL, 10) : 0;
    return good;
}

/* A text that fits; one that is missing is empty. */
static bool optional_text(const struct tumble_value *item, const char *name, char *out, size_t size) {
    struct tumble_value typed;
    return attribute(item, name, "S", out, size) || !tw_json_member(item, name, &typed);
}

static int64_t signed_number(const struct tumble_value *item, const char *name) {
    char text[NUMBER_TEXT];
    return attribute(item, name, "N", text, sizeof text) ? strtoll(text, NULL, 10) : -1;
}

static bool is_sequence(const char *text) {
    struct tumble_bytes digits;
    return tw_sequence_check(tumble_bytes_of(text), &digits, NULL) == TUMBLE_OK;
}

static bool read_cut(const struct tumble_value *each, struct tumble_lease_cut *cut) {
    char text[400], state[16] = "";
    long long start;
    int used = 0;
    char *word[4], *at = text;
    if (each->type != TUMBLE_TYPE_OBJECT || !tw_json_member_text(each, "S", text, sizeof text)) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        word[i] = at;
        at += strcspn(at, " ");
        if (*at) {
            *at++ = '\0';
        }
        used += word[i][0] != '\0';
    }
    start = strtoll(word[0], NULL, 10);
    if (used != 4 || *at || !is_sequence(word[1]) || !is_sequence(word[2])) {
        return false;
    }
    snprintf(state, sizeof state, "%s", word[3]);
    cut->start_ms = start;
    snprintf(cut->first, sizeof cut->first, "%s", word[1]);
    snprintf(cut->last, sizeof cut->last, "%s", word[2]);
    cut->is_delivered = strcmp(state, "delivered") == 0;
    return cut->is_delivered || strcmp(state, "closed") == 0;
}

static enum tumble_code damaged(const struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EINPUT,
                   "lease table %.60s: the item of shard %.60s (application %.60s) is not one of tumble's: mend it, or "
                   "use another --application",
                   leases->table, shard, leases->application);
}

static enum tumble_code read_item(const struct tumble_leases *leases, const struct tumble_value *item,
                                  struct tumble_lease *lease, struct tumble_error *err) {
    static const char *const positions[] = {"START", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"};
    char position[32];
    struct tumble_value cuts, list, key, each;
    struct tw_json_walk walk;
    tumble_lease_clean_up(lease);
    memset(lease, 0, sizeof *lease);
    attribute(item, "shard", "S", lease->shard, sizeof lease->shard);
    bool good = optional_text(item, "owner", lease->owner, sizeof lease->owner) &&
                optional_text(item, "wanted_by", lease->wanted_by, sizeof lease->wanted_by) &&
                counting_number(item, "counter", &lease->counter) && counting_number(item, "term", &lease->term);
    lease->arrival_ms = signed_number(item, "arrival");
    lease->is_done = number(item, "done") != 0;
    attribute(item, "sequence", "S", lease->sequence, sizeof lease->sequence);
    attribute(item, "position", "S", position, sizeof position);
    int found = -1;
    for (int i = 0; i < 3; i++) {
        found = strcmp(position, positions[i]) == 0 ? i : found;
    }
    if (!good || found < 0 || (found > 0 && !is_sequence(lease->sequence)) || !lease->shard[0]) {
        return damaged(leases, lease->shard, err);
    }
    lease->position = (enum tumble_lease_position)found;
    if (!tw_json_member(item, "cuts", &cuts)) {
        return TUMBLE_OK;
    }
    if (cuts.type != TUMBLE_TYPE_OBJECT || !tw_json_member(&cuts, "L", &list) || list.type != TUMBLE_TYPE_ARRAY) {
        return damaged(leases, lease->shard, err);
    }
    tw_json_walk_begin(&walk, &list);
    while (tw_json_walk_next(&walk, &key, &each)) {
        struct tumble_lease_cut *cut = tumble_lease_add_cut(lease);
        if (!cut) {
            return tw_no_memory(err);
        }
        if (!read_cut(&each, cut)) {
            return damaged(leases, lease->shard, err);
        }
    }
    return TUMBLE_OK;
}

/* ---- requests ---- */

static enum tumble_code put(struct tw_buf *out, enum tumble_code before, const char *text) {
    return before == TUMBLE_OK ? tw_buf_append_text(out, text) : before;
}

static enum tumble_code put_string(struct tw_buf *out, enum tumble_code before, const char *text) {
    return before == TUMBLE_OK ? tw_buf_append_json_string(out, tumble_bytes_of(text)) : before;
}

static enum tumble_code put_number(struct tw_buf *out, enum tumble_code before, const char *format, int64_t value) {
    char text[80];
    snprintf(text, sizeof text, format, value);
    return put(out, before, text);
}

/* {"TableName":…,"Key":{…} and no closing brace. */
static enum tumble_code put_key(struct tumble_leases *leases, const char *shard) {
    struct tw_buf *out = &leases->request;
    tw_buf_clear(out);
    enum tumble_code code = put(out, TUMBLE_OK, "{\"TableName\":");
    code = put_string(out, code, leases->table);
    code = put(out, code, ",\"Key\":{\"application\":{\"S\":");
    code = put_string(out, code, leases->application);
    code = put(out, code, "},\"shard\":{\"S\":");
    code = put_string(out, code, shard);
    return put(out, code, "}}");
}

static int64_t deadline(const struct tumble_leases *leases) {
    return leases->host->steady_ms(leases->host->ctx) + leases->call_ms;
}

/* What a refusal of DynamoDB means to a run: its leases cannot be kept. */
static enum tumble_code as_input(const struct tumble_leases *leases, enum tumble_code code, struct tumble_error *err) {
    if (code != TUMBLE_EREJECTED && code != TUMBLE_EUSAGE && code != TUMBLE_ELIMIT) {
        return code;
    }
    char inner[TUMBLE_ERROR_TEXT];
    snprintf(inner, sizeof inner, "%s", err ? err->text : "");
    return tw_fail(err, TUMBLE_EINPUT, "lease table %.60s: %.230s", leases->table, inner);
}

static enum tumble_code call(struct tumble_leases *leases, const char *operation, enum tumble_code built,
                             struct tumble_value *response, struct tumble_error *err) {
    struct tumble_error own = {.byte = -1, .record = -1};
    err = err ? err : &own;
    if (built != TUMBLE_OK) {
        return built == TUMBLE_ENOMEM ? tw_no_memory(err)
                                      : tw_fail(err, TUMBLE_ELIMIT, "a lease with too many open cuts");
    }
    return tw_dynamodb_call(leases->client, operation, tw_buf_view(&leases->request), deadline(leases), response,
                            &leases->answer, err);
}

static bool condition_failed(const struct tumble_leases *leases) {
    return tw_aws_answer_is(&leases->answer, "ConditionalCheckFailedException");
}

/* *found 0: there is none. */
static enum tumble_code get_item(struct tumble_leases *leases, const char *shard, struct tumble_lease *lease,
                                 int *found, struct tumble_error *err) {
    struct tumble_value response, item;
    enum tumble_code code = put_key(leases, shard);
    code = put(&leases->request, code, ",\"ConsistentRead\":true}");
    code = call(leases, "GetItem", code, &response, err);
    if (code != TUMBLE_OK) {
        return as_input(leases, code, err);
    }
    *found = tw_json_member(&response, "Item", &item) && item.type == TUMBLE_TYPE_OBJECT;
    return *found ? read_item(leases, &item, lease, err) : TUMBLE_OK;
}

/* Behind put_key: names of everything, so that expressions are short. */
#define NAMES     ",\"ExpressionAttributeNames\":{\"#o\":\"owner\",\"#c\":\"counter\""
#define WITH_TERM ",\"#t\":\"term\""
#define WITH_WANT ",\"#w\":\"wanted_by\""

static enum tumble_code put_state(struct tumble_leases *leases, enum tumble_code code,
                                  const struct tumble_lease *lease) {
    static const char *const positions[] = {"START", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"};
    struct tw_buf *out = &leases->request;
    char text[360];
    code = put(out, code, ",\":p\":{\"S\":");
    code = put_string(out, code, positions[lease->position]);
    code = put(out, code, "},\":s\":{\"S\":");
    code = put_string(out, code, lease->sequence[0] ? lease->sequence : "-");
    code = put_number(out, code, "},\":a\":{\"N\":\"%" PRId64 "\"}", lease->arrival_ms);
    code = put_number(out, code, ",\":d\":{\"N\":\"%" PRId64 "\"},\":k\":{\"L\":[", lease->is_done != 0);
    for (uint32_t i = 0; i < lease->cut_count; i++) {
        const struct tumble_lease_cut *cut = &lease->cuts[i];
        snprintf(text, sizeof text, "%s{\"S\":\"%" PRId64 " %s %s %s\"}", i ? "," : "", cut->start_ms, cut->first,
                 cut->last, cut->is_delivered ? "delivered" : "closed");
        code = put(out, code, text);
    }
    return put(out, code, "]}");
}

/* An UpdateItem of a lease that is ours, by its counter; what set says is done beside moving the counter. *done 0: it
 * is another's. Only its owner moves a lease's counter: an item that still bears this process's name and term is ours,
 * whatever counter the end of an earlier call left there. */
static enum tumble_code update_own(struct tumble_leases *leases, struct tumble_lease *lease, bool with_state,
                                   bool gives_up, int *done, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    for (int race = 0; race < RACES; race++) {
        struct tumble_value response, item;
        enum tumble_code code = put_key(leases, lease->shard);
        code = put(out, code, ",\"UpdateExpression\":\"SET #c = :n");
        code = put(out, code, with_state ? ", #p = :p, #s = :s, #a = :a, #d = :d, #k = :k" : "");
        code = put(out, code, gives_up ? " REMOVE #o" : "");
        code = put(out, code, "\",\"ConditionExpression\":\"#o = :o AND #c = :c AND #t = :t\"" NAMES WITH_TERM);
        code = put(out, code,
                   with_state ? ",\"#p\":\"position\",\"#s\":\"sequence\",\"#a\":\"arrival\",\"#d\":\"done\",\"#k\":"
                                "\"cuts\""
                              : "");
        code = put(out, code, "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
        code = put_string(out, code, leases->owner);
        code = put_number(out, code, "},\":c\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter);
        code = put_number(out, code, ",\":n\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter + 1);
        code = put_number(out, code, ",\":t\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->term);
        code = with_state ? put_state(leases, code, lease) : code;
        code = put(out, code, "},\"ReturnValues\":\"ALL_NEW\",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
        code = call(leases, "UpdateItem", code, &response, err);
        if (code == TUMBLE_OK) {
            lease->counter++;
            *done = 1;
            if (tw_json_member(&response, "Attributes", &item)) {
                attribute(&item, "wanted_by", "S", lease->wanted_by, sizeof lease->wanted_by);
            }
            return TUMBLE_OK;
        }
        if (!condition_failed(leases)) {
            return as_input(leases, code, err);
        }
        struct tumble_lease there = {0};
        int found;
        bool may_be_done = leases->answer.may_have_been_done;
        code = get_item(leases, lease->shard, &there, &found, err);
        uint64_t counter = there.counter;
        bool is_ours = found && strcmp(there.owner, leases->owner) == 0 && there.term == lease->term;
        bool was_given_up = found && gives_up && may_be_done && !there.owner[0] && there.term == lease->term;
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
    enum tumble_code code = put_key(leases, lease->shard);
    *done = 0;
    code =
        put(out, code, ",\"UpdateExpression\":\"SET #o = :o, #c = :n, #t = :u REMOVE #w\",\"ConditionExpression\":\"");
    code = put(out, code, lease->owner[0] ? "#o = :f" : "attribute_not_exists(#o)");
    code =
        put(out, code,
            " AND #c = :c AND #t = :t\"" NAMES WITH_TERM WITH_WANT "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
    code = put_string(out, code, leases->owner);
    if (lease->owner[0]) {
        code = put(out, code, "},\":f\":{\"S\":");
        code = put_string(out, code, lease->owner);
    }
    code = put_number(out, code, "},\":c\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter);
    code = put_number(out, code, ",\":n\":{\"N\":\"%" PRId64 "\"}", (int64_t)lease->counter + 1);
    code = put_number(out, code, ",\":t\":{\"N\":\"%" PRId64 "\"}", (int64_t)term);
    code = put_number(out, code, ",\":u\":{\"N\":\"%" PRId64 "\"}}", (int64_t)term + 1);
    code = put(out, code, ",\"ReturnValues\":\"ALL_NEW\"}");
    code = call(leases, "UpdateItem", code, &response, err);
    if (code == TUMBLE_OK && tw_json_member(&response, "Attributes", &item)) {
        *done = 1;
        return read_item(leases, &item, lease, err);
    }
    if (code == TUMBLE_OK || (condition_failed(leases) && leases->answer.may_have_been_done)) {
        int found; /* was it us? */
        code = get_item(leases, lease->shard, lease, &found, err);
        *done = code == TUMBLE_OK && found && strcmp(lease->owner, leases->owner) == 0 && lease->term == term + 1;
        return code;
    }
    return condition_failed(leases) ? TUMBLE_OK : as_input(leases, code, err);
}

enum tumble_code tumble_leases_want(struct tumble_leases *leases, const struct tumble_lease *lease, int *done,
                                    struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = put_key(leases, lease->shard);
    *done = 0;
    code = put(out, code,
               ",\"UpdateExpression\":\"SET #w = :o\",\"ConditionExpression\":\"#o = :f AND #t = :t AND "
               "attribute_not_exists(#w)\",\"ExpressionAttributeNames\":{\"#o\":\"owner\"" WITH_TERM WITH_WANT
               "},\"ExpressionAttributeValues\":{\":o\":{\"S\":");
    code = put_string(out, code, leases->owner);
    code = put(out, code, "},\":f\":{\"S\":");
    code = put_string(out, code, lease->owner);
    code = put_number(out, code, "},\":t\":{\"N\":\"%" PRId64 "\"}}}", (int64_t)lease->term);
    code = call(leases, "UpdateItem", code, &response, err);
    *done = code == TUMBLE_OK;
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : as_input(leases, code, err);
}

enum tumble_code tumble_leases_remove(struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    enum tumble_code code = put_key(leases, shard);
    code = put(out, code,
               ",\"ConditionExpression\":\"#d = :d\",\"ExpressionAttributeNames\":{\"#d\":\"done\"},"
               "\"ExpressionAttributeValues\":{\":d\":{\"N\":\"1\"}}}");
    code = call(leases, "DeleteItem", code, &response, err);
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : as_input(leases, code, err);
}

/* ---- making ---- */

static enum tumble_code put_new(struct tumble_leases *leases, const char *shard, const char *rest,
                                struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    tw_buf_clear(out);
    enum tumble_code code = put(out, TUMBLE_OK, "{\"TableName\":");
    code = put_string(out, code, leases->table);
    code = put(out, code,
               ",\"ConditionExpression\":\"attribute_not_exists(#s)\",\"ExpressionAttributeNames\":{\"#s\":\"shard\"},"
               "\"Item\":{\"application\":{\"S\":");
    code = put_string(out, code, leases->application);
    code = put(out, code, "},\"shard\":{\"S\":");
    code = put_string(out, code, shard);
    code = put(out, code, "}");
    code = put(out, code, rest);
    code = put(out, code, "}}");
    code = call(leases, "PutItem", code, &response, err);
    return code == TUMBLE_OK || condition_failed(leases) ? TUMBLE_OK : as_input(leases, code, err);
}

enum tumble_code tumble_leases_make(struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    return put_new(
        leases, shard,
        ",\"counter\":{\"N\":\"0\"},\"term\":{\"N\":\"0\"},\"done\":{\"N\":\"0\"},\"arrival\":{\"N\":\"-1\"},"
        "\"position\":{\"S\":\"START\"},\"sequence\":{\"S\":\"-\"},\"cuts\":{\"L\":[]}",
        err);
}

/* ---- listing ---- */

static enum tumble_code visit_page(struct tumble_leases *leases, const struct tumble_value *items,
                                   tumble_lease_fn *visit, void *ctx, struct tumble_error *err) {
    struct tumble_value key, item;
    struct tw_json_walk walk;
    struct tumble_lease lease = {0};
    enum tumble_code code = TUMBLE_OK;
    tw_json_walk_begin(&walk, items);
    while (code == TUMBLE_OK && tw_json_walk_next(&walk, &key, &item)) {
        char shard[TUMBLE_LEASE_NAME];
        attribute(&item, "shard", "S", shard, sizeof shard);
        if (strcmp(shard, GROUP_ITEM) == 0) {
            continue;
        }
        code = read_item(leases, &item, &lease, err);
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
    tw_buf_init(&last, leases->alloc, REQUEST_BYTES);
    for (bool more = true; more && code == TUMBLE_OK;) {
        struct tumble_value response, items, next;
        tw_buf_clear(out);
        code = put(out, TUMBLE_OK, "{\"TableName\":");
        code = put_string(out, code, leases->table);
        code = put(out, code,
                   ",\"ConsistentRead\":true,\"KeyConditionExpression\":\"#p = :p\",\"ExpressionAttributeNames\":{"
                   "\"#p\":\"application\"},\"ExpressionAttributeValues\":{\":p\":{\"S\":");
        code = put_string(out, code, leases->application);
        code = put(out, code, "}}");
        if (last.length) {
            code = put(out, code, ",\"ExclusiveStartKey\":");
            code = code == TUMBLE_OK ? tw_buf_append(out, last.data, last.length) : code;
        }
        code = call(leases, "Query", put(out, code, "}"), &response, err);
        if (code != TUMBLE_OK) {
            code = as_input(leases, code, err);
            break;
        }
        tw_buf_clear(&last);
        more = tw_json_member(&response, "LastEvaluatedKey", &next) && next.type == TUMBLE_TYPE_OBJECT;
        if (more && tw_buf_append(&last, next.text, next.length) != TUMBLE_OK) {
            code = tw_no_memory(err);
        } else if (!tw_json_member(&response, "Items", &items) || items.type != TUMBLE_TYPE_ARRAY) {
            code = tw_fail(err, TUMBLE_EOUTPUT, "dynamodb Query: the answer has no items");
        } else {
            code = visit_page(leases, &items, visit, ctx, err);
        }
    }
    tw_buf_clean_up(&last);
    return code;
}

/* ---- the table and the group ---- */

static enum tumble_code create_table(struct tumble_leases *leases, struct tumble_error *err) {
    struct tw_buf *out = &leases->request;
    struct tumble_value response;
    tw_buf_clear(out);
    enum tumble_code code = put(out, TUMBLE_OK, "{\"TableName\":");
    code = put_string(out, code, leases->table);
    code = put(out, code,
               ",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":\"application\","
               "\"AttributeType\":\"S\"},{\"AttributeName\":\"shard\",\"AttributeType\":\"S\"}],\"KeySchema\":[{"
               "\"AttributeName\":\"application\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"shard\",\"KeyType\":"
               "\"RANGE\"}]}");
    code = call(leases, "CreateTable", code, &response, err);
    bool is_there = tw_aws_answer_is(&leases->answer, "ResourceInUseException");
    return code == TUMBLE_OK || is_there ? TUMBLE_OK : as_input(leases, code, err);
}

static enum tumble_code need_table(struct tumble_leases *leases, struct tumble_error *err) {
    int64_t until = leases->host->steady_ms(leases->host->ctx) + MAKING_MS;
    for (bool asked = false;;) {
        struct tw_dynamodb_table table;
        enum tumble_code code =
            tw_dynamodb_describe_table(leases->client, leases->table, deadline(leases), &table, &leases->answer, err);
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
            return as_input(leases, code, err);
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
    attribute(item, name, type, text, sizeof text);
    return strcmp(text, wanted) == 0 ? TUMBLE_OK : differs(leases, what, text, wanted, err);
}

static enum tumble_code join(struct tumble_leases *leases, struct tumble_lease_group *group, struct tumble_error *err) {
    char digest[24], window[NUMBER_TEXT], created[NUMBER_TEXT], rest[256];
    struct tumble_value response, item;
    struct tw_buf source;
    snprintf(digest, sizeof digest, "%016" PRIx64, group->spec_digest);
    snprintf(window, sizeof window, "%" PRId64, group->window_ms);
    snprintf(created, sizeof created, "%" PRId64, group->created_ms);
    TW_TRY(need_table(leases, err));
    tw_buf_init(&source, leases->alloc, REQUEST_BYTES);
    snprintf(rest, sizeof rest,
             "},\"spec\":{\"S\":\"%s\"},\"window_ms\":{\"N\":\"%s\"},\"created_ms\":{\"N\":\"%s\"},\"start\":{\"N\":"
             "\"%d\"},\"start_ms\":{\"N\":\"%" PRId64 "\"}",
             digest, window, created, group->start, group->start_ms);
    enum tumble_code code = put(&source, TUMBLE_OK, ",\"source\":{\"S\":");
    code = put_string(&source, code, group->source);
    code = put(&source, code, rest);
    code = code == TUMBLE_OK ? tw_buf_append_byte(&source, '\0') : code;
    code = code == TUMBLE_OK ? put_new(leases, GROUP_ITEM, source.data, err) : tw_no_memory(err);
    tw_buf_clean_up(&source);
    TW_TRY(code);
    code = put_key(leases, GROUP_ITEM);
    code = call(leases, "GetItem", put(&leases->request, code, ",\"ConsistentRead\":true}"), &response, err);
    TW_TRY(as_input(leases, code, err));
    if (!tw_json_member(&response, "Item", &item)) {
        return damaged(leases, GROUP_ITEM, err);
    }
    TW_TRY(same_text(leases, &item, "source", "S", "stream", group->source, err));
    TW_TRY(same_text(leases, &item, "spec", "S", "spec", digest, err));
    TW_TRY(same_text(leases, &item, "window_ms", "N", "window", window, err));
    TW_TRY(same_text(leases, &item, "created_ms", "N", "instant at which the stream was made", created, err));
    group->start = (int)signed_number(&item, "start");
    group->start_ms = signed_number(&item, "start_ms");
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
    tw_buf_init(&leases->request, alloc, REQUEST_BYTES);
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
