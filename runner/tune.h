#ifndef TUMBLE_RUNNER_TUNE_H
#define TUMBLE_RUNNER_TUNE_H

/* A capture under many settings of mapping, function and stream, each in virtual time: what every one of them would
 * give and cost, and which of them is worth having. The loop behind `tumble tune`. */

#include <tumble/spec.h>

#include "adapters/metrics/prices.h"
#include "emulator/mapping.h"
#include "runner/duration_model.h"
#include "runner/tune_records.h"

/* What is assumed about Lambda; docs/tune.md says on what evidence. Each can be set. */
#define TUMBLE_TUNE_VCPU_MB        1769   /* of memory that bring one whole processor */
#define TUMBLE_TUNE_RUNTIME_API_US 1000   /* an invocation's time beside the function's own */
#define TUMBLE_TUNE_COLD_START_US  200000 /* until a new sandbox answers; neither in Duration nor billed here */
#define TUMBLE_TUNE_TIMING_MS      10000  /* for which the function is timed, where that is not told */
#define TUMBLE_TUNE_POINTS_MAX     1000
#define TUMBLE_TUNE_VALUES_MAX     32 /* of one parameter */
#define TUMBLE_TUNE_ATTEMPTS       3  /* of a batch that fails, after which a point has failed */

struct tumble_tune_values {
    uint32_t items[TUMBLE_TUNE_VALUES_MAX];
    size_t count;
};

struct tumble_tune_grid {
    struct tumble_tune_values memory_mb, shards, batch_sizes,
        batching_windows; /* shards 0: as the capture names them */
};

enum tumble_tune_problem {
    TUMBLE_TUNE_FINE,
    TUMBLE_TUNE_OVERLOADED, /* shards take less than the capture brings: producers would be throttled */
    TUMBLE_TUNE_TIMED_OUT,  /* an invocation takes longer than the function may */
    TUMBLE_TUNE_FAILED      /* the function answers with errors; text says which */
};

struct tumble_tune_point {
    uint32_t memory_mb, shards, batch_size, batching_window;
    enum tumble_tune_problem problem;
    int was_run;   /* 0: the run was stopped before */
    int is_pareto; /* no other is as good in all of tumble_tune_pareto's figures and better in one */
    char error[TUMBLE_ERROR_TEXT];
    /* over the capture */
    uint64_t invocations, errors, throttles, early_terminations, windows, reopened_windows;
    uint64_t state_bytes_most;
    uint64_t concurrent_executions;
    uint64_t billed_ms;
    uint64_t duration_p99_us, duration_most_us;
    double duration_sum_us, gb_seconds;
    uint64_t ages;                               /* invocations that have an iterator age */
    int64_t age_p50_ms, age_p99_ms, age_most_ms; /* AWS's: of an invocation's last record when it is sent */
    double age_sum_ms;
    int64_t wait_p50_ms, wait_p99_ms, wait_most_ms; /* of its first record: what batching costs is seen here only */
    struct tumble_tune_load load;
    /* by the day */
    struct tw_cost cost[2]; /* by enum tw_stream_mode */
};

enum tumble_tune_objective { TUMBLE_TUNE_BALANCED, TUMBLE_TUNE_PRICE, TUMBLE_TUNE_LATENCY };

struct tumble_tune_options {
    struct tumble_capture_stream_options source; /* shards is not looked at */
    size_t memory_limit_bytes;
    const struct tumble_tune_grid *grid;                /* a parameter without values gets default ones */
    const struct tumble_mapping_parameters *parameters; /* what the grid does not set; borrowed */
    /* The function: another one, or the built-in engine. */
    const struct tumble_spec *spec;
    void *function_ctx;
    /* Opened for each point, on the thread that called; *out lives until close. NULL: the built-in engine. */
    enum tumble_code (*function_open)(void *ctx, uint32_t memory_mb, struct tumble_emulated_function *out,
                                      struct tumble_error *err);
    void (*function_close)(void *ctx);
    int64_t timeout_ms;
    /* Times. */
    const struct tumble_duration_model *model; /* NULL: the function is timed here */
    int64_t timing_ms; /* for which it is timed, in whole rounds, at least one; 0: the default */
    /* While it is timed, from the thread that called; may be NULL. */
    void (*timing)(void *ctx, int64_t ms, int64_t total_ms);
    void *timing_ctx;
    int64_t duration_us; /* of each invocation, whatever its memory; 0: reckoned */
    double waiting;      /* part of the function's time in which it does not compute: memory changes nothing about it */
    double cpu_speed;    /* of Lambda's processors, as a multiple of those here; 0: 1 */
    int64_t runtime_api_us; /* beside the built-in engine; -1: none; 0: the default, as in cold_start */
    int64_t cold_start_us;
    int64_t delivery_us; /* of a final's rows to their outputs */
    const struct tw_prices *prices;
    enum tw_architecture architecture;
    enum tw_stream_mode mode;
    enum tumble_tune_objective objective;
    int64_t max_iterator_age_ms; /* that the chosen point may reach; 0: any */
    uint32_t threads;
    /* From any thread, one at a time; may be NULL. */
    void (*progress)(void *ctx, uint32_t done, uint32_t total);
    void *progress_ctx;
    int (*interrupted)(void *ctx); /* from any thread; may be NULL */
    void *interrupted_ctx;
};

struct tumble_tune_result {
    struct tumble_tune_records *records; /* for the names in capture */
    struct tumble_tune_capture capture;
    struct tumble_duration_model model;
    int is_timed; /* the model was fitted here */
    struct tumble_tune_point *points;
    uint32_t point_count;
    int64_t chosen;    /* -1: no point will do */
    int64_t least_age; /* the point with the least iterator age of those that could be chosen; -1: there is none */
    int stopped;       /* interrupted */
};

/* *result is to be cleaned up in any case. Errors: those of the capture; EUSAGE (the grid); ECAPTURE (no time passes in
 * it); those of the function that are not an invocation's; ENOMEM. */
enum tumble_code tumble_tune(const struct tumble_tune_options *options, struct tumble_tune_result *result,
                             struct tumble_error *err);
void tumble_tune_result_clean_up(struct tumble_tune_result *result);

/* What a count over the capture is by the day. */
double tumble_tune_per_day(const struct tumble_tune_capture *capture, double count);

/* ---- the parts of it, for tests ---- */

/* How long an invocation takes of virtual time with so much memory: cpu_us of a whole processor. */
double tumble_tune_at_memory_us(double cpu_us, uint32_t memory_mb);
/* Marks the points that are worth having: iterator age and wait (of 99 in 100 invocations), price, early ends. */
void tumble_tune_pareto(struct tumble_tune_point *points, uint32_t count, enum tw_stream_mode mode);
int64_t tumble_tune_choose(const struct tumble_tune_point *points, uint32_t count, enum tw_stream_mode mode,
                           enum tumble_tune_objective objective, int64_t max_iterator_age_ms);

#endif
