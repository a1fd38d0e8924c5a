#ifndef TW_CODEC_FILTER_COMPILE_H
#define TW_CODEC_FILTER_COMPILE_H

#include "engine/codec/filter_compiled.h"
#include "engine/codec/json_scan.h"

/* What the two halves of the pattern compiler share: filter_operator.c reads the values a field may have,
 * filter_pattern.c the objects around them. */

enum {
    TW_FILTER_CHARACTERS = 4096, /* Lambda's limit of a pattern, here of its canonical text */
    TW_FILTER_BYTES = 4 * TW_FILTER_CHARACTERS,
    TW_FILTER_SOURCE_BYTES = 64 * 1024 /* with white space; bounds the work of looking for duplicate keys */
};

struct tw_filter_compiler {
    struct tw_filter_pattern *pattern;
    struct tw_arena *arena;
    struct tumble_bytes source;
    struct tw_buf pointer; /* of the object or field being read */
    struct tumble_error *err;
};

/* EPATTERN with AWS's opening, what is wrong, and the field it is wrong in. at (may be NULL) gives the byte. */
enum tumble_code tw_filter_refuse(struct tw_filter_compiler *c, const struct tumble_value *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Moves a canonical text, or the failure of writing it, to where it stays. Cleans text up. */
enum tumble_code tw_filter_finish(struct tw_filter_compiler *c, struct tw_buf *text, enum tumble_code code,
                                  struct tumble_bytes *out);
enum tumble_code tw_filter_keep(struct tw_filter_compiler *c, const struct tw_buf *text, struct tumble_bytes *out);
void *tw_filter_take(struct tw_filter_compiler *c, size_t count, size_t size); /* zeroed; NULL: no memory */
size_t tw_filter_count(const struct tumble_value *container);
int tw_filter_compare_texts(const void *a, const void *b); /* of struct tumble_bytes, for qsort */
/* Sorts and drops what is equal to the one before; returns how many are left. */
size_t tw_filter_drop_equal(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));
int tw_filter_compare_tests(const void *a, const void *b);
/* One value a field may have, with its canonical text. */
enum tumble_code tw_filter_read_test(struct tw_filter_compiler *c, const struct tumble_value *value,
                                     struct tw_filter_test *test);

#endif
