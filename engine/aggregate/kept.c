#include "engine/aggregate/kept.h"

#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/base/utf8.h"

int tw_kept_compare(const struct tw_value *a, const struct tw_value *b) {
    if (a->type != b->type) {
        return a->type < b->type ? -1 : 1;
    }
    if (a->type == TUMBLE_TYPE_NUMBER) {
        return tw_decimal_compare(&a->number, &b->number);
    }
    if (a->type != TUMBLE_TYPE_STRING) {
        return 0;
    }
    size_t common = a->text.length < b->text.length ? a->text.length : b->text.length;
    int order = common ? memcmp(a->text.data, b->text.data, common) : 0;
    return order ? order : (a->text.length > b->text.length) - (a->text.length < b->text.length);
}

int tw_position_compare(const struct tw_position *a, const struct tw_position *b) {
    if (a->arrival_ms != b->arrival_ms) {
        return a->arrival_ms < b->arrival_ms ? -1 : 1;
    }
    int order = tw_sequence_compare(a->sequence, b->sequence);
    return order ? order : (a->sub_sequence > b->sub_sequence) - (a->sub_sequence < b->sub_sequence);
}

enum tumble_code tw_kept_append_json(const struct tw_value *value, struct tw_buf *out) {
    if (value->type == TUMBLE_TYPE_STRING) {
        return tw_buf_append_json_string(out, value->text);
    }
    if (value->type != TUMBLE_TYPE_NUMBER) {
        return tw_buf_append_text(out, value->type == TUMBLE_TYPE_TRUE ? "true" : "false");
    }
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(&value->number, text));
}

enum tumble_code tw_kept_append(const struct tw_value *value, struct tw_buf *out) {
    if (value->type == TUMBLE_TYPE_NUMBER) {
        char bytes[TW_DECIMAL_ORDERED];
        return tw_buf_append(out, bytes, tw_decimal_encode_ordered(&value->number, bytes));
    }
    if (value->type == TUMBLE_TYPE_STRING) {
        TW_TRY(tw_buf_append_varint(out, value->text.length));
        return tw_buf_append(out, value->text.data, value->text.length);
    }
    return TUMBLE_OK;
}

bool tw_kept_take(struct tw_cursor *in, struct tw_value *value) {
    uint64_t length;
    switch (value->type) {
    case TUMBLE_TYPE_NUMBER: return tw_decimal_decode_ordered(&in->at, in->end, &value->number);
    case TUMBLE_TYPE_STRING:
        return tw_take_varint(in, &length) && length <= TW_LIMIT_STRING_VALUE_BYTES &&
               tw_take_bytes(in, (size_t)length, &value->text) && tw_utf8_valid(value->text);
    case TUMBLE_TYPE_TRUE:
    case TUMBLE_TYPE_FALSE: return true;
    default: return false;
    }
}

enum tumble_code tw_position_append(const struct tw_position *position, struct tw_buf *out) {
    uint64_t arrival = (uint64_t)position->arrival_ms;
    TW_TRY(tw_buf_append_varint(out, (arrival << 1) ^ (0 - (arrival >> 63))));
    TW_TRY(tw_sequence_append(out, position->sequence));
    return tw_buf_append_varint(out, position->sub_sequence);
}

bool tw_position_take(struct tw_cursor *in, char digits[TW_LIMIT_SEQUENCE_DIGITS], struct tw_position *out) {
    uint64_t zigzag;
    out->sequence.data = digits;
    if (!tw_take_varint(in, &zigzag) || !tw_sequence_take(in, digits, &out->sequence.length) ||
        !tw_take_varint(in, &out->sub_sequence)) {
        return false;
    }
    out->arrival_ms = (int64_t)((zigzag >> 1) ^ (0 - (zigzag & 1)));
    return out->arrival_ms >= 0 && out->arrival_ms <= TUMBLE_TIMESTAMP_MAX_MS; /* no record arrived at another time */
}
