#include "engine/codec/members.h"

#include <stddef.h>

#include "engine/base/limits.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/members_read.h"

enum {
    MOST = 32,       /* members of a text */
    GROUP = 16,      /* texts whose members are found before any is looked at: so a processor has several on its way */
    MULTIPLIERS = 64 /* tried, so that members are alone in their slots */
};

/* A slot: bits 0 to 5 the length of its member's literal, from 6 on which of those known that is, and whether it is
 * none with quotes; SHARED: others may be meant as well. */
enum { SLOT_LENGTH = 63, SLOT_KNOWN = 31 << 6, SLOT_OTHER = 16, SLOT_SHARED = 17 };

_Static_assert(TW_MEMBERS_PAD >= TW_MEMBERS_LITERAL + 64, "a literal and the first bytes of a value");
_Static_assert(sizeof(struct tw_member) == 1 << 6 && TW_MEMBERS_KNOWN == 32,
               "an index and an offset are the same bits");

/* ---- finding ---- */

/* A text: offsets are looked at in from, values point into text. */
struct scan {
    const char *text;
    const char *from;
    size_t length;
};

struct found {
    const char *value; /* where it begins, behind its quote */
    uint32_t length;
    uint32_t slot;
};

/* Texts that are read at once. */
struct group {
    struct scan scans[GROUP];
    size_t count;
    struct tumble_value *values;
    size_t value_count;
    bool *fits;
    uint8_t counts[GROUP];   /* of members; 0: the text does not look like it */
    const char *ends[GROUP]; /* where the last one found ends, with what stands behind it */
    struct found found[GROUP][MOST];
};

static inline uint32_t slot_of(const struct tw_members *members, const char *literal) {
    return (uint32_t)(((tw_load8(literal) & members->mask) * members->multiplier) >> 56);
}
_Static_assert(TW_MEMBERS_SLOTS == 1 << (64 - 56), "eight bits of a product");

static inline const struct tw_member *member_of(const struct tw_members *members, uint32_t slot) {
    return (const struct tw_member *)(const void *)((const char *)members->known + (slot & SLOT_KNOWN));
}

static inline uint32_t slot_for(const struct tw_members *members, uint32_t known) {
    const struct tw_member *member = &members->known[known];
    return member->length | known << 6 | (uint32_t)(member->quote == 0) << SLOT_OTHER;
}

/* Which of the members in this slot it is. */
static __attribute__((noinline)) uint32_t shared_slot(const struct tw_members *members, uint32_t slot, const char *at) {
    uint32_t known = (slot & SLOT_KNOWN) >> 6;
    while (members->known[known].next && memcmp(members->known[known].literal, at, members->known[known].length) != 0) {
        known = members->known[known].next;
    }
    return slot_for(members, known);
}

/* The end of a value of 64 bytes or more, or something behind last. */
static inline __attribute__((always_inline)) const char *
end_of_long(const char *at, const char *last, enum tw_members_kind kind, const struct tw_members_read *read) {
    unsigned step = 64;
    for (at += 64; step == 64 && at < last; at += step) {
        step = read->stop(at, kind);
    }
    return at;
}

/* Finds where each value begins and ends if a text is what it looks like. Where a member begins is known only once the
 * one in front of it was read, so a processor would mostly wait; therefore the first one of every text is read, then
 * the second one of each, and so on. */
static inline __attribute__((always_inline)) void find_members(const struct tw_members *members, struct group *group,
                                                               const struct tw_members_read *read) {
    const char *lasts[GROUP];
    uint8_t going[GROUP]; /* texts that go on */
    size_t count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct scan *scan = &group->scans[i];
        group->counts[i] = 0;
        if (TW_OFTEN(scan->length >= 2 && *scan->from == '{' && scan->from[scan->length - 1] == '}')) {
            lasts[i] = scan->from + scan->length - 1;
            group->ends[i] = scan->from + 1;
            going[count++] = (uint8_t)i;
        }
    }
    for (uint32_t n = 0; n < MOST && count; n++) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            const uint8_t text = going[i];
            const char *const at = group->ends[text], *const last = lasts[text];
            uint32_t slot = members->slots[slot_of(members, at)];
            if (TW_RARELY(slot >> SLOT_SHARED)) {
                slot = shared_slot(members, slot, at);
            }
            const uint32_t other = slot >> SLOT_OTHER & 1;
            const char *const value = at + (slot & SLOT_LENGTH);
            const unsigned stop = read->stop(value, (enum tw_members_kind)other);
            const char *end = value + stop;
            if (TW_RARELY(stop == 64)) {
                end = end_of_long(value, last, (enum tw_members_kind)other, read);
            }
            struct found *const found = &group->found[text][n];
            found->value = value;
            found->length = (uint32_t)(end - value);
            found->slot = slot;
            group->ends[text] = end + 2 - other; /* behind the comma or brace, and the quote in front of that */
            group->counts[text] = (uint8_t)(n + 1);
            going[left] = text;
            left += group->ends[text] <= last;
        }
        count = left;
    }
}

/* ---- looking ---- */

/* A value that is neither a string nor a usual number: the lexer decides. */
static __attribute__((noinline)) bool unusual_value(const struct scan *scan, size_t at, size_t end,
                                                    struct tumble_value *values, size_t count) {
    const struct tumble_bytes view = {scan->from, scan->length};
    struct tumble_value value;
    struct tw_lex lex;
    tw_lex_init(&lex, view, 1);
    if (tw_lex_scalar(&lex, scan->from + at, &value) != scan->from + end || value.type == TUMBLE_TYPE_STRING) {
        return false;
    }
    for (size_t i = 0; i < count; i++) { /* whose is it? A member of the same name may have come since. */
        if (values[i].text == scan->text + at) {
            values[i].type = value.type;
        }
    }
    return true;
}

/* Is this no number of the usual kind: 15 characters at most, no exponent? */
static inline __attribute__((always_inline)) bool is_unusual(const char *text, size_t bytes,
                                                             const struct tw_members_read *read) {
    const unsigned minus = *text == '-';
    /* Not digits, or behind the number. */
    const uint32_t others = ((read->digits(text) ^ 0xffff) | UINT32_C(1) << (bytes & 15)) >> minus;
    const unsigned length = (unsigned)bytes - minus;
    const unsigned whole = (unsigned)__builtin_ctz(others | 1 << 16);
    const unsigned all = (unsigned)__builtin_ctz((others & (others - 1)) | 1 << 16);
    text += minus;
    const bool decimal = (text[whole] == '.') & (all == length) & (all > whole + 1);
    return (bytes > 15) | (whole == 0) | ((*text == '0') & (whole > 1)) | !((whole == length) | decimal);
}

/* Not all of those that are no strings are usual numbers. */
static __attribute__((noinline)) bool look_closer(const struct scan *scan, const struct found *found, uint32_t count,
                                                  struct tumble_value *values, size_t value_count) {
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = (size_t)(found[i].value - scan->from);
        if (found[i].slot >> SLOT_OTHER & 1 && !unusual_value(scan, at, at + found[i].length, values, value_count)) {
            return false;
        }
    }
    return true;
}

static inline __attribute__((always_inline)) bool
look_at_members(const struct tw_members *members, const struct scan *scan, const struct found *found, uint32_t count,
                struct tumble_value *values, size_t value_count, const struct tw_members_read *read) {
    struct tumble_value nobody;
    struct tumble_value *const outs[2] = {&nobody, values}; /* looked up: a branch would be guessed wrong */
    uint16_t others[MOST];                                  /* members that are no strings */
    uint32_t other_count = 0;
    uint32_t wrong = 0;
    unsigned char in_front = '{';
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = found[i].slot, literal_length = slot & SLOT_LENGTH;
        const struct tw_member *const member = member_of(members, slot);
        const char *const value = found[i].value, *const literal = value - literal_length;
        wrong |= read->differ(literal, member->literal, literal_length);
        wrong |= (uint32_t)(unsigned char)literal[-1] ^ in_front;
        wrong |= ((uint32_t)(unsigned char)value[found[i].length] ^ '"') & member->quote;
        in_front = ',';
        others[other_count] = (uint16_t)i;
        other_count += slot >> SLOT_OTHER;
        struct tumble_value *const out = outs[member->wanted] + member->value;
        const uint64_t rest = member->described | found[i].length;
        out->text = scan->text + (value - scan->from);
        memcpy((char *)out + offsetof(struct tumble_value, length), &rest, sizeof rest);
    }
    if (TW_RARELY(wrong) || TW_RARELY(!read->is_plain(scan->from, scan->length))) {
        return false;
    }
    bool unusual = false;
    for (uint32_t i = 0; i < other_count; i++) {
        unusual |= is_unusual(found[others[i]].value, found[others[i]].length, read);
    }
    if (TW_RARELY(unusual) && !look_closer(scan, found, count, values, value_count)) {
        return false;
    }
    for (uint32_t i = 0; i < members->copy_count; i++) {
        values[members->copies[i].to] = values[members->copies[i].from];
    }
    return true;
}
_Static_assert(offsetof(struct tumble_value, length) == 8 && offsetof(struct tumble_value, type) == 12 &&
                   sizeof(struct tumble_value) == 16,
               "what follows the text is a word");

static inline __attribute__((always_inline)) void read_group(const struct tw_members *members, struct group *group,
                                                             const struct tw_members_read *read) {
    static const struct tumble_value missing;
    find_members(members, group, read);
    for (size_t i = 0; i < group->count; i++) {
        const struct scan *const scan = &group->scans[i];
        struct tumble_value *const values = group->values + i * group->value_count;
        for (size_t v = 0; v < group->value_count; v++) {
            values[v] = missing;
        }
        group->fits[i] =
            group->counts[i] && group->ends[i] == scan->from + scan->length &&
            look_at_members(members, scan, group->found[i], group->counts[i], values, group->value_count, read);
    }
}

static __attribute__((noinline)) void read_portable(const struct tw_members *members, struct group *group) {
    read_group(members, group, &tw_members_read_portable);
}

#if defined(TW_HAVE_AVX)
static TW_AVX2 __attribute__((noinline)) void read_avx2(const struct tw_members *members, struct group *group) {
    read_group(members, group, &tw_members_read_avx2);
}

static void read_best(const struct tw_members *members, struct group *group) {
    if (TW_OFTEN(tw_cpu_has_avx2())) {
        read_avx2(members, group);
    } else {
        read_portable(members, group);
    }
}
#elif defined(TW_HAVE_NEON)
static __attribute__((noinline)) void read_neon(const struct tw_members *members, struct group *group) {
    read_group(members, group, &tw_members_read_neon);
}

static void read_best(const struct tw_members *members, struct group *group) {
    if (TW_OFTEN(tw_cpu() == TW_CPU_NEON)) {
        read_neon(members, group);
    } else {
        read_portable(members, group);
    }
}
#else
static void read_best(const struct tw_members *members, struct group *group) { read_portable(members, group); }
#endif

/* ---- learning ---- */

/* A member of the text that is learned from. */
struct lesson {
    const char *literal; /* behind the comma or brace */
    const char *value;   /* its opening quote */
    const char *key;
    uint32_t key_length;
    bool string;
};

/* The members of an object; 0: too many, or something in it that no text which fits would have. */
static uint32_t members_of(struct tumble_bytes text, struct lesson *lessons) {
    struct tw_lex lex;
    struct tumble_value value;
    uint32_t count = 0;
    tw_lex_init(&lex, text, 1);
    if (text.length == 0 || *text.data != '{') {
        return 0;
    }
    for (const char *at = lex.begin + 1; count < MOST; at++) { /* behind the brace or comma in front of a member */
        struct lesson *lesson = &lessons[count++];
        uint8_t flags;
        lesson->literal = at;
        at = tw_lex_key(&lex, tw_lex_space(at, lex.end), TW_LEX_KEY, &lesson->key, &lesson->key_length, &flags);
        if (!at || flags) {
            return 0;
        }
        lesson->value = at;
        at = tw_lex_value(&lex, at, 0, &value);
        if (!at || value.type == TUMBLE_TYPE_ARRAY || value.type == TUMBLE_TYPE_OBJECT) {
            return 0;
        }
        for (uint32_t i = 0; i + 1 < count; i++) {
            if (lessons[i].key_length == lesson->key_length &&
                memcmp(lessons[i].key, lesson->key, lesson->key_length) == 0) {
                return 0; /* which of the two is meant is not to be learned */
            }
        }
        lesson->string = value.type == TUMBLE_TYPE_STRING;
        at = tw_lex_space(at, lex.end);
        if (at == lex.end || *at != ',') {
            return at < lex.end && *at == '}' ? count : 0;
        }
    }
    return 0;
}

static bool add_copy(struct tw_members *members, size_t to, size_t from) {
    for (uint32_t i = 0; i < members->copy_count; i++) {
        if (members->copies[i].to == to) {
            return true;
        }
    }
    if (members->copy_count == TW_MEMBERS_COPIES || to > UINT16_MAX) {
        return false;
    }
    members->copies[members->copy_count].to = (uint16_t)to;
    members->copies[members->copy_count++].from = (uint16_t)from;
    return true;
}

/* Adds the member unless it is known. False: it cannot be. */
static bool add_member(struct tw_members *members, const struct lesson *lesson, const struct tumble_value *values,
                       size_t value_count) {
    const size_t length = (size_t)(lesson->value - lesson->literal) + lesson->string;
    const enum tumble_type type = lesson->string ? TUMBLE_TYPE_STRING : TUMBLE_TYPE_NUMBER;
    struct tw_member new = {
        .length = (uint8_t)length, .quote = lesson->string ? 255 : 0, .described = (uint64_t)type << 32};
    if (length > TW_MEMBERS_LITERAL) {
        return false;
    }
    memcpy(new.literal, lesson->literal, length);
    for (uint32_t i = 1; i < members->count; i++) {
        const struct tw_member *known = &members->known[i];
        if (known->length == new.length && memcmp(known->literal, new.literal, length) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < value_count; i++) {
        if (values[i].type == TUMBLE_TYPE_MISSING || values[i].text != lesson->value + lesson->string) {
            continue;
        }
        if (new.wanted && !add_copy(members, i, new.value)) {
            return false;
        }
        if (!new.wanted) {
            new.wanted = 1;
            new.value = (uint16_t)i;
        }
    }
    if (members->count == TW_MEMBERS_KNOWN) {
        return false;
    }
    members->known[members->count++] = new;
    return true;
}

/* Puts every member into its slot; returns how many are not alone there. */
static uint32_t fill_slots(struct tw_members *members) {
    uint32_t shared = 0;
    for (uint32_t i = 0; i < TW_MEMBERS_SLOTS; i++) {
        members->slots[i] = slot_for(members, 0);
    }
    for (uint32_t i = 1; i < members->count; i++) {
        uint32_t *slot = &members->slots[slot_of(members, members->known[i].literal)];
        members->known[i].next = (uint8_t)((*slot & SLOT_KNOWN) >> 6);
        const bool taken = members->known[i].next != 0;
        *slot = slot_for(members, i) | (uint32_t)taken << SLOT_SHARED;
        shared += taken;
    }
    return shared;
}

static void find_slots(struct tw_members *members) {
    uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15), best = multiplier;
    uint32_t least = UINT32_MAX;
    members->mask = UINT64_MAX;
    for (uint32_t i = 1; i < members->count; i++) {
        const unsigned length = members->known[i].length;
        members->mask &= length < 8 ? (UINT64_C(1) << (8 * length)) - 1 : UINT64_MAX;
    }
    for (int i = 0; i < MULTIPLIERS && least; i++) {
        members->multiplier = multiplier;
        const uint32_t shared = fill_slots(members);
        if (shared < least) {
            least = shared;
            best = multiplier;
        }
        multiplier = (multiplier * UINT64_C(0xbf58476d1ce4e5b9)) | 1;
    }
    members->multiplier = best;
    fill_slots(members);
}

/* text was accepted by tumble_project, and these are its values. */
static __attribute__((cold, noinline)) void learn(struct tw_members *members, struct tumble_bytes text,
                                                  const struct tumble_value *values, size_t value_count) {
    struct lesson lessons[MOST];
    const uint32_t count = members_of(text, lessons);
    size_t whose = 0, wanted = 0;
    for (size_t i = 0; i < value_count; i++) {
        wanted += values[i].type != TUMBLE_TYPE_MISSING;
        for (uint32_t m = 0; m < count; m++) {
            whose += values[i].type != TUMBLE_TYPE_MISSING && values[i].text == lessons[m].value + lessons[m].string;
        }
    }
    if (count == 0 || whose != wanted) { /* also where the whole text is asked for */
        return;
    }
    if (members->count == 0) {
        members->known[0].length = 1; /* a NUL, which is in no text that fits */
        members->count = 1;
    }
    const uint32_t before = members->count;
    for (uint32_t m = 0; m < count; m++) {
        if (!add_member(members, &lessons[m], values, value_count)) {
            break;
        }
    }
    if (members->count > before) {
        find_slots(members);
    }
}

/* ---- the rest ---- */

/* Can the text be read where it is, and so far behind it? */
static bool is_padded(struct tumble_bytes text, struct tumble_bytes around) {
    const uintptr_t at = (uintptr_t)text.data, begin = (uintptr_t)around.data;
    return at >= begin && at - begin < around.length && around.length - (at - begin) >= text.length + TW_MEMBERS_PAD;
}

/* members->apart: every miss adds to it, every hit halves it, and once it is high it sinks by one for each text that is
 * not tried. */
enum { APART_MISS = 16, APART_HIGH = 128 };

static void note(struct tw_members *members, bool hit) {
    const unsigned apart = hit ? members->apart / 2u : members->apart + (unsigned)APART_MISS;
    members->apart = (uint8_t)(apart < APART_HIGH + APART_MISS ? apart : APART_HIGH + APART_MISS - 1);
}

static bool read_slowly(struct tw_members *members, const struct tumble_projection *projection,
                        struct tumble_bytes text, struct tumble_value *values, size_t value_count) {
    if (tumble_project(projection, text, 1, values, NULL, NULL) != TUMBLE_OK) {
        return false;
    }
    learn(members, text, values, value_count);
    return true;
}

size_t tw_members_project(struct tw_members *members, const struct tumble_projection *projection,
                          const struct tumble_bytes *texts, size_t count, struct tumble_bytes around,
                          struct tumble_value *values, bool *fits) {
    char copy[TW_MEMBERS_BYTES + TW_MEMBERS_PAD]; /* of one text a group */
    const size_t value_count = tumble_projection_count(projection);
    struct group group;
    group.value_count = value_count;
    size_t fit = 0;
    memset(fits, 0, count * sizeof *fits);
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        return 0;
    }
    if (TW_RARELY(members->apart >= APART_HIGH)) {
        const size_t above = members->apart - (size_t)(APART_HIGH - 1);
        members->apart = (uint8_t)(members->apart - (count < above ? count : above));
        return 0;
    }
    for (size_t first = 0; first < count; first += group.count) {
        bool copied = false;
        for (group.count = 0; group.count < GROUP && first + group.count < count; group.count++) {
            const struct tumble_bytes text = texts[first + group.count];
            struct scan *scan = &group.scans[group.count];
            *scan = (struct scan){text.data, text.data, text.length};
            if (TW_RARELY(text.length > TW_MEMBERS_BYTES)) {
                scan->length = 0;
            } else if (TW_RARELY(!is_padded(text, around))) {
                if (copied) {
                    break;
                }
                copied = true;
                if (text.length) {
                    memcpy(copy, text.data, text.length);
                }
                memset(copy + text.length, 0, TW_MEMBERS_PAD);
                scan->from = copy;
            }
        }
        group.values = values + first * value_count;
        group.fits = fits + first;
        const bool tried = members->count > 0;
        if (tried) {
            read_best(members, &group);
        }
        for (size_t i = first; i < first + group.count; i++) {
            if (tried && TW_RARELY(!fits[i] || members->apart)) {
                note(members, fits[i]);
            }
            if (TW_RARELY(!fits[i])) {
                fits[i] = read_slowly(members, projection, texts[i], values + i * value_count, value_count);
            }
            fit += fits[i];
        }
    }
    return fit;
}
