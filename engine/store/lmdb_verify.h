#ifndef TW_STORE_LMDB_VERIFY_H
#define TW_STORE_LMDB_VERIFY_H

#include "engine/store/state_directory.h"

#include <tumble/bytes.h>

/* Has a forked child open the directory's files read-only and touch every byte of every key, value and free list.
 * Whatever happens to the child (a crash in LMDB, a bus error of a cut file) is an ECORRUPT here. The caller must not
 * have the files open. Errors: ECORRUPT, EVERSION, ENOMEM, ESTORE. */
enum tumble_code tw_lmdb_verify(const struct tw_state_directory *directory, struct tumble_error *err);

/* Every value ends in 8 bytes: XXH3-64 of the value, seeded with the XXH3-64 of its key. */
enum { TW_LMDB_SUM_BYTES = 8 };
uint64_t tw_lmdb_sum(struct tumble_bytes key, struct tumble_bytes value);
/* Cuts the sum off *value; false when it does not match. */
bool tw_lmdb_check_sum(struct tumble_bytes key, struct tumble_bytes *value);

#endif
