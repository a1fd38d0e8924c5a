#include "engine/codec/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static enum tw_cpu ask(void) {
    const char *pinned = getenv("TUMBLE_CPU");
    if (pinned && strcmp(pinned, "portable") == 0) {
        return TW_CPU_PORTABLE;
    }
#if defined(TW_HAVE_AVX)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2")) {
        return TW_CPU_PORTABLE;
    }
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
    return wide && !(pinned && strcmp(pinned, "avx2") == 0) ? TW_CPU_AVX512 : TW_CPU_AVX2;
#elif defined(TW_HAVE_NEON)
    return TW_CPU_NEON;
#else
    return TW_CPU_PORTABLE;
#endif
}

enum tw_cpu tw_cpu(void) {
    static atomic_int known; /* threads that ask at once all find the same */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == TW_CPU_UNKNOWN) {
        answer = (int)ask();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return (enum tw_cpu)answer;
}
