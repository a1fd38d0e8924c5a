#include "emulator/emulator.h"

#include <stdio.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/hash_key.h"

/* CreateStream divides [0, 2^128) into count ranges of floor(2^128 / count) hash keys; the last one takes what is left
 * over. Hence shard 0 of 2 ends at 170141183460469231731687303715884105727. */
struct tumble_sharder {
    struct tumble_alloc alloc;
    tw_uint128 width; /* unused for one shard: 2^128 has no 128-bit form */
    uint32_t count;
};

enum tumble_code tumble_sharder_new(uint32_t shard_count, struct tumble_alloc alloc, struct tumble_sharder **out,
                                    struct tumble_error *err) {
    *out = NULL;
    if (shard_count < 1 || shard_count > TW_LIMIT_SHARDS) {
        return tw_fail(err, TUMBLE_ELIMIT, "a stream has 1 to %d shards, not %u", TW_LIMIT_SHARDS, shard_count);
    }
    alloc = tw_alloc_or_default(alloc);
    struct tumble_sharder *sharder = tw_alloc_zero(&alloc, sizeof *sharder);
    if (!sharder) {
        return tw_no_memory(err);
    }
    sharder->alloc = alloc;
    sharder->count = shard_count;
    if (shard_count > 1) {
        /* floor(2^128 / n) is floor((2^128 - 1) / n), plus one when n divides 2^128 */
        sharder->width = TW_HASH_KEY_MAX / shard_count + (TW_HASH_KEY_MAX % shard_count == shard_count - 1);
    }
    *out = sharder;
    return TUMBLE_OK;
}

void tumble_sharder_destroy(struct tumble_sharder *sharder) {
    if (sharder) {
        struct tumble_alloc alloc = sharder->alloc;
        tw_free(&alloc, sharder);
    }
}

enum tumble_code tumble_sharder_shard(const struct tumble_sharder *sharder, struct tumble_bytes partition_key,
                                      struct tumble_bytes explicit_hash_key, uint32_t *shard,
                                      struct tumble_error *err) {
    tw_uint128 key = 0;
    if (explicit_hash_key.length) {
        TW_TRY(tw_hash_key_parse(explicit_hash_key, &key, err));
    }
    if (sharder->count == 1) {
        *shard = 0; /* whatever the key hashes to */
        return TUMBLE_OK;
    }
    if (!explicit_hash_key.length) {
        key = tw_hash_key_of(partition_key);
    }
    /* A 128-bit division costs more than the MD5 around it deserves: the high half gives the shard or the one before.
     */
    uint32_t guess = (uint32_t)((tw_uint128)(uint64_t)(key >> 64) * sharder->count >> 64);
    while (guess > 0 && key < sharder->width * guess) {
        guess--;
    }
    while (guess + 1 < sharder->count && key >= sharder->width * (guess + 1)) {
        guess++;
    }
    *shard = guess;
    return TUMBLE_OK;
}

static void write_key(tw_uint128 key, uint8_t out[16]) {
    for (int i = 15; i >= 0; i--, key >>= 8) {
        out[i] = (uint8_t)key;
    }
}

void tumble_sharder_range(const struct tumble_sharder *sharder, uint32_t shard, struct tumble_hash_range *out) {
    write_key(sharder->width * shard, out->first);
    write_key(shard + 1 < sharder->count ? sharder->width * (shard + 1) - 1 : TW_HASH_KEY_MAX, out->last);
}

void tumble_shard_id_text(uint32_t shard, char out[TUMBLE_SHARD_ID_TEXT]) {
    snprintf(out, TUMBLE_SHARD_ID_TEXT, "shardId-%012u", shard);
}
