#include "engine/window/group_memo.h"

void tw_memo_consider(struct tw_group_table *table, uint64_t records) {
    if (table->memo && table->count > TW_MEMO_GROUPS) {
        table->bytes -= sizeof *table->memo;
        tw_free(&table->alloc, table->memo);
        table->memo = NULL;
    } else if (!table->memo && table->count <= TW_MEMO_GROUPS && records >= TW_MEMO_RECORDS) {
        table->memo = tw_alloc_zero(&table->alloc, sizeof *table->memo);
        table->bytes += table->memo ? sizeof *table->memo : 0;
    }
}
