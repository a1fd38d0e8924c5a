#include "cli/terminal_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>

void tw_say(const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fputs("tumble: ", stderr);
    tw_print_plain(stderr, tumble_bytes_of(text));
    fputc('\n', stderr);
}

const char *tw_number_text(uint64_t value, char out[TW_NUMBER_TEXT]) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

const char *tw_bytes_text(uint64_t bytes, char out[TW_NUMBER_TEXT]) {
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    if (bytes < 1000) {
        snprintf(out, TW_NUMBER_TEXT, "%" PRIu64 " bytes", bytes);
        return out;
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(out, TW_NUMBER_TEXT, "%.1f %s", value, units[unit]);
    return out;
}

const char *tw_duration_text(int64_t seconds, char out[TW_NUMBER_TEXT]) {
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (units[i].seconds > 1 && (seconds == 0 || seconds % units[i].seconds != 0)) {
        i++;
    }
    int64_t count = seconds / units[i].seconds;
    snprintf(out, TW_NUMBER_TEXT, "%" PRId64 " %s%s", count, units[i].name, count == 1 ? "" : "s");
    return out;
}

/* Length of the well-formed UTF-8 sequence at the front, 0 when it is malformed. */
static size_t utf8_length(struct tumble_bytes text) {
    const unsigned char *at = (const unsigned char *)text.data;
    if (at[0] < 0x80) {
        return 1;
    }
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > text.length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

void tw_print_json_string(FILE *to, struct tumble_bytes text) {
    fputc('"', to);
    while (text.length > 0) {
        size_t length = utf8_length(text);
        unsigned char c = (unsigned char)text.data[0];
        if (length == 0) {
            fputs("\\ufffd", to);
            length = 1;
        } else if (c == '"' || c == '\\') {
            fprintf(to, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(to, "\\u%04x", c);
        } else {
            fwrite(text.data, 1, length, to);
        }
        text.data += length;
        text.length -= length;
    }
    fputc('"', to);
}

void tw_print_plain(FILE *to, struct tumble_bytes text) {
    while (text.length > 0) {
        size_t length = utf8_length(text);
        unsigned char c = (unsigned char)text.data[0];
        bool c1 = length == 2 && c == 0xc2 && (unsigned char)text.data[1] < 0xa0;
        if (length == 0 || c < 0x20 || c == 0x7f || c1) {
            fputc('?', to);
            length = length == 0 ? 1 : length;
        } else {
            fwrite(text.data, 1, length, to);
        }
        text.data += length;
        text.length -= length;
    }
}
