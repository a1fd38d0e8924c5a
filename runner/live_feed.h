#ifndef TUMBLE_RUNNER_LIVE_FEED_H
#define TUMBLE_RUNNER_LIVE_FEED_H

#include "adapters/inputs/kinesis/kinesis_stream.h"

/* Threads that poll shards and a queue of what they brought, bounded by bytes. A shard is polled by one thread at a
 * time, so its batches come in order. Functions are for the thread that made the feeds. */

/* What one poll brought; the one who takes it frees it. */
struct tumble_live_batch {
    struct tumble_live_batch *next;
    void *owner;     /* as given to add */
    uint64_t serial; /* of the feed: one that was removed meanwhile has no say any more */
    size_t count;
    uint64_t bytes;
    size_t held;             /* what it counts for in the queue */
    int64_t taken_steady_ms; /* when it came */
    int64_t millis_behind_latest;
    int64_t answered_ms;
    int64_t get_records_ms;
    int64_t failing_for_ms;
    uint32_t failures;
    int asked;
    int is_end;
    int throttled;
    int renewed;
    enum tumble_code code; /* not OK: the reader cannot go on */
    struct tumble_error error;
    char gap[320];     /* what was missed in front of the records; "": nothing */
    char trouble[320]; /* "": none */
    struct tumble_kinesis_read records[];
};

struct tumble_live_feeds;

/* interrupted of the stream's options is the caller's own. Errors: ENOMEM, ELIMIT. */
enum tumble_code tumble_live_feeds_new(const struct tumble_kinesis_stream *stream, uint32_t threads, size_t queue_bytes,
                                       struct tumble_live_feeds **out, struct tumble_error *err);
/* Ends what is under way as soon as the stream's interrupted says so. NULL allowed. */
void tumble_live_feeds_destroy(struct tumble_live_feeds *feeds);

/* Polls a shard from position on; *serial is never 0. Errors: ENOMEM and those of tumble_kinesis_reader_open. */
enum tumble_code tumble_live_feeds_add(struct tumble_live_feeds *feeds, void *owner, const char *shard_id,
                                       const struct tumble_kinesis_position *position, uint64_t *serial,
                                       struct tumble_error *err);
/* Nothing of it is polled any more. Batches of it may still be in the queue. */
void tumble_live_feeds_remove(struct tumble_live_feeds *feeds, uint64_t serial);

/* Everything that came, in order; waits for at most timeout_ms when nothing did. NULL: nothing. */
struct tumble_live_batch *tumble_live_feeds_take(struct tumble_live_feeds *feeds, int64_t timeout_ms);
/* Wakes who waits in take; from any thread. */
void tumble_live_feeds_wake(struct tumble_live_feeds *feeds);
void tumble_live_batch_free(struct tumble_live_batch *batch);

int64_t tumble_live_steady_ms(void); /* the clock of taken_steady_ms */

#endif
