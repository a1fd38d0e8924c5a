#ifndef TUMBLE_KINESIS_STREAM_H
#define TUMBLE_KINESIS_STREAM_H

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

/* A live Kinesis stream: its shards, and readers that poll one shard each. See docs/streams.md.
 *
 * Threads: a stream belongs to one thread at a time, and so does a reader. Each has its own connection, so readers and
 * their stream may be used by as many threads as there are of them; hooks are called from all of these. */

/* What the adapter asks of its process; for tests. Steady time never steps; every *_steady_ms below is on it. */
struct tumble_kinesis_clock {
    void *ctx;
    int64_t (*now_ms)(void *ctx);    /* wall clock, since 1970 UTC */
    int64_t (*steady_ms)(void *ctx); /* CLOCK_MONOTONIC in the real one */
    void (*sleep_ms)(void *ctx, int64_t how_long);
    uint64_t (*random)(void *ctx); /* for jitter */
};

/* Zeroed members mean the default. Texts are copied. */
struct tumble_kinesis_options {
    const char *stream;       /* name, or ARN, whose region then counts */
    const char *region;       /* NULL: as AWS's tools find it. Another than the ARN's is EUSAGE */
    const char *endpoint_url; /* NULL: AWS_ENDPOINT_URL_KINESIS …, or AWS's own */
    const char *profile;
    const char *ca_bundle;
    struct tumble_alloc alloc;                /* callable from every thread that reads */
    const struct tumble_kinesis_clock *clock; /* borrowed until everything is closed; NULL: the system's */
    int (*interrupted)(void *ctx); /* non-zero: whatever waits or talks ends with EINTERRUPTED; may be NULL */
    void *interrupted_ctx;
    int64_t creating_wait_ms;   /* a stream that is being made is waited for; 0: 5 minutes, negative: not at all */
    int64_t call_ms;            /* limit of one attempt of a call; 0: 30 s */
    int max_attempts;           /* of calls other than GetRecords; 0: AWS_MAX_ATTEMPTS, or AWS's default */
    int calls_per_second;       /* GetRecords of a shard; 0: 5, which is all that AWS allows all its readers together */
    int64_t bytes_per_second;   /* of a shard; 0: 2 MiB, which is all that AWS allows; negative: any number */
    int64_t idle_ms;            /* between polls at the tip of a shard; 0: 1 s, as Lambda's */
    int64_t max_response_bytes; /* of one GetRecords; 0: 64 MiB. A larger one is asked for again with fewer records */
};

enum {
    TUMBLE_KINESIS_ID = 129,       /* shard id with its NUL */
    TUMBLE_KINESIS_SEQUENCE = 129, /* sequence number with its NUL */
    TUMBLE_KINESIS_NAME = 129,
    TUMBLE_KINESIS_ARN = 2049,
    TUMBLE_KINESIS_RECORDS = 10000 /* most that one GetRecords gives */
};

struct tumble_kinesis_stream;

/* Finds the stream: reads the configuration, resolves the name to an ARN (DescribeStreamSummary), waits while it is
 * being made. Errors, each of which says what to do: EUSAGE (name, region, credentials, certificate), EINPUT (no such
 * stream, being deleted, access denied, not to be reached), EINTERRUPTED, ENOMEM. */
enum tumble_code tumble_kinesis_open(const struct tumble_kinesis_options *options, struct tumble_kinesis_stream **out,
                                     struct tumble_error *err);
void tumble_kinesis_close(struct tumble_kinesis_stream *stream); /* NULL allowed; readers may outlive it */

/* As of open, or of the last tumble_kinesis_refresh. */
struct tumble_kinesis_facts {
    const char *name;
    const char *arn;    /* the stream's own, never a consumer's */
    const char *region; /* of the ARN */
    const char *status; /* "ACTIVE", "UPDATING" */
    int64_t retention_ms;
    int64_t created_ms; /* a stream of the same name made anew has another one; -1: not told */
    uint32_t open_shards;
    int encrypted; /* with a KMS key */
};
void tumble_kinesis_facts(const struct tumble_kinesis_stream *stream, struct tumble_kinesis_facts *out);
/* Errors: as of tumble_kinesis_shards; EINPUT also when the stream was deleted and made anew since it was opened. */
enum tumble_code tumble_kinesis_refresh(struct tumble_kinesis_stream *stream, int *may_pass, struct tumble_error *err);

/* Both ends belong to the shard's range. */
struct tumble_kinesis_hash {
    uint64_t high;
    uint64_t low;
};

struct tumble_kinesis_shard {
    char id[TUMBLE_KINESIS_ID];
    char parent_id[TUMBLE_KINESIS_ID];   /* "": none, or so long gone that Kinesis no longer says */
    char adjacent_id[TUMBLE_KINESIS_ID]; /* the other parent, of a merge; "": none */
    /* Index of the parent and of the adjacent parent in the list; UINT32_MAX: none, or not listed any more (its records
     * have aged out, nothing of it can be read). */
    uint32_t parents[2];
    struct tumble_kinesis_hash begin;
    struct tumble_kinesis_hash end;
    char starting_sequence[TUMBLE_KINESIS_SEQUENCE];
    int is_closed; /* it has an ending sequence number (which itself is not to be relied on) */
};

/* Lists every shard the stream still has, closed ones too, ordered by id (a parent before its children). The array
 * belongs to the stream and lives until the next call or close. AWS allows 1,000 ListShards a second for all, so once
 * in some seconds is fine.
 * may_pass (NULL allowed): set on failure: 1 when the same call may do better later (throttled, 5xx, no connection).
 * Errors: EINPUT (gone, or made anew since the call before), EUSAGE, ELIMIT (more than 10,000 shards), EINTERRUPTED,
 * ENOMEM. */
enum tumble_code tumble_kinesis_shards(struct tumble_kinesis_stream *stream, const struct tumble_kinesis_shard **shards,
                                       size_t *count, int *may_pass, struct tumble_error *err);

/* Where a reader begins. */
enum tumble_kinesis_start {
    TUMBLE_KINESIS_TRIM_HORIZON = 0,
    TUMBLE_KINESIS_LATEST,
    TUMBLE_KINESIS_AT_TIMESTAMP,
    TUMBLE_KINESIS_AT_SEQUENCE_NUMBER,   /* the record of that number and what follows */
    TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER /* what follows it */
};

struct tumble_kinesis_position {
    enum tumble_kinesis_start start;
    int64_t timestamp_ms;         /* AT_TIMESTAMP */
    struct tumble_bytes sequence; /* of a record of that shard; borrowed for the call of open */
    int64_t arrival_ms;           /* of that record, to tell how long a gap is; 0 or -1: not known */
};

/* A record as read: struct tumble_record and struct tumble_stream_record take its views as they are. */
struct tumble_kinesis_read {
    struct tumble_bytes data; /* base64 undone; an aggregate of the Kinesis Producer Library is one record */
    struct tumble_bytes partition_key;
    struct tumble_bytes sequence_number; /* checked: digits, without leading zeros */
    int64_t arrival_ms;                  /* approximateArrivalTimestamp, rounded */
    const char *bad;                     /* NULL, or why data is not what was put: it then holds the raw text */
    int kms;                             /* encryptionType KMS */
};

/* Records that aged out before they were read. */
struct tumble_kinesis_gap {
    struct tumble_bytes after;  /* sequence number of the last record read or asked for */
    struct tumble_bytes before; /* of the first record there is; empty: the shard ended without one */
    int64_t after_ms;           /* arrival of these; -1: not known */
    int64_t before_ms;
};

struct tumble_kinesis_child {
    const char *id;
    const char *parents[2]; /* NULL: one only */
    struct tumble_kinesis_hash begin;
    struct tumble_kinesis_hash end;
};

/* What a poll brought. Views live until the reader's next poll or close. */
struct tumble_kinesis_batch {
    const struct tumble_kinesis_read *records; /* ascending sequence numbers, each above all given before */
    size_t count;
    uint64_t bytes;               /* of data and partition keys */
    int asked;                    /* a GetRecords was answered (with records or without) */
    int at_tip;                   /* that answer left nothing in the shard: 0 behind, and fewer records than asked for
                                     (some servers say 0 always) */
    int64_t millis_behind_latest; /* of that answer: 0 at the tip of the shard; -1: none yet, or not told */
    int64_t answered_ms;          /* wall clock when it came; 0: not asked */
    int is_end; /* the shard is closed and read to its end, these records being the last; every further
                   poll says so again */
    const struct tumble_kinesis_child
        *children; /* with is_end, where Kinesis told; none: look into the list of shards */
    size_t child_count;
    const struct tumble_kinesis_gap *gap; /* in front of these records; NULL: none */
    int iterator_renewed;                 /* the old one had expired */
    int64_t next_poll_steady_ms;          /* nothing comes of polling before that */
    /* A failure that may pass: OK is returned, nothing came, and the next poll tries again where this one stood.
     * NULL: none. The caller decides how long is too long. */
    const char *trouble;    /* "kinesis GetRecords: 400 ProvisionedThroughputExceededException: …" */
    int throttled;          /* the trouble is of that kind */
    uint32_t failures;      /* polls in a row that failed, this one included */
    int64_t failing_for_ms; /* since the first of them */
    int64_t get_records_ms; /* how long the call took */
};

struct tumble_kinesis_reader;

/* Sends nothing. limit: records of one poll, 1 to 10,000; 0: 10,000. stream is only looked at, for its options and
 * name: readers may be opened from any thread while it is open and not being refreshed.
 * Errors: ENOMEM, EINVAL (limit, shard id), ESEQUENCE, ETIMESTAMP, EUSAGE. */
enum tumble_code tumble_kinesis_reader_open(const struct tumble_kinesis_stream *stream, const char *shard_id,
                                            const struct tumble_kinesis_position *position, int limit,
                                            struct tumble_kinesis_reader **out, struct tumble_error *err);
void tumble_kinesis_reader_close(struct tumble_kinesis_reader *reader); /* NULL allowed */

/* Sends one GetRecords at most (and a GetShardIterator before it, at the beginning, after a failure or when the
 * iterator expired). Called before next_poll_steady_ms it sends nothing and brings nothing. Never sleeps: it lasts as
 * long as the calls do.
 * Errors, after which the reader can only be closed but for ENOMEM and EINTERRUPTED: EINPUT (the stream or shard is
 * gone, access denied, the position is no longer one of this stream: says what to do), EUSAGE (credentials,
 * certificate, a timestamp in the future), EINTERRUPTED, ENOMEM, ELIMIT (one record alone is over max_response_bytes),
 * EORDER (a record does not stand above the one before it: none of the answer is given). Records that were given before
 * are left out. */
enum tumble_code tumble_kinesis_reader_poll(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                                            struct tumble_error *err);

const char *tumble_kinesis_reader_shard(const struct tumble_kinesis_reader *reader);

/* What a reader did, for metrics. */
struct tumble_kinesis_reader_facts {
    uint64_t get_records;   /* answered */
    uint64_t get_iterators; /* answered */
    uint64_t records;
    uint64_t bytes;
    uint64_t throttles;
    uint64_t failures; /* others that may pass */
    uint64_t renewals; /* expired iterators */
    uint64_t gaps;
};
void tumble_kinesis_reader_facts(const struct tumble_kinesis_reader *reader, struct tumble_kinesis_reader_facts *out);

/* The clock that next_poll_steady_ms is on, and the wall's. Any thread, while the stream is open. */
int64_t tumble_kinesis_steady_ms(const struct tumble_kinesis_stream *stream);
int64_t tumble_kinesis_now_ms(const struct tumble_kinesis_stream *stream);

#endif
