#ifndef EXACT_COPY_H
#define EXACT_COPY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/bytes.h>
#include <tumble/projection.h>

/* A heap copy of exactly these bytes, so that the sanitizer catches a read past their end. Free with free(). */
static inline char *exact_copy(const char *data, size_t length) {
    char *copy = malloc(length ? length : 1);
    if (!copy) {
        abort();
    }
    if (length) {
        memcpy(copy, data, length);
    }
    return copy;
}

static inline int value_is(const struct tumble_value *value, const char *text) {
    return value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}

/* xorshift64*: the same numbers from the same seed everywhere. */
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline size_t random_below(uint64_t *state, size_t limit) { return (size_t)(next_random(state) >> 33) % limit; }

#endif
