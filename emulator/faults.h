#ifndef TUMBLE_FAULTS_H
#define TUMBLE_FAULTS_H

/* Faults on demand: a function around a function. Seeded: the same seed and the same requests give the same faults. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "emulator/emulated_function.h"

enum tumble_fault {
    TUMBLE_FAULT_ERROR,     /* the function fails before it does anything */
    TUMBLE_FAULT_CRASH,     /* the sandbox dies, before or after the function did its work */
    TUMBLE_FAULT_TIMEOUT,   /* the function did its work, and then ran out of time */
    TUMBLE_FAULT_LOST,      /* the function did its work, and Lambda lost the response */
    TUMBLE_FAULT_THROTTLE,  /* not invoked */
    TUMBLE_FAULT_SLOW,      /* answers later: parameter in ms, 1000 */
    TUMBLE_FAULT_DUPLICATE, /* the function gets the same event twice */
    TUMBLE_FAULT_REDELIVER, /* records answered before come again, in front of the new ones or behind them: at most as
                               many as the parameter says, 10 */
    TUMBLE_FAULT_RECYCLE,   /* a new sandbox */
    TUMBLE_FAULT_SKEW,      /* the sandbox's clock is off: by at most the parameter in ms, 5000 */
    TUMBLE_FAULT_COUNT
};

struct tumble_faults {
    double probability[TUMBLE_FAULT_COUNT]; /* of each invocation */
    int64_t parameter[TUMBLE_FAULT_COUNT];
    uint64_t happened[TUMBLE_FAULT_COUNT];
    uint64_t random;
    const struct tumble_emulated_function *inner;
    struct tumble_stream_record *records; /* room for an event put together anew */
    size_t record_capacity;
    struct tumble_alloc alloc;
};

/* "error=0.05,timeout=0.01,slow=0.1:2500": probability of each fault in an invocation, and its parameter. "all=0.02"
 * sets all of them that are not named. Errors: EUSAGE, naming the nearest right fault. */
enum tumble_code tumble_faults_init(struct tumble_faults *faults, const char *text, uint64_t seed,
                                    struct tumble_alloc alloc, struct tumble_error *err);
void tumble_faults_clean_up(struct tumble_faults *faults);
const char *tumble_fault_name(enum tumble_fault fault);

/* The function whose calls go to inner, faults in between; both have to outlive it. */
void tumble_faults_wrap(struct tumble_faults *faults, const struct tumble_emulated_function *inner,
                        struct tumble_emulated_function *out);

#endif
