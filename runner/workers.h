#ifndef TUMBLE_RUNNER_WORKERS_H
#define TUMBLE_RUNNER_WORKERS_H

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

/* Threads that share out the items of one job after the other; the caller's thread works too. */
struct tumble_workers;

enum tumble_code tumble_workers_new(uint32_t threads, struct tumble_workers **out, struct tumble_error *err);
void tumble_workers_destroy(struct tumble_workers *workers); /* NULL allowed */

/* Runs work(ctx, item) for every item in [0, count) and returns when all are done; each item runs once, on one thread.
 */
typedef void tumble_work_fn(void *ctx, uint32_t item);
void tumble_workers_run(struct tumble_workers *workers, uint32_t count, tumble_work_fn *work, void *ctx);

/* The same in two steps: the caller does something else in between, and then helps with what is left. At most one job
 * is under way; wait without one returns at once. Without other threads all is done by wait. */
void tumble_workers_start(struct tumble_workers *workers, uint32_t count, tumble_work_fn *work, void *ctx);
void tumble_workers_wait(struct tumble_workers *workers);

/* What may be done beside jobs: other threads call it whenever no item is left, until it returns 0, and again after
 * wake. The caller's thread does not. Set it before there is any; NULL, once nobody needs it, does not wait for a call
 * that is under way. */
typedef int tumble_spare_fn(void *ctx);
void tumble_workers_set_spare(struct tumble_workers *workers, tumble_spare_fn *spare, void *ctx);
void tumble_workers_wake(struct tumble_workers *workers);

#endif
