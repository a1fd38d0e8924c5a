#ifndef TW_CLI_RUN_REPORT_H
#define TW_CLI_RUN_REPORT_H

#include <stdio.h>

#include <tumble/spec.h>

#include "adapters/metrics/prices.h"
#include "emulator/mapping_parameters.h"
#include "runner/watch.h"

/* What a report says beside a watch's figures. Borrowed; NULL and 0: not known, or not there. */
struct tw_run_facts {
    enum tumble_watch_kind kind;
    const char *const *arguments; /* the command, NULL-ended, from "tumble" on */
    const char *source;
    const struct tumble_spec *spec;
    int64_t window_seconds;
    const struct tumble_mapping_parameters *mapping;
    uint32_t shards;
    int64_t memory_mb; /* of the function */
    enum tw_architecture architecture;
    const char *function; /* a command; NULL: the engine itself */
    enum tumble_code code;
    const char *error; /* that the run ended with, in words */
    int is_stopped;
    double seconds; /* that it took */
    uint64_t records_read;
    /* Prints the run's summary as JSON, the same that --summary writes. */
    void (*print_summary)(FILE *to, const void *what);
    const void *summary;
};

/* Whether a report can be written there. Errors: EUSAGE, EOUTPUT. */
enum tumble_code tw_run_report_probe(const char *path, struct tumble_error *err);

/* One page, whole or not at all. Errors: EOUTPUT, ENOMEM, ELIMIT. */
enum tumble_code tw_run_report_write(const char *path, struct tumble_watch *watch, const struct tw_run_facts *facts,
                                     struct tumble_error *err);

#endif
