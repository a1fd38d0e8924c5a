#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/store/lmdb_verify.h"
#include "engine/store/operations.h"
#include "engine/store/pending.h"
#include "engine/store/redo_log.h"
#include "engine/store/store_internal.h"
#include "engine/store/store_lmdb.h"

/* A state directory whose commits are synced: LMDB below, and before it a log of what LMDB does not have yet
 * (redo_log.h). A commit is one write and one sync of the log; what is pending goes into LMDB in one transaction when
 * the log is full, when a transaction reads what it wrote itself or is too large for the log, and at the end. That
 * transaction is LMDB's own, synced by LMDB, so that data.mdb is sound by itself at every moment.
 *
 *   recording  operations are gathered in `entry`, reads see pending, then LMDB;
 *   direct     a transaction of LMDB is open, and pending and entry are in it: the log begins anew after its commit.
 *
 * The log begins with a run's 8th commit: to make its file costs as much as some commits. When a write or a sync of it
 * fails, nobody knows what the disk holds, and a second sync may report success for pages that were dropped: it is not
 * written to again. What was acknowledged before goes to LMDB, and so does every commit after it. */

enum {
    FIRST_BYTES = 256 << 10,
    USUAL_BYTES = 1 << 20, /* grows to this as soon as it is full */
    LARGEST_BYTES = 32 << 20,
    FROM_COMMIT = 8,
    OPERATIONS_MAX = 1 << 15, /* pending: some megabytes of keys */
    READ_TRIES = 1000,
    READ_PAUSE_NS = 1000 * 1000,
    DAMAGED_TRIES = 20
};

struct logged_store {
    struct tw_store base;
    struct tw_store *below;
    struct tw_state_directory *directory; /* below's */
    struct tw_redo_log log;
    size_t log_bytes; /* what it begins with */
    unsigned waits;   /* commits until it begins */
    bool off;         /* it failed */
    struct tw_pending *pending;
    struct tw_buf entry;
    struct tw_buf got, scanned; /* values read from the log */
    struct tw_buf image;        /* read_only: the log's operations, since the writer may begin it anew any time */
    bool direct;
    bool reads; /* a transaction below is open to read */
};

struct merge {
    struct logged_store *logged;
    struct tumble_bytes prefix;
    tw_store_visit_fn *visit;
    void *ctx;
    bool has_next, stop;
    struct tumble_bytes key;
    struct tw_pending_value value;
};

static struct logged_store *logged_of(struct tw_store *store) { return (struct logged_store *)(void *)store; }

static bool is_active(const struct logged_store *logged) { return tw_redo_log_is_open(&logged->log) && !logged->off; }

static bool has_operations(const struct logged_store *logged) { return logged->entry.length > TW_REDO_HEAD_BYTES; }

/* ---- into LMDB ---- */

static enum tumble_code read_value(struct logged_store *logged, struct tumble_bytes key,
                                   const struct tw_pending_value *value, struct tw_buf *buf, struct tumble_bytes *out,
                                   struct tumble_error *err) {
    if (logged->base.read_only) {
        out->data = logged->image.data + value->at;
        out->length = (size_t)value->length;
    } else {
        TW_TRY(tw_redo_log_read(&logged->log, value->at, (size_t)value->length, buf, err));
        *out = tw_buf_view(buf);
    }
    return tw_lmdb_check_sum(key, out)
               ? TUMBLE_OK
               : tw_state_damaged(logged->directory, "a value in redo.log does not match its checksum", err);
}

static enum tumble_code put_pending(struct logged_store *logged, struct tumble_error *err) {
    struct tw_store *below = logged->below;
    struct tumble_bytes all = tumble_bytes_of(NULL), key = all;
    struct tw_pending_value value;
    for (bool more = tw_pending_next_prefix(logged->pending, all, false, &key); more;
         more = tw_pending_next_prefix(logged->pending, key, true, &key)) {
        TW_TRY(below->backend->erase_prefix(below, key, err));
    }
    for (bool more = tw_pending_next(logged->pending, all, all, false, &key, &value); more;
         more = tw_pending_next(logged->pending, all, key, true, &key, &value)) {
        if (value.is_deleted) {
            TW_TRY(below->backend->erase(below, key, err));
        } else {
            struct tumble_bytes bytes;
            TW_TRY(read_value(logged, key, &value, &logged->got, &bytes, err));
            TW_TRY(below->backend->put(below, key, bytes, err));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code put_entry(struct logged_store *logged, struct tumble_error *err) {
    struct tumble_bytes operations = tumble_bytes_of(NULL);
    if (has_operations(logged)) {
        operations.data = logged->entry.data + TW_REDO_HEAD_BYTES;
        operations.length = logged->entry.length - TW_REDO_HEAD_BYTES;
    }
    struct tw_cursor in = tw_cursor_of(operations);
    while (tw_cursor_left(&in)) {
        struct tw_operation one;
        if (!tw_operation_take(&in, &one) ||
            (one.kind == TW_OPERATION_PUT && !tw_lmdb_check_sum(one.key, &one.value))) {
            return tw_fail(err, TUMBLE_EINTERNAL, "the log of a commit is damaged in memory");
        }
        TW_TRY(tw_operation_apply(logged->below, &one, err));
    }
    return TUMBLE_OK;
}

static bool take_map_full(struct logged_store *logged) {
    bool full = logged->below->map_full;
    logged->below->map_full = false;
    return full;
}

/* For whoever can repeat the transaction: he grows the map by our grow. */
static enum tumble_code pass(struct logged_store *logged, enum tumble_code code) {
    logged->base.map_full = take_map_full(logged) || logged->base.map_full;
    return code;
}

/* From recording to direct. The map may grow on the way: all there is can be put again. */
static enum tumble_code go_direct(struct logged_store *logged, struct tumble_error *err) {
    struct tw_store *below = logged->below;
    if (logged->reads) {
        below->backend->abort(below);
        logged->reads = false;
    }
    for (;;) {
        TW_TRY(below->backend->begin(below, err));
        enum tumble_code code = put_pending(logged, err);
        code = code == TUMBLE_OK ? put_entry(logged, err) : code;
        if (code == TUMBLE_OK) {
            logged->direct = true;
            return TUMBLE_OK;
        }
        below->backend->abort(below);
        if (!take_map_full(logged)) {
            return code;
        }
        TW_TRY(below->backend->grow(below, err));
    }
}

/* After a commit of LMDB. One that changed nothing leaves its number, and with it pending, as it was. */
static void committed_below(struct logged_store *logged) {
    uint64_t last = tw_lmdb_last_transaction(logged->below);
    if (last != logged->log.base) {
        tw_pending_clear(logged->pending);
        tw_redo_log_restart(&logged->log, last);
    }
    logged->waits -= logged->waits > 0;
}

static enum tumble_code commit_through(struct logged_store *logged, struct tumble_error *err) {
    for (;;) {
        TW_TRY(go_direct(logged, err));
        logged->direct = false;
        enum tumble_code code = logged->below->backend->commit(logged->below, err);
        if (code == TUMBLE_OK) {
            committed_below(logged);
        }
        if (!take_map_full(logged)) {
            return code;
        }
        TW_TRY(logged->below->backend->grow(logged->below, err));
    }
}

/* ---- the log ---- */

/* Not to have one is no error: every commit then goes to LMDB. When tumble.lock could not be written, the file stays,
 * since it may have been. */
static void begin_log(struct logged_store *logged) {
    logged->off = true;
    if (logged->below->backend->sync(logged->below, NULL) == TUMBLE_OK &&
        tw_redo_log_make(&logged->log, logged->directory, logged->base.alloc, logged->log_bytes, NULL) == TUMBLE_OK &&
        tw_state_directory_set_logged(logged->directory, true, NULL) == TUMBLE_OK) {
        tw_redo_log_restart(&logged->log, tw_lmdb_last_transaction(logged->below));
        logged->off = false;
    }
}

static enum tumble_code drop_log(struct logged_store *logged, struct tumble_error *err) {
    tw_redo_log_close(&logged->log);
    if (logged->directory->logged) {
        TW_TRY(tw_state_directory_set_logged(logged->directory, false, err));
    }
    if (unlinkat(logged->directory->fd, "redo.log", 0) != 0 && errno != ENOENT) {
        return tw_state_trouble(logged->directory, errno, "removing redo.log", err);
    }
    return TUMBLE_OK;
}

static void give_up(struct logged_store *logged) {
    logged->off = true;
    tw_buf_clear(&logged->entry);
    commit_through(logged, NULL);
}

/* A longer log pays as long as much of it would have to be put into LMDB; where each commit replaces what the one
 * before it put, it stays at its usual size. */
static bool make_room(struct logged_store *logged) {
    if (tw_pending_operations(logged->pending) >= OPERATIONS_MAX) {
        return false;
    }
    while (!tw_redo_log_has_room(&logged->log, &logged->entry)) {
        uint64_t bytes = logged->log.bytes;
        bool pays = bytes < USUAL_BYTES || tw_pending_value_bytes(logged->pending) + logged->entry.length > bytes / 4;
        if (bytes > LARGEST_BYTES / 2 || !pays ||
            tw_redo_log_grow(&logged->log, bytes < USUAL_BYTES ? USUAL_BYTES : bytes * 2, NULL) != TUMBLE_OK) {
            return false;
        }
    }
    return true;
}

static enum tumble_code commit_to_log(struct logged_store *logged, struct tumble_error *err) {
    if (!make_room(logged)) {
        return commit_through(logged, err);
    }
    struct tumble_bytes operations = {logged->entry.data + TW_REDO_HEAD_BYTES,
                                      logged->entry.length - TW_REDO_HEAD_BYTES};
    tw_pending_begin(logged->pending);
    enum tumble_code code = tw_pending_take(logged->pending, operations, logged->log.end + TW_REDO_HEAD_BYTES);
    if (code != TUMBLE_OK) {
        tw_pending_abort(logged->pending);
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    code = tw_redo_log_append(&logged->log, &logged->entry, err);
    if (code != TUMBLE_OK) {
        tw_pending_abort(logged->pending);
        give_up(logged);
        return code;
    }
    tw_pending_commit(logged->pending);
    return TUMBLE_OK;
}

/* ---- reading a log that is there ---- */

static enum tumble_code take_entry(void *ctx, struct tumble_bytes operations, uint64_t at, struct tumble_error *err) {
    struct logged_store *logged = ctx;
    if (logged->base.read_only) {
        at = logged->image.length;
        if (tw_buf_append(&logged->image, operations.data, operations.length) != TUMBLE_OK) {
            return tw_no_memory(err);
        }
    }
    enum tumble_code code = tw_pending_take(logged->pending, operations, at);
    return code == TUMBLE_ECORRUPT ? tw_state_damaged(logged->directory, "redo.log holds what is no operation", err)
           : code != TUMBLE_OK     ? tw_fail(err, code, "%s", tumble_code_text(code))
                                   : TUMBLE_OK;
}

static enum tumble_code load(struct logged_store *logged, uint64_t transaction, struct tumble_error *err) {
    bool present;
    tw_pending_clear(logged->pending);
    tw_buf_clear(&logged->image);
    TW_TRY(tw_redo_log_open(&logged->log, logged->directory, logged->base.alloc, &present, err));
    if (!present) {
        return tw_state_damaged(logged->directory, "redo.log, which holds its last commits, is missing", err);
    }
    tw_pending_begin(logged->pending);
    enum tumble_code code = tw_redo_log_replay(&logged->log, transaction, take_entry, logged, err);
    tw_pending_commit(logged->pending);
    return code;
}

/* What a run left that was killed goes into LMDB before anything else. */
static enum tumble_code recover(struct logged_store *logged, struct tumble_error *err) {
    if (logged->directory->logged) {
        TW_TRY(load(logged, tw_lmdb_last_transaction(logged->below), err));
        if (!tw_pending_is_empty(logged->pending)) {
            TW_TRY(commit_through(logged, err));
            TW_TRY(logged->below->backend->sync(logged->below, err));
        }
        tw_pending_clear(logged->pending);
    }
    return drop_log(logged, err);
}

/* Beside a writer: LMDB's table as of a transaction, and the log on top of it. As long as no later transaction is
 * committed the log is not begun anew; so that has to be seen afterwards. An entry that is being written while it is
 * read looks damaged when the next one is whole by then, and so does a log that is made or removed right now. */
static enum tumble_code begin_snapshot(struct logged_store *logged, struct tumble_error *err) {
    struct tw_store *below = logged->below;
    int damaged = 0;
    for (int tries = 0; tries < READ_TRIES; tries++) {
        TW_TRY(below->backend->begin(below, err));
        uint64_t transaction = tw_lmdb_open_transaction(below);
        enum tumble_code code = TUMBLE_OK;
        tw_pending_clear(logged->pending);
        if (tw_state_directory_is_logged_now(logged->directory)) {
            code = load(logged, transaction, err);
            tw_redo_log_close(&logged->log);
        }
        bool current = tw_lmdb_last_transaction(below) == transaction;
        if (current && code == TUMBLE_OK) {
            logged->reads = true;
            return TUMBLE_OK;
        }
        below->backend->abort(below);
        damaged += current;
        if (code != TUMBLE_OK && (code != TUMBLE_ECORRUPT || damaged == DAMAGED_TRIES)) {
            return code;
        }
        /* A commit of LMDB stands in its file for as long as the disk takes before readers are told of it. */
        nanosleep(&(struct timespec){0, READ_PAUSE_NS}, NULL);
    }
    return tw_fail(err, TUMBLE_EBUSY, "state directory %s is being written to all the time: run again",
                   logged->directory->path);
}

/* ---- the backend ---- */

static enum tumble_code logged_begin(struct tw_store *store, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    logged->direct = logged->reads = false;
    if (store->read_only) {
        return begin_snapshot(logged, err);
    }
    if (!is_active(logged) && !logged->off && logged->waits == 0) {
        begin_log(logged);
    }
    if (tw_redo_entry_begin(&logged->entry) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    return is_active(logged) ? TUMBLE_OK : go_direct(logged, err);
}

static void logged_abort(struct tw_store *store) {
    struct logged_store *logged = logged_of(store);
    if (logged->direct || logged->reads) {
        logged->below->backend->abort(logged->below);
    }
    logged->direct = logged->reads = false;
    tw_buf_clear(&logged->entry);
}

static enum tumble_code logged_commit(struct tw_store *store, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    enum tumble_code code = TUMBLE_OK;
    if (logged->direct) {
        logged->direct = false;
        code = pass(logged, logged->below->backend->commit(logged->below, err));
        if (code == TUMBLE_OK) {
            committed_below(logged);
        }
    } else if (has_operations(logged)) {
        code = commit_to_log(logged, err);
    }
    logged_abort(store);
    return code;
}

static enum tumble_code logged_sync(struct tw_store *store, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    return is_active(logged) ? TUMBLE_OK : logged->below->backend->sync(logged->below, err);
}

static enum tumble_code logged_grow(struct tw_store *store, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    return logged->below->backend->grow(logged->below, err);
}

/* Whether the operation is in the entry now; otherwise the transaction is direct, or this failed. */
static enum tumble_code record(struct logged_store *logged, enum tw_operation_kind kind, struct tumble_bytes key,
                               struct tumble_bytes value, const uint64_t *sum, bool *recorded,
                               struct tumble_error *err) {
    *recorded = false;
    if (!logged->direct && logged->entry.length + key.length + value.length > TW_REDO_ENTRY_MAX) {
        TW_TRY(go_direct(logged, err));
    }
    if (!logged->direct) {
        *recorded = true;
        return tw_operation_append(&logged->entry, kind, key, value, sum, err);
    }
    return TUMBLE_OK;
}

static enum tumble_code logged_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                                   struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    uint64_t sum = logged->direct ? 0 : tw_lmdb_sum(key, value);
    bool recorded;
    TW_TRY(record(logged, TW_OPERATION_PUT, key, value, &sum, &recorded, err));
    return recorded ? TUMBLE_OK : pass(logged, logged->below->backend->put(logged->below, key, value, err));
}

static enum tumble_code logged_erase(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    bool recorded;
    TW_TRY(record(logged, TW_OPERATION_DELETE, key, tumble_bytes_of(NULL), NULL, &recorded, err));
    return recorded ? TUMBLE_OK : pass(logged, logged->below->backend->erase(logged->below, key, err));
}

static enum tumble_code logged_erase_prefix(struct tw_store *store, struct tumble_bytes prefix,
                                            struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    bool recorded;
    TW_TRY(record(logged, TW_OPERATION_DELETE_PREFIX, prefix, tumble_bytes_of(NULL), NULL, &recorded, err));
    return recorded ? TUMBLE_OK : pass(logged, logged->below->backend->erase_prefix(logged->below, prefix, err));
}

/* What a transaction wrote itself it reads from LMDB; else that is only opened where pending does not have the answer.
 */
static enum tumble_code read_own(struct logged_store *logged, struct tumble_error *err) {
    return !logged->direct && has_operations(logged) ? go_direct(logged, err) : TUMBLE_OK;
}

static enum tumble_code read_below(struct logged_store *logged, struct tumble_error *err) {
    if (!logged->direct && !logged->reads) {
        TW_TRY(tw_lmdb_begin_read(logged->below, err));
        logged->reads = true;
    }
    return TUMBLE_OK;
}

static enum tumble_code logged_get(struct tw_store *store, struct tumble_bytes key, bool *found,
                                   struct tumble_bytes *value, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    TW_TRY(read_own(logged, err));
    struct tw_pending_value entry;
    if (!logged->direct && tw_pending_find(logged->pending, key, &entry)) {
        if (!entry.is_deleted) {
            TW_TRY(read_value(logged, key, &entry, &logged->got, value, err));
            *found = true;
        }
        return TUMBLE_OK;
    }
    if (!logged->direct && tw_pending_hides(logged->pending, key)) {
        return TUMBLE_OK;
    }
    TW_TRY(read_below(logged, err));
    return logged->below->backend->get(logged->below, key, found, value, err);
}

static enum tumble_code visit_pending(struct merge *merge, struct tumble_error *err) {
    if (!merge->value.is_deleted) {
        struct tumble_bytes bytes;
        TW_TRY(read_value(merge->logged, merge->key, &merge->value, &merge->logged->scanned, &bytes, err));
        TW_TRY(merge->visit(merge->ctx, merge->key, bytes, &merge->stop, err));
    }
    merge->has_next =
        tw_pending_next(merge->logged->pending, merge->prefix, merge->key, true, &merge->key, &merge->value);
    return TUMBLE_OK;
}

/* A key of LMDB's: those of pending before it first, and instead of it its own. */
static enum tumble_code visit_below(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                    struct tumble_error *err) {
    struct merge *merge = ctx;
    bool replaced = false;
    while (merge->has_next && !merge->stop && tw_store_compare(merge->key, key) <= 0) {
        replaced = tw_store_compare(merge->key, key) == 0;
        TW_TRY(visit_pending(merge, err));
    }
    if (!merge->stop && !replaced && !tw_pending_hides(merge->logged->pending, key)) {
        TW_TRY(merge->visit(merge->ctx, key, value, &merge->stop, err));
    }
    *stop = merge->stop;
    return TUMBLE_OK;
}

static enum tumble_code logged_scan(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                                    tw_store_visit_fn *visit, void *ctx, struct tumble_error *err) {
    struct logged_store *logged = logged_of(store);
    struct tw_store *below = logged->below;
    TW_TRY(read_own(logged, err));
    TW_TRY(read_below(logged, err));
    if (logged->direct || tw_pending_is_empty(logged->pending)) {
        return below->backend->scan(below, prefix, from, visit, ctx, err);
    }
    struct merge merge = {.logged = logged, .prefix = prefix, .visit = visit, .ctx = ctx};
    merge.has_next = tw_pending_next(logged->pending, prefix, from, false, &merge.key, &merge.value);
    TW_TRY(below->backend->scan(below, prefix, from, visit_below, &merge, err));
    while (merge.has_next && !merge.stop) {
        TW_TRY(visit_pending(&merge, err));
    }
    return TUMBLE_OK;
}

/* When what is pending cannot go into LMDB now, the log stays, and the next run puts it there. */
static void logged_close(struct tw_store *store) {
    struct logged_store *logged = logged_of(store);
    struct tumble_alloc alloc = store->alloc;
    tw_buf_clear(&logged->entry);
    if (!store->read_only && logged->directory->logged && tw_redo_log_is_open(&logged->log) &&
        (tw_pending_is_empty(logged->pending) || commit_through(logged, NULL) == TUMBLE_OK)) {
        drop_log(logged, NULL);
    }
    tw_redo_log_close(&logged->log);
    tw_pending_destroy(logged->pending);
    tw_buf_clean_up(&logged->entry);
    tw_buf_clean_up(&logged->got);
    tw_buf_clean_up(&logged->scanned);
    tw_buf_clean_up(&logged->image);
    if (logged->below) {
        logged->below->backend->close(logged->below);
    }
    tw_free(&alloc, logged);
}

static const struct tw_store_backend logged_backend = {
    .waits = true,
    .close = logged_close,
    .begin = logged_begin,
    .commit = logged_commit,
    .abort = logged_abort,
    .sync = logged_sync,
    .grow = logged_grow,
    .put = logged_put,
    .erase = logged_erase,
    .erase_prefix = logged_erase_prefix,
    .get = logged_get,
    .scan = logged_scan,
};

enum tumble_code tw_store_open_directory(const struct tw_store_options *options, struct tw_store **out,
                                         struct tumble_error *err) {
    struct tw_store *below;
    TW_TRY(tw_store_open_lmdb(options, &below, err));
    struct logged_store *logged = tw_alloc_zero(&options->alloc, sizeof *logged);
    struct tw_pending *pending = tw_pending_new(options->alloc);
    if (!logged || !pending) {
        tw_pending_destroy(pending);
        tw_free(&options->alloc, logged);
        below->backend->close(below);
        return tw_no_memory(err);
    }
    logged->base =
        (struct tw_store){.backend = &logged_backend, .alloc = options->alloc, .read_only = options->read_only};
    logged->below = below;
    logged->directory = tw_lmdb_directory(below);
    logged->pending = pending;
    logged->log.fd = -1;
    logged->log_bytes = options->log_bytes ? options->log_bytes : FIRST_BYTES;
    logged->waits = options->log_bytes ? 0 : FROM_COMMIT;
    tw_buf_init(&logged->entry, options->alloc, SIZE_MAX / 4);
    tw_buf_init(&logged->got, options->alloc, SIZE_MAX / 4);
    tw_buf_init(&logged->scanned, options->alloc, SIZE_MAX / 4);
    tw_buf_init(&logged->image, options->alloc, SIZE_MAX / 4);
    enum tumble_code code = options->read_only ? TUMBLE_OK : recover(logged, err);
    if (code != TUMBLE_OK || (!options->read_only && !options->sync)) {
        logged->below = code == TUMBLE_OK ? NULL : below; /* commits that are not synced need no log */
        *out = code == TUMBLE_OK ? below : NULL;
        tw_redo_log_close(&logged->log); /* what could not be read is not dropped */
        logged_close(&logged->base);
        return code;
    }
    *out = &logged->base;
    return TUMBLE_OK;
}
