#ifndef TW_AGGREGATE_AGGREGATE_H
#define TW_AGGREGATE_AGGREGATE_H

#include <tumble/projection.h>

#include "engine/base/buf.h"
#include "engine/base/heap.h"
#include "engine/base/number.h"
#include "engine/base/sequence.h"

/* The contract of an aggregate: one file a function, one static const table each, found by tw_aggregate_find.
 *
 * The law (design section 6): the same records give bit-identical values and encodings whatever their order, batches,
 * retries, shards or fragments: merge(step(A), step(B)) = step(A ∪ B), byte for byte.
 * State lives in memory the engine owns (state_size bytes, 8-aligned); what does not fit there comes from the window's
 * heap. step cannot fail: the engine has checked the value's type and reserved growth bytes of heap before. */

/* A field's value, decoded as far as aggregates need it. text of a STRING is plain UTF-8 (escapes undone). */
struct tw_value {
    uint8_t type; /* enum tumble_type; never ARRAY or OBJECT here */
    struct tumble_bytes text;
    struct tw_decimal number; /* NUMBER only */
};

/* Where a record stands (design R11; source and shard are constant within a state and join at merge). */
struct tw_position {
    int64_t arrival_ms;
    struct tumble_bytes sequence; /* checked digits */
    uint64_t sub_sequence;
};

enum {
    TW_TAKES_NUMBER = 1u << TUMBLE_TYPE_NUMBER,
    TW_TAKES_STRING = 1u << TUMBLE_TYPE_STRING,
    TW_TAKES_BOOLEAN = (1u << TUMBLE_TYPE_TRUE) | (1u << TUMBLE_TYPE_FALSE)
};

struct tw_aggregate {
    const char *name;        /* as in the spec: "sum" */
    const char *type_name;   /* "type" in the spec this table is for ("string"), NULL for the plain one */
    const char *explanation; /* printf pattern with one %s for the field: "exact sum of %s" */
    uint32_t state_size;     /* multiple of 8 */
    uint32_t takes;          /* TW_TAKES_… ; another type makes the record bad; null and missing are skipped */
    bool field_optional;     /* count: may stand without a field (every record then counts) */
    void (*init)(void *state);
    /* Most heap bytes (as tw_heap_size counts) one step with this value can take; NULL: none. */
    size_t (*growth)(const struct tw_value *value, const struct tw_position *position);
    void (*step)(void *state, const struct tw_value *value, const struct tw_position *position, struct tw_heap *heap);
    /* other is from the same aggregate; its heap blocks stay its own. Errors: ENOMEM. */
    enum tumble_code (*merge)(void *state, const void *other, struct tw_heap *heap);
    /* Appends the value as JSON text; null when nothing was stepped (0 for count). Pure. Errors: ENOMEM, ELIMIT. */
    enum tumble_code (*value)(const void *state, struct tw_buf *out);
    /* Canonical bytes, self-delimiting. Errors of encode: ENOMEM, ELIMIT; of decode: ECORRUPT, ENOMEM. decode checks
     * bounds before every write and fills an init'ed state. */
    enum tumble_code (*encode)(const void *state, struct tw_buf *out);
    enum tumble_code (*decode)(void *state, struct tw_cursor *in, struct tw_heap *heap, struct tumble_error *err);
};

/* NULL when there is no such function; type_name NULL or "" is the plain one. */
const struct tw_aggregate *tw_aggregate_find(struct tumble_bytes name, struct tumble_bytes type_name);
/* Every table, NULL-ended. */
const struct tw_aggregate *const *tw_aggregate_all(void);

#endif
