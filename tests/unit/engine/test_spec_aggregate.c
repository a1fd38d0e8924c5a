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

static void a_list_of_one_is_the_number(void **state) {
    (void)state;
    struct tumble_spec *spec = parse_aggregates(
        "{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"x\",\"q\":[5e-1],\"max_buckets\":1e2},"
        "{\"name\":\"b\",\"function\":\"quantile\",\"field\":\"x\",\"q\":[0.90,0.5],\"relative_error\":0.01},"
        "{\"name\":\"c\",\"function\":\"histogram\",\"field\":\"x\",\"bounds\":5}");
    assert_int_equal(spec->aggregates[1].params.options[0].count, 2);
    assert_number(&spec->aggregates[1].params, 0, 0, "0.9");
    assert_number(&spec->aggregates[0].params, 2, 0, "100");
    assert_canonical(spec, "{\"field\":\"x\",\"function\":\"quantile\",\"max_buckets\":100,\"name\":\"a\",\"q\":0.5},"
                           "{\"field\":\"x\",\"function\":\"quantile\",\"name\":\"b\",\"q\":[0.9,0.5]},"
                           "{\"bounds\":5,\"field\":\"x\",\"function\":\"histogram\",\"name\":\"c\"}");
}

static void an_aggregate_of_several_columns_names_each(void **state) {
    (void)state;
    static const char *const names[] = {"p_0.5",   "p_0.99", "p_relative_error", "one", "one_relative_error", "t",
                                        "t_exact", "n"};
    struct tumble_spec *spec =
        parse_aggregates("{\"name\":\"p\",\"function\":\"quantile\",\"field\":\"x\",\"q\":[0.50,0.99]},"
                         "{\"name\":\"one\",\"function\":\"quantile\",\"field\":\"x\",\"q\":0.5},"
                         "{\"name\":\"t\",\"function\":\"top\",\"field\":\"x\",\"k\":3},"
                         "{\"name\":\"n\",\"function\":\"count\"}");
    assert_int_equal(tumble_spec_column_count(spec), 5 + sizeof names / sizeof *names + 1);
    uint32_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct tumble_column *column = tumble_spec_column(spec, 5 + i);
        assert_string_equal(column->name, names[i]);
        assert_int_equal(column->kind, TUMBLE_COLUMN_AGGREGATE);
        bytes += column->state_bytes;
    }
    assert_int_equal(spec->aggregates[0].column_count, 3);
    assert_int_equal(bytes, spec->accumulator_bytes); /* once for each aggregate */
    assert_true(tumble_spec_column(spec, 5)->state_bytes > 0);
    assert_int_equal(tumble_spec_column(spec, 6)->state_bytes, 0);
    tumble_spec_destroy(spec);
}

static void a_second_field_is_one_of_the_spec_s_fields(void **state) {
    (void)state;
    struct tumble_spec *spec =
        parse_aggregates("{\"name\":\"a\",\"by\":\"/x\",\"function\":\"arg_max\",\"field\":\"u\"},"
                         "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"x\"},"
                         "{\"name\":\"t\",\"function\":\"top\",\"field\":\"u\",\"k\":3,\"weight\":\"$arrival\"},"
                         "{\"name\":\"o\",\"function\":\"top\",\"field\":\"u\",\"k\":3}");
    assert_int_equal(spec->field_count, 3); /* u, x, $arrival */
    assert_int_equal(spec->aggregates[0].second_field, spec->aggregates[1].field);
    assert_int_equal(spec->aggregates[0].field, spec->aggregates[2].field);
    assert_int_equal(spec->fields[spec->aggregates[2].second_field].source, TW_FIELD_ARRIVAL);
    assert_int_equal(spec->aggregates[3].second_field, -1);
    assert_canonical(spec, "{\"by\":\"x\",\"field\":\"u\",\"function\":\"arg_max\",\"name\":\"a\"},"
                           "{\"field\":\"x\",\"function\":\"sum\",\"name\":\"s\"},"
                           "{\"field\":\"u\",\"function\":\"top\",\"k\":3,\"name\":\"t\",\"weight\":\"$arrival\"},"
                           "{\"field\":\"u\",\"function\":\"top\",\"k\":3,\"name\":\"o\"}");
}

static void a_type_that_says_what_is_so_anyway_is_left_out(void **state) {
    (void)state;
    assert_canonical(
        parse_aggregates("{\"name\":\"a\",\"function\":\"stddev\",\"field\":\"x\",\"type\":\"sample\"},"
                         "{\"name\":\"b\",\"function\":\"stddev\",\"field\":\"x\",\"type\":\"population\"},"
                         "{\"name\":\"c\",\"function\":\"variance\",\"field\":\"x\",\"type\":\"number\"}"),
        "{\"field\":\"x\",\"function\":\"stddev\",\"name\":\"a\"},"
        "{\"field\":\"x\",\"function\":\"stddev\",\"name\":\"b\",\"type\":\"population\"},"
        "{\"field\":\"x\",\"function\":\"variance\",\"name\":\"c\"}");
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

/* R16: where the spec says nothing, rows of several fragments carry partials if an aggregate needs them. */
static void partials_left_open_depend_on_fragments_and_functions(void **state) {
    (void)state;
    static const struct {
        const char *aggregates;
        bool needs;
    } cases[] = {
        {"{\"name\":\"a\",\"function\":\"count\"}", false},
        {"{\"name\":\"a\",\"function\":\"sum\",\"field\":\"v\"}", false},
        {"{\"name\":\"a\",\"function\":\"min\",\"field\":\"v\"}", false},
        {"{\"name\":\"a\",\"function\":\"max\",\"field\":\"v\",\"type\":\"string\"}", false},
        {"{\"name\":\"a\",\"function\":\"mean\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"stddev\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"variance\",\"field\":\"v\",\"type\":\"population\"}", true},
        {"{\"name\":\"a\",\"function\":\"first\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"last\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"arg_min\",\"field\":\"v\",\"by\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"v\",\"by\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"v\",\"q\":1}", true},
        {"{\"name\":\"a\",\"function\":\"histogram\",\"field\":\"v\",\"bounds\":1}", true},
        {"{\"name\":\"a\",\"function\":\"top\",\"field\":\"v\",\"k\":1}", true},
        {"{\"name\":\"a\",\"function\":\"collect\",\"field\":\"v\"}", true},
        {"{\"name\":\"a\",\"function\":\"count\"},{\"name\":\"b\",\"function\":\"mean\",\"field\":\"v\"}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"aggregates\":[%s]}", cases[i].aggregates);
        struct tumble_spec *open = parse(json);
        snprintf(json, sizeof json, "{\"partials\":false,\"aggregates\":[%s]}", cases[i].aggregates);
        struct tumble_spec *off = parse(json);
        snprintf(json, sizeof json, "{\"partials\":true,\"aggregates\":[%s]}", cases[i].aggregates);
        struct tumble_spec *on = parse(json);
        const struct tumble_spec *fragmented = tumble_spec_for_fragments(open);
        assert_false(tumble_spec_has_partials(open));
        assert_false(tumble_spec_has_partials(tumble_spec_for_fragments(off)));
        assert_ptr_equal(tumble_spec_for_fragments(on), on);
        assert_ptr_equal(tumble_spec_for_fragments(fragmented), fragmented);
        assert_int_equal(tumble_spec_has_partials(fragmented), cases[i].needs);
        assert_true(tumble_spec_digest(fragmented) == tumble_spec_digest(cases[i].needs ? on : open));
        assert_int_equal(tumble_spec_column_count(fragmented), tumble_spec_column_count(open) + cases[i].needs);
        /* The canonical text of each reads back as what it is, wherever it is then used. */
        const struct tumble_spec *faces[] = {open, fragmented, off, on};
        for (size_t f = 0; f < 4; f++) {
            struct tumble_spec *back;
            assert_int_equal(tumble_spec_parse(tumble_spec_canonical(faces[f]), NULL, tw_alloc_default(), &back, NULL),
                             TUMBLE_OK);
            assert_true(tumble_spec_digest(back) == tumble_spec_digest(faces[f]));
            assert_true(tumble_spec_digest(tumble_spec_for_fragments(back)) ==
                        tumble_spec_digest(tumble_spec_for_fragments(faces[f])));
            tumble_spec_destroy(back);
        }
        for (size_t c = 5; c < tumble_spec_column_count(open); c++) {
            const struct tumble_column *column = tumble_spec_column(open, c);
            bool plain =
                strcmp(column->explanation, "count of records") == 0 || column->kind != TUMBLE_COLUMN_AGGREGATE;
            assert_int_equal(column->additive, plain || !cases[i].needs);
        }
        tumble_spec_destroy(open);
        tumble_spec_destroy(off);
        tumble_spec_destroy(on);
    }
}

static void every_column_says_how_far_it_may_be_off(void **state) {
    (void)state;
    struct tumble_spec *spec = parse_aggregates("{\"name\":\"a\",\"function\":\"distinct\",\"field\":\"u\"},"
                                                "{\"name\":\"n\",\"function\":\"count\"}");
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        assert_true(strlen(tumble_spec_column(spec, i)->bound) >= 5);
    }
    assert_string_equal(tumble_spec_column(spec, 6)->bound, "exact");
    assert_string_not_equal(tumble_spec_column(spec, 5)->bound, "exact");
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
        {"p=quantile(latency_ms, q=0.5, q=0.99)",
         "{\"field\":\"latency_ms\",\"function\":\"quantile\",\"name\":\"p\",\"q\":[0.5,0.99]}"},
        {"big=arg_max(/a/b, by=1)", "{\"by\":\"1\",\"field\":\"a.b\",\"function\":\"arg_max\",\"name\":\"big\"}"},
        {"top(page, k=3, weight=x.y)", "{\"field\":\"page\",\"function\":\"top\",\"k\":3,\"name\":\"top_page\","
                                       "\"weight\":\"x.y\"}"},
        {"stddev(x, population)",
         "{\"field\":\"x\",\"function\":\"stddev\",\"name\":\"stddev_x\",\"type\":\"population\"}"},
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
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\"}", TUMBLE_ESPEC,
         "aggregates[0].q is missing: a number from 0 to 1, or a list of up to 16"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\",\"q\":[]}", TUMBLE_ESPEC,
         "aggregates[0].q must be a number from 0 to 1, or a list of up to 16, not an empty list"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\",\"q\":[0.5,[1]]}", TUMBLE_ESPEC,
         "aggregates[0].q must be a number from 0 to 1, or a list of up to 16, not an array"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\",\"q\":[0,1,0,1,0,1,0,1,0,1,0,1,0,1,0,1,0]}",
         TUMBLE_ESPEC, "aggregates[0].q has more than the 16 numbers that are allowed"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\",\"q\":[0.5,0.50]}", TUMBLE_ESPEC,
         "aggregates[0]: the column \"a_0.5\" would stand twice"},
        {"{\"name\":\"a_0.5\",\"function\":\"count\"},{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\","
         "\"q\":[0.5,0.6]}",
         TUMBLE_ESPEC, "aggregates[1]: the name \"a_0.5\" is used twice: name it otherwise"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"u\",\"q\":0.5,\"max_buckets\":20.5}", TUMBLE_ESPEC,
         "aggregates[0].max_buckets must be a whole number from 16 to 65536, not 20.5"},
        {"{\"name\":\"a\",\"function\":\"histogram\",\"field\":\"u\",\"bounds\":[2,2.0]}", TUMBLE_ESPEC,
         "aggregates[0].bounds must ascend: each number above the one before, which 2.0 is not"},
        {"{\"name\":\"a\",\"function\":\"top\",\"field\":\"u\",\"k\":5,\"capacity\":3}", TUMBLE_ESPEC,
         "aggregates[0]: a capacity of 3 cannot hold k 5: leave it out, or give 5 or more"},
        {"{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"u\"}", TUMBLE_ESPEC,
         "aggregates[0].by is missing: the field that arg_max goes by"},
        {"{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"u\",\"by\":5}", TUMBLE_ESPEC,
         "aggregates[0].by must be a field, not a number"},
        {"{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"u\",\"by\":\"\"}", TUMBLE_ESPEC,
         "aggregates[0].by is empty: leave the key out or name something"},
        {"{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"u\",\"by\":\"$shardId\"}", TUMBLE_ESPEC,
         "aggregates[0].by: $shardId is a string, which arg_max does not take"},
        {"{\"name\":\"a\",\"function\":\"stddev\",\"field\":\"x\",\"type\":\"pop\"}", TUMBLE_ESPEC,
         "aggregates[0].type: stddev has no type \"pop\": write \"sample\" or \"population\" or leave the key out"},
        {"a=arg_max(u, by=x, by=y)", TUMBLE_ESPEC,
         "aggregate \"a=arg_max(u, by=x, by=y)\".by is given twice: keep one of them"},
        {"quantile(x, 0.5)", TUMBLE_ESPEC,
         "aggregate \"quantile(x, 0.5)\".q is missing: a number from 0 to 1, or a list of up to 16, behind the field "
         "as q=…"},
        {"{\"as\":\"a\",\"function\":\"count\"}", TUMBLE_ESPEC, "unknown key aggregates[0].as: did you mean \"name\"?"},
        {"{\"name\":\"a\",\"func\":\"count\"}", TUMBLE_ESPEC,
         "unknown key aggregates[0].func: did you mean \"function\"?"},
        {"{\"name\":\"a\",\"q\":0.5}", TUMBLE_ESPEC, "aggregates[0].function is missing"},
        {"{\"name\":\"a\",\"function\":\"quantile\",\"field\":\"x\",\"percentiles\":[50]}", TUMBLE_ESPEC,
         "unknown key aggregates[0].percentiles: did you mean \"q\"?"},
        {"{\"name\":\"a\",\"function\":\"collect\",\"field\":\"x\",\"limit\":5}", TUMBLE_ESPEC,
         "unknown key aggregates[0].limit: did you mean \"cap\"?"},
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

/* ---- the schema and the guide ---- */

static char *file_text(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 256 * 1024);
    assert_non_null(text);
    size_t length = fread(text, 1, 256 * 1024 - 1, file);
    fclose(file);
    assert_in_range(length, 1000, 256 * 1024 - 2);
    return text;
}

static void schema_and_guide_know_every_function_and_its_keys(void **state) {
    (void)state;
    char *schema = file_text("../docs/spec.schema.json");
    char *guide = file_text("../docs/spec.md");
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        const struct tw_option *options = (*all)->options;
        char quoted[80];
        char marked[80];
        const char *words[TW_OPTIONS_MOST + 3] = {(*all)->name, (*all)->second, (*all)->type_name};
        for (size_t i = 0; options && options[i].name; i++) {
            words[3 + i] = options[i].name;
        }
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            snprintf(quoted, sizeof quoted, "\"%s\"", words[i] ? words[i] : "name");
            snprintf(marked, sizeof marked, i == 2 ? "\"%s\"" : "`%s`", words[i] ? words[i] : "name");
            if (!strstr(schema, quoted)) {
                fail_msg("docs/spec.schema.json does not know %s of %s", quoted, (*all)->name);
            }
            if (words[i] && !strstr(guide, marked)) {
                fail_msg("docs/spec.md does not know %s of %s", marked, (*all)->name);
            }
        }
    }
    free(schema);
    free(guide);
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
        "{\"name\":\"c\",\"function\":\"quantile\",\"field\":\"u\",\"q\":[0.1,0.2,0.3]},"
        "{\"name\":\"d\",\"function\":\"arg_max\",\"field\":\"u\",\"by\":\"x\"}]}";
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
        cmocka_unit_test(a_list_of_one_is_the_number),
        cmocka_unit_test(an_aggregate_of_several_columns_names_each),
        cmocka_unit_test(a_second_field_is_one_of_the_spec_s_fields),
        cmocka_unit_test(a_type_that_says_what_is_so_anyway_is_left_out),
        cmocka_unit_test(an_aggregate_has_a_where_of_its_own),
        cmocka_unit_test(partials_left_open_depend_on_fragments_and_functions),
        cmocka_unit_test(partials_add_a_column_before_records_and_to_the_canonical_text),
        cmocka_unit_test(every_column_says_how_far_it_may_be_off),
        cmocka_unit_test(shorthand_takes_options_behind_the_field),
        cmocka_unit_test(refusals_of_aggregates_name_what_would_be_right),
        cmocka_unit_test(no_message_is_ever_cut),
        cmocka_unit_test(schema_and_guide_know_every_function_and_its_keys),
        cmocka_unit_test(every_failed_allocation_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
