#ifndef TUMBLE_RUNNER_DELIVERY_H
#define TUMBLE_RUNNER_DELIVERY_H

#include <tumble/delivery.h>

/* Rows to outputs that may be in trouble: hands the engine a clock, tells people, waits. One thread. */

enum { TUMBLE_DELIVERY_OUTPUTS = 16 };

struct tumble_deliverer {
    struct tumble_engine *engine;
    int64_t timeout_ms;          /* how long to wait for an output that takes nothing, where waiting is due */
    uint64_t outbox_limit_bytes; /* what may wait for an output before the run waits for it; 0: no limit */
    const char *state_directory; /* for messages; NULL: nothing is kept */
    int (*stopping)(void *ctx);  /* asked while waiting; non-zero ends the wait without an error; may be NULL */
    void *stopping_ctx;
    void (*say)(void *ctx, const char *line); /* may be NULL */
    void *say_ctx;
    int told[TUMBLE_DELIVERY_OUTPUTS]; /* zeroed: who is known to be in trouble */
};

/* Behind a commit: offers what is due. Waits only for an output past the limit. Errors: EOUTPUT (it took nothing for
 * too long) and those of tumble_engine_deliver and tumble_engine_commit. */
enum tumble_code tumble_deliver_due(struct tumble_deliverer *deliverer, struct tumble_error *err);

/* Delivers and commits until nothing waits: rows, and the failures that rejected rows become. Errors: as above. */
enum tumble_code tumble_deliver_all(struct tumble_deliverer *deliverer, struct tumble_error *err);

#endif
