#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/number.h"

/* A decimal's nearest double, against the C library's reading of the same text. */
static void check(const char *text) {
    struct tw_decimal number;
    assert_int_equal(tw_decimal_parse(&number, text, strlen(text), NULL), TUMBLE_OK);
    double got = tw_decimal_double(&number), wanted = strtod(text, NULL);
    if (memcmp(&got, &wanted, sizeof got) != 0) {
        fail_msg("%s: %.17g, wanted %.17g", text, got, wanted);
    }
}

static void doubles_are_the_nearest(void **state) {
    (void)state;
    static const char *const texts[] = {"0",
                                        "1",
                                        "-1",
                                        "0.1",
                                        "19.99",
                                        "9007199254740993",
                                        "-9007199254740993",
                                        "1e22",
                                        "1e23",
                                        "123456789012345678901234567890.1234",
                                        "1.7976931348623157e308",
                                        "9e308",
                                        "4.9e-324",
                                        "2.2250738585072011e-308",
                                        "1e-324",
                                        "5e-324",
                                        "0.3e-22"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check(texts[i]);
    }
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        snprintf(text, sizeof text, "%s%llu.%llue%d", seed & 1 ? "-" : "",
                 (unsigned long long)(seed >> 20 & 0xffffffffff), (unsigned long long)(seed % 1000003),
                 (int)(seed >> 40 & 255) - 128);
        check(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(doubles_are_the_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
