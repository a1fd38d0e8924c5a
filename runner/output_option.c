#include "runner/output_option.h"

#include <stdio.h>
#include <string.h>

#include "runner/memory.h"

const char *tumble_output_option_type(enum tumble_option_type type) {
    static const char *const names[] = {"string", "integer", "boolean", "enum", "size", "duration"};
    return names[type];
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int tumble_percent_decode(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++, to++) {
        *to = *at;
        if (*at == '%') {
            int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0 || high * 16 + low == 0) {
                return 0;
            }
            *to = (char)(high * 16 + low);
            at += 2;
        }
    }
    *to = '\0';
    return 1;
}

/* ---- numbers with a unit ---- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {{"", 1},           {"B", 1},        {"k", 1024},    {"K", 1024},
                                    {"KiB", 1024},     {"kB", 1000},    {"KB", 1000},   {"M", 1024 * 1024},
                                    {"MiB", 1 << 20},  {"MB", 1000000}, {"G", 1 << 30}, {"GiB", 1 << 30},
                                    {"GB", 1000000000}};
static const struct unit durations[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit plain[] = {{"", 1}};

/* Digits, perhaps a sign, then one of the units. 0: it is not that, or too large. */
static int read_number(const char *text, const struct unit *units, size_t unit_count, int64_t *out) {
    const char *at = text + (*text == '-');
    int64_t value = 0;
    const char *first = at;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value)) {
            return 0;
        }
    }
    if (at == first) {
        return 0;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(at, units[i].name) == 0) {
            int64_t signed_value = *text == '-' ? -value : value;
            return !__builtin_mul_overflow(signed_value, units[i].factor, out);
        }
    }
    return 0;
}

static enum tumble_code bad_number(const struct tumble_output_option *option, const char *text, const char *uri,
                                   struct tumble_error *err) {
    static const char *const shapes[] = {[TUMBLE_OPTION_INTEGER] = "a whole number",
                                         [TUMBLE_OPTION_SIZE] = "a number of bytes, as 65536, 64KiB or 5MB",
                                         [TUMBLE_OPTION_DURATION] = "a duration, as 250ms, 30s, 5m, 2h or 1d"};
    return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.120s: %s \"%.40s\" is not %s", uri, option->name, text,
                              shapes[option->type]);
}

static enum tumble_code read_amount(const struct tumble_output_option *option, const char *text, const char *uri,
                                    int64_t *out, struct tumble_error *err) {
    int good = option->type == TUMBLE_OPTION_SIZE ? read_number(text, sizes, sizeof sizes / sizeof *sizes, out)
               : option->type == TUMBLE_OPTION_DURATION
                   ? read_number(text, durations, sizeof durations / sizeof *durations, out)
                   : read_number(text, plain, 1, out);
    if (!good || (option->type != TUMBLE_OPTION_INTEGER && *out < 0)) {
        return bad_number(option, text, uri, err);
    }
    int bounded = option->minimum != 0 || option->maximum != 0;
    if (bounded && (*out < option->minimum || *out > option->maximum)) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.120s: %s \"%.40s\" is not between %lld and %lld%s", uri,
                                  option->name, text, (long long)option->minimum, (long long)option->maximum,
                                  option->type == TUMBLE_OPTION_SIZE       ? " bytes"
                                  : option->type == TUMBLE_OPTION_DURATION ? " ms"
                                                                           : "");
    }
    return TUMBLE_OK;
}

/* ---- words ---- */

static enum tumble_code read_word(const struct tumble_output_option *option, const char *text, const char *uri,
                                  int64_t *out, struct tumble_error *err) {
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; option->words[i]; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *out = (int64_t)i;
            return TUMBLE_OK;
        }
        const char *join = i == 0 ? "" : option->words[i + 1] ? ", " : " or ";
        if (used < sizeof list) {
            int n = snprintf(list + used, sizeof list - used, "%s%s", join, option->words[i]);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    return tumble_runner_fail(err, TUMBLE_EUSAGE, "%.120s: unknown %s \"%.40s\": it is %s", uri, option->name, text,
                              list);
}

static enum tumble_code read_boolean(const struct tumble_output_option *option, const char *text, const char *uri,
                                     int64_t *out, struct tumble_error *err) {
    *out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0
               ? TUMBLE_OK
               : tumble_runner_fail(err, TUMBLE_EUSAGE, "%.120s: %s \"%.40s\" is neither true nor false", uri,
                                    option->name, text);
}

enum tumble_code tumble_output_option_read(const struct tumble_output_option *option, const char *text, const char *uri,
                                           struct tumble_option_value *out, struct tumble_error *err) {
    out->name = option->name;
    out->value = text;
    out->number = 0;
    switch (option->type) {
    case TUMBLE_OPTION_STRING: return TUMBLE_OK;
    case TUMBLE_OPTION_BOOLEAN: return read_boolean(option, text, uri, &out->number, err);
    case TUMBLE_OPTION_ENUM: return read_word(option, text, uri, &out->number, err);
    case TUMBLE_OPTION_INTEGER:
    case TUMBLE_OPTION_SIZE:
    case TUMBLE_OPTION_DURATION: return read_amount(option, text, uri, &out->number, err);
    }
    return tumble_runner_fail(err, TUMBLE_EINVAL, "%.120s: option %s is of no known type", uri, option->name);
}
