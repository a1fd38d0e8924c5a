#include <inttypes.h>
#include <string.h>

#include <tumble/delivery.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/option_table.h"
#include "cli/plugin_list.h"
#include "cli/terminal_text.h"

enum { SHARDS_NAMED = 8 }; /* in a message */

enum { FORMAT_DEFAULT, FORMAT_NDJSON, FORMAT_CSV, FORMAT_TABLE };

struct settings {
    const char *state;
    const char *shard;
    const char *window;
    int format;
    bool outbox;
    bool outbox_rows;
};

static const char *const formats[] = {"", "ndjson", "csv", "table", NULL};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"state", 0, TW_OPTION_TEXT, AT(state), "DIR", "the state directory to look at", 0, 0, NULL},
    {"shard", 0, TW_OPTION_TEXT, AT(shard), "SHARD", "only this shard", 0, 0, NULL},
    {"window", 'w', TW_OPTION_TEXT, AT(window), "TIME", "print the rows of the window that holds this instant", 0, 0,
     NULL},
    {"format", 'f', TW_OPTION_CHOICE, AT(format), "FORMAT", "ndjson, csv or table", 0, 0, formats},
    {"outbox", 0, TW_OPTION_FLAG, AT(outbox), "[true|false]", "what waits for each output, and why", 0, 0, NULL},
    {"outbox-rows", 0, TW_OPTION_FLAG, AT(outbox_rows), "[true|false]", "print what waits to be delivered, as NDJSON",
     0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "inspect",
    .usage = "Usage: tumble inspect --state DIR [OPTION]...\n"
             "Shows what a state directory holds; changes nothing.\n"
             "\n"
             "  tumble inspect --state state\n"
             "  tumble inspect --state state --window 2024-01-15T10:30:00Z --format csv\n"
             "\n"
             "      --state DIR      the state directory\n"
             "      --shard SHARD    only this shard, as shardId-000000000000\n"
             "  -w, --window TIME    the rows of the window that holds this instant\n"
             "      --outbox         what waits for each output, and why\n"
             "      --outbox-rows    the rows that wait, as NDJSON\n"
             "  -f, --format FORMAT  ndjson, csv or table\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = NULL,
};

struct inspection {
    const struct settings *settings;
    struct tumble_engine *engine;
    const struct tumble_spec *spec;
    int64_t instant_ms; /* --window */
    size_t windows;     /* that fit the options */
    void *rows;         /* output of --window */
    const struct tumble_output_api *api;
    struct tumble_bytes shards[SHARDS_NAMED]; /* that have open windows; live as long as the engine */
    size_t shard_count;
    bool more_shards, shard_found;
    uint64_t count, bytes; /* of an outbox */
    bool printing;         /* its rows */
    struct tumble_error err;
};

static void print_instant(int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(ms, text);
    fputs(text, stdout);
}

static bool wanted(const struct inspection *self, const struct tumble_window_info *info) {
    const char *shard = self->settings->shard;
    return !shard || tumble_bytes_equal(info->shard_id, tumble_bytes_of(shard));
}

/* ---- the list of windows ---- */

static void print_window_json(const struct tumble_window_info *info) {
    fputs("{\"shard_id\":", stdout);
    tw_print_json_string(stdout, info->shard_id);
    fputs(",\"window_start\":\"", stdout);
    print_instant(info->start_ms);
    fputs("\",\"window_end\":\"", stdout);
    print_instant(info->end_ms);
    printf("\",\"groups\":%" PRIu64 ",\"records\":%" PRIu64 ",\"first_sequence\":\"", info->groups, info->records);
    tw_print_plain(stdout, info->first_sequence);
    fputs("\",\"last_sequence\":\"", stdout);
    tw_print_plain(stdout, info->last_sequence);
    printf("\",\"stored_bytes\":%" PRIu64 "}\n", info->stored_bytes);
}

static void print_window_csv(const struct tumble_window_info *info) {
    tw_print_plain(stdout, info->shard_id); /* Kinesis allows no comma or quote in a shard's name */
    putchar(',');
    print_instant(info->start_ms);
    putchar(',');
    print_instant(info->end_ms);
    printf(",%" PRIu64 ",%" PRIu64 ",%.*s,%.*s,%" PRIu64 "\r\n", info->groups, info->records,
           (int)info->first_sequence.length, info->first_sequence.length ? info->first_sequence.data : "",
           (int)info->last_sequence.length, info->last_sequence.length ? info->last_sequence.data : "",
           info->stored_bytes);
}

static void print_window_line(const struct tumble_window_info *info) {
    fputs("  ", stdout);
    print_instant(info->start_ms);
    fputs("  ", stdout);
    print_instant(info->end_ms);
    printf("  %8" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "  ", info->groups, info->records, info->stored_bytes);
    tw_print_plain(stdout, info->shard_id);
    fputs("  ", stdout);
    tw_print_plain(stdout, info->first_sequence);
    fputs(" to ", stdout);
    tw_print_plain(stdout, info->last_sequence);
    putchar('\n');
}

static enum tumble_code list_window(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    struct inspection *self = ctx;
    struct tumble_window_info info;
    enum tumble_code code = tumble_shard_window_info(shard, window_start_ms, &info, &self->err);
    if (code != TUMBLE_OK || !wanted(self, &info)) {
        return code;
    }
    int format = self->settings->format;
    if (self->windows++ == 0 && format == FORMAT_CSV) {
        fputs("shard_id,window_start,window_end,groups,records,first_sequence,last_sequence,stored_bytes\r\n", stdout);
    } else if (self->windows == 1 && format != FORMAT_NDJSON) {
        printf("\nopen windows\n  %-20s  %-20s  %8s  %10s  %10s  shard, sequence numbers\n", "start", "end", "groups",
               "records", "bytes");
    }
    if (format == FORMAT_CSV) {
        print_window_csv(&info);
    } else if (format == FORMAT_NDJSON) {
        print_window_json(&info);
    } else {
        print_window_line(&info);
    }
    return TUMBLE_OK;
}

/* ---- totals ---- */

/* Whether a row or failure is of the shard asked for. In JSON that tumble wrote a key stands nowhere but as a key: in a
 * string its quotes are escaped. */
static bool row_wanted(const struct inspection *self, struct tumble_bytes json) {
    char wanted_text[192];
    if (!self->settings->shard) {
        return true;
    }
    int length = snprintf(wanted_text, sizeof wanted_text, "\"shard_id\":\"%s\"", self->settings->shard);
    size_t n = length > 0 ? (size_t)length : 0;
    for (size_t i = 0; n < sizeof wanted_text && i + n <= json.length; i++) {
        if (memcmp(json.data + i, wanted_text, n) == 0) {
            return true;
        }
    }
    return false;
}

static enum tumble_code outbox_row(void *ctx, const struct tumble_row *row) {
    struct inspection *self = ctx;
    if (!row_wanted(self, row->json)) {
        return TUMBLE_OK;
    }
    self->count++;
    self->bytes += row->json.length;
    if (self->printing) {
        fwrite(row->json.data, 1, row->json.length, stdout);
        putchar('\n');
    }
    return TUMBLE_OK;
}

static enum tumble_code walk_outbox(struct inspection *self, enum tumble_row_kind kind) {
    self->count = 0;
    self->bytes = 0;
    return tumble_engine_outbox(self->engine, kind, outbox_row, self, &self->err);
}

/* A note of the runner's: lines of text, shown one under the other. */
static void print_note(struct inspection *self, const char *label, const char *name) {
    struct tumble_bytes note = tumble_engine_note(self->engine, name);
    const char *end = note.data ? note.data + note.length : NULL;
    for (const char *at = note.data; at && at < end; label = "") {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct tumble_bytes line = {at, (size_t)((newline ? newline : end) - at)};
        printf("%-10s ", label);
        tw_print_plain(stdout, line);
        putchar('\n');
        at = newline ? newline + 1 : end;
    }
}

static enum tumble_code print_totals(struct inspection *self) {
    static const char *const fates[TUMBLE_FATE_COUNT] = {"applied", "late", "duplicate", "filtered", "bad"};
    struct tumble_counters c;
    char text[TW_NUMBER_TEXT];
    tumble_engine_counters(self->engine, &c);
    printf("%-10s ", "state");
    tw_print_plain(stdout, tumble_bytes_of(self->settings->state));
    printf("\n%-10s ", "spec");
    tw_print_plain(stdout, tumble_spec_canonical(self->spec));
    printf("\n%-10s %016" PRIx64 "\n", "digest", tumble_spec_digest(self->spec));
    print_note(self, "run", "replay");
    print_note(self, "progress", "progress");
    print_note(self, "position", "capture");
    printf("%-10s %s:", "records", tw_number_text(c.records, text));
    for (size_t i = 0; i < TUMBLE_FATE_COUNT; i++) {
        printf("%s %s %s", i ? "," : "", tw_number_text(c.fates[i], text), fates[i]);
    }
    printf("\n%-10s %s open,", "windows", tw_number_text(c.windows_opened - c.windows_closed, text));
    printf(" %s closed\n", tw_number_text(c.windows_closed, text));
    printf("%-10s %s in open windows\n", "groups", tw_number_text(c.groups_open, text));
    enum tumble_code code = walk_outbox(self, TUMBLE_ROW_WINDOW);
    if (code != TUMBLE_OK) {
        return code;
    }
    printf("%-10s %s rows", "outbox", tw_number_text(self->count, text));
    printf(" (%s)", tw_bytes_text(self->bytes, text));
    code = walk_outbox(self, TUMBLE_ROW_FAILURE);
    printf(" and %s failures", tw_number_text(self->count, text));
    printf(" (%s) wait to be delivered\n", tw_bytes_text(self->bytes, text));
    return code;
}

/* ---- what waits for each output ---- */

static void print_oldest(const struct tumble_stored_output *output, const char *none, const char *quote) {
    if (output->oldest_window_start_ms < 0) {
        fputs(none, stdout);
        return;
    }
    fputs(quote, stdout);
    print_instant(output->oldest_window_start_ms);
    fputs(quote, stdout);
}

static enum tumble_code list_output(void *ctx, const struct tumble_stored_output *output) {
    struct inspection *self = ctx;
    bool rows = output->kind == TUMBLE_ROW_WINDOW;
    if (self->settings->format == FORMAT_NDJSON) {
        fputs("{\"output\":", stdout);
        tw_print_json_string(stdout, output->name);
        printf(",\"kind\":\"%s\",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"oldest_window_start\":",
               rows ? "rows" : "failures", output->rows, output->bytes);
        print_oldest(output, "null", "\"");
        printf(",\"attempts\":%" PRIu32 ",\"last_error\":", output->attempts);
        if (output->last_error.length > 0) {
            tw_print_json_string(stdout, output->last_error);
        } else {
            fputs("null", stdout);
        }
        fputs("}\n", stdout);
        return TUMBLE_OK;
    }
    char number[TW_NUMBER_TEXT], bytes[TW_NUMBER_TEXT];
    tw_print_plain(stdout, output->name);
    printf("\n    %s %s wait%s (%s)", tw_number_text(output->rows, number), rows ? "rows" : "failures",
           output->rows == 1 ? "s" : "", tw_bytes_text(output->bytes, bytes));
    if (output->oldest_window_start_ms >= 0) {
        fputs(", the oldest of the window at ", stdout);
        print_oldest(output, "", "");
    }
    putchar('\n');
    if (output->attempts > 0) {
        printf("    %" PRIu32 " attempts failed: ", output->attempts);
        tw_print_plain(stdout, output->last_error);
        putchar('\n');
    }
    return TUMBLE_OK;
}

static enum tumble_code list_outputs(struct inspection *self) {
    return tumble_engine_stored_outputs(self->engine, list_output, self, &self->err);
}

/* ---- rows of a window ---- */

static enum tumble_code print_row(void *ctx, const struct tumble_row *row) {
    struct inspection *self = ctx;
    struct tumble_delivery delivery;
    return self->api->write(self->rows, row, 1, &delivery, &self->err);
}

static enum tumble_code rows_of_window(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    struct inspection *self = ctx;
    struct tumble_window_info info;
    enum tumble_code code = tumble_shard_window_info(shard, window_start_ms, &info, &self->err);
    bool holds = self->instant_ms >= window_start_ms && self->instant_ms < info.end_ms;
    if (code != TUMBLE_OK || !holds || !wanted(self, &info)) {
        return code;
    }
    self->windows++;
    return tumble_shard_rows(shard, window_start_ms, print_row, self, &self->err);
}

static enum tumble_code print_rows(struct inspection *self) {
    static struct tumble_output_uri uri;
    struct tumble_output_registry *registry;
    const char *format = self->settings->format ? formats[self->settings->format] : NULL;
    enum tumble_code code = tw_outputs_load(NULL, &registry, &self->err);
    if (code == TUMBLE_OK) {
        code = tumble_output_uri_parse(registry, &uri, tumble_bytes_of("-"), TUMBLE_ROW_WINDOW, format, &self->err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_output_open how = {.target = uri.output.target,
                                     .options = uri.output.options,
                                     .option_count = uri.output.option_count,
                                     .kind = TUMBLE_ROW_WINDOW,
                                     .spec = self->spec};
    self->api = uri.output.api;
    code = self->api->open(&how, &self->rows, &self->err);
    if (code == TUMBLE_OK) {
        code = tumble_engine_windows(self->engine, rows_of_window, self);
    }
    if (code == TUMBLE_OK) {
        code = self->api->flush(self->rows, 1, &self->err);
    }
    self->api->close(self->rows);
    return code;
}

/* ---- the shard asked for ---- */

static enum tumble_code note_shard(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    (void)window_start_ms;
    struct inspection *self = ctx;
    struct tumble_bytes id = tumble_shard_id(shard);
    self->shard_found = self->shard_found || tumble_bytes_equal(id, tumble_bytes_of(self->settings->shard));
    for (size_t i = 0; i < self->shard_count; i++) {
        if (tumble_bytes_equal(self->shards[i], id)) {
            return TUMBLE_OK;
        }
    }
    if (self->shard_count < SHARDS_NAMED) {
        self->shards[self->shard_count++] = id;
    } else {
        self->more_shards = true;
    }
    return TUMBLE_OK;
}

/* A shard without an open window is most likely a misspelt one, where other shards have some. */
static enum tumble_code check_shard(struct inspection *self) {
    char names[TUMBLE_ERROR_TEXT] = "";
    enum tumble_code code = tumble_engine_windows(self->engine, note_shard, self);
    if (code != TUMBLE_OK || self->shard_found || self->shard_count == 0) {
        return code;
    }
    for (size_t i = 0, used = 0; i < self->shard_count && used < sizeof names; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s%.*s", i ? ", " : "", (int)self->shards[i].length,
                         self->shards[i].data);
        used += n > 0 ? (size_t)n : 0;
    }
    snprintf(self->err.text, sizeof self->err.text,
             "inspect: no open window is of shard \"%.60s\": they are of %.150s%s", self->settings->shard, names,
             self->more_shards ? " and others" : "");
    return TUMBLE_EUSAGE;
}

/* ---- the command ---- */

static int usage_error(const char *text) {
    tw_say("inspect: %s", text);
    tw_say("see tumble inspect -h");
    return TW_EXIT_USAGE;
}

static enum tumble_code inspect(struct inspection *self) {
    enum tumble_code code = TUMBLE_OK;
    if (self->settings->shard && !self->settings->outbox_rows) {
        code = check_shard(self);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (self->settings->window) {
        return print_rows(self);
    }
    if (self->settings->outbox) {
        return list_outputs(self);
    }
    if (self->settings->outbox_rows) {
        self->printing = true;
        code = walk_outbox(self, TUMBLE_ROW_WINDOW);
        return code == TUMBLE_OK ? walk_outbox(self, TUMBLE_ROW_FAILURE) : code;
    }
    if (self->settings->format == FORMAT_DEFAULT || self->settings->format == FORMAT_TABLE) {
        code = print_totals(self);
    }
    return code == TUMBLE_OK ? tumble_engine_windows(self->engine, list_window, self) : code;
}

int tw_cmd_inspect(int argc, char **argv) {
    static struct settings settings;
    static char *json; /* from the C library's memory; lives until exit */
    int count = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    if (!settings.state) {
        return usage_error("which state? Give --state DIR");
    }
    if (settings.outbox + settings.outbox_rows + (settings.window != NULL) > 1) {
        return usage_error("--outbox, --outbox-rows and --window are different questions: ask one at a time");
    }
    if (settings.outbox && settings.format == FORMAT_CSV) {
        return usage_error("--outbox prints a table or NDJSON");
    }
    if (settings.outbox_rows && (settings.format == FORMAT_CSV || settings.format == FORMAT_TABLE)) {
        return usage_error("--outbox-rows prints NDJSON only: rows and failures have other columns");
    }
    struct inspection self = {.settings = &settings, .err = {.byte = -1, .record = -1}};
    struct tumble_value instant = {.type = TUMBLE_TYPE_STRING};
    const struct tumble_timestamp_format any = {.kind = TUMBLE_TIMESTAMP_AUTO};
    if (settings.window) {
        instant.text = settings.window;
        instant.length = (uint32_t)strlen(settings.window);
        if (tumble_timestamp_ms(&any, &instant, &self.instant_ms, &self.err) != TUMBLE_OK) {
            return usage_error("--window is an instant, as 2024-01-15T10:30:00Z or 1705314600");
        }
    }
    struct tumble_alloc alloc = {0};
    struct tumble_spec *spec = NULL;
    enum tumble_code code = tumble_engine_peek_spec(settings.state, alloc, &json, &self.err);
    if (code == TUMBLE_OK) {
        code = tumble_spec_parse(tumble_bytes_of(json), NULL, alloc, &spec, &self.err);
    }
    if (code == TUMBLE_OK) {
        struct tumble_engine_options how = {.spec = spec,
                                            .state_directory = settings.state,
                                            .read_only = 1,
                                            .verify = 1,
                                            .durability = TUMBLE_DURABILITY_NONE};
        code = tumble_engine_open(&how, &self.engine, &self.err);
    }
    if (code == TUMBLE_OK) {
        self.spec = spec;
        code = inspect(&self);
    }
    if (code == TUMBLE_OK && settings.window && self.windows == 0) {
        tw_say("inspect: no open window%s holds %s; without --window the open ones are listed",
               settings.shard ? " of that shard" : "", settings.window);
        code = TUMBLE_EUSAGE;
    } else if (code != TUMBLE_OK) {
        self.err.code = code;
        tw_exit_with(&self.err);
    }
    tumble_engine_destroy(self.engine);
    tumble_spec_destroy(spec);
    return (int)tw_exit_of(code);
}
