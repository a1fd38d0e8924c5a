#include "runner/live_feed.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runner/memory.h"

enum { EMPTY_BATCH_BYTES = 1024, LONGEST_NAP_MS = 1000 };

struct live_feed {
    struct live_feed *next;
    struct tumble_kinesis_reader *reader;
    void *owner;
    uint64_t serial;
    int64_t due_ms;
    int is_busy;
    int is_over; /* removed, ended or failed: freed as soon as nobody polls it */
};

struct tumble_live_feeds {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* for pollers: a feed, room in the queue, or the end */
    pthread_cond_t ready; /* for the taker */
    const struct tumble_kinesis_stream *stream;
    struct live_feed *feeds;
    struct tumble_live_batch *first;
    struct tumble_live_batch **last;
    size_t queued;
    size_t queue_bytes;
    uint64_t serial;
    pthread_t *threads;
    uint32_t thread_count;
    int ending;
    int woken;
};

int64_t tumble_live_steady_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static void wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms) {
    struct timespec at = {until_ms / 1000, (long)(until_ms % 1000) * 1000000};
    pthread_cond_timedwait(condition, lock, &at);
}

/* ---- one poll ---- */

static const char *lay(char **at, struct tumble_bytes text) {
    char *laid = *at;
    if (text.length) {
        memcpy(laid, text.data, text.length);
    }
    *at += text.length;
    return laid;
}

static void describe_gap(const struct tumble_kinesis_gap *gap, const char *shard, char *out, size_t size) {
    double hours =
        gap->after_ms > 0 && gap->before_ms > gap->after_ms ? (double)(gap->before_ms - gap->after_ms) / 3600000 : -1;
    char length[48] = "";
    if (hours >= 0) {
        snprintf(length, sizeof length, ", %.1f hours of them", hours);
    }
    snprintf(out, size, "shard %s: records behind %.*s aged out of the stream before they were read%s", shard,
             (int)gap->after.length, gap->after.data, length);
}

/* The batch with everything it points to in one block; NULL: no memory. */
static struct tumble_live_batch *copy_batch(const struct tumble_kinesis_batch *from, const char *shard) {
    size_t bytes = 0;
    for (size_t i = 0; i < from->count; i++) {
        const struct tumble_kinesis_read *record = &from->records[i];
        bytes += record->data.length + record->partition_key.length + record->sequence_number.length;
        bytes += record->bad ? strlen(record->bad) + 1 : 0;
    }
    size_t table = from->count * sizeof *from->records;
    struct tumble_live_batch *batch = tumble_runner_alloc_raw(sizeof *batch + table + bytes);
    if (!batch) {
        return NULL;
    }
    memset(batch, 0, sizeof *batch);
    char *at = (char *)batch->records + table;
    for (size_t i = 0; i < from->count; i++) {
        struct tumble_kinesis_read record = from->records[i];
        record.data.data = lay(&at, record.data);
        record.partition_key.data = lay(&at, record.partition_key);
        record.sequence_number.data = lay(&at, record.sequence_number);
        if (record.bad) {
            record.bad = lay(&at, (struct tumble_bytes){record.bad, strlen(record.bad) + 1});
        }
        batch->records[i] = record;
    }
    batch->count = from->count;
    batch->bytes = from->bytes;
    batch->held = sizeof *batch + table + bytes;
    batch->asked = from->asked;
    batch->millis_behind_latest = from->millis_behind_latest;
    batch->answered_ms = from->answered_ms;
    batch->get_records_ms = from->get_records_ms;
    batch->is_end = from->is_end;
    batch->renewed = from->iterator_renewed;
    if (from->gap) {
        describe_gap(from->gap, shard, batch->gap, sizeof batch->gap);
    }
    if (from->trouble) {
        snprintf(batch->trouble, sizeof batch->trouble, "%s", from->trouble);
        batch->throttled = from->throttled;
        batch->failing_for_ms = from->failing_for_ms;
        batch->failures = from->failures;
    }
    return batch;
}

static struct tumble_live_batch *failed_batch(enum tumble_code code, const struct tumble_error *error) {
    struct tumble_live_batch *batch = tumble_runner_alloc(sizeof *batch);
    if (batch) {
        batch->held = EMPTY_BATCH_BYTES;
        batch->code = code;
        batch->error = *error;
    }
    return batch;
}

/* *again_ms: when to poll again. NULL: nothing to tell. */
static struct tumble_live_batch *poll_once(struct live_feed *feed, int64_t *again_ms, int *is_over) {
    struct tumble_kinesis_batch got;
    struct tumble_error error = {.byte = -1, .record = -1};
    memset(&got, 0, sizeof got);
    *again_ms = tumble_live_steady_ms() + 100;
    enum tumble_code code = tumble_kinesis_reader_poll(feed->reader, &got, &error);
    struct tumble_live_batch *batch = NULL;
    if (code == TUMBLE_OK) {
        *again_ms = got.next_poll_steady_ms;
        if (!got.asked && !got.count && !got.is_end && !got.trouble && !got.gap) {
            return NULL;
        }
        batch = copy_batch(&got, tumble_kinesis_reader_shard(feed->reader));
        if (!batch) {
            code = tumble_runner_fail(&error, TUMBLE_ENOMEM, "out of memory");
        }
    }
    if (code == TUMBLE_EINTERRUPTED) {
        return NULL;
    }
    if (code != TUMBLE_OK) {
        batch = failed_batch(code, &error);
    }
    *is_over = code != TUMBLE_OK || got.is_end;
    if (batch) {
        batch->owner = feed->owner;
        batch->serial = feed->serial;
        batch->taken_steady_ms = tumble_live_steady_ms();
    }
    return batch;
}

/* ---- threads ---- */

static void unlink_feed(struct tumble_live_feeds *feeds, struct live_feed *feed) {
    struct live_feed **at = &feeds->feeds;
    while (*at != feed) {
        at = &(*at)->next;
    }
    *at = feed->next;
}

static void free_feed(struct live_feed *feed) {
    tumble_kinesis_reader_close(feed->reader);
    tumble_runner_free(feed);
}

/* The feed that is due first and that nobody polls; NULL: none. */
static struct live_feed *first_due(const struct tumble_live_feeds *feeds) {
    struct live_feed *first = NULL;
    for (struct live_feed *feed = feeds->feeds; feed; feed = feed->next) {
        if (!feed->is_busy && !feed->is_over && (!first || feed->due_ms < first->due_ms)) {
            first = feed;
        }
    }
    return first;
}

static void *poller_main(void *arg) {
    struct tumble_live_feeds *feeds = arg;
    pthread_mutex_lock(&feeds->lock);
    while (!feeds->ending) {
        struct live_feed *feed = feeds->queued < feeds->queue_bytes ? first_due(feeds) : NULL;
        int64_t now = tumble_live_steady_ms();
        if (!feed || feed->due_ms > now) {
            int64_t until = feed && feed->due_ms < now + LONGEST_NAP_MS ? feed->due_ms : now + LONGEST_NAP_MS;
            wait_until(&feeds->work, &feeds->lock, until);
            continue;
        }
        feed->is_busy = 1;
        pthread_mutex_unlock(&feeds->lock);
        int is_over = 0;
        int64_t again_ms;
        struct tumble_live_batch *batch = poll_once(feed, &again_ms, &is_over);
        pthread_mutex_lock(&feeds->lock);
        feed->is_busy = 0;
        feed->due_ms = again_ms;
        int was_removed = feed->is_over;
        feed->is_over |= is_over;
        if (batch && !was_removed) {
            *feeds->last = batch;
            feeds->last = &batch->next;
            feeds->queued += batch->held;
            pthread_cond_signal(&feeds->ready);
        } else {
            tumble_live_batch_free(batch);
        }
        if (feed->is_over) {
            unlink_feed(feeds, feed);
            pthread_mutex_unlock(&feeds->lock);
            free_feed(feed);
            pthread_mutex_lock(&feeds->lock);
        }
    }
    pthread_mutex_unlock(&feeds->lock);
    return NULL;
}

enum tumble_code tumble_live_feeds_new(const struct tumble_kinesis_stream *stream, uint32_t threads, size_t queue_bytes,
                                       struct tumble_live_feeds **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_live_feeds *feeds = tumble_runner_alloc(sizeof *feeds);
    pthread_t *ids = tumble_runner_alloc(threads * sizeof *ids);
    if (!feeds || !ids) {
        tumble_runner_free(feeds);
        tumble_runner_free(ids);
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&feeds->lock, NULL);
    pthread_cond_init(&feeds->work, &steady);
    pthread_cond_init(&feeds->ready, &steady);
    pthread_condattr_destroy(&steady);
    feeds->stream = stream;
    feeds->queue_bytes = queue_bytes;
    feeds->last = &feeds->first;
    feeds->threads = ids;
    while (feeds->thread_count < threads) {
        int error = pthread_create(&ids[feeds->thread_count], NULL, poller_main, feeds);
        if (error) {
            tumble_live_feeds_destroy(feeds);
            return tumble_runner_fail(err, TUMBLE_ELIMIT, "cannot start %u threads: %s", threads, strerror(error));
        }
        feeds->thread_count++;
    }
    *out = feeds;
    return TUMBLE_OK;
}

void tumble_live_feeds_destroy(struct tumble_live_feeds *feeds) {
    if (!feeds) {
        return;
    }
    pthread_mutex_lock(&feeds->lock);
    feeds->ending = 1;
    pthread_cond_broadcast(&feeds->work);
    pthread_mutex_unlock(&feeds->lock);
    for (uint32_t i = 0; i < feeds->thread_count; i++) {
        pthread_join(feeds->threads[i], NULL);
    }
    while (feeds->first) {
        struct tumble_live_batch *next = feeds->first->next;
        tumble_live_batch_free(feeds->first);
        feeds->first = next;
    }
    while (feeds->feeds) {
        struct live_feed *next = feeds->feeds->next;
        free_feed(feeds->feeds);
        feeds->feeds = next;
    }
    pthread_cond_destroy(&feeds->work);
    pthread_cond_destroy(&feeds->ready);
    pthread_mutex_destroy(&feeds->lock);
    tumble_runner_free(feeds->threads);
    tumble_runner_free(feeds);
}

/* ---- for the taker ---- */

enum tumble_code tumble_live_feeds_add(struct tumble_live_feeds *feeds, void *owner, const char *shard_id,
                                       const struct tumble_kinesis_position *position, uint64_t *serial,
                                       struct tumble_error *err) {
    struct live_feed *feed = tumble_runner_alloc(sizeof *feed);
    if (!feed) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    enum tumble_code code = tumble_kinesis_reader_open(feeds->stream, shard_id, position, 0, &feed->reader, err);
    if (code != TUMBLE_OK) {
        tumble_runner_free(feed);
        return code;
    }
    pthread_mutex_lock(&feeds->lock);
    feed->owner = owner;
    feed->serial = *serial = ++feeds->serial;
    feed->next = feeds->feeds;
    feeds->feeds = feed;
    pthread_cond_signal(&feeds->work);
    pthread_mutex_unlock(&feeds->lock);
    return TUMBLE_OK;
}

void tumble_live_feeds_remove(struct tumble_live_feeds *feeds, uint64_t serial) {
    pthread_mutex_lock(&feeds->lock);
    struct live_feed *feed = feeds->feeds;
    while (feed && feed->serial != serial) {
        feed = feed->next;
    }
    int is_free = feed && !feed->is_busy;
    if (feed) {
        feed->is_over = 1;
    }
    if (is_free) {
        unlink_feed(feeds, feed);
    }
    pthread_mutex_unlock(&feeds->lock);
    if (is_free) {
        free_feed(feed);
    }
}

struct tumble_live_batch *tumble_live_feeds_take(struct tumble_live_feeds *feeds, int64_t timeout_ms) {
    int64_t until = tumble_live_steady_ms() + timeout_ms;
    pthread_mutex_lock(&feeds->lock);
    while (!feeds->first && !feeds->woken && tumble_live_steady_ms() < until) {
        wait_until(&feeds->ready, &feeds->lock, until);
    }
    struct tumble_live_batch *first = feeds->first;
    feeds->woken = 0;
    feeds->first = NULL;
    feeds->last = &feeds->first;
    feeds->queued = 0;
    if (first) {
        pthread_cond_broadcast(&feeds->work);
    }
    pthread_mutex_unlock(&feeds->lock);
    return first;
}

void tumble_live_feeds_wake(struct tumble_live_feeds *feeds) {
    pthread_mutex_lock(&feeds->lock);
    feeds->woken = 1;
    pthread_cond_signal(&feeds->ready);
    pthread_mutex_unlock(&feeds->lock);
}

void tumble_live_batch_free(struct tumble_live_batch *batch) { tumble_runner_free(batch); }
