#include "engine/aggregate/scaled.h"

#include "engine/base/fail.h"

enum { DIGITS = 38, ZIGZAG_MAX = 4000 };

enum tumble_code tw_scaled_append(struct tw_buf *out, tw_uint128 coefficient, int exponent) {
    char bytes[19];
    size_t length = 0;
    for (; coefficient > UINT64_MAX; coefficient >>= 7) {
        bytes[length++] = (char)((uint8_t)(coefficient & 0x7f) | 0x80);
    }
    uint64_t low = (uint64_t)coefficient;
    do {
        bytes[length++] = (char)((low & 0x7f) | (low > 0x7f ? 0x80 : 0));
        low >>= 7;
    } while (low);
    TW_TRY(tw_buf_append_varint(out, exponent < 0 ? (uint64_t)-exponent * 2 - 1 : (uint64_t)exponent * 2));
    return tw_buf_append_few(out, bytes, length);
}

static bool take_coefficient(struct tw_cursor *in, tw_uint128 *out) {
    tw_uint128 value = 0;
    for (int shift = 0; shift < 128; shift += 7) {
        uint8_t byte;
        if (!tw_take_u8(in, &byte) || (shift == 126 && byte > 3)) {
            return false;
        }
        value |= (tw_uint128)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return byte != 0 || shift == 0;
        }
    }
    return false;
}

bool tw_scaled_take(struct tw_cursor *in, int lowest, int highest, tw_uint128 *coefficient, int *exponent) {
    uint64_t zigzag;
    if (!tw_take_varint(in, &zigzag) || zigzag > ZIGZAG_MAX || !take_coefficient(in, coefficient) ||
        *coefficient >= tw_power_of_ten[DIGITS]) {
        return false;
    }
    *exponent = zigzag & 1 ? -(int)((zigzag + 1) / 2) : (int)(zigzag / 2);
    if (*coefficient == 0) {
        return *exponent == 0;
    }
    return *coefficient % 10 != 0 && *exponent >= lowest && *exponent + tw_digit_count(*coefficient) - 1 <= highest;
}
