#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/metrics/prometheus_text.h"
#include "counting_alloc.h"

static char *page_of(const struct tw_prometheus_text *text) {
    struct tumble_bytes page;
    struct tumble_error err;
    assert_int_equal(tw_prometheus_text_view(text, &page, &err), TUMBLE_OK);
    char *copy = calloc(1, page.length + 1);
    memcpy(copy, page.data, page.length);
    return copy;
}

static void a_page_is_as_the_format_has_it(void **state) {
    (void)state;
    struct tw_prometheus_text *text = tw_prometheus_text_new((struct tumble_alloc){0});
    const struct tw_prometheus_label labels[] = {{"shard", "shardId-000000000000"}, {"kind", "rows"}};
    tw_prometheus_metric(text, "a_total", TW_PROMETHEUS_COUNTER, "All of a");
    tw_prometheus_sample(text, NULL, 0, 3);
    tw_prometheus_metric(text, "b", TW_PROMETHEUS_GAUGE, "B");
    tw_prometheus_sample(text, labels, 2, 0.1);
    char *page = page_of(text);
    assert_string_equal(page, "# HELP a_total All of a\n# TYPE a_total counter\na_total 3\n"
                              "# HELP b B\n# TYPE b gauge\nb{shard=\"shardId-000000000000\",kind=\"rows\"} 0.1\n");
    free(page);
    tw_prometheus_text_clear(text);
    page = page_of(text);
    assert_string_equal(page, "");
    free(page);
    tw_prometheus_text_destroy(text);
}

static void hostile_labels_are_escaped_and_stay_utf8(void **state) {
    (void)state;
    struct tw_prometheus_text *text = tw_prometheus_text_new((struct tumble_alloc){0});
    const struct tw_prometheus_label label = {"shard", "a\"b\\c\nd\xff\xc3\xa4\xe2\x82"};
    tw_prometheus_metric(text, "m", TW_PROMETHEUS_GAUGE, "back\\slash\nline \"quote\"");
    tw_prometheus_sample(text, &label, 1, 1);
    char *page = page_of(text);
    assert_string_equal(page, "# HELP m back\\\\slash\\nline \"quote\"\n# TYPE m gauge\n"
                              "m{shard=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\"} 1\n");
    free(page);
    tw_prometheus_text_destroy(text);
}

static void buckets_are_cumulative_and_end_with_infinity(void **state) {
    (void)state;
    struct tw_prometheus_text *text = tw_prometheus_text_new((struct tumble_alloc){0});
    const double bounds[] = {0.001, 0.25, 5};
    const uint64_t counts[] = {1, 0, 2};
    tw_prometheus_metric(text, "d_seconds", TW_PROMETHEUS_HISTOGRAM, "D");
    tw_prometheus_buckets(text, bounds, counts, 3, 4, 12.5);
    char *page = page_of(text);
    assert_string_equal(page, "# HELP d_seconds D\n# TYPE d_seconds histogram\nd_seconds_bucket{le=\"0.001\"} 1\n"
                              "d_seconds_bucket{le=\"0.25\"} 1\nd_seconds_bucket{le=\"5\"} 3\n"
                              "d_seconds_bucket{le=\"+Inf\"} 4\nd_seconds_sum 12.5\nd_seconds_count 4\n");
    free(page);
    tw_prometheus_text_destroy(text);
}

static void numbers_come_back_as_they_were(void **state) {
    (void)state;
    static const double values[] = {0, -1, 0.1, 1e-9, 1.0 / 3, 1e300, 123456789012345680.0, 9007199254740991.0, 2.5e-7};
    struct tw_prometheus_text *text = tw_prometheus_text_new((struct tumble_alloc){0});
    tw_prometheus_metric(text, "m", TW_PROMETHEUS_GAUGE, "M");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        tw_prometheus_sample(text, NULL, 0, values[i]);
    }
    char *page = page_of(text);
    const char *at = strstr(page, "\nm ");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_non_null(at);
        double back = strtod(at + 3, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
        at = strstr(at + 1, "\nm ");
    }
    free(page);
    tw_prometheus_text_destroy(text);
}

static void running_out_of_memory_is_an_error_of_the_page(void **state) {
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_prometheus_text *text = tw_prometheus_text_new(counting_alloc_of(&count));
        struct tumble_bytes page;
        struct tumble_error err;
        if (text) {
            for (int i = 0; i < 200; i++) {
                tw_prometheus_metric(text, "m", TW_PROMETHEUS_GAUGE, "A metric among many that fill some memory");
                tw_prometheus_sample(text, NULL, 0, i);
            }
            enum tumble_code code = tw_prometheus_text_view(text, &page, &err);
            assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        }
        tw_prometheus_text_destroy(text);
        assert_int_equal(count.live, 0);
        if (!count.failed) {
            assert_true(fail_at > 3);
            return;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_as_the_format_has_it),
        cmocka_unit_test(hostile_labels_are_escaped_and_stay_utf8),
        cmocka_unit_test(buckets_are_cumulative_and_end_with_infinity),
        cmocka_unit_test(numbers_come_back_as_they_were),
        cmocka_unit_test(running_out_of_memory_is_an_error_of_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
