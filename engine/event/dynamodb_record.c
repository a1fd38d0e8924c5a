#include "engine/event/dynamodb_record.h"

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

static const char *type_name(uint8_t type) {
    static const char *const names[] = {"nothing",  "null",     "false",    "true",
                                        "a number", "a string", "an array", "an object"};
    return names[type];
}

/* What a key means, and the types it may have. */
struct member {
    const char *key;
    struct tumble_value *place;
    const char *name; /* in messages */
    enum tumble_type type;
    bool required;
};

/* Reads the members of an object that was validated. Of duplicate keys the last wins. */
static void read_members(const struct tumble_value *object, const struct member *members) {
    struct tw_json_walk walk;
    struct tumble_value key, value;
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        for (const struct member *member = members; member->key; member++) {
            if (tw_json_string_equal(&key, tumble_bytes_of(member->key))) {
                *member->place = value;
                break;
            }
        }
    }
}

static enum tumble_code wrong(const char *begin, const struct tumble_value *value, const char *name,
                              enum tumble_type wanted, int64_t inside, struct tumble_error *err) {
    if (value->type == TUMBLE_TYPE_MISSING) {
        return tw_fail_at(err, TUMBLE_EEVENT, inside, "the record has no %s", name);
    }
    int64_t byte = value->text - begin - (value->type == TUMBLE_TYPE_STRING);
    return tw_fail_at(err, TUMBLE_EEVENT, byte, "%s should be %s but is %s", name, type_name((uint8_t)wanted),
                      type_name(value->type));
}

static enum tumble_code check_members(const char *begin, const struct tumble_value *object,
                                      const struct member *members, struct tumble_error *err) {
    static const struct tumble_value missing;
    for (const struct member *member = members; member->key; member++) {
        struct tumble_value *value = member->place;
        if (!member->required && value->type == TUMBLE_TYPE_NULL) {
            *value = missing;
        }
        if (value->type != member->type && (member->required || value->type != TUMBLE_TYPE_MISSING)) {
            return wrong(begin, value, member->name, member->type, object->text - begin, err);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_dynamodb_record_parse(struct tumble_bytes json, int end_of_input, struct tw_dynamodb_record *out,
                                          size_t *consumed, struct tumble_error *err) {
    struct tumble_value record, dynamodb = {0};
    size_t used = 0;
    memset(out, 0, sizeof *out);
    out->begin = json.data;
    TW_TRY(tw_json_value(json, end_of_input, &record, consumed ? &used : NULL, err));
    if (record.type != TUMBLE_TYPE_OBJECT) {
        return wrong(json.data, &record, "the record", TUMBLE_TYPE_OBJECT, 0, err);
    }
    const struct member outer[] = {
        {"dynamodb", &dynamodb, "\"dynamodb\"", TUMBLE_TYPE_OBJECT, true},
        {"eventName", &out->event_name, "eventName", TUMBLE_TYPE_STRING, false},
        {"eventID", &out->event_id, "eventID", TUMBLE_TYPE_STRING, false},
        {"eventSourceARN", &out->event_source_arn, "eventSourceARN", TUMBLE_TYPE_STRING, false},
        {NULL, NULL, NULL, TUMBLE_TYPE_MISSING, false}};
    const struct member inner[] = {
        {"SequenceNumber", &out->sequence_number, "dynamodb.SequenceNumber", TUMBLE_TYPE_STRING, true},
        {"ApproximateCreationDateTime", &out->arrival, "dynamodb.ApproximateCreationDateTime", TUMBLE_TYPE_NUMBER,
         true},
        {"Keys", &out->keys, "dynamodb.Keys", TUMBLE_TYPE_OBJECT, true},
        {"NewImage", &out->new_image, "dynamodb.NewImage", TUMBLE_TYPE_OBJECT, false},
        {"OldImage", &out->old_image, "dynamodb.OldImage", TUMBLE_TYPE_OBJECT, false},
        {NULL, NULL, NULL, TUMBLE_TYPE_MISSING, false}};
    read_members(&record, outer);
    TW_TRY(check_members(json.data, &record, outer, err));
    read_members(&dynamodb, inner);
    TW_TRY(check_members(json.data, &dynamodb, inner, err));
    if (consumed) {
        *consumed = used;
    }
    return TUMBLE_OK;
}
