#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/aggregate/functions.h"
#include "engine/aggregate/in_place.h"

/* What is written in place is what the functions append, wherever it is written at all. */

static uint64_t next_random(uint64_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static size_t written;

static void check(const struct tw_aggregate *function, const void *state) {
    static const struct tw_params none;
    struct tw_buf text, bytes;
    char in_place[64];
    tw_buf_init(&text, tw_alloc_default(), SIZE_MAX / 4);
    tw_buf_init(&bytes, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(function->value(state, &none, 0, &text), TUMBLE_OK);
    assert_int_equal(function->encode(state, &none, &bytes), TUMBLE_OK);
    memset(in_place, 'x', sizeof in_place);
    size_t length = tw_value_in_place(function->form, state, in_place);
    assert_true(length == 0 || length == text.length);
    assert_memory_equal(in_place, text.data, length);
    assert_int_equal(in_place[TW_VALUE_IN_PLACE], 'x');
    written += length != 0;
    memset(in_place, 'x', sizeof in_place);
    length = tw_encode_in_place(function->form, state, in_place);
    assert_true(length == 0 || length == bytes.length);
    assert_memory_equal(in_place, bytes.data, length);
    assert_int_equal(in_place[TW_ENCODED_IN_PLACE], 'x');
    written += length != 0;
    tw_buf_clean_up(&text);
    tw_buf_clean_up(&bytes);
}

static struct tw_decimal decimal_of(int64_t coefficient, int exponent) {
    for (; coefficient && coefficient % 10 == 0; coefficient /= 10) {
        exponent++;
    }
    struct tw_decimal d = {(uint64_t)coefficient, coefficient >> 63, coefficient ? exponent : 0, 0};
    return d;
}

static void check_number(int64_t coefficient, int exponent) {
    struct tw_decimal kept = decimal_of(coefficient, exponent);
    struct tw_total total = {(uint64_t)coefficient, coefficient >> 63, coefficient ? exponent : 0, TW_TOTAL_NARROW};
    kept.reserved = 1;
    check(&tw_aggregate_min, &kept);
    check(&tw_aggregate_max, &kept);
    check(&tw_aggregate_sum, &total);
}

static void values_in_place_are_those_of_the_functions(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int exponent = -22; exponent <= 22; exponent++) {
        for (int64_t power = 1; power <= INT64_C(1000000000000000000); power *= 10) {
            for (int64_t near = -1; near <= 1; near++) {
                check_number(power + near, exponent);
                check_number(-power - near, exponent);
            }
            if (power == INT64_C(1000000000000000000)) {
                break;
            }
        }
        check_number(INT64_MAX, exponent);
        check_number(INT64_MIN, exponent);
    }
    for (int i = 0; i < 20000; i++) {
        check_number((int64_t)next_random(&random) >> next_random(&random) % 64, (int)(next_random(&random) % 40) - 20);
    }
    for (int i = 0; i < 20000; i++) {
        const uint64_t count[4] = {next_random(&random) >> next_random(&random) % 64 >> 1}; /* as large as any state */
        check(&tw_aggregate_count, count);
    }
    const struct tw_decimal nothing = {0, 0, 0, 0};
    const struct tw_total empty = {0, 0, 0, TW_TOTAL_EMPTY};
    check(&tw_aggregate_min, &nothing);
    check(&tw_aggregate_sum, &empty);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        assert_true(written > 60000);
    }
}

static void check_varint(uint64_t value) {
    struct tw_buf bytes;
    char in_place[16];
    tw_buf_init(&bytes, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(tw_buf_append_varint(&bytes, value), TUMBLE_OK);
    assert_int_equal(tw_varint_in_place(value, in_place), bytes.length);
    assert_memory_equal(in_place, bytes.data, bytes.length);
    tw_buf_clean_up(&bytes);
}

static void varints_in_place_are_as_any(void **state) {
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        check_varint(UINT64_C(1) << bit);
        check_varint((UINT64_C(1) << bit) - 1);
        check_varint((UINT64_C(1) << bit) + 1);
    }
    check_varint(UINT64_MAX);
}

static void totals_in_place_are_read_back(void **state) {
    (void)state;
    uint64_t random = 1234567;
    for (int i = 0; i < 20000; i++) {
        const int64_t coefficient = (int64_t)next_random(&random) >> next_random(&random) % 64;
        const struct tw_total total = {(uint64_t)coefficient, coefficient >> 63,
                                       -(int)(next_random(&random) % 19) * (coefficient != 0), TW_TOTAL_NARROW};
        struct tw_total again = {0, 0, 0, TW_TOTAL_EMPTY};
        char bytes[TW_ENCODED_IN_PLACE];
        struct tw_cursor in = {bytes, bytes + tw_encode_in_place(TW_FORM_TOTAL, &total, bytes)};
        assert_true(in.end > in.at);
        assert_int_equal(tw_total_decode(&again, &in, NULL, NULL), TUMBLE_OK);
        assert_ptr_equal(in.at, in.end);
        assert_int_equal(again.form, TW_TOTAL_NARROW);
        const struct tw_decimal was = decimal_of(coefficient, total.exponent);
        const struct tw_decimal is = decimal_of((int64_t)again.low, again.exponent);
        assert_memory_equal(&was, &is, sizeof was);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_in_place_are_those_of_the_functions),
        cmocka_unit_test(varints_in_place_are_as_any),
        cmocka_unit_test(totals_in_place_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
