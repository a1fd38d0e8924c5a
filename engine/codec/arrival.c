#include "engine/codec/arrival.h"

#include <tumble/timestamp.h>

#include "engine/codec/eight_digits.h"

bool tw_arrival_turned(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms) {
    const char *at = value->text;
    uint64_t seconds, head, middle;
    if (value->type != TUMBLE_TYPE_NUMBER || value->length != 14) {
        return false;
    }
    memcpy(&head, at, sizeof head);
    memcpy(&middle, at + 3, sizeof middle);
    if (at[10] != '.' || !tw_eight_digits(at, &seconds)) {
        return false;
    }
    uint64_t last; /* the five digits behind them, the dot taken out from between, three zeros in front */
    memcpy(&last, at + 6, sizeof last);
    last = (last >> 40) << 40 | (last >> 16 & 0xffff) << 24 | 0x303030;
    char digits[8];
    memcpy(digits, &last, sizeof digits);
    uint64_t rest;
    if (!tw_eight_digits(digits, &rest)) {
        return false;
    }
    *out_ms = (int64_t)(seconds * 100000 + rest);
    arrival->head = head;
    arrival->middle = middle;
    arrival->second_ms = *out_ms - *out_ms % 1000;
    return true;
}

enum tumble_code tw_arrival_ms(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms,
                               struct tumble_error *err) {
    /* A number is seconds, whatever its size. */
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    return tw_arrival_usual(arrival, value, out_ms) ? TUMBLE_OK : tumble_timestamp_ms(&seconds, value, out_ms, err);
}
