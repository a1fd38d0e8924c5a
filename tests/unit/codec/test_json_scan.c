#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "engine/base/limits.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/string_scan.h"

static enum tumble_code scan(struct tumble_bytes text, int end_of_input, struct tumble_value *value, size_t *consumed,
                             struct tumble_error *err) {
    char *copy = exact_copy(text.data, text.length);
    struct tumble_bytes json = {copy, text.length};
    enum tumble_code code = tw_json_value(json, end_of_input, value, consumed, err);
    if (code == TUMBLE_OK && value->text) {
        value->text = text.data + (value->text - copy);
    }
    free(copy);
    return code;
}

static const char *const documents[] = {
    "null",
    " true ",
    "false",
    "\"\"",
    "0 ",
    "-0.5e-10 ",
    "\t\r\n[ ]",
    "{ }",
    "[1,-2,3.25,1E+9,1e0]",
    "{\"a\":{\"b\":[{},[],{\"c\":null}]},\"d\":\"\"}",
    "{ \"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : true } }",
    "\"plain text that is longer than sixteen bytes, and then some more of it\"",
    "\"escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9 \\uD83D\\ude00 end\"",
    "[\"\xc2\x80\",\"\xdf\xbf\",\"\xe0\xa0\x80\",\"\xed\x9f\xbf\",\"\xee\x80\x80\",\"\xef\xbf\xbf\"]",
    "[\"\xf0\x90\x80\x80\",\"\xf4\x8f\xbf\xbf\"]",
    "{\"kinesis\":{\"data\":\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\",\"approximateArrivalTimestamp\":1.545084650987E9}}",
};

static void valid_documents_are_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct tumble_value value;
        struct tumble_error err = {.text = ""};
        size_t consumed = 0;
        struct tumble_bytes text = tumble_bytes_of(documents[i]);
        assert_int_equal(scan(text, 1, &value, &consumed, &err), TUMBLE_OK);
        size_t end = text.length - (documents[i][text.length - 1] == ' ');
        assert_int_equal(consumed, end);
        assert_int_equal(scan(text, 1, &value, NULL, &err), TUMBLE_OK);
    }
}

static void every_prefix_asks_for_more_until_the_value_is_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct tumble_bytes text = tumble_bytes_of(documents[i]);
        size_t whole = text.length - (documents[i][text.length - 1] == ' ');
        bool number = documents[i][0] == '0' || documents[i][0] == '-';
        for (size_t length = 0; length <= text.length; length++) {
            struct tumble_value value;
            struct tumble_error err = {.byte = -1};
            size_t consumed = 77;
            struct tumble_bytes prefix = {text.data, length};
            enum tumble_code code = scan(prefix, 0, &value, &consumed, &err);
            if (length < whole + number) {
                assert_int_equal(code, TUMBLE_EMORE);
                assert_int_equal(consumed, 77);
                assert_in_range(err.byte, 0, length);
                if (!number) { /* a number's prefix may be a number */
                    assert_int_equal(scan(prefix, 1, &value, &consumed, &err), TUMBLE_EJSON);
                }
            } else {
                assert_int_equal(code, TUMBLE_OK);
                assert_int_equal(consumed, whole);
            }
        }
    }
}

static void a_value_is_described_by_its_type_and_text(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum tumble_type type;
        const char *text;
        int flags;
    } cases[] = {
        {" null", TUMBLE_TYPE_NULL, NULL, 0},
        {"true", TUMBLE_TYPE_TRUE, NULL, 0},
        {"false", TUMBLE_TYPE_FALSE, NULL, 0},
        {" -12.50e+3 ", TUMBLE_TYPE_NUMBER, "-12.50e+3", 0},
        {" \"a b\" ", TUMBLE_TYPE_STRING, "a b", 0},
        {"\"\xc3\xa9\"", TUMBLE_TYPE_STRING, "\xc3\xa9", 0},
        {"\"a\\nb\"", TUMBLE_TYPE_STRING, "a\\nb", TUMBLE_VALUE_ESCAPED},
        {" [1, {}] ", TUMBLE_TYPE_ARRAY, "[1, {}]", 0},
        {"{\"a\":[]}", TUMBLE_TYPE_OBJECT, "{\"a\":[]}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value value;
        assert_int_equal(scan(tumble_bytes_of(cases[i].json), 1, &value, NULL, NULL), TUMBLE_OK);
        assert_int_equal(value.type, cases[i].type);
        assert_int_equal(value.flags, cases[i].flags);
        if (cases[i].text) {
            assert_true(value_is(&value, cases[i].text));
        }
    }
}

static void malformed_input_is_refused_with_code_place_and_text(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum tumble_code code;
        int byte;
        const char *text;
    } cases[] = {
        {"", TUMBLE_EJSON, 0, "expected a value but the input ends"},
        {"  ", TUMBLE_EJSON, 2, "expected a value but the input ends"},
        {"nul", TUMBLE_EJSON, 3, "expected \"null\" but the input ends"},
        {"nuLl", TUMBLE_EJSON, 2, "expected \"null\" but found 'L'"},
        {"True", TUMBLE_EJSON, 0, "expected a value but found 'T'"},
        {"NaN", TUMBLE_EJSON, 0, "NaN and Infinity are not JSON"},
        {"[Infinity]", TUMBLE_EJSON, 1, "NaN and Infinity are not JSON"},
        {"-Infinity", TUMBLE_EJSON, 1, "expected a digit but found 'I'"},
        {"01", TUMBLE_EJSON, 1, "behind a leading 0 but found '1'"},
        {"-", TUMBLE_EJSON, 1, "expected a digit but the input ends"},
        {"+1", TUMBLE_EJSON, 0, "expected a value but found '+'"},
        {"[.5]", TUMBLE_EJSON, 1, "expected a value but found '.'"},
        {"[1.]", TUMBLE_EJSON, 3, "expected a digit but found ']'"},
        {"[1e]", TUMBLE_EJSON, 3, "expected a digit but found ']'"},
        {"[1e+]", TUMBLE_EJSON, 4, "expected a digit but found ']'"},
        {"0x10", TUMBLE_EJSON, 1, "expected the end of the number but found 'x'"},
        {"1.5.2", TUMBLE_EJSON, 3, "expected the end of the number but found '.'"},
        {"[0x10]", TUMBLE_EJSON, 2, "expected ',' or ']' but found 'x'"},
        {"{\"a\":1 x", TUMBLE_EJSON, 7, "expected ',' or '}' but found 'x'"},
        {"{\"a\":1]", TUMBLE_EJSON, 6, "expected ',' or '}' but found ']'"},
        {"[1}", TUMBLE_EJSON, 2, "expected ',' or ']' but found '}'"},
        {"[[1}]", TUMBLE_EJSON, 3, "expected ',' or ']' but found '}'"},
        {"{\"a\":[1}]", TUMBLE_EJSON, 7, "expected ',' or ']' but found '}'"},
        {"[1,]", TUMBLE_EJSON, 3, "expected a value but found ']'"},
        {"[,1]", TUMBLE_EJSON, 1, "expected a value but found ','"},
        {"{,}", TUMBLE_EJSON, 1, "expected a key or '}' but found ','"},
        {"{\"a\":1,}", TUMBLE_EJSON, 7, "expected a key but found '}'"},
        {"{a:1}", TUMBLE_EJSON, 1, "expected a key or '}' but found 'a'"},
        {"{\"a\" 1}", TUMBLE_EJSON, 5, "expected ':' but found '1'"},
        {"{\"a\":}", TUMBLE_EJSON, 5, "expected a value but found '}'"},
        {"'a'", TUMBLE_EJSON, 0, "expected a value but found '''"},
        {"\"abc", TUMBLE_EJSON, 4, "expected the '\"' that closes a string but the input ends"},
        {"\"a\nb\"", TUMBLE_EJSON, 2, "control character but found byte 0x0a"},
        {"\"0123456789abcdef\x01\"", TUMBLE_EJSON, 17, "control character but found byte 0x01"},
        {"\"\\x\"", TUMBLE_EJSON, 2, "behind a backslash but found 'x'"},
        {"\"\\u12g4\"", TUMBLE_EJSON, 5, "expected a hexadecimal digit but found 'g'"},
        {"{} {}", TUMBLE_EJSON, 3, "expected the end of the input behind the value but found '{'"},
        {"[1]/*c*/", TUMBLE_EJSON, 3, "expected the end of the input behind the value but found '/'"},
        {"\xef\xbb\xbf{}", TUMBLE_EJSON, 0, "expected a value but found byte 0xef"},
        {"\"a\\ud800\"", TUMBLE_EUTF8, 2, "half of a surrogate pair"},
        {"\"\\udc00\"", TUMBLE_EUTF8, 1, "half of a surrogate pair"},
        {"\"\\ud800\\n\"", TUMBLE_EUTF8, 1, "half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", TUMBLE_EUTF8, 1, "half of a surrogate pair"},
        {"\"\\ud800\\ud800\"", TUMBLE_EUTF8, 1, "half of a surrogate pair"},
        {"\"ab\x80\"", TUMBLE_EUTF8, 3, "cannot begin a character"},
        {"\"\xc0\xaf\"", TUMBLE_EUTF8, 1, "cannot begin a character"},
        {"\"\xc1\xbf\"", TUMBLE_EUTF8, 1, "cannot begin a character"},
        {"\"\xc3\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xe0\x9f\xbf\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xed\xa0\x80\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xe2\x82\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xf0\x8f\xbf\xbf\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xf4\x90\x80\x80\"", TUMBLE_EUTF8, 1, "malformed UTF-8"},
        {"\"\xf5\x80\x80\x80\"", TUMBLE_EUTF8, 1, "cannot begin a character"},
        {"\"\xff\"", TUMBLE_EUTF8, 1, "cannot begin a character"},
        {"{\"\xff\":1}", TUMBLE_EUTF8, 2, "cannot begin a character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value value;
        struct tumble_error err = {.byte = -1};
        enum tumble_code code = scan(tumble_bytes_of(cases[i].json), 1, &value, NULL, &err);
        if (code != cases[i].code || err.byte != cases[i].byte || !strstr(err.text, cases[i].text)) {
            fail_msg("%s: %s at %d: %s", cases[i].json, tumble_code_name(code), (int)err.byte, err.text);
        }
    }
}

static void a_nul_byte_is_not_the_end_of_anything(void **state) {
    (void)state;
    static const char inside[] = {'"', 'a', '\0', 'b', '"'};
    static const char behind[] = {'[', ']', '\0'};
    static const char escape[] = {'"', '\\', '\0', '"'};
    struct tumble_value value;
    struct tumble_error err;
    assert_int_equal(scan((struct tumble_bytes){inside, sizeof inside}, 1, &value, NULL, &err), TUMBLE_EJSON);
    assert_int_equal(err.byte, 2);
    assert_int_equal(scan((struct tumble_bytes){behind, sizeof behind}, 1, &value, NULL, &err), TUMBLE_EJSON);
    assert_int_equal(err.byte, 2);
    assert_int_equal(scan((struct tumble_bytes){escape, sizeof escape}, 1, &value, NULL, &err), TUMBLE_EJSON);
    assert_int_equal(err.byte, 2);
}

static char *nested(size_t depth, const char *open, const char *close) {
    size_t width = strlen(open) + strlen(close);
    char *text = malloc(depth * width + 1);
    assert_non_null(text);
    char *at = text;
    for (size_t i = 0; i < depth; i++) {
        at = stpcpy(at, open);
    }
    for (size_t i = 0; i < depth; i++) {
        at = stpcpy(at, close);
    }
    *at = '\0';
    return text;
}

static void nesting_ends_at_the_limit(void **state) {
    (void)state;
    static const char *const shapes[][2] = {{"[", "]"}, {"[{\"k\":[", "]}]"}};
    struct tumble_value value;
    struct tumble_error err;
    for (size_t i = 0; i < 2; i++) {
        size_t a_turn = i ? 3 : 1;
        char *deep = nested(TW_LIMIT_JSON_DEPTH / a_turn, shapes[i][0], shapes[i][1]);
        assert_int_equal(scan(tumble_bytes_of(deep), 1, &value, NULL, &err), TUMBLE_OK);
        free(deep);
        deep = nested(TW_LIMIT_JSON_DEPTH / a_turn + 1, shapes[i][0], shapes[i][1]);
        assert_int_equal(scan(tumble_bytes_of(deep), 1, &value, NULL, &err), TUMBLE_EDEPTH);
        free(deep);
    }
    char *deep = nested(10000, "[", "]");
    assert_int_equal(scan(tumble_bytes_of(deep), 1, &value, NULL, &err), TUMBLE_EDEPTH);
    assert_int_equal(err.byte, TW_LIMIT_JSON_DEPTH);
    free(deep);
}

static void values_back_to_back_are_taken_one_by_one(void **state) {
    (void)state;
    struct tumble_bytes rest = tumble_bytes_of("{}{\"a\":1}[2]\"x\"true null 5 6");
    static const size_t lengths[] = {2, 7, 3, 3, 4, 5, 2, 2};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tumble_value value;
        size_t consumed = 0;
        assert_int_equal(tw_json_value(rest, 1, &value, &consumed, NULL), TUMBLE_OK);
        assert_int_equal(consumed, lengths[i]);
        rest.data += consumed;
        rest.length -= consumed;
    }
    assert_int_equal(rest.length, 0);
}

static void a_walk_visits_every_member_in_order(void **state) {
    (void)state;
    struct tumble_value object;
    struct tumble_value key;
    struct tumble_value value;
    struct tw_json_walk walk;
    assert_int_equal(
        tw_json_value(tumble_bytes_of(" { \"a\" : 1 , \"b\\n\":[1, {\"c\":2}],\"\":{} } "), 1, &object, NULL, NULL),
        TUMBLE_OK);
    static const char *const keys[] = {"a", "b\\n", ""};
    static const char *const values[] = {"1", "[1, {\"c\":2}]", "{}"};
    tw_json_walk_begin(&walk, &object);
    for (size_t i = 0; i < 3; i++) {
        assert_true(tw_json_walk_next(&walk, &key, &value));
        assert_true(value_is(&key, keys[i]));
        assert_int_equal(key.flags, i == 1 ? TUMBLE_VALUE_ESCAPED : 0);
        assert_true(value_is(&value, values[i]));
    }
    assert_false(tw_json_walk_next(&walk, &key, &value));
    assert_false(tw_json_walk_next(&walk, &key, &value));

    struct tumble_value array;
    int count = 0;
    assert_int_equal(tw_json_value(tumble_bytes_of("[ \"x\" ,\n[] , null]"), 1, &array, NULL, NULL), TUMBLE_OK);
    for (tw_json_walk_begin(&walk, &array); tw_json_walk_next(&walk, NULL, &value); count++) {
        static const enum tumble_type types[] = {TUMBLE_TYPE_STRING, TUMBLE_TYPE_ARRAY, TUMBLE_TYPE_NULL};
        assert_true(count < 3);
        assert_int_equal(value.type, types[count]);
    }
    assert_int_equal(count, 3);
    assert_int_equal(tw_json_value(tumble_bytes_of("[ ]"), 1, &array, NULL, NULL), TUMBLE_OK);
    tw_json_walk_begin(&walk, &array);
    assert_false(tw_json_walk_next(&walk, NULL, &value));
}

static void escapes_are_undone_to_utf8(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u0041\\u00e9\\u20AC\\ud83d\\uDE00z\"", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
        {"\"\xc3\xa9\\n\"", "\xc3\xa9\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value value;
        struct tw_buf buf;
        struct tumble_bytes text = tumble_bytes_of(cases[i].text);
        assert_int_equal(tw_json_value(tumble_bytes_of(cases[i].json), 1, &value, NULL, NULL), TUMBLE_OK);
        tw_buf_init(&buf, tw_alloc_default(), 100);
        assert_int_equal(tw_json_unescape(&value, &buf), TUMBLE_OK);
        assert_true(tumble_bytes_equal(tw_buf_view(&buf), text));
        assert_true(tw_json_string_equal(&value, text));
        assert_false(tw_json_string_equal(&value, tumble_bytes_of("other")));
        if (text.length) {
            struct tumble_bytes shorter = {text.data, text.length - 1};
            assert_false(tw_json_string_equal(&value, shorter));
        }
        tw_buf_clean_up(&buf);
    }
    struct tumble_value value;
    struct tw_buf buf;
    assert_int_equal(tw_json_value(tumble_bytes_of("\"abc\\u0041\""), 1, &value, NULL, NULL), TUMBLE_OK);
    tw_buf_init(&buf, tw_alloc_default(), 3);
    assert_int_equal(tw_json_unescape(&value, &buf), TUMBLE_ELIMIT);
    tw_buf_clean_up(&buf);
}

static void a_nul_in_an_escape_is_a_character_like_others(void **state) {
    (void)state;
    struct tumble_value value;
    struct tumble_bytes text = {"a\0b", 3};
    assert_int_equal(tw_json_value(tumble_bytes_of("\"a\\u0000b\""), 1, &value, NULL, NULL), TUMBLE_OK);
    assert_true(tw_json_string_equal(&value, text));
    assert_false(tw_json_string_equal(&value, tumble_bytes_of("a")));
}

static void the_wide_string_scan_stops_where_the_portable_one_does(void **state) {
    (void)state;
    uint64_t random = 42;
    for (int round = 0; round < 20000; round++) {
        char bytes[100];
        size_t length = random_below(&random, sizeof bytes + 1);
        size_t specials = random_below(&random, 4);
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (char)(0x20 + random_below(&random, 0x60));
        }
        for (size_t i = 0; length && i < specials; i++) {
            bytes[random_below(&random, length)] = (char)next_random(&random);
        }
        char *copy = exact_copy(bytes, length);
        const char *slow = copy;
        while (slow < copy + length && !tw_string_byte_is_special(*slow)) {
            slow++;
        }
        assert_ptr_equal(tw_scan_string_portable(copy, copy + length), slow);
        assert_ptr_equal(tw_scan_string_simd(copy, copy + length), slow);
        size_t from = random_below(&random, (size_t)(slow - copy) + 1);
        assert_ptr_equal(tw_scan_string_in(copy, copy + from, copy + length), slow);
        free(copy);
    }
}

static void every_byte_value_is_special_or_not_in_every_lane(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t lane = 0; lane < 32; lane++) {
            char bytes[32];
            memset(bytes, 'a', sizeof bytes);
            bytes[lane] = (char)byte;
            bool special = byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\';
            const char *want = special ? bytes + lane : bytes + sizeof bytes;
            assert_ptr_equal(tw_scan_string_portable(bytes, bytes + sizeof bytes), want);
            assert_ptr_equal(tw_scan_string_simd(bytes, bytes + sizeof bytes), want);
        }
    }
}

/* It may refuse to say, but not where numbers are ordinary; and it never says anything else than the lexer. */
static void the_wide_number_scan_stops_where_the_lexer_does(void **state) {
    (void)state;
    uint64_t random = 43;
    size_t said = 0;
    for (int round = 0; round < 200000; round++) {
        static const char any[] = "00123456789..-+eE ,}\"x\x80\n";
        char bytes[48];
        size_t length = random_below(&random, sizeof bytes) + 1;
        for (size_t i = 0; i < length; i++) {
            bytes[i] = any[random_below(&random, random_below(&random, 4) ? 13 : sizeof any - 1)];
        }
        size_t from = random_below(&random, length);
        if (!memchr("-0123456789", bytes[from], 11)) {
            continue;
        }
        char *copy = exact_copy(bytes, length);
        struct tw_lex lex;
        tw_lex_init(&lex, (struct tumble_bytes){copy, length}, round & 1);
        const char *stop = tw_scan_number_in(copy, copy + from, copy + length);
        if (stop) {
            assert_ptr_equal(tw_lex_number(&lex, copy + from), stop);
            said++;
        }
        free(copy);
    }
#ifdef TW_SCAN_IN
    assert_true(said > 10000);
    static const char ordinary[] = "{\"a\":-12.50,\"b\":0,\"c\":1762732800000}";
    const char *end = ordinary + sizeof ordinary - 1;
    assert_ptr_equal(tw_scan_number_in(ordinary, ordinary + 5, end), ordinary + 11);
    assert_ptr_equal(tw_scan_number_in(ordinary, ordinary + 16, end), ordinary + 17);
    assert_ptr_equal(tw_scan_number_in(ordinary, end - 14, end), end - 1);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_documents_are_accepted),
        cmocka_unit_test(every_prefix_asks_for_more_until_the_value_is_whole),
        cmocka_unit_test(a_value_is_described_by_its_type_and_text),
        cmocka_unit_test(malformed_input_is_refused_with_code_place_and_text),
        cmocka_unit_test(a_nul_byte_is_not_the_end_of_anything),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(values_back_to_back_are_taken_one_by_one),
        cmocka_unit_test(a_walk_visits_every_member_in_order),
        cmocka_unit_test(escapes_are_undone_to_utf8),
        cmocka_unit_test(a_nul_in_an_escape_is_a_character_like_others),
        cmocka_unit_test(the_wide_string_scan_stops_where_the_portable_one_does),
        cmocka_unit_test(the_wide_number_scan_stops_where_the_lexer_does),
        cmocka_unit_test(every_byte_value_is_special_or_not_in_every_lane),
    };
    return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
