#ifndef TUMBLE_RUNNER_MEMORY_H
#define TUMBLE_RUNNER_MEMORY_H

#include <stddef.h>

#include <tumble/error.h>

/* The runner is part of programs, not of the library: it takes memory from the C library, zeroed. */
void *tumble_runner_alloc(size_t size);
void *tumble_runner_alloc_raw(size_t size); /* not zeroed */
/* Grows an array to hold count + 1 items; returns it, or NULL and leaves the old one as it was. */
void *tumble_runner_enlarge(void *array, size_t *capacity, size_t item) __attribute__((cold, noinline));
static inline void *tumble_runner_grow(void *array, size_t count, size_t *capacity, size_t item) {
    return count < *capacity ? array : tumble_runner_enlarge(array, capacity, item);
}
void tumble_runner_free(void *pointer);
char *tumble_runner_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* NULL: no memory */

enum tumble_code tumble_runner_fail(struct tumble_error *err, enum tumble_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
