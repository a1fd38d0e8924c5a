#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/outputs/file/file_format.h"
#include "output_file/fake_spec.h"

static struct tw_buf out;

static int set_up(void **state) {
    (void)state;
    tw_buf_init(&out, tw_alloc_default(), 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_buf_clean_up(&out);
    return 0;
}

static void expect_out(const char *text) {
    assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
    assert_string_equal(out.data, text);
}

/* A row of the fake spec: window_start and fragment are fixed. */
static struct tumble_row row_of(struct tumble_bytes values[5], const char *city, const char *n, const char *records) {
    values[0] = tumble_bytes_of("\"2024-01-01T00:00:00Z\"");
    values[1] = tumble_bytes_of("\"49\"");
    values[2] = tumble_bytes_of(city);
    values[3] = tumble_bytes_of(n);
    values[4] = tumble_bytes_of(records);
    struct tumble_row row = {.json = tumble_bytes_of("{\"a\":1}"), .values = values, .value_count = 5};
    return row;
}

static void ndjson_is_the_row_and_a_newline(void **state) {
    (void)state;
    struct tumble_bytes values[5];
    struct tumble_row row = row_of(values, "\"a\"", "1", "2");
    assert_int_equal(tw_format_ndjson_row(&out, &row), TUMBLE_OK);
    expect_out("{\"a\":1}\n");
}

static void csv_header_quotes_names_that_need_it(void **state) {
    (void)state;
    assert_int_equal(tw_format_csv_header(&out, &fake_spec), TUMBLE_OK);
    expect_out("window_start,fragment,\"city, \"\"x\"\"\",n,records\r\n");
}

static void csv_writes_null_as_an_empty_field_and_an_empty_string_as_quotes(void **state) {
    (void)state;
    struct tumble_bytes values[5];
    struct tumble_row row = row_of(values, "\"\"", "null", "2");
    assert_int_equal(tw_format_csv_row(&out, &row), TUMBLE_OK);
    expect_out("2024-01-01T00:00:00Z,49,\"\",,2\r\n");
}

static void csv_undoes_escapes_and_doubles_quotes(void **state) {
    (void)state;
    struct tumble_bytes values[5];
    struct tumble_row row = row_of(values, "\"say \\\"hi\\\"\\nB\\u00f6b, ok\"", "-1.5", "2");
    assert_int_equal(tw_format_csv_row(&out, &row), TUMBLE_OK);
    expect_out("2024-01-01T00:00:00Z,49,\"say \"\"hi\"\"\nB\xc3\xb6"
               "b, ok\",-1.5,2\r\n");
}

static void csv_quotes_arrays(void **state) {
    (void)state;
    struct tumble_bytes values[5];
    struct tumble_row row = row_of(values, "true", "[\"a\",1]", "2");
    assert_int_equal(tw_format_csv_row(&out, &row), TUMBLE_OK);
    expect_out("2024-01-01T00:00:00Z,49,true,\"[\"\"a\"\",1]\",2\r\n");
}

static void csv_refuses_a_row_without_values(void **state) {
    (void)state;
    struct tumble_row row = {.json = tumble_bytes_of("{}")};
    assert_int_equal(tw_format_csv_row(&out, &row), TUMBLE_EINVAL);
}

static void csv_stops_at_the_cap_of_its_buffer(void **state) {
    (void)state;
    struct tw_buf small;
    tw_buf_init(&small, tw_alloc_default(), 16);
    struct tumble_bytes values[5];
    struct tumble_row row = row_of(values, "\"a\"", "1", "2");
    assert_int_equal(tw_format_csv_row(&small, &row), TUMBLE_ELIMIT);
    tw_buf_clean_up(&small);
}

static void table_aligns_numbers_right_and_text_left(void **state) {
    (void)state;
    struct tw_table table;
    assert_int_equal(tw_table_init(&table, &fake_spec, 0, tw_alloc_default()), TUMBLE_OK);
    struct tumble_bytes a[5], b[5];
    struct tumble_row first = row_of(a, "\"Z\\u00fcrich\"", "1.25", "2");
    struct tumble_row second = row_of(b, "null", "1000", "1234567890");
    assert_int_equal(tw_table_measure(&table, &first), TUMBLE_OK);
    assert_int_equal(tw_table_measure(&table, &second), TUMBLE_OK);
    assert_int_equal(tw_table_header(&table, &out), TUMBLE_OK);
    assert_int_equal(tw_table_row(&table, &out, &first), TUMBLE_OK);
    assert_int_equal(tw_table_row(&table, &out, &second), TUMBLE_OK);
    expect_out("window_start          city, \"x\"     n     records\n"
               "--------------------  ---------  ----  ----------\n"
               "2024-01-01T00:00:00Z  Z\xc3\xbcrich     1.25           2\n"
               "2024-01-01T00:00:00Z  -          1000  1234567890\n");
    tw_table_clean_up(&table);
    tw_table_clean_up(&table);
}

static void table_escapes_what_would_drive_the_terminal(void **state) {
    (void)state;
    struct tw_table table;
    assert_int_equal(tw_table_init(&table, &fake_spec, 0, tw_alloc_default()), TUMBLE_OK);
    struct tumble_bytes a[5];
    struct tumble_row row = row_of(a, "\"\\u001b[31m\\n\\u009b\\u202e\xe2\x80\xae\"", "1", "2");
    assert_int_equal(tw_table_measure(&table, &row), TUMBLE_OK);
    assert_int_equal(tw_table_row(&table, &out, &row), TUMBLE_OK);
    expect_out("2024-01-01T00:00:00Z  \\u001b[31m\\n\\u009b\\u202e\\u202e  1        2\n");
    tw_table_clean_up(&table);
}

static void table_cuts_long_text_to_half_the_terminal(void **state) {
    (void)state;
    struct tw_table table;
    assert_int_equal(tw_table_init(&table, &fake_spec, 40, tw_alloc_default()), TUMBLE_OK);
    struct tumble_bytes a[5];
    struct tumble_row row = row_of(a, "\"abcdefghijklmnopqrstuvwxyz\"", "1", "2");
    assert_int_equal(tw_table_measure(&table, &row), TUMBLE_OK);
    assert_int_equal(table.columns[1].width, 20);
    assert_int_equal(tw_table_row(&table, &out, &row), TUMBLE_OK);
    expect_out("2024-01-01T00:00:00Z  abcdefghijklmnopqrs\xe2\x80\xa6  1        2\n");
    tw_table_clean_up(&table);
}

static void table_widens_a_column_for_a_row_not_measured(void **state) {
    (void)state;
    struct tw_table table;
    assert_int_equal(tw_table_init(&table, &fake_spec, 0, tw_alloc_default()), TUMBLE_OK);
    struct tumble_bytes a[5];
    struct tumble_row row = row_of(a, "\"a city name\"", "1", "2");
    assert_int_equal(tw_table_row(&table, &out, &row), TUMBLE_OK);
    assert_int_equal(table.columns[1].width, 11);
    tw_table_clean_up(&table);
}

static void table_refuses_a_row_without_values(void **state) {
    (void)state;
    struct tw_table table;
    assert_int_equal(tw_table_init(&table, &fake_spec, 0, tw_alloc_default()), TUMBLE_OK);
    struct tumble_row row = {.json = tumble_bytes_of("{}")};
    assert_int_equal(tw_table_measure(&table, &row), TUMBLE_EINVAL);
    assert_int_equal(tw_table_row(&table, &out, &row), TUMBLE_EINVAL);
    assert_int_equal(out.length, 0);
    tw_table_clean_up(&table);
}

static void width_counts_terminal_cells(void **state) {
    (void)state;
    assert_int_equal(tw_text_width(tumble_bytes_of("abc")), 3);
    assert_int_equal(tw_text_width(tumble_bytes_of("Z\xc3\xbcrich")), 6);
    assert_int_equal(tw_text_width(tumble_bytes_of("e\xcc\x81")), 1);                /* combining acute */
    assert_int_equal(tw_text_width(tumble_bytes_of("\xe6\x9d\xb1\xe4\xba\xac")), 4); /* two wide characters */
    assert_int_equal(tw_text_width(tumble_bytes_of("\xf0\x9f\x98\x80")), 2);         /* an emoji */
    assert_int_equal(tw_text_width(tumble_bytes_of("\xff\xe6\x9d")), 3);             /* malformed: one a byte */
    assert_int_equal(tw_text_width(tumble_bytes_of("")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ndjson_is_the_row_and_a_newline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_header_quotes_names_that_need_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_writes_null_as_an_empty_field_and_an_empty_string_as_quotes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(csv_undoes_escapes_and_doubles_quotes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_quotes_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_refuses_a_row_without_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_stops_at_the_cap_of_its_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_aligns_numbers_right_and_text_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_escapes_what_would_drive_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_cuts_long_text_to_half_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_widens_a_column_for_a_row_not_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_refuses_a_row_without_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(width_counts_terminal_cells, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
