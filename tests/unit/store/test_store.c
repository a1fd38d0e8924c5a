#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/store/store.h"
#include "store/state_fixture.h"

/* What memory, LMDB, and LMDB behind a redo log promise alike: every test here runs over all of them. */

static struct tumble_bytes text(const char *s) { return tumble_bytes_of(s); }

static struct tw_store *open_kind(void **state) {
    struct tw_store *store = NULL;
    const char *kind = *(const char *const *)*state;
    bool logged = kind && strcmp(kind, "logged") == 0; /* in a log so small that it is full now and then */
    struct tw_store_options options = {
        .directory = kind ? fixture_directory() : NULL, .sync = logged, .log_bytes = logged ? 32 << 10 : 0};
    struct tumble_error err = {0};
    if (tw_store_open(&options, &store, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    return store;
}

static void close_kind(struct tw_store *store) {
    tw_store_close(store);
    fixture_remove();
}

static void put(struct tw_store *store, const char *key, const char *value) {
    assert_int_equal(tw_store_put(store, text(key), text(value), NULL), TUMBLE_OK);
}

static void begin(struct tw_store *store) { assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK); }
static void commit(struct tw_store *store) { assert_int_equal(tw_store_commit(store, NULL), TUMBLE_OK); }

static void expect(struct tw_store *store, const char *key, const char *value) {
    bool found;
    struct tumble_bytes got;
    assert_int_equal(tw_store_get(store, text(key), &found, &got, NULL), TUMBLE_OK);
    assert_int_equal(found, value != NULL);
    if (value) {
        assert_int_equal(got.length, strlen(value));
        assert_memory_equal(got.data, value, got.length);
    }
}

struct listing {
    char keys[512];
    int stop_after; /* 0: never */
    int seen;
    enum tumble_code fail_with;
};

static enum tumble_code list_key(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                 struct tumble_error *err) {
    (void)value;
    (void)err;
    struct listing *listing = ctx;
    size_t length = strlen(listing->keys);
    snprintf(listing->keys + length, sizeof listing->keys - length, "%.*s ", (int)key.length, key.data);
    *stop = ++listing->seen == listing->stop_after;
    return listing->fail_with;
}

static void expect_scan(struct tw_store *store, const char *prefix, const char *from, int stop_after,
                        const char *keys) {
    struct listing listing = {.stop_after = stop_after};
    assert_int_equal(tw_store_scan(store, text(prefix), text(from), list_key, &listing, NULL), TUMBLE_OK);
    assert_string_equal(listing.keys, keys);
}

static void a_committed_value_is_read_back(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    expect(store, "a", NULL);
    put(store, "a", "one");
    put(store, "b", "");
    expect(store, "a", "one");
    commit(store);
    begin(store);
    expect(store, "a", "one");
    expect(store, "b", "");
    put(store, "a", "a longer value than before");
    expect(store, "a", "a longer value than before");
    commit(store);
    begin(store);
    expect(store, "a", "a longer value than before");
    tw_store_abort(store);
    assert_int_equal(tw_store_sync(store, NULL), TUMBLE_OK);
    close_kind(store);
}

static void abort_undoes_puts_and_deletes(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    put(store, "a", "1");
    put(store, "b", "2");
    put(store, "c", "3");
    commit(store);
    begin(store);
    put(store, "a", "changed");
    put(store, "a", "changed again");
    assert_int_equal(tw_store_delete(store, text("b"), NULL), TUMBLE_OK);
    put(store, "b", "came back");
    assert_int_equal(tw_store_delete_prefix(store, text("c"), NULL), TUMBLE_OK);
    put(store, "d", "new");
    assert_int_equal(tw_store_delete(store, text("d"), NULL), TUMBLE_OK);
    put(store, "e", "new");
    expect_scan(store, "", "", 0, "a b e ");
    tw_store_abort(store);
    begin(store);
    expect_scan(store, "", "", 0, "a b c ");
    expect(store, "a", "1");
    expect(store, "b", "2");
    expect(store, "c", "3");
    commit(store);
    close_kind(store);
}

static void scan_visits_a_prefix_in_order_from_a_key(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    const char *keys[] = {"w/3", "w/1", "v", "w/2", "x", "w", "w/10"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put(store, keys[i], "");
    }
    expect_scan(store, "w/", "", 0, "w/1 w/10 w/2 w/3 ");
    expect_scan(store, "w/", "w/10", 0, "w/10 w/2 w/3 ");
    expect_scan(store, "w/", "w/11", 2, "w/2 w/3 ");
    expect_scan(store, "w/", "x", 0, "");
    expect_scan(store, "w/", "a", 1, "w/1 ");
    expect_scan(store, "", "", 0, "v w w/1 w/10 w/2 w/3 x ");
    expect_scan(store, "nothing", "", 0, "");
    commit(store);
    close_kind(store);
}

static void keys_order_as_unsigned_bytes(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    put(store, "\xff", "");
    put(store, "\x7f", "");
    put(store, "\x01", "");
    expect_scan(store, "", "", 0, "\x01 \x7f \xff ");
    commit(store);
    close_kind(store);
}

static void delete_prefix_takes_exactly_the_prefix(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    char key[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "p/%04d", i);
        put(store, key, "some value that fills pages");
    }
    put(store, "o", "");
    put(store, "p", "");
    put(store, "p0", "");
    commit(store);
    begin(store);
    assert_int_equal(tw_store_delete_prefix(store, text("p/"), NULL), TUMBLE_OK);
    assert_int_equal(tw_store_delete_prefix(store, text("absent"), NULL), TUMBLE_OK);
    assert_int_equal(tw_store_delete(store, text("absent"), NULL), TUMBLE_OK);
    expect_scan(store, "", "", 0, "o p p0 ");
    assert_int_equal(tw_store_delete_prefix(store, text(""), NULL), TUMBLE_OK);
    expect_scan(store, "", "", 0, "");
    commit(store);
    close_kind(store);
}

static void a_failing_visit_ends_the_scan_and_the_transaction(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    put(store, "a", "");
    put(store, "b", "");
    struct listing listing = {.fail_with = TUMBLE_EJSON};
    assert_int_equal(tw_store_scan(store, text(""), text(""), list_key, &listing, NULL), TUMBLE_EJSON);
    assert_string_equal(listing.keys, "a ");
    assert_int_equal(tw_store_commit(store, NULL), TUMBLE_EINVAL);
    begin(store);
    expect_scan(store, "", "", 0, "");
    commit(store);
    close_kind(store);
}

static void wrong_use_is_einval_and_aborts(void **state) {
    struct tw_store *store = open_kind(state);
    struct tumble_error err;
    bool found;
    struct tumble_bytes value;
    assert_int_equal(tw_store_put(store, text("a"), text(""), &err), TUMBLE_EINVAL);
    assert_int_equal(tw_store_get(store, text("a"), &found, &value, &err), TUMBLE_EINVAL);
    assert_int_equal(tw_store_commit(store, &err), TUMBLE_EINVAL);
    tw_store_abort(store);
    begin(store);
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_EINVAL);
    assert_int_equal(tw_store_put(store, text(""), text(""), &err), TUMBLE_EINVAL);
    begin(store);
    char key[401];
    memset(key, 'k', sizeof key);
    struct tumble_bytes longest = {key, 400}, longer = {key, 401};
    assert_int_equal(tw_store_put(store, longest, text("x"), &err), TUMBLE_OK);
    assert_int_equal(tw_store_put(store, longer, text("x"), &err), TUMBLE_EINVAL);
    begin(store);
    struct tumble_bytes huge = {key, ((size_t)1 << 30) + 1};
    assert_int_equal(tw_store_put(store, text("a"), huge, &err), TUMBLE_ELIMIT);
    tw_store_close(NULL);
    close_kind(store);
}

/* Against a sorted array, ten thousand random operations with commits and aborts between them. */
enum { MODEL_KEYS = 64 };
struct model {
    int value[MODEL_KEYS]; /* 0: absent */
};

static void random_operations_agree_with_a_plain_array(void **state) {
    struct tw_store *store = open_kind(state);
    struct model committed = {0}, now = {0};
    uint64_t random = 42;
    begin(store);
    for (int step = 1; step <= 10000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int key = (int)(random >> 33) % MODEL_KEYS, what = (int)(random >> 50) % 100;
        char name[8], value[16];
        snprintf(name, sizeof name, "k%02d", key);
        if (what < 50) {
            snprintf(value, sizeof value, "%d", step);
            put(store, name, value);
            now.value[key] = step;
        } else if (what < 75) {
            assert_int_equal(tw_store_delete(store, text(name), NULL), TUMBLE_OK);
            now.value[key] = 0;
        } else if (what < 80) {
            name[2] = '\0';
            assert_int_equal(tw_store_delete_prefix(store, text(name), NULL), TUMBLE_OK);
            for (int k = 0; k < MODEL_KEYS; k++) {
                now.value[k] = k / 10 == key / 10 ? 0 : now.value[k];
            }
        } else if (what < 90) {
            snprintf(value, sizeof value, "%d", now.value[key]);
            expect(store, name, now.value[key] ? value : NULL);
        } else if (what < 95) {
            commit(store);
            committed = now;
            begin(store);
        } else {
            tw_store_abort(store);
            now = committed;
            begin(store);
        }
        if (step % 100 == 0) {
            char keys[512] = "";
            for (int k = 0; k < MODEL_KEYS; k++) {
                if (now.value[k]) {
                    snprintf(keys + strlen(keys), sizeof keys - strlen(keys), "k%02d ", k);
                }
            }
            expect_scan(store, "", "", 0, keys);
        }
    }
    commit(store);
    close_kind(store);
}

struct two_keys {
    int calls;
    enum tumble_code fail_with;
};

static enum tumble_code write_two(void *ctx, struct tw_store *store, struct tumble_error *err) {
    struct two_keys *two = ctx;
    two->calls++;
    put(store, "one", "1");
    put(store, "two", "2");
    (void)err;
    return two->fail_with;
}

static void write_commits_once_or_leaves_nothing(void **state) {
    struct tw_store *store = open_kind(state);
    struct two_keys two = {.fail_with = TUMBLE_EOUTPUT};
    assert_int_equal(tw_store_write(store, write_two, &two, NULL), TUMBLE_EOUTPUT);
    begin(store);
    expect_scan(store, "", "", 0, "");
    commit(store);
    two.fail_with = TUMBLE_OK;
    assert_int_equal(tw_store_write(store, write_two, &two, NULL), TUMBLE_OK);
    assert_int_equal(two.calls, 2);
    begin(store);
    expect_scan(store, "", "", 0, "one two ");
    commit(store);
    close_kind(store);
}

struct many_keys {
    int calls;
    int values; /* of 64 KiB */
};

static enum tumble_code write_many(void *ctx, struct tw_store *store, struct tumble_error *err) {
    static char value[64 << 10];
    struct many_keys *many = ctx;
    many->calls++;
    for (int i = 0; i < many->values; i++) {
        char key[32];
        snprintf(key, sizeof key, "many %03d", i);
        struct tumble_bytes bytes = {value, sizeof value};
        enum tumble_code code = tw_store_put(store, text(key), bytes, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    return tw_store_delete(store, text("one"), err);
}

static void what_is_written_behind_is_there_for_whoever_reads_next(void **state) {
    struct tw_store *store = open_kind(state);
    struct two_keys two = {0};
    begin(store);
    put(store, "old 1", "");
    put(store, "old 2", "");
    commit(store);
    assert_int_equal(tw_store_write_behind(store, write_two, &two, true, NULL), TUMBLE_OK);
    begin(store);
    expect(store, "one", "1");
    expect_scan(store, "", "", 0, "old 1 old 2 one two ");
    assert_int_equal(tw_store_delete_prefix(store, text("old"), NULL), TUMBLE_OK);
    commit(store);
    struct many_keys few = {.values = 2};
    assert_int_equal(tw_store_write_behind(store, write_many, &few, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_write_behind(store, write_two, &two, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_write_behind(store, write_many, &few, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_settle(store, NULL), TUMBLE_OK);
    begin(store);
    expect_scan(store, "", "", 0, "many 000 many 001 two ");
    commit(store);
    assert_int_equal(few.calls, 2);
    close_kind(store);
}

static void what_fails_before_it_is_written_behind_leaves_nothing(void **state) {
    struct tw_store *store = open_kind(state);
    struct two_keys two = {.fail_with = TUMBLE_EOUTPUT};
    assert_int_equal(tw_store_write_behind(store, write_two, &two, false, NULL), TUMBLE_EOUTPUT);
    assert_int_equal(tw_store_settle(store, NULL), TUMBLE_OK);
    begin(store);
    expect_scan(store, "", "", 0, "");
    commit(store);
    close_kind(store);
}

static void what_is_too_large_to_wait_in_memory_is_written_at_once(void **state) {
    struct tw_store *store = open_kind(state);
    struct many_keys many = {.values = 100};
    assert_int_equal(tw_store_write_behind(store, write_many, &many, false, NULL), TUMBLE_OK);
    begin(store);
    expect_scan(store, "many", "many 098", 0, "many 098 many 099 ");
    commit(store);
    close_kind(store);
}

static void closing_waits_for_what_is_written_behind(void **state) {
    struct tw_store *store = open_kind(state);
    struct two_keys two = {0};
    assert_int_equal(tw_store_write_behind(store, write_two, &two, false, NULL), TUMBLE_OK);
    tw_store_close(store);
    if (*(const char *const *)*state) {
        store = open_kind(state);
        begin(store);
        expect_scan(store, "", "", 0, "one two ");
        commit(store);
        close_kind(store);
    }
}

static void closing_aborts_what_is_open(void **state) {
    struct tw_store *store = open_kind(state);
    begin(store);
    put(store, "a", "1");
    close_kind(store); /* the leak checker judges */
}

int main(void) {
    static const char *memory = NULL, *lmdb = "lmdb", *logged = "logged";
#define ALL(test)                                                                                                      \
    {"memory: " #test, test, NULL, NULL, &memory}, {"lmdb: " #test, test, NULL, NULL, &lmdb}, {                        \
        "logged: " #test, test, NULL, NULL, &logged                                                                    \
    }
    const struct CMUnitTest tests[] = {
        ALL(a_committed_value_is_read_back),
        ALL(abort_undoes_puts_and_deletes),
        ALL(scan_visits_a_prefix_in_order_from_a_key),
        ALL(keys_order_as_unsigned_bytes),
        ALL(delete_prefix_takes_exactly_the_prefix),
        ALL(a_failing_visit_ends_the_scan_and_the_transaction),
        ALL(wrong_use_is_einval_and_aborts),
        ALL(random_operations_agree_with_a_plain_array),
        ALL(write_commits_once_or_leaves_nothing),
        ALL(closing_aborts_what_is_open),
        ALL(what_is_written_behind_is_there_for_whoever_reads_next),
        ALL(what_fails_before_it_is_written_behind_leaves_nothing),
        ALL(what_is_too_large_to_wait_in_memory_is_written_at_once),
        ALL(closing_waits_for_what_is_written_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
