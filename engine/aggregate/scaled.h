#ifndef TW_AGGREGATE_SCALED_H
#define TW_AGGREGATE_SCALED_H

#include "engine/base/buf.h"
#include "engine/base/number.h"

/* The stored form of coefficient × 10^exponent that exact sums share: zigzag varint exponent, coefficient as LEB128 of
 * up to 128 bits. Canonical: below 10^38, no trailing decimal zeros, 0 has exponent 0. */

enum tumble_code tw_scaled_append(struct tw_buf *out, tw_uint128 coefficient, int exponent);
/* Refuses what append would not have been given, a last digit further right than lowest, and a first digit further left
 * than highest (both as exponents). */
bool tw_scaled_take(struct tw_cursor *in, int lowest, int highest, tw_uint128 *coefficient, int *exponent);

#endif
