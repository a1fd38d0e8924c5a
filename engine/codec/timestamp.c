#include "engine/codec/timestamp_internal.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/eight_digits.h"
#include "engine/codec/json_text.h"

enum {
    SHOWN = 48,     /* bytes of a value that an error shows */
    TEXT_BYTES = 96 /* no timestamp is longer once its escapes are undone */
};

/* ---- numbers ---- */

static inline bool is_digit(char c) { return (unsigned char)(c - '0') <= 9; }

static enum tw_timestamp_fault check(int64_t ms, int64_t *out_ms) {
    if (ms > TUMBLE_TIMESTAMP_MAX_MS) {
        return TW_TIMESTAMP_AFTER;
    }
    *out_ms = ms;
    return TW_TIMESTAMP_FINE;
}

/* The exact way, digit by digit: value = 0.d1d2d3… × 10^point. first…last holds the digits and perhaps one point. */
static enum tw_timestamp_fault by_digits(const char *first, const char *last, int64_t point, int scale, bool auto_scale,
                                         int64_t *out_ms) {
    if (auto_scale) {
        scale = point <= 11 ? 3 : 0; /* below 1e11: seconds */
    }
    int64_t digits = point + scale; /* before the point of the milliseconds */
    if (digits > 15) {
        return TW_TIMESTAMP_AFTER;
    }
    int64_t ms = 0;
    bool up = false;
    int64_t i = 0;
    for (const char *at = first; at < last && i <= digits; at++) {
        if (*at == '.') {
            continue;
        }
        if (i < digits) {
            ms = ms * 10 + (*at - '0');
        } else {
            up = i == digits && *at >= '5';
        }
        i++;
    }
    for (; i < digits; i++) {
        ms *= 10;
    }
    return check(ms + up, out_ms);
}

enum tw_timestamp_fault tw_timestamp_number(const char *text, size_t length, int scale, bool auto_scale,
                                            int64_t *out_ms) {
    const char *at = text;
    const char *end = text + length;
    /* Nearly all there are: whole numbers of 10 to 15 digits, and seconds with a fraction. */
    if (length >= 10 && length <= 20) {
        int64_t value = 0;
        uint64_t first;
        if (tw_eight_digits(text, &first)) {
            value = (int64_t)first;
            at += 8;
        }
        while (at < end && at - text < 16 && is_digit(*at)) {
            value = value * 10 + (*at++ - '0');
        }
        if (at == end && length <= 15 && value >= 1000000000) {
            int power = !auto_scale ? scale : value < INT64_C(100000000000) ? 3 : 0;
            return check(power ? value * 1000 : value, out_ms);
        }
        if (at - text == 10 && at < end && *at == '.' && (auto_scale || scale == 3)) {
            int32_t nanosecond;
            at++;
            if (tw_timestamp_fraction(&at, end, &nanosecond) && at == end) {
                return check(value * 1000 + (nanosecond + 500000) / 1000000, out_ms);
            }
        }
        at = text;
    }
    bool negative = at < end && *at == '-';
    at += negative;
    const char *first = NULL; /* the first digit that is not zero */
    const char *dot = NULL;
    const char *mantissa = at;
    const char *last;
    size_t digits = 0;
    for (; at < end && (is_digit(*at) || (*at == '.' && !dot)); at++) {
        if (*at == '.') {
            dot = at;
        } else {
            digits++;
            if (!first && *at != '0') {
                first = at;
            }
        }
    }
    last = at;
    if (digits == 0 || dot == mantissa || (dot && dot + 1 == last)) {
        return TW_TIMESTAMP_MALFORMED;
    }
    int64_t exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool minus = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        const char *from = at;
        for (; at < end && is_digit(*at); at++) {
            exponent = exponent < 1000000 ? exponent * 10 + (*at - '0') : exponent;
        }
        if (at == from) {
            return TW_TIMESTAMP_MALFORMED;
        }
        exponent = minus ? -exponent : exponent;
    }
    if (at != end) {
        return TW_TIMESTAMP_MALFORMED;
    }
    if (!first) {
        *out_ms = 0;
        return TW_TIMESTAMP_FINE;
    }
    if (negative) {
        return TW_TIMESTAMP_BEFORE;
    }
    const char *units = dot ? dot : last; /* where the point is or would be */
    int64_t point = units > first ? units - first : units - first + 1;
    return by_digits(first, last, point + exponent, scale, auto_scale, out_ms);
}

/* ---- formats ---- */

enum tumble_code tumble_timestamp_format_parse(struct tumble_timestamp_format *format, struct tumble_bytes text,
                                               struct tumble_error *err) {
    static const char *const names[] = {"auto", "epoch_s", "epoch_ms", "iso8601"};
    struct tumble_timestamp_format made = {.kind = TUMBLE_TIMESTAMP_AUTO};
    int shown = text.length < SHOWN ? (int)text.length : SHOWN;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (tumble_bytes_equal(text, tumble_bytes_of(names[i]))) {
            made.kind = (enum tumble_timestamp_kind)i;
            *format = made;
            return TUMBLE_OK;
        }
    }
    if (text.length == 0 || !memchr(text.data, '%', text.length)) {
        return tw_fail(err, TUMBLE_ESPEC,
                       "unknown timestamp format \"%.*s\": use auto, epoch_s, epoch_ms, iso8601 or a strptime pattern "
                       "such as \"%%Y-%%m-%%d %%H:%%M:%%S\"",
                       shown, text.length ? text.data : "");
    }
    if (text.length >= sizeof made.pattern) {
        return tw_fail(err, TUMBLE_ESPEC, "the timestamp pattern has %zu bytes: at most %zu are allowed", text.length,
                       sizeof made.pattern - 1);
    }
    made.kind = TUMBLE_TIMESTAMP_STRPTIME;
    memcpy(made.pattern, text.data, text.length);
    int wrong = memchr(text.data, '\0', text.length) ? 0 : tw_timestamp_pattern_check(made.pattern);
    if (wrong >= 0) {
        return tw_fail(
            err, TUMBLE_ESPEC,
            "the timestamp pattern \"%.*s\" has \"%.2s\" at position %d, which is not one of %%Y %%y %%m %%d %%e %%j "
            "%%H %%I %%M %%S %%p %%b %%B %%a %%A %%D %%F %%T %%R %%s %%f %%z %%n %%t %%%%",
            shown, text.data, made.pattern + wrong, wrong);
    }
    *format = made;
    return TUMBLE_OK;
}

static const char *wanted(const struct tumble_timestamp_format *format) {
    switch (format->kind) {
    case TUMBLE_TIMESTAMP_EPOCH_S: return "seconds since 1970";
    case TUMBLE_TIMESTAMP_EPOCH_MS: return "milliseconds since 1970";
    case TUMBLE_TIMESTAMP_ISO8601: return "an ISO 8601 date such as 2023-08-03T15:31:57Z";
    case TUMBLE_TIMESTAMP_STRPTIME: return format->pattern;
    case TUMBLE_TIMESTAMP_AUTO: break;
    }
    return "seconds or milliseconds since 1970, or an ISO 8601 date";
}

static enum tumble_code fail(const struct tumble_timestamp_format *format, const struct tumble_value *value,
                             enum tw_timestamp_fault fault, struct tumble_error *err) {
    const char *quote = value->type == TUMBLE_TYPE_STRING ? "\"" : "";
    int shown = value->length < SHOWN ? (int)value->length : SHOWN;
    const char *dots = value->length > SHOWN ? "…" : "";
    switch (fault) {
    case TW_TIMESTAMP_BEFORE:
        return tw_fail(err, TUMBLE_ETIMESTAMP, "the timestamp %s%.*s%s%s is before 1970-01-01T00:00:00Z", quote, shown,
                       value->text, dots, quote);
    case TW_TIMESTAMP_AFTER:
        return tw_fail(err, TUMBLE_ETIMESTAMP, "the timestamp %s%.*s%s%s is after 9999-12-31T23:59:59.999Z%s", quote,
                       shown, value->text, dots, quote,
                       format->kind == TUMBLE_TIMESTAMP_EPOCH_S ? ": is it milliseconds (epoch_ms)?" : "");
    case TW_TIMESTAMP_FIELD:
        return tw_fail(err, TUMBLE_ETIMESTAMP, "the timestamp %s%.*s%s%s is no day or time that exists", quote, shown,
                       value->text, dots, quote);
    default:
        return tw_fail(err, TUMBLE_ETIMESTAMP, "the timestamp %s%.*s%s%s is malformed: expected %s", quote, shown,
                       value->text, dots, quote, wanted(format));
    }
}

static enum tw_timestamp_fault read_text(const struct tumble_timestamp_format *format, bool string, const char *text,
                                         size_t length, int64_t *out_ms) {
    switch (format->kind) {
    case TUMBLE_TIMESTAMP_EPOCH_S: return tw_timestamp_number(text, length, 3, false, out_ms);
    case TUMBLE_TIMESTAMP_EPOCH_MS: return tw_timestamp_number(text, length, 0, false, out_ms);
    case TUMBLE_TIMESTAMP_ISO8601: return string ? tw_timestamp_iso(text, length, out_ms) : TW_TIMESTAMP_MALFORMED;
    case TUMBLE_TIMESTAMP_STRPTIME: return tw_timestamp_pattern(format->pattern, text, length, out_ms);
    case TUMBLE_TIMESTAMP_AUTO: break;
    }
    if (string && length >= 10 && text[4] == '-') {
        return tw_timestamp_iso(text, length, out_ms);
    }
    return tw_timestamp_number(text, length, 0, true, out_ms);
}

enum tumble_code tumble_timestamp_ms(const struct tumble_timestamp_format *format, const struct tumble_value *value,
                                     int64_t *out_ms, struct tumble_error *err) {
    static const char *const kinds[] = {"missing", "null", "false", "true", "", "", "an array", "an object"};
    enum tw_timestamp_fault fault;
    if (value->type == TUMBLE_TYPE_NUMBER ||
        (value->type == TUMBLE_TYPE_STRING && !(value->flags & TUMBLE_VALUE_ESCAPED))) {
        fault = read_text(format, value->type == TUMBLE_TYPE_STRING, value->text, value->length, out_ms);
    } else if (value->type == TUMBLE_TYPE_STRING) {
        char text[TEXT_BYTES];
        size_t length = tw_json_text_copy(value, text, sizeof text);
        fault = length == SIZE_MAX ? TW_TIMESTAMP_MALFORMED : read_text(format, true, text, length, out_ms);
    } else {
        return tw_fail(err, TUMBLE_ETIMESTAMP, "the timestamp is %s: expected %s",
                       value->type <= TUMBLE_TYPE_OBJECT ? kinds[value->type] : "missing", wanted(format));
    }
    return fault == TW_TIMESTAMP_FINE ? TUMBLE_OK : fail(format, value, fault, err);
}

/* ---- text ---- */

static char *put(char *at, uint32_t value, int width) {
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static char *put_seconds(int64_t seconds, char *at) {
    /* Civil date from days (Hinnant); seconds begins in 1970. */
    uint32_t z = (uint32_t)(seconds / 86400) + 719468;
    uint32_t rest = (uint32_t)(seconds % 86400);
    uint32_t era = z / 146097;
    uint32_t doe = z - era * 146097;
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t mp = (5 * doy + 2) / 153;
    uint32_t month = mp < 10 ? mp + 3 : mp - 9;
    uint32_t year = yoe + era * 400 + (month <= 2);
    at = put(at, year, year > 9999 ? 5 : 4);
    *at++ = '-';
    at = put(at, month, 2);
    *at++ = '-';
    at = put(at, doy - (153 * mp + 2) / 5 + 1, 2);
    *at++ = 'T';
    at = put(at, rest / 3600, 2);
    *at++ = ':';
    at = put(at, rest / 60 % 60, 2);
    *at++ = ':';
    return put(at, rest % 60, 2);
}

static int64_t within(int64_t ms) { return ms < 0 ? 0 : ms > TUMBLE_TIMESTAMP_MAX_MS ? TUMBLE_TIMESTAMP_MAX_MS : ms; }

/* The last window ends where the year 10000 begins, or later when it is long. */
static int64_t within_bounds(int64_t ms) {
    return ms <= TUMBLE_TIMESTAMP_MAX_MS      ? within(ms)
           : ms > 2 * TUMBLE_TIMESTAMP_MAX_MS ? 2 * TUMBLE_TIMESTAMP_MAX_MS
                                              : ms;
}

void tumble_timestamp_text(int64_t ms, char out[TUMBLE_TIMESTAMP_TEXT]) {
    char *at = put_seconds(within_bounds(ms) / 1000, out);
    *at++ = 'Z';
    *at = '\0';
}

void tumble_timestamp_text_ms(int64_t ms, char out[TUMBLE_TIMESTAMP_TEXT]) {
    char *at = put_seconds(within(ms) / 1000, out);
    *at++ = '.';
    at = put(at, (uint32_t)(within(ms) % 1000), 3);
    *at++ = 'Z';
    *at = '\0';
}
