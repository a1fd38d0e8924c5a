#include "cli/emulation_summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/run_summary.h"
#include "cli/terminal_text.h"

static void print_span(FILE *to, const char *name, const struct tumble_mapping_span *span) {
    tw_summary_span(to, name, span->count, span->sum, span->least, span->most);
}

static void print_metrics(FILE *to, const struct tumble_mapping_metrics *m) {
    tw_summary_count(to, "Invocations", m->invocations);
    tw_summary_count(to, "Errors", m->errors);
    tw_summary_count(to, "Throttles", m->throttles);
    tw_summary_count(to, "ConcurrentExecutions", m->concurrent_executions);
    tw_summary_count(to, "DestinationDeliveryFailures", m->destination_delivery_failures);
    print_span(to, "Duration", &m->duration_ms);
    print_span(to, "IteratorAge", &m->iterator_age_ms);
    tw_summary_count(to, "PolledEventCount", m->polled_event_count);
    tw_summary_count(to, "FilteredOutEventCount", m->filtered_out_event_count);
    tw_summary_count(to, "InvokedEventCount", m->invoked_event_count);
    tw_summary_count(to, "FailedInvokeEventCount", m->failed_invoke_event_count);
    tw_summary_count(to, "DroppedEventCount", m->dropped_event_count);
    tw_summary_count(to, "OnFailureDestinationDeliveredEventCount", m->on_failure_destination_delivered_event_count);
    tw_summary_count(to, "succeeded_records", m->succeeded_records);
    tw_summary_count(to, "discarded_records", m->discarded_records);
    tw_summary_count(to, "discarded_finals", m->discarded_finals);
    tw_summary_count(to, "lost_to_retention", m->lost_to_retention);
    tw_summary_count(to, "skipped_by_starting_position", m->skipped_by_starting_position);
    tw_summary_count(to, "windows_closed", m->windows);
    tw_summary_count(to, "early_terminations", m->early_terminations);
    tw_summary_count(to, "reopened_by_late_records", m->reopened_by_late_records);
}

static void print_process(FILE *to, const struct tumble_process_figures *p) {
    fprintf(to,
            "  \"sandboxes\": {\"started\": %" PRIu64 ", \"recycled\": %" PRIu64 ", \"init_errors\": %" PRIu64
            ", \"init_timeouts\": %" PRIu64 ", \"timeouts\": %" PRIu64 ", \"crashes\": %" PRIu64
            ", \"errors\": %" PRIu64 ", \"responses_too_large\": %" PRIu64 ", \"init_ms\": %.3f},\n",
            p->starts, p->recycled, p->init_errors, p->init_timeouts, p->timeouts, p->crashes, p->errors, p->too_large,
            (double)p->init_us / 1000.0);
}

static void print_engine(FILE *to, const struct tumble_counters *c) {
    tw_summary_fates(to, c);
    tw_summary_count(to, "rows", c->rows);
    tw_summary_count(to, "groups_peak", c->groups_peak);
}

static void print_faults(FILE *to, const struct tumble_faults *faults) {
    fprintf(to, "  \"faults\": {");
    for (int i = 0; i < TUMBLE_FAULT_COUNT; i++) {
        fprintf(to, "%s\"%s\": %" PRIu64, i ? ", " : "", tumble_fault_name((enum tumble_fault)i), faults->happened[i]);
    }
    fprintf(to, "},\n");
}

void tw_emulation_summary_print(FILE *to, const void *what) {
    const struct tw_emulation_figures *figures = what;
    const struct tumble_emulate_summary *run = figures->run;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n  \"stopped\": %s,\n", TUMBLE_VERSION_STRING,
            tumble_code_name(figures->code), run->stopped ? "true" : "false");
    print_metrics(to, &run->metrics);
    if (figures->process) {
        print_process(to, figures->process);
    }
    if (figures->engine) {
        print_engine(to, &figures->engine->counters);
    }
    if (figures->faults) {
        print_faults(to, figures->faults);
    }
    tw_summary_count(to, "shards", run->shards);
    tw_summary_count(to, "records_read", run->source.records);
    tw_summary_count(to, "records_repeated", run->source.repeated);
    if (run->source.aggregates || run->source.foreign_records) {
        tw_summary_count(to, "aggregates_split", run->source.aggregates);
        tw_summary_count(to, "aggregates_cut", run->source.cut_aggregates);
        tw_summary_count(to, "records_dropped_with_their_aggregate", run->source.foreign_records);
    }
    tw_summary_count(to, "bytes_read", run->source.bytes);
    fprintf(to, "  \"seconds\": %.6f,\n", run->seconds);
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", tw_summary_peak_rss_bytes());
}

enum tumble_code tw_emulation_summary_write(const char *path, const struct tw_emulation_figures *figures,
                                            struct tumble_error *err) {
    return tw_run_summary_write_by(path, tw_emulation_summary_print, figures, err);
}

static size_t add(char *line, size_t length, size_t capacity, uint64_t count, const char *one, const char *many) {
    char number[TW_NUMBER_TEXT];
    int n = count ? snprintf(line + length, capacity - length, ", %s %s", tw_number_text(count, number),
                             count == 1 ? one : many)
                  : 0;
    return n > 0 && (size_t)n < capacity - length ? length + (size_t)n : length;
}

void tw_emulation_summary_say(const struct tw_emulation_figures *figures) {
    const struct tumble_mapping_metrics *m = &figures->run->metrics;
    char records[TW_NUMBER_TEXT], invocations[TW_NUMBER_TEXT], rest[400] = "";
    size_t length = 0;
    length = add(rest, length, sizeof rest, m->windows, "window", "windows");
    length = add(rest, length, sizeof rest, figures->engine ? figures->engine->counters.rows : 0, "row", "rows");
    length = add(rest, length, sizeof rest, m->errors, "error", "errors");
    length = add(rest, length, sizeof rest, m->throttles, "throttle", "throttles");
    add(rest, length, sizeof rest, m->discarded_records, "record given up", "records given up");
    tw_say("%s record%s \xe2\x86\x92 %s invocation%s%s, %.2f s", tw_number_text(figures->run->source.records, records),
           figures->run->source.records == 1 ? "" : "s", tw_number_text(m->invocations, invocations),
           m->invocations == 1 ? "" : "s", rest, figures->run->seconds);
}
