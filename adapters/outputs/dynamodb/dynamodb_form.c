#include "adapters/outputs/dynamodb/dynamodb_form.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_item.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/json_scan.h"

#define ROW_KEY "_key"

enum { TTL_SECONDS_MAX = 2000000000 };

/* ---- options ---- */

enum tumble_code tw_dynamodb_ttl_read(const char *text, char name[256], int64_t *seconds, struct tumble_error *err) {
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    size_t length = colon ? (size_t)(colon - text) : 0;
    long long number = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoll(colon + 1, &end, 10) : -1;
    if (length == 0 || length > 255 || !end || *end != '\0' || number > TTL_SECONDS_MAX) {
        return tw_fail(err, TUMBLE_EUSAGE, "ttl \"%s\": write ttl=ATTRIBUTE:SECONDS, as in ttl=expires:604800", text);
    }
    memcpy(name, text, length);
    name[length] = '\0';
    *seconds = number;
    return TUMBLE_OK;
}

/* Names of a merged item's own attributes. */
static const char *const merged_names[] = {"_version", "_source", "_spec", "_fragments", "_partials"};

static bool find_column(const struct tumble_spec *spec, const char *name, size_t *column) {
    size_t count = tumble_spec_column_count(spec);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tumble_spec_column(spec, i)->name, name) == 0) {
            *column = i;
            return true;
        }
    }
    return false;
}

static void name_key(const struct tumble_output_open *how, const char *attribute, char out[400]) {
    snprintf(out, 400, "%s: key attribute %s", how->uri ? how->uri : how->target, attribute);
}

enum tumble_code tw_dynamodb_options_check(const struct tumble_output_open *how, size_t known, bool merged,
                                           struct tumble_error *err) {
    if (merged && !tumble_spec_has_partials(how->spec)) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "%s: merge=true folds rows by their partial states: add \"partials\": true to the spec (or "
                       "--partials true)",
                       how->uri ? how->uri : how->target);
    }
    for (size_t i = 0; merged && i < sizeof merged_names / sizeof merged_names[0]; i++) {
        size_t column;
        bool taken = find_column(how->spec, merged_names[i], &column) &&
                     tumble_spec_column(how->spec, column)->kind == TUMBLE_COLUMN_GROUP;
        if (taken) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "%s: merge=true has an attribute %s of its own: rename the column by \"as\"",
                           how->uri ? how->uri : how->target, merged_names[i]);
        }
    }
    for (size_t i = known; i < how->option_count; i++) {
        struct tw_template template;
        char name[400];
        name_key(how, how->options[i].name, name);
        TW_TRY(tw_template_parse(&template, tumble_bytes_of(how->options[i].value), how->spec, name, err));
    }
    return TUMBLE_OK;
}

/* ---- keys ---- */

/* "add ?pk={eventType}&sk={window_start}/{shard_id}/{fragment} (quoted in a shell)", with the table's and the spec's
 * names. */
static void advise(const struct tw_dynamodb_form *form, char out[512]) {
    char groups[160] = "", rest[64];
    size_t length = 0, count = tumble_spec_column_count(form->spec);
    for (size_t i = 0; i < count && length < sizeof groups - 1; i++) {
        const struct tumble_column *column = tumble_spec_column(form->spec, i);
        if (column->kind == TUMBLE_COLUMN_GROUP) {
            length +=
                (size_t)snprintf(groups + length, sizeof groups - length, "%s{%s}", length ? "|" : "", column->name);
        }
    }
    snprintf(rest, sizeof rest, "%s", form->merged ? "{window_start}" : "{window_start}/{shard_id}/{fragment}");
    if (form->key_count == 2) {
        snprintf(out, 512, "say what goes into them, as in '?%.100s=%s&%.100s=%s'", form->keys[0].attribute.name,
                 groups[0] ? groups : rest, form->keys[1].attribute.name,
                 groups[0]      ? rest
                 : form->merged ? "{source}"
                                : "{key}");
    } else {
        snprintf(out, 512, "say what goes into it, as in '?%.100s=%s%s%s'", form->keys[0].attribute.name, groups,
                 groups[0] ? "|" : "", rest);
    }
}

static enum tumble_code read_key(struct tw_dynamodb_form *form, struct tw_dynamodb_key_form *key,
                                 const struct tumble_output_open *how, size_t known, struct tumble_error *err) {
    char name[400], advice[512];
    size_t column;
    const struct tumble_option_value *option = NULL;
    name_key(how, key->attribute.name, name);
    for (size_t i = known; i < how->option_count; i++) {
        option = strcmp(how->options[i].name, key->attribute.name) == 0 ? &how->options[i] : option;
    }
    if (key->attribute.type != 'S' && key->attribute.type != 'N') {
        return tw_fail(err, TUMBLE_EUSAGE, "%s is of type %c: tumble writes strings (S) and numbers (N)", name,
                       key->attribute.type);
    }
    bool is_column = find_column(how->spec, key->attribute.name, &column);
    if (option && is_column) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "%s is a column of the rows too: leave the option out, or rename the column by \"as\"", name);
    }
    if (option) {
        TW_TRY(tw_template_parse(&key->template, tumble_bytes_of(option->value), how->spec, name, err));
    } else if (is_column) {
        key->own_column = true;
        TW_TRY(tw_template_column(&key->template, how->spec, column, name, err));
    } else if (strcmp(key->attribute.name, ROW_KEY) == 0 && key->attribute.type == 'S' && !form->merged) {
        TW_TRY(tw_template_parse(&key->template, tumble_bytes_of("{key}"), how->spec, name, err));
    } else {
        advise(form, advice);
        return tw_fail(err, TUMBLE_EUSAGE, "%s is no column of the rows: %s", name, advice);
    }
    bool one_column = key->template.count == 1 && key->template.parts[0].kind == TW_TEMPLATE_COLUMN;
    if (key->attribute.type == 'N' && !one_column) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s is a number (N): a single column of the group can fill it", name);
    }
    return TUMBLE_OK;
}

static enum tumble_code check_others(const struct tw_dynamodb_form *form, const struct tumble_output_open *how,
                                     size_t known, struct tumble_error *err) {
    const char *where = how->uri ? how->uri : how->target;
    for (size_t i = known; i < how->option_count; i++) {
        bool found = false;
        for (size_t k = 0; k < form->key_count; k++) {
            found = found || strcmp(how->options[i].name, form->keys[k].attribute.name) == 0;
        }
        if (!found) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "%s: %s is neither an option nor a key attribute of the table: its key is %s%s%s", where,
                           how->options[i].name, form->keys[0].attribute.name, form->key_count == 2 ? " and " : "",
                           form->key_count == 2 ? form->keys[1].attribute.name : "");
        }
    }
    size_t column;
    bool taken = false;
    for (size_t k = 0; k < form->key_count; k++) {
        taken = taken || strcmp(form->ttl_name, form->keys[k].attribute.name) == 0;
    }
    if (form->ttl_name[0] && (taken || find_column(how->spec, form->ttl_name, &column))) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: ttl names the attribute %s, which is taken by a column or key", where,
                       form->ttl_name);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_keys(struct tw_dynamodb_form *form, const struct tumble_output_open *how, size_t known,
                                  const struct tw_dynamodb_table *table, struct tumble_error *err) {
    const struct tw_template *templates[2];
    char advice[512], name[400];
    form->keys[0].attribute = table->hash;
    form->keys[0].limit = TW_DYNAMODB_HASH_BYTES;
    form->keys[1].attribute = table->range;
    form->keys[1].limit = TW_DYNAMODB_RANGE_BYTES;
    form->key_count = table->range.name[0] ? 2 : 1;
    TW_TRY(check_others(form, how, known, err));
    for (size_t k = 0; k < form->key_count; k++) {
        TW_TRY(read_key(form, &form->keys[k], how, known, err));
        templates[k] = &form->keys[k].template;
    }
    advise(form, advice);
    snprintf(name, sizeof name, "%s", how->uri ? how->uri : how->target);
    enum tumble_code code = tw_template_tells(templates, form->key_count, how->spec, form->merged, advice, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "%s", name);
    }
    return code;
}

/* ---- init ---- */

static enum tumble_code make_names(struct tw_dynamodb_form *form) {
    for (size_t i = 0; i < form->column_count; i++) {
        struct tumble_bytes name = tumble_bytes_of(tumble_spec_column(form->spec, i)->name);
        TW_TRY(tw_buf_append_byte(&form->names, ','));
        TW_TRY(tw_buf_append_json_string(&form->names, name));
        TW_TRY(tw_buf_append_byte(&form->names, ':'));
        form->name_ends[i] = form->names.length;
        form->name_bytes[i] = name.length;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_dynamodb_form_init(struct tw_dynamodb_form *form, const struct tumble_output_open *how,
                                       size_t known, const struct tw_dynamodb_table *table, bool merged,
                                       const char *ttl, struct tumble_alloc alloc, struct tumble_error *err) {
    size_t column;
    memset(form, 0, sizeof *form);
    form->alloc = alloc;
    form->spec = how->spec;
    form->source = how->source;
    form->spec_digest = how->spec_digest;
    form->merged = merged;
    form->has_row_key = !find_column(how->spec, ROW_KEY, &column) && strcmp(table->hash.name, ROW_KEY) != 0 &&
                        strcmp(table->range.name, ROW_KEY) != 0;
    tw_buf_init(&form->names, alloc, SIZE_MAX / 4);
    tw_buf_init(&form->scratch, alloc, 1 << 20);
    form->column_count = tumble_spec_column_count(how->spec);
    form->name_ends = tw_alloc_array(&alloc, form->column_count, sizeof *form->name_ends);
    form->name_bytes = tw_alloc_array(&alloc, form->column_count, sizeof *form->name_bytes);
    if (!form->name_ends || !form->name_bytes || make_names(form) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    if (ttl) {
        TW_TRY(tw_dynamodb_ttl_read(ttl, form->ttl_name, &form->ttl_seconds, err));
    }
    TW_TRY(tw_dynamodb_options_check(how, known, merged, err));
    return read_keys(form, how, known, table, err);
}

void tw_dynamodb_form_clean_up(struct tw_dynamodb_form *form) {
    if (!form->alloc.release) {
        return;
    }
    tw_buf_clean_up(&form->names);
    tw_buf_clean_up(&form->scratch);
    tw_free(&form->alloc, form->name_ends);
    tw_free(&form->alloc, form->name_bytes);
    memset(form, 0, sizeof *form);
}

/* ---- rows ---- */

static enum tumble_code reject(struct tw_dynamodb_form *form, const char *name, const char *why) {
    return tw_fail(&form->reason, TUMBLE_EREJECTED, "%s: %s", name, why);
}

/* The value of a key attribute, {"S":"…"} or {"N":"…"}. */
static enum tumble_code put_key_value(struct tw_dynamodb_form *form, const struct tw_dynamodb_key_form *key,
                                      const struct tumble_row *row, struct tw_buf *out, size_t *size) {
    const char *why = NULL, *name = key->attribute.name;
    bool number = key->attribute.type == 'N';
    size_t bytes = 0;
    if (key->own_column || number) {
        size_t column = key->template.parts[0].column;
        struct tumble_value value;
        if (!row->values || column >= row->value_count ||
            tw_json_value(row->values[column], 1, &value, NULL, NULL) != TUMBLE_OK) {
            return TUMBLE_EINVAL;
        }
        if (value.type != (number ? TUMBLE_TYPE_NUMBER : TUMBLE_TYPE_STRING)) {
            return reject(form, name,
                          number ? "the key is a number, the row's value is none"
                                 : "the key is a string, the row's value is none");
        }
        if (!number && value.length == 0) {
            return reject(form, name, "a key cannot be the empty string");
        }
        enum tumble_code code = tw_dynamodb_value(out, row->values[column], &bytes, &why);
        if (code == TUMBLE_EREJECTED) {
            return reject(form, name, why);
        }
        TW_TRY(code);
    } else {
        tw_buf_clear(&form->scratch);
        TW_TRY(tw_template_fill(&key->template, row, form->source, form->spec_digest, &form->scratch));
        if (!tw_utf8_valid(tw_buf_view(&form->scratch))) {
            return reject(form, name, "the key is not UTF-8");
        }
        bytes = form->scratch.length;
        TW_TRY(tw_buf_append_text(out, "{\"S\":"));
        TW_TRY(tw_buf_append_json_string(out, tw_buf_view(&form->scratch)));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    *size += bytes;
    return bytes <= key->limit ? TUMBLE_OK
                               : reject(form, name, "longer than a key may be (2048 bytes, 1024 to sort by)");
}

static enum tumble_code put_keys(struct tw_dynamodb_form *form, const struct tumble_row *row, struct tw_buf *out,
                                 bool own_columns, size_t *size) {
    bool first = true;
    for (size_t k = 0; k < form->key_count; k++) {
        const struct tw_dynamodb_key_form *key = &form->keys[k];
        if (key->own_column && !own_columns) {
            continue;
        }
        struct tumble_bytes name = tumble_bytes_of(key->attribute.name);
        if (!first) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        TW_TRY(tw_buf_append_json_string(out, name));
        TW_TRY(tw_buf_append_byte(out, ':'));
        TW_TRY(put_key_value(form, key, row, out, size));
        *size += name.length;
        first = false;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_dynamodb_form_key(struct tw_dynamodb_form *form, const struct tumble_row *row, struct tw_buf *out) {
    size_t size = 0;
    return put_keys(form, row, out, true, &size);
}

enum tumble_code tw_dynamodb_form_put_keys(struct tw_dynamodb_form *form, const struct tumble_row *row,
                                           struct tw_buf *out, size_t *size) {
    return put_keys(form, row, out, false, size);
}

enum tumble_code tw_dynamodb_form_put_ttl(const struct tw_dynamodb_form *form, int64_t window_end_ms,
                                          struct tw_buf *out, size_t *size) {
    if (!form->ttl_name[0]) {
        return TUMBLE_OK;
    }
    char text[64];
    struct tumble_bytes name = tumble_bytes_of(form->ttl_name);
    *size += name.length + 8;
    TW_TRY(tw_buf_append_byte(out, ','));
    TW_TRY(tw_buf_append_json_string(out, name));
    snprintf(text, sizeof text, ":{\"N\":\"%" PRId64 "\"}", window_end_ms / 1000 + form->ttl_seconds);
    return tw_buf_append_text(out, text);
}

static enum tumble_code put_columns(struct tw_dynamodb_form *form, const struct tumble_row *row, struct tw_buf *out,
                                    size_t *size) {
    size_t from = 0;
    if (!row->values || row->value_count != form->column_count) {
        return TUMBLE_EINVAL;
    }
    for (size_t i = 0; i < form->column_count; i++) {
        const char *why = NULL;
        size_t skip = out->data[out->length - 1] == '{'; /* no comma behind the brace */
        TW_TRY(tw_buf_append(out, form->names.data + from + skip, form->name_ends[i] - from - skip));
        from = form->name_ends[i];
        *size += form->name_bytes[i];
        enum tumble_code code = tw_dynamodb_value(out, row->values[i], size, &why);
        if (code == TUMBLE_EREJECTED) {
            return reject(form, tumble_spec_column(form->spec, i)->name, why);
        }
        TW_TRY(code);
    }
    return TUMBLE_OK;
}

static enum tumble_code put_row_key(const struct tw_dynamodb_form *form, const struct tumble_row *row,
                                    struct tw_buf *out, size_t *size) {
    if (!form->has_row_key) {
        return TUMBLE_OK;
    }
    char hex[33];
    for (size_t i = 0; i < sizeof row->key; i++) {
        snprintf(hex + 2 * i, 3, "%02x", row->key[i]);
    }
    *size += strlen(ROW_KEY) + 32;
    TW_TRY(tw_buf_append_text(out, ",\"" ROW_KEY "\":{\"S\":\""));
    TW_TRY(tw_buf_append_text(out, hex));
    return tw_buf_append_text(out, "\"}");
}

enum tumble_code tw_dynamodb_form_item(struct tw_dynamodb_form *form, const struct tumble_row *row,
                                       struct tw_buf *out) {
    size_t size = 0;
    TW_TRY(tw_buf_append_byte(out, '{'));
    TW_TRY(tw_dynamodb_form_put_keys(form, row, out, &size));
    TW_TRY(put_columns(form, row, out, &size));
    TW_TRY(put_row_key(form, row, out, &size));
    TW_TRY(tw_dynamodb_form_put_ttl(form, row->window_end_ms, out, &size));
    if (size > TW_DYNAMODB_ITEM_BYTES) {
        return tw_fail(&form->reason, TUMBLE_EREJECTED, "an item of %zu bytes: DynamoDB takes 400 KB at most", size);
    }
    return tw_buf_append_byte(out, '}');
}
