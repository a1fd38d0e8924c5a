#include "engine/store/store.h"

#include "engine/base/fail.h"
#include "engine/store/store_internal.h"
#include "engine/store/write_behind.h"

enum tumble_code tw_store_open(const struct tw_store_options *options, struct tw_store **out,
                               struct tumble_error *err) {
    *out = NULL;
    struct tw_store_options checked = *options;
    checked.alloc = tw_alloc_or_default(options->alloc);
    return options->directory ? tw_store_open_directory(&checked, out, err) : tw_store_open_memory(&checked, out, err);
}

void tw_store_close(struct tw_store *store) {
    if (store) {
        tw_store_abort(store);
        tw_write_behind_destroy(store);
        store->backend->close(store);
    }
}

enum tumble_code tw_store_begin_with_room(struct tw_store *store, struct tumble_error *err) {
    if (store->map_full) {
        TW_TRY(store->backend->grow(store, err));
        store->map_full = false;
    }
    return store->backend->begin(store, err);
}

enum tumble_code tw_store_begin(struct tw_store *store, struct tumble_error *err) {
    if (store->in_transaction) {
        return tw_fail(err, TUMBLE_EINVAL, "a transaction of the store is open already");
    }
    TW_TRY(tw_write_behind_settle(store, err));
    TW_TRY(tw_store_begin_with_room(store, err));
    store->in_transaction = true;
    return TUMBLE_OK;
}

void tw_store_abort(struct tw_store *store) {
    if (store->in_transaction) {
        store->in_transaction = false;
        store->backend->abort(store);
    }
}

/* An error inside a transaction ends it. */
static enum tumble_code settle(struct tw_store *store, enum tumble_code code) {
    if (code != TUMBLE_OK) {
        tw_store_abort(store);
    }
    return code;
}

static enum tumble_code need_transaction(struct tw_store *store, bool to_write, struct tumble_error *err) {
    if (tw_write_behind_is_recording(store)) {
        return to_write ? TUMBLE_OK : tw_fail(err, TUMBLE_EINTERNAL, "what is written behind cannot read");
    }
    if (!store->in_transaction) {
        return tw_fail(err, TUMBLE_EINVAL, "no transaction of the store is open");
    }
    if (to_write && store->read_only) {
        return settle(store, tw_fail(err, TUMBLE_EINVAL, "the store was opened to read only"));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_store_commit(struct tw_store *store, struct tumble_error *err) {
    TW_TRY(need_transaction(store, false, err));
    store->in_transaction = false; /* a failed commit has undone everything itself */
    return store->backend->commit(store, err);
}

enum tumble_code tw_store_sync(struct tw_store *store, struct tumble_error *err) {
    TW_TRY(tw_write_behind_settle(store, err));
    return store->backend->sync(store, err);
}

enum tumble_code tw_store_write(struct tw_store *store, tw_store_write_fn *write, void *ctx, struct tumble_error *err) {
    for (;;) {
        TW_TRY(tw_store_begin(store, err));
        enum tumble_code code = write(ctx, store, err);
        if (code == TUMBLE_OK && !store->map_full) {
            code = tw_store_commit(store, err);
        }
        tw_store_abort(store);
        /* Each round doubles the map, and growing fails at its largest size: this ends. */
        if (!store->map_full) {
            return code;
        }
    }
}

enum tumble_code tw_store_settle(struct tw_store *store, struct tumble_error *err) {
    return tw_write_behind_settle(store, err);
}

static enum tumble_code write_now(struct tw_store *store, tw_store_write_fn *write, void *ctx, bool sync,
                                  struct tumble_error *err) {
    TW_TRY(tw_store_write(store, write, ctx, err));
    return sync ? tw_store_sync(store, err) : TUMBLE_OK;
}

enum tumble_code tw_store_write_behind(struct tw_store *store, tw_store_write_fn *write, void *ctx, bool sync,
                                       struct tumble_error *err) {
    if (!store->backend->waits || store->in_transaction) {
        return write_now(store, write, ctx, sync, err);
    }
    TW_TRY(tw_write_behind_record(store, err));
    enum tumble_code code = write(ctx, store, err);
    tw_write_behind_record_end(store);
    if (code != TUMBLE_OK && tw_write_behind_is_too_large(store)) {
        return write_now(store, write, ctx, sync, err);
    }
    TW_TRY(code);
    TW_TRY(tw_write_behind_settle(store, err));
    tw_write_behind_submit(store, sync);
    return TUMBLE_OK;
}

static enum tumble_code check_key(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    if (key.length == 0 || key.length > TW_STORE_KEY_MAX) {
        return settle(store, tw_fail(err, TUMBLE_EINVAL, "a key of %zu bytes: the store takes 1 to %d", key.length,
                                     TW_STORE_KEY_MAX));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_store_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                              struct tumble_error *err) {
    TW_TRY(need_transaction(store, true, err));
    TW_TRY(check_key(store, key, err));
    if (value.length > TW_STORE_VALUE_MAX) {
        return settle(store, tw_fail(err, TUMBLE_ELIMIT, "a value of %zu bytes: the store takes up to %d", value.length,
                                     TW_STORE_VALUE_MAX));
    }
    return tw_write_behind_is_recording(store) ? tw_write_behind_put(store, key, value, err)
                                               : settle(store, store->backend->put(store, key, value, err));
}

enum tumble_code tw_store_delete(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    TW_TRY(need_transaction(store, true, err));
    TW_TRY(check_key(store, key, err));
    return tw_write_behind_is_recording(store) ? tw_write_behind_delete(store, key, err)
                                               : settle(store, store->backend->erase(store, key, err));
}

enum tumble_code tw_store_delete_prefix(struct tw_store *store, struct tumble_bytes prefix, struct tumble_error *err) {
    TW_TRY(need_transaction(store, true, err));
    if (prefix.length > TW_STORE_KEY_MAX) {
        return TUMBLE_OK; /* no key is that long */
    }
    return tw_write_behind_is_recording(store) ? tw_write_behind_delete_prefix(store, prefix, err)
                                               : settle(store, store->backend->erase_prefix(store, prefix, err));
}

enum tumble_code tw_store_get(struct tw_store *store, struct tumble_bytes key, bool *found, struct tumble_bytes *value,
                              struct tumble_error *err) {
    *found = false;
    value->data = NULL;
    value->length = 0;
    TW_TRY(need_transaction(store, false, err));
    TW_TRY(check_key(store, key, err));
    return settle(store, store->backend->get(store, key, found, value, err));
}

enum tumble_code tw_store_scan(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                               tw_store_visit_fn *visit, void *ctx, struct tumble_error *err) {
    TW_TRY(need_transaction(store, false, err));
    if (prefix.length > TW_STORE_KEY_MAX) {
        return TUMBLE_OK;
    }
    struct tumble_bytes start = tw_store_compare(from, prefix) < 0 ? prefix : from;
    return settle(store, store->backend->scan(store, prefix, start, visit, ctx, err));
}
