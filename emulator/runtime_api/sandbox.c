#include "emulator/runtime_api/sandbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"

enum {
    STOP_ASKED_MS = 200, /* a signal may come right before a wait begins */
    NO_PIDFD_MS = 5,
    DRAIN_PASSES_MAX = 100,
    TEXT_BYTES = 512
};

/* ---- start ---- */

/* The variables as texts, in room that the caller has. */
struct variables {
    char api[64], name[TEXT_BYTES], version[TEXT_BYTES], memory[64], group[TEXT_BYTES], stream[TEXT_BYTES];
    char handler[TEXT_BYTES], root[4096 + 32];
};

static enum tumble_code start_process(struct tw_sandbox *sandbox, struct tumble_error *err) {
    const struct tw_sandbox_kind *kind = sandbox->kind;
    struct variables v;
    char directory[4096];
    if (!getcwd(directory, sizeof directory)) {
        snprintf(directory, sizeof directory, "/");
    }
    snprintf(v.api, sizeof v.api, "AWS_LAMBDA_RUNTIME_API=127.0.0.1:%u", tw_sandbox_server_port(sandbox->server));
    snprintf(v.name, sizeof v.name, "AWS_LAMBDA_FUNCTION_NAME=%s", kind->identity.function_name);
    snprintf(v.version, sizeof v.version, "AWS_LAMBDA_FUNCTION_VERSION=%s", kind->identity.function_version);
    snprintf(v.memory, sizeof v.memory, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%" PRIu32, kind->memory_mb);
    snprintf(v.group, sizeof v.group, "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/%s", kind->identity.function_name);
    snprintf(v.stream, sizeof v.stream, "AWS_LAMBDA_LOG_STREAM_NAME=tumble/[%.100s]%032" PRIx32,
             kind->identity.function_version, sandbox->slot);
    snprintf(v.handler, sizeof v.handler, "_HANDLER=%s", kind->identity.handler);
    snprintf(v.root, sizeof v.root, "LAMBDA_TASK_ROOT=%s", directory);
    const char *const set[] = {v.api,   v.name,   v.version,        v.memory,
                               v.group, v.stream, kind->guard.mark, "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
                               NULL};
    const char *const defaults[] = {v.handler, v.root, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
                                    "TZ=:UTC", NULL};
    char **environment = tw_sandbox_environment(&kind->alloc, set, defaults);
    if (!environment) {
        return tw_no_memory(err);
    }
    enum tumble_code code =
        tw_sandbox_process_start(&sandbox->process, kind->command, environment, kind->log_fd, &kind->guard, err);
    tw_free(&kind->alloc, environment);
    return code;
}

enum tumble_code tw_sandbox_start(struct tw_sandbox *sandbox, struct tumble_error *err) {
    TW_TRY(tw_sandbox_server_open(&sandbox->kind->identity, sandbox->kind->alloc, &sandbox->server, err));
    sandbox->started_us = tw_monotonic_us();
    enum tumble_code code = start_process(sandbox, err);
    if (code != TUMBLE_OK) {
        tw_sandbox_kill(sandbox);
    }
    return code;
}

/* ---- wait ---- */

static bool is_there(struct tw_sandbox *sandbox, bool answer, enum tw_sandbox_event *event) {
    struct tumble_bytes body;
    bool ready = !answer && tw_sandbox_server_ready(sandbox->server);
    enum tw_sandbox_outcome outcome = tw_sandbox_server_outcome(sandbox->server, &body);
    *event = ready ? TW_SANDBOX_IS_READY : TW_SANDBOX_HAS_ANSWER;
    return ready || (answer ? outcome != TW_SANDBOX_NOTHING : outcome == TW_SANDBOX_INIT_ERROR);
}

static int64_t wait_ms(const struct tw_sandbox *sandbox, int64_t deadline_us) {
    int64_t left = (deadline_us - tw_monotonic_us() + 999) / 1000;
    int64_t most = sandbox->process.pidfd >= 0 ? STOP_ASKED_MS : NO_PIDFD_MS;
    return left < 0 ? 0 : left < most ? left : most;
}

/* What a process sent before it ended still counts. */
static enum tumble_code drain(struct tw_sandbox *sandbox, struct tumble_error *err) {
    bool busy = true;
    for (int i = 0; i < DRAIN_PASSES_MAX && busy; i++) {
        TW_TRY(tw_sandbox_server_run(sandbox->server, -1, 0, &busy, err));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_sandbox_wait(struct tw_sandbox *sandbox, bool answer, int64_t deadline_us,
                                 enum tw_sandbox_event *event, struct tumble_error *err) {
    const struct tw_sandbox_kind *kind = sandbox->kind;
    bool busy;
    for (int64_t wait = 0;; wait = wait_ms(sandbox, deadline_us)) {
        TW_TRY(tw_sandbox_server_run(sandbox->server, sandbox->process.pidfd, wait, &busy, err));
        if (is_there(sandbox, answer, event)) {
            return TUMBLE_OK;
        }
        if (busy && tw_monotonic_us() < deadline_us) {
            continue;
        }
        if (tw_sandbox_process_ended(&sandbox->process, &sandbox->status)) {
            TW_TRY(drain(sandbox, err));
            if (!is_there(sandbox, answer, event) || *event == TW_SANDBOX_IS_READY) {
                *event = TW_SANDBOX_HAS_ENDED;
            }
            return TUMBLE_OK;
        }
        if (kind->stopping && kind->stopping(kind->ctx)) {
            return tw_fail(err, TUMBLE_EINTERRUPTED, "stopped while the function ran");
        }
        if (tw_monotonic_us() >= deadline_us) {
            *event = TW_SANDBOX_IS_LATE;
            return TUMBLE_OK;
        }
    }
}

bool tw_sandbox_settle(struct tw_sandbox *sandbox, int64_t at_most_ms) {
    int64_t deadline_us = tw_monotonic_us() + at_most_ms * 1000;
    bool busy, ended = false;
    while (!tw_sandbox_server_settled(sandbox->server) && !ended && tw_monotonic_us() < deadline_us) {
        ended = tw_sandbox_process_ended(&sandbox->process, &sandbox->status);
        if (tw_sandbox_server_run(sandbox->server, sandbox->process.pidfd, wait_ms(sandbox, deadline_us), &busy,
                                  NULL) != TUMBLE_OK) {
            return false;
        }
    }
    return tw_sandbox_server_settled(sandbox->server);
}

/* ---- end ---- */

void tw_sandbox_kill(struct tw_sandbox *sandbox) {
    tw_sandbox_process_kill(&sandbox->process, &sandbox->kind->guard);
    tw_sandbox_server_close(sandbox->server);
    sandbox->server = NULL;
}

int64_t tw_sandbox_ask_to_end(struct tw_sandbox *sandbox, const char *reason) {
    int64_t ms = tw_sandbox_runs(sandbox) ? tw_sandbox_server_shutdown_ms(sandbox->server) : 0;
    if (ms > 0) {
        tw_sandbox_server_shut_down(sandbox->server, reason, tw_wall_clock_ms() + ms);
        tw_sandbox_process_ask_to_end(&sandbox->process);
    }
    return ms;
}

void tw_sandbox_wait_for_end(struct tw_sandbox *sandbox, int64_t deadline_us) {
    bool busy;
    while (tw_sandbox_runs(sandbox) && !tw_sandbox_process_ended(&sandbox->process, &sandbox->status) &&
           tw_monotonic_us() < deadline_us &&
           tw_sandbox_server_run(sandbox->server, sandbox->process.pidfd, wait_ms(sandbox, deadline_us), &busy, NULL) ==
               TUMBLE_OK) {
    }
}
