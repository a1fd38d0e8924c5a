#ifndef TW_CAPTURE_BLOCK_POOL_H
#define TW_CAPTURE_BLOCK_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>

#include "engine/base/alloc.h"

/* The memory records live in. A block that is full is retired; it goes back to the pool when the caller of the capture
 * says that it is done with the records (release), so that after warm-up nothing is allocated. */
struct tw_block {
    struct tw_block *next;
    size_t capacity;
    char *data; /* behind this header */
};

struct tw_block_pool {
    struct tumble_alloc alloc;
    size_t block_bytes; /* of an ordinary block */
    struct tw_block *free;
    struct tw_block *retired;
    struct tw_block *sealed; /* retired, and others may be by now */
    struct tw_block *chunk;  /* what take_bytes cuts from */
    size_t chunk_used;
};

void tw_block_pool_init(struct tw_block_pool *pool, struct tumble_alloc alloc, size_t block_bytes);
void tw_block_pool_clean_up(struct tw_block_pool *pool); /* blocks taken and not retired or given are the taker's */

/* A block of at least capacity bytes, the taker's until retired or given back. NULL: no memory. */
struct tw_block *tw_block_pool_take(struct tw_block_pool *pool, size_t capacity);
void tw_block_pool_retire(struct tw_block_pool *pool, struct tw_block *block); /* free after the next release */
void tw_block_pool_give(struct tw_block_pool *pool, struct tw_block *block);   /* free now; NULL allowed */

/* Small pieces (decoded data, values) that live until release. 16-byte aligned. NULL: no memory. */
void *tw_block_pool_bytes(struct tw_block_pool *pool, size_t size);

/* Sees to it that size bytes can be cut and returns where they are. NULL: no memory. */
char *tw_block_pool_prepare(struct tw_block_pool *pool, size_t size);

/* What the next piece could be cut from, for a piece whose size is known once it is written: at, and *room bytes (0: no
 * memory was taken yet, or none is left here). tw_block_pool_cut then makes a piece of its first size bytes. */
static inline char *tw_block_pool_space(const struct tw_block_pool *pool, size_t *room) {
    *room = pool->chunk ? pool->chunk->capacity - pool->chunk_used : 0;
    return pool->chunk ? pool->chunk->data + pool->chunk_used : NULL;
}
static inline void tw_block_pool_cut(struct tw_block_pool *pool, size_t size) {
    size_t left = pool->chunk->capacity - pool->chunk_used;
    size = (size + 15) & ~(size_t)15;
    pool->chunk_used += size < left ? size : left;
}

void tw_block_pool_release(struct tw_block_pool *pool);
/* What was retired and cut so far is set apart, and given back by release_sealed; one such lot at a time. */
void tw_block_pool_seal(struct tw_block_pool *pool);
void tw_block_pool_release_sealed(struct tw_block_pool *pool);

#endif
