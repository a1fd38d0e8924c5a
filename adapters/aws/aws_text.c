#include "adapters/aws/aws_text.h"

#include <tumble/timestamp.h>

#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

/* Where "<name>" or "<name …>" begins in [at, end), or NULL; *behind is then behind its '>'. */
static const char *find_open(const char *at, const char *end, const char *name, size_t length, const char **behind) {
    while (at < end && (at = memchr(at, '<', (size_t)(end - at))) != NULL) {
        const char *open = at++;
        if ((size_t)(end - at) > length && memcmp(at, name, length) == 0 && strchr("> \t\r\n/", at[length]) &&
            at[length]) {
            const char *close = memchr(at, '>', (size_t)(end - at));
            *behind = close ? close + 1 : NULL;
            return close ? open : NULL;
        }
    }
    return NULL;
}

bool tw_xml_next(struct tumble_bytes *at, const char *name, struct tumble_bytes *inner) {
    size_t length = strlen(name);
    const char *end = at->length ? at->data + at->length : at->data;
    const char *begin = NULL;
    if (!find_open(at->data, end, name, length, &begin)) {
        return false;
    }
    inner->data = begin;
    inner->length = 0;
    const char *stop = begin;
    if (begin[-2] != '/') { /* not <name/> */
        for (;; stop++) {
            stop = (size_t)(end - stop) >= length + 3 ? memchr(stop, '<', (size_t)(end - stop)) : NULL;
            if (!stop || (size_t)(end - stop) < length + 3) {
                return false;
            }
            if (stop[1] == '/' && memcmp(stop + 2, name, length) == 0 && stop[length + 2] == '>') {
                break;
            }
        }
        inner->length = (size_t)(stop - begin);
        stop += length + 3;
    }
    at->data = stop;
    at->length = (size_t)(end - stop);
    return true;
}

bool tw_xml_find(struct tumble_bytes xml, const char *name, struct tumble_bytes *inner) {
    return tw_xml_next(&xml, name, inner);
}

/* &#38; or &#x26; with body "#38" or "#x26". 0: not a character. */
static uint32_t numeric_entity(const char *body, size_t length) {
    uint32_t base = 10;
    uint32_t value = 0;
    size_t i = 1;
    if (length > 1 && (body[1] == 'x' || body[1] == 'X')) {
        base = 16;
        i = 2;
    }
    if (i == length) {
        return 0;
    }
    for (; i < length; i++) {
        char c = body[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 99;
        if (digit >= base || value > 0x10ffff) {
            return 0;
        }
        value = value * base + digit;
    }
    return value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? 0 : value;
}

static uint32_t entity(const char *body, size_t length) {
    static const struct {
        const char *name;
        uint32_t is;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) == length && memcmp(known[i].name, body, length) == 0) {
            return known[i].is;
        }
    }
    return length > 1 && body[0] == '#' ? numeric_entity(body, length) : 0;
}

enum tumble_code tw_xml_text(struct tumble_bytes text, struct tw_buf *out) {
    const char *at = text.data;
    const char *end = text.length ? at + text.length : at;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop ? stop : end;
        enum tumble_code code = tw_buf_append(out, at, (size_t)(stop - at));
        if (code != TUMBLE_OK || stop == end) {
            return code;
        }
        const char *semicolon = memchr(stop, ';', (size_t)(end - stop));
        uint32_t is = semicolon ? entity(stop + 1, (size_t)(semicolon - stop - 1)) : 0;
        if (is == 0) {
            return TUMBLE_EJSON;
        }
        char utf8[4];
        code = tw_buf_append(out, utf8, tw_json_text_put(is, utf8));
        if (code != TUMBLE_OK) {
            return code;
        }
        at = semicolon + 1;
    }
    return TUMBLE_OK;
}

static bool parse_time(const struct tumble_timestamp_format *format, struct tumble_bytes text, int64_t *ms) {
    struct tumble_value value = {.text = text.data, .length = (uint32_t)text.length, .type = TUMBLE_TYPE_STRING};
    return text.length > 0 && text.length < 64 && !memchr(text.data, '\\', text.length) &&
           tumble_timestamp_ms(format, &value, ms, NULL) == TUMBLE_OK;
}

bool tw_http_date(struct tumble_bytes text, int64_t *ms) {
    static const struct tumble_timestamp_format format = {TUMBLE_TIMESTAMP_STRPTIME, "%a, %d %b %Y %H:%M:%S GMT"};
    return parse_time(&format, text, ms);
}

bool tw_iso_date(struct tumble_bytes text, int64_t *ms) {
    static const struct tumble_timestamp_format format = {TUMBLE_TIMESTAMP_ISO8601, ""};
    return parse_time(&format, text, ms);
}

bool tw_json_member(const struct tumble_value *object, const char *name, struct tumble_value *value) {
    if (object->type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value member;
    bool found = false;
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &key, &member)) {
        if (tw_json_string_equal(&key, tumble_bytes_of(name))) {
            *value = member;
            found = true;
        }
    }
    return found;
}

bool tw_json_member_text(const struct tumble_value *object, const char *name, char *out, size_t capacity) {
    struct tumble_value value;
    out[0] = '\0';
    if (!tw_json_member(object, name, &value) || value.type != TUMBLE_TYPE_STRING) {
        return false;
    }
    struct tw_json_text text = tw_json_text_of(&value);
    uint32_t code_point;
    size_t length = 0;
    while (tw_json_text_next(&text, &code_point)) {
        char utf8[4];
        size_t width = tw_json_text_put(code_point, utf8);
        if (width > capacity - 1 - length) {
            break;
        }
        memcpy(out + length, utf8, width);
        length += width;
    }
    out[length] = '\0';
    return true;
}

void tw_copy_cut(struct tumble_bytes text, char *out, size_t capacity) {
    size_t length = text.length < capacity ? text.length : capacity - 1;
    if (length) {
        memcpy(out, text.data, length);
    }
    out[length] = '\0';
}
