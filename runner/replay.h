#ifndef TUMBLE_REPLAY_H
#define TUMBLE_REPLAY_H

/* Drives a capture through sharding, batching and the engine to its outputs: the loop behind `tumble replay`. */

#include <stdint.h>

#include <tumble/engine.h>
#include <tumble/error.h>
#include <tumble/output.h>
#include <tumble/spec.h>

#include "adapters/inputs/capture/capture.h"

struct tumble_watch; /* runner/watch.h */

struct tumble_replay_output {
    const char *uri; /* identifies the output in the state */
    const struct tumble_output_api *api;
    const char *target;
    const struct tumble_option_value *options;
    size_t option_count;
};

struct tumble_replay_options {
    const struct tumble_spec *spec;
    const char *const *paths;
    size_t path_count;
    enum tumble_capture_format format;
    const char *records_at;
    const char *partition_key_field; /* NULL: the capture's own, or the record's number */
    const char *timestamp_field;     /* arrival time of payload input; NULL: not given */
    int timestamp_overrides;         /* take it for captures that carry arrival times too */
    struct tumble_timestamp_format timestamp_format;
    int64_t window_seconds;
    uint32_t shards;  /* 0: not asked for (1) */
    uint32_t threads; /* >= 1 */
    uint32_t batch_size;
    int64_t allowed_lateness_seconds;
    int sort;
    int keep_aggregates;         /* what the Kinesis Producer Library aggregated is one record */
    const char *source;          /* NULL: from the inputs */
    const char *state_directory; /* NULL: a temporary one, or none where nothing can wait */
    enum tumble_durability durability;
    uint32_t sync_every;
    size_t memory_limit_bytes;
    const struct tumble_replay_output *outputs;
    size_t output_count;
    const struct tumble_replay_output *failures; /* NULL: none */
    int64_t output_timeout_ms;                   /* how long an output that takes nothing is waited for at the end */
    uint64_t outbox_limit_bytes; /* rows that may wait for an output in trouble while the run goes on; 0: no limit */
    struct tumble_watch *watch;  /* told how the run goes; NULL: nobody looks */
    /* Called now and then from the thread that runs (not more often than every 100 ms); may be NULL. Returning non-zero
     * stops the run cleanly after the commit at hand (a signal came): summary.stopped is then 1. */
    int (*progress)(void *ctx, int64_t done_bytes, int64_t total_bytes, uint64_t records);
    void *progress_ctx;
    /* Whether a signal came; from any thread, for outputs that block; may be NULL. */
    int (*interrupted)(void *ctx);
    void *interrupted_ctx;
    /* Lines for people (warnings, notes); may be NULL. */
    void (*say)(void *ctx, const char *line);
    void *say_ctx;
};

/* Figures of a run, for --summary. Fates, windows and rows count from the beginning of the state; the others this
 * process. */
struct tumble_replay_summary {
    struct tumble_counters counters;
    enum tumble_capture_format format;
    uint32_t shards;
    uint64_t batches;
    uint64_t records_read; /* by this process */
    uint64_t bytes_read;   /* decompressed, by this process */
    double seconds;
    uint64_t latency_count; /* batches measured */
    double latency_p50_us, latency_p90_us, latency_p99_us, latency_max_us;
    int64_t first_arrival_ms, last_arrival_ms;
    int resumed;         /* the state held a position */
    int complete_before; /* the state was complete: nothing was done */
    int stopped;         /* progress asked to stop */
};

enum tumble_code tumble_replay_run(const struct tumble_replay_options *options, struct tumble_replay_summary *summary,
                                   struct tumble_error *err);

#endif
