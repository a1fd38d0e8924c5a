#ifndef TUMBLE_LAMBDA_SETTINGS_H
#define TUMBLE_LAMBDA_SETTINGS_H

/* Configuration of the bootstrap by environment variables (docs/lambda.md lists them). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "adapters/inputs/lambda/lambda_log.h"

enum {
    TW_LAMBDA_OUTPUTS_MAX = 16,
    TW_LAMBDA_DEADLINE_MARGIN_MS = 200 /* to answer in, after the engine stopped */
};

/* Texts point into the environment or into memory of the settings. */
struct tw_lambda_settings {
    const char *runtime_api;   /* AWS_LAMBDA_RUNTIME_API; NULL: not set */
    const char *function_name; /* AWS_LAMBDA_FUNCTION_NAME; NULL: not set */
    const char *task_root;     /* LAMBDA_TASK_ROOT, or "." */
    const char *spec;          /* JSON text, or the path of a file; NULL: spec.json in the task root */
    bool spec_is_text;
    const char *state_directory; /* "/tmp/tumble" */
    const char *outputs[TW_LAMBDA_OUTPUTS_MAX];
    size_t output_count;                        /* 0: the spec's */
    const char *plugins[TW_LAMBDA_OUTPUTS_MAX]; /* absolute paths of shared objects with outputs */
    size_t plugin_count;
    const char *failures; /* NULL: the spec's */
    bool report_batch_item_failures;
    size_t inline_state_limit; /* 0: the engine's own */
    const char *spill;         /* "file:DIRECTORY", "s3://BUCKET/PREFIX"; NULL: none */
    const char *source;        /* NULL: the event's stream */
    enum tw_log_level log_level;
    const char *metrics_namespace; /* NULL: no metrics */
    size_t memory_limit_bytes;     /* of windows' tables, from what memory the function has; 0: not known */
    int64_t deadline_margin_ms;
    struct tw_lambda_settings_memory *memory;
};

/* environment: "NAME=VALUE" strings, NULL at the end, borrowed as long as the settings live. An empty value is as none.
 * Errors: EUSAGE, naming the variable and what it takes, also for a TUMBLE_… that there is not; ENOMEM. The settings
 * are to be cleaned up in any case; runtime_api is set even on failure, for there the failure is told. */
enum tumble_code tw_lambda_settings_read(struct tw_lambda_settings *settings, const char *const *environment,
                                         struct tumble_alloc alloc, struct tumble_error *err);
void tw_lambda_settings_clean_up(struct tw_lambda_settings *settings);

#endif
