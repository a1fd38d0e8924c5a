#include "engine/aggregate/functions.h"

#include "engine/aggregate/squares.h"
#include "engine/aggregate/stored.h"
#include "engine/aggregate/total.h"
#include "engine/base/fail.h"
#include "engine/base/number_text.h"

/* variance and stddev, of a sample (n − 1) or a population (n): exact sums of the numbers and of their squares, from
 * which (n Σx² − (Σx)²) / (n (n − 1)) or its root is worked out exactly and rounded once, on output. Welford's method
 * would depend on the order; with exact sums there is nothing to cancel. */
struct moments {
    struct tw_total sum;
    struct tw_squares squares;
    uint64_t count;
};

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct moments));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)params;
    (void)input;
    const struct moments *moments = state;
    return tw_total_growth() + tw_squares_growth(&moments->squares);
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    struct moments *moments = state;
    const struct tw_decimal *number = &input->value->number;
    tw_total_add(&moments->sum, number, heap);
    tw_squares_add(&moments->squares, number, heap);
    moments->count++;
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    (void)params;
    struct moments *moments = state;
    const struct moments *from = other;
    TW_TRY(tw_total_merge(&moments->sum, &from->sum, heap));
    TW_TRY(tw_squares_merge(&moments->squares, &from->squares, heap));
    /* Only damaged states can reach the end: a count that went round to 0 would be divided by. */
    moments->count = from->count > INT64_MAX - moments->count ? INT64_MAX : moments->count + from->count;
    return TUMBLE_OK;
}

static bool find_excess(const struct moments *moments, struct tw_excess *out) {
    struct tw_wide_squares squares;
    struct tw_wide_magnitude sum;
    tw_squares_widen(&moments->squares, &squares);
    tw_total_split(&moments->sum, &sum);
    return tw_excess_find(&squares, moments->count, &sum, out);
}

static enum tumble_code append_value(const struct moments *moments, uint64_t lost, bool root, struct tw_buf *out) {
    if (moments->count <= lost) {
        return tw_buf_append_text(out, "null");
    }
    struct tw_excess excess;
    if (!find_excess(moments, &excess) || excess.highest < excess.lowest) {
        return tw_buf_append_byte(out, '0');
    }
    struct tw_ratio ratio = {.limbs = excess.limbs,
                             .lowest = excess.lowest,
                             .highest = excess.highest,
                             .exponent = TW_SQUARES_EXPONENT,
                             .divisors = {moments->count, moments->count - lost},
                             .root = root};
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_ratio_format(&ratio, text));
}

static enum tumble_code variance_of_sample(const void *state, const struct tw_params *params, uint32_t column,
                                           struct tw_buf *out) {
    (void)params;
    (void)column;
    return append_value(state, 1, false, out);
}

static enum tumble_code variance_of_population(const void *state, const struct tw_params *params, uint32_t column,
                                               struct tw_buf *out) {
    (void)params;
    (void)column;
    return append_value(state, 0, false, out);
}

static enum tumble_code stddev_of_sample(const void *state, const struct tw_params *params, uint32_t column,
                                         struct tw_buf *out) {
    (void)params;
    (void)column;
    return append_value(state, 1, true, out);
}

static enum tumble_code stddev_of_population(const void *state, const struct tw_params *params, uint32_t column,
                                             struct tw_buf *out) {
    (void)params;
    (void)column;
    return append_value(state, 0, true, out);
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct moments *moments = state;
    TW_TRY(tw_buf_append_varint(out, moments->count));
    if (moments->count == 0) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_total_encode(&moments->sum, out));
    return tw_squares_encode(&moments->squares, out);
}

/* Whether numbers exist that would make this state, as far as their count, sum and squares tell. */
static bool is_possible(const struct moments *moments) {
    struct tw_excess excess;
    return find_excess(moments, &excess) && (moments->count > 1 || excess.highest < excess.lowest);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    struct moments *moments = state;
    uint64_t count;
    if (!tw_take_varint(in, &count) || count > INT64_MAX) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored variance is damaged: its count cannot be read");
    }
    if (count == 0) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_total_decode(&moments->sum, in, heap, err));
    TW_TRY(tw_squares_decode(&moments->squares, in, heap, err));
    moments->count = count;
    if (moments->sum.form == TW_TOTAL_EMPTY || !is_possible(moments)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored variance is damaged: its sums do not fit its count");
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_COUNT + TW_STORED_TOTAL + TW_STORED_SQUARES;
}

static const char stored_rule[] = "the count as a varint; then, unless it is 0, the sum and the sum of squares: each "
                                  "up to 22 while it has at most 38 "
                                  "digits, else 3 and 8 for every 18";

#define TABLE(NAME, TYPE, EXPLANATION, VALUE)                                                                          \
    {                                                                                                                  \
        .name = (NAME), .type_name = (TYPE), .explanation = (EXPLANATION), .state_size = sizeof(struct moments),       \
        .takes = TW_TAKES_NUMBER, .init = init, .growth = growth, .step = step, .merge = merge, .value = (VALUE),      \
        .encode = encode, .decode = decode, .stored_most = stored_most, .stored_rule = stored_rule,                    \
    }

const struct tw_aggregate tw_aggregate_variance =
    TABLE("variance", NULL, "sample variance of %s: exact, rounded once", variance_of_sample);
const struct tw_aggregate tw_aggregate_variance_sample =
    TABLE("variance", "sample", "sample variance of %s: exact, rounded once", variance_of_sample);
const struct tw_aggregate tw_aggregate_variance_population =
    TABLE("variance", "population", "population variance of %s: exact, rounded once", variance_of_population);
const struct tw_aggregate tw_aggregate_stddev =
    TABLE("stddev", NULL, "sample standard deviation of %s: exact, rounded once", stddev_of_sample);
const struct tw_aggregate tw_aggregate_stddev_sample =
    TABLE("stddev", "sample", "sample standard deviation of %s: exact, rounded once", stddev_of_sample);
const struct tw_aggregate tw_aggregate_stddev_population =
    TABLE("stddev", "population", "population standard deviation of %s: exact, rounded once", stddev_of_population);
