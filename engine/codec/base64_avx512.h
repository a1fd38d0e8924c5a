#ifndef TW_CODEC_BASE64_AVX512_H
#define TW_CODEC_BASE64_AVX512_H

#include <stddef.h>

#include "engine/codec/cpu.h"

/* Decodes length characters without padding, a multiple of 4, 64 at a time and then the rest; returns how many it took:
 * all, or, where something is not of the alphabet, those before the 64 in which it stands. Of every 4 characters
 * exactly 3 bytes are written; out may be text. For machines of TW_CPU_AVX512 only. */
#if defined(TW_HAVE_AVX)
#define TW_BASE64_AVX512 1
size_t tw_base64_decode_avx512(const char *text, size_t length, char *out);
#endif

#endif
