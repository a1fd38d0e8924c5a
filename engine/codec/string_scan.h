#ifndef TW_CODEC_STRING_SCAN_H
#define TW_CODEC_STRING_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/codec/cpu.h"

/* The two inner loops of the JSON scanner, as static inlines: they run for every byte of every record. Each exists in a
 * portable form (8 bytes at a time in a register) and a 16-byte form for SSE2 (x86-64 always has it) or NEON (aarch64
 * always has it). Which one the library uses is decided when it is compiled; the tests run both against each other.
 * -DTW_NO_SIMD takes the portable one everywhere. No form reads a byte outside [at, end). */

#if !defined(TW_NO_SIMD) && defined(__SSE2__)
#include <emmintrin.h>
#define TW_SCAN_SSE2 1
#elif defined(TW_HAVE_NEON)
#include <arm_neon.h>
#define TW_SCAN_NEON 1
#endif

#define TW_OFTEN(condition)  __builtin_expect(!!(condition), 1)
#define TW_RARELY(condition) __builtin_expect(!!(condition), 0)

/* A byte inside a string that needs a look: the closing quote, a backslash, a control character, or the first byte of
 * anything that is not ASCII. */
static inline int tw_string_byte_is_special(char c) {
    unsigned char byte = (unsigned char)c;
    return byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80;
}

static inline uint64_t tw_load8(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* First special byte in [at, end), or end. */
static inline const char *tw_scan_string_portable(const char *at, const char *end) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    while (end - at >= 8) {
        uint64_t word = tw_load8(at);
        uint64_t quote = word ^ (ones * '"');
        uint64_t backslash = word ^ (ones * '\\');
        /* Each term has a high bit set only if at least one of the eight bytes is special. */
        uint64_t special =
            ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * 0x20) & ~word) | word;
        if (special & highs) {
            break;
        }
        at += 8;
    }
    while (at < end && !tw_string_byte_is_special(*at)) {
        at++;
    }
    return at;
}

/* First byte in [at, end) that is not a decimal digit, or end. */
static inline const char *tw_scan_digits(const char *at, const char *end) {
    while (at < end && (unsigned char)(*at - '0') < 10) {
        at++;
    }
    return at;
}

#if defined(TW_SCAN_SSE2)

/* The comparison is signed: bytes from 0x80 on are negative, so below 0x20 too. */
static inline __m128i tw_special_bytes(const char *at) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
        _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
}

static inline uint64_t tw_special_mask(const char *at) { return (unsigned)_mm_movemask_epi8(tw_special_bytes(at)); }

/* The rest of a long string, 64 bytes a turn while there are so many. */
static inline const char *tw_scan_string_long(const char *at, const char *end) {
    while (end - at >= 64) {
        __m128i a = tw_special_bytes(at);
        __m128i b = tw_special_bytes(at + 16);
        __m128i c = tw_special_bytes(at + 32);
        __m128i d = tw_special_bytes(at + 48);
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)))) {
            uint64_t mask = (uint64_t)(unsigned)_mm_movemask_epi8(a) | (uint64_t)(unsigned)_mm_movemask_epi8(b) << 16 |
                            (uint64_t)(unsigned)_mm_movemask_epi8(c) << 32 |
                            (uint64_t)(unsigned)_mm_movemask_epi8(d) << 48;
            return at + __builtin_ctzll(mask);
        }
        at += 64;
    }
    return at;
}

/* The same, where [begin, end) may be read: the last 16 bytes are loaded once more where fewer are left. */
static inline const char *tw_scan_string_in(const char *begin, const char *at, const char *end) {
    for (int turn = 0;; turn++) {
        if (TW_RARELY(end - at < 16)) {
            if (end - begin < 16) {
                return tw_scan_string_portable(at, end);
            }
            uint64_t mask = tw_special_mask(end - 16) >> (16 - (end - at));
            return mask ? at + __builtin_ctzll(mask) : end;
        }
        uint64_t mask = tw_special_mask(at);
        if (mask) {
            return at + __builtin_ctzll(mask);
        }
        at += 16;
        if (turn == 1) {
            at = tw_scan_string_long(at, end);
        }
    }
}

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    return tw_scan_string_in(at, at, end);
}

/* The end of the number that begins at at, which holds a digit or a minus sign, where [begin, end) may be read; NULL
 * when it is not an ordinary one: wrong, longer than 15 characters, with an exponent, or at the end of the view. */
static inline const char *tw_scan_number_in(const char *begin, const char *at, const char *end) {
    at += *at == '-';
    int shift = end - at < 16 ? (int)(16 - (end - at)) : 0;
    if (end - begin < 16) {
        return NULL;
    }
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at - shift));
    __m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
    unsigned others =
        (((unsigned)_mm_movemask_epi8(digits) ^ 0x1ffffu) >> shift) & 0x1ffffu; /* bit 16 - shift: the end */
    unsigned length = (unsigned)__builtin_ctz(others);
    if (TW_RARELY(length == 0 || (*at == '0' && length > 1) || at + length >= end || length >= 16)) {
        return NULL;
    }
    if (at[length] == '.') {
        unsigned whole = length;
        others &= others - 1;
        length = others ? (unsigned)__builtin_ctz(others) : 16;
        if (TW_RARELY(length == whole + 1 || at + length >= end || length >= 16)) {
            return NULL;
        }
    }
    return TW_RARELY((at[length] | 0x20) == 'e') ? NULL : at + length;
}
#define TW_SCAN_IN 1

#elif defined(TW_SCAN_NEON)

static inline uint8x16_t tw_load_neon(const char *at) { return vld1q_u8((const uint8_t *)(const void *)at); }

/* The comparison is signed: bytes from 0x80 on are negative, so below 0x20 too. */
static inline uint8x16_t tw_special_neon(const char *at) {
    uint8x16_t bytes = tw_load_neon(at);
    return vorrq_u8(vorrq_u8(vceqq_u8(bytes, vdupq_n_u8('"')), vceqq_u8(bytes, vdupq_n_u8('\\'))),
                    vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(0x20)));
}

/* Four bits for each byte of a comparison's result, so that 16 of them fit one register. */
static inline uint64_t tw_nibbles_neon(uint8x16_t mask) {
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(mask), 4)), 0);
}

static inline bool tw_any_neon(uint8x16_t bytes) { return vmaxvq_u32(vreinterpretq_u32_u8(bytes)) != 0; }

/* The rest of a long string, 64 bytes a turn while there are so many. */
static inline const char *tw_scan_string_long(const char *at, const char *end) {
    for (; end - at >= 64; at += 64) {
        uint8x16_t front = vorrq_u8(tw_special_neon(at), tw_special_neon(at + 16));
        uint8x16_t back = vorrq_u8(tw_special_neon(at + 32), tw_special_neon(at + 48));
        if (tw_any_neon(vorrq_u8(front, back))) {
            break; /* found by who looks closer */
        }
    }
    return at;
}

/* The same, where [begin, end) may be read: the last 16 bytes are loaded once more where fewer are left. */
static inline const char *tw_scan_string_in(const char *begin, const char *at, const char *end) {
    for (int turn = 0;; turn++) {
        if (TW_RARELY(end - at < 16)) {
            if (end - begin < 16 || at == end) {
                return tw_scan_string_portable(at, end);
            }
            uint64_t mask = tw_nibbles_neon(tw_special_neon(end - 16)) >> (4 * (16 - (end - at)));
            return mask ? at + (__builtin_ctzll(mask) >> 2) : end;
        }
        uint64_t mask = tw_nibbles_neon(tw_special_neon(at));
        if (mask) {
            return at + (__builtin_ctzll(mask) >> 2);
        }
        at += 16;
        if (turn == 1) {
            at = tw_scan_string_long(at, end);
        }
    }
}

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    return tw_scan_string_in(at, at, end);
}

/* The end of the number that begins at at, which holds a digit or a minus sign, where [begin, end) may be read; NULL
 * when it is not an ordinary one: wrong, longer than 15 characters, with an exponent, or at the end of the view. */
static inline const char *tw_scan_number_in(const char *begin, const char *at, const char *end) {
    at += *at == '-';
    int shift = end - at < 16 ? (int)(16 - (end - at)) : 0;
    if (end - begin < 16 || at == end) {
        return NULL;
    }
    uint8x16_t values = vsubq_u8(tw_load_neon(at - shift), vdupq_n_u8('0'));
    uint64_t others = tw_nibbles_neon(vcgtq_u8(values, vdupq_n_u8(9))) & UINT64_C(0x1111111111111111);
    others >>= 4 * shift;
    if (TW_RARELY(others == 0)) {
        return NULL; /* digits as far as was looked, or up to the end */
    }
    unsigned length = (unsigned)__builtin_ctzll(others) >> 2;
    if (TW_RARELY(length == 0 || (*at == '0' && length > 1))) {
        return NULL;
    }
    if (at[length] == '.') {
        unsigned behind = length + 1;
        others &= others - 1;
        if (TW_RARELY(others == 0)) {
            return NULL;
        }
        length = (unsigned)__builtin_ctzll(others) >> 2;
        if (TW_RARELY(length == behind)) {
            return NULL;
        }
    }
    return TW_RARELY((at[length] | 0x20) == 'e') ? NULL : at + length;
}
#define TW_SCAN_IN 1

#else

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    return tw_scan_string_portable(at, end);
}

#endif

static inline const char *tw_scan_string(const char *at, const char *end) { return tw_scan_string_simd(at, end); }

#ifndef TW_SCAN_IN
static inline const char *tw_scan_string_in(const char *begin, const char *at, const char *end) {
    (void)begin;
    return tw_scan_string(at, end);
}

static inline const char *tw_scan_number_in(const char *begin, const char *at, const char *end) {
    (void)begin;
    (void)at;
    (void)end;
    return NULL;
}
#endif

#endif
