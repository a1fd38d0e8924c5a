#ifndef TW_AWS_HOST_H
#define TW_AWS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/error.h>

#include "engine/base/buf.h"

/* Everything that this layer asks of the process it runs in, so that a test hands in a table instead of an environment,
 * a clock and a disk. Borrowed by whatever is opened with it. The real one may be used from any number of threads. */
struct tw_aws_host {
    void *ctx;
    /* Value of an environment variable, NULL when it is not set. Lives as long as the host. */
    const char *(*variable)(void *ctx, const char *name);
    int64_t (*now_ms)(void *ctx);                  /* wall clock, since 1970 UTC */
    int64_t (*steady_ms)(void *ctx);               /* never steps; deadlines are on this clock */
    void (*sleep_ms)(void *ctx, int64_t how_long); /* returns early when it likes */
    uint64_t (*random)(void *ctx);                 /* for jitter; not for secrets */
    /* Appends the whole file. *found false and OK: there is none (or it may not be read at all).
     * Errors: ENOMEM, ELIMIT (the buffer's cap), EINPUT. */
    enum tumble_code (*read_file)(void *ctx, const char *path, struct tw_buf *out, bool *found,
                                  struct tumble_error *err);
    /* Runs argv[0] (sought in PATH, no shell) and appends what it writes to stdout; argv ends in NULL. stderr stays the
     * process's own. Errors: ENOMEM, ELIMIT, EINPUT (not found, exit status other than 0, time over). */
    enum tumble_code (*run)(void *ctx, char *const *argv, int64_t timeout_ms, struct tw_buf *out,
                            struct tumble_error *err);
};

/* environ, the system's clocks, files and processes. */
extern const struct tw_aws_host tw_aws_host_real;

/* The variable's value, or NULL when it is not set or empty. */
const char *tw_aws_variable(const struct tw_aws_host *host, const char *name);
/* "true" in any case, as the SDKs read their switches. */
bool tw_aws_variable_true(const struct tw_aws_host *host, const char *name);

/* No deadline, wherever an int64_t deadline_ms on the steady clock is asked for. */
#define TW_NO_DEADLINE INT64_MAX

#endif
