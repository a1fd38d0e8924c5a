#ifndef TW_CODEC_MEMBERS_READ_H
#define TW_CODEC_MEMBERS_READ_H

#include "engine/codec/layout_read.h"

/* How members.c looks at bytes, many at once: one set of functions each for what every machine has and for AVX2 or
 * NEON. Each set is inlined into a reader of its own; the tests hold them against each other. Every one of them may
 * read 64 bytes. */

enum tw_members_kind { TW_MEMBERS_STRING, TW_MEMBERS_OTHER };

struct tw_members_read {
    /* Where the first byte is that can end a value: a string's quote or backslash, another one's comma or closing
     * brace. 64: further than that. */
    unsigned (*stop)(const char *at, enum tw_members_kind kind);
    /* Is one of the first length bytes (32 at most) not as in the literal, of which 32 can be read? 0: no. */
    uint32_t (*differ)(const char *at, const char *literal, unsigned length);
    /* Are all bytes ASCII, and none a control character? */
    bool (*is_plain)(const char *at, size_t length);
    /* Which of the 16 bytes at at are digits. */
    uint32_t (*digits)(const char *at);
};

static const char tw_members_stops[2][2] = {{'"', '\\'}, {',', '}'}};

/* ---- what every machine has ---- */

static inline uint32_t tw_members_differ_portable(const char *at, const char *literal, unsigned length) {
    return !tw_same_words(at, literal, length);
}

#if defined(TW_SCAN_SSE2)

static inline uint64_t tw_members_stops_sse2(const char *at, enum tw_members_kind kind) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i a = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(tw_members_stops[kind][0]));
    const __m128i b = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(tw_members_stops[kind][1]));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(a, b));
}

static inline unsigned tw_members_stop_portable(const char *at, enum tw_members_kind kind) {
    const uint64_t stops = tw_members_stops_sse2(at, kind) | tw_members_stops_sse2(at + 16, kind) << 16 |
                           tw_members_stops_sse2(at + 32, kind) << 32 | tw_members_stops_sse2(at + 48, kind) << 48;
    return stops ? (unsigned)__builtin_ctzll(stops) : 64;
}

/* The comparison is signed: bytes from 0x80 on are negative, so below 0x20 too. */
static inline bool tw_members_is_plain_portable(const char *at, size_t length) {
    __m128i least = _mm_set1_epi8(0x7f);
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        least = _mm_or_si128(_mm_and_si128(least, _mm_cmplt_epi8(least, bytes)),
                             _mm_andnot_si128(_mm_cmplt_epi8(least, bytes), bytes));
    }
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
    const unsigned rest = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
    return !_mm_movemask_epi8(_mm_cmplt_epi8(least, _mm_set1_epi8(0x20))) && !(rest & ((1u << (length - i)) - 1));
}

static inline uint32_t tw_members_digits_portable(const char *at) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values));
}

#else

static inline unsigned tw_members_stop_portable(const char *at, enum tw_members_kind kind) {
    unsigned i = 0;
    while (i < 64 && at[i] != tw_members_stops[kind][0] && at[i] != tw_members_stops[kind][1]) {
        i++;
    }
    return i;
}

static inline bool tw_members_is_plain_portable(const char *at, size_t length) {
    bool plain = true;
    for (size_t i = 0; i < length; i++) {
        plain &= (unsigned char)(at[i] - 0x20) < 0x60;
    }
    return plain;
}

static inline uint32_t tw_members_digits_portable(const char *at) {
    uint32_t digits = 0;
    for (unsigned i = 0; i < 16; i++) {
        digits |= (uint32_t)((unsigned char)(at[i] - '0') < 10) << i;
    }
    return digits;
}

#endif

static const struct tw_members_read tw_members_read_portable = {
    tw_members_stop_portable, tw_members_differ_portable, tw_members_is_plain_portable, tw_members_digits_portable};

#if defined(TW_HAVE_AVX)

/* ---- AVX2 ---- */

/* What ends a value stands in a table at its low four bits, and nothing else in it can be found there: a byte from 0x80
 * on finds 0. The first entry is no 0, which a NUL would find. */
#define TW_STOPS_OF_STRING -1, -1, '"', -1, -1, -1, -1, -1, -1, -1, -1, -1, '\\', -1, -1, -1
#define TW_STOPS_OF_OTHER  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, ',', '}', -1, -1
static const signed char tw_members_tables[2][32]
    __attribute__((aligned(32))) = {{TW_STOPS_OF_STRING, TW_STOPS_OF_STRING}, {TW_STOPS_OF_OTHER, TW_STOPS_OF_OTHER}};

static inline TW_AVX2 uint64_t tw_members_found_avx2(const char *at, __m256i table) {
    const __m256i bytes = tw_load_avx2(at);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(table, bytes)));
}

static inline TW_AVX2 unsigned tw_members_stop_avx2(const char *at, enum tw_members_kind kind) {
    const __m256i table = _mm256_load_si256((const __m256i *)(const void *)tw_members_tables[kind]);
    return (unsigned)_tzcnt_u64(tw_members_found_avx2(at, table) | tw_members_found_avx2(at + 32, table) << 32);
}

static inline TW_AVX2 uint32_t tw_members_differ_avx2(const char *at, const char *literal, unsigned length) {
    const __m256i same = _mm256_cmpeq_epi8(tw_load_avx2(at), tw_load_avx2(literal));
    return _bzhi_u32(~(uint32_t)_mm256_movemask_epi8(same), length);
}

/* As the portable one. */
static inline TW_AVX2 bool tw_members_is_plain_avx2(const char *at, size_t length) {
    __m256i least = _mm256_set1_epi8(0x7f);
    size_t i = 0;
    for (; i + 32 <= length; i += 32) {
        least = _mm256_min_epi8(least, tw_load_avx2(at + i));
    }
    __m256i space = _mm256_set1_epi8(0x20);
    __asm__("" : "+x"(space)); /* as in tw_special_avx2 */
    const uint32_t rest = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(space, tw_load_avx2(at + i)));
    return ((uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(space, least)) |
            _bzhi_u32(rest, (unsigned)(length - i))) == 0;
}

static inline TW_AVX2 uint32_t tw_members_digits_avx2(const char *at) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values));
}

static const struct tw_members_read tw_members_read_avx2 = {tw_members_stop_avx2, tw_members_differ_avx2,
                                                            tw_members_is_plain_avx2, tw_members_digits_avx2};

#elif defined(TW_HAVE_NEON)

/* ---- NEON ---- */

/* One bit for each of 64 bytes that are all ones or all zeros. */
static inline uint64_t tw_bits_neon(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weight = vld1q_u8(weights);
    const uint8x16_t front = vpaddq_u8(vandq_u8(a, weight), vandq_u8(b, weight));
    const uint8x16_t back = vpaddq_u8(vandq_u8(c, weight), vandq_u8(d, weight));
    const uint8x16_t bytes = vpaddq_u8(front, back);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(bytes, bytes)), 0);
}

static inline uint8x16_t tw_members_stops_neon(const char *at, enum tw_members_kind kind) {
    const uint8x16_t bytes = tw_load_neon(at);
    return vorrq_u8(vceqq_u8(bytes, vdupq_n_u8((uint8_t)tw_members_stops[kind][0])),
                    vceqq_u8(bytes, vdupq_n_u8((uint8_t)tw_members_stops[kind][1])));
}

static inline unsigned tw_members_stop_neon(const char *at, enum tw_members_kind kind) {
    const uint64_t stops = tw_bits_neon(tw_members_stops_neon(at, kind), tw_members_stops_neon(at + 16, kind),
                                        tw_members_stops_neon(at + 32, kind), tw_members_stops_neon(at + 48, kind));
    return stops ? (unsigned)__builtin_ctzll(stops) : 64;
}

static inline uint32_t tw_members_differ_neon(const char *at, const char *literal, unsigned length) {
    const uint8x16_t none = vdupq_n_u8(0);
    const uint8x16_t front = vceqq_u8(tw_load_neon(at), tw_load_neon(literal));
    const uint8x16_t back = vceqq_u8(tw_load_neon(at + 16), tw_load_neon(literal + 16));
    return (uint32_t)(~tw_bits_neon(front, back, none, none) & ((UINT64_C(1) << length) - 1));
}

static inline bool tw_members_is_plain_neon(const char *at, size_t length) {
    uint8x16_t odd = vdupq_n_u8(0);
    size_t i = 0;
    for (; i + 16 <= length; i += 16) {
        odd = vorrq_u8(odd, vcgeq_u8(vsubq_u8(tw_load_neon(at + i), vdupq_n_u8(0x20)), vdupq_n_u8(0x60)));
    }
    bool plain = !tw_any_neon(odd);
    for (; i < length; i++) {
        plain &= (unsigned char)(at[i] - 0x20) < 0x60;
    }
    return plain;
}

static inline uint32_t tw_members_digits_neon(const char *at) {
    const uint8x16_t digits = vcltq_u8(vsubq_u8(tw_load_neon(at), vdupq_n_u8('0')), vdupq_n_u8(10));
    const uint8x16_t none = vdupq_n_u8(0);
    return (uint32_t)tw_bits_neon(digits, none, none, none);
}

static const struct tw_members_read tw_members_read_neon = {tw_members_stop_neon, tw_members_differ_neon,
                                                            tw_members_is_plain_neon, tw_members_digits_neon};

#endif

#endif
