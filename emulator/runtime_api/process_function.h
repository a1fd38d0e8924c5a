#ifndef TUMBLE_PROCESS_FUNCTION_H
#define TUMBLE_PROCESS_FUNCTION_H

/* Any program that speaks Lambda's Runtime API, as the function of an event source mapping: our own bootstrap, one of
 * AWS's runtime clients, a shell script with curl.
 *
 * A sandbox is one process and a Runtime API on a port of its own on 127.0.0.1. There are as many as slots that the
 * mapping asks for; each begins with the slot's first request. The command is run by `/bin/sh -c`, in the caller's
 * directory and environment, with Lambda's variables set over it:
 *   AWS_LAMBDA_RUNTIME_API, AWS_LAMBDA_FUNCTION_NAME, AWS_LAMBDA_FUNCTION_VERSION, AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
 *   AWS_LAMBDA_LOG_GROUP_NAME, AWS_LAMBDA_LOG_STREAM_NAME, AWS_LAMBDA_INITIALIZATION_TYPE
 * and, where the caller has none: _HANDLER, LAMBDA_TASK_ROOT (the current directory), AWS_REGION, AWS_DEFAULT_REGION,
 * TZ. /tmp is the machine's: sandboxes share it, unlike Lambda's.
 *
 * Life of a sandbox, as Lambda's: 10 s to ask for the first event, else it is started again within the invocation
 * (which then has the function's time-out for both); SIGKILL at the time-out; a new process at the next invocation
 * after a crash or a time-out. A sandbox that ends otherwise gets SIGTERM if an extension registered, and 500 ms (2 s
 * if one asked for SHUTDOWN); else SIGKILL. Nothing outlives the process that opened this, however it ends: process
 * groups are killed, by a guard process if nobody else is left to do it.
 *
 * Threads: one at a time; there are none inside. It forks, so open it early. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "emulator/emulated_function.h"
#include "emulator/event_json.h"

#define TUMBLE_PROCESS_TIMEOUT_MS      3000  /* Lambda's default */
#define TUMBLE_PROCESS_INIT_TIMEOUT_MS 10000 /* until the first next */
#define TUMBLE_PROCESS_MEMORY_MB       128
#define TUMBLE_PROCESS_SLOTS_MAX       10000
#define TUMBLE_PROCESS_BEGINNINGS      3 /* invocations that may fail because nothing ever began: Lambda goes on */

struct tumble_process_options {
    struct tumble_alloc alloc;
    const char *command;
    const char *function_name;    /* NULL: "function" */
    const char *function_version; /* NULL: "$LATEST" */
    const char *function_arn;     /* NULL: made of the name */
    const char *handler;          /* NULL: "bootstrap" */
    uint32_t memory_mb;           /* told, not enforced; 0: the default, as in what follows */
    int64_t timeout_ms;
    int64_t init_timeout_ms;
    int64_t duration_us;           /* what an invocation takes in virtual time; 0: what it took */
    uint64_t lifetime_invocations; /* after which a sandbox is recycled; 0: never */
    int64_t lifetime_ms;           /* in virtual time; 0: no limit */
    int log_fd;                    /* where the processes' standard output and error go; below 1: standard error */
    struct tumble_event_form form;
    /* Both may be NULL. stopping: asked while waiting, at least five times a second; non-zero ends the invocation with
     * EINTERRUPTED. say: what a function's log would say about it, one line without a newline. */
    void *ctx;
    int (*stopping)(void *ctx);
    void (*say)(void *ctx, const char *line);
};

struct tumble_process_figures {
    uint64_t invocations;
    uint64_t starts;      /* of processes */
    uint64_t init_errors; /* that a function posted */
    uint64_t init_timeouts;
    uint64_t timeouts;
    uint64_t crashes;
    uint64_t errors;    /* that a function posted, too large responses included */
    uint64_t too_large; /* responses */
    uint64_t recycled;
    uint64_t init_us; /* in all: from starting to asking for the first event */
};

struct tumble_process_function;

/* Starts no process but the guard. What options point to is borrowed. Errors: EUSAGE, ENOMEM, EINTERNAL. */
enum tumble_code tumble_process_open(const struct tumble_process_options *options, struct tumble_process_function **out,
                                     struct tumble_error *err);
/* Ends all sandboxes, all at a time. NULL allowed. */
void tumble_process_close(struct tumble_process_function *function);
/* The callbacks for a mapping. invoke gives: EUSAGE where the command ends, or does nothing, before it said a word to
 * the Runtime API, and no sandbox ever did otherwise: then it is not a function; and where the first three invocations
 * met errors of its beginning; EINTERRUPTED; ENOMEM; EINTERNAL. */
void tumble_process_wrap(struct tumble_process_function *function, struct tumble_emulated_function *out);
const struct tumble_process_figures *tumble_process_figures(const struct tumble_process_function *function);

#endif
