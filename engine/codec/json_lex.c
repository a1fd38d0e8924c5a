#include "engine/codec/json_lex.h"

#include <stdio.h>

#include "engine/base/fail.h"

void tw_lex_note(struct tw_lex *lex, const char *at, enum tumble_code code, const char *expected) {
    lex->code = code == TUMBLE_EJSON && at == lex->end && !lex->end_of_input ? TUMBLE_EMORE : code;
    lex->at = at;
    lex->expected = expected;
}

enum tumble_code tw_lex_report(const struct tw_lex *lex, struct tumble_error *err) {
    int64_t byte = lex->at - lex->begin;
    if (lex->code == TUMBLE_EMORE && lex->clamped) {
        return tw_fail_at(err, TUMBLE_ELIMIT, byte, "a JSON value of more than 4 GiB");
    }
    if (lex->code == TUMBLE_EMORE) {
        return tw_fail_at(err, TUMBLE_EMORE, byte, "the input ends where %s was expected: more bytes are needed",
                          lex->expected);
    }
    if (lex->code != TUMBLE_EJSON) {
        return tw_fail_at(err, lex->code, byte, "%s", lex->expected);
    }
    if (lex->at == lex->end) {
        return tw_fail_at(err, TUMBLE_EJSON, byte, "expected %s but the input ends", lex->expected);
    }
    unsigned char found = (unsigned char)*lex->at;
    if (found > 0x20 && found < 0x7f) {
        return tw_fail_at(err, TUMBLE_EJSON, byte, "expected %s but found '%c'", lex->expected, found);
    }
    return tw_fail_at(err, TUMBLE_EJSON, byte, "expected %s but found byte 0x%02x", lex->expected, found);
}

enum tumble_code tw_lex_finish(struct tw_lex *lex, const char *at, size_t *consumed, struct tumble_error *err) {
    if (!at) {
        return tw_lex_report(lex, err);
    }
    if (consumed) {
        *consumed = (size_t)(at - lex->begin);
        return TUMBLE_OK;
    }
    at = tw_lex_space(at, lex->end);
    if (at != lex->end) {
        tw_lex_refuse(lex, at, TUMBLE_EJSON, "the end of the input behind the value");
        return tw_lex_report(lex, err);
    }
    if (lex->clamped) {
        tw_lex_refuse(lex, at, TUMBLE_ELIMIT, "more than 4 GiB of JSON where one value was expected");
        return tw_lex_report(lex, err);
    }
    return TUMBLE_OK;
}

const char *tw_lex_space_rest(const char *at, const char *end) {
    while (at < end && tw_lex_is_space(*at)) {
        at++;
    }
    return at;
}

const char *tw_lex_literal_rest(struct tw_lex *lex, const char *at, const char *literal) {
    const char *expected = *literal == 't' ? "\"true\"" : *literal == 'f' ? "\"false\"" : "\"null\"";
    while (at < lex->end && *literal && *at == *literal) {
        at++;
        literal++;
    }
    return tw_lex_refuse(lex, at, TUMBLE_EJSON, expected);
}

const char *tw_lex_no_value(struct tw_lex *lex, const char *at) {
    bool not_a_number = *at == 'N' || *at == 'I';
    return tw_lex_refuse(lex, at, TUMBLE_EJSON, not_a_number ? "a value (NaN and Infinity are not JSON)" : "a value");
}

const char *tw_lex_number_end(struct tw_lex *lex, const char *at) {
    if (at < lex->end) {
        unsigned char c = (unsigned char)*at;
        unsigned char letter = (unsigned char)(c | 0x20);
        if ((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-') {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "the end of the number");
        }
    }
    return at;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *four_hex(struct tw_lex *lex, const char *at, uint32_t *out) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at++) {
        int digit = at < lex->end ? hex_digit(*at) : -1;
        if (digit < 0) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "a hexadecimal digit");
        }
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return at;
}

static const char *low_surrogate(struct tw_lex *lex, const char *backslash, const char *at, uint32_t *code_point) {
    static const char *const lone = "a \\u escape that is half of a surrogate pair without its other half";
    for (const char *want = "\\u"; *want; want++, at++) {
        if (at == lex->end) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "the other half of a surrogate pair");
        }
        if (*at != *want) {
            return tw_lex_refuse(lex, backslash, TUMBLE_EUTF8, lone);
        }
    }
    uint32_t low;
    at = four_hex(lex, at, &low);
    if (!at) {
        return NULL;
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return tw_lex_refuse(lex, backslash, TUMBLE_EUTF8, lone);
    }
    *code_point = 0x10000 + ((*code_point - 0xd800) << 10) + (low - 0xdc00);
    return at;
}

const char *tw_lex_escape(struct tw_lex *lex, const char *at, uint32_t *code_point) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *backslash = at++;
    if (at == lex->end) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "an escape");
    }
    if (*at == 'u') {
        at = four_hex(lex, at + 1, code_point);
        if (!at || *code_point < 0xd800 || *code_point > 0xdfff) {
            return at;
        }
        if (*code_point >= 0xdc00) {
            return tw_lex_refuse(lex, backslash, TUMBLE_EUTF8,
                                 "a \\u escape that is half of a surrogate pair without its other half");
        }
        return low_surrogate(lex, backslash, at, code_point);
    }
    const char *found = *at ? strchr(from, *at) : NULL;
    if (!found) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "one of \" \\ / b f n r t u behind a backslash");
    }
    *code_point = (uint32_t)to[found - from];
    return at + 1;
}

/* One sequence of two to four bytes (RFC 3629, table of section 4). */
static const char *utf8_sequence(struct tw_lex *lex, const char *at) {
    const char *begin = at;
    unsigned char lead = (unsigned char)*at;
    unsigned char low = 0x80;
    unsigned char high = 0xbf; /* of the second byte: this is where over-long forms and surrogates are refused */
    int more;
    if (lead >= 0xc2 && lead <= 0xdf) {
        more = 1;
    } else if ((lead & 0xf0) == 0xe0) {
        more = 2;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        more = 3;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    } else {
        return tw_lex_refuse(lex, begin, TUMBLE_EUTF8, "a byte that cannot begin a character in UTF-8");
    }
    for (at++; more > 0; more--, at++, low = 0x80, high = 0xbf) {
        if (at == lex->end) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "the rest of a UTF-8 sequence");
        }
        if ((unsigned char)*at < low || (unsigned char)*at > high) {
            return tw_lex_refuse(lex, begin, TUMBLE_EUTF8,
                                 "a malformed UTF-8 sequence (cut short, over-long, a surrogate or beyond U+10FFFF)");
        }
    }
    return at;
}

const char *tw_lex_string_rest(struct tw_lex *lex, const char *at, uint8_t *flags) {
    uint32_t code_point;
    *flags = 0;
    while (at) {
        if (at == lex->end) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "the '\"' that closes a string");
        }
        if (*at == '"') {
            return at;
        }
        if (*at == '\\') {
            *flags = TUMBLE_VALUE_ESCAPED;
            at = tw_lex_escape(lex, at, &code_point);
        } else if ((unsigned char)*at >= 0x80) {
            at = utf8_sequence(lex, at);
        } else if ((unsigned char)*at < 0x20) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "an escape in place of a control character");
        } else {
            at = tw_scan_string(at, lex->end);
        }
    }
    return NULL;
}

const char *tw_lex_container(struct tw_lex *lex, const char *at, unsigned depth) {
    uint64_t objects[(TW_LIMIT_JSON_DEPTH + 63) / 64]; /* one bit an open container; only bits below depth are read */
    const unsigned outer = depth;
    const char *const end = lex->end;
    const char *expected_key;
    struct tumble_value ignored;
    bool is_object;

open:
    if (TW_RARELY(depth >= TW_LIMIT_JSON_DEPTH)) {
        return tw_lex_refuse(lex, at, TUMBLE_EDEPTH, "arrays and objects nested more than 1000 deep");
    }
    is_object = *at == '{';
    if (is_object) {
        objects[depth / 64] |= UINT64_C(1) << (depth % 64);
    } else {
        objects[depth / 64] &= ~(UINT64_C(1) << (depth % 64));
    }
    depth++;
    at = tw_lex_space(at + 1, end);
    if (at < end && *at == (is_object ? '}' : ']')) {
        goto close;
    }
    expected_key = TW_LEX_KEY_OR_CLOSE;
    if (!is_object) {
        goto value;
    }
key : {
    const char *text;
    uint32_t length;
    uint8_t flags;
    at = tw_lex_key(lex, at, expected_key, &text, &length, &flags);
    if (TW_RARELY(!at)) {
        return NULL;
    }
}
value:
    if (TW_RARELY(at == end)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "a value");
    }
    if (*at == '{' || *at == '[') {
        goto open;
    }
    at = tw_lex_scalar(lex, at, &ignored);
    if (TW_RARELY(!at)) {
        return NULL;
    }
behind_value:
    at = tw_lex_space(at, end);
    if (TW_RARELY(at == end)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, is_object ? TW_LEX_COMMA_OR_BRACE : TW_LEX_COMMA_OR_SQUARE);
    }
    if (*at == ',') {
        at = tw_lex_space(at + 1, end);
        if (!is_object) {
            goto value;
        }
        expected_key = TW_LEX_KEY;
        goto key;
    }
    if (TW_RARELY(*at != (is_object ? '}' : ']'))) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, is_object ? TW_LEX_COMMA_OR_BRACE : TW_LEX_COMMA_OR_SQUARE);
    }
close:
    at++;
    depth--;
    if (depth == outer) {
        return at;
    }
    is_object = objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
    goto behind_value;
}
