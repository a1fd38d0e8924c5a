#include "engine/event_apply.h"

#include <tumble/kpl.h>
#include <tumble/lambda.h>
#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/codec/arrival.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"

/* Records of an event into windows, a slice at a time: a slice is read, decoded and applied while it lies in the
 * nearest cache. Decoded bytes stand one behind the other in a buffer that moves only between slices. */

enum { SLICE = TW_CHUNK_RECORDS, FIRST_ROOM = 32768, AHEAD = 4096, LINE = 64 };

struct tw_event_scratch {
    struct tumble_layout layout; /* of the event's records */
    struct tw_arrival arrival;
    struct tumble_kpl *kpl;
    struct tw_buf payloads;
    struct tumble_record slice[SLICE];
    uint32_t origin[SLICE]; /* index in the event */
};

void tw_event_scratch_destroy(struct tw_event_scratch *scratch, const struct tumble_alloc *alloc) {
    if (scratch) {
        tumble_kpl_destroy(scratch->kpl);
        tw_buf_clean_up(&scratch->payloads);
        tw_free(alloc, scratch);
    }
}

struct reader {
    struct tumble_shard *shard; /* NULL: only its name is wanted */
    struct tw_event_scratch *scratch;
    struct tumble_bytes json;
    const char *at;
    const char *end;
    const char *fetched;    /* into the cache, or on the way there */
    size_t records;         /* read */
    size_t count;           /* in the slice */
    int64_t start_ms;       /* of the window that the slice belongs to */
    struct tumble_bytes id; /* wanted: what was found */
    bool has_records;
    bool stop;
    struct tumble_event_result *result;
    struct tumble_error *err;
};

static enum tumble_code get_scratch(struct tumble_shard *shard, struct tumble_error *err) {
    const struct tumble_alloc alloc = shard->engine->alloc;
    struct tw_event_scratch *scratch = tw_alloc_zero(&alloc, sizeof *scratch);
    if (!scratch) {
        return tw_no_memory(err);
    }
    tw_buf_init(&scratch->payloads, alloc, SIZE_MAX / 4);
    enum tumble_code code = tumble_kpl_new(alloc, &scratch->kpl, err);
    if (code == TUMBLE_OK && tw_buf_reserve(&scratch->payloads, FIRST_ROOM) != TUMBLE_OK) {
        code = tw_no_memory(err);
    }
    if (code != TUMBLE_OK) {
        tw_event_scratch_destroy(scratch, &alloc);
        return code;
    }
    shard->event = scratch;
    return TUMBLE_OK;
}

/* ---- errors ---- */

static enum tumble_code not_json(struct reader *reader, const char *expected) {
    return tw_fail_at(reader->err, TUMBLE_EJSON, reader->at - reader->json.data,
                      reader->at == reader->end ? "the event ends where %s must stand" : "expected %s", expected);
}

/* Errors of what reads a part of the event count from that part. */
static __attribute__((cold, noinline)) enum tumble_code moved(struct reader *reader, enum tumble_code code,
                                                              const char *from) {
    if (reader->err && reader->err->byte >= 0) {
        reader->err->byte += from - reader->json.data;
    }
    return code == TUMBLE_EMORE ? TUMBLE_EJSON : code;
}

static __attribute__((cold, noinline)) enum tumble_code at_record(struct reader *reader, enum tumble_code code,
                                                                  size_t record) {
    if (reader->err) {
        tw_error_prefix(reader->err, "record %zu of the event", record);
        reader->err->record = (int64_t)record;
    }
    return code;
}

/* ---- slices ---- */

static enum tumble_code apply_slice(struct reader *reader) {
    struct tw_event_scratch *scratch = reader->scratch;
    struct tumble_apply_result result;
    if (reader->count == 0) {
        return TUMBLE_OK;
    }
    enum tumble_code code =
        tw_shard_apply_at(reader->shard, reader->start_ms, scratch->slice, reader->count, &result, reader->err);
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        reader->result->fates[fate] += result.fates[fate];
    }
    if (code != TUMBLE_OK) {
        reader->result->records = scratch->origin[result.processed];
        reader->err->record = scratch->origin[result.processed];
        reader->stop = true;
        return code;
    }
    reader->result->records = scratch->origin[reader->count - 1] + (size_t)1;
    reader->count = 0;
    return TUMBLE_OK;
}

/* The slice first: what an error is told of comes behind it. */
static __attribute__((cold, noinline)) enum tumble_code behind_slice(struct reader *reader, enum tumble_code code) {
    struct tumble_error told = *reader->err;
    TW_TRY(apply_slice(reader));
    *reader->err = told;
    return code;
}

static inline enum tumble_code push(struct reader *reader, const struct tumble_record *record) {
    struct tw_event_scratch *scratch = reader->scratch;
    if (TW_RARELY(record->arrival_ms < reader->start_ms ||
                  record->arrival_ms - reader->start_ms >= reader->shard->engine->window_ms)) {
        const int64_t length = reader->shard->engine->window_ms;
        TW_TRY(apply_slice(reader));
        if (record->arrival_ms < 0 || record->arrival_ms > TUMBLE_TIMESTAMP_MAX_MS) {
            return at_record(reader, tw_fail(reader->err, TUMBLE_EEVENT, "its arrival time is not within 1970 to 9999"),
                             reader->records);
        }
        reader->start_ms = record->arrival_ms - record->arrival_ms % length;
    }
    scratch->slice[reader->count] = *record;
    scratch->origin[reader->count] = (uint32_t)reader->records;
    if (++reader->count < SLICE) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&scratch->payloads);
    return apply_slice(reader);
}

static __attribute__((noinline)) enum tumble_code push_aggregate(struct reader *reader, struct tumble_record *record) {
    struct tumble_kpl *kpl = reader->scratch->kpl;
    enum tumble_kpl_kind kind;
    uint64_t count;
    struct tumble_kpl_record part;
    TW_TRY(tumble_kpl_open(kpl, record->data, NULL, &kind, &count, reader->err));
    if (kind == TUMBLE_KPL_PLAIN) {
        return push(reader, record);
    }
    struct tw_buf *payloads = &reader->scratch->payloads;
    const size_t used = payloads->length;
    while (tumble_kpl_next(kpl, &part)) {
        record->data = part.data;
        record->partition_key = part.partition_key;
        record->sub_sequence_number = part.sub_sequence_number;
        record->bad = part.bad;
        TW_TRY(push(reader, record));
    }
    payloads->length = used; /* a slice that got full clears it, but the parts behind that slice lie there */
    return TUMBLE_OK;
}

/* ---- records ---- */

/* Room for what a record decodes to. */
static __attribute__((cold, noinline)) enum tumble_code more_room(struct reader *reader, size_t bytes,
                                                                  struct tumble_bytes *decoded) {
    struct tw_buf *buf = &reader->scratch->payloads;
    TW_TRY(apply_slice(reader));
    tw_buf_clear(buf);
    if (decoded->data) { /* goes to the front */
        memmove(buf->data, decoded->data, decoded->length);
        buf->length = decoded->length;
    }
    if (tw_buf_reserve(buf, bytes > FIRST_ROOM ? bytes : FIRST_ROOM) != TUMBLE_OK) {
        return tw_no_memory(reader->err);
    }
    if (decoded->data) {
        decoded->data = buf->data; /* it may have moved */
    }
    return TUMBLE_OK;
}

static __attribute__((cold, noinline)) struct tumble_bytes without_escapes(struct reader *reader,
                                                                           const struct tumble_value *value) {
    struct tw_buf *buf = &reader->scratch->payloads; /* has room */
    size_t from = buf->length;
    struct tumble_bytes text = {NULL, 0};
    if (tw_json_unescape(value, buf) == TUMBLE_OK) {
        text.data = buf->data + from;
        text.length = buf->length - from;
    }
    return text;
}

static inline struct tumble_bytes text_of(struct reader *reader, const struct tumble_value *value) {
    struct tumble_bytes text = {value->text, value->length};
    return TW_RARELY(value->flags & TUMBLE_VALUE_ESCAPED) ? without_escapes(reader, value) : text;
}

static __attribute__((noinline)) void decode(struct reader *reader, const struct tumble_value *data,
                                             struct tumble_record *record) {
    const struct tumble_bytes text = text_of(reader, data);
    struct tw_buf *buf = &reader->scratch->payloads;
    size_t length = 0;
    if (tw_base64_decode(text, buf->data + buf->length, &length, NULL) == TUMBLE_OK) {
        record->data.data = buf->data + buf->length;
        record->data.length = length;
        buf->length += length;
    } else {
        record->bad = "its data is not base64";
        record->data = text;
    }
}

static inline bool is_of(const struct tumble_value *event_id, struct tumble_bytes shard) {
    return event_id->length > shard.length && event_id->text[shard.length] == ':' &&
           memcmp(event_id->text, shard.data, shard.length) == 0;
}

static enum tumble_code other_shard(struct reader *reader, struct tumble_bytes id, struct tumble_bytes shard) {
    const char *colon = id.length ? memchr(id.data, ':', id.length) : NULL;
    size_t length = colon ? (size_t)(colon - id.data) : 0;
    if (length == shard.length && memcmp(id.data, shard.data, length) == 0) { /* written with escapes */
        return TUMBLE_OK;
    }
    enum tumble_code code = colon ? tw_fail(reader->err, TUMBLE_EEVENT, "it is of shard %.*s, not %.*s",
                                            (int)(length < 128 ? length : 128), id.data, (int)shard.length, shard.data)
                                  : tw_fail(reader->err, TUMBLE_EEVENT, "its eventID names no shard");
    return behind_slice(reader, at_record(reader, code, reader->records));
}

static inline enum tumble_code take_record(struct reader *reader, const struct tumble_kinesis_record *from,
                                           size_t decoded) {
    struct tw_event_scratch *scratch = reader->scratch;
    struct tw_buf *buf = &scratch->payloads;
    struct tumble_record record = {0};
    if (TW_OFTEN(decoded != TUMBLE_NOT_DECODED)) {
        record.data.data = buf->data + buf->length;
        record.data.length = decoded;
        buf->length += decoded;
    }
    size_t room = (size_t)from->data.length * 2 + from->partition_key.length + from->sequence_number.length +
                  from->event_id.length;
    if (TW_RARELY(buf->capacity - buf->length < room)) {
        TW_TRY(more_room(reader, room, &record.data));
    }
    const struct tumble_bytes shard = {reader->shard->id, reader->shard->id_length};
    if (TW_RARELY(!is_of(&from->event_id, shard))) {
        TW_TRY(other_shard(reader, text_of(reader, &from->event_id), shard));
    }
    if (TW_RARELY(!tw_arrival_usual(&scratch->arrival, &from->arrival, &record.arrival_ms))) {
        enum tumble_code code = tw_arrival_ms(&scratch->arrival, &from->arrival, &record.arrival_ms, reader->err);
        if (code != TUMBLE_OK) {
            return behind_slice(reader, at_record(reader, TUMBLE_EEVENT, reader->records));
        }
    }
    record.sequence_number = text_of(reader, &from->sequence_number);
    record.partition_key = text_of(reader, &from->partition_key);
    if (TW_RARELY(decoded == TUMBLE_NOT_DECODED)) {
        decode(reader, &from->data, &record);
    }
    if (reader->result->first_arrival_ms < 0) {
        reader->result->first_arrival_ms = record.arrival_ms;
    }
    reader->result->last_arrival_ms = record.arrival_ms;
    return TW_RARELY(!record.bad && tumble_kpl_suspect(record.data)) ? push_aggregate(reader, &record)
                                                                     : push(reader, &record);
}

/* An event lies in memory, not in a cache, and the jumps below hide from the processor that it is read in order. */
static inline void fetch_ahead(struct reader *reader) {
    if (TW_OFTEN(reader->end - reader->at > AHEAD)) {
        for (const char *const until = reader->at + AHEAD - 4 * LINE; reader->fetched < until;
             reader->fetched += 4 * LINE) {
            __builtin_prefetch(reader->fetched);
            __builtin_prefetch(reader->fetched + LINE);
            __builtin_prefetch(reader->fetched + 2 * LINE);
            __builtin_prefetch(reader->fetched + 3 * LINE);
        }
    }
}

static enum tumble_code name_shard(struct reader *reader, const struct tumble_kinesis_record *from) {
    const char *colon = from->event_id.length ? memchr(from->event_id.text, ':', from->event_id.length) : NULL;
    reader->id.data = from->event_id.text;
    reader->id.length = colon ? (size_t)(colon - from->event_id.text) : 0;
    if (reader->id.length && memchr(reader->id.data, '\\', reader->id.length)) {
        reader->id.length = 0; /* a view cannot undo escapes */
    }
    reader->stop = true;
    return TUMBLE_OK;
}

static enum tumble_code records(struct reader *reader) {
    struct tumble_layout unused, *layout = reader->scratch ? &reader->scratch->layout : &unused;
    if (!reader->scratch) {
        memset(&unused, 0, sizeof unused);
    }
    char nothing;
    struct tw_buf none = {.data = &nothing}, *buf = reader->scratch ? &reader->scratch->payloads : &none;
    for (;; reader->records++) {
        struct tumble_kinesis_record record;
        size_t consumed = 0, decoded;
        const char *from = reader->at;
        struct tumble_bytes rest = {from, (size_t)(reader->end - from)};
        fetch_ahead(reader);
        enum tumble_code code =
            tumble_kinesis_record_decode_like(layout, rest, 1, &record, &consumed, buf->data + buf->length,
                                              buf->capacity - buf->length, &decoded, reader->err);
        if (TW_RARELY(code != TUMBLE_OK)) {
            return behind_slice(reader, at_record(reader, moved(reader, code, from), reader->records));
        }
        reader->at += consumed;
        code = reader->shard ? take_record(reader, &record, decoded) : name_shard(reader, &record);
        if (TW_RARELY(code != TUMBLE_OK || reader->stop)) {
            return code;
        }
        const char *at = tw_lex_space(reader->at, reader->end);
        if (TW_OFTEN(at < reader->end && *at == ',')) {
            reader->at = tw_lex_space(at + 1, reader->end);
            continue;
        }
        reader->records++;
        reader->at = at;
        if (at < reader->end && *at == ']') {
            reader->at = at + 1;
            return TUMBLE_OK;
        }
        return behind_slice(reader, not_json(reader, "a comma or the end of Records"));
    }
}

/* ---- the event around them ---- */

static bool take(struct reader *reader, char byte) {
    reader->at = tw_lex_space(reader->at, reader->end);
    if (reader->at == reader->end || *reader->at != byte) {
        return false;
    }
    reader->at++;
    return true;
}

static enum tumble_code value(struct reader *reader, struct tumble_value *out) {
    struct tumble_bytes rest = {reader->at, (size_t)(reader->end - reader->at)};
    size_t consumed;
    enum tumble_code code = tw_json_value(rest, 1, out, &consumed, reader->err);
    if (code != TUMBLE_OK) {
        return moved(reader, code, reader->at);
    }
    reader->at += consumed;
    return TUMBLE_OK;
}

static enum tumble_code member(struct reader *reader) {
    struct tumble_value key, other;
    reader->at = tw_lex_space(reader->at, reader->end);
    if (reader->at == reader->end || *reader->at != '"') {
        return not_json(reader, "the name of a member");
    }
    TW_TRY(value(reader, &key));
    if (!take(reader, ':')) {
        return not_json(reader, "a colon");
    }
    reader->at = tw_lex_space(reader->at, reader->end);
    const char *from = reader->at;
    if (!tw_json_string_equal(&key, tumble_bytes_of("Records"))) {
        TW_TRY(value(reader, &other));
        if (other.type == TUMBLE_TYPE_STRING && !(other.flags & TUMBLE_VALUE_ESCAPED) &&
            tw_json_string_equal(&key, tumble_bytes_of("shardId"))) {
            reader->id.data = other.text;
            reader->id.length = other.length;
        }
        return TUMBLE_OK;
    }
    if (reader->has_records) {
        return tw_fail_at(reader->err, TUMBLE_EEVENT, from - reader->json.data, "the event has Records twice");
    }
    reader->has_records = true;
    if (!take(reader, '[')) {
        TW_TRY(value(reader, &other)); /* malformed JSON is told first */
        return tw_fail_at(reader->err, TUMBLE_EEVENT, from - reader->json.data,
                          "this is no Kinesis event: Records is no array");
    }
    if (take(reader, ']')) {
        return TUMBLE_OK;
    }
    return records(reader);
}

static enum tumble_code event(struct reader *reader) {
    if (!take(reader, '{')) {
        return reader->at == reader->end ? not_json(reader, "an object")
                                         : tw_fail_at(reader->err, TUMBLE_EEVENT, reader->at - reader->json.data,
                                                      "this is no Kinesis event: no object with Records");
    }
    if (!take(reader, '}')) {
        do {
            enum tumble_code code = member(reader);
            if (code != TUMBLE_OK || reader->stop) {
                return code;
            }
        } while (take(reader, ','));
        if (!take(reader, '}')) {
            return not_json(reader, "a comma or the end of the event");
        }
    }
    reader->at = tw_lex_space(reader->at, reader->end);
    if (reader->at != reader->end) {
        return not_json(reader, "nothing behind the event");
    }
    return reader->has_records ? TUMBLE_OK
                               : tw_fail(reader->err, TUMBLE_EEVENT, "this is no Kinesis event: it has no Records");
}

static void begin(struct reader *reader, struct tumble_bytes json) {
    reader->json = json;
    if (!json.length) {
        reader->json.data = "";
    }
    reader->at = reader->fetched = reader->json.data;
    reader->end = reader->at + json.length;
}

enum tumble_code tumble_event_shard_id(struct tumble_bytes json, struct tumble_bytes *shard_id,
                                       struct tumble_error *err) {
    struct tumble_error own;
    struct reader reader = {.err = err ? err : &own};
    begin(&reader, json);
    TW_TRY(event(&reader));
    if (reader.id.length == 0) {
        return tw_fail(err, TUMBLE_EEVENT,
                       "the event names no shard: neither its first record's eventID nor its shardId does");
    }
    *shard_id = reader.id;
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_apply_event(struct tumble_shard *shard, struct tumble_bytes json,
                                          struct tumble_event_result *result, struct tumble_error *err) {
    struct tumble_event_result none;
    struct tumble_error own;
    struct reader reader = {
        .shard = shard, .start_ms = INT64_MIN / 2, .result = result ? result : &none, .err = err ? err : &own};
    memset(reader.result, 0, sizeof *reader.result);
    reader.result->first_arrival_ms = reader.result->last_arrival_ms = -1;
    if (shard->engine->read_only || shard->engine->carried) {
        return tw_fail(err, TUMBLE_EINVAL, "the engine was opened read-only, or carries its state in events");
    }
    if (!shard->event) {
        TW_TRY(get_scratch(shard, err));
    }
    reader.scratch = shard->event;
    tw_buf_clear(&reader.scratch->payloads);
    begin(&reader, json);
    enum tumble_code code = event(&reader);
    if (code == TUMBLE_OK || (!reader.stop && reader.count)) { /* whatever comes behind them, they are whole */
        code = code == TUMBLE_OK ? apply_slice(&reader) : behind_slice(&reader, code);
    }
    return code;
}
