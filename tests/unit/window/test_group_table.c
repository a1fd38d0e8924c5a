#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "counting_alloc.h"
#include "engine/codec/hash.h"
#include "engine/window/group_table.h"

/* A window's groups: found again, walked, ordered, and whole after memory ran out. */

static struct tw_layout count_layout(struct tw_layout_item item[1]) {
    item[0].function = tw_aggregate_find(tumble_bytes_of("count"), tumble_bytes_of(NULL));
    item[0].offset = 0;
    item[0].params = NULL;
    struct tw_layout layout = {.items = item, .count = 1, .bytes = item[0].function->state_size};
    return layout;
}

/* Key number n: lengths from 0 bytes to 15,000. */
static size_t make_key(char *out, uint32_t n) {
    size_t length = n % 97 == 0 ? n % 15000 : n % 40;
    for (size_t i = 0; i < length; i++) {
        out[i] = (char)(n * 31 + i * 7);
    }
    int digits = snprintf(out + length, 12, "%u", n);
    return length + (size_t)digits;
}

static void groups_are_found_again_however_many_there_are(void **state) {
    (void)state;
    struct tw_layout_item item[1];
    struct tw_layout layout = count_layout(item);
    struct counting_alloc count = {0};
    struct tw_group_table table;
    static char key[20000];
    const uint32_t groups = 20000;
    tw_group_table_init(&table, counting_alloc_of(&count), &layout);
    for (int round = 0; round < 2; round++) {
        for (uint32_t n = 0; n < groups; n++) {
            struct tumble_bytes view = {key, make_key(key, n)};
            uint32_t reference;
            assert_int_equal(tw_group_touch(&table, view, n % 1000 * 7, &reference), TUMBLE_OK); /* many equal hashes */
            assert_true(tumble_bytes_equal(tw_group_key(&table, tw_group_at(&table, reference)), view));
            tw_group_at(&table, reference)->records++;
        }
        assert_int_equal(table.count, groups);
    }
    struct tw_group_walk walk = {0};
    uint32_t reference, walked = 0;
    while (tw_group_next(&table, &walk, &reference)) {
        assert_int_equal(tw_group_at(&table, reference)->records, 2);
        walked++;
    }
    assert_int_equal(walked, groups);
    assert_int_equal(table.touched_count, groups);
    tw_group_untouch_all(&table);
    assert_int_equal(tw_group_at(&table, 0)->touched, 0);
    struct tw_group_rank *order = calloc(groups, sizeof *order);
    tw_group_order(&table, order);
    for (uint32_t i = 1; i < groups; i++) {
        struct tumble_bytes a = tw_group_key(&table, tw_group_at(&table, order[i - 1].reference));
        struct tumble_bytes b = tw_group_key(&table, tw_group_at(&table, order[i].reference));
        size_t common = a.length < b.length ? a.length : b.length;
        int difference = common ? memcmp(a.data, b.data, common) : 0;
        assert_true(difference < 0 || (difference == 0 && a.length < b.length));
    }
    free(order);
    tw_group_table_clean_up(&table);
    assert_int_equal(count.live, 0);
}

/* Families of keys: digits at the end, few bits that differ; the same behind eight bytes that tell little; short ones
 * that are each other's beginning, with NULs; all bits differ; one that shares nothing with those before it. */
static size_t ordered_key(char *out, unsigned family, uint32_t n, uint64_t random) {
    switch (family) {
    case 0: return (size_t)sprintf(out, "user-%06u", (unsigned)(random % 1000000));
    case 1: return (size_t)sprintf(out, "group %u of many %u", (unsigned)(random % 3), (unsigned)n);
    case 2: {
        const size_t length = random % 5;
        for (size_t i = 0; i < length; i++) {
            out[i] = (char)(random >> (8 + 2 * i) & 3);
        }
        return length;
    }
    case 3: memcpy(out, &random, 8); return 8 - n % 2;
    default: return (size_t)sprintf(out, n == 700 ? "a" : "user-%06u", (unsigned)(random % 1000000));
    }
}

static int by_key(const void *a, const void *b) {
    const struct tumble_bytes *x = a, *y = b;
    const size_t common = x->length < y->length ? x->length : y->length;
    const int difference = common ? memcmp(x->data, y->data, common) : 0;
    return difference ? difference : (x->length > y->length) - (x->length < y->length);
}

static void groups_come_in_the_order_of_their_keys(void **state) {
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 63, 64, 65, 511, 512, 3000, 20000};
    struct tw_layout_item item[1];
    struct tw_layout layout = count_layout(item);
    for (unsigned family = 0; family < 5; family++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            struct counting_alloc count = {0};
            struct tw_group_table table;
            uint64_t random = 88172645463325252u + family;
            tw_group_table_init(&table, counting_alloc_of(&count), &layout);
            for (uint32_t n = 0; n < counts[c]; n++) {
                char key[64];
                uint32_t reference;
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                struct tumble_bytes view = {key, ordered_key(key, family, n, random)};
                uint32_t hash = 2166136261u;
                for (size_t i = 0; i < view.length; i++) {
                    hash = (hash ^ (unsigned char)key[i]) * 16777619u;
                }
                assert_int_equal(tw_group_touch(&table, view, hash, &reference), TUMBLE_OK);
            }
            struct tw_group_rank *order = calloc(table.count + 1, sizeof *order);
            struct tumble_bytes *keys = calloc(table.count + 1, sizeof *keys);
            struct tw_group_walk walk = {0};
            uint32_t reference, n = 0;
            while (tw_group_next(&table, &walk, &reference)) {
                keys[n++] = tw_group_key(&table, tw_group_at(&table, reference));
            }
            qsort(keys, n, sizeof *keys, by_key);
            for (int given = 0; given < 2; given++) {
                if (given) {
                    tw_group_order_of(&table, table.touched, table.touched_count, order);
                } else {
                    tw_group_order(&table, order);
                }
                for (uint32_t i = 0; i < n; i++) {
                    struct tumble_bytes key = tw_group_key(&table, tw_group_at(&table, order[i].reference));
                    assert_ptr_equal(key.data, keys[i].data);
                }
            }
            free(keys);
            free(order);
            tw_group_table_clean_up(&table);
        }
    }
}

static void a_table_that_ran_out_of_memory_is_as_before(void **state) {
    (void)state;
    struct tw_layout_item item[1];
    struct tw_layout layout = count_layout(item);
    static char key[20000];
    for (size_t fail_at = 1; fail_at < 60; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_group_table table;
        tw_group_table_init(&table, counting_alloc_of(&count), &layout);
        for (uint32_t n = 0; n < 500; n++) {
            struct tumble_bytes view = {key, make_key(key, n)};
            uint32_t reference, before = table.count;
            enum tumble_code code = tw_group_touch(&table, view, n, &reference);
            if (code != TUMBLE_OK) {
                assert_int_equal(code, TUMBLE_ENOMEM);
                assert_int_equal(table.count, before);
                assert_int_equal(tw_group_touch(&table, view, n, &reference), TUMBLE_OK);
            }
            tw_group_at(&table, reference)->records = n;
        }
        struct tw_group_walk walk = {0};
        uint32_t reference;
        uint64_t sum = 0, walked = 0;
        while (tw_group_next(&table, &walk, &reference)) {
            sum += tw_group_at(&table, reference)->records;
            walked++;
        }
        assert_int_equal(walked, 500);
        assert_int_equal(sum, 500 * 499 / 2);
        tw_group_table_clean_up(&table);
        assert_int_equal(count.live, 0);
    }
}

static void fill(struct tw_group_table *table, uint32_t groups) {
    for (uint32_t n = 0; n < groups; n++) {
        struct tumble_bytes view = {(const char *)&n, sizeof n};
        uint32_t reference;
        assert_int_equal(tw_group_touch(table, view, n * 2654435761u, &reference), TUMBLE_OK);
    }
    assert_int_equal(table->count, groups);
}

static void what_one_table_gives_back_the_next_one_has(void **state) {
    (void)state;
    struct tw_layout_item item[1];
    struct tw_layout layout = count_layout(item);
    struct counting_alloc count = {0};
    struct tw_spans spans;
    struct tw_group_table table;
    tw_spans_init(&spans, counting_alloc_of(&count));
    layout.spans = &spans;
    for (int round = 0; round < 2; round++) {
        const size_t calls = count.calls;
        unsigned large = spans.count;
        tw_group_table_init(&table, spans.alloc, &layout);
        fill(&table, 120000); /* 4.8 MB of entries, 2 MB of slots, after 1 MB of them */
        assert_int_equal(spans.count, 1); /* the first slots' */
        tw_group_table_clean_up(&table);
        assert_in_range(spans.count, 3, TW_SPANS_KEPT);
        assert_true(round == 0 || (spans.count == large && count.calls - calls < 60));
    }
    spans.most = spans.count; /* of more there is no use */
    tw_group_table_init(&table, spans.alloc, &layout);
    fill(&table, 300000);
    tw_group_table_clean_up(&table);
    assert_int_equal(spans.count, spans.most);
    tw_spans_clean_up(&spans);
    assert_int_equal(count.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_found_again_however_many_there_are),
        cmocka_unit_test(groups_come_in_the_order_of_their_keys),
        cmocka_unit_test(a_table_that_ran_out_of_memory_is_as_before),
        cmocka_unit_test(what_one_table_gives_back_the_next_one_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
