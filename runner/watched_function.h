#ifndef TUMBLE_RUNNER_WATCHED_FUNCTION_H
#define TUMBLE_RUNNER_WATCHED_FUNCTION_H

/* A function that tells a watch of each attempt that a mapping makes at it. One thread. */

#include "emulator/emulated_function.h"
#include "emulator/mapping.h"
#include "runner/watch.h"

struct tumble_watched_slot;

struct tumble_watched_function {
    struct tumble_watch *watch;
    struct tumble_emulated_function inner;
    uint32_t factor; /* the mapping's ParallelizationFactor */
    struct tumble_watched_slot *slots;
    size_t slot_count, slot_capacity;
};

/* Everything is borrowed; out is what the mapping invokes. */
void tumble_watched_function_init(struct tumble_watched_function *function, struct tumble_watch *watch,
                                  const struct tumble_emulated_function *inner, uint32_t parallelization_factor,
                                  struct tumble_emulated_function *out);
/* The run is over: windows whose finals were answered last are told. is_whole: it came to its end, so that a window
 * that is still open was given up. */
void tumble_watched_function_end(struct tumble_watched_function *function, int64_t at_us, int is_whole);
void tumble_watched_function_clean_up(struct tumble_watched_function *function);

#endif
