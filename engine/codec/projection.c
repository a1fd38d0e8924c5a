#include <tumble/projection.h>

#include "engine/base/fail.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout.h"
#include "engine/codec/projection_trie.h"

/* An open container that lies on a path. */
struct frame {
    const char *begin;
    uint64_t seen; /* object: bit (ordinal mod 64) of every child met, to notice duplicate keys */
    uint32_t node;
    uint32_t index; /* array: position of the element being read */
    uint32_t next;  /* array: first of the node's positions that is not yet behind */
    bool is_object;
    bool in_array; /* it or something around it is an array: dotted paths find nothing below */
};

static void set(const struct tumble_projection *p, uint32_t node, bool in_array, struct tumble_value *values,
                const struct tumble_value *value) {
    for (uint32_t i = p->nodes[node].value; i != TW_PROJECTION_NONE; i = p->next_value[i]) {
        if (!(in_array && p->through_keys[i])) {
            values[i] = *value;
        }
    }
}

/* A duplicate key: forgets what the earlier value of top gave to the fields at and below it. */
static __attribute__((cold, noinline)) void forget(const struct tumble_projection *p, uint32_t top,
                                                   struct tumble_value *values) {
    static const struct tumble_value missing = {0};
    uint32_t node = top;
    for (;;) {
        set(p, node, false, values, &missing);
        if (p->nodes[node].first_child) {
            node = p->nodes[node].first_child;
            continue;
        }
        while (node != top && !p->nodes[node].next_sibling) {
            node = p->nodes[node].parent;
        }
        if (node == top) {
            return;
        }
        node = p->nodes[node].next_sibling;
    }
}

static __attribute__((cold, noinline)) uint32_t find_escaped(const struct tumble_projection *p, uint32_t node,
                                                             const char *key, uint32_t length) {
    struct tumble_value text = {key, length, TUMBLE_TYPE_STRING, TUMBLE_VALUE_ESCAPED, 0};
    uint32_t child = p->nodes[node].first_child;
    while (child) {
        uint32_t name_length = p->nodes[child].name_length; /* names is NULL when the only key is the empty one */
        struct tumble_bytes name = {name_length ? p->names + p->nodes[child].name : NULL, name_length};
        if (tw_json_string_equal(&text, name)) {
            break;
        }
        child = p->nodes[child].next_sibling;
    }
    return child;
}

/* The child of node with this key, or 0. The key's text lies in [key, end). */
static inline uint32_t find(const struct tumble_projection *p, uint32_t node, const char *key, uint32_t length,
                            const char *end) {
    const struct tw_projection_node *parent = &p->nodes[node];
    if (!(parent->lengths >> (length % 64) & 1)) {
        return 0;
    }
    uint64_t head;
    uint64_t tail = 0;
    if (length > 8) {
        head = tw_load8(key);
        tail = tw_load8(key + length - 8);
    } else if (TW_OFTEN(end - key >= 8 && length > 0)) {
        head = tw_load8(key);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        head = head << (64 - 8 * length) >> (64 - 8 * length);
#else
        head = head >> (64 - 8 * length) << (64 - 8 * length);
#endif
    } else {
        head = 0;
        memcpy(&head, key, length);
    }
    const struct tw_projection_slot *slots = p->slots + parent->slots;
    for (uint32_t at = tw_projection_hash(head, tail, length);; at++) {
        const struct tw_projection_slot *slot = &slots[at & (parent->slot_count - 1)];
        if (slot->node == 0) {
            return 0;
        }
        if (slot->head == head && slot->tail == tail && slot->length == length &&
            (length <= 16 || memcmp(p->names + p->nodes[slot->node].name + 8, key + 8, length - 16) == 0)) {
            return slot->node;
        }
    }
}

/* The child of the frame's node for the element at frame->index, or 0. */
static inline uint32_t find_position(const struct tumble_projection *p, struct frame *frame) {
    const struct tw_projection_node *parent = &p->nodes[frame->node];
    if (frame->next < parent->position_count) {
        const struct tw_projection_position *entry = &p->positions[parent->positions + frame->next];
        if (entry->position == frame->index) {
            frame->next++;
            return entry->node;
        }
    }
    return 0;
}

static const char *walk(struct tw_lex *lex, const struct tumble_projection *p, struct tumble_value *values) {
    struct frame frames[TW_LIMIT_JSON_DEPTH]; /* only those below depth are read */
    struct frame *frame = NULL;               /* the innermost open one */
    const char *const end = lex->end;
    const char *at = tw_lex_space(lex->begin, end);
    const char *expected_key;
    unsigned depth = 0;
    uint32_t node = 0;
    struct tumble_value value;

value: /* of node, at at */
    if (TW_RARELY(at == end)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "a value");
    }
    if (*at == '{' || *at == '[') {
        if (p->nodes[node].first_child == 0) {
            const char *begin = at;
            at = tw_lex_container(lex, at, depth);
            if (TW_RARELY(!at)) {
                return NULL;
            }
            tw_lex_describe(&value, begin, at, *begin == '{' ? TUMBLE_TYPE_OBJECT : TUMBLE_TYPE_ARRAY, 0);
            goto have_value;
        }
        if (TW_RARELY(depth >= TW_LIMIT_JSON_DEPTH)) {
            return tw_lex_refuse(lex, at, TUMBLE_EDEPTH, "arrays and objects nested more than 1000 deep");
        }
        bool around = depth && frames[depth - 1].in_array;
        frame = &frames[depth++];
        frame->begin = at;
        frame->seen = 0;
        frame->node = node;
        frame->index = 0;
        frame->next = 0;
        frame->is_object = *at == '{';
        frame->in_array = around || !frame->is_object;
        at = tw_lex_space(at + 1, end);
        if (at < end && *at == (frame->is_object ? '}' : ']')) {
            goto close;
        }
        expected_key = TW_LEX_KEY_OR_CLOSE;
        if (!frame->is_object) {
            goto element;
        }
        goto key;
    }
    at = tw_lex_scalar(lex, at, &value);
    if (TW_RARELY(!at)) {
        return NULL;
    }
have_value: /* value is node's whole value; the frame around it is still innermost */
    set(p, node, frame && frame->in_array, values, &value);
    if (!frame) {
        return value.type == TUMBLE_TYPE_NUMBER ? tw_lex_number_end(lex, at) : at;
    }
behind_value:
    at = tw_lex_space(at, end);
    if (TW_RARELY(at == end)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, frame->is_object ? TW_LEX_COMMA_OR_BRACE : TW_LEX_COMMA_OR_SQUARE);
    }
    if (*at == ',') {
        at = tw_lex_space(at + 1, end);
        if (frame->is_object) {
            expected_key = TW_LEX_KEY;
            goto key;
        }
        frame->index++;
        goto element;
    }
    if (TW_RARELY(*at != (frame->is_object ? '}' : ']'))) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, frame->is_object ? TW_LEX_COMMA_OR_BRACE : TW_LEX_COMMA_OR_SQUARE);
    }
close: /* the innermost frame ends at at */
    at++;
    tw_lex_describe(&value, frame->begin, at, frame->is_object ? TUMBLE_TYPE_OBJECT : TUMBLE_TYPE_ARRAY, 0);
    node = frame->node;
    depth--;
    frame = depth ? &frames[depth - 1] : NULL;
    goto have_value;

key : {
    const char *text;
    uint32_t length;
    uint8_t flags;
    at = tw_lex_key(lex, at, expected_key, &text, &length, &flags);
    if (TW_RARELY(!at)) {
        return NULL;
    }
    node = TW_OFTEN(flags == 0) ? find(p, frame->node, text, length, end) : find_escaped(p, frame->node, text, length);
    if (node) {
        uint32_t ordinal = p->nodes[node].ordinal;
        uint64_t bit = UINT64_C(1) << (ordinal % 64);
        if (TW_RARELY(frame->seen & bit)) {
            forget(p, node, values);
        }
        frame->seen |= bit;
        goto value;
    }
    goto other;
}
element:
    node = find_position(p, frame);
    if (node) {
        goto value;
    }
other: /* a value that no path looks at */
    at = tw_lex_value(lex, at, depth, &value);
    if (TW_RARELY(!at)) {
        return NULL;
    }
    goto behind_value;
}

enum tumble_code tumble_project(const struct tumble_projection *projection, struct tumble_bytes json, int end_of_input,
                                struct tumble_value *values, size_t *consumed, struct tumble_error *err) {
    struct tw_lex lex;
    tw_lex_init(&lex, json, end_of_input);
    if (projection->count) {
        memset(values, 0, projection->count * sizeof *values);
    }
    return tw_lex_finish(&lex, walk(&lex, projection, values), consumed, err);
}

enum tumble_code tumble_project_like(const struct tumble_projection *projection, struct tumble_layout *layout,
                                     struct tumble_bytes json, int end_of_input, struct tumble_value *values,
                                     size_t *consumed, struct tumble_error *err) {
    static const struct tumble_value missing;
    struct tw_lex lex;
    tw_lex_init(&lex, json, end_of_input);
    for (uint32_t i = 0; i < projection->count; i++) { /* few: less than a call of memset takes */
        values[i] = missing;
    }
    const char *at = tw_layout_match(layout, &lex, tw_lex_space(lex.begin, lex.end), values);
    if (TW_OFTEN(at != NULL)) {
        return TW_OFTEN(at == lex.end && !consumed && !lex.clamped) ? TUMBLE_OK
                                                                    : tw_lex_finish(&lex, at, consumed, err);
    }
    size_t used;
    TW_TRY(tumble_project(projection, json, end_of_input, values, &used, err));
    const char *behind = json.data + used;
    tw_layout_learn(layout, tw_lex_space(json.data, behind), behind, values, projection->count, true);
    tw_lex_init(&lex, json, end_of_input);
    return tw_lex_finish(&lex, behind, consumed, err);
}
