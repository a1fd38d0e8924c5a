#ifndef TW_CODEC_PROJECTION_TRIE_H
#define TW_CODEC_PROJECTION_TRIE_H

#include <tumble/projection.h>

#include "engine/base/alloc.h"

/* A projection is the trie of its paths: a node is one path segment, the root is the record. projection_trie.c builds
 * it, projection.c walks it in step with the JSON text. Node 0 is the root; 0 also stands for "no node" in a slot. */
#define TW_PROJECTION_NONE UINT32_MAX

/* Keys are found by an open-addressed table a node. head and tail are the key's first and last eight bytes, so that a
 * key of up to 16 bytes is compared without touching anything else. */
struct tw_projection_slot {
    uint64_t head;
    uint64_t tail;
    uint32_t length;
    uint32_t node; /* 0: free */
};

struct tw_projection_position {
    uint32_t position; /* in an array */
    uint32_t node;
};

struct tw_projection_node {
    uint64_t lengths;    /* bit (length mod 64) of every child's key: most foreign keys end here */
    uint32_t slots;      /* first slot of this node */
    uint32_t slot_count; /* a power of two, at least twice the children; 0 without children */
    uint32_t positions;  /* first of the children that are array positions, ascending */
    uint32_t position_count;
    uint32_t value;   /* first value whose path ends here, chained through next_value, or NONE */
    uint32_t ordinal; /* among its siblings */
    uint32_t parent;
    uint32_t first_child; /* 0: none */
    uint32_t next_sibling;
    uint32_t name; /* offset in names */
    uint32_t name_length;
    uint32_t position; /* what the name is as an array position, or NONE */
};

struct tumble_projection {
    struct tumble_alloc alloc;
    size_t count; /* of values */
    struct tw_projection_node *nodes;
    size_t node_count;
    struct tw_projection_slot *slots;
    struct tw_projection_position *positions;
    uint32_t *next_value;  /* count */
    uint8_t *through_keys; /* count: 1 for a dotted path, which does not look into arrays */
    char *names;
};

static inline uint32_t tw_projection_hash(uint64_t head, uint64_t tail, uint32_t length) {
    uint64_t mixed = (head ^ (tail << 1 | tail >> 63) ^ length) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32);
}

#endif
