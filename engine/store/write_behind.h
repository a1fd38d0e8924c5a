#ifndef TW_STORE_WRITE_BEHIND_H
#define TW_STORE_WRITE_BEHIND_H

#include "engine/store/store_internal.h"

/* One transaction at a time is put into the store by a thread of its own, from a log of puts and deletes, while the
 * next one's log is being made. What the thread and its owner share is handed over under the mutex and belongs to the
 * thread from submit to settle; LMDB wants a transaction begun and ended in one thread, and gets that. */

struct tw_write_behind;

enum { TW_WRITE_BEHIND_LOG_MAX = 4 << 20 }; /* two of them may lie in memory: what is larger is written at once */

/* Until record_end, tw_store_put and the deletes come here. */
enum tumble_code tw_write_behind_record(struct tw_store *store, struct tumble_error *err);
void tw_write_behind_record_end(struct tw_store *store);
bool tw_write_behind_is_recording(const struct tw_store *store);
bool tw_write_behind_is_too_large(const struct tw_store *store); /* the log: it is of no use */

enum tumble_code tw_write_behind_put(struct tw_store *store, struct tumble_bytes key, struct tumble_bytes value,
                                     struct tumble_error *err);
enum tumble_code tw_write_behind_delete(struct tw_store *store, struct tumble_bytes key, struct tumble_error *err);
enum tumble_code tw_write_behind_delete_prefix(struct tw_store *store, struct tumble_bytes prefix,
                                               struct tumble_error *err);

/* Hands over what was recorded; nothing may be on its way (settle). sync: also where commits are not synced. */
void tw_write_behind_submit(struct tw_store *store, bool sync);
/* Waits until nothing is on its way. Once something could not be written, always gives that error. */
enum tumble_code tw_write_behind_settle(struct tw_store *store, struct tumble_error *err);
void tw_write_behind_destroy(struct tw_store *store); /* waits, too */

#endif
