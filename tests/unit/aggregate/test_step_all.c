#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aggregate/law.h"

/* A step for each of many values in one call leaves what as many calls leave, byte for byte. */

enum { VALUES = 64, GROUPS = 9, STATE_WORDS = 16, MAX_STRIDE = 4 };

struct groups {
    struct tw_heap heap;
    uint64_t states[GROUPS][STATE_WORDS];
};

/* kind: what the numbers of a round have in common. */
static void draw_number(char *out, size_t size, unsigned kind) {
    char digits[40];
    size_t count = kind == 0 ? 1 + law_draw(6) : kind == 1 ? 34 : 1 + law_draw(34);
    for (size_t i = 0; i < count; i++) {
        digits[i] = (char)('0' + law_draw(10));
    }
    digits[0] = count > 1 ? (char)('1' + law_draw(9)) : digits[0];
    digits[count] = '\0';
    const char *sign = law_draw(3) == 0 ? "-" : "";
    if (law_draw(12) == 0) {
        static const char *const zeros[] = {"0", "-0", "0.00", "0e5", "-0e-7"};
        snprintf(out, size, "%s", zeros[law_draw(5)]);
    } else if (kind == 0) { /* money */
        snprintf(out, size, "%s%s.%02d", sign, digits, (int)law_draw(100));
    } else if (kind == 1) { /* of every digit there may be */
        snprintf(out, size, "%s%se%d", sign, digits, (int)law_draw(5) - 2);
    } else if (kind == 2) { /* sums of these go wide */
        snprintf(out, size, "%s%se%d", sign, digits, (int)law_draw(600) - 324);
    } else { /* now and then one that does */
        snprintf(out, size, "%s%se%d", sign, digits, law_draw(40) == 0 ? 250 : (int)law_draw(20) - 10);
    }
}

static void snapshot(const struct tw_aggregate *aggregate, const struct tw_params *params, const void *state,
                     struct tw_buf *out) {
    assert_int_equal(aggregate->encode(state, params, out), TUMBLE_OK);
    assert_int_equal(aggregate->value(state, params, 0, out), TUMBLE_OK);
}

/* What distinct tells apart: mostly strings, of every length that is hashed another way. */
static void draw_text(char *out, size_t size) {
    static const char *const others[] = {"true", "false", "7", "7.25", "\"\""};
    if (law_draw(20) == 0) {
        snprintf(out, size, "%s", others[law_draw(5)]);
    } else {
        snprintf(out, size, "\"%0*d\"", law_draw(8) ? 6 : 1 + (int)law_draw(40), (int)law_draw(5000));
    }
}

static void steps_all_alike(const char *name, const char *given, int rounds) {
    const struct tw_aggregate *aggregate = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(""));
    struct stepping_options options;
    assert_non_null(aggregate);
    assert_non_null(aggregate->step_all);
    assert_int_equal(stepping_options_of(&options, aggregate, given, NULL), TUMBLE_OK);
    const uint32_t offset = 16; /* in front of it lies the state of another aggregate */
    assert_true(offset + aggregate->state_size <= sizeof(uint64_t) * STATE_WORDS);
    for (int round = 0; round < rounds; round++) {
        struct groups one_by_one, at_once;
        struct groups *both[2] = {&one_by_one, &at_once};
        const size_t stride = 1 + law_draw(MAX_STRIDE), groups = round % 5 == 0 ? 1 : 1 + law_draw(GROUPS);
        for (int i = 0; i < 2; i++) {
            tw_heap_init(&both[i]->heap, tw_alloc_default());
            memset(both[i]->states, 0x5a, sizeof both[i]->states);
            for (size_t g = 0; g < GROUPS; g++) {
                aggregate->init((char *)both[i]->states[g] + offset, &options.params);
            }
        }
        /* some rounds long enough for what grows in between */
        const int chunks = aggregate->growth_all && round % 8 == 0 ? 200 : 6;
        for (int chunk = 0; chunk < chunks; chunk++) {
            struct tw_value values[VALUES * MAX_STRIDE];
            char *states[VALUES];
            const size_t count = chunk == 0 ? 0 : 1 + law_draw(aggregate->growth_all ? TW_STEPS_AT_ONCE : VALUES);
            char texts[VALUES][64];
            size_t growth = 0;
            memset(values, 0, sizeof values);
            for (size_t i = 0; i < count; i++) {
                const size_t group = law_draw(groups);
                if (aggregate->takes & TW_TAKES_STRING && aggregate->growth) {
                    draw_text(texts[i], sizeof texts[i]);
                } else {
                    draw_number(texts[i], sizeof texts[i], (unsigned)round % 4);
                }
                values[i * stride] = value_of(texts[i]);
                struct tw_input input = {.value = &values[i * stride]};
                void *state = (char *)one_by_one.states[group] + offset;
                states[i] = (char *)at_once.states[group];
                step_input(aggregate, &options.params, state, &input, &one_by_one.heap);
                growth += aggregate->growth ? aggregate->growth(states[i] + offset, &options.params, &input) : 0;
            }
            if (aggregate->growth_all) {
                growth = aggregate->growth_all(states, offset, &options.params, count);
            }
            assert_true(tw_heap_reserve(&at_once.heap, growth));
            const size_t held = at_once.heap.bytes;
            aggregate->step_all(states, offset, &options.params, values, stride, count, &at_once.heap);
            assert_int_equal(at_once.heap.bytes, held);
        }
        for (size_t g = 0; g < GROUPS; g++) {
            struct tw_buf bytes[2];
            for (int i = 0; i < 2; i++) {
                tw_buf_init(&bytes[i], tw_alloc_default(), 1 << 20);
                snapshot(aggregate, &options.params, (char *)both[i]->states[g] + offset, &bytes[i]);
            }
            assert_int_equal(bytes[0].length, bytes[1].length);
            assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].length);
            /* nothing in front of the state or behind it was touched */
            const size_t behind = (offset + aggregate->state_size + 7) & ~(size_t)7;
            for (size_t word = 0; word < STATE_WORDS; word++) {
                if (word * 8 < offset || word * 8 >= behind) {
                    assert_true(at_once.states[g][word] == UINT64_C(0x5a5a5a5a5a5a5a5a));
                }
            }
            tw_buf_clean_up(&bytes[0]);
            tw_buf_clean_up(&bytes[1]);
        }
        tw_heap_clean_up(&one_by_one.heap);
        tw_heap_clean_up(&at_once.heap);
    }
}

static void sums_in_one_go_are_sums(void **state) {
    (void)state;
    steps_all_alike("sum", NULL, 400);
}

static void extremes_in_one_go_are_extremes(void **state) {
    (void)state;
    steps_all_alike("min", NULL, 200);
    steps_all_alike("max", NULL, 200);
}

static void counts_in_one_go_are_counts(void **state) {
    (void)state;
    steps_all_alike("count", NULL, 100);
}

static void distinct_values_in_one_go_are_counted_once(void **state) {
    (void)state;
    steps_all_alike("distinct", "error=0.05", 80);
    steps_all_alike("distinct", "error=0.01", 24);
    steps_all_alike("distinct", "error=0.26", 24);
}

static void quantiles_in_one_go_are_quantiles(void **state) {
    (void)state;
    steps_all_alike("quantile", "q=0.5", 80);
    steps_all_alike("quantile", "q=0.5,0.9 relative_error=0.001", 40);
    steps_all_alike("quantile", "q=0.5 max_buckets=60", 80);
    steps_all_alike("quantile", "q=0 max_buckets=16 relative_error=0.0001", 40);
}

static void step_one(const struct tw_aggregate *aggregate, const struct tw_params *params, struct groups *groups,
                     int64_t number, int exponent) {
    char *state = (char *)groups->states[0];
    assert_true(tw_heap_reserve(&groups->heap, aggregate->growth_all(&state, 0, params, 1)));
    aggregate->step_scaled(&state, 0, params, &number, exponent, 1, &groups->heap);
}

/* Counted where the state says, the rest stepped, against all stepped. */
static void counts_alike(const char *given, uint64_t most, int exponent) {
    const struct tw_aggregate *aggregate = tw_aggregate_find(tumble_bytes_of("quantile"), tumble_bytes_of(""));
    struct stepping_options options;
    struct groups stepped, counted, *both[2] = {&stepped, &counted};
    struct tw_counting counting = {0};
    struct tw_buf bytes[2];
    size_t many = 0;
    assert_int_equal(stepping_options_of(&options, aggregate, given, NULL), TUMBLE_OK);
    for (int i = 0; i < 2; i++) {
        tw_heap_init(&both[i]->heap, tw_alloc_default());
        aggregate->init(both[i]->states[0], &options.params);
    }
    for (int slice = 0; slice < 100; slice++) {
        int64_t least = INT64_MAX, greatest = INT64_MIN;
        for (int i = 0; i < 256; i++) {
            const int64_t number = (int64_t)(law_draw(4) ? law_draw(most) : most / 2);
            int32_t bucket;
            least = number < least ? number : least;
            greatest = number > greatest ? number : greatest;
            step_one(aggregate, &options.params, &stepped, number, exponent);
            aggregate->buckets(&options.params, &number, exponent, 1, &bucket);
            assert_true((bucket == INT32_MIN) == (number == 0));
            const uint32_t at = (uint32_t)bucket - (uint32_t)counting.first;
            if (number && at < counting.places && counting.counts[at] < UINT8_MAX) {
                *counting.occupied += counting.counts[at]++ == 0;
                many++;
                continue;
            }
            if (number && law_draw(20) == 0) {
                const int32_t low = bucket - (int32_t)law_draw(300), high = bucket + (int32_t)law_draw(300);
                const size_t growth = aggregate->widen_growth(low, high);
                assert_true(tw_heap_reserve(&counted.heap, growth));
                const size_t held = counted.heap.bytes;
                aggregate->widen(counted.states[0], &options.params, low, high, &counted.heap);
                assert_int_equal(counted.heap.bytes, held);
            }
            step_one(aggregate, &options.params, &counted, number, exponent);
            aggregate->counting(counted.states[0], &options.params, &counting);
        }
        struct tw_tally tally = {.count = 256};
        tw_decimal_of(&tally.least, least, exponent);
        tw_decimal_of(&tally.greatest, greatest, exponent);
        aggregate->count_ends(counted.states[0], &tally);
        for (int i = 0; i < 2; i++) {
            tw_buf_init(&bytes[i], tw_alloc_default(), 1 << 20);
            snapshot(aggregate, &options.params, both[i]->states[0], &bytes[i]);
        }
        assert_int_equal(bytes[0].length, bytes[1].length);
        assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].length);
        tw_buf_clean_up(&bytes[0]);
        tw_buf_clean_up(&bytes[1]);
    }
    assert_true(many > 0);
    tw_heap_clean_up(&stepped.heap);
    tw_heap_clean_up(&counted.heap);
}

static void what_is_counted_is_what_is_stepped(void **state) {
    (void)state;
    counts_alike("q=0.5", 3000, -2);
    counts_alike("q=0.5", 40000, -1);
    counts_alike("q=0.5", 200, 0);
    counts_alike("q=0.5 max_buckets=600", 60000, -6);
    counts_alike("q=0.5 max_buckets=100 relative_error=0.3", 60000, -2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_in_one_go_are_sums),
        cmocka_unit_test(extremes_in_one_go_are_extremes),
        cmocka_unit_test(counts_in_one_go_are_counts),
        cmocka_unit_test(distinct_values_in_one_go_are_counted_once),
        cmocka_unit_test(quantiles_in_one_go_are_quantiles),
        cmocka_unit_test(what_is_counted_is_what_is_stepped),
    };
    return cmocka_run_group_tests_name("step_all", tests, NULL, NULL);
}
