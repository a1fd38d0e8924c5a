#include "adapters/outputs/file/file_format.h"

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

static enum tumble_code append_bytes(struct tw_buf *out, struct tumble_bytes bytes) {
    return tw_buf_append(out, bytes.data, bytes.length);
}

enum tumble_code tw_format_ndjson_row(struct tw_buf *out, const struct tumble_row *row) {
    TW_TRY(append_bytes(out, row->json));
    return tw_buf_append_byte(out, '\n');
}

/* ---- values ---- */

static bool is_string(struct tumble_bytes json) { return json.length >= 2 && json.data[0] == '"'; }

static bool is_null(struct tumble_bytes json) { return json.length == 0 || json.data[0] == 'n'; }

static bool is_number(struct tumble_bytes json) {
    return json.length > 0 && (json.data[0] == '-' || (json.data[0] >= '0' && json.data[0] <= '9'));
}

/* Appends a value as plain text: strings without quotes and escapes, everything else as its JSON. */
static enum tumble_code append_plain(struct tw_buf *out, struct tumble_bytes json) {
    if (!is_string(json)) {
        return append_bytes(out, json);
    }
    size_t length = json.length - 2;
    if (length > UINT32_MAX) {
        return TUMBLE_ELIMIT;
    }
    struct tumble_value string = {.text = json.data + 1, .length = (uint32_t)length, .type = TUMBLE_TYPE_STRING};
    if (length == 0 || !memchr(string.text, '\\', length)) {
        return tw_buf_append(out, string.text, length);
    }
    string.flags = TUMBLE_VALUE_ESCAPED;
    return tw_json_unescape(&string, out);
}

/* ---- CSV ---- */

/* Quotes what stands in out from start on, when it holds a comma, a quote or a line break, or is empty. */
static enum tumble_code quote_field(struct tw_buf *out, size_t start) {
    size_t length = out->length - start;
    size_t quotes = 0;
    bool needed = length == 0;
    for (size_t i = start; i < out->length; i++) {
        char c = out->data[i];
        quotes += c == '"';
        needed = needed || c == ',' || c == '"' || c == '\n' || c == '\r';
    }
    if (!needed) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_buf_reserve(out, quotes + 2));
    size_t to = out->length + quotes + 1; /* position of the closing quote; the text moves up from behind */
    out->data[to] = '"';
    for (size_t from = out->length; from > start; from--) {
        char c = out->data[from - 1];
        out->data[--to] = c;
        if (c == '"') {
            out->data[--to] = '"';
        }
    }
    out->data[start] = '"';
    out->length += quotes + 2;
    return TUMBLE_OK;
}

enum tumble_code tw_format_csv_header(struct tw_buf *out, const struct tumble_spec *spec) {
    size_t count = tumble_spec_column_count(spec);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        size_t start = out->length;
        TW_TRY(tw_buf_append_text(out, tumble_spec_column(spec, i)->name));
        TW_TRY(quote_field(out, start));
    }
    return tw_buf_append(out, "\r\n", 2);
}

enum tumble_code tw_format_csv_row(struct tw_buf *out, const struct tumble_row *row) {
    if (!row->values) {
        return TUMBLE_EINVAL;
    }
    for (size_t i = 0; i < row->value_count; i++) {
        if (i > 0) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        if (is_null(row->values[i])) {
            continue;
        }
        size_t start = out->length;
        TW_TRY(append_plain(out, row->values[i]));
        TW_TRY(quote_field(out, start));
    }
    return tw_buf_append(out, "\r\n", 2);
}

/* ---- terminal text ---- */

#define REPLACEMENT 0xfffdu

/* Reads one code point; malformed bytes give U+FFFD one at a time. text must not be empty. */
static size_t next_code_point(struct tumble_bytes text, uint32_t *out) {
    const unsigned char *at = (const unsigned char *)text.data;
    if (at[0] < 0x80) {
        *out = at[0];
        return 1;
    }
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    *out = REPLACEMENT;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > text.length) {
        return 1;
    }
    uint32_t value = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 1;
        }
        value = value << 6 | (at[i] & 0x3fu);
    }
    *out = value;
    return length;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *ranges, size_t count, uint32_t c) {
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* The blocks that matter to columns, not the whole of Unicode's tables: combining marks and joiners take no cell, East
 * Asian wide and fullwidth forms and emoji take two (Unicode annex 11). */
static uint32_t cells_of(uint32_t c) {
    static const struct range none[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},
                                        {0x0e34, 0x0e3a}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d},
                                        {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};
    static const struct range two[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                                       {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                       {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    if (c < 0x300) {
        return 1;
    }
    if (in_ranges(none, sizeof none / sizeof none[0], c)) {
        return 0;
    }
    return in_ranges(two, sizeof two / sizeof two[0], c) ? 2 : 1;
}

size_t tw_text_width(struct tumble_bytes text) {
    size_t width = 0;
    while (text.length > 0) {
        uint32_t c;
        size_t length = next_code_point(text, &c);
        width += cells_of(c);
        text.data += length;
        text.length -= length;
    }
    return width;
}

static bool drives_terminal(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           c == 0x2028 || c == 0x2029 || c == 0x200e || c == 0x200f || c == 0x061c;
}

static enum tumble_code append_code_point_escaped(struct tw_buf *out, uint32_t c) {
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15]};
    const char *short_form = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
    return short_form ? tw_buf_append(out, short_form, 2) : tw_buf_append(out, escape, sizeof escape);
}

/* Appends text made harmless, cut to limit cells (0: not cut) with an ellipsis as its last. */
static enum tumble_code append_terminal(struct tw_buf *out, struct tumble_bytes text, uint32_t limit) {
    bool cut = limit > 0 && tw_text_width(text) > limit;
    size_t width = 0;
    while (text.length > 0) {
        uint32_t c;
        size_t length = next_code_point(text, &c);
        size_t before = out->length;
        if (drives_terminal(c)) {
            TW_TRY(append_code_point_escaped(out, c));
        } else if (c == REPLACEMENT) {
            TW_TRY(tw_buf_append(out, "\xef\xbf\xbd", 3));
        } else {
            TW_TRY(tw_buf_append(out, text.data, length));
        }
        struct tumble_bytes added = {out->data + before, out->length - before};
        width += tw_text_width(added);
        if (cut && width + 1 > limit) {
            out->length = before;
            return tw_buf_append(out, "\xe2\x80\xa6", 3);
        }
        text.data += length;
        text.length -= length;
    }
    return TUMBLE_OK;
}

/* ---- table ---- */

static bool stands_in_table(const struct tumble_column *column) {
    return column->kind != TUMBLE_COLUMN_PARTIALS &&
           (column->kind != TUMBLE_COLUMN_WINDOW ||
            (strcmp(column->name, "fragment") != 0 && strcmp(column->name, "last_sequence") != 0));
}

/* Turns the plain text in table->cell into what the terminal may see, and tells its width. */
static enum tumble_code finish_cell(struct tw_table *table, uint32_t limit, uint32_t *width) {
    size_t plain = table->cell.length;
    /* The harmless form is made behind the plain one: room first, so that the view does not move while it is read. */
    TW_TRY(tw_buf_reserve(&table->cell, plain * 6 + 8));
    struct tumble_bytes text = {table->cell.data, plain};
    TW_TRY(append_terminal(&table->cell, text, limit));
    size_t length = table->cell.length - plain;
    memmove(table->cell.data, table->cell.data + plain, length);
    table->cell.length = length;
    *width = (uint32_t)tw_text_width(tw_buf_view(&table->cell));
    return TUMBLE_OK;
}

static enum tumble_code make_cell(struct tw_table *table, struct tumble_bytes json, uint32_t *width) {
    tw_buf_clear(&table->cell);
    if (is_null(json)) {
        *width = 1;
        return tw_buf_append_byte(&table->cell, '-');
    }
    TW_TRY(append_plain(&table->cell, json));
    return finish_cell(table, is_number(json) ? 0 : table->cell_limit, width);
}

static enum tumble_code make_name(struct tw_table *table, const char *name, uint32_t *width) {
    tw_buf_clear(&table->cell);
    TW_TRY(tw_buf_append_text(&table->cell, name));
    return finish_cell(table, 0, width);
}

enum tumble_code tw_table_init(struct tw_table *table, const struct tumble_spec *spec, uint32_t terminal_columns,
                               struct tumble_alloc alloc) {
    memset(table, 0, sizeof *table);
    table->alloc = alloc;
    tw_buf_init(&table->cell, alloc, (size_t)1 << 26);
    size_t count = tumble_spec_column_count(spec);
    table->columns = tw_alloc_array(&alloc, count, sizeof *table->columns);
    if (!table->columns) {
        return TUMBLE_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        if (!stands_in_table(column)) {
            continue;
        }
        struct tw_table_column *to = &table->columns[table->column_count++];
        memset(to, 0, sizeof *to);
        to->name = column->name;
        to->value = (uint32_t)i;
        TW_TRY(make_name(table, to->name, &to->width));
    }
    if (terminal_columns > 0) {
        table->cell_limit = terminal_columns / 2 > 20 ? terminal_columns / 2 : 20;
    }
    return TUMBLE_OK;
}

void tw_table_clean_up(struct tw_table *table) {
    if (table->alloc.release) {
        tw_free(&table->alloc, table->columns);
        tw_buf_clean_up(&table->cell);
    }
    table->columns = NULL;
    table->column_count = 0;
}

enum tumble_code tw_table_measure(struct tw_table *table, const struct tumble_row *row) {
    for (size_t i = 0; i < table->column_count; i++) {
        struct tw_table_column *column = &table->columns[i];
        if (!row->values || column->value >= row->value_count) {
            return TUMBLE_EINVAL;
        }
        struct tumble_bytes json = row->values[column->value];
        uint32_t width;
        TW_TRY(make_cell(table, json, &width));
        column->width = width > column->width ? width : column->width;
        if (!column->seen && !is_null(json)) {
            column->seen = true;
            column->right = is_number(json);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code append_spaces(struct tw_buf *out, size_t count) {
    if (count == 0) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_buf_reserve(out, count));
    memset(out->data + out->length, ' ', count);
    out->length += count;
    return TUMBLE_OK;
}

/* A cell of a line; the last column of left-aligned text gets no spaces behind it. */
static enum tumble_code append_cell(struct tw_buf *out, struct tumble_bytes text, uint32_t width, uint32_t column_width,
                                    bool right, bool first, bool last) {
    if (!first) {
        TW_TRY(append_spaces(out, 2));
    }
    size_t space = column_width > width ? column_width - width : 0;
    if (right) {
        TW_TRY(append_spaces(out, space));
    }
    TW_TRY(tw_buf_append(out, text.data, text.length));
    return right || last ? TUMBLE_OK : append_spaces(out, space);
}

enum tumble_code tw_table_header(struct tw_table *table, struct tw_buf *out) {
    for (size_t i = 0; i < table->column_count; i++) {
        const struct tw_table_column *column = &table->columns[i];
        uint32_t width;
        TW_TRY(make_name(table, column->name, &width));
        TW_TRY(append_cell(out, tw_buf_view(&table->cell), width, column->width, column->right, i == 0,
                           i + 1 == table->column_count));
    }
    TW_TRY(tw_buf_append_byte(out, '\n'));
    for (size_t i = 0; i < table->column_count; i++) {
        TW_TRY(append_spaces(out, i == 0 ? 0 : 2));
        for (uint32_t n = 0; n < table->columns[i].width; n++) {
            TW_TRY(tw_buf_append_byte(out, '-'));
        }
    }
    return tw_buf_append_byte(out, '\n');
}

enum tumble_code tw_table_row(struct tw_table *table, struct tw_buf *out, const struct tumble_row *row) {
    size_t start = out->length;
    for (size_t i = 0; i < table->column_count; i++) {
        struct tw_table_column *column = &table->columns[i];
        if (!row->values || column->value >= row->value_count) {
            out->length = start;
            return TUMBLE_EINVAL;
        }
        struct tumble_bytes json = row->values[column->value];
        uint32_t width;
        enum tumble_code code = make_cell(table, json, &width);
        if (code == TUMBLE_OK) {
            column->width = width > column->width ? width : column->width;
            code = append_cell(out, tw_buf_view(&table->cell), width, column->width,
                               is_null(json) ? column->right : is_number(json), i == 0, i + 1 == table->column_count);
        }
        if (code != TUMBLE_OK) {
            out->length = start;
            return code;
        }
    }
    return tw_buf_append_byte(out, '\n');
}
