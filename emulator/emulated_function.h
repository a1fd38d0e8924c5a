#ifndef TUMBLE_EMULATED_FUNCTION_H
#define TUMBLE_EMULATED_FUNCTION_H

/* What an event source mapping invokes. One call is one attempt at one invocation, from the event to what Lambda would
 * see of it; the time it takes is virtual and said in the answer. */

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "emulator/stream.h"

#define TUMBLE_REQUEST_ID_TEXT 37 /* a UUID and a NUL */

struct tumble_function_request {
    const char *request_id;    /* the same in each unchanged retry (point 29) */
    const char *invocation_id; /* another one in each attempt */
    uint32_t attempt;          /* of this request id, throttled ones included; 1: the first */
    uint32_t slot; /* 0 … concurrency - 1: two requests of one slot never overlap. As good as a sandbox's number */
    uint32_t shard;
    uint32_t lane; /* of the shard, 0 … ParallelizationFactor - 1: its requests come one after the other */
    struct tumble_bytes shard_id;
    struct tumble_bytes event_source_arn;
    const struct tumble_stream_record *records;
    size_t record_count;
    /* How many records right before *records the function has answered for in this window: they lie at records[-1] and
     * below, so that a fault can deliver them again. */
    size_t answered_count;
    int has_window;
    int64_t window_start_ms;
    int64_t window_end_ms;
    struct tumble_bytes state; /* JSON text, "{}" in a window's first event; without a window empty */
    int is_final;
    int is_terminated_early;
    int64_t sent_ms;     /* virtual */
    int64_t deadline_ms; /* sent_ms + the function's time-out */
};

enum tumble_answer_kind {
    TUMBLE_ANSWER_RESPONSE,
    TUMBLE_ANSWER_ERROR,     /* the function said it failed: functionError "Unhandled" */
    TUMBLE_ANSWER_TIMED_OUT, /* the same to the mapping; the sandbox is gone */
    TUMBLE_ANSWER_CRASHED,   /* the same to the mapping; the sandbox is gone */
    TUMBLE_ANSWER_THROTTLED, /* the function did not run; takes no retry (point 36) */
    TUMBLE_ANSWER_LOST       /* it may have run, and Lambda itself failed to say: takes no retry either */
};

struct tumble_function_answer {
    enum tumble_answer_kind kind;
    struct tumble_bytes response; /* of RESPONSE; lives until the function's next call */
    int64_t duration_us;          /* virtual */
};

struct tumble_emulated_function {
    void *ctx;
    /* An error ends the emulation: it is not the function's, but of whoever runs it. */
    enum tumble_code (*invoke)(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err);
    /* The slot's sandbox ends, with all it holds in memory; the next request begins in a new one. May be NULL. */
    enum tumble_code (*recycle)(void *ctx, uint32_t slot, struct tumble_error *err);
};

#endif
