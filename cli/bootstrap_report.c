#include "cli/bootstrap_report.h"

#include <inttypes.h>
#include <stdbool.h>

enum { METRIC_COUNT_MAX = 24 };

static void write_metrics(struct tw_lambda_log *log, struct tw_emf_writer *writer, const char *name_space,
                          const char *function_name, const struct tw_bootstrap_report *report) {
    static const char *const fates[TUMBLE_FATE_COUNT] = {
        [TUMBLE_FATE_APPLIED] = "RecordsApplied",
        [TUMBLE_FATE_LATE] = "RecordsLate",
        [TUMBLE_FATE_DUPLICATE] = "RecordsDuplicate",
        [TUMBLE_FATE_FILTERED] = "RecordsFiltered",
        [TUMBLE_FATE_BAD] = "RecordsBad",
    };
    const struct tumble_invoked *invoked = report->invoked;
    struct tw_emf_metric metrics[METRIC_COUNT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < TUMBLE_FATE_COUNT; i++) {
        metrics[count++] = (struct tw_emf_metric){fates[i], "Count", (double)invoked->fates[i]};
    }
    metrics[count++] = (struct tw_emf_metric){"RecordsReported", "Count", (double)invoked->reported};
    metrics[count++] = (struct tw_emf_metric){"BatchDuration", "Milliseconds", report->duration_ms};
    metrics[count++] = (struct tw_emf_metric){"Groups", "Count", (double)invoked->groups};
    metrics[count++] = (struct tw_emf_metric){"StateBytes", "Bytes", (double)invoked->state_bytes};
    metrics[count++] = (struct tw_emf_metric){"SpilledBytes", "Bytes", (double)invoked->spilled_bytes};
    metrics[count++] = (struct tw_emf_metric){"FetchedBytes", "Bytes", (double)invoked->fetched_bytes};
    metrics[count++] = (struct tw_emf_metric){"CacheHits", "Count", invoked->cache_hit ? 1 : 0};
    metrics[count++] = (struct tw_emf_metric){"RowsEmitted", "Count", (double)invoked->rows};
    metrics[count++] = (struct tw_emf_metric){"OutputRetries", "Count", (double)invoked->output_retries};
    metrics[count++] = (struct tw_emf_metric){"Failures", "Count", report->error_type ? 1 : 0};
    if (invoked->last_arrival_ms >= 0) { /* a final without records has no iterator age */
        int64_t age = report->received_ms - invoked->last_arrival_ms;
        metrics[count++] = (struct tw_emf_metric){"IteratorAge", "Milliseconds", age > 0 ? (double)age : 0};
    }
    struct tw_emf_text dimension = {"FunctionName", function_name};
    struct tw_emf_text properties[] = {{"requestId", report->request_id}, {"errorType", report->error_type}};
    struct tw_emf line = {
        .name_space = name_space,
        .timestamp_ms = report->received_ms,
        .dimensions = &dimension,
        .dimension_count = 1,
        .metrics = metrics,
        .metric_count = count,
        .properties = properties,
        .property_count = sizeof properties / sizeof *properties,
    };
    struct tumble_error err = {.text = ""};
    if (tw_emf_write(writer, &line, &err) != TUMBLE_OK) {
        tw_lambda_log_write(log, TW_LOG_WARN, report->received_ms, report->request_id, NULL, "no metrics: %s",
                            err.text);
    }
}

static void write_log(struct tw_lambda_log *log, const struct tw_bootstrap_report *report) {
    const struct tumble_invoked *invoked = report->invoked;
    if (report->error_type) {
        tw_lambda_log_write(log, TW_LOG_ERROR, report->received_ms, report->request_id, report->error_type, "%s",
                            report->error_text);
        return;
    }
    bool partial = invoked->reported > 0;
    enum tw_log_level level = partial ? TW_LOG_WARN : TW_LOG_DEBUG;
    if (tw_lambda_log_takes(log, level)) {
        const uint64_t *fates = invoked->fates;
        tw_lambda_log_write(log, level, report->received_ms, report->request_id, NULL,
                            "%s%" PRIu64 " records: %" PRIu64 " applied, %" PRIu64 " late, %" PRIu64
                            " duplicate, %" PRIu64 " filtered, %" PRIu64 " bad; %" PRIu64 " groups, %" PRIu64
                            " bytes of state, %s; %" PRIu64 " rows; %.3f ms%s",
                            invoked->is_terminated_early ? "final, early: "
                            : invoked->is_final          ? "final: "
                                                         : "",
                            invoked->records, fates[TUMBLE_FATE_APPLIED], fates[TUMBLE_FATE_LATE],
                            fates[TUMBLE_FATE_DUPLICATE], fates[TUMBLE_FATE_FILTERED], fates[TUMBLE_FATE_BAD],
                            invoked->groups, invoked->state_bytes, invoked->cache_hit ? "from cache" : "decoded",
                            invoked->rows, report->duration_ms,
                            partial ? "; a record is reported, Lambda tries again from it" : "");
    }
}

void tw_bootstrap_report(struct tw_lambda_log *log, struct tw_emf_writer *writer, const char *name_space,
                         const char *function_name, const struct tw_bootstrap_report *report) {
    write_log(log, report);
    if (writer) {
        write_metrics(log, writer, name_space, function_name, report);
    }
}
