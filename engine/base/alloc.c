#include "engine/base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *libc_alloc(void *ctx, size_t size) {
    (void)ctx;
    return malloc(size);
}

static void *libc_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return realloc(pointer, new_size);
}

static void libc_release(void *ctx, void *pointer) {
    (void)ctx;
    free(pointer);
}

struct tumble_alloc tw_alloc_default(void) {
    struct tumble_alloc alloc = {.alloc = libc_alloc, .resize = libc_resize, .release = libc_release, .ctx = NULL};
    return alloc;
}

struct tumble_alloc tw_alloc_or_default(struct tumble_alloc alloc) {
    return alloc.alloc ? alloc : tw_alloc_default();
}

void *tw_alloc(const struct tumble_alloc *alloc, size_t size) { return alloc->alloc(alloc->ctx, size ? size : 1); }

void *tw_alloc_scattered(const struct tumble_alloc *alloc, size_t size) {
    size_t whole;
    if (alloc->alloc != libc_alloc || !tw_add_ok(size, TW_LARGE_PAGE - 1, &whole)) {
        return tw_alloc(alloc, size);
    }
    whole -= whole % TW_LARGE_PAGE;
    void *pointer = aligned_alloc(TW_LARGE_PAGE, whole);
#ifdef MADV_HUGEPAGE
    if (pointer) {
        madvise(pointer, whole, MADV_HUGEPAGE); /* if it will not, pages are small */
    }
#endif
    return pointer;
}

void *tw_alloc_zero(const struct tumble_alloc *alloc, size_t size) {
    void *pointer = tw_alloc(alloc, size);
    if (pointer) {
        memset(pointer, 0, size);
    }
    return pointer;
}

void *tw_alloc_array(const struct tumble_alloc *alloc, size_t count, size_t size) {
    size_t total;
    return tw_mul_ok(count, size, &total) ? tw_alloc(alloc, total) : NULL;
}

void *tw_resize(const struct tumble_alloc *alloc, void *pointer, size_t old_size, size_t new_size) {
    return alloc->resize(alloc->ctx, pointer, old_size, new_size ? new_size : 1);
}

void tw_free(const struct tumble_alloc *alloc, void *pointer) {
    if (pointer) {
        alloc->release(alloc->ctx, pointer);
    }
}

char *tw_copy_text(const struct tumble_alloc *alloc, const char *data, size_t length) {
    char *copy = tw_alloc(alloc, length + 1);
    if (copy) {
        if (length) {
            memcpy(copy, data, length);
        }
        copy[length] = '\0';
    }
    return copy;
}
