#include <stdlib.h>

#include "engine/engine_internal.h"
#include "engine_fixture.h"

/* States that earlier versions wrote go on: their frames are made here by hand from those of today. */

struct stored_value { /* of one key */
    char key[TW_KEY_BYTES];
    size_t key_length;
    char bytes[4096];
    size_t length;
};

static enum tumble_code keep_value(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                   struct tumble_error *err) {
    struct stored_value *kept_value = ctx;
    *stop = true;
    (void)err;
    assert_true(value.length <= sizeof kept_value->bytes);
    memcpy(kept_value->key, key.data, key.length);
    memcpy(kept_value->bytes, value.data, value.length);
    kept_value->key_length = key.length;
    kept_value->length = value.length;
    return TUMBLE_OK;
}

static struct tw_store *store_of(const char *directory) {
    struct tumble_error error;
    struct tw_store *store;
    struct tw_store_options options = {.directory = directory};
    ok(tw_store_open(&options, &store, &error));
    ok(tw_store_begin(store, &error));
    return store;
}

static void commit_and_close(struct tw_store *store) {
    struct tumble_error error;
    ok(tw_store_commit(store, &error));
    tw_store_close(store);
}

static void apply(struct tumble_engine *engine, uint64_t first, const char *const *payloads, size_t count) {
    struct tumble_error error;
    struct made_records made = {0};
    for (size_t i = 0; i < count; i++) {
        make_record(&made, first + i, payloads[i]);
    }
    ok(tumble_shard_apply(shard_of(engine, "s"), 0, made.records, made.count, NULL, &error));
    ok(tumble_engine_commit(engine, &error));
}

static const char *const at_first[] = {"{\"k\":\"a\",\"v\":1}", "{\"k\":\"b\",\"v\":2}", "{\"k\":\"c\",\"v\":3}",
                                       "{\"k\":\"d\",\"v\":4}"};
static const char *const touched[] = {"{\"k\":\"c\",\"v\":30}"};
static const char *const later[] = {"{\"k\":\"e\",\"v\":5}", "{\"k\":\"c\",\"v\":300}"};

static char *rows_of(struct tumble_engine *engine) {
    struct tumble_error error;
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    ok(tumble_shard_close(shard_of(engine, "s"), 0, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    return kept[0].text;
}

/* Kind 2: a delta whose groups stand with their keys. */
static void write_delta_with_keys(const char *directory) {
    static const char prefix[] = {'G'};
    struct tumble_error error;
    struct stored_value delta = {0};
    struct tumble_bytes whole_prefix = {prefix, sizeof prefix}, payload;
    struct tw_store *store = store_of(directory);
    ok(tw_store_scan(store, whole_prefix, whole_prefix, keep_value, &delta, &error)); /* 'D' stands before 'S' */
    assert_int_equal(delta.key[17], 'D');
    ok(tw_frame_open((struct tumble_bytes){delta.bytes, delta.length}, TW_FRAME_TOUCHED, 0, "it", &payload, &error));
    assert_int_equal(payload.data[0], 3); /* c, the third */
    struct tw_buf frame;
    size_t mark;
    uint64_t digest;
    memcpy(&digest, delta.bytes + 8, sizeof digest);
    tw_buf_init(&frame, tw_alloc_default(), 4096);
    assert_int_equal(tw_frame_begin(&frame, TW_FRAME_DELTA, digest, &mark), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&frame, "\3\5c\0", 4), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&frame, payload.data + 1, payload.length - 1), TUMBLE_OK);
    assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
    ok(tw_store_put(store, (struct tumble_bytes){delta.key, delta.key_length}, tw_buf_view(&frame), &error));
    commit_and_close(store);
    tw_buf_clean_up(&frame);
}

static void deltas_with_keys_are_read_and_followed_by_those_with_places(void **state) {
    (void)state;
    struct tumble_spec *spec = spec_of(SPEC);
    char expected[4096], directory[] = "/tmp/tumble-test-XXXXXX";
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    apply(engine, 1, at_first, 4);
    apply(engine, 5, touched, 1);
    apply(engine, 6, later, 2);
    snprintf(expected, sizeof expected, "%s", rows_of(engine));
    assert_non_null(strstr(expected, "\"k\":\"c\",\"n\":3,\"s\":333,"));
    tumble_engine_destroy(engine);

    assert_non_null(mkdtemp(directory));
    engine = engine_of(spec, directory, 0);
    apply(engine, 1, at_first, 4);
    apply(engine, 5, touched, 1);
    tumble_engine_destroy(engine);
    write_delta_with_keys(directory);
    engine = engine_of(spec, directory, 0);
    apply(engine, 6, later, 2);
    tumble_engine_destroy(engine);
    engine = engine_of(spec, directory, 0);
    assert_string_equal(rows_of(engine), expected);
    tumble_engine_destroy(engine);
    remove_state(directory);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_with_keys_are_read_and_followed_by_those_with_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
