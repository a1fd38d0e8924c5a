#ifndef TW_EMULATOR_SEEDED_H
#define TW_EMULATOR_SEEDED_H

#include <stdint.h>

#include "emulator/emulated_function.h"

/* Numbers that only look random: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators"). */
static inline uint64_t tw_seeded_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
/* In [0, 1). */
static inline double tw_seeded_fraction(uint64_t *state) { return (double)(tw_seeded_next(state) >> 11) * 0x1p-53; }
/* In [0, bound); bound > 0. */
static inline uint64_t tw_seeded_below(uint64_t *state, uint64_t bound) { return tw_seeded_next(state) % bound; }

/* The next UUID (version 4 in form). */
void tw_seeded_uuid(uint64_t *state, char out[TUMBLE_REQUEST_ID_TEXT]);

#endif
