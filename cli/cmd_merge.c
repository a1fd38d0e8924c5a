#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tumble/merge.h>

#include "adapters/inputs/capture/capture.h"
#include "adapters/inputs/table/dynamodb_rows.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/file_conflict.h"
#include "cli/option_table.h"
#include "cli/terminal_text.h"

struct settings {
    int64_t window;
    const char *completeness;
    bool quiet;
};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"window", 'w', TW_OPTION_DURATION, AT(window), "DURATION",
     "merge into windows of this length, seconds or as 1h: a multiple of the rows'", 1, INT64_C(253402300799), NULL},
    {"completeness", 0, TW_OPTION_TEXT, AT(completeness), "FILE",
     "write a line a window: shards, fragments, records and digest that were seen; - is stderr", 0, 0, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no closing line", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "merge",
    .usage = "Usage: tumble merge [OPTION]... ROWS...\n"
             "Folds rows of shards and fragments, and rows delivered twice, into one row\n"
             "per window and group.\n"
             "\n"
             "  tumble merge rows-shard-0.ndjson rows-shard-1.ndjson\n"
             "  tumble merge --window 1h minutes.ndjson > hours.ndjson\n"
             "\n"
             "ROWS is NDJSON with partials as an output wrote it: plain, gzip or zstd; a\n"
             "file, - for standard input, s3://BUCKET/PREFIX for every object under it, or\n"
             "dynamodb:TABLE as the output was named.\n"
             "\n"
             "  -w, --window DURATION    into windows of this length, a multiple of the rows'\n"
             "      --completeness FILE  a line a window: shards, fragments, records seen\n"
             "  -q, --quiet              no closing line\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = "ROWS",
};

static struct tumble_error failure;

static enum tumble_code write_line(FILE *to, const char *name, struct tumble_bytes json) {
    if (fwrite(json.data, 1, json.length, to) != json.length || putc('\n', to) == EOF) {
        memset(&failure, 0, sizeof failure);
        failure.code = TUMBLE_EOUTPUT;
        snprintf(failure.text, sizeof failure.text, "%s: cannot write: %s", name, strerror(errno));
        return TUMBLE_EOUTPUT;
    }
    return TUMBLE_OK;
}

static FILE *completeness_file;

static enum tumble_code on_row(void *ctx, struct tumble_bytes json) {
    (void)ctx;
    return write_line(stdout, "standard output", json);
}

static enum tumble_code on_window(void *ctx, struct tumble_bytes json) {
    return write_line(completeness_file, ctx, json);
}

static enum tumble_code input_failure(const char *path, const char *what) {
    memset(&failure, 0, sizeof failure);
    failure.code = TUMBLE_EINPUT;
    snprintf(failure.text, sizeof failure.text, "%.100s: %s", path, what);
    return TUMBLE_EINPUT;
}

/* Rows in a form that people read, or another kind of capture, say nothing that could be merged. */
static bool explain_input(const char *path, enum tumble_capture_format format) {
    char begin[16] = "";
    FILE *file = strcmp(path, "-") == 0 ? NULL : fopen(path, "re");
    if (file) {
        begin[fread(begin, 1, sizeof begin - 1, file)] = '\0';
        fclose(file);
    }
    bool is_text = strncmp(begin, "window_start", 12) == 0;
    if (is_text || format == TUMBLE_CAPTURE_LAMBDA || format == TUMBLE_CAPTURE_GET_RECORDS) {
        input_failure(path, is_text ? "CSV and tables cannot be merged: write the rows with --format ndjson"
                                    : "holds records, not rows: tumble replay makes rows of them");
        failure.code = TUMBLE_ECAPTURE;
        return true;
    }
    return false;
}

static enum tumble_code add_rows(struct tumble_merge *merge, struct tumble_capture *capture) {
    for (;;) {
        struct tumble_captured captured;
        int got;
        enum tumble_code code = tumble_capture_next(capture, &captured, &got, &failure);
        if (code != TUMBLE_OK || !got) {
            return code;
        }
        code = tumble_merge_add(merge, captured.data, &failure);
        if (code != TUMBLE_OK) {
            struct tumble_error inner = failure;
            char where[320];
            tumble_capture_where(capture, &captured, where, sizeof where);
            where[strcspn(where, ",")] = '\0'; /* the file and the line will do */
            snprintf(failure.text, sizeof failure.text, "%.90s: %.220s", where, inner.text);
            return code;
        }
        tumble_capture_release(capture);
    }
}

static enum tumble_code add_item(void *ctx, struct tumble_bytes row, struct tumble_error *err) {
    return tumble_merge_add(ctx, row, err);
}

/* Rows are read as replay reads payloads, compressed or not. A file may hold none: a shard had nothing. */
static enum tumble_code add_file(struct tumble_merge *merge, const char *path) {
    if (strncmp(path, "file:", 5) == 0) { /* as an output is named */
        path += 5;
    }
    if (strncmp(path, "dynamodb:", 9) == 0) {
        struct tumble_alloc alloc = {0};
        return tumble_dynamodb_rows(path, alloc, add_item, merge, &failure);
    }
    struct tumble_capture_options how = {.paths = &path, .path_count = 1, .allow_empty = 1};
    struct tumble_capture *capture;
    enum tumble_code code = tumble_capture_open(&how, &capture, &failure);
    enum tumble_capture_format format = TUMBLE_CAPTURE_AUTO;
    if (code == TUMBLE_OK) {
        format = tumble_capture_detected(capture);
        bool records = format == TUMBLE_CAPTURE_LAMBDA || format == TUMBLE_CAPTURE_GET_RECORDS;
        code = records ? TUMBLE_ECAPTURE : add_rows(merge, capture);
        tumble_capture_close(capture);
    }
    bool unreadable = code == TUMBLE_ECAPTURE || code == TUMBLE_EJSON;
    return unreadable && explain_input(path, format) ? TUMBLE_ECAPTURE : code;
}

/* The completeness file is written after the rows are read, and must not be one of them. */
static enum tumble_code check_files(const struct settings *settings, char **paths, int count) {
    struct tw_file_uses written = {0};
    enum tumble_code code = TUMBLE_OK;
    if (settings->completeness && strcmp(settings->completeness, "-") != 0) {
        tw_file_uses_add(&written, "completeness", settings->completeness, settings->completeness, false);
    }
    for (int i = 0; i < count && code == TUMBLE_OK; i++) {
        const char *path = strncmp(paths[i], "file:", 5) == 0 ? paths[i] + 5 : paths[i];
        code = tw_file_uses_check_read(&written, "rows", path, &failure);
    }
    return code;
}

static enum tumble_code run(const struct settings *settings, char **paths, int count,
                            struct tumble_merge_figures *figures) {
    struct tumble_merge_options how = {.window_seconds = settings->window};
    struct tumble_merge *merge;
    enum tumble_code code = tumble_merge_new(&how, &merge, &failure);
    struct tumble_input_list *inputs = NULL;
    struct tumble_alloc alloc = {0};
    code = code == TUMBLE_OK
               ? tumble_input_list_new((const char *const *)paths, (size_t)count, alloc, &inputs, &failure)
               : code;
    for (size_t i = 0; code == TUMBLE_OK && i < tumble_input_list_count(inputs); i++) {
        code = add_file(merge, tumble_input_list_paths(inputs)[i]);
    }
    tumble_input_list_destroy(inputs);
    const char *name = settings->completeness;
    if (code == TUMBLE_OK && name) {
        completeness_file = strcmp(name, "-") == 0 ? stderr : fopen(name, "we");
        if (!completeness_file) {
            input_failure(name, strerror(errno));
            failure.code = code = TUMBLE_EOUTPUT;
        }
    }
    if (code == TUMBLE_OK) {
        char label[256];
        snprintf(label, sizeof label, "%s", name ? name : "");
        code = tumble_merge_finish(merge, on_row, name ? on_window : NULL, label, figures, &failure);
    }
    if (code == TUMBLE_OK && (fflush(stdout) != 0 || (completeness_file && fflush(completeness_file) != 0))) {
        input_failure("output", strerror(errno));
        failure.code = code = TUMBLE_EOUTPUT;
    }
    if (completeness_file && completeness_file != stderr) {
        fclose(completeness_file);
    }
    tumble_merge_destroy(merge);
    return code;
}

int tw_cmd_merge(int argc, char **argv) {
    struct settings settings = {0};
    struct tumble_merge_figures figures = {0};
    int inputs;
    switch (tw_options_parse(&table, argc, argv, &settings, &inputs)) {
    case TW_PARSED_HELP: return TW_EXIT_OK;
    case TW_PARSED_ERROR: return TW_EXIT_USAGE;
    case TW_PARSED_RUN: break;
    }
    if (inputs == 0) {
        tw_say("merge: which rows? Name files of rows, or - for standard input");
        tw_say("see tumble merge -h");
        return TW_EXIT_USAGE;
    }
    enum tumble_code code = check_files(&settings, argv + 1, inputs);
    if (code == TUMBLE_OK) {
        code = run(&settings, argv + 1, inputs, &figures);
    }
    if (code != TUMBLE_OK) {
        return tw_exit_with(&failure);
    }
    if (!settings.quiet) {
        char rows[TW_NUMBER_TEXT], merged[TW_NUMBER_TEXT], windows[TW_NUMBER_TEXT], twice[TW_NUMBER_TEXT];
        tw_say("%s row%s of %" PRIu64 " fragment%s → %s merged row%s in %s window%s, %s duplicate%s, %" PRIu64
               " superseded",
               tw_number_text(figures.rows, rows), tw_plural(figures.rows), figures.fragments,
               tw_plural(figures.fragments), tw_number_text(figures.merged, merged), tw_plural(figures.merged),
               tw_number_text(figures.windows, windows), tw_plural(figures.windows),
               tw_number_text(figures.duplicates, twice), tw_plural(figures.duplicates), figures.superseded);
    }
    return TW_EXIT_OK;
}
