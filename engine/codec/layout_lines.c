#include "engine/codec/cpu.h"
#include "engine/codec/layout.h"
#include "engine/codec/layout_read.h"

/* Many texts of one layout, one behind the other. For a few hundred of them it pays to write down first, flatly, what
 * the layout says: then a text is a handful of compares, each of bytes known to lie in memory. Whatever is not as it
 * mostly is (a string with something special in it, a long value, the last texts of a buffer) goes to tw_layout_match,
 * which decides alone. */

enum {
    SLOT_BYTES = 66, /* longest value that is read here, its quotes included */
    FEW = 8          /* texts for which nothing is written down */
};

#if defined(TW_HAVE_AVX)

struct step {
    struct tw_layout_ranges ranges; /* of a run */
    const char *literal;            /* of at most 32 bytes; NULL: a run */
    const struct tumble_layout_place *places;
    uint32_t length;
    uint32_t mask; /* literal: bits of its bytes */
    uint32_t place_count;
    uint16_t target;   /* of the slot behind it */
    uint16_t part;     /* whose slot that is */
    uint32_t usual;    /* its length, as a part has it; 0: it varies */
    uint32_t surprise; /* not 0: it had others */
};

struct plan {
    struct step steps[TUMBLE_LAYOUT_PARTS];
    size_t count;
    size_t bytes;                        /* so many behind a text's beginning make every load below one of the buffer */
    uint16_t unset[TUMBLE_LAYOUT_SPANS]; /* values that no text of this layout has */
    size_t unset_count;
};

static bool is_filled(const struct tumble_layout *layout, size_t value) {
    for (uint32_t i = 0; i + 1 < layout->part_count; i++) {
        if (layout->parts[i].target == value) {
            return true;
        }
    }
    return false;
}

/* False: not a layout for this. */
static bool write_down(const struct tumble_layout *layout, size_t values, struct plan *plan) {
    plan->count = plan->unset_count = 0;
    plan->bytes = 64;
    if (layout->span_count) {
        return false;
    }
    for (size_t i = 0; i < values; i++) {
        if (!is_filled(layout, i)) {
            if (plan->unset_count == TUMBLE_LAYOUT_SPANS) {
                return false;
            }
            plan->unset[plan->unset_count++] = (uint16_t)i;
        }
    }
    for (uint32_t i = 0; i < layout->part_count; i++) {
        const struct tumble_layout_part *part = &layout->parts[i];
        struct step *step = &plan->steps[plan->count++];
        if (part->run) {
            const struct tumble_layout_run *run = &layout->runs[part->run - 1];
            *step =
                (struct step){.ranges = {layout->least + run->from, layout->span + run->from, run->length, run->loose},
                              .places = layout->places + run->place,
                              .length = run->length,
                              .place_count = run->places};
            i += run->parts;
        } else if (part->length <= 32) {
            *step = (struct step){.literal = layout->bytes + part->offset,
                                  .length = part->length,
                                  .mask = part->length == 32 ? UINT32_MAX : (UINT32_C(1) << part->length) - 1};
        } else {
            return false;
        }
        step->target = layout->parts[i].target;
        step->part = (uint16_t)i;
        step->usual = layout->parts[i].usual;
        plan->bytes += step->length + SLOT_BYTES;
    }
    return true;
}

static inline void put(struct tumble_value *out, const char *text, uint32_t length, enum tumble_type type) {
    out->text = text;
    out->length = length;
    out->type = (uint8_t)type;
    out->flags = 0;
    out->reserved = 0;
}

static inline TW_AVX2 bool looks_as(const struct step *step, const char *at) {
    if (step->literal) {
        __m256i same = _mm256_cmpeq_epi8(tw_load_avx2(at), tw_load_avx2(step->literal));
        return (~(uint32_t)_mm256_movemask_epi8(same) & step->mask) == 0;
    }
    return tw_looks_like_avx2(at, &step->ranges);
}

/* Which of the 16 bytes at at are digits. */
static inline TW_AVX2 uint32_t digits_at(const char *at) {
    __m128i values = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), _mm_set1_epi8('0'));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values));
}

/* The values of a run; false: a number is not there, or not so long, or not a plain integer. */
static inline TW_AVX2 bool take_places(const struct step *step, const char *at, struct tumble_value *values) {
    const struct tumble_layout_place *const end = step->places + step->place_count;
    for (const struct tumble_layout_place *place = step->places; place < end; place++) {
        const char *text = at + place->offset;
        if (TW_RARELY(place->looked_at)) { /* behind it stands what stood behind the one learned */
            uint32_t length = place->value.length, all = (UINT32_C(1) << (length & 31)) - 1;
            if (length > 15 || (digits_at(text) & all) != all || (*text == '0' && length > 1)) {
                return false;
            }
        }
        if (place->target != TW_LAYOUT_NOBODY) {
            tw_layout_put(&values[place->target], place, text);
        }
    }
    return true;
}

/* The place behind the value at at, which is put into out; NULL: look closer. */
static inline TW_AVX2 const char *take_slot(struct step *step, const char *at, struct tumble_value *out) {
    if (*at == '"') {
        uint32_t special = tw_special_mask_avx2(at + 1);
        uint32_t length = _tzcnt_u32(special);
        if (TW_RARELY(length == 32)) {
            length += _tzcnt_u32(tw_special_mask_avx2(at + 33));
        }
        if (TW_RARELY(at[1 + length] != '"')) { /* also behind 64 bytes without anything special */
            return NULL;
        }
        put(out, at + 1, length, TUMBLE_TYPE_STRING);
        step->surprise |= step->usual ^ (length + 1);
        return at + length + 2;
    }
    uint32_t others = digits_at(at) ^ 0xffff;
    uint32_t length = _tzcnt_u32(others | 0x10000);
    if (TW_RARELY(length - 1 >= 15 || (*at == '0' && length > 1))) {
        return NULL;
    }
    if (at[length] == '.') {
        uint32_t behind = length + 1;
        length = _tzcnt_u32(_blsr_u32(others) | 0x10000);
        if (TW_RARELY(length == behind || length >= 16)) {
            return NULL;
        }
    }
    if (TW_RARELY((at[length] | 0x20) == 'e')) {
        return NULL;
    }
    put(out, at, length, TUMBLE_TYPE_NUMBER);
    step->surprise |= step->usual ^ length;
    return at + length;
}

static inline TW_AVX2 const char *take_text(struct plan *plan, const char *at, struct tumble_value *values) {
    static const struct tumble_value missing;
    struct tumble_value ignored;
    for (size_t i = 0; i < plan->unset_count; i++) {
        values[plan->unset[i]] = missing;
    }
    struct step *const last = plan->steps + plan->count - 1;
    for (struct step *step = plan->steps;; step++) {
        if (TW_RARELY(!looks_as(step, at)) || (step->place_count && !take_places(step, at, values))) {
            return NULL;
        }
        at += step->length;
        if (step == last) {
            return at;
        }
        at = take_slot(step, at, step->target == TW_LAYOUT_NOBODY ? &ignored : &values[step->target]);
        if (TW_RARELY(!at)) {
            return NULL;
        }
    }
}

/* known: where texts begin and end is in lines. Then no text waits for the one before it. */
static inline TW_AVX2 __attribute__((always_inline)) size_t take_any(struct plan *plan, const char *at, const char *end,
                                                                     struct tumble_value *values, size_t count,
                                                                     struct tw_layout_line *lines, size_t most,
                                                                     bool known) {
    for (size_t n = 0; n < most; n++, values += count) {
        if (known) {
            at = lines[n].begin;
        } else if (TW_RARELY(at == end || *at++ != '\n')) {
            return n;
        }
        if (TW_RARELY((size_t)(end - at) < plan->bytes)) {
            return n;
        }
        const char *const behind = take_text(plan, at, values);
        if (TW_RARELY(!behind) || (known && TW_RARELY(behind != lines[n].end))) {
            return n;
        }
        lines[n] = (struct tw_layout_line){at, behind};
        at = behind;
    }
    return most;
}

static TW_AVX2 __attribute__((noinline)) size_t take_lines(struct plan *plan, const char *at, const char *end,
                                                           struct tumble_value *values, size_t count,
                                                           struct tw_layout_line *lines, size_t most) {
    return take_any(plan, at, end, values, count, lines, most, false);
}

static TW_AVX2 __attribute__((noinline)) size_t take_texts(struct plan *plan, const char *end,
                                                           struct tumble_value *values, size_t count,
                                                           struct tw_layout_line *lines, size_t most) {
    return take_any(plan, NULL, end, values, count, lines, most, true);
}

/* Lengths that were not the usual ones are no longer: as tw_layout_match would have it after a few. */
static void note_surprises(struct tumble_layout *layout, struct plan *plan) {
    for (size_t i = 0; i + 1 < plan->count; i++) {
        struct step *step = &plan->steps[i];
        if (step->surprise && step->usual) {
            layout->parts[step->part].usual = 0;
            step->usual = 0;
        }
    }
}

#endif

/* The text behind a line break at at, or at at when it is the first. */
static const char *behind_break(const char *at, const char *end, bool first) {
    if (at < end && *at == '\n') {
        return at + 1;
    }
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
        return at + 2;
    }
    return first ? at : NULL;
}

static bool take_one(struct tumble_layout *layout, const char *at, const char *end, struct tumble_value *values,
                     size_t count, struct tw_layout_line *line) {
    static const struct tumble_value missing;
    struct tumble_bytes text = {at, (size_t)(end - at)};
    struct tw_lex lex;
    tw_lex_init(&lex, text, 0);
    for (size_t i = 0; i < count; i++) {
        values[i] = missing;
    }
    line->begin = at;
    line->end = tw_layout_match(layout, &lex, at, values);
    return line->end != NULL;
}

static inline __attribute__((always_inline)) size_t match_any(struct tumble_layout *layout, const char *at,
                                                              const char *end, struct tumble_value *values,
                                                              size_t count, struct tw_layout_line *lines, size_t most,
                                                              bool known) {
    size_t read = 0;
#if defined(TW_HAVE_AVX)
    struct plan plan;
    uint32_t learned = 0; /* fits as of the plan: a layout may be made anew */
    bool planned = false;
#endif
    while (read < most && layout->part_count > 0) {
        const char *begin = known ? lines[read].begin : behind_break(at, end, read == 0);
        struct tw_layout_line line;
        if (!begin || !take_one(layout, begin, end, values + read * count, count, &line) ||
            (known && line.end != lines[read].end)) {
            break;
        }
        lines[read++] = line;
        at = line.end;
#if defined(TW_HAVE_AVX)
        if (most - read < FEW || !tw_cpu_has_avx2()) {
            continue;
        }
        /* Every 256th text is for tw_layout_match, which looks what has changed since. */
        size_t wanted = 255 - layout->fits % 256;
        wanted = wanted < most - read ? wanted : most - read;
        if (!planned || layout->fits / 256 != learned) {
            planned = write_down(layout, count, &plan);
            learned = layout->fits / 256;
        }
        size_t got = 0;
        if (planned) {
            got = known ? take_texts(&plan, end, values + read * count, count, lines + read, wanted)
                        : take_lines(&plan, at, end, values + read * count, count, lines + read, wanted);
        }
        layout->fits += (uint32_t)got;
        read += got;
        if (planned) {
            note_surprises(layout, &plan);
            planned = got == wanted;
        }
        at = lines[read - 1].end;
#endif
    }
    layout->fitted = layout->fitted || read > 0;
    return read;
}

size_t tw_layout_match_lines(struct tumble_layout *layout, const char *at, const char *end, struct tumble_value *values,
                             size_t count, struct tw_layout_line *lines, size_t most) {
    return match_any(layout, at, end, values, count, lines, most, false);
}

size_t tw_layout_match_texts(struct tumble_layout *layout, const char *end, struct tumble_value *values, size_t count,
                             struct tw_layout_line *lines, size_t most) {
    return match_any(layout, NULL, end, values, count, lines, most, true);
}
