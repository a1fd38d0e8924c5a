#ifndef TUMBLE_AGGREGATE_H
#define TUMBLE_AGGREGATE_H

/* An aggregate of your own: a table of functions over a state of fixed size. Name it in tumble_spec_overrides.custom
 * when the spec is parsed, and use it in the spec by its name, as the built-in ones are (examples/aggregate_custom.c).
 *
 * The law every aggregate owes (it is what makes retries, shards and fragments harmless): the same records give the
 * same value and the same encoded bytes, whatever their order and however they were split: merge(step(A), step(B)) =
 * step(A ∪ B). Sums of doubles do not obey it; integers, minima and bit sets do. */

#include <stddef.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUMBLE_AGGREGATE_ABI           0u
#define TUMBLE_AGGREGATE_STATE_BYTES   4096  /* largest state */
#define TUMBLE_AGGREGATE_VALUE_BYTES   65536 /* longest value */
#define TUMBLE_AGGREGATE_ENCODED_BYTES 8192  /* longest encoding */

/* The value of the aggregate's field in one record, and where that record stands. Borrowed for the call. */
struct tumble_aggregate_input {
    enum tumble_type type;    /* NUMBER, STRING, TRUE or FALSE */
    struct tumble_bytes text; /* STRING: its characters, UTF-8; NUMBER: its canonical text, exact ("19.99") */
    double number;            /* NUMBER: the nearest double */
    int64_t arrival_ms;
    struct tumble_bytes sequence_number;
    uint64_t sub_sequence_number;
};

enum { TUMBLE_TAKES_NUMBER = 1, TUMBLE_TAKES_STRING = 2, TUMBLE_TAKES_BOOLEAN = 4 };

/* Threads: the functions are called from the thread that uses the engine, for different shards from several at a time;
 * a state is used by one at a time. None may fail, allocate for the state, or keep a pointer. State is moved by memcpy.
 */
struct tumble_aggregate {    /* static const in your program; borrowed as long as any spec names it */
    uint32_t struct_size;    /* sizeof as built */
    uint32_t abi_version;    /* TUMBLE_AGGREGATE_ABI */
    const char *name;        /* as in the spec: letters, digits and '_' */
    const char *explanation; /* for `tumble check`: "parity of %s"; one %s for the field, or none */
    uint32_t state_bytes;    /* 1 … TUMBLE_AGGREGATE_STATE_BYTES; the state is aligned to 8 */
    uint32_t takes; /* TUMBLE_TAKES_…: a value of another type makes the record bad; null and missing are skipped */
    void (*init)(void *state);
    void (*step)(void *state, const struct tumble_aggregate_input *input);
    void (*merge)(void *state, const void *other);
    /* Writes the value as JSON text and returns its length; 0 means null. */
    size_t (*value)(const void *state, char *out, size_t capacity);
    /* Writes canonical bytes (the same state always the same) and returns their length. */
    size_t (*encode)(const void *state, char *out, size_t capacity);
    /* Reads what encode wrote into an init'ed state; 0 when the bytes are not such. They may be damaged. */
    int (*decode)(void *state, const char *bytes, size_t length);
    /* ABI 0 ends here; append only */
};

#ifdef __cplusplus
}
#endif

#endif
