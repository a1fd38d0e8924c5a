#include "engine/base/buf.h"

#include "engine/base/plain_text.h"

void tw_buf_init(struct tw_buf *buf, struct tumble_alloc alloc, size_t cap) {
    memset(buf, 0, sizeof *buf);
    buf->alloc = alloc;
    buf->cap = cap;
}

void tw_buf_clean_up(struct tw_buf *buf) {
    if (buf->alloc.release) {
        tw_free(&buf->alloc, buf->data);
    }
    buf->data = NULL;
    buf->length = 0;
    buf->capacity = 0;
}

enum tumble_code tw_buf_grow(struct tw_buf *buf, size_t extra) {
    size_t need;
    if (!tw_add_ok(buf->length, extra, &need) || need > buf->cap) {
        return TUMBLE_ELIMIT;
    }
    if (need <= buf->capacity) {
        return TUMBLE_OK;
    }
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity < need) {
        capacity = capacity <= buf->cap / 2 ? capacity * 2 : buf->cap;
    }
    if (capacity > buf->cap) {
        capacity = buf->cap;
    }
    char *data = tw_resize(&buf->alloc, buf->data, buf->capacity, capacity);
    if (!data) {
        return TUMBLE_ENOMEM;
    }
    buf->data = data;
    buf->capacity = capacity;
    return TUMBLE_OK;
}

enum tumble_code tw_buf_append(struct tw_buf *buf, const void *data, size_t length) {
    if (length == 0) {
        return TUMBLE_OK;
    }
    if (buf->capacity - buf->length < length) {
        enum tumble_code code = tw_buf_reserve(buf, length);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    return TUMBLE_OK;
}

enum tumble_code tw_buf_append_text(struct tw_buf *buf, const char *text) {
    return tw_buf_append(buf, text, strlen(text));
}

enum tumble_code tw_buf_append_json_string(struct tw_buf *buf, struct tumble_bytes text) {
    if (text.length >= 8 && tw_is_plain_text(text.data, text.length)) {
        enum tumble_code room = tw_buf_reserve(buf, text.length + 2);
        if (room != TUMBLE_OK) {
            return room;
        }
        tw_buf_append_byte(buf, '"'); /* these cannot fail: there is room */
        tw_buf_append_few(buf, text.data, text.length);
        return tw_buf_append_byte(buf, '"');
    }
    static const char hex[] = "0123456789abcdef";
    enum tumble_code code = tw_buf_append_byte(buf, '"');
    size_t plain = 0; /* start of the run of bytes not yet copied */
    for (size_t i = 0; i < text.length && code == TUMBLE_OK; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t length = 6;
        const char *short_form = c == '"'    ? "\\\""
                                 : c == '\\' ? "\\\\"
                                 : c == '\n' ? "\\n"
                                 : c == '\r' ? "\\r"
                                 : c == '\t' ? "\\t"
                                 : c == '\b' ? "\\b"
                                 : c == '\f' ? "\\f"
                                             : NULL;
        if (short_form) {
            memcpy(escape, short_form, 2);
            length = 2;
        }
        code = tw_buf_append(buf, text.data + plain, i - plain);
        if (code == TUMBLE_OK) {
            code = tw_buf_append(buf, escape, length);
        }
        plain = i + 1;
    }
    if (code == TUMBLE_OK && text.length > plain) {
        code = tw_buf_append(buf, text.data + plain, text.length - plain);
    }
    return code == TUMBLE_OK ? tw_buf_append_byte(buf, '"') : code;
}

enum tumble_code tw_buf_append_u32(struct tw_buf *buf, uint32_t value) {
    char bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = (char)(value >> (8 * i));
    }
    return tw_buf_append(buf, bytes, sizeof bytes);
}

enum tumble_code tw_buf_append_u64(struct tw_buf *buf, uint64_t value) {
    char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)(value >> (8 * i));
    }
    return tw_buf_append(buf, bytes, sizeof bytes);
}

enum tumble_code tw_buf_append_varint_long(struct tw_buf *buf, uint64_t value) {
    char bytes[10];
    size_t length = 0;
    do {
        bytes[length++] = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    return tw_buf_append(buf, bytes, length);
}

static bool take_little_endian(struct tw_cursor *cursor, int width, uint64_t *out) {
    struct tumble_bytes bytes;
    if (!tw_take_bytes(cursor, (size_t)width, &bytes)) {
        return false;
    }
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        value |= (uint64_t)(unsigned char)bytes.data[i] << (8 * i);
    }
    *out = value;
    return true;
}

bool tw_take_u32(struct tw_cursor *cursor, uint32_t *out) {
    uint64_t value;
    if (!take_little_endian(cursor, 4, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool tw_take_u64(struct tw_cursor *cursor, uint64_t *out) { return take_little_endian(cursor, 8, out); }

bool tw_take_varint_long(struct tw_cursor *cursor, uint64_t *out) {
    uint64_t value = 0;
    const char *at = cursor->at;
    for (int shift = 0; at < cursor->end; shift += 7) {
        unsigned char byte = (unsigned char)*at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (byte == 0 && shift > 0) {
                return false; /* over-long: the same value has a shorter form, so bytes would not be canonical */
            }
            cursor->at = at;
            *out = value;
            return true;
        }
    }
    return false;
}
