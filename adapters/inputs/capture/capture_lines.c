#include "adapters/inputs/capture/capture_reader.h"

#include <string.h>

#include "adapters/inputs/capture/capture_ahead.h"
#include "engine/codec/eight_digits.h"

enum { VALUES_BYTES = 64 * 1024 }; /* of those shown at once */

/* Payloads one a line, laid out alike: many are read at once, without a look at what cannot be the matter with them. */

static bool remembers(const struct tw_lines *lines, const char *text, int64_t *out_ms) {
    uint64_t head, middle;
    memcpy(&head, text, sizeof head);
    memcpy(&middle, text + 2, sizeof middle);
    unsigned hundreds = (unsigned char)(text[10] - '0'), tens = (unsigned char)(text[11] - '0'),
             ones = (unsigned char)(text[12] - '0');
    *out_ms = lines->second_ms + (int64_t)(hundreds * 100 + tens * 10 + ones);
    return ((head ^ lines->head) | (middle ^ lines->middle)) == 0 && hundreds < 10 && tens < 10 && ones < 10;
}

/* Whatever tumble_timestamp_ms makes of the value. */
static __attribute__((noinline)) bool read_timestamp(struct tw_lines *lines, const struct tumble_lines_wish *wish,
                                                     const struct tumble_value *value, bool milliseconds,
                                                     int64_t *out_ms) {
    uint64_t digits;
    if (tumble_timestamp_ms(wish->format, value, out_ms, NULL) != TUMBLE_OK) {
        return false;
    }
    if (milliseconds && tw_eight_digits(value->text, &digits) && tw_eight_digits(value->text + 5, &digits)) {
        memcpy(&lines->head, value->text, sizeof lines->head);
        memcpy(&lines->middle, value->text + 2, sizeof lines->middle);
        lines->second_ms = *out_ms - *out_ms % 1000;
    }
    return true;
}

void tw_capture_reader_lines(struct tw_capture_reader *reader, const struct tumble_lines_wish *wish,
                             struct tumble_captured_lines *out) {
    const struct tumble_projection *projection = reader->options->projection;
    if (reader->ahead && tw_ahead_lines(reader, wish->most, out)) {
        return;
    }
    if (!reader->opened || reader->done || reader->format != TUMBLE_CAPTURE_NDJSON || !projection || reader->marked ||
        !tw_layout_fitted(&reader->payload_layout) || reader->counted != reader->block_offset + reader->begin) {
        return;
    }
    if (!reader->lines) {
        reader->lines = tw_alloc_zero(&reader->pool->alloc, sizeof *reader->lines);
    }
    struct tw_lines *lines = reader->lines;
    const size_t count = tumble_projection_count(projection);
    const size_t room = VALUES_BYTES / sizeof(struct tumble_value) / (count ? count : 1) + 1;
    size_t most = wish->most < TUMBLE_LINES_MOST ? wish->most : TUMBLE_LINES_MOST;
    most = most < room ? most : room;
    struct tumble_value *values =
        (struct tumble_value *)(void *)tw_block_pool_prepare(reader->pool, most * count * sizeof *values);
    if (!lines || !values) {
        return; /* whoever goes on without these notices, too */
    }
    const char *begin = reader->block->data + reader->begin;
    size_t got = tw_layout_match_lines(&reader->payload_layout, begin, reader->block->data + reader->filled, values,
                                       count, lines->texts, most);
    const bool milliseconds =
        wish->format->kind == TUMBLE_TIMESTAMP_AUTO || wish->format->kind == TUMBLE_TIMESTAMP_EPOCH_MS;
    for (size_t i = 0; i < got; i++) {
        struct tumble_short_record *record = &lines->records[i];
        const struct tumble_value *timestamp = &values[i * count + (size_t)wish->timestamp];
        record->data.data = lines->texts[i].begin;
        record->data.length = (size_t)(lines->texts[i].end - lines->texts[i].begin);
        record->values = values + i * count;
        const bool usual = milliseconds && timestamp->type == TUMBLE_TYPE_NUMBER && timestamp->length == 13;
        if (!(usual && TW_OFTEN(remembers(lines, timestamp->text, &record->arrival_ms))) &&
            !read_timestamp(lines, wish, timestamp, usual, &record->arrival_ms)) {
            got = i;
        }
        if (TW_RARELY(record->data.length > TW_LIMIT_RECORD_BYTES)) {
            got = i;
        }
    }
    lines->after_newline = got && lines->texts[0].begin > begin;
    lines->count = got;
    out->records = lines->records;
    out->count = got;
    out->input = reader->input;
    out->number = reader->records + 1;
    out->line = reader->newlines + 1 + lines->after_newline;
    out->offset = got ? reader->block_offset + (uint64_t)(lines->texts[0].begin - reader->block->data) : 0;
}

void tw_capture_reader_lines_taken(struct tw_capture_reader *reader, size_t count) {
    struct tw_lines *lines = reader->lines;
    if (reader->ahead && tw_ahead_lines_taken(reader, count)) {
        return;
    }
    if (count == 0 || !lines || count > lines->count) {
        return;
    }
    tw_block_pool_cut(reader->pool,
                      count * tumble_projection_count(reader->options->projection) * sizeof(struct tumble_value));
    reader->begin = (size_t)(lines->texts[count - 1].end - reader->block->data);
    reader->records += count;
    reader->newlines += count - 1 + lines->after_newline + count * tw_layout_newlines(&reader->payload_layout);
    reader->counted = reader->block_offset + reader->begin;
    reader->crossed = false;
    tw_capture_reader_commit(reader);
    lines->count = 0;
}
