#ifndef TUMBLE_RUNNER_WATCH_H
#define TUMBLE_RUNNER_WATCH_H

/* A run's live figures, in one place: what `--metrics`, `--emf` and `--report` show. Told by whoever drives a run, once
 * a batch, commit, delivery or window, never once a record; nothing is allocated after tumble_watch_new. Every function
 * may be called from any thread, and with a watch of NULL, which does nothing: a run that nobody looks at pays a
 * comparison.
 *
 * Times are microseconds since 1970 by the run's own clock: the machine's, or under an emulated mapping the virtual
 * one. Series keep at most TUMBLE_WATCH_POINTS points whatever the length of the run: when they are full, neighbours
 * are merged and the step doubles. So nothing here grows. */

#include <stdint.h>

#include <tumble/engine.h>

#include "emulator/mapping.h"
#include "runner/latency.h"

enum {
    TUMBLE_WATCH_POINTS = 1024,
    TUMBLE_WATCH_FIRST_STEP_US = 1000,
    TUMBLE_WATCH_SHARDS = 256,      /* told apart; the others are one, called "other" */
    TUMBLE_WATCH_SHARD_SERIES = 32, /* of them with a series of their own */
    TUMBLE_WATCH_FRAGMENTS = 4096,  /* in the timeline; see struct tumble_watch_timeline */
    TUMBLE_WATCH_OUTPUTS = 17,
    TUMBLE_WATCH_BOUNDS = 22, /* of a histogram's exact buckets */
    TUMBLE_WATCH_NAME = 129,
    TUMBLE_WATCH_SERIES_BUCKETS = 256
};

enum tumble_watch_kind {
    TUMBLE_WATCH_HELD,    /* a replay by the engine itself: at the machine's speed, no iterator age */
    TUMBLE_WATCH_MAPPING, /* under an emulated mapping, in virtual time */
    TUMBLE_WATCH_LIVE     /* a stream, in real time */
};

struct tumble_watch; /* 2.6 MB */

/* NULL: no memory. */
struct tumble_watch *tumble_watch_new(enum tumble_watch_kind kind);
void tumble_watch_destroy(struct tumble_watch *watch);

/* The machine's clock, monotonic from the real time at which the process first asked. */
int64_t tumble_watch_now_us(void);

/* ---- telling ---- */

/* Number of a shard, made when it is new. */
uint32_t tumble_watch_shard(struct tumble_watch *watch, struct tumble_bytes id);
/* Nothing more comes from it: drained after a split or merge, or another process has it. */
void tumble_watch_shard_gone(struct tumble_watch *watch, uint32_t shard);

enum tumble_watch_outcome {
    TUMBLE_WATCH_SUCCEEDED,
    TUMBLE_WATCH_ERROR,    /* the function failed, in whatever way, or the engine could not apply it */
    TUMBLE_WATCH_THROTTLED /* it did not run */
};

/* A batch that the engine applied, or one attempt at one invocation. */
struct tumble_watch_batch {
    uint32_t shard;
    uint32_t lane; /* of a shard that several invocations share (ParallelizationFactor): 0, 1 … */
    enum tumble_watch_outcome outcome;
    int is_retry;            /* not the first attempt */
    int64_t at_us;           /* when it began */
    uint64_t duration_ns;    /* that the invocation or the engine took */
    uint64_t records;        /* in it; 0: a final without */
    uint64_t new_records;    /* of them, that no attempt before had (window's records) */
    uint64_t bytes;          /* of their data */
    uint64_t put_units;      /* that Kinesis counted for the new ones; 0: not known */
    int64_t iterator_age_ms; /* AWS's: age of the last record when it was sent; -1: there is none */
    int64_t last_arrival_ms; /* of its records; -1: none, or not known */
    int64_t window_start_ms; /* -1: no windows */
    int64_t window_end_ms;
};
void tumble_watch_batch(struct tumble_watch *watch, const struct tumble_watch_batch *batch);

/* A fragment of a window is over: its final succeeded, or the commit that put its rows into the outbox. */
struct tumble_watch_closing {
    uint32_t shard;
    uint32_t lane;
    int is_early; /* the mapping ended it before its time */
    int is_lost;  /* given up: its rows are not there */
    int64_t at_us;
    int64_t window_start_ms;
    int64_t window_end_ms;
    int64_t records;     /* -1: as told by batches */
    int64_t groups;      /* -1: not known */
    int64_t state_bytes; /* -1: not known */
};
void tumble_watch_window_closed(struct tumble_watch *watch, const struct tumble_watch_closing *closing);

/* Input read so far, in all: records, bytes, and of how many bytes in all (-1: not known). */
void tumble_watch_read(struct tumble_watch *watch, int64_t at_us, uint64_t records, uint64_t bytes,
                       int64_t total_bytes);

enum tumble_watch_work {
    TUMBLE_WATCH_INVOCATION, /* counted by tumble_watch_batch */
    TUMBLE_WATCH_COMMIT,
    TUMBLE_WATCH_DELIVERY, /* one offer of what is due to the outputs */
    TUMBLE_WATCH_GET_RECORDS,
    TUMBLE_WATCH_WORKS
};
void tumble_watch_took(struct tumble_watch *watch, enum tumble_watch_work work, int64_t at_us, uint64_t duration_ns);

enum tumble_watch_event {
    TUMBLE_WATCH_READ_THROTTLED,   /* GetRecords: the shard's limits */
    TUMBLE_WATCH_READ_ERROR,       /* and what was tried again after another error */
    TUMBLE_WATCH_ITERATOR_EXPIRED, /* and renewed */
    TUMBLE_WATCH_LEASE_TAKEN,
    TUMBLE_WATCH_LEASE_LOST,
    TUMBLE_WATCH_LEASE_RENEWAL_FAILED,
    TUMBLE_WATCH_LEASE_GIVEN_UP, /* to who asked for it */
    TUMBLE_WATCH_SHARD_DRAINED,  /* read to its end */
    TUMBLE_WATCH_EVENTS
};
void tumble_watch_event(struct tumble_watch *watch, enum tumble_watch_event event, uint32_t shard, int64_t at_us);

/* When its state is open, and behind each commit: the engine's counters and what waits for its outputs. From the thread
 * that uses the engine. */
void tumble_watch_engine(struct tumble_watch *watch, const struct tumble_engine *engine, int64_t at_us);
/* The same without an engine at hand. */
void tumble_watch_counters(struct tumble_watch *watch, const struct tumble_counters *counters);
/* Under an emulated mapping: AWS's metrics as they stand. */
void tumble_watch_mapping(struct tumble_watch *watch, const struct tumble_mapping_metrics *metrics);

/* The most since the last call, for figures by the minute; -1: there was none. */
struct tumble_watch_peaks {
    int64_t iterator_age_ms;
    int64_t duration_ns;
    int64_t batch_records;
};
void tumble_watch_take_peaks(struct tumble_watch *watch, struct tumble_watch_peaks *out);

/* Time of the latest that was told; -1: nothing was. */
int64_t tumble_watch_latest_us(struct tumble_watch *watch);

/* ---- looking ---- */

struct tumble_watch_histogram {
    struct tumble_latency fine; /* for quantiles */
    uint64_t sum;
    uint64_t upto[TUMBLE_WATCH_BOUNDS]; /* how many values are at most bounds[i], and above the one before */
    const uint64_t *bounds;             /* TUMBLE_WATCH_BOUNDS of them, ascending; values above the last are in count */
};

struct tumble_watch_shard {
    char id[TUMBLE_WATCH_NAME];
    int is_gone;
    uint64_t records, bytes, batches, errors, throttles, retries;
    uint64_t windows_closed, fragments_early;
    int64_t iterator_age_ms; /* of the last batch; -1: none yet */
    int64_t iterator_age_most_ms;
    int64_t last_arrival_ms; /* -1: none yet */
};

/* One step of the run. */
struct tumble_watch_point {
    uint64_t read_records, read_bytes;
    uint64_t records, bytes; /* in batches, those of retries too */
    uint32_t batches, errors, throttles, retries;
    uint32_t windows_closed, fragments_early;
    uint32_t commits, deliveries, ages;
    uint64_t commit_ns, delivery_ns; /* sums */
    uint64_t commit_most_ns, delivery_most_ns;
    int64_t age_sum_ms, age_most_ms;               /* most -1: no batch with records */
    int64_t arrival_most_ms;                       /* how far the run is in its records' time; -1 */
    uint64_t waiting_bytes;                        /* most that waited for outputs */
    uint64_t memory_bytes;                         /* most held by window tables */
    uint64_t open_windows;                         /* most at a time; told by tumble_watch_engine */
    uint32_t latency[TUMBLE_WATCH_SERIES_BUCKETS]; /* of invocations: 8 buckets an octave of microseconds */
};

struct tumble_watch_fragment {
    uint32_t shard;
    uint32_t lane;
    uint32_t ordinal; /* of the window's fragments in its shard; 1: the first */
    int64_t start_ms, end_ms;
    int64_t opened_us, closed_us; /* closed -1: open */
    uint64_t records, batches, errors;
    int64_t groups, state_bytes; /* -1: not known */
    int is_early, is_lost;
};

/* Fragments of the shards with a series, in the order in which they opened. When there would be more than
 * TUMBLE_WATCH_FRAGMENTS, only every 2nd, 4th, 8th … window (counted from 1970) is kept, of all shards. */
struct tumble_watch_timeline {
    const struct tumble_watch_fragment *fragments;
    uint32_t count;
    uint32_t every;           /* nth window is here */
    uint64_t left_out_shards; /* fragments of shards beyond those with a series */
};

struct tumble_watch_output {
    char name[256]; /* its URI, cut; without what stands before an @ */
    int is_failures;
    int is_held; /* in trouble */
    uint64_t waiting_bytes;
    uint32_t attempts;
};

struct tumble_watch_view {
    enum tumble_watch_kind kind;
    int64_t began_us, now_us; /* of what was told */
    /* While records came: since the first batch's arrived, or the run began, until the last batch with records was
     * over; -1: there was none. A mapping's run ends with the quiet that closes its last windows. */
    int64_t flow_began_us, flow_ended_us;
    /* totals */
    uint64_t read_records, read_bytes;
    int64_t total_bytes;                                      /* -1: not known */
    uint64_t batches, errors, throttles, retries;             /* batches: throttled ones not */
    uint64_t records, new_records, bytes, put_units;          /* in batches */
    uint64_t windows_closed, fragments_early, fragments_lost; /* closed: by their own final; not early, not lost */
    uint64_t events[TUMBLE_WATCH_EVENTS];
    int64_t iterator_age_ms, iterator_age_most_ms; /* of the last batch with one; -1: none */
    uint64_t iterator_ages;
    double iterator_age_sum_ms;
    int has_counters, has_mapping;
    struct tumble_counters counters;
    struct tumble_counters counters_before; /* as they were first told: those of earlier processes */
    struct tumble_mapping_metrics mapping;
    const struct tumble_watch_histogram *took; /* TUMBLE_WATCH_WORKS of them, nanoseconds */
    const struct tumble_watch_histogram *batch_records;
    const struct tumble_watch_shard *shards;
    uint32_t shard_count; /* the last one is "other" when there are more than TUMBLE_WATCH_SHARDS */
    const struct tumble_watch_output *outputs;
    uint32_t output_count;
    /* over time */
    int64_t step_us;
    const struct tumble_watch_point *points; /* points[i] covers began_us + i * step_us and on */
    uint32_t point_count;
    const int64_t *shard_ages; /* [shard][point], TUMBLE_WATCH_POINTS apart: most; -1 */
    const uint32_t *shard_records;
    uint32_t shard_series;
    struct tumble_watch_timeline timeline;
};

/* Shows the figures as they stand, all of one instant. Those who tell wait meanwhile: look() must not block, and must
 * not call tumble_watch_*. */
void tumble_watch_look(struct tumble_watch *watch, void (*look)(void *ctx, const struct tumble_watch_view *view),
                       void *ctx);

/* Quantile of a point's invocation latencies in microseconds, at most 12.5 % above the true one; -1: there were none.
 */
double tumble_watch_point_latency_us(const struct tumble_watch_point *point, double q);

#endif
