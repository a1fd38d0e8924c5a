#ifndef TUMBLE_ALLOC_H
#define TUMBLE_ALLOC_H

#include <stddef.h>

/* Where memory comes from. Passed by value at open and handed down; there is no global allocator.
 *
 * Threads: an allocator given to an engine must be callable from every thread that uses the engine.
 * A function left NULL means the C library's (leave all three NULL together).
 * alloc and resize return NULL when there is no memory: every caller treats that as TUMBLE_ENOMEM. */
struct tumble_alloc {
    void *(*alloc)(void *ctx, size_t size);
    void *(*resize)(void *ctx, void *pointer, size_t old_size, size_t new_size);
    void (*release)(void *ctx, void *pointer);
    void *ctx;
};

#endif
