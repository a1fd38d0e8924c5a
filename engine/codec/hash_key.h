#ifndef TW_CODEC_HASH_KEY_H
#define TW_CODEC_HASH_KEY_H

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/number.h"

/* Where a record falls in a stream's hash-key space [0, 2^128): its explicit hash key, or else the MD5 of its partition
 * key as an unsigned big-endian number (lambda-semantics 7.5, point 44). */

#define TW_HASH_KEY_MAX (~(tw_uint128)0)

/* Decimal digits, at least one, up to 2^128-1; leading zeros allowed. Errors: EINVAL with byte. */
enum tumble_code tw_hash_key_parse(struct tumble_bytes digits, tw_uint128 *out, struct tumble_error *err);

tw_uint128 tw_hash_key_of(struct tumble_bytes partition_key);

#endif
