#include "capture/capture_fixture.h"

#include "engine/base/limits.h"

/* Reads a text of some format and returns what came of it. */
static enum tumble_code outcome(const char *text, size_t length, enum packing packing,
                                enum tumble_capture_format format, struct tumble_error *err) {
    char *path = fixture_bytes(packing, text, length);
    struct tumble_capture_options options = options_of(&path, 1);
    options.format = format;
    uint64_t records;
    memset(err, 0, sizeof *err);
    enum tumble_code code = read_all(&options, 256, &records, err);
    if (code != TUMBLE_OK) {
        assert_int_equal(err->code, code);
        assert_non_null(strstr(err->text, path)); /* every error names the input */
    }
    unlink(path);
    free(path);
    return code;
}

static void expect_error(const char *text, enum tumble_capture_format format, enum tumble_code code, const char *part) {
    struct tumble_error err;
    enum tumble_code got = outcome(text, strlen(text), PLAIN, format, &err);
    if (got != code || !strstr(err.text, part)) {
        print_error("%s\n  gave %s: %s\n", text, tumble_code_name(got), err.text);
    }
    assert_int_equal(got, code);
    assert_non_null(strstr(err.text, part));
}

static void inputs_that_are_no_json_are_refused_by_their_first_byte(void **state) {
    (void)state;
    expect_error("a,b,c\n1,2,3\n", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "byte 0 is 0x61");
    expect_error("  <xml/>", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "byte 2 is 0x3c");
    expect_error("PK\003\004", TUMBLE_CAPTURE_NDJSON, TUMBLE_ECAPTURE, "0x50");
    expect_error("\xef\xbb\xbf{\"n\":1}", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "byte order mark");
    struct tumble_error err;
    assert_int_equal(outcome("\xff\xfe{\0", 4, PLAIN, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_ECAPTURE);
    assert_non_null(strstr(err.text, "UTF-16"));
    assert_int_equal(outcome("{\0\"\0", 4, PLAIN, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_ECAPTURE);
    assert_non_null(strstr(err.text, "UTF-16"));
}

static void empty_inputs_are_refused_when_all_are(void **state) {
    (void)state;
    expect_error("", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "is empty");
    expect_error(" \n\t\r\n", TUMBLE_CAPTURE_LAMBDA, TUMBLE_ECAPTURE, "is empty");
    struct tumble_error err;
    assert_int_equal(outcome("", 0, GZIP, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_ECAPTURE);
    assert_int_equal(outcome("", 0, ZSTD, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_ECAPTURE);
    assert_int_equal(outcome("[]", 2, PLAIN, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_OK);
    assert_int_equal(outcome("{\"Records\":[],\"MillisBehindLatest\":0}", 37, PLAIN, TUMBLE_CAPTURE_AUTO, &err),
                     TUMBLE_OK);
}

static void inputs_that_cannot_be_read_say_why(void **state) {
    (void)state;
    static const struct {
        const char *path;
        const char *part;
    } cases[] = {{"/nonexistent/x.json", "No such file"}, {"/tmp", "is a directory; name files"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *good = fixture_text("{}");
        const char *paths[] = {good, cases[i].path};
        struct tumble_capture_options options;
        memset(&options, 0, sizeof options);
        options.paths = paths;
        options.path_count = 2;
        struct tumble_capture *capture;
        struct tumble_error err;
        assert_int_equal(tumble_capture_open(&options, &capture, &err), TUMBLE_EINPUT);
        assert_null(capture);
        assert_non_null(strstr(err.text, cases[i].path));
        assert_non_null(strstr(err.text, cases[i].part));
        free(good);
    }
    struct tumble_capture_options none;
    memset(&none, 0, sizeof none);
    struct tumble_capture *capture;
    assert_int_equal(tumble_capture_open(&none, &capture, NULL), TUMBLE_EINVAL);
}

static void malformed_records_are_named_by_line_record_and_byte(void **state) {
    (void)state;
    expect_error("{\"n\":1}\n{\"n\":2}\n{\"n\":NaN}\n", TUMBLE_CAPTURE_AUTO, TUMBLE_EJSON, "line 3, record 3, byte 21");
    expect_error("{\"n\":1}\n{\n\"n\":\n01}\n", TUMBLE_CAPTURE_AUTO, TUMBLE_EJSON, "line 4, record 2");
    expect_error("{\"n\":1}\n{\"a\":\"\xff\"}", TUMBLE_CAPTURE_AUTO, TUMBLE_EUTF8, "line 2, record 2");
    expect_error("{\"a\":\"\\ud800\"}", TUMBLE_CAPTURE_AUTO, TUMBLE_EUTF8, "record 1");
    expect_error("{\"n\":1}}", TUMBLE_CAPTURE_AUTO, TUMBLE_EJSON, "record 2, byte 7");
    expect_error("[{\"n\":1} {\"n\":2}]", TUMBLE_CAPTURE_AUTO, TUMBLE_EJSON, "byte 9");
    struct text deep = {NULL, 0, 0};
    for (int i = 0; i < 10000; i++) {
        add(&deep, "{\"a\":");
    }
    expect_error(deep.data, TUMBLE_CAPTURE_NDJSON, TUMBLE_EDEPTH, "record 1");
    free(deep.data);
}

#define RECORD(sequence, time)                                                                                         \
    "{\"Records\":[{\"kinesis\":{\"sequenceNumber\":" sequence ",\"data\":\"\",\"approximateArrivalTimestamp\":" time  \
    "}}]}"

static void members_of_encoded_records_are_checked(void **state) {
    (void)state;
    expect_error(RECORD("\"12x\"", "1"), TUMBLE_CAPTURE_AUTO, TUMBLE_ESEQUENCE, "record 1");
    expect_error(RECORD("\"\"", "1"), TUMBLE_CAPTURE_AUTO, TUMBLE_ESEQUENCE, "record 1");
    expect_error(RECORD("\"-1\"", "1"), TUMBLE_CAPTURE_AUTO, TUMBLE_ESEQUENCE, "record 1");
    expect_error(RECORD("12", "1"), TUMBLE_CAPTURE_AUTO, TUMBLE_EEVENT, "record 1");
    expect_error(RECORD("\"12\"", "-1"), TUMBLE_CAPTURE_AUTO, TUMBLE_ETIMESTAMP, "arrival time");
    expect_error(RECORD("\"12\"", "1e400"), TUMBLE_CAPTURE_AUTO, TUMBLE_ETIMESTAMP, "arrival time");
    expect_error(RECORD("\"12\"", "253402300800000"), TUMBLE_CAPTURE_AUTO, TUMBLE_ETIMESTAMP, "record 1");
    expect_error("{\"Records\":[{\"kinesis\":{}}]}", TUMBLE_CAPTURE_AUTO, TUMBLE_EEVENT, "record 1");
    expect_error("{\"Records\":7}", TUMBLE_CAPTURE_LAMBDA, TUMBLE_ECAPTURE, "Records");
    expect_error("{\"a\":7}", TUMBLE_CAPTURE_GET_RECORDS, TUMBLE_ECAPTURE, "Records");
    struct text digits = {NULL, 0, 0};
    add(&digits, "{\"Records\":[{\"kinesis\":{\"sequenceNumber\":\"%0129d\",", 0);
    digits.data[digits.length - 131] = '1';
    add(&digits, "\"data\":\"\",\"approximateArrivalTimestamp\":1}}]}");
    expect_error(digits.data, TUMBLE_CAPTURE_AUTO, TUMBLE_ESEQUENCE, "128");
    free(digits.data);
    struct text shard = {NULL, 0, 0};
    add(&shard,
        "{\"Records\":[{\"kinesis\":{\"sequenceNumber\":\"1\",\"data\":\"\",\"approximateArrivalTimestamp\":1},"
        "\"eventID\":\"%0129d:1\"}]}",
        0);
    expect_error(shard.data, TUMBLE_CAPTURE_AUTO, TUMBLE_EEVENT, "shard id");
    free(shard.data);
}

/* A capture cut off anywhere gives an error or its whole records, never a crash and never a wrong record. */
static void expect_cuts(const char *text, size_t length, enum tumble_capture_format format, bool concatenable) {
    for (int packing = 0; packing < PACKINGS; packing++) {
        for (size_t cut = 1; cut < length; cut++) {
            struct tumble_error err;
            enum tumble_code code = outcome(text, cut, (enum packing)packing, format, &err);
            if (!concatenable) {
                assert_int_equal(code, TUMBLE_EJSON);
                assert_non_null(strstr(err.text, "ends"));
            } else {
                assert_true(code == TUMBLE_OK || code == TUMBLE_EJSON);
            }
        }
    }
}

static void captures_cut_off_anywhere_are_errors(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{\"Records\":[");
    add_lambda_record(&text, "shardId-000000000000", 1, ARRIVAL);
    add(&text, "],\"window\":{\"start\":\"x\"}}");
    expect_cuts(text.data, text.length, TUMBLE_CAPTURE_LAMBDA, false);
    text.length = 0;
    add(&text, "{\"Records\":[");
    add_get_records_record(&text, 1, ARRIVAL);
    add(&text, "]}");
    expect_cuts(text.data, text.length, TUMBLE_CAPTURE_GET_RECORDS, false);
    text.length = 0;
    add(&text, "[");
    add_payload(&text, 1);
    add(&text, ",");
    add_payload(&text, 2);
    add(&text, "]");
    expect_cuts(text.data, text.length, TUMBLE_CAPTURE_ARRAY, false);
    text.length = 0;
    add_payload(&text, 1);
    add(&text, "\n");
    add_payload(&text, 2);
    expect_cuts(text.data, text.length, TUMBLE_CAPTURE_AUTO, true);
    free(text.data);
}

static void compressed_inputs_cut_off_anywhere_are_errors(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 20; i++) {
        add_payload(&text, i * 7919);
    }
    for (int packing = GZIP; packing < PACKINGS; packing++) {
        char *packed;
        size_t length = fixture_pack((enum packing)packing, text.data, text.length, &packed);
        for (size_t cut = 5; cut < length; cut++) {
            struct tumble_error err;
            assert_int_equal(outcome(packed, cut, PLAIN, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_ECOMPRESS);
        }
        packed[length / 2] = (char)(packed[length / 2] ^ 0x55);
        struct tumble_error err;
        enum tumble_code code = outcome(packed, length, PLAIN, TUMBLE_CAPTURE_AUTO, &err);
        assert_true(packing == ZSTD || code == TUMBLE_ECOMPRESS || code == TUMBLE_EJSON || code == TUMBLE_EUTF8);
        free(packed);
    }
    free(text.data);
}

static void a_record_beyond_the_limit_is_refused(void **state) {
    (void)state;
    size_t length = (size_t)TW_LIMIT_RECORD_BYTES + 100;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'x', length);
    memcpy(text, "{\"n\":1}\n{\"a\":\"", 14);
    memcpy(text + length - 2, "\"}", 2);
    static const enum tumble_capture_format formats[] = {TUMBLE_CAPTURE_AUTO, TUMBLE_CAPTURE_NDJSON};
    for (int f = 0; f < 2; f++) {
        struct tumble_error err;
        assert_int_equal(outcome(text, length, PLAIN, formats[f], &err), TUMBLE_ELIMIT);
        assert_non_null(strstr(err.text, "line 2, record 2, byte 8"));
    }
    /* one of just the limit is read */
    memset(text + 14, 'x', length - 14);
    length = 8 + (size_t)TW_LIMIT_RECORD_BYTES;
    memcpy(text + length - 2, "\"}", 2);
    struct tumble_error err;
    assert_int_equal(outcome(text, length, PLAIN, TUMBLE_CAPTURE_AUTO, &err), TUMBLE_OK);
    free(text);
}

static void inputs_of_different_kinds_are_not_mixed(void **state) {
    (void)state;
    char *paths[2];
    paths[0] = fixture_text("{\"n\":1}");
    paths[1] = fixture_text(RECORD("\"1\"", "1"));
    struct tumble_capture_options options = options_of(paths, 2);
    uint64_t records;
    struct tumble_error err;
    assert_int_equal(read_all(&options, 256, &records, &err), TUMBLE_ECAPTURE);
    assert_non_null(strstr(err.text, paths[1]));
    assert_non_null(strstr(err.text, "one kind at a time"));
    free(paths[0]);
    free(paths[1]);
}

static void more_than_1000_inputs_are_not_merged(void **state) {
    (void)state;
    char *path = fixture_text(RECORD("\"1\"", "1"));
    char *paths[1001];
    for (size_t i = 0; i < 1001; i++) {
        paths[i] = path;
    }
    struct tumble_capture_options options = options_of(paths, 1001);
    struct tumble_capture *capture;
    struct tumble_error err;
    assert_int_equal(tumble_capture_open(&options, &capture, &err), TUMBLE_ELIMIT);
    assert_non_null(strstr(err.text, "1000"));
    free(path);
}

static enum tumble_capture_format detected(const char *text) {
    char *path = fixture_text(text);
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, 64);
    enum tumble_capture_format format = tumble_capture_detected(capture);
    tumble_capture_close(capture);
    free(path);
    return format;
}

static void formats_are_told_by_content(void **state) {
    (void)state;
    assert_int_equal(detected("{\"Records\":[{\"kinesis\":{}}]}"), TUMBLE_CAPTURE_LAMBDA);
    assert_int_equal(detected("{\"a\":1,\"\\u0052ecords\":[{\"eventID\":1,\"kinesis\":{}}]}"), TUMBLE_CAPTURE_LAMBDA);
    assert_int_equal(detected("{\"Records\":[],\"isFinalInvokeForWindow\":true}"), TUMBLE_CAPTURE_LAMBDA);
    assert_int_equal(detected("{\"Records\":[{\"SequenceNumber\":\"1\"}]}"), TUMBLE_CAPTURE_GET_RECORDS);
    assert_int_equal(detected("{\"Records\":[],\"NextShardIterator\":\"A\"}"), TUMBLE_CAPTURE_GET_RECORDS);
    assert_int_equal(detected("{\"MillisBehindLatest\":0,\"Records\":[]}"), TUMBLE_CAPTURE_GET_RECORDS);
    assert_int_equal(detected("{\"Records\":[{\"s3\":{}}]}"), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("{\"Records\":5}"), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("{\"kinesis\":{}}"), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("{}"), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("17 18"), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("\"text\""), TUMBLE_CAPTURE_NDJSON);
    assert_int_equal(detected("[{\"n\":1}]"), TUMBLE_CAPTURE_ARRAY);
    assert_int_equal(detected("[]"), TUMBLE_CAPTURE_ARRAY);
    expect_error("[{\"Records\":[{\"kinesis\":{}}]}]", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "--input-format");
    expect_error("[{\"kinesis\":{\"data\":\"\"}}]", TUMBLE_CAPTURE_AUTO, TUMBLE_ECAPTURE, "whole event");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_that_are_no_json_are_refused_by_their_first_byte),
        cmocka_unit_test(empty_inputs_are_refused_when_all_are),
        cmocka_unit_test(inputs_that_cannot_be_read_say_why),
        cmocka_unit_test(malformed_records_are_named_by_line_record_and_byte),
        cmocka_unit_test(members_of_encoded_records_are_checked),
        cmocka_unit_test(captures_cut_off_anywhere_are_errors),
        cmocka_unit_test(compressed_inputs_cut_off_anywhere_are_errors),
        cmocka_unit_test(a_record_beyond_the_limit_is_refused),
        cmocka_unit_test(inputs_of_different_kinds_are_not_mixed),
        cmocka_unit_test(more_than_1000_inputs_are_not_merged),
        cmocka_unit_test(formats_are_told_by_content),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
