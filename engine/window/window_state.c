#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/base/fail.h"
#include "engine/window/window.h"

/* Bytes of a window in the store; docs/format-frames.md describes them. */

enum name { BY_KEY, BY_MARKED_KEY, BY_PLACE };
enum { NAME_AND_RECORDS = 32 };

static __attribute__((noinline)) enum tumble_code
append_head(const struct tw_group_table *table, const struct tw_group *group, enum name name, struct tw_buf *out) {
    if (name == BY_PLACE) {
        TW_TRY(tw_buf_append_varint(out, (uint64_t)group->place + 1));
        return tw_buf_append_varint(out, group->records);
    }
    const struct tumble_bytes key = tw_group_key(table, group);
    if (name == BY_MARKED_KEY) {
        TW_TRY(tw_buf_append_byte(out, 0));
    }
    TW_TRY(tw_buf_append_varint(out, key.length));
    TW_TRY(tw_buf_append(out, key.data, key.length));
    return tw_buf_append_varint(out, group->records);
}

/* A group's name (1 + its place; or its key, where others are named by place behind a 0), records and accumulators,
 * in place as far as there is room for what may be written so. */
static inline enum tumble_code append_group(const struct tw_group_table *table, struct tw_group *group, enum name name,
                                            struct tw_buf *out) {
    const struct tw_layout *const layout = table->layout;
    const size_t states = layout->count * TW_ENCODED_IN_PLACE;
    bool has_room = tw_buf_reserve(out, NAME_AND_RECORDS + group->key_length + states) == TUMBLE_OK;
    if (!has_room) {
        TW_TRY(append_head(table, group, name, out));
    }
    char *at = out->data + out->length;
    if (has_room && name == BY_PLACE) {
        at += tw_varint_in_place((uint64_t)group->place + 1, at);
        at += tw_varint_in_place(group->records, at);
    } else if (has_room) {
        const struct tumble_bytes key = tw_group_key(table, group);
        *at = 0;
        at += name == BY_MARKED_KEY;
        at += tw_varint_in_place(key.length, at);
        if (key.length) {
            memcpy(at, key.data, key.length);
        }
        at += key.length;
        at += tw_varint_in_place(group->records, at);
    }
    for (size_t a = 0; a < layout->count; a++) {
        const struct tw_layout_item *const item = &layout->items[a];
        const void *const state = tw_group_state(group, item->offset);
        const size_t length = has_room ? tw_encode_in_place(item->function->form, state, at) : 0;
        at += length;
        if (length == 0) {
            out->length = (size_t)(at - out->data);
            TW_TRY(item->function->encode(state, item->params, out));
            has_room = tw_buf_reserve(out, states) == TUMBLE_OK;
            at = out->data + out->length;
        }
    }
    out->length = (size_t)(at - out->data);
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_groups(const struct tw_window *window, const struct tw_group_rank *order, size_t n,
                                         struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    for (size_t i = 0; i < n; i++) {
        if (i + TW_GROUPS_AHEAD < n) {
            tw_group_fetch(table, order[i + TW_GROUPS_AHEAD].reference);
        }
        struct tw_group *group = tw_group_at(table, order[i].reference);
        TW_TRY(append_group(table, group, BY_KEY, out));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_more(const struct tw_window *window, struct tw_group_walk *walk, size_t most,
                                       bool *done, struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    uint32_t reference;
    *done = false;
    while (out->length < most) {
        if (!tw_group_next(table, walk, &reference)) {
            *done = true;
            break;
        }
        struct tw_group *group = tw_group_at(table, reference);
        group->touched = 0;
        TW_TRY(append_group(table, group, BY_KEY, out));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_window_encode_touched(const struct tw_window *window, struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    for (size_t i = 0; i < table->touched_count; i++) {
        if (i + TW_GROUPS_AHEAD < table->touched_count) {
            tw_group_fetch(table, table->touched[i + TW_GROUPS_AHEAD]);
        }
        struct tw_group *group = tw_group_at(table, table->touched[i]);
        group->touched = 0;
        TW_TRY(append_group(table, group, group->place < window->group_count ? BY_PLACE : BY_MARKED_KEY, out));
    }
    return TUMBLE_OK;
}

static enum tumble_code damaged(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "the stored groups of a window are damaged (%s): restore the state directory or start anew", what);
}

/* Finds or adds the group of the key that stands next. */
static enum tumble_code take_key(struct tw_window *window, struct tw_cursor *in, tw_key_hash_fn *hash, const void *ctx,
                                 uint32_t *reference, struct tumble_error *err) {
    uint64_t length;
    struct tumble_bytes key;
    if (!tw_take_varint(in, &length) || length > TW_LIMIT_GROUP_KEY_BYTES || !tw_take_bytes(in, (size_t)length, &key)) {
        return damaged(err, "a key is cut");
    }
    enum tumble_code code = tw_group_touch(&window->groups, key, hash(ctx, key), reference);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s while reading a window back", tumble_code_text(code));
}

static enum tumble_code take_states(struct tw_window *window, struct tw_cursor *in, uint32_t reference,
                                    struct tumble_error *err) {
    const struct tw_group_table *table = &window->groups;
    struct tw_group *group = tw_group_at(table, reference);
    uint64_t records;
    if (!tw_take_varint(in, &records)) {
        return damaged(err, "a group is cut");
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
        TW_TRY(take_key(window, &in, hash, ctx, &reference, err));
        TW_TRY(take_states(window, &in, reference, err));
    }
    tw_group_untouch_all(&window->groups);
    return TUMBLE_OK;
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

enum tumble_code tw_window_decode_touched(struct tw_window *window, struct tumble_bytes bytes,
                                          struct tw_group_places *places, tw_key_hash_fn *hash, const void *ctx,
                                          struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(bytes);
    if (begin_places(places, window) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    while (tw_cursor_left(&in)) {
        uint64_t named;
        uint32_t reference;
        if (!tw_take_varint(&in, &named) || named > places->count) {
            return damaged(err, "a delta names a group that is not there");
        }
        if (named) {
            reference = places->references[named - 1];
        } else {
            uint32_t before = window->groups.count;
            TW_TRY(take_key(window, &in, hash, ctx, &reference, err));
            if (window->groups.count == before) {
                return damaged(err, "a delta adds a group that is there");
            }
            if (add_place(places, window, reference) != TUMBLE_OK) {
                return tw_no_memory(err);
            }
        }
        TW_TRY(take_states(window, &in, reference, err));
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
