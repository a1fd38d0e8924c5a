#include "cli/spec_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SPEC_BYTES = 1024 * 1024 }; /* the engine's own limit */

static enum tumble_code unreadable(const char *path, const char *why, struct tumble_error *err) {
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, "spec %.200s: %s", path, why);
    return TUMBLE_EUSAGE;
}

/* byte is an offset in json, or -1. */
static void find_place(const char *path, struct tumble_bytes json, int64_t byte, struct tw_spec_place *place) {
    if (byte < 0 || (uint64_t)byte > json.length) {
        snprintf(place->text, sizeof place->text, "%.400s: ", path);
        return;
    }
    place->line = place->column = 1;
    for (int64_t i = 0; i < byte; i++) {
        place->column++;
        if (json.data[i] == '\n') {
            place->line++;
            place->column = 1;
        }
    }
    snprintf(place->text, sizeof place->text, "%.400s: line %" PRIu64 ", column %" PRIu64 ": ", path, place->line,
             place->column);
}

enum tumble_code tw_spec_read(const char *path, const struct tumble_spec_overrides *overrides, struct tumble_spec **out,
                              struct tw_spec_place *place, struct tumble_error *err) {
    static char json[SPEC_BYTES + 1];
    struct tumble_alloc alloc = {0};
    struct tumble_bytes view = {json, 0};
    *out = NULL;
    memset(place, 0, sizeof *place);
    if (!path) {
        return tumble_spec_parse(view, overrides, alloc, out, err);
    }
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) {
        return unreadable(path, strerror(errno), err);
    }
    view.length = fread(json, 1, sizeof json, file);
    int failed = ferror(file) ? errno : 0;
    if (file != stdin) {
        fclose(file);
    }
    if (failed) {
        return unreadable(path, strerror(failed), err);
    }
    if (view.length > SPEC_BYTES) {
        return unreadable(path, "longer than 1 MiB: that is no spec", err);
    }
    if (view.length == 0) {
        return unreadable(path, "is empty", err);
    }
    enum tumble_code code = tumble_spec_parse(view, overrides, alloc, out, err);
    if (code == TUMBLE_OK || code == TUMBLE_ENOMEM) {
        return code;
    }
    find_place(strcmp(path, "-") == 0 ? "standard input" : path, view, err->byte, place);
    err->code = TUMBLE_ESPEC; /* malformed JSON is the spec's fault here, not the input's */
    return TUMBLE_ESPEC;
}

/* The end of the JSON string or bracketed value that begins at at; JSON that tumble wrote itself. */
static const char *end_of_value(const char *at, const char *end) {
    size_t depth = 0;
    bool quoted = false;
    for (; at < end; at++) {
        if (quoted) {
            at += *at == '\\';
            quoted = *at != '"';
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return end;
}

const char *tw_spec_filter_note(const struct tumble_spec *spec) {
    static const char wrapper[] = "{\"data\":{";
    struct tumble_bytes where = tumble_spec_where(spec);
    size_t begin = strlen(wrapper);
    if (where.length <= begin || memcmp(where.data, wrapper, begin) != 0) {
        return NULL;
    }
    const char *end = where.data + where.length;
    return end_of_value(where.data + begin - 1, end) == end - 1
               ? "all of the filter stands under \"data\", as in an event source mapping; here it is matched with the "
                 "payload itself: unless payloads have a field \"data\", leave that level out"
               : NULL;
}
