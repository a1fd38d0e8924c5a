#include "cli/tune_report.h"

#include <inttypes.h>
#include <string.h>

#include "cli/mapping_json.h"
#include "cli/terminal_text.h"

enum { CELL = 40, COLUMNS = 16, HOT_PERCENT = 150 };

static const char *const problems[] = {"", "overloaded", "timed out", "failed"};
static const char *const architectures[] = {"x86_64", "arm64"};
static const char *const modes[] = {"provisioned", "on-demand"};

static bool is_shown(const struct tw_tune_report *report, uint32_t index) {
    const struct tumble_tune_point *point = &report->result->points[index];
    return report->all || point->is_pareto || (int64_t)index == report->result->chosen;
}

static double per_day(const struct tw_tune_report *report, double count) {
    return tumble_tune_per_day(&report->result->capture, count);
}

static double mean(double sum, uint64_t count) { return count ? sum / (double)count : 0; }

/* Has it figures that mean something? */
static bool is_whole(const struct tumble_tune_point *point) {
    return point->was_run && point->problem <= TUMBLE_TUNE_OVERLOADED;
}

const char *tw_tune_point_text(const struct tumble_tune_point *point, char out[TW_TUNE_POINT_TEXT]) {
    snprintf(out, TW_TUNE_POINT_TEXT, "%u shard%s, %u MB, batches of %u, a batching window of %u s", point->shards,
             point->shards == 1 ? "" : "s", point->memory_mb, point->batch_size, point->batching_window);
    return out;
}

/* ---- the table ---- */

struct table {
    size_t widths[COLUMNS];
    FILE *to; /* NULL: widths are looked for */
};

static const char *const headings[2][COLUMNS] = {
    {"", "shards", "memory", "batch", "window", "iterator", "age", "", "wait", "invocations", "duration", "GB-s",
     "state", "early", "price", ""},
    {"", "", "MB", "size", "s", "p50 s", "p99 s", "max s", "p99 s", "a day", "ms", "a day", "max", "ends", "a day", ""},
};

static void print_row(struct table *table, const char *const cells[COLUMNS]) {
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t length = strlen(cells[i]);
        if (!table->to) {
            table->widths[i] = length > table->widths[i] ? length : table->widths[i];
        } else if (i + 1 == COLUMNS) {
            fprintf(table->to, "%s%s\n", length ? "  " : "", cells[i]);
        } else {
            fprintf(table->to, "%s%*s", i ? "  " : "", (int)table->widths[i], cells[i]);
        }
    }
}

static void print_point(struct table *table, const struct tw_tune_report *report, uint32_t index) {
    const struct tumble_tune_point *p = &report->result->points[index];
    char text[COLUMNS][CELL];
    const char *cells[COLUMNS];
    memset(text, 0, sizeof text);
    for (size_t i = 0; i < COLUMNS; i++) {
        cells[i] = text[i];
    }
    snprintf(text[0], CELL, "%s", (int64_t)index == report->result->chosen ? "*" : p->is_pareto ? " " : "-");
    snprintf(text[1], CELL, "%u", p->shards);
    snprintf(text[2], CELL, "%u", p->memory_mb);
    snprintf(text[3], CELL, "%u", p->batch_size);
    snprintf(text[4], CELL, "%u", p->batching_window);
    if (is_whole(p)) {
        snprintf(text[5], CELL, "%.2f", (double)p->age_p50_ms / 1000);
        snprintf(text[6], CELL, "%.2f", (double)p->age_p99_ms / 1000);
        snprintf(text[7], CELL, "%.2f", (double)p->age_most_ms / 1000);
        snprintf(text[8], CELL, "%.2f", (double)p->wait_p99_ms / 1000);
        tw_number_text((uint64_t)(per_day(report, (double)p->invocations) + 0.5), text[9]);
        snprintf(text[10], CELL, "%.1f", mean(p->duration_sum_us, p->invocations) / 1000);
        snprintf(text[11], CELL, "%.0f", per_day(report, p->gb_seconds));
        tw_bytes_text(p->state_bytes_most, text[12]);
        snprintf(text[13], CELL, "%" PRIu64, p->early_terminations);
        snprintf(text[14], CELL, "%.4f", p->cost[report->options->mode].total);
    }
    snprintf(text[15], CELL, "%s%s", problems[p->problem], p->errors && is_whole(p) ? " errors" : "");
    print_row(table, cells);
}

static void print_table_rows(struct table *table, const struct tw_tune_report *report) {
    print_row(table, headings[0]);
    print_row(table, headings[1]);
    for (uint32_t i = 0; i < report->result->point_count; i++) {
        if (is_shown(report, i)) {
            print_point(table, report, i);
        }
    }
}

static void print_function(FILE *to, const struct tw_tune_report *report) {
    const struct tumble_tune_result *result = report->result;
    const double *us = result->model.us;
    fputs("function  ", to);
    tw_print_plain(to, tumble_bytes_of(report->function ? report->function : "the built-in engine"));
    if (report->options->duration_us > 0) {
        fprintf(to, ", %.3f ms an invocation, as told\n", (double)report->options->duration_us / 1000);
        return;
    }
    fputs(result->is_timed ? ", timed here: " : ": ", to);
    fprintf(to, "%.1f us, %.3f a record, %.3f a kB of payload, %.3f of state, %.3f of a final's; a first one %.0f more",
            us[TUMBLE_DURATION_INVOCATION], us[TUMBLE_DURATION_RECORD], us[TUMBLE_DURATION_PAYLOAD_KB],
            us[TUMBLE_DURATION_STATE_KB], us[TUMBLE_DURATION_FINAL_KB], us[TUMBLE_DURATION_FIRST]);
    if (us[TUMBLE_DURATION_IDLE] > 0 || us[TUMBLE_DURATION_IDLE_RECORD] > 0) {
        fprintf(to, ", one after idling %.0f and %.3f a record", us[TUMBLE_DURATION_IDLE],
                us[TUMBLE_DURATION_IDLE_RECORD]);
    }
    if (us[TUMBLE_DURATION_GROWTH_KB] > 0) {
        fprintf(to, ", %.3f a kB that is more than any before", us[TUMBLE_DURATION_GROWTH_KB]);
    }
    if (result->is_timed) {
        fprintf(to, " (half within %.0f %%)", 100 * result->model.median_miss);
    }
    fputc('\n', to);
}

static void print_heads(FILE *to, const struct tw_tune_report *report) {
    const struct tumble_tune_capture *c = &report->result->capture;
    const struct tw_prices *prices = report->options->prices;
    char records[TW_NUMBER_TEXT], bytes[TW_NUMBER_TEXT], busiest[TW_NUMBER_TEXT], most[TW_NUMBER_TEXT];
    fprintf(to, "capture   %s records, %s in %.0f s; busiest second: %s records, %s\n",
            tw_number_text(c->records, records), tw_bytes_text(c->bytes, bytes),
            (double)(c->last_arrival_ms - c->first_arrival_ms) / 1000,
            tw_number_text(c->busiest_second_records, busiest), tw_bytes_text(c->busiest_second_bytes, most));
    print_function(to, report);
    fprintf(to, "prices    %s of %s in %s, %s stream, %s: check them\n\n", prices->currency, prices->date,
            prices->region, modes[report->options->mode], architectures[report->options->architecture]);
}

static void print_table(FILE *to, const struct tw_tune_report *report) {
    struct table table = {.to = NULL};
    print_heads(to, report);
    print_table_rows(&table, report);
    table.to = to;
    print_table_rows(&table, report);
    if (report->mapping) {
        fputc('\n', to);
        tw_mapping_json_print(to, report->mapping, "");
        fputc('\n', to);
    }
}

/* ---- JSON ---- */

static void print_cost(FILE *to, const char *name, const struct tw_cost *cost) {
    fprintf(to,
            "\"%s\": {\"lambda_requests\": %.9g, \"lambda_duration\": %.9g, \"kinesis_stream\": %.9g, "
            "\"kinesis_ingest\": %.9g, \"kinesis_retrieval\": %.9g, \"total\": %.9g}",
            name, cost->requests, cost->duration, cost->stream, cost->ingest, cost->retrieval, cost->total);
}

static void print_json_point(FILE *to, const struct tw_tune_report *report, uint32_t index) {
    const struct tumble_tune_point *p = &report->result->points[index];
    fprintf(to,
            "    {\"shards\": %u, \"memory\": %u, \"batch_size\": %u, \"maximum_batching_window_in_seconds\": %u,\n"
            "     \"chosen\": %s, \"pareto\": %s, \"problem\": ",
            p->shards, p->memory_mb, p->batch_size, p->batching_window,
            (int64_t)index == report->result->chosen ? "true" : "false", p->is_pareto ? "true" : "false");
    if (p->problem == TUMBLE_TUNE_FINE) {
        fputs("null", to);
    } else {
        fprintf(to, "\"%s\", \"error\": ", problems[p->problem]);
        tw_print_json_string(to, tumble_bytes_of(p->error));
    }
    fprintf(to,
            ",\n     \"iterator_age_ms\": {\"count\": %" PRIu64 ", \"average\": %.3f, \"p50\": %" PRId64
            ", \"p99\": %" PRId64 ", \"max\": %" PRId64 "},\n     \"wait_ms\": {\"p50\": %" PRId64 ", \"p99\": %" PRId64
            ", \"max\": %" PRId64 "},\n",
            p->ages, mean(p->age_sum_ms, p->ages), p->age_p50_ms, p->age_p99_ms, p->age_most_ms, p->wait_p50_ms,
            p->wait_p99_ms, p->wait_most_ms);
    fprintf(to,
            "     \"invocations\": %" PRIu64 ", \"invocations_per_day\": %.3f, \"errors\": %" PRIu64
            ", \"windows\": %" PRIu64 ", \"early_terminations\": %" PRIu64 ", \"concurrent_executions\": %" PRIu64
            ",\n",
            p->invocations, per_day(report, (double)p->invocations), p->errors, p->windows, p->early_terminations,
            p->concurrent_executions);
    fprintf(to,
            "     \"duration_ms\": {\"average\": %.3f, \"p99\": %.3f, \"max\": %.3f}, \"billed_ms\": %" PRIu64
            ", \"gb_seconds\": %.9g, \"gb_seconds_per_day\": %.9g, \"state_bytes_max\": %" PRIu64 ",\n",
            mean(p->duration_sum_us, p->invocations) / 1000, (double)p->duration_p99_us / 1000,
            (double)p->duration_most_us / 1000, p->billed_ms, p->gb_seconds, per_day(report, p->gb_seconds),
            p->state_bytes_most);
    fprintf(to,
            "     \"hottest_shard_share\": %.4f, \"peak_shard_records_per_second\": %" PRIu64
            ", \"peak_shard_bytes_per_second\": %" PRIu64 ", \"crowded_seconds\": %" PRIu64
            ",\n     \"price_per_day\": {",
            mean((double)p->load.hottest_records, report->result->capture.records), p->load.peak_records,
            p->load.peak_bytes, p->load.crowded_seconds);
    print_cost(to, "provisioned", &p->cost[TW_STREAM_PROVISIONED]);
    fputs(", ", to);
    print_cost(to, "on_demand", &p->cost[TW_STREAM_ON_DEMAND]);
    fputs("}}", to);
}

static void print_json(FILE *to, const struct tw_tune_report *report) {
    const struct tumble_tune_result *result = report->result;
    const struct tumble_tune_capture *c = &result->capture;
    const struct tw_prices *prices = report->options->prices;
    bool is_first = true;
    fprintf(to,
            "{\n  \"capture\": {\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"put_payload_units\": %" PRIu64
            ", \"on_demand_bytes\": %" PRIu64 ", \"first_arrival_ms\": %" PRId64 ", \"last_arrival_ms\": %" PRId64
            ", \"busiest_second_records\": %" PRIu64 ", \"busiest_second_bytes\": %" PRIu64 "},\n",
            c->records, c->bytes, c->put_payload_units, c->on_demand_bytes, c->first_arrival_ms, c->last_arrival_ms,
            c->busiest_second_records, c->busiest_second_bytes);
    fputs("  \"duration_model\": ", to);
    if (report->options->duration_us > 0) {
        fputs("null", to);
    } else {
        tumble_duration_model_print(to, &result->model);
    }
    fprintf(to, ",\n  \"prices\": {\"date\": ");
    tw_print_json_string(to, tumble_bytes_of(prices->date));
    fputs(", \"region\": ", to);
    tw_print_json_string(to, tumble_bytes_of(prices->region));
    fputs(", \"currency\": ", to);
    tw_print_json_string(to, tumble_bytes_of(prices->currency));
    fprintf(to, "},\n  \"architecture\": \"%s\", \"stream_mode\": \"%s\", \"objective\": \"%s\",\n  \"points\": [\n",
            architectures[report->options->architecture], modes[report->options->mode], report->objective);
    for (uint32_t i = 0; i < result->point_count; i++) {
        if (is_shown(report, i)) {
            fputs(is_first ? "" : ",\n", to);
            print_json_point(to, report, i);
            is_first = false;
        }
    }
    fputs("\n  ],\n  \"mapping\": ", to);
    if (report->mapping) {
        tw_mapping_json_print(to, report->mapping, "  ");
    } else {
        fputs("null", to);
    }
    fputs("\n}\n", to);
}

/* ---- CSV ---- */

static void print_csv(FILE *to, const struct tw_tune_report *report) {
    fputs("chosen,pareto,problem,shards,memory,batch_size,maximum_batching_window_in_seconds,iterator_age_p50_ms,"
          "iterator_age_p99_ms,iterator_age_max_ms,wait_p99_ms,invocations_per_day,duration_average_ms,gb_seconds_per_"
          "day,"
          "state_bytes_max,early_terminations,errors,price_per_day\n",
          to);
    for (uint32_t i = 0; i < report->result->point_count; i++) {
        const struct tumble_tune_point *p = &report->result->points[i];
        if (!is_shown(report, i)) {
            continue;
        }
        fprintf(to, "%s,%s,%s,%u,%u,%u,%u,", (int64_t)i == report->result->chosen ? "true" : "false",
                p->is_pareto ? "true" : "false", problems[p->problem], p->shards, p->memory_mb, p->batch_size,
                p->batching_window);
        if (is_whole(p)) {
            fprintf(to,
                    "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.3f,%.3f,%.9g,%" PRIu64 ",%" PRIu64 ",%" PRIu64
                    ",%.9g\n",
                    p->age_p50_ms, p->age_p99_ms, p->age_most_ms, p->wait_p99_ms,
                    per_day(report, (double)p->invocations), mean(p->duration_sum_us, p->invocations) / 1000,
                    per_day(report, p->gb_seconds), p->state_bytes_most, p->early_terminations, p->errors,
                    p->cost[report->options->mode].total);
        } else {
            fputs(",,,,,,,,,,\n", to);
        }
    }
}

void tw_tune_report_print(FILE *to, enum tw_tune_format format, const struct tw_tune_report *report) {
    switch (format) {
    case TW_TUNE_TABLE: print_table(to, report); break;
    case TW_TUNE_JSON: print_json(to, report); break;
    case TW_TUNE_CSV: print_csv(to, report); break;
    }
}

/* ---- notes ---- */

/* Is it the first of the points with so many shards? */
static bool is_new_count(const struct tumble_tune_result *result, uint32_t index) {
    for (uint32_t i = 0; i < index; i++) {
        if (result->points[i].shards == result->points[index].shards) {
            return false;
        }
    }
    return true;
}

void tw_tune_report_say(const struct tw_tune_report *report) {
    const struct tumble_tune_result *result = report->result;
    uint32_t timed_out = 0, failed = 0;
    const struct tumble_tune_point *slow = NULL, *bad = NULL;
    for (uint32_t i = 0; i < result->point_count; i++) {
        const struct tumble_tune_point *p = &result->points[i];
        uint64_t share = p->load.hottest_records * 100 / result->capture.records;
        if (p->problem == TUMBLE_TUNE_OVERLOADED && is_new_count(result, i)) {
            tw_say("note: %s", p->error);
        }
        if (is_new_count(result, i) && p->shards > 1 && share * p->shards > HOT_PERCENT) {
            tw_say("note: %u shards: the hottest has %" PRIu64 " %% of the records; an even share is %u %%", p->shards,
                   share, 100 / p->shards);
        }
        timed_out += p->problem == TUMBLE_TUNE_TIMED_OUT;
        slow = p->problem == TUMBLE_TUNE_TIMED_OUT && !slow ? p : slow;
        failed += p->problem == TUMBLE_TUNE_FAILED;
        bad = p->problem == TUMBLE_TUNE_FAILED && !bad ? p : bad;
    }
    if (result->points[0].reopened_windows) {
        tw_say("note: records go back to windows that were closed: arrival times of a real stream do not go back, so "
               "there are too many invocations here; sort the capture by time");
    }
    if (slow) {
        tw_say("note: %u point%s timed out; the first: with %u MB %s", timed_out, timed_out == 1 ? "" : "s",
               slow->memory_mb, slow->error);
    }
    if (bad) {
        tw_say("note: %u point%s failed; the first: %s", failed, failed == 1 ? "" : "s", bad->error);
    }
}
