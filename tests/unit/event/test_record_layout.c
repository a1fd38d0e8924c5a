#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/lambda.h>

#include "codec/exact_copy.h"
#include "codec/layout_compare.h"
#include "engine/codec/layout.h"

enum { MEMBERS = 7 };

static void members(const struct tumble_kinesis_record *record, struct tumble_value *values) {
    const struct tumble_value all[MEMBERS] = {
        record->data,     record->partition_key,    record->sequence_number, record->explicit_hash_key,
        record->event_id, record->event_source_arn, record->arrival};
    memcpy(values, all, sizeof all);
}

static bool agree(struct tumble_layout *layout, const char *text, size_t length, int end_of_input, bool consume) {
    struct outcome general = {.consumed = 77, .err.byte = -1};
    struct outcome like = {.consumed = 77, .err.byte = -1};
    struct tumble_kinesis_record record;
    char *copy = exact_copy(text, length);
    struct tumble_bytes json = {copy, length};
    general.code =
        tumble_kinesis_record_parse(json, end_of_input, &record, consume ? &general.consumed : NULL, &general.err);
    members(&record, general.values);
    like.code = tumble_kinesis_record_parse_like(layout, json, end_of_input, &record, consume ? &like.consumed : NULL,
                                                 &like.err);
    members(&record, like.values);
    bool same = same_outcome(&general, &like, MEMBERS);
    free(copy);
    return same;
}

static void assert_agree(struct tumble_layout *layout, const char *text) {
    for (int mode = 0; mode < 4; mode++) {
        if (!agree(layout, text, strlen(text), mode & 1, mode & 2)) {
            fail_msg("read differently: %s", text);
        }
    }
}

static struct tumble_layout learned_from(const char *text) {
    struct tumble_layout layout = {0};
    assert_true(agree(&layout, text, strlen(text), 1, true));
    assert_true(agree(&layout, text, strlen(text), 1, true));
    assert_true(tw_layout_fitted(&layout));
    return layout;
}

#define RECORD(key, sequence, data, arrival, id, version, arn)                                                         \
    "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":" key ",\"sequenceNumber\":" sequence             \
    ",\"data\":" data ",\"approximateArrivalTimestamp\":" arrival "},\"eventSource\":\"aws:kinesis\","                 \
    "\"eventVersion\":" version ",\"eventID\":" id ",\"awsRegion\":\"us-east-2\",\"eventSourceARN\":" arn "}"

static const char usual[] =
    RECORD("\"1\"", "\"49590338271490256608559692538361571095921575989136588898\"",
           "\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\"", "1545084650.987",
           "\"shardId-000000000006:49590338271490256608559692538361571095921575989136588898\"", "\"1.0\"", "\"arn\"");

static void every_value_of_a_record_may_change(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool fits;
    } cases[] = {
        {RECORD("\"user-1\"", "\"2\"", "\"ZGF0YQ==\"", "1.5E9", "\"shardId-1:2\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"a\\u00e9\"", "\"\\u0032\"", "\"ZG\\/=\"", "0", "\"\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"\xc3\xa9\"", "\"\"", "\"\"", "-1", "\":\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("null", "\"2\"", "\"\"", "1", "null", "\"1.0\"", "\"arn\""), true},
        {RECORD("7", "\"2\"", "\"\"", "1", "\"\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"1\"", "null", "\"\"", "1", "\"\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"1\"", "\"2\"", "true", "1", "\"\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"1\"", "\"2\"", "\"\"", "\"1\"", "\"\"", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"1\"", "\"2\"", "\"\"", "1", "1", "\"1.0\"", "\"arn\""), true},
        {RECORD("\"1\"", "\"2\"", "{}", "1", "\"\"", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\"", "1", "[]", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\"", "01", "\"\"", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\"", "1.", "\"\"", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\xff\"", "1", "\"\"", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\n\"", "1", "\"\"", "\"1.0\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\"", "1", "\"\"", "\"1.1\"", "\"arn\""), false},
        {RECORD("\"1\"", "\"2\"", "\"\"", "1", "\"\"", "\"1.0\"", "\"other\""), true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_layout layout = learned_from(usual);
        if (!agree(&layout, cases[i].text, strlen(cases[i].text), 1, true)) {
            fail_msg("read differently: %s", cases[i].text);
        }
        if (tw_layout_fitted(&layout) != cases[i].fits) {
            fail_msg("fits or not: %s", cases[i].text);
        }
        layout = learned_from(usual);
        assert_agree(&layout, cases[i].text);
    }
}

static void every_cut_of_a_record_is_seen(void **state) {
    (void)state;
    const struct tumble_layout learned = learned_from(usual);
    for (size_t length = 0; length < sizeof usual; length++) {
        for (int mode = 0; mode < 4; mode++) {
            struct tumble_layout layout = learned;
            if (!agree(&layout, usual, length, mode & 1, mode & 2)) {
                fail_msg("cut to %zu bytes", length);
            }
        }
    }
}

/* Also once records have had values of the same lengths for long, and are compared piece by piece. */
static void assert_changes_are_seen(struct tumble_layout learned) {
    char text[sizeof usual];
    memcpy(text, usual, sizeof text);
    for (size_t at = 0; at + 1 < sizeof text; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct tumble_layout layout = learned;
            text[at] = (char)byte;
            if (!agree(&layout, text, sizeof text - 1, byte & 1, true)) {
                fail_msg("byte %zu changed to 0x%02x", at, (unsigned)byte);
            }
        }
        text[at] = usual[at];
    }
}

static void every_changed_byte_of_a_record_is_seen(void **state) {
    (void)state;
    struct tumble_layout layout = learned_from(usual);
    assert_changes_are_seen(layout);
    for (int i = 0; i < 300; i++) {
        assert_true(agree(&layout, usual, strlen(usual), i & 1, true));
    }
    assert_changes_are_seen(layout);
}

static void any_record_may_follow_any_other(void **state) {
    (void)state;
#define REST "\"sequenceNumber\":\"1\",\"approximateArrivalTimestamp\":1"
    static const char *const records[] = {
        usual,
        "{\"kinesis\":{\"data\":\"\"," REST "}}",
        "{\"kinesis\":{\"data\":\"\"," REST ",\"partitionKey\":null,\"explicitHashKey\":null},\"eventID\":null}",
        "{\"kinesis\":{\"data\":\"\"," REST ",\"partitionKey\":\"k\",\"explicitHashKey\":\"5\"},\"eventID\":\"e\"}",
        "{\"kinesis\":{\"data\":\"no\",\"data\":\"\"," REST "},\"eventID\":\"no\",\"eventID\":\"id\"}",
        "{\"kinesis\":{\"data\":\"no\",\"data\":\"\"," REST "},\"eventID\":\"no\",\"eventID\":null}",
        "{\"kinesis\":{\"partitionKey\":\"no\"},\"kinesis\":{\"data\":\"\"," REST "}}",
        "{\"kinesis\":7,\"kinesis\":{\"data\":\"\"," REST "}}",
        "{\"kinesis\":{\"data\":\"\"," REST "},\"kinesis\":7}",
        "{\"kinesis\":{\"data\":\"\"," REST "},\"kinesis\":null}",
        "{\"kinesis\":{\"data\":[1,\"x\"]," REST "}}",
        "{\"kinesis\":{\"d\\u0061ta\":\"x\"," REST "}}",
        "{\"kinesis\":null,\"data\":\"x\"}",
        "{\n\"kinesis\" : {\"data\":\"\"," REST "}\n}",
        "{}",
        "[]",
        "null",
        "12",
        "",
    };
    enum { RECORDS = sizeof records / sizeof *records };
    for (size_t i = 0; i < RECORDS; i++) {
        for (size_t j = 0; j < RECORDS; j++) {
            struct tumble_layout layout = {0};
            assert_agree(&layout, records[i]);
            assert_agree(&layout, records[j]);
            struct tumble_layout varying = {.vary = 1};
            assert_agree(&varying, records[i]);
            assert_agree(&varying, records[j]);
        }
    }
}

static void members_nobody_asks_for_may_vary_too(void **state) {
    (void)state;
    struct tumble_layout layout = {0};
    int fitted = 0;
    for (int i = 0; i < 200; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"kinesis\":{\"data\":\"\"," REST "},\"eventVersion\":\"%d\",\"eventSourceARN\":\"a%d\"}", i, i % 3);
        assert_agree(&layout, text);
        fitted += tw_layout_fitted(&layout);
    }
    assert_true(fitted > 150);
    assert_int_equal(tw_layout_newlines(&layout), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_a_record_may_change),     cmocka_unit_test(every_cut_of_a_record_is_seen),
        cmocka_unit_test(every_changed_byte_of_a_record_is_seen), cmocka_unit_test(any_record_may_follow_any_other),
        cmocka_unit_test(members_nobody_asks_for_may_vary_too),
    };
    return cmocka_run_group_tests_name("record_layout", tests, NULL, NULL);
}
