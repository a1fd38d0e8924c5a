#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/spec_compiled.h"

/* Aggregates in the spec: options, second fields, where, types, columns; in JSON and as shorthand. */

static struct tumble_spec *parse(const char *json) {
    struct tumble_spec *spec;
    struct tumble_error err = {.text = ""};
    if (tumble_spec_parse(tumble_bytes_of(json), NULL, tw_alloc_default(), &spec, &err) != TUMBLE_OK) {
        fail_msg("%s: %s", json, err.text);
    }
    return spec;
}

/* A spec of these aggregates: what stands between the brackets. */
static struct tumble_spec *parse_aggregates(const char *aggregates) {
    char json[2048];
    snprintf(json, sizeof json, "{\"aggregates\":[%s]}", aggregates);
    return parse(json);
}

static struct tumble_spec *parse_shorthand(const char *text) {
    struct tumble_spec *spec;
    struct tumble_error err = {.text = ""};
    struct tumble_spec_overrides overrides = {.aggregates = &text, .aggregate_count = 1};
    if (tumble_spec_parse(tumble_bytes_of(""), &overrides, tw_alloc_default(), &spec, &err) != TUMBLE_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    return spec;
}

static void assert_canonical(struct tumble_spec *spec, const char *aggregates) {
    char json[2048];
    snprintf(json, sizeof json, "{\"aggregates\":[%s]}", aggregates);
    assert_string_equal(tumble_spec_canonical(spec).data, json);
    struct tumble_spec *again = parse(json);
    assert_string_equal(tumble_spec_canonical(again).data, json);
    tumble_spec_destroy(again);
    tumble_spec_destroy(spec);
}

static void assert_number(const struct tw_params *params, size_t option, uint32_t index, const char *text) {
    struct tw_decimal wanted;
    assert_int_equal(tw_decimal_parse(&wanted, text, strlen(text), NULL), TUMBLE_OK);
    assert_true(index < params->options[option].count);
    assert_int_equal(tw_decimal_compare(&params->options[option].numbers[index], &wanted), 0);
}

static void every_option_of_every_function_has_a_fallback_its_own_bounds_allow(void **state) {
    (void)state;
    size_t seen = 0;
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        const struct tw_option *options = (*all)->options;
        char json[512];
        int length = snprintf(json, sizeof json, "{\"name\":\"n\",\"function\":\"%s\",\"field\":\"f\"", (*all)->name);
        if ((*all)->type_name) {
            length += snprintf(json + length, sizeof json - (size_t)length, ",\"type\":\"%s\"", (*all)->type_name);
        }
        if ((*all)->second) {
            length += snprintf(json + length, sizeof json - (size_t)length, ",\"%s\":\"g\"", (*all)->second);
        }
        for (size_t i = 0; options && options[i].name; i++, seen++) {
            assert_true(i < TW_OPTIONS_MOST);
            if (!options[i].fallback) {
                length += snprintf(json + length, sizeof json - (size_t)length, ",\"%s\":%s", options[i].name,
                                   options[i].lowest ? options[i].lowest : "1");
            }
        }
        snprintf(json + length, sizeof json - (size_t)length, "}");
        struct tumble_spec *spec = parse_aggregates(json);
        for (size_t i = 0; options && options[i].name; i++) {
            assert_in_range(spec->aggregates[0].params.options[i].count, 1, options[i].most ? options[i].most : 1);
        }
        tumble_spec_destroy(spec);
    }
    assert_in_range(seen, 1, 1000);
}

static void options_are_read_and_defaults_are_left_out_of_the_canonical_text(void **state) {
    (void)state;
    struct tumble_spec *spec =
        parse_aggregates("{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":2e-2},"
                         "{\"name\":\"b\",\"error\":0.010,\"function\":\"distinct\",\"field\":\"u\"},"
                         "{\"name\":\"c\",\"function\":\"distinct\",\"field\":\"u\"}");
    assert_number(&spec->aggregates[0].params, 0, 0, "0.02");
    assert_number(&spec->aggregates[1].params, 0, 0, "0.01");
    assert_number(&spec->aggregates[2].params, 0, 0, "0.01");
    assert_canonical(spec, "{\"error\":0.02,\"field\":\"u\",\"function\":\"distinct\",\"name\":\"a\"},"
                           "{\"field\":\"u\",\"function\":\"distinct\",\"name\":\"b\"},"
                           "{\"field\":\"u\",\"function\":\"distinct\",\"name\":\"c\"}");
}

static void an_aggregate_has_a_where_of_its_own(void **state) {
    (void)state;
    struct tumble_spec *spec = parse_aggregates("{\"name\":\"a\",\"function\":\"count\",\"where\":{\"t\":[\"z\",\"b\"]}"
                                                "},{\"name\":\"b\",\"function\":\"count\"}");
    assert_non_null(spec->aggregates[0].where);
    assert_null(spec->aggregates[1].where);
    assert_null(spec->where);
    assert_string_equal(tumble_spec_column(spec, 5)->explanation, "count of records, where {\"t\":[\"b\",\"z\"]}");
    assert_string_equal(tumble_spec_column(spec, 6)->explanation, "count of records");
    assert_canonical(spec, "{\"function\":\"count\",\"name\":\"a\",\"where\":{\"t\":[\"b\",\"z\"]}},"
                           "{\"function\":\"count\",\"name\":\"b\"}");
}

static void partials_add_a_column_before_records_and_to_the_canonical_text(void **state) {
    (void)state;
    struct tumble_spec *with = parse("{\"partials\":true,\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    struct tumble_spec *without =
        parse("{\"partials\":false,\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    assert_true(tumble_spec_has_partials(with));
    assert_false(tumble_spec_has_partials(without));
    assert_int_equal(tumble_spec_column_count(with), 8);
    assert_string_equal(tumble_spec_column(with, 6)->name, "_partials");
    assert_string_equal(tumble_spec_column(with, 7)->name, "records");
    assert_int_equal(tumble_spec_column_count(without), 7);
    assert_true(tumble_spec_digest(with) != tumble_spec_digest(without));
    assert_string_equal(tumble_spec_canonical(with).data,
                        "{\"aggregates\":[{\"function\":\"count\",\"name\":\"n\"}],\"partials\":true}");
    assert_canonical(without, "{\"function\":\"count\",\"name\":\"n\"}");
    struct tumble_spec_overrides on = {.partials = 1};
    struct tumble_spec_overrides off = {.partials = -1};
    struct tumble_spec *spec;
    struct tumble_bytes text = tumble_spec_canonical(with);
    assert_int_equal(tumble_spec_parse(text, &off, tw_alloc_default(), &spec, NULL), TUMBLE_OK);
    assert_false(tumble_spec_has_partials(spec));
    struct tumble_spec *back;
    assert_int_equal(tumble_spec_parse(tumble_spec_canonical(spec), &on, tw_alloc_default(), &back, NULL), TUMBLE_OK);
    assert_true(tumble_spec_digest(back) == tumble_spec_digest(with));
    tumble_spec_destroy(back);
    tumble_spec_destroy(spec);
    tumble_spec_destroy(with);
}

static void every_column_says_how_far_it_may_be_off(void **state) {
    (void)state;
    struct tumble_spec *spec = parse_aggregates("{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\"},"
                                                "{\"name\":\"n\",\"function\":\"count\"}");
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        assert_true(strlen(tumble_spec_column(spec, i)->bound) >= 5);
    }
    assert_string_equal(tumble_spec_column(spec, 6)->bound, "exact");
    tumble_spec_destroy(spec);
}

static void shorthand_takes_options_behind_the_field(void **state) {
    (void)state;
    static const struct {
        const char *shorthand;
        const char *canonical;
    } cases[] = {
        {"u=distinct(user.id, error=0.02)",
         "{\"error\":0.02,\"field\":\"user.id\",\"function\":\"distinct\",\"name\":\"u\"}"},
        {"distinct(user,error = 2e-2)",
         "{\"error\":0.02,\"field\":\"user\",\"function\":\"distinct\",\"name\":\"distinct_user\"}"},
        {"distinct(/a,b,c d, error=0.02)",
         "{\"error\":0.02,\"field\":\"a,b,c d\",\"function\":\"distinct\",\"name\":\"distinct_/a,b,c d\"}"},
        {"low=min(page, type=string)",
         "{\"field\":\"page\",\"function\":\"min\",\"name\":\"low\",\"type\":\"string\"}"},
        {"low=min(page,string, where={\"a\":[\"x\",\"]\\\",\"], \"b\":[1]})",
         "{\"field\":\"page\",\"function\":\"min\",\"name\":\"low\",\"type\":\"string\",\"where\":{\"a\":[\"]\\\",\","
         "\"x\"],\"b\":[1]}}"},
        {"refunds=count(where={\"t\":[\"refund\"]})",
         "{\"function\":\"count\",\"name\":\"refunds\",\"where\":{\"t\":[\"refund\"]}}"},
        {"count(field=x)", "{\"field\":\"x\",\"function\":\"count\",\"name\":\"count_x\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_canonical(parse_shorthand(cases[i].shorthand), cases[i].canonical);
    }
}

static void refusals_of_aggregates_name_what_would_be_right(void **state) {
    (void)state;
    static const struct {
        const char *aggregate; /* in brackets; or shorthand, if it does not begin with a brace */
        enum tumble_code code;
        const char *message;
    } cases[] = {
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"eror\":0.1}", TUMBLE_ESPEC,
         "unknown key aggregates[0].eror: did you mean \"error\"?"},
        {"{\"name\":\"a\",\"function\":\"sum\",\"field\":\"u\",\"error\":0.1}", TUMBLE_ESPEC,
         "unknown key aggregates[0].error"},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":0.5}", TUMBLE_ESPEC,
         "aggregates[0].error must be a number from 0.001 to 0.26, not 0.5"},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":\"x\"}", TUMBLE_ESPEC,
         "aggregates[0].error must be a number from 0.001 to 0.26, not a string"},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":[0.1]}", TUMBLE_ESPEC,
         "aggregates[0].error must be a number from 0.001 to 0.26, not an array"},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":0.1,\"error\":0.1}", TUMBLE_ESPEC,
         "aggregates[0].error is given twice: keep one of them"},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":1e400}", TUMBLE_ESPEC,
         "aggregates[0].error must be a number from 0.001 to 0.26, not 1e400"},
        {"{\"name\":\"a\",\"function\":\"count\",\"where\":{\"x\":\"a\"}}", TUMBLE_EPATTERN,
         "aggregates[0].where: Invalid filter pattern definition. \"x\" must be an object or an array (at /x): write "
         "[\"a\"]"},
        {"{\"name\":\"a\",\"function\":\"count\",\"where\":5}", TUMBLE_ESPEC,
         "aggregates[0].where must be an object (a filter pattern), not a number"},
        {"{\"name\":\"a\",\"function\":\"count\"},{\"name\":\"a\",\"function\":\"count\"}", TUMBLE_ESPEC,
         "aggregates[1]: the name \"a\" is used twice: name it otherwise"},
        {"{\"name\":\"a\",\"function\":\"min\",\"field\":\"x\",\"type\":\"text\"}", TUMBLE_ESPEC,
         "aggregates[0].type: min has no type \"text\": write \"string\" or leave the key out"},
        {"{\"name\":\"a\",\"function\":\"avg\",\"field\":\"x\"}", TUMBLE_ESPEC,
         "aggregates[0].function: unknown function \"avg\": did you mean \"mean\"?"},
        {"{\"name\":\"a\",\"function\":\"nunique\",\"field\":\"x\"}", TUMBLE_ESPEC,
         "aggregates[0].function: unknown function \"nunique\": did you mean \"distinct\"?"},
        {"u=distinct(user, eror=1)", TUMBLE_ESPEC,
         "unknown key aggregate \"u=distinct(user, eror=1)\".eror: did you mean \"error\"?"},
        {"u=distinct(user, error=x)", TUMBLE_ESPEC,
         "aggregate \"u=distinct(user, error=x)\".error must be a number from 0.001 to 0.26, not x"},
        {"u=distinct(user, error=0.1, error=0.2)", TUMBLE_ESPEC,
         "aggregate \"u=distinct(user, error=0.1, error=0.2)\".error is given twice: keep one of them"},
        {"u=distinct(user, error=)", TUMBLE_ESPEC,
         "aggregate \"u=distinct(user, error=)\".error is empty: leave the key out or give it a value"},
        {"u=distinct(user, error=0.1, 7)", TUMBLE_ESPEC,
         "aggregate \"u=distinct(user, error=0.1, 7)\": expected KEY=VALUE behind the field, such as q=0.5, not \"7\""},
        {"u=min(user, string, type=string)", TUMBLE_ESPEC,
         "aggregate \"u=min(user, string, type=string)\".type is given twice: keep one of them"},
        {"u=count(where={\"a\":1})", TUMBLE_EPATTERN,
         "aggregate \"u=count(where={\"a\":1})\".where: Invalid filter pattern definition. \"a\" must be an object or "
         "an "
         "array (at /a): write [1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool short_form = cases[i].aggregate[0] != '{';
        char json[1024];
        snprintf(json, sizeof json, "{\"aggregates\":[%s]}", cases[i].aggregate);
        struct tumble_spec_overrides overrides = {.aggregates = &cases[i].aggregate, .aggregate_count = short_form};
        struct tumble_spec *spec;
        struct tumble_error err = {.text = ""};
        assert_int_equal(
            tumble_spec_parse(tumble_bytes_of(short_form ? "" : json), &overrides, tw_alloc_default(), &spec, &err),
            cases[i].code);
        assert_null(spec);
        assert_string_equal(err.text, cases[i].message);
        assert_true(short_form ? err.byte == -1 : err.byte >= 14);
    }
}

/* Everything a message repeats is as long as it can be. */
static void no_message_is_ever_cut(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"%s\"}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"a..%s\"}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"/%s~\"}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"$%s\"}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"x\",\"type\":\"%s\"}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"x\",\"%s\":1}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"count\",\"where\":{\"%s\":1}}]}",
        "{\"aggregates\":[{\"name\":\"n\",\"function\":\"count\",\"where\":{\"x\":\"%s\"}}]}",
        "{\"aggregates\":[{\"name\":\"%s\",\"function\":\"count\"},{\"name\":\"%s\",\"function\":\"count\"}]}",
        "{\"group_by\":\"%s\"}",
        "{\"timestamp\":\"%s\"}",
        "{\"group_by\":[\"$%s\"]}",
        "{\"%s\":1}",
        "{\"bad_records\":\"%s\",\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}",
        "{\"timestamp\":{\"field\":\"t\",\"format\":\"%s\"},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}",
    };
    static const size_t lengths[] = {1, 40, 47, 48, 63, 64, 79, 80, 96, 200, 255, 1000};
    char word[1024];
    char json[4096];
    size_t refused = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            memset(word, 'w', lengths[j]);
            word[lengths[j]] = '\0';
            const char *at = patterns[i];
            size_t length = 0;
            for (; *at; at++) {
                if (at[0] == '%') {
                    length += (size_t)snprintf(json + length, sizeof json - length, "%s", word);
                    at++;
                } else {
                    json[length++] = *at;
                }
            }
            json[length] = '\0';
            struct tumble_spec *spec;
            struct tumble_error err = {.text = ""};
            if (tumble_spec_parse(tumble_bytes_of(json), NULL, tw_alloc_default(), &spec, &err) == TUMBLE_OK) {
                tumble_spec_destroy(spec);
                continue;
            }
            refused++;
            if (strlen(err.text) >= TUMBLE_ERROR_TEXT - 1) {
                fail_msg("cut: %s", err.text);
            }
            char text[3200];
            snprintf(text, sizeof text, "%s=sum($%s,%s=1)", word, j % 2 ? word : "x", j % 3 ? "q" : word);
            const char *shorthand = text;
            struct tumble_spec_overrides overrides = {.aggregates = &shorthand, .aggregate_count = 1};
            assert_int_not_equal(tumble_spec_parse(tumble_bytes_of(""), &overrides, tw_alloc_default(), &spec, &err),
                                 TUMBLE_OK);
            assert_true(strlen(err.text) < TUMBLE_ERROR_TEXT - 1);
        }
    }
    assert_in_range(refused, 120, 1000);
}

/* ---- no memory ---- */

static int allocations_left;

static void *scarce_alloc(void *ctx, size_t size) {
    (void)ctx;
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void *scarce_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return allocations_left-- > 0 ? realloc(pointer, new_size) : NULL;
}

static void scarce_release(void *ctx, void *pointer) {
    (void)ctx;
    free(pointer);
}

static void every_failed_allocation_is_an_ordinary_error(void **state) {
    (void)state;
    static const char json[] =
        "{\"partials\":true,\"aggregates\":[{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\",\"error\":0.02,"
        "\"where\":{\"t\":[\"x\"]}},{\"name\":\"b\",\"function\":\"count\",\"where\":{\"t\":[\"y\"]}},"
        "{\"name\":\"c\",\"function\":\"distinct\",\"field\":\"u\"}]}";
    struct tumble_alloc scarce = {scarce_alloc, scarce_resize, scarce_release, NULL};
    const char *shorthand = "u=distinct(user, error=0.02, where={\"a\":[1]})";
    struct tumble_spec_overrides overrides = {.aggregates = &shorthand, .aggregate_count = 1};
    for (int with = 0; with < 2; with++) {
        struct tumble_spec *whole = with ? parse_shorthand(shorthand) : parse(json);
        int n = 0;
        for (; n < 5000; n++) {
            struct tumble_spec *spec;
            struct tumble_error err = {.text = ""};
            allocations_left = n;
            enum tumble_code code =
                tumble_spec_parse(tumble_bytes_of(with ? "" : json), with ? &overrides : NULL, scarce, &spec, &err);
            if (code == TUMBLE_OK) {
                assert_int_equal(tumble_spec_column_count(spec), tumble_spec_column_count(whole));
                assert_true(tumble_spec_digest(spec) == tumble_spec_digest(whole));
                tumble_spec_destroy(spec);
                break;
            }
            assert_int_equal(code, TUMBLE_ENOMEM);
            assert_int_equal(err.code, TUMBLE_ENOMEM);
            assert_null(spec);
        }
        assert_in_range(n, 5, 4999);
        tumble_spec_destroy(whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_of_every_function_has_a_fallback_its_own_bounds_allow),
        cmocka_unit_test(options_are_read_and_defaults_are_left_out_of_the_canonical_text),
        cmocka_unit_test(an_aggregate_has_a_where_of_its_own),
        cmocka_unit_test(partials_add_a_column_before_records_and_to_the_canonical_text),
        cmocka_unit_test(every_column_says_how_far_it_may_be_off),
        cmocka_unit_test(shorthand_takes_options_behind_the_field),
        cmocka_unit_test(refusals_of_aggregates_name_what_would_be_right),
        cmocka_unit_test(no_message_is_ever_cut),
        cmocka_unit_test(every_failed_allocation_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
