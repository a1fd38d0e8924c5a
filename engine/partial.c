#include "engine/partial.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/base64.h"

enum { DIGEST_DIGITS = 8 };

static enum tumble_code put_number(const struct tw_decimal *number, struct tw_buf *out) {
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(number, text));
}

static enum tumble_code put_option(const struct tw_option *option, const struct tw_param *param, struct tw_buf *out) {
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(option->name)));
    TW_TRY(tw_buf_append_byte(out, ':'));
    if (option->kind != TW_OPTION_NUMBERS) {
        return put_number(&param->numbers[0], out);
    }
    for (uint32_t i = 0; i < param->count; i++) {
        TW_TRY(tw_buf_append_byte(out, i ? ',' : '['));
        TW_TRY(put_number(&param->numbers[i], out));
    }
    return tw_buf_append_byte(out, ']');
}

static enum tumble_code put_digest(uint32_t digest, struct tw_buf *out) {
    static const char digits[] = "0123456789abcdef";
    char text[1 + DIGEST_DIGITS + 1] = "#";
    for (int i = 0; i < DIGEST_DIGITS; i++) {
        text[DIGEST_DIGITS - i] = digits[digest >> 4 * i & 15];
    }
    text[DIGEST_DIGITS + 1] = ':';
    return tw_buf_append(out, text, sizeof text);
}

enum tumble_code tw_partial_prefix(const struct tw_spec_aggregate *aggregate, uint32_t digest, struct tw_buf *out) {
    const struct tw_aggregate *function = aggregate->function;
    TW_TRY(tw_buf_append_text(out, function->name));
    if (function->type_name) {
        TW_TRY(tw_buf_append_byte(out, '.'));
        TW_TRY(tw_buf_append_text(out, function->type_name));
    }
    for (size_t i = 0; function->options && function->options[i].name; i++) {
        TW_TRY(tw_buf_append_byte(out, i ? ',' : '{'));
        TW_TRY(put_option(&function->options[i], &aggregate->params.options[i], out));
    }
    if (function->options && function->options[0].name) {
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return put_digest(digest, out);
}

/* "#", the digits, ":"; NULL: something else stands there. */
static const char *take_digest(const char *at, const char *end, uint32_t *digest) {
    if (end - at < 1 + DIGEST_DIGITS + 1 || at[0] != '#' || at[1 + DIGEST_DIGITS] != ':') {
        return NULL;
    }
    *digest = 0;
    for (int i = 1; i <= DIGEST_DIGITS; i++) {
        bool number = at[i] >= '0' && at[i] <= '9';
        if (!number && (at[i] < 'a' || at[i] > 'f')) {
            return NULL;
        }
        *digest = *digest << 4 | (uint32_t)(number ? at[i] - '0' : at[i] - 'a' + 10);
    }
    return at + 1 + DIGEST_DIGITS + 1;
}

enum tumble_code tw_partial_parse(struct tumble_bytes text, struct tw_partial *out, struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    size_t name = 0;
    while (name < text.length && !memchr(".{#:", text.data[name], 4)) {
        name++;
    }
    out->function.data = text.data;
    out->function.length = name;
    const char *at = text.data + name, *end = text.data + text.length;
    if (at < end && *at == '.') {
        const char *type = ++at;
        while (at < end && !memchr("{#:", *at, 3)) {
            at++;
        }
        out->type.data = type;
        out->type.length = (size_t)(at - type);
    }
    if (at < end && *at == '{') { /* option names and numbers hold no brace */
        const char *close = memchr(at, '}', (size_t)(end - at));
        out->options.data = at;
        out->options.length = close ? (size_t)(close + 1 - at) : 0;
        at = close ? close + 1 : end;
    }
    at = name ? take_digest(at, end, &out->digest) : NULL;
    if (!at) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a partial state is \"%.*s\": FUNCTION#DIGEST:BASE64 was expected",
                       (int)(text.length < 60 ? text.length : 60), text.data);
    }
    out->state.data = at;
    out->state.length = (size_t)(end - at);
    return TUMBLE_OK;
}

enum tumble_code tw_partial_append_all(const struct tumble_spec *spec, const char *states, struct tumble_bytes prefixes,
                                       const uint32_t *ends, struct tw_buf *scratch, struct tw_buf *out) {
    uint32_t begin = 0;
    TW_TRY(tw_buf_append_byte(out, '{'));
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        if (i) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(aggregate->name)));
        TW_TRY(tw_buf_append_byte(out, ':'));
        tw_buf_clear(scratch);
        TW_TRY(aggregate->function->encode(states + aggregate->state_offset, &aggregate->params, scratch));
        size_t encoded = scratch->length, text = tw_base64_encoded_length(encoded), prefix = ends[i] - begin;
        TW_TRY(tw_buf_reserve(scratch, prefix + text));
        memcpy(scratch->data + encoded, prefixes.data + begin, prefix);
        tw_base64_encode(tw_buf_view(scratch), scratch->data + encoded + prefix);
        struct tumble_bytes string = {scratch->data + encoded, prefix + text};
        TW_TRY(tw_buf_append_json_string(out, string));
        begin = ends[i];
    }
    return tw_buf_append_byte(out, '}');
}
