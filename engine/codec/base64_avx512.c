#include "engine/codec/base64_avx512.h"

#ifdef TW_BASE64_AVX512

#include <immintrin.h>
#include <stdint.h>

/* The method of W. Muła and D. Lemire, "Base64 encoding and decoding at almost the speed of a memory copy" (2019): one
 * look-up in a table of 128 bytes gives a character's six bits, with the highest bit set where there is no such
 * character. Loads and stores of the last turn are masked: they touch no byte beyond. */

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2")))

#define X   -128
#define X4  X, X, X, X
#define X16 X4, X4, X4, X4

/* Six bits of each character from 0 and from 64 on. */
static const signed char front[64] __attribute__((aligned(64))) = {X16, X16, X4, X4, X,  X,  X,  62, X,  X, X, 63, 52,
                                                                   53,  54,  55, 56, 57, 58, 59, 60, 61, X, X, X4};
static const signed char back[64] __attribute__((aligned(64))) = {
    X,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    21, 22, 23, 24, 25, X,  X,  X,  X,  X,  X,  26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X,  X,  X,  X,  X};

/* Where the bytes of a turn come from: three of every four, the highest first. */
#define GROUP(i)  (i) + 2, (i) + 1, (i)
#define GROUPS(i) GROUP(i), GROUP((i) + 4), GROUP((i) + 8), GROUP((i) + 12)
static const signed char order[64] __attribute__((aligned(64))) = {GROUPS(0), GROUPS(16), GROUPS(32), GROUPS(48)};

/* Which characters are not of the alphabet. */
static inline TARGET __attribute__((always_inline)) __mmask64 decode(__m512i text, __m512i *bytes) {
    __m512i six =
        _mm512_permutex2var_epi8(_mm512_load_si512((const void *)front), text, _mm512_load_si512((const void *)back));
    __mmask64 wrong = _mm512_movepi8_mask(_mm512_or_si512(six, text));
    __m512i twelve = _mm512_maddubs_epi16(six, _mm512_set1_epi32(0x01400140));
    __m512i twenty_four = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
    *bytes = _mm512_permutexvar_epi8(_mm512_load_si512((const void *)order), twenty_four);
    return wrong;
}

static inline TARGET __attribute__((always_inline)) void store48(char *out, __m512i bytes) {
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(bytes));
    _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm512_extracti32x4_epi32(bytes, 2));
}

TARGET size_t tw_base64_decode_until_avx512(const char *text, size_t left, char *out, size_t room) {
    for (size_t at = 0; left - at >= 64 && room >= 48; at += 64, out += 48, room -= 48) {
        __m512i bytes;
        __mmask64 wrong = decode(_mm512_loadu_si512((const void *)(text + at)), &bytes);
        store48(out, bytes);
        if (wrong) {
            return at + _tzcnt_u64(wrong);
        }
    }
    return SIZE_MAX;
}

TARGET size_t tw_base64_decode_avx512(const char *text, size_t length, char *out) {
    size_t at = 0;
    __m512i bytes;
    for (; length - at >= 64; at += 64, out += 48) {
        if (decode(_mm512_loadu_si512((const void *)(text + at)), &bytes)) {
            return at;
        }
        store48(out, bytes);
    }
    if (length > at) {
        __mmask64 characters = _bzhi_u64(~UINT64_C(0), (unsigned)(length - at));
        if (decode(_mm512_mask_loadu_epi8(_mm512_set1_epi8('A'), characters, text + at), &bytes)) {
            return at;
        }
        _mm512_mask_storeu_epi8(out, _bzhi_u64(~UINT64_C(0), (unsigned)((length - at) / 4 * 3)), bytes);
    }
    return length;
}

#endif
