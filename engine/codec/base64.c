#include "engine/codec/base64.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/base64_avx2.h"
#include "engine/codec/base64_avx512.h"
#include "engine/codec/base64_neon.h"
#include "engine/codec/base64_turn.h"
#include "engine/codec/cpu.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* clang-format off */
#define ALPHABET_MAP(XX)                                                                                               \
    XX('A', 0) XX('B', 1) XX('C', 2) XX('D', 3) XX('E', 4) XX('F', 5) XX('G', 6) XX('H', 7) XX('I', 8) XX('J', 9)      \
    XX('K', 10) XX('L', 11) XX('M', 12) XX('N', 13) XX('O', 14) XX('P', 15) XX('Q', 16) XX('R', 17) XX('S', 18)        \
    XX('T', 19) XX('U', 20) XX('V', 21) XX('W', 22) XX('X', 23) XX('Y', 24) XX('Z', 25) XX('a', 26) XX('b', 27)        \
    XX('c', 28) XX('d', 29) XX('e', 30) XX('f', 31) XX('g', 32) XX('h', 33) XX('i', 34) XX('j', 35) XX('k', 36)        \
    XX('l', 37) XX('m', 38) XX('n', 39) XX('o', 40) XX('p', 41) XX('q', 42) XX('r', 43) XX('s', 44) XX('t', 45)        \
    XX('u', 46) XX('v', 47) XX('w', 48) XX('x', 49) XX('y', 50) XX('z', 51) XX('0', 52) XX('1', 53) XX('2', 54)        \
    XX('3', 55) XX('4', 56) XX('5', 57) XX('6', 58) XX('7', 59) XX('8', 60) XX('9', 61) XX('+', 62) XX('/', 63)
/* clang-format on */

/* A table for each place in a group of four: the character's six bits where they belong, and a mark of its own, so that
 * the four looked-up words OR into 24 bits below four marks. What is not of the alphabet has no mark. */
#define PLACE_0(c, v) [c] = UINT32_C(0x01000000) | (v) << 18,
#define PLACE_1(c, v) [c] = UINT32_C(0x02000000) | (v) << 12,
#define PLACE_2(c, v) [c] = UINT32_C(0x04000000) | (v) << 6,
#define PLACE_3(c, v) [c] = UINT32_C(0x08000000) | (v),
static const uint32_t places[4][256] = {
    {ALPHABET_MAP(PLACE_0)}, {ALPHABET_MAP(PLACE_1)}, {ALPHABET_MAP(PLACE_2)}, {ALPHABET_MAP(PLACE_3)}};

#define MARKS UINT32_C(0x0f000000)

static inline uint32_t group_of(const char *at) {
    return places[0][(unsigned char)at[0]] | places[1][(unsigned char)at[1]] | places[2][(unsigned char)at[2]] |
           places[3][(unsigned char)at[3]];
}

static inline bool in_alphabet(char c) { return places[3][(unsigned char)c] != 0; }

static enum tumble_code refuse_character(struct tumble_bytes text, size_t at, struct tumble_error *err) {
    unsigned char c = (unsigned char)text.data[at];
    if (c == '=') {
        return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)at, "base64: padding '=' where it does not belong");
    }
    if (c == '-' || c == '_') {
        return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)at,
                          "base64: '%c' is of the URL-safe alphabet: the standard one has '+' and '/'", c);
    }
    if (c > 0x20 && c < 0x7f) {
        return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)at, "base64: '%c' is not of the alphabet", c);
    }
    return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)at, "base64: byte 0x%02x is not of the alphabet", c);
}

/* The first character from at on, before end, that is not of the alphabet. There is one. */
static enum tumble_code refuse_group(struct tumble_bytes text, size_t at, size_t end, struct tumble_error *err) {
    while (at + 1 < end && in_alphabet(text.data[at])) {
        at++;
    }
    return refuse_character(text, at, err);
}

/* The last group when it ends in padding: 1 or 2 bytes. */
static enum tumble_code decode_padded(struct tumble_bytes text, size_t at, char *out, size_t *written,
                                      struct tumble_error *err) {
    const char *group = text.data + at;
    size_t characters = group[2] == '=' ? 2 : 3;
    for (size_t i = 0; i < characters; i++) {
        if (!in_alphabet(group[i])) {
            return refuse_character(text, at + i, err);
        }
    }
    uint32_t bits = places[0][(unsigned char)group[0]] | places[1][(unsigned char)group[1]] |
                    (characters == 3 ? places[2][(unsigned char)group[2]] : 0);
    if (bits & (characters == 3 ? UINT32_C(0xff) : UINT32_C(0xffff))) {
        return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)(at + characters - 1),
                          "base64: the unused bits of '%c' in front of the padding are not zero",
                          group[characters - 1]);
    }
    out[0] = (char)(bits >> 16);
    if (characters == 3) {
        out[1] = (char)(bits >> 8);
    }
    *written = characters - 1;
    return TUMBLE_OK;
}

static inline void store_big_endian(char *out, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(out, &word, sizeof word);
}

/* Characters of groups without padding. */
static inline size_t plain_length(struct tumble_bytes text) {
    size_t groups = text.length / 4;
    bool padded = groups > 0 && text.length % 4 == 0 && text.data[text.length - 1] == '=';
    return (groups - padded) * 4;
}

/* Decodes from at on, a multiple of 4 in front of which there are no faults. In place is safe: of every group three
 * bytes are written where four were read, and eight-byte stores end before the first unread character. */
static enum tumble_code decode_from(struct tumble_bytes text, size_t at, char *out, size_t *out_length,
                                    struct tumble_error *err) {
    size_t plain = plain_length(text);
    bool padded = text.length % 4 == 0 && plain < text.length;
    size_t written = at / 4 * 3;
    /* Sixteen characters a turn while a store of eight bytes behind the twelve decoded so far stays in the output. */
    for (; plain - at >= 20; at += 16, written += 12) {
        uint32_t a = group_of(text.data + at);
        uint32_t b = group_of(text.data + at + 4);
        uint32_t c = group_of(text.data + at + 8);
        uint32_t d = group_of(text.data + at + 12);
        if ((a & b & c & d & MARKS) != MARKS) {
            return refuse_group(text, at, at + 16, err);
        }
        uint64_t first = (uint64_t)(a & ~MARKS) << 40 | (uint64_t)(b & ~MARKS) << 16;
        uint64_t second = (uint64_t)(c & ~MARKS) << 40 | (uint64_t)(d & ~MARKS) << 16;
        store_big_endian(out + written, first);
        store_big_endian(out + written + 6, second);
    }
    for (; at < plain; at += 4, written += 3) {
        uint32_t bits = group_of(text.data + at);
        if ((bits & MARKS) != MARKS) {
            return refuse_group(text, at, at + 4, err);
        }
        out[written] = (char)(bits >> 16);
        out[written + 1] = (char)(bits >> 8);
        out[written + 2] = (char)bits;
    }
    if (text.length % 4 != 0) {
        for (; at < text.length; at++) {
            if (!in_alphabet(text.data[at])) {
                return refuse_character(text, at, err);
            }
        }
        return tw_fail_at(err, TUMBLE_EBASE64, (int64_t)text.length,
                          "base64: %zu characters are not a multiple of 4: cut short, or the padding is missing",
                          text.length);
    }
    if (padded) {
        size_t last = 0;
        TW_TRY(decode_padded(text, at, out + written, &last, err));
        written += last;
    }
    *out_length = written;
    return TUMBLE_OK;
}

enum tumble_code tw_base64_decode_portable(struct tumble_bytes text, char *out, size_t *out_length,
                                           struct tumble_error *err) {
    return decode_from(text, 0, out, out_length, err);
}

enum tumble_code tw_base64_decode(struct tumble_bytes text, char *out, size_t *out_length, struct tumble_error *err) {
    size_t at = 0;
#ifdef TW_BASE64_AVX512
    const enum tw_cpu cpu = tw_cpu();
    if (cpu == TW_CPU_AVX512) {
        at = tw_base64_decode_avx512(text.data, plain_length(text), out);
    } else if (cpu == TW_CPU_AVX2) {
        at = tw_base64_decode_avx2(text.data, plain_length(text), out);
    }
#elif defined(TW_BASE64_NEON)
    if (tw_cpu() == TW_CPU_NEON) {
        at = tw_base64_decode_neon(text.data, plain_length(text), out);
    }
#endif
    return decode_from(text, at, out, out_length, err);
}

/* How a string ends, by the characters of its last group that are of the alphabet. Which of them it is cannot be
 * guessed, so nothing is decided by it. */
struct ending {
    char text[4], compared[4]; /* behind those characters: padding and quote */
    uint32_t used[3], unused;  /* bits of those characters that are bytes of the string, and must be 0 */
};

#define SIX_BITS UINT32_C(0x3f)
static const struct ending endings[4] = {
    {.text = "\"", .compared = "\xff"},
    {.unused = UINT32_MAX, .used = {UINT32_MAX}}, /* one character is no group: the mark of its place refuses it */
    {.text = "==\"", .compared = "\xff\xff\xff", {SIX_BITS << 18, SIX_BITS << 12}, 0xffff},
    {.text = "=\"", .compared = "\xff\xff", {SIX_BITS << 18, SIX_BITS << 12, SIX_BITS << 6}, 0xff}};

#ifdef TW_BASE64_AVX512
static TW_AVX512 size_t decode_quoted_avx512(const char *text, size_t left, char *out, size_t room, size_t *length) {
    return tw_base64_quoted_avx512(text, left, out, room, length);
}
#endif

size_t tw_base64_decode_quoted(const char *text, size_t left, char *out, size_t room, size_t *length) {
    size_t stop = TW_BASE64_UNQUOTED;
#ifdef TW_BASE64_AVX512
    const enum tw_cpu cpu = tw_cpu();
    if (cpu == TW_CPU_AVX512) {
        return decode_quoted_avx512(text, left, out, room, length);
    }
    if (cpu == TW_CPU_AVX2) {
        stop = tw_base64_decode_until_avx2(text, left, out, room);
    }
#elif defined(TW_BASE64_NEON)
    if (tw_cpu() == TW_CPU_NEON) {
        stop = tw_base64_decode_until_neon(text, left, out, room);
    }
#else
    (void)room;
#endif
    if (stop == TW_BASE64_UNQUOTED) {
        return stop;
    }
    /* What stands in front of the padding is of the alphabet, or the search would have stopped there. */
    const struct ending *const ending = &endings[stop % 4];
    uint32_t found, wanted, compared;
    if (left - stop < sizeof found) {
        return TW_BASE64_UNQUOTED;
    }
    memcpy(&found, text + stop, sizeof found);
    memcpy(&wanted, ending->text, sizeof wanted);
    memcpy(&compared, ending->compared, sizeof compared);
    const char *const last = text + stop - stop % 4;
    const uint32_t bits = (places[0][(unsigned char)last[0]] & ending->used[0]) |
                          (places[1][(unsigned char)last[1]] & ending->used[1]) |
                          (places[2][(unsigned char)last[2]] & ending->used[2]);
    if (((found ^ wanted) & compared) | (bits & ending->unused)) {
        return TW_BASE64_UNQUOTED;
    }
    const size_t whole = stop / 4 * 3;
    out[whole] = (char)(bits >> 16); /* there is room: a turn of the search had it */
    out[whole + 1] = (char)(bits >> 8);
    *length = stop * 3 / 4;
    return stop + (-stop & 3); /* and not from the table: everything behind the string waits for it */
}

size_t tw_base64_encoded_length(size_t length) { return length / 3 * 4 + (length % 3 ? 4 : 0); }

void tw_base64_encode(struct tumble_bytes bytes, char *out) {
    size_t left = bytes.length;
#ifdef TW_BASE64_AVX2
    if (left >= 28 && tw_cpu_has_avx2()) {
        size_t taken = tw_base64_encode_avx2(bytes.data, left, out);
        bytes.data += taken;
        left -= taken;
        out += taken / 3 * 4;
    }
#elif defined(TW_BASE64_NEON)
    if (left >= 48 && tw_cpu() == TW_CPU_NEON) {
        size_t taken = tw_base64_encode_neon(bytes.data, left, out);
        bytes.data += taken;
        left -= taken;
        out += taken / 3 * 4;
    }
#endif
    const unsigned char *at = (const unsigned char *)bytes.data;
    for (; left >= 3; left -= 3, at += 3, out += 4) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (left > 0) {
        uint32_t bits = (uint32_t)at[0] << 16 | (left == 2 ? (uint32_t)at[1] << 8 : 0);
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = left == 2 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
    }
}
