#include "cli/run_summary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "adapters/metrics/whole_file.h"
#include "cli/terminal_text.h"

static const char *format_name(enum tumble_capture_format format) {
    switch (format) {
    case TUMBLE_CAPTURE_NDJSON: return "ndjson";
    case TUMBLE_CAPTURE_ARRAY: return "array";
    case TUMBLE_CAPTURE_LAMBDA: return "lambda";
    case TUMBLE_CAPTURE_GET_RECORDS: return "get-records";
    case TUMBLE_CAPTURE_AUTO: break;
    }
    return "";
}

uint64_t tw_summary_peak_rss_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

void tw_summary_instant(FILE *to, const char *name, int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    if (ms < 0) {
        fprintf(to, "  \"%s\": null,\n", name);
        return;
    }
    tumble_timestamp_text_ms(ms, text);
    fprintf(to, "  \"%s\": \"%s\",\n", name, text);
}

void tw_summary_count(FILE *to, const char *name, uint64_t value) {
    fprintf(to, "  \"%s\": %" PRIu64 ",\n", name, value);
}

void tw_summary_span(FILE *to, const char *name, uint64_t count, double sum, double least, double most) {
    if (count == 0) {
        fprintf(to, "  \"%s\": null,\n", name);
        return;
    }
    fprintf(to,
            "  \"%s\": {\"SampleCount\": %" PRIu64
            ", \"Average\": %.3f, \"Minimum\": %.3f, \"Maximum\": %.3f, \"Sum\": %.3f},\n",
            name, count, sum / (double)count, least, most, sum);
}

void tw_summary_reads(FILE *to, uint64_t throttles, uint64_t errors, uint64_t expired, uint64_t gaps) {
    tw_summary_count(to, "ReadProvisionedThroughputExceeded", throttles);
    tw_summary_count(to, "get_records_errors", errors);
    tw_summary_count(to, "iterators_expired", expired);
    tw_summary_count(to, "gaps", gaps);
}

void tw_summary_speed(FILE *to, uint64_t records, uint64_t bytes, double seconds) {
    seconds = seconds > 0 ? seconds : 0;
    fprintf(to, "  \"seconds\": %.6f,\n", seconds);
    fprintf(to, "  \"records_per_second\": %.1f,\n", seconds > 0 ? (double)records / seconds : 0);
    fprintf(to, "  \"mb_per_second\": %.3f,\n", seconds > 0 ? (double)bytes / 1e6 / seconds : 0);
}

void tw_summary_fates(FILE *to, const struct tumble_counters *c) {
    tw_summary_count(to, "records", c->records);
    tw_summary_count(to, "applied", c->fates[TUMBLE_FATE_APPLIED]);
    tw_summary_count(to, "late", c->fates[TUMBLE_FATE_LATE]);
    tw_summary_count(to, "duplicate", c->fates[TUMBLE_FATE_DUPLICATE]);
    tw_summary_count(to, "filtered", c->fates[TUMBLE_FATE_FILTERED]);
    tw_summary_count(to, "bad", c->fates[TUMBLE_FATE_BAD]);
}

void tw_summary_counters(FILE *to, const struct tumble_counters *c) {
    tw_summary_fates(to, c);
    tw_summary_count(to, "fields_skipped", c->skipped);
    tw_summary_count(to, "windows_opened", c->windows_opened);
    tw_summary_count(to, "windows_closed", c->windows_closed);
    tw_summary_count(to, "rows", c->rows);
    tw_summary_count(to, "rows_rejected", c->rows_rejected);
    tw_summary_count(to, "failures", c->failures);
    tw_summary_count(to, "groups_open", c->groups_open);
    tw_summary_count(to, "groups_peak", c->groups_peak);
}

static void print(FILE *to, const struct tumble_replay_summary *s, enum tumble_code code) {
    const struct tumble_counters *c = &s->counters;
    bool seen = s->records_read > 0;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n", TUMBLE_VERSION_STRING, tumble_code_name(code));
    fprintf(to, "  \"resumed\": %s,\n  \"complete_before\": %s,\n  \"stopped\": %s,\n", s->resumed ? "true" : "false",
            s->complete_before ? "true" : "false", s->stopped ? "true" : "false");
    fprintf(to, "  \"input_format\": \"%s\",\n", format_name(s->format));
    tw_summary_count(to, "shards", s->shards);
    tw_summary_counters(to, c);
    tw_summary_instant(to, "first_arrival", seen ? s->first_arrival_ms : -1);
    tw_summary_instant(to, "last_arrival", seen ? s->last_arrival_ms : -1);
    tw_summary_count(to, "batches", s->batches);
    tw_summary_count(to, "records_read", s->records_read);
    tw_summary_count(to, "bytes_read", s->bytes_read);
    tw_summary_speed(to, s->records_read, s->bytes_read, s->seconds);
    fprintf(to,
            "  \"batch_latency_us\": {\"count\": %" PRIu64
            ", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n",
            s->latency_count, s->latency_p50_us, s->latency_p90_us, s->latency_p99_us, s->latency_max_us);
    tw_summary_count(to, "commits", c->commits);
    tw_summary_count(to, "state_bytes_written", c->bytes_committed);
    tw_summary_count(to, "state_bytes_peak", c->state_bytes_peak);
    tw_summary_count(to, "table_bytes", c->memory_bytes);
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", tw_summary_peak_rss_bytes());
}

enum tumble_code tw_run_summary_probe(const char *path, const char *state, struct tumble_error *err) {
    size_t length = state ? strlen(state) : 0;
    bool in_state = length > 0 && strncmp(path, state, length) == 0 && path[length] == '/' && access(state, F_OK) != 0;
    return strcmp(path, "-") == 0 || in_state ? TUMBLE_OK : tw_whole_file_probe("summary", path, err);
}

enum tumble_code tw_run_summary_write_by(const char *path, void (*print_to)(FILE *to, const void *what),
                                         const void *what, struct tumble_error *err) {
    if (strcmp(path, "-") == 0) {
        print_to(stderr, what);
        return TUMBLE_OK;
    }
    return tw_whole_file_write("summary", path, print_to, what, err);
}

void tw_run_summary_print(FILE *to, const void *what) {
    const struct tw_run_outcome *outcome = what;
    print(to, outcome->summary, outcome->code);
}

enum tumble_code tw_run_summary_write(const char *path, const struct tumble_replay_summary *summary,
                                      enum tumble_code code, struct tumble_error *err) {
    struct tw_run_outcome outcome = {summary, code};
    return tw_run_summary_write_by(path, tw_run_summary_print, &outcome, err);
}

void tw_run_summary_say(const struct tumble_replay_summary *summary) {
    const struct tumble_counters *c = &summary->counters;
    char records[TW_NUMBER_TEXT], rows[TW_NUMBER_TEXT], windows[TW_NUMBER_TEXT], late[TW_NUMBER_TEXT];
    char rest[256] = "";
    size_t length = 0;
    static const struct {
        enum tumble_fate fate;
        const char *name;
    } others[] = {{TUMBLE_FATE_FILTERED, "filtered"}, {TUMBLE_FATE_DUPLICATE, "duplicate"}, {TUMBLE_FATE_BAD, "bad"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t count = c->fates[others[i].fate];
        char number[TW_NUMBER_TEXT];
        if (count > 0) {
            int n =
                snprintf(rest + length, sizeof rest - length, ", %s %s", tw_number_text(count, number), others[i].name);
            length += n > 0 ? (size_t)n : 0;
        }
    }
    tw_say("%s record%s \xe2\x86\x92 %s row%s in %s window%s, %s late%s, %.2f s", tw_number_text(c->records, records),
           tw_plural(c->records), tw_number_text(c->rows, rows), tw_plural(c->rows),
           tw_number_text(c->windows_closed, windows), tw_plural(c->windows_closed),
           tw_number_text(c->fates[TUMBLE_FATE_LATE], late), rest, summary->seconds);
}
