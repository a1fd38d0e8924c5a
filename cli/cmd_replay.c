#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/emulated_replay.h"
#include "cli/exit_code.h"
#include "cli/input_hint.h"
#include "cli/option_table.h"
#include "cli/output_list.h"
#include "cli/plugin_list.h"
#include "cli/progress_bar.h"
#include "cli/run_flags.h"
#include "cli/run_summary.h"
#include "cli/screen_table.h"
#include "cli/spec_file.h"
#include "cli/stop_signal.h"
#include "cli/terminal_text.h"
#include "cli/watching.h"
#include "runner/replay.h"

struct settings {
    const char *spec;
    struct tw_list group_by;
    struct tw_list aggregates;
    int64_t window_seconds;
    int64_t aws_window; /* by AWS's name: 0 is none, -1 not given */
    const char *where;
    const char *timestamp;
    const char *timestamp_format;
    const char *partition_key;
    int input_format;
    const char *records_at;
    int64_t shards;
    int64_t batch_size;
    int64_t threads;
    int64_t allowed_lateness;
    bool sort;
    bool deaggregate;
    int bad_records;
    int partials;
    const char *failures;
    struct tw_list outputs;
    int format;
    const char *summary;
    const char *state;
    const char *durability;
    int64_t memory_limit;
    const char *source;
    bool quiet;
    struct tw_list plugins;
    int64_t output_timeout;
    int64_t outbox_limit;
    struct tw_watching_settings watching;
    struct tw_emulation_settings emulation;
};

/* "" at index 0 stands for "not given" and cannot be typed. */
static const char *const input_formats[] = {"auto", "ndjson", "array", "lambda", "get-records", NULL};
static const char *const bad_records[] = {"", "fail", "divert", NULL};
static const char *const formats[] = {"", "ndjson", "csv", "table", NULL};

#define AT(member)         offsetof(struct settings, member)
#define OF_EMULATION(name) AT(emulation.name)
#define OF_WATCHING(name)  AT(watching.name)

static const struct tw_option options[] = {
    {"spec", 's', TW_OPTION_TEXT, AT(spec), "FILE", "what to aggregate, as JSON (- : standard input)", 0, 0, NULL},
    {"group-by", 'g', TW_OPTION_COMMAS, AT(group_by), "[NAME=]FIELD,...", "fields that make a group; repeatable", 0, 0,
     NULL},
    {"aggregate", 'a', TW_OPTION_LIST, AT(aggregates), "[NAME=]FUNCTION(FIELD, KEY=VALUE...)",
     "count sum mean variance stddev min max first last arg_min arg_max distinct quantile histogram top collect; "
     "repeatable",
     0, 0, NULL},
    {"partials", 0, TW_OPTION_SWITCH, AT(partials), "[true|false]",
     "rows carry state that `tumble merge` folds (if several shards need it)", 0, 0, NULL},
    {"window", 'w', TW_OPTION_DURATION, AT(window_seconds), "DURATION", "length of the windows: seconds, or as 5m", 1,
     315360000, NULL},
    {"tumbling-window-in-seconds", 0, TW_OPTION_DURATION, AT(aws_window), "SECONDS", "the same, by AWS's name", 0,
     315360000, NULL},
    {"where", 0, TW_OPTION_TEXT, AT(where), "JSON", "only records that match, a Lambda filter pattern", 0, 0, NULL},
    {"timestamp", 't', TW_OPTION_TEXT, AT(timestamp), "FIELD", "the field that says when a record arrived", 0, 0, NULL},
    {"timestamp-format", 0, TW_OPTION_TEXT, AT(timestamp_format), "FORMAT",
     "auto, epoch_s, epoch_ms, iso8601 or a strptime pattern", 0, 0, NULL},
    {"partition-key", 0, TW_OPTION_TEXT, AT(partition_key), "FIELD", "the field that chooses the shard", 0, 0, NULL},
    {"input-format", 0, TW_OPTION_CHOICE, AT(input_format), "FORMAT", "auto, ndjson, array, lambda or get-records", 0,
     0, input_formats},
    {"records-at", 0, TW_OPTION_TEXT, AT(records_at), "POINTER", "where the array of payloads stands, as /features", 0,
     0, NULL},
    {"shards", 0, TW_OPTION_NUMBER, AT(shards), "N", "shards to spread payloads over (1)", 1, 10000, NULL},
    {"batch-size", 0, TW_OPTION_NUMBER, AT(batch_size), "N", "most records of a batch (1000; under a mapping 100)", 1,
     10000, NULL},
    {"threads", 0, TW_OPTION_NUMBER, AT(threads), "N", "threads that read ahead and run shards (1)", 1, 1024, NULL},
    {"allowed-lateness", 0, TW_OPTION_DURATION, AT(allowed_lateness), "DURATION",
     "how long a window waits for stragglers: seconds, or as 30s (0)", 0, 315360000, NULL},
    {"deaggregate", 0, TW_OPTION_FLAG, AT(deaggregate), "[true|false]",
     "split what the Kinesis Producer Library aggregated", 0, 0, NULL},
    {"sort", 0, TW_OPTION_FLAG, AT(sort), "[true|false]", "order the whole input by time first", 0, 0, NULL},
    {"bad-records", 0, TW_OPTION_CHOICE, AT(bad_records), "fail|divert", "stop at a bad record, or divert it (fail)", 0,
     0, bad_records},
    {"failures", 0, TW_OPTION_TEXT, AT(failures), "URI", "where late and diverted records go", 0, 0, NULL},
    {"output", 'o', TW_OPTION_LIST, AT(outputs), "URI",
     "-, file:PATH, a path as rows.csv, or another of `tumble outputs` (-); repeatable", 0, 0, NULL},
    TW_PLUGIN_OPTION(AT(plugins)),
    {"output-timeout", 0, TW_OPTION_DURATION, AT(output_timeout), "DURATION",
     "how long an output that takes nothing is waited for at the end (300)", 0, 315360000, NULL},
    {"outbox-limit", 0, TW_OPTION_SIZE, AT(outbox_limit), "BYTES",
     "rows that may wait for an output before reading waits too (1G)", 0, 0, NULL},
    {"format", 'f', TW_OPTION_CHOICE, AT(format), "FORMAT", "ndjson, csv or table (table on a terminal)", 0, 0,
     formats},
    {"summary", 0, TW_OPTION_TEXT, AT(summary), "FILE", "write the run's figures as JSON (- : standard error)", 0, 0,
     NULL},
    {"state", 0, TW_OPTION_TEXT, AT(state), "DIR", "keep the state here; the same command goes on from it", 0, 0, NULL},
    {"durability", 0, TW_OPTION_TEXT, AT(durability), "none|commit|every=N",
     "which commits are synced (commit with --state)", 0, 0, NULL},
    {"memory-limit", 0, TW_OPTION_SIZE, AT(memory_limit), "BYTES", "drop tables of open windows beyond this, as 500M",
     0, 0, NULL},
    {"source", 0, TW_OPTION_TEXT, AT(source), "NAME", "part of every row's key (made from the inputs)", 0, 0, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no progress, no notes, no closing line", 0, 0, NULL},
    TW_WATCHING_OPTIONS(OF_WATCHING),
    TW_EMULATION_OPTIONS(OF_EMULATION)};

static const struct tw_option_table table = {
    .command = "replay",
    .usage = "Usage: tumble replay [OPTION]... INPUT...\n"
             "Turns captured records into exact per-window rows.\n"
             "\n"
             "  tumble replay -w 60 -t ts -g eventType -a 'revenue=sum(amount)' clicks.ndjson\n"
             "  tumble replay --spec orders.json --state state -o file:rows.ndjson *.gz\n"
             "\n"
             "INPUT is JSON payloads (lines, back to back, or an array), Lambda Kinesis\n"
             "events, or what `aws kinesis get-records` prints; plain, gzip or zstd; - is\n"
             "standard input.\n"
             "\n"
             "  -s, --spec FILE            what to aggregate; or -w -t -g -a instead\n"
             "  -w, --window DURATION      length of the windows: seconds, or as 5m, 1h\n"
             "  -t, --timestamp FIELD      the field that says when a record arrived\n"
             "  -g, --group-by FIELD,...   fields that make a group\n"
             "  -a, --aggregate N=F(FIELD) count sum mean min max distinct quantile top ...\n"
             "      --sort                 order the whole input by time first\n"
             "      --allowed-lateness D   how long a window waits for stragglers\n"
             "      --state DIR            keep the state; the same command goes on from it\n"
             "  -o, --output URI           -, file:PATH, or a path as rows.csv\n"
             "  -f, --format FORMAT        ndjson, csv or table\n"
             "      --summary FILE         write the run's figures as JSON\n"
             "      --report FILE.html     charts of the run, on one page\n"
             "      --help                 every option\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = "INPUT",
};

struct screen {
    struct tw_progress_bar bar;
    struct tw_watching watching;
    bool quiet;
};

static int on_progress(void *ctx, int64_t done_bytes, int64_t total_bytes, uint64_t records) {
    struct screen *screen = ctx;
    tw_progress_bar_draw(&screen->bar, done_bytes, total_bytes, records);
    tw_watching_tick(&screen->watching);
    return tw_stop_signal_came(NULL);
}

static void on_rows(void *ctx) {
    struct screen *screen = ctx;
    tw_progress_bar_erase(&screen->bar);
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
    tw_say("replay: %s", text);
    tw_say("see tumble replay -h");
    return TW_EXIT_USAGE;
}

static enum tumble_code read_spec(const struct settings *settings, struct tumble_spec **spec,
                                  struct tw_spec_place *place, struct tumble_error *err) {
    struct tumble_spec_overrides overrides = {
        .window_seconds = settings->window_seconds,
        .timestamp_field = settings->timestamp,
        .timestamp_format = settings->timestamp_format,
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

static enum tumble_code read_outputs(const struct settings *settings, const struct tumble_spec *spec,
                                     struct tw_output_list *out, struct tumble_error *err) {
    const struct tw_output_wishes wishes = {.spec = spec,
                                            .plugins = &settings->plugins,
                                            .format = settings->format ? formats[settings->format] : NULL,
                                            .state = settings->state,
                                            .outputs_by_flags = settings->outputs.count > 0,
                                            .failures_by_flag = settings->failures != NULL};
    return tw_output_list_read(&wishes, out, err);
}

/* ---- files ---- */

static enum tumble_code check_files(const struct settings *settings, const struct tw_output_list *outputs,
                                    const char *const *inputs, int input_count, struct tumble_error *err) {
    const struct tw_written_file written[] = {{"summary", settings->summary},
                                              {"report", settings->watching.report},
                                              {"emf", settings->watching.emf},
                                              {NULL, NULL}};
    const struct tw_read_files read = {inputs, input_count, settings->spec, settings->emulation.mapping};
    return tw_output_list_check_files(outputs, settings->state, written, &read, err);
}

/* Without a state nothing remembers what an earlier run wrote: rows may well be there already. */
static void tell_appended(const struct tw_output_list *outputs) {
    for (size_t i = 0; i < outputs->count; i++) {
        struct stat info;
        char bytes[TW_NUMBER_TEXT];
        const struct tumble_output_uri *uri = &outputs->uris[i];
        if (uri->is_file && !uri->is_stdout && stat(uri->output.target, &info) == 0 && S_ISREG(info.st_mode) &&
            info.st_size > 0) {
            tw_say("note: %s already holds %s: rows are appended", uri->output.target,
                   tw_bytes_text((uint64_t)info.st_size, bytes));
        }
    }
}

/* ---- the run ---- */

/* A filter that nothing passes is most likely one that was meant otherwise. */
static void tell_filtered(const struct tumble_spec *spec, const struct tumble_replay_summary *summary) {
    const struct tumble_counters *c = &summary->counters;
    if (c->fates[TUMBLE_FATE_APPLIED] > 0 || c->fates[TUMBLE_FATE_FILTERED] == 0) {
        return;
    }
    const char *note = tw_spec_filter_note(spec);
    tw_say("note: no record passed the filter%s%s", note ? ": " : "; `tumble check` shows it as it is understood",
           note ? note : "");
}

/* What may help where a run ended with an error. */
static void tell_hints(const struct settings *settings, const struct tumble_spec *spec,
                       const struct tumble_replay_summary *summary, enum tumble_code code, const char *input) {
    char line[512];
    bool no_record = code == TUMBLE_ERECORD || code == TUMBLE_EUSAGE;
    if (no_record && summary->format == TUMBLE_CAPTURE_NDJSON && !settings->records_at &&
        summary->counters.fates[TUMBLE_FATE_APPLIED] == 0 && tw_input_hint(input, line, sizeof line)) {
        tw_say("%s", line);
    } else if (code == TUMBLE_ERECORD && !tumble_spec_diverts_bad_records(spec)) {
        tw_say("mend the record, or go on without it: --bad-records divert%s",
               tumble_spec_failures(spec).length > 0 ? "" : " --failures file:bad.ndjson");
    }
}

static enum tumble_code finish_watching(struct tw_watching *watching, const struct tumble_spec *spec,
                                        const struct tw_run_outcome *outcome, const char *error,
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
    facts->print_summary = tw_run_summary_print;
    facts->summary = outcome;
    return tw_watching_finish(watching, err);
}

static int report(const struct settings *settings, const struct tumble_spec *spec, struct tw_watching *watching,
                  const struct tumble_replay_summary *summary, enum tumble_code code, const struct tumble_error *err,
                  const char *input) {
    int status = TW_EXIT_OK;
    if (code != TUMBLE_OK) {
        status = tw_exit_with(err);
        tell_hints(settings, spec, summary, code, input);
    } else if (summary->complete_before) {
        if (!settings->quiet) {
            tw_say("the state in %s is complete: nothing was read and nothing written", settings->state);
        }
    } else if (summary->stopped) {
        char records[TW_NUMBER_TEXT];
        int number = tw_stop_signal() ? tw_stop_signal() : SIGINT;
        tw_say("stopped by %s after %s records; %s", number == SIGTERM ? "SIGTERM" : "SIGINT",
               tw_number_text(summary->counters.records, records),
               settings->state ? "the same command goes on from here"
                               : "nothing is kept: with --state DIR the same command would go on from here");
        status = 128 + number;
    } else if (!settings->quiet) {
        tw_run_summary_say(summary);
        tell_filtered(spec, summary);
    }
    if (settings->summary) {
        struct tumble_error failure = {.byte = -1, .record = -1};
        if (tw_run_summary_write(settings->summary, summary, code, &failure) != TUMBLE_OK) {
            int other = tw_exit_with(&failure);
            status = status == TW_EXIT_OK ? other : status;
        }
    }
    struct tw_run_outcome outcome = {summary, code};
    struct tumble_error failure = {.byte = -1, .record = -1};
    if (finish_watching(watching, spec, &outcome, err->text, &failure) != TUMBLE_OK) {
        int other = tw_exit_with(&failure);
        status = status == TW_EXIT_OK ? other : status;
    }
    return status;
}

/* What rows are said to come from. */
static const char *source_of(const struct settings *settings, const char *input) {
    const char *slash = strrchr(input, '/');
    return settings->source          ? settings->source
           : strcmp(input, "-") == 0 ? "stdin"
           : slash && slash[1]       ? slash + 1
                                     : input;
}

static int run(const struct settings *settings, const struct tumble_spec *spec, const char *const *inputs,
               int input_count) {
    static struct tw_output_list outputs; /* 150 kB: not for the stack */
    static struct screen screen;
    struct tumble_error err = {.byte = -1, .record = -1};
    screen.quiet = settings->quiet;
    struct tumble_bytes timestamp = tumble_spec_timestamp_field(spec);
    char timestamp_field[1025]; /* the engine's longest path and a NUL */
    if (timestamp.length >= sizeof timestamp_field) {
        return usage_error("the timestamp field's path is longer than 1024 bytes");
    }
    if (timestamp.length > 0) {
        memcpy(timestamp_field, timestamp.data, timestamp.length);
    }
    timestamp_field[timestamp.length] = '\0';
    if (tumble_spec_window_seconds(spec) <= 0) {
        return usage_error("how long is a window? Give --window SECONDS, or \"window\": {\"seconds\": 60} in the spec");
    }
    if (read_outputs(settings, spec, &outputs, &err) != TUMBLE_OK) {
        return tw_exit_with(&err);
    }
    if (check_files(settings, &outputs, inputs, input_count, &err) != TUMBLE_OK) {
        return tw_exit_with(&err);
    }
    if (settings->summary && tw_run_summary_probe(settings->summary, settings->state, &err) != TUMBLE_OK) {
        return tw_exit_with(&err);
    }
    /* So is a closed pipe, except where rows only go to standard output: `tumble replay … | head` ends as any filter.
     */
    bool only_stdout = outputs.count == 1 && outputs.uris[0].is_stdout && !outputs.has_failures && !settings->state;
    tw_broken_pipe_ends(only_stdout);
    struct tumble_replay_options options_of_run = {
        .spec = spec,
        .paths = inputs,
        .path_count = (size_t)input_count,
        .format = (enum tumble_capture_format)settings->input_format,
        .records_at = settings->records_at,
        .partition_key_field = settings->partition_key,
        .timestamp_field = timestamp.length ? timestamp_field : NULL,
        .timestamp_overrides = settings->timestamp != NULL,
        .timestamp_format = *tumble_spec_timestamp_format(spec),
        .window_seconds = tumble_spec_window_seconds(spec),
        .shards = (uint32_t)settings->shards,
        .threads = (uint32_t)settings->threads,
        .batch_size = settings->batch_size ? (uint32_t)settings->batch_size : 1000,
        .allowed_lateness_seconds = settings->allowed_lateness,
        .sort = settings->sort,
        .keep_aggregates = !settings->deaggregate,
        .source = settings->source,
        .state_directory = settings->state,
        .memory_limit_bytes = (size_t)settings->memory_limit,
        .outputs = outputs.list,
        .output_count = outputs.count,
        .failures = outputs.has_failures ? &outputs.failures.output : NULL,
        .output_timeout_ms = settings->output_timeout * 1000,
        .outbox_limit_bytes = (uint64_t)settings->outbox_limit,
        .interrupted = tw_stop_signal_came,
        .progress = on_progress,
        .progress_ctx = &screen,
        .say = on_line,
        .say_ctx = &screen,
    };
    if (!tw_read_durability(settings->durability, settings->state, &options_of_run.durability,
                            &options_of_run.sync_every)) {
        return usage_error("--durability is none, commit or every=N with N of at least 1");
    }
    if (!settings->quiet && !settings->state) {
        tell_appended(&outputs);
    }
    if (tw_watching_open(&screen.watching, &settings->watching, TUMBLE_WATCH_HELD, source_of(settings, inputs[0]),
                         settings->quiet, &err) != TUMBLE_OK) {
        tw_watching_close(&screen.watching);
        return tw_exit_with(&err);
    }
    options_of_run.watch = screen.watching.watch;
    tw_progress_bar_init(&screen.bar, !settings->quiet && !outputs.shares_line);
    tw_screen_table_announce(on_rows, &screen);
    tw_stop_signal_watch();
    struct tumble_replay_summary summary;
    memset(&summary, 0, sizeof summary);
    enum tumble_code code = tumble_replay_run(&options_of_run, &summary, &err);
    tw_progress_bar_erase(&screen.bar);
    tw_screen_table_announce(NULL, NULL);
    if (code == TUMBLE_OK && tw_screen_table_failure()->code != TUMBLE_OK) {
        err = *tw_screen_table_failure();
        code = err.code;
    }
    err.code = code;
    int status = report(settings, spec, &screen.watching, &summary, code, &err, inputs[0]);
    tw_watching_close(&screen.watching);
    return status;
}

/* ---- through a mapping ---- */

static void erase_bar(void *ctx) {
    struct screen *screen = ctx;
    tw_progress_bar_erase(&screen->bar);
}

/* What a mapping, or a function that is not ours, leaves no room for. */
static const char *misplaced_option(const struct settings *settings, bool has_groups) {
    bool foreign = settings->emulation.function != NULL;
    return settings->sort                                        ? "--sort"
           : settings->state                                     ? "--state"
           : settings->allowed_lateness                          ? "--allowed-lateness"
           : settings->threads > 1                               ? "--threads"
           : settings->durability                                ? "--durability"
           : foreign && settings->outputs.count                  ? "--output"
           : foreign && settings->failures                       ? "--failures"
           : foreign && settings->where                          ? "--where"
           : foreign && (settings->group_by.count || has_groups) ? "--group-by and --aggregate"
                                                                 : NULL;
}

static int run_emulated(const struct settings *settings, const struct tumble_spec *spec, const char *const *inputs,
                        int input_count) {
    static struct tw_output_list outputs;
    static struct screen screen;
    struct tumble_error err = {.byte = -1, .record = -1};
    screen.quiet = settings->quiet;
    struct tumble_bytes timestamp = tumble_spec_timestamp_field(spec);
    char timestamp_field[1025];
    snprintf(timestamp_field, sizeof timestamp_field, "%.*s", (int)timestamp.length, timestamp.data);
    bool foreign = settings->emulation.function != NULL;
    if ((!foreign && read_outputs(settings, spec, &outputs, &err) != TUMBLE_OK) ||
        check_files(settings, &outputs, inputs, input_count, &err) != TUMBLE_OK ||
        (settings->summary && tw_run_summary_probe(settings->summary, NULL, &err) != TUMBLE_OK)) {
        return tw_exit_with(&err);
    }
    if (tw_watching_open(&screen.watching, &settings->watching, TUMBLE_WATCH_MAPPING, source_of(settings, inputs[0]),
                         settings->quiet, &err) != TUMBLE_OK) {
        tw_watching_close(&screen.watching);
        return tw_exit_with(&err);
    }
    bool only_stdout = !foreign && outputs.count == 1 && outputs.uris[0].is_stdout && !outputs.has_failures &&
                       !settings->emulation.destination && !settings->emulation.mapping;
    tw_broken_pipe_ends(only_stdout);
    struct tw_emulation emulation = {.settings = &settings->emulation,
                                     .spec = spec,
                                     .window_seconds = settings->window_seconds,
                                     .has_no_window = settings->aws_window == 0 && settings->window_seconds == 0,
                                     .batch_size = settings->batch_size,
                                     .plugins = &settings->plugins,
                                     .source = {.paths = inputs,
                                                .path_count = (size_t)input_count,
                                                .format = (enum tumble_capture_format)settings->input_format,
                                                .records_at = settings->records_at,
                                                .partition_key_field = settings->partition_key,
                                                .timestamp_field = timestamp.length ? timestamp_field : NULL,
                                                .timestamp_overrides = settings->timestamp != NULL,
                                                .timestamp_format = *tumble_spec_timestamp_format(spec),
                                                .shards = (uint32_t)settings->shards},
                                     .source_name = settings->source,
                                     .outputs = outputs.list,
                                     .output_count = outputs.count,
                                     .failures = outputs.has_failures ? &outputs.failures.output : NULL,
                                     .output_timeout_ms =
                                         settings->output_timeout ? settings->output_timeout * 1000 : 1000,
                                     .memory_limit_bytes = (size_t)settings->memory_limit,
                                     .summary = settings->summary,
                                     .quiet = settings->quiet,
                                     .watching = &screen.watching,
                                     .progress = on_progress,
                                     .progress_ctx = &screen,
                                     .done = erase_bar,
                                     .interrupted = tw_stop_signal_came,
                                     .say = on_line,
                                     .say_ctx = &screen};
    tw_progress_bar_init(&screen.bar, !settings->quiet && !outputs.shares_line && !foreign);
    tw_screen_table_announce(on_rows, &screen);
    tw_stop_signal_watch();
    int status = tw_emulation_run(&emulation);
    tw_watching_close(&screen.watching);
    tw_screen_table_announce(NULL, NULL);
    if (status == TW_EXIT_OK && tw_screen_table_failure()->code != TUMBLE_OK) {
        return tw_exit_with(tw_screen_table_failure());
    }
    if (status == TW_EXIT_OK && emulation.result.stopped) {
        int number = tw_stop_signal() ? tw_stop_signal() : SIGINT;
        tw_say("stopped by %s; nothing is kept", number == SIGTERM ? "SIGTERM" : "SIGINT");
        status = 128 + number;
    }
    return status;
}

int tw_cmd_replay(int argc, char **argv) {
    static struct settings settings = {.threads = 1, .deaggregate = true};
    int input_count = 0;
    settings.aws_window = -1;
    settings.output_timeout = 300;
    settings.outbox_limit = 1 << 30;
    tw_watching_command(argc, argv);
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &input_count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    if (input_count == 0) {
        return usage_error("no input: name a file, or - for standard input");
    }
    settings.window_seconds = settings.aws_window > 0 ? settings.aws_window : settings.window_seconds;
    bool emulated = tw_emulation_is_asked_for(&settings.emulation);
    const char *misplaced = emulated ? misplaced_option(&settings, settings.aggregates.count > 0) : NULL;
    if (misplaced) {
        char text[160];
        snprintf(text, sizeof text, "no room for %s beside a mapping's options or --function", misplaced);
        return usage_error(text);
    }
    if (settings.emulation.function && !settings.spec) { /* a spec of nothing: where timestamps and windows are */
        settings.aggregates.items[settings.aggregates.count++] = "n=count()";
    }
    if (!settings.spec && settings.aggregates.count == 0) {
        return usage_error("nothing to aggregate: give --spec FILE, or --aggregate 'orders=count()' and the like");
    }
    for (int i = 0; i < input_count && settings.spec && strcmp(settings.spec, "-") == 0; i++) {
        if (strcmp(argv[1 + i], "-") == 0) {
            return usage_error("the spec and an input cannot both come from standard input");
        }
    }
    tw_complete_counts(&settings.aggregates);
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
    err.code = tumble_input_list_new((const char *const *)argv + 1, (size_t)input_count, alloc, &inputs, &err);
    if (err.code == TUMBLE_OK) {
        int count = (int)tumble_input_list_count(inputs);
        status = emulated ? run_emulated(&settings, spec, tumble_input_list_paths(inputs), count)
                          : run(&settings, spec, tumble_input_list_paths(inputs), count);
    } else {
        status = tw_exit_with(&err);
    }
    tumble_input_list_destroy(inputs);
    tumble_spec_destroy(spec);
    return status;
}
