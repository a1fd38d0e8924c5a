#include <stdlib.h>

#include <tumble/delivery.h>

#include "engine/codec/hash.h"
#include "engine_fixture.h"

/* Rows to outputs in trouble: what is held, when it is tried again, what comes again, what a fragment is. */

enum { ROWS_KEPT = 40000, CALLS_KEPT = 4096 };

static struct script {
    enum tumble_code open_code;
    enum tumble_code write_code;
    enum tumble_code flush_code;
    int retry_from;   /* of the call's rows; -1: none */
    int reject_every; /* 0: none */
    int64_t retry_after_ms;
    uint32_t opens, closes, writes, flushes;
    size_t row_count;
    uint8_t keys[ROWS_KEPT][16];
    size_t flushed; /* rows offered and taken before the last good flush */
    uint64_t flush_rows[CALLS_KEPT];
    size_t opened_with; /* length of the checkpoint */
    uint8_t checkpoint;
    struct tumble_fragment fragment; /* of the last row; its views are not kept */
    uint8_t digest[16];              /* as worked out from the rows */
    bool fragment_whole;             /* every row of each fragment came, in order */
} script;

static enum tumble_code say(struct tumble_error *err, enum tumble_code code, const char *text) {
    if (code != TUMBLE_OK && err) {
        err->code = code;
        snprintf(err->text, sizeof err->text, "%s", text);
    }
    return code;
}

static enum tumble_code script_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    script.opens++;
    script.opened_with = how->checkpoint.length;
    *self = &script;
    assert_string_equal(how->target, "here");
    assert_int_equal(how->option_count, 1);
    assert_string_equal(how->options[0].value, "7");
    assert_int_equal(how->spec_digest, tumble_spec_digest(how->spec));
    assert_true(tumble_bytes_equal(how->source, tumble_bytes_of("test")));
    return say(err, script.open_code, "no way in");
}

static void look_at(const struct tumble_row *row) {
    const struct tumble_fragment *fragment = row->fragment;
    assert_non_null(fragment);
    assert_int_equal(fragment->struct_size, sizeof *fragment);
    if (row->fragment_row == 0) {
        memset(script.digest, 0, sizeof script.digest);
    }
    uint8_t both[32];
    memcpy(both, script.digest, 16);
    char shard[128];
    snprintf(shard, sizeof shard, "\"shard_id\":\"%.*s\",\"fragment\":\"%.*s\",\"last_sequence\":\"%.*s\"",
             (int)fragment->shard_id.length, fragment->shard_id.data, (int)fragment->first_sequence.length,
             fragment->first_sequence.data, (int)fragment->last_sequence.length, fragment->last_sequence.data);
    const char *own = strstr(row->json.data, shard);
    assert_non_null(own);
    own += strlen(shard);
    tw_hash128(own, row->json.length - (size_t)(own - row->json.data), both + 16);
    tw_hash128(both, sizeof both, script.digest);
    assert_int_equal(row->window_start_ms, fragment->window_start_ms);
    if (row->fragment_row + 1 == fragment->row_count) {
        assert_memory_equal(script.digest, fragment->digest, 16);
        script.fragment_whole = true;
    }
    script.fragment = *fragment;
}

static enum tumble_code script_write(void *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    (void)self;
    script.writes++;
    for (size_t i = 0; i < count && script.write_code == TUMBLE_OK; i++) {
        out[i].outcome = TUMBLE_DELIVERED;
        if (script.retry_from >= 0 && i >= (size_t)script.retry_from) {
            out[i] = (struct tumble_delivery){TUMBLE_RETRY, script.retry_after_ms, "not now"};
            continue;
        }
        look_at(&rows[i]);
        if (script.reject_every && rows[i].fragment_row % (unsigned)script.reject_every == 0) {
            out[i] = (struct tumble_delivery){TUMBLE_REJECTED, 0, "never"};
        }
        assert_true(script.row_count < ROWS_KEPT);
        memcpy(script.keys[script.row_count++], rows[i].key, 16);
    }
    return say(err, script.write_code, "nobody listens");
}

static enum tumble_code script_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self;
    (void)pending_done;
    if (script.flush_code == TUMBLE_OK) {
        assert_true(script.flushes < CALLS_KEPT);
        script.flush_rows[script.flushes++] = script.row_count;
        script.flushed = script.row_count;
        script.checkpoint++;
    }
    return say(err, script.flush_code, "cannot flush");
}

static size_t script_checkpoint(void *self, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]) {
    (void)self;
    memset(out, script.checkpoint, 5);
    return 5;
}

static void script_close(void *self) {
    assert_ptr_equal(self, &script);
    script.closes++;
}

static struct tumble_output_api script_api = {
    .struct_size = sizeof script_api,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "script",
    .open = script_open,
    .write = script_write,
    .flush = script_flush,
    .checkpoint = script_checkpoint,
    .close = script_close,
};

static int64_t clock_ms;
static int64_t now_ms(void *ctx) {
    (void)ctx;
    return clock_ms;
}
static const struct tumble_delivery_options timed = {.now_ms = now_ms};

static struct tumble_spec *spec;

static void attach_script(struct tumble_engine *engine) {
    struct tumble_error error;
    char option[] = "7", target[] = "here"; /* borrowed for the call: gone before it is opened again */
    struct tumble_option_value options[] = {{.name = "level", .value = option, .number = 7, .given = 1}};
    struct tumble_output_open how = {.target = target, .options = options, .option_count = 1};
    ok(tumble_engine_attach(engine, "script:here", &script_api, &how, &error));
    memset(option, 'x', 1);
    memset(target, 'x', 4);
}

static void reset(uint32_t flags) {
    memset(&script, 0, sizeof script);
    script.retry_from = -1;
    script_api.flags = flags;
    kept_reset();
    clock_ms = 1000;
}

/* rows groups in the window at start; sequence numbers from first on. */
static void fill(struct tumble_engine *engine, const char *shard, int64_t start, size_t rows, uint64_t first) {
    struct tumble_error error;
    for (size_t done = 0; done < rows;) {
        static struct made_records made;
        made.count = 0;
        while (made.count < 64 && done < rows) {
            char json[96];
            snprintf(json, sizeof json, "{\"k\":\"group %zu of many with a long name\",\"v\":%zu}", done, done);
            make_record(&made, first + done, json);
            done++;
        }
        ok(tumble_shard_apply(shard_of(engine, shard), start, made.records, made.count, NULL, &error));
    }
    ok(tumble_shard_close(shard_of(engine, shard), start, &error));
}

static struct tumble_engine *engine_with(uint32_t flags) {
    struct tumble_error error;
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    reset(flags);
    attach_script(engine);
    ok(tumble_engine_commit(engine, &error));
    return engine;
}

static struct tumble_output_status status_of(struct tumble_engine *engine, size_t index) {
    struct tumble_output_status status;
    assert_true(tumble_engine_output_status(engine, index, &status));
    return status;
}

static void an_output_in_trouble_is_held_and_the_others_go_on(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    fill(engine, "s", 0, 100, 1);
    script.write_code = TUMBLE_EOUTPUT;
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(kept[0].count, 100);
    assert_int_equal(script.row_count, 0);
    assert_int_equal(script.closes, 1); /* opened again at the next attempt */
    struct tumble_output_status held = status_of(engine, 0), well = status_of(engine, 1);
    assert_int_equal(held.attempts, 1);
    assert_true(held.is_waiting && held.waiting_bytes > 100);
    assert_string_equal(held.last_error, "nobody listens");
    assert_int_equal(held.held_since_ms, 1000);
    assert_true(next == held.next_ms && next >= 1000 && next <= 1100);
    assert_true(well.attempts == 0 && !well.is_waiting && well.waiting_bytes == 0);
    clock_ms = next - 1;
    if (clock_ms >= 1000) { /* not due yet */
        ok(tumble_engine_deliver(engine, &timed, NULL, &error));
        assert_int_equal(script.writes, 1);
    }
    script.write_code = TUMBLE_OK;
    clock_ms = next;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 100);
    assert_int_equal(kept[0].count, 100);
    assert_int_equal(next, INT64_MAX);
    assert_int_equal(status_of(engine, 0).attempts, 0);
    assert_int_equal(script.opens, 2);
    tumble_engine_destroy(engine);
    assert_int_equal(script.closes, 2);
}

static void delays_double_up_to_a_cap_with_full_jitter(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    fill(engine, "s", 0, 1, 1);
    ok(tumble_engine_commit(engine, &error));
    script.write_code = TUMBLE_EBUSY;
    bool below_half = false, above_half = false;
    for (int attempt = 0; attempt < 60; attempt++) {
        ok(tumble_engine_deliver(engine, &timed, &next, &error));
        int64_t most = attempt < 8 ? 100 << attempt : 20000;
        most = most < 20000 ? most : 20000;
        assert_true(next >= clock_ms && next <= clock_ms + most);
        if (attempt > 8) {
            below_half |= next - clock_ms < most / 2;
            above_half |= next - clock_ms > most / 2;
        }
        clock_ms = next;
    }
    assert_true(below_half && above_half);
    assert_int_equal(status_of(engine, 0).attempts, 60);
    assert_int_equal(status_of(engine, 0).held_since_ms, 1000);
    tumble_engine_destroy(engine);
}

static void retry_after_is_honoured_and_settled_rows_stay_settled(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    fill(engine, "s", 0, 100, 1);
    ok(tumble_engine_commit(engine, &error));
    script.retry_from = 30;
    script.retry_after_ms = 5000;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(next, 6000);
    assert_int_equal(script.flushed, 30);
    assert_int_equal(script.closes, 0); /* the same self goes on */
    script.retry_from = -1;
    clock_ms = 6000;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 100);
    for (size_t i = 0; i < 100; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(script.keys[i], script.keys[j], 16);
        }
    }
    tumble_engine_destroy(engine);
}

static void what_a_failed_flush_left_comes_again_after_a_new_open(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    fill(engine, "s", 0, 50, 1);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    ok(tumble_engine_commit(engine, &error));
    fill(engine, "s", 60000, 50, 100);
    ok(tumble_engine_commit(engine, &error));
    script.flush_code = TUMBLE_EOUTPUT;
    uint8_t checkpoint = script.checkpoint;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 100);
    assert_true(status_of(engine, 0).is_waiting);
    ok(tumble_engine_commit(engine, &error)); /* acknowledges none of them */
    script.flush_code = TUMBLE_OK;
    clock_ms = next;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 150);
    assert_memory_equal(script.keys[50], script.keys[100], 50 * 16);
    assert_int_equal(script.opened_with, 5);
    assert_int_equal(script.checkpoint, checkpoint + 1);
    assert_false(status_of(engine, 0).is_waiting);
    tumble_engine_destroy(engine);
}

static void rejected_rows_become_failures_only_when_they_are_acknowledged(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    attach_kept(engine, TUMBLE_ROW_FAILURE);
    fill(engine, "s", 0, 100, 1);
    ok(tumble_engine_commit(engine, &error));
    script.reject_every = 10;
    script.flush_code = TUMBLE_EOUTPUT;
    for (int i = 0; i < 5; i++) {
        ok(tumble_engine_deliver(engine, &timed, &next, &error));
        ok(tumble_engine_commit(engine, &error));
        clock_ms = next;
    }
    struct tumble_counters counters;
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.rows_rejected, 0);
    script.flush_code = TUMBLE_OK;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(kept[1].count, 10);
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.rows_rejected, 10);
    tumble_engine_destroy(engine);
}

/* 20,000 rows are more than a chunk of the outbox and more than a batch; the digest is checked by look_at. */
static void a_fragment_of_many_chunks_knows_its_rows(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(0);
    fill(engine, "a", 0, 20000, 1);
    fill(engine, "b", 0, 3, 7);
    ok(tumble_engine_commit(engine, &error));
    script.retry_from = 100; /* each delivery ends inside the fragment */
    for (int i = 0; i < 30; i++) {
        ok(tumble_engine_deliver(engine, NULL, &next, &error));
        ok(tumble_engine_commit(engine, &error)); /* chunks go, the fragment's summary must not */
    }
    assert_int_equal(script.row_count, 3000);
    script.retry_from = -1;
    script.fragment_whole = false;
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_true(script.fragment_whole);
    assert_int_equal(script.row_count, 20003);
    assert_int_equal(script.fragment.row_count, 3);
    assert_int_equal(script.fragment.record_count, 3);
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_destroy(engine);
}

static void whole_fragments_are_never_flushed_inside_and_come_again_from_their_first_row(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(TUMBLE_OUTPUT_WHOLE_FRAGMENTS);
    fill(engine, "a", 0, 1000, 1);
    fill(engine, "b", 0, 3, 1);
    fill(engine, "a", 60000, 700, 2000);
    ok(tumble_engine_commit(engine, &error));
    script.retry_from = 200;
    ok(tumble_engine_deliver(engine, NULL, &next, &error)); /* in the first fragment: nothing is flushed */
    assert_int_equal(script.flushes, 0);
    assert_true(status_of(engine, 0).is_waiting);
    script.retry_from = -1;
    script.write_code = TUMBLE_EOUTPUT;
    ok(tumble_engine_deliver(engine, NULL, &next, &error)); /* closed inside the fragment: from its start again */
    script.write_code = TUMBLE_OK;
    size_t before = script.row_count;
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_int_equal(script.row_count - before, 1703);
    assert_memory_equal(script.keys[0], script.keys[before], before * 16);
    assert_int_equal(script.flush_rows[0] - before, 1000);
    assert_int_equal(script.flush_rows[1] - before, 1003);
    assert_int_equal(script.flush_rows[2] - before, 1703);
    assert_false(status_of(engine, 0).is_waiting);
    tumble_engine_destroy(engine);
}

static void whole_fragments_are_flushed_together_while_nothing_is_wrong(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_with(TUMBLE_OUTPUT_WHOLE_FRAGMENTS);
    fill(engine, "a", 0, 1000, 1);
    fill(engine, "b", 0, 3, 1);
    fill(engine, "a", 60000, 700, 2000);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_int_equal(script.row_count, 1703);
    assert_int_equal(script.flushes, 1);
    assert_int_equal(script.flush_rows[0], 1703);
    assert_false(status_of(engine, 0).is_waiting);
    ok(tumble_engine_commit(engine, &error));
    fill(engine, "a", 120000, 10, 3000);
    fill(engine, "b", 120000, 300, 3000);
    ok(tumble_engine_commit(engine, &error));
    script.retry_from = 10; /* within the second: the first is not waited for */
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_int_equal(script.row_count, 1723);
    assert_int_equal(script.flushes, 1);
    script.retry_from = 0; /* nothing is taken at all */
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_int_equal(script.flushes, 1);
    script.retry_from = -1;
    ok(tumble_engine_deliver(engine, NULL, &next, &error));
    assert_int_equal(script.row_count, 2013);
    assert_int_equal(script.flush_rows[script.flushes - 1], 2013);
    assert_int_equal(script.opens, 1);
    tumble_engine_destroy(engine);
}

static void an_output_that_cannot_be_opened_is_held_from_the_start(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    reset(0);
    script.open_code = TUMBLE_EOUTPUT;
    attach_script(engine);
    assert_int_equal(status_of(engine, 0).attempts, 1);
    fill(engine, "s", 0, 10, 1);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(status_of(engine, 0).held_since_ms, 1000);
    assert_string_equal(status_of(engine, 0).last_error, "no way in");
    script.open_code = TUMBLE_OK;
    clock_ms = next;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 0); /* its checkpoint is committed first */
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 10);
    tumble_engine_destroy(engine);
    /* What waiting does not mend, and what says so, ends it. */
    static const struct {
        enum tumble_code code;
        uint32_t flags;
        enum tumble_code told;
    } cases[] = {{TUMBLE_EUSAGE, 0, TUMBLE_EUSAGE},
                 {TUMBLE_EOUTPUT, TUMBLE_OUTPUT_NO_RETRY, TUMBLE_EOUTPUT},
                 {(enum tumble_code)777, 0, TUMBLE_EOUTPUT},
                 {TUMBLE_EREJECTED, 0, TUMBLE_EREFUSED}, /* a whole call, not a row */
                 {TUMBLE_ELIMIT, 0, TUMBLE_EREFUSED},
                 {TUMBLE_ECORRUPT, 0, TUMBLE_EREFUSED},
                 {TUMBLE_EREFUSED, 0, TUMBLE_EREFUSED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_option_value option = {.name = "level", .value = "7"};
        struct tumble_output_open how = {.target = "here", .options = &option, .option_count = 1};
        engine = engine_of(spec, NULL, 0);
        reset(cases[i].flags);
        script.open_code = cases[i].code;
        assert_int_equal(tumble_engine_attach(engine, "script:here", &script_api, &how, &error), cases[i].told);
        assert_int_equal(error.code, cases[i].told);
        assert_string_equal(error.text + (cases[i].code == 777 ? strlen(error.text) : 0),
                            cases[i].code == 777 ? "" : "output script:here: no way in");
        tumble_engine_destroy(engine);
    }
}

static void tables_that_cannot_be_used_are_refused(void **state) {
    (void)state;
    static const char *const words[] = {"a", NULL};
    static const struct tumble_output_option none[] = {{.name = "a"}}, type[] = {{.name = "a", .help = "h", .type = 9}},
                                             name[] = {{.name = "A", .help = "h"}},
                                             fine[] = {{.name = "a", .help = "h", .type = 3, .words = words}};
    struct tumble_output_api good = script_api, bad;
    good.options = fine;
    good.option_count = 1;
    struct tumble_error error;
    assert_int_equal(tumble_output_check(&good, &error), TUMBLE_OK);
#define refused(change, wanted)                                                                                        \
    do {                                                                                                               \
        bad = good;                                                                                                    \
        change;                                                                                                        \
        assert_int_equal(tumble_output_check(&bad, &error), TUMBLE_EINVAL);                                            \
        if (!strstr(error.text, wanted)) {                                                                             \
            fail_msg("%s", error.text);                                                                                \
        }                                                                                                              \
    } while (0)
    refused(bad.abi_version = 0, "version 0");
    refused(bad.struct_size -= 1, "build it against");
    refused(bad.name = NULL, "no name");
    refused(bad.name = "", "no name");
    refused(bad.name = "a:b", "no name");
    refused(bad.open = NULL, "\"open\"");
    refused(bad.write = NULL, "\"write\"");
    refused(bad.flush = NULL, "\"flush\"");
    refused(bad.close = NULL, "\"close\"");
    refused(bad.option_count = 33, "33 options");
    refused(bad.options = NULL, "no table");
    refused(bad.options = none, "no help");
    refused(bad.options = type, "type 9");
    refused(bad.options = name, "no name of letters");
}

static uint64_t bytes_listed;

static enum tumble_code list(void *ctx, const struct tumble_stored_output *output) {
    char *text = ctx;
    bytes_listed = output->bytes;
    size_t length = strlen(text);
    snprintf(text + length, 1000 - length, "%.*s %d %llu %lld %u %.*s\n", (int)output->name.length, output->name.data,
             (int)output->kind, (unsigned long long)output->rows, (long long)output->oldest_window_start_ms,
             output->attempts, (int)output->last_error.length, output->last_error.data);
    return TUMBLE_OK;
}

struct lengths {
    uint64_t passed_over;
    uint64_t bytes;
};

static enum tumble_code add_length(void *ctx, const struct tumble_row *row) {
    struct lengths *lengths = ctx;
    lengths->bytes += lengths->passed_over ? 0 : row->json.length;
    lengths->passed_over -= lengths->passed_over > 0;
    return TUMBLE_OK;
}

static void the_state_tells_what_waits_and_an_absent_output_keeps_its_rows(void **state) {
    (void)state;
    struct tumble_error error;
    int64_t next;
    char directory[] = "/tmp/tumble-test-XXXXXX", text[1000] = "";
    assert_non_null(mkdtemp(directory));
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    reset(0);
    attach_script(engine);
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    fill(engine, "s", 60000, 40, 1);
    fill(engine, "t", 120000, 2, 1);
    ok(tumble_engine_commit(engine, &error));
    script.retry_from = 10;
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_stored_outputs(engine, list, text, &error));
    assert_string_equal(text, "kept: 0 0 -1 0 \n"
                              "script:here 0 32 60000 1 not now\n");
    struct lengths lengths = {.passed_over = 10};
    ok(tumble_engine_outbox(engine, TUMBLE_ROW_WINDOW, add_length, &lengths, &error));
    assert_int_equal(bytes_listed, lengths.bytes); /* of whole rows, whatever chunks keep once */
    tumble_engine_destroy(engine);
    char *source;
    int64_t window_seconds;
    ok(tumble_engine_peek_source(directory, (struct tumble_alloc){0}, &source, &window_seconds, &error));
    assert_string_equal(source, "test");
    assert_int_equal(window_seconds, 60);
    free(source);
    engine = engine_of(spec, directory, 0);
    ok(tumble_engine_attach_absent(engine, "script:here", TUMBLE_ROW_WINDOW, &error));
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    assert_true(status_of(engine, 0).is_absent && status_of(engine, 0).is_waiting);
    assert_true(status_of(engine, 0).waiting_bytes > 100); /* what was there before counts */
    fill(engine, "s", 180000, 5, 100);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_destroy(engine);
    engine = engine_of(spec, directory, 0);
    script.retry_from = -1;
    attach_script(engine);
    ok(tumble_engine_deliver(engine, &timed, &next, &error));
    assert_int_equal(script.row_count, 47);
    tumble_engine_destroy(engine);
    remove_state(directory);
}

static void keys_are_made_where_an_output_looks_at_them(void **state) {
    (void)state;
    enum { ROWS = 300 };
    static uint8_t keys[ROWS][16];
    static const uint8_t zeros[16];
    struct tumble_error error;
    for (int turn = 0; turn < 4;
         turn++) { /* with, without, beside one that wants them, wanted only when it is too late */
        struct tumble_engine *engine = engine_with(turn ? TUMBLE_OUTPUT_NO_KEYS : 0);
        if (turn == 2) {
            attach_kept(engine, TUMBLE_ROW_WINDOW);
        }
        fill(engine, "a", 0, ROWS, 1);
        ok(tumble_engine_commit(engine, &error));
        script_api.flags = turn == 3 ? 0 : script_api.flags;
        ok(tumble_engine_deliver(engine, NULL, NULL, &error));
        assert_int_equal(script.row_count, ROWS);
        assert_true(script.fragment_whole);
        for (size_t i = 0; i < ROWS; i++) {
            if (turn == 0) {
                memcpy(keys[i], script.keys[i], sizeof keys[i]);
                assert_memory_not_equal(keys[i], i ? keys[i - 1] : zeros, sizeof keys[i]);
            }
            assert_memory_equal(script.keys[i], turn == 1 ? zeros : keys[i], sizeof keys[i]);
        }
        tumble_engine_destroy(engine);
    }
}

static int set_up(void **state) {
    (void)state;
    spec = spec_of(SPEC);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tumble_spec_destroy(spec);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_output_in_trouble_is_held_and_the_others_go_on),
        cmocka_unit_test(delays_double_up_to_a_cap_with_full_jitter),
        cmocka_unit_test(retry_after_is_honoured_and_settled_rows_stay_settled),
        cmocka_unit_test(what_a_failed_flush_left_comes_again_after_a_new_open),
        cmocka_unit_test(rejected_rows_become_failures_only_when_they_are_acknowledged),
        cmocka_unit_test(a_fragment_of_many_chunks_knows_its_rows),
        cmocka_unit_test(whole_fragments_are_never_flushed_inside_and_come_again_from_their_first_row),
        cmocka_unit_test(whole_fragments_are_flushed_together_while_nothing_is_wrong),
        cmocka_unit_test(an_output_that_cannot_be_opened_is_held_from_the_start),
        cmocka_unit_test(tables_that_cannot_be_used_are_refused),
        cmocka_unit_test(the_state_tells_what_waits_and_an_absent_output_keeps_its_rows),
        cmocka_unit_test(keys_are_made_where_an_output_looks_at_them),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
