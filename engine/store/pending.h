#ifndef TW_STORE_PENDING_H
#define TW_STORE_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/alloc.h"

/* What the redo log does to the table below it, by key: where the value that was put last lies, or that there is none.
 * Of a key that is put a hundred times, or put and deleted, one entry is left; prefixes that were deleted hide keys of
 * the table below. Keys are held in memory, values are not.
 *
 * Changes are made in a transaction: abort needs no memory. One thread at a time. */
struct tw_pending;

struct tw_pending_value {
    bool is_deleted;
    uint64_t at; /* in redo.log; its checksum's 8 bytes are part of it */
    uint64_t length;
};

struct tw_pending *tw_pending_new(struct tumble_alloc alloc); /* NULL: no memory */
void tw_pending_destroy(struct tw_pending *pending);          /* NULL allowed */

void tw_pending_begin(struct tw_pending *pending);
void tw_pending_commit(struct tw_pending *pending);
void tw_pending_abort(struct tw_pending *pending);
/* Takes operations that stand at `at` of the log. Errors: ENOMEM, ECORRUPT (they are none: no text). */
enum tumble_code tw_pending_take(struct tw_pending *pending, struct tumble_bytes operations, uint64_t at);
void tw_pending_clear(struct tw_pending *pending); /* not in a transaction */

size_t tw_pending_operations(const struct tw_pending *pending); /* taken since it was empty: bounds its memory */
static inline bool tw_pending_is_empty(const struct tw_pending *pending) { return tw_pending_operations(pending) == 0; }
uint64_t tw_pending_value_bytes(struct tw_pending *pending); /* of the values it refers to */

/* The entry of key; false when it has none. */
bool tw_pending_find(struct tw_pending *pending, struct tumble_bytes key, struct tw_pending_value *out);
/* Whether the table below has lost key by its prefix. */
bool tw_pending_hides(struct tw_pending *pending, struct tumble_bytes key);
/* The first key not below from (above it where after) that begins with prefix, borrowed until the next change. */
bool tw_pending_next(struct tw_pending *pending, struct tumble_bytes prefix, struct tumble_bytes from, bool after,
                     struct tumble_bytes *key, struct tw_pending_value *value);
/* The same of prefixes that were deleted. */
bool tw_pending_next_prefix(struct tw_pending *pending, struct tumble_bytes from, bool after, struct tumble_bytes *out);

#endif
