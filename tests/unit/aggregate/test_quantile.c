#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aggregate/stepping.h"
#include "engine/aggregate/ddsketch.h"

static uint64_t seed = 0x2545f4914f6cdd1d;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void feed_range(struct stepping *s, int from, int to) {
    for (int i = from; i <= to; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        feed(s, text);
    }
}

static void assert_near(const char *text, double expected, double relative_error) {
    double off = strtod(text, NULL) / expected - 1;
    assert_true(off <= relative_error && off >= -relative_error);
}

static const struct tw_ddsketch *sketch_of(const struct stepping *s) { return (const void *)s->state; }

/* ---- what a row says ---- */

static void assert_suffix(const struct stepping *s, uint32_t column, const char *expected) {
    struct tw_buf suffix;
    tw_buf_init(&suffix, tw_alloc_default(), 64);
    assert_int_equal(s->aggregate->column(&s->params, column, &suffix), expected != NULL);
    if (expected) {
        assert_int_equal(suffix.length, strlen(expected));
        assert_memory_equal(suffix.length ? suffix.data : "", expected, suffix.length);
    }
    tw_buf_clean_up(&suffix);
}

static void one_q_has_the_plain_name_and_several_their_numbers(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5");
    assert_suffix(&s, 0, "");
    assert_suffix(&s, 1, "_relative_error");
    assert_suffix(&s, 2, NULL);
    stepping_clean_up(&s);
    stepping_init_with(&s, "quantile", "", "q=0,0.50,0.99,1e0");
    assert_suffix(&s, 0, "_0");
    assert_suffix(&s, 1, "_0.5");
    assert_suffix(&s, 2, "_0.99");
    assert_suffix(&s, 3, "_1");
    assert_suffix(&s, 4, "_relative_error");
    assert_suffix(&s, 5, NULL);
    stepping_clean_up(&s);
}

static void the_bound_of_a_column_names_what_was_asked_for(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5 relative_error=0.02 max_buckets=1000");
    assert_int_equal(s.aggregate->describe_bound(&s.params, 0, &s.out), TUMBLE_OK);
    assert_int_equal(s.aggregate->describe_bound(&s.params, 1, &s.out), TUMBLE_OK); /* itself exact */
    assert_true(tumble_bytes_equal(tw_buf_view(&s.out),
                                   tumble_bytes_of("relative error 0.02, or what the row says past 1000 buckets")));
    stepping_clean_up(&s);
}

static void every_column_of_no_numbers_is_null(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5,0.9");
    for (uint32_t column = 0; column < 3; column++) {
        assert_string_equal(column_of(&s, column), "null");
    }
    stepping_clean_up(&s);
}

static void a_rank_is_q_times_n_less_one_rounded_down(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0,0.249,0.25,0.5,0.999,1 relative_error=0.001");
    feed(&s, "-70");
    feed(&s, "-2.5");
    feed(&s, "0");
    feed(&s, "3.25");
    feed(&s, "1000000000000000000001");
    assert_string_equal(column_of(&s, 0), "-70");
    assert_string_equal(column_of(&s, 1), "-70");
    assert_near(column_of(&s, 2), -2.5, 0.001);
    assert_string_equal(column_of(&s, 3), "0");
    assert_near(column_of(&s, 4), 3.25, 0.001);
    assert_string_equal(column_of(&s, 5), "1000000000000000000001");
    assert_string_equal(column_of(&s, 6), "0.001");
    stepping_clean_up(&s);
}

static void a_constant_is_exact(void **state) {
    (void)state;
    static const char *const constants[] = {"19.99", "-19.99", "0", "1e-324",
                                            "9.999999999999999999999999999999999e+308"};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        struct stepping s;
        stepping_init_with(&s, "quantile", "", "q=0.01,0.5,0.99");
        for (int times = 0; times < 100; times++) {
            feed(&s, constants[i]);
        }
        for (uint32_t column = 0; column < 3; column++) {
            assert_string_equal(column_of(&s, column), constants[i]);
        }
        stepping_clean_up(&s);
    }
}

static void only_zeros_take_no_bucket(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5");
    feed(&s, "0");
    feed(&s, "-0.0");
    feed(&s, "0e5");
    assert_int_equal(sketch_of(&s)->count, 0);
    assert_int_equal(sketch_of(&s)->zeros, 3);
    assert_string_equal(result_of(&s), "0");
    stepping_clean_up(&s);
}

static void past_the_limit_buckets_collapse_and_the_row_says_so(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5 max_buckets=20");
    char text[16];
    for (int power = 0; power < 20; power++) {
        snprintf(text, sizeof text, "1e%d", power);
        feed(&s, text);
    }
    assert_int_equal(sketch_of(&s)->count, 20);
    assert_int_equal(sketch_of(&s)->level, 0);
    assert_string_equal(column_of(&s, 1), "0.01");
    feed(&s, "0.99"); /* in the bucket before that of 1: they become one */
    assert_int_equal(sketch_of(&s)->count, 20);
    assert_int_equal(sketch_of(&s)->level, 1);
    assert_string_equal(column_of(&s, 1), "0.0199981");
    assert_near(column_of(&s, 0), 1e9, 0.0199981);
    feed_range(&s, 1, 5000);
    assert_true(sketch_of(&s)->count <= 20);
    assert_true(strtod(column_of(&s, 1), NULL) > 0.3);
    stepping_clean_up(&s);
}

static void trailing_zeros_of_max_buckets_count(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5 max_buckets=1000 relative_error=0.0001");
    feed_range(&s, 1, 1000);
    assert_int_equal(sketch_of(&s)->level, 0);
    feed(&s, "1001");
    assert_true(sketch_of(&s)->level > 0);
    stepping_clean_up(&s);
}

/* ---- the law ---- */

enum { VALUES = 400, PARTS = 5 };
static struct tw_value values[VALUES];

static void draw_values(int count) {
    int style = (int)draw(4);
    for (int i = 0; i < count; i++) {
        char text[64];
        switch (style) {
        case 0: snprintf(text, sizeof text, "%d", (int)draw(60) - 30); break;
        case 1: snprintf(text, sizeof text, "%de%d", (int)draw(19) - 9, (int)draw(600) - 300); break;
        case 2: snprintf(text, sizeof text, "%d.%02d", (int)draw(3000), (int)draw(100)); break;
        default: snprintf(text, sizeof text, "%s1e%d", draw(2) ? "-" : "", (int)draw(40)); break;
        }
        values[i] = value_of(text);
    }
}

static void shuffle(int *order, int count) {
    for (int i = count - 1; i > 0; i--) {
        int j = (int)draw((uint64_t)i + 1);
        int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static void snapshot(struct stepping *s, const void *state) {
    tw_buf_clear(&s->out);
    assert_int_equal(s->aggregate->encode(state, &s->params, &s->out), TUMBLE_OK);
    for (uint32_t column = 0; column < 4; column++) {
        assert_int_equal(s->aggregate->value(state, &s->params, column, &s->out), TUMBLE_OK);
    }
}

static void store_and_read_back(struct stepping *s, void *state, struct tw_heap *heap) {
    tw_buf_clear(&s->out);
    assert_int_equal(s->aggregate->encode(state, &s->params, &s->out), TUMBLE_OK);
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&s->out));
    tw_heap_reset(heap);
    s->aggregate->init(state, &s->params);
    assert_int_equal(s->aggregate->decode(state, &s->params, &cursor, heap, NULL), TUMBLE_OK);
    assert_int_equal(tw_cursor_left(&cursor), 0);
}

static void any_order_cut_and_merge_gives_the_same_bytes_collapsed_or_not(void **state) {
    (void)state;
    static const char *const options[] = {"q=0.1,0.5,0.99", "q=0.1,0.5,0.99 max_buckets=16",
                                          "q=0.1,0.5,0.99 max_buckets=50 relative_error=0.0001",
                                          "q=0.1,0.5,0.99 max_buckets=17 relative_error=0.5"};
    const struct tw_position position = {0, {"1", 1}, 0};
    int collapsed = 0;
    for (int round = 0; round < 1200; round++) {
        struct stepping s;
        stepping_init_with(&s, "quantile", "", options[draw(4)]);
        int count = (int)draw(draw(2) ? 30 : VALUES);
        draw_values(count);
        for (int i = 0; i < count; i++) {
            step_value(s.aggregate, &s.params, s.state, &values[i], &position, &s.heap);
        }
        snapshot(&s, s.state);
        struct tw_buf expected = s.out;
        tw_buf_init(&s.out, tw_alloc_default(), 1 << 20);
        collapsed += sketch_of(&s)->level > 0;
        for (int again = 0; again < 3; again++) {
            uint64_t states[PARTS][8];
            struct tw_heap heaps[PARTS];
            int order[VALUES];
            int parts[PARTS];
            for (int i = 0; i < PARTS; i++) {
                parts[i] = i;
                tw_heap_init(&heaps[i], tw_alloc_default());
                s.aggregate->init(states[i], &s.params);
            }
            for (int i = 0; i < count; i++) {
                order[i] = i;
            }
            shuffle(order, count);
            shuffle(parts, PARTS);
            for (int i = 0; i < count; i++) {
                uint64_t part = draw(PARTS);
                step_value(s.aggregate, &s.params, states[part], &values[order[i]], &position, &heaps[part]);
                if (draw(64) == 0) {
                    store_and_read_back(&s, states[part], &heaps[part]);
                }
            }
            for (int i = 1; i < PARTS; i++) {
                assert_int_equal(s.aggregate->merge(states[parts[0]], &s.params, states[parts[i]], &heaps[parts[0]]),
                                 TUMBLE_OK);
                if (draw(4) == 0) {
                    store_and_read_back(&s, states[parts[0]], &heaps[parts[0]]);
                }
            }
            snapshot(&s, states[parts[0]]);
            assert_int_equal(s.out.length, expected.length);
            assert_memory_equal(s.out.data, expected.data, expected.length);
            for (int i = 0; i < PARTS; i++) {
                tw_heap_clean_up(&heaps[i]);
            }
        }
        tw_buf_clean_up(&expected);
        stepping_clean_up(&s);
    }
    assert_true(collapsed > 200 && collapsed < 1000);
}

static int compare_buckets(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The level by its definition, from all values at once. */
static void the_level_is_the_least_at_which_all_buckets_fit(void **state) {
    (void)state;
    const struct tw_position position = {0, {"1", 1}, 0};
    for (int round = 0; round < 300; round++) {
        struct stepping s;
        stepping_init_with(&s, "quantile", "", draw(2) ? "q=0.5 max_buckets=16" : "q=0.5 max_buckets=64");
        struct tw_ddsketch_scale scale = {s.params.derived[0], s.params.derived[1]};
        uint32_t limit = (uint32_t)s.params.derived[2];
        int32_t buckets[VALUES];
        size_t occupied = 0;
        draw_values(VALUES);
        for (int i = 0; i < VALUES; i++) {
            step_value(s.aggregate, &s.params, s.state, &values[i], &position, &s.heap);
            if (tw_decimal_coefficient(&values[i].number) != 0) {
                buckets[occupied++] = tw_ddsketch_bucket(&scale, &values[i].number);
            }
        }
        unsigned level = 0;
        size_t different;
        for (;; level++) {
            int32_t sorted[VALUES];
            for (size_t i = 0; i < occupied; i++) {
                sorted[i] = tw_ddsketch_collapse(buckets[i], level);
            }
            qsort(sorted, occupied, sizeof *sorted, compare_buckets);
            different = 1;
            for (size_t i = 1; i < occupied; i++) {
                different += sorted[i] != sorted[i - 1];
            }
            if (different <= limit) {
                break;
            }
        }
        assert_int_equal(sketch_of(&s)->level, level);
        assert_int_equal(sketch_of(&s)->count, different);
        stepping_clean_up(&s);
    }
}

/* ---- memory ---- */

static void a_step_takes_no_more_than_growth_said_before_the_steps_at_once(void **state) {
    (void)state;
    const struct tw_position position = {0, {"1", 1}, 0};
    struct stepping s;
    stepping_init_with(&s, "quantile", "", "q=0.5 max_buckets=300 relative_error=0.001");
    for (int round = 0; round < 60; round++) {
        struct tw_value batch[TW_STEPS_AT_ONCE + 1];
        size_t growth = 0;
        size_t last = 0;
        for (int i = 0; i <= TW_STEPS_AT_ONCE; i++) {
            char text[32];
            snprintf(text, sizeof text, "1.%06de%d", (int)draw(1000000), round < 10 ? 0 : (int)draw(200));
            batch[i] = value_of(text);
            struct tw_input input = {.value = &batch[i], .position = position};
            last = s.aggregate->growth(s.state, &s.params, &input);
            growth += last;
        }
        assert_true(tw_heap_reserve(&s.heap, growth));
        size_t held = s.heap.bytes;
        uint8_t blocks = sketch_of(&s)->block_log2;
        for (int i = 0; i <= TW_STEPS_AT_ONCE; i++) {
            struct tw_input input = {.value = &batch[i], .position = position};
            s.aggregate->step(s.state, &s.params, &input, &s.heap);
            assert_true(sketch_of(&s)->block_log2 == blocks || (size_t)1 << sketch_of(&s)->block_log2 <= last);
        }
        assert_int_equal(s.heap.bytes, held);
    }
    stepping_clean_up(&s);
}

static void no_memory_leaves_a_merge_undone(void **state) {
    (void)state;
    struct stepping few;
    struct stepping many;
    stepping_init_with(&few, "quantile", "", "q=0.5 max_buckets=64");
    stepping_init_with(&many, "quantile", "", "q=0.5 max_buckets=64");
    feed_range(&few, 1, 3);
    feed_range(&many, 1, 5000);
    assert_int_equal(few.aggregate->encode(few.state, &few.params, &few.out), TUMBLE_OK);
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    none.alloc.resize = refuse_to_resize;
    assert_int_equal(few.aggregate->merge(few.state, &few.params, many.state, &none), TUMBLE_ENOMEM);
    assert_int_equal(few.aggregate->encode(few.state, &few.params, &many.out), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&few.out), tw_buf_view(&many.out)));
    uint64_t empty[8];
    few.aggregate->init(empty, &few.params);
    assert_int_equal(few.aggregate->merge(empty, &few.params, many.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&few);
    stepping_clean_up(&many);
}

/* ---- stored bytes ---- */

static void to_hex(const struct tw_buf *bytes, char *hex) {
    for (size_t i = 0; i < bytes->length; i++) {
        sprintf(hex + 2 * i, "%02x", (unsigned char)bytes->data[i]);
    }
    hex[2 * bytes->length] = '\0';
}

static void stored_forms_are_these(void **state) {
    (void)state;
    static const struct {
        const char *options;
        const char *values;
        const char *hex;
    } golden[] = {
        {"q=0.5", "", "00"},
        {"q=0.5", "0", "01020002000100"},
        {"q=0.5", "19.99", "01030b02146400030b021464000001f4920501"},
        {"q=0.5", "-1 -1 0 0.5 0.505 120 1e300", "0101f4fef4ff030e010b000104c7900502a3900502930201de8e0201"},
        {"q=0.5 max_buckets=16", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 -5",
         "0401f4feccff030b021400000e9d5201925201030102010101000100010001000100020001000200030003"},
        {"q=0.5 relative_error=0.5 max_buckets=16", "1e-324 1e308 -1e308 -1e-324",
         "0101f1f6f4ff030e090b000004931601ba0a019c0101ba0a01"},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct stepping s;
        char copy[256];
        char hex[1024];
        stepping_init_with(&s, "quantile", "", golden[i].options);
        strcpy(copy, golden[i].values);
        for (char *at = strtok(copy, " "); at; at = strtok(NULL, " ")) {
            feed(&s, at);
        }
        assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
        to_hex(&s.out, hex);
        assert_string_equal(hex, golden[i].hex);
        stepping_clean_up(&s);
    }
}

/* 16 buckets at most, 0.01. */
static bool decodes(const char *hex) {
    static const char digits[] = "0123456789abcdef";
    struct stepping s;
    struct tumble_error err;
    char bytes[256];
    size_t length = 0;
    for (const char *at = hex; *at; at++) { /* spaces between fields */
        const char *digit = *at == ' ' ? NULL : strchr(digits, *at);
        if (digit) {
            int nibble = (int)(digit - digits);
            bytes[length / 2] = (char)(length % 2 ? (bytes[length / 2] << 4) + nibble : nibble);
            length++;
        }
    }
    stepping_init_with(&s, "quantile", "", "q=0.5 max_buckets=16");
    struct tumble_bytes view = {bytes, length / 2};
    struct tw_cursor cursor = tw_cursor_of(view);
    enum tumble_code code = s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, &err);
    assert_true(code == TUMBLE_OK || code == TUMBLE_ECORRUPT);
    if (code == TUMBLE_ECORRUPT) {
        assert_int_equal(sketch_of(&s)->count, 0);
        assert_null(sketch_of(&s)->block);
    }
    stepping_clean_up(&s);
    return code == TUMBLE_OK;
}

/* 1 is 030b010b00 in its ordered form, its bucket 42019, zigzag 84038 = c69005; 0 is 0200. */
static void what_encode_never_writes_is_refused(void **state) {
    (void)state;
    assert_true(decodes("01 030b010b00 030b010b00 00 01 c69005 01"));
    assert_true(decodes("01 0200 0200 07 00"));
    static const char *const refused[] = {
        "",
        "1a 0200 0200 07 00",                       /* level 25 */
        "01 0200 0200 00 00",                       /* nothing in it */
        "01 0200 0200 ffffffffffffffffff01 00",     /* more zeros than records can be */
        "02 0200 0200 07 00",                       /* collapsed without need */
        "01 0200 030b010b00 07 00",                 /* an end without its bucket */
        "01 0200 0200 01 01 c69005 01",             /* a bucket above the greatest */
        "01 030b010b00 030b010b00 01 01 c69005 01", /* a zero below the least */
        "01 030b010b00 030b010b00 00 01 c69005 00", /* an empty bucket */
        "01 030b010b00 030b010b00 00 01 ca9005 01", /* not the bucket of its end */
        "01 030b010b00 030b010b00 00 01 c59005 01", /* a bucket of negative numbers */
        "01 030b010b00 030b010b00 00 02 c69005 01", /* cut off */
        "01 030b010b00 030b010b00 00 11 c69005 01 0001000100010001000100010001000100010001000100010001",
        "01 030b010b00 030b010b00 00 01 c6900500 01", /* long form of a varint */
        "01 030b010b00 030b010b00 00 01 ffffffff0f 01",
        "01 030b010b00 030b010b00 00 01 c69005 8080808080808080 8001", /* 2^63 */
        "01 030b010c00 030b010b00 00 01 c69005 02",                    /* least above greatest */
        "01 030b010b00 030b010b01 00 01 c69005 02",
        "01 030b010b00 030b010c00 00 01 c69005 01", /* two ends of one number */
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (decodes(refused[i])) {
            fail_msg("%s was read", refused[i]);
        }
    }
}

/* Whatever is let in can be used: merged, collapsed, asked, stored again as it was. */
static void mutated_bytes_are_refused_or_canonical(void **state) {
    (void)state;
    const struct tw_position position = {0, {"1", 1}, 0};
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < 6000; round++) {
        struct stepping s;
        stepping_init_with(&s, "quantile", "", draw(2) ? "q=0.1,0.5,0.9 max_buckets=16" : "q=0,0.5,0.6");
        int count = (int)draw(40);
        draw_values(count);
        for (int i = 0; i < count; i++) {
            step_value(s.aggregate, &s.params, s.state, &values[i], &position, &s.heap);
        }
        assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
        size_t length = draw(4) ? s.out.length : draw(s.out.length + 1);
        char *bytes = malloc(length ? length : 1); /* an exact copy: reading past the end is seen */
        assert_non_null(bytes);
        memcpy(bytes, s.out.data, length);
        for (uint64_t flips = draw(3); flips > 0 && length; flips--) {
            bytes[draw(length)] = (char)(draw(2) ? draw(256) : draw(4));
        }
        struct tumble_bytes view = {bytes, length};
        struct tw_cursor cursor = tw_cursor_of(view);
        uint64_t read[8];
        s.aggregate->init(read, &s.params);
        if (s.aggregate->decode(read, &s.params, &cursor, &s.heap, NULL) == TUMBLE_OK) {
            accepted++;
            tw_buf_clear(&s.out);
            assert_int_equal(s.aggregate->encode(read, &s.params, &s.out), TUMBLE_OK);
            assert_int_equal(s.out.length, cursor.at - bytes);
            assert_memory_equal(s.out.data, bytes, s.out.length);
            snapshot(&s, read);
            for (int i = 0; i < count; i++) {
                step_value(s.aggregate, &s.params, read, &values[i], &position, &s.heap);
            }
            assert_int_equal(s.aggregate->merge(s.state, &s.params, read, &s.heap), TUMBLE_OK);
            assert_int_equal(s.aggregate->merge(read, &s.params, s.state, &s.heap), TUMBLE_OK);
            snapshot(&s, read);
        } else {
            refused++;
        }
        free(bytes);
        stepping_clean_up(&s);
    }
    assert_true(accepted > 1000 && refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_q_has_the_plain_name_and_several_their_numbers),
        cmocka_unit_test(the_bound_of_a_column_names_what_was_asked_for),
        cmocka_unit_test(every_column_of_no_numbers_is_null),
        cmocka_unit_test(a_rank_is_q_times_n_less_one_rounded_down),
        cmocka_unit_test(a_constant_is_exact),
        cmocka_unit_test(only_zeros_take_no_bucket),
        cmocka_unit_test(past_the_limit_buckets_collapse_and_the_row_says_so),
        cmocka_unit_test(trailing_zeros_of_max_buckets_count),
        cmocka_unit_test(any_order_cut_and_merge_gives_the_same_bytes_collapsed_or_not),
        cmocka_unit_test(the_level_is_the_least_at_which_all_buckets_fit),
        cmocka_unit_test(a_step_takes_no_more_than_growth_said_before_the_steps_at_once),
        cmocka_unit_test(no_memory_leaves_a_merge_undone),
        cmocka_unit_test(stored_forms_are_these),
        cmocka_unit_test(what_encode_never_writes_is_refused),
        cmocka_unit_test(mutated_bytes_are_refused_or_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
