#ifndef TW_FILE_FORMAT_H
#define TW_FILE_FORMAT_H

#include <tumble/output.h>
#include <tumble/spec.h>

#include "engine/base/buf.h"

/* Rows as text. Pure: appends to a buffer, does no I/O. Every function returns OK, ENOMEM or ELIMIT (the buffer's cap).
 * A row's values are JSON texts that tumble wrote itself. One thread per object. */

/* The row's JSON and a newline. */
enum tumble_code tw_format_ndjson_row(struct tw_buf *out, const struct tumble_row *row);

/* RFC 4180: a header line of the spec's column names, CRLF ends every line; strings stand unescaped and are quoted
 * where they must be, null is an empty field and an empty string is "". A row without values gives EINVAL. */
enum tumble_code tw_format_csv_header(struct tw_buf *out, const struct tumble_spec *spec);
enum tumble_code tw_format_csv_row(struct tw_buf *out, const struct tumble_row *row);

/* Aligned columns for people. Leaves out fragment and last_sequence; numbers stand right, null is "-"; control
 * characters and bidirectional overrides are escaped, so that a value can never drive the terminal. */

enum { TW_TABLE_MEASURED_ROWS = 1000 };

struct tw_table_column {
    const char *name; /* borrowed from the spec */
    uint32_t value;   /* index into a row's values */
    uint32_t width;   /* in terminal cells */
    bool right;       /* header stands right: the column's first value that is not null was a number */
    bool seen;        /* such a value was measured */
};

struct tw_table {
    struct tumble_alloc alloc;
    struct tw_table_column *columns;
    size_t column_count;
    uint32_t cell_limit; /* a text wider than this ends in an ellipsis; 0: never cut */
    struct tw_buf cell;  /* scratch */
};

/* terminal_columns 0: unknown, nothing is cut. spec is borrowed until clean_up. clean_up is idempotent. */
enum tumble_code tw_table_init(struct tw_table *table, const struct tumble_spec *spec, uint32_t terminal_columns,
                               struct tumble_alloc alloc);
void tw_table_clean_up(struct tw_table *table);
/* Widens columns to fit the row. */
enum tumble_code tw_table_measure(struct tw_table *table, const struct tumble_row *row);
/* The header and a line under it. */
enum tumble_code tw_table_header(struct tw_table *table, struct tw_buf *out);
/* One line; a value that was not measured and is wider than its column widens it from here on. */
enum tumble_code tw_table_row(struct tw_table *table, struct tw_buf *out, const struct tumble_row *row);

/* Cells that UTF-8 text takes on a terminal, malformed bytes and controls counted as one each. */
size_t tw_text_width(struct tumble_bytes text);

#endif
