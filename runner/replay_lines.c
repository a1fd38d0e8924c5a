#include <stdio.h>
#include <string.h>

#include "runner/replay_internal.h"

/* Payloads that are laid out alike come many at once. They go the way of tumble_replay_take_record; what would need a
 * closer look there is left to it. */

enum { LINES_FEW = 16, REST = 64 };

void tumble_replay_lengthen(void *ctx, const struct tumble_short_record *record, char text[TUMBLE_SHORT_TEXT],
                            struct tumble_record *out) {
    const struct replay *replay = ctx;
    memset(out, 0, sizeof *out);
    out->data = record->data;
    out->values = record->values;
    out->arrival_ms = record->arrival_ms;
    tumble_synthetic_sequence(record->number, text);
    out->sequence_number.data = text;
    out->sequence_number.length = TUMBLE_SEQUENCE_TEXT - 1;
    if (replay->key_index >= 0 && record->values) {
        const struct tumble_value *value = &record->values[replay->key_index];
        out->partition_key.data = value->text;
        out->partition_key.length =
            value->type == TUMBLE_TYPE_STRING || value->type == TUMBLE_TYPE_NUMBER ? value->length : 0;
    }
    if (out->partition_key.length == 0) {
        char *key = text + TUMBLE_SEQUENCE_TEXT;
        out->partition_key.data = key;
        out->partition_key.length =
            (size_t)snprintf(key, TUMBLE_SHORT_TEXT - TUMBLE_SEQUENCE_TEXT, "%llu", (unsigned long long)record->number);
    }
}

/* What the next call asks for, when this one took so many of those it was shown. */
static void learn(struct replay *replay, size_t shown, size_t taken) {
    if (taken == shown) {
        replay->lines_most = replay->lines_most < LINES_MOST ? replay->lines_most * 2 : LINES_MOST;
    } else if (taken < replay->lines_most / 2) {
        replay->lines_most = replay->lines_most > LINES_FEW ? replay->lines_most / 2 : LINES_FEW;
        replay->lines_rest = replay->lines_most == LINES_FEW && taken < 4 ? REST : 0;
    }
}

static void span_of(const struct replay *replay, const struct tumble_captured_lines *lines, struct tumble_span *span) {
    *span = (struct tumble_span){.origin = {.number = lines->number,
                                            .line = lines->line,
                                            .offset = lines->offset,
                                            .ordinal = replay->progress.records,
                                            .input = lines->input},
                                 .data = lines->records[0].data.data};
}

enum tumble_code tumble_replay_take_lines(struct replay *replay, size_t *taken, int *ends, struct tumble_error *err) {
    struct tumble_lines_wish wish = {replay->lines_most, replay->timestamp_index, &replay->options->timestamp_format};
    struct tumble_captured_lines lines;
    struct tumble_lane *lane = NULL;
    enum tumble_code code = TUMBLE_OK;
    size_t i = 0;
    *taken = 0;
    *ends = 0;
    if (replay->lines_rest) {
        replay->lines_rest--;
        return TUMBLE_OK;
    }
    tumble_capture_lines(replay->capture, &wish, &lines);
    if (lines.count == 0) {
        return TUMBLE_OK;
    }
    struct tumble_span span;
    span_of(replay, &lines, &span);
    if (tumble_round_span(&replay->round, &span) != TUMBLE_OK) {
        return tumble_replay_no_memory(err);
    }
    if (!replay->sharder) {
        code = tumble_replay_lane_of_shard(replay, 0, &lane, err);
    }
    for (; code == TUMBLE_OK && i < lines.count && !*ends; i++) {
        struct tumble_short_record *record = &lines.records[i];
        const int64_t before = replay->clock.watermark_ms, arrival_ms = record->arrival_ms;
        int64_t window_start_ms;
        size_t key_bytes;
        if (replay->key_index >= 0 && (record->values[replay->key_index].flags & TUMBLE_VALUE_ESCAPED)) {
            break;
        }
        if (tumble_virtual_clock_arrive(&replay->clock, arrival_ms, &window_start_ms) == TUMBLE_ARRIVAL_LATE) {
            break;
        }
        if (replay->sharder || replay->key_index >= 0) {
            struct tumble_bytes key = tumble_replay_payload_key(replay, record->values);
            key_bytes = key.length;
            code = tumble_replay_lane_of_key(replay, key, &lane, err);
            if (code != TUMBLE_OK) {
                break;
            }
        } else {
            key_bytes = tumble_replay_number_length(replay, replay->progress.records + 1);
        }
        record->number = ++replay->progress.records;
        if (replay->progress.first_arrival_ms < 0 || arrival_ms < replay->progress.first_arrival_ms) {
            replay->progress.first_arrival_ms = arrival_ms;
        }
        if (arrival_ms > replay->progress.last_arrival_ms) {
            replay->progress.last_arrival_ms = arrival_ms;
        }
        if (tumble_round_add_short(&replay->round, lane, window_start_ms, record, key_bytes,
                                   TUMBLE_SEQUENCE_TEXT - 1) != TUMBLE_OK) {
            code = tumble_replay_no_memory(err);
        }
        replay->closes |= tumble_replay_may_close(replay, before);
        *ends = tumble_replay_round_is_full(replay, lines.input,
                                            lines.offset + (uint64_t)(record->data.data - span.data)) ||
                replay->closes;
    }
    tumble_capture_lines_taken(replay->capture, i);
    learn(replay, lines.count, i);
    replay->summary->records_read += i;
    *taken = i;
    return code;
}
