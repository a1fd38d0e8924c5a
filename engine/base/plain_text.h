#ifndef TW_BASE_PLAIN_TEXT_H
#define TW_BASE_PLAIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Text that stands in a JSON string as it is: no quote, no backslash, no control character. */

static inline bool tw_is_plain_word(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t special = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word);
    return (special & highs) == 0;
}

/* Nothing to escape in a text of 8 bytes or more; the last word overlaps. */
static inline bool tw_is_plain_text(const char *text, size_t length) {
    uint64_t word;
    for (size_t i = 0; i + 8 < length; i += 8) {
        memcpy(&word, text + i, sizeof word);
        if (!tw_is_plain_word(word)) {
            return false;
        }
    }
    memcpy(&word, text + length - 8, sizeof word);
    return tw_is_plain_word(word);
}

#endif
