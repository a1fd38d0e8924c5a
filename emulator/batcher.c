#include "emulator/emulator.h"

#include "engine/codec/base64.h"

/* The event as Lambda writes it, compact (lambda-semantics 1.1, 1.8, 1.10), with the members a capture does not tell
 * filled in by the longest form seen. string literals count their bytes at compile time. */
#define BYTES(literal) (sizeof(literal) - 1)

/* The function's role is the user's own; this is a plausible one. An assumption. */
#define ASSUMED_ROLE_ARN "arn:aws:iam::123456789012:role/lambda-kinesis-role"
#define ASSUMED_REGION   "ap-southeast-1" /* the longest in common use */
#define ASSUMED_SHARD_ID "shardId-000000000000"

enum {
    RECORD_FIXED = BYTES("{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"\",\"sequenceNumber\":\"\","
                         "\"data\":\"\",\"approximateArrivalTimestamp\":1.691068717172E9},"
                         "\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\":\","
                         "\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"" ASSUMED_ROLE_ARN "\","
                         "\"awsRegion\":\"" ASSUMED_REGION "\",\"eventSourceARN\":\"\"},"),
    /* every record brings a comma, the last one does not have it: one byte less here */
    ENVELOPE_FIXED = BYTES("{\"Records\":[],\"shardId\":\"" ASSUMED_SHARD_ID "\",\"eventSourceARN\":\"\","
                           "\"window\":{\"start\":\"2026-09-17T14:11:10Z\",\"end\":\"2026-09-17T14:11:20Z\"},"
                           "\"state\":,\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}") -
                     1
};

size_t tumble_event_record_bytes(const struct tumble_batch_limits *limits, size_t data_bytes,
                                 size_t partition_key_bytes, size_t sequence_digits, size_t shard_id_bytes) {
    return RECORD_FIXED + tw_base64_encoded_length(data_bytes) + partition_key_bytes + 2 * sequence_digits +
           shard_id_bytes + limits->arn_length;
}

size_t tumble_event_envelope_bytes(const struct tumble_batch_limits *limits) {
    return ENVELOPE_FIXED + limits->arn_length;
}

void tumble_batcher_reset(struct tumble_batcher *batcher) {
    batcher->records = 0;
    batcher->bytes = 0;
}

size_t tumble_batcher_room(const struct tumble_batcher *batcher, const struct tumble_batch_limits *limits) {
    size_t envelope = tumble_event_envelope_bytes(limits);
    size_t room = limits->event_limit_bytes > envelope ? limits->event_limit_bytes - envelope : 0;
    return room > batcher->bytes ? room - batcher->bytes : 0;
}

int tumble_batcher_add(struct tumble_batcher *batcher, const struct tumble_batch_limits *limits, size_t record_bytes) {
    int cut = 0;
    if (batcher->records > 0 &&
        (batcher->records >= limits->batch_size || record_bytes > tumble_batcher_room(batcher, limits))) {
        tumble_batcher_reset(batcher);
        cut = 1;
    }
    batcher->records++;
    batcher->bytes += record_bytes;
    return cut;
}
