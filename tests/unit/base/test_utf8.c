#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/utf8.h"

static bool valid(const char *text) { return tw_utf8_valid(tumble_bytes_of(text)); }

static void utf8_takes_every_length_at_both_ends_of_its_range(void **state) {
    (void)state;
    assert_true(valid(""));
    assert_true(valid("\x01\x7f"));
    assert_true(valid("\xc2\x80\xdf\xbf"));
    assert_true(valid("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"));
    assert_true(valid("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    struct tumble_bytes zero = {"\0", 1};
    assert_true(tw_utf8_valid(zero));
}

static void utf8_refuses_overlong_surrogate_too_great_cut_and_stray_bytes(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc2",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc2\x41",
        "\xe2\x82\x41",
        "\xf0\x9f\x98\x41",
        "ok\xfe",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(valid(bad[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_takes_every_length_at_both_ends_of_its_range),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_too_great_cut_and_stray_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
