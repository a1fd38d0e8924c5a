#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* Counts between given bounds: one bucket below the first, one from each bound up to, but without, the next, one from
 * the last on. So a number equal to a bound belongs to the bucket that begins there. */
struct histogram {
    uint64_t *counts; /* one more than there are bounds; NULL: empty */
};

static const struct tw_param *bounds_of(const struct tw_params *params) { return &params->options[0]; }
static size_t bucket_count(const struct tw_params *params) { return (size_t)bounds_of(params)->count + 1; }
static size_t counts_size(const struct tw_params *params) { return bucket_count(params) * sizeof(uint64_t); }

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct histogram));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)input;
    const struct histogram *histogram = state;
    return histogram->counts ? 0 : tw_heap_size(counts_size(params));
}

static bool begin(struct histogram *histogram, const struct tw_params *params, struct tw_heap *heap) {
    if (!histogram->counts) {
        histogram->counts = tw_heap_take(heap, counts_size(params));
        if (histogram->counts) {
            memset(histogram->counts, 0, counts_size(params));
        }
    }
    return histogram->counts != NULL;
}

/* tw_decimal_compare for nearly every pair: both coefficients have 64 bits and a scale apart that 128 bits allow. */
static inline bool is_above(const struct tw_decimal *bound, const struct tw_decimal *number) {
    int shift = number->exponent - bound->exponent;
    if (shift >= -18 && shift <= 18 && number->high == (int64_t)number->low >> 63 &&
        bound->high == (int64_t)bound->low >> 63) {
        tw_int128 there = (tw_int128)(int64_t)bound->low * (int64_t)(uint64_t)tw_power_of_ten[shift < 0 ? -shift : 0];
        tw_int128 here = (tw_int128)(int64_t)number->low * (int64_t)(uint64_t)tw_power_of_ten[shift > 0 ? shift : 0];
        return there > here;
    }
    return tw_decimal_compare(bound, number) > 0;
}

/* How many bounds are not above the number. Halves without a branch on the outcome, which cannot be foreseen. */
static size_t find_bucket(const struct tw_param *bounds, const struct tw_decimal *number) {
    size_t low = 0; /* so many bounds are known not to be above */
    size_t left = bounds->count;
    while (left > 0) {
        size_t half = (left + 1) / 2;
        low += is_above(&bounds->numbers[low + half - 1], number) ? 0 : half;
        left -= half;
    }
    return low;
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    struct histogram *histogram = state;
    if (begin(histogram, params, heap)) {
        histogram->counts[find_bucket(bounds_of(params), &input->value->number)]++;
    }
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    struct histogram *histogram = state;
    const struct histogram *from = other;
    if (!from->counts) {
        return TUMBLE_OK;
    }
    if (!begin(histogram, params, heap)) {
        return TUMBLE_ENOMEM;
    }
    for (size_t i = 0; i < bucket_count(params); i++) {
        histogram->counts[i] += from->counts[i];
    }
    return TUMBLE_OK;
}

static enum tumble_code append_bound(struct tw_buf *out, const char *key, const struct tw_decimal *bound) {
    char text[TW_DECIMAL_TEXT];
    TW_TRY(tw_buf_append_text(out, key));
    return tw_buf_append(out, text, tw_decimal_format(bound, text));
}

static enum tumble_code append_count(struct tw_buf *out, const char *key, uint64_t count) {
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    TW_TRY(tw_buf_append_text(out, key));
    return tw_buf_append(out, text + at, sizeof text - at);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)column;
    const struct histogram *histogram = state;
    const struct tw_param *bounds = bounds_of(params);
    if (!histogram->counts) {
        return tw_buf_append_text(out, "null");
    }
    for (uint32_t i = 0; i <= bounds->count; i++) {
        TW_TRY(tw_buf_append_text(out, i ? ",{" : "[{"));
        if (i > 0) {
            TW_TRY(append_bound(out, "\"from\":", &bounds->numbers[i - 1]));
        }
        if (i < bounds->count) {
            TW_TRY(append_bound(out, i ? ",\"below\":" : "\"below\":", &bounds->numbers[i]));
        }
        TW_TRY(append_count(out, bounds->count ? ",\"count\":" : "\"count\":", histogram->counts[i]));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return tw_buf_append_byte(out, ']');
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    const struct histogram *histogram = state;
    if (!histogram->counts) {
        return tw_buf_append_varint(out, 0);
    }
    TW_TRY(tw_buf_append_varint(out, bucket_count(params)));
    for (size_t i = 0; i < bucket_count(params); i++) {
        TW_TRY(tw_buf_append_varint(out, histogram->counts[i]));
    }
    return TUMBLE_OK;
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    struct histogram *histogram = state;
    uint64_t buckets;
    if (!tw_take_varint(in, &buckets) || (buckets && buckets != bucket_count(params))) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored histogram is damaged: it has not one count for each bucket");
    }
    if (buckets == 0) {
        return TUMBLE_OK;
    }
    if (!begin(histogram, params, heap)) {
        return tw_no_memory(err);
    }
    uint64_t left = INT64_MAX; /* of records that all counts together may be of */
    for (size_t i = 0; i < buckets; i++) {
        uint64_t count;
        if (!tw_take_varint(in, &count) || count > left) {
            return tw_fail(err, TUMBLE_ECORRUPT, "a stored histogram is damaged: its counts cannot be read");
        }
        histogram->counts[i] = count;
        left -= count;
    }
    return left < INT64_MAX ? TUMBLE_OK
                            : tw_fail(err, TUMBLE_ECORRUPT, "a stored histogram is damaged: it counts nothing");
}

static const struct tw_option options[] = {
    {.name = "bounds", .kind = TW_OPTION_NUMBERS, .ascending = true, .most = 256},
    {0},
};

static uint64_t stored_most(const struct tw_params *params) {
    return tw_stored_varint(bucket_count(params)) + tw_stored_varints(bucket_count(params), 0, INT64_MAX);
}

const struct tw_aggregate tw_aggregate_histogram = {
    .name = "histogram",
    .explanation = "counts of %s between the bounds",
    .state_size = sizeof(struct histogram),
    .takes = TW_TAKES_NUMBER,
    .options = options,
    .init = init,
    .growth = growth,
    .step = step,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the number of buckets and the count of each as varints",
};
