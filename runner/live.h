#ifndef TUMBLE_LIVE_H
#define TUMBLE_LIVE_H

/* Drives a live Kinesis stream through the engine to its outputs: the loop behind `tumble run`. docs/streams.md says
 * what it guarantees. Threads: it makes its own (readers, one that lists shards, one that keeps leases); everything
 * that is called back is called from the thread that runs, unless said otherwise. */

#include <stdint.h>

#include <tumble/engine.h>
#include <tumble/error.h>
#include <tumble/output.h>
#include <tumble/spec.h>

#include "adapters/inputs/kinesis/kinesis_stream.h"
#include "runner/replay.h"
#include "runner/watch.h"

/* Figures of a run as it goes on. */
struct tumble_live_progress {
    uint64_t records; /* read by this process */
    uint64_t bytes;
    uint32_t shards;   /* being read */
    uint32_t waiting;  /* shards that wait for their parents */
    int64_t behind_ms; /* most of what the shards said last; -1: nothing was said yet */
};

struct tumble_live_options {
    const struct tumble_spec *spec;
    struct tumble_kinesis_options stream;
    enum tumble_kinesis_start start; /* of a shard that nothing is known of: TRIM_HORIZON, LATEST, AT_TIMESTAMP */
    int64_t start_ms;                /* AT_TIMESTAMP */
    int64_t window_seconds;
    uint32_t batch_size;           /* 1 … 10,000 */
    int64_t batching_window_ms;    /* 0: records are applied as they come */
    int64_t maximum_record_age_ms; /* older records are late; -1: no limit */
    uint32_t threads;              /* that read, >= 1 */
    int64_t idle_ms;               /* of nothing at the tip until a shard's windows that are over are closed */
    int64_t commit_ms;             /* between commits */
    int until_idle;                /* end, closing every window, when the tip of every shard is reached */
    int64_t duration_ms;           /* end after this; 0: never */
    int keep_aggregates;
    const char *source;          /* NULL: the stream's ARN */
    const char *state_directory; /* NULL: a temporary one */
    enum tumble_durability durability;
    uint32_t sync_every;
    size_t memory_limit_bytes;
    const struct tumble_replay_output *outputs;
    size_t output_count;
    const struct tumble_replay_output *failures; /* NULL: none */
    int64_t output_timeout_ms;
    uint64_t outbox_limit_bytes;
    struct tumble_watch *watch; /* NULL: nobody looks */
    /* Several processes share the stream. NULL: this one has it alone. */
    const char *lease_table;
    const char *application; /* names the group of processes; NULL: made of source and spec */
    const char *worker_id;   /* for people; NULL: the host's name */
    int64_t lease_ms;
    /* Called now and then (not more often than every 100 ms); non-zero stops the run cleanly. May be NULL. */
    int (*progress)(void *ctx, const struct tumble_live_progress *progress);
    void *progress_ctx;
    int (*interrupted)(void *ctx); /* whether a signal came; from any thread; may be NULL */
    void *interrupted_ctx;
    void (*say)(void *ctx, const char *line); /* lines for people; may be NULL */
    void *say_ctx;
};

struct tumble_live_summary {
    struct tumble_counters counters; /* fates, windows and rows since the state was made */
    uint32_t shards;                 /* read by this process */
    uint64_t records_read;           /* records of Kinesis, by this process */
    uint64_t bytes_read;
    uint64_t batches;
    uint64_t aggregates_dropped; /* of the Kinesis Producer Library, with records that belong to other shards */
    uint64_t gaps;               /* places where records had aged out before they were read */
    uint64_t throttles;          /* of GetRecords; troubles: what failed otherwise and was tried again */
    uint64_t troubles;
    uint64_t iterators_expired; /* and renewed */
    uint64_t leases_taken;
    uint64_t leases_lost;
    uint64_t leases_given_up;                  /* to who asked for them */
    uint64_t shards_drained;                   /* read to their end */
    int64_t first_arrival_ms, last_arrival_ms; /* -1: no record */
    uint64_t iterator_ages;                    /* batches with records; of their last records' ages: */
    double iterator_age_sum_ms;
    int64_t iterator_age_least_ms, iterator_age_most_ms; /* -1: none */
    double seconds;
    uint64_t latency_count; /* batches measured */
    double latency_p50_us, latency_p90_us, latency_p99_us, latency_max_us;
    double commit_p50_us, commit_p99_us, commit_max_us;
    int resumed; /* the state held positions */
    int stopped; /* by a signal */
    char arn[TUMBLE_KINESIS_ARN];
};

/* Errors: as of tumble_kinesis_open, tumble_engine_open and tumble_engine_attach; ERECORD (what came before the record
 * is committed), EINPUT when the stream cannot be read any more. */
enum tumble_code tumble_live_run(const struct tumble_live_options *options, struct tumble_live_summary *summary,
                                 struct tumble_error *err);

#endif
