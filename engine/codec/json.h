#ifndef TW_CODEC_JSON_H
#define TW_CODEC_JSON_H

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/arena.h"
#include "engine/codec/json_scan.h"

/* Configuration as JSON (specs, patterns): read in place on top of json_scan, so that numbers keep their exact text
 * and every value knows its byte offset. */

/* Checks a whole document: one value of the wanted type and nothing behind it. Errors: EJSON, EUTF8, EDEPTH with byte
 * relative to text. */
enum tumble_code tw_json_document(struct tumble_bytes text, enum tumble_type wanted, struct tumble_value *out,
                                  struct tumble_error *err);

/* "a string", "an object", … for messages. */
const char *tw_json_type_name(uint8_t type);

/* A string value without its escapes, NUL-terminated, in the arena. false: no memory. */
bool tw_json_string_take(const struct tumble_value *string, struct tw_arena *arena, struct tumble_bytes *out);

/* A whole number from its exact text (60, 60.0, 6e1); false when it is not whole or not within INT64. */
bool tw_json_integer(const struct tumble_value *number, int64_t *out);

/* Position of text among names, or -1. */
int tw_name_find(struct tumble_bytes text, const char *const *names, size_t count);
/* The name nearest to text by edit distance (Damerau's, adjacent letters swapped count one), NULL when none is near. */
const char *tw_name_nearest(struct tumble_bytes text, const char *const *names, size_t count);

#endif
