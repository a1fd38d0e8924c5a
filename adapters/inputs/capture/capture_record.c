#include "adapters/inputs/capture/capture_reader.h"

#include <string.h>

#include <tumble/kpl.h>
#include <tumble/timestamp.h>

#include "adapters/inputs/capture/capture_ahead.h"
#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/base/sequence.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout.h"

static bool is_payload(const struct tw_capture_reader *reader) {
    return reader->format == TUMBLE_CAPTURE_NDJSON || reader->format == TUMBLE_CAPTURE_ARRAY;
}

static bool is_escaped(const struct tumble_value *value) {
    return value->type == TUMBLE_TYPE_STRING && (value->flags & TUMBLE_VALUE_ESCAPED);
}

static struct tumble_bytes text_of(const struct tumble_value *value) {
    struct tumble_bytes view = {NULL, 0};
    if (value->type == TUMBLE_TYPE_STRING) {
        view.data = value->text;
        view.length = value->length;
    }
    return view;
}

/* A copy that lives until release. */
static enum tumble_code keep(struct tw_capture_reader *reader, struct tumble_bytes *text, struct tumble_error *err) {
    char *copy = tw_block_pool_bytes(reader->pool, text->length);
    if (!copy) {
        return tw_no_memory(err);
    }
    if (text->length) {
        memcpy(copy, text->data, text->length);
    }
    text->data = copy;
    return TUMBLE_OK;
}

/* The text of a string, or nothing of whatever else it is; an escaped one is undone into buf. */
static __attribute__((cold, noinline)) enum tumble_code unescaped(const struct tumble_value *value, struct tw_buf *buf,
                                                                  struct tumble_bytes *out, struct tumble_error *err) {
    tw_buf_clear(buf);
    if (tw_json_unescape(value, buf) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    *out = tw_buf_view(buf);
    return TUMBLE_OK;
}

static inline enum tumble_code plain(const struct tumble_value *value, struct tw_buf *buf, struct tumble_bytes *out,
                                     struct tumble_error *err) {
    *out = text_of(value);
    return is_escaped(value) ? unescaped(value, buf, out, err) : TUMBLE_OK;
}

/* ---- finding ---- */

static enum tumble_code parse_payload(struct tw_capture_reader *reader, struct tumble_bytes json,
                                      struct tumble_value *values, struct tumble_captured *record, size_t *consumed,
                                      struct tumble_error *err) {
    int end = reader->at_end;
    if (reader->options->projection) {
        TW_TRY(tumble_project_like(reader->options->projection, &reader->payload_layout, json, end, values, consumed,
                                   err));
    } else {
        struct tumble_value value;
        TW_TRY(tw_json_value(json, end, &value, consumed, err));
    }
    record->data.data = json.data;
    record->data.length = *consumed;
    record->values = values;
    record->arrival_ms = -1;
    return TUMBLE_OK;
}

/* Offset of a value in the element's text, to name the place of what is wrong with it. */
static enum tumble_code wrong_at(struct tumble_bytes json, const struct tumble_value *value, enum tumble_code code,
                                 struct tumble_error *err) {
    err->byte = value->text ? value->text - json.data : -1;
    return code;
}

/* What Kinesis allows. Most records are of the shard of the one before. */
static bool is_shard_id(struct tw_capture_reader *reader, struct tumble_bytes id) {
    struct tumble_bytes last = {reader->shard_id, reader->shard_id_length};
    if (id.length == 0 || tumble_bytes_equal(id, last)) {
        return true;
    }
    if (id.length > TW_LIMIT_SHARD_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < id.length; i++) {
        char c = id.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
              c == '-')) {
            return false;
        }
    }
    if (id.length) {
        memcpy(reader->shard_id, id.data, id.length);
    }
    reader->shard_id_length = id.length;
    return true;
}

static enum tumble_code parse_encoded(struct tw_capture_reader *reader, struct tumble_bytes json,
                                      struct tumble_captured *record, size_t *consumed, struct tumble_error *err) {
    /* A number is seconds whatever its size (semantics 1.3); newer command lines print get-records with ISO 8601 text.
     */
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    static const struct tumble_timestamp_format any = {.kind = TUMBLE_TIMESTAMP_AUTO};
    struct tumble_kinesis_record *found = &reader->found;
    if (reader->format == TUMBLE_CAPTURE_LAMBDA) {
        size_t room, length;
        char *space = tw_block_pool_space(reader->pool, &room);
        TW_TRY(tumble_kinesis_record_decode_like(&reader->record_layout, json, reader->at_end, found, consumed, space,
                                                 room, &length, err));
        reader->decoded.data = NULL;
        if (length != TUMBLE_NOT_DECODED) {
            reader->decoded.data = space;
            reader->decoded.length = length;
            tw_block_pool_cut(reader->pool, length);
        }
    } else {
        TW_TRY(tumble_get_records_record_parse(json, reader->at_end, found, consumed, err));
        reader->decoded.data = NULL;
    }
    struct tumble_bytes text;
    TW_TRY(plain(&found->sequence_number, &reader->sequence_text, &text, err));
    enum tumble_code code = tw_sequence_check(text, &record->sequence_number, err);
    if (code != TUMBLE_OK) {
        return wrong_at(json, &found->sequence_number, code, err);
    }
    const struct tumble_timestamp_format *arrival = found->arrival.type == TUMBLE_TYPE_STRING ? &any : &seconds;
    if (!tw_arrival_usual(&reader->arrival, &found->arrival, &record->arrival_ms)) {
        code = tumble_timestamp_ms(arrival, &found->arrival, &record->arrival_ms, err);
    }
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "the arrival time");
        return wrong_at(json, &found->arrival, code, err);
    }
    TW_TRY(plain(&found->event_id, &reader->shard_text, &text, err));
    size_t known = reader->shard_id_length; /* it has no colon in it */
    if (TW_OFTEN(known && text.length > known && text.data[known] == ':' &&
                 memcmp(text.data, reader->shard_id, known) == 0)) {
        record->shard_id.data = text.data;
        record->shard_id.length = known;
        return TUMBLE_OK;
    }
    const char *colon = text.length ? memchr(text.data, ':', text.length) : NULL;
    record->shard_id.data = colon ? text.data : NULL;
    record->shard_id.length = colon ? (size_t)(colon - text.data) : 0;
    if (!is_shard_id(reader, record->shard_id)) {
        tw_fail(err, TUMBLE_EEVENT, "eventID: a shard id has at most %d letters, digits, '_', '.' and '-'",
                TW_LIMIT_SHARD_ID_BYTES);
        return wrong_at(json, &found->event_id, TUMBLE_EEVENT, err);
    }
    return TUMBLE_OK;
}

static enum tumble_code ends_inside(struct tw_capture_reader *reader, const char *what, struct tumble_error *err) {
    tw_fail(err, TUMBLE_EJSON, "the input ends inside %s: was it cut off?", what);
    return tw_capture_reader_fail(reader, TUMBLE_EJSON, (int64_t)(reader->filled - reader->begin), err);
}

static enum tumble_code find_element(struct tw_capture_reader *reader, int *at_element, struct tumble_error *err) {
    for (;;) {
        struct tumble_bytes unread = tw_capture_reader_unread(reader);
        size_t skipped = 0;
        *at_element = 0;
        enum tumble_code code = tw_elements_next(reader->elements, unread, reader->at_end, at_element, &skipped, err);
        if (code != TUMBLE_OK && code != TUMBLE_EMORE) {
            return tw_capture_reader_fail(reader, code, err->byte, err);
        }
        /* Between two elements of one array stands a comma. */
        reader->crossed |= skipped == 1 ? unread.data[0] == ']' : skipped && memchr(unread.data, ']', skipped);
        reader->begin += skipped;
        if (code == TUMBLE_OK) {
            return TUMBLE_OK;
        }
        if (reader->at_end) {
            return ends_inside(reader, "a JSON value", err);
        }
        TW_TRY(tw_capture_reader_fill(reader, tw_capture_reader_want(unread.length - skipped), err));
    }
}

/* Member by member: a memset of this size becomes a string instruction, which takes longer to start than to do it. */
static inline void clear(struct tumble_captured *record) {
    static const struct tumble_bytes nothing;
    record->data = nothing;
    record->partition_key = nothing;
    record->explicit_hash_key = nothing;
    record->sequence_number = nothing;
    record->shard_id = nothing;
    record->event_source_arn = nothing;
    record->arrival_ms = 0;
    record->values = NULL;
    record->bad = TUMBLE_OK;
    record->bad_byte = -1;
    record->bad_text = NULL;
    record->more = 0;
    record->part = 0;
    record->begins_event = 0;
    record->input = 0;
    record->number = 0;
    record->line = 0;
    record->offset = 0;
}

static void taken(struct tw_capture_reader *reader) {
    tw_elements_taken(reader->elements);
    if (TW_RARELY(reader->ahead_wanted && !reader->ahead)) {
        reader->between_length = tw_elements_save(reader->elements, reader->between);
    }
}

/* Somebody looked at it before, and knew all but its place. */
static void take_known(struct tw_capture_reader *reader, const struct tw_ahead_record *known,
                       struct tumble_captured *record) {
    const uint64_t line = tw_capture_reader_line(reader);
    *record = known->record;
    record->line = line;
    record->input = reader->input;
    record->number = ++reader->records;
    record->begins_event = reader->crossed || record->number == 1;
    reader->crossed = false;
    record->offset = reader->block_offset + reader->begin;
    reader->begin += known->length;
    tw_capture_reader_count(reader, known->length, known->newlines);
    reader->given = true;
    taken(reader);
}

enum tumble_code tw_capture_reader_find(struct tw_capture_reader *reader, struct tumble_captured *record,
                                        struct tumble_error *err) {
    int at_element;
    TW_TRY(find_element(reader, &at_element, err));
    if (!at_element) {
        reader->begin = reader->filled;
        reader->done = true;
        tw_capture_reader_commit(reader);
        return TUMBLE_OK;
    }
    const struct tw_ahead_record *known = reader->ahead ? tw_ahead_find(reader) : NULL;
    if (known) {
        take_known(reader, known, record);
        return TUMBLE_OK;
    }
    clear(record);
    record->line = tw_capture_reader_line(reader);
    struct tumble_value *values = NULL;
    if (is_payload(reader) && reader->options->projection) {
        size_t count = tumble_projection_count(reader->options->projection);
        values = tw_block_pool_bytes(reader->pool, count * sizeof *values);
        if (!values) {
            return tw_no_memory(err);
        }
    }
    size_t consumed = 0;
    for (;;) {
        struct tumble_bytes unread = tw_capture_reader_unread(reader);
        enum tumble_code code = is_payload(reader) ? parse_payload(reader, unread, values, record, &consumed, err)
                                                   : parse_encoded(reader, unread, record, &consumed, err);
        if (code == TUMBLE_OK) {
            break;
        }
        if (code != TUMBLE_EMORE) {
            return tw_capture_reader_fail(reader, code, err->byte, err);
        }
        if (reader->at_end) {
            return ends_inside(reader, "a record", err);
        }
        TW_TRY(tw_capture_reader_fill(reader, tw_capture_reader_want(unread.length), err));
    }
    if (consumed > TW_LIMIT_RECORD_BYTES) { /* it happened to lie in a larger block */
        tw_fail(err, TUMBLE_ELIMIT, "a JSON value longer than %d bytes: Kinesis takes records of at most 10 MiB",
                TW_LIMIT_RECORD_BYTES);
        return tw_capture_reader_fail(reader, TUMBLE_ELIMIT, 0, err);
    }
    record->input = reader->input;
    record->number = ++reader->records;
    record->begins_event = reader->crossed || record->number == 1;
    reader->crossed = false;
    record->offset = reader->block_offset + reader->begin;
    reader->begin += consumed;
    reader->last_length = consumed;
    const struct tumble_layout *layout = is_payload(reader) ? &reader->payload_layout : &reader->record_layout;
    if (tw_layout_fitted(layout)) {
        tw_capture_reader_count(reader, consumed, tw_layout_newlines(layout));
    }
    taken(reader);
    return TUMBLE_OK;
}

/* ---- giving ---- */

enum tumble_code tw_capture_project(struct tw_capture_reader *reader, struct tumble_captured *record,
                                    struct tumble_error *err) {
    if (!reader->options->project_encoded || !reader->options->projection) {
        return TUMBLE_OK;
    }
    struct tumble_error reason;
    size_t count = tumble_projection_count(reader->options->projection);
    struct tumble_value *values = tw_block_pool_bytes(reader->pool, count * sizeof *values);
    if (!values) {
        return tw_no_memory(err);
    }
    enum tumble_code code = tumble_project_like(reader->options->projection, &reader->payload_layout, record->data, 1,
                                                values, NULL, &reason);
    if (code == TUMBLE_OK) {
        record->values = values;
    } else {
        record->bad = code == TUMBLE_EMORE ? TUMBLE_EJSON : code; /* there is no more */
        record->bad_byte = reason.byte;
    }
    return TUMBLE_OK;
}

static enum tumble_code decode(struct tw_capture_reader *reader, struct tumble_captured *record,
                               struct tumble_error *err) {
    struct tumble_bytes text;
    if (TW_OFTEN(reader->decoded.data != NULL)) {
        record->data = reader->decoded;
        record->bad = TUMBLE_OK;
        return TW_RARELY(tumble_kpl_suspect(record->data)) ? TUMBLE_OK : tw_capture_project(reader, record, err);
    }
    /* The shard id and the sequence number are kept by now, so their buffer is free. */
    TW_TRY(plain(&reader->found.data, &reader->shard_text, &text, err));
    char *data = tw_block_pool_bytes(reader->pool, text.length / 4 * 3 + 1);
    if (!data) {
        return tw_no_memory(err);
    }
    struct tumble_error reason;
    size_t length = 0;
    record->bad = tw_base64_decode(text, data, &length, &reason);
    record->data.data = data;
    record->data.length = length;
    if (record->bad != TUMBLE_OK) {
        record->bad_byte = reason.byte;
        record->data = text;
        return is_escaped(&reader->found.data) ? keep(reader, &record->data, err) : TUMBLE_OK;
    }
    return TW_RARELY(tumble_kpl_suspect(record->data)) ? TUMBLE_OK : tw_capture_project(reader, record, err);
}

static __attribute__((noinline)) enum tumble_code plain_kept(struct tw_capture_reader *reader,
                                                             const struct tumble_value *value, struct tumble_bytes *out,
                                                             struct tumble_error *err) {
    TW_TRY(plain(value, &reader->shard_text, out, err));
    return is_escaped(value) ? keep(reader, out, err) : TUMBLE_OK;
}

enum tumble_code tw_capture_reader_give(struct tw_capture_reader *reader, struct tumble_captured *record,
                                        struct tumble_error *err) {
    if (reader->given) {
        reader->given = false;
    } else if (!is_payload(reader)) {
        const struct tumble_kinesis_record *found = &reader->found;
        if (is_escaped(&found->event_id)) {
            TW_TRY(keep(reader, &record->shard_id, err));
        }
        if (is_escaped(&found->sequence_number)) {
            TW_TRY(keep(reader, &record->sequence_number, err));
        }
        if (TW_OFTEN(((found->partition_key.flags | found->explicit_hash_key.flags | found->event_source_arn.flags) &
                      TUMBLE_VALUE_ESCAPED) == 0)) {
            record->partition_key = text_of(&found->partition_key);
            record->explicit_hash_key = text_of(&found->explicit_hash_key);
            record->event_source_arn = text_of(&found->event_source_arn);
        } else {
            TW_TRY(plain_kept(reader, &found->partition_key, &record->partition_key, err));
            TW_TRY(plain_kept(reader, &found->explicit_hash_key, &record->explicit_hash_key, err));
            TW_TRY(plain_kept(reader, &found->event_source_arn, &record->event_source_arn, err));
        }
        TW_TRY(decode(reader, record, err));
    }
    tw_capture_reader_commit(reader);
    return TUMBLE_OK;
}
