#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/file_conflict.h"
#include "cli/mapping_json.h"
#include "cli/option_table.h"
#include "cli/progress_bar.h"
#include "cli/run_flags.h"
#include "cli/run_summary.h"
#include "cli/spec_file.h"
#include "cli/stop_signal.h"
#include "cli/terminal_text.h"
#include "cli/tune_report.h"
#include "emulator/runtime_api/process_function.h"

enum { MAPPING_BYTES = 1024 * 1024, TIMEOUT_SECONDS = 60 };

struct settings {
    const char *spec;
    struct tw_list group_by, aggregates;
    int64_t window_seconds;
    const char *timestamp, *timestamp_format, *partition_key;
    int input_format;
    const char *records_at;
    struct tw_list batch_sizes, batching_windows, memory, shards;
    const char *mapping, *event_source_arn, *function_arn;
    const char *function, *function_log;
    const char *function_duration, *duration_model, *save_duration_model;
    int64_t timing;
    const char *cpu_speed, *waiting, *runtime_api, *cold_start, *delivery;
    int64_t timeout;
    const char *prices;
    int architecture, stream_mode, objective;
    int64_t max_iterator_age;
    int format;
    bool all, quiet;
    const char *output_mapping;
    int64_t threads, memory_limit;
};

static const char *const input_formats[] = {"auto", "ndjson", "array", "lambda", "get-records", NULL};
static const char *const architectures[] = {"x86_64", "arm64", NULL};
static const char *const stream_modes[] = {"provisioned", "on-demand", NULL};
static const char *const objectives[] = {"balanced", "price", "latency", NULL};
static const char *const formats[] = {"table", "json", "csv", NULL};

#define OF(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"spec", 's', TW_OPTION_TEXT, OF(spec), "FILE", "what is aggregated, as JSON (- : standard input)", 0, 0, NULL},
    {"group-by", 'g', TW_OPTION_COMMAS, OF(group_by), "[NAME=]FIELD,...", "fields that make a group; repeatable", 0, 0,
     NULL},
    {"aggregate", 'a', TW_OPTION_LIST, OF(aggregates), "[NAME=]FUNCTION(FIELD, KEY=VALUE...)",
     "as `tumble replay` takes it; repeatable", 0, 0, NULL},
    {"batch-size", 0, TW_OPTION_COMMAS, OF(batch_sizes), "N,...", "1 to 10000 (100,1000,10000)", 0, 0, NULL},
    {"maximum-batching-window-in-seconds", 0, TW_OPTION_COMMAS, OF(batching_windows), "N,...", "0 to 300 (0,1,5)", 0, 0,
     NULL},
    {"memory", 0, TW_OPTION_COMMAS, OF(memory), "MB,...", "128 to 10240 (128,256,512,1769)", 0, 0, NULL},
    {"memory-size", 0, TW_OPTION_COMMAS, OF(memory), "MB,...", NULL, 0, 0, NULL},
    {"shards", 0, TW_OPTION_COMMAS, OF(shards), "N,...",
     "shards of the stream (as the capture names them; else as few as take it, and twice as many)", 0, 0, NULL},
    {"window", 'w', TW_OPTION_DURATION, OF(window_seconds), "DURATION", "length of the windows (the spec's)", 1, 900,
     NULL},
    {"tumbling-window-in-seconds", 0, TW_OPTION_DURATION, OF(window_seconds), "SECONDS", "the same, by AWS's name", 0,
     900, NULL},
    {"mapping", 0, TW_OPTION_TEXT, OF(mapping), "FILE", "the mapping's other parameters, as JSON", 0, 0, NULL},
    {"event-source-arn", 0, TW_OPTION_TEXT, OF(event_source_arn), "ARN", "the stream's, or its consumer's", 0, 0, NULL},
    {"function-arn", 0, TW_OPTION_TEXT, OF(function_arn), "ARN", "the function's, or its name", 0, 0, NULL},
    {"timestamp", 't', TW_OPTION_TEXT, OF(timestamp), "FIELD", "the field that says when a record arrived", 0, 0, NULL},
    {"timestamp-format", 0, TW_OPTION_TEXT, OF(timestamp_format), "FORMAT",
     "auto, epoch_s, epoch_ms, iso8601 or a strptime pattern", 0, 0, NULL},
    {"partition-key", 0, TW_OPTION_TEXT, OF(partition_key), "FIELD", "the field that chooses the shard", 0, 0, NULL},
    {"input-format", 0, TW_OPTION_CHOICE, OF(input_format), "FORMAT", "auto, ndjson, array, lambda or get-records", 0,
     0, input_formats},
    {"records-at", 0, TW_OPTION_TEXT, OF(records_at), "POINTER", "where the array of payloads stands, as /features", 0,
     0, NULL},
    {"objective", 0, TW_OPTION_CHOICE, OF(objective), "balanced|price|latency", "what the chosen point is best in", 0,
     0, objectives},
    {"max-iterator-age", 0, TW_OPTION_DURATION, OF(max_iterator_age), "SECONDS", "that it may reach (any)", 1,
     315360000, NULL},
    {"prices", 0, TW_OPTION_TEXT, OF(prices), "FILE", "what AWS asks for (built in: us-east-1)", 0, 0, NULL},
    {"architecture", 0, TW_OPTION_CHOICE, OF(architecture), "x86_64|arm64", "of the function (x86_64)", 0, 0,
     architectures},
    {"stream-mode", 0, TW_OPTION_CHOICE, OF(stream_mode), "provisioned|on-demand", "of the stream (provisioned)", 0, 0,
     stream_modes},
    {"function", 0, TW_OPTION_TEXT, OF(function), "COMMAND", "invoke and time this program by Lambda's Runtime API", 0,
     0, NULL},
    {"function-log", 0, TW_OPTION_TEXT, OF(function_log), "FILE", "what it prints (standard error)", 0, 0, NULL},
    {"timeout", 0, TW_OPTION_DURATION, OF(timeout), "SECONDS", "the function's time-out (60)", 1, 900, NULL},
    {"function-duration", 0, TW_OPTION_TEXT, OF(function_duration), "MS",
     "what every invocation takes, whatever it holds and its memory", 0, 0, NULL},
    {"duration-model", 0, TW_OPTION_TEXT, OF(duration_model), "FILE", "how long the function takes (timed here)", 0, 0,
     NULL},
    {"timing", 0, TW_OPTION_DURATION, OF(timing), "SECONDS", "for which the function is timed (10)", 1, 3600, NULL},
    {"save-duration-model", 0, TW_OPTION_TEXT, OF(save_duration_model), "FILE", "write what was timed", 0, 0, NULL},
    {"cpu-speed", 0, TW_OPTION_TEXT, OF(cpu_speed), "X", "Lambda's processors as a multiple of those here (1)", 0, 0,
     NULL},
    {"waiting", 0, TW_OPTION_TEXT, OF(waiting), "PART", "of the function's time that is no computing, 0 to 1 (0)", 0, 0,
     NULL},
    {"runtime-api-time", 0, TW_OPTION_TEXT, OF(runtime_api), "MS",
     "of an invocation beside the built-in engine's own (1)", 0, 0, NULL},
    {"cold-start", 0, TW_OPTION_TEXT, OF(cold_start), "MS", "until a new sandbox answers (200)", 0, 0, NULL},
    {"delivery-time", 0, TW_OPTION_TEXT, OF(delivery), "MS", "of a final's rows to their outputs (0)", 0, 0, NULL},
    {"format", 'f', TW_OPTION_CHOICE, OF(format), "table|json|csv", "what is printed (table)", 0, 0, formats},
    {"all", 0, TW_OPTION_FLAG, OF(all), "[true|false]", "points that others are better than, too", 0, 0, NULL},
    {"output-mapping", 0, TW_OPTION_TEXT, OF(output_mapping), "FILE", "write the chosen point's mapping", 0, 0, NULL},
    {"threads", 0, TW_OPTION_NUMBER, OF(threads), "N",
     "points that run at the same time (as many as there are processors)", 1, 1024, NULL},
    {"memory-limit", 0, TW_OPTION_SIZE, OF(memory_limit), "BYTES", "of the capture in memory (2G)", 0, 0, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, OF(quiet), "[true|false]", "no progress, no notes", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "tune",
    .usage = "Usage: tumble tune --spec SPEC [OPTION]... CAPTURE...\n"
             "Tries mappings on a capture, in virtual time, and says what each would cost.\n"
             "\n"
             "  tumble tune --spec orders.json --max-iterator-age 5 clicks.ndjson\n"
             "  tumble tune --spec orders.json --shards 1,2,4 --memory 128,512 \\\n"
             "      --objective price --output-mapping mapping.json events.json.gz\n"
             "\n"
             "  -s, --spec FILE              what is aggregated; or -w -t -g -a instead\n"
             "      --batch-size N,...       most records of a batch (100,1000,10000)\n"
             "      --maximum-batching-window-in-seconds N,...  (0,1,5)\n"
             "      --memory MB,...          of the function (128,256,512,1769)\n"
             "      --shards N,...           of the stream (what takes the capture)\n"
             "      --mapping FILE           the mapping's other parameters, as JSON\n"
             "      --objective WHAT         balanced, price or latency\n"
             "      --max-iterator-age S     that the chosen point may reach\n"
             "      --function COMMAND       another function, by Lambda's Runtime API\n"
             "      --prices FILE            what AWS asks for (built in: us-east-1)\n"
             "  -f, --format FORMAT          table, json or csv\n"
             "      --all                    points that others are better than, too\n"
             "      --output-mapping FILE    write the chosen point's mapping\n"
             "      --help                   every option\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = "CAPTURE",
};

/* ---- progress ---- */

static void on_progress(void *ctx, uint32_t done, uint32_t total) {
    struct tw_progress_bar *bar = ctx;
    if (bar->on) {
        fprintf(stderr, "\r\033[K%u of %u points", done, total);
        fflush(stderr);
        bar->drawn = true;
    }
}

static void on_timing(void *ctx, int64_t ms, int64_t total_ms) {
    struct tw_progress_bar *bar = ctx;
    if (bar->on) {
        fprintf(stderr, "\r\033[Ktiming the function: %" PRId64 " of %" PRId64 " s", ms / 1000, total_ms / 1000);
        fflush(stderr);
        bar->drawn = true;
    }
}

/* ---- a function that is a program ---- */

struct foreign {
    const struct settings *settings;
    struct tumble_process_function *process;
    int log_fd;
};

static void say_line(void *ctx, const char *line) {
    const struct foreign *foreign = ctx;
    if (foreign->log_fd >= 0) {
        dprintf(foreign->log_fd, "%s\n", line);
    } else {
        tw_say("%s", line);
    }
}

static enum tumble_code open_process(void *ctx, uint32_t memory_mb, struct tumble_emulated_function *out,
                                     struct tumble_error *err) {
    struct foreign *foreign = ctx;
    struct tumble_process_options how = {.command = foreign->settings->function,
                                         .handler = getenv("_HANDLER"),
                                         .memory_mb = memory_mb,
                                         .timeout_ms = foreign->settings->timeout * 1000,
                                         .log_fd = foreign->log_fd,
                                         .ctx = foreign,
                                         .stopping = tw_stop_signal_came,
                                         .say = say_line};
    enum tumble_code code = tumble_process_open(&how, &foreign->process, err);
    if (code == TUMBLE_OK) {
        tumble_process_wrap(foreign->process, out);
    }
    return code;
}

static void close_process(void *ctx) {
    struct foreign *foreign = ctx;
    tumble_process_close(foreign->process);
    foreign->process = NULL;
}

/* ---- settings to options ---- */

static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return TUMBLE_EUSAGE;
}

static enum tumble_code read_values(const char *flag, const struct tw_list *list, struct tumble_tune_values *out,
                                    struct tumble_error *err) {
    if (list->count > TUMBLE_TUNE_VALUES_MAX) {
        return refuse(err, "tune: --%s: %zu values; at most %d are allowed", flag, list->count, TUMBLE_TUNE_VALUES_MAX);
    }
    for (size_t i = 0; i < list->count; i++) {
        const char *at = list->items[i];
        uint64_t value = 0;
        while (*at >= '0' && *at <= '9' && value < UINT32_MAX / 16) {
            value = value * 10 + (uint64_t)(*at++ - '0');
        }
        if (at == list->items[i] || *at) {
            return refuse(err, "tune: --%s: \"%.60s\" is not a whole number; several go with commas, as 1,2,4", flag,
                          list->items[i]);
        }
        out->items[out->count++] = (uint32_t)value;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_grid(const struct settings *s, struct tumble_tune_grid *out, struct tumble_error *err) {
    enum tumble_code code = read_values("batch-size", &s->batch_sizes, &out->batch_sizes, err);
    if (code == TUMBLE_OK) {
        code = read_values("maximum-batching-window-in-seconds", &s->batching_windows, &out->batching_windows, err);
    }
    if (code == TUMBLE_OK) {
        code = read_values("memory", &s->memory, &out->memory_mb, err);
    }
    return code == TUMBLE_OK ? read_values("shards", &s->shards, &out->shards, err) : code;
}

/* text NULL: *out stays. zero is what says "none". */
static enum tumble_code read_ms(const char *flag, const char *text, int64_t zero, int64_t *out_us,
                                struct tumble_error *err) {
    char *end = NULL;
    double ms = text ? strtod(text, &end) : 0;
    if (!text) {
        return TUMBLE_OK;
    }
    if (end == text || *end || !(ms >= 0) || !(ms <= 900000)) {
        return refuse(err, "tune: --%s %.100s: milliseconds, up to 900000", flag, text);
    }
    *out_us = ms > 0 ? (int64_t)(ms * 1000 + 0.5) : zero;
    return TUMBLE_OK;
}

static enum tumble_code read_times(const struct settings *s, struct tumble_tune_options *out,
                                   struct tumble_error *err) {
    enum tumble_code code = read_ms("function-duration", s->function_duration, 0, &out->duration_us, err);
    char *end = NULL;
    if (code == TUMBLE_OK && s->function_duration && out->duration_us <= 0) {
        code = refuse(err, "tune: --function-duration %.100s: more than 0 milliseconds", s->function_duration);
    }
    if (code == TUMBLE_OK) {
        code = read_ms("runtime-api-time", s->runtime_api, -1, &out->runtime_api_us, err);
    }
    if (code == TUMBLE_OK) {
        code = read_ms("cold-start", s->cold_start, -1, &out->cold_start_us, err);
    }
    if (code == TUMBLE_OK) {
        code = read_ms("delivery-time", s->delivery, 0, &out->delivery_us, err);
    }
    out->waiting = s->waiting ? strtod(s->waiting, &end) : 0;
    if (code == TUMBLE_OK && s->waiting &&
        (end == s->waiting || *end || !(out->waiting >= 0) || !(out->waiting <= 1))) {
        code = refuse(err, "tune: --waiting %.100s: a part of 1, as 0.25", s->waiting);
    }
    out->cpu_speed = s->cpu_speed ? strtod(s->cpu_speed, &end) : 1;
    if (code == TUMBLE_OK && s->cpu_speed &&
        (end == s->cpu_speed || *end || !(out->cpu_speed >= 0.01) || !(out->cpu_speed <= 100))) {
        code = refuse(err, "tune: --cpu-speed %.100s: from 0.01 to 100", s->cpu_speed);
    }
    return code;
}

static enum tumble_code read_mapping(const char *path, struct tumble_mapping_parameters *out,
                                     struct tumble_error *err) {
    static char text[MAPPING_BYTES];
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return refuse(err, "mapping %.200s: %s", path, strerror(errno));
    }
    size_t length = fread(text, 1, sizeof text, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || length == sizeof text) {
        return refuse(err, "mapping %.200s: cannot be read, or is larger than a mapping", path);
    }
    enum tumble_code code = tumble_mapping_parameters_read(out, (struct tumble_bytes){text, length}, err);
    if (code != TUMBLE_OK && code != TUMBLE_ENOMEM) {
        char inner[TUMBLE_ERROR_TEXT];
        snprintf(inner, sizeof inner, "%s", err->text);
        code = refuse(err, "%.100s: %.200s", path, inner);
    }
    return code;
}

static enum tumble_code read_parameters(const struct settings *s, const struct tumble_spec *spec,
                                        struct tumble_mapping_parameters *out, struct tumble_error *err) {
    enum tumble_code code = s->mapping ? read_mapping(s->mapping, out, err) : TUMBLE_OK;
    if (code == TUMBLE_OK && s->event_source_arn) {
        code = tumble_mapping_parameters_set(out, "event-source-arn", s->event_source_arn, err);
    }
    if (code == TUMBLE_OK && s->function_arn) {
        code = tumble_mapping_parameters_set(out, "function-arn", s->function_arn, err);
    }
    int64_t window = s->window_seconds                 ? s->window_seconds
                     : out->tumbling_window_in_seconds ? 0
                                                       : tumble_spec_window_seconds(spec);
    if (code == TUMBLE_OK && window > 0) {
        char text[32];
        snprintf(text, sizeof text, "%" PRId64, window);
        code = tumble_mapping_parameters_set(out, "tumbling-window-in-seconds", text, err);
    }
    if (code == TUMBLE_OK && out->tumbling_window_in_seconds == 0 && !s->function) {
        code = refuse(err, "tune: how long is a window? Give --window SECONDS, \"window\" in the spec, or "
                           "TumblingWindowInSeconds in the mapping");
    }
    if (out->starting_position == TUMBLE_STARTING_POSITION_NONE) {
        out->starting_position = TUMBLE_TRIM_HORIZON;
    }
    return code == TUMBLE_OK ? tumble_mapping_parameters_check(out, INT64_MAX, err) : code;
}

/* ---- files ---- */

static enum tumble_code of_role(const char *role, enum tumble_code code, struct tumble_error *err) {
    if (code != TUMBLE_OK && strncmp(err->text, "summary ", 8) == 0) {
        char rest[TUMBLE_ERROR_TEXT];
        snprintf(rest, sizeof rest, "%s", err->text + 8);
        snprintf(err->text, sizeof err->text, "%s %.200s", role, rest);
    }
    return code;
}

static void print_mapping(FILE *to, const void *what) {
    tw_mapping_json_print(to, what, "");
    fputc('\n', to);
}

static void print_model(FILE *to, const void *what) {
    tumble_duration_model_print(to, what);
    fputc('\n', to);
}

static enum tumble_code probe(const struct settings *s, struct tumble_error *err) {
    enum tumble_code code =
        s->output_mapping ? of_role("mapping", tw_run_summary_probe(s->output_mapping, NULL, err), err) : TUMBLE_OK;
    return code == TUMBLE_OK && s->save_duration_model
               ? of_role("duration model", tw_run_summary_probe(s->save_duration_model, NULL, err), err)
               : code;
}

/* Nothing that is read may be written over. */
static enum tumble_code check_files(const struct settings *s, const char *const *inputs, size_t input_count,
                                    struct tumble_error *err) {
    const struct {
        const char *role, *path;
    } to[] = {{"chosen mapping", s->output_mapping},
              {"timed duration model", s->save_duration_model},
              {"function log", s->function_log}},
      from[] = {
          {"spec", s->spec}, {"mapping", s->mapping}, {"prices", s->prices}, {"duration model", s->duration_model}};
    struct tw_file_uses written = {.count = 0};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        if (to[i].path && strcmp(to[i].path, "-") != 0) {
            tw_file_uses_add(&written, to[i].role, to[i].path, to[i].path, false);
        }
    }
    enum tumble_code code = tw_file_uses_check(&written, err);
    for (size_t i = 0; i < input_count && code == TUMBLE_OK; i++) {
        code = tw_file_uses_check_read(&written, "capture", inputs[i], err);
    }
    for (size_t i = 0; i < sizeof from / sizeof *from && code == TUMBLE_OK; i++) {
        code = from[i].path ? tw_file_uses_check_read(&written, from[i].role, from[i].path, err) : TUMBLE_OK;
    }
    return code;
}

/* ---- the run ---- */

static void say_none(const struct settings *s, const struct tumble_tune_result *result) {
    char text[TW_TUNE_POINT_TEXT];
    if (result->least_age < 0) {
        tw_say("no point of the grid works: see the notes");
        return;
    }
    const struct tumble_tune_point *least = &result->points[result->least_age];
    tw_say("no point keeps the iterator age within %" PRId64 " s; the least is %.2f s: %s", s->max_iterator_age,
           (double)least->age_most_ms / 1000, tw_tune_point_text(least, text));
}

static int tell_chosen(const struct settings *s, const struct tumble_tune_result *result,
                       const struct tumble_mapping_parameters *mapping, struct tumble_error *err) {
    const struct tumble_tune_point *point = &result->points[result->chosen];
    char text[TW_TUNE_POINT_TEXT];
    if (!s->quiet) {
        tw_say("chosen: %s", tw_tune_point_text(point, text));
        bool no_source = !mapping->event_source_arn[0], no_function = !mapping->function_arn[0];
        if (no_source && no_function) {
            tw_say("note: the mapping's EventSourceArn and FunctionName are made up: --event-source-arn and "
                   "--function-arn say yours");
        } else if (no_source || no_function) {
            tw_say("note: the mapping's %s is made up: --%s says yours", no_source ? "EventSourceArn" : "FunctionName",
                   no_source ? "event-source-arn" : "function-arn");
        }
    }
    enum tumble_code code =
        s->output_mapping
            ? of_role("mapping", tw_run_summary_write_by(s->output_mapping, print_mapping, mapping, err), err)
            : TUMBLE_OK;
    return code == TUMBLE_OK ? (int)TW_EXIT_OK : tw_exit_with(err);
}

static int tell(const struct settings *s, const struct tumble_tune_options *how,
                const struct tumble_tune_result *result, struct tumble_mapping_parameters *mapping,
                struct tumble_error *err) {
    struct tw_tune_report report = {.result = result,
                                    .options = how,
                                    .function = s->function,
                                    .objective = objectives[s->objective],
                                    .all = s->all};
    if (result->chosen >= 0) {
        mapping->batch_size = result->points[result->chosen].batch_size;
        mapping->maximum_batching_window_in_seconds = (int32_t)result->points[result->chosen].batching_window;
        if (!mapping->event_source_arn[0] && result->capture.event_source_arn) {
            snprintf(mapping->event_source_arn, sizeof mapping->event_source_arn, "%s",
                     result->capture.event_source_arn);
        }
        report.mapping = mapping;
    }
    tw_tune_report_print(stdout, (enum tw_tune_format)s->format, &report);
    fflush(stdout);
    if (!s->quiet || result->chosen < 0) {
        tw_tune_report_say(&report);
    }
    if (s->save_duration_model && result->is_timed) {
        enum tumble_code code = of_role(
            "duration model", tw_run_summary_write_by(s->save_duration_model, print_model, &result->model, err), err);
        if (code != TUMBLE_OK) {
            return tw_exit_with(err);
        }
    }
    if (result->chosen < 0) {
        say_none(s, result);
        return TW_EXIT_RECORD;
    }
    return tell_chosen(s, result, mapping, err);
}

static enum tumble_code prepare(const struct settings *s, const struct tumble_spec *spec,
                                struct tumble_mapping_parameters *parameters, struct tumble_tune_grid *grid,
                                struct tumble_duration_model *model, struct tw_prices *prices,
                                struct tumble_tune_options *how, struct tumble_error *err) {
    enum tumble_code code = read_grid(s, grid, err);
    if (code == TUMBLE_OK) {
        code = read_times(s, how, err);
    }
    if (code == TUMBLE_OK) {
        code = read_parameters(s, spec, parameters, err);
    }
    if (code == TUMBLE_OK) {
        code = tw_prices_load(s->prices, prices, err);
    }
    if (code == TUMBLE_OK && s->duration_model) {
        code = tumble_duration_model_load(s->duration_model, model, err);
        how->model = model;
    }
    return code == TUMBLE_OK ? probe(s, err) : code;
}

static uint32_t threads_of(const struct settings *s) {
    long processors = s->function ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
    return s->threads ? (uint32_t)s->threads : processors < 1 ? 1 : processors > 1024 ? 1024 : (uint32_t)processors;
}

static int run(const struct settings *s, const struct tumble_spec *spec, const char *const *inputs,
               size_t input_count) {
    struct tumble_error err = {.byte = -1, .record = -1};
    struct tumble_bytes timestamp = tumble_spec_timestamp_field(spec);
    char timestamp_field[1025]; /* the engine's longest path and a NUL */
    snprintf(timestamp_field, sizeof timestamp_field, "%.*s", (int)timestamp.length, timestamp.data);
    struct tumble_mapping_parameters parameters;
    struct tumble_tune_grid grid = {.memory_mb = {.count = 0}};
    struct tumble_duration_model model;
    struct tw_prices prices;
    struct foreign foreign = {.settings = s, .log_fd = -1};
    struct tw_progress_bar bar;
    struct tumble_alloc alloc = {0};
    tw_progress_bar_init(&bar, !s->quiet);
    tumble_mapping_parameters_init(&parameters, alloc);
    struct tumble_tune_options how = {.source = {.paths = inputs,
                                                 .path_count = input_count,
                                                 .format = (enum tumble_capture_format)s->input_format,
                                                 .records_at = s->records_at,
                                                 .partition_key_field = s->partition_key,
                                                 .timestamp_field = timestamp.length ? timestamp_field : NULL,
                                                 .timestamp_overrides = s->timestamp != NULL,
                                                 .timestamp_format = *tumble_spec_timestamp_format(spec)},
                                      .memory_limit_bytes = (size_t)s->memory_limit,
                                      .grid = &grid,
                                      .parameters = &parameters,
                                      .spec = spec,
                                      .timeout_ms = s->timeout * 1000,
                                      .prices = &prices,
                                      .architecture = (enum tw_architecture)s->architecture,
                                      .mode = (enum tw_stream_mode)s->stream_mode,
                                      .objective = (enum tumble_tune_objective)s->objective,
                                      .max_iterator_age_ms = s->max_iterator_age * 1000,
                                      .threads = threads_of(s),
                                      .timing_ms = s->timing * 1000,
                                      .timing = on_timing,
                                      .timing_ctx = &bar,
                                      .progress = on_progress,
                                      .progress_ctx = &bar,
                                      .interrupted = tw_stop_signal_came};
    if (s->function) {
        how.function_ctx = &foreign;
        how.function_open = open_process;
        how.function_close = close_process;
    }
    struct tumble_tune_result result;
    memset(&result, 0, sizeof result);
    tw_stop_signal_watch();
    tw_broken_pipe_ends(false);
    enum tumble_code code = prepare(s, spec, &parameters, &grid, &model, &prices, &how, &err);
    if (code == TUMBLE_OK && s->function_log) {
        foreign.log_fd = open(s->function_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (foreign.log_fd < 0) {
            refuse(&err, "function log %.200s: %s", s->function_log, strerror(errno));
            code = err.code = TUMBLE_EOUTPUT;
        }
    }
    if (code == TUMBLE_OK) {
        code = tumble_tune(&how, &result, &err);
    }
    tw_progress_bar_erase(&bar);
    int status;
    err.code = code;
    if (code != TUMBLE_OK) {
        status = tw_exit_with(&err);
    } else if (result.stopped) {
        int number = tw_stop_signal() ? tw_stop_signal() : SIGINT;
        tw_say("stopped by %s; nothing is kept", number == SIGTERM ? "SIGTERM" : "SIGINT");
        status = 128 + number;
    } else {
        status = tell(s, &how, &result, &parameters, &err);
    }
    if (foreign.log_fd >= 0) {
        close(foreign.log_fd);
    }
    tumble_tune_result_clean_up(&result);
    tumble_mapping_parameters_clean_up(&parameters);
    return status;
}

static int usage_error(const char *text) {
    tw_say("tune: %s", text);
    tw_say("see tumble tune -h");
    return TW_EXIT_USAGE;
}

/* A function that is not ours needs no spec: one of nothing says where timestamps and windows are. */
static enum tumble_code read_spec(const struct settings *s, struct tumble_spec **spec, struct tw_spec_place *place,
                                  struct tumble_error *err) {
    static const char *const nothing[] = {"n=count()"};
    bool is_nothing = !s->spec && s->aggregates.count == 0;
    struct tumble_spec_overrides overrides = {.window_seconds = s->window_seconds,
                                              .timestamp_field = s->timestamp,
                                              .timestamp_format = s->timestamp_format,
                                              .group_by = s->group_by.count ? s->group_by.items : NULL,
                                              .group_by_count = s->group_by.count,
                                              .aggregates = is_nothing            ? nothing
                                                            : s->aggregates.count ? s->aggregates.items
                                                                                  : NULL,
                                              .aggregate_count = is_nothing ? 1 : s->aggregates.count};
    return tw_spec_read(s->spec, &overrides, spec, place, err);
}

int tw_cmd_tune(int argc, char **argv) {
    static struct settings settings = {.timeout = TIMEOUT_SECONDS};
    int count = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    bool has_shorthand = settings.group_by.count || settings.aggregates.count;
    if (settings.function && has_shorthand) {
        return usage_error("a --function aggregates by itself: leave --group-by and --aggregate out");
    }
    if (!settings.spec && !settings.function && settings.aggregates.count == 0) {
        return usage_error("what is aggregated? Give --spec FILE, or --aggregate 'orders=count()' and the like (or "
                           "--function COMMAND)");
    }
    tw_complete_counts(&settings.aggregates);
    if (count == 0) {
        return usage_error("no capture: name a file, or - for standard input");
    }
    if (settings.save_duration_model && (settings.duration_model || settings.function_duration)) {
        return usage_error(
            "--save-duration-model: nothing is timed when --duration-model or --function-duration is given");
    }
    if (settings.timing && (settings.duration_model || settings.function_duration)) {
        return usage_error("--timing: nothing is timed when --duration-model or --function-duration is given");
    }
    if (settings.function && settings.threads > 1) {
        return usage_error("a --function is invoked for one point at a time: leave --threads out");
    }
    for (int i = 0; i < count && settings.spec && strcmp(settings.spec, "-") == 0; i++) {
        if (strcmp(argv[1 + i], "-") == 0) {
            return usage_error("the spec and a capture cannot both come from standard input");
        }
    }
    struct tumble_spec *spec = NULL;
    struct tw_spec_place place;
    struct tumble_error err = {.byte = -1, .record = -1};
    err.code = read_spec(&settings, &spec, &place, &err);
    if (err.code != TUMBLE_OK) {
        tw_say("%s%s", place.text, err.text[0] ? err.text : tumble_code_text(err.code));
        return (int)tw_exit_of(err.code);
    }
    struct tumble_input_list *inputs = NULL;
    struct tumble_alloc alloc = {0};
    int status;
    err.code = tumble_input_list_new((const char *const *)argv + 1, (size_t)count, alloc, &inputs, &err);
    if (err.code == TUMBLE_OK) {
        err.code = check_files(&settings, tumble_input_list_paths(inputs), tumble_input_list_count(inputs), &err);
    }
    if (err.code == TUMBLE_OK) {
        status = run(&settings, spec, tumble_input_list_paths(inputs), tumble_input_list_count(inputs));
    } else {
        status = tw_exit_with(&err);
    }
    tumble_input_list_destroy(inputs);
    tumble_spec_destroy(spec);
    return status;
}
