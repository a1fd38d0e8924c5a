#include <tumble/projection.h>

#include <string.h>

#include "engine/codec/json_scan.h"

size_t tumble_value_text(const struct tumble_value *value, char *out, size_t capacity) {
    if (capacity < value->length || value->type != TUMBLE_TYPE_STRING || value->length == 0) {
        return 0;
    }
    if (!(value->flags & TUMBLE_VALUE_ESCAPED)) {
        memcpy(out, value->text, value->length);
        return value->length;
    }
    /* Undoing escapes never makes a string longer, so this buffer never has to grow. */
    struct tw_buf text = {.data = out, .capacity = capacity, .cap = capacity};
    return tw_json_unescape(value, &text) == TUMBLE_OK ? text.length : 0;
}
