#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aggregate/stepping.h"
#include "engine/codec/hash.h"

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static struct tw_value number(uint64_t low) { /* low not divisible by ten */
    struct tw_value value = {.type = TUMBLE_TYPE_NUMBER, .number = {.low = low}};
    return value;
}

static void feed_number(struct stepping *s, uint64_t i) {
    static const struct tw_position position;
    struct tw_value value = number(i * 10 + 1);
    step_value(s->aggregate, &s->params, s->state, &value, &position, &s->heap);
}

static void encoded(const struct stepping *s, struct tw_buf *out) {
    tw_buf_clear(out);
    assert_int_equal(s->aggregate->encode(s->state, &s->params, out), TUMBLE_OK);
}

static void equal_values_count_once_and_types_never_mix(void **state) {
    (void)state;
    assert_result("distinct", NULL, "", "null");
    assert_result("distinct", NULL, "1 1.0 1e0 10e-1 1", "1");
    assert_result("distinct", NULL, "0 -0 0.0 -0e5", "1");
    assert_result("distinct", NULL, "1 -1 10 0.1 1e300", "5");
    assert_result("distinct", NULL, "1 \"1\" \"1.0\" true \"true\" false \"false\" \"\" \"\" 0", "9");
    assert_result("distinct", NULL, "\"a\" \"b\" \"a\" \"A\" \"ab\"", "4");
    assert_result("distinct", NULL, "9999999999999999999999999999999999 9999999999999999999999999999999998", "2");
}

static void assert_encoding(const char *options, const char *values, const char *hex) {
    struct stepping s;
    char copy[256];
    char text[256];
    stepping_init_with(&s, "distinct", NULL, options);
    strcpy(copy, values);
    for (char *at = strtok(copy, " "); at; at = strtok(NULL, " ")) {
        feed(&s, at);
    }
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 1 << 10);
    encoded(&s, &out);
    for (size_t i = 0; i < out.length; i++) {
        sprintf(text + 2 * i, "%02x", (unsigned char)out.data[i]);
    }
    assert_string_equal(text, hex);
    tw_buf_clean_up(&out);
    stepping_clean_up(&s);
}

static void encodings_are_these_bytes(void **state) {
    (void)state;
    assert_encoding(NULL, "", "00");
    assert_encoding(NULL, "\"\"", "0101c294d3380580062d");
    assert_encoding(NULL, "\"user-1\" 19.99 true false",
                    "0104e34c36b9517e196c7b72bfea1200c972c9e53814c115767c13b494c02da4badf");
    assert_encoding("error=0.26", "1 2 3 4 5", "0204000010002020040000");
}

static void the_count_is_exact_up_to_the_limit(void **state) {
    (void)state;
    static const struct {
        const char *options;
        uint64_t limit;
        size_t dense_bytes;
    } cases[] = {{"error=0.26", 1, 11}, {"error=0.2", 3, 19},       {"error=0.13", 6, 35},       {"error=0.1", 12, 67},
                 {NULL, 1536, 8195},    {"error=0.01", 1536, 8195}, {"error=0.005", 6144, 32771}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stepping s;
        struct tw_buf out;
        char expected[32];
        stepping_init_with(&s, "distinct", NULL, cases[i].options);
        tw_buf_init(&out, tw_alloc_default(), 1 << 20);
        for (uint64_t n = 1; n <= cases[i].limit; n++) {
            feed_number(&s, n);
            feed_number(&s, 1 + draw(n));
            sprintf(expected, "%d", (int)n);
            assert_string_equal(result_of(&s), expected);
        }
        encoded(&s, &out);
        assert_int_equal(out.data[0], 1);
        assert_int_equal(out.length, (cases[i].limit < 128 ? 2U : 3U) + 8 * cases[i].limit);
        feed_number(&s, 0);
        encoded(&s, &out);
        assert_int_equal(out.data[0], 2);
        assert_true(out.length >= cases[i].dense_bytes && out.length < cases[i].dense_bytes + 8);
        assert_true(strtoull(result_of(&s), NULL, 10) > cases[i].limit);
        tw_buf_clean_up(&out);
        stepping_clean_up(&s);
    }
}

enum { PARTS = 5, MOST = 24 };

/* The numbers in random order, dealt to parts (a few to several), stored and read back on the way, merged in random
 * order into an empty state. */
static void run_shuffled(const char *options, const uint64_t *numbers, size_t count, struct tw_buf *out) {
    struct stepping parts[PARTS + 1];
    uint64_t order[MOST];
    memcpy(order, numbers, count * sizeof *order);
    for (size_t i = 0; i <= PARTS; i++) {
        stepping_init_with(&parts[i], "distinct", NULL, options);
        parts[i].params.derived[1] = draw(UINT64_MAX) | 1; /* as in another process */
    }
    size_t used = 1 + draw(PARTS);
    for (size_t i = count; i > 0; i--) {
        size_t k = draw(i);
        uint64_t next = order[k];
        order[k] = order[i - 1];
        for (uint64_t times = 1 + draw(2); times > 0; times--) {
            struct stepping *part = &parts[draw(used)];
            feed_number(part, next);
            if (draw(6) == 0) {
                encoded(part, out);
                struct tw_cursor cursor = tw_cursor_of(tw_buf_view(out));
                tw_heap_reset(&part->heap);
                part->aggregate->init(part->state, &part->params);
                assert_int_equal(part->aggregate->decode(part->state, &part->params, &cursor, &part->heap, NULL),
                                 TUMBLE_OK);
                assert_int_equal(tw_cursor_left(&cursor), 0);
            }
        }
    }
    struct stepping *all = &parts[PARTS];
    for (size_t i = PARTS, at = draw(PARTS); i > 0; i--, at = (at + 2) % PARTS) {
        encoded(&parts[at], out); /* tables of two processes differ: they meet through bytes */
        uint64_t read[2];
        struct tw_cursor cursor = tw_cursor_of(tw_buf_view(out));
        all->aggregate->init(read, &all->params);
        assert_int_equal(all->aggregate->decode(read, &all->params, &cursor, &all->heap, NULL), TUMBLE_OK);
        assert_int_equal(all->aggregate->merge(all->state, &all->params, read, &all->heap), TUMBLE_OK);
    }
    encoded(all, out);
    assert_int_equal(all->aggregate->value(all->state, &all->params, 0, out), TUMBLE_OK);
    for (size_t i = 0; i <= PARTS; i++) {
        stepping_clean_up(&parts[i]);
    }
}

static void any_order_cut_and_merge_gives_the_same_bytes_around_the_limit(void **state) {
    (void)state;
    static const char *const options[] = {"error=0.26", "error=0.2", "error=0.13", "error=0.1"};
    struct tw_buf expected;
    struct tw_buf actual;
    tw_buf_init(&expected, tw_alloc_default(), 1 << 10);
    tw_buf_init(&actual, tw_alloc_default(), 1 << 10);
    int dense = 0;
    for (int round = 0; round < 1500; round++) {
        uint64_t numbers[MOST];
        size_t count = draw(MOST + 1);
        for (size_t i = 0; i < count; i++) {
            numbers[i] = draw(1000);
        }
        run_shuffled(options[round % 4], numbers, count, &expected);
        dense += expected.data[0] == 2;
        for (int again = 0; again < 2; again++) {
            run_shuffled(options[round % 4], numbers, count, &actual);
            assert_int_equal(expected.length, actual.length);
            assert_memory_equal(expected.data, actual.data, actual.length);
        }
    }
    assert_true(dense > 300 && dense < 1200);
    tw_buf_clean_up(&expected);
    tw_buf_clean_up(&actual);
}

static void stored_hashes_are_sorted_however_many(void **state) {
    (void)state;
    struct stepping s;
    struct tw_buf out;
    stepping_init(&s, "distinct", NULL);
    tw_buf_init(&out, tw_alloc_default(), 1 << 14);
    for (uint64_t n = 1; n <= 1536; n++) {
        feed_number(&s, n);
        encoded(&s, &out);
        const char *at = out.data + (n < 128 ? 2 : 3);
        assert_int_equal(out.data + out.length - at, 8 * n);
        uint64_t before = 0;
        for (uint64_t i = 0; i < n; i++) {
            struct tumble_bytes one = {at + 8 * i, 8};
            struct tw_cursor cursor = tw_cursor_of(one);
            uint64_t hash;
            assert_true(tw_take_u64(&cursor, &hash));
            assert_true(hash > before);
            before = hash;
        }
    }
    tw_buf_clean_up(&out);
    stepping_clean_up(&s);
}

/* Hashes made for the purpose: equal but for their last bits, so that sorting goes through all eight bytes. */
static void hashes_that_share_their_first_bytes_are_stored_as_read(void **state) {
    (void)state;
    struct stepping s;
    struct tw_buf given;
    struct tw_buf out;
    stepping_init(&s, "distinct", NULL);
    tw_buf_init(&given, tw_alloc_default(), 1 << 14);
    tw_buf_init(&out, tw_alloc_default(), 1 << 14);
    assert_int_equal(tw_buf_append(&given, "\x01\x80\x0c", 3), TUMBLE_OK);
    for (uint64_t i = 0; i < 1536; i++) {
        assert_int_equal(tw_buf_append_u64(&given, UINT64_C(0x1234567890abc000) + i), TUMBLE_OK);
    }
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&given));
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_OK);
    encoded(&s, &out);
    assert_int_equal(out.length, given.length);
    assert_memory_equal(out.data, given.data, given.length);
    assert_string_equal(result_of(&s), "1536");
    tw_buf_clean_up(&given);
    tw_buf_clean_up(&out);
    stepping_clean_up(&s);
}

/* The promise of growth: with the sum of a chunk reserved, no step of the chunk asks the allocator. */
static void a_chunk_of_steps_fits_into_what_was_reserved(void **state) {
    (void)state;
    static const char *const options[] = {"error=0.26", "error=0.2", "error=0.1", "error=0.03", NULL};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        for (uint64_t offset = 0; offset <= TW_STEPS_AT_ONCE; offset++) {
            struct stepping s;
            uint64_t fed = 0;
            char expected[32];
            stepping_init_with(&s, "distinct", NULL, options[i]);
            struct tumble_alloc usual = s.heap.alloc;
            while (fed < 2100) { /* a list has room for 2,048 */
                size_t growth = 0;
                uint64_t chunk = fed < offset ? offset - fed : TW_STEPS_AT_ONCE + 1;
                struct tw_value value = number(fed * 10 + 1);
                struct tw_input input = {.value = &value};
                for (uint64_t k = 0; k < chunk; k++) {
                    growth += s.aggregate->growth(s.state, &s.params, &input);
                }
                assert_true(tw_heap_reserve(&s.heap, growth));
                memset(s.heap.free_lists, 0, sizeof s.heap.free_lists); /* that much and nothing else */
                s.heap.slab_left = (growth + 15) & ~(size_t)15;
                s.heap.alloc.alloc = refuse_memory;
                s.heap.alloc.resize = refuse_to_resize;
                for (uint64_t k = 0; k < chunk; k++, fed++) {
                    value = number(fed * 10 + 1);
                    s.aggregate->step(s.state, &s.params, &input, &s.heap);
                }
                s.heap.alloc = usual;
                sprintf(expected, "%d", (int)fed);
                if (!options[i] && fed <= 1536) {
                    assert_string_equal(result_of(&s), expected);
                } else {
                    assert_string_not_equal(result_of(&s), "null");
                }
            }
            struct tw_input none = {0};
            assert_int_equal(s.aggregate->growth(s.state, &s.params, &none), 0); /* dense: nothing more */
            stepping_clean_up(&s);
        }
    }
}

/* The same where most values come again, so that lists are thinned, stay, and are made longer by turns. */
static void chunks_of_few_values_fit_into_what_was_reserved(void **state) {
    (void)state;
    static const char *const options[] = {"error=0.2", "error=0.1", "error=0.03"};
    static const uint64_t values[] = {2, 9, 12, 20, 100, 190, 193, 250, 4000};
    for (size_t i = 0; i < 3 * sizeof values / sizeof *values; i++) {
        struct stepping s;
        stepping_init_with(&s, "distinct", NULL, options[i % 3]);
        struct tumble_alloc usual = s.heap.alloc;
        for (int chunk = 0; chunk < 200; chunk++) {
            size_t growth = 0;
            struct tw_value value = number(1);
            struct tw_input input = {.value = &value};
            for (int k = 0; k <= TW_STEPS_AT_ONCE; k++) {
                growth += s.aggregate->growth(s.state, &s.params, &input);
            }
            assert_true(tw_heap_reserve(&s.heap, growth));
            memset(s.heap.free_lists, 0, sizeof s.heap.free_lists);
            s.heap.slab_left = (growth + 15) & ~(size_t)15;
            s.heap.alloc.alloc = refuse_memory;
            s.heap.alloc.resize = refuse_to_resize;
            for (int k = 0; k <= TW_STEPS_AT_ONCE; k++) {
                value = number(draw(values[i / 3]) * 10 + 1);
                s.aggregate->step(s.state, &s.params, &input, &s.heap);
            }
            s.heap.alloc = usual;
        }
        if (values[i / 3] <= 190 && i % 3 == 2) {
            assert_int_equal(strtoull(result_of(&s), NULL, 10), values[i / 3]);
        }
        stepping_clean_up(&s);
    }
}

static void few_values_take_little_memory_however_often_they_come(void **state) {
    (void)state;
    static const uint64_t values[] = {1, 3, 8, 9, 12, 100, 400};
    for (size_t i = 0; i < 20 * sizeof values / sizeof *values; i++) {
        struct stepping s;
        char expected[32];
        stepping_init(&s, "distinct", NULL);
        s.params.derived[1] = draw(UINT64_MAX) | 1;
        for (uint64_t n = 0; n < 20000; n++) {
            feed_number(&s, n < values[i / 20] ? n : draw(values[i / 20]));
        }
        sprintf(expected, "%d", (int)values[i / 20]);
        assert_string_equal(result_of(&s), expected);
        assert_true(s.heap.bytes <= (values[i / 20] < 64 ? 4096 : 131072));
        stepping_clean_up(&s);
    }
}

/* Whatever came twice, in whichever order, and whether a list or registers hold it: the set decides. */
static void what_is_stored_does_not_tell_lists_from_registers(void **state) {
    (void)state;
    static const uint64_t counts[] = {1000, 1500, 1535, 1536, 1537, 1600, 2047, 2048, 2049, 3000};
    for (size_t i = 0; i < 4 * sizeof counts / sizeof *counts; i++) {
        const uint64_t count = counts[i / 4];
        const uint64_t again = i % 4 * 700; /* so many come twice, or more often */
        struct stepping once, shuffled, halves[2];
        struct stepping *const all[] = {&once, &shuffled, &halves[0], &halves[1]};
        struct tw_buf bytes[3];
        for (size_t k = 0; k < 4; k++) {
            stepping_init(all[k], "distinct", NULL);
        }
        for (uint64_t n = 0; n < count; n++) {
            feed_number(&once, n);
            feed_number(&halves[n % 2], n);
        }
        for (uint64_t n = 0; n < again; n++) {
            feed_number(&shuffled, draw(count));
            feed_number(&halves[draw(2)], draw(count));
        }
        for (uint64_t n = count; n > 0; n--) {
            feed_number(&shuffled, n - 1);
            if (n % 8 == 0 && again) {
                feed_number(&shuffled, n - 1 + draw(count - n + 1));
            }
        }
        assert_int_equal(once.aggregate->merge(halves[0].state, &once.params, halves[1].state, &halves[0].heap),
                         TUMBLE_OK);
        for (size_t k = 0; k < 3; k++) {
            tw_buf_init(&bytes[k], tw_alloc_default(), 1 << 20);
            encoded(all[k], &bytes[k]);
            assert_int_equal(bytes[k].data[0], count <= 1536 ? 1 : 2);
            assert_int_equal(once.aggregate->value(all[k]->state, &once.params, 0, &bytes[k]), TUMBLE_OK);
            assert_int_equal(bytes[k].length, bytes[0].length);
            assert_memory_equal(bytes[k].data, bytes[0].data, bytes[0].length);
        }
        for (size_t k = 0; k < 4; k++) {
            stepping_clean_up(all[k]);
        }
        for (size_t k = 0; k < 3; k++) {
            tw_buf_clean_up(&bytes[k]);
        }
    }
}

/* step_hashes of what texts are hashed to is step of the texts. */
static void hashes_of_texts_are_texts(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct stepping texts, hashes;
        struct tw_buf bytes[2];
        const uint64_t values = round % 2 ? 40 : 4000;
        stepping_init(&texts, "distinct", NULL);
        stepping_init(&hashes, "distinct", NULL);
        for (int chunk = 0; chunk < 200; chunk++) {
            uint64_t some[TW_STEPS_AT_ONCE];
            char *groups[TW_STEPS_AT_ONCE];
            const size_t count = 1 + draw(TW_STEPS_AT_ONCE);
            for (size_t i = 0; i < count; i++) {
                char text[32];
                sprintf(text, "\"user-%d\"", (int)draw(values));
                feed(&texts, text);
                some[i] = tw_hash64(text + 1, strlen(text) - 2);
                groups[i] = (char *)hashes.state;
            }
            assert_true(tw_heap_reserve(&hashes.heap, hashes.aggregate->growth_all(groups, 0, &hashes.params, count)));
            const size_t held = hashes.heap.bytes;
            hashes.aggregate->step_hashes(groups, 0, &hashes.params, some, count, &hashes.heap);
            assert_int_equal(hashes.heap.bytes, held);
        }
        for (int k = 0; k < 2; k++) {
            tw_buf_init(&bytes[k], tw_alloc_default(), 1 << 20);
            encoded(k ? &hashes : &texts, &bytes[k]);
        }
        assert_int_equal(bytes[0].length, bytes[1].length);
        assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].length);
        tw_buf_clean_up(&bytes[0]);
        tw_buf_clean_up(&bytes[1]);
        stepping_clean_up(&texts);
        stepping_clean_up(&hashes);
    }
}

/* step_run is a step of each. */
static void a_run_of_hashes_is_as_many_steps(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct stepping one, runs;
        struct tw_buf bytes[2];
        const uint64_t values = round % 3 == 0 ? 12 : round % 3 == 1 ? 400 : 40000;
        const size_t most = round % 2 ? TW_RUN_MOST : 9;
        stepping_init_with(&one, "distinct", NULL, round % 4 ? NULL : "error=0.1");
        stepping_init_with(&runs, "distinct", NULL, round % 4 ? NULL : "error=0.1");
        for (int run = 0; run < 200; run++) {
            uint64_t some[TW_RUN_MOST];
            const size_t count = 1 + draw(most);
            char *group = (char *)one.state;
            for (size_t i = 0; i < count; i++) {
                const uint64_t value = draw(values);
                some[i] = value ? tw_hash64(&value, sizeof value) : 0;
                assert_true(tw_heap_reserve(&one.heap, one.aggregate->growth_all(&group, 0, &one.params, 1)));
                one.aggregate->step_hashes(&group, 0, &one.params, &some[i], 1, &one.heap);
            }
            assert_true(tw_heap_reserve(&runs.heap, runs.aggregate->growth_run(runs.state, &runs.params)));
            const size_t held = runs.heap.bytes;
            runs.aggregate->step_run(runs.state, &runs.params, some, count, &runs.heap);
            assert_int_equal(runs.heap.bytes, held);
        }
        for (int k = 0; k < 2; k++) {
            tw_buf_init(&bytes[k], tw_alloc_default(), 1 << 20);
            encoded(k ? &runs : &one, &bytes[k]);
        }
        assert_int_equal(bytes[0].length, bytes[1].length);
        assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].length);
        tw_buf_clean_up(&bytes[0]);
        tw_buf_clean_up(&bytes[1]);
        stepping_clean_up(&one);
        stepping_clean_up(&runs);
    }
}

/* Different hashes that fall into few registers, so that these do not show how many there are: at the end of a list it
 * has to be sorted. */
static void hashes_of_few_registers_are_counted_exactly(void **state) {
    (void)state;
    for (uint64_t count = 1530; count <= 1540; count++) {
        struct stepping s;
        struct tw_buf out;
        stepping_init(&s, "distinct", NULL);
        tw_buf_init(&out, tw_alloc_default(), 1 << 20);
        char *group = (char *)s.state;
        for (uint64_t n = 0; n < 6 * count; n++) {
            const uint64_t hash = UINT64_C(0x1234567890abc000) + (n < count ? n : draw(count));
            assert_true(tw_heap_reserve(&s.heap, s.aggregate->growth_all(&group, 0, &s.params, 1)));
            s.aggregate->step_hashes(&group, 0, &s.params, &hash, 1, &s.heap);
        }
        encoded(&s, &out);
        assert_int_equal(out.data[0], count <= 1536 ? 1 : 2);
        assert_true(count > 1536 || out.length == 3 + 8 * count);
        tw_buf_clean_up(&out);
        stepping_clean_up(&s);
    }
}

static void merging_without_memory_is_an_error(void **state) {
    (void)state;
    static const uint64_t sizes[][2] = {{0, 1}, {0, 2000}, {10, 2000}, {1000, 1000}, {3, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct stepping a;
        struct stepping b;
        stepping_init(&a, "distinct", NULL);
        stepping_init(&b, "distinct", NULL);
        for (uint64_t n = 0; n < sizes[i][0]; n++) {
            feed_number(&a, n);
        }
        for (uint64_t n = 0; n < sizes[i][1]; n++) {
            feed_number(&b, 100000 + n);
        }
        struct tw_heap nothing = {.alloc = tw_alloc_default()};
        nothing.alloc.alloc = refuse_memory;
        nothing.alloc.resize = refuse_to_resize;
        assert_int_equal(a.aggregate->merge(a.state, &a.params, b.state, &nothing), TUMBLE_ENOMEM);
        assert_int_equal(a.aggregate->merge(a.state, &a.params, b.state, &a.heap), TUMBLE_OK); /* and goes on */
        assert_string_not_equal(result_of(&a), "null");
        stepping_clean_up(&a);
        stepping_clean_up(&b);
    }
}

static void assert_refused(const char *options, const char *bytes, size_t length) {
    struct stepping s;
    struct tumble_error err = {0};
    stepping_init_with(&s, "distinct", NULL, options);
    char *exact = tw_alloc(&s.heap.alloc, length); /* reading past the end is seen */
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    struct tumble_bytes view = {exact, length};
    struct tw_cursor cursor = tw_cursor_of(view);
    assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "distinct values is damaged"));
    assert_string_equal(result_of(&s), "null");
    tw_free(&s.heap.alloc, exact);
    stepping_clean_up(&s);
}

#define REFUSED(options, bytes) assert_refused(options, bytes, sizeof bytes - 1)
#define ONE                     "\x01\x00\x00\x00\x00\x00\x00\x00"
#define TWO                     "\x02\x00\x00\x00\x00\x00\x00\x00"
#define NONE                    "\x00\x00\x00\x00\x00\x00\x00\x00"

static void hostile_bytes_are_refused(void **state) {
    (void)state;
    REFUSED(NULL, "");
    REFUSED(NULL, "\x01");
    REFUSED(NULL, "\x01\x00");                                         /* none: that is the empty form */
    REFUSED(NULL, "\x01\x02" ONE);                                     /* one is missing */
    REFUSED(NULL, "\x01\x02" TWO ONE);                                 /* unsorted */
    REFUSED(NULL, "\x01\x02" TWO TWO);                                 /* twice the same */
    REFUSED(NULL, "\x01\x02" NONE ONE);                                /* no hash is 0 */
    REFUSED(NULL, "\x01\x82\x00" ONE TWO);                             /* over-long varint */
    REFUSED(NULL, "\x01\x81\x0c" ONE);                                 /* 1,537 */
    REFUSED(NULL, "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" ONE); /* 2^64 - 1: its bytes would wrap */
    REFUSED(NULL, "\x01\x80\x80\x80\x80\x80\x80\x80\x80\x20" ONE);     /* 2^61: times eight wraps to 0 */
    REFUSED("error=0.26", "\x01\x02" ONE TWO);                         /* more than its limit of one */
    REFUSED(NULL, "\x02\x0e\x00");                                     /* registers cut off */
    REFUSED("error=0.26", "\x02\x04\x00" NONE);                        /* no register raised */
    REFUSED("error=0.26", "\x02\x05\x00" ONE);                         /* another precision */
    REFUSED("error=0.26", "\x02\x04\x3d" ONE);                         /* rank 62 of 61 */
    REFUSED("error=0.26", "\x04\x04\x00" ONE);                         /* no such form */
    REFUSED("error=0.26", "\xff\x04\x00" ONE);
}

static void a_refused_state_gives_its_registers_back(void **state) {
    (void)state;
    struct stepping s;
    char bytes[3 + 8192] = {2, 14};
    struct tumble_bytes view = {bytes, sizeof bytes};
    stepping_init(&s, "distinct", NULL);
    for (int i = 0; i < 100; i++) {
        struct tw_cursor cursor = tw_cursor_of(view);
        assert_int_equal(s.aggregate->decode(s.state, &s.params, &cursor, &s.heap, NULL), TUMBLE_ECORRUPT);
    }
    assert_true(s.heap.bytes < 40000);
    stepping_clean_up(&s);
}

static void an_error_that_is_too_small_is_refused(void **state) {
    (void)state;
    const struct tw_aggregate *distinct = tw_aggregate_find(tumble_bytes_of("distinct"), tumble_bytes_of(NULL));
    struct stepping_options options;
    struct tumble_error err = {0};
    assert_int_equal(stepping_options_of(&options, distinct, "error=0.0001", &err), TUMBLE_ESPEC);
    assert_string_equal(err.text, "the error of distinct is too small: give one from 0.001 to 0.26");
    assert_int_equal(stepping_options_of(&options, distinct, "error=0.001", &err), TUMBLE_OK);
    assert_int_equal(options.params.derived[0], 21);
}

static void assert_bound(const char *options, const char *expected) {
    struct stepping s;
    stepping_init_with(&s, "distinct", NULL, options);
    assert_int_equal(s.aggregate->describe_bound(&s.params, 0, &s.out), TUMBLE_OK);
    assert_int_equal(s.out.length, strlen(expected));
    assert_memory_equal(s.out.data, expected, s.out.length);
    stepping_clean_up(&s);
}

static void the_bound_is_said_in_words(void **state) {
    (void)state;
    assert_bound(NULL, "exact up to 1536 values, then a standard error of 0.8125 %");
    assert_bound("error=0.26", "exact up to 1 value, then a standard error of 26 %");
    assert_bound("error=0.001", "exact up to 196608 values, then a standard error of 0.0719 %");
}

static void the_finest_registers_fit_into_a_block(void **state) {
    (void)state;
    struct stepping s;
    stepping_init_with(&s, "distinct", NULL, "error=0.001");
    struct tw_value value = number(1);
    struct tw_input input = {.value = &value};
    for (uint64_t n = 0; n < 196700; n++) {
        value = number(n * 10 + 1);
        if (n % 4096 == 0) { /* reserving for every step is what the other tests do */
            assert_true(tw_heap_reserve(&s.heap, s.aggregate->growth(s.state, &s.params, &input)));
        }
        s.aggregate->step(s.state, &s.params, &input, &s.heap);
        if (n == 196607) {
            assert_string_equal(result_of(&s), "196608");
        }
    }
    double estimate = strtod(result_of(&s), NULL);
    assert_true(estimate > 196608 && estimate < 196700 * 1.003);
    stepping_clean_up(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_count_once_and_types_never_mix),
        cmocka_unit_test(encodings_are_these_bytes),
        cmocka_unit_test(the_count_is_exact_up_to_the_limit),
        cmocka_unit_test(any_order_cut_and_merge_gives_the_same_bytes_around_the_limit),
        cmocka_unit_test(stored_hashes_are_sorted_however_many),
        cmocka_unit_test(hashes_that_share_their_first_bytes_are_stored_as_read),
        cmocka_unit_test(a_chunk_of_steps_fits_into_what_was_reserved),
        cmocka_unit_test(chunks_of_few_values_fit_into_what_was_reserved),
        cmocka_unit_test(few_values_take_little_memory_however_often_they_come),
        cmocka_unit_test(what_is_stored_does_not_tell_lists_from_registers),
        cmocka_unit_test(hashes_of_texts_are_texts),
        cmocka_unit_test(a_run_of_hashes_is_as_many_steps),
        cmocka_unit_test(hashes_of_few_registers_are_counted_exactly),
        cmocka_unit_test(merging_without_memory_is_an_error),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(a_refused_state_gives_its_registers_back),
        cmocka_unit_test(an_error_that_is_too_small_is_refused),
        cmocka_unit_test(the_bound_is_said_in_words),
        cmocka_unit_test(the_finest_registers_fit_into_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
