#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/fail.h"

static void fail_fills_code_and_text_and_leaves_places_open(void **state) {
    (void)state;
    struct tumble_error err;
    assert_int_equal(tw_fail(&err, TUMBLE_EJSON, "expected %s, found %d", "a comma", 7), TUMBLE_EJSON);
    assert_int_equal(err.code, TUMBLE_EJSON);
    assert_int_equal(err.byte, -1);
    assert_int_equal(err.record, -1);
    assert_string_equal(err.text, "expected a comma, found 7");
    assert_int_equal(tw_fail_at(&err, TUMBLE_EUTF8, 42, "bad byte"), TUMBLE_EUTF8);
    assert_int_equal(err.byte, 42);
    assert_int_equal(tw_no_memory(&err), TUMBLE_ENOMEM);
    assert_string_equal(err.text, "out of memory");
}

static void fail_without_an_error_to_fill_only_returns_the_code(void **state) {
    (void)state;
    assert_int_equal(tw_fail(NULL, TUMBLE_EJSON, "x"), TUMBLE_EJSON);
    assert_int_equal(tw_fail_at(NULL, TUMBLE_EJSON, 1, "x"), TUMBLE_EJSON);
    tw_error_prefix(NULL, "x");
}

static void fail_cuts_long_text_inside_its_bounds(void **state) {
    (void)state;
    struct tumble_error err;
    char big[2000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    tw_fail(&err, TUMBLE_EJSON, "%s", big);
    assert_int_equal(strlen(err.text), TUMBLE_ERROR_TEXT - 1);
    tw_error_prefix(&err, "%s", big);
    assert_int_equal(strlen(err.text), TUMBLE_ERROR_TEXT - 1);
}

static void fail_text_can_always_be_printed(void **state) {
    (void)state;
    struct tumble_error err;
    tw_fail(&err, TUMBLE_EJSON, "a%sb%sc%s", "\x1b[31m\n", "\xc3\xa9", "\xff\xc3");
    assert_string_equal(err.text, "a?[31m?b\xc3\xa9"
                                  "c??");
    for (size_t length = TUMBLE_ERROR_TEXT - 8; length < TUMBLE_ERROR_TEXT + 4; length++) {
        char text[TUMBLE_ERROR_TEXT + 8]; /* a character of two bytes across the cut */
        memset(text, 'x', length);
        strcpy(text + length, "\xc3\xa9");
        tw_fail(&err, TUMBLE_EJSON, "%s", text);
        assert_int_not_equal((unsigned char)err.text[strlen(err.text) - 1], 0xc3);
    }
}

static void prefix_stands_in_front_and_keeps_the_rest(void **state) {
    (void)state;
    struct tumble_error err;
    tw_fail_at(&err, TUMBLE_EJSON, 9, "expected a colon");
    tw_error_prefix(&err, "%s:%d", "in.json", 3);
    assert_string_equal(err.text, "in.json:3: expected a colon");
    assert_int_equal(err.byte, 9);
    assert_int_equal(err.code, TUMBLE_EJSON);
}

static enum tumble_code tries(enum tumble_code code, int *reached) {
    TW_TRY(code);
    *reached = 1;
    return TUMBLE_OK;
}

static void try_returns_the_first_failure(void **state) {
    (void)state;
    int reached = 0;
    assert_int_equal(tries(TUMBLE_EFULL, &reached), TUMBLE_EFULL);
    assert_int_equal(reached, 0);
    assert_int_equal(tries(TUMBLE_OK, &reached), TUMBLE_OK);
    assert_int_equal(reached, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_code_and_text_and_leaves_places_open),
        cmocka_unit_test(fail_without_an_error_to_fill_only_returns_the_code),
        cmocka_unit_test(fail_cuts_long_text_inside_its_bounds),
        cmocka_unit_test(fail_text_can_always_be_printed),
        cmocka_unit_test(prefix_stands_in_front_and_keeps_the_rest),
        cmocka_unit_test(try_returns_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
