#include <stdbool.h>
#include <stdlib.h>

#include <tumble/delivery.h>

#include "engine_fixture.h"

/* A shard that another process reads from now on: nothing of it goes on or leaves, everything else does. */

static struct tumble_spec *spec;
static struct tumble_error error;

static int set_up(void **state) {
    (void)state;
    spec = spec_of(SPEC);
    kept_reset();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tumble_spec_destroy(spec);
    return 0;
}

/* One record a group, count of them, in the window of that start. */
static void apply(struct tumble_engine *engine, const char *shard, int64_t start_ms, uint64_t sequence, int count) {
    for (int done = 0; done < count;) {
        struct made_records made = {0};
        for (; made.count < 64 && done < count; done++) {
            char json[64];
            snprintf(json, sizeof json, "{\"k\":\"%s-%d\",\"v\":1}", shard, done);
            make_record(&made, sequence++, json);
        }
        ok(tumble_shard_apply(shard_of(engine, shard), start_ms, made.records, made.count, NULL, &error));
    }
}

static void close_window(struct tumble_engine *engine, const char *shard, int64_t start_ms) {
    ok(tumble_shard_close(shard_of(engine, shard), start_ms, &error));
}

static void forget(struct tumble_engine *engine, const char *shard) {
    ok(tumble_shard_forget(shard_of(engine, shard), &error));
}

static size_t rows_of(const char *shard) {
    char text[64];
    size_t count = 0;
    snprintf(text, sizeof text, "\"shard_id\":\"%s\"", shard);
    for (const char *at = kept[0].text; kept[0].length && (at = strstr(at, text)); at++) {
        count++;
    }
    return count;
}

static enum tumble_code count_window(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    (void)shard;
    (void)window_start_ms;
    ++*(int *)ctx;
    return TUMBLE_OK;
}

static int open_windows(struct tumble_engine *engine) {
    int count = 0;
    ok(tumble_engine_windows(engine, count_window, &count));
    return count;
}

static void a_forgotten_shard_leaves_no_window_and_no_row(void **state) {
    (void)state;
    char directory[] = "/tmp/tumble-test-XXXXXX";
    uint64_t written, acknowledged;
    assert_non_null(mkdtemp(directory));
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (int round = 0; round < 3; round++) {
        apply(engine, "a", round * 60000, 1 + (uint64_t)round * 10, 2);
        apply(engine, "b", round * 60000, 1 + (uint64_t)round * 10, 3);
        if (round < 2) {
            close_window(engine, "a", round * 60000);
            close_window(engine, "b", round * 60000);
        }
        ok(tumble_engine_commit(engine, &error));
    }
    assert_int_equal(open_windows(engine), 2);
    forget(engine, "a");
    assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EINVAL);
    assert_int_equal(tumble_shard_apply(shard_of(engine, "a"), 120000, NULL, 0, NULL, &error), TUMBLE_EINVAL);
    ok(tumble_engine_commit(engine, &error));
    assert_int_equal(open_windows(engine), 1);
    tumble_engine_destroy(engine); /* and so it stands in the state */
    engine = engine_of(spec, directory, 0);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    assert_int_equal(open_windows(engine), 1);
    tumble_engine_outbox_progress(engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
    assert_int_equal(written, 4);
    assert_int_equal(acknowledged, 0);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(rows_of("a"), 0);
    assert_int_equal(rows_of("b"), 6);
    tumble_engine_outbox_progress(engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
    assert_int_equal(acknowledged, 4);
    /* the shard may begin anew, below its old mark too, and twice forgotten is forgotten */
    apply(engine, "a", 60000, 5, 2);
    close_window(engine, "a", 60000);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(rows_of("a"), 2);
    forget(engine, "a");
    forget(engine, "a");
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    ok(tumble_engine_commit(engine, &error));
    assert_int_equal(rows_of("a"), 2);
    tumble_engine_destroy(engine);
    remove_state(directory);
}

/* ---- more rows than are kept ---- */

static struct tally {
    size_t rows[2]; /* of shard a, of shard b */
    size_t retry_from;
} tally;

static enum tumble_code tally_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    (void)how;
    (void)err;
    *self = &tally;
    return TUMBLE_OK;
}

static enum tumble_code tally_write(void *self, const struct tumble_row *rows, size_t n, struct tumble_delivery *out,
                                    struct tumble_error *err) {
    (void)self;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        bool is_taken = tally.rows[0] + tally.rows[1] < tally.retry_from;
        out[i].outcome = is_taken ? TUMBLE_DELIVERED : TUMBLE_RETRY;
        out[i].reason = "busy";
        tally.rows[rows[i].fragment->shard_id.data[0] == 'b'] += is_taken;
    }
    return TUMBLE_OK;
}

static enum tumble_code tally_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

static void tally_close(void *self) { (void)self; }

static const struct tumble_output_api tally_api = {.struct_size = sizeof tally_api,
                                                   .abi_version = TUMBLE_OUTPUT_ABI,
                                                   .name = "tally",
                                                   .open = tally_open,
                                                   .write = tally_write,
                                                   .flush = tally_flush,
                                                   .close = tally_close};

/* Rows enough for several offers, some of them taken by the output already. */
static void fragments_of_many_rows_are_forgotten_in_their_middle(void **state) {
    (void)state;
    enum { MANY = 6000 };
    static const size_t taken[] = {0, 1, 700, MANY - 1, MANY, MANY + 1, MANY + 700, MANY + MANY, MANY + MANY + 2};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW};
        uint64_t written, acknowledged;
        memset(&tally, 0, sizeof tally);
        tally.retry_from = taken[i];
        struct tumble_engine *engine = engine_of(spec, NULL, 0);
        ok(tumble_engine_attach(engine, "tally:", &tally_api, &how, &error));
        ok(tumble_engine_commit(engine, &error));
        apply(engine, "a", 0, 1, MANY);
        apply(engine, "b", 0, 1, MANY);
        apply(engine, "a", 60000, 9001, 3);
        close_window(engine, "a", 0);
        close_window(engine, "b", 0);
        close_window(engine, "a", 60000);
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_outbox_progress(engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
        assert_int_equal(written, 3); /* a chunk each */
        assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EOUTPUT);
        size_t before = tally.rows[0];
        assert_int_equal(before + tally.rows[1], taken[i]);
        forget(engine, "a");
        ok(tumble_engine_commit(engine, &error));
        tally.retry_from = SIZE_MAX;
        ok(tumble_engine_drain(engine, &error));
        assert_int_equal(tally.rows[0], before);
        assert_int_equal(tally.rows[1], MANY);
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_outbox_progress(engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
        assert_int_equal(written, acknowledged);
        tumble_engine_destroy(engine);
    }
}

static struct counting_alloc count;

static struct tumble_engine *counted_engine(const char *directory) {
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec,
                                            .source = tumble_bytes_of("test"),
                                            .state_directory = directory,
                                            .durability = TUMBLE_DURABILITY_NONE,
                                            .alloc = counting_alloc_of(&count)};
    ok(tumble_engine_open(&options, &engine, &error));
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    return engine;
}

/* Whichever allocation fails: either nothing was forgotten or all of it, and the same again does it. */
static void a_fault_forgets_all_or_nothing(void **state) {
    (void)state;
    for (size_t at = 1;; at++) {
        char directory[] = "/tmp/tumble-test-XXXXXX";
        assert_non_null(mkdtemp(directory));
        kept_reset();
        struct tumble_engine *engine = counted_engine(directory);
        ok(tumble_engine_commit(engine, &error));
        for (int round = 0; round < 2; round++) {
            apply(engine, "a", round * 60000, 1 + (uint64_t)round * 10, 2);
            apply(engine, "b", round * 60000, 1 + (uint64_t)round * 10, 2);
        }
        close_window(engine, "a", 0);
        close_window(engine, "b", 0);
        ok(tumble_engine_commit(engine, &error));
        count.calls = count.failed = 0;
        count.fail_at = at;
        enum tumble_code code = tumble_shard_forget(shard_of(engine, "a"), &error);
        if (code == TUMBLE_OK) {
            code = tumble_engine_commit(engine, &error);
        }
        count.fail_at = 0;
        tumble_engine_destroy(engine);
        engine = counted_engine(directory);
        int open = open_windows(engine);
        ok(tumble_engine_commit(engine, &error));
        ok(tumble_engine_drain(engine, &error));
        assert_int_equal(open, code == TUMBLE_OK ? 1 : 2);
        assert_int_equal(rows_of("a"), code == TUMBLE_OK ? 0 : 2);
        assert_int_equal(rows_of("b"), 2);
        forget(engine, "a");
        ok(tumble_engine_commit(engine, &error));
        assert_int_equal(open_windows(engine), 1);
        tumble_engine_destroy(engine);
        remove_state(directory);
        assert_int_equal(count.live, 0);
        if (!count.failed) {
            assert_int_equal(code, TUMBLE_OK);
            assert_true(at > 1);
            return;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_forgotten_shard_leaves_no_window_and_no_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fragments_of_many_rows_are_forgotten_in_their_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_forgets_all_or_nothing, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
