#ifndef TW_STORE_REDO_LOG_H
#define TW_STORE_REDO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>

#include "engine/base/buf.h"
#include "engine/store/state_directory.h"

/* redo.log in a state directory: transactions that are durable and not in data.mdb yet. Its blocks are written once
 * with zeros before they are needed, so that an entry takes one sync and changes nothing of the file system's own.
 *
 * Every entry begins a block, so that none that was acknowledged is written to again, and names the transaction of LMDB
 * that it builds on: once LMDB has committed another, all of them are part of that and void, and the log begins anew at
 * its front without a byte being erased. The layout is in docs/format-frames.md. */
enum {
    TW_REDO_BLOCK = 4096,
    TW_REDO_HEAD_BYTES = 24,
    TW_REDO_ENTRY_MAX = 4 << 20 /* operations of one transaction; what is larger goes to LMDB at once */
};

struct tw_redo_log {
    const struct tw_state_directory *directory;
    struct tumble_alloc alloc;
    int fd;
    uint64_t seed;     /* of checksums: random, so that no text in a value can look like an entry */
    uint64_t base;     /* the transaction of LMDB that entries build on */
    uint64_t sequence; /* of the next one */
    uint64_t end;      /* where it goes */
    uint64_t bytes;    /* of the file, all written */
};

/* Makes the file, complete and durable, or opens the one that is there. Open: *present false, and nothing is open, when
 * there is none. Errors: ECORRUPT, EVERSION, EFULL, ESTORE. */
enum tumble_code tw_redo_log_make(struct tw_redo_log *log, const struct tw_state_directory *directory,
                                  struct tumble_alloc alloc, size_t bytes, struct tumble_error *err);
enum tumble_code tw_redo_log_open(struct tw_redo_log *log, const struct tw_state_directory *directory,
                                  struct tumble_alloc alloc, bool *present, struct tumble_error *err);
void tw_redo_log_close(struct tw_redo_log *log); /* the file stays */
static inline bool tw_redo_log_is_open(const struct tw_redo_log *log) { return log->fd >= 0; }

/* Visits the entries that build on base, in order. Where they end, something may follow that a crash cut off: it never
 * was acknowledged. But when a later entry is whole, what ended them is damage: ECORRUPT; so is a log that builds on a
 * later transaction than base. at: of the operations in the file. */
typedef enum tumble_code tw_redo_visit_fn(void *ctx, struct tumble_bytes operations, uint64_t at,
                                          struct tumble_error *err);
enum tumble_code tw_redo_log_replay(struct tw_redo_log *log, uint64_t base, tw_redo_visit_fn *visit, void *ctx,
                                    struct tumble_error *err);

/* Begins anew: the next entry is the first on base, which must be a transaction later than the base before. */
void tw_redo_log_restart(struct tw_redo_log *log, uint64_t base);

/* An entry is built in a buffer: begin makes room for its head, operations follow, append writes it and waits for the
 * disk. After an error of append the log must not be appended to again: nobody knows what the disk holds. */
enum tumble_code tw_redo_entry_begin(struct tw_buf *entry);
bool tw_redo_log_has_room(const struct tw_redo_log *log, const struct tw_buf *entry);
enum tumble_code tw_redo_log_grow(struct tw_redo_log *log, uint64_t bytes, struct tumble_error *err);
enum tumble_code tw_redo_log_append(struct tw_redo_log *log, struct tw_buf *entry, struct tumble_error *err);

/* Bytes of an entry, for a value: into out, which is cleared before. */
enum tumble_code tw_redo_log_read(const struct tw_redo_log *log, uint64_t at, size_t length, struct tw_buf *out,
                                  struct tumble_error *err);

#endif
