#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/stepping.h"

/* Of the aggregate under test: its fallbacks, else the lowest values. */
static struct stepping_options options;
static const struct tw_params *const params = &options.params;

static void use_options_of(const struct tw_aggregate *aggregate) {
    assert_int_equal(stepping_options_of(&options, aggregate, NULL, NULL), TUMBLE_OK);
}

static uint64_t seed = 0x853c49e6748fea9b;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

enum { RECORDS = 24, PARTS = 4 };

static struct tw_value values[RECORDS];
static struct tw_value seconds[RECORDS];
static bool with_seconds;
static struct tw_position positions[RECORDS];
static char texts[RECORDS][64];
static char sequences[RECORDS][64];

static void draw_number(char *out) {
    static const char *const edges[] = {"0",
                                        "-0.0",
                                        "1e308",
                                        "-1e308",
                                        "9.99e308",
                                        "1e-324",
                                        "-1e-324",
                                        "0.1",
                                        "12.34",
                                        "-12.34",
                                        "1e37",
                                        "-1e37",
                                        "1e38",
                                        "100",
                                        "1e18",
                                        "9223372036854775807",
                                        "9999999999999999999999999999999999",
                                        "5e-20"};
    if (draw(3) == 0) {
        strcpy(out, edges[draw(sizeof edges / sizeof *edges)]);
        return;
    }
    int at = 0;
    if (draw(2)) {
        out[at++] = '-';
    }
    for (int digits = 1 + (int)draw(draw(2) ? 5 : 30); digits > 0; digits--) {
        out[at++] = (char)('1' + draw(9));
    }
    if (draw(2)) {
        out[at++] = '.';
        out[at++] = (char)('0' + draw(10));
        out[at++] = (char)('0' + draw(10));
    }
    out[at] = '\0';
}

static void draw_text(char *out) {
    static const char alphabet[] = "ab~\"\\\n";
    size_t length = draw(3) ? draw(6) : 12 + draw(40);
    for (size_t i = 0; i < length; i++) {
        out[i] = alphabet[draw(sizeof alphabet - 1)];
    }
    out[length] = '\0';
}

static struct tw_input input_at(int i) {
    struct tw_input input = {
        .value = &values[i], .second = with_seconds ? &seconds[i] : NULL, .position = positions[i]};
    return input;
}

/* A second field that the aggregate accepts: few different ones, or any. */
static void draw_second(const struct tw_aggregate *aggregate, int i) {
    struct tw_input input = input_at(i);
    bool few = draw(2);
    do {
        char text[64];
        strcpy(text, draw(2) ? "1" : "2.5");
        if (!few) {
            draw_number(text);
        }
        seconds[i].type = TUMBLE_TYPE_NUMBER;
        assert_int_equal(tw_decimal_parse(&seconds[i].number, text, strlen(text), NULL), TUMBLE_OK);
    } while (aggregate->check && aggregate->check(params, &input, NULL) != TUMBLE_OK);
}

static void draw_records(const struct tw_aggregate *aggregate) {
    bool positions_tie = draw(3) == 0;
    with_seconds = aggregate->second && (!aggregate->second_optional || draw(2));
    assert_true(!with_seconds || (aggregate->second_takes & TW_TAKES_NUMBER));
    for (int i = 0; i < RECORDS; i++) {
        struct tw_value *value = &values[i];
        memset(value, 0, sizeof *value);
        do {
            value->type = (uint8_t)(TUMBLE_TYPE_FALSE + draw(4));
        } while (!(aggregate->takes & 1u << value->type));
        if (value->type == TUMBLE_TYPE_NUMBER) {
            draw_number(texts[i]);
            assert_int_equal(tw_decimal_parse(&value->number, texts[i], strlen(texts[i]), NULL), TUMBLE_OK);
        } else if (value->type == TUMBLE_TYPE_STRING) {
            draw_text(texts[i]);
            value->text = tumble_bytes_of(texts[i]);
        }
        size_t digits = draw(2) ? 1 : 56;
        memset(sequences[i], '7', digits);
        sequences[i][digits - 1] = (char)('1' + draw(positions_tie ? 2 : 9));
        positions[i].arrival_ms = (int64_t)draw(positions_tie ? 2 : 6);
        positions[i].sequence.data = sequences[i];
        positions[i].sequence.length = digits;
        positions[i].sub_sequence = draw(3);
        if (with_seconds) {
            draw_second(aggregate, i);
        }
    }
}

static void shuffle(int *order, int count) {
    for (int i = count - 1; i > 0; i--) {
        int k = (int)draw((uint64_t)i + 1);
        int swapped = order[i];
        order[i] = order[k];
        order[k] = swapped;
    }
}

/* Encoding and text of every column of a state, one behind the other. */
static void snapshot(const struct tw_aggregate *aggregate, const void *state, struct tw_buf *out) {
    tw_buf_clear(out);
    assert_int_equal(aggregate->encode(state, params, out), TUMBLE_OK);
    uint32_t columns = 1;
    char name[64];
    struct tw_buf suffix = {.alloc = tw_alloc_default(), .data = name, .capacity = sizeof name, .cap = sizeof name};
    while (aggregate->column && (suffix.length = 0, aggregate->column(params, columns, &suffix))) {
        columns++;
    }
    for (uint32_t column = 0; column < columns; column++) {
        assert_int_equal(aggregate->value(state, params, column, out), TUMBLE_OK);
    }
}

/* The records in random order, dealt to random parts, each part in a heap of its own, sometimes stored and read back on
 * the way, merged in random order into an empty state. */
static void run_shuffled(const struct tw_aggregate *aggregate, int count, struct tw_buf *out) {
    uint64_t states[PARTS + 1][8];
    struct tw_heap heaps[PARTS + 1];
    int order[RECORDS];
    int parts[PARTS];
    for (int i = 0; i <= PARTS; i++) {
        tw_heap_init(&heaps[i], tw_alloc_default());
        aggregate->init(states[i], params);
    }
    for (int i = 0; i < count; i++) {
        order[i] = i;
    }
    shuffle(order, count);
    int used = 1 + (int)draw(PARTS);
    for (int i = 0; i < count; i++) {
        int part = (int)draw((uint64_t)used);
        struct tw_input input = input_at(order[i]);
        step_input(aggregate, params, states[part], &input, &heaps[part]);
        if (draw(8) == 0) {
            tw_buf_clear(out);
            assert_int_equal(aggregate->encode(states[part], params, out), TUMBLE_OK);
            struct tw_cursor cursor = tw_cursor_of(tw_buf_view(out));
            tw_heap_reset(&heaps[part]);
            aggregate->init(states[part], params);
            assert_int_equal(aggregate->decode(states[part], params, &cursor, &heaps[part], NULL), TUMBLE_OK);
            assert_int_equal(tw_cursor_left(&cursor), 0);
        }
    }
    for (int i = 0; i < PARTS; i++) {
        parts[i] = i;
    }
    shuffle(parts, PARTS);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(aggregate->merge(states[PARTS], params, states[parts[i]], &heaps[PARTS]), TUMBLE_OK);
    }
    for (int i = 0; i < PARTS; i++) { /* merging left nothing of the parts in use */
        tw_heap_clean_up(&heaps[i]);
    }
    snapshot(aggregate, states[PARTS], out);
    tw_heap_clean_up(&heaps[PARTS]);
}

static void any_order_cut_and_merge_gives_the_same_bytes(void **state) {
    (void)state;
    struct tw_buf expected;
    struct tw_buf actual;
    tw_buf_init(&expected, tw_alloc_default(), 1 << 20);
    tw_buf_init(&actual, tw_alloc_default(), 1 << 20);
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        use_options_of(*at);
        for (int round = 0; round < 300; round++) {
            int count = (int)draw(RECORDS + 1);
            draw_records(*at);
            run_shuffled(*at, count, &expected);
            for (int again = 0; again < 4; again++) {
                run_shuffled(*at, count, &actual);
                if (!tumble_bytes_equal(tw_buf_view(&expected), tw_buf_view(&actual))) {
                    fail_msg("%s: round %d differs", (*at)->name, round);
                }
            }
        }
    }
    tw_buf_clean_up(&expected);
    tw_buf_clean_up(&actual);
}

static void mutated_bytes_are_refused_or_canonical(void **state) {
    (void)state;
    struct tw_buf encoded;
    struct tw_buf again;
    tw_buf_init(&encoded, tw_alloc_default(), 1 << 20);
    tw_buf_init(&again, tw_alloc_default(), 1 << 20);
    int accepted = 0;
    int refused = 0;
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        use_options_of(*at);
        struct tw_heap heap;
        tw_heap_init(&heap, tw_alloc_default());
        for (int round = 0; round < 3000; round++) {
            uint64_t fed[8];
            uint64_t read[8];
            tw_heap_reset(&heap);
            (*at)->init(fed, params);
            draw_records(*at);
            for (int i = (int)draw(4); i > 0; i--) {
                struct tw_input input = input_at(i);
                step_input(*at, params, fed, &input, &heap);
            }
            tw_buf_clear(&encoded);
            assert_int_equal((*at)->encode(fed, params, &encoded), TUMBLE_OK);
            /* An exact copy, so that reading past the end is seen. */
            size_t length = draw(4) ? encoded.length : draw(encoded.length + 1);
            char *bytes = tw_alloc(&encoded.alloc, length);
            assert_non_null(bytes);
            memcpy(bytes, encoded.data, length);
            for (uint64_t flips = draw(3); flips > 0 && length; flips--) {
                bytes[draw(length)] = (char)(draw(2) ? draw(256) : draw(4));
            }
            struct tumble_bytes view = {bytes, length};
            struct tw_cursor cursor = tw_cursor_of(view);
            struct tumble_error err;
            (*at)->init(read, params);
            enum tumble_code code = (*at)->decode(read, params, &cursor, &heap, &err);
            if (code == TUMBLE_OK) {
                accepted++;
                tw_buf_clear(&again);
                assert_int_equal((*at)->encode(read, params, &again), TUMBLE_OK);
                assert_int_equal(again.length, cursor.at - bytes);
                assert_memory_equal(again.data, bytes, again.length);
                assert_int_equal((*at)->merge(fed, params, read, &heap), TUMBLE_OK);
                assert_int_equal((*at)->merge(fed, params, read, &heap), TUMBLE_OK);
                assert_int_equal((*at)->value(fed, params, 0, &again), TUMBLE_OK);
            } else {
                refused++;
                assert_int_equal(code, TUMBLE_ECORRUPT);
                assert_non_null(strstr(err.text, "damaged"));
            }
            tw_free(&encoded.alloc, bytes);
        }
        tw_heap_clean_up(&heap);
    }
    assert_true(accepted > 1000 && refused > 1000);
    tw_buf_clean_up(&encoded);
    tw_buf_clean_up(&again);
}

static void value_is_pure(void **state) {
    (void)state;
    struct tw_buf before;
    struct tw_buf after;
    tw_buf_init(&before, tw_alloc_default(), 1 << 20);
    tw_buf_init(&after, tw_alloc_default(), 1 << 20);
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        use_options_of(*at);
        struct tw_heap heap;
        uint64_t fed[8];
        uint64_t copy[8];
        tw_heap_init(&heap, tw_alloc_default());
        memset(fed, 0, sizeof fed);
        (*at)->init(fed, params);
        draw_records(*at);
        for (int i = 0; i < RECORDS; i++) {
            struct tw_input input = input_at(i);
            step_input(*at, params, fed, &input, &heap);
        }
        memcpy(copy, fed, sizeof fed);
        snapshot(*at, fed, &before);
        snapshot(*at, fed, &after);
        assert_memory_equal(copy, fed, sizeof fed);
        assert_true(tumble_bytes_equal(tw_buf_view(&before), tw_buf_view(&after)));
        tw_heap_clean_up(&heap);
    }
    tw_buf_clean_up(&before);
    tw_buf_clean_up(&after);
}

static void an_empty_state_is_null_or_zero_and_changes_nothing_in_a_merge(void **state) {
    (void)state;
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        use_options_of(*at);
        struct stepping s;
        stepping_init(&s, (*at)->name, (*at)->type_name);
        uint64_t other[8];
        (*at)->init(other, params);
        assert_int_equal((*at)->merge(s.state, params, other, &s.heap), TUMBLE_OK);
        assert_string_equal(result_of(&s), strcmp((*at)->name, "count") == 0 ? "0" : "null");
        tw_buf_clear(&s.out);
        assert_int_equal((*at)->encode(s.state, params, &s.out), TUMBLE_OK);
        assert_int_equal(s.out.length, 1);
        assert_int_equal(s.out.data[0], 0);
        stepping_clean_up(&s);
    }
}

static void running_out_of_memory_is_an_error_everywhere_but_in_step(void **state) {
    (void)state;
    struct tumble_alloc nothing = tw_alloc_default();
    nothing.alloc = refuse_memory;
    nothing.resize = refuse_to_resize;
    int refused = 0;
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        use_options_of(*at);
        struct stepping s;
        stepping_init(&s, (*at)->name, (*at)->type_name);
        draw_records(*at);
        for (int i = 0; i < RECORDS; i++) {
            struct tw_input input = input_at(i);
            step_input(*at, params, s.state, &input, &s.heap);
        }
        struct tw_buf full;
        tw_buf_init(&full, nothing, 1 << 20);
        assert_int_equal((*at)->value(s.state, params, 0, &full), TUMBLE_ENOMEM);
        assert_int_equal((*at)->encode(s.state, params, &full), TUMBLE_ENOMEM);
        tw_buf_init(&full, tw_alloc_default(), 0);
        assert_int_equal((*at)->value(s.state, params, 0, &full), TUMBLE_ELIMIT);
        assert_int_equal((*at)->encode(s.state, params, &full), TUMBLE_ELIMIT);
        assert_int_equal((*at)->encode(s.state, params, &s.out), TUMBLE_OK);
        struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&s.out));
        struct tw_heap none = {.alloc = nothing};
        uint64_t read[8];
        (*at)->init(read, params);
        struct tumble_error err;
        enum tumble_code code = (*at)->decode(read, params, &cursor, &none, &err);
        assert_true(code == TUMBLE_OK || code == TUMBLE_ENOMEM);
        refused += code == TUMBLE_ENOMEM;
        stepping_clean_up(&s);
    }
    assert_true(refused >= 4); /* strings and positions always need the heap */
}

static void find_knows_every_table_by_name_and_type(void **state) {
    (void)state;
    for (const struct tw_aggregate *const *at = tw_aggregate_all(); *at; at++) {
        assert_ptr_equal(tw_aggregate_find(tumble_bytes_of((*at)->name), tumble_bytes_of((*at)->type_name)), *at);
        assert_int_equal((*at)->state_size % 8, 0);
        assert_true((*at)->state_size <= 64);
        const char *mark = strchr((*at)->explanation, '%');
        assert_true(mark && mark[1] == 's');
        const char *second = strchr(mark + 1, '%');
        assert_true(!second || ((*at)->second && second[1] == 's' && !strchr(second + 1, '%')));
    }
    assert_null(tw_aggregate_find(tumble_bytes_of("average"), tumble_bytes_of("")));
    assert_null(tw_aggregate_find(tumble_bytes_of("sum"), tumble_bytes_of("string")));
    assert_null(tw_aggregate_find(tumble_bytes_of(""), tumble_bytes_of("")));
    assert_ptr_equal(tw_aggregate_find(tumble_bytes_of("sum"), tumble_bytes_of("")),
                     tw_aggregate_find(tumble_bytes_of("sum"), tumble_bytes_of(NULL)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_cut_and_merge_gives_the_same_bytes),
        cmocka_unit_test(mutated_bytes_are_refused_or_canonical),
        cmocka_unit_test(value_is_pure),
        cmocka_unit_test(an_empty_state_is_null_or_zero_and_changes_nothing_in_a_merge),
        cmocka_unit_test(running_out_of_memory_is_an_error_everywhere_but_in_step),
        cmocka_unit_test(find_knows_every_table_by_name_and_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
