#define _GNU_SOURCE

#include <signal.h>
#include <sys/resource.h>

#include "counting_alloc.h"
#include "store/logged_fixture.h"

/* A store over a redo log that cannot be written, for want of a descriptor, of room or of memory. */

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
        TEST(a_log_that_cannot_be_written_fails_one_commit_and_is_left),
        TEST(a_full_disk_loses_nothing_that_was_acknowledged),
        TEST(without_memory_commits_fail_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
