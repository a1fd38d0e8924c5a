#include "runner/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "runner/memory.h"

struct tumble_workers {
    pthread_mutex_t lock;
    pthread_cond_t start;
    pthread_cond_t done;
    pthread_t *threads;
    uint32_t thread_count; /* besides the caller's */
    uint64_t job;          /* counts jobs, so that a thread knows a new one */
    uint32_t busy;
    int ending;
    int started; /* a job, not yet waited for */
    tumble_work_fn *work;
    void *ctx;
    uint32_t count;
    atomic_uint next;
};

static void take_items(struct tumble_workers *workers) {
    for (;;) {
        uint32_t item = atomic_fetch_add_explicit(&workers->next, 1, memory_order_relaxed);
        if (item >= workers->count) {
            return;
        }
        workers->work(workers->ctx, item);
    }
}

static void *thread_main(void *arg) {
    struct tumble_workers *workers = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->job == seen && !workers->ending) {
            pthread_cond_wait(&workers->start, &workers->lock);
        }
        if (workers->ending) {
            break;
        }
        seen = workers->job;
        pthread_mutex_unlock(&workers->lock);
        take_items(workers);
        pthread_mutex_lock(&workers->lock);
        if (--workers->busy == 0) {
            pthread_cond_signal(&workers->done);
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
    while (workers->thread_count + 1 < threads) {
        int error = pthread_create(&workers->threads[workers->thread_count], NULL, thread_main, workers);
        if (error) {
            tumble_workers_destroy(workers);
            return tumble_runner_fail(err, TUMBLE_ELIMIT, "cannot start %u threads: %s", threads, strerror(error));
        }
        workers->thread_count++;
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
    workers->work = work;
    workers->ctx = ctx;
    workers->count = count;
    workers->started = 1;
    atomic_store_explicit(&workers->next, 0, memory_order_relaxed);
    if (workers->thread_count == 0 || count == 0) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->job++;
    workers->busy = workers->thread_count;
    pthread_cond_broadcast(&workers->start);
    pthread_mutex_unlock(&workers->lock);
}

void tumble_workers_wait(struct tumble_workers *workers) {
    if (!workers->started) {
        return;
    }
    workers->started = 0;
    take_items(workers);
    pthread_mutex_lock(&workers->lock);
    while (workers->busy) {
        pthread_cond_wait(&workers->done, &workers->lock);
    }
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
