#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/filter_pattern.h"
#include "engine/codec/json_scan.h"

static int matches(const char *pattern_text, const char *record) {
    struct tw_filter_pattern *pattern;
    struct tumble_projection *projection;
    struct tumble_error err = {.text = ""};
    if (tw_filter_pattern_new(tumble_bytes_of(pattern_text), tw_alloc_default(), &pattern, &err) != TUMBLE_OK) {
        fail_msg("%s: %s", pattern_text, err.text);
    }
    size_t count = tw_filter_pattern_path_count(pattern);
    struct tumble_bytes paths[256];
    struct tumble_value values[256];
    for (size_t i = 0; i < count; i++) {
        paths[i] = tw_filter_pattern_path(pattern, i);
    }
    assert_int_equal(tw_projection_new(paths, count, tw_alloc_default(), &projection, &err), TUMBLE_OK);
    if (tumble_project(projection, tumble_bytes_of(record), 1, values, NULL, &err) != TUMBLE_OK) {
        fail_msg("%s: %s", record, err.text);
    }
    int result = tw_filter_pattern_match(pattern, values);
    tw_projection_destroy(projection);
    tw_filter_pattern_destroy(pattern);
    return result;
}

struct match_case {
    const char *pattern;
    const char *record;
    int matches;
};

static void check(const struct match_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (matches(cases[i].pattern, cases[i].record) != cases[i].matches) {
            fail_msg("%s on %s: wanted %s", cases[i].pattern, cases[i].record, cases[i].matches ? "a match" : "none");
        }
    }
}

static void matches_the_table_of_lambdas_guide(void **state) {
    (void)state;
    static const struct match_case cases[] = {
        {"{\"UserID\":[null]}", "{\"UserID\":null}", 1},
        {"{\"UserID\":[null]}", "{}", 0},
        {"{\"UserID\":[null]}", "{\"UserID\":\"null\"}", 0},
        {"{\"LastName\":[\"\"]}", "{\"LastName\":\"\"}", 1},
        {"{\"LastName\":[\"\"]}", "{\"LastName\":null}", 0},
        {"{\"Name\":[\"Alice\"]}", "{\"Name\":\"Alice\"}", 1},
        {"{\"Name\":[\"Alice\"]}", "{\"Name\":\"alice\"}", 0},
        {"{\"Name\":[{\"equals-ignore-case\":\"alice\"}]}", "{\"Name\":\"ALICE\"}", 1},
        {"{\"Name\":[{\"equals-ignore-case\":\"alice\"}]}", "{\"Name\":\"alicea\"}", 0},
        {"{\"Name\":[{\"equals-ignore-case\":\"ÄÖΣ\"}]}", "{\"Name\":\"äöς\"}", 1},
        {"{\"Location\":[\"New York\"],\"Day\":[\"Monday\"]}", "{\"Location\":\"New York\",\"Day\":\"Monday\"}", 1},
        {"{\"Location\":[\"New York\"],\"Day\":[\"Monday\"]}", "{\"Location\":\"New York\",\"Day\":\"Friday\"}", 0},
        {"{\"PaymentType\":[\"Credit\",\"Debit\"]}", "{\"PaymentType\":\"Debit\"}", 1},
        {"{\"PaymentType\":[\"Credit\",\"Debit\"]}", "{\"PaymentType\":\"Cash\"}", 0},
        {"{\"$or\":[{\"Location\":[\"New York\"]},{\"Day\":[\"Monday\"]}]}",
         "{\"Location\":\"Rome\",\"Day\":\"Monday\"}", 1},
        {"{\"$or\":[{\"Location\":[\"New York\"]},{\"Day\":[\"Monday\"]}]}",
         "{\"Location\":\"Rome\",\"Day\":\"Friday\"}", 0},
        {"{\"Weather\":[{\"anything-but\":[\"Raining\"]}]}", "{\"Weather\":\"Sunny\"}", 1},
        {"{\"Weather\":[{\"anything-but\":[\"Raining\"]}]}", "{\"Weather\":\"Raining\"}", 0},
        {"{\"Weather\":[{\"anything-but\":[\"Raining\"]}]}", "{}", 0},
        {"{\"Price\":[{\"numeric\":[\"=\",100]}]}", "{\"Price\":100}", 1},
        {"{\"Price\":[{\"numeric\":[\"=\",100]}]}", "{\"Price\":\"100\"}", 0},
        {"{\"Price\":[{\"numeric\":[\">\",10,\"<=\",20]}]}", "{\"Price\":20}", 1},
        {"{\"Price\":[{\"numeric\":[\">\",10,\"<=\",20]}]}", "{\"Price\":10}", 0},
        {"{\"Price\":[{\"numeric\":[\">\",10,\"<=\",20]}]}", "{\"Price\":20.000000000000000000000001}", 0},
        {"{\"ProductName\":[{\"exists\":true}]}", "{\"ProductName\":null}", 1},
        {"{\"ProductName\":[{\"exists\":true}]}", "{}", 0},
        {"{\"ProductName\":[{\"exists\":false}]}", "{}", 1},
        {"{\"ProductName\":[{\"exists\":false}]}", "{\"ProductName\":0}", 0},
        {"{\"Region\":[{\"prefix\":\"us-\"}]}", "{\"Region\":\"us-east-1\"}", 1},
        {"{\"Region\":[{\"prefix\":\"us-\"}]}", "{\"Region\":\"eu-us-\"}", 0},
        {"{\"FileName\":[{\"suffix\":\".png\"}]}", "{\"FileName\":\"a.png\"}", 1},
        {"{\"FileName\":[{\"suffix\":\".png\"}]}", "{\"FileName\":\"png\"}", 0},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void matches_values_of_every_type(void **state) {
    (void)state;
    static const struct match_case cases[] = {
        {"{\"a\":[true]}", "{\"a\":true}", 1},
        {"{\"a\":[true]}", "{\"a\":false}", 0},
        {"{\"a\":[false,1,\"x\"]}", "{\"a\":\"x\"}", 1},
        {"{\"a\":[300]}", "{\"a\":3.0e2}", 1},
        {"{\"a\":[0]}", "{\"a\":-0.0}", 1},
        {"{\"a\":[9007199254740993]}", "{\"a\":9007199254740992}", 0},
        {"{\"a\":[{\"numeric\":[\"<\",1]}]}", "{\"a\":0.9999999999999999999999}", 1},
        {"{\"a\":[{\"numeric\":[\">=\",1]}]}", "{\"a\":1}", 1},
        {"{\"a\":[{\"numeric\":[\">\",0]}]}", "{\"a\":6000000000}", 1},
        {"{\"a\":[{\"numeric\":[\"<=\",-5e9]}]}", "{\"a\":-5e9}", 1},
        {"{\"a\":[{\"numeric\":[\">\",0]}]}", "{\"a\":12345678901234567890123456789012345}",
         0}, /* 35 digits: no number we hold */
        {"{\"a\":[{\"anything-but\":1}]}", "{\"a\":12345678901234567890123456789012345}", 1},
        {"{\"a\":[{\"anything-but\":1}]}", "{\"a\":1.0}", 0},
        {"{\"a\":[{\"anything-but\":[1,2]}]}", "{\"a\":\"1\"}", 1},
        {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":5}", 1},
        {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":null}", 1},
        {"{\"a\":[{\"anything-but\":{\"prefix\":\"us-\"}}]}", "{\"a\":\"us-east\"}", 0},
        {"{\"a\":[{\"anything-but\":{\"prefix\":\"us-\"}}]}", "{\"a\":\"eu\"}", 1},
        {"{\"a\":[{\"anything-but\":{\"suffix\":\".png\"}}]}", "{\"a\":\"a.png\"}", 0},
        {"{\"a\":[{\"anything-but\":{\"suffix\":\".png\"}}]}", "{\"a\":\"a.gif\"}", 1},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":\"X\"}}]}", "{\"a\":\"x\"}", 0},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[\"X\",\"y\"]}}]}", "{\"a\":\"Y\"}", 0},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[\"X\",\"y\"]}}]}", "{\"a\":\"z\"}", 1},
        {"{\"a\":[{\"prefix\":\"\"}]}", "{\"a\":\"x\"}", 1},
        {"{\"a\":[{\"prefix\":\"\"}]}", "{\"a\":1}", 0},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void sees_through_escapes(void **state) {
    (void)state;
    static const struct match_case cases[] = {
        {"{\"a\":[\"\\u0041b\"]}", "{\"a\":\"Ab\"}", 1},
        {"{\"a\":[\"Ab\"]}", "{\"\\u0061\":\"\\u0041b\"}", 1},
        {"{\"a\":[{\"prefix\":\"😀é\"}]}", "{\"a\":\"\\ud83d\\ude00\\u00e9x\"}", 1},
        {"{\"a\":[{\"suffix\":\"\\n😀\"}]}", "{\"a\":\"x\\n\\ud83d\\ude00\"}", 1},
        {"{\"a\":[{\"suffix\":\"y😀\"}]}", "{\"a\":\"\\n\\ud83d\\ude00\"}", 0},
        {"{\"a\":[{\"suffix\":\"too long for it\"}]}", "{\"a\":\"\\n\"}", 0},
        {"{\"a\":[{\"prefix\":\"\\n\\n\"}]}", "{\"a\":\"\\n\"}", 0},
        {"{\"a\":[{\"equals-ignore-case\":\"\\u00e9/\"}]}", "{\"a\":\"\\u00c9\\/\"}", 1},
        {"{\"a/b~c\":[1]}", "{\"a/b~c\":1}", 1},
        {"{\"a.b\":[1]}", "{\"a.b\":1}", 1},
        {"{\"a.b\":[1]}", "{\"a\":{\"b\":1}}", 0},
        {"{\"\":[1]}", "{\"\":1}", 1},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void matches_nested_objects_and_or_at_any_level(void **state) {
    (void)state;
    static const struct match_case cases[] = {
        {"{\"a\":{\"b\":{\"c\":[1]}}}", "{\"a\":{\"b\":{\"c\":1}}}", 1},
        {"{\"a\":{\"b\":{\"c\":[1]}}}", "{\"a\":{\"b\":1}}", 0},
        {"{\"a\":{\"b\":{\"c\":[{\"exists\":false}]}}}", "{\"a\":{\"b\":1}}", 1},
        {"{\"a\":{\"b\":{\"c\":[{\"exists\":false}]}}}", "{\"a\":{\"b\":{\"c\":1}}}", 0},
        {"{\"a\":{\"$or\":[{\"b\":[1]},{\"c\":{\"d\":[2]}}]},\"e\":[3]}", "{\"a\":{\"c\":{\"d\":2}},\"e\":3}", 1},
        {"{\"a\":{\"$or\":[{\"b\":[1]},{\"c\":{\"d\":[2]}}]},\"e\":[3]}", "{\"a\":{\"c\":{\"d\":2}},\"e\":4}", 0},
        {"{\"$or\":[{\"a\":[1]},{\"$or\":[{\"b\":[1]},{\"c\":[1]}]}]}", "{\"c\":1}", 1},
        {"{\"$or\":[{\"a\":[1],\"b\":[2]},{\"c\":[1]}]}", "{\"a\":1}", 0},
        {"{\"a\":[1],\"$or\":[{\"a\":[1,2]},{\"b\":[1]}]}", "{\"a\":1}", 1},
        {"{\"$or\":[{\"a\":{\"b\":[{\"exists\":false}]}},{\"c\":[1]}]}", "{\"a\":{\"b\":1}}", 0},
        {"{\"$or\":[{\"a\":{\"b\":[{\"exists\":false}]}},{\"c\":[1]}]}", "{\"a\":{\"x\":1}}", 1},
        /* Exists looks at leaf values only, as the guide says. */
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":{\"b\":1}}", 0},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":{\"b\":1}}", 1},
        {"{\"a\":[{\"exists\":false},5]}", "{\"a\":5}", 1},
        {"{\"a\":[{\"exists\":false},5]}", "{}", 1},
        {"{\"a\":[{\"exists\":false},5]}", "{\"a\":6}", 0},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void matches_an_array_by_any_element_and_an_object_by_one_whole(void **state) {
    (void)state;
    static const struct match_case cases[] = {
        {"{\"a\":[2]}", "{\"a\":[1,2,3]}", 1},
        {"{\"a\":[2]}", "{\"a\":[[1,[2]],3]}", 1},
        {"{\"a\":[4]}", "{\"a\":[1,2,3]}", 0},
        {"{\"a\":[4]}", "{\"a\":[]}", 0},
        {"{\"a\":[{\"anything-but\":[1]}]}", "{\"a\":[1,2]}", 1},
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":[]}", 0},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":[]}", 1},
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":[null]}", 1},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":[{}]}", 1},
        {"{\"a\":{\"b\":[2]}}", "{\"a\":[{\"b\":1},{\"b\":2}]}", 1},
        {"{\"a\":{\"b\":[2]}}", "{\"a\":[[{\"b\":2}]]}", 1},
        {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[{\"b\":1,\"c\":3},{\"b\":2,\"c\":2}]}", 0},
        {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[{\"b\":1,\"c\":3},{\"b\":1,\"c\":2}]}", 1},
        {"{\"a\":{\"b\":{\"c\":[7]}}}", "{\"a\":[{\"b\":[{\"c\":1},{\"c\":7}]}]}", 1},
        {"{\"a\":{\"b\":[2]}}", "{\"a\":[{\"b\":2,\"b\":3}]}", 0}, /* the last of duplicate keys */
        {"{\"a\":{\"b\":[{\"exists\":false}]}}", "{\"a\":[{\"b\":1},{}]}", 0},
        {"{\"a\":{\"b\":[{\"exists\":false}]}}", "{\"a\":[{\"c\":1},{}]}", 1},
        {"{\"a\":{\"b\":[{\"exists\":false}]}}", "{\"a\":[1]}", 1},
        {"{\"a\":{\"b\":[{\"exists\":false}],\"c\":[2]}}", "{\"a\":[{\"c\":2}]}", 1},
        {"{\"a\":{\"x\":{\"b\":[{\"exists\":false}]}}}", "{\"a\":[{\"x\":[{\"b\":1}]}]}", 0},
        {"{\"a\":{\"$or\":[{\"b\":[1]},{\"c\":[1]}]}}", "{\"a\":[{\"c\":1}]}", 1},
        /* A key of digits is a key, never a position. */
        {"{\"a\":{\"0\":[1]}}", "{\"a\":[1]}", 0},
        {"{\"a\":{\"0\":[1]}}", "{\"a\":{\"0\":1}}", 1},
        {"{\"0\":[1]}", "[1]", 0},
        {"{\"0\":{\"1\":[1]}}", "{\"0\":{\"1\":1}}", 1},
        {"{\"a\":[1]}", "[{\"a\":1}]", 0},
        {"{\"a\":[1]}", "5", 0},
    };
    check(cases, sizeof cases / sizeof *cases);
}

#define INVALID "Invalid filter pattern definition. "

static void refuses_what_aws_refuses_with_its_message(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *message;
        int byte;
    } cases[] = {
        {"[]", INVALID "expected an object, found an array", 0},
        {"", INVALID "the text is empty: expected an object", 0},
        {"{}", INVALID "Empty objects are not allowed", 0},
        {"{\"a\":{}}", INVALID "Empty objects are not allowed (at /a)", 5},
        {"{\"a\":[]}", INVALID "Empty arrays are not allowed (at /a)", 5},
        {"{\"a\":5}", INVALID "\"a\" must be an object or an array (at /a)", 5},
        {"{\"a\":\"x\"}", INVALID "\"a\" must be an object or an array (at /a)", 6},
        {"{\"a\":[[1]]}", INVALID "Match value must be String, number, true, false, or null (at /a)", 6},
        {"{\"a\":[{}]}", INVALID "Match expression name not found (at /a)", 6},
        {"{\"a\":[{\"wildcard\":\"*\"}]}", INVALID "Unrecognized match type wildcard (at /a)", 8},
        {"{\"a\":[{\"cidr\":\"10.0.0.0/8\"}]}", INVALID "Unrecognized match type cidr (at /a)", 8},
        {"{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}", INVALID "Only one key allowed in match expression (at /a)",
         -2},
        {"{\"a\":[{\"prefix\":5}]}", INVALID "prefix match pattern must be a string (at /a)", -2},
        {"{\"a\":[{\"suffix\":null}]}", INVALID "suffix match pattern must be a string (at /a)", -2},
        {"{\"a\":[{\"equals-ignore-case\":[]}]}", INVALID "equals-ignore-case match pattern must be a string (at /a)",
         -2},
        {"{\"a\":[{\"exists\":1}]}", INVALID "exists match pattern must be either true or false. (at /a)", -2},
        {"{\"a\":[{\"numeric\":5}]}", INVALID "Value of numeric must be an array. (at /a)", -2},
        {"{\"a\":[{\"numeric\":[]}]}", INVALID "Invalid member in numeric match: ] (at /a)", -2},
        {"{\"a\":[{\"numeric\":[5]}]}", INVALID "Invalid member in numeric match: 5 (at /a)", -2},
        {"{\"a\":[{\"numeric\":[null]}]}", INVALID "Invalid member in numeric match: null (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"!=\",5]}]}", INVALID "Unrecognized numeric range operator: != (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"=\",\"5\"]}]}", INVALID "Value of equals must be numeric (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"=\"]}]}", INVALID "Value of equals must be numeric (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">=\",true]}]}", INVALID "Value of >= must be numeric (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"<\",null]}]}", INVALID "Value of < must be numeric (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"=\",1,\"=\",2]}]}", INVALID "Too many elements in numeric expression (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"<\",1,\">\",0]}]}", INVALID "Too many elements in numeric expression (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,2]}]}", INVALID "Bad value in numeric range: 2 (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,null]}]}", INVALID "Bad value in numeric range: null (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,\">\",2]}]}", INVALID "Bad numeric range operator: > (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,\"<=\",\"2\"]}]}", INVALID "Value of <= must be numeric (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,\"<=\",2,\"<\"]}]}",
         INVALID "Too many terms in numeric range expression (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",1,\"<=\",1.0]}]}", INVALID "Bottom must be less than top (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\">\",5000000000.01]}]}",
         INVALID "Value must be between -5.0E9 and 5.0E9, inclusive (at /a)", -2},
        {"{\"a\":[{\"anything-but\":-6e9}]}", INVALID "Value must be between -5.0E9 and 5.0E9, inclusive (at /a)", -2},
        {"{\"a\":[{\"numeric\":[\"=\",1e400]}]}",
         INVALID "Value must have at most 34 digits and lie within 1e308 (at /a)", -2},
        {"{\"a\":[{\"anything-but\":null}]}",
         INVALID "Value of anything-but must be an array or single string/number value. (at /a)", -2},
        {"{\"a\":[{\"anything-but\":[true]}]}",
         INVALID "Inside anything but list, start|null|boolean is not supported. (at /a)", -2},
        {"{\"a\":[{\"anything-but\":[]}]}",
         INVALID
         "Inside anything but list, either all values are number or string, mixed type is not supported (at /a)",
         -2},
        {"{\"a\":[{\"anything-but\":[1,\"x\"]}]}",
         INVALID
         "Inside anything but list, either all values are number or string, mixed type is not supported (at /a)",
         -2},
        {"{\"a\":[{\"anything-but\":{}}]}", INVALID "Anything-But expression name not found (at /a)", -2},
        {"{\"a\":[{\"anything-but\":{\"numeric\":[\"=\",1]}}]}",
         INVALID "Unsupported anything-but pattern: numeric (at /a)", -2},
        {"{\"a\":[{\"anything-but\":{\"prefix\":5}}]}", INVALID "prefix/suffix match pattern must be a string (at /a)",
         -2},
        {"{\"a\":[{\"anything-but\":{\"suffix\":\"\"}}]}", INVALID "Null prefix/suffix not allowed (at /a)", -2},
        {"{\"a\":[{\"anything-but\":{\"prefix\":\"x\",\"suffix\":\"y\"}}]}",
         INVALID "Only one key allowed in match expression (at /a)", -2},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[1]}}]}",
         INVALID "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported. (at /a)",
         -2},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[]}}]}", INVALID "Empty arrays are not allowed (at /a)",
         -2},
        {"{\"$or\":{\"a\":[1]}}", INVALID "It must be an Array followed with $or.", 7},
        {"{\"$or\":[1,2]}", INVALID "Only JSON object is allowed in array of $or relationship.", 8},
        {"{\"$or\":[{\"a\":[1]}]}", INVALID "There must have at least 2 Objects in $or relationship.", 7},
        {"{\"b\":{\"$or\":[]}}", INVALID "There must have at least 2 Objects in $or relationship. (at /b)", 12},
        {"{\"$or\":[{\"prefix\":[1]},{\"a\":[1]}]}",
         INVALID "prefix is Ruler reserved fieldName which cannot be used inside $or.", 10},
        {"{\"a\":[1],\"a\":[2]}", INVALID "Path `a` cannot be allowed multiple times", -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_filter_pattern *pattern;
        struct tumble_error err = {.text = ""};
        if (tw_filter_pattern_new(tumble_bytes_of(cases[i].pattern), tw_alloc_default(), &pattern, &err) !=
            TUMBLE_EPATTERN) {
            fail_msg("%s was taken, or refused with another code: %s", cases[i].pattern, err.text);
        }
        assert_null(pattern);
        assert_string_equal(err.text, cases[i].message);
        if (cases[i].byte != -2 && err.byte != cases[i].byte) {
            fail_msg("%s: byte %lld, wanted %d", cases[i].pattern, (long long)err.byte, cases[i].byte);
        }
        assert_int_equal(tw_filter_pattern_new(tumble_bytes_of(cases[i].pattern), tw_alloc_default(), &pattern, NULL),
                         TUMBLE_EPATTERN);
    }
}

static void refuses_malformed_json_and_too_long_patterns(void **state) {
    (void)state;
    struct tw_filter_pattern *pattern;
    struct tumble_error err = {.text = ""};
    static const char *const broken[] = {"{\"a\":[1}", "{\"a\":[1]} x", "{\"a\":[NaN]}", "{\"a\":[\"\\ud800\"]}",
                                         "{\"a\":[\"\xff\"]}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_equal(tw_filter_pattern_new(tumble_bytes_of(broken[i]), tw_alloc_default(), &pattern, &err),
                         TUMBLE_EPATTERN);
        assert_memory_equal(err.text, INVALID, strlen(INVALID));
        assert_true(err.byte >= 0);
    }
    char text[4200] = "{\"a\":[\"";
    for (int characters = 4096; characters <= 4097; characters++) {
        size_t length = (size_t)characters - 10;
        memset(text + 7, 'x', length);
        memcpy(text + 7 + length, "\"]}", 4);
        enum tumble_code code = tw_filter_pattern_new(tumble_bytes_of(text), tw_alloc_default(), &pattern, &err);
        assert_int_equal(code, characters == 4096 ? TUMBLE_OK : TUMBLE_EPATTERN);
        tw_filter_pattern_destroy(pattern);
    }
    assert_string_equal(err.text, INVALID "Member must have length less than or equal to 4096");
    char many[8192] = "{";
    for (int i = 0; i < 257; i++) {
        snprintf(many + strlen(many), 32, "%s\"k%d\":[1]", i ? "," : "", i);
    }
    strcat(many, "}");
    assert_int_equal(tw_filter_pattern_new(tumble_bytes_of(many), tw_alloc_default(), &pattern, &err), TUMBLE_EPATTERN);
    assert_non_null(strstr(err.text, "256 fields"));
}

static void canonical_text_is_one_for_one_meaning_and_stable(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{ \"b\" : [ 2, 1, 1.0 ], \"a\" : [ \"\\u0041\" ] }", "{\"a\":[\"A\"],\"b\":[1,2]}"},
        {"{\"a\":[{\"numeric\":[\"=\",1e2]}]}", "{\"a\":[100]}"},
        {"{\"a\":[{\"numeric\":[\">=\",1e0,\"<\",2.50]}]}", "{\"a\":[{\"numeric\":[\">=\",1,\"<\",2.5]}]}"},
        {"{\"a\":[{\"numeric\":[\"<=\",-0]}]}", "{\"a\":[{\"numeric\":[\"<=\",0]}]}"},
        {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":[{\"anything-but\":[\"x\"]}]}"},
        {"{\"a\":[{\"anything-but\":[2,1,2]}]}", "{\"a\":[{\"anything-but\":[1,2]}]}"},
        {"{\"a\":[{\"equals-ignore-case\":\"AÉ\"}]}", "{\"a\":[{\"equals-ignore-case\":\"aé\"}]}"},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":\"B\"}}]}",
         "{\"a\":[{\"anything-but\":{\"equals-ignore-case\":[\"b\"]}}]}"},
        {"{\"a\":[{\"anything-but\":{\"suffix\":\"B\"}},{\"prefix\":\"p\"},{\"suffix\":\"s\"},null,true,false]}",
         "{\"a\":[false,null,true,{\"anything-but\":{\"suffix\":\"B\"}},{\"prefix\":\"p\"},{\"suffix\":\"s\"}]}"},
        {"{\"z\":[{\"exists\":false}],\"$or\":[{\"y\":[1]},{\"x\":[{\"exists\":true}]}]}",
         "{\"$or\":[{\"x\":[{\"exists\":true}]},{\"y\":[1]}],\"z\":[{\"exists\":false}]}"},
        {"{\"$or\":[{\"y\":[1]},{\"y\":[1]}]}", "{\"$or\":[{\"y\":[1]},{\"y\":[1]}]}"},
        {"{\"a\\n\":{\"b\\\"\":[1]}}", "{\"a\\n\":{\"b\\\"\":[1]}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int again = 0; again < 2; again++) {
            struct tw_filter_pattern *pattern;
            struct tumble_error err = {.text = ""};
            struct tw_buf out;
            tw_buf_init(&out, tw_alloc_default(), 65536);
            if (tw_filter_pattern_new(tumble_bytes_of(cases[i][again]), tw_alloc_default(), &pattern, &err) !=
                TUMBLE_OK) {
                fail_msg("%s: %s", cases[i][again], err.text);
            }
            assert_int_equal(tw_filter_pattern_canonical(pattern, &out), TUMBLE_OK);
            assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
            assert_string_equal(out.data, cases[i][1]);
            tw_filter_pattern_destroy(pattern);
            tw_buf_clean_up(&out);
        }
    }
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
    struct tumble_bytes text = tumble_bytes_of("{\"a\":{\"b\":[1,{\"prefix\":\"x\"},{\"anything-but\":{\"equals-ignore-"
                                               "case\":[\"A\"]}}]},\"$or\":[{\"c\":[null]},{\"d\":[{"
                                               "\"numeric\":[\">\",1]}]}]}");
    for (int n = 0; n < 1000; n++) {
        struct tw_filter_pattern *pattern;
        struct tumble_error err = {.text = ""};
        allocations_left = n;
        enum tumble_code code = tw_filter_pattern_new(text, scarce, &pattern, &err);
        if (code == TUMBLE_OK) {
            tw_filter_pattern_destroy(pattern);
            assert_true(n > 2);
            return;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
        assert_int_equal(err.code, TUMBLE_ENOMEM);
        assert_null(pattern);
    }
    fail_msg("never succeeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_table_of_lambdas_guide),
        cmocka_unit_test(matches_values_of_every_type),
        cmocka_unit_test(sees_through_escapes),
        cmocka_unit_test(matches_nested_objects_and_or_at_any_level),
        cmocka_unit_test(matches_an_array_by_any_element_and_an_object_by_one_whole),
        cmocka_unit_test(refuses_what_aws_refuses_with_its_message),
        cmocka_unit_test(refuses_malformed_json_and_too_long_patterns),
        cmocka_unit_test(canonical_text_is_one_for_one_meaning_and_stable),
        cmocka_unit_test(every_failed_allocation_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
