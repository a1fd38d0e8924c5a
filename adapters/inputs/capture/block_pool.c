#include "adapters/inputs/capture/block_pool.h"

#include <string.h>

enum { ALIGNMENT = 16, HEADER = (sizeof(struct tw_block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT };

void tw_block_pool_init(struct tw_block_pool *pool, struct tumble_alloc alloc, size_t block_bytes) {
    memset(pool, 0, sizeof *pool);
    pool->alloc = alloc;
    pool->block_bytes = block_bytes;
}

static void free_list(struct tw_block_pool *pool, struct tw_block *list) {
    while (list) {
        struct tw_block *next = list->next;
        tw_free(&pool->alloc, list);
        list = next;
    }
}

void tw_block_pool_clean_up(struct tw_block_pool *pool) {
    free_list(pool, pool->free);
    free_list(pool, pool->retired);
    free_list(pool, pool->sealed);
    free_list(pool, pool->chunk);
    pool->free = pool->retired = pool->sealed = pool->chunk = NULL;
}

struct tw_block *tw_block_pool_take(struct tw_block_pool *pool, size_t capacity) {
    if (capacity < pool->block_bytes) {
        capacity = pool->block_bytes;
    }
    for (struct tw_block **at = &pool->free; *at; at = &(*at)->next) {
        if ((*at)->capacity >= capacity) {
            struct tw_block *block = *at;
            *at = block->next;
            block->next = NULL;
            return block;
        }
    }
    if (pool->free) { /* too small for what is asked now: it makes room, or a growing record would leave a trail of them
                       */
        struct tw_block *small = pool->free;
        pool->free = small->next;
        tw_free(&pool->alloc, small);
    }
    size_t total;
    struct tw_block *block = tw_add_ok(capacity, HEADER, &total) ? tw_alloc(&pool->alloc, total) : NULL;
    if (block) {
        block->next = NULL;
        block->capacity = capacity;
        block->data = (char *)block + HEADER;
    }
    return block;
}

void tw_block_pool_retire(struct tw_block_pool *pool, struct tw_block *block) {
    block->next = pool->retired;
    pool->retired = block;
}

void tw_block_pool_give(struct tw_block_pool *pool, struct tw_block *block) {
    if (block) {
        block->next = pool->free;
        pool->free = block;
    }
}

char *tw_block_pool_prepare(struct tw_block_pool *pool, size_t size) {
    if (!pool->chunk || pool->chunk->capacity - pool->chunk_used < size) {
        struct tw_block *chunk = tw_block_pool_take(pool, size);
        if (!chunk) {
            return NULL;
        }
        if (pool->chunk) {
            tw_block_pool_retire(pool, pool->chunk);
        }
        pool->chunk = chunk;
        pool->chunk_used = 0;
    }
    return pool->chunk->data + pool->chunk_used;
}

void *tw_block_pool_bytes(struct tw_block_pool *pool, size_t size) {
    if (size > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *bytes = tw_block_pool_prepare(pool, size);
    if (bytes) {
        pool->chunk_used += size;
    }
    return bytes;
}

static void give_all(struct tw_block_pool *pool, struct tw_block **list) {
    while (*list) {
        struct tw_block *block = *list;
        *list = block->next;
        tw_block_pool_give(pool, block);
    }
}

void tw_block_pool_release(struct tw_block_pool *pool) {
    give_all(pool, &pool->retired);
    pool->chunk_used = 0;
}

void tw_block_pool_seal(struct tw_block_pool *pool) {
    give_all(pool, &pool->sealed);
    if (pool->chunk && pool->chunk_used) {
        tw_block_pool_retire(pool, pool->chunk);
        pool->chunk = NULL;
        pool->chunk_used = 0;
    }
    pool->sealed = pool->retired;
    pool->retired = NULL;
}

void tw_block_pool_release_sealed(struct tw_block_pool *pool) { give_all(pool, &pool->sealed); }
