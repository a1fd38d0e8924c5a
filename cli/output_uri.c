#include "cli/output_uri.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "adapters/outputs/file/file_output.h"
#include "cli/option_table.h"

/* What stands before the colon, and the output it opens. "-" is standard output. */
static const struct {
    const char *scheme;
    const char *shown;
    const struct tumble_output_api *api;
    enum tumble_code (*check)(const struct tumble_option_value *options, size_t count, const char *name,
                              struct tumble_error *err);
} schemes[] = {
    {"file", "file:PATH", &tumble_file_output, tumble_file_output_check},
};
enum { SCHEME_COUNT = sizeof schemes / sizeof schemes[0] };

static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    return TUMBLE_EUSAGE;
}

/* "NAME:…": what stands before the colon names an output. */
static bool names_scheme(const char *text) {
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_");
    return length > 0 && text[length] == ':';
}

/* A path without a scheme is a file when nobody can take it for a word that was meant otherwise. */
static bool is_path(const char *text) { return !names_scheme(text) && strpbrk(text, "/.") != NULL; }

static enum tumble_code unknown_scheme(const char *text, struct tumble_error *err) {
    const char *colon = strchr(text, ':');
    if (!names_scheme(text)) {
        return refuse(err, "output \"%.100s\" names no kind of output: write file:%.100s", text, text);
    }
    char scheme[32], shown[256] = "";
    const char *names[SCHEME_COUNT + 1] = {NULL};
    snprintf(scheme, sizeof scheme, "%.*s", (int)(colon - text), text);
    for (size_t i = 0, length = 0; i < SCHEME_COUNT && length < sizeof shown; i++) {
        names[i] = schemes[i].scheme;
        length += (size_t)snprintf(shown + length, sizeof shown - length, ", %s", schemes[i].shown);
    }
    const char *nearest = tw_nearest(scheme, names);
    return refuse(err, "output \"%.100s\": no output is called \"%s\"%s%s%s (there are -%s)", text, scheme,
                  nearest ? ": did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "", shown);
}

/* Cuts "a=b&c=d" in place. */
static enum tumble_code read_options(struct tw_output_uri *out, char *at, struct tumble_error *err) {
    while (*at) {
        char *end = at + strcspn(at, "&");
        char *next = *end ? end + 1 : end;
        *end = '\0';
        char *equals = strchr(at, '=');
        if (!equals || equals == at || out->output.option_count == TW_URI_OPTIONS) {
            return refuse(err, "output \"%.200s\": \"%.50s\" is not an option: write ?name=value&name=value", out->uri,
                          at);
        }
        *equals = '\0';
        struct tumble_option_value *option = &out->options[out->output.option_count++];
        option->name = at;
        option->value = equals + 1;
        at = next;
    }
    return TUMBLE_OK;
}

static void add_option(struct tw_output_uri *out, const char *name, const char *value) {
    out->options[out->output.option_count].name = name;
    out->options[out->output.option_count].value = value;
    out->output.option_count++;
}

/* The format that a file's name asks for, or NULL. */
static const char *format_of_name(const char *path) {
    static const struct {
        const char *ending;
        const char *format;
    } endings[] = {{".csv", "csv"}, {".ndjson", "ndjson"}, {".jsonl", "ndjson"}};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i].ending);
        if (length > n && strcmp(path + length - n, endings[i].ending) == 0) {
            return endings[i].format;
        }
    }
    return NULL;
}

/* Standard output under another name: it is written through the descriptor there is, and only one such exists. */
static bool names_stdout(const char *path) {
    static const char *const names[] = {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(path, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Columns of the terminal on stdout, 0 when that is not known. */
static unsigned terminal_columns(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

enum tumble_code tw_output_uri_parse(struct tw_output_uri *out, struct tumble_bytes uri, const char *format,
                                     struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    if (uri.length >= sizeof out->uri || memchr(uri.data, '\0', uri.length)) {
        return refuse(err, "an output of %zu bytes is longer than %d or holds a NUL", uri.length, TW_URI_BYTES - 1);
    }
    if (uri.length > 0) {
        memcpy(out->uri, uri.data, uri.length);
    }
    if (strcmp(out->uri, "-") != 0 && is_path(out->uri)) { /* the state knows it by one name, however it is written */
        static const char scheme[] = "file:";
        if (uri.length + strlen(scheme) >= sizeof out->uri) {
            return refuse(err, "an output of %zu bytes is longer than %d", uri.length, TW_URI_BYTES - 1);
        }
        memmove(out->uri + strlen(scheme), out->uri, uri.length + 1);
        memcpy(out->uri, scheme, strlen(scheme));
    }
    memcpy(out->text, out->uri, sizeof out->text);
    out->output.uri = out->uri;
    out->output.options = out->options;
    char *query = strrchr(out->text, '?');
    if (query) {
        *query++ = '\0';
    }
    if (strcmp(out->text, "-") == 0) {
        out->is_stdout = true;
        out->output.api = &tumble_file_output;
        out->output.target = out->text;
    }
    size_t scheme_index = 0;
    for (size_t i = 0; i < SCHEME_COUNT && !out->output.api; i++) {
        size_t length = strlen(schemes[i].scheme);
        if (strncmp(out->text, schemes[i].scheme, length) == 0 && out->text[length] == ':') {
            out->output.api = schemes[i].api;
            out->output.target = out->text + length + 1;
            scheme_index = i;
        }
    }
    if (!out->output.api) {
        return unknown_scheme(out->text, err);
    }
    if (!out->is_stdout && names_stdout(out->output.target)) {
        out->is_stdout = true;
        out->output.target = "-";
    }
    if (!format && !out->is_stdout) {
        format = format_of_name(out->output.target);
    }
    bool on_terminal = out->is_stdout && isatty(STDOUT_FILENO);
    add_option(out, "format", format ? format : on_terminal ? "table" : "ndjson");
    if (on_terminal) {
        snprintf(out->width, sizeof out->width, "%u", terminal_columns());
        add_option(out, "width", out->width);
    }
    if (query) {
        enum tumble_code code = read_options(out, query, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    for (size_t i = 0; i < out->output.option_count; i++) {
        if (strcmp(out->options[i].name, "format") == 0) {
            out->is_table = strcmp(out->options[i].value, "table") == 0;
        }
    }
    return schemes[scheme_index].check(out->options, out->output.option_count, out->uri, err);
}

void tw_output_uri_name_key(struct tumble_error *err, const char *key, int index) {
    struct tumble_error inner = *err;
    char place[32];
    snprintf(place, sizeof place, index < 0 ? "%s" : "%s[%d]", key, index);
    snprintf(err->text, sizeof err->text, "%s: %.280s", place, inner.text);
}
