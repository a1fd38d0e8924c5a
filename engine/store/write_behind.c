#include "engine/store/write_behind.h"

#include <pthread.h>
#include <signal.h>

#include "engine/base/fail.h"
#include "engine/store/operations.h"

struct tw_write_behind {
    struct tw_store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool busy;   /* the thread has submitted */
    bool ending; /* it is to return */
    bool sync;
    enum tumble_code code; /* of what was submitted last */
    struct tumble_error error;
    struct tw_buf submitted; /* operations */
    /* of the owner */
    struct tw_buf recorded;
    bool is_recording;
    bool is_too_large;
};

/* ---- the thread ---- */

static enum tumble_code apply(struct tw_store *store, const struct tw_buf *log, struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(tw_buf_view(log));
    while (tw_cursor_left(&in)) {
        struct tw_operation one;
        if (!tw_operation_take(&in, &one)) {
            return tw_fail(err, TUMBLE_EINTERNAL, "the log of a commit is damaged in memory");
        }
        TW_TRY(tw_operation_apply(store, &one, err));
    }
    return TUMBLE_OK;
}

/* As tw_store_write does it. */
static enum tumble_code write_log(struct tw_store *store, const struct tw_buf *log, bool sync,
                                  struct tumble_error *err) {
    for (;;) {
        TW_TRY(tw_store_begin_with_room(store, err));
        enum tumble_code code = apply(store, log, err);
        if (code == TUMBLE_OK && !store->map_full) {
            code = store->backend->commit(store, err);
        } else {
            store->backend->abort(store);
        }
        if (!store->map_full) {
            return code == TUMBLE_OK && sync ? store->backend->sync(store, err) : code;
        }
    }
}

static void *run(void *ctx) {
    struct tw_write_behind *behind = ctx;
    pthread_mutex_lock(&behind->mutex);
    for (;;) {
        while (!behind->busy && !behind->ending) {
            pthread_cond_wait(&behind->changed, &behind->mutex);
        }
        if (!behind->busy) {
            break;
        }
        pthread_mutex_unlock(&behind->mutex);
        enum tumble_code code = write_log(behind->store, &behind->submitted, behind->sync, &behind->error);
        pthread_mutex_lock(&behind->mutex);
        behind->code = code;
        behind->busy = false;
        pthread_cond_broadcast(&behind->changed);
    }
    pthread_mutex_unlock(&behind->mutex);
    return NULL;
}

/* Signals are for the threads of the program. */
static int start(struct tw_write_behind *behind) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&behind->thread, NULL, run, behind);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* ---- its owner ---- */

static enum tumble_code make(struct tw_store *store, struct tumble_error *err) {
    struct tw_write_behind *behind = tw_alloc_zero(&store->alloc, sizeof *behind);
    if (!behind) {
        return tw_no_memory(err);
    }
    behind->store = store;
    tw_buf_init(&behind->submitted, store->alloc, TW_WRITE_BEHIND_LOG_MAX);
    tw_buf_init(&behind->recorded, store->alloc, TW_WRITE_BEHIND_LOG_MAX);
    pthread_mutex_init(&behind->mutex, NULL);
    pthread_cond_init(&behind->changed, NULL);
    if (start(behind)) {
        pthread_cond_destroy(&behind->changed);
        pthread_mutex_destroy(&behind->mutex);
        tw_free(&store->alloc, behind);
        return tw_fail(err, TUMBLE_ENOMEM, "cannot start the thread that commits");
    }
    store->behind = behind;
    return TUMBLE_OK;
}

enum tumble_code tw_write_behind_record(struct tw_store *store, struct tumble_error *err) {
    if (!store->behind) {
        TW_TRY(make(store, err));
    }
    struct tw_write_behind *behind = store->behind;
    tw_buf_clear(&behind->recorded);
    behind->is_recording = true;
    behind->is_too_large = false;
    return TUMBLE_OK;
}

void tw_write_behind_record_end(struct tw_store *store) { store->behind->is_recording = false; }

bool tw_write_behind_is_recording(const struct tw_store *store) { return store->behind && store->behind->is_recording; }

bool tw_write_behind_is_too_large(const struct tw_store *store) { return store->behind->is_too_large; }

static enum tumble_code record(struct tw_store *store, enum tw_operation_kind kind, struct tumble_bytes key,
                               struct tumble_bytes value, struct tumble_error *err) {
    enum tumble_code code = tw_operation_append(&store->behind->recorded, kind, key, value, NULL, err);
    store->behind->is_too_large |= code == TUMBLE_ELIMIT;
    return code;
}

enum tumble_code tw_write_behind_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                                     struct tumble_error *err) {
    return record(store, TW_OPERATION_PUT, key, value, err);
}

enum tumble_code tw_write_behind_delete(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err) {
    return record(store, TW_OPERATION_DELETE, key, tumble_bytes_of(NULL), err);
}

enum tumble_code tw_write_behind_delete_prefix(struct tw_store *store, struct tumble_bytes prefix,
                                               struct tumble_error *err) {
    return record(store, TW_OPERATION_DELETE_PREFIX, prefix, tumble_bytes_of(NULL), err);
}

void tw_write_behind_submit(struct tw_store *store, bool sync) {
    struct tw_write_behind *behind = store->behind;
    pthread_mutex_lock(&behind->mutex);
    struct tw_buf log = behind->submitted;
    behind->submitted = behind->recorded;
    behind->recorded = log;
    behind->sync = sync;
    behind->busy = true;
    pthread_mutex_unlock(&behind->mutex);
    pthread_cond_broadcast(&behind->changed); /* on one processor it runs at once, and is not to find the mutex taken */
}

enum tumble_code tw_write_behind_settle(struct tw_store *store, struct tumble_error *err) {
    struct tw_write_behind *behind = store->behind;
    if (!behind) {
        return TUMBLE_OK;
    }
    pthread_mutex_lock(&behind->mutex);
    while (behind->busy) {
        pthread_cond_wait(&behind->changed, &behind->mutex);
    }
    enum tumble_code code = behind->code;
    pthread_mutex_unlock(&behind->mutex);
    if (code != TUMBLE_OK && err) {
        *err = behind->error;
    }
    return code;
}

void tw_write_behind_destroy(struct tw_store *store) {
    struct tw_write_behind *behind = store->behind;
    if (!behind) {
        return;
    }
    pthread_mutex_lock(&behind->mutex);
    behind->ending = true;
    pthread_cond_broadcast(&behind->changed);
    pthread_mutex_unlock(&behind->mutex);
    pthread_join(behind->thread, NULL);
    pthread_cond_destroy(&behind->changed);
    pthread_mutex_destroy(&behind->mutex);
    tw_buf_clean_up(&behind->submitted);
    tw_buf_clean_up(&behind->recorded);
    tw_free(&store->alloc, behind);
    store->behind = NULL;
}
