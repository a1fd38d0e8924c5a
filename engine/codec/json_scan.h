#ifndef TW_CODEC_JSON_SCAN_H
#define TW_CODEC_JSON_SCAN_H

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

/* Strict JSON without a tree (RFC 8259, UTF-8 checked, lone surrogates refused, depth limited by TW_LIMIT_JSON_DEPTH).
 * Nothing here allocates per value or recurses on the input's depth beyond a fixed bit stack. */

/* Parses one value from the front of json (leading white space allowed) and describes it. consumed and end_of_input as
 * in tumble_project. */
enum tumble_code tw_json_value(struct tumble_bytes json, int end_of_input, struct tumble_value *out, size_t *consumed,
                               struct tumble_error *err);

/* Walks the members of an object or the elements of an array whose text was already validated by one of these
 * functions (value->type OBJECT or ARRAY). Set up with tw_json_walk_begin, then call next until it returns false. */
struct tw_json_walk {
    const char *at;
    const char *end;
    int is_object;
};
void tw_json_walk_begin(struct tw_json_walk *walk, const struct tumble_value *container);
bool tw_json_walk_next(struct tw_json_walk *walk, struct tumble_value *key, struct tumble_value *value);

/* Cuts an object that tumble wrote itself into the JSON texts of its members; false: there are not just count of them.
 */
bool tw_json_split(struct tumble_bytes json, struct tumble_bytes *values, size_t count);

/* Undoes the escapes of a string value: appends its UTF-8 to buf. The value comes from a validating function. */
enum tumble_code tw_json_unescape(const struct tumble_value *string, struct tw_buf *out);
/* Same string, whatever way it is escaped? text holds plain UTF-8. */
bool tw_json_string_equal(const struct tumble_value *string, struct tumble_bytes text);

/* Skips white space; returns the first other byte or end. */
const char *tw_json_space(const char *at, const char *end);

/* Compiles field paths ("geo.country", "/a/0/b"; an empty path or "/"-less text is dotted) into a projection; value i
 * belongs to path i; the same path may occur more than once. A dotted segment matches object keys only, a pointer's
 * decimal segment also array positions. Errors: EPATH (byte: offset in the path; record: which path), ENOMEM, ELIMIT
 * (more than TW_LIMIT_FIELDS different paths). paths need not outlive the call. */
enum tumble_code tw_projection_new(const struct tumble_bytes *paths, size_t count, struct tumble_alloc alloc,
                                   struct tumble_projection **out, struct tumble_error *err);
void tw_projection_destroy(struct tumble_projection *projection); /* NULL allowed */

#endif
