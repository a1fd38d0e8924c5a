#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/carried.h"
#include "engine/codec/arrival.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/event/dynamodb_record.h"

/* Records of an event into its window, a slice at a time, so that what was decoded is still in the cache when it is
 * applied. Payloads lie one behind the other in one buffer that grows only between slices: views into it stay. */

struct slice {
    struct tw_carried *carried;
    struct tw_carried_engine *engine;
    struct tumble_shard *shard;
    int64_t start_ms;
    size_t count;
    uint64_t read;                /* records pushed, those of the slice included */
    uint64_t ordinal;             /* among the records of one sequence number, where Lambda split an aggregate */
    struct tumble_bytes sequence; /* of the last record */
    struct tw_arrival arrival;
    struct tw_applied *out;
    struct tumble_error *err;
};

static struct tumble_bytes text_of(struct tw_carried *carried, const struct tumble_value *value) {
    struct tumble_bytes text = {value->text, value->length};
    if (value->type != TUMBLE_TYPE_STRING) {
        text.data = NULL;
        text.length = 0;
    } else if (value->flags & TUMBLE_VALUE_ESCAPED) {
        struct tw_buf *buf = &carried->payloads; /* has room: see room_for */
        size_t from = buf->length;
        if (tw_json_unescape(value, buf) == TUMBLE_OK) {
            text.data = buf->data + from;
            text.length = buf->length - from;
        }
    }
    return text;
}

struct tumble_bytes tw_carried_sequence(struct tw_carried *carried, size_t record) {
    const struct tw_window_event *event = &carried->event;
    struct tumble_value value = {0};
    if (record >= event->record_count) {
        return tumble_bytes_of(NULL);
    }
    if (event->given) {
        return event->given[record].sequence_number;
    }
    if (event->is_dynamodb) {
        struct tw_dynamodb_record item;
        if (tw_dynamodb_record_parse(event->elements[record], 1, &item, NULL, NULL) == TUMBLE_OK) {
            value = item.sequence_number;
        }
    } else {
        value = event->records[record].sequence_number;
    }
    struct tumble_bytes text = {value.text, value.length};
    return text;
}

/* First record that has the number of this one. */
static size_t first_of_number(struct tw_carried *carried, size_t record) {
    struct tumble_bytes number = tw_carried_sequence(carried, record);
    while (record > 0 && tumble_bytes_equal(tw_carried_sequence(carried, record - 1), number)) {
        record--;
    }
    return record;
}

/* Applies what the slice holds. *stop: a bad record, told in out. */
static enum tumble_code apply_slice(struct slice *slice, bool *stop) {
    struct tw_carried *carried = slice->carried;
    struct tumble_apply_result result;
    if (slice->count == 0) {
        return TUMBLE_OK;
    }
    enum tumble_code code =
        tw_shard_apply_at(slice->shard, slice->start_ms, carried->slice, slice->count, &result, slice->err);
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        carried->out->fates[fate] += result.fates[fate];
        carried->out->records += result.fates[fate];
    }
    slice->count = 0;
    if (code == TUMBLE_OK && slice->read != carried->out->records) {
        const uint64_t *fates = carried->out->fates;
        return tw_fail(slice->err, TUMBLE_ECONSERVATION,
                       "%llu records were read, but %llu applied, %llu late, %llu duplicate, %llu filtered, %llu bad: "
                       "please report it",
                       (unsigned long long)slice->read, (unsigned long long)fates[TUMBLE_FATE_APPLIED],
                       (unsigned long long)fates[TUMBLE_FATE_LATE], (unsigned long long)fates[TUMBLE_FATE_DUPLICATE],
                       (unsigned long long)fates[TUMBLE_FATE_FILTERED], (unsigned long long)fates[TUMBLE_FATE_BAD]);
    }
    if (code == TUMBLE_OK && slice->shard->failures.length > TW_FAILURES_BYTES) {
        code = tw_carried_emit_failures(carried, slice->engine, slice->shard, slice->err);
    }
    if (code != TUMBLE_ERECORD) {
        return code;
    }
    *stop = true;
    size_t at = (size_t)slice->err->record;
    size_t record = carried->origin[at];
    slice->out->is_bad = true;
    slice->out->stopped = record;
    slice->out->records = first_of_number(carried, record);
    slice->out->is_partial = slice->out->records < record || carried->slice[at].sub_sequence_number > 0;
    slice->err->record = (int64_t)record;
    return TUMBLE_OK;
}

static enum tumble_code push(struct slice *slice, const struct tumble_record *record, size_t origin, bool *stop) {
    struct tw_carried *carried = slice->carried;
    carried->slice[slice->count] = *record;
    carried->origin[slice->count] = (uint32_t)origin;
    slice->count++;
    slice->read++;
    return slice->count == TW_SLICE_RECORDS ? apply_slice(slice, stop) : TUMBLE_OK;
}

/* Room for what one record decodes to; the buffer moves only when no record in the slice points into it. */
static enum tumble_code room_for(struct slice *slice, size_t bytes, bool *stop) {
    struct tw_buf *buf = &slice->carried->payloads;
    if (buf->capacity - buf->length < bytes) {
        TW_TRY(apply_slice(slice, stop));
        tw_buf_clear(buf);
        if (tw_buf_reserve(buf, bytes) != TUMBLE_OK) {
            return tw_no_memory(slice->err);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code arrival_of(struct slice *slice, const struct tumble_value *value, size_t origin, int64_t *out) {
    enum tumble_code code = tw_arrival_ms(&slice->arrival, value, out, slice->err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(slice->err, "record %zu of the event, its arrival time", origin);
        if (slice->err) {
            slice->err->record = (int64_t)origin;
        }
        return TUMBLE_EEVENT;
    }
    return TUMBLE_OK;
}

/* Where Lambda splits aggregates itself (enhanced fan-out), their records share a sequence number, and the ordinal
 * tells them apart (rule R7). An event that begins with the number of the mark goes on counting behind it. */
static uint64_t ordinal_of(struct slice *slice, struct tumble_bytes sequence) {
    if (!slice->carried->event.is_dynamodb && slice->sequence.data && tumble_bytes_equal(sequence, slice->sequence)) {
        return ++slice->ordinal;
    }
    const struct tw_window *window = slice->sequence.data ? NULL : tw_shard_find_window(slice->shard, slice->start_ms);
    struct tumble_bytes digits;
    slice->ordinal = window && tw_sequence_check(sequence, &digits, NULL) == TUMBLE_OK &&
                             tumble_bytes_equal(digits, tw_window_last(window))
                         ? window->last_sub_sequence + 1
                         : 0;
    slice->sequence = sequence;
    return slice->ordinal;
}

/* ---- Kinesis ---- */

static enum tumble_code push_aggregate(struct slice *slice, struct tumble_record record, size_t origin, bool *stop) {
    struct tumble_kpl *kpl = slice->carried->kpl;
    enum tumble_kpl_kind kind;
    uint64_t count;
    TW_TRY(tumble_kpl_open(kpl, record.data, NULL, &kind, &count, slice->err));
    if (kind == TUMBLE_KPL_PLAIN) {
        return push(slice, &record, origin, stop);
    }
    struct tumble_kpl_record part;
    while (!*stop && tumble_kpl_next(kpl, &part)) {
        record.data = part.data;
        record.partition_key = part.partition_key;
        record.sub_sequence_number = part.sub_sequence_number;
        record.bad = part.bad;
        TW_TRY(push(slice, &record, origin, stop));
    }
    return TUMBLE_OK;
}

static enum tumble_code kinesis(struct slice *slice, size_t origin, bool is_split, bool *stop) {
    struct tw_carried *carried = slice->carried;
    const struct tumble_kinesis_record *from = &carried->event.records[origin];
    struct tumble_record record = {0};
    /* Data that has escapes takes room twice: without them, and decoded. */
    size_t room = (size_t)from->data.length + from->partition_key.length + from->sequence_number.length;
    room += from->data.flags & TUMBLE_VALUE_ESCAPED ? from->data.length : 0;
    TW_TRY(room_for(slice, room, stop));
    if (*stop) {
        return TUMBLE_OK;
    }
    TW_TRY(arrival_of(slice, &from->arrival, origin, &record.arrival_ms));
    record.sequence_number = text_of(carried, &from->sequence_number);
    record.partition_key = text_of(carried, &from->partition_key);
    struct tumble_bytes text = text_of(carried, &from->data);
    struct tw_buf *buf = &carried->payloads;
    size_t length = 0;
    if (tw_base64_decode(text, buf->data + buf->length, &length, NULL) == TUMBLE_OK) {
        record.data.data = buf->data + buf->length;
        record.data.length = length;
        buf->length += length;
    } else {
        record.bad = "its data is not base64";
        record.data = text;
    }
    if (is_split) {
        record.sub_sequence_number = ordinal_of(slice, tw_carried_sequence(carried, origin));
    } else if (!record.bad && tumble_kpl_suspect(record.data)) {
        return push_aggregate(slice, record, origin, stop);
    }
    return push(slice, &record, origin, stop);
}

/* ---- as structs ---- */

static enum tumble_code given(struct slice *slice, size_t origin, bool is_split, bool *stop) {
    struct tumble_record record = slice->carried->event.given[origin];
    record.values = NULL;
    record.sub_sequence_number = 0;
    if (is_split) {
        record.sub_sequence_number = ordinal_of(slice, record.sequence_number);
    } else if (!record.bad && tumble_kpl_suspect(record.data)) {
        return push_aggregate(slice, record, origin, stop);
    }
    return push(slice, &record, origin, stop);
}

/* ---- DynamoDB Streams ---- */

static enum tumble_code dynamodb(struct slice *slice, size_t origin, bool *stop) {
    struct tw_carried *carried = slice->carried;
    struct tumble_bytes element = carried->event.elements[origin];
    struct tw_dynamodb_record from;
    struct tumble_record record = {0};
    enum tumble_code code = tw_dynamodb_record_parse(element, 1, &from, NULL, slice->err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(slice->err, "record %zu of the event", origin);
        return code;
    }
    TW_TRY(room_for(slice, 2 * element.length + TUMBLE_ERROR_TEXT, stop));
    if (*stop) {
        return TUMBLE_OK;
    }
    TW_TRY(arrival_of(slice, &from.arrival, origin, &record.arrival_ms));
    struct tw_buf *buf = &carried->payloads;
    record.sequence_number = text_of(carried, &from.sequence_number);
    size_t mark = buf->length;
    struct tumble_error own;
    code = tw_dynamodb_record_key(&from, buf, &own);
    record.partition_key.data = buf->data + mark;
    record.partition_key.length = buf->length - mark;
    mark = buf->length;
    code = code == TUMBLE_OK ? tw_dynamodb_record_payload(&from, buf, &own) : code;
    record.data.data = buf->data + mark;
    record.data.length = buf->length - mark;
    if (code == TUMBLE_EEVENT) { /* the record's text lives as long as the slice, and so does what is wrong with it */
        record.bad = buf->data + buf->length;
        memcpy(buf->data + buf->length, own.text, TUMBLE_ERROR_TEXT);
        buf->length += TUMBLE_ERROR_TEXT;
        record.data = element;
    } else if (code != TUMBLE_OK) {
        return tw_fail(slice->err, code, "%s", own.text);
    }
    return push(slice, &record, origin, stop);
}

/* ---- all of them ---- */

/* When the event's last record arrived, whatever becomes of it. */
static void note_last_arrival(struct slice *slice) {
    struct tw_carried *carried = slice->carried;
    size_t count = carried->event.record_count;
    struct tw_dynamodb_record item;
    struct tumble_value arrival = {0};
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    if (count == 0) {
        return;
    }
    if (carried->event.given) {
        carried->out->last_arrival_ms = carried->event.given[count - 1].arrival_ms;
        return;
    }
    if (!carried->event.is_dynamodb) {
        arrival = carried->event.records[count - 1].arrival;
    } else if (tw_dynamodb_record_parse(carried->event.elements[count - 1], 1, &item, NULL, NULL) == TUMBLE_OK) {
        arrival = item.arrival;
    }
    if (tumble_timestamp_ms(&seconds, &arrival, &carried->out->last_arrival_ms, NULL) != TUMBLE_OK) {
        carried->out->last_arrival_ms = -1;
    }
}

/* The ARN is a consumer's. */
static bool is_consumer(struct tumble_bytes arn) {
    static const char part[] = "/consumer/";
    for (size_t at = 0; at + sizeof part - 1 <= arn.length; at++) {
        if (memcmp(arn.data + at, part, sizeof part - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* Enhanced fan-out. That records name the consumer is known, that the event around them does is not. */
static bool is_fanned_out(const struct tw_window_event *event) {
    if (event->given || event->is_dynamodb || event->record_count == 0) {
        return false;
    }
    const struct tumble_value *arn = &event->records[0].event_source_arn;
    struct tumble_bytes of_record = {arn->text, arn->type == TUMBLE_TYPE_STRING ? arn->length : 0};
    return is_consumer(event->event_source_arn) || is_consumer(of_record);
}

static bool is_late(const struct slice *slice) { return tw_carried_remaining(slice->carried) < TW_DEADLINE_MARGIN_MS; }

enum tumble_code tw_carried_apply(struct tw_carried *carried, struct tw_carried_engine *engine,
                                  struct tumble_shard *shard, int64_t start_ms, size_t limit, struct tw_applied *out,
                                  struct tumble_error *err) {
    struct slice slice = {
        .carried = carried, .engine = engine, .shard = shard, .start_ms = start_ms, .out = out, .err = err};
    bool is_split = is_fanned_out(&carried->event);
    bool stop = false, late = false;
    memset(out, 0, sizeof *out);
    memset(carried->out->fates, 0, sizeof carried->out->fates);
    carried->out->records = 0;
    tw_buf_clear(&carried->payloads);
    note_last_arrival(&slice);
    for (size_t i = 0; i < limit && !stop; i++) {
        late = late || (i % TW_SLICE_RECORDS == 0 && is_late(&slice));
        /* Not within a sequence number: to take its records back would take as long as they did. */
        if (late &&
            (i == 0 || !tumble_bytes_equal(tw_carried_sequence(carried, i - 1), tw_carried_sequence(carried, i)))) {
            TW_TRY(apply_slice(&slice, &stop));
            if (!stop) {
                out->is_late = true;
                out->records = out->stopped = i;
            }
            return TUMBLE_OK;
        }
        TW_TRY(carried->event.given         ? given(&slice, i, is_split, &stop)
               : carried->event.is_dynamodb ? dynamodb(&slice, i, &stop)
                                            : kinesis(&slice, i, is_split, &stop));
    }
    if (!stop) {
        TW_TRY(apply_slice(&slice, &stop));
    }
    if (!stop) {
        out->records = out->stopped = limit;
    }
    return TUMBLE_OK;
}
