#ifndef TUMBLE_LAMBDA_H
#define TUMBLE_LAMBDA_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One record of a Lambda Kinesis event, or of what `aws kinesis get-records` prints, as it stands in its text.
 * Members that do not occur are TUMBLE_TYPE_MISSING. Strings may be TUMBLE_VALUE_ESCAPED. */
struct tumble_kinesis_record {
    struct tumble_value data; /* base64 text */
    struct tumble_value partition_key;
    struct tumble_value sequence_number;
    struct tumble_value explicit_hash_key;
    struct tumble_value event_id;         /* "shardId-…:sequence"; Lambda events only */
    struct tumble_value event_source_arn; /* Lambda events only */
    struct tumble_value
        arrival; /* number (Lambda; any form of semantics 1.3), number or ISO 8601 string (get-records) */
};

/* Parses one element of a Lambda event's Records from the front of json, keys in any order, unknown keys checked and
 * ignored. consumed and end_of_input as in tumble_project. Errors: EMORE, EJSON, EUTF8, EDEPTH; EEVENT when
 * kinesis.data, .sequenceNumber or .approximateArrivalTimestamp is missing or has a wrong type, or when another member
 * is there but neither a string nor null (null is MISSING). Of duplicate keys the last wins. What json holds is read to
 * its end first, so EEVENT means well-formed JSON. Thread-safe; does not allocate. */
TUMBLE_EXPORT enum tumble_code tumble_kinesis_record_parse(struct tumble_bytes json, int end_of_input,
                                                           struct tumble_kinesis_record *out, size_t *consumed,
                                                           struct tumble_error *err);

/* The same as tumble_kinesis_record_parse, result for result and error for error, and quicker when json is laid out
 * like earlier records that were given with this layout (see tumble_project_like). */
TUMBLE_EXPORT enum tumble_code tumble_kinesis_record_parse_like(struct tumble_layout *layout, struct tumble_bytes json,
                                                                int end_of_input, struct tumble_kinesis_record *out,
                                                                size_t *consumed, struct tumble_error *err);

/* The same, and decodes the base64 of data while it is read, where that saves a second look at it: into out_data, of
 * which room bytes may be written (whatever lies behind the result is of no use). *length TUMBLE_NOT_DECODED: it was
 * not, and the text in out->data says nothing of why; a room of the text's own length always suffices. */
#define TUMBLE_NOT_DECODED SIZE_MAX
TUMBLE_EXPORT enum tumble_code tumble_kinesis_record_decode_like(struct tumble_layout *layout, struct tumble_bytes json,
                                                                 int end_of_input, struct tumble_kinesis_record *out,
                                                                 size_t *consumed, char *out_data, size_t room,
                                                                 size_t *length, struct tumble_error *err);

/* The same for one element of Records of a GetRecords answer (SequenceNumber, ApproximateArrivalTimestamp, Data,
 * PartitionKey, EncryptionType). */
TUMBLE_EXPORT enum tumble_code tumble_get_records_record_parse(struct tumble_bytes json, int end_of_input,
                                                               struct tumble_kinesis_record *out, size_t *consumed,
                                                               struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
