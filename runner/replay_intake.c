#include <stdio.h>
#include <string.h>

#include "runner/replay_internal.h"

enum tumble_code tumble_replay_no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

/* ---- text that lives as long as its round ---- */

enum { TEXT_BLOCK = 256 * 1024 };

static char *round_text(struct replay *replay, const char *text, size_t length) {
    size_t *const used = &replay->texts[replay->text_side].used, *const count = &replay->texts[replay->text_side].count;
    size_t block = *used / TEXT_BLOCK;
    if (*used % TEXT_BLOCK + length > TEXT_BLOCK) {
        block++;
        *used = block * TEXT_BLOCK;
    }
    if (block == *count) {
        char **blocks = tumble_runner_grow(replay->texts[replay->text_side].blocks, *count,
                                           &replay->texts[replay->text_side].capacity, sizeof(char *));
        if (!blocks) {
            return NULL;
        }
        replay->texts[replay->text_side].blocks = blocks;
        blocks[block] = tumble_runner_alloc(TEXT_BLOCK);
        if (!blocks[block]) {
            return NULL;
        }
        (*count)++;
    }
    char *at = replay->texts[replay->text_side].blocks[block] + *used % TEXT_BLOCK;
    memcpy(at, text, length);
    *used += length;
    return at;
}

/* ---- one record ---- */

static struct tumble_bytes shard_name(uint32_t shard, char text[TUMBLE_SHARD_ID_TEXT]) {
    tumble_shard_id_text(shard, text);
    return tumble_bytes_of(text);
}

enum tumble_code tumble_replay_lane_of_shard(struct replay *replay, uint32_t shard, struct tumble_lane **out,
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

/* Kinesis hashes a key's characters, not the way JSON writes them: they take the value's place. */
static enum tumble_code unescape_key(struct replay *replay, struct tumble_value *value, struct tumble_error *err) {
    if (value->length > TEXT_BLOCK) {
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "a partition key of %u bytes: Kinesis takes 256 characters",
                                  value->length);
    }
    char *text = round_text(replay, value->text, value->length);
    if (!text) {
        return tumble_replay_no_memory(err);
    }
    value->length = (uint32_t)tumble_value_text(value, text, value->length);
    value->text = text;
    value->flags = 0;
    return TUMBLE_OK;
}

/* The number of the record at hand, which mostly is one more than the last. */
static void next_number(struct replay *replay) {
    const uint64_t value = replay->progress.records + 1;
    size_t at = replay->number_length;
    if (value == replay->number_value + 1 && at) {
        while (at > 0 && replay->number[at - 1] == '9') {
            replay->number[--at] = '0';
        }
    }
    if (at && value == replay->number_value + 1) {
        replay->number[at - 1]++;
    } else { /* the first, or all nines */
        replay->number_length =
            (size_t)snprintf(replay->number, sizeof replay->number, "%llu", (unsigned long long)value);
    }
    replay->number_value = value;
}

struct tumble_bytes tumble_replay_payload_key(struct replay *replay, const struct tumble_value *values) {
    struct tumble_bytes key = tumble_replay_key_value(replay, values);
    if (key.length == 0) {
        next_number(replay);
        key.data = replay->number;
        key.length = replay->number_length;
    }
    return key;
}

/* The record's partition key: the field asked for, the capture's own, or the record's number. */
static enum tumble_code find_key(struct replay *replay, const struct tumble_captured *captured,
                                 struct tumble_bytes *key, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    *key = captured->partition_key;
    if (replay->key_index >= 0 && captured->values) {
        struct tumble_value *value = &captured->values[replay->key_index];
        if (value->type == TUMBLE_TYPE_STRING && (value->flags & TUMBLE_VALUE_ESCAPED)) {
            code = unescape_key(replay, value, err);
        }
        key->length = 0;
    }
    if (code == TUMBLE_OK && key->length == 0) {
        *key = tumble_replay_payload_key(replay, captured->values);
        if (replay->carries_sequences && key->data == replay->number) { /* of a payload it is made again when needed */
            key->data = round_text(replay, replay->number, replay->number_length);
        }
    }
    return code == TUMBLE_OK && !key->data ? tumble_replay_no_memory(err) : code;
}

enum tumble_code tumble_replay_lane_of_key(struct replay *replay, struct tumble_bytes key, struct tumble_lane **lane,
                                           struct tumble_error *err) {
    static const struct tumble_bytes none;
    uint32_t shard = 0;
    if (replay->sharder) {
        enum tumble_code code = tumble_sharder_shard(replay->sharder, key, none, &shard, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    return tumble_replay_lane_of_shard(replay, shard, lane, err);
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
    return tumble_replay_lane_of_shard(replay, shard, lane, err);
}

void tumble_replay_locate(const struct replay *replay, const struct tumble_captured *captured, struct tumble_error *err,
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
        tumble_replay_locate(replay, captured, why, TUMBLE_ERECORD);
        return TUMBLE_ERECORD;
    }
    enum tumble_code code = tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_BAD, record, origin, why->text);
    return code == TUMBLE_OK ? TUMBLE_OK : tumble_replay_no_memory(why);
}

static int from_enhanced_fan_out(struct tumble_bytes arn) {
    static const char part[] = "/consumer/";
    for (size_t i = 0; i + sizeof part - 1 <= arn.length; i++) {
        if (memcmp(arn.data + i, part, sizeof part - 1) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The part of a record whose number is its shard's mark. What Lambda split itself (points 39 and 40) is told from a
 * second delivery by its place: right behind the record before it, in the same event. An event that begins with the
 * number begins at its first part: an assumption, since retries are likelier than an aggregate cut in two. */
static uint32_t part_of_mark(struct tumble_lane *lane, const struct tumble_captured *captured) {
    if (captured->part) {
        return captured->part;
    }
    int follows =
        !captured->begins_event && captured->input == lane->run_input && captured->number == lane->run_number + 1;
    lane->run = follows ? lane->run + 1 : 1;
    lane->run_input = captured->input;
    lane->run_number = captured->number;
    return lane->run > 1 && from_enhanced_fan_out(captured->event_source_arn) ? lane->run : 0;
}

/* Judges a capture's own sequence number against its shard's mark (design R3). *duplicate: delivered before. *part: of
 * an aggregate, from 1. */
static enum tumble_code check_sequence(struct replay *replay, struct tumble_lane *lane,
                                       const struct tumble_captured *captured, int *duplicate, uint32_t *part,
                                       struct tumble_error *err) {
    struct tumble_bytes sequence = captured->sequence_number;
    struct tumble_bytes mark = {lane->mark, lane->mark_length};
    *duplicate = 0;
    int order = lane->mark_length ? tumble_compare_by_length(sequence, mark) : 1;
    *part = order == 0 ? part_of_mark(lane, captured) : captured->part;
    if (order == 0 && *part > lane->mark_part) { /* of the aggregate at hand */
        lane->mark_part = *part;
        return TUMBLE_OK;
    }
    if (order <= 0) {
        if (order == 0 || tumble_seen_has(replay->seen, lane->index, sequence)) {
            *duplicate = 1;
            return TUMBLE_OK;
        }
        tumble_runner_fail(err, TUMBLE_EORDER,
                           "sequence number %.*s comes after %.*s of the same shard (%.*s): put the inputs in order, "
                           "or run with --sort",
                           (int)sequence.length, sequence.data, (int)mark.length, mark.data,
                           (int)tumble_shard_id(lane->shard).length, tumble_shard_id(lane->shard).data);
        tumble_replay_locate(replay, captured, err, TUMBLE_EORDER);
        return TUMBLE_EORDER;
    }
    memcpy(lane->mark, sequence.data, sequence.length);
    lane->mark_length = (uint32_t)sequence.length;
    lane->mark_part = captured->part;
    lane->run = 1;
    lane->run_input = captured->input;
    lane->run_number = captured->number;
    return tumble_seen_add(replay->seen, lane->index, sequence) == TUMBLE_OK ? TUMBLE_OK : tumble_replay_no_memory(err);
}

/* Arrival time in ms; -1 and *why when the record has none that can be used. */
int64_t tumble_replay_arrival(const struct replay *replay, const struct tumble_captured *captured,
                              struct tumble_error *why) {
    if (!replay->takes_timestamp) {
        return captured->arrival_ms;
    }
    int64_t arrival_ms;
    if (captured->bad != TUMBLE_OK || !captured->values || replay->timestamp_index < 0) {
        tumble_runner_fail(why, captured->bad, "%s",
                           captured->bad_text ? captured->bad_text : tumble_code_text(captured->bad));
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

enum tumble_code tumble_replay_first_record(struct replay *replay, const struct tumble_captured *captured,
                                            struct tumble_error *err) {
    replay->carries_sequences = captured->sequence_number.length != 0;
    if (!replay->carries_sequences) {
        replay->round.lengthen = tumble_replay_lengthen;
        replay->round.lengthen_ctx = replay;
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
    return replay->seen ? TUMBLE_OK : tumble_replay_no_memory(err);
}

/* A window can only close when the watermark passes a boundary, shifted by the lateness. Divisions are slow: when one
 * was made, the next boundary is known. */
int tumble_replay_may_close(struct replay *replay, int64_t before) {
    int64_t now = replay->clock.watermark_ms;
    if (before < 0 || now == before || now < replay->none_closes_before_ms) {
        return 0;
    }
    int64_t lateness = replay->clock.allowed_lateness_ms, length = replay->clock.window_ms;
    int64_t passed = (now - lateness) / length;
    if (now >= lateness) {
        replay->none_closes_before_ms = (passed + 1) * length + lateness;
    }
    return passed != (before - lateness) / length;
}

static struct tumble_short_record in_short(const struct replay *replay, const struct tumble_record *record) {
    struct tumble_short_record made = {record->data, record->values, record->arrival_ms, replay->progress.records};
    return made;
}

/* A payload that is refused, at length. False: no memory. */
static int lengthen(struct replay *replay, const struct tumble_captured *captured, struct tumble_record *record) {
    static const char blank[TUMBLE_SHORT_TEXT];
    struct tumble_short_record made = in_short(replay, record);
    char *text = round_text(replay, blank, sizeof blank);
    if (text) {
        tumble_replay_lengthen(replay, &made, text, record);
        record->values = captured->values;
    }
    return text != NULL;
}

static enum tumble_code add_payload(struct replay *replay, struct tumble_lane *lane, int64_t window_start_ms,
                                    const struct tumble_record *record, const struct tumble_origin *origin) {
    struct tumble_short_record made = in_short(replay, record);
    struct tumble_span span = {*origin, record->data.data};
    enum tumble_code code = tumble_round_span(&replay->round, &span);
    size_t one = 1;
    return code == TUMBLE_OK ? tumble_round_add_shorts(&replay->round, lane, window_start_ms, &made, &one, made.number,
                                                       record->partition_key.length, TUMBLE_SEQUENCE_TEXT - 1)
                             : code;
}

/* Puts one record into the round. *closes: behind it some window is over. */
enum tumble_code tumble_replay_take_record(struct replay *replay, const struct tumble_captured *captured,
                                           int64_t arrival_ms, struct tumble_error *why, int *closes,
                                           struct tumble_error *err) {
    struct tumble_record record = {.data = captured->data, .arrival_ms = arrival_ms, .values = captured->values};
    struct tumble_origin origin = {captured->number,         captured->line,  captured->offset,
                                   replay->progress.records, captured->input, captured->part};
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
        uint32_t part;
        code = check_sequence(replay, lane, captured, &duplicate, &part, err);
        record.sub_sequence_number = part ? part - 1 : 0;
        if (code == TUMBLE_OK && duplicate) {
            code = tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_DUPLICATE, &record, &origin, NULL);
            return code == TUMBLE_OK ? TUMBLE_OK : tumble_replay_no_memory(err);
        }
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    if (arrival_ms < 0) {
        if (!replay->carries_sequences && !lengthen(replay, captured, &record)) {
            return tumble_replay_no_memory(err);
        }
        *err = *why;
        return bad_record(replay, lane, &record, &origin, captured, err);
    }
    if (captured->bad != TUMBLE_OK) { /* it has its place in a window all the same */
        char text[128];
        int length = captured->bad_text ? snprintf(text, sizeof text, "%s", captured->bad_text)
                                        : snprintf(text, sizeof text, "%s at byte %lld of its data",
                                                   tumble_code_text(captured->bad), (long long)captured->bad_byte);
        record.bad = round_text(replay, text, (size_t)length + 1);
        record.values = NULL;
        if (!record.bad) {
            return tumble_replay_no_memory(err);
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
        code = replay->carries_sequences || lengthen(replay, captured, &record)
                   ? tumble_round_refuse(&replay->round, lane, TUMBLE_FATE_LATE, &record, &origin, reason)
                   : TUMBLE_ENOMEM;
    } else if (!replay->carries_sequences) {
        code = add_payload(replay, lane, window_start_ms, &record, &origin);
    } else {
        code = tumble_round_add(&replay->round, lane, window_start_ms, &record, &origin);
    }
    *closes = tumble_replay_may_close(replay, before);
    return code == TUMBLE_OK ? TUMBLE_OK : tumble_replay_no_memory(err);
}
