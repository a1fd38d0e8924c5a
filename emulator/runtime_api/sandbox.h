#ifndef TW_SANDBOX_H
#define TW_SANDBOX_H

/* One sandbox: a server, the process that speaks to it, and how the two begin and end together. */

#include <stdbool.h>
#include <stdint.h>

#include "emulator/runtime_api/sandbox_process.h"
#include "emulator/runtime_api/sandbox_server.h"

/* What all sandboxes of a function have in common. */
struct tw_sandbox_kind {
    struct tumble_alloc alloc;
    const char *command;
    struct tw_sandbox_identity identity;
    uint32_t memory_mb;
    int log_fd;
    struct tw_sandbox_guard guard;
    void *ctx;
    int (*stopping)(void *ctx);
};

struct tw_sandbox {
    const struct tw_sandbox_kind *kind;
    struct tw_sandbox_server *server; /* NULL: it does not run */
    struct tw_sandbox_process process;
    uint32_t slot;
    int64_t started_us;
    int status; /* of a process that ended by itself */
};

enum tw_sandbox_event {
    TW_SANDBOX_IS_READY,
    TW_SANDBOX_HAS_ANSWER, /* or an error of its beginning */
    TW_SANDBOX_HAS_ENDED,
    TW_SANDBOX_IS_LATE
};

static inline bool tw_sandbox_runs(const struct tw_sandbox *sandbox) { return sandbox->server != NULL; }
/* Errors: ENOMEM, EINTERNAL. */
enum tumble_code tw_sandbox_start(struct tw_sandbox *sandbox, struct tumble_error *err);
/* Waits until the runtime asks for an event (or says why it cannot begin), or with `answer` until it answered.
 * deadline_us is monotonic. Errors: EINTERRUPTED, ENOMEM, EINTERNAL. */
enum tumble_code tw_sandbox_wait(struct tw_sandbox *sandbox, bool answer, int64_t deadline_us,
                                 enum tw_sandbox_event *event, struct tumble_error *err);
/* Waits until the event was sent whole and the process knows that its answer was taken; false: it does not listen. */
bool tw_sandbox_settle(struct tw_sandbox *sandbox, int64_t at_most_ms);
/* Ends it at once. One that does not run: nothing. */
void tw_sandbox_kill(struct tw_sandbox *sandbox);
/* Asks its process to end if an extension registered; returns how long it has to. */
int64_t tw_sandbox_ask_to_end(struct tw_sandbox *sandbox, const char *reason);
/* Serves what the process still asks until it ended, or until deadline_us. */
void tw_sandbox_wait_for_end(struct tw_sandbox *sandbox, int64_t deadline_us);

#endif
