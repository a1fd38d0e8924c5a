#ifndef TW_AGGREGATE_HYPERLOGLOG_H
#define TW_AGGREGATE_HYPERLOGLOG_H

#include "engine/base/buf.h"
#include "engine/base/number.h"

/* HyperLogLog: how many distinct 64-bit hashes there were, from m = 2^p registers.
 *
 * Sources: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation
 * algorithm" (AofA 2007); Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
 * (arXiv:1702.01284, 2017), whose improved raw estimator (its algorithm 6) needs neither bias tables nor a change of
 * method between small and large counts.
 *
 * A hash, most significant bit first:
 *
 *     | index: p bits | rest: 64 - p bits                 |
 *                      0001…  rank 4: leading zeros + 1
 *
 * Register [index] keeps the greatest rank seen, 1 … 65 - p, and 0 when nothing fell into it. So it depends on the set
 * of hashes alone, and merging is the greater of each pair.
 *
 *     standard error = 1.04 / sqrt(m)
 *     p              4      7      10     12     14     16     18     21
 *     error          26%    9.2%   3.3%   1.6%   0.81%  0.41%  0.20%  0.072%
 *     bytes          16     128    1 Ki   4 Ki   16 Ki  64 Ki  256 Ki 2 Mi
 *
 * In memory a register is a byte: six bits would be 12 KiB at p = 14, but blocks of the heap are powers of two, so they
 * would save nothing. Stored they take half a byte (tw_hll_append), never more than six bits. */
enum {
    TW_HLL_PRECISION_MIN = 4,
    TW_HLL_PRECISION_MAX = 21 /* 2 MiB, the largest block of tw_heap */
};

/* The smallest p with 1.04 / sqrt(2^p) <= error; 0 when that is more than TW_HLL_PRECISION_MAX. */
unsigned tw_hll_precision(const struct tw_decimal *error);
/* 1.04 / sqrt(2^p) in millionths, rounded up. */
uint32_t tw_hll_error_ppm(unsigned precision);

static inline void tw_hll_raise(uint8_t *registers, unsigned precision, uint64_t hash) {
    /* The bit behind the rest ends the count of zeros at 64 - p. */
    uint64_t rest = hash << precision | UINT64_C(1) << (precision - 1);
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *at = &registers[hash >> (64 - precision)];
    *at = *at < rank ? rank : *at; /* no branch: until there are many more values than registers, nobody foresees it */
}

void tw_hll_merge(uint8_t *registers, const uint8_t *other, unsigned precision);

/* The nearest integer, at most 2^64 - 1; the same bits on every machine. */
uint64_t tw_hll_estimate(const uint8_t *registers, unsigned precision);

/* Appends the registers in their one stored form. With base = the least register, a register whose excess over base is
 * below 15 needs half a byte.
 *     2, p, base, m/2 bytes: the excess of two registers, the first in the low half, 15 standing for 15 or more;
 *                 for each of those in order a byte: excess - 15
 *     3, p, 3m/4 bytes: four registers of six bits in three bytes, lowest bits first; only where the form above would
 *                 be longer, which takes hashes made for the purpose
 * Errors: ENOMEM, ELIMIT. */
enum { TW_HLL_STORED_HEAD = 3 }; /* before the halves; they and the bytes behind them are 3m/4 at most */
enum tumble_code tw_hll_append(const uint8_t *registers, unsigned precision, struct tw_buf *out);
/* Fills 2^precision registers from what tw_hll_append wrote, form being the first byte, taken already. false: it never
 * writes that (another precision, a rank too high, not the form it would choose, no register raised). */
bool tw_hll_take(struct tw_cursor *in, uint8_t form, unsigned precision, uint8_t *registers);

#endif
