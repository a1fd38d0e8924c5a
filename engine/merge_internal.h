#ifndef TW_ENGINE_MERGE_INTERNAL_H
#define TW_ENGINE_MERGE_INTERNAL_H

#include <tumble/merge.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/limits.h"
#include "engine/spec_compiled.h"

/* Shared by merge_rows.c (rows to memory) and merge_fold.c (memory to merged rows). */

struct tw_merge_row { /* views into the arena */
    int64_t start_ms;
    int64_t end_ms;
    struct tumble_bytes shard_id;
    struct tumble_bytes first; /* sequence digits: the fragment */
    struct tumble_bytes last;
    struct tumble_bytes key;    /* encoded group */
    struct tumble_bytes states; /* encoded accumulators, one behind the other */
    uint64_t records;
};

struct tumble_merge {
    struct tumble_alloc alloc;
    int64_t window_ms;                      /* 0: as the rows */
    int64_t row_ms;                         /* length of the rows\' windows, 0 before the first */
    struct tumble_spec_overrides overrides; /* the embedder's aggregates */
    struct tw_arena arena;
    struct tw_merge_row *rows;
    size_t row_count;
    size_t row_capacity;
    struct tumble_spec *spec;              /* made from the first row: its group columns and aggregates */
    uint32_t digests[TW_LIMIT_AGGREGATES]; /* of the first row's partials */
    struct tw_buf scratch;
    struct tw_buf states;
    struct tw_buf key;
    struct tw_buf text;
};

#endif
