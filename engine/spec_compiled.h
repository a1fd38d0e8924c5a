#ifndef TW_ENGINE_SPEC_COMPILED_H
#define TW_ENGINE_SPEC_COMPILED_H

#include <tumble/spec.h>

#include "engine/aggregate/aggregate.h"
#include "engine/base/arena.h"
#include "engine/codec/filter_pattern.h"

/* A parsed spec as the engine uses it. Everything is owned by the spec and immutable. */

enum tw_field_source {
    TW_FIELD_PAYLOAD,       /* path into the record's data */
    TW_FIELD_PARTITION_KEY, /* $partitionKey */
    TW_FIELD_SHARD_ID,      /* $shardId */
    TW_FIELD_SEQUENCE,      /* $sequenceNumber, a string */
    TW_FIELD_ARRIVAL        /* $arrival, a number: milliseconds */
};

struct tw_spec_field { /* each distinct field of group_by and aggregates once */
    enum tw_field_source source;
    struct tumble_bytes path; /* as written; PAYLOAD: what tw_projection_new takes */
    uint32_t projected;       /* PAYLOAD: index among the projected fields of this spec, filter fields excluded */
};

struct tw_spec_group {
    const char *name;
    uint32_t field;
};

struct tw_spec_aggregate {
    const char *name;
    const struct tw_aggregate *function;
    int32_t field;         /* index into fields, -1: count() of records */
    int32_t second_field;  /* index into fields, -1: none */
    uint32_t state_offset; /* into a group's accumulators; multiple of 8 */
    uint32_t digest;       /* of what it aggregates, its name aside: partials of another digest are not merged */
    uint32_t column_count; /* columns of a row, one behind the other, the first named name */
    struct tw_params params;
    struct tw_filter_pattern *where; /* only records that match are stepped; NULL: every one */
    const char **columns;            /* their names */
};

enum tw_partials { TW_PARTIALS_OPEN, TW_PARTIALS_OFF, TW_PARTIALS_ON }; /* what the spec says about them */

struct tumble_spec {
    struct tumble_alloc alloc;
    int64_t window_seconds;
    char *timestamp_field; /* NULL: not given */
    struct tumble_timestamp_format timestamp_format;
    struct tw_filter_pattern *where; /* NULL: none */
    char *where_text;
    struct tw_spec_field *fields;
    size_t field_count;
    struct tw_spec_group *groups;
    size_t group_count;
    struct tw_spec_aggregate *aggregates;
    size_t aggregate_count;
    uint32_t accumulator_bytes; /* sum of state sizes */
    uint64_t has_string_values; /* some aggregate keeps strings */
    char **outputs;
    size_t output_count;
    char *failures; /* NULL: none */
    bool divert_bad_records;
    bool partials; /* the column _partials stands before records */
    enum tw_partials partials_given;
    struct tumble_spec
        *fragmented; /* this spec with partials, where it leaves them open and needs them; NULL: itself */
    char *canonical;
    size_t canonical_length;
    uint64_t digest;
    struct tumble_column *columns; /* window_start, window_end, shard_id, fragment, last_sequence, groups, aggregates,
                                      _partials, records */
    size_t column_count;
    struct tw_arena arena; /* owns all of the above but the patterns */
};

#endif
