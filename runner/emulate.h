#ifndef TUMBLE_RUNNER_EMULATE_H
#define TUMBLE_RUNNER_EMULATE_H

/* A capture through an emulated event source mapping to a function: the loop behind `tumble replay --function`. */

#include <tumble/engine.h>

#include "emulator/faults.h"
#include "emulator/mapping.h"
#include "runner/capture_stream.h"
#include "runner/replay.h"
#include "runner/watch.h"

struct tumble_emulate_options {
    struct tumble_capture_stream_options source;  /* holds_all is set by the run */
    struct tumble_mapping_parameters *parameters; /* borrowed; an event_source_arn that is not given is the capture's */
    struct tumble_mapping_options mapping;        /* start, retention and callbacks are set by the run */
    double speed;                                 /* how many times as fast as the records came; 0: as fast as can be */
    const struct tumble_emulated_function *function;
    struct tumble_faults *faults; /* NULL: none */
    struct tumble_watch *watch;   /* NULL: nobody looks */
    /* Of failures, as parameters name it (tumble_failure_destination_parse); NULL: they name none. */
    const struct tumble_replay_output *destination;
    /* As those of tumble_replay_options. */
    int (*progress)(void *ctx, int64_t done_bytes, int64_t total_bytes, uint64_t records);
    void *progress_ctx;
    int (*interrupted)(void *ctx);
    void *interrupted_ctx;
    void (*say)(void *ctx, const char *line); /* for people; may be NULL */
    void *say_ctx;
};

struct tumble_emulate_summary {
    struct tumble_mapping_metrics metrics;
    struct tumble_capture_stream_facts source;
    uint32_t shards;
    double seconds;
    int stopped; /* a signal came */
};

/* Errors: those of the source, the mapping, the function and the destination. summary is filled as far as it came. */
enum tumble_code tumble_emulate(const struct tumble_emulate_options *options, struct tumble_emulate_summary *summary,
                                struct tumble_error *err);

#endif
