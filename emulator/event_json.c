#include "emulator/event_json.h"

#include <tumble/timestamp.h>

#include "emulator/event_size.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"
#include "engine/codec/base64.h"

/* A record is a handful of literals with holes between them. Where nothing needs an escape its length is known before a
 * byte is written, so that room is made once a record. */

#define LENGTH(literal) (sizeof(literal) - 1)

#define RECORD_KEY      "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\""
#define RECORD_SEQUENCE "\",\"sequenceNumber\":\""
#define RECORD_DATA     "\",\"data\":\""
#define RECORD_ARRIVAL  "\",\"approximateArrivalTimestamp\":"
#define RECORD_SHARD    "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\""
#define RECORD_ROLE     "\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\""
#define RECORD_REGION   "\",\"awsRegion\":\""
#define RECORD_STREAM   "\",\"eventSourceARN\":\""
#define RECORD_END      "\"}"

enum { ARRIVAL_LONGEST = LENGTH("2.53402300799999E11") };

struct tumble_event_writer {
    struct tumble_event_form form;
    struct tw_buf event;
    struct tw_buf tail; /* of a record, from its role on: the same in a whole event */
    int64_t last_arrival_ms;
    size_t last_arrival_length;
    char last_arrival[TUMBLE_ARRIVAL_TEXT];
};

static struct tumble_bytes role_of(const struct tumble_event_form *form) {
    return tumble_bytes_of(form->role_arn ? form->role_arn : TUMBLE_ASSUMED_ROLE_ARN);
}

/* arn:aws:kinesis:REGION:… */
static struct tumble_bytes region_of(struct tumble_bytes arn) {
    const char *end = arn.data + arn.length;
    const char *at = arn.data;
    for (int colons = 0; colons < 3; colons++) {
        at = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
        if (!at) {
            return tumble_bytes_of("us-east-1");
        }
        at++;
    }
    const char *behind = memchr(at, ':', (size_t)(end - at));
    struct tumble_bytes region = {at, (size_t)((behind ? behind : end) - at)};
    return region;
}

/* Two digits at a time: arrivals are all different. */
static size_t digits_of(uint64_t value, char out[20]) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char reversed[20];
    size_t at = sizeof reversed;
    while (value >= 100) {
        at -= 2;
        memcpy(reversed + at, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(reversed + at, pairs + 2 * value, 2);
    } else {
        reversed[--at] = (char)('0' + value);
    }
    memcpy(out, reversed + at, sizeof reversed - at);
    return sizeof reversed - at;
}

/* Double.toString: the shortest digits that read back as the same double, which for milliseconds as seconds are their
 * own digits; from 10^7 on with an exponent. */
size_t tumble_arrival_text(enum tumble_arrival_form form, int64_t arrival_ms, char out[TUMBLE_ARRIVAL_TEXT]) {
    char digits[20];
    char *at = out;
    uint64_t ms = arrival_ms < 0 ? 0 : (uint64_t)arrival_ms;
    if (form == TUMBLE_ARRIVAL_JAVA && ms >= UINT64_C(10000000000)) {
        size_t length = digits_of(ms, digits);
        size_t exponent = length - 4;
        while (length > 2 && digits[length - 1] == '0') {
            length--;
        }
        *at++ = digits[0];
        *at++ = '.';
        memcpy(at, digits + 1, length - 1);
        at += length - 1;
        *at++ = 'E';
        at += digits_of(exponent, at);
    } else {
        at += digits_of(ms / 1000, at);
        *at++ = '.';
        unsigned rest = (unsigned)(ms % 1000);
        *at++ = (char)('0' + rest / 100);
        *at++ = (char)('0' + rest / 10 % 10);
        *at++ = (char)('0' + rest % 10);
        while (form == TUMBLE_ARRIVAL_JAVA && at[-1] == '0' && at[-2] != '.') {
            at--;
        }
    }
    *at = '\0';
    return (size_t)(at - out);
}

size_t tw_event_escaped_length_exact(struct tumble_bytes text) {
    size_t length = text.length;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20) {
            length += c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f' ? 1 : 5;
        } else {
            length += c == '"' || c == '\\';
        }
    }
    return length;
}

static size_t record_fixed(struct tumble_bytes role, struct tumble_bytes arn) {
    return LENGTH(RECORD_KEY RECORD_SEQUENCE RECORD_DATA RECORD_ARRIVAL RECORD_SHARD
                  ":" RECORD_ROLE RECORD_REGION RECORD_STREAM RECORD_END ",") +
           ARRIVAL_LONGEST + role.length + region_of(arn).length + arn.length;
}

size_t tumble_event_record_size(const struct tumble_event_form *form, struct tumble_bytes event_source_arn,
                                size_t shard_id_bytes, const struct tumble_stream_record *record) {
    return record_fixed(role_of(form), event_source_arn) + shard_id_bytes + tw_event_record_varying(record);
}

size_t tumble_event_envelope_size(struct tumble_bytes event_source_arn, size_t shard_id_bytes, int has_window) {
    if (!has_window) {
        return LENGTH("{\"Records\":[]}");
    }
    return LENGTH("{\"Records\":[],\"shardId\":\"\",\"eventSourceARN\":\"\",\"window\":{\"start\":"
                  "\"2026-09-17T14:11:10Z\",\"end\":\"2026-09-17T14:11:20Z\"},\"state\":,"
                  "\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}") +
           shard_id_bytes + event_source_arn.length;
}

enum tumble_code tumble_event_writer_new(const struct tumble_event_form *form, struct tumble_alloc alloc,
                                         struct tumble_event_writer **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = NULL;
    struct tumble_event_writer *writer = tw_alloc_zero(&alloc, sizeof *writer);
    if (!writer) {
        return tw_no_memory(err);
    }
    if (form) {
        writer->form = *form;
    }
    writer->last_arrival_ms = -1;
    tw_buf_init(&writer->event, alloc, SIZE_MAX / 4);
    tw_buf_init(&writer->tail, alloc, SIZE_MAX / 4);
    *out = writer;
    return TUMBLE_OK;
}

void tumble_event_writer_destroy(struct tumble_event_writer *writer) {
    if (writer) {
        struct tumble_alloc alloc = writer->event.alloc;
        tw_buf_clean_up(&writer->event);
        tw_buf_clean_up(&writer->tail);
        tw_free(&alloc, writer);
    }
}

static inline char *put(char *at, const void *data, size_t length) {
    if (length) {
        memcpy(at, data, length);
    }
    return at + length;
}
#define PUT(at, literal) put(at, literal, LENGTH(literal))

static enum tumble_code write_tail(struct tumble_event_writer *writer, struct tumble_bytes arn) {
    struct tw_buf *tail = &writer->tail;
    struct tumble_bytes region = region_of(arn);
    struct tumble_bytes role = role_of(&writer->form);
    tw_buf_clear(tail);
    TW_TRY(tw_buf_append_text(tail, RECORD_ROLE));
    TW_TRY(tw_buf_append(tail, role.data, role.length));
    TW_TRY(tw_buf_append_text(tail, RECORD_REGION));
    TW_TRY(tw_buf_append(tail, region.data, region.length));
    TW_TRY(tw_buf_append_text(tail, RECORD_STREAM));
    TW_TRY(tw_buf_append(tail, arn.data, arn.length));
    return tw_buf_append_text(tail, RECORD_END);
}

static enum tumble_code write_record(struct tumble_event_writer *writer, struct tumble_bytes shard_id,
                                     const struct tumble_stream_record *record) {
    struct tw_buf *event = &writer->event;
    size_t key_length = tw_event_escaped_length(record->partition_key);
    TW_TRY(tw_buf_reserve(event, LENGTH(RECORD_KEY RECORD_SEQUENCE RECORD_DATA RECORD_ARRIVAL RECORD_SHARD ":,") +
                                     TUMBLE_ARRIVAL_TEXT + key_length + 2 * record->sequence.length +
                                     tw_base64_encoded_length(record->data.length) + shard_id.length +
                                     writer->tail.length + 2));
    char *at = PUT(event->data + event->length, RECORD_KEY);
    if (key_length == record->partition_key.length) {
        at = put(at, record->partition_key.data, key_length);
    } else {
        event->length = (size_t)(at - event->data) - 1; /* its quotes are written anew */
        TW_TRY(tw_buf_append_json_string(event, record->partition_key));
        at = event->data + event->length - 1;
    }
    at = PUT(at, RECORD_SEQUENCE);
    at = put(at, record->sequence.data, record->sequence.length);
    at = PUT(at, RECORD_DATA);
    tw_base64_encode(record->data, at);
    at += tw_base64_encoded_length(record->data.length);
    at = PUT(at, RECORD_ARRIVAL);
    if (record->arrival_ms != writer->last_arrival_ms) {
        writer->last_arrival_ms = record->arrival_ms;
        writer->last_arrival_length =
            tumble_arrival_text(writer->form.arrival, record->arrival_ms, writer->last_arrival);
    }
    at = put(at, writer->last_arrival, writer->last_arrival_length);
    at = PUT(at, RECORD_SHARD);
    at = put(at, shard_id.data, shard_id.length);
    *at++ = ':';
    at = put(at, record->sequence.data, record->sequence.length);
    at = put(at, writer->tail.data, writer->tail.length);
    event->length = (size_t)(at - event->data);
    return TUMBLE_OK;
}

static enum tumble_code write_window(struct tw_buf *event, const struct tumble_function_request *request) {
    char start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(request->window_start_ms, start);
    tumble_timestamp_text(request->window_end_ms, end);
    TW_TRY(tw_buf_append_text(event, ",\"shardId\":\""));
    TW_TRY(tw_buf_append(event, request->shard_id.data, request->shard_id.length));
    TW_TRY(tw_buf_append_text(event, "\",\"eventSourceARN\":\""));
    TW_TRY(tw_buf_append(event, request->event_source_arn.data, request->event_source_arn.length));
    TW_TRY(tw_buf_append_text(event, "\",\"window\":{\"start\":\""));
    TW_TRY(tw_buf_append_text(event, start));
    TW_TRY(tw_buf_append_text(event, "\",\"end\":\""));
    TW_TRY(tw_buf_append_text(event, end));
    TW_TRY(tw_buf_append_text(event, "\"},\"state\":"));
    TW_TRY(tw_buf_append(event, request->state.data, request->state.length));
    TW_TRY(tw_buf_append_text(event, ",\"isFinalInvokeForWindow\":"));
    TW_TRY(tw_buf_append_text(event, request->is_final ? "true" : "false"));
    TW_TRY(tw_buf_append_text(event, ",\"isWindowTerminatedEarly\":"));
    return tw_buf_append_text(event, request->is_terminated_early ? "true" : "false");
}

static enum tumble_code write_event(struct tumble_event_writer *writer, const struct tumble_function_request *request) {
    struct tw_buf *event = &writer->event;
    tw_buf_clear(event);
    TW_TRY(write_tail(writer, request->event_source_arn));
    TW_TRY(tw_buf_append_text(event, "{\"Records\":["));
    for (size_t i = 0; i < request->record_count; i++) {
        TW_TRY(write_record(writer, request->shard_id, &request->records[i]));
        if (i + 1 < request->record_count) {
            event->data[event->length++] = ','; /* write_record left room */
        }
    }
    TW_TRY(tw_buf_append_byte(event, ']'));
    if (request->has_window) {
        TW_TRY(write_window(event, request));
    }
    return tw_buf_append_byte(event, '}');
}

enum tumble_code tumble_event_write(struct tumble_event_writer *writer, const struct tumble_function_request *request,
                                    struct tumble_bytes *out, struct tumble_error *err) {
    enum tumble_code code = write_event(writer, request);
    if (code != TUMBLE_OK) {
        return code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, code, "an event is too large");
    }
    *out = tw_buf_view(&writer->event);
    return TUMBLE_OK;
}
