#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

static void count_counts_any_scalar(void **state) {
    (void)state;
    assert_result("count", "", "1 \"a\" true false -0", "5");
    const struct tw_aggregate *count = tw_aggregate_find(tumble_bytes_of("count"), tumble_bytes_of(NULL));
    assert_true(count->field_optional);
    assert_int_equal(count->takes, TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN);
    assert_int_equal(count->state_size, 8);
    assert_null(count->growth);
}

static void count_steps_without_a_value_when_it_has_no_field(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "count", "");
    struct tw_position position = {0};
    for (int i = 0; i < 1000; i++) {
        s.aggregate->step(s.state, &s.params, &(struct tw_input){.position = position}, &s.heap);
    }
    assert_string_equal(result_of(&s), "1000");
    assert_int_equal(s.heap.bytes, 0);
    stepping_clean_up(&s);
}

static void count_text_covers_every_64_bit_value(void **state) {
    (void)state;
    struct stepping s;
    stepping_init(&s, "count", "");
    struct tumble_bytes bytes = {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10};
    struct tw_cursor cursor = tw_cursor_of(bytes);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
    assert_string_equal(result_of(&s), "18446744073709551615");
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count_counts_any_scalar),
        cmocka_unit_test(count_steps_without_a_value_when_it_has_no_field),
        cmocka_unit_test(count_text_covers_every_64_bit_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
