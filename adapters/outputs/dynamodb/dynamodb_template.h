#ifndef TW_DYNAMODB_TEMPLATE_H
#define TW_DYNAMODB_TEMPLATE_H

#include <tumble/output.h>
#include <tumble/spec.h>

#include "engine/base/buf.h"

/* What goes into a key attribute: "{eventType}", "{window_start}/{shard_id}/{fragment}". Pure. Between braces stands a
 * column that says which row it is (a window's or a group's), or
 *     key     the row's key: 32 hex digits that stand for source, spec, window, shard, fragment and group
 *     source  the stream
 *     spec    digest of the spec, 16 hex digits
 *
 * Different values give different texts. So a value's '%', and the character that ends it (the first of the text behind
 * the braces), become %XX, a string's leading '=' becomes %3D, and what is no string is written with '=' in front:
 * 200 → "=200", null → "=null"; the empty string, which a key cannot be, → "=\"\"". */

enum { TW_TEMPLATE_PARTS = 40 };

enum tw_template_kind { TW_TEMPLATE_TEXT, TW_TEMPLATE_COLUMN, TW_TEMPLATE_KEY, TW_TEMPLATE_SOURCE, TW_TEMPLATE_SPEC };

struct tw_template_part {
    enum tw_template_kind kind;
    struct tumble_bytes text; /* TEXT: into the template; COLUMN: its name */
    size_t column;            /* COLUMN: index */
    bool plain;               /* COLUMN: its values never need a change */
    char ends;                /* the character that ends the value; 0: the end of the template */
};

struct tw_template {
    struct tw_template_part parts[TW_TEMPLATE_PARTS];
    size_t count;
};

/* text is borrowed and outlives the template. name names the attribute in messages. Errors: EUSAGE. */
enum tumble_code tw_template_parse(struct tw_template *out, struct tumble_bytes text, const struct tumble_spec *spec,
                                   const char *name, struct tumble_error *err);

/* The template that is one column. Errors: EUSAGE (not one that says which row it is). */
enum tumble_code tw_template_column(struct tw_template *out, const struct tumble_spec *spec, size_t column,
                                    const char *name, struct tumble_error *err);

/* Appends the value of a row, as text. Errors: ENOMEM, ELIMIT, EINVAL (a row without values). */
enum tumble_code tw_template_fill(const struct tw_template *template, const struct tumble_row *row,
                                  struct tumble_bytes source, uint64_t spec_digest, struct tw_buf *out);

/* Do these templates (of one or two key attributes) tell any two rows apart? merged: rows of all shards and fragments
 * are one. EUSAGE, with what is missing and an example. */
enum tumble_code tw_template_tells(const struct tw_template *const *templates, size_t count,
                                   const struct tumble_spec *spec, bool merged, const char *advice,
                                   struct tumble_error *err);

#endif
