#include "adapters/aws/sqs_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/digest.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/json.h"
#include "engine/codec/md5.h"

enum { REQUEST_BYTES = 8 * 1024 * 1024 }; /* 1 MiB of characters, each of which JSON may write as six */

static enum tumble_code call_sqs(struct tw_aws_client *client, const char *target, struct tumble_bytes request,
                                 int64_t deadline_ms, struct tumble_value *response, struct tw_aws_answer *answer,
                                 struct tumble_error *err) {
    struct tw_aws_call call = {
        .target = target, .content_type = "application/x-amz-json-1.0", .body = request, .deadline_ms = deadline_ms};
    TW_TRY(tw_aws_call(client, &call, answer, err));
    if (tw_json_document(answer->body, TUMBLE_TYPE_OBJECT, response, NULL) != TUMBLE_OK) {
        answer->may_have_been_done = true;
        answer->kind = TW_AWS_TRANSIENT;
        return tw_fail(err, TUMBLE_EOUTPUT, "sqs: the answer is no JSON object");
    }
    return TUMBLE_OK;
}

static enum tumble_code cannot_write(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, TUMBLE_ELIMIT, "sqs: the request is too large");
}

/* ,"name":"text" */
static enum tumble_code append_member(struct tw_buf *out, const char *name, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_text(out, ",\""));
    TW_TRY(tw_buf_append_text(out, name));
    TW_TRY(tw_buf_append_text(out, "\":"));
    return tw_buf_append_json_string(out, text);
}

enum tumble_code tw_sqs_queue_url(struct tw_aws_client *client, const char *name, int64_t deadline_ms,
                                  char url[TW_SQS_URL], struct tw_aws_answer *answer, struct tumble_error *err) {
    memset(answer, 0, sizeof *answer);
    url[0] = '\0';
    if (strlen(name) >= TW_SQS_URL || !tw_utf8_valid(tumble_bytes_of(name))) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%.80s\" is no name or URL of an SQS queue", name);
    }
    if (strncasecmp(name, "http://", 7) == 0 || strncasecmp(name, "https://", 8) == 0) {
        memcpy(url, name, strlen(name) + 1);
        return TUMBLE_OK;
    }
    struct tw_buf request;
    struct tumble_value response;
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    enum tumble_code code = tw_buf_append_text(&request, "{\"QueueName\":");
    if (code == TUMBLE_OK) {
        code = tw_buf_append_json_string(&request, tumble_bytes_of(name));
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&request, '}');
    }
    code = code == TUMBLE_OK
               ? call_sqs(client, "AmazonSQS.GetQueueUrl", tw_buf_view(&request), deadline_ms, &response, answer, err)
               : cannot_write(code, err);
    tw_buf_clean_up(&request);
    if (code == TUMBLE_OK && (!tw_json_member_text(&response, "QueueUrl", url, TW_SQS_URL) || !*url)) {
        code = tw_fail(err, TUMBLE_EOUTPUT, "sqs GetQueueUrl: the answer for \"%.80s\" has no URL", name);
    }
    return code;
}

static enum tumble_code append_attributes(struct tw_buf *out, const struct tw_sqs_message *message) {
    TW_TRY(tw_buf_append_text(out, ",\"MessageAttributes\":{"));
    for (size_t i = 0; i < message->attribute_count; i++) {
        if (i) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(message->attributes[i].name)));
        TW_TRY(tw_buf_append_text(out, ":{\"DataType\":\"String\""));
        TW_TRY(append_member(out, "StringValue", message->attributes[i].value));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return tw_buf_append_byte(out, '}');
}

/* Its place in the batch is an entry's Id. */
static enum tumble_code append_entry(struct tw_buf *out, const struct tw_sqs_message *message, size_t place) {
    char id[24];
    snprintf(id, sizeof id, "%s{\"Id\":\"%zu\"", place ? "," : "", place);
    TW_TRY(tw_buf_append_text(out, id));
    TW_TRY(append_member(out, "MessageBody", message->body));
    if (message->group_id) {
        TW_TRY(append_member(out, "MessageGroupId", tumble_bytes_of(message->group_id)));
    }
    if (message->deduplication_id) {
        TW_TRY(append_member(out, "MessageDeduplicationId", tumble_bytes_of(message->deduplication_id)));
    }
    if (message->attribute_count) {
        TW_TRY(append_attributes(out, message));
    }
    return tw_buf_append_byte(out, '}');
}

static enum tumble_code write_batch(struct tw_buf *out, const char *queue_url, const struct tw_sqs_message *messages,
                                    size_t count) {
    TW_TRY(tw_buf_append_text(out, "{\"QueueUrl\":"));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(queue_url)));
    TW_TRY(tw_buf_append_text(out, ",\"Entries\":["));
    for (size_t i = 0; i < count; i++) {
        TW_TRY(append_entry(out, &messages[i], i));
    }
    return tw_buf_append_text(out, "]}");
}

/* The entry's place in the batch, SIZE_MAX: it names none. */
static size_t place_of(const struct tumble_value *entry, size_t count) {
    char id[24];
    char *end;
    if (!tw_json_member_text(entry, "Id", id, sizeof id) || !*id) {
        return SIZE_MAX;
    }
    unsigned long place = strtoul(id, &end, 10);
    return *end || place >= count ? SIZE_MAX : (size_t)place;
}

static void take_sent(const struct tumble_value *entry, const struct tw_sqs_message *messages, size_t count,
                      struct tw_sqs_result *results) {
    char theirs[40];
    char ours[33];
    uint8_t digest[16];
    size_t place = place_of(entry, count);
    if (place == SIZE_MAX) {
        return;
    }
    struct tw_sqs_result *result = &results[place];
    tw_json_member_text(entry, "MessageId", result->message_id, sizeof result->message_id);
    tw_md5(messages[place].body.data, messages[place].body.length, digest);
    tw_hex(digest, sizeof digest, ours);
    if (tw_json_member_text(entry, "MD5OfMessageBody", theirs, sizeof theirs) && strcasecmp(theirs, ours) != 0) {
        tw_copy_cut(tumble_bytes_of("MD5Mismatch"), result->code, sizeof result->code);
        tw_copy_cut(tumble_bytes_of("the queue holds another body than was sent"), result->message,
                    sizeof result->message);
        return;
    }
    result->sent = true;
    result->again = false;
    result->code[0] = '\0';
}

static void take_failed(const struct tumble_value *entry, size_t count, struct tw_sqs_result *results) {
    struct tumble_value fault;
    size_t place = place_of(entry, count);
    if (place == SIZE_MAX) {
        return;
    }
    struct tw_sqs_result *result = &results[place];
    tw_json_member_text(entry, "Code", result->code, sizeof result->code);
    tw_json_member_text(entry, "Message", result->message, sizeof result->message);
    bool senders = tw_json_member(entry, "SenderFault", &fault) && fault.type == TUMBLE_TYPE_TRUE;
    enum tw_aws_kind kind = tw_aws_classify(200, TW_HTTP_NONE, result->code);
    result->again = !senders || kind == TW_AWS_TRANSIENT || kind == TW_AWS_THROTTLED;
}

enum tumble_code tw_sqs_send_batch(struct tw_aws_client *client, const char *queue_url,
                                   const struct tw_sqs_message *messages, size_t count, int64_t deadline_ms,
                                   struct tw_sqs_result *results, struct tw_aws_answer *answer,
                                   struct tumble_error *err) {
    struct tumble_value response;
    struct tumble_value list;
    struct tumble_value key;
    struct tumble_value entry;
    struct tw_json_walk walk;
    struct tw_buf request;
    memset(answer, 0, sizeof *answer);
    if (count == 0 || count > TW_SQS_BATCH) {
        return tw_fail(err, TUMBLE_EINVAL, "sqs: a batch has 1 to %d messages", TW_SQS_BATCH);
    }
    for (size_t i = 0; i < count; i++) {
        memset(&results[i], 0, sizeof results[i]);
        results[i].again = true; /* unless the answer says otherwise */
    }
    tw_buf_init(&request, tw_alloc_default(), REQUEST_BYTES);
    enum tumble_code code = write_batch(&request, queue_url, messages, count);
    code = code == TUMBLE_OK ? call_sqs(client, "AmazonSQS.SendMessageBatch", tw_buf_view(&request), deadline_ms,
                                        &response, answer, err)
                             : cannot_write(code, err);
    tw_buf_clean_up(&request);
    if (code != TUMBLE_OK) {
        return code;
    }
    if (tw_json_member(&response, "Successful", &list) && list.type == TUMBLE_TYPE_ARRAY) {
        tw_json_walk_begin(&walk, &list);
        while (tw_json_walk_next(&walk, &key, &entry)) {
            take_sent(&entry, messages, count, results);
        }
    }
    if (tw_json_member(&response, "Failed", &list) && list.type == TUMBLE_TYPE_ARRAY) {
        tw_json_walk_begin(&walk, &list);
        while (tw_json_walk_next(&walk, &key, &entry)) {
            take_failed(&entry, count, results);
        }
    }
    return TUMBLE_OK;
}

bool tw_sqs_characters_allowed(struct tumble_bytes text) {
    if (!tw_utf8_valid(text)) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < ' ' && c != '\t' && c != '\n' && c != '\r') {
            return false;
        }
        /* U+FFFE and U+FFFF are EF BF BE and EF BF BF */
        if (c == 0xef && i + 2 < text.length && (unsigned char)text.data[i + 1] == 0xbf &&
            (unsigned char)text.data[i + 2] >= 0xbe) {
            return false;
        }
    }
    return true;
}

size_t tw_sqs_message_bytes(const struct tw_sqs_message *message) {
    size_t bytes = message->body.length;
    for (size_t i = 0; i < message->attribute_count; i++) {
        bytes += strlen(message->attributes[i].name) + strlen("String") + message->attributes[i].value.length;
    }
    return bytes;
}
