#include "cli/emulated_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tumble/timestamp.h>

#include "cli/emulation_summary.h"
#include "cli/exit_code.h"
#include "cli/plugin_list.h"
#include "cli/run_summary.h"
#include "cli/terminal_text.h"
#include "emulator/runtime_api/process_function.h"
#include "runner/engine_function.h"
#include "runner/failure_destination.h"
#include "runner/output_registry.h"

const char *const tw_emulation_arrivals[] = {"", "backlog", "live", NULL};
const char *const tw_emulation_invokes[] = {"", "direct", "event", NULL};

enum { MAPPING_BYTES = 1024 * 1024, INVOKE_DIRECT = 1, INVOKE_EVENT = 2, ARRIVAL_LIVE = 2, ENGINE_DURATION_US = 1000 };

/* Everything of a run that has to be closed. */
struct run {
    struct tw_emulation *emulation;
    struct tumble_mapping_parameters parameters;
    struct tumble_emulate_options options;
    struct tumble_process_function *process;
    struct tumble_engine_function *engine;
    struct tumble_emulated_function function;
    struct tumble_faults faults;
    bool has_faults;
    struct tumble_output_uri destination;
    char function_name[160];
    int log_fd;
};

/* ---- what is asked for ---- */

struct text_parameter {
    const char *flag;
    const char *value;
};

enum { TEXT_PARAMETERS = 11 };

static void text_parameters(const struct tw_emulation_settings *s, struct text_parameter out[TEXT_PARAMETERS]) {
    const struct text_parameter all[TEXT_PARAMETERS] = {
        {"starting-position", s->starting_position},
        {"starting-position-timestamp", s->starting_position_timestamp},
        {"maximum-batching-window-in-seconds", s->batching_window},
        {"parallelization-factor", s->parallelization_factor},
        {"maximum-retry-attempts", s->retry_attempts},
        {"maximum-record-age-in-seconds", s->record_age},
        {"function-response-types", s->response_types},
        {"destination-config", s->destination},
        {"filter-criteria", s->filters},
        {"event-source-arn", s->event_source_arn},
        {"function-arn", s->function_arn},
    };
    memcpy(out, all, sizeof all);
}

bool tw_emulation_is_asked_for(const struct tw_emulation_settings *s) {
    struct text_parameter texts[TEXT_PARAMETERS];
    bool asked = s->function || s->mapping || s->fault || s->speed || s->bisect || s->enabled || s->arrival ||
                 s->invoke != 0 || s->disable_at || s->enable_at;
    text_parameters(s, texts);
    for (size_t i = 0; i < TEXT_PARAMETERS; i++) {
        asked = asked || texts[i].value;
    }
    return asked;
}

static enum tumble_code refuse(struct tumble_error *err, const char *format, const char *what) {
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, format, what);
    return TUMBLE_EUSAGE;
}

/* ---- parameters ---- */

static enum tumble_code read_mapping_file(struct run *run, const char *path, struct tumble_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        char text[256];
        snprintf(text, sizeof text, "%.150s: %.100s", path, strerror(errno));
        return refuse(err, "mapping %s", text);
    }
    static char text[MAPPING_BYTES];
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < sizeof text) {
        got = read(fd, text + length, sizeof text - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (got < 0 || length == sizeof text) {
        return refuse(err, "mapping %.200s: cannot be read, or is larger than a mapping", path);
    }
    enum tumble_code code = tumble_mapping_parameters_read(&run->parameters, (struct tumble_bytes){text, length}, err);
    if (code != TUMBLE_OK) {
        char inner[TUMBLE_ERROR_TEXT];
        snprintf(inner, sizeof inner, "%s", err->text);
        snprintf(err->text, sizeof err->text, "%.100s: %.200s", path, inner);
        err->code = code = code == TUMBLE_ENOMEM ? code : TUMBLE_EUSAGE;
    }
    return code;
}

static enum tumble_code set_number(struct run *run, const char *flag, int64_t value, struct tumble_error *err) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return tumble_mapping_parameters_set(&run->parameters, flag, text, err);
}

static enum tumble_code set_boolean(struct run *run, const char *flag, int value, struct tumble_error *err) {
    return value ? tumble_mapping_parameters_set(&run->parameters, flag, value > 0 ? "true" : "false", err) : TUMBLE_OK;
}

/* A flag of JSON that holds none of the members it should shows its shape. */
static void say_shape(const char *flag, const char *value, struct tumble_error *err) {
    static const struct {
        const char *flag, *member, *shape;
    } shapes[] = {{"destination-config", "\"Destination\"", "{\"OnFailure\":{\"Destination\":\"file:PATH\"}}"},
                  {"filter-criteria", "\"Pattern\"", "{\"Filters\":[{\"Pattern\":\"{...}\"}]}"}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && err; i++) {
        size_t length = strlen(err->text);
        if (strcmp(shapes[i].flag, flag) == 0 && !strstr(value, shapes[i].member)) {
            snprintf(err->text + length, sizeof err->text - length, "; it is %s", shapes[i].shape);
        }
    }
}

static enum tumble_code read_parameters(struct run *run, struct tumble_error *err) {
    const struct tw_emulation *emulation = run->emulation;
    const struct tw_emulation_settings *s = emulation->settings;
    struct text_parameter texts[TEXT_PARAMETERS];
    enum tumble_code code = s->mapping ? read_mapping_file(run, s->mapping, err) : TUMBLE_OK;
    text_parameters(s, texts);
    for (size_t i = 0; i < TEXT_PARAMETERS && code == TUMBLE_OK; i++) {
        if (texts[i].value) {
            code = tumble_mapping_parameters_set(&run->parameters, texts[i].flag, texts[i].value, err);
            if (code != TUMBLE_OK) {
                say_shape(texts[i].flag, texts[i].value, err);
            }
            code = code == TUMBLE_OK || code == TUMBLE_ENOMEM ? code : TUMBLE_EUSAGE; /* JSON of a flag is no input */
        }
    }
    if (code == TUMBLE_OK) {
        code = set_boolean(run, "bisect-batch-on-function-error", s->bisect, err);
    }
    if (code == TUMBLE_OK) {
        code = set_boolean(run, "enabled", s->enabled, err);
    }
    if (code == TUMBLE_OK && emulation->batch_size) {
        code = set_number(run, "batch-size", emulation->batch_size, err);
    }
    bool is_decided = emulation->has_no_window || run->parameters.tumbling_window_in_seconds;
    int64_t window = emulation->window_seconds ? emulation->window_seconds
                     : is_decided              ? 0
                                               : tumble_spec_window_seconds(emulation->spec);
    if (code == TUMBLE_OK && (window > 0 || emulation->has_no_window)) {
        code = set_number(run, "tumbling-window-in-seconds", window, err);
    }
    if (run->parameters.starting_position == TUMBLE_STARTING_POSITION_NONE) {
        run->parameters.starting_position = TUMBLE_TRIM_HORIZON;
    }
    return code;
}

/* "100": invocations; "90s", "5m": of the stream's time. */
static enum tumble_code read_lifetime(const char *text, struct tumble_process_options *out, struct tumble_error *err) {
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number < 1000000000; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    const char *unit = *at ? strchr(units, *at) : NULL;
    if (at == text || number == 0 || number > 1000000000 || (*at && (!unit || at[1]))) {
        return refuse(err, "--sandbox-lifetime %.100s: a number of invocations, or a duration as 90s or 5m", text);
    }
    if (unit) {
        out->lifetime_ms = (int64_t)number * seconds[unit - units] * 1000;
    } else {
        out->lifetime_invocations = number;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_duration(const char *text, int64_t *out_us, struct tumble_error *err) {
    char *end = NULL;
    double ms = text ? strtod(text, &end) : 0;
    if (text && (end == text || *end || !(ms >= 0.001) || !(ms <= 900000))) {
        return refuse(err, "--function-duration %.100s: milliseconds, from 0.001 to 900000", text);
    }
    *out_us = text ? (int64_t)(ms * 1000) : 0;
    return TUMBLE_OK;
}

static enum tumble_code read_speed(const char *text, double *out, struct tumble_error *err) {
    char *end = NULL;
    *out = text && strcmp(text, "max") != 0 ? strtod(text, &end) : 0;
    if (end && (end == text || *end || !(*out >= 0.001) || !(*out <= 1e6))) {
        return refuse(err, "--speed %.100s: 1 is the time it took, 10 ten times as fast, max without waiting", text);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_instant(const char *flag, const char *text, int64_t *out, struct tumble_error *err) {
    const struct tumble_timestamp_format format = {.kind = TUMBLE_TIMESTAMP_AUTO};
    const struct tumble_value value = {.text = text, .length = (uint32_t)strlen(text), .type = TUMBLE_TYPE_STRING};
    struct tumble_error inner;
    if (tumble_timestamp_ms(&format, &value, out, &inner) != TUMBLE_OK) {
        char words[240];
        snprintf(words, sizeof words, "%s %.80s: %.140s", flag, text, inner.text);
        return refuse(err, "%s", words);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_pause(const struct tw_emulation_settings *s, struct tumble_mapping_options *out,
                                   struct tumble_error *err) {
    if (!s->disable_at) {
        return s->enable_at
                   ? refuse(err, "--enable-at %.100s: when is it disabled? Give --disable-at too", s->enable_at)
                   : TUMBLE_OK;
    }
    out->has_pause = 1;
    out->enabled_again_ms = INT64_MAX;
    enum tumble_code code = read_instant("--disable-at", s->disable_at, &out->disabled_from_ms, err);
    if (code == TUMBLE_OK && s->enable_at) {
        code = read_instant("--enable-at", s->enable_at, &out->enabled_again_ms, err);
    }
    return code != TUMBLE_OK || out->enabled_again_ms > out->disabled_from_ms
               ? code
               : refuse(err, "--enable-at %.100s: is not after --disable-at", s->enable_at);
}

/* ---- the function ---- */

static void say_into_log(void *ctx, const char *line) {
    const struct run *run = ctx;
    const struct tw_emulation *emulation = run->emulation;
    if (run->log_fd >= 0) {
        dprintf(run->log_fd, "%s\n", line);
    } else if (emulation->say) {
        emulation->say(emulation->say_ctx, line);
    }
}

static void look(const struct run *run) {
    struct tw_watching *watching = run->emulation->watching;
    if (run->engine && watching->watch) {
        tumble_watch_counters(watching->watch, &tumble_engine_function_figures(run->engine)->counters);
    }
    tw_watching_tick(watching);
}

static int interrupted(void *ctx) {
    const struct run *run = ctx;
    look(run);
    return run->emulation->interrupted(run->emulation->say_ctx);
}

static enum tumble_code open_log(struct run *run, const char *path, struct tumble_error *err) {
    run->log_fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (path && run->log_fd < 0) {
        char text[256];
        snprintf(text, sizeof text, "%.150s: %.100s", path, strerror(errno));
        refuse(err, "function log %s", text);
        return err->code = TUMBLE_EOUTPUT;
    }
    return TUMBLE_OK;
}

/* What stands behind "function:" in an ARN, up to a version. */
static const char *name_of_function(struct run *run) {
    const char *arn = run->parameters.function_arn, *at = strstr(arn, ":function:");
    size_t length = at ? strcspn(at + 10, ":") : 0;
    if (length == 0 || length >= sizeof run->function_name) {
        return NULL;
    }
    memcpy(run->function_name, at + 10, length);
    run->function_name[length] = '\0';
    return run->function_name;
}

static enum tumble_code open_process(struct run *run, int64_t duration_us, struct tumble_error *err) {
    const struct tw_emulation_settings *s = run->emulation->settings;
    struct tumble_process_options options = {.command = s->function,
                                             .function_name = name_of_function(run),
                                             .handler = getenv("_HANDLER"),
                                             .memory_mb = (uint32_t)s->memory_size,
                                             .timeout_ms = s->timeout * 1000,
                                             .duration_us = duration_us,
                                             .ctx = run,
                                             .stopping = interrupted,
                                             .say = say_into_log};
    if (run->parameters.function_arn[0]) {
        options.function_arn = run->parameters.function_arn;
    }
    enum tumble_code code = s->sandbox_lifetime ? read_lifetime(s->sandbox_lifetime, &options, err) : TUMBLE_OK;
    if (code == TUMBLE_OK) {
        code = open_log(run, s->function_log, err);
    }
    options.log_fd = run->log_fd;
    if (code == TUMBLE_OK) {
        code = tumble_process_open(&options, &run->process, err);
    }
    if (code == TUMBLE_OK) {
        tumble_process_wrap(run->process, &run->function);
        run->options.mapping.function_timeout_ms =
            options.timeout_ms > 0 ? options.timeout_ms : TUMBLE_PROCESS_TIMEOUT_MS;
    }
    return code;
}

static enum tumble_code open_engine(struct run *run, int64_t duration_us, struct tumble_error *err) {
    const struct tw_emulation *emulation = run->emulation;
    struct tumble_engine_function_options options = {.spec = emulation->spec,
                                                     .source = emulation->source_name,
                                                     .outputs = emulation->outputs,
                                                     .output_count = emulation->output_count,
                                                     .failures = emulation->failures,
                                                     .report_batch_item_failures =
                                                         run->parameters.report_batch_item_failures,
                                                     .by_struct = emulation->settings->invoke != INVOKE_EVENT,
                                                     .output_timeout_ms = emulation->output_timeout_ms,
                                                     .memory_limit_bytes = emulation->memory_limit_bytes,
                                                     .duration_us = duration_us > 0 ? duration_us : ENGINE_DURATION_US,
                                                     .interrupted = interrupted,
                                                     .say = say_into_log,
                                                     .ctx = run};
    if (run->parameters.tumbling_window_in_seconds == 0) {
        return refuse(err, "%s",
                      "how long is a window? Give --window SECONDS, or TumblingWindowInSeconds in the "
                      "mapping: the built-in engine takes events of windows only");
    }
    run->log_fd = -1;
    enum tumble_code code = tumble_engine_function_open(&options, &run->engine, err);
    if (code == TUMBLE_OK) {
        tumble_engine_function_wrap(run->engine, &run->function);
        run->options.mapping.function_timeout_ms = emulation->settings->timeout * 1000;
    }
    return code;
}

static enum tumble_code open_function(struct run *run, struct tumble_error *err) {
    const struct tw_emulation_settings *s = run->emulation->settings;
    int64_t duration_us = 0;
    enum tumble_code code = read_duration(s->function_duration, &duration_us, err);
    if (code == TUMBLE_OK) {
        code = s->function ? open_process(run, duration_us, err) : open_engine(run, duration_us, err);
    }
    if (code == TUMBLE_OK && s->fault) {
        struct tumble_alloc alloc = {0};
        code = tumble_faults_init(&run->faults, s->fault, (uint64_t)s->seed, alloc, err);
        run->has_faults = code == TUMBLE_OK;
    }
    run->options.function = &run->function;
    run->options.faults = run->has_faults ? &run->faults : NULL;
    return code;
}

/* ---- the destination ---- */

static enum tumble_code open_destination(struct run *run, struct tumble_error *err) {
    struct tumble_output_registry *registry;
    if (!run->parameters.on_failure[0]) {
        return TUMBLE_OK;
    }
    enum tumble_code code = tw_outputs_load(run->emulation->plugins, &registry, err);
    if (code == TUMBLE_OK) {
        code = tumble_failure_destination_parse(registry, run->parameters.on_failure, &run->destination, err);
    }
    run->options.destination = code == TUMBLE_OK ? &run->destination.output : NULL;
    return code;
}

/* ---- the run ---- */

static enum tumble_code prepare(struct run *run, struct tumble_error *err) {
    const struct tw_emulation *emulation = run->emulation;
    const struct tw_emulation_settings *s = emulation->settings;
    struct tumble_emulate_options *options = &run->options;
    options->source = emulation->source;
    options->parameters = &run->parameters;
    options->mapping.arrival = s->arrival == ARRIVAL_LIVE ? TUMBLE_ARRIVAL_LIVE : TUMBLE_ARRIVAL_BACKLOG;
    options->mapping.seed = (uint64_t)s->seed;
    options->mapping.concurrency_limit = (uint32_t)s->concurrency;
    options->mapping.failures_with_records = s->failures_with_records;
    options->progress = emulation->progress;
    options->progress_ctx = emulation->progress_ctx;
    options->interrupted = interrupted;
    options->interrupted_ctx = run;
    options->watch = emulation->watching->watch;
    options->say = emulation->say;
    options->say_ctx = emulation->say_ctx;
    if (s->function && s->invoke == INVOKE_DIRECT) {
        return refuse(err, "%s", "--invoke direct is for the built-in engine: a --function gets real events");
    }
    enum tumble_code code = read_parameters(run, err);
    if (code == TUMBLE_OK) {
        code = read_speed(s->speed, &options->speed, err);
    }
    if (code == TUMBLE_OK) {
        code = read_pause(s, &options->mapping, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_mapping_parameters_check(&run->parameters, INT64_MAX, err);
    }
    if (code == TUMBLE_OK) {
        code = open_destination(run, err);
    }
    return code == TUMBLE_OK ? open_function(run, err) : code;
}

/* What shows the run: its last figures. */
static enum tumble_code finish_watching(struct run *run, const struct tw_emulation_figures *figures, const char *error,
                                        struct tumble_error *err) {
    struct tw_watching *watching = run->emulation->watching;
    struct tw_run_facts *facts = &watching->facts;
    facts->spec = run->emulation->settings->function ? NULL : run->emulation->spec;
    facts->window_seconds = run->parameters.tumbling_window_in_seconds;
    facts->mapping = &run->parameters;
    facts->shards = figures->run->shards;
    facts->memory_mb = run->emulation->settings->memory_size;
    facts->function = run->emulation->settings->function;
    facts->code = figures->code;
    facts->error = error;
    facts->is_stopped = figures->run->stopped;
    facts->seconds = figures->run->seconds;
    facts->records_read = figures->run->source.records;
    facts->print_summary = tw_emulation_summary_print;
    facts->summary = figures;
    look(run);
    return tw_watching_finish(watching, err);
}

static int tell(struct run *run, enum tumble_code code, struct tumble_error *err) {
    struct tw_emulation *emulation = run->emulation;
    struct tw_emulation_figures figures = {.run = &emulation->result, .code = code};
    int status = TW_EXIT_OK;
    figures.process = run->process ? tumble_process_figures(run->process) : NULL;
    figures.engine = run->engine ? tumble_engine_function_figures(run->engine) : NULL;
    figures.faults = run->has_faults ? &run->faults : NULL;
    if (code != TUMBLE_OK) {
        err->code = code;
        status = tw_exit_with(err);
    } else if (!emulation->quiet && !emulation->result.stopped) {
        tw_emulation_summary_say(&figures);
        if (!run->parameters.enabled) {
            tw_say("the mapping is disabled (Enabled is false, or its State says so): nothing was read");
        }
        if (figures.engine && figures.engine->last_error[0]) {
            tw_say("the function's last error: %s", figures.engine->last_error);
        }
    }
    struct tumble_error failure = {.byte = -1, .record = -1};
    if (emulation->summary && tw_emulation_summary_write(emulation->summary, &figures, &failure) != TUMBLE_OK) {
        int other = tw_exit_with(&failure);
        status = status == TW_EXIT_OK ? other : status;
    }
    if (finish_watching(run, &figures, err->text, &failure) != TUMBLE_OK) {
        int other = tw_exit_with(&failure);
        status = status == TW_EXIT_OK ? other : status;
    }
    return status;
}

int tw_emulation_run(struct tw_emulation *emulation) {
    static struct run run; /* an output's URI is 10 kB */
    struct tumble_error err = {.byte = -1, .record = -1};
    struct tumble_alloc alloc = {0};
    run.emulation = emulation;
    run.log_fd = -1;
    tumble_mapping_parameters_init(&run.parameters, alloc);
    enum tumble_code code = prepare(&run, &err);
    if (code == TUMBLE_OK) {
        code = tumble_emulate(&run.options, &emulation->result, &err);
    }
    if (emulation->done) {
        emulation->done(emulation->progress_ctx);
    }
    int status = tell(&run, code, &err);
    tumble_process_close(run.process);
    tumble_engine_function_close(run.engine);
    if (run.has_faults) {
        tumble_faults_clean_up(&run.faults);
    }
    tumble_mapping_parameters_clean_up(&run.parameters);
    if (run.log_fd >= 0) {
        close(run.log_fd);
    }
    return status;
}
