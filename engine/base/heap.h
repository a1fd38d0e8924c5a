#ifndef TW_BASE_HEAP_H
#define TW_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/alloc.h"

/* Small blocks of one window's accumulators (kept strings, wide sums), by power-of-two size class with free lists, from
 * slabs that are given back together. A block is named by a pointer and stays where it is.
 *
 * step cannot fail (design R15): the engine first calls tw_heap_reserve with the most a record's steps can take;
 * tw_heap_take then always succeeds for that many bytes. Not thread-safe; one heap per window. */
struct tw_heap {
    struct tumble_alloc alloc;
    struct tw_heap_slab *slabs;
    void *free_lists[18]; /* class i holds blocks of 16 << i bytes, up to 2 MiB */
    size_t slab_left;
    size_t bytes; /* held from the allocator */
};

void tw_heap_init(struct tw_heap *heap, struct tumble_alloc alloc);
void tw_heap_clean_up(struct tw_heap *heap);
void tw_heap_reset(struct tw_heap *heap); /* every block is gone; may keep one slab */

/* Guarantees that tw_heap_take calls whose rounded sizes (tw_heap_size) sum to at most total succeed; false: no memory.
 */
bool tw_heap_reserve(struct tw_heap *heap, size_t total);
size_t tw_heap_size(size_t size);                      /* bytes a block of this size really takes: 16 << class */
void *tw_heap_take(struct tw_heap *heap, size_t size); /* size <= 2 MiB; the block holds tw_heap_size(size) bytes */
void tw_heap_give(struct tw_heap *heap, void *block, size_t size); /* size as taken; NULL allowed */

#endif
