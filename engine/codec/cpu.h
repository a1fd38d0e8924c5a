#ifndef TW_CODEC_CPU_H
#define TW_CODEC_CPU_H

#include <stdbool.h>

/* Which forms of a function there are besides the portable one: those of the machine that is compiled for, none with
 * -DTW_NO_SIMD. */
#if defined(TW_NO_SIMD)
#elif defined(__x86_64__)
#define TW_HAVE_AVX 1
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TW_HAVE_NEON 1
#endif

/* What of this machine may be used beyond what the library was compiled for: TW_CPU_AVX2 means AVX2, BMI1 and BMI2,
 * TW_CPU_AVX512 those and AVX-512 F, BW, VL and VBMI; TW_CPU_NEON is what every aarch64 has. Asked once per process.
 * TUMBLE_CPU=portable, avx2 or neon in the environment allows no more than that; every other value, and the name of
 * what the machine has not, leaves the choice to the machine. Thread-safe. */
enum tw_cpu { TW_CPU_UNKNOWN, TW_CPU_PORTABLE, TW_CPU_NEON, TW_CPU_AVX2, TW_CPU_AVX512 };
enum tw_cpu tw_cpu(void);

static inline bool tw_cpu_has_avx2(void) { return tw_cpu() >= TW_CPU_AVX2; }

#endif
