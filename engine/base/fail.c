#include "engine/base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at text (NUL-terminated), 0 when it is malformed or a control character. */
static size_t printable(const unsigned char *text) {
    if (text[0] >= 0x20 && text[0] < 0x7f) {
        return 1;
    }
    size_t length = text[0] >= 0xf0 && text[0] <= 0xf4 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;
    if (text[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static void sanitize(char *text) {
    unsigned char *at = (unsigned char *)text;
    while (*at) {
        size_t length = printable(at);
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}

static void fill(struct tumble_error *err, enum tumble_code code, int64_t byte, const char *format, va_list args) {
    err->code = code;
    err->byte = byte;
    err->record = -1;
    vsnprintf(err->text, sizeof err->text, format, args);
    sanitize(err->text);
}

enum tumble_code tw_fail(struct tumble_error *err, enum tumble_code code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        fill(err, code, -1, format, args);
        va_end(args);
    }
    return code;
}

enum tumble_code tw_fail_at(struct tumble_error *err, enum tumble_code code, int64_t byte, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        fill(err, code, byte, format, args);
        va_end(args);
    }
    return code;
}

void tw_error_prefix(struct tumble_error *err, const char *format, ...) {
    if (!err) {
        return;
    }
    char text[TUMBLE_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (written < 0) {
        return;
    }
    size_t length = (size_t)written < sizeof text ? (size_t)written : sizeof text - 1;
    for (const char *from = ": "; *from && length + 1 < sizeof text; from++) {
        text[length++] = *from;
    }
    for (const char *from = err->text; *from && length + 1 < sizeof text; from++) {
        text[length++] = *from;
    }
    text[length] = '\0';
    memcpy(err->text, text, length + 1);
    sanitize(err->text);
}

enum tumble_code tw_no_memory(struct tumble_error *err) { return tw_fail(err, TUMBLE_ENOMEM, "out of memory"); }
