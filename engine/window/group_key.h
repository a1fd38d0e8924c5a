#ifndef TW_WINDOW_GROUP_KEY_H
#define TW_WINDOW_GROUP_KEY_H

#include "engine/aggregate/aggregate.h"
#include "engine/base/plain_text.h"

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

#endif
