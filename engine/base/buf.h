#ifndef TW_BASE_BUF_H
#define TW_BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/alloc.h"

/* A growing run of bytes, born with a cap. Zeroed is not valid: use tw_buf_init. clean_up is idempotent. */
struct tw_buf {
    struct tumble_alloc alloc;
    char *data; /* NULL while capacity is 0 */
    size_t length;
    size_t capacity;
    size_t cap;
};

void tw_buf_init(struct tw_buf *buf, struct tumble_alloc alloc, size_t cap);
void tw_buf_clean_up(struct tw_buf *buf);
/* Makes room for extra more bytes. Errors: ENOMEM, ELIMIT (past the cap). */
enum tumble_code tw_buf_grow(struct tw_buf *buf, size_t extra);
static inline enum tumble_code tw_buf_reserve(struct tw_buf *buf, size_t extra) {
    return buf->capacity - buf->length < extra ? tw_buf_grow(buf, extra) : TUMBLE_OK;
}
enum tumble_code tw_buf_append(struct tw_buf *buf, const void *data, size_t length);
/* The same, where length mostly is from 4 to 16, as in frames: two copies that overlap take the place of a call. */
static inline enum tumble_code tw_buf_append_few(struct tw_buf *buf, const void *data, size_t length) {
    if (length < 4 || length > 16 || buf->capacity - buf->length < length) {
        return tw_buf_append(buf, data, length);
    }
    const char *from = (const char *)data;
    char *to = buf->data + buf->length;
    if (length >= 8) {
        uint64_t parts[2];
        memcpy(&parts[0], from, 8);
        memcpy(&parts[1], from + length - 8, 8);
        memcpy(to, &parts[0], 8);
        memcpy(to + length - 8, &parts[1], 8);
    } else {
        uint32_t parts[2];
        memcpy(&parts[0], from, 4);
        memcpy(&parts[1], from + length - 4, 4);
        memcpy(to, &parts[0], 4);
        memcpy(to + length - 4, &parts[1], 4);
    }
    buf->length += length;
    return TUMBLE_OK;
}
enum tumble_code tw_buf_append_text(struct tw_buf *buf, const char *text);
static inline void tw_buf_clear(struct tw_buf *buf) { buf->length = 0; }
static inline struct tumble_bytes tw_buf_view(const struct tw_buf *buf) {
    struct tumble_bytes view = {buf->data, buf->length};
    return view;
}
static inline enum tumble_code tw_buf_append_byte(struct tw_buf *buf, char byte) {
    if (buf->length == buf->capacity) {
        enum tumble_code code = tw_buf_reserve(buf, 1);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    buf->data[buf->length++] = byte;
    return TUMBLE_OK;
}

/* Appends text as a JSON string with its quotes: escapes ", \ and controls; the bytes must be valid UTF-8. */
enum tumble_code tw_buf_append_json_string(struct tw_buf *buf, struct tumble_bytes text);

/* Little-endian integers and LEB128 varints of stored frames. */
enum tumble_code tw_buf_append_u32(struct tw_buf *buf, uint32_t value);
enum tumble_code tw_buf_append_u64(struct tw_buf *buf, uint64_t value);
enum tumble_code tw_buf_append_varint_long(struct tw_buf *buf, uint64_t value);
static inline enum tumble_code tw_buf_append_varint(struct tw_buf *buf, uint64_t value) {
    return value < 0x80 ? tw_buf_append_byte(buf, (char)value) : tw_buf_append_varint_long(buf, value);
}

/* A reader over borrowed bytes: every take checks bounds first and returns false, leaving the cursor as it was, when
 * the bytes are not there. */
struct tw_cursor {
    const char *at;
    const char *end;
};
static inline struct tw_cursor tw_cursor_of(struct tumble_bytes bytes) {
    struct tw_cursor cursor = {bytes.data, bytes.data ? bytes.data + bytes.length : NULL};
    return cursor;
}
static inline size_t tw_cursor_left(const struct tw_cursor *cursor) { return (size_t)(cursor->end - cursor->at); }
static inline bool tw_take_u8(struct tw_cursor *cursor, uint8_t *out) {
    if (cursor->at == cursor->end) {
        return false;
    }
    *out = (uint8_t)*cursor->at++;
    return true;
}
bool tw_take_u32(struct tw_cursor *cursor, uint32_t *out);
bool tw_take_u64(struct tw_cursor *cursor, uint64_t *out);
bool tw_take_varint_long(struct tw_cursor *cursor, uint64_t *out);
/* At most 10 bytes; over-long forms are refused. */
static inline bool tw_take_varint(struct tw_cursor *cursor, uint64_t *out) {
    if (cursor->at < cursor->end && (unsigned char)*cursor->at < 0x80) {
        *out = (unsigned char)*cursor->at++;
        return true;
    }
    return tw_take_varint_long(cursor, out);
}
static inline bool tw_take_bytes(struct tw_cursor *cursor, size_t length, struct tumble_bytes *out) {
    if (tw_cursor_left(cursor) < length) {
        return false;
    }
    out->data = cursor->at;
    out->length = length;
    cursor->at += length;
    return true;
}

#endif
