#ifndef TW_ENGINE_APPLY_TALLY_INTERNAL_H
#define TW_ENGINE_APPLY_TALLY_INTERNAL_H

#include "engine/apply_tally.h"
#include "engine/window/group_memo.h"

/* What the files of apply_tally.h share: apply_tally_plan.c says whether a spec's records can be added up, and how;
 * apply_tally.c goes through the records; apply_tally_columns.c has what each value goes to, for aggregates that ask
 * for every one: buckets that are counted in place, runs of hashes, and where there is neither, blocks. */

enum {
    TW_TALLY_NUMBERS = 3,    /* fields of numbers */
    TW_TALLY_COLUMNS = 4,    /* aggregates that ask for every value */
    TW_TALLY_DIGITS = 6,     /* behind the point */
    TW_TALLY_KNOWN = 1 << 16 /* numbers whose buckets are kept: from 0 on */
};

struct tw_tally_number {
    uint32_t projected; /* among a record's values */
    uint32_t field;     /* of the spec */
    unsigned digits;    /* behind the point: the scale of the sums */
    unsigned wanted;    /* of a number that had more */
};

struct tw_tally_sum {
    int64_t sum, least, greatest;
};

struct tw_tally_place {
    uint64_t count;              /* 0: of the sums nothing is meant */
    char *states;                /* of its group, which was touched; NULL: it is not used */
    struct tw_counting counting; /* of the column that is counted; first: from base, and not below 1 */
    struct tw_tally_run *run;    /* of the column that goes in runs */
    struct tw_tally_sum of[TW_TALLY_NUMBERS];
};

/* Hashes of texts of one group, which go to its accumulator together. */
struct tw_tally_run {
    size_t count;
    size_t growth; /* heap bytes that steps with as many as it holds take: reserved before the first is put aside */
    uint64_t hashes[TW_RUN_MOST];
};

/* How the numbers of a column, the only one of numbers, are counted where they are read: buckets of small ones are
 * kept. */
struct tw_tally_in_place {
    uint16_t *known; /* of TW_TALLY_KNOWN: how far a bucket is from base; 0: it was not asked for, or is too far */
    unsigned digits; /* behind the point, for which that holds */
    int32_t base;
    unsigned rest, rested; /* calls without it that are to come; that there were before the last */
    int32_t low;           /* the widest range of buckets there was in a state at level 0 */
    uint32_t places;
    size_t stepped; /* numbers that were not just counted */
};

/* What goes to an accumulator value by value, a block of records at a time. */
struct tw_tally_column {
    uint32_t aggregate;
    uint32_t projected; /* among a record's values: of texts */
    uint32_t number;    /* among numbers; TW_TALLY_NUMBERS: these are texts */
};

/* Records that were added up, and whose values are still to go to accumulators. */
struct tw_tally_block {
    size_t count;
    char *states[TW_STEPS_AT_ONCE];
    int64_t numbers[TW_TALLY_NUMBERS][TW_STEPS_AT_ONCE];
    uint64_t hashes[TW_TALLY_COLUMNS][TW_STEPS_AT_ONCE]; /* of texts */
};

struct tw_tallies {
    bool planned;
    bool possible;
    uint64_t types; /* of the shard, for which this was planned */
    size_t number_count;
    struct tw_tally_number numbers[TW_TALLY_NUMBERS];
    uint32_t group; /* where its value stands among a record's */
    size_t other_count;
    struct { /* neither the group's nor a number's: only what they are is of interest */
        uint32_t projected;
        uint32_t type;
    } others[TW_USUAL_FIELDS];
    size_t growth; /* heap bytes that steps with what was added up take in a group */
    size_t column_count;
    struct tw_tally_column columns[TW_TALLY_COLUMNS];
    const struct tw_tally_column
        *counted;                      /* the one that may be counted in place; NULL: there is none, or not one alone */
    const struct tw_tally_column *run; /* of texts, the one that may go in runs; likewise */
    struct tw_tally_block block;
    struct tw_tally_in_place in_place;
    struct tw_tally_run *runs; /* TW_MEMO_TEXTS, in the order in which places are used */
    size_t run_growth;         /* of all of them */
    size_t used_count;
    uint16_t used[TW_MEMO_TEXTS];
    struct tw_tally_place places[TW_MEMO_PLACES]; /* beside those of the memo */
};

/* NULL: records have to be taken one by one. */
struct tw_tallies *tw_tallies_of(struct tumble_shard *shard, const struct tw_window *window);

/* A place's first record; in_place, in_runs: how its columns get their values. False: no memory. */
bool tw_tally_use(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                  struct tw_tally_place *place, bool in_place, bool in_runs);

/* Counting in place, for a call. False: it is not to be done. */
bool tw_tally_begin_in_place(const struct tumble_shard *shard, struct tw_tallies *tallies);
/* A number that cannot be counted. False: no memory. */
bool tw_tally_step_in_place(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                            struct tw_tally_place *place, int64_t number);
/* Whether the least or the greatest of the numbers that were counted may be a state's. */
bool tw_tally_has_ends(const struct tw_tally_in_place *in_place, const struct tw_tally_place *place, size_t number);
void tw_tally_end_in_place(struct tw_tallies *tallies, size_t taken);

/* Runs, for a call. False: no memory. */
bool tw_tally_begin_runs(const struct tumble_shard *shard, struct tw_tallies *tallies);
/* A place's run is full. False: there is no memory for another. */
bool tw_tally_next_run(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                       const struct tw_tally_place *place);
void tw_tally_end_run(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                      const struct tw_tally_place *place);

/* A block's values go to accumulators. False: there is no memory for it, and none of them did. */
bool tw_tally_step_block(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies);

#endif
