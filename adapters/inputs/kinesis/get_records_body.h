#ifndef TW_GET_RECORDS_BODY_H
#define TW_GET_RECORDS_BODY_H

#include <stdbool.h>

#include "adapters/inputs/kinesis/kinesis_stream.h"
#include "engine/base/buf.h"

/* What GetRecords answers, read in one forward pass: 10 MiB of data and 10,000 records at most are of use, whatever
 * bytes came. Pure; one thread an object, which is used again from answer to answer and keeps its memory. */

enum { TW_SHARD_CHILDREN = 16 };

struct tw_shard_child {
    char id[TUMBLE_KINESIS_ID];
    char parents[2][TUMBLE_KINESIS_ID]; /* "": none */
    struct tumble_kinesis_hash begin;
    struct tumble_kinesis_hash end;
};

struct tw_get_records {
    struct tumble_alloc alloc;
    struct tumble_kinesis_read *records; /* views into the body and into text */
    size_t count;
    size_t capacity;
    struct tw_buf text;                /* data decoded, escapes undone */
    struct tumble_bytes next_iterator; /* empty: the shard is at its end */
    int64_t millis_behind_latest;      /* -1: not told */
    uint64_t bytes;                    /* of data and keys */
    struct tw_shard_child children[TW_SHARD_CHILDREN];
    size_t child_count;
};

void tw_get_records_init(struct tw_get_records *answer, struct tumble_alloc alloc);
void tw_get_records_clean_up(struct tw_get_records *answer); /* idempotent */

/* Reads body, which has to live as long as what is found in it. Records ascend by sequence number; a member that is
 * null is one that is not there. Errors, after which there is nothing in answer: EJSON, EUTF8, EDEPTH (damaged: byte),
 * EEVENT (not GetRecords's shape), ESEQUENCE, ETIMESTAMP, EORDER, ELIMIT (more than 10,000 records), ENOMEM. */
enum tumble_code tw_get_records_read(struct tw_get_records *answer, struct tumble_bytes body, struct tumble_error *err);

/* Decimal digits of at most 128 bits. */
bool tw_hash_key_read(struct tumble_bytes digits, struct tumble_kinesis_hash *out);

#endif
