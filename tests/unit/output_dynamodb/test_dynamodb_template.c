#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_template.h"
#include "output_dynamodb/fake_columns.h"

static struct tumble_spec *spec;
static struct tumble_error err;

static int set_up(void **state) {
    (void)state;
    spec = make_spec(0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tumble_spec_destroy(spec);
    return 0;
}

static struct tw_template parsed(const char *text) {
    struct tw_template template;
    if (tw_template_parse(&template, tumble_bytes_of(text), spec, "pk", &err) != TUMBLE_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return template;
}

static const char *filled(const char *text, const char *type, const char *country) {
    static char result[400];
    struct tw_template template = parsed(text);
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    struct tw_buf out;
    memset(row.key, 0xa5, sizeof row.key);
    set_values(values, type, country, "1");
    tw_buf_init(&out, tw_alloc_default(), sizeof result - 1);
    assert_int_equal(tw_template_fill(&template, &row, tumble_bytes_of("clicks/1"), 0xabc, &out), TUMBLE_OK);
    memcpy(result, out.data, out.length);
    result[out.length] = '\0';
    tw_buf_clean_up(&out);
    return result;
}

static void columns_stand_as_they_are(void **state) {
    (void)state;
    assert_string_equal(filled("{type}", "\"buy\"", "null"), "buy");
    assert_string_equal(filled("{window_start}/{shard_id}/{fragment}", "1", "1"),
                        "2024-01-01T00:00:00Z/shardId-000000000000/4951");
    assert_string_equal(filled("ev#{type}#{window_start}", "\"b\\u00fcy\"", "1"), "ev#b\xc3\xbcy#2024-01-01T00:00:00Z");
    assert_string_equal(filled("{key}", "1", "1"), "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
    assert_string_equal(filled("{source}/{spec}", "1", "1"), "clicks%2F1/0000000000000abc");
    assert_string_equal(filled("{window_start}-{type}", "\"x-y\"", "1"), "2024-01-01T00:00:00Z-x-y");
}

/* Every pair of values of the two columns gives another text. */
static void different_values_give_different_texts(void **state) {
    (void)state;
    static const char *const values[] = {"\"\"",    "null",          "\"null\"", "\"=null\"", "1",       "\"1\"",
                                         "\"=1\"",  "true",          "\"a/b\"",  "\"a\"",     "\"b\"",   "\"%2F\"",
                                         "\"/\"",   "\"a/\"",        "\"/b\"",   "\"%\"",     "\"%25\"", "\"=\"",
                                         "\"%3D\"", "\"=\\\"\\\"\"", "\"a%2Fb\""};
    enum { COUNT = sizeof values / sizeof *values };
    static char texts[COUNT * COUNT][100];
    size_t n = 0;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            const char *text = filled("{type}/{country}", values[i], values[j]);
            assert_true(strlen(text) < sizeof texts[0]);
            strcpy(texts[n], text);
            for (size_t k = 0; k < n; k++) {
                assert_string_not_equal(texts[k], texts[n]);
            }
            n++;
        }
    }
}

static void what_is_no_template_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"", "no column in {}"},
                 {"plain", "no column in {}"},
                 {"{typ}", "{typ} is no column"},
                 {"{n}", "column n is a result"},
                 {"{records}", "column records is a result"},
                 {"{type", "a { without its }"},
                 {"type}", "a } without its {"},
                 {"{type}{country}", "put a character between"},
                 {"{type}x{country}", "no letter, digit"},
                 {"{type}%{country}", "no letter, digit"},
                 {"{type}\xc3\xbc{country}", "no letter, digit"},
                 {"{type}={country}", "no letter, digit"}};
    struct tw_template template;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(tw_template_parse(&template, tumble_bytes_of(cases[i].text), spec, "pk", &err), TUMBLE_EUSAGE);
        if (!strstr(err.text, cases[i].says) || strncmp(err.text, "pk: ", 4) != 0) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
    }
}

static enum tumble_code tells(const char *a, const char *b, bool merged) {
    struct tw_template one = parsed(a), two = b ? parsed(b) : one;
    const struct tw_template *templates[] = {&one, &two};
    return tw_template_tells(templates, b ? 2 : 1, spec, merged, "ADVICE", &err);
}

static void templates_that_do_not_tell_rows_apart_are_refused(void **state) {
    (void)state;
    assert_int_equal(tells("{type}|{country}", "{window_start}/{shard_id}/{fragment}", false), TUMBLE_OK);
    assert_int_equal(tells("{key}", NULL, false), TUMBLE_OK);
    assert_int_equal(tells("{type}", "{key}", false), TUMBLE_OK);
    assert_int_equal(tells("{type}", "{window_start}/{shard_id}/{fragment}", false), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "the key attributes do not tell rows apart: country is missing, and a row would "
                                  "overwrite another: ADVICE");
    assert_int_equal(tells("{type}|{country}", "{shard_id}/{fragment}", false), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "window_start is missing"));
    assert_int_equal(tells("{type}|{country}", "{window_start}/{fragment}", false), TUMBLE_EUSAGE);
    assert_int_equal(tells("{type}|{country}", "{window_start}/{shard_id}", false), TUMBLE_EUSAGE);
    assert_int_equal(tells("{type}|{country}", "{window_start}", true), TUMBLE_OK);
    assert_int_equal(tells("{type}|{country}", "{window_start}/{shard_id}", true), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "all shards share an item, so shard_id"));
    assert_int_equal(tells("{type}|{country}", "{window_start}/{fragment}", true), TUMBLE_EUSAGE);
    assert_int_equal(tells("{key}", NULL, true), TUMBLE_EUSAGE);
    assert_int_equal(tells("{type}", "{window_start}", true), TUMBLE_EUSAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns_stand_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(different_values_give_different_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_template_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(templates_that_do_not_tell_rows_apart_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
