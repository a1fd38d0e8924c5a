#ifndef TUMBLE_TIMESTAMP_H
#define TUMBLE_TIMESTAMP_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Instants are int64_t milliseconds since 1970-01-01T00:00:00Z, from 0 to 253402300799999 (9999-12-31T23:59:59.999Z);
 * anything outside is ETIMESTAMP. */
#define TUMBLE_TIMESTAMP_MAX_MS INT64_C(253402300799999)

enum tumble_timestamp_kind {
    TUMBLE_TIMESTAMP_AUTO =
        0, /* number: epoch seconds below 1e11, else milliseconds; string: ISO 8601, else as a number */
    TUMBLE_TIMESTAMP_EPOCH_S,
    TUMBLE_TIMESTAMP_EPOCH_MS,
    TUMBLE_TIMESTAMP_ISO8601,
    TUMBLE_TIMESTAMP_STRPTIME /* a pattern with a '%': UTC unless it has %z */
};

struct tumble_timestamp_format {
    enum tumble_timestamp_kind kind;
    char pattern[64]; /* STRPTIME only, NUL-terminated */
};

/* "auto", "epoch_s", "epoch_ms", "iso8601" or a strptime pattern. Errors: ESPEC. */
TUMBLE_EXPORT enum tumble_code tumble_timestamp_format_parse(struct tumble_timestamp_format *format,
                                                             struct tumble_bytes text, struct tumble_error *err);

/* Value (a JSON number or string) to milliseconds; fractions of a millisecond round half up.
 * Numbers take every form JSON and Java's Double.toString give (1.69106871717E9). Errors: ETIMESTAMP. Thread-safe. */
TUMBLE_EXPORT enum tumble_code tumble_timestamp_ms(const struct tumble_timestamp_format *format,
                                                   const struct tumble_value *value, int64_t *out_ms,
                                                   struct tumble_error *err);

#define TUMBLE_TIMESTAMP_TEXT 25

/* Writes "YYYY-MM-DDTHH:MM:SSZ" and a NUL (21 bytes), the form of window bounds; ms is cut to whole seconds. The end of
 * the last windows lies past 9999: the year then has five digits. */
TUMBLE_EXPORT void tumble_timestamp_text(int64_t ms, char out[TUMBLE_TIMESTAMP_TEXT]);

/* Writes "YYYY-MM-DDTHH:MM:SS.mmmZ" and a NUL (25 bytes). */
TUMBLE_EXPORT void tumble_timestamp_text_ms(int64_t ms, char out[TUMBLE_TIMESTAMP_TEXT]);

#ifdef __cplusplus
}
#endif

#endif
