#include "engine/aggregate/hyperloglog.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/base/fail.h"

enum { FORM_HALVES = 2, FORM_SIXES = 3, ESCAPE = 15 };

static size_t count_of(unsigned precision) { return (size_t)1 << precision; }

unsigned tw_hll_precision(const struct tw_decimal *error) {
    /* In units of 10^-9, rounded down: rather a register more. 1.04^2 = 1.0816. */
    tw_int128 coefficient = tw_decimal_coefficient(error);
    int shift = error->exponent + 9;
    if (coefficient <= 0 || shift <= -TW_POWERS_OF_TEN) {
        return 0;
    }
    if (error->exponent >= 0) { /* 1 or more */
        return TW_HLL_PRECISION_MIN;
    }
    tw_uint128 scaled = (tw_uint128)coefficient;
    tw_uint128 highest = 1000000000;
    if (shift < 0) {
        scaled /= tw_power_of_ten[-shift];
    } else if (scaled < highest) {
        scaled *= tw_power_of_ten[shift];
    }
    if (scaled > highest) {
        scaled = highest;
    }
    for (unsigned precision = TW_HLL_PRECISION_MIN; precision <= TW_HLL_PRECISION_MAX; precision++) {
        if (scaled * scaled << precision >= (tw_uint128)UINT64_C(1081600000000000000)) {
            return precision;
        }
    }
    return 0;
}

uint32_t tw_hll_error_ppm(unsigned precision) {
    uint32_t error = 0; /* the least whose square times m reaches 1.04^2 */
    for (uint32_t bit = UINT32_C(1) << 18; bit; bit >>= 1) {
        uint64_t below = error + bit - 1;
        if (below * below << precision < UINT64_C(1081600000000)) {
            error += bit;
        }
    }
    return error;
}

void tw_hll_merge(uint8_t *registers, const uint8_t *other, unsigned precision) {
    for (size_t i = 0; i < count_of(precision); i++) {
        registers[i] = registers[i] < other[i] ? other[i] : registers[i];
    }
}

/* Estimation. Only + - * / and sqrt of doubles, which IEEE 754 rounds the same everywhere; and wherever a product is
 * added to or taken from something, one of its factors is a power of two, so the product is exact and it does not
 * matter whether a compiler fuses the two operations. */
_Static_assert(FLT_EVAL_METHOD == 0 && DBL_MANT_DIG == 53, "doubles are computed as doubles");

/* x + Σ x^(2^k) 2^(k-1), 0 <= x < 1. */
static double sigma(double x) {
    double power = 1.0;
    double sum = x;
    double before;
    do {
        x *= x;
        before = sum;
        sum += x * power;
        power += power;
    } while (sum != before);
    return sum;
}

/* (1 - x - Σ (1 - x^(2^-k))^2 2^-k) / 3, 0 <= x <= 1. */
static double tau(double x) {
    if (x == 0.0 || x == 1.0) {
        return 0.0;
    }
    double power = 1.0;
    double sum = 1.0 - x;
    double before;
    do {
        x = sqrt(x);
        before = sum;
        power *= 0.5;
        double short_of_one = 1.0 - x;
        double square = short_of_one * short_of_one;
        sum -= square * power;
    } while (sum != before);
    return sum / 3.0;
}

/* Registers looked at together, as vectors: a divisor of their number. */
enum { RUN = 16 };

typedef uint8_t registers16 __attribute__((vector_size(16)));
typedef uint16_t pairs8 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));
typedef uint8_t halves8 __attribute__((vector_size(8)));

/* Both below are written as vectors, not left to the compiler: gcc 12.2 does not see the least of bytes in a loop that
 * another one follows, and of one that adds up comparisons, at -O3, takes some as -1. */
static uint8_t least_of(const uint8_t *registers, unsigned precision) {
    enum { AT_ONCE = 1024 };
    registers16 least = {0};
    least = ~least;
    for (size_t i = 0; i < count_of(precision); i += RUN) {
        registers16 some;
        memcpy(&some, registers + i, sizeof some);
        const registers16 below = (registers16)(some < least);
        least = (some & below) | (least & ~below);
        if ((i + RUN) % AT_ONCE == 0) { /* mostly there is a zero among the first */
            const words2 empty = (words2)(least == 0);
            if (empty[0] | empty[1]) {
                return 0;
            }
        }
    }
    uint8_t out = least[0];
    for (size_t k = 1; k < RUN; k++) {
        out = least[k] < out ? least[k] : out;
    }
    return out;
}

enum { RANKS = 66 };

/* How many registers have each rank: of the first few from the least on, which nearly all have, by comparing many at
 * once; of the others one by one. */
static void count_ranks(const uint8_t *registers, unsigned precision, uint32_t ranks[RANKS]) {
    enum { FEW = 8, AT_ONCE = 128 * RUN }; /* so many are added up in a byte */
    const uint8_t base = least_of(registers, precision);
    memset(ranks, 0, sizeof *ranks * RANKS);
    for (size_t from = 0; from < count_of(precision); from += AT_ONCE) {
        const size_t end = from + AT_ONCE < count_of(precision) ? from + AT_ONCE : count_of(precision);
        for (uint8_t rank = base; rank < base + FEW && rank < RANKS; rank++) {
            registers16 counts = {0};
            for (size_t i = from; i < end; i += RUN) {
                registers16 some;
                memcpy(&some, registers + i, sizeof some);
                counts -= (registers16)(some == rank);
            }
            for (size_t k = 0; k < RUN; k++) {
                ranks[rank] += counts[k];
            }
        }
        for (size_t i = from; i < end; i += RUN) {
            registers16 some;
            memcpy(&some, registers + i, sizeof some);
            const words2 high = (words2)(some - base >= FEW);
            for (size_t k = 0; k < RUN && (high[0] | high[1]); k++) {
                ranks[some[k]] += some[k] - base >= FEW;
            }
        }
    }
}

uint64_t tw_hll_estimate(const uint8_t *registers, unsigned precision) {
    static const double alpha = 0.72134752044448170368; /* 1 / (2 ln 2) */
    uint32_t ranks[RANKS];
    count_ranks(registers, precision, ranks);
    double m = (double)count_of(precision);
    unsigned highest = 65 - precision;
    if (ranks[0] == count_of(precision)) {
        return 0;
    }
    double sum = m * tau(1.0 - (double)ranks[highest] / m);
    for (unsigned rank = highest - 1; rank > 0; rank--) {
        sum = (sum + (double)ranks[rank]) * 0.5;
    }
    sum += m * sigma((double)ranks[0] / m);
    double estimate = sum > 0.0 ? alpha * (m * m) / sum : DBL_MAX;
    return estimate < 18446744073709549568.0 ? (uint64_t)(estimate + 0.5) : UINT64_MAX;
}

static size_t escaped_above(const uint8_t *registers, unsigned precision, uint8_t base) {
    enum { AT_ONCE = 128 * RUN }; /* so many are added up in a byte */
    size_t high = 0;
    for (size_t i = 0; i < count_of(precision);) {
        const size_t end = i + AT_ONCE < count_of(precision) ? i + AT_ONCE : count_of(precision);
        registers16 counts = {0};
        for (; i < end; i += RUN) {
            registers16 excess;
            memcpy(&excess, registers + i, sizeof excess);
            counts -= (registers16)(excess - base >= ESCAPE);
        }
        for (size_t k = 0; k < RUN; k++) {
            high += counts[k];
        }
    }
    return high;
}

/* What decides the stored form. */
static void measure(const uint8_t *registers, unsigned precision, uint8_t *base, size_t *escaped) {
    *base = least_of(registers, precision);
    *escaped = escaped_above(registers, precision, *base);
}

static uint8_t form_for(unsigned precision, size_t escaped) {
    return escaped <= count_of(precision) / 4 ? FORM_HALVES : FORM_SIXES;
}

/* Two registers of a pair into a byte, the first in the low half. */
static inline pairs8 joined(pairs8 pairs) {
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? (pairs >> 8 | pairs << 4) & 0xff : (pairs | pairs >> 4) & 0xff;
}

static void put_halves(const uint8_t *registers, unsigned precision, uint8_t base, uint8_t *out) {
    uint8_t *escapes = out + count_of(precision) / 2;
    for (size_t i = 0; i < count_of(precision); i += RUN, out += RUN / 2) {
        registers16 excess;
        memcpy(&excess, registers + i, sizeof excess);
        excess -= base;
        const registers16 escaped = (registers16)(excess >= ESCAPE); /* all bits or none */
        const words2 any = (words2)escaped;
        for (size_t k = 0; k < RUN && (any[0] | any[1]); k++) {
            if (excess[k] >= ESCAPE) {
                *escapes++ = (uint8_t)(excess[k] - ESCAPE);
            }
        }
        excess = (excess & ~escaped) | (escaped & ESCAPE);
        const halves8 halves = __builtin_convertvector(joined((pairs8)excess), halves8);
        memcpy(out, &halves, sizeof halves);
    }
}

static void put_sixes(const uint8_t *registers, unsigned precision, uint8_t *out) {
    for (size_t i = 0; i < count_of(precision); i += 4, out += 3) {
        uint32_t four = registers[i] | (uint32_t)registers[i + 1] << 6 | (uint32_t)registers[i + 2] << 12 |
                        (uint32_t)registers[i + 3] << 18;
        out[0] = (uint8_t)four;
        out[1] = (uint8_t)(four >> 8);
        out[2] = (uint8_t)(four >> 16);
    }
}

enum tumble_code tw_hll_append(const uint8_t *registers, unsigned precision, struct tw_buf *out) {
    uint8_t base;
    size_t escaped;
    measure(registers, precision, &base, &escaped);
    uint8_t form = form_for(precision, escaped);
    size_t length = form == FORM_HALVES ? count_of(precision) / 2 + escaped : count_of(precision) / 4 * 3;
    TW_TRY(tw_buf_reserve(out, length + 3));
    TW_TRY(tw_buf_append_byte(out, (char)form));
    TW_TRY(tw_buf_append_byte(out, (char)precision));
    if (form == FORM_HALVES) {
        TW_TRY(tw_buf_append_byte(out, (char)base));
        put_halves(registers, precision, base, (uint8_t *)out->data + out->length);
    } else {
        put_sixes(registers, precision, (uint8_t *)out->data + out->length);
    }
    out->length += length;
    return TUMBLE_OK;
}

/* Every register is written before any is judged: sums of bytes from outside are cut to a byte only after a check. */
static bool take_halves(struct tw_cursor *in, unsigned precision, uint8_t *registers) {
    uint8_t base;
    struct tumble_bytes halves;
    if (!tw_take_u8(in, &base) || base > 65 - precision || !tw_take_bytes(in, count_of(precision) / 2, &halves)) {
        return false;
    }
    for (size_t i = 0; i < halves.length; i++) {
        uint8_t both = (uint8_t)halves.data[i];
        uint8_t excess[2] = {both & 15, both >> 4};
        for (size_t k = 0; k < 2; k++) {
            registers[2 * i + k] = (uint8_t)(base + excess[k]);
        }
    }
    for (size_t i = 0; i < count_of(precision); i++) {
        uint8_t more;
        if (registers[i] - base < ESCAPE) {
            continue;
        }
        if (!tw_take_u8(in, &more) || more > 65 - precision) {
            return false;
        }
        registers[i] = (uint8_t)(registers[i] + more);
    }
    return true;
}

static bool take_sixes(struct tw_cursor *in, unsigned precision, uint8_t *registers) {
    struct tumble_bytes sixes;
    if (!tw_take_bytes(in, count_of(precision) / 4 * 3, &sixes)) {
        return false;
    }
    const uint8_t *at = (const uint8_t *)sixes.data;
    for (size_t i = 0; i < count_of(precision); i += 4, at += 3) {
        uint32_t four = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
        for (size_t k = 0; k < 4; k++) {
            registers[i + k] = four >> 6 * k & 63;
        }
    }
    return true;
}

bool tw_hll_take(struct tw_cursor *in, uint8_t form, unsigned precision, uint8_t *registers) {
    uint8_t stored;
    uint8_t least_stored = tw_cursor_left(in) > 1 ? (uint8_t)in->at[1] : 0;
    if (!tw_take_u8(in, &stored) || stored != precision) {
        return false;
    }
    bool taken = form == FORM_HALVES  ? take_halves(in, precision, registers)
                 : form == FORM_SIXES ? take_sixes(in, precision, registers)
                                      : false;
    if (!taken) {
        return false;
    }
    uint8_t base;
    size_t escaped;
    uint8_t highest = 0;
    for (size_t i = 0; i < count_of(precision); i++) {
        highest = registers[i] > highest ? registers[i] : highest;
    }
    measure(registers, precision, &base, &escaped);
    return highest > 0 && highest <= 65 - precision && form_for(precision, escaped) == form &&
           (form != FORM_HALVES || base == least_stored);
}
