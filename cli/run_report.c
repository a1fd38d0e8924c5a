#include "cli/run_report.h"

#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <tumble/version.h>

#include "adapters/metrics/report/report_json.h"
#include "adapters/metrics/report/report_page.h"
#include "cli/exit_code.h"

enum { SUMMARY_BYTES = 32 * 1024, LINES = 8, SHARDS_SHOWN = TUMBLE_WATCH_SHARDS + 1 };

struct report {
    const struct tw_run_facts *facts;
    struct tw_report_json *json;
};

enum tumble_code tw_run_report_probe(const char *path, struct tumble_error *err) {
    return tw_report_page_probe(path, err);
}

/* ---- what ran ---- */

static void put_time(struct tw_report_json *json, const char *name, time_t at) {
    char text[32] = "";
    struct tm utc;
    if (gmtime_r(&at, &utc)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    tw_report_text(json, name, text);
}

/* "model name" of the first CPU. */
static void put_cpu(struct tw_report_json *json) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "rb");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            line[strcspn(line, "\n")] = '\0';
            tw_report_text(json, "cpu", colon + 1 + strspn(colon + 1, " "));
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
}

static void put_machine(struct tw_report_json *json) {
    struct utsname system;
    long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    tw_report_object(json, "machine");
    put_cpu(json);
    tw_report_integer(json, "cores", cores);
    tw_report_integer(json, "memoryBytes", pages > 0 && page > 0 ? (int64_t)pages * page : -1);
    if (uname(&system) == 0) {
        char text[256];
        snprintf(text, sizeof text, "%.60s %.80s %.40s", system.sysname, system.release, system.machine);
        tw_report_text(json, "system", text);
    }
    tw_report_end(json);
}

static void put_parameter(struct tw_report_json *json, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    tw_report_array(json, NULL);
    tw_report_text(json, NULL, name);
    tw_report_text(json, NULL, text);
    tw_report_end(json);
}

static void put_named(struct tw_report_json *json, const char *name, const char *value) {
    if (value[0]) {
        tw_report_array(json, NULL);
        tw_report_text(json, NULL, name);
        tw_report_text(json, NULL, value);
        tw_report_end(json);
    }
}

static void put_mapping(struct tw_report_json *json, const struct tumble_mapping_parameters *mapping) {
    static const char *const positions[] = {[TUMBLE_STARTING_POSITION_NONE] = "",
                                            [TUMBLE_TRIM_HORIZON] = "TRIM_HORIZON",
                                            [TUMBLE_LATEST] = "LATEST",
                                            [TUMBLE_AT_TIMESTAMP] = "AT_TIMESTAMP"};
    if (!mapping) {
        return;
    }
    tw_report_array(json, "mapping");
    put_named(json, "EventSourceArn", mapping->event_source_arn);
    put_named(json, "FunctionArn", mapping->function_arn);
    put_named(json, "StartingPosition", positions[mapping->starting_position]);
    put_parameter(json, "BatchSize", mapping->batch_size);
    put_parameter(json, "MaximumBatchingWindowInSeconds", mapping->maximum_batching_window_in_seconds);
    put_parameter(json, "ParallelizationFactor", mapping->parallelization_factor);
    put_parameter(json, "TumblingWindowInSeconds", mapping->tumbling_window_in_seconds);
    put_parameter(json, "MaximumRetryAttempts", mapping->maximum_retry_attempts);
    put_parameter(json, "MaximumRecordAgeInSeconds", mapping->maximum_record_age_in_seconds);
    put_named(json, "BisectBatchOnFunctionError", mapping->bisect_batch_on_function_error ? "true" : "false");
    put_named(json, "FunctionResponseTypes", mapping->report_batch_item_failures ? "ReportBatchItemFailures" : "");
    put_named(json, "OnFailure", mapping->on_failure);
    for (size_t i = 0; i < mapping->filter_count; i++) {
        put_named(json, "FilterCriteria", mapping->filters[i]);
    }
    tw_report_end(json);
}

static void put_summary(struct tw_report_json *json, const struct tw_run_facts *facts) {
    static char text[SUMMARY_BYTES];
    FILE *to = facts->print_summary ? fmemopen(text, sizeof text, "w") : NULL;
    if (!to) {
        return;
    }
    facts->print_summary(to, facts->summary);
    long length = ftell(to);
    bool whole = !ferror(to) && length > 0 && length < SUMMARY_BYTES;
    if (fclose(to) == 0 && whole) {
        tw_report_raw(json, "summary", (struct tumble_bytes){text, (size_t)length});
    }
}

static void put_facts(const struct report *report) {
    static const char *const kinds[] = {
        [TUMBLE_WATCH_HELD] = "replay", [TUMBLE_WATCH_MAPPING] = "mapping", [TUMBLE_WATCH_LIVE] = "run"};
    struct tw_report_json *json = report->json;
    const struct tw_run_facts *facts = report->facts;
    tw_report_text(json, "kind", kinds[facts->kind]);
    tw_report_text(json, "tumble", TUMBLE_VERSION_STRING);
    put_time(json, "written", time(NULL));
    tw_report_array(json, "command");
    for (size_t i = 0; facts->arguments && facts->arguments[i]; i++) {
        tw_report_text(json, NULL, facts->arguments[i]);
    }
    tw_report_end(json);
    tw_report_text(json, "source", facts->source);
    tw_report_text(json, "function", facts->function);
    tw_report_text(json, "result", tumble_code_name(facts->code));
    tw_report_text(json, "resultText", tumble_code_text(facts->code));
    tw_report_integer(json, "exitCode", tw_exit_of(facts->code));
    tw_report_text(json, "error", facts->code == TUMBLE_OK ? NULL : facts->error);
    tw_report_boolean(json, "stopped", facts->is_stopped);
    tw_report_number(json, "seconds", facts->seconds);
    tw_report_integer(json, "windowSeconds", facts->window_seconds);
    if (facts->spec) {
        tw_report_bytes(json, "spec", tumble_spec_canonical(facts->spec));
    }
    put_mapping(json, facts->mapping);
    put_machine(json);
    put_summary(json, facts);
}

/* ---- over time ---- */

static void put_count_at(struct tw_report_json *json, const struct tumble_watch_point *point, size_t offset,
                         size_t size) {
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (size == sizeof wide) {
        memcpy(&wide, (const char *)point + offset, sizeof wide);
    } else {
        memcpy(&narrow, (const char *)point + offset, sizeof narrow);
        wide = narrow;
    }
    tw_report_integer(json, NULL, (int64_t)wide); /* -1: null */
}

static void put_counts(struct tw_report_json *json, const struct tumble_watch_view *view) {
#define SERIES(name, member)                                                                                           \
    { name, offsetof(struct tumble_watch_point, member), sizeof(((struct tumble_watch_point *)NULL)->member) }
    static const struct {
        const char *name;
        size_t offset, size;
    } all[] = {SERIES("readRecords", read_records),
               SERIES("readBytes", read_bytes),
               SERIES("records", records),
               SERIES("bytes", bytes),
               SERIES("batches", batches),
               SERIES("errors", errors),
               SERIES("throttles", throttles),
               SERIES("retries", retries),
               SERIES("windows", windows_closed),
               SERIES("early", fragments_early),
               SERIES("commits", commits),
               SERIES("deliveries", deliveries),
               SERIES("commitMostNs", commit_most_ns),
               SERIES("deliveryMostNs", delivery_most_ns),
               SERIES("commitNs", commit_ns),
               SERIES("deliveryNs", delivery_ns),
               SERIES("ageMostMs", age_most_ms),
               SERIES("arrivalMs", arrival_most_ms),
               SERIES("waitingBytes", waiting_bytes),
               SERIES("memoryBytes", memory_bytes),
               SERIES("openWindows", open_windows)};
#undef SERIES
    for (size_t s = 0; s < sizeof all / sizeof all[0]; s++) {
        tw_report_array(json, all[s].name);
        for (uint32_t i = 0; i < view->point_count; i++) {
            put_count_at(json, &view->points[i], all[s].offset, all[s].size);
        }
        tw_report_end(json);
    }
}

static void put_quantiles(struct tw_report_json *json, const struct tumble_watch_view *view) {
    static const struct {
        const char *name;
        double q;
    } all[] = {{"p50Us", 0.5}, {"p99Us", 0.99}};
    tw_report_array(json, "ageMeanMs");
    for (uint32_t i = 0; i < view->point_count; i++) {
        const struct tumble_watch_point *point = &view->points[i];
        if (point->ages) {
            tw_report_number(json, NULL, (double)point->age_sum_ms / point->ages);
        } else {
            tw_report_null(json, NULL);
        }
    }
    tw_report_end(json);
    for (int q = 0; q < 2; q++) {
        tw_report_array(json, all[q].name);
        for (uint32_t i = 0; i < view->point_count; i++) {
            tw_report_integer(json, NULL, (int64_t)tumble_watch_point_latency_us(&view->points[i], all[q].q));
        }
        tw_report_end(json);
    }
}

/* The shards that were furthest behind. */
static uint32_t choose_shards(const struct tumble_watch_view *view, uint32_t chosen[LINES]) {
    uint32_t count = 0;
    for (uint32_t shard = 0; shard < view->shard_series; shard++) {
        int64_t age = view->shards[shard].iterator_age_most_ms;
        uint32_t at = count < LINES ? count++ : LINES;
        while (at > 0 && age > view->shards[chosen[at - 1]].iterator_age_most_ms) {
            if (at < LINES) {
                chosen[at] = chosen[at - 1];
            }
            at--;
        }
        if (at < LINES) {
            chosen[at] = shard;
        }
    }
    return count;
}

static void put_shard_ages(struct tw_report_json *json, const struct tumble_watch_view *view) {
    uint32_t chosen[LINES];
    uint32_t count = view->iterator_ages ? choose_shards(view, chosen) : 0;
    tw_report_array(json, "shardAges");
    for (uint32_t i = 0; i < count; i++) {
        const int64_t *ages = view->shard_ages + (size_t)chosen[i] * TUMBLE_WATCH_POINTS;
        tw_report_object(json, NULL);
        tw_report_text(json, "shard", view->shards[chosen[i]].id);
        tw_report_array(json, "mostMs");
        for (uint32_t k = 0; k < view->point_count; k++) {
            tw_report_integer(json, NULL, ages[k]);
        }
        tw_report_end(json);
        tw_report_end(json);
    }
    tw_report_end(json);
}

/* ---- distributions ---- */

/* Largest value of a bucket of struct tumble_latency. */
static double upper_of(uint32_t bucket) {
    uint32_t octave = bucket >> 5;
    return octave == 0 ? (double)bucket : (double)((UINT64_C(32) + (bucket & 31) + 1) << (octave - 1)) - 1;
}

static void put_histogram(struct tw_report_json *json, const char *name, const struct tumble_watch_histogram *histogram,
                          double unit) {
    static const double qs[] = {0.5, 0.9, 0.99, 0.999};
    static const char *const names[] = {"p50", "p90", "p99", "p999"};
    const struct tumble_latency *fine = &histogram->fine;
    tw_report_object(json, name);
    tw_report_count(json, "count", fine->count);
    tw_report_number(json, "sum", (double)histogram->sum / unit);
    tw_report_number(json, "most", (double)fine->max_ns / unit);
    for (int q = 0; q < 4 && fine->count; q++) {
        tw_report_number(json, names[q], tumble_latency_quantile_us(fine, qs[q]) * 1000 / unit);
    }
    tw_report_array(json, "bins");
    for (uint32_t i = 0; i < TUMBLE_LATENCY_BUCKETS; i++) {
        if (fine->counts[i]) {
            tw_report_array(json, NULL);
            tw_report_number(json, NULL, upper_of(i) / unit);
            tw_report_count(json, NULL, fine->counts[i]);
            tw_report_end(json);
        }
    }
    tw_report_end(json);
    tw_report_end(json);
}

/* ---- shards, windows, outputs ---- */

static void put_shards(struct tw_report_json *json, const struct tumble_watch_view *view) {
    tw_report_array(json, "shards");
    for (uint32_t i = 0; i < view->shard_count && i < SHARDS_SHOWN; i++) {
        const struct tumble_watch_shard *shard = &view->shards[i];
        tw_report_object(json, NULL);
        tw_report_text(json, "id", shard->id);
        tw_report_count(json, "records", shard->records);
        tw_report_count(json, "bytes", shard->bytes);
        tw_report_count(json, "batches", shard->batches);
        tw_report_count(json, "errors", shard->errors);
        tw_report_count(json, "throttles", shard->throttles);
        tw_report_count(json, "retries", shard->retries);
        tw_report_count(json, "windows", shard->windows_closed);
        tw_report_count(json, "early", shard->fragments_early);
        tw_report_integer(json, "ageMs", shard->iterator_age_ms);
        tw_report_integer(json, "ageMostMs", shard->iterator_age_most_ms);
        tw_report_integer(json, "arrivalMs", shard->last_arrival_ms);
        tw_report_boolean(json, "gone", shard->is_gone);
        tw_report_end(json);
    }
    tw_report_end(json);
}

static void put_fragment(struct tw_report_json *json, const struct tumble_watch_fragment *fragment, int64_t began_us) {
    tw_report_array(json, NULL);
    tw_report_count(json, NULL, fragment->shard);
    tw_report_count(json, NULL, fragment->lane);
    tw_report_count(json, NULL, fragment->ordinal);
    tw_report_integer(json, NULL, fragment->start_ms);
    tw_report_integer(json, NULL, fragment->opened_us > began_us ? fragment->opened_us - began_us : 0);
    tw_report_integer(json, NULL, fragment->closed_us < 0 ? -1 : fragment->closed_us - began_us);
    tw_report_count(json, NULL, fragment->records);
    tw_report_count(json, NULL, fragment->batches);
    tw_report_count(json, NULL, fragment->errors);
    tw_report_integer(json, NULL, fragment->groups);
    tw_report_integer(json, NULL, fragment->state_bytes);
    tw_report_count(json, NULL, (fragment->is_early ? 1u : 0u) + (fragment->is_lost ? 2u : 0u));
    tw_report_end(json);
}

static void put_timeline(struct tw_report_json *json, const struct tumble_watch_view *view) {
    const struct tumble_watch_timeline *timeline = &view->timeline;
    tw_report_object(json, "timeline");
    tw_report_count(json, "every", timeline->every);
    tw_report_count(json, "limit", TUMBLE_WATCH_FRAGMENTS);
    tw_report_count(json, "shardLimit", TUMBLE_WATCH_SHARD_SERIES);
    tw_report_count(json, "leftOut", timeline->left_out_shards);
    tw_report_array(json, "rows");
    for (uint32_t i = 0; i < timeline->count; i++) {
        put_fragment(json, &timeline->fragments[i], view->began_us);
    }
    tw_report_end(json);
    tw_report_end(json);
}

static void put_outputs(struct tw_report_json *json, const struct tumble_watch_view *view) {
    tw_report_array(json, "outputs");
    for (uint32_t i = 0; i < view->output_count; i++) {
        tw_report_object(json, NULL);
        tw_report_text(json, "name", view->outputs[i].name);
        tw_report_boolean(json, "failures", view->outputs[i].is_failures);
        tw_report_count(json, "waitingBytes", view->outputs[i].waiting_bytes);
        tw_report_boolean(json, "held", view->outputs[i].is_held);
        tw_report_end(json);
    }
    tw_report_end(json);
}

static void put_totals(struct tw_report_json *json, const struct tumble_watch_view *view) {
    tw_report_object(json, "totals");
    tw_report_count(json, "readRecords", view->read_records);
    tw_report_count(json, "readBytes", view->read_bytes);
    tw_report_count(json, "batches", view->batches);
    tw_report_count(json, "errors", view->errors);
    tw_report_count(json, "throttles", view->throttles);
    tw_report_count(json, "retries", view->retries);
    tw_report_count(json, "records", view->records);
    tw_report_count(json, "newRecords", view->new_records);
    tw_report_count(json, "bytes", view->bytes);
    tw_report_count(json, "windowsClosed", view->windows_closed);
    tw_report_count(json, "fragmentsEarly", view->fragments_early);
    tw_report_count(json, "fragmentsLost", view->fragments_lost);
    tw_report_integer(json, "iteratorAgeMostMs", view->iterator_age_most_ms);
    tw_report_count(json, "iteratorAges", view->iterator_ages);
    if (view->iterator_ages) {
        tw_report_number(json, "iteratorAgeMeanMs", view->iterator_age_sum_ms / (double)view->iterator_ages);
    }
    tw_report_integer(json, "iteratorAgeMs", view->iterator_age_ms);
    tw_report_end(json);
    if (view->has_counters) {
        const struct tumble_counters *c = &view->counters;
        tw_report_object(json, "fates");
        tw_report_count(json, "applied", c->fates[TUMBLE_FATE_APPLIED]);
        tw_report_count(json, "late", c->fates[TUMBLE_FATE_LATE]);
        tw_report_count(json, "duplicate", c->fates[TUMBLE_FATE_DUPLICATE]);
        tw_report_count(json, "filtered", c->fates[TUMBLE_FATE_FILTERED]);
        tw_report_count(json, "bad", c->fates[TUMBLE_FATE_BAD]);
        tw_report_end(json);
        tw_report_count(json, "rows", c->rows);
        tw_report_count(json, "groupsPeak", c->groups_peak);
        tw_report_count(json, "stateBytesPeak", c->state_bytes_peak);
    }
}

/* ---- the price ---- */

/* hours: in which so much was used, of a day; 0: too short a time to say what a day would be. */
static void put_item(struct tw_report_json *json, const char *what, double quantity, const char *unit, double cost,
                     double hours, double *day) {
    tw_report_object(json, NULL);
    tw_report_text(json, "what", what);
    tw_report_number(json, "quantity", quantity);
    tw_report_text(json, "unit", unit);
    tw_report_number(json, "cost", cost);
    if (hours > 0) {
        tw_report_number(json, "day", cost * 24 / hours);
        *day += cost * 24 / hours;
    }
    tw_report_end(json);
}

/* By the figures of the watch: what a mapping invoked, over the stream's time; live, the stream alone. A day is one of
 * records that come as they did while they came. */
static void put_cost(const struct report *report, const struct tumble_watch_view *view) {
    struct tw_report_json *json = report->json;
    const struct tw_run_facts *facts = report->facts;
    struct tw_prices prices;
    struct tw_cost cost;
    double hours = (double)(view->now_us - view->began_us) / 3.6e9, day = 0;
    double flow = view->flow_began_us < 0 ? 0 : (double)(view->flow_ended_us - view->flow_began_us) / 3.6e9;
    flow = flow * 3600 < 1 ? 0 : flow;
    if (view->kind == TUMBLE_WATCH_HELD || view->batches == 0 || !(hours > 0) ||
        tw_prices_default(&prices, NULL) != TUMBLE_OK) {
        return;
    }
    bool with_function = view->kind == TUMBLE_WATCH_MAPPING;
    double gb = (double)(facts->memory_mb > 0 ? facts->memory_mb : 128) / 1024;
    struct tw_usage usage = {
        .architecture = facts->architecture,
        .mode = TW_STREAM_PROVISIONED,
        .is_consumer = facts->mapping && strstr(facts->mapping->event_source_arn, "/consumer/") != NULL,
        .invocations = with_function ? (double)view->batches : 0,
        .gb_seconds = with_function ? (double)view->took[TUMBLE_WATCH_INVOCATION].sum / 1e9 * gb : 0,
        .shard_hours = hours * (facts->shards ? facts->shards : view->shard_count),
        .put_payload_units = (double)view->put_units,
        .bytes_out = (double)view->bytes};
    tw_cost_of(&prices, &usage, &cost);
    tw_report_object(json, "cost");
    tw_report_text(json, "date", prices.date);
    tw_report_text(json, "region", prices.region);
    tw_report_text(json, "currency", prices.currency);
    tw_report_text(json, "note", prices.note);
    tw_report_number(json, "hours", hours);
    tw_report_number(json, "flowHours", flow);
    tw_report_array(json, "items");
    if (with_function) {
        put_item(json, "Lambda requests", usage.invocations, "requests", cost.requests, flow, &day);
        put_item(json, "Lambda duration", usage.gb_seconds, "GB-seconds", cost.duration, flow, &day);
    }
    put_item(json, "Kinesis shards", usage.shard_hours, "shard-hours", cost.stream, hours, &day);
    if (view->put_units) { /* live they are not known: who puts pays for them */
        put_item(json, "Kinesis put", usage.put_payload_units, "payload units", cost.ingest, flow, &day);
    }
    if (usage.is_consumer) {
        put_item(json, "Kinesis enhanced fan-out", usage.bytes_out / 1073741824.0, "GB", cost.retrieval, flow, &day);
    }
    tw_report_end(json);
    tw_report_number(json, "total", cost.total);
    if (flow > 0 || !with_function) {
        tw_report_number(json, "totalDay", day);
    }
    tw_report_end(json);
}

/* ---- all of it ---- */

static void put_view(void *ctx, const struct tumble_watch_view *view) {
    static const char *const works[] = {[TUMBLE_WATCH_INVOCATION] = "invocation",
                                        [TUMBLE_WATCH_COMMIT] = "commit",
                                        [TUMBLE_WATCH_DELIVERY] = "delivery",
                                        [TUMBLE_WATCH_GET_RECORDS] = "getRecords"};
    const struct report *report = ctx;
    struct tw_report_json *json = report->json;
    tw_report_object(json, NULL);
    tw_report_count(json, "format", 1);
    put_facts(report);
    tw_report_integer(json, "beganUs", view->began_us);
    tw_report_integer(json, "endedUs", view->now_us);
    tw_report_integer(json, "stepUs", view->step_us);
    tw_report_integer(json, "flowUs", view->flow_began_us < 0 ? -1 : view->flow_ended_us - view->flow_began_us);
    put_totals(json, view);
    tw_report_object(json, "series");
    put_counts(json, view);
    put_quantiles(json, view);
    tw_report_end(json);
    put_shard_ages(json, view);
    tw_report_object(json, "took"); /* milliseconds */
    for (int i = 0; i < TUMBLE_WATCH_WORKS; i++) {
        put_histogram(json, works[i], &view->took[i], 1e6);
    }
    tw_report_end(json);
    put_histogram(json, "batchRecords", view->batch_records, 1);
    put_shards(json, view);
    put_timeline(json, view);
    put_outputs(json, view);
    put_cost(report, view);
    tw_report_end(json);
}

enum tumble_code tw_run_report_write(const char *path, struct tumble_watch *watch, const struct tw_run_facts *facts,
                                     struct tumble_error *err) {
    struct tumble_alloc alloc = {0};
    struct report report = {facts, tw_report_json_new(alloc)};
    struct tumble_bytes data;
    if (!report.json) {
        err->code = TUMBLE_ENOMEM;
        snprintf(err->text, sizeof err->text, "report: out of memory");
        return TUMBLE_ENOMEM;
    }
    tumble_watch_look(watch, put_view, &report);
    enum tumble_code code = tw_report_json_view(report.json, &data, err);
    if (code == TUMBLE_OK) {
        code = tw_report_page_write(path, data, err);
    }
    tw_report_json_destroy(report.json);
    return code;
}
