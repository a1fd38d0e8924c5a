#include <string.h>

#include "engine/aggregate/aggregate.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

/* Our contract over an embedder's table. What it answers comes from outside: lengths are checked, values must be JSON.
 */

static void init(void *state, const struct tw_params *params) { params->custom->init(state); }

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    (void)heap;
    const struct tw_value *value = input->value;
    struct tumble_aggregate_input given = {.type = (enum tumble_type)value->type,
                                           .arrival_ms = input->position.arrival_ms,
                                           .sequence_number = input->position.sequence,
                                           .sub_sequence_number = input->position.sub_sequence};
    char text[TW_DECIMAL_TEXT];
    if (value->type == TUMBLE_TYPE_NUMBER) {
        given.text.data = text;
        given.text.length = tw_decimal_format(&value->number, text);
        given.number = tw_decimal_double(&value->number);
    } else {
        given.text = value->text;
    }
    params->custom->step(state, &given);
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    (void)heap;
    params->custom->merge(state, other);
    return TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)column;
    TW_TRY(tw_buf_reserve(out, TUMBLE_AGGREGATE_VALUE_BYTES));
    struct tumble_bytes text = {out->data + out->length, 0};
    text.length = params->custom->value(state, out->data + out->length, TUMBLE_AGGREGATE_VALUE_BYTES);
    if (text.length == 0) {
        return tw_buf_append_text(out, "null");
    }
    struct tumble_value parsed;
    if (text.length > TUMBLE_AGGREGATE_VALUE_BYTES) {
        return TUMBLE_ELIMIT;
    }
    TW_TRY(tw_json_value(text, 1, &parsed, NULL, NULL));
    out->length += text.length;
    return TUMBLE_OK;
}

static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    char bytes[TUMBLE_AGGREGATE_ENCODED_BYTES];
    size_t length = params->custom->encode(state, bytes, sizeof bytes);
    if (length > sizeof bytes) {
        return TUMBLE_ELIMIT;
    }
    TW_TRY(tw_buf_append_varint(out, length));
    return tw_buf_append(out, bytes, length);
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    (void)heap;
    uint64_t length;
    struct tumble_bytes bytes;
    if (!tw_take_varint(in, &length) || length > TUMBLE_AGGREGATE_ENCODED_BYTES ||
        !tw_take_bytes(in, (size_t)length, &bytes) || !params->custom->decode(state, bytes.data, bytes.length)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a stored %s is damaged: it refuses its bytes", params->custom->name);
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    (void)params;
    return tw_stored_varint(TUMBLE_AGGREGATE_ENCODED_BYTES) + TUMBLE_AGGREGATE_ENCODED_BYTES;
}

static bool is_name(const char *name) {
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && c >= '0' && c <= '9') || c == '_')) {
            return false;
        }
    }
    return length > 0 && length <= 64;
}

/* A printf pattern from outside: at most one %s, and nothing else that begins with %. */
static bool is_pattern(const char *text) {
    const char *percent = text ? strchr(text, '%') : NULL;
    return text && (!percent || (percent[1] == 's' && !strchr(percent + 2, '%')));
}

enum tumble_code tw_aggregate_custom(const struct tumble_aggregate *custom, struct tw_aggregate *out,
                                     struct tumble_error *err) {
    if (custom->abi_version != TUMBLE_AGGREGATE_ABI || custom->struct_size < sizeof *custom) {
        return tw_fail(err, TUMBLE_ESPEC,
                       "a custom aggregate speaks version %u of the aggregate ABI, this tumble speaks %u",
                       custom->abi_version, TUMBLE_AGGREGATE_ABI);
    }
    if (!is_name(custom->name)) {
        return tw_fail(err, TUMBLE_ESPEC, "a custom aggregate is named by letters, digits and '_', at most 64");
    }
    if (custom->state_bytes == 0 || custom->state_bytes > TUMBLE_AGGREGATE_STATE_BYTES || custom->takes == 0 ||
        custom->takes > 7 || !is_pattern(custom->explanation) || !custom->init || !custom->step || !custom->merge ||
        !custom->value || !custom->encode || !custom->decode) {
        return tw_fail(err, TUMBLE_ESPEC,
                       "custom aggregate %s: a function is missing, or state_bytes, takes or explanation is not what "
                       "the header allows",
                       custom->name);
    }
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        if (strcmp((*all)->name, custom->name) == 0) {
            return tw_fail(err, TUMBLE_ESPEC, "custom aggregate %s has the name of a built-in one", custom->name);
        }
    }
    struct tw_aggregate table = {
        .name = custom->name,
        .explanation = custom->explanation,
        .bound = "as its author states",
        .state_size = (custom->state_bytes + 7) & ~7u,
        .takes = (custom->takes & TUMBLE_TAKES_NUMBER ? TW_TAKES_NUMBER : 0) |
                 (custom->takes & TUMBLE_TAKES_STRING ? TW_TAKES_STRING : 0) |
                 (custom->takes & TUMBLE_TAKES_BOOLEAN ? TW_TAKES_BOOLEAN : 0),
        .init = init,
        .step = step,
        .merge = merge,
        .value = value_text,
        .encode = encode,
        .decode = decode,
        .stored_most = stored_most,
        .stored_rule = "as its author encodes it, and the length as a varint",
    };
    *out = table;
    return TUMBLE_OK;
}
