#include "cli/option_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal_text.h"
#include "runner/nearest.h"

enum { WORD_MAX = 64, HELP_COLUMN = 30 };

const char *tw_nearest(const char *word, const char *const *candidates) { return tumble_nearest(word, candidates); }

/* ---- help ---- */

static void print_options(const struct tw_option_table *table) {
    puts("\nAll options:");
    for (size_t i = 0; i < table->option_count; i++) {
        const struct tw_option *option = &table->options[i];
        if (!option->help) {
            continue;
        }
        char left[96];
        const char letter[] = {'-', option->letter, ',', '\0'};
        int width = snprintf(left, sizeof left, "%-3s --%s%s%s", option->letter ? letter : "", option->name,
                             option->argument ? " " : "", option->argument ? option->argument : "");
        printf("  %s%s%*s%s\n", left, width > HELP_COLUMN ? "\n  " : "",
               width > HELP_COLUMN ? HELP_COLUMN + 1 : HELP_COLUMN + 1 - width, "", option->help);
    }
    printf("\nSee tumble-%s(1).\n", table->command);
}

/* ---- parsing ---- */

static enum tw_parsed complain(const struct tw_option_table *table, const char *what) {
    tw_say("%s", what);
    tw_say("see tumble %s -h", table->command);
    return TW_PARSED_ERROR;
}

static const struct tw_option *find(const struct tw_option_table *table, const char *name, size_t length) {
    for (size_t i = 0; i < table->option_count; i++) {
        if (strlen(table->options[i].name) == length && memcmp(table->options[i].name, name, length) == 0) {
            return &table->options[i];
        }
    }
    return NULL;
}

/* What other tools call an option of ours, when this command has it. */
static const char *other_word(const struct tw_option_table *table, const char *word) {
    static const struct {
        const char *theirs;
        const char *ours;
    } words[] = {{"lateness", "allowed-lateness"},
                 {"grace", "allowed-lateness"},
                 {"grace-period", "allowed-lateness"},
                 {"by", "group-by"},
                 {"keys", "group-by"},
                 {"agg", "aggregate"},
                 {"function", "aggregate"},
                 {"filter", "where"},
                 {"time-field", "timestamp"},
                 {"event-time", "timestamp"},
                 {"out", "output"},
                 {"window-size", "window"},
                 {"size", "window"},
                 {"dead-letter", "failures"},
                 {"dlq", "failures"},
                 {"errors", "failures"},
                 {"checkpoint", "state"},
                 {"state-dir", "state"},
                 {"stats", "summary"},
                 {"parallelism", "threads"},
                 {"workers", "threads"},
                 {"jobs", "threads"},
                 {"on-error", "bad-records"},
                 {"config", "spec"},
                 {"json-path", "records-at"},
                 {"key", "partition-key"},
                 {"silent", "quiet"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].theirs, word) == 0 && find(table, words[i].ours, strlen(words[i].ours))) {
            return words[i].ours;
        }
    }
    return NULL;
}

static enum tw_parsed unknown_option(const struct tw_option_table *table, const char *name, size_t length) {
    char word[WORD_MAX + 1];
    const char *names[WORD_MAX];
    size_t count = 0;
    for (size_t i = 0; i < table->option_count && count + 2 < WORD_MAX; i++) {
        names[count++] = table->options[i].name;
    }
    names[count++] = "help";
    names[count] = NULL;
    snprintf(word, sizeof word, "%.*s", (int)(length < WORD_MAX ? length : WORD_MAX), name);
    const char *nearest = other_word(table, word);
    nearest = nearest ? nearest : tw_nearest(word, names);
    char text[256];
    snprintf(text, sizeof text, "%s: unknown option --%s%s%s%s", table->command, word,
             nearest ? ": did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
    return complain(table, text);
}

static bool read_number(const char *text, int64_t *out, const char **end) {
    char *stop = NULL;
    errno = 0;
    long long value = strtoll(text, &stop, 10);
    if (stop == text || errno != 0 || strchr(" \t\n+", text[0])) {
        return false;
    }
    *out = value;
    *end = stop;
    return true;
}

static bool read_size(const char *text, int64_t *out) {
    const char *end;
    if (!read_number(text, out, &end) || *out < 0) {
        return false;
    }
    int shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : *end == 'G' || *end == 'g' ? 30 : 0;
    end += shift > 0;
    if (shift > 0 && (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)) {
        end += strlen(end);
    }
    if (*end != '\0' || *out > INT64_MAX >> shift) {
        return false;
    }
    *out <<= shift;
    return true;
}

static bool add_to(struct tw_list *list, const char *value) {
    if (list->count == TW_LIST_MAX) {
        return false;
    }
    list->items[list->count++] = value;
    return true;
}

static bool add_pieces(struct tw_list *list, char *value) {
    for (char *comma = strchr(value, ','); comma; comma = strchr(value, ',')) {
        *comma = '\0';
        if (!add_to(list, value)) {
            return false;
        }
        value = comma + 1;
    }
    return add_to(list, value);
}

static bool read_duration(const char *text, int64_t *out) {
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *end;
    if (!read_number(text, out, &end)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (*end == units[i].letter && (*end == '\0' || end[1] == '\0')) {
            bool fits = *out <= INT64_MAX / units[i].seconds && *out >= INT64_MIN / units[i].seconds;
            *out *= fits ? units[i].seconds : 1;
            return fits;
        }
    }
    return false;
}

static void name_choices(const struct tw_option *option, char *out, size_t size) {
    size_t length = 0;
    for (size_t i = 0; option->choices[i] && length < size; i++) {
        if (option->choices[i][0] == '\0') {
            continue;
        }
        const char *between = length == 0 ? "" : option->choices[i + 1] ? ", " : " or ";
        int written = snprintf(out + length, size - length, "%s%s", between, option->choices[i]);
        length += written > 0 ? (size_t)written : 0;
    }
}

/* Stores a value; on failure expected says what it should have been. */
static bool store(const struct tw_option *option, char *value, void *settings, char *expected, size_t size) {
    char *member = (char *)settings + option->offset;
    int64_t number = 0;
    const char *end = "";
    switch ((enum tw_option_kind)option->kind) {
    case TW_OPTION_TEXT: memcpy(member, &value, sizeof value); return true;
    case TW_OPTION_LIST:
    case TW_OPTION_COMMAS:
        snprintf(expected, size, "at most %d values", TW_LIST_MAX);
        return option->kind == TW_OPTION_LIST ? add_to((struct tw_list *)(void *)member, value)
                                              : add_pieces((struct tw_list *)(void *)member, value);
    case TW_OPTION_FLAG: {
        bool on = strcmp(value, "true") == 0;
        snprintf(expected, size, "true or false");
        memcpy(member, &on, sizeof on);
        return on || strcmp(value, "false") == 0;
    }
    case TW_OPTION_SWITCH: {
        int way = strcmp(value, "true") == 0 ? 1 : -1;
        snprintf(expected, size, "true or false");
        memcpy(member, &way, sizeof way);
        return way > 0 || strcmp(value, "false") == 0;
    }
    case TW_OPTION_NUMBER:
        if (option->high == INT64_MAX) {
            snprintf(expected, size, "a whole number of at least %" PRId64, option->low);
        } else {
            snprintf(expected, size, "a whole number from %" PRId64 " to %" PRId64, option->low, option->high);
        }
        if (!read_number(value, &number, &end) || *end != '\0' || number < option->low || number > option->high) {
            return false;
        }
        memcpy(member, &number, sizeof number);
        return true;
    case TW_OPTION_DURATION:
        snprintf(expected, size, "whole seconds from %" PRId64 " to %" PRId64 ", or as in 90s, 5m, 1h, 1d", option->low,
                 option->high);
        if (!read_duration(value, &number) || number < option->low || number > option->high) {
            return false;
        }
        memcpy(member, &number, sizeof number);
        return true;
    case TW_OPTION_SIZE:
        snprintf(expected, size, "a number of bytes, as in 500M (K, M, G: powers of 1024)");
        if (!read_size(value, &number)) {
            return false;
        }
        memcpy(member, &number, sizeof number);
        return true;
    case TW_OPTION_CHOICE:
        name_choices(option, expected, size);
        for (int i = 0; option->choices[i]; i++) {
            if (value[0] != '\0' && strcmp(option->choices[i], value) == 0) {
                memcpy(member, &i, sizeof i);
                return true;
            }
        }
        return false;
    }
    return false;
}

static const struct tw_option *find_letter(const struct tw_option_table *table, const char *argument) {
    for (size_t i = 0; i < table->option_count; i++) {
        if (table->options[i].letter == argument[1] && argument[2] == '\0') {
            return &table->options[i];
        }
    }
    return NULL;
}

static bool is_truth(const char *text) { return text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0); }

enum tw_parsed tw_options_parse(const struct tw_option_table *table, int argc, char **argv, void *settings,
                                int *operand_count) {
    char text[512], expected[256];
    static char yes[] = "true";
    int operands = 0;
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        char *argument = argv[i];
        if (only_operands || argument[0] != '-' || argument[1] == '\0') {
            if (!table->operands) {
                snprintf(text, sizeof text, "%s: takes no operand, but got \"%s\"", table->command, argument);
                return complain(table, text);
            }
            argv[1 + operands++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_operands = true;
            continue;
        }
        bool full = strcmp(argument, "--help") == 0;
        if (full || strcmp(argument, "-h") == 0) {
            fputs(table->usage, stdout);
            if (full) {
                print_options(table);
            }
            return TW_PARSED_HELP;
        }
        bool is_long = argument[1] == '-';
        const char *name = argument + (is_long ? 2 : 1);
        size_t length = is_long ? strcspn(name, "=") : strlen(name);
        const struct tw_option *option = is_long ? find(table, name, length) : find_letter(table, argument);
        if (!option) {
            if (is_long) {
                return unknown_option(table, name, length);
            }
            snprintf(text, sizeof text, "%s: unknown option %s", table->command, argument);
            return complain(table, text);
        }
        char *value = is_long && name[length] == '=' ? argument + 2 + length + 1 : NULL;
        if (!value && (option->kind == TW_OPTION_FLAG || option->kind == TW_OPTION_SWITCH)) {
            value = is_truth(argv[i + 1]) ? argv[++i] : yes;
        } else if (!value) {
            if (i + 1 >= argc) {
                snprintf(text, sizeof text, "%s: --%s needs a value: --%s %s", table->command, option->name,
                         option->name, option->argument ? option->argument : "VALUE");
                return complain(table, text);
            }
            value = argv[++i];
        }
        if (!store(option, value, settings, expected, sizeof expected)) {
            snprintf(text, sizeof text, "%s: --%s \"%s\": expected %s", table->command, option->name, value, expected);
            return complain(table, text);
        }
    }
    *operand_count = operands;
    return TW_PARSED_RUN;
}
