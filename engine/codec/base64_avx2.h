#ifndef TW_CODEC_BASE64_AVX2_H
#define TW_CODEC_BASE64_AVX2_H

#include <stddef.h>

#include "engine/codec/cpu.h"

/* Decodes from the front of length characters without padding, 32 and then 16 at a time, until fewer are left or
 * something is not of the alphabet; returns how many characters it took, a multiple of 16. Of every 4 characters
 * exactly 3 bytes are written; out may be text. For machines with AVX2 only. */
#if defined(TW_HAVE_AVX)
#define TW_BASE64_AVX2 1
size_t tw_base64_decode_avx2(const char *text, size_t length, char *out);
/* As tw_base64_decode_until_avx512, 32 characters at a time. */
size_t tw_base64_decode_until_avx2(const char *text, size_t left, char *out, size_t room);
/* Encodes from the front of length bytes, 24 at a time, while 28 can be read; returns how many it took. Of every 3
 * bytes exactly 4 characters are written. For machines with AVX2 only. */
size_t tw_base64_encode_avx2(const char *bytes, size_t length, char *out);
#endif

#endif
