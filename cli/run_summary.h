#ifndef TW_CLI_RUN_SUMMARY_H
#define TW_CLI_RUN_SUMMARY_H

#include <stdio.h>

#include "runner/replay.h"

/* Writes the run's figures as one JSON object to path, whole or not at all (a temporary file beside it is renamed); "-"
 * is stderr, since stdout is rows. code is what the run ended with. Errors: EOUTPUT. */
enum tumble_code tw_run_summary_write(const char *path, const struct tumble_replay_summary *summary,
                                      enum tumble_code code, struct tumble_error *err);

/* Prints the same: what is a struct tw_run_outcome. */
struct tw_run_outcome {
    const struct tumble_replay_summary *summary;
    enum tumble_code code;
};
void tw_run_summary_print(FILE *to, const void *what);

/* Parts of such an object, a member a line with a comma behind it; a negative instant is null. */
void tw_summary_count(FILE *to, const char *name, uint64_t value);
void tw_summary_instant(FILE *to, const char *name, int64_t ms);
void tw_summary_fates(FILE *to, const struct tumble_counters *counters);    /* records, and what became of them */
void tw_summary_counters(FILE *to, const struct tumble_counters *counters); /* records … groups_peak */
/* CloudWatch's statistics of a metric; null when count is 0. */
void tw_summary_span(FILE *to, const char *name, uint64_t count, double sum, double least, double most);
/* What GetRecords met: throttled, failed otherwise, iterators that expired, places where records had aged out. */
void tw_summary_reads(FILE *to, uint64_t throttles, uint64_t errors, uint64_t expired, uint64_t gaps);
void tw_summary_speed(FILE *to, uint64_t records, uint64_t bytes, double seconds); /* of reading */
uint64_t tw_summary_peak_rss_bytes(void);                                          /* 0: not known */

/* The same for what print_to prints. */
enum tumble_code tw_run_summary_write_by(const char *path, void (*print_to)(FILE *to, const void *what),
                                         const void *what, struct tumble_error *err);

/* Tells at the start of a run whether its summary can be written at its end. state is the run's state directory, or
 * NULL: a file in it may be named before the directory exists. Errors: EOUTPUT. */
enum tumble_code tw_run_summary_probe(const char *path, const char *state, struct tumble_error *err);

/* "1,707 records → 84 rows in 28 windows, 0 late, 0.01 s" on stderr. */
void tw_run_summary_say(const struct tumble_replay_summary *summary);

#endif
