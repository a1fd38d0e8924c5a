#include "engine/codec/filter_compile.h"

#include <stdlib.h>

#include "engine/base/fail.h"
#include "engine/codec/field_path.h"
#include "engine/codec/json.h"

/* The rules and messages of a pattern are those of AWS's matcher (github.com/aws/event-ruler, JsonRuleCompiler) for the
 * operators that Lambda's guide lists under "Filter rule syntax". */

static enum tumble_code no_memory(struct tw_filter_compiler *c) { return tw_no_memory(c->err); }

static enum tumble_code take_text(struct tw_filter_compiler *c, const struct tumble_value *string,
                                  struct tumble_bytes *out) {
    return tw_json_string_take(string, c->arena, out) ? TUMBLE_OK : no_memory(c);
}

/* ---- objects ---- */

static enum tumble_code path_index(struct tw_filter_compiler *c, const struct tumble_value *at, uint32_t *out) {
    struct tw_filter_pattern *pattern = c->pattern;
    struct tumble_bytes path = tw_buf_view(&c->pointer);
    for (size_t i = 0; i < pattern->path_count; i++) {
        if (tumble_bytes_equal(pattern->paths[i], path)) {
            *out = (uint32_t)i;
            return TUMBLE_OK;
        }
    }
    if (pattern->path_count == TW_LIMIT_FIELDS || path.length > TW_LIMIT_PATH_BYTES) {
        return tw_filter_refuse(c, at, "A pattern may look at %d fields of at most %d bytes of path", TW_LIMIT_FIELDS,
                                TW_LIMIT_PATH_BYTES);
    }
    TW_TRY(tw_filter_keep(c, &c->pointer, &pattern->paths[pattern->path_count]));
    *out = (uint32_t)pattern->path_count++;
    return TUMBLE_OK;
}

static enum tumble_code read_leaf(struct tw_filter_compiler *c, const struct tumble_value *array,
                                  struct tw_filter_member *leaf, struct tw_buf *text) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    leaf->kind = TW_FILTER_LEAF;
    TW_TRY(path_index(c, array, &leaf->path));
    size_t count = tw_filter_count(array);
    if (count == 0) {
        return tw_filter_refuse(c, array, "Empty arrays are not allowed");
    }
    leaf->tests = tw_filter_take(c, count, sizeof *leaf->tests);
    if (!leaf->tests) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, array);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &key, &value); i++) {
        TW_TRY(tw_filter_read_test(c, &value, &leaf->tests[i]));
    }
    count = tw_filter_drop_equal(leaf->tests, count, sizeof *leaf->tests, tw_filter_compare_tests);
    TW_TRY(tw_buf_append_byte(text, '['));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct tw_filter_test *test = &leaf->tests[i];
        if (i) {
            TW_TRY(tw_buf_append_byte(text, ','));
        }
        TW_TRY(tw_buf_append(text, test->canonical.data, test->canonical.length));
        leaf->numeric |=
            test->kind == TW_FILTER_NUMBER || test->kind == TW_FILTER_RANGE || test->kind == TW_FILTER_NOT_NUMBERS;
        if (test->kind == TW_FILTER_EXISTS && !test->type) {
            leaf->absent = true; /* no test of a value */
        } else {
            leaf->tests[kept++] = *test;
        }
    }
    leaf->count = (uint32_t)kept;
    return tw_buf_append_byte(text, ']');
}

static enum tumble_code read_object(struct tw_filter_compiler *c, const struct tumble_value *object, bool inside_or,
                                    struct tw_filter_node *node, struct tumble_bytes *canonical);

static enum tumble_code read_or(struct tw_filter_compiler *c, const struct tumble_value *array,
                                const struct tw_filter_node *node, struct tw_filter_member *member,
                                struct tw_buf *text) {
    if (array->type != TUMBLE_TYPE_ARRAY) {
        return tw_filter_refuse(c, array, "It must be an Array followed with $or.");
    }
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    size_t count = tw_filter_count(array);
    member->kind = TW_FILTER_OR;
    member->nodes = tw_filter_take(c, count, sizeof(struct tw_filter_node *));
    struct tumble_bytes *texts = tw_filter_take(c, count, sizeof *texts);
    if (!member->nodes || !texts) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, array);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &key, &value); i++) {
        if (value.type != TUMBLE_TYPE_OBJECT) {
            return tw_filter_refuse(c, &value, "Only JSON object is allowed in array of $or relationship.");
        }
        struct tw_filter_node *branch = tw_filter_take(c, 1, sizeof *branch);
        if (!branch) {
            return no_memory(c);
        }
        branch->parent = node->parent; /* a branch is about the object that $or stands in */
        branch->key = node->key;
        branch->path = node->path;
        member->nodes[i] = branch;
        TW_TRY(read_object(c, &value, true, branch, &texts[i]));
    }
    if (count < 2) {
        return tw_filter_refuse(c, array, "There must have at least 2 Objects in $or relationship.");
    }
    member->count = (uint32_t)count;
    qsort(texts, count, sizeof *texts, tw_filter_compare_texts);
    TW_TRY(tw_buf_append_byte(text, '['));
    for (size_t i = 0; i < count; i++) {
        if (i) {
            TW_TRY(tw_buf_append_byte(text, ','));
        }
        TW_TRY(tw_buf_append(text, texts[i].data, texts[i].length));
    }
    return tw_buf_append_byte(text, ']');
}

static bool reserved_in_or(struct tumble_bytes key) {
    static const char *const names[] = {"exactly",
                                        "equals-ignore-case",
                                        "prefix",
                                        "suffix",
                                        "anything-but",
                                        "exists",
                                        "wildcard",
                                        "numeric",
                                        "cidr",
                                        "=",
                                        "<",
                                        "<=",
                                        ">",
                                        ">=",
                                        "regex",
                                        "not-wildcard",
                                        "not-equals-ignore-case",
                                        "date-after",
                                        "date-on-or-after",
                                        "date-before",
                                        "date-on-or-before",
                                        "in-date-range",
                                        "ip-address-in-range",
                                        "ip-address-not-in-range"};
    return tw_name_find(key, names, sizeof names / sizeof *names) >= 0;
}

static enum tumble_code read_member(struct tw_filter_compiler *c, const struct tumble_value *name,
                                    const struct tumble_value *value, bool inside_or, const struct tw_filter_node *node,
                                    struct tw_filter_member *member, struct tw_buf *text) {
    struct tumble_bytes inner;
    member->owner = node;
    if (tumble_bytes_equal(member->key, tumble_bytes_of("$or"))) {
        return read_or(c, value, node, member, text);
    }
    if (inside_or && reserved_in_or(member->key)) {
        return tw_filter_refuse(c, name, "%.*s is Ruler reserved fieldName which cannot be used inside $or.",
                                (int)member->key.length, member->key.data);
    }
    TW_TRY(tw_field_path_append(&c->pointer, member->key));
    if (value->type == TUMBLE_TYPE_ARRAY) {
        return read_leaf(c, value, member, text);
    }
    if (value->type != TUMBLE_TYPE_OBJECT) {
        return tw_filter_refuse(c, value, "\"%.*s\" must be an object or an array",
                                (int)(member->key.length < 64 ? member->key.length : 64), member->key.data);
    }
    struct tw_filter_node *child = tw_filter_take(c, 1, sizeof *child);
    member->kind = TW_FILTER_OBJECT;
    member->count = 1;
    member->nodes = tw_filter_take(c, 1, sizeof(struct tw_filter_node *));
    if (!child || !member->nodes) {
        return no_memory(c);
    }
    member->nodes[0] = child;
    child->parent = node;
    child->key = member->key;
    TW_TRY(path_index(c, value, &child->path));
    TW_TRY(read_object(c, value, inside_or, child, &inner));
    return tw_buf_append(text, inner.data, inner.length);
}

static enum tumble_code read_members(struct tw_filter_compiler *c, const struct tumble_value *object, bool inside_or,
                                     struct tw_filter_node *node, struct tw_buf *text) {
    size_t count = tw_filter_count(object);
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value value;
    if (count == 0) {
        return tw_filter_refuse(c, object, "Empty objects are not allowed");
    }
    struct sort_item {
        struct tumble_bytes key;
        struct tumble_value name;
        struct tumble_value value;
    } *items = tw_filter_take(c, count, sizeof *items);
    node->members = tw_filter_take(c, count, sizeof *node->members);
    if (!items || !node->members) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, object);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &name, &value); i++) {
        TW_TRY(take_text(c, &name, &items[i].key));
        items[i].name = name;
        items[i].value = value;
    }
    qsort(items, count, sizeof *items, tw_filter_compare_texts); /* key stands first */
    node->count = (uint32_t)count;
    size_t base = c->pointer.length;
    for (size_t i = 0; i < count; i++) {
        if (i && tumble_bytes_equal(items[i].key, items[i - 1].key)) {
            return tw_filter_refuse(c, &items[i].name, "Path `%.*s` cannot be allowed multiple times",
                                    (int)(items[i].key.length < 64 ? items[i].key.length : 64), items[i].key.data);
        }
        node->members[i].key = items[i].key;
        TW_TRY(tw_buf_append_byte(text, i ? ',' : '{'));
        TW_TRY(tw_buf_append_json_string(text, items[i].key));
        TW_TRY(tw_buf_append_byte(text, ':'));
        TW_TRY(read_member(c, &items[i].name, &items[i].value, inside_or, node, &node->members[i], text));
        c->pointer.length = base;
    }
    return tw_buf_append_byte(text, '}');
}

static enum tumble_code read_object(struct tw_filter_compiler *c, const struct tumble_value *object, bool inside_or,
                                    struct tw_filter_node *node, struct tumble_bytes *canonical) {
    struct tw_buf text;
    tw_buf_init(&text, c->pattern->alloc, TW_FILTER_BYTES);
    return tw_filter_finish(c, &text, read_members(c, object, inside_or, node, &text), canonical);
}

/* ---- the whole pattern ---- */

/* A pointer's decimal segment would also name a position, should the record be an array: the dotted form does not. Only
 * the first segment needs it, the match itself looks at what the others stand in. */
static enum tumble_code plain_root(struct tw_filter_compiler *c, struct tumble_bytes *path) {
    size_t digits = 1;
    while (digits < path->length && path->data[digits] >= '0' && path->data[digits] <= '9') {
        digits++;
    }
    if (digits == 1 || (digits < path->length && path->data[digits] != '/')) {
        return TUMBLE_OK;
    }
    for (size_t i = 1; i < path->length; i++) {
        bool empty = path->data[i] == '/' && (i + 1 == path->length || path->data[i + 1] == '/');
        if (empty || path->data[i] == '.' || path->data[i] == '~') {
            return TUMBLE_OK;
        }
    }
    char *dotted = tw_arena_take(c->arena, path->length);
    if (!dotted) {
        return no_memory(c);
    }
    for (size_t i = 1; i < path->length; i++) {
        dotted[i - 1] = path->data[i] == '/' ? '.' : path->data[i];
    }
    path->data = dotted;
    path->length--;
    return TUMBLE_OK;
}

static enum tumble_code compile(struct tw_filter_compiler *c) {
    struct tw_filter_pattern *pattern = c->pattern;
    struct tumble_value root;
    struct tumble_error json;
    if (c->source.length > TW_FILTER_SOURCE_BYTES) {
        return tw_filter_refuse(c, NULL, "Member must have length less than or equal to %d", TW_FILTER_CHARACTERS);
    }
    enum tumble_code code = tw_json_document(c->source, TUMBLE_TYPE_OBJECT, &root, &json);
    if (code != TUMBLE_OK) {
        return tw_fail_at(c->err, TUMBLE_EPATTERN, json.byte, "Invalid filter pattern definition. %s", json.text);
    }
    pattern->root = tw_filter_take(c, 1, sizeof *pattern->root);
    if (!pattern->root) {
        return no_memory(c);
    }
    code = read_object(c, &root, false, pattern->root, &pattern->canonical);
    if (code != TUMBLE_OK) {
        return code;
    }
    size_t characters = 0;
    for (size_t i = 0; i < pattern->canonical.length; i++) {
        characters += ((unsigned char)pattern->canonical.data[i] & 0xc0) != 0x80;
    }
    if (characters > TW_FILTER_CHARACTERS) {
        return tw_filter_refuse(c, NULL, "Member must have length less than or equal to %d", TW_FILTER_CHARACTERS);
    }
    for (size_t i = 0; i < pattern->path_count; i++) {
        TW_TRY(plain_root(c, &pattern->paths[i]));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_filter_pattern_new(struct tumble_bytes pattern, struct tumble_alloc alloc,
                                       struct tw_filter_pattern **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = NULL;
    struct tw_filter_pattern *made = tw_alloc_zero(&alloc, sizeof *made);
    if (!made) {
        return tw_no_memory(err);
    }
    made->alloc = alloc;
    tw_arena_init(&made->arena, alloc);
    struct tw_filter_compiler compiler = {.pattern = made, .arena = &made->arena, .source = pattern, .err = err};
    tw_buf_init(&compiler.pointer, alloc, 2 * TW_FILTER_SOURCE_BYTES);
    enum tumble_code code = compile(&compiler);
    tw_buf_clean_up(&compiler.pointer);
    if (code != TUMBLE_OK) {
        tw_filter_pattern_destroy(made);
        return code == TUMBLE_ENOMEM ? tw_no_memory(err) : code;
    }
    *out = made;
    return TUMBLE_OK;
}

void tw_filter_pattern_destroy(struct tw_filter_pattern *pattern) {
    if (pattern) {
        struct tumble_alloc alloc = pattern->alloc;
        tw_arena_clean_up(&pattern->arena);
        tw_free(&alloc, pattern);
    }
}

size_t tw_filter_pattern_path_count(const struct tw_filter_pattern *pattern) { return pattern->path_count; }

struct tumble_bytes tw_filter_pattern_path(const struct tw_filter_pattern *pattern, size_t index) {
    return pattern->paths[index];
}

enum tumble_code tw_filter_pattern_canonical(const struct tw_filter_pattern *pattern, struct tw_buf *out) {
    return tw_buf_append(out, pattern->canonical.data, pattern->canonical.length);
}
