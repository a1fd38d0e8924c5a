#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_form.h"
#include "counting_alloc.h"
#include "output_dynamodb/fake_columns.h"

static struct tumble_spec *spec;
static struct tumble_error err;
static struct tw_dynamodb_form form;
static struct tw_buf out;

static int set_up(void **state) {
    (void)state;
    spec = make_spec(0);
    memset(&form, 0, sizeof form);
    tw_buf_init(&out, tw_alloc_default(), 1 << 22);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_dynamodb_form_clean_up(&form);
    tw_buf_clean_up(&out);
    tumble_spec_destroy(spec);
    return 0;
}

static struct tw_dynamodb_table table_of(const char *hash, char hash_type, const char *range, char range_type) {
    struct tw_dynamodb_table table = {.hash.type = hash_type, .range.type = range_type};
    strcpy(table.hash.name, hash);
    strcpy(table.range.name, range);
    return table;
}

static enum tumble_code init(struct tw_dynamodb_table table, const struct tumble_option_value *options, size_t count,
                             bool merged, const char *ttl) {
    struct tumble_output_open how = {.uri = "dynamodb:t",
                                     .target = "t",
                                     .options = options,
                                     .option_count = count,
                                     .spec = spec,
                                     .source = tumble_bytes_of("clicks"),
                                     .spec_digest = 7};
    tw_dynamodb_form_clean_up(&form);
    return tw_dynamodb_form_init(&form, &how, 0, &table, merged, ttl, tw_alloc_default(), &err);
}

static void expect(const char *text) {
    assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
    assert_string_equal(out.data, text);
    tw_buf_clear(&out);
}

static void a_row_becomes_an_item_of_the_tables_keys(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {{.name = "pk", .value = "{type}|{country}"},
                                                  {.name = "sk", .value = "{window_start}/{shard_id}/{fragment}"}};
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES, .window_end_ms = 100000};
    set_values(values, "\"buy\"", "null", "1.5");
    assert_int_equal(init(table_of("pk", 'S', "sk", 'S'), options, 2, false, "expires:900"), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_OK);
    expect("\"pk\":{\"S\":\"buy|=null\"},\"sk\":{\"S\":\"2024-01-01T00:00:00Z/shardId-000000000000/4951\"}");
    assert_int_equal(tw_dynamodb_form_item(&form, &row, &out), TUMBLE_OK);
    expect("{\"pk\":{\"S\":\"buy|=null\"},\"sk\":{\"S\":\"2024-01-01T00:00:00Z/shardId-000000000000/4951\"},"
           "\"window_start\":{\"S\":\"2024-01-01T00:00:00Z\"},\"window_end\":{\"S\":\"2024-01-01T00:01:00Z\"},"
           "\"shard_id\":{\"S\":\"shardId-000000000000\"},\"fragment\":{\"S\":\"4951\"},\"last_sequence\":{\"S\":"
           "\"4960\"},"
           "\"type\":{\"S\":\"buy\"},\"country\":{\"NULL\":true},\"n\":{\"N\":\"1.5\"},\"records\":{\"N\":\"3\"},"
           "\"_key\":{\"S\":\"00000000000000000000000000000000\"},\"expires\":{\"N\":\"1000\"}}");
}

static void a_key_may_be_a_column_of_its_own_name(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {
        {.name = "sk", .value = "{country}/{window_start}/{shard_id}/{fragment}"}};
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    set_values(values, "\"buy\"", "\"de\"", "1");
    assert_int_equal(init(table_of("type", 'S', "sk", 'S'), options, 1, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_OK);
    expect("\"type\":{\"S\":\"buy\"},\"sk\":{\"S\":\"de/2024-01-01T00:00:00Z/shardId-000000000000/4951\"}");
    assert_int_equal(tw_dynamodb_form_item(&form, &row, &out), TUMBLE_OK);
    assert_memory_equal(out.data, "{\"sk\":{\"S\":\"de/", 14);
    static const char *const bad[] = {"1", "null", "\"\""};
    for (size_t i = 0; i < 3; i++) {
        set_values(values, bad[i], "1", "1");
        assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_EREJECTED);
        assert_memory_equal(form.reason.text, "type: ", 6);
    }
}

static void a_key_called_key_takes_the_rows_key(void **state) {
    (void)state;
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    set_values(values, "\"buy\"", "\"de\"", "1");
    assert_int_equal(init(table_of("_key", 'S', "", 0), NULL, 0, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_OK);
    expect("\"_key\":{\"S\":\"00000000000000000000000000000000\"}");
    assert_int_equal(init(table_of("_key", 'N', "", 0), NULL, 0, false, NULL), TUMBLE_EUSAGE);
}

static void a_number_key_takes_a_number_column(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {
        {.name = "pk", .value = "{type}"}, {.name = "sk", .value = "{country}/{window_start}/{shard_id}/{fragment}"}};
    const struct tumble_option_value wrong[] = {{.name = "pk", .value = "n{type}"}, options[1]};
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    set_values(values, "200", "\"de\"", "1");
    assert_int_equal(init(table_of("pk", 'N', "sk", 'S'), options, 2, false, NULL), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_OK);
    assert_memory_equal(out.data, "\"pk\":{\"N\":\"200\"}", 16);
    set_values(values, "\"200\"", "\"de\"", "1");
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_EREJECTED);
    assert_int_equal(init(table_of("pk", 'N', "sk", 'S'), wrong, 2, false, NULL), TUMBLE_EUSAGE);
    assert_int_equal(init(table_of("pk", 'B', "sk", 'S'), options, 2, false, NULL), TUMBLE_EUSAGE);
}

static void what_does_not_fit_the_table_is_refused_with_advice(void **state) {
    (void)state;
    const struct tumble_option_value other[] = {{.name = "kp", .value = "{key}"}},
                                     taken[] = {{.name = "type", .value = "{key}"}};
    assert_int_equal(init(table_of("pk", 'S', "sk", 'S'), NULL, 0, false, NULL), TUMBLE_EUSAGE);
    assert_string_equal(err.text,
                        "dynamodb:t: key attribute pk is no column of the rows: say what goes into them, as in "
                        "'?pk={type}|{country}&sk={window_start}/{shard_id}/{fragment}'");
    assert_int_equal(init(table_of("pk", 'S', "", 0), NULL, 0, false, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "'?pk={type}|{country}|{window_start}/{shard_id}/{fragment}'"));
    assert_int_equal(init(table_of("pk", 'S', "", 0), other, 1, false, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "kp is neither an option nor a key attribute of the table: its key is pk"));
    assert_int_equal(init(table_of("type", 'S', "", 0), taken, 1, false, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "is a column of the rows too"));
    assert_int_equal(init(table_of("type", 'S', "window_start", 'S'), NULL, 0, false, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "do not tell rows apart: shard_id is missing"));
    assert_int_equal(init(table_of("n", 'N', "", 0), NULL, 0, false, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "column n is a result"));
    const struct tumble_option_value good[] = {{.name = "pk", .value = "{key}"}};
    assert_int_equal(init(table_of("pk", 'S', "", 0), good, 1, false, "type:1"), TUMBLE_EUSAGE);
    assert_int_equal(init(table_of("pk", 'S', "", 0), good, 1, false, "pk:1"), TUMBLE_EUSAGE);
    assert_int_equal(init(table_of("pk", 'S', "", 0), good, 1, true, NULL), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "\"partials\": true"));
}

static void time_to_live_is_an_attribute_and_seconds(void **state) {
    (void)state;
    static const char *const bad[] = {"", "a", "a:", ":1", "a:-1", "a:1x", "a:99999999999", "a: 1"};
    char name[256];
    int64_t seconds;
    assert_int_equal(tw_dynamodb_ttl_read("a:b:60", name, &seconds, &err), TUMBLE_OK);
    assert_string_equal(name, "a:b");
    assert_int_equal(seconds, 60);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tw_dynamodb_ttl_read(bad[i], name, &seconds, &err), TUMBLE_EUSAGE);
    }
}

static void rows_over_400_kb_and_long_keys_are_rejected(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {{.name = "pk", .value = "{key}"}};
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    assert_int_equal(init(table_of("pk", 'S', "", 0), options, 1, false, NULL), TUMBLE_OK);
    size_t fixed = 2 + 32 + 4 + 32 + 12 + 20 + 10 + 20 + 8 + 20 + 8 + 4 + 13 + 4 + 4 + 7 + 1 + 1 + 2 + 7 + 2;
    for (size_t more = 0; more < 2; more++) {
        size_t length = 400 * 1024 - fixed + more;
        char *text = malloc(length + 3);
        memset(text, 'x', length + 2);
        text[0] = text[length + 1] = '"';
        text[length + 2] = '\0';
        set_values(values, text, "null", "1");
        tw_buf_clear(&out);
        assert_int_equal(tw_dynamodb_form_item(&form, &row, &out), more ? TUMBLE_EREJECTED : TUMBLE_OK);
        free(text);
    }
    assert_string_equal(form.reason.text, "an item of 409601 bytes: DynamoDB takes 400 KB at most");
    char text[3000];
    memset(text, 'x', sizeof text);
    text[0] = text[2050] = '"';
    text[2051] = '\0';
    const struct tumble_option_value long_key[] = {
        {.name = "pk", .value = "{type}/{country}/{window_start}/{shard_id}/{fragment}"}};
    assert_int_equal(init(table_of("pk", 'S', "", 0), long_key, 1, false, NULL), TUMBLE_OK);
    set_values(values, text, "null", "1");
    tw_buf_clear(&out);
    assert_int_equal(tw_dynamodb_form_key(&form, &row, &out), TUMBLE_EREJECTED);
    assert_non_null(strstr(form.reason.text, "longer than a key may be"));
}

/* Every allocation fails once: an error each time, and nothing stays behind. */
static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    const struct tumble_option_value options[] = {
        {.name = "pk", .value = "{type}|{country}|{window_start}/{shard_id}/{fragment}"}};
    struct tumble_output_open how = {.target = "t", .options = options, .option_count = 1, .spec = spec};
    const struct tw_dynamodb_table table = table_of("pk", 'S', "", 0);
    struct tumble_bytes values[ROW_VALUES];
    struct tumble_row row = {.values = values, .value_count = ROW_VALUES};
    size_t failed = 0;
    set_values(values, "\"buy\"", "\"de\"", "1");
    for (bool done = false; !done; failed++) {
        struct counting_alloc count = {.fail_at = failed + 1};
        struct tumble_alloc alloc = counting_alloc_of(&count);
        struct tw_buf item;
        tw_buf_init(&item, alloc, 4096);
        enum tumble_code code = tw_dynamodb_form_init(&form, &how, 0, &table, false, NULL, alloc, &err);
        code = code == TUMBLE_OK ? tw_dynamodb_form_item(&form, &row, &item) : code;
        done = code == TUMBLE_OK;
        assert_true(done || code == TUMBLE_ENOMEM);
        tw_buf_clean_up(&item);
        tw_dynamodb_form_clean_up(&form);
        assert_int_equal(count.live, 0);
    }
    assert_true(failed > 4);
}

static void a_merged_items_own_attributes_are_no_columns(void **state) {
    (void)state;
    struct tumble_spec *other = NULL;
    const char *text =
        "{\"window\":{\"seconds\":60},\"group_by\":[{\"field\":\"x\",\"as\":\"_source\"}],\"aggregates\":[{"
        "\"name\":\"n\",\"function\":\"count\"}],\"partials\":true}";
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(text), NULL, (struct tumble_alloc){0}, &other, &err), TUMBLE_OK);
    struct tumble_output_open how = {.target = "t", .spec = other};
    assert_int_equal(tw_dynamodb_options_check(&how, 0, false, &err), TUMBLE_OK);
    assert_int_equal(tw_dynamodb_options_check(&how, 0, true, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "merge=true has an attribute _source of its own"));
    tumble_spec_destroy(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_becomes_an_item_of_the_tables_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_may_be_a_column_of_its_own_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_called_key_takes_the_rows_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_key_takes_a_number_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_the_table_is_refused_with_advice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_to_live_is_an_attribute_and_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(running_out_of_memory_is_an_error, set_up, tear_down),
        cmocka_unit_test(a_merged_items_own_attributes_are_no_columns),
        cmocka_unit_test_setup_teardown(rows_over_400_kb_and_long_keys_are_rejected, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
