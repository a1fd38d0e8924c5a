#include <stddef.h>
#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/base/fail.h"
#include "engine/codec/string_scan.h"
#include "engine/window/window.h"

/* Deltas of a window in the store; docs/format-frames.md describes them (kinds 15 and 17). Most groups of very many
 * have one record, whose number is their sum, minimum and maximum: it stands once. */

enum { COUNTS_ARE_RECORDS = 1, NUMBERS_ARE_ONE = 2, FLAG_BITS = 2, LONGEST_NAME = 32, LONGEST_COLUMN = 16, AHEAD = 24 };

/* The first byte of a number that is short: its exponent, from -16 to 14, and how many bytes its coefficient has. */
enum { LENGTH_BITS = 3, EXPONENT_BIAS = 17, EXPONENTS = 31 };

/* A total that is narrow and an extreme are the same bytes, when they are the same number. */
_Static_assert(sizeof(struct tw_total) == sizeof(struct tw_decimal), "a total is as long as an extreme");
_Static_assert(offsetof(struct tw_total, low) == offsetof(struct tw_decimal, low), "coefficient");
_Static_assert(offsetof(struct tw_total, high) == offsetof(struct tw_decimal, high), "coefficient, upper half");
_Static_assert(offsetof(struct tw_total, exponent) == offsetof(struct tw_decimal, exponent), "exponent");
_Static_assert(offsetof(struct tw_total, form) == offsetof(struct tw_decimal, reserved) && TW_TOTAL_NARROW == 1,
               "whether there is one");

/* Which aggregates are counts, which sums, minima and maxima, and which are neither: they stand in that order. */
struct columns {
    size_t count_count, number_count, other_count;
    struct column {
        uint32_t item, offset;
    } counts[TW_LIMIT_AGGREGATES], numbers[TW_LIMIT_AGGREGATES], others[TW_LIMIT_AGGREGATES];
};

static void find_columns(const struct tw_layout *layout, struct columns *columns) {
    columns->count_count = columns->number_count = columns->other_count = 0;
    for (size_t a = 0; a < layout->count; a++) {
        const struct column column = {(uint32_t)a, layout->items[a].offset};
        switch (layout->items[a].function->form) {
        case TW_FORM_COUNT: columns->counts[columns->count_count++] = column; break;
        case TW_FORM_TOTAL:
        case TW_FORM_EXTREME: columns->numbers[columns->number_count++] = column; break;
        case TW_FORM_OTHER:
        default: columns->others[columns->other_count++] = column; break;
        }
    }
}

static inline uint64_t word_at(const struct tw_group *group, uint32_t offset) {
    uint64_t word;
    memcpy(&word, (const char *)group->state + offset, sizeof word);
    return word;
}

/* A number's words, which stay in registers. */
struct number {
    uint64_t low, high;
    uint64_t rest; /* exponent and whether there is one */
};

static inline struct number number_at(const struct tw_group *group, uint32_t offset) {
    return (struct number){word_at(group, offset), word_at(group, offset + 8), word_at(group, offset + 16)};
}

static inline int exponent_of(uint64_t rest) {
    return (int32_t)(uint32_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? rest : rest >> 32);
}

static inline bool is_there(uint64_t rest) {
    return (uint32_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? rest >> 32 : rest) == 1;
}

/* There is one, 64 bits hold its coefficient, and its exponent has a place in the first byte. */
static inline bool is_short(struct number number) {
    return is_there(number.rest) && (int64_t)number.high == (int64_t)number.low >> 63 &&
           (unsigned)(exponent_of(number.rest) + EXPONENT_BIAS - 1) < EXPONENTS;
}

/* Is every one the same short number, without zeros at its end? */
static inline bool numbers_are_one(const struct columns *columns, const struct tw_group *group) {
    const struct number first = number_at(group, columns->numbers[0].offset);
    uint64_t differ = 0;
    for (size_t i = 1; i < columns->number_count; i++) {
        const struct number other = number_at(group, columns->numbers[i].offset);
        differ |= (first.low ^ other.low) | (first.high ^ other.high) | (first.rest ^ other.rest);
    }
    return differ == 0 && is_short(first) && ((int64_t)first.low % 10 != 0 || first.low == 0);
}

static inline unsigned flags_of(const struct columns *columns, const struct tw_group *group) {
    uint64_t differ = columns->count_count == 0;
    for (size_t i = 0; i < columns->count_count; i++) {
        differ |= word_at(group, columns->counts[i].offset) ^ group->records;
    }
    const bool one = group->records == 1 && columns->number_count > 1 && numbers_are_one(columns, group);
    return (differ ? 0 : COUNTS_ARE_RECORDS) | (one ? NUMBERS_ARE_ONE : 0);
}

/* ---- writing ---- */

static inline char *put_varint(uint64_t value, char *at) {
    if (TW_OFTEN(value < 0x80)) {
        *at = (char)value;
        return at + 1;
    }
    return at + tw_varint_in_place(value, at);
}

/* Room is there, and LONGEST_COLUMN more. */
static inline char *put_key(struct tumble_bytes key, char *at) {
    *at++ = 0;
    at = put_varint(key.length, at);
    if (key.length >= 8 && key.length <= 16) { /* the halves overlap */
        uint64_t head, tail;
        memcpy(&head, key.data, sizeof head);
        memcpy(&tail, key.data + key.length - sizeof tail, sizeof tail);
        memcpy(at, &head, sizeof head);
        memcpy(at + key.length - sizeof tail, &tail, sizeof tail);
    } else if (key.length) {
        memcpy(at, key.data, key.length);
    }
    return at + key.length;
}

/* Of a short one, without zeros at the end of its coefficient; returns at when its exponent has no place then. */
static inline char *put_number(struct number number, char *at) {
    const uint64_t sign = number.high;
    uint64_t magnitude = (number.low ^ sign) - sign;
    int exponent = exponent_of(number.rest);
    while (TW_RARELY(magnitude % 10 == 0) && magnitude) {
        magnitude /= 10;
        exponent++;
    }
    exponent = magnitude ? exponent : 0;
    if (TW_RARELY(exponent + EXPONENT_BIAS > EXPONENTS)) {
        return at;
    }
    uint64_t coefficient = (magnitude << 1) - (sign & 1);
    const unsigned length = (71 - (unsigned)__builtin_clzll(coefficient | 1)) / 8;
    *at++ = (char)((unsigned)(exponent + EXPONENT_BIAS) << LENGTH_BITS | (length - 1));
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        coefficient = __builtin_bswap64(coefficient);
    }
    memcpy(at, &coefficient, sizeof coefficient);
    return at + length;
}

/* A column as its function encodes it. */
static __attribute__((noinline)) enum tumble_code put_other(const struct tw_layout *layout, struct tw_group *group,
                                                            const struct column *column, size_t room,
                                                            struct tw_buf *out) {
    const struct tw_layout_item *const item = &layout->items[column->item];
    TW_TRY(item->function->encode(tw_group_state(group, column->offset), item->params, out));
    return tw_buf_reserve(out, room);
}

/* Those of a group that are not as nearly all are. */
static __attribute__((noinline)) enum tumble_code put_columns(const struct tw_layout *layout,
                                                              const struct columns *columns, struct tw_group *group,
                                                              unsigned flags, size_t room, struct tw_buf *out) {
    for (size_t i = 0; i < columns->count_count && !(flags & COUNTS_ARE_RECORDS); i++) {
        out->length += tw_varint_in_place(word_at(group, columns->counts[i].offset), out->data + out->length);
    }
    for (size_t i = 0; i < (flags & NUMBERS_ARE_ONE ? 1 : columns->number_count); i++) {
        const struct number number = number_at(group, columns->numbers[i].offset);
        char *const at = out->data + out->length;
        const size_t length = is_short(number) ? (size_t)(put_number(number, at) - at) : 0;
        out->length += length;
        if (!length) {
            *at = 0;
            out->length++;
            TW_TRY(put_other(layout, group, &columns->numbers[i], room, out));
        }
    }
    for (size_t i = 0; i < columns->other_count; i++) {
        TW_TRY(put_other(layout, group, &columns->others[i], room, out));
    }
    return TUMBLE_OK;
}

/* known: of how many groups the store has the places. */
static inline __attribute__((always_inline)) enum tumble_code put_group(const struct tw_layout *layout,
                                                                        const struct columns *columns,
                                                                        struct tw_group *group, uint64_t known,
                                                                        struct tw_buf *out) {
    const struct tumble_bytes key = {(const char *)group->state + layout->bytes, group->key_length};
    const size_t room = LONGEST_NAME + key.length + (layout->count + 1) * LONGEST_COLUMN;
    TW_TRY(tw_buf_reserve(out, room));
    const unsigned flags = flags_of(columns, group);
    char *at = out->data + out->length;
    at = group->place < known ? at + tw_varint_in_place((uint64_t)group->place + 1, at) : put_key(key, at);
    at = put_varint(group->records << FLAG_BITS | flags, at);
    out->length = (size_t)(at - out->data);
    if (TW_RARELY(columns->other_count || (columns->count_count && !(flags & COUNTS_ARE_RECORDS)))) {
        return put_columns(layout, columns, group, flags, room, out);
    }
    const size_t numbers = flags & NUMBERS_ARE_ONE ? 1 : columns->number_count;
    for (size_t i = 0; i < numbers; i++) {
        const struct number number = number_at(group, columns->numbers[i].offset);
        char *const end = TW_OFTEN(is_short(number)) ? put_number(number, at) : at;
        if (TW_RARELY(end == at)) {
            return put_columns(layout, columns, group, flags, room, out);
        }
        at = end;
    }
    out->length = (size_t)(at - out->data);
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_touched(const struct tw_window *window, struct tw_buf *out) {
    const struct tw_group_table *const table = &window->groups;
    const struct tw_layout *const layout = table->layout;
    const uint32_t *const touched = table->touched;
    const uint64_t known = window->group_count;
    const size_t n = table->touched_count;
    struct columns columns;
    find_columns(layout, &columns);
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            tw_group_fetch(table, touched[i + AHEAD]);
        }
        struct tw_group *const group = tw_group_at(table, touched[i]);
        group->touched = 0;
        TW_TRY(put_group(layout, &columns, group, known, out));
    }
    return TUMBLE_OK;
}

/* ---- reading ---- */

static enum tumble_code damaged(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "a stored delta of a window is damaged (%s): restore the state directory or start anew", what);
}

void tw_group_places_clean_up(struct tw_group_places *places, const struct tw_window *window) {
    tw_free(&window->groups.alloc, places->references);
    memset(places, 0, sizeof *places);
}

static enum tumble_code add_place(struct tw_group_places *places, const struct tw_window *window, uint32_t reference) {
    if (places->count == places->capacity) {
        size_t capacity = places->capacity ? places->capacity * 2 : 64;
        capacity = capacity < window->groups.count ? window->groups.count : capacity;
        uint32_t *references = tw_resize(&window->groups.alloc, places->references,
                                         places->capacity * sizeof *references, capacity * sizeof *references);
        if (!references) {
            return TUMBLE_ENOMEM;
        }
        places->references = references;
        places->capacity = capacity;
    }
    places->references[places->count++] = reference;
    return TUMBLE_OK;
}

/* The groups there are already, before the first delta that names them by their places. */
static enum tumble_code begin_places(struct tw_group_places *places, const struct tw_window *window) {
    struct tw_group_walk walk = {0};
    uint32_t reference;
    if (places->count == window->groups.count) {
        return TUMBLE_OK;
    }
    places->count = 0;
    while (tw_group_next(&window->groups, &walk, &reference)) {
        TW_TRY(add_place(places, window, reference));
    }
    return TUMBLE_OK;
}

static bool take_number(struct tw_cursor *in, unsigned first, struct tw_decimal *number) {
    const unsigned length = (first & ((1u << LENGTH_BITS) - 1)) + 1;
    const int exponent = (int)(first >> LENGTH_BITS) - EXPONENT_BIAS;
    struct tumble_bytes bytes;
    uint64_t coefficient = 0;
    if (first >> LENGTH_BITS == 0 || !tw_take_bytes(in, length, &bytes)) {
        return false;
    }
    for (unsigned i = length; i-- > 0;) {
        coefficient = coefficient << 8 | (unsigned char)bytes.data[i];
    }
    number->low = coefficient >> 1 ^ (0 - (coefficient & 1));
    number->high = (int64_t)number->low >> 63;
    number->exponent = exponent;
    number->reserved = 1;
    return (length == 1 || coefficient >> 8 * (length - 1)) &&
           (coefficient == 0 ? exponent == 0 : (int64_t)number->low % 10 != 0);
}

static enum tumble_code take_other(struct tw_window *window, struct tw_cursor *in, struct tw_group *group,
                                   const struct column *column, struct tumble_error *err) {
    const struct tw_layout_item *const item = &window->groups.layout->items[column->item];
    return item->function->decode(tw_group_state(group, item->offset), item->params, in, &window->heap, err);
}

/* The columns of a group, which are as init made them. */
static enum tumble_code take_columns(struct tw_window *window, const struct columns *columns, struct tw_cursor *in,
                                     struct tw_group *group, unsigned flags, struct tumble_error *err) {
    const bool is_one = flags & NUMBERS_ARE_ONE;
    if ((is_one && columns->number_count < 2) || (flags & COUNTS_ARE_RECORDS && columns->count_count == 0)) {
        return damaged(err, "a group's columns");
    }
    for (size_t i = 0; i < columns->count_count; i++) {
        if (flags & COUNTS_ARE_RECORDS) {
            memcpy(tw_group_state(group, columns->counts[i].offset), &group->records, sizeof group->records);
        } else {
            TW_TRY(take_other(window, in, group, &columns->counts[i], err));
        }
    }
    struct tw_decimal number = {0};
    for (size_t i = 0; i < columns->number_count; i++) {
        uint8_t first = 1;
        if ((i == 0 || !is_one) && (!tw_take_u8(in, &first) || (first ? !take_number(in, first, &number) : is_one))) {
            return damaged(err, "a number");
        }
        if (first) {
            memcpy(tw_group_state(group, columns->numbers[i].offset), &number, sizeof number);
        } else {
            TW_TRY(take_other(window, in, group, &columns->numbers[i], err));
        }
    }
    for (size_t i = 0; i < columns->other_count; i++) {
        TW_TRY(take_other(window, in, group, &columns->others[i], err));
    }
    return TUMBLE_OK;
}

static enum tumble_code take_brief(struct tw_window *window, const struct columns *columns, struct tw_cursor *in,
                                   uint32_t reference, struct tumble_error *err) {
    struct tw_group *const group = tw_group_at(&window->groups, reference);
    uint64_t head;
    if (!tw_take_varint(in, &head)) {
        return damaged(err, "a group is cut");
    }
    group->records = head >> FLAG_BITS;
    tw_layout_init(window->groups.layout, group->state);
    return take_columns(window, columns, in, group, (unsigned)head & ((1u << FLAG_BITS) - 1), err);
}

enum tumble_code tw_window_decode_touched(struct tw_window *window, struct tumble_bytes bytes, bool brief,
                                          struct tw_group_places *places, tw_key_hash_fn *hash, const void *ctx,
                                          struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(bytes);
    struct columns columns;
    find_columns(window->groups.layout, &columns);
    if (begin_places(places, window) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    while (tw_cursor_left(&in)) {
        uint64_t named;
        uint32_t reference;
        if (!tw_take_varint(&in, &named) || named > places->count) {
            return damaged(err, "it names a group that is not there");
        }
        if (named) {
            reference = places->references[named - 1];
        } else {
            uint32_t before = window->groups.count;
            TW_TRY(tw_window_take_key(window, &in, hash, ctx, &reference, err));
            if (window->groups.count == before) {
                return damaged(err, "it adds a group that is there");
            }
            if (add_place(places, window, reference) != TUMBLE_OK) {
                return tw_no_memory(err);
            }
        }
        TW_TRY(brief ? take_brief(window, &columns, &in, reference, err)
                     : tw_window_take_states(window, &in, reference, err));
    }
    tw_group_untouch_all(&window->groups);
    return TUMBLE_OK;
}
