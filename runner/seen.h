#ifndef TUMBLE_RUNNER_SEEN_H
#define TUMBLE_RUNNER_SEEN_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/engine.h>
#include <tumble/error.h>

/* Which sequence numbers a capture has shown lately, over all shards: tells a record that was delivered again (a
 * duplicate) from one that is out of order, when its number is not above its shard's mark (design R3). Remembers the
 * last TUMBLE_SEEN_RECORDS records by a 64-bit hash; a state keeps the last of them too, so that a resumed run decides
 * as the undisturbed one would have. */
enum { TUMBLE_SEEN_RECORDS = 1 << 18 };

struct tumble_seen;

struct tumble_seen *tumble_seen_new(void); /* NULL: no memory */
void tumble_seen_destroy(struct tumble_seen *seen);
enum tumble_code tumble_seen_add(struct tumble_seen *seen, uint32_t shard, struct tumble_bytes sequence);
int tumble_seen_has(struct tumble_seen *seen, uint32_t shard, struct tumble_bytes sequence);

/* Puts what was added since the last save into notes of the engine (committed with the position); load reads them. */
enum tumble_code tumble_seen_save(struct tumble_seen *seen, struct tumble_engine *engine, struct tumble_error *err);
enum tumble_code tumble_seen_load(struct tumble_seen *seen, const struct tumble_engine *engine,
                                  struct tumble_error *err);

#endif
