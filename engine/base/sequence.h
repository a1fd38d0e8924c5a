#ifndef TW_BASE_SEQUENCE_H
#define TW_BASE_SEQUENCE_H

#include <string.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"
#include "engine/base/limits.h"

/* Sequence numbers are decimal strings of 1 to 128 digits (design R2), compared as numbers: leading zeros dropped, then
 * by length, then byte by byte. */

/* Checks the digits and drops leading zeros (one "0" stays). Errors: ESEQUENCE. */
enum tumble_code tw_sequence_check(struct tumble_bytes text, struct tumble_bytes *out, struct tumble_error *err);

/* Is text a sequence number that needs no look but one at the checked number before it? True only when it is of the
 * same length, stands above it, and has been found to be digits without leading zeros; false says nothing. */
bool tw_sequence_follows(struct tumble_bytes text, struct tumble_bytes last);

/* Both must have passed tw_sequence_check. The empty view is below every number. */
static inline int tw_sequence_compare(struct tumble_bytes a, struct tumble_bytes b) {
    if (a.length != b.length) {
        return a.length < b.length ? -1 : 1;
    }
    return a.length ? memcmp(a.data, b.data, a.length) : 0;
}

/* Packed form in frames: varint number of digits, then the value in base 256, big-endian, in the fewest bytes that
 * hold any number of that many digits (24 for the 56 digits Kinesis gives). The empty view is packed too, as no digits.
 * Errors of append: ENOMEM, ELIMIT. take writes the digits to out and returns false for bytes that are not a canonical
 * packed number. */
enum tumble_code tw_sequence_append(struct tw_buf *buf, struct tumble_bytes digits);
bool tw_sequence_take(struct tw_cursor *cursor, char out[TW_LIMIT_SEQUENCE_DIGITS], size_t *length);

#endif
