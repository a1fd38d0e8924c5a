#ifndef TUMBLE_RUNNER_DURATION_MODEL_H
#define TUMBLE_RUNNER_DURATION_MODEL_H

/* How long the built-in engine computes in an invocation: a sum of what it is given, each part with a price in
 * microseconds of one whole processor. Fitted to invocations that were timed, or read from a file. Any thread. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tumble/error.h>

enum tumble_duration_part {
    TUMBLE_DURATION_INVOCATION, /* each */
    TUMBLE_DURATION_RECORD,
    TUMBLE_DURATION_PAYLOAD_KB,  /* of records' data; kB: 1,000 bytes */
    TUMBLE_DURATION_STATE_KB,    /* of `state` as JSON, in the event and in the response */
    TUMBLE_DURATION_FINAL_KB,    /* of `state` in the event of a final, beside that */
    TUMBLE_DURATION_FIRST,       /* of a sandbox's first invocation, beside all that */
    TUMBLE_DURATION_GROWTH_KB,   /* of records' data beyond the most that the sandbox had before: memory is new to it */
    TUMBLE_DURATION_IDLE,        /* of an invocation before which the sandbox idled */
    TUMBLE_DURATION_IDLE_RECORD, /* of a record of such a one */
    TUMBLE_DURATION_PARTS
};

struct tumble_duration_model {
    double us[TUMBLE_DURATION_PARTS];
    uint64_t samples;   /* it was fitted to; 0: not known */
    double median_miss; /* of the samples, as a part of what they took: half were missed by less */
};

/* What an invocation was given. */
struct tumble_duration_load {
    double of[TUMBLE_DURATION_PARTS];
};
struct tumble_duration_load tumble_duration_load_of(uint64_t records, uint64_t payload_bytes, uint64_t state_in_bytes,
                                                    uint64_t state_out_bytes, int is_final);

/* A sandbox before its next invocation; zero: a new one. */
struct tumble_duration_sandbox {
    int is_warm;
    double most_payload_kb;
};
#define TUMBLE_DURATION_IDLE_MS 10 /* from which on it idled: half of what waiting longer makes slower */
/* Puts into *load what the invocation means to its sandbox, and remembers it there. A new sandbox idled. */
void tumble_duration_in_sandbox(struct tumble_duration_sandbox *sandbox, int64_t idle_ms,
                                struct tumble_duration_load *load);

double tumble_duration_us(const struct tumble_duration_model *model, const struct tumble_duration_load *load);

struct tumble_duration_sample {
    struct tumble_duration_load load;
    double us;
};

/* The parts that fit best, none below zero, each sample weighing the same by its relative miss: what it foretells is
 * the mean of such invocations, for it is their sum that is billed. Errors: ENOMEM, EINVAL (no samples). */
enum tumble_code tumble_duration_fit(const struct tumble_duration_sample *samples, size_t count,
                                     struct tumble_duration_model *out, struct tumble_error *err);

/* As JSON: {"invocation_us": …, "record_us": …, "payload_kb_us": …, "state_kb_us": …, "final_kb_us": …,
 * "first_us": …, "growth_kb_us": …, "idle_us": …, "idle_record_us": …}. */
void tumble_duration_model_print(FILE *to, const struct tumble_duration_model *model);
/* Errors: EUSAGE (the file and what is wrong with it), ENOMEM. */
enum tumble_code tumble_duration_model_load(const char *path, struct tumble_duration_model *out,
                                            struct tumble_error *err);

#endif
