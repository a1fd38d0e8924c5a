#include <string.h>

#include "runner/replay_internal.h"

/* Captured records that are laid out alike come many at once. They go the way of tumble_replay_take_record; what would
 * need a closer look there is left to it. */

static void arrive(struct replay *replay, struct tumble_lane *lane, const struct tumble_captured_alike *alike,
                   size_t at, const struct tumble_stretch *stretch) {
    const struct tumble_bytes last = alike->records[at + stretch->count - 1].sequence_number;
    tumble_replay_arrive(replay, stretch);
    memcpy(lane->mark, last.data, last.length);
    lane->mark_length = (uint32_t)last.length;
    lane->mark_part = 0;
    lane->run = 1;
    lane->run_input = alike->input;
    lane->run_number = alike->number + at + stretch->count - 1;
}

/* Is there nothing about the first of them that would have to be found out? */
static int is_usual(const struct replay *replay, const struct tumble_captured_alike *alike) {
    const struct tumble_lane *const lane = replay->last_lane;
    const struct tumble_bytes mark = {lane ? lane->mark : NULL, lane ? lane->mark_length : 0};
    return lane && lane->mark_length && tumble_bytes_equal(tumble_shard_id(lane->shard), alike->shard_id) &&
           alike->records[0].partition_key.length &&
           tumble_compare_by_length(alike->records[0].sequence_number, mark) > 0;
}

static uint64_t offset_of(const struct tumble_captured_alike *alike, size_t i) {
    return alike->offset + (uint64_t)(alike->begins[i] - alike->begins[0]);
}

enum tumble_code tumble_replay_take_alike(struct replay *replay, size_t *taken, int *ends, struct tumble_error *err) {
    struct tumble_captured_alike alike;
    struct tumble_lane *const lane = replay->last_lane;
    enum tumble_code code = TUMBLE_OK;
    size_t at = 0;
    *taken = 0;
    *ends = 0;
    tumble_capture_alike(replay->capture, tumble_replay_records_room(replay), &alike);
    if (alike.count == 0 || !is_usual(replay, &alike) ||
        tumble_replay_spans(replay, alike.input, offset_of(&alike, alike.count - 1))) {
        return TUMBLE_OK;
    }
    while (code == TUMBLE_OK && at < alike.count && !*ends) {
        const struct tumble_record *records = &alike.records[at];
        const size_t room = tumble_replay_records_room(replay), left = alike.count - at;
        const size_t most = left < room ? left : room;
        struct tumble_stretch stretch = tumble_replay_stretch(replay, &records->arrival_ms, sizeof *records, most);
        if (stretch.count == 0) {
            break;
        }
        size_t added = stretch.count;
        if (tumble_round_add_alike(&replay->round, lane, stretch.window_start_ms, &alike, at, replay->progress.records,
                                   &added) != TUMBLE_OK) {
            code = tumble_replay_no_memory(err);
            break;
        }
        if (added < stretch.count) {
            stretch = tumble_replay_stretch(replay, &records->arrival_ms, sizeof *records, added);
        }
        for (size_t i = 0; i < added && code == TUMBLE_OK; i++) {
            if (tumble_seen_add(replay->seen, lane->index, records[i].sequence_number) != TUMBLE_OK) {
                code = tumble_replay_no_memory(err);
            }
        }
        arrive(replay, lane, &alike, at, &stretch);
        at += added;
        *ends = tumble_replay_round_is_full(replay, alike.input, offset_of(&alike, at - 1)) || replay->closes;
    }
    tumble_capture_alike_taken(replay->capture, at);
    replay->summary->records_read += at;
    *taken = at;
    return code;
}
