#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/outputs/file/file_output.h"
#include "runner/output_registry.h"

/* URIs against a table of outputs of the test's own, in place of the built-in one. */

static const struct tumble_output_option full_options[] = {
    {.name = "level", .type = TUMBLE_OPTION_INTEGER, .default_value = "3", .help = "how high"},
    {.name = "region", .help = "where"},
    {.name = "key", .required = 1, .help = "which attribute"},
};

static enum tumble_code never_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    (void)how, (void)self, (void)err;
    fail_msg("opened");
    return TUMBLE_EINTERNAL;
}
static enum tumble_code never_write(void *self, const struct tumble_row *rows, size_t count,
                                    struct tumble_delivery *out, struct tumble_error *err) {
    (void)self, (void)rows, (void)count, (void)out, (void)err;
    return TUMBLE_EINTERNAL;
}
static enum tumble_code never_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self, (void)pending_done, (void)err;
    return TUMBLE_EINTERNAL;
}
static void never_close(void *self) { (void)self; }

static enum tumble_code check_level(const struct tumble_output_open *how, struct tumble_error *err) {
    if (how->options[0].number == 13) {
        snprintf(err->text, sizeof err->text, "%s: 13 brings no luck", how->uri);
        return err->code = TUMBLE_EUSAGE;
    }
    return TUMBLE_OK;
}

#define FUNCTIONS                                                                                                      \
    .abi_version = TUMBLE_OUTPUT_ABI, .open = never_open, .write = never_write, .flush = never_flush,                  \
    .close = never_close

static const struct tumble_output_api full = {.struct_size = sizeof full,
                                              FUNCTIONS,
                                              .name = "full",
                                              .flags = TUMBLE_OUTPUT_OTHER_OPTIONS | TUMBLE_OUTPUT_NO_FAILURES,
                                              .target = "TABLE",
                                              .options = full_options,
                                              .option_count = 3,
                                              .check = check_level};
static const struct tumble_output_api bare = {
    .struct_size = sizeof bare, FUNCTIONS, .name = "bare", .flags = TUMBLE_OUTPUT_NO_ROWS};

const struct tumble_output_api *const tumble_builtin_outputs[] = {&tumble_file_output, &full, &bare, NULL};

static struct tumble_output_registry *registry;
static struct tumble_output_uri uri;
static struct tumble_error err;

static enum tumble_code parse(const char *text, enum tumble_row_kind kind, const char *format) {
    memset(&err, 0, sizeof err);
    return tumble_output_uri_parse(registry, &uri, tumble_bytes_of(text), kind, format, &err);
}

static void refused(const char *text, enum tumble_row_kind kind, const char *part) {
    assert_int_equal(parse(text, kind, NULL), TUMBLE_EUSAGE);
    if (!strstr(err.text, part)) {
        fail_msg("%s: %s", text, err.text);
    }
}

static void options_stand_in_the_order_of_the_table(void **state) {
    (void)state;
    assert_int_equal(parse("full:a?b", TUMBLE_ROW_WINDOW, NULL), TUMBLE_EUSAGE); /* no value */
    assert_int_equal(
        parse("full:orders?pk={type}&key=k%3D1&level=7&sk={window_start}/{shard_id}", TUMBLE_ROW_WINDOW, NULL),
        TUMBLE_OK);
    assert_string_equal(uri.output.target, "orders");
    assert_ptr_equal(uri.output.api, &full);
    assert_int_equal(uri.output.option_count, 5);
    static const struct tumble_option_value wanted[] = {{"level", "7", 7, 1},
                                                        {"region", NULL, 0, 0},
                                                        {"key", "k=1", 0, 1},
                                                        {"pk", "{type}", 0, 1},
                                                        {"sk", "{window_start}/{shard_id}", 0, 1}};
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(uri.options[i].name, wanted[i].name);
        assert_int_equal(uri.options[i].number, wanted[i].number);
        assert_int_equal(uri.options[i].given, wanted[i].given);
        assert_true((uri.options[i].value == NULL) == (wanted[i].value == NULL));
        if (wanted[i].value) {
            assert_string_equal(uri.options[i].value, wanted[i].value);
        }
    }
    assert_int_equal(parse("full:orders?key=k&level=1&level=2", TUMBLE_ROW_WINDOW, NULL), TUMBLE_OK);
    assert_int_equal(uri.options[0].number, 2); /* the last counts */
    assert_int_equal(parse("full:orders?key=k", TUMBLE_ROW_WINDOW, NULL), TUMBLE_OK);
    assert_int_equal(uri.options[0].number, 3);
    assert_int_equal(uri.options[0].given, 0);
}

static void what_an_output_does_not_take_is_refused_before_it_is_opened(void **state) {
    (void)state;
    refused("full:x", TUMBLE_ROW_WINDOW, "needs the option key (which attribute)");
    refused("full:x?key=k", TUMBLE_ROW_FAILURE, "full takes rows of windows only: failures must go elsewhere");
    refused("bare:x", TUMBLE_ROW_WINDOW, "bare takes failures only: it can be no output");
    refused("bare:x?a=b", TUMBLE_ROW_FAILURE, "unknown option \"a\" (bare takes none)");
    refused("full:x?key=k&level=high", TUMBLE_ROW_WINDOW, "level \"high\" is not a whole number");
    refused("full:x?key=%0", TUMBLE_ROW_WINDOW, "%25");
    refused("fulll:x", TUMBLE_ROW_WINDOW, "did you mean \"full\"? (there are -, file:PATH, full:TABLE, bare:)");
    refused("word", TUMBLE_ROW_WINDOW, "write file:word");
    assert_int_equal(parse("full:x?key=k&level=13", TUMBLE_ROW_WINDOW, NULL), TUMBLE_OK);
    assert_int_equal(tumble_output_uri_check(&uri, NULL, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "13 brings no luck"));
    assert_int_equal(parse("bare:x", TUMBLE_ROW_FAILURE, NULL), TUMBLE_OK);
    assert_int_equal(tumble_output_uri_check(&uri, NULL, &err), TUMBLE_OK);
}

static void hostile_lengths_are_refused(void **state) {
    (void)state;
    static char text[TUMBLE_URI_BYTES + 100];
    memset(text, 'a', sizeof text);
    for (size_t length = TUMBLE_URI_BYTES - 8; length < TUMBLE_URI_BYTES + 100; length++) {
        struct tumble_bytes bytes = {text, length};
        text[0] = '/'; /* a path: file: is put in front of it */
        enum tumble_code code = tumble_output_uri_parse(registry, &uri, bytes, TUMBLE_ROW_WINDOW, NULL, &err);
        assert_int_equal(code, length + 5 < TUMBLE_URI_BYTES ? TUMBLE_OK : TUMBLE_EUSAGE);
    }
    struct tumble_bytes holds_nul = {"file:a\0b", 8};
    assert_int_equal(tumble_output_uri_parse(registry, &uri, holds_nul, TUMBLE_ROW_WINDOW, NULL, &err), TUMBLE_EUSAGE);
    size_t length = (size_t)snprintf(text, sizeof text, "full:x?key=k");
    for (int i = 0; i < 70; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "&o%d=%d", i, i);
    }
    refused(text, TUMBLE_ROW_WINDOW, "more than 64 options");
}

static void files_take_their_format_from_where_it_stands(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *format;
        const char *target;
        const char *wanted;
        const char *name;
    } cases[] = {{"rows.csv", NULL, "rows.csv", "csv", "file:rows.csv"},
                 {"rows.csv", "ndjson", "rows.csv", "ndjson", "file:rows.csv"},
                 {"file:rows?format=csv", "table", "rows", "csv", "file:rows?format=csv"},
                 {"./a?b.jsonl?format=csv", NULL, "./a?b.jsonl", "csv", "file:./a?b.jsonl?format=csv"},
                 {"-?format=csv", NULL, "-", "csv", "-?format=csv"},
                 {"file:/dev/stdout", "csv", "-", "csv", "file:/dev/stdout"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parse(cases[i].text, TUMBLE_ROW_WINDOW, cases[i].format) != TUMBLE_OK) {
            fail_msg("%s", err.text);
        }
        assert_string_equal(uri.output.target, cases[i].target);
        assert_string_equal(uri.options[0].value, cases[i].wanted);
        assert_string_equal(uri.output.uri, cases[i].name);
        assert_int_equal(uri.is_stdout, strcmp(cases[i].target, "-") == 0);
        assert_true(uri.is_file);
    }
}

static int set_up(void **state) {
    (void)state;
    return tumble_output_registry_new(&registry, &err) == TUMBLE_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    tumble_output_registry_destroy(registry);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_in_the_order_of_the_table),
        cmocka_unit_test(what_an_output_does_not_take_is_refused_before_it_is_opened),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(files_take_their_format_from_where_it_stands),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
