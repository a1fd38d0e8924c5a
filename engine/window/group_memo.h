#ifndef TW_WINDOW_GROUP_MEMO_H
#define TW_WINDOW_GROUP_MEMO_H

#include <stdbool.h>
#include <string.h>

#include "engine/window/group_table.h"

/* Where few groups meet many records, a group was mostly seen a moment ago: its reference is then found by the text of
 * its value, without a key and its hash. One entry a place, the last text that came by; a text of 4 to 16 bytes is two
 * words. */

enum {
    TW_MEMO_BITS = 7,
    TW_MEMO_PLACES = 1 << TW_MEMO_BITS,
    TW_MEMO_GROUPS = 96,   /* beyond, places are fought over */
    TW_MEMO_RECORDS = 2048 /* before that a window may be one of very many */
};

struct tw_memo_text {
    uint64_t head, tail;
    uint32_t length;
};

struct tw_group_memo {
    struct tw_memo_place {
        struct tw_memo_text text; /* length 0: none */
        uint32_t reference;
    } places[TW_MEMO_PLACES];
};

/* False: not a text for the memo. */
static inline bool tw_memo_read(struct tumble_bytes text, struct tw_memo_text *out) {
    out->length = (uint32_t)text.length;
    if (text.length >= 8 && text.length <= 16) {
        memcpy(&out->head, text.data, 8);
        memcpy(&out->tail, text.data + text.length - 8, 8);
        return true;
    }
    if (text.length >= 4 && text.length < 8) {
        uint32_t head, tail;
        memcpy(&head, text.data, 4);
        memcpy(&tail, text.data + text.length - 4, 4);
        out->head = head;
        out->tail = tail;
        return true;
    }
    return false;
}

static inline struct tw_memo_place *tw_memo_place(struct tw_group_memo *memo, const struct tw_memo_text *text) {
    uint64_t mixed = (text->head ^ text->tail * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return &memo->places[mixed >> (64 - TW_MEMO_BITS)];
}

/* The group of that text, when it is remembered. */
static inline bool tw_memo_find(const struct tw_group_table *table, const struct tw_memo_text *text,
                                uint32_t *reference) {
    const struct tw_memo_place *place = tw_memo_place(table->memo, text);
    *reference = place->reference;
    return place->text.length == text->length &&
           ((place->text.head ^ text->head) | (place->text.tail ^ text->tail)) == 0;
}

/* Begins to remember, or stops, as a window's records and groups suggest. Without memory it does neither. */
void tw_memo_consider(struct tw_group_table *table, uint64_t records);

static inline void tw_memo_keep(const struct tw_group_table *table, const struct tw_memo_text *text,
                                uint32_t reference) {
    struct tw_memo_place *place = tw_memo_place(table->memo, text);
    place->text = *text;
    place->reference = reference;
}

#endif
