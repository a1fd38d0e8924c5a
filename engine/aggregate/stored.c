#include "engine/aggregate/stored.h"

#include "engine/base/wide.h"
#include "engine/base/wide_squares.h"

_Static_assert(TW_STORED_TOTAL == 3 + 8 * TW_WIDE_LIMBS && TW_STORED_SQUARES == 3 + 8 * TW_SQUARES_LIMBS,
               "a wide form has a tag, the index of its lowest limb, their number, and the limbs");
_Static_assert(TW_LIMIT_STRING_VALUE_BYTES + 1 > 1 << 14 && TW_LIMIT_STRING_VALUE_BYTES + 1 < 1 << 21,
               "the length of a string is a varint of three bytes");

unsigned tw_stored_varint(uint64_t value) {
    unsigned bytes = 1;
    for (; value > 0x7f; value >>= 7) {
        bytes++;
    }
    return bytes;
}

/* A byte more costs a varint more the longer it is already, so all are raised together, as far as the sum allows. */
uint64_t tw_stored_varints(uint64_t count, uint64_t least, uint64_t sum) {
    uint64_t bytes = count;
    uint64_t cost = least; /* of a varint of that many bytes */
    if (count == 0) {
        return 0;
    }
    for (unsigned length = 2; length <= TW_STORED_COUNT; length++) {
        uint64_t longer = UINT64_C(1) << 7 * (length - 1);
        uint64_t left = cost > sum / count ? 0 : sum - cost * count;
        uint64_t raised = left / (longer - cost);
        bytes += raised < count ? raised : count;
        if (raised < count) {
            break;
        }
        cost = longer;
    }
    return bytes;
}
