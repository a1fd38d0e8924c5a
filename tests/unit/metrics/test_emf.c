#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/metrics/emf.h"
#include "engine/base/buf.h"
#include "engine/codec/json.h"

static struct tw_buf out;
static struct tumble_error err;

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

static const struct tw_emf_text dimensions[] = {{"FunctionName", "clicks"}, {"Stage", ""}};
static const struct tw_emf_metric metrics[] = {
    {"RecordsApplied", "Count", 100}, {"BatchDuration", "Milliseconds", 1.25}, {"Ratio", NULL, 0.5}};
static const struct tw_emf_text properties[] = {{"requestId", "r\"1"}, {"nothing", NULL}};

static struct tw_emf whole_line(void) {
    return (struct tw_emf){"tumble", 1574109732004, dimensions, 2, metrics, 3, properties, 2};
}

/* lambda-semantics point 54 */
static void point_54_names_are_root_members_of_the_one_object(void **state) {
    (void)state;
    struct tw_emf line = whole_line();
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_OK);
    assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
    assert_string_equal(out.data,
                        "{\"_aws\":{\"Timestamp\":1574109732004,\"CloudWatchMetrics\":[{\"Namespace\":\"tumble\","
                        "\"Dimensions\":[[\"FunctionName\"]],\"Metrics\":[{\"Name\":\"RecordsApplied\",\"Unit\":"
                        "\"Count\"},{\"Name\":\"BatchDuration\",\"Unit\":\"Milliseconds\"},{\"Name\":\"Ratio\"}]}]},"
                        "\"FunctionName\":\"clicks\",\"requestId\":\"r\\\"1\",\"RecordsApplied\":100,"
                        "\"BatchDuration\":1.250,\"Ratio\":0.500}\n");
    struct tumble_value object;
    struct tumble_bytes text = {out.data, out.length - 1};
    assert_int_equal(tw_json_document(text, TUMBLE_TYPE_OBJECT, &object, &err), TUMBLE_OK);
}

/* lambda-semantics point 54 */
static void point_54_more_than_100_metrics_or_30_dimensions_are_refused(void **state) {
    (void)state;
    static struct tw_emf_metric many[101];
    static struct tw_emf_text sets[31];
    static char names[132][8];
    for (size_t i = 0; i < 132; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
    }
    for (size_t i = 0; i < 101; i++) {
        many[i] = (struct tw_emf_metric){names[i], "Count", (double)i};
    }
    for (size_t i = 0; i < 31; i++) {
        sets[i] = (struct tw_emf_text){names[101 + i], "x"};
    }
    struct tw_emf line = {"tumble", 1, sets, 30, many, 100, NULL, 0};
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_OK);
    size_t before = out.length;
    line.metric_count = 101;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    line.metric_count = 100;
    line.dimension_count = 31;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    line.dimension_count = 30;
    line.metric_count = 0;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    assert_int_equal(out.length, before);
}

static void a_name_used_twice_is_refused(void **state) {
    (void)state;
    static const struct tw_emf_metric twice[] = {{"a", "Count", 1}, {"a", "Count", 2}};
    static const struct tw_emf_metric as_dimension[] = {{"FunctionName", "Count", 1}};
    static const struct tw_emf_metric reserved[] = {{"_aws", "Count", 1}};
    struct tw_emf line = whole_line();
    line.metrics = twice;
    line.metric_count = 2;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    line.metric_count = 1;
    line.metrics = as_dimension;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    line.metrics = reserved;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    assert_int_equal(out.length, 0);
}

static void what_is_no_number_is_refused(void **state) {
    (void)state;
    struct tw_emf_metric metric = {"a", "Count", NAN};
    struct tw_emf line = {"tumble", 1, NULL, 0, &metric, 1, NULL, 0};
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    metric.value = INFINITY;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
    metric.value = 1e300;
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_OK);
}

static void namespaces_that_cloudwatch_refuses_are_refused(void **state) {
    (void)state;
    static char longest[258];
    memset(longest, 'n', 256);
    assert_true(tw_emf_namespace_ok("my-team/orders_1.2#:"));
    assert_true(tw_emf_namespace_ok(longest));
    longest[256] = 'n';
    assert_false(tw_emf_namespace_ok(longest));
    assert_false(tw_emf_namespace_ok(""));
    assert_false(tw_emf_namespace_ok(NULL));
    assert_false(tw_emf_namespace_ok("AWS/Lambda"));
    assert_false(tw_emf_namespace_ok("a b"));
    assert_false(tw_emf_namespace_ok("a\nb"));
}

static void a_dimension_of_more_than_1024_bytes_is_refused(void **state) {
    (void)state;
    static char value[1026];
    memset(value, 'v', 1024);
    struct tw_emf_text dimension = {"d", value};
    struct tw_emf line = {"tumble", 1, &dimension, 1, metrics, 1, NULL, 0};
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_OK);
    value[1024] = 'v';
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_EINVAL);
}

static void no_memory_leaves_nothing_behind(void **state) {
    (void)state;
    struct tw_emf line = whole_line();
    tw_buf_clean_up(&out);
    tw_buf_init(&out, tw_alloc_default(), 64);
    assert_int_equal(tw_buf_append_text(&out, "before"), TUMBLE_OK);
    assert_int_equal(tw_emf_append(&line, &out, &err), TUMBLE_ELIMIT);
    assert_int_equal(out.length, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(point_54_names_are_root_members_of_the_one_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(point_54_more_than_100_metrics_or_30_dimensions_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_used_twice_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_number_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(namespaces_that_cloudwatch_refuses_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dimension_of_more_than_1024_bytes_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_leaves_nothing_behind, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
