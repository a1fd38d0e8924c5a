#include "cli/spec_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SPEC_BYTES = 1024 * 1024 }; /* the engine's own limit */

static enum tumble_code unreadable(const char *path, const char *why, struct tumble_error *err) {
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, "spec %.200s: %s", path, why);
    return TUMBLE_EUSAGE;
}

/* Puts file, line and column in front of the text: byte is an offset in json. */
static void place(const char *path, struct tumble_bytes json, struct tumble_error *err) {
    char text[TUMBLE_ERROR_TEXT];
    memcpy(text, err->text, sizeof text);
    if (err->byte < 0 || (uint64_t)err->byte > json.length) {
        snprintf(err->text, sizeof err->text, "%.150s: %.160s", path, text);
        return;
    }
    uint64_t line = 1, column = 1;
    for (int64_t i = 0; i < err->byte; i++) {
        column++;
        if (json.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    snprintf(err->text, sizeof err->text, "%.120s: line %" PRIu64 ", column %" PRIu64 ": %.150s", path, line, column,
             text);
}

enum tumble_code tw_spec_read(const char *path, const struct tumble_spec_overrides *overrides, struct tumble_spec **out,
                              struct tumble_error *err) {
    static char json[SPEC_BYTES + 1];
    struct tumble_alloc alloc = {0};
    struct tumble_bytes view = {json, 0};
    *out = NULL;
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
    place(path, view, err);
    err->code = TUMBLE_ESPEC; /* malformed JSON is the spec's fault here, not the input's */
    return TUMBLE_ESPEC;
}
