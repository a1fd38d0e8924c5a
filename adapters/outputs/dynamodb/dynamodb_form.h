#ifndef TW_DYNAMODB_FORM_H
#define TW_DYNAMODB_FORM_H

#include <tumble/output.h>

#include "adapters/aws/dynamodb_calls.h"
#include "adapters/outputs/dynamodb/dynamodb_template.h"
#include "engine/base/buf.h"

/* How the rows of a spec become items of a table: what goes into its key attributes, which columns there are, the time
 * to live. Pure: knows the table from what DescribeTable said. */

struct tw_dynamodb_key_form {
    struct tw_dynamodb_key attribute;
    bool own_column; /* the column of that name is the attribute */
    struct tw_template template;
    size_t limit; /* bytes of its value */
};

struct tw_dynamodb_form {
    struct tumble_alloc alloc;
    struct tw_dynamodb_key_form keys[2];
    size_t key_count;
    const struct tumble_spec *spec;
    struct tumble_bytes source;
    uint64_t spec_digest;
    bool merged;
    bool has_row_key;   /* items bear "_key" */
    char ttl_name[256]; /* "": no time to live */
    int64_t ttl_seconds;
    struct tw_buf names; /* ,"name": of every column */
    size_t *name_ends;   /* in names */
    size_t *name_bytes;  /* of the bare name */
    size_t column_count;
    struct tw_buf scratch;
    struct tumble_error reason; /* why the last row was rejected */
};

/* "ATTRIBUTE:SECONDS". Errors: EUSAGE. */
enum tumble_code tw_dynamodb_ttl_read(const char *text, char name[256], int64_t *seconds, struct tumble_error *err);

/* Templates among the options, before the table is known: is each one a template over the spec's columns? */
enum tumble_code tw_dynamodb_options_check(const struct tumble_output_open *how, size_t known, bool merged,
                                           struct tumble_error *err);

/* known: options of the output's own, which stand first; those behind them are key attributes. Templates point into
 * options' values, which must live as long as the form. Errors: EUSAGE, ENOMEM. clean_up is idempotent. */
enum tumble_code tw_dynamodb_form_init(struct tw_dynamodb_form *form, const struct tumble_output_open *how,
                                       size_t known, const struct tw_dynamodb_table *table, bool merged,
                                       const char *ttl, struct tumble_alloc alloc, struct tumble_error *err);
void tw_dynamodb_form_clean_up(struct tw_dynamodb_form *form);

/* Appends "pk":{"S":"…"},"sk":{…} of a row. EREJECTED: form->reason says why no item can be made. ENOMEM, ELIMIT. */
enum tumble_code tw_dynamodb_form_key(struct tw_dynamodb_form *form, const struct tumble_row *row, struct tw_buf *out);

/* Appends the row's whole item, {…}. As form_key; EREJECTED also: over 400 KB. */
enum tumble_code tw_dynamodb_form_item(struct tw_dynamodb_form *form, const struct tumble_row *row, struct tw_buf *out);

/* The parts of an item, for items that are not a row: attributes of key templates without the leading comma (own
 * columns left out), and time to live with one. They add to *size. */
enum tumble_code tw_dynamodb_form_put_keys(struct tw_dynamodb_form *form, const struct tumble_row *row,
                                           struct tw_buf *out, size_t *size);
enum tumble_code tw_dynamodb_form_put_ttl(const struct tw_dynamodb_form *form, int64_t window_end_ms,
                                          struct tw_buf *out, size_t *size);

#endif
