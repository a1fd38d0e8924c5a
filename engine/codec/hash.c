#define XXH_INLINE_ALL    /* short keys are hashed in the hot loop: a call through the shared library would double their \
                             cost */
#include <xxhash.h>

#include "engine/codec/hash.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

uint64_t tw_hash64(const void *data, size_t length) { return XXH3_64bits(data, length); }

void tw_hash64_each(const struct tumble_bytes *texts, size_t stride, size_t count, uint64_t *out) {
    const char *at = (const char *)texts;
    for (size_t i = 0; i < count; i++, at += stride) {
        const struct tumble_bytes *text = (const void *)at;
        out[i] = XXH3_64bits(text->length ? text->data : "", text->length);
    }
}

static inline void hash128(const void *data, size_t length, uint8_t out[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, length));
    memcpy(out, canonical.digest, 16);
}

void tw_hash128(const void *data, size_t length, uint8_t out[16]) { hash128(data, length, out); }

void tw_hash128_chain(uint8_t chain[16], const void *data, size_t length) {
    uint8_t both[32];
    memcpy(both, chain, 16);
    hash128(data, length, both + 16);
    hash128(both, sizeof both, chain); /* of a length known here: without asking for it */
}

uint64_t tw_hash_seeded(const void *data, size_t length, uint64_t seed) {
    return XXH3_64bits_withSeed(data, length, seed);
}

uint64_t tw_hash_words(uint64_t head, uint64_t tail, uint64_t seed) {
    const uint64_t words[] = {head, tail};
    return XXH3_64bits_withSeed(words, sizeof words, seed);
}

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t process_seed;

/* Decimal or 0x-prefixed; anything else does not pin (there is nobody here to tell). */
static bool pinned_seed(uint64_t *out) {
    const char *text = getenv("TUMBLE_HASH_SEED");
    if (!text || !isdigit((unsigned char)*text)) {
        return false;
    }
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

static void choose_seed(void) {
    if (pinned_seed(&process_seed)) {
        return;
    }
    /* A kernel without getrandom still hands every process 16 random bytes at exec. */
    if (getrandom(&process_seed, sizeof process_seed, GRND_NONBLOCK) != (ssize_t)sizeof process_seed) {
        const void *random = (const void *)getauxval(AT_RANDOM);
        if (random) {
            process_seed = tw_hash64(random, 16);
        }
    }
}

uint64_t tw_hash_process_seed(void) {
    pthread_once(&seed_once, choose_seed);
    return process_seed;
}

/* XXH3's state wants 64-byte alignment, more than an allocator promises. */
struct tw_digest {
    XXH3_state_t *state;
    char room[sizeof(XXH3_state_t) + 63];
};

struct tw_digest *tw_digest_new(void) {
    struct tumble_alloc alloc = tw_alloc_default();
    struct tw_digest *digest = tw_alloc(&alloc, sizeof *digest);
    if (digest) {
        size_t past = (uintptr_t)digest->room % 64;
        digest->state = (XXH3_state_t *)(void *)(digest->room + (past ? 64 - past : 0));
        XXH3_INITSTATE(digest->state);
        tw_digest_reset(digest);
    }
    return digest;
}

void tw_digest_destroy(struct tw_digest *digest) {
    struct tumble_alloc alloc = tw_alloc_default();
    tw_free(&alloc, digest);
}

void tw_digest_reset(struct tw_digest *digest) { XXH3_64bits_reset(digest->state); }

void tw_digest_update(struct tw_digest *digest, const void *data, size_t length) {
    if (length) {
        XXH3_64bits_update(digest->state, data, length);
    }
}

uint64_t tw_digest_value(const struct tw_digest *digest) { return XXH3_64bits_digest(digest->state); }
