#include "runner/seen.h"

#include <stdio.h>
#include <string.h>

#include "runner/memory.h"

enum { NOTE_RECORDS = 4096, NOTES = TUMBLE_SEEN_RECORDS / NOTE_RECORDS };

struct tumble_seen {
    uint64_t *ring;  /* hashes of shard and sequence number; grows up to TUMBLE_SEEN_RECORDS, then wraps */
    size_t capacity; /* a power of two */
    uint64_t added;  /* ever */
    uint64_t saved;
    uint64_t hint; /* where the last search hit: records delivered again come in the order they first came */
};

struct tumble_seen *tumble_seen_new(void) {
    return tumble_runner_alloc(sizeof(struct tumble_seen));
}

void tumble_seen_destroy(struct tumble_seen *seen) {
    if (seen) {
        tumble_runner_free(seen->ring);
        tumble_runner_free(seen);
    }
}

__extension__ typedef unsigned __int128 uint128;

static uint64_t word_of(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Both halves of a product. */
static uint64_t fold(uint64_t a, uint64_t b) {
    uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Sixteen digits a product, and no product waits for another: this runs for every record. It need not resist an
 * adversary: a collision takes one's own record for a duplicate of one's own. */
static uint64_t hash_of(uint32_t shard, struct tumble_bytes sequence) {
    const uint64_t first = UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t second = UINT64_C(0xc2b2ae3d27d4eb4f);
    const char *at = sequence.data;
    const char *end = at + sequence.length;
    uint64_t hash = (shard + UINT64_C(1)) * second ^ sequence.length;
    char few[16] = {0};
    if (sequence.length < 16) {
        memcpy(few, at, sequence.length);
        at = few;
        end = few + 16;
    }
    if (sequence.length > 32 && sequence.length <= 64) { /* all there are, nearly: the middle parts overlap */
        hash ^= fold(word_of(at) ^ first, word_of(at + 8) ^ second);
        hash ^= fold(word_of(at + 16) ^ (first + 1), word_of(at + 24) ^ second);
        hash ^= fold(word_of(end - 32) ^ (first + 2), word_of(end - 24) ^ second);
    } else {
        for (uint64_t place = 0; end - at > 16; at += 16, place++) {
            hash ^= fold(word_of(at) ^ (first + place), word_of(at + 8) ^ second);
        }
    }
    hash ^= fold(word_of(end - 16) ^ ~first, word_of(end - 8) ^ second); /* may overlap what went before */
    return fold(hash ^ first, second);
}

static enum tumble_code add_hash(struct tumble_seen *seen, uint64_t hash) {
    if (seen->added >= seen->capacity && seen->capacity < TUMBLE_SEEN_RECORDS) {
        uint64_t *ring = tumble_runner_grow(seen->ring, seen->capacity, &seen->capacity, sizeof *ring);
        if (!ring) {
            return TUMBLE_ENOMEM;
        }
        seen->ring = ring;
    }
    seen->ring[seen->added++ & (seen->capacity - 1)] = hash;
    return TUMBLE_OK;
}

enum tumble_code tumble_seen_add(struct tumble_seen *seen, uint32_t shard, struct tumble_bytes sequence) {
    return add_hash(seen, hash_of(shard, sequence));
}

static uint64_t oldest(const struct tumble_seen *seen) {
    return seen->added > seen->capacity ? seen->added - seen->capacity : 0;
}

int tumble_seen_has(struct tumble_seen *seen, uint32_t shard, struct tumble_bytes sequence) {
    uint64_t hash = hash_of(shard, sequence);
    uint64_t first = oldest(seen);
    for (uint64_t step = 0; step < 64; step++) {
        uint64_t at = seen->hint + step;
        if (at >= first && at < seen->added && seen->ring[at & (seen->capacity - 1)] == hash) {
            seen->hint = at + 1;
            return 1;
        }
    }
    for (uint64_t at = seen->added; at > first; at--) {
        if (seen->ring[(at - 1) & (seen->capacity - 1)] == hash) {
            seen->hint = at;
            return 1;
        }
    }
    return 0;
}

/* Note "seen/N" holds the hashes of records [k, k + NOTE_RECORDS) with k / NOTE_RECORDS % NOTES = N, preceded by k. */
enum tumble_code tumble_seen_save(struct tumble_seen *seen, struct tumble_engine *engine, struct tumble_error *err) {
    while (seen->saved < seen->added) {
        uint64_t first = seen->saved - seen->saved % NOTE_RECORDS;
        uint64_t end = first + NOTE_RECORDS < seen->added ? first + NOTE_RECORDS : seen->added;
        unsigned char text[8 + 8 * NOTE_RECORDS];
        size_t length = 0;
        if (first < oldest(seen)) {
            first = oldest(seen);
        }
        for (int i = 0; i < 8; i++) {
            text[length++] = (unsigned char)(first >> (8 * i));
        }
        for (uint64_t at = first; at < end; at++) {
            for (int i = 0; i < 8; i++) {
                text[length++] = (unsigned char)(seen->ring[at & (seen->capacity - 1)] >> (8 * i));
            }
        }
        char name[32];
        snprintf(name, sizeof name, "seen/%u", (unsigned)(first / NOTE_RECORDS % NOTES));
        struct tumble_bytes value = {(const char *)text, length};
        enum tumble_code code = tumble_engine_set_note(engine, name, value, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        seen->saved = end;
    }
    return TUMBLE_OK;
}

static uint64_t word_at(struct tumble_bytes note, size_t index) {
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) {
        word = word << 8 | (unsigned char)note.data[index * 8 + (size_t)i];
    }
    return word;
}

enum tumble_code tumble_seen_load(struct tumble_seen *seen, const struct tumble_engine *engine,
                                  struct tumble_error *err) {
    /* The oldest note is the one behind the newest; notes missing at the front are records from before the ring. */
    uint64_t newest = 0;
    int any = 0;
    char name[32];
    for (unsigned n = 0; n < NOTES; n++) {
        snprintf(name, sizeof name, "seen/%u", n);
        struct tumble_bytes note = tumble_engine_note(engine, name);
        if (note.length >= 16 && (!any || word_at(note, 0) > newest)) {
            newest = word_at(note, 0);
            any = 1;
        }
    }
    if (!any) {
        return TUMBLE_OK;
    }
    uint64_t newest_block = newest / NOTE_RECORDS;
    uint64_t first_block = newest_block >= NOTES - 1 ? newest_block - (NOTES - 1) : 0;
    seen->ring = tumble_runner_alloc(TUMBLE_SEEN_RECORDS * sizeof *seen->ring);
    if (!seen->ring) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    seen->capacity = TUMBLE_SEEN_RECORDS; /* whole from the start: records keep their places */
    seen->added = first_block * NOTE_RECORDS;
    for (uint64_t block = first_block; block <= newest_block; block++) {
        snprintf(name, sizeof name, "seen/%u", (unsigned)(block % NOTES));
        struct tumble_bytes note = tumble_engine_note(engine, name);
        if (note.length >= 8) {
            seen->added = word_at(note, 0);
        }
        for (size_t i = 1; note.length >= 8 && i < note.length / 8; i++) {
            if (add_hash(seen, word_at(note, i)) != TUMBLE_OK) {
                return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
            }
        }
    }
    seen->saved = seen->added;
    return TUMBLE_OK;
}
