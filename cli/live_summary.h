#ifndef TW_CLI_LIVE_SUMMARY_H
#define TW_CLI_LIVE_SUMMARY_H

#include <stdio.h>

#include "runner/live.h"

struct tw_live_outcome {
    const struct tumble_live_summary *summary;
    enum tumble_code code; /* what the run ended with */
};
/* what: struct tw_live_outcome. */
void tw_live_summary_print(FILE *to, const void *what);
/* Figures of `tumble run` as one JSON object ("-": stderr). code is what the run ended with. Errors: EOUTPUT. */
enum tumble_code tw_live_summary_write(const char *path, const struct tumble_live_summary *summary,
                                       enum tumble_code code, struct tumble_error *err);
/* "1,707 records → 84 rows in 28 windows, 12.01 s" on stderr. */
void tw_live_summary_say(const struct tumble_live_summary *summary);

#endif
