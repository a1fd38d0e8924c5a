#ifndef TW_CODEC_FILTER_COMPILED_H
#define TW_CODEC_FILTER_COMPILED_H

#include "engine/base/arena.h"
#include "engine/base/limits.h"
#include "engine/base/number.h"
#include "engine/codec/filter_pattern.h"

/* A compiled pattern: a tree of the pattern's objects. filter_pattern.c builds it, filter_match.c walks it. */

enum tw_filter_kind {
    TW_FILTER_TYPE,   /* null, true, false: same type */
    TW_FILTER_STRING, /* equal to texts[0] */
    TW_FILTER_FOLDED, /* equal but for case to texts[0], which is folded */
    TW_FILTER_PREFIX,
    TW_FILTER_SUFFIX,
    TW_FILTER_NUMBER, /* equal to numbers[0] */
    TW_FILTER_RANGE,  /* above numbers[0] and below numbers[1], as far as low and high say so */
    TW_FILTER_EXISTS,
    TW_FILTER_NOT_STRINGS, /* none of texts */
    TW_FILTER_NOT_NUMBERS, /* none of numbers */
    TW_FILTER_NOT_FOLDED,
    TW_FILTER_NOT_PREFIX,
    TW_FILTER_NOT_SUFFIX
};

enum tw_filter_bound { TW_FILTER_UNBOUNDED, TW_FILTER_OPEN, TW_FILTER_CLOSED };

struct tw_filter_test {
    uint8_t kind;      /* enum tw_filter_kind */
    uint8_t type;      /* TYPE: enum tumble_type */
    uint8_t low, high; /* RANGE: enum tw_filter_bound */
    uint32_t count;    /* of texts or numbers */
    struct tumble_bytes *texts;
    struct tw_decimal *numbers;
    struct tumble_bytes canonical;
};

enum tw_filter_member_kind { TW_FILTER_LEAF, TW_FILTER_OBJECT, TW_FILTER_OR };

struct tw_filter_node;

struct tw_filter_member {
    struct tumble_bytes key;
    enum tw_filter_member_kind kind;
    bool absent;    /* LEAF: one of its values is {"exists": false} */
    bool numeric;   /* LEAF: some test looks at the number */
    uint32_t path;  /* LEAF: index of its value */
    uint32_t count; /* LEAF: tests, OR: branches */
    struct tw_filter_test *tests;
    struct tw_filter_node **nodes;      /* OBJECT: one, OR: the branches */
    const struct tw_filter_node *owner; /* the object it stands in */
};

struct tw_filter_node {
    const struct tw_filter_node *parent; /* NULL: the root, or a branch of an $or at the root */
    struct tumble_bytes key;             /* in the parent */
    uint32_t path;                       /* index of its value; unused where parent is NULL */
    uint32_t count;
    struct tw_filter_member *members;
};

struct tw_filter_pattern {
    struct tumble_alloc alloc;
    struct tw_arena arena;
    struct tw_filter_node *root;
    struct tumble_bytes canonical;
    struct tumble_bytes paths[TW_LIMIT_FIELDS];
    size_t path_count;
};

/* Simple case folding of one code point: Latin, Greek, Cyrillic and Armenian letters. */
uint32_t tw_filter_fold(uint32_t code_point);

#endif
