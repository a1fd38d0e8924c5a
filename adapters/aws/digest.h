#ifndef TW_AWS_DIGEST_H
#define TW_AWS_DIGEST_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

/* SHA-256 and HMAC over OpenSSL, which lives in digest.c; CRC-32 (IEEE 802.3) is our own. Any thread. */

enum { TW_SHA256_BYTES = 32, TW_SHA256_HEX = 65 };

/* SHA-256 of the empty string, as hex. */
extern const char tw_sha256_of_nothing[TW_SHA256_HEX];

/* ENOMEM is the only error of these (OpenSSL allocates a context). */
enum tumble_code tw_sha256(struct tumble_bytes data, uint8_t out[TW_SHA256_BYTES]);
enum tumble_code tw_sha256_hex(struct tumble_bytes data, char out[TW_SHA256_HEX]); /* lower case, NUL-terminated */
enum tumble_code tw_hmac_sha256(struct tumble_bytes key, struct tumble_bytes data, uint8_t out[TW_SHA256_BYTES]);

void tw_hex(const uint8_t *bytes, size_t length, char *out); /* lower case, 2*length+1 bytes, NUL-terminated */

uint32_t tw_crc32(struct tumble_bytes data);

/* Overwrites memory that held a secret; not optimised away. */
void tw_wipe(void *data, size_t length);

#endif
