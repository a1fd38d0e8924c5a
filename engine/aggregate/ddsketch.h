#ifndef TW_AGGREGATE_DDSKETCH_H
#define TW_AGGREGATE_DDSKETCH_H

#include "engine/aggregate/aggregate.h"
#include "engine/aggregate/ddsketch_index.h"
#include "engine/base/buf.h"
#include "engine/base/heap.h"

/* A DDSketch (sources: ddsketch_index.h) with uniform collapse: counts of buckets, and the least and the greatest
 * number exactly.
 *
 * The law. C_l(S) is how many buckets the numbers of S that are not 0 occupy at level l. The level of a sketch is the
 * least l with C_l(S) <= limit, S being everything ever added, whatever the order:
 *   a number's bucket at level l + 1 is a function of its bucket at level l, so C_l(S) never rises with l;
 *   S ⊆ T implies C_l(S) <= C_l(T): what was too much stays too much, a level once left is never needed again;
 *   adding one number, or merging two sketches, goes up from the greatest level so far (not above the least one for the
 *   union, by the line before) one by one until C_l(union) <= limit. That is the least level of the union.
 * The counts at that level, the count of zeros and both ends are functions of the multiset as well: so is every byte.
 *
 * Memory: 24 bytes in place, and one block. Up to 17 buckets it holds both ends, the counts, and the buckets in
 * ascending order; looking a bucket up is a binary search. From 512 bytes on the greater part of the block is a window
 * of as many neighbouring buckets as it has room for, those that are empty too: there a bucket's count stands where its
 * distance from the first one says: what was counted last in a byte of its own, so that
 * counting meets few cache lines. Those outside it lie beside it as in a small block. When there is no room for
 * another one of them, the block is laid out anew: the window goes where it holds the most, and the block is doubled
 * when that leaves less than a quarter free. Where a bucket is shows nowhere outside. */

struct tw_ddsketch {
    char *block; /* NULL: nothing was added */
    uint64_t zeros;
    uint32_t count; /* of buckets */
    uint8_t level;
    uint8_t block_log2;
    uint16_t room; /* how many numbers the block takes whatever they are, or more */
};

struct tw_ddsketch_rules {
    struct tw_ddsketch_scale scale;
    uint32_t limit; /* of buckets: TW_DDSKETCH_LIMIT_LEAST … TW_DDSKETCH_LIMIT_MOST */
};
enum { TW_DDSKETCH_LIMIT_LEAST = 16, TW_DDSKETCH_LIMIT_MOST = 65536 };

/* A zeroed sketch is empty. */

/* Most heap bytes one tw_ddsketch_add takes, even when up to `before` others come first. */
size_t tw_ddsketch_growth(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint32_t before);
void tw_ddsketch_add(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, const struct tw_decimal *number,
                     struct tw_heap *heap);
/* The same for count numbers, which stand stride bytes apart, each into the sketch at offset in its group. */
void tw_ddsketch_add_all(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules,
                         const struct tw_decimal *numbers, size_t stride, size_t count, struct tw_heap *heap);
/* The same for integers of at most 51 bits, times 10^exponent, which is from -18 to 0. */
void tw_ddsketch_add_scaled(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules,
                            const int64_t *numbers, int exponent, size_t count, struct tw_heap *heap);
/* Where numbers other than 0 can be counted by their buckets of level 0 (aggregate.h); the least and the greatest of
 * them, or any that were added besides, are to be given to it before anything else looks at the sketch. */
void tw_ddsketch_counting(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, struct tw_counting *out);
/* Makes room for all buckets of level 0 from low to high, if they are not too many, so that numbers can be counted
 * there soon: where many are to come that are like others. At most so many heap bytes; a lack of memory is not told. */
size_t tw_ddsketch_widen_growth(int32_t low, int32_t high);
void tw_ddsketch_widen(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, int32_t low, int32_t high,
                       struct tw_heap *heap);
void tw_ddsketch_count_ends(struct tw_ddsketch *sketch, const struct tw_decimal *least,
                            const struct tw_decimal *greatest);
/* The sum of tw_ddsketch_growth of as many sketches. */
size_t tw_ddsketch_growth_all(char *const *groups, uint32_t offset, const struct tw_ddsketch_rules *rules, size_t count,
                              uint32_t before);
/* Errors: ENOMEM; sketch is then as it was. */
enum tumble_code tw_ddsketch_merge(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                   const struct tw_ddsketch *other, struct tw_heap *heap);

/* The number of rank floor(q × (n − 1)) of n in ascending order, the least having rank 0; fraction is q × 10^18. Ranks
 * 0 and n − 1 are exact, any other within the error of the level. False: the sketch is empty. */
bool tw_ddsketch_quantile(const struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules, uint64_t fraction,
                          struct tw_decimal *out);

/* Byte 0: empty. Else level + 1; the least and the greatest number, ordered form; varints: zeros, number of buckets;
 * the first bucket as zigzag varint, of each next one how many are left out in between; each followed by its count. */
enum tumble_code tw_ddsketch_encode(const struct tw_ddsketch *sketch, struct tw_buf *out);
/* No encoding is longer. */
uint64_t tw_ddsketch_stored_most(const struct tw_ddsketch_rules *rules);
/* Fills an empty sketch. Errors: ECORRUPT, ENOMEM. */
enum tumble_code tw_ddsketch_decode(struct tw_ddsketch *sketch, const struct tw_ddsketch_rules *rules,
                                    struct tw_cursor *in, struct tw_heap *heap, struct tumble_error *err);

#endif
