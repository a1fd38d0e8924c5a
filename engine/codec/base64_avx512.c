#include "engine/codec/base64_avx512.h"

#ifdef TW_BASE64_AVX512

#include <immintrin.h>

#include "engine/codec/base64_turn.h"

#define X   -128
#define X4  X, X, X, X
#define X16 X4, X4, X4, X4

/* Six bits of each character from 0 and from 64 on. */
const signed char tw_base64_front[64] __attribute__((aligned(64))) = {
    X16, X16, X4, X4, X, X, X, 62, X, X, X, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X4};
const signed char tw_base64_back[64] __attribute__((aligned(64))) = {
    X,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    21, 22, 23, 24, 25, X,  X,  X,  X,  X,  X,  26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X,  X,  X,  X,  X};

/* Where the bytes of a turn come from: three of every four, the highest first. */
#define GROUP(i)  (i) + 2, (i) + 1, (i)
#define GROUPS(i) GROUP(i), GROUP((i) + 4), GROUP((i) + 8), GROUP((i) + 12)
const signed char tw_base64_order[64] __attribute__((aligned(64))) = {GROUPS(0), GROUPS(16), GROUPS(32), GROUPS(48)};

TW_AVX512 size_t tw_base64_decode_avx512(const char *text, size_t length, char *out) {
    size_t at = 0;
    for (; length - at >= 64; at += 64, out += 48) {
        const __m512i characters = _mm512_loadu_si512((const void *)(text + at)), six = tw_six_avx512(characters);
        if (tw_wrong_avx512(characters, six)) {
            return at;
        }
        tw_store48_avx512(out, tw_bytes_avx512(six));
    }
    if (length > at) {
        const __mmask64 taken = _bzhi_u64(~UINT64_C(0), (unsigned)(length - at));
        const __m512i characters = _mm512_mask_loadu_epi8(_mm512_set1_epi8('A'), taken, text + at);
        const __m512i six = tw_six_avx512(characters);
        if (tw_wrong_avx512(characters, six)) {
            return at;
        }
        _mm512_mask_storeu_epi8(out, _bzhi_u64(~UINT64_C(0), (unsigned)((length - at) / 4 * 3)), tw_bytes_avx512(six));
    }
    return length;
}

#endif
