#ifndef TW_CLI_PROGRESS_BAR_H
#define TW_CLI_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

/* One line on a terminal's stderr that is drawn over itself. Does nothing when stderr is no terminal. */
struct tw_progress_bar {
    bool on;
    bool drawn;
    int64_t began_ms;
    int64_t first_bytes; /* where a resumed run began: the speed counts from here; -1: not known yet */
};

void tw_progress_bar_init(struct tw_progress_bar *bar, bool wanted);
/* total_bytes -1: not known. */
void tw_progress_bar_draw(struct tw_progress_bar *bar, int64_t done_bytes, int64_t total_bytes, uint64_t records);
/* Of a stream that has no end: how many of its shards are read, and how far the last of them is behind (-1: not known).
 */
void tw_progress_bar_draw_live(struct tw_progress_bar *bar, uint64_t records, uint32_t shards, int64_t behind_ms);
void tw_progress_bar_erase(struct tw_progress_bar *bar);

#endif
