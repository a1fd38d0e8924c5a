#ifndef TW_ENGINE_APPLY_CHUNK_H
#define TW_ENGINE_APPLY_CHUNK_H

#include "engine/engine_internal.h"
#include "engine/window/group_memo.h"

/* A chunk of a call's records, between the files that apply it. apply_gather.c decides each record's fate and decodes
 * what its group and its aggregates need; apply_step.c finds the groups (all memory is taken there, so that is the last
 * thing that can fail) and changes them; apply.c goes from chunk to chunk and moves the window's mark. The index slots
 * of a whole chunk are fetched while it is gathered, which hides cache misses at high cardinality. */

/* Where a call's records are: in full, or in short. */
struct tw_feed {
    const struct tumble_record *records; /* NULL: shorts */
    const struct tumble_short_record *shorts;
    tumble_lengthen_fn *lengthen;
    void *ctx;
    bool above;                              /* shorts: the number before is a record's behind the window's mark */
    uint64_t number;                         /* of the record before */
    const struct tumble_short_record *first; /* and the last, of those of the call that move the mark; NULL: none */
    const struct tumble_short_record *last;
};

struct tw_chunk {
    size_t records; /* taken from the caller's array */
    size_t pending; /* of them on their way to a group */
    uint64_t fates[TUMBLE_FATE_COUNT];
    uint64_t skipped;
    uint64_t usual;                                /* of those pending: gathered as usual and not counted yet */
    bool alike;                                    /* every pending record takes the steps that the shard remembers */
    size_t firsts;                                 /* of those pending: the first of a new group */
    uint8_t first[TW_CHUNK_RECORDS];               /* which they are, */
    uint8_t other[TW_CHUNK_RECORDS];               /* and which are not */
    const struct tumble_short_record *first_short; /* and the last: of those behind the mark; NULL: none */
    const struct tumble_short_record *last_short;
    struct tumble_bytes first_sequence; /* of the records in full that move the mark; empty: none does */
    struct tumble_bytes last_sequence;  /* of the window, as far as gathered; of shorts, as of before the chunk */
    uint64_t last_sub_sequence;
};

/* ---- apply_gather.c ---- */

/* Takes up to a chunk of records, of count that begin at the one numbered at. *bad is set when the record behind those
 * taken ends the call (bad_records "fail"). err is not NULL: a diverted record's reason is read from it. Errors: ENOMEM
 * and those of tw_failure_record; the shard's failures are the caller's to cut back then. */
enum tumble_code tw_chunk_gather(struct tumble_shard *shard, const struct tw_window *window, struct tw_feed *feed,
                                 size_t at, size_t count, struct tw_chunk *chunk, enum tumble_code *bad,
                                 struct tumble_error *err);
/* Counts those that were gathered as usual, as the others are counted record by record. */
void tw_chunk_count_usual(struct tumble_shard *shard, struct tw_chunk *chunk);

/* ---- apply_step.c ---- */

/* Finds or makes the groups, and everything else the chunk needs from memory; states[TW_CHUNK_RECORDS] are then those
 * of each pending record's group. Errors: ENOMEM, ELIMIT; groups that were made stay, empty, and nothing else happened.
 */
enum tumble_code tw_chunk_touch(struct tumble_shard *shard, struct tw_window *window, struct tw_chunk *chunk,
                                char **states, struct tumble_error *err);
/* Hands the values of a chunk that was touched to their accumulators. */
void tw_chunk_step(struct tumble_shard *shard, struct tw_window *window, const struct tw_chunk *chunk,
                   char *const *states);

/* ---- both ---- */

static inline struct tw_input tw_pending_input(const struct tw_pending *pending) {
    static const struct tw_input nowhere; /* a short one: nobody looks */
    if (!pending->record) {
        return nowhere;
    }
    struct tw_input input = {
        .position = {pending->record->arrival_ms, pending->sequence, pending->record->sub_sequence_number}};
    return input;
}

/* values: of every field of the spec. */
static inline void tw_input_values(struct tw_input *input, const struct tw_spec_aggregate *aggregate,
                                   const struct tw_value *values) {
    input->value = aggregate->field >= 0 ? &values[aggregate->field] : NULL;
    input->second = aggregate->second_field >= 0 ? &values[aggregate->second_field] : NULL;
}

/* The text that tells the record's group, where there is such a thing. */
static inline bool tw_values_memo_text(const struct tumble_spec *spec, const struct tw_value *values,
                                       struct tumble_bytes within, struct tw_memo_text *out) {
    const struct tw_value *value = &values[spec->groups[0].field];
    return value->type == TUMBLE_TYPE_STRING && tw_memo_read(value->text, within, out);
}

#endif
