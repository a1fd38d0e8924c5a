#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/metrics/report/report_json.h"
#include "counting_alloc.h"
#include "engine/codec/json.h"

static char *text_of(struct tw_report_json *json) {
    struct tumble_bytes view;
    struct tumble_error err;
    assert_int_equal(tw_report_json_view(json, &view, &err), TUMBLE_OK);
    char *copy = calloc(1, view.length + 1);
    memcpy(copy, view.data, view.length);
    return copy;
}

static void members_are_parted_by_commas_at_every_depth(void **state) {
    (void)state;
    struct tw_report_json *json = tw_report_json_new((struct tumble_alloc){0});
    tw_report_object(json, NULL);
    tw_report_count(json, "a", UINT64_MAX);
    tw_report_array(json, "b");
    tw_report_end(json);
    tw_report_array(json, "c");
    tw_report_integer(json, NULL, 1);
    tw_report_integer(json, NULL, -1);
    tw_report_object(json, NULL);
    tw_report_boolean(json, "t", 1);
    tw_report_text(json, "n", NULL);
    tw_report_end(json);
    tw_report_number(json, NULL, 0.5);
    tw_report_number(json, NULL, NAN);
    tw_report_end(json);
    tw_report_raw(json, "r", (struct tumble_bytes){"{\n \"x\": 1\n}", 11});
    tw_report_end(json);
    char *text = text_of(json);
    assert_string_equal(text, "{\"a\":18446744073709551615,\"b\":[],\"c\":[1,null,{\"t\":true,\"n\":null},0.5,null],"
                              "\"r\":{  \"x\": 1 }}");
    free(text);
    tw_report_json_destroy(json);
}

/* What ends a script, begins a comment in one, or is no text at all. */
static void hostile_names_cannot_leave_the_script(void **state) {
    (void)state;
    static const char *const hostile[] = {"</script><script>alert(1)</script>",
                                          "<!--",
                                          "-->",
                                          "]]>",
                                          "\xe2\x80\xa8 \xe2\x80\xa9",
                                          "\"\\\n\t\x01\x7f",
                                          "\xff\xfe\xc0\xaf",
                                          "\xed\xa0\x80",
                                          "&lt;",
                                          "\xf0\x9f\x98\x80",
                                          "{{data}}"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct tw_report_json *json = tw_report_json_new((struct tumble_alloc){0});
        tw_report_object(json, NULL);
        tw_report_text(json, hostile[i], hostile[i]);
        tw_report_end(json);
        char *text = text_of(json);
        struct tumble_value value;
        struct tumble_error err;
        assert_int_equal(tw_json_document(tumble_bytes_of(text), TUMBLE_TYPE_OBJECT, &value, &err), TUMBLE_OK);
        assert_null(strpbrk(text, "<>&\n\t"));
        assert_null(strstr(text, "\xe2\x80\xa8"));
        assert_null(strstr(text, "\xe2\x80\xa9"));
        free(text);
        tw_report_json_destroy(json);
    }
}

static void json_that_is_there_already_is_made_safe_too(void **state) {
    (void)state;
    struct tw_report_json *json = tw_report_json_new((struct tumble_alloc){0});
    tw_report_raw(json, NULL, tumble_bytes_of("{\"k\\\"\": \"</script>\xe2\x80\xa8\\u003c\"}"));
    char *text = text_of(json);
    assert_string_equal(text, "{\"k\\\"\": \"\\u003c/script\\u003e\\u2028\\u003c\"}");
    free(text);
    tw_report_json_destroy(json);
}

static void running_out_of_memory_shows_in_view(void **state) {
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_report_json *json = tw_report_json_new(counting_alloc_of(&count));
        if (json) {
            struct tumble_bytes view;
            struct tumble_error err;
            tw_report_array(json, NULL);
            for (uint64_t i = 0; i < 3000; i++) {
                tw_report_count(json, NULL, i);
            }
            tw_report_end(json);
            assert_int_equal(tw_report_json_view(json, &view, &err), count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        }
        tw_report_json_destroy(json);
        assert_int_equal(count.live, 0);
        if (!count.failed) {
            assert_true(fail_at > 3);
            return;
        }
    }
}

static void nesting_has_an_end(void **state) {
    (void)state;
    struct tw_report_json *json = tw_report_json_new((struct tumble_alloc){0});
    struct tumble_bytes view;
    struct tumble_error err;
    for (int i = 0; i <= TW_REPORT_DEPTH; i++) {
        tw_report_array(json, NULL);
    }
    assert_int_equal(tw_report_json_view(json, &view, &err), TUMBLE_ELIMIT);
    tw_report_json_destroy(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_parted_by_commas_at_every_depth),
        cmocka_unit_test(hostile_names_cannot_leave_the_script),
        cmocka_unit_test(json_that_is_there_already_is_made_safe_too),
        cmocka_unit_test(running_out_of_memory_shows_in_view),
        cmocka_unit_test(nesting_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
