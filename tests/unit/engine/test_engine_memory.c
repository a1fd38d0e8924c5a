#include "engine/engine_internal.h"
#include "engine_fixture.h"

/* The bytes of a group that `tumble check` prints (state_bytes of every column, 8 of header, the key) are those that a
 * group's entry takes. */

enum { HEADER_BYTES = 8, GROUPS = 60 };

static const char *const specs[] = {
    "{\"name\":\"a\",\"function\":\"count\"}",
    "{\"name\":\"a\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"b\",\"function\":\"mean\",\"field\":\"v\"}",
    "{\"name\":\"a\",\"function\":\"min\",\"field\":\"v\"},{\"name\":\"b\",\"function\":\"max\",\"field\":\"k\","
    "\"type\":\"string\"}",
    "{\"name\":\"a\",\"function\":\"first\",\"field\":\"v\"},{\"name\":\"b\",\"function\":\"arg_max\",\"field\":\"k\","
    "\"by\":\"v\"}",
    "{\"name\":\"a\",\"function\":\"variance\",\"field\":\"v\"},{\"name\":\"b\",\"function\":\"stddev\",\"field\":"
    "\"v\",\"type\":\"population\"}",
    "{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"v\"},{\"name\":\"b\",\"function\":\"quantile\",\"field\":"
    "\"v\",\"q\":[0.5,0.9]}",
    "{\"name\":\"a\",\"function\":\"top\",\"field\":\"k\",\"k\":3},{\"name\":\"b\",\"function\":\"collect\",\"field\":"
    "\"v\"},"
    "{\"name\":\"c\",\"function\":\"histogram\",\"field\":\"v\",\"bounds\":[1,2]}",
};

static void the_bytes_of_a_group_are_those_that_check_prints(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        struct tumble_error error;
        char json[1024];
        snprintf(json, sizeof json, "{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[%s]}", specs[s]);
        struct tumble_spec *spec = spec_of(json);
        struct tumble_engine *engine = engine_of(spec, NULL, 0);
        struct made_records made = {0};
        uint32_t printed = HEADER_BYTES;
        for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
            printed += tumble_spec_column(spec, i)->state_bytes;
        }
        for (int i = 0; i < GROUPS; i++) {
            char record[64];
            snprintf(record, sizeof record, "{\"k\":\"user-%06d\",\"v\":%d.5}", i, i);
            make_record(&made, (uint64_t)i + 1, record);
        }
        struct tumble_shard *shard = shard_of(engine, "s");
        ok(tumble_shard_apply(shard, 0, made.records, made.count, NULL, &error));
        const struct tw_window *window = tw_shard_find_window(shard, 0);
        struct tumble_bytes key = tw_group_key(&window->groups, tw_group_at(&window->groups, 0));
        assert_int_equal(window->groups.count, GROUPS);
        assert_int_equal(window->groups.used, GROUPS * ((printed + key.length + 7) / 8 * 8));
        tumble_engine_destroy(engine);
        tumble_spec_destroy(spec);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_bytes_of_a_group_are_those_that_check_prints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
