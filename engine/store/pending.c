#include "engine/store/pending.h"

#include "engine/store/operations.h"
#include "engine/store/store_internal.h"

/* Two ordered maps in memory: keys with their values' places, and prefixes. A prefix is looked for by each length that
 * one of them has; there is one, that of a window's groups. */

struct tw_pending {
    struct tumble_alloc alloc;
    struct tw_store *keys;
    struct tw_store *prefixes;
    size_t operations;
    size_t operations_before; /* the transaction */
    bool has_length[TW_STORE_KEY_MAX + 1];
};

struct next {
    struct tumble_bytes from;
    bool after;
    bool found;
    struct tumble_bytes key;
    struct tumble_bytes value;
};

struct tw_pending *tw_pending_new(struct tumble_alloc alloc) {
    struct tw_store_options options = {.alloc = alloc};
    struct tw_pending *pending = tw_alloc_zero(&alloc, sizeof *pending);
    if (!pending) {
        return NULL;
    }
    pending->alloc = alloc;
    if (tw_store_open_memory(&options, &pending->keys, NULL) != TUMBLE_OK ||
        tw_store_open_memory(&options, &pending->prefixes, NULL) != TUMBLE_OK) {
        tw_pending_destroy(pending);
        return NULL;
    }
    return pending;
}

void tw_pending_destroy(struct tw_pending *pending) {
    if (pending) {
        tw_store_close(pending->keys);
        tw_store_close(pending->prefixes);
        tw_free(&pending->alloc, pending);
    }
}

void tw_pending_begin(struct tw_pending *pending) {
    pending->keys->backend->begin(pending->keys, NULL); /* cannot fail in memory */
    pending->prefixes->backend->begin(pending->prefixes, NULL);
    pending->operations_before = pending->operations;
}

void tw_pending_commit(struct tw_pending *pending) {
    pending->keys->backend->commit(pending->keys, NULL);
    pending->prefixes->backend->commit(pending->prefixes, NULL);
}

/* A length that no prefix has any more costs a look and nothing else. */
void tw_pending_abort(struct tw_pending *pending) {
    pending->keys->backend->abort(pending->keys);
    pending->prefixes->backend->abort(pending->prefixes);
    pending->operations = pending->operations_before;
}

static enum tumble_code take_one(struct tw_pending *pending, const struct tw_operation *one, uint64_t at) {
    struct tw_store *keys = pending->keys, *prefixes = pending->prefixes;
    if (one->kind == TW_OPERATION_DELETE_PREFIX) {
        pending->has_length[one->key.length] = true;
        enum tumble_code code = keys->backend->erase_prefix(keys, one->key, NULL);
        return code == TUMBLE_OK ? prefixes->backend->put(prefixes, one->key, tumble_bytes_of(NULL), NULL) : code;
    }
    struct tw_pending_value value = {one->kind == TW_OPERATION_DELETE, at, one->value.length};
    struct tumble_bytes bytes = {(const char *)&value, sizeof value};
    return keys->backend->put(keys, one->key, bytes, NULL);
}

enum tumble_code tw_pending_take(struct tw_pending *pending, struct tumble_bytes operations, uint64_t at) {
    struct tw_cursor in = tw_cursor_of(operations);
    while (tw_cursor_left(&in)) {
        struct tw_operation one;
        if (!tw_operation_take(&in, &one)) {
            return TUMBLE_ECORRUPT;
        }
        size_t offset = one.value.length ? (size_t)(one.value.data - operations.data) : 0;
        enum tumble_code code = take_one(pending, &one, at + offset);
        if (code != TUMBLE_OK) {
            return code;
        }
        pending->operations++;
    }
    return TUMBLE_OK;
}

void tw_pending_clear(struct tw_pending *pending) {
    tw_store_memory_clear(pending->keys);
    tw_store_memory_clear(pending->prefixes);
    memset(pending->has_length, 0, sizeof pending->has_length);
    pending->operations = 0;
}

size_t tw_pending_operations(const struct tw_pending *pending) { return pending->operations; }

static struct tw_pending_value value_of(struct tumble_bytes bytes) {
    struct tw_pending_value value;
    memcpy(&value, bytes.data, sizeof value);
    return value;
}

static enum tumble_code add_bytes(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    uint64_t *bytes = ctx;
    (void)key;
    (void)stop;
    (void)err;
    *bytes += value_of(value).length;
    return TUMBLE_OK;
}

uint64_t tw_pending_value_bytes(struct tw_pending *pending) {
    uint64_t bytes = 0;
    struct tumble_bytes all = tumble_bytes_of(NULL);
    pending->keys->backend->scan(pending->keys, all, all, add_bytes, &bytes, NULL);
    return bytes;
}

bool tw_pending_find(struct tw_pending *pending, struct tumble_bytes key, struct tw_pending_value *out) {
    bool found = false;
    struct tumble_bytes bytes;
    pending->keys->backend->get(pending->keys, key, &found, &bytes, NULL);
    if (found) {
        *out = value_of(bytes);
    }
    return found;
}

bool tw_pending_hides(struct tw_pending *pending, struct tumble_bytes key) {
    bool found = false;
    for (size_t length = 0; length <= key.length && !found; length++) {
        if (pending->has_length[length]) {
            struct tumble_bytes prefix = {key.data, length}, value;
            pending->prefixes->backend->get(pending->prefixes, prefix, &found, &value, NULL);
        }
    }
    return found;
}

static enum tumble_code take_next(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    struct next *next = ctx;
    (void)err;
    next->found = !next->after || tw_store_compare(key, next->from) > 0;
    next->key = key;
    next->value = value;
    *stop = next->found;
    return TUMBLE_OK;
}

static bool find_next(struct tw_store *map, struct tumble_bytes prefix, struct next *next) {
    map->backend->scan(map, prefix, next->from, take_next, next, NULL);
    return next->found;
}

bool tw_pending_next(struct tw_pending *pending, struct tumble_bytes prefix, struct tumble_bytes from, bool after,
                     struct tumble_bytes *key, struct tw_pending_value *value) {
    struct next next = {.from = from, .after = after};
    if (!find_next(pending->keys, prefix, &next)) {
        return false;
    }
    *key = next.key;
    *value = value_of(next.value);
    return true;
}

bool tw_pending_next_prefix(struct tw_pending *pending, struct tumble_bytes from, bool after,
                            struct tumble_bytes *out) {
    struct next next = {.from = from, .after = after};
    bool found = find_next(pending->prefixes, tumble_bytes_of(NULL), &next);
    *out = next.key;
    return found;
}
