#include <stdlib.h>

#include "engine_fixture.h"

/* Records to fates and rows. */

static void rows_are_grouped_and_ordered(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    struct made_records made = {0};
    make_record(&made, 1, "{\"k\":\"b\",\"v\":0.1}");
    make_record(&made, 2, "{\"k\":\"a\",\"v\":19.99}");
    make_record(&made, 3, "{\"k\":\"b\",\"v\":0.2}");
    make_record(&made, 4, "{\"k\":7}");
    make_record(&made, 5, "{\"v\":1}");
    make_record(&made, 6, "{\"k\":\"q\\u0022\",\"v\":null}");
    struct tumble_apply_result result;
    struct tumble_shard *shard = shard_of(engine, "shard-a");
    ok(tumble_shard_apply(shard, 60000, made.records, made.count, &result, &error));
    assert_int_equal(result.processed, 6);
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], 6);
    ok(tumble_shard_close(shard, 60000, &error));
    ok(tumble_engine_commit(engine, &error));
    assert_int_equal(kept[0].count, 0); /* rows leave after the commit, not in it */
    ok(tumble_engine_drain(engine, &error));
#define HEAD                                                                                                           \
    "{\"window_start\":\"1970-01-01T00:01:00Z\",\"window_end\":\"1970-01-01T00:02:00Z\",\"shard_id\":\"shard-a\","     \
    "\"fragment\":\"1\",\"last_sequence\":\"6\","
    assert_string_equal(kept[0].text,
                        HEAD "\"k\":null,\"n\":1,\"s\":1,\"lo\":1,\"last\":1,\"records\":1}\n" HEAD
                             "\"k\":7,\"n\":1,\"s\":null,\"lo\":null,\"last\":null,\"records\":1}\n" HEAD
                             "\"k\":\"a\",\"n\":1,\"s\":19.99,\"lo\":19.99,\"last\":19.99,\"records\":1}\n" HEAD
                             "\"k\":\"b\",\"n\":2,\"s\":0.3,\"lo\":0.1,\"last\":0.2,\"records\":2}\n" HEAD
                             "\"k\":\"q\\\"\",\"n\":1,\"s\":null,\"lo\":null,\"last\":null,\"records\":1}\n");
    struct tumble_counters counters;
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.skipped, 6); /* three aggregates over v, in records 4 and 6 */
    assert_int_equal(counters.rows, 5);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void a_bad_record_ends_the_call_and_those_before_it_stay_applied(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, "s");
    static const struct {
        const char *json;
        int64_t byte;
    } bad[] = {{"{\"k\":\"a\",\"v\":\"x\"}", 14},  {"{\"k\":\"a\",\"v\":[1]}", 13},
               {"{\"k\":{},\"v\":1}", 5},          {"{\"k\":\"a\",\"v\":1e400}", 13},
               {"{\"k\":\"a\",\"v\":NaN}", 13},    {"{\"k\":\"a\"", 8},
               {"{\"k\":\"\\ud800\",\"v\":1}", 6}, {"", 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct made_records made = {0};
        make_record(&made, 10 * i + 1, "{\"k\":\"a\",\"v\":1}");
        make_record(&made, 10 * i + 2, bad[i].json);
        make_record(&made, 10 * i + 3, "{\"k\":\"a\",\"v\":1}");
        struct tumble_apply_result result;
        assert_int_equal(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error), TUMBLE_ERECORD);
        assert_int_equal(error.record, 1);
        assert_int_equal(error.byte, bad[i].byte);
        assert_int_equal(result.processed, 1);
        assert_true(strlen(error.text) > 10);
    }
    struct tumble_window_info info;
    ok(tumble_shard_window_info(shard, 0, &info, &error));
    assert_int_equal(info.records, sizeof bad / sizeof *bad);
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void diverted_and_late_records_become_failures(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of("{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"aggregates\":[{"
                                       "\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}]}");
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    attach_kept(engine, TUMBLE_ROW_FAILURE);
    struct tumble_shard *shard = shard_of(engine, "s");
    struct made_records made = {0};
    make_record(&made, 1, "{\"v\":1}");
    make_record(&made, 2, "{\"v\":\"x\"}");
    make_record(&made, 3, "{\"v\":2");
    struct tumble_apply_result result;
    ok(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_BAD], 2);
    ok(tumble_shard_reject(shard, make_record(&made, 4, "{\"v\":4}"), TUMBLE_FATE_LATE, "too late", &error));
    ok(tumble_shard_reject(shard, make_record(&made, 4, "{\"v\":4}"), TUMBLE_FATE_DUPLICATE, NULL, &error));
    assert_int_equal(tumble_shard_reject(shard, &made.records[0], TUMBLE_FATE_APPLIED, NULL, &error), TUMBLE_EINVAL);
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_int_equal(kept[1].count, 3);
    assert_non_null(strstr(kept[1].text,
                           "{\"fate\":\"bad\",\"reason\":\"field v is a string: aggregate sum(v) does not take "
                           "it\",\"source\":\"test\",\"shard_id\":\"s\",\"sequence_number\":\"2\",\"partition_key\":"
                           "\"pk\",\"arrival\":\"1970-01-01T00:00:01.000Z\",\"window_start\":\"1970-01-01T00:00:"
                           "00Z\",\"data\":\"{\\\"v\\\":\\\"x\\\"}\"}\n"));
    assert_non_null(strstr(kept[1].text, "\"data_base64\":\"eyJ2Ijoy\"")); /* {"v":2 is no JSON */
    assert_non_null(strstr(kept[1].text, "{\"fate\":\"late\",\"reason\":\"too late\""));
    struct tumble_counters counters;
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.records, 5);
    assert_int_equal(counters.failures, 3);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void a_record_not_above_the_last_is_a_duplicate(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, "s");
    struct made_records made = {0};
    make_record(&made, 9, "{\"k\":\"a\",\"v\":1}");
    make_record(&made, 10, "{\"k\":\"a\",\"v\":1}"); /* above 9 as a number, below it as text (point 25) */
    make_record(&made, 9, "{\"k\":\"a\",\"v\":1}");
    make_record(&made, 10, "{\"k\":\"a\",\"v\":1}")->sub_sequence_number = 1;
    make_record(&made, 10, "{\"k\":\"a\",\"v\":1}")->sub_sequence_number = 1;
    struct tumble_apply_result result;
    ok(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], 3);
    assert_int_equal(result.fates[TUMBLE_FATE_DUPLICATE], 2);
    ok(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_DUPLICATE], 5);
    struct made_records wrong = {0};
    make_record(&wrong, 11, "{\"k\":\"a\",\"v\":1}")->sequence_number = tumble_bytes_of("12x");
    assert_int_equal(tumble_shard_apply(shard, 0, wrong.records, 1, &result, &error), TUMBLE_ERECORD);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void filters_and_attributes_apply(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of("{\"window\":{\"seconds\":60},\"where\":{\"v\":[{\"numeric\":[\">\",1]}]},"
                                       "\"group_by\":[\"$partitionKey\",\"$shardId\"],"
                                       "\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"a\","
                                       "\"function\":\"max\",\"field\":\"$arrival\"},"
                                       "{\"name\":\"q\",\"function\":\"last\",\"field\":\"$sequenceNumber\"}]}");
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    struct tumble_shard *shard = shard_of(engine, "s");
    struct made_records made = {0};
    make_record(&made, 1, "{\"v\":1}");
    make_record(&made, 2, "{\"v\":2}");
    make_record(&made, 3, "{\"v\":\"x\"}");
    struct tumble_apply_result result;
    ok(tumble_shard_apply(shard, 0, made.records, made.count, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_FILTERED], 2);
    ok(tumble_shard_close(shard, 0, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_non_null(strstr(kept[0].text, "\"fragment\":\"1\",\"last_sequence\":\"3\",\"$partitionKey\":\"pk\",\"$"
                                         "shardId\":\"s\",\"n\":1,\"a\":1000,\"q\":\"2\",\"records\":1}"));
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

/* 100 batches over the same groups: the allocator is called for the first ones (the group memo comes after 2,048
 * records) and then never again. */
static void nothing_is_allocated_per_record_after_warm_up(void **state) {
    (void)state;
    struct tumble_error error;
    struct counting_alloc count = {0};
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine;
    struct tumble_engine_options options = {
        .spec = spec, .source = tumble_bytes_of("t"), .alloc = counting_alloc_of(&count)};
    ok(tumble_engine_open(&options, &engine, &error));
    struct tumble_shard *shard = shard_of(engine, "s");
    size_t after_warm_up = 0;
    for (uint64_t batch = 0; batch < 100; batch++) {
        struct made_records made = {0};
        for (uint64_t i = 0; i < 64; i++) {
            char json[96];
            snprintf(json, sizeof json, "{\"k\":\"group \\u0041%llu\",\"v\":%llu.%02llu}", (unsigned long long)(i % 8),
                     (unsigned long long)(batch * 977 % 1000), (unsigned long long)(i + 10));
            make_record(&made, batch * 64 + i + 1, json);
        }
        ok(tumble_shard_apply(shard, 0, made.records, made.count, NULL, &error));
        if (batch == 39) {
            after_warm_up = count.calls;
        }
    }
    assert_true(after_warm_up > 0);
    assert_int_equal(count.calls, after_warm_up);
    tumble_engine_destroy(engine);
    assert_int_equal(count.live, 0);
    tumble_spec_destroy(spec);
}

/* Rows of 256 records, so many in a call. Groups come for the first time and again, in one call, too. */
static void rows_of_calls(size_t many, const char *directory, char *rows, size_t capacity) {
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(
        "{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
        "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"lo\",\"function\":\"min\",\"field\":\"w\"},"
        "{\"name\":\"m\",\"function\":\"mean\",\"field\":\"w\"},{\"name\":\"hi\",\"function\":\"max\",\"field\":\"v\"},"
        "{\"name\":\"t\",\"function\":\"sum\",\"field\":\"w\"},{\"name\":\"c\",\"function\":\"count\",\"field\":\"w\"}]"
        "}");
    struct tumble_engine *engine = engine_of(spec, directory, 0);
    struct tumble_shard *shard = shard_of(engine, "s");
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (uint64_t n = 0; n < 256; n += many) {
        struct made_records made = {0};
        for (uint64_t i = n; i < n + many; i++) {
            const unsigned drawn = (unsigned)(i * 2654435761u >> 7), group = drawn % 97 < 60 ? drawn % 97 : drawn % 7;
            char json[96];
            snprintf(json, sizeof json, "{\"k\":\"%.*s%u%s\",\"v\":%s%u.%02u,\"w\":%u%s}", (int)(group % 23),
                     "abcdefghijklmnopqrstuvw", group, group % 11 == 3 ? "\\u0000x" : "", drawn % 3 ? "" : "-",
                     drawn % 1000, drawn % 100, drawn % 50, drawn % 5 ? "" : "e3");
            make_record(&made, i + 1, drawn % 31 == 5 ? "{\"k\":\"ab2\",\"v\":null}" : json);
        }
        ok(tumble_shard_apply(shard, 0, made.records, made.count, NULL, &error));
        if (n % 64 == 0) {
            ok(tumble_engine_commit(engine, &error));
        }
    }
    if (directory) { /* what was committed comes back, and goes on */
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_destroy(engine);
        engine = engine_of(spec, directory, 0);
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        shard = shard_of(engine, "s");
    }
    ok(tumble_shard_close(shard, 0, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    assert_true(kept[0].count > 40);
    snprintf(rows, capacity, "%s", kept[0].text);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void records_taken_together_make_the_rows_of_each_by_itself(void **state) {
    (void)state;
    static char one_by_one[1 << 18], together[1 << 18];
    rows_of_calls(1, NULL, one_by_one, sizeof one_by_one);
    for (size_t many = 2; many <= 64; many *= 2) {
        rows_of_calls(many, NULL, together, sizeof together);
        assert_string_equal(together, one_by_one);
    }
    char directory[] = "/tmp/tumble-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    rows_of_calls(32, directory, together, sizeof together);
    assert_string_equal(together, one_by_one);
    remove_state(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_grouped_and_ordered),
        cmocka_unit_test(a_bad_record_ends_the_call_and_those_before_it_stay_applied),
        cmocka_unit_test(diverted_and_late_records_become_failures),
        cmocka_unit_test(a_record_not_above_the_last_is_a_duplicate),
        cmocka_unit_test(filters_and_attributes_apply),
        cmocka_unit_test(records_taken_together_make_the_rows_of_each_by_itself),
        cmocka_unit_test(nothing_is_allocated_per_record_after_warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
