#include "engine/aggregate/functions.h"

#include "engine/aggregate/hyperloglog.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/codec/hash.h"

/* distinct: how many different values. While they are few, their 64-bit hashes are kept and the count is exact; beyond
 * 3/32 of 2^p hashes (1,536 at the default error of 1 %), where they would outweigh HyperLogLog's registers at six bits
 * each, the registers take over (hyperloglog.h). Which of the two a state is, and every bit of either, follows from the
 * set of hashes alone, so order, batches and merges leave no trace.
 *
 * The hashes stand in a table of 2^k slots, open addressing, at most 3/4 full, 0 marking a free slot. It grows from 4
 * slots to 2^p / 8, which is the size of the block that the registers then need.
 *
 * Two values with one hash count once: at 1,536 values that has a chance of 1,536^2 / 2^65 = 6.4e-14. The hash that
 * decides the result has a fixed seed, since states move between machines; the slot comes from it by a multiplier that
 * is random per process, so that nobody can fill one corner of a table on purpose. */
struct distinct {
    void *block;        /* table or registers; NULL: empty */
    uint32_t count;     /* of the table */
    uint8_t slots_log2; /* of the table */
    uint8_t dense;      /* block holds registers */
    uint16_t room;      /* how many values it takes before it needs memory, or more */
};
_Static_assert(sizeof(struct distinct) == 16, "distinct costs 16 bytes a group in place");

enum { PRECISION, MULTIPLIER }; /* of params->derived */

enum { FORM_EMPTY, FORM_HASHES /* hyperloglog.h has 2 and 3 */ };

static const struct tw_option options[] = {
    {.name = "error", .kind = TW_OPTION_NUMBER, .fallback = "0.01", .lowest = "0.001", .highest = "0.26"},
    {0},
};

static enum tumble_code prepare(struct tw_params *params, struct tumble_error *err) {
    unsigned precision = tw_hll_precision(params->options[0].numbers);
    if (!precision) {
        return tw_fail(err, TUMBLE_ESPEC, "the error of distinct is too small: give one from 0.001 to 0.26");
    }
    params->derived[PRECISION] = precision;
    params->derived[MULTIPLIER] = tw_hash_process_seed() | 1;
    return TUMBLE_OK;
}

static unsigned precision_of(const struct tw_params *params) { return (unsigned)params->derived[PRECISION]; }

static unsigned most_slots_log2(const struct tw_params *params) { return precision_of(params) - 3; }

static unsigned first_slots_log2(const struct tw_params *params) {
    return most_slots_log2(params) < 2 ? most_slots_log2(params) : 2;
}

/* Hashes that a table takes. */
static uint32_t room_of(unsigned slots_log2) { return (uint32_t)((UINT64_C(3) << slots_log2) / 4); }

static void set_room(struct distinct *d) {
    const uint32_t room = d->dense ? UINT16_MAX : d->block ? room_of(d->slots_log2) - d->count : 0;
    d->room = room < UINT16_MAX ? (uint16_t)room : UINT16_MAX;
}

static size_t table_bytes(unsigned slots_log2) { return sizeof(uint64_t) << slots_log2; }

/* Of the table or the registers: both have 2^p bytes at the end. */
static size_t block_bytes(const struct distinct *d, const struct tw_params *params) {
    return d->dense ? (size_t)1 << precision_of(params) : table_bytes(d->slots_log2);
}

/* Little-endian at any address. */
static uint64_t swapped_if_big(uint64_t value) {
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(value) : value;
}

static void put_u64(char *out, uint64_t value) {
    value = swapped_if_big(value);
    memcpy(out, &value, sizeof value);
}

static uint64_t get_u64(const char *in) {
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return swapped_if_big(value);
}

static enum tumble_code append_number(struct tw_buf *out, uint64_t coefficient, int32_t exponent) {
    tw_uint128 digits = coefficient;
    exponent += tw_strip_trailing_zeros(&digits);
    struct tw_decimal number = {.low = (uint64_t)digits, .exponent = digits ? exponent : 0};
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(&number, text));
}

static enum tumble_code describe_bound(const struct tw_params *params, uint32_t column, struct tw_buf *text) {
    (void)column;
    TW_TRY(tw_buf_append_text(text, "exact up to "));
    uint32_t limit = room_of(most_slots_log2(params));
    TW_TRY(append_number(text, limit, 0));
    TW_TRY(tw_buf_append_text(text, limit == 1 ? " value" : " values"));
    TW_TRY(tw_buf_append_text(text, ", then a standard error of "));
    TW_TRY(append_number(text, tw_hll_error_ppm(precision_of(params)), -4));
    return tw_buf_append_text(text, " %");
}

/* Never 0. A string is hashed as it is; the other types begin with a byte that UTF-8 never holds. */
static uint64_t hash_of(const struct tw_value *value) {
    char bytes[21];
    uint64_t hash;
    if (value->type == TUMBLE_TYPE_STRING) {
        hash = tw_hash64(value->text.length ? value->text.data : "", value->text.length);
    } else if (value->type == TUMBLE_TYPE_NUMBER) { /* normalised: equal numbers have equal bytes */
        uint32_t exponent = (uint32_t)value->number.exponent;
        bytes[0] = (char)0xff;
        for (int i = 0; i < 4; i++) {
            bytes[1 + i] = (char)(exponent >> 8 * i);
        }
        put_u64(bytes + 5, value->number.low);
        put_u64(bytes + 13, (uint64_t)value->number.high);
        hash = tw_hash64(bytes, sizeof bytes);
    } else {
        bytes[0] = (char)(value->type == TUMBLE_TYPE_TRUE ? 0xfe : 0xfd);
        hash = tw_hash64(bytes, 1);
    }
    return hash ? hash : 1;
}

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct distinct));
}

/* The engine adds up what the steps of a chunk ask for, so each asks for its share: a block that the k-th new value
 * needs takes k steps to be needed, and each of them has asked for a k-th of it and of the blocks before it. Asking for
 * whole blocks would have a chunk that goes to one group reserve 32 of them whenever one might be needed. */
static __attribute__((noinline)) size_t growth_soon(const struct distinct *d, const struct tw_params *params) {
    unsigned slots_log2 = d->slots_log2;
    size_t total = 0;
    size_t share = 0;
    bool table = d->block != NULL;
    for (bool more = true; more;) {
        size_t steps = table ? room_of(slots_log2) - d->count + 1 : 1;
        if (steps > TW_STEPS_AT_ONCE + 1) {
            break;
        }
        more = !table || slots_log2 < most_slots_log2(params); /* else the registers: nothing comes after them */
        slots_log2 = !table ? first_slots_log2(params) : more ? slots_log2 + 1 : slots_log2;
        table = true;
        total += table_bytes(slots_log2); /* the registers take as much as the largest table */
        size_t each = (total + steps - 1) / steps;
        share = each > share ? each : share;
    }
    return share;
}

static inline size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)input;
    const struct distinct *d = state;
    return d->room > TW_STEPS_AT_ONCE ? 0 : growth_soon(d, params);
}

/* Nearly always nothing: either there are registers, or the table is far from full. */
static size_t growth_all(char *const *groups, uint32_t offset, const struct tw_params *params, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += growth(groups[i] + offset, params, NULL);
    }
    return total;
}

/* The slot that holds hash, or the free one where it belongs. There is always a free one. */
static uint64_t *slot_of(uint64_t *table, unsigned slots_log2, const struct tw_params *params, uint64_t hash) {
    size_t mask = ((size_t)1 << slots_log2) - 1;
    size_t at = (size_t)(hash * params->derived[MULTIPLIER] >> (64 - slots_log2));
    while (table[at] && table[at] != hash) {
        at = (at + 1) & mask;
    }
    return &table[at];
}

enum { SOME = 64 };

/* The hashes of SOME slots from one on; fewer, at the end. Which slots are taken nobody foresees. */
static inline size_t take_some(const struct distinct *d, size_t from, uint64_t taken[SOME]) {
    const uint64_t *table = d->block;
    const size_t slots = (size_t)1 << d->slots_log2, end = from + SOME < slots ? from + SOME : slots;
    size_t count = 0;
    for (size_t i = from; i < end; i++) {
        taken[count] = table[i];
        count += table[i] != 0;
    }
    return count;
}

static bool resize_table(struct distinct *d, const struct tw_params *params, unsigned slots_log2,
                         struct tw_heap *heap) {
    uint64_t *table = tw_heap_take(heap, table_bytes(slots_log2));
    if (!table) {
        return false;
    }
    memset(table, 0, table_bytes(slots_log2));
    if (d->block) {
        for (size_t i = 0; i < (size_t)1 << d->slots_log2; i += SOME) {
            uint64_t taken[SOME];
            const size_t count = take_some(d, i, taken);
            for (size_t k = 0; k < count; k++) {
                *slot_of(table, slots_log2, params, taken[k]) = taken[k];
            }
        }
        tw_heap_give(heap, d->block, block_bytes(d, params));
    }
    d->block = table;
    d->slots_log2 = (uint8_t)slots_log2;
    set_room(d);
    return true;
}

static void raise_all(uint8_t *registers, const struct distinct *sparse, const struct tw_params *params) {
    const uint64_t *table = sparse->block;
    for (size_t i = 0; i < (size_t)1 << sparse->slots_log2; i++) {
        if (table[i]) {
            tw_hll_raise(registers, precision_of(params), table[i]);
        }
    }
}

/* The hashes become registers, which are empty when there are none. */
static bool make_dense(struct distinct *d, const struct tw_params *params, struct tw_heap *heap) {
    size_t bytes = (size_t)1 << precision_of(params);
    uint8_t *registers = tw_heap_take(heap, bytes);
    if (!registers) {
        return false;
    }
    memset(registers, 0, bytes);
    if (d->block) {
        raise_all(registers, d, params);
        tw_heap_give(heap, d->block, block_bytes(d, params));
    }
    memset(d, 0, sizeof *d);
    d->block = registers;
    d->dense = 1;
    set_room(d);
    return true;
}

static bool add(struct distinct *d, const struct tw_params *params, uint64_t hash, struct tw_heap *heap) {
    if (!d->dense && !d->block && !resize_table(d, params, first_slots_log2(params), heap)) {
        return false;
    }
    if (!d->dense) {
        uint64_t *slot = slot_of(d->block, d->slots_log2, params, hash);
        if (*slot) {
            return true;
        }
        if (d->count < room_of(d->slots_log2)) {
            *slot = hash;
            d->count++;
            set_room(d);
            return true;
        }
        if (d->slots_log2 < most_slots_log2(params)) {
            if (!resize_table(d, params, d->slots_log2 + 1u, heap)) {
                return false;
            }
            *slot_of(d->block, d->slots_log2, params, hash) = hash;
            d->count++;
            set_room(d);
            return true;
        }
        if (!make_dense(d, params, heap)) {
            return false;
        }
    }
    tw_hll_raise(d->block, precision_of(params), hash);
    return true;
}

/* What add will look at: of many groups it is in no near cache. */
static inline void fetch(const struct distinct *d, const struct tw_params *params, uint64_t hash) {
    if (d->block) { /* a table of it has two slots or more */
        const uint64_t spread = hash * params->derived[MULTIPLIER];
        const uint64_t slot = spread >> (-d->slots_log2 & 63);
        const uint64_t byte = d->dense ? hash >> (64 - precision_of(params)) : slot * sizeof(uint64_t);
        __builtin_prefetch((const char *)d->block + byte, 1);
    }
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    add(state, params, hash_of(input->value), heap);
}

static void step_all(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    const unsigned precision = precision_of(params);
    uint64_t hashes[TW_STEPS_AT_ONCE];
    for (size_t done = 0; done < count;) {
        const struct tw_value *at = values + done * stride;
        const size_t left = count - done < TW_STEPS_AT_ONCE ? count - done : TW_STEPS_AT_ONCE;
        size_t strings = 0;
        while (strings < left && at[strings * stride].type == TUMBLE_TYPE_STRING) {
            strings++;
        }
        tw_hash64_each(&at->text, stride * sizeof *at, strings, hashes);
        for (size_t i = 0; i < strings; i++) {
            hashes[i] += hashes[i] == 0;
        }
        for (size_t i = strings; i < left; i++) {
            hashes[i] = hash_of(&at[i * stride]);
        }
        for (size_t i = 0; i < left; i++) {
            fetch((const struct distinct *)(const void *)(groups[done + i] + offset), params, hashes[i]);
        }
        for (size_t i = 0; i < left; i++) {
            struct distinct *d = (struct distinct *)(void *)(groups[done + i] + offset);
            if (d->dense) {
                tw_hll_raise(d->block, precision, hashes[i]);
            } else {
                add(d, params, hashes[i], heap);
            }
        }
        done += left;
    }
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    struct distinct *d = state;
    const struct distinct *from = other;
    if (!from->block) {
        return TUMBLE_OK;
    }
    if (from->dense) {
        if (!d->dense && !make_dense(d, params, heap)) {
            return TUMBLE_ENOMEM;
        }
        tw_hll_merge(d->block, from->block, precision_of(params));
        return TUMBLE_OK;
    }
    const uint64_t *table = from->block;
    for (size_t i = 0; i < (size_t)1 << from->slots_log2; i++) {
        if (table[i] && !add(d, params, table[i], heap)) {
            return TUMBLE_ENOMEM;
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)column;
    const struct distinct *d = state;
    if (!d->block) {
        return tw_buf_append_text(out, "null");
    }
    uint64_t count = d->count;
    if (d->dense) { /* there were more than a table takes: that much is certain */
        uint64_t least = (uint64_t)room_of(most_slots_log2(params)) + 1;
        uint64_t estimate = tw_hll_estimate(d->block, precision_of(params));
        count = estimate < least ? least : estimate;
    }
    return append_number(out, count, 0);
}

enum { SHORT = 24 };

/* By insertion: few, or nearly in order. */
static void sort_few(char *at, size_t count) {
    uint64_t before = count ? get_u64(at) : 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t hash = get_u64(at + 8 * i);
        if (hash > before) {
            before = hash;
            continue;
        }
        size_t k = i;
        for (; k > 0 && get_u64(at + 8 * (k - 1)) > hash; k--) {
            memcpy(at + 8 * k, at + 8 * (k - 1), 8);
        }
        put_u64(at + 8 * k, hash);
    }
}

/* Ascending order for stored hashes, in place: by the byte at shift, then each of its 256 runs by the next one
 * (American flag sort). Linear whatever the hashes; recursion ends at shift 0. */
static void sort_hashes(char *at, size_t count, unsigned shift) {
    if (count <= SHORT) {
        sort_few(at, count);
        return;
    }
    uint32_t next[256] = {0};
    uint32_t end[256];
    for (size_t i = 0; i < count; i++) {
        next[get_u64(at + 8 * i) >> shift & 255]++;
    }
    uint32_t sum = 0;
    for (size_t b = 0; b < 256; b++) {
        uint32_t in_run = next[b];
        next[b] = sum;
        sum += in_run;
        end[b] = sum;
    }
    for (size_t b = 0; b < 256; b++) {
        while (next[b] < end[b]) {
            uint64_t hash = get_u64(at + 8 * (size_t)next[b]);
            size_t home = hash >> shift & 255;
            while (home != b) { /* follow the cycle until one comes that belongs here */
                char *place = at + 8 * (size_t)next[home]++;
                uint64_t displaced = get_u64(place);
                put_u64(place, hash);
                hash = displaced;
                home = hash >> shift & 255;
            }
            put_u64(at + 8 * (size_t)next[b]++, hash);
        }
    }
    if (shift == 0) {
        return;
    }
    size_t start = 0;
    for (size_t b = 0; b < 256; b++) {
        sort_hashes(at + 8 * start, end[b] - start, shift - 8);
        start = end[b];
    }
}

/* The hashes of a table in ascending order. Nearly all that are hashed spread evenly: by their first bits each comes
 * near its place at once. Where more than a few have the same, sort_hashes puts them in order. */
static void put_sorted(const struct distinct *d, char *out) {
    enum { BITS_MOST = 11 };
    const size_t slots = (size_t)1 << d->slots_log2;
    const unsigned bits = d->slots_log2 < BITS_MOST ? d->slots_log2 : BITS_MOST;
    uint32_t next[1 << BITS_MOST] = {0}; /* how many; then: where the next of each goes */
    uint64_t taken[SOME];
    for (size_t i = 0; i < slots; i += SOME) {
        const size_t count = take_some(d, i, taken);
        for (size_t k = 0; k < count; k++) {
            next[taken[k] >> (64 - bits)]++;
        }
    }
    uint32_t sum = 0;
    uint32_t longest = 0;
    for (size_t b = 0; b < (size_t)1 << bits; b++) {
        const uint32_t of_it = next[b];
        longest = of_it > longest ? of_it : longest;
        next[b] = sum;
        sum += of_it;
    }
    for (size_t i = 0; i < slots; i += SOME) {
        const size_t count = take_some(d, i, taken);
        for (size_t k = 0; k < count; k++) {
            put_u64(out + 8 * (size_t)next[taken[k] >> (64 - bits)]++, taken[k]);
        }
    }
    if (longest <= SHORT) {
        sort_few(out, d->count);
    } else {
        sort_hashes(out, d->count, 56);
    }
}

/* 0 · 1, varint count, the hashes ascending, eight little-endian bytes each · 2 or 3 and registers, see hyperloglog.h.
 * Differences as varints would be no shorter: between 1,536 random hashes they still have 54 bits. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    const struct distinct *d = state;
    if (!d->block) {
        return tw_buf_append_byte(out, FORM_EMPTY);
    }
    if (d->dense) {
        return tw_hll_append(d->block, precision_of(params), out);
    }
    TW_TRY(tw_buf_append_byte(out, FORM_HASHES));
    TW_TRY(tw_buf_append_varint(out, d->count));
    TW_TRY(tw_buf_reserve(out, sizeof(uint64_t) * (size_t)d->count));
    put_sorted(d, out->data + out->length);
    out->length += sizeof(uint64_t) * (size_t)d->count;
    return TUMBLE_OK;
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "a stored count of distinct values is damaged: it cannot be read");
}

static enum tumble_code decode_hashes(struct distinct *d, const struct tw_params *params, struct tw_cursor *in,
                                      struct tw_heap *heap, struct tumble_error *err) {
    uint64_t count;
    struct tumble_bytes hashes;
    if (!tw_take_varint(in, &count) || count == 0 || count > room_of(most_slots_log2(params)) ||
        !tw_take_bytes(in, sizeof(uint64_t) * (size_t)count, &hashes)) {
        return damaged(err);
    }
    uint64_t before = 0; /* so 0 is refused too */
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = get_u64(hashes.data + sizeof(uint64_t) * i);
        if (hash <= before) {
            return damaged(err);
        }
        before = hash;
    }
    unsigned slots_log2 = first_slots_log2(params);
    while (room_of(slots_log2) < count) {
        slots_log2++;
    }
    if (!resize_table(d, params, slots_log2, heap)) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = get_u64(hashes.data + sizeof(uint64_t) * i);
        *slot_of(d->block, slots_log2, params, hash) = hash;
    }
    d->count = (uint32_t)count;
    set_room(d);
    return TUMBLE_OK;
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    struct distinct *d = state;
    uint8_t form;
    if (!tw_take_u8(in, &form)) {
        return damaged(err);
    }
    if (form == FORM_EMPTY) {
        return TUMBLE_OK;
    }
    if (form == FORM_HASHES) {
        return decode_hashes(d, params, in, heap, err);
    }
    /* Before taking what may be 2 MiB: there are at least m/2 bytes in either form. */
    if (tw_cursor_left(in) < (size_t)1 << (precision_of(params) - 1)) {
        return damaged(err);
    }
    if (!make_dense(d, params, heap)) {
        return tw_no_memory(err);
    }
    if (!tw_hll_take(in, form, precision_of(params), d->block)) {
        tw_heap_give(heap, d->block, block_bytes(d, params));
        init(d, params);
        return damaged(err);
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    uint64_t hashes = room_of(most_slots_log2(params));
    uint64_t sparse = 1 + tw_stored_varint(hashes) + sizeof(uint64_t) * hashes;
    uint64_t dense = TW_HLL_STORED_HEAD + (UINT64_C(3) << precision_of(params)) / 4;
    return sparse > dense ? sparse : dense;
}

const struct tw_aggregate tw_aggregate_distinct = {
    .name = "distinct",
    .explanation = "number of distinct values of %s",
    .state_size = sizeof(struct distinct),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .options = options,
    .prepare = prepare,
    .init = init,
    .growth = growth,
    .step = step,
    .step_all = step_all,
    .growth_all = growth_all,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "while exact 1, the number of values as a varint and 8 for each; then 3, half a byte for each "
                   "register and 1 for each "
                   "that is far above the least",
    .any_length = true,
    .describe_bound = describe_bound,
};
