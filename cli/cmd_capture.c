#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tumble/timestamp.h>
#include <tumble/version.h>

#include "adapters/inputs/kinesis/capture_file.h"
#include "adapters/inputs/kinesis/kinesis_merge.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/option_table.h"
#include "cli/progress_bar.h"
#include "cli/run_summary.h"
#include "cli/stop_signal.h"
#include "cli/terminal_text.h"

enum { TROUBLE_SAID_MS = 5000, DRAW_RECORDS = 1024, WAIT_SLICE_MS = 200 };

struct settings {
    const char *stream;
    const char *region;
    const char *profile;
    const char *endpoint_url;
    int starting_position;
    const char *starting_timestamp;
    const char *until;
    bool follow;
    struct tw_list shards;
    const char *output;
    int compress;
    bool force;
    const char *summary;
    int64_t limit;
    int64_t retry_for;
    bool quiet;
};

#define AT(member) offsetof(struct settings, member)

static const char *const positions[] = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", NULL};
static const char *const compressions[] = {"", "none", "gzip", "zstd", NULL}; /* enum tumble_capture_compression */

static const struct tw_option options[] = {
    {"stream", 0, TW_OPTION_TEXT, AT(stream), "NAME|ARN", "the stream to read", 0, 0, NULL},
    {"region", 0, TW_OPTION_TEXT, AT(region), "REGION", "where it is, if its ARN does not say", 0, 0, NULL},
    {"profile", 0, TW_OPTION_TEXT, AT(profile), "NAME", "of the shared AWS configuration", 0, 0, NULL},
    {"endpoint-url", 0, TW_OPTION_TEXT, AT(endpoint_url), "URL", "of Kinesis, instead of AWS's", 0, 0, NULL},
    {"starting-position", 0, TW_OPTION_CHOICE, AT(starting_position), "POSITION",
     "TRIM_HORIZON, LATEST or AT_TIMESTAMP", 0, 0, positions},
    {"starting-position-timestamp", 0, TW_OPTION_TEXT, AT(starting_timestamp), "TIME", "of AT_TIMESTAMP", 0, 0, NULL},
    {"until", 0, TW_OPTION_TEXT, AT(until), "latest|now|TIME", "where to end", 0, 0, NULL},
    {"follow", 'f', TW_OPTION_FLAG, AT(follow), "[true|false]", "go on until SIGINT or SIGTERM", 0, 0, NULL},
    {"shard", 0, TW_OPTION_LIST, AT(shards), "ID", "only this shard; repeatable", 0, 0, NULL},
    {"output", 'o', TW_OPTION_TEXT, AT(output), "FILE", "where to write; - is standard output", 0, 0, NULL},
    {"compress", 0, TW_OPTION_CHOICE, AT(compress), "none|gzip|zstd", "by the file's name when it is not given", 0, 0,
     compressions},
    {"force", 0, TW_OPTION_FLAG, AT(force), "[true|false]", "replace a file that is there", 0, 0, NULL},
    {"limit", 0, TW_OPTION_NUMBER, AT(limit), "N", "records of one GetRecords", 1, 10000, NULL},
    {"summary", 0, TW_OPTION_TEXT, AT(summary), "FILE", "write the figures as JSON (- : standard error)", 0, 0, NULL},
    {"retry-for", 0, TW_OPTION_DURATION, AT(retry_for), "DURATION", "how long a shard may fail (300)", 1, 315360000,
     NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no notes, no closing line", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "capture",
    .usage = "Usage: tumble capture --stream NAME|ARN [OPTION]...\n"
             "Writes what a Kinesis stream holds as a file that `tumble replay` reads.\n"
             "\n"
             "  tumble capture --stream clicks -o clicks.ndjson.zst\n"
             "  tumble capture --stream clicks --starting-position LATEST -f | head -n 100\n"
             "\n"
             "Each record is a Lambda event of its own, a line; shards are merged by arrival.\n"
             "\n"
             "      --stream NAME|ARN        the Kinesis stream\n"
             "      --starting-position P    TRIM_HORIZON, LATEST or AT_TIMESTAMP, with\n"
             "      --starting-position-timestamp TIME, ISO 8601 or epoch seconds\n"
             "      --until latest|now|TIME  the tip of each shard, or what arrived before\n"
             "  -f, --follow                 go on until SIGINT or SIGTERM, new shards too\n"
             "      --shard ID               only this shard; repeatable\n"
             "  -o, --output FILE            - is standard output, the default\n"
             "      --compress KIND          none, gzip or zstd; else by the file's name\n"
             "      --force                  replace a file that is there\n"
             "      --region REGION          AWS region, where the ARN does not say it\n"
             "      --summary FILE           write the figures as JSON\n"
             "      --help                   every option\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = NULL,
};

/* ---- the run ---- */

struct capture {
    const struct settings *settings;
    struct tumble_kinesis_stream *stream;
    struct tumble_kinesis_merge *merge;
    struct tumble_capture_file *file;
    struct tw_progress_bar bar;
    struct tumble_kinesis_merge_facts facts;
    struct tumble_kinesis_facts of_stream;
    uint64_t file_bytes;
    int64_t began_ms;
    int64_t took_ms;
    bool trouble_said;
    uint64_t drawn;
    enum tumble_code code; /* that it ended with */
};

static bool read_time(const char *text, int64_t *ms) {
    static const struct tumble_timestamp_format any = {.kind = TUMBLE_TIMESTAMP_AUTO};
    struct tumble_value value = {.text = text, .length = (uint32_t)strlen(text), .type = TUMBLE_TYPE_STRING};
    return *text && tumble_timestamp_ms(&any, &value, ms, NULL) == TUMBLE_OK;
}

static int usage(const char *text, const char *what) {
    char told[TUMBLE_ERROR_TEXT];
    snprintf(told, sizeof told, text, what);
    tw_say("capture: %s", told);
    tw_say("see tumble capture -h");
    return TW_EXIT_USAGE;
}

/* What was said of where to begin and where to end. */
static int read_range(const struct settings *settings, struct tumble_kinesis_merge_options *range) {
    static const enum tumble_kinesis_start starts[] = {TUMBLE_KINESIS_TRIM_HORIZON, TUMBLE_KINESIS_LATEST,
                                                       TUMBLE_KINESIS_AT_TIMESTAMP};
    const char *until = settings->until ? settings->until : "latest";
    range->start = starts[settings->starting_position];
    if ((range->start == TUMBLE_KINESIS_AT_TIMESTAMP) != (settings->starting_timestamp != NULL)) {
        return usage("%s", "--starting-position AT_TIMESTAMP and --starting-position-timestamp go together");
    }
    if (settings->starting_timestamp && !read_time(settings->starting_timestamp, &range->timestamp_ms)) {
        return usage("--starting-position-timestamp \"%s\": a time is ISO 8601 (2026-11-23T08:00:00Z) or epoch seconds",
                     settings->starting_timestamp);
    }
    if (settings->follow && settings->until) {
        return usage("%s", "--follow has no end: leave --until out");
    }
    range->until = settings->follow ? TUMBLE_KINESIS_UNTIL_STOPPED : TUMBLE_KINESIS_UNTIL_TIP;
    if (strcmp(until, "now") == 0) {
        range->until = TUMBLE_KINESIS_UNTIL_TIME;
        range->until_ms = -1; /* once the clock is there */
    } else if (strcmp(until, "latest") != 0) {
        range->until = TUMBLE_KINESIS_UNTIL_TIME;
        if (!read_time(until, &range->until_ms)) {
            return usage("--until \"%s\": latest, now, or a time as ISO 8601 (2026-11-23T08:00:00Z) or epoch seconds",
                         until);
        }
    }
    if (range->start == TUMBLE_KINESIS_LATEST && (range->until == TUMBLE_KINESIS_UNTIL_TIP || range->until_ms < 0)) {
        return usage("%s", "from LATEST to the tip there is nothing: --follow, or --until a time ahead");
    }
    if (range->start == TUMBLE_KINESIS_AT_TIMESTAMP && range->until == TUMBLE_KINESIS_UNTIL_TIME &&
        range->until_ms >= 0 && range->until_ms <= range->timestamp_ms) {
        return usage("%s", "--until lies before --starting-position-timestamp: nothing arrived between");
    }
    return TW_EXIT_OK;
}

static int open_all(struct capture *self, struct tumble_kinesis_merge_options *range, struct tumble_error *err) {
    const struct settings *settings = self->settings;
    struct tumble_kinesis_options source = {
        .stream = settings->stream,
        .region = settings->region,
        .profile = settings->profile,
        .endpoint_url = settings->endpoint_url,
        .interrupted = tw_stop_signal_came,
    };
    if (tumble_kinesis_open(&source, &self->stream, err) != TUMBLE_OK) {
        return tw_exit_with(err);
    }
    tumble_kinesis_facts(self->stream, &self->of_stream);
    range->stream = self->stream;
    range->shard_ids = settings->shards.items;
    range->shard_id_count = settings->shards.count;
    range->limit = (int)settings->limit;
    range->patience_ms = settings->retry_for * 1000;
    if (range->until == TUMBLE_KINESIS_UNTIL_TIME && range->until_ms < 0) {
        range->until_ms = tumble_kinesis_now_ms(self->stream);
    }
    struct tumble_capture_file_options target = {
        .path = settings->output,
        .compression = (enum tumble_capture_compression)settings->compress,
        .replace = settings->force,
        .stream_arn = self->of_stream.arn,
        .region = self->of_stream.region,
    };
    if (tumble_kinesis_merge_open(range, &self->merge, err) != TUMBLE_OK ||
        tumble_capture_file_open(&target, &self->file, err) != TUMBLE_OK) {
        return tw_exit_with(err);
    }
    return TW_EXIT_OK;
}

static void draw(struct capture *self) {
    tw_progress_bar_draw(&self->bar, (int64_t)self->facts.bytes, -1, self->facts.records);
}

/* What a person who watches has to know. */
static void tell(struct capture *self) {
    const struct tumble_kinesis_merge_facts *facts = &self->facts;
    if (facts->gap && !self->settings->quiet) {
        tw_progress_bar_erase(&self->bar);
        tw_say("%s: records behind %.*s aged out before they were read", facts->gap_shard,
               (int)facts->gap->after.length, facts->gap->after.data);
    }
    if (facts->trouble && facts->failing_for_ms > TROUBLE_SAID_MS && !self->trouble_said && !self->settings->quiet) {
        tw_progress_bar_erase(&self->bar);
        tw_say("%s: %s; trying on", facts->trouble_shard, facts->trouble);
        self->trouble_said = true;
    }
    self->trouble_said = self->trouble_said && facts->trouble;
}

/* Until then, or a signal. */
static void wait_until(const struct capture *self, int64_t until_ms) {
    int64_t left = until_ms - tumble_kinesis_steady_ms(self->stream);
    while (left > 0 && !tw_stop_signal()) {
        poll(NULL, 0, (int)(left < WAIT_SLICE_MS ? left : WAIT_SLICE_MS));
        left = until_ms - tumble_kinesis_steady_ms(self->stream);
    }
}

static enum tumble_code copy_records(struct capture *self, struct tumble_error *err) {
    struct tumble_kinesis_merged merged;
    while (!tw_stop_signal()) {
        enum tumble_code code = tumble_kinesis_merge_next(self->merge, &merged, err);
        if (code != TUMBLE_OK) {
            return code == TUMBLE_EINTERRUPTED && tw_stop_signal() ? TUMBLE_OK : code;
        }
        if (merged.step == TUMBLE_KINESIS_STEP_RECORD) {
            code = tumble_capture_file_write(self->file, merged.shard_id, merged.record, err);
            if (code != TUMBLE_OK) {
                return code;
            }
            if (++self->drawn % DRAW_RECORDS != 0) {
                continue;
            }
        }
        tumble_kinesis_merge_facts(self->merge, &self->facts);
        tell(self);
        draw(self);
        if (merged.step == TUMBLE_KINESIS_STEP_END) {
            return TUMBLE_OK;
        }
        if (merged.step == TUMBLE_KINESIS_STEP_WAIT) {
            code = tumble_capture_file_flush(self->file, err);
            if (code != TUMBLE_OK) {
                return code;
            }
            wait_until(self, merged.wait_until_steady_ms);
        }
    }
    return TUMBLE_OK;
}

static void print_summary(FILE *to, const void *what) {
    const struct capture *self = what;
    const struct tumble_kinesis_merge_facts *facts = &self->facts;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n  \"stream\": ", TUMBLE_VERSION_STRING,
            tumble_code_name(self->code));
    tw_print_json_string(to, tumble_bytes_of(self->of_stream.arn));
    fprintf(to, ",\n  \"stopped\": %s,\n", tw_stop_signal() ? "true" : "false");
    tw_summary_count(to, "shards", facts->shards);
    tw_summary_count(to, "shards_done", facts->shards_done);
    tw_summary_instant(to, "first_arrival", facts->first_arrival_ms);
    tw_summary_instant(to, "last_arrival", facts->last_arrival_ms);
    tw_summary_count(to, "records_read", facts->records);
    tw_summary_count(to, "bytes_read", facts->bytes);
    tw_summary_count(to, "bytes_written", self->file_bytes);
    tw_summary_count(to, "get_records", facts->reads.get_records);
    tw_summary_count(to, "get_shard_iterator", facts->reads.get_iterators);
    tw_summary_reads(to, facts->reads.throttles, facts->reads.failures, facts->reads.renewals, facts->reads.gaps);
    tw_summary_speed(to, facts->records, facts->bytes, (double)self->took_ms / 1000);
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", tw_summary_peak_rss_bytes());
}

static int end_status(const struct capture *self) {
    return tw_stop_signal() && !self->settings->follow ? 128 + tw_stop_signal() : TW_EXIT_OK;
}

static void say_figures(const struct capture *self) {
    char records[TW_NUMBER_TEXT], bytes[TW_NUMBER_TEXT];
    const struct settings *settings = self->settings;
    if (!settings->quiet) {
        tw_say("%s records of %u shard%s, %s, %.2f s%s", tw_number_text(self->facts.records, records),
               (unsigned)self->facts.shards, self->facts.shards == 1 ? "" : "s",
               tw_bytes_text(self->facts.bytes, bytes), (double)self->took_ms / 1000,
               tw_stop_signal() && !settings->follow ? "; stopped before the end" : "");
    }
}

/* What it ends with: first what failed first. */
static int report(struct capture *self, enum tumble_code code, const struct tumble_error *err) {
    struct tumble_error failure = {.byte = -1, .record = -1};
    int status = code == TUMBLE_OK ? end_status(self) : tw_exit_with(err);
    self->code = code;
    if (code == TUMBLE_OK) {
        say_figures(self);
    }
    if (self->settings->summary &&
        tw_run_summary_write_by(self->settings->summary, print_summary, self, &failure) != TUMBLE_OK) {
        int other = tw_exit_with(&failure);
        status = status == TW_EXIT_OK ? other : status;
    }
    return status;
}

static int run(struct capture *self, struct tumble_kinesis_merge_options *range, struct tumble_error *err) {
    int status = open_all(self, range, err);
    if (status != TW_EXIT_OK) {
        return tw_stop_signal() ? 128 + tw_stop_signal() : status;
    }
    self->began_ms = tumble_kinesis_steady_ms(self->stream);
    enum tumble_code code = copy_records(self, err);
    tumble_kinesis_merge_facts(self->merge, &self->facts);
    tw_progress_bar_erase(&self->bar);
    /* What was read before the input failed is not lost: the file is whole, and ends there. */
    struct tumble_error other = {.byte = -1, .record = -1};
    bool is_whole = code == TUMBLE_OK && (!tw_stop_signal() || self->settings->follow);
    bool keep = code != TUMBLE_EOUTPUT && (self->facts.records > 0 || is_whole); /* nothing replaces no earlier file */
    enum tumble_code finished = keep ? tumble_capture_file_finish(self->file, &other) : TUMBLE_OK;
    self->took_ms = tumble_kinesis_steady_ms(self->stream) - self->began_ms;
    self->file_bytes = tumble_capture_file_bytes(self->file);
    return code == TUMBLE_OK ? report(self, finished, &other) : report(self, code, err);
}

int tw_cmd_capture(int argc, char **argv) {
    struct settings settings = {.output = "-", .retry_for = 300};
    struct tumble_kinesis_merge_options range = {0};
    struct tumble_error err;
    int operands;
    switch (tw_options_parse(&table, argc, argv, &settings, &operands)) {
    case TW_PARSED_HELP: return TW_EXIT_OK;
    case TW_PARSED_ERROR: return TW_EXIT_USAGE;
    case TW_PARSED_RUN: break;
    }
    if (!settings.stream) {
        return usage("%s", "which stream? Give --stream NAME or its ARN");
    }
    int status = read_range(&settings, &range);
    if (status != TW_EXIT_OK) {
        return status;
    }
    if (settings.summary && tw_run_summary_probe(settings.summary, NULL, &err) != TUMBLE_OK) {
        return tw_exit_with(&err);
    }
    if (strcmp(settings.output, "-") == 0 && settings.compress > TUMBLE_CAPTURE_PLAIN && isatty(STDOUT_FILENO)) {
        return usage("%s", "compressed bytes are nothing for a terminal: --output FILE");
    }
    struct capture self = {.settings = &settings};
    tw_progress_bar_init(&self.bar, !settings.quiet && !(strcmp(settings.output, "-") == 0 && isatty(STDOUT_FILENO)));
    tw_stop_signal_watch();
    tw_broken_pipe_ends(strcmp(settings.output, "-") == 0);
    status = run(&self, &range, &err);
    tw_progress_bar_erase(&self.bar);
    tumble_capture_file_close(self.file);
    tumble_kinesis_merge_close(self.merge);
    tumble_kinesis_close(self.stream);
    return status;
}
