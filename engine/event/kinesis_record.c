#include <tumble/lambda.h>

#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout.h"

/* Two shapes of one record (lambda-semantics 1.1 and the answer of GetRecords), read in one pass, keys in any order.
 * Members are told apart by the length of their key, then by its bytes; what nobody asks for is validated and dropped.
 */
enum shape { EVENT, EVENT_KINESIS, GET_RECORDS };

/* What a key means to its shape. */
enum member {
    OTHER,
    KINESIS,
    DATA,
    PARTITION_KEY,
    SEQUENCE_NUMBER,
    EXPLICIT_HASH_KEY,
    EVENT_ID,
    EVENT_SOURCE_ARN,
    ARRIVAL
};

struct known {
    const char *key;
    enum member member;
};

static const struct known event_members[] = {
    {"kinesis", KINESIS}, {"eventID", EVENT_ID}, {"eventSourceARN", EVENT_SOURCE_ARN}, {NULL, OTHER}};
static const struct known kinesis_members[] = {{"data", DATA},
                                               {"partitionKey", PARTITION_KEY},
                                               {"sequenceNumber", SEQUENCE_NUMBER},
                                               {"explicitHashKey", EXPLICIT_HASH_KEY},
                                               {"approximateArrivalTimestamp", ARRIVAL},
                                               {NULL, OTHER}};
static const struct known get_records_members[] = {{"Data", DATA},
                                                   {"PartitionKey", PARTITION_KEY},
                                                   {"SequenceNumber", SEQUENCE_NUMBER},
                                                   {"ExplicitHashKey", EXPLICIT_HASH_KEY},
                                                   {"ApproximateArrivalTimestamp", ARRIVAL},
                                                   {NULL, OTHER}};
static const struct known *const members_of[] = {event_members, kinesis_members, get_records_members};

/* The key as it is written, without the table: the comparisons below have constant lengths and become single words. */
#define IS(literal) (memcmp(key, literal, sizeof(literal) - 1) == 0)

static inline enum member member_of(enum shape shape, const char *key, uint32_t length) {
    switch (length) {
    case 4: return shape == EVENT_KINESIS && IS("data") ? DATA : shape == GET_RECORDS && IS("Data") ? DATA : OTHER;
    case 7: return shape != EVENT ? OTHER : IS("kinesis") ? KINESIS : IS("eventID") ? EVENT_ID : OTHER;
    case 12:
        return (shape == EVENT_KINESIS && IS("partitionKey")) || (shape == GET_RECORDS && IS("PartitionKey"))
                   ? PARTITION_KEY
                   : OTHER;
    case 14:
        if (shape == EVENT) {
            return IS("eventSourceARN") ? EVENT_SOURCE_ARN : OTHER;
        }
        return (shape == EVENT_KINESIS && IS("sequenceNumber")) || (shape == GET_RECORDS && IS("SequenceNumber"))
                   ? SEQUENCE_NUMBER
                   : OTHER;
    case 15:
        return (shape == EVENT_KINESIS && IS("explicitHashKey")) || (shape == GET_RECORDS && IS("ExplicitHashKey"))
                   ? EXPLICIT_HASH_KEY
                   : OTHER;
    case 27:
        return (shape == EVENT_KINESIS && IS("approximateArrivalTimestamp")) ||
                       (shape == GET_RECORDS && IS("ApproximateArrivalTimestamp"))
                   ? ARRIVAL
                   : OTHER;
    default: return OTHER;
    }
}

static __attribute__((cold, noinline)) enum member escaped_member_of(enum shape shape, const char *key,
                                                                     uint32_t length) {
    struct tumble_value text = {key, length, TUMBLE_TYPE_STRING, TUMBLE_VALUE_ESCAPED, 0};
    const struct known *known = members_of[shape];
    while (known->key && !tw_json_string_equal(&text, tumble_bytes_of(known->key))) {
        known++;
    }
    return known->member;
}

struct parse {
    struct tw_lex lex;
    struct tumble_kinesis_record *out;
    struct tumble_value kinesis; /* the object that holds most members of an event's record */
};

static struct tumble_value *place_of(struct parse *parse, enum member member) {
    switch (member) {
    case DATA: return &parse->out->data;
    case PARTITION_KEY: return &parse->out->partition_key;
    case SEQUENCE_NUMBER: return &parse->out->sequence_number;
    case EXPLICIT_HASH_KEY: return &parse->out->explicit_hash_key;
    case EVENT_ID: return &parse->out->event_id;
    case EVENT_SOURCE_ARN: return &parse->out->event_source_arn;
    case ARRIVAL: return &parse->out->arrival;
    case KINESIS: return &parse->kinesis;
    case OTHER: break;
    }
    return NULL;
}

static const char *kinesis_object(struct parse *parse, const char *at);

/* Parses the object that begins at at. shape is a constant wherever this is called, so each caller gets a copy of its
 * own without the branches on it. */
static inline __attribute__((always_inline)) const char *object(struct parse *parse, const char *at, unsigned depth,
                                                                enum shape shape) {
    struct tw_lex *lex = &parse->lex;
    const char *const end = lex->end;
    const char *expected_key = TW_LEX_KEY_OR_CLOSE;
    at = tw_lex_space(at + 1, end);
    if (TW_RARELY(at < end && *at == '}')) {
        return at + 1;
    }
    for (;;) {
        const char *key;
        uint32_t length;
        uint8_t flags;
        struct tumble_value ignored;
        at = tw_lex_key(lex, at, expected_key, &key, &length, &flags);
        if (TW_RARELY(!at)) {
            return NULL;
        }
        enum member member =
            TW_OFTEN(flags == 0) ? member_of(shape, key, length) : escaped_member_of(shape, key, length);
        if (shape == EVENT && member == KINESIS && at < end && *at == '{') {
            const char *begin = at;
            at = kinesis_object(parse, at);
            if (at) {
                tw_lex_describe(&parse->kinesis, begin, at, TUMBLE_TYPE_OBJECT, 0);
            }
        } else {
            struct tumble_value *place = member == OTHER ? &ignored : place_of(parse, member);
            at = tw_lex_value(lex, at, depth, place);
        }
        if (TW_RARELY(!at)) {
            return NULL;
        }
        at = tw_lex_space(at, end);
        if (TW_RARELY(at == end)) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, TW_LEX_COMMA_OR_BRACE);
        }
        if (*at != ',') {
            return *at == '}' ? at + 1 : tw_lex_refuse(lex, at, TUMBLE_EJSON, TW_LEX_COMMA_OR_BRACE);
        }
        at = tw_lex_space(at + 1, end);
        expected_key = TW_LEX_KEY;
    }
}

static __attribute__((noinline)) const char *kinesis_object(struct parse *parse, const char *at) {
    if (TW_RARELY(parse->kinesis.type != TUMBLE_TYPE_MISSING)) { /* a second "kinesis": the last one wins, whole */
        struct tumble_kinesis_record again = {.event_id = parse->out->event_id,
                                              .event_source_arn = parse->out->event_source_arn};
        *parse->out = again;
    }
    return object(parse, at, 2, EVENT_KINESIS);
}

static const char *type_name(uint8_t type) {
    static const char *const names[] = {"nothing",  "null",     "false",    "true",
                                        "a number", "a string", "an array", "an object"};
    return names[type];
}

static enum tumble_code wrong(const struct parse *parse, const struct tumble_value *value, const char *name,
                              const char *wanted, struct tumble_error *err) {
    if (value->type == TUMBLE_TYPE_MISSING) {
        return tw_fail_at(err, TUMBLE_EEVENT, tw_json_space(parse->lex.begin, parse->lex.end) - parse->lex.begin,
                          "the record has no %s", name);
    }
    int64_t byte = value->text - parse->lex.begin - (value->type == TUMBLE_TYPE_STRING);
    return tw_fail_at(err, TUMBLE_EEVENT, byte, "%s should be %s but is %s", name, wanted, type_name(value->type));
}

static enum tumble_code require_string(const struct parse *parse, const struct tumble_value *value, const char *name,
                                       struct tumble_error *err) {
    return TW_OFTEN(value->type == TUMBLE_TYPE_STRING) ? TUMBLE_OK : wrong(parse, value, name, "a string", err);
}

/* null is as good as absent. */
static enum tumble_code allow_string(const struct parse *parse, struct tumble_value *value, const char *name,
                                     struct tumble_error *err) {
    if (value->type == TUMBLE_TYPE_STRING || value->type == TUMBLE_TYPE_MISSING) {
        return TUMBLE_OK;
    }
    if (value->type == TUMBLE_TYPE_NULL) {
        memset(value, 0, sizeof *value);
        return TUMBLE_OK;
    }
    return wrong(parse, value, name, "a string", err);
}

static enum tumble_code check_event(struct parse *parse, struct tumble_error *err) {
    struct tumble_kinesis_record *out = parse->out;
    if (TW_RARELY(parse->kinesis.type != TUMBLE_TYPE_OBJECT)) {
        return wrong(parse, &parse->kinesis, "\"kinesis\"", "an object", err);
    }
    TW_TRY(require_string(parse, &out->data, "kinesis.data", err));
    TW_TRY(require_string(parse, &out->sequence_number, "kinesis.sequenceNumber", err));
    if (TW_RARELY(out->arrival.type != TUMBLE_TYPE_NUMBER)) {
        return wrong(parse, &out->arrival, "kinesis.approximateArrivalTimestamp", "a number", err);
    }
    TW_TRY(allow_string(parse, &out->partition_key, "kinesis.partitionKey", err));
    TW_TRY(allow_string(parse, &out->explicit_hash_key, "kinesis.explicitHashKey", err));
    TW_TRY(allow_string(parse, &out->event_id, "eventID", err));
    return allow_string(parse, &out->event_source_arn, "eventSourceARN", err);
}

static enum tumble_code check_get_records(struct parse *parse, struct tumble_error *err) {
    struct tumble_kinesis_record *out = parse->out;
    TW_TRY(require_string(parse, &out->data, "Data", err));
    TW_TRY(require_string(parse, &out->sequence_number, "SequenceNumber", err));
    if (out->arrival.type != TUMBLE_TYPE_NUMBER && out->arrival.type != TUMBLE_TYPE_STRING) {
        return wrong(parse, &out->arrival, "ApproximateArrivalTimestamp", "a number or an ISO 8601 string", err);
    }
    TW_TRY(allow_string(parse, &out->partition_key, "PartitionKey", err));
    return allow_string(parse, &out->explicit_hash_key, "ExplicitHashKey", err);
}

/* Finds the record's object; what is not one is read (so that malformed JSON is told first) and refused. */
static enum tumble_code begin(struct parse *parse, struct tumble_bytes json, int end_of_input,
                              struct tumble_kinesis_record *out, const char **at, struct tumble_error *err) {
    static const struct tumble_kinesis_record nothing;
    static const struct tumble_value missing;
    tw_lex_init(&parse->lex, json, end_of_input);
    parse->out = out;
    parse->kinesis = missing;
    *out = nothing;
    *at = tw_lex_space(parse->lex.begin, parse->lex.end);
    if (TW_OFTEN(*at < parse->lex.end && **at == '{')) {
        return TUMBLE_OK;
    }
    struct tumble_value value;
    const char *behind = tw_lex_value(&parse->lex, *at, 0, &value);
    if (behind && value.type == TUMBLE_TYPE_NUMBER) {
        behind = tw_lex_number_end(&parse->lex, behind);
    }
    if (!behind) {
        return tw_lex_report(&parse->lex, err);
    }
    return wrong(parse, &value, "the record", "an object", err);
}

enum tumble_code tumble_kinesis_record_parse(struct tumble_bytes json, int end_of_input,
                                             struct tumble_kinesis_record *out, size_t *consumed,
                                             struct tumble_error *err) {
    struct parse parse;
    const char *at;
    size_t used = 0;
    TW_TRY(begin(&parse, json, end_of_input, out, &at, err));
    at = object(&parse, at, 1, EVENT);
    TW_TRY(tw_lex_finish(&parse.lex, at, consumed ? &used : NULL, err));
    TW_TRY(check_event(&parse, err));
    if (consumed) {
        *consumed = used;
    }
    return TUMBLE_OK;
}

/* A record as the array of values that a layout fills. */
enum { MEMBERS = sizeof(struct tumble_kinesis_record) / sizeof(struct tumble_value) };
_Static_assert(MEMBERS * sizeof(struct tumble_value) == sizeof(struct tumble_kinesis_record),
               "a record is values only");

/* Member by member: a memset of this size becomes a string instruction, which takes longer to start than to do it. */
static inline void clear(struct tumble_kinesis_record *record) {
    static const struct tumble_value missing;
    record->data = missing;
    record->partition_key = missing;
    record->sequence_number = missing;
    record->explicit_hash_key = missing;
    record->event_id = missing;
    record->event_source_arn = missing;
    record->arrival = missing;
}

/* What check_event lets pass and leaves as it is, all members at once. */
static inline bool is_usual(const struct tumble_kinesis_record *record) {
    const unsigned string = 1u << TUMBLE_TYPE_STRING, missing = 1u << TUMBLE_TYPE_MISSING;
    unsigned optional = 1u << record->partition_key.type | 1u << record->explicit_hash_key.type |
                        1u << record->event_id.type | 1u << record->event_source_arn.type;
    return (record->data.type == TUMBLE_TYPE_STRING) & (record->sequence_number.type == TUMBLE_TYPE_STRING) &
           (record->arrival.type == TUMBLE_TYPE_NUMBER) & ((optional & ~(string | missing)) == 0);
}

_Static_assert(TUMBLE_NOT_DECODED == TW_BASE64_UNQUOTED, "one value says both");

static inline __attribute__((always_inline)) enum tumble_code
parse_like(struct tumble_layout *layout, struct tumble_bytes json, int end_of_input, struct tumble_kinesis_record *out,
           size_t *consumed, struct tw_lex_decode *decode, struct tumble_error *err) {
    struct tumble_value *values = &out->data; /* the first of MEMBERS */
    struct parse parse;
    clear(out);
    tw_lex_init(&parse.lex, json, end_of_input);
    parse.lex.decode = decode;
    const char *at = tw_layout_match(layout, &parse.lex, tw_lex_space(parse.lex.begin, parse.lex.end), values);
    size_t used = 0;
    if (TW_OFTEN(at && consumed && is_usual(out))) {
        *consumed = (size_t)(at - parse.lex.begin);
        return TUMBLE_OK;
    }
    if (at) { /* members of the right names and nesting; their types are still to be looked at */
        parse.out = out;
        parse.kinesis.type = TUMBLE_TYPE_OBJECT; /* as it was in the record that was learned */
    } else {
        if (decode) {
            decode->length = TW_BASE64_UNQUOTED;
        }
        TW_TRY(begin(&parse, json, end_of_input, out, &at, err));
        const char *from = at;
        at = object(&parse, at, 1, EVENT);
        TW_TRY(tw_lex_finish(&parse.lex, at, &used, err));
        if (parse.kinesis.type == TUMBLE_TYPE_OBJECT) { /* before the check, which takes null out */
            tw_layout_learn(layout, from, at, values, MEMBERS, false);
        }
    }
    TW_TRY(tw_lex_finish(&parse.lex, at, consumed ? &used : NULL, err));
    TW_TRY(check_event(&parse, err));
    if (consumed) {
        *consumed = used;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_kinesis_record_parse_like(struct tumble_layout *layout, struct tumble_bytes json,
                                                  int end_of_input, struct tumble_kinesis_record *out, size_t *consumed,
                                                  struct tumble_error *err) {
    return parse_like(layout, json, end_of_input, out, consumed, NULL, err);
}

enum tumble_code tumble_kinesis_record_decode_like(struct tumble_layout *layout, struct tumble_bytes json,
                                                   int end_of_input, struct tumble_kinesis_record *out,
                                                   size_t *consumed, char *out_data, size_t room, size_t *length,
                                                   struct tumble_error *err) {
    struct tw_lex_decode decode = {.value = 0, .out = out_data, .room = room, .length = TW_BASE64_UNQUOTED};
    _Static_assert(offsetof(struct tumble_kinesis_record, data) == 0, "data is the first of the values");
    enum tumble_code code = parse_like(layout, json, end_of_input, out, consumed, &decode, err);
    *length = decode.length;
    return code;
}

enum tumble_code tumble_get_records_record_parse(struct tumble_bytes json, int end_of_input,
                                                 struct tumble_kinesis_record *out, size_t *consumed,
                                                 struct tumble_error *err) {
    struct parse parse;
    const char *at;
    size_t used = 0;
    TW_TRY(begin(&parse, json, end_of_input, out, &at, err));
    at = object(&parse, at, 1, GET_RECORDS);
    TW_TRY(tw_lex_finish(&parse.lex, at, consumed ? &used : NULL, err));
    TW_TRY(check_get_records(&parse, err));
    if (consumed) {
        *consumed = used;
    }
    return TUMBLE_OK;
}
