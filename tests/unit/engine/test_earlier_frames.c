#include <stdlib.h>
#include <sys/stat.h>

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

/* Kind 2: a delta whose groups stand with their keys; 15: with their places, and every accumulator in full. */
static void write_earlier_delta(const char *directory, enum tw_frame_kind kind) {
    static const char prefix[] = {'G'};
    struct tumble_error error;
    struct stored_value delta = {0};
    struct tumble_bytes whole_prefix = {prefix, sizeof prefix}, payload;
    struct tw_store *store = store_of(directory);
    ok(tw_store_scan(store, whole_prefix, whole_prefix, keep_value, &delta, &error)); /* 'D' stands before 'S' */
    assert_int_equal(delta.key[17], 'D');
    ok(tw_frame_open((struct tumble_bytes){delta.bytes, delta.length}, TW_FRAME_BRIEF, 0, "it", &payload, &error));
    static const char brief[] = {3, 2 << 2 | 1, (char)(17 << 3), 66, (char)(17 << 3), 6}; /* c, the third: 33 and 3 */
    assert_memory_equal(payload.data, brief, sizeof brief);
    struct tw_buf frame;
    size_t mark;
    uint64_t digest;
    memcpy(&digest, delta.bytes + 8, sizeof digest);
    tw_buf_init(&frame, tw_alloc_default(), 4096);
    assert_int_equal(tw_frame_begin(&frame, kind, digest, &mark), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&frame, "\3\5c\0", kind == TW_FRAME_DELTA ? 4 : 1), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&frame, "\2\2\1\0\x21\3\x0b\1\x1f\0", 10), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&frame, payload.data + sizeof brief, payload.length - sizeof brief), TUMBLE_OK);
    assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
    ok(tw_store_put(store, (struct tumble_bytes){delta.key, delta.key_length}, tw_buf_view(&frame), &error));
    commit_and_close(store);
    tw_buf_clean_up(&frame);
}

static void deltas_of_before_are_read_and_followed_by_those_of_today(void **state) {
    (void)state;
    struct tumble_spec *spec = spec_of(SPEC);
    char expected[4096];
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    apply(engine, 1, at_first, 4);
    apply(engine, 5, touched, 1);
    apply(engine, 6, later, 2);
    snprintf(expected, sizeof expected, "%s", rows_of(engine));
    assert_non_null(strstr(expected, "\"k\":\"c\",\"n\":3,\"s\":333,"));
    tumble_engine_destroy(engine);

    static const enum tw_frame_kind kinds[] = {TW_FRAME_DELTA, TW_FRAME_TOUCHED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char directory[] = "/tmp/tumble-test-XXXXXX";
        assert_non_null(mkdtemp(directory));
        engine = engine_of(spec, directory, 0);
        apply(engine, 1, at_first, 4);
        apply(engine, 5, touched, 1);
        tumble_engine_destroy(engine);
        write_earlier_delta(directory, kinds[i]);
        engine = engine_of(spec, directory, 0);
        apply(engine, 6, later, 2);
        tumble_engine_destroy(engine);
        engine = engine_of(spec, directory, 0);
        assert_string_equal(rows_of(engine), expected);
        tumble_engine_destroy(engine);
        remove_state(directory);
    }
    tumble_spec_destroy(spec);
}

/* ---- kinds 13 and 14: rows as text ---- */

static void put_chunk(struct tw_store *store, const struct tumble_spec *spec, uint64_t chunk, unsigned place,
                      unsigned single_rows, const char *const *rows, size_t count) {
    struct tumble_error error;
    struct tw_buf frame;
    size_t mark;
    tw_buf_init(&frame, tw_alloc_default(), 4096);
    assert_int_equal(tw_frame_begin(&frame, TW_FRAME_ROWS, tumble_spec_digest(spec), &mark), TUMBLE_OK);
    tw_buf_append_u64(&frame, 0);
    tw_buf_append_u64(&frame, 60000);
    tw_buf_append(&frame,
                  "\1s\1"
                  "1\1"
                  "9",
                  6);
    tw_buf_append_varint(&frame, place);
    tw_buf_append_byte(&frame, single_rows > 0);
    tw_buf_append_u64(&frame, single_rows);
    tw_buf_append_u64(&frame, 10 * single_rows);
    tw_buf_append(&frame, "0123456789abcdef", 16);
    tw_buf_append(&frame, "\5{\"w\":", 6);
    for (size_t i = 0; i < count; i++) {
        tw_buf_append(&frame, "kkkkkkkkkkkkkkkk", 16);
        tw_buf_append_varint(&frame, strlen(rows[i]));
        tw_buf_append_text(&frame, rows[i]);
    }
    assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
    struct tw_key key = tw_key_outbox(TUMBLE_ROW_WINDOW, chunk);
    ok(tw_store_put(store, tw_key_view(&key), tw_buf_view(&frame), &error));
    tw_buf_clean_up(&frame);
}

static void put_summary(struct tw_store *store, const struct tumble_spec *spec, uint64_t chunk) {
    struct tumble_error error;
    struct tw_buf frame;
    size_t mark;
    tw_buf_init(&frame, tw_alloc_default(), 4096);
    assert_int_equal(tw_frame_begin(&frame, TW_FRAME_FRAGMENT, tumble_spec_digest(spec), &mark), TUMBLE_OK);
    tw_buf_append_u64(&frame, 3);
    tw_buf_append_u64(&frame, 33);
    tw_buf_append(&frame, "fedcba9876543210", 16);
    assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
    struct tw_key key = tw_key_fragment(chunk);
    ok(tw_store_put(store, tw_key_view(&key), tw_buf_view(&frame), &error));
    tw_buf_clean_up(&frame);
}

/* The counters are varints, the 15th of them the number of chunks of rows: 0 becomes 3. */
static void set_chunks(struct tw_store *store, const struct tumble_spec *spec) {
    struct tumble_error error;
    struct tumble_bytes value, payload;
    struct tw_key key = tw_key_counters();
    struct tw_buf frame;
    size_t mark;
    bool found;
    ok(tw_store_get(store, tw_key_view(&key), &found, &value, &error));
    ok(tw_frame_open(value, TW_FRAME_COUNTERS, 0, "it", &payload, &error));
    struct tw_cursor in = tw_cursor_of(payload);
    tw_buf_init(&frame, tw_alloc_default(), 4096);
    assert_int_equal(tw_frame_begin(&frame, TW_FRAME_COUNTERS, tumble_spec_digest(spec), &mark), TUMBLE_OK);
    for (int i = 0; i < 18; i++) {
        uint64_t number;
        assert_true(tw_take_varint(&in, &number));
        tw_buf_append_varint(&frame, i == 14 ? 3 : number);
    }
    assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
    ok(tw_store_put(store, tw_key_view(&key), tw_buf_view(&frame), &error));
    tw_buf_clean_up(&frame);
}

static enum tumble_code look_at(void *ctx, const struct tumble_row *row) {
    size_t *seen = ctx;
    const struct tumble_fragment *fragment = row->fragment;
    bool of_first = *seen < 3;
    assert_int_equal(fragment->row_count, of_first ? 3 : 1);
    assert_int_equal(fragment->record_count, of_first ? 33 : 10);
    assert_memory_equal(fragment->digest, of_first ? "fedcba9876543210" : "0123456789abcdef", 16);
    assert_int_equal(row->fragment_row, of_first ? *seen : 0);
    assert_true(tumble_bytes_equal(fragment->shard_id, tumble_bytes_of("s")));
    assert_true(tumble_bytes_equal(fragment->last_sequence, tumble_bytes_of("9")));
    assert_int_equal(row->window_end_ms, 60000);
    ++*seen;
    return TUMBLE_OK;
}

static void chunks_of_text_are_delivered(void **state) {
    (void)state;
    static const char *const first[] = {"1}", "2}"}, *const second[] = {"3}"}, *const third[] = {"4}"};
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    char directory[] = "/tmp/tumble-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    for (size_t taken = 0; taken < 5; taken++) {
        struct tumble_engine *engine = engine_of(spec, directory, 0);
        shard_of(engine, "s");
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_destroy(engine);
        struct tw_store *store = store_of(directory);
        put_chunk(store, spec, 0, 0, 0, first, 2);
        put_chunk(store, spec, 1, 2, 0, second, 1);
        put_summary(store, spec, 1);
        put_chunk(store, spec, 2, 0, 1, third, 1);
        set_chunks(store, spec);
        commit_and_close(store);
        engine = engine_of(spec, directory, 0);
        size_t seen = 0;
        ok(tumble_engine_outbox(engine, TUMBLE_ROW_WINDOW, look_at, &seen, &error));
        assert_int_equal(seen, 4);
        kept_reset();
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        kept[0].retry_from = taken;
        assert_int_equal(tumble_engine_drain(engine, &error), taken < 4 ? TUMBLE_EOUTPUT : TUMBLE_OK);
        ok(tumble_engine_commit(engine, &error));
        apply(engine, 1, at_first, 4); /* a window of today closes behind them */
        ok(tumble_shard_close(shard_of(engine, "s"), 0, &error));
        ok(tumble_engine_commit(engine, &error));
        kept[0].retry_from = SIZE_MAX;
        ok(tumble_engine_drain(engine, &error));
        ok(tumble_engine_commit(engine, &error));
        assert_memory_equal(kept[0].text, "{\"w\":1}\n{\"w\":2}\n{\"w\":3}\n{\"w\":4}\n{\"window_start\"", 47);
        assert_int_equal(kept[0].count, 8);
        tumble_engine_destroy(engine);
        store = store_of(directory);
        struct tumble_bytes everything = {NULL, 0};
        struct stored_value value = {0};
        struct tw_key chunks = tw_key_outbox_all(TUMBLE_ROW_WINDOW), summaries = tw_key_prefix(TW_KEY_FRAGMENT);
        ok(tw_store_scan(store, tw_key_view(&chunks), everything, keep_value, &value, &error));
        ok(tw_store_scan(store, tw_key_view(&summaries), everything, keep_value, &value, &error));
        assert_int_equal(value.length, 0);
        tw_store_close(store);
        remove_state(directory);
        assert_int_equal(mkdir(directory, 0777), 0);
    }
    remove_state(directory);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_of_text_are_delivered),
        cmocka_unit_test(deltas_of_before_are_read_and_followed_by_those_of_today),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
