#ifndef TEST_AGGREGATE_LAW_H
#define TEST_AGGREGATE_LAW_H

/* The law of design section 6 for one aggregate with chosen options, over records that have much in common: few
 * different values, few positions. Include behind cmocka.h. */

#include <stdio.h>

#include "aggregate/stepping.h"

enum { LAW_RECORDS = 60, LAW_PARTS = 5 };

struct law_record {
    struct tw_value value;
    struct tw_value second;
    struct tw_position position;
    char text[24];
    char sequence[64];
};

struct law {
    const struct tw_aggregate *aggregate;
    struct stepping_options options;
    struct law_record records[LAW_RECORDS];
    bool with_second;
};

static uint64_t law_seed = 0x9e3779b97f4a7c15;
static inline uint64_t law_draw(uint64_t below) {
    law_seed ^= law_seed << 13;
    law_seed ^= law_seed >> 7;
    law_seed ^= law_seed << 17;
    return (law_seed >> 11) % below;
}

static inline struct tw_input law_input(const struct law *law, size_t i) {
    const struct law_record *record = &law->records[i];
    struct tw_input input = {
        .value = &record->value, .second = law->with_second ? &record->second : NULL, .position = record->position};
    return input;
}

static inline void law_begin(struct law *law, const char *name, const char *options, bool with_second) {
    law->aggregate = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(""));
    assert_non_null(law->aggregate);
    assert_int_equal(stepping_options_of(&law->options, law->aggregate, options, NULL), TUMBLE_OK);
    law->with_second = with_second;
}

/* Anew: values are among `different` of every type, positions tie now and then. */
static inline void law_draw_records(struct law *law, uint64_t different) {
    static const char *const weights[] = {"1", "2", "0", "0.5", "1e-300", "9e300", "12.34", "1e20"};
    uint64_t spread = law_draw(2) ? 3 : 1000;
    for (size_t i = 0; i < LAW_RECORDS; i++) {
        struct law_record *record = &law->records[i];
        size_t which = (size_t)law_draw(different);
        static const char *const kinds[] = {"%zu", "\"k%zu\"", "-%zu.25", "\"a longer key, number %zu\""};
        char json[48];
        snprintf(json, sizeof json, kinds[which % 4], which);
        if (which == 4 || which == 5) {
            strcpy(json, which == 4 ? "true" : "false");
        }
        record->value = value_of(json);
        if (record->value.type == TUMBLE_TYPE_STRING) {
            size_t length = record->value.text.length;
            length = length < sizeof record->text ? length : sizeof record->text;
            memcpy(record->text, record->value.text.data, length);
            record->value.text.data = record->text;
            record->value.text.length = length;
        }
        record->second = value_of(weights[law_draw(law_draw(4) ? 3 : 8)]);
        size_t digits = law_draw(2) ? 1 : 56;
        memset(record->sequence, '7', digits);
        record->sequence[digits - 1] = (char)('1' + law_draw(9));
        record->position.arrival_ms = (int64_t)law_draw(spread);
        record->position.sequence.data = record->sequence;
        record->position.sequence.length = digits;
        record->position.sub_sequence = law_draw(3);
    }
}

static inline void law_store_and_read(const struct law *law, void *state, struct tw_heap *heap, struct tw_buf *bytes) {
    tw_buf_clear(bytes);
    assert_int_equal(law->aggregate->encode(state, &law->options.params, bytes), TUMBLE_OK);
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(bytes));
    tw_heap_reset(heap);
    law->aggregate->init(state, &law->options.params);
    assert_int_equal(law->aggregate->decode(state, &law->options.params, &cursor, heap, NULL), TUMBLE_OK);
    assert_int_equal(tw_cursor_left(&cursor), 0);
}

/* Encoding, then every column's text. */
static inline void law_snapshot(const struct law *law, const void *state, struct tw_buf *out) {
    tw_buf_clear(out);
    assert_int_equal(law->aggregate->encode(state, &law->options.params, out), TUMBLE_OK);
    uint32_t columns = law->aggregate->column ? 2 : 1;
    for (uint32_t column = 0; column < columns; column++) {
        assert_int_equal(law->aggregate->value(state, &law->options.params, column, out), TUMBLE_OK);
    }
}

/* The first count records dealt at random to parts, in random order, stored and read back now and then, merged in
 * random order. */
static inline void law_run(const struct law *law, size_t count, struct tw_buf *out) {
    uint64_t states[LAW_PARTS + 1][8];
    struct tw_heap heaps[LAW_PARTS + 1];
    size_t order[LAW_RECORDS];
    for (int i = 0; i <= LAW_PARTS; i++) {
        tw_heap_init(&heaps[i], tw_alloc_default());
        law->aggregate->init(states[i], &law->options.params);
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)law_draw(i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    uint64_t used = 1 + law_draw(LAW_PARTS);
    for (size_t i = 0; i < count; i++) {
        size_t part = (size_t)law_draw(used);
        struct tw_input input = law_input(law, order[i]);
        step_input(law->aggregate, &law->options.params, states[part], &input, &heaps[part]);
        if (law_draw(10) == 0) {
            law_store_and_read(law, states[part], &heaps[part], out);
        }
    }
    size_t first = (size_t)law_draw(LAW_PARTS);
    for (size_t i = 0; i < LAW_PARTS; i++) {
        size_t part = (i + first) % LAW_PARTS;
        assert_int_equal(
            law->aggregate->merge(states[LAW_PARTS], &law->options.params, states[part], &heaps[LAW_PARTS]), TUMBLE_OK);
        tw_heap_clean_up(&heaps[part]); /* merging left nothing in use there */
    }
    law_snapshot(law, states[LAW_PARTS], out);
    tw_heap_clean_up(&heaps[LAW_PARTS]);
}

static inline void law_holds_for(const char *name, const char *options, int rounds, bool with_second,
                                 uint64_t different) {
    static struct law law;
    struct tw_buf expected;
    struct tw_buf actual;
    tw_buf_init(&expected, tw_alloc_default(), 1 << 20);
    tw_buf_init(&actual, tw_alloc_default(), 1 << 20);
    law_begin(&law, name, options, with_second);
    for (int round = 0; round < rounds; round++) {
        law_draw_records(&law, 1 + law_draw(different));
        size_t count = (size_t)law_draw(LAW_RECORDS + 1);
        law_run(&law, count, &expected);
        for (int again = 0; again < 4; again++) {
            law_run(&law, count, &actual);
            if (!tumble_bytes_equal(tw_buf_view(&expected), tw_buf_view(&actual))) {
                fail_msg("%s with %s: round %d differs", name, options, round);
            }
        }
    }
    tw_buf_clean_up(&expected);
    tw_buf_clean_up(&actual);
}

static inline void law_holds(const char *name, const char *options, int rounds, bool with_second) {
    law_holds_for(name, options, rounds, with_second, 40);
}

static int law_refused;
static inline void *law_refuse_memory(void *ctx, size_t size) {
    (void)ctx;
    (void)size;
    law_refused++;
    return NULL;
}

/* As the engine does it: growth of TW_STEPS_AT_ONCE steps is asked for before the first of them, reserved at once, and
 * then there is nothing to be had from the allocator. */
static inline void law_growth_is_honest(const char *name, const char *options, bool with_second) {
    static struct law law;
    law_begin(&law, name, options, with_second);
    for (int round = 0; round < 60; round++) {
        struct tw_heap heap;
        uint64_t state[8];
        tw_heap_init(&heap, tw_alloc_default());
        law.aggregate->init(state, &law.options.params);
        for (int chunk = 0; chunk < 12; chunk++) {
            law_draw_records(&law, 1 + law_draw(40));
            size_t total = 0;
            for (size_t i = 0; i < TW_STEPS_AT_ONCE; i++) {
                struct tw_input input = law_input(&law, i);
                total += law.aggregate->growth(state, &law.options.params, &input);
            }
            assert_true(tw_heap_reserve(&heap, total));
            heap.alloc.alloc = law_refuse_memory;
            for (size_t i = 0; i < TW_STEPS_AT_ONCE; i++) {
                struct tw_input input = law_input(&law, i);
                law.aggregate->step(state, &law.options.params, &input, &heap);
            }
            assert_int_equal(law_refused, 0);
            heap.alloc = tw_alloc_default();
        }
        tw_heap_clean_up(&heap);
    }
}

/* Encodings with bytes changed or cut off: refused as damaged, or read and written again as the same bytes. */
static inline void law_damage_is_seen(const char *name, const char *options, int rounds, bool with_second) {
    static struct law law;
    struct tw_buf encoded;
    struct tw_buf again;
    int accepted = 0;
    int refused = 0;
    struct tw_heap heap;
    tw_heap_init(&heap, tw_alloc_default());
    tw_buf_init(&encoded, tw_alloc_default(), 1 << 20);
    tw_buf_init(&again, tw_alloc_default(), 1 << 20);
    law_begin(&law, name, options, with_second);
    for (int round = 0; round < rounds; round++) {
        const struct tw_params *params = &law.options.params;
        uint64_t fed[8];
        uint64_t read[8];
        tw_heap_reset(&heap);
        law.aggregate->init(fed, params);
        law_draw_records(&law, 1 + law_draw(10));
        for (size_t i = (size_t)law_draw(9); i > 0; i--) {
            struct tw_input input = law_input(&law, i);
            step_input(law.aggregate, params, fed, &input, &heap);
        }
        tw_buf_clear(&encoded);
        assert_int_equal(law.aggregate->encode(fed, params, &encoded), TUMBLE_OK);
        /* An exact copy, so that reading past the end is seen. */
        size_t length = law_draw(4) ? encoded.length : (size_t)law_draw(encoded.length + 1);
        char *bytes = tw_alloc(&encoded.alloc, length);
        assert_non_null(bytes);
        memcpy(bytes, encoded.data, length);
        for (uint64_t flips = law_draw(3); flips > 0 && length; flips--) {
            bytes[law_draw(length)] = (char)(law_draw(2) ? law_draw(256) : law_draw(4));
        }
        struct tumble_bytes view = {bytes, length};
        struct tw_cursor cursor = tw_cursor_of(view);
        struct tumble_error err;
        law.aggregate->init(read, params);
        enum tumble_code code = law.aggregate->decode(read, params, &cursor, &heap, &err);
        if (code == TUMBLE_OK) {
            accepted++;
            tw_buf_clear(&again);
            assert_int_equal(law.aggregate->encode(read, params, &again), TUMBLE_OK);
            assert_int_equal(again.length, cursor.at - bytes);
            assert_memory_equal(again.data, bytes, again.length);
            assert_int_equal(law.aggregate->merge(fed, params, read, &heap), TUMBLE_OK);
            for (size_t i = 0; i < 20; i++) {
                struct tw_input input = law_input(&law, i);
                step_input(law.aggregate, params, fed, &input, &heap);
                step_input(law.aggregate, params, read, &input, &heap);
            }
            assert_int_equal(law.aggregate->merge(fed, params, read, &heap), TUMBLE_OK);
            law_snapshot(&law, fed, &again);
        } else {
            refused++;
            assert_int_equal(code, TUMBLE_ECORRUPT);
            assert_non_null(strstr(err.text, "damaged"));
        }
        tw_free(&encoded.alloc, bytes);
    }
    assert_true(accepted > rounds / 10 && refused > rounds / 10);
    tw_buf_clean_up(&encoded);
    tw_buf_clean_up(&again);
    tw_heap_clean_up(&heap);
}

#endif
