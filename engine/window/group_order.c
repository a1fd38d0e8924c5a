#include <stdint.h>
#include <string.h>

#include "engine/window/group_key.h"
#include "engine/window/group_table.h"

/* Where there are many: by the bits in which prefixes differ, side by side and from the last one on, while they are
 * few; else by the prefixes' bytes from the front (American flag sort: McIlroy, Bostic, McIlroy, "Engineering Radix
 * Sort", 1993). What these leave together is sorted by comparison: quicksort with the median of three, small runs by
 * insertion, the smaller side first so that the stack stays logarithmic; a run that does not shrink falls to heapsort,
 * so hostile keys cannot make it quadratic. */

static int compare(const struct tw_group_table *table, const struct tw_group_rank *a, const struct tw_group_rank *b) {
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    struct tumble_bytes x = tw_group_key(table, tw_group_at(table, a->reference));
    struct tumble_bytes y = tw_group_key(table, tw_group_at(table, b->reference));
    size_t common = x.length < y.length ? x.length : y.length;
    int order = common ? memcmp(x.data, y.data, common) : 0;
    return order ? order : (x.length > y.length) - (x.length < y.length);
}

static void swap(struct tw_group_rank *a, struct tw_group_rank *b) {
    struct tw_group_rank t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(const struct tw_group_table *table, struct tw_group_rank *order, size_t root, size_t n) {
    for (size_t child = 2 * root + 1; child < n; root = child, child = 2 * root + 1) {
        if (child + 1 < n && compare(table, &order[child], &order[child + 1]) < 0) {
            child++;
        }
        if (compare(table, &order[root], &order[child]) >= 0) {
            return;
        }
        swap(&order[root], &order[child]);
    }
}

static void heapsort_ranks(const struct tw_group_table *table, struct tw_group_rank *order, size_t n) {
    for (size_t i = n / 2; i > 0; i--) {
        sift_down(table, order, i - 1, n);
    }
    for (size_t end = n; end > 1; end--) {
        swap(&order[0], &order[end - 1]);
        sift_down(table, order, 0, end - 1);
    }
}

static void insertion_sort(const struct tw_group_table *table, struct tw_group_rank *order, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct tw_group_rank moving = order[i];
        size_t at = i;
        while (at > 0 && compare(table, &moving, &order[at - 1]) < 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = moving;
    }
}

static void sort(const struct tw_group_table *table, struct tw_group_rank *order, size_t n, int budget) {
    while (n > 24) {
        if (budget-- == 0) {
            heapsort_ranks(table, order, n);
            return;
        }
        struct tw_group_rank *a = &order[0], *b = &order[n / 2], *c = &order[n - 1];
        if (compare(table, b, a) < 0) {
            swap(a, b);
        }
        if (compare(table, c, b) < 0) {
            swap(b, c);
            if (compare(table, b, a) < 0) {
                swap(a, b);
            }
        }
        struct tw_group_rank pivot = *b;
        size_t i = 0, j = n - 1;
        for (;;) {
            while (compare(table, &order[i], &pivot) < 0) {
                i++;
            }
            while (compare(table, &pivot, &order[j]) < 0) {
                j--;
            }
            if (i >= j) {
                break;
            }
            swap(&order[i++], &order[j--]);
        }
        size_t left = j + 1; /* order[0 … j] <= pivot <= order[j+1 …] */
        if (left < n - left) {
            sort(table, order, left, budget);
            order += left;
            n -= left;
        } else {
            sort(table, order + left, n - left, budget);
            n = left;
        }
    }
    insertion_sort(table, order, n);
}

static int depth_budget(size_t n) {
    int budget = 8;
    while (n >>= 1) {
        budget += 2;
    }
    return budget;
}

enum { RADIX_LEAST = 512 }; /* ranks; fewer are sorted before the counts are set up */

/* byte: of the prefix, from the front; those before it are the same in all. */
static void radix_sort(const struct tw_group_table *table, struct tw_group_rank *order, size_t n, unsigned byte) {
    size_t begin[257] = {0}, next[256];
    const unsigned shift = 56 - 8 * byte;
    for (size_t i = 0; i < n; i++) {
        begin[(order[i].prefix >> shift & 0xff) + 1]++;
    }
    for (size_t digit = 0; digit < 256; digit++) {
        begin[digit + 1] += begin[digit];
        next[digit] = begin[digit];
    }
    for (size_t digit = 0; digit < 256; digit++) {
        while (next[digit] < begin[digit + 1]) {
            struct tw_group_rank moving = order[next[digit]];
            for (size_t to; (to = moving.prefix >> shift & 0xff) != digit;) {
                struct tw_group_rank other = order[next[to]];
                order[next[to]++] = moving;
                moving = other;
            }
            order[next[digit]++] = moving;
        }
    }
    for (size_t digit = 0; digit < 256; digit++) {
        size_t many = begin[digit + 1] - begin[digit];
        if (many >= RADIX_LEAST && byte < 7) {
            radix_sort(table, order + begin[digit], many, byte + 1);
        } else if (many > 1) {
            sort(table, order + begin[digit], many, depth_budget(many));
        }
    }
}

/* ---- few bits ---- */

enum { PACKED_BITS = 32, DIGIT_BITS = 11, DIGITS_MAX = 3 };
_Static_assert(DIGITS_MAX *DIGIT_BITS >= PACKED_BITS, "digits hold what is packed");
_Static_assert(sizeof(struct tw_group_rank) == 2 * sizeof(uint64_t), "two lists of words take the place of ranks");

struct bits { /* those in which prefixes differ, by runs, the lowest first */
    struct {
        uint64_t mask;
        unsigned right;
    } runs[PACKED_BITS];
    unsigned run_count;
    unsigned count;
};

static bool find_bits(uint64_t varies, struct bits *out) {
    out->run_count = 0;
    out->count = (unsigned)__builtin_popcountll(varies);
    if (out->count > PACKED_BITS) {
        return false;
    }
    for (unsigned packed = 0; varies;) {
        const unsigned low = (unsigned)__builtin_ctzll(varies);
        const uint64_t above = varies + (UINT64_C(1) << low); /* carries through the run */
        const uint64_t run = varies & ~above;
        out->runs[out->run_count].mask = run;
        out->runs[out->run_count++].right = low - packed;
        packed += (unsigned)__builtin_popcountll(run);
        varies &= ~run;
    }
    return true;
}

static inline uint64_t pack(const struct bits *bits, uint64_t prefix) {
    uint64_t packed = 0;
    for (unsigned i = 0; i < bits->run_count; i++) {
        packed |= (prefix & bits->runs[i].mask) >> bits->runs[i].right;
    }
    return packed;
}

static inline uint64_t word_at(const char *list, size_t i) {
    uint64_t word;
    memcpy(&word, list + i * sizeof word, sizeof word);
    return word;
}

static inline void put_word(char *list, size_t i, uint64_t word) { memcpy(list + i * sizeof word, &word, sizeof word); }

static inline uint64_t packed_rank(const struct bits *bits, const struct tw_group_rank *rank) {
    return pack(bits, rank->prefix) << 32 | rank->reference;
}

/* By digits from the last one on. The memory of the ranks is that of two lists of words, packed prefix and reference;
 * what is sorted ends in the upper one, so that ranks can be made of it from the front. */
static void sort_packed(const struct tw_group_table *table, struct tw_group_rank *order, size_t n,
                        const struct bits *bits) {
    const unsigned digits = (bits->count + DIGIT_BITS - 1) / DIGIT_BITS;
    const unsigned width = digits ? (bits->count + digits - 1) / digits : 0;
    const uint64_t mask = (UINT64_C(1) << width) - 1;
    uint32_t next[DIGITS_MAX][1 << DIGIT_BITS];
    char *const lower = (char *)order, *const upper = lower + n * sizeof(uint64_t);
    char *from = digits % 2 ? lower : upper, *to = digits % 2 ? upper : lower;
    memset(next, 0, digits * sizeof next[0]);
    for (size_t i = 0; i < n; i++) {
        const size_t at = digits % 2 ? i : n - 1 - i; /* in place: no rank is overwritten before it is read */
        const uint64_t word = packed_rank(bits, &order[at]);
        put_word(from, at, word);
        for (unsigned digit = 0; digit < digits; digit++) {
            next[digit][word >> (32 + digit * width) & mask]++;
        }
    }
    for (unsigned digit = 0; digit < digits; digit++) {
        uint32_t *const places = next[digit];
        uint32_t sum = 0;
        for (size_t value = 0; value <= mask; value++) {
            const uint32_t many = places[value];
            places[value] = sum;
            sum += many;
        }
        for (size_t i = 0; i < n; i++) {
            const uint64_t word = word_at(from, i);
            put_word(to, places[word >> (32 + digit * width) & mask]++, word);
        }
        char *const sorted = to;
        to = from;
        from = sorted;
    }
    size_t begin = 0; /* of a run of one prefix */
    for (size_t i = 0; i < n; i++) {
        const uint64_t word = word_at(upper, i);
        order[i] = (struct tw_group_rank){.prefix = word >> 32, .reference = (uint32_t)word};
        if (order[i].prefix != order[begin].prefix) {
            if (i - begin > 1) {
                sort(table, order + begin, i - begin, depth_budget(i - begin));
            }
            begin = i;
        }
    }
    if (n - begin > 1) {
        sort(table, order + begin, n - begin, depth_budget(n - begin));
    }
}

/* ---- ranks ---- */

/* How many bytes at the front all keys share, given that of those before: "user-098140" tells little by its first
 * eight. */
static size_t shared(const struct tw_group_table *table, uint32_t first, uint32_t reference, size_t before) {
    struct tumble_bytes a = tw_group_key(table, tw_group_at(table, first));
    struct tumble_bytes b = tw_group_key(table, tw_group_at(table, reference));
    size_t most = a.length < b.length ? a.length : b.length, same = 0;
    most = before < most ? before : most;
    while (most - same >= 8 && memcmp(a.data + same, b.data + same, 8) == 0) {
        same += 8;
    }
    while (same < most && a.data[same] == b.data[same]) {
        same++;
    }
    return same;
}

/* skip: what all keys share at the front. */
static inline uint64_t rank(const struct tw_group_table *table, uint32_t reference, size_t skip,
                            struct tw_group_rank *out) {
    struct tumble_bytes key = tw_group_key(table, tw_group_at(table, reference));
    uint64_t prefix = 0;
    key.data += skip;
    key.length -= skip;
    if (key.length >= 8) {
        memcpy(&prefix, key.data, sizeof prefix);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        prefix = __builtin_bswap64(prefix);
#endif
    } else {
        for (size_t i = 0; i < 8; i++) {
            prefix = prefix << 8 | (i < key.length ? (unsigned char)key.data[i] : 0);
        }
    }
    out->prefix = prefix;
    out->reference = reference;
    out->reserved = 0;
    return prefix;
}

/* Groups that were decoded lie in their order already. */
static bool is_sorted(const struct tw_group_table *table, const struct tw_group_rank *order, size_t n) {
    size_t i = 1;
    while (i < n && compare(table, &order[i - 1], &order[i]) < 0) {
        i++;
    }
    return i >= n;
}

/* varies: bits in which not all prefixes are the same. */
static void sort_all(const struct tw_group_table *table, struct tw_group_rank *order, size_t n, uint64_t varies) {
    struct bits bits;
    if (is_sorted(table, order, n)) {
        return;
    }
    if (n < RADIX_LEAST) {
        sort(table, order, n, depth_budget(n));
    } else if (find_bits(varies, &bits)) {
        sort_packed(table, order, n, &bits);
    } else {
        radix_sort(table, order, n, 0);
    }
}

enum { PROBED = 64 }; /* what these share at the front, all mostly do */

/* References in order[0 … n-1] become ranks. */
static size_t rank_probed(const struct tw_group_table *table, struct tw_group_rank *order, size_t n, uint64_t *varies) {
    size_t skip = n ? SIZE_MAX : 0;
    for (size_t i = 0; i < n && skip; i++) {
        skip = shared(table, order[0].reference, order[i].reference, skip);
    }
    for (size_t i = 0; i < n; i++) {
        *varies |= rank(table, order[i].reference, skip, &order[i]) ^ order[0].prefix;
    }
    return skip;
}

void tw_group_order(const struct tw_group_table *table, struct tw_group_rank *order) {
    struct tw_group_walk walk = {0};
    uint64_t varies = 0;
    uint32_t reference;
    size_t n = 0;
    while (n < PROBED && tw_group_next(table, &walk, &reference)) {
        order[n++].reference = reference;
    }
    const size_t skip = rank_probed(table, order, n, &varies);
    const char *const first = n ? tw_group_key(table, tw_group_at(table, order[0].reference)).data : NULL;
    bool alike = true;
    while (tw_group_next(table, &walk, &reference)) {
        const struct tumble_bytes key = tw_group_key(table, tw_group_at(table, reference));
        alike = alike && key.length >= skip && tw_group_key_same(key.data, first, skip);
        if (alike) {
            varies |= rank(table, reference, skip, &order[n]) ^ order[0].prefix;
        }
        order[n++].reference = reference;
    }
    if (!alike) {
        varies = 0;
        rank_probed(table, order, n, &varies);
    }
    sort_all(table, order, n, varies);
}

void tw_group_order_of(const struct tw_group_table *table, const uint32_t *references, size_t n,
                       struct tw_group_rank *order) {
    size_t skip = n ? SIZE_MAX : 0;
    uint64_t varies = 0;
    for (size_t i = 0; i < n && skip; i++) {
        if (i + TW_GROUPS_AHEAD < n) {
            tw_group_fetch(table, references[i + TW_GROUPS_AHEAD]);
        }
        skip = shared(table, references[0], references[i], skip);
    }
    for (size_t i = 0; i < n; i++) {
        varies |= rank(table, references[i], skip, &order[i]) ^ order[0].prefix;
    }
    sort_all(table, order, n, varies);
}
