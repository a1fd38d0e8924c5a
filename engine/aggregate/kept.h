#ifndef TW_AGGREGATE_KEPT_H
#define TW_AGGREGATE_KEPT_H

#include "engine/aggregate/aggregate.h"

/* Values and positions as states keep them: in memory a payload (a decimal's bytes or a string's, nothing for a
 * boolean) beside a type, in stored frames the forms of docs/aggregates.md. */

static inline size_t tw_kept_length(const struct tw_value *value) {
    return value->type == TUMBLE_TYPE_NUMBER   ? sizeof(struct tw_decimal)
           : value->type == TUMBLE_TYPE_STRING ? value->text.length
                                               : 0;
}

/* Writes tw_kept_length bytes. Equal values have equal payloads. */
static inline void tw_kept_put(char *out, const struct tw_value *value) {
    size_t length = tw_kept_length(value);
    if (length) {
        memcpy(out, value->type == TUMBLE_TYPE_NUMBER ? (const void *)&value->number : value->text.data, length);
    }
}

/* The value of a payload; a string's text borrows it. */
static inline void tw_kept_get(struct tw_value *out, uint8_t type, const char *payload, size_t text_length) {
    memset(out, 0, sizeof *out);
    out->type = type;
    if (type == TUMBLE_TYPE_NUMBER) {
        memcpy(&out->number, payload, sizeof out->number);
    } else if (type == TUMBLE_TYPE_STRING) {
        out->text.data = payload;
        out->text.length = text_length;
    }
}

/* false < true < numbers < strings, then by number or bytes. */
int tw_kept_compare(const struct tw_value *a, const struct tw_value *b);
int tw_position_compare(const struct tw_position *a, const struct tw_position *b);

enum tumble_code tw_kept_append_json(const struct tw_value *value, struct tw_buf *out);

/* A number in its ordered form, or a string as varint length and bytes; the type is the caller's to store. take reads
 * the payload of value->type and returns false for bytes that append never writes. A string borrows the bytes. */
enum tumble_code tw_kept_append(const struct tw_value *value, struct tw_buf *out);
bool tw_kept_take(struct tw_cursor *in, struct tw_value *value);

/* Zigzag varint arrival, packed sequence, varint sub-sequence. take writes the digits to the caller's memory. */
enum tumble_code tw_position_append(const struct tw_position *position, struct tw_buf *out);
bool tw_position_take(struct tw_cursor *in, char digits[TW_LIMIT_SEQUENCE_DIGITS], struct tw_position *out);

#endif
