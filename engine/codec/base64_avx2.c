#include "engine/codec/base64_avx2.h"

#ifdef TW_BASE64_AVX2

#include <immintrin.h>
#include <stdint.h>

/* The method of W. Muła and D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions" (2018): two table
 * look-ups by nibble tell whether a character is of the alphabet, one more what to add to it to get its six bits.
 *
 * Characters are classed by their high nibble: 2 ('+' '/'), 3 (digits), 4 and 6 (letters from A), 5 and 7 (up to Z),
 * the rest. classes[high] is one bit, wrong[low] the classes in which this low nibble is no character. */

#define TWICE(...) __VA_ARGS__, __VA_ARGS__
#define WRONG      0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a
#define CLASSES    0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10
/* By high nibble; '/' takes the place before that of '+'. */
#define ADD   0, 63 - '/', 62 - '+', 52 - '0', 0 - 'A', 0 - 'A', 26 - 'a', 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0
#define ORDER 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1

/* 32 characters to four times six bits a 32-bit lane, packed to its low 24 bits, then to the front of each half. */
static inline __attribute__((target("avx2"), always_inline)) __m256i pack(__m256i six) {
    __m256i twelve = _mm256_maddubs_epi16(six, _mm256_set1_epi32(0x01400140));
    __m256i twenty_four = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
    return _mm256_shuffle_epi8(twenty_four, _mm256_setr_epi8(TWICE(ORDER)));
}

/* The six bits of each character; *faults is not 0 in those that are not of the alphabet. */
static inline __attribute__((target("avx2"), always_inline)) void look_up(__m256i text, __m256i *six, __m256i *faults) {
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), nibble);
    __m256i low = _mm256_and_si256(text, nibble);
    __m256i wrong = _mm256_shuffle_epi8(_mm256_setr_epi8(TWICE(WRONG)), low);
    __m256i class = _mm256_shuffle_epi8(_mm256_setr_epi8(TWICE(CLASSES)), high);
    __m256i slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('/'));
    __m256i add = _mm256_shuffle_epi8(_mm256_setr_epi8(TWICE(ADD)), _mm256_add_epi8(high, slash));
    *six = _mm256_add_epi8(text, add);
    *faults = _mm256_and_si256(wrong, class);
}

/* The same; false when one is not of the alphabet. */
static inline __attribute__((target("avx2"), always_inline)) int values(__m256i text, __m256i *six) {
    __m256i faults;
    look_up(text, six, &faults);
    return _mm256_testz_si256(faults, faults);
}

static inline __attribute__((target("avx2"), always_inline)) void store24(char *out, __m256i six) {
    __m256i bytes = _mm256_permutevar8x32_epi32(pack(six), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(bytes));
    _mm_storel_epi64((__m128i *)(void *)(out + 16), _mm256_extracti128_si256(bytes, 1));
}

__attribute__((target("avx2"))) size_t tw_base64_decode_until_avx2(const char *text, size_t left, char *out,
                                                                   size_t room) {
    for (size_t at = 0; left - at >= 32 && room >= 24; at += 32, out += 24, room -= 24) {
        __m256i six, faults;
        look_up(_mm256_loadu_si256((const __m256i *)(const void *)(text + at)), &six, &faults);
        store24(out, six);
        unsigned fine = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(faults, _mm256_setzero_si256()));
        if (~fine) {
            return at + (unsigned)__builtin_ctz(~fine);
        }
    }
    return SIZE_MAX;
}

__attribute__((target("avx2"))) size_t tw_base64_decode_avx2(const char *text, size_t length, char *out) {
    size_t at = 0;
    __m256i six;
    for (; length - at >= 32; at += 32, out += 24) {
        if (!values(_mm256_loadu_si256((const __m256i *)(const void *)(text + at)), &six)) {
            return at;
        }
        store24(out, six);
    }
    if (length - at >= 16) {
        __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        if (!values(_mm256_set_m128i(half, half), &six)) {
            return at;
        }
        __m128i bytes = _mm256_castsi256_si128(pack(six));
        _mm_storel_epi64((__m128i *)(void *)out, bytes);
        _mm_storeu_si32(out + 8, _mm_srli_si128(bytes, 8));
        at += 16;
    }
    return at;
}

/* The other way round: each 3 bytes spread over a 32-bit lane, shifted apart by two multiplications, then from six bits
 * to a character by what a table says is to be added in its range: 0-25, 26-51, ten digits, 62, 63. */
#define SPREAD 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10
#define RANGES                                                                                                         \
    'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,      \
        '+' - 62, '/' - 63, 'A', 0, 0

__attribute__((target("avx2"))) size_t tw_base64_encode_avx2(const char *bytes, size_t length, char *out) {
    size_t at = 0;
    for (; length - at >= 28; at += 24, out += 32) {
        __m256i in = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(bytes + at))),
            _mm_loadu_si128((const __m128i *)(const void *)(bytes + at + 12)), 1);
        in = _mm256_shuffle_epi8(in, _mm256_setr_epi8(TWICE(SPREAD)));
        __m256i odd =
            _mm256_mulhi_epu16(_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
        __m256i even =
            _mm256_mullo_epi16(_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
        __m256i six = _mm256_or_si256(odd, even);
        __m256i range = _mm256_subs_epu8(six, _mm256_set1_epi8(51));
        __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), six);
        range = _mm256_or_si256(range, _mm256_and_si256(upper, _mm256_set1_epi8(13)));
        __m256i add = _mm256_shuffle_epi8(_mm256_setr_epi8(TWICE(RANGES)), range);
        _mm256_storeu_si256((__m256i *)(void *)out, _mm256_add_epi8(six, add));
    }
    return at;
}

#endif
