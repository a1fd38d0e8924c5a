#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "counting_alloc.h"
#include "engine/store/redo_log.h"
#include "engine/store/store.h"
#include "store/state_fixture.h"

/* The log by itself, cut and flipped at every byte; then a store whose process ends at any moment, over it. */

static struct tumble_bytes text(const char *s) { return tumble_bytes_of(s); }

static int remove_all(void **state) {
    (void)state;
    fixture_remove();
    return 0;
}

static const char *in_state(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", fixture_directory(), name);
    return path;
}

static char *read_file(const char *name, size_t *length) {
    int fd = open(in_state(name), O_RDONLY);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    char *bytes = malloc((size_t)status.st_size + 1);
    *length = (size_t)status.st_size;
    assert_int_equal(read(fd, bytes, *length), status.st_size);
    close(fd);
    return bytes;
}

static void write_file(const char *name, const char *bytes, size_t length) {
    int fd = open(in_state(name), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

/* ---- the log ---- */

enum { ENTRIES = 5, BASE = 7 };

static struct tw_state_directory directory_here(void) {
    struct tw_state_directory directory = {.path = fixture_path, .fd = -1, .lock_fd = -1};
    directory.fd = open(fixture_directory(), O_RDONLY | O_DIRECTORY);
    assert_true(directory.fd >= 0);
    return directory;
}

/* Of several lengths: less than a block, one, two. */
static void append(struct tw_redo_log *log, int number) {
    struct tw_buf entry;
    char bytes[6000];
    size_t length = number == 1 ? TW_REDO_BLOCK - TW_REDO_HEAD_BYTES - 8 : number == 3 ? 5000 : (size_t)(90 + number);
    memset(bytes, 'a' + number, length);
    tw_buf_init(&entry, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(tw_redo_entry_begin(&entry), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&entry, bytes, length), TUMBLE_OK);
    assert_true(tw_redo_log_has_room(log, &entry));
    assert_int_equal(tw_redo_log_append(log, &entry, NULL), TUMBLE_OK);
    tw_buf_clean_up(&entry);
}

struct seen {
    int first; /* the number of the first entry that is to come */
    int count;
    bool same;
};

static enum tumble_code see(void *ctx, struct tumble_bytes operations, uint64_t at, struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)err;
    int number = seen->first + seen->count++;
    seen->same = seen->same && operations.length > 0 && at % TW_REDO_BLOCK == TW_REDO_HEAD_BYTES;
    for (size_t i = 0; i < operations.length; i++) {
        seen->same = seen->same && operations.data[i] == 'a' + number;
    }
    return TUMBLE_OK;
}

static enum tumble_code replay(const struct tw_state_directory *directory, uint64_t base, struct seen *seen,
                               struct tumble_error *err) {
    struct tw_redo_log log;
    bool present;
    int first = seen->first;
    *seen = (struct seen){.first = first, .same = true};
    enum tumble_code code = tw_redo_log_open(&log, directory, tw_alloc_default(), &present, err);
    if (code == TUMBLE_OK) {
        assert_true(present);
        code = tw_redo_log_replay(&log, base, see, seen, err);
        tw_redo_log_close(&log);
    }
    return code;
}

static void make_log(const struct tw_state_directory *directory) {
    struct tw_redo_log log;
    assert_int_equal(tw_redo_log_make(&log, directory, tw_alloc_default(), 10 * TW_REDO_BLOCK, NULL), TUMBLE_OK);
    tw_redo_log_restart(&log, BASE - 1);
    for (int i = 0; i < ENTRIES; i++) { /* of another base, with more entries: what lies behind the new ones is stale */
        append(&log, 20 - i);
    }
    append(&log, 4);
    tw_redo_log_restart(&log, BASE);
    for (int i = 0; i < ENTRIES; i++) {
        append(&log, i);
    }
    tw_redo_log_close(&log);
}

static void entries_come_back_in_order_and_stale_ones_do_not(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    assert_int_equal(replay(&directory, BASE, &seen, NULL), TUMBLE_OK);
    assert_int_equal(seen.count, ENTRIES);
    assert_true(seen.same);
    assert_int_equal(replay(&directory, BASE + 1, &seen, NULL), TUMBLE_OK); /* LMDB has them */
    assert_int_equal(seen.count, 0);
    struct tumble_error err;
    assert_int_equal(replay(&directory, BASE - 1, &seen, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "data.mdb is older than redo.log"));
    close(directory.fd);
}

static void a_log_cut_anywhere_gives_its_first_entries_or_is_refused(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    assert_int_equal(length, 10 * TW_REDO_BLOCK);
    for (size_t cut = 0; cut < length; cut++) { /* cut short, and with the rest not written */
        assert_int_equal(truncate(in_state("redo.log"), (off_t)(length - 1 - cut)), 0);
        assert_int_equal(replay(&directory, BASE, &seen, NULL), TUMBLE_ECORRUPT);
    }
    int counts[ENTRIES + 1] = {0}, refused = 0;
    char *copy = calloc(1, length);
    write_file("redo.log", image, length);
    int fd = open(in_state("redo.log"), O_WRONLY);
    for (size_t cut = length; cut-- > 0;) {
        assert_int_equal(pwrite(fd, copy, 1, (off_t)cut), 1);
        struct tumble_error err;
        enum tumble_code code = replay(&directory, BASE, &seen, &err);
        assert_true(seen.same);
        if (code == TUMBLE_OK) {
            counts[seen.count]++;
        } else {
            assert_int_equal(code, TUMBLE_ECORRUPT);
            assert_non_null(strstr(err.text, "restore it or remove it and run again"));
            refused++;
            assert_int_equal(seen.count, 0);
        }
    }
    for (int i = 0; i <= ENTRIES; i++) {
        assert_true(counts[i] > 0);
    }
    assert_true(refused > 0 && refused <= 32); /* without its first block it is none */
    close(fd);
    free(copy);
    free(image);
    close(directory.fd);
}

static void a_flipped_byte_is_damage_unless_nothing_follows_it(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    int fd = open(in_state("redo.log"), O_WRONLY);
    size_t last_entry = 6 * TW_REDO_BLOCK; /* 1 first block, entries of 1, 1, 1, 2 and 1 */
    int whole = 0, refused = 0, shorter = 0;
    for (size_t at = 0; at < length; at++) {
        char flipped = (char)(image[at] ^ (1 << at % 8));
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        enum tumble_code code = replay(&directory, BASE, &seen, NULL);
        assert_true(seen.same);
        if (code == TUMBLE_OK && seen.count == ENTRIES) {
            whole++; /* between entries and behind them */
        } else if (code == TUMBLE_OK) {
            assert_int_equal(seen.count, ENTRIES - 1);
            assert_true(at >= last_entry && at < last_entry + TW_REDO_BLOCK);
            shorter++;
        } else {
            assert_true(code == TUMBLE_ECORRUPT || code == TUMBLE_EVERSION);
            assert_true(at < last_entry);
            refused++;
        }
        assert_int_equal(pwrite(fd, &image[at], 1, (off_t)at), 1);
    }
    assert_int_equal(shorter, TW_REDO_HEAD_BYTES + 94 + 8);
    assert_int_equal(refused, 32 + 4 * (TW_REDO_HEAD_BYTES + 8) + 90 + (TW_REDO_BLOCK - 32) + 92 + 5000);
    assert_int_equal(whole + refused + shorter, length);
    close(fd);
    free(image);
    close(directory.fd);
}

static void a_log_of_a_newer_version_is_eversion(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct tumble_error err;
    bool present;
    struct tw_redo_log log;
    assert_int_equal(tw_redo_log_open(&log, &directory, tw_alloc_default(), &present, &err), TUMBLE_OK);
    assert_false(present);
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    image[4] = 2;
    image[30] ^= 1;
    write_file("redo.log", image, length);
    assert_int_equal(tw_redo_log_open(&log, &directory, tw_alloc_default(), &present, &err), TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "newer tumble"));
    free(image);
    close(directory.fd);
}

/* ---- a store over it ---- */

static enum tumble_code open_store(size_t log_bytes, bool read_only, struct tumble_alloc alloc, struct tw_store **store,
                                   struct tumble_error *err) {
    struct tw_store_options options = {.directory = fixture_directory(),
                                       .read_only = read_only,
                                       .sync = true,
                                       .log_bytes = log_bytes,
                                       .map_bytes = 1 << 26,
                                       .alloc = alloc};
    return tw_store_open(&options, store, err);
}

static struct tw_store *open_or_fail(size_t log_bytes, bool read_only) {
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

static enum tumble_code add_key(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
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

static struct listing list(struct tw_store *store) {
    struct listing listing = {0};
    struct tumble_error err = {0};
    if (tw_store_begin(store, &err) != TUMBLE_OK ||
        tw_store_scan(store, text(""), text(""), add_key, &listing, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    tw_store_abort(store);
    return listing;
}

static void expect_same(struct tw_store *a, struct tw_store *b) {
    struct listing x = list(a), y = list(b);
    assert_int_equal(x.length, y.length);
    assert_true(x.length == 0 || memcmp(x.bytes, y.bytes, x.length) == 0);
    free(x.bytes);
    free(y.bytes);
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

struct step {
    uint64_t seed;
};

/* Some puts and deletes, out of few keys; now and then values of several blocks. Given the seed, always the same. */
static enum tumble_code write_step(void *ctx, struct tw_store *store, struct tumble_error *err) {
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

static void run_steps(struct tw_store *store, uint64_t seed, int count, bool behind) {
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

static struct tw_store *model_of(uint64_t seed, int count) {
    struct tw_store *store = NULL;
    struct tw_store_options options = {0};
    assert_int_equal(tw_store_open(&options, &store, NULL), TUMBLE_OK);
    run_steps(store, seed, count, false);
    return store;
}

/* A run that ends with its log full of commits, as a kill leaves it. */
static void leave(uint64_t seed, int count, size_t log_bytes) {
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

static void after_any_number_of_commits_a_killed_run_has_them_all(void **state) {
    (void)state;
    for (int count = 1; count < 60; count += count < 16 ? 1 : 13) {
        size_t log_bytes = count % 2 ? 16 << 10 : 1 << 20;
        struct tw_store *model = model_of(3, count);
        leave(3, count, log_bytes);
        struct tw_store *reader = open_or_fail(0, true); /* before anybody has put the log into LMDB */
        expect_same(reader, model);
        tw_store_close(reader);
        assert_int_equal(access(in_state("redo.log"), F_OK), 0);
        struct tw_store *store = open_or_fail(log_bytes, false);
        expect_same(store, model);
        tw_store_close(store);
        assert_int_equal(access(in_state("redo.log"), F_OK), -1);
        store = open_or_fail(0, false);
        expect_same(store, model);
        tw_store_close(store);
        tw_store_close(model);
        fixture_remove();
    }
}

static void reads_see_the_log_on_top_of_lmdb(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(64 << 10, false);
    for (int round = 1; round <= 12; round++) {
        struct tw_store *model = model_of(5, round * 9);
        struct step step = {99};
        for (int i = (round - 1) * 9; i < round * 9; i++) {
            step.seed = 5 * 1000003 + (uint64_t)i * 7919 + 1;
            assert_int_equal(tw_store_write(store, write_step, &step, NULL), TUMBLE_OK);
        }
        expect_same(store, model);
        assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK); /* and what is aborted leaves nothing */
        step.seed = 4242;
        assert_int_equal(write_step(&step, store, NULL), TUMBLE_OK);
        tw_store_abort(store);
        assert_int_equal(tw_store_begin(model, NULL), TUMBLE_OK);
        for (int i = 0; i < 120; i++) { /* keys that are there, were, never were */
            char key[16];
            snprintf(key, sizeof key, "%c/%d", 'a' + i % 4, i / 4);
            bool found, wanted;
            struct tumble_bytes got, expected;
            assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
            assert_int_equal(tw_store_get(store, text(key), &found, &got, NULL), TUMBLE_OK);
            assert_int_equal(tw_store_get(model, text(key), &wanted, &expected, NULL), TUMBLE_OK);
            assert_int_equal(found, wanted);
            assert_true(!found || tumble_bytes_equal(got, expected));
            tw_store_abort(store);
        }
        tw_store_close(model);
    }
    tw_store_close(store);
}

static size_t size_of(const char *name) {
    struct stat status;
    return stat(in_state(name), &status) == 0 ? (size_t)status.st_size : 0;
}

static enum tumble_code put_value(void *ctx, struct tw_store *store, struct tumble_error *err) {
    const char *key = ctx;
    static char value[20000];
    memset(value, key[0], sizeof value);
    struct tumble_bytes bytes = {value, sizeof value};
    return tw_store_put(store, text(key), bytes, err);
}

static void a_log_grows_while_what_it_holds_is_alive_and_only_then(void **state) {
    (void)state;
    char key[16] = "same";
    struct tw_store *store = open_or_fail(16 << 10, false);
    for (int i = 0; i < 300; i++) { /* 7 MB through a log of 1 */
        assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
    }
    assert_int_equal(size_of("redo.log"), 1 << 20);
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "key %d", i);
        assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
    }
    assert_int_equal(size_of("redo.log"), 8 << 20);
    tw_store_close(store);
    store = open_or_fail(0, false);
    struct listing listing = list(store);
    assert_int_equal(listing.length, 300 * 20000 + 20000 + 10 * 7 + 90 * 8 + 200 * 9 + 6);
    free(listing.bytes);
    tw_store_close(store);
}

static enum tumble_code put_five_megabytes(void *ctx, struct tw_store *store, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (int i = 0; i < 250 && code == TUMBLE_OK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d %s", i, (const char *)ctx);
        code = put_value(key, store, err);
    }
    return code;
}

static void what_is_too_large_for_the_log_takes_what_is_pending_along(void **state) {
    (void)state;
    char name[] = "large", key[] = "before";
    struct tw_store *store = open_or_fail(16 << 10, false);
    assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
    size_t before = size_of("data.mdb");
    assert_int_equal(tw_store_write(store, put_five_megabytes, name, NULL), TUMBLE_OK);
    assert_true(size_of("data.mdb") > before + (4 << 20));
    assert_true(size_of("redo.log") <= 1 << 20);
    tw_store_close(store);
    store = open_or_fail(0, false);
    struct listing listing = list(store);
    assert_true(listing.length > 251 * 20000);
    free(listing.bytes);
    tw_store_close(store);
}

static void the_log_is_for_runs_of_many_commits_that_are_synced(void **state) {
    (void)state;
    char key[] = "k", was_format;
    struct tw_store *store = open_or_fail(0, false);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
        assert_int_equal(size_of("redo.log"), 0);
    }
    for (int i = 0; i < 40; i++) {
        assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
    }
    assert_true(size_of("redo.log") > 0);
    size_t length;
    char *lock = read_file("tumble.lock", &length);
    was_format = lock[13]; /* which earlier releases refuse */
    free(lock);
    assert_int_equal(was_format, '2');
    tw_store_close(store);
    lock = read_file("tumble.lock", &length);
    assert_int_equal(lock[13], '1');
    free(lock);
    struct tw_store_options options = {.directory = fixture_directory()};
    assert_int_equal(tw_store_open(&options, &store, NULL), TUMBLE_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tw_store_write(store, put_value, key, NULL), TUMBLE_OK);
    }
    assert_int_equal(size_of("redo.log"), 0);
    tw_store_close(store);
}

static void who_does_not_sync_puts_the_log_away_first(void **state) {
    (void)state;
    leave(8, 15, 1 << 20);
    struct tw_store *model = model_of(8, 15), *store;
    struct tw_store_options options = {.directory = fixture_directory()};
    assert_int_equal(tw_store_open(&options, &store, NULL), TUMBLE_OK);
    assert_int_equal(size_of("redo.log"), 0);
    expect_same(store, model);
    tw_store_close(store);
    tw_store_close(model);
}

static void expect_corrupt(const char *says) {
    for (int read_only = 0; read_only < 2; read_only++) {
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        struct tumble_alloc none = {0};
        enum tumble_code code = open_store(0, read_only, none, &store, &err);
        if (code == TUMBLE_OK && read_only) {
            code = tw_store_begin(store, &err);
        }
        tw_store_close(store);
        assert_int_equal(code, TUMBLE_ECORRUPT);
        assert_non_null(strstr(err.text, says));
        assert_non_null(strstr(err.text, "restore it or remove it and run again"));
    }
}

static void files_that_do_not_belong_together_are_refused(void **state) {
    (void)state;
    leave(6, 5, 1 << 20);
    size_t data_length, log_length, early_length, lock_length;
    char *early = read_file("data.mdb", &early_length);
    tw_store_close(open_or_fail(0, false)); /* a later data.mdb */
    leave(7, 5, 1 << 20);
    char *data = read_file("data.mdb", &data_length), *log = read_file("redo.log", &log_length);
    char *lock = read_file("tumble.lock", &lock_length);
    write_file("data.mdb", early, early_length);
    expect_corrupt("data.mdb is older than redo.log");
    write_file("data.mdb", data, data_length);
    unlink(in_state("redo.log"));
    expect_corrupt("redo.log, which holds its last commits, is missing");
    write_file("redo.log", log, 1000);
    expect_corrupt("redo.log is cut short");
    log[2 * TW_REDO_BLOCK + 40] ^= 1;
    write_file("redo.log", log, log_length);
    expect_corrupt("an entry in the middle of redo.log is damaged");
    assert_int_equal(size_of("redo.log"), log_length); /* nothing was put away */
    log[2 * TW_REDO_BLOCK + 40] ^= 1;
    write_file("redo.log", log, log_length);
    unlink(in_state("tumble.lock")); /* the log counts without its mark, too */
    struct tw_store *store = open_or_fail(0, false), *model = model_of(6, 5);
    run_steps(model, 7, 5, false);
    expect_same(store, model);
    tw_store_close(store);
    /* a state put back as it was closed: a log beside it is of another time */
    write_file("redo.log", log, log_length);
    store = open_or_fail(0, false);
    expect_same(store, model);
    tw_store_close(store);
    assert_int_equal(size_of("redo.log"), 0);
    tw_store_close(model);
    free(early), free(data), free(log), free(lock);
}

static enum tumble_code put_number(void *ctx, struct tw_store *store, struct tumble_error *err) {
    char value[3000];
    int length = snprintf(value, sizeof value, "%d", *(int *)ctx);
    memset(value + length, '.', sizeof value - (size_t)length);
    struct tumble_bytes bytes = {value, sizeof value};
    enum tumble_code code = tw_store_put(store, text("a"), bytes, err);
    return code == TUMBLE_OK ? tw_store_put(store, text("b"), bytes, err) : code;
}

static int number_at(struct tw_store *reader, const char *key, struct tumble_error *err) {
    bool found;
    struct tumble_bytes value;
    return tw_store_get(reader, text(key), &found, &value, err) == TUMBLE_OK && found
               ? (int)strtol(value.data, NULL, 10)
               : -1;
}

static void a_reader_beside_a_busy_writer_sees_whole_commits_and_never_older_ones(void **state) {
    (void)state;
    int number = 0, told[2];
    tw_store_close(open_or_fail(0, false));
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct tw_store *store = open_or_fail(16 << 10, false); /* of 3 entries: begun anew all the time */
        for (number = 1; tw_store_write(store, put_number, &number, NULL) == TUMBLE_OK; number++) {
            if (write(told[1], &number, sizeof number) != (ssize_t)sizeof number) {
                _exit(1);
            }
        }
        _exit(2);
    }
    close(told[1]);
    int last = 0, different = 0, heard = 0;
    assert_int_equal(read(told[0], &heard, sizeof heard), (ssize_t)sizeof heard);
    fcntl(told[0], F_SETFL, O_NONBLOCK);
    for (int round = 0; round < 300; round++) {
        struct tumble_error err = {0};
        struct tw_store *reader = open_or_fail(0, true);
        for (int again = 0; again < 3; again++) {
            while (read(told[0], &heard, sizeof heard) == (ssize_t)sizeof heard) {
            }
            if (tw_store_begin(reader, &err) != TUMBLE_OK) {
                fail_msg("%s", err.text);
            }
            int a = number_at(reader, "a", &err), b = number_at(reader, "b", &err);
            assert_int_equal(a, b);
            assert_true(a >= heard && a >= last);
            different += a > last;
            last = a;
            tw_store_abort(reader);
        }
        tw_store_close(reader);
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(told[0]);
    assert_true(different > 5);
}

/* Every descriptor of redo.log in this process becomes one that can only read. */
static int spoil_log(void) {
    int spoilt = 0;
    for (int fd = 3; fd < 64; fd++) {
        char link[64], path[512];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = '\0';
        if (strstr(path, "/redo.log")) {
            int reads = open(path, O_RDONLY | O_CLOEXEC);
            assert_int_equal(dup2(reads, fd), fd);
            close(reads);
            spoilt++;
        }
    }
    return spoilt;
}

static void a_log_that_cannot_be_written_fails_one_commit_and_is_left(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(1 << 20, false), *model = model_of(9, 12);
    run_steps(store, 9, 12, false);
    assert_int_equal(spoil_log(), 1);
    struct tumble_error err = {0};
    int number = 1;
    assert_int_equal(tw_store_write(store, put_number, &number, &err), TUMBLE_ESTORE);
    assert_non_null(strstr(err.text, "writing a commit to redo.log"));
    expect_same(store, model); /* what failed is not there */
    number = 2;
    assert_int_equal(tw_store_write(store, put_number, &number, &err), TUMBLE_OK); /* by LMDB */
    assert_int_equal(tw_store_write(model, put_number, &number, &err), TUMBLE_OK);
    run_steps(store, 10, 9, false);
    run_steps(model, 10, 9, false);
    expect_same(store, model);
    tw_store_close(store);
    assert_int_equal(size_of("redo.log"), 0);
    store = open_or_fail(0, false);
    expect_same(store, model);
    tw_store_close(store);
    tw_store_close(model);
}

/* A file may have so many bytes: too few to make the log, to grow it, or for data.mdb. */
static void a_full_disk_loses_nothing_that_was_acknowledged(void **state) {
    (void)state;
    int full = 0, fine = 0;
    for (rlim_t bytes = 40 << 10; bytes <= 2 << 20; bytes += bytes / 2) {
        fixture_remove();
        fixture_directory();
        int told[2];
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit limit = {bytes, bytes};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &limit);
            struct tw_store *store = NULL;
            struct tumble_alloc none = {0};
            if (open_store(200 << 10, false, none, &store, NULL) != TUMBLE_OK) {
                _exit(3);
            }
            for (int i = 0; i < 80; i++) {
                char key[16];
                struct tumble_error err;
                snprintf(key, sizeof key, "%02d", i);
                enum tumble_code code = tw_store_write(store, put_value, key, &err);
                if (code == TUMBLE_OK && write(told[1], &i, sizeof i) != (ssize_t)sizeof i) {
                    _exit(1);
                }
                if (code != TUMBLE_OK && (code != TUMBLE_EFULL || !strstr(err.text, "no space left"))) {
                    fprintf(stderr, "%s\n", err.text);
                    _exit(1);
                }
            }
            if (bytes % 3) {
                tw_store_close(store);
            }
            _exit(0);
        }
        close(told[1]);
        int status = -1, i;
        bool there[80] = {0};
        while (read(told[0], &i, sizeof i) == (ssize_t)sizeof i) {
            there[i] = true;
        }
        close(told[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        struct tw_store *store = open_or_fail(0, false); /* with room again */
        for (i = 0; i < 80; i++) {
            char key[16];
            bool found;
            struct tumble_bytes value;
            snprintf(key, sizeof key, "%02d", i);
            assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
            assert_int_equal(tw_store_get(store, text(key), &found, &value, NULL), TUMBLE_OK);
            assert_int_equal(found, there[i]);
            tw_store_abort(store);
            full += !found;
            fine += found;
        }
        tw_store_close(store);
    }
    assert_true(full > 0 && fine > 0);
}

/* Each allocation fails once, and all behind it, in a run through log, growth, reads and large commits. */
static void without_memory_commits_fail_whole(void **state) {
    (void)state;
    bool failed = true;
    for (int persistent = 0; persistent < 2; persistent++) {
        for (size_t fail_at = 1; failed || fail_at == 1; fail_at += fail_at < 30 ? 1 : fail_at / 6) {
            fixture_remove();
            struct counting_alloc count = {.fail_at = fail_at, .persistent = persistent};
            struct tw_store *store = NULL, *model = model_of(1, 0);
            enum tumble_code code = open_store(16 << 10, false, counting_alloc_of(&count), &store, NULL);
            for (int i = 0; i < 60 && store; i++) {
                struct step step = {(uint64_t)i * 31 + 5};
                code = i % 4 ? tw_store_write(store, write_step, &step, NULL)
                             : tw_store_write_behind(store, write_step, &step, false, NULL);
                code = code == TUMBLE_OK ? tw_store_settle(store, NULL) : code;
                if (code == TUMBLE_OK) {
                    assert_int_equal(tw_store_write(model, write_step, &step, NULL), TUMBLE_OK);
                } else {
                    assert_int_equal(code, TUMBLE_ENOMEM);
                }
            }
            tw_store_close(store);
            assert_int_equal(count.live, 0);
            failed = count.failed > 0;
            store = open_or_fail(0, false);
            expect_same(store, model);
            tw_store_close(store);
            tw_store_close(model);
        }
    }
}

int main(void) {
#define TEST(test) cmocka_unit_test_teardown(test, remove_all)
    const struct CMUnitTest tests[] = {
        TEST(entries_come_back_in_order_and_stale_ones_do_not),
        TEST(a_log_cut_anywhere_gives_its_first_entries_or_is_refused),
        TEST(a_flipped_byte_is_damage_unless_nothing_follows_it),
        TEST(a_log_of_a_newer_version_is_eversion),
        TEST(after_any_number_of_commits_a_killed_run_has_them_all),
        TEST(reads_see_the_log_on_top_of_lmdb),
        TEST(a_log_grows_while_what_it_holds_is_alive_and_only_then),
        TEST(what_is_too_large_for_the_log_takes_what_is_pending_along),
        TEST(the_log_is_for_runs_of_many_commits_that_are_synced),
        TEST(who_does_not_sync_puts_the_log_away_first),
        TEST(files_that_do_not_belong_together_are_refused),
        TEST(a_reader_beside_a_busy_writer_sees_whole_commits_and_never_older_ones),
        TEST(a_log_that_cannot_be_written_fails_one_commit_and_is_left),
        TEST(a_full_disk_loses_nothing_that_was_acknowledged),
        TEST(without_memory_commits_fail_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
