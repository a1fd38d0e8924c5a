#include "adapters/aws/aws_error.h"

#include "adapters/aws/aws_text.h"
#include "engine/codec/json.h"

/* "com.amazonaws.dynamodb.v20120810#Name", "Name:http://…", "Name;Sender" → "Name" */
static void keep_code(struct tumble_bytes text, struct tw_aws_answer *answer) {
    const char *hash = text.length ? memchr(text.data, '#', text.length) : NULL;
    if (hash) {
        text.length -= (size_t)(hash + 1 - text.data);
        text.data = hash + 1;
    }
    size_t length = 0;
    while (length < text.length && text.data[length] != ':' && text.data[length] != ';') {
        length++;
    }
    text.length = length;
    tw_copy_cut(text, answer->code, sizeof answer->code);
}

static void read_json(struct tumble_bytes body, struct tw_aws_answer *answer) {
    struct tumble_value object;
    char code[sizeof answer->code * 2];
    if (tw_json_document(body, TUMBLE_TYPE_OBJECT, &object, NULL) != TUMBLE_OK) {
        return;
    }
    if (tw_json_member_text(&object, "__type", code, sizeof code) ||
        tw_json_member_text(&object, "code", code, sizeof code)) {
        keep_code(tumble_bytes_of(code), answer);
    }
    if (!tw_json_member_text(&object, "message", answer->message, sizeof answer->message)) {
        tw_json_member_text(&object, "Message", answer->message, sizeof answer->message);
    }
}

static void read_xml(struct tumble_bytes body, struct tw_aws_answer *answer) {
    struct tumble_bytes text;
    if (tw_xml_find(body, "Code", &text)) {
        keep_code(text, answer);
    }
    if (tw_xml_find(body, "Message", &text)) {
        tw_copy_cut(text, answer->message, sizeof answer->message);
    }
    if (!answer->request_id[0] && tw_xml_find(body, "RequestId", &text)) {
        tw_copy_cut(text, answer->request_id, sizeof answer->request_id);
    }
}

static int64_t whole_number(struct tumble_bytes text) {
    int64_t value = 0;
    if (text.length == 0 || text.length > 12) {
        return -1;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static void read_headers(const struct tw_http_response *response, struct tw_aws_answer *answer) {
    struct tumble_bytes value;
    if (tw_http_header(response, "x-amzn-requestid", &value) || tw_http_header(response, "x-amz-request-id", &value)) {
        tw_copy_cut(value, answer->request_id, sizeof answer->request_id);
    }
    if (tw_http_header(response, "x-amz-retry-after", &value)) {
        answer->retry_after_ms = whole_number(value);
    } else if (tw_http_header(response, "retry-after", &value)) {
        int64_t seconds = whole_number(value); /* or a date, which AWS does not send */
        answer->retry_after_ms = seconds < 0 ? -1 : seconds * 1000;
    }
}

/* A HEAD has no body to say it, and a proxy none of AWS's. */
static const char *code_of_status(int status) {
    switch (status) {
    case 400: return "BadRequest";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "NotFound";
    case 405: return "MethodNotAllowed";
    case 409: return "Conflict";
    case 412: return "PreconditionFailed";
    case 413: return "RequestEntityTooLarge";
    case 416: return "InvalidRange";
    default: return "";
    }
}

void tw_aws_error_read(const struct tw_http_response *response, bool error_in_200, struct tw_aws_answer *answer) {
    struct tumble_bytes body = tw_buf_view(&response->body);
    struct tumble_bytes value;
    answer->code[0] = '\0';
    answer->message[0] = '\0';
    answer->request_id[0] = '\0';
    answer->retry_after_ms = -1;
    read_headers(response, answer);
    bool success = (response->status >= 200 && response->status < 300) || response->status == 304;
    if (success) {
        if (error_in_200 && tw_xml_find(body, "Error", &value)) {
            read_xml(value, answer);
            if (!answer->code[0]) {
                tw_copy_cut(tumble_bytes_of("InternalError"), answer->code, sizeof answer->code);
            }
        }
        return;
    }
    if (body.length && memchr(body.data, '<', body.length < 16 ? body.length : 16)) {
        read_xml(body, answer);
    } else if (body.length) {
        read_json(body, answer);
    }
    if (!answer->code[0] && tw_http_header(response, "x-amzn-errortype", &value)) {
        keep_code(value, answer);
    }
    if (tw_http_header(response, "x-amzn-query-error", &value)) {
        keep_code(value, answer);
    }
    if (!answer->code[0]) {
        tw_copy_cut(tumble_bytes_of(code_of_status(response->status)), answer->code, sizeof answer->code);
    }
}
