#include "adapters/aws/kinesis_calls.h"

#include <inttypes.h>
#include <stdio.h>

#include <tumble/timestamp.h>

#include "adapters/aws/aws_text.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

enum { REQUEST_BYTES = 64 * 1024, PAGE_SHARDS = 1000, RETENTION_HOURS = 24 };

static enum tumble_code send(struct tw_aws_client *client, const char *operation, struct tw_buf *request,
                             enum tumble_code written, const struct tw_aws_call *how, struct tw_aws_answer *answer,
                             struct tumble_error *err) {
    char target[80];
    memset(answer, 0, sizeof *answer);
    if (written != TUMBLE_OK) {
        tw_buf_clean_up(request);
        return written == TUMBLE_ENOMEM ? tw_no_memory(err)
                                        : tw_fail(err, TUMBLE_ELIMIT, "kinesis: the request is too large");
    }
    snprintf(target, sizeof target, "Kinesis_20131202.%.40s", operation);
    struct tw_aws_call call = *how;
    call.target = target;
    call.content_type = "application/x-amz-json-1.1";
    call.body = tw_buf_view(request);
    enum tumble_code code = tw_aws_call(client, &call, answer, err);
    tw_buf_clean_up(request);
    return code;
}

static enum tumble_code odd_answer(const char *operation, const char *what, struct tw_aws_answer *answer,
                                   struct tumble_error *err) {
    answer->kind = TW_AWS_TRANSIENT;
    return tw_fail(err, TUMBLE_EOUTPUT, "kinesis %s: the answer %s", operation, what);
}

static enum tumble_code read_object(const char *operation, struct tumble_value *object, struct tw_aws_answer *answer,
                                    struct tumble_error *err) {
    return tw_json_document(answer->body, TUMBLE_TYPE_OBJECT, object, NULL) == TUMBLE_OK
               ? TUMBLE_OK
               : odd_answer(operation, "is no JSON object", answer, err);
}

static enum tumble_code append_member(struct tw_buf *out, const char *name, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_byte(out, out->length ? ',' : '{'));
    TW_TRY(tw_buf_append_byte(out, '"'));
    TW_TRY(tw_buf_append_text(out, name));
    TW_TRY(tw_buf_append_text(out, "\":"));
    return tw_buf_append_json_string(out, text);
}

static enum tumble_code append_stream(struct tw_buf *out, const struct tw_kinesis_stream *stream) {
    return stream->arn ? append_member(out, "StreamARN", tumble_bytes_of(stream->arn))
                       : append_member(out, "StreamName", tumble_bytes_of(stream->name));
}

static int64_t member_integer(const struct tumble_value *object, const char *name, int64_t otherwise) {
    struct tumble_value value;
    int64_t number;
    return tw_json_member(object, name, &value) && value.type == TUMBLE_TYPE_NUMBER && tw_json_integer(&value, &number)
               ? number
               : otherwise;
}

static int64_t member_seconds(const struct tumble_value *object, const char *name) {
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    struct tumble_value value;
    int64_t ms;
    return tw_json_member(object, name, &value) && value.type == TUMBLE_TYPE_NUMBER &&
                   tumble_timestamp_ms(&seconds, &value, &ms, NULL) == TUMBLE_OK
               ? ms
               : -1;
}

static enum tumble_code write_describe(struct tw_buf *out, const struct tw_kinesis_stream *stream) {
    TW_TRY(append_stream(out, stream));
    return tw_buf_append_byte(out, '}');
}

enum tumble_code tw_kinesis_describe(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                     int64_t deadline_ms, struct tw_kinesis_summary *out, struct tw_aws_answer *answer,
                                     struct tumble_error *err) {
    static const char operation[] = "DescribeStreamSummary";
    struct tw_buf request;
    struct tumble_value object;
    struct tumble_value summary;
    memset(out, 0, sizeof *out);
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    struct tw_aws_call how = {.deadline_ms = deadline_ms};
    TW_TRY(send(client, operation, &request, write_describe(&request, stream), &how, answer, err));
    TW_TRY(read_object(operation, &object, answer, err));
    if (!tw_json_member(&object, "StreamDescriptionSummary", &summary) || summary.type != TUMBLE_TYPE_OBJECT ||
        !tw_json_member_text(&summary, "StreamARN", out->arn, sizeof out->arn) || !out->arn[0] ||
        !tw_json_member_text(&summary, "StreamStatus", out->status, sizeof out->status) || !out->status[0]) {
        return odd_answer(operation, "has no StreamARN and StreamStatus", answer, err);
    }
    tw_json_member_text(&summary, "StreamName", out->name, sizeof out->name);
    tw_json_member_text(&summary, "EncryptionType", out->encryption, sizeof out->encryption);
    out->retention_hours = member_integer(&summary, "RetentionPeriodHours", RETENTION_HOURS);
    if (out->retention_hours < 0 || out->retention_hours > INT32_MAX) {
        out->retention_hours = RETENTION_HOURS;
    }
    out->open_shards = member_integer(&summary, "OpenShardCount", -1);
    out->created_ms = member_seconds(&summary, "StreamCreationTimestamp");
    return TUMBLE_OK;
}

/* A token names its stream by itself; with both, Kinesis refuses. */
static enum tumble_code write_list(struct tw_buf *out, const struct tw_kinesis_stream *stream,
                                   struct tumble_bytes next_token) {
    char rest[40];
    TW_TRY(next_token.length ? append_member(out, "NextToken", next_token) : append_stream(out, stream));
    snprintf(rest, sizeof rest, ",\"MaxResults\":%d}", PAGE_SHARDS);
    return tw_buf_append_text(out, rest);
}

enum tumble_code tw_kinesis_list_shards(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                        struct tumble_bytes next_token, int64_t deadline_ms,
                                        struct tumble_value *shards, struct tumble_value *next,
                                        struct tw_aws_answer *answer, struct tumble_error *err) {
    static const char operation[] = "ListShards";
    struct tw_buf request;
    struct tumble_value object;
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    struct tw_aws_call how = {.deadline_ms = deadline_ms};
    TW_TRY(send(client, operation, &request, write_list(&request, stream, next_token), &how, answer, err));
    TW_TRY(read_object(operation, &object, answer, err));
    if (!tw_json_member(&object, "Shards", shards) || shards->type != TUMBLE_TYPE_ARRAY) {
        return odd_answer(operation, "has no Shards", answer, err);
    }
    if (!tw_json_member(&object, "NextToken", next) || next->type != TUMBLE_TYPE_STRING || next->length == 0) {
        memset(next, 0, sizeof *next);
    }
    return TUMBLE_OK;
}

static enum tumble_code write_iterator(struct tw_buf *out, const struct tw_kinesis_stream *stream,
                                       const struct tw_kinesis_iterator *from) {
    TW_TRY(append_stream(out, stream));
    TW_TRY(append_member(out, "ShardId", tumble_bytes_of(from->shard_id)));
    TW_TRY(append_member(out, "ShardIteratorType", tumble_bytes_of(from->type)));
    if (from->sequence.length) {
        TW_TRY(append_member(out, "StartingSequenceNumber", from->sequence));
    }
    if (from->timestamp_ms >= 0) {
        char text[48];
        snprintf(text, sizeof text, ",\"Timestamp\":%" PRId64 ".%03d", from->timestamp_ms / 1000,
                 (int)(from->timestamp_ms % 1000));
        TW_TRY(tw_buf_append_text(out, text));
    }
    return tw_buf_append_byte(out, '}');
}

enum tumble_code tw_kinesis_get_iterator(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                         const struct tw_kinesis_iterator *from, bool once, int64_t deadline_ms,
                                         struct tw_buf *iterator, struct tw_aws_answer *answer,
                                         struct tumble_error *err) {
    static const char operation[] = "GetShardIterator";
    struct tw_buf request;
    struct tumble_value object;
    struct tumble_value value;
    tw_buf_clear(iterator);
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    struct tw_aws_call how = {.deadline_ms = deadline_ms, .once = once};
    TW_TRY(send(client, operation, &request, write_iterator(&request, stream, from), &how, answer, err));
    TW_TRY(read_object(operation, &object, answer, err));
    if (!tw_json_member(&object, "ShardIterator", &value) || value.type != TUMBLE_TYPE_STRING || value.length == 0) {
        return odd_answer(operation, "has no ShardIterator", answer, err);
    }
    enum tumble_code code = tw_json_unescape(&value, iterator);
    if (code != TUMBLE_OK) {
        tw_buf_clear(iterator);
        return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                     : odd_answer(operation, "has a ShardIterator longer than any", answer, err);
    }
    return TUMBLE_OK;
}

static enum tumble_code write_get(struct tw_buf *out, const struct tw_kinesis_stream *stream,
                                  struct tumble_bytes iterator, int limit) {
    char rest[32];
    TW_TRY(append_member(out, "ShardIterator", iterator));
    if (stream->arn) { /* by name the iterator is enough */
        TW_TRY(append_stream(out, stream));
    }
    snprintf(rest, sizeof rest, ",\"Limit\":%d}", limit);
    return tw_buf_append_text(out, rest);
}

enum tumble_code tw_kinesis_get_records(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                        struct tumble_bytes iterator, int limit, size_t max_response_bytes,
                                        int64_t deadline_ms, struct tumble_bytes *body, struct tw_aws_answer *answer,
                                        struct tumble_error *err) {
    struct tw_buf request;
    struct tw_aws_call how = {.deadline_ms = deadline_ms, .max_response_bytes = max_response_bytes, .once = true};
    memset(body, 0, sizeof *body);
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    TW_TRY(send(client, "GetRecords", &request, write_get(&request, stream, iterator, limit), &how, answer, err));
    *body = answer->body;
    return TUMBLE_OK;
}
