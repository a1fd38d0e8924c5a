#ifndef TW_WINDOW_WINDOW_H
#define TW_WINDOW_WINDOW_H

#include <stdint.h>

#include "engine/base/limits.h"
#include "engine/window/group_table.h"

/* One fragment of one shard's window (design section 4): absent → open → closing → gone. */
enum tw_window_phase { TW_WINDOW_OPEN, TW_WINDOW_CLOSING };

struct tw_window {
    int64_t start_ms;
    enum tw_window_phase phase;
    bool loaded;    /* groups are in memory; false: they are only in the store */
    bool changed;   /* since the last commit */
    bool stored;    /* the store knows it */
    bool forgotten; /* closing without rows */
    struct tw_group_table groups;
    struct tw_heap heap;
    uint64_t records;     /* processed, whatever their fate */
    uint64_t group_count; /* = groups.count as of the last commit */
    char first_sequence[TW_LIMIT_SEQUENCE_DIGITS];
    char last_sequence[TW_LIMIT_SEQUENCE_DIGITS];
    uint8_t first_length;
    uint8_t last_length;
    uint64_t last_sub_sequence;
    /* In the store: a snapshot (chunks) and the deltas since, all of one generation. */
    uint32_t generation;
    uint32_t snapshot_chunks;
    uint32_t deltas;
    uint64_t snapshot_bytes;
    uint64_t delta_bytes;
    uint64_t used_at; /* commit number of its last use, for dropping from memory */
};

void tw_window_init(struct tw_window *window, int64_t start_ms, struct tumble_alloc alloc,
                    const struct tw_layout *layout);
void tw_window_clean_up(struct tw_window *window);
/* Frees the groups; they can be decoded again. */
void tw_window_unload(struct tw_window *window);
static inline size_t tw_window_memory(const struct tw_window *window) {
    return window->groups.bytes + window->heap.bytes;
}
static inline struct tumble_bytes tw_window_first(const struct tw_window *window) {
    struct tumble_bytes digits = {window->first_sequence, window->first_length};
    return digits;
}
static inline struct tumble_bytes tw_window_last(const struct tw_window *window) {
    struct tumble_bytes digits = {window->last_sequence, window->last_length};
    return digits;
}

/* Most records that a stored group can have. */
#define TW_GROUP_RECORDS_MOST (UINT64_MAX >> 2)

/* Appends the groups named by references, ascending by key: for each varint key length, key, varint records, the
 * encoding of each accumulator. Canonical: the same groups give the same bytes. order is scratch of n entries and holds
 * the references already ranked. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_window_encode_groups(const struct tw_window *window, const struct tw_group_rank *order, size_t n,
                                         struct tw_buf *out);
/* Reads what encode wrote into the window; a group that is there already is replaced. hash names the key's hash.
 * Errors: ECORRUPT, ENOMEM, ELIMIT. */
typedef uint32_t tw_key_hash_fn(const void *ctx, struct tumble_bytes key);
enum tumble_code tw_window_decode_groups(struct tw_window *window, struct tumble_bytes bytes, tw_key_hash_fn *hash,
                                         const void *ctx, struct tumble_error *err);

/* In a store that this process alone reads and writes, groups stand in the order in which they were added to the
 * window, and that is a group's place: whoever reads snapshot and deltas back adds them in the same order.
 *
 * encode_more appends groups as encode_groups does, from walk on (begun with zeros) until out has most bytes. It and
 * encode_touched have every group in hand and take the mark of a touched one away; the list stays until
 * tw_group_touched_stored. Errors as above. */
enum tumble_code tw_window_encode_more(const struct tw_window *window, struct tw_group_walk *walk, size_t most,
                                       bool *done, struct tw_buf *out);
/* Appends the touched groups: for each varint 1 + its place, or 0 and its key where the store does not have it (its
 * place is not below window->group_count), then records and accumulators, what is alike once. Errors as above. */
enum tumble_code tw_window_encode_touched(const struct tw_window *window, struct tw_buf *out);
/* Reads what encode_touched wrote, or, not brief, what it wrote before: every accumulator in full. places, begun with
 * zeros, serves all deltas of a window in turn. Errors: as decode_groups. */
struct tw_group_places {
    uint32_t *references;
    size_t count;
    size_t capacity;
};
void tw_group_places_clean_up(struct tw_group_places *places, const struct tw_window *window);
enum tumble_code tw_window_decode_touched(struct tw_window *window, struct tumble_bytes bytes, bool brief,
                                          struct tw_group_places *places, tw_key_hash_fn *hash, const void *ctx,
                                          struct tumble_error *err);

/* What decode is made of: finds or adds the group of the key that stands next; and reads a group's records and
 * accumulators. Errors: as decode_groups. */
enum tumble_code tw_window_take_key(struct tw_window *window, struct tw_cursor *in, tw_key_hash_fn *hash,
                                    const void *ctx, uint32_t *reference, struct tumble_error *err);
enum tumble_code tw_window_take_states(struct tw_window *window, struct tw_cursor *in, uint32_t reference,
                                       struct tumble_error *err);

/* The window's own figures (records, sequence numbers, what lies in the store). */
enum tumble_code tw_window_encode_header(const struct tw_window *window, struct tw_buf *out);
enum tumble_code tw_window_decode_header(struct tw_window *window, struct tumble_bytes bytes, struct tumble_error *err);

#endif
