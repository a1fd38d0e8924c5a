#ifndef TW_SANDBOX_SERVER_H
#define TW_SANDBOX_SERVER_H

/* Lambda's Runtime API and Extensions API for one sandbox, on a port of its own on loopback. It has no thread: requests
 * are served within tw_sandbox_server_run. What a process asks while nobody runs it waits in the kernel, as a frozen
 * sandbox would.
 *
 * Answers are those of AWS's own emulator: 202 {"status":"OK"}, 413 above 6,291,556 bytes, 400 for another request id
 * than the one under way and for an invocation id that is wrong, 403 for what is out of turn. */

#include <stdbool.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"

#define TW_RESPONSE_LIMIT 6291556u

struct tw_sandbox_server;

/* Borrowed as long as the server lives. */
struct tw_sandbox_identity {
    const char *function_name;
    const char *function_version;
    const char *function_arn;
    const char *handler;
};

/* Errors: ENOMEM, EINTERNAL (no port, no daemon). */
enum tumble_code tw_sandbox_server_open(const struct tw_sandbox_identity *identity, struct tumble_alloc alloc,
                                        struct tw_sandbox_server **out, struct tumble_error *err);
void tw_sandbox_server_close(struct tw_sandbox_server *server); /* NULL allowed; connections break */
unsigned tw_sandbox_server_port(const struct tw_sandbox_server *server);

/* Serves what there is to serve, and waits for it at most wait_ms, or until wake_fd (-1: none) is readable. *busy:
 * something was done. Errors: ENOMEM, EINTERNAL. */
enum tumble_code tw_sandbox_server_run(struct tw_sandbox_server *server, int wake_fd, int64_t wait_ms, bool *busy,
                                       struct tumble_error *err);

/* Any request came. */
bool tw_sandbox_server_heard(const struct tw_sandbox_server *server);
/* A runtime waits for an event. */
bool tw_sandbox_server_ready(struct tw_sandbox_server *server);

struct tw_sandbox_invocation {
    const char *request_id;
    const char *invocation_id;
    int64_t deadline_ms;       /* wall clock */
    struct tumble_bytes event; /* lives until settled, or until the server is closed */
};
/* Gives the runtime that waits an event: only while it is ready. */
void tw_sandbox_server_offer(struct tw_sandbox_server *server, const struct tw_sandbox_invocation *invocation);

enum tw_sandbox_outcome {
    TW_SANDBOX_NOTHING, /* yet */
    TW_SANDBOX_RESPONSE,
    TW_SANDBOX_ERROR,
    TW_SANDBOX_INIT_ERROR
};
/* What came back for the event, or from a process that never was ready. *body: the response or the error's document,
 * until the next offer. */
enum tw_sandbox_outcome tw_sandbox_server_outcome(const struct tw_sandbox_server *server, struct tumble_bytes *body);
/* Swaps the answer's bytes out, so that they outlive the server; into: a buffer of the same allocator. */
void tw_sandbox_server_take_answer(struct tw_sandbox_server *server, struct tw_buf *into);
/* The response was above the limit: Lambda made an error of it. */
bool tw_sandbox_server_was_too_large(const struct tw_sandbox_server *server);
/* The event was sent whole, and the process knows that its answer was taken. */
bool tw_sandbox_server_settled(const struct tw_sandbox_server *server);
/* Monotonic time when the event was sent and when its answer was there, in microseconds. */
int64_t tw_sandbox_server_sent_us(const struct tw_sandbox_server *server);
int64_t tw_sandbox_server_answered_us(const struct tw_sandbox_server *server);

/* How long a process has from SIGTERM to SIGKILL: 0 without an extension, 500 with one, 2000 with one that asked for
 * the event SHUTDOWN. */
int64_t tw_sandbox_server_shutdown_ms(const struct tw_sandbox_server *server);
/* Tells extensions; reason: "SPINDOWN". */
void tw_sandbox_server_shut_down(struct tw_sandbox_server *server, const char *reason, int64_t deadline_ms);

int64_t tw_monotonic_us(void);
int64_t tw_wall_clock_ms(void);

#endif
