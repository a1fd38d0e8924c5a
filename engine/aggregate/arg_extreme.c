#include "engine/aggregate/functions.h"

#include "engine/aggregate/positional.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* arg_min and arg_max: the value of the record in which another field, "by", is least or greatest. Of several such
 * records both take the one at the lowest position, and at one position the least value, as first does. */
struct arg_extreme {
    struct tw_decimal by;
    struct tw_positional kept;
};
_Static_assert(sizeof(struct arg_extreme) == 56, "arg_min and arg_max cost 56 bytes a group in place");

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct arg_extreme));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    return tw_positional_growth(input);
}

static bool keep(struct arg_extreme *state, const struct tw_decimal *by, const struct tw_value *value,
                 const struct tw_position *position, int direction, struct tw_heap *heap) {
    if (state->kept.block) {
        int order = tw_decimal_compare(by, &state->by);
        if (direction < 0 ? order > 0 : order < 0) {
            return true;
        }
        if (order == 0 && tw_positional_compare(&state->kept, value, position) >= 0) {
            return true;
        }
    }
    if (!tw_positional_store(&state->kept, value, position, heap)) {
        return false;
    }
    state->by = *by;
    return true;
}

static void step_min(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    keep(state, &input->second->number, input->value, &input->position, -1, heap);
}

static void step_max(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    keep(state, &input->second->number, input->value, &input->position, 1, heap);
}

static enum tumble_code merge_towards(void *state, const void *other, int direction, struct tw_heap *heap) {
    const struct arg_extreme *from = other;
    struct tw_position position;
    struct tw_value value;
    if (!from->kept.block) {
        return TUMBLE_OK;
    }
    tw_positional_get(&from->kept, &position, &value);
    return keep(state, &from->by, &value, &position, direction, heap) ? TUMBLE_OK : TUMBLE_ENOMEM;
}

static enum tumble_code merge_min(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, -1, heap);
}

static enum tumble_code merge_max(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, 1, heap);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    return tw_positional_value(&((const struct arg_extreme *)state)->kept, out);
}

/* As first, and behind it, unless empty, by in its ordered form. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct arg_extreme *from = state;
    TW_TRY(tw_positional_encode(&from->kept, out));
    if (!from->kept.block) {
        return TUMBLE_OK;
    }
    char bytes[TW_DECIMAL_ORDERED];
    return tw_buf_append(out, bytes, tw_decimal_encode_ordered(&from->by, bytes));
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    struct arg_extreme *into = state;
    TW_TRY(tw_positional_decode(&into->kept, in, heap, err));
    if (into->kept.block && !tw_decimal_decode_ordered(&in->at, in->end, &into->by)) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "a stored arg_min or arg_max is damaged: its number is not a form encode writes");
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_POSITION + TW_STORED_VALUE + TW_STORED_NUMBER;
}

const struct tw_aggregate tw_aggregate_arg_min = {
    .name = "arg_min",
    .explanation = "%s of the record with the least %s",
    .state_size = sizeof(struct arg_extreme),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .second = "by",
    .second_takes = TW_TAKES_NUMBER,
    .init = init,
    .growth = growth,
    .step = step_min,
    .merge = merge_min,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "as of first, and the number: 4 and 1 for every two digits",
};

const struct tw_aggregate tw_aggregate_arg_max = {
    .name = "arg_max",
    .explanation = "%s of the record with the greatest %s",
    .state_size = sizeof(struct arg_extreme),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .second = "by",
    .second_takes = TW_TAKES_NUMBER,
    .init = init,
    .growth = growth,
    .step = step_max,
    .merge = merge_max,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "as of first, and the number: 4 and 1 for every two digits",
};
