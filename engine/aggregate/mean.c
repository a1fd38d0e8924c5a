#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/aggregate/total.h"
#include "engine/base/fail.h"

/* The exact total and how many numbers it is of: divided, and rounded, once, on output. */
struct mean {
    struct tw_total total;
    uint64_t count;
};

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct mean));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    (void)input;
    return tw_total_growth();
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    struct mean *mean = state;
    tw_total_add(&mean->total, &input->value->number, heap);
    mean->count++;
}

static void step_tally(void *state, const struct tw_tally *tally, struct tw_heap *heap) {
    struct mean *mean = state;
    tw_total_add(&mean->total, &tally->sum, heap);
    mean->count += tally->count;
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    (void)params;
    struct mean *mean = state;
    const struct mean *from = other;
    TW_TRY(tw_total_merge(&mean->total, &from->total, heap));
    uint64_t count = mean->count + from->count;          /* both at most INT64_MAX: this does not wrap */
    mean->count = count > INT64_MAX ? INT64_MAX : count; /* only damaged states hold so many */
    return TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    const struct mean *mean = state;
    return tw_total_value(&mean->total, mean->count, out);
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct mean *mean = state;
    TW_TRY(tw_buf_append_varint(out, mean->count));
    return mean->count ? tw_total_encode(&mean->total, out) : TUMBLE_OK;
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    struct mean *mean = state;
    uint64_t count;
    if (!tw_take_varint(in, &count) || count > INT64_MAX) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored mean is damaged: its count cannot be read");
    }
    if (count) {
        TW_TRY(tw_total_decode(&mean->total, in, heap, err));
        if (mean->total.form == TW_TOTAL_EMPTY) {
            return tw_fail(err, TUMBLE_ECORRUPT, "a stored mean is damaged: it has a count and no total");
        }
    }
    mean->count = count;
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_COUNT + TW_STORED_TOTAL;
}

const struct tw_aggregate tw_aggregate_mean = {
    .name = "mean",
    .explanation = "mean of %s: exact sum over count, rounded once",
    .state_size = sizeof(struct mean),
    .takes = TW_TAKES_NUMBER,
    .init = init,
    .growth = growth,
    .step = step,
    .step_tally = step_tally,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the count as a varint; then, unless it is 0, the sum: up to 22 while it has at most 38 digits, "
                   "else 3 and 8 for every 18",
};
