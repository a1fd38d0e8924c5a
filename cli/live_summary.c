#include "cli/live_summary.h"

#include <inttypes.h>

#include "cli/run_summary.h"
#include "cli/terminal_text.h"

void tw_live_summary_print(FILE *to, const void *what) {
    const struct tw_live_outcome *outcome = what;
    const struct tumble_live_summary *s = outcome->summary;
    const struct tumble_counters *c = &s->counters;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n  \"stream\": ", TUMBLE_VERSION_STRING,
            tumble_code_name(outcome->code));
    tw_print_json_string(to, tumble_bytes_of(s->arn));
    fprintf(to, ",\n  \"resumed\": %s,\n  \"stopped\": %s,\n", s->resumed ? "true" : "false",
            s->stopped ? "true" : "false");
    tw_summary_count(to, "shards", s->shards);
    tw_summary_counters(to, c);
    tw_summary_instant(to, "first_arrival", s->first_arrival_ms);
    tw_summary_instant(to, "last_arrival", s->last_arrival_ms);
    tw_summary_span(to, "IteratorAge", s->iterator_ages, s->iterator_age_sum_ms, (double)s->iterator_age_least_ms,
                    (double)s->iterator_age_most_ms);
    tw_summary_count(to, "batches", s->batches);
    tw_summary_count(to, "records_read", s->records_read);
    tw_summary_count(to, "bytes_read", s->bytes_read);
    tw_summary_count(to, "aggregates_dropped", s->aggregates_dropped);
    tw_summary_reads(to, s->throttles, s->troubles, s->iterators_expired, s->gaps);
    tw_summary_count(to, "leases_taken", s->leases_taken);
    tw_summary_count(to, "leases_lost", s->leases_lost);
    tw_summary_count(to, "leases_given_up", s->leases_given_up);
    tw_summary_count(to, "shards_drained", s->shards_drained);
    tw_summary_speed(to, s->records_read, s->bytes_read, s->seconds);
    fprintf(to,
            "  \"batch_latency_us\": {\"count\": %" PRIu64
            ", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n",
            s->latency_count, s->latency_p50_us, s->latency_p90_us, s->latency_p99_us, s->latency_max_us);
    fprintf(to, "  \"commit_latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n", s->commit_p50_us,
            s->commit_p99_us, s->commit_max_us);
    tw_summary_count(to, "commits", c->commits);
    tw_summary_count(to, "state_bytes_written", c->bytes_committed);
    tw_summary_count(to, "state_bytes_peak", c->state_bytes_peak);
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", tw_summary_peak_rss_bytes());
}

enum tumble_code tw_live_summary_write(const char *path, const struct tumble_live_summary *summary,
                                       enum tumble_code code, struct tumble_error *err) {
    struct tw_live_outcome outcome = {summary, code};
    return tw_run_summary_write_by(path, tw_live_summary_print, &outcome, err);
}

void tw_live_summary_say(const struct tumble_live_summary *summary) {
    const struct tumble_counters *c = &summary->counters;
    char records[TW_NUMBER_TEXT], rows[TW_NUMBER_TEXT], windows[TW_NUMBER_TEXT];
    tw_say("%s record%s \xe2\x86\x92 %s row%s in %s window%s, %.2f s", tw_number_text(c->records, records),
           tw_plural(c->records), tw_number_text(c->rows, rows), tw_plural(c->rows),
           tw_number_text(c->windows_closed, windows), tw_plural(c->windows_closed), summary->seconds);
}
