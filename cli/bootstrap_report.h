#ifndef TW_CLI_BOOTSTRAP_REPORT_H
#define TW_CLI_BOOTSTRAP_REPORT_H

#include <tumble/invoke.h>

#include "adapters/inputs/lambda/lambda_log.h"
#include "adapters/metrics/emf.h"

/* How one invocation went, for the log and the metrics. */
struct tw_bootstrap_report {
    const struct tumble_invoked *invoked;
    const char *request_id;
    const char *error_type; /* NULL: it was answered with a response */
    const char *error_text;
    int64_t received_ms; /* wall clock, when the event was there */
    double duration_ms;  /* until the answer was ready */
};

/* One line of metrics and, of a failure or where the level asks for it, one of log. writer may be NULL. */
void tw_bootstrap_report(struct tw_lambda_log *log, struct tw_emf_writer *writer, const char *name_space,
                         const char *function_name, const struct tw_bootstrap_report *report);

#endif
