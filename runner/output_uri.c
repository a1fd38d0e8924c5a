#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "adapters/outputs/file/file_output.h"
#include "runner/memory.h"
#include "runner/nearest.h"
#include "runner/output_option.h"
#include "runner/output_registry.h"

/* A URI to an output and its options. */

enum { NAMES_MAX = 80 };

/* "NAME:…": what stands before the colon names an output. */
static int names_scheme(const char *text) {
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_");
    return length > 0 && text[length] == ':';
}

/* A path without a scheme is a file when nobody can take it for a word that was meant otherwise. */
static int is_path(const char *text) { return !names_scheme(text) && strpbrk(text, "/.") != NULL; }

static enum tumble_code unknown_scheme(const struct tumble_output_registry *registry, const char *text,
                                       struct tumble_error *err) {
    const char *colon = strchr(text, ':');
    if (!names_scheme(text)) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "output \"%.100s\" names no kind of output: write file:%.100s",
                                  text, text);
    }
    char scheme[32], shown[256] = "";
    const char *names[NAMES_MAX + 1] = {NULL};
    struct tumble_registered_output known;
    snprintf(scheme, sizeof scheme, "%.*s", (int)(colon - text), text);
    for (size_t i = 0, length = 0; i < NAMES_MAX && tumble_output_registry_at(registry, i, &known); i++) {
        names[i] = known.api->name;
        if (length < sizeof shown) {
            length += (size_t)snprintf(shown + length, sizeof shown - length, ", %s:%s", known.api->name,
                                       known.api->target ? known.api->target : "");
        }
    }
    const char *nearest = tumble_nearest(scheme, names);
    return tumble_runner_fail(err, TUMBLE_EUSAGE, "output \"%.100s\": no output is called \"%s\"%s%s%s (there are -%s)",
                              text, scheme, nearest ? ": did you mean \"" : "", nearest ? nearest : "",
                              nearest ? "\"?" : "", shown);
}

/* ---- options ---- */

static enum tumble_code unknown_option(const struct tumble_output_uri *out, const char *name,
                                       struct tumble_error *err) {
    const struct tumble_output_api *api = out->output.api;
    const char *names[TUMBLE_URI_OPTIONS + 1] = {NULL};
    char shown[160] = "";
    for (size_t i = 0, length = 0; i < api->option_count; i++) {
        names[i] = api->options[i].name;
        if (length < sizeof shown) {
            length += (size_t)snprintf(shown + length, sizeof shown - length, "%s%s", i ? ", " : "", names[i]);
        }
    }
    const char *nearest = tumble_nearest(name, names);
    return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.100s: unknown option \"%.40s\"%s%s%s (%s takes %s)", out->uri,
                              name, nearest ? ": did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "",
                              api->name, api->option_count ? shown : "none");
}

static enum tumble_code take_option(struct tumble_output_uri *out, const char *name, const char *value, int given,
                                    struct tumble_error *err) {
    const struct tumble_output_api *api = out->output.api;
    for (size_t i = 0; i < api->option_count; i++) {
        if (strcmp(api->options[i].name, name) == 0) {
            out->options[i].given = given;
            return tumble_output_option_read(&api->options[i], value, out->uri, &out->options[i], err);
        }
    }
    if (!(api->flags & TUMBLE_OUTPUT_OTHER_OPTIONS)) {
        return unknown_option(out, name, err);
    }
    if (out->output.option_count == TUMBLE_URI_OPTIONS) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.200s: more than %d options", out->uri, TUMBLE_URI_OPTIONS);
    }
    struct tumble_option_value *other = &out->options[out->output.option_count++];
    other->name = name;
    other->value = value;
    other->given = given;
    return TUMBLE_OK;
}

/* Cuts "a=b&c=d" in place. */
static enum tumble_code read_options(struct tumble_output_uri *out, char *at, struct tumble_error *err) {
    while (*at) {
        char *end = at + strcspn(at, "&");
        char *next = *end ? end + 1 : end;
        *end = '\0';
        char *equals = strchr(at, '=');
        if (!equals || equals == at) {
            return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                      "output \"%.200s\": \"%.50s\" is not an option: write ?name=value&name=value",
                                      out->uri, at);
        }
        *equals = '\0';
        if (!tumble_percent_decode(at) || !tumble_percent_decode(equals + 1)) {
            return tumble_runner_fail(
                err, TUMBLE_EUSAGE, "output \"%.200s\": a %% in \"%.50s\" begins no %%XX: write a percent sign as %%25",
                out->uri, at);
        }
        enum tumble_code code = take_option(out, at, equals + 1, 1, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        at = next;
    }
    return TUMBLE_OK;
}

static enum tumble_code lay_defaults(struct tumble_output_uri *out, struct tumble_error *err) {
    const struct tumble_output_api *api = out->output.api;
    enum tumble_code code = TUMBLE_OK;
    out->output.option_count = api->option_count;
    for (size_t i = 0; i < api->option_count && code == TUMBLE_OK; i++) {
        out->options[i].name = api->options[i].name;
        if (api->options[i].default_value) {
            code = tumble_output_option_read(&api->options[i], api->options[i].default_value, out->uri,
                                             &out->options[i], err);
        }
    }
    return code;
}

static enum tumble_code check_required(const struct tumble_output_uri *out, struct tumble_error *err) {
    const struct tumble_output_api *api = out->output.api;
    for (size_t i = 0; i < api->option_count; i++) {
        if (api->options[i].required && !out->options[i].value) {
            return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.150s: needs the option %s (%.100s): write ?%s=…", out->uri,
                                      api->options[i].name, api->options[i].help, api->options[i].name);
        }
    }
    return TUMBLE_OK;
}

/* ---- files ---- */

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
static int names_stdout(const char *path) {
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(path, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What a file is told that stands in no URI: --format, the ending of its name, the terminal. */
static enum tumble_code imply_options(struct tumble_output_uri *out, const char *format, struct tumble_error *err) {
    if (!format && !out->is_stdout) {
        format = format_of_name(out->output.target);
    }
    int on_terminal = out->is_stdout && isatty(STDOUT_FILENO);
    enum tumble_code code = take_option(out, "format", format ? format : on_terminal ? "table" : "ndjson", 0, err);
    if (on_terminal && code == TUMBLE_OK) {
        struct winsize size;
        snprintf(out->width, sizeof out->width, "%u",
                 ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? (unsigned)size.ws_col : 0u);
        code = take_option(out, "width", out->width, 0, err);
    }
    return code;
}

/* ---- the whole ---- */

static enum tumble_code copy_uri(struct tumble_output_uri *out, struct tumble_bytes uri, struct tumble_error *err) {
    static const char scheme[] = "file:";
    if (uri.length >= sizeof out->uri || memchr(uri.data, '\0', uri.length)) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "an output of %zu bytes is longer than %d or holds a NUL",
                                  uri.length, TUMBLE_URI_BYTES - 1);
    }
    if (uri.length > 0) {
        memcpy(out->uri, uri.data, uri.length);
    }
    if (strcmp(out->uri, "-") != 0 && is_path(out->uri)) { /* the state knows it by one name, however it is written */
        if (uri.length + strlen(scheme) >= sizeof out->uri) {
            return tumble_runner_fail(err, TUMBLE_EUSAGE, "an output of %zu bytes is longer than %d", uri.length,
                                      TUMBLE_URI_BYTES - 1);
        }
        memmove(out->uri + strlen(scheme), out->uri, uri.length + 1);
        memcpy(out->uri, scheme, strlen(scheme));
    }
    memcpy(out->text, out->uri, sizeof out->text);
    return TUMBLE_OK;
}

static void find_output(const struct tumble_output_registry *registry, struct tumble_output_uri *out) {
    struct tumble_registered_output known;
    if (strncmp(out->text, "-", 1) == 0 && (out->text[1] == '\0' || out->text[1] == '?')) {
        out->output.api = &tumble_file_output;
        out->output.target = out->text;
    }
    for (size_t i = 0; !out->output.api && tumble_output_registry_at(registry, i, &known); i++) {
        size_t length = strlen(known.api->name);
        if (strncmp(out->text, known.api->name, length) == 0 && out->text[length] == ':') {
            out->output.api = known.api;
            out->output.target = out->text + length + 1;
        }
    }
    out->is_file = out->output.api == &tumble_file_output;
}

/* Once it is known which output it is. */
static enum tumble_code parse_rest(struct tumble_output_uri *out, enum tumble_row_kind kind, const char *format,
                                   struct tumble_error *err) {
    const struct tumble_output_api *api = out->output.api;
    if (api->flags & (kind == TUMBLE_ROW_WINDOW ? TUMBLE_OUTPUT_NO_ROWS : TUMBLE_OUTPUT_NO_FAILURES)) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.150s: %s takes %s", out->uri, api->name,
                                  kind == TUMBLE_ROW_WINDOW
                                      ? "failures only: it can be no output, only where failures go"
                                      : "rows of windows only: failures must go elsewhere, to "
                                        "file:PATH or sqs:QUEUE");
    }
    out->kind = kind;
    out->output.uri = out->uri;
    out->output.options = out->options;
    char *query = out->is_file ? strrchr(out->text, '?') : strchr(out->text, '?'); /* a file's name may hold one */
    if (query) {
        *query++ = '\0';
    }
    if (out->is_file && names_stdout(out->output.target)) {
        out->is_stdout = 1;
        out->output.target = "-";
    }
    enum tumble_code code = lay_defaults(out, err);
    if (code == TUMBLE_OK && out->is_file) {
        code = imply_options(out, format, err);
    }
    if (code == TUMBLE_OK && query) {
        code = read_options(out, query, err);
    }
    for (size_t i = 0; code == TUMBLE_OK && out->is_file && i < out->output.option_count; i++) {
        out->is_table = out->is_table ||
                        (strcmp(out->options[i].name, "format") == 0 && strcmp(out->options[i].value, "table") == 0);
    }
    return code == TUMBLE_OK ? check_required(out, err) : code;
}

enum tumble_code tumble_output_uri_parse(const struct tumble_output_registry *registry, struct tumble_output_uri *out,
                                         struct tumble_bytes uri, enum tumble_row_kind kind, const char *format,
                                         struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    enum tumble_code code = copy_uri(out, uri, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    find_output(registry, out);
    return out->output.api ? parse_rest(out, kind, format, err) : unknown_scheme(registry, out->text, err);
}

enum tumble_code tumble_output_uri_parse_as(const struct tumble_output_api *api, struct tumble_output_uri *out,
                                            struct tumble_bytes uri, enum tumble_row_kind kind,
                                            struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    enum tumble_code code = copy_uri(out, uri, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    out->output.api = api;
    out->output.target = out->text + strlen(api->name) + 1;
    return parse_rest(out, kind, NULL, err);
}

enum tumble_code tumble_output_uri_check(const struct tumble_output_uri *uri, const struct tumble_spec *spec,
                                         struct tumble_error *err) {
    const struct tumble_replay_output *output = &uri->output;
    struct tumble_output_open how = {.struct_size = sizeof how,
                                     .kind = uri->kind,
                                     .target = output->target,
                                     .options = output->options,
                                     .option_count = output->option_count,
                                     .uri = output->uri,
                                     .spec = spec};
    return output->api->check ? output->api->check(&how, err) : TUMBLE_OK;
}

void tumble_output_uri_name_key(struct tumble_error *err, const char *key, int index) {
    struct tumble_error inner = *err;
    char place[32];
    snprintf(place, sizeof place, index < 0 ? "%s" : "%s[%d]", key, index);
    snprintf(err->text, sizeof err->text, "%s: %.280s", place, inner.text);
}
