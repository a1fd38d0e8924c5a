#include "engine/aggregate/functions.h"

#include "engine/aggregate/positional.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* first and last: the value at the lowest or highest position (arrival, sequence, sub-sequence), whatever the order in
 * which records came. Two values at one position (states of different shards may be merged) are decided by type, then
 * by number or bytes, so that the law holds for any input. */

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct tw_positional));
}

size_t tw_positional_growth(const struct tw_input *input) {
    return tw_heap_size(input->position.sequence.length + tw_kept_length(input->value));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    return tw_positional_growth(input);
}

void tw_positional_get(const struct tw_positional *kept, struct tw_position *position, struct tw_value *value) {
    position->arrival_ms = kept->arrival_ms;
    position->sequence.data = kept->block;
    position->sequence.length = kept->sequence_length;
    position->sub_sequence = kept->sub_sequence;
    tw_kept_get(value, kept->type, kept->block + kept->sequence_length, kept->text_length);
}

int tw_positional_compare(const struct tw_positional *kept, const struct tw_value *value,
                          const struct tw_position *position) {
    if (position->arrival_ms != kept->arrival_ms) { /* decides nearly always */
        return position->arrival_ms < kept->arrival_ms ? -1 : 1;
    }
    struct tw_position old;
    struct tw_value old_value;
    tw_positional_get(kept, &old, &old_value);
    int order = tw_position_compare(position, &old);
    return order ? order : tw_kept_compare(value, &old_value);
}

bool tw_positional_store(struct tw_positional *kept, const struct tw_value *value, const struct tw_position *position,
                         struct tw_heap *heap) {
    size_t sequence = position->sequence.length;
    size_t payload = tw_kept_length(value);
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
    tw_kept_put(kept->block + sequence, value);
    kept->arrival_ms = position->arrival_ms;
    kept->sub_sequence = position->sub_sequence;
    kept->sequence_length = (uint8_t)sequence;
    kept->type = value->type;
    kept->text_length = value->type == TUMBLE_TYPE_STRING ? (uint32_t)payload : 0;
    return true;
}

static bool keep(struct tw_positional *kept, const struct tw_value *value, const struct tw_position *position,
                 int direction, struct tw_heap *heap) {
    if (kept->block) {
        int order = tw_positional_compare(kept, value, position);
        if (direction < 0 ? order >= 0 : order <= 0) {
            return true;
        }
    }
    return tw_positional_store(kept, value, position, heap);
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
    const struct tw_positional *from = other;
    if (!from->block) {
        return TUMBLE_OK;
    }
    struct tw_position position;
    struct tw_value value;
    tw_positional_get(from, &position, &value);
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

enum tumble_code tw_positional_value(const struct tw_positional *kept, struct tw_buf *out) {
    struct tw_position position;
    struct tw_value value;
    if (!kept->block) {
        return tw_buf_append_text(out, "null");
    }
    tw_positional_get(kept, &position, &value);
    return tw_kept_append_json(&value, out);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    return tw_positional_value(state, out);
}

enum tumble_code tw_positional_encode(const struct tw_positional *kept, struct tw_buf *out) {
    struct tw_position position;
    struct tw_value value;
    if (!kept->block) {
        return tw_buf_append_byte(out, 0);
    }
    tw_positional_get(kept, &position, &value);
    TW_TRY(tw_buf_append_byte(out, (char)kept->type));
    TW_TRY(tw_position_append(&position, out));
    return tw_kept_append(&value, out);
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    return tw_positional_encode(state, out);
}

enum tumble_code tw_positional_decode(struct tw_positional *kept, struct tw_cursor *in, struct tw_heap *heap,
                                      struct tumble_error *err) {
    char digits[TW_LIMIT_SEQUENCE_DIGITS];
    struct tw_value value = {0};
    struct tw_position position;
    if (tw_take_u8(in, &value.type) && value.type == 0) {
        return TUMBLE_OK;
    }
    if (!tw_position_take(in, digits, &position) || !tw_kept_take(in, &value)) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "a stored value and its position are damaged: it is not a form encode writes");
    }
    return tw_positional_store(kept, &value, &position, heap) ? TUMBLE_OK : tw_no_memory(err);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    return tw_positional_decode(state, in, heap, err);
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_POSITION + TW_STORED_VALUE;
}

const struct tw_aggregate tw_aggregate_first = {
    .name = "first",
    .explanation = "%s of the first record, by arrival, then sequence number",
    .state_size = sizeof(struct tw_positional),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .init = init,
    .growth = growth,
    .step = step_first,
    .merge = merge_first,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "1, the position (32 with the 56 digits of Kinesis), and the value: a number 4 and 1 for every two "
                   "digits, a string "
                   "its length as a varint and itself",
};

const struct tw_aggregate tw_aggregate_last = {
    .name = "last",
    .explanation = "%s of the last record, by arrival, then sequence number",
    .state_size = sizeof(struct tw_positional),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .init = init,
    .growth = growth,
    .step = step_last,
    .merge = merge_last,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "1, the position (32 with the 56 digits of Kinesis), and the value: a number 4 and 1 for every two "
                   "digits, a string "
                   "its length as a varint and itself",
};
