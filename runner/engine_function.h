#ifndef TUMBLE_RUNNER_ENGINE_FUNCTION_H
#define TUMBLE_RUNNER_ENGINE_FUNCTION_H

/* The built-in engine as the function of an emulated mapping, by real JSON events, as the bootstrap gets them, or by
 * structs, in this process. What an output of its own refuses or cannot take ends the emulation with EOUTPUT or
 * EREFUSED: that trouble is real, and retries in virtual time would only lose the rows. All sandboxes share one engine;
 * its end is the end of them all, and no result may depend on it. */

#include <tumble/invoke.h>

#include "emulator/emulated_function.h"
#include "emulator/event_json.h"
#include "runner/replay.h"

struct tumble_engine_function_options {
    const struct tumble_spec *spec;
    const char *source; /* NULL: the event's stream */
    const struct tumble_replay_output *outputs;
    size_t output_count;
    const struct tumble_replay_output *failures; /* NULL: none */
    int report_batch_item_failures;
    int by_struct; /* 1: no event is written or read */
    size_t memory_limit_bytes;
    int64_t output_timeout_ms; /* real time that an invocation tries its outputs for; 0: without end */
    int64_t duration_us;       /* of each invocation, in virtual time */
    struct tumble_event_form form;
    int (*interrupted)(void *ctx);            /* may be NULL */
    void (*say)(void *ctx, const char *line); /* may be NULL */
    void *ctx;
};

struct tumble_engine_function_figures {
    struct tumble_counters counters; /* fates, rows and failures of invocations, failed ones excepted */
    uint64_t errors;
    char last_error[TUMBLE_ERROR_TEXT]; /* "": none */
};

struct tumble_engine_function;

/* Everything is borrowed. Errors: as of tumble_engine_open_carried and tumble_engine_attach. */
enum tumble_code tumble_engine_function_open(const struct tumble_engine_function_options *options,
                                             struct tumble_engine_function **out, struct tumble_error *err);
void tumble_engine_function_close(struct tumble_engine_function *function); /* NULL allowed */
void tumble_engine_function_wrap(struct tumble_engine_function *function, struct tumble_emulated_function *out);
const struct tumble_engine_function_figures *
tumble_engine_function_figures(const struct tumble_engine_function *function);

#endif
