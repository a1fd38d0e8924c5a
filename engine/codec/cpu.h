#ifndef TW_CODEC_CPU_H
#define TW_CODEC_CPU_H

#include <stdbool.h>

/* What of this machine may be used beyond what the library was compiled for: TW_CPU_AVX2 means AVX2, BMI1 and BMI2,
 * TW_CPU_AVX512 those and AVX-512 F, BW, VL and VBMI. Asked once per process. TUMBLE_CPU=portable or avx2 in the
 * environment allows no more than that; every other value leaves the choice to the machine. Thread-safe. */
enum tw_cpu { TW_CPU_UNKNOWN, TW_CPU_PORTABLE, TW_CPU_AVX2, TW_CPU_AVX512 };
enum tw_cpu tw_cpu(void);

static inline bool tw_cpu_has_avx2(void) { return tw_cpu() >= TW_CPU_AVX2; }

#endif
