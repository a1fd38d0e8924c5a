#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/spec_compiled.h"

static const char whole[] =
    "{ \"window\": {\"seconds\": 60},"
    "  \"timestamp\": {\"field\": \"ts\", \"format\": \"epoch_s\"},"
    "  \"where\": {\"eventType\": [\"purchase\", \"refund\"], \"amount\": [{\"numeric\": [\">\", 0]}]},"
    "  \"group_by\": [\"eventType\", {\"field\": \"geo.country\", \"as\": \"country\"}, \"$shardId\"],"
    "  \"aggregates\": ["
    "    {\"name\": \"orders\", \"function\": \"count\"},"
    "    {\"name\": \"revenue\", \"function\": \"sum\", \"field\": \"amount\"},"
    "    {\"name\": \"again\", \"function\": \"mean\", \"field\": \"/amount\"},"
    "    {\"name\": \"page\", \"function\": \"min\", \"field\": \"page\", \"type\": \"string\"},"
    "    {\"name\": \"high\", \"function\": \"max\", \"field\": \"amount\", \"type\": \"number\"},"
    "    {\"name\": \"until\", \"function\": \"max\", \"field\": \"$arrival\"}],"
    "  \"outputs\": [\"file:rows.ndjson\", \"-\"],"
    "  \"failures\": \"file:bad.ndjson\", \"bad_records\": \"divert\" }";

static const char whole_canonical[] =
    "{\"aggregates\":[{\"function\":\"count\",\"name\":\"orders\"},{\"field\":\"amount\",\"function\":\"sum\",\"name\":"
    "\"revenue\"},"
    "{\"field\":\"amount\",\"function\":\"mean\",\"name\":\"again\"},"
    "{\"field\":\"page\",\"function\":\"min\",\"name\":\"page\",\"type\":\"string\"},"
    "{\"field\":\"amount\",\"function\":\"max\",\"name\":\"high\"},{\"field\":\"$arrival\",\"function\":\"max\","
    "\"name\":\"until\"}],"
    "\"group_by\":[{\"as\":\"eventType\",\"field\":\"eventType\"},{\"as\":\"country\",\"field\":\"geo.country\"},"
    "{\"as\":\"$shardId\",\"field\":\"$shardId\"}],"
    "\"where\":{\"amount\":[{\"numeric\":[\">\",0]}],\"eventType\":[\"purchase\",\"refund\"]}}";

static struct tumble_spec *parse(const char *json, const struct tumble_spec_overrides *overrides) {
    struct tumble_spec *spec;
    struct tumble_error err = {.text = ""};
    if (tumble_spec_parse(tumble_bytes_of(json), overrides, tw_alloc_default(), &spec, &err) != TUMBLE_OK) {
        fail_msg("%s: %s", json, err.text);
    }
    return spec;
}

static void assert_bytes(struct tumble_bytes bytes, const char *text) {
    assert_int_equal(bytes.length, strlen(text));
    assert_memory_equal(bytes.data ? bytes.data : "", text, bytes.length);
}

static void a_whole_spec_is_read_into_every_member(void **state) {
    (void)state;
    struct tumble_spec *spec = parse(whole, NULL);
    assert_int_equal(tumble_spec_window_seconds(spec), 60);
    assert_bytes(tumble_spec_timestamp_field(spec), "ts");
    assert_int_equal(tumble_spec_timestamp_format(spec)->kind, TUMBLE_TIMESTAMP_EPOCH_S);
    assert_int_equal(tumble_spec_output_count(spec), 2);
    assert_bytes(tumble_spec_output(spec, 0), "file:rows.ndjson");
    assert_bytes(tumble_spec_output(spec, 1), "-");
    assert_bytes(tumble_spec_output(spec, 2), "");
    assert_bytes(tumble_spec_failures(spec), "file:bad.ndjson");
    assert_true(tumble_spec_diverts_bad_records(spec));
    assert_bytes(tumble_spec_where(spec),
                 "{\"amount\":[{\"numeric\":[\">\",0]}],\"eventType\":[\"purchase\",\"refund\"]}");
    assert_int_equal(tw_filter_pattern_path_count(spec->where), 2);
    /* amount and /amount are one field */
    static const struct {
        const char *path;
        enum tw_field_source source;
        uint32_t projected;
    } fields[] = {{"eventType", TW_FIELD_PAYLOAD, 0}, {"geo.country", TW_FIELD_PAYLOAD, 1},
                  {"$shardId", TW_FIELD_SHARD_ID, 0}, {"amount", TW_FIELD_PAYLOAD, 2},
                  {"page", TW_FIELD_PAYLOAD, 3},      {"$arrival", TW_FIELD_ARRIVAL, 0}};
    assert_int_equal(spec->field_count, sizeof fields / sizeof *fields);
    for (size_t i = 0; i < spec->field_count; i++) {
        assert_bytes(spec->fields[i].path, fields[i].path);
        assert_int_equal(spec->fields[i].source, fields[i].source);
        assert_int_equal(spec->fields[i].projected, fields[i].projected);
    }
    assert_int_equal(spec->aggregates[0].field, -1);
    assert_int_equal(spec->aggregates[2].field, 3);
    uint32_t offset = 0;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        assert_int_equal(spec->aggregates[i].state_offset, offset);
        assert_int_equal(offset % 8, 0);
        offset += spec->aggregates[i].function->state_size;
    }
    assert_int_equal(spec->accumulator_bytes, offset);
    assert_true(spec->has_string_values);
    tumble_spec_destroy(spec);
}

static void columns_stand_in_the_order_of_a_row_and_are_explained(void **state) {
    (void)state;
    static const char *const names[] = {"window_start", "window_end", "shard_id", "fragment", "last_sequence",
                                        "eventType",    "country",    "$shardId", "orders",   "revenue",
                                        "again",        "page",       "high",     "until",    "records"};
    struct tumble_spec *spec = parse(whole, NULL);
    assert_int_equal(tumble_spec_column_count(spec), sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        assert_string_equal(column->name, names[i]);
        assert_true(strlen(column->explanation) > 5);
        assert_int_equal(column->kind, i < 5    ? TUMBLE_COLUMN_WINDOW
                                       : i < 8  ? TUMBLE_COLUMN_GROUP
                                       : i < 14 ? TUMBLE_COLUMN_AGGREGATE
                                                : TUMBLE_COLUMN_RECORDS);
    }
    assert_string_equal(tumble_spec_column(spec, 8)->explanation, "count of records");
    assert_string_equal(tumble_spec_column(spec, 9)->explanation, "exact sum of amount");
    assert_null(tumble_spec_column(spec, 15));
    tumble_spec_destroy(spec);
}

static void canonical_text_is_stable_and_its_digest_ignores_what_does_not_decide_rows(void **state) {
    (void)state;
    struct tumble_spec *spec = parse(whole, NULL);
    assert_bytes(tumble_spec_canonical(spec), whole_canonical);
    struct tumble_spec *again = parse(whole_canonical, NULL);
    assert_bytes(tumble_spec_canonical(again), whole_canonical);
    assert_true(tumble_spec_digest(spec) == tumble_spec_digest(again));
    tumble_spec_destroy(again);
    tumble_spec_destroy(spec);
    /* The same meaning, spelt otherwise; another column name is another meaning. */
    static const char *const same[] = {
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"a.b\"}],\"group_by\":[\"k\"],\"where\":{"
        "\"x\":[1]}}",
        "{\"where\":{\"x\":[1.0,{\"numeric\":[\"=\",10e-1]}]},\"group_by\":[{\"as\":\"k\",\"field\":\"/"
        "k\"}],\"aggregates\":[{\"field\":"
        "\"/a/b\",\"function\":\"su\\u006d\",\"name\":\"n\"}],\"window\":{\"seconds\":5},\"outputs\":[\"-\"]}"};
    struct tumble_spec *a = parse(same[0], NULL);
    struct tumble_spec *b = parse(same[1], NULL);
    struct tumble_spec *c = parse("{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"a.b\"}],\"group_"
                                  "by\":[{\"field\":\"k\",\"as\":\"K\"}],\"where\":{\"x\":[1]}}",
                                  NULL);
    assert_true(tumble_spec_digest(a) == tumble_spec_digest(b));
    assert_true(tumble_spec_digest(a) != tumble_spec_digest(c));
    tumble_spec_destroy(a);
    tumble_spec_destroy(b);
    tumble_spec_destroy(c);
}

static void overrides_alone_make_a_spec(void **state) {
    (void)state;
    const char *groups[] = {"eventType", "country = geo.country", "/a=b"};
    const char *aggregates[] = {"revenue=sum(amount)", "count()", "sum( geo.x )", "low=min(page, string)", "max(/a,b)"};
    const char *outputs[] = {"-"};
    struct tumble_spec_overrides overrides = {.window_seconds = 30,
                                              .timestamp_field = "ts",
                                              .timestamp_format = "%Y",
                                              .where = "{\"b\":[2]}",
                                              .group_by = groups,
                                              .group_by_count = 3,
                                              .aggregates = aggregates,
                                              .aggregate_count = 5,
                                              .outputs = outputs,
                                              .output_count = 1,
                                              .failures = "file:f",
                                              .bad_records = "divert"};
    struct tumble_spec *spec = parse("", &overrides);
    assert_bytes(
        tumble_spec_canonical(spec),
        "{\"aggregates\":[{\"field\":\"amount\",\"function\":\"sum\",\"name\":\"revenue\"},{\"function\":\"count\","
        "\"name\":\"count\"},"
        "{\"field\":\"geo.x\",\"function\":\"sum\",\"name\":\"sum_geo.x\"},"
        "{\"field\":\"page\",\"function\":\"min\",\"name\":\"low\",\"type\":\"string\"},"
        "{\"field\":\"a,b\",\"function\":\"max\",\"name\":\"max_/a,b\"}],"
        "\"group_by\":[{\"as\":\"eventType\",\"field\":\"eventType\"},{\"as\":\"country\",\"field\":\"geo.country\"},"
        "{\"as\":\"/a=b\",\"field\":\"a=b\"}],\"where\":{\"b\":[2]}}");
    assert_int_equal(tumble_spec_window_seconds(spec), 30);
    assert_string_equal(tumble_spec_timestamp_format(spec)->pattern, "%Y");
    tumble_spec_destroy(spec);
    /* Over a text, what is set replaces what the text says, even where that would not do. */
    struct tumble_spec_overrides some = {.aggregates = aggregates, .aggregate_count = 1, .bad_records = "fail"};
    spec = parse("{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"a\",\"function\":\"nonsense\"}],\"bad_"
                 "records\":\"divert\"}",
                 &some);
    assert_int_equal(tumble_spec_window_seconds(spec), 60);
    assert_false(tumble_spec_diverts_bad_records(spec));
    assert_int_equal(spec->aggregate_count, 1);
    tumble_spec_destroy(spec);
}

#define AGGREGATES "\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]"

static void refusals_name_the_key_its_place_and_the_nearest_right_one(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum tumble_code code;
        int byte;
        const char *message;
    } cases[] = {
        {"{", TUMBLE_EJSON, -2, NULL},
        {"[]", TUMBLE_EJSON, 0, "expected an object, found an array"},
        {"{} x", TUMBLE_EJSON, 3, "more text behind the end of the JSON value"},
        {"{\"a\":\"\xff\"}", TUMBLE_EUTF8, -2, NULL},
        {"{}", TUMBLE_ESPEC, -1,
         "aggregates is missing or empty: say what to compute, such as \"aggregates\": [{\"name\": \"orders\", "
         "\"function\": \"count\"}]"},
        {"{\"aggregates\":[]}", TUMBLE_ESPEC, -1, NULL},
        {"{\"agregates\":[]}", TUMBLE_ESPEC, 2, "unknown key agregates: did you mean \"aggregates\"?"},
        {"{\"zzz\":[]}", TUMBLE_ESPEC, 2, "unknown key zzz"},
        {"{\"window\":{\"secs\":1}}", TUMBLE_ESPEC, 12, "unknown key window.secs: did you mean \"seconds\"?"},
        {"{\"window\":{}}", TUMBLE_ESPEC, 10, "window.seconds is missing: how long is a window?"},
        {"{\"window\":60}", TUMBLE_ESPEC, 10, "window must be an object such as {\"seconds\": 60}, not a number"},
        {"{\"window\":{\"seconds\":\"60\"}}", TUMBLE_ESPEC, -2,
         "window.seconds must be a number of seconds, not a string"},
        {"{\"window\":{\"seconds\":0}}", TUMBLE_ESPEC, 21,
         "window.seconds must be a whole number of seconds from 1, not 0"},
        {"{\"window\":{\"seconds\":1.5}}", TUMBLE_ESPEC, 21,
         "window.seconds must be a whole number of seconds from 1, not 1.5"},
        {"{\"window\":{\"seconds\":1e15}," AGGREGATES "}", TUMBLE_ESPEC, 21,
         "a window of 1000000000000000 seconds is longer than all of time"},
        {"{\"window\":{\"seconds\":1,\"seconds\":2}}", TUMBLE_ESPEC, 24,
         "window.seconds is given twice: keep one of them"},
        {"{\"timestamp\":{\"format\":\"auto\"}," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "timestamp.format is given, but no timestamp field that has it"},
        {"{\"timestamp\":{\"field\":\"ts\",\"format\":\"iso\"}," AGGREGATES "}", TUMBLE_ESPEC, 37,
         "timestamp.format: unknown timestamp format \"iso\": use auto, epoch_s, epoch_ms, iso8601 or a strptime "
         "pattern such as "
         "\"%Y-%m-%d %H:%M:%S\""},
        {"{\"timestamp\":{\"field\":\"$arrival\"}," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "timestamp.field: \"$arrival\" is no field of the payload; without timestamp a record's arrival time counts"},
        {"{\"timestamp\":{\"field\":\"a..b\"}," AGGREGATES "}", TUMBLE_EPATH, 23, NULL},
        {"{\"timestamp\":{\"field\":\"\"}," AGGREGATES "}", TUMBLE_ESPEC, 23, "timestamp.field is empty"},
        {"{\"where\":[]," AGGREGATES "}", TUMBLE_ESPEC, 9, "where must be an object (a filter pattern), not an array"},
        {"{\"where\":{\"a\":5}," AGGREGATES "}", TUMBLE_EPATTERN, 14,
         "Invalid filter pattern definition. \"a\" must be an object or an array (at /a): write [5]"},
        {"{\"where\":{\"a\":{\"b\":\"x\\ny\"}}," AGGREGATES "}", TUMBLE_EPATTERN, -2,
         "Invalid filter pattern definition. \"b\" must be an object or an array (at /a/b): write [\"x\\ny\"]"},
        {"{\"timestamp\":\"ts\"," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "timestamp must be an object such as {\"field\": \"ts\"}, not a string"},
        {"{\"timestamp\":5," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "timestamp must be an object such as {\"field\": \"ts\"}, not a number"},
        {"{\"partials\":1," AGGREGATES "}", TUMBLE_ESPEC, 12, "partials must be true or false, not a number"},
        {"{\"group_by\":\"a\"," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by must be an array such as [\"a\"], not a string"},
        {"{\"group_by\":[5]," AGGREGATES "}", TUMBLE_ESPEC, 13,
         "group_by[0] must be a field, or an object with field and as, not a number"},
        {"{\"group_by\":[{\"as\":\"x\"}]," AGGREGATES "}", TUMBLE_ESPEC, 13, "group_by[0].field is missing"},
        {"{\"group_by\":[\"a\",{\"field\":\"b\",\"sa\":\"x\"}]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "unknown key group_by[1].sa: did you mean \"as\"?"},
        {"{\"group_by\":[\"a\",\"a\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[1]: the name \"a\" is used twice: give the column another name with as"},
        {"{\"group_by\":[\"records\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0]: \"records\" is a column that every row has: give the column another name with as"},
        {"{\"group_by\":[{\"field\":\"a\",\"as\":\"\\u0000\"}]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0]: a column's name must have 1 to 255 bytes and no control characters: give the column another "
         "name with as"},
        {"{\"group_by\":[\"\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0] is empty: leave the key out or name something"},
        {"{\"group_by\":[\"a.\"]," AGGREGATES "}", TUMBLE_EPATH, -2,
         "group_by[0]: the path \"a.\" has an empty part: write a key that holds a dot as a JSON Pointer, such as "
         "\"/a.b\""},
        {"{\"group_by\":[\"$partitonKey\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0]: a record has no attribute \"$partitonKey\": did you mean \"$partitionKey\"? (a key of the "
         "payload "
         "that begins with $ is written \"/$…\")"},
        {"{\"group_by\":[\"$partition_key\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0]: a record has no attribute \"$partition_key\": did you mean \"$partitionKey\"? (a key of the "
         "payload that begins with $ is written \"/$…\")"},
        {"{\"group_by\":[\"$x\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "group_by[0]: a record has no attribute \"$x\": there are $partitionKey, $shardId, $sequenceNumber and "
         "$arrival (a key of the payload is written \"/$…\")"},
        {"{\"aggregates\":[5]}", TUMBLE_ESPEC, 15, "aggregates[0] must be an object, not a number"},
        {"{\"aggregates\":[{\"name\":\"a\"}]}", TUMBLE_ESPEC, 15, "aggregates[0].function is missing"},
        {"{\"aggregates\":[{\"function\":\"count\"}]}", TUMBLE_ESPEC, 15, "aggregates[0].name is missing"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"count\"},{\"name\":\"b\",\"function\":\"sum\",\"feild\":"
         "\"x\"}]}",
         TUMBLE_ESPEC, -2, "unknown key aggregates[1].feild: did you mean \"field\"?"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"sun\",\"field\":\"x\"}]}", TUMBLE_ESPEC, -2,
         "aggregates[0].function: unknown function \"sun\": did you mean \"sum\"?"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"sum\"}]}", TUMBLE_ESPEC, -2,
         "aggregates[0].field is missing: sum of what?"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"sum\",\"field\":\"x\",\"type\":\"string\"}]}", TUMBLE_ESPEC,
         -2, "aggregates[0].type: sum has no type \"string\": leave the key out"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"sum\",\"field\":\"$shardId\"}]}", TUMBLE_ESPEC, -2,
         "aggregates[0].field: $shardId is a string, which sum does not take"},
        {"{\"aggregates\":[{\"name\":\"a\",\"function\":\"min\",\"field\":\"$arrival\",\"type\":\"string\"}]}",
         TUMBLE_ESPEC, -2, "aggregates[0].field: $arrival is a number, which min does not take"},
        {"{\"aggregates\":[{\"name\":\"window_end\",\"function\":\"count\"}]}", TUMBLE_ESPEC, -2,
         "aggregates[0]: \"window_end\" is a column that every row has: name it otherwise"},
        {"{\"group_by\":[\"n\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "aggregates[0]: the name \"n\" is used twice: name it otherwise"},
        {"{\"outputs\":\"-\"," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "outputs must be an array such as [\"-\"], not a string"},
        {"{\"outputs\":[5]," AGGREGATES "}", TUMBLE_ESPEC, -2, "outputs[0] must be a string, not a number"},
        {"{\"outputs\":[\"-\",\"-\"]," AGGREGATES "}", TUMBLE_ESPEC, -2, "outputs[1]: \"-\" is named twice"},
        {"{\"outputs\":[\"\"]," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "outputs[0] must name a destination such as file:rows.ndjson"},
        {"{\"failures\":\"a\\nb\"," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "failures must name a destination such as file:rows.ndjson"},
        {"{\"bad_records\":\"drop\"," AGGREGATES "}", TUMBLE_ESPEC, -2,
         "bad_records must be \"fail\" or \"divert\", not \"drop\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_spec *spec;
        struct tumble_error err = {.text = ""};
        enum tumble_code code =
            tumble_spec_parse(tumble_bytes_of(cases[i].json), NULL, tw_alloc_default(), &spec, &err);
        if (code != cases[i].code) {
            fail_msg("%s: %s %s", cases[i].json, tumble_code_name(code), err.text);
        }
        assert_null(spec);
        if (cases[i].message) {
            assert_string_equal(err.text, cases[i].message);
        }
        if (cases[i].byte != -2 && err.byte != cases[i].byte) {
            fail_msg("%s: byte %lld, wanted %d", cases[i].json, (long long)err.byte, cases[i].byte);
        }
        assert_int_equal(tumble_spec_parse(tumble_bytes_of(cases[i].json), NULL, tw_alloc_default(), &spec, NULL),
                         code);
    }
}

static void refusals_of_shorthand_show_it(void **state) {
    (void)state;
    static const struct {
        const char *aggregate;
        const char *message;
    } cases[] = {
        {"sum", "aggregate \"sum\": expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)"},
        {"", "aggregate \"\": expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)"},
        {"=sum(a)",
         "aggregate \"=sum(a)\": expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)"},
        {"x=(a)", "aggregate \"x=(a)\": expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)"},
        {"x=sum(a",
         "aggregate \"x=sum(a\": expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)"},
        {"x=sum()", "aggregate \"x=sum()\".field is missing: sum of what?"},
        {"x=smu(a)", "aggregate \"x=smu(a)\".function: unknown function \"smu\": did you mean \"sum\"?"},
        {"records=count()",
         "aggregate \"records=count()\": \"records\" is a column that every row has: name it otherwise"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_spec *spec;
        struct tumble_error err = {.text = ""};
        struct tumble_spec_overrides overrides = {.aggregates = &cases[i].aggregate, .aggregate_count = 1};
        assert_int_equal(tumble_spec_parse(tumble_bytes_of(""), &overrides, tw_alloc_default(), &spec, &err),
                         TUMBLE_ESPEC);
        assert_string_equal(err.text, cases[i].message);
        assert_int_equal(err.byte, -1);
    }
    const char *group = "=x";
    const char *count = "count()";
    struct tumble_spec *spec;
    struct tumble_error err = {.text = ""};
    struct tumble_spec_overrides groups = {
        .group_by = &group, .group_by_count = 1, .aggregates = &count, .aggregate_count = 1};
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(""), &groups, tw_alloc_default(), &spec, &err), TUMBLE_ESPEC);
    assert_string_equal(err.text, "group-by \"=x\": expected FIELD or NAME=FIELD, such as country=geo.country");
    struct tumble_spec_overrides window = {.window_seconds = -1, .aggregates = &count, .aggregate_count = 1};
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(""), &window, tw_alloc_default(), &spec, &err), TUMBLE_ESPEC);
    assert_string_equal(err.text, "the window must be a whole number of seconds from 1, not -1");
    struct tumble_spec_overrides where = {.where = "{\"a\":1}", .aggregates = &count, .aggregate_count = 1};
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(""), &where, tw_alloc_default(), &spec, &err), TUMBLE_EPATTERN);
    assert_int_equal(err.byte, -1);
}

static void limits_are_kept(void **state) {
    (void)state;
    static char json[65536];
    struct tumble_spec *spec;
    struct tumble_error err = {.text = ""};
    for (int count = 128; count <= 129; count++) {
        strcpy(json, "{\"aggregates\":[");
        for (int i = 0; i < count; i++) {
            snprintf(json + strlen(json), 64, "%s{\"name\":\"a%d\",\"function\":\"count\"}", i ? "," : "", i);
        }
        strcat(json, "]}");
        enum tumble_code code = tumble_spec_parse(tumble_bytes_of(json), NULL, tw_alloc_default(), &spec, &err);
        assert_int_equal(code, count == 128 ? TUMBLE_OK : TUMBLE_ESPEC);
        tumble_spec_destroy(spec);
    }
    assert_string_equal(err.text, "aggregates has 129 elements: at most 128 are allowed");
    strcpy(json, "{\"group_by\":[");
    for (int i = 0; i < 33; i++) {
        snprintf(json + strlen(json), 64, "%s\"g%d\"", i ? "," : "", i);
    }
    strcat(json, "]}");
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(json), NULL, tw_alloc_default(), &spec, &err), TUMBLE_ESPEC);
    assert_string_equal(err.text, "group_by has 33 elements: at most 32 are allowed");
    size_t big = 1024 * 1024 + 1;
    char *large = calloc(1, big + 1);
    assert_non_null(large);
    memset(large, ' ', big);
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(large), NULL, tw_alloc_default(), &spec, &err), TUMBLE_ESPEC);
    assert_string_equal(err.text, "the spec has 1048577 bytes: at most 1048576 are allowed");
    free(large);
}

/* tests/schema/specs.txt: the same list that docs/spec.schema.json is held to. */
static void parser_and_schema_agree(void **state) {
    (void)state;
    char line[4096];
    int lines = 0;
    FILE *file = fopen("schema/specs.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct tumble_spec *spec;
        struct tumble_error err = {.text = ""};
        enum tumble_code code = tumble_spec_parse(tumble_bytes_of(line + 2), NULL, tw_alloc_default(), &spec, &err);
        if ((code == TUMBLE_OK) != (line[0] == '+')) {
            fail_msg("%s gave %s %s", line, tumble_code_name(code), err.text);
        }
        tumble_spec_destroy(spec);
        lines++;
    }
    fclose(file);
    assert_in_range(lines, 40, 1000);
}

/* ---- no memory ---- */

static int allocations_left;

static void *scarce_alloc(void *ctx, size_t size) {
    (void)ctx;
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void *scarce_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return allocations_left-- > 0 ? realloc(pointer, new_size) : NULL;
}

static void scarce_release(void *ctx, void *pointer) {
    (void)ctx;
    free(pointer);
}

static void every_failed_allocation_is_an_ordinary_error(void **state) {
    (void)state;
    struct tumble_alloc scarce = {scarce_alloc, scarce_resize, scarce_release, NULL};
    const char *aggregates[] = {"low=min(page, string)", "count()"};
    struct tumble_spec_overrides overrides = {.aggregates = aggregates, .aggregate_count = 2};
    for (int with = 0; with < 2; with++) {
        int n = 0;
        for (; n < 5000; n++) {
            struct tumble_spec *spec;
            struct tumble_error err = {.text = ""};
            allocations_left = n;
            enum tumble_code code =
                tumble_spec_parse(tumble_bytes_of(whole), with ? &overrides : NULL, scarce, &spec, &err);
            if (code == TUMBLE_OK) {
                tumble_spec_destroy(spec);
                break;
            }
            assert_int_equal(code, TUMBLE_ENOMEM);
            assert_int_equal(err.code, TUMBLE_ENOMEM);
            assert_null(spec);
        }
        assert_in_range(n, 5, 4999);
    }
    tumble_spec_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_spec_is_read_into_every_member),
        cmocka_unit_test(columns_stand_in_the_order_of_a_row_and_are_explained),
        cmocka_unit_test(canonical_text_is_stable_and_its_digest_ignores_what_does_not_decide_rows),
        cmocka_unit_test(overrides_alone_make_a_spec),
        cmocka_unit_test(refusals_name_the_key_its_place_and_the_nearest_right_one),
        cmocka_unit_test(refusals_of_shorthand_show_it),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(parser_and_schema_agree),
        cmocka_unit_test(every_failed_allocation_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
