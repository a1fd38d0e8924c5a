#ifndef TUMBLE_STREAM_H
#define TUMBLE_STREAM_H

/* The stream that an emulated event source mapping reads: shards, and their records in order. */

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

/* A record as Kinesis holds it; the bytes belong to the stream. */
struct tumble_stream_record {
    struct tumble_bytes data; /* not base64 */
    struct tumble_bytes partition_key;
    struct tumble_bytes sequence; /* digits, without leading zeros */
    int64_t arrival_ms;           /* approximateArrivalTimestamp */
};

#define TUMBLE_NO_SHARD UINT32_MAX

struct tumble_stream_shard {
    char id[32]; /* "shardId-000000000007" */
    uint32_t
        parents[2]; /* index, or TUMBLE_NO_SHARD: read once these are drained, their last window closed (point 45) */
    int is_closed;  /* by a split or a merge: what follows its last record is the end of the shard, not silence */
};

struct tumble_stream {
    void *ctx;
    const struct tumble_stream_shard *shards;
    uint32_t shard_count;
    /* The shard's next records in ascending order of sequence number (sub-records that Lambda split share theirs): at
     * most capacity, *count 0 when there are no more. What out points to lives until done has passed it. */
    enum tumble_code (*read)(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                             size_t *count, struct tumble_error *err);
    /* Nobody looks at the shard's first `position` records any more; NULL: not wanted. */
    void (*done)(void *ctx, uint32_t shard, uint64_t position);
};

#endif
