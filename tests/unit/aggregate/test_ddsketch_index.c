#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "engine/aggregate/ddsketch_index.h"

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static struct tw_decimal decimal(const char *text) {
    struct tw_decimal number;
    assert_int_equal(tw_decimal_parse(&number, text, strlen(text), NULL), TUMBLE_OK);
    return number;
}

static double double_of(const struct tw_decimal *number) {
    char text[TW_DECIMAL_TEXT + 1];
    text[tw_decimal_format(number, text)] = '\0';
    return strtod(text, NULL);
}

static struct tw_ddsketch_scale scale(const char *error) {
    struct tw_ddsketch_scale out;
    struct tw_decimal number = decimal(error);
    tw_ddsketch_scale_of(&out, &number);
    return out;
}

static const char *const errors[] = {"0.0001", "0.00123", "0.01", "0.05", "0.1234567890123456789", "0.5"};
enum { ERRORS = sizeof errors / sizeof *errors };

/* Magnitudes 10^-300 … 10^300, so that a double judges them. */
static void draw_number(char text[64]) {
    snprintf(text, 64, "%s%d.%0*d%0*de%d", draw(2) ? "-" : "", 1 + (int)draw(9), 1 + (int)draw(9), (int)draw(10), 9,
             (int)draw(1000000000), (int)draw(601) - 300);
}

static void a_buckets_number_is_within_the_error_at_every_level(void **state) {
    (void)state;
    for (int e = 0; e < ERRORS; e++) {
        struct tw_ddsketch_scale s = scale(errors[e]);
        double bounds[TW_DDSKETCH_LEVELS];
        bounds[0] = strtod(errors[e], NULL);
        for (unsigned level = 1; level < TW_DDSKETCH_LEVELS; level++) {
            struct tw_decimal bound;
            tw_ddsketch_error(&s, level, &bound);
            bounds[level] = double_of(&bound);
        }
        for (int round = 0; round < 3000; round++) {
            char text[64];
            draw_number(text);
            struct tw_decimal number = decimal(text);
            double x = strtod(text, NULL);
            unsigned level = draw(2) ? 0 : (unsigned)draw(12);
            int32_t bucket = tw_ddsketch_collapse(tw_ddsketch_bucket(&s, &number), level);
            assert_true(tw_ddsketch_bucket_valid(&s, bucket, level));
            struct tw_decimal stands;
            tw_ddsketch_number(&s, bucket, level, &stands);
            double r = double_of(&stands);
            if (!(fabs(r - x) <= bounds[level] * fabs(x) * (1 + 1e-12))) {
                fail_msg("%s at level %u: %.17g stands for %s, error %g of %g", errors[e], level, r, text,
                         fabs(r - x) / fabs(x), bounds[level]);
            }
        }
    }
}

/* The bound is not only kept but nearly used: buckets are not much narrower than they may be. */
static void buckets_are_as_wide_as_the_error_allows(void **state) {
    (void)state;
    for (int e = 0; e < ERRORS; e++) {
        struct tw_ddsketch_scale s = scale(errors[e]);
        double error = strtod(errors[e], NULL);
        struct tw_decimal low = decimal("1e-200");
        struct tw_decimal high = decimal("1e200");
        double buckets = tw_ddsketch_bucket(&s, &high) - tw_ddsketch_bucket(&s, &low);
        double least = 400 * log(10) / log((1 + error) / (1 - error));
        assert_true(buckets >= least - 1);
        assert_true(buckets <= least * 1.0115 + 2);
    }
}

static void buckets_order_as_numbers_do_but_at_their_bounds(void **state) {
    (void)state;
    struct tw_ddsketch_scale s = scale("0.01");
    for (int round = 0; round < 20000; round++) {
        char text[64];
        draw_number(text);
        struct tw_decimal a = decimal(text);
        draw_number(text);
        struct tw_decimal b = decimal(text);
        int order = tw_decimal_compare(&a, &b);
        int32_t x = tw_ddsketch_bucket(&s, &a);
        int32_t y = tw_ddsketch_bucket(&s, &b);
        assert_true(order < 0 ? x <= y : order > 0 ? x >= y : x == y);
    }
    /* Neighbours by the last of 34 digits, with exponents that take different ways through the table of powers. */
    for (int round = 0; round < 20000; round++) {
        char text[80];
        int power = (int)draw(300);
        int digits = (int)draw(33) + 1;
        memset(text, '9', (size_t)digits);
        snprintf(text + digits, sizeof text - (size_t)digits, "e%d", power - digits);
        struct tw_decimal below = decimal(text);
        snprintf(text, sizeof text, "1e%d", power);
        struct tw_decimal at = decimal(text);
        int32_t x = tw_ddsketch_bucket(&s, &below);
        int32_t y = tw_ddsketch_bucket(&s, &at);
        assert_true(x <= y + 1 && (digits < 5 || y - x <= 1));
    }
}

static void check_buckets(const struct tw_ddsketch_scale *s, const struct tw_decimal *numbers, size_t count) {
    int32_t found[64], one;
    tw_ddsketch_buckets(s, numbers, sizeof *numbers, count, found);
    for (size_t i = 0; i < count; i++) {
        tw_ddsketch_buckets(s, &numbers[i], 0, 1, &one);
        assert_int_equal(one, found[i]);
        const bool zero = tw_decimal_coefficient(&numbers[i]) == 0;
        const int32_t wanted = zero ? TW_DDSKETCH_ZERO : tw_ddsketch_bucket(s, &numbers[i]);
        if (found[i] != wanted) {
            char text[TW_DECIMAL_TEXT + 1];
            text[tw_decimal_format(&numbers[i], text)] = '\0';
            fail_msg("%s: bucket %d, not %d", text, (int)found[i], (int)wanted);
        }
    }
}

/* The number nearest to a bucket's bound that has 64 bits, or so many digits; and its neighbours. */
static void numbers_at_a_bound(const struct tw_ddsketch_scale *s, int32_t bucket, int exponent, struct tw_decimal *out,
                               size_t count) {
    uint64_t low = 1, high = INT64_MAX; /* of those, the first that is not below the bucket */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const struct tw_decimal number = {.low = middle, .exponent = exponent};
        if (tw_ddsketch_bucket(s, &number) < bucket) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t sign = draw(2) ? 1 : -1;
        const int64_t coefficient = sign * (int64_t)(low > count ? low - count / 2 + i : low + i);
        out[i] = (struct tw_decimal){.low = (uint64_t)coefficient, .high = coefficient >> 63, .exponent = exponent};
    }
}

static void many_numbers_at_once_fall_where_each_does(void **state) {
    (void)state;
    enum { MANY = 48 };
    struct tw_decimal numbers[MANY];
    for (int e = 0; e < ERRORS; e++) {
        struct tw_ddsketch_scale s = scale(errors[e]);
        for (int round = 0; round < 1000; round++) {
            for (int i = 0; i < MANY; i++) {
                char text[64];
                if (round % 3 == 0) {
                    draw_number(text);
                } else if (round % 3 == 1) {
                    snprintf(text, sizeof text, "%s%d.%02d", draw(9) ? "" : "-", (int)draw(3000), (int)draw(100));
                } else {
                    snprintf(text, sizeof text, "%d%0*de%d", (int)draw(100), 1 + (int)draw(18), (int)draw(100000000),
                             (int)draw(60) - 30);
                }
                numbers[i] = decimal(text + (text[0] == '0' && text[1] >= '0' && text[1] <= '9'));
            }
            check_buckets(&s, numbers, MANY);
        }
        for (int round = 0; round < 300; round++) { /* at bounds, and at powers of two */
            const int exponent = (int)draw(50) - 25;
            const struct tw_decimal one = {.low = 1 + draw(INT64_MAX - 100), .exponent = exponent};
            numbers_at_a_bound(&s, tw_ddsketch_bucket(&s, &one), exponent, numbers, MANY);
            check_buckets(&s, numbers, MANY);
            for (int i = 0; i < MANY; i++) {
                numbers[i] = (struct tw_decimal){.low = (UINT64_C(1) << (15 + i)) + draw(3) - 1,
                                                 .exponent = round % 2 ? 0 : (int)draw(46) - 23};
            }
            check_buckets(&s, numbers, MANY);
        }
    }
    struct tw_ddsketch_scale s = scale("0.01");
    for (int i = 0; i < MANY; i++) {
        static const struct tw_decimal edges[] = {{0},
                                                  {.low = (uint64_t)INT64_MIN, .high = -1},
                                                  {.low = (uint64_t)INT64_MIN},
                                                  {.low = UINT64_MAX, .high = -1},
                                                  {.low = UINT64_MAX},
                                                  {.low = 0, .high = 1},
                                                  {.low = 0, .high = 1, .exponent = -340},
                                                  {.low = 1, .exponent = 308}};
        numbers[i] = edges[i % 8];
    }
    check_buckets(&s, numbers, MANY);
}

static void a_negative_number_has_the_complement_of_its_magnitudes_bucket_at_every_level(void **state) {
    (void)state;
    struct tw_ddsketch_scale s = scale("0.02");
    struct tw_decimal plus = decimal("123.456");
    struct tw_decimal minus = decimal("-123.456");
    for (unsigned level = 0; level < TW_DDSKETCH_LEVELS; level++) {
        int32_t bucket = tw_ddsketch_collapse(tw_ddsketch_bucket(&s, &plus), level);
        assert_true(bucket >= 0);
        assert_int_equal(tw_ddsketch_collapse(tw_ddsketch_bucket(&s, &minus), level), ~bucket);
        struct tw_decimal up;
        struct tw_decimal down;
        tw_ddsketch_number(&s, bucket, level, &up);
        tw_ddsketch_number(&s, ~bucket, level, &down);
        assert_true(tw_decimal_coefficient(&up) == -tw_decimal_coefficient(&down));
        assert_int_equal(up.exponent, down.exponent);
    }
}

static void every_number_there_is_has_a_valid_bucket_and_at_the_last_level_the_same(void **state) {
    (void)state;
    static const char *const edges[] = {"1e-324", "9.999999999999999999999999999999999e308", "4.9e-324", "1",
                                        "9.999999999999999999999999999999999e-324"};
    for (int e = 0; e < ERRORS; e++) {
        struct tw_ddsketch_scale s = scale(errors[e]);
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
            struct tw_decimal number = decimal(edges[i]);
            int32_t bucket = tw_ddsketch_bucket(&s, &number);
            assert_int_equal(tw_ddsketch_collapse(bucket, TW_DDSKETCH_LEVELS - 1), 0);
            for (unsigned level = 0; level < TW_DDSKETCH_LEVELS; level++) {
                struct tw_decimal stands;
                assert_true(tw_ddsketch_bucket_valid(&s, tw_ddsketch_collapse(bucket, level), level));
                tw_ddsketch_number(&s, tw_ddsketch_collapse(bucket, level), level, &stands);
                assert_true(tw_decimal_coefficient(&stands) > 0);
            }
        }
        for (unsigned level = 0; level < TW_DDSKETCH_LEVELS; level++) { /* as does every bucket a decoder lets in */
            int64_t highest = 0;
            for (int64_t bit = 1 << 24; bit; bit >>= 1) {
                highest += tw_ddsketch_bucket_valid(&s, highest + bit, level) ? bit : 0;
            }
            struct tw_decimal stands;
            tw_ddsketch_number(&s, (int32_t)highest, level, &stands);
            tw_ddsketch_number(&s, (int32_t)~highest, level, &stands);
            tw_ddsketch_number(&s, 0, level, &stands);
            assert_false(tw_ddsketch_bucket_valid(&s, ~highest - 1, level));
            assert_false(tw_ddsketch_bucket_valid(&s, highest + 1, level));
        }
    }
}

static void assert_text(const struct tw_decimal *number, const char *expected) {
    char text[TW_DECIMAL_TEXT + 1];
    text[tw_decimal_format(number, text)] = '\0';
    assert_string_equal(text, expected);
}

static void errors_grow_as_the_ratio_is_squared_and_end_at_one(void **state) {
    (void)state;
    struct tw_ddsketch_scale s = scale("0.01");
    struct tw_decimal error;
    static const char *const expected[] = {"0.0199981", "0.0399801", "0.0798325", "0.1586538", "0.3095166"};
    for (unsigned level = 1; level <= 5; level++) {
        tw_ddsketch_error(&s, level, &error);
        assert_text(&error, expected[level - 1]);
    }
    tw_ddsketch_error(&s, 24, &error);
    assert_text(&error, "1.0000001");
}

/* Recorded once: what other machines must find too. */
static void buckets_and_numbers_are_these_on_every_machine(void **state) {
    (void)state;
    static const struct {
        const char *number;
        int32_t bucket;
        const char *stands;
    } golden[] = {
        {"1", 42019, "1.00763946"},
        {"-1", -42020, "-1.00763946"},
        {"19.99", 42170, "20.0114148"},
        {"1e-324", 4331, "1.00387279e-324"},
        {"9.99e308", 77962, "1.00673161e+309"},
        {"1e23", 44694, "99964264600000000000000"},
        {"3.141592653589793238462643383279503", 42076, "3.11284792"},
    };
    struct tw_ddsketch_scale s = scale("0.01");
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct tw_decimal number = decimal(golden[i].number);
        struct tw_decimal stands;
        int32_t bucket = tw_ddsketch_bucket(&s, &number);
        tw_ddsketch_number(&s, bucket, 0, &stands);
        assert_int_equal(bucket, golden[i].bucket);
        assert_text(&stands, golden[i].stands);
    }
    assert_true(s.buckets_per_octave == 2406276528890);
    assert_true(s.error == 46116860184273880);
}

static void a_fraction_is_cut_to_18_decimals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t expected;
    } cases[] = {
        {"0", 0},
        {"1", 1000000000000000000},
        {"0.5", 500000000000000000},
        {"0.999999999999999999", 999999999999999999},
        {"0.9999999999999999999999999999999999", 999999999999999999},
        {"1e-18", 1},
        {"9.99e-19", 0},
        {"1e-324", 0},
        {"0.00000000000000000000000000000001234567890123456789012345678901234", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_decimal number = decimal(cases[i].text);
        assert_true(tw_ddsketch_fraction(&number) == cases[i].expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buckets_number_is_within_the_error_at_every_level),
        cmocka_unit_test(buckets_are_as_wide_as_the_error_allows),
        cmocka_unit_test(buckets_order_as_numbers_do_but_at_their_bounds),
        cmocka_unit_test(many_numbers_at_once_fall_where_each_does),
        cmocka_unit_test(a_negative_number_has_the_complement_of_its_magnitudes_bucket_at_every_level),
        cmocka_unit_test(every_number_there_is_has_a_valid_bucket_and_at_the_last_level_the_same),
        cmocka_unit_test(errors_grow_as_the_ratio_is_squared_and_end_at_one),
        cmocka_unit_test(buckets_and_numbers_are_these_on_every_machine),
        cmocka_unit_test(a_fraction_is_cut_to_18_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
