#ifndef TW_CODEC_LAYOUT_READ_H
#define TW_CODEC_LAYOUT_READ_H

#include <stdbool.h>

#include "engine/codec/cpu.h"

#if defined(TW_HAVE_AVX)
#include <immintrin.h>
#endif

#include <tumble/projection.h>

#include "engine/codec/base64.h"
#include "engine/codec/base64_turn.h"
#include "engine/codec/string_scan.h"

/* How layout.c reads literals and slots, in vectors of some width: one set of functions each for what every machine has
 * and for AVX2 or NEON. Each set is inlined into a match of its own; the tests hold them against each other. */

enum {
    TW_LAYOUT_PAD = 32,           /* bytes behind the literals that a vector compare may read */
    TW_LAYOUT_NOBODY = UINT16_MAX /* target of a slot that no value wants */
};

/* Has this machine a way to tell a run by its bytes (looks_like)? */
static inline bool tw_layout_reads_runs(void) {
#if defined(TW_HAVE_AVX)
    return tw_cpu_has_avx2();
#elif defined(TW_HAVE_NEON)
    return tw_cpu() == TW_CPU_NEON;
#else
    return false;
#endif
}

struct tw_layout_ranges;

struct tw_layout_read {
    /* Are the first length of the left bytes at at those of a literal? */
    bool (*same)(const char *at, size_t left, const char *literal, size_t length);
    /* Is there a string of plain text from the opening quote at at to a closing one length bytes further? false: look.
     */
    bool (*ends_at)(const char *at, size_t left, size_t length);
    /* As tw_scan_string_in and tw_scan_number_in. */
    const char *(*scan_string)(const char *begin, const char *at, const char *end);
    const char *(*scan_number)(const char *begin, const char *at, const char *end);
    /* Does the text at at, of the length of a run (32 bytes or more), look as the run says? NULL: no runs. */
    bool (*looks_like)(const char *at, const struct tw_layout_ranges *ranges);
    /* tw_base64_decode_quoted. */
    size_t (*decode_quoted)(const char *text, size_t left, char *out, size_t room, size_t *length);
};

/* What a run says: the bytes are from least to least + span. Where that is TW_LAYOUT_LOOSE (some of bytes 32 * i and so
 * on are: bit i of loose) a quote or a backslash is none all the same. So a byte of a literal is one with a span of 0,
 * and one of a string is of a range in which there is nothing special. */
struct tw_layout_ranges {
    const unsigned char *least, *span;
    size_t length;
    uint32_t loose;
};

enum { TW_LAYOUT_LOOSE_LEAST = 0x20, TW_LAYOUT_LOOSE = 0x5f };

/* The value of a place, in halves: no load has to wait for two stores. */
static inline void tw_layout_put(struct tumble_value *out, const struct tumble_layout_place *place, const char *text) {
    enum { REST = offsetof(struct tumble_value, length) };
    out->text = text;
    memcpy((char *)out + REST, (const char *)&place->value + REST, sizeof *out - REST);
}

/* ---- what every machine has ---- */

static inline bool tw_same_words(const char *a, const char *b, size_t length) {
    if (length >= 8) {
        uint64_t other = 0;
        for (size_t i = 0; i + 8 < length; i += 8) {
            other |= tw_load8(a + i) ^ tw_load8(b + i);
        }
        return (other | (tw_load8(a + length - 8) ^ tw_load8(b + length - 8))) == 0;
    }
    while (length > 0 && *a == *b) {
        a++;
        b++;
        length--;
    }
    return length == 0;
}

/* Are the first length of the left bytes at at those of a literal, which is followed by TW_LAYOUT_PAD bytes? */
static inline bool tw_same_portable(const char *at, size_t left, const char *literal, size_t length) {
    if (TW_RARELY(left < length)) {
        return false;
    }
#if defined(TW_SCAN_SSE2)
    for (; TW_OFTEN(left >= 16); at += 16, left -= 16, literal += 16, length -= 16) {
        __m128i text = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i wanted = _mm_loadu_si128((const __m128i *)(const void *)literal);
        unsigned differ = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(text, wanted)) ^ 0xffffu;
        if (length <= 16) {
            return (differ & ((1u << length) - 1)) == 0;
        }
        if (differ) {
            return false;
        }
    }
#endif
    return tw_same_words(at, literal, length);
}

/* Is there a string of plain text from the opening quote at at to a closing one length bytes further? */
static inline bool tw_ends_at_portable(const char *at, size_t left, size_t length) {
    return left > length && at[length] == '"' && tw_scan_string_in(at, at + 1, at + length) == at + length;
}

static const struct tw_layout_read tw_read_portable = {
    tw_same_portable, tw_ends_at_portable, tw_scan_string_in, tw_scan_number_in, NULL, tw_base64_decode_quoted};

#if defined(TW_HAVE_AVX)

/* ---- AVX2 ---- */

#define TW_AVX2 __attribute__((target("avx2,bmi,bmi2")))

static inline TW_AVX2 __m256i tw_load_avx2(const char *at) {
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

static inline TW_AVX2 bool tw_same_avx2(const char *at, size_t left, const char *literal, size_t length) {
    if (TW_RARELY(left < length + 32)) {
        return left >= length && tw_same_words(at, literal, length);
    }
    if (length <= 32) {
        unsigned equal = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(tw_load_avx2(at), tw_load_avx2(literal)));
        return _bzhi_u32(~equal, (unsigned)length) == 0;
    }
    __m256i differ = _mm256_xor_si256(tw_load_avx2(at + length - 32), tw_load_avx2(literal + length - 32));
    for (size_t i = 0; i + 32 < length; i += 32) {
        differ = _mm256_or_si256(differ, _mm256_xor_si256(tw_load_avx2(at + i), tw_load_avx2(literal + i)));
    }
    return _mm256_testz_si256(differ, differ);
}

/* Bytes whose highest bit is set are special. Quote and backslash stand in a table at their low four bits, and nothing
 * else in it can be found there (a byte from 0x80 on finds 0); the comparison is signed. */
static inline TW_AVX2 __m256i tw_special_avx2(const char *at) {
    const __m256i table = _mm256_setr_epi8(-1, -1, '"', -1, -1, -1, -1, -1, -1, -1, -1, -1, '\\', -1, -1, -1, -1, -1,
                                           '"', -1, -1, -1, -1, -1, -1, -1, -1, -1, '\\', -1, -1, -1);
    __m256i space = _mm256_set1_epi8(0x20);
    __m256i bytes = tw_load_avx2(at);
    __asm__("" : "+x"(space)); /* a compiler that knows the constant makes two instructions of this comparison */
    return _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(table, bytes)),
                           _mm256_cmpgt_epi8(space, bytes));
}

static inline TW_AVX2 unsigned tw_special_mask_avx2(const char *at) {
    return (unsigned)_mm256_movemask_epi8(tw_special_avx2(at));
}

/* tw_scan_string_in, 64 and 32 bytes at a time. */
static inline TW_AVX2 const char *tw_scan_string_avx2(const char *begin, const char *at, const char *end) {
    for (; TW_OFTEN(end - at >= 64); at += 64) {
        __m256i first = tw_special_avx2(at);
        __m256i second = tw_special_avx2(at + 32);
        if (_mm256_movemask_epi8(_mm256_or_si256(first, second))) {
            uint64_t mask =
                (uint64_t)(unsigned)_mm256_movemask_epi8(second) << 32 | (unsigned)_mm256_movemask_epi8(first);
            return at + __builtin_ctzll(mask);
        }
    }
    if (end - at >= 32) {
        unsigned mask = tw_special_mask_avx2(at);
        if (mask) {
            return at + __builtin_ctz(mask);
        }
        at += 32;
    }
    if (TW_RARELY(end - begin < 32)) {
        return tw_scan_string_in(begin, at, end);
    }
    uint64_t mask = (uint64_t)tw_special_mask_avx2(end - 32) >> (32 - (end - at));
    return mask ? at + __builtin_ctzll(mask) : end;
}

/* tw_ends_at_portable. */
static inline TW_AVX2 bool tw_ends_at_avx2(const char *at, size_t left, size_t length) {
    if (length < 33) {
        return TW_OFTEN(left >= 33) && at[length] == '"' &&
               _bzhi_u32(tw_special_mask_avx2(at + 1), (unsigned)length) == 1u << (length - 1);
    }
    if (TW_RARELY(left <= length) || at[length] != '"') {
        return false;
    }
    __m256i special = tw_special_avx2(at + length - 32);
    for (size_t i = 1; i + 32 < length; i += 32) {
        special = _mm256_or_si256(special, tw_special_avx2(at + i));
    }
    return _mm256_movemask_epi8(special) == 0;
}

/* tw_scan_number_in, where 17 bytes can be read. */
static inline TW_AVX2 const char *tw_scan_number_avx2(const char *begin, const char *at, const char *end) {
    if (TW_RARELY(end - at < 18)) {
        return tw_scan_number_in(begin, at, end);
    }
    at += *at == '-';
    __m128i values = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
    __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
    unsigned others = (unsigned)_mm_movemask_epi8(digits) ^ 0x1ffffu;
    unsigned length = _tzcnt_u32(others);
    if (TW_RARELY(length - 1 >= 15 || (*at == '0' && length > 1))) {
        return NULL;
    }
    if (at[length] == '.') {
        unsigned behind = length + 1;
        others = _blsr_u32(others);
        length = _tzcnt_u32(others);
        if (TW_RARELY(length == behind || length >= 16)) {
            return NULL;
        }
    }
    return TW_RARELY((at[length] | 0x20) == 'e') ? NULL : at + length;
}

/* 0 in every byte that is of its range. */
static inline TW_AVX2 __m256i tw_outside_avx2(const char *at, const struct tw_layout_ranges *ranges, size_t i) {
    const __m256i least = _mm256_loadu_si256((const __m256i *)(const void *)(ranges->least + i));
    const __m256i span = _mm256_loadu_si256((const __m256i *)(const void *)(ranges->span + i));
    return _mm256_subs_epu8(_mm256_sub_epi8(tw_load_avx2(at + i), least), span);
}

/* Not 0 in a byte that is loose, and special. */
static inline TW_AVX2 __m256i tw_loose_avx2(const char *at, const struct tw_layout_ranges *ranges) {
    __m256i found = _mm256_setzero_si256();
    for (uint32_t loose = ranges->loose; loose; loose = _blsr_u32(loose)) {
        const size_t from = 32 * (size_t)_tzcnt_u32(loose), last = ranges->length - 32, i = from < last ? from : last;
        const __m256i span = _mm256_loadu_si256((const __m256i *)(const void *)(ranges->span + i));
        const __m256i inside = _mm256_cmpeq_epi8(span, _mm256_set1_epi8(TW_LAYOUT_LOOSE));
        found = _mm256_or_si256(found, _mm256_and_si256(inside, tw_special_avx2(at + i)));
    }
    return found;
}

static inline TW_AVX2 bool tw_looks_like_avx2(const char *at, const struct tw_layout_ranges *ranges) {
    const size_t last = ranges->length - 32;
    __m256i outside = tw_outside_avx2(at, ranges, last);
    size_t i = 0;
    for (; i + 32 < last; i += 64) {
        outside = _mm256_or_si256(outside,
                                  _mm256_or_si256(tw_outside_avx2(at, ranges, i), tw_outside_avx2(at, ranges, i + 32)));
    }
    if (i < last) {
        outside = _mm256_or_si256(outside, tw_outside_avx2(at, ranges, i));
    }
    if (ranges->loose) {
        outside = _mm256_or_si256(outside, tw_loose_avx2(at, ranges));
    }
    return _mm256_testz_si256(outside, outside);
}

static const struct tw_layout_read tw_read_avx2 = {tw_same_avx2,        tw_ends_at_avx2,    tw_scan_string_avx2,
                                                   tw_scan_number_avx2, tw_looks_like_avx2, tw_base64_decode_quoted};

/* ---- AVX-512: as AVX2, but for runs and base64 ---- */

/* As tw_outside_avx2. */
static inline TW_AVX512 __m512i tw_outside_avx512(const char *at, const struct tw_layout_ranges *ranges, size_t i) {
    const __m512i least = _mm512_loadu_si512((const void *)(ranges->least + i));
    const __m512i span = _mm512_loadu_si512((const void *)(ranges->span + i));
    return _mm512_subs_epu8(_mm512_sub_epi8(_mm512_loadu_si512((const void *)(at + i)), least), span);
}

static inline TW_AVX512 __attribute__((always_inline)) bool
tw_looks_like_avx512(const char *at, const struct tw_layout_ranges *ranges) {
    if (ranges->length < 64) {
        return tw_looks_like_avx2(at, ranges);
    }
    const size_t last = ranges->length - 64;
    __m512i outside = tw_outside_avx512(at, ranges, last);
    for (size_t i = 0; i < last; i += 64) {
        outside = _mm512_or_si512(outside, tw_outside_avx512(at, ranges, i));
    }
    if (ranges->loose) {
        outside = _mm512_or_si512(outside, _mm512_castsi256_si512(tw_loose_avx2(at, ranges)));
    }
    return _mm512_test_epi8_mask(outside, outside) == 0;
}

static inline TW_AVX512 __attribute__((always_inline)) size_t
tw_decode_quoted_avx512(const char *text, size_t left, char *out, size_t room, size_t *length) {
    return tw_base64_quoted_avx512(text, left, out, room, length);
}

static const struct tw_layout_read tw_read_avx512 = {tw_same_avx2,         tw_ends_at_avx2,
                                                     tw_scan_string_avx2,  tw_scan_number_avx2,
                                                     tw_looks_like_avx512, tw_decode_quoted_avx512};

#elif defined(TW_HAVE_NEON)

/* ---- NEON: strings and numbers are scanned as on every aarch64 ---- */

/* Of 16 bytes or fewer only so many are compared: the others are shifted out, by two steps of 32 bits at most. */
static inline bool tw_same_neon(const char *at, size_t left, const char *literal, size_t length) {
    if (TW_RARELY(left < length)) {
        return false;
    }
    if (length <= 16) {
        if (TW_RARELY(left < 16)) {
            return tw_same_words(at, literal, length);
        }
        uint64_t differ = ~tw_nibbles_neon(vceqq_u8(tw_load_neon(at), tw_load_neon(literal)));
        const unsigned half = 2 * (16 - (unsigned)length);
        return differ << half << half == 0;
    }
    uint8x16_t differ = veorq_u8(tw_load_neon(at + length - 16), tw_load_neon(literal + length - 16));
    for (size_t i = 0; i + 16 < length; i += 16) {
        differ = vorrq_u8(differ, veorq_u8(tw_load_neon(at + i), tw_load_neon(literal + i)));
    }
    return !tw_any_neon(differ);
}

/* tw_ends_at_portable. */
static inline bool tw_ends_at_neon(const char *at, size_t left, size_t length) {
    if (length <= 16) { /* the quote is itself special, so there is one */
        return TW_OFTEN(left >= 17) && at[length] == '"' &&
               (unsigned)__builtin_ctzll(tw_nibbles_neon(tw_special_neon(at + 1))) >> 2 == length - 1;
    }
    if (TW_RARELY(left <= length) || at[length] != '"') {
        return false;
    }
    uint8x16_t special = tw_special_neon(at + length - 16);
    for (size_t i = 1; i + 16 < length; i += 16) {
        special = vorrq_u8(special, tw_special_neon(at + i));
    }
    return !tw_any_neon(special);
}

/* 0 in every byte that is of its range. */
static inline uint8x16_t tw_outside_neon(const char *at, const struct tw_layout_ranges *ranges, size_t i) {
    return vqsubq_u8(vsubq_u8(tw_load_neon(at + i), vld1q_u8(ranges->least + i)), vld1q_u8(ranges->span + i));
}

/* Not 0 in a byte that is loose, and special. */
static inline uint8x16_t tw_loose_neon(const char *at, const struct tw_layout_ranges *ranges) {
    uint8x16_t found = vdupq_n_u8(0);
    for (uint32_t loose = ranges->loose; loose; loose &= loose - 1) {
        const size_t from = 32 * (size_t)__builtin_ctz(loose), last = ranges->length - 32,
                     i = from < last ? from : last;
        for (size_t half = i; half < i + 32; half += 16) {
            const uint8x16_t inside = vceqq_u8(vld1q_u8(ranges->span + half), vdupq_n_u8(TW_LAYOUT_LOOSE));
            found = vorrq_u8(found, vandq_u8(inside, tw_special_neon(at + half)));
        }
    }
    return found;
}

static inline bool tw_looks_like_neon(const char *at, const struct tw_layout_ranges *ranges) {
    const size_t last = ranges->length - 16;
    uint8x16_t outside = tw_outside_neon(at, ranges, last);
    for (size_t i = 0; i < last; i += 16) {
        outside = vorrq_u8(outside, tw_outside_neon(at, ranges, i));
    }
    return !tw_any_neon(vorrq_u8(outside, tw_loose_neon(at, ranges)));
}

static const struct tw_layout_read tw_read_neon = {tw_same_neon,      tw_ends_at_neon,    tw_scan_string_in,
                                                   tw_scan_number_in, tw_looks_like_neon, tw_base64_decode_quoted};

#endif

#endif
