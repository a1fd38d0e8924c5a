#include "engine/window/group_table.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/window/group_key.h"

_Static_assert(TW_GROUP_BLOCK_BYTES *TW_GROUP_SPAN_BLOCKS == TW_LARGE_PAGE, "blocks of a span fill a large page");

enum { FIRST_BLOCK_BYTES = 2048, FIRST_SLOTS = 16, FIRST_TOUCHED = 16 };

void tw_group_table_init(struct tw_group_table *table, struct tumble_alloc alloc, const struct tw_layout *layout) {
    memset(table, 0, sizeof *table);
    table->alloc = alloc;
    table->layout = layout;
}

static void *take_span(const struct tw_group_table *table) {
    return table->layout->spans ? tw_span_take(table->layout->spans) : tw_alloc_scattered(&table->alloc, TW_LARGE_PAGE);
}

static void give_span(const struct tw_group_table *table, void *span) {
    if (table->layout->spans) {
        tw_span_give(table->layout->spans, span);
    } else {
        tw_free(&table->alloc, span);
    }
}

static bool are_span(size_t slot_bytes) { return slot_bytes >= TW_LARGE_PAGE / 2 && slot_bytes <= TW_LARGE_PAGE; }

static struct tw_group_slot *take_slots(const struct tw_group_table *table, size_t bytes) {
    return are_span(bytes)         ? take_span(table)
           : bytes < TW_LARGE_PAGE ? tw_alloc(&table->alloc, bytes)
                                   : tw_alloc_scattered(&table->alloc, bytes);
}

static void give_slots(const struct tw_group_table *table) {
    if (are_span(table->slot_count * sizeof *table->slots)) {
        give_span(table, table->slots);
    } else {
        tw_free(&table->alloc, table->slots);
    }
}

void tw_group_table_clean_up(struct tw_group_table *table) {
    for (uint32_t i = 0; i < table->block_count; i++) {
        if (i < TW_GROUP_SPAN_BLOCKS) {
            tw_free(&table->alloc, table->blocks[i]);
        } else if (i % TW_GROUP_SPAN_BLOCKS == 0) {
            give_span(table, table->blocks[i]);
        }
    }
    tw_free(&table->alloc, table->blocks);
    give_slots(table);
    tw_free(&table->alloc, table->touched);
    tw_free(&table->alloc, table->memo);
    tw_group_table_init(table, table->alloc, table->layout);
}

static size_t entry_bytes(const struct tw_group_table *table, size_t key_length) {
    return (sizeof(struct tw_group) + table->layout->bytes + key_length + 7) & ~(size_t)7;
}

static enum tumble_code grow_slots(struct tw_group_table *table, uint32_t slot_count) {
    if (slot_count == 0) {
        return TUMBLE_ELIMIT;
    }
    size_t bytes = (size_t)slot_count * sizeof(struct tw_group_slot);
    struct tw_group_slot *slots = take_slots(table, bytes);
    if (!slots) {
        return TUMBLE_ENOMEM;
    }
    memset(slots, 0, bytes);
    for (uint32_t i = 0; i < table->slot_count; i++) {
        struct tw_group_slot slot = table->slots[i];
        if (slot.reference) {
            uint32_t at = slot.hash & (slot_count - 1);
            while (slots[at].reference) {
                at = (at + 1) & (slot_count - 1);
            }
            slots[at] = slot;
        }
    }
    table->bytes += ((size_t)slot_count - table->slot_count) * sizeof *slots;
    give_slots(table);
    table->slots = slots;
    table->slot_count = slot_count;
    return TUMBLE_OK;
}

/* Room for one entry of this size in the last block. */
static enum tumble_code make_room(struct tw_group_table *table, size_t bytes) {
    if (table->block_count == 1 && table->used + bytes > table->first_block_bytes &&
        table->used + bytes <= TW_GROUP_BLOCK_BYTES) {
        uint32_t size = table->first_block_bytes;
        while (size < table->used + bytes) {
            size *= 2;
        }
        char *block = tw_resize(&table->alloc, table->blocks[0], table->first_block_bytes, size);
        if (!block) {
            return TUMBLE_ENOMEM;
        }
        table->bytes += size - table->first_block_bytes;
        table->blocks[0] = block;
        table->first_block_bytes = size;
        return TUMBLE_OK;
    }
    uint32_t last_bytes = table->block_count == 0   ? 0
                          : table->block_count == 1 ? table->first_block_bytes
                                                    : (uint32_t)TW_GROUP_BLOCK_BYTES;
    if (table->used + bytes <= last_bytes) {
        return TUMBLE_OK;
    }
    if ((uint64_t)(table->block_count + 1) * (TW_GROUP_BLOCK_BYTES / 8) > UINT32_MAX - 1) {
        return TUMBLE_ELIMIT;
    }
    if (table->block_count == table->block_capacity) {
        uint32_t capacity = table->block_capacity ? table->block_capacity * 2 : 4;
        char **blocks =
            tw_resize(&table->alloc, table->blocks, table->block_capacity * sizeof *blocks, capacity * sizeof *blocks);
        if (!blocks) {
            return TUMBLE_ENOMEM;
        }
        table->bytes += (capacity - table->block_capacity) * sizeof *blocks;
        table->blocks = blocks;
        table->block_capacity = capacity;
    }
    uint32_t size = TW_GROUP_BLOCK_BYTES;
    if (table->block_count == 0) {
        size = FIRST_BLOCK_BYTES;
        while (size < bytes) {
            size *= 2;
        }
    }
    char *block;
    if (table->block_count > TW_GROUP_SPAN_BLOCKS && table->block_count % TW_GROUP_SPAN_BLOCKS != 0) {
        block = table->blocks[table->block_count - 1] + TW_GROUP_BLOCK_BYTES;
    } else {
        bool spans = table->block_count >= TW_GROUP_SPAN_BLOCKS;
        size_t room = spans ? TW_LARGE_PAGE : size;
        block = spans ? take_span(table) : tw_alloc(&table->alloc, room);
        if (!block) {
            return TUMBLE_ENOMEM;
        }
        table->bytes += room;
    }
    if (table->block_count == 0) {
        table->first_block_bytes = size;
    } else if (table->used < TW_GROUP_BLOCK_BYTES) {
        /* What is left of the block before stays unused: a walk stops at the entry whose header says so. */
        uint32_t previous_bytes = table->block_count == 1 ? table->first_block_bytes : (uint32_t)TW_GROUP_BLOCK_BYTES;
        if (table->used + sizeof(struct tw_group) <= previous_bytes) {
            struct tw_group *end = (struct tw_group *)(void *)(table->blocks[table->block_count - 1] + table->used);
            end->key_length = UINT32_MAX;
        }
    }
    table->blocks[table->block_count++] = block;
    table->used = 0;
    return TUMBLE_OK;
}

static enum tumble_code touch(struct tw_group_table *table, struct tw_group *group, uint32_t reference) {
    if (group->touched) {
        return TUMBLE_OK;
    }
    if (table->touched_count == table->touched_capacity) {
        uint32_t capacity = table->touched_capacity ? table->touched_capacity * 2 : FIRST_TOUCHED;
        uint32_t *touched = tw_resize(&table->alloc, table->touched, table->touched_capacity * sizeof *touched,
                                      (size_t)capacity * sizeof *touched);
        if (!touched) {
            return TUMBLE_ENOMEM;
        }
        table->bytes += (size_t)(capacity - table->touched_capacity) * sizeof *touched;
        table->touched = touched;
        table->touched_capacity = capacity;
    }
    table->touched[table->touched_count++] = reference;
    group->touched = 1;
    return TUMBLE_OK;
}

void tw_layout_init(const struct tw_layout *layout, void *state) {
    for (size_t i = 0; i < layout->count; i++) {
        const struct tw_layout_item *item = &layout->items[i];
        item->function->init((char *)state + item->offset, item->params);
    }
}

static enum tumble_code add(struct tw_group_table *table, struct tumble_bytes key, uint32_t hash, uint32_t *reference) {
    size_t bytes = entry_bytes(table, key.length);
    if (bytes > TW_GROUP_BLOCK_BYTES) {
        return TUMBLE_ELIMIT;
    }
    TW_TRY(make_room(table, bytes));
    uint32_t at = (uint32_t)(((table->block_count - 1) * (size_t)TW_GROUP_BLOCK_BYTES + table->used) / 8);
    struct tw_group *group = tw_group_at(table, at);
    group->key_length = (uint32_t)key.length;
    group->touched = 0;
    group->records = 0;
    group->place = table->count & INT32_MAX; /* 32 GiB hold fewer */
    if (table->layout->fresh) {
        memcpy(group->state, table->layout->fresh, table->layout->bytes);
    } else {
        tw_layout_init(table->layout, group->state);
    }
    if (key.length) {
        memcpy((char *)group->state + table->layout->bytes, key.data, key.length);
    }
    TW_TRY(touch(table, group, at));
    uint32_t slot = hash & (table->slot_count - 1);
    while (table->slots[slot].reference) {
        slot = (slot + 1) & (table->slot_count - 1);
    }
    table->slots[slot].hash = hash;
    table->slots[slot].reference = at + 1;
    table->used += (uint32_t)bytes;
    table->count++;
    *reference = at;
    return TUMBLE_OK;
}

enum tumble_code tw_group_touch(struct tw_group_table *table, struct tumble_bytes key, uint32_t hash,
                                uint32_t *reference) {
    if (table->slot_count) {
        uint32_t mask = table->slot_count - 1;
        for (uint32_t at = hash & mask; table->slots[at].reference; at = (at + 1) & mask) {
            if (table->slots[at].hash == hash) {
                struct tw_group *group = tw_group_at(table, table->slots[at].reference - 1);
                if (group->key_length == key.length &&
                    tw_group_key_same(tw_group_key(table, group).data, key.data, key.length)) {
                    *reference = table->slots[at].reference - 1;
                    return touch(table, group, *reference);
                }
            }
        }
    }
    if ((uint64_t)table->count * 4 >= (uint64_t)table->slot_count * 3) {
        TW_TRY(grow_slots(table, table->slot_count ? table->slot_count * 2 : FIRST_SLOTS));
    }
    return add(table, key, hash, reference);
}

enum tumble_code tw_group_touch_known(struct tw_group_table *table, uint32_t reference) {
    return touch(table, tw_group_at(table, reference), reference);
}

enum tumble_code tw_group_table_expect(struct tw_group_table *table, uint64_t count) {
    uint32_t slot_count = table->slot_count ? table->slot_count : FIRST_SLOTS;
    while (slot_count && count * 4 >= (uint64_t)slot_count * 3) {
        slot_count *= 2;
    }
    return slot_count > table->slot_count ? grow_slots(table, slot_count) : TUMBLE_OK;
}

void tw_group_untouch_all(struct tw_group_table *table) {
    for (uint32_t i = 0; i < table->touched_count; i++) {
        if (i + TW_GROUPS_AHEAD < table->touched_count) {
            __builtin_prefetch(tw_group_at(table, table->touched[i + TW_GROUPS_AHEAD]));
        }
        tw_group_at(table, table->touched[i])->touched = 0;
    }
    table->touched_count = 0;
}

bool tw_group_next(const struct tw_group_table *table, struct tw_group_walk *walk, uint32_t *reference) {
    while (walk->block < table->block_count) {
        uint32_t end = walk->block + 1 == table->block_count ? table->used
                       : walk->block == 0                    ? table->first_block_bytes
                                                             : (uint32_t)TW_GROUP_BLOCK_BYTES;
        if (walk->offset + sizeof(struct tw_group) <= end) {
            const struct tw_group *group =
                (const struct tw_group *)(const void *)(table->blocks[walk->block] + walk->offset);
            if (group->key_length != UINT32_MAX) {
                *reference = (uint32_t)((walk->block * (size_t)TW_GROUP_BLOCK_BYTES + walk->offset) / 8);
                walk->offset += (uint32_t)entry_bytes(table, group->key_length);
                return true;
            }
        }
        walk->block++;
        walk->offset = 0;
    }
    return false;
}
