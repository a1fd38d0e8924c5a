#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/store/store.h"

/* The store in memory when memory runs out, and that it gives everything back. */

struct failing {
    long calls;
    long fail_at;    /* 0: never */
    bool persistent; /* from fail_at on, or that call alone */
    long alive;
};

static bool refuses(struct failing *failing) {
    long call = ++failing->calls;
    return failing->fail_at && (failing->persistent ? call >= failing->fail_at : call == failing->fail_at);
}

static void *failing_alloc(void *ctx, size_t size) {
    struct failing *failing = ctx;
    if (refuses(failing)) {
        return NULL;
    }
    failing->alive++;
    return malloc(size);
}

static void *failing_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    struct failing *failing = ctx;
    (void)old_size;
    if (refuses(failing)) {
        return NULL;
    }
    failing->alive += pointer == NULL;
    return realloc(pointer, new_size);
}

static void failing_release(void *ctx, void *pointer) {
    struct failing *failing = ctx;
    failing->alive--;
    free(pointer);
}

static struct tumble_bytes text(const char *s) { return tumble_bytes_of(s); }

static enum tumble_code write_rounds(void *ctx, struct tw_store *store, struct tumble_error *err) {
    const char *value = ctx;
    for (int i = 0; i < 100; i++) { /* more than one size of the journal */
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        enum tumble_code code = tw_store_put(store, text(key), text(value), err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    enum tumble_code code = tw_store_delete(store, text("k50"), err);
    return code == TUMBLE_OK ? tw_store_delete_prefix(store, text("k9"), err) : code;
}

struct seen {
    int count;
    const char *value;
    bool same;
};

static enum tumble_code see(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                            struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)key;
    (void)stop;
    (void)err;
    seen->count++;
    seen->same = seen->same && tumble_bytes_equal(value, text(seen->value));
    return TUMBLE_OK;
}

static void expect_all(struct tw_store *store, const char *value) {
    struct seen seen = {.value = value, .same = true};
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_scan(store, text(""), text(""), see, &seen, NULL), TUMBLE_OK);
    assert_int_equal(seen.count, value[0] ? 100 - 1 - 11 : 0);
    assert_true(seen.same);
    assert_int_equal(tw_store_commit(store, NULL), TUMBLE_OK);
}

/* Every allocation fails once: the call says ENOMEM, the transaction leaves nothing, and what was there stays. */
static void any_failed_allocation_is_enomem_and_undoes_the_transaction(void **state) {
    bool persistent = *state != NULL;
    for (long fail_at = 1;; fail_at++) {
        struct failing failing = {.fail_at = fail_at, .persistent = persistent};
        struct tw_store_options options = {.alloc = {failing_alloc, failing_resize, failing_release, &failing}};
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        char one[] = "1", two[] = "2";
        const char *now = "";
        enum tumble_code code = tw_store_open(&options, &store, &err);
        if (code == TUMBLE_OK) {
            code = tw_store_write(store, write_rounds, one, &err);
            now = code == TUMBLE_OK ? one : now;
        }
        if (code == TUMBLE_OK) {
            code = tw_store_write(store, write_rounds, two, &err);
            now = code == TUMBLE_OK ? two : now;
        }
        if (store) {
            expect_all(store, now);
        }
        if (code != TUMBLE_OK) {
            assert_int_equal(code, TUMBLE_ENOMEM);
            assert_int_equal(err.code, TUMBLE_ENOMEM);
        }
        tw_store_close(store);
        assert_int_equal(failing.alive, 0);
        if (code == TUMBLE_OK) {
            assert_true(fail_at > 200);
            break;
        }
    }
}

static void a_hundred_thousand_keys_stay_in_order(void **state) {
    (void)state;
    struct tw_store_options options = {0};
    struct tw_store *store = NULL;
    assert_int_equal(tw_store_open(&options, &store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%08x", i * 2654435761u);
        assert_int_equal(tw_store_put(store, text(key), text("v"), NULL), TUMBLE_OK);
    }
    assert_int_equal(tw_store_commit(store, NULL), TUMBLE_OK);
    struct seen seen = {.value = "v", .same = true};
    assert_int_equal(tw_store_begin(store, NULL), TUMBLE_OK);
    assert_int_equal(tw_store_scan(store, text(""), text(""), see, &seen, NULL), TUMBLE_OK);
    assert_int_equal(seen.count, 100000);
    tw_store_close(store);
}

static void memory_cannot_be_opened_to_read_only(void **state) {
    (void)state;
    struct tw_store_options options = {.read_only = true};
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(tw_store_open(&options, &store, &err), TUMBLE_ESTORE);
    assert_null(store);
}

int main(void) {
    static char ever;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_failed_allocation_is_enomem_and_undoes_the_transaction),
        {"any_failed_allocation, for ever", any_failed_allocation_is_enomem_and_undoes_the_transaction, NULL, NULL,
         &ever},
        cmocka_unit_test(a_hundred_thousand_keys_stay_in_order),
        cmocka_unit_test(memory_cannot_be_opened_to_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
