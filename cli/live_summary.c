#include "cli/live_summary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "cli/run_summary.h"
#include "cli/terminal_text.h"

static void count(FILE *to, const char *name, uint64_t value) { fprintf(to, "  \"%s\": %" PRIu64 ",\n", name, value); }

static void instant(FILE *to, const char *name, int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    if (ms < 0) {
        fprintf(to, "  \"%s\": null,\n", name);
        return;
    }
    tumble_timestamp_text_ms(ms, text);
    fprintf(to, "  \"%s\": \"%s\",\n", name, text);
}

static void age(FILE *to, const char *name, int64_t ms) {
    if (ms < 0) {
        fprintf(to, "  \"%s\": null,\n", name);
    } else {
        fprintf(to, "  \"%s\": %" PRId64 ",\n", name, ms);
    }
}

void tw_live_summary_print(FILE *to, const void *what) {
    const struct tw_live_outcome *outcome = what;
    const struct tumble_live_summary *s = outcome->summary;
    const struct tumble_counters *c = &s->counters;
    struct rusage usage;
    double seconds = s->seconds > 0 ? s->seconds : 0;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n  \"stream\": ", TUMBLE_VERSION_STRING,
            tumble_code_name(outcome->code));
    tw_print_json_string(to, tumble_bytes_of(s->arn));
    fprintf(to, ",\n  \"resumed\": %s,\n  \"stopped\": %s,\n", s->resumed ? "true" : "false",
            s->stopped ? "true" : "false");
    count(to, "shards", s->shards);
    count(to, "records", c->records);
    count(to, "applied", c->fates[TUMBLE_FATE_APPLIED]);
    count(to, "late", c->fates[TUMBLE_FATE_LATE]);
    count(to, "duplicate", c->fates[TUMBLE_FATE_DUPLICATE]);
    count(to, "filtered", c->fates[TUMBLE_FATE_FILTERED]);
    count(to, "bad", c->fates[TUMBLE_FATE_BAD]);
    count(to, "fields_skipped", c->skipped);
    count(to, "windows_opened", c->windows_opened);
    count(to, "windows_closed", c->windows_closed);
    count(to, "rows", c->rows);
    count(to, "rows_rejected", c->rows_rejected);
    count(to, "failures", c->failures);
    count(to, "groups_open", c->groups_open);
    count(to, "groups_peak", c->groups_peak);
    instant(to, "first_arrival", s->first_arrival_ms);
    instant(to, "last_arrival", s->last_arrival_ms);
    age(to, "iterator_age_ms", s->iterator_age_ms);
    age(to, "iterator_age_most_ms", s->iterator_age_most_ms);
    count(to, "batches", s->batches);
    count(to, "records_read", s->records_read);
    count(to, "bytes_read", s->bytes_read);
    count(to, "aggregates_dropped", s->aggregates_dropped);
    count(to, "gaps", s->gaps);
    count(to, "throttles", s->throttles);
    count(to, "troubles", s->troubles);
    count(to, "leases_taken", s->leases_taken);
    count(to, "leases_lost", s->leases_lost);
    fprintf(to, "  \"seconds\": %.6f,\n", seconds);
    fprintf(to, "  \"records_per_second\": %.1f,\n", seconds > 0 ? (double)s->records_read / seconds : 0);
    fprintf(to,
            "  \"batch_latency_us\": {\"count\": %" PRIu64
            ", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n",
            s->latency_count, s->latency_p50_us, s->latency_p90_us, s->latency_p99_us, s->latency_max_us);
    fprintf(to, "  \"commit_latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n", s->commit_p50_us,
            s->commit_p99_us, s->commit_max_us);
    count(to, "commits", c->commits);
    count(to, "state_bytes_written", c->bytes_committed);
    count(to, "state_bytes_peak", c->state_bytes_peak);
    bool known = getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0;
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", known ? (uint64_t)usage.ru_maxrss * 1024 : 0);
}

enum tumble_code tw_live_summary_write(const char *path, const struct tumble_live_summary *summary,
                                       enum tumble_code code, struct tumble_error *err) {
    struct tw_live_outcome outcome = {summary, code};
    return tw_run_summary_write_by(path, tw_live_summary_print, &outcome, err);
}

static const char *plural(uint64_t n) { return n == 1 ? "" : "s"; }

void tw_live_summary_say(const struct tumble_live_summary *summary) {
    const struct tumble_counters *c = &summary->counters;
    char records[TW_NUMBER_TEXT], rows[TW_NUMBER_TEXT], windows[TW_NUMBER_TEXT];
    tw_say("%s record%s \xe2\x86\x92 %s row%s in %s window%s, %.2f s", tw_number_text(c->records, records),
           plural(c->records), tw_number_text(c->rows, rows), plural(c->rows),
           tw_number_text(c->windows_closed, windows), plural(c->windows_closed), summary->seconds);
}
