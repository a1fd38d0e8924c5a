#include <tumble/aggregate.h>
#include <tumble/merge.h>

#include "engine_fixture.h"

/* An embedder's aggregate: its table is checked, its answers too, and it goes through states and merges as ours do. */

static void bits_init(void *state) { memset(state, 0, 8); }

static void bits_step(void *state, const struct tumble_aggregate_input *input) {
    *(uint64_t *)state |= UINT64_C(1) << ((uint64_t)input->number & 63);
    assert_true(input->text.length > 0 && input->sequence_number.length > 0);
}

static void bits_merge(void *state, const void *other) { *(uint64_t *)state |= *(const uint64_t *)other; }

static const char *value_answer; /* NULL: the bits */

static size_t bits_value(const void *state, char *out, size_t capacity) {
    if (value_answer) {
        return (size_t)snprintf(out, capacity, "%s", value_answer);
    }
    return (size_t)snprintf(out, capacity, "\"%llx\"", (unsigned long long)*(const uint64_t *)state);
}

static size_t bits_encode(const void *state, char *out, size_t capacity) {
    (void)capacity;
    memcpy(out, state, 8);
    return 8;
}

static int bits_decode(void *state, const char *bytes, size_t length) {
    if (length == 8) {
        memcpy(state, bytes, 8);
    }
    return length == 8;
}

static struct tumble_aggregate good(void) {
    struct tumble_aggregate table = {.struct_size = sizeof table,
                                     .abi_version = TUMBLE_AGGREGATE_ABI,
                                     .name = "bits",
                                     .explanation = "bits of %s",
                                     .state_bytes = 8,
                                     .takes = TUMBLE_TAKES_NUMBER,
                                     .init = bits_init,
                                     .step = bits_step,
                                     .merge = bits_merge,
                                     .value = bits_value,
                                     .encode = bits_encode,
                                     .decode = bits_decode};
    return table;
}

static enum tumble_code parse(const struct tumble_aggregate *table, const char *json, struct tumble_spec **spec,
                              struct tumble_error *error) {
    const struct tumble_aggregate *const own[] = {table};
    struct tumble_spec_overrides overrides = {.custom = own, .custom_count = 1};
    return tumble_spec_parse(tumble_bytes_of(json), &overrides, (struct tumble_alloc){0}, spec, error);
}

#define BITS_SPEC                                                                                                      \
    "{\"window\":{\"seconds\":60},\"partials\":true,\"aggregates\":[{\"name\":\"b\",\"function\":\"bits\",\"field\":"  \
    "\"v\"}]}"

static void a_table_that_is_wrong_is_refused_by_name(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec;
    for (int i = 0; i < 9; i++) {
        struct tumble_aggregate table = good();
        const char *json = BITS_SPEC;
        switch (i) {
        case 0: table.abi_version = 7; break;
        case 1: table.struct_size = 8; break;
        case 2: table.state_bytes = 0; break;
        case 3: table.state_bytes = TUMBLE_AGGREGATE_STATE_BYTES + 1; break;
        case 4: table.takes = 0; break;
        case 5: table.explanation = "%d of %s"; break;
        case 6: table.merge = NULL; break;
        case 7:
            table.name = "sum";
            json =
                "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"b\",\"function\":\"sum\",\"field\":\"v\"}]}";
            break;
        default:
            json = "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"b\",\"function\":\"bits\",\"field\":\"v\","
                   "\"k\":1}]}";
            break;
        }
        assert_int_equal(parse(&table, json, &spec, &error), TUMBLE_ESPEC);
        assert_true(strlen(error.text) > 20);
        assert_null(spec);
    }
}

static enum tumble_code keep_row(void *ctx, const struct tumble_row *row) {
    snprintf(ctx, 4096, "%.*s", (int)row->json.length, row->json.data);
    return TUMBLE_OK;
}

static enum tumble_code keep_json(void *ctx, struct tumble_bytes json) {
    snprintf(ctx, 4096, "%.*s", (int)json.length, json.data);
    return TUMBLE_OK;
}

static void it_counts_and_merges_as_ours_do(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec;
    struct tumble_aggregate table = good();
    const struct tumble_aggregate *const own[] = {&table};
    char row[2][4096], merged[4096];
    ok(parse(&table, BITS_SPEC, &spec, &error));
    for (int shard = 0; shard < 2; shard++) {
        struct tumble_engine *engine = engine_of(spec, NULL, 0);
        struct made_records made = {0};
        make_record(&made, 1, shard ? "{\"v\":3}" : "{\"v\":0}");
        make_record(&made, 2, shard ? "{\"v\":4.0}" : "{\"v\":null}");
        ok(tumble_shard_apply(shard_of(engine, shard ? "b" : "a"), 0, made.records, 2, NULL, &error));
        ok(tumble_shard_rows(shard_of(engine, shard ? "b" : "a"), 0, keep_row, row[shard], &error));
        assert_non_null(strstr(row[shard], shard ? "\"b\":\"18\"" : "\"b\":\"1\""));
        value_answer = "not json";
        assert_int_equal(tumble_shard_rows(shard_of(engine, shard ? "b" : "a"), 0, keep_row, merged, &error),
                         TUMBLE_EJSON);
        value_answer = NULL;
        tumble_engine_destroy(engine);
    }
    struct tumble_merge_options options = {.custom = own, .custom_count = 1};
    struct tumble_merge *merge;
    ok(tumble_merge_new(&options, &merge, &error));
    ok(tumble_merge_add(merge, tumble_bytes_of(row[0]), &error));
    ok(tumble_merge_add(merge, tumble_bytes_of(row[1]), &error));
    ok(tumble_merge_finish(merge, keep_json, NULL, merged, NULL, &error));
    assert_non_null(strstr(merged, "\"b\":\"19\""));
    tumble_merge_destroy(merge);
    struct tumble_merge_options without = {0};
    ok(tumble_merge_new(&without, &merge, &error));
    assert_int_equal(tumble_merge_add(merge, tumble_bytes_of(row[0]), &error), TUMBLE_ECORRUPT);
    assert_non_null(strstr(error.text, "bits"));
    tumble_merge_destroy(merge);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_wrong_is_refused_by_name),
        cmocka_unit_test(it_counts_and_merges_as_ours_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
