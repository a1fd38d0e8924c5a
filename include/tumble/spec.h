#ifndef TUMBLE_SPEC_H
#define TUMBLE_SPEC_H

#include <stdint.h>

#include <tumble/aggregate.h>
#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/timestamp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to aggregate: parsed, checked and immutable. Any number of threads and engines may share one. */
struct tumble_spec;

/* Parts of a spec given outside its JSON text (the command line). A zeroed member says nothing; one that is set
 * replaces the text's. Lists are NULL or hold count NUL-terminated strings, borrowed for the call. */
struct tumble_spec_overrides {
    int64_t window_seconds; /* > 0 */
    const char *timestamp_field;
    const char *timestamp_format;
    const char *where;           /* filter pattern, JSON text */
    const char *const *group_by; /* "eventType", "geo.country" or "country=geo.country" (name=path) */
    size_t group_by_count;
    const char *const *aggregates; /* "revenue=sum(amount)", "count()", "p=quantile(/a/b, q=0.5, q=0.99)" */
    size_t aggregate_count;
    const char *const *outputs;
    size_t output_count;
    const char *failures;
    const char *bad_records; /* "fail" or "divert" */
    int partials;            /* 1: rows carry mergeable state; -1: they do not, also where fragments can occur */
    /* Aggregates of your own (tumble/aggregate.h), usable in the spec by name; borrowed as long as the spec lives. */
    const struct tumble_aggregate *const *custom;
    size_t custom_count;
};

/* Reads a spec (JSON, design of the keys: docs/spec.md) and the overrides (may be NULL) into *out. Empty json with
 * overrides is a spec made of overrides alone. The caller destroys *out with tumble_spec_destroy; on failure *out is
 * NULL. Errors: ESPEC, EPATTERN, EPATH, EJSON, EUTF8, EDEPTH, ENOMEM; err->byte is an offset in json where one is
 * known, and the text names the key, its place and the nearest right one. */
TUMBLE_EXPORT enum tumble_code tumble_spec_parse(struct tumble_bytes json,
                                                 const struct tumble_spec_overrides *overrides,
                                                 struct tumble_alloc alloc, struct tumble_spec **out,
                                                 struct tumble_error *err);

TUMBLE_EXPORT void tumble_spec_destroy(struct tumble_spec *spec); /* NULL allowed */

/* What the spec says. Views live as long as the spec. */
TUMBLE_EXPORT int64_t tumble_spec_window_seconds(const struct tumble_spec *spec);              /* 0: not given */
TUMBLE_EXPORT struct tumble_bytes tumble_spec_timestamp_field(const struct tumble_spec *spec); /* empty: not given */
TUMBLE_EXPORT const struct tumble_timestamp_format *tumble_spec_timestamp_format(const struct tumble_spec *spec);
TUMBLE_EXPORT size_t tumble_spec_output_count(const struct tumble_spec *spec);
TUMBLE_EXPORT struct tumble_bytes tumble_spec_output(const struct tumble_spec *spec, size_t index);
TUMBLE_EXPORT struct tumble_bytes tumble_spec_failures(const struct tumble_spec *spec); /* empty: none */
TUMBLE_EXPORT int tumble_spec_diverts_bad_records(const struct tumble_spec *spec);
/* 1 when rows carry mergeable state: a column _partials before records. */
TUMBLE_EXPORT int tumble_spec_has_partials(const struct tumble_spec *spec);
/* The spec that holds where a window's records can reach an output as rows of several shards or fragments. It is the
 * same spec, except that rows carry partials where the text leaves that open and some aggregate is not additive; so it
 * has a column and a digest of its own. Lives as long as spec, and is not destroyed by itself. */
TUMBLE_EXPORT const struct tumble_spec *tumble_spec_for_fragments(const struct tumble_spec *spec);

/* The canonical text of the part that decides accumulators and columns (where, group_by, aggregates,
 * partials): same meaning, same bytes. Its 64-bit digest is what state and rows carry. */
TUMBLE_EXPORT struct tumble_bytes tumble_spec_canonical(const struct tumble_spec *spec);
TUMBLE_EXPORT uint64_t tumble_spec_digest(const struct tumble_spec *spec);

enum tumble_column_kind {
    TUMBLE_COLUMN_WINDOW,
    TUMBLE_COLUMN_GROUP,
    TUMBLE_COLUMN_AGGREGATE,
    TUMBLE_COLUMN_RECORDS,
    TUMBLE_COLUMN_PARTIALS
};

/* One column of the rows this spec gives, in the order they stand in a row. */
struct tumble_column {
    const char *name;        /* as in the row */
    const char *explanation; /* "exact sum of amount", for people */
    enum tumble_column_kind kind;
    uint32_t state_bytes; /* bytes this column adds to a group in memory (fixed part); an aggregate of several
                             columns counts in its first */
    const char *bound;    /* how far the value may be off: "exact", "±1 % of the value (relative_error)" */
    /* Bytes this column adds to a group in the store and in a partial (an aggregate of several columns counts in its
     * first): of a new group, at most, and in words what decides how many; NULL: it adds none. */
    uint64_t stored_empty;
    uint64_t stored_most;
    const char *stored_rule;
    int additive; /* 1: values of several rows can be added up (count, sum) or compared (min, max); 0 for other
                     aggregates, whose rows merge by their partials alone */
};

TUMBLE_EXPORT size_t tumble_spec_column_count(const struct tumble_spec *spec);
TUMBLE_EXPORT const struct tumble_column *tumble_spec_column(const struct tumble_spec *spec, size_t index);

/* The filter as text in canonical JSON, empty when there is none. */
TUMBLE_EXPORT struct tumble_bytes tumble_spec_where(const struct tumble_spec *spec);

#ifdef __cplusplus
}
#endif

#endif
