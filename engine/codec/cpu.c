#include "engine/codec/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_ASKED, NO, YES };

static int ask(void) {
    const char *pinned = getenv("TUMBLE_CPU");
    if (pinned && strcmp(pinned, "portable") == 0) {
        return NO;
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? YES : NO;
#else
    return NO;
#endif
}

bool tw_cpu_has_avx2(void) {
    static atomic_int known; /* threads that ask at once all find the same */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == NOT_ASKED) {
        answer = ask();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}
