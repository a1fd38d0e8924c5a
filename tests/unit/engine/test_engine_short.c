#include "engine_fixture.h"

#include <stdbool.h>
#include <stdlib.h>

/* Records in short against the same records in full: same fates, same rows, same marks. */

enum { COUNT = 300 };

struct many {
    struct tumble_record full[COUNT];
    struct tumble_short_record shorts[COUNT];
    struct tumble_value values[COUNT][16];
    char data[COUNT][96];
    char sequence[COUNT][24];
};

static void lengthen(void *ctx, const struct tumble_short_record *record, char text[TUMBLE_SHORT_TEXT],
                     struct tumble_record *out) {
    int *calls = ctx;
    (*calls)++;
    memset(out, 0, sizeof *out);
    out->data = record->data;
    out->values = record->values;
    out->arrival_ms = record->arrival_ms;
    out->partition_key = tumble_bytes_of("pk");
    out->sequence_number.data = text;
    out->sequence_number.length = (size_t)snprintf(text, TUMBLE_SHORT_TEXT, "%llu", (unsigned long long)record->number);
}

static void make(struct many *many, const struct tumble_engine *engine, unsigned seed, uint64_t number, bool odd) {
    static const char *const forms[] = {"{\"k\":\"group %u\",\"v\":%u.25}",   "{\"k\":\"group %u\",\"v\":%u}",
                                        "{\"k\":\"g\\u0041 %u\",\"v\":%u.5}", "{\"k\":%u,\"v\":%u}",
                                        "{\"k\":null,\"x\":%u,\"w\":%u}",     "{\"k\":\"a%u\",\"v\":\"%u\"}"};
    for (size_t i = 0; i < COUNT; i++) {
        unsigned turn = seed * 31 + (unsigned)i * 7;
        size_t form = turn % 5 ? 0 : turn / 5 % (odd ? 6 : 5);
        snprintf(many->data[i], sizeof many->data[i], forms[form], turn % 13, turn % 1000);
        number += odd && turn % 17 == 0 ? 0 : 1 + turn % 3; /* now and then one again */
        snprintf(many->sequence[i], sizeof many->sequence[i], "%llu", (unsigned long long)number);
        struct tumble_bytes data = tumble_bytes_of(many->data[i]);
        int64_t arrival_ms = odd && turn % 71 == 0 ? -5 : 1000 + (int64_t)turn;
        assert_true(tumble_projection_count(tumble_engine_projection(engine)) <= 16);
        assert_int_equal(tumble_project(tumble_engine_projection(engine), data, 1, many->values[i], NULL, NULL), 0);
        many->full[i] = (struct tumble_record){.data = data,
                                               .sequence_number = tumble_bytes_of(many->sequence[i]),
                                               .partition_key = tumble_bytes_of("pk"),
                                               .arrival_ms = arrival_ms,
                                               .values = many->values[i]};
        many->shorts[i] = (struct tumble_short_record){data, many->values[i], arrival_ms, number};
    }
}

/* Applies in pieces and keeps rows and failures. Returns how often a record was asked for at length. */
static int apply_all(const struct tumble_spec *spec, bool in_short, bool odd, struct kept_rows out[2],
                     struct tumble_counters *counters, struct tumble_apply_result *last) {
    struct tumble_error error;
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct many *many = malloc(sizeof *many);
    assert_non_null(many);
    int calls = 0;
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    attach_kept(engine, TUMBLE_ROW_FAILURE);
    struct tumble_shard *shard = shard_of(engine, "s");
    for (unsigned round = 0; round < 6; round++) {
        make(many, engine, round, odd && round ? round * 900 - 400 : round * 900, odd);
        for (size_t from = 0; from < COUNT;) {
            size_t count = 1 + (from * 37 + round) % 90;
            count = count < COUNT - from ? count : COUNT - from;
            if (in_short) {
                ok(tumble_shard_apply_short(shard, 60000 * (round / 4), many->shorts + from, count, lengthen, &calls,
                                            last, &error));
            } else {
                ok(tumble_shard_apply(shard, 60000 * (round / 4), many->full + from, count, last, &error));
            }
            from += count;
        }
        if (round == 3) {
            ok(tumble_shard_close(shard, 0, &error));
        }
        ok(tumble_engine_commit(engine, &error));
    }
    ok(tumble_shard_close(shard, 60000, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    memcpy(out, kept, sizeof kept);
    tumble_engine_counters(engine, counters);
    tumble_engine_destroy(engine);
    free(many);
    return calls;
}

static void expect_same(const char *json, bool odd, int most_calls) {
    static struct kept_rows full[2], in_short[2];
    struct tumble_counters of_full, of_short;
    struct tumble_apply_result last_full, last_short;
    struct tumble_spec *spec = spec_of(json);
    apply_all(spec, false, odd, full, &of_full, &last_full);
    int calls = apply_all(spec, true, odd, in_short, &of_short, &last_short);
    for (int kind = 0; kind < 2; kind++) {
        assert_int_equal(full[kind].count, in_short[kind].count);
        assert_string_equal(full[kind].text, in_short[kind].text);
    }
    assert_true(full[0].count > 0);
    assert_memory_equal(&last_full, &last_short, sizeof last_full);
    assert_int_equal(of_full.records, of_short.records);
    assert_int_equal(of_full.skipped, of_short.skipped);
    assert_memory_equal(of_full.fates, of_short.fates, sizeof of_full.fates);
    if (odd) {
        assert_true(of_full.fates[TUMBLE_FATE_DUPLICATE] > 0);
        assert_true(of_full.fates[TUMBLE_FATE_BAD] > 0);
    }
    assert_true(calls <= most_calls);
    tumble_spec_destroy(spec);
}

#define HEAD "{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"bad_records\":\"divert\",\"aggregates\":["
#define FOUR                                                                                                           \
    "{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},"                   \
    "{\"name\":\"lo\",\"function\":\"min\",\"field\":\"v\"},{\"name\":\"hi\",\"function\":\"max\",\"field\":\"v\"}"

static void short_records_give_the_rows_of_full_ones(void **state) {
    (void)state;
    expect_same(HEAD FOUR "]}", false, 6 * COUNT);
    expect_same(HEAD FOUR "]}", true, 6 * COUNT);
}

static void what_a_step_wants_to_know_is_asked_for(void **state) {
    (void)state;
#define WHERE                                                                                                          \
    ",{\"name\":\"f\",\"function\":\"first\",\"field\":\"v\"},{\"name\":\"l\",\"function\":\"last\",\"field\":\"v\"}," \
    "{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"v\"},"                                                      \
    "{\"name\":\"q\",\"function\":\"quantile\",\"field\":\"v\",\"q\":0.5}"
    expect_same(HEAD FOUR WHERE "]}", false, 100 * COUNT);
    expect_same(HEAD FOUR WHERE "]}", true, 100 * COUNT);
    expect_same(
        "{\"window\":{\"seconds\":60},\"group_by\":[\"k\",\"$partitionKey\"],\"bad_records\":\"divert\","
        "\"where\":{\"v\":[{\"numeric\":[\">\",100]}]},\"aggregates\":[{\"name\":\"m\",\"function\":\"max\",\"type\":"
        "\"string\",\"field\":\"$sequenceNumber\"},{\"name\":\"a\",\"function\":\"max\",\"field\":\"$arrival\"}," FOUR
        "]}",
        true, 100 * COUNT);
}

static void a_bad_short_record_ends_the_call_at_its_place(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, "s");
    struct many *many = malloc(sizeof *many);
    assert_non_null(many);
    make(many, engine, 0, 0, false);
    many->shorts[40].arrival_ms = -1;
    struct tumble_apply_result result;
    int calls = 0;
    assert_int_equal(tumble_shard_apply_short(shard, 0, many->shorts, 100, lengthen, &calls, &result, &error),
                     TUMBLE_ERECORD);
    assert_int_equal(result.processed, 40);
    assert_int_equal(error.record, 40);
    assert_int_equal(tumble_shard_apply_short(shard, 1, many->shorts, 1, lengthen, &calls, &result, &error),
                     TUMBLE_EINVAL);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    free(many);
}

static void records_alike_are_hardly_ever_asked_for_at_length(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(HEAD FOUR "]}");
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct many *many = malloc(sizeof *many);
    assert_non_null(many);
    make(many, engine, 0, 0, false);
    for (size_t i = 0; i < COUNT; i++) { /* all like the second, which is of the first form */
        memcpy(many->values[i], many->values[1], sizeof many->values[i]);
        many->shorts[i].data = many->shorts[1].data;
    }
    int calls = 0;
    ok(tumble_shard_apply_short(shard_of(engine, "s"), 0, many->shorts, COUNT, lengthen, &calls, NULL, &error));
    assert_in_range(calls, 1, COUNT / 8);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_records_give_the_rows_of_full_ones),
        cmocka_unit_test(what_a_step_wants_to_know_is_asked_for),
        cmocka_unit_test(a_bad_short_record_ends_the_call_at_its_place),
        cmocka_unit_test(records_alike_are_hardly_ever_asked_for_at_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
