#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/aggregate/total.h"

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct tw_total));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    (void)input;
    return tw_total_growth();
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    tw_total_add(state, &input->value->number, heap);
}

static void step_all(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    (void)params;
    for (size_t i = 0; i < count; i++, values += stride) {
        tw_total_add((struct tw_total *)(void *)(groups[i] + offset), &values->number, heap);
    }
}

static void step_tally(void *state, const struct tw_tally *tally, struct tw_heap *heap) {
    tw_total_add(state, &tally->sum, heap);
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    (void)params;
    return tw_total_merge(state, other, heap);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    return tw_total_value(state, 1, out);
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    return tw_total_encode(state, out);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    return tw_total_decode(state, in, heap, err);
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_TOTAL;
}

const struct tw_aggregate tw_aggregate_sum = {
    .name = "sum",
    .explanation = "exact sum of %s",
    .state_size = sizeof(struct tw_total),
    .form = TW_FORM_TOTAL,
    .takes = TW_TAKES_NUMBER,
    .additive = true,
    .init = init,
    .growth = growth,
    .growth_fixed = true,
    .step = step,
    .step_all = step_all,
    .step_tally = step_tally,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "up to 22 while the sum has at most 38 digits, else 3 and 8 for every 18 from its first to its last",
};
