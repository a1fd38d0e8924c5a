#ifndef TW_CODEC_EIGHT_DIGITS_H
#define TW_CODEC_EIGHT_DIGITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The value of eight decimal digits, all at once: pairs, then fours, then the eight. False: something else is there. */
static inline bool tw_eight_digits(const char *at, uint64_t *value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
    const uint64_t zeros = UINT64_C(0x3030303030303030);
    const uint64_t pairs = UINT64_C(0x000000ff000000ff);
    uint64_t word;
    memcpy(&word, at, sizeof word);
    bool digits = (((word & high) ^ zeros) | (((word + UINT64_C(0x0606060606060606)) & high) ^ zeros)) == 0;
    word -= zeros;
    word = word * 10 + (word >> 8);
    *value =
        ((word & pairs) * (100 + (UINT64_C(1000000) << 32)) + (word >> 16 & pairs) * (1 + (UINT64_C(10000) << 32))) >>
        32;
    return digits;
#else
    (void)at;
    (void)value;
    return false;
#endif
}

#endif
