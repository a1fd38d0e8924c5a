#include "engine/aggregate/functions.h"

#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"

/* min and max of strings in byte order, which for UTF-8 is the order of code points. */
struct kept_string {
    char *data; /* block of the heap; NULL: no value yet (the empty string has a block too) */
    uint32_t length;
    uint32_t capacity; /* size the block was taken with */
};

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct kept_string));
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)state;
    (void)params;
    return tw_heap_size(input->value->text.length);
}

/* Byte order, a prefix before what it begins. */
static int compare(struct tumble_bytes a, struct tumble_bytes b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static bool store(struct kept_string *kept, struct tumble_bytes text, struct tw_heap *heap) {
    if (!kept->data || text.length > kept->capacity) {
        size_t capacity = tw_heap_size(text.length);
        char *data = tw_heap_take(heap, capacity);
        if (!data) {
            return false;
        }
        tw_heap_give(heap, kept->data, kept->capacity);
        kept->data = data;
        kept->capacity = (uint32_t)capacity;
    }
    if (text.length) {
        memcpy(kept->data, text.data, text.length);
    }
    kept->length = (uint32_t)text.length;
    return true;
}

static bool keep(struct kept_string *kept, struct tumble_bytes text, int direction, struct tw_heap *heap) {
    struct tumble_bytes old = {kept->data, kept->length};
    int order = kept->data ? compare(text, old) : direction;
    return (direction < 0 ? order >= 0 : order <= 0) || store(kept, text, heap);
}

static void step_min(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    keep(state, input->value->text, -1, heap);
}

static void step_max(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)params;
    keep(state, input->value->text, 1, heap);
}

static enum tumble_code merge_towards(void *state, const void *other, int direction, struct tw_heap *heap) {
    const struct kept_string *from = other;
    struct tumble_bytes text = {from->data, from->length};
    return !from->data || keep(state, text, direction, heap) ? TUMBLE_OK : TUMBLE_ENOMEM;
}

static enum tumble_code merge_min(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, -1, heap);
}

static enum tumble_code merge_max(void *state, const struct tw_params *params, const void *other,
                                  struct tw_heap *heap) {
    (void)params;
    return merge_towards(state, other, 1, heap);
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    (void)column;
    const struct kept_string *kept = state;
    struct tumble_bytes text = {kept->data, kept->length};
    return kept->data ? tw_buf_append_json_string(out, text) : tw_buf_append_text(out, "null");
}

/* Varint 0 when there is none, else length + 1, then the bytes. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct kept_string *kept = state;
    if (!kept->data) {
        return tw_buf_append_varint(out, 0);
    }
    TW_TRY(tw_buf_append_varint(out, (uint64_t)kept->length + 1));
    return tw_buf_append(out, kept->data, kept->length);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)params;
    uint64_t length;
    struct tumble_bytes text;
    if (!tw_take_varint(in, &length) || length > (uint64_t)TW_LIMIT_STRING_VALUE_BYTES + 1) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored minimum or maximum is damaged: its length cannot be read");
    }
    if (length == 0) {
        return TUMBLE_OK;
    }
    if (!tw_take_bytes(in, (size_t)length - 1, &text) || !tw_utf8_valid(text)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored minimum or maximum is damaged: it is cut off or not UTF-8");
    }
    return store(state, text, heap) ? TUMBLE_OK : tw_no_memory(err);
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return TW_STORED_STRING;
}

const struct tw_aggregate tw_aggregate_min_string = {
    .name = "min",
    .type_name = "string",
    .explanation = "least string in %s, in byte order",
    .state_size = sizeof(struct kept_string),
    .takes = TW_TAKES_STRING,
    .additive = true,
    .init = init,
    .growth = growth,
    .step = step_min,
    .merge = merge_min,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the length as a varint, and the string",
};

const struct tw_aggregate tw_aggregate_max_string = {
    .name = "max",
    .type_name = "string",
    .explanation = "greatest string in %s, in byte order",
    .state_size = sizeof(struct kept_string),
    .takes = TW_TAKES_STRING,
    .additive = true,
    .init = init,
    .growth = growth,
    .step = step_max,
    .merge = merge_max,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the length as a varint, and the string",
};
