#include "engine/aggregate/functions.h"

#include "engine/base/fail.h"
#include "engine/base/utf8.h"

/* first and last: the value at the lowest or highest position (arrival, sequence, sub-sequence), whatever the order in
 * which records came. Two values at one position (states of different shards may be merged) are decided by type, then
 * by number or bytes, so that the law holds for any input. */
struct positional {
    int64_t arrival_ms;
    uint64_t sub_sequence;
    char *block;             /* sequence digits, then the value: a decimal's bytes or a string's; NULL: no value yet */
    uint32_t text_length;    /* STRING */
    uint8_t type;            /* enum tumble_type */
    uint8_t sequence_length; /* at most TW_LIMIT_SEQUENCE_DIGITS */
    uint8_t capacity_log2;   /* of the block */
    uint8_t reserved;
};
_Static_assert(sizeof(struct positional) == 32, "first and last cost 32 bytes a group in place");

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct positional));
}

static size_t payload_length(const struct tw_value *value) {
    return value->type == TUMBLE_TYPE_NUMBER   ? sizeof(struct tw_decimal)
           : value->type == TUMBLE_TYPE_STRING ? value->text.length
                                               : 0;
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    return tw_heap_size(input->position.sequence.length + payload_length(input->value));
}

/* Views of what a state holds, valid until its block changes. */
static void kept_position(const struct positional *kept, struct tw_position *out) {
    out->arrival_ms = kept->arrival_ms;
    out->sequence.data = kept->block;
    out->sequence.length = kept->sequence_length;
    out->sub_sequence = kept->sub_sequence;
}

static void kept_value(const struct positional *kept, struct tw_value *out) {
    const char *payload = kept->block + kept->sequence_length;
    memset(out, 0, sizeof *out);
    out->type = kept->type;
    if (kept->type == TUMBLE_TYPE_NUMBER) {
        memcpy(&out->number, payload, sizeof out->number);
    } else if (kept->type == TUMBLE_TYPE_STRING) {
        out->text.data = payload;
        out->text.length = kept->text_length;
    }
}

static int compare_values(const struct tw_value *a, const struct tw_value *b) {
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

/* Where a candidate stands against what is kept: arrival decides nearly always. */
static int compare_kept(const struct positional *kept, const struct tw_value *value,
                        const struct tw_position *position) {
    if (position->arrival_ms != kept->arrival_ms) {
        return position->arrival_ms < kept->arrival_ms ? -1 : 1;
    }
    struct tw_position old;
    kept_position(kept, &old);
    int order = tw_sequence_compare(position->sequence, old.sequence);
    if (order) {
        return order;
    }
    if (position->sub_sequence != old.sub_sequence) {
        return position->sub_sequence < old.sub_sequence ? -1 : 1;
    }
    struct tw_value old_value;
    kept_value(kept, &old_value);
    return compare_values(value, &old_value);
}

static bool store(struct positional *kept, const struct tw_value *value, const struct tw_position *position,
                  struct tw_heap *heap) {
    size_t sequence = position->sequence.length;
    size_t payload = payload_length(value);
    if (!kept->block || sequence + payload > (size_t)1 << kept->capacity_log2) {
        size_t capacity = tw_heap_size(sequence + payload);
        char *block = tw_heap_take(heap, capacity);
        if (!block) {
            return false;
        }
        if (kept->block) {
            tw_heap_give(heap, kept->block, (size_t)1 << kept->capacity_log2);
        }
        kept->block = block;
        kept->capacity_log2 = (uint8_t)__builtin_ctzll(capacity);
    }
    if (sequence) {
        memcpy(kept->block, position->sequence.data, sequence);
    }
    if (payload) {
        bool number = value->type == TUMBLE_TYPE_NUMBER;
        memcpy(kept->block + sequence, number ? (const void *)&value->number : value->text.data, payload);
    }
    kept->arrival_ms = position->arrival_ms;
    kept->sub_sequence = position->sub_sequence;
    kept->sequence_length = (uint8_t)sequence;
    kept->type = value->type;
    kept->text_length = value->type == TUMBLE_TYPE_STRING ? (uint32_t)payload : 0;
    return true;
}

static inline bool keep(struct positional *kept, const struct tw_value *value, const struct tw_position *position,
                        int direction, struct tw_heap *heap) {
    if (kept->block) {
        int order = compare_kept(kept, value, position);
        if (direction < 0 ? order >= 0 : order <= 0) {
            return true;
        }
    }
    return store(kept, value, position, heap);
}

static void step_first(void *state, const struct tw_params *params, const struct tw_input *input,
                       struct tw_heap *heap) {
    (void)params;
    keep(state, input->value, &input->position, -1, heap);
}

static void step_last(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    keep(state, input->value, &input->position, 1, heap);
}

static enum tumble_code merge_towards(void *state, const void *other, int direction, struct tw_heap *heap) {
    const struct positional *from = other;
    if (!from->block) {
        return TUMBLE_OK;
    }
    struct tw_position position;
    struct tw_value value;
    kept_position(from, &position);
    kept_value(from, &value);
    return keep(state, &value, &position, direction, heap) ? TUMBLE_OK : TUMBLE_ENOMEM;
}

static enum tumble_code merge_first(void *state, const struct tw_params *params, const void *other,
                                    struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, -1, heap);
}

static enum tumble_code merge_last(void *state, const struct tw_params *params, const void *other,
                                   struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, 1, heap);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    const struct positional *kept = state;
    if (!kept->block) {
        return tw_buf_append_text(out, "null");
    }
    struct tw_value value;
    kept_value(kept, &value);
    if (value.type == TUMBLE_TYPE_STRING) {
        return tw_buf_append_json_string(out, value.text);
    }
    if (value.type != TUMBLE_TYPE_NUMBER) {
        return tw_buf_append_text(out, value.type == TUMBLE_TYPE_TRUE ? "true" : "false");
    }
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(&value.number, text));
}

/* Byte 0 when there is none, else the type; zigzag varint arrival, packed sequence, varint sub-sequence; then a number
 * in its ordered form, or a string as varint length and bytes. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct positional *kept = state;
    if (!kept->block) {
        return tw_buf_append_byte(out, 0);
    }
    struct tw_position position;
    struct tw_value value;
    kept_position(kept, &position);
    kept_value(kept, &value);
    uint64_t arrival = (uint64_t)kept->arrival_ms;
    TW_TRY(tw_buf_append_byte(out, (char)kept->type));
    TW_TRY(tw_buf_append_varint(out, (arrival << 1) ^ (0 - (arrival >> 63))));
    TW_TRY(tw_sequence_append(out, position.sequence));
    TW_TRY(tw_buf_append_varint(out, position.sub_sequence));
    if (value.type == TUMBLE_TYPE_NUMBER) {
        char bytes[TW_DECIMAL_ORDERED];
        return tw_buf_append(out, bytes, tw_decimal_encode_ordered(&value.number, bytes));
    }
    if (value.type == TUMBLE_TYPE_STRING) {
        TW_TRY(tw_buf_append_varint(out, value.text.length));
        return tw_buf_append(out, value.text.data, value.text.length);
    }
    return TUMBLE_OK;
}

static bool take_value(struct tw_cursor *in, struct tw_value *value) {
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

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    char digits[TW_LIMIT_SEQUENCE_DIGITS];
    struct tw_value value = {0};
    struct tw_position position = {.sequence = {digits, 0}};
    uint64_t zigzag;
    if (tw_take_u8(in, &value.type) && value.type == 0) {
        return TUMBLE_OK;
    }
    if (!tw_take_varint(in, &zigzag) || !tw_sequence_take(in, digits, &position.sequence.length) ||
        !tw_take_varint(in, &position.sub_sequence) || !take_value(in, &value)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored first or last is damaged: it is not a form encode writes");
    }
    position.arrival_ms = (int64_t)((zigzag >> 1) ^ (0 - (zigzag & 1)));
    return store(state, &value, &position, heap) ? TUMBLE_OK : tw_no_memory(err);
}

const struct tw_aggregate tw_aggregate_first = {
    .name = "first",
    .explanation = "%s of the first record, by arrival, then sequence number",
    .state_size = sizeof(struct positional),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .init = init,
    .growth = growth,
    .step = step_first,
    .merge = merge_first,
    .value = value_text,
    .encode = encode,
    .decode = decode,
};

const struct tw_aggregate tw_aggregate_last = {
    .name = "last",
    .explanation = "%s of the last record, by arrival, then sequence number",
    .state_size = sizeof(struct positional),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .init = init,
    .growth = growth,
    .step = step_last,
    .merge = merge_last,
    .value = value_text,
    .encode = encode,
    .decode = decode,
};
