#include "engine/codec/md5.h"
#include "invoke_fixture.h"

/* One event in, one response out: what the numbered points of the semantics reference (its section 9) and the rules of
 * the design ask of an engine. */

static const char shard0[] = "shardId-000000000006";
enum { START = 1607497440 };

struct lambda { /* a function and the mapping's side of a window */
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct tumble_carried_options carried;
    struct text event;
    struct text state;
    struct tumble_invoked out;
    struct tumble_error error;
};

static void begin(struct lambda *lambda, const char *spec, int report) {
    memset(lambda, 0, sizeof *lambda);
    kept_reset();
    lambda->spec = spec_of(spec);
    lambda->carried.report_batch_item_failures = report;
    lambda->engine = sandbox(lambda->spec, &lambda->carried);
}

static void end(struct lambda *lambda) {
    tumble_engine_destroy(lambda->engine);
    tumble_spec_destroy(lambda->spec);
    free(lambda->event.data);
    free(lambda->state.data);
}

static enum tumble_code send(struct lambda *lambda) {
    memset(&lambda->error, 0, sizeof lambda->error);
    return tumble_engine_invoke(lambda->engine, view(&lambda->event), &lambda->out, &lambda->error);
}

static void send_ok(struct lambda *lambda) {
    enum tumble_code code = send(lambda);
    if (code != TUMBLE_OK) {
        fail_msg("%s: %s", lambda->out.error_type, lambda->error.text);
    }
    keep_state(&lambda->state, lambda->out.response);
}

/* Records first … first + count - 1, of group "a" or "b", value = number. */
static void batch(struct lambda *lambda, const struct event_parts *parts, uint64_t first, uint64_t count) {
    begin_event(&lambda->event, parts);
    for (uint64_t i = first; i < first + count; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        add_record(&lambda->event, parts->shard, i, parts->start + (int64_t)(i % 60), json);
    }
    end_event(&lambda->event, parts);
}

static struct event_parts parts_of(const struct lambda *lambda) {
    struct event_parts parts = {.shard = shard0, .start = START, .state = view(&lambda->state)};
    if (!lambda->state.length) {
        parts.state.data = NULL;
    }
    return parts;
}

static const char row_a[] =
    "{\"window_start\":\"2020-12-09T07:04:00Z\",\"window_end\":\"2020-12-09T07:05:00Z\","
    "\"shard_id\":\"shardId-000000000006\",\"fragment\":"
    "\"49590338271490256608559692538361571000000000000000000001\","
    "\"last_sequence\":\"49590338271490256608559692538361571000000000000000000004\",\"k\":\"a\",\"n\":2,\"s\":5,"
    "\"lo\":1.5,\"last\":3.5,";

static void point_4_a_window_begins_with_an_empty_state(void **unused) {
    (void)unused;
    struct lambda lambda;
    static const char *const states[] = {"{}", "null"};
    for (size_t i = 0; i < 2; i++) {
        begin(&lambda, SPEC, 0);
        struct event_parts parts = {.shard = shard0, .start = START, .state = tumble_bytes_of(states[i])};
        batch(&lambda, &parts, 1, 2);
        send_ok(&lambda);
        assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 2);
        assert_int_equal(lambda.out.groups, 2);
        end(&lambda);
    }
}

static void point_3_and_47_a_row_says_which_window_shard_and_fragment(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.start = 700 * 2296424; /* a length that divides no hour: the mapping decides, whatever it aligns to */
    parts.length = 700;
    parts.final = 1;
    batch(&lambda, &parts, 1, 1);
    send_ok(&lambda);
    static const char wanted[] = "{\"window_start\":\"2020-12-09T06:53:20Z\",\"window_end\":\"2020-12-09T07:05:00Z\","
                                 "\"shard_id\":\"shardId-000000000006\",\"fragment\":";
    assert_memory_equal(kept[0].text, wanted, sizeof wanted - 1);
    end(&lambda);
}

static void point_11_children_of_a_shard_begin_anew_in_the_same_window(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.final = 1; /* the parent's end */
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.shard = "shardId-000000000008";
    parts.final = 1;
    batch(&lambda, &parts, 3, 2);
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 4);
    assert_non_null(strstr(kept[0].text, "\"shard_id\":\"shardId-000000000006\""));
    assert_non_null(strstr(kept[0].text, "\"shard_id\":\"shardId-000000000008\""));
    end(&lambda);
}

static void point_26_a_success_says_that_no_record_failed(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    static const char tail[] = ",\"batchItemFailures\":[]}";
    struct tumble_bytes response = lambda.out.response;
    assert_memory_equal(response.data + response.length - sizeof tail + 1, tail, sizeof tail - 1);
    end(&lambda);
}

static void point_6_a_final_without_records_emits_the_rows_and_returns_a_state(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 3, 2);
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 0);
    parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    assert_string_equal(lambda.state.data, "{}");
    assert_int_equal(lambda.out.is_final, 1);
    assert_int_equal(lambda.out.rows, 2);
    assert_int_equal(kept[0].count, 2);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&lambda);
}

static void point_6_a_final_with_records_counts_them(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.final = 1;
    parts.final_key_first = 1;
    batch(&lambda, &parts, 3, 2);
    send_ok(&lambda);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&lambda);
}

static void a_final_that_has_everything_needs_no_state(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 1, 4);
    send_ok(&lambda);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    kept_reset();
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 0);
    end(&lambda);
}

static void point_12_and_13_early_termination_makes_two_fragments(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.final = parts.early = 1;
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    assert_int_equal(lambda.out.is_terminated_early, 1);
    assert_int_equal(kept[0].count, 2);
    parts = parts_of(&lambda); /* the same window again, from {} */
    batch(&lambda, &parts, 3, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 4);
    assert_non_null(strstr(kept[0].text, "\"fragment\":\"49590338271490256608559692538361571000000000000000000001\""));
    assert_non_null(strstr(kept[0].text, "\"fragment\":\"49590338271490256608559692538361571000000000000000000003\""));
    end(&lambda);
}

static void point_14_and_55_state_is_always_an_object_of_strings(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 10);
    send_ok(&lambda);
    const char *at = lambda.state.data;
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
    end(&lambda);
}

static void point_16_a_retry_with_the_old_state_gives_the_same_answer(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 3);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 4, 3);
    struct text first = {0};
    send_ok(&lambda);
    add_bytes(&first, lambda.state.data, lambda.state.length);
    send_ok(&lambda); /* the same event once more: the first answer was lost */
    assert_int_equal(lambda.out.cache_hit, 0);
    assert_string_equal(lambda.state.data, first.data);
    struct tumble_engine *other = sandbox(lambda.spec, &lambda.carried); /* and in another sandbox */
    struct tumble_invoked out;
    assert_int_equal(tumble_engine_invoke(other, view(&lambda.event), &out, NULL), TUMBLE_OK);
    keep_state(&lambda.state, out.response);
    assert_string_equal(lambda.state.data, first.data);
    tumble_engine_destroy(other);
    free(first.data);
    end(&lambda);
}

static void records_seen_before_are_duplicates(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 3);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 2, 4);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_DUPLICATE], 2);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 2);
    end(&lambda);
}

static const char bad_v[] = "{\"k\":\"a\",\"v\":\"nine\"}";

/* Records 1 … 6, the fourth of them bad. */
static void batch_with_a_bad_one(struct lambda *lambda, const struct event_parts *parts) {
    begin_event(&lambda->event, parts);
    for (uint64_t i = 1; i <= 6; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        add_record(&lambda->event, parts->shard, i, parts->start + (int64_t)i, i == 4 ? bad_v : json);
    }
    end_event(&lambda->event, parts);
}

static void point_17_and_28_a_partial_answer_names_the_record_and_its_state_is_the_prefix(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch_with_a_bad_one(&lambda, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.reported, 1);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 3);
    assert_non_null(strstr(lambda.out.response.data,
                           "\"batchItemFailures\":[{\"itemIdentifier\":"
                           "\"49590338271490256608559692538361571000000000000000000004\"}]}"));
    /* Lambda sends the suffix with that state; the record was mended meanwhile */
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 4, 1);
    send_ok(&lambda);
    assert_int_equal(lambda.out.skipped, 0);
    parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 0, 0);
    send_ok(&lambda);
    assert_memory_equal(kept[0].text, row_a, sizeof row_a - 1);
    end(&lambda);
}

static void an_event_beyond_the_reported_record_is_counted_as_skipped(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch_with_a_bad_one(&lambda, &parts);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 5, 2);
    send_ok(&lambda);
    assert_int_equal(lambda.out.skipped, 1);
    end(&lambda);
}

static void point_27_without_the_response_type_a_bad_record_fails_the_event(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    batch_with_a_bad_one(&lambda, &parts);
    assert_int_equal(send(&lambda), TUMBLE_ERECORD);
    assert_string_equal(lambda.out.error_type, "Tumble.BadRecord");
    assert_non_null(strstr(lambda.out.response.data, "{\"errorMessage\":\""));
    assert_non_null(strstr(lambda.out.response.data, "\"errorType\":\"Tumble.BadRecord\",\"stackTrace\":[]}"));
    batch(&lambda, &parts, 1, 4); /* nothing of it stayed */
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 4);
    end(&lambda);
}

static void point_33_a_bad_first_record_acknowledges_nothing(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    add_record(&lambda.event, shard0, 1, START, bad_v);
    add_record(&lambda.event, shard0, 2, START, "{\"k\":\"a\",\"v\":1}");
    end_event(&lambda.event, &parts);
    assert_int_equal(send(&lambda), TUMBLE_ERECORD);
    end(&lambda);
}

static void a_final_is_all_or_nothing(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    parts.final = 1;
    batch_with_a_bad_one(&lambda, &parts);
    assert_int_equal(send(&lambda), TUMBLE_ERECORD);
    assert_int_equal(kept[0].count, 0);
    end(&lambda);
}

#define DIVERTING                                                                                                      \
    "{\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"        \
    "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}]}"

static void diverted_records_are_delivered_before_the_answer(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, DIVERTING, 1);
    attach_kept(lambda.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&lambda);
    batch_with_a_bad_one(&lambda, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_BAD], 1);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 5);
    assert_int_equal(lambda.out.reported, 0);
    assert_int_equal(kept[1].count, 1);
    assert_non_null(strstr(kept[1].text, "nine"));
    /* or the invocation fails */
    struct text before = {0};
    add_bytes(&before, lambda.state.data, lambda.state.length);
    kept_reset();
    kept[1].retry_from = 0;
    lambda.state.length = 0;
    parts = parts_of(&lambda);
    batch_with_a_bad_one(&lambda, &parts);
    assert_int_equal(send(&lambda), TUMBLE_EOUTPUT);
    assert_string_equal(lambda.out.error_type, "Tumble.OutputFailed");
    kept_reset();
    send_ok(&lambda);
    assert_string_equal(lambda.state.data, before.data);
    free(before.data);
    end(&lambda);
}

static void point_24_every_form_of_a_number_is_an_arrival_time(void **unused) {
    (void)unused;
    static const char *const forms[] = {"1.607497475E9", "1607497475.000", "1607497475", "1.607497475123E9"};
    struct lambda lambda;
    begin(&lambda, "{\"group_by\":[\"$arrival\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}", 0);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    for (uint64_t i = 0; i < 4; i++) {
        add_raw_record(&lambda.event, shard0, digits(i + 1), forms[i], tumble_bytes_of("{}"));
    }
    parts.final = 1;
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_non_null(strstr(kept[0].text, "\"$arrival\":1607497475000,\"n\":3,"));
    assert_non_null(strstr(kept[0].text, "\"$arrival\":1607497475123,\"n\":1,"));
    end(&lambda);
}

static void point_25_sequence_numbers_are_compared_as_numbers(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    add_raw_record(&lambda.event, shard0, "9", "1607497475", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    add_raw_record(&lambda.event, shard0, "10", "1607497475", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 2);
    assert_non_null(strstr(lambda.state.data, "\"seq\":\"10\""));
    end(&lambda);
}

static void point_39_a_consumer_is_no_other_stream(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.arn = ARN "/consumer/c:1700000000";
    batch(&lambda, &parts, 1, 2);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 3, 2);
    send_ok(&lambda);
    assert_int_equal(lambda.out.cache_hit, 1);
    end(&lambda);
}

/* An aggregate as enhanced fan-out delivers it: records that share their sequence number. */
static void consumer_batch(struct lambda *lambda, struct event_parts *parts, uint64_t sequence, int count, int bad) {
    parts->arn = ARN "/consumer/c:1700000000";
    begin_event(&lambda->event, parts);
    add_record(&lambda->event, shard0, sequence - 1, START, "{\"k\":\"a\",\"v\":1}");
    for (int i = 0; i < count; i++) {
        add_record(&lambda->event, shard0, sequence, START, i == bad ? bad_v : "{\"k\":\"b\",\"v\":1}");
    }
    end_event(&lambda->event, parts);
}

static void point_40_records_of_one_sequence_number_are_told_apart_by_their_ordinal(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    consumer_batch(&lambda, &parts, 7, 3, -1);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 4);
    /* the aggregate goes on in the next event */
    parts = parts_of(&lambda);
    parts.arn = ARN "/consumer/c:1700000000";
    begin_event(&lambda.event, &parts);
    add_record(&lambda.event, shard0, 7, START, "{\"k\":\"b\",\"v\":1}");
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 1);
    end(&lambda);
}

static void point_40_a_bad_part_takes_its_whole_sequence_number_back(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    consumer_batch(&lambda, &parts, 7, 3, 2);
    send_ok(&lambda);
    assert_int_equal(lambda.out.reported, 1);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 1); /* the record in front of the aggregate */
    assert_int_equal(lambda.out.groups, 1);
    assert_non_null(strstr(lambda.out.response.data, "571000000000000000000007\"}]}"));
    end(&lambda);
}

static void point_48_a_late_record_is_applied_to_the_window_the_mapping_put_it_in(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.final = 1;
    begin_event(&lambda.event, &parts); /* a further fragment of a window that was closed; never another window's */
    add_record(&lambda.event, shard0, 9, START + 59, "{\"k\":\"a\",\"v\":1}");
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 1);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_LATE], 0);
    assert_non_null(strstr(kept[0].text, "\"window_start\":\"2020-12-09T07:04:00Z\""));
    end(&lambda);
}

static void point_47_a_final_seen_twice_has_the_same_keys(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 1, 4);
    send_ok(&lambda);
    char once[1024];
    assert_true(kept[0].length < sizeof once);
    memcpy(once, kept[0].text, kept[0].length + 1);
    kept_reset();
    send_ok(&lambda);
    assert_string_equal(kept[0].text, once);
    end(&lambda);
}

static void an_output_that_fails_fails_the_final_and_a_retry_delivers(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 4);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 0, 0);
    kept[0].retry_from = 1;
    assert_int_equal(send(&lambda), TUMBLE_EOUTPUT);
    assert_string_equal(lambda.out.error_type, "Tumble.OutputFailed");
    assert_non_null(strstr(lambda.error.text, "busy"));
    kept_reset();
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 2);
    end(&lambda);
}

static void a_rejected_row_becomes_a_failure_or_fails_the_final(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 0);
    struct event_parts parts = parts_of(&lambda);
    parts.final = 1;
    batch(&lambda, &parts, 1, 4);
    kept[0].reject_row = 1;
    assert_int_equal(send(&lambda), TUMBLE_EREJECTED);
    assert_string_equal(lambda.out.error_type, "Tumble.RowRejected");
    kept_reset();
    attach_kept(lambda.engine, TUMBLE_ROW_FAILURE);
    kept[0].reject_row = 1;
    send_ok(&lambda);
    assert_int_equal(kept[0].count, 1);
    assert_int_equal(kept[1].count, 1);
    assert_non_null(strstr(kept[1].text, "too ugly"));
    end(&lambda);
}

static void dynamodb_streams_have_windows_too(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda,
          "{\"group_by\":[\"eventName\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
          "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"NewImage.total\"}]}",
          1);
    struct event_parts parts = parts_of(&lambda);
    parts.shard = "shardId-00000001789654247890-85a74c59";
    parts.arn = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-09-17T14:10:44.560";
    parts.final = 1;
    begin_event(&lambda.event, &parts);
    for (int i = 1; i <= 3; i++) {
        add(&lambda.event,
            "%s{\"eventID\":\"e%d\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\","
            "\"awsRegion\":\"us-east-1\",\"dynamodb\":{\"ApproximateCreationDateTime\":1.607497475E9,"
            "\"Keys\":{\"id\":{\"N\":\"%d\"}},\"NewImage\":{\"id\":{\"N\":\"%d\"},\"total\":{\"N\":\"1%d.25\"}},"
            "\"SequenceNumber\":\"10000000000000000000%d\",\"SizeBytes\":26,\"StreamViewType\":\"NEW_IMAGE\"},"
            "\"eventSourceARN\":\"arn\"}",
            i > 1 ? "," : "", i, i == 3 ? "MODIFY" : "INSERT", i, i, i, i);
    }
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 3);
    assert_non_null(strstr(kept[0].text, "\"eventName\":\"INSERT\",\"n\":2,\"s\":23.5,"));
    assert_non_null(strstr(kept[0].text, "\"eventName\":\"MODIFY\",\"n\":1,\"s\":13.25,"));
    end(&lambda);
}

static void point_41_what_only_looks_like_an_aggregate_is_a_record(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, DIVERTING, 0);
    attach_kept(lambda.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    struct tumble_bytes raw = {"\xf3\x89\x9a\xc2 and then no protobuf and no digest", 38};
    add_raw_record(&lambda.event, shard0, "1", "1607497475", raw);
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.records, 1);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_BAD], 1); /* it is kept, as what it is: no JSON */
    assert_int_equal(kept[1].count, 1);
    end(&lambda);
}

/* The golden vector of the semantics reference, section 7.2. */
static const char golden[] =
    "84mawgoJb3duZWQta2V5EgEwGjYIABAAGjB7InBoYXNlIjogImhhc2hfc3RhbmRhcmQiLCAib3JkaW5hbCI6ICJjb250"
    "cm9sIn3aoSx6/aLF5nT6cLXWhKcS";

static void an_aggregate_of_the_producer_library_is_split(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda,
          "{\"group_by\":[\"phase\",\"$partitionKey\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}", 1);
    struct event_parts parts = parts_of(&lambda);
    char decoded[128];
    size_t length;
    assert_int_equal(tw_base64_decode(tumble_bytes_of(golden), decoded, &length, NULL), TUMBLE_OK);
    struct tumble_bytes data = {decoded, length};
    begin_event(&lambda.event, &parts);
    add_raw_record(&lambda.event, shard0, "1", "1607497475", data);
    parts.final = 1;
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_non_null(strstr(kept[0].text, "\"phase\":\"hash_standard\",\"$partitionKey\":\"owned-key\",\"n\":1,"));
    end(&lambda);
}

/* An aggregate of two records whose second points outside the table of keys: magic, message, digest. */
static struct tumble_bytes aggregate_with_a_bad_index(void) {
    static char bytes[64];
    static const char message[] = "\x0a\x01p\x1a\x15\x08\x00\x1a\x11{\"k\":\"a\",\"v\":1.5}\x1a\x06\x08\x09\x1a\x02{}";
    size_t length = sizeof message - 1;
    memcpy(bytes, "\xf3\x89\x9a\xc2", 4);
    memcpy(bytes + 4, message, length);
    tw_md5(message, length, (uint8_t *)bytes + 4 + length);
    struct tumble_bytes data = {bytes, 4 + length + 16};
    return data;
}

static void point_43_what_a_bad_index_hides_is_a_bad_record(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, DIVERTING, 0);
    attach_kept(lambda.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    add_raw_record(&lambda.event, shard0, digits(1), "1607497475", aggregate_with_a_bad_index());
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 1); /* earlier ones stay */
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_BAD], 1);     /* and the rest is not lost in silence */
    assert_int_equal(kept[1].count, 1);
    end(&lambda);
}

static void where_bad_records_fail_a_bad_index_takes_the_aggregate_back(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    begin_event(&lambda.event, &parts);
    add_record(&lambda.event, shard0, 1, START, "{\"k\":\"b\",\"v\":1}");
    add_raw_record(&lambda.event, shard0, digits(2), "1607497475", aggregate_with_a_bad_index());
    end_event(&lambda.event, &parts);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 1);
    assert_int_equal(lambda.out.groups, 1); /* "a" is gone again */
    assert_int_equal(lambda.out.reported, 1);
    end(&lambda);
}

/* ---- as structs ---- */

static void a_batch_of_structs_is_answered_as_the_event_is(void **unused) {
    (void)unused;
    struct lambda by_event, by_struct;
    struct tumble_record records[6];
    char data[6][64], sequence[6][64];
    begin(&by_struct, SPEC, 1);
    begin(&by_event, SPEC, 1);
    struct event_parts parts = parts_of(&by_event);
    batch_with_a_bad_one(&by_event, &parts);
    send_ok(&by_event);
    for (uint64_t i = 1; i <= 6; i++) {
        struct tumble_record record = {.arrival_ms = INT64_C(1000) * START + (int64_t)i * 1001,
                                       .partition_key = {"pk", 2}};
        snprintf(data[i - 1], sizeof data[0], "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        snprintf(sequence[i - 1], sizeof sequence[0], "%s", digits(i));
        record.data = tumble_bytes_of(i == 4 ? bad_v : data[i - 1]);
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

/* ---- bad events ---- */

static void refuse(struct lambda *lambda, const char *event, const char *type, const char *says) {
    lambda->event.length = 0;
    add(&lambda->event, "%s", event);
    assert_int_not_equal(send(lambda), TUMBLE_OK);
    if (strcmp(lambda->out.error_type, type) != 0 || !strstr(lambda->error.text, says)) {
        fail_msg("%s: %s: %s", event, lambda->out.error_type, lambda->error.text);
    }
    assert_non_null(strstr(lambda->out.response.data, type));
}

#define WINDOW "\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"}"
#define TAIL   ",\"shardId\":\"shardId-000000000006\",\"eventSourceARN\":\"a\"," WINDOW

static void bad_events_are_refused_and_the_next_one_works(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    static const char invalid[] = "Tumble.InvalidEvent", corrupt[] = "Tumble.StateCorrupt";
    refuse(&lambda, "", invalid, "an object");
    refuse(&lambda, "[]", invalid, "no object");
    refuse(&lambda, "{", invalid, "");
    refuse(&lambda, "{\"Records\":[]", invalid, "");
    refuse(&lambda, "{}", invalid, "no Records");
    refuse(&lambda, "{\"Records\":3}", invalid, "no array");
    refuse(&lambda, "{\"Records\":[3]" TAIL "}", invalid, "object");
    refuse(&lambda, "{\"Records\":[{\"Sns\":{}}]" TAIL "}", invalid, "");
    refuse(&lambda, "{\"Records\":[]}", "Tumble.WindowNotConfigured", "TumblingWindowInSeconds");
    refuse(&lambda, "{\"Records\":[]," WINDOW "}", invalid, "shardId");
    refuse(&lambda, "{\"Records\":[],\"shardId\":\"s\",\"window\":{\"start\":\"2020-12-09T07:04:00Z\"}}", invalid,
           "window.end");
    refuse(&lambda,
           "{\"Records\":[],\"shardId\":\"s\",\"window\":{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"soon\"}}",
           invalid, "window.end");
    refuse(&lambda, "{\"Records\":[]" TAIL ",\"state\":{\"count\":2}}", corrupt, "not written by tumble");
    refuse(&lambda, "{\"Records\":[]" TAIL ",\"state\":\"x\"}", invalid, "state is a string");
    refuse(&lambda, "{\"Records\":[]" TAIL ",\"state\":{\"v\":\"2\"}}", "Tumble.StateVersion", "newer");
    refuse(&lambda, "{\"Records\":[]" TAIL ",\"state\":{\"v\":1}}", corrupt, "(v)");
    refuse(&lambda,
           "{\"Records\":[]" TAIL ",\"state\":{\"v\":\"1\",\"spec\":\"0000000000000000\","
           "\"digest\":\"00000000000000000000000000000000\",\"data\":\"!!!!\"}}",
           corrupt, "base64");
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 4);
    send_ok(&lambda);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 4);
    end(&lambda);
}

static void a_changed_state_is_refused_or_means_the_same(void **unused) {
    (void)unused;
    struct lambda lambda;
    struct text right = {0};
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 30);
    send_ok(&lambda);
    struct text before = {0};
    add_bytes(&before, lambda.state.data, lambda.state.length);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 31, 1);
    send_ok(&lambda);
    add_bytes(&right, lambda.state.data, lambda.state.length);
    lambda.state.length = 0;
    add_bytes(&lambda.state, before.data, before.length);
    free(before.data);
    char *data = strstr(lambda.state.data, "\"digest\":\"") + 10;
    char *end_of_it = lambda.state.data + lambda.state.length - 2;
    unsigned refused = 0, tried = 0;
    for (char *at = data; at < end_of_it; at++) {
        if (strchr("\",:", *at) || strncmp(at, "data\":", 6) == 0) {
            at += *at == 'd' ? 5 : 0;
            continue;
        }
        char was = *at;
        *at = was == '1' ? '2' : '1';
        struct tumble_engine *fresh = sandbox(lambda.spec, &lambda.carried);
        parts = parts_of(&lambda);
        batch(&lambda, &parts, 31, 1);
        struct tumble_invoked out;
        enum tumble_code code = tumble_engine_invoke(fresh, view(&lambda.event), &out, NULL);
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
    end(&lambda);
}

static void a_state_of_another_shard_or_window_is_refused(void **unused) {
    (void)unused;
    struct lambda lambda;
    begin(&lambda, SPEC, 1);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 4);
    send_ok(&lambda);
    parts = parts_of(&lambda);
    parts.start += 60;
    batch(&lambda, &parts, 5, 4);
    assert_int_equal(send(&lambda), TUMBLE_ECORRUPT);
    parts = parts_of(&lambda);
    parts.shard = "shardId-000000000007";
    batch(&lambda, &parts, 5, 4);
    assert_int_equal(send(&lambda), TUMBLE_ECORRUPT);
    end(&lambda);
}

/* ---- deadlines ---- */

struct clock {
    int64_t left;
    int64_t step;
};
static int64_t remaining(void *ctx) {
    struct clock *clock = ctx;
    clock->left -= clock->step;
    return clock->left;
}

static void point_49_at_the_deadline_the_event_is_answered_in_part(void **unused) {
    (void)unused;
    struct lambda lambda;
    struct clock clock = {1000, 200};
    begin(&lambda, SPEC, 1);
    tumble_engine_destroy(lambda.engine);
    lambda.carried.host.ctx = &clock;
    lambda.carried.host.remaining_ms = remaining;
    lambda.engine = sandbox(lambda.spec, &lambda.carried);
    struct event_parts parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2000);
    send_ok(&lambda);
    assert_int_equal(lambda.out.reported, 1);
    uint64_t applied = lambda.out.fates[TUMBLE_FATE_APPLIED];
    assert_true(applied > 0 && applied < 2000);
    clock.step = 0;
    clock.left = 100000;
    parts = parts_of(&lambda);
    batch(&lambda, &parts, applied + 1, 2000 - applied);
    send_ok(&lambda);
    assert_int_equal(lambda.out.skipped, 0);
    assert_int_equal(lambda.out.fates[TUMBLE_FATE_APPLIED], 2000 - applied);
    end(&lambda);
    begin(&lambda, SPEC, 0); /* and fails whole where parts are not declared */
    tumble_engine_destroy(lambda.engine);
    clock.left = 500;
    clock.step = 200;
    lambda.carried.host.ctx = &clock;
    lambda.carried.host.remaining_ms = remaining;
    lambda.engine = sandbox(lambda.spec, &lambda.carried);
    parts = parts_of(&lambda);
    batch(&lambda, &parts, 1, 2000);
    assert_int_equal(send(&lambda), TUMBLE_EOUTPUT);
    assert_string_equal(lambda.out.error_type, "Tumble.DeadlineExceeded");
    end(&lambda);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_3_and_47_a_row_says_which_window_shard_and_fragment),
        cmocka_unit_test(point_11_children_of_a_shard_begin_anew_in_the_same_window),
        cmocka_unit_test(point_26_a_success_says_that_no_record_failed),
        cmocka_unit_test(point_48_a_late_record_is_applied_to_the_window_the_mapping_put_it_in),
        cmocka_unit_test(point_43_what_a_bad_index_hides_is_a_bad_record),
        cmocka_unit_test(where_bad_records_fail_a_bad_index_takes_the_aggregate_back),
        cmocka_unit_test(point_4_a_window_begins_with_an_empty_state),
        cmocka_unit_test(point_6_a_final_without_records_emits_the_rows_and_returns_a_state),
        cmocka_unit_test(point_6_a_final_with_records_counts_them),
        cmocka_unit_test(a_final_that_has_everything_needs_no_state),
        cmocka_unit_test(point_12_and_13_early_termination_makes_two_fragments),
        cmocka_unit_test(point_14_and_55_state_is_always_an_object_of_strings),
        cmocka_unit_test(point_16_a_retry_with_the_old_state_gives_the_same_answer),
        cmocka_unit_test(records_seen_before_are_duplicates),
        cmocka_unit_test(point_17_and_28_a_partial_answer_names_the_record_and_its_state_is_the_prefix),
        cmocka_unit_test(an_event_beyond_the_reported_record_is_counted_as_skipped),
        cmocka_unit_test(point_27_without_the_response_type_a_bad_record_fails_the_event),
        cmocka_unit_test(point_33_a_bad_first_record_acknowledges_nothing),
        cmocka_unit_test(a_final_is_all_or_nothing),
        cmocka_unit_test(diverted_records_are_delivered_before_the_answer),
        cmocka_unit_test(point_24_every_form_of_a_number_is_an_arrival_time),
        cmocka_unit_test(point_25_sequence_numbers_are_compared_as_numbers),
        cmocka_unit_test(point_39_a_consumer_is_no_other_stream),
        cmocka_unit_test(point_40_records_of_one_sequence_number_are_told_apart_by_their_ordinal),
        cmocka_unit_test(point_40_a_bad_part_takes_its_whole_sequence_number_back),
        cmocka_unit_test(point_47_a_final_seen_twice_has_the_same_keys),
        cmocka_unit_test(an_output_that_fails_fails_the_final_and_a_retry_delivers),
        cmocka_unit_test(a_rejected_row_becomes_a_failure_or_fails_the_final),
        cmocka_unit_test(dynamodb_streams_have_windows_too),
        cmocka_unit_test(point_41_what_only_looks_like_an_aggregate_is_a_record),
        cmocka_unit_test(an_aggregate_of_the_producer_library_is_split),
        cmocka_unit_test(a_batch_of_structs_is_answered_as_the_event_is),
        cmocka_unit_test(bad_events_are_refused_and_the_next_one_works),
        cmocka_unit_test(a_changed_state_is_refused_or_means_the_same),
        cmocka_unit_test(a_state_of_another_shard_or_window_is_refused),
        cmocka_unit_test(point_49_at_the_deadline_the_event_is_answered_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
