#ifndef TW_AGGREGATE_STORED_H
#define TW_AGGREGATE_STORED_H

#include "engine/base/limits.h"

#include <stdint.h>

/* How many bytes the stored forms of docs/aggregates.md can take at most, for stored_most of an aggregate's table. Each
 * is reached by some state. */
enum {
    TW_STORED_COUNT = 9,                                /* varint of a number below 2^63 */
    TW_STORED_NUMBER = 21,                              /* ordered form of 34 digits */
    TW_STORED_STRING = 3 + TW_LIMIT_STRING_VALUE_BYTES, /* varint length and bytes */
    TW_STORED_VALUE = 1 + TW_STORED_STRING,             /* type and value */
    TW_STORED_POSITION = 7 + 2 + 54 + 10,               /* arrival up to the year 9999, 128 digits, sub-sequence */
    TW_STORED_TOTAL = 3 + 8 * 39,                       /* of tw_total: every limb of tw_wide */
    TW_STORED_SQUARES = 3 + 8 * 76                      /* of tw_squares */
};

/* Bytes of a varint. */
unsigned tw_stored_varint(uint64_t value);
/* The most bytes that so many varints can have whose values are at least `least` each, and `sum` together. */
uint64_t tw_stored_varints(uint64_t count, uint64_t least, uint64_t sum);

#endif
