#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/live_summary.h"
#include "cli/option_table.h"
#include "cli/output_list.h"
#include "cli/plugin_list.h"
#include "cli/progress_bar.h"
#include "cli/run_flags.h"
#include "cli/run_summary.h"
#include "cli/spec_file.h"
#include "cli/stop_signal.h"
#include "cli/terminal_text.h"
#include "cli/watching.h"
#include "emulator/mapping_parameters.h"
#include "runner/live.h"

enum { MAPPING_BYTES = 65536 };

struct settings {
    const char *spec;
    struct tw_list group_by;
    struct tw_list aggregates;
    int64_t window_seconds;
    const char *where;
    int bad_records;
    int partials;
    const char *failures;
    struct tw_list outputs;
    struct tw_list plugins;
    int format;
    int64_t output_timeout;
    int64_t outbox_limit;
    const char *summary;
    const char *state;
    const char *durability;
    int64_t memory_limit;
    const char *source;
    bool quiet;
    bool deaggregate;
    const char *stream, *region, *profile, *endpoint_url;
    const char *mapping;
    const char *starting_position, *starting_position_timestamp;
    const char *batch_size, *batching_window, *record_age;
    int64_t threads;
    int64_t idle_seconds;
    const char *poll_interval, *commit_interval;
    bool until_idle;
    int64_t duration;
    const char *lease_table, *application, *worker_id, *lease_duration;
    struct tw_watching_settings watching;
    const char *refused[6]; /* of `refusals`, by index */
};

static const char *const bad_records[] = {"", "fail", "divert", NULL};
static const char *const formats[] = {"", "ndjson", "csv", NULL};

/* Parameters of a mapping that say what Lambda does around a function. There is none here. */
static const struct {
    const char *flag;
    const char *why;
} refusals[] = {
    {"maximum-retry-attempts", "no invocation fails here: reading and writing are tried again until they work"},
    {"bisect-batch-on-function-error",
     "no function sees a batch here: a bad record is found by itself, see --bad-records"},
    {"function-response-types", "there is no function whose answer could name a record; see --bad-records"},
    {"destination-config", "there is no discarded batch; where single records go is said by --failures"},
    {"parallelization-factor", "a shard's records are applied in order by one engine; see --threads for reading"},
    {"filter-criteria", "the same patterns, on the payload itself, are --where or \"where\" in the spec"},
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

#define AT(member)        offsetof(struct settings, member)
#define OF_WATCHING(name) AT(watching.name)
#define REFUSED(index, name)                                                                                           \
    { name, 0, TW_OPTION_TEXT, AT(refused[index]), "", NULL, 0, 0, NULL }

static const struct tw_option options[] = {
    {"stream", 0, TW_OPTION_TEXT, AT(stream), "NAME|ARN", "the Kinesis stream", 0, 0, NULL},
    {"spec", 's', TW_OPTION_TEXT, AT(spec), "FILE", "what to aggregate, as JSON (- : standard input)", 0, 0, NULL},
    {"group-by", 'g', TW_OPTION_COMMAS, AT(group_by), "[NAME=]FIELD,...", "fields that make a group; repeatable", 0, 0,
     NULL},
    {"aggregate", 'a', TW_OPTION_LIST, AT(aggregates), "[NAME=]FUNCTION(FIELD, KEY=VALUE...)",
     "as of `tumble replay`; repeatable", 0, 0, NULL},
    {"partials", 0, TW_OPTION_SWITCH, AT(partials), "[true|false]",
     "rows carry state that `tumble merge` folds (if the spec needs it)", 0, 0, NULL},
    {"window", 'w', TW_OPTION_DURATION, AT(window_seconds), "DURATION", "length of the windows: seconds, or as 5m", 1,
     315360000, NULL},
    {"tumbling-window-in-seconds", 0, TW_OPTION_DURATION, AT(window_seconds), "SECONDS", "the same, by AWS's name", 0,
     315360000, NULL},
    {"where", 0, TW_OPTION_TEXT, AT(where), "JSON", "only records that match, a Lambda filter pattern", 0, 0, NULL},
    {"bad-records", 0, TW_OPTION_CHOICE, AT(bad_records), "fail|divert", "stop at a bad record, or divert it (fail)", 0,
     0, bad_records},
    {"failures", 0, TW_OPTION_TEXT, AT(failures), "URI", "where diverted and expired records go", 0, 0, NULL},
    {"output", 'o', TW_OPTION_LIST, AT(outputs), "URI", "-, file:PATH, or another of `tumble outputs` (-); repeatable",
     0, 0, NULL},
    TW_PLUGIN_OPTION(AT(plugins)),
    {"output-timeout", 0, TW_OPTION_DURATION, AT(output_timeout), "DURATION",
     "how long an output that takes nothing is waited for where waiting is due (300)", 0, 315360000, NULL},
    {"outbox-limit", 0, TW_OPTION_SIZE, AT(outbox_limit), "BYTES",
     "rows that may wait for an output before reading waits too (1G)", 0, 0, NULL},
    {"format", 'f', TW_OPTION_CHOICE, AT(format), "FORMAT", "ndjson or csv", 0, 0, formats},
    {"state", 0, TW_OPTION_TEXT, AT(state), "DIR", "keep the state here; the same command goes on from it", 0, 0, NULL},
    {"durability", 0, TW_OPTION_TEXT, AT(durability), "none|commit|every=N",
     "which commits are synced (commit with --state)", 0, 0, NULL},
    {"memory-limit", 0, TW_OPTION_SIZE, AT(memory_limit), "BYTES", "drop tables of open windows beyond this, as 500M",
     0, 0, NULL},
    {"source", 0, TW_OPTION_TEXT, AT(source), "NAME", "part of every row's key (the stream's ARN)", 0, 0, NULL},
    {"region", 0, TW_OPTION_TEXT, AT(region), "REGION", "AWS region (AWS_REGION, then the profile's)", 0, 0, NULL},
    {"profile", 0, TW_OPTION_TEXT, AT(profile), "NAME", "profile of the AWS configuration files", 0, 0, NULL},
    {"endpoint-url", 0, TW_OPTION_TEXT, AT(endpoint_url), "URL", "another server than AWS's own for Kinesis", 0, 0,
     NULL},
    {"mapping", 0, TW_OPTION_TEXT, AT(mapping), "FILE", "what `aws lambda get-event-source-mapping` prints", 0, 0,
     NULL},
    {"starting-position", 0, TW_OPTION_TEXT, AT(starting_position), "POSITION",
     "TRIM_HORIZON, LATEST or AT_TIMESTAMP, where nothing was read yet (TRIM_HORIZON)", 0, 0, NULL},
    {"starting-position-timestamp", 0, TW_OPTION_TEXT, AT(starting_position_timestamp), "TIME",
     "for AT_TIMESTAMP: epoch seconds or ISO 8601", 0, 0, NULL},
    {"batch-size", 0, TW_OPTION_TEXT, AT(batch_size), "N", "most records of a batch (1000)", 0, 0, NULL},
    {"maximum-batching-window-in-seconds", 0, TW_OPTION_TEXT, AT(batching_window), "SECONDS",
     "how long a batch waits to fill (0)", 0, 0, NULL},
    {"maximum-record-age-in-seconds", 0, TW_OPTION_TEXT, AT(record_age), "SECONDS",
     "older records are left out and counted late (-1: none)", 0, 0, NULL},
    {"threads", 0, TW_OPTION_NUMBER, AT(threads), "N", "shards that are read at the same time (4)", 1, 1024, NULL},
    {"idle-seconds", 0, TW_OPTION_NUMBER, AT(idle_seconds), "SECONDS",
     "nothing new in a shard for so long: windows that are over are closed (120)", 0, 86400, NULL},
    {"poll-interval", 0, TW_OPTION_TEXT, AT(poll_interval), "DURATION",
     "between looks at a shard that has nothing new, as 250ms (1s)", 0, 0, NULL},
    {"commit-interval", 0, TW_OPTION_TEXT, AT(commit_interval), "DURATION", "between commits, as 250ms (1s)", 0, 0,
     NULL},
    {"deaggregate", 0, TW_OPTION_FLAG, AT(deaggregate), "[true|false]",
     "split what the Kinesis Producer Library aggregated (true)", 0, 0, NULL},
    {"until-idle", 0, TW_OPTION_FLAG, AT(until_idle), "[true|false]",
     "close every window and end when all there is was read", 0, 0, NULL},
    {"duration", 0, TW_OPTION_DURATION, AT(duration), "DURATION", "end after so long", 1, 315360000, NULL},
    {"lease-table", 0, TW_OPTION_TEXT, AT(lease_table), "NAME",
     "share the stream with other processes by leases in this DynamoDB table", 0, 0, NULL},
    {"application", 0, TW_OPTION_TEXT, AT(application), "NAME", "those that share it (made of source and spec)", 0, 0,
     NULL},
    {"worker-id", 0, TW_OPTION_TEXT, AT(worker_id), "NAME", "this process, for people (the host's name)", 0, 0, NULL},
    {"lease-duration", 0, TW_OPTION_TEXT, AT(lease_duration), "DURATION",
     "a process silent for so long is taken for dead (20s)", 0, 0, NULL},
    {"summary", 0, TW_OPTION_TEXT, AT(summary), "FILE", "write the run's figures as JSON (- : standard error)", 0, 0,
     NULL},
    TW_WATCHING_OPTIONS(OF_WATCHING),
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no progress, no notes, no closing line", 0, 0, NULL},
    REFUSED(0, "maximum-retry-attempts"),
    REFUSED(1, "bisect-batch-on-function-error"),
    REFUSED(2, "function-response-types"),
    REFUSED(3, "destination-config"),
    REFUSED(4, "parallelization-factor"),
    REFUSED(5, "filter-criteria")};

static const struct tw_option_table table = {
    .command = "run",
    .usage = "Usage: tumble run --stream NAME [OPTION]...\n"
             "Turns a live Kinesis stream into exact per-window rows, until it is stopped.\n"
             "\n"
             "  tumble run --stream clicks -s orders.json --state state -o s3://bucket/orders\n"
             "  tumble run --stream clicks -w 60 -g type -a 'total=sum(amount)' --until-idle\n"
             "\n"
             "Windows go by the records' arrival in the stream. With --state the same command\n"
             "goes on where it was stopped or killed, without a record lost or counted twice.\n"
             "\n"
             "      --stream NAME|ARN      the Kinesis stream\n"
             "  -s, --spec FILE            what to aggregate; or -w -g -a instead\n"
             "  -w, --window DURATION      length of the windows: seconds, or as 5m, 1h\n"
             "  -g, --group-by FIELD,...   fields that make a group\n"
             "  -a, --aggregate N=F(FIELD) count sum mean min max distinct quantile top ...\n"
             "      --starting-position P  TRIM_HORIZON, LATEST or AT_TIMESTAMP\n"
             "      --state DIR            keep the state; the same command goes on from it\n"
             "  -o, --output URI           -, file:PATH, s3://..., dynamodb:TABLE\n"
             "      --idle-seconds N       when windows of a quiet shard are closed\n"
             "      --until-idle           end when all there is was read\n"
             "      --lease-table NAME     share the stream with other processes\n"
             "      --metrics PORT         live figures for Prometheus, at 127.0.0.1\n"
             "      --report FILE.html     charts of the run, on one page\n"
             "      --help                 every option\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = NULL,
};

/* ---- the screen ---- */

struct screen {
    struct tw_progress_bar bar;
    struct tw_watching watching;
    bool quiet;
};

static int on_progress(void *ctx, const struct tumble_live_progress *progress) {
    struct screen *screen = ctx;
    tw_progress_bar_draw_live(&screen->bar, progress->records, progress->shards, progress->behind_ms);
    tw_watching_tick(&screen->watching);
    return tw_stop_signal_came(NULL);
}

static void on_line(void *ctx, const char *line) {
    struct screen *screen = ctx;
    if (!screen->quiet) {
        tw_progress_bar_erase(&screen->bar);
        tw_say("%s", line);
    }
}

/* ---- settings to options ---- */

static int usage_error(const char *text) {
    tw_say("run: %s", text);
    tw_say("see tumble run -h");
    return TW_EXIT_USAGE;
}

/* "250ms", "2s", "1m"; a bare number is seconds. */
static bool read_duration(const char *text, int64_t low_ms, int64_t high_ms, int64_t *out) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}};
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && number < 1000000000; at++) {
        number = number * 10 + (*at - '0');
    }
    for (size_t i = 0; at > text && i < sizeof units / sizeof *units; i++) {
        if (strcmp(at, units[i].unit) == 0) {
            *out = number * units[i].ms;
            return *out >= low_ms && *out <= high_ms;
        }
    }
    return false;
}

static enum tumble_code usage(struct tumble_error *err, const char *format, const char *a, const char *b) {
    err->code = TUMBLE_EUSAGE;
    snprintf(err->text, sizeof err->text, format, a, b);
    return TUMBLE_EUSAGE;
}

static enum tumble_code read_mapping_file(struct tumble_mapping_parameters *parameters, const char *path,
                                          struct tumble_error *err) {
    static char text[MAPPING_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return usage(err, "mapping %.150s: %.100s", path, strerror(errno));
    }
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < sizeof text) {
        got = read(fd, text + length, sizeof text - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (got < 0 || length == sizeof text) {
        return usage(err, "mapping %.150s: %s", path, "cannot be read, or is larger than a mapping");
    }
    enum tumble_code code = tumble_mapping_parameters_read(parameters, (struct tumble_bytes){text, length}, err);
    if (code != TUMBLE_OK) {
        char inner[TUMBLE_ERROR_TEXT];
        snprintf(inner, sizeof inner, "%s", err->text);
        code = code == TUMBLE_ENOMEM ? code : usage(err, "%.100s: %.200s", path, inner);
    }
    return code;
}

/* What a mapping's file says that means nothing here is told, not refused: AWS prints all of it. A filter decides rows.
 */
static enum tumble_code check_mapping_file(const struct tumble_mapping_parameters *parameters, bool quiet,
                                           struct tumble_error *err) {
    if (parameters->filter_count) {
        return usage(err, "the mapping has FilterCriteria: %s%s", refusals[5].why, "; take them out of the file");
    }
    bool has_more = parameters->maximum_retry_attempts >= 0 || parameters->bisect_batch_on_function_error ||
                    parameters->report_batch_item_failures || parameters->on_failure[0] ||
                    parameters->parallelization_factor > 1;
    if (has_more && !quiet) {
        tw_say("note: of the mapping, what Lambda does around a function is passed over (retries, bisecting, response "
               "types, on-failure destination, parallelization): there is no function");
    }
    return TUMBLE_OK;
}

static enum tumble_code read_parameters(const struct settings *s, struct tumble_mapping_parameters *parameters,
                                        struct tumble_error *err) {
    const struct {
        const char *flag, *value;
    } flags[] = {{"starting-position", s->starting_position},
                 {"starting-position-timestamp", s->starting_position_timestamp},
                 {"batch-size", s->batch_size},
                 {"maximum-batching-window-in-seconds", s->batching_window},
                 {"maximum-record-age-in-seconds", s->record_age}};
    enum tumble_code code = TUMBLE_OK;
    parameters->batch_size = 1000;
    if (s->mapping) {
        code = read_mapping_file(parameters, s->mapping, err);
        code = code == TUMBLE_OK ? check_mapping_file(parameters, s->quiet, err) : code;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags && code == TUMBLE_OK; i++) {
        if (flags[i].value) {
            code = tumble_mapping_parameters_set(parameters, flags[i].flag, flags[i].value, err);
        }
    }
    if (parameters->starting_position == TUMBLE_STARTING_POSITION_NONE) {
        parameters->starting_position = TUMBLE_TRIM_HORIZON;
    }
    bool has_timestamp = parameters->starting_position_timestamp_ms >= 0;
    if (code == TUMBLE_OK && has_timestamp != (parameters->starting_position == TUMBLE_AT_TIMESTAMP)) {
        code = usage(err, "%s%s", "--starting-position AT_TIMESTAMP and --starting-position-timestamp go together", "");
    }
    return code;
}

static enum tumble_code read_spec(const struct settings *settings, struct tumble_spec **spec,
                                  struct tw_spec_place *place, struct tumble_error *err) {
    struct tumble_spec_overrides overrides = {
        .window_seconds = settings->window_seconds,
        .where = settings->where,
        .group_by = settings->group_by.count ? settings->group_by.items : NULL,
        .group_by_count = settings->group_by.count,
        .aggregates = settings->aggregates.count ? settings->aggregates.items : NULL,
        .aggregate_count = settings->aggregates.count,
        .outputs = settings->outputs.count ? settings->outputs.items : NULL,
        .output_count = settings->outputs.count,
        .failures = settings->failures,
        .partials = settings->partials,
        .bad_records = settings->bad_records ? bad_records[settings->bad_records] : NULL,
    };
    return tw_spec_read(settings->spec, &overrides, spec, place, err);
}

/* ---- the run ---- */

static enum tumble_code finish_watching(struct tw_watching *watching, const struct tumble_spec *spec,
                                        const struct tw_live_outcome *outcome, const char *error,
                                        struct tumble_error *err) {
    struct tw_run_facts *facts = &watching->facts;
    facts->spec = spec;
    facts->window_seconds = tumble_spec_window_seconds(spec);
    facts->shards = outcome->summary->shards;
    facts->code = outcome->code;
    facts->error = error;
    facts->is_stopped = outcome->summary->stopped;
    facts->seconds = outcome->summary->seconds;
    facts->records_read = outcome->summary->records_read;
    facts->print_summary = tw_live_summary_print;
    facts->summary = outcome;
    return tw_watching_finish(watching, err);
}

static int report(const struct settings *settings, const struct tumble_spec *spec, struct tw_watching *watching,
                  const struct tumble_live_summary *summary, enum tumble_code code, const struct tumble_error *err) {
    int status = TW_EXIT_OK;
    if (code != TUMBLE_OK) {
        status = tw_exit_with(err);
        if (code == TUMBLE_ERECORD) {
            tw_say("what came before it is kept; go on without it: --bad-records divert --failures URI");
        }
    } else if (!settings->quiet) {
        tw_live_summary_say(summary);
        if (summary->stopped || settings->duration) {
            tw_say("stopped; %s", settings->state         ? "the same command goes on from here"
                                  : settings->lease_table ? "who takes the shards reads windows that were open again"
                                                          : "windows that were open are not kept: with --state DIR "
                                                            "they would be");
        }
    }
    if (settings->summary) {
        struct tumble_error failure = {.byte = -1, .record = -1};
        if (tw_live_summary_write(settings->summary, summary, code, &failure) != TUMBLE_OK) {
            int other = tw_exit_with(&failure);
            status = status == TW_EXIT_OK ? other : status;
        }
    }
    struct tw_live_outcome outcome = {summary, code};
    struct tumble_error failure = {.byte = -1, .record = -1};
    if (finish_watching(watching, spec, &outcome, err->text, &failure) != TUMBLE_OK) {
        int other = tw_exit_with(&failure);
        status = status == TW_EXIT_OK ? other : status;
    }
    return status;
}

static enum tumble_kinesis_start start_of(enum tumble_starting_position position) {
    return position == TUMBLE_LATEST         ? TUMBLE_KINESIS_LATEST
           : position == TUMBLE_AT_TIMESTAMP ? TUMBLE_KINESIS_AT_TIMESTAMP
                                             : TUMBLE_KINESIS_TRIM_HORIZON;
}

static int run(const struct settings *settings, const struct tumble_mapping_parameters *parameters,
               const struct tumble_spec *spec) {
    static struct tw_output_list outputs; /* 150 kB: not for the stack */
    struct tumble_error err = {.byte = -1, .record = -1};
    struct screen screen = {.quiet = settings->quiet};
    const struct tw_written_file written[] = {{"summary", settings->summary},
                                              {"report", settings->watching.report},
                                              {"emf", settings->watching.emf},
                                              {NULL, NULL}};
    const struct tw_read_files read = {.spec = settings->spec, .mapping = settings->mapping};
    int64_t poll_ms = 1000, commit_ms = 1000, lease_ms = 20000;
    int64_t window = settings->window_seconds                 ? settings->window_seconds
                     : parameters->tumbling_window_in_seconds ? parameters->tumbling_window_in_seconds
                                                              : tumble_spec_window_seconds(spec);
    if (window <= 0) {
        return usage_error("how long is a window? Give --window SECONDS, or \"window\": {\"seconds\": 60} in the spec");
    }
    if ((settings->poll_interval && !read_duration(settings->poll_interval, 10, 3600000, &poll_ms)) ||
        (settings->commit_interval && !read_duration(settings->commit_interval, 1, 3600000, &commit_ms))) {
        return usage_error(
            "an interval is a number with ms, s or m behind it, as 250ms; polls are 10ms apart at least");
    }
    if (settings->lease_duration && !read_duration(settings->lease_duration, 500, 3600000, &lease_ms)) {
        return usage_error("--lease-duration is a number with ms, s or m behind it, from 500ms to 60m");
    }
    if (!settings->lease_table && (settings->application || settings->worker_id || settings->lease_duration)) {
        return usage_error("--application, --worker-id and --lease-duration go with --lease-table");
    }
    if (settings->application && (!settings->application[0] || strlen(settings->application) > 1000)) {
        return usage_error("--application is a name of 1 to 1000 bytes");
    }
    if (settings->lease_table && parameters->maximum_record_age_in_seconds >= 0) {
        return usage_error("--maximum-record-age-in-seconds is not for shared streams: who reads a shard again after "
                           "another must find the same records");
    }
    const struct tw_output_wishes wishes = {.spec = spec,
                                            .plugins = &settings->plugins,
                                            .format = settings->format ? formats[settings->format] : NULL,
                                            .state = settings->state,
                                            .outputs_by_flags = settings->outputs.count > 0,
                                            .failures_by_flag = settings->failures != NULL,
                                            .is_endless = true};
    if (tw_output_list_read(&wishes, &outputs, &err) != TUMBLE_OK ||
        tw_output_list_check_files(&outputs, settings->state, written, &read, &err) != TUMBLE_OK ||
        (settings->summary && tw_run_summary_probe(settings->summary, settings->state, &err) != TUMBLE_OK)) {
        return tw_exit_with(&err);
    }
    struct tumble_live_options live = {
        .spec = spec,
        .stream = {.stream = settings->stream,
                   .region = settings->region,
                   .endpoint_url = settings->endpoint_url,
                   .profile = settings->profile,
                   .idle_ms = poll_ms},
        .start = start_of(parameters->starting_position),
        .start_ms = parameters->starting_position_timestamp_ms,
        .window_seconds = window,
        .batch_size = parameters->batch_size,
        .batching_window_ms = (int64_t)parameters->maximum_batching_window_in_seconds * 1000,
        .maximum_record_age_ms = parameters->maximum_record_age_in_seconds < 0
                                     ? -1
                                     : (int64_t)parameters->maximum_record_age_in_seconds * 1000,
        .threads = (uint32_t)settings->threads,
        .idle_ms = settings->idle_seconds * 1000,
        .commit_ms = commit_ms,
        .until_idle = settings->until_idle,
        .duration_ms = settings->duration * 1000,
        .keep_aggregates = !settings->deaggregate,
        .source = settings->source,
        .state_directory = settings->state,
        .memory_limit_bytes = (size_t)settings->memory_limit,
        .outputs = outputs.list,
        .output_count = outputs.count,
        .failures = outputs.has_failures ? &outputs.failures.output : NULL,
        .output_timeout_ms = settings->output_timeout * 1000,
        .outbox_limit_bytes = (uint64_t)settings->outbox_limit,
        .lease_table = settings->lease_table,
        .application = settings->application,
        .worker_id = settings->worker_id,
        .lease_ms = lease_ms,
        .progress = on_progress,
        .progress_ctx = &screen,
        .interrupted = tw_stop_signal_came,
        .say = on_line,
        .say_ctx = &screen,
    };
    if (!tw_read_durability(settings->durability, settings->state, &live.durability, &live.sync_every)) {
        return usage_error("--durability is none, commit or every=N with N of at least 1");
    }
    if (tw_watching_open(&screen.watching, &settings->watching, TUMBLE_WATCH_LIVE,
                         settings->source ? settings->source : settings->stream, settings->quiet, &err) != TUMBLE_OK) {
        tw_watching_close(&screen.watching);
        return tw_exit_with(&err);
    }
    live.watch = screen.watching.watch;
    tw_progress_bar_init(&screen.bar, !settings->quiet && !outputs.shares_line);
    tw_stop_signal_watch();
    /* Where nothing is kept that wants an end. */
    tw_broken_pipe_ends(outputs.count == 1 && outputs.uris[0].is_stdout && !outputs.has_failures && !settings->state &&
                        !settings->lease_table);
    static struct tumble_live_summary summary;
    enum tumble_code code = tumble_live_run(&live, &summary, &err);
    tw_progress_bar_erase(&screen.bar);
    err.code = code;
    int status = report(settings, spec, &screen.watching, &summary, code, &err);
    tw_watching_close(&screen.watching);
    return status;
}

int tw_cmd_run(int argc, char **argv) {
    static struct settings settings = {.threads = 4, .deaggregate = true, .idle_seconds = 120};
    int operands = 0;
    tw_watching_command(argc, argv);
    settings.output_timeout = 300;
    settings.outbox_limit = 1 << 30;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &operands);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    for (size_t i = 0; i < REFUSALS; i++) {
        if (settings.refused[i]) {
            char text[256];
            snprintf(text, sizeof text, "--%s means nothing without Lambda: %s", refusals[i].flag, refusals[i].why);
            return usage_error(text);
        }
    }
    struct tumble_mapping_parameters parameters;
    struct tumble_spec *spec = NULL;
    struct tw_spec_place place;
    struct tumble_error err = {.byte = -1, .record = -1};
    tumble_mapping_parameters_init(&parameters, (struct tumble_alloc){0});
    int status = TW_EXIT_USAGE;
    if (read_parameters(&settings, &parameters, &err) != TUMBLE_OK) {
        status = tw_exit_with(&err);
    } else if (!settings.stream && !parameters.event_source_arn[0]) {
        status = usage_error("which stream? Give --stream NAME or its ARN");
    } else if (!settings.spec && settings.aggregates.count == 0) {
        status = usage_error("nothing to aggregate: give --spec FILE, or --aggregate 'orders=count()' and the like");
    } else {
        settings.stream = settings.stream ? settings.stream : parameters.event_source_arn;
        tw_complete_counts(&settings.aggregates);
        err.code = read_spec(&settings, &spec, &place, &err);
        if (err.code != TUMBLE_OK) {
            tw_say("%s%s", place.text, err.text[0] ? err.text : tumble_code_text(err.code));
            status = (int)tw_exit_of(err.code);
        } else {
            status = run(&settings, &parameters, spec);
        }
    }
    tumble_spec_destroy(spec);
    tumble_mapping_parameters_clean_up(&parameters);
    return status;
}
