#define _GNU_SOURCE /* nftw */

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/spill/file_spill.h"
#include "counting_alloc.h"

static char directory[64];
static struct tw_file_spill *spill;
static const struct tumble_spill_store *store;
static struct tumble_error err;

static const char *below(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/made/here/%s", directory, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    strcpy(directory, "/tmp/tumble_spill_XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(tw_file_spill_open(below(""), (struct tumble_alloc){0}, &spill, &err), TUMBLE_OK);
    store = tw_file_spill_store(spill);
    return 0;
}

static int half_written;

static int look(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    half_written += strstr(path, ".tmp") != NULL;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    tw_file_spill_close(spill);
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text) {
    assert_int_equal(store->put(store->ctx, name, tumble_bytes_of(text), &err), TUMBLE_OK);
}

static void expect(const char *name, const char *text) {
    struct tumble_bytes got;
    assert_int_equal(store->get(store->ctx, name, 1000, &got, &err), TUMBLE_OK);
    assert_true(tumble_bytes_equal(got, tumble_bytes_of(text)));
    assert_non_null(got.data);
}

static void what_was_put_is_what_is_got(void **state) {
    (void)state;
    put("a/b-1/0f", "first");
    put("a/b-1/0e", "");
    expect("a/b-1/0f", "first");
    expect("a/b-1/0e", "");
}

static void a_second_put_replaces_the_first(void **state) {
    (void)state;
    put("mark", "1");
    put("mark", "22");
    expect("mark", "22");
}

static void what_is_not_there_is_no_error(void **state) {
    (void)state;
    struct tumble_bytes got = {"x", 1};
    assert_int_equal(store->get(store->ctx, "a/b", 1000, &got, &err), TUMBLE_OK);
    assert_null(got.data);
    assert_int_equal(store->remove(store->ctx, "a/b", &err), TUMBLE_OK);
}

static void what_was_removed_is_gone(void **state) {
    (void)state;
    struct tumble_bytes got;
    put("a/b", "x");
    assert_int_equal(store->remove(store->ctx, "a/b", &err), TUMBLE_OK);
    assert_int_equal(store->get(store->ctx, "a/b", 1000, &got, &err), TUMBLE_OK);
    assert_null(got.data);
}

static void an_object_over_the_limit_is_refused(void **state) {
    (void)state;
    struct tumble_bytes got;
    put("a", "12345");
    assert_int_equal(store->get(store->ctx, "a", 4, &got, &err), TUMBLE_ELIMIT);
    assert_int_equal(store->get(store->ctx, "a", 5, &got, &err), TUMBLE_OK);
}

static void a_name_never_leaves_the_directory(void **state) {
    (void)state;
    static const char *const bad[] = {"", "/a", "a/", "a//b", "../a", "a/../b", "a.b", "A", "a b", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tumble_bytes got;
        assert_int_equal(store->put(store->ctx, bad[i], tumble_bytes_of("x"), &err), TUMBLE_EINVAL);
        assert_int_equal(store->get(store->ctx, bad[i], 10, &got, &err), TUMBLE_EINVAL);
        assert_int_equal(store->remove(store->ctx, bad[i], &err), TUMBLE_EINVAL);
    }
}

static void no_half_written_file_stays(void **state) {
    (void)state;
    assert_int_equal(mkdir(below("taken"), 0777), 0); /* rename onto a directory fails */
    assert_int_equal(store->put(store->ctx, "taken", tumble_bytes_of("x"), &err), TUMBLE_ESTORE);
    assert_non_null(strstr(err.text, "taken"));
    assert_int_equal(nftw(directory, look, 8, FTW_PHYS), 0);
    assert_int_equal(half_written, 0);
}

static void a_directory_that_cannot_be_made_says_which(void **state) {
    (void)state;
    struct tw_file_spill *other;
    put("file", "x");
    assert_int_equal(tw_file_spill_open(below("file/deep"), (struct tumble_alloc){0}, &other, &err), TUMBLE_ESTORE);
    assert_non_null(strstr(err.text, "file"));
    assert_null(other);
    assert_int_equal(tw_file_spill_open("", (struct tumble_alloc){0}, &other, &err), TUMBLE_EINVAL);
}

static void no_memory_is_an_ordinary_error(void **state) {
    (void)state;
    struct counting_alloc count = {.fail_at = 1};
    struct tw_file_spill *other;
    assert_int_equal(tw_file_spill_open(below(""), counting_alloc_of(&count), &other, &err), TUMBLE_ENOMEM);
    count = (struct counting_alloc){0};
    assert_int_equal(tw_file_spill_open(below(""), counting_alloc_of(&count), &other, &err), TUMBLE_OK);
    const struct tumble_spill_store *theirs = tw_file_spill_store(other);
    struct tumble_bytes got;
    put("a", "x");
    count.fail_at = count.calls + 1;
    assert_int_equal(theirs->get(theirs->ctx, "a", 10, &got, &err), TUMBLE_ENOMEM);
    assert_int_equal(theirs->get(theirs->ctx, "a", 10, &got, &err), TUMBLE_OK);
    tw_file_spill_close(other);
    assert_int_equal(count.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_what_is_got, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_put_replaces_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_removed_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_object_over_the_limit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_never_leaves_the_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_half_written_file_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_made_says_which, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_an_ordinary_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
