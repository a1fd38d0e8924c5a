#include "runner/delivery.h"

#include <stdio.h>
#include <time.h>

#include "runner/memory.h"

enum { NAP_MS = 50 };

static int64_t now_ms(void *ctx) {
    struct timespec at;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static int stopping(const struct tumble_deliverer *deliverer) {
    return deliverer->stopping && deliverer->stopping(deliverer->stopping_ctx);
}

/* Naps until then; returns 1 when the run is to stop. */
static int nap_until(const struct tumble_deliverer *deliverer, int64_t until_ms) {
    for (;;) {
        int64_t left = until_ms - now_ms(NULL);
        if (stopping(deliverer)) {
            return 1;
        }
        if (left <= 0) {
            return 0;
        }
        long ms = left < NAP_MS ? (long)left : NAP_MS;
        struct timespec nap = {0, ms * 1000000};
        nanosleep(&nap, NULL);
    }
}

static void say(const struct tumble_deliverer *deliverer, const char *format, const char *name, const char *text) {
    char line[TUMBLE_ERROR_TEXT + 320];
    if (deliverer->say) {
        snprintf(line, sizeof line, format, name, text);
        deliverer->say(deliverer->say_ctx, line);
    }
}

static void tell(struct tumble_deliverer *deliverer) {
    struct tumble_output_status status;
    for (size_t i = 0; i < TUMBLE_DELIVERY_OUTPUTS && tumble_engine_output_status(deliverer->engine, i, &status); i++) {
        int held = status.attempts > 0;
        if (held && !deliverer->told[i]) {
            say(deliverer, "output %.100s is in trouble (%.320s): its rows wait, tried again until it works",
                status.name, status.last_error);
        } else if (!held && deliverer->told[i]) {
            say(deliverer, "output %.100s works again%s", status.name, "");
        }
        deliverer->told[i] = held;
    }
}

static enum tumble_code deliver(struct tumble_deliverer *deliverer, int64_t *next_ms, struct tumble_error *err) {
    struct tumble_delivery_options options = {.now_ms = now_ms};
    enum tumble_code code = tumble_engine_deliver(deliverer->engine, &options, next_ms, err);
    tell(deliverer);
    return code;
}

static enum tumble_code give_up(const struct tumble_deliverer *deliverer, const struct tumble_output_status *status,
                                struct tumble_error *err) {
    const char *state = deliverer->state_directory;
    return state
               ? tumble_runner_fail(err, TUMBLE_EOUTPUT,
                                    "output %.60s took nothing for %lld s; its rows are kept: `tumble drain --state "
                                    "%.60s` delivers them (%.200s)",
                                    status->name, (long long)(deliverer->timeout_ms / 1000), state, status->last_error)
               : tumble_runner_fail(err, TUMBLE_EOUTPUT,
                                    "output %.60s took nothing for %lld s; with --state DIR its rows would have been "
                                    "kept (%.200s)",
                                    status->name, (long long)(deliverer->timeout_ms / 1000), status->last_error);
}

/* An output that has been tried for too long since waiting began, or since it last took something. */
static int overdue(const struct tumble_deliverer *deliverer, const struct tumble_output_status *status,
                   int64_t began_ms) {
    int64_t since = status->held_since_ms > began_ms ? status->held_since_ms : began_ms;
    return status->attempts > 0 && now_ms(NULL) - since >= deliverer->timeout_ms;
}

/* Index of the first output that fits, or -1. */
static int find(const struct tumble_deliverer *deliverer, uint64_t above_bytes, struct tumble_output_status *status) {
    for (size_t i = 0; tumble_engine_output_status(deliverer->engine, i, status); i++) {
        if (status->is_waiting && !status->is_absent && (above_bytes == 0 || status->waiting_bytes > above_bytes)) {
            return (int)i;
        }
    }
    return -1;
}

/* Until nothing waits that is above the limit. */
static enum tumble_code wait_for(struct tumble_deliverer *deliverer, uint64_t above_bytes, struct tumble_error *err) {
    struct tumble_output_status status;
    int64_t began_ms = now_ms(NULL);
    for (;;) {
        int64_t next_ms = INT64_MAX;
        enum tumble_code code = tumble_engine_commit(deliverer->engine, err);
        if (code == TUMBLE_OK && find(deliverer, above_bytes, &status) < 0) {
            return TUMBLE_OK;
        }
        if (code == TUMBLE_OK) {
            code = deliver(deliverer, &next_ms, err);
        }
        if (code != TUMBLE_OK) {
            return code;
        }
        for (size_t i = 0; tumble_engine_output_status(deliverer->engine, i, &status); i++) {
            if (status.is_waiting && !status.is_absent && overdue(deliverer, &status, began_ms)) {
                code = tumble_engine_commit(deliverer->engine, err);
                return code == TUMBLE_OK ? give_up(deliverer, &status, err) : code;
            }
        }
        if (next_ms != INT64_MAX && find(deliverer, above_bytes, &status) >= 0 && nap_until(deliverer, next_ms)) {
            return tumble_engine_commit(deliverer->engine, err);
        }
    }
}

enum tumble_code tumble_deliver_due(struct tumble_deliverer *deliverer, struct tumble_error *err) {
    int64_t next_ms;
    struct tumble_output_status status;
    enum tumble_code code = deliver(deliverer, &next_ms, err);
    uint64_t limit = deliverer->outbox_limit_bytes;
    if (code != TUMBLE_OK || limit == 0 || next_ms == INT64_MAX || find(deliverer, limit, &status) < 0) {
        return code;
    }
    say(deliverer, "output %.100s: as much waits for it as may (--outbox-limit); reading goes on when it works again%s",
        status.name, "");
    return wait_for(deliverer, limit, err);
}

enum tumble_code tumble_deliver_all(struct tumble_deliverer *deliverer, struct tumble_error *err) {
    return wait_for(deliverer, 0, err);
}
