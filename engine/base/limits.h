#ifndef TW_BASE_LIMITS_H
#define TW_BASE_LIMITS_H

/* Every cap in one place. What grows with bytes from outside grows up to one of these and then is an error. */

enum {
    TW_LIMIT_JSON_DEPTH = 1000,               /* nesting of arrays and objects in a record or event */
    TW_LIMIT_RECORD_BYTES = 16 * 1024 * 1024, /* one JSON element of a capture; Kinesis allows 10 MiB of data */
    TW_LIMIT_SPEC_BYTES = 1024 * 1024,
    TW_LIMIT_FIELDS = 256, /* distinct field paths of a spec */
    TW_LIMIT_PATH_BYTES = 1024,
    TW_LIMIT_GROUP_FIELDS = 32,
    TW_LIMIT_AGGREGATES = 128,
    TW_LIMIT_GROUP_KEY_BYTES = 16 * 1024,    /* encoded group key */
    TW_LIMIT_STRING_VALUE_BYTES = 64 * 1024, /* a string that min, max, first or last keeps */
    TW_LIMIT_NUMBER_DIGITS = 34,
    TW_LIMIT_SEQUENCE_DIGITS = 128,
    TW_LIMIT_SHARD_ID_BYTES = 128, /* as Kinesis */
    TW_LIMIT_SHARDS = 10000,
    TW_LIMIT_NOTE_NAME_BYTES = 64,
    TW_LIMIT_ATTRIBUTE_DEPTH = 100, /* lists and maps in a DynamoDB item; DynamoDB allows 32 */
    TW_LIMIT_OUTPUTS = 16,
    TW_LIMIT_OUTPUT_OPTIONS = 32, /* in an output's table */
    TW_LIMIT_STORED_OUTPUTS = 64, /* that a state knows */
    TW_LIMIT_URI_BYTES = 4096,
    TW_LIMIT_OUTBOX_CHUNK_BYTES = 256 * 1024 /* rows packed into one outbox value */
};

#endif
