#ifndef TW_BASE_DIGITS_H
#define TW_BASE_DIGITS_H

#include <stdint.h>

/* Decimal digits of a number below 10^8 without a loop, after P. Khuong, "How to print integers really fast" (2017):
 * halves of four digits in two lanes of a word, then pairs in four, then digits in eight, each division by a
 * multiplication that is exact in its range. The first lane is the lowest. */

/* Four pairs of digits, 0 … 99, in 16 bits each. */
static inline uint64_t tw_four_pairs(uint32_t value) {
    uint64_t halves = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t top = (halves * 10486 >> 20) & UINT64_C(0x0000007f0000007f); /* / 100 */
    return ((halves - 100 * top) << 16) + top;
}

/* Eight digits, 0 … 9, a byte each. */
static inline uint64_t tw_eight_digits(uint32_t value) {
    uint64_t pairs = tw_four_pairs(value);
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f); /* / 10 */
    return tens + ((pairs - 10 * tens) << 8);
}

#endif
