#ifndef TUMBLE_EMULATOR_H
#define TUMBLE_EMULATOR_H

/* The event source mapping, offline: how Kinesis spreads records over shards and how Lambda cuts batches, in virtual
 * time. Pure: no I/O, no clock of its own. One thread per object. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/kpl.h>

/* ---- shards ---- */

/* The shards of a stream: count equal hash-key ranges over [0, 2^128), as CreateStream makes them. */
struct tumble_sharder;
enum tumble_code tumble_sharder_new(uint32_t shard_count, struct tumble_alloc alloc, struct tumble_sharder **out,
                                    struct tumble_error *err); /* 1 … 10,000; ELIMIT */
void tumble_sharder_destroy(struct tumble_sharder *sharder);
/* Shard of a record: explicit_hash_key (decimal, may be empty) or else MD5 of the partition key, as an unsigned
 * big-endian 128-bit number (lambda-semantics 7.5, point 44). Errors: EINVAL for an explicit hash key that is not one.
 */
enum tumble_code tumble_sharder_shard(const struct tumble_sharder *sharder, struct tumble_bytes partition_key,
                                      struct tumble_bytes explicit_hash_key, uint32_t *shard, struct tumble_error *err);
/* The hash keys of that shard. */
void tumble_sharder_range(const struct tumble_sharder *sharder, uint32_t shard, struct tumble_hash_range *out);
/* "shardId-000000000007" and a NUL. */
#define TUMBLE_SHARD_ID_TEXT 24
void tumble_shard_id_text(uint32_t shard, char out[TUMBLE_SHARD_ID_TEXT]);

/* ---- sequence numbers of payload input ---- */

/* 56 digits and a NUL made from the record's position in the whole input (1-based): the same in every run, ascending.
 * "49", as Kinesis's own begin, and the position padded with zeros: never a leading zero. */
#define TUMBLE_SEQUENCE_TEXT 57
void tumble_synthetic_sequence(uint64_t position, char out[TUMBLE_SEQUENCE_TEXT]);
/* Adds one to the text in place; cheaper than making it anew. */
void tumble_synthetic_sequence_next(char text[TUMBLE_SEQUENCE_TEXT]);

/* ---- virtual clock ---- */

/* Event time as the input shows it: the watermark is the greatest arrival so far over the whole input (design R10). */
struct tumble_virtual_clock {
    int64_t watermark_ms; /* -1: nothing seen */
    int64_t allowed_lateness_ms;
    int64_t window_ms;
    int64_t recent_start_ms; /* of some window: most arrivals are of the window of the one before; 0 is one */
};
enum tumble_arrival { TUMBLE_ARRIVAL_ON_TIME, TUMBLE_ARRIVAL_LATE };
/* Is a record that arrives now late: was its window closed by a record before it? Then moves the watermark. */
enum tumble_arrival tumble_virtual_clock_arrive(struct tumble_virtual_clock *clock, int64_t arrival_ms,
                                                int64_t *window_start_ms);
/* A window with this start is closed: end + allowed lateness <= watermark. */
int tumble_virtual_clock_closed(const struct tumble_virtual_clock *clock, int64_t window_start_ms);

/* ---- batches ---- */

#define TUMBLE_EVENT_LIMIT_BYTES 6291456 /* of the JSON event, base64 included (point 38) */

struct tumble_batch_limits {
    uint32_t batch_size;      /* 1 … 10,000 */
    size_t event_limit_bytes; /* TUMBLE_EVENT_LIMIT_BYTES */
    size_t arn_length;        /* bytes of the eventSourceARN, counted into each record */
};
/* Bytes this record takes in the event's JSON, written compactly (lambda-semantics 1.1), with the comma that parts it
 * from its neighbour; invokeIdentityArn, awsRegion and the timestamp by an assumed longest form (emulator/batcher.c).
 */
size_t tumble_event_record_bytes(const struct tumble_batch_limits *limits, size_t data_bytes,
                                 size_t partition_key_bytes, size_t sequence_digits, size_t shard_id_bytes);
/* Bytes of a windowed event around its records, the value of state excluded: a caller who knows it lowers
 * event_limit_bytes by its length. */
size_t tumble_event_envelope_bytes(const struct tumble_batch_limits *limits);

/* Cuts a run of records of one (shard, window) into batches. */
struct tumble_batcher {
    uint32_t records;
    size_t bytes;
};
/* Adds a record; returns 1 when the batch had to be cut before it (the record then begins the next batch). A record
 * that is beyond the event limit all by itself forms a batch of its own: Lambda would never deliver it (point 37), a
 * replay, which has no such envelope, does. */
int tumble_batcher_add(struct tumble_batcher *batcher, const struct tumble_batch_limits *limits, size_t record_bytes);
void tumble_batcher_reset(struct tumble_batcher *batcher);
/* Bytes of records for which the batch has room still. */
size_t tumble_batcher_room(const struct tumble_batcher *batcher, const struct tumble_batch_limits *limits);

#endif
