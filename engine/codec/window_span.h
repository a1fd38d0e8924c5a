#ifndef TW_CODEC_WINDOW_SPAN_H
#define TW_CODEC_WINDOW_SPAN_H

#include <stdint.h>

/* Start of the half-open window [start, start + length) that holds instant: floor(instant / length) * length, UTC epoch
 * (lambda-semantics 3.3; points 1 and 2). length_ms > 0; works below zero too. */
static inline int64_t tw_window_start(int64_t instant_ms, int64_t length_ms) {
    int64_t rest = instant_ms % length_ms;
    return instant_ms - (rest < 0 ? rest + length_ms : rest);
}

#endif
