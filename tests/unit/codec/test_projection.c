#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

enum { MAX_PATHS = 16 };

static struct tumble_projection *projection_of(const char *const *paths, size_t count) {
    struct tumble_bytes views[MAX_PATHS];
    struct tumble_projection *projection = NULL;
    for (size_t i = 0; i < count; i++) {
        views[i] = tumble_bytes_of(paths[i]);
    }
    assert_int_equal(tw_projection_new(views, count, tw_alloc_default(), &projection, NULL), TUMBLE_OK);
    assert_int_equal(tumble_projection_count(projection), count);
    return projection;
}

/* A wanted value as one string: "" is MISSING, else the text, strings with their quotes. */
static bool shows(const struct tumble_value *value, const char *want) {
    switch (value->type) {
    case TUMBLE_TYPE_MISSING: return *want == '\0';
    case TUMBLE_TYPE_NULL: return strcmp(want, "null") == 0;
    case TUMBLE_TYPE_FALSE: return strcmp(want, "false") == 0;
    case TUMBLE_TYPE_TRUE: return strcmp(want, "true") == 0;
    case TUMBLE_TYPE_STRING:
        return strlen(want) == value->length + 2u && memcmp(value->text, want + 1, value->length) == 0;
    default: return value_is(value, want);
    }
}

static void fields_are_found_wherever_their_path_leads(void **state) {
    (void)state;
    static const char *const paths[] = {
        "a",     "a.b",      "/a/b", "/l/0", "/l/1/x", "l.0", "/o/0", "o.0", "long_key_of_more_than_16_bytes",
        "k~e/y", "/k~0e~1y", "/",    "a",    "/l"};
    enum { COUNT = sizeof paths / sizeof *paths };
    static const struct {
        const char *json;
        const char *want[COUNT];
    } cases[] = {
        {"{}", {"", "", "", "", "", "", "", "", "", "", "", "", "", ""}},
        {"[]", {"", "", "", "", "", "", "", "", "", "", "", "", "", ""}},
        {"\"a\"", {"", "", "", "", "", "", "", "", "", "", "", "", "", ""}},
        {"{\"a\":1}", {"1", "", "", "", "", "", "", "", "", "", "", "", "1", ""}},
        {" { \"a\" : { \"b\" : true } } ",
         {"{ \"b\" : true }", "true", "true", "", "", "", "", "", "", "", "", "", "{ \"b\" : true }", ""}},
        {"{\"l\":[[1],{\"x\":null,\"y\":2}]}",
         {"", "", "", "[1]", "null", "", "", "", "", "", "", "", "", "[[1],{\"x\":null,\"y\":2}]"}},
        {"{\"o\":{\"0\":\"z\"}}", {"", "", "", "", "", "", "\"z\"", "\"z\"", "", "", "", "", "", ""}},
        {"{\"o\":[\"z\"]}", {"", "", "", "", "", "", "\"z\"", "", "", "", "", "", "", ""}},
        {"{\"a\":[{\"b\":1}]}", {"[{\"b\":1}]", "", "", "", "", "", "", "", "", "", "", "", "[{\"b\":1}]", ""}},
        {"{\"long_key_of_more_than_16_bytes\":-1.5,\"long_key_of_MORE_than_16_bytes\":2}",
         {"", "", "", "", "", "", "", "", "-1.5", "", "", "", "", ""}},
        {"{\"k~e/y\":\"\\n\",\"\":false}", {"", "", "", "", "", "", "", "", "", "\"\\n\"", "\"\\n\"", "false", "", ""}},
        {"{\"\\u0061\":{\"\\u0062\":3}}",
         {"{\"\\u0062\":3}", "3", "3", "", "", "", "", "", "", "", "", "", "{\"\\u0062\":3}", ""}},
        {"{\"\\u0061b\":3,\"b\\u0061\":4}", {"", "", "", "", "", "", "", "", "", "", "", "", "", ""}},
    };
    struct tumble_projection *projection = projection_of(paths, COUNT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value values[COUNT];
        assert_int_equal(tumble_project(projection, tumble_bytes_of(cases[i].json), 1, values, NULL, NULL), TUMBLE_OK);
        for (size_t j = 0; j < COUNT; j++) {
            if (!shows(&values[j], cases[i].want[j])) {
                fail_msg("%s: %s: got type %d \"%.*s\"", cases[i].json, paths[j], values[j].type, (int)values[j].length,
                         values[j].text ? values[j].text : "");
            }
        }
    }
    tw_projection_destroy(projection);
}

static void of_duplicate_keys_the_last_wins_with_all_below_it(void **state) {
    (void)state;
    static const char *const paths[] = {"a", "a.b", "/a/c/0", "d"};
    static const struct {
        const char *json;
        const char *want[4];
    } cases[] = {
        {"{\"d\":1,\"d\":\"x\"}", {"", "", "", "\"x\""}},
        {"{\"a\":{\"b\":1},\"a\":{\"b\":2}}", {"{\"b\":2}", "2", "", ""}},
        {"{\"a\":{\"b\":1,\"c\":[7]},\"a\":{}}", {"{}", "", "", ""}},
        {"{\"a\":{\"b\":1,\"c\":[7]},\"d\":2,\"a\":null}", {"null", "", "", "2"}},
        {"{\"a\":{\"c\":[7],\"c\":{\"0\":8},\"c\":[],\"b\":4}}",
         {"{\"c\":[7],\"c\":{\"0\":8},\"c\":[],\"b\":4}", "4", "", ""}},
        {"{\"a\":{\"b\":1},\"\\u0061\":{\"c\":[2]}}", {"{\"c\":[2]}", "", "2", ""}},
    };
    struct tumble_projection *projection = projection_of(paths, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_value values[4];
        assert_int_equal(tumble_project(projection, tumble_bytes_of(cases[i].json), 1, values, NULL, NULL), TUMBLE_OK);
        for (size_t j = 0; j < 4; j++) {
            if (!shows(&values[j], cases[i].want[j])) {
                fail_msg("%s: %s: got \"%.*s\"", cases[i].json, paths[j], (int)values[j].length,
                         values[j].text ? values[j].text : "");
            }
        }
    }
    tw_projection_destroy(projection);
}

static void duplicates_are_noticed_among_more_children_than_a_word_has_bits(void **state) {
    (void)state;
    enum { COUNT = 200 };
    static char names[COUNT][16];
    static char json[COUNT * 60];
    struct tumble_bytes paths[COUNT];
    struct tumble_projection *projection;
    struct tumble_value values[COUNT];
    char *at = json;
    *at++ = '{';
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            paths[i].data = names[i];
            paths[i].length = (size_t)snprintf(names[i], sizeof names[i], "key%d.x", i);
            /* The second round repeats the even keys with something else inside. */
            if (round == 0) {
                at += sprintf(at, "\"key%d\":{\"x\":%d},", i, i);
            } else if (i % 2 == 0) {
                at += sprintf(at, "\"key%d\":[%d],", i, i);
            }
        }
    }
    at[-1] = '}';
    assert_int_equal(tw_projection_new(paths, COUNT, tw_alloc_default(), &projection, NULL), TUMBLE_OK);
    assert_int_equal(
        tumble_project(projection, (struct tumble_bytes){json, (size_t)(at - json)}, 1, values, NULL, NULL), TUMBLE_OK);
    for (int i = 0; i < COUNT; i++) {
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        assert_true(shows(&values[i], i % 2 ? want : ""));
    }
    tw_projection_destroy(projection);
}

static void malformed_paths_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int byte;
        const char *text;
    } cases[] = {
        {"", 0, "empty segment"},    {".", 0, "empty segment"},
        {"a.", 2, "empty segment"},  {"a..b", 2, "empty segment"},
        {".a", 0, "empty segment"},  {"/a/~2", 3, "\"/a/~2\": in a JSON Pointer '~' is written ~0"},
        {"/a~", 2, "is written ~0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_bytes paths[2] = {tumble_bytes_of("good"), tumble_bytes_of(cases[i].path)};
        struct tumble_projection *projection;
        struct tumble_error err;
        assert_int_equal(tw_projection_new(paths, 2, tw_alloc_default(), &projection, &err), TUMBLE_EPATH);
        assert_null(projection);
        assert_int_equal(err.byte, cases[i].byte);
        assert_int_equal(err.record, 1);
        assert_non_null(strstr(err.text, cases[i].text));
    }
    static char longer[TW_LIMIT_PATH_BYTES + 1];
    memset(longer, 'x', sizeof longer);
    struct tumble_bytes path = {longer, sizeof longer};
    struct tumble_projection *projection;
    struct tumble_error err;
    assert_int_equal(tw_projection_new(&path, 1, tw_alloc_default(), &projection, &err), TUMBLE_EPATH);
    path.length--;
    assert_int_equal(tw_projection_new(&path, 1, tw_alloc_default(), &projection, &err), TUMBLE_OK);
    tw_projection_destroy(projection);
}

static void only_different_paths_count_towards_the_limit(void **state) {
    (void)state;
    enum { COUNT = 2 * TW_LIMIT_FIELDS + 1 };
    static char names[COUNT][8];
    struct tumble_bytes paths[COUNT];
    struct tumble_projection *projection;
    struct tumble_error err;
    for (int i = 0; i < COUNT; i++) {
        paths[i].data = names[i];
        paths[i].length = (size_t)snprintf(names[i], sizeof names[i], "f%d", i % TW_LIMIT_FIELDS);
    }
    assert_int_equal(tw_projection_new(paths, COUNT, tw_alloc_default(), &projection, &err), TUMBLE_OK);
    tw_projection_destroy(projection);
    paths[COUNT - 1] = tumble_bytes_of("other");
    assert_int_equal(tw_projection_new(paths, COUNT, tw_alloc_default(), &projection, &err), TUMBLE_ELIMIT);
    assert_null(projection);
}

struct failing {
    size_t left;
    size_t open;
};

static void *failing_alloc(void *ctx, size_t size) {
    struct failing *failing = ctx;
    if (failing->left == 0) {
        return NULL;
    }
    failing->left--;
    failing->open++;
    return malloc(size);
}
static void *failing_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)old_size;
    struct failing *failing = ctx;
    if (failing->left == 0) {
        return NULL;
    }
    failing->left--;
    failing->open += pointer == NULL;
    return realloc(pointer, new_size);
}
static void failing_release(void *ctx, void *pointer) {
    struct failing *failing = ctx;
    failing->open -= pointer != NULL;
    free(pointer);
}

static void every_failing_allocation_is_reported_and_nothing_leaks(void **state) {
    (void)state;
    struct tumble_bytes paths[40];
    static char names[40][12];
    for (size_t i = 0; i < 40; i++) {
        paths[i].data = names[i];
        paths[i].length = (size_t)snprintf(names[i], sizeof names[i], "/a%zu/%zu", i, i);
    }
    struct failing failing = {0, 0};
    struct tumble_alloc alloc = {failing_alloc, failing_resize, failing_release, &failing};
    enum tumble_code code = TUMBLE_ENOMEM;
    size_t n = 0;
    for (; code != TUMBLE_OK; n++) {
        struct tumble_projection *projection;
        struct tumble_error err = {.code = TUMBLE_OK};
        failing.left = n;
        code = tw_projection_new(paths, 40, alloc, &projection, &err);
        if (code != TUMBLE_OK) {
            assert_int_equal(code, TUMBLE_ENOMEM);
            assert_int_equal(err.code, TUMBLE_ENOMEM);
            assert_null(projection);
        }
        tw_projection_destroy(projection);
        assert_int_equal(failing.open, 0);
        assert_true(n < 100);
    }
    assert_true(n > 5);
}

/* --- against a walk that is too simple to be wrong --- */

static const char alphabet[][8] = {"a", "b", "c", "0", "1", "2"};
static const char spelled[][12] = {"a", "b", "c", "0", "1", "2", "\\u0061", "\\u0062", "\\u0031", "zz", ""};

struct text {
    char bytes[4096];
    size_t length;
};

static void put(struct text *text, const char *more) {
    size_t length = strlen(more);
    assert_true(text->length + length < sizeof text->bytes);
    memcpy(text->bytes + text->length, more, length);
    text->length += length;
}

static void put_random_value(struct text *text, uint64_t *random, int depth) {
    static const char *const scalars[] = {"1",
                                          "-2.5e3",
                                          "\"x\"",
                                          "\"\\n\xc3\xa9\"",
                                          "true",
                                          "false",
                                          "null",
                                          "0",
                                          "\"a string of more than sixteen bytes\""};
    size_t kind = random_below(random, depth < 5 ? 4 : 1);
    if (kind < 2 || text->length > sizeof text->bytes / 2) {
        put(text, scalars[random_below(random, sizeof scalars / sizeof *scalars)]);
        return;
    }
    size_t members = random_below(random, 5);
    put(text, kind == 2 ? "{" : "[");
    for (size_t i = 0; i < members; i++) {
        put(text, i ? "," : random_below(random, 3) ? "" : " ");
        if (kind == 2) {
            put(text, "\"");
            put(text, spelled[random_below(random, sizeof spelled / sizeof *spelled)]);
            put(text, random_below(random, 3) ? "\":" : "\" : ");
        }
        put_random_value(text, random, depth + 1);
        put(text, random_below(random, 4) ? "" : "\n");
    }
    put(text, kind == 2 ? "}" : "]");
}

static struct tumble_value simple_find(struct tumble_value value, const char *path, bool pointer) {
    struct tumble_value missing = {0};
    while (*path) {
        path += pointer;
        size_t length = strcspn(path, pointer ? "/" : ".");
        struct tumble_bytes segment = {path, length};
        struct tumble_value key;
        struct tumble_value member;
        struct tumble_value found = missing;
        struct tw_json_walk walk;
        if (value.type != TUMBLE_TYPE_OBJECT && !(value.type == TUMBLE_TYPE_ARRAY && pointer)) {
            return missing;
        }
        tw_json_walk_begin(&walk, &value);
        for (int i = 0; tw_json_walk_next(&walk, &key, &member); i++) {
            if (value.type == TUMBLE_TYPE_OBJECT ? tw_json_string_equal(&key, segment)
                                                 : length == 1 && path[0] - '0' == i) {
                found = member;
            }
        }
        value = found;
        path += length;
        path += !pointer && *path == '.';
    }
    return value;
}

static void check_against_simple(uint64_t *random, const struct text *text) {
    char paths[MAX_PATHS][32];
    const char *views[MAX_PATHS];
    struct tumble_value values[MAX_PATHS];
    size_t count = random_below(random, MAX_PATHS + 1);
    for (size_t i = 0; i < count; i++) {
        bool pointer = random_below(random, 2);
        size_t segments = 1 + random_below(random, 4);
        paths[i][0] = '\0';
        for (size_t j = 0; j < segments; j++) {
            strcat(paths[i], pointer ? "/" : j ? "." : "");
            strcat(paths[i], alphabet[random_below(random, sizeof alphabet / sizeof *alphabet)]);
        }
        views[i] = paths[i];
    }
    struct tumble_projection *projection = projection_of(views, count);
    char *copy = exact_copy(text->bytes, text->length);
    struct tumble_bytes json = {copy, text->length};
    struct tumble_value whole;
    struct tumble_error projected = {.byte = -1};
    struct tumble_error scanned = {.byte = -1};
    enum tumble_code code = tumble_project(projection, json, 1, values, NULL, &projected);
    assert_int_equal(code, tw_json_value(json, 1, &whole, NULL, &scanned));
    if (code != TUMBLE_OK) {
        assert_int_equal(projected.byte, scanned.byte);
        assert_string_equal(projected.text, scanned.text);
    }
    for (size_t i = 0; code == TUMBLE_OK && i < count; i++) {
        struct tumble_value want = simple_find(whole, paths[i], paths[i][0] == '/');
        if (want.type != values[i].type || want.text != values[i].text || want.length != values[i].length ||
            want.flags != values[i].flags) {
            fail_msg("%.*s: %s: got \"%.*s\", not \"%.*s\"", (int)json.length, json.data, paths[i],
                     (int)values[i].length, values[i].text ? values[i].text : "", (int)want.length,
                     want.text ? want.text : "");
        }
    }
    free(copy);
    tw_projection_destroy(projection);
}

static void random_documents_project_as_a_simple_walk_finds_them(void **state) {
    (void)state;
    uint64_t random = 7;
    for (int round = 0; round < 4000; round++) {
        struct text text = {.length = 0};
        put_random_value(&text, &random, 0);
        check_against_simple(&random, &text);
    }
}

static void damaged_documents_fail_as_the_scanner_fails(void **state) {
    (void)state;
    static const char bytes[] = "{}[]\",:0a\\ \n\x80\xc3";
    uint64_t random = 9;
    for (int round = 0; round < 4000; round++) {
        struct text text = {.length = 0};
        put_random_value(&text, &random, 0);
        text.bytes[random_below(&random, text.length)] = bytes[random_below(&random, sizeof bytes)];
        check_against_simple(&random, &text);
    }
}

static void every_prefix_of_a_document_asks_for_more(void **state) {
    (void)state;
    static const char *const paths[] = {"a", "a.b", "/a/0", "/b/1/c"};
    struct tumble_projection *projection = projection_of(paths, 4);
    uint64_t random = 11;
    for (int round = 0; round < 100; round++) {
        struct text text = {.length = 0};
        while (text.length == 0 || (text.bytes[0] != '{' && text.bytes[0] != '[')) {
            text.length = 0;
            put_random_value(&text, &random, 0);
        }
        for (size_t length = 0; length <= text.length; length++) {
            struct tumble_value values[4];
            size_t consumed = 0;
            char *copy = exact_copy(text.bytes, length);
            enum tumble_code code =
                tumble_project(projection, (struct tumble_bytes){copy, length}, 0, values, &consumed, NULL);
            assert_int_equal(code, length < text.length ? TUMBLE_EMORE : TUMBLE_OK);
            assert_int_equal(consumed, length < text.length ? 0 : length);
            free(copy);
        }
    }
    tw_projection_destroy(projection);
}

static void consumed_tells_where_the_value_ends(void **state) {
    (void)state;
    static const char *const paths[] = {"a"};
    struct tumble_projection *projection = projection_of(paths, 1);
    struct tumble_value values[1];
    struct tumble_error err;
    size_t consumed = 0;
    struct tumble_bytes two = tumble_bytes_of(" {\"a\":1}{\"a\":2}");
    assert_int_equal(tumble_project(projection, two, 1, values, &consumed, NULL), TUMBLE_OK);
    assert_int_equal(consumed, 8);
    assert_int_equal(tumble_project(projection, two, 1, values, NULL, &err), TUMBLE_EJSON);
    assert_int_equal(err.byte, 8);
    assert_int_equal(tumble_project(projection, tumble_bytes_of("12"), 0, values, &consumed, NULL), TUMBLE_EMORE);
    assert_int_equal(tumble_project(projection, tumble_bytes_of("12 "), 0, values, &consumed, NULL), TUMBLE_OK);
    assert_int_equal(consumed, 2);
    assert_int_equal(tumble_project(projection, tumble_bytes_of("12x"), 1, values, &consumed, &err), TUMBLE_EJSON);
    assert_int_equal(err.byte, 2);
    tw_projection_destroy(projection);
}

static void nesting_ends_at_the_limit_on_a_path_and_beside_it(void **state) {
    (void)state;
    char pointer[TW_LIMIT_PATH_BYTES + 1] = "";
    for (int i = 0; i < TW_LIMIT_PATH_BYTES / 2; i++) {
        strcat(pointer, "/0");
    }
    const char *const paths[] = {pointer, "/0/0"};
    struct tumble_projection *projection = projection_of(paths, 2);
    for (size_t depth = TW_LIMIT_JSON_DEPTH - 1; depth <= TW_LIMIT_JSON_DEPTH + 1; depth++) {
        char json[2 * TW_LIMIT_JSON_DEPTH + 2];
        struct tumble_value values[2];
        struct tumble_error err;
        memset(json, '[', depth);
        memset(json + depth, ']', depth);
        enum tumble_code code =
            tumble_project(projection, (struct tumble_bytes){json, 2 * depth}, 1, values, NULL, &err);
        assert_int_equal(code, depth <= TW_LIMIT_JSON_DEPTH ? TUMBLE_OK : TUMBLE_EDEPTH);
        if (code == TUMBLE_OK) {
            assert_int_equal(values[0].length, 2 * depth - TW_LIMIT_PATH_BYTES);
        } else {
            assert_int_equal(err.byte, TW_LIMIT_JSON_DEPTH);
        }
    }
    tw_projection_destroy(projection);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_wherever_their_path_leads),
        cmocka_unit_test(of_duplicate_keys_the_last_wins_with_all_below_it),
        cmocka_unit_test(duplicates_are_noticed_among_more_children_than_a_word_has_bits),
        cmocka_unit_test(malformed_paths_are_refused_by_name),
        cmocka_unit_test(only_different_paths_count_towards_the_limit),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(random_documents_project_as_a_simple_walk_finds_them),
        cmocka_unit_test(damaged_documents_fail_as_the_scanner_fails),
        cmocka_unit_test(every_prefix_of_a_document_asks_for_more),
        cmocka_unit_test(consumed_tells_where_the_value_ends),
        cmocka_unit_test(nesting_ends_at_the_limit_on_a_path_and_beside_it),
    };
    return cmocka_run_group_tests_name("projection", tests, NULL, NULL);
}
