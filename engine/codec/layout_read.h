#ifndef TW_CODEC_LAYOUT_READ_H
#define TW_CODEC_LAYOUT_READ_H

#include <stdbool.h>

#include "engine/codec/cpu.h"

#if defined(TW_HAVE_AVX)
#include <immintrin.h>
#endif

#include <tumble/projection.h>

#include "engine/codec/string_scan.h"

/* How layout.c reads literals and slots, in vectors of some width: one set of functions each for what every machine has
 * and for AVX2 or NEON. Each set is inlined into a match of its own; the tests hold them against each other. */

enum { TW_LAYOUT_PAD = 32 }; /* bytes behind the literals that a vector compare may read */

struct tw_layout_read {
    /* Are the first length of the left bytes at at those of a literal? */
    bool (*same)(const char *at, size_t left, const char *literal, size_t length);
    /* Is there a string of plain text from the opening quote at at to a closing one length bytes further? false: look.
     */
    bool (*ends_at)(const char *at, size_t left, size_t length);
    /* As tw_scan_string_in and tw_scan_number_in. */
    const char *(*scan_string)(const char *begin, const char *at, const char *end);
    const char *(*scan_number)(const char *begin, const char *at, const char *end);
    /* Does the text at at, of the length of a run (32 bytes or more), look as the run's blocks say? NULL: no runs. */
    bool (*looks_like)(const char *at, const struct tumble_layout_block *blocks, size_t length);
};

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

static const struct tw_layout_read tw_read_portable = {tw_same_portable, tw_ends_at_portable, tw_scan_string_in,
                                                       tw_scan_number_in, NULL};

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

/* 0 in every byte that looks as the block says: inside a value nothing special, elsewhere the very byte. */
static inline TW_AVX2 __m256i tw_unlike_avx2(const char *at, const struct tumble_layout_block *block) {
    __m256i inside = tw_load_avx2(block->inside);
    __asm__("" : "+x"(inside)); /* or a compiler compares it with 0 first */
    return _mm256_blendv_epi8(_mm256_xor_si256(tw_load_avx2(at), tw_load_avx2(block->text)), tw_special_avx2(at),
                              inside);
}

/* The last block is that of the last 32 bytes and may overlap the one before it. */
static inline TW_AVX2 bool tw_looks_like_avx2(const char *at, const struct tumble_layout_block *blocks, size_t length) {
    const char *const last = at + length - 32;
    __m256i unlike = tw_unlike_avx2(last, blocks + (length - 1) / 32);
    for (; last - at > 32; at += 64, blocks += 2) {
        unlike =
            _mm256_or_si256(unlike, _mm256_or_si256(tw_unlike_avx2(at, blocks), tw_unlike_avx2(at + 32, blocks + 1)));
    }
    if (at < last) {
        unlike = _mm256_or_si256(unlike, tw_unlike_avx2(at, blocks));
    }
    return _mm256_testz_si256(unlike, unlike);
}

static const struct tw_layout_read tw_read_avx2 = {tw_same_avx2, tw_ends_at_avx2, tw_scan_string_avx2,
                                                   tw_scan_number_avx2, tw_looks_like_avx2};

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

/* 0 in every byte that looks as the block's half says: inside a value nothing special, elsewhere the very byte. */
static inline uint8x16_t tw_unlike_neon(const char *at, const char *text, const char *inside) {
    return vbslq_u8(tw_load_neon(inside), tw_special_neon(at), veorq_u8(tw_load_neon(at), tw_load_neon(text)));
}

static inline uint8x16_t tw_unlike_block_neon(const char *at, const struct tumble_layout_block *block) {
    return vorrq_u8(tw_unlike_neon(at, block->text, block->inside),
                    tw_unlike_neon(at + 16, block->text + 16, block->inside + 16));
}

/* The last block is that of the last 32 bytes and may overlap the one before it. */
static inline bool tw_looks_like_neon(const char *at, const struct tumble_layout_block *blocks, size_t length) {
    const char *const last = at + length - 32;
    uint8x16_t unlike = tw_unlike_block_neon(last, blocks + (length - 1) / 32);
    for (; at < last; at += 32, blocks++) {
        unlike = vorrq_u8(unlike, tw_unlike_block_neon(at, blocks));
    }
    return !tw_any_neon(unlike);
}

static const struct tw_layout_read tw_read_neon = {tw_same_neon, tw_ends_at_neon, tw_scan_string_in, tw_scan_number_in,
                                                   tw_looks_like_neon};

#endif

#endif
