#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/timestamp.h>

#include "codec/exact_copy.h"
#include "counting_alloc.h"
#include "engine/base/limits.h"
#include "engine/event/dynamodb_record.h"

/* Shaped as AWS's are (lambda-semantics 3.10), every type of attribute in it. */
static const char modify[] =
    "{\n \"eventID\": \"c4ca4238a0b923820dcc509a6f75849b\",\n \"eventName\": \"MODIFY\",\n \"eventVersion\": \"1.1\",\n"
    " \"eventSource\": \"aws:dynamodb\", \"awsRegion\": \"us-east-1\",\n"
    " \"dynamodb\": {\n"
    "  \"ApproximateCreationDateTime\": 1.789651658E9,\n"
    "  \"Keys\": {\"order\": {\"N\": \"101\"}, \"customer\": {\"S\": \"caf\\u00e9\"}},\n"
    "  \"NewImage\": {\n"
    "   \"customer\": {\"S\": \"caf\\u00e9\"}, \"order\": {\"N\": \"101\"}, \"amount\": {\"N\": \"12.50\"},\n"
    "   \"tiny\": {\"N\": \"1E-130\"}, \"paid\": {\"BOOL\": true}, \"open\": { \"BOOL\" : false }, \"note\": "
    "{\"NULL\": true},\n"
    "   \"photo\": {\"B\": \"iVBORw0KGgo=\"},\n"
    "   \"geo\": {\"M\": {\"country\": {\"S\": \"DE\"}, \"at\": {\"L\": [{\"N\": \"52.5\"} , {\"N\": \"13.4\"}, "
    "{\"M\": {}}, "
    "{\"L\": [ ]}]}}},\n"
    "   \"tags\": {\"SS\": [\"new\", \"say \\\"hi\\\"\"]}, \"sizes\": {\"NS\": [ \"1\" , \"-2.5\" ]},\n"
    "   \"blobs\": {\"BS\": [\"AA==\", \"AQ==\"]}, \"none\": {\"SS\": []}\n"
    "  },\n"
    "  \"OldImage\": {\"order\": {\"N\": \"101\"}},\n"
    "  \"SequenceNumber\": \"111100000000000000002\", \"SizeBytes\": 126, \"StreamViewType\": \"NEW_AND_OLD_IMAGES\"\n"
    " },\n"
    " \"eventSourceARN\": \"arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-09-17T14:10:44.560\"\n}";

static const char modify_plain[] =
    "{\"eventName\":\"MODIFY\",\"Keys\":{\"order\":101,\"customer\":\"caf\\u00e9\"},\"NewImage\":{"
    "\"customer\":\"caf\\u00e9\",\"order\":101,\"amount\":12.50,\"tiny\":1E-130,\"paid\":true,\"open\":false,"
    "\"note\":null,\"photo\":\"iVBORw0KGgo=\",\"geo\":{\"country\":\"DE\",\"at\":[52.5,13.4,{},[]]},"
    "\"tags\":[\"new\",\"say \\\"hi\\\"\"],\"sizes\":[1,-2.5],\"blobs\":[\"AA==\",\"AQ==\"],\"none\":[]},"
    "\"OldImage\":{\"order\":101}}";

static const char remove_keys_only[] =
    "{\"eventID\":\"1\",\"eventName\":\"REMOVE\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\","
    "\"dynamodb\":{\"ApproximateCreationDateTime\":1789651658,\"Keys\":{\"id\":{\"B\":\"AAEC\"}},"
    "\"SequenceNumber\":\"300000000000000000499659\",\"SizeBytes\":38,\"StreamViewType\":\"KEYS_ONLY\"},"
    "\"userIdentity\":{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"},\"eventSourceARN\":\"arn\"}";

#define BEFORE_KEYS "{\"dynamodb\":{\"SequenceNumber\":\"1\",\"ApproximateCreationDateTime\":1,\"Keys\":"

enum { CAP = 1 << 20 };

static enum tumble_code parse(const char *json, struct tw_dynamodb_record *out, struct tumble_error *err) {
    return tw_dynamodb_record_parse(tumble_bytes_of(json), 1, out, NULL, err);
}

typedef enum tumble_code writer(const struct tw_dynamodb_record *record, struct tw_buf *out, struct tumble_error *err);

/* What is written of the record, after bytes that stay. */
static void assert_written(writer *write, const char *json, const char *want) {
    struct tw_dynamodb_record record;
    struct tumble_error err = {.text = ""};
    struct tw_buf out;
    char *copy = exact_copy(json, strlen(json));
    struct tumble_bytes view = {copy, strlen(json)};
    tw_buf_init(&out, tw_alloc_default(), CAP);
    assert_int_equal(tw_buf_append_text(&out, "kept"), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_record_parse(view, 1, &record, NULL, &err), TUMBLE_OK);
    if (write(&record, &out, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(out.length, strlen(want) + 4);
    assert_memory_equal(out.data, "kept", 4);
    assert_memory_equal(out.data + 4, want, strlen(want));
    tw_buf_clean_up(&out);
    free(copy);
}

static void assert_payload(const char *json, const char *want) {
    assert_written(tw_dynamodb_record_payload, json, want);
}

static void assert_key(const char *json, const char *want) { assert_written(tw_dynamodb_record_key, json, want); }

/* A record whose Keys are these. */
static const char *with_keys(const char *keys) {
    static char json[9000];
    snprintf(json, sizeof json, BEFORE_KEYS "%s}}", keys);
    return json;
}

/* keys have a '!' in front of the byte that the error should name. */
static void assert_refused(const char *keys, const char *text) {
    char plain[8192];
    const char *mark = strchr(keys, '!');
    snprintf(plain, sizeof plain, "%.*s%s", (int)(mark - keys), keys, mark + 1);
    struct tw_dynamodb_record record;
    struct tumble_error err;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), CAP);
    assert_int_equal(parse(with_keys(plain), &record, &err), TUMBLE_OK);
    for (int i = 0; i < 2; i++) {
        writer *write = i ? tw_dynamodb_record_key : tw_dynamodb_record_payload;
        assert_int_equal(write(&record, &out, &err), TUMBLE_EEVENT);
        assert_non_null(strstr(err.text, text));
        assert_int_equal(err.byte, (int64_t)strlen(BEFORE_KEYS) + (mark - keys));
        assert_int_equal(out.length, 0);
    }
    tw_buf_clean_up(&out);
}

static void a_record_is_read_keys_in_any_order(void **state) {
    (void)state;
    struct tw_dynamodb_record record;
    size_t consumed;
    assert_int_equal(tw_dynamodb_record_parse(tumble_bytes_of(modify), 0, &record, &consumed, NULL), TUMBLE_OK);
    assert_int_equal(consumed, sizeof modify - 1);
    assert_true(value_is(&record.sequence_number, "111100000000000000002"));
    assert_true(value_is(&record.event_name, "MODIFY"));
    assert_true(value_is(&record.event_id, "c4ca4238a0b923820dcc509a6f75849b"));
    assert_true(value_is(&record.arrival, "1.789651658E9"));
    assert_int_equal(record.keys.type, TUMBLE_TYPE_OBJECT);
    assert_int_equal(record.new_image.type, TUMBLE_TYPE_OBJECT);
    assert_true(value_is(&record.old_image, "{\"order\": {\"N\": \"101\"}}"));
    assert_int_equal(parse(remove_keys_only, &record, NULL), TUMBLE_OK);
    assert_int_equal(record.new_image.type, TUMBLE_TYPE_MISSING);
    assert_int_equal(record.old_image.type, TUMBLE_TYPE_MISSING);
    assert_true(value_is(&record.event_source_arn, "arn"));
}

/* Points 24 and 1.3: seconds in every form Java writes them in. */
static void the_arrival_time_is_seconds_in_any_form(void **state) {
    (void)state;
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    static const struct {
        const char *text;
        int64_t ms;
    } forms[] = {{"1789651658", 1789651658000},
                 {"1.789651658E9", 1789651658000},
                 {"1.78965166E9", 1789651660000},
                 {"1789651658.000", 1789651658000}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char json[256];
        struct tw_dynamodb_record record;
        int64_t ms;
        snprintf(json, sizeof json,
                 "{\"dynamodb\":{\"Keys\":{},\"ApproximateCreationDateTime\":%s,\"SequenceNumber\":\"1\"}}",
                 forms[i].text);
        assert_int_equal(parse(json, &record, NULL), TUMBLE_OK);
        assert_int_equal(tumble_timestamp_ms(&seconds, &record.arrival, &ms, NULL), TUMBLE_OK);
        assert_int_equal(ms, forms[i].ms);
    }
}

static void a_record_without_its_members_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } cases[] = {
        {"[]", "the record should be an object but is an array"},
        {"{}", "the record has no \"dynamodb\""},
        {"{\"dynamodb\":1}", "\"dynamodb\" should be an object but is a number"},
        {"{\"dynamodb\":null}", "\"dynamodb\" should be an object but is null"},
        {"{\"dynamodb\":{}}", "the record has no dynamodb.SequenceNumber"},
        {"{\"dynamodb\":{\"SequenceNumber\":1}}", "dynamodb.SequenceNumber should be a string but is a number"},
        {"{\"dynamodb\":{\"SequenceNumber\":\"1\"}}", "the record has no dynamodb.ApproximateCreationDateTime"},
        {"{\"dynamodb\":{\"SequenceNumber\":\"1\",\"ApproximateCreationDateTime\":\"1\"}}", "should be a number"},
        {"{\"dynamodb\":{\"SequenceNumber\":\"1\",\"ApproximateCreationDateTime\":1}}", "no dynamodb.Keys"},
        {BEFORE_KEYS "{},\"NewImage\":[]}}", "dynamodb.NewImage should be an object but is an array"},
        {BEFORE_KEYS "{},\"OldImage\":true}}", "dynamodb.OldImage should be an object but is true"},
        {BEFORE_KEYS "{}},\"eventName\":1}", "eventName should be a string"},
        {BEFORE_KEYS "{}},\"eventSourceARN\":{}}", "eventSourceARN should be a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_dynamodb_record record;
        struct tumble_error err;
        assert_int_equal(parse(cases[i].json, &record, &err), TUMBLE_EEVENT);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_true(err.byte >= 0 && (size_t)err.byte < strlen(cases[i].json));
    }
}

static void every_cut_is_more_or_malformed(void **state) {
    (void)state;
    struct tw_dynamodb_record record;
    size_t consumed;
    for (size_t cut = 0; cut < sizeof modify - 1; cut++) {
        char *copy = exact_copy(modify, cut);
        struct tumble_bytes json = {copy, cut};
        assert_int_equal(tw_dynamodb_record_parse(json, 0, &record, &consumed, NULL), TUMBLE_EMORE);
        assert_int_equal(tw_dynamodb_record_parse(json, 1, &record, NULL, NULL), TUMBLE_EJSON);
        free(copy);
    }
}

static void null_members_are_missing_and_the_last_of_two_wins(void **state) {
    (void)state;
    assert_payload(BEFORE_KEYS "{\"a\":{\"S\":\"x\"}},\"NewImage\":{\"b\":{\"N\":\"1\"}},\"NewImage\":null,"
                               "\"OldImage\":null,\"OldImage\":{\"c\":{\"N\":\"2\"}}},\"eventName\":null}",
                   "{\"Keys\":{\"a\":\"x\"},\"OldImage\":{\"c\":2}}");
}

static void typed_values_become_plain_ones(void **state) {
    (void)state;
    assert_payload(modify, modify_plain);
    assert_payload(remove_keys_only, "{\"eventName\":\"REMOVE\",\"Keys\":{\"id\":\"AAEC\"}}");
    assert_payload(with_keys("{}"), "{\"Keys\":{}}");
}

static void a_number_is_written_as_it_stands_where_json_takes_it(void **state) {
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } cases[] = {{"0", "0"},
                 {"-0", "-0"},
                 {"12.50", "12.50"},
                 {"1e+5", "1e+5"},
                 {"-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"},
                 {"+5", "5"},
                 {"007", "7"},
                 {"-007.5", "-7.5"},
                 {"000", "0"},
                 {".5", "0.5"},
                 {"-.5e3", "-0.5e3"},
                 {"+00.5", "0.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char keys[256], want[256];
        snprintf(keys, sizeof keys, "{\"a\":{\"N\":\"%s\"},\"b\":{\"NS\":[\"%s\"]}}", cases[i].from, cases[i].from);
        snprintf(want, sizeof want, "{\"Keys\":{\"a\":%s,\"b\":[%s]}}", cases[i].to, cases[i].to);
        assert_payload(with_keys(keys), want);
    }
    static const char *const wrong[] = {"",         "-",   "+",   ".",   "+.", "5.", "1e",  "e5",      "0x10", "NaN",
                                        "Infinity", "+-5", "--5", "-+5", " 5", "5 ", "1,5", "\\u0035", "5]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char keys[256];
        snprintf(keys, sizeof keys, "{\"a\":{\"N\":!\"%s\"}}", wrong[i]);
        assert_refused(keys, "N and NS are numbers as text");
    }
}

static void what_is_not_typed_json_is_refused_at_its_byte(void **state) {
    (void)state;
    assert_refused("{\"a\":!1}", "an attribute value is an object with its type");
    assert_refused("{\"a\":!\"x\"}", "an attribute value is an object");
    assert_refused("{\"a\":!{}}", "an attribute value is an object");
    assert_refused("{\"a\":{!\"X\":\"x\"}}", "an attribute's type is S, N, B");
    assert_refused("{\"a\":{!\"\":\"x\"}}", "an attribute's type is S, N, B");
    assert_refused("{\"a\":{!\"LS\":[]}}", "an attribute's type is S, N, B");
    assert_refused("{\"a\":{!\"\\u0053\":\"x\"}}", "an attribute's type is S, N, B");
    assert_refused("{\"a\":{\"S\":!1}}", "S and B are strings");
    assert_refused("{\"a\":{\"S\":![]}}", "S and B are strings");
    assert_refused("{\"a\":{\"B\":!null}}", "S and B are strings");
    assert_refused("{\"a\":{\"N\":!5}}", "N and NS are numbers as text");
    assert_refused("{\"a\":{\"BOOL\":!\"true\"}}", "BOOL is true or false");
    assert_refused("{\"a\":{\"NULL\":!false}}", "NULL is true");
    assert_refused("{\"a\":{\"NULL\":!{}}}", "NULL is true");
    assert_refused("{\"a\":{\"M\":![]}}", "M is an object");
    assert_refused("{\"a\":{\"L\":!{}}}", "L, SS, NS and BS are arrays");
    assert_refused("{\"a\":{\"SS\":!\"x\"}}", "L, SS, NS and BS are arrays");
    assert_refused("{\"a\":{\"SS\":[\"x\",!1]}}", "S and B are strings");
    assert_refused("{\"a\":{\"NS\":[\"1\",!\"x\"]}}", "N and NS are numbers as text");
    assert_refused("{\"a\":{\"BS\":[![\"x\"]]}}", "S and B are strings");
    assert_refused("{\"a\":{\"S\":\"x\"!,\"N\":\"1\"}}", "one type");
    assert_refused("{\"a\":{\"L\":[]!,\"N\":\"1\"}}", "one type");
    assert_refused("{\"a\":{\"L\":[{\"S\":\"x\"},!3]}}", "an attribute value is an object");
    assert_refused("{\"a\":{\"M\":{\"b\":{\"L\":[{\"S\":!2}]}}}}", "S and B are strings");
    assert_refused("{\"a\":{\"M\":{\"b\":{\"S\":\"x\"}}!,\"S\":\"y\"}}", "one type");
}

/* `levels` lists around a string. */
static const char *nested(size_t levels, bool marked) {
    static char keys[4096];
    size_t length = 5;
    memcpy(keys, "{\"a\":", 5);
    for (size_t i = 0; i < levels; i++) {
        length +=
            (size_t)snprintf(keys + length, sizeof keys - length, "{\"L\":%s[", marked && i + 1 == levels ? "!" : "");
    }
    length += (size_t)snprintf(keys + length, sizeof keys - length, "{\"S\":\"x\"}");
    for (size_t i = 0; i < levels; i++) {
        length += (size_t)snprintf(keys + length, sizeof keys - length, "]}");
    }
    snprintf(keys + length, sizeof keys - length, "}");
    return keys;
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    char want[512];
    size_t length = (size_t)snprintf(want, sizeof want, "{\"Keys\":{\"a\":");
    memset(want + length, '[', TW_LIMIT_ATTRIBUTE_DEPTH);
    length += TW_LIMIT_ATTRIBUTE_DEPTH;
    length += (size_t)snprintf(want + length, sizeof want - length, "\"x\"");
    memset(want + length, ']', TW_LIMIT_ATTRIBUTE_DEPTH);
    length += TW_LIMIT_ATTRIBUTE_DEPTH;
    snprintf(want + length, sizeof want - length, "}}");
    assert_payload(with_keys(nested(TW_LIMIT_ATTRIBUTE_DEPTH, false)), want);
    assert_refused(nested(TW_LIMIT_ATTRIBUTE_DEPTH + 1, true), "nested too deeply");
}

static void the_key_of_an_item_does_not_depend_on_how_it_is_written(void **state) {
    (void)state;
    assert_key(modify, "{\"customer\":\"caf\xc3\xa9\",\"order\":101}");
    assert_key(with_keys("{\"order\":{\"N\":\"101\"},\"customer\":{\"S\":\"caf\xc3\xa9\"}}"),
               "{\"customer\":\"caf\xc3\xa9\",\"order\":101}");
    assert_key(with_keys(" { \"cust\\u006fmer\" : { \"S\" : \"\\u0063af\\u00e9\" } , \"order\":{\"N\":\"101\"}}"),
               "{\"customer\":\"caf\xc3\xa9\",\"order\":101}");
    assert_key(with_keys("{\"a\":{\"S\":\"\\/ \\u0001\\ud83d\\ude00\\u000a\"}}"),
               "{\"a\":\"/ \\u0001\xf0\x9f\x98\x80\\n\"}");
    assert_key(with_keys("{\"ab\":{\"B\":\"AA==\"},\"a\":{\"S\":\"1\"},\"\":{\"S\":\"2\"},\"a\":{\"S\":\"3\"}}"),
               "{\"\":\"2\",\"a\":\"3\",\"ab\":\"AA==\"}");
}

static void twice_the_record_is_room_for_both(void **state) {
    (void)state;
    static const char *const keys[] = {
        "{\"a\":{\"S\":\"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\u0008\"}}",
        "{\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\":{\"N\":\".5\"}}",
        "{\"a\":{\"NS\":[\".1\",\".2\",\".3\",\".4\"]},\"\\/\":{\"S\":\"\\ud83d\\ude00\"}}"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *json = with_keys(keys[i]);
        struct tw_dynamodb_record record;
        struct tw_buf out;
        tw_buf_init(&out, tw_alloc_default(), 2 * strlen(json));
        assert_int_equal(tw_buf_reserve(&out, 2 * strlen(json)), TUMBLE_OK);
        const char *before = out.data;
        assert_int_equal(parse(json, &record, NULL), TUMBLE_OK);
        assert_int_equal(tw_dynamodb_record_payload(&record, &out, NULL), TUMBLE_OK);
        assert_int_equal(tw_dynamodb_record_key(&record, &out, NULL), TUMBLE_OK);
        assert_ptr_equal(out.data, before);
        tw_buf_clean_up(&out);
    }
}

static void an_item_has_few_keys(void **state) {
    (void)state;
    char keys[1024];
    size_t length = 0;
    for (int i = 0; i < 17; i++) {
        length += (size_t)snprintf(keys + length, sizeof keys - length, "%s\"k%02d\":{\"S\":\"x\"}", i ? "," : "{", i);
    }
    snprintf(keys + length, sizeof keys - length, "}");
    struct tw_dynamodb_record record;
    struct tumble_error err;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), CAP);
    assert_int_equal(parse(with_keys(keys), &record, NULL), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_record_payload(&record, &out, NULL), TUMBLE_OK);
    length = out.length;
    assert_int_equal(tw_dynamodb_record_key(&record, &out, &err), TUMBLE_EEVENT);
    assert_non_null(strstr(err.text, "at most two key attributes"));
    assert_int_equal(out.length, length);
    tw_buf_clean_up(&out);
}

static void a_full_buffer_and_no_memory_are_errors_and_leave_it_as_it_was(void **state) {
    (void)state;
    struct tw_dynamodb_record record;
    struct tumble_error err;
    struct tw_buf out;
    assert_int_equal(parse(modify, &record, NULL), TUMBLE_OK);
    for (size_t cap = 0; cap < sizeof modify_plain - 1; cap++) {
        tw_buf_init(&out, tw_alloc_default(), cap);
        assert_int_equal(tw_dynamodb_record_payload(&record, &out, &err), TUMBLE_ELIMIT);
        assert_int_equal(out.length, 0);
        tw_buf_clean_up(&out);
    }
    tw_buf_init(&out, tw_alloc_default(), sizeof modify_plain - 1);
    assert_int_equal(tw_dynamodb_record_payload(&record, &out, &err), TUMBLE_OK);
    tw_buf_clean_up(&out);
    struct counting_alloc count = {.fail_at = 1};
    tw_buf_init(&out, counting_alloc_of(&count), CAP);
    assert_int_equal(tw_dynamodb_record_payload(&record, &out, &err), TUMBLE_ENOMEM);
    count.calls = 0;
    assert_int_equal(tw_dynamodb_record_key(&record, &out, &err), TUMBLE_ENOMEM);
    count.calls = 1;
    assert_int_equal(tw_dynamodb_record_key(&record, &out, &err), TUMBLE_OK);
    tw_buf_clean_up(&out);
    assert_int_equal(count.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_keys_in_any_order),
        cmocka_unit_test(the_arrival_time_is_seconds_in_any_form),
        cmocka_unit_test(a_record_without_its_members_is_refused),
        cmocka_unit_test(every_cut_is_more_or_malformed),
        cmocka_unit_test(null_members_are_missing_and_the_last_of_two_wins),
        cmocka_unit_test(typed_values_become_plain_ones),
        cmocka_unit_test(a_number_is_written_as_it_stands_where_json_takes_it),
        cmocka_unit_test(what_is_not_typed_json_is_refused_at_its_byte),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(the_key_of_an_item_does_not_depend_on_how_it_is_written),
        cmocka_unit_test(twice_the_record_is_room_for_both),
        cmocka_unit_test(an_item_has_few_keys),
        cmocka_unit_test(a_full_buffer_and_no_memory_are_errors_and_leave_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
