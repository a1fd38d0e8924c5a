#include <stdlib.h>

#include <tumble/merge.h>

#include "engine_fixture.h"

/* Rows of shards and fragments, folded. */

#define PARTIAL_SPEC                                                                                                   \
    "{\"window\":{\"seconds\":60},\"partials\":true,\"group_by\":[\"k\"],\"aggregates\":["                             \
    "{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},"                   \
    "{\"name\":\"lo\",\"function\":\"min\",\"field\":\"v\"},{\"name\":\"last\",\"function\":\"last\",\"field\":\"v\"}" \
    "]}"

struct lines {
    char *at[256];
    size_t count;
};

static struct lines merged, windows;

static void clear(struct lines *lines) {
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->at[i]);
    }
    lines->count = 0;
}

static enum tumble_code keep_line(struct lines *lines, struct tumble_bytes json) {
    assert_true(lines->count < 256);
    lines->at[lines->count] = malloc(json.length + 1);
    memcpy(lines->at[lines->count], json.data, json.length);
    lines->at[lines->count++][json.length] = '\0';
    return TUMBLE_OK;
}

static enum tumble_code on_merged(void *ctx, struct tumble_bytes json) {
    (void)ctx;
    return keep_line(&merged, json);
}

static enum tumble_code on_window(void *ctx, struct tumble_bytes json) {
    (void)ctx;
    return keep_line(&windows, json);
}

static enum tumble_code close_all(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    (void)ctx;
    return tumble_shard_close(shard, window_start_ms, NULL);
}

/* Rows of records [from, to) of a fixed stream over so many shards, two windows of a minute. */
static void make_rows_of(const char *json_of_spec, struct lines *rows, uint64_t from, uint64_t to, uint64_t shards) {
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(json_of_spec);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    for (uint64_t n = from; n < to; n++) {
        struct made_records made = {0};
        char json[96], id[32];
        snprintf(json, sizeof json, "{\"k\":\"g%llu\",\"v\":%llu.%02llu}", (unsigned long long)(n * 7 % 5),
                 (unsigned long long)(n * 31 % 100), (unsigned long long)(n % 100));
        snprintf(id, sizeof id, "shard-%llu", (unsigned long long)(n % shards));
        make_record(&made, n + 1, json)->arrival_ms = (int64_t)n * 1000;
        ok(tumble_shard_apply(shard_of(engine, id), n >= 60 ? 60000 : 0, made.records, 1, NULL, &error));
    }
    ok(tumble_engine_windows(engine, close_all, NULL));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    for (char *at = kept[0].text, *end; (end = strchr(at, '\n')); at = end + 1) {
        struct tumble_bytes line = {at, (size_t)(end - at)};
        keep_line(rows, line);
    }
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

static void make_rows(struct lines *rows, uint64_t from, uint64_t to, uint64_t shards) {
    make_rows_of(PARTIAL_SPEC, rows, from, to, shards);
}

static enum tumble_code merge_rows(const struct lines *rows, int64_t window_seconds, int backwards,
                                   struct tumble_merge_figures *figures, struct tumble_error *error) {
    struct tumble_merge_options options = {.window_seconds = window_seconds};
    struct tumble_merge *merge;
    clear(&merged);
    clear(&windows);
    enum tumble_code code = tumble_merge_new(&options, &merge, error);
    for (size_t i = 0; i < rows->count && code == TUMBLE_OK; i++) {
        code = tumble_merge_add(merge, tumble_bytes_of(rows->at[backwards ? rows->count - 1 - i : i]), error);
    }
    if (code == TUMBLE_OK) {
        code = tumble_merge_finish(merge, on_merged, on_window, NULL, figures, error);
    }
    tumble_merge_destroy(merge);
    return code;
}

/* A merged row without its counts of shards and fragments, which tell how it was spread. */
static const char *beside_counts(const char *row) {
    const char *rest = strstr(row, ",\"k\":");
    assert_non_null(rest);
    return rest;
}

static void merged_rows_do_not_depend_on_how_records_were_spread(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_merge_figures figures;
    for (int64_t window = 0; window <= 120; window += 60) {
        struct lines one = {0}, expected = {0};
        make_rows(&one, 0, 100, 1);
        ok(merge_rows(&one, window, 0, &figures, &error));
        for (size_t i = 0; i < merged.count; i++) {
            keep_line(&expected, tumble_bytes_of(merged.at[i]));
        }
        assert_int_equal(expected.count, window == 120 ? 5 : 10);
        assert_int_equal(figures.windows, window == 120 ? 1 : 2);
        for (uint64_t shards = 2; shards <= 8; shards++) {
            struct lines rows = {0};
            make_rows(&rows, 0, 100, shards);
            for (size_t i = 0, n = rows.count; i < n; i += 3) {
                keep_line(&rows, tumble_bytes_of(rows.at[i])); /* delivered twice */
            }
            ok(merge_rows(&rows, window, shards % 2 == 0, &figures, &error));
            assert_true(figures.duplicates > 0);
            assert_int_equal(merged.count, expected.count);
            for (size_t i = 0; i < expected.count; i++) {
                assert_string_equal(beside_counts(merged.at[i]), beside_counts(expected.at[i]));
            }
            char counts[48];
            snprintf(counts, sizeof counts, "\"shards\":%d,", (int)shards);
            assert_non_null(strstr(merged.at[0], counts));
            clear(&rows);
        }
        clear(&one);
        clear(&expected);
    }
}

static void fragments_of_one_shard_add_up(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_merge_figures figures;
    struct lines whole = {0}, parts = {0};
    make_rows(&whole, 0, 50, 1);
    ok(merge_rows(&whole, 0, 0, &figures, &error));
    char *expected = strdup(beside_counts(merged.at[0]));
    make_rows(&parts, 0, 20, 1);
    make_rows(&parts, 20, 45, 1);
    make_rows(&parts, 45, 50, 1);
    ok(merge_rows(&parts, 0, 1, &figures, &error));
    assert_string_equal(beside_counts(merged.at[0]), expected);
    assert_int_equal(figures.fragments, 3);
    assert_non_null(strstr(windows.at[0], "\"shard_id\":\"shard-0\",\"fragments\":[{\"first\":\"1\",\"last\":\"20\","
                                          "\"rows\":5,\"records\":20},{\"first\":\"21\""));
    assert_non_null(strstr(windows.at[0], "\"records\":50,\"rows\":5,\"digest\":\""));
    free(expected);
    clear(&whole);
    clear(&parts);
}

static void a_longer_fragment_replaces_a_shorter_one_and_overlaps_are_refused(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_merge_figures figures;
    struct lines rows = {0};
    make_rows(&rows, 0, 30, 1);
    make_rows(&rows, 0, 50, 1); /* the same first record, more of them */
    ok(merge_rows(&rows, 0, 0, &figures, &error));
    assert_int_equal(figures.superseded, 5);
    assert_non_null(strstr(windows.at[0], "\"records\":50,"));
    make_rows(&rows, 40, 60, 1);
    assert_int_equal(merge_rows(&rows, 0, 0, &figures, &error), TUMBLE_EREJECTED);
    assert_non_null(strstr(error.text, "overlap"));
    assert_int_equal(merged.count, 0);
    clear(&rows);
}

static void rows_that_cannot_be_merged_say_why(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        enum tumble_code code;
        const char *text;
    } changes[] = {
        {"\"_partials\"", "\"_partial\"", TUMBLE_ECAPTURE, "partials"},
        {"\"shard_id\"", "\"shards\"", TUMBLE_ECAPTURE, "shard_id"},
        {"\"fragment\":", "\"fragments\":1,\"fragment\":", TUMBLE_ECAPTURE, "merged already"},
        {"\"sum#", "\"sun#", TUMBLE_EMISMATCH, "is of sun, the rows before it have sum"},
        {"\"sum#", "\"sum#1", TUMBLE_ECORRUPT, "DIGEST"},
        {"\"sum#", "\"sum.x#", TUMBLE_EMISMATCH, "is of sum.x,"},
        {"\"sum#", "\"sum:", TUMBLE_ECORRUPT, "DIGEST"},
        {"\",\"lo\":", "*\",\"lo\":", TUMBLE_ECORRUPT, "base64"},
        {"\",\"lo\":", "AAAA\",\"lo\":", TUMBLE_ECORRUPT, ""},
        {"\"k\":", "\"kk\":", TUMBLE_EMISMATCH, "kk"},
        {"\"records\":", "\"records\":-", TUMBLE_ECAPTURE, "count"},
        {"\"window_end\":\"1970-01-01T00:01:00Z\"", "\"window_end\":\"1970-01-01T00:00:00Z\"", TUMBLE_ECAPTURE,
         "ends before"},
        {"{", "[", TUMBLE_EJSON, ""},
        {"\"fragment\":\"", "\"fragment\":\"99", TUMBLE_ECAPTURE, "comes before"},
        {"\"window_end\":\"1970-01-01T00:01:00Z\"", "\"window_end\":\"1970-01-01T00:02:00Z\"", TUMBLE_EMISMATCH,
         "merge them apart"},
        {"\"k\":", "\"k\":1e400,\"kk\":", TUMBLE_ECAPTURE, "number"},
    };
    struct tumble_error error;
    struct lines good = {0};
    make_rows(&good, 0, 20, 1);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct lines rows = {0};
        char text[4096];
        char *at = strstr(good.at[1], changes[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good.at[1]), good.at[1], changes[i].to,
                 at + strlen(changes[i].from));
        keep_line(&rows, tumble_bytes_of(good.at[0]));
        keep_line(&rows, tumble_bytes_of(text));
        assert_int_equal(merge_rows(&rows, 0, 0, NULL, &error), changes[i].code);
        assert_non_null(strstr(error.text, changes[i].text));
        clear(&rows);
    }
    clear(&good);
    struct lines rows = {0};
    make_rows(&rows, 0, 20, 1);
    assert_int_equal(merge_rows(&rows, 90, 0, NULL, &error), TUMBLE_EMISMATCH);
    assert_non_null(strstr(error.text, "multiple"));
    clear(&rows);
    ok(merge_rows(&rows, 0, 0, NULL, &error)); /* no rows: nothing, and no error */
    assert_int_equal(merged.count, 0);
}

/* The default of R16 as an engine has it: a spec that leaves partials open, and fragments that are possible or not. */
static void an_engine_adds_partials_where_fragments_are_possible(void **state) {
    (void)state;
    for (int possible = 0; possible < 2; possible++) {
        struct tumble_error error;
        struct tumble_engine *engine;
        struct made_records made = {0};
        struct tumble_spec *spec = spec_of("{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"m\",\"function\":"
                                           "\"mean\",\"field\":\"v\"}]}");
        struct tumble_engine_options options = {
            .spec = spec, .source = tumble_bytes_of("test"), .fragments_possible = possible};
        ok(tumble_engine_open(&options, &engine, &error));
        kept_reset();
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        make_record(&made, 1, "{\"v\":2.5}");
        ok(tumble_shard_apply(shard_of(engine, "s"), 0, made.records, 1, NULL, &error));
        ok(tumble_engine_windows(engine, close_all, NULL));
        ok(tumble_engine_commit(engine, &error));
        ok(tumble_engine_drain(engine, &error));
        assert_int_equal(strstr(kept[0].text, ",\"_partials\":{\"m\":\"mean#") != NULL, possible);
        tumble_engine_destroy(engine);
        tumble_spec_destroy(spec);
    }
}

/* Under one column name rows may aggregate different things: only the digest in a partial tells. */
static void rows_of_other_fields_are_told_apart(void **state) {
    (void)state;
#define SPEC_OF(group, aggregate, rest)                                                                                \
    "{\"window\":{\"seconds\":60},\"partials\":true,\"group_by\":[{\"field\":\"" group "\",\"as\":\"k\"}]," rest       \
    "\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"x\"," aggregate "}]}"
    static const struct {
        const char *one, *other, *named;
    } cases[] = {
        {SPEC_OF("k", "\"function\":\"sum\",\"field\":\"v\"", ""),
         SPEC_OF("k", "\"function\":\"sum\",\"field\":\"w\"", ""), "x"},
        {SPEC_OF("k", "\"function\":\"sum\",\"field\":\"v\"", ""),
         SPEC_OF("k", "\"function\":\"sum\",\"field\":\"v\",\"where\":{\"k\":[\"a\"]}", ""), "x"},
        {SPEC_OF("k", "\"function\":\"arg_max\",\"field\":\"v\",\"by\":\"v\"", ""),
         SPEC_OF("k", "\"function\":\"arg_max\",\"field\":\"v\",\"by\":\"w\"", ""), "x"},
        {SPEC_OF("k", "\"function\":\"top\",\"field\":\"v\",\"k\":3", ""),
         SPEC_OF("k", "\"function\":\"top\",\"field\":\"v\",\"k\":3,\"weight\":\"v\"", ""), "x"},
        {SPEC_OF("k", "\"function\":\"count\"", ""),
         SPEC_OF("k", "\"function\":\"count\"", "\"where\":{\"v\":[{\"exists\":true}]},"), "n"},
        {SPEC_OF("k", "\"function\":\"count\"", ""), SPEC_OF("other", "\"function\":\"count\"", ""), "n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_error error;
        char expected[64];
        struct lines rows = {0};
        make_rows_of(cases[i].one, &rows, 0, 10, 1);
        ok(merge_rows(&rows, 0, 0, NULL, &error));
        make_rows_of(cases[i].other, &rows, 10, 20, 1);
        for (int backwards = 0; backwards < 2; backwards++) {
            assert_int_equal(merge_rows(&rows, 0, backwards, NULL, &error), TUMBLE_EMISMATCH);
            snprintf(expected, sizeof expected, "the row's %s aggregates something else", cases[i].named);
            assert_non_null(strstr(error.text, expected));
        }
        clear(&rows);
    }
    /* What means the same merges: another spelling of a path, and an option that is the default. */
    struct tumble_error error;
    struct lines rows = {0};
    make_rows_of(SPEC_OF("k", "\"function\":\"distinct\",\"field\":\"v\"", ""), &rows, 0, 10, 1);
    make_rows_of(SPEC_OF("/k", "\"function\":\"distinct\",\"field\":\"/v\",\"error\":1e-2", ""), &rows, 10, 20, 1);
    ok(merge_rows(&rows, 0, 0, NULL, &error));
    clear(&rows);
}

/* ---- what merging costs ---- */

static uint64_t merge_cost; /* of a merge that passes over all its sides hold, as those of sketches do */

static void scale_init(void *state) { memset(state, 0, sizeof(uint64_t)); }

static void scale_step(void *state, const struct tumble_aggregate_input *input) {
    (void)input;
    ++*(uint64_t *)state;
}

static void scale_merge(void *state, const void *other) {
    merge_cost += *(const uint64_t *)state + *(const uint64_t *)other;
    *(uint64_t *)state += *(const uint64_t *)other;
}

static size_t scale_value(const void *state, char *out, size_t capacity) {
    return (size_t)snprintf(out, capacity, "%llu", (unsigned long long)*(const uint64_t *)state);
}

static size_t scale_encode(const void *state, char *out, size_t capacity) {
    (void)capacity;
    out[0] = (char)*(const uint64_t *)state;
    return 1;
}

static int scale_decode(void *state, const char *bytes, size_t length) {
    *(uint64_t *)state = length == 1 ? (unsigned char)bytes[0] : 0;
    return length == 1;
}

static const struct tumble_aggregate scale = {
    .struct_size = sizeof scale,
    .abi_version = TUMBLE_AGGREGATE_ABI,
    .name = "scale",
    .explanation = "records, weighed",
    .state_bytes = sizeof(uint64_t),
    .takes = TUMBLE_TAKES_NUMBER,
    .init = scale_init,
    .step = scale_step,
    .merge = scale_merge,
    .value = scale_value,
    .encode = scale_encode,
    .decode = scale_decode,
};

static void merging_many_rows_costs_no_more_than_their_bytes_times_a_logarithm(void **state) {
    (void)state;
    static const struct tumble_aggregate *const custom[] = {&scale};
    enum { ROWS = 10000, LOG2 = 14 };
    struct tumble_merge_options options = {.custom = custom, .custom_count = 1};
    struct tumble_merge *merge;
    struct tumble_error error;
    clear(&merged);
    clear(&windows);
    merge_cost = 0;
    ok(tumble_merge_new(&options, &merge, &error));
    for (int i = 1; i <= ROWS; i++) {
        char row[320];
        snprintf(
            row, sizeof row,
            "{\"window_start\":\"1970-01-01T00:00:00Z\",\"window_end\":\"1970-01-01T00:01:00Z\",\"shard_id\":\"s\","
            "\"fragment\":\"%d\",\"last_sequence\":\"%d\",\"k\":1,\"x\":1,\"_partials\":{\"x\":"
            "\"scale#00000000:AQE=\"},\"records\":1}",
            i, i);
        ok(tumble_merge_add(merge, tumble_bytes_of(row), &error));
    }
    ok(tumble_merge_finish(merge, on_merged, NULL, NULL, NULL, &error));
    assert_int_equal(merged.count, 1);
    assert_non_null(strstr(merged.at[0], ",\"x\":10000,\"records\":10000}"));
    assert_true(merge_cost >= ROWS && merge_cost <= 2 * ROWS * LOG2);
    tumble_merge_destroy(merge);
}

static void memory_may_run_out_while_merging(void **state) {
    (void)state;
    struct lines rows = {0};
    make_rows(&rows, 0, 100, 3);
    for (size_t n = 1;; n++) {
        struct tumble_error error;
        struct counting_alloc count = {.fail_at = n};
        struct tumble_merge_options options = {.alloc = counting_alloc_of(&count)};
        struct tumble_merge *merge;
        clear(&merged);
        enum tumble_code code = tumble_merge_new(&options, &merge, &error);
        for (size_t i = 0; i < rows.count && code == TUMBLE_OK; i++) {
            code = tumble_merge_add(merge, tumble_bytes_of(rows.at[i]), &error);
        }
        if (code == TUMBLE_OK) {
            code = tumble_merge_finish(merge, on_merged, NULL, NULL, NULL, &error);
        }
        tumble_merge_destroy(merge);
        assert_int_equal(count.live, 0);
        if (count.failed == 0) {
            assert_int_equal(code, TUMBLE_OK);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
    }
    clear(&rows);
}

static int end(void **state) {
    (void)state;
    clear(&merged);
    clear(&windows);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_rows_do_not_depend_on_how_records_were_spread),
        cmocka_unit_test(fragments_of_one_shard_add_up),
        cmocka_unit_test(a_longer_fragment_replaces_a_shorter_one_and_overlaps_are_refused),
        cmocka_unit_test(rows_that_cannot_be_merged_say_why),
        cmocka_unit_test(an_engine_adds_partials_where_fragments_are_possible),
        cmocka_unit_test(rows_of_other_fields_are_told_apart),
        cmocka_unit_test(merging_many_rows_costs_no_more_than_their_bytes_times_a_logarithm),
        cmocka_unit_test(memory_may_run_out_while_merging),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
