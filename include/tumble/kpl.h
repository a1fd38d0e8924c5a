#ifndef TUMBLE_KPL_H
#define TUMBLE_KPL_H

/* Records that the Kinesis Producer Library (or one of its kin) aggregated: one Kinesis record whose data holds many,
 * each with a partition key and perhaps an explicit hash key of its own. docs/kpl.md describes the format, what passes
 * through as it is, and where this differs from Amazon's consumer library.
 *
 * Threads: one object is used by one thread at a time. */

#include <stdint.h>
#include <string.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Might data be an aggregate? One comparison, so that whoever reads plain records pays nothing more. */
static inline int tumble_kpl_suspect(struct tumble_bytes data) {
    return data.length > 20 && memcmp(data.data, "\xf3\x89\x9a\xc2", 4) == 0;
}

/* Reads one aggregate after the other; its tables keep their memory from one to the next. */
struct tumble_kpl;
TUMBLE_EXPORT enum tumble_code tumble_kpl_new(struct tumble_alloc alloc, struct tumble_kpl **out,
                                              struct tumble_error *err);
TUMBLE_EXPORT void tumble_kpl_destroy(struct tumble_kpl *kpl); /* NULL allowed */

/* The hash keys of a shard, both ends included, as unsigned big-endian numbers. */
struct tumble_hash_range {
    uint8_t first[16];
    uint8_t last[16];
};
/* Reads an end of HashKeyRange, or an explicit hash key: decimal digits, 0 … 2^128-1. Errors: EINVAL. */
TUMBLE_EXPORT enum tumble_code tumble_hash_key_parse(struct tumble_bytes digits, uint8_t out[16],
                                                     struct tumble_error *err);

enum tumble_kpl_kind {
    TUMBLE_KPL_PLAIN = 0, /* not an aggregate, whatever it looks like: a record like any other */
    TUMBLE_KPL_AGGREGATE, /* next gives its records; there may be none */
    TUMBLE_KPL_FOREIGN    /* a record of it is outside range: Amazon's consumer library and Lambda's enhanced fan-out
                             drop such an aggregate whole and in silence; here the caller can count it */
};

/* Looks at the data of a Kinesis record, all of it, before anything is given out. range: NULL, or that of the shard the
 * record was read from. *count: how many records next will give, or, of a FOREIGN one, are dropped; 0 of a PLAIN one.
 * data is borrowed until the next open or destroy. Errors: ENOMEM, and no others: bytes that are not what they should
 * be make a PLAIN record, never an error. */
TUMBLE_EXPORT enum tumble_code tumble_kpl_open(struct tumble_kpl *kpl, struct tumble_bytes data,
                                               const struct tumble_hash_range *range, enum tumble_kpl_kind *kind,
                                               uint64_t *count, struct tumble_error *err);

/* One record of an aggregate: views of the aggregate's bytes. Sequence number and arrival time are the aggregate's. */
struct tumble_kpl_record {
    struct tumble_bytes data;
    struct tumble_bytes partition_key;     /* UTF-8 */
    struct tumble_bytes explicit_hash_key; /* decimal, 0 … 2^128-1; empty: there is none */
    uint64_t sub_sequence_number;          /* 0, 1, 2 … */
    const char *bad; /* NULL, or why this record and those behind it cannot be read (a table index that points
                        nowhere, an explicit hash key that is none): it is then the last, stands for them all, and data
                        is the whole aggregate. Static text. */
};

/* The next record of the aggregate that was opened; 0: there is no more. Does not allocate. */
TUMBLE_EXPORT int tumble_kpl_next(struct tumble_kpl *kpl, struct tumble_kpl_record *out);

#ifdef __cplusplus
}
#endif

#endif
