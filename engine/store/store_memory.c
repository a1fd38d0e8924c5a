#include "engine/base/fail.h"
#include "engine/store/store_internal.h"

/* A skip list (Pugh 1990) of immutable nodes, one allocation each, and a journal of the nodes that the open transaction
 * took out and put in. Abort walks the journal backwards and only relinks: it needs no memory, so it cannot fail. */

enum { LEVELS = 20 }; /* 4^20 keys: far more than memory */

struct node {
    size_t key_length;
    size_t value_length;
    int levels;
    struct node *next[]; /* levels of them, then the key, then the value */
};

struct change {
    struct node *removed; /* either may be NULL */
    struct node *added;
};

struct memory_store {
    struct tw_store base;
    struct node *head[LEVELS];
    uint64_t random; /* heights only: the order of keys does not depend on it */
    struct change *journal;
    size_t journal_length;
    size_t journal_capacity;
};

static struct memory_store *memory_of(struct tw_store *store) { return (struct memory_store *)(void *)store; }

static char *node_bytes(const struct node *node) { return (char *)(uintptr_t)(node->next + node->levels); }

static struct tumble_bytes node_key(const struct node *node) {
    struct tumble_bytes key = {node_bytes(node), node->key_length};
    return key;
}

static struct tumble_bytes node_value(const struct node *node) {
    struct tumble_bytes value = {node_bytes(node) + node->key_length, node->value_length};
    return value;
}

/* Fills links[i] with the pointer at level i that leads to the first node not below key; returns that node. */
static struct node *find(struct memory_store *memory, struct tumble_bytes key, struct node **links[LEVELS]) {
    struct node **towers = memory->head;
    for (int level = LEVELS - 1; level >= 0; level--) {
        while (towers[level] && tw_store_compare(node_key(towers[level]), key) < 0) {
            towers = towers[level]->next;
        }
        links[level] = &towers[level];
    }
    return *links[0];
}

static struct node *find_equal(struct memory_store *memory, struct tumble_bytes key, struct node **links[LEVELS]) {
    struct node *node = find(memory, key, links);
    return node && tw_store_compare(node_key(node), key) == 0 ? node : NULL;
}

static void link_node(struct node *node, struct node **links[LEVELS]) {
    for (int level = 0; level < node->levels; level++) {
        node->next[level] = *links[level];
        *links[level] = node;
    }
}

static void unlink_node(struct node *node, struct node **links[LEVELS]) {
    for (int level = 0; level < node->levels; level++) {
        *links[level] = node->next[level];
    }
}

static int pick_levels(struct memory_store *memory) {
    uint64_t x = memory->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memory->random = x;
    int levels = 1;
    while (levels < LEVELS && (x & 3) == 0) { /* a quarter of the nodes climbs each level */
        levels++;
        x >>= 2;
    }
    return levels;
}

static struct node *node_new(struct memory_store *memory, struct tumble_bytes key, struct tumble_bytes value) {
    int levels = pick_levels(memory);
    size_t towers = (size_t)levels * sizeof(struct node *);
    struct node *node = tw_alloc(&memory->base.alloc, sizeof *node + towers + key.length + value.length);
    if (node) {
        node->levels = levels;
        node->key_length = key.length;
        node->value_length = value.length;
        memcpy(node_bytes(node), key.data, key.length);
        if (value.length) {
            memcpy(node_bytes(node) + key.length, value.data, value.length);
        }
    }
    return node;
}

/* Room for one more change, taken before anything is touched. */
static bool journal_room(struct memory_store *memory) {
    if (memory->journal_length < memory->journal_capacity) {
        return true;
    }
    size_t capacity = memory->journal_capacity ? memory->journal_capacity * 2 : 64;
    size_t old_size = memory->journal_capacity * sizeof(struct change), size;
    if (!tw_mul_ok(capacity, sizeof(struct change), &size)) {
        return false;
    }
    struct change *journal = tw_resize(&memory->base.alloc, memory->journal, old_size, size);
    if (!journal) {
        return false;
    }
    memory->journal = journal;
    memory->journal_capacity = capacity;
    return true;
}

static void note(struct memory_store *memory, struct node *removed, struct node *added) {
    struct change change = {removed, added};
    memory->journal[memory->journal_length++] = change;
}

static enum tumble_code memory_begin(struct tw_store *store, struct tumble_error *err) {
    (void)err;
    memory_of(store)->journal_length = 0;
    return TUMBLE_OK;
}

static enum tumble_code memory_commit(struct tw_store *store, struct tumble_error *err) {
    (void)err;
    struct memory_store *memory = memory_of(store);
    for (size_t i = 0; i < memory->journal_length; i++) {
        tw_free(&store->alloc, memory->journal[i].removed);
    }
    memory->journal_length = 0;
    return TUMBLE_OK;
}

static void memory_abort(struct tw_store *store) {
    struct memory_store *memory = memory_of(store);
    struct node **links[LEVELS];
    while (memory->journal_length > 0) {
        struct change change = memory->journal[--memory->journal_length];
        if (change.added) {
            find(memory, node_key(change.added), links);
            unlink_node(change.added, links);
            tw_free(&store->alloc, change.added);
        }
        if (change.removed) {
            find(memory, node_key(change.removed), links);
            link_node(change.removed, links);
        }
    }
}

static enum tumble_code memory_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                                   struct tumble_error *err) {
    struct memory_store *memory = memory_of(store);
    struct node *added = journal_room(memory) ? node_new(memory, key, value) : NULL;
    if (!added) {
        return tw_no_memory(err);
    }
    struct node **links[LEVELS];
    struct node *removed = find_equal(memory, key, links);
    if (removed) {
        unlink_node(removed, links);
    }
    link_node(added, links);
    note(memory, removed, added);
    return TUMBLE_OK;
}

static enum tumble_code memory_erase(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    struct memory_store *memory = memory_of(store);
    struct node **links[LEVELS];
    struct node *removed = find_equal(memory, key, links);
    if (removed) {
        if (!journal_room(memory)) {
            return tw_no_memory(err);
        }
        unlink_node(removed, links);
        note(memory, removed, NULL);
    }
    return TUMBLE_OK;
}

static enum tumble_code memory_erase_prefix(struct tw_store *store, struct tumble_bytes prefix,
                                            struct tumble_error *err) {
    struct memory_store *memory = memory_of(store);
    struct node **links[LEVELS];
    struct node *node = find(memory, prefix, links);
    while (node && tw_store_has_prefix(node_key(node), prefix)) {
        if (!journal_room(memory)) {
            return tw_no_memory(err);
        }
        unlink_node(node, links);
        note(memory, node, NULL);
        node = *links[0]; /* the links before the gap stay right */
    }
    return TUMBLE_OK;
}

static enum tumble_code memory_get(struct tw_store *store, struct tumble_bytes key, bool *found,
                                   struct tumble_bytes *value, struct tumble_error *err) {
    (void)err;
    struct node **links[LEVELS];
    struct node *node = find_equal(memory_of(store), key, links);
    if (node) {
        *found = true;
        *value = node_value(node);
    }
    return TUMBLE_OK;
}

static enum tumble_code memory_scan(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                                    tw_store_visit_fn *visit, void *ctx, struct tumble_error *err) {
    struct node **links[LEVELS];
    struct node *node = find(memory_of(store), from, links);
    bool stop = false;
    for (; node && !stop && tw_store_has_prefix(node_key(node), prefix); node = node->next[0]) {
        TW_TRY(visit(ctx, node_key(node), node_value(node), &stop, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code memory_nothing(struct tw_store *store, struct tumble_error *err) {
    (void)store;
    (void)err;
    return TUMBLE_OK;
}

void tw_store_memory_clear(struct tw_store *store) {
    struct memory_store *memory = memory_of(store);
    for (struct node *node = memory->head[0], *next; node; node = next) {
        next = node->next[0];
        tw_free(&store->alloc, node);
    }
    memset(memory->head, 0, sizeof memory->head);
}

static void memory_close(struct tw_store *store) {
    struct memory_store *memory = memory_of(store);
    struct tumble_alloc alloc = store->alloc;
    tw_store_memory_clear(store);
    tw_free(&alloc, memory->journal);
    tw_free(&alloc, memory);
}

static const struct tw_store_backend memory_backend = {
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .abort = memory_abort,
    .sync = memory_nothing,
    .grow = memory_nothing,
    .put = memory_put,
    .erase = memory_erase,
    .erase_prefix = memory_erase_prefix,
    .get = memory_get,
    .scan = memory_scan,
};

enum tumble_code tw_store_open_memory(const struct tw_store_options *options, struct tw_store **out,
                                      struct tumble_error *err) {
    if (options->read_only) {
        return tw_fail(err, TUMBLE_ESTORE, "a store in memory holds nothing to read: name a state directory");
    }
    struct memory_store *memory = tw_alloc_zero(&options->alloc, sizeof *memory);
    if (!memory) {
        return tw_no_memory(err);
    }
    memory->base.backend = &memory_backend;
    memory->base.alloc = options->alloc;
    memory->random = 0x9e3779b97f4a7c15u;
    *out = &memory->base;
    return TUMBLE_OK;
}
