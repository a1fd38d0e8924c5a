#ifndef TW_ENGINE_PARTIAL_H
#define TW_ENGINE_PARTIAL_H

#include "engine/spec_compiled.h"

/* A row's mergeable state: one string an aggregate, "FUNCTION#DIGEST:BASE64", "FUNCTION.TYPE#DIGEST:BASE64" or
 * "FUNCTION{OPTIONS}#DIGEST:BASE64": what is needed to read the encoded state back, whatever spec it came from. OPTIONS
 * is a JSON object of the options that decide state and value, so the string can be merged without the spec. DIGEST, 8
 * hexadecimal digits, stands for what it aggregates (tw_spec_append_origin), which the rest does not say: two sums
 * under one name may be of different fields. */

/* What stands in front of the base64, colon included. */
enum tumble_code tw_partial_prefix(const struct tw_spec_aggregate *aggregate, uint32_t digest, struct tw_buf *out);

/* Views into text. Errors: ECORRUPT. */
struct tw_partial {
    struct tumble_bytes function;
    struct tumble_bytes type;    /* empty: none */
    struct tumble_bytes options; /* JSON object, empty: none */
    uint32_t digest;
    struct tumble_bytes state; /* base64 */
};
enum tumble_code tw_partial_parse(struct tumble_bytes text, struct tw_partial *out, struct tumble_error *err);

/* Appends the JSON object of a group's partials: {"revenue":"sum#…:…", …}. prefixes are those of every aggregate, one
 * behind the other, each ending at ends[i]; scratch is memory to work in. */
enum tumble_code tw_partial_append_all(const struct tumble_spec *spec, const char *states, struct tumble_bytes prefixes,
                                       const uint32_t *ends, struct tw_buf *scratch, struct tw_buf *out);

#endif
