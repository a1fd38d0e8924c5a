#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "emulator/emulator.h"

static void synthetic_sequences_have_56_digits_and_no_leading_zero(void **state) {
    (void)state;
    static const uint64_t positions[] = {0, 1, 9, 10, 123456789, UINT64_MAX};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        char text[TUMBLE_SEQUENCE_TEXT];
        tumble_synthetic_sequence(positions[i], text);
        assert_int_equal(strlen(text), 56);
        assert_int_equal(strspn(text, "0123456789"), 56);
        assert_int_equal(text[0], '4');
    }
    char text[TUMBLE_SEQUENCE_TEXT];
    tumble_synthetic_sequence(UINT64_MAX, text);
    assert_string_equal(text + 36, "18446744073709551615");
}

static void synthetic_sequences_ascend_and_next_agrees_with_making_anew(void **state) {
    (void)state;
    static const uint64_t starts[] = {0, 95, 99990, UINT64_C(9999999999999990), UINT64_MAX - 20};
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        char running[TUMBLE_SEQUENCE_TEXT];
        tumble_synthetic_sequence(starts[s], running);
        for (uint64_t i = 1; i <= 20; i++) {
            char before[TUMBLE_SEQUENCE_TEXT];
            char anew[TUMBLE_SEQUENCE_TEXT];
            memcpy(before, running, sizeof before);
            tumble_synthetic_sequence_next(running);
            tumble_synthetic_sequence(starts[s] + i, anew);
            assert_string_equal(running, anew);
            assert_true(strcmp(before, running) < 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synthetic_sequences_have_56_digits_and_no_leading_zero),
        cmocka_unit_test(synthetic_sequences_ascend_and_next_agrees_with_making_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
