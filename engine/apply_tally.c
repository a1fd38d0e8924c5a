#include "engine/apply_tally_internal.h"

#include <string.h>

#include "engine/base/number.h"
#include "engine/codec/hash.h"
#include "engine/codec/string_scan.h"

enum { ONCE_MOST = 1 << 16 /* records between two times that sums go to their accumulators */ };

/* So many of them, added up, are far from what 64 bits hold. */
static const int64_t number_most = INT64_C(1) << 45;
_Static_assert((INT64_C(1) << 45) <= INT64_MAX / ONCE_MOST / 2, "sums do not overflow");

/* ---- one number ---- */

/* Any number there is, if it is of that scale and not large. */
static __attribute__((noinline)) bool read_any(struct tw_tally_number *number, const char *begin,
                                               const struct tumble_value *value, int64_t *out) {
    struct tw_decimal decimal;
    if (tw_decimal_parse_in(&decimal, begin, value->text, value->length, NULL) != TUMBLE_OK ||
        decimal.high != (int64_t)decimal.low >> 63) {
        return false;
    }
    const int shift = decimal.exponent + (int)number->digits;
    if (shift < 0) {
        number->wanted = -decimal.exponent <= TW_TALLY_DIGITS ? (unsigned)-decimal.exponent : 0;
        return false;
    }
    const int64_t coefficient = (int64_t)decimal.low;
    if (shift > 15 || coefficient > number_most || coefficient < -number_most) {
        return false;
    }
    const tw_int128 scaled = (tw_int128)coefficient * (int64_t)(uint64_t)tw_power_of_ten[shift];
    *out = (int64_t)scaled;
    return scaled <= number_most && scaled >= -number_most;
}

/* Where texts of a scale have their point, in the last eight characters. */
struct point {
    unsigned bytes; /* 1, of what the point takes; 0: there is none */
    unsigned bit;
    uint64_t in_front;
    uint64_t behind;
};

static struct point point_of(unsigned digits) {
    const unsigned bit = digits ? 56 - 8 * digits : 0;
    const uint64_t in_front = (UINT64_C(1) << bit) - 1;
    return (struct point){digits != 0, bit, in_front, ~(in_front << 8 | 0xff)};
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* At most eight characters, the last of eight that may be read: digits, and a point where the scale has it. */
static inline __attribute__((always_inline)) bool read_plain(const struct point *point, const char *text, size_t length,
                                                             int64_t *out) {
    const uint64_t zeros = UINT64_C(0x3030303030303030), sixes = UINT64_C(0x0606060606060606);
    const uint64_t nibbles = UINT64_C(0xf0f0f0f0f0f0f0f0), pairs = UINT64_C(0x000000ff000000ff);
    uint64_t word;
    memcpy(&word, text + length - 8, sizeof word);
    if (point->bytes) { /* what is in front of the point moves up into its place */
        if ((word >> point->bit & 0xff) != '.' || length * 8 < 72 - point->bit) {
            return false;
        }
        word = (word & point->behind) | (word & point->in_front) << 8;
        length--;
    }
    word = (word ^ zeros) & ~UINT64_C(0) << (64 - 8 * length);
    if ((((word + sixes) | word) & nibbles) != 0) {
        return false;
    }
    word = word * 10 + (word >> 8);
    *out = (int64_t)(((word & pairs) * (100 + (UINT64_C(1000000) << 32)) +
                      (word >> 16 & pairs) * (1 + (UINT64_C(10000) << 32))) >>
                     32);
    return true;
}
#else
static inline bool read_plain(const struct point *point, const char *text, size_t length, int64_t *out) {
    (void)point;
    (void)text;
    (void)length;
    (void)out;
    return false;
}
#endif

/* begin: bytes from there on may be read; NULL: those of the value alone. */
static inline __attribute__((always_inline)) bool read_number(struct tw_tally_number *number, const struct point *point,
                                                              const char *begin, const struct tumble_value *value,
                                                              int64_t *out) {
    if (TW_OFTEN(begin && value->length - 1 < 8 && (size_t)(value->text - begin) + value->length >= 8 &&
                 read_plain(point, value->text, value->length, out))) {
        return true;
    }
    return read_any(number, begin ? begin : value->text, value, out);
}

/* ---- many records ---- */

/* What the caller projected may lie anywhere; in a record's data the bytes before it can be read, too. */
static inline __attribute__((always_inline)) const char *begin_of(struct tumble_bytes data,
                                                                  const struct tumble_value *value) {
    return data.data && (uintptr_t)value->text - (uintptr_t)data.data < data.length ? data.data : NULL;
}

static inline __attribute__((always_inline)) bool others_are_usual(const struct tw_tallies *tallies,
                                                                   const struct tumble_value *values) {
    for (size_t i = 0; i < tallies->other_count; i++) {
        if (values[tallies->others[i].projected].type != tallies->others[i].type) {
            return false;
        }
    }
    return true;
}

static inline __attribute__((always_inline)) void add(struct tw_tally_place *place, const int64_t *numbers,
                                                      size_t count) {
    if (place->count++ == 0) {
        for (size_t k = 0; k < count; k++) {
            place->of[k] = (struct tw_tally_sum){numbers[k], numbers[k], numbers[k]};
        }
        return;
    }
    for (size_t k = 0; k < count; k++) {
        struct tw_tally_sum *sum = &place->of[k];
        sum->sum += numbers[k];
        if (TW_RARELY(numbers[k] < sum->least)) {
            sum->least = numbers[k];
        }
        if (TW_RARELY(numbers[k] > sum->greatest)) {
            sum->greatest = numbers[k];
        }
    }
}

/* The place of a record's group; NULL: it is not remembered. */
static inline __attribute__((always_inline)) struct tw_tally_place *find(struct tw_tallies *tallies,
                                                                         const struct tw_group_memo *memo,
                                                                         struct tumble_bytes data,
                                                                         const struct tumble_value *group) {
    struct tw_memo_text text;
    const struct tumble_bytes bytes = {group->text, group->length};
    if (group->type != TUMBLE_TYPE_STRING || (group->flags & TUMBLE_VALUE_ESCAPED)) {
        return NULL;
    }
    if (!tw_memo_read(bytes, data, &text)) {
        return NULL;
    }
    const size_t i = tw_memo_place(memo, &text);
    return memo->places[i].length ? &tallies->places[i] : NULL;
}

/* ---- counting in place ---- */

/* False: it has to be stepped. */
static inline __attribute__((always_inline)) bool count_in_place(const uint16_t *known,
                                                                 const struct tw_counting *counting, int64_t number) {
    const uint32_t at = ((uint64_t)number < TW_TALLY_KNOWN ? known[number] : 0) - (uint32_t)counting->first;
    if (TW_RARELY(at >= counting->places)) {
        return false;
    }
    uint8_t *const count = &counting->counts[at];
    if (TW_RARELY(*count == UINT8_MAX)) {
        return false;
    }
    *counting->occupied += *count == 0; /* not branched on: nobody can guess it */
    ++*count;
    return true;
}

static bool is_plain_text(const struct tumble_value *value) {
    return !(value->flags & TUMBLE_VALUE_ESCAPED) && value->length <= TW_LIMIT_STRING_VALUE_BYTES;
}

static inline uint64_t hash_of(const struct tumble_value *value) {
    return tw_hash64(value->length ? value->text : "", value->length);
}

/* They are hashed while they are in the nearest cache. */
static bool put_texts(const struct tw_tallies *tallies, struct tw_tally_block *block, size_t at,
                      const struct tumble_value *values) {
    for (size_t c = 0; c < tallies->column_count; c++) {
        const struct tumble_value *const value = &values[tallies->columns[c].projected];
        if (tallies->columns[c].number < TW_TALLY_NUMBERS) {
            continue;
        }
        if (!is_plain_text(value)) {
            return false;
        }
        block->hashes[c][at] = hash_of(value);
    }
    return true;
}

static size_t add_again(struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                        const struct tw_tally_source *source, size_t count);

/* How columns get theirs: bits. BY_BLOCKS is alone. */
enum { NONE = 0, IN_PLACE = 1, IN_RUNS = 2, BY_BLOCKS = 4 };

/* Adds up records from the front of a source, and returns how many. numbers: as tallies has it, known to the compiler
 * where that is worth it. BY_BLOCKS: without memory for a block records end before it. */
static inline __attribute__((always_inline)) size_t add_up(struct tumble_shard *shard, struct tw_window *window,
                                                           struct tw_tallies *tallies,
                                                           const struct tw_tally_source *source, bool in_short,
                                                           size_t number_count, unsigned ways) {
    const struct tw_group_memo *const memo = window->groups.memo;
    uint64_t number = source->number;
    struct tumble_bytes last = source->last;
    const size_t most = source->count < ONCE_MOST ? source->count : ONCE_MOST;
    struct tw_tally_number *const numbers = tallies->numbers;
    struct tw_tally_block *const block = &tallies->block;
    const uint16_t *const known = tallies->in_place.known;
    const size_t counted = ways & IN_PLACE && number_count > 1 ? tallies->counted->number : 0;
    const size_t run = ways & IN_RUNS ? tallies->run->projected : 0;
    struct point points[TW_TALLY_NUMBERS];
    size_t i = 0;
    for (size_t k = 0; k < TW_TALLY_NUMBERS; k++) {
        points[k] = point_of(numbers[k].digits);
    }
    for (; i < most; i++) {
        struct tumble_bytes data;
        const struct tumble_value *values;
        int64_t read[TW_TALLY_NUMBERS];
        if (in_short) {
            const struct tumble_short_record *record = &source->shorts[i];
            if (record->number <= number || (uint64_t)record->arrival_ms > (uint64_t)TUMBLE_TIMESTAMP_MAX_MS) {
                break;
            }
            number = record->number;
            data = record->data;
            values = record->values;
        } else {
            const struct tumble_record *record = &source->records[i];
            if (record->bad || (uint64_t)record->arrival_ms > (uint64_t)TUMBLE_TIMESTAMP_MAX_MS ||
                !tw_sequence_follows(record->sequence_number, last) ||
                (!record->values && tumble_project_like(shard->engine->projection, &shard->layout, record->data, 1,
                                                        shard->projected, NULL, NULL) != TUMBLE_OK)) {
                break;
            }
            last = record->sequence_number;
            data = record->data;
            values = record->values ? record->values : shard->projected;
        }
        struct tw_tally_place *place = find(tallies, memo, data, &values[tallies->group]);
        if (TW_RARELY(!place || !others_are_usual(tallies, values))) {
            break;
        }
        __asm__("" : "+r"(place)); /* worked out once, not for every use of it */
        bool good = true;
        for (size_t k = 0; k < number_count && good; k++) {
            const struct tumble_value *value = &values[numbers[k].projected];
            good = value->type == TUMBLE_TYPE_NUMBER &&
                   read_number(&numbers[k], &points[k], begin_of(data, value), value, &read[k]);
        }
        if (TW_RARELY(!good)) {
            break;
        }
        if (TW_RARELY(!place->states &&
                      !tw_tally_use(shard, window, tallies, place, ways & IN_PLACE, ways & IN_RUNS))) {
            break;
        }
        if (ways & IN_RUNS &&
            TW_RARELY(!is_plain_text(&values[run]) ||
                      (place->run->count == TW_RUN_MOST && !tw_tally_next_run(shard, window, tallies, place)))) {
            break;
        }
        if (ways & IN_PLACE && TW_RARELY(!count_in_place(known, &place->counting, read[counted])) &&
            !tw_tally_step_in_place(shard, window, tallies, place, read[counted])) {
            break;
        }
        if (ways & IN_RUNS) { /* hashed while it is in the nearest cache */
            place->run->hashes[place->run->count++] = hash_of(&values[run]);
        }
        if (ways & BY_BLOCKS) {
            if (TW_RARELY(!put_texts(tallies, block, block->count, values))) {
                break;
            }
            for (size_t k = 0; k < number_count; k++) {
                block->numbers[k][block->count] = read[k];
            }
            block->states[block->count++] = place->states;
        }
        add(place, read, number_count);
        if (ways & BY_BLOCKS && block->count == TW_STEPS_AT_ONCE && !tw_tally_step_block(shard, window, tallies)) {
            return add_again(shard, window, tallies, source, i + 1 - TW_STEPS_AT_ONCE);
        }
    }
    const size_t rest = block->count;
    return !(ways & BY_BLOCKS) || tw_tally_step_block(shard, window, tallies)
               ? i
               : add_again(shard, window, tallies, source, i - rest);
}

/* What was added up is no longer true, but of so many records from the front. */
static __attribute__((cold, noinline)) size_t add_again(struct tumble_shard *shard, struct tw_window *window,
                                                        struct tw_tallies *tallies,
                                                        const struct tw_tally_source *source, size_t count) {
    struct tw_tally_source front = *source;
    front.count = count;
    for (size_t i = 0; i < tallies->used_count; i++) {
        tallies->places[tallies->used[i]].count = 0;
    }
    return front.shorts ? add_up(shard, window, tallies, &front, true, tallies->number_count, NONE)
                        : add_up(shard, window, tallies, &front, false, tallies->number_count, NONE);
}

static inline __attribute__((always_inline)) size_t add_up_in(struct tumble_shard *shard, struct tw_window *window,
                                                              struct tw_tallies *tallies,
                                                              const struct tw_tally_source *source, unsigned ways) {
    const size_t count = tallies->number_count;
    if (!source->shorts) {
        return add_up(shard, window, tallies, source, false, count, ways);
    }
    return count == 1 ? add_up(shard, window, tallies, source, true, 1, ways)
                      : add_up(shard, window, tallies, source, true, count, ways);
}

static size_t add_up_any(struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                         const struct tw_tally_source *source, unsigned *ways) {
    const bool apart = tallies->counted || tallies->run;
    if (apart && (!tallies->counted || tw_tally_begin_in_place(shard, tallies)) &&
        (!tallies->run || tw_tally_begin_runs(shard, tallies))) {
        *ways = (tallies->counted ? IN_PLACE : 0u) | (tallies->run ? IN_RUNS : 0u);
    } else {
        *ways = tallies->column_count ? BY_BLOCKS : NONE;
    }
    size_t taken;
    switch (*ways) {
    case IN_PLACE: taken = add_up_in(shard, window, tallies, source, IN_PLACE); break;
    case IN_RUNS: taken = add_up_in(shard, window, tallies, source, IN_RUNS); break;
    case IN_PLACE | IN_RUNS: taken = add_up_in(shard, window, tallies, source, IN_PLACE | IN_RUNS); break;
    case BY_BLOCKS: taken = add_up_in(shard, window, tallies, source, BY_BLOCKS); break;
    case NONE:
    default: taken = add_up_in(shard, window, tallies, source, NONE); break;
    }
    if (*ways & IN_PLACE) {
        tw_tally_end_in_place(tallies, taken);
    }
    return taken;
}

/* ---- to the accumulators ---- */

static void step(const struct tumble_shard *shard, struct tw_window *window, const struct tw_tallies *tallies,
                 size_t used, bool in_place) {
    const struct tumble_spec *spec = shard->engine->spec;
    const struct tw_tally_place *place = &tallies->places[used];
    struct tw_group *group = tw_group_at(&window->groups, window->groups.memo->places[used].reference);
    struct tw_tally tally[TW_TALLY_NUMBERS + 1]; /* the last: of no number */
    for (size_t k = 0; k < tallies->number_count; k++) {
        const int exponent = -(int)tallies->numbers[k].digits;
        tally[k].count = place->count;
        tw_decimal_of(&tally[k].sum, place->of[k].sum, exponent);
        tw_decimal_of(&tally[k].least, place->of[k].least, exponent);
        tw_decimal_of(&tally[k].greatest, place->of[k].greatest, exponent);
    }
    memset(&tally[TW_TALLY_NUMBERS], 0, sizeof tally[TW_TALLY_NUMBERS]);
    tally[TW_TALLY_NUMBERS].count = place->count;
    group->records += place->count;
    if (in_place && tw_tally_has_ends(&tallies->in_place, place, tallies->counted->number)) {
        const struct tw_tally_column *const column = tallies->counted;
        const struct tw_spec_aggregate *const aggregate = &spec->aggregates[column->aggregate];
        aggregate->function->count_ends(place->states + aggregate->state_offset, &tally[column->number]);
    }
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[a];
        if (!tw_shard_takes(shard, a) || !aggregate->function->step_tally) {
            continue;
        }
        size_t k = 0;
        while (k < tallies->number_count && (int64_t)tallies->numbers[k].field != aggregate->field) {
            k++;
        }
        aggregate->function->step_tally((char *)group->state + aggregate->state_offset,
                                        &tally[k < tallies->number_count ? k : TW_TALLY_NUMBERS], &window->heap);
    }
}

size_t tw_shard_tally(struct tumble_shard *shard, struct tw_window *window, const struct tw_tally_source *source) {
    struct tw_tallies *tallies = tw_tallies_of(shard, window);
    if (!tallies) {
        return 0;
    }
    unsigned ways;
    size_t taken = add_up_any(shard, window, tallies, source, &ways);
    const size_t growth = tallies->growth * tallies->used_count;
    if (growth && !tw_heap_reserve(&window->heap, growth)) { /* never where there are columns: it is what they left */
        taken = 0;
    }
    for (size_t i = 0; i < tallies->used_count; i++) {
        struct tw_tally_place *const place = &tallies->places[tallies->used[i]];
        if (taken && place->count) {
            step(shard, window, tallies, tallies->used[i], ways & IN_PLACE);
        }
        if (ways & IN_RUNS) {
            tw_tally_end_run(shard, window, tallies, place);
        }
        place->states = NULL;
    }
    tallies->used_count = 0;
    for (size_t k = 0; k < tallies->number_count; k++) {
        struct tw_tally_number *number = &tallies->numbers[k];
        number->digits = number->wanted > number->digits ? number->wanted : number->digits;
        number->wanted = 0;
    }
    return taken;
}
