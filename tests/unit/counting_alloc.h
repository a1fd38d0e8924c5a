#ifndef TESTS_COUNTING_ALLOC_H
#define TESTS_COUNTING_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

#include <tumble/alloc.h>

/* An allocator that counts, and fails when told to: the fail_at-th call from now (1-based; 0: never), and every one
 * behind it when persistent. */
struct counting_alloc {
    size_t calls;
    size_t live;
    size_t fail_at;
    int persistent;
    size_t failed;
};

static int counting_fails(struct counting_alloc *count) {
    count->calls++;
    int fails =
        count->fail_at && (count->calls == count->fail_at || (count->persistent && count->calls > count->fail_at));
    count->failed += (size_t)fails;
    return fails;
}

static void *counting_take(void *ctx, size_t size) {
    struct counting_alloc *count = ctx;
    if (counting_fails(count)) {
        return NULL;
    }
    void *pointer = malloc(size);
    count->live += pointer != NULL;
    return pointer;
}

static void *counting_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    struct counting_alloc *count = ctx;
    (void)old_size;
    if (counting_fails(count)) {
        return NULL;
    }
    void *grown = realloc(pointer, new_size);
    count->live += grown && !pointer;
    return grown;
}

static void counting_release(void *ctx, void *pointer) {
    struct counting_alloc *count = ctx;
    count->live -= pointer != NULL;
    free(pointer);
}

static inline struct tumble_alloc counting_alloc_of(struct counting_alloc *count) {
    struct tumble_alloc alloc = {counting_take, counting_resize, counting_release, count};
    return alloc;
}

#endif
