#include "adapters/inputs/table/dynamodb_rows.h"

#include <stdlib.h>
#include <string.h>

#include "adapters/aws/dynamodb_calls.h"
#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/compress.h"
#include "engine/codec/json_scan.h"

enum { ATTRIBUTES_MOST = 2048, OPTIONS_MOST = 32, DEPTH_MOST = 32, CALL_MS = 60000, SHARES_BYTES = 64 << 20 };

struct attribute {
    struct tumble_value name;
    struct tumble_value value; /* typed: {"S":…} */
};

struct table_reader {
    struct tumble_alloc alloc;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    char *uri;                        /* cut into pieces */
    char *table;                      /* in it, as are the names */
    const char *others[OPTIONS_MOST]; /* attributes that are no columns */
    size_t other_count;
    enum tumble_code (*each)(void *ctx, struct tumble_bytes row, struct tumble_error *err);
    void *ctx;
    struct attribute *attributes;
    struct tw_buf row;
    struct tw_buf shares;
    struct tw_buf start; /* of the next page */
    struct tw_zstd *zstd;
    uint64_t items;
    struct tumble_error *err;
};

/* ---- uri ---- */

/* %XX undone, in place. */
static void decode(char *text) {
    char *out = text;
    for (const char *at = text; *at; at++) {
        char digits[3] = {0};
        if (*at == '%' && at[1] && at[2]) {
            memcpy(digits, at + 1, 2);
            char *end;
            long byte = strtol(digits, &end, 16);
            if (end == digits + 2 && byte > 0) {
                *out++ = (char)byte;
                at += 2;
                continue;
            }
        }
        *out++ = *at;
    }
    *out = '\0';
}

static enum tumble_code read_uri(struct table_reader *reader, const char *uri, struct tw_aws_options *options) {
    reader->uri = tw_copy_text(&reader->alloc, uri, strlen(uri));
    if (!reader->uri) {
        return tw_no_memory(reader->err);
    }
    reader->table = strchr(reader->uri, ':') + 1;
    char *option = strchr(reader->table, '?');
    while (option) {
        *option++ = '\0';
        char *next = strchr(option, '&');
        if (next) {
            *next = '\0';
        }
        char *value = strchr(option, '=');
        if (!value) {
            return tw_fail(reader->err, TUMBLE_EUSAGE, "%s: an option is NAME=VALUE", uri);
        }
        *value++ = '\0';
        decode(option);
        decode(value);
        const char *other = NULL;
        if (strcmp(option, "region") == 0) {
            options->region = value;
        } else if (strcmp(option, "profile") == 0) {
            options->profile = value;
        } else if (strcmp(option, "endpoint-url") == 0) {
            options->endpoint_url = value;
        } else if (strcmp(option, "ttl") == 0) {
            value[strcspn(value, ":")] = '\0';
            other = value;
        } else if (strcmp(option, "merge") != 0) {
            other = option; /* a key attribute with its template */
        }
        if (other && reader->other_count == OPTIONS_MOST) {
            return tw_fail(reader->err, TUMBLE_EUSAGE, "%.100s: too many options", uri);
        }
        if (other) {
            reader->others[reader->other_count++] = other;
        }
        option = next;
    }
    return reader->table[0] ? TUMBLE_OK : tw_fail(reader->err, TUMBLE_EUSAGE, "%s: names no table", uri);
}

/* ---- an item ---- */

static enum tumble_code no_row(struct table_reader *reader, const char *what) {
    return tw_fail(reader->err, TUMBLE_ECAPTURE, "dynamodb:%.100s: item %llu is no row of tumble's: %s", reader->table,
                   (unsigned long long)reader->items, what);
}

static enum tumble_code text_of(struct table_reader *reader, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(reader->err, code, "%s", tumble_code_text(code));
}

/* Type and value of {"S":…}. */
static bool typed(const struct tumble_value *value, struct tumble_value *type, struct tumble_value *plain) {
    struct tw_json_walk walk;
    struct tumble_value more;
    if (value->type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    tw_json_walk_begin(&walk, value);
    return tw_json_walk_next(&walk, type, plain) && !tw_json_walk_next(&walk, &more, &more);
}

static bool is_type(const struct tumble_value *type, const char *name) {
    return tw_json_string_equal(type, tumble_bytes_of(name));
}

static int by_name(const void *a, const void *b) {
    const struct tumble_value *x = &((const struct attribute *)a)->name, *y = &((const struct attribute *)b)->name;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = shorter ? memcmp(x->text, y->text, shorter) : 0;
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Members of an object, ordered by name, from attributes[first] on. */
static enum tumble_code members(struct table_reader *reader, const struct tumble_value *object, size_t first,
                                size_t *count) {
    struct tw_json_walk walk;
    *count = 0;
    tw_json_walk_begin(&walk, object);
    while (first + *count < ATTRIBUTES_MOST) {
        struct attribute *attribute = &reader->attributes[first + *count];
        if (!tw_json_walk_next(&walk, &attribute->name, &attribute->value)) {
            qsort(reader->attributes + first, *count, sizeof *reader->attributes, by_name);
            return TUMBLE_OK;
        }
        ++*count;
    }
    return no_row(reader, "it has too many attributes");
}

static enum tumble_code put_string(struct tw_buf *out, const struct tumble_value *string) {
    TW_TRY(tw_buf_append_byte(out, '"'));
    TW_TRY(tw_buf_append(out, string->text, string->length)); /* as it is written: escapes stay */
    return tw_buf_append_byte(out, '"');
}

static enum tumble_code put_value(struct table_reader *reader, const struct tumble_value *value, size_t used,
                                  int depth);

static enum tumble_code put_map(struct table_reader *reader, const struct tumble_value *map, size_t used, int depth) {
    size_t count;
    TW_TRY(members(reader, map, used, &count));
    TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, '{')));
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute = reader->attributes[used + i];
        TW_TRY(text_of(reader, i ? tw_buf_append_byte(&reader->row, ',') : TUMBLE_OK));
        TW_TRY(text_of(reader, put_string(&reader->row, &attribute.name)));
        TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, ':')));
        TW_TRY(put_value(reader, &attribute.value, used + count, depth + 1));
    }
    return text_of(reader, tw_buf_append_byte(&reader->row, '}'));
}

static enum tumble_code put_list(struct table_reader *reader, const struct tumble_value *list, size_t used, int depth) {
    struct tw_json_walk walk;
    struct tumble_value key, value;
    char before = '[';
    tw_json_walk_begin(&walk, list);
    while (tw_json_walk_next(&walk, &key, &value)) {
        TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, before)));
        TW_TRY(put_value(reader, &value, used, depth + 1));
        before = ',';
    }
    TW_TRY(text_of(reader, before == '[' ? tw_buf_append_byte(&reader->row, '[') : TUMBLE_OK));
    return text_of(reader, tw_buf_append_byte(&reader->row, ']'));
}

/* A typed value as plain JSON. */
static enum tumble_code put_value(struct table_reader *reader, const struct tumble_value *value, size_t used,
                                  int depth) {
    struct tumble_value type, plain;
    if (depth > DEPTH_MOST || !typed(value, &type, &plain)) {
        return no_row(reader, "an attribute has no type");
    }
    if (is_type(&type, "S") && plain.type == TUMBLE_TYPE_STRING) {
        return text_of(reader, put_string(&reader->row, &plain));
    }
    if (is_type(&type, "N") && plain.type == TUMBLE_TYPE_STRING) {
        struct tumble_bytes digits = {plain.text, plain.length};
        struct tumble_value number;
        if (tw_json_value(digits, 1, &number, NULL, NULL) != TUMBLE_OK || number.type != TUMBLE_TYPE_NUMBER) {
            return no_row(reader, "an N attribute is no number");
        }
        return text_of(reader, tw_buf_append(&reader->row, plain.text, plain.length));
    }
    if (is_type(&type, "NULL")) {
        return text_of(reader, tw_buf_append_text(&reader->row, "null"));
    }
    if (is_type(&type, "BOOL")) {
        return text_of(reader, tw_buf_append_text(&reader->row, plain.type == TUMBLE_TYPE_TRUE ? "true" : "false"));
    }
    if (is_type(&type, "M") && plain.type == TUMBLE_TYPE_OBJECT) {
        return put_map(reader, &plain, used, depth);
    }
    if (is_type(&type, "L") && plain.type == TUMBLE_TYPE_ARRAY) {
        return put_list(reader, &plain, used, depth);
    }
    return no_row(reader, "an attribute has a type that rows do not have");
}

static bool is_other(const struct table_reader *reader, const struct tumble_value *name) {
    for (size_t i = 0; i < reader->other_count; i++) {
        if (tw_json_string_equal(name, tumble_bytes_of(reader->others[i]))) {
            return true;
        }
    }
    return is_type(name, "_key");
}

/* One line a share: 32 digits, a space, the row. */
static enum tumble_code give_shares(struct table_reader *reader, const struct tumble_value *base64) {
    enum { DIGEST_TEXT = 33 };
    struct tumble_bytes text = {base64->text, base64->length};
    size_t length;
    tw_buf_clear(&reader->row);
    tw_buf_clear(&reader->shares);
    if (tw_buf_reserve(&reader->row, text.length / 4 * 3 + 3) != TUMBLE_OK) {
        return tw_no_memory(reader->err);
    }
    if (base64->type != TUMBLE_TYPE_STRING || tw_base64_decode(text, reader->row.data, &length, NULL) != TUMBLE_OK) {
        return no_row(reader, "its shares are not base64");
    }
    struct tumble_bytes frame = {reader->row.data, length};
    enum tumble_code code = tw_zstd_unpack(reader->zstd, frame, SHARES_BYTES, &reader->shares, reader->err);
    if (code != TUMBLE_OK) {
        return code == TUMBLE_ENOMEM ? code : no_row(reader, "its shares cannot be unpacked");
    }
    const char *at = reader->shares.data, *end = at + reader->shares.length;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t bytes = (size_t)((line ? line : end) - at);
        if (bytes <= DIGEST_TEXT || at[DIGEST_TEXT - 1] != ' ') {
            return tw_fail(reader->err, TUMBLE_ECORRUPT, "dynamodb:%.100s: the shares of item %llu are damaged",
                           reader->table, (unsigned long long)reader->items);
        }
        struct tumble_bytes row = {at + DIGEST_TEXT, bytes - DIGEST_TEXT};
        TW_TRY(reader->each(reader->ctx, row, reader->err));
        at += bytes + 1;
    }
    return TUMBLE_OK;
}

static enum tumble_code give_item(struct table_reader *reader, const struct tumble_value *item) {
    size_t count;
    reader->items++;
    if (item->type != TUMBLE_TYPE_OBJECT) {
        return no_row(reader, "it is no object");
    }
    TW_TRY(members(reader, item, 0, &count));
    tw_buf_clear(&reader->row);
    char before = '{';
    for (size_t i = 0; i < count; i++) {
        struct attribute attribute = reader->attributes[i];
        struct tumble_value type, plain;
        if (is_type(&attribute.name, "_partials") && typed(&attribute.value, &type, &plain) && is_type(&type, "B")) {
            return give_shares(reader, &plain);
        }
        if (is_other(reader, &attribute.name)) {
            continue;
        }
        TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, before)));
        TW_TRY(text_of(reader, put_string(&reader->row, &attribute.name)));
        TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, ':')));
        TW_TRY(put_value(reader, &attribute.value, count, 0));
        before = ',';
    }
    TW_TRY(text_of(reader, before == '{' ? tw_buf_append_byte(&reader->row, '{') : TUMBLE_OK));
    TW_TRY(text_of(reader, tw_buf_append_byte(&reader->row, '}')));
    return reader->each(reader->ctx, tw_buf_view(&reader->row), reader->err);
}

/* ---- the table ---- */

static enum tumble_code read_pages(struct table_reader *reader) {
    const struct tw_aws_host *host = tw_aws_client_host(reader->client);
    for (;;) {
        struct tumble_value items, last, key, item;
        enum tumble_code code =
            tw_dynamodb_scan(reader->client, reader->table, tw_buf_view(&reader->start),
                             host->steady_ms(host->ctx) + CALL_MS, &items, &last, &reader->answer, reader->err);
        if (code == TUMBLE_EREJECTED || code == TUMBLE_EOUTPUT) {
            tw_error_prefix(reader->err, "dynamodb:%s", reader->table);
            if (reader->err) {
                reader->err->code = TUMBLE_EINPUT;
            }
            return TUMBLE_EINPUT;
        }
        TW_TRY(code);
        struct tw_json_walk walk;
        tw_json_walk_begin(&walk, &items);
        while (tw_json_walk_next(&walk, &key, &item)) {
            TW_TRY(give_item(reader, &item));
        }
        if (last.type != TUMBLE_TYPE_OBJECT) {
            return TUMBLE_OK;
        }
        tw_buf_clear(&reader->start);
        TW_TRY(text_of(reader, tw_buf_append(&reader->start, last.text, last.length)));
    }
}

enum tumble_code tumble_dynamodb_rows(const char *uri, struct tumble_alloc alloc,
                                      enum tumble_code (*each)(void *ctx, struct tumble_bytes row,
                                                               struct tumble_error *err),
                                      void *ctx, struct tumble_error *err) {
    struct table_reader reader = {.alloc = tw_alloc_or_default(alloc), .each = each, .ctx = ctx, .err = err};
    struct tw_aws_options options = {.alloc = reader.alloc};
    tw_buf_init(&reader.row, reader.alloc, SIZE_MAX / 4);
    tw_buf_init(&reader.shares, reader.alloc, SIZE_MAX / 4);
    tw_buf_init(&reader.start, reader.alloc, SIZE_MAX / 4);
    reader.zstd = tw_zstd_new(reader.alloc);
    reader.attributes = tw_alloc_array(&reader.alloc, ATTRIBUTES_MOST, sizeof *reader.attributes);
    enum tumble_code code = reader.zstd && reader.attributes ? TUMBLE_OK : tw_no_memory(err);
    code = code == TUMBLE_OK ? read_uri(&reader, uri, &options) : code;
    code = code == TUMBLE_OK ? tw_aws_client_open(&options, TW_AWS_DYNAMODB, &reader.client, err) : code;
    code = code == TUMBLE_OK ? read_pages(&reader) : code;
    tw_aws_client_destroy(reader.client);
    tw_zstd_destroy(reader.zstd);
    tw_buf_clean_up(&reader.row);
    tw_buf_clean_up(&reader.shares);
    tw_buf_clean_up(&reader.start);
    tw_free(&reader.alloc, reader.attributes);
    tw_free(&reader.alloc, reader.uri);
    return code;
}
