#ifndef LAYOUT_COMPARE_H
#define LAYOUT_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <tumble/error.h>
#include <tumble/projection.h>

/* What a parser made of a text, to be compared with what another made of it. */
enum { MAX_OUTCOME_VALUES = 16 };
struct outcome {
    enum tumble_code code;
    size_t consumed;
    struct tumble_error err;
    struct tumble_value values[MAX_OUTCOME_VALUES];
};

static inline bool same_value(const struct tumble_value *a, const struct tumble_value *b) {
    return a->type == b->type && a->flags == b->flags && a->length == b->length &&
           (a->type == TUMBLE_TYPE_MISSING || a->text == b->text);
}

static inline bool same_outcome(const struct outcome *a, const struct outcome *b, size_t count) {
    if (a->code != b->code || a->consumed != b->consumed) {
        return false;
    }
    if (a->code != TUMBLE_OK) {
        return a->err.code == b->err.code && a->err.byte == b->err.byte && strcmp(a->err.text, b->err.text) == 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!same_value(&a->values[i], &b->values[i])) {
            return false;
        }
    }
    return true;
}

#endif
