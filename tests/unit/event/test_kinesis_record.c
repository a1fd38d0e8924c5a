#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/lambda.h>

#include "codec/exact_copy.h"

/* The record of lambda-semantics 1.1. */
static const char lambda_record[] =
    "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"1\","
    "\"sequenceNumber\":\"49590338271490256608559692538361571095921575989136588898\","
    "\"data\":\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\",\"approximateArrivalTimestamp\":1545084650.987},"
    "\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\","
    "\"eventID\":\"shardId-000000000006:49590338271490256608559692538361571095921575989136588898\","
    "\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/lambda-role\","
    "\"awsRegion\":\"us-east-2\",\"eventSourceARN\":\"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream\"}";

static const char get_records_record[] =
    "{ \"SequenceNumber\": \"49590338271490256608559692538361571095921575989136588898\",\n"
    "  \"ApproximateArrivalTimestamp\": \"2018-12-17T22:10:50.987000+00:00\",\n"
    "  \"Data\": \"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\", \"PartitionKey\": \"1\", \"EncryptionType\": \"KMS\" }";

enum which { LAMBDA, GET_RECORDS };

static enum tumble_code parse(enum which which, const char *json, int end_of_input, struct tumble_kinesis_record *out,
                              size_t *consumed, struct tumble_error *err) {
    struct tumble_bytes bytes = tumble_bytes_of(json);
    return which == LAMBDA ? tumble_kinesis_record_parse(bytes, end_of_input, out, consumed, err)
                           : tumble_get_records_record_parse(bytes, end_of_input, out, consumed, err);
}

static void check_members(const struct tumble_kinesis_record *record) {
    assert_true(value_is(&record->data, "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg=="));
    assert_true(value_is(&record->partition_key, "1"));
    assert_true(value_is(&record->sequence_number, "49590338271490256608559692538361571095921575989136588898"));
    assert_int_equal(record->explicit_hash_key.type, TUMBLE_TYPE_MISSING);
}

static void the_documented_event_record_is_read(void **state) {
    (void)state;
    struct tumble_kinesis_record record;
    assert_int_equal(parse(LAMBDA, lambda_record, 1, &record, NULL, NULL), TUMBLE_OK);
    check_members(&record);
    assert_int_equal(record.arrival.type, TUMBLE_TYPE_NUMBER);
    assert_true(value_is(&record.arrival, "1545084650.987"));
    assert_true(
        value_is(&record.event_id, "shardId-000000000006:49590338271490256608559692538361571095921575989136588898"));
    assert_true(value_is(&record.event_source_arn, "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"));
}

static void a_record_of_get_records_is_read(void **state) {
    (void)state;
    struct tumble_kinesis_record record;
    assert_int_equal(parse(GET_RECORDS, get_records_record, 1, &record, NULL, NULL), TUMBLE_OK);
    check_members(&record);
    assert_int_equal(record.arrival.type, TUMBLE_TYPE_STRING);
    assert_true(value_is(&record.arrival, "2018-12-17T22:10:50.987000+00:00"));
    assert_int_equal(record.event_id.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(record.event_source_arn.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(parse(GET_RECORDS,
                           "{\"Data\":\"\",\"ApproximateArrivalTimestamp\":1.5E9,\"SequenceNumber\":\"1\","
                           "\"ExplicitHashKey\":\"5\"}",
                           1, &record, NULL, NULL),
                     TUMBLE_OK);
    assert_int_equal(record.arrival.type, TUMBLE_TYPE_NUMBER);
    assert_int_equal(record.partition_key.type, TUMBLE_TYPE_MISSING);
    assert_true(value_is(&record.explicit_hash_key, "5"));
}

static void keys_may_come_in_any_order_escaped_and_among_others(void **state) {
    (void)state;
    static const char *const records[] = {
        "{\"eventSourceARN\":\"arn\",\"eventID\":\"id\",\"kinesis\":{\"approximateArrivalTimestamp\":1.69106871717E9,"
        "\"data\":\"ZGF0YQ==\",\"sequenceNumber\":\"7\",\"partitionKey\":\"k\",\"explicitHashKey\":\"h\"}}",
        " {\n \"other\" : [ { \"kinesis\" : 1 } ] , \"kinesis\" : { \"sequenceNumber\" : \"7\" , \"partitionKey\" : "
        "\"k\" ,\n\t\"approximateArrivalTimestamp\" : 1.69106871717E9 , \"encryptionType\":\"KMS\", "
        "\"explicitHashKey\": "
        "\"h\", \"data\" : \"ZGF0YQ==\" , \"data2\":\"no\" } , \"eventSourceARN\" : \"arn\" , \"eventID\" : \"id\" }",
        "{\"\\u006binesis\":{\"d\\u0061ta\":\"ZGF0YQ==\",\"sequenceN\\u0075mber\":\"7\",\"p\\u0061rtitionKey\":\"k\","
        "\"explicitHashKe\\u0079\":\"h\",\"approximateArrivalTimestam\\u0070\":1.69106871717E9},"
        "\"event\\u0049D\":\"id\",\"eventSourceAR\\u004E\":\"arn\"}",
        /* Of duplicates the last wins, at both levels, the whole of "kinesis" included. */
        "{\"eventID\":\"no\",\"kinesis\":{\"explicitHashKey\":\"no\",\"data\":\"no\",\"x\":1},\"eventID\":\"id\","
        "\"kinesis\":7,\"kinesis\":{\"data\":[],\"data\":\"ZGF0YQ==\",\"sequenceNumber\":7,\"sequenceNumber\":\"7\","
        "\"partitionKey\":\"k\",\"explicitHashKey\":\"h\",\"approximateArrivalTimestamp\":1.69106871717E9},"
        "\"eventSourceARN\":\"arn\"}",
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct tumble_kinesis_record record;
        struct tumble_error err = {.text = ""};
        if (parse(LAMBDA, records[i], 1, &record, NULL, &err) != TUMBLE_OK) {
            fail_msg("%s: %s", records[i], err.text);
        }
        assert_true(value_is(&record.data, "ZGF0YQ=="));
        assert_true(value_is(&record.sequence_number, "7"));
        assert_true(value_is(&record.partition_key, "k"));
        assert_true(value_is(&record.explicit_hash_key, "h"));
        assert_true(value_is(&record.arrival, "1.69106871717E9"));
        assert_true(value_is(&record.event_id, "id"));
        assert_true(value_is(&record.event_source_arn, "arn"));
    }
}

static void a_second_kinesis_object_forgets_the_first(void **state) {
    (void)state;
    struct tumble_kinesis_record record;
    struct tumble_error err;
    assert_int_equal(parse(LAMBDA,
                           "{\"kinesis\":{\"data\":\"\",\"sequenceNumber\":\"1\",\"approximateArrivalTimestamp\":1,"
                           "\"partitionKey\":\"k\"},\"kinesis\":{\"data\":\"\",\"sequenceNumber\":\"1\","
                           "\"approximateArrivalTimestamp\":1}}",
                           1, &record, NULL, &err),
                     TUMBLE_OK);
    assert_int_equal(record.partition_key.type, TUMBLE_TYPE_MISSING);
}

static void escaped_values_are_marked(void **state) {
    (void)state;
    struct tumble_kinesis_record record;
    assert_int_equal(parse(LAMBDA,
                           "{\"kinesis\":{\"data\":\"ab\\/c\",\"sequenceNumber\":\"1\",\"partitionKey\":\"\\u00e9\","
                           "\"approximateArrivalTimestamp\":1}}",
                           1, &record, NULL, NULL),
                     TUMBLE_OK);
    assert_int_equal(record.data.flags, TUMBLE_VALUE_ESCAPED);
    assert_int_equal(record.partition_key.flags, TUMBLE_VALUE_ESCAPED);
    assert_int_equal(record.sequence_number.flags, 0);
}

static void every_prefix_asks_for_more(void **state) {
    (void)state;
    static const char *const records[] = {lambda_record, get_records_record};
    for (int which = LAMBDA; which <= GET_RECORDS; which++) {
        size_t whole = strlen(records[which]);
        for (size_t length = 0; length <= whole; length++) {
            struct tumble_kinesis_record record;
            struct tumble_error err = {.byte = -1};
            size_t consumed = 0;
            char *copy = exact_copy(records[which], length);
            struct tumble_bytes prefix = {copy, length};
            enum tumble_code code = which == LAMBDA
                                        ? tumble_kinesis_record_parse(prefix, 0, &record, &consumed, &err)
                                        : tumble_get_records_record_parse(prefix, 0, &record, &consumed, &err);
            assert_int_equal(code, length < whole ? TUMBLE_EMORE : TUMBLE_OK);
            assert_int_equal(consumed, length < whole ? 0 : whole);
            if (length < whole) {
                code = which == LAMBDA ? tumble_kinesis_record_parse(prefix, 1, &record, &consumed, &err)
                                       : tumble_get_records_record_parse(prefix, 1, &record, &consumed, &err);
                assert_int_equal(code, TUMBLE_EJSON);
                assert_in_range(err.byte, 0, length);
            }
            free(copy);
        }
    }
}

static void malformed_records_are_refused_with_code_and_place(void **state) {
    (void)state;
#define REST "\"sequenceNumber\":\"1\",\"approximateArrivalTimestamp\":1"
    static const struct {
        enum which which;
        const char *json;
        enum tumble_code code;
        int byte;
        const char *text;
    } cases[] = {
        {LAMBDA, "7", TUMBLE_EEVENT, 0, "the record should be an object but is a number"},
        {LAMBDA, "7q", TUMBLE_EJSON, 1, "expected the end of the number but found 'q'"},
        {LAMBDA, " []", TUMBLE_EEVENT, 1, "the record should be an object but is an array"},
        {LAMBDA, "\"x\"", TUMBLE_EEVENT, 0, "the record should be an object but is a string"},
        {LAMBDA, "[1,]", TUMBLE_EJSON, 3, "expected a value but found ']'"},
        {LAMBDA, " {}", TUMBLE_EEVENT, 1, "no \"kinesis\""},
        {LAMBDA, "{\"kinesis\":null}", TUMBLE_EEVENT, 11, "\"kinesis\" should be an object but is null"},
        {LAMBDA, "{\"kinesis\":[]}", TUMBLE_EEVENT, 11, "\"kinesis\" should be an object but is an array"},
        {LAMBDA, "{\"kinesis\":{}}", TUMBLE_EEVENT, 0, "no kinesis.data"},
        {LAMBDA, "{\"kinesis\":{" REST "}}", TUMBLE_EEVENT, 0, "no kinesis.data"},
        {LAMBDA, "{\"kinesis\":{\"data\":null," REST "}}", TUMBLE_EEVENT, 19,
         "kinesis.data should be a string but is null"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\",\"approximateArrivalTimestamp\":1}}", TUMBLE_EEVENT, 0,
         "no kinesis.sequenceNumber"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\",\"sequenceNumber\":1,\"approximateArrivalTimestamp\":1}}", TUMBLE_EEVENT,
         39, "kinesis.sequenceNumber should be a string but is a number"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\",\"sequenceNumber\":\"1\"}}", TUMBLE_EEVENT, 0,
         "no kinesis.approximateArrivalTimestamp"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\",\"sequenceNumber\":\"1\",\"approximateArrivalTimestamp\":\"1\"}}",
         TUMBLE_EEVENT, 73, "kinesis.approximateArrivalTimestamp should be a number but is a string"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\"," REST ",\"partitionKey\":1}}", TUMBLE_EEVENT, 90,
         "kinesis.partitionKey should be a string but is a number"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\"," REST "},\"eventID\":{}}", TUMBLE_EEVENT, 86,
         "eventID should be a string but is an object"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\"," REST "},\"eventSourceARN\":true}", TUMBLE_EEVENT, 93,
         "eventSourceARN should be a string but is true"},
        /* Malformed JSON is told before a missing member. */
        {LAMBDA, "{\"kinesis\":{},}", TUMBLE_EJSON, 14, "expected a key but found '}'"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\xff\"}}", TUMBLE_EUTF8, 20, "UTF-8"},
        {LAMBDA, "{\"kinesis\":{\"other\":\"\\udc00\"}}", TUMBLE_EUTF8, 21, "surrogate"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\" \"x\"}}", TUMBLE_EJSON, 22, "expected ',' or '}' but found '\"'"},
        {LAMBDA, "{\"kinesis\" {}}", TUMBLE_EJSON, 11, "expected ':' but found '{'"},
        {LAMBDA, "{\"kinesis\":{\"data\"}}", TUMBLE_EJSON, 18, "expected ':' but found '}'"},
        {LAMBDA, "{\"a\":1}", TUMBLE_EEVENT, 0, "no \"kinesis\""},
        {LAMBDA, "{\"a\":01}", TUMBLE_EJSON, 6, "leading 0"},
        {LAMBDA, "{\"kinesis\":{\"data\":\"\"," REST "}} x", TUMBLE_EJSON, 77, "the end of the input"},
        {GET_RECORDS, "{}", TUMBLE_EEVENT, 0, "no Data"},
        {GET_RECORDS, "{\"Data\":\"\"}", TUMBLE_EEVENT, 0, "no SequenceNumber"},
        {GET_RECORDS, "{\"Data\":\"\",\"SequenceNumber\":\"1\"}", TUMBLE_EEVENT, 0, "no ApproximateArrivalTimestamp"},
        {GET_RECORDS, "{\"Data\":\"\",\"SequenceNumber\":\"1\",\"ApproximateArrivalTimestamp\":[]}", TUMBLE_EEVENT, 62,
         "ApproximateArrivalTimestamp should be a number or an ISO 8601 string but is an array"},
        {GET_RECORDS, "{\"data\":\"\"}", TUMBLE_EEVENT, 0, "no Data"},
        {GET_RECORDS, "null", TUMBLE_EEVENT, 0, "the record should be an object but is null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_kinesis_record record;
        struct tumble_error err = {.byte = -1, .text = ""};
        enum tumble_code code = parse(cases[i].which, cases[i].json, 1, &record, NULL, &err);
        if (code != cases[i].code || err.byte != cases[i].byte || !strstr(err.text, cases[i].text)) {
            fail_msg("%s: %s at %d: %s", cases[i].json, tumble_code_name(code), (int)err.byte, err.text);
        }
    }
}

static void null_stands_for_an_absent_optional_member(void **state) {
    (void)state;
    struct tumble_kinesis_record record;
    assert_int_equal(parse(LAMBDA,
                           "{\"kinesis\":{\"data\":\"\"," REST ",\"partitionKey\":null,\"explicitHashKey\":null},"
                           "\"eventID\":null,\"eventSourceARN\":null}",
                           1, &record, NULL, NULL),
                     TUMBLE_OK);
    assert_int_equal(record.partition_key.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(record.explicit_hash_key.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(record.event_id.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(record.event_source_arn.type, TUMBLE_TYPE_MISSING);
}

static void consumed_tells_where_the_record_ends(void **state) {
    (void)state;
    char two[2 * sizeof lambda_record + 8];
    struct tumble_kinesis_record record;
    struct tumble_error err;
    size_t consumed = 0;
    snprintf(two, sizeof two, "\n%s,%s]", lambda_record, lambda_record);
    assert_int_equal(parse(LAMBDA, two, 0, &record, &consumed, &err), TUMBLE_OK);
    assert_int_equal(consumed, sizeof lambda_record);
    assert_int_equal(two[consumed], ',');
    assert_int_equal(parse(LAMBDA, two, 1, &record, NULL, &err), TUMBLE_EJSON);
    consumed = 5;
    assert_int_equal(parse(LAMBDA, "{} ", 1, &record, &consumed, &err), TUMBLE_EEVENT);
    assert_int_equal(consumed, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_event_record_is_read),
        cmocka_unit_test(a_record_of_get_records_is_read),
        cmocka_unit_test(keys_may_come_in_any_order_escaped_and_among_others),
        cmocka_unit_test(a_second_kinesis_object_forgets_the_first),
        cmocka_unit_test(escaped_values_are_marked),
        cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(malformed_records_are_refused_with_code_and_place),
        cmocka_unit_test(null_stands_for_an_absent_optional_member),
        cmocka_unit_test(consumed_tells_where_the_record_ends),
    };
    return cmocka_run_group_tests_name("kinesis_record", tests, NULL, NULL);
}
