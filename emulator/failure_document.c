#include <stdio.h>

#include <tumble/timestamp.h>

#include "engine/base/fail.h"

#include "emulator/mapping_internal.h"
#include "emulator/seeded.h"

/* What AWS writes to an on-failure destination (lambda-semantics 4.8, 3.8). A bucket gets the whole event besides, as
 * an escaped string between version and timestamp. */

static bool is_bucket(const char *destination) {
    return strncmp(destination, "s3://", 5) == 0 ||
           (strncmp(destination, "arn:", 4) == 0 && strstr(destination, ":s3:") != NULL);
}

static enum tumble_code add(struct tw_buf *out, const char *before, const char *text, const char *behind) {
    TW_TRY(tw_buf_append_text(out, before));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(text)));
    return tw_buf_append_text(out, behind);
}

static enum tumble_code add_bytes(struct tw_buf *out, const char *before, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_text(out, before));
    return tw_buf_append_json_string(out, text);
}

static enum tumble_code add_number(struct tw_buf *out, const char *before, uint64_t number) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    TW_TRY(tw_buf_append_text(out, before));
    return tw_buf_append_text(out, digits);
}

static enum tumble_code add_time(struct tw_buf *out, const char *before, int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text_ms(ms < 0 ? 0 : ms, text);
    return add(out, before, text, "");
}

static enum tumble_code add_batch(struct tumble_mapping *mapping, const struct tumble_failure *failure) {
    struct tw_buf *out = &mapping->document;
    TW_TRY(add(out, ",\"KinesisBatchInfo\":{\"shardId\":", mapping->stream.shards[failure->shard].id, ""));
    if (failure->record_count) { /* a final has none (point 20) */
        const struct tumble_stream_record *first = failure->records;
        const struct tumble_stream_record *last = first + failure->record_count - 1;
        TW_TRY(add_bytes(out, ",\"startSequenceNumber\":", first->sequence));
        TW_TRY(add_bytes(out, ",\"endSequenceNumber\":", last->sequence));
        TW_TRY(add_time(out, ",\"approximateArrivalOfFirstRecord\":", first->arrival_ms));
        TW_TRY(add_time(out, ",\"approximateArrivalOfLastRecord\":", last->arrival_ms));
        TW_TRY(add_number(out, ",\"batchSize\":", failure->record_count));
    }
    TW_TRY(add_bytes(out, ",\"streamArn\":", mapping->event_source_arn));
    return tw_buf_append_byte(out, '}');
}

static enum tumble_code add_window(struct tw_buf *out, const struct tumble_failure *failure) {
    char start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(failure->window_start_ms, start);
    tumble_timestamp_text(failure->window_end_ms, end);
    TW_TRY(add(out, ",\"timeWindowInfo\":{\"window\":{\"start\":", start, ""));
    TW_TRY(add(out, ",\"end\":", end, "}"));
    TW_TRY(tw_buf_append_text(out, ",\"isFinalInvokeForWindow\":"));
    TW_TRY(tw_buf_append_text(out, failure->is_final ? "true" : "false"));
    TW_TRY(tw_buf_append_text(out, ",\"isWindowTerminatedEarly\":"));
    return tw_buf_append_text(out, failure->is_terminated_early ? "true}" : "false}");
}

/* The event that would have been delivered; for its records alone, what stands in its list. */
static enum tumble_code write_event(struct tumble_mapping *mapping, const struct tumble_failure *failure,
                                    struct tumble_bytes *out) {
    struct tumble_function_request request = {
        .shard_id = tumble_bytes_of(mapping->stream.shards[failure->shard].id),
        .event_source_arn = mapping->event_source_arn,
        .records = failure->records,
        .record_count = failure->record_count,
        .has_window = failure->has_window,
        .window_start_ms = failure->window_start_ms,
        .window_end_ms = failure->window_end_ms,
        .state = failure->state,
        .is_final = failure->is_final,
        .is_terminated_early = failure->is_terminated_early,
    };
    return tumble_event_write(mapping->writer, &request, out, NULL);
}

static enum tumble_code add_records(struct tumble_mapping *mapping, const struct tumble_failure *failure) {
    static const char before[] = "{\"Records\":";
    struct tumble_failure plain = *failure;
    struct tumble_bytes event;
    plain.has_window = 0;
    TW_TRY(write_event(mapping, &plain, &event));
    TW_TRY(tw_buf_append_text(&mapping->document, ",\"records\":"));
    return tw_buf_append(&mapping->document, event.data + sizeof before - 1, event.length - sizeof before);
}

static enum tumble_code write_document(struct tumble_mapping *mapping, const struct tw_failure_facts *facts,
                                       const struct tumble_failure *failure) {
    struct tw_buf *out = &mapping->document;
    tw_buf_clear(out);
    TW_TRY(add(out, "{\"requestContext\":{\"requestId\":", failure->request_id, ""));
    TW_TRY(add(out, ",\"functionArn\":", mapping->function_arn, ""));
    TW_TRY(add(out, ",\"condition\":",
               failure->condition == TUMBLE_RECORD_AGE_EXCEEDED ? "RecordAgeExceeded" : "RetryAttemptsExhausted", ""));
    TW_TRY(add_number(out, ",\"approximateInvokeCount\":", facts->invoke_count));
    if (facts->has_context) { /* point 34 */
        TW_TRY(add(out, "},\"responseContext\":{\"statusCode\":200,\"executedVersion\":",
                   mapping->options.executed_version, ",\"functionError\":"));
        TW_TRY(facts->function_error ? add(out, "", facts->function_error, "") : tw_buf_append_text(out, "null"));
    }
    TW_TRY(tw_buf_append_text(out, "},\"version\":\"1.0\""));
    if (failure->s3_key) {
        struct tumble_bytes event;
        TW_TRY(write_event(mapping, failure, &event));
        TW_TRY(add_bytes(out, ",\"payload\":", event));
    }
    TW_TRY(add_time(out, ",\"timestamp\":", failure->at_ms));
    TW_TRY(add_batch(mapping, failure));
    if (failure->has_window) {
        TW_TRY(add_window(out, failure));
    }
    if (mapping->options.failures_with_records) {
        TW_TRY(add_records(mapping, failure));
    }
    return tw_buf_append_byte(out, '}');
}

/* aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<UUID> */
static void write_key(struct tumble_mapping *mapping, const struct tumble_failure *failure, char key[TW_S3_KEY_TEXT]) {
    char instant[TUMBLE_TIMESTAMP_TEXT], id[TUMBLE_REQUEST_ID_TEXT];
    tumble_timestamp_text(failure->at_ms < 0 ? 0 : failure->at_ms, instant);
    tw_seeded_uuid(&mapping->random, id);
    for (char *at = instant; *at; at++) {
        *at = *at == ':' ? '.' : *at;
    }
    snprintf(key, TW_S3_KEY_TEXT, "aws/lambda/%s/%s/%.4s/%.2s/%.2s/%.19s-%s", mapping->uuid,
             mapping->stream.shards[failure->shard].id, instant, instant + 5, instant + 8, instant, id);
}

enum tumble_code tw_failure_document(struct tumble_mapping *mapping, const struct tw_failure_facts *facts,
                                     struct tumble_failure *failure, char key[TW_S3_KEY_TEXT],
                                     struct tumble_error *err) {
    if (is_bucket(mapping->parameters->on_failure)) {
        write_key(mapping, failure, key);
        failure->s3_key = key;
    }
    enum tumble_code code = write_document(mapping, facts, failure);
    if (code != TUMBLE_OK) {
        return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                     : tw_fail(err, code, "the document for the on-failure destination is too large");
    }
    failure->document = tw_buf_view(&mapping->document);
    return TUMBLE_OK;
}
