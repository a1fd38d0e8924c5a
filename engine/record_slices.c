#include "engine/record_slices.h"

#include <tumble/lambda.h>
#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout.h"
#include "engine/codec/record_frame.h"
#include "engine/engine_internal.h"

enum {
    AT_ONCE = 32,  /* texts of a frame */
    WORTH_IT = 24, /* records of a frame that pay for making it */
    PAUSE_MAX = 63 /* records that are taken one by one where it did not, the next time being twice as many */
};

__attribute__((cold, noinline)) enum tumble_code tw_event_of_record(struct tumble_error *err, enum tumble_code code,
                                                                    size_t record) {
    if (err) {
        tw_error_prefix(err, "record %zu of the event", record);
        err->code = code;
        err->record = (int64_t)record;
    }
    return code;
}

static enum tumble_code at_record(struct tw_event_scratch *scratch, enum tumble_code code) {
    return tw_event_of_record(&scratch->error, code, scratch->records);
}

/* ---- slices ---- */

static __attribute__((noinline)) void project_members(struct tw_event_scratch *scratch, size_t first) {
    const struct tumble_engine *const engine = scratch->shard->engine;
    const struct tumble_bytes around = {scratch->desk->payloads.data, scratch->desk->payloads.capacity};
    const size_t count = engine->projected_count;
    struct tumble_record *const slice = scratch->desk->slice;
    struct tumble_bytes texts[TW_EVENT_SLICE];
    bool fits[TW_EVENT_SLICE];
    for (size_t i = first; i < scratch->count; i++) {
        texts[i] = slice[i].bad ? (struct tumble_bytes){NULL, 0} : slice[i].data;
    }
    const size_t fit = tw_members_project(&scratch->members, engine->projection, texts + first, scratch->count - first,
                                          around, scratch->desk->values + first * count, fits + first);
    tw_layout_rested(&scratch->shard->layout, fit);
    for (size_t i = first; i < scratch->count; i++) {
        slice[i].values = fits[i] ? scratch->desk->values + i * count : NULL;
    }
}

/* Payloads that are laid out alike, all in one buffer, are read at once, as far as that goes; while no layout is to be
 * had, those whose members come in any order are. What is neither is projected when it is applied. */
static void project_slice(struct tw_event_scratch *scratch) {
    const size_t count = scratch->shard->engine->projected_count;
    const struct tw_buf *const buf = &scratch->desk->payloads;
    struct tumble_record *const slice = scratch->desk->slice;
    struct tw_layout_line lines[TW_EVENT_SLICE];
    size_t whole = 0;
    if (!scratch->desk->values) {
        return;
    }
    const uintptr_t begin = (uintptr_t)buf->data;
    const char *end = buf->data;
    for (; whole < scratch->count && !slice[whole].bad; whole++) {
        const struct tumble_bytes *const data = &slice[whole].data;
        if (TW_RARELY((uintptr_t)data->data - begin >= buf->capacity || data->data < end)) {
            break; /* decoded elsewhere */
        }
        end = data->data + data->length;
        lines[whole] = (struct tw_layout_line){data->data, end};
    }
    const size_t alike =
        tw_layout_match_texts(&scratch->shard->layout, end, scratch->desk->values, count, lines, whole);
    for (size_t i = 0; i < alike; i++) {
        slice[i].values = scratch->desk->values + i * count;
    }
    if (alike < scratch->count && tw_layout_rests(&scratch->shard->layout)) {
        project_members(scratch, alike);
    }
}

enum tumble_code tw_event_apply_slice(struct tw_event_scratch *scratch) {
    struct tumble_apply_result result;
    if (scratch->count == 0) {
        return TUMBLE_OK;
    }
    project_slice(scratch);
    enum tumble_code code = tw_shard_apply_at(scratch->shard, scratch->start_ms, scratch->desk->slice, scratch->count,
                                              &result, &scratch->error);
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        scratch->result.fates[fate] += result.fates[fate];
    }
    const size_t applied = code == TUMBLE_OK ? scratch->count : result.processed;
    if (applied && scratch->result.first_arrival_ms < 0) {
        scratch->result.first_arrival_ms = scratch->desk->slice[0].arrival_ms;
    }
    if (applied) {
        scratch->result.last_arrival_ms = scratch->desk->slice[applied - 1].arrival_ms;
    }
    if (TW_RARELY(code != TUMBLE_OK)) {
        scratch->result.records = scratch->desk->origin[applied];
        scratch->error.record = scratch->desk->origin[applied];
    } else {
        scratch->result.records = scratch->desk->origin[applied - 1] + (size_t)1;
    }
    scratch->count = 0;
    return code;
}

/* Where the next record of the slice is written, which push then takes. There always is a place. */
static inline struct tumble_record *next_place(struct tw_event_scratch *scratch) {
    return &scratch->desk->slice[scratch->count];
}

static __attribute__((cold, noinline)) enum tumble_code turn_window(struct tw_event_scratch *scratch) {
    const struct tumble_record record = *next_place(scratch);
    TW_TRY(tw_event_apply_slice(scratch));
    if (record.arrival_ms < 0 || record.arrival_ms > TUMBLE_TIMESTAMP_MAX_MS) {
        return at_record(scratch,
                         tw_fail(&scratch->error, TUMBLE_EEVENT, "its arrival time is not within 1970 to 9999"));
    }
    scratch->start_ms = record.arrival_ms - record.arrival_ms % scratch->shard->engine->window_ms;
    *next_place(scratch) = record;
    return TUMBLE_OK;
}

static inline enum tumble_code push(struct tw_event_scratch *scratch) {
    if (TW_RARELY((uint64_t)next_place(scratch)->arrival_ms - (uint64_t)scratch->start_ms >= scratch->window_ms)) {
        TW_TRY(turn_window(scratch));
    }
    scratch->desk->origin[scratch->count] = (uint32_t)scratch->records;
    if (TW_OFTEN(++scratch->count < TW_EVENT_SLICE)) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&scratch->desk->payloads);
    return tw_event_apply_slice(scratch);
}

/* An aggregate of no records is done with, too. */
static __attribute__((cold, noinline)) enum tumble_code push_nothing(struct tw_event_scratch *scratch,
                                                                     int64_t arrival_ms) {
    TW_TRY(tw_event_apply_slice(scratch));
    struct tumble_event_result *result = &scratch->result;
    result->records = scratch->records + 1;
    result->first_arrival_ms = result->first_arrival_ms < 0 ? arrival_ms : result->first_arrival_ms;
    result->last_arrival_ms = arrival_ms;
    return TUMBLE_OK;
}

static __attribute__((noinline)) enum tumble_code push_aggregate(struct tw_event_scratch *scratch) {
    struct tumble_kpl *kpl = scratch->kpl;
    struct tumble_record record = *next_place(scratch);
    enum tumble_kpl_kind kind;
    uint64_t count;
    struct tumble_kpl_record part;
    TW_TRY(tumble_kpl_open(kpl, record.data, NULL, &kind, &count, &scratch->error));
    if (kind == TUMBLE_KPL_PLAIN) {
        return push(scratch);
    }
    struct tw_buf *payloads = &scratch->desk->payloads;
    const size_t used = payloads->length;
    if (count == 0) {
        return push_nothing(scratch, record.arrival_ms);
    }
    while (tumble_kpl_next(kpl, &part)) {
        record.data = part.data;
        record.partition_key = part.partition_key;
        record.sub_sequence_number = part.sub_sequence_number;
        record.bad = part.bad;
        *next_place(scratch) = record;
        TW_TRY(push(scratch));
    }
    payloads->length = used; /* a slice that got full clears it, but the parts behind that slice lie there */
    return TUMBLE_OK;
}

/* ---- records ---- */

/* Room for what a record decodes to. What was decoded already goes to the buffer's front. */
static __attribute__((cold, noinline)) enum tumble_code more_room(struct tw_event_scratch *scratch, size_t bytes,
                                                                  struct tumble_bytes decoded) {
    struct tw_buf *buf = &scratch->desk->payloads;
    TW_TRY(tw_event_apply_slice(scratch));
    tw_buf_clear(buf);
    if (decoded.data) {
        memmove(buf->data, decoded.data, decoded.length);
        buf->length = decoded.length;
    }
    return tw_buf_reserve(buf, bytes >= TW_EVENT_FIRST_ROOM ? bytes + 1 : TW_EVENT_FIRST_ROOM) == TUMBLE_OK
               ? TUMBLE_OK
               : tw_no_memory(&scratch->error);
}

static __attribute__((cold, noinline)) struct tumble_bytes without_escapes(struct tw_event_scratch *scratch,
                                                                           const struct tumble_value *value) {
    struct tw_buf *buf = &scratch->desk->payloads; /* has room */
    size_t from = buf->length;
    struct tumble_bytes text = {NULL, 0};
    if (tw_json_unescape(value, buf) == TUMBLE_OK) {
        text.data = buf->data + from;
        text.length = buf->length - from;
    }
    return text;
}

static inline struct tumble_bytes text_of(struct tw_event_scratch *scratch, const struct tumble_value *value) {
    struct tumble_bytes text = {value->text, value->length};
    return TW_RARELY(value->flags & TUMBLE_VALUE_ESCAPED) ? without_escapes(scratch, value) : text;
}

static __attribute__((noinline)) void decode(struct tw_event_scratch *scratch, const struct tumble_value *data,
                                             struct tumble_record *record) {
    const struct tumble_bytes text = text_of(scratch, data);
    struct tw_buf *buf = &scratch->desk->payloads;
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

/* Shards mostly have names of 20 bytes, and so few are not worth a call. */
static inline bool is_of(const struct tumble_value *event_id, struct tumble_bytes shard) {
    const char *const id = event_id->text;
    if (event_id->length <= shard.length || id[shard.length] != ':') {
        return false;
    }
    if (TW_RARELY(shard.length < 16 || shard.length > 24)) {
        return memcmp(id, shard.data, shard.length) == 0;
    }
    uint64_t a[3], b[3];
    memcpy(a, id, 16);
    memcpy(&a[2], id + shard.length - 8, 8);
    memcpy(b, shard.data, 16);
    memcpy(&b[2], shard.data + shard.length - 8, 8);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) == 0;
}

static enum tumble_code other_shard(struct tw_event_scratch *scratch, struct tumble_bytes id,
                                    struct tumble_bytes shard) {
    const char *colon = id.length ? memchr(id.data, ':', id.length) : NULL;
    size_t length = colon ? (size_t)(colon - id.data) : 0;
    if (length == shard.length && memcmp(id.data, shard.data, length) == 0) { /* written with escapes */
        return TUMBLE_OK;
    }
    enum tumble_code code = colon ? tw_fail(&scratch->error, TUMBLE_EEVENT, "it is of shard %.*s, not %.*s",
                                            (int)(length < 128 ? length : 128), id.data, (int)shard.length, shard.data)
                                  : tw_fail(&scratch->error, TUMBLE_EEVENT, "its eventID names no shard");
    return at_record(scratch, code);
}

static __attribute__((cold, noinline)) enum tumble_code odd_arrival(struct tw_event_scratch *scratch,
                                                                    const struct tumble_value *arrival, int64_t *out) {
    enum tumble_code code = tw_arrival_ms(&scratch->arrival, arrival, out, &scratch->error);
    return code == TUMBLE_OK ? code : at_record(scratch, TUMBLE_EEVENT);
}

static inline enum tumble_code take_record(struct tw_event_scratch *scratch, const struct tumble_kinesis_record *from,
                                           size_t decoded) {
    struct tw_buf *const buf = &scratch->desk->payloads;
    struct tumble_bytes data = {NULL, 0};
    int64_t arrival_ms;
    if (TW_OFTEN(decoded != TUMBLE_NOT_DECODED)) {
        buf->data[buf->length] = '\n'; /* see project_slice */
        data.data = buf->data + buf->length + 1;
        data.length = decoded;
        buf->length += decoded + 1;
    }
    size_t room = (size_t)from->data.length * 2 + from->partition_key.length + from->sequence_number.length +
                  from->event_id.length;
    if (TW_RARELY(buf->capacity - buf->length <= room)) { /* and a byte for the next newline */
        TW_TRY(more_room(scratch, room, data));
        data.data = data.data ? buf->data : NULL; /* it has moved */
    }
    const struct tumble_bytes shard = {scratch->shard->id, scratch->shard->id_length};
    if (TW_RARELY(!is_of(&from->event_id, shard))) {
        TW_TRY(other_shard(scratch, text_of(scratch, &from->event_id), shard));
    }
    if (TW_RARELY(!tw_arrival_usual(&scratch->arrival, &from->arrival, &arrival_ms))) {
        TW_TRY(odd_arrival(scratch, &from->arrival, &arrival_ms));
    }
    struct tumble_record *const record = next_place(scratch);
    record->data = data;
    record->sequence_number = text_of(scratch, &from->sequence_number);
    record->partition_key = text_of(scratch, &from->partition_key);
    record->sub_sequence_number = 0;
    record->arrival_ms = arrival_ms;
    record->values = NULL;
    record->bad = NULL;
    if (TW_RARELY(decoded == TUMBLE_NOT_DECODED)) {
        decode(scratch, &from->data, record);
        data = record->data;
    }
    return TW_RARELY(tumble_kpl_suspect(data) && !record->bad) ? push_aggregate(scratch) : push(scratch);
}

/* ---- records that are laid out alike ---- */

/* A text of the frame as the slice's next record. False: it is for take_record. */
static inline bool push_framed(struct tw_event_scratch *scratch, const struct tw_layout_frame *frame,
                               const struct tw_framed *text, size_t index) {
    struct tumble_record *const record = next_place(scratch);
    if (TW_RARELY(!tw_record_framed(frame, text, &scratch->arrival, record)) ||
        TW_RARELY((uint64_t)record->arrival_ms - (uint64_t)scratch->start_ms >= scratch->window_ms)) {
        return false;
    }
    scratch->desk->origin[scratch->count++] = (uint32_t)index;
    return true;
}

/* Takes records from the front as long as they are of a frame; *more: another one stands behind them. */
static __attribute__((noinline)) enum tumble_code framed_records(struct tw_event_scratch *scratch, bool *more) {
    struct tw_event_walk *const walk = &scratch->walk;
    struct tw_buf *const buf = &scratch->desk->payloads;
    struct tw_layout_frame frame;
    struct tw_framed texts[AT_ONCE];
    size_t taken = 0, read = 0;
    *more = true;
    if (scratch->unframed > 0) {
        scratch->unframed--;
        return TUMBLE_OK;
    }
    const struct tumble_bytes shard = {scratch->shard->id, scratch->shard->id_length};
    if (!tw_record_frame(&scratch->layout, shard, &frame)) {
        return TUMBLE_OK;
    }
    const size_t before = scratch->records;
    do {
        struct tw_frame_read from = {
            walk->at,         walk->end, scratch->fetched, buf->data + buf->length, buf->capacity - buf->length - 1,
            walk->element_max};
        const size_t room = TW_EVENT_SLICE - scratch->count;
        read = tw_layout_frame_read(&scratch->layout, &frame, &from, texts, room < AT_ONCE ? room : AT_ONCE);
        scratch->fetched = from.fetched;
        taken = 0;
        while (taken < read && push_framed(scratch, &frame, &texts[taken], scratch->records + taken)) {
            taken++;
        }
        if (taken) {
            const struct tw_framed *const last = &texts[taken - 1];
            walk->at = last->behind + frame.back_length;
            scratch->last_length = (size_t)(walk->at - last->begin);
            scratch->records += taken;
            buf->length = (size_t)(last->data + last->length - buf->data);
            *more = tw_event_walk_next_record(walk);
        }
        if (scratch->count == TW_EVENT_SLICE) {
            tw_buf_clear(buf);
            TW_TRY(tw_event_apply_slice(scratch));
        }
    } while (*more && taken == read && read > 0);
    scratch->pause = scratch->records - before >= WORTH_IT ? 0 : 2 * scratch->pause + 1;
    scratch->pause = scratch->pause < PAUSE_MAX ? scratch->pause : PAUSE_MAX;
    scratch->unframed = scratch->pause;
    return TUMBLE_OK;
}

static __attribute__((cold, noinline)) enum tumble_code bad_record(struct tw_event_scratch *scratch,
                                                                   enum tumble_code code) {
    code = tw_event_walk_failed(&scratch->walk, code);
    return code == TUMBLE_EMORE ? code : at_record(scratch, code);
}

/* What is shorter than the record before it is mostly the piece's end: that is told without parsing it. */
static __attribute__((cold, noinline)) bool is_cut(struct tw_event_scratch *scratch, struct tumble_bytes rest) {
    struct tw_event_skip skip = {0};
    bool may_end;
    if (scratch->walk.is_last || tw_event_skip(&skip, rest, &may_end) < rest.length || may_end) {
        return false;
    }
    scratch->skip = skip;
    scratch->is_skipped = true;
    return true;
}

enum tumble_code tw_event_records(struct tw_event_scratch *scratch) {
    struct tw_event_walk *const walk = &scratch->walk;
    struct tw_buf *const buf = &scratch->desk->payloads;
    bool more;
    do {
        if (scratch->layout.run_count && (size_t)(walk->end - walk->at) >= WORTH_IT * scratch->last_length) {
            TW_TRY(framed_records(scratch, &more));
            if (!more) {
                return TUMBLE_OK;
            }
        }
        struct tumble_kinesis_record record;
        size_t consumed = 0, decoded;
        int end_of_input;
        const struct tumble_bytes rest = tw_event_walk_rest(walk, &end_of_input);
        if (TW_RARELY(rest.length < scratch->last_length) && is_cut(scratch, rest)) {
            return TUMBLE_EMORE;
        }
        tw_fetch_ahead(&scratch->fetched, walk->at, walk->end);
        enum tumble_code code = tumble_kinesis_record_decode_like(
            &scratch->layout, rest, end_of_input, &record, &consumed, buf->data + buf->length + 1,
            buf->capacity - buf->length - 1, &decoded, &scratch->error);
        if (TW_RARELY(code != TUMBLE_OK)) {
            return bad_record(scratch, code);
        }
        code = take_record(scratch, &record, decoded);
        if (TW_RARELY(code != TUMBLE_OK)) {
            return code;
        }
        walk->at += consumed;
        scratch->last_length = consumed;
        scratch->records++;
        more = tw_event_walk_next_record(walk);
    } while (TW_OFTEN(more));
    return TUMBLE_OK;
}
