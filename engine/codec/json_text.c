#include "engine/codec/json_text.h"

static uint32_t hex4(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value & 0xffff;
}

static uint32_t escape(struct tw_json_text *text) { /* at stands behind the backslash, at least one byte is left */
    char c = *text->at++;
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return (unsigned char)c;
    }
    if (text->end - text->at < 4) {
        text->at = text->end;
        return 0xfffd;
    }
    uint32_t unit = hex4(text->at);
    text->at += 4;
    if (unit >= 0xd800 && unit < 0xdc00 && text->end - text->at >= 6) {
        uint32_t low = hex4(text->at + 2);
        text->at += 6;
        return 0x10000 + ((unit - 0xd800) << 10) + ((low - 0xdc00) & 0x3ff);
    }
    return unit;
}

bool tw_json_text_next(struct tw_json_text *text, uint32_t *code_point) {
    if (text->at >= text->end) {
        return false;
    }
    unsigned char lead = (unsigned char)*text->at++;
    if (lead == '\\' && text->escaped && text->at < text->end) {
        *code_point = escape(text);
        return true;
    }
    if (lead < 0x80) {
        *code_point = lead;
        return true;
    }
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    uint32_t value = lead & (0x3fu >> more);
    while (more-- > 0 && text->at < text->end) {
        value = value << 6 | ((unsigned char)*text->at++ & 0x3f);
    }
    *code_point = value;
    return true;
}

size_t tw_json_text_put(uint32_t code_point, char out[4]) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (code_point >> 18 & 7));
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

size_t tw_json_text_copy(const struct tumble_value *string, char *out, size_t capacity) {
    if (!(string->flags & TUMBLE_VALUE_ESCAPED)) {
        if (string->length > capacity) {
            return SIZE_MAX;
        }
        if (string->length) {
            memcpy(out, string->text, string->length);
        }
        return string->length;
    }
    struct tw_json_text text = tw_json_text_of(string);
    size_t length = 0;
    uint32_t code_point;
    while (tw_json_text_next(&text, &code_point)) {
        char utf8[4];
        size_t more = tw_json_text_put(code_point, utf8);
        if (more > capacity - length) {
            return SIZE_MAX;
        }
        memcpy(out + length, utf8, more);
        length += more;
    }
    return length;
}
