#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

struct sighting {
    const char *json;
    const char *by;
    int64_t arrival_ms;
    const char *sequence;
    uint64_t sub_sequence;
};

static void assert_extremes(const struct sighting *sightings, int count, const char *least, const char *greatest) {
    static const char *const names[] = {"arg_min", "arg_max"};
    const char *expected[] = {least, greatest};
    for (int k = 0; k < 2; k++) {
        for (int backwards = 0; backwards < 2; backwards++) {
            struct stepping s;
            stepping_init(&s, names[k], "");
            for (int i = 0; i < count; i++) {
                const struct sighting *at = &sightings[backwards ? count - 1 - i : i];
                feed_both_at(&s, at->json, at->by, at->arrival_ms, at->sequence, at->sub_sequence);
            }
            assert_string_equal(result_of(&s), expected[k]);
            stepping_clean_up(&s);
        }
    }
}

static void the_value_comes_from_the_record_with_the_extreme(void **state) {
    (void)state;
    static const struct sighting seen[] = {{"\"b\"", "2", 1, "1", 0},
                                           {"\"a\"", "-1e300", 2, "2", 0},
                                           {"true", "2.000000000000000000000000000000001", 3, "3", 0},
                                           {"7", "0", 4, "4", 0}};
    assert_extremes(seen, 4, "\"a\"", "true");
    assert_extremes(seen, 0, "null", "null");
}

static void equal_extremes_are_decided_by_the_lowest_position(void **state) {
    (void)state;
    static const struct sighting arrivals[] = {
        {"1", "5", 9, "1", 0}, {"2", "5.0", 8, "3", 0}, {"3", "50e-1", 8, "4", 0}};
    assert_extremes(arrivals, 3, "2", "2");
    static const struct sighting sequences[] = {{"1", "5", 8, "10", 0}, {"2", "5", 8, "9", 7}, {"3", "5", 8, "9", 8}};
    assert_extremes(sequences, 3, "2", "2");
    static const struct sighting same[] = {{"\"x\"", "5", 8, "9", 0}, {"3", "5", 8, "9", 0}, {"false", "5", 8, "9", 0}};
    assert_extremes(same, 3, "false", "false");
}

static void the_stored_form_is_that_of_first_and_the_number(void **state) {
    (void)state;
    /* string; arrival 1, sequence 42, sub-sequence 3; "a"; 15 */
    static const char golden[] = "\x05"
                                 "\x02\x02\x2a\x03"
                                 "\x01"
                                 "a"
                                 "\x03\x0b\x02\x10\x00";
    struct stepping s;
    stepping_init(&s, "arg_max", "");
    feed_both_at(&s, "\"a\"", "15", 1, "42", 3);
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, sizeof golden - 1);
    assert_memory_equal(s.out.data, golden, sizeof golden - 1);
    stepping_clean_up(&s);
}

static void a_cut_or_bent_number_is_refused(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "arg_min", "");
    feed_both_at(&s, "\"a\"", "15", 1, "42", 3);
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    for (size_t length = 0; length < s.out.length; length++) {
        struct tumble_bytes cut = {s.out.data, length};
        struct tw_cursor cursor = tw_cursor_of(cut);
        struct tumble_error err;
        uint64_t read[8];
        s.aggregate->init(read, &s.params);
        assert_int_equal(s.aggregate->decode(read, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
        assert_non_null(strstr(err.text, "damaged"));
    }
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_comes_from_the_record_with_the_extreme),
        cmocka_unit_test(equal_extremes_are_decided_by_the_lowest_position),
        cmocka_unit_test(the_stored_form_is_that_of_first_and_the_number),
        cmocka_unit_test(a_cut_or_bent_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
