#include <stdio.h>
#include <time.h>

#include "runner/replay_internal.h"

/* ---- rounds ---- */

/* For how many it is worth to begin applying: payloads of a shard; captured records, of whichever shards. */
enum { EARLY = 128, EARLY_RECORDS = 512 };

static void tell_closed(const struct replay *replay, struct tumble_shard *shard, int64_t window_start_ms) {
    struct tumble_watch *watch = replay->options->watch;
    struct tumble_window_info info;
    if (watch && tumble_shard_window_info(shard, window_start_ms, &info, NULL) == TUMBLE_OK) {
        struct tumble_watch_closing closing = {.shard = tumble_watch_shard(watch, tumble_shard_id(shard)),
                                               .at_us = tumble_watch_now_us(),
                                               .window_start_ms = info.start_ms,
                                               .window_end_ms = info.end_ms,
                                               .records = (int64_t)info.records,
                                               .groups = (int64_t)info.groups,
                                               .state_bytes = (int64_t)info.stored_bytes};
        tumble_watch_window_closed(watch, &closing);
    }
}

static enum tumble_code close_any(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    tell_closed(ctx, shard, window_start_ms);
    return tumble_shard_close(shard, window_start_ms, NULL);
}

static enum tumble_code close_if_over(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    const struct replay *replay = ctx;
    return tumble_virtual_clock_closed(&replay->clock_then, window_start_ms) ? close_any(ctx, shard, window_start_ms)
                                                                             : TUMBLE_OK;
}

enum tumble_code tumble_replay_set_note(struct replay *replay, const char *name, const char *text,
                                        struct tumble_error *err) {
    return text ? tumble_engine_set_note(replay->engine, name, tumble_bytes_of(text), err)
                : tumble_replay_no_memory(err);
}

enum { PARTS_TEXT = 64 };

/* Marks of shards, in the order in which lanes were made: lines of shard, mark, its part, its run and where that ended.
 */
static enum tumble_code note_marks(struct replay *replay, struct tumble_error *err) {
    size_t bytes = 1;
    for (size_t i = 0; i < replay->round.lane_count; i++) {
        bytes += tumble_shard_id(replay->round.lanes[i]->shard).length + replay->round.lanes[i]->mark_length +
                 PARTS_TEXT + 2;
    }
    char *text = tumble_runner_alloc(bytes);
    if (!text) {
        return tumble_replay_no_memory(err);
    }
    size_t length = 0;
    for (size_t i = 0; i < replay->round.lane_count; i++) {
        const struct tumble_lane *lane = replay->round.lanes[i];
        struct tumble_bytes id = tumble_shard_id(lane->shard);
        length += (size_t)snprintf(text + length, bytes - length, "%.*s %.*s %u %u %u %llu\n", (int)id.length, id.data,
                                   (int)lane->mark_length, lane->mark, lane->mark_part, lane->run, lane->run_input,
                                   (unsigned long long)lane->run_number);
    }
    enum tumble_code code = tumble_replay_set_note(replay, "marks", text, err);
    tumble_runner_free(text);
    return code;
}

static enum tumble_code note_progress(struct replay *replay, struct tumble_error *err) {
    char *text = tumble_progress_text(&replay->progress_then);
    enum tumble_code code = tumble_replay_set_note(replay, "progress", text, err);
    tumble_runner_free(text);
    return code;
}

/* Where the inputs stand: what the next commit is to hold. */
static enum tumble_code note_position(struct replay *replay, struct tumble_error *err) {
    if (!replay->keeps_position) {
        return TUMBLE_OK;
    }
    size_t length = tumble_capture_position(replay->capture, NULL, 0);
    char *text = tumble_runner_alloc(length + 1);
    if (!text) {
        return tumble_replay_no_memory(err);
    }
    tumble_capture_position(replay->capture, text, length + 1);
    enum tumble_code code = tumble_replay_set_note(replay, "capture", text, err);
    tumble_runner_free(text);
    if (code == TUMBLE_OK && replay->carries_sequences > 0) {
        code = note_marks(replay, err);
        if (code == TUMBLE_OK) {
            code = tumble_seen_save(replay->seen, replay->engine, err);
        }
    }
    return code;
}

static void locate_failed(const struct replay *replay, const struct tumble_lane *lane, struct tumble_error *err) {
    if (!lane) { /* there was no memory to begin with */
        tumble_replay_no_memory(err);
        return;
    }
    struct tumble_captured captured = {.input = lane->failed.input,
                                       .number = lane->failed.number,
                                       .line = lane->failed.line,
                                       .offset = lane->failed.offset,
                                       .part = lane->failed.part};
    *err = lane->error;
    if (lane->code == TUMBLE_ERECORD) {
        tumble_replay_locate(replay, &captured, err, TUMBLE_ERECORD);
    }
}

static enum tumble_code commit(struct replay *replay, struct tumble_error *err) {
    struct tumble_watch *watch = replay->options->watch;
    int64_t began_us = watch ? tumble_watch_now_us() : 0;
    /* The next round is read while the disk is waited for; rows leave only when they are durable. */
    enum tumble_code code = tumble_engine_commit_start(replay->engine, err);
    if (watch) {
        int64_t now_us = tumble_watch_now_us(), done, total;
        tumble_capture_progress(replay->capture, &done, &total);
        tumble_watch_took(watch, TUMBLE_WATCH_COMMIT, began_us, (uint64_t)(now_us - began_us) * 1000);
        tumble_watch_read(watch, now_us, replay->summary->records_read, tumble_capture_bytes(replay->capture), total);
        tumble_watch_engine(watch, replay->engine, now_us);
    }
    return code;
}

static enum tumble_code deliver(struct replay *replay, int all, struct tumble_error *err) {
    struct tumble_watch *watch = replay->options->watch;
    int64_t began_us = watch ? tumble_watch_now_us() : 0;
    enum tumble_code code =
        all ? tumble_deliver_all(&replay->deliverer, err) : tumble_deliver_due(&replay->deliverer, err);
    if (watch) {
        int64_t now_us = tumble_watch_now_us();
        tumble_watch_took(watch, TUMBLE_WATCH_DELIVERY, began_us, (uint64_t)(now_us - began_us) * 1000);
        tumble_watch_engine(watch, replay->engine, now_us);
    }
    return code;
}

/* Begins to apply the round that is full; the next one is empty. */
static enum tumble_code start_round(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = note_position(replay, err);
    if (code == TUMBLE_OK && tumble_round_start(&replay->round, replay->workers) != TUMBLE_OK) {
        code = tumble_replay_no_memory(err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    replay->under_way = 1;
    replay->clock_then = replay->clock;
    replay->progress_then = replay->progress;
    replay->span_bytes = 0;
    replay->early = 0;
    replay->closes = 0;
    if (replay->overlaps) {
        replay->text_side = !replay->text_side;
        tumble_capture_seal(replay->capture);
    }
    return TUMBLE_OK;
}

/* Waits for what was begun, closes, commits and delivers. */
static enum tumble_code finish_round(struct replay *replay, int end_of_input, struct tumble_error *err) {
    struct tumble_lane *failed;
    if (!replay->under_way) {
        return TUMBLE_OK;
    }
    replay->under_way = 0;
    enum tumble_code code = tumble_round_wait(&replay->round, &failed);
    if (code != TUMBLE_OK) {
        locate_failed(replay, failed, err);
        return code;
    }
    code = tumble_engine_windows(replay->engine, end_of_input ? close_any : close_if_over, replay);
    for (size_t i = 0; i < replay->round.lane_count; i++) { /* nobody is at work */
        replay->progress.batches += replay->round.lanes[i]->batches;
        replay->round.lanes[i]->batches = 0;
    }
    replay->progress_then.batches = replay->progress.batches;
    replay->progress_then.watermark_ms = replay->clock_then.watermark_ms;
    replay->progress_then.complete = end_of_input;
    if (code == TUMBLE_OK) {
        code = note_progress(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = commit(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = deliver(replay, end_of_input, err);
    }
    replay->texts[replay->overlaps ? !replay->text_side : replay->text_side].used = 0;
    if (replay->overlaps) {
        tumble_capture_release_sealed(replay->capture);
    } else if (!replay->options->sort) {
        tumble_capture_release(replay->capture);
    }
    return code;
}

/* The round is full: the one before it comes to its end, and this one begins to be applied, while the next one is read.
 */
static enum tumble_code end_round(struct replay *replay, int end_of_input, struct tumble_error *err) {
    enum tumble_code code = finish_round(replay, 0, err);
    if (code == TUMBLE_OK) {
        code = start_round(replay, err);
    }
    return code == TUMBLE_OK && (end_of_input || !replay->overlaps) ? finish_round(replay, end_of_input, err) : code;
}

/* What lies between records counts too: it stays in memory until the round ends. */
static size_t round_records(const struct replay *replay) {
    size_t lanes = replay->round.lane_count ? replay->round.lane_count : 1;
    size_t wanted = (size_t)replay->options->batch_size * lanes;
    return wanted < ROUND_RECORDS ? wanted : ROUND_RECORDS;
}

size_t tumble_replay_round_room(const struct replay *replay) {
    size_t wanted = round_records(replay);
    return wanted > replay->round.records ? wanted - replay->round.records : 1;
}

static int applies_records_early(const struct replay *replay) {
    return replay->applies_early && replay->options->threads > 1;
}

size_t tumble_replay_records_room(const struct replay *replay) {
    const size_t room = tumble_replay_round_room(replay), waiting = replay->round.records - replay->early;
    const size_t early = waiting < EARLY_RECORDS ? EARLY_RECORDS - waiting : 1;
    return applies_records_early(replay) && early < room ? early : room;
}

static uint64_t span_with(const struct replay *replay, uint32_t input, uint64_t offset) {
    const int behind = input == replay->span_input && offset > replay->span_offset;
    return replay->span_bytes + (behind ? offset - replay->span_offset : 0);
}

int tumble_replay_spans(const struct replay *replay, uint32_t input, uint64_t offset) {
    return span_with(replay, input, offset) >= SPAN_BYTES;
}

int tumble_replay_round_is_full(struct replay *replay, uint32_t input, uint64_t offset) {
    size_t lanes = replay->round.lane_count, wanted = round_records(replay);
    replay->span_bytes = span_with(replay, input, offset);
    replay->span_input = input;
    replay->span_offset = offset;
    return replay->round.records >= wanted || replay->round.bytes >= TUMBLE_ROUND_BYTES ||
           replay->span_bytes >= SPAN_BYTES || (lanes <= 1 && replay->round.full_batch);
}

static void tell_progress(struct replay *replay, int now) {
    struct timespec at;
    if (!replay->options->progress) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t elapsed_ms =
        (int64_t)(at.tv_sec - replay->progress_at.tv_sec) * 1000 + (at.tv_nsec - replay->progress_at.tv_nsec) / 1000000;
    if (!now && elapsed_ms < PROGRESS_MS) {
        return;
    }
    replay->progress_at = at;
    int64_t done, total;
    tumble_capture_progress(replay->capture, &done, &total);
    if (replay->options->progress(replay->options->progress_ctx, done, total, replay->progress.records)) {
        replay->summary->stopped = 1;
    }
}

/* Applies what there is while it is still in the processor's caches, and lets go of its memory. */
static enum tumble_code apply_early(struct replay *replay, struct tumble_error *err) {
    struct tumble_lane *failed;
    enum tumble_code code = tumble_round_apply_early(&replay->round, replay->workers, &failed);
    if (code != TUMBLE_OK) {
        locate_failed(replay, failed, err);
        return code;
    }
    replay->early = replay->round.records;
    replay->texts[replay->text_side].used = 0;
    tumble_capture_release(replay->capture);
    return TUMBLE_OK;
}

/* The input cannot be read on, because of code. The records before come first: one of them may be bad, too. */
static enum tumble_code apply_before(struct replay *replay, enum tumble_code code, struct tumble_error *err) {
    struct tumble_lane *failed;
    struct tumble_error earlier;
    enum tumble_code before = finish_round(replay, 0, &earlier);
    if (before != TUMBLE_OK) {
        *err = earlier;
        return before;
    }
    before = tumble_round_apply(&replay->round, replay->workers, &failed);
    if (before != TUMBLE_OK) {
        locate_failed(replay, failed, err);
    }
    return before == TUMBLE_OK ? code : before;
}

static enum tumble_code take_and_maybe_end(struct replay *replay, const struct tumble_captured *captured,
                                           int64_t arrival_ms, struct tumble_error *why, struct tumble_error *err) {
    int closes = 0;
    enum tumble_code code = TUMBLE_OK;
    if (replay->carries_sequences < 0) {
        code = tumble_replay_first_record(replay, captured, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_replay_take_record(replay, captured, arrival_ms, why, &closes, err);
    }
    replay->closes |= closes;
    replay->summary->records_read++;
    if (code == TUMBLE_ERECORD) {
        return apply_before(replay, code, err);
    }
    /* Not inside an aggregate: the capture has no position there. */
    if (code == TUMBLE_OK &&
        (tumble_replay_round_is_full(replay, captured->input, captured->offset) || replay->closes) && !captured->more) {
        code = end_round(replay, 0, err);
        tell_progress(replay, 0);
    } else if (code == TUMBLE_OK && applies_records_early(replay) && !captured->more &&
               replay->round.records - replay->early >= EARLY_RECORDS) {
        code = apply_early(replay, err);
    }
    return code;
}

/* All that can be taken at once. */
static enum tumble_code take_many(struct replay *replay, struct tumble_error *err) {
    const int captured = replay->carries_sequences > 0;
    for (;;) {
        size_t taken;
        int ends;
        enum tumble_code code = captured ? tumble_replay_take_alike(replay, &taken, &ends, err)
                                         : tumble_replay_take_lines(replay, &taken, &ends, err);
        const int enough = captured
                               ? applies_records_early(replay) && replay->round.records - replay->early >= EARLY_RECORDS
                               : replay->applies_early && taken >= EARLY * replay->round.lane_count;
        if (code == TUMBLE_OK && taken && ends) {
            code = end_round(replay, 0, err);
            tell_progress(replay, 0);
        } else if (code == TUMBLE_OK && taken && enough) {
            code = apply_early(replay, err);
        }
        if (code != TUMBLE_OK || !taken || replay->summary->stopped) {
            return code;
        }
    }
}

static enum tumble_code stream(struct replay *replay, struct tumble_error *err) {
    for (;;) {
        struct tumble_captured captured;
        struct tumble_error why;
        int got;
        if ((replay->reads_lines && replay->carries_sequences == 0) ||
            (replay->reads_alike && replay->carries_sequences > 0)) {
            enum tumble_code taken = take_many(replay, err);
            if (taken != TUMBLE_OK || replay->summary->stopped) {
                return taken;
            }
        }
        enum tumble_code code = tumble_capture_next(replay->capture, &captured, &got, err);
        if (code != TUMBLE_OK) { /* the state stands at the commit before */
            return replay->summary->stopped ? TUMBLE_OK : apply_before(replay, code, err);
        }
        if (!got) {
            /* A producer that the same signal ended looks like the end of the input. */
            tell_progress(replay, 1);
            return replay->summary->stopped ? TUMBLE_OK : end_round(replay, 1, err);
        }
        code = take_and_maybe_end(replay, &captured, tumble_replay_arrival(replay, &captured, &why), &why, err);
        if (code != TUMBLE_OK || replay->summary->stopped) {
            return code;
        }
    }
}

enum tumble_code tumble_replay_stream(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = stream(replay, err);
    struct tumble_error error;
    enum tumble_code finished = finish_round(replay, 0, code == TUMBLE_OK ? err : &error);
    return code == TUMBLE_OK ? finished : code;
}

/* A sorted input was read whole before the first commit, and is again: digests and all, it must be the same. */
static enum tumble_code same_input(const struct replay *replay, struct tumble_error *err) {
    struct tumble_bytes stored = tumble_engine_note(replay->engine, "capture");
    if (!replay->keeps_position || stored.length == 0) {
        return TUMBLE_OK;
    }
    size_t length = tumble_capture_position(replay->capture, NULL, 0);
    char *now = tumble_runner_alloc(length + 1);
    if (!now) {
        return tumble_replay_no_memory(err);
    }
    tumble_capture_position(replay->capture, now, length + 1);
    struct tumble_bytes read = {now, length};
    int same = tumble_bytes_equal(stored, read);
    tumble_runner_free(now);
    return same ? TUMBLE_OK
                : tumble_runner_fail(
                      err, TUMBLE_EMISMATCH,
                      "the inputs are not the bytes this state was made from: give the same, or another --state");
}

enum tumble_code tumble_replay_sorted(struct replay *replay, struct tumble_error *err) {
    for (;;) {
        struct tumble_captured captured;
        struct tumble_error why;
        int got;
        enum tumble_code code = tumble_capture_next(replay->capture, &captured, &got, err);
        if (code == TUMBLE_OK && got) {
            code = tumble_sorter_add(&replay->sorter, &captured, tumble_replay_arrival(replay, &captured, &why), err);
        }
        if (code != TUMBLE_OK) {
            return replay->summary->stopped ? TUMBLE_OK : code;
        }
        if (!got || replay->sorter.count % 4096 == 0) {
            tell_progress(replay, !got);
        }
        if (replay->summary->stopped) {
            return TUMBLE_OK;
        }
        if (!got) {
            break;
        }
    }
    enum tumble_code code = same_input(replay, err);
    if (code == TUMBLE_OK) {
        code = tumble_sorter_sort(&replay->sorter, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (replay->sorter.next > replay->sorter.count) {
        return tumble_runner_fail(
            err, TUMBLE_EMISMATCH,
            "the input has fewer records than the state has read: use the same input, or another --state");
    }
    while (code == TUMBLE_OK && replay->sorter.next < replay->sorter.count && !replay->summary->stopped) {
        const struct tumble_sorted *sorted = &replay->sorter.records[replay->sorter.next++];
        struct tumble_error why;
        tumble_replay_arrival(replay, &sorted->record, &why); /* again, for its reason when there is none */
        code = take_and_maybe_end(replay, &sorted->record, sorted->arrival_ms, &why, err);
    }
    return code == TUMBLE_OK && !replay->summary->stopped ? end_round(replay, 1, err) : code;
}
