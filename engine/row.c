#include <stdio.h>
#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/base/fail.h"
#include "engine/base/number_text.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/string_scan.h"
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

enum { ROOM = 32 }; /* for a value in place, and what is copied with it */
_Static_assert(TW_PREFIX_SLACK + TW_VALUE_IN_PLACE <= ROOM, "a value in place has room");

/* Bytes of all prefixes, and of a value in place behind each. */
static size_t room_of(const struct tumble_engine *engine) {
    const struct tumble_spec *const spec = engine->spec;
    size_t columns = spec->group_count + (spec->partials != 0);
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        columns += spec->aggregates[i].column_count;
    }
    return (columns ? engine->column_prefix_end[columns - 1] : 0) + (columns + 1) * ROOM;
}

enum tumble_code tw_row_writer_init(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                    const struct tw_window *window, struct tumble_error *err) {
    memset(writer, 0, sizeof *writer);
    tw_buf_init(&writer->head, shard->engine->alloc, SIZE_MAX / 4);
    tw_buf_init(&writer->key, shard->engine->alloc, SIZE_MAX / 4);
    writer->room = room_of(shard->engine);
    enum tumble_code code = put_head(writer, shard, window);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

void tw_row_writer_clean_up(struct tw_row_writer *writer) {
    tw_buf_clean_up(&writer->head);
    tw_buf_clean_up(&writer->key);
}

/* Where a row is being written: what it mostly consists of goes there in place, everything else through out, whose
 * length then follows at. There is room for all prefixes, and for a value in place behind each. */
struct pen {
    struct tw_buf *out;
    char *at;
    size_t room;
};

static inline void pen_lift(struct pen *pen) { pen->out->length = (size_t)(pen->at - pen->out->data); }

static inline enum tumble_code pen_put(struct pen *pen) {
    TW_TRY(tw_buf_reserve(pen->out, pen->room));
    pen->at = pen->out->data + pen->out->length;
    return TUMBLE_OK;
}

/* The prefix of a column, which begins at from. */
static inline void put_prefix(const struct tumble_engine *engine, uint32_t from, size_t column, struct pen *pen) {
    const char *prefix = engine->column_prefix + from;
    const size_t length = engine->column_prefix_end[column] - from;
    if (TW_OFTEN(length <= TW_PREFIX_SLACK)) {
        memcpy(pen->at, prefix, TW_PREFIX_SLACK);
    } else {
        memcpy(pen->at, prefix, length);
    }
    pen->at += length;
}

static inline enum tumble_code put_group_value(struct tw_cursor *values, struct pen *pen) {
    struct tumble_bytes text;
    if (TW_OFTEN(tw_group_key_plain(values, &text) && text.length <= 16)) { /* and at least 8 */
        uint64_t head, tail;
        memcpy(&head, text.data, 8);
        memcpy(&tail, text.data + text.length - 8, 8);
        *pen->at = '"';
        memcpy(pen->at + 1, &head, 8);
        memcpy(pen->at + text.length - 7, &tail, 8);
        pen->at[text.length + 1] = '"';
        pen->at += text.length + 2;
        values->at = values->end;
        return TUMBLE_OK;
    }
    pen_lift(pen);
    TW_TRY(tw_group_key_json(values, pen->out));
    return pen_put(pen);
}

/* The number written last. Most groups of very many have one record, whose number is their sum, minimum and maximum. */
struct last {
    uint64_t words[3];
    enum tw_form form; /* OTHER: there is none */
    struct tw_short text;
};
_Static_assert(sizeof(struct tw_total) == 3 * sizeof(uint64_t) && sizeof(struct tw_decimal) == 3 * sizeof(uint64_t),
               "a total and an extreme of one number are the same bytes");

static inline bool put_number(enum tw_form form, const void *state, struct last *last, struct pen *pen) {
    uint64_t words[3];
    memcpy(words, state, sizeof words);
    const bool same = ((words[0] ^ last->words[0]) | (words[1] ^ last->words[1]) | (words[2] ^ last->words[2])) == 0;
    /* An extreme ends as it was read, of a total zeros were cut. */
    if (!same || (form != last->form && (last->form != TW_FORM_TOTAL || last->text.was_cut))) {
        last->form = TW_FORM_OTHER;
        if (TW_RARELY(!tw_number_in_place(form, state, &last->text))) {
            return false;
        }
        memcpy(last->words, words, sizeof words);
        last->form = form;
    }
    pen->at += tw_short_put(&last->text, pen->at);
    return true;
}

static inline enum tumble_code put_value(const struct tw_spec_aggregate *aggregate, const void *state, uint32_t part,
                                         struct last *last, struct pen *pen) {
    const enum tw_form form = aggregate->function->form;
    if (form == TW_FORM_COUNT) {
        const size_t length = tw_count_text(*(const uint64_t *)state, pen->at);
        pen->at += length;
        if (TW_OFTEN(length)) {
            return TUMBLE_OK;
        }
    } else if (form != TW_FORM_OTHER && TW_OFTEN(put_number(form, state, last, pen))) {
        return TUMBLE_OK;
    }
    pen_lift(pen);
    TW_TRY(aggregate->function->value(state, &aggregate->params, part, pen->out));
    return pen_put(pen);
}

static inline enum tumble_code put_records(uint64_t records, struct pen *pen) {
    static const char name[TW_PREFIX_SLACK] = ",\"records\":";
    memcpy(pen->at, name, sizeof name);
    pen->at += sizeof ",\"records\":" - 1;
    const size_t length = tw_count_text(records, pen->at);
    pen->at += length;
    if (TW_RARELY(length == 0)) {
        pen_lift(pen);
        TW_TRY(tw_buf_append_count(pen->out, records));
        TW_TRY(pen_put(pen));
    }
    *pen->at++ = '}';
    pen_lift(pen);
    return TUMBLE_OK;
}

/* The row without the head. */
static inline enum tumble_code put_own(const struct tw_row_writer *writer, const struct tumble_shard *shard,
                                       struct tw_group *group, struct tumble_bytes group_key, struct tw_buf *out) {
    const struct tumble_engine *const engine = shard->engine;
    const struct tumble_spec *const spec = engine->spec;
    struct tw_cursor values = tw_cursor_of(group_key);
    struct pen pen = {.out = out, .room = writer->room};
    struct last last = {.form = TW_FORM_OTHER};
    uint32_t prefix = 0;
    size_t column = 0;
    TW_TRY(pen_put(&pen));
    for (; column < spec->group_count; column++) {
        put_prefix(engine, prefix, column, &pen);
        prefix = engine->column_prefix_end[column];
        TW_TRY(put_group_value(&values, &pen));
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        for (uint32_t part = 0; part < aggregate->column_count; part++, column++) {
            put_prefix(engine, prefix, column, &pen);
            prefix = engine->column_prefix_end[column];
            TW_TRY(put_value(aggregate, tw_group_state(group, aggregate->state_offset), part, &last, &pen));
        }
    }
    if (spec->partials) {
        put_prefix(engine, prefix, column, &pen);
        pen_lift(&pen);
        TW_TRY(tw_partial_append_all(spec, (const char *)group->state, tw_buf_view(&engine->partial_prefix),
                                     engine->partial_prefix_end, &shard->engine->partial, out));
        TW_TRY(pen_put(&pen));
    }
    return put_records(group->records, &pen);
}

static enum tumble_code make_key(struct tw_row_writer *writer, struct tumble_bytes group_key, uint8_t key[16]) {
    writer->key.length = writer->key_base;
    TW_TRY(tw_buf_append_few(&writer->key, group_key.data, group_key.length));
    tw_hash128(writer->key.data, writer->key.length, key);
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
    struct tw_group *group = tw_group_at(&window->groups, reference);
    const struct tumble_bytes group_key = tw_group_key(&window->groups, group);
    TW_TRY(put_own(writer, shard, group, group_key, out));
    return make_key(writer, group_key, key);
}

enum tumble_code tw_row_append_kept(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                    const struct tw_window *window, uint32_t reference, struct tw_buf *out,
                                    struct tumble_bytes *own) {
    struct tw_group *group = tw_group_at(&window->groups, reference);
    const struct tumble_bytes group_key = tw_group_key(&window->groups, group);
    const size_t begin = out->length;
    size_t expected = writer->length_bytes ? writer->length_bytes : 1;
    uint8_t key[16] = {0};
    char varint[10];
    if (!writer->no_keys) {
        TW_TRY(make_key(writer, group_key, key));
    }
    TW_TRY(tw_buf_reserve(out, sizeof key + sizeof varint));
    out->length += sizeof key + expected; /* a row's length mostly takes as many bytes as that of the one before */
    TW_TRY(put_own(writer, shard, group, group_key, out));
    const size_t length = out->length - begin - sizeof key - expected;
    const size_t bytes = tw_varint_in_place(length, varint);
    if (TW_RARELY(bytes != expected)) {
        TW_TRY(tw_buf_reserve(out, sizeof varint));
        char *const text = out->data + begin + sizeof key;
        memmove(text + bytes, text + expected, length);
        out->length += bytes - expected;
        writer->length_bytes = bytes;
    }
    memcpy(out->data + begin, key, sizeof key);
    memcpy(out->data + begin + sizeof key, varint, bytes);
    own->data = out->data + begin + sizeof key + bytes;
    own->length = length;
    return TUMBLE_OK;
}
