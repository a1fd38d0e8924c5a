#include "engine/base/arena.h"

#include <stdint.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 1 << 20 };

struct tw_arena_block {
    struct tw_arena_block *next;
    size_t size;
    uint64_t bytes[];
};

void tw_arena_init(struct tw_arena *arena, struct tumble_alloc alloc) {
    memset(arena, 0, sizeof *arena);
    arena->alloc = alloc;
}

void tw_arena_clean_up(struct tw_arena *arena) {
    while (arena->first) {
        struct tw_arena_block *next = arena->first->next;
        tw_free(&arena->alloc, arena->first);
        arena->first = next;
    }
    arena->current = NULL;
    arena->used = 0;
}

void tw_arena_reset(struct tw_arena *arena) {
    arena->current = arena->first;
    arena->used = 0;
}

void *tw_arena_take(struct tw_arena *arena, size_t size) {
    if (size > SIZE_MAX - 7) {
        return NULL;
    }
    size = (size + 7) & ~(size_t)7;
    while (arena->current && arena->current->size - arena->used < size && arena->current->next) {
        arena->current = arena->current->next;
        arena->used = 0;
    }
    if (!arena->current || arena->current->size - arena->used < size) {
        size_t block_bytes = arena->current ? arena->current->size * 2 : FIRST_BLOCK_BYTES;
        if (block_bytes > LARGEST_BLOCK_BYTES) {
            block_bytes = LARGEST_BLOCK_BYTES;
        }
        if (block_bytes < size) {
            block_bytes = size;
        }
        size_t total;
        if (!tw_add_ok(block_bytes, sizeof(struct tw_arena_block), &total)) {
            return NULL;
        }
        struct tw_arena_block *block = tw_alloc(&arena->alloc, total);
        if (!block) {
            return NULL;
        }
        block->next = NULL;
        block->size = block_bytes;
        if (arena->current) {
            arena->current->next = block;
        } else {
            arena->first = block;
        }
        arena->current = block;
        arena->used = 0;
    }
    void *taken = (char *)arena->current->bytes + arena->used;
    arena->used += size;
    return taken;
}
