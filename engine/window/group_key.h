#ifndef TW_WINDOW_GROUP_KEY_H
#define TW_WINDOW_GROUP_KEY_H

#include <stdbool.h>
#include <string.h>

#include "engine/aggregate/aggregate.h"
#include "engine/base/plain_text.h"
#include "engine/codec/hash.h"

/* A group's key: its values one behind the other, each self-delimiting, so that memcmp of two keys orders groups as
 * rows are ordered: null < false < true < numbers by value < strings by bytes. Equal numbers have equal bytes. */

/* Most bytes one value can take in a key. */
size_t tw_group_key_bound(const struct tw_value *value);
/* Writes value at out (at least tw_group_key_bound bytes); returns the length. MISSING counts as null. */
size_t tw_group_key_put(const struct tw_value *value, char *out);
/* Appends the next value of a key as JSON text and moves on. Errors: ECORRUPT (not a key), ENOMEM, ELIMIT. */
enum tumble_code tw_group_key_json(struct tw_cursor *key, struct tw_buf *out);

/* The text of a key's last value where it is a string that stands in JSON as it is, of eight bytes or more, as most
 * are; false: ask tw_group_key_json. */
enum { TW_KEY_TAG_STRING = 5 };
static inline bool tw_group_key_plain(const struct tw_cursor *key, struct tumble_bytes *text) {
    const size_t length = tw_cursor_left(key);
    if (length < 10 || *key->at != TW_KEY_TAG_STRING || key->end[-1] != 0) {
        return false;
    }
    text->data = key->at + 1;
    text->length = length - 2;
    return tw_is_plain_text(text->data, text->length); /* a NUL within is none */
}

/* A key that is one string of 8 to 16 bytes is hashed by its text: that need not wait for the key to be written. */
enum { TW_KEY_AROUND = 2, TW_KEY_WORDS_LEAST = 8, TW_KEY_WORDS_MOST = 16 };
static inline uint64_t tw_group_text_hash(const char *text, size_t length, uint64_t seed) {
    uint64_t head, tail; /* which overlap */
    memcpy(&head, text, sizeof head);
    memcpy(&tail, text + length - sizeof tail, sizeof tail);
    return tw_hash_words(head, tail, seed + length);
}
static inline uint64_t tw_group_key_hash(struct tumble_bytes key, uint64_t seed) {
    const size_t length = key.length - TW_KEY_AROUND;
    return length - TW_KEY_WORDS_LEAST <= TW_KEY_WORDS_MOST - TW_KEY_WORDS_LEAST && *key.data == TW_KEY_TAG_STRING &&
                   key.data[key.length - 1] == 0
               ? tw_group_text_hash(key.data + 1, length, seed)
               : tw_hash_seeded(key.data, key.length, seed);
}

/* Are the first length bytes of both alike? In place for keys of usual length, of which the halves overlap. */
static inline bool tw_group_key_same(const char *a, const char *b, size_t length) {
    if (length >= 8 && length <= 16) {
        uint64_t one[2], other[2];
        memcpy(&one[0], a, 8);
        memcpy(&one[1], a + length - 8, 8);
        memcpy(&other[0], b, 8);
        memcpy(&other[1], b + length - 8, 8);
        return ((one[0] ^ other[0]) | (one[1] ^ other[1])) == 0;
    }
    if (length >= 4 && length < 8) {
        uint32_t one[2], other[2];
        memcpy(&one[0], a, 4);
        memcpy(&one[1], a + length - 4, 4);
        memcpy(&other[0], b, 4);
        memcpy(&other[1], b + length - 4, 4);
        return ((one[0] ^ other[0]) | (one[1] ^ other[1])) == 0;
    }
    return length == 0 || memcmp(a, b, length) == 0;
}

#endif
