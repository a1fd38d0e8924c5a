#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/base/fail.h"
#include "engine/window/window.h"

/* Bytes of a window in the store; docs/format-frames.md describes them. */

/* Groups are encoded a few at a time, aggregate after aggregate: what is short goes into cells, which are then put
 * together. So no encoding waits for the length of the one before it, and meanwhile groups behind these are on their
 * way from memory. */
enum { AT_ONCE = 16, AHEAD = 32, COLUMNS = 8 };

struct cell {
    char bytes[TW_ENCODED_IN_PLACE];
};

struct few {
    size_t count;
    struct tw_group *groups[AT_ONCE];
    struct cell cells[AT_ONCE][COLUMNS];
    uint8_t lengths[AT_ONCE][COLUMNS]; /* 0: it is not in the cell */
};

static inline __attribute__((always_inline)) void fill_column(struct few *few, size_t column, enum tw_form form,
                                                              uint32_t offset) {
    for (size_t i = 0; i < few->count; i++) {
        const void *const state = tw_group_state(few->groups[i], offset);
        few->lengths[i][column] = (uint8_t)tw_encode_in_place(form, state, few->cells[i][column].bytes);
    }
}

static void fill_cells(const struct tw_layout *layout, struct few *few) {
    for (size_t a = 0; a < layout->count && a < COLUMNS; a++) {
        const uint32_t offset = layout->items[a].offset;
        switch (layout->items[a].function->form) { /* a loop of its own for each */
        case TW_FORM_COUNT: fill_column(few, a, TW_FORM_COUNT, offset); break;
        case TW_FORM_TOTAL: fill_column(few, a, TW_FORM_TOTAL, offset); break;
        case TW_FORM_EXTREME: fill_column(few, a, TW_FORM_EXTREME, offset); break;
        case TW_FORM_OTHER:
        default: fill_column(few, a, TW_FORM_OTHER, offset); break;
        }
    }
}

/* The accumulators of a group whose cells do not have them all. */
static __attribute__((noinline)) enum tumble_code append_states(const struct tw_layout *layout, struct tw_group *group,
                                                                const struct cell *cells, const uint8_t *lengths,
                                                                struct tw_buf *out) {
    for (size_t a = 0; a < layout->count; a++) {
        const struct tw_layout_item *const item = &layout->items[a];
        if (a < COLUMNS && lengths[a]) {
            TW_TRY(tw_buf_append(out, cells[a].bytes, lengths[a]));
        } else {
            TW_TRY(item->function->encode(tw_group_state(group, item->offset), item->params, out));
        }
    }
    return TUMBLE_OK;
}

/* What names a group, and its records. */
static enum tumble_code append_head(const struct tw_group_table *table, const struct tw_group *group,
                                    struct tw_buf *out) {
    const struct tumble_bytes key = tw_group_key(table, group);
    TW_TRY(tw_buf_append_varint(out, key.length));
    TW_TRY(tw_buf_append(out, key.data, key.length));
    return tw_buf_append_varint(out, group->records);
}

static inline enum tumble_code append_few(const struct tw_group_table *table, struct few *few, struct tw_buf *out) {
    const struct tw_layout *const layout = table->layout;
    fill_cells(layout, few);
    for (size_t i = 0; i < few->count; i++) {
        struct tw_group *const group = few->groups[i];
        const struct cell *const cells = few->cells[i];
        const uint8_t *const lengths = few->lengths[i];
        size_t a = 0;
        TW_TRY(append_head(table, group, out));
        if (tw_buf_reserve(out, sizeof few->cells[i]) == TUMBLE_OK) { /* for less there may be */
            char *at = out->data + out->length;
            for (; a < layout->count && a < COLUMNS && lengths[a]; a++) {
                memcpy(at, &cells[a], sizeof cells[a]); /* the whole cell, without a call */
                at += lengths[a];
            }
            out->length = a == layout->count ? (size_t)(at - out->data) : out->length;
        }
        TW_TRY(a == layout->count ? TUMBLE_OK : append_states(layout, group, cells, lengths, out));
    }
    few->count = 0;
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_groups(const struct tw_window *window, const struct tw_group_rank *order, size_t n,
                                         struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    struct few few;
    few.count = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            tw_group_fetch(table, order[i + AHEAD].reference);
        }
        few.groups[few.count++] = tw_group_at(table, order[i].reference);
        if (few.count == AT_ONCE) {
            TW_TRY(append_few(table, &few, out));
        }
    }
    return append_few(table, &few, out);
}

/* Of what may be large, one, so that out gets not much longer than it is to be. */
static size_t most_at_once(const struct tw_layout *layout) {
    for (size_t a = 0; a < layout->count; a++) {
        if (layout->items[a].function->form == TW_FORM_OTHER) {
            return 1;
        }
    }
    return AT_ONCE;
}

enum tumble_code tw_window_encode_more(const struct tw_window *window, struct tw_group_walk *walk, size_t most,
                                       bool *done, struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    const size_t at_once = most_at_once(table->layout);
    uint32_t reference;
    struct few few;
    few.count = 0;
    *done = false;
    while (out->length < most && !*done) {
        while (few.count < at_once && !*done) {
            *done = !tw_group_next(table, walk, &reference);
            if (!*done) {
                few.groups[few.count] = tw_group_at(table, reference);
                few.groups[few.count++]->touched = 0;
            }
        }
        TW_TRY(append_few(table, &few, out));
    }
    return TUMBLE_OK;
}

static enum tumble_code damaged(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "the stored groups of a window are damaged (%s): restore the state directory or start anew", what);
}

enum tumble_code tw_window_take_key(struct tw_window *window, struct tw_cursor *in, tw_key_hash_fn *hash,
                                    const void *ctx, uint32_t *reference, struct tumble_error *err) {
    uint64_t length;
    struct tumble_bytes key;
    if (!tw_take_varint(in, &length) || length > TW_LIMIT_GROUP_KEY_BYTES || !tw_take_bytes(in, (size_t)length, &key)) {
        return damaged(err, "a key is cut");
    }
    enum tumble_code code = tw_group_touch(&window->groups, key, hash(ctx, key), reference);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s while reading a window back", tumble_code_text(code));
}

enum tumble_code tw_window_take_states(struct tw_window *window, struct tw_cursor *in, uint32_t reference,
                                       struct tumble_error *err) {
    const struct tw_group_table *table = &window->groups;
    struct tw_group *group = tw_group_at(table, reference);
    uint64_t records;
    if (!tw_take_varint(in, &records) || records > TW_GROUP_RECORDS_MOST) {
        return damaged(err, "a group's records");
    }
    group->records = records;
    for (size_t a = 0; a < table->layout->count; a++) {
        const struct tw_layout_item *item = &table->layout->items[a];
        void *state = tw_group_state(group, item->offset);
        item->function->init(state, item->params);
        TW_TRY(item->function->decode(state, item->params, in, &window->heap, err));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_window_decode_groups(struct tw_window *window, struct tumble_bytes bytes, tw_key_hash_fn *hash,
                                         const void *ctx, struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(bytes);
    while (tw_cursor_left(&in)) {
        uint32_t reference;
        TW_TRY(tw_window_take_key(window, &in, hash, ctx, &reference, err));
        TW_TRY(tw_window_take_states(window, &in, reference, err));
    }
    tw_group_untouch_all(&window->groups);
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_header(const struct tw_window *window, struct tw_buf *out) {
    TW_TRY(tw_buf_append_varint(out, window->records));
    TW_TRY(tw_buf_append_varint(out, window->groups.count));
    TW_TRY(tw_sequence_append(out, tw_window_first(window)));
    TW_TRY(tw_sequence_append(out, tw_window_last(window)));
    TW_TRY(tw_buf_append_varint(out, window->last_sub_sequence));
    TW_TRY(tw_buf_append_varint(out, window->generation));
    TW_TRY(tw_buf_append_varint(out, window->snapshot_chunks));
    TW_TRY(tw_buf_append_varint(out, window->deltas));
    TW_TRY(tw_buf_append_varint(out, window->snapshot_bytes));
    return tw_buf_append_varint(out, window->delta_bytes);
}

static bool take_u32(struct tw_cursor *in, uint32_t *out) {
    uint64_t value;
    if (!tw_take_varint(in, &value) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

enum tumble_code tw_window_decode_header(struct tw_window *window, struct tumble_bytes bytes,
                                         struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(bytes);
    size_t first, last;
    if (!tw_take_varint(&in, &window->records) || !tw_take_varint(&in, &window->group_count) ||
        !tw_sequence_take(&in, window->first_sequence, &first) ||
        !tw_sequence_take(&in, window->last_sequence, &last) || !tw_take_varint(&in, &window->last_sub_sequence) ||
        !take_u32(&in, &window->generation) || !take_u32(&in, &window->snapshot_chunks) ||
        !take_u32(&in, &window->deltas) || !tw_take_varint(&in, &window->snapshot_bytes) ||
        !tw_take_varint(&in, &window->delta_bytes) || tw_cursor_left(&in) != 0) {
        return damaged(err, "its header is cut");
    }
    window->first_length = (uint8_t)first;
    window->last_length = (uint8_t)last;
    window->stored = true;
    return TUMBLE_OK;
}
