#ifndef TW_CLI_TUNE_REPORT_H
#define TW_CLI_TUNE_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "runner/tune.h"

/* What `tumble tune` prints: a table for people, one JSON object, or CSV. */

enum tw_tune_format { TW_TUNE_TABLE, TW_TUNE_JSON, TW_TUNE_CSV };

struct tw_tune_report {
    const struct tumble_tune_result *result;
    const struct tumble_tune_options *options;
    const struct tumble_mapping_parameters *mapping; /* of the chosen point; NULL: there is none */
    const char *function;                            /* a command; NULL: the built-in engine */
    const char *objective;
    bool all; /* points that others are better than, too */
};

void tw_tune_report_print(FILE *to, enum tw_tune_format format, const struct tw_tune_report *report);
/* Notes for people, on stderr: shards that are too busy, and what is wrong with points. */
void tw_tune_report_say(const struct tw_tune_report *report);
/* "1 shard, 512 MB, batches of 1000, a batching window of 5 s" into out. */
#define TW_TUNE_POINT_TEXT 128
const char *tw_tune_point_text(const struct tumble_tune_point *point, char out[TW_TUNE_POINT_TEXT]);

#endif
