#ifndef TUMBLE_RUNNER_TUNE_RECORDS_H
#define TUMBLE_RUNNER_TUNE_RECORDS_H

#include <stdint.h>

#include "runner/capture_stream.h"

/* A capture read once, as streams of any number of shards that many emulations read at the same time. */

struct tumble_tune_records;

/* What the capture is. */
struct tumble_tune_capture {
    uint64_t records;
    uint64_t bytes; /* data and partition keys, as Kinesis counts them */
    uint64_t put_payload_units;
    uint64_t on_demand_bytes; /* each record in whole kB */
    int64_t start_ms;         /* from which a mapping reads, as a replay of the same capture would */
    int64_t first_arrival_ms, last_arrival_ms;
    uint32_t named_shards;           /* of a capture that tells each record's shard; 0: it does not */
    uint64_t busiest_second_records; /* of all shards together */
    uint64_t busiest_second_bytes;
    const char *event_source_arn; /* NULL: not told */
};

/* How a number of shards takes it. */
struct tumble_tune_load {
    uint32_t shards;
    uint64_t hottest_records;  /* of the shard that has the most */
    uint64_t peak_records;     /* of one shard in one second */
    uint64_t peak_bytes;       /* the same */
    uint64_t crowded_seconds;  /* seconds of a shard, beyond what it takes, summed over shards */
    uint64_t occupied_seconds; /* seconds of a shard with any record */
};
#define TUMBLE_SHARD_RECORDS_PER_SECOND 1000    /* that a shard takes: PutRecord(s) beyond it are throttled */
#define TUMBLE_SHARD_BYTES_PER_SECOND   1048576 /* the same, data and partition keys */

/* limit_bytes: that records may take in memory. Errors: those of tumble_capture_stream_open; ELIMIT. */
enum tumble_code tumble_tune_records_read(const struct tumble_capture_stream_options *source, size_t limit_bytes,
                                          struct tumble_tune_records **out, struct tumble_error *err);
void tumble_tune_records_free(struct tumble_tune_records *records); /* NULL allowed */
const struct tumble_tune_capture *tumble_tune_records_capture(const struct tumble_tune_records *records);

/* The records in a number of shards; 0: as the capture names them. Immutable once made: any thread may read. Partition
 * keys are spread by MD5 over equal ranges, as Kinesis does. */
struct tumble_tune_shards;
enum tumble_code tumble_tune_shards_new(const struct tumble_tune_records *records, uint32_t shards,
                                        struct tumble_tune_shards **out, struct tumble_error *err);
void tumble_tune_shards_free(struct tumble_tune_shards *shards); /* NULL allowed; before the records */
const struct tumble_tune_load *tumble_tune_shards_load(const struct tumble_tune_shards *shards);

/* One reading of them from their beginning. */
struct tumble_tune_reader;
enum tumble_code tumble_tune_reader_new(const struct tumble_tune_shards *shards, struct tumble_tune_reader **out,
                                        struct tumble_error *err);
void tumble_tune_reader_free(struct tumble_tune_reader *reader); /* NULL allowed */
const struct tumble_stream *tumble_tune_reader_view(const struct tumble_tune_reader *reader);

#endif
