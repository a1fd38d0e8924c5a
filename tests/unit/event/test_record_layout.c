#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/lambda.h>

#include "codec/exact_copy.h"
#include "codec/layout_compare.h"
#include "engine/codec/base64.h"
#include "engine/codec/cpu.h"
#include "engine/codec/layout.h"

enum { MEMBERS = 7 };

static void members(const struct tumble_kinesis_record *record, struct tumble_value *values) {
    const struct tumble_value all[MEMBERS] = {
        record->data,     record->partition_key,    record->sequence_number, record->explicit_hash_key,
        record->event_id, record->event_source_arn, record->arrival};
    memcpy(values, all, sizeof all);
}

/* Decoded on the way, or not: what base64 the record holds either way. */
static bool decoded_right(const struct tumble_value *data, const char *decoded, size_t length) {
    char wanted[512];
    size_t wanted_length = 0;
    struct tumble_bytes view = {data->text, data->length};
    return length == TUMBLE_NOT_DECODED ||
           (data->type == TUMBLE_TYPE_STRING && data->flags == 0 && data->length < sizeof wanted &&
            tw_base64_decode_portable(view, wanted, &wanted_length, NULL) == TUMBLE_OK && wanted_length == length &&
            memcmp(wanted, decoded, length) == 0);
}

static bool agrees_decoding(struct tumble_layout *layout, struct tumble_bytes json, int end_of_input, bool consume,
                            const struct outcome *general) {
    struct outcome like = {.consumed = 77, .err.byte = -1};
    struct tumble_kinesis_record record;
    char *out = malloc(json.length ? json.length : 1);
    size_t length = 0;
    assert_non_null(out);
    like.code = tumble_kinesis_record_decode_like(layout, json, end_of_input, &record, consume ? &like.consumed : NULL,
                                                  out, json.length, &length, &like.err);
    members(&record, like.values);
    bool same =
        same_outcome(general, &like, MEMBERS) && (like.code != TUMBLE_OK || decoded_right(&record.data, out, length));
    free(out);
    return same;
}

static bool agree(struct tumble_layout *layout, const char *text, size_t length, int end_of_input, bool consume) {
    static unsigned turn; /* what is changed byte by byte is decoded too every so often */
    struct tumble_layout twin = *layout;
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
    bool same = same_outcome(&general, &like, MEMBERS) &&
                (turn++ % 3 != 0 || agrees_decoding(&twin, json, end_of_input, consume, &general));
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

/* One layout, now with decoding, now without; data of all lengths, some of it no base64 or with escapes. */
static void decoding_may_come_and_go(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct tumble_layout layout = {0};
        uint64_t random = seed;
        size_t decoded = 0;
        for (int i = 0; i < 3000; i++) {
            char bytes[200], data[300], text[700], out[300];
            size_t length = seed == 1 ? 60 : random_below(&random, seed == 2 ? 10 : sizeof bytes), got = 0;
            for (size_t b = 0; b < length; b++) {
                bytes[b] = (char)next_random(&random);
            }
            size_t encoded = tw_base64_encoded_length(length), dice = random_below(&random, 40);
            tw_base64_encode((struct tumble_bytes){bytes, length}, data);
            data[encoded] = '\0';
            if (dice == 0 && encoded) {
                data[random_below(&random, encoded)] = "*=\"-"[random_below(&random, 4)];
            } else if (dice == 1 && encoded > 6) {
                memcpy(data + random_below(&random, encoded - 6), "\\u0041", 6);
            }
            int written =
                snprintf(text, sizeof text,
                         RECORD("\"%u\"", "\"%d\"", "\"%s\"", "1545084650.%03u", "\"s:%d\"", "\"1.0\"", "\"a\""),
                         (unsigned)random_below(&random, 9), i, data, (unsigned)random_below(&random, 999), i);
            assert_true(written > 0 && (size_t)written < sizeof text);
            char *copy = exact_copy(text, (size_t)written);
            struct tumble_bytes json = {copy, (size_t)written};
            struct outcome general = {.consumed = 77, .err.byte = -1}, like = general;
            struct tumble_kinesis_record record;
            general.code = tumble_kinesis_record_parse(json, 1, &record, &general.consumed, &general.err);
            members(&record, general.values);
            if ((i / 500) % 2 == 0 ? random_below(&random, 8) != 0 : random_below(&random, 8) == 0) {
                like.code = tumble_kinesis_record_decode_like(&layout, json, 1, &record, &like.consumed, out,
                                                              sizeof out, &got, &like.err);
                if (like.code == TUMBLE_OK) {
                    assert_true(decoded_right(&record.data, out, got));
                    decoded += got != TUMBLE_NOT_DECODED;
                }
            } else {
                like.code = tumble_kinesis_record_parse_like(&layout, json, 1, &record, &like.consumed, &like.err);
            }
            members(&record, like.values);
            if (!same_outcome(&general, &like, MEMBERS)) {
                fail_msg("seed %d, record %d read differently: %s", (int)seed, i, text);
            }
            free(copy);
        }
        assert_true(tw_cpu() == TW_CPU_PORTABLE ? decoded == 0 : decoded > 1000);
    }
}

/* Records whose data stands there twice, or is no string the second time. */
static void what_is_decoded_is_the_last_data(void **state) {
    (void)state;
#define LONG "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD"
    static const char *const records[] = {
        "{\"kinesis\":{\"data\":\"" LONG "\",\"data\":\"RVJT\"," REST "},\"eventID\":\"" LONG LONG "\"}",
        "{\"kinesis\":{\"data\":\"RVJT\",\"data\":\"" LONG "\"," REST "},\"eventID\":\"" LONG LONG "\"}",
        "{\"kinesis\":{\"data\":\"" LONG "\",\"data\":\"RV-T\"," REST "},\"eventID\":\"" LONG LONG "\"}",
        "{\"kinesis\":{\"data\":\"" LONG "\",\"data\":7," REST "},\"eventID\":\"" LONG LONG "\"}",
        "{\"kinesis\":{\"data\":\"" LONG "\",\"data\":null," REST "},\"eventID\":\"" LONG LONG "\"}",
        "{\"kinesis\":{\"data\":\"" LONG "\"," REST "},\"kinesis\":{\"data\":\"RVJT\"," REST "},\"e\":\"" LONG LONG
        "\"}",
    };
    enum { RECORDS = sizeof records / sizeof *records };
    for (size_t i = 0; i < RECORDS; i++) {
        for (size_t j = 0; j < RECORDS; j++) {
            struct tumble_layout layout = {0};
            for (int again = 0; again < 3; again++) {
                assert_agree(&layout, records[i]);
                assert_agree(&layout, records[j]);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_of_a_record_may_change),     cmocka_unit_test(every_cut_of_a_record_is_seen),
        cmocka_unit_test(every_changed_byte_of_a_record_is_seen), cmocka_unit_test(any_record_may_follow_any_other),
        cmocka_unit_test(members_nobody_asks_for_may_vary_too),   cmocka_unit_test(decoding_may_come_and_go),
        cmocka_unit_test(what_is_decoded_is_the_last_data),
    };
    return cmocka_run_group_tests_name("record_layout", tests, NULL, NULL);
}
