#include "engine/aggregate/functions.h"

#include "engine/aggregate/hyperloglog.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"
#include "engine/codec/hash.h"

/* distinct: how many different values. While they are few, their 64-bit hashes are kept and the count is exact; beyond
 * 3/32 of 2^p hashes (1,536 at the default error of 1 %), where they would outweigh HyperLogLog's registers at six bits
 * each, the registers take over (hyperloglog.h). Which of the two is stored, and every bit of either, follows from the
 * set of hashes alone, so order, batches and merges leave no trace.
 *
 * In memory the hashes are a list: what comes is put behind it, and only where it is full, or is read, what stands
 * there twice goes. Its room is doubled from 4 to 2^p / 8, a block as large as the registers', and so a list may hold
 * more values than the limit: what is read of it then is what registers give. Lists of up to 8 are looked through
 * first and hold nothing twice: few values that come again and again would fill them all the time.
 *
 * Two values with one hash count once: at 1,536 values that has a chance of 1,536^2 / 2^65 = 6.4e-14. The hash that
 * decides the result has a fixed seed, since states move between machines; where duplicates are looked for, a
 * multiplier that is random per process spreads them, so that nobody can hide them on purpose. */
struct distinct {
    void *block;       /* list or registers; NULL: empty */
    uint32_t left;     /* how many more the list takes */
    uint8_t room_log2; /* of the list */
    uint8_t dense;     /* block holds registers */
    uint16_t reserved;
};
_Static_assert(sizeof(struct distinct) == 16, "distinct costs 16 bytes a group in place");

enum { PRECISION, MULTIPLIER }; /* of params->derived */

enum { FORM_EMPTY, FORM_HASHES /* hyperloglog.h has 2 and 3 */ };

enum { LOOKED_THROUGH_LOG2 = 3 };

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

static unsigned most_room_log2(const struct tw_params *params) { return precision_of(params) - 3; }

static unsigned first_room_log2(const struct tw_params *params) {
    return most_room_log2(params) < 2 ? most_room_log2(params) : 2;
}

/* Values that are counted exactly. */
static uint32_t limit_of(const struct tw_params *params) { return (UINT32_C(3) << most_room_log2(params)) / 4; }

static size_t list_bytes(unsigned room_log2) { return sizeof(uint64_t) << room_log2; }

static size_t list_count(const struct distinct *d) { return d->block ? ((size_t)1 << d->room_log2) - d->left : 0; }

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
    uint32_t limit = limit_of(params);
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

/* The blocks that so many steps may need; share: the most that one of the blocks and those before it are to each step
 * until it is needed. */
static size_t blocks_within(const struct distinct *d, const struct tw_params *params, size_t most, size_t *share) {
    const size_t count = list_count(d);
    unsigned room_log2 = d->room_log2;
    size_t total = 0;
    bool list = d->block != NULL;
    *share = 0;
    for (bool more = true; more;) {
        size_t steps = list ? ((size_t)1 << room_log2) - count + 1 : 1;
        if (steps > most) {
            break;
        }
        more = !list || room_log2 < most_room_log2(params); /* else the registers: nothing comes after them */
        room_log2 = !list ? first_room_log2(params) : more ? room_log2 + 1 : room_log2;
        list = true;
        total += list_bytes(room_log2); /* the registers take as much as the longest list */
        size_t each = (total + steps - 1) / steps;
        *share = each > *share ? each : *share;
    }
    return total;
}

/* The engine adds up what the steps of a chunk ask for, so each asks for its share: a block that the k-th new value
 * needs takes k steps to be needed, and each of them has asked for a k-th of it and of the blocks before it. Asking for
 * whole blocks would have a chunk that goes to one group reserve 32 of them whenever one might be needed. */
static __attribute__((noinline)) size_t growth_soon(const struct distinct *d, const struct tw_params *params) {
    size_t share;
    blocks_within(d, params, TW_STEPS_AT_ONCE + 1, &share);
    return share;
}

static size_t growth_run(const void *state, const struct tw_params *params) {
    const struct distinct *d = state;
    size_t share;
    return d->dense || d->left >= TW_RUN_MOST ? 0 : blocks_within(d, params, TW_RUN_MOST, &share);
}

static inline size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    (void)input;
    const struct distinct *d = state;
    return d->dense || d->left > TW_STEPS_AT_ONCE ? 0 : growth_soon(d, params);
}

/* Nearly always nothing: either there are registers, or the list is far from full. */
static size_t growth_all(char *const *groups, uint32_t offset, const struct tw_params *params, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += growth(groups[i] + offset, params, NULL);
    }
    return total;
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

/* Takes out what stands there twice; returns how many are left. */
static size_t unite_sorted(char *at, size_t count) {
    size_t kept = 0;
    uint64_t before = 0; /* which is no hash */
    for (size_t i = 0; i < count; i++) {
        const uint64_t hash = get_u64(at + 8 * i);
        put_u64(at + 8 * kept, hash);
        kept += hash != before;
        before = hash;
    }
    return kept;
}

static size_t sort_distinct(uint64_t *hashes, size_t count) {
    sort_hashes((char *)hashes, count, 56);
    return unite_sorted((char *)hashes, count);
}

/* The different hashes of a list in ascending order, for which out has room as if nothing stood there twice; returns
 * how many they are. Nearly all that are hashed spread evenly: by their first bits each comes near its place at once.
 * Where more than a few have the same, sort_hashes puts them in order. */
static size_t put_distinct(const struct distinct *d, char *out) {
    enum { BITS_MOST = 11 };
    const uint64_t *list = d->block;
    const size_t count = list_count(d);
    if (count <= SHORT) {
        for (size_t i = 0; i < count; i++) {
            put_u64(out + 8 * i, list[i]);
        }
        sort_few(out, count);
        return unite_sorted(out, count);
    }
    const unsigned bits = d->room_log2 < BITS_MOST ? d->room_log2 : BITS_MOST;
    uint32_t next[1 << BITS_MOST]; /* how many; then: where the next of each goes */
    memset(next, 0, sizeof *next << bits);
    for (size_t i = 0; i < count; i++) {
        next[list[i] >> (64 - bits)]++;
    }
    uint32_t sum = 0;
    uint32_t longest = 0;
    for (size_t b = 0; b < (size_t)1 << bits; b++) {
        const uint32_t of_it = next[b];
        longest = of_it > longest ? of_it : longest;
        next[b] = sum;
        sum += of_it;
    }
    for (size_t i = 0; i < count; i++) {
        put_u64(out + 8 * (size_t)next[list[i] >> (64 - bits)]++, list[i]);
    }
    if (longest <= SHORT) {
        sort_few(out, count);
    } else {
        sort_hashes(out, count, 56);
    }
    return unite_sorted(out, count);
}

/* The list becomes shorter by most of what stands in it twice: each hash writes its place into last, 2^bits places, and
 * goes if an equal one wrote there after it. Those that another one wrote over stay: with another odd multiplier it is
 * others. */
static size_t thin(uint64_t *hashes, size_t count, uint64_t multiplier, uint32_t *last, unsigned bits) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        last[hashes[i] * multiplier >> (64 - bits)] = (uint32_t)i;
    }
    for (size_t i = 0; i < count; i++) { /* no branch: nobody foresees which */
        const uint64_t hash = hashes[i];
        const size_t k = last[hash * multiplier >> (64 - bits)];
        hashes[kept] = hash;
        kept += k == i || hashes[k] != hash;
    }
    return kept;
}

/* How many registers were raised that were empty: there are that many values, or more. */
static size_t raise_all(uint8_t *registers, const struct tw_params *params, const uint64_t *hashes, size_t count) {
    const unsigned precision = precision_of(params);
    size_t raised = 0;
    for (size_t i = 0; i < count; i++) {
        raised += registers[hashes[i] >> (64 - precision)] == 0;
        tw_hll_raise(registers, precision, hashes[i]);
    }
    return raised;
}

static void become_dense(struct distinct *d, uint8_t *registers, struct tw_heap *heap) {
    if (d->block) {
        tw_heap_give(heap, d->block, list_bytes(d->room_log2));
    }
    *d = (struct distinct){.block = registers, .dense = 1};
}

static uint8_t *empty_registers(const struct tw_params *params, struct tw_heap *heap) {
    const size_t bytes = (size_t)1 << precision_of(params);
    uint8_t *registers = tw_heap_take(heap, bytes);
    return registers ? memset(registers, 0, bytes) : NULL;
}

/* The hashes become registers, which are empty when there are none. */
static bool make_dense(struct distinct *d, const struct tw_params *params, struct tw_heap *heap) {
    uint8_t *registers = empty_registers(params, heap);
    if (!registers) {
        return false;
    }
    raise_all(registers, params, d->block, list_count(d));
    become_dense(d, registers, heap);
    return true;
}

/* The longest list, which is full. What shows quickly is that there are too many values. */
static bool make_room_or_dense(struct distinct *d, const struct tw_params *params, struct tw_heap *heap) {
    const size_t room = list_count(d);
    uint8_t *registers = empty_registers(params, heap);
    if (!registers) {
        return false;
    }
    if (raise_all(registers, params, d->block, room) <= limit_of(params)) {
        size_t kept =
            thin(d->block, room, params->derived[MULTIPLIER], (uint32_t *)(void *)registers, d->room_log2 + 1u);
        if (kept > limit_of(params)) {
            kept = sort_distinct(d->block, kept);
        }
        if (kept <= limit_of(params)) {
            tw_heap_give(heap, registers, (size_t)1 << precision_of(params));
            d->left = (uint32_t)(room - kept);
            return true;
        }
        memset(registers, 0, (size_t)1 << precision_of(params));
        raise_all(registers, params, d->block, kept);
    }
    become_dense(d, registers, heap);
    return true;
}

/* Room for one more, or registers. A list that is still more than half full without its duplicates is made longer. */
static __attribute__((noinline)) bool make_room(struct distinct *d, const struct tw_params *params,
                                                struct tw_heap *heap) {
    if (d->block && d->room_log2 == most_room_log2(params)) {
        return make_room_or_dense(d, params, heap);
    }
    const size_t count = list_count(d);
    const unsigned room_log2 = d->block ? d->room_log2 + 1u : first_room_log2(params);
    uint64_t *longer = tw_heap_take(heap, list_bytes(room_log2));
    if (!longer) {
        return false;
    }
    uint64_t multiplier = params->derived[MULTIPLIER];
    size_t kept = count;
    for (int times = 0; times < 3; times++, multiplier *= UINT64_C(0x9e3779b97f4a7c15)) {
        kept = thin(d->block, kept, multiplier, (uint32_t *)(void *)longer, room_log2 + 1);
        if (kept < count / 2 || kept > count - count / 8) { /* else there may be more that go */
            break;
        }
    }
    if (kept >= count / 2) {
        if (d->block) {
            memcpy(longer, d->block, kept * sizeof *longer);
            tw_heap_give(heap, d->block, list_bytes(d->room_log2));
        }
        d->block = longer;
        d->room_log2 = (uint8_t)room_log2;
    } else {
        tw_heap_give(heap, longer, list_bytes(room_log2));
    }
    d->left = (UINT32_C(1) << d->room_log2) - (uint32_t)kept;
    return true;
}

static bool is_there(const struct distinct *d, uint64_t hash) {
    const uint64_t *list = d->block;
    bool found = false;
    for (size_t i = 0; i < list_count(d); i++) {
        found |= list[i] == hash;
    }
    return found;
}

/* Of registers, too. False: no memory. */
static inline bool add(struct distinct *d, const struct tw_params *params, uint64_t hash, struct tw_heap *heap) {
    if (!d->dense) {
        if (d->room_log2 <= LOOKED_THROUGH_LOG2 && is_there(d, hash)) {
            return true;
        }
        if (!d->left && !make_room(d, params, heap)) {
            return false;
        }
    }
    if (d->dense) {
        tw_hll_raise(d->block, precision_of(params), hash);
    } else {
        ((uint64_t *)d->block)[list_count(d)] = hash;
        d->left--;
    }
    return true;
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    add(state, params, hash_of(input->value), heap);
}

static void step_hashes(char *const *groups, uint32_t offset, const struct tw_params *params, const uint64_t *hashes,
                        size_t count, struct tw_heap *heap) {
    const unsigned precision = precision_of(params);
    for (size_t done = 0; done < count; done += TW_STEPS_AT_ONCE) {
        const size_t end = count - done < TW_STEPS_AT_ONCE ? count : done + TW_STEPS_AT_ONCE;
        for (size_t i = done; i < end; i++) { /* where lists end nearly always is in the nearest cache */
            const struct distinct *d = (const struct distinct *)(const void *)(groups[i] + offset);
            if (d->dense) {
                __builtin_prefetch((const uint8_t *)d->block + (hashes[i] >> (64 - precision)), 1);
            }
        }
        for (size_t i = done; i < end; i++) {
            struct distinct *d = (struct distinct *)(void *)(groups[i] + offset);
            const uint64_t hash = hashes[i] + (hashes[i] == 0);
            if (d->dense) {
                tw_hll_raise(d->block, precision, hash);
            } else {
                add(d, params, hash, heap);
            }
        }
    }
}

static void step_run(void *state, const struct tw_params *params, uint64_t *hashes, size_t count,
                     struct tw_heap *heap) {
    struct distinct *const d = state;
    const unsigned precision = precision_of(params);
    for (size_t i = 0; i < count; i++) {
        hashes[i] += hashes[i] == 0;
    }
    size_t done = 0;
    for (; done < count && !d->dense && (d->left == 0 || d->room_log2 <= LOOKED_THROUGH_LOG2); done++) {
        add(d, params, hashes[done], heap);
    }
    if (!d->dense) {
        const size_t some = count - done < d->left ? count - done : d->left;
        memcpy((uint64_t *)d->block + list_count(d), hashes + done, some * sizeof *hashes);
        d->left -= (uint32_t)some;
        done += some;
    }
    for (; done < count && !d->dense; done++) {
        add(d, params, hashes[done], heap);
    }
    uint8_t *const registers = d->block;
    for (; done < count; done++) {
        tw_hll_raise(registers, precision, hashes[done]);
    }
}

static void step_all(char *const *groups, uint32_t offset, const struct tw_params *params,
                     const struct tw_value *values, size_t stride, size_t count, struct tw_heap *heap) {
    uint64_t hashes[TW_STEPS_AT_ONCE];
    for (size_t done = 0; done < count;) {
        const struct tw_value *at = values + done * stride;
        const size_t left = count - done < TW_STEPS_AT_ONCE ? count - done : TW_STEPS_AT_ONCE;
        size_t strings = 0;
        while (strings < left && at[strings * stride].type == TUMBLE_TYPE_STRING) {
            strings++;
        }
        tw_hash64_each(&at->text, stride * sizeof *at, strings, hashes);
        for (size_t i = strings; i < left; i++) {
            hashes[i] = hash_of(&at[i * stride]);
        }
        step_hashes(groups + done, offset, params, hashes, left, heap);
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
    const uint64_t *list = from->block;
    for (size_t i = 0; i < list_count(from); i++) {
        if (!add(d, params, list[i], heap)) {
            return TUMBLE_ENOMEM;
        }
    }
    return TUMBLE_OK;
}

/* The registers of a list, in the room behind out; so far behind that what they are stored as fits before them. raised:
 * how many are not empty. */
static enum tumble_code registers_behind(const struct distinct *d, const struct tw_params *params, struct tw_buf *out,
                                         const uint8_t **registers, size_t *raised) {
    const size_t bytes = (size_t)1 << precision_of(params);
    TW_TRY(tw_buf_reserve(out, bytes + TW_HLL_STORED_HEAD + bytes));
    uint8_t *behind = (uint8_t *)out->data + out->capacity - bytes;
    memset(behind, 0, bytes);
    *raised = raise_all(behind, params, d->block, list_count(d));
    *registers = behind;
    return TUMBLE_OK;
}

/* What a list comes to: its different hashes in ascending order, head bytes behind out, and how many; or, where they
 * are more than the limit, registers. Most often these show it without sorting. */
static enum tumble_code read_list(const struct distinct *d, const struct tw_params *params, struct tw_buf *out,
                                  size_t head, size_t *count, const uint8_t **registers) {
    size_t raised;
    *count = list_count(d);
    *registers = NULL;
    if (*count > limit_of(params)) {
        TW_TRY(registers_behind(d, params, out, registers, &raised));
        if (raised > limit_of(params)) {
            return TUMBLE_OK;
        }
        *registers = NULL;
    }
    TW_TRY(tw_buf_reserve(out, head + sizeof(uint64_t) * *count));
    *count = put_distinct(d, out->data + out->length + head);
    return *count > limit_of(params) ? registers_behind(d, params, out, registers, &raised) : TUMBLE_OK;
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)column;
    const struct distinct *d = state;
    if (!d->block) {
        return tw_buf_append_text(out, "null");
    }
    size_t few = 0;
    const uint8_t *registers = d->block;
    if (!d->dense) {
        TW_TRY(read_list(d, params, out, 0, &few, &registers));
    }
    uint64_t count = few;
    if (registers) { /* there were more than the limit: that much is certain */
        uint64_t least = (uint64_t)limit_of(params) + 1;
        uint64_t estimate = tw_hll_estimate(registers, precision_of(params));
        count = estimate < least ? least : estimate;
    }
    return append_number(out, count, 0);
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
    const size_t head = 1 + tw_stored_varint(list_count(d));
    size_t count;
    const uint8_t *registers;
    TW_TRY(read_list(d, params, out, head, &count, &registers));
    if (registers) {
        return tw_hll_append(registers, precision_of(params), out);
    }
    const char *hashes = out->data + out->length + head;
    TW_TRY(tw_buf_append_byte(out, FORM_HASHES));
    TW_TRY(tw_buf_append_varint(out, count));
    memmove(out->data + out->length, hashes, sizeof(uint64_t) * count);
    out->length += sizeof(uint64_t) * count;
    return TUMBLE_OK;
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "a stored count of distinct values is damaged: it cannot be read");
}

static enum tumble_code decode_hashes(struct distinct *d, const struct tw_params *params, struct tw_cursor *in,
                                      struct tw_heap *heap, struct tumble_error *err) {
    uint64_t count;
    struct tumble_bytes hashes;
    if (!tw_take_varint(in, &count) || count == 0 || count > limit_of(params) ||
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
    unsigned room_log2 = first_room_log2(params);
    while (count > UINT64_C(1) << room_log2) {
        room_log2++;
    }
    uint64_t *list = tw_heap_take(heap, list_bytes(room_log2));
    if (!list) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = get_u64(hashes.data + sizeof(uint64_t) * i);
    }
    *d = (struct distinct){
        .block = list, .left = (UINT32_C(1) << room_log2) - (uint32_t)count, .room_log2 = (uint8_t)room_log2};
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
        tw_heap_give(heap, d->block, (size_t)1 << precision_of(params));
        init(d, params);
        return damaged(err);
    }
    return TUMBLE_OK;
}

static uint64_t stored_most(const struct tw_params *params) {
    uint64_t hashes = limit_of(params);
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
    .step_hashes = step_hashes,
    .step_run = step_run,
    .growth_run = growth_run,
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
