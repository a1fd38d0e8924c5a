#include "adapters/outputs/dynamodb/dynamodb_template.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

static bool identifies(const struct tumble_column *column) {
    return column->kind == TUMBLE_COLUMN_GROUP || column->kind == TUMBLE_COLUMN_WINDOW;
}

static bool is_plain(const struct tumble_column *column) {
    static const char *const names[] = {"window_start", "fragment", "last_sequence"}; /* of fixed length, or digits */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (column->kind == TUMBLE_COLUMN_WINDOW && strcmp(column->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

enum tumble_code tw_template_column(struct tw_template *out, const struct tumble_spec *spec, size_t column,
                                    const char *name, struct tumble_error *err) {
    const struct tumble_column *it = tumble_spec_column(spec, column);
    if (!identifies(it)) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "%s: column %s is a result and cannot be a key: take columns of the window and of the group",
                       name, it->name);
    }
    memset(out, 0, sizeof *out);
    out->count = 1;
    out->parts[0].kind = TW_TEMPLATE_COLUMN;
    out->parts[0].column = column;
    out->parts[0].text = tumble_bytes_of(it->name);
    out->parts[0].plain = is_plain(it);
    return TUMBLE_OK;
}

static enum tumble_code read_braces(struct tw_template_part *part, struct tumble_bytes inside,
                                    const struct tumble_spec *spec, const char *name, struct tumble_error *err) {
    static const struct {
        const char *name;
        enum tw_template_kind kind;
    } words[] = {{"key", TW_TEMPLATE_KEY}, {"source", TW_TEMPLATE_SOURCE}, {"spec", TW_TEMPLATE_SPEC}};
    size_t count = tumble_spec_column_count(spec);
    for (size_t i = 0; i < count; i++) {
        if (tumble_bytes_equal(inside, tumble_bytes_of(tumble_spec_column(spec, i)->name))) {
            struct tw_template one;
            TW_TRY(tw_template_column(&one, spec, i, name, err));
            *part = one.parts[0];
            return TUMBLE_OK;
        }
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (tumble_bytes_equal(inside, tumble_bytes_of(words[i].name))) {
            part->kind = words[i].kind;
            part->plain = words[i].kind != TW_TEMPLATE_SOURCE;
            return TUMBLE_OK;
        }
    }
    return tw_fail(err, TUMBLE_EUSAGE,
                   "%s: {%.*s} is no column of the rows: they have window_start, shard_id, fragment and the columns of "
                   "the group; {key}, {source} and {spec} are there too",
                   name, (int)(inside.length < 80 ? inside.length : 80), inside.data);
}

/* The first character behind a value must be one that can be told from what stands in it. */
static bool can_end(char c) {
    return c > 0x20 && c < 0x7f && c != '%' && c != '=' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
           !(c >= 'A' && c <= 'Z');
}

enum tumble_code tw_template_parse(struct tw_template *out, struct tumble_bytes text, const struct tumble_spec *spec,
                                   const char *name, struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    size_t columns = 0;
    while (text.length > 0) {
        struct tw_template_part part = {.kind = TW_TEMPLATE_TEXT};
        struct tw_template_part *before = out->count > 0 ? &out->parts[out->count - 1] : NULL;
        if (out->count == TW_TEMPLATE_PARTS) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: a template of more than %d parts", name, TW_TEMPLATE_PARTS);
        }
        size_t taken = 0;
        if (text.data[0] == '{') {
            const char *close = memchr(text.data, '}', text.length);
            if (!close) {
                return tw_fail(err, TUMBLE_EUSAGE, "%s: a { without its }", name);
            }
            if (before && before->kind != TW_TEMPLATE_TEXT) {
                return tw_fail(err, TUMBLE_EUSAGE, "%s: put a character between two columns, as in {a}/{b}", name);
            }
            struct tumble_bytes inside = {text.data + 1, (size_t)(close - text.data) - 1};
            TW_TRY(read_braces(&part, inside, spec, name, err));
            taken = inside.length + 2;
            columns++;
        } else {
            while (taken < text.length && text.data[taken] != '{') {
                if (text.data[taken] == '}') {
                    return tw_fail(err, TUMBLE_EUSAGE, "%s: a } without its {", name);
                }
                taken++;
            }
            part.text.data = text.data;
            part.text.length = taken;
            if (before && !can_end(text.data[0])) {
                return tw_fail(err, TUMBLE_EUSAGE,
                               "%s: behind a column put a character such as / # | or : that is no letter, digit, %% "
                               "or =",
                               name);
            }
            if (before) {
                before->ends = text.data[0];
            }
        }
        out->parts[out->count++] = part;
        text.data += taken;
        text.length -= taken;
    }
    return columns > 0 ? TUMBLE_OK
                       : tw_fail(err, TUMBLE_EUSAGE,
                                 "%s: no column in {}, as in {window_start}; or is it a misspelt option? `tumble "
                                 "outputs` lists them",
                                 name);
}

/* ---- filling ---- */

static enum tumble_code put_escape(struct tw_buf *out, unsigned char c) {
    static const char hex[] = "0123456789ABCDEF";
    char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
    return tw_buf_append(out, escape, sizeof escape);
}

static enum tumble_code put_characters(struct tw_buf *out, struct tw_json_text text, char ends) {
    uint32_t c;
    bool first = true;
    for (; tw_json_text_next(&text, &c); first = false) {
        char utf8[4];
        bool changed = c == '%' || (ends && c == (unsigned char)ends) || (first && c == '=');
        TW_TRY(changed ? put_escape(out, (unsigned char)c) : tw_buf_append(out, utf8, tw_json_text_put(c, utf8)));
    }
    return TUMBLE_OK;
}

static enum tumble_code put_column(struct tw_buf *out, const struct tw_template_part *part, struct tumble_bytes json) {
    struct tumble_value value;
    if (tw_json_value(json, 1, &value, NULL, NULL) != TUMBLE_OK) {
        return TUMBLE_EINVAL;
    }
    if (value.type == TUMBLE_TYPE_STRING && part->plain) {
        return tw_buf_append(out, value.text, value.length);
    }
    if (value.type == TUMBLE_TYPE_STRING && value.length > 0) {
        return put_characters(out, tw_json_text_of(&value), part->ends);
    }
    TW_TRY(tw_buf_append_byte(out, '='));
    return put_characters(out, tw_json_text_plain(json), part->ends);
}

enum tumble_code tw_template_fill(const struct tw_template *template, const struct tumble_row *row,
                                  struct tumble_bytes source, uint64_t spec_digest, struct tw_buf *out) {
    for (size_t i = 0; i < template->count; i++) {
        const struct tw_template_part *part = &template->parts[i];
        char text[36];
        switch (part->kind) {
        case TW_TEMPLATE_TEXT: TW_TRY(tw_buf_append(out, part->text.data, part->text.length)); break;
        case TW_TEMPLATE_COLUMN:
            TW_TRY(row->values && part->column < row->value_count ? TUMBLE_OK : TUMBLE_EINVAL);
            TW_TRY(put_column(out, part, row->values[part->column]));
            break;
        case TW_TEMPLATE_KEY:
            for (size_t n = 0; n < sizeof row->key; n++) {
                snprintf(text + 2 * n, 3, "%02x", row->key[n]);
            }
            TW_TRY(tw_buf_append_text(out, text));
            break;
        case TW_TEMPLATE_SOURCE: TW_TRY(put_characters(out, tw_json_text_plain(source), part->ends)); break;
        case TW_TEMPLATE_SPEC:
            snprintf(text, sizeof text, "%016" PRIx64, spec_digest);
            TW_TRY(tw_buf_append_text(out, text));
            break;
        }
    }
    return TUMBLE_OK;
}

/* ---- telling rows apart ---- */

static bool holds(const struct tw_template *const *templates, size_t count, enum tw_template_kind kind,
                  const char *column) {
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < templates[t]->count; i++) {
            const struct tw_template_part *part = &templates[t]->parts[i];
            if (part->kind == kind && (!column || tumble_bytes_equal(part->text, tumble_bytes_of(column)))) {
                return true;
            }
        }
    }
    return false;
}

enum tumble_code tw_template_tells(const struct tw_template *const *templates, size_t count,
                                   const struct tumble_spec *spec, bool merged, const char *advice,
                                   struct tumble_error *err) {
    static const char *const of_a_shard[] = {"shard_id", "fragment", "last_sequence"};
    if (!merged && holds(templates, count, TW_TEMPLATE_KEY, NULL)) {
        return TUMBLE_OK;
    }
    if (merged && holds(templates, count, TW_TEMPLATE_KEY, NULL)) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "under merge=true all shards share an item, so {key} cannot be in its key: %s", advice);
    }
    for (size_t i = 0; merged && i < sizeof of_a_shard / sizeof of_a_shard[0]; i++) {
        if (holds(templates, count, TW_TEMPLATE_COLUMN, of_a_shard[i])) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "under merge=true all shards share an item, so %s cannot be in its key: %s", of_a_shard[i],
                           advice);
        }
    }
    size_t columns = tumble_spec_column_count(spec);
    for (size_t i = 0; i < columns; i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        bool needed = column->kind == TUMBLE_COLUMN_GROUP;
        if (column->kind == TUMBLE_COLUMN_WINDOW) {
            needed = strcmp(column->name, "window_start") == 0 ||
                     (!merged && (strcmp(column->name, "shard_id") == 0 || strcmp(column->name, "fragment") == 0));
        }
        if (needed && !holds(templates, count, TW_TEMPLATE_COLUMN, column->name)) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "the key attributes do not tell rows apart: %s is missing, and a row would overwrite "
                           "another: %s",
                           column->name, advice);
        }
    }
    return TUMBLE_OK;
}
