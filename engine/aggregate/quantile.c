#include "engine/aggregate/ddsketch.h"
#include "engine/aggregate/functions.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* quantile: a DDSketch (ddsketch.h). A column for each q, and one more with the relative error they keep within: what
 * was asked for, or more once there were too many buckets. */

enum { OPTION_Q, OPTION_ERROR, OPTION_BUCKETS };
enum { DERIVED_SCALE, DERIVED_ERROR, DERIVED_BUCKETS };
enum { Q_MOST = 16 };

static const struct tw_option options[] = {
    [OPTION_Q] = {"q", TW_OPTION_NUMBERS, NULL, "0", "1", false, Q_MOST},
    [OPTION_ERROR] = {"relative_error", TW_OPTION_NUMBER, "0.01", "0.0001", "0.5", false, 1},
    [OPTION_BUCKETS] = {"max_buckets", TW_OPTION_INTEGER, "2048", "16", "65536", false, 1},
    {0},
};
_Static_assert(TW_DDSKETCH_LIMIT_LEAST == 16 && TW_DDSKETCH_LIMIT_MOST == 65536, "the bounds of max_buckets above");

static inline struct tw_ddsketch_rules rules_of(const struct tw_params *params) {
    struct tw_ddsketch_rules rules;
    rules.scale.buckets_per_octave = params->derived[DERIVED_SCALE];
    rules.scale.error = params->derived[DERIVED_ERROR];
    rules.limit = (uint32_t)params->derived[DERIVED_BUCKETS];
    return rules;
}

static enum tumble_code prepare(struct tw_params *params, struct tumble_error *err) {
    (void)err;
    struct tw_ddsketch_scale scale;
    const struct tw_decimal *buckets = params->options[OPTION_BUCKETS].numbers; /* without its trailing zeros */
    tw_ddsketch_scale_of(&scale, params->options[OPTION_ERROR].numbers);
    params->derived[DERIVED_SCALE] = scale.buckets_per_octave;
    params->derived[DERIVED_ERROR] = scale.error;
    params->derived[DERIVED_BUCKETS] = buckets->low * (uint64_t)tw_power_of_ten[buckets->exponent];
    return TUMBLE_OK;
}

static bool column(const struct tw_params *params, uint32_t column, struct tw_buf *suffix) {
    const struct tw_param *q = &params->options[OPTION_Q];
    if (column > q->count) {
        return false;
    }
    if (column == q->count) {
        return tw_buf_append_text(suffix, "_relative_error") == TUMBLE_OK;
    }
    char text[TW_DECIMAL_TEXT];
    return q->count == 1 || (tw_buf_append_byte(suffix, '_') == TUMBLE_OK &&
                             tw_buf_append(suffix, text, tw_decimal_format(&q->numbers[column], text)) == TUMBLE_OK);
}

static enum tumble_code describe_bound(const struct tw_params *params, uint32_t column, struct tw_buf *text) {
    char number[TW_DECIMAL_TEXT];
    if (column >= params->options[OPTION_Q].count) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_buf_append_text(text, "relative error "));
    TW_TRY(tw_buf_append(text, number, tw_decimal_format(params->options[OPTION_ERROR].numbers, number)));
    TW_TRY(tw_buf_append_text(text, ", or what the row says past "));
    struct tw_decimal buckets = {.low = params->derived[DERIVED_BUCKETS]};
    TW_TRY(tw_buf_append(text, number, tw_decimal_format(&buckets, number)));
    return tw_buf_append_text(text, " buckets");
}

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct tw_ddsketch));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)input;
    struct tw_ddsketch_rules rules = rules_of(params);
    return tw_ddsketch_growth(state, &rules, TW_STEPS_AT_ONCE);
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_add(state, &rules, &input->value->number, heap);
}

static void step_all(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_add_all(groups, offset, &rules, &values->number, stride * sizeof *values, count, heap);
}

static void step_scaled(char *const *groups, uint32_t offset, const struct tw_params *params, const int64_t *numbers,
                        int exponent, size_t count, struct tw_heap *heap) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_add_scaled(groups, offset, &rules, numbers, exponent, count, heap);
}

static void buckets(const struct tw_params *params, const int64_t *numbers, int exponent, size_t count, int32_t *out) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_buckets_scaled(&rules.scale, numbers, exponent, count, out);
}

static void counting(void *state, const struct tw_params *params, struct tw_counting *out) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_counting(state, &rules, out);
}

static void widen(void *state, const struct tw_params *params, int32_t low, int32_t high, struct tw_heap *heap) {
    struct tw_ddsketch_rules rules = rules_of(params);
    tw_ddsketch_widen(state, &rules, low, high, heap);
}

static void count_ends(void *state, const struct tw_tally *tally) {
    tw_ddsketch_count_ends(state, &tally->least, &tally->greatest);
}

static size_t growth_all(char *const *groups, uint32_t offset, const struct tw_params *params, size_t count) {
    struct tw_ddsketch_rules rules = rules_of(params);
    return tw_ddsketch_growth_all(groups, offset, &rules, count, TW_STEPS_AT_ONCE);
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    struct tw_ddsketch_rules rules = rules_of(params);
    return tw_ddsketch_merge(state, &rules, other, heap);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    const struct tw_ddsketch *sketch = state;
    const struct tw_param *q = &params->options[OPTION_Q];
    struct tw_ddsketch_rules rules = rules_of(params);
    struct tw_decimal number;
    if (!sketch->block) {
        return tw_buf_append_text(out, "null");
    }
    if (column < q->count) {
        tw_ddsketch_quantile(sketch, &rules, tw_ddsketch_fraction(&q->numbers[column]), &number);
    } else if (sketch->level == 0) {
        number = *params->options[OPTION_ERROR].numbers;
    } else {
        tw_ddsketch_error(&rules.scale, sketch->level, &number);
    }
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(&number, text));
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    return tw_ddsketch_encode(state, out);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    struct tw_ddsketch_rules rules = rules_of(params);
    return tw_ddsketch_decode(state, &rules, in, heap, err);
}

static uint64_t stored_most(const struct tw_params *params) {
    struct tw_ddsketch_rules rules = rules_of(params);
    return tw_ddsketch_stored_most(&rules);
}

const struct tw_aggregate tw_aggregate_quantile = {
    .name = "quantile",
    .explanation = "quantiles of %s, and the relative error they keep within",
    .state_size = sizeof(struct tw_ddsketch),
    .takes = TW_TAKES_NUMBER,
    .options = options,
    .prepare = prepare,
    .column = column,
    .init = init,
    .growth = growth,
    .step = step,
    .step_all = step_all,
    .step_scaled = step_scaled,
    .buckets = buckets,
    .counting = counting,
    .widen = widen,
    .widen_growth = tw_ddsketch_widen_growth,
    .count_ends = count_ends,
    .growth_all = growth_all,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "1, the least and the greatest number (4 and 1 for every two digits), and varints: zeros, buckets, "
                   "and for each bucket "
                   "its distance from the one below and its count",
    .describe_bound = describe_bound,
};
