#include "engine/base/fail.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

static const char *find_backslash(const char *at, const char *end) {
    const char *found = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL;
    return found ? found : end;
}

enum tumble_code tw_json_unescape(const struct tumble_value *string, struct tw_buf *out) {
    if (!(string->flags & TUMBLE_VALUE_ESCAPED)) {
        return tw_buf_append(out, string->text, string->length);
    }
    struct tumble_bytes text = {string->text, string->length};
    struct tw_lex lex;
    tw_lex_init(&lex, text, 1);
    const char *at = lex.begin;
    while (at < lex.end) {
        const char *plain = at;
        at = find_backslash(at, lex.end);
        TW_TRY(tw_buf_append(out, plain, (size_t)(at - plain)));
        if (at < lex.end) {
            uint32_t code_point;
            char utf8[4];
            at = tw_lex_escape(&lex, at, &code_point);
            if (!at) {
                return lex.code;
            }
            TW_TRY(tw_buf_append(out, utf8, tw_json_text_put(code_point, utf8)));
        }
    }
    return TUMBLE_OK;
}

bool tw_json_string_equal(const struct tumble_value *string, struct tumble_bytes text) {
    if (!(string->flags & TUMBLE_VALUE_ESCAPED)) {
        return string->length == text.length && memcmp(string->text, text.data ? text.data : "", text.length) == 0;
    }
    struct tumble_bytes escaped = {string->text, string->length};
    struct tw_lex lex;
    tw_lex_init(&lex, escaped, 1);
    const char *at = lex.begin;
    size_t matched = 0;
    while (at < lex.end) {
        char utf8[4] = {*at};
        size_t length = 1;
        if (*at == '\\') {
            uint32_t code_point;
            at = tw_lex_escape(&lex, at, &code_point);
            if (!at) {
                return false;
            }
            length = tw_json_text_put(code_point, utf8);
        } else {
            at++;
        }
        if (text.length - matched < length || memcmp(text.data + matched, utf8, length) != 0) {
            return false;
        }
        matched += length;
    }
    return matched == text.length;
}
