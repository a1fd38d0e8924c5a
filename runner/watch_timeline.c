#include <string.h>

#include "runner/watch_internal.h"

void tumble_watch_fragments_init(struct tumble_watch_fragments *fragments) {
    fragments->count = 0;
    fragments->every = 1;
    memset(fragments->slots, 0, sizeof fragments->slots);
}

static uint32_t hash_of(uint32_t shard, uint32_t lane, int64_t start_ms) {
    uint64_t hash =
        ((uint64_t)start_ms + (shard * 16u + lane) * UINT64_C(0x9E3779B97F4A7C15)) * UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(hash >> 40) % TUMBLE_WATCH_SLOTS;
}

/* The slot of that window's latest fragment, or a free one. */
static uint16_t *slot_of(struct tumble_watch_fragments *fragments, uint32_t shard, uint32_t lane, int64_t start_ms) {
    uint32_t at = hash_of(shard, lane, start_ms);
    for (;; at = (at + 1) % TUMBLE_WATCH_SLOTS) {
        uint16_t *slot = &fragments->slots[at];
        const struct tumble_watch_fragment *fragment = *slot ? &fragments->list[*slot - 1] : NULL;
        if (!fragment || (fragment->shard == shard && fragment->lane == lane && fragment->start_ms == start_ms)) {
            return slot;
        }
    }
}

static int is_kept(const struct tumble_watch_fragments *fragments, int64_t start_ms, int64_t end_ms) {
    int64_t length = end_ms - start_ms;
    return length <= 0 || start_ms / length % fragments->every == 0;
}

/* Every other window goes, until there is room. Fragments of one window alone are never so many, unless the limit is of
 * their number: then what comes is not kept. */
static void thin(struct tumble_watch_fragments *fragments) {
    uint32_t kept = 0;
    fragments->every *= 2;
    for (uint32_t i = 0; i < fragments->count; i++) {
        const struct tumble_watch_fragment *fragment = &fragments->list[i];
        if (is_kept(fragments, fragment->start_ms, fragment->end_ms)) {
            fragments->list[kept++] = *fragment;
        }
    }
    fragments->count = kept;
    memset(fragments->slots, 0, sizeof fragments->slots);
    for (uint32_t i = 0; i < kept; i++) {
        *slot_of(fragments, fragments->list[i].shard, fragments->list[i].lane, fragments->list[i].start_ms) =
            (uint16_t)(i + 1);
    }
}

struct tumble_watch_fragment *tumble_watch_fragments_open(struct tumble_watch_fragments *fragments, uint32_t shard,
                                                          uint32_t lane, int64_t start_ms, int64_t end_ms,
                                                          int64_t at_us) {
    if (!is_kept(fragments, start_ms, end_ms)) {
        return NULL;
    }
    uint16_t *slot = slot_of(fragments, shard, lane, start_ms);
    struct tumble_watch_fragment *latest = *slot ? &fragments->list[*slot - 1] : NULL;
    if (latest && latest->closed_us < 0) {
        return latest;
    }
    uint32_t ordinal = latest ? latest->ordinal + 1 : 1;
    for (int i = 0; fragments->count == TUMBLE_WATCH_FRAGMENTS && i < 16; i++) {
        thin(fragments);
    }
    if (fragments->count == TUMBLE_WATCH_FRAGMENTS || !is_kept(fragments, start_ms, end_ms)) {
        return NULL;
    }
    struct tumble_watch_fragment *fragment = &fragments->list[fragments->count++];
    *fragment = (struct tumble_watch_fragment){.shard = shard,
                                               .lane = lane,
                                               .ordinal = ordinal,
                                               .start_ms = start_ms,
                                               .end_ms = end_ms,
                                               .opened_us = at_us,
                                               .closed_us = -1,
                                               .groups = -1,
                                               .state_bytes = -1};
    *slot_of(fragments, shard, lane, start_ms) = (uint16_t)fragments->count;
    return fragment;
}
