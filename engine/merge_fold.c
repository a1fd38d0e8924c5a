#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/heap.h"
#include "engine/base/sequence.h"
#include "engine/codec/hash.h"
#include "engine/codec/window_span.h"
#include "engine/merge_internal.h"
#include "engine/window/group_key.h"

/* Reconciles fragments (design R8), then folds rows into merged windows and groups. */

/* A group's rows are added up like the digits of a counter: sums of rows wait on a pile, each at least twice as heavy
 * as the one above it, and a new one swallows what it is heavier than. So a merge joins two of a size, and N rows take
 * N log N at most even where each merge passes over everything its sides hold (top past its capacity, quantile), while
 * one sum that takes row after row would take N times the size of the sum. */
enum { PILE_MOST = 64 };

struct pile {
    char *states;
    struct tw_heap heap;
    uint64_t weight; /* bytes of the rows in it */
};

struct fold {
    struct tumble_merge *merge;
    struct tumble_merge_figures figures;
    tumble_merge_row_fn *row;
    tumble_merge_window_fn *window;
    void *ctx;
    struct tumble_error *err;
    struct pile piles[PILE_MOST];
    size_t pile_count; /* in use */
    size_t pile_ready; /* have memory */
    uint64_t digest;
};

static int compare_bytes(struct tumble_bytes a, struct tumble_bytes b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* Only hostile rows reach the end: there it stays. */
static void add_records(uint64_t *sum, uint64_t records) {
    if (__builtin_add_overflow(*sum, records, sum)) {
        *sum = UINT64_MAX;
    }
}

static int compare_numbers(int64_t a, int64_t b) { return (a > b) - (a < b); }

/* By window, shard, first sequence number; of one fragment the longest first; then by group. */
static int by_fragment(const void *x, const void *y) {
    const struct tw_merge_row *a = x, *b = y;
    int order = compare_numbers(a->start_ms, b->start_ms);
    order = order ? order : compare_numbers(a->end_ms, b->end_ms);
    order = order ? order : compare_bytes(a->shard_id, b->shard_id);
    order = order ? order : tw_sequence_compare(a->first, b->first);
    order = order ? order : tw_sequence_compare(b->last, a->last);
    return order ? order : compare_bytes(a->key, b->key);
}

static int same_shard_window(const struct tw_merge_row *a, const struct tw_merge_row *b) {
    return a->start_ms == b->start_ms && a->end_ms == b->end_ms && compare_bytes(a->shard_id, b->shard_id) == 0;
}

static enum tumble_code conflict(struct fold *fold, const struct tw_merge_row *a, const struct tw_merge_row *b) {
    char start[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(a->start_ms, start);
    return tw_fail(
        fold->err, TUMBLE_EREJECTED,
        "overlap: window %s of shard %.*s has fragments %.*s-%.*s and %.*s-%.*s, which share records and cannot be "
        "summed: leave one of them out",
        start, (int)a->shard_id.length, a->shard_id.data, (int)a->first.length, a->first.data, (int)a->last.length,
        a->last.data, (int)b->first.length, b->first.data, (int)b->last.length, b->last.data);
}

/* Keeps, in place, each row that counts, once. */
static enum tumble_code reconcile(struct fold *fold) {
    struct tumble_merge *merge = fold->merge;
    struct tw_merge_row *rows = merge->rows;
    size_t kept = 0;
    if (merge->row_count == 0) {
        return TUMBLE_OK;
    }
    qsort(rows, merge->row_count, sizeof *rows, by_fragment);
    const struct tw_merge_row *fragment = NULL; /* the first kept row of the fragment at hand */
    for (size_t i = 0; i < merge->row_count; i++) {
        struct tw_merge_row *row = &rows[i];
        if (fragment && same_shard_window(fragment, row)) {
            if (tw_sequence_compare(fragment->first, row->first) == 0) {
                if (tw_sequence_compare(fragment->last, row->last) != 0) {
                    fold->figures.superseded++; /* the longer one came first in this order */
                    continue;
                }
                const struct tw_merge_row *previous = &rows[kept - 1];
                if (compare_bytes(previous->key, row->key) == 0) {
                    if (compare_bytes(previous->states, row->states) != 0 || previous->records != row->records) {
                        return conflict(fold, previous, row);
                    }
                    fold->figures.duplicates++;
                    continue;
                }
            } else if (tw_sequence_compare(row->first, fragment->last) <= 0) {
                return conflict(fold, fragment, row);
            } else {
                fragment = NULL;
            }
        } else {
            fragment = NULL;
        }
        rows[kept] = *row;
        if (!fragment) {
            fold->figures.fragments++;
            fragment = &rows[kept];
        }
        kept++;
    }
    merge->row_count = kept;
    return TUMBLE_OK;
}

/* ---- one merged group ---- */

static enum tumble_code fail_with(struct fold *fold, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(fold->err, code, "%s", tumble_code_text(code));
}

static enum tumble_code new_pile(struct fold *fold, struct pile **out) {
    if (fold->pile_count == PILE_MOST) {
        return tw_fail(fold->err, TUMBLE_ELIMIT, "rows of more than 2^63 bytes cannot be merged");
    }
    struct pile *pile = &fold->piles[fold->pile_count];
    if (fold->pile_count == fold->pile_ready) {
        pile->states = tw_alloc(&fold->merge->alloc, fold->merge->spec->accumulator_bytes);
        if (!pile->states) {
            return tw_no_memory(fold->err);
        }
        tw_heap_init(&pile->heap, fold->merge->alloc);
        fold->pile_ready++;
    }
    tw_heap_reset(&pile->heap);
    fold->pile_count++;
    *out = pile;
    return TUMBLE_OK;
}

/* The uppermost pile into the one below it. */
static enum tumble_code join_piles(struct fold *fold) {
    const struct tumble_spec *spec = fold->merge->spec;
    const struct pile *from = &fold->piles[--fold->pile_count];
    struct pile *into = &fold->piles[fold->pile_count - 1];
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        TW_TRY(fail_with(fold, aggregate->function->merge(into->states + aggregate->state_offset, &aggregate->params,
                                                          from->states + aggregate->state_offset, &into->heap)));
    }
    into->weight += from->weight;
    return TUMBLE_OK;
}

/* Says which row it was. */
static enum tumble_code damaged(struct fold *fold, const struct tw_merge_row *row,
                                const struct tw_spec_aggregate *aggregate, enum tumble_code code) {
    char start[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(row->start_ms, start);
    if (code == TUMBLE_ECORRUPT) {
        tw_error_prefix(fold->err, "%.60s in a row of window %s, shard %.*s, fragment %.*s", aggregate->name, start,
                        (int)row->shard_id.length, row->shard_id.data, (int)row->first.length, row->first.data);
    }
    return code;
}

static enum tumble_code add_states(struct fold *fold, const struct tw_merge_row *row) {
    const struct tumble_spec *spec = fold->merge->spec;
    struct tw_cursor in = tw_cursor_of(row->states);
    struct pile *pile = NULL;
    TW_TRY(new_pile(fold, &pile));
    pile->weight = row->states.length + 1;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        void *state = pile->states + aggregate->state_offset;
        aggregate->function->init(state, &aggregate->params);
        enum tumble_code code = aggregate->function->decode(state, &aggregate->params, &in, &pile->heap, fold->err);
        if (code != TUMBLE_OK) {
            return damaged(fold, row, aggregate, code);
        }
    }
    if (tw_cursor_left(&in) != 0) {
        return damaged(fold, row, &spec->aggregates[spec->aggregate_count - 1],
                       tw_fail(fold->err, TUMBLE_ECORRUPT, "the partial states are longer than they say"));
    }
    while (fold->pile_count > 1 && pile[-1].weight / 2 < pile->weight) {
        TW_TRY(join_piles(fold));
        pile--;
    }
    return TUMBLE_OK;
}

static enum tumble_code put_times(struct tw_buf *out, int64_t start_ms, int64_t end_ms) {
    char text[2 * TUMBLE_TIMESTAMP_TEXT + 48], start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(start_ms, start);
    tumble_timestamp_text(end_ms, end);
    int length = snprintf(text, sizeof text, "{\"window_start\":\"%s\",\"window_end\":\"%s\"", start, end);
    return tw_buf_append(out, text, (size_t)length);
}

static enum tumble_code put_count(struct tw_buf *out, const char *before, uint64_t count) {
    char text[64];
    int length = snprintf(text, sizeof text, "%s%llu", before, (unsigned long long)count);
    return tw_buf_append(out, text, (size_t)length);
}

static enum tumble_code put_name(struct tw_buf *out, const char *name) {
    TW_TRY(tw_buf_append_byte(out, ','));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(name)));
    return tw_buf_append_byte(out, ':');
}

static enum tumble_code put_merged_row(struct fold *fold, int64_t start_ms, int64_t end_ms, struct tumble_bytes key,
                                       uint64_t shards, uint64_t fragments, uint64_t records) {
    const struct tumble_spec *spec = fold->merge->spec;
    struct tw_buf *out = &fold->merge->text;
    struct tw_cursor values = tw_cursor_of(key);
    size_t column = 0;
    tw_buf_clear(out);
    TW_TRY(put_times(out, start_ms, end_ms));
    TW_TRY(put_count(out, ",\"shards\":", shards));
    TW_TRY(put_count(out, ",\"fragments\":", fragments));
    while (spec->columns[column].kind == TUMBLE_COLUMN_WINDOW) {
        column++;
    }
    for (size_t i = 0; i < spec->group_count; i++) {
        TW_TRY(put_name(out, spec->columns[column++].name));
        TW_TRY(tw_group_key_json(&values, out));
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        for (uint32_t part = 0; part < aggregate->column_count; part++) {
            TW_TRY(put_name(out, spec->columns[column++].name));
            TW_TRY(aggregate->function->value(fold->piles[0].states + aggregate->state_offset, &aggregate->params, part,
                                              out));
        }
    }
    TW_TRY(put_count(out, ",\"records\":", records));
    return tw_buf_append_byte(out, '}');
}

/* ---- one merged window ---- */

struct window {
    int64_t start_ms;
    int64_t end_ms;
    size_t first_row; /* in the order by fragment */
    size_t end_row;
    uint64_t shards;
    uint64_t fragments;
    uint64_t records;
};

static int by_group(const void *x, const void *y) {
    const struct tw_merge_row *const *a = x, *const *b = y;
    int order = compare_bytes((*a)->key, (*b)->key);
    /* then as they stand, so that merging has one order: it does not matter for the result, but for its cost */
    return order ? order : (*a > *b) - (*a < *b);
}

static int by_shard(const void *x, const void *y) {
    const struct tw_merge_row *const *a = x, *const *b = y;
    int order = compare_bytes((*a)->shard_id, (*b)->shard_id);
    order = order ? order : compare_numbers((*a)->start_ms, (*b)->start_ms);
    order = order ? order : tw_sequence_compare((*a)->first, (*b)->first);
    return order ? order : (*a > *b) - (*a < *b);
}

static int same_fragment(const struct tw_merge_row *a, const struct tw_merge_row *b) {
    return same_shard_window(a, b) && tw_sequence_compare(a->first, b->first) == 0;
}

static void count_window(struct window *window, struct tw_merge_row *const *by_shard_order, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct tw_merge_row *row = by_shard_order[i], *previous = i ? by_shard_order[i - 1] : NULL;
        window->shards += !previous || compare_bytes(previous->shard_id, row->shard_id) != 0;
        window->fragments += !previous || !same_fragment(previous, row);
        add_records(&window->records, row->records);
    }
}

static enum tumble_code put_fragment(struct tw_buf *out, struct tw_merge_row *const *rows, size_t *at, size_t n) {
    const struct tw_merge_row *first = rows[*at];
    uint64_t count = 0, records = 0;
    for (; *at < n && same_fragment(first, rows[*at]); ++*at) {
        count++;
        add_records(&records, rows[*at]->records);
    }
    TW_TRY(tw_buf_append_text(out, "{\"first\":"));
    TW_TRY(tw_buf_append_json_string(out, first->first));
    TW_TRY(tw_buf_append_text(out, ",\"last\":"));
    TW_TRY(tw_buf_append_json_string(out, first->last));
    TW_TRY(put_count(out, ",\"rows\":", count));
    TW_TRY(put_count(out, ",\"records\":", records));
    return tw_buf_append_byte(out, '}');
}

static enum tumble_code put_window_line(struct fold *fold, const struct window *window,
                                        struct tw_merge_row *const *rows, size_t n, uint64_t merged) {
    struct tw_buf *out = &fold->merge->text;
    char digest[24];
    tw_buf_clear(out);
    TW_TRY(put_times(out, window->start_ms, window->end_ms));
    TW_TRY(tw_buf_append_text(out, ",\"shards\":["));
    for (size_t at = 0; at < n;) {
        const struct tw_merge_row *shard = rows[at];
        TW_TRY(tw_buf_append_text(out, at ? ",{\"shard_id\":" : "{\"shard_id\":"));
        TW_TRY(tw_buf_append_json_string(out, shard->shard_id));
        TW_TRY(tw_buf_append_text(out, ",\"fragments\":["));
        for (int first = 1; at < n && compare_bytes(shard->shard_id, rows[at]->shard_id) == 0; first = 0) {
            TW_TRY(tw_buf_append_text(out, first ? "" : ","));
            TW_TRY(put_fragment(out, rows, &at, n));
        }
        TW_TRY(tw_buf_append_text(out, "]}"));
    }
    TW_TRY(put_count(out, "],\"records\":", window->records));
    TW_TRY(put_count(out, ",\"rows\":", merged));
    int length = snprintf(digest, sizeof digest, "%016llx", (unsigned long long)fold->digest);
    TW_TRY(tw_buf_append_text(out, ",\"digest\":\""));
    TW_TRY(tw_buf_append(out, digest, (size_t)length));
    return tw_buf_append_text(out, "\"}");
}

static enum tumble_code fold_group(struct fold *fold, const struct window *window, struct tw_merge_row *const *rows,
                                   size_t n) {
    uint64_t records = 0;
    fold->pile_count = 0;
    for (size_t i = 0; i < n; i++) {
        TW_TRY(add_states(fold, rows[i]));
        add_records(&records, rows[i]->records);
    }
    while (fold->pile_count > 1) {
        TW_TRY(join_piles(fold));
    }
    TW_TRY(fail_with(fold, put_merged_row(fold, window->start_ms, window->end_ms, rows[0]->key, window->shards,
                                          window->fragments, records)));
    struct tumble_bytes json = tw_buf_view(&fold->merge->text);
    uint64_t chain[2] = {fold->digest, tw_hash64(json.data, json.length)};
    fold->digest = tw_hash64(chain, sizeof chain);
    fold->figures.merged++;
    return fold->row(fold->ctx, json);
}

static enum tumble_code fold_window(struct fold *fold, struct window *window, struct tw_merge_row **order) {
    struct tw_merge_row *rows = fold->merge->rows;
    size_t n = window->end_row - window->first_row;
    uint64_t before = fold->figures.merged;
    for (size_t i = 0; i < n; i++) {
        order[i] = &rows[window->first_row + i];
    }
    qsort(order, n, sizeof *order, by_shard);
    count_window(window, order, n);
    qsort(order, n, sizeof *order, by_group);
    fold->digest = 0;
    for (size_t at = 0; at < n;) {
        size_t end = at + 1;
        while (end < n && compare_bytes(order[at]->key, order[end]->key) == 0) {
            end++;
        }
        TW_TRY(fold_group(fold, window, order + at, end - at));
        at = end;
    }
    fold->figures.windows++;
    if (!fold->window) {
        return TUMBLE_OK;
    }
    qsort(order, n, sizeof *order, by_shard);
    TW_TRY(fail_with(fold, put_window_line(fold, window, order, n, fold->figures.merged - before)));
    return fold->window(fold->ctx, tw_buf_view(&fold->merge->text));
}

static enum tumble_code fold_windows(struct fold *fold, struct tw_merge_row **order) {
    const struct tumble_merge *merge = fold->merge;
    for (size_t at = 0; at < merge->row_count;) {
        struct window window = {.first_row = at};
        int64_t length = merge->window_ms ? merge->window_ms : merge->rows[at].end_ms - merge->rows[at].start_ms;
        window.start_ms = tw_window_start(merge->rows[at].start_ms, length);
        window.end_ms = window.start_ms + length;
        while (at < merge->row_count && merge->rows[at].start_ms < window.end_ms &&
               (merge->window_ms ||
                (merge->rows[at].start_ms == window.start_ms && merge->rows[at].end_ms == window.end_ms))) {
            at++;
        }
        window.end_row = at;
        if (window.end_row == window.first_row) {
            return tw_fail(fold->err, TUMBLE_EMISMATCH,
                           "rows of windows of different lengths: say which to merge into with --window");
        }
        TW_TRY(fold_window(fold, &window, order));
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_merge_finish(struct tumble_merge *merge, tumble_merge_row_fn *row,
                                     tumble_merge_window_fn *window, void *ctx, struct tumble_merge_figures *figures,
                                     struct tumble_error *err) {
    struct fold fold = {.merge = merge, .row = row, .window = window, .ctx = ctx, .err = err};
    fold.figures.rows = merge->row_count;
    enum tumble_code code = reconcile(&fold);
    struct tw_merge_row **order = NULL;
    if (code == TUMBLE_OK && merge->row_count) {
        order = tw_alloc_array(&merge->alloc, merge->row_count, sizeof(struct tw_merge_row *));
        code = order ? fold_windows(&fold, order) : tw_no_memory(err);
    }
    tw_free(&merge->alloc, order);
    for (size_t i = 0; i < fold.pile_ready; i++) {
        tw_free(&merge->alloc, fold.piles[i].states);
        tw_heap_clean_up(&fold.piles[i].heap);
    }
    if (figures) {
        *figures = fold.figures;
    }
    return code;
}
