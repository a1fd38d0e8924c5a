#ifndef TW_STORE_STORE_H
#define TW_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

/* An ordered map of bytes to bytes with one writing transaction at a time: LMDB in a directory, or memory.
 * Keys are 1 to 400 bytes and order by memcmp; values are up to 1 GiB. One thread at a time.
 *
 * Trouble: EFULL after the map could not grow (disk full), ECORRUPT for damaged files, ESTORE otherwise. After an error
 * inside a transaction it is aborted by the store; the next begin starts clean. */
struct tw_store;

struct tw_store_options {
    const char *directory; /* NULL: in memory */
    bool read_only;
    bool verify; /* existing files are first walked by a forked child */
    bool sync;   /* every commit is synced; otherwise tw_store_sync does it */
    struct tumble_alloc alloc;
    size_t log_bytes; /* what the redo log of synced commits begins with, from the first commit on; 0: 256 KiB, and
                       * only in a run of several commits */
    size_t map_bytes; /* what LMDB's map begins with; 0: 1 GiB of address space. It grows by itself */
};

/* Makes the directory (and its parents) when missing, takes its lock (EBUSY when another process has it; the text names
 * the pid when known), opens or makes the files. read_only takes no lock and fails when there is no state; it may stand
 * beside a writer of another process, never of this one (LMDB's locks belong to the process). */
enum tumble_code tw_store_open(const struct tw_store_options *options, struct tw_store **out, struct tumble_error *err);
void tw_store_close(struct tw_store *store); /* aborts an open transaction; NULL allowed */

enum tumble_code tw_store_begin(struct tw_store *store, struct tumble_error *err); /* read_only: a snapshot to read */
enum tumble_code tw_store_commit(struct tw_store *store, struct tumble_error *err);
void tw_store_abort(struct tw_store *store);
enum tumble_code tw_store_sync(struct tw_store *store, struct tumble_error *err);

/* Inside a transaction. put may be repeated from the first put on when the map had to grow: the store replays nothing
 * itself. So: a commit is written by one function that tw_store_write calls again from the start when it must. */
typedef enum tumble_code tw_store_write_fn(void *ctx, struct tw_store *store, struct tumble_error *err);
/* begin, write, commit; on a full map: abort, grow the map (doubling), and again. */
enum tumble_code tw_store_write(struct tw_store *store, tw_store_write_fn *write, void *ctx, struct tumble_error *err);

/* The same, committed by a thread of the store while the caller goes on. write runs here, may run twice, and reads
 * nothing; what it puts and deletes is copied. When it is too much to be held in memory, it is committed before this
 * returns. sync: also where commits are not synced by themselves. Every call but those of write waits first for what is
 * on its way, and fails as that failed; so does settle, which does nothing else. */
enum tumble_code tw_store_write_behind(struct tw_store *store, tw_store_write_fn *write, void *ctx, bool sync,
                                       struct tumble_error *err);
enum tumble_code tw_store_settle(struct tw_store *store, struct tumble_error *err);

enum tumble_code tw_store_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                              struct tumble_error *err);
enum tumble_code tw_store_delete(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err);
/* Deletes every key that begins with prefix. */
enum tumble_code tw_store_delete_prefix(struct tw_store *store, struct tumble_bytes prefix, struct tumble_error *err);
/* *found false: no such key. The value is borrowed until the next call on the store. */
enum tumble_code tw_store_get(struct tw_store *store, struct tumble_bytes key, bool *found, struct tumble_bytes *value,
                              struct tumble_error *err);
/* Visits keys >= from that begin with prefix, in order, until visit sets *stop or fails. Views are borrowed for the
 * call; visit must not write. */
typedef enum tumble_code tw_store_visit_fn(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                           struct tumble_error *err);
enum tumble_code tw_store_scan(struct tw_store *store, struct tumble_bytes prefix, struct tumble_bytes from,
                               tw_store_visit_fn *visit, void *ctx, struct tumble_error *err);

/* Stored frames: magic "TMBL", format version, kind, spec digest, payload length, payload, XXH3-64 of all before it
 * (docs/format-frames.md). seal appends the frame of what build appended since open: header first, then payload. */
enum tw_frame_kind {
    TW_FRAME_SNAPSHOT = 1,
    TW_FRAME_DELTA = 2,
    TW_FRAME_WINDOW = 3,
    TW_FRAME_OUTBOX = 4,
    TW_FRAME_META = 5,
    TW_FRAME_COUNTERS = 6,
    TW_FRAME_NOTE = 7,
    TW_FRAME_CURSOR = 8,
    TW_FRAME_SHARD = 9,
    TW_FRAME_STATE = 10, /* what an event's state carries */
    TW_FRAME_SPILL = 11, /* groups of such a state, kept outside it */
    TW_FRAME_FRAGMENT = 13,
    TW_FRAME_ROWS = 14,    /* of one fragment, in the outbox; 12 were such without a head */
    TW_FRAME_TOUCHED = 15, /* a delta that names groups by their places */
    TW_FRAME_CLOSED = 16,  /* in the outbox, a window whose rows its groups will make */
    TW_FRAME_BRIEF = 17    /* such a delta, in which what is alike stands once */
};
/* Appends a header to buf and remembers where in *mark; append the payload to buf, then seal. */
enum tumble_code tw_frame_begin(struct tw_buf *buf, enum tw_frame_kind kind, uint64_t spec_digest, size_t *mark);
enum tumble_code tw_frame_seal(struct tw_buf *buf, size_t mark);
/* The kind that bytes state, 0 when they are too short to; unchecked until tw_frame_open. */
unsigned tw_frame_kind_of(struct tumble_bytes bytes);
/* Checks a frame whole and gives its payload (borrowed from bytes). spec_digest is checked unless 0.
 * Errors: ECORRUPT, EVERSION, EMISMATCH. what names the thing in the message. */
enum tumble_code tw_frame_open(struct tumble_bytes bytes, enum tw_frame_kind kind, uint64_t spec_digest,
                               const char *what, struct tumble_bytes *payload, struct tumble_error *err);

#endif
