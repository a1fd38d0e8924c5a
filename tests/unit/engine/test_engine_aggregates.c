#include "engine_fixture.h"

/* Aggregates with a second field, several columns, and values that only they refuse, all the way to the row. */

#define WITH(aggregates) "{\"window\":{\"seconds\":60},\"aggregates\":[" aggregates "]}"

static const char *rows_of(const char *json, const struct made_records *made) {
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(json);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_apply_result result;
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    struct tumble_shard *shard = shard_of(engine, "s");
    ok(tumble_shard_apply(shard, 0, made->records, made->count, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], made->count);
    ok(tumble_shard_close(shard, 0, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    assert_int_equal(kept[0].count, 1);
    const char *behind = strstr(kept[0].text, "\"last_sequence\":\"");
    assert_non_null(behind);
    return strchr(behind, ',') + 1;
}

static void arg_min_and_arg_max_give_the_field_of_the_extreme_record(void **state) {
    (void)state;
    struct made_records made = {0};
    make_record(&made, 1, "{\"id\":\"a\",\"v\":5}");
    make_record(&made, 2, "{\"id\":\"b\",\"v\":-1.5}");
    make_record(&made, 3, "{\"id\":7,\"v\":5.0}");
    make_record(&made, 4, "{\"id\":null,\"v\":99}");
    make_record(&made, 5, "{\"id\":\"c\"}");
    assert_string_equal(rows_of(WITH("{\"name\":\"lo\",\"function\":\"arg_min\",\"field\":\"id\",\"by\":\"v\"},"
                                     "{\"name\":\"hi\",\"function\":\"arg_max\",\"field\":\"id\",\"by\":\"v\"}"),
                                &made),
                        "\"lo\":\"b\",\"hi\":\"a\",\"records\":5}\n");
}

static void collect_has_a_column_for_its_total(void **state) {
    (void)state;
    struct made_records made = {0};
    make_record(&made, 1, "{\"v\":\"x\"}");
    make_record(&made, 2, "{\"v\":true}");
    make_record(&made, 3, "{\"v\":2.50}");
    make_record(&made, 4, "{}");
    assert_string_equal(rows_of(WITH("{\"name\":\"c\",\"function\":\"collect\",\"field\":\"v\",\"cap\":2}"), &made),
                        "\"c\":[\"x\",true],\"c_total\":3,\"records\":4}\n");
}

static void top_counts_or_adds_up_and_says_whether_it_is_exact(void **state) {
    (void)state;
    struct made_records made = {0};
    make_record(&made, 1, "{\"p\":\"x\",\"w\":1.25}");
    make_record(&made, 2, "{\"p\":\"y\",\"w\":4}");
    make_record(&made, 3, "{\"p\":\"x\",\"w\":0.5}");
    make_record(&made, 4, "{\"p\":\"x\"}");
    assert_string_equal(
        rows_of(WITH("{\"name\":\"n\",\"function\":\"top\",\"field\":\"p\",\"k\":1},"
                     "{\"name\":\"w\",\"function\":\"top\",\"field\":\"p\",\"k\":1,\"capacity\":1,\"weight\":\"w\"}"),
                &made),
        "\"n\":[{\"value\":\"x\",\"count\":3,\"error\":0}],\"n_exact\":true,"
        "\"w\":[{\"value\":\"x\",\"count\":5.75,\"error\":5.25}],\"w_exact\":false,\"records\":4}\n");
}

static void a_negative_weight_makes_the_record_bad_before_any_step(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec =
        spec_of(WITH("{\"name\":\"n\",\"function\":\"count\"},"
                     "{\"name\":\"best\",\"function\":\"top\",\"field\":\"p\",\"k\":1,\"weight\":\"w\"}"));
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, "s");
    struct made_records made = {0};
    make_record(&made, 1, "{\"p\":\"x\",\"w\":1}");
    make_record(&made, 2, "{\"p\":\"x\",\"w\":-0.5}");
    struct tumble_apply_result result;
    assert_int_equal(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error), TUMBLE_ERECORD);
    assert_int_equal(result.processed, 1);
    assert_int_equal(error.record, 1);
    assert_int_equal(error.byte, 13);
    assert_string_equal(error.text, "aggregate best: the weight -0.5 is negative: top adds up weights from 0");
    struct tumble_window_info info;
    ok(tumble_shard_window_info(shard, 0, &info, &error));
    assert_int_equal(info.records, 1);
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arg_min_and_arg_max_give_the_field_of_the_extreme_record),
        cmocka_unit_test(collect_has_a_column_for_its_total),
        cmocka_unit_test(top_counts_or_adds_up_and_says_whether_it_is_exact),
        cmocka_unit_test(a_negative_weight_makes_the_record_bad_before_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
