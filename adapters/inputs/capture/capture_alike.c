#include "adapters/inputs/capture/capture_reader.h"

#include <string.h>

#include "adapters/inputs/capture/capture_ahead.h"
#include "engine/base/sequence.h"
#include "engine/codec/record_frame.h"

/* Records of a Lambda event that are laid out alike: many are read at once, without a value of theirs being put
 * anywhere, their base64 decoded into one buffer and projected there. */

enum {
    AT_ONCE = 32,       /* texts of a frame, which lie in the nearest cache when their records are made */
    WORTH_IT = 24,      /* records of a frame that pay for making it */
    PAUSE_MAX = 63,     /* records that are taken one by one where it did not, the next time being twice as many */
    PROJECTED_MAX = 16, /* values of each: more would be too much memory */
    ROOM = 64 * 1024,   /* for what they decode to, at least */
    ALIGNMENT = 16
};

static bool has_more_of_array(const struct tw_capture_reader *reader) {
    return reader->begin < reader->filled && reader->block->data[reader->begin] == ',' &&
           tw_elements_is_behind(reader->elements);
}

static bool may_be_alike(const struct tw_capture_reader *reader) {
    return reader->opened && !reader->done && reader->format == TUMBLE_CAPTURE_LAMBDA && !reader->marked &&
           !reader->options->project_encoded && reader->shard_id_length && reader->record_layout.run_count &&
           tw_layout_fitted(&reader->record_layout) &&
           reader->filled - reader->begin >= WORTH_IT * reader->last_length &&
           reader->counted == reader->block_offset + reader->begin && has_more_of_array(reader);
}

/* Checks a record's sequence number. before: of the record before it; empty: there is none. */
static inline bool is_above(struct tumble_bytes *sequence, struct tumble_bytes before) {
    return TW_OFTEN(tw_sequence_follows(*sequence, before)) ||
           (tw_sequence_check(*sequence, sequence, NULL) == TUMBLE_OK && tw_sequence_compare(*sequence, before) > 0);
}

/* Records from the reader's place on, decoded into room bytes at out. */
static void read_frames(struct tw_capture_reader *reader, const struct tw_layout_frame *frame, size_t most, char *out,
                        size_t room) {
    struct tw_alike *const alike = reader->alike;
    struct tw_framed texts[AT_ONCE];
    const char *const end = reader->block->data + reader->filled;
    struct tw_frame_read from = {reader->block->data + reader->begin + 1, end, end, out, room, TW_LIMIT_RECORD_BYTES};
    struct tumble_bytes before = {NULL, 0};
    size_t count = 0, read, taken;
    alike->memory = 0;
    do {
        const size_t left = most - count;
        read = tw_layout_frame_read(&reader->record_layout, frame, &from, texts, left < AT_ONCE ? left : AT_ONCE);
        for (taken = 0; taken < read; taken++, count++) {
            struct tumble_record *const record = &alike->records[count];
            if (TW_RARELY(!tw_record_framed(frame, &texts[taken], &reader->arrival, record) ||
                          !is_above(&record->sequence_number, before))) {
                break;
            }
            before = record->sequence_number;
            alike->begins[count] = texts[taken].begin;
        }
        if (taken) {
            const struct tw_framed *const last = &texts[taken - 1];
            alike->shard_id.data = tw_framed_text(last, &frame->values[TW_RECORD_EVENT_ID]).data;
            alike->end = last->behind + frame->back_length;
            alike->memory = (size_t)(last->data + last->length - out);
            from.at =
                alike->end + 1; /* behind the comma, if it is one: a frame is read where a byte stands behind it */
        }
    } while (taken == read && read && count < most && *alike->end == ',');
    alike->shard_id.length = reader->shard_id_length;
    alike->count = count;
}

/* What cannot be projected is left to whoever applies it. */
static void project(struct tw_capture_reader *reader, struct tumble_value *values, size_t width) {
    const size_t count = reader->alike->count;
    struct tumble_record *const records = reader->alike->records;
    struct tw_layout_line texts[TUMBLE_ALIKE_MOST];
    for (size_t i = 0; i < count; i++) {
        texts[i] = (struct tw_layout_line){records[i].data.data, records[i].data.data + records[i].data.length};
    }
    const char *const end = texts[count - 1].end;
    for (size_t i = 0; i < count; i++) {
        struct tumble_value *at = values + i * width;
        const size_t alike = tw_layout_match_texts(&reader->payload_layout, end, at, width, texts + i, count - i);
        for (const size_t behind = i + alike; i < behind; i++, at += width) {
            records[i].values = at;
        }
        if (i < count && tumble_project_like(reader->options->projection, &reader->payload_layout, records[i].data, 1,
                                             at, NULL, NULL) == TUMBLE_OK) {
            records[i].values = at;
        }
    }
}

/* Reads what is to be shown; what it points to lies in memory that is cut when they are taken. */
static void look(struct tw_capture_reader *reader, size_t most) {
    struct tw_alike *const alike = reader->alike;
    const struct tumble_bytes shard = {reader->shard_id, reader->shard_id_length};
    const struct tumble_projection *const projection = reader->options->projection;
    const size_t count = projection ? tumble_projection_count(projection) : 0,
                 width = count > PROJECTED_MAX ? 0 : count;
    const size_t values_bytes = most * width * sizeof(struct tumble_value) + ALIGNMENT;
    struct tw_layout_frame frame;
    size_t room;
    if (!tw_record_frame(&reader->record_layout, shard, &frame) ||
        !tw_block_pool_prepare(reader->pool, values_bytes + ROOM)) {
        return;
    }
    char *const out = tw_block_pool_space(reader->pool, &room);
    read_frames(reader, &frame, most, out, room - values_bytes);
    alike->memory = (alike->memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (alike->count && width) {
        project(reader, (struct tumble_value *)(void *)(out + alike->memory), width);
        alike->memory += alike->count * width * sizeof(struct tumble_value);
    }
}

void tw_capture_reader_alike(struct tw_capture_reader *reader, size_t most, struct tumble_captured_alike *out) {
    out->count = 0;
    if (reader->ahead) {
        tw_ahead_alike(reader, most, out);
        return;
    }
    most = most < TUMBLE_ALIKE_MOST ? most : TUMBLE_ALIKE_MOST;
    if (most < WORTH_IT || !may_be_alike(reader)) {
        return;
    }
    if (!reader->alike) {
        reader->alike = tw_alloc_zero(&reader->pool->alloc, sizeof *reader->alike);
    }
    struct tw_alike *const alike = reader->alike;
    if (!alike) {
        return; /* whoever goes on without these notices, too */
    }
    alike->count = 0;
    if (alike->unframed) {
        alike->unframed--;
        return;
    }
    look(reader, most);
    const uint32_t pause = 2 * alike->pause + 1;
    alike->pause = alike->count >= WORTH_IT ? 0 : pause < PAUSE_MAX ? pause : PAUSE_MAX;
    alike->unframed = alike->pause;
    out->records = alike->records;
    out->begins = alike->begins;
    out->count = alike->count;
    out->shard_id = alike->shard_id;
    out->input = reader->input;
    out->number = reader->records + 1;
    out->line = reader->newlines + 1;
    out->newlines = tw_layout_newlines(&reader->record_layout);
    out->offset = reader->block_offset + reader->begin + 1;
}

void tw_capture_reader_pass(struct tw_capture_reader *reader, size_t begin, size_t count, uint64_t newlines) {
    reader->begin = begin;
    reader->records += count;
    reader->newlines += newlines;
    reader->counted = reader->block_offset + reader->begin;
    reader->crossed = false;
    tw_capture_reader_commit(reader);
}

void tw_capture_reader_alike_taken(struct tw_capture_reader *reader, size_t count) {
    struct tw_alike *const alike = reader->alike;
    if (reader->ahead) {
        tw_ahead_alike_taken(reader, count);
    } else if (count && alike && count <= alike->count) {
        const char *const end = count < alike->count ? alike->begins[count] - 1 : alike->end;
        tw_block_pool_cut(reader->pool, alike->memory);
        tw_capture_reader_pass(reader, (size_t)(end - reader->block->data), count,
                               count * (uint64_t)tw_layout_newlines(&reader->record_layout));
        alike->count = 0;
    }
}
