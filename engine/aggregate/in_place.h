#ifndef TW_AGGREGATE_IN_PLACE_H
#define TW_AGGREGATE_IN_PLACE_H

#include "engine/aggregate/total.h"
#include "engine/base/short_number.h"

/* What value and encode of the commonest functions append, for nearly every state, written in place by who writes many
 * of them. 0: it is not such a state, ask the function. */

enum { TW_VALUE_IN_PLACE = TW_SHORT_TEXT, TW_ENCODED_IN_PLACE = 16 }; /* bytes they may write */

/* What a step makes of a state that init has made: of a form that is not OTHER. */
static inline void tw_begin_in_place(enum tw_form form, void *state, const struct tw_decimal *number) {
    if (form == TW_FORM_COUNT) {
        *(uint64_t *)state = 1;
        return;
    }
    if (form == TW_FORM_TOTAL) {
        struct tw_total *const total = state;
        total->low = number->low;
        total->high = number->high;
        total->exponent = number->exponent;
        total->form = TW_TOTAL_NARROW;
        return;
    }
    struct tw_decimal *const kept = state;
    *kept = *number;
    kept->reserved = 1;
}

/* 64 bits hold the total, and the point stands among its digits or behind them. */
static inline bool tw_total_is_short(const struct tw_total *total) {
    return total->form == TW_TOTAL_NARROW && total->high == (int64_t)total->low >> 63 && total->exponent <= 0 &&
           total->exponent >= -18;
}

static inline uint64_t tw_total_short_magnitude(const struct tw_total *total) {
    const uint64_t sign = (uint64_t)total->high;
    return (total->low ^ sign) - sign;
}

static inline size_t tw_count_text(uint64_t count, char *out) {
    if (count < 10) {
        *out = (char)('0' + count);
        return 1;
    }
    if (count >= TW_SHORT_END || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        return 0;
    }
    const struct tw_short text = tw_short_of((uint32_t)count, false, 0, false);
    return tw_short_put(&text, out);
}

/* Of a total or an extreme; false: it is not such a state, ask the function. */
static inline bool tw_number_in_place(enum tw_form form, const void *state, struct tw_short *text) {
    if (form == TW_FORM_EXTREME) {
        const struct tw_decimal *const kept = state;
        return kept->reserved && tw_short_decimal(kept, text);
    }
    const struct tw_total *const total = state;
    const uint64_t whole = tw_total_short_magnitude(total);
    if (!tw_total_is_short(total) || whole >= TW_SHORT_END || total->exponent < -TW_SHORT_PLACES ||
        __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        return false;
    }
    *text = tw_short_of((uint32_t)whole, total->high < 0, (unsigned)-total->exponent, true);
    return true;
}

static inline size_t tw_value_in_place(enum tw_form form, const void *state, char *out) {
    struct tw_short text;
    if (form == TW_FORM_COUNT) {
        return tw_count_text(*(const uint64_t *)state, out);
    }
    return form != TW_FORM_OTHER && tw_number_in_place(form, state, &text) ? tw_short_put(&text, out) : 0;
}

/* How long a number is nobody can guess: of up to four bytes without a branch. */
static inline size_t tw_varint_in_place(uint64_t value, char *out) {
    if (value < UINT64_C(1) << 28 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        const uint32_t low = (uint32_t)value;
        const unsigned bits = 32 - (unsigned)__builtin_clz(low | 1), length = ((bits + 6) * 37) >> 8; /* / 7 */
        uint32_t bytes = (low & 0x7f) | (low & 0x3f80) << 1 | (low & 0x1fc000) << 2 | (low & 0xfe00000) << 3;
        bytes |= UINT32_C(0x00808080) & ((UINT32_C(1) << (8 * length - 8)) - 1); /* others follow */
        memcpy(out, &bytes, sizeof bytes);
        return length;
    }
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) {
        out[length++] = (char)(value | 0x80);
    }
    out[length++] = (char)value;
    return length;
}

static inline size_t tw_encode_in_place(enum tw_form form, const void *state, char *out) {
    if (form == TW_FORM_COUNT) {
        return tw_varint_in_place(*(const uint64_t *)state, out);
    }
    if (form == TW_FORM_TOTAL) {
        const struct tw_total *const total = state;
        uint64_t magnitude = tw_total_short_magnitude(total);
        if (!tw_total_is_short(total)) {
            return 0;
        }
        int exponent = total->exponent;
        for (; magnitude && magnitude % 10 == 0; magnitude /= 10) {
            exponent++;
        }
        exponent = magnitude ? exponent : 0;
        out[0] = (char)(total->high ? TW_TOTAL_TAG_NEGATIVE : TW_TOTAL_TAG_POSITIVE);
        out[1] = (char)(exponent < 0 ? -exponent * 2 - 1 : exponent * 2); /* zigzag, from -18 to 18 */
        return 2 + tw_varint_in_place(magnitude, out + 2);
    }
    if (form == TW_FORM_EXTREME) {
        const struct tw_decimal *const kept = state;
        return kept->reserved ? tw_short_ordered(kept, out) : 0;
    }
    return 0;
}

#endif
