#include "engine/codec/json_scan.h"
#include "engine/codec/md5.h"
#include "function_fixture.h"

/* Finals and their outputs: such as disagree, ask for patience, reject, can be opened once; and memory that is not
 * there. */

/* ---- outputs ---- */

/* Rows count once they are flushed; what was not is lost by closing, as with a file's buffer. */
struct sink {
    struct text pending, taken;
    size_t pending_rows, rows, opened, offered, flushed;
    size_t retry_from, fail_from, reject_row; /* of the rows offered since reset; SIZE_MAX: none */
    int exclusive, is_open;
};
static struct sink sinks[3];

static enum tumble_code sink_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    struct sink *sink = &sinks[how->target[0] - '0'];
    if (sink->exclusive && sink->is_open) {
        snprintf(err->text, sizeof err->text, "somebody else has it");
        return err->code = TUMBLE_EOUTPUT;
    }
    sink->is_open = 1;
    sink->opened++;
    *self = sink;
    return TUMBLE_OK;
}

static enum tumble_code sink_write(void *self, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                   struct tumble_error *err) {
    struct sink *sink = self;
    for (size_t i = 0; i < count; i++) {
        size_t number = sink->offered++;
        if (number >= sink->fail_from) {
            snprintf(err->text, sizeof err->text, "the disk is \xff\xed\xa0\x80 full");
            return err->code = TUMBLE_EOUTPUT;
        }
        out[i].reason = "no";
        out[i].outcome = number >= sink->retry_from   ? TUMBLE_RETRY
                         : number == sink->reject_row ? TUMBLE_REJECTED
                                                      : TUMBLE_DELIVERED;
        if (out[i].outcome == TUMBLE_DELIVERED) {
            add_bytes(&sink->pending, rows[i].json.data, rows[i].json.length);
            add_bytes(&sink->pending, "\n", 1);
            sink->pending_rows++;
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code sink_flush(void *self, int pending_done, struct tumble_error *err) {
    struct sink *sink = self;
    (void)pending_done;
    (void)err;
    if (sink->pending.length) {
        add_bytes(&sink->taken, sink->pending.data, sink->pending.length);
    }
    sink->rows += sink->pending_rows;
    sink->flushed++;
    sink->pending.length = sink->pending_rows = 0;
    return TUMBLE_OK;
}

static void sink_close(void *self) {
    struct sink *sink = self;
    sink->pending.length = sink->pending_rows = 0;
    sink->is_open = 0;
}

static const struct tumble_output_api sink_api = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "sink",
    .open = sink_open,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
};

static void reset_sinks(void) {
    for (int i = 0; i < 3; i++) {
        free(sinks[i].pending.data);
        free(sinks[i].taken.data);
        memset(&sinks[i], 0, sizeof sinks[i]);
        sinks[i].retry_from = sinks[i].fail_from = sinks[i].reject_row = SIZE_MAX;
    }
}

static struct tumble_engine *with_sinks(const struct tumble_spec *spec, const struct tumble_carried_options *carried) {
    struct tumble_error error;
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec};
    ok(tumble_engine_open_carried(&options, carried, &engine, &error));
    static const char *const names[] = {"sink:0", "sink:1", "sink:2"}, *const targets[] = {"0", "1", "2"};
    for (int i = 0; i < 3; i++) {
        struct tumble_output_open how = {.kind = i == 2 ? TUMBLE_ROW_FAILURE : TUMBLE_ROW_WINDOW, .target = targets[i]};
        ok(tumble_engine_attach(engine, names[i], &sink_api, &how, &error));
    }
    return engine;
}

static void begin_with_sinks(struct function *function, const char *spec) {
    reset_sinks();
    function->spec = spec_of(spec);
    function->engine = with_sinks(function->spec, &function->carried);
}

static void end_with_sinks(struct function *function) {
    end(function);
    reset_sinks();
}

static void groups_and_final(struct function *function, unsigned groups, int64_t start) {
    struct event_parts parts = {.shard = shard0, .start = start, .final = 1};
    begin_event(&function->event, &parts);
    for (uint64_t i = 0; i < groups; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"k\":\"group %06llu\",\"v\":1}", (unsigned long long)i);
        add_record(&function->event, shard0, i + 1, start, json);
    }
    end_event(&function->event, &parts);
}

static void outputs_that_disagree_have_every_row_once_after_the_retry(void **unused) {
    (void)unused;
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    for (int with_marks = 0; with_marks < 2; with_marks++) {
        for (int same_process = 0; same_process < 2; same_process++) {
            struct function function = {.carried.spill = with_marks ? &spill : NULL};
            begin_with_sinks(&function, SPEC);
            groups_and_final(&function, 900, START + 60 * (2 * with_marks + same_process));
            sinks[1].fail_from = 300;
            assert_int_equal(send(&function), TUMBLE_EOUTPUT);
            assert_string_equal(function.out.error_type, "Tumble.OutputFailed");
            struct tumble_value document; /* JSON, whatever a plug-in writes */
            assert_int_equal(tw_json_value(function.out.response, 1, &document, NULL, NULL), TUMBLE_OK);
            sinks[1].fail_from = SIZE_MAX;
            if (!same_process) {
                tumble_engine_destroy(function.engine);
                function.engine = with_sinks(function.spec, &function.carried);
            }
            send_ok(&function);
            assert_int_equal(sinks[0].rows, 900);
            assert_int_equal(sinks[1].rows, 900);
            assert_string_equal(sinks[0].taken.data, sinks[1].taken.data);
            send_ok(&function); /* the answer was lost: rows may come twice, but are the same ones */
            end_with_sinks(&function);
        }
    }
    free_store(store);
}

static void an_output_that_asks_for_patience_gets_on_with_every_retry(void **unused) {
    (void)unused;
    struct clock clock;
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct function function = {.carried = {.spill = &spill, .host = {&clock, remaining, sleep_ms}}};
    begin_with_sinks(&function, SPEC);
    groups_and_final(&function, 900, START);
    unsigned tries = 0;
    for (enum tumble_code code = TUMBLE_EOUTPUT; code != TUMBLE_OK; tries++) {
        assert_true(tries < 20);
        tumble_engine_destroy(function.engine);
        function.engine = with_sinks(function.spec, &function.carried);
        clock.left = 3000;
        sinks[1].offered = 0;
        sinks[1].retry_from = 150; /* no more than that at a time */
        code = send(&function);
    }
    assert_true(tries >= 6);
    assert_int_equal(sinks[0].rows, 900);
    assert_int_equal(sinks[1].rows, 900);
    assert_string_equal(sinks[0].taken.data, sinks[1].taken.data);
    end_with_sinks(&function);
    free_store(store);
}

static size_t lines_with(const struct text *text, const char *what) {
    size_t count = 0;
    for (const char *at = text->data; at && (at = strstr(at, what)); at++) {
        count++;
    }
    return count;
}

static void a_rejected_row_is_handed_over_though_the_final_takes_several_attempts(void **unused) {
    (void)unused;
    struct clock clock;
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct function function = {.carried = {.spill = &spill, .host = {&clock, remaining, sleep_ms}}};
    begin_with_sinks(&function, SPEC);
    groups_and_final(&function, 600, START);
    sinks[0].reject_row = 7;
    sinks[0].retry_from = 100;
    clock.left = 3000;
    assert_int_equal(send(&function), TUMBLE_EOUTPUT);
    tumble_engine_destroy(function.engine); /* and another sandbox has the retry */
    function.engine = with_sinks(function.spec, &function.carried);
    sinks[0].reject_row = sinks[0].retry_from = SIZE_MAX;
    clock.left = 3000;
    send_ok(&function);
    assert_int_equal(sinks[0].rows, 599);
    assert_int_equal(lines_with(&sinks[2].taken, "\"fate\":\"rejected\""), 1);
    end_with_sinks(&function);
    /* without marks the retry meets it again, and then it is told once all the same */
    struct function plain = {.carried.host = {&clock, remaining, sleep_ms}};
    begin_with_sinks(&plain, SPEC);
    groups_and_final(&plain, 600, START);
    sinks[0].reject_row = 7;
    sinks[1].fail_from = 0;
    for (int i = 0; i < 5; i++) {
        sinks[0].offered = 0;
        assert_int_equal(send(&plain), TUMBLE_EOUTPUT);
    }
    sinks[0].offered = 0;
    sinks[1].fail_from = SIZE_MAX;
    send_ok(&plain);
    assert_int_equal(lines_with(&sinks[2].taken, "\"fate\":\"rejected\""), 1);
    assert_int_equal(sinks[0].rows, 599);
    end_with_sinks(&plain);
    free_store(store);
}

static void while_failures_cannot_be_delivered_nothing_is_kept(void **unused) {
    (void)unused;
    struct function function = {0};
    begin_with_sinks(&function, "{\"group_by\":[\"k\"],\"bad_records\":\"divert\",\"aggregates\":[{\"name\":\"s\","
                                "\"function\":\"sum\",\"field\":\"v\"}]}");
    static const uint64_t first[] = {1, 2, 3, 4}, second[] = {5, 6};
    events(&function, first, 4, 0);
    send_ok(&function);
    events(&function, second, 2, 5);
    for (int down = 1; down >= 0; down--) {
        sinks[2].fail_from = down ? 0 : SIZE_MAX;
        sinks[2].offered = 0;
        for (int i = 0; down && i < 3; i++) {
            assert_int_equal(send(&function), TUMBLE_EOUTPUT);
            assert_string_equal(function.out.error_type, "Tumble.OutputFailed");
        }
    }
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_BAD], 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1);
    assert_int_equal(sinks[2].rows, 1);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    begin_event(&function.event, &parts);
    add_record(&function.event, shard0, 7, START, bad_v);
    end_event(&function.event, &parts);
    sinks[2].fail_from = 0; /* rows are out, failures are not: the final comes again */
    assert_int_equal(send(&function), TUMBLE_EOUTPUT);
    sinks[2].fail_from = SIZE_MAX;
    send_ok(&function);
    assert_int_equal(sinks[2].rows, 2);
    assert_int_equal(lines_with(&sinks[0].taken, "\"s\":5,"), 2); /* the same row, by its key */
    end_with_sinks(&function);
}

/* A file is locked by who writes to it. */
static void windows_of_two_specs_share_outputs_that_are_opened_once(void **unused) {
    (void)unused;
    struct function function = {0};
    begin_with_sinks(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    static const uint64_t numbers[] = {1, 2, 3};
    events(&function, numbers, 3, 0);
    send_ok(&function);
    struct tumble_spec *old = function.spec;
    tumble_engine_destroy(function.engine);
    reset_sinks();
    sinks[0].exclusive = sinks[1].exclusive = sinks[2].exclusive = 1;
    function.spec =
        spec_of("{\"group_by\":[\"v\"],\"aggregates\":[{\"name\":\"all\",\"function\":\"distinct\",\"field\":"
                "\"k\"}]}");
    function.engine = with_sinks(function.spec, &function.carried);
    for (int64_t window = 0; window < 3; window++) { /* new, old, new */
        if (window == 1) {
            parts = parts_of(&function);
            parts.final = 1;
            begin_event(&function.event, &parts);
            end_event(&function.event, &parts);
        } else {
            groups_and_final(&function, 3, START + 60 + 60 * window);
        }
        enum tumble_code code = send(&function);
        if (code != TUMBLE_OK) {
            fail_msg("%s", function.error.text);
        }
    }
    assert_int_equal(lines_with(&sinks[0].taken, "\"all\":3"), 2);
    assert_int_equal(lines_with(&sinks[0].taken, "\"lo\":1,"), 1);
    tumble_spec_destroy(old);
    end_with_sinks(&function);
}

static void a_long_life_takes_no_more_memory_than_a_short_one(void **unused) {
    (void)unused;
    struct counting_alloc count = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct function function = {.carried = {.spill = &spill, .inline_state_limit = 1}};
    struct tumble_engine_options options = {.alloc = counting_alloc_of(&count)};
    struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW, .target = "0"};
    reset_sinks();
    options.spec = function.spec = spec_of(SPEC);
    assert_int_equal(tumble_engine_open_carried(&options, &function.carried, &function.engine, NULL), TUMBLE_OK);
    assert_int_equal(tumble_engine_attach(function.engine, "sink:0", &sink_api, &how, NULL), TUMBLE_OK);
    size_t early = 0;
    for (int64_t window = 0; window < 300; window++) {
        function.state.length = 0;
        for (int i = 0; i < 3; i++) {
            struct event_parts parts = parts_of(&function);
            parts.start = START + 60 * window;
            parts.final = i == 2;
            begin_event(&function.event, &parts);
            for (uint64_t r = 0; i < 2 && r < 20; r++) {
                char json[64];
                snprintf(json, sizeof json, "{\"k\":\"%d\",\"v\":1}", (int)(r * 7 % 11));
                add_record(&function.event, shard0, (uint64_t)window * 100 + (uint64_t)i * 20 + r + 1, parts.start,
                           json);
            }
            end_event(&function.event, &parts);
            if (i == 1) { /* now and then something fails */
                sinks[0].fail_from = window % 3 ? SIZE_MAX : 0;
                store->down = window % 5 == 0;
                send(&function);
                store->down = 0;
                sinks[0].fail_from = SIZE_MAX;
            }
            send_ok(&function);
        }
        early = window == 20 ? count.live : early;
    }
    assert_int_equal(count.live, early);
    assert_int_equal(sinks[0].rows, 300 * 11);
    assert_true(live_objects(store) < 10);
    end_with_sinks(&function);
    assert_int_equal(count.live, 0);
    free_store(store);
}

/* An aggregate can hold far more records than an event has bytes for what is told of each. */
static void a_flood_of_bad_records_is_delivered_in_parts(void **unused) {
    (void)unused;
    struct function function = {0};
    begin_with_sinks(&function, "{\"group_by\":[\"k\"],\"bad_records\":\"divert\",\"aggregates\":[{\"name\":\"n\","
                                "\"function\":\"count\"}]}");
    enum { PARTS = 60000 };
    static const char part[] = "\x1a\x04\x08\x00\x1a\x00";
    size_t length = 4 + 3 + PARTS * (sizeof part - 1);
    char *bytes = malloc(length + 16);
    memcpy(bytes, "\xf3\x89\x9a\xc2\x0a\x01p", 7);
    for (size_t i = 0; i < PARTS; i++) {
        memcpy(bytes + 7 + i * (sizeof part - 1), part, sizeof part - 1);
    }
    tw_md5(bytes + 4, length - 4, (uint8_t *)bytes + length);
    struct tumble_bytes data = {bytes, length + 16};
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    add_raw_record(&function.event, shard0, digits(1), "1607497475", data);
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_BAD], PARTS);
    assert_int_equal(sinks[2].rows, PARTS);
    assert_true(sinks[2].flushed > 1);
    free(bytes);
    end_with_sinks(&function);
}

/* ---- memory ---- */

/* A final from a spilled state, in a process that knows nothing of the window, every allocation failing once. */
static void a_final_that_runs_out_of_memory_anywhere_is_whole_the_second_time(void **unused) {
    (void)unused;
    static const char wide[] = "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
                               "{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"u\"},{\"name\":\"p\","
                               "\"function\":\"quantile\",\"field\":"
                               "\"v\",\"q\":[0.5]},{\"name\":\"l\",\"function\":\"last\",\"field\":\"u\"}]}";
    static const char other[] = "{\"group_by\":[\"u\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}";
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    for (int older_spec = 0; older_spec < 2; older_spec++) {
        struct function function = {.carried = {.spill = &spill, .inline_state_limit = 500}};
        begin_with_sinks(&function, wide);
        for (uint64_t first = 1; first < 80; first += 40) {
            struct event_parts parts = parts_of(&function);
            begin_event(&function.event, &parts);
            for (uint64_t i = first; i < first + 40; i++) {
                char json[96];
                snprintf(json, sizeof json, "{\"k\":\"g%llu\",\"v\":%llu,\"u\":\"user %llu\"}",
                         (unsigned long long)i % 20, (unsigned long long)i, (unsigned long long)i % 9);
                add_record(&function.event, shard0, i, START, json);
            }
            end_event(&function.event, &parts);
            send_ok(&function);
        }
        assert_true(store->puts >= 2);
        struct event_parts parts = parts_of(&function);
        parts.final = 1;
        begin_event(&function.event, &parts);
        add_record(&function.event, shard0, 90, START, "{\"k\":\"g1\",\"v\":1,\"u\":\"user 1\"}");
        end_event(&function.event, &parts);
        send_ok(&function);
        struct text wanted = {0};
        add_bytes(&wanted, sinks[0].taken.data, sinks[0].taken.length);
        struct tumble_spec *spec = spec_of(older_spec ? other : wide);
        unsigned failures = 0;
        for (size_t at = 1;; at++) {
            struct counting_alloc count = {0};
            struct tumble_engine_options options = {.spec = spec, .alloc = counting_alloc_of(&count)};
            struct tumble_engine *engine;
            struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW, .target = "0"};
            reset_sinks();
            assert_int_equal(tumble_engine_open_carried(&options, &function.carried, &engine, NULL), TUMBLE_OK);
            assert_int_equal(tumble_engine_attach(engine, "sink:0", &sink_api, &how, NULL), TUMBLE_OK);
            count.calls = 0;
            count.fail_at = at;
            enum tumble_code code = tumble_engine_invoke(engine, view(&function.event), &function.out, NULL);
            size_t failed = count.failed;
            count.fail_at = 0;
            if (code != TUMBLE_OK) {
                assert_int_equal(code, TUMBLE_ENOMEM);
                assert_int_equal(sinks[0].rows, 0);
                failures++;
                code = tumble_engine_invoke(engine, view(&function.event), &function.out, NULL);
            }
            assert_int_equal(code, TUMBLE_OK);
            assert_string_equal(sinks[0].taken.data, wanted.data);
            tumble_engine_destroy(engine);
            assert_int_equal(count.live, 0);
            if (!failed) {
                break;
            }
        }
        assert_true(failures > 30);
        tumble_spec_destroy(spec);
        free(wanted.data);
        end_with_sinks(&function);
    }
    free_store(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_that_disagree_have_every_row_once_after_the_retry),
        cmocka_unit_test(an_output_that_asks_for_patience_gets_on_with_every_retry),
        cmocka_unit_test(a_rejected_row_is_handed_over_though_the_final_takes_several_attempts),
        cmocka_unit_test(while_failures_cannot_be_delivered_nothing_is_kept),
        cmocka_unit_test(windows_of_two_specs_share_outputs_that_are_opened_once),
        cmocka_unit_test(a_long_life_takes_no_more_memory_than_a_short_one),
        cmocka_unit_test(a_flood_of_bad_records_is_delivered_in_parts),
        cmocka_unit_test(a_final_that_runs_out_of_memory_anywhere_is_whole_the_second_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
