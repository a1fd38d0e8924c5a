#include "default_params.h"
#include "fuzz_target.h"

/* Stored states of one aggregate: a line with its name, its type behind a dot if it has one, and options ("top k=2
 * capacity=2"; whole numbers), then the bytes of one or two states. What decodes is what encode writes, and no longer
 * than stored_most says; a merge gives the same bytes from either side. */

enum { STATE_BYTES = 64, COLUMNS_MOST = 64 };

struct held {
    uint64_t state[STATE_BYTES / 8];
    struct tw_heap heap;
};

static struct tumble_bytes cut(struct tumble_bytes *from, char at) {
    const char *found = from->length ? memchr(from->data, at, from->length) : NULL;
    struct tumble_bytes front = {from->data, found ? (size_t)(found - from->data) : from->length};
    size_t taken = front.length + (found ? 1 : 0);
    from->data = taken ? from->data + taken : from->data;
    from->length -= taken;
    return front;
}

/* NAME=NUMBER of the line, within the option's bounds. */
static void set_option(const struct tw_aggregate *aggregate, struct param_numbers *numbers, struct tumble_bytes given) {
    struct tumble_bytes name = cut(&given, '=');
    for (size_t i = 0; aggregate->options && aggregate->options[i].name; i++) {
        const struct tw_option *option = &aggregate->options[i];
        struct tw_decimal number, bound;
        if (!tumble_bytes_equal(name, tumble_bytes_of(option->name)) || option->kind != TW_OPTION_INTEGER ||
            given.length == 0 || given.length > 5) {
            continue;
        }
        for (size_t d = 0; d < given.length; d++) {
            if (given.data[d] < (d || given.length == 1 ? '0' : '1') || given.data[d] > '9') {
                return;
            }
        }
        FUZZ_CHECK(tw_decimal_parse(&number, given.data, given.length, NULL) == TUMBLE_OK);
        if ((!option->lowest || (tw_decimal_parse(&bound, option->lowest, strlen(option->lowest), NULL) == TUMBLE_OK &&
                                 tw_decimal_compare(&number, &bound) >= 0)) &&
            (!option->highest ||
             (tw_decimal_parse(&bound, option->highest, strlen(option->highest), NULL) == TUMBLE_OK &&
              tw_decimal_compare(&number, &bound) <= 0))) {
            numbers->of[i][0] = number;
        }
    }
}

static enum tumble_code decode(struct held *held, const struct tw_aggregate *aggregate, const struct tw_params *params,
                               struct tw_cursor *in) {
    tw_heap_init(&held->heap, tw_alloc_default());
    aggregate->init(held->state, params);
    return aggregate->decode(held->state, params, in, &held->heap, NULL);
}

static void encode(const struct held *held, const struct tw_aggregate *aggregate, const struct tw_params *params,
                   struct tw_buf *out) {
    tw_buf_clear(out);
    FUZZ_CHECK(aggregate->encode(held->state, params, out) == TUMBLE_OK);
}

static void show(const struct held *held, const struct tw_aggregate *aggregate, const struct tw_params *params) {
    struct tw_buf text;
    tw_buf_init(&text, tw_alloc_default(), SIZE_MAX / 4);
    for (uint32_t column = 0; column < COLUMNS_MOST; column++) {
        tw_buf_clear(&text);
        if (aggregate->column ? !aggregate->column(params, column, &text) : column > 0) {
            break;
        }
        FUZZ_CHECK(aggregate->value(held->state, params, column, &text) == TUMBLE_OK);
    }
    tw_buf_clean_up(&text);
}

/* One state out of the bytes, which must be what encode makes of it. */
static bool take(struct held *held, const struct tw_aggregate *aggregate, const struct tw_params *params,
                 struct tw_cursor *in, struct tw_buf *again) {
    const char *start = in->at;
    enum tumble_code code = decode(held, aggregate, params, in);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_ECORRUPT);
    if (code != TUMBLE_OK) {
        return false;
    }
    encode(held, aggregate, params, again);
    FUZZ_CHECK(again->length <= aggregate->stored_most(params));
    FUZZ_CHECK(again->length == (size_t)(in->at - start) && memcmp(again->data, start, again->length) == 0);
    show(held, aggregate, params);
    return true;
}

static void try_states(const struct tw_aggregate *aggregate, const struct tw_params *params,
                       struct tumble_bytes bytes) {
    struct held left[2], right[2], read;
    struct tw_buf forth, back;
    tw_buf_init(&forth, tw_alloc_default(), SIZE_MAX / 4);
    tw_buf_init(&back, tw_alloc_default(), SIZE_MAX / 4);
    memset(left, 0, sizeof left);
    memset(right, 0, sizeof right);
    struct tw_cursor in = tw_cursor_of(bytes);
    if (take(&left[0], aggregate, params, &in, &forth)) {
        struct tw_cursor behind = in;
        struct tw_cursor copy = tw_cursor_of(bytes);
        if (take(&right[0], aggregate, params, &behind, &forth)) {
            FUZZ_CHECK(decode(&left[1], aggregate, params, &copy) == TUMBLE_OK);
            FUZZ_CHECK(decode(&right[1], aggregate, params, &in) == TUMBLE_OK);
            FUZZ_CHECK(aggregate->merge(left[0].state, params, right[0].state, &left[0].heap) == TUMBLE_OK);
            FUZZ_CHECK(aggregate->merge(right[1].state, params, left[1].state, &right[1].heap) == TUMBLE_OK);
            encode(&left[0], aggregate, params, &forth);
            encode(&right[1], aggregate, params, &back);
            FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&forth), tw_buf_view(&back)));
            struct tw_cursor merged = tw_cursor_of(tw_buf_view(&forth));
            take(&read, aggregate, params, &merged, &back); /* refused where two claims add up to too many records */
            tw_heap_clean_up(&read.heap);
        }
    }
    for (int i = 0; i < 2; i++) {
        tw_heap_clean_up(&left[i].heap);
        tw_heap_clean_up(&right[i].heap);
    }
    tw_buf_clean_up(&forth);
    tw_buf_clean_up(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct param_numbers numbers;
    struct tumble_bytes bytes = {(const char *)data, size};
    struct tumble_bytes line = cut(&bytes, '\n');
    struct tumble_bytes type = cut(&line, ' ');
    struct tumble_bytes name = cut(&type, '.');
    const struct tw_aggregate *aggregate = tw_aggregate_find(name, type);
    struct tw_params params;
    if (!aggregate || params_fill(&params, &numbers, aggregate) != TUMBLE_OK) {
        return 0;
    }
    FUZZ_CHECK(aggregate->state_size <= STATE_BYTES);
    while (line.length) {
        set_option(aggregate, &numbers, cut(&line, ' '));
    }
    if (aggregate->prepare && aggregate->prepare(&params, NULL) != TUMBLE_OK) {
        return 0;
    }
    try_states(aggregate, &params, bytes);
    return 0;
}
