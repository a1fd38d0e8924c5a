#ifndef TW_CODEC_BASE64_NEON_H
#define TW_CODEC_BASE64_NEON_H

#include <stddef.h>

#include "engine/codec/cpu.h"

/* Decodes from the front of length characters without padding, 64 at a time, until fewer are left or something is not
 * of the alphabet; returns how many characters it took, a multiple of 64. Of every 4 characters exactly 3 bytes are
 * written; out may be text. For aarch64 only, all of which has NEON. */
#if defined(TW_HAVE_NEON)
#define TW_BASE64_NEON 1
size_t tw_base64_decode_neon(const char *text, size_t length, char *out);
/* As tw_base64_decode_until_avx512: 64 characters at a time. */
size_t tw_base64_decode_until_neon(const char *text, size_t left, char *out, size_t room);
/* Encodes from the front of length bytes, 48 at a time, while so many can be read; returns how many it took. Of every 3
 * bytes exactly 4 characters are written. */
size_t tw_base64_encode_neon(const char *bytes, size_t length, char *out);
#endif

#endif
