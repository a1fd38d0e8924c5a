#ifndef TW_EMULATOR_MAPPING_INTERNAL_H
#define TW_EMULATOR_MAPPING_INTERNAL_H

#include <stdbool.h>

#include "emulator/mapping.h"
#include "engine/base/buf.h"
#include "engine/codec/filter_pattern.h"

/* mapping.c: what happens next, over all lanes · lane.c: what a lane does next, and its invocations · lane_outcome.c:
 * what follows from an answer · lane_queue.c: from the stream into the lanes' queues · record_filter.c: FilterCriteria
 * · batch_response.c: the grammar of a response · failure_document.c: what an on-failure destination gets.
 *
 * A lane is what runs at most one invocation at a time: a shard, or with ParallelizationFactor n the n-th part of a
 * shard's partition keys. When a record can be seen is a function of the record, so a lane that is free knows at once
 * when it will send what: there are two kinds of event, a lane sends and a lane's invocation ends. */

enum {
    TW_SPLITS_MAX = 24,     /* a batch of 10,000 is halved 14 times */
    TW_ANSWERED_KEPT = 64,  /* records that stay in reach for faults */
    TW_RECORDS_PULLED = 256 /* from the stream at a time */
};

/* When a record could be read first, and its number in the shard. */
struct tw_mark {
    int64_t available_ms;
    uint64_t position;
};

/* Records read and not done with, in order and side by side, as requests show them. Behind the front lie some that were
 * answered. */
struct tw_queue {
    struct tumble_stream_record *records;
    struct tw_mark *marks;
    size_t front, end, capacity;
    size_t answered; /* right before the front, in the open window */
};

/* One batch, or what is left of it: the foremost records of the queue that follow those of the segments above. */
struct tw_segment {
    uint32_t count;
    uint32_t failures;  /* attempts that took a retry */
    uint32_t throttles; /* and those that did not */
    bool is_oversized;
    bool has_id;
    char request_id[TUMBLE_REQUEST_ID_TEXT];
};

enum tw_phase { TW_PHASE_PARENTS, TW_PHASE_READY, TW_PHASE_RUNNING, TW_PHASE_STARVED, TW_PHASE_DONE };
enum tw_closing { TW_CLOSING_NOT, TW_CLOSING_FINAL, TW_CLOSING_EARLY };

enum tw_outcome_kind { TW_OUTCOME_SUCCESS, TW_OUTCOME_PARTIAL, TW_OUTCOME_FAILURE, TW_OUTCOME_AGAIN };
struct tw_outcome {
    enum tw_outcome_kind kind;
    uint32_t acknowledged;      /* PARTIAL: how many records before the one to retry from; > 0 */
    const char *function_error; /* FAILURE: "Unhandled", or NULL for a response that is no answer */
    struct tumble_bytes state;  /* text of the response's state; view */
};

#define TW_NO_SLOT UINT32_MAX
struct tw_lane {
    uint32_t slot; /* while its invocation runs; TW_NO_SLOT: it was throttled by the limit on concurrency */
    uint32_t shard;
    uint32_t part;
    enum tw_phase phase;
    int64_t next_ms;
    struct tw_queue queue;
    struct tw_segment segments[TW_SPLITS_MAX]; /* the last one is the next */
    uint32_t segment_count;
    enum tw_closing closing;
    struct tw_segment final; /* its attempts; no records */
    int64_t final_due_ms;
    int64_t not_before_ms; /* backoff */
    struct tw_outcome outcome;
    /* the window */
    bool is_open; /* something of it was sent */
    bool was_closed;
    int64_t window_ms; /* start */
    int64_t closed_ms; /* start of the last one that was closed */
    int64_t last_available_ms;
    struct tw_buf state;
    struct tw_buf next_state;
};

struct tw_shard {
    struct tw_lane *lanes;
    uint64_t pulled;    /* records taken from the stream */
    uint64_t buffered;  /* in the queues */
    int64_t visible_ms; /* of the last record pulled */
    bool is_begun;      /* past the starting position */
    bool is_drained;    /* the stream has no more */
    bool is_started;    /* its parents are over */
    uint32_t lanes_left;
};

struct tumble_mapping {
    struct tumble_alloc alloc;
    const struct tumble_mapping_parameters *parameters;
    struct tumble_mapping_options options; /* defaults filled in */
    struct tumble_stream stream;
    struct tumble_emulated_function function;
    struct tumble_mapping_metrics metrics;
    int64_t window_length_ms; /* 0: none */
    struct tumble_bytes event_source_arn;
    const char *function_arn;
    const char *uuid;
    struct tw_shard *shards;
    struct tw_lane *lanes;
    uint32_t lane_count;
    uint32_t *heap; /* lanes that are ready or running, by time */
    uint32_t heap_count;
    uint32_t running;
    uint8_t *slots; /* 1: taken, as many as lanes */
    uint64_t random;
    uint64_t record_fixed; /* bytes of a record in the event that all have */
    struct tw_record_filter *filter;
    struct tumble_event_writer *writer;
    struct tw_buf document;
    struct tumble_stream_record pulled[TW_RECORDS_PULLED];
};

/* lane_queue.c */
/* Makes record `index` of the lane's queue be there: false when the shard has no more, or *full: there is no room to
 * read on. */
enum tumble_code tw_lane_reach(struct tumble_mapping *mapping, struct tw_lane *lane, size_t index, bool *there,
                               bool *full, struct tumble_error *err);
static inline size_t tw_queue_length(const struct tw_queue *queue) { return queue->end - queue->front; }
/* The foremost count records are done with. */
void tw_lane_pop(struct tumble_mapping *mapping, struct tw_lane *lane, size_t count, bool answered);
void tw_lane_forget_answered(struct tumble_mapping *mapping, struct tw_lane *lane);
void tw_queue_clean_up(struct tumble_mapping *mapping, struct tw_queue *queue);

/* lane.c */
/* A lane that has nothing in flight decides what is next, and when. */
enum tumble_code tw_lane_prepare(struct tumble_mapping *mapping, struct tw_lane *lane, int64_t now_ms,
                                 struct tumble_error *err);
enum tumble_code tw_lane_send(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err);
int64_t tw_lane_window_of(const struct tumble_mapping *mapping, const struct tumble_stream_record *record);
struct tw_segment *tw_lane_current(struct tw_lane *lane); /* the segment or final at hand */
enum tumble_code tw_lane_empty_state(struct tw_lane *lane, struct tumble_error *err);

/* lane_outcome.c */
enum tumble_code tw_lane_finish(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err);
/* An attempt that failed: split, again later, or given up. */
enum tumble_code tw_lane_failed(struct tumble_mapping *mapping, struct tw_lane *lane, bool has_context,
                                const char *function_error, struct tumble_error *err);
enum tumble_code tw_lane_close_window(struct tumble_mapping *mapping, struct tw_lane *lane, struct tumble_error *err);
/* The foremost count records of the segment (or the final) go to the destination. */
enum tumble_code tw_lane_discard(struct tumble_mapping *mapping, struct tw_lane *lane, size_t count,
                                 enum tumble_failure_condition condition, bool has_context, const char *function_error,
                                 struct tumble_error *err);

/* batch_response.c */
/* What a response says about a batch. needs_state: it is no answer without one. */
struct tw_outcome tw_batch_response(struct tumble_bytes response, bool needs_state, bool reports,
                                    const struct tumble_stream_record *records, size_t count);

/* failure_document.c */
struct tw_failure_facts {
    uint32_t invoke_count;
    bool has_context;
    const char *function_error;
};
/* Fills failure->document and s3_key (into key, of TW_S3_KEY_TEXT bytes). */
enum { TW_S3_KEY_TEXT = 64 + TUMBLE_DESTINATION_TEXT + 64 + 40 };
enum tumble_code tw_failure_document(struct tumble_mapping *mapping, const struct tw_failure_facts *facts,
                                     struct tumble_failure *failure, char key[TW_S3_KEY_TEXT],
                                     struct tumble_error *err);

/* record_filter.c */
struct tw_record_filter;
/* NULL in *out: nothing is filtered. */
enum tumble_code tw_record_filter_new(const struct tumble_mapping_parameters *parameters, struct tumble_alloc alloc,
                                      struct tw_record_filter **out, struct tumble_error *err);
void tw_record_filter_destroy(struct tw_record_filter *filter);
bool tw_record_filter_passes(const struct tw_record_filter *filter, struct tumble_bytes data);

#endif
