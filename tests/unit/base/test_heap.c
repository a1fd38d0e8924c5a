#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/base/heap.h"

/* Counts what is held and refuses once `left` calls were served. */
struct ledger {
    size_t held;
    int left;
};

static void *ledger_alloc(void *ctx, size_t size) {
    struct ledger *ledger = ctx;
    if (ledger->left-- <= 0) {
        return NULL;
    }
    ledger->held++;
    return malloc(size);
}

static void *ledger_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return realloc(pointer, new_size);
}

static void ledger_release(void *ctx, void *pointer) {
    struct ledger *ledger = ctx;
    ledger->held--;
    free(pointer);
}

static struct tumble_alloc alloc_of(struct ledger *ledger) {
    struct tumble_alloc alloc = {ledger_alloc, ledger_resize, ledger_release, ledger};
    return alloc;
}

static void heap_sizes_are_powers_of_two_from_16(void **state) {
    (void)state;
    assert_int_equal(tw_heap_size(0), 16);
    assert_int_equal(tw_heap_size(1), 16);
    assert_int_equal(tw_heap_size(16), 16);
    assert_int_equal(tw_heap_size(17), 32);
    assert_int_equal(tw_heap_size(312), 512);
    assert_int_equal(tw_heap_size(65536), 65536);
    assert_int_equal(tw_heap_size(65537), 131072);
    assert_int_equal(tw_heap_size(2 * 1024 * 1024), 2 * 1024 * 1024);
}

static void heap_take_succeeds_for_what_was_reserved_without_asking_the_allocator(void **state) {
    (void)state;
    struct ledger ledger = {0, 1};
    struct tw_heap heap;
    tw_heap_init(&heap, alloc_of(&ledger));
    assert_true(tw_heap_reserve(&heap, 64 * 512 + 3 * 65536 + 16));
    for (int i = 0; i < 64; i++) {
        assert_non_null(tw_heap_take(&heap, 312));
    }
    for (int i = 0; i < 3; i++) {
        assert_non_null(tw_heap_take(&heap, 65536));
    }
    assert_non_null(tw_heap_take(&heap, 1));
    tw_heap_clean_up(&heap);
    assert_int_equal(ledger.held, 0);
}

static void heap_says_when_there_is_no_memory_and_stays_usable(void **state) {
    (void)state;
    struct ledger ledger = {0, 1};
    struct tw_heap heap;
    tw_heap_init(&heap, alloc_of(&ledger));
    char *kept = tw_heap_take(&heap, 100);
    assert_non_null(kept);
    memset(kept, 7, 128);
    assert_false(tw_heap_reserve(&heap, 1 << 20));
    assert_false(tw_heap_reserve(&heap, SIZE_MAX));
    assert_null(tw_heap_take(&heap, 1 << 20));
    assert_null(tw_heap_take(&heap, 3 << 20));
    assert_non_null(tw_heap_take(&heap, 100));
    assert_int_equal(kept[127], 7);
    tw_heap_clean_up(&heap);
    tw_heap_clean_up(&heap);
    assert_int_equal(ledger.held, 0);
}

static void heap_gives_a_returned_block_to_the_next_of_its_class(void **state) {
    (void)state;
    struct tw_heap heap;
    tw_heap_init(&heap, tw_alloc_default());
    void *block = tw_heap_take(&heap, 100);
    tw_heap_give(&heap, block, 100);
    tw_heap_give(&heap, NULL, 100);
    assert_ptr_not_equal(tw_heap_take(&heap, 40), block);
    assert_ptr_equal(tw_heap_take(&heap, 128), block);
    tw_heap_clean_up(&heap);
}

static uint64_t seed = 0x2545f4914f6cdd1d;
static uint64_t draw(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void heap_blocks_never_overlap(void **state) {
    (void)state;
    enum { LIVE = 300 };
    static unsigned char *blocks[LIVE];
    static size_t sizes[LIVE];
    struct ledger ledger = {0, 1000000};
    struct tw_heap heap;
    tw_heap_init(&heap, alloc_of(&ledger));
    for (int round = 0; round < 3; round++) {
        memset(blocks, 0, sizeof blocks);
        for (int i = 0; i < 20000; i++) {
            int slot = (int)draw(LIVE);
            if (blocks[slot]) {
                for (size_t k = 0; k < sizes[slot]; k += 7) {
                    assert_int_equal(blocks[slot][k], slot & 0xff);
                }
                tw_heap_give(&heap, blocks[slot], sizes[slot]);
            }
            sizes[slot] = 1 + draw(draw(20) ? 200 : 70000);
            blocks[slot] = tw_heap_take(&heap, sizes[slot]);
            assert_non_null(blocks[slot]);
            assert_int_equal((uintptr_t)blocks[slot] % 16, 0);
            memset(blocks[slot], slot & 0xff, tw_heap_size(sizes[slot]));
        }
        assert_true(heap.bytes < 100 * 1024 * 1024);
        tw_heap_reset(&heap);
        assert_int_equal(ledger.held, 1);
    }
    tw_heap_clean_up(&heap);
    assert_int_equal(ledger.held, 0);
    assert_int_equal(heap.bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_sizes_are_powers_of_two_from_16),
        cmocka_unit_test(heap_take_succeeds_for_what_was_reserved_without_asking_the_allocator),
        cmocka_unit_test(heap_says_when_there_is_no_memory_and_stays_usable),
        cmocka_unit_test(heap_gives_a_returned_block_to_the_next_of_its_class),
        cmocka_unit_test(heap_blocks_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
