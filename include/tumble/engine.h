#ifndef TUMBLE_ENGINE_H
#define TUMBLE_ENGINE_H

/* The engine: windows of shards, held in memory, kept in a state directory, emitted through outputs.
 *
 * Threads: one engine is used by one thread at a time, except that tumble_shard_apply, tumble_shard_reject and
 * tumble_shard_close may run at the same time for *different* shards while no other engine call runs.
 * Errors: every function returns a code and fills err (may be NULL). After ENOMEM from apply the call may be repeated
 * from record result.processed on; after a failed commit, or a drain that failed with anything but EOUTPUT, the engine
 * must be destroyed and opened again: what was not committed is then not there. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/output.h>
#include <tumble/projection.h>
#include <tumble/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tumble_engine;
struct tumble_shard; /* owned by its engine, lives as long */

enum tumble_durability {
    TUMBLE_DURABILITY_COMMIT = 0, /* every commit is synced */
    TUMBLE_DURABILITY_NONE = 1,   /* survives kill -9, not a power cut */
    TUMBLE_DURABILITY_EVERY = 2   /* synced every Nth commit */
};

struct tumble_engine_options {
    const struct tumble_spec *spec; /* borrowed until destroy */
    struct tumble_bytes source;     /* part of every row's key; copied */
    int64_t window_seconds;         /* 0: the spec's; one of the two must be given, unless read_only */
    const char *state_directory;    /* made when missing; NULL: everything in memory, gone at destroy */
    enum tumble_durability durability;
    uint32_t sync_every;       /* DURABILITY_EVERY only, >= 1 */
    int read_only;             /* look, never write: no lock is taken (inspect) */
    int verify;                /* an existing store is first walked by a forked child, so that a damaged
                                  one is an error here and not a crash; needs a single-threaded process */
    size_t memory_limit_bytes; /* tables of open windows beyond it are dropped from memory at commit and read
                                  again when needed; 0: no limit */
    int fragments_possible;    /* a window's records may end up in rows of several shards or fragments: what the spec
                                  leaves open about partials is then on (tumble_spec_for_fragments) */
    const struct tumble_bytes *extra_fields; /* paths projected beside the spec's: values[0 … extra_field_count-1] */
    size_t extra_field_count;
    struct tumble_alloc alloc; /* zeroed: the C library's */
};

/* Opens or makes the state. *out is destroyed with tumble_engine_destroy; NULL on failure.
 * Errors: ENOMEM, EBUSY, ESTORE, EFULL, ECORRUPT, EVERSION, EMISMATCH (a state of another spec), EPATH. */
TUMBLE_EXPORT enum tumble_code tumble_engine_open(const struct tumble_engine_options *options,
                                                  struct tumble_engine **out, struct tumble_error *err);

/* The canonical spec a state directory was made with (JSON text, NUL-terminated), so that it can be looked at without
 * the spec file: parse it and open with read_only. The caller frees *json with alloc's release (zeroed alloc: free).
 * Errors: ESTORE (no state there), ECORRUPT, EVERSION, ENOMEM. */
TUMBLE_EXPORT enum tumble_code tumble_engine_peek_spec(const char *state_directory, struct tumble_alloc alloc,
                                                       char **json, struct tumble_error *err);

/* Drops what was not committed. NULL allowed. */
TUMBLE_EXPORT void tumble_engine_destroy(struct tumble_engine *engine);

/* The engine's projection: extra fields first, then the spec's. Lives as long as the engine. */
TUMBLE_EXPORT const struct tumble_projection *tumble_engine_projection(const struct tumble_engine *engine);

struct tumble_record {
    struct tumble_bytes data; /* the payload: JSON */
    struct tumble_bytes partition_key;
    struct tumble_bytes sequence_number; /* 1–128 decimal digits, no sign; leading zeros do not count */
    uint64_t sub_sequence_number;
    int64_t arrival_ms;
    const struct tumble_value *values; /* NULL, or what tumble_project wrote for data */
    const char *bad;                   /* NULL, or why the caller knows that data cannot be used (its base64 is
                                          malformed, say): the record is then bad, in its place among the others */
};

/* What can become of a record: one of these, and nothing else. */
enum tumble_fate {
    TUMBLE_FATE_APPLIED = 0,
    TUMBLE_FATE_LATE,
    TUMBLE_FATE_DUPLICATE,
    TUMBLE_FATE_FILTERED,
    TUMBLE_FATE_BAD,
    TUMBLE_FATE_COUNT
};

/* Finds or makes the shard of that id (1–128 bytes, "shardId-000000000000"). Errors: ENOMEM, EINVAL. */
TUMBLE_EXPORT enum tumble_code tumble_engine_shard(struct tumble_engine *engine, struct tumble_bytes shard_id,
                                                   struct tumble_shard **out, struct tumble_error *err);

struct tumble_apply_result {
    size_t processed; /* records [0, processed) have their fate */
    uint64_t fates[TUMBLE_FATE_COUNT];
};

/* Applies records, in the given order, to the shard's window that begins at window_start_ms (opened when it is not
 * there). Records are borrowed for the call. A record whose sequence number is not above the window's last is a
 * duplicate; a bad one is diverted or, under bad_records "fail", ends the call with ERECORD: err->record is its index,
 * err->byte the offset in its data, and every record before it stays applied.
 * result may be NULL. Errors: EINVAL (no window begins there, or it is closing: commit first), ENOMEM, ERECORD,
 * ECORRUPT, ESTORE (a window that was dropped from memory is read again). */
TUMBLE_EXPORT enum tumble_code tumble_shard_apply(struct tumble_shard *shard, int64_t window_start_ms,
                                                  const struct tumble_record *records, size_t count,
                                                  struct tumble_apply_result *result, struct tumble_error *err);

/* A record that is projected already, in short. What nearly no record needs (its sequence number, its partition key) is
 * asked for where it is: by lengthen, which may be called from the thread that applies, for any record of the call. */
struct tumble_short_record {
    struct tumble_bytes data;
    const struct tumble_value *values; /* what tumble_project wrote for data */
    int64_t arrival_ms;
    uint64_t number; /* of two records of a shard, the one with the higher number has the higher sequence number */
};
enum { TUMBLE_SHORT_TEXT = 160 };
/* Fills out from a short record; text is memory for what has to be written down. */
typedef void tumble_lengthen_fn(void *ctx, const struct tumble_short_record *record, char text[TUMBLE_SHORT_TEXT],
                                struct tumble_record *out);

/* tumble_shard_apply for such records, result for result. */
TUMBLE_EXPORT enum tumble_code tumble_shard_apply_short(struct tumble_shard *shard, int64_t window_start_ms,
                                                        const struct tumble_short_record *records, size_t count,
                                                        tumble_lengthen_fn *lengthen, void *ctx,
                                                        struct tumble_apply_result *result, struct tumble_error *err);

/* Gives a record a fate the caller decided: LATE and BAD also go to the failures output, when there is one, with
 * reason; DUPLICATE is only counted. Errors: ENOMEM, EINVAL. */
TUMBLE_EXPORT enum tumble_code tumble_shard_reject(struct tumble_shard *shard, const struct tumble_record *record,
                                                   enum tumble_fate fate, const char *reason, struct tumble_error *err);

/* Closes a window: the next commit puts its rows into the outbox. A window that is not open is not an error. */
TUMBLE_EXPORT enum tumble_code tumble_shard_close(struct tumble_shard *shard, int64_t window_start_ms,
                                                  struct tumble_error *err);

/* Drops what the shard has here and was not acknowledged: open windows, failures not committed yet, and rows in the
 * outbox. For a shard that another process reads from now on. It takes effect with the next commit, which must be the
 * engine's next call but for more of these and for tumble_engine_set_note; then the shard may begin anew. An output
 * that was offered such rows is closed and opened again. Counters keep what was read. Errors: ENOMEM, ECORRUPT, ESTORE.
 */
TUMBLE_EXPORT enum tumble_code tumble_shard_forget(struct tumble_shard *shard, struct tumble_error *err);

/* Visits the open windows of every shard, ordered by start, then by the order in which shards were made. */
typedef enum tumble_code tumble_window_fn(void *ctx, struct tumble_shard *shard, int64_t window_start_ms);
TUMBLE_EXPORT enum tumble_code tumble_engine_windows(struct tumble_engine *engine, tumble_window_fn *visit, void *ctx);

/* A named blob that belongs to the caller (its position in the input, its settings) and is committed together with
 * the windows: name at most 64 bytes; set copies; get borrows until the next set or destroy and gives the empty view
 * for an unknown name. Errors of set: ENOMEM, EINVAL. */
TUMBLE_EXPORT enum tumble_code tumble_engine_set_note(struct tumble_engine *engine, const char *name,
                                                      struct tumble_bytes value, struct tumble_error *err);
TUMBLE_EXPORT struct tumble_bytes tumble_engine_note(const struct tumble_engine *engine, const char *name);

/* One transaction: accumulators touched since the last commit, rows of closed windows, failures, counters, notes and
 * acknowledgements. Asserts read = applied + late + duplicate + filtered + bad. Errors: ENOMEM, ESTORE, EFULL,
 * ECONSERVATION. */
TUMBLE_EXPORT enum tumble_code tumble_engine_commit(struct tumble_engine *engine, struct tumble_error *err);

/* The same in two calls, so that the disk is not waited for: start hands the transaction to a thread of the engine and
 * returns, and what is applied from then on belongs to the next one. It is durable, and may be acknowledged, when
 * finish has returned OK; so it is when any later call that commits or delivers has. Rows of a window that it closed
 * are delivered when it is durable: a drain right behind it waits, one in front of the next start hardly does. Where
 * nothing is synced, or where the transaction is of several megabytes, start commits at once. A commit that failed is
 * told by finish, or by whatever call comes before it, and then by every other. Where the process has one processor,
 * that thread gets it late unless the caller yields now and then (sched_yield between events). Errors: as above. */
TUMBLE_EXPORT enum tumble_code tumble_engine_commit_start(struct tumble_engine *engine, struct tumble_error *err);
TUMBLE_EXPORT enum tumble_code tumble_engine_commit_finish(struct tumble_engine *engine, struct tumble_error *err);

/* Length of this engine's windows. */
TUMBLE_EXPORT int64_t tumble_engine_window_ms(const struct tumble_engine *engine);

/* Id of a shard; lives as long as its engine. */
TUMBLE_EXPORT struct tumble_bytes tumble_shard_id(const struct tumble_shard *shard);

/* Adds an output. name (the URI) identifies it in the state: the same name finds its checkpoint again. self is opened
 * here through api->open and closed by destroy. Attach every output before the first commit. kind FAILURE: at most one.
 * An output that cannot be opened now, and may be later (tumble_code_retryable), is attached and held: its rows wait.
 * Errors: EINVAL, ELIMIT, ENOMEM, ECORRUPT, ESTORE, what open answers. */
TUMBLE_EXPORT enum tumble_code tumble_engine_attach(struct tumble_engine *engine, const char *name,
                                                    const struct tumble_output_api *api,
                                                    const struct tumble_output_open *how, struct tumble_error *err);

/* Delivers committed rows to every output and flushes; acknowledgements enter the next commit. Rows that an output
 * rejects become failures (EREJECTED when there is no failures output); those of an output in trouble stay for the next
 * drain, which is EOUTPUT. tumble/delivery.h has the same with delays between attempts. */
TUMBLE_EXPORT enum tumble_code tumble_engine_drain(struct tumble_engine *engine, struct tumble_error *err);

/* Calls visit for each group of an open window, in the order of its rows, with the row as it would be now.
 * The row is borrowed for the call. Errors: EINVAL (no such window), ENOMEM, what visit returns. */
typedef enum tumble_code tumble_row_fn(void *ctx, const struct tumble_row *row);
TUMBLE_EXPORT enum tumble_code tumble_shard_rows(struct tumble_shard *shard, int64_t window_start_ms,
                                                 tumble_row_fn *visit, void *ctx, struct tumble_error *err);

/* Calls visit for each row in the outbox that some output has not acknowledged, oldest first; kind selects rows or
 * failures. */
TUMBLE_EXPORT enum tumble_code tumble_engine_outbox(struct tumble_engine *engine, enum tumble_row_kind kind,
                                                    tumble_row_fn *visit, void *ctx, struct tumble_error *err);

/* Figures since the state was made (fates, windows, rows, skipped) and since open (commits, bytes). */
struct tumble_counters {
    uint64_t records; /* = the sum of fates */
    uint64_t fates[TUMBLE_FATE_COUNT];
    uint64_t windows_opened;
    uint64_t windows_closed;
    uint64_t rows; /* put into the outbox */
    uint64_t rows_rejected;
    uint64_t failures;    /* put into the failures outbox */
    uint64_t skipped;     /* null or missing fields an aggregate passed over */
    uint64_t groups_open; /* in open windows now */
    uint64_t groups_peak;
    uint64_t commits;
    uint64_t bytes_committed;  /* state bytes written by commits: deltas, snapshots, outbox */
    uint64_t state_bytes_peak; /* largest encoded state of a window */
    uint64_t memory_bytes;     /* held by window tables now */
};
TUMBLE_EXPORT void tumble_engine_counters(const struct tumble_engine *engine, struct tumble_counters *out);

/* Fields of group_by and aggregates, and in how many records each was found since open: a field that no record has is
 * most likely misspelled. index from 0; false: no more. The path lives as long as the spec. */
TUMBLE_EXPORT int tumble_engine_field(const struct tumble_engine *engine, size_t index, struct tumble_bytes *path,
                                      uint64_t *found);

struct tumble_window_info {
    struct tumble_bytes shard_id;
    int64_t start_ms;
    int64_t end_ms;
    uint64_t groups;
    uint64_t records;                   /* processed in this window */
    struct tumble_bytes first_sequence; /* the fragment */
    struct tumble_bytes last_sequence;
    uint64_t stored_bytes; /* snapshot and deltas in the store */
};
/* Figures of one open window; views live until the next engine call. EINVAL: no such window. */
TUMBLE_EXPORT enum tumble_code tumble_shard_window_info(struct tumble_shard *shard, int64_t window_start_ms,
                                                        struct tumble_window_info *out, struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
