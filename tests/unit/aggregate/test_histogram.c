#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "aggregate/stepping.h"

static uint64_t seed = 0xd1b54a32d192ed03;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void a_bound_begins_its_bucket(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "histogram", "", "bounds=10,20");
    assert_string_equal(result_of(&s), "null");
    static const char *const numbers[] = {
        "9.999999999999999999999999999999999", "10", "1e1", "19.99", "20", "1e308", "-1e308"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        feed(&s, numbers[i]);
    }
    assert_string_equal(result_of(&s), "[{\"below\":10,\"count\":2},{\"from\":10,\"below\":20,\"count\":3},"
                                       "{\"from\":20,\"count\":2}]");
    stepping_clean_up(&s);
}

static void one_bound_makes_two_buckets(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "histogram", "", "bounds=-0.50");
    feed(&s, "-0.5");
    assert_string_equal(result_of(&s), "[{\"below\":-0.5,\"count\":0},{\"from\":-0.5,\"count\":1}]");
    stepping_clean_up(&s);
}

static size_t put_bound(char *out, size_t at, const char *key, const char *bound) {
    if (bound) {
        struct tw_value value = value_of(bound);
        at += (size_t)sprintf(out + at, "\"%s\":", key);
        at += tw_decimal_format(&value.number, out + at);
        out[at++] = ',';
    }
    return at;
}

static void numbers_fall_where_a_walk_over_the_bounds_puts_them(void **state) {
    (void)state;
    static const char *const bounds[] = {"-1e300", "-7.25", "-1", "-1e-300", "0",   "1e-324",
                                         "0.1",    "0.11",  "3",  "4",       "1e20"};
    enum { BOUNDS = sizeof bounds / sizeof *bounds };
    struct stepping s;
    stepping_init_with(&s, "histogram", "", "bounds=-1e300,-7.25,-1,-1e-300,0,1e-324,0.1,0.11,3,4,1e20");
    uint64_t expected[BOUNDS + 1] = {0};
    for (int i = 0; i < 2000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s%d.%02de%d", draw(2) ? "-" : "", (int)draw(10), (int)draw(100),
                 draw(3) ? 0 : (int)draw(600) - 300);
        const char *number = draw(4) ? text : bounds[draw(BOUNDS)];
        struct tw_value value = value_of(number);
        size_t bucket = 0;
        for (; bucket < BOUNDS; bucket++) {
            struct tw_value bound = value_of(bounds[bucket]);
            if (tw_decimal_compare(&value.number, &bound.number) < 0) {
                break;
            }
        }
        expected[bucket]++;
        feed(&s, number);
    }
    char wanted[1024];
    size_t length = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        wanted[length++] = i ? ',' : '[';
        wanted[length++] = '{';
        length = put_bound(wanted, length, "from", i > 0 ? bounds[i - 1] : NULL);
        length = put_bound(wanted, length, "below", i < BOUNDS ? bounds[i] : NULL);
        length += (size_t)sprintf(wanted + length, "\"count\":%llu}", (unsigned long long)expected[i]);
    }
    strcat(wanted, "]");
    assert_string_equal(result_of(&s), wanted);
    stepping_clean_up(&s);
}

static void parts_add_up_to_the_whole(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct stepping whole;
        struct stepping parts[3];
        static const char options[] = "bounds=-100,-1,0,0.5,50,300,301";
        stepping_init_with(&whole, "histogram", "", options);
        for (int i = 0; i < 3; i++) {
            stepping_init_with(&parts[i], "histogram", "", options);
        }
        for (uint64_t i = draw(30); i > 0; i--) {
            char text[32];
            snprintf(text, sizeof text, "%d.%d", (int)draw(700) - 350, (int)draw(10));
            feed(&whole, text);
            feed(&parts[draw(3)], text);
        }
        for (int i = 0; i < 3; i++) { /* each part by its bytes, then into the first */
            uint64_t read[8];
            tw_buf_clear(&parts[i].out);
            assert_int_equal(whole.aggregate->encode(parts[i].state, &whole.params, &parts[i].out), TUMBLE_OK);
            struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&parts[i].out));
            whole.aggregate->init(read, &whole.params);
            assert_int_equal(whole.aggregate->decode(read, &whole.params, &cursor, &parts[i].heap, NULL), TUMBLE_OK);
            assert_int_equal(tw_cursor_left(&cursor), 0);
            if (i) {
                assert_int_equal(whole.aggregate->merge(parts[0].state, &whole.params, read, &parts[0].heap),
                                 TUMBLE_OK);
            }
        }
        tw_buf_clear(&whole.out);
        tw_buf_clear(&parts[0].out);
        assert_int_equal(whole.aggregate->encode(whole.state, &whole.params, &whole.out), TUMBLE_OK);
        assert_int_equal(whole.aggregate->encode(parts[0].state, &whole.params, &parts[0].out), TUMBLE_OK);
        assert_true(tumble_bytes_equal(tw_buf_view(&whole.out), tw_buf_view(&parts[0].out)));
        assert_string_equal(result_of(&whole), result_of(&parts[0]));
        stepping_clean_up(&whole);
        for (int i = 0; i < 3; i++) {
            stepping_clean_up(&parts[i]);
        }
    }
}

#define BYTES(TEXT) (TEXT), sizeof(TEXT) - 1

static void stored_bytes_are_these(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "histogram", "", "bounds=1,2");
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, 1);
    assert_int_equal(s.out.data[0], 0);
    for (int i = 0; i < 200; i++) {
        feed(&s, "1.5");
    }
    feed(&s, "2");
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, 5);
    assert_memory_equal(s.out.data, "\x03\x00\xc8\x01\x01", 5);
    stepping_clean_up(&s);
}

static void decode_refuses(const char *bytes, size_t length) {
    struct stepping s;
    struct tumble_error err;
    stepping_init_with(&s, "histogram", "", "bounds=1,2");
    struct tumble_bytes view = {bytes, length};
    struct tw_cursor cursor = tw_cursor_of(view);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "damaged"));
    stepping_clean_up(&s);
}

static void decode_refuses_other_bounds_no_records_and_too_many(void **state) {
    (void)state;
    decode_refuses(BYTES(""));
    decode_refuses(BYTES("\x02\x01\x01"));
    decode_refuses(BYTES("\x04\x01\x01\x01\x01"));
    decode_refuses(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"));
    decode_refuses(BYTES("\x03\x01\x01"));
    decode_refuses(BYTES("\x03\x00\x00\x00"));
    decode_refuses(BYTES("\x03\x81\x00\x00\x01"));                             /* over-long */
    decode_refuses(BYTES("\x03\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00")); /* more than 2^63 − 1 */
}

static void two_hundred_and_fifty_six_bounds_are_held_in_one_block(void **state) {
    (void)state;
    struct stepping s;
    static struct tw_decimal bounds[256];
    stepping_init_with(&s, "histogram", "", "bounds=1");
    for (uint64_t i = 0; i < 256; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", (int)i + 1);
        assert_int_equal(tw_decimal_parse(&bounds[i], text, strlen(text), NULL), TUMBLE_OK);
    }
    s.params.options[0].numbers = bounds;
    s.params.options[0].count = 256;
    struct tw_value value = value_of("256");
    struct tw_input input = {.value = &value};
    size_t growth = s.aggregate->growth(s.state, &s.params, &input);
    assert_int_equal(growth, tw_heap_size(257 * sizeof(uint64_t)));
    assert_true(tw_heap_reserve(&s.heap, growth));
    size_t held = s.heap.bytes;
    s.aggregate->step(s.state, &s.params, &input, &s.heap);
    assert_int_equal(s.heap.bytes, held);
    assert_int_equal(s.aggregate->growth(s.state, &s.params, &input), 0);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, 2 + 257);
    assert_int_equal(s.out.data[s.out.length - 1], 1);
    stepping_clean_up(&s);
}

static void no_memory_is_told(void **state) {
    (void)state;
    struct stepping s;
    struct stepping full;
    stepping_init_with(&s, "histogram", "", "bounds=1,2");
    stepping_init_with(&full, "histogram", "", "bounds=1,2");
    feed(&full, "1");
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    none.alloc.resize = refuse_to_resize;
    assert_int_equal(s.aggregate->merge(s.state, &s.params, full.state, &none), TUMBLE_ENOMEM);
    assert_int_equal(s.aggregate->encode(full.state, &s.params, &s.out), TUMBLE_OK);
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&s.out));
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &none, NULL), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
    stepping_clean_up(&full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_begins_its_bucket),
        cmocka_unit_test(one_bound_makes_two_buckets),
        cmocka_unit_test(numbers_fall_where_a_walk_over_the_bounds_puts_them),
        cmocka_unit_test(parts_add_up_to_the_whole),
        cmocka_unit_test(stored_bytes_are_these),
        cmocka_unit_test(decode_refuses_other_bounds_no_records_and_too_many),
        cmocka_unit_test(two_hundred_and_fifty_six_bounds_are_held_in_one_block),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
