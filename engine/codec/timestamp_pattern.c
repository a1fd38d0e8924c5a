#include "engine/codec/timestamp_internal.h"

#include <string.h>

/* strptime without the C library's: that one depends on the locale, knows no fraction and leaves unset parts to chance.
 * Conversions: Y y m d e j H I M S p b B h a A D F T R s f z n t %; %f is one to nine digits of a fraction of a second,
 * %z an offset or Z. White space in the pattern matches any run of it, also none. */

static const char known[] = "YymdejHIMSpbBhaADFTRsfznt%";
static const char *const months[] = {"january", "february", "march",     "april",   "may",      "june",
                                     "july",    "august",   "september", "october", "november", "december"};
static const char *const days[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

struct reader {
    const char *at;
    const char *end;
    struct tw_timestamp_parts parts;
    int32_t day_of_year; /* 0: not given */
    int half;            /* 0: none, 1: AM, 2: PM */
    int64_t epoch_ms;    /* -1: not given */
    enum tw_timestamp_fault fault;
};

int tw_timestamp_pattern_check(const char *pattern) {
    for (const char *at = pattern; *at; at++) {
        if (*at == '%') {
            at++;
            if (!*at || !strchr(known, *at)) {
                return (int)(at - 1 - pattern);
            }
        }
    }
    return -1;
}

static bool space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool number(struct reader *r, int most, int32_t *out) {
    int32_t value = 0;
    int digits = 0;
    while (digits < most && r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        value = value * 10 + (*r->at++ - '0');
        digits++;
    }
    *out = value;
    return digits > 0;
}

/* A name in full or by its first three letters, in any case. */
static bool name(struct reader *r, const char *const *names, int32_t count, int32_t *out) {
    for (int32_t i = 0; i < count; i++) {
        size_t matched = 0;
        while (names[i][matched] && r->at + matched < r->end && (r->at[matched] | 0x20) == names[i][matched]) {
            matched++;
        }
        if (matched >= 3) {
            *out = i;
            r->at += names[i][matched] ? 3 : matched;
            return true;
        }
    }
    return false;
}

static bool letters(struct reader *r, const char *pattern);

static bool epoch(struct reader *r) {
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    r->fault = r->at == begin ? TW_TIMESTAMP_MALFORMED
                              : tw_timestamp_number(begin, (size_t)(r->at - begin), 3, false, &r->epoch_ms);
    return r->fault == TW_TIMESTAMP_FINE;
}

static bool half_of_day(struct reader *r) {
    if (r->end - r->at < 2 || (r->at[1] | 0x20) != 'm') {
        return false;
    }
    r->half = (r->at[0] | 0x20) == 'a' ? 1 : (r->at[0] | 0x20) == 'p' ? 2 : 0;
    r->at += 2;
    return r->half != 0;
}

static bool conversion(struct reader *r, char letter) {
    struct tw_timestamp_parts *p = &r->parts;
    int32_t ignored;
    switch (letter) {
    case 'Y': return number(r, 4, &p->year);
    case 'y':
        if (!number(r, 2, &p->year)) {
            return false;
        }
        p->year += p->year < 69 ? 2000 : 1900;
        return true;
    case 'm': return number(r, 2, &p->month);
    case 'e':
        while (r->at < r->end && space(*r->at)) {
            r->at++;
        }
        return number(r, 2, &p->day);
    case 'd': return number(r, 2, &p->day);
    case 'j': return number(r, 3, &r->day_of_year) && r->day_of_year > 0;
    case 'H': return number(r, 2, &p->hour);
    case 'I': return number(r, 2, &p->hour) && p->hour >= 1 && p->hour <= 12;
    case 'M': return number(r, 2, &p->minute);
    case 'S': return number(r, 2, &p->second);
    case 'p': return half_of_day(r);
    case 'b':
    case 'B':
    case 'h':
        if (!name(r, months, 12, &p->month)) {
            return false;
        }
        p->month++;
        return true;
    case 'a':
    case 'A': return name(r, days, 7, &ignored);
    case 'D': return letters(r, "%m/%d/%y");
    case 'F': return letters(r, "%Y-%m-%d");
    case 'T': return letters(r, "%H:%M:%S");
    case 'R': return letters(r, "%H:%M");
    case 's': return epoch(r);
    case 'f': return tw_timestamp_fraction(&r->at, r->end, &p->nanosecond);
    case 'z': return tw_timestamp_offset(&r->at, r->end, &p->offset_minutes);
    case 'n':
    case 't': return letters(r, " ");
    default: return r->at < r->end && *r->at++ == letter; /* %% */
    }
}

static bool letters(struct reader *r, const char *pattern) {
    for (; *pattern; pattern++) {
        if (*pattern == '%') {
            if (!pattern[1] || !conversion(r, *++pattern)) {
                return false;
            }
        } else if (space(*pattern)) {
            while (r->at < r->end && space(*r->at)) {
                r->at++;
            }
        } else if (r->at == r->end || *r->at++ != *pattern) {
            return false;
        }
    }
    return true;
}

enum tw_timestamp_fault tw_timestamp_pattern(const char *pattern, const char *text, size_t length, int64_t *out_ms) {
    struct reader r = {.at = text, .end = text + length, .parts = {.year = 1970, .month = 1, .day = 1}, .epoch_ms = -1};
    if (!letters(&r, pattern) || r.at != r.end) {
        return r.fault ? r.fault : TW_TIMESTAMP_MALFORMED;
    }
    if (r.epoch_ms >= 0) {
        int64_t ms = r.epoch_ms + (r.parts.nanosecond + 500000) / 1000000;
        if (ms > TUMBLE_TIMESTAMP_MAX_MS) {
            return TW_TIMESTAMP_AFTER;
        }
        *out_ms = ms;
        return TW_TIMESTAMP_FINE;
    }
    if (r.half) {
        r.parts.hour = r.parts.hour % 12 + (r.half == 2 ? 12 : 0);
    }
    if (r.day_of_year) {
        int32_t left = r.day_of_year;
        r.parts.month = 1;
        while (r.parts.month < 12 && left > tw_timestamp_month_days(r.parts.year, r.parts.month)) {
            left -= tw_timestamp_month_days(r.parts.year, r.parts.month++);
        }
        r.parts.day = left;
    }
    return tw_timestamp_join(&r.parts, out_ms);
}
