#include "adapters/aws/digest.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { BLOCK = 64 }; /* of SHA-256 */

const char tw_sha256_of_nothing[TW_SHA256_HEX] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* The digest of first and second, one behind the other. */
static bool digest_two(EVP_MD_CTX *ctx, struct tumble_bytes first, struct tumble_bytes second,
                       uint8_t out[TW_SHA256_BYTES]) {
    return EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, first.data, first.length) == 1 &&
           EVP_DigestUpdate(ctx, second.data, second.length) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

enum tumble_code tw_sha256(struct tumble_bytes data, uint8_t out[TW_SHA256_BYTES]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct tumble_bytes nothing = {"", 0};
    bool done = ctx && digest_two(ctx, data.length ? data : nothing, nothing, out);
    EVP_MD_CTX_free(ctx);
    return done ? TUMBLE_OK : TUMBLE_ENOMEM;
}

enum tumble_code tw_sha256_hex(struct tumble_bytes data, char out[TW_SHA256_HEX]) {
    uint8_t digest[TW_SHA256_BYTES];
    enum tumble_code code = tw_sha256(data, digest);
    if (code == TUMBLE_OK) {
        tw_hex(digest, sizeof digest, out);
    }
    return code;
}

/* RFC 2104. One context serves the inner and the outer digest, which HMAC() of OpenSSL 3 takes four for. */
enum tumble_code tw_hmac_sha256(struct tumble_bytes key, struct tumble_bytes data, uint8_t out[TW_SHA256_BYTES]) {
    uint8_t block[BLOCK] = {0};
    uint8_t inner[TW_SHA256_BYTES];
    struct tumble_bytes nothing = {"", 0};
    struct tumble_bytes pad = {(const char *)block, sizeof block};
    struct tumble_bytes inside = {(const char *)inner, sizeof inner};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx != NULL;
    if (done && key.length > sizeof block) {
        done = digest_two(ctx, key, nothing, block);
    } else if (key.length) {
        memcpy(block, key.data, key.length);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36;
    }
    done = done && digest_two(ctx, pad, data.length ? data : nothing, inner);
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    done = done && digest_two(ctx, pad, inside, out);
    EVP_MD_CTX_free(ctx);
    tw_wipe(block, sizeof block);
    tw_wipe(inner, sizeof inner);
    return done ? TUMBLE_OK : TUMBLE_ENOMEM;
}

void tw_hex(const uint8_t *bytes, size_t length, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

/* Reflected polynomial 0xedb88320, a nibble at a time: the table is small and answers are. */
uint32_t tw_crc32(struct tumble_bytes data) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < data.length; i++) {
        crc ^= (unsigned char)data.data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

void tw_wipe(void *data, size_t length) {
    if (data) {
        OPENSSL_cleanse(data, length);
    }
}
