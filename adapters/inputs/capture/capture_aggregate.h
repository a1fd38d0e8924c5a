#ifndef TW_CAPTURE_AGGREGATE_H
#define TW_CAPTURE_AGGREGATE_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/kpl.h>

#include "adapters/inputs/capture/capture_reader.h"

/* Records that the Kinesis Producer Library aggregated, given out one by one. At most one aggregate is open in a
 * capture: it is given out whole before any input is read on. */
struct tw_capture_aggregate {
    struct tumble_alloc alloc;
    struct tumble_kpl *kpl;           /* NULL until the first aggregate */
    struct tw_capture_reader *reader; /* it came from */
    struct tumble_captured shared;    /* what its records have in common */
    uint64_t left;                    /* not yet given out */
};

void tw_capture_aggregate_init(struct tw_capture_aggregate *aggregate, struct tumble_alloc alloc);
void tw_capture_aggregate_clean_up(struct tw_capture_aggregate *aggregate);

/* Opens a record that a reader gave out and that might be an aggregate. When it is not one, or is to stay whole, it is
 * finished as any other record and *is_one is false. */
enum tumble_code tw_capture_aggregate_begin(struct tw_capture_aggregate *aggregate, struct tw_capture_reader *reader,
                                            struct tumble_captured *record, bool *is_one, struct tumble_error *err);
/* The next of left records. */
enum tumble_code tw_capture_aggregate_next(struct tw_capture_aggregate *aggregate, struct tumble_captured *record,
                                           struct tumble_error *err);

#endif
