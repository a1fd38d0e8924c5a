#include "engine/codec/md5.h"
#include "function_fixture.h"

/* What may stand in an event: every form of time and number, what consumers and tables send, and aggregates of the
 * producer library. */

static void point_24_every_form_of_a_number_is_an_arrival_time(void **unused) {
    (void)unused;
    static const char *const forms[] = {"1.607497475E9", "1607497475.000", "1607497475", "1.607497475123E9"};
    struct function function = {0};
    begin(&function, "{\"group_by\":[\"$arrival\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    for (uint64_t i = 0; i < 4; i++) {
        add_raw_record(&function.event, shard0, digits(i + 1), forms[i], tumble_bytes_of("{}"));
    }
    parts.final = 1;
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_non_null(strstr(kept[0].text, "\"$arrival\":1607497475000,\"n\":3,"));
    assert_non_null(strstr(kept[0].text, "\"$arrival\":1607497475123,\"n\":1,"));
    end(&function);
}

static void point_25_sequence_numbers_are_compared_as_numbers(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    add_raw_record(&function.event, shard0, "9", "1607497475", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    add_raw_record(&function.event, shard0, "10", "1607497475", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 2);
    assert_non_null(strstr(function.state.data, "\"seq\":\"10\""));
    end(&function);
}

/* An aggregate as enhanced fan-out delivers it: records that share their sequence number. */
static void consumer_batch(struct function *function, struct event_parts *parts, uint64_t sequence, int count,
                           int bad) {
    parts->arn = ARN "/consumer/c:1700000000";
    begin_event(&function->event, parts);
    add_record(&function->event, shard0, sequence - 1, START, "{\"k\":\"a\",\"v\":1}");
    for (int i = 0; i < count; i++) {
        add_record(&function->event, shard0, sequence, START, i == bad ? word_v : "{\"k\":\"b\",\"v\":1}");
    }
    end_event(&function->event, parts);
}

static void point_40_records_of_one_sequence_number_are_told_apart_by_their_ordinal(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    consumer_batch(&function, &parts, 7, 3, -1);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 4);
    /* the aggregate goes on in the next event */
    parts = parts_of(&function);
    parts.arn = ARN "/consumer/c:1700000000";
    begin_event(&function.event, &parts);
    add_record(&function.event, shard0, 7, START, "{\"k\":\"b\",\"v\":1}");
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1);
    end(&function);
}

static void point_40_a_bad_part_takes_its_whole_sequence_number_back(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    consumer_batch(&function, &parts, 7, 3, 2);
    send_ok(&function);
    assert_int_equal(function.out.reported, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1); /* the record in front of the aggregate */
    assert_int_equal(function.out.groups, 1);
    assert_non_null(strstr(function.out.response.data, "571000000000000000000007\"}]}"));
    end(&function);
}

static void dynamodb_streams_have_windows_too(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, "{\"group_by\":[\"eventName\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
                     "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"NewImage.total\"}]}");
    struct event_parts parts = parts_of(&function);
    parts.shard = "shardId-00000001789654247890-85a74c59";
    parts.arn = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-09-17T14:10:44.560";
    parts.final = 1;
    begin_event(&function.event, &parts);
    for (int i = 1; i <= 3; i++) {
        add(&function.event,
            "%s{\"eventID\":\"e%d\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\","
            "\"awsRegion\":\"us-east-1\",\"dynamodb\":{\"ApproximateCreationDateTime\":1.607497475E9,"
            "\"Keys\":{\"id\":{\"N\":\"%d\"}},\"NewImage\":{\"id\":{\"N\":\"%d\"},\"total\":{\"N\":\"1%d.25\"}},"
            "\"SequenceNumber\":\"10000000000000000000%d\",\"SizeBytes\":26,\"StreamViewType\":\"NEW_IMAGE\"},"
            "\"eventSourceARN\":\"arn\"}",
            i > 1 ? "," : "", i, i == 3 ? "MODIFY" : "INSERT", i, i, i, i);
    }
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 3);
    assert_non_null(strstr(kept[0].text, "\"eventName\":\"INSERT\",\"n\":2,\"s\":23.5,"));
    assert_non_null(strstr(kept[0].text, "\"eventName\":\"MODIFY\",\"n\":1,\"s\":13.25,"));
    end(&function);
}

static void point_41_what_only_looks_like_an_aggregate_is_a_record(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, DIVERTING);
    attach_kept(function.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    struct tumble_bytes raw = {"\xf3\x89\x9a\xc2 and then no protobuf and no digest", 38};
    add_raw_record(&function.event, shard0, "1", "1607497475", raw);
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.records, 1);
    assert_int_equal(function.out.fates[TUMBLE_FATE_BAD], 1); /* it is kept, as what it is: no JSON */
    assert_int_equal(kept[1].count, 1);
    end(&function);
}

/* The golden vector of the semantics reference, section 7.2. */
static const char golden[] =
    "84mawgoJb3duZWQta2V5EgEwGjYIABAAGjB7InBoYXNlIjogImhhc2hfc3RhbmRhcmQiLCAib3JkaW5hbCI6ICJjb250"
    "cm9sIn3aoSx6/aLF5nT6cLXWhKcS";

static void an_aggregate_of_the_producer_library_is_split(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function,
          "{\"group_by\":[\"phase\",\"$partitionKey\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    struct event_parts parts = parts_of(&function);
    char decoded[128];
    size_t length;
    assert_int_equal(tw_base64_decode(tumble_bytes_of(golden), decoded, &length, NULL), TUMBLE_OK);
    struct tumble_bytes data = {decoded, length};
    begin_event(&function.event, &parts);
    add_raw_record(&function.event, shard0, "1", "1607497475", data);
    parts.final = 1;
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_non_null(strstr(kept[0].text, "\"phase\":\"hash_standard\",\"$partitionKey\":\"owned-key\",\"n\":1,"));
    end(&function);
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
    struct function function = {0};
    begin(&function, DIVERTING);
    attach_kept(function.engine, TUMBLE_ROW_FAILURE);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    add_raw_record(&function.event, shard0, digits(1), "1607497475", aggregate_with_a_bad_index());
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1); /* earlier ones stay */
    assert_int_equal(function.out.fates[TUMBLE_FATE_BAD], 1);     /* and the rest is not lost in silence */
    assert_int_equal(kept[1].count, 1);
    end(&function);
}

static void where_bad_records_fail_a_bad_index_takes_the_aggregate_back(void **unused) {
    (void)unused;
    struct function function = {.carried.report_batch_item_failures = 1};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    add_record(&function.event, shard0, 1, START, "{\"k\":\"b\",\"v\":1}");
    add_raw_record(&function.event, shard0, digits(2), "1607497475", aggregate_with_a_bad_index());
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 1);
    assert_int_equal(function.out.groups, 1); /* "a" is gone again */
    assert_int_equal(function.out.reported, 1);
    end(&function);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(point_24_every_form_of_a_number_is_an_arrival_time),
        cmocka_unit_test(point_25_sequence_numbers_are_compared_as_numbers),
        cmocka_unit_test(point_40_records_of_one_sequence_number_are_told_apart_by_their_ordinal),
        cmocka_unit_test(point_40_a_bad_part_takes_its_whole_sequence_number_back),
        cmocka_unit_test(dynamodb_streams_have_windows_too),
        cmocka_unit_test(point_41_what_only_looks_like_an_aggregate_is_a_record),
        cmocka_unit_test(an_aggregate_of_the_producer_library_is_split),
        cmocka_unit_test(point_43_what_a_bad_index_hides_is_a_bad_record),
        cmocka_unit_test(where_bad_records_fail_a_bad_index_takes_the_aggregate_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
