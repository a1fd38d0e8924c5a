#ifndef TEST_AGGREGATE_STEPPING_H
#define TEST_AGGREGATE_STEPPING_H

/* What the tests of single aggregates share: one state over a heap, fed from JSON-like text. Include behind cmocka.h.
 */

#include <string.h>

#include "engine/aggregate/aggregate.h"

struct stepping {
    const struct tw_aggregate *aggregate;
    struct tw_params params;
    struct tw_heap heap;
    struct tw_buf out;
    uint64_t state[8];
    char text[4096]; /* of the last result_of */
};

static inline void stepping_init(struct stepping *s, const char *name, const char *type_name) {
    s->aggregate = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(type_name));
    assert_non_null(s->aggregate);
    assert_true(s->aggregate->state_size <= sizeof s->state);
    tw_heap_init(&s->heap, tw_alloc_default());
    tw_buf_init(&s->out, tw_alloc_default(), 1 << 20);
    memset(&s->params, 0, sizeof s->params);
    s->aggregate->init(s->state, &s->params);
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
static inline void step_value(const struct tw_aggregate *aggregate, const struct tw_params *params, void *state,
                              const struct tw_value *value, const struct tw_position *position, struct tw_heap *heap) {
    struct tw_input input = {.value = value, .position = *position};
    assert_true(tw_heap_reserve(heap, aggregate->growth ? aggregate->growth(state, params, &input) : 0));
    aggregate->step(state, params, &input, heap);
}

static inline void feed_at(struct stepping *s, const char *json, int64_t arrival_ms, const char *sequence,
                           uint64_t sub_sequence) {
    struct tw_value value = value_of(json);
    struct tw_position position = {arrival_ms, tumble_bytes_of(sequence), sub_sequence};
    step_value(s->aggregate, &s->params, s->state, &value, &position, &s->heap);
}

static inline void feed(struct stepping *s, const char *json) { feed_at(s, json, 0, "1", 0); }

static inline const char *result_of(struct stepping *s) {
    tw_buf_clear(&s->out);
    assert_int_equal(s->aggregate->value(s->state, &s->params, 0, &s->out), TUMBLE_OK);
    assert_true(s->out.length < sizeof s->text);
    memcpy(s->text, s->out.data, s->out.length);
    s->text[s->out.length] = '\0';
    return s->text;
}

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
