#ifndef TW_CODEC_MD5_H
#define TW_CODEC_MD5_H

#include <stddef.h>
#include <stdint.h>

/* MD5 (RFC 1321): Kinesis maps a partition key to its hash key with it, KPL aggregates end in it. Not for security. */
void tw_md5(const void *data, size_t length, uint8_t out[16]);

#endif
