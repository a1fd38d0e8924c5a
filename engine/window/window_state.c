#include <string.h>

#include "engine/base/fail.h"
#include "engine/window/window.h"

/* Bytes of a window in the store; docs/format-frames.md describes them. */

enum tumble_code tw_window_encode_groups(const struct tw_window *window, const struct tw_group_rank *order, size_t n,
                                         struct tw_buf *out) {
    const struct tw_group_table *table = &window->groups;
    for (size_t i = 0; i < n; i++) {
        if (i + TW_GROUPS_AHEAD < n) {
            tw_group_fetch(table, order[i + TW_GROUPS_AHEAD].reference);
        }
        struct tw_group *group = tw_group_at(table, order[i].reference);
        struct tumble_bytes key = tw_group_key(table, group);
        TW_TRY(tw_buf_append_varint(out, key.length));
        TW_TRY(tw_buf_append_few(out, key.data, key.length));
        TW_TRY(tw_buf_append_varint(out, group->records));
        for (size_t a = 0; a < table->layout->count; a++) {
            const struct tw_layout_item *item = &table->layout->items[a];
            TW_TRY(item->function->encode(tw_group_state(group, item->offset), item->params, out));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code damaged(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "the stored groups of a window are damaged (%s): restore the state directory or start anew", what);
}

enum tumble_code tw_window_decode_groups(struct tw_window *window, struct tumble_bytes bytes, tw_key_hash_fn *hash,
                                         const void *ctx, struct tumble_error *err) {
    struct tw_group_table *table = &window->groups;
    struct tw_cursor in = tw_cursor_of(bytes);
    while (tw_cursor_left(&in)) {
        uint64_t key_length, records;
        struct tumble_bytes key;
        if (!tw_take_varint(&in, &key_length) || key_length > TW_LIMIT_GROUP_KEY_BYTES ||
            !tw_take_bytes(&in, (size_t)key_length, &key) || !tw_take_varint(&in, &records)) {
            return damaged(err, "a key is cut");
        }
        uint32_t reference;
        enum tumble_code code = tw_group_touch(table, key, hash(ctx, key), &reference);
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s while reading a window back", tumble_code_text(code));
        }
        struct tw_group *group = tw_group_at(table, reference);
        group->records = records;
        for (size_t a = 0; a < table->layout->count; a++) {
            const struct tw_layout_item *item = &table->layout->items[a];
            void *state = tw_group_state(group, item->offset);
            item->function->init(state, item->params);
            TW_TRY(item->function->decode(state, item->params, &in, &window->heap, err));
        }
    }
    tw_group_untouch_all(table);
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
