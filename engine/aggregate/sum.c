#include "engine/aggregate/functions.h"

#include "engine/aggregate/total.h"

static void init(void *state) { memset(state, 0, sizeof(struct tw_total)); }

static size_t growth(const struct tw_value *value, const struct tw_position *position) {
    (void)value;
    (void)position;
    return tw_total_growth();
}

static void step(void *state, const struct tw_value *value, const struct tw_position *position, struct tw_heap *heap) {
    (void)position;
    tw_total_add(state, &value->number, heap);
}

static enum tumble_code merge(void *state, const void *other, struct tw_heap *heap) {
    return tw_total_merge(state, other, heap);
}

static enum tumble_code value_text(const void *state, struct tw_buf *out) { return tw_total_value(state, 1, out); }

static enum tumble_code encode(const void *state, struct tw_buf *out) { return tw_total_encode(state, out); }

static enum tumble_code decode(void *state, struct tw_cursor *in, struct tw_heap *heap, struct tumble_error *err) {
    return tw_total_decode(state, in, heap, err);
}

const struct tw_aggregate tw_aggregate_sum = {
    .name = "sum",
    .explanation = "exact sum of %s",
    .state_size = sizeof(struct tw_total),
    .takes = TW_TAKES_NUMBER,
    .init = init,
    .growth = growth,
    .step = step,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
};
