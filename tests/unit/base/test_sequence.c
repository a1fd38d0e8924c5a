#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/base/sequence.h"

static uint64_t seed = 0x5851f42d4c957f2d;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void sequence_drops_leading_zeros_and_keeps_one(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"0", "0"},
                                           {"000", "0"},
                                           {"007", "7"},
                                           {"10", "10"},
                                           {"49590338271490256608559692538361571095921575989136588898",
                                            "49590338271490256608559692538361571095921575989136588898"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_bytes out;
        assert_int_equal(tw_sequence_check(tumble_bytes_of(cases[i][0]), &out, NULL), TUMBLE_OK);
        assert_true(tumble_bytes_equal(out, tumble_bytes_of(cases[i][1])));
    }
}

static void sequence_refuses_what_is_not_1_to_128_digits(void **state) {
    (void)state;
    char digits[130];
    memset(digits, '1', sizeof digits);
    struct tumble_bytes out;
    struct tumble_error err;
    struct tumble_bytes text = {digits, 128};
    assert_int_equal(tw_sequence_check(text, &out, &err), TUMBLE_OK);
    text.length = 129;
    assert_int_equal(tw_sequence_check(text, &out, &err), TUMBLE_ESEQUENCE);
    assert_non_null(strstr(err.text, "129"));
    text.length = 0;
    assert_int_equal(tw_sequence_check(text, &out, &err), TUMBLE_ESEQUENCE);
    static const char *const bad[] = {"-1", "+1", "1.0", "1e5", " 1", "12a", "0x10"};
    static const int place[] = {0, 0, 1, 1, 0, 2, 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tw_sequence_check(tumble_bytes_of(bad[i]), &out, &err), TUMBLE_ESEQUENCE);
        assert_int_equal(err.byte, place[i]);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

static void sequence_finds_a_fault_at_any_place_of_any_length(void **state) {
    (void)state;
    static const char faults[] = {'/', ':', ' ', '"', (char)0xb0, (char)0xff, 0};
    char memory[TW_LIMIT_SEQUENCE_DIGITS + 2];
    for (size_t length = 1; length <= TW_LIMIT_SEQUENCE_DIGITS; length++) {
        char *digits = memory + 1;
        memset(memory, 'x', sizeof memory); /* what lies around is not looked at */
        for (size_t i = 0; i < length; i++) {
            digits[i] = (char)('1' + i % 9);
        }
        struct tumble_bytes text = {digits, length};
        struct tumble_bytes out;
        struct tumble_error err;
        assert_int_equal(tw_sequence_check(text, &out, &err), TUMBLE_OK);
        for (size_t at = 0; at < length; at++) {
            char good = digits[at];
            digits[at] = faults[(at + length) % sizeof faults];
            assert_int_equal(tw_sequence_check(text, &out, &err), TUMBLE_ESEQUENCE);
            assert_int_equal(err.byte, at);
            digits[at] = good;
        }
    }
}

static void sequence_compare_orders_as_numbers(void **state) {
    (void)state;
    static const char *const ascending[] = {"", "0", "1", "9", "10", "11", "99", "100", "18446744073709551616"};
    for (int i = 0; i < 9; i++) {
        for (int j = 0; j < 9; j++) {
            int order = tw_sequence_compare(tumble_bytes_of(ascending[i]), tumble_bytes_of(ascending[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

/* What follows passes the check, whole, and stands above; wherever it is the usual kind of number, it is also found to.
 */
static void sequence_follows_only_what_it_stands_above(void **state) {
    (void)state;
    static const char odd[] = "/:0a\xff";
    size_t followed = 0;
    for (int round = 0; round < 60000; round++) {
        char last[TW_LIMIT_SEQUENCE_DIGITS], text[TW_LIMIT_SEQUENCE_DIGITS];
        size_t length = 40 + draw(30);
        for (size_t i = 0; i < length; i++) {
            last[i] = (char)('0' + (i ? draw(10) : 1 + draw(9)));
        }
        memcpy(text, last, length);
        for (uint64_t changes = draw(3); changes > 0; changes--) {
            text[draw(length)] = draw(8) ? (char)('0' + draw(10)) : odd[draw(sizeof odd - 1)];
        }
        struct tumble_bytes before = {last, length}, after = {text, length - (draw(10) == 0)}, checked = {0};
        bool fine = tw_sequence_check(after, &checked, NULL) == TUMBLE_OK && checked.length == after.length &&
                    tw_sequence_compare(checked, before) > 0;
        bool follows = tw_sequence_follows(after, before);
        followed += follows;
        assert_true(fine || !follows);
#if defined(__SSE2__)
        assert_true(follows == (fine && length >= 48 && length <= 64));
#endif
    }
#if defined(__SSE2__)
    assert_true(followed > 5000);
#endif
}

static void sequence_packs_and_unpacks_every_length(void **state) {
    (void)state;
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1024);
    for (size_t length = 0; length <= 128; length++) {
        for (int kind = 0; kind < 6; kind++) {
            char digits[128];
            for (size_t i = 0; i < length; i++) {
                digits[i] = kind == 0 ? '9' : kind == 1 ? (char)(i ? '0' : '1') : (char)('0' + draw(10));
            }
            if (length > 1 && digits[0] == '0') {
                digits[0] = '5';
            }
            struct tumble_bytes text = {digits, length};
            tw_buf_clear(&buf);
            assert_int_equal(tw_sequence_append(&buf, text), TUMBLE_OK);
            if (length == 56) {
                assert_int_equal(buf.length, 25);
            }
            char out[TW_LIMIT_SEQUENCE_DIGITS];
            size_t out_length;
            struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&buf));
            assert_true(tw_sequence_take(&cursor, out, &out_length));
            assert_int_equal(tw_cursor_left(&cursor), 0);
            assert_int_equal(out_length, length);
            assert_memory_equal(out, digits, length);
            struct tumble_bytes cut = {buf.data, buf.length - 1};
            cursor = tw_cursor_of(cut);
            assert_false(tw_sequence_take(&cursor, out, &out_length));
            assert_ptr_equal(cursor.at, buf.data);
        }
    }
    tw_buf_clean_up(&buf);
}

static void sequence_take_refuses_what_append_never_writes(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x02\x05", 2},     /* 2 digits, value 5 */
        {"\x02\xff", 2},     /* 2 digits, value 255 */
        {"\x01\x0a", 2},     /* 1 digit, value 10 */
        {"\x81\x00\x05", 3}, /* over-long count */
        {"\x81\x01\x00", 3}, /* 129 digits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tumble_bytes bytes = {bad[i].bytes, bad[i].length};
        struct tw_cursor cursor = tw_cursor_of(bytes);
        char out[TW_LIMIT_SEQUENCE_DIGITS];
        size_t length;
        assert_false(tw_sequence_take(&cursor, out, &length));
    }
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1024);
    for (int i = 0; i < 100000; i++) {
        char bytes[64];
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (char)draw(256);
        }
        bytes[0] = (char)draw(131);
        struct tumble_bytes view = {bytes, sizeof bytes};
        struct tw_cursor cursor = tw_cursor_of(view);
        char out[TW_LIMIT_SEQUENCE_DIGITS];
        struct tumble_bytes digits = {out, 0};
        if (tw_sequence_take(&cursor, out, &digits.length)) {
            tw_buf_clear(&buf);
            assert_int_equal(tw_sequence_append(&buf, digits), TUMBLE_OK);
            assert_int_equal(buf.length, cursor.at - bytes);
            assert_memory_equal(buf.data, bytes, buf.length);
        }
    }
    tw_buf_clean_up(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_drops_leading_zeros_and_keeps_one),
        cmocka_unit_test(sequence_refuses_what_is_not_1_to_128_digits),
        cmocka_unit_test(sequence_finds_a_fault_at_any_place_of_any_length),
        cmocka_unit_test(sequence_compare_orders_as_numbers),
        cmocka_unit_test(sequence_follows_only_what_it_stands_above),
        cmocka_unit_test(sequence_packs_and_unpacks_every_length),
        cmocka_unit_test(sequence_take_refuses_what_append_never_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
