#include "engine/aggregate/functions.h"

#include "engine/aggregate/kept.h"
#include "engine/aggregate/pointer_sort.h"
#include "engine/aggregate/space_saving.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* top: the k values seen most often, or with the greatest sums of a weight; how, and what is exact:
 * engine/aggregate/space_saving.h. */

_Static_assert(sizeof(struct tw_space_saving) == 24, "top costs 24 bytes a group in place");

enum { OPTION_K, OPTION_CAPACITY };
enum { DERIVED_K, DERIVED_CAPACITY };
enum { CAPACITY_LEAST = 100, CAPACITY_OF_K = 10 };

static const struct tw_decimal one = {.low = 1};

static uint64_t whole_number(const struct tw_param *param) { /* at most 65536 */
    const struct tw_decimal *number = param->numbers;
    return number->low * (uint64_t)tw_power_of_ten[number->exponent];
}

static enum tumble_code prepare(struct tw_params *params, struct tumble_error *err) {
    uint64_t k = whole_number(&params->options[OPTION_K]);
    uint64_t capacity = whole_number(&params->options[OPTION_CAPACITY]);
    if (capacity == 0) {
        capacity = k * CAPACITY_OF_K < CAPACITY_LEAST ? CAPACITY_LEAST : k * CAPACITY_OF_K;
    }
    if (capacity < k) {
        return tw_fail(err, TUMBLE_ESPEC, "a capacity of %llu cannot hold k %llu: leave it out, or give %llu or more",
                       (unsigned long long)capacity, (unsigned long long)k, (unsigned long long)k);
    }
    params->derived[DERIVED_K] = k;
    params->derived[DERIVED_CAPACITY] = capacity;
    return TUMBLE_OK;
}

static uint32_t capacity_of(const struct tw_params *params) { return (uint32_t)params->derived[DERIVED_CAPACITY]; }

static bool column_name(const struct tw_params *params, uint32_t column, struct tw_buf *suffix) {
    (void)params;
    return column == 0 || (column == 1 && tw_buf_append_text(suffix, "_exact") == TUMBLE_OK);
}

static enum tumble_code check(const struct tw_params *params, const struct tw_input *input, struct tumble_error *err) {
    (void)params;
    if (!input->second || input->second->number.high >= 0) {
        return TUMBLE_OK;
    }
    char text[TW_DECIMAL_TEXT];
    size_t length = tw_decimal_format(&input->second->number, text);
    return tw_fail(err, TUMBLE_ENUMBER, "the weight %.*s is negative: top adds up weights from 0", (int)length, text);
}

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct tw_space_saving));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    return tw_space_saving_growth(input->value);
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    const struct tw_decimal *weight = input->second ? &input->second->number : &one;
    tw_space_saving_add(state, capacity_of(params), input->value, weight, heap);
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    return tw_space_saving_merge(state, capacity_of(params), other, heap);
}

static enum tumble_code append_total(const struct tw_total *total, struct tw_buf *out) {
    return total->form == TW_TOTAL_EMPTY ? tw_buf_append_byte(out, '0') : tw_total_value(total, 1, out);
}

static enum tumble_code append_ranked(struct tw_counter *const *list, uint64_t count, struct tw_buf *out) {
    for (uint64_t i = 0; i < count; i++) {
        struct tw_value key;
        tw_counter_key(list[i], &key);
        TW_TRY(tw_buf_append_text(out, i ? ",{\"value\":" : "[{\"value\":"));
        TW_TRY(tw_kept_append_json(&key, out));
        TW_TRY(tw_buf_append_text(out, ",\"count\":"));
        TW_TRY(append_total(&list[i]->count, out));
        TW_TRY(tw_buf_append_text(out, ",\"error\":"));
        TW_TRY(append_total(&list[i]->error, out));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return tw_buf_append_byte(out, ']');
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    const struct tw_space_saving *summary = state;
    if (column == 1) {
        return tw_buf_append_text(out, summary->overflowed ? "false" : "true");
    }
    if (summary->count == 0) {
        return tw_buf_append_text(out, "null");
    }
    struct tumble_alloc alloc = out->alloc;
    struct tw_counter **list = tw_space_saving_list(summary, &alloc);
    if (!list) {
        return TUMBLE_ENOMEM;
    }
    uint64_t k = params->derived[DERIVED_K];
    tw_sort_pointers((void **)list, summary->count, tw_counter_rank);
    enum tumble_code code = append_ranked(list, summary->count < k ? summary->count : k, out);
    tw_free(&alloc, list);
    return code;
}

static enum tumble_code append_counters(struct tw_counter *const *list, const struct tw_space_saving *summary,
                                        struct tw_buf *out) {
    for (uint32_t i = 0; i < summary->count; i++) {
        struct tw_value key;
        tw_counter_key(list[i], &key);
        TW_TRY(tw_buf_append_byte(out, (char)key.type));
        TW_TRY(tw_kept_append(&key, out));
        TW_TRY(tw_total_encode(&list[i]->count, out));
        if (summary->overflowed) {
            TW_TRY(tw_total_encode(&list[i]->error, out));
        }
    }
    return TUMBLE_OK;
}

/* Varint counters × 2, plus 1 once it overflowed (the counters are then as many as the capacity); then by key: type,
 * key, count and, if overflowed, error. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct tw_space_saving *summary = state;
    TW_TRY(tw_buf_append_varint(out, (uint64_t)summary->count * 2 + summary->overflowed));
    struct tumble_alloc alloc = out->alloc;
    struct tw_counter **list = tw_space_saving_list(summary, &alloc);
    if (!list) {
        return TUMBLE_ENOMEM;
    }
    tw_sort_pointers((void **)list, summary->count, tw_counter_compare_keys);
    enum tumble_code code = append_counters(list, summary, out);
    tw_free(&alloc, list);
    return code;
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "a stored top is damaged: it is not a form encode writes");
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    static const struct tw_total nothing;
    struct tw_space_saving *summary = state;
    uint64_t head;
    if (!tw_take_varint(in, &head) || head / 2 > capacity_of(params) ||
        ((head & 1) && head / 2 != capacity_of(params))) {
        return damaged(err);
    }
    const struct tw_counter *before = NULL;
    while (summary->count < head / 2) {
        struct tw_value key = {0};
        if (!tw_take_u8(in, &key.type) || !tw_kept_take(in, &key)) {
            return damaged(err);
        }
        struct tw_counter *counter = tw_space_saving_insert(summary, &key, heap);
        if (!counter) {
            return tw_no_memory(err);
        }
        TW_TRY(tw_total_decode(&counter->count, in, heap, err));
        if (head & 1) {
            TW_TRY(tw_total_decode(&counter->error, in, heap, err));
        }
        bool zero = counter->error.form != TW_TOTAL_EMPTY && tw_total_compare(&counter->error, &nothing) <= 0;
        if ((before && tw_counter_compare_keys(before, counter) >= 0) || zero ||
            tw_total_compare(&counter->count, &nothing) <= 0 ||
            tw_total_compare(&counter->error, &counter->count) >= 0) {
            return damaged(err);
        }
        before = counter;
    }
    summary->overflowed = head & 1;
    return TUMBLE_OK;
}

static const struct tw_option options[] = {
    [OPTION_K] = {.name = "k", .kind = TW_OPTION_INTEGER, .lowest = "1", .highest = "1000"},
    /* 0: ten times k, but 100 at least */
    [OPTION_CAPACITY] =
        {.name = "capacity", .kind = TW_OPTION_INTEGER, .fallback = "0", .lowest = "0", .highest = "65536"},
    {0},
};

static uint64_t stored_most(const struct tw_params *params) {
    uint64_t capacity = capacity_of(params);
    return tw_stored_varint(capacity * 2 + 1) + capacity * (TW_STORED_VALUE + 2 * TW_STORED_TOTAL);
}

const struct tw_aggregate tw_aggregate_top = {
    .name = "top",
    .explanation = "most frequent values of %s, or greatest by weight, each with the bound of its error",
    .bound = "exact while the values fit its capacity, else the error beside each count",
    .state_size = sizeof(struct tw_space_saving),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .second = "weight",
    .second_takes = TW_TAKES_NUMBER,
    .second_optional = true,
    .options = options,
    .prepare = prepare,
    .column = column_name,
    .check = check,
    .init = init,
    .growth = growth,
    .step = step,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "a varint, and for each counter 1, its value, its count as of sum and, once it is not exact, its "
                   "error as of sum",
};
