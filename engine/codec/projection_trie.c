#include "engine/codec/projection_trie.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

enum { MAX_VALUES = 4096 }; /* fields of a spec and what its aggregates repeat of them */

struct builder {
    struct tumble_projection *projection;
    size_t node_capacity;
    size_t names_length;
    size_t names_capacity;
    size_t leaves; /* distinct paths */
};

/* What a segment is as an array position (RFC 6901 section 4: no sign, no leading zero), or NONE. */
static uint32_t position_of(const char *text, size_t length) {
    if (length == 0 || length > 9 || (length > 1 && text[0] == '0')) {
        return TW_PROJECTION_NONE;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return TW_PROJECTION_NONE;
        }
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    return value;
}

static enum tumble_code reserve(struct builder *b, size_t name_length, struct tumble_error *err) {
    struct tumble_projection *p = b->projection;
    if (p->node_count == b->node_capacity) {
        size_t capacity = b->node_capacity ? b->node_capacity * 2 : 16;
        void *nodes = tw_resize(&p->alloc, p->nodes, b->node_capacity * sizeof *p->nodes, capacity * sizeof *p->nodes);
        if (!nodes) {
            return tw_no_memory(err);
        }
        p->nodes = nodes;
        b->node_capacity = capacity;
    }
    if (b->names_capacity - b->names_length < name_length) {
        size_t capacity = (b->names_length + name_length) * 2;
        char *names = tw_resize(&p->alloc, p->names, b->names_capacity, capacity);
        if (!names) {
            return tw_no_memory(err);
        }
        p->names = names;
        b->names_capacity = capacity;
    }
    return TUMBLE_OK;
}

static enum tumble_code add_node(struct builder *b, uint32_t parent, const char *name, size_t name_length,
                                 uint32_t *out, struct tumble_error *err) {
    TW_TRY(reserve(b, name_length, err));
    struct tumble_projection *p = b->projection;
    struct tw_projection_node *node = &p->nodes[p->node_count];
    memset(node, 0, sizeof *node);
    node->value = TW_PROJECTION_NONE;
    node->position = TW_PROJECTION_NONE;
    node->name = (uint32_t)b->names_length;
    node->name_length = (uint32_t)name_length;
    if (name_length > 0) {
        memcpy(p->names + b->names_length, name, name_length);
        b->names_length += name_length;
    }
    if (p->node_count > 0) {
        node->parent = parent;
        node->next_sibling = p->nodes[parent].first_child;
        node->ordinal = node->next_sibling ? p->nodes[node->next_sibling].ordinal + 1 : 0;
        p->nodes[parent].first_child = (uint32_t)p->node_count;
    }
    *out = (uint32_t)p->node_count++;
    return TUMBLE_OK;
}

static enum tumble_code descend(struct builder *b, uint32_t *node, const char *name, size_t length, bool pointer,
                                struct tumble_error *err) {
    const struct tumble_projection *p = b->projection;
    uint32_t child = p->nodes[*node].first_child;
    while (child && (p->nodes[child].name_length != length ||
                     (length && memcmp(p->names + p->nodes[child].name, name, length) != 0))) {
        child = p->nodes[child].next_sibling;
    }
    if (!child) {
        TW_TRY(add_node(b, *node, name, length, &child, err));
    }
    if (pointer) {
        b->projection->nodes[child].position = position_of(name, length);
    }
    *node = child;
    return TUMBLE_OK;
}

static enum tumble_code add_pointer(struct builder *b, struct tumble_bytes path, uint32_t *node,
                                    struct tumble_error *err) {
    char segment[TW_LIMIT_PATH_BYTES];
    for (size_t i = 0; i < path.length;) {
        size_t length = 0;
        for (i++; i < path.length && path.data[i] != '/'; i++) {
            char c = path.data[i];
            if (c == '~') {
                char escape = i + 1 < path.length ? path.data[i + 1] : '\0';
                if (escape != '0' && escape != '1') {
                    return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i,
                                      "field path \"%.*s\": in a JSON Pointer '~' is written ~0 and '/' in a key ~1",
                                      (int)path.length, path.data);
                }
                c = escape == '0' ? '~' : '/';
                i++;
            }
            segment[length++] = c;
        }
        TW_TRY(descend(b, node, segment, length, true, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code add_dotted(struct builder *b, struct tumble_bytes path, uint32_t *node,
                                   struct tumble_error *err) {
    size_t begin = 0;
    for (size_t i = 0; i <= path.length; i++) {
        if (i < path.length && path.data[i] != '.') {
            continue;
        }
        if (i == begin) {
            return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i,
                              "field path \"%.*s\" has an empty segment: name every segment, or write the path as a "
                              "JSON Pointer that begins with '/'",
                              (int)path.length, path.length ? path.data : "");
        }
        TW_TRY(descend(b, node, path.data + begin, i - begin, false, err));
        begin = i + 1;
    }
    return TUMBLE_OK;
}

static enum tumble_code add_path(struct builder *b, struct tumble_bytes path, uint32_t value,
                                 struct tumble_error *err) {
    struct tumble_projection *p = b->projection;
    if (path.length > TW_LIMIT_PATH_BYTES) {
        return tw_fail(err, TUMBLE_EPATH, "a field path of %zu bytes: at most %d are allowed", path.length,
                       TW_LIMIT_PATH_BYTES);
    }
    bool pointer = path.length > 0 && path.data[0] == '/';
    uint32_t node = 0;
    TW_TRY(pointer ? add_pointer(b, path, &node, err) : add_dotted(b, path, &node, err));
    if (p->nodes[node].value == TW_PROJECTION_NONE && ++b->leaves > TW_LIMIT_FIELDS) {
        return tw_fail(err, TUMBLE_ELIMIT, "more than %d different field paths", TW_LIMIT_FIELDS);
    }
    p->through_keys[value] = !pointer;
    p->next_value[value] = p->nodes[node].value;
    p->nodes[node].value = value;
    return TUMBLE_OK;
}

static void key_words(const char *key, size_t length, uint64_t *head, uint64_t *tail) {
    *head = 0;
    *tail = 0;
    memcpy(head, key, length < 8 ? length : 8);
    if (length > 8) {
        memcpy(tail, key + length - 8, 8);
    }
}

static void insert_slot(struct tumble_projection *p, const struct tw_projection_node *parent, uint32_t child) {
    const struct tw_projection_node *node = &p->nodes[child];
    struct tw_projection_slot slot = {0, 0, node->name_length, child};
    key_words(node->name_length ? p->names + node->name : "", node->name_length, &slot.head, &slot.tail);
    uint32_t at = tw_projection_hash(slot.head, slot.tail, slot.length);
    while (p->slots[parent->slots + (at & (parent->slot_count - 1))].node) {
        at++;
    }
    p->slots[parent->slots + (at & (parent->slot_count - 1))] = slot;
}

static int by_position(const void *a, const void *b) {
    const struct tw_projection_position *left = a;
    const struct tw_projection_position *right = b;
    return left->position < right->position ? -1 : left->position > right->position;
}

/* Turns the lists of children into the tables that the walk uses. */
static enum tumble_code index_children(struct tumble_projection *p, struct tumble_error *err) {
    uint32_t slots = 0;
    uint32_t positions = 0;
    for (size_t i = 0; i < p->node_count; i++) {
        struct tw_projection_node *node = &p->nodes[i];
        node->slots = slots;
        node->positions = positions;
        uint32_t children = 0;
        for (uint32_t child = node->first_child; child; child = p->nodes[child].next_sibling) {
            children++;
            node->position_count += p->nodes[child].position != TW_PROJECTION_NONE;
            node->lengths |= UINT64_C(1) << (p->nodes[child].name_length % 64);
        }
        for (node->slot_count = children ? 2 : 0; node->slot_count < 2 * children;) {
            node->slot_count *= 2;
        }
        slots += node->slot_count;
        positions += node->position_count;
    }
    p->slots = tw_alloc_zero(&p->alloc, slots * sizeof *p->slots);
    p->positions = tw_alloc_zero(&p->alloc, positions * sizeof *p->positions);
    if (!p->slots || !p->positions) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < p->node_count; i++) {
        const struct tw_projection_node *node = &p->nodes[i];
        uint32_t filled = 0;
        for (uint32_t child = node->first_child; child; child = p->nodes[child].next_sibling) {
            insert_slot(p, node, child);
            if (p->nodes[child].position != TW_PROJECTION_NONE) {
                struct tw_projection_position entry = {p->nodes[child].position, child};
                p->positions[node->positions + filled++] = entry;
            }
        }
        if (filled > 1) {
            qsort(p->positions + node->positions, filled, sizeof *p->positions, by_position);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code build(struct tumble_projection *p, const struct tumble_bytes *paths, struct tumble_error *err) {
    struct builder b = {.projection = p};
    uint32_t root;
    p->next_value = tw_alloc_array(&p->alloc, p->count, sizeof *p->next_value);
    p->through_keys = tw_alloc_array(&p->alloc, p->count, sizeof *p->through_keys);
    if (!p->next_value || !p->through_keys) {
        return tw_no_memory(err);
    }
    TW_TRY(add_node(&b, 0, "", 0, &root, err));
    for (size_t i = 0; i < p->count; i++) {
        enum tumble_code code = add_path(&b, paths[i], (uint32_t)i, err);
        if (code != TUMBLE_OK) {
            if (err) {
                err->record = (int64_t)i;
            }
            return code;
        }
    }
    return index_children(p, err);
}

enum tumble_code tw_projection_new(const struct tumble_bytes *paths, size_t count, struct tumble_alloc alloc,
                                   struct tumble_projection **out, struct tumble_error *err) {
    *out = NULL;
    if (count > MAX_VALUES) {
        return tw_fail(err, TUMBLE_ELIMIT, "%zu field paths: at most %d are allowed", count, MAX_VALUES);
    }
    alloc = tw_alloc_or_default(alloc);
    struct tumble_projection *p = tw_alloc_zero(&alloc, sizeof *p);
    if (!p) {
        return tw_no_memory(err);
    }
    p->alloc = alloc;
    p->count = count;
    enum tumble_code code = build(p, paths, err);
    if (code != TUMBLE_OK) {
        tw_projection_destroy(p);
        return code;
    }
    *out = p;
    return TUMBLE_OK;
}

void tw_projection_destroy(struct tumble_projection *projection) {
    if (!projection) {
        return;
    }
    struct tumble_alloc alloc = projection->alloc;
    tw_free(&alloc, projection->nodes);
    tw_free(&alloc, projection->slots);
    tw_free(&alloc, projection->positions);
    tw_free(&alloc, projection->next_value);
    tw_free(&alloc, projection->through_keys);
    tw_free(&alloc, projection->names);
    tw_free(&alloc, projection);
}

size_t tumble_projection_count(const struct tumble_projection *projection) { return projection->count; }
