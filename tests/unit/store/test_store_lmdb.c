#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/store/store.h"
#include "store/state_fixture.h"

/* What only a directory can do: growth, full disks, locks, crashes. */

static struct tumble_bytes text(const char *s) { return tumble_bytes_of(s); }

static bool logged; /* every test runs without and with a redo log */

static enum tumble_code open_at(const char *directory, bool read_only, size_t map_bytes, struct tw_store **store,
                                struct tumble_error *err) {
    struct tw_store_options options = {.directory = directory,
                                       .read_only = read_only,
                                       .verify = true,
                                       .map_bytes = map_bytes,
                                       .sync = logged,
                                       .log_bytes = logged ? 32 << 10 : 0};
    return tw_store_open(&options, store, err);
}

static struct tw_store *open_or_fail(const char *directory) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    if (open_at(directory, false, 0, &store, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    return store;
}

static void put_one(struct tw_store *store, const char *key, const char *value) {
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_put(store, text(key), text(value), NULL), TUMBLE_OK);
    assert_int_equal(tw_store_commit(store, NULL), TUMBLE_OK);
}

static bool holds(struct tw_store *store, const char *key, const char *value) {
    bool found;
    struct tumble_bytes got;
    bool same = tw_store_begin(store, NULL) == TUMBLE_OK &&
                tw_store_get(store, text(key), &found, &got, NULL) == TUMBLE_OK && found == (value != NULL) &&
                (!value || tumble_bytes_equal(got, text(value)));
    tw_store_abort(store);
    return same;
}

static const char *under(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture_directory(), name);
    return path;
}

static int child_status(pid_t pid) {
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int remove_all(void **state) {
    (void)state;
    fixture_remove();
    return 0;
}

static int with_log(void **state) {
    (void)state;
    logged = true;
    return 0;
}

static int without_log(void **state) {
    (void)state;
    logged = false;
    return 0;
}

static void the_directory_is_made_with_its_parents(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", under("a/b/c/"));
    struct tw_store *store = open_or_fail(path);
    put_one(store, "k", "v");
    tw_store_close(store);
    assert_int_equal(access(under("a/b/c/data.mdb"), F_OK), 0);
}

static void content_survives_closing(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(fixture_directory());
    put_one(store, "k", "v");
    tw_store_close(store);
    store = open_or_fail(fixture_directory());
    assert_true(holds(store, "k", "v"));
    tw_store_close(store);
}

struct bulk {
    int values;
    size_t bytes;
    int calls;
};

static enum tumble_code write_bulk(void *ctx, struct tw_store *store, struct tumble_error *err) {
    struct bulk *bulk = ctx;
    bulk->calls++;
    char *value = malloc(bulk->bytes);
    enum tumble_code code = TUMBLE_OK;
    for (int i = 0; i < bulk->values && code == TUMBLE_OK; i++) {
        char key[32];
        snprintf(key, sizeof key, "bulk/%06d", i);
        memset(value, 'a' + i % 26, bulk->bytes);
        struct tumble_bytes view = {value, bulk->bytes};
        code = tw_store_put(store, text(key), view, err);
    }
    free(value);
    return code;
}

static void a_full_map_grows_and_the_write_runs_again(void **state) {
    (void)state;
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_at(fixture_directory(), false, 1 << 20, &store, &err), TUMBLE_OK);
    struct bulk bulk = {.values = 100, .bytes = 256 * 1024};
    assert_int_equal(tw_store_write(store, write_bulk, &bulk, &err), TUMBLE_OK);
    assert_true(bulk.calls > (logged ? 1 : 4)); /* 1 MiB, 2, 4, 8, 16, 32; the log has the first 4 MiB */
    tw_store_close(store);
    assert_int_equal(open_at(fixture_directory(), false, 1 << 20, &store, &err), TUMBLE_OK);
    bool found;
    struct tumble_bytes value;
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
    assert_int_equal(tw_store_get(store, text("bulk/000099"), &found, &value, &err), TUMBLE_OK);
    assert_true(found);
    assert_int_equal(value.length, bulk.bytes);
    assert_int_equal(value.data[bulk.bytes - 1], 'a' + 99 % 26);
    tw_store_close(store);
}

static void without_write_a_full_map_is_efull_and_the_next_begin_has_room(void **state) {
    (void)state;
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_at(fixture_directory(), false, 1 << 20, &store, &err), TUMBLE_OK);
    char *value = calloc(1, 1500000);
    struct tumble_bytes view = {value, 1500000};
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
    assert_int_equal(tw_store_put(store, text("k"), view, &err), TUMBLE_EFULL);
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
    assert_int_equal(tw_store_put(store, text("k"), view, &err), TUMBLE_OK);
    assert_int_equal(tw_store_commit(store, &err), TUMBLE_OK);
    free(value);
    tw_store_close(store);
}

static void one_transaction_takes_hundreds_of_megabytes(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(fixture_directory());
    struct bulk bulk = {.values = 1200, .bytes = 256 * 1024}; /* 300 MB */
    struct tumble_error err = {0};
    assert_int_equal(tw_store_write(store, write_bulk, &bulk, &err), TUMBLE_OK);
    assert_int_equal(bulk.calls, 1);
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
    assert_int_equal(tw_store_delete_prefix(store, text("bulk/"), &err), TUMBLE_OK);
    assert_int_equal(tw_store_commit(store, &err), TUMBLE_OK);
    put_one(store, "after", "it");
    tw_store_close(store);
}

/* Fills a store until it says EFULL, in a child that a SIGBUS would show. Returns in the child's exit code:
 * 0 all as promised. */
static int fill_until_full(const char *directory) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    if (open_at(directory, false, 0, &store, &err) != TUMBLE_OK) {
        return 10;
    }
    struct bulk first = {.values = 1, .bytes = 1000}, more = {.values = 64, .bytes = 60000};
    if (tw_store_write(store, write_bulk, &first, &err) != TUMBLE_OK) {
        return 11;
    }
    enum tumble_code code = tw_store_write(store, write_bulk, &more, &err); /* 3.8 MB: too much */
    if (code != TUMBLE_EFULL || !strstr(err.text, directory) || !strstr(err.text, "no space left")) {
        return 12;
    }
    bool found;
    struct tumble_bytes value;
    if (tw_store_begin(store, &err) != TUMBLE_OK ||
        tw_store_get(store, text("bulk/000000"), &found, &value, &err) != TUMBLE_OK || !found || value.length != 1000) {
        return 13;
    }
    tw_store_abort(store);
    if (tw_store_write(store, write_bulk, &first, &err) != TUMBLE_OK) {
        return 14; /* what fits still goes */
    }
    tw_store_close(store);
    if (open_at(directory, false, 0, &store, &err) != TUMBLE_OK) {
        return 15;
    }
    tw_store_close(store);
    return 0;
}

static void a_file_size_limit_is_efull_and_keeps_the_old_content(void **state) {
    (void)state;
    fixture_directory();
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {1 << 20, 1 << 20};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(fill_until_full(fixture_path));
    }
    assert_int_equal(child_status(pid), 0);
}

static enum tumble_code write_megabyte(void *ctx, struct tw_store *store, struct tumble_error *err) {
    static char value[1 << 20];
    struct tumble_bytes bytes = {value, sizeof value};
    return tw_store_put(store, text((const char *)ctx), bytes, err);
}

static int fail_behind(const char *directory) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    char key[] = "large";
    if (open_at(directory, false, 0, &store, &err) != TUMBLE_OK) {
        return 40;
    }
    put_one(store, "old", "1");
    if (tw_store_write_behind(store, write_megabyte, key, false, &err) != TUMBLE_OK) {
        return 41;
    }
    if (tw_store_settle(store, &err) != TUMBLE_EFULL || !strstr(err.text, directory)) {
        return 42;
    }
    /* nothing that builds on it may be committed */
    if (tw_store_begin(store, &err) != TUMBLE_EFULL || tw_store_sync(store, &err) != TUMBLE_EFULL ||
        tw_store_write_behind(store, write_megabyte, key, false, &err) != TUMBLE_EFULL) {
        return 43;
    }
    tw_store_close(store);
    if (open_at(directory, false, 0, &store, &err) != TUMBLE_OK || !holds(store, "old", "1") ||
        !holds(store, "large", NULL)) {
        return 44;
    }
    tw_store_close(store);
    return 0;
}

static void a_commit_behind_that_fails_is_told_to_every_call_after_it(void **state) {
    (void)state;
    fixture_directory();
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {1 << 19, 1 << 19};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(fail_behind(fixture_path));
    }
    assert_int_equal(child_status(pid), 0);
}

static void a_full_map_grows_behind_too(void **state) {
    (void)state;
    struct tw_store *store = NULL;
    char keys[][2] = {"a", "b", "c"};
    assert_int_equal(open_at(fixture_directory(), false, 64 << 10, &store, NULL), TUMBLE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tw_store_write_behind(store, write_megabyte, keys[i], false, NULL), TUMBLE_OK);
    }
    bool found = false;
    struct tumble_bytes value = {NULL, 0};
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_get(store, text("c"), &found, &value, NULL), TUMBLE_OK);
    assert_int_equal(value.length, 1 << 20);
    tw_store_abort(store);
    tw_store_close(store);
}

enum { CANNOT_MOUNT = 77 };

/* In a mount namespace of its own, so that nothing is left to unmount. size: of the tmpfs. */
static int on_tmpfs(const char *size, int (*then)(const char *directory)) {
    fixture_directory();
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", fixture_path, "tmpfs", 0, size) != 0) {
            _exit(CANNOT_MOUNT);
        }
        _exit(then(fixture_path));
    }
    int status = child_status(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT) {
        print_message("mounting a tmpfs is not permitted here: the limit of the file size above stands in\n");
        skip();
    }
    return status;
}

static void a_full_tmpfs_is_efull_and_keeps_the_old_content(void **state) {
    (void)state;
    assert_int_equal(on_tmpfs("size=1m", fill_until_full), 0);
}

/* No room from the start: every number of free pages from 0 on, until opening succeeds. */
static int open_with_little_room(const char *directory) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    char ballast[512];
    snprintf(ballast, sizeof ballast, "%s/ballast", directory);
    for (int free_pages = 0; free_pages < 16; free_pages++) {
        int fd = open(ballast, O_RDWR | O_CREAT | O_TRUNC, 0666);
        static const char page[4096] = {1};
        while (write(fd, page, sizeof page) == (ssize_t)sizeof page) {
        }
        off_t size = lseek(fd, 0, SEEK_END);
        if (ftruncate(fd, size - 4096 * free_pages) != 0) {
            return 20;
        }
        close(fd);
        enum tumble_code code = open_at(directory, false, 0, &store, &err);
        if (code == TUMBLE_OK) {
            tw_store_close(store);
            return free_pages == 0 ? 21 : 0;
        }
        if (code != TUMBLE_EFULL) {
            fprintf(stderr, "%d free pages: %s\n", free_pages, err.text);
            return 22;
        }
    }
    return 23;
}

static void a_disk_full_from_the_start_is_efull_until_there_is_room(void **state) {
    (void)state;
    assert_int_equal(on_tmpfs("size=256k", open_with_little_room), 0);
}

static int open_read_only_mount(const char *directory) {
    if (mount("none", directory, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        return 30;
    }
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    enum tumble_code code = open_at(directory, false, 0, &store, &err);
    return code == TUMBLE_ESTORE && strstr(err.text, "read-only file system") ? 0 : 31;
}

static void a_read_only_file_system_is_named(void **state) {
    (void)state;
    assert_int_equal(on_tmpfs("size=256k", open_read_only_mount), 0);
}

static void expect_failure(const char *path, bool read_only, enum tumble_code code, const char *says) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_at(path, read_only, 0, &store, &err), code);
    assert_null(store);
    if (!strstr(err.text, says) || (path[0] && !strstr(err.text, path))) {
        fail_msg("\"%s\" names not both \"%s\" and \"%s\"", err.text, path, says);
    }
}

static void touch(const char *path) { close(open(path, O_RDWR | O_CREAT, 0666)); }

static void a_file_in_place_of_the_directory_is_named(void **state) {
    (void)state;
    touch(under("file"));
    expect_failure(under("file"), false, TUMBLE_ESTORE, "a file in its place");
    expect_failure(under("file/below"), false, TUMBLE_ESTORE, "a file in its place");
    expect_failure("", false, TUMBLE_ESTORE, "empty");
}

static void a_directory_in_place_of_a_file_is_an_error(void **state) {
    (void)state;
    mkdir(under("data.mdb"), 0777);
    expect_failure(fixture_directory(), false, TUMBLE_ESTORE, "data.mdb is not a regular file");
    rmdir(under("data.mdb"));
    mkdir(under("lock.mdb"), 0777);
    expect_failure(fixture_directory(), false, TUMBLE_ESTORE, "in its place");
    rmdir(under("lock.mdb"));
    unlink(under("tumble.lock"));
    mkdir(under("tumble.lock"), 0777);
    expect_failure(fixture_directory(), false, TUMBLE_ESTORE, "in its place");
}

static void a_directory_without_permission_is_named(void **state) {
    (void)state;
    mkdir(under("closed"), 0555);
    chmod(fixture_directory(), 0755);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
            _exit(1);
        }
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        char path[512];
        snprintf(path, sizeof path, "%s", under("closed"));
        bool there = open_at(path, false, 0, &store, &err) == TUMBLE_ESTORE && strstr(err.text, "no permission") &&
                     strstr(err.text, path);
        snprintf(path, sizeof path, "%s", under("closed/below"));
        bool below = open_at(path, false, 0, &store, &err) == TUMBLE_ESTORE && strstr(err.text, "no permission");
        _exit(there && below ? 0 : 2);
    }
    assert_int_equal(child_status(pid), 0);
}

/* 0: read, as the user nobody, what the state holds under "k"; else the code. */
static int read_as_nobody(const char *path, char text[TUMBLE_ERROR_TEXT]) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
            _exit(255);
        }
        enum tumble_code code = open_at(path, true, 0, &store, &err);
        if (code == TUMBLE_OK && !holds(store, "k", "v")) {
            _exit(254);
        }
        tw_store_close(store);
        bool told = write(ends[1], err.text, sizeof err.text) == (ssize_t)sizeof err.text;
        _exit(!told ? 253 : code == TUMBLE_OK ? 0 : code == TUMBLE_EBUSY ? 1 : 2);
    }
    close(ends[1]);
    if (read(ends[0], text, TUMBLE_ERROR_TEXT) <= 0) {
        text[0] = '\0';
    }
    close(ends[0]);
    int status = child_status(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void who_may_only_read_reads_while_nobody_writes(void **state) {
    (void)state;
    char text[TUMBLE_ERROR_TEXT];
    struct tw_store *store = open_or_fail(fixture_directory());
    put_one(store, "k", "v");
    chmod(under("data.mdb"), 0444);
    chmod(under("lock.mdb"), 0444);
    chmod(under("tumble.lock"), 0444);
    chmod(fixture_directory(), 0555);
    assert_int_equal(read_as_nobody(fixture_directory(), text), 1);
    assert_non_null(strstr(text, "permission to write lock.mdb"));
    tw_store_close(store);
    assert_int_equal(read_as_nobody(fixture_directory(), text), 0);
    chmod(fixture_directory(), 0755);
    assert_int_equal(unlink(under("lock.mdb")), 0); /* as in a copy */
    chmod(fixture_directory(), 0555);
    assert_int_equal(read_as_nobody(fixture_directory(), text), 0);
    chmod(fixture_directory(), 0755);
    chmod(under("data.mdb"), 0);
    assert_int_equal(read_as_nobody(fixture_directory(), text), 2);
    assert_non_null(strstr(text, "no permission"));
}

static void a_directory_that_cannot_be_made_is_named(void **state) {
    (void)state;
    expect_failure("/proc/tumble-state", false, TUMBLE_ESTORE, "/proc/tumble-state cannot be made there");
}

static void reading_where_no_state_is_fails_and_makes_nothing(void **state) {
    (void)state;
    expect_failure(under("absent"), true, TUMBLE_ESTORE, "there is no state there");
    assert_int_not_equal(access(under("absent"), F_OK), 0);
    expect_failure(fixture_directory(), true, TUMBLE_ESTORE, "there is no state there");
    assert_int_not_equal(access(under("lock.mdb"), F_OK), 0);
}

static void a_second_open_is_ebusy_and_names_the_process(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(fixture_directory());
    char says[64];
    snprintf(says, sizeof says, "process %ld", (long)getpid());
    expect_failure(fixture_directory(), false, TUMBLE_EBUSY, says);
    pid_t pid = fork();
    if (pid == 0) {
        struct tw_store *other = NULL;
        struct tumble_error err = {0};
        enum tumble_code code = open_at(fixture_path, false, 0, &other, &err);
        _exit(code == TUMBLE_EBUSY && strstr(err.text, says) ? 0 : 1);
    }
    assert_int_equal(child_status(pid), 0);
    assert_true(holds(store, "k", NULL)); /* the first one is unharmed */
    tw_store_close(store);
    store = open_or_fail(fixture_directory());
    tw_store_close(store);
}

static void a_reader_beside_the_writer_sees_the_last_commit(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(fixture_directory());
    put_one(store, "k", "committed");
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_put(store, text("k"), text("not yet"), NULL), TUMBLE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        struct tw_store *reader = NULL;
        struct tumble_error err = {0};
        if (open_at(fixture_path, true, 0, &reader, &err) != TUMBLE_OK) {
            _exit(1);
        }
        bool same = holds(reader, "k", "committed");
        bool refused = tw_store_begin(reader, &err) == TUMBLE_OK &&
                       tw_store_put(reader, text("k"), text("x"), &err) == TUMBLE_EINVAL;
        tw_store_close(reader);
        _exit(same && refused ? 0 : 2);
    }
    assert_int_equal(child_status(pid), 0);
    assert_int_equal(tw_store_commit(store, NULL), TUMBLE_OK);
    assert_true(holds(store, "k", "not yet"));
    tw_store_close(store);
}

static void a_reader_follows_a_map_that_grew(void **state) {
    (void)state;
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_at(fixture_directory(), false, 1 << 20, &store, &err), TUMBLE_OK);
    put_one(store, "k", "v");
    int ready[2], go[2];
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t pid = fork();
    char byte = 0;
    if (pid == 0) {
        struct tw_store *reader = NULL;
        if (open_at(fixture_path, true, 1 << 20, &reader, &err) != TUMBLE_OK || !holds(reader, "k", "v") ||
            write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1) {
            _exit(1);
        }
        bool found;
        struct tumble_bytes value;
        enum tumble_code code = tw_store_begin(reader, &err);
        if (code == TUMBLE_OK) {
            code = tw_store_get(reader, text("bulk/000039"), &found, &value, &err);
        }
        _exit(code == TUMBLE_OK && found && value.length == 256 * 1024 ? 0 : 2);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct bulk bulk = {.values = 40, .bytes = 256 * 1024};
    assert_int_equal(tw_store_write(store, write_bulk, &bulk, &err), TUMBLE_OK);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(child_status(pid), 0);
    tw_store_close(store);
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
}

/* Dies in the middle of a transaction in three ways; each time the next open sees the last commit. */
static void death_in_a_transaction_leaves_the_last_commit(void **state) {
    (void)state;
    struct tw_store *store = open_or_fail(fixture_directory());
    put_one(store, "k", "old");
    tw_store_close(store);
    for (int way = 0; way < 3; way++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct tumble_error err;
            struct tw_store *mine = NULL;
            struct bulk bulk = {.values = 2000, .bytes = 6000};
            if (open_at(fixture_path, false, 0, &mine, &err) != TUMBLE_OK || tw_store_begin(mine, &err) != TUMBLE_OK ||
                tw_store_put(mine, text("k"), text("new"), &err) != TUMBLE_OK ||
                (way > 0 && write_bulk(&bulk, mine, &err) != TUMBLE_OK)) {
                _exit(1);
            }
            if (way == 2) {
                kill(getpid(), SIGKILL);
            }
            _exit(0);
        }
        int status = child_status(pid);
        assert_true(way == 2 ? WIFSIGNALED(status) : status == 0);
        store = open_or_fail(fixture_directory());
        assert_true(holds(store, "k", "old"));
        assert_true(holds(store, "bulk/000000", NULL));
        tw_store_close(store);
    }
}

/* Killed at an arbitrary moment of a life of open, verify, commit: the counter never goes back and never tears. */
static void a_kill_at_any_moment_keeps_every_commit(void **state) {
    (void)state;
    fixture_directory();
    long last = 0;
    /* A loaded machine may not get as far as a commit for a while. */
    for (int round = 0; round < 30 || (last == 0 && round < 300); round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct tumble_error err;
            struct tw_store *store = NULL;
            if (open_at(fixture_path, false, 0, &store, &err) != TUMBLE_OK) {
                fprintf(stderr, "%s\n", err.text);
                _exit(1);
            }
            for (long n = last + 1;; n++) {
                char value[32];
                snprintf(value, sizeof value, "%ld", n);
                if (tw_store_begin(store, &err) != TUMBLE_OK ||
                    tw_store_put(store, text("a"), text(value), &err) != TUMBLE_OK ||
                    tw_store_put(store, text("b"), text(value), &err) != TUMBLE_OK ||
                    tw_store_commit(store, &err) != TUMBLE_OK || write(told[1], &n, sizeof n) != (ssize_t)sizeof n) {
                    _exit(2);
                }
            }
        }
        close(told[1]);
        usleep((useconds_t)(round * 700));
        kill(pid, SIGKILL);
        long n, heard = last;
        while (read(told[0], &n, sizeof n) == (ssize_t)sizeof n) {
            heard = n;
        }
        close(told[0]);
        int status = child_status(pid);
        assert_true(WIFSIGNALED(status));
        struct tw_store *store = open_or_fail(fixture_directory());
        bool found;
        struct tumble_bytes a, b;
        assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
        assert_int_equal(tw_store_get(store, text("a"), &found, &a, NULL), TUMBLE_OK);
        char exact[32];
        snprintf(exact, sizeof exact, "%.*s", found ? (int)a.length : 0, found ? a.data : "");
        long now = strtol(exact, NULL, 10);
        assert_true(now >= heard && now <= heard + 1);
        assert_int_equal(tw_store_get(store, text("b"), &found, &b, NULL), TUMBLE_OK);
        assert_true(!found || tumble_bytes_equal(b, text(exact)));
        tw_store_close(store);
        last = now;
    }
    assert_true(last > 0);
}

int main(void) {
#define TEST(test)                                                                                                     \
    {#test, test, without_log, remove_all, NULL}, { "logged: " #test, test, with_log, remove_all, NULL }
    const struct CMUnitTest tests[] = {
        TEST(the_directory_is_made_with_its_parents),
        TEST(content_survives_closing),
        TEST(a_full_map_grows_and_the_write_runs_again),
        TEST(a_full_map_grows_behind_too),
        TEST(a_commit_behind_that_fails_is_told_to_every_call_after_it),
        {"a full map", without_write_a_full_map_is_efull_and_the_next_begin_has_room, without_log, remove_all, NULL},
        TEST(one_transaction_takes_hundreds_of_megabytes),
        TEST(a_file_size_limit_is_efull_and_keeps_the_old_content),
        TEST(a_full_tmpfs_is_efull_and_keeps_the_old_content),
        TEST(a_disk_full_from_the_start_is_efull_until_there_is_room),
        TEST(a_read_only_file_system_is_named),
        TEST(a_file_in_place_of_the_directory_is_named),
        TEST(a_directory_in_place_of_a_file_is_an_error),
        TEST(a_directory_without_permission_is_named),
        TEST(who_may_only_read_reads_while_nobody_writes),
        TEST(a_directory_that_cannot_be_made_is_named),
        TEST(reading_where_no_state_is_fails_and_makes_nothing),
        TEST(a_second_open_is_ebusy_and_names_the_process),
        TEST(a_reader_beside_the_writer_sees_the_last_commit),
        TEST(a_reader_follows_a_map_that_grew),
        TEST(death_in_a_transaction_leaves_the_last_commit),
        TEST(a_kill_at_any_moment_keeps_every_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
