#include <stdlib.h>
#include <time.h>

#include "engine/engine_internal.h"
#include "engine_fixture.h"

/* Closed windows whose rows wait: made from the groups in memory or in the store, kept or not, from any row on. */

enum { ROWS = 90 }; /* of a fragment */

static struct tumble_spec *spec;
static struct tumble_error error;

static void apply(struct tumble_engine *engine, uint64_t first, size_t count) {
    struct made_records made = {0};
    for (size_t i = 0; i < count; i++) {
        char json[96];
        uint64_t n = first + i;
        snprintf(json, sizeof json, "{\"k\":\"group %llu\",\"v\":%llu.%llu}", (unsigned long long)(n * 7919 % 150),
                 (unsigned long long)(n * 31 % 1000), (unsigned long long)(n % 100));
        make_record(&made, n, json);
    }
    ok(tumble_shard_apply(shard_of(engine, "s"), 0, made.records, made.count, NULL, &error));
    ok(tumble_engine_commit(engine, &error));
}

static void close_window(struct tumble_engine *engine) {
    ok(tumble_shard_close(shard_of(engine, "s"), 0, &error));
    ok(tumble_engine_commit(engine, &error));
}

static struct tumble_engine *opened(const char *directory, size_t memory_limit) {
    struct tumble_engine *engine = engine_of(spec, directory, memory_limit);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    return engine;
}

static struct tumble_engine *reopened(struct tumble_engine *engine, const char *directory, size_t memory_limit) {
    tumble_engine_destroy(engine);
    return opened(directory, memory_limit);
}

/* The window three times, each a fragment of its own; rows of all of them. */
static char *expected(void) {
    static char text[sizeof kept[0].text];
    struct tumble_engine *engine = opened(NULL, 0);
    kept_reset();
    for (uint64_t fragment = 0; fragment < 3; fragment++) {
        for (uint64_t batch = 0; batch < 5; batch++) {
            apply(engine, 1 + 300 * fragment + 60 * batch, batch ? 10 : 60);
        }
        close_window(engine);
        ok(tumble_engine_drain(engine, &error));
    }
    memcpy(text, kept[0].text, kept[0].length + 1);
    tumble_engine_destroy(engine);
    return text;
}

static void a_window_that_opens_again_leaves_the_closed_one_alone(void **state) {
    (void)state;
    char *rows = expected();
    for (unsigned variant = 0; variant < 8; variant++) {
        char directory[] = "/tmp/tumble-test-XXXXXX";
        assert_non_null(mkdtemp(directory));
        size_t limit = variant & 1 ? 1 : 0;
        struct tumble_engine *engine = opened(directory, limit);
        kept_reset();
        for (uint64_t fragment = 0; fragment < 3; fragment++) {
            for (uint64_t batch = 0; batch < 5; batch++) {
                apply(engine, 1 + 300 * fragment + 60 * batch, batch ? 10 : 60);
                engine = variant & 2 ? reopened(engine, directory, limit) : engine;
            }
            close_window(engine);
            engine = variant & 4 ? reopened(engine, directory, limit) : engine;
        }
        assert_int_equal(kept[0].count, 0);
        ok(tumble_engine_drain(engine, &error));
        assert_string_equal(kept[0].text, rows);
        ok(tumble_engine_commit(engine, &error));
        engine = reopened(engine, directory, limit); /* and nothing of them is left */
        ok(tumble_engine_drain(engine, &error));
        assert_string_equal(kept[0].text, rows);
        struct tumble_counters counters;
        tumble_engine_counters(engine, &counters);
        assert_int_equal(counters.memory_bytes, 0);
        tumble_engine_destroy(engine);
        struct tw_store *store;
        struct tw_store_options options = {.directory = directory};
        ok(tw_store_open(&options, &store, &error));
        ok(tw_store_begin(store, &error));
        struct tw_key key = tw_key_groups(0, 0, 0, 'S', 0);
        for (uint32_t generation = 0; generation < 20; generation++) {
            struct tumble_bytes value;
            bool found;
            key = tw_key_groups(0, 0, generation, 'S', 0);
            ok(tw_store_get(store, tw_key_view(&key), &found, &value, &error));
            assert_false(found);
        }
        tw_store_close(store);
        remove_state(directory);
    }
}

static void an_output_goes_on_from_any_row(void **state) {
    (void)state;
    char *rows = expected();
    for (unsigned variant = 0; variant < 8; variant++) {
        for (size_t taken = 0; taken < 3 * ROWS; taken += 1 + taken % 37) {
            char directory[] = "/tmp/tumble-test-XXXXXX";
            bool stored = variant & 4;
            size_t limit = variant & 1 ? 1 : 0;
            if (stored) {
                assert_non_null(mkdtemp(directory));
            }
            struct tumble_engine *engine = opened(stored ? directory : NULL, limit);
            kept_reset();
            kept[0].retry_from = taken;
            for (uint64_t fragment = 0; fragment < 3; fragment++) {
                for (uint64_t batch = 0; batch < 5; batch++) {
                    apply(engine, 1 + 300 * fragment + 60 * batch, batch ? 10 : 60);
                }
                close_window(engine);
            }
            assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EOUTPUT);
            assert_int_equal(kept[0].count, taken);
            ok(tumble_engine_commit(engine, &error));
            if (stored && variant & 2) {
                engine = reopened(engine, directory, limit);
            }
            kept[0].retry_from = SIZE_MAX;
            ok(tumble_engine_drain(engine, &error));
            assert_string_equal(kept[0].text, rows);
            tumble_engine_destroy(engine);
            if (stored) {
                remove_state(directory);
            }
        }
    }
}

struct seen {
    char text[sizeof kept[0].text];
    size_t length;
};

static enum tumble_code see(void *ctx, const struct tumble_row *row) {
    struct seen *seen = ctx;
    assert_true(seen->length + row->json.length + 2 < sizeof seen->text);
    memcpy(seen->text + seen->length, row->json.data, row->json.length);
    seen->length += row->json.length;
    seen->text[seen->length++] = '\n';
    seen->text[seen->length] = '\0';
    return TUMBLE_OK;
}

static enum tumble_code see_output(void *ctx, const struct tumble_stored_output *output) {
    struct tumble_stored_output *out = ctx;
    *out = *output;
    return TUMBLE_OK;
}

static void what_waits_is_told_without_being_taken(void **state) {
    (void)state;
    static struct seen seen;
    char *rows = expected();
    size_t first_row = strcspn(rows, "\n");
    for (size_t taken = 0; taken < 2; taken++) {
        char directory[] = "/tmp/tumble-test-XXXXXX";
        assert_non_null(mkdtemp(directory));
        struct tumble_engine *engine = opened(directory, 0);
        kept_reset();
        kept[0].retry_from = taken;
        for (uint64_t fragment = 0; fragment < 3; fragment++) {
            for (uint64_t batch = 0; batch < 5; batch++) {
                apply(engine, 1 + 300 * fragment + 60 * batch, batch ? 10 : 60);
            }
            close_window(engine);
        }
        struct tumble_output_status status;
        assert_true(tumble_engine_output_status(engine, 0, &status));
        assert_true(status.is_waiting);
        assert_int_equal(status.waiting_bytes, strlen(rows) - 3 * ROWS); /* rows less their line ends */
        assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EOUTPUT);
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_destroy(engine);
        struct tumble_engine_options look = {.spec = spec, .state_directory = directory, .read_only = 1};
        ok(tumble_engine_open(&look, &engine, &error));
        memset(&seen, 0, sizeof seen);
        ok(tumble_engine_outbox(engine, TUMBLE_ROW_WINDOW, see, &seen, &error));
        assert_string_equal(seen.text, rows);
        struct tumble_stored_output stored;
        ok(tumble_engine_stored_outputs(engine, see_output, &stored, &error));
        assert_int_equal(stored.rows, 3 * ROWS - taken);
        assert_int_equal(stored.bytes, strlen(rows) - 3 * ROWS - taken * first_row);
        assert_int_equal(stored.oldest_window_start_ms, 0);
        tumble_engine_destroy(engine);
        engine = opened(directory, 0);
        assert_true(tumble_engine_output_status(engine, 0, &status));
        assert_int_equal(status.waiting_bytes, strlen(rows) - 3 * ROWS);
        tumble_engine_destroy(engine);
        remove_state(directory);
    }
}

/* Fails the 1st, 2nd, 3rd … allocation from the first close on: what is delivered in the end is the same. */
static void memory_may_run_out_while_rows_wait(void **state) {
    (void)state;
    char *rows = expected();
    for (unsigned variant = 0; variant < 2; variant++) {
        size_t failures = 0;
        for (size_t fail_at = 1;; fail_at++) {
            struct counting_alloc count = {0};
            char directory[] = "/tmp/tumble-test-XXXXXX";
            assert_non_null(mkdtemp(directory));
            struct tumble_engine *engine;
            struct tumble_engine_options options = {.spec = spec,
                                                    .source = tumble_bytes_of("test"),
                                                    .state_directory = directory,
                                                    .durability = TUMBLE_DURABILITY_NONE,
                                                    .memory_limit_bytes = variant,
                                                    .alloc = counting_alloc_of(&count)};
            ok(tumble_engine_open(&options, &engine, &error));
            attach_kept(engine, TUMBLE_ROW_WINDOW);
            kept_reset();
            for (uint64_t batch = 0; batch < 5; batch++) {
                apply(engine, 1 + 60 * batch, batch ? 10 : 60);
            }
            count.calls = 0;
            count.fail_at = fail_at;
            ok(tumble_shard_close(shard_of(engine, "s"), 0, &error));
            enum tumble_code code = tumble_engine_commit(engine, &error);
            code = code == TUMBLE_OK ? tumble_engine_drain(engine, &error) : code;
            assert_true(code == TUMBLE_OK || code == TUMBLE_ENOMEM);
            tumble_engine_destroy(engine);
            assert_int_equal(count.live, 0);
            kept_reset(); /* nothing was acknowledged: all of it comes again */
            engine = opened(directory, 0);
            ok(tumble_shard_close(shard_of(engine, "s"), 0, &error));
            ok(tumble_engine_commit(engine, &error));
            ok(tumble_engine_drain(engine, &error));
            assert_int_equal(kept[0].count, ROWS);
            assert_memory_equal(kept[0].text, rows, kept[0].length);
            tumble_engine_destroy(engine);
            remove_state(directory);
            if (count.failed == 0) {
                break;
            }
            failures++;
        }
        assert_true(failures > 4);
    }
}

/* ---- damage ---- */

static void alter(const char *directory, enum tumble_code expected_code, const char *expected_text, size_t at,
                  char value) {
    struct tw_store *store;
    struct tw_store_options options = {.directory = directory};
    struct tumble_bytes stored, payload;
    struct tw_key key = tw_key_outbox(TUMBLE_ROW_WINDOW, 0);
    char bytes[512], before;
    bool found;
    ok(tw_store_open(&options, &store, &error));
    ok(tw_store_begin(store, &error));
    ok(tw_store_get(store, tw_key_view(&key), &found, &stored, &error));
    assert_true(found && stored.length <= sizeof bytes);
    memcpy(bytes, stored.data, stored.length);
    ok(tw_frame_open(stored, TW_FRAME_CLOSED, 0, "it", &payload, &error));
    assert_true(at < payload.length);
    struct tw_buf frame;
    size_t mark;
    for (int again = 0; again < 2; again++) { /* altered, then as it was */
        before = bytes[24 + at];
        bytes[24 + at] = value;
        tw_buf_init(&frame, tw_alloc_default(), 4096);
        assert_int_equal(tw_frame_begin(&frame, TW_FRAME_CLOSED, tumble_spec_digest(spec), &mark), TUMBLE_OK);
        assert_int_equal(tw_buf_append(&frame, bytes + 24, payload.length), TUMBLE_OK);
        assert_int_equal(tw_frame_seal(&frame, mark), TUMBLE_OK);
        if (again) {
            ok(tw_store_open(&options, &store, &error));
            ok(tw_store_begin(store, &error));
        }
        ok(tw_store_put(store, tw_key_view(&key), tw_buf_view(&frame), &error));
        ok(tw_store_commit(store, &error));
        tw_store_close(store);
        tw_buf_clean_up(&frame);
        if (!again) {
            struct tumble_engine *engine;
            struct tumble_engine_options how = {
                .spec = spec, .source = tumble_bytes_of("test"), .state_directory = directory};
            enum tumble_code code = tumble_engine_open(&how, &engine, &error);
            if (code == TUMBLE_OK) {
                attach_kept(engine, TUMBLE_ROW_WINDOW);
                code = tumble_engine_drain(engine, &error);
                tumble_engine_destroy(engine);
            }
            assert_int_equal(code, expected_code);
            if (!strstr(error.text, expected_text)) {
                fail_msg("%s", error.text);
            }
            value = before;
        }
    }
}

static void damaged_closed_windows_are_refused(void **state) {
    (void)state;
    enum { SHARD_AT = 16 + 1, ROWS_AT = SHARD_AT + 1, HEADER_AT = ROWS_AT + 32 + 2 };
    char directory[] = "/tmp/tumble-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct tumble_engine *engine = opened(directory, 0);
    kept_reset();
    apply(engine, 1, 60);
    close_window(engine);
    tumble_engine_destroy(engine);
    alter(directory, TUMBLE_ECORRUPT, "a closed window in the outbox is damaged", SHARD_AT, 't');
    alter(directory, TUMBLE_ECORRUPT, "a closed window in the outbox is damaged", SHARD_AT - 1, 100);
    alter(directory, TUMBLE_ECORRUPT, "a closed window in the outbox is damaged", ROWS_AT, 0);
    alter(directory, TUMBLE_ECORRUPT, "a closed window has fewer rows than it closed with", ROWS_AT, 61);
    alter(directory, TUMBLE_ECORRUPT, "a closed window has more rows than it closed with", ROWS_AT, 59);
    alter(directory, TUMBLE_ECORRUPT, "groups of a window are missing", HEADER_AT + 1, 59);
    alter(directory, TUMBLE_ECORRUPT, "its header is cut", HEADER_AT + 1, (char)0x80);
    engine = opened(directory, 0);
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(kept[0].count % 60, 0);
    tumble_engine_destroy(engine);
    remove_state(directory);
}

static int parse_spec(void **state) {
    (void)state;
    spec = spec_of(SPEC);
    return 0;
}

static int destroy_spec(void **state) {
    (void)state;
    tumble_spec_destroy(spec);
    return 0;
}

/* Processor time of closing so many windows of a record each. */
static clock_t close_many(struct tumble_engine *engine, int64_t first, int64_t count) {
    const clock_t began = clock();
    for (int64_t i = first; i < first + count; i++) {
        struct made_records made = {0};
        make_record(&made, (uint64_t)i + 1, "{\"k\":\"a\",\"v\":1}");
        ok(tumble_shard_apply(shard_of(engine, "s"), i * 60000, made.records, made.count, NULL, &error));
        ok(tumble_shard_close(shard_of(engine, "s"), i * 60000, &error));
        ok(tumble_engine_commit(engine, &error));
    }
    return clock() - began;
}

static void a_commit_takes_no_longer_for_what_waits(void **state) {
    (void)state;
    enum { FEW = 2000, MANY = 30000 };
    struct tumble_engine *engine = opened(NULL, 0);
    kept_reset();
    close_many(engine, 0, FEW);
    clock_t at_first = close_many(engine, FEW, FEW);
    close_many(engine, 2 * FEW, MANY);
    clock_t with_many = close_many(engine, 2 * FEW + MANY, FEW);
    assert_true(with_many < 6 * at_first);
    tumble_engine_destroy(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_that_opens_again_leaves_the_closed_one_alone),
        cmocka_unit_test(an_output_goes_on_from_any_row),
        cmocka_unit_test(what_waits_is_told_without_being_taken),
        cmocka_unit_test(memory_may_run_out_while_rows_wait),
        cmocka_unit_test(damaged_closed_windows_are_refused),
        cmocka_unit_test(a_commit_takes_no_longer_for_what_waits),
    };
    return cmocka_run_group_tests(tests, parse_spec, destroy_spec);
}
