#ifndef TUMBLE_MAPPING_H
#define TUMBLE_MAPPING_H

/* The event source mapping in virtual time: a discrete-event simulation of its pollers, from a stream's records to a
 * function's invocations and an on-failure destination. Reads no clock, starts no thread, does no I/O: the same input
 * gives the same run to the byte. One thread per mapping.
 *
 * Payloads are never copied, and nothing is allocated per record once the buffers have grown. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "emulator/emulated_function.h"
#include "emulator/event_json.h"
#include "emulator/mapping_parameters.h"
#include "emulator/stream.h"

/* Where AWS is silent: the choices made. docs/assumptions.md says on what evidence; each can be set. */
#define TUMBLE_POLL_INTERVAL_MS     1000    /* GetRecords of a shard that has nothing more; to a consumer it pushes */
#define TUMBLE_IDLE_MS              120000  /* quiet that ends a window ("up to 2 minutes") */
#define TUMBLE_STATE_LIMIT_BYTES    1048576 /* of `state` as JSON, above which a window is terminated early */
#define TUMBLE_RETRY_BACKOFF_MS     1000    /* before the first retry; doubles */
#define TUMBLE_RETRY_BACKOFF_MAX_MS 60000
#define TUMBLE_RETENTION_MS         86400000 /* of the stream: what ends retries without a limit */
#define TUMBLE_FUNCTION_TIMEOUT_MS  60000
#define TUMBLE_CONCURRENCY_LIMIT    1000  /* executions at a time; what is beyond is throttled */
#define TUMBLE_READ_AHEAD_RECORDS   20000 /* of a shard, beyond a batch for each lane, while a lane has nothing */

enum tumble_arrival_mode {
    TUMBLE_ARRIVAL_BACKLOG, /* the stream holds everything when the mapping starts */
    TUMBLE_ARRIVAL_LIVE     /* a record becomes visible at its arrival time */
};

enum tumble_idle_from {
    TUMBLE_IDLE_FROM_WINDOW_END, /* the quiet counts from the window's end or its last record, whichever is later */
    TUMBLE_IDLE_FROM_LAST_RECORD
};

enum tumble_failure_condition { TUMBLE_RETRY_ATTEMPTS_EXHAUSTED, TUMBLE_RECORD_AGE_EXCEEDED };

/* What goes to the on-failure destination: AWS's document, and what it is made of. Views live during the call. */
struct tumble_failure {
    enum tumble_failure_condition condition;
    const char *request_id;
    uint32_t shard;
    const struct tumble_stream_record *records; /* none for a final */
    size_t record_count;
    int has_window;
    int64_t window_start_ms;
    int64_t window_end_ms;
    struct tumble_bytes state; /* that the invocation was given */
    int is_final;
    int is_terminated_early;
    int64_t at_ms;
    struct tumble_bytes document; /* one JSON object without a newline */
    const char *s3_key;           /* for a bucket (an ARN of S3, or s3://); NULL otherwise */
};

struct tumble_mapping_options {
    struct tumble_alloc alloc;
    enum tumble_arrival_mode arrival;
    int64_t start_ms; /* when the mapping begins to poll */
    int has_pause;    /* disabled in [disabled_from_ms, enabled_again_ms): what runs then ends, nothing begins */
    int64_t disabled_from_ms;
    int64_t enabled_again_ms; /* INT64_MAX: never */
    int64_t poll_interval_ms; /* 0: the default; -1: none */
    int64_t idle_ms;          /* 0: the default; -1: never before the input ends */
    enum tumble_idle_from idle_from;
    size_t state_limit_bytes; /* 0: the default, as in what follows */
    size_t event_limit_bytes;
    int64_t retry_backoff_ms; /* -1: none */
    int64_t retry_backoff_max_ms;
    int64_t retention_ms; /* -1: for ever */
    int64_t function_timeout_ms;
    size_t read_ahead_records;
    uint32_t concurrency_limit;       /* of the function: ReservedConcurrentExecutions, or the account's */
    int final_without_state_succeeds; /* 0: a final's response has to have a state like any other */
    int dropped_needs_destination;    /* 1: without a destination nothing counts as DroppedEventCount (as seen once) */
    const char *executed_version;     /* of the function in documents; NULL: "$LATEST" */
    struct tumble_event_form form;    /* of the event that a bucket's document holds, and of its size */
    uint64_t seed;                    /* of request ids */
    int failures_with_records;        /* documents get a member "records": the records themselves, as in the event */
    /* The on-failure destination. *delivered: whether it took the document. An error ends the emulation. NULL: none. */
    void *failure_ctx;
    enum tumble_code (*on_failure)(void *ctx, const struct tumble_failure *failure, int *delivered,
                                   struct tumble_error *err);
    /* Called before each invocation and whenever time passes without one, with the virtual time; may wait. Non-zero
     * ends the run between two invocations. May be NULL. */
    void *pace_ctx;
    int (*pace)(void *ctx, int64_t now_ms);
};

struct tumble_mapping_span { /* of a metric's values */
    uint64_t count;
    double sum, least, most;
};

/* AWS's metrics by AWS's names (lambda-semantics 5), and figures of our own. */
struct tumble_mapping_metrics {
    uint64_t invocations; /* not throttled ones */
    uint64_t errors;
    uint64_t throttles;
    uint64_t destination_delivery_failures;
    uint64_t concurrent_executions; /* the most at a time */
    struct tumble_mapping_span duration_ms;
    struct tumble_mapping_span iterator_age_ms; /* not of record-less finals (point 52) */
    uint64_t polled_event_count;
    uint64_t filtered_out_event_count;
    uint64_t invoked_event_count; /* retries too */
    uint64_t failed_invoke_event_count;
    uint64_t dropped_event_count;
    uint64_t on_failure_destination_delivered_event_count;
    /* ours */
    uint64_t skipped_by_starting_position;
    uint64_t lost_to_retention; /* records; finals that the stream outlived are not records */
    uint64_t discarded_records; /* given up, wherever they went */
    uint64_t discarded_finals;
    uint64_t succeeded_records;
    uint64_t windows; /* finals that succeeded, early ones excepted */
    uint64_t early_terminations;
    uint64_t reopened_by_late_records; /* windows begun at or before one that was closed already (point 48) */
    int64_t end_ms;                    /* virtual time of the last event */
};

struct tumble_mapping;

/* Everything is borrowed and has to outlive the mapping, parameters too. Errors: EUSAGE, EINVAL, EPATTERN, ENOMEM. */
enum tumble_code tumble_mapping_new(const struct tumble_mapping_parameters *parameters,
                                    const struct tumble_mapping_options *options, const struct tumble_stream *stream,
                                    const struct tumble_emulated_function *function, struct tumble_mapping **out,
                                    struct tumble_error *err);
void tumble_mapping_destroy(struct tumble_mapping *mapping); /* NULL allowed */

/* Runs until the stream is drained and every window closed, or pace says stop. Errors: those of the callbacks, ENOMEM.
 */
enum tumble_code tumble_mapping_run(struct tumble_mapping *mapping, struct tumble_error *err);
const struct tumble_mapping_metrics *tumble_mapping_metrics(const struct tumble_mapping *mapping);

#endif
