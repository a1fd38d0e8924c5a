#ifndef TUMBLE_RUNNER_SETTINGS_H
#define TUMBLE_RUNNER_SETTINGS_H

#include "runner/replay.h"

/* What decides the rows of a replay, as lines "name=value" kept in the state: the same command goes on, another is
 * refused, naming the first difference (design section 5). Batch size, threads and format may change. */

/* The lines of this run, NUL-terminated, to be freed; NULL: no memory. */
char *tumble_settings_text(const struct tumble_replay_options *options);

/* Errors: EMISMATCH. */
enum tumble_code tumble_settings_compare(struct tumble_bytes stored, const char *now, struct tumble_error *err);

/* How far a replay has come, kept with the position of its inputs. */
struct tumble_progress {
    uint64_t records; /* consumed */
    int64_t watermark_ms;
    int64_t first_arrival_ms;
    int64_t last_arrival_ms;
    uint64_t batches;
    int complete;
};
char *tumble_progress_text(const struct tumble_progress *progress);
/* Errors: ECORRUPT. */
enum tumble_code tumble_progress_read(struct tumble_bytes text, struct tumble_progress *progress,
                                      struct tumble_error *err);

#endif
