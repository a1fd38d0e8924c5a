#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/base/number_text.h"

/* min and max of numbers: one idea, two directions. The state is the number itself, equal numbers having equal bytes;
 * its reserved field, 0 in every decimal, is 1 once there is a value. */

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct tw_decimal));
}

static inline void keep(struct tw_decimal *kept, const struct tw_decimal *number, int direction) {
    if (!kept->reserved || (direction < 0 ? tw_decimal_less(number, kept) : tw_decimal_less(kept, number))) {
        *kept = *number;
        kept->reserved = 1;
    }
}

static void step_min(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    (void)heap;
    keep(state, &input->value->number, -1);
}

static void step_max(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    (void)heap;
    keep(state, &input->value->number, 1);
}

static inline __attribute__((always_inline)) void keep_all(char *const *groups, uint32_t offset,
                                                           const struct tw_value *values, size_t stride, size_t count,
                                                           int direction) {
    for (size_t i = 0; i < count; i++, values += stride) {
        keep((struct tw_decimal *)(void *)(groups[i] + offset), &values->number, direction);
    }
}

static void step_all_min(char *const *groups, uint32_t offset, const struct tw_params *params,
                         const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    (void)params;
    (void)heap;
    keep_all(groups, offset, values, stride, count, -1);
}

static void step_all_max(char *const *groups, uint32_t offset, const struct tw_params *params,
                         const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    (void)params;
    (void)heap;
    keep_all(groups, offset, values, stride, count, 1);
}

static void step_tally_min(void *state, const struct tw_tally *tally, struct tw_heap *heap) {
    (void)heap;
    keep(state, &tally->least, -1);
}

static void step_tally_max(void *state, const struct tw_tally *tally, struct tw_heap *heap) {
    (void)heap;
    keep(state, &tally->greatest, 1);
}

static enum tumble_code merge_min(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    (void)heap;
    const struct tw_decimal *from = other;
    if (from->reserved) {
        keep(state, from, -1);
    }
    return TUMBLE_OK;
}

static enum tumble_code merge_max(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    (void)heap;
    const struct tw_decimal *from = other;
    if (from->reserved) {
        keep(state, from, 1);
    }
    return TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    const struct tw_decimal *kept = state;
    return kept->reserved ? tw_buf_append_decimal(out, kept) : tw_buf_append_text(out, "null");
}

/* A 0 byte when there is none; else the ordered form, whose first byte is never 0. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct tw_decimal *kept = state;
    if (!kept->reserved) {
        return tw_buf_append_byte(out, 0);
    }
    if (out->capacity - out->length < TW_DECIMAL_ORDERED) {
        char bytes[TW_DECIMAL_ORDERED];
        return tw_buf_append(out, bytes, tw_decimal_encode_ordered(kept, bytes));
    }
    out->length += tw_decimal_encode_ordered(kept, out->data + out->length);
    return TUMBLE_OK;
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    (void)heap;
    struct tw_decimal *kept = state;
    struct tw_decimal number;
    if (in->at < in->end && *in->at == 0) {
        in->at++;
        return TUMBLE_OK;
    }
    if (!tw_decimal_decode_ordered(&in->at, in->end, &number)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored minimum or maximum is damaged: it is not a number");
    }
    *kept = number;
    kept->reserved = 1;
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_NUMBER;
}

const struct tw_aggregate tw_aggregate_min = {
    .name = "min",
    .explanation = "least number in %s",
    .state_size = sizeof(struct tw_decimal),
    .form = TW_FORM_EXTREME,
    .takes = TW_TAKES_NUMBER,
    .additive = true,
    .init = init,
    .step = step_min,
    .step_all = step_all_min,
    .step_tally = step_tally_min,
    .merge = merge_min,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "4 and 1 for every two digits; 2 for zero",
};

const struct tw_aggregate tw_aggregate_max = {
    .name = "max",
    .explanation = "greatest number in %s",
    .state_size = sizeof(struct tw_decimal),
    .form = TW_FORM_EXTREME,
    .takes = TW_TAKES_NUMBER,
    .additive = true,
    .init = init,
    .step = step_max,
    .step_all = step_all_max,
    .step_tally = step_tally_max,
    .merge = merge_max,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "4 and 1 for every two digits; 2 for zero",
};
