#include "engine/codec/base64_neon.h"

#ifdef TW_BASE64_NEON

#include <arm_neon.h>
#include <stdint.h>

/* NEON loads and stores every third or fourth byte into a register of its own, so that groups need no shuffling: 16
 * groups of four characters are four registers, their bytes three. Characters are looked up in two tables of 64 bytes:
 * six bits, and the highest bit set where there is such a character, so that what is in neither table (0) has none. */

#define Y(value) (0x80 | (value))
#define N4       0, 0, 0, 0
#define N16      N4, N4, N4, N4

/* clang-format off */
static const uint8_t front[64] = { /* from 0 on */
    N16, N16, N4, N4, 0, 0, 0, Y(62), 0, 0, 0, Y(63), Y(52), Y(53), Y(54), Y(55), Y(56), Y(57), Y(58), Y(59), Y(60),
    Y(61), 0, 0, N4};
static const uint8_t back[64] = { /* from 64 on */
    0, Y(0), Y(1), Y(2), Y(3), Y(4), Y(5), Y(6), Y(7), Y(8), Y(9), Y(10), Y(11), Y(12), Y(13), Y(14), Y(15), Y(16),
    Y(17), Y(18), Y(19), Y(20), Y(21), Y(22), Y(23), Y(24), Y(25), 0, 0, 0, 0, 0, 0, Y(26), Y(27), Y(28), Y(29), Y(30),
    Y(31), Y(32), Y(33), Y(34), Y(35), Y(36), Y(37), Y(38), Y(39), Y(40), Y(41), Y(42), Y(43), Y(44), Y(45), Y(46),
    Y(47), Y(48), Y(49), Y(50), Y(51), 0, 0, 0, 0, 0};
/* clang-format on */
static const uint8_t alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct tables {
    uint8x16x4_t front, back;
};

/* 0 for what is in neither table: a look-up of what is beyond one leaves what the other said. */
static inline uint8x16_t look_up(const struct tables *tables, uint8x16_t text) {
    return vqtbx4q_u8(vqtbl4q_u8(tables->front, text), tables->back, veorq_u8(text, vdupq_n_u8(64)));
}

/* Decodes 64 characters to 48 bytes. Returns a bit for each character, in order: is it of the alphabet? The four
 * highest bits of a group are first gathered in one nibble, which is put twice into its byte; of each two bytes one
 * half is then taken. */
static inline uint64_t decode(const struct tables *tables, const char *text, uint8x16x3_t *bytes) {
    uint8x16x4_t in = vld4q_u8((const uint8_t *)(const void *)text);
    uint8x16_t a = look_up(tables, in.val[0]);
    uint8x16_t b = look_up(tables, in.val[1]);
    uint8x16_t c = look_up(tables, in.val[2]);
    uint8x16_t d = look_up(tables, in.val[3]);
    bytes->val[0] = vsriq_n_u8(vshlq_n_u8(a, 2), vshlq_n_u8(b, 2), 6);
    bytes->val[1] = vsriq_n_u8(vshlq_n_u8(b, 4), vshlq_n_u8(c, 2), 4);
    bytes->val[2] = vsliq_n_u8(d, c, 6);
    uint8x16_t group = vsriq_n_u8(vsriq_n_u8(d, c, 1), vsriq_n_u8(b, a, 1), 2);
    uint8x8_t fine = vshrn_n_u16(vreinterpretq_u16_u8(vsriq_n_u8(group, group, 4)), 4);
    return vget_lane_u64(vreinterpret_u64_u8(fine), 0);
}

size_t tw_base64_decode_until_neon(const char *text, size_t left, char *out, size_t room) {
    const struct tables tables = {vld1q_u8_x4(front), vld1q_u8_x4(back)};
    for (size_t at = 0; left - at >= 64 && room >= 48; at += 64, out += 48, room -= 48) {
        uint8x16x3_t bytes;
        uint64_t fine = decode(&tables, text + at, &bytes);
        vst3q_u8((uint8_t *)(void *)out, bytes);
        if (~fine) {
            return at + (unsigned)__builtin_ctzll(~fine);
        }
    }
    return SIZE_MAX;
}

size_t tw_base64_decode_neon(const char *text, size_t length, char *out) {
    const struct tables tables = {vld1q_u8_x4(front), vld1q_u8_x4(back)};
    size_t at = 0;
    for (; length - at >= 64; at += 64, out += 48) {
        uint8x16x3_t bytes;
        if (~decode(&tables, text + at, &bytes)) {
            return at; /* nothing is stored: in place, the fault would be gone */
        }
        vst3q_u8((uint8_t *)(void *)out, bytes);
    }
    return at;
}

size_t tw_base64_encode_neon(const char *bytes, size_t length, char *out) {
    const uint8x16x4_t characters = vld1q_u8_x4(alphabet);
    const uint8x16_t six = vdupq_n_u8(63);
    size_t at = 0;
    for (; length - at >= 48; at += 48, out += 64) {
        uint8x16x3_t in = vld3q_u8((const uint8_t *)(const void *)(bytes + at));
        uint8x16_t a = vshrq_n_u8(in.val[0], 2);
        uint8x16_t b = vandq_u8(vsliq_n_u8(vshrq_n_u8(in.val[1], 4), in.val[0], 4), six);
        uint8x16_t c = vandq_u8(vsliq_n_u8(vshrq_n_u8(in.val[2], 6), in.val[1], 2), six);
        uint8x16_t d = vandq_u8(in.val[2], six);
        uint8x16x4_t text = {{vqtbl4q_u8(characters, a), vqtbl4q_u8(characters, b), vqtbl4q_u8(characters, c),
                              vqtbl4q_u8(characters, d)}};
        vst4q_u8((uint8_t *)(void *)out, text);
    }
    return at;
}

#endif
