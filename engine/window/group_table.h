#ifndef TW_WINDOW_GROUP_TABLE_H
#define TW_WINDOW_GROUP_TABLE_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/aggregate/aggregate.h"
#include "engine/base/alloc.h"
#include "engine/base/spans.h"

/* The groups of one window: an open-addressing index of 8-byte slots over entries that lie one behind the other in
 * blocks. An entry is named by a reference (its offset in 8-byte units), because the first block moves while it grows.
 */

/* What lies in a group's accumulators; shared by every window of an engine. */
struct tw_layout_item {
    const struct tw_aggregate *function;
    const struct tw_params *params;
    uint32_t offset;
};
struct tw_layout {
    const struct tw_layout_item *items;
    size_t count;
    uint32_t bytes;
    const void *fresh;      /* bytes of a group without records; NULL: every function's init makes them */
    struct tw_spans *spans; /* where tables get large pages from; NULL: each from its allocator */
};

void tw_layout_init(const struct tw_layout *layout, void *state);

struct tw_group {
    uint32_t key_length;
    uint32_t touched : 1; /* in the list of groups changed since the last commit */
    uint32_t place : 31;  /* how many were added before it */
    uint64_t records;     /* applied */
    uint64_t state[];     /* layout.bytes of accumulators, then the key */
};

struct tw_group_slot {
    uint32_t hash;
    uint32_t reference; /* 0: free, else reference + 1 */
};

struct tw_group_table {
    struct tumble_alloc alloc;
    const struct tw_layout *layout;
    struct tw_group_slot *slots;
    uint32_t slot_count; /* a power of two, 0 before the first insert */
    uint32_t count;
    char **blocks;
    uint32_t block_count;
    uint32_t block_capacity;
    uint32_t first_block_bytes; /* grows up to the size of every other block */
    uint32_t used;              /* bytes of the last block */
    uint32_t *touched;          /* references, in the order of their first touch */
    uint32_t touched_count;
    uint32_t touched_capacity;
    struct tw_group_memo *memo; /* group_memo.h; NULL: none */
    size_t bytes;               /* held from the allocator */
};

/* From the ninth on, eight blocks are allocated at once. */
enum { TW_GROUP_BLOCK_BYTES = 256 * 1024, TW_GROUP_SPAN_BLOCKS = 8 };

void tw_group_table_init(struct tw_group_table *table, struct tumble_alloc alloc, const struct tw_layout *layout);
void tw_group_table_clean_up(struct tw_group_table *table);

/* Entry of a reference; valid until the next insert. */
static inline struct tw_group *tw_group_at(const struct tw_group_table *table, uint32_t reference) {
    size_t offset = (size_t)reference * 8;
    return (struct tw_group *)(void *)(table->blocks[offset / TW_GROUP_BLOCK_BYTES] + offset % TW_GROUP_BLOCK_BYTES);
}
/* Groups in some order lie anywhere: this one's entry is on its way while TW_GROUPS_AHEAD others are looked at. */
enum { TW_GROUPS_AHEAD = 8 };
static inline void tw_group_fetch(const struct tw_group_table *table, uint32_t reference) {
    const char *entry = (const char *)tw_group_at(table, reference);
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + 64);
    __builtin_prefetch(entry + 128);
}
static inline struct tumble_bytes tw_group_key(const struct tw_group_table *table, const struct tw_group *group) {
    struct tumble_bytes key = {(const char *)group->state + table->layout->bytes, group->key_length};
    return key;
}
static inline void *tw_group_state(struct tw_group *group, uint32_t offset) { return (char *)group->state + offset; }

/* Brings the slot of hash into cache. */
static inline void tw_group_prefetch(const struct tw_group_table *table, uint32_t hash) {
    if (table->slot_count) {
        __builtin_prefetch(&table->slots[hash & (table->slot_count - 1)]);
    }
}

/* And, once it is there, the entry that tw_group_touch will look at, if there is one. */
static inline void tw_group_prefetch_entry(const struct tw_group_table *table, uint32_t hash) {
    if (!table->slot_count) {
        return;
    }
    const uint32_t mask = table->slot_count - 1;
    uint32_t at = hash & mask;
    while (table->slots[at].reference && table->slots[at].hash != hash) {
        at = (at + 1) & mask;
    }
    if (table->slots[at].reference) {
        const char *entry = (const char *)tw_group_at(table, table->slots[at].reference - 1);
        const size_t key = sizeof(struct tw_group) + table->layout->bytes;
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + (key < 128 ? key / 2 : 64));
        __builtin_prefetch(entry + key + 8); /* where it mostly still goes on */
    }
}

/* Finds or adds the group of key and puts it on the touched list. A new group has init'ed accumulators and 0 records.
 * Errors: ENOMEM, ELIMIT (32 GiB of groups in one window); the table is then unchanged. */
enum tumble_code tw_group_touch(struct tw_group_table *table, struct tumble_bytes key, uint32_t hash,
                                uint32_t *reference);

/* Room in the index for count groups, so that it need not grow on the way there. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_group_table_expect(struct tw_group_table *table, uint64_t count);

/* The same for a group whose reference is known. Errors: ENOMEM. */
enum tumble_code tw_group_touch_known(struct tw_group_table *table, uint32_t reference);

void tw_group_untouch_all(struct tw_group_table *table);
/* The same, where the marks were taken away by who encoded the groups. */
static inline void tw_group_touched_stored(struct tw_group_table *table) { table->touched_count = 0; }

/* References of every group, in the order in which entries were added. begin with 0; returns false at the end. */
struct tw_group_walk {
    uint32_t block;
    uint32_t offset;
};
bool tw_group_next(const struct tw_group_table *table, struct tw_group_walk *walk, uint32_t *reference);

/* Fills order (count entries, caller's memory) with the groups ascending by key bytes. */
struct tw_group_rank {
    uint64_t prefix; /* the first eight key bytes in which any two differ, big-endian, so that most comparisons touch no
                        entry */
    uint32_t reference;
    uint32_t reserved;
};
void tw_group_order(const struct tw_group_table *table, struct tw_group_rank *order);
/* The same for n given references. */
void tw_group_order_of(const struct tw_group_table *table, const uint32_t *references, size_t n,
                       struct tw_group_rank *order);

#endif
