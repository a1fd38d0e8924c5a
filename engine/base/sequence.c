#include "engine/base/sequence.h"

#include <stdint.h>

#include "engine/base/fail.h"
#include "engine/base/number.h"

enum {
    CHUNK_DIGITS = 18,
    WORDS = 7, /* 448 bits: 128 digits need 426 */
    BYTES_MAX = WORDS * 8
};

/* Are the eight bytes all decimal digits? High nibbles must be 3, and adding 6 must not carry into them. */
static bool eight_digits(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), threes = UINT64_C(0x3030303030303030);
    return ((word & high) == threes) & (((word + UINT64_C(0x0606060606060606)) & high) == threes);
}

enum tumble_code tw_sequence_check(struct tumble_bytes text, struct tumble_bytes *out, struct tumble_error *err) {
    if (text.length == 0 || text.length > TW_LIMIT_SEQUENCE_DIGITS) {
        return tw_fail(err, TUMBLE_ESEQUENCE,
                       "a sequence number has %zu characters; 1 to %d decimal digits were expected", text.length,
                       (int)TW_LIMIT_SEQUENCE_DIGITS);
    }
    size_t checked = 0; /* this runs for every record */
    while (checked + 8 <= text.length && eight_digits(text.data + checked)) {
        checked += 8;
    }
    for (size_t i = checked; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return tw_fail_at(err, TUMBLE_ESEQUENCE, (int64_t)i,
                              "the sequence number \"%.*s\" has a character other than 0-9 at byte %zu",
                              (int)text.length, text.data, i);
        }
    }
    while (text.length > 1 && text.data[0] == '0') {
        text.data++;
        text.length--;
    }
    *out = text;
    return TUMBLE_OK;
}

/* Fewest bytes that hold every number of so many digits: ceil(digits × log256(10)), 0.4152410 …; right for 0 … 128. */
static size_t width_of(size_t digits) { return (digits * 415241 + 999999) / 1000000; }

/* value × factor + addend; value is little-endian words. */
static void multiply_add(uint64_t value[WORDS], uint64_t factor, uint64_t addend) {
    tw_uint128 carry = addend;
    for (int i = 0; i < WORDS; i++) {
        carry += (tw_uint128)value[i] * factor;
        value[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static uint64_t divide_remainder(uint64_t value[WORDS], uint64_t divisor) {
    tw_uint128 rest = 0;
    for (int i = WORDS; i-- > 0;) {
        rest = rest << 64 | value[i];
        value[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint64_t)rest;
}

enum tumble_code tw_sequence_append(struct tw_buf *buf, struct tumble_bytes digits) {
    uint64_t value[WORDS] = {0};
    for (size_t at = 0; at < digits.length;) {
        size_t left = digits.length - at;
        size_t count = left < CHUNK_DIGITS ? left : CHUNK_DIGITS;
        uint64_t chunk = 0;
        for (size_t i = 0; i < count; i++) {
            chunk = chunk * 10 + (uint64_t)(digits.data[at + i] - '0');
        }
        multiply_add(value, (uint64_t)tw_power_of_ten[count], chunk);
        at += count;
    }
    size_t width = width_of(digits.length);
    char bytes[1 + BYTES_MAX];
    for (size_t i = 0; i < width; i++) {
        size_t place = width - 1 - i;
        bytes[i] = (char)(value[place / 8] >> (8 * (place % 8)));
    }
    TW_TRY(tw_buf_append_varint(buf, digits.length));
    return tw_buf_append(buf, bytes, width);
}

bool tw_sequence_take(struct tw_cursor *cursor, char out[TW_LIMIT_SEQUENCE_DIGITS], size_t *length) {
    struct tw_cursor at = *cursor;
    uint64_t digits;
    struct tumble_bytes bytes;
    if (!tw_take_varint(&at, &digits) || digits > TW_LIMIT_SEQUENCE_DIGITS ||
        !tw_take_bytes(&at, width_of((size_t)digits), &bytes)) {
        return false;
    }
    uint64_t value[WORDS] = {0};
    for (size_t i = 0; i < bytes.length; i++) {
        size_t place = bytes.length - 1 - i;
        value[place / 8] |= (uint64_t)(unsigned char)bytes.data[i] << (8 * (place % 8));
    }
    char text[TW_LIMIT_SEQUENCE_DIGITS];
    for (size_t end = (size_t)digits; end > 0;) {
        size_t count = end < CHUNK_DIGITS ? end : CHUNK_DIGITS;
        uint64_t chunk = divide_remainder(value, (uint64_t)tw_power_of_ten[count]);
        for (size_t i = 0; i < count; i++) {
            text[end - 1 - i] = (char)('0' + chunk % 10);
            chunk /= 10;
        }
        end -= count;
    }
    for (int i = 0; i < WORDS; i++) {
        if (value[i]) {
            return false; /* more than the digits it claims */
        }
    }
    if (digits > 1 && text[0] == '0') {
        return false; /* fewer */
    }
    memcpy(out, text, (size_t)digits);
    *length = (size_t)digits;
    *cursor = at;
    return true;
}
