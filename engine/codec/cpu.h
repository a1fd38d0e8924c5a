#ifndef TW_CODEC_CPU_H
#define TW_CODEC_CPU_H

#include <stdbool.h>

/* What of this machine may be used beyond what the library was compiled for. Asked once per process.
 * TUMBLE_CPU=portable in the environment pins the portable code; every other value leaves the choice to the machine.
 * Thread-safe. */
bool tw_cpu_has_avx2(void);

#endif
