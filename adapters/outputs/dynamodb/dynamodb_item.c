#include "adapters/outputs/dynamodb/dynamodb_item.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

enum { EXPONENT_LEAST = -130, EXPONENT_MOST = 125, EXPONENT_CAP = 1000000 };

bool tw_dynamodb_number(struct tumble_bytes text, size_t *bytes) {
    const char *at = text.data, *end = text.data + text.length;
    bool negative = at < end && *at == '-', point = false;
    size_t digits = 0, zeros = 0; /* significant so far; zeros since the last that is not */
    int64_t leading = 0;          /* power of ten of the first significant digit */
    at += negative;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = true;
        } else if (*at == '0' && digits == 0) {
            leading -= point;
        } else {
            leading += digits > 0 ? !point : point ? -1 : 0;
            digits++;
            zeros = *at == '0' ? zeros + 1 : 0;
        }
    }
    int64_t exponent = 0;
    if (at < end) {
        at++;
        bool down = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        for (; at < end; at++) {
            exponent = exponent < EXPONENT_CAP ? exponent * 10 + (*at - '0') : exponent;
        }
        exponent = down ? -exponent : exponent;
    }
    digits -= zeros;
    leading += exponent;
    if (bytes) { /* pairs of digits begin at even powers of ten: one more byte may be needed */
        *bytes = 1 + (digits + 2) / 2 + negative;
    }
    return digits == 0 || (digits <= TW_DYNAMODB_DIGITS && leading >= EXPONENT_LEAST && leading <= EXPONENT_MOST);
}

size_t tw_dynamodb_text_bytes(const struct tumble_value *string) {
    if (!(string->flags & TUMBLE_VALUE_ESCAPED)) {
        return string->length;
    }
    struct tw_json_text text = tw_json_text_of(string);
    uint32_t code_point;
    size_t bytes = 0;
    while (tw_json_text_next(&text, &code_point)) {
        char utf8[4];
        bytes += tw_json_text_put(code_point, utf8);
    }
    return bytes;
}

static enum tumble_code put(struct tw_buf *out, const char *text) { return tw_buf_append_text(out, text); }

/* A string stands in an item as it stands in JSON: with its quotes and escapes. */
static enum tumble_code put_quoted(struct tw_buf *out, const struct tumble_value *string) {
    TW_TRY(tw_buf_append_byte(out, '"'));
    TW_TRY(tw_buf_append(out, string->text, string->length));
    return tw_buf_append_byte(out, '"');
}

static enum tumble_code put_scalar(struct tw_buf *out, const struct tumble_value *value, size_t *size,
                                   const char **why) {
    size_t bytes = 1;
    struct tumble_bytes text = {value->text, value->length};
    switch (value->type) {
    case TUMBLE_TYPE_NULL: *size += 1; return put(out, "{\"NULL\":true}");
    case TUMBLE_TYPE_FALSE: *size += 1; return put(out, "{\"BOOL\":false}");
    case TUMBLE_TYPE_TRUE: *size += 1; return put(out, "{\"BOOL\":true}");
    case TUMBLE_TYPE_NUMBER:
        if (!tw_dynamodb_number(text, &bytes)) {
            *why = "a number of more than 38 digits, or beyond 1e126, or below 1e-130: DynamoDB cannot hold it";
            return TUMBLE_EREJECTED;
        }
        *size += bytes;
        TW_TRY(put(out, "{\"N\":\""));
        TW_TRY(tw_buf_append(out, text.data, text.length));
        return put(out, "\"}");
    default:
        *size += tw_dynamodb_text_bytes(value);
        TW_TRY(put(out, "{\"S\":"));
        TW_TRY(put_quoted(out, value));
        return tw_buf_append_byte(out, '}');
    }
}

static enum tumble_code put_nested(struct tw_buf *out, const struct tumble_value *root, size_t *size,
                                   const char **why) {
    struct tw_json_walk walks[TW_DYNAMODB_NESTING];
    int depth = 0;
    bool first = true;
    tw_json_walk_begin(&walks[0], root);
    TW_TRY(put(out, root->type == TUMBLE_TYPE_OBJECT ? "{\"M\":{" : "{\"L\":["));
    *size += 3;
    while (depth >= 0) {
        struct tumble_value key, value;
        struct tw_json_walk *walk = &walks[depth];
        if (!tw_json_walk_next(walk, &key, &value)) {
            TW_TRY(put(out, walk->is_object ? "}}" : "]}"));
            depth--;
            first = false;
            continue;
        }
        if (!first) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        *size += 1;
        if (walk->is_object) {
            *size += tw_dynamodb_text_bytes(&key);
            TW_TRY(put_quoted(out, &key));
            TW_TRY(tw_buf_append_byte(out, ':'));
        }
        first = value.type >= TUMBLE_TYPE_ARRAY;
        if (!first) {
            TW_TRY(put_scalar(out, &value, size, why));
            continue;
        }
        if (++depth == TW_DYNAMODB_NESTING) {
            *why = "an array or object nested more than 32 deep: DynamoDB cannot hold it";
            return TUMBLE_EREJECTED;
        }
        tw_json_walk_begin(&walks[depth], &value);
        TW_TRY(put(out, value.type == TUMBLE_TYPE_OBJECT ? "{\"M\":{" : "{\"L\":["));
        *size += 3;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_dynamodb_put(struct tw_buf *out, const struct tumble_value *value, size_t *size, const char **why) {
    return value->type >= TUMBLE_TYPE_ARRAY ? put_nested(out, value, size, why) : put_scalar(out, value, size, why);
}

enum tumble_code tw_dynamodb_value(struct tw_buf *out, struct tumble_bytes json, size_t *size, const char **why) {
    struct tumble_value value;
    TW_TRY(tw_json_value(json, 1, &value, NULL, NULL) == TUMBLE_OK ? TUMBLE_OK : TUMBLE_EINVAL);
    return tw_dynamodb_put(out, &value, size, why);
}
