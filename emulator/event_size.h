#ifndef TW_EMULATOR_EVENT_SIZE_H
#define TW_EMULATOR_EVENT_SIZE_H

#include "emulator/emulated_function.h"

/* Has any of the eight bytes to be escaped in JSON: below space, a quote or a backslash? Zero: none. (Bytes above 127
 * may be taken for one only by an exact count that then follows.) */
static inline uint64_t tw_event_escapes(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    return ((word - ones * 0x20) | (quote - ones) | (backslash - ones)) & high & ~word;
}

size_t tw_event_escaped_length_exact(struct tumble_bytes text);

/* How many bytes text takes between quotes in the event; its own length where nothing is escaped. */
static inline size_t tw_event_escaped_length(struct tumble_bytes text) {
    uint64_t found = 0, word;
    size_t at = 0;
    for (; at + 8 <= text.length; at += 8) {
        memcpy(&word, text.data + at, 8);
        found |= tw_event_escapes(word);
    }
    if (text.length >= 8) { /* the last eight once more */
        memcpy(&word, text.data + text.length - 8, 8);
        found |= tw_event_escapes(word);
    } else {
        char last[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
        for (size_t i = 0; i < text.length; i++) {
            last[i] = text.data[i];
        }
        memcpy(&word, last, 8);
        found = tw_event_escapes(word);
    }
    return found ? tw_event_escaped_length_exact(text) : text.length;
}

/* Of a record in the event: what depends on the record alone. */
static inline size_t tw_event_record_varying(const struct tumble_stream_record *record) {
    return tw_event_escaped_length(record->partition_key) + 2 * record->sequence.length +
           (record->data.length + 2) / 3 * 4;
}

#endif
