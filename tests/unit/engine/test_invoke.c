#include "function_fixture.h"

/* One event in, one response out: what the numbered points of the semantics reference (its section 9) and the rules of
 * the design ask of an engine, from a window's first batch to its final. What fails: test_invoke_failing.c. */

static void point_4_a_window_begins_with_an_empty_state(void **unused) {
    (void)unused;
    static const char *const states[] = {"{}", "null"};
    for (size_t i = 0; i < 2; i++) {
        struct function function = {0};
        begin(&function, SPEC);
        struct event_parts parts = {.shard = shard0, .start = START, .state = tumble_bytes_of(states[i])};
        batch(&function, &parts, 1, 2);
        send_ok(&function);
        assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2);
        assert_int_equal(function.out.groups, 2);
        end(&function);
    }
}

static void point_3_and_47_a_row_says_which_window_shard_and_fragment(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.start = 700 * 2296424; /* a length that divides no hour: the mapping decides, whatever it aligns to */
    parts.length = 700;
    parts.final = 1;
    batch(&function, &parts, 1, 1);
    send_ok(&function);
    static const char wanted[] = "{\"window_start\":\"2020-12-09T06:53:20Z\",\"window_end\":\"2020-12-09T07:05:00Z\","
                                 "\"shard_id\":\"shardId-000000000001\",\"fragment\":";
    assert_memory_equal(kept[0].text, wanted, sizeof wanted - 1);
    end(&function);
}

static void point_11_children_of_a_shard_begin_anew_in_the_same_window(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    parts = parts_of(&function);
    parts.final = 1; /* the parent's end */
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    parts = parts_of(&function);
    parts.shard = "shardId-000000000008";
    parts.final = 1;
    batch(&function, &parts, 3, 2);
    send_ok(&function);
    assert_int_equal(kept[0].count, 4);
    assert_non_null(strstr(kept[0].text, "\"shard_id\":\"shardId-000000000001\""));
    assert_non_null(strstr(kept[0].text, "\"shard_id\":\"shardId-000000000008\""));
    end(&function);
}

static void point_26_a_success_says_that_no_record_failed(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    static const char tail[] = ",\"batchItemFailures\":[]}";
    struct tumble_bytes response = function.out.response;
    assert_memory_equal(response.data + response.length - sizeof tail + 1, tail, sizeof tail - 1);
    end(&function);
}

static void point_6_a_final_without_records_emits_the_rows_and_returns_a_state(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    parts = parts_of(&function);
    batch(&function, &parts, 3, 2);
    send_ok(&function);
    assert_int_equal(kept[0].count, 0);
    parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    assert_string_equal(function.state.data, "{}");
    assert_int_equal(function.out.is_final, 1);
    assert_int_equal(function.out.rows, 2);
    assert_int_equal(kept[0].count, 2);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&function);
}

static void point_6_a_final_with_records_counts_them(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    parts = parts_of(&function);
    parts.final = 1;
    parts.final_key_first = 1;
    batch(&function, &parts, 3, 2);
    send_ok(&function);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&function);
}

static void a_final_that_has_everything_needs_no_state(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 1, 4);
    send_ok(&function);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    kept_reset();
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    assert_int_equal(kept[0].count, 0);
    end(&function);
}

static void point_12_and_13_early_termination_makes_two_fragments(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    parts = parts_of(&function);
    parts.final = parts.early = 1;
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    assert_int_equal(function.out.is_terminated_early, 1);
    assert_int_equal(kept[0].count, 2);
    parts = parts_of(&function); /* the same window again, from {} */
    batch(&function, &parts, 3, 2);
    send_ok(&function);
    parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    assert_int_equal(kept[0].count, 4);
    assert_non_null(strstr(kept[0].text, "\"fragment\":\"49590338271490256608559692538361571000000000000000000001\""));
    assert_non_null(strstr(kept[0].text, "\"fragment\":\"49590338271490256608559692538361571000000000000000000003\""));
    end(&function);
}

static void point_14_and_55_state_is_always_an_object_of_strings(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 10);
    send_ok(&function);
    const char *at = function.state.data;
    assert_int_equal(*at++, '{');
    for (int strings = 0;; strings++) { /* "name":"text",… and nothing else */
        assert_int_equal(*at++, '"');
        at = strchr(at, '"') + 1;
        if (*at == ':') {
            at++;
            continue;
        }
        if (*at == '}') {
            assert_true(strings >= 5);
            break;
        }
        assert_int_equal(*at++, ',');
    }
    end(&function);
}

static void point_16_a_retry_with_the_old_state_gives_the_same_answer(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 3);
    send_ok(&function);
    parts = parts_of(&function);
    batch(&function, &parts, 4, 3);
    struct text first = {0};
    send_ok(&function);
    add_bytes(&first, function.state.data, function.state.length);
    send_ok(&function); /* the same event once more: the first answer was lost */
    assert_int_equal(function.out.cache_hit, 0);
    assert_string_equal(function.state.data, first.data);
    struct tumble_engine *other = sandbox(function.spec, &function.carried); /* and in another sandbox */
    struct tumble_invoked out;
    assert_int_equal(tumble_engine_invoke(other, view(&function.event), &out, NULL), TUMBLE_OK);
    keep_state(&function.state, out.response);
    assert_string_equal(function.state.data, first.data);
    tumble_engine_destroy(other);
    free(first.data);
    end(&function);
}

static void records_seen_before_are_duplicates(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 3);
    send_ok(&function);
    parts = parts_of(&function);
    batch(&function, &parts, 2, 4);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_DUPLICATE], 2);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2);
    end(&function);
}

static void point_39_a_consumer_is_no_other_stream(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.arn = ARN "/consumer/c:1700000000";
    batch(&function, &parts, 1, 2);
    send_ok(&function);
    parts = parts_of(&function);
    batch(&function, &parts, 3, 2);
    send_ok(&function);
    assert_int_equal(function.out.cache_hit, 1);
    end(&function);
}

static void point_48_a_late_record_is_applied_to_the_window_the_mapping_put_it_in(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    begin_event(&function.event, &parts); /* a further fragment of a window that was closed; never another window's */
    add_record(&function.event, shard0, 9, START + 59, "{\"k\":\"a\",\"v\":1}");
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_LATE], 0);
    assert_non_null(strstr(kept[0].text, "\"window_start\":\"2020-12-09T07:04:00Z\""));
    end(&function);
}

static void point_47_a_final_seen_twice_has_the_same_keys(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 1, 4);
    send_ok(&function);
    char once[1024];
    assert_true(kept[0].length < sizeof once);
    memcpy(once, kept[0].text, kept[0].length + 1);
    kept_reset();
    send_ok(&function);
    assert_string_equal(kept[0].text, once);
    end(&function);
}

static void a_batch_of_structs_is_answered_as_the_event_is(void **unused) {
    (void)unused;
    struct function by_event = {.carried.report_batch_item_failures = 1}, by_struct = by_event;
    struct tumble_record records[6];
    char data[6][64], sequence[6][64];
    begin(&by_struct, SPEC);
    begin(&by_event, SPEC);
    struct event_parts parts = parts_of(&by_event);
    batch_with_a_bad_one(&by_event, &parts);
    send_ok(&by_event);
    for (uint64_t i = 1; i <= 6; i++) {
        struct tumble_record record = {.arrival_ms = INT64_C(1000) * START + (int64_t)i * 1001,
                                       .partition_key = {"pk", 2}};
        snprintf(data[i - 1], sizeof data[0], "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        snprintf(sequence[i - 1], sizeof sequence[0], "%s", digits(i));
        record.data = tumble_bytes_of(i == 4 ? word_v : data[i - 1]);
        record.sequence_number = tumble_bytes_of(sequence[i - 1]);
        records[i - 1] = record;
    }
    struct tumble_window_batch batch = {.shard_id = tumble_bytes_of(shard0),
                                        .event_source_arn = tumble_bytes_of(ARN),
                                        .window_start_ms = START * INT64_C(1000),
                                        .window_end_ms = INT64_C(1000) * (START + 60),
                                        .records = records,
                                        .record_count = 6};
    struct tumble_error error;
    ok(tumble_engine_invoke_batch(by_struct.engine, &batch, &by_struct.out, &error));
    assert_true(tumble_bytes_equal(by_struct.out.response, by_event.out.response));
    assert_int_equal(by_struct.out.fates[TUMBLE_FATE_APPLIED], 3);
    assert_int_equal(by_struct.out.last_arrival_ms, by_event.out.last_arrival_ms);
    keep_state(&by_struct.state, by_struct.out.response);
    batch.state = view(&by_struct.state);
    batch.records = NULL;
    batch.is_final = 1;
    kept_reset();
    ok(tumble_engine_invoke_batch(by_struct.engine, &batch, &by_struct.out, &error));
    assert_int_equal(kept[0].count, 2);
    batch.window_end_ms = batch.window_start_ms;
    assert_int_equal(tumble_engine_invoke_batch(by_struct.engine, &batch, &by_struct.out, &error), TUMBLE_EEVENT);
    end(&by_struct);
    end(&by_event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_4_a_window_begins_with_an_empty_state),
        cmocka_unit_test(point_3_and_47_a_row_says_which_window_shard_and_fragment),
        cmocka_unit_test(point_11_children_of_a_shard_begin_anew_in_the_same_window),
        cmocka_unit_test(point_26_a_success_says_that_no_record_failed),
        cmocka_unit_test(point_6_a_final_without_records_emits_the_rows_and_returns_a_state),
        cmocka_unit_test(point_6_a_final_with_records_counts_them),
        cmocka_unit_test(a_final_that_has_everything_needs_no_state),
        cmocka_unit_test(point_12_and_13_early_termination_makes_two_fragments),
        cmocka_unit_test(point_14_and_55_state_is_always_an_object_of_strings),
        cmocka_unit_test(point_16_a_retry_with_the_old_state_gives_the_same_answer),
        cmocka_unit_test(records_seen_before_are_duplicates),
        cmocka_unit_test(point_39_a_consumer_is_no_other_stream),
        cmocka_unit_test(point_48_a_late_record_is_applied_to_the_window_the_mapping_put_it_in),
        cmocka_unit_test(point_47_a_final_seen_twice_has_the_same_keys),
        cmocka_unit_test(a_batch_of_structs_is_answered_as_the_event_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
