#ifndef TW_CODEC_BASE64_TURN_H
#define TW_CODEC_BASE64_TURN_H

#include <stdint.h>
#include <string.h>

#include "engine/codec/base64.h"
#include "engine/codec/cpu.h"

/* Turns of 64 characters of base64 in AVX-512, for base64_avx512.c and whoever has a string of it in the middle of
 * something else. The method of W. Muła and D. Lemire, "Base64 encoding and decoding at almost the speed of a memory
 * copy" (2019): one look-up in a table of 128 bytes gives a character's six bits, with the highest bit set where there
 * is no such character. For machines of TW_CPU_AVX512 only. */

#if defined(TW_HAVE_AVX)

#include <immintrin.h>

#define TW_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2")))

extern const signed char tw_base64_front[64], tw_base64_back[64], tw_base64_order[64];

static inline TW_AVX512 __attribute__((always_inline)) __m512i tw_six_avx512(__m512i characters) {
    return _mm512_permutex2var_epi8(_mm512_load_si512((const void *)tw_base64_front), characters,
                                    _mm512_load_si512((const void *)tw_base64_back));
}

/* Which characters are not of the alphabet. */
static inline TW_AVX512 __attribute__((always_inline)) __mmask64 tw_wrong_avx512(__m512i characters, __m512i six) {
    return _mm512_movepi8_mask(_mm512_or_si512(six, characters));
}

static inline TW_AVX512 __attribute__((always_inline)) __m512i tw_bytes_avx512(__m512i six) {
    const __m512i twelve = _mm512_maddubs_epi16(six, _mm512_set1_epi32(0x01400140));
    const __m512i twenty_four = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
    return _mm512_permutexvar_epi8(_mm512_load_si512((const void *)tw_base64_order), twenty_four);
}

static inline TW_AVX512 __attribute__((always_inline)) void tw_store48_avx512(char *out, __m512i bytes) {
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(bytes));
    _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm512_extracti32x4_epi32(bytes, 2));
}

/* tw_base64_decode_quoted. Characters of the last group count as six bits of 0 from the first that is none on: then the
 * byte behind the last is 0 if the bits that are of no use are. */
static inline TW_AVX512 __attribute__((always_inline)) size_t
tw_base64_quoted_avx512(const char *text, size_t left, char *out, size_t room, size_t *length) {
    static const uint32_t wanted[4] = {'"', 'A', '=' | '=' << 8 | '"' << 16, '=' | '"' << 8};
    static const uint32_t compared[4] = {0xff, 0xff, 0xffffff, 0xffff}; /* of one character there is no group */
    for (size_t at = 0;; at += 64, out += 48) {
        if (left - at < 64 || room - at / 4 * 3 < 48) {
            return TW_BASE64_UNQUOTED;
        }
        const __m512i characters = _mm512_loadu_si512((const void *)(text + at)), six = tw_six_avx512(characters);
        const __mmask64 wrong = tw_wrong_avx512(characters, six);
        if (!wrong) {
            tw_store48_avx512(out, tw_bytes_avx512(six));
            continue;
        }
        const size_t more = _tzcnt_u64(wrong), stop = at + more, end = more * 3 / 4;
        tw_store48_avx512(out, tw_bytes_avx512(_mm512_maskz_mov_epi8(_blsmsk_u64(wrong) >> 1, six)));
        uint32_t found;
        if (left - stop < sizeof found) {
            return TW_BASE64_UNQUOTED;
        }
        memcpy(&found, text + stop, sizeof found);
        if (((found ^ wanted[stop % 4]) & compared[stop % 4]) | (unsigned char)out[end]) {
            return TW_BASE64_UNQUOTED;
        }
        *length = at / 4 * 3 + end;
        return stop + (-stop & 3); /* and not from a table: everything behind the string waits for it */
    }
}

#endif

#endif
