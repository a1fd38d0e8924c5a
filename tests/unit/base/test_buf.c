#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "engine/base/buf.h"

static int left; /* calls the allocator still serves */

static void *scarce_alloc(void *ctx, size_t size) {
    (void)ctx;
    return left-- > 0 ? malloc(size) : NULL;
}

static void *scarce_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return left-- > 0 ? realloc(pointer, new_size) : NULL;
}

static void scarce_release(void *ctx, void *pointer) {
    (void)ctx;
    free(pointer);
}

static void buf_grows_up_to_its_cap_and_then_says_limit(void **state) {
    (void)state;
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tw_buf_append_byte(&buf, (char)i), TUMBLE_OK);
    }
    assert_int_equal(tw_buf_append_byte(&buf, 'x'), TUMBLE_ELIMIT);
    assert_int_equal(tw_buf_append(&buf, "xy", 2), TUMBLE_ELIMIT);
    assert_int_equal(tw_buf_reserve(&buf, SIZE_MAX), TUMBLE_ELIMIT);
    assert_int_equal(buf.length, 1000);
    assert_int_equal(buf.data[999], (char)999);
    tw_buf_clean_up(&buf);
    tw_buf_clean_up(&buf);
    assert_null(buf.data);
}

static void buf_without_memory_keeps_what_it_holds(void **state) {
    (void)state;
    struct tumble_alloc alloc = {scarce_alloc, scarce_resize, scarce_release, NULL};
    struct tw_buf buf;
    tw_buf_init(&buf, alloc, 100000);
    left = 1;
    assert_int_equal(tw_buf_append_text(&buf, "kept"), TUMBLE_OK);
    assert_int_equal(tw_buf_reserve(&buf, 50000), TUMBLE_ENOMEM);
    assert_true(tumble_bytes_equal(tw_buf_view(&buf), tumble_bytes_of("kept")));
    assert_int_equal(tw_buf_append(&buf, NULL, 0), TUMBLE_OK);
    tw_buf_clean_up(&buf);
}

static void buf_json_string_escapes_what_json_must(void **state) {
    (void)state;
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    struct tumble_bytes text = {"a\"b\\c\n\r\t\b\f\x01\0\x1f/\xc3\xa9", 16};
    assert_int_equal(tw_buf_append_json_string(&buf, text), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&buf),
                                   tumble_bytes_of("\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u0000\\u001f/\xc3\xa9\"")));
    tw_buf_clear(&buf);
    assert_int_equal(tw_buf_append_json_string(&buf, tumble_bytes_of("")), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&buf), tumble_bytes_of("\"\"")));
    tw_buf_clean_up(&buf);
}

static void buf_integers_are_read_back(void **state) {
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 255, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        tw_buf_clear(&buf);
        assert_int_equal(tw_buf_append_u32(&buf, (uint32_t)values[i]), TUMBLE_OK);
        assert_int_equal(tw_buf_append_u64(&buf, values[i]), TUMBLE_OK);
        assert_int_equal(tw_buf_append_varint(&buf, values[i]), TUMBLE_OK);
        struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&buf));
        uint32_t small;
        uint64_t large;
        uint64_t varint;
        assert_true(tw_take_u32(&cursor, &small));
        assert_true(tw_take_u64(&cursor, &large));
        assert_true(tw_take_varint(&cursor, &varint));
        assert_int_equal(small, (uint32_t)values[i]);
        assert_true(large == values[i] && varint == values[i]);
        assert_int_equal(tw_cursor_left(&cursor), 0);
    }
    tw_buf_clear(&buf);
    assert_int_equal(tw_buf_append_u32(&buf, 0x01020304), TUMBLE_OK);
    assert_memory_equal(buf.data, "\x04\x03\x02\x01", 4);
    tw_buf_clean_up(&buf);
}

static void cursor_takes_nothing_that_is_not_there(void **state) {
    (void)state;
    struct tumble_bytes bytes = {"abc", 3};
    struct tw_cursor cursor = tw_cursor_of(bytes);
    uint32_t small;
    uint64_t large;
    struct tumble_bytes out;
    assert_false(tw_take_u32(&cursor, &small));
    assert_false(tw_take_u64(&cursor, &large));
    assert_false(tw_take_bytes(&cursor, 4, &out));
    assert_false(tw_take_bytes(&cursor, SIZE_MAX, &out));
    assert_ptr_equal(cursor.at, bytes.data);
    assert_true(tw_take_bytes(&cursor, 3, &out));
    uint8_t byte;
    assert_false(tw_take_u8(&cursor, &byte));
    struct tumble_bytes none = {NULL, 0};
    cursor = tw_cursor_of(none);
    assert_false(tw_take_u8(&cursor, &byte));
}

static void varint_refuses_cut_long_and_too_great_forms(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"", 0},
        {"\x80", 1},
        {"\x80\x00", 2},
        {"\xff\x80\x00", 3},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tumble_bytes bytes = {bad[i].bytes, bad[i].length};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        uint64_t value;
        assert_false(tw_take_varint(&cursor, &value));
        assert_ptr_equal(cursor.at, bytes.data);
    }
}

/* Texts of eight bytes and more are looked at eight bytes at a time. */
static void buf_json_string_escapes_in_every_place_of_a_text(void **state) {
    (void)state;
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    for (size_t length = 1; length < 40; length++) {
        for (size_t place = 0; place < length; place++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[40];
                memset(text, 'a' + (int)length % 3, sizeof text);
                text[place] = (char)byte;
                struct tumble_bytes view = {text, length};
                bool special = byte < 0x20 || byte == '"' || byte == '\\';
                tw_buf_clear(&buf);
                assert_int_equal(tw_buf_append_json_string(&buf, view), TUMBLE_OK);
                if (special) {
                    assert_true(buf.length == length + 3 || buf.length == length + 7);
                    assert_non_null(memchr(buf.data, '\\', buf.length));
                } else {
                    assert_int_equal(buf.length, length + 2);
                    assert_memory_equal(buf.data + 1, text, length);
                }
                assert_true(buf.data[0] == '"' && buf.data[buf.length - 1] == '"');
            }
        }
    }
    tw_buf_clean_up(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_up_to_its_cap_and_then_says_limit),
        cmocka_unit_test(buf_without_memory_keeps_what_it_holds),
        cmocka_unit_test(buf_json_string_escapes_what_json_must),
        cmocka_unit_test(buf_json_string_escapes_in_every_place_of_a_text),
        cmocka_unit_test(buf_integers_are_read_back),
        cmocka_unit_test(cursor_takes_nothing_that_is_not_there),
        cmocka_unit_test(varint_refuses_cut_long_and_too_great_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
