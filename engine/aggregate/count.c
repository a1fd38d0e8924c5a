#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/base/number_text.h"

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(uint64_t));
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    (void)input;
    (void)heap;
    uint64_t *count = state;
    ++*count;
}

static void step_all(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    (void)params;
    (void)values;
    (void)stride;
    (void)heap;
    for (size_t i = 0; i < count; i++) {
        uint64_t *counted = (uint64_t *)(void *)(groups[i] + offset);
        ++*counted;
    }
}

static void step_tally(void *state, const struct tw_tally *tally, struct tw_heap *heap) {
    (void)heap;
    uint64_t *count = state;
    *count += tally->count;
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    (void)params;
    (void)heap;
    uint64_t *count = state;
    const uint64_t *from = other;
    *count += *from;
    return TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    const uint64_t *count = state;
    return tw_buf_append_count(out, *count);
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const uint64_t *count = state;
    return tw_buf_append_varint(out, *count);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    (void)heap;
    if (!tw_take_varint(in, state)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored count is damaged: it cannot be read");
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_COUNT + 1;
}

const struct tw_aggregate tw_aggregate_count = {
    .name = "count",
    .explanation = "count of records that have %s",
    .state_size = sizeof(uint64_t),
    .form = TW_FORM_COUNT,
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .additive = true,
    .field_optional = true,
    .init = init,
    .step = step,
    .step_all = step_all,
    .step_tally = step_tally,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the count as a varint",
};
