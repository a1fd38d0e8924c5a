#ifndef TW_STORE_STORE_LMDB_H
#define TW_STORE_STORE_LMDB_H

#include "engine/store/state_directory.h"
#include "engine/store/store_internal.h"

/* What the redo log needs of the store below it beyond its backend. */

struct tw_state_directory *tw_lmdb_directory(struct tw_store *store);
/* Begins a transaction that only reads, in a store that may write; abort ends it. */
enum tumble_code tw_lmdb_begin_read(struct tw_store *store, struct tumble_error *err);
/* The number of the last transaction that was committed, by whichever process; of the open one that reads. Every commit
 * that changes anything has a higher one. */
uint64_t tw_lmdb_last_transaction(struct tw_store *store);
uint64_t tw_lmdb_open_transaction(struct tw_store *store);

#endif
