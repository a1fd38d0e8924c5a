#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/number_text.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"
#include "engine/partial.h"
#include "engine/window/group_key.h"

static enum tumble_code put_member(struct tw_buf *out, const char *before, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_text(out, before));
    return tw_buf_append_json_string(out, text);
}

static enum tumble_code put_head(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                 const struct tw_window *window) {
    const struct tumble_engine *engine = shard->engine;
    char start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(window->start_ms, start);
    tumble_timestamp_text(window->start_ms + engine->window_ms, end);
    TW_TRY(put_member(&writer->head, "{\"window_start\":", tumble_bytes_of(start)));
    TW_TRY(put_member(&writer->head, ",\"window_end\":", tumble_bytes_of(end)));
    TW_TRY(put_member(&writer->head, ",\"shard_id\":", tumble_shard_id(shard)));
    TW_TRY(put_member(&writer->head, ",\"fragment\":", tw_window_first(window)));
    TW_TRY(put_member(&writer->head, ",\"last_sequence\":", tw_window_last(window)));
    /* The row's identity (design section 9): each part with its length, so that no two tuples have the same bytes. */
    struct tw_buf *key = &writer->key;
    TW_TRY(tw_buf_append_varint(key, engine->source_length));
    TW_TRY(tw_buf_append(key, engine->source, engine->source_length));
    TW_TRY(tw_buf_append_u64(key, engine->spec->digest));
    TW_TRY(tw_buf_append_u64(key, (uint64_t)window->start_ms));
    TW_TRY(tw_buf_append_u64(key, (uint64_t)(window->start_ms + engine->window_ms)));
    TW_TRY(tw_buf_append_varint(key, shard->id_length));
    TW_TRY(tw_buf_append(key, shard->id, shard->id_length));
    TW_TRY(tw_buf_append_varint(key, window->first_length));
    TW_TRY(tw_buf_append(key, window->first_sequence, window->first_length));
    uint8_t identity[16]; /* hashed once: each row's key is of this and its group */
    tw_hash128(key->data, key->length, identity);
    tw_buf_clear(key);
    TW_TRY(tw_buf_append(key, identity, sizeof identity));
    writer->key_base = key->length;
    return TUMBLE_OK;
}

enum tumble_code tw_row_writer_init(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                    const struct tw_window *window, struct tumble_error *err) {
    memset(writer, 0, sizeof *writer);
    tw_buf_init(&writer->head, shard->engine->alloc, SIZE_MAX / 4);
    tw_buf_init(&writer->key, shard->engine->alloc, SIZE_MAX / 4);
    enum tumble_code code = put_head(writer, shard, window);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

void tw_row_writer_clean_up(struct tw_row_writer *writer) {
    tw_buf_clean_up(&writer->head);
    tw_buf_clean_up(&writer->key);
}

/* The prefix of a column, which begins at from. */
static inline enum tumble_code put_prefix(const struct tumble_engine *engine, uint32_t from, size_t column,
                                          struct tw_buf *out) {
    const char *prefix = engine->column_prefix + from;
    size_t length = engine->column_prefix_end[column] - from;
    if (length > TW_PREFIX_SLACK || out->capacity - out->length < TW_PREFIX_SLACK) {
        return tw_buf_append(out, prefix, length);
    }
    memcpy(out->data + out->length, prefix, TW_PREFIX_SLACK);
    out->length += length;
    return TUMBLE_OK;
}

enum tumble_code tw_row_append(struct tw_row_writer *writer, const struct tumble_shard *shard,
                               const struct tw_window *window, uint32_t reference, struct tw_buf *out,
                               uint8_t key[16]) {
    TW_TRY(tw_buf_append(out, writer->head.data, writer->head.length));
    return tw_row_append_own(writer, shard, window, reference, out, key);
}

enum tumble_code tw_row_append_own(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                   const struct tw_window *window, uint32_t reference, struct tw_buf *out,
                                   uint8_t key[16]) {
    const struct tumble_engine *engine = shard->engine;
    const struct tumble_spec *spec = engine->spec;
    struct tw_group *group = tw_group_at(&window->groups, reference);
    struct tumble_bytes group_key = tw_group_key(&window->groups, group);
    struct tw_cursor values = tw_cursor_of(group_key);
    uint32_t prefix = 0;
    size_t column = 0;
    for (; column < spec->group_count; column++) {
        TW_TRY(put_prefix(engine, prefix, column, out));
        prefix = engine->column_prefix_end[column];
        TW_TRY(tw_group_key_json(&values, out));
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        for (uint32_t part = 0; part < aggregate->column_count; part++, column++) {
            TW_TRY(put_prefix(engine, prefix, column, out));
            prefix = engine->column_prefix_end[column];
            TW_TRY(aggregate->function->value(tw_group_state(group, aggregate->state_offset), &aggregate->params, part,
                                              out));
        }
    }
    if (spec->partials) {
        TW_TRY(put_prefix(engine, prefix, column, out));
        TW_TRY(tw_partial_append_all(spec, (const char *)group->state, tw_buf_view(&engine->partial_prefix),
                                     engine->partial_prefix_end, &shard->engine->partial, out));
    }
    static const char records[] = ",\"records\":";
    TW_TRY(tw_buf_append_few(out, records, sizeof records - 1));
    TW_TRY(tw_buf_append_count(out, group->records));
    TW_TRY(tw_buf_append_byte(out, '}'));
    writer->key.length = writer->key_base;
    TW_TRY(tw_buf_append_few(&writer->key, group_key.data, group_key.length));
    tw_hash128(writer->key.data, writer->key.length, key);
    return TUMBLE_OK;
}
