#include "engine/apply_tally.h"

#include <string.h>

#include "engine/base/number.h"
#include "engine/codec/hash.h"
#include "engine/codec/string_scan.h"
#include "engine/window/group_memo.h"

enum {
    NUMBERS_MOST = 3,    /* fields of numbers */
    COLUMNS_MOST = 4,    /* aggregates that ask for every value */
    DIGITS_MOST = 6,     /* behind the point */
    ONCE_MOST = 1 << 16, /* records between two times that sums go to their accumulators */
    KNOWN = 1 << 16,     /* numbers whose buckets are kept: from 0 on, */
    LEARNED = 64,        /* so many of them at once */
    REST_MOST = 63       /* calls without counting in place, after some where that was not worth it */
};

/* So many of them, added up, are far from what 64 bits hold. */
static const int64_t number_most = INT64_C(1) << 45;
_Static_assert((INT64_C(1) << 45) <= INT64_MAX / ONCE_MOST / 2, "sums do not overflow");

struct number {
    uint32_t projected; /* among a record's values */
    uint32_t field;     /* of the spec */
    unsigned digits;    /* behind the point: the scale of the sums */
    unsigned wanted;    /* of a number that had more */
};

struct sum {
    int64_t sum, least, greatest;
};

struct place {
    uint64_t count;              /* 0: of the sums nothing is meant */
    char *states;                /* of its group, which was touched; NULL: it is not used */
    struct tw_counting counting; /* of the one column, where there is such a thing; first: from base, and not below 1 */
    struct sum of[NUMBERS_MOST];
};

/* How the numbers of a column, the only one, are counted where they are read: the bucket of each was kept. */
struct in_place {
    bool possible;
    uint16_t *known; /* of KNOWN numbers: how far a bucket is from base; 0: it was not asked for, or is too far */
    unsigned digits; /* behind the point, for which that holds */
    int32_t base;
    unsigned rest, rested; /* calls without it that are to come; that there were before the last */
    int32_t low;           /* the widest range of buckets there was in a state at level 0 */
    uint32_t places;
    size_t stepped; /* numbers that were not just counted */
};

/* What goes to an accumulator value by value, a block of records at a time. */
struct column {
    uint32_t aggregate;
    uint32_t projected; /* among a record's values: of texts */
    uint32_t number;    /* among numbers; NUMBERS_MOST: these are texts */
};

/* Records that were added up, and whose values are still to go to accumulators. */
struct block {
    size_t count;
    char *states[TW_STEPS_AT_ONCE];
    int64_t numbers[NUMBERS_MOST][TW_STEPS_AT_ONCE];
    uint64_t hashes[COLUMNS_MOST][TW_STEPS_AT_ONCE]; /* of texts */
};

struct tw_tallies {
    bool planned;
    bool possible;
    uint64_t types; /* of the shard, for which this was planned */
    size_t number_count;
    struct number numbers[NUMBERS_MOST];
    uint32_t group; /* where its value stands among a record's */
    size_t other_count;
    struct { /* neither the group's nor a number's: only what they are is of interest */
        uint32_t projected;
        uint32_t type;
    } others[TW_USUAL_FIELDS];
    size_t growth; /* heap bytes that steps with what was added up take in a group */
    size_t column_count;
    struct column columns[COLUMNS_MOST];
    struct block block;
    struct in_place in_place;
    size_t used_count;
    uint16_t used[TW_MEMO_TEXTS];
    struct place places[TW_MEMO_PLACES]; /* beside those of the memo */
};

/* ---- what can be done ---- */

static bool plan_fields(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    tallies->number_count = tallies->other_count = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        const uint32_t projected = shard->usual_fields[i].projected, type = shard->usual_fields[i].type;
        if (i == spec->groups[0].field) {
            tallies->group = projected;
            if (type != TUMBLE_TYPE_STRING) {
                return false;
            }
        } else if (type != TUMBLE_TYPE_NUMBER) {
            tallies->others[tallies->other_count].projected = projected;
            tallies->others[tallies->other_count++].type = type;
        } else if (tallies->number_count < NUMBERS_MOST) {
            tallies->numbers[tallies->number_count++] = (struct number){.projected = projected, .field = (uint32_t)i};
        } else {
            return false;
        }
    }
    return true;
}

/* An aggregate that asks for every value: false, if it cannot be given them here. */
static bool plan_column(const struct tumble_shard *shard, struct tw_tallies *tallies, size_t aggregate) {
    const struct tw_spec_aggregate *const of = &shard->engine->spec->aggregates[aggregate];
    const struct tw_aggregate *const function = of->function;
    if (of->field < 0 || of->second_field >= 0 || tallies->column_count == COLUMNS_MOST || !function->growth_all) {
        return false;
    }
    struct column *const column = &tallies->columns[tallies->column_count++];
    *column = (struct column){.aggregate = (uint32_t)aggregate, .projected = shard->usual_fields[of->field].projected};
    const uint8_t type = (uint8_t)shard->usual_fields[of->field].type;
    for (size_t k = 0; k < tallies->number_count; k++) {
        column->number += tallies->numbers[k].field < (uint32_t)of->field;
    }
    if (type == TUMBLE_TYPE_STRING) {
        column->number = NUMBERS_MOST;
    }
    return type == TUMBLE_TYPE_STRING ? function->step_hashes != NULL
                                      : type == TUMBLE_TYPE_NUMBER && function->step_scaled != NULL;
}

static size_t growth_of_tallies(const struct tumble_shard *shard) {
    const struct tumble_spec *spec = shard->engine->spec;
    size_t growth = 0;
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_aggregate *function = spec->aggregates[a].function;
        if (tw_shard_takes(shard, a) && function->step_tally && function->growth) {
            growth += function->growth(NULL, &spec->aggregates[a].params, NULL);
        }
    }
    return growth;
}

static bool plan(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    tallies->planned = true;
    tallies->types = shard->types;
    tallies->possible = plan_fields(shard, tallies);
    tallies->column_count = 0;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        tallies->possible =
            tallies->possible &&
            (!tw_shard_takes(shard, i) || spec->aggregates[i].function->step_tally || plan_column(shard, tallies, i));
    }
    tallies->growth = growth_of_tallies(shard);
    tallies->in_place.digits = DIGITS_MOST + 1; /* what was kept may be another aggregate's */
    tallies->in_place.places = 0;
    tallies->in_place.possible = tallies->possible && tallies->column_count == 1 &&
                                 tallies->columns[0].number < NUMBERS_MOST &&
                                 spec->aggregates[tallies->columns[0].aggregate].function->counting;
    return tallies->possible;
}

/* NULL: records have to be taken one by one. */
static struct tw_tallies *tallies_of(struct tumble_shard *shard, const struct tw_window *window) {
    if (!shard->usual || !shard->types_decide || !shard->takes_memo || !window->groups.memo) {
        return NULL;
    }
    if (!shard->tallies) {
        shard->tallies = tw_alloc_zero(&shard->engine->alloc, sizeof *shard->tallies);
    }
    struct tw_tallies *tallies = shard->tallies;
    if (!tallies) {
        return NULL;
    }
    const bool planned = tallies->planned && tallies->types == shard->types;
    return (planned ? tallies->possible : plan(shard, tallies)) ? tallies : NULL;
}

/* ---- one number ---- */

/* Any number there is, if it is of that scale and not large. */
static __attribute__((noinline)) bool read_any(struct number *number, const char *begin,
                                               const struct tumble_value *value, int64_t *out) {
    struct tw_decimal decimal;
    if (tw_decimal_parse_in(&decimal, begin, value->text, value->length, NULL) != TUMBLE_OK ||
        decimal.high != (int64_t)decimal.low >> 63) {
        return false;
    }
    const int shift = decimal.exponent + (int)number->digits;
    if (shift < 0) {
        number->wanted = -decimal.exponent <= DIGITS_MOST ? (unsigned)-decimal.exponent : 0;
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
static inline __attribute__((always_inline)) bool read_number(struct number *number, const struct point *point,
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

static inline __attribute__((always_inline)) void add(struct place *place, const int64_t *numbers, size_t count) {
    if (place->count++ == 0) {
        for (size_t k = 0; k < count; k++) {
            place->of[k] = (struct sum){numbers[k], numbers[k], numbers[k]};
        }
        return;
    }
    for (size_t k = 0; k < count; k++) {
        struct sum *sum = &place->of[k];
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
static inline __attribute__((always_inline)) struct place *find(struct tw_tallies *tallies,
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

/* False: it is not to be done. */
static bool begin_in_place(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    struct in_place *const in_place = &tallies->in_place;
    if (!in_place->possible || in_place->rest) {
        in_place->rest -= in_place->rest > 0;
        return false;
    }
    const struct column *const column = &tallies->columns[0];
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[column->aggregate];
    const unsigned digits = tallies->numbers[column->number].digits;
    const bool was_there = in_place->known != NULL;
    if (!was_there) {
        in_place->known = tw_alloc_zero(&shard->engine->alloc, KNOWN * sizeof *in_place->known);
    }
    if (in_place->known && (!was_there || in_place->digits != digits)) {
        const int64_t least = 1;
        if (was_there) {
            memset(in_place->known, 0, KNOWN * sizeof *in_place->known);
        }
        aggregate->function->buckets(&aggregate->params, &least, -(int)digits, 1, &in_place->base);
        in_place->base--;
        in_place->digits = digits;
    }
    in_place->stepped = 0;
    return in_place->known != NULL;
}

/* False: it has to be stepped. */
static inline __attribute__((always_inline)) bool count_in_place(const uint16_t *known,
                                                                 const struct tw_counting *counting, int64_t number) {
    const uint32_t at = ((uint64_t)number < KNOWN ? known[number] : 0) - (uint32_t)counting->first;
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

/* How a place's state counts now. */
static void look(const struct tw_spec_aggregate *aggregate, const struct in_place *in_place, struct place *place) {
    struct tw_counting *const counting = &place->counting;
    aggregate->function->counting(place->states + aggregate->state_offset, &aggregate->params, counting);
    if (counting->places) {
        const int64_t first = (int64_t)counting->first - in_place->base, below = first < 1 ? 1 - first : 0;
        counting->first = (int32_t)(first + below);
        counting->counts += below < counting->places ? below : counting->places;
        counting->places -= below < counting->places ? (uint32_t)below : counting->places;
    }
}

/* The buckets of a number and of those beside it: where it is they will be. */
static void learn(struct in_place *in_place, const struct tw_spec_aggregate *aggregate, int64_t number) {
    int64_t numbers[LEARNED];
    int32_t buckets[LEARNED];
    for (size_t i = 0; i < LEARNED; i++) {
        numbers[i] = number / LEARNED * LEARNED + (int64_t)i;
    }
    aggregate->function->buckets(&aggregate->params, numbers, -(int)in_place->digits, LEARNED, buckets);
    for (size_t i = 0; i < LEARNED; i++) {
        const int64_t distance = (int64_t)buckets[i] - in_place->base;
        in_place->known[numbers[i]] = distance > 0 && distance <= UINT16_MAX ? (uint16_t)distance : 0;
    }
}

/* False: no memory. */
static __attribute__((noinline)) bool step_in_place(const struct tumble_shard *shard, struct tw_window *window,
                                                    struct tw_tallies *tallies, struct place *place, int64_t number) {
    struct in_place *const in_place = &tallies->in_place;
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[tallies->columns[0].aggregate];
    const struct tw_aggregate *const function = aggregate->function;
    const int exponent = -(int)in_place->digits;
    char *const state = place->states + aggregate->state_offset;
    const bool narrow = place->counting.places < in_place->places;
    const int32_t high = in_place->low + (int32_t)in_place->places - 1;
    const size_t wider = narrow ? function->widen_growth(in_place->low, high) : 0;
    if (wider && tw_heap_reserve(&window->heap, wider + tallies->growth * tallies->used_count)) {
        function->widen(state, &aggregate->params, in_place->low, high, &window->heap);
    }
    const size_t growth = function->growth_all(&place->states, aggregate->state_offset, &aggregate->params, 1);
    if (growth && !tw_heap_reserve(&window->heap, growth + tallies->growth * tallies->used_count)) {
        return false;
    }
    if ((uint64_t)number < KNOWN && in_place->known[number] == 0) {
        learn(in_place, aggregate, number);
    }
    function->step_scaled(&place->states, aggregate->state_offset, &aggregate->params, &number, exponent, 1,
                          &window->heap);
    look(aggregate, in_place, place);
    in_place->stepped++;
    return true;
}

/* Whether the least or the greatest of the numbers that were counted may be a state's. They are not where they are two
 * buckets away from those: ddsketch_index.h. */
static bool has_ends(const struct in_place *in_place, const struct tw_counting *counting, const struct sum *sum) {
    if (!counting->places || sum->least < 0 || sum->greatest >= KNOWN) {
        return true;
    }
    const uint16_t least = in_place->known[sum->least], greatest = in_place->known[sum->greatest];
    return !least || in_place->base + least < counting->low + 2 || !greatest ||
           in_place->base + greatest > counting->high - 2;
}

static void end_in_place(struct tw_tallies *tallies, size_t taken) {
    struct in_place *const in_place = &tallies->in_place;
    const unsigned longer = 2 * in_place->rested + 1;
    in_place->rested = in_place->stepped <= taken / 4 ? 0 : longer < REST_MOST ? longer : REST_MOST;
    in_place->rest = in_place->rested;
}

/* Remembers how wide a state has become: the next may as well be so at once. All it has, if that is little more. */
static void expect(struct in_place *in_place, const struct tw_counting *counting) {
    const uint32_t all = (uint32_t)(counting->high - counting->low) + 1;
    const bool little_more = all / 2 <= counting->places;
    const uint32_t places = little_more ? all : counting->places;
    if (counting->places && places > in_place->places) {
        in_place->low = little_more ? counting->low : in_place->base + counting->first;
        in_place->places = places;
    }
}

/* A place's first record. False: no memory. */
static __attribute__((noinline)) bool use(const struct tumble_shard *shard, struct tw_window *window,
                                          struct tw_tallies *tallies, struct place *place, bool in_place) {
    const size_t i = (size_t)(place - tallies->places);
    const uint32_t reference = window->groups.memo->places[i].reference;
    if (in_place && tallies->growth && !tw_heap_reserve(&window->heap, tallies->growth * (tallies->used_count + 1))) {
        return false;
    }
    if (tw_group_touch_known(&window->groups, reference) != TUMBLE_OK) {
        return false;
    }
    place->count = 0;
    place->states = (char *)tw_group_at(&window->groups, reference)->state;
    if (in_place) {
        const struct tw_spec_aggregate *const aggregate =
            &shard->engine->spec->aggregates[tallies->columns[0].aggregate];
        look(aggregate, &tallies->in_place, place);
        expect(&tallies->in_place, &place->counting);
    }
    tallies->used[tallies->used_count++] = (uint16_t)i;
    return true;
}

/* They are hashed while they are in the nearest cache. */
static bool put_texts(const struct tw_tallies *tallies, struct block *block, size_t at,
                      const struct tumble_value *values) {
    for (size_t c = 0; c < tallies->column_count; c++) {
        const struct tumble_value *const value = &values[tallies->columns[c].projected];
        if (tallies->columns[c].number < NUMBERS_MOST) {
            continue;
        }
        if ((value->flags & TUMBLE_VALUE_ESCAPED) || value->length > TW_LIMIT_STRING_VALUE_BYTES) {
            return false;
        }
        block->hashes[c][at] = tw_hash64(value->length ? value->text : "", value->length);
    }
    return true;
}

/* All memory that a block needs, and that what was added up before it does; false: there is not so much. */
static bool reserve(const struct tumble_shard *shard, struct tw_window *window, const struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    const struct block *const block = &tallies->block;
    size_t growth = tallies->growth * tallies->used_count;
    for (size_t c = 0; c < tallies->column_count; c++) {
        const struct tw_spec_aggregate *const aggregate = &spec->aggregates[tallies->columns[c].aggregate];
        growth +=
            aggregate->function->growth_all(block->states, aggregate->state_offset, &aggregate->params, block->count);
    }
    return !growth || tw_heap_reserve(&window->heap, growth);
}

/* A block's values go to accumulators; false: there is no memory for it, and none of them did. */
static bool step_block(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    struct block *const block = &tallies->block;
    const bool added = reserve(shard, window, tallies);
    for (size_t c = 0; c < tallies->column_count && added; c++) {
        const struct column *const column = &tallies->columns[c];
        const struct tw_spec_aggregate *const aggregate = &spec->aggregates[column->aggregate];
        const uint32_t offset = aggregate->state_offset;
        if (column->number < NUMBERS_MOST) {
            aggregate->function->step_scaled(block->states, offset, &aggregate->params, block->numbers[column->number],
                                             -(int)tallies->numbers[column->number].digits, block->count,
                                             &window->heap);
        } else {
            aggregate->function->step_hashes(block->states, offset, &aggregate->params, block->hashes[c], block->count,
                                             &window->heap);
        }
    }
    block->count = 0;
    return added;
}

static size_t add_again(struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                        const struct tw_tally_source *source, size_t count);

enum columns { NONE, IN_PLACE, BY_BLOCKS };

/* Adds up records from the front of a source, and returns how many. numbers: as tallies has it, known to the compiler
 * where that is worth it. BY_BLOCKS: without memory for a block records end before it. */
static inline __attribute__((always_inline)) size_t add_up(struct tumble_shard *shard, struct tw_window *window,
                                                           struct tw_tallies *tallies,
                                                           const struct tw_tally_source *source, bool in_short,
                                                           size_t number_count, enum columns columns) {
    const struct tw_group_memo *const memo = window->groups.memo;
    uint64_t number = source->number;
    struct tumble_bytes last = source->last;
    const size_t most = source->count < ONCE_MOST ? source->count : ONCE_MOST;
    struct number *const numbers = tallies->numbers;
    struct block *const block = &tallies->block;
    const uint16_t *const known = tallies->in_place.known;
    const size_t counted = columns == IN_PLACE && number_count > 1 ? tallies->columns[0].number : 0;
    struct point points[NUMBERS_MOST];
    size_t i = 0;
    for (size_t k = 0; k < NUMBERS_MOST; k++) {
        points[k] = point_of(numbers[k].digits);
    }
    for (; i < most; i++) {
        struct tumble_bytes data;
        const struct tumble_value *values;
        int64_t read[NUMBERS_MOST];
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
        struct place *place = find(tallies, memo, data, &values[tallies->group]);
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
        if (TW_RARELY(!place->states && !use(shard, window, tallies, place, columns == IN_PLACE))) {
            break;
        }
        if (columns == IN_PLACE && TW_RARELY(!count_in_place(known, &place->counting, read[counted])) &&
            !step_in_place(shard, window, tallies, place, read[counted])) {
            break;
        }
        if (columns == BY_BLOCKS) {
            if (TW_RARELY(!put_texts(tallies, block, block->count, values))) {
                break;
            }
            for (size_t k = 0; k < number_count; k++) {
                block->numbers[k][block->count] = read[k];
            }
            block->states[block->count++] = place->states;
        }
        add(place, read, number_count);
        if (columns == BY_BLOCKS && block->count == TW_STEPS_AT_ONCE && !step_block(shard, window, tallies)) {
            return add_again(shard, window, tallies, source, i + 1 - TW_STEPS_AT_ONCE);
        }
    }
    const size_t rest = block->count;
    return columns != BY_BLOCKS || step_block(shard, window, tallies)
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

static size_t add_up_any(struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                         const struct tw_tally_source *source, bool *in_place) {
    const bool shorts = source->shorts != NULL, one = tallies->number_count == 1;
    const size_t count = tallies->number_count;
    if (tallies->column_count && begin_in_place(shard, tallies)) {
        const size_t taken = shorts ? one ? add_up(shard, window, tallies, source, true, 1, IN_PLACE)
                                          : add_up(shard, window, tallies, source, true, count, IN_PLACE)
                             : one ? add_up(shard, window, tallies, source, false, 1, IN_PLACE)
                                    : add_up(shard, window, tallies, source, false, count, IN_PLACE);
        end_in_place(tallies, taken);
        *in_place = true;
        return taken;
    }
    if (tallies->column_count && shorts) {
        return one ? add_up(shard, window, tallies, source, true, 1, BY_BLOCKS)
                   : add_up(shard, window, tallies, source, true, count, BY_BLOCKS);
    }
    if (tallies->column_count) {
        return one ? add_up(shard, window, tallies, source, false, 1, BY_BLOCKS)
                   : add_up(shard, window, tallies, source, false, count, BY_BLOCKS);
    }
    if (shorts) {
        return one ? add_up(shard, window, tallies, source, true, 1, NONE)
                   : add_up(shard, window, tallies, source, true, count, NONE);
    }
    return one ? add_up(shard, window, tallies, source, false, 1, NONE)
               : add_up(shard, window, tallies, source, false, count, NONE);
}

/* ---- to the accumulators ---- */

static void step(const struct tumble_shard *shard, struct tw_window *window, const struct tw_tallies *tallies,
                 size_t used, bool in_place) {
    const struct tumble_spec *spec = shard->engine->spec;
    const struct place *place = &tallies->places[used];
    struct tw_group *group = tw_group_at(&window->groups, window->groups.memo->places[used].reference);
    struct tw_tally tally[NUMBERS_MOST + 1]; /* the last: of no number */
    for (size_t k = 0; k < tallies->number_count; k++) {
        const int exponent = -(int)tallies->numbers[k].digits;
        tally[k].count = place->count;
        tw_decimal_of(&tally[k].sum, place->of[k].sum, exponent);
        tw_decimal_of(&tally[k].least, place->of[k].least, exponent);
        tw_decimal_of(&tally[k].greatest, place->of[k].greatest, exponent);
    }
    memset(&tally[NUMBERS_MOST], 0, sizeof tally[NUMBERS_MOST]);
    tally[NUMBERS_MOST].count = place->count;
    group->records += place->count;
    if (in_place && has_ends(&tallies->in_place, &place->counting, &place->of[tallies->columns[0].number])) {
        const struct column *const column = &tallies->columns[0];
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
                                        &tally[k < tallies->number_count ? k : NUMBERS_MOST], &window->heap);
    }
}

void tw_shard_tallies_free(struct tumble_shard *shard) {
    if (shard->tallies) {
        tw_free(&shard->engine->alloc, shard->tallies->in_place.known);
        tw_free(&shard->engine->alloc, shard->tallies);
    }
}

size_t tw_shard_tally(struct tumble_shard *shard, struct tw_window *window, const struct tw_tally_source *source) {
    struct tw_tallies *tallies = tallies_of(shard, window);
    if (!tallies) {
        return 0;
    }
    bool in_place = false;
    size_t taken = add_up_any(shard, window, tallies, source, &in_place);
    const size_t growth = tallies->growth * tallies->used_count;
    if (growth && !tw_heap_reserve(&window->heap, growth)) { /* never where there are columns: it is what they left */
        taken = 0;
    }
    for (size_t i = 0; i < tallies->used_count; i++) {
        struct place *const place = &tallies->places[tallies->used[i]];
        if (taken && place->count) {
            step(shard, window, tallies, tallies->used[i], in_place);
        }
        place->states = NULL;
    }
    tallies->used_count = 0;
    for (size_t k = 0; k < tallies->number_count; k++) {
        struct number *number = &tallies->numbers[k];
        number->digits = number->wanted > number->digits ? number->wanted : number->digits;
        number->wanted = 0;
    }
    return taken;
}
