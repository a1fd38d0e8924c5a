#include "engine/codec/arrival.h"

#include <string.h>

#include <tumble/timestamp.h>

/* The value of eight decimal digits, all at once: pairs, then fours, then the eight. False: something else is there. */
static bool eight_digits(const char *at, uint64_t *value) {
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

bool tw_arrival_usual(struct tw_arrival *arrival, const struct tumble_value *value, int64_t *out_ms) {
    const char *at = value->text;
    uint64_t seconds;
    if (value->type != TUMBLE_TYPE_NUMBER || value->length != 14) {
        return false;
    }
    /* Mostly of the second of the one before, up to the point and all. */
    uint64_t head, middle;
    memcpy(&head, at, sizeof head);
    memcpy(&middle, at + 3, sizeof middle);
    unsigned char digit[3] = {(unsigned char)(at[11] - '0'), (unsigned char)(at[12] - '0'),
                              (unsigned char)(at[13] - '0')};
    if (head == arrival->head && middle == arrival->middle && digit[0] < 10 && digit[1] < 10 && digit[2] < 10) {
        *out_ms = arrival->second_ms + digit[0] * 100 + digit[1] * 10 + digit[2];
        return true;
    }
    if (at[10] != '.' || !eight_digits(at, &seconds)) {
        return false;
    }
    uint64_t last; /* the five digits behind them, the dot taken out from between, three zeros in front */
    memcpy(&last, at + 6, sizeof last);
    last = (last >> 40) << 40 | (last >> 16 & 0xffff) << 24 | 0x303030;
    char digits[8];
    memcpy(digits, &last, sizeof digits);
    uint64_t rest;
    if (!eight_digits(digits, &rest)) {
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
