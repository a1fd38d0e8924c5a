#ifndef TW_CODEC_FIELD_PATH_H
#define TW_CODEC_FIELD_PATH_H

#include <stdbool.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"

/* A field is a dotted path ("geo.country": object keys only) or, when it begins with '/', a JSON Pointer (RFC 6901:
 * "/a/0/b", ~1 for '/', ~0 for '~'; a decimal segment also names an array position). */

/* Refuses empty paths and segments, bad ~ escapes, NUL and more than TW_LIMIT_PATH_BYTES. Errors: EPATH, with the
 * offset in path as byte. */
enum tumble_code tw_field_path_check(struct tumble_bytes path, struct tumble_error *err);

/* Appends the one spelling that every path of the same meaning shares: dotted where that says the same, else the
 * pointer. path must have passed the check. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_field_path_canonical(struct tumble_bytes path, struct tw_buf *out);

/* Appends "/key" with the escapes of a pointer. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_field_path_append(struct tw_buf *pointer, struct tumble_bytes key);

#endif
