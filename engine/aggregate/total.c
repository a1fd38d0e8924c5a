#include "engine/aggregate/total.h"

#include "engine/aggregate/in_place.h"
#include "engine/aggregate/scaled.h"
#include "engine/base/fail.h"
#include "engine/base/number_text.h"

enum {
    TAG_EMPTY,
    TAG_NARROW = TW_TOTAL_TAG_POSITIVE,
    TAG_NARROW_NEGATIVE = TW_TOTAL_TAG_NEGATIVE,
    TAG_WIDE,
    TAG_WIDE_NEGATIVE
};
enum { NARROW_DIGITS = 38, EXPONENT_MIN = -357 };

static const tw_int128 int128_max = (tw_int128)(~(tw_uint128)0 >> 1);

size_t tw_total_growth(void) { return tw_heap_size(sizeof(struct tw_wide)); }

static tw_int128 narrow_of(const struct tw_total *total) {
    return (tw_int128)(((tw_uint128)(uint64_t)total->high << 64) | total->low);
}

static void set_narrow(struct tw_total *total, tw_int128 coefficient, int exponent) {
    total->low = (uint64_t)coefficient;
    total->high = (int64_t)(uint64_t)((tw_uint128)coefficient >> 64);
    total->exponent = coefficient ? exponent : 0;
    total->form = TW_TOTAL_NARROW;
}

static struct tw_wide *wide_of(const struct tw_total *total) { return (struct tw_wide *)(uintptr_t)total->low; }

static tw_uint128 magnitude_of(tw_int128 value) { return value < 0 ? -(tw_uint128)value : (tw_uint128)value; }

/* value × 10^power into *out; false when 128 bits do not hold it. */
static bool scale(tw_int128 value, int power, tw_int128 *out) {
    if (power >= TW_POWERS_OF_TEN || magnitude_of(value) > (tw_uint128)int128_max / tw_power_of_ten[power]) {
        return false;
    }
    tw_uint128 scaled = magnitude_of(value) * tw_power_of_ten[power];
    *out = value < 0 ? -(tw_int128)scaled : (tw_int128)scaled;
    return true;
}

/* The total of a narrow state and an addend, when 128 bits hold it at the finer of both scales. */
static bool add_narrow(struct tw_total *total, tw_int128 coefficient, int exponent) {
    tw_int128 sum = narrow_of(total);
    if (coefficient == 0) {
        return true;
    }
    if (sum == 0) {
        set_narrow(total, coefficient, exponent);
        return true;
    }
    int shift = exponent - total->exponent;
    int finer = shift < 0 ? exponent : total->exponent;
    if (!(shift < 0 ? scale(sum, -shift, &sum) : scale(coefficient, shift, &coefficient)) ||
        __builtin_add_overflow(sum, coefficient, &sum)) {
        return false;
    }
    set_narrow(total, sum, finer);
    return true;
}

static struct tw_wide *widen(struct tw_total *total, struct tw_heap *heap) {
    if (total->form == TW_TOTAL_WIDE) {
        return wide_of(total);
    }
    struct tw_wide *wide = tw_heap_take(heap, sizeof *wide);
    if (wide) {
        tw_wide_clear(wide);
        tw_wide_add(wide, narrow_of(total), total->exponent);
        total->low = (uint64_t)(uintptr_t)wide;
        total->high = 0;
        total->exponent = 0;
        total->form = TW_TOTAL_WIDE;
    }
    return wide;
}

bool tw_total_add_slowly(struct tw_total *total, tw_int128 coefficient, int exponent, struct tw_heap *heap) {
    if (total->form == TW_TOTAL_EMPTY) {
        set_narrow(total, coefficient, exponent);
        return true;
    }
    if (total->form == TW_TOTAL_NARROW && add_narrow(total, coefficient, exponent)) {
        return true;
    }
    struct tw_wide *wide = widen(total, heap);
    if (!wide) {
        return false;
    }
    tw_wide_add(wide, coefficient, exponent);
    return true;
}

enum tumble_code tw_total_merge(struct tw_total *total, const struct tw_total *other, struct tw_heap *heap) {
    if (other->form == TW_TOTAL_EMPTY) {
        return TUMBLE_OK;
    }
    if (other->form == TW_TOTAL_NARROW) {
        return tw_total_add_slowly(total, narrow_of(other), other->exponent, heap) ? TUMBLE_OK : TUMBLE_ENOMEM;
    }
    struct tw_wide *wide = widen(total, heap);
    if (!wide) {
        return TUMBLE_ENOMEM;
    }
    tw_wide_add_wide(wide, wide_of(other));
    return TUMBLE_OK;
}

void tw_total_split(const struct tw_total *total, struct tw_wide_magnitude *out) {
    if (total->form == TW_TOTAL_WIDE) {
        tw_wide_split(wide_of(total), out);
        return;
    }
    struct tw_wide wide;
    tw_wide_clear(&wide);
    tw_wide_add(&wide, narrow_of(total), total->exponent);
    tw_wide_split(&wide, out);
}

/* The total as its canonical narrow form, if it has one: at most 38 digits, none of them a trailing zero. */
struct canonical {
    bool is_narrow;
    bool negative;
    tw_uint128 coefficient; /* narrow */
    int exponent;
    struct tw_wide_magnitude magnitude; /* not narrow */
};

static void find_canonical(const struct tw_total *total, struct canonical *out) {
    if (total->form == TW_TOTAL_WIDE) {
        tw_wide_split(wide_of(total), &out->magnitude);
        out->negative = out->magnitude.negative;
        out->is_narrow = tw_wide_narrow(&out->magnitude, &out->coefficient, &out->exponent);
        return;
    }
    tw_int128 value = narrow_of(total);
    out->negative = value < 0;
    out->coefficient = magnitude_of(value);
    out->exponent = total->exponent + tw_strip_trailing_zeros(&out->coefficient);
    if (out->coefficient == 0) {
        out->exponent = 0;
    }
    out->is_narrow = out->coefficient < tw_power_of_ten[NARROW_DIGITS];
    if (!out->is_narrow) {
        tw_total_split(total, &out->magnitude);
    }
}

static enum tumble_code append_short_value(const struct tw_total *total, struct tw_buf *out) {
    uint64_t magnitude = tw_total_short_magnitude(total);
    struct tw_decimal d = {.exponent = total->exponent};
    for (; d.exponent < 0 && magnitude % 10 == 0; magnitude /= 10) {
        d.exponent++;
    }
    uint64_t sign = (uint64_t)total->high;
    d.low = (magnitude ^ sign) - sign;
    d.high = total->high;
    return tw_buf_append_decimal(out, &d);
}

enum tumble_code tw_total_value(const struct tw_total *total, uint64_t divisor, struct tw_buf *out) {
    char text[TW_DECIMAL_TEXT];
    if (divisor == 1 && tw_total_is_short(total)) {
        return append_short_value(total, out);
    }
    if (total->form == TW_TOTAL_EMPTY) {
        return tw_buf_append_text(out, "null");
    }
    if (total->form == TW_TOTAL_WIDE) {
        return tw_buf_append(out, text, tw_wide_format(wide_of(total), divisor, text));
    }
    if (divisor == 1) {
        struct canonical c;
        find_canonical(total, &c);
        if (c.coefficient < tw_power_of_ten[TW_LIMIT_NUMBER_DIGITS]) {
            tw_uint128 bits = c.negative ? -c.coefficient : c.coefficient;
            struct tw_decimal d = {(uint64_t)bits, (int64_t)(uint64_t)(bits >> 64), c.exponent, 0};
            return tw_buf_append(out, text, tw_decimal_format(&d, text));
        }
    }
    struct tw_wide wide;
    tw_wide_clear(&wide);
    tw_wide_add(&wide, narrow_of(total), total->exponent);
    return tw_buf_append(out, text, tw_wide_format(&wide, divisor, text));
}

enum tumble_code tw_total_encode(const struct tw_total *total, struct tw_buf *out) {
    char bytes[TW_ENCODED_IN_PLACE];
    const size_t length = tw_encode_in_place(TW_FORM_TOTAL, total, bytes);
    if (length) {
        return tw_buf_append(out, bytes, length);
    }
    if (total->form == TW_TOTAL_EMPTY) {
        return tw_buf_append_byte(out, TAG_EMPTY);
    }
    struct canonical c;
    find_canonical(total, &c);
    if (c.is_narrow) {
        TW_TRY(tw_buf_append_byte(out, c.negative ? TAG_NARROW_NEGATIVE : TAG_NARROW));
        return tw_scaled_append(out, c.coefficient, c.exponent);
    }
    TW_TRY(tw_buf_append_byte(out, c.negative ? TAG_WIDE_NEGATIVE : TAG_WIDE));
    TW_TRY(tw_buf_append_byte(out, (char)c.magnitude.lowest));
    TW_TRY(tw_buf_append_byte(out, (char)(c.magnitude.highest - c.magnitude.lowest + 1)));
    for (int i = c.magnitude.lowest; i <= c.magnitude.highest; i++) {
        TW_TRY(tw_buf_append_u64(out, c.magnitude.limbs[i]));
    }
    return TUMBLE_OK;
}

static bool take_narrow(struct tw_total *total, struct tw_cursor *in, bool negative) {
    tw_uint128 coefficient;
    int exponent;
    if (!tw_scaled_take(in, EXPONENT_MIN, TW_WIDE_ADJUSTED, &coefficient, &exponent) || (negative && !coefficient)) {
        return false;
    }
    set_narrow(total, negative ? -(tw_int128)coefficient : (tw_int128)coefficient, exponent);
    return true;
}

static bool take_limbs(struct tw_wide_magnitude *out, struct tw_cursor *in, bool negative) {
    uint8_t lowest;
    uint8_t count;
    if (!tw_take_u8(in, &lowest) || !tw_take_u8(in, &count) || count == 0 || lowest + count > TW_WIDE_LIMBS) {
        return false;
    }
    memset(out, 0, sizeof *out);
    out->negative = negative;
    out->lowest = lowest;
    out->highest = lowest + count - 1;
    for (int i = out->lowest; i <= out->highest; i++) {
        if (!tw_take_u64(in, &out->limbs[i]) || out->limbs[i] >= TW_WIDE_BASE) {
            return false;
        }
    }
    tw_uint128 coefficient;
    int exponent;
    return out->limbs[out->lowest] && out->limbs[out->highest] && out->limbs[TW_WIDE_LIMBS - 1] <= TW_WIDE_TOP_MAX &&
           !tw_wide_narrow(out, &coefficient, &exponent);
}

enum tumble_code tw_total_decode(struct tw_total *total, struct tw_cursor *in, struct tw_heap *heap,
                                 struct tumble_error *err) {
    uint8_t tag;
    bool good = tw_take_u8(in, &tag);
    if (good && tag == TAG_EMPTY) {
        return TUMBLE_OK;
    }
    if (good && (tag == TAG_NARROW || tag == TAG_NARROW_NEGATIVE)) {
        good = take_narrow(total, in, tag == TAG_NARROW_NEGATIVE);
    } else if (good && (tag == TAG_WIDE || tag == TAG_WIDE_NEGATIVE)) {
        struct tw_wide_magnitude magnitude;
        good = take_limbs(&magnitude, in, tag == TAG_WIDE_NEGATIVE);
        if (good) {
            struct tw_wide *wide = widen(total, heap);
            if (!wide) {
                return tw_no_memory(err);
            }
            tw_wide_join(wide, &magnitude);
        }
    } else {
        good = false;
    }
    return good ? TUMBLE_OK : tw_fail(err, TUMBLE_ECORRUPT, "a stored sum is damaged: it is not a form encode writes");
}
