#include "engine/window/group_key.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/number_text.h"

/* One tag byte a type; a string's NUL is written 00 FF and the string ends in 00, which no tag of a following value can
 * be mistaken for, since every tag is below FF. */
enum { TAG_NULL = 1, TAG_FALSE = 2, TAG_TRUE = 3, TAG_NUMBER = 4, TAG_STRING = TW_KEY_TAG_STRING };

size_t tw_group_key_bound(const struct tw_value *value) {
    switch (value->type) {
    case TUMBLE_TYPE_NUMBER: return 1 + TW_DECIMAL_ORDERED;
    case TUMBLE_TYPE_STRING: return 2 + 2 * value->text.length;
    default: return 1;
    }
}

/* Copies length bytes, 4 to 16; false when one of them is NUL. The halves overlap. */
static inline bool copy_short(char *out, const char *text, size_t length) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    if (length >= 8) {
        uint64_t head, tail;
        memcpy(&head, text, 8);
        memcpy(&tail, text + length - 8, 8);
        memcpy(out, &head, 8);
        memcpy(out + length - 8, &tail, 8);
        return ((((head - ones) & ~head) | ((tail - ones) & ~tail)) & highs) == 0;
    }
    uint32_t head, tail;
    memcpy(&head, text, 4);
    memcpy(&tail, text + length - 4, 4);
    memcpy(out, &head, 4);
    memcpy(out + length - 4, &tail, 4);
    uint64_t both = (uint64_t)head << 32 | tail;
    return ((both - ones) & ~both & highs) == 0;
}

size_t tw_group_key_put(const struct tw_value *value, char *out) {
    switch (value->type) {
    case TUMBLE_TYPE_NUMBER: out[0] = TAG_NUMBER; return 1 + tw_decimal_encode_ordered(&value->number, out + 1);
    case TUMBLE_TYPE_STRING: break;
    case TUMBLE_TYPE_FALSE: out[0] = TAG_FALSE; return 1;
    case TUMBLE_TYPE_TRUE: out[0] = TAG_TRUE; return 1;
    default: out[0] = TAG_NULL; return 1;
    }
    size_t n = 0;
    out[n++] = TAG_STRING;
    if (value->text.length >= 4 && value->text.length <= 16 &&
        copy_short(out + n, value->text.data, value->text.length)) {
        n += value->text.length;
    } else if (value->text.length) {
        if (!memchr(value->text.data, 0, value->text.length)) {
            memcpy(out + n, value->text.data, value->text.length);
            n += value->text.length;
        } else {
            for (size_t i = 0; i < value->text.length; i++) {
                out[n++] = value->text.data[i];
                if (value->text.data[i] == 0) {
                    out[n++] = (char)0xff;
                }
            }
        }
    }
    out[n++] = 0;
    return n;
}

static enum tumble_code put_string(struct tw_cursor *key, struct tw_buf *out) {
    const char *nul = memchr(key->at, 0, tw_cursor_left(key));
    if (!nul) {
        return TUMBLE_ECORRUPT;
    }
    if (nul + 1 == key->end || (unsigned char)nul[1] != 0xff) { /* the common case: no NUL inside */
        struct tumble_bytes text = {key->at, (size_t)(nul - key->at)};
        key->at = nul + 1;
        return tw_buf_append_json_string(out, text);
    }
    TW_TRY(tw_buf_append_byte(out, '"'));
    for (;;) {
        size_t mark = out->length;
        struct tumble_bytes text = {key->at, (size_t)(nul - key->at)};
        TW_TRY(tw_buf_append_json_string(out, text)); /* "text": drop both quotes again */
        memmove(out->data + mark, out->data + mark + 1, out->length - mark - 2);
        out->length -= 2;
        key->at = nul + 1;
        if (key->at == key->end || (unsigned char)*key->at != 0xff) {
            break;
        }
        TW_TRY(tw_buf_append_text(out, "\\u0000"));
        key->at++;
        nul = memchr(key->at, 0, tw_cursor_left(key));
        if (!nul) {
            return TUMBLE_ECORRUPT;
        }
    }
    return tw_buf_append_byte(out, '"');
}

enum tumble_code tw_group_key_json(struct tw_cursor *key, struct tw_buf *out) {
    uint8_t tag;
    if (!tw_take_u8(key, &tag)) {
        return TUMBLE_ECORRUPT;
    }
    switch (tag) {
    case TAG_NULL: return tw_buf_append_text(out, "null");
    case TAG_FALSE: return tw_buf_append_text(out, "false");
    case TAG_TRUE: return tw_buf_append_text(out, "true");
    case TAG_STRING: return put_string(key, out);
    case TAG_NUMBER: {
        struct tw_decimal number;
        if (!tw_decimal_decode_ordered(&key->at, key->end, &number)) {
            return TUMBLE_ECORRUPT;
        }
        return tw_buf_append_decimal(out, &number);
    }
    default: return TUMBLE_ECORRUPT;
    }
}
