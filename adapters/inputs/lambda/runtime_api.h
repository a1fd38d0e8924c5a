#ifndef TUMBLE_RUNTIME_API_H
#define TUMBLE_RUNTIME_API_H

/* A client of Lambda's Runtime API (version 2018-06-01): takes events, gives responses and errors. One connection, one
 * thread. Nothing that came from outside enters a URL or a header before it was looked at letter by letter. */

#include <stdbool.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

enum { TW_RUNTIME_ID_BYTES = 256, TW_RUNTIME_TEXT_BYTES = 1024 };

struct tw_runtime_api;

/* One invocation, as `next` gave it. Lives until the next call of next. */
struct tw_runtime_invocation {
    char request_id[TW_RUNTIME_ID_BYTES];
    char invocation_id[TW_RUNTIME_ID_BYTES];  /* "": none was given, so none is sent back */
    char function_arn[TW_RUNTIME_TEXT_BYTES]; /* "": not given */
    char trace_id[TW_RUNTIME_TEXT_BYTES];     /* "": not given */
    int64_t deadline_ms;                      /* wall clock; -1: not given */
    struct tumble_bytes event;
};

/* What the Runtime API said to a response or an error. */
enum tw_runtime_answer {
    TW_RUNTIME_ACCEPTED = 0,
    TW_RUNTIME_TOO_LARGE, /* 413: post an error instead and go on */
    TW_RUNTIME_REFUSED    /* 400, 403: this invocation is not ours any more; go on */
};

/* address is what AWS_LAMBDA_RUNTIME_API holds: HOST:PORT. Sends nothing. Errors: ENOMEM, EUSAGE (no such address),
 * EINTERNAL. */
enum tumble_code tw_runtime_api_open(const char *address, struct tumble_alloc alloc, struct tw_runtime_api **out,
                                     struct tumble_error *err);
void tw_runtime_api_close(struct tw_runtime_api *api); /* NULL allowed */

/* Waits for an event, for as long as it takes; connecting is tried three times. ELIMIT: the event is over
 * TUMBLE_EVENT_LIMIT; out is filled but for the event, so that an error can be posted. Any other error: there is
 * nothing left to do but to end the process (EINPUT, ENOMEM). */
enum tumble_code tw_runtime_api_next(struct tw_runtime_api *api, struct tw_runtime_invocation *out,
                                     struct tumble_error *err);

/* Errors: EINPUT: the process should end (500, or no answer); ENOMEM. */
enum tumble_code tw_runtime_api_respond(struct tw_runtime_api *api, const struct tw_runtime_invocation *invocation,
                                        struct tumble_bytes response, enum tw_runtime_answer *answer,
                                        struct tumble_error *err);

/* document: {"errorMessage":…,"errorType":…,"stackTrace":[]}. type: "Tumble.BadRecord"; it goes into a header as
 * "Function.BadRecord", for Lambda knows the categories Function and Runtime only. */
enum tumble_code tw_runtime_api_fail(struct tw_runtime_api *api, const struct tw_runtime_invocation *invocation,
                                     const char *type, struct tumble_bytes document, enum tw_runtime_answer *answer,
                                     struct tumble_error *err);

/* The same for what went wrong before the first event: the header says "Runtime.…". */
enum tumble_code tw_runtime_api_fail_init(struct tw_runtime_api *api, const char *type, struct tumble_bytes document,
                                          enum tw_runtime_answer *answer, struct tumble_error *err);

/* The document for an error of our own; malformed UTF-8 becomes '?'. Lives until the api's next call. Never NULL
 * data. */
struct tumble_bytes tw_runtime_api_document(struct tw_runtime_api *api, const char *type, const char *message);

/* Registers the process as an internal extension without events, and waits for one in a thread of its own until the
 * process ends: Lambda sends SIGTERM to processes of which an extension is one, and to no other. Before the first
 * next. A Runtime API without extensions is no reason to stop: the error is for the log. Errors: EINPUT, ENOMEM. */
enum tumble_code tw_runtime_api_register_extension(struct tw_runtime_api *api, const char *name,
                                                   struct tumble_error *err);

#endif
