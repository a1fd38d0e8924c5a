#include <stdlib.h>

#include "engine_fixture.h"

/* What a state directory keeps, and what comes back from it. */

static char *new_directory(void) {
    static char directory[64];
    snprintf(directory, sizeof directory, "/tmp/tumble-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return directory;
}

/* Applies batches of a fixed stream to two windows; batch numbers are from 0. */
static void apply_batch(struct tumble_engine *engine, uint64_t batch) {
    struct tumble_error error;
    struct made_records made = {0};
    for (uint64_t i = 0; i < 20; i++) {
        char json[96];
        uint64_t n = batch * 20 + i;
        snprintf(json, sizeof json, "{\"k\":\"group %llu\",\"v\":%llu.%llu}", (unsigned long long)(n * 7919 % 150),
                 (unsigned long long)(n * 31 % 1000), (unsigned long long)(n % 100));
        make_record(&made, n + 1, json);
    }
    ok(tumble_shard_apply(shard_of(engine, batch % 2 ? "odd" : "even"), batch / 2 % 2 ? 60000 : 0, made.records,
                          made.count, NULL, &error));
}

static enum tumble_code close_all(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    (void)ctx;
    return tumble_shard_close(shard, window_start_ms, NULL);
}

static void finish(struct tumble_engine *engine) {
    struct tumble_error error;
    ok(tumble_engine_windows(engine, close_all, NULL));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    ok(tumble_engine_commit(engine, &error));
}

/* The rows of an undisturbed run in memory. */
static char *expected_rows(const struct tumble_spec *spec, uint64_t batches) {
    static char text[1 << 18];
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (uint64_t batch = 0; batch < batches; batch++) {
        apply_batch(engine, batch);
    }
    finish(engine);
    memcpy(text, kept[0].text, kept[0].length + 1);
    tumble_engine_destroy(engine);
    return text;
}

static void a_state_opened_again_after_every_commit_gives_the_same_rows(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    char *expected = expected_rows(spec, 40);
    char *directory = new_directory();
    kept_reset();
    for (uint64_t batch = 0; batch < 40; batch++) {
        struct tumble_engine *engine = engine_of(spec, directory, batch % 3 ? 0 : 1);
        apply_batch(engine, batch);
        char note[16];
        snprintf(note, sizeof note, "batch %llu", (unsigned long long)batch);
        if (batch) {
            char before[16];
            snprintf(before, sizeof before, "batch %llu", (unsigned long long)batch - 1);
            struct tumble_bytes kept_note = tumble_engine_note(engine, "at");
            assert_true(tumble_bytes_equal(kept_note, tumble_bytes_of(before)));
        }
        ok(tumble_engine_set_note(engine, "at", tumble_bytes_of(note), &error));
        ok(tumble_engine_commit(engine, &error));
        if (batch % 5 == 0) { /* what is not committed is not there */
            apply_batch(engine, batch + 1);
        }
        tumble_engine_destroy(engine);
    }
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    struct tumble_counters counters;
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.records, 800);
    assert_int_equal(counters.windows_opened, 4);
    finish(engine);
    assert_string_equal(kept[0].text, expected);
    tumble_engine_destroy(engine);
    remove_state(directory);
    tumble_spec_destroy(spec);
}

static void windows_dropped_from_memory_come_back(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    char *expected = expected_rows(spec, 40);
    char *directory = new_directory();
    struct tumble_engine *engine = engine_of(spec, directory, 1);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (uint64_t batch = 0; batch < 40; batch++) {
        apply_batch(engine, batch);
        ok(tumble_engine_commit(engine, &error));
        struct tumble_counters counters;
        tumble_engine_counters(engine, &counters);
        assert_int_equal(counters.memory_bytes, 0);
        assert_true(counters.groups_open > 0);
    }
    finish(engine);
    assert_string_equal(kept[0].text, expected);
    tumble_engine_destroy(engine);
    remove_state(directory);
    tumble_spec_destroy(spec);
}

/* memory_limit 1: every window that a batch touches is read back from what may still be on its way. */
static void commits_begun_and_left_alone_give_the_same_state(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    char *expected = expected_rows(spec, 40);
    for (size_t memory_limit = 0; memory_limit < 2; memory_limit++) {
        char *directory = new_directory();
        struct tumble_engine_options options = {.spec = spec,
                                                .source = tumble_bytes_of("test"),
                                                .state_directory = directory,
                                                .memory_limit_bytes = memory_limit};
        kept_reset();
        for (uint64_t batch = 0; batch < 40;) {
            struct tumble_engine *engine;
            ok(tumble_engine_open(&options, &engine, &error));
            for (int i = 0; i < 10; i++) {
                apply_batch(engine, batch++);
                ok(tumble_engine_commit_start(engine, &error));
            }
            if (batch == 20) {
                ok(tumble_engine_commit_finish(engine, &error));
            }
            tumble_engine_destroy(engine); /* what was begun is finished */
        }
        struct tumble_engine *engine;
        ok(tumble_engine_open(&options, &engine, &error));
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        ok(tumble_engine_windows(engine, close_all, NULL));
        ok(tumble_engine_commit_start(engine, &error));
        ok(tumble_engine_drain(engine, &error));
        ok(tumble_engine_commit_start(engine, &error));
        ok(tumble_engine_commit_finish(engine, &error));
        assert_string_equal(kept[0].text, expected);
        struct tumble_counters counters;
        tumble_engine_counters(engine, &counters);
        assert_int_equal(counters.records, 800);
        tumble_engine_destroy(engine);
        remove_state(directory);
    }
    tumble_spec_destroy(spec);
}

static void rows_wait_in_the_outbox_until_they_are_acknowledged(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    char *expected = expected_rows(spec, 4);
    char *directory = new_directory();
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (uint64_t batch = 0; batch < 4; batch++) {
        apply_batch(engine, batch);
    }
    ok(tumble_engine_windows(engine, close_all, NULL));
    ok(tumble_engine_commit(engine, &error));
    kept[0].retry_from = 7;
    assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EOUTPUT);
    assert_non_null(strstr(error.text, "busy"));
    assert_int_equal(kept[0].count, 7);
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_destroy(engine); /* the process ends; seven rows were acknowledged */
    engine = engine_of(spec, directory, 0);
    kept[0].retry_from = SIZE_MAX;
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    ok(tumble_engine_drain(engine, &error));
    assert_string_equal(kept[0].text, expected);
    size_t all = kept[0].count;
    tumble_engine_destroy(engine); /* delivered but not committed: they come again, in the same order */
    kept_reset();
    engine = engine_of(spec, directory, 0);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(kept[0].count, all - 7);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(kept[0].count, all - 7);
    tumble_engine_destroy(engine);
    remove_state(directory);
    tumble_spec_destroy(spec);
}

static void a_rejected_row_becomes_a_failure_or_ends_the_drain(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    for (int with_failures = 0; with_failures < 2; with_failures++) {
        struct tumble_engine *engine = engine_of(spec, NULL, 0);
        kept_reset();
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        if (with_failures) {
            attach_kept(engine, TUMBLE_ROW_FAILURE);
        }
        kept[0].reject_row = 2;
        apply_batch(engine, 0);
        ok(tumble_engine_windows(engine, close_all, NULL));
        ok(tumble_engine_commit(engine, &error));
        if (!with_failures) {
            assert_int_equal(tumble_engine_drain(engine, &error), TUMBLE_EREJECTED);
            assert_non_null(strstr(error.text, "too ugly"));
        } else {
            ok(tumble_engine_drain(engine, &error));
            ok(tumble_engine_commit(engine, &error));
            ok(tumble_engine_drain(engine, &error));
            assert_int_equal(kept[1].count, 1);
            assert_non_null(strstr(
                kept[1].text,
                "{\"fate\":\"rejected\",\"reason\":\"too ugly\",\"output\":\"kept:\",\"row\":{\"window_start\":"));
        }
        tumble_engine_destroy(engine);
    }
    tumble_spec_destroy(spec);
}

static void a_state_of_something_else_is_refused(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_spec *other =
        spec_of("{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    char *directory = new_directory();
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    apply_batch(engine, 0);
    ok(tumble_engine_commit(engine, &error));
    struct tumble_engine *second;
    struct tumble_engine_options options = {
        .spec = spec, .source = tumble_bytes_of("test"), .state_directory = directory};
    assert_int_equal(tumble_engine_open(&options, &second, &error), TUMBLE_EBUSY);
    assert_null(second);
    tumble_engine_destroy(engine);
    options.spec = other;
    assert_int_equal(tumble_engine_open(&options, &second, &error), TUMBLE_EMISMATCH);
    assert_non_null(strstr(error.text, "another spec"));
    options.spec = spec;
    options.source = tumble_bytes_of("elsewhere");
    assert_int_equal(tumble_engine_open(&options, &second, &error), TUMBLE_EMISMATCH);
    assert_non_null(strstr(error.text, "another source"));
    options.source = tumble_bytes_of("test");
    options.window_seconds = 30;
    assert_int_equal(tumble_engine_open(&options, &second, &error), TUMBLE_EMISMATCH);
    assert_non_null(strstr(error.text, "60 seconds"));
    char *json;
    ok(tumble_engine_peek_spec(directory, (struct tumble_alloc){0}, &json, &error));
    assert_non_null(strstr(json, "\"group_by\""));
    struct tumble_spec *peeked = spec_of(json);
    assert_int_equal(tumble_spec_digest(peeked), tumble_spec_digest(spec));
    struct tumble_engine_options look = {.spec = peeked, .state_directory = directory, .read_only = 1};
    ok(tumble_engine_open(&look, &engine, &error));
    assert_int_equal(tumble_engine_window_ms(engine), 60000);
    struct tumble_window_info info;
    ok(tumble_shard_window_info(shard_of(engine, "even"), 0, &info, &error));
    assert_int_equal(info.records, 20);
    assert_int_equal(tumble_engine_commit(engine, &error), TUMBLE_EINVAL);
    tumble_engine_destroy(engine);
    free(json);
    tumble_spec_destroy(peeked);
    tumble_spec_destroy(other);
    tumble_spec_destroy(spec);
    remove_state(directory);
}

/* Fails the 1st, 2nd, 3rd … allocation of a whole run until none fails any more. The run ends in ENOMEM and leaks
 * nothing; a call to apply that failed may be repeated from where it stood, and then the rows are the same. */
static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    struct tumble_spec *spec = spec_of(SPEC);
    char *expected = expected_rows(spec, 4);
    for (int persistent = 0; persistent < 2; persistent++) {
        for (size_t n = 1;; n++) {
            struct tumble_error error;
            struct counting_alloc count = {.fail_at = n, .persistent = persistent};
            struct tumble_engine *engine;
            struct tumble_engine_options options = {
                .spec = spec, .source = tumble_bytes_of("test"), .alloc = counting_alloc_of(&count)};
            struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW};
            kept_reset();
            enum tumble_code code = tumble_engine_open(&options, &engine, &error);
            if (code == TUMBLE_OK) {
                code = tumble_engine_attach(engine, "kept:", &kept_api, &how, &error);
            }
            for (uint64_t batch = 0; batch < 4 && code == TUMBLE_OK; batch++) {
                struct made_records made = {0};
                for (uint64_t i = 0; i < 20; i++) {
                    char json[96];
                    uint64_t r = batch * 20 + i;
                    snprintf(json, sizeof json, "{\"k\":\"group %llu\",\"v\":%llu.%llu}",
                             (unsigned long long)(r * 7919 % 150), (unsigned long long)(r * 31 % 1000),
                             (unsigned long long)(r % 100));
                    make_record(&made, r + 1, json);
                }
                struct tumble_shard *shard;
                struct tumble_apply_result result = {0};
                code = tumble_engine_shard(engine, tumble_bytes_of(batch % 2 ? "odd" : "even"), &shard, &error);
                for (size_t done = 0; code == TUMBLE_OK && done < made.count; done += result.processed) {
                    code = tumble_shard_apply(shard, batch / 2 % 2 ? 60000 : 0, made.records + done, made.count - done,
                                              &result, &error);
                    if (code == TUMBLE_ENOMEM && !persistent) {
                        code = TUMBLE_OK; /* once more, from the first record without a fate */
                    }
                }
            }
            if (code == TUMBLE_OK) {
                code = tumble_engine_windows(engine, close_all, NULL);
            }
            if (code == TUMBLE_OK) {
                code = tumble_engine_commit(engine, &error);
            }
            if (code == TUMBLE_OK) {
                code = tumble_engine_drain(engine, &error);
            }
            if (code == TUMBLE_OK) {
                assert_string_equal(kept[0].text, expected);
            } else {
                assert_int_equal(code, TUMBLE_ENOMEM);
            }
            tumble_engine_destroy(engine);
            assert_int_equal(count.live, 0);
            if (count.failed == 0) {
                assert_true(n > 20);
                break;
            }
        }
    }
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_opened_again_after_every_commit_gives_the_same_rows),
        cmocka_unit_test(commits_begun_and_left_alone_give_the_same_state),
        cmocka_unit_test(windows_dropped_from_memory_come_back),
        cmocka_unit_test(rows_wait_in_the_outbox_until_they_are_acknowledged),
        cmocka_unit_test(a_rejected_row_becomes_a_failure_or_ends_the_drain),
        cmocka_unit_test(a_state_of_something_else_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
