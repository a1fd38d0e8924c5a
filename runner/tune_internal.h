#ifndef TW_RUNNER_TUNE_INTERNAL_H
#define TW_RUNNER_TUNE_INTERNAL_H

#include "runner/tune.h"

/* tune.c: the grid and the loop over it · tune_point.c: one point of it · tune_timing.c: how long the engine takes here
 * · tune_choice.c: which points are worth having, and which one is chosen. */

/* Runs one point of the grid, whose parameters stand in it. function NULL: the built-in engine, on any thread. Errors:
 * what ends the whole of it: ENOMEM, and what whoever runs a foreign function says. */
enum tumble_code tw_tune_point_run(const struct tumble_tune_options *options, const struct tumble_tune_result *result,
                                   const struct tumble_tune_shards *shards,
                                   const struct tumble_emulated_function *function, struct tumble_tune_point *point,
                                   struct tumble_error *err);

/* Times the function (foreign NULL: the built-in engine) with batches of the capture and fits a model to what it took.
 * Errors: ENOMEM; ERECORD where it answers none of them; what whoever runs a foreign one says. */
enum tumble_code tw_tune_time_function(const struct tumble_tune_options *options,
                                       const struct tumble_emulated_function *foreign,
                                       const struct tumble_tune_shards *shards, uint32_t batch_size_most,
                                       int64_t start_ms, struct tumble_duration_model *out, struct tumble_error *err);

/* The point with the least iterator age of those that could be chosen; -1: there is none. */
int64_t tw_tune_least_age(const struct tumble_tune_point *points, uint32_t count);

/* The parameters of a point: those of options, and what the grid says. */
struct tumble_mapping_parameters tw_tune_parameters(const struct tumble_tune_options *options, uint32_t batch_size,
                                                    uint32_t batching_window);

#endif
