#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "counting_alloc.h"
#include "engine/codec/hash.h"
#include "engine/window/window.h"

/* A window's groups in the store: what was added and touched comes back from snapshot and deltas, group by group at the
 * same place, and bytes that no writer made are refused. */

static struct tw_layout_item item;

static struct tw_layout count_layout(void) {
    item.function = tw_aggregate_find(tumble_bytes_of("count"), tumble_bytes_of(NULL));
    struct tw_layout layout = {.items = &item, .count = 1, .bytes = item.function->state_size};
    return layout;
}

static uint32_t key_hash(const void *ctx, struct tumble_bytes key) {
    (void)ctx;
    return (uint32_t)tw_hash64(key.data, key.length);
}

static void count_record(struct tw_window *window, uint32_t n) {
    char key[16];
    struct tumble_bytes view = {key, (size_t)snprintf(key, sizeof key, "k%u", n)};
    uint32_t reference;
    assert_int_equal(tw_group_touch(&window->groups, view, key_hash(NULL, view), &reference), TUMBLE_OK);
    struct tw_group *group = tw_group_at(&window->groups, reference);
    group->records++;
    group->state[0]++;
}

/* What a commit does once the store has it. */
static void settle(struct tw_window *window) {
    tw_group_touched_stored(&window->groups);
    window->group_count = window->groups.count;
}

static void assert_same_groups(const struct tw_window *a, const struct tw_window *b) {
    struct tw_group_walk walk = {0}, other = {0};
    uint32_t reference, place = 0;
    assert_int_equal(a->groups.count, b->groups.count);
    while (tw_group_next(&a->groups, &walk, &reference)) {
        const struct tw_group *group = tw_group_at(&a->groups, reference);
        assert_true(tw_group_next(&b->groups, &other, &reference));
        const struct tw_group *same = tw_group_at(&b->groups, reference);
        assert_int_equal(group->place, place);
        assert_int_equal(same->place, place++);
        assert_int_equal(same->records, group->records);
        assert_int_equal(same->state[0], group->state[0]);
        assert_int_equal(same->touched, 0);
        assert_true(tumble_bytes_equal(tw_group_key(&a->groups, group), tw_group_key(&b->groups, same)));
    }
}

static void snapshot_and_deltas_give_every_group_its_place_again(void **state) {
    (void)state;
    const struct tw_layout layout = count_layout();
    struct tw_window window, again;
    struct tw_group_places places = {0};
    struct tw_buf bytes;
    tw_buf_init(&bytes, tw_alloc_default(), SIZE_MAX / 4);
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    tw_window_init(&again, 0, tw_alloc_default(), &layout);
    for (uint32_t n = 0; n < 9000; n++) {
        count_record(&window, n * 7919 % 30011);
    }
    struct tw_group_walk walk = {0};
    size_t chunks = 0;
    for (bool done = false; !done; chunks++) {
        tw_buf_clear(&bytes);
        assert_int_equal(tw_window_encode_more(&window, &walk, 20000, &done, &bytes), TUMBLE_OK);
        assert_int_equal(tw_window_decode_groups(&again, tw_buf_view(&bytes), key_hash, NULL, NULL), TUMBLE_OK);
    }
    assert_true(chunks > 3);
    settle(&window);
    for (uint32_t delta = 0; delta < 5; delta++) {
        for (uint32_t n = 0; n < 3000; n++) {
            count_record(&window, (n * 104729 + delta * 1299709) % 30011); /* old ones and new ones */
        }
        tw_buf_clear(&bytes);
        assert_int_equal(tw_window_encode_touched(&window, &bytes), TUMBLE_OK);
        assert_int_equal(tw_window_decode_touched(&again, tw_buf_view(&bytes), true, &places, key_hash, NULL, NULL),
                         TUMBLE_OK);
        settle(&window);
        assert_same_groups(&window, &again);
    }
    tw_group_places_clean_up(&places, &again);
    tw_window_clean_up(&window);
    tw_window_clean_up(&again);
    tw_buf_clean_up(&bytes);
}

/* As docs/format-frames.md has it, a group at a time. */
static void encode_plainly(const struct tw_window *window, bool by_place, struct tw_buf *out) {
    const struct tw_layout *layout = window->groups.layout;
    for (uint32_t i = 0; i < window->groups.touched_count; i++) {
        struct tw_group *group = tw_group_at(&window->groups, window->groups.touched[i]);
        struct tumble_bytes key = tw_group_key(&window->groups, group);
        if (by_place && group->place < window->group_count) {
            assert_int_equal(tw_buf_append_varint(out, (uint64_t)group->place + 1), TUMBLE_OK);
        } else {
            assert_int_equal(by_place ? tw_buf_append_byte(out, 0) : TUMBLE_OK, TUMBLE_OK);
            assert_int_equal(tw_buf_append_varint(out, key.length), TUMBLE_OK);
            assert_int_equal(tw_buf_append(out, key.data, key.length), TUMBLE_OK);
        }
        assert_int_equal(tw_buf_append_varint(out, group->records), TUMBLE_OK);
        for (size_t a = 0; a < layout->count; a++) {
            const struct tw_layout_item *at = &layout->items[a];
            assert_int_equal(at->function->encode(tw_group_state(group, at->offset), at->params, out), TUMBLE_OK);
        }
    }
}

/* late: some are of one record, and some of their numbers end in zeros. */
static void step_group(struct tw_window *window, uint32_t n, uint32_t amount, int late) {
    char key[40], text[40];
    struct tumble_bytes view = {key,
                                (size_t)snprintf(key, sizeof key, "%.*s%u", (int)(n % 20), "aaaaaaaaaaaaaaaaaaaa", n)};
    uint32_t reference;
    assert_int_equal(tw_group_touch(&window->groups, view, key_hash(NULL, view), &reference), TUMBLE_OK);
    struct tw_group *group = tw_group_at(&window->groups, reference);
    struct tw_value value = {.type = TUMBLE_TYPE_NUMBER};
    struct tw_input input = {.value = &value};
    const bool single = late && n % 3 == 0;
    const char *const form = single && n % 7 == 0   ? "%u0000e%u"
                             : amount % 7 == 0      ? "-%u%u%u"
                             : single && n % 5 == 0 ? "0"
                                                    : "%u.%02u";
    int length = snprintf(text, sizeof text, form, amount + 1, n % (single ? 20 : 100), n);
    assert_int_equal(tw_decimal_parse(&value.number, text, (size_t)length, NULL), TUMBLE_OK);
    group->records += single ? 1 : 1 + (uint64_t)amount * amount;
    for (size_t a = 0; a < window->groups.layout->count; a++) {
        const struct tw_layout_item *at = &window->groups.layout->items[a];
        if (single || (amount + a) % 5) { /* some have no value yet */
            void *accumulator = tw_group_state(group, at->offset);
            size_t growth = at->function->growth ? at->function->growth(accumulator, at->params, &input) : 0;
            assert_true(tw_heap_reserve(&window->heap, growth));
            at->function->step(accumulator, at->params, &input, &window->heap);
        }
    }
}

static void make_layout(struct tw_layout *layout, struct tw_layout_item items[12], size_t columns) {
    static const char *const names[] = {"count", "sum", "min", "mean", "max", "variance"};
    static const struct tw_params params[16];
    *layout = (struct tw_layout){.items = items, .count = columns};
    for (size_t a = 0; a < columns; a++) {
        /* from nine on, some that have no cells among those that have */
        const char *name = names[columns < 9 && a != 6 ? (a % 4 == 3 ? 4 : a % 4) : a % 6];
        items[a].function = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(NULL));
        items[a].params = &params[a];
        items[a].offset = layout->bytes;
        layout->bytes += items[a].function->state_size;
    }
}

static void encode_all(const struct tw_window *window, struct tw_buf *out) {
    struct tw_group_walk walk = {0};
    bool done;
    tw_buf_clear(out);
    assert_int_equal(tw_window_encode_more(window, &walk, SIZE_MAX, &done, out), TUMBLE_OK);
    assert_true(done);
}

static void groups_taken_together_are_encoded_as_one_by_one(void **state) {
    (void)state;
    for (size_t columns = 0; columns <= 12; columns++) {
        struct tw_layout_item items[12];
        struct tw_layout layout;
        struct tw_window window;
        struct tw_buf together, plain;
        make_layout(&layout, items, columns);
        tw_buf_init(&together, tw_alloc_default(), SIZE_MAX / 4);
        tw_buf_init(&plain, tw_alloc_default(), SIZE_MAX / 4);
        tw_window_init(&window, 0, tw_alloc_default(), &layout);
        uint32_t drawn = 1;
        for (int n = 0; n < 5000; n++) {
            drawn = drawn * 1664525 + 1013904223;
            step_group(&window, (drawn >> 8) % 40000, (drawn >> 12) % 3000, 0);
        }
        encode_plainly(&window, false, &plain);
        encode_all(&window, &together);
        assert_int_equal(together.length, plain.length);
        assert_true(plain.length == 0 || memcmp(together.data, plain.data, plain.length) == 0);
        tw_window_clean_up(&window);
        tw_buf_clean_up(&together);
        tw_buf_clean_up(&plain);
    }
}

/* Brief deltas, and those of before, in full, one in three. */
static void deltas_of_both_kinds_give_every_accumulator_back(void **state) {
    (void)state;
    for (size_t columns = 0; columns <= 12; columns++) {
        struct tw_layout_item items[12];
        struct tw_layout layout;
        struct tw_window window, again;
        struct tw_group_places places = {0};
        struct tw_buf delta, here, there;
        make_layout(&layout, items, columns);
        tw_buf_init(&delta, tw_alloc_default(), SIZE_MAX / 4);
        tw_buf_init(&here, tw_alloc_default(), SIZE_MAX / 4);
        tw_buf_init(&there, tw_alloc_default(), SIZE_MAX / 4);
        tw_window_init(&window, 0, tw_alloc_default(), &layout);
        tw_window_init(&again, 0, tw_alloc_default(), &layout);
        uint32_t drawn = 1;
        for (int commit = 0; commit < 14; commit++) {
            const bool brief = commit % 3 != 1;
            for (int n = 0; n < (commit == 0 || commit == 3 ? 5000 : commit * 7); n++) {
                drawn = drawn * 1664525 + 1013904223;
                step_group(&window, (drawn >> 8) % 40000, (drawn >> 12) % 3000, commit);
            }
            tw_buf_clear(&delta);
            if (brief) {
                assert_int_equal(tw_window_encode_touched(&window, &delta), TUMBLE_OK);
            } else {
                encode_plainly(&window, true, &delta);
                tw_group_untouch_all(&window.groups);
            }
            assert_int_equal(
                tw_window_decode_touched(&again, tw_buf_view(&delta), brief, &places, key_hash, NULL, NULL), TUMBLE_OK);
            settle(&window);
            encode_all(&window, &here);
            encode_all(&again, &there);
            assert_true(tumble_bytes_equal(tw_buf_view(&here), tw_buf_view(&there)));
        }
        tw_group_places_clean_up(&places, &again);
        tw_window_clean_up(&window);
        tw_window_clean_up(&again);
        tw_buf_clean_up(&delta);
        tw_buf_clean_up(&here);
        tw_buf_clean_up(&there);
    }
}

static void assert_delta(const struct tw_layout *layout, const char *const *numbers, uint64_t records,
                         const char *expected, size_t length) {
    struct tw_window window;
    struct tw_buf delta;
    uint32_t reference;
    tw_window_init(&window, 0, tw_alloc_default(), layout);
    tw_buf_init(&delta, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(tw_group_touch(&window.groups, tumble_bytes_of("key"), 1, &reference), TUMBLE_OK);
    struct tw_group *group = tw_group_at(&window.groups, reference);
    group->records = records;
    for (; *numbers; numbers++) {
        struct tw_value value = {.type = TUMBLE_TYPE_NUMBER};
        struct tw_input input = {.value = &value};
        assert_int_equal(tw_decimal_parse(&value.number, *numbers, strlen(*numbers), NULL), TUMBLE_OK);
        for (size_t a = 0; a < layout->count; a++) {
            assert_true(tw_heap_reserve(&window.heap, 1000));
            layout->items[a].function->step(tw_group_state(group, layout->items[a].offset), layout->items[a].params,
                                            &input, &window.heap);
        }
    }
    assert_int_equal(tw_window_encode_touched(&window, &delta), TUMBLE_OK);
    assert_int_equal(delta.length, length);
    assert_memory_equal(delta.data, expected, length);
    tw_window_clean_up(&window);
    tw_buf_clean_up(&delta);
}

#define ASSERT_DELTA(numbers, records, bytes) assert_delta(&layout, numbers, records, bytes, sizeof bytes - 1)

static void a_group_stands_in_a_delta_as_the_documentation_has_it(void **state) {
    (void)state;
    static const char *const one[] = {"-12.5", NULL}, *const two[] = {"7", "300", NULL}, *const nothing[] = {NULL},
                             *const far[] = {"1e15", NULL};
    struct tw_layout_item items[12];
    struct tw_layout layout;
    make_layout(&layout, items, 4); /* count, sum, min, max */
    ASSERT_DELTA(one, 1, "\0\3key\x07\x80\xf9");
    ASSERT_DELTA(one, 2, "\0\3key\x08\1\x80\xf9\x80\xf9\x80\xf9");
    /* 307, 7 and 3e2 */
    ASSERT_DELTA(two, 2, "\0\3key\x09\x89\x66\2\x88\x0e\x98\x06");
    ASSERT_DELTA(nothing, 1, "\0\3key\4\0\0\0\0\0\0\0");
    /* an exponent that has no place: as the functions encode it */
    ASSERT_DELTA(far, 1, "\0\3key\5\0\1\x1e\1\0\3\x0b\x10\x0b\0\0\3\x0b\x10\x0b\0");
}

/* Two groups, a and b, then the delta. */
static enum tumble_code decode(const char *delta, size_t length, bool brief, struct tumble_error *err) {
    static const char snapshot[] = {1, 'a', 1, 1, 1, 'b', 1, 1};
    const struct tw_layout layout = count_layout();
    struct tw_window window;
    struct tw_group_places places = {0};
    char *exact = malloc(length ? length : 1); /* so that a sanitizer sees a read behind its end */
    memcpy(exact, delta, length);
    struct tumble_bytes groups = {snapshot, sizeof snapshot}, bytes = {exact, length};
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    assert_int_equal(tw_window_decode_groups(&window, groups, key_hash, NULL, NULL), TUMBLE_OK);
    enum tumble_code code = tw_window_decode_touched(&window, bytes, brief, &places, key_hash, NULL, err);
    tw_group_places_clean_up(&places, &window);
    tw_window_clean_up(&window);
    free(exact);
    return code;
}

static void deltas_that_no_writer_made_are_refused(void **state) {
    (void)state;
    struct tumble_error error;
    static const char good[] = {2, 5, 5, 0, 1, 'c', 1, 1, 3, 9, 9, 1, 7, 7};
    static const char brief[] = {2, 21, 0, 1, 'c', 4, 9, 3, 37};
    assert_int_equal(decode(good, sizeof good, false, &error), TUMBLE_OK);
    assert_int_equal(decode(brief, sizeof brief, true, &error), TUMBLE_OK);
    for (size_t length = 0; length < sizeof good; length++) {
        bool whole = length == 0 || length == 3 || length == 8 || length == 11;
        assert_int_equal(decode(good, length, false, &error), whole ? TUMBLE_OK : TUMBLE_ECORRUPT);
    }
    for (size_t length = 0; length < sizeof brief; length++) {
        bool whole = length == 0 || length == 2 || length == 7;
        assert_int_equal(decode(brief, length, true, &error), whole ? TUMBLE_OK : TUMBLE_ECORRUPT);
    }
    static const char beyond[] = {3, 1, 1};
    assert_int_equal(decode(beyond, sizeof beyond, false, &error), TUMBLE_ECORRUPT);
    assert_int_equal(decode(beyond, sizeof beyond, true, &error), TUMBLE_ECORRUPT);
    assert_non_null(strstr(error.text, "names a group that is not there"));
    static const char twice[] = {0, 1, 'a', 1, 1};
    assert_int_equal(decode(twice, sizeof twice, false, &error), TUMBLE_ECORRUPT);
    assert_int_equal(decode(twice, sizeof twice, true, &error), TUMBLE_ECORRUPT);
    assert_non_null(strstr(error.text, "adds a group that is there"));
    static const char many[] = "\1\xff\xff\xff\xff\xff\xff\xff\xff@\1"; /* in hexadecimal: char has a sign or has not */
    assert_int_equal(decode(many, sizeof many - 1, false, &error), TUMBLE_ECORRUPT);
    static const char no_numbers[] = {1, 6, 1};
    assert_int_equal(decode(no_numbers, sizeof no_numbers, true, &error), TUMBLE_ECORRUPT);
}

/* Of a group b, with a count, a sum, a minimum and a maximum. */
static enum tumble_code decode_numbers(const char *bytes, size_t length) {
    struct tw_layout_item items[12];
    struct tw_layout layout;
    struct tw_window window;
    struct tw_group_places places = {0};
    struct tw_buf delta;
    make_layout(&layout, items, 4);
    tw_buf_init(&delta, tw_alloc_default(), SIZE_MAX / 4);
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    tw_buf_append(&delta, "\0\1b", 3);
    tw_buf_append(&delta, bytes, length);
    enum tumble_code code = tw_window_decode_touched(&window, tw_buf_view(&delta), true, &places, key_hash, NULL, NULL);
    tw_group_places_clean_up(&places, &window);
    tw_window_clean_up(&window);
    tw_buf_clean_up(&delta);
    return code;
}

static void numbers_that_no_writer_made_are_refused(void **state) {
    (void)state;
    assert_int_equal(decode_numbers("\x07\x80\xf9", 3), TUMBLE_OK);
    assert_int_equal(decode_numbers("\x07\x88\0", 3), TUMBLE_OK);
    assert_int_equal(decode_numbers("\x07\x07\xf9", 3), TUMBLE_ECORRUPT);           /* no exponent */
    assert_int_equal(decode_numbers("\x07\0\0", 3), TUMBLE_ECORRUPT);               /* one of which nothing stands */
    assert_int_equal(decode_numbers("\x07\x81\xf9\0", 4), TUMBLE_ECORRUPT);         /* a byte too many */
    assert_int_equal(decode_numbers("\x07\x80\x14", 3), TUMBLE_ECORRUPT);           /* ends in 0 */
    assert_int_equal(decode_numbers("\x07\x80\0", 3), TUMBLE_ECORRUPT);             /* 0 has no exponent */
    assert_int_equal(decode_numbers("\x07\x87\1\1\1\1\1\1\1", 9), TUMBLE_ECORRUPT); /* cut */
    assert_int_equal(decode_numbers("\x07\x87\1\1\1\1\1\1\1\1", 10), TUMBLE_OK);
}

static void memory_that_runs_out_while_places_are_read_is_an_error(void **state) {
    (void)state;
    const struct tw_layout layout = count_layout();
    struct tw_buf snapshot, delta;
    struct tw_window window;
    bool done;
    struct tw_group_walk walk = {0};
    tw_buf_init(&snapshot, tw_alloc_default(), SIZE_MAX / 4);
    tw_buf_init(&delta, tw_alloc_default(), SIZE_MAX / 4);
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    for (uint32_t n = 0; n < 60; n++) {
        count_record(&window, n);
    }
    assert_int_equal(tw_window_encode_more(&window, &walk, SIZE_MAX, &done, &snapshot), TUMBLE_OK);
    settle(&window);
    for (uint32_t n = 30; n < 200; n++) {
        count_record(&window, n);
    }
    assert_int_equal(tw_window_encode_touched(&window, &delta), TUMBLE_OK);
    tw_window_clean_up(&window);
    size_t failures = 0;
    for (size_t fail_at = 1;; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_group_places places = {0};
        tw_window_init(&window, 0, counting_alloc_of(&count), &layout);
        enum tumble_code code = tw_window_decode_groups(&window, tw_buf_view(&snapshot), key_hash, NULL, NULL);
        if (code == TUMBLE_OK) {
            code = tw_window_decode_touched(&window, tw_buf_view(&delta), true, &places, key_hash, NULL, NULL);
        }
        bool through = code == TUMBLE_OK;
        assert_true(through || code == TUMBLE_ENOMEM);
        tw_group_places_clean_up(&places, &window);
        tw_window_clean_up(&window);
        assert_int_equal(count.live, 0);
        if (through) {
            break;
        }
        failures++;
    }
    assert_true(failures > 6);
    tw_buf_clean_up(&snapshot);
    tw_buf_clean_up(&delta);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot_and_deltas_give_every_group_its_place_again),
        cmocka_unit_test(groups_taken_together_are_encoded_as_one_by_one),
        cmocka_unit_test(deltas_of_both_kinds_give_every_accumulator_back),
        cmocka_unit_test(a_group_stands_in_a_delta_as_the_documentation_has_it),
        cmocka_unit_test(deltas_that_no_writer_made_are_refused),
        cmocka_unit_test(numbers_that_no_writer_made_are_refused),
        cmocka_unit_test(memory_that_runs_out_while_places_are_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
