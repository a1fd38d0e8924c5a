#ifndef TEST_AGGREGATE_STEPPING_H
#define TEST_AGGREGATE_STEPPING_H

/* What the tests of single aggregates share: one state over a heap, fed from JSON-like text. Include behind cmocka.h.
 */

#include <string.h>

#include "engine/aggregate/aggregate.h"

struct stepping_options {
    struct tw_decimal numbers[TW_OPTIONS_MOST][32];
    struct tw_params params; /* points into numbers */
};

/* Options as a spec would give them: "k=2 capacity=4 q=0.5,0.99"; whatever is not given is its fallback, and where it
 * has none its lowest value, or 1. Runs prepare. */
static inline enum tumble_code stepping_options_of(struct stepping_options *out, const struct tw_aggregate *aggregate,
                                                   const char *given, struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; aggregate->options && aggregate->options[i].name; i++) {
        const struct tw_option *option = &aggregate->options[i];
        const char *text = option->fallback ? option->fallback : option->lowest ? option->lowest : "1";
        size_t name_length = strlen(option->name);
        for (const char *at = given; at && *at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL) {
            if (strncmp(at, option->name, name_length) == 0 && at[name_length] == '=') {
                text = at + name_length + 1;
            }
        }
        uint32_t count = 0;
        for (bool more = true; more; count++) {
            size_t length = strcspn(text, ", ");
            assert_true(count < sizeof out->numbers[i] / sizeof *out->numbers[i]);
            assert_int_equal(tw_decimal_parse(&out->numbers[i][count], text, length, NULL), TUMBLE_OK);
            more = text[length] == ',';
            text += length + 1;
        }
        out->params.options[i].numbers = out->numbers[i];
        out->params.options[i].count = count;
    }
    return aggregate->prepare ? aggregate->prepare(&out->params, err) : TUMBLE_OK;
}

struct stepping {
    const struct tw_aggregate *aggregate;
    struct stepping_options options;
    struct tw_params params; /* options.params */
    struct tw_heap heap;
    struct tw_buf out;
    uint64_t state[8];
    char text[4096]; /* of the last result_of */
};

static inline void stepping_init_with(struct stepping *s, const char *name, const char *type_name,
                                      const char *options) {
    s->aggregate = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(type_name));
    assert_non_null(s->aggregate);
    assert_true(s->aggregate->state_size <= sizeof s->state);
    tw_heap_init(&s->heap, tw_alloc_default());
    tw_buf_init(&s->out, tw_alloc_default(), 1 << 23);
    assert_int_equal(stepping_options_of(&s->options, s->aggregate, options, NULL), TUMBLE_OK);
    s->params = s->options.params;
    s->aggregate->init(s->state, &s->params);
}

static inline void stepping_init(struct stepping *s, const char *name, const char *type_name) {
    stepping_init_with(s, name, type_name, NULL);
}

static inline void stepping_clean_up(struct stepping *s) {
    tw_heap_clean_up(&s->heap);
    tw_buf_clean_up(&s->out);
}

/* json: a number, true, false, or a string in quotes without escapes. */
static inline struct tw_value value_of(const char *json) {
    struct tw_value value = {0};
    size_t length = strlen(json);
    if (json[0] == '"') {
        value.type = TUMBLE_TYPE_STRING;
        value.text.data = json + 1;
        value.text.length = length - 2;
    } else if (json[0] == 't' || json[0] == 'f') {
        value.type = json[0] == 't' ? TUMBLE_TYPE_TRUE : TUMBLE_TYPE_FALSE;
    } else {
        value.type = TUMBLE_TYPE_NUMBER;
        assert_int_equal(tw_decimal_parse(&value.number, json, length, NULL), TUMBLE_OK);
    }
    return value;
}

/* As the engine does it: reserve what the step may take, then step. */
static inline void step_input(const struct tw_aggregate *aggregate, const struct tw_params *params, void *state,
                              const struct tw_input *input, struct tw_heap *heap) {
    assert_true(tw_heap_reserve(heap, aggregate->growth ? aggregate->growth(state, params, input) : 0));
    aggregate->step(state, params, input, heap);
}

static inline void step_value(const struct tw_aggregate *aggregate, const struct tw_params *params, void *state,
                              const struct tw_value *value, const struct tw_position *position, struct tw_heap *heap) {
    struct tw_input input = {.value = value, .position = *position};
    step_input(aggregate, params, state, &input, heap);
}

/* second: of the second field; NULL: the aggregate has none. */
static inline void feed_both_at(struct stepping *s, const char *json, const char *second, int64_t arrival_ms,
                                const char *sequence, uint64_t sub_sequence) {
    struct tw_value value = value_of(json);
    struct tw_value other = second ? value_of(second) : value;
    struct tw_input input = {.value = &value,
                             .second = second ? &other : NULL,
                             .position = {arrival_ms, tumble_bytes_of(sequence), sub_sequence}};
    step_input(s->aggregate, &s->params, s->state, &input, &s->heap);
}

static inline void feed_at(struct stepping *s, const char *json, int64_t arrival_ms, const char *sequence,
                           uint64_t sub_sequence) {
    struct tw_value value = value_of(json);
    struct tw_position position = {arrival_ms, tumble_bytes_of(sequence), sub_sequence};
    step_value(s->aggregate, &s->params, s->state, &value, &position, &s->heap);
}

static inline void feed(struct stepping *s, const char *json) { feed_at(s, json, 0, "1", 0); }

static inline const char *column_of(struct stepping *s, uint32_t column) {
    tw_buf_clear(&s->out);
    assert_int_equal(s->aggregate->value(s->state, &s->params, column, &s->out), TUMBLE_OK);
    assert_true(s->out.length < sizeof s->text);
    memcpy(s->text, s->out.data, s->out.length);
    s->text[s->out.length] = '\0';
    return s->text;
}

static inline const char *result_of(struct stepping *s) { return column_of(s, 0); }

/* An allocator's alloc that has nothing left. */
static inline void *refuse_memory(void *ctx, size_t size) {
    (void)ctx;
    (void)size;
    return NULL;
}

static inline void *refuse_to_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)pointer;
    (void)old_size;
    (void)new_size;
    return NULL;
}

/* The value of a fresh state that was given these, separated by spaces. */
static inline void assert_result(const char *name, const char *type_name, const char *values, const char *expected) {
    struct stepping s;
    stepping_init(&s, name, type_name);
    char copy[4096];
    strcpy(copy, values);
    for (char *at = strtok(copy, " "); at; at = strtok(NULL, " ")) {
        feed(&s, at);
    }
    assert_string_equal(result_of(&s), expected);
    stepping_clean_up(&s);
}

#endif
