#include "cli/progress_bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/terminal_text.h"

enum { FIRST_DRAW_MS = 500 }; /* shorter runs show nothing */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tw_progress_bar_init(struct tw_progress_bar *bar, bool wanted) {
    const char *terminal = getenv("TERM");
    bar->on = wanted && isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
    bar->drawn = false;
    bar->began_ms = now_ms();
    bar->first_bytes = -1;
}

void tw_progress_bar_draw(struct tw_progress_bar *bar, int64_t done_bytes, int64_t total_bytes, uint64_t records) {
    if (!bar->on) {
        return;
    }
    if (bar->first_bytes < 0) {
        bar->first_bytes = done_bytes;
    }
    int64_t elapsed_ms = now_ms() - bar->began_ms;
    if (elapsed_ms < FIRST_DRAW_MS) {
        return;
    }
    char bytes[TW_NUMBER_TEXT], count[TW_NUMBER_TEXT], rate[TW_NUMBER_TEXT], left[64] = "";
    double seconds = (double)elapsed_ms / 1000;
    int64_t moved = done_bytes - bar->first_bytes;
    if (total_bytes > 0) {
        double share = 100.0 * (double)done_bytes / (double)total_bytes;
        int64_t rest = total_bytes > done_bytes ? total_bytes - done_bytes : 0;
        double eta = moved > 0 ? seconds * (double)rest / (double)moved : -1;
        if (eta >= 0 && eta < 360000) {
            snprintf(left, sizeof left, "  %3.0f%%  %d:%02d left", share, (int)eta / 60, (int)eta % 60);
        } else {
            snprintf(left, sizeof left, "  %3.0f%%", share);
        }
    }
    fprintf(stderr, "\r\033[K%s%s  %s records  %s records/s",
            tw_bytes_text((uint64_t)(done_bytes > 0 ? done_bytes : 0), bytes), left, tw_number_text(records, count),
            tw_number_text((uint64_t)((double)records / seconds), rate));
    fflush(stderr);
    bar->drawn = true;
}

void tw_progress_bar_draw_live(struct tw_progress_bar *bar, uint64_t records, uint32_t shards, int64_t behind_ms) {
    int64_t elapsed_ms = now_ms() - bar->began_ms;
    if (!bar->on || elapsed_ms < FIRST_DRAW_MS) {
        return;
    }
    char count[TW_NUMBER_TEXT], rate[TW_NUMBER_TEXT], behind[64] = "";
    if (behind_ms >= 0) {
        snprintf(behind, sizeof behind, "  %.1f s behind", (double)behind_ms / 1000);
    }
    fprintf(stderr, "\r\033[K%s records  %s records/s  %u shard%s%s", tw_number_text(records, count),
            tw_number_text((uint64_t)((double)records * 1000 / (double)elapsed_ms), rate), shards,
            shards == 1 ? "" : "s", behind);
    fflush(stderr);
    bar->drawn = true;
}

void tw_progress_bar_erase(struct tw_progress_bar *bar) {
    if (bar->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        bar->drawn = false;
    }
}
