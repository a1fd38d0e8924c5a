#include "cli/mapping_json.h"

#include <inttypes.h>

#include "cli/terminal_text.h"

struct printer {
    FILE *to;
    const char *indent;
    int count;
};

static void key(struct printer *printer, const char *name) {
    fprintf(printer->to, "%s\n%s  \"%s\": ", printer->count++ ? "," : "", printer->indent, name);
}

static void text(struct printer *printer, const char *name, const char *value) {
    key(printer, name);
    tw_print_json_string(printer->to, tumble_bytes_of(value));
}

static void number(struct printer *printer, const char *name, int64_t value) {
    key(printer, name);
    fprintf(printer->to, "%" PRId64, value);
}

static void print_instant(FILE *to, int64_t ms) { fprintf(to, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000)); }

/* AWS takes the name alone, or the whole ARN; a version or alias stands in the ARN. */
static void print_function(struct printer *printer, const char *arn) {
    text(printer, "FunctionName", arn[0] ? arn : TW_ASSUMED_FUNCTION_NAME);
}

static void print_filters(struct printer *printer, const struct tumble_mapping_parameters *p) {
    key(printer, "FilterCriteria");
    fputs("{\"Filters\": [", printer->to);
    for (size_t i = 0; i < p->filter_count; i++) {
        fputs(i ? ", {\"Pattern\": " : "{\"Pattern\": ", printer->to);
        tw_print_json_string(printer->to, tumble_bytes_of(p->filters[i]));
        fputc('}', printer->to);
    }
    fputs("]}", printer->to);
}

void tw_mapping_json_print(FILE *to, const struct tumble_mapping_parameters *p, const char *indent) {
    static const char *const positions[] = {"TRIM_HORIZON", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"};
    struct printer printer = {.to = to, .indent = indent};
    fputc('{', to);
    text(&printer, "EventSourceArn", p->event_source_arn[0] ? p->event_source_arn : TW_ASSUMED_STREAM_ARN);
    print_function(&printer, p->function_arn);
    text(&printer, "StartingPosition", positions[p->starting_position]);
    if (p->starting_position == TUMBLE_AT_TIMESTAMP && p->starting_position_timestamp_ms >= 0) {
        key(&printer, "StartingPositionTimestamp");
        print_instant(to, p->starting_position_timestamp_ms);
    }
    number(&printer, "BatchSize", p->batch_size);
    number(&printer, "MaximumBatchingWindowInSeconds", p->maximum_batching_window_in_seconds);
    number(&printer, "ParallelizationFactor", p->parallelization_factor);
    number(&printer, "TumblingWindowInSeconds", p->tumbling_window_in_seconds);
    number(&printer, "MaximumRetryAttempts", p->maximum_retry_attempts);
    number(&printer, "MaximumRecordAgeInSeconds", p->maximum_record_age_in_seconds);
    key(&printer, "BisectBatchOnFunctionError");
    fputs(p->bisect_batch_on_function_error ? "true" : "false", to);
    key(&printer, "FunctionResponseTypes");
    fputs(p->report_batch_item_failures ? "[\"ReportBatchItemFailures\"]" : "[]", to);
    if (p->on_failure[0]) {
        key(&printer, "DestinationConfig");
        fputs("{\"OnFailure\": {\"Destination\": ", to);
        tw_print_json_string(to, tumble_bytes_of(p->on_failure));
        fputs("}}", to);
    }
    if (p->filter_count) {
        print_filters(&printer, p);
    }
    if (p->event_count_metrics) {
        key(&printer, "MetricsConfig");
        fputs("{\"Metrics\": [\"EventCount\"]}", to);
    }
    if (!p->enabled) {
        key(&printer, "Enabled");
        fputs("false", to);
    }
    fprintf(to, "\n%s}", indent);
}
