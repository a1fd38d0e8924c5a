#ifndef TUMBLE_RUNNER_LIVE_INTERNAL_H
#define TUMBLE_RUNNER_LIVE_INTERNAL_H

#include <stdatomic.h>

#include <tumble/kpl.h>

#include "adapters/leases/dynamodb_lease.h"
#include "runner/delivery.h"
#include "runner/latency.h"
#include "runner/live.h"
#include "runner/live_feed.h"
#include "runner/memory.h"

/* One run over a live stream, as its files share it. live.c: setting up, the loop, commits · live_shards.c: which
 * shards there are, which may be read, where each stands · live_apply.c: batches into windows · live_feed.c: threads
 * that poll · live_lister.c: the thread that lists shards · live_notes.c: what the state keeps. */

enum {
    LIVE_QUEUE_BYTES = 64 * 1024 * 1024,  /* read and not yet applied */
    LIVE_COMMIT_BYTES = 32 * 1024 * 1024, /* applied since the last commit: the next is due */
    LIVE_LIST_MS = 10000,                 /* between looks at the stream's shards */
    LIVE_PROGRESS_MS = 100,
    LIVE_GRACE_MS = 10000 /* for outputs, after a signal */
};

struct live_lister;
struct live_share;
struct live_lease;

enum live_phase {
    LIVE_WAITING, /* for its parents to be drained; shared: or for its lease */
    LIVE_READING,
    LIVE_DRAINED, /* read to its end and its windows closed: done with the next commit */
    LIVE_DONE
};

/* Shared: a fragment of a window, until nobody can need to know of it any more. */
struct live_fragment {
    struct tumble_lease_cut cut;
    int is_closed;    /* by this process; else another closed it there, and it will be again */
    int is_recorded;  /* the lease's item says so: its rows may leave */
    uint64_t written; /* acknowledged when the outbox is acknowledged up to here; 0: not committed yet */
};

struct live_shard {
    char id[TUMBLE_KINESIS_ID];
    char parents[2][TUMBLE_KINESIS_ID]; /* "": none */
    struct tumble_hash_range range;
    int is_listed; /* by the stream, when it was asked last */
    enum live_phase phase;
    struct tumble_shard *engine_shard;      /* made when it is first read */
    char sequence[TUMBLE_KINESIS_SEQUENCE]; /* of the last record applied or passed over; "": none yet */
    int64_t arrival_ms;                     /* its; -1: not known */
    int64_t *open;                          /* starts of open windows, ascending */
    size_t open_count;
    size_t open_capacity;
    int64_t *closing; /* starts of windows closed since the last commit */
    size_t closing_count;
    size_t closing_capacity;
    uint64_t feed;                  /* serial; 0: not polled */
    struct tumble_live_batch *held; /* wait for the batching window */
    struct tumble_live_batch **held_last;
    size_t held_records;
    int64_t held_since_ms;
    int64_t tip_since_ms; /* steady, since when polls find nothing at the tip; -1: they do not */
    int64_t behind_ms;    /* as the shard said last; -1 */
    int is_in_trouble;
    uint32_t watch;
    /* shared */
    struct live_lease *lease; /* NULL: another process may have it */
    struct live_fragment *fragments;
    size_t fragment_count;
    size_t fragment_capacity;
    int lease_behind; /* the item is not known to say what it should */
    int begins_at;    /* AT_SEQUENCE_NUMBER: with begin_sequence, while nothing was applied */
    char begin_sequence[TUMBLE_KINESIS_SEQUENCE];
    char local_owner[TUMBLE_LEASE_OWNER]; /* of the lease under which the state has the shard; "": it has not */
    uint64_t local_term;
};

struct live {
    const struct tumble_live_options *options;
    struct tumble_live_summary *summary;
    struct tumble_kinesis_stream *stream;
    struct tumble_kinesis_facts facts;
    struct tumble_engine *engine;
    struct tumble_deliverer deliverer;
    struct tumble_output_host host;
    struct tumble_live_feeds *feeds;
    struct live_lister *lister;
    struct live_share *share; /* NULL: the stream is this process's alone */
    struct tumble_kpl *kpl;
    int64_t window_ms;
    struct live_shard **shards;
    size_t shard_count;
    size_t shard_capacity;
    enum tumble_kinesis_start start; /* of shards that nothing is known of */
    int64_t start_ms;
    int begins_latest; /* the run that made the state, until its first listing is done: LATEST as Kinesis means it */
    uint64_t listings_asked;
    uint64_t listings_done;
    int64_t list_at_ms;        /* when the next is due */
    struct tumble_record *run; /* records of one window, to be applied together */
    uint32_t *run_index;       /* of which record of the batch each is (a part) */
    size_t run_count;
    size_t run_capacity;
    size_t index_capacity;
    int64_t run_window_ms;
    int is_dirty; /* something is not committed */
    uint64_t uncommitted_bytes;
    int64_t committed_at_ms;
    int64_t deliver_at_ms; /* an output in trouble is tried again; INT64_MAX: none */
    int64_t began_ms;
    int64_t progress_at_ms;
    size_t troubled_shards;
    int trouble_told;
    int list_trouble_told;
    int stopping;
    /* shared: of the outbox, as the commit under way makes them last */
    uint64_t acknowledged;
    uint64_t failures_written;
    uint64_t failures_acknowledged;
    _Atomic int64_t grace_until_ms; /* what is due may still be delivered; 0: no signal came yet */
    atomic_int reading_ends;
    struct tumble_latency *latency;
    struct tumble_latency *commit_latency;
    char lease_group[TUMBLE_LEASE_GROUP_ID]; /* of the lease table, by the state, then by the table; "": none */
    char *temporary;                         /* state directory to remove */
};

/* live.c */
void tumble_live_say(const struct live *live, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum tumble_code tumble_live_no_memory(struct tumble_error *err);
/* Everything since the last commit, with the positions; then rows go out. Errors: as of the engine's. */
enum tumble_code tumble_live_commit(struct live *live, struct tumble_error *err);

/* Until when what is due may be delivered, once a signal came; else INT64_MAX. From any thread. */
int64_t tumble_live_grace_until(struct live *live);

/* live_shards.c */
enum tumble_code tumble_live_start_reading(struct live *live, struct live_shard *shard, struct tumble_error *err);
/* Nothing more of it is read, and what is not applied is dropped. */
void tumble_live_stop_reading(struct live *live, struct live_shard *shard);
struct live_shard *tumble_live_shard(const struct live *live, const char *id);
enum tumble_code tumble_live_add_shard(struct live *live, const char *id, struct live_shard **out,
                                       struct tumble_error *err);
/* What the stream says of its shards now. */
enum tumble_code tumble_live_listed(struct live *live, const struct tumble_kinesis_shard *shards, size_t count,
                                    struct tumble_error *err);
/* Reads every shard that may be read. */
enum tumble_code tumble_live_start_shards(struct live *live, struct tumble_error *err);
/* To people and the watch. */
void tumble_live_tell_drained(struct live *live, const struct live_shard *shard);
/* Drained shards whose drain is committed are done; asks for a new list when one was. */
void tumble_live_settle_shards(struct live *live);
/* The engine's side of a shard, with the windows that are open in it. */
enum tumble_code tumble_live_open_shard(struct live *live, struct live_shard *shard, struct tumble_error *err);
void tumble_live_free_shards(struct live *live);
int tumble_live_push_start(int64_t **starts, size_t *count, size_t *capacity, int64_t start_ms); /* 0: no memory */

/* live_apply.c */
/* Takes over the batch. */
enum tumble_code tumble_live_apply(struct live *live, struct tumble_live_batch *batch, struct tumble_error *err);
/* What waited long enough for its batch to fill; all: whatever waits. */
enum tumble_code tumble_live_apply_held(struct live *live, int all, struct tumble_error *err);
enum tumble_code tumble_live_close_windows(struct live *live, struct live_shard *shard, int64_t before_ms,
                                           struct tumble_error *err);
/* Windows that are over, of shards that have had nothing at their tip for the idle time. */
enum tumble_code tumble_live_close_idle(struct live *live, struct tumble_error *err);

/* live_notes.c */
enum tumble_code tumble_live_resume(struct live *live, struct tumble_error *err);
enum tumble_code tumble_live_note_positions(struct live *live, struct tumble_error *err);

/* live_share.c, live_cuts.c: leases, what they allow and what they must be told. Without a share all of these do
 * nothing. */
/* Joins the group; positions of unknown shards are then the group's. Before shards are read. */
enum tumble_code tumble_live_share_open(struct live *live, struct tumble_error *err);
/* Takes what the state has still, forgets the rest of it, and begins to keep leases. After the first listing. */
enum tumble_code tumble_live_share_start(struct live *live, struct tumble_error *err);
/* Drops shards whose leases were lost, and commits that. */
enum tumble_code tumble_live_share_drop_lost(struct live *live, struct tumble_error *err);
/* Begins to read what was taken; feeds are there. */
enum tumble_code tumble_live_share_begin(struct live *live, struct tumble_error *err);
/* The feeds go away: nobody is woken any more. */
void tumble_live_share_quiet(struct live *live);
void tumble_live_share_close(struct live *live);
/* What leases were taken, lost or asked for: between batches. */
enum tumble_code tumble_live_share_turn(struct live *live, struct tumble_error *err);
void tumble_live_share_listed(struct live *live);
/* A window is closed: to be recorded before its rows leave. */
enum tumble_code tumble_live_share_closed(struct live *live, struct live_shard *shard,
                                          const struct tumble_window_info *info, struct tumble_error *err);
/* What was closed there by a process before this one: NULL: nothing. */
const struct live_fragment *tumble_live_share_cut(const struct live_shard *shard, int64_t start_ms,
                                                  struct tumble_bytes sequence);
/* Around a commit: before, after it (records what was closed), and whether rows may leave now. */
void tumble_live_share_before_commit(struct live *live);
enum tumble_code tumble_live_share_committed(struct live *live, struct tumble_error *err);
int tumble_live_share_may_deliver(const struct live *live);
/* How long output calls may go on; INT64_MAX: for ever. From any thread. */
int64_t tumble_live_share_remaining_ms(const struct live *live);
int tumble_live_share_has_lost(const struct live *live); /* from any thread */
/* Everything that is delivered is told, then all leases are given up. */
void tumble_live_share_release(struct live *live);
enum tumble_code tumble_live_share_note(struct live *live, struct tumble_error *err);
enum tumble_code tumble_live_share_resume(struct live *live, struct tumble_error *err);

/* live_lister.c */
struct live_listing {
    struct tumble_kinesis_shard *shards; /* to be freed by tumble_runner_free */
    size_t count;
    uint64_t number;       /* which request it answers, and all before it */
    enum tumble_code code; /* of one that failed for good, or for now (may_pass) */
    int may_pass;
    struct tumble_error error;
};
/* feeds is woken when a listing is there. stream is the lister's alone from now on. */
enum tumble_code tumble_live_lister_new(struct tumble_kinesis_stream *stream, struct tumble_live_feeds *feeds,
                                        struct live_lister **out, struct tumble_error *err);
void tumble_live_lister_destroy(struct live_lister *lister);
void tumble_live_lister_ask(struct live_lister *lister, uint64_t number);
int tumble_live_lister_take(struct live_lister *lister, struct live_listing *out); /* 0: none is there */

#endif
