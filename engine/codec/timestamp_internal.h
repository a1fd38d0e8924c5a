#ifndef TW_CODEC_TIMESTAMP_INTERNAL_H
#define TW_CODEC_TIMESTAMP_INTERNAL_H

#include <stdbool.h>

#include <tumble/timestamp.h>

/* What the readers of timestamps share: timestamp.c (numbers, dispatch), timestamp_iso.c, timestamp_pattern.c. */

enum tw_timestamp_fault {
    TW_TIMESTAMP_FINE,
    TW_TIMESTAMP_MALFORMED,
    TW_TIMESTAMP_FIELD, /* the form is right, a part is out of range: month 13, 30 February */
    TW_TIMESTAMP_BEFORE,
    TW_TIMESTAMP_AFTER
};

/* A date and time of day as read; tw_timestamp_join checks every part. */
struct tw_timestamp_parts {
    int32_t year, month, day; /* proleptic Gregorian */
    int32_t hour, minute, second;
    int32_t nanosecond;
    int32_t offset_minutes; /* east of UTC */
};

/* Days since 1970-01-01 (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms). */
int64_t tw_timestamp_days(int32_t year, int32_t month, int32_t day);
int32_t tw_timestamp_month_days(int32_t year, int32_t month);

enum tw_timestamp_fault tw_timestamp_join(const struct tw_timestamp_parts *parts, int64_t *out_ms);
enum tw_timestamp_fault tw_timestamp_iso(const char *text, size_t length, int64_t *out_ms);
enum tw_timestamp_fault tw_timestamp_pattern(const char *pattern, const char *text, size_t length, int64_t *out_ms);
/* Offset in pattern of a conversion we do not know, -1 when all are known. */
int tw_timestamp_pattern_check(const char *pattern);
/* ms = number × 10^scale, rounded half up; scale 0 or 3. auto_scale: seconds below 1e11, else milliseconds. */
enum tw_timestamp_fault tw_timestamp_number(const char *text, size_t length, int scale, bool auto_scale,
                                            int64_t *out_ms);
/* "Z", "+hh:mm", "+hhmm" or "+hh" at *at; false when it is none of them. */
bool tw_timestamp_offset(const char **at, const char *end, int32_t *minutes);
/* One to nine digits behind a point, as nanoseconds. */
bool tw_timestamp_fraction(const char **at, const char *end, int32_t *nanosecond);

#endif
