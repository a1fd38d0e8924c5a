#ifndef TW_WINDOW_GROUP_KEY_H
#define TW_WINDOW_GROUP_KEY_H

#include "engine/aggregate/aggregate.h"

/* A group's key: its values one behind the other, each self-delimiting, so that memcmp of two keys orders groups as
 * rows are ordered: null < false < true < numbers by value < strings by bytes. Equal numbers have equal bytes. */

/* Most bytes one value can take in a key. */
size_t tw_group_key_bound(const struct tw_value *value);
/* Writes value at out (at least tw_group_key_bound bytes); returns the length. MISSING counts as null. */
size_t tw_group_key_put(const struct tw_value *value, char *out);
/* Appends the next value of a key as JSON text and moves on. Errors: ECORRUPT (not a key), ENOMEM, ELIMIT. */
enum tumble_code tw_group_key_json(struct tw_cursor *key, struct tw_buf *out);

#endif
