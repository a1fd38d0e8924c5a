#include "function_fixture.h"

/* What fails, and how much of it: answers in part, finals that are all or nothing, outputs and deadlines, and events
 * and states that are refused. */

static void point_17_and_28_a_partial_answer_names_the_record_and_its_state_is_the_prefix(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch_with_a_bad_one(&function, &parts);
    send_ok(&function);
    assert_int_equal(function.out.reported, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 3);
    assert_non_null(strstr(function.out.response.data,
                           "\"batchItemFailures\":[{\"itemIdentifier\":"
                           "\"49590338271490256608559692538361571000000000000000000004\"}]}"));
    /* Lambda sends the suffix with that state; the record was mended meanwhile */
    parts = parts_of(&function);
    batch(&function, &parts, 4, 1);
    send_ok(&function);
    assert_int_equal(function.out.skipped, 0);
    parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 0, 0);
    send_ok(&function);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&function);
}

static void an_event_beyond_the_reported_record_is_counted_as_skipped(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch_with_a_bad_one(&function, &parts);
    send_ok(&function);
    parts = parts_of(&function);
    batch(&function, &parts, 5, 2);
    send_ok(&function);
    assert_int_equal(function.out.skipped, 1);
    end(&function);
}

static void point_27_without_the_response_type_a_bad_record_fails_the_event(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch_with_a_bad_one(&function, &parts);
    assert_int_equal(send(&function), TUMBLE_ERECORD);
    assert_string_equal(function.out.error_type, "Tumble.BadRecord");
    assert_non_null(strstr(function.out.response.data, "{\"errorMessage\":\""));
    assert_non_null(strstr(function.out.response.data, "\"errorType\":\"Tumble.BadRecord\",\"stackTrace\":[]}"));
    batch(&function, &parts, 1, 4); /* nothing of it stayed */
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 4);
    end(&function);
}

static void point_33_a_bad_first_record_acknowledges_nothing(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    add_record(&function.event, shard0, 1, START, word_v);
    add_record(&function.event, shard0, 2, START, "{\"k\":\"a\",\"v\":1}");
    end_event(&function.event, &parts);
    assert_int_equal(send(&function), TUMBLE_ERECORD);
    end(&function);
}

static void a_final_is_all_or_nothing(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    batch_with_a_bad_one(&function, &parts);
    assert_int_equal(send(&function), TUMBLE_ERECORD);
    assert_int_equal(kept[0].count, 0);
    end(&function);
}

static void diverted_records_are_delivered_before_the_answer(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, DIVERTING);
    attach_kept(function.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&function);
    batch_with_a_bad_one(&function, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_BAD], 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 5);
    assert_int_equal(function.out.reported, 0);
    assert_int_equal(kept[1].count, 1);
    assert_non_null(strstr(kept[1].text, "nine"));
    /* or the invocation fails */
    struct text before = {0};
    add_bytes(&before, function.state.data, function.state.length);
    kept_reset();
    kept[1].retry_from = 0;
    function.state.length = 0;
    parts = parts_of(&function);
    batch_with_a_bad_one(&function, &parts);
    assert_int_equal(send(&function), TUMBLE_EOUTPUT);
    assert_string_equal(function.out.error_type, "Tumble.OutputFailed");
    kept_reset();
    send_ok(&function);
    assert_string_equal(function.state.data, before.data);
    free(before.data);
    end(&function);
}

static void an_output_that_fails_fails_the_final_and_a_retry_delivers(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 4);
    send_ok(&function);
    parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 0, 0);
    kept[0].retry_from = 1;
    assert_int_equal(send(&function), TUMBLE_EOUTPUT);
    assert_string_equal(function.out.error_type, "Tumble.OutputFailed");
    assert_non_null(strstr(function.error.text, "busy"));
    kept_reset();
    send_ok(&function);
    assert_int_equal(kept[0].count, 2);
    end(&function);
}

static void a_rejected_row_becomes_a_failure_or_fails_the_final(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    parts.final = 1;
    batch(&function, &parts, 1, 4);
    kept[0].reject_row = 1;
    assert_int_equal(send(&function), TUMBLE_EREJECTED);
    assert_string_equal(function.out.error_type, "Tumble.RowRejected");
    kept_reset();
    attach_kept(function.engine, TUMBLE_ROW_FAILURE);
    kept[0].reject_row = 1;
    send_ok(&function);
    assert_int_equal(kept[0].count, 1);
    assert_int_equal(kept[1].count, 1);
    assert_non_null(strstr(kept[1].text, "too ugly"));
    end(&function);
}

/* Every look at the clock takes a while. */
static int64_t runs_down(void *ctx) { return ((struct clock *)ctx)->left -= 200; }

static void point_49_at_the_deadline_the_event_is_answered_in_part(void **unused) {
    (void)unused;
    struct clock clock = {1000};
    struct function function = {.carried = {.report_batch_item_failures = 1, .host = {&clock, runs_down, NULL}}};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 2000);
    send_ok(&function);
    assert_int_equal(function.out.reported, 1);
    uint64_t applied = function.out.fates[TUMBLE_FATE_APPLIED];
    assert_true(applied > 0 && applied < 2000);
    clock.left = 100000;
    parts = parts_of(&function);
    batch(&function, &parts, applied + 1, 2000 - applied);
    send_ok(&function);
    assert_int_equal(function.out.skipped, 0);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2000 - applied);
    end(&function);
    struct function whole = {.carried.host = {&clock, runs_down, NULL}}; /* where parts are not declared */
    begin(&whole, SPEC);
    clock.left = 500;
    parts = parts_of(&whole);
    batch(&whole, &parts, 1, 2000);
    assert_int_equal(send(&whole), TUMBLE_EOUTPUT);
    assert_string_equal(whole.out.error_type, "Tumble.DeadlineExceeded");
    end(&whole);
}

static void refuse(struct function *function, const char *event, const char *type, const char *says) {
    function->event.length = 0;
    add(&function->event, "%s", event);
    assert_int_not_equal(send(function), TUMBLE_OK);
    if (strcmp(function->out.error_type, type) != 0 || !strstr(function->error.text, says)) {
        fail_msg("%s: %s: %s", event, function->out.error_type, function->error.text);
    }
    assert_non_null(strstr(function->out.response.data, type));
}

#define WINDOW "\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"}"
#define TAIL   ",\"shardId\":\"shardId-000000000001\",\"eventSourceARN\":\"a\"," WINDOW

static void bad_events_are_refused_and_the_next_one_works(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    static const char invalid[] = "Tumble.InvalidEvent", corrupt[] = "Tumble.StateCorrupt";
    refuse(&function, "", invalid, "an object");
    refuse(&function, "[]", invalid, "no object");
    refuse(&function, "{", invalid, "");
    refuse(&function, "{\"Records\":[]", invalid, "");
    refuse(&function, "{}", invalid, "no Records");
    refuse(&function, "{\"Records\":3}", invalid, "no array");
    refuse(&function, "{\"Records\":[3]" TAIL "}", invalid, "object");
    refuse(&function, "{\"Records\":[{\"Sns\":{}}]" TAIL "}", invalid, "");
    refuse(&function, "{\"Records\":[]}", "Tumble.WindowNotConfigured", "TumblingWindowInSeconds");
    refuse(&function, "{\"Records\":[]," WINDOW "}", invalid, "shardId");
    refuse(&function, "{\"Records\":[],\"shardId\":\"s\",\"window\":{\"start\":\"2020-12-09T07:04:00Z\"}}", invalid,
           "window.end");
    refuse(&function,
           "{\"Records\":[],\"shardId\":\"s\",\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"soon\"}}",
           invalid, "window.end");
    refuse(&function, "{\"Records\":[]" TAIL ",\"state\":{\"count\":2}}", corrupt, "not written by tumble");
    refuse(&function, "{\"Records\":[]" TAIL ",\"state\":\"x\"}", invalid, "state is a string");
    refuse(&function, "{\"Records\":[]" TAIL ",\"state\":{\"v\":\"2\"}}", "Tumble.StateVersion", "newer");
    refuse(&function, "{\"Records\":[]" TAIL ",\"state\":{\"v\":1}}", corrupt, "(v)");
    refuse(&function,
           "{\"Records\":[]" TAIL ",\"state\":{\"v\":\"1\",\"spec\":\"0000000000000000\","
           "\"digest\":\"00000000000000000000000000000000\",\"data\":\"!!!!\"}}",
           corrupt, "base64");
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 4);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 4);
    end(&function);
}

static void a_changed_state_is_refused_or_means_the_same(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    struct text right = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 30);
    send_ok(&function);
    struct text before = {0};
    add_bytes(&before, function.state.data, function.state.length);
    parts = parts_of(&function);
    batch(&function, &parts, 31, 1);
    send_ok(&function);
    add_bytes(&right, function.state.data, function.state.length);
    function.state.length = 0;
    add_bytes(&function.state, before.data, before.length);
    free(before.data);
    char *data = strstr(function.state.data, "\"digest\":\"") + 10;
    char *end_of_it = function.state.data + function.state.length - 2;
    unsigned refused = 0, tried = 0;
    for (char *at = data; at < end_of_it; at++) {
        if (strchr("\",:", *at) || strncmp(at, "data\":", 6) == 0) {
            at += *at == 'd' ? 5 : 0;
            continue;
        }
        char was = *at;
        *at = was == '1' ? '2' : '1';
        struct tumble_engine *fresh = sandbox(function.spec, &function.carried);
        parts = parts_of(&function);
        batch(&function, &parts, 31, 1);
        struct tumble_invoked out;
        enum tumble_code code = tumble_engine_invoke(fresh, view(&function.event), &out, NULL);
        tried++;
        if (code == TUMBLE_OK) { /* a bit of zstd's header that says nothing */
            struct text got = {0};
            keep_state(&got, out.response);
            assert_string_equal(got.data, right.data);
            free(got.data);
        }
        refused += code != TUMBLE_OK;
        *at = was;
        tumble_engine_destroy(fresh);
    }
    free(right.data);
    assert_true(tried > 100);
    assert_true(tried - refused < 4);
    end(&function);
}

static void a_state_of_another_shard_or_window_is_refused(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    batch(&function, &parts, 1, 4);
    send_ok(&function);
    parts = parts_of(&function);
    parts.start += 60;
    batch(&function, &parts, 5, 4);
    assert_int_equal(send(&function), TUMBLE_ECORRUPT);
    parts = parts_of(&function);
    parts.shard = "shardId-000000000007";
    batch(&function, &parts, 5, 4);
    assert_int_equal(send(&function), TUMBLE_ECORRUPT);
    end(&function);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_17_and_28_a_partial_answer_names_the_record_and_its_state_is_the_prefix),
        cmocka_unit_test(an_event_beyond_the_reported_record_is_counted_as_skipped),
        cmocka_unit_test(point_27_without_the_response_type_a_bad_record_fails_the_event),
        cmocka_unit_test(point_33_a_bad_first_record_acknowledges_nothing),
        cmocka_unit_test(a_final_is_all_or_nothing),
        cmocka_unit_test(diverted_records_are_delivered_before_the_answer),
        cmocka_unit_test(an_output_that_fails_fails_the_final_and_a_retry_delivers),
        cmocka_unit_test(a_rejected_row_becomes_a_failure_or_fails_the_final),
        cmocka_unit_test(point_49_at_the_deadline_the_event_is_answered_in_part),
        cmocka_unit_test(bad_events_are_refused_and_the_next_one_works),
        cmocka_unit_test(a_changed_state_is_refused_or_means_the_same),
        cmocka_unit_test(a_state_of_another_shard_or_window_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
