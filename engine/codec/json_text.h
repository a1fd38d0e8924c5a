#ifndef TW_CODEC_JSON_TEXT_H
#define TW_CODEC_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/projection.h>

/* Reads a JSON string code point by code point, undoing escapes on the way, so that a string can be compared without
 * being copied. The text must come from a validating function; a cut text only ends the reading early. */
struct tw_json_text {
    const char *at;
    const char *end;
    bool escaped;
};

static inline struct tw_json_text tw_json_text_of(const struct tumble_value *string) {
    struct tw_json_text text = {string->text, string->text + string->length,
                                (string->flags & TUMBLE_VALUE_ESCAPED) != 0};
    return text;
}

static inline struct tw_json_text tw_json_text_plain(struct tumble_bytes bytes) {
    struct tw_json_text text = {bytes.data, bytes.length ? bytes.data + bytes.length : bytes.data, false};
    return text;
}

bool tw_json_text_next(struct tw_json_text *text, uint32_t *code_point); /* false at the end */

/* Writes UTF-8; returns its length, 1 to 4. */
size_t tw_json_text_put(uint32_t code_point, char out[4]);

/* Undoes the escapes of string into out, at most capacity bytes; returns how many, or SIZE_MAX when they do not fit.
 * Never longer than string->length. */
size_t tw_json_text_copy(const struct tumble_value *string, char *out, size_t capacity);

#endif
