#include "engine/apply_tally.h"

#include "engine/window/group_memo.h"
#include "event_fixture.h"
#include "invoke_fixture.h"

/* Records added up by group against the same records applied one by one, of which nothing is ever added up: same rows,
 * same fates, same fields found. */

#define HEAD "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":["
#define FOUR                                                                                                           \
    "{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},"                   \
    "{\"name\":\"lo\",\"function\":\"min\",\"field\":\"v\"},{\"name\":\"hi\",\"function\":\"max\",\"field\":\"v\"}"
#define MORE                                                                                                           \
    ",{\"name\":\"m\",\"function\":\"mean\",\"field\":\"w\"},{\"name\":\"t\",\"function\":\"sum\",\"field\":\"w\"},"   \
    "{\"name\":\"c\",\"function\":\"count\",\"field\":\"x\"}"
#define SKETCHES                                                                                                       \
    ",{\"name\":\"q\",\"function\":\"quantile\",\"field\":\"v\",\"q\":[0,0.5,0.9,1],\"max_buckets\":64},"              \
    "{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"u\",\"error\":0.1},"                                        \
    "{\"name\":\"p\",\"function\":\"quantile\",\"field\":\"w\",\"q\":0.5},"                                            \
    "{\"name\":\"g\",\"function\":\"distinct\",\"field\":\"k\"}"

#define QUANTILE ",{\"name\":\"q\",\"function\":\"quantile\",\"field\":\"v\",\"q\":[0,0.5,0.9,1]"

#define TEXTS(error) ",{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"u\",\"error\":" error "}"

enum { CALL = 900, CALLS = 12, WIDTH = 200 };

typedef void put_number_fn(uint64_t *random, char *out, size_t size);

struct batch {
    struct tumble_record full[CALL];
    struct tumble_short_record shorts[CALL];
    struct tumble_value values[CALL][16];
    char data[CALL][WIDTH];
    char sequence[CALL][64];
};

/* As long as those of Kinesis. */
static void put_sequence(uint64_t number, char out[64]) {
    snprintf(out, 64, "49590338271490256608559692538361571%021llu", (unsigned long long)number);
}

static void lengthen(void *ctx, const struct tumble_short_record *record, char text[TUMBLE_SHORT_TEXT],
                     struct tumble_record *out) {
    size_t *calls = ctx;
    (*calls)++;
    memset(out, 0, sizeof *out);
    out->data = record->data;
    out->values = record->values;
    out->arrival_ms = record->arrival_ms;
    put_sequence(record->number, text);
    out->sequence_number = tumble_bytes_of(text);
}

/* Texts of 1 to 16 bytes, and a few that are longer or escaped. */
static void put_group(uint64_t *random, char *out, size_t size) {
    static const char letters[] = "aaaaaaaaaaaaaaaaaaaaaaaa";
    const unsigned which = (unsigned)random_below(random, 40);
    if (which == 0 && random_below(random, 8) == 0) {
        snprintf(out, size, "%s", random_below(random, 2) ? "aaaaaaaaaaaaaaaaaaaaa" : "a\\u0062");
        return;
    }
    snprintf(out, size, "%.*s%c", (int)(which % 16), letters, 'a' + (char)(which / 16));
}

static void amounts(uint64_t *random, char *out, size_t size) {
    snprintf(out, size, "%u.%02u", (unsigned)random_below(random, 5000), (unsigned)random_below(random, 100));
}

static void integers(uint64_t *random, char *out, size_t size) {
    snprintf(out, size, "%u", (unsigned)random_below(random, random_below(random, 2) ? 100 : 4000000000));
}

/* Few of them are not among the numbers whose buckets are kept, and a third is one number. */
static void prices(uint64_t *random, char *out, size_t size) {
    const unsigned most = random_below(random, 50) ? 200 : 2000;
    snprintf(out, size, "%u.%02u", random_below(random, 3) ? (unsigned)random_below(random, most) : 5,
             random_below(random, 3) ? (unsigned)random_below(random, 100) : 0);
}

/* Whatever numbers can look like: of other scales, signs, lengths, some of them not to be held by any sum here. */
static void anything(uint64_t *random, char *out, size_t size) {
    static const char *const odd[] = {"0",
                                      "-0",
                                      "0.00",
                                      "-0.01",
                                      "1e3",
                                      "-12.5E-1",
                                      "99999999",
                                      "123456789",
                                      "1234.56",
                                      "12345.67",
                                      "123456.78",
                                      "9007199254740993",
                                      "1e-9",
                                      "0.1234567",
                                      "-99999999999999999999999999999999.99",
                                      "35184372088832",
                                      "35184372088833",
                                      "351843720888.32",
                                      "-35184372088833",
                                      "1e15",
                                      "3.0000000",
                                      "1e40",
                                      "-1e300",
                                      "7.5",
                                      "100000"};
    const size_t which = random_below(random, 400);
    if (which < sizeof odd / sizeof *odd) {
        snprintf(out, size, "%s", odd[which]);
        return;
    }
    const unsigned whole = (unsigned)random_below(random, 1000), part = (unsigned)random_below(random, 100);
    const char *sign = which % 5 == 0 ? "-" : "";
    if (which % 7 == 0) {
        snprintf(out, size, "%s%u", sign, whole);
    } else {
        snprintf(out, size, which % 7 == 1 ? "%s%u.%u" : "%s%u.%02u", sign, whole, part);
    }
}

/* odd: now and then a value of another type, a record once more, an arrival that is none. */
static void draw(struct batch *batch, const struct tumble_engine *engine, put_number_fn *put, uint64_t *random,
                 uint64_t *number, bool odd) {
    for (size_t i = 0; i < CALL; i++) {
        char group[40], v[48], w[48], user[24];
        put_group(random, group, sizeof group);
        put(random, v, sizeof v);
        put(random, w, sizeof w);
        snprintf(user, sizeof user, "%s-%u", random_below(random, 500) ? "user" : "us\\u0065r",
                 (unsigned)random_below(random, 2000));
        const size_t dice = odd ? random_below(random, 300) : 100;
        const char *quote = dice == 0 ? "\"" : "";
        int length =
            snprintf(batch->data[i], WIDTH,
                     i % 2 ? "{\"k\":\"%s\",\"v\":%s%s%s,\"w\":%s,\"u\":\"%s\",\"x\":%s}"
                           : "{\"x\":0,\"k\":\"%s\",\"v\":%s%s%s,\"w\":%s,\"u\":\"%s\",\"x\":%s}",
                     group, quote, dice == 1 ? "null" : v, quote, w, user, dice == 2 ? "\"text\"" : "\"a\\u0041\"");
        assert_true(length > 0 && length < WIDTH);
        *number += dice == 3 ? 0 : 1;
        put_sequence(*number, batch->sequence[i]);
        const struct tumble_bytes data = {batch->data[i], (size_t)length};
        const int64_t arrival_ms = dice == 4 ? -5 : 1000 + (int64_t)i;
        assert_true(tumble_projection_count(tumble_engine_projection(engine)) <= 16);
        assert_int_equal(tumble_project(tumble_engine_projection(engine), data, 1, batch->values[i], NULL, NULL), 0);
        batch->full[i] = (struct tumble_record){.data = data,
                                                .sequence_number = tumble_bytes_of(batch->sequence[i]),
                                                .arrival_ms = arrival_ms,
                                                .values = i % 3 ? batch->values[i] : NULL};
        batch->shorts[i] = (struct tumble_short_record){data, batch->values[i], arrival_ms, *number};
    }
}

enum way { ONE_BY_ONE, MANY, SHORTS };

struct outcome {
    char *rows;
    char *failures;
    struct tumble_counters counters;
    uint64_t found[8];
    size_t lengthened;
    bool tallied; /* some records were added up */
};

static void apply_batch(struct tumble_shard *shard, const struct batch *batch, enum way way, struct outcome *out) {
    struct tumble_error error;
    if (way == MANY) {
        ok(tumble_shard_apply(shard, 0, batch->full, CALL, NULL, &error));
    } else if (way == SHORTS) {
        ok(tumble_shard_apply_short(shard, 0, batch->shorts, CALL, lengthen, &out->lengthened, NULL, &error));
    }
    for (size_t i = 0; i < CALL && way == ONE_BY_ONE; i++) {
        ok(tumble_shard_apply(shard, 0, &batch->full[i], 1, NULL, &error));
    }
}

static void run(const char *json, put_number_fn *put, uint64_t seed, bool odd, enum way way, struct outcome *out) {
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(json);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct batch *batch = malloc(sizeof *batch);
    uint64_t random = seed, number = 1000;
    assert_non_null(batch);
    memset(out, 0, sizeof *out);
    kept_reset();
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    attach_kept(engine, TUMBLE_ROW_FAILURE);
    struct tumble_shard *shard = shard_of(engine, SHARD);
    for (size_t call = 0; call < CALLS; call++) {
        draw(batch, engine, put, &random, &number, odd);
        apply_batch(shard, batch, way, out);
        if (call % 4 == 3) {
            ok(tumble_engine_commit(engine, &error));
        }
    }
    out->tallied = shard->tallies != NULL;
    struct tumble_bytes path;
    for (size_t i = 0; i < 8 && tumble_engine_field(engine, i, &path, &out->found[i]); i++) {
    }
    ok(tumble_shard_close(shard, 0, &error));
    ok(tumble_engine_commit(engine, &error));
    ok(tumble_engine_drain(engine, &error));
    out->rows = exact_copy(kept[0].text, strlen(kept[0].text) + 1);
    out->failures = exact_copy(kept[1].text, strlen(kept[1].text) + 1);
    tumble_engine_counters(engine, &out->counters);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    free(batch);
}

static void expect_alike(const char *json, put_number_fn *put, bool odd) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct outcome of[3];
        for (int way = ONE_BY_ONE; way <= SHORTS; way++) {
            run(json, put, seed, odd, (enum way)way, &of[way]);
            assert_same_text(exact_copy(of[0].rows, strlen(of[0].rows) + 1),
                             exact_copy(of[way].rows, strlen(of[way].rows) + 1));
            assert_string_equal(of[0].failures, of[way].failures);
            assert_int_equal(of[0].counters.records, of[way].counters.records);
            assert_int_equal(of[0].counters.skipped, of[way].counters.skipped);
            assert_memory_equal(of[0].counters.fates, of[way].counters.fates, sizeof of[0].counters.fates);
            assert_memory_equal(of[0].found, of[way].found, sizeof of[0].found);
            assert_true(way != ONE_BY_ONE || !of[way].tallied);
            assert_true(way != SHORTS || of[way].tallied);
        }
        assert_true(!odd || of[0].counters.fates[TUMBLE_FATE_BAD] > 0);
        assert_true(odd || put == anything || of[SHORTS].lengthened < CALL * CALLS / 3 * 2);
        for (int way = ONE_BY_ONE; way <= SHORTS; way++) {
            free(of[way].rows);
            free(of[way].failures);
        }
    }
}

static void numbers_of_one_scale_add_up_to_the_same_rows(void **state) {
    (void)state;
    expect_alike(HEAD FOUR "]}", amounts, false);
    expect_alike(HEAD FOUR "]}", integers, false);
    expect_alike(HEAD FOUR MORE "]}", amounts, false);
}

static void what_asks_for_every_value_gets_the_same_rows(void **state) {
    (void)state;
    expect_alike(HEAD FOUR SKETCHES "]}", amounts, false);
    expect_alike(HEAD FOUR MORE SKETCHES "]}", integers, false);
    expect_alike(HEAD FOUR SKETCHES "]}", anything, false);
    expect_alike(HEAD FOUR MORE SKETCHES "]}", anything, true);
}

static void a_quantile_counted_where_numbers_are_read_is_the_same(void **state) {
    (void)state;
    static const char *const quantiles[] = {
        QUANTILE "}", QUANTILE ",\"max_buckets\":64}", QUANTILE ",\"max_buckets\":16,\"relative_error\":0.0001}",
        QUANTILE ",\"max_buckets\":2000,\"relative_error\":0.0001}", QUANTILE ",\"relative_error\":0.2}"};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        char json[1024];
        snprintf(json, sizeof json, "%s%s%s]}", HEAD FOUR, i % 2 ? MORE : "", quantiles[i]);
        expect_alike(json, prices, false);
        expect_alike(json, i % 2 ? amounts : integers, false);
        expect_alike(json, anything, true);
    }
}

/* One column of texts, and one of numbers beside it or none. */
static void texts_that_go_in_runs_give_the_same_rows(void **state) {
    (void)state;
    static const char *const distinct[] = {TEXTS("0.1"), TEXTS("0.02"), TEXTS("0.01"), TEXTS("0.26")};
    for (size_t i = 0; i < sizeof distinct / sizeof *distinct; i++) {
        char json[1024];
        snprintf(json, sizeof json, "%s%s%s]}", HEAD FOUR, i % 2 ? MORE : "", distinct[i]);
        expect_alike(json, amounts, false);
        expect_alike(json, anything, true);
        snprintf(json, sizeof json, "%s%s%s%s}]}", HEAD FOUR, i % 2 ? "" : MORE, distinct[i], QUANTILE);
        expect_alike(json, i % 2 ? prices : amounts, false);
        expect_alike(json, anything, true);
    }
}

static void numbers_of_any_kind_add_up_to_the_same_rows(void **state) {
    (void)state;
    expect_alike(HEAD FOUR "]}", anything, false);
    expect_alike(HEAD FOUR MORE "]}", anything, false);
}

static void records_that_are_not_as_usual_are_seen(void **state) {
    (void)state;
    expect_alike(HEAD FOUR "]}", amounts, true);
    expect_alike(HEAD FOUR MORE "]}", anything, true);
}

static void a_number_that_no_decimal_holds_is_bad_among_many(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of("{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[" FOUR "]}");
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, SHARD);
    struct batch *batch = malloc(sizeof *batch);
    struct tumble_apply_result result;
    uint64_t random = 3, number = 1;
    assert_non_null(batch);
    for (int call = 0; call < 3; call++) {
        draw(batch, engine, amounts, &random, &number, false);
        ok(tumble_shard_apply(shard, 0, batch->full, CALL, &result, &error));
    }
    draw(batch, engine, amounts, &random, &number, false);
    static const char bad[] = "{\"k\":\"a\",\"v\":12345678901234567890123456789012345}";
    batch->full[500].data = tumble_bytes_of(bad);
    batch->full[500].values = NULL;
    assert_int_equal(tumble_shard_apply(shard, 0, batch->full, CALL, &result, &error), TUMBLE_ERECORD);
    assert_int_equal(result.processed, 500);
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], 500);
    assert_non_null(shard->tallies);
    free(batch);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

/* Whichever allocation fails: the call takes what it says, and the rest of it given again ends in the same rows. */
static void fail_each(const char *json, size_t most) {
    struct tumble_error error;
    struct batch *batch = malloc(sizeof *batch);
    char *expected = NULL;
    size_t failed = 0;
    assert_non_null(batch);
    for (size_t fail_at = 0; fail_at < most; fail_at++) {
        struct tumble_spec *spec = spec_of(json);
        struct counting_alloc count = {0};
        struct tumble_engine *engine;
        struct tumble_engine_options options = {.spec = spec, .alloc = counting_alloc_of(&count)};
        uint64_t random = 9, number = 1;
        ok(tumble_engine_open(&options, &engine, &error));
        kept_reset();
        attach_kept(engine, TUMBLE_ROW_WINDOW);
        struct tumble_shard *shard = shard_of(engine, SHARD);
        for (int call = 0; call < 4; call++) {
            draw(batch, engine, amounts, &random, &number, false);
            count.fail_at = fail_at && call < 2 ? count.calls + fail_at : 0;
            for (size_t at = 0; at < CALL;) {
                struct tumble_apply_result result;
                enum tumble_code code = tumble_shard_apply(shard, 0, batch->full + at, CALL - at, &result, &error);
                assert_true(code == TUMBLE_OK || (code == TUMBLE_ENOMEM && count.fail_at));
                at += result.processed;
            }
            failed += count.failed;
            count.failed = 0;
            ok(call == 2 ? tumble_engine_commit(engine, &error) : TUMBLE_OK);
        }
        ok(tumble_shard_close(shard, 0, &error));
        ok(tumble_engine_commit(engine, &error));
        ok(tumble_engine_drain(engine, &error));
        if (!expected) {
            expected = exact_copy(kept[0].text, strlen(kept[0].text) + 1);
        }
        assert_string_equal(expected, kept[0].text);
        tumble_engine_destroy(engine);
        assert_int_equal(count.live, 0);
        tumble_spec_destroy(spec);
    }
    assert_true(failed > 0);
    free(expected);
    free(batch);
}

static void without_memory_nothing_is_half_added_up(void **state) {
    (void)state;
    fail_each(HEAD FOUR MORE "]}", 40);
    fail_each(HEAD FOUR SKETCHES "]}", 60);
    fail_each(HEAD FOUR QUANTILE "}]}", 60);
    fail_each(HEAD FOUR TEXTS("0.02") "]}", 60);
    fail_each(HEAD FOUR QUANTILE "}" TEXTS("0.02") "]}", 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_one_scale_add_up_to_the_same_rows),
        cmocka_unit_test(numbers_of_any_kind_add_up_to_the_same_rows),
        cmocka_unit_test(what_asks_for_every_value_gets_the_same_rows),
        cmocka_unit_test(a_quantile_counted_where_numbers_are_read_is_the_same),
        cmocka_unit_test(texts_that_go_in_runs_give_the_same_rows),
        cmocka_unit_test(records_that_are_not_as_usual_are_seen),
        cmocka_unit_test(a_number_that_no_decimal_holds_is_bad_among_many),
        cmocka_unit_test(without_memory_nothing_is_half_added_up),
    };
    return cmocka_run_group_tests_name("apply_tally", tests, NULL, NULL);
}
