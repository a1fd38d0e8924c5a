#include "engine/codec/timestamp_internal.h"

/* ISO 8601: "YYYY-MM-DD", and with 'T', 't' or a space "HH:MM:SS" behind it, up to nine digits of fraction (point or
 * comma), then "Z", "z", an offset, or nothing, which is UTC. */

int64_t tw_timestamp_days(int32_t year, int32_t month, int32_t day) {
    int32_t y = month <= 2 ? year - 1 : year; /* years begin in March, so that the leap day ends them */
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    int32_t year_of_era = y - era * 400;
    int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

int32_t tw_timestamp_month_days(int32_t year, int32_t month) {
    static const int8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

enum tw_timestamp_fault tw_timestamp_join(const struct tw_timestamp_parts *p, int64_t *out_ms) {
    if (p->year < 0 || p->year > 9999 || p->month < 1 || p->month > 12 || p->day < 1 ||
        p->day > tw_timestamp_month_days(p->year, p->month) || p->hour < 0 || p->hour > 23 || p->minute < 0 ||
        p->minute > 59 || p->second < 0 || p->second > 60) {
        return TW_TIMESTAMP_FIELD;
    }
    /* A leap second counts as the second behind it, as POSIX has it. */
    int64_t seconds = tw_timestamp_days(p->year, p->month, p->day) * 86400 + (int64_t)p->hour * 3600 +
                      (int64_t)p->minute * 60 + p->second - (int64_t)p->offset_minutes * 60;
    if (seconds < 0) {
        return TW_TIMESTAMP_BEFORE;
    }
    int64_t ms = seconds * 1000 + (p->nanosecond + 500000) / 1000000;
    if (ms > TUMBLE_TIMESTAMP_MAX_MS) {
        return TW_TIMESTAMP_AFTER;
    }
    *out_ms = ms;
    return TW_TIMESTAMP_FINE;
}

/* Digits become 0 to 9, anything else is above 9: or-ed together they tell whether all were digits. */
static inline uint32_t digit(const char *at) { return (uint32_t)(unsigned char)*at - '0'; }

static inline int32_t two(const char *at, uint32_t *bad) {
    uint32_t a = digit(at);
    uint32_t b = digit(at + 1);
    *bad |= (uint32_t)(a > 9) | (uint32_t)(b > 9);
    return (int32_t)(a * 10 + b);
}

bool tw_timestamp_fraction(const char **at, const char *end, int32_t *nanosecond) {
    int32_t value = 0;
    int digits = 0;
    while (*at < end && digit(*at) <= 9) {
        if (++digits > 9) {
            return false;
        }
        value = value * 10 + (int32_t)digit((*at)++);
    }
    if (digits == 0) {
        return false;
    }
    for (; digits < 9; digits++) {
        value *= 10;
    }
    *nanosecond = value;
    return true;
}

bool tw_timestamp_offset(const char **at, const char *end, int32_t *minutes) {
    const char *p = *at;
    if (p == end) {
        return false;
    }
    *minutes = 0;
    if (*p == 'Z' || *p == 'z') {
        *at = p + 1;
        return true;
    }
    uint32_t bad = 0;
    bool west = *p == '-';
    if ((!west && *p != '+') || end - p < 3) {
        return false;
    }
    int32_t hours = two(p + 1, &bad);
    int32_t rest = 0;
    p += 3;
    if (end - p >= 3 && *p == ':') {
        rest = two(p + 1, &bad);
        p += 3;
    } else if (end - p >= 2 && *p != ':') {
        rest = two(p, &bad);
        p += 2;
    }
    if (bad || hours > 23 || rest > 59) {
        return false;
    }
    *minutes = (west ? -1 : 1) * (hours * 60 + rest);
    *at = p;
    return true;
}

enum tw_timestamp_fault tw_timestamp_iso(const char *text, size_t length, int64_t *out_ms) {
    struct tw_timestamp_parts parts = {.month = 1};
    uint32_t bad = 0;
    if (length < 10 || text[4] != '-' || text[7] != '-') {
        return TW_TIMESTAMP_MALFORMED;
    }
    parts.year = two(text, &bad) * 100 + two(text + 2, &bad);
    parts.month = two(text + 5, &bad);
    parts.day = two(text + 8, &bad);
    if (length > 10) {
        if (length < 19 || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' ||
            text[16] != ':') {
            return TW_TIMESTAMP_MALFORMED;
        }
        parts.hour = two(text + 11, &bad);
        parts.minute = two(text + 14, &bad);
        parts.second = two(text + 17, &bad);
        const char *at = text + 19;
        const char *end = text + length;
        if (at < end && (*at == '.' || *at == ',')) {
            at++;
            if (!tw_timestamp_fraction(&at, end, &parts.nanosecond)) {
                return TW_TIMESTAMP_MALFORMED;
            }
        }
        if (at < end && (!tw_timestamp_offset(&at, end, &parts.offset_minutes) || at != end)) {
            return TW_TIMESTAMP_MALFORMED;
        }
    }
    return bad ? TW_TIMESTAMP_MALFORMED : tw_timestamp_join(&parts, out_ms);
}
