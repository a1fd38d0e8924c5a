#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tumble/timestamp.h>

#include "aggregate/law.h"
#include "engine/aggregate/stored.h"

/* What `tumble check` says about stored bytes: no state takes more than stored_most, and some state takes it. */

enum { BUFFER = 1 << 21 };

/* 34 digits, at the ends of what a number may be. */
#define GREATEST "9.999999999999999999999999999999999e308"
#define LEAST    "1.000000000000000000000000000000001e-324"

static size_t stored(const struct stepping *s) {
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), BUFFER);
    assert_int_equal(s->aggregate->encode(s->state, &s->params, &out), TUMBLE_OK);
    size_t length = out.length;
    assert_true(length <= s->aggregate->stored_most(&s->params));
    tw_buf_clean_up(&out);
    return length;
}

static void assert_full(struct stepping *s) {
    assert_int_equal(stored(s), s->aggregate->stored_most(&s->params));
    stepping_clean_up(s);
}

/* What the bytes are is read back and becomes the state. */
static enum tumble_code take(struct stepping *s, const void *bytes, size_t length) {
    struct tumble_bytes view = {bytes, length};
    struct tw_cursor in = tw_cursor_of(view);
    s->aggregate->init(s->state, &s->params);
    return s->aggregate->decode(s->state, &s->params, &in, &s->heap, NULL);
}

/* As if every record had come 2^times times. */
static void repeat(struct stepping *s, int times) {
    for (; times > 0; times--) {
        uint64_t other[8];
        struct tw_buf out;
        tw_buf_init(&out, tw_alloc_default(), BUFFER);
        assert_int_equal(s->aggregate->encode(s->state, &s->params, &out), TUMBLE_OK);
        struct tw_cursor in = tw_cursor_of(tw_buf_view(&out));
        s->aggregate->init(other, &s->params);
        assert_int_equal(s->aggregate->decode(other, &s->params, &in, &s->heap, NULL), TUMBLE_OK);
        assert_int_equal(s->aggregate->merge(s->state, &s->params, other, &s->heap), TUMBLE_OK);
        tw_buf_clean_up(&out);
    }
}

/* A string as long as may be kept, in quotes, beginning with c. */
static char *long_string(char c) {
    char *json = malloc(TW_LIMIT_STRING_VALUE_BYTES + 3);
    assert_non_null(json);
    memset(json, 'x', TW_LIMIT_STRING_VALUE_BYTES + 2);
    json[0] = json[TW_LIMIT_STRING_VALUE_BYTES + 1] = '"';
    json[TW_LIMIT_STRING_VALUE_BYTES + 2] = '\0';
    json[1] = c;
    return json;
}

static const char *last_sequence(void) {
    static char digits[TW_LIMIT_SEQUENCE_DIGITS + 1];
    memset(digits, '9', TW_LIMIT_SEQUENCE_DIGITS);
    return digits;
}

static void feed_longest(struct stepping *s, const char *json, const char *second) {
    feed_both_at(s, json, second, TUMBLE_TIMESTAMP_MAX_MS, last_sequence(), UINT64_MAX);
}

static void sums_and_counts_reach_their_most(void **state) {
    (void)state;
    static const struct {
        const char *name, *type;
    } moments[] = {{"mean", NULL},   {"variance", NULL},   {"variance", "sample"},  {"variance", "population"},
                   {"stddev", NULL}, {"stddev", "sample"}, {"stddev", "population"}};
    struct stepping s;
    stepping_init(&s, "count", NULL);
    feed(&s, "1");
    repeat(&s, 63);
    assert_full(&s);
    stepping_init(&s, "sum", NULL);
    feed(&s, GREATEST);
    feed(&s, LEAST);
    repeat(&s, 53);
    assert_full(&s);
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        stepping_init(&s, moments[i].name, moments[i].type);
        feed(&s, GREATEST);
        feed(&s, LEAST);
        assert_true(stored(&s) < s.aggregate->stored_most(&s.params));
        repeat(&s, 61);
        assert_full(&s);
    }
    stepping_init_with(&s, "histogram", NULL, "bounds=1,2");
    feed(&s, "0");
    feed(&s, "1");
    feed(&s, "3");
    repeat(&s, 57);
    assert_full(&s);
}

static void extremes_and_positions_reach_their_most(void **state) {
    (void)state;
    static const char *const extremes[] = {"min", "max"};
    static const char *const positional[] = {"first", "last", "arg_min", "arg_max"};
    struct stepping s;
    char *text = long_string('a');
    for (size_t i = 0; i < 2; i++) {
        stepping_init(&s, extremes[i], NULL);
        feed(&s, GREATEST);
        assert_full(&s);
        stepping_init(&s, extremes[i], "string");
        feed(&s, text);
        assert_full(&s);
    }
    for (size_t i = 0; i < 4; i++) {
        stepping_init(&s, positional[i], NULL);
        feed_longest(&s, text, i < 2 ? NULL : LEAST);
        assert_full(&s);
    }
    free(text);
}

static void collect_and_top_reach_their_most(void **state) {
    (void)state;
    struct stepping s;
    char *a = long_string('a');
    char *b = long_string('b');
    stepping_init_with(&s, "collect", NULL, "cap=2");
    feed_longest(&s, a, NULL);
    assert_true(stored(&s) < s.aggregate->stored_most(&s.params) / 2);
    feed_longest(&s, b, NULL);
    repeat(&s, 62);
    assert_full(&s);
    stepping_init_with(&s, "top", NULL, "k=1 capacity=1");
    feed_both_at(&s, a, GREATEST, 0, "1", 0);
    feed_both_at(&s, a, LEAST, 0, "1", 0);
    repeat(&s, 53);
    feed_both_at(&s, b, LEAST, 0, "1", 0);
    assert_full(&s);
    free(a);
    free(b);
}

static void distinct_reaches_its_most(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "distinct", NULL);
    for (int i = 0; i < 1536; i++) {
        char json[16];
        snprintf(json, sizeof json, "%d", i);
        feed(&s, json);
        assert_int_equal(stored(&s), (i < 127 ? 2 : 3) + 8 * (i + 1));
    }
    assert_int_equal(s.aggregate->stored_most(&s.params), 12291);
    assert_int_equal(stored(&s), 12291);
    feed(&s, "-1"); /* registers: fewer bytes, and at most as many */
    assert_int_equal(stored(&s), 3 + 16384 / 2);
    uint8_t most[12291] = {2, 14, 0}; /* a quarter of the registers 15 above the least, more would take six bits each */
    memset(most + 3, 0xff, 2048);
    assert_int_equal(take(&s, most, sizeof most), TUMBLE_OK);
    assert_full(&s);
    stepping_init_with(&s, "distinct", NULL, "error=0.26");
    static const uint8_t few[15] = {2, 4, 0, 0xff, 0xff};
    assert_int_equal(take(&s, few, sizeof few), TUMBLE_OK);
    assert_full(&s);
    stepping_init_with(&s, "distinct", NULL, "error=0.001");
    assert_int_equal(s.aggregate->stored_most(&s.params), 1 + 3 + 8 * 196608);
    stepping_clean_up(&s);
}

static void quantile_comes_near_its_most_and_not_above(void **state) {
    (void)state;
    static const struct {
        const char *options;
        int numbers, doublings; /* numbers × 2^doublings < 2^63 */
    } cases[] = {{"max_buckets=16", 16, 58},
                 {"max_buckets=16 relative_error=0.0001", 16, 58},
                 {"max_buckets=100 relative_error=0.1", 100, 56},
                 {"max_buckets=2048", 2048, 51}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stepping s;
        stepping_init_with(&s, "quantile", NULL, cases[i].options);
        int half = cases[i].numbers / 2;
        for (int n = 0; n < cases[i].numbers; n++) { /* evenly over both signs, the ends with 34 digits */
            char json[64];
            bool end = n == 0 || n == 2 * half - 1;
            double exponent = n < half ? 308 - n * 600.0 / half : (n - half + 1) * 600.0 / half - 292;
            snprintf(json, sizeof json, "%s%.17ge%d", n < half ? "-" : "", pow(10, exponent - floor(exponent)),
                     (int)floor(exponent));
            feed(&s, !end ? json : n ? GREATEST : "-" GREATEST);
            stored(&s);
        }
        repeat(&s, cases[i].doublings);
        assert_true(stored(&s) >= s.aggregate->stored_most(&s.params) * 9 / 10);
        stepping_clean_up(&s);
    }
}

static void no_state_takes_more_than_its_most(void **state) {
    (void)state;
    static const struct {
        const char *name, *options;
        bool second;
    } cases[] = {{"count", NULL, false},           {"first", NULL, false},          {"last", NULL, false},
                 {"arg_min", NULL, true},          {"arg_max", NULL, true},         {"distinct", "error=0.26", false},
                 {"distinct", "error=0.1", false}, {"top", "k=1 capacity=1", true}, {"top", "k=2 capacity=7", true},
                 {"collect", "cap=3", false}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int run = 0; run < 100; run++) {
            struct law law;
            struct stepping s;
            law_begin(&law, cases[c].name, cases[c].options, cases[c].second);
            law_draw_records(&law, 1 + (uint64_t)run);
            stepping_init_with(&s, cases[c].name, NULL, cases[c].options);
            for (size_t i = 0; i < LAW_RECORDS; i++) {
                struct tw_input input = law_input(&law, i);
                step_input(s.aggregate, &s.params, s.state, &input, &s.heap);
                stored(&s);
            }
            stepping_clean_up(&s);
        }
    }
}

/* Against every choice of lengths. */
static uint64_t longest(uint64_t count, uint64_t least, uint64_t sum) {
    uint64_t best = 0;
    uint64_t bytes[4] = {1, 1, 1, 1};
    for (;;) {
        uint64_t cost = 0, total = 0;
        for (uint64_t i = 0; i < count; i++) {
            cost += bytes[i] == 1 ? least : UINT64_C(1) << 7 * (bytes[i] - 1);
            total += bytes[i];
        }
        best = cost <= sum && total > best ? total : best;
        uint64_t at = 0;
        while (at < count && ++bytes[at] > 4) {
            bytes[at++] = 1;
        }
        if (at == count) {
            return best;
        }
    }
}

static void varints_of_a_bounded_sum_are_as_long_as_they_can_be(void **state) {
    (void)state;
    for (uint64_t count = 1; count <= 4; count++) {
        for (uint64_t least = 0; least < 2; least++) {
            for (uint64_t sum = least * count; sum < 9000000; sum = sum < 1000 ? sum + 1 : sum + sum / 50) {
                assert_int_equal(tw_stored_varints(count, least, sum), longest(count, least, sum));
            }
        }
    }
    assert_int_equal(tw_stored_varints(1, 0, INT64_MAX), TW_STORED_COUNT);
    assert_int_equal(tw_stored_varints(0, 0, INT64_MAX), 0);
    assert_int_equal(tw_stored_varint(127), 1);
    assert_int_equal(tw_stored_varint(128), 2);
    assert_int_equal(tw_stored_varint(UINT64_MAX), 10);
}

static void every_function_says_what_it_stores(void **state) {
    (void)state;
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        assert_non_null((*all)->stored_most);
        assert_true(strlen((*all)->stored_rule) > 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_counts_reach_their_most),
        cmocka_unit_test(extremes_and_positions_reach_their_most),
        cmocka_unit_test(collect_and_top_reach_their_most),
        cmocka_unit_test(distinct_reaches_its_most),
        cmocka_unit_test(quantile_comes_near_its_most_and_not_above),
        cmocka_unit_test(no_state_takes_more_than_its_most),
        cmocka_unit_test(varints_of_a_bounded_sum_are_as_long_as_they_can_be),
        cmocka_unit_test(every_function_says_what_it_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
