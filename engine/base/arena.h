#ifndef TW_BASE_ARENA_H
#define TW_BASE_ARENA_H

#include "engine/base/alloc.h"

/* Memory that is given back all at once: blocks stay where they are until reset, which keeps them for reuse. */
struct tw_arena {
    struct tumble_alloc alloc;
    struct tw_arena_block *first;
    struct tw_arena_block *current;
    size_t used; /* of current */
};

void tw_arena_init(struct tw_arena *arena, struct tumble_alloc alloc);
void tw_arena_clean_up(struct tw_arena *arena);
void tw_arena_reset(struct tw_arena *arena);
void *tw_arena_take(struct tw_arena *arena, size_t size); /* 8-aligned; NULL: no memory */

#endif
