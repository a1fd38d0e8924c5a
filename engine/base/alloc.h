#ifndef TW_BASE_ALLOC_H
#define TW_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include <tumble/alloc.h>

/* The only callers of the C library's malloc family are in alloc.c. Size 0 is served as size 1. */
struct tumble_alloc tw_alloc_default(void);
struct tumble_alloc tw_alloc_or_default(struct tumble_alloc alloc);

void *tw_alloc(const struct tumble_alloc *alloc, size_t size); /* NULL: no memory */
/* The same for what is read here and there all over: in large pages where the system has them and no allocator of the
 * embedder's decides. At least TW_LARGE_PAGE bytes. */
enum { TW_LARGE_PAGE = 2 * 1024 * 1024 };
void *tw_alloc_scattered(const struct tumble_alloc *alloc, size_t size);
void *tw_alloc_zero(const struct tumble_alloc *alloc, size_t size);
void *tw_alloc_array(const struct tumble_alloc *alloc, size_t count, size_t size); /* NULL on overflow too */
void *tw_resize(const struct tumble_alloc *alloc, void *pointer, size_t old_size, size_t new_size);
void tw_free(const struct tumble_alloc *alloc, void *pointer);                         /* NULL allowed */
char *tw_copy_text(const struct tumble_alloc *alloc, const char *data, size_t length); /* NUL-terminated copy */

/* false when a*b does not fit; *out is then untouched. */
static inline bool tw_mul_ok(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool tw_add_ok(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

#endif
