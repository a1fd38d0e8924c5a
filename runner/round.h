#ifndef TUMBLE_RUNNER_ROUND_H
#define TUMBLE_RUNNER_ROUND_H

#include <tumble/engine.h>

#include "adapters/inputs/capture/capture.h"
#include "emulator/emulator.h"
#include "runner/latency.h"
#include "runner/watch.h"
#include "runner/workers.h"

/* A round is what one poll of every shard would bring: records read one after the other, sorted into shards and
 * windows, then applied in batches, shards in parallel, and committed together. A round ends when a shard has a full
 * batch, when the round holds enough bytes, or behind a record that closes a window; so the state after each commit is
 * that of a prefix of the input, whatever the threads. Rows do not depend on where rounds end. */

/* Where a record came from, for messages. */
struct tumble_origin {
    uint64_t number;
    uint64_t line;
    uint64_t offset;
    uint64_t ordinal; /* among all records of the run */
    uint32_t input;
    uint32_t part; /* of an aggregate */
};

/* Payloads that were read one behind the other out of one stretch of memory: where each came from follows from where
 * its data lies. Their numbers (struct tumble_short_record) count from 1 over the whole run. */
struct tumble_span {
    struct tumble_origin origin; /* of the first; its ordinal is its number less one */
    const char *data;            /* of the first */
};

/* Records of one window, in order. */
struct tumble_run {
    int64_t window_start_ms;
    struct tumble_record *records; /* rounds of records in full */
    struct tumble_origin *origins;
    struct tumble_short_record *shorts; /* rounds of payloads */
    size_t count;
    size_t record_capacity;
    size_t origin_capacity;
    size_t short_capacity;
    uint32_t *batch_ends; /* index behind the last record of each batch but the one being filled */
    size_t batch_count;
    size_t batch_capacity;
    struct tumble_batcher batcher;
    uint64_t applied_ns; /* what applying the batch at hand took so far */
    size_t applied;      /* records of it */
};

/* A record whose fate is decided without the engine. */
struct tumble_refusal {
    struct tumble_record record;
    struct tumble_origin origin;
    enum tumble_fate fate;
    char reason[200];
};

struct tumble_load { /* of a lane, in one round */
    struct tumble_run *runs;
    size_t run_count; /* in this round */
    size_t run_capacity;
    struct tumble_refusal *refusals;
    size_t refusal_count;
    size_t refusal_capacity;
};

struct tumble_lane { /* one shard's part of the rounds */
    struct tumble_shard *shard;
    uint32_t index;
    uint32_t watch_shard;        /* its number in the round's watch */
    struct tumble_load loads[2]; /* of the round being filled, and of the one being applied: see struct tumble_round */
    uint64_t batches;
    struct tumble_latency *latency;
    enum tumble_code code; /* of this round */
    struct tumble_error error;
    struct tumble_origin failed; /* of the record that ended it, when code is ERECORD */
    char mark[128];              /* highest sequence number read; captures that carry them */
    char lowest[128];
    uint32_t mark_length;
    uint32_t mark_part; /* highest part of the aggregate with that number */
    /* Records of that number read one behind the other, when Lambda split the aggregate; and the last of them. */
    uint32_t run;
    uint32_t run_input;
    uint64_t run_number;
    uint32_t lowest_length;
};

enum { TUMBLE_ROUND_BYTES = 16 * 1024 * 1024 }; /* of events: a round ends past so many */

struct tumble_round {
    struct tumble_engine *engine;
    struct tumble_watch *watch; /* NULL: nobody looks */
    struct tumble_batch_limits limits;
    struct tumble_lane **lanes;
    size_t lane_count;
    size_t lane_capacity;
    tumble_lengthen_fn *lengthen; /* of payloads; NULL: records come in full */
    void *lengthen_ctx;
    /* While one round is filled another may be applied, so what belongs to one is there twice: [taking], [applying]. */
    int taking;
    int applying; /* the same as taking unless that other one is under way */
    struct {
        struct tumble_span *spans; /* of payloads, ascending */
        size_t span_count;
        size_t span_capacity;
    } places[2];
    struct tumble_lane **applied; /* lanes when applying began: others may be made meanwhile */
    size_t applied_count;
    size_t applied_capacity;
    struct tumble_workers *workers; /* that apply; NULL: nobody does */
    size_t records;
    size_t bytes;
    int full_batch; /* some shard has a full batch */
};

void tumble_round_init(struct tumble_round *round, struct tumble_engine *engine, struct tumble_batch_limits limits);
void tumble_round_clean_up(struct tumble_round *round);

enum tumble_code tumble_round_lane(struct tumble_round *round, struct tumble_bytes shard_id, struct tumble_lane **out,
                                   struct tumble_error *err);
enum tumble_code tumble_round_add(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                  const struct tumble_record *record, const struct tumble_origin *origin);
/* Adds *count records of those from the one at on, the first of which has that ordinal, and sets *count to how many
 * those were: fewer when the round has to end behind one of them. */
enum tumble_code tumble_round_add_alike(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                        const struct tumble_captured_alike *alike, size_t at, uint64_t ordinal,
                                        size_t *count);
/* Records in short: the next ones, until span says otherwise, came from there. */
enum tumble_code tumble_round_span(struct tumble_round *round, const struct tumble_span *span);
/* Adds the first *count records, numbered from number on, and sets *count to how many those were: fewer when the round
 * has to end behind one of them. */
enum tumble_code tumble_round_add_shorts(struct tumble_round *round, struct tumble_lane *lane, int64_t window_start_ms,
                                         const struct tumble_short_record *records, size_t *count, uint64_t number,
                                         size_t key_bytes, size_t sequence_digits);
enum tumble_code tumble_round_refuse(struct tumble_round *round, struct tumble_lane *lane, enum tumble_fate fate,
                                     const struct tumble_record *record, const struct tumble_origin *origin,
                                     const char *reason);

/* Applies what there is and forgets it, while the round goes on: records need not be kept till its end. */
enum tumble_code tumble_round_apply_early(struct tumble_round *round, struct tumble_workers *workers,
                                          struct tumble_lane **failed);
/* tumble_round_apply in two steps: the next round can be filled in between. wait without start is OK. Neither lanes nor
 * anything of them is looked at by others meanwhile. */
enum tumble_code tumble_round_start(struct tumble_round *round, struct tumble_workers *workers);
enum tumble_code tumble_round_wait(struct tumble_round *round, struct tumble_lane **failed);
/* Applies everything. On failure *failed is the lane whose record comes first in the input. The round is empty after.
 */
enum tumble_code tumble_round_apply(struct tumble_round *round, struct tumble_workers *workers,
                                    struct tumble_lane **failed);

#endif
