#include "engine/aggregate/squares.h"

#include "engine/aggregate/scaled.h"
#include "engine/base/fail.h"

enum { TAG_NARROW = 1, TAG_WIDE = 3, NARROW_DIGITS = 38 };

/* The finest square ends at 10^-714, so the lowest limb (from 10^-720) is a whole number of these. */
enum { LOWEST_LIMB_UNIT = 1000000 };

static tw_uint128 narrow_of(const struct tw_squares *squares) { return (tw_uint128)squares->high << 64 | squares->low; }

static struct tw_wide_squares *wide_of(const struct tw_squares *squares) {
    return (struct tw_wide_squares *)(uintptr_t)squares->low;
}

static void set_narrow(struct tw_squares *squares, tw_uint128 coefficient, int exponent) {
    squares->low = (uint64_t)coefficient;
    squares->high = (uint64_t)(coefficient >> 64);
    squares->exponent = coefficient ? exponent : 0;
    squares->is_wide = 0;
}

size_t tw_squares_growth(const struct tw_squares *squares) {
    return squares->is_wide ? 0 : tw_heap_size(sizeof(struct tw_wide_squares));
}

static bool scale(tw_uint128 *value, int power) {
    return power < TW_POWERS_OF_TEN && !__builtin_mul_overflow(*value, tw_power_of_ten[power], value);
}

/* When 128 bits hold the sum at the finer of both scales. */
static bool add_narrow(struct tw_squares *squares, tw_uint128 coefficient, int exponent) {
    tw_uint128 sum = narrow_of(squares);
    if (coefficient == 0) {
        return true;
    }
    if (sum == 0) {
        set_narrow(squares, coefficient, exponent);
        return true;
    }
    int shift = exponent - squares->exponent;
    int finer = shift < 0 ? exponent : squares->exponent;
    if (!(shift < 0 ? scale(&sum, -shift) : scale(&coefficient, shift)) ||
        __builtin_add_overflow(sum, coefficient, &sum)) {
        return false;
    }
    set_narrow(squares, sum, finer);
    return true;
}

void tw_squares_widen(const struct tw_squares *squares, struct tw_wide_squares *out) {
    if (squares->is_wide) {
        *out = *wide_of(squares);
        return;
    }
    tw_wide_squares_clear(out);
    tw_wide_squares_add(out, narrow_of(squares), squares->exponent);
}

static struct tw_wide_squares *make_wide(struct tw_squares *squares, struct tw_heap *heap) {
    if (squares->is_wide) {
        return wide_of(squares);
    }
    struct tw_wide_squares *wide = tw_heap_take(heap, sizeof *wide);
    if (wide) {
        tw_squares_widen(squares, wide);
        squares->low = (uint64_t)(uintptr_t)wide;
        squares->high = 0;
        squares->exponent = 0;
        squares->is_wide = 1;
    }
    return wide;
}

bool tw_squares_add_slowly(struct tw_squares *squares, const struct tw_decimal *number, struct tw_heap *heap) {
    tw_int128 coefficient = tw_decimal_coefficient(number);
    tw_uint128 magnitude = coefficient < 0 ? -(tw_uint128)coefficient : (tw_uint128)coefficient;
    if (!squares->is_wide && magnitude >> 64 == 0 && add_narrow(squares, magnitude * magnitude, 2 * number->exponent)) {
        return true;
    }
    struct tw_wide_squares *wide = make_wide(squares, heap);
    if (!wide) {
        return false;
    }
    tw_wide_squares_add_square(wide, magnitude, number->exponent);
    return true;
}

enum tumble_code tw_squares_merge(struct tw_squares *squares, const struct tw_squares *other, struct tw_heap *heap) {
    if (!squares->is_wide && !other->is_wide && add_narrow(squares, narrow_of(other), other->exponent)) {
        return TUMBLE_OK;
    }
    struct tw_wide_squares *wide = make_wide(squares, heap);
    if (!wide) {
        return TUMBLE_ENOMEM;
    }
    if (other->is_wide) {
        tw_wide_squares_add_wide(wide, wide_of(other));
    } else {
        tw_wide_squares_add(wide, narrow_of(other), other->exponent);
    }
    return TUMBLE_OK;
}

/* false: the value has more than 38 significant digits. */
static bool find_narrow(const struct tw_squares *squares, tw_uint128 *coefficient, int *exponent) {
    if (squares->is_wide) {
        return tw_wide_squares_narrow(wide_of(squares), coefficient, exponent);
    }
    *coefficient = narrow_of(squares);
    *exponent = squares->exponent + tw_strip_trailing_zeros(coefficient);
    return *coefficient < tw_power_of_ten[NARROW_DIGITS];
}

enum tumble_code tw_squares_encode(const struct tw_squares *squares, struct tw_buf *out) {
    tw_uint128 coefficient;
    int exponent;
    if (find_narrow(squares, &coefficient, &exponent)) {
        TW_TRY(tw_buf_append_byte(out, TAG_NARROW));
        return tw_scaled_append(out, coefficient, exponent);
    }
    struct tw_wide_squares wide;
    tw_squares_widen(squares, &wide);
    int lowest = 0;
    int highest = TW_SQUARES_LIMBS - 1;
    while (!wide.limbs[lowest]) {
        lowest++;
    }
    while (!wide.limbs[highest]) {
        highest--;
    }
    TW_TRY(tw_buf_append_byte(out, TAG_WIDE));
    TW_TRY(tw_buf_append_byte(out, (char)lowest));
    TW_TRY(tw_buf_append_byte(out, (char)(highest - lowest + 1)));
    for (int i = lowest; i <= highest; i++) {
        TW_TRY(tw_buf_append_u64(out, wide.limbs[i]));
    }
    return TUMBLE_OK;
}

static bool take_limbs(struct tw_wide_squares *wide, struct tw_cursor *in) {
    uint8_t lowest;
    uint8_t count;
    if (!tw_take_u8(in, &lowest) || !tw_take_u8(in, &count) || count == 0 || lowest + count > TW_SQUARES_LIMBS) {
        return false;
    }
    tw_wide_squares_clear(wide);
    for (int i = lowest; i < lowest + count; i++) {
        if (!tw_take_u64(in, &wide->limbs[i]) || wide->limbs[i] >= TW_WIDE_BASE) {
            return false;
        }
    }
    tw_uint128 coefficient;
    int exponent;
    return wide->limbs[lowest] && wide->limbs[lowest + count - 1] && wide->limbs[0] % LOWEST_LIMB_UNIT == 0 &&
           wide->limbs[TW_SQUARES_LIMBS - 1] <= TW_SQUARES_TOP_MAX &&
           !tw_wide_squares_narrow(wide, &coefficient, &exponent);
}

enum tumble_code tw_squares_decode(struct tw_squares *squares, struct tw_cursor *in, struct tw_heap *heap,
                                   struct tumble_error *err) {
    uint8_t tag;
    bool good = tw_take_u8(in, &tag);
    if (good && tag == TAG_NARROW) {
        tw_uint128 coefficient;
        int exponent;
        good = tw_scaled_take(in, TW_SQUARES_LOWEST, TW_SQUARES_ADJUSTED, &coefficient, &exponent);
        if (good) {
            set_narrow(squares, coefficient, exponent);
        }
    } else if (good && tag == TAG_WIDE) {
        struct tw_wide_squares read;
        good = take_limbs(&read, in);
        if (good) {
            struct tw_wide_squares *wide = make_wide(squares, heap);
            if (!wide) {
                return tw_no_memory(err);
            }
            *wide = read;
        }
    } else {
        good = false;
    }
    return good ? TUMBLE_OK
                : tw_fail(err, TUMBLE_ECORRUPT, "a stored sum of squares is damaged: it is not a form encode writes");
}
