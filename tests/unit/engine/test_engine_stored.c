#include <stdlib.h>

#include "engine/engine_internal.h"
#include "engine_fixture.h"

/* The bytes of a group that `tumble check` prints are those that the store holds: of a new group to the byte, of one
 * with values what each function's sentence says, and never more than the most. */

enum { FRAME_BYTES = 32, KEY_AND_RECORDS = 1 + 4 + 1 /* "kN", as a string of the key, and a count below 128 */ };

/* Each over three records, v 1.5, 2.25 and 100, k "kN", arrived at 1000 ms with sequence numbers of one digit. */
static const struct {
    const char *aggregate;
    unsigned stored;
} cases[] = {
    {"\"function\":\"count\"", 1},
    {"\"function\":\"count\",\"field\":\"v\"", 1},
    {"\"function\":\"sum\",\"field\":\"v\"", 1 + 1 + 2 /* 103.75: 10375 in two bytes */},
    {"\"function\":\"mean\",\"field\":\"v\"", 1 + 4},
    {"\"function\":\"variance\",\"field\":\"v\"", 1 + 4 + 1 + 1 + 4 /* 10007.3125 in four */},
    {"\"function\":\"variance\",\"type\":\"population\",\"field\":\"v\"", 1 + 4 + 6},
    {"\"function\":\"stddev\",\"field\":\"v\"", 1 + 4 + 6},
    {"\"function\":\"stddev\",\"type\":\"sample\",\"field\":\"v\"", 1 + 4 + 6},
    {"\"function\":\"min\",\"field\":\"v\"", 4 + 1},
    {"\"function\":\"max\",\"field\":\"v\"", 4 + 1},
    {"\"function\":\"min\",\"type\":\"string\",\"field\":\"s\"", 1 + 5},
    {"\"function\":\"max\",\"type\":\"string\",\"field\":\"s\"", 1 + 5},
    {"\"function\":\"first\",\"field\":\"v\"", 1 + (2 + 2 + 1) + 5},
    {"\"function\":\"last\",\"field\":\"s\"", 1 + (2 + 2 + 1) + 1 + 5},
    {"\"function\":\"arg_min\",\"field\":\"s\",\"by\":\"v\"", 1 + (2 + 2 + 1) + 1 + 5 + 5},
    {"\"function\":\"arg_max\",\"field\":\"v\",\"by\":\"v\"", 1 + (2 + 2 + 1) + 5 + 5},
    {"\"function\":\"distinct\",\"field\":\"v\"", 1 + 1 + 3 * 8},
    {"\"function\":\"quantile\",\"field\":\"v\",\"q\":0.5", 1 + 5 + 5 + 1 + 1 + (3 + 1 + 2) + 3},
    {"\"function\":\"histogram\",\"field\":\"v\",\"bounds\":[1,2]", 1 + 3},
    {"\"function\":\"top\",\"field\":\"v\",\"k\":3", 1 + 3 * (1 + 3) + (5 + 6 + 5)},
    {"\"function\":\"top\",\"field\":\"v\",\"k\":1,\"capacity\":1", 1 + 1 + 5 + 3 + 3},
    {"\"function\":\"collect\",\"field\":\"v\"", 1 + 3 * (1 + (2 + 2 + 1)) + (5 + 6 + 5)},
    {"\"function\":\"collect\",\"field\":\"v\",\"cap\":2", 1 + 2 * (1 + (2 + 2 + 1)) + (5 + 6)},
};

static uint64_t stored_of(const struct tumble_spec *spec, const char *const *records, size_t count) {
    char directory[] = "/tmp/tumble-test-XXXXXX";
    struct tumble_error error;
    struct tumble_window_info info;
    struct made_records made = {0};
    assert_non_null(mkdtemp(directory));
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    for (size_t i = 0; i < count; i++) {
        make_record(&made, i + 1, records[i]);
    }
    struct tumble_shard *shard = shard_of(engine, "s");
    ok(tumble_shard_apply(shard, 0, made.records, made.count, NULL, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_shard_window_info(shard, 0, &info, &error));
    tumble_engine_destroy(engine);
    remove_state(directory);
    return info.stored_bytes - FRAME_BYTES;
}

static void stored_bytes_are_those_that_check_prints(void **state) {
    (void)state;
    static const char *const empty[] = {"{\"k\":\"k1\"}", "{\"k\":\"k2\",\"v\":null,\"s\":null}"};
    static const char *const some[] = {"{\"k\":\"k1\",\"v\":1.5,\"s\":\"abcde\"}",
                                       "{\"k\":\"k1\",\"v\":2.25,\"s\":\"abcde\"}",
                                       "{\"k\":\"k1\",\"v\":100,\"s\":\"abcde\"}"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[320];
        snprintf(json, sizeof json,
                 "{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"a\",%s},"
                 "{\"name\":\"n\",\"function\":\"count\",\"field\":\"v\"}]}",
                 cases[i].aggregate);
        struct tumble_spec *spec = spec_of(json);
        const struct tumble_column *column = tumble_spec_column(spec, 6); /* behind five of the window and k */
        const struct tumble_column *second = tumble_spec_column(spec, tumble_spec_column_count(spec) - 2);
        const struct tumble_column *records = tumble_spec_column(spec, tumble_spec_column_count(spec) - 1);
        assert_string_equal(column->name, "a");
        assert_int_equal(second->stored_empty, 1);
        assert_int_equal(records->stored_empty, 1);
        bool counts_records = strcmp(cases[i].aggregate, "\"function\":\"count\"") == 0;
        uint64_t fixed = KEY_AND_RECORDS + second->stored_empty;
        assert_int_equal(stored_of(spec, empty, 1), fixed + column->stored_empty);
        assert_int_equal(stored_of(spec, empty, 2), 2 * (fixed + column->stored_empty));
        assert_int_equal(stored_of(spec, some, 3), fixed + cases[i].stored);
        assert_true(column->stored_empty == 1 && column->stored_most >= cases[i].stored);
        assert_true(counts_records || column->stored_most > column->stored_empty);
        assert_non_null(column->stored_rule);
        tumble_spec_destroy(spec);
    }
}

static void columns_that_store_nothing_say_so(void **state) {
    (void)state;
    struct tumble_spec *spec = spec_of("{\"window\":{\"seconds\":60},\"partials\":true,\"aggregates\":[{\"name\":\"p\","
                                       "\"function\":\"quantile\",\"field\":\"v\",\"q\":[0.1,0.2]}]}");
    size_t storing = 0;
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        assert_int_equal(column->stored_rule != NULL, column->stored_most > 0);
        assert_true(column->stored_empty <= column->stored_most);
        storing += column->stored_rule != NULL;
    }
    assert_int_equal(storing, 2); /* p_0.1 for all of p, and records */
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stored_bytes_are_those_that_check_prints),
                                       cmocka_unit_test(columns_that_store_nothing_say_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
