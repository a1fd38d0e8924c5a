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
    out->partition_key = tumble_replay_key_value(replay, record->values);
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

struct tumble_stretch tumble_replay_stretch(const struct replay *replay, const int64_t *arrivals_ms, size_t step,
                                            size_t count) {
    struct tumble_virtual_clock clock = replay->clock;
    struct tumble_stretch stretch = {1, 0, *arrivals_ms, *arrivals_ms};
    if (tumble_virtual_clock_arrive(&clock, *arrivals_ms, &stretch.window_start_ms) == TUMBLE_ARRIVAL_LATE) {
        stretch.count = 0;
    }
    const int64_t start_ms = stretch.window_start_ms, closes_ms = replay->none_closes_before_ms;
    int64_t first = stretch.first_arrival_ms, last = first;
    if (stretch.count && clock.watermark_ms < closes_ms) {
        const char *at = (const char *)arrivals_ms + step;
        size_t i = 1;
        for (; i < count; i++, at += step) {
            int64_t arrival_ms;
            memcpy(&arrival_ms, at, sizeof arrival_ms);
            if ((uint64_t)arrival_ms - (uint64_t)start_ms >= (uint64_t)clock.window_ms || arrival_ms >= closes_ms) {
                break;
            }
            first = arrival_ms < first ? arrival_ms : first;
            last = arrival_ms > last ? arrival_ms : last;
        }
        stretch.count = i;
    }
    stretch.first_arrival_ms = first;
    stretch.last_arrival_ms = last;
    return stretch;
}

void tumble_replay_arrive(struct replay *replay, const struct tumble_stretch *stretch) {
    struct tumble_progress *progress = &replay->progress;
    const int64_t before = replay->clock.watermark_ms, first = stretch->first_arrival_ms,
                  last = stretch->last_arrival_ms;
    tumble_virtual_clock_arrive(&replay->clock, last, NULL);
    progress->records += stretch->count;
    progress->first_arrival_ms =
        progress->first_arrival_ms < 0 || first < progress->first_arrival_ms ? first : progress->first_arrival_ms;
    progress->last_arrival_ms = last > progress->last_arrival_ms ? last : progress->last_arrival_ms;
    replay->closes |= tumble_replay_may_close(replay, before);
}

/* Where the next of many records goes, and how many of them with it. */
struct way {
    struct tumble_lane *lane;
    size_t key_bytes;
    size_t most;
};

static enum tumble_code find_way(struct replay *replay, const struct tumble_short_record *records, size_t count,
                                 struct way *way, struct tumble_error *err) {
    if (replay->sharder || replay->key_index >= 0) { /* each record has a key of its own */
        struct tumble_bytes key = tumble_replay_payload_key(replay, records[0].values);
        way->key_bytes = key.length;
        way->most = 1;
        return tumble_replay_lane_of_key(replay, key, &way->lane, err);
    }
    uint64_t next = 10; /* the first number with more digits */
    for (way->key_bytes = 1; replay->progress.records + 1 >= next && way->key_bytes < KEY_TEXT - 5; next *= 10) {
        way->key_bytes++;
    }
    uint64_t more = next - replay->progress.records - 1;
    size_t wanted = tumble_replay_round_room(replay);
    count = count < wanted ? count : wanted;
    way->most = more && more < count ? (size_t)more : count;
    return way->lane ? TUMBLE_OK : tumble_replay_lane_of_shard(replay, 0, &way->lane, err);
}

enum tumble_code tumble_replay_take_lines(struct replay *replay, size_t *taken, int *ends, struct tumble_error *err) {
    struct tumble_lines_wish wish = {replay->lines_most, replay->timestamp_index, &replay->options->timestamp_format};
    struct tumble_captured_lines lines;
    struct way way = {0};
    enum tumble_code code = TUMBLE_OK;
    size_t at = 0;
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
    while (code == TUMBLE_OK && at < lines.count && !*ends) {
        struct tumble_short_record *records = &lines.records[at];
        if (replay->key_index >= 0 && (records[0].values[replay->key_index].flags & TUMBLE_VALUE_ESCAPED)) {
            break;
        }
        code = find_way(replay, records, lines.count - at, &way, err);
        if (code != TUMBLE_OK) {
            break;
        }
        struct tumble_stretch stretch = tumble_replay_stretch(replay, &records->arrival_ms, sizeof *records, way.most);
        if (stretch.count == 0) {
            break;
        }
        size_t added = stretch.count;
        if (tumble_round_add_shorts(&replay->round, way.lane, stretch.window_start_ms, records, &added,
                                    replay->progress.records + 1, way.key_bytes,
                                    TUMBLE_SEQUENCE_TEXT - 1) != TUMBLE_OK) {
            code = tumble_replay_no_memory(err);
            break;
        }
        if (added < stretch.count) {
            stretch = tumble_replay_stretch(replay, &records->arrival_ms, sizeof *records, added);
        }
        tumble_replay_arrive(replay, &stretch);
        at += added;
        *ends = tumble_replay_round_is_full(replay, lines.input,
                                            lines.offset + (uint64_t)(records[added - 1].data.data - span.data)) ||
                replay->closes;
    }
    tumble_capture_lines_taken(replay->capture, at);
    learn(replay, lines.count, at);
    replay->summary->records_read += at;
    *taken = at;
    return code;
}
