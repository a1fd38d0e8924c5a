#include "engine/codec/filter_compiled.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

/* How a record is matched (semantics: docs/spec.md). Fields are looked at through the projected values as long as only
 * objects lie on the way to them; where an array does, its elements are walked: an object of the pattern matches an
 * array when it matches one element whole. {"exists": false} asks about the whole record, wherever it stands. */

uint32_t tw_filter_fold(uint32_t c) {
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f)) {
        return c + 32;
    }
    if (c == 0x3c2) { /* final sigma */
        return 0x3c3;
    }
    if (c >= 0x400 && c <= 0x40f) {
        return c + 80;
    }
    if (c >= 0x531 && c <= 0x556) {
        return c + 48;
    }
    if (c == 0x178) {
        return 0xff;
    }
    /* Where capitals are even; but for the dotted and dotless i, whose case depends on the language. */
    bool even = (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14a && c <= 0x177) ||
                (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f) ||
                (c >= 0x1e00 && c <= 0x1e95) || (c >= 0x1ea0 && c <= 0x1eff);
    if (even) {
        return c | 1;
    }
    bool odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
    return odd && (c & 1) ? c + 1 : c;
}

static bool has_prefix(const struct tumble_value *value, struct tumble_bytes prefix) {
    if (!(value->flags & TUMBLE_VALUE_ESCAPED)) {
        return value->length >= prefix.length &&
               (prefix.length == 0 || memcmp(value->text, prefix.data, prefix.length) == 0);
    }
    struct tw_json_text text = tw_json_text_of(value);
    struct tw_json_text want = tw_json_text_plain(prefix);
    uint32_t a;
    uint32_t b;
    while (tw_json_text_next(&want, &b)) {
        if (!tw_json_text_next(&text, &a) || a != b) {
            return false;
        }
    }
    return true;
}

static size_t code_points(struct tw_json_text text) {
    size_t count = 0;
    uint32_t ignored;
    while (tw_json_text_next(&text, &ignored)) {
        count++;
    }
    return count;
}

static bool has_suffix(const struct tumble_value *value, struct tumble_bytes suffix) {
    if (!(value->flags & TUMBLE_VALUE_ESCAPED)) {
        return value->length >= suffix.length &&
               (suffix.length == 0 ||
                memcmp(value->text + value->length - suffix.length, suffix.data, suffix.length) == 0);
    }
    struct tw_json_text text = tw_json_text_of(value);
    struct tw_json_text want = tw_json_text_plain(suffix);
    size_t have = code_points(text);
    size_t need = code_points(want);
    uint32_t a;
    uint32_t b;
    if (have < need) {
        return false;
    }
    for (; have > need; have--) {
        tw_json_text_next(&text, &a);
    }
    while (tw_json_text_next(&want, &b)) {
        if (!tw_json_text_next(&text, &a) || a != b) {
            return false;
        }
    }
    return true;
}

static bool equal_folded(const struct tumble_value *value, struct tumble_bytes folded) {
    struct tw_json_text text = tw_json_text_of(value);
    struct tw_json_text want = tw_json_text_plain(folded);
    uint32_t a;
    uint32_t b;
    while (tw_json_text_next(&want, &b)) {
        if (!tw_json_text_next(&text, &a) || tw_filter_fold(a) != b) {
            return false;
        }
    }
    return !tw_json_text_next(&text, &a);
}

static bool any_string(const struct tw_filter_test *test, const struct tumble_value *value) {
    for (uint32_t i = 0; i < test->count; i++) {
        if (tw_json_string_equal(value, test->texts[i])) {
            return true;
        }
    }
    return false;
}

static bool any_folded(const struct tw_filter_test *test, const struct tumble_value *value) {
    for (uint32_t i = 0; i < test->count; i++) {
        if (equal_folded(value, test->texts[i])) {
            return true;
        }
    }
    return false;
}

static bool any_number(const struct tw_filter_test *test, const struct tw_decimal *number) {
    for (uint32_t i = 0; i < test->count; i++) {
        if (tw_decimal_compare(number, &test->numbers[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool in_range(const struct tw_filter_test *test, const struct tw_decimal *number) {
    if (test->low != TW_FILTER_UNBOUNDED) {
        int order = tw_decimal_compare(number, &test->numbers[0]);
        if (order < 0 || (order == 0 && test->low == TW_FILTER_OPEN)) {
            return false;
        }
    }
    if (test->high != TW_FILTER_UNBOUNDED) {
        int order = tw_decimal_compare(number, &test->numbers[1]);
        return order < 0 || (order == 0 && test->high == TW_FILTER_CLOSED);
    }
    return true;
}

/* number is NULL unless the value is a number that can be held exactly. */
static bool test_matches(const struct tw_filter_test *test, const struct tumble_value *value,
                         const struct tw_decimal *number) {
    bool string = value->type == TUMBLE_TYPE_STRING;
    switch ((enum tw_filter_kind)test->kind) {
    case TW_FILTER_TYPE: return value->type == test->type;
    case TW_FILTER_STRING: return string && tw_json_string_equal(value, test->texts[0]);
    case TW_FILTER_FOLDED: return string && equal_folded(value, test->texts[0]);
    case TW_FILTER_PREFIX: return string && has_prefix(value, test->texts[0]);
    case TW_FILTER_SUFFIX: return string && has_suffix(value, test->texts[0]);
    case TW_FILTER_NUMBER: return number && tw_decimal_compare(number, &test->numbers[0]) == 0;
    case TW_FILTER_RANGE: return number && in_range(test, number);
    case TW_FILTER_EXISTS: return true;
    case TW_FILTER_NOT_STRINGS: return !(string && any_string(test, value));
    case TW_FILTER_NOT_NUMBERS: return !(number && any_number(test, number));
    case TW_FILTER_NOT_FOLDED: return !(string && any_folded(test, value));
    case TW_FILTER_NOT_PREFIX: return !(string && has_prefix(value, test->texts[0]));
    case TW_FILTER_NOT_SUFFIX: return !(string && has_suffix(value, test->texts[0]));
    }
    return false;
}

static bool leaf_matches(const struct tw_filter_member *leaf, const struct tumble_value *value) {
    if (value->type == TUMBLE_TYPE_MISSING || value->type == TUMBLE_TYPE_OBJECT) {
        return false;
    }
    if (value->type == TUMBLE_TYPE_ARRAY) {
        struct tw_json_walk walk;
        struct tumble_value key;
        struct tumble_value element;
        tw_json_walk_begin(&walk, value);
        while (tw_json_walk_next(&walk, &key, &element)) {
            if (leaf_matches(leaf, &element)) {
                return true;
            }
        }
        return false;
    }
    struct tw_decimal decimal;
    const struct tw_decimal *number = NULL;
    if (value->type == TUMBLE_TYPE_NUMBER && leaf->numeric &&
        tw_decimal_parse(&decimal, value->text, value->length, NULL) == TUMBLE_OK) {
        number = &decimal;
    }
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (test_matches(&leaf->tests[i], value, number)) {
            return true;
        }
    }
    return false;
}

/* Is there a leaf value (anything but objects and empty arrays) here? */
static bool holds_leaf(const struct tumble_value *value) {
    if (value->type == TUMBLE_TYPE_ARRAY) {
        struct tw_json_walk walk;
        struct tumble_value key;
        struct tumble_value element;
        tw_json_walk_begin(&walk, value);
        while (tw_json_walk_next(&walk, &key, &element)) {
            if (holds_leaf(&element)) {
                return true;
            }
        }
        return false;
    }
    return value->type != TUMBLE_TYPE_MISSING && value->type != TUMBLE_TYPE_OBJECT;
}

static struct tumble_value find(const struct tumble_value *object, struct tumble_bytes key) {
    struct tumble_value found = {.type = TUMBLE_TYPE_MISSING};
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value value;
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &name, &value)) {
        if (tw_json_string_equal(&name, key)) {
            found = value; /* of duplicate keys the last wins */
        }
    }
    return found;
}

/* Does the field occur below value, which stands for the object nodes[depth - 1]… leads on from? */
static bool occurs_below(const struct tumble_value *value, const struct tw_filter_node *const *nodes, size_t depth,
                         const struct tw_filter_member *leaf) {
    if (value->type == TUMBLE_TYPE_ARRAY) {
        struct tw_json_walk walk;
        struct tumble_value key;
        struct tumble_value element;
        tw_json_walk_begin(&walk, value);
        while (tw_json_walk_next(&walk, &key, &element)) {
            if (occurs_below(&element, nodes, depth, leaf)) {
                return true;
            }
        }
        return false;
    }
    if (value->type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    struct tumble_value next = find(value, depth ? nodes[depth - 1]->key : leaf->key);
    return depth ? occurs_below(&next, nodes, depth - 1, leaf) : holds_leaf(&next);
}

static bool occurs(const struct tw_filter_member *leaf, const struct tumble_value *values) {
    const struct tw_filter_node *nodes[TW_LIMIT_JSON_DEPTH];
    size_t depth = 0;
    for (const struct tw_filter_node *node = leaf->owner; node->parent && depth < TW_LIMIT_JSON_DEPTH;
         node = node->parent) {
        nodes[depth++] = node;
    }
    while (depth > 0) {
        const struct tumble_value *value = &values[nodes[--depth]->path];
        if (value->type != TUMBLE_TYPE_OBJECT) {
            return value->type == TUMBLE_TYPE_ARRAY && occurs_below(value, nodes, depth, leaf);
        }
    }
    return holds_leaf(&values[leaf->path]);
}

/* object NULL: the fields of node are those projected; else they are looked up in it. missing: there is no such object.
 */
static bool node_matches(const struct tw_filter_node *node, const struct tumble_value *values,
                         const struct tumble_value *object, bool missing);

static bool any_element_matches(const struct tw_filter_node *node, const struct tumble_value *values,
                                const struct tumble_value *array) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element;
    tw_json_walk_begin(&walk, array);
    while (tw_json_walk_next(&walk, &key, &element)) {
        if (element.type == TUMBLE_TYPE_OBJECT
                ? node_matches(node, values, &element, false)
                : element.type == TUMBLE_TYPE_ARRAY && any_element_matches(node, values, &element)) {
            return true;
        }
    }
    return false;
}

static bool object_matches(const struct tw_filter_node *node, const struct tumble_value *values,
                           const struct tumble_value *value, bool projected) {
    if (value->type == TUMBLE_TYPE_OBJECT) {
        return node_matches(node, values, projected ? NULL : value, false);
    }
    return (value->type == TUMBLE_TYPE_ARRAY && any_element_matches(node, values, value)) ||
           node_matches(node, values, NULL, true);
}

static bool member_matches(const struct tw_filter_member *member, const struct tumble_value *values,
                           const struct tumble_value *object, bool missing) {
    static const struct tumble_value nothing = {.type = TUMBLE_TYPE_MISSING};
    if (member->kind == TW_FILTER_OR) {
        for (uint32_t i = 0; i < member->count; i++) {
            if (node_matches(member->nodes[i], values, object, missing)) {
                return true;
            }
        }
        return false;
    }
    struct tumble_value found;
    const struct tumble_value *value;
    if (missing) {
        value = &nothing;
    } else if (object) {
        found = find(object, member->key);
        value = &found;
    } else {
        value = &values[member->kind == TW_FILTER_LEAF ? member->path : member->nodes[0]->path];
    }
    if (member->kind == TW_FILTER_OBJECT) {
        return object_matches(member->nodes[0], values, value, !object && !missing);
    }
    return leaf_matches(member, value) || (member->absent && !occurs(member, values));
}

static bool node_matches(const struct tw_filter_node *node, const struct tumble_value *values,
                         const struct tumble_value *object, bool missing) {
    for (uint32_t i = 0; i < node->count; i++) {
        if (!member_matches(&node->members[i], values, object, missing)) {
            return false;
        }
    }
    return true;
}

bool tw_filter_pattern_match(const struct tw_filter_pattern *pattern, const struct tumble_value *values) {
    return node_matches(pattern->root, values, NULL, false);
}
