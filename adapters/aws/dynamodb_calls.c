#include "adapters/aws/dynamodb_calls.h"

#include <stdio.h>

#include "adapters/aws/aws_text.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

enum { REQUEST_BYTES = 1024 * 1024 }; /* of those that are written here */

enum tumble_code tw_dynamodb_call(struct tw_aws_client *client, const char *operation, struct tumble_bytes request,
                                  int64_t deadline_ms, struct tumble_value *response, struct tw_aws_answer *answer,
                                  struct tumble_error *err) {
    char target[80];
    snprintf(target, sizeof target, "DynamoDB_20120810.%.50s", operation);
    struct tw_aws_call call = {
        .target = target, .content_type = "application/x-amz-json-1.0", .body = request, .deadline_ms = deadline_ms};
    TW_TRY(tw_aws_call(client, &call, answer, err));
    if (tw_json_document(answer->body, TUMBLE_TYPE_OBJECT, response, NULL) != TUMBLE_OK) {
        answer->may_have_been_done = true;
        answer->kind = TW_AWS_TRANSIENT;
        return tw_fail(err, TUMBLE_EOUTPUT, "dynamodb %s: the answer is no JSON object", operation);
    }
    return TUMBLE_OK;
}

bool tw_dynamodb_old_item(const struct tw_aws_answer *answer, struct tumble_value *item) {
    struct tumble_value object;
    return tw_json_document(answer->body, TUMBLE_TYPE_OBJECT, &object, NULL) == TUMBLE_OK &&
           tw_json_member(&object, "Item", item) && item->type == TUMBLE_TYPE_OBJECT;
}

enum tumble_code tw_dynamodb_batch_write(struct tw_aws_client *client, struct tumble_bytes request, int64_t deadline_ms,
                                         struct tumble_value *unprocessed, struct tw_aws_answer *answer,
                                         struct tumble_error *err) {
    struct tumble_value response;
    struct tumble_value key;
    struct tumble_value value;
    struct tw_json_walk walk;
    memset(unprocessed, 0, sizeof *unprocessed);
    TW_TRY(tw_dynamodb_call(client, "BatchWriteItem", request, deadline_ms, &response, answer, err));
    if (!tw_json_member(&response, "UnprocessedItems", &value) || value.type != TUMBLE_TYPE_OBJECT) {
        answer->may_have_been_done = true;
        answer->kind = TW_AWS_TRANSIENT;
        return tw_fail(err, TUMBLE_EOUTPUT, "dynamodb BatchWriteItem: the answer does not say what was not processed");
    }
    tw_json_walk_begin(&walk, &value);
    if (tw_json_walk_next(&walk, &key, unprocessed)) { /* else the empty object: everything was */
        *unprocessed = value;
    }
    return TUMBLE_OK;
}

/* {"TableName":table and what more there is, without the closing brace. */
static enum tumble_code begin_request(struct tw_buf *request, const char *table) {
    TW_TRY(tw_buf_append_text(request, "{\"TableName\":"));
    return tw_buf_append_json_string(request, tumble_bytes_of(table));
}

static enum tumble_code finish(struct tw_buf *request, enum tumble_code code, struct tumble_error *err) {
    if (code != TUMBLE_OK) {
        tw_buf_clean_up(request);
        return code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, code, "dynamodb: the request is too large");
    }
    return TUMBLE_OK;
}

/* The type of the attribute of that name among AttributeDefinitions, 0: not there. */
static char attribute_type(const struct tumble_value *table, const char *name) {
    struct tumble_value list;
    struct tumble_value key;
    struct tumble_value each;
    struct tw_json_walk walk;
    char text[sizeof((struct tw_dynamodb_key *)NULL)->name];
    if (!tw_json_member(table, "AttributeDefinitions", &list) || list.type != TUMBLE_TYPE_ARRAY) {
        return 0;
    }
    tw_json_walk_begin(&walk, &list);
    while (tw_json_walk_next(&walk, &key, &each)) {
        char type[4];
        if (tw_json_member_text(&each, "AttributeName", text, sizeof text) && strcmp(text, name) == 0 &&
            tw_json_member_text(&each, "AttributeType", type, sizeof type)) {
            return type[0];
        }
    }
    return 0;
}

static bool read_schema(const struct tumble_value *table, struct tw_dynamodb_table *out) {
    struct tumble_value list;
    struct tumble_value key;
    struct tumble_value each;
    struct tw_json_walk walk;
    if (!tw_json_member(table, "KeySchema", &list) || list.type != TUMBLE_TYPE_ARRAY) {
        return false;
    }
    tw_json_walk_begin(&walk, &list);
    while (tw_json_walk_next(&walk, &key, &each)) {
        char type[8];
        if (!tw_json_member_text(&each, "KeyType", type, sizeof type)) {
            return false;
        }
        struct tw_dynamodb_key *into = strcmp(type, "HASH") == 0 ? &out->hash : &out->range;
        if (!tw_json_member_text(&each, "AttributeName", into->name, sizeof into->name)) {
            return false;
        }
        into->type = attribute_type(table, into->name);
        if (into->type == 0) {
            return false;
        }
    }
    tw_json_member_text(table, "TableStatus", out->status, sizeof out->status);
    return out->hash.type != 0;
}

enum tumble_code tw_dynamodb_describe_table(struct tw_aws_client *client, const char *table, int64_t deadline_ms,
                                            struct tw_dynamodb_table *out, struct tw_aws_answer *answer,
                                            struct tumble_error *err) {
    struct tumble_value response;
    struct tumble_value description;
    struct tw_buf request;
    memset(out, 0, sizeof *out);
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    enum tumble_code code = begin_request(&request, table);
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&request, '}');
    }
    TW_TRY(finish(&request, code, err));
    code = tw_dynamodb_call(client, "DescribeTable", tw_buf_view(&request), deadline_ms, &response, answer, err);
    tw_buf_clean_up(&request);
    if (code == TUMBLE_OK && !(tw_json_member(&response, "Table", &description) && read_schema(&description, out))) {
        code =
            tw_fail(err, TUMBLE_EOUTPUT, "dynamodb DescribeTable: the answer for \"%.100s\" has no key schema", table);
    }
    return code;
}

enum tumble_code tw_dynamodb_scan(struct tw_aws_client *client, const char *table, struct tumble_bytes exclusive_start,
                                  int64_t deadline_ms, struct tumble_value *items, struct tumble_value *last,
                                  struct tw_aws_answer *answer, struct tumble_error *err) {
    struct tumble_value response;
    struct tw_buf request;
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    enum tumble_code code = begin_request(&request, table);
    if (code == TUMBLE_OK) {
        code = tw_buf_append_text(&request, ",\"ConsistentRead\":true");
    }
    if (code == TUMBLE_OK && exclusive_start.length) {
        code = tw_buf_append_text(&request, ",\"ExclusiveStartKey\":");
        if (code == TUMBLE_OK) {
            code = tw_buf_append(&request, exclusive_start.data, exclusive_start.length);
        }
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&request, '}');
    }
    TW_TRY(finish(&request, code, err));
    code = tw_dynamodb_call(client, "Scan", tw_buf_view(&request), deadline_ms, &response, answer, err);
    tw_buf_clean_up(&request);
    if (code != TUMBLE_OK) {
        return code;
    }
    memset(last, 0, sizeof *last);
    if (tw_json_member(&response, "LastEvaluatedKey", last) && last->type != TUMBLE_TYPE_OBJECT) {
        memset(last, 0, sizeof *last);
    }
    if (!tw_json_member(&response, "Items", items) || items->type != TUMBLE_TYPE_ARRAY) {
        return tw_fail(err, TUMBLE_EOUTPUT, "dynamodb Scan: the answer has no items");
    }
    return TUMBLE_OK;
}
