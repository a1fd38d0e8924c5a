#include <errno.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/types.h>

#include "engine/base/fail.h"
#include "engine/store/lmdb_verify.h"
#include "engine/store/state_directory.h"
#include "engine/store/store_internal.h"
#include "engine/store/store_lmdb.h"

/* What LMDB asks of its users, as far as it binds us:
 *
 * 1. One process must not open the same files twice: its record locks belong to the process, and closing one
 *    descriptor drops them all. A second writer is stopped by our own flock, which does conflict within a process; the
 *    verifying child closes before we open. Reading a directory beside its writer is for another process.
 * 2. An environment must not cross a fork. The child that verifies makes its own, before ours exists.
 * 3. A long read transaction keeps every page freed since from being used again: the file grows. So nothing here stays
 *    open between calls of the engine; a reader (tumble inspect) reads and leaves.
 * 4. Values point into the map and live until the next write or the end of the transaction. store.h says so; none is
 *    kept.
 * 5. The map may be resized only while no transaction of the process is open: growing happens in begin.
 * 6. Readers killed in mid-transaction leave their slot behind; mdb_reader_check clears it.
 * 7. It needs a local file system: locks and shared maps over a network are not sound.
 * 8. Without MDB_WRITEMAP pages reach the file by write calls, so a full disk is an error of the commit. With it a full
 *    disk would be a SIGBUS: it is not used.
 * 9. MDB_NOSYNC: a commit survives the process, not the machine; the file may be damaged by a power cut, which is why
 *    existing files can be verified at open.
 * 10. MDB_NOLOCK is sound only while nobody writes. It serves a reader that may not write lock.mdb, under our own lock
 *    (state_directory.h).
 *
 * LMDB checks little of what it reads. Each value carries a checksum over itself and its key (lmdb_verify.h), checked
 * at every read; an assertion that fails inside LMDB comes back here by longjmp and makes the store unusable. */

enum { MODE = 0666 };
#define FIRST_MAP_BYTES   ((size_t)1 << 30) /* address space, not disk: the file has the pages in use */
#define SMALL_MAP_BYTES   ((size_t)1 << 26) /* where address space is limited */
#define LARGEST_MAP_BYTES ((size_t)1 << 46)

struct lmdb_store {
    struct tw_store base;
    struct tw_state_directory directory;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    jmp_buf trap;
    bool armed;
    bool broken; /* LMDB gave up in the middle of something: nothing of it but close may be called */
};

struct request {
    struct lmdb_store *lmdb;
    MDB_cursor *cursor;
    MDB_cursor_op op;
    unsigned flags;
    MDB_val key;
    MDB_val value;
};

static struct lmdb_store *lmdb_of(struct tw_store *store) { return (struct lmdb_store *)(void *)store; }

static void on_assert(MDB_env *env, const char *message) {
    (void)message;
    struct lmdb_store *lmdb = mdb_env_get_userctx(env);
    if (lmdb && lmdb->armed) {
        lmdb->armed = false;
        longjmp(lmdb->trap, 1);
    }
}

/* Runs one call of LMDB with its assertions turned into MDB_PANIC. */
static int guarded(struct lmdb_store *lmdb, int (*call)(struct request *), struct request *request) {
    request->lmdb = lmdb;
    if (lmdb->broken) {
        return MDB_PANIC;
    }
    if (setjmp(lmdb->trap) != 0) {
        lmdb->broken = true;
        return MDB_PANIC;
    }
    lmdb->armed = true;
    int rc = call(request);
    lmdb->armed = false;
    return rc;
}

static int call_open(struct request *r) { return mdb_env_open(r->lmdb->env, r->lmdb->directory.path, r->flags, MODE); }

static int call_begin(struct request *r) { return mdb_txn_begin(r->lmdb->env, NULL, r->flags, &r->lmdb->txn); }

static int call_table(struct request *r) { return mdb_dbi_open(r->lmdb->txn, NULL, 0, &r->lmdb->dbi); }

static int call_commit(struct request *r) {
    MDB_txn *txn = r->lmdb->txn;
    r->lmdb->txn = NULL; /* freed whatever comes of it */
    return mdb_txn_commit(txn);
}

static int call_abort(struct request *r) {
    MDB_txn *txn = r->lmdb->txn;
    r->lmdb->txn = NULL;
    mdb_txn_abort(txn);
    return 0;
}

static int call_put(struct request *r) { return mdb_put(r->lmdb->txn, r->lmdb->dbi, &r->key, &r->value, r->flags); }

static int call_get(struct request *r) { return mdb_get(r->lmdb->txn, r->lmdb->dbi, &r->key, &r->value); }

static int call_erase(struct request *r) { return mdb_del(r->lmdb->txn, r->lmdb->dbi, &r->key, NULL); }

static int call_cursor_open(struct request *r) { return mdb_cursor_open(r->lmdb->txn, r->lmdb->dbi, &r->cursor); }

static int call_cursor_get(struct request *r) { return mdb_cursor_get(r->cursor, &r->key, &r->value, r->op); }

static int call_cursor_erase(struct request *r) { return mdb_cursor_del(r->cursor, 0); }

static MDB_val val_of(struct tumble_bytes bytes) {
    MDB_val val = {bytes.length, (void *)(uintptr_t)bytes.data};
    return val;
}

static struct tumble_bytes bytes_of(MDB_val val) {
    struct tumble_bytes bytes = {val.mv_data, val.mv_size};
    return bytes;
}

static enum tumble_code trouble(struct lmdb_store *lmdb, int rc, const char *doing, struct tumble_error *err) {
    if (rc == MDB_MAP_FULL) {
        lmdb->base.map_full = true;
    }
    return tw_state_trouble(&lmdb->directory, rc, doing, err);
}

/* A writer beside us may grow the file past our map, and dead readers may hold every slot: both are put right here. */
static int begin_transaction(struct lmdb_store *lmdb, unsigned flags) {
    struct request request = {.flags = flags};
    int rc = guarded(lmdb, call_begin, &request);
    for (int tries = 0; (rc == MDB_MAP_RESIZED || rc == MDB_READERS_FULL) && tries < 100; tries++) {
        int failed = rc == MDB_MAP_RESIZED ? mdb_env_set_mapsize(lmdb->env, 0) : mdb_reader_check(lmdb->env, NULL);
        if (failed) {
            return failed;
        }
        rc = guarded(lmdb, call_begin, &request);
    }
    return rc;
}

static enum tumble_code lmdb_begin(struct tw_store *store, struct tumble_error *err) {
    int rc = begin_transaction(lmdb_of(store), store->read_only ? MDB_RDONLY : 0);
    return rc ? trouble(lmdb_of(store), rc, "beginning a transaction", err) : TUMBLE_OK;
}

enum tumble_code tw_lmdb_begin_read(struct tw_store *store, struct tumble_error *err) {
    int rc = begin_transaction(lmdb_of(store), MDB_RDONLY);
    return rc ? trouble(lmdb_of(store), rc, "beginning a transaction", err) : TUMBLE_OK;
}

uint64_t tw_lmdb_last_transaction(struct tw_store *store) {
    MDB_envinfo info = {0};
    if (!lmdb_of(store)->broken) {
        mdb_env_info(lmdb_of(store)->env, &info);
    }
    return info.me_last_txnid;
}

uint64_t tw_lmdb_open_transaction(struct tw_store *store) { return mdb_txn_id(lmdb_of(store)->txn); }

struct tw_state_directory *tw_lmdb_directory(struct tw_store *store) {
    return &lmdb_of(store)->directory;
}

static enum tumble_code lmdb_commit(struct tw_store *store, struct tumble_error *err) {
    struct request request = {0};
    int rc = guarded(lmdb_of(store), call_commit, &request);
    return rc ? trouble(lmdb_of(store), rc, "writing a commit", err) : TUMBLE_OK;
}

static void lmdb_abort(struct tw_store *store) {
    struct request request = {0};
    if (lmdb_of(store)->txn) {
        guarded(lmdb_of(store), call_abort, &request);
    }
}

static enum tumble_code lmdb_sync(struct tw_store *store, struct tumble_error *err) {
    struct lmdb_store *lmdb = lmdb_of(store);
    int rc = lmdb->broken ? MDB_PANIC : store->read_only ? 0 : mdb_env_sync(lmdb->env, 1);
    return rc ? trouble(lmdb, rc, "syncing it", err) : TUMBLE_OK;
}

static enum tumble_code lmdb_grow(struct tw_store *store, struct tumble_error *err) {
    struct lmdb_store *lmdb = lmdb_of(store);
    MDB_envinfo info;
    if (lmdb->broken) {
        return trouble(lmdb, MDB_PANIC, "growing it", err);
    }
    mdb_env_info(lmdb->env, &info);
    if (info.me_mapsize > LARGEST_MAP_BYTES / 2) {
        return tw_fail(err, TUMBLE_EFULL, "state directory %s cannot grow past %zu bytes: use a fresh --state",
                       lmdb->directory.path, info.me_mapsize);
    }
    int rc = mdb_env_set_mapsize(lmdb->env, info.me_mapsize * 2);
    if (rc) {
        lmdb->broken = true; /* the old map is gone, and there is no new one */
        return tw_fail(err, TUMBLE_EFULL,
                       "state directory %s: no address space to map %zu bytes: raise the limit (ulimit -v) and run "
                       "again",
                       lmdb->directory.path, info.me_mapsize * 2);
    }
    return TUMBLE_OK;
}

static enum tumble_code lmdb_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                                 struct tumble_error *err) {
    struct request request = {.key = val_of(key),
                              .value = {.mv_size = value.length + TW_LMDB_SUM_BYTES, .mv_data = NULL},
                              .flags = MDB_RESERVE};
    int rc = guarded(lmdb_of(store), call_put, &request);
    if (rc) {
        return trouble(lmdb_of(store), rc, "writing to it", err);
    }
    char *at = request.value.mv_data;
    if (value.length) {
        memcpy(at, value.data, value.length);
    }
    uint64_t sum = tw_lmdb_sum(key, value);
    for (int i = 0; i < TW_LMDB_SUM_BYTES; i++) {
        at[value.length + (size_t)i] = (char)(sum >> (8 * i));
    }
    return TUMBLE_OK;
}

static enum tumble_code lmdb_erase(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    struct request request = {.key = val_of(key)};
    int rc = guarded(lmdb_of(store), call_erase, &request);
    return rc && rc != MDB_NOTFOUND ? trouble(lmdb_of(store), rc, "writing to it", err) : TUMBLE_OK;
}

static void close_cursor(struct lmdb_store *lmdb, MDB_cursor *cursor) {
    if (!lmdb->broken) {
        mdb_cursor_close(cursor);
    }
}

/* Stands the cursor on the first key not below from. MDB_SET_RANGE takes no empty key. */
static int stand(struct lmdb_store *lmdb, struct request *request, struct tumble_bytes from) {
    request->op = from.length ? MDB_SET_RANGE : MDB_FIRST;
    request->key = val_of(from);
    return guarded(lmdb, call_cursor_get, request);
}

static enum tumble_code lmdb_erase_prefix(struct tw_store *store, struct tumble_bytes prefix,
                                          struct tumble_error *err) {
    struct lmdb_store *lmdb = lmdb_of(store);
    struct request request = {0};
    int rc = guarded(lmdb, call_cursor_open, &request);
    if (rc) {
        return trouble(lmdb, rc, "writing to it", err);
    }
    while ((rc = stand(lmdb, &request, prefix)) == 0 && tw_store_has_prefix(bytes_of(request.key), prefix)) {
        rc = guarded(lmdb, call_cursor_erase, &request);
        if (rc) {
            break;
        }
    }
    close_cursor(lmdb, request.cursor);
    return rc && rc != MDB_NOTFOUND ? trouble(lmdb, rc, "writing to it", err) : TUMBLE_OK;
}

static enum tumble_code checked(struct lmdb_store *lmdb, struct tumble_bytes key, struct tumble_bytes *value,
                                struct tumble_error *err) {
    return tw_lmdb_check_sum(key, value)
               ? TUMBLE_OK
               : tw_state_damaged(&lmdb->directory, "a value does not match its checksum", err);
}

static enum tumble_code lmdb_get(struct tw_store *store, struct tumble_bytes key, bool *found,
                                 struct tumble_bytes *value, struct tumble_error *err) {
    struct lmdb_store *lmdb = lmdb_of(store);
    struct request request = {.key = val_of(key)};
    int rc = guarded(lmdb, call_get, &request);
    if (rc) {
        return rc == MDB_NOTFOUND ? TUMBLE_OK : trouble(lmdb, rc, "reading it", err);
    }
    struct tumble_bytes bytes = bytes_of(request.value);
    TW_TRY(checked(lmdb, key, &bytes, err));
    *found = true;
    *value = bytes;
    return TUMBLE_OK;
}

static enum tumble_code lmdb_scan(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                                  tw_store_visit_fn *visit, void *ctx, struct tumble_error *err) {
    struct lmdb_store *lmdb = lmdb_of(store);
    struct request request = {0};
    int rc = guarded(lmdb, call_cursor_open, &request);
    if (rc) {
        return trouble(lmdb, rc, "reading it", err);
    }
    enum tumble_code code = TUMBLE_OK;
    bool stop = false;
    rc = stand(lmdb, &request, from);
    request.op = MDB_NEXT;
    while (rc == 0 && code == TUMBLE_OK && !stop && tw_store_has_prefix(bytes_of(request.key), prefix)) {
        struct tumble_bytes key = bytes_of(request.key), value = bytes_of(request.value);
        code = checked(lmdb, key, &value, err);
        if (code == TUMBLE_OK) {
            code = visit(ctx, key, value, &stop, err);
        }
        if (code == TUMBLE_OK && !stop) {
            rc = guarded(lmdb, call_cursor_get, &request);
        }
    }
    close_cursor(lmdb, request.cursor);
    return rc && rc != MDB_NOTFOUND ? trouble(lmdb, rc, "reading it", err) : code;
}

static void lmdb_close(struct tw_store *store) {
    struct lmdb_store *lmdb = lmdb_of(store);
    struct tumble_alloc alloc = store->alloc;
    if (lmdb->env) {
        mdb_env_close(lmdb->env);
    }
    tw_state_directory_close(&lmdb->directory);
    tw_free(&alloc, lmdb);
}

static const struct tw_store_backend lmdb_backend = {
    .waits = true,
    .close = lmdb_close,
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .sync = lmdb_sync,
    .grow = lmdb_grow,
    .put = lmdb_put,
    .erase = lmdb_erase,
    .erase_prefix = lmdb_erase_prefix,
    .get = lmdb_get,
    .scan = lmdb_scan,
};

static int open_environment(struct lmdb_store *lmdb, const struct tw_store_options *options, size_t map_bytes) {
    int rc = mdb_env_create(&lmdb->env);
    if (rc) {
        lmdb->env = NULL;
        return rc;
    }
    mdb_env_set_userctx(lmdb->env, lmdb);
    mdb_env_set_assert(lmdb->env, on_assert);
    mdb_env_set_mapsize(lmdb->env, map_bytes);
    struct request request = {.flags = MDB_NOTLS};
    request.flags |= options->read_only ? MDB_RDONLY : options->sync ? 0 : MDB_NOSYNC;
    request.flags |= lmdb->directory.lockless ? MDB_NOLOCK : 0;
    rc = guarded(lmdb, call_open, &request);
    if (rc) {
        mdb_env_close(lmdb->env); /* as LMDB asks: a failed open leaves a handle to discard */
        lmdb->env = NULL;
    }
    return rc;
}

/* The one table, without a name, has to be opened once before it can be used. */
static enum tumble_code open_table(struct lmdb_store *lmdb, struct tumble_error *err) {
    struct request request = {0};
    unsigned flags = 0;
    int rc = begin_transaction(lmdb, MDB_RDONLY);
    if (rc == 0) {
        rc = guarded(lmdb, call_table, &request);
        rc = rc ? rc : mdb_dbi_flags(lmdb->txn, lmdb->dbi, &flags);
        guarded(lmdb, rc ? call_abort : call_commit, &request);
    }
    if (rc) {
        return trouble(lmdb, rc, "opening it", err);
    }
    return flags == 0 ? TUMBLE_OK
                      : tw_state_damaged(&lmdb->directory, "its table has flags that tumble does not set", err);
}

static enum tumble_code open_files(struct lmdb_store *lmdb, const struct tw_store_options *options,
                                   struct tumble_error *err) {
    if (options->verify && lmdb->directory.has_data) {
        TW_TRY(tw_lmdb_verify(&lmdb->directory, err));
    }
    size_t map_bytes = options->map_bytes ? options->map_bytes : FIRST_MAP_BYTES;
    int rc = open_environment(lmdb, options, map_bytes);
    if (rc == ENOMEM && map_bytes > SMALL_MAP_BYTES) {
        rc = open_environment(lmdb, options, SMALL_MAP_BYTES);
    }
    if (rc) {
        return trouble(lmdb, rc, "opening data.mdb", err);
    }
    TW_TRY(open_table(lmdb, err));
    if (options->read_only) {
        return TUMBLE_OK;
    }
    /* A new file stands on the disk before tumble.lock says that it does. And a process that was killed in the middle
     * of a sync may have left a commit that no disk has: it is read from here on, others may hear of it, and what the
     * redo log has of it is void. */
    if (!lmdb->directory.made || lmdb->directory.logged || options->sync) {
        TW_TRY(lmdb_sync(&lmdb->base, err));
    }
    return tw_state_directory_set_made(&lmdb->directory, err);
}

enum tumble_code tw_store_open_lmdb(const struct tw_store_options *options, struct tw_store **out,
                                    struct tumble_error *err) {
    struct lmdb_store *lmdb = tw_alloc_zero(&options->alloc, sizeof *lmdb);
    if (!lmdb) {
        return tw_no_memory(err);
    }
    lmdb->base.backend = &lmdb_backend;
    lmdb->base.alloc = options->alloc;
    lmdb->base.read_only = options->read_only;
    enum tumble_code code =
        tw_state_directory_open(&lmdb->directory, options->directory, options->read_only, options->alloc, err);
    if (code == TUMBLE_OK) {
        code = open_files(lmdb, options, err);
    }
    if (code != TUMBLE_OK) {
        lmdb_close(&lmdb->base);
        return code;
    }
    *out = &lmdb->base;
    return TUMBLE_OK;
}
