#include "engine/codec/hash_key.h"

#include "engine/base/fail.h"
#include "engine/codec/md5.h"

enum tumble_code tw_hash_key_parse(struct tumble_bytes digits, tw_uint128 *out, struct tumble_error *err) {
    tw_uint128 value = 0;
    for (size_t i = 0; i < digits.length; i++) {
        unsigned digit = (unsigned char)digits.data[i] - (unsigned)'0';
        if (digit > 9) {
            return tw_fail_at(err, TUMBLE_EINVAL, (int64_t)i,
                              "an explicit hash key is a decimal number, but byte %zu is not a digit", i);
        }
        if (value > (TW_HASH_KEY_MAX - digit) / 10) {
            return tw_fail_at(err, TUMBLE_EINVAL, (int64_t)i,
                              "an explicit hash key is at most 340282366920938463463374607431768211455 (2^128-1)");
        }
        value = value * 10 + digit;
    }
    if (digits.length == 0) {
        return tw_fail_at(err, TUMBLE_EINVAL, 0, "an explicit hash key has at least one digit");
    }
    *out = value;
    return TUMBLE_OK;
}

tw_uint128 tw_hash_key_of(struct tumble_bytes partition_key) {
    uint8_t digest[16];
    tw_md5(partition_key.length ? partition_key.data : "", partition_key.length, digest);
    tw_uint128 value = 0;
    for (size_t i = 0; i < sizeof digest; i++) {
        value = value << 8 | digest[i];
    }
    return value;
}
