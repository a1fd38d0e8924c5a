#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/aggregate/hyperloglog.h"

static uint64_t seed = 0x2545f4914f6cdd1d;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static uint8_t registers[1 << TW_HLL_PRECISION_MAX];
static uint8_t others[1 << TW_HLL_PRECISION_MAX];

static void precision_is_the_smallest_that_meets_the_error(void **state) {
    (void)state;
    static const struct {
        const char *error;
        unsigned precision;
    } cases[] = {{"0.26", 4},
                 {"0.2599999999", 5},
                 {"0.5", 4},
                 {"1", 4},
                 {"1e300", 4},
                 {"1.5", 4},
                 {"0.1", 7},
                 {"0.0325", 10},
                 {"0.0324", 11},
                 {"0.01", 14},
                 {"0.009999999999999999999999999999999999", 14},
                 {"0.008125", 14},
                 {"0.008124", 15},
                 {"0.001", 21},
                 {"0.0007", 0},
                 {"0.0000000001", 0},
                 {"1e-300", 0},
                 {"0", 0},
                 {"-0.01", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_decimal error;
        assert_int_equal(tw_decimal_parse(&error, cases[i].error, strlen(cases[i].error), NULL), TUMBLE_OK);
        if (tw_hll_precision(&error) != cases[i].precision) {
            fail_msg("%s: %u", cases[i].error, tw_hll_precision(&error));
        }
    }
}

static void the_standard_error_is_rounded_up(void **state) {
    (void)state;
    assert_int_equal(tw_hll_error_ppm(4), 260000);
    assert_int_equal(tw_hll_error_ppm(5), 183848); /* 183847.76 */
    assert_int_equal(tw_hll_error_ppm(10), 32500);
    assert_int_equal(tw_hll_error_ppm(14), 8125);
    assert_int_equal(tw_hll_error_ppm(21), 719); /* 718.16 */
}

static void the_first_bits_choose_the_register_and_the_zeros_behind_them_its_rank(void **state) {
    (void)state;
    static const struct {
        uint64_t hash;
        unsigned precision;
        size_t index;
        uint8_t rank;
    } cases[] = {{UINT64_MAX, 14, 16383, 1},
                 {0, 14, 0, 51},
                 {1, 14, 0, 50},
                 {UINT64_C(0x0004000000000000), 14, 1, 51},
                 {UINT64_C(0x0006000000000000), 14, 1, 1},
                 {UINT64_C(0x0005000000000000), 14, 1, 2},
                 {UINT64_C(0xf000000000000000), 4, 15, 61},
                 {UINT64_C(0xf000000000000001), 4, 15, 60},
                 {UINT64_C(0xfffff80000000000), 21, 2097151, 44},
                 {UINT64_C(0xfffffc0000000000), 21, 2097151, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(registers, 0, sizeof registers);
        tw_hll_raise(registers, cases[i].precision, cases[i].hash);
        assert_int_equal(registers[cases[i].index], cases[i].rank);
        registers[cases[i].index] = 63; /* never lowered */
        tw_hll_raise(registers, cases[i].precision, cases[i].hash);
        assert_int_equal(registers[cases[i].index], 63);
        registers[cases[i].index] = 0; /* nothing else was touched */
        for (size_t k = 0; k < sizeof registers; k++) {
            if (registers[k]) {
                fail_msg("register %zu", k);
            }
        }
    }
}

/* Register i holds (i × a) mod b + c, at most the highest rank. */
static void fill_by_rule(unsigned precision, unsigned a, unsigned b, unsigned c) {
    for (size_t i = 0; i < (size_t)1 << precision; i++) {
        size_t rank = i * a % b + c;
        registers[i] = (uint8_t)(rank < 65 - precision ? rank : 65 - precision);
    }
}

/* The expected integers are the formula's, computed in decimal with 60 digits; of the three largest the double nearest
 * to what this order of operations gives, so that a machine or compiler that computes otherwise is seen. */
static void estimates_are_the_same_on_every_machine(void **state) {
    (void)state;
    static const struct {
        unsigned precision, a, b, c;
        uint64_t estimate;
    } cases[] = {{4, 7, 5, 0, 23},
                 {4, 0, 1, 1, 23},
                 {4, 1, 3, 20, 19860026},
                 {4, 9, 62, 0, 102},
                 {10, 13, 7, 0, 2419},
                 {14, 31, 9, 2, 213133},
                 {14, 31, 11, 0, 62153},
                 {21, 3, 5, 0, 3512279},
                 {14, 5, 7, 44, 733347384656799744},
                 {14, 1, 1, 50, 13306513097844322304U},
                 {4, 1, 2, 60, UINT64_MAX}, /* 2.05e19 */
                 {4, 0, 1, 61, UINT64_MAX}, /* infinite */
                 {4, 0, 1, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill_by_rule(cases[i].precision, cases[i].a, cases[i].b, cases[i].c);
        uint64_t estimate = tw_hll_estimate(registers, cases[i].precision);
        if (estimate != cases[i].estimate) {
            fail_msg("case %zu: %llu", i, (unsigned long long)estimate);
        }
    }
}

static void merging_takes_the_greater_of_each_pair(void **state) {
    (void)state;
    for (size_t i = 0; i < 16; i++) {
        registers[i] = (uint8_t)i;
        others[i] = (uint8_t)(15 - i);
    }
    registers[16] = 1;
    others[16] = 9; /* beyond 2^4 */
    tw_hll_merge(registers, others, 4);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(registers[i], i > 7 ? i : 15 - i);
    }
    assert_int_equal(registers[16], 1);
}

static void append_hex(const uint8_t *bytes, size_t length, char *out) {
    for (size_t i = 0; i < length; i++) {
        sprintf(out + 2 * i, "%02x", bytes[i]);
    }
}

static void assert_form(const uint8_t *given, const char *hex) {
    struct tw_buf out;
    char text[256];
    uint8_t read[16];
    tw_buf_init(&out, tw_alloc_default(), 1 << 10);
    assert_int_equal(tw_hll_append(given, 4, &out), TUMBLE_OK);
    append_hex((const uint8_t *)out.data, out.length, text);
    assert_string_equal(text, hex);
    struct tumble_bytes rest = {out.data + 1, out.length - 1};
    struct tw_cursor cursor = tw_cursor_of(rest);
    assert_true(tw_hll_take(&cursor, (uint8_t)out.data[0], 4, read));
    assert_int_equal(tw_cursor_left(&cursor), 0);
    assert_memory_equal(read, given, 16);
    tw_buf_clean_up(&out);
}

static void stored_forms_are_these_bytes(void **state) {
    (void)state;
    static const uint8_t low[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0};
    static const uint8_t base[16] = {9, 10, 11, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 23};
    static const uint8_t escaped[16] = {15, 1, 61, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 16, 15};
    static const uint8_t four[16] = {15, 61, 16, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t five[16] = {15, 61, 16, 17, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    assert_form(low, "0204001032547698badc0e");
    assert_form(base, "02040910020000000000e0");
    assert_form(escaped, "0204010e0f0000000000ef2d00");
    assert_form(four, "020400ffff000000000010002e0102");
    assert_form(five, "03044f0f45140000000000000004");
}

/* From a histogram, not by comparing registers as the code does. */
static int form_of(const uint8_t *given, size_t count) {
    size_t of_each[256] = {0}, escaped = count;
    unsigned least = 0;
    for (size_t i = 0; i < count; i++) {
        of_each[given[i]]++;
    }
    while (!of_each[least]) {
        least++;
    }
    for (unsigned i = 0; i < 15; i++) {
        escaped -= of_each[least + i];
    }
    return escaped <= count / 4 ? 2 : 3;
}

static void every_set_of_registers_survives_storing(void **state) {
    (void)state;
    static const unsigned precisions[] = {4, 5, 7, 10, 14};
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 1 << 16);
    int forms[4] = {0};
    for (int round = 0; round < 600; round++) {
        unsigned precision = precisions[draw(round % 20 ? 4 : 5)];
        size_t count = (size_t)1 << precision;
        uint64_t low = draw(65 - precision);
        uint64_t spread = 1 + draw(66 - precision - low);
        for (size_t i = 0; i < count; i++) {
            registers[i] = (uint8_t)(low + draw(spread));
        }
        registers[draw(count)] = (uint8_t)(1 + draw(65 - precision));
        tw_buf_clear(&out);
        assert_int_equal(tw_hll_append(registers, precision, &out), TUMBLE_OK);
        assert_true(out.length <= count / 4 * 3 + 3);
        assert_int_equal(out.data[0], form_of(registers, count));
        forms[(int)out.data[0]]++;
        uint8_t *exact = malloc(out.length); /* reading past the end is seen */
        assert_non_null(exact);
        memcpy(exact, out.data, out.length);
        for (size_t cut = out.length > 300 ? out.length - 300 : 1; cut <= out.length; cut++) {
            struct tumble_bytes part = {(const char *)exact + 1, cut - 1};
            struct tw_cursor cursor = tw_cursor_of(part);
            assert_int_equal(tw_hll_take(&cursor, exact[0], precision, others), cut == out.length);
        }
        assert_memory_equal(registers, others, count);
        free(exact);
    }
    assert_true(forms[2] > 50 && forms[3] > 50);
    tw_buf_clean_up(&out);
}

static bool takes(const char *hex, unsigned precision) {
    uint8_t bytes[64];
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    struct tumble_bytes rest = {(const char *)bytes + 1, length - 1};
    struct tw_cursor cursor = tw_cursor_of(rest);
    return tw_hll_take(&cursor, bytes[0], precision, others) && tw_cursor_left(&cursor) == 0;
}

static void hostile_bytes_are_refused(void **state) {
    (void)state;
    assert_true(takes("0204000100000000000000", 4));
    assert_false(takes("0204000100000000000000", 5));                 /* another precision */
    assert_false(takes("0205000100000000000000", 4));                 /* likewise */
    assert_false(takes("0404000100000000000000", 4));                 /* no such form */
    assert_false(takes("0204000000000000000000", 4));                 /* no register raised */
    assert_false(takes("0204011111111111111111", 4));                 /* the least is not the base */
    assert_true(takes("0204010000000000000000", 4));                  /* all at 1 */
    assert_true(takes("02043d0000000000000000", 4));                  /* all at 61, the highest */
    assert_false(takes("02043e0000000000000000", 4));                 /* base above it */
    assert_false(takes("0204ff0000000000000000", 4));                 /* far above it */
    assert_false(takes("02043d0100000000000000", 4));                 /* base + 1 above it */
    assert_true(takes("0204000f000000000000002e", 4));                /* 15 + 46 = 61 */
    assert_false(takes("0204000f000000000000002f", 4));               /* 62 */
    assert_false(takes("0204000f00000000000000ff", 4));               /* a sum that wraps a byte */
    assert_false(takes("0204000f000000000000003e", 4));               /* above any rank */
    assert_false(takes("0204000f00000000000000", 4));                 /* the excess is missing */
    assert_false(takes("02040001", 4));                               /* too short */
    assert_false(takes("0204", 4));                                   /* no base */
    assert_false(takes("02", 4));                                     /* nothing */
    assert_false(takes("020400ffff0f00000000000000000000000000", 4)); /* five escaped belong in the other form */
    assert_true(takes("0304cff33c0f0000000000000000", 4));            /* five at 15 */
    assert_false(takes("0304cff33c000000000000000000", 4));           /* only four: the other form */
    assert_false(takes("0304cff33c3e0000000000000000", 4));           /* rank 62 */
    assert_false(takes("0304cff33c0f00000000000000", 4));             /* a byte short */
}

static void storing_passes_on_what_the_buffer_says(void **state) {
    (void)state;
    struct tw_buf out;
    memset(registers, 1, 16);
    tw_buf_init(&out, tw_alloc_default(), 10);
    assert_int_equal(tw_hll_append(registers, 4, &out), TUMBLE_ELIMIT);
    assert_int_equal(out.length, 0);
    tw_buf_clean_up(&out);
    tw_buf_init(&out, tw_alloc_default(), 11);
    assert_int_equal(tw_hll_append(registers, 4, &out), TUMBLE_OK);
    tw_buf_clean_up(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_is_the_smallest_that_meets_the_error),
        cmocka_unit_test(the_standard_error_is_rounded_up),
        cmocka_unit_test(the_first_bits_choose_the_register_and_the_zeros_behind_them_its_rank),
        cmocka_unit_test(estimates_are_the_same_on_every_machine),
        cmocka_unit_test(merging_takes_the_greater_of_each_pair),
        cmocka_unit_test(stored_forms_are_these_bytes),
        cmocka_unit_test(every_set_of_registers_survives_storing),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(storing_passes_on_what_the_buffer_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
