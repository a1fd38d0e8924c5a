#ifndef TW_AGGREGATE_AGGREGATE_H
#define TW_AGGREGATE_AGGREGATE_H

#include <tumble/aggregate.h>
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

/* What a step sees of a record. */
struct tw_input {
    const struct tw_value *value;  /* of the field; NULL when the aggregate has none */
    const struct tw_value *second; /* of the second field ("by", "weight"); NULL when the aggregate has none */
    struct tw_position position;
};

/* What several records of one group come to. */
struct tw_tally {
    uint64_t count;                         /* of records, at least 1 */
    struct tw_decimal sum, least, greatest; /* of the numbers in the aggregate's field; without one, not to be read */
};

/* An option of an aggregate in the spec ("q", "relative_error", "k"): what it may be. */
enum tw_option_kind { TW_OPTION_INTEGER, TW_OPTION_NUMBER, TW_OPTION_NUMBERS /* a list, or one number */ };
struct tw_option {
    const char *name;
    enum tw_option_kind kind;
    const char *fallback; /* as it would stand in the spec; NULL: the option must be given */
    const char *lowest;   /* bounds of each number, inclusive unless said otherwise; NULL: none */
    const char *highest;
    bool ascending; /* NUMBERS: each above the one before */
    uint32_t most;  /* NUMBERS: how many at most */
};

/* The options of one aggregate of one spec, in the order of its table. Immutable; numbers live as long as the spec. */
enum { TW_OPTIONS_MOST = 4 };
struct tw_param {
    const struct tw_decimal *numbers;
    uint32_t count; /* 1 for INTEGER and NUMBER */
};
struct tw_params {
    struct tw_param options[TW_OPTIONS_MOST];
    uint64_t derived[8];                   /* whatever prepare works out of them */
    const struct tumble_aggregate *custom; /* an embedder's own: its table; NULL: one of ours */
};

/* Where a state counts numbers by the bucket they fall into, so that most of them need no step: one of bucket b has
 * place b - first, and is taken when its count there, which is not UINT8_MAX, is raised; where it was 0, *occupied is
 * raised, too. What has no place is stepped, which moves all of this. */
struct tw_counting {
    uint8_t *counts;
    uint32_t *occupied;
    int32_t first;
    uint32_t places;
    int32_t low, high; /* of all buckets it has, where there are places */
};

/* Records between two calls of the engine for memory: see growth. */
enum { TW_STEPS_AT_ONCE = 32 };

/* Hashes that are put aside for a state, so many at most. */
enum { TW_RUN_MOST = 64 };

/* What the state is, for who writes very many of them: see in_place.h. */
enum tw_form {
    TW_FORM_OTHER = 0,
    TW_FORM_COUNT,  /* a uint64_t */
    TW_FORM_TOTAL,  /* a struct tw_total, its value undivided */
    TW_FORM_EXTREME /* a struct tw_decimal; reserved: 1 once there is one */
};

struct tw_aggregate {
    const char *name;      /* as in the spec: "sum" */
    const char *type_name; /* "type" in the spec this table is for ("string"), NULL for the plain one */
    const char
        *explanation;    /* printf pattern with one %s for the field: "exact sum of %s"; a second %s: for the second */
    uint32_t state_size; /* multiple of 8 */
    enum tw_form form;
    uint32_t takes;        /* TW_TAKES_… ; another type makes the record bad; null and missing are skipped */
    bool additive;         /* values of several rows can be added up (count, sum) or compared (min, max) by anyone */
    bool field_optional;   /* may stand without a field (every record then counts) */
    bool any_length;       /* takes strings longer than TW_LIMIT_STRING_VALUE_BYTES: it does not keep them */
    const char *second;    /* key of a second field in the spec ("by", "weight"); NULL: there is none */
    uint32_t second_takes; /* as takes; a record whose second field is null or missing is skipped too */
    bool second_optional;
    const struct tw_option *options; /* ended by a zeroed one; NULL: none */
    /* Fills params->derived, and may refuse combinations. NULL: nothing to do. Errors: ESPEC. */
    enum tumble_code (*prepare)(struct tw_params *params, struct tumble_error *err);
    /* Columns beside the one named as the aggregate is: appends the name of column i (0 …) behind the aggregate's name
     * and returns true, or returns false when there are no more. NULL: one column. A first suffix that is "" keeps the
     * plain name. */
    bool (*column)(const struct tw_params *params, uint32_t column, struct tw_buf *suffix);
    /* Refuses values that their types allow but the function does not (a negative weight); such a record is bad.
     * Called before growth and step, once the types have been checked. NULL: every value will do. Errors: ENUMBER,
     * ELIMIT. */
    enum tumble_code (*check)(const struct tw_params *params, const struct tw_input *input, struct tumble_error *err);
    void (*init)(void *state, const struct tw_params *params);
    /* Most heap bytes (as tw_heap_size counts) a step with this input can take, even when up to TW_STEPS_AT_ONCE other
     * steps on the same state come before it. NULL: none. */
    size_t (*growth)(const void *state, const struct tw_params *params, const struct tw_input *input);
    bool growth_fixed; /* growth looks at neither state nor input, which may then be NULL */
    void (*step)(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap);
    /* The same as a step for each of count values, which stand stride values apart, on the state of offset in each of
     * groups; two groups may be one. For functions that look at their value alone. NULL: step is called. */
    void (*step_all)(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap);
    /* step_all for strings, of each of which only its tw_hash64 is known. NULL: there is no such function. */
    void (*step_hashes)(char *const *groups, uint32_t offset, const struct tw_params *params, const uint64_t *hashes,
                        size_t count, struct tw_heap *heap);
    /* step_hashes for one state, of at most TW_RUN_MOST; hashes may be changed. growth_run: the most heap bytes it
     * takes. NULL: there is no such function. */
    void (*step_run)(void *state, const struct tw_params *params, uint64_t *hashes, size_t count, struct tw_heap *heap);
    size_t (*growth_run)(const void *state, const struct tw_params *params);
    /* step_all for numbers of one scale, each times 10^exponent, which is from -18 to 0; none has more than 51 bits.
     * NULL: there is no such function. */
    void (*step_scaled)(char *const *groups, uint32_t offset, const struct tw_params *params, const int64_t *numbers,
                        int exponent, size_t count, struct tw_heap *heap);
    /* The bucket of each of such numbers, INT32_MIN where it has none, and how a state counts; then count_ends gives
     * the state a tally that the numbers counted so are of. NULL: there is no such thing. */
    void (*buckets)(const struct tw_params *params, const int64_t *numbers, int exponent, size_t count, int32_t *out);
    void (*counting)(void *state, const struct tw_params *params, struct tw_counting *out);
    /* Makes room to count so from bucket low to high, as other states of many numbers do; widen_growth: the most heap
     * bytes it takes. */
    void (*widen)(void *state, const struct tw_params *params, int32_t low, int32_t high, struct tw_heap *heap);
    size_t (*widen_growth)(int32_t low, int32_t high);
    void (*count_ends)(void *state, const struct tw_tally *tally);
    /* Most heap bytes a step_all, step_hashes or step_scaled of count steps, at most TW_STEPS_AT_ONCE, takes on these
     * states, whatever the values. Quicker than as many calls of growth. NULL: growth is called. */
    size_t (*growth_all)(char *const *groups, uint32_t offset, const struct tw_params *params, size_t count);
    /* The same as a step for each of the records that a tally is of; it takes from the heap no more than one step. Only
     * with growth that is fixed, or none. NULL: a tally does not say enough. */
    void (*step_tally)(void *state, const struct tw_tally *tally, struct tw_heap *heap);
    /* other is from the same aggregate; its heap blocks stay its own. Errors: ENOMEM. */
    enum tumble_code (*merge)(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap);
    /* Appends the value of a column as JSON text; null when nothing was stepped (0 for count). Pure.
     * Errors: ENOMEM, ELIMIT. */
    enum tumble_code (*value)(const void *state, const struct tw_params *params, uint32_t column, struct tw_buf *out);
    /* Canonical bytes, self-delimiting. Errors of encode: ENOMEM, ELIMIT; of decode: ECORRUPT, ENOMEM. decode checks
     * bounds before every write and fills an init'ed state. */
    enum tumble_code (*encode)(const void *state, const struct tw_params *params, struct tw_buf *out);
    enum tumble_code (*decode)(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err);
    /* Most bytes that encode can give, whatever was stepped and merged, and a sentence on what decides how many there
     * are ("as a varint"), for tumble check. */
    uint64_t (*stored_most)(const struct tw_params *params);
    const char *stored_rule;
    const char *bound; /* how far a value may be off ("standard error 0.8 %"), for tumble check; NULL: exact */
    /* The same where options decide it: appends the bound of a column; nothing: exact. NULL: bound holds. Pure.
     * Errors: ENOMEM. */
    enum tumble_code (*describe_bound)(const struct tw_params *params, uint32_t column, struct tw_buf *text);
};

/* NULL when there is no such function; type_name NULL or "" is the plain one. */
const struct tw_aggregate *tw_aggregate_find(struct tumble_bytes name, struct tumble_bytes type_name);
/* Fills out with a table for an embedder's aggregate: params.custom must point to it. Errors: ESPEC, naming what is
 * wrong with the embedder's table. */
enum tumble_code tw_aggregate_custom(const struct tumble_aggregate *custom, struct tw_aggregate *out,
                                     struct tumble_error *err);
/* Every table, NULL-ended. */
const struct tw_aggregate *const *tw_aggregate_all(void);

#endif
