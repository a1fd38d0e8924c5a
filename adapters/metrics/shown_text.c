#include "adapters/metrics/shown_text.h"

#include "engine/base/utf8.h"

size_t tw_character_length(const char *text, size_t length) {
    unsigned char first = (unsigned char)text[0];
    size_t wanted = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return wanted <= length && tw_utf8_valid((struct tumble_bytes){text, wanted}) ? wanted : 0;
}
