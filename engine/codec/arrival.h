#ifndef TW_CODEC_ARRIVAL_H
#define TW_CODEC_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <tumble/error.h>
#include <tumble/projection.h>

/* approximateArrivalTimestamp as Lambda writes it (lambda-semantics 1.2 and 1.3), in milliseconds. Neighbours mostly
 * arrived in the same second, which is read once: its last text and meaning are kept here. All zero is none. */
struct tw_arrival {
    uint64_t head; /* bytes 0–7 and 3–10 of "1762732800.042" */
    uint64_t middle;
    int64_t second_ms;
};

/* tw_arrival_usual for another second than the last. */
bool tw_arrival_turned(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms);

/* "1762732800.042": ten digits of seconds and three of milliseconds. False: written in another way. */
static inline bool tw_arrival_usual(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms) {
    const char *const at = value->text;
    if (value->type == TUMBLE_TYPE_NUMBER && value->length == 14) {
        /* Mostly of the second of the one before, up to the point and all. */
        uint64_t head, middle;
        memcpy(&head, at, sizeof head);
        memcpy(&middle, at + 3, sizeof middle);
        const unsigned hundreds = (unsigned char)at[11] - '0', tens = (unsigned char)at[12] - '0',
                       ones = (unsigned char)at[13] - '0';
        if (((head ^ arrival->head) | (middle ^ arrival->middle)) == 0 && hundreds < 10 && tens < 10 && ones < 10) {
            *out_ms = arrival->second_ms + (int64_t)(hundreds * 100 + tens * 10 + ones);
            return true;
        }
    }
    return tw_arrival_turned(arrival, value, out_ms);
}

/* Any number of seconds. Errors: those of tumble_timestamp_ms. */
enum tumble_code tw_arrival_ms(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms,
                               struct tumble_error *err);

#endif
