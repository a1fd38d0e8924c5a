#include "engine/base/sequence.h"

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/base/fail.h"
#include "engine/base/number.h"

enum {
    CHUNK_DIGITS = 18,
    WORDS = 7, /* 448 bits: 128 digits need 426 */
    BYTES_MAX = WORDS * 8
};

/* Are the eight bytes all decimal digits? High nibbles must be 3, and adding 6 must not carry into them. */
static inline uint64_t not_digits(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), threes = UINT64_C(0x3030303030303030);
    return ((word & high) ^ threes) | (((word + UINT64_C(0x0606060606060606)) & high) ^ threes);
}

#if defined(__SSE2__)
/* 0 in every byte that is a digit. */
static inline __m128i above_nine(const char *at) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm_subs_epu8(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), _mm_set1_epi8(9));
}
#endif

/* This runs for every record. The last load may overlap the one before it; 56 digits are what Kinesis gives. */
static inline bool all_digits(struct tumble_bytes text) {
    const char *at = text.data;
    const char *end = text.data + text.length;
#if defined(__SSE2__)
    if (text.length >= 32 && text.length <= 64) {
        __m128i front = _mm_or_si128(above_nine(at), above_nine(at + 16));
        __m128i back = _mm_or_si128(above_nine(end - 32), above_nine(end - 16));
        __m128i fine = _mm_cmpeq_epi8(_mm_or_si128(front, back), _mm_setzero_si128());
        return _mm_movemask_epi8(fine) == 0xffff;
    }
#endif
    uint64_t faults = 0;
    if (text.length >= 8) {
        for (; end - at > 8; at += 8) {
            faults |= not_digits(at);
        }
        return (faults | not_digits(end - 8)) == 0;
    }
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at == end;
}

static __attribute__((cold, noinline)) enum tumble_code refuse(struct tumble_bytes text, struct tumble_error *err) {
    size_t i = 0;
    while (text.data[i] >= '0' && text.data[i] <= '9') {
        i++;
    }
    return tw_fail_at(err, TUMBLE_ESEQUENCE, (int64_t)i,
                      "the sequence number \"%.*s\" has a character other than 0-9 at byte %zu", (int)text.length,
                      text.data, i);
}

enum tumble_code tw_sequence_check(struct tumble_bytes text, struct tumble_bytes *out, struct tumble_error *err) {
    if (text.length == 0 || text.length > TW_LIMIT_SEQUENCE_DIGITS) {
        return tw_fail(err, TUMBLE_ESEQUENCE,
                       "a sequence number has %zu characters; 1 to %d decimal digits were expected", text.length,
                       (int)TW_LIMIT_SEQUENCE_DIGITS);
    }
    if (!all_digits(text)) {
        return refuse(text, err);
    }
    while (text.length > 1 && text.data[0] == '0') {
        text.data++;
        text.length--;
    }
    *out = text;
    return TUMBLE_OK;
}

#if defined(__SSE2__)
/* Bit i: bytes i are alike. *above has something in it when a byte of a is no digit. */
static inline uint64_t alike(const char *a, const char *b, __m128i *above) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)a);
    __m128i others = _mm_loadu_si128((const __m128i *)(const void *)b);
    *above = _mm_or_si128(*above, _mm_subs_epu8(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), _mm_set1_epi8(9)));
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, others));
}
#endif

bool tw_sequence_follows(struct tumble_bytes text, struct tumble_bytes last) {
#if defined(__SSE2__)
    if (text.length == last.length && text.length >= 48 && text.length <= 64 && text.data[0] != '0') {
        const char *a = text.data, *b = last.data;
        size_t end = text.length - 16; /* where the last sixteen begin, some of which were seen before */
        __m128i above = _mm_setzero_si128();
        uint64_t same = alike(a, b, &above) | alike(a + 16, b + 16, &above) << 16 | alike(a + 32, b + 32, &above) << 32;
        same |= alike(a + end, b + end, &above) << end;
        size_t at = ~same ? (size_t)__builtin_ctzll(~same) : 64; /* the first that differs */
        return _mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128())) == 0xffff && at < text.length &&
               (unsigned char)a[at] > (unsigned char)b[at];
    }
#else
    (void)text;
    (void)last;
#endif
    return false;
}

/* Fewest bytes that hold every number of so many digits: ceil(digits × log256(10)), 0.4152410 …; right for 0 … 128. */
static size_t width_of(size_t digits) { return (digits * 415241 + 999999) / 1000000; }

/* value × factor + addend; value is little-endian words, of which the first `used` are not 0. Gives how many then are.
 */
static int multiply_add(uint64_t value[WORDS], int used, uint64_t factor, uint64_t addend) {
    tw_uint128 carry = addend;
    for (int i = 0; i < used; i++) {
        carry += (tw_uint128)value[i] * factor;
        value[i] = (uint64_t)carry;
        carry >>= 64;
    }
    if (carry && used < WORDS) {
        value[used++] = (uint64_t)carry;
    }
    return used;
}

/* The number of up to 18 digits: eight at once, joined to pairs, fours and eight, as long as there are so many. */
static uint64_t chunk_of(const char *digits, size_t count) {
    uint64_t chunk = 0;
    size_t at = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; at + 8 <= count; at += 8) {
        uint64_t word;
        memcpy(&word, digits + at, sizeof word);
        word &= UINT64_C(0x0f0f0f0f0f0f0f0f);
        word = (word * 10 + (word >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
        word = (word * 100 + (word >> 16)) & UINT64_C(0x0000ffff0000ffff);
        chunk = chunk * 100000000 + (word * 10000 + (word >> 32)) % (UINT64_C(1) << 32);
    }
#endif
    for (; at < count; at++) {
        chunk = chunk * 10 + (uint64_t)(digits[at] - '0');
    }
    return chunk;
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
    int used = 0;
    for (size_t at = 0; at < digits.length;) {
        size_t left = digits.length - at;
        size_t count = left < CHUNK_DIGITS ? left : CHUNK_DIGITS;
        used = multiply_add(value, used, (uint64_t)tw_power_of_ten[count], chunk_of(digits.data + at, count));
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
