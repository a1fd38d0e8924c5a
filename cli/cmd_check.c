#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/check_sizes.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/option_table.h"
#include "cli/plugin_list.h"
#include "cli/spec_file.h"
#include "cli/terminal_text.h"

/* What a group takes beside its accumulators and its key: the entry's header, and its slot in a hash table that is
 * between half and almost full. */
enum { ENTRY_BYTES = 8, SLOT_BYTES_LOW = 12, SLOT_BYTES_HIGH = 24, LAMBDA_WINDOW_SECONDS = 900 };

struct settings {
    struct tw_list plugins;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

static const struct tw_option options[] = {
    {"format", 'f', TW_OPTION_CHOICE, offsetof(struct settings, format), "text|json",
     "words, or one JSON object (text)", 0, 0, formats},
    TW_PLUGIN_OPTION(offsetof(struct settings, plugins)),
};

static const struct tw_option_table table = {
    .command = "check",
    .usage = "Usage: tumble check [OPTION]... SPEC\n"
             "Validates a spec and explains it: window, filter, columns, bytes a group.\n"
             "\n"
             "  tumble check orders.json\n"
             "\n"
             "SPEC is a file; - is standard input. Ends with 0 or, for a spec not valid, 2.\n"
             "\n"
             "  -f, --format FORMAT  text or json\n"
             "      --plugin FILE    load an output from a shared object; repeatable\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = "SPEC",
};

static const char *timestamp_kind(const struct tumble_timestamp_format *format) {
    switch (format->kind) {
    case TUMBLE_TIMESTAMP_AUTO: return "auto";
    case TUMBLE_TIMESTAMP_EPOCH_S: return "epoch_s";
    case TUMBLE_TIMESTAMP_EPOCH_MS: return "epoch_ms";
    case TUMBLE_TIMESTAMP_ISO8601: return "iso8601";
    case TUMBLE_TIMESTAMP_STRPTIME: return format->pattern;
    }
    return "";
}

static void print_field(const char *name, struct tumble_bytes text) {
    printf("%-12s ", name);
    tw_print_plain(stdout, text);
    putchar('\n');
}

static bool is_exact(const struct tumble_column *column) {
    return !column->bound || strcmp(column->bound, "exact") == 0;
}

static bool all_exact(const struct tumble_spec *spec) {
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        if (!is_exact(tumble_spec_column(spec, i))) {
            return false;
        }
    }
    return true;
}

static void explain_columns(const struct tumble_spec *spec) {
    static const char *const kinds[] = {"window", "group", "aggregate", "records", "partials"};
    size_t widest = 0;
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        size_t length = strlen(tumble_spec_column(spec, i)->name);
        widest = length > widest ? length : widest;
    }
    puts("columns");
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        size_t space = widest - strlen(column->name);
        fputs("  ", stdout);
        tw_print_plain(stdout, tumble_bytes_of(column->name));
        printf("%*s  %-9s  ", (int)space, "", kinds[column->kind]);
        tw_print_plain(stdout, tumble_bytes_of(column->explanation));
        if (column->kind == TUMBLE_COLUMN_AGGREGATE) {
            if (!is_exact(column)) {
                fputs(", ", stdout);
                tw_print_plain(stdout, tumble_bytes_of(column->bound));
            }
            if (column->state_bytes > 0) {
                printf(" (%" PRIu32 " bytes a group)", column->state_bytes);
            }
        }
        putchar('\n');
    }
}

static void explain(const char *path, const struct tumble_spec *spec) {
    char text[TW_NUMBER_TEXT];
    int64_t seconds = tumble_spec_window_seconds(spec);
    struct tumble_bytes timestamp = tumble_spec_timestamp_field(spec);
    struct tumble_bytes where = tumble_spec_where(spec);
    print_field("spec", tumble_bytes_of(path));
    printf("%-12s %016" PRIx64 ", what state and rows of this spec carry\n", "digest", tumble_spec_digest(spec));
    if (seconds > 0) {
        printf("%-12s %s, from start up to but not including end, aligned to 1970-01-01T00:00:00Z\n", "window",
               tw_duration_text(seconds, text));
    } else {
        printf("%-12s not given: replay needs --window SECONDS; in Lambda the mapping decides\n", "window");
    }
    if (seconds > LAMBDA_WINDOW_SECONDS) {
        printf("%-12s Lambda's tumbling windows end at 900 seconds; replay has no such limit\n", "");
    }
    if (timestamp.length > 0) {
        printf("%-12s field ", "timestamp");
        tw_print_plain(stdout, timestamp);
        printf(", format ");
        tw_print_plain(stdout, tumble_bytes_of(timestamp_kind(tumble_spec_timestamp_format(spec))));
        putchar('\n');
    } else {
        printf("%-12s the record's own arrival time; replay of payloads needs --timestamp FIELD\n", "timestamp");
    }
    print_field("filter", where.length > 0 ? where : tumble_bytes_of("none: every record counts"));
    if (tw_spec_filter_note(spec)) {
        printf("%-12s note: %s\n", "", tw_spec_filter_note(spec));
    }
    explain_columns(spec);
    printf("%-12s %s: the same records give the same bytes, whatever the batches, shards or retries\n", "error",
           all_exact(spec) ? "every figure is exact" : "figures are exact where no bound is named above");
    uint64_t accumulators = tw_group_bytes_of(spec).memory;
    printf("%-12s %" PRIu64 " bytes a group (%" PRIu64
           " accumulators, %d header) and its key, and %d to %d of hash table\n",
           "memory", accumulators + ENTRY_BYTES, accumulators, ENTRY_BYTES, SLOT_BYTES_LOW, SLOT_BYTES_HIGH);
    tw_explain_stored(spec);
    tw_explain_partials(spec);
    for (size_t i = 0; i < tumble_spec_output_count(spec); i++) {
        print_field(i == 0 ? "outputs" : "", tumble_spec_output(spec, i));
    }
    if (tumble_spec_output_count(spec) == 0) {
        print_field("outputs", tumble_bytes_of("standard output"));
    }
    struct tumble_bytes failures = tumble_spec_failures(spec);
    print_field("failures", failures.length > 0 ? failures : tumble_bytes_of("none: late records are only counted"));
    print_field("bad records",
                tumble_bytes_of(tumble_spec_diverts_bad_records(spec) ? "go to failures, and the run goes on"
                                                                      : "stop the run at the record"));
}

static void print_json(const struct tumble_spec *spec) {
    struct tumble_bytes where = tumble_spec_where(spec);
    struct tumble_bytes canonical = tumble_spec_canonical(spec);
    struct tumble_bytes timestamp = tumble_spec_timestamp_field(spec);
    printf("{\"valid\":true,\"digest\":\"%016" PRIx64 "\",\"window_seconds\":", tumble_spec_digest(spec));
    if (tumble_spec_window_seconds(spec) > 0) {
        printf("%" PRId64, tumble_spec_window_seconds(spec));
    } else {
        fputs("null", stdout);
    }
    fputs(",\"timestamp\":", stdout);
    if (timestamp.length > 0) {
        fputs("{\"field\":", stdout);
        tw_print_json_string(stdout, timestamp);
        fputs(",\"format\":", stdout);
        tw_print_json_string(stdout, tumble_bytes_of(timestamp_kind(tumble_spec_timestamp_format(spec))));
        putchar('}');
    } else {
        fputs("null", stdout);
    }
    printf(",\"where\":%.*s,\"canonical\":%.*s,\"columns\":[", where.length ? (int)where.length : 4,
           where.length ? where.data : "null", canonical.length ? (int)canonical.length : 4,
           canonical.length ? canonical.data : "null");
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        fputs(i ? ",{\"name\":" : "{\"name\":", stdout);
        tw_print_json_string(stdout, tumble_bytes_of(column->name));
        fputs(",\"explanation\":", stdout);
        tw_print_json_string(stdout, tumble_bytes_of(column->explanation));
        fputs(",\"error\":", stdout);
        tw_print_json_string(stdout, tumble_bytes_of(column->bound ? column->bound : "exact"));
        printf(",\"state_bytes\":%" PRIu32, column->state_bytes);
        tw_print_column_sizes(column);
        putchar('}');
    }
    struct tw_group_bytes bytes = tw_group_bytes_of(spec);
    printf("],\"group_bytes\":{\"accumulators\":%" PRIu64
           ",\"header\":%d,\"table_low\":%d,\"table_high\":%d,\"stored_empty\":%" PRIu64 ",\"stored_most\":%" PRIu64
           "}",
           bytes.memory, ENTRY_BYTES, SLOT_BYTES_LOW, SLOT_BYTES_HIGH, bytes.stored_empty, bytes.stored_most);
    tw_print_partials(spec);
    fputs(",\"outputs\":[", stdout);
    for (size_t i = 0; i < tumble_spec_output_count(spec); i++) {
        fputs(i ? "," : "", stdout);
        tw_print_json_string(stdout, tumble_spec_output(spec, i));
    }
    fputs("],\"failures\":", stdout);
    if (tumble_spec_failures(spec).length > 0) {
        tw_print_json_string(stdout, tumble_spec_failures(spec));
    } else {
        fputs("null", stdout);
    }
    printf(",\"bad_records\":\"%s\"}\n", tumble_spec_diverts_bad_records(spec) ? "divert" : "fail");
}

static enum tumble_code check_output(const struct tumble_output_registry *registry, const struct tumble_spec *spec,
                                     struct tumble_bytes uri, enum tumble_row_kind kind, struct tumble_error *err) {
    static struct tumble_output_uri parsed;
    enum tumble_code code = tumble_output_uri_parse(registry, &parsed, uri, kind, NULL, err);
    return code == TUMBLE_OK ? tumble_output_uri_check(&parsed, spec, err) : code;
}

/* Outputs that no run could open are the spec's fault too. */
static enum tumble_code check_outputs(const struct tw_list *plugins, const struct tumble_spec *spec,
                                      struct tumble_error *err) {
    struct tumble_output_registry *registry;
    enum tumble_code code = tw_outputs_load(plugins, &registry, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    for (size_t i = 0; i < tumble_spec_output_count(spec) && code == TUMBLE_OK; i++) {
        code = check_output(registry, spec, tumble_spec_output(spec, i), TUMBLE_ROW_WINDOW, err);
        if (code != TUMBLE_OK) {
            tumble_output_uri_name_key(err, "outputs", (int)i);
        }
    }
    if (code == TUMBLE_OK && tumble_spec_failures(spec).length > 0) {
        code = check_output(registry, spec, tumble_spec_failures(spec), TUMBLE_ROW_FAILURE, err);
        if (code != TUMBLE_OK) {
            tumble_output_uri_name_key(err, "failures", -1);
        }
    }
    return code;
}

static void print_number_or_null(const char *name, uint64_t value) {
    printf(value > 0 ? ",\"%s\":%" PRIu64 : ",\"%s\":null", name, value);
}

static int tell_invalid(const struct settings *settings, const struct tw_spec_place *place,
                        const struct tumble_error *err) {
    if (settings->format != 1) {
        tw_say("%s%s", place->text, err->text[0] ? err->text : tumble_code_text(err->code));
        return (int)tw_exit_of(err->code);
    }
    fputs("{\"valid\":false", stdout);
    print_number_or_null("line", place->line);
    print_number_or_null("column", place->column);
    fputs(",\"message\":", stdout);
    tw_print_json_string(stdout, tumble_bytes_of(err->text));
    puts("}");
    return (int)tw_exit_of(err->code);
}

int tw_cmd_check(int argc, char **argv) {
    static struct settings settings;
    int count = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    if (count != 1) {
        tw_say("check: name one spec file, or - for standard input");
        tw_say("see tumble check -h");
        return TW_EXIT_USAGE;
    }
    struct tumble_spec *spec = NULL;
    struct tw_spec_place place;
    struct tumble_error err = {.byte = -1, .record = -1};
    enum tumble_code code = tw_spec_read(argv[1], NULL, &spec, &place, &err);
    if (code == TUMBLE_OK) {
        code = check_outputs(&settings.plugins, spec, &err);
        snprintf(place.text, sizeof place.text, "%.400s: ", argv[1]);
    }
    err.code = code;
    if (code == TUMBLE_OK && settings.format == 1) {
        print_json(spec);
    } else if (code == TUMBLE_OK) {
        explain(argv[1], spec);
    }
    tumble_spec_destroy(spec);
    return code == TUMBLE_OK ? (int)TW_EXIT_OK : tell_invalid(&settings, &place, &err);
}
