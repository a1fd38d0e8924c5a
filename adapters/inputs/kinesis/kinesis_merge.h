#ifndef TUMBLE_KINESIS_MERGE_H
#define TUMBLE_KINESIS_MERGE_H

#include "adapters/inputs/kinesis/kinesis_stream.h"

/* All shards of a stream as one sequence of records, by arrival; of a shard in its own order, a child's records behind
 * its parents'. One thread: a merge polls its shards one after another and holds what one poll of each brought. */

enum tumble_kinesis_until {
    TUMBLE_KINESIS_UNTIL_TIP = 0, /* what each shard holds when it is first read to its tip */
    TUMBLE_KINESIS_UNTIL_TIME,    /* records that arrived before until_ms, which may lie ahead */
    TUMBLE_KINESIS_UNTIL_STOPPED  /* new shards too, until the caller has enough */
};

struct tumble_kinesis_merge_options {
    struct tumble_kinesis_stream *stream; /* used, and its list of shards, until close */
    enum tumble_kinesis_start start;      /* TRIM_HORIZON, LATEST or AT_TIMESTAMP, of every shard; shards that are made
                                             later are read from their beginning */
    int64_t timestamp_ms;
    enum tumble_kinesis_until until;
    int64_t until_ms;
    const char *const *shard_ids; /* only these; count 0: all there are. Copied */
    size_t shard_id_count;
    int limit;           /* records of one GetRecords; 0: what lets all shards together hold 20,000, 10,000 at most */
    int64_t patience_ms; /* how long a shard may fail before that is an error; 0: 5 minutes */
};

struct tumble_kinesis_merge;

/* Lists the shards. Errors: as tumble_kinesis_shards; EUSAGE (a shard that there is not: names those there are). */
enum tumble_code tumble_kinesis_merge_open(const struct tumble_kinesis_merge_options *options,
                                           struct tumble_kinesis_merge **out, struct tumble_error *err);
void tumble_kinesis_merge_close(struct tumble_kinesis_merge *merge); /* NULL allowed */

enum tumble_kinesis_step {
    TUMBLE_KINESIS_STEP_RECORD, /* record and shard_id are set, until the next call */
    TUMBLE_KINESIS_STEP_WAIT,   /* nothing to do before wait_until_steady_ms */
    TUMBLE_KINESIS_STEP_END     /* no more records will come */
};

struct tumble_kinesis_merged {
    enum tumble_kinesis_step step;
    const struct tumble_kinesis_read *record;
    const char *shard_id;
    int64_t wait_until_steady_ms;
};
/* Polls at most one shard. Errors: as tumble_kinesis_reader_poll; EINPUT (a shard failed for longer than patience). */
enum tumble_code tumble_kinesis_merge_next(struct tumble_kinesis_merge *merge, struct tumble_kinesis_merged *out,
                                           struct tumble_error *err);

struct tumble_kinesis_merge_facts {
    uint64_t records;
    uint64_t bytes; /* of data and keys */
    uint32_t shards;
    uint32_t shards_done;
    int64_t first_arrival_ms; /* of a record that was given; -1: none was */
    int64_t last_arrival_ms;
    int64_t behind_ms; /* the most of all shards, as they last said; -1: none did */
    struct tumble_kinesis_reader_facts reads;
    const char *trouble; /* what fails now; NULL: nothing does. Until the next call */
    const char *trouble_shard;
    int64_t failing_for_ms;
    const struct tumble_kinesis_gap *gap; /* that this call came upon, in gap_shard; NULL: none */
    const char *gap_shard;
};
void tumble_kinesis_merge_facts(const struct tumble_kinesis_merge *merge, struct tumble_kinesis_merge_facts *out);

#endif
