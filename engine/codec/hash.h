#ifndef TW_CODEC_HASH_H
#define TW_CODEC_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <tumble/bytes.h>

#include "engine/base/alloc.h"

/* xxHash lives here. Whatever is stored or merged uses tw_hash64/tw_hash128 (fixed seed 0); hash tables of strangers'
 * keys use tw_hash_seeded with tw_hash_process_seed (random once a process; TUMBLE_HASH_SEED pins it). */
uint64_t tw_hash64(const void *data, size_t length);
/* The same of each of count texts; they stand stride bytes apart. */
void tw_hash64_each(const struct tumble_bytes *texts, size_t stride, size_t count, uint64_t *out);
void tw_hash128(const void *data, size_t length, uint8_t out[16]); /* canonical (big-endian) form */
/* A link more: chain becomes the hash of chain and the hash of data. */
void tw_hash128_chain(uint8_t chain[16], const void *data, size_t length);
uint64_t tw_hash_seeded(const void *data, size_t length, uint64_t seed);
uint64_t tw_hash_words(uint64_t head, uint64_t tail, uint64_t seed); /* for tables, too */
uint64_t tw_hash_process_seed(void);                                 /* thread-safe */

/* A running 64-bit digest of a stream of bytes. */
struct tw_digest;
struct tw_digest *tw_digest_new(void); /* NULL: no memory */
void tw_digest_destroy(struct tw_digest *digest);
void tw_digest_reset(struct tw_digest *digest);
void tw_digest_update(struct tw_digest *digest, const void *data, size_t length);
uint64_t tw_digest_value(const struct tw_digest *digest); /* does not disturb the state */

#endif
