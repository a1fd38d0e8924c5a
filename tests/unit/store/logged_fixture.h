#ifndef LOGGED_FIXTURE_H
#define LOGGED_FIXTURE_H

#include <sys/wait.h>

#include "engine/store/redo_log.h"
#include "engine/store/store.h"
#include "store/state_files.h"

/* A store over a redo log, and beside it one in memory that the same steps were taken in. */

static inline struct tumble_bytes text(const char *s) { return tumble_bytes_of(s); }

static inline enum tumble_code open_store(size_t log_bytes, bool read_only, struct tumble_alloc alloc,
                                          struct tw_store **store, struct tumble_error *err) {
    struct tw_store_options options = {.directory = fixture_directory(),
                                       .read_only = read_only,
                                       .sync = true,
                                       .log_bytes = log_bytes,
                                       .map_bytes = 1 << 26,
                                       .alloc = alloc};
    return tw_store_open(&options, store, err);
}

static inline struct tw_store *open_or_fail(size_t log_bytes, bool read_only) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    struct tumble_alloc none = {0};
    if (open_store(log_bytes, read_only, none, &store, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    return store;
}

struct listing {
    char *bytes;
    size_t length, capacity;
};

static inline enum tumble_code add_key(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                       struct tumble_error *err) {
    struct listing *listing = ctx;
    (void)stop;
    (void)err;
    size_t more = key.length + value.length + 2;
    if (listing->length + more > listing->capacity) {
        listing->capacity = (listing->length + more) * 2;
        listing->bytes = realloc(listing->bytes, listing->capacity);
    }
    char *at = listing->bytes + listing->length;
    memcpy(at, key.data, key.length);
    at[key.length] = '=';
    if (value.length) {
        memcpy(at + key.length + 1, value.data, value.length);
    }
    at[more - 1] = '\n';
    listing->length += more;
    return TUMBLE_OK;
}

static inline struct listing list(struct tw_store *store) {
    struct listing listing = {0};
    struct tumble_error err = {0};
    if (tw_store_begin(store, &err) != TUMBLE_OK ||
        tw_store_scan(store, text(""), text(""), add_key, &listing, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    tw_store_abort(store);
    return listing;
}

static inline void expect_same(struct tw_store *a, struct tw_store *b) {
    struct listing x = list(a), y = list(b);
    assert_int_equal(x.length, y.length);
    assert_true(x.length == 0 || memcmp(x.bytes, y.bytes, x.length) == 0);
    free(x.bytes);
    free(y.bytes);
}

static inline uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

struct step {
    uint64_t seed;
};

/* Some puts and deletes, out of few keys; now and then values of several blocks. Given the seed, always the same. */
static inline enum tumble_code write_step(void *ctx, struct tw_store *store, struct tumble_error *err) {
    uint64_t seed = ((struct step *)ctx)->seed;
    static char value[30000];
    enum tumble_code code = TUMBLE_OK;
    for (uint64_t left = 1 + next(&seed) % 6; left && code == TUMBLE_OK; left--) {
        char key[32];
        snprintf(key, sizeof key, "%c/%u", (char)('a' + next(&seed) % 4), (unsigned)(next(&seed) % 30));
        uint64_t what = next(&seed) % 10;
        size_t length = (size_t)(next(&seed) % (next(&seed) % 8 == 0 ? sizeof value : 40));
        memset(value, 'A' + (int)(next(&seed) % 26), length);
        struct tumble_bytes bytes = {value, length};
        key[what == 0 ? 2 : 31] = '\0';
        code = what == 0   ? tw_store_delete_prefix(store, text(key), err)
               : what <= 2 ? tw_store_delete(store, text(key), err)
                           : tw_store_put(store, text(key), bytes, err);
    }
    return code;
}

static inline void run_steps(struct tw_store *store, uint64_t seed, int count, bool behind) {
    for (int i = 0; i < count; i++) {
        struct step step = {seed * 1000003 + (uint64_t)i * 7919 + 1};
        struct tumble_error err = {0};
        enum tumble_code code = behind && i % 3 ? tw_store_write_behind(store, write_step, &step, false, &err)
                                                : tw_store_write(store, write_step, &step, &err);
        if (code != TUMBLE_OK) {
            fail_msg("step %d: %s", i, err.text);
        }
    }
    assert_int_equal(tw_store_settle(store, NULL), TUMBLE_OK);
}

static inline struct tw_store *model_of(uint64_t seed, int count) {
    struct tw_store *store = NULL;
    struct tw_store_options options = {0};
    assert_int_equal(tw_store_open(&options, &store, NULL), TUMBLE_OK);
    run_steps(store, seed, count, false);
    return store;
}

/* A run that ends with its log full of commits, as a kill leaves it. */
static inline void leave(uint64_t seed, int count, size_t log_bytes) {
    fixture_directory();
    pid_t pid = fork();
    if (pid == 0) {
        run_steps(open_or_fail(log_bytes, false), seed, count, true);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static inline enum tumble_code put_value(void *ctx, struct tw_store *store, struct tumble_error *err) {
    const char *key = ctx;
    static char value[20000];
    memset(value, key[0], sizeof value);
    struct tumble_bytes bytes = {value, sizeof value};
    return tw_store_put(store, text(key), bytes, err);
}

static inline enum tumble_code put_number(void *ctx, struct tw_store *store, struct tumble_error *err) {
    char value[3000];
    int length = snprintf(value, sizeof value, "%d", *(int *)ctx);
    memset(value + length, '.', sizeof value - (size_t)length);
    struct tumble_bytes bytes = {value, sizeof value};
    enum tumble_code code = tw_store_put(store, text("a"), bytes, err);
    return code == TUMBLE_OK ? tw_store_put(store, text("b"), bytes, err) : code;
}

#endif
