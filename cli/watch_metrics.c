#include "cli/watch_metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <tumble/version.h>

/* Which runs have it. */
enum { HELD = 1, MAPPING = 2, LIVE = 4, ALL = 7, COUNTERS = 8 /* only where the engine is ours */ };

struct metric {
    const char *name;  /* Prometheus's */
    const char *cloud; /* CloudWatch's; NULL: not there */
    const char *unit;  /* CloudWatch's */
    int is_gauge;
    int runs;
    size_t offset; /* of a uint64_t in the view */
    const char *help;
};

#define VIEW(member) offsetof(struct tumble_watch_view, member)

static const struct metric metrics[] = {
    {"tumble_invocations_total", "Invocations", "Count", 0, ALL, VIEW(batches),
     "Invocations of the function, or batches the engine applied; throttled ones not (AWS: Invocations)"},
    {"tumble_errors_total", "Errors", "Count", 0, ALL, VIEW(errors), "Invocations that failed (AWS: Errors)"},
    {"tumble_throttles_total", "Throttles", "Count", 0, ALL, VIEW(throttles),
     "Attempts at an invocation that were throttled (AWS: Throttles)"},
    {"tumble_retries_total", "Retries", "Count", 0, ALL, VIEW(retries),
     "Attempts with records, or at a final, that were sent before"},
    {"tumble_concurrent_executions", "ConcurrentExecutions", "Count", 1, MAPPING, VIEW(mapping.concurrent_executions),
     "Most invocations at a time so far (AWS: ConcurrentExecutions, its maximum)"},
    {"tumble_destination_delivery_failures_total", "DestinationDeliveryFailures", "Count", 0, MAPPING,
     VIEW(mapping.destination_delivery_failures),
     "Documents that the on-failure destination did not take (AWS: DestinationDeliveryFailures)"},
    {"tumble_polled_event_count_total", "PolledEventCount", "Count", 0, MAPPING, VIEW(mapping.polled_event_count),
     "Records that the mapping read (AWS: PolledEventCount)"},
    {"tumble_filtered_out_event_count_total", "FilteredOutEventCount", "Count", 0, MAPPING,
     VIEW(mapping.filtered_out_event_count), "Records that the filter left out (AWS: FilteredOutEventCount)"},
    {"tumble_invoked_event_count_total", "InvokedEventCount", "Count", 0, MAPPING, VIEW(mapping.invoked_event_count),
     "Records sent to the function, retries counted again (AWS: InvokedEventCount)"},
    {"tumble_failed_invoke_event_count_total", "FailedInvokeEventCount", "Count", 0, MAPPING,
     VIEW(mapping.failed_invoke_event_count), "Records of failed invocations (AWS: FailedInvokeEventCount)"},
    {"tumble_dropped_event_count_total", "DroppedEventCount", "Count", 0, MAPPING, VIEW(mapping.dropped_event_count),
     "Records given up that no destination took (AWS: DroppedEventCount)"},
    {"tumble_on_failure_destination_delivered_event_count_total", "OnFailureDestinationDeliveredEventCount", "Count", 0,
     MAPPING, VIEW(mapping.on_failure_destination_delivered_event_count),
     "Records given up that the destination took (AWS: OnFailureDestinationDeliveredEventCount)"},
    {"tumble_lost_to_retention_total", "RecordsLostToRetention", "Count", 0, MAPPING, VIEW(mapping.lost_to_retention),
     "Records that grew older than the stream keeps them"},
    {"tumble_records_read_total", "RecordsRead", "Count", 0, ALL, VIEW(read_records),
     "Records read from the input or stream by this process"},
    {"tumble_bytes_read_total", "BytesRead", "Bytes", 0, ALL, VIEW(read_bytes),
     "Bytes read from the input or stream by this process, decompressed"},
    {"tumble_windows_opened_total", "WindowsOpened", "Count", 0, HELD | LIVE | COUNTERS, VIEW(counters.windows_opened),
     "Windows of shards that were opened"},
    {"tumble_windows_closed_total", "WindowsClosed", "Count", 0, HELD | LIVE | COUNTERS, VIEW(counters.windows_closed),
     "Windows of shards that were closed, their rows in the outbox"},
    {"tumble_windows_closed_total", "WindowsClosed", "Count", 0, MAPPING, VIEW(mapping.windows),
     "Windows of shards whose final succeeded"},
    {"tumble_windows_terminated_early_total", "WindowsTerminatedEarly", "Count", 0, MAPPING,
     VIEW(mapping.early_terminations), "Fragments that ended early, their state above the limit"},
    {"tumble_windows_reopened_total", "WindowsReopened", "Count", 0, MAPPING, VIEW(mapping.reopened_by_late_records),
     "Windows opened at or before one that was closed already"},
    {"tumble_windows_given_up_total", "WindowsGivenUp", "Count", 0, MAPPING, VIEW(mapping.discarded_finals),
     "Windows whose final was given up: their rows are missing"},
    {"tumble_rows_total", "RowsEmitted", "Count", 0, ALL | COUNTERS, VIEW(counters.rows), "Rows put into the outbox"},
    {"tumble_rows_rejected_total", "RowsRejected", "Count", 0, ALL | COUNTERS, VIEW(counters.rows_rejected),
     "Rows that an output refused for good"},
    {"tumble_failures_total", "Failures", "Count", 0, ALL | COUNTERS, VIEW(counters.failures),
     "Records and rows sent to the failures output"},
    {"tumble_fields_skipped_total", "FieldsSkipped", "Count", 0, ALL | COUNTERS, VIEW(counters.skipped),
     "Null or missing fields that an aggregate passed over"},
    {"tumble_open_groups", "OpenGroups", "Count", 1, HELD | LIVE | COUNTERS, VIEW(counters.groups_open),
     "Groups in windows that are open"},
    {"tumble_window_table_bytes", "WindowTableBytes", "Bytes", 1, HELD | LIVE | COUNTERS, VIEW(counters.memory_bytes),
     "Memory that tables of open windows hold"},
    {"tumble_state_bytes_written_total", "StateBytesWritten", "Bytes", 0, HELD | LIVE | COUNTERS,
     VIEW(counters.bytes_committed), "Bytes that commits wrote"},
    {"tumble_get_records_throttles_total", "ReadProvisionedThroughputExceeded", "Count", 0, LIVE,
     VIEW(events[TUMBLE_WATCH_READ_THROTTLED]),
     "GetRecords calls that were throttled (AWS: ReadProvisionedThroughputExceeded)"},
    {"tumble_get_records_errors_total", "GetRecordsErrors", "Count", 0, LIVE, VIEW(events[TUMBLE_WATCH_READ_ERROR]),
     "GetRecords calls that failed otherwise and were tried again"},
    {"tumble_iterators_expired_total", "IteratorsExpired", "Count", 0, LIVE,
     VIEW(events[TUMBLE_WATCH_ITERATOR_EXPIRED]), "Shard iterators that expired and were renewed"},
    {"tumble_leases_taken_total", "LeasesTaken", "Count", 0, LIVE, VIEW(events[TUMBLE_WATCH_LEASE_TAKEN]),
     "Shard leases that this process took"},
    {"tumble_leases_lost_total", "LeasesLost", "Count", 0, LIVE, VIEW(events[TUMBLE_WATCH_LEASE_LOST]),
     "Shard leases that another process took, or that ran out"},
    {"tumble_leases_given_up_total", "LeasesGivenUp", "Count", 0, LIVE, VIEW(events[TUMBLE_WATCH_LEASE_GIVEN_UP]),
     "Shard leases that went to a process that asked for them"},
    {"tumble_shards_drained_total", "ShardsDrained", "Count", 0, LIVE, VIEW(events[TUMBLE_WATCH_SHARD_DRAINED]),
     "Shards that were read to their end, split or merged"},
    {"tumble_lease_renewals_failed_total", "LeaseRenewalsFailed", "Count", 0, LIVE,
     VIEW(events[TUMBLE_WATCH_LEASE_RENEWAL_FAILED]), "Renewals of shard leases that failed"},
};

enum { METRICS = sizeof metrics / sizeof metrics[0] };
_Static_assert((int)METRICS + (int)TUMBLE_FATE_COUNT <= (int)TW_WATCH_METRICS_MAX,
               "struct tw_watch_since is too small");

static const char *const kinds[] = {
    [TUMBLE_WATCH_HELD] = "replay", [TUMBLE_WATCH_MAPPING] = "mapping", [TUMBLE_WATCH_LIVE] = "run"};

static const char *const fates[TUMBLE_FATE_COUNT] = {
    [TUMBLE_FATE_APPLIED] = "applied",   [TUMBLE_FATE_LATE] = "late", [TUMBLE_FATE_DUPLICATE] = "duplicate",
    [TUMBLE_FATE_FILTERED] = "filtered", [TUMBLE_FATE_BAD] = "bad",
};

static const char *const cloud_fates[TUMBLE_FATE_COUNT] = {
    [TUMBLE_FATE_APPLIED] = "RecordsApplied",
    [TUMBLE_FATE_LATE] = "RecordsLate",
    [TUMBLE_FATE_DUPLICATE] = "RecordsDuplicate",
    [TUMBLE_FATE_FILTERED] = "RecordsFiltered",
    [TUMBLE_FATE_BAD] = "RecordsBad",
};

static bool has(const struct tumble_watch_view *view, const struct metric *metric) {
    return metric->runs & 1 << view->kind && (!(metric->runs & COUNTERS) || view->has_counters);
}

static double value_of(const struct tumble_watch_view *view, const struct metric *metric) {
    uint64_t value;
    memcpy(&value, (const char *)view + metric->offset, sizeof value);
    return (double)value;
}

/* ---- Prometheus ---- */

static void put_one(struct tw_prometheus_text *page, const char *name, enum tw_prometheus_type type, const char *help,
                    double value) {
    tw_prometheus_metric(page, name, type, help);
    tw_prometheus_sample(page, NULL, 0, value);
}

static void put_histogram(struct tw_prometheus_text *page, const char *name, const char *help,
                          const struct tumble_watch_histogram *histogram, double unit) {
    double bounds[TUMBLE_WATCH_BOUNDS];
    for (int i = 0; i < TUMBLE_WATCH_BOUNDS; i++) {
        bounds[i] = (double)histogram->bounds[i] / unit;
    }
    tw_prometheus_metric(page, name, TW_PROMETHEUS_HISTOGRAM, help);
    tw_prometheus_buckets(page, bounds, histogram->upto, TUMBLE_WATCH_BOUNDS, histogram->fine.count,
                          (double)histogram->sum / unit);
}

static void put_work(struct tw_prometheus_text *page, const struct tumble_watch_view *view, enum tumble_watch_work work,
                     const char *name, const char *help) {
    if (view->took[work].fine.count || work == TUMBLE_WATCH_INVOCATION) {
        put_histogram(page, name, help, &view->took[work], 1e9);
    }
}

struct by_shard {
    const char *name;
    const char *help;
    size_t offset; /* of a uint64_t in the shard */
};

static void put_shards(struct tw_prometheus_text *page, const struct tumble_watch_view *view) {
#define SHARD(member) offsetof(struct tumble_watch_shard, member)
    static const struct by_shard all[] = {
        {"tumble_shard_records_total", "Records of the shard in batches, those of retries too", SHARD(records)},
        {"tumble_shard_bytes_total", "Bytes of their data", SHARD(bytes)},
        {"tumble_shard_invocations_total", "Invocations, or batches, of the shard", SHARD(batches)},
        {"tumble_shard_errors_total", "Of them, those that failed", SHARD(errors)},
        {"tumble_shard_throttles_total", "Attempts or reads of the shard that were throttled", SHARD(throttles)},
        {"tumble_shard_windows_closed_total", "Windows of the shard that were closed", SHARD(windows_closed)},
    };
#undef SHARD
    for (size_t m = 0; m < sizeof all / sizeof all[0] && view->shard_count; m++) {
        tw_prometheus_metric(page, all[m].name, TW_PROMETHEUS_COUNTER, all[m].help);
        for (uint32_t i = 0; i < view->shard_count; i++) {
            struct tw_prometheus_label label = {"shard", view->shards[i].id};
            uint64_t value;
            memcpy(&value, (const char *)&view->shards[i] + all[m].offset, sizeof value);
            tw_prometheus_sample(page, &label, 1, (double)value);
        }
    }
    if (view->iterator_ages == 0) {
        return;
    }
    tw_prometheus_metric(page, "tumble_iterator_age_seconds", TW_PROMETHEUS_GAUGE,
                         "Age of the last record of the shard's last batch when it was sent (AWS: IteratorAge)");
    for (uint32_t i = 0; i < view->shard_count; i++) {
        struct tw_prometheus_label label = {"shard", view->shards[i].id};
        if (view->shards[i].iterator_age_ms >= 0) {
            tw_prometheus_sample(page, &label, 1, (double)view->shards[i].iterator_age_ms / 1000);
        }
    }
    put_one(page, "tumble_iterator_age_max_seconds", TW_PROMETHEUS_GAUGE,
            "Greatest iterator age of the run so far, of all shards (AWS: IteratorAge, its maximum)",
            (double)view->iterator_age_most_ms / 1000);
}

static void put_outputs(struct tw_prometheus_text *page, const struct tumble_watch_view *view) {
    static const struct {
        const char *name, *help;
    } all[] = {{"tumble_output_waiting_bytes", "Bytes of rows in the outbox that the output has not acknowledged"},
               {"tumble_output_in_trouble", "1 while the output fails and is tried again"},
               {"tumble_output_attempts", "Attempts that failed since the output last took a row"}};
    for (int m = 0; m < 3 && view->output_count; m++) {
        tw_prometheus_metric(page, all[m].name, TW_PROMETHEUS_GAUGE, all[m].help);
        for (uint32_t i = 0; i < view->output_count; i++) {
            const struct tumble_watch_output *output = &view->outputs[i];
            struct tw_prometheus_label labels[] = {{"output", output->name},
                                                   {"kind", output->is_failures ? "failures" : "rows"}};
            tw_prometheus_sample(page, labels, 2,
                                 m == 0   ? (double)output->waiting_bytes
                                 : m == 1 ? (double)output->is_held
                                          : (double)output->attempts);
        }
    }
}

static void put_process(struct tw_prometheus_text *page) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        put_one(page, "process_cpu_seconds_total", TW_PROMETHEUS_COUNTER, "CPU time of the process",
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
        put_one(page, "tumble_process_peak_resident_bytes", TW_PROMETHEUS_GAUGE,
                "Most memory that the process has held", (double)usage.ru_maxrss * 1024);
    }
}

static void put_fates(struct tw_prometheus_text *page, const struct tumble_watch_view *view) {
    if (!view->has_counters) {
        return;
    }
    tw_prometheus_metric(page, "tumble_records_total", TW_PROMETHEUS_COUNTER,
                         "Records by what became of them, since the state was made");
    for (int i = 0; i < TUMBLE_FATE_COUNT; i++) {
        struct tw_prometheus_label label = {"fate", fates[i]};
        tw_prometheus_sample(page, &label, 1, (double)view->counters.fates[i]);
    }
}

void tw_watch_metrics_page(const struct tumble_watch_view *view, const char *source, struct tw_prometheus_text *page) {
    struct tw_prometheus_label info[] = {
        {"version", TUMBLE_VERSION_STRING}, {"kind", kinds[view->kind]}, {"source", source}};
    tw_prometheus_metric(page, "tumble_run_info", TW_PROMETHEUS_GAUGE, "What runs");
    tw_prometheus_sample(page, info, 3, 1);
    for (size_t i = 0; i < METRICS; i++) {
        if (has(view, &metrics[i])) {
            put_one(page, metrics[i].name, metrics[i].is_gauge ? TW_PROMETHEUS_GAUGE : TW_PROMETHEUS_COUNTER,
                    metrics[i].help, value_of(view, &metrics[i]));
        }
    }
    put_fates(page, view);
    if (view->has_counters && view->kind != TUMBLE_WATCH_MAPPING) {
        put_one(page, "tumble_open_windows", TW_PROMETHEUS_GAUGE, "Windows of shards that are open",
                (double)(view->counters.windows_opened - view->counters.windows_closed));
    }
    put_work(page, view, TUMBLE_WATCH_INVOCATION, "tumble_duration_seconds",
             "How long invocations took, or the engine for a batch (AWS: Duration)");
    put_histogram(page, "tumble_batch_records", "Records of a batch", view->batch_records, 1);
    put_work(page, view, TUMBLE_WATCH_COMMIT, "tumble_commit_seconds", "How long commits of the state took");
    put_work(page, view, TUMBLE_WATCH_DELIVERY, "tumble_delivery_seconds",
             "How long outputs took for what was offered behind a commit");
    put_work(page, view, TUMBLE_WATCH_GET_RECORDS, "tumble_get_records_seconds",
             "How long GetRecords took (AWS: GetRecords.Latency)");
    put_shards(page, view);
    put_outputs(page, view);
    if (view->now_us >= 0) {
        put_one(page, "tumble_run_time_seconds", TW_PROMETHEUS_GAUGE,
                "Where the run's clock stands, since 1970: the machine's, or a mapping's virtual one",
                (double)view->now_us / 1e6);
    }
    put_process(page);
}

/* ---- CloudWatch ---- */

static void add(struct tw_emf_metric *list, size_t *count, const char *name, const char *unit, double value) {
    list[(*count)++] = (struct tw_emf_metric){name, unit, value};
}

/* The mean and the most of what was told since the last line. */
static void add_spans(const struct tumble_watch_view *view, const struct tumble_watch_peaks *peaks,
                      struct tw_watch_since *since, struct tw_emf_metric *list, size_t *count) {
    const struct tumble_watch_histogram *took = &view->took[TUMBLE_WATCH_INVOCATION];
    uint64_t ages = view->iterator_ages - since->iterator_ages, durations = took->fine.count - since->durations;
    if (ages && peaks->iterator_age_ms >= 0) {
        add(list, count, "IteratorAge", "Milliseconds", (double)peaks->iterator_age_ms);
        add(list, count, "IteratorAgeMean", "Milliseconds",
            (view->iterator_age_sum_ms - since->iterator_age_sum_ms) / (double)ages);
    }
    if (durations && peaks->duration_ns >= 0) {
        add(list, count, "Duration", "Milliseconds",
            ((double)took->sum - since->duration_sum_ns) / 1e6 / (double)durations);
        add(list, count, "DurationMaximum", "Milliseconds", (double)peaks->duration_ns / 1e6);
        add(list, count, "BatchRecordsMaximum", "Count", (double)peaks->batch_records);
    }
    since->iterator_ages = view->iterator_ages;
    since->iterator_age_sum_ms = view->iterator_age_sum_ms;
    since->durations = took->fine.count;
    since->duration_sum_ns = (double)took->sum;
}

/* Counters that a state carries over from earlier processes begin where those ended. */
static void begin(const struct tumble_watch_view *view, struct tw_watch_since *since) {
    for (size_t i = 0; i < METRICS; i++) {
        if (metrics[i].runs & COUNTERS) {
            uint64_t value;
            memcpy(&value, (const char *)&view->counters_before + (metrics[i].offset - VIEW(counters)), sizeof value);
            since->values[i] = (double)value;
        }
    }
    for (int i = 0; i < TUMBLE_FATE_COUNT; i++) {
        since->values[(size_t)METRICS + (size_t)i] = (double)view->counters_before.fates[i];
    }
    since->is_begun = 1;
}

size_t tw_watch_metrics_line(const struct tumble_watch_view *view, const struct tumble_watch_peaks *peaks,
                             struct tw_watch_since *since, struct tw_emf_metric list[TW_EMF_METRICS_MAX]) {
    size_t count = 0;
    double waiting = 0;
    if (!since->is_begun) {
        begin(view, since);
    }
    for (size_t i = 0; i < METRICS; i++) {
        if (metrics[i].cloud && has(view, &metrics[i])) {
            double value = value_of(view, &metrics[i]);
            add(list, &count, metrics[i].cloud, metrics[i].unit,
                metrics[i].is_gauge ? value : value - since->values[i]);
            since->values[i] = value;
        }
    }
    for (int i = 0; i < TUMBLE_FATE_COUNT && view->has_counters; i++) {
        double value = (double)view->counters.fates[i];
        size_t at = (size_t)METRICS + (size_t)i;
        add(list, &count, cloud_fates[i], "Count", value - since->values[at]);
        since->values[at] = value;
    }
    for (uint32_t i = 0; i < view->output_count; i++) {
        waiting += (double)view->outputs[i].waiting_bytes;
    }
    if (view->output_count) {
        add(list, &count, "OutputWaitingBytes", "Bytes", waiting);
    }
    add_spans(view, peaks, since, list, &count);
    return count;
}
