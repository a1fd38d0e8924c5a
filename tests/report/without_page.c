/* A tumble that was built without uPlot: its page is empty, and whoever asks for a report is told what to do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/metrics/report/report_page.h"

extern const unsigned char tw_report_page[];
extern const size_t tw_report_page_length;
const unsigned char tw_report_page[] = {0};
const size_t tw_report_page_length = 0;

static void a_report_is_refused_with_what_to_do(void **state) {
    (void)state;
    struct tumble_error err;
    assert_false(tw_report_page_is_there());
    assert_int_equal(tw_report_page_probe("never.html", &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "built without its report page"));
    assert_non_null(strstr(err.text, "-DTUMBLE_REPORT_DIR="));
    assert_non_null(strstr(err.text, "docs/report.md)"));
    assert_int_not_equal(access("never.html", F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_report_is_refused_with_what_to_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
