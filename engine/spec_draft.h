#ifndef TW_ENGINE_SPEC_DRAFT_H
#define TW_ENGINE_SPEC_DRAFT_H

#include "engine/base/buf.h"
#include "engine/spec_compiled.h"

/* A spec on its way: what the JSON text (spec_read.c) and the overrides (spec_shorthand.c) say, still as text; spec.c
 * checks it and makes a struct tumble_spec of it, spec_aggregate.c and spec_option.c its aggregates, spec_explain.c its
 * columns, spec_canonical.c its canonical text. Everything lives in the spec's arena. */

enum { TW_COLUMNS_MOST = 1024 }; /* of groups and aggregates in a row */

struct tw_draft_group {
    struct tumble_bytes name; /* empty: the path */
    struct tumble_bytes path;
    const char *place; /* "group_by[1]" */
    int64_t byte;      /* in the JSON text, or -1 */
};

struct tw_draft_text { /* a text that may be absent */
    struct tumble_bytes text;
    const char *place;
    int64_t byte;
    bool given;
};

/* A key of an aggregate that only its function can tell about: an option or the second field. */
struct tw_draft_member {
    struct tumble_bytes name;
    struct tumble_value value; /* of the JSON text */
    struct tumble_bytes text;  /* of a command line: as it stands there; data NULL in one of the JSON text */
    int64_t byte;
};

struct tw_draft_aggregate {
    struct tumble_bytes name;
    struct tumble_bytes function;
    struct tumble_bytes field; /* empty: none */
    struct tumble_bytes type;  /* empty: plain */
    struct tw_draft_text where;
    struct tw_draft_member *members; /* a command line may have several of one name: a list */
    size_t member_count;
    const char *place;
    int64_t byte;
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
    enum tw_partials partials;
    const struct tumble_aggregate *const *custom; /* of the overrides */
    size_t custom_count;
};

void *tw_draft_take(struct tw_draft *draft, size_t count, size_t size); /* zeroed; NULL: no memory */
const char *tw_draft_print(struct tw_draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the JSON text into the draft. Errors: ESPEC, EJSON, EUTF8, EDEPTH, ENOMEM. */
enum tumble_code tw_draft_read(struct tw_draft *draft);
/* Lays the overrides over the draft. Errors: ESPEC, ENOMEM. */
enum tumble_code tw_draft_override(struct tw_draft *draft, const struct tumble_spec_overrides *overrides);

/* Fills spec->aggregates, each with its columns' names. Errors: ESPEC, EPATTERN, EPATH, ENOMEM. */
enum tumble_code tw_spec_make_aggregates(struct tw_draft *draft, uint32_t *projected);
/* Fills out->params from the members that are options of its function; the rest must be known too (its second field).
 * Errors: ESPEC, ENOMEM. */
enum tumble_code tw_spec_make_options(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                      struct tw_spec_aggregate *out);
/* The one of keys that word, which is none of them, may have meant; NULL: none. */
const char *tw_spec_nearest_key(struct tumble_bytes word, const char *const *keys, size_t count);
/* The numbers of an option when the spec is silent, in the arena. false: no memory, or the table is wrong. */
bool tw_spec_fallback(struct tw_arena *arena, const struct tw_option *option, struct tw_param *out);
/* Fills spec->columns. Errors: ENOMEM. */
enum tumble_code tw_spec_explain(struct tw_draft *draft);
/* Does a row's figure say too little to fold it with other rows'? (An aggregate that is not additive.) */
bool tw_spec_needs_partials(const struct tumble_spec *spec);
/* Appends the canonical text of what decides an aggregate's state, its name aside: the function with its keys, group_by
 * and the spec's where. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_spec_append_origin(struct tw_buf *out, const struct tumble_spec *spec,
                                       const struct tw_spec_aggregate *aggregate);
/* Appends the canonical text. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_spec_append_canonical(struct tw_buf *out, const struct tumble_spec *spec);

/* ---- what spec.c lends them ---- */

/* The field's index among the spec's fields, which hold each distinct field once. place and key are for messages.
 * Errors: ESPEC, EPATH, ENOMEM. */
enum tumble_code tw_draft_field(struct tw_draft *draft, struct tumble_bytes path, const char *place, const char *key,
                                int64_t byte, uint32_t *projected, size_t *index);
/* May a column be called so, and is none yet? remedy ends the message. Errors: ESPEC. */
enum tumble_code tw_draft_check_name(struct tw_draft *draft, struct tumble_bytes name, const char *place,
                                     const char *remedy, int64_t byte);
/* Compiles a pattern; the caller owns *out. Errors: EPATTERN, ENOMEM. */
enum tumble_code tw_draft_pattern(struct tw_draft *draft, const struct tw_draft_text *where,
                                  struct tw_filter_pattern **out);

static inline int tw_shown(struct tumble_bytes text) { return text.length < 48 ? (int)text.length : 48; }

#endif
