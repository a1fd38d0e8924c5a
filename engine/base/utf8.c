#include "engine/base/utf8.h"

/* Length of the well-formed sequence at the front of left > 0 bytes, 0 when there is none. */
static size_t sequence_length(const unsigned char *at, size_t left) {
    unsigned lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < length) {
        return 0;
    }
    unsigned second_min = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned second_max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < second_min || at[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool tw_utf8_valid(struct tumble_bytes text) {
    const unsigned char *at = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.length;) {
        size_t length = sequence_length(at + i, text.length - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}
