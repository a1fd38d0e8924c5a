#define _GNU_SOURCE

#include <signal.h>

#include "store/logged_fixture.h"

/* A store over a redo log, whose process ends at any moment, and whose files may not belong together. */

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

int main(void) {
#define TEST(test) cmocka_unit_test_teardown(test, remove_all)
    const struct CMUnitTest tests[] = {
        TEST(after_any_number_of_commits_a_killed_run_has_them_all),
        TEST(reads_see_the_log_on_top_of_lmdb),
        TEST(a_log_grows_while_what_it_holds_is_alive_and_only_then),
        TEST(what_is_too_large_for_the_log_takes_what_is_pending_along),
        TEST(the_log_is_for_runs_of_many_commits_that_are_synced),
        TEST(who_does_not_sync_puts_the_log_away_first),
        TEST(files_that_do_not_belong_together_are_refused),
        TEST(a_reader_beside_a_busy_writer_sees_whole_commits_and_never_older_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
