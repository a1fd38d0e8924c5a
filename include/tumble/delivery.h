#ifndef TUMBLE_DELIVERY_H
#define TUMBLE_DELIVERY_H

/* Getting rows out of the outbox when outputs fail for a while. An output in trouble is held: its rows wait in the
 * outbox, other outputs go on, and it is tried again after a delay that doubles (with full jitter), or after the time
 * it asked for itself. The engine reads no clock: the caller hands one in, and waits by itself. */

#include <stdint.h>

#include <tumble/engine.h>
#include <tumble/error.h>
#include <tumble/output.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a table is one this tumble can use: version, size, name, functions, options. Errors: EINVAL, naming the
 * output and what is wrong. */
TUMBLE_EXPORT enum tumble_code tumble_output_check(const struct tumble_output_api *api, struct tumble_error *err);

struct tumble_delivery_options {
    int64_t (*now_ms)(void *ctx); /* monotonic, from any origin; NULL: it is always 0 */
    void *ctx;
    int64_t first_delay_ms;   /* before the second attempt, at most; 0: 100 */
    int64_t longest_delay_ms; /* 0: 20000 */
    int ignore_holds;         /* try now, whenever the next attempt is due */
};

/* Delivers committed rows to every output that is not held, or whose next attempt is due, and flushes; acknowledgements
 * enter the next commit. An output in trouble is no error: *next_ms (may be NULL) says when the first held one is to be
 * tried again; INT64_MAX: none is held. Errors: EREJECTED (a rejected row and no failures output), EOUTPUT (trouble
 * that waiting does not mend, or an answer that makes no sense), ENOMEM, ECORRUPT, ESTORE; rows that were not
 * acknowledged stay. */
TUMBLE_EXPORT enum tumble_code tumble_engine_deliver(struct tumble_engine *engine,
                                                     const struct tumble_delivery_options *options, int64_t *next_ms,
                                                     struct tumble_error *err);

struct tumble_output_status {
    const char *name; /* as attached; lives as long as the engine */
    enum tumble_row_kind kind;
    int is_absent;          /* attached as absent */
    int is_waiting;         /* rows in the outbox that it has not acknowledged */
    uint64_t waiting_bytes; /* of outbox, at most */
    uint32_t attempts;      /* that failed since it last took a row; 0: not held */
    int64_t held_since_ms;  /* held: the first of them */
    int64_t next_ms;        /* held: when it is due */
    const char *last_error; /* held: why; "" otherwise. Lives until the next deliver */
};

/* Figures of the attached output number index, from 0. Returns 0 when there is none. */
TUMBLE_EXPORT int tumble_engine_output_status(const struct tumble_engine *engine, size_t index,
                                              struct tumble_output_status *out);

/* How far the outbox has come, as numbers that only grow: *written counts what commits put into it (rows, or failures),
 * and what was written while *written was at most *acknowledged is acknowledged by every output of that kind, those
 * that are absent too. */
TUMBLE_EXPORT void tumble_engine_outbox_progress(const struct tumble_engine *engine, enum tumble_row_kind kind,
                                                 uint64_t *written, uint64_t *acknowledged);

/* An output that the state knows and that this process does not deliver to: its rows stay until it is attached again.
 * Errors: as tumble_engine_attach. */
TUMBLE_EXPORT enum tumble_code tumble_engine_attach_absent(struct tumble_engine *engine, const char *name,
                                                           enum tumble_row_kind kind, struct tumble_error *err);

/* What a state directory keeps for an output; views are borrowed for the visit. */
struct tumble_stored_output {
    struct tumble_bytes name;
    enum tumble_row_kind kind;
    uint64_t rows; /* that wait for it */
    uint64_t bytes;
    int64_t oldest_window_start_ms; /* -1: none waits, or they are failures */
    uint32_t attempts;              /* failed in a row when the state was last committed */
    struct tumble_bytes last_error; /* empty: none */
};
typedef enum tumble_code tumble_stored_output_fn(void *ctx, const struct tumble_stored_output *output);

/* Visits every output that the state knows, window rows first, then failures, by name; also where the engine is
 * read-only. Errors: ENOMEM, ECORRUPT, ESTORE, what visit returns. */
TUMBLE_EXPORT enum tumble_code tumble_engine_stored_outputs(struct tumble_engine *engine,
                                                            tumble_stored_output_fn *visit, void *ctx,
                                                            struct tumble_error *err);

/* Source and window of a state directory, beside its spec (tumble_engine_peek_spec), so that it can be opened as it is.
 * *source is NUL-terminated; the caller frees it with alloc's release. Errors: as tumble_engine_peek_spec. */
TUMBLE_EXPORT enum tumble_code tumble_engine_peek_source(const char *state_directory, struct tumble_alloc alloc,
                                                         char **source, int64_t *window_seconds,
                                                         struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
