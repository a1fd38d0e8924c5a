#include <pthread.h>
#include <string.h>

#include "runner/live_internal.h"

/* Lists the stream's shards on a thread of its own: the call may take its time, and rows must not wait for it. */

struct live_lister {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    pthread_t thread;
    struct tumble_kinesis_stream *stream;
    struct tumble_live_feeds *feeds;
    uint64_t wanted;
    uint64_t answered;
    int ending;
    int is_there;
    struct live_listing listing;
};

static void list(struct live_lister *lister, struct live_listing *out) {
    const struct tumble_kinesis_shard *shards;
    size_t count = 0;
    out->code = tumble_kinesis_shards(lister->stream, &shards, &count, &out->may_pass, &out->error);
    if (out->code != TUMBLE_OK) {
        return;
    }
    out->shards = tumble_runner_alloc_raw((count + 1) * sizeof *out->shards);
    if (!out->shards) {
        out->code = tumble_runner_fail(&out->error, TUMBLE_ENOMEM, "out of memory");
        out->may_pass = 1;
        return;
    }
    memcpy(out->shards, shards, count * sizeof *out->shards);
    out->count = count;
}

static void *lister_main(void *arg) {
    struct live_lister *lister = arg;
    pthread_mutex_lock(&lister->lock);
    for (;;) {
        while (!lister->ending && lister->wanted == lister->answered) {
            pthread_cond_wait(&lister->asked, &lister->lock);
        }
        if (lister->ending) {
            break;
        }
        struct live_listing listing = {.number = lister->wanted};
        pthread_mutex_unlock(&lister->lock);
        list(lister, &listing);
        pthread_mutex_lock(&lister->lock);
        lister->answered = listing.number;
        if (lister->is_there) {
            tumble_runner_free(lister->listing.shards);
        }
        lister->listing = listing;
        lister->is_there = 1;
        tumble_live_feeds_wake(lister->feeds);
    }
    pthread_mutex_unlock(&lister->lock);
    return NULL;
}

enum tumble_code tumble_live_lister_new(struct tumble_kinesis_stream *stream, struct tumble_live_feeds *feeds,
                                        struct live_lister **out, struct tumble_error *err) {
    struct live_lister *lister = tumble_runner_alloc(sizeof *lister);
    *out = NULL;
    if (!lister) {
        return tumble_live_no_memory(err);
    }
    lister->stream = stream;
    lister->feeds = feeds;
    pthread_mutex_init(&lister->lock, NULL);
    pthread_cond_init(&lister->asked, NULL);
    int error = pthread_create(&lister->thread, NULL, lister_main, lister);
    if (error) {
        pthread_cond_destroy(&lister->asked);
        pthread_mutex_destroy(&lister->lock);
        tumble_runner_free(lister);
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "cannot start a thread: %s", strerror(error));
    }
    *out = lister;
    return TUMBLE_OK;
}

void tumble_live_lister_destroy(struct live_lister *lister) {
    if (!lister) {
        return;
    }
    pthread_mutex_lock(&lister->lock);
    lister->ending = 1;
    pthread_cond_signal(&lister->asked);
    pthread_mutex_unlock(&lister->lock);
    pthread_join(lister->thread, NULL);
    if (lister->is_there) {
        tumble_runner_free(lister->listing.shards);
    }
    pthread_cond_destroy(&lister->asked);
    pthread_mutex_destroy(&lister->lock);
    tumble_runner_free(lister);
}

void tumble_live_lister_ask(struct live_lister *lister, uint64_t number) {
    pthread_mutex_lock(&lister->lock);
    lister->wanted = number;
    pthread_cond_signal(&lister->asked);
    pthread_mutex_unlock(&lister->lock);
}

int tumble_live_lister_take(struct live_lister *lister, struct live_listing *out) {
    pthread_mutex_lock(&lister->lock);
    int is_there = lister->is_there;
    if (is_there) {
        *out = lister->listing;
        lister->is_there = 0;
    }
    pthread_mutex_unlock(&lister->lock);
    return is_there;
}
