#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <tumble/error.h>

static const enum tumble_code codes[] = {
#define XX(name, value, retry, text) TUMBLE_##name,
    TUMBLE_ERROR_MAP(XX)
#undef XX
};
enum { CODES = sizeof codes / sizeof *codes };

static void every_code_has_a_name_and_a_text_of_its_own(void **state) {
    (void)state;
    for (int i = 0; i < CODES; i++) {
        assert_string_not_equal(tumble_code_name(codes[i]), "UNKNOWN");
        assert_true(strlen(tumble_code_text(codes[i])) > 0);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
            assert_string_not_equal(tumble_code_name(codes[i]), tumble_code_name(codes[j]));
            assert_string_not_equal(tumble_code_text(codes[i]), tumble_code_text(codes[j]));
        }
    }
}

static void values_are_pinned_because_they_cross_the_plug_in_abi(void **state) {
    (void)state;
    assert_int_equal(TUMBLE_OK, 0);
    assert_int_equal(TUMBLE_ENOMEM, 101);
    assert_int_equal(TUMBLE_EJSON, 202);
    assert_int_equal(TUMBLE_ENUMBER, 205);
    assert_int_equal(TUMBLE_ESPEC, 301);
    assert_int_equal(TUMBLE_ESEQUENCE, 402);
    assert_int_equal(TUMBLE_ECORRUPT, 504);
    assert_int_equal(TUMBLE_ERECORD, 601);
    assert_int_equal(TUMBLE_EOUTPUT, 701);
    assert_int_equal(TUMBLE_EINPUT, 801);
    assert_int_equal(TUMBLE_EUSAGE, 901);
    assert_int_equal(sizeof(enum tumble_code), 4);
}

static void an_unknown_code_has_a_name_and_is_not_retried(void **state) {
    (void)state;
    assert_string_equal(tumble_code_name((enum tumble_code)12345), "UNKNOWN");
    assert_string_equal(tumble_code_text((enum tumble_code)12345), "unknown error");
    assert_int_equal(tumble_code_retryable((enum tumble_code)12345), 0);
}

static void only_passing_troubles_are_retryable(void **state) {
    (void)state;
    assert_int_equal(tumble_code_retryable(TUMBLE_OK), 0);
    assert_int_equal(tumble_code_retryable(TUMBLE_ENOMEM), 1);
    assert_int_equal(tumble_code_retryable(TUMBLE_EBUSY), 1);
    assert_int_equal(tumble_code_retryable(TUMBLE_EFULL), 1);
    assert_int_equal(tumble_code_retryable(TUMBLE_EOUTPUT), 1);
    assert_int_equal(tumble_code_retryable(TUMBLE_EJSON), 0);
    assert_int_equal(tumble_code_retryable(TUMBLE_ECORRUPT), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_a_text_of_its_own),
        cmocka_unit_test(values_are_pinned_because_they_cross_the_plug_in_abi),
        cmocka_unit_test(an_unknown_code_has_a_name_and_is_not_retried),
        cmocka_unit_test(only_passing_troubles_are_retryable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
