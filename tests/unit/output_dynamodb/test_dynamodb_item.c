#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_item.h"

static struct tw_buf out;

static int set_up(void **state) {
    (void)state;
    tw_buf_init(&out, tw_alloc_default(), 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_buf_clean_up(&out);
    return 0;
}

static void values_become_attribute_values(void **state) {
    (void)state;
    static const struct {
        const char *json, *item;
        size_t size;
    } cases[] = {
        {"null", "{\"NULL\":true}", 1},
        {"true", "{\"BOOL\":true}", 1},
        {"false", "{\"BOOL\":false}", 1},
        {"\"\"", "{\"S\":\"\"}", 0},
        {"\"a\\u00fc\\n\"", "{\"S\":\"a\\u00fc\\n\"}", 4},
        {"19.99", "{\"N\":\"19.99\"}", 4},
        {"-5", "{\"N\":\"-5\"}", 3},
        {"[]", "{\"L\":[]}", 3},
        {"{}", "{\"M\":{}}", 3},
        {"[1,\"ab\",null]", "{\"L\":[{\"N\":\"1\"},{\"S\":\"ab\"},{\"NULL\":true}]}", 11},
        {"[[],[1]]", "{\"L\":[{\"L\":[]},{\"L\":[{\"N\":\"1\"}]}]}", 14},
        {"{\"a\":{\"b\":[true]},\"c\":0}",
         "{\"M\":{\"a\":{\"M\":{\"b\":{\"L\":[{\"BOOL\":true}]}}},\"c\":{\"N\":\"0\"}}}", 19},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = 0;
        const char *why = NULL;
        tw_buf_clear(&out);
        assert_int_equal(tw_dynamodb_value(&out, tumble_bytes_of(cases[i].json), &size, &why), TUMBLE_OK);
        assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
        assert_string_equal(out.data, cases[i].item);
        assert_int_equal(size, cases[i].size);
    }
}

static void numbers_that_dynamodb_holds_are_told_from_others(void **state) {
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "0.000",
                                       "1",
                                       "12345678901234567890123456789012345678",
                                       "-0.12345678901234567890123456789012345678",
                                       "1e125",
                                       "9.99e125",
                                       "1E-130",
                                       "100000000000000000000000000000000000000000000000",
                                       "0.00001e130",
                                       "1e+10",
                                       "0e999999999999999999999"};
    static const char *const bad[] = {"123456789012345678901234567890123456789",
                                      "1.23456789012345678901234567890123456789",
                                      "1e126",
                                      "-1e+300",
                                      "9e-131",
                                      "0.1e-130",
                                      "10e125",
                                      "1e99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(tw_dynamodb_number(tumble_bytes_of(good[i]), NULL));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(tw_dynamodb_number(tumble_bytes_of(bad[i]), NULL));
    }
}

static void what_dynamodb_cannot_hold_says_why(void **state) {
    (void)state;
    char deep[200] = "";
    size_t size = 0;
    const char *why = NULL;
    assert_int_equal(tw_dynamodb_value(&out, tumble_bytes_of("{\"a\":[1e300]}"), &size, &why), TUMBLE_EREJECTED);
    assert_non_null(strstr(why, "38 digits"));
    for (int depth = 31; depth <= 33; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        deep[2 * depth] = '\0';
        assert_int_equal(tw_dynamodb_value(&out, tumble_bytes_of(deep), &size, &why),
                         depth <= TW_DYNAMODB_NESTING ? TUMBLE_OK : TUMBLE_EREJECTED);
    }
    assert_non_null(strstr(why, "32 deep"));
    assert_int_equal(tw_dynamodb_value(&out, tumble_bytes_of("{"), &size, &why), TUMBLE_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_become_attribute_values, set_up, tear_down),
        cmocka_unit_test(numbers_that_dynamodb_holds_are_told_from_others),
        cmocka_unit_test_setup_teardown(what_dynamodb_cannot_hold_says_why, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
