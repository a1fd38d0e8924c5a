#ifndef TW_SANDBOX_PROCESS_H
#define TW_SANDBOX_PROCESS_H

/* The process of a sandbox, and what dies with it: a process group of its own, begun by /bin/sh -c. */

#include <stdbool.h>
#include <sys/types.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "emulator/runtime_api/sandbox_stray.h"

/* Kills every process group it was told of when this process ends, however it does, and whatever left such a group and
 * carries the mark (sandbox_stray.h). It is a small process of its own,
 * forked here: open it before there are threads and files. */
struct tw_sandbox_guard {
    pid_t pid;
    int pipe;
    char mark[TW_SANDBOX_MARK]; /* for the environment of what is started */
};
/* Errors: EINTERNAL (no process, no pipe). */
enum tumble_code tw_sandbox_guard_open(struct tw_sandbox_guard *guard, struct tumble_error *err);
void tw_sandbox_guard_close(struct tw_sandbox_guard *guard); /* a zeroed one too */

struct tw_sandbox_process {
    pid_t pid; /* 0: none */
    int pidfd; /* readable once it ended; -1: the kernel has none */
};

/* NAME=VALUE texts: the environment of this process with variables set over it (set) or where there is none of the name
 * (defaults); the texts are borrowed. Lists end with NULL. Freed by tw_free; NULL: no memory. */
char **tw_sandbox_environment(const struct tumble_alloc *alloc, const char *const *set, const char *const *defaults);

/* Starts a command. Its standard input is empty, its output and error go to log_fd, what else is open here is not open
 * there. Errors: EINTERNAL (the system lets no process be made). */
enum tumble_code tw_sandbox_process_start(struct tw_sandbox_process *process, const char *command,
                                          char *const *environment, int log_fd, const struct tw_sandbox_guard *guard,
                                          struct tumble_error *err);
/* Whether it ended by itself; *status as waitpid gives it. It stays there for kill to take away. */
bool tw_sandbox_process_ended(const struct tw_sandbox_process *process, int *status);
void tw_sandbox_process_ask_to_end(const struct tw_sandbox_process *process); /* SIGTERM to its group */
/* SIGKILL to its whole group; waits for it. None: nothing. */
void tw_sandbox_process_kill(struct tw_sandbox_process *process, const struct tw_sandbox_guard *guard);

/* "exit status 1", "signal: Killed". */
#define TW_SANDBOX_STATUS_TEXT 64
void tw_sandbox_status_text(int status, char out[TW_SANDBOX_STATUS_TEXT]);

#endif
