#ifndef TUMBLE_INVOKE_H
#define TUMBLE_INVOKE_H

/* One Lambda invocation: the bytes of a time-window event in, the bytes of its response out. The event's `state` is the
 * truth; what an engine keeps between invocations (memory, cache directory) is a cache that is used only when its
 * digest is the event's, so a failed invocation, another sandbox or a frozen process can never leave a trace.
 *
 * Threads: one engine is used by one thread at a time; any number of engines may live in a process. */

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/engine.h>
#include <tumble/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUMBLE_INLINE_STATE_LIMIT 900000u  /* default, in bytes of `state` as JSON; Lambda ends a window above 1 MB */
#define TUMBLE_EVENT_LIMIT        6291556u /* bytes of an event, and of a response */

/* Where the bytes of a state over the inline limit go. Objects are named by their content and never change; marks (how
 * far a final came before its deadline) are small and are written again under the same name. A name holds [0-9a-z/-]
 * only. Every function returns after the bytes are durable, and takes a repeated call. */
struct tumble_spill_store {
    void *ctx;
    enum tumble_code (*put)(void *ctx, const char *name, struct tumble_bytes bytes, struct tumble_error *err);
    /* *out lives until the next call; data NULL: there is no such object (not an error). Refuses (ELIMIT) one of more
     * than max_bytes. */
    enum tumble_code (*get)(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                            struct tumble_error *err);
    enum tumble_code (*remove)(void *ctx, const char *name, struct tumble_error *err); /* one that is gone: OK */
};

/* Time, which an engine does not read by itself. */
struct tumble_host {
    void *ctx;
    int64_t (*remaining_ms)(void *ctx);            /* before the invocation must have been answered; NULL: no end */
    void (*sleep_ms)(void *ctx, int64_t how_long); /* between attempts at an output; NULL: no second attempt */
};

struct tumble_carried_options {
    size_t inline_state_limit;              /* 0: TUMBLE_INLINE_STATE_LIMIT */
    const struct tumble_spill_store *spill; /* NULL: none; borrowed */
    const char *cache_directory;            /* of spilled objects; NULL: none. Trouble with it is never an error */
    int report_batch_item_failures;         /* the mapping lists ReportBatchItemFailures */
    struct tumble_host host;
};

/* Opens an engine for tumble_engine_invoke. Of options, window_seconds, state_directory, sync_every, read_only, verify
 * and extra_fields are not used: the event names the window; durability NONE spares outputs their syncing (a trial,
 * whose rows can be made again), anything else does not. Such an engine takes, beside invoke, only attach, counters and
 * destroy. Errors: ENOMEM, EINVAL, ESPEC. */
TUMBLE_EXPORT enum tumble_code tumble_engine_open_carried(const struct tumble_engine_options *options,
                                                          const struct tumble_carried_options *carried,
                                                          struct tumble_engine **out, struct tumble_error *err);

/* What one invocation did. */
struct tumble_invoked {
    struct tumble_bytes response; /* JSON to answer with; lives until the engine's next call */
    const char *error_type;       /* on failure: "Tumble.BadRecord" and the like; docs/lambda.md lists them */
    uint64_t records;             /* = the sum of fates */
    uint64_t fates[TUMBLE_FATE_COUNT];
    uint64_t reported; /* 1: the response names a record from which Lambda retries */
    uint64_t skipped;  /* 1: the event begins beyond the record that the last answer reported: Lambda has given it up */
    uint64_t groups;   /* in the window afterwards */
    uint64_t rows;     /* that outputs acknowledged */
    uint64_t output_retries;
    uint64_t state_bytes;    /* of `state` in the response, as JSON */
    uint64_t spilled_bytes;  /* written to the spill store */
    uint64_t fetched_bytes;  /* read from it */
    int cache_hit;           /* the accumulators, or every object of the state, were here already */
    int is_final;            /* isFinalInvokeForWindow */
    int is_terminated_early; /* isWindowTerminatedEarly */
    int64_t last_arrival_ms; /* of the event's last record; -1: it has none (for the iterator age) */
    int64_t window_start_ms;
    int64_t window_end_ms;
};

/* Handles one event: Kinesis or DynamoDB Streams, with a window. On a final the rows are delivered to the attached
 * outputs before it returns. On failure out->error_type is set, out->response is the error document Lambda expects
 * ({"errorMessage":…,"errorType":…,"stackTrace":[]}), err says what to do, nothing of the event is kept, and the next
 * invocation works. Counts in out are filled as far as the invocation came. */
TUMBLE_EXPORT enum tumble_code tumble_engine_invoke(struct tumble_engine *engine, struct tumble_bytes event,
                                                    struct tumble_invoked *out, struct tumble_error *err);

/* The same event as structs, for a host that has them already: no base64, no JSON but the state's. Views are borrowed
 * for the call. */
struct tumble_window_batch {
    struct tumble_bytes shard_id;
    struct tumble_bytes event_source_arn;
    int64_t window_start_ms;
    int64_t window_end_ms;
    struct tumble_bytes state;           /* JSON text, as the last response had it; empty or "{}": none yet */
    const struct tumble_record *records; /* data is the payload, or an aggregate of the Kinesis Producer Library;
                                            values are not looked at; sub_sequence_number is 0 */
    size_t record_count;
    int is_final;
    int is_terminated_early;
};
/* As tumble_engine_invoke, response and all. */
TUMBLE_EXPORT enum tumble_code tumble_engine_invoke_batch(struct tumble_engine *engine,
                                                          const struct tumble_window_batch *batch,
                                                          struct tumble_invoked *out, struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
