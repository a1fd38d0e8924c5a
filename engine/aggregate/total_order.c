#include "engine/aggregate/total_order.h"

static tw_int128 coefficient_of(const struct tw_total *total) {
    return (tw_int128)(((tw_uint128)(uint64_t)total->high << 64) | total->low);
}

/* The limbs of a total: its own, or those of room. */
static const struct tw_wide *limbs_of(const struct tw_total *total, struct tw_wide *room) {
    if (total->form == TW_TOTAL_WIDE) {
        return (const struct tw_wide *)(uintptr_t)total->low;
    }
    tw_wide_clear(room);
    tw_wide_add(room, coefficient_of(total), total->exponent);
    return room;
}

/* value × 10^power, when that takes no more than a multiplication. */
static bool scale(tw_int128 *value, int power) {
    if (power > 18 || (int64_t)*value != *value) {
        return power == 0;
    }
    *value *= (int64_t)(uint64_t)tw_power_of_ten[power];
    return true;
}

int tw_total_compare(const struct tw_total *a, const struct tw_total *b) {
    if (a->form != TW_TOTAL_WIDE && b->form != TW_TOTAL_WIDE) {
        tw_int128 left = coefficient_of(a);
        tw_int128 right = coefficient_of(b);
        int shift = a->exponent - b->exponent;
        if (shift >= 0 ? scale(&left, shift) : scale(&right, -shift)) {
            return (left > right) - (left < right);
        }
    }
    struct tw_wide rooms[2];
    const struct tw_wide *left = limbs_of(a, &rooms[0]);
    const struct tw_wide *right = limbs_of(b, &rooms[1]);
    for (int i = TW_WIDE_LIMBS; i-- > 0;) { /* the top limb carries the sign: ten's complement orders as it stands */
        if (left->limbs[i] != right->limbs[i]) {
            return left->limbs[i] < right->limbs[i] ? -1 : 1;
        }
    }
    return 0;
}

void tw_total_clear(struct tw_total *total, struct tw_heap *heap) {
    if (total->form == TW_TOTAL_WIDE) {
        tw_heap_give(heap, (void *)(uintptr_t)total->low, sizeof(struct tw_wide));
    }
    memset(total, 0, sizeof *total);
}
