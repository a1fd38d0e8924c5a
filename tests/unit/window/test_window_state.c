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
        assert_int_equal(tw_window_decode_touched(&again, tw_buf_view(&bytes), &places, key_hash, NULL, NULL),
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

static void step_group(struct tw_window *window, uint32_t n, uint32_t amount) {
    char key[40], text[40];
    struct tumble_bytes view = {key,
                                (size_t)snprintf(key, sizeof key, "%.*s%u", (int)(n % 20), "aaaaaaaaaaaaaaaaaaaa", n)};
    uint32_t reference;
    assert_int_equal(tw_group_touch(&window->groups, view, key_hash(NULL, view), &reference), TUMBLE_OK);
    struct tw_group *group = tw_group_at(&window->groups, reference);
    struct tw_value value = {.type = TUMBLE_TYPE_NUMBER};
    struct tw_input input = {.value = &value};
    int length = snprintf(text, sizeof text, amount % 7 == 0 ? "-%u%u%u" : "%u.%02u", amount, n % 100, n);
    assert_int_equal(tw_decimal_parse(&value.number, text, (size_t)length, NULL), TUMBLE_OK);
    group->records += 1 + (uint64_t)amount * amount;
    for (size_t a = 0; a < window->groups.layout->count; a++) {
        const struct tw_layout_item *at = &window->groups.layout->items[a];
        if ((amount + a) % 5) { /* some have no value yet */
            void *accumulator = tw_group_state(group, at->offset);
            size_t growth = at->function->growth ? at->function->growth(accumulator, at->params, &input) : 0;
            assert_true(tw_heap_reserve(&window->heap, growth));
            at->function->step(accumulator, at->params, &input, &window->heap);
        }
    }
}

static void groups_taken_together_are_encoded_as_one_by_one(void **state) {
    (void)state;
    static const char *const names[] = {"count", "sum", "min", "mean", "max", "variance"};
    static const struct tw_params params[16];
    for (size_t columns = 0; columns <= 12; columns++) {
        struct tw_layout_item items[12];
        struct tw_layout layout = {.items = items, .count = columns};
        for (size_t a = 0; a < columns; a++) {
            /* from nine on, some that have no cells among those that have */
            const char *name = names[columns < 9 && a != 6 ? (a % 4 == 3 ? 4 : a % 4) : a % 6];
            items[a].function = tw_aggregate_find(tumble_bytes_of(name), tumble_bytes_of(NULL));
            items[a].params = &params[a];
            items[a].offset = layout.bytes;
            layout.bytes += items[a].function->state_size;
        }
        struct tw_window window;
        struct tw_buf together, plain;
        tw_buf_init(&together, tw_alloc_default(), SIZE_MAX / 4);
        tw_buf_init(&plain, tw_alloc_default(), SIZE_MAX / 4);
        tw_window_init(&window, 0, tw_alloc_default(), &layout);
        uint32_t drawn = 1;
        for (int commit = 0; commit < 12; commit++) {
            for (int n = 0; n < (commit == 0 || commit == 3 ? 5000 : commit * 7); n++) {
                drawn = drawn * 1664525 + 1013904223;
                step_group(&window, (drawn >> 8) % 40000, (drawn >> 12) % 3000);
            }
            tw_buf_clear(&together);
            tw_buf_clear(&plain);
            encode_plainly(&window, commit > 0, &plain);
            if (commit == 0) {
                struct tw_group_walk walk = {0};
                bool done;
                assert_int_equal(tw_window_encode_more(&window, &walk, SIZE_MAX, &done, &together), TUMBLE_OK);
                assert_true(done);
            } else {
                assert_int_equal(tw_window_encode_touched(&window, &together), TUMBLE_OK);
            }
            assert_int_equal(together.length, plain.length);
            assert_true(plain.length == 0 || memcmp(together.data, plain.data, plain.length) == 0);
            settle(&window);
        }
        tw_window_clean_up(&window);
        tw_buf_clean_up(&together);
        tw_buf_clean_up(&plain);
    }
}

/* Two groups, a and b, then the delta. */
static enum tumble_code decode(const char *delta, size_t length, struct tumble_error *err) {
    static const char snapshot[] = {1, 'a', 1, 1, 1, 'b', 1, 1};
    const struct tw_layout layout = count_layout();
    struct tw_window window;
    struct tw_group_places places = {0};
    char *exact = malloc(length ? length : 1); /* so that a sanitizer sees a read behind its end */
    memcpy(exact, delta, length);
    struct tumble_bytes groups = {snapshot, sizeof snapshot}, bytes = {exact, length};
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    assert_int_equal(tw_window_decode_groups(&window, groups, key_hash, NULL, NULL), TUMBLE_OK);
    enum tumble_code code = tw_window_decode_touched(&window, bytes, &places, key_hash, NULL, err);
    tw_group_places_clean_up(&places, &window);
    tw_window_clean_up(&window);
    free(exact);
    return code;
}

static void deltas_that_no_writer_made_are_refused(void **state) {
    (void)state;
    struct tumble_error error;
    static const char good[] = {2, 5, 5, 0, 1, 'c', 1, 1, 3, 9, 9, 1, 7, 7};
    assert_int_equal(decode(good, sizeof good, &error), TUMBLE_OK);
    for (size_t length = 0; length < sizeof good; length++) {
        bool whole = length == 0 || length == 3 || length == 8 || length == 11;
        assert_int_equal(decode(good, length, &error), whole ? TUMBLE_OK : TUMBLE_ECORRUPT);
    }
    static const char beyond[] = {3, 1, 1};
    assert_int_equal(decode(beyond, sizeof beyond, &error), TUMBLE_ECORRUPT);
    assert_non_null(strstr(error.text, "names a group that is not there"));
    static const char twice[] = {0, 1, 'a', 1, 1};
    assert_int_equal(decode(twice, sizeof twice, &error), TUMBLE_ECORRUPT);
    assert_non_null(strstr(error.text, "adds a group that is there"));
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
            code = tw_window_decode_touched(&window, tw_buf_view(&delta), &places, key_hash, NULL, NULL);
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
        cmocka_unit_test(deltas_that_no_writer_made_are_refused),
        cmocka_unit_test(memory_that_runs_out_while_places_are_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
