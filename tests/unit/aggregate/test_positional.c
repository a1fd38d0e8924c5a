#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tumble/timestamp.h>

#include "aggregate/stepping.h"

struct sighting {
    const char *json;
    int64_t arrival_ms;
    const char *sequence;
    uint64_t sub_sequence;
};

static void assert_first_and_last(const struct sighting *sightings, int count, const char *first, const char *last) {
    static const char *const names[] = {"first", "last"};
    const char *expected[] = {first, last};
    for (int k = 0; k < 2; k++) {
        for (int backwards = 0; backwards < 2; backwards++) {
            struct stepping s;
            stepping_init(&s, names[k], "");
            for (int i = 0; i < count; i++) {
                const struct sighting *at = &sightings[backwards ? count - 1 - i : i];
                feed_at(&s, at->json, at->arrival_ms, at->sequence, at->sub_sequence);
            }
            assert_string_equal(result_of(&s), expected[k]);
            stepping_clean_up(&s);
        }
    }
}

static void arrival_decides_before_sequence(void **state) {
    (void)state;
    static const struct sighting seen[] = {{"\"b\"", 5, "9", 0}, {"\"a\"", 4, "10", 0}, {"\"c\"", 6, "1", 0}};
    assert_first_and_last(seen, 3, "\"a\"", "\"c\"");
}

static void times_before_1970_come_first(void **state) {
    (void)state;
    static const struct sighting seen[] = {{"1", 0, "1", 0}, {"2", -1, "2", 0}, {"3", INT64_MIN, "3", 0}};
    assert_first_and_last(seen, 3, "3", "1");
}

static void sequences_compare_as_numbers_then_sub_sequences(void **state) {
    (void)state;
    static const struct sighting seen[] = {
        {"1", 7, "9", 0}, {"2", 7, "10", 0}, {"3", 7, "10", 1}, {"4", 7, "10", 10}, {"5", 7, "8", 99}};
    assert_first_and_last(seen, 5, "5", "4");
}

static void one_position_is_decided_by_the_value(void **state) {
    (void)state;
    static const struct sighting numbers[] = {{"2", 7, "9", 0}, {"1.5", 7, "9", 0}, {"10", 7, "9", 0}};
    assert_first_and_last(numbers, 3, "1.5", "10");
    static const struct sighting mixed[] = {
        {"\"a\"", 7, "9", 0}, {"true", 7, "9", 0}, {"10", 7, "9", 0}, {"\"\"", 7, "9", 0}, {"false", 7, "9", 0}};
    assert_first_and_last(mixed, 5, "false", "\"a\"");
}

static void every_scalar_comes_out_as_json(void **state) {
    (void)state;
    static const char *const values[][2] = {{"1.50", "1.5"},    {"-0", "0"},      {"true", "true"},
                                            {"false", "false"}, {"\"\"", "\"\""}, {"\"x\ny\"", "\"x\\ny\""}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct sighting one = {values[i][0], 1, "1", 0};
        assert_first_and_last(&one, 1, values[i][1], values[i][1]);
    }
}

static void a_long_sequence_and_value_survive_encoding(void **state) {
    (void)state;
    char sequence[TW_LIMIT_SEQUENCE_DIGITS + 1];
    memset(sequence, '9', sizeof sequence - 1);
    sequence[sizeof sequence - 1] = '\0';
    struct stepping s;
    stepping_init(&s, "last", "");
    feed_at(&s, "\"short\"", TUMBLE_TIMESTAMP_MAX_MS - 1, "1", 0);
    feed_at(&s, "\"a value that needs a greater block than the one before it\"", TUMBLE_TIMESTAMP_MAX_MS, sequence,
            UINT64_MAX);
    struct tw_buf encoded;
    tw_buf_init(&encoded, tw_alloc_default(), 4096);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &encoded), TUMBLE_OK);
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&encoded));
    s.aggregate->init(s.state, &s.params);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
    assert_string_equal(result_of(&s), "\"a value that needs a greater block than the one before it\"");
    tw_buf_clear(&s.out);
    assert_int_equal(s.aggregate->encode(s.state, &s.params, &s.out), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&s.out), tw_buf_view(&encoded)));
    tw_buf_clean_up(&encoded);
    stepping_clean_up(&s);
}

static void last_reuses_its_block(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "last", "");
    feed_at(&s, "\"abcdefgh\"", 0, "12345678", 0);
    size_t bytes = s.heap.bytes;
    for (int i = 1; i < 100000; i++) {
        feed_at(&s, i % 2 ? "\"abcdefg\"" : "true", i, "12345678", 0);
    }
    assert_int_equal(s.heap.bytes, bytes);
    stepping_clean_up(&s);
}

static void merge_without_memory_says_so(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "first", "");
    feed(&s, "true");
    uint64_t other[4];
    s.aggregate->init(other, &s.params);
    struct tw_heap none = {.alloc = tw_alloc_default()};
    none.alloc.alloc = refuse_memory;
    assert_int_equal(s.aggregate->merge(other, &s.params, s.state, &none), TUMBLE_ENOMEM);
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrival_decides_before_sequence),
        cmocka_unit_test(times_before_1970_come_first),
        cmocka_unit_test(sequences_compare_as_numbers_then_sub_sequences),
        cmocka_unit_test(one_position_is_decided_by_the_value),
        cmocka_unit_test(every_scalar_comes_out_as_json),
        cmocka_unit_test(a_long_sequence_and_value_survive_encoding),
        cmocka_unit_test(last_reuses_its_block),
        cmocka_unit_test(merge_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
