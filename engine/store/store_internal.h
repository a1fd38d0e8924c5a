#ifndef TW_STORE_STORE_INTERNAL_H
#define TW_STORE_STORE_INTERNAL_H

#include "engine/store/store.h"

enum { TW_STORE_KEY_MAX = 400, TW_STORE_VALUE_MAX = 1 << 30 };

/* What a kind of store does. Arguments are checked and a transaction is open where one is needed: store.c sees to it,
 * and calls abort after any error, so a backend need not. */
struct tw_store_backend {
    bool waits; /* a commit waits for a disk, and the calls below may come from another thread */
    void (*close)(struct tw_store *store);
    enum tumble_code (*begin)(struct tw_store *store, struct tumble_error *err);
    enum tumble_code (*commit)(struct tw_store *store, struct tumble_error *err);
    void (*abort)(struct tw_store *store);
    enum tumble_code (*sync)(struct tw_store *store, struct tumble_error *err);
    enum tumble_code (*grow)(struct tw_store *store, struct tumble_error *err); /* outside a transaction */
    enum tumble_code (*put)(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                            struct tumble_error *err);
    enum tumble_code (*erase)(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err);
    enum tumble_code (*erase_prefix)(struct tw_store *store, struct tumble_bytes prefix, struct tumble_error *err);
    enum tumble_code (*get)(struct tw_store *store, struct tumble_bytes key, bool *found, struct tumble_bytes *value,
                            struct tumble_error *err);
    enum tumble_code (*scan)(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                             tw_store_visit_fn *visit, void *ctx, struct tumble_error *err);
};

/* First member of every kind of store. */
struct tw_store {
    const struct tw_store_backend *backend;
    struct tumble_alloc alloc;
    bool read_only;
    bool in_transaction;
    bool map_full;                  /* set by a backend whose error was "no room in the map": the next begin grows it */
    struct tw_write_behind *behind; /* NULL: nothing was written behind */
};

enum tumble_code tw_store_open_memory(const struct tw_store_options *options, struct tw_store **out,
                                      struct tumble_error *err);
void tw_store_memory_clear(struct tw_store *store); /* takes everything out at once; not in a transaction */
/* A state directory: LMDB, where commits are synced with a redo log in front of it. */
enum tumble_code tw_store_open_directory(const struct tw_store_options *options, struct tw_store **out,
                                         struct tumble_error *err);
enum tumble_code tw_store_open_lmdb(const struct tw_store_options *options, struct tw_store **out,
                                    struct tumble_error *err);

/* Begins a transaction in a map that was grown if the last one found it full. */
enum tumble_code tw_store_begin_with_room(struct tw_store *store, struct tumble_error *err);

/* memcmp order, a prefix first. */
static inline int tw_store_compare(struct tumble_bytes a, struct tumble_bytes b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static inline bool tw_store_has_prefix(struct tumble_bytes key, struct tumble_bytes prefix) {
    return key.length >= prefix.length && (prefix.length == 0 || memcmp(key.data, prefix.data, prefix.length) == 0);
}

#endif
