#ifndef TUMBLE_MERGE_H
#define TUMBLE_MERGE_H

/* Folds rows that carry mergeable state (the _partials column) over shards, fragments and re-deliveries into one row
 * per window and group: exact totals, the same bytes whichever way the records were spread. One thread per object. */

#include <stdint.h>

#include <tumble/aggregate.h>
#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/output.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tumble_merge;

struct tumble_merge_options {
    int64_t window_seconds; /* length of the merged windows, a multiple of the rows'; 0: as the rows */
    const struct tumble_aggregate *const *custom; /* aggregates of your own that the rows may hold; borrowed */
    size_t custom_count;
    struct tumble_alloc alloc;
};

/* *out is destroyed with tumble_merge_destroy. Errors: ENOMEM, EINVAL. */
TUMBLE_EXPORT enum tumble_code tumble_merge_new(const struct tumble_merge_options *options, struct tumble_merge **out,
                                                struct tumble_error *err);
TUMBLE_EXPORT void tumble_merge_destroy(struct tumble_merge *merge); /* NULL allowed */

/* Takes one row (a flat JSON object as an output writes it); copies what it needs. Rows come in any order.
 * Errors: EJSON and the like; ECAPTURE (not a row, a row without partials, a merged row); EMISMATCH (other columns or
 * aggregates than the rows before, or the same of other fields); ECORRUPT (partials that cannot be read); ENOMEM. */
TUMBLE_EXPORT enum tumble_code tumble_merge_add(struct tumble_merge *merge, struct tumble_bytes row,
                                                struct tumble_error *err);

/* A merged row, and what was seen of a merged window (never that it is complete), as one line of JSON each:
 * {"window_start":…,"window_end":…,"shards":[{"shard_id":…,"fragments":[{"first":…,"last":…,"rows":…,"records":…}]}],
 * "records":…,"rows":…,"digest":…}. Borrowed for the call. */
typedef enum tumble_code tumble_merge_row_fn(void *ctx, struct tumble_bytes json);
typedef enum tumble_code tumble_merge_window_fn(void *ctx, struct tumble_bytes json);

struct tumble_merge_figures {
    uint64_t rows;       /* taken */
    uint64_t duplicates; /* the same row again */
    uint64_t superseded; /* rows of a fragment that a longer one with the same first record replaces */
    uint64_t fragments;  /* folded */
    uint64_t merged;     /* rows given out */
    uint64_t windows;
};

/* Reconciles the fragments (design R8) and gives out the merged rows by window start, then group; then the line of each
 * window (window may be NULL). Same first and last record and other content, or fragments of one shard that overlap
 * otherwise, are EREJECTED: such rows cannot be summed. figures may be NULL. Call it once. */
TUMBLE_EXPORT enum tumble_code tumble_merge_finish(struct tumble_merge *merge, tumble_merge_row_fn *row,
                                                   tumble_merge_window_fn *window, void *ctx,
                                                   struct tumble_merge_figures *figures, struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
