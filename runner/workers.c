#include "runner/workers.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "runner/memory.h"

struct tumble_workers {
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t start; /* there may be something to do */
    pthread_cond_t done;  /* the job's last item is */
    pthread_t *threads;
    uint32_t thread_count; /* besides the caller's */
    uint32_t asleep;
    int ending;
    int started; /* a job, not yet waited for */
    tumble_work_fn *work;
    void *ctx;
    uint32_t count;
    uint32_t next; /* item to begin */
    uint32_t busy; /* items begun and not done */
    tumble_spare_fn *spare;
    void *spare_ctx;
    uint64_t wakes; /* counts what a thread that did not find anything should look for again */
};

/* Does one item, if there is one left. The lock is held, but for the work. */
static int take_item(struct tumble_workers *workers) {
    if (workers->next == workers->count) {
        return 0;
    }
    const uint32_t item = workers->next++;
    workers->busy++;
    pthread_mutex_unlock(&workers->lock);
    workers->work(workers->ctx, item);
    pthread_mutex_lock(&workers->lock);
    workers->busy--;
    if (workers->busy == 0 && workers->next == workers->count) {
        pthread_cond_signal(&workers->done);
    }
    return 1;
}

/* Does something of what may be done at any time. */
static int take_spare(struct tumble_workers *workers) {
    tumble_spare_fn *const spare = workers->spare;
    void *const ctx = workers->spare_ctx;
    const uint64_t wakes = workers->wakes;
    if (!spare) {
        return 0;
    }
    pthread_mutex_unlock(&workers->lock);
    const int did = spare(ctx);
    pthread_mutex_lock(&workers->lock);
    return did || wakes != workers->wakes;
}

static void *thread_main(void *arg) {
    struct tumble_workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    while (!workers->ending) {
        if (!take_item(workers) && !take_spare(workers)) {
            workers->asleep++;
            pthread_cond_wait(&workers->start, &workers->lock);
            workers->asleep--;
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

enum tumble_code tumble_workers_new(uint32_t threads, struct tumble_workers **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_workers *workers = tumble_runner_alloc(sizeof *workers);
    if (!workers) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->start, NULL);
    pthread_cond_init(&workers->done, NULL);
    workers->threads = tumble_runner_alloc((size_t)threads * sizeof *workers->threads);
    if (!workers->threads) {
        tumble_workers_destroy(workers);
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    sigset_t ends, before; /* are for the caller's thread, which may wait for input */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    int error = 0;
    while (error == 0 && workers->thread_count + 1 < threads) {
        error = pthread_create(&workers->threads[workers->thread_count], NULL, thread_main, workers);
        workers->thread_count += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        tumble_workers_destroy(workers);
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "cannot start %u threads: %s", threads, strerror(error));
    }
    *out = workers;
    return TUMBLE_OK;
}

void tumble_workers_destroy(struct tumble_workers *workers) {
    if (!workers) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->ending = 1;
    workers->wakes++;
    pthread_cond_broadcast(&workers->start);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->thread_count; i++) {
        pthread_join(workers->threads[i], NULL);
    }
    pthread_cond_destroy(&workers->done);
    pthread_cond_destroy(&workers->start);
    pthread_mutex_destroy(&workers->lock);
    tumble_runner_free(workers->threads);
    tumble_runner_free(workers);
}

void tumble_workers_start(struct tumble_workers *workers, uint32_t count, tumble_work_fn *work, void *ctx) {
    pthread_mutex_lock(&workers->lock);
    workers->work = work;
    workers->ctx = ctx;
    workers->count = count;
    workers->next = 0;
    workers->started = 1;
    workers->wakes++;
    if (workers->asleep && count) {
        pthread_cond_broadcast(&workers->start);
    }
    pthread_mutex_unlock(&workers->lock);
}

void tumble_workers_wait(struct tumble_workers *workers) {
    if (!workers->started) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    while (take_item(workers)) {
    }
    while (workers->busy) {
        pthread_cond_wait(&workers->done, &workers->lock);
    }
    workers->started = 0;
    pthread_mutex_unlock(&workers->lock);
}

void tumble_workers_run(struct tumble_workers *workers, uint32_t count, tumble_work_fn *work, void *ctx) {
    if (count == 1) {
        work(ctx, 0); /* not worth a thread */
        return;
    }
    tumble_workers_start(workers, count, work, ctx);
    tumble_workers_wait(workers);
}

void tumble_workers_set_spare(struct tumble_workers *workers, tumble_spare_fn *spare, void *ctx) {
    pthread_mutex_lock(&workers->lock);
    workers->spare = spare;
    workers->spare_ctx = ctx;
    pthread_mutex_unlock(&workers->lock);
}

void tumble_workers_wake(struct tumble_workers *workers) {
    pthread_mutex_lock(&workers->lock);
    workers->wakes++;
    if (workers->asleep) {
        pthread_cond_signal(&workers->start);
    }
    pthread_mutex_unlock(&workers->lock);
}
