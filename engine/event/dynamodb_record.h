#ifndef TW_EVENT_DYNAMODB_RECORD_H
#define TW_EVENT_DYNAMODB_RECORD_H

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/buf.h"

/* One record of a Lambda DynamoDB Streams event (lambda-semantics 3.10), as it stands in its text. Members that do not
 * occur are TUMBLE_TYPE_MISSING. Strings may be TUMBLE_VALUE_ESCAPED. */
struct tw_dynamodb_record {
    struct tumble_value sequence_number; /* string */
    struct tumble_value arrival;         /* ApproximateCreationDateTime: number of seconds, any form of semantics 1.3 */
    struct tumble_value event_name;      /* "INSERT", "MODIFY", "REMOVE", or what comes after them */
    struct tumble_value event_id;        /* opaque: it does not name the shard, the event does */
    struct tumble_value event_source_arn;
    struct tumble_value keys;      /* object, or an empty one when the event has none */
    struct tumble_value new_image; /* object or MISSING, as the stream's view type has it */
    struct tumble_value old_image;
    const char *begin; /* of the json that was parsed, so that errors can name their byte */
};

/* Parses one element of Records from the front of json, keys in any order, unknown keys checked and ignored. consumed
 * and end_of_input as in tumble_project. Errors: EMORE, EJSON, EUTF8, EDEPTH; EEVENT when dynamodb.SequenceNumber,
 * .ApproximateCreationDateTime or .Keys is missing or has a wrong type, or when another member has one (null is
 * MISSING). Of duplicate keys the last wins. Typed values are not looked into. Thread-safe; does not allocate. */
enum tumble_code tw_dynamodb_record_parse(struct tumble_bytes json, int end_of_input, struct tw_dynamodb_record *out,
                                          size_t *consumed, struct tumble_error *err);

/* Appends the record as the plain JSON that a spec's fields are looked up in:
 *
 *     {"eventName":"MODIFY","Keys":{…},"NewImage":{…},"OldImage":{…}}
 *
 * without the members the record does not have. Typed values become plain ones: S its string, N its number (as it is
 * written, where JSON takes that; else without a plus sign and leading zeros), BOOL, NULL, M and L what they say, SS,
 * NS, BS arrays, B its base64 text. Never longer than the record itself.
 * Errors, with byte in the json that was parsed: EEVENT (not DynamoDB's typed JSON, or nested deeper than
 * TW_LIMIT_ATTRIBUTE_DEPTH); ENOMEM, ELIMIT (out's cap). On failure out holds what it held before. */
enum tumble_code tw_dynamodb_record_payload(const struct tw_dynamodb_record *record, struct tw_buf *out,
                                            struct tumble_error *err);

/* Appends the partition key: Keys as plain JSON, its members ordered by name, so that an item has one key whatever the
 * order in which the event writes them. Errors as above. Neither of the two takes, nor both one after the other take,
 * more than twice the length of the record's text: in a buffer with that room left nothing moves. */
enum tumble_code tw_dynamodb_record_key(const struct tw_dynamodb_record *record, struct tw_buf *out,
                                        struct tumble_error *err);

#endif
