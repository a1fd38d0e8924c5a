#include "engine/codec/layout.h"

#include "engine/codec/base64.h"
#include "engine/codec/cpu.h"
#include "engine/codec/layout_read.h"

enum {
    TRUST = 16,         /* lengths of a value that may differ from the usual one */
    TRUST_AGAIN = 4096, /* texts after which all are trusted again */
    WORTH_IT = 8,       /* fits after which a layout has paid for being learned */
    MAX_REST = 9,       /* log2 of the longest pause */
    SETTLED = 256,      /* texts after which lengths that vary are known to, and runs are made */
    RUN_MISSES = 32,    /* texts that do not fit a run, after which it is given up */
    LINE = 64           /* of a cache */
};

_Static_assert(TUMBLE_LAYOUT_BYTES + TW_LAYOUT_PAD <= sizeof((struct tumble_layout *)0)->bytes,
               "room for vector compares");
_Static_assert(sizeof(struct tumble_layout) <= 8192, "a layout is a fixed, small thing");
_Static_assert(TUMBLE_LAYOUT_RUN_BYTES % LINE == 0, "what is aligned in least is in span");

/* ---- matching ---- */

/* The values that are no slots of their own: constants, containers, and second values of one path. */
static void fill_spans(const struct tumble_layout *layout, const char *const *starts, struct tumble_value *values) {
    for (uint32_t i = 0; i < layout->span_count; i++) {
        const struct tumble_layout_span *span = &layout->spans[i];
        if (span->type == TUMBLE_TYPE_MISSING) {
            values[span->value] = values[span->begin_offset];
        } else {
            tw_lex_describe(&values[span->value], starts[span->begin_part] + span->begin_offset,
                            starts[span->end_part] + span->end_offset, (enum tumble_type)span->type, span->flags);
        }
    }
}

static __attribute__((noinline)) const char *unusual_slot(struct tw_lex *lex, const char *at,
                                                          struct tumble_value *out) {
    return tw_lex_scalar(lex, at, out);
}

/* Lengths that varied may have settled: each gets as much trust as it had, and is corrected at its first surprise. */
static __attribute__((cold, noinline)) void trust_again(struct tumble_layout *layout) {
    for (uint32_t i = 0; i + 1 < layout->part_count; i++) {
        struct tumble_layout_part *part = &layout->parts[i];
        part->trust = TRUST;
        part->usual = part->usual ? part->usual : 1;
    }
}

static __attribute__((noinline)) void surprise(struct tumble_layout_part *part, size_t length) {
    part->trust--;
    part->usual = part->trust && length <= UINT16_MAX ? (uint16_t)length : 0;
}

static inline void note_length(struct tumble_layout_part *part, size_t length) {
    if (TW_RARELY(part->usual && part->usual != length)) {
        surprise(part, length);
    }
}

/* Where a slot ends decides where everything behind it is looked for, so that a processor cannot begin with the next
 * before it is done with this one, unless it can guess: a branch is guessed, a sum is not. So what a slot had for a
 * length before is tried first. The barrier keeps the compiler from seeing that what is returned is stop again. */
static inline const char *number_stop(struct tumble_layout_part *part, const char *begin, const char *stop) {
    const char *guess = begin + part->usual;
    const char *next = guess;
    __asm__("" : "+r"(next));
    if (TW_OFTEN(stop == guess)) {
        return next;
    }
    note_length(part, (size_t)(stop - begin));
    return stop;
}

static bool in_ranges(const char *at, const unsigned char *least, const unsigned char *span, size_t from,
                      size_t count) {
    for (size_t i = from; i < from + count; i++) {
        if ((unsigned char)((unsigned char)at[i] - least[i]) > span[i]) {
            return false;
        }
    }
    return true;
}

static bool is_plain(char c) { return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\'; }

static void set_range(struct tumble_layout *layout, size_t at, unsigned least, unsigned span) {
    layout->least[at] = (unsigned char)least;
    layout->span[at] = (unsigned char)span;
}

static void set_loose(struct tumble_layout *layout, struct tumble_layout_run *run, size_t i) {
    set_range(layout, run->from + i, TW_LAYOUT_LOOSE_LEAST, TW_LAYOUT_LOOSE);
    run->loose |= UINT32_C(1) << i / 32;
}

static inline __attribute__((always_inline)) bool looks_like(const struct tumble_layout *layout,
                                                             const struct tumble_layout_run *run, const char *at,
                                                             const struct tw_layout_read *read) {
    const struct tw_layout_ranges ranges = {layout->least + run->from, layout->span + run->from, run->length,
                                            run->loose};
    return read->looks_like(at, &ranges);
}

/* The values of a run whose text looks right; false: a number is not there, or not so long. */
static inline __attribute__((always_inline)) bool
take_places(const struct tumble_layout *layout, const struct tumble_layout_run *run, const char *begin, const char *at,
            const char *end, struct tumble_value *values, const struct tw_layout_read *read) {
    const struct tumble_layout_place *place = layout->places + run->place;
    for (const struct tumble_layout_place *stop = place + run->places; place < stop; place++) {
        const char *text = at + place->offset;
        if (TW_RARELY(place->looked_at) && (((unsigned char)(*text - '0') > 9 && *text != '-') ||
                                            read->scan_number(begin, text, end) != text + place->value.length)) {
            return false;
        }
        if (place->target != TW_LAYOUT_NOBODY) {
            tw_layout_put(&values[place->target], place, text);
        }
    }
    return true;
}

/* The text at at does not look as the run says: perhaps because of where a range was guessed, which is taken back. */
static __attribute__((cold, noinline)) bool loosen(struct tumble_layout *layout, struct tumble_layout_run *run,
                                                   const char *at) {
    unsigned char *const least = layout->least + run->from, *const span = layout->span + run->from;
    for (size_t i = 0; i < run->places; i++) { /* a number may as well be another of that length */
        struct tumble_layout_place *place = &layout->places[run->place + i];
        if (place->value.type == TUMBLE_TYPE_NUMBER && !place->looked_at) {
            place->looked_at = !in_ranges(at, least, span, place->offset, place->value.length);
            for (size_t k = place->offset; place->looked_at && k < (size_t)place->offset + place->value.length; k++) {
                set_loose(layout, run, k);
            }
        }
    }
    for (size_t i = 0; i < run->length; i++) {
        const bool inside = in_ranges(at, least, span, i, 1), plain = is_plain(at[i]);
        if (!plain && (!inside || span[i])) {
            return false;
        }
        if (!inside) {
            if (span[i] == 0) {
                return false;
            }
            set_loose(layout, run, i);
        }
    }
    return true;
}

static __attribute__((noinline)) void missed_run(struct tumble_layout_run *run, struct tumble_layout_part *part) {
    if (++run->misses == RUN_MISSES) {
        part->run = 0;
    }
}

static inline __attribute__((always_inline)) const char *match(struct tumble_layout *layout, struct tw_lex *lex,
                                                               const char *at, struct tumble_value *values,
                                                               const struct tw_layout_read *read) {
    const char *starts[TUMBLE_LAYOUT_PARTS];
    const char *const begin = lex->begin;
    const char *const end = lex->end;
    struct tw_lex_decode *const decode = lex->decode;
    struct tumble_layout_part *part = layout->parts;
    struct tumble_layout_part *const last = part + layout->part_count - 1;
    struct tumble_value ignored;
    for (const char **start = starts;; start++, part++) {
        size_t length = part->length;
        *start = at;
        if (read->looks_like && part->run) {
            struct tumble_layout_run *run = &layout->runs[part->run - 1];
            if (TW_OFTEN((size_t)(end - at) >= run->length) &&
                (TW_OFTEN(looks_like(layout, run, at, read)) || loosen(layout, run, at)) &&
                TW_OFTEN(take_places(layout, run, begin, at, end, values, read))) {
                at += run->length;
                part += run->parts;
                start += run->parts;
                goto behind_literal;
            }
            missed_run(run, part);
        }
        if (TW_RARELY(!read->same(at, (size_t)(end - at), layout->bytes + part->offset, length))) {
            return NULL;
        }
        at += length;
    behind_literal:
        if (part == last) {
            break;
        }
        if (TW_RARELY(at == end)) {
            return NULL;
        }
        struct tumble_value *out = part->target == TW_LAYOUT_NOBODY ? &ignored : &values[part->target];
        const char *stop;
        if (*at == '"') {
            const size_t usual = part->usual;
            if (decode && part->target == decode->value) {
                size_t taken =
                    read->decode_quoted(at + 1, (size_t)(end - at) - 1, decode->out, decode->room, &decode->length);
                if (TW_OFTEN(taken != TW_BASE64_UNQUOTED)) {
                    tw_lex_describe(out, at + 1, at + 1 + taken, TUMBLE_TYPE_STRING, 0);
                    part->usual = 0; /* its length is nobody's business, and it is part of no run */
                    at += taken + 2;
                    continue;
                }
                decode->length = TW_BASE64_UNQUOTED;
            }
            if (usual && TW_OFTEN(read->ends_at(at, (size_t)(end - at), usual))) {
                tw_lex_describe(out, at + 1, at + usual, TUMBLE_TYPE_STRING, 0);
                at += usual + 1;
                continue;
            }
            stop = read->scan_string(begin, at + 1, end);
            if (TW_OFTEN(stop < end && *stop == '"')) {
                tw_lex_describe(out, at + 1, stop, TUMBLE_TYPE_STRING, 0);
                note_length(part, (size_t)(stop - at));
                at = stop + 1;
                continue;
            }
        } else if (*at <= '9' && *at != ' ') {
            stop = read->scan_number(begin, at, end);
            if (TW_OFTEN(stop != NULL)) {
                tw_lex_describe(out, at, stop, TUMBLE_TYPE_NUMBER, 0);
                at = number_stop(part, at, stop);
                continue;
            }
        }
        at = unusual_slot(lex, at, out);
        if (TW_RARELY(!at)) {
            return NULL;
        }
    }
    if (layout->span_count) {
        fill_spans(layout, starts, values);
    }
    return at;
}

static __attribute__((noinline)) const char *match_portable(struct tumble_layout *layout, struct tw_lex *lex,
                                                            const char *at, struct tumble_value *values) {
    return match(layout, lex, at, values, &tw_read_portable);
}

#if defined(TW_HAVE_AVX)
static TW_AVX2 __attribute__((noinline)) const char *match_avx2(struct tumble_layout *layout, struct tw_lex *lex,
                                                                const char *at, struct tumble_value *values) {
    return match(layout, lex, at, values, &tw_read_avx2);
}

static TW_AVX512 __attribute__((noinline)) const char *match_avx512(struct tumble_layout *layout, struct tw_lex *lex,
                                                                    const char *at, struct tumble_value *values) {
    return match(layout, lex, at, values, &tw_read_avx512);
}

static inline const char *match_best(struct tumble_layout *layout, struct tw_lex *lex, const char *at,
                                     struct tumble_value *values) {
    if (TW_OFTEN(tw_cpu() == TW_CPU_AVX512)) {
        return match_avx512(layout, lex, at, values);
    }
    return TW_OFTEN(tw_cpu_has_avx2()) ? match_avx2(layout, lex, at, values) : match_portable(layout, lex, at, values);
}
#elif defined(TW_HAVE_NEON)
static __attribute__((noinline)) const char *match_neon(struct tumble_layout *layout, struct tw_lex *lex,
                                                        const char *at, struct tumble_value *values) {
    return match(layout, lex, at, values, &tw_read_neon);
}

static inline const char *match_best(struct tumble_layout *layout, struct tw_lex *lex, const char *at,
                                     struct tumble_value *values) {
    return TW_OFTEN(tw_cpu() == TW_CPU_NEON) ? match_neon(layout, lex, at, values)
                                             : match_portable(layout, lex, at, values);
}
#else
static inline const char *match_best(struct tumble_layout *layout, struct tw_lex *lex, const char *at,
                                     struct tumble_value *values) {
    return match_portable(layout, lex, at, values);
}
#endif

/* ---- runs ---- */

static void put_literal(struct tumble_layout *layout, size_t at, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        set_range(layout, at + i, (unsigned char)text[i], 0);
    }
}

/* Most values have digits where another has digits, and so on: where that proves wrong loosen takes it back. Between
 * the two ranges lies the backslash, in front of the first the quote. */
static void put_string(struct tumble_layout *layout, struct tumble_layout_run *run, size_t at, const char *text,
                       size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] > '\\') {
            set_range(layout, at + i, '\\' + 1, 0x7f - '\\' - 1);
        } else if (text[i] > '"') {
            set_range(layout, at + i, '"' + 1, '\\' - '"' - 2);
        } else {
            set_loose(layout, run, at + i - run->from);
        }
    }
}

/* Digits are digits, a first one of several none that is 0, and what else there is is the same. */
static void put_number(struct tumble_layout *layout, size_t at, const char *text, size_t length) {
    const size_t first = text[0] == '-';
    const bool several = length > first + 1 && text[first + 1] != '.';
    put_literal(layout, at, text, length);
    for (size_t i = first; i < length; i++) {
        if (text[i] != '.') {
            const unsigned zero = i == first && several;
            set_range(layout, at + i, '0' + zero, 9 - zero);
        }
    }
}

/* A value as long as it usually is, and of a kind that a run can tell by its bytes. */
static bool is_settled(const struct tumble_layout_part *part, const char *begin, const char *end,
                       const struct tumble_value *value) {
    if (value->type == TUMBLE_TYPE_STRING) {
        return value->flags == 0 && part->usual == value->length + 1;
    }
    return value->type == TUMBLE_TYPE_NUMBER && part->usual == value->length &&
           tw_scan_number_in(begin, value->text, end) == value->text + value->length;
}

/* Where a run's bytes begin: no vector of them is to lie in two cache lines, which costs as much as one more. A layout
 * that has been moved since is as right. */
static uint16_t next_run(const struct tumble_layout *layout) {
    const uintptr_t at = (uintptr_t)(layout->least + layout->run_bytes);
    return (uint16_t)(layout->run_bytes + (-at & (LINE - 1)));
}

/* Makes a run of the parts from part on, whose text begins at at, as far as values are settled. Returns the part in
 * front of the value that is not, or the last, and sets *stop to the place behind that part's bytes. */
static struct tumble_layout_part *make_run(struct tumble_layout *layout, struct tw_lex *lex,
                                           struct tumble_layout_part *part, const char *at, const char **stop) {
    struct tumble_layout_part *const first = part;
    struct tumble_layout_part *const last = layout->parts + layout->part_count - 1;
    struct tumble_layout_run run = {.from = next_run(layout), .place = layout->place_count};
    const size_t from = run.from, room = (size_t)TUMBLE_LAYOUT_RUN_BYTES - from;
    size_t length = 0;
    bool small = true; /* enough for the bytes that are left */
    for (;; part++) {
        small = small && length + part->length <= room;
        if (small) {
            put_literal(layout, from + length, at, part->length);
        }
        length += part->length;
        at += part->length;
        if (part == last) {
            break;
        }
        struct tumble_value value;
        const char *behind = tw_lex_scalar(lex, at, &value);
        if (!behind || !is_settled(part, lex->begin, lex->end, &value)) {
            break;
        }
        size_t bytes = (size_t)(behind - at);
        small = small && length + bytes <= room;
        if (small && value.type == TUMBLE_TYPE_STRING) {
            put_literal(layout, from + length, at, bytes); /* its quotes */
            put_string(layout, &run, from + length + 1, value.text, value.length);
        } else if (small) {
            put_number(layout, from + length, at, bytes);
        }
        if (part->target != TW_LAYOUT_NOBODY || value.type == TUMBLE_TYPE_NUMBER) {
            struct tumble_layout_place *place = &layout->places[layout->place_count++];
            place->offset = (uint16_t)(length + (size_t)(value.text - at));
            place->target = part->target;
            place->looked_at = 0;
            place->value = value;
            place->value.text = NULL; /* a layout holds no pointers */
        }
        length += bytes;
        at = behind;
    }
    *stop = at;
    if (part == first || length < 32 || !small || layout->run_count == TUMBLE_LAYOUT_RUNS) {
        layout->place_count = run.place;
        return part;
    }
    run.length = (uint16_t)length;
    run.parts = (uint8_t)(part - first);
    run.places = (uint8_t)(layout->place_count - run.place);
    layout->runs[layout->run_count] = run;
    first->run = ++layout->run_count;
    layout->run_bytes = (uint16_t)(from + length);
    return part;
}

/* The text at at fitted: what has not varied lately will be compared as one from now on. */
static __attribute__((cold, noinline)) void make_runs(struct tumble_layout *layout, struct tw_lex *lex,
                                                      const char *at) {
    struct tumble_layout_part *part = layout->parts;
    struct tumble_layout_part *const last = part + layout->part_count - 1;
    layout->run_count = layout->place_count = 0;
    layout->run_bytes = 0;
    for (uint32_t i = 0; i < layout->part_count; i++) {
        layout->parts[i].run = 0;
    }
    for (uint32_t i = 0; i < layout->span_count; i++) {
        if (layout->spans[i].type != TUMBLE_TYPE_MISSING) {
            return; /* it is found by where each part begins, which a run does not tell */
        }
    }
    while (part <= last) {
        struct tumble_value value;
        part = make_run(layout, lex, part, at, &at);
        at = part < last ? tw_lex_scalar(lex, at, &value) : NULL;
        if (!at) {
            return;
        }
        part++;
    }
}

/* After every so many texts that fitted, of which the one at at is the last. */
static __attribute__((cold, noinline)) void look_again(struct tumble_layout *layout, struct tw_lex *lex,
                                                       const char *at) {
    if (layout->fits % TRUST_AGAIN == 0) {
        layout->fits = TRUST_AGAIN;
        trust_again(layout);
    } else if (layout->fits % TRUST_AGAIN == SETTLED) {
        make_runs(layout, lex, at);
    }
}

const char *tw_layout_match(struct tumble_layout *layout, struct tw_lex *lex, const char *at,
                            struct tumble_value *values) {
    const char *const begin = at;
    layout->fitted = 0;
    if (TW_RARELY(layout->part_count == 0)) {
        return NULL;
    }
    at = match_best(layout, lex, at, values);
    if (at) {
        layout->fitted = 1;
        layout->missed = 0;
        if (TW_RARELY(++layout->fits % SETTLED == 0)) {
            look_again(layout, lex, begin);
        }
    }
    return at;
}

/* ---- learning ---- */

/* Where a value begins, its opening quote included. */
static const char *begin_of(const struct tumble_value *value) {
    return value->text - (value->type == TUMBLE_TYPE_STRING);
}

static const char *end_of(const struct tumble_value *value) {
    return value->text + value->length + (value->type == TUMBLE_TYPE_STRING);
}

static uint16_t value_at(const char *at, const struct tumble_value *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (values[i].type != TUMBLE_TYPE_MISSING && begin_of(&values[i]) == at) {
            return (uint16_t)i;
        }
    }
    return TW_LAYOUT_NOBODY;
}

struct lesson {
    struct tumble_layout *layout;
    const char *starts[TUMBLE_LAYOUT_PARTS]; /* of every part's literal */
    size_t bytes;                            /* of literals so far */
};

/* Ends the literal that began with the current part at at. False: it is too large. */
static bool end_literal(struct lesson *lesson, const char *at, uint16_t target) {
    struct tumble_layout *layout = lesson->layout;
    struct tumble_layout_part *part = &layout->parts[layout->part_count];
    const char *start = lesson->starts[layout->part_count];
    size_t length = (size_t)(at - start);
    if (length > TUMBLE_LAYOUT_BYTES - lesson->bytes) {
        return false;
    }
    memcpy(layout->bytes + lesson->bytes, start, length);
    part->offset = (uint16_t)lesson->bytes;
    part->length = (uint16_t)length;
    part->target = target;
    part->usual = 0;
    part->trust = 0;
    part->run = 0;
    lesson->bytes += length;
    layout->part_count++;
    return true;
}

/* The place behind the scalar at at, or at itself when something else is there. *key: it is a member's name. */
static const char *scalar_end(struct tw_lex *lex, const char *at, bool *key) {
    struct tumble_value value = {0};
    *key = false;
    if (memchr("{}[],: \t\r\n", *at, 10)) {
        return at;
    }
    const char *stop = tw_lex_scalar(lex, at, &value);
    if (stop && value.type == TUMBLE_TYPE_STRING) {
        const char *behind = tw_lex_space(stop, lex->end);
        *key = behind < lex->end && *behind == ':';
    }
    return stop;
}

/* Cuts the text into literals and slots. */
static bool cut(struct lesson *lesson, const char *begin, const char *end, const struct tumble_value *values,
                size_t count, bool all_slots) {
    struct tumble_layout *layout = lesson->layout;
    struct tumble_bytes text = {begin, (size_t)(end - begin)};
    struct tw_lex lex;
    tw_lex_init(&lex, text, 1);
    lesson->starts[0] = begin;
    for (const char *at = begin; at < end;) {
        bool key;
        const char *stop = scalar_end(&lex, at, &key);
        if (!stop) {
            return false;
        }
        uint16_t target = stop == at || key ? TW_LAYOUT_NOBODY : value_at(at, values, count);
        if (stop > at && !key && (all_slots || target != TW_LAYOUT_NOBODY)) {
            if (layout->part_count + 1 >= TUMBLE_LAYOUT_PARTS || !end_literal(lesson, at, target)) {
                return false;
            }
            struct tumble_layout_part *part = &layout->parts[layout->part_count - 1];
            part->trust = TRUST;
            part->usual = (uint16_t)(stop - at <= UINT16_MAX ? stop - at - (*at == '"') : 0);
            lesson->starts[layout->part_count] = stop;
        }
        layout->newlines += *at == '\n';
        at = stop > at ? stop : at + 1;
    }
    return end_literal(lesson, end, TW_LAYOUT_NOBODY);
}

/* The part whose literal holds at, which is inside the literal or at one of its ends. Where one literal ends a slot
 * begins, so what lies at an end belongs to that literal. */
static bool locate(const struct lesson *lesson, const char *at, uint16_t *part, uint16_t *offset) {
    for (uint32_t i = 0; i < lesson->layout->part_count; i++) {
        const char *start = lesson->starts[i];
        if (at >= start && at <= start + lesson->layout->parts[i].length) {
            *part = (uint16_t)i;
            *offset = (uint16_t)(at - start);
            return true;
        }
    }
    return false;
}

static bool add_span(struct lesson *lesson, const struct tumble_value *values, uint16_t index) {
    struct tumble_layout *layout = lesson->layout;
    const struct tumble_value *value = &values[index];
    if (layout->span_count == TUMBLE_LAYOUT_SPANS) {
        return false;
    }
    struct tumble_layout_span *span = &layout->spans[layout->span_count++];
    memset(span, 0, sizeof *span);
    span->value = index;
    for (uint32_t i = 0; i + 1 < layout->part_count; i++) { /* the same slot as another value's? */
        uint16_t target = layout->parts[i].target;
        if (target != TW_LAYOUT_NOBODY && begin_of(&values[target]) == begin_of(value) &&
            end_of(&values[target]) == end_of(value)) {
            span->begin_offset = target;
            return true;
        }
    }
    span->type = value->type;
    span->flags = value->flags;
    return locate(lesson, value->text, &span->begin_part, &span->begin_offset) &&
           locate(lesson, value->text + value->length, &span->end_part, &span->end_offset);
}

static bool is_target(const struct tumble_layout *layout, uint16_t index) {
    for (uint32_t i = 0; i + 1 < layout->part_count; i++) {
        if (layout->parts[i].target == index) {
            return true;
        }
    }
    return false;
}

static bool learn(struct tumble_layout *layout, const char *begin, const char *end, const struct tumble_value *values,
                  size_t count, bool all_slots) {
    struct lesson lesson = {.layout = layout};
    layout->part_count = 0;
    layout->span_count = 0;
    layout->run_count = layout->place_count = 0;
    layout->run_bytes = 0;
    layout->newlines = 0;
    layout->fits = 0;
    layout->missed = 0;
    if (count >= TW_LAYOUT_NOBODY || (*begin != '{' && *begin != '[') ||
        !cut(&lesson, begin, end, values, count, all_slots)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (values[i].type != TUMBLE_TYPE_MISSING && !is_target(layout, (uint16_t)i) &&
            !add_span(&lesson, values, (uint16_t)i)) {
            return false;
        }
    }
    return true;
}

void tw_layout_learn(struct tumble_layout *layout, const char *begin, const char *end,
                     const struct tumble_value *values, size_t count, bool all_slots) {
    layout->fitted = 0;
    if (layout->rest > 0) {
        layout->rest--;
        return;
    }
    if (layout->part_count > 0) {
        if (layout->fits >= WORTH_IT) {
            layout->pauses = 0;
            if (!layout->missed) { /* one odd text among many that fit */
                layout->missed = 1;
                return;
            }
        } else { /* texts vary: next time with more slots, and after a pause that grows */
            layout->vary = 1;
            layout->part_count = 0;
            layout->pauses = (uint8_t)(layout->pauses < MAX_REST ? layout->pauses + 1 : MAX_REST);
            layout->rest = (UINT32_C(1) << layout->pauses) - 2;
            if (layout->rest > 0) {
                return;
            }
        }
    }
    if (!learn(layout, begin, end, values, count, all_slots || layout->vary)) {
        layout->part_count = 0;
        layout->rest = UINT32_C(1) << MAX_REST;
    }
}
