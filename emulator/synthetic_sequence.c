#include "emulator/emulator.h"

#include <string.h>

/* Kinesis numbers have 56 digits and begin with 49; payload input gets the same form: "49", then the record's position,
 * zero-padded. Positions order as their texts do, and no clock or random enters. */
enum { DIGITS = TUMBLE_SEQUENCE_TEXT - 1, PREFIX_DIGITS = 2 };

void tumble_synthetic_sequence(uint64_t position, char out[TUMBLE_SEQUENCE_TEXT]) {
    memset(out, '0', DIGITS);
    out[DIGITS] = '\0';
    memcpy(out, "49", PREFIX_DIGITS);
    for (int i = DIGITS - 1; position; i--, position /= 10) {
        out[i] = (char)('0' + position % 10);
    }
}

void tumble_synthetic_sequence_next(char text[TUMBLE_SEQUENCE_TEXT]) {
    for (int i = DIGITS - 1; i >= PREFIX_DIGITS; i--) {
        if (text[i] != '9') {
            text[i]++;
            return;
        }
        text[i] = '0';
    }
}
