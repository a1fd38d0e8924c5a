#ifndef TW_ENGINE_SPEC_DRAFT_H
#define TW_ENGINE_SPEC_DRAFT_H

#include "engine/base/buf.h"
#include "engine/spec_compiled.h"

/* A spec on its way: what the JSON text (spec_read.c) and the overrides (spec_shorthand.c) say, still as text; spec.c
 * checks it and makes a struct tumble_spec of it, spec_explain.c its columns. Everything lives in the spec's arena. */

struct tw_draft_group {
    struct tumble_bytes name; /* empty: the path */
    struct tumble_bytes path;
    const char *place; /* "group_by[1]" */
    int64_t byte;      /* in the JSON text, or -1 */
};

struct tw_draft_aggregate {
    struct tumble_bytes name;
    struct tumble_bytes function;
    struct tumble_bytes field; /* empty: none */
    struct tumble_bytes type;  /* empty: plain */
    const char *place;
    int64_t byte;
};

struct tw_draft_text { /* a text that may be absent */
    struct tumble_bytes text;
    const char *place;
    int64_t byte;
    bool given;
};

struct tw_draft {
    struct tumble_spec *spec;
    struct tw_arena *arena;
    struct tumble_bytes json;
    struct tumble_error *err;
    int64_t window_seconds;
    int64_t window_byte;
    struct tw_draft_text timestamp_field;
    struct tw_draft_text timestamp_format;
    struct tw_draft_text where; /* of the JSON text: a view into it */
    struct tw_draft_group *groups;
    size_t group_count;
    struct tw_draft_aggregate *aggregates;
    size_t aggregate_count;
    struct tw_draft_text *outputs;
    size_t output_count;
    struct tw_draft_text failures;
    struct tw_draft_text bad_records;
};

void *tw_draft_take(struct tw_draft *draft, size_t count, size_t size); /* zeroed; NULL: no memory */
const char *tw_draft_print(struct tw_draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the JSON text into the draft. Errors: ESPEC, EJSON, EUTF8, EDEPTH, ENOMEM. */
enum tumble_code tw_draft_read(struct tw_draft *draft);
/* Lays the overrides over the draft. Errors: ESPEC, ENOMEM. */
enum tumble_code tw_draft_override(struct tw_draft *draft, const struct tumble_spec_overrides *overrides);

/* Fills spec->columns. Errors: ENOMEM. */
enum tumble_code tw_spec_explain(struct tw_draft *draft);

#endif
