#include <string.h>

#include "engine/codec/hash.h"
#include "engine/engine_internal.h"

static void put(struct tw_key *key, uint64_t value, int width) {
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
        key->bytes[key->length++] = (char)(value >> shift);
    }
}

struct tw_key tw_key_prefix(char letter) {
    struct tw_key key = {.length = 1};
    key.bytes[0] = letter;
    return key;
}

struct tw_key tw_key_meta(void) {
    return tw_key_prefix('M');
}
struct tw_key tw_key_counters(void) {
    return tw_key_prefix('C');
}

struct tw_key tw_key_note(struct tumble_bytes name) {
    struct tw_key key = tw_key_prefix('N');
    memcpy(key.bytes + key.length, name.data, name.length);
    key.length += name.length;
    return key;
}

struct tw_key tw_key_shard(uint32_t shard) {
    struct tw_key key = tw_key_prefix('S');
    put(&key, shard, 4);
    return key;
}

static struct tw_key window_key(char letter, uint32_t shard, int64_t start_ms) {
    struct tw_key key = tw_key_prefix(letter);
    put(&key, shard, 4);
    put(&key, (uint64_t)start_ms, 8);
    return key;
}

struct tw_key tw_key_window(uint32_t shard, int64_t start_ms) {
    return window_key('W', shard, start_ms);
}

struct tw_key tw_key_generation(uint32_t shard, int64_t start_ms, uint32_t generation) {
    struct tw_key key = window_key('G', shard, start_ms);
    put(&key, generation, 4);
    return key;
}

struct tw_key tw_key_groups(uint32_t shard, int64_t start_ms, uint32_t generation, char part, uint32_t number) {
    struct tw_key key = tw_key_generation(shard, start_ms, generation);
    key.bytes[key.length++] = part;
    put(&key, number, 4);
    return key;
}

struct tw_key tw_key_outbox_all(enum tumble_row_kind kind) {
    struct tw_key key = tw_key_prefix('O');
    put(&key, (uint64_t)kind, 1);
    return key;
}

struct tw_key tw_key_outbox(enum tumble_row_kind kind, uint64_t chunk) {
    struct tw_key key = tw_key_outbox_all(kind);
    put(&key, chunk, 8);
    return key;
}

struct tw_key tw_key_fragment(uint64_t chunk) {
    struct tw_key key = tw_key_prefix(TW_KEY_FRAGMENT);
    put(&key, chunk, 8);
    return key;
}

/* By hash: a URI may be longer than a key. One URI may take rows and failures, with a place of its own for each. */
struct tw_key tw_key_cursor(const char *name, enum tumble_row_kind kind) {
    struct tw_key key = tw_key_prefix('R');
    uint8_t hash[16];
    tw_hash128(name, strlen(name), hash);
    hash[15] ^= (uint8_t)kind;
    memcpy(key.bytes + key.length, hash, sizeof hash);
    key.length += sizeof hash;
    return key;
}

static uint64_t get(const char *at, int width) {
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        value = value << 8 | (unsigned char)at[i];
    }
    return value;
}

bool tw_key_read_window(struct tumble_bytes key, uint32_t *shard, int64_t *start_ms) {
    if (key.length != 13) {
        return false;
    }
    *shard = (uint32_t)get(key.data + 1, 4);
    *start_ms = (int64_t)get(key.data + 5, 8);
    return true;
}

bool tw_key_read_outbox(struct tumble_bytes key, uint64_t *chunk) {
    if (key.length != 10) {
        return false;
    }
    *chunk = get(key.data + 2, 8);
    return true;
}

bool tw_key_read_fragment(struct tumble_bytes key, uint64_t *chunk) {
    if (key.length != 9) {
        return false;
    }
    *chunk = get(key.data + 1, 8);
    return true;
}
