#ifndef TUMBLE_BYTES_H
#define TUMBLE_BYTES_H

#include <stddef.h>
#include <string.h>

/* A view of bytes that somebody else owns: passed by value, never freed through the view. Not NUL-terminated.
 * data may be NULL only when length is 0. */
struct tumble_bytes {
    const char *data;
    size_t length;
};

/* View of a NUL-terminated string; NULL gives the empty view. */
static inline struct tumble_bytes tumble_bytes_of(const char *text) {
    struct tumble_bytes view = {text, text ? strlen(text) : 0};
    return view;
}

static inline int tumble_bytes_equal(struct tumble_bytes a, struct tumble_bytes b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

#endif
