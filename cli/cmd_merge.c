#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tumble/merge.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/file_conflict.h"
#include "cli/option_table.h"
#include "cli/terminal_text.h"

enum { LINE_MAX_BYTES = 16 * 1024 * 1024 }; /* as a captured record */

struct settings {
    int64_t window;
    const char *completeness;
    bool quiet;
};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"window", 'w', TW_OPTION_NUMBER, AT(window), "SECONDS",
     "merge into windows of this length, a multiple of the rows'", 1, INT64_C(253402300799), NULL},
    {"completeness", 0, TW_OPTION_TEXT, AT(completeness), "FILE",
     "write a line a window: shards, fragments, records and digest that were seen; - is stderr", 0, 0, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no closing line", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "merge",
    .usage = "Usage: tumble merge [OPTION]... ROWS...\n"
             "Folds rows of shards and fragments, and rows delivered twice, into one row per window and group.\n"
             "The rows are NDJSON as an output wrote them, with \"partials\": true in the spec; - is stdin.\n"
             "\n"
             "  tumble merge rows-shard-0.ndjson rows-shard-1.ndjson\n"
             "  tumble merge --window 3600 minutes.ndjson > hours.ndjson\n"
             "\n"
             "  -w, --window SECONDS     merge into windows of this length, a multiple of the rows'\n"
             "      --completeness FILE  a line a window: shards, fragments and records that were seen\n"
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

/* A line without its end; *length 0 at the end of the input. false: too long. */
static bool read_line(FILE *from, char *line, size_t *length, bool *end) {
    *length = 0;
    *end = false;
    for (int c; (c = getc_unlocked(from)) != '\n';) {
        if (c == EOF) {
            *end = true;
            return true;
        }
        if (*length == LINE_MAX_BYTES) {
            return false;
        }
        line[(*length)++] = (char)c;
    }
    return true;
}

static enum tumble_code input_failure(const char *path, const char *what) {
    memset(&failure, 0, sizeof failure);
    failure.code = TUMBLE_EINPUT;
    snprintf(failure.text, sizeof failure.text, "%s: %s", path, what);
    return TUMBLE_EINPUT;
}

static enum tumble_code add_rows(struct tumble_merge *merge, const char *path, FILE *from) {
    static char line[LINE_MAX_BYTES];
    bool end = false;
    for (uint64_t number = 1; !end; number++) {
        size_t length;
        if (!read_line(from, line, &length, &end)) {
            return input_failure(path, "a line of more than 16 MiB is no row");
        }
        if (end && ferror(from)) {
            return input_failure(path, strerror(errno));
        }
        struct tumble_bytes row = {line, length};
        size_t blank = 0;
        while (blank < length && memchr(" \t\r", line[blank], 3)) {
            blank++;
        }
        enum tumble_code code = blank == length ? TUMBLE_OK : tumble_merge_add(merge, row, &failure);
        if (code != TUMBLE_OK) {
            struct tumble_error inner = failure;
            snprintf(failure.text, sizeof failure.text, "%.100s: line %" PRIu64 ": %.200s", path, number, inner.text);
            return code;
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code add_file(struct tumble_merge *merge, const char *path) {
    if (strcmp(path, "-") == 0) {
        return add_rows(merge, "standard input", stdin);
    }
    if (strncmp(path, "file:", 5) == 0) { /* as an output is named */
        path += 5;
    }
    FILE *from = fopen(path, "re");
    if (!from) {
        return input_failure(path, strerror(errno));
    }
    enum tumble_code code = add_rows(merge, path, from);
    fclose(from);
    return code;
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
    for (int i = 0; i < count && code == TUMBLE_OK; i++) {
        code = add_file(merge, paths[i]);
    }
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
        tw_say("%s rows of %" PRIu64 " fragments → %s merged rows in %s windows, %s duplicates, %" PRIu64 " superseded",
               tw_number_text(figures.rows, rows), figures.fragments, tw_number_text(figures.merged, merged),
               tw_number_text(figures.windows, windows), tw_number_text(figures.duplicates, twice), figures.superseded);
    }
    return TW_EXIT_OK;
}
