#ifndef TW_STORE_OPERATIONS_H
#define TW_STORE_OPERATIONS_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"

/* What a transaction does, one operation behind the other: kind (1 byte), length of the key and of the value (4 each,
 * little-endian), key, value. The redo log stores them (docs/format-frames.md), write_behind hands them over. */
enum tw_operation_kind { TW_OPERATION_PUT = 1, TW_OPERATION_DELETE = 2, TW_OPERATION_DELETE_PREFIX = 3 };

struct tw_operation {
    enum tw_operation_kind kind;
    struct tumble_bytes key, value; /* borrowed */
};

/* Appends one. sum: 8 more bytes of the value, or NULL. Errors: ENOMEM, ELIMIT (past the buffer's cap), with which
 * nothing is appended. */
enum tumble_code tw_operation_append(struct tw_buf *buf, enum tw_operation_kind kind, struct tumble_bytes key,
                                     struct tumble_bytes value, const uint64_t *sum, struct tumble_error *err);
/* The next one; false when the bytes are none. */
bool tw_operation_take(struct tw_cursor *in, struct tw_operation *out);
/* Does it, in the transaction that is open. */
struct tw_store;
enum tumble_code tw_operation_apply(struct tw_store *store, const struct tw_operation *one, struct tumble_error *err);

#endif
