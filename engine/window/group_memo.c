#include "engine/window/group_memo.h"

void tw_memo_drop(struct tw_group_table *table) {
    if (table->memo) {
        table->bytes -= sizeof *table->memo;
        tw_free(&table->alloc, table->memo);
        table->memo = NULL;
    }
}

void tw_memo_consider(struct tw_group_table *table, uint64_t records) {
    if (table->memo && table->count > TW_MEMO_GROUPS) {
        tw_memo_drop(table);
    } else if (!table->memo && table->count <= TW_MEMO_GROUPS && records >= TW_MEMO_RECORDS) {
        table->memo = tw_alloc_zero(&table->alloc, sizeof *table->memo);
        if (table->memo) {
            table->memo->factor = UINT64_C(0xd6e8feb86659fd93);
            table->bytes += sizeof *table->memo;
        }
    }
}

/* Another factor, and every place empty: the texts come by again. */
static void spread(struct tw_group_memo *memo) {
    memset(memo->places, 0, sizeof memo->places);
    memo->factor = memo->factor * UINT64_C(0x5851f42d4c957f2d) + 2; /* odd times odd, and even */
    memo->count = 0;
    memo->spreads++;
}

void tw_memo_keep(const struct tw_group_table *table, const struct tw_memo_text *text, uint32_t reference) {
    struct tw_group_memo *memo = table->memo;
    size_t i = tw_memo_place(memo, text);
    if (memo->places[i].length || memo->count == TW_MEMO_TEXTS) {
        return;
    }
    if (i != tw_memo_first(memo, text) && memo->count < TW_MEMO_FEW && memo->spreads < TW_MEMO_SPREADS) {
        spread(memo);
        i = tw_memo_place(memo, text);
    }
    memo->places[i] = (struct tw_memo_place){text->head, text->tail, text->length, reference};
    memo->count++;
}
