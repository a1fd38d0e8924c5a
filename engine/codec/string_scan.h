#ifndef TW_CODEC_STRING_SCAN_H
#define TW_CODEC_STRING_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The two inner loops of the JSON scanner, as static inlines: they run for every byte of every record. Each exists in a
 * portable form (8 bytes at a time in a register) and a 16-byte form for SSE2 (x86-64 always has it) or NEON (aarch64
 * always has it). Which one the library uses is decided when it is compiled; the tests run both against each other.
 * -DTW_NO_SIMD takes the portable one everywhere. No form reads a byte outside [at, end). */

#if !defined(TW_NO_SIMD) && defined(__SSE2__)
#include <emmintrin.h>
#define TW_SCAN_SSE2 1
#elif !defined(TW_NO_SIMD) && defined(__aarch64__)
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

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* The comparison is signed: bytes from 0x80 on are negative, so below 0x20 too. */
        __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                       _mm_cmplt_epi8(bytes, space));
        int mask = _mm_movemask_epi8(special);
        if (mask) {
            return at + __builtin_ctz((unsigned)mask);
        }
        at += 16;
    }
    return tw_scan_string_portable(at, end);
}

#elif defined(TW_SCAN_NEON)

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    const uint8x16_t quote = vdupq_n_u8('"');
    const uint8x16_t backslash = vdupq_n_u8('\\');
    const int8x16_t space = vdupq_n_s8(0x20);
    while (end - at >= 16) {
        uint8x16_t bytes = vld1q_u8((const uint8_t *)(const void *)at);
        uint8x16_t special = vorrq_u8(vorrq_u8(vceqq_u8(bytes, quote), vceqq_u8(bytes, backslash)),
                                      vcltq_s8(vreinterpretq_s8_u8(bytes), space));
        /* Narrows each byte of the mask to four bits, so that 16 lanes fit one register. */
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(special), 4)), 0);
        if (mask) {
            return at + (__builtin_ctzll(mask) >> 2);
        }
        at += 16;
    }
    return tw_scan_string_portable(at, end);
}

#else

static inline const char *tw_scan_string_simd(const char *at, const char *end) {
    return tw_scan_string_portable(at, end);
}

#endif

static inline const char *tw_scan_string(const char *at, const char *end) { return tw_scan_string_simd(at, end); }

#endif
