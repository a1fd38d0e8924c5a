#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aggregate/law.h"
#include "aggregate/stepping.h"
#include "engine/aggregate/space_saving.h"

static void feed_times(struct stepping *s, const char *json, int times) {
    for (int i = 0; i < times; i++) {
        feed(s, json);
    }
}

static void the_most_frequent_come_first_then_by_key(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=4");
    assert_string_equal(column_of(&s, 0), "null");
    assert_string_equal(column_of(&s, 1), "true");
    feed_times(&s, "\"b\"", 2);
    feed_times(&s, "\"a\"", 2);
    feed_times(&s, "1", 1);
    feed_times(&s, "1.0", 2);
    feed_times(&s, "true", 2);
    feed_times(&s, "\"x\"", 1);
    assert_string_equal(column_of(&s, 0), "[{\"value\":1,\"count\":3,\"error\":0},"
                                          "{\"value\":true,\"count\":2,\"error\":0},"
                                          "{\"value\":\"a\",\"count\":2,\"error\":0},"
                                          "{\"value\":\"b\",\"count\":2,\"error\":0}]");
    assert_string_equal(column_of(&s, 1), "true");
    stepping_clean_up(&s);
}

static void weights_are_added_exactly(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=3");
    for (int i = 0; i < 10; i++) {
        feed_both_at(&s, "\"a\"", "0.1", 0, "1", 0);
    }
    feed_both_at(&s, "\"b\"", "1e308", 0, "1", 0);
    feed_both_at(&s, "\"b\"", "1e-20", 0, "1", 0);
    feed_both_at(&s, "\"c\"", "1.00", 0, "1", 0);
    feed_both_at(&s, "\"none\"", "0", 0, "1", 0);
    feed_both_at(&s, "\"none\"", "-0.0", 0, "1", 0);
    assert_string_equal(column_of(&s, 0), "[{\"value\":\"b\",\"count\":1e+308,\"error\":0},"
                                          "{\"value\":\"a\",\"count\":1,\"error\":0},"
                                          "{\"value\":\"c\",\"count\":1,\"error\":0}]");
    stepping_clean_up(&s);
}

static void a_new_key_takes_over_the_lowest_count(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=2 capacity=2");
    feed_times(&s, "\"a\"", 5);
    feed_times(&s, "\"b\"", 3);
    assert_string_equal(column_of(&s, 1), "true");
    feed_times(&s, "\"c\"", 1);
    assert_string_equal(column_of(&s, 1), "false");
    assert_string_equal(column_of(&s, 0), "[{\"value\":\"a\",\"count\":5,\"error\":0},"
                                          "{\"value\":\"c\",\"count\":4,\"error\":3}]");
    feed_times(&s, "\"c\"", 2);
    feed_times(&s, "\"d\"", 1); /* a has 5 now, c 6 */
    assert_string_equal(column_of(&s, 0), "[{\"value\":\"c\",\"count\":6,\"error\":3},"
                                          "{\"value\":\"d\",\"count\":6,\"error\":5}]");
    stepping_clean_up(&s);
}

static void equal_lowest_counts_give_way_from_the_greatest_key(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=3 capacity=3");
    feed(&s, "\"b\"");
    feed(&s, "\"c\"");
    feed(&s, "\"a\"");
    feed(&s, "\"z\"");
    assert_string_equal(column_of(&s, 0), "[{\"value\":\"z\",\"count\":2,\"error\":1},"
                                          "{\"value\":\"a\",\"count\":1,\"error\":0},"
                                          "{\"value\":\"b\",\"count\":1,\"error\":0}]");
    stepping_clean_up(&s);
}

static void negative_weights_are_refused_before_any_step(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=1");
    static const struct {
        const char *weight;
        enum tumble_code code;
    } cases[] = {{"0", TUMBLE_OK},
                 {"-0", TUMBLE_OK},
                 {"1e-300", TUMBLE_OK},
                 {"-1e-300", TUMBLE_ENUMBER},
                 {"-9999999999999999999999999999999999", TUMBLE_ENUMBER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_value key = value_of("1");
        struct tw_value weight = value_of(cases[i].weight);
        struct tw_input input = {.value = &key, .second = &weight};
        struct tumble_error err;
        assert_int_equal(s.aggregate->check(&s.params, &input, &err), cases[i].code);
        assert_true(cases[i].code == TUMBLE_OK || strstr(err.text, cases[i].weight));
    }
    struct tw_value key = value_of("1");
    struct tw_input input = {.value = &key};
    assert_int_equal(s.aggregate->check(&s.params, &input, NULL), TUMBLE_OK);
    stepping_clean_up(&s);
}

static void the_capacity_is_ten_times_k_but_a_hundred_at_least(void **state) {
    (void)state;
    static const struct {
        const char *options;
        uint64_t capacity;
    } cases[] = {{"k=1", 100}, {"k=10", 100}, {"k=11", 110}, {"k=1000", 10000}, {"k=5 capacity=5", 5}};
    const struct tw_aggregate *top = tw_aggregate_find(tumble_bytes_of("top"), tumble_bytes_of(""));
    static struct stepping_options options;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(stepping_options_of(&options, top, cases[i].options, NULL), TUMBLE_OK);
        assert_int_equal(options.params.derived[1], cases[i].capacity);
    }
    struct tumble_error err;
    assert_int_equal(stepping_options_of(&options, top, "k=10 capacity=9", &err), TUMBLE_ESPEC);
    assert_non_null(strstr(err.text, "capacity of 9"));
}

static void columns_are_the_array_and_whether_it_is_exact(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=1");
    tw_buf_clear(&s.out);
    assert_true(s.aggregate->column(&s.params, 0, &s.out));
    assert_int_equal(s.out.length, 0);
    assert_true(s.aggregate->column(&s.params, 1, &s.out));
    assert_true(tumble_bytes_equal(tw_buf_view(&s.out), tumble_bytes_of("_exact")));
    assert_false(s.aggregate->column(&s.params, 2, &s.out));
    stepping_clean_up(&s);
}

static void while_keys_fit_any_order_cut_and_merge_gives_the_same_bytes(void **state) {
    (void)state;
    law_holds_for("top", "k=3 capacity=40", 300, false, 40);
    law_holds_for("top", "k=3 capacity=40", 300, true, 40);
    law_holds_for("top", "k=1000", 100, true, 40);
}

/* ---- past the capacity ---- */

enum { KEYS = 400 };

struct stream {
    uint32_t true_counts[KEYS]; /* in halves */
    uint64_t sum;
};

/* Zipf-like: low keys are frequent; some streams are flat. */
static uint64_t draw_key(bool skewed) {
    uint64_t key = law_draw(KEYS);
    while (skewed && key > 0 && law_draw(key + 1) > 3) {
        key = law_draw(key);
    }
    return key;
}

static void feed_stream(const struct law *law, struct stream *stream, void *state, struct tw_heap *heap, int records,
                        bool skewed) {
    for (int i = 0; i < records; i++) {
        uint64_t which = draw_key(skewed);
        uint32_t halves = law->with_second ? (uint32_t)law_draw(20) : 2;
        char key_text[24], weight_text[24];
        snprintf(key_text, sizeof key_text, which % 2 ? "%u" : "\"key %u\"", (unsigned)which);
        snprintf(weight_text, sizeof weight_text, "%u.%u", halves / 2, halves % 2 * 5);
        struct tw_value key = value_of(key_text);
        struct tw_value weight = value_of(weight_text);
        struct tw_input input = {.value = &key, .second = law->with_second ? &weight : NULL};
        step_input(law->aggregate, &law->options.params, state, &input, heap);
        stream->true_counts[which] += halves;
        stream->sum += halves;
    }
}

static uint64_t halves_of(const struct tw_total *total) {
    struct tw_buf text;
    char bytes[80];
    tw_buf_init(&text, tw_alloc_default(), 80);
    assert_int_equal(tw_total_value(total, 1, &text), TUMBLE_OK);
    memcpy(bytes, text.data, text.length);
    bytes[text.length] = '\0';
    tw_buf_clean_up(&text);
    if (strcmp(bytes, "null") == 0) {
        return 0;
    }
    char *point;
    uint64_t whole = strtoul(bytes, &point, 10);
    assert_true(*point == '\0' || strcmp(point, ".5") == 0);
    return whole * 2 + (*point ? 1 : 0);
}

/* True count in [count - error, count] for every counter, no error above N / capacity; every key above N / capacity has
 * one; counts add up to N at most; no key without one is above the lowest count. */
static void assert_bounds(const struct law *law, const struct stream *stream, const void *state) {
    const struct tw_space_saving *summary = state;
    uint64_t capacity = law->options.params.derived[1];
    struct tumble_alloc alloc = tw_alloc_default();
    struct tw_counter **list = tw_space_saving_list(summary, &alloc);
    bool present[KEYS] = {false};
    uint64_t sum = 0;
    uint64_t lowest = UINT64_MAX;
    assert_true(summary->overflowed);
    assert_int_equal(summary->count, capacity);
    for (uint32_t i = 0; i < summary->count; i++) {
        struct tw_value key;
        tw_counter_key(list[i], &key);
        uint64_t which = key.number.low * (uint64_t)tw_power_of_ten[key.number.exponent];
        if (key.type == TUMBLE_TYPE_STRING) {
            char text[24] = "";
            memcpy(text, key.text.data, key.text.length);
            which = strtoul(text + 4, NULL, 10);
        }
        assert_true(which < KEYS && !present[which]);
        present[which] = true;
        uint64_t count = halves_of(&list[i]->count);
        uint64_t error = halves_of(&list[i]->error);
        assert_true(error < count && error * capacity <= stream->sum);
        assert_true(stream->true_counts[which] <= count);
        assert_true(stream->true_counts[which] + error >= count);
        sum += count;
        lowest = count < lowest ? count : lowest;
    }
    tw_free(&alloc, list);
    assert_true(sum <= stream->sum);
    assert_true(lowest * capacity <= stream->sum);
    for (size_t key = 0; key < KEYS; key++) {
        assert_true(present[key] || stream->true_counts[key] * capacity <= stream->sum);
        assert_true(present[key] || stream->true_counts[key] <= lowest);
    }
}

static void past_the_capacity_every_bound_holds(void **state) {
    (void)state;
    static struct law law;
    static const char *const options[] = {"k=1 capacity=1", "k=2 capacity=2", "k=3 capacity=7", "k=10 capacity=50"};
    struct tw_buf bytes;
    tw_buf_init(&bytes, tw_alloc_default(), 1 << 20);
    for (int round = 0; round < 80; round++) {
        law_begin(&law, "top", options[law_draw(4)], law_draw(2));
        uint64_t states[4][8];
        struct tw_heap heaps[4];
        struct stream stream;
        memset(&stream, 0, sizeof stream);
        bool skewed = law_draw(3);
        for (int i = 0; i < 4; i++) {
            tw_heap_init(&heaps[i], tw_alloc_default());
            law.aggregate->init(states[i], &law.options.params);
            for (int run = 0; run < 3; run++) {
                feed_stream(&law, &stream, states[i], &heaps[i], (int)law_draw(i ? 300 : 800) + (i ? 0 : 400), skewed);
                if (law_draw(2)) {
                    law_store_and_read(&law, states[i], &heaps[i], &bytes);
                }
            }
            if (i == 0) {
                assert_bounds(&law, &stream, states[0]);
            }
        }
        for (int i = 1; i < 4; i++) {
            assert_int_equal(law.aggregate->merge(states[0], &law.options.params, states[i], &heaps[0]), TUMBLE_OK);
            tw_heap_clean_up(&heaps[i]);
        }
        assert_bounds(&law, &stream, states[0]);
        feed_stream(&law, &stream, states[0], &heaps[0], 300, skewed);
        assert_bounds(&law, &stream, states[0]);
        tw_heap_clean_up(&heaps[0]);
    }
    tw_buf_clean_up(&bytes);
}

/* Whatever sandbox a state moves through, the same records give the same bytes. */
static void storing_in_between_changes_nothing_past_the_capacity_either(void **state) {
    (void)state;
    static struct law law;
    struct tw_buf left;
    struct tw_buf right;
    tw_buf_init(&left, tw_alloc_default(), 1 << 20);
    tw_buf_init(&right, tw_alloc_default(), 1 << 20);
    for (int round = 0; round < 200; round++) {
        struct tw_heap heaps[2];
        uint64_t states[2][8];
        law_begin(&law, "top", "k=2 capacity=6", round % 2);
        for (int i = 0; i < 2; i++) {
            tw_heap_init(&heaps[i], tw_alloc_default());
            law.aggregate->init(states[i], &law.options.params);
        }
        for (int batch = 0; batch < 6; batch++) {
            law_draw_records(&law, 1 + law_draw(60));
            for (size_t i = 0; i < LAW_RECORDS; i++) {
                struct tw_input input = law_input(&law, i);
                for (int k = 0; k < 2; k++) {
                    step_input(law.aggregate, &law.options.params, states[k], &input, &heaps[k]);
                }
                if (law_draw(5) == 0) {
                    law_store_and_read(&law, states[1], &heaps[1], &right);
                }
            }
        }
        law_snapshot(&law, states[0], &left);
        law_snapshot(&law, states[1], &right);
        assert_true(tumble_bytes_equal(tw_buf_view(&left), tw_buf_view(&right)));
        tw_heap_clean_up(&heaps[0]);
        tw_heap_clean_up(&heaps[1]);
    }
    tw_buf_clean_up(&left);
    tw_buf_clean_up(&right);
}

static void merging_two_overflowed_states_commutes(void **state) {
    (void)state;
    static struct law law;
    struct tw_buf texts[2];
    law_begin(&law, "top", "k=3 capacity=5", true);
    for (int round = 0; round < 200; round++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            uint64_t before = law_seed; /* the same two sets of records both times */
            struct tw_heap heaps[2];
            uint64_t states[2][8];
            for (int i = 0; i < 2; i++) {
                tw_heap_init(&heaps[i], tw_alloc_default());
                law.aggregate->init(states[i], &law.options.params);
                law_draw_records(&law, 1 + law_draw(40));
                for (size_t r = 0; r < LAW_RECORDS; r++) {
                    struct tw_input input = law_input(&law, r);
                    step_input(law.aggregate, &law.options.params, states[i], &input, &heaps[i]);
                }
            }
            assert_int_equal(
                law.aggregate->merge(states[swapped], &law.options.params, states[!swapped], &heaps[swapped]),
                TUMBLE_OK);
            tw_buf_init(&texts[swapped], tw_alloc_default(), 1 << 20);
            law_snapshot(&law, states[swapped], &texts[swapped]);
            tw_heap_clean_up(&heaps[0]);
            tw_heap_clean_up(&heaps[1]);
            if (!swapped) {
                law_seed = before;
            }
        }
        assert_true(tumble_bytes_equal(tw_buf_view(&texts[0]), tw_buf_view(&texts[1])));
        tw_buf_clean_up(&texts[0]);
        tw_buf_clean_up(&texts[1]);
    }
}

/* ---- memory ---- */

static void growth_holds_for_steps_at_once(void **state) {
    (void)state;
    law_growth_is_honest("top", "k=3 capacity=5", false);
    law_growth_is_honest("top", "k=3 capacity=5", true);
    law_growth_is_honest("top", "k=3 capacity=65536", true);
}

static void counters_taken_over_reuse_their_blocks(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=5 capacity=20");
    size_t bytes = 0;
    for (int i = 0; i < 20000; i++) {
        char key[16];
        snprintf(key, sizeof key, "\"%08d\"", i);
        feed(&s, key);
        if (i == 100) {
            bytes = s.heap.bytes;
        }
    }
    assert_int_equal(s.heap.bytes, bytes);
    stepping_clean_up(&s);
}

static void merge_without_memory_says_so(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=1");
    feed(&s, "true");
    uint64_t other[8];
    s.aggregate->init(other, &s.params);
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    assert_int_equal(s.aggregate->merge(other, &s.params, s.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
}

/* ---- stored forms ---- */

static void assert_encoding(struct stepping *s, const char *golden, size_t length) {
    tw_buf_clear(&s->out);
    assert_int_equal(s->aggregate->encode(s->state, &s->params, &s->out), TUMBLE_OK);
    assert_int_equal(s->out.length, length);
    assert_memory_equal(s->out.data, golden, length);
}

static void the_stored_forms_are_fixed(void **state) {
    (void)state;
    static const char exact[] = "\x04"
                                "\x03\x01\x00\x01" /* true: 1 */
                                "\x05\x01"
                                "b\x01\x02\x01"; /* "b": 10 */
    static const char overflowed[] = "\x05"
                                     "\x05\x01"
                                     "b\x01\x02\x01\x00" /* "b": 10 */
                                     "\x05\x01"
                                     "c\x01\x01\x19\x01\x00\x01"; /* "c": 2.5, of which 1 may be true's */
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=1 capacity=2");
    feed_both_at(&s, "\"b\"", "7", 0, "1", 0);
    feed_both_at(&s, "true", "1", 0, "1", 0);
    feed_both_at(&s, "\"b\"", "3", 0, "1", 0);
    assert_encoding(&s, exact, sizeof exact - 1);
    feed_both_at(&s, "\"c\"", "1.5", 0, "1", 0);
    assert_encoding(&s, overflowed, sizeof overflowed - 1);
    stepping_clean_up(&s);
}

static void what_encode_never_writes_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } forms[] = {
        {"", 0},
        {"\x06\x02\x01\x00\x01\x03\x01\x00\x01\x05\x00\x01\x00\x01", 14}, /* three counters of two */
        {"\x03\x02\x01\x00\x01\x00", 6},                                  /* overflowed with a place left */
        {"\x01", 1},                                                      /* overflowed and empty */
        {"\x04\x03\x01\x00\x01\x02\x01\x00\x01", 9},                      /* keys descend */
        {"\x04\x03\x01\x00\x01\x03\x01\x00\x01", 9},                      /* a key twice */
        {"\x02\x02\x00", 3},                                              /* no count */
        {"\x02\x02\x01\x00\x00", 5},                                      /* a count of 0 */
        {"\x02\x02\x02\x00\x01", 5},                                      /* below 0 */
        {"\x02\x07\x01\x00\x01", 5},                                      /* an object */
        {"\x05\x02\x01\x00\x01\x01\x00\x01\x03\x01\x00\x01\x00", 13},     /* all of a count is error */
        {"\x05\x02\x01\x00\x01\x01\x00\x00\x03\x01\x00\x01\x00", 13},     /* an error of 0 as a sum */
        {"\x05\x02\x01\x00\x01\x02\x00\x01\x03\x01\x00\x01\x00", 13},     /* an error below 0 */
        {"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},                 /* more counters than there are numbers */
    };
    struct stepping s;
    stepping_init_with(&s, "top", "", "k=1 capacity=2");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tumble_bytes bytes = {forms[i].bytes, forms[i].length};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        struct tumble_error err;
        uint64_t read[8];
        s.aggregate->init(read, &s.params);
        assert_int_equal(s.aggregate->decode(read, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
        assert_non_null(strstr(err.text, "damaged"));
    }
    stepping_clean_up(&s);
}

static void random_damage_is_refused_or_canonical(void **state) {
    (void)state;
    law_damage_is_seen("top", "k=2 capacity=4", 3000, false);
    law_damage_is_seen("top", "k=2 capacity=4", 3000, true);
}

/* ---- totals ---- */

static void totals_compare_whatever_their_form(void **state) {
    (void)state;
    static const char *const ascending[] = {"-1e300", "-12.5", "-1", "0",    "1e-300", "0.1",   "0.11",
                                            "1",      "1.5",   "12", "1e20", "1e34",   "9e307", "9.5e308"};
    enum { COUNT = sizeof ascending / sizeof *ascending };
    struct tw_heap heap;
    tw_heap_init(&heap, tw_alloc_default());
    struct tw_total totals[COUNT][2];
    memset(totals, 0, sizeof totals);
    for (int i = 0; i < COUNT; i++) {
        struct tw_value value = value_of(ascending[i]);
        struct tw_value far = value_of("1e-320");
        struct tw_value back = value_of("-1e-320");
        tw_total_add(&totals[i][0], &value.number, &heap);
        tw_total_add(&totals[i][1], &value.number, &heap); /* the same as limbs */
        tw_total_add(&totals[i][1], &far.number, &heap);
        tw_total_add(&totals[i][1], &back.number, &heap);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < COUNT; k++) {
            for (int form = 0; form < 4; form++) {
                int order = tw_total_compare(&totals[i][form & 1], &totals[k][form >> 1]);
                assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            }
        }
    }
    struct tw_total empty = {0};
    assert_int_equal(tw_total_compare(&empty, &totals[3][1]), 0);
    assert_int_equal(tw_total_compare(&empty, &totals[COUNT - 1][1]), -1);
    size_t bytes = heap.bytes;
    for (int i = 0; i < 1000; i++) { /* what clear gives back is taken again */
        struct tw_total copy = {0};
        assert_int_equal(tw_total_merge(&copy, &totals[0][1], &heap), TUMBLE_OK);
        tw_total_clear(&copy, &heap);
        assert_int_equal(copy.form, TW_TOTAL_EMPTY);
    }
    assert_true(heap.bytes <= bytes + 8192);
    tw_heap_clean_up(&heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_frequent_come_first_then_by_key),
        cmocka_unit_test(weights_are_added_exactly),
        cmocka_unit_test(a_new_key_takes_over_the_lowest_count),
        cmocka_unit_test(equal_lowest_counts_give_way_from_the_greatest_key),
        cmocka_unit_test(negative_weights_are_refused_before_any_step),
        cmocka_unit_test(the_capacity_is_ten_times_k_but_a_hundred_at_least),
        cmocka_unit_test(columns_are_the_array_and_whether_it_is_exact),
        cmocka_unit_test(while_keys_fit_any_order_cut_and_merge_gives_the_same_bytes),
        cmocka_unit_test(past_the_capacity_every_bound_holds),
        cmocka_unit_test(storing_in_between_changes_nothing_past_the_capacity_either),
        cmocka_unit_test(merging_two_overflowed_states_commutes),
        cmocka_unit_test(growth_holds_for_steps_at_once),
        cmocka_unit_test(counters_taken_over_reuse_their_blocks),
        cmocka_unit_test(merge_without_memory_says_so),
        cmocka_unit_test(the_stored_forms_are_fixed),
        cmocka_unit_test(what_encode_never_writes_is_refused),
        cmocka_unit_test(random_damage_is_refused_or_canonical),
        cmocka_unit_test(totals_compare_whatever_their_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
