#include "engine/event_apply.h"

#include <tumble/kpl.h>
#include <tumble/lambda.h>
#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/codec/arrival.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout.h"
#include "engine/codec/members.h"
#include "engine/codec/record_frame.h"
#include "engine/engine_internal.h"
#include "engine/event/event_walk.h"

/* Records of an event into windows, a slice at a time: a slice is read, decoded and applied while it lies in the
 * nearest cache. Decoded bytes stand one behind the other in a buffer that moves only between slices.
 *
 * An event may come in pieces. What a piece ends within is kept in a buffer (tail) until enough bytes have come for it
 * to be whole, and read there; everything else is read where it lies. No slice outlives the piece it points into. */

enum {
    SLICE = 384, /* records: what known groups come to goes to their accumulators once in so many */
    FIRST_ROOM = 65536,
    AT_ONCE = 32,   /* texts of a frame */
    WORTH_IT = 24,  /* records of a frame that pay for making it */
    PAUSE_MAX = 63, /* records that are taken one by one where it did not, the next time being twice as many */
    PROJECTED_MAX = 32
};

static const struct tumble_event_result no_result = {.first_arrival_ms = -1, .last_arrival_ms = -1};

enum progress { NO_EVENT, WITHIN_EVENT };

/* What lies between the bytes of a piece and the groups: nothing of it outlives a piece, so shards share what the
 * engine has, one for each thread, and the next shard finds it in the cache. */
struct tw_event_desk {
    struct tw_event_desk *next; /* of those that nobody uses */
    struct tw_buf payloads;
    struct tumble_record slice[SLICE];
    uint32_t origin[SLICE];      /* index in the event */
    struct tumble_value *values; /* of a slice's records, projected; NULL: they would be too many */
};

struct tw_event_scratch {
    struct tumble_shard *shard;
    struct tw_event_desk *desk;  /* while a piece is read */
    struct tumble_layout layout; /* of the event's records */
    struct tw_members members;   /* of payloads that have no layout */
    struct tw_arrival arrival;
    struct tumble_kpl *kpl;
    /* of the event that is being read */
    enum progress progress;
    struct tw_event_walk walk;
    const char *fetched; /* into the cache, or on the way there */
    size_t records;      /* read */
    size_t count;        /* in the slice */
    int64_t start_ms;    /* of the window that the slice belongs to */
    uint64_t window_ms;
    bool has_records;
    struct tw_buf tail;
    struct tw_event_skip skip; /* over the tail */
    bool is_skipped;           /* over what is to be the tail */
    size_t last_length;        /* of a record's text */
    uint32_t unframed;         /* records that are still to be taken without a frame */
    uint32_t pause;            /* how many the next time that a frame does not pay */
    struct tumble_event_result result;
    struct tumble_error error;
};

void tw_event_scratch_destroy(struct tw_event_scratch *scratch, const struct tumble_alloc *alloc) {
    if (scratch) {
        tumble_kpl_destroy(scratch->kpl);
        tw_buf_clean_up(&scratch->tail);
        tw_free(alloc, scratch);
    }
}

static enum tumble_code get_scratch(struct tumble_shard *shard, struct tumble_error *err) {
    const struct tumble_alloc alloc = shard->engine->alloc;
    struct tw_event_scratch *scratch = tw_alloc_zero(&alloc, sizeof *scratch);
    if (!scratch) {
        return tw_no_memory(err);
    }
    scratch->shard = shard;
    tw_buf_init(&scratch->tail, alloc, (size_t)TW_LIMIT_RECORD_BYTES + 1);
    enum tumble_code code = tumble_kpl_new(alloc, &scratch->kpl, err);
    if (code != TUMBLE_OK) {
        tw_event_scratch_destroy(scratch, &alloc);
        return code;
    }
    shard->event = scratch;
    return TUMBLE_OK;
}

static void destroy_desk(struct tw_event_desk *desk, const struct tumble_alloc *alloc) {
    tw_buf_clean_up(&desk->payloads);
    tw_free(alloc, desk->values);
    tw_free(alloc, desk);
}

static struct tw_event_desk *make_desk(const struct tumble_engine *engine) {
    const struct tumble_alloc *const alloc = &engine->alloc;
    const size_t count = engine->projected_count;
    struct tw_event_desk *desk = tw_alloc_zero(alloc, sizeof *desk);
    if (!desk) {
        return NULL;
    }
    tw_buf_init(&desk->payloads, *alloc, SIZE_MAX / 4);
    if (count <= PROJECTED_MAX) {
        desk->values = tw_alloc_zero(alloc, (count ? count : 1) * SLICE * sizeof *desk->values);
    }
    if ((count <= PROJECTED_MAX && !desk->values) || tw_buf_reserve(&desk->payloads, FIRST_ROOM) != TUMBLE_OK) {
        destroy_desk(desk, alloc);
        return NULL;
    }
    return desk;
}

static enum tumble_code take_desk(struct tw_event_scratch *scratch) {
    struct tumble_engine *const engine = scratch->shard->engine;
    pthread_mutex_lock(&engine->desk_lock);
    struct tw_event_desk *desk = engine->desks;
    if (desk) {
        engine->desks = desk->next;
    }
    pthread_mutex_unlock(&engine->desk_lock);
    scratch->desk = desk ? desk : make_desk(engine);
    return scratch->desk ? TUMBLE_OK : tw_no_memory(&scratch->error);
}

static void give_desk(struct tw_event_scratch *scratch) {
    struct tumble_engine *const engine = scratch->shard->engine;
    if (scratch->desk) {
        pthread_mutex_lock(&engine->desk_lock);
        scratch->desk->next = engine->desks;
        engine->desks = scratch->desk;
        pthread_mutex_unlock(&engine->desk_lock);
        scratch->desk = NULL;
    }
}

void tw_event_desks_destroy(struct tumble_engine *engine) {
    while (engine->desks) {
        struct tw_event_desk *desk = engine->desks;
        engine->desks = desk->next;
        destroy_desk(desk, &engine->alloc);
    }
}

static __attribute__((cold, noinline)) enum tumble_code of_record(struct tumble_error *err, enum tumble_code code,
                                                                  size_t record) {
    if (err) {
        tw_error_prefix(err, "record %zu of the event", record);
        err->code = code;
        err->record = (int64_t)record;
    }
    return code;
}

static enum tumble_code at_record(struct tw_event_scratch *scratch, enum tumble_code code) {
    return of_record(&scratch->error, code, scratch->records);
}

/* ---- slices ---- */

static __attribute__((noinline)) void project_members(struct tw_event_scratch *scratch, size_t first) {
    const struct tumble_engine *const engine = scratch->shard->engine;
    const struct tumble_bytes around = {scratch->desk->payloads.data, scratch->desk->payloads.capacity};
    const size_t count = engine->projected_count;
    struct tumble_record *const slice = scratch->desk->slice;
    struct tumble_bytes texts[SLICE];
    bool fits[SLICE];
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
    struct tw_layout_line lines[SLICE];
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

static enum tumble_code apply_slice(struct tw_event_scratch *scratch) {
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

/* The slice first: what an error is told of comes behind it. */
static __attribute__((cold, noinline)) enum tumble_code behind_slice(struct tw_event_scratch *scratch,
                                                                     enum tumble_code code) {
    struct tumble_error told = scratch->error;
    TW_TRY(apply_slice(scratch));
    scratch->error = told;
    return code;
}

/* Where the next record of the slice is written, which push then takes. There always is a place. */
static inline struct tumble_record *next_place(struct tw_event_scratch *scratch) {
    return &scratch->desk->slice[scratch->count];
}

static __attribute__((cold, noinline)) enum tumble_code turn_window(struct tw_event_scratch *scratch) {
    const struct tumble_record record = *next_place(scratch);
    TW_TRY(apply_slice(scratch));
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
    if (TW_OFTEN(++scratch->count < SLICE)) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&scratch->desk->payloads);
    return apply_slice(scratch);
}

/* An aggregate of no records is done with, too. */
static __attribute__((cold, noinline)) enum tumble_code push_nothing(struct tw_event_scratch *scratch,
                                                                     int64_t arrival_ms) {
    TW_TRY(apply_slice(scratch));
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
    TW_TRY(apply_slice(scratch));
    tw_buf_clear(buf);
    if (decoded.data) {
        memmove(buf->data, decoded.data, decoded.length);
        buf->length = decoded.length;
    }
    return tw_buf_reserve(buf, bytes >= FIRST_ROOM ? bytes + 1 : FIRST_ROOM) == TUMBLE_OK
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
        const size_t room = SLICE - scratch->count;
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
        if (scratch->count == SLICE) {
            tw_buf_clear(buf);
            TW_TRY(apply_slice(scratch));
        }
    } while (*more && taken == read && read > 0);
    scratch->pause = scratch->records - before >= WORTH_IT ? 0 : 2 * scratch->pause + 1;
    scratch->pause = scratch->pause < PAUSE_MAX ? scratch->pause : PAUSE_MAX;
    scratch->unframed = scratch->pause;
    return TUMBLE_OK;
}

/* ---- the event ---- */

#define NO_EVENT_TEXT "this is no Kinesis event"

static __attribute__((cold, noinline)) enum tumble_code records_twice(struct tw_event_walk *walk) {
    return tw_fail_at(walk->err, TUMBLE_EEVENT, walk->before + (walk->at - walk->begin), "the event has Records twice");
}

static __attribute__((cold, noinline)) enum tumble_code no_records(struct tw_event_walk *walk) {
    return tw_fail(walk->err, TUMBLE_EEVENT, NO_EVENT_TEXT ": it has no Records");
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

static enum tumble_code records(struct tw_event_scratch *scratch) {
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

/* What is in the bytes at hand. EMORE: the event goes on behind them. */
static enum tumble_code read_event(struct tw_event_scratch *scratch) {
    struct tw_event_walk *const walk = &scratch->walk;
    for (;;) {
        enum tw_event_found found = TW_EVENT_OVER;
        TW_TRY(tw_event_walk(walk, &found));
        if (found == TW_EVENT_RECORD) {
            TW_TRY(records(scratch));
        } else if (found == TW_EVENT_RECORDS) {
            if (scratch->has_records) {
                return records_twice(walk);
            }
            scratch->has_records = true;
        } else if (found == TW_EVENT_OVER) {
            return scratch->has_records ? TUMBLE_OK : no_records(walk);
        }
    }
}

static void see(struct tw_event_scratch *scratch, struct tumble_bytes bytes, bool is_last) {
    tw_event_walk_see(&scratch->walk, bytes, is_last);
    scratch->fetched = scratch->walk.begin;
    scratch->is_skipped = false;
}

static size_t left(const struct tw_event_scratch *scratch) { return (size_t)(scratch->walk.end - scratch->walk.at); }

/* ---- pieces ---- */

/* Keeps what the bytes at hand end within, which may lie in the tail itself. */
static enum tumble_code keep_tail(struct tw_event_scratch *scratch) {
    struct tw_buf *tail = &scratch->tail;
    struct tumble_bytes rest = {scratch->walk.at, left(scratch)};
    bool may_end;
    TW_TRY(apply_slice(scratch)); /* which may point there */
    tw_buf_clear(tail);
    if (tw_buf_reserve(tail, rest.length) != TUMBLE_OK) {
        return tw_no_memory(&scratch->error);
    }
    if (rest.length) {
        memmove(tail->data, rest.data, rest.length);
        tail->length = rest.length;
    }
    if (!scratch->is_skipped) {
        memset(&scratch->skip, 0, sizeof scratch->skip);
        for (size_t skipped = 0; skipped < rest.length;) {
            struct tumble_bytes bytes = {tail->data + skipped, rest.length - skipped};
            skipped += tw_event_skip(&scratch->skip, bytes, &may_end);
        }
    }
    return TUMBLE_EMORE;
}

/* Reads the tail with as many bytes of the piece as make it whole. OK: the event is over; EMORE: it goes on, with what
 * is left of the piece when the tail is empty. */
static enum tumble_code read_tail(struct tw_event_scratch *scratch, struct tumble_bytes *piece, bool is_last) {
    struct tw_buf *tail = &scratch->tail;
    do {
        bool may_end = false;
        const size_t room = tail->cap - tail->length;
        size_t taken = tw_event_skip(
            &scratch->skip, (struct tumble_bytes){piece->data, piece->length < room ? piece->length : room}, &may_end);
        if (tw_buf_append(tail, piece->data, taken) != TUMBLE_OK) {
            return tw_no_memory(&scratch->error);
        }
        piece->data += taken;
        piece->length -= taken;
        const bool whole = is_last && piece->length == 0;
        if (!may_end && !whole && tail->length < tail->cap) {
            return TUMBLE_EMORE;
        }
        see(scratch, tw_buf_view(tail), whole);
        enum tumble_code code = read_event(scratch);
        if (code != TUMBLE_EMORE) {
            return code;
        }
        if (left(scratch) == 0) {
            tw_buf_clear(tail); /* the slice may still point there */
        } else if (left(scratch) < tail->length) {
            TW_TRY(keep_tail(scratch));
        }
    } while (tail->length);
    return TUMBLE_EMORE;
}

static enum tumble_code read_piece(struct tw_event_scratch *scratch, struct tumble_bytes *piece, bool is_last) {
    if (scratch->tail.length) {
        enum tumble_code code = read_tail(scratch, piece, is_last);
        if (code != TUMBLE_EMORE || scratch->tail.length) {
            return code;
        }
    }
    see(scratch, *piece, is_last);
    enum tumble_code code = read_event(scratch);
    piece->data = scratch->walk.at;
    piece->length = left(scratch);
    if (code == TUMBLE_EMORE) {
        code = keep_tail(scratch);
        piece->length = 0;
    }
    return code;
}

enum tumble_code tumble_shard_event_begin(struct tumble_shard *shard, struct tumble_error *err) {
    if (shard->engine->read_only || shard->engine->carried) {
        return tw_fail(err, TUMBLE_EINVAL, "the engine was opened read-only, or carries its state in events");
    }
    if (!shard->event) {
        TW_TRY(get_scratch(shard, err));
    }
    struct tw_event_scratch *scratch = shard->event;
    scratch->walk =
        (struct tw_event_walk){.element_max = TW_LIMIT_RECORD_BYTES, .no_event = NO_EVENT_TEXT, .err = &scratch->error};
    scratch->records = scratch->count = 0;
    scratch->start_ms = INT64_MIN / 2;
    scratch->window_ms = (uint64_t)shard->engine->window_ms;
    scratch->has_records = false;
    scratch->result = no_result;
    scratch->progress = WITHIN_EVENT;
    tw_buf_clear(&scratch->tail);
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_event_feed(struct tumble_shard *shard, struct tumble_bytes piece, int is_last,
                                         size_t *consumed, struct tumble_event_result *result,
                                         struct tumble_error *err) {
    struct tw_event_scratch *scratch = shard->event;
    if (!scratch || scratch->progress != WITHIN_EVENT) {
        if (result) {
            *result = no_result;
        }
        return tw_fail(err, TUMBLE_EINVAL, "no event was begun, or the last one is over or was refused");
    }
    const size_t length = piece.length;
    scratch->walk.in_a_row = consumed != NULL;
    enum tumble_code code = take_desk(scratch);
    if (code == TUMBLE_OK) {
        tw_buf_clear(&scratch->desk->payloads);
        code = read_piece(scratch, &piece, is_last != 0);
    }
    if (code != TUMBLE_EMORE) { /* whatever ended it, records in front of that are whole */
        code = code == TUMBLE_OK ? apply_slice(scratch) : behind_slice(scratch, code);
        scratch->progress = NO_EVENT;
        scratch->result.is_whole = code == TUMBLE_OK;
    }
    give_desk(scratch);
    if (consumed) {
        *consumed = length - piece.length;
    }
    if (result) {
        *result = scratch->result;
    }
    if (code != TUMBLE_OK && code != TUMBLE_EMORE && err) {
        *err = scratch->error;
    }
    return code == TUMBLE_EMORE ? TUMBLE_OK : code;
}

enum tumble_code tumble_shard_apply_event(struct tumble_shard *shard, struct tumble_bytes event,
                                          struct tumble_event_result *result, struct tumble_error *err) {
    if (result) {
        *result = no_result;
    }
    TW_TRY(tumble_shard_event_begin(shard, err));
    return tumble_shard_event_feed(shard, event, 1, NULL, result, err);
}

/* ---- whose it is ---- */

static enum tumble_code shard_of_record(struct tw_event_walk *walk, struct tumble_bytes *shard_id) {
    struct tumble_kinesis_record record;
    size_t consumed;
    int end_of_input;
    const struct tumble_bytes rest = tw_event_walk_rest(walk, &end_of_input);
    enum tumble_code code = tumble_kinesis_record_parse(rest, end_of_input, &record, &consumed, walk->err);
    if (code != TUMBLE_OK) {
        code = tw_event_walk_failed(walk, code);
        return code == TUMBLE_EMORE ? code : of_record(walk->err, code, 0);
    }
    const struct tumble_value *id = &record.event_id;
    const char *colon = id->length ? memchr(id->text, ':', id->length) : NULL;
    shard_id->data = id->text; /* and not what the member shardId says */
    shard_id->length = colon ? (size_t)(colon - id->text) : 0;
    if (shard_id->length && memchr(shard_id->data, '\\', shard_id->length)) {
        shard_id->length = 0; /* a view cannot undo escapes */
    }
    return TUMBLE_OK;
}

static enum tumble_code find_shard(struct tw_event_walk *walk, struct tumble_bytes *shard_id) {
    enum tw_event_found found = TW_EVENT_MEMBER;
    bool has_records = false;
    while (found != TW_EVENT_OVER) {
        TW_TRY(tw_event_walk(walk, &found));
        if (found == TW_EVENT_RECORD) {
            return shard_of_record(walk, shard_id);
        }
        if (found == TW_EVENT_RECORDS) {
            if (has_records) {
                return records_twice(walk);
            }
            has_records = true;
        } else if (found == TW_EVENT_MEMBER && walk->value.type == TUMBLE_TYPE_STRING &&
                   !(walk->value.flags & TUMBLE_VALUE_ESCAPED) &&
                   tw_json_string_equal(&walk->key, tumble_bytes_of("shardId"))) {
            shard_id->data = walk->value.text;
            shard_id->length = walk->value.length;
        }
    }
    return has_records ? TUMBLE_OK : no_records(walk);
}

static enum tumble_code shard_id_of(struct tumble_bytes bytes, bool is_last, bool in_a_row,
                                    struct tumble_bytes *shard_id, struct tumble_error *err) {
    struct tw_event_walk walk = {
        .element_max = TW_LIMIT_RECORD_BYTES, .no_event = NO_EVENT_TEXT, .in_a_row = in_a_row, .err = err};
    struct tumble_bytes id = {NULL, 0};
    tw_event_walk_see(&walk, bytes, is_last);
    enum tumble_code code = find_shard(&walk, &id);
    if (code == TUMBLE_EMORE) {
        return tw_fail_at(err, TUMBLE_EMORE, (int64_t)bytes.length,
                          "the event's first record does not end within its first %zu bytes: more are needed",
                          bytes.length);
    }
    TW_TRY(code);
    if (id.length == 0) {
        return tw_fail(err, TUMBLE_EEVENT,
                       "the event names no shard: neither its first record's eventID nor its shardId does");
    }
    *shard_id = id;
    return TUMBLE_OK;
}

enum tumble_code tumble_event_shard_id(struct tumble_bytes event, struct tumble_bytes *shard_id,
                                       struct tumble_error *err) {
    return shard_id_of(event, true, false, shard_id, err);
}

enum tumble_code tumble_event_peek_shard_id(struct tumble_bytes bytes, int is_last, struct tumble_bytes *shard_id,
                                            struct tumble_error *err) {
    return shard_id_of(bytes, is_last != 0, true, shard_id, err);
}
