#ifndef TW_ENGINE_APPLY_TALLY_H
#define TW_ENGINE_APPLY_TALLY_H

#include "engine/engine_internal.h"

/* Records of groups that are remembered (window/group_memo.h), added up by group before any accumulator is looked at:
 * count, sum, least and greatest of each number, as integers of one scale. Of aggregates that ask for every value, a
 * quantile of numbers counts them where they are read, distinct texts go to their group's by runs, and where there are
 * several they get theirs a block of records at a time. It holds for specs whose aggregates ask
 * for nothing else, and for records whose fields are of the types that the shard remembers. */

struct tw_tally_source {
    const struct tumble_record *records; /* NULL: shorts */
    const struct tumble_short_record *shorts;
    size_t count;
    uint64_t number;          /* shorts: of the record before */
    struct tumble_bytes last; /* records: sequence number, checked, of the one before */
};

/* Applies records from the front, those that are so, and returns how many; their fates are the caller's to count. A
 * record left is for the caller to look at, and so is a lack of memory, for which nothing was applied. */
size_t tw_shard_tally(struct tumble_shard *shard, struct tw_window *window, const struct tw_tally_source *source);

void tw_shard_tallies_free(struct tumble_shard *shard);

#endif
