#include "runner/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emulator/emulator.h"
#include "runner/memory.h"
#include "runner/round.h"
#include "runner/seen.h"
#include "runner/settings.h"
#include "runner/sorter.h"
#include "runner/workers.h"

enum {
    ROUND_RECORDS = 65536,          /* most records of a round, whatever the number of shards */
    ROUND_BYTES = 16 * 1024 * 1024, /* a round ends past this many bytes of events */
    SPAN_BYTES = 64 * 1024 * 1024,  /* or of input, whatever it is */
    PROGRESS_MS = 100,
    LAMBDA_WINDOW_MS = 900000, /* lambda-semantics 3.2 */
    KEY_TEXT = 24
};

struct replay {
    const struct tumble_replay_options *options;
    struct tumble_replay_summary *summary;
    struct tumble_engine *engine;
    struct tumble_capture *capture;
    struct tumble_sharder *sharder; /* several shards are asked for */
    struct tumble_workers *workers;
    struct tumble_round round;
    struct tumble_virtual_clock clock;
    struct tumble_seen *seen; /* captures with sequence numbers */
    struct tumble_sorter sorter;
    struct tumble_lane **shard_lanes; /* by shard index, payload input */
    struct tumble_lane *last_lane;    /* of the record before: the next is mostly of the same shard */
    struct tumble_progress progress;
    int timestamp_index; /* among the extra fields, -1: not projected */
    int key_index;
    int carries_sequences; /* 1: the capture has sequence numbers, 0: payload input, -1: no record yet */
    int takes_timestamp;   /* arrival comes from the field */
    int keeps_position;    /* a state directory is named */
    uint32_t span_input;   /* how much input the round covers */
    uint64_t span_offset;
    uint64_t span_bytes;
    uint64_t lag_ms; /* of the latest late record behind the watermark, for the advice */
    char sequence[TUMBLE_SEQUENCE_TEXT];
    /* Keys and sequence numbers made for the records of a round, in memory that stays where it is until the round ends.
     */
    char **text_blocks;
    size_t text_block_count;
    size_t text_block_capacity;
    size_t text_used;
    struct timespec progress_at;
    char *temporary; /* state directory to remove */
};

static void say(const struct replay *replay, const char *line) {
    if (replay->options->say) {
        replay->options->say(replay->options->say_ctx, line);
    }
}

static enum tumble_code no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

/* ---- text that lives as long as its round ---- */

enum { TEXT_BLOCK = 256 * 1024 };

static char *round_text(struct replay *replay, const char *text, size_t length) {
    size_t block = replay->text_used / TEXT_BLOCK;
    if (replay->text_used % TEXT_BLOCK + length > TEXT_BLOCK) {
        block++;
        replay->text_used = block * TEXT_BLOCK;
    }
    if (block == replay->text_block_count) {
        char **blocks = tumble_runner_grow(replay->text_blocks, replay->text_block_count, &replay->text_block_capacity,
                                           sizeof(char *));
        if (!blocks) {
            return NULL;
        }
        replay->text_blocks = blocks;
        replay->text_blocks[block] = tumble_runner_alloc(TEXT_BLOCK);
        if (!replay->text_blocks[block]) {
            return NULL;
        }
        replay->text_block_count++;
    }
    char *at = replay->text_blocks[block] + replay->text_used % TEXT_BLOCK;
    memcpy(at, text, length);
    replay->text_used += length;
    return at;
}

/* ---- one record ---- */

static struct tumble_bytes shard_name(uint32_t shard, char text[TUMBLE_SHARD_ID_TEXT]) {
    tumble_shard_id_text(shard, text);
    return tumble_bytes_of(text);
}

static enum tumble_code lane_of_shard(struct replay *replay, uint32_t shard, struct tumble_lane **out,
                                      struct tumble_error *err) {
    if (!replay->shard_lanes[shard]) {
        char text[TUMBLE_SHARD_ID_TEXT];
        enum tumble_code code =
            tumble_round_lane(&replay->round, shard_name(shard, text), &replay->shard_lanes[shard], err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    *out = replay->shard_lanes[shard];
    return TUMBLE_OK;
}

/* Kinesis hashes a key's characters, not the way JSON writes them. */
static enum tumble_code unescape_key(struct replay *replay, const struct tumble_value *value, struct tumble_bytes *key,
                                     struct tumble_error *err) {
    if (value->length > TEXT_BLOCK) {
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "a partition key of %u bytes: Kinesis takes 256 characters",
                                  value->length);
    }
    char *text = round_text(replay, value->text, value->length);
    if (!text) {
        return no_memory(err);
    }
    key->data = text;
    key->length = tumble_value_text(value, text, value->length);
    return TUMBLE_OK;
}

/* The record's partition key: the field asked for, the capture's own, or the record's number. */
static enum tumble_code find_key(struct replay *replay, const struct tumble_captured *captured,
                                 struct tumble_bytes *key, struct tumble_error *err) {
    *key = captured->partition_key;
    if (replay->key_index >= 0 && captured->values) {
        const struct tumble_value *value = &captured->values[replay->key_index];
        key->data = value->text;
        key->length = value->type == TUMBLE_TYPE_STRING || value->type == TUMBLE_TYPE_NUMBER ? value->length : 0;
        if (value->flags & TUMBLE_VALUE_ESCAPED) {
            return unescape_key(replay, value, key, err);
        }
    }
    if (key->length == 0) {
        char digits[KEY_TEXT];
        int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)replay->progress.records + 1);
        key->data = round_text(replay, digits, (size_t)length);
        key->length = (size_t)length;
        return key->data ? TUMBLE_OK : no_memory(err);
    }
    return TUMBLE_OK;
}

static enum tumble_code find_lane(struct replay *replay, const struct tumble_captured *captured,
                                  struct tumble_bytes key, struct tumble_lane **lane, struct tumble_error *err) {
    if (captured->shard_id.length) {
        if (!replay->last_lane || !tumble_bytes_equal(tumble_shard_id(replay->last_lane->shard), captured->shard_id)) {
            enum tumble_code code = tumble_round_lane(&replay->round, captured->shard_id, &replay->last_lane, err);
            if (code != TUMBLE_OK) {
                return code;
            }
        }
        *lane = replay->last_lane;
        return TUMBLE_OK;
    }
    uint32_t shard = 0;
    if (replay->sharder) {
        enum tumble_code code = tumble_sharder_shard(replay->sharder, key, captured->explicit_hash_key, &shard, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    return lane_of_shard(replay, shard, lane, err);
}

static void locate(const struct replay *replay, const struct tumble_captured *captured, struct tumble_error *err,
                   enum tumble_code code) {
    char where[512], inside[48] = "";
    struct tumble_error inner = *err;
    struct tumble_captured place = *captured;
    if (inner.byte >= 0 && replay->carries_sequences == 0) {
        place.offset += (uint64_t)inner.byte; /* the payload stands in the input as it is */
    } else if (inner.byte >= 0) {
        snprintf(inside, sizeof inside, ", byte %lld of its data", (long long)inner.byte);
    }
    tumble_capture_where(replay->capture, &place, where, sizeof where);
    tumble_runner_fail(err, code, "%s%s: %s", where, inside, inner.text);
    err->byte = inner.byte;
}

/* A record whose timestamp or encoding cannot be used. */
static enum tumble_code bad_record(struct replay *replay, struct tumble_lane *lane, struct tumble_record *record,
                                   const struct tumble_origin *origin, const struct tumble_captured *captured,
                                   struct tumble_error *why) {
    if (!tumble_spec_diverts_bad_records(replay->options->spec)) {
        locate(replay, captured, why, TUMBLE_ERECORD);
        return TUMBLE_ERECORD;
    }
    enum tumble_code code = tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_BAD, record, origin, why->text);
    return code == TUMBLE_OK ? TUMBLE_OK : no_memory(why);
}

static int compare_sequences(struct tumble_bytes a, struct tumble_bytes b) {
    if (a.length != b.length) {
        return a.length < b.length ? -1 : 1;
    }
    return a.length ? memcmp(a.data, b.data, a.length) : 0;
}

/* Judges a capture's own sequence number against its shard's mark (design R3). *duplicate: delivered before. */
static enum tumble_code check_sequence(struct replay *replay, struct tumble_lane *lane,
                                       const struct tumble_captured *captured, int *duplicate,
                                       struct tumble_error *err) {
    struct tumble_bytes sequence = captured->sequence_number;
    struct tumble_bytes mark = {lane->mark, lane->mark_length};
    *duplicate = 0;
    if (lane->mark_length && compare_sequences(sequence, mark) <= 0) {
        if (compare_sequences(sequence, mark) == 0 || tumble_seen_has(replay->seen, lane->index, sequence)) {
            *duplicate = 1;
            return TUMBLE_OK;
        }
        tumble_runner_fail(err, TUMBLE_EORDER,
                           "sequence number %.*s comes after %.*s of the same shard (%.*s): put the inputs in order, "
                           "or run with --sort",
                           (int)sequence.length, sequence.data, (int)mark.length, mark.data,
                           (int)tumble_shard_id(lane->shard).length, tumble_shard_id(lane->shard).data);
        locate(replay, captured, err, TUMBLE_EORDER);
        return TUMBLE_EORDER;
    }
    memcpy(lane->mark, sequence.data, sequence.length);
    lane->mark_length = (uint32_t)sequence.length;
    return tumble_seen_add(replay->seen, lane->index, sequence) == TUMBLE_OK ? TUMBLE_OK : no_memory(err);
}

/* Arrival time in ms; -1 and *why when the record has none that can be used. */
static int64_t arrival_of(const struct replay *replay, const struct tumble_captured *captured,
                          struct tumble_error *why) {
    if (!replay->takes_timestamp) {
        return captured->arrival_ms;
    }
    int64_t arrival_ms;
    if (captured->bad != TUMBLE_OK || !captured->values || replay->timestamp_index < 0) {
        tumble_runner_fail(why, captured->bad, "%s", tumble_code_text(captured->bad));
        why->byte = captured->bad_byte;
        return -1;
    }
    const struct tumble_value *value = &captured->values[replay->timestamp_index];
    if (tumble_timestamp_ms(&replay->options->timestamp_format, value, &arrival_ms, why) != TUMBLE_OK) {
        char text[TUMBLE_ERROR_TEXT];
        snprintf(text, sizeof text, "timestamp field %s: %.200s", replay->options->timestamp_field, why->text);
        tumble_runner_fail(why, TUMBLE_ETIMESTAMP, "%s", text);
        why->byte = value->text && captured->data.data ? value->text - captured->data.data : -1;
        return -1;
    }
    return arrival_ms;
}

static enum tumble_code first_record(struct replay *replay, const struct tumble_captured *captured,
                                     struct tumble_error *err) {
    replay->carries_sequences = captured->sequence_number.length != 0;
    if (!replay->carries_sequences) {
        return replay->timestamp_index >= 0
                   ? TUMBLE_OK
                   : tumble_runner_fail(
                         err, TUMBLE_EUSAGE,
                         "%s holds payloads without an arrival time: name the field that has it, as in --timestamp ts",
                         replay->options->paths[captured->input]);
    }
    if (captured->shard_id.length && replay->options->shards > 1) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                  "this capture names the shard of each record: leave --shards out");
    }
    if (!replay->seen) {
        replay->seen = tumble_seen_new();
    }
    return replay->seen ? TUMBLE_OK : no_memory(err);
}

/* Puts one record into the round. *closes: behind it some window is over. */
static enum tumble_code take_record(struct replay *replay, const struct tumble_captured *captured, int64_t arrival_ms,
                                    struct tumble_error *why, int *closes, struct tumble_error *err) {
    struct tumble_record record = {.data = captured->data, .arrival_ms = arrival_ms, .values = captured->values};
    struct tumble_origin origin = {captured->number, captured->line, captured->offset, replay->progress.records,
                                   captured->input};
    struct tumble_lane *lane;
    enum tumble_code code = find_key(replay, captured, &record.partition_key, err);
    if (code == TUMBLE_OK) {
        code = find_lane(replay, captured, record.partition_key, &lane, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    replay->progress.records++;
    if (replay->carries_sequences) {
        int duplicate;
        record.sequence_number = captured->sequence_number;
        code = check_sequence(replay, lane, captured, &duplicate, err);
        if (code == TUMBLE_OK && duplicate) {
            code = tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_DUPLICATE, &record, &origin, NULL);
            return code == TUMBLE_OK ? TUMBLE_OK : no_memory(err);
        }
        if (code != TUMBLE_OK) {
            return code;
        }
    } else {
        tumble_synthetic_sequence_next(replay->sequence);
        record.sequence_number.data = round_text(replay, replay->sequence, TUMBLE_SEQUENCE_TEXT - 1);
        record.sequence_number.length = TUMBLE_SEQUENCE_TEXT - 1;
        if (!record.sequence_number.data) {
            return no_memory(err);
        }
    }
    if (arrival_ms < 0) {
        *err = *why;
        return bad_record(replay, lane, &record, &origin, captured, err);
    }
    if (captured->bad != TUMBLE_OK) { /* it has its place in a window all the same */
        char text[128];
        int length = snprintf(text, sizeof text, "%s at byte %lld of its data", tumble_code_text(captured->bad),
                              (long long)captured->bad_byte);
        record.bad = round_text(replay, text, (size_t)length + 1);
        record.values = NULL;
        if (!record.bad) {
            return no_memory(err);
        }
    }
    int64_t before = replay->clock.watermark_ms, window_start_ms;
    if (replay->progress.first_arrival_ms < 0 || arrival_ms < replay->progress.first_arrival_ms) {
        replay->progress.first_arrival_ms = arrival_ms;
    }
    if (arrival_ms > replay->progress.last_arrival_ms) {
        replay->progress.last_arrival_ms = arrival_ms;
    }
    if (tumble_virtual_clock_arrive(&replay->clock, arrival_ms, &window_start_ms) == TUMBLE_ARRIVAL_LATE) {
        int64_t behind = before - (window_start_ms + replay->clock.window_ms);
        uint64_t lag = behind > 0 ? (uint64_t)behind : 0;
        replay->lag_ms = lag > replay->lag_ms ? lag : replay->lag_ms;
        char reason[160], watermark[TUMBLE_TIMESTAMP_TEXT];
        tumble_timestamp_text_ms(before, watermark);
        snprintf(reason, sizeof reason,
                 "its window was closed when the watermark reached %s; allowed lateness is %lld s", watermark,
                 (long long)replay->options->allowed_lateness_seconds);
        code = tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_LATE, &record, &origin, reason);
    } else {
        code = tumble_round_add(&replay->round, lane, window_start_ms, &record, &origin);
    }
    /* A window can only close when the watermark passes a boundary, shifted by the lateness. */
    int64_t lateness = replay->clock.allowed_lateness_ms, length = replay->clock.window_ms;
    *closes = before >= 0 && replay->clock.watermark_ms != before &&
              (replay->clock.watermark_ms - lateness) / length != (before - lateness) / length;
    return code == TUMBLE_OK ? TUMBLE_OK : no_memory(err);
}

/* ---- rounds ---- */

static enum tumble_code close_if_over(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    const struct tumble_virtual_clock *clock = ctx;
    return tumble_virtual_clock_closed(clock, window_start_ms) ? tumble_shard_close(shard, window_start_ms, NULL)
                                                               : TUMBLE_OK;
}

static enum tumble_code close_any(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    (void)ctx;
    return tumble_shard_close(shard, window_start_ms, NULL);
}

static enum tumble_code set_note(struct replay *replay, const char *name, const char *text, struct tumble_error *err) {
    return text ? tumble_engine_set_note(replay->engine, name, tumble_bytes_of(text), err) : no_memory(err);
}

/* Marks of shards: "shard mark" lines, in the order in which lanes were made. */
static enum tumble_code note_marks(struct replay *replay, struct tumble_error *err) {
    size_t bytes = 1;
    for (size_t i = 0; i < replay->round.lane_count; i++) {
        bytes += tumble_shard_id(replay->round.lanes[i]->shard).length + replay->round.lanes[i]->mark_length + 2;
    }
    char *text = tumble_runner_alloc(bytes);
    if (!text) {
        return no_memory(err);
    }
    size_t length = 0;
    for (size_t i = 0; i < replay->round.lane_count; i++) {
        const struct tumble_lane *lane = replay->round.lanes[i];
        struct tumble_bytes id = tumble_shard_id(lane->shard);
        length += (size_t)snprintf(text + length, bytes - length, "%.*s %.*s\n", (int)id.length, id.data,
                                   (int)lane->mark_length, lane->mark);
    }
    enum tumble_code code = set_note(replay, "marks", text, err);
    tumble_runner_free(text);
    return code;
}

static enum tumble_code note_position(struct replay *replay, struct tumble_error *err) {
    char *text = tumble_progress_text(&replay->progress);
    enum tumble_code code = set_note(replay, "progress", text, err);
    tumble_runner_free(text);
    if (code != TUMBLE_OK || !replay->keeps_position) {
        return code;
    }
    size_t length = tumble_capture_position(replay->capture, NULL, 0);
    text = tumble_runner_alloc(length + 1);
    if (!text) {
        return no_memory(err);
    }
    tumble_capture_position(replay->capture, text, length + 1);
    code = set_note(replay, "capture", text, err);
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
    struct tumble_captured captured = {.input = lane->failed.input,
                                       .number = lane->failed.number,
                                       .line = lane->failed.line,
                                       .offset = lane->failed.offset};
    *err = lane->error;
    if (lane->code == TUMBLE_ERECORD) {
        locate(replay, &captured, err, TUMBLE_ERECORD);
    }
}

/* Acknowledgements, and the rows that outputs rejected, which become failures and are delivered in turn. */
static enum tumble_code settle_deliveries(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = tumble_engine_commit(replay->engine, err);
    if (code == TUMBLE_OK) {
        code = tumble_engine_drain(replay->engine, err);
    }
    return code == TUMBLE_OK ? tumble_engine_commit(replay->engine, err) : code;
}

/* Applies, closes, commits and delivers. */
static enum tumble_code end_round(struct replay *replay, int end_of_input, struct tumble_error *err) {
    struct tumble_lane *failed;
    enum tumble_code code = tumble_round_apply(&replay->round, replay->workers, &failed);
    if (code != TUMBLE_OK) {
        locate_failed(replay, failed, err);
        return code;
    }
    code = tumble_engine_windows(replay->engine, end_of_input ? close_any : close_if_over, &replay->clock);
    replay->progress.watermark_ms = replay->clock.watermark_ms;
    replay->progress.complete = end_of_input;
    uint64_t batches = 0;
    for (size_t i = 0; i < replay->round.lane_count; i++) {
        batches += replay->round.lanes[i]->batches;
        replay->round.lanes[i]->batches = 0;
    }
    replay->progress.batches += batches;
    if (code == TUMBLE_OK) {
        code = note_position(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_engine_commit(replay->engine, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_engine_drain(replay->engine, err);
    }
    if (code == TUMBLE_OK && end_of_input) {
        code = settle_deliveries(replay, err);
    }
    replay->text_used = 0;
    replay->span_bytes = 0;
    if (!replay->options->sort) {
        tumble_capture_release(replay->capture);
    }
    return code;
}

/* captured is the record taken last. What lies between records counts too: it stays in memory until the round ends. */
static int round_is_full(struct replay *replay, const struct tumble_captured *captured) {
    size_t lanes = replay->round.lane_count ? replay->round.lane_count : 1;
    size_t wanted = (size_t)replay->options->batch_size * lanes;
    if (wanted > ROUND_RECORDS) {
        wanted = ROUND_RECORDS;
    }
    if (captured->input == replay->span_input && captured->offset > replay->span_offset) {
        replay->span_bytes += captured->offset - replay->span_offset;
    }
    replay->span_input = captured->input;
    replay->span_offset = captured->offset;
    return replay->round.records >= wanted || replay->round.bytes >= ROUND_BYTES || replay->span_bytes >= SPAN_BYTES ||
           (lanes == 1 && replay->round.full_batch);
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

static enum tumble_code take_and_maybe_end(struct replay *replay, const struct tumble_captured *captured,
                                           int64_t arrival_ms, struct tumble_error *why, struct tumble_error *err) {
    int closes = 0;
    enum tumble_code code = TUMBLE_OK;
    if (replay->carries_sequences < 0) {
        code = first_record(replay, captured, err);
    }
    if (code == TUMBLE_OK) {
        code = take_record(replay, captured, arrival_ms, why, &closes, err);
    }
    replay->summary->records_read++;
    if (code == TUMBLE_ERECORD) {
        /* The records before it come first: one of them may be bad too, and their windows may be over. */
        struct tumble_lane *failed;
        enum tumble_code before = tumble_round_apply(&replay->round, replay->workers, &failed);
        if (before != TUMBLE_OK) {
            locate_failed(replay, failed, err);
        }
        return before == TUMBLE_OK ? code : before;
    }
    if (code == TUMBLE_OK && (closes || round_is_full(replay, captured))) {
        code = end_round(replay, 0, err);
        tell_progress(replay, 0);
    }
    return code;
}

static enum tumble_code run_streaming(struct replay *replay, struct tumble_error *err) {
    for (;;) {
        struct tumble_captured captured;
        struct tumble_error why;
        int got;
        enum tumble_code code = tumble_capture_next(replay->capture, &captured, &got, err);
        if (code != TUMBLE_OK) {
            return replay->summary->stopped ? TUMBLE_OK : code; /* the state stands at the commit before */
        }
        if (!got) {
            /* A producer that the same signal ended looks like the end of the input. */
            tell_progress(replay, 1);
            return replay->summary->stopped ? TUMBLE_OK : end_round(replay, 1, err);
        }
        code = take_and_maybe_end(replay, &captured, arrival_of(replay, &captured, &why), &why, err);
        if (code != TUMBLE_OK || replay->summary->stopped) {
            return code;
        }
    }
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
        return no_memory(err);
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

static enum tumble_code run_sorted(struct replay *replay, struct tumble_error *err) {
    for (;;) {
        struct tumble_captured captured;
        struct tumble_error why;
        int got;
        enum tumble_code code = tumble_capture_next(replay->capture, &captured, &got, err);
        if (code == TUMBLE_OK && got) {
            code = tumble_sorter_add(&replay->sorter, &captured, arrival_of(replay, &captured, &why), err);
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
        arrival_of(replay, &sorted->record, &why); /* again, for its reason when there is none */
        code = take_and_maybe_end(replay, &sorted->record, sorted->arrival_ms, &why, err);
    }
    return code == TUMBLE_OK && !replay->summary->stopped ? end_round(replay, 1, err) : code;
}

/* ---- setting up ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static enum tumble_code open_engine(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    struct tumble_bytes extra[2];
    size_t extra_count = 0;
    replay->timestamp_index = replay->key_index = -1;
    if (options->timestamp_field) {
        replay->timestamp_index = (int)extra_count;
        extra[extra_count++] = tumble_bytes_of(options->timestamp_field);
    }
    if (options->partition_key_field) {
        replay->key_index = (int)extra_count;
        extra[extra_count++] = tumble_bytes_of(options->partition_key_field);
    }
    const char *directory = options->state_directory;
    if (!directory) {
        const char *parent = getenv("TMPDIR");
        replay->temporary = tumble_runner_format("%s/tumble-XXXXXX", parent && *parent ? parent : "/tmp");
        if (!replay->temporary) {
            return no_memory(err);
        }
        directory = mkdtemp(replay->temporary);
        if (!directory) {
            return tumble_runner_fail(err, TUMBLE_ESTORE,
                                      "cannot make a temporary directory %s: %s; set TMPDIR or name one with --state",
                                      replay->temporary, strerror(errno));
        }
    }
    const char *source = options->source                       ? options->source
                         : strcmp(options->paths[0], "-") == 0 ? "stdin"
                                                               : base_name(options->paths[0]);
    struct tumble_engine_options engine = {
        .spec = options->spec,
        .source = tumble_bytes_of(source),
        .window_seconds = options->window_seconds,
        .state_directory = directory,
        .durability = options->state_directory ? options->durability : TUMBLE_DURABILITY_NONE,
        .sync_every = options->sync_every,
        .verify = options->state_directory != NULL,
        .memory_limit_bytes = options->memory_limit_bytes,
        .extra_fields = extra,
        .extra_field_count = extra_count,
    };
    return tumble_engine_open(&engine, &replay->engine, err);
}

/* The files of a temporary state stay open but lose their names at once: whatever happens, nothing is left behind. */
static void unlink_temporary(struct replay *replay) {
    static const char *const files[] = {"data.mdb", "lock.mdb", "tumble.lock"};
    for (size_t i = 0; replay->temporary && i < sizeof files / sizeof *files; i++) {
        char *path = tumble_runner_format("%s/%s", replay->temporary, files[i]);
        if (path) {
            unlink(path);
        }
        tumble_runner_free(path);
    }
    if (replay->temporary) {
        rmdir(replay->temporary);
    }
}

static enum tumble_code attach(struct replay *replay, const struct tumble_replay_output *output,
                               enum tumble_row_kind kind, struct tumble_error *err) {
    struct tumble_output_open how = {
        .target = output->target, .options = output->options, .option_count = output->option_count, .kind = kind};
    return tumble_engine_attach(replay->engine, output->uri, output->api, &how, err);
}

static enum tumble_code attach_outputs(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < replay->options->output_count && code == TUMBLE_OK; i++) {
        code = attach(replay, &replay->options->outputs[i], TUMBLE_ROW_WINDOW, err);
    }
    if (code == TUMBLE_OK && replay->options->failures) {
        code = attach(replay, replay->options->failures, TUMBLE_ROW_FAILURE, err);
    }
    return code;
}

/* A signal came while a read waited for input. */
static int stopping(void *ctx) {
    struct replay *replay = ctx;
    if (replay->options->progress &&
        replay->options->progress(replay->options->progress_ctx, 0, -1, replay->progress.records)) {
        replay->summary->stopped = 1;
    }
    return replay->summary->stopped;
}

static enum tumble_code open_capture(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    struct tumble_capture_options capture = {
        .paths = options->paths,
        .path_count = options->path_count,
        .format = options->format,
        .records_at = options->records_at,
        .projection = tumble_engine_projection(replay->engine),
        .project_encoded = options->timestamp_overrides || options->partition_key_field != NULL,
        .digest = replay->keeps_position,
        .stopping = stopping,
        .stopping_ctx = replay,
    };
    enum tumble_code code = tumble_capture_open(&capture, &replay->capture, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    replay->summary->format = tumble_capture_detected(replay->capture);
    int payload = replay->summary->format == TUMBLE_CAPTURE_NDJSON || replay->summary->format == TUMBLE_CAPTURE_ARRAY;
    replay->takes_timestamp = payload || options->timestamp_overrides;
    return TUMBLE_OK;
}

static enum tumble_code resume_marks(struct replay *replay, struct tumble_error *err) {
    struct tumble_bytes note = tumble_engine_note(replay->engine, "marks");
    const char *at = note.data, *end = at + note.length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *space = stop ? memchr(at, ' ', (size_t)(stop - at)) : NULL;
        struct tumble_lane *lane;
        if (!space || (size_t)(stop - space - 1) > sizeof lane->mark) {
            return tumble_runner_fail(err, TUMBLE_ECORRUPT,
                                      "the state's marks are damaged: restore it, or use another --state");
        }
        struct tumble_bytes id = {at, (size_t)(space - at)};
        enum tumble_code code = tumble_round_lane(&replay->round, id, &lane, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        lane->mark_length = (uint32_t)(stop - space - 1);
        memcpy(lane->mark, space + 1, lane->mark_length);
        at = stop + 1;
    }
    if (note.length) {
        replay->seen = tumble_seen_new();
        return replay->seen ? tumble_seen_load(replay->seen, replay->engine, err) : no_memory(err);
    }
    return TUMBLE_OK;
}

/* Goes on where the state stands, or writes down what a new state is for. */
static enum tumble_code resume(struct replay *replay, struct tumble_error *err) {
    char *settings = tumble_settings_text(replay->options);
    if (!settings) {
        return no_memory(err);
    }
    struct tumble_bytes stored = tumble_engine_note(replay->engine, "replay");
    enum tumble_code code;
    if (stored.length == 0) {
        code = set_note(replay, "replay", settings, err);
    } else {
        replay->summary->resumed = 1;
        code = tumble_settings_compare(stored, settings, err);
        struct tumble_bytes progress = tumble_engine_note(replay->engine, "progress");
        if (code == TUMBLE_OK && progress.length) { /* none yet: the run ended before its first round */
            code = tumble_progress_read(progress, &replay->progress, err);
        }
        replay->clock.watermark_ms = replay->progress.watermark_ms;
        replay->sorter.next = replay->progress.records;
    }
    tumble_runner_free(settings);
    return code;
}

static enum tumble_code resume_inputs(struct replay *replay, struct tumble_error *err) {
    struct tumble_bytes position = tumble_engine_note(replay->engine, "capture");
    enum tumble_code code = resume_marks(replay, err);
    if (code == TUMBLE_OK && position.length && (!replay->options->sort || replay->progress.complete)) {
        code = tumble_capture_seek(replay->capture, position, err);
    }
    return code;
}

static void tell_late(const struct replay *replay) {
    struct tumble_counters counters;
    tumble_engine_counters(replay->engine, &counters);
    uint64_t late = counters.fates[TUMBLE_FATE_LATE];
    if (late == 0) {
        return;
    }
    char line[320];
    uint64_t needed = replay->lag_ms / 1000 + 1;
    snprintf(line, sizeof line,
             "warning: %llu late record%s left out (their windows were closed)%s; to include %s, run with --sort or "
             "--allowed-lateness %llu",
             (unsigned long long)late, late == 1 ? " was" : "s were",
             replay->options->failures ? " and written to failures" : "", late == 1 ? "it" : "them",
             (unsigned long long)needed);
    say(replay, line);
}

/* What is most likely a misspelling gives no error: a missing field is null. */
static void tell_unfound(const struct replay *replay) {
    struct tumble_counters counters;
    struct tumble_bytes path;
    uint64_t found;
    tumble_engine_counters(replay->engine, &counters);
    if (counters.fates[TUMBLE_FATE_APPLIED] == 0 || replay->summary->resumed) {
        return;
    }
    for (size_t i = 0; tumble_engine_field(replay->engine, i, &path, &found); i++) {
        char line[320];
        if (found == 0) {
            snprintf(line, sizeof line, "note: no record has the field %.*s: is that its name?",
                     (int)(path.length < 200 ? path.length : 200), path.data);
            say(replay, line);
        }
    }
}

static void fill_summary(struct replay *replay, const struct timespec *start) {
    struct tumble_replay_summary *summary = replay->summary;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    summary->seconds = (double)(end.tv_sec - start->tv_sec) + (double)(end.tv_nsec - start->tv_nsec) / 1e9;
    if (replay->engine) {
        tumble_engine_counters(replay->engine, &summary->counters);
    }
    if (replay->capture) {
        summary->bytes_read = tumble_capture_bytes(replay->capture);
    }
    summary->shards = (uint32_t)replay->round.lane_count;
    summary->batches = replay->progress.batches;
    summary->first_arrival_ms = replay->progress.first_arrival_ms;
    summary->last_arrival_ms = replay->progress.last_arrival_ms;
    struct tumble_latency *all = tumble_runner_alloc(sizeof *all);
    for (size_t i = 0; all && i < replay->round.lane_count; i++) {
        tumble_latency_merge(all, replay->round.lanes[i]->latency);
    }
    if (all) {
        summary->latency_count = all->count;
        summary->latency_p50_us = tumble_latency_quantile_us(all, 0.5);
        summary->latency_p90_us = tumble_latency_quantile_us(all, 0.9);
        summary->latency_p99_us = tumble_latency_quantile_us(all, 0.99);
        summary->latency_max_us = (double)all->max_ns / 1000.0;
    }
    tumble_runner_free(all);
}

static enum tumble_code set_up(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    uint32_t shards = options->shards ? options->shards : 1;
    enum tumble_code code = open_engine(replay, err);
    unlink_temporary(replay);
    if (code != TUMBLE_OK) {
        return code;
    }
    replay->clock.window_ms = tumble_engine_window_ms(replay->engine);
    replay->clock.allowed_lateness_ms = options->allowed_lateness_seconds * 1000;
    replay->clock.watermark_ms = -1;
    replay->progress.watermark_ms = replay->progress.first_arrival_ms = replay->progress.last_arrival_ms = -1;
    struct tumble_batch_limits limits = {.batch_size = options->batch_size,
                                         .event_limit_bytes = TUMBLE_EVENT_LIMIT_BYTES};
    tumble_round_init(&replay->round, replay->engine, limits);
    replay->shard_lanes = tumble_runner_alloc(shards * sizeof(struct tumble_lane *));
    if (!replay->shard_lanes) {
        return no_memory(err);
    }
    code = shards > 1 ? tumble_sharder_new(shards, (struct tumble_alloc){0}, &replay->sharder, err) : TUMBLE_OK;
    if (code == TUMBLE_OK) {
        code = tumble_workers_new(options->threads, &replay->workers, err);
    }
    if (code == TUMBLE_OK) {
        code = resume(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = attach_outputs(replay, err);
    }
    return code;
}

static enum tumble_code run(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = set_up(replay, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    /* Where outputs begin is committed before they are written to; then rows left over from an earlier run go out. */
    code = tumble_engine_commit(replay->engine, err);
    if (code == TUMBLE_OK) {
        code = tumble_engine_drain(replay->engine, err);
    }
    if (code == TUMBLE_OK) {
        code = open_capture(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = resume_inputs(replay, err);
    }
    if (code == TUMBLE_OK && replay->progress.complete) { /* of these very inputs */
        replay->summary->complete_before = 1;
        return settle_deliveries(replay, err);
    }
    /* Every shard of a stream exists from the start, in order: rows of a window come by shard. */
    for (uint32_t shard = 0; code == TUMBLE_OK && shard < replay->options->shards && replay->options->shards > 1;
         shard++) {
        struct tumble_lane *lane;
        code = lane_of_shard(replay, shard, &lane, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (replay->clock.window_ms > LAMBDA_WINDOW_MS) {
        say(replay, "note: the windows are longer than 900 s, the most a Lambda event source mapping takes");
    }
    tumble_synthetic_sequence(replay->progress.records, replay->sequence);
    code = replay->options->sort ? run_sorted(replay, err) : run_streaming(replay, err);
    if (code == TUMBLE_OK) {
        tell_late(replay);
        tell_unfound(replay);
    }
    return code;
}

enum tumble_code tumble_replay_run(const struct tumble_replay_options *options, struct tumble_replay_summary *summary,
                                   struct tumble_error *err) {
    struct replay replay = {.options = options,
                            .summary = summary,
                            .carries_sequences = -1,
                            .keeps_position = options->state_directory != NULL};
    struct timespec start;
    memset(summary, 0, sizeof *summary);
    clock_gettime(CLOCK_MONOTONIC, &start);
    replay.progress_at = start;
    enum tumble_code code = run(&replay, err);
    fill_summary(&replay, &start);
    tumble_workers_destroy(replay.workers);
    tumble_round_clean_up(&replay.round);
    tumble_sorter_clean_up(&replay.sorter);
    tumble_seen_destroy(replay.seen);
    tumble_sharder_destroy(replay.sharder);
    tumble_capture_close(replay.capture);
    tumble_engine_destroy(replay.engine);
    tumble_runner_free(replay.shard_lanes);
    for (size_t i = 0; i < replay.text_block_count; i++) {
        tumble_runner_free(replay.text_blocks[i]);
    }
    tumble_runner_free(replay.text_blocks);
    tumble_runner_free(replay.temporary);
    return code;
}
