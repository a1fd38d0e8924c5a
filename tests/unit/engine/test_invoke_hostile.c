#include "engine/codec/json_scan.h"
#include "function_fixture.h"

/* What nobody sends on a good day: escapes where none are needed, identifiers that are none, more shards than there
 * ever are, objects of the spill store that come back, times that are up. */

/* ---- partial answers ---- */

static void what_was_reported_is_expected_until_an_event_reaches_it(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    static const uint64_t first[] = {1, 2, 3, 4, 5}, again[] = {1, 2}, rest[] = {3, 4, 5}, beyond[] = {6, 7};
    events(&function, first, 5, 3);
    send_ok(&function);
    assert_int_equal(function.out.reported, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2);
    events(&function, again, 2, 0); /* duplicates, all in front of it */
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_DUPLICATE], 2);
    assert_int_equal(function.out.skipped, 0);
    events(&function, rest, 3, 5); /* 3 is well this time, 5 is not */
    send_ok(&function);
    assert_int_equal(function.out.skipped, 0);
    assert_int_equal(function.out.reported, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2);
    begin_event(&function.event, &(struct event_parts){.shard = shard0});
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    end_event(&function.event, &parts); /* no records at all */
    send_ok(&function);
    events(&function, beyond, 2, 0);
    send_ok(&function);
    assert_int_equal(function.out.skipped, 1);
    events(&function, beyond, 2, 0);
    send_ok(&function);
    assert_int_equal(function.out.skipped, 0);
    end(&function);
}

static void a_window_of_filtered_records_ends_without_rows(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, "{\"where\":{\"k\":[\"b\"]},\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":"
                     "\"count\"}]}");
    static const uint64_t numbers[] = {1, 2, 3};
    events(&function, numbers, 3, 0);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_FILTERED], 3);
    events(&function, numbers, 3, 0);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_DUPLICATE], 3);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    begin_event(&function.event, &parts);
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.rows, 0);
    assert_int_equal(kept[0].count, 0);
    end(&function);
}

static void records_of_a_consumer_are_told_apart_whoever_names_it(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    for (int i = 0; i < 3; i++) { /* the event's own ARN is the stream's */
        add(&function.event,
            "%s{\"kinesis\":{\"partitionKey\":\"p\",\"sequenceNumber\":\"%s\",\"data\":\"eyJrIjoiYSIsInYiOjF9\","
            "\"approximateArrivalTimestamp\":%d},\"eventSourceARN\":\"" ARN "/consumer/c:1700000000\"}",
            i ? "," : "", digits(7), START);
    }
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 3);
    end(&function);
}

/* ---- bytes ---- */

/* Some writers of JSON escape every slash, and base64 has slashes. */
static void escaped_data_takes_no_more_room_than_there_is(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    for (uint64_t i = 1; i <= 40; i++) {
        size_t filler = 100u << i % 8;
        char *json = malloc(filler + 64);
        int length = sprintf(json, "{\"k\":\"a\",\"v\":%llu,\"x\":\"", (unsigned long long)i);
        memset(json + length, '?', filler); /* Pz8/ */
        strcpy(json + length + filler, "\"}");
        char *data = malloc(tw_base64_encoded_length(strlen(json)) + 1);
        tw_base64_encode(tumble_bytes_of(json), data);
        data[tw_base64_encoded_length(strlen(json))] = '\0';
        add(&function.event, "%s{\"kinesis\":{\"partitionKey\":\"p\\/%llu\",\"sequenceNumber\":\"%s\",\"data\":\"",
            i > 1 ? "," : "", (unsigned long long)i, digits(i));
        for (const char *at = data; *at; at++) {
            add_bytes(&function.event, *at == '/' ? "\\/" : at, *at == '/' ? 2 : 1);
        }
        add(&function.event, "\",\"approximateArrivalTimestamp\":%d}}", START);
        free(json);
        free(data);
    }
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 40);
    assert_int_equal(function.out.groups, 1);
    end(&function);
}

/* An answer without an identifier would acknowledge the whole batch. */
static void a_bad_record_without_a_number_is_never_acknowledged(void **unused) {
    (void)unused;
    static const char *const numbers[] = {"", "abc", "-5", "12 ", "\\u0031x"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct function function = {.carried.report_batch_item_failures = 1};
        begin(&function, SPEC);
        struct event_parts parts = parts_of(&function);
        begin_event(&function.event, &parts);
        add_record(&function.event, shard0, 1, START, "{\"k\":\"a\",\"v\":1}");
        add_raw_record(&function.event, shard0, numbers[i], "1607497440", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
        end_event(&function.event, &parts);
        enum tumble_code code = send(&function);
        if (code == TUMBLE_OK) {
            struct text answer = {0};
            add_bytes(&answer, function.out.response.data, function.out.response.length);
            assert_null(strstr(answer.data, "\"batchItemFailures\":[]"));
            assert_null(strstr(answer.data, "\"itemIdentifier\":\"\""));
            free(answer.data);
        } else {
            assert_string_equal(function.out.error_type, "Tumble.BadRecord");
        }
        end(&function);
    }
}

/* ---- many shards and streams ---- */

static void one_process_serves_any_number_of_shards(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct text first = {0};
    for (int i = 0; i < 2500; i++) {
        char shard[32];
        snprintf(shard, sizeof shard, "shardId-%012d", i);
        struct event_parts parts = {.shard = shard, .start = START};
        begin_event(&function.event, &parts);
        add_record(&function.event, shard, (uint64_t)i + 1, START, "{\"k\":\"a\",\"v\":1}");
        end_event(&function.event, &parts);
        send_ok(&function);
        if (i == 0) {
            add_bytes(&first, function.state.data, function.state.length);
        }
    }
    struct event_parts parts = {.shard = "shardId-000000000000", .start = START, .final = 1, .state = view(&first)};
    begin_event(&function.event, &parts); /* forgotten since, and brought back by its event */
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.rows, 1);
    assert_non_null(strstr(kept[0].text, "\"shard_id\":\"shardId-000000000000\",\"fragment\":"));
    struct tumble_counters counters;
    tumble_engine_counters(function.engine, &counters);
    assert_true(counters.groups_open < 2000);
    free(first.data);
    end(&function);
}

static void streams_that_number_their_shards_alike_do_not_meet(void **unused) {
    (void)unused;
    struct function function = {.carried.inline_state_limit = 1};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    function.carried.spill = &spill;
    begin(&function, SPEC);
    static const char *const arns[2] = {ARN, ARN "-other"};
    struct text state[2] = {{0}};
    for (uint64_t round = 0; round < 3; round++) {
        for (size_t stream = 0; stream < 2; stream++) {
            struct event_parts parts = {.shard = shard0, .arn = arns[stream], .start = START};
            parts.state = round ? view(&state[stream]) : parts.state;
            begin_event(&function.event, &parts);
            add_record(&function.event, shard0, round + 1, START, "{\"k\":\"a\",\"v\":1}");
            end_event(&function.event, &parts);
            send_ok(&function);
            assert_int_equal(function.out.cache_hit, round > 0);
            keep_state(&state[stream], function.out.response);
        }
    }
    struct event_parts parts = {.shard = shard0, .arn = arns[0], .start = START, .final = 1, .state = view(&state[0])};
    struct text final = {0};
    begin_event(&final, &parts);
    end_event(&final, &parts);
    assert_int_equal(tumble_engine_invoke(function.engine, view(&final), &function.out, NULL), TUMBLE_OK);
    struct event_parts later = {.shard = shard0, .arn = arns[1], .start = START + 60};
    begin_event(&function.event, &later); /* a later window, but of the other stream */
    add_record(&function.event, shard0, 9, START + 60, "{\"k\":\"a\",\"v\":1}");
    end_event(&function.event, &later);
    send_ok(&function);
    tumble_engine_destroy(function.engine);
    function.engine = sandbox(function.spec, &function.carried);
    assert_int_equal(tumble_engine_invoke(function.engine, view(&final), &function.out, NULL), TUMBLE_OK);
    free(final.data);
    free(state[0].data);
    free(state[1].data);
    end(&function);
    free_store(store);
}

/* ---- the spill store ---- */

/* 300 groups with keys of 15,000 bytes that nothing packs. */
static void wide_groups(struct function *function, char letter, uint64_t first, unsigned seed) {
    struct event_parts parts = parts_of(function);
    char *json = malloc(1 << 15);
    begin_event(&function->event, &parts);
    for (uint64_t i = 0; i < 290; i++) {
        uint64_t random = i * 7919 + seed;
        int length = sprintf(json, "{\"v\":1,\"k\":\"%c", letter);
        while (length < 15000) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            json[length++] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[random >> 58];
        }
        strcpy(json + length, "\"}");
        add_record(&function->event, shard0, first + i, START, json);
    }
    end_event(&function->event, &parts);
    free(json);
}

static void an_object_that_a_new_snapshot_shares_with_the_old_one_stays(void **unused) {
    (void)unused;
    struct function function = {.carried.inline_state_limit = 100000};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    function.carried.spill = &spill;
    begin(&function, "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    uint64_t next = 1;
    for (unsigned i = 0; i < 8; i++, next += 290) { /* groups "a" fill the first objects and are never touched again */
        wide_groups(&function, i < 2 ? 'a' : 'z', next, i % 3);
        send_ok(&function);
        for (int sandboxes = 0; sandboxes < 2; sandboxes++) {
            tumble_engine_destroy(function.engine);
            function.engine = sandbox(function.spec, &function.carried);
            struct event_parts parts = parts_of(&function);
            begin_event(&function.event, &parts);
            add_record(&function.event, shard0, ++next + 290, START, "{\"k\":\"zz\",\"v\":1}");
            end_event(&function.event, &parts);
            send_ok(&function);
        }
    }
    assert_true(live_objects(store) < 40);
    end(&function);
    free_store(store);
}

/* ---- the law of canonical bytes ---- */

static void states_after_the_same_records_are_the_same_whatever_the_cuts(void **unused) {
    (void)unused;
    static const char spec[] =
        "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
        "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"m\",\"function\":\"mean\",\"field\":\"v\"},"
        "{\"name\":\"sd\",\"function\":\"stddev\",\"field\":\"v\"},{\"name\":\"lo\",\"function\":\"min\",\"field\":"
        "\"v\"},"
        "{\"name\":\"f\",\"function\":\"first\",\"field\":\"u\"},{\"name\":\"l\",\"function\":\"last\",\"field\":\"u\"}"
        ","
        "{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"u\"},"
        "{\"name\":\"p\",\"function\":\"quantile\",\"field\":\"v\",\"q\":[0.5,0.9]},"
        "{\"name\":\"t\",\"function\":\"top\",\"field\":\"u\",\"k\":5},"
        "{\"name\":\"h\",\"function\":\"histogram\",\"field\":\"v\",\"bounds\":[0,10,100]},"
        "{\"name\":\"c\",\"function\":\"collect\",\"field\":\"u\",\"cap\":7}]}";
    struct text wanted = {0};
    for (unsigned cut = 0; cut < 6; cut++) {
        static const uint64_t steps[] = {3000, 1, 7, 100, 256, 1000};
        struct function function = {0};
        begin(&function, spec);
        for (uint64_t i = 1; i <= 3000;) {
            uint64_t until = i + steps[cut] < 3001 ? i + steps[cut] : 3001;
            if (cut == 1 && i == 40) {
                until = 3001; /* one by one takes long */
            }
            struct event_parts parts = parts_of(&function);
            begin_event(&function.event, &parts);
            for (; i < until; i++) {
                char json[96];
                snprintf(json, sizeof json, "{\"k\":\"g%llu\",\"v\":%llu.%llu,\"u\":\"user %llu\"}",
                         (unsigned long long)(i * i % 7), (unsigned long long)(i * 37 % 1000),
                         (unsigned long long)(i % 10), (unsigned long long)(i * 7919 % 1999));
                add_record(&function.event, shard0, i, START + (int64_t)(i % 60), json);
            }
            end_event(&function.event, &parts);
            send_ok(&function);
            if (cut % 2) { /* from the event's bytes, or from memory */
                tumble_engine_destroy(function.engine);
                function.engine = sandbox(function.spec, &function.carried);
            }
        }
        if (cut == 0) {
            add_bytes(&wanted, function.state.data, function.state.length);
        }
        assert_string_equal(function.state.data, wanted.data);
        end(&function);
    }
    free(wanted.data);
}

/* ---- names, numbers and windows ---- */

static void check_json_lines(const char *text, size_t rows) {
    size_t lines = 0;
    for (const char *end; *text; text = end + 1, lines++) {
        struct tumble_value value;
        struct tumble_error error;
        end = strchr(text, '\n');
        struct tumble_bytes line = {text, (size_t)(end - text)};
        ok(tw_json_value(line, 1, &value, NULL, &error));
        assert_int_equal(value.type, TUMBLE_TYPE_OBJECT);
    }
    assert_int_equal(lines, rows);
}

static void rows_are_json_whatever_a_shard_is_called(void **unused) {
    (void)unused;
    static const char *const names[] = {
        "a\\\"b",           "\\\\",          "\\u0000", "\\n\\t\\u001f", "\xc3\xa4\\u00e4", "\\ud83d\\ude00", "%s%n\\/",
        "\\u2028</script>", "{\\\"a\\\":1}", " ",       "../../../x",    "\\u007f"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tumble_spill_store spill;
        struct memory_store *store = new_store(&spill);
        struct function function = {.carried = {.spill = &spill, .inline_state_limit = 1}};
        begin(&function, "{\"group_by\":[\"k\",\"$shardId\",\"$partitionKey\"],\"aggregates\":[{\"name\":\"n\","
                         "\"function\":\"count\"}]}");
        for (int final = 0; final < 2; final++) {
            struct event_parts parts = parts_of(&function);
            parts.shard = parts.arn = names[i];
            parts.final = final;
            begin_event(&function.event, &parts);
            add_record(&function.event, "s", (uint64_t) final + 1, START, "{\"k\":\"a\\u0000\\\"\"}");
            end_event(&function.event, &parts);
            send_ok(&function);
        }
        check_json_lines(kept[0].text, 1);
        end(&function);
        free_store(store);
    }
    /* and what is no text is refused */
    static const char *const wrong[] = {"\xff", "\\ud800", "\xc0\x80", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct function function = {0};
        begin(&function, SPEC);
        struct event_parts parts = parts_of(&function);
        parts.shard = wrong[i];
        begin_event(&function.event, &parts);
        end_event(&function.event, &parts);
        assert_int_not_equal(send(&function), TUMBLE_OK);
        assert_string_equal(function.out.error_type, "Tumble.InvalidEvent");
        end(&function);
    }
}

static void a_sequence_number_has_at_most_128_digits(void **unused) {
    (void)unused;
    for (size_t digits_of = 127; digits_of <= 129; digits_of++) {
        struct function function = {.carried.report_batch_item_failures = 1};
        begin(&function, SPEC);
        char number[130];
        memset(number, '9', digits_of);
        number[digits_of] = '\0';
        struct event_parts parts = parts_of(&function);
        begin_event(&function.event, &parts);
        add_record(&function.event, shard0, 1, START, "{\"k\":\"a\",\"v\":1}");
        add_raw_record(&function.event, shard0, number, "1607497440", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
        add_raw_record(&function.event, shard0, number, "1607497440", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
        end_event(&function.event, &parts);
        send_ok(&function);
        assert_int_equal(function.out.reported, digits_of > 128);
        assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], digits_of > 128 ? 1 : 2);
        parts = parts_of(&function); /* reported as failed, with the largest number that can be carried */
        begin_event(&function.event, &parts);
        add_raw_record(&function.event, shard0, number, "1607497440", tumble_bytes_of("{\"k\":\"a\"}"));
        end_event(&function.event, &parts);
        assert_int_equal(send(&function), digits_of > 128 ? TUMBLE_ERECORD : TUMBLE_OK);
        end(&function);
    }
}

static void windows_of_any_place_and_length_give_rows_or_an_error(void **unused) {
    (void)unused;
    static const struct {
        const char *start, *end;
        int good;
    } windows[] = {
        {"2020-12-09T07:04:01Z", "2020-12-09T07:04:02Z", 1},      {"1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 1},
        {"2020-12-09T07:04:00Z", "2020-12-09T07:04:00Z", 0},      {"2020-12-09T07:05:00Z", "2020-12-09T07:04:00Z", 0},
        {"1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z", 0},      {"2020-12-09T07:04:00.5Z", "2020-12-09T07:05:00Z", 0},
        {"0001-01-01T00:00:00Z", "2020-12-09T07:04:00Z", 0},      {"2020-12-09T07:04:00Z", "99999-01-01T00:00:00Z", 0},
        {"2020-12-09T09:04:00+02:00", "2020-12-09T07:05:00Z", 1}, {"", "", 0},
    };
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct function function = {0};
        begin(&function, SPEC);
        function.event.length = 0;
        add(&function.event, "%s", "{\"Records\":[");
        add_record(&function.event, shard0, 1, START, "{\"k\":\"a\",\"v\":1}");
        add(&function.event,
            "],\"shardId\":\"s\",\"eventSourceARN\":\"a\",\"window\":{\"start\":\"%s\",\"end\":\"%s\"},\"state\":{},"
            "\"isFinalInvokeForWindow\":true}",
            windows[i].start, windows[i].end);
        enum tumble_code code = send(&function);
        if ((code == TUMBLE_OK) != windows[i].good) {
            fail_msg("%s to %s: %s", windows[i].start, windows[i].end, function.error.text);
        }
        if (code == TUMBLE_OK) {
            check_json_lines(kept[0].text, 1);
        } else {
            assert_string_equal(function.out.error_type, "Tumble.InvalidEvent");
        }
        end(&function);
    }
}

/* ---- hostile sizes ---- */

static void events_that_are_only_large_cost_little(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    static const char *const fills[] = {"{},", "[],", "\"Records\":[],", "\"a\":{},", "{\"dynamodb\":{}},", "["};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        size_t length = strlen(fills[i]);
        int members = fills[i][0] == '"';
        function.event.length = 0;
        add(&function.event, "%s", members ? "{" : "{\"Records\":[");
        while (function.event.length + length + 200 < TUMBLE_EVENT_LIMIT) {
            add_bytes(&function.event, fills[i], length);
        }
        add(&function.event, "%s", members ? "\"shardId\":\"s\"}" : "{}]}");
        assert_int_not_equal(send(&function), TUMBLE_OK);
    }
    struct event_parts parts = parts_of(&function); /* and the next one works */
    static const uint64_t numbers[] = {1, 2, 3};
    events(&function, numbers, 3, 0);
    send_ok(&function);
    (void)parts;
    end(&function);
}

static void an_inline_limit_beyond_what_lambda_takes_is_none(void **unused) {
    (void)unused;
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct function function = {.carried = {.spill = &spill, .inline_state_limit = SIZE_MAX}};
    begin(&function, "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    uint64_t next = 1;
    for (unsigned i = 0; i < 4; i++, next += 290) {
        wide_groups(&function, (char)('a' + i), next, i);
        send_ok(&function);
        assert_true(function.out.response.length < TUMBLE_EVENT_LIMIT);
    }
    assert_true(store->puts > 0);
    assert_int_equal(function.out.groups, 4 * 290);
    end(&function);
    free_store(store);
}

/* ---- a spill store that fails ---- */

struct failing_store {
    struct tumble_spill_store inner;
    size_t puts_left;
};

static enum tumble_code failing_put(void *ctx, const char *name, struct tumble_bytes bytes, struct tumble_error *err) {
    struct failing_store *store = ctx;
    return store->puts_left-- ? store->inner.put(store->inner.ctx, name, bytes, err) : store_down(err);
}
static enum tumble_code failing_get(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                                    struct tumble_error *err) {
    struct failing_store *store = ctx;
    return store->inner.get(store->inner.ctx, name, max_bytes, out, err);
}
static enum tumble_code failing_remove(void *ctx, const char *name, struct tumble_error *err) {
    struct failing_store *store = ctx;
    return store->inner.remove(store->inner.ctx, name, err);
}

static void a_spill_that_fails_between_two_objects_alters_nothing(void **unused) {
    (void)unused;
    struct failing_store failing;
    struct memory_store *store = new_store(&failing.inner);
    struct tumble_spill_store spill = {&failing, failing_put, failing_get, failing_remove};
    struct function function = {.carried = {.spill = &spill, .inline_state_limit = 100000}};
    begin(&function, "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    uint64_t next = 1;
    for (unsigned i = 0; i < 5; i++, next += 290) {
        wide_groups(&function, i < 2 ? 'a' : 'z', next, i);
        failing.puts_left = SIZE_MAX;
        send_ok(&function);
        struct text before = {0}, wanted = {0};
        add_bytes(&before, function.state.data, function.state.length);
        wide_groups(&function, 'm', next += 290, i);
        unsigned failures = 0;
        for (failing.puts_left = 0; send(&function) != TUMBLE_OK; failing.puts_left = ++failures) {
            assert_string_equal(function.out.error_type, "Tumble.SpillFailed");
            assert_true(failures < 20);
        }
        assert_true(failures > 0);
        keep_state(&wanted, function.out.response);
        tumble_engine_destroy(function.engine); /* the retry of the same event, elsewhere */
        function.engine = sandbox(function.spec, &function.carried);
        failing.puts_left = SIZE_MAX;
        send_ok(&function);
        assert_string_equal(function.state.data, wanted.data);
        free(before.data);
        free(wanted.data);
    }
    end(&function);
    free_store(store);
}

/* Removing takes its time, and fails the one time or the other; what is left is the lifecycle rule's. */
struct slow_store {
    struct failing_store failing;
    struct clock clock;
    int refuses;
    size_t removed;
};

static enum tumble_code slow_put(void *ctx, const char *name, struct tumble_bytes bytes, struct tumble_error *err) {
    struct slow_store *store = ctx;
    return failing_put(&store->failing, name, bytes, err);
}
static enum tumble_code slow_get(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                                 struct tumble_error *err) {
    struct slow_store *store = ctx;
    return failing_get(&store->failing, name, max_bytes, out, err);
}
static enum tumble_code slow_remove(void *ctx, const char *name, struct tumble_error *err) {
    struct slow_store *store = ctx;
    store->clock.left -= 100;
    store->removed++;
    return store->refuses ? TUMBLE_EOUTPUT : failing_remove(&store->failing, name, err);
}

static void removing_what_is_over_never_costs_the_answer(void **unused) {
    (void)unused;
    for (int refuses = 0; refuses < 2; refuses++) {
        struct slow_store slow = {.failing.puts_left = SIZE_MAX, .refuses = refuses};
        struct memory_store *store = new_store(&slow.failing.inner);
        struct tumble_spill_store spill = {&slow, slow_put, slow_get, slow_remove};
        struct function function = {
            .carried = {.spill = &spill, .inline_state_limit = 1, .host = {&slow.clock, remaining, sleep_ms}}};
        begin(&function, SPEC);
        size_t most = 0;
        for (uint64_t i = 1; i <= 120; i++) { /* a wide snapshot, and narrow deltas that outweigh it at last */
            struct event_parts parts = parts_of(&function);
            begin_event(&function.event, &parts);
            for (uint64_t g = 0; g < (i == 1 ? 300 : 1); g++) {
                char json[64];
                snprintf(json, sizeof json, "{\"k\":\"%llu\",\"v\":1}", (unsigned long long)((i + g) * 7919 % 1000));
                add_record(&function.event, shard0, i * 1000 + g, START, json);
            }
            end_event(&function.event, &parts);
            slow.clock.left = 1500;
            slow.removed = 0;
            send_ok(&function);
            most = most > slow.removed ? most : slow.removed;
            assert_true(slow.clock.left >= 400);
        }
        assert_true(refuses ? most == 1 : most > 5);
        end(&function);
        free_store(store);
    }
}

static int64_t runs_out(void *ctx) { return ((struct clock *)ctx)->left -= 1000; }

static void the_deadline_never_cuts_a_sequence_number(void **unused) {
    (void)unused;
    struct clock clock = {0};
    struct function function = {.carried = {.report_batch_item_failures = 1, .host = {&clock, runs_out, NULL}}};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.arn = ARN "/consumer/c:1700000000";
    begin_event(&function.event, &parts);
    for (uint64_t i = 0; i < 800; i++) { /* 250 to a number: every moment at which time is asked for is within one */
        add_record(&function.event, shard0, 1 + i / 250, START, "{\"k\":\"a\",\"v\":1}");
    }
    end_event(&function.event, &parts);
    clock.left = 1500; /* for the first of the slices only, and nothing is applied twice */
    send_ok(&function);
    assert_int_equal(function.out.reported, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 500);
    end(&function);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_reported_is_expected_until_an_event_reaches_it),
        cmocka_unit_test(a_window_of_filtered_records_ends_without_rows),
        cmocka_unit_test(records_of_a_consumer_are_told_apart_whoever_names_it),
        cmocka_unit_test(escaped_data_takes_no_more_room_than_there_is),
        cmocka_unit_test(a_bad_record_without_a_number_is_never_acknowledged),
        cmocka_unit_test(one_process_serves_any_number_of_shards),
        cmocka_unit_test(streams_that_number_their_shards_alike_do_not_meet),
        cmocka_unit_test(an_object_that_a_new_snapshot_shares_with_the_old_one_stays),
        cmocka_unit_test(states_after_the_same_records_are_the_same_whatever_the_cuts),
        cmocka_unit_test(rows_are_json_whatever_a_shard_is_called),
        cmocka_unit_test(a_sequence_number_has_at_most_128_digits),
        cmocka_unit_test(windows_of_any_place_and_length_give_rows_or_an_error),
        cmocka_unit_test(events_that_are_only_large_cost_little),
        cmocka_unit_test(an_inline_limit_beyond_what_lambda_takes_is_none),
        cmocka_unit_test(a_spill_that_fails_between_two_objects_alters_nothing),
        cmocka_unit_test(removing_what_is_over_never_costs_the_answer),
        cmocka_unit_test(the_deadline_never_cuts_a_sequence_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
