#ifndef TW_CODEC_ARRIVAL_H
#define TW_CODEC_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/error.h>
#include <tumble/projection.h>

/* approximateArrivalTimestamp as Lambda writes it (lambda-semantics 1.2 and 1.3), in milliseconds. Neighbours mostly
 * arrived in the same second, which is read once: its last text and meaning are kept here. All zero is none. */
struct tw_arrival {
    uint64_t head; /* bytes 0–7 and 3–10 of "1762732800.042" */
    uint64_t middle;
    int64_t second_ms;
};

/* "1762732800.042": ten digits of seconds and three of milliseconds. False: written in another way. */
bool tw_arrival_usual(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms);

/* Any number of seconds. Errors: those of tumble_timestamp_ms. */
enum tumble_code tw_arrival_ms(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms,
                               struct tumble_error *err);

#endif
