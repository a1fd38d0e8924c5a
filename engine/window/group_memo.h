#ifndef TW_WINDOW_GROUP_MEMO_H
#define TW_WINDOW_GROUP_MEMO_H

#include <stdbool.h>
#include <string.h>

#include "engine/window/group_table.h"

/* Where few groups meet many records, a group was mostly seen a moment ago: its reference is then found by the text of
 * its value, without a key and its hash. A text of up to 16 bytes is two words, filled up with zeros. */

enum {
    TW_MEMO_BITS = 8,
    TW_MEMO_PLACES = 1 << TW_MEMO_BITS,
    TW_MEMO_TEXTS = 128,   /* half of the places: no search is long */
    TW_MEMO_GROUPS = 96,   /* beyond, texts are worth less than their places */
    TW_MEMO_RECORDS = 256, /* before that a window may be one of very many */
    TW_MEMO_TEXT = 16,
    TW_MEMO_FEW = 24,    /* texts, each of which is to have the place where it is looked for first, */
    TW_MEMO_SPREADS = 16 /* for which they are spread anew, so often at most */
};

struct tw_memo_text {
    uint64_t head, tail;
    uint32_t length;
};

struct tw_memo_place {
    uint64_t head, tail;
    uint32_t length; /* of the text; 0: none */
    uint32_t reference;
};

struct tw_group_memo {
    uint64_t factor; /* by which texts are spread over places: odd */
    uint32_t count, spreads;
    struct tw_memo_place places[TW_MEMO_PLACES];
};

/* The text may be read as far as within goes, when it lies there. Lengths are not branched on: nobody can guess them.
 * False: not a text for the memo. */
static inline bool tw_memo_read(struct tumble_bytes text, struct tumble_bytes within, struct tw_memo_text *out) {
    const size_t length = text.length;
    if (length - 1 >= TW_MEMO_TEXT) {
        return false;
    }
    out->length = (uint32_t)length;
    const uintptr_t from = (uintptr_t)text.data - (uintptr_t)within.data;
    if (__builtin_expect(within.data && from < within.length && within.length - from >= TW_MEMO_TEXT, 1)) {
        static const unsigned char kept[2 * TW_MEMO_TEXT] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                             255, 255, 255, 255, 255, 255, 255, 255};
        uint64_t head, tail;
        memcpy(&out->head, text.data, 8);
        memcpy(&out->tail, text.data + 8, 8);
        memcpy(&head, kept + TW_MEMO_TEXT - length, 8);
        memcpy(&tail, kept + TW_MEMO_TEXT - length + 8, 8);
        out->head &= head;
        out->tail &= tail;
    } else {
        char bytes[TW_MEMO_TEXT] = {0};
        memcpy(bytes, text.data, length);
        memcpy(&out->head, bytes, 8);
        memcpy(&out->tail, bytes + 8, 8);
    }
    return true;
}

/* Where a text is looked for first. */
static inline size_t tw_memo_first(const struct tw_group_memo *memo, const struct tw_memo_text *text) {
    uint64_t mixed = (text->head ^ text->tail * UINT64_C(0x9e3779b97f4a7c15)) * memo->factor;
    return (size_t)(mixed >> (64 - TW_MEMO_BITS));
}

/* Which place has the text, or is the free one where it would go. */
static inline size_t tw_memo_place(const struct tw_group_memo *memo, const struct tw_memo_text *text) {
    for (size_t i = tw_memo_first(memo, text);; i = (i + 1) % TW_MEMO_PLACES) {
        const struct tw_memo_place *place = &memo->places[i];
        if (((place->head ^ text->head) | (place->tail ^ text->tail) | (place->length ^ text->length)) == 0 ||
            place->length == 0) {
            return i;
        }
    }
}

/* The group of that text, when it is remembered. */
static inline bool tw_memo_find(const struct tw_group_table *table, const struct tw_memo_text *text,
                                uint32_t *reference) {
    const struct tw_memo_place *place = &table->memo->places[tw_memo_place(table->memo, text)];
    *reference = place->reference;
    return place->length != 0;
}

/* Begins to remember, or stops, as a window's records and groups suggest. Without memory it does neither. */
void tw_memo_consider(struct tw_group_table *table, uint64_t records);
void tw_memo_drop(struct tw_group_table *table); /* no more records come */

void tw_memo_keep(const struct tw_group_table *table, const struct tw_memo_text *text, uint32_t reference);

#endif
