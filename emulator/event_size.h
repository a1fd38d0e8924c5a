#ifndef TW_EMULATOR_EVENT_SIZE_H
#define TW_EMULATOR_EVENT_SIZE_H

#include "emulator/function.h"

/* How many bytes text takes between quotes in the event; its own length where nothing is escaped. */
static inline size_t tw_event_escaped_length(struct tumble_bytes text) {
    size_t length = text.length;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20) {
            length += c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f' ? 1 : 5;
        } else {
            length += c == '"' || c == '\\';
        }
    }
    return length;
}

/* Of a record in the event: what depends on the record alone. */
static inline size_t tw_event_record_varying(const struct tumble_stream_record *record) {
    return tw_event_escaped_length(record->partition_key) + 2 * record->sequence.length +
           (record->data.length + 2) / 3 * 4;
}

#endif
