#include "engine/event/window_event.h"

#include <tumble/invoke.h>
#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/json.h"
#include "engine/codec/json_scan.h"
#include "engine/event/event_walk.h"

#define NO_EVENT "the event is no time-window event"

enum { TOP_LEVEL_KEYS = 6, SHARD_ID, SOURCE_ARN, WINDOW, STATE, IS_FINAL, IS_EARLY };

static const struct {
    const char *name;
    int key;
    uint8_t type; /* what it must have, null and boolean apart */
} keys[TOP_LEVEL_KEYS] = {
    {"shardId", SHARD_ID, TUMBLE_TYPE_STRING},
    {"eventSourceARN", SOURCE_ARN, TUMBLE_TYPE_STRING},
    {"window", WINDOW, TUMBLE_TYPE_OBJECT},
    {"state", STATE, TUMBLE_TYPE_OBJECT},
    {"isFinalInvokeForWindow", IS_FINAL, TUMBLE_TYPE_TRUE},
    {"isWindowTerminatedEarly", IS_EARLY, TUMBLE_TYPE_TRUE},
};

void tw_window_event_init(struct tw_window_event *event, struct tumble_alloc alloc) {
    memset(event, 0, sizeof *event);
    event->alloc = alloc;
    tw_buf_init(&event->text, alloc, SIZE_MAX / 4);
}

void tw_window_event_clean_up(struct tw_window_event *event) {
    tw_free(&event->alloc, event->records);
    tw_free(&event->alloc, event->elements);
    tw_buf_clean_up(&event->text);
    event->records = NULL;
    event->elements = NULL;
    event->record_count = event->record_capacity = 0;
}

/* ---- reading ---- */

struct reader {
    struct tw_event_walk walk;
    struct tw_window_event *event;
    struct tumble_value found[TOP_LEVEL_KEYS]; /* of keys[] */
    bool has_records;
    struct tumble_error *err;
};

static enum tumble_code grow(struct tw_window_event *event, struct tumble_error *err) {
    if (event->record_count < event->record_capacity) {
        return TUMBLE_OK;
    }
    size_t capacity = event->record_capacity ? event->record_capacity * 2 : 256;
    struct tumble_kinesis_record *records =
        tw_resize(&event->alloc, event->records, event->record_capacity * sizeof *records, capacity * sizeof *records);
    if (!records) {
        return tw_no_memory(err);
    }
    event->records = records;
    struct tumble_bytes *elements = tw_resize(&event->alloc, event->elements, event->record_capacity * sizeof *elements,
                                              capacity * sizeof *elements);
    if (!elements) {
        return tw_no_memory(err);
    }
    event->elements = elements;
    event->record_capacity = capacity;
    return TUMBLE_OK;
}

static bool has_member(const struct tumble_value *object, const char *name) {
    struct tw_json_walk walk;
    struct tumble_value key, member;
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &key, &member)) {
        if (tw_json_string_equal(&key, tumble_bytes_of(name))) {
            return true;
        }
    }
    return false;
}

/* One of Records. That they are DynamoDB's is seen at the first, which is then no Kinesis record. */
static enum tumble_code record(struct reader *reader) {
    struct tw_window_event *event = reader->event;
    struct tw_event_walk *walk = &reader->walk;
    TW_TRY(grow(event, reader->err));
    int end_of_input;
    const struct tumble_bytes rest = tw_event_walk_rest(walk, &end_of_input);
    size_t consumed = 0;
    enum tumble_code code = TUMBLE_EEVENT;
    if (!event->is_dynamodb) {
        code = tumble_kinesis_record_parse_like(&event->layout, rest, end_of_input,
                                                &event->records[event->record_count], &consumed, reader->err);
    }
    if (code == TUMBLE_EEVENT && (event->is_dynamodb || event->record_count == 0)) {
        struct tumble_value element;
        struct tumble_error *err = reader->err;
        struct tumble_error of_kinesis;
        if (err) {
            of_kinesis = *err;
        }
        code = tw_json_value(rest, end_of_input, &element, &consumed, err);
        if (code != TUMBLE_OK) {
            return tw_event_walk_failed(walk, code);
        }
        if (element.type == TUMBLE_TYPE_OBJECT && has_member(&element, "dynamodb")) {
            event->is_dynamodb = true;
        } else if (event->is_dynamodb) {
            code = tw_fail_at(err, TUMBLE_EEVENT, 0, "the record has no member dynamodb, as the first one had");
        } else if (element.type == TUMBLE_TYPE_OBJECT && !has_member(&element, "kinesis")) {
            code = tw_fail_at(err, TUMBLE_EEVENT, 0,
                              "the record has neither \"kinesis\" nor \"dynamodb\": events of other services have no "
                              "time windows");
        } else {
            code = TUMBLE_EEVENT;
            if (err) {
                *err = of_kinesis;
            }
        }
    }
    if (code != TUMBLE_OK) {
        code = tw_event_walk_failed(walk, code);
        if (reader->err) {
            reader->err->record = (int64_t)event->record_count;
        }
        return code;
    }
    event->elements[event->record_count].data = walk->at;
    event->elements[event->record_count].length = consumed;
    event->record_count++;
    walk->at += consumed;
    return TUMBLE_OK;
}

static enum tumble_code member(struct reader *reader) {
    const struct tumble_value *found = &reader->walk.value;
    size_t i = 0;
    while (i < TOP_LEVEL_KEYS && !tw_json_string_equal(&reader->walk.key, tumble_bytes_of(keys[i].name))) {
        i++;
    }
    if (i == TOP_LEVEL_KEYS) {
        return TUMBLE_OK;
    }
    bool fits = keys[i].type == TUMBLE_TYPE_TRUE ? found->type == TUMBLE_TYPE_TRUE || found->type == TUMBLE_TYPE_FALSE
                                                 : found->type == keys[i].type;
    if (!fits && found->type != TUMBLE_TYPE_NULL) {
        return tw_fail_at(reader->err, TUMBLE_EEVENT,
                          found->text - (found->type == TUMBLE_TYPE_STRING) - reader->walk.begin, NO_EVENT ": %s is %s",
                          keys[i].name, tw_json_type_name(found->type));
    }
    reader->found[i] = *found;
    return TUMBLE_OK;
}

static enum tumble_code read_event(struct reader *reader) {
    struct tw_event_walk *walk = &reader->walk;
    enum tw_event_found found = TW_EVENT_MEMBER;
    while (found != TW_EVENT_OVER) {
        TW_TRY(tw_event_walk(walk, &found));
        switch (found) {
        case TW_EVENT_MEMBER: TW_TRY(member(reader)); break;
        case TW_EVENT_RECORDS: /* perhaps again, and then those before it are forgotten */
            reader->event->record_count = 0;
            reader->event->is_dynamodb = false;
            reader->has_records = true;
            break;
        case TW_EVENT_RECORD: do { TW_TRY(record(reader));
            } while (tw_event_walk_next_record(walk));
            break;
        case TW_EVENT_OVER: break;
        }
    }
    return reader->has_records ? TUMBLE_OK : tw_fail(reader->err, TUMBLE_EEVENT, NO_EVENT ": it has no Records");
}

/* ---- what was found ---- */

static const struct tumble_value *found(const struct reader *reader, int key) {
    size_t i = 0;
    while (keys[i].key != key) {
        i++;
    }
    return &reader->found[i];
}

/* A string without its escapes. text has room for all of them beforehand, so that views into it stay. */
static struct tumble_bytes text_of(struct reader *reader, int key) {
    const struct tumble_value *string = found(reader, key);
    struct tumble_bytes text = {NULL, 0};
    if (string->type == TUMBLE_TYPE_STRING) {
        text.data = string->text;
        text.length = string->length;
        if (string->flags & TUMBLE_VALUE_ESCAPED) {
            struct tw_buf *buf = &reader->event->text;
            size_t from = buf->length;
            if (tw_json_unescape(string, buf) == TUMBLE_OK) {
                text.data = buf->data + from;
                text.length = buf->length - from;
            }
        }
    }
    return text;
}

static enum tumble_code bound(struct reader *reader, const struct tumble_value *window, const char *name,
                              int64_t *out) {
    struct tw_json_walk walk;
    struct tumble_value key, instant, last = {0};
    tw_json_walk_begin(&walk, window);
    while (tw_json_walk_next(&walk, &key, &instant)) {
        if (tw_json_string_equal(&key, tumble_bytes_of(name))) {
            last = instant;
        }
    }
    static const struct tumble_timestamp_format iso = {.kind = TUMBLE_TIMESTAMP_ISO8601};
    if (last.type != TUMBLE_TYPE_STRING) {
        return tw_fail_at(reader->err, TUMBLE_EEVENT, window->text - reader->walk.begin,
                          "window.%s is %s: expected an instant such as \"2020-12-09T07:04:00Z\"", name,
                          tw_json_type_name(last.type));
    }
    enum tumble_code code = tumble_timestamp_ms(&iso, &last, out, reader->err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(reader->err, "window.%s", name);
        if (reader->err) {
            reader->err->byte = last.text - reader->walk.begin;
        }
    }
    return code;
}

static enum tumble_code window(struct reader *reader) {
    struct tw_window_event *event = reader->event;
    const struct tumble_value *span = found(reader, WINDOW);
    event->has_window = span->type == TUMBLE_TYPE_OBJECT;
    if (!event->has_window) {
        return TUMBLE_OK;
    }
    TW_TRY(bound(reader, span, "start", &event->start_ms));
    TW_TRY(bound(reader, span, "end", &event->end_ms));
    if (event->start_ms >= event->end_ms || event->start_ms % 1000 || event->end_ms % 1000) {
        return tw_fail_at(reader->err, TUMBLE_EEVENT, span->text - reader->walk.begin,
                          "the window does not last a number of whole seconds");
    }
    return TUMBLE_OK;
}

enum tumble_code tw_window_event_parse(struct tw_window_event *event, struct tumble_bytes json,
                                       struct tumble_error *err) {
    struct reader reader = {
        .walk = {.element_max = SIZE_MAX, .no_event = NO_EVENT, .err = err}, .event = event, .err = err};
    tw_event_walk_see(&reader.walk, json, true);
    event->record_count = 0;
    event->given = NULL;
    event->is_dynamodb = false;
    tw_buf_clear(&event->text);
    TW_TRY(read_event(&reader));
    TW_TRY(window(&reader));
    const struct tumble_value *id = found(&reader, SHARD_ID), *arn = found(&reader, SOURCE_ARN);
    if (tw_buf_reserve(&event->text, (size_t)id->length + arn->length) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    event->shard_id = text_of(&reader, SHARD_ID);
    event->event_source_arn = text_of(&reader, SOURCE_ARN);
    if (event->has_window && event->shard_id.length == 0) {
        return tw_fail(err, TUMBLE_EEVENT, NO_EVENT ": it has no shardId");
    }
    event->state = *found(&reader, STATE);
    if (event->state.type != TUMBLE_TYPE_OBJECT) {
        event->state.type = TUMBLE_TYPE_MISSING;
    }
    event->is_final = found(&reader, IS_FINAL)->type == TUMBLE_TYPE_TRUE;
    event->is_terminated_early = found(&reader, IS_EARLY)->type == TUMBLE_TYPE_TRUE;
    return TUMBLE_OK;
}

enum tumble_code tw_window_event_give(struct tw_window_event *event, const struct tumble_window_batch *batch,
                                      struct tumble_error *err) {
    static const struct tumble_value missing;
    if (batch->shard_id.length == 0 || !tw_utf8_valid(batch->shard_id) || !tw_utf8_valid(batch->event_source_arn)) {
        return tw_fail(err, TUMBLE_EEVENT, "the batch has no shard id, or one or an ARN that is not UTF-8");
    }
    if (batch->window_start_ms < 0 || batch->window_end_ms <= batch->window_start_ms ||
        batch->window_end_ms > TUMBLE_TIMESTAMP_MAX_MS || batch->window_start_ms % 1000 ||
        batch->window_end_ms % 1000) {
        return tw_fail(err, TUMBLE_EEVENT, "the batch's window does not last a number of whole seconds");
    }
    event->state = missing;
    if (batch->state.length) {
        TW_TRY(tw_json_document(batch->state, TUMBLE_TYPE_OBJECT, &event->state, err));
    }
    event->given = batch->records;
    event->record_count = batch->records ? batch->record_count : 0;
    event->is_dynamodb = false;
    event->shard_id = batch->shard_id;
    event->event_source_arn = batch->event_source_arn;
    event->has_window = true;
    event->start_ms = batch->window_start_ms;
    event->end_ms = batch->window_end_ms;
    event->is_final = batch->is_final != 0;
    event->is_terminated_early = batch->is_terminated_early != 0;
    return TUMBLE_OK;
}
