#include "emulator/seeded.h"

void tw_seeded_uuid(uint64_t *state, char out[TUMBLE_REQUEST_ID_TEXT]) {
    static const char hex[] = "0123456789abcdef";
    uint64_t bits[2] = {tw_seeded_next(state), tw_seeded_next(state)};
    bits[0] = (bits[0] & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
    bits[1] = (bits[1] & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    char *at = out;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *at++ = '-';
        }
        *at++ = hex[bits[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    *at = '\0';
}
