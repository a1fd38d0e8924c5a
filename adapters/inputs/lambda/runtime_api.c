#include "adapters/inputs/lambda/runtime_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tumble/invoke.h>

#include "adapters/aws/http.h"
#include "adapters/inputs/lambda/lambda_extension.h"
#include "engine/base/fail.h"

/* Answers are short; an event is the largest thing that comes. The connection is on loopback: who does not connect in
 * a second does not at all. */
enum { NEXT_TRIES = 3, TRY_AGAIN_MS = 20, CONNECT_MS = 1000, POST_MS = 60000, URL_BYTES = 768, DOCUMENT_BYTES = 65536 };

static const char version[] = "2018-06-01";

struct tw_runtime_api {
    struct tumble_alloc alloc;
    struct tw_http_client *client;
    struct tw_http_response event;
    struct tw_http_response answer;
    struct tw_buf document;
    char address[TW_RUNTIME_ID_BYTES];
};

/* ---- what comes from outside ---- */

static bool is_id_letter(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
}

/* Goes into a URL. */
static bool take_id(struct tumble_bytes value, char *out, size_t capacity) {
    bool ok = value.length > 0 && value.length < capacity;
    for (size_t i = 0; ok && i < value.length; i++) {
        ok = is_id_letter(value.data[i]);
    }
    if (ok) {
        memcpy(out, value.data, value.length);
        out[value.length] = '\0';
    }
    return ok;
}

/* Goes into a header or the environment; what cannot stand there counts as not given. */
static void take_text(const struct tw_http_response *response, const char *name, char *out, size_t capacity) {
    struct tumble_bytes value;
    out[0] = '\0';
    bool ok = tw_http_header(response, name, &value) && value.length < capacity;
    for (size_t i = 0; ok && i < value.length; i++) {
        ok = value.data[i] >= ' ' && value.data[i] <= '~';
    }
    if (ok && value.length > 0) {
        memcpy(out, value.data, value.length);
        out[value.length] = '\0';
    }
}

static int64_t take_number(const struct tw_http_response *response, const char *name) {
    struct tumble_bytes value;
    int64_t number = 0;
    if (!tw_http_header(response, name, &value) || value.length < 1 || value.length > 18) {
        return -1;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return -1;
        }
        number = number * 10 + (value.data[i] - '0');
    }
    return number;
}

/* HOST:PORT, an address in brackets too. */
static bool is_address(const char *text) {
    size_t length = text ? strlen(text) : 0;
    const char *colon = text ? strrchr(text, ':') : NULL;
    if (length < 3 || length >= TW_RUNTIME_ID_BYTES || !colon || colon == text) {
        return false;
    }
    for (const char *at = text; at < colon; at++) {
        if (!is_id_letter(*at) && *at != ':' && *at != '[' && *at != ']') {
            return false;
        }
    }
    size_t digits = strlen(colon + 1);
    return digits >= 1 && digits <= 5 && strspn(colon + 1, "0123456789") == digits;
}

/* ---- open and close ---- */

enum tumble_code tw_runtime_api_open(const char *address, struct tumble_alloc alloc, struct tw_runtime_api **out,
                                     struct tumble_error *err) {
    *out = NULL;
    if (!is_address(address)) {
        return tw_fail(
            err, TUMBLE_EUSAGE,
            "AWS_LAMBDA_RUNTIME_API %s%.100s%s: Lambda sets it for the process that it starts as bootstrap; to "
            "try an event by hand use `tumble invoke`",
            address && *address ? "holds \"" : "is not set", address ? address : "",
            address && *address ? "\", not HOST:PORT" : "");
    }
    alloc = tw_alloc_or_default(alloc);
    struct tw_runtime_api *api = tw_alloc_zero(&alloc, sizeof *api);
    if (!api) {
        return tw_no_memory(err);
    }
    api->alloc = alloc;
    memcpy(api->address, address, strlen(address) + 1);
    tw_http_response_init(&api->event, alloc, TUMBLE_EVENT_LIMIT);
    tw_http_response_init(&api->answer, alloc, DOCUMENT_BYTES);
    tw_buf_init(&api->document, alloc, DOCUMENT_BYTES);
    struct tw_http_options options = {.alloc = alloc};
    enum tumble_code code = tw_http_open(&options, &api->client, err);
    if (code != TUMBLE_OK) {
        tw_runtime_api_close(api);
        return code;
    }
    *out = api;
    return TUMBLE_OK;
}

void tw_runtime_api_close(struct tw_runtime_api *api) {
    if (api) {
        struct tumble_alloc alloc = api->alloc;
        tw_http_destroy(api->client);
        tw_http_response_clean_up(&api->event);
        tw_http_response_clean_up(&api->answer);
        tw_buf_clean_up(&api->document);
        tw_free(&alloc, api);
    }
}

/* ---- next ---- */

static enum tumble_code read_invocation(const struct tw_http_response *response, struct tw_runtime_invocation *out,
                                        struct tumble_error *err) {
    struct tumble_bytes id;
    if (!tw_http_header(response, "lambda-runtime-aws-request-id", &id) ||
        !take_id(id, out->request_id, sizeof out->request_id)) {
        return tw_fail(err, TUMBLE_EINPUT, "the Runtime API gave an event without a usable request id");
    }
    take_text(response, "lambda-runtime-invocation-id", out->invocation_id, sizeof out->invocation_id);
    take_text(response, "lambda-runtime-invoked-function-arn", out->function_arn, sizeof out->function_arn);
    take_text(response, "lambda-runtime-trace-id", out->trace_id, sizeof out->trace_id);
    out->deadline_ms = take_number(response, "lambda-runtime-deadline-ms");
    return TUMBLE_OK;
}

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

enum tumble_code tw_runtime_api_next(struct tw_runtime_api *api, struct tw_runtime_invocation *out,
                                     struct tumble_error *err) {
    char url[URL_BYTES];
    memset(out, 0, sizeof *out);
    out->deadline_ms = -1;
    snprintf(url, sizeof url, "http://%s/%s/runtime/invocation/next", api->address, version);
    struct tw_http_request request = {.method = "GET", .url = url, .connect_timeout_ms = CONNECT_MS};
    enum tumble_code code = TUMBLE_EINPUT;
    for (int try = 0; try < NEXT_TRIES; try++) {
        if (try > 0) {
            pause_ms(TRY_AGAIN_MS * try);
        }
        code = tw_http_send(api->client, &request, &api->event, err);
        bool again = api->event.failure == TW_HTTP_UNREACHABLE || api->event.failure == TW_HTTP_BROKEN;
        if (code == TUMBLE_OK || !again) {
            break;
        }
    }
    if (code == TUMBLE_ELIMIT && api->event.status == 200) {
        TW_TRY(read_invocation(&api->event, out, err));
        return tw_fail(err, TUMBLE_ELIMIT, "the event has more than %u bytes, Lambda's limit", TUMBLE_EVENT_LIMIT);
    }
    if (code == TUMBLE_ENOMEM) {
        return code;
    }
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "Runtime API: next");
        if (err) {
            err->code = TUMBLE_EINPUT;
        }
        return TUMBLE_EINPUT;
    }
    if (api->event.status != 200) {
        return tw_fail(err, TUMBLE_EINPUT, "Runtime API: next was answered with status %d", api->event.status);
    }
    TW_TRY(read_invocation(&api->event, out, err));
    out->event = tw_buf_view(&api->event.body);
    return TUMBLE_OK;
}

/* ---- response and error ---- */

static enum tumble_code post(struct tw_runtime_api *api, const char *url, const struct tw_http_header *headers,
                             size_t count, struct tumble_bytes body, enum tw_runtime_answer *answer,
                             struct tumble_error *err) {
    if (!body.data) {
        body = tumble_bytes_of("");
    }
    struct tw_http_request request = {.method = "POST",
                                      .url = url,
                                      .headers = headers,
                                      .header_count = count,
                                      .body = body,
                                      .connect_timeout_ms = CONNECT_MS,
                                      .timeout_ms = POST_MS};
    enum tumble_code code = tw_http_send(api->client, &request, &api->answer, err);
    int status = api->answer.status;
    if (code == TUMBLE_ENOMEM) {
        return code;
    }
    if (code != TUMBLE_OK && code != TUMBLE_ELIMIT) {
        tw_error_prefix(err, "Runtime API");
        if (err) {
            err->code = TUMBLE_EINPUT;
        }
        return TUMBLE_EINPUT;
    }
    if (status >= 200 && status < 300) {
        *answer = TW_RUNTIME_ACCEPTED;
    } else if (status == 413) {
        *answer = TW_RUNTIME_TOO_LARGE;
    } else if (status == 400 || status == 403) {
        *answer = TW_RUNTIME_REFUSED;
    } else { /* 500 is a container error: the process has to end promptly; what else comes is no Runtime API */
        return tw_fail(err, TUMBLE_EINPUT, "Runtime API: a post was answered with status %d", status);
    }
    return TUMBLE_OK;
}

static const struct tw_http_header json_type = {"Content-Type", "application/json"};

/* Point 50: the invocation id goes back when it was given, and only then. */
static size_t echo(const struct tw_runtime_invocation *invocation, struct tw_http_header *headers, size_t count) {
    if (invocation->invocation_id[0]) {
        headers[count++] = (struct tw_http_header){"Lambda-Runtime-Invocation-Id", invocation->invocation_id};
    }
    return count;
}

enum tumble_code tw_runtime_api_respond(struct tw_runtime_api *api, const struct tw_runtime_invocation *invocation,
                                        struct tumble_bytes response, enum tw_runtime_answer *answer,
                                        struct tumble_error *err) {
    char url[URL_BYTES];
    struct tw_http_header headers[2] = {json_type};
    if (response.length > TUMBLE_EVENT_LIMIT) { /* would be refused after it was sent */
        *answer = TW_RUNTIME_TOO_LARGE;
        return TUMBLE_OK;
    }
    snprintf(url, sizeof url, "http://%s/%s/runtime/invocation/%s/response", api->address, version,
             invocation->request_id);
    return post(api, url, headers, echo(invocation, headers, 1), response, answer, err);
}

/* "Tumble.BadRecord" as "Function.BadRecord": letters, digits and dots only. */
static void type_header(const char *category, const char *type, char out[TW_RUNTIME_ID_BYTES]) {
    const char *dot = type ? strchr(type, '.') : NULL;
    const char *reason = dot ? dot + 1 : type ? type : "";
    int length = snprintf(out, TW_RUNTIME_ID_BYTES, "%s.", category);
    size_t at = (size_t)length;
    for (; *reason && at + 1 < TW_RUNTIME_ID_BYTES; reason++) {
        if (is_id_letter(*reason)) {
            out[at++] = *reason;
        }
    }
    out[at] = '\0';
    if (at == (size_t)length) {
        snprintf(out, TW_RUNTIME_ID_BYTES, "%s.Unknown", category);
    }
}

static enum tumble_code post_error(struct tw_runtime_api *api, const char *url, const char *category, const char *type,
                                   const struct tw_runtime_invocation *invocation, struct tumble_bytes document,
                                   enum tw_runtime_answer *answer, struct tumble_error *err) {
    char kind[TW_RUNTIME_ID_BYTES];
    type_header(category, type, kind);
    struct tw_http_header headers[3] = {json_type, {"Lambda-Runtime-Function-Error-Type", kind}};
    return post(api, url, headers, invocation ? echo(invocation, headers, 2) : 2, document, answer, err);
}

enum tumble_code tw_runtime_api_fail(struct tw_runtime_api *api, const struct tw_runtime_invocation *invocation,
                                     const char *type, struct tumble_bytes document, enum tw_runtime_answer *answer,
                                     struct tumble_error *err) {
    char url[URL_BYTES];
    snprintf(url, sizeof url, "http://%s/%s/runtime/invocation/%s/error", api->address, version,
             invocation->request_id);
    return post_error(api, url, "Function", type, invocation, document, answer, err);
}

enum tumble_code tw_runtime_api_fail_init(struct tw_runtime_api *api, const char *type, struct tumble_bytes document,
                                          enum tw_runtime_answer *answer, struct tumble_error *err) {
    char url[URL_BYTES];
    snprintf(url, sizeof url, "http://%s/%s/runtime/init/error", api->address, version);
    return post_error(api, url, "Runtime", type, NULL, document, answer, err);
}

/* ---- error documents ---- */

/* Error texts are UTF-8 already unless somebody else's bytes came in: then anything beyond ASCII goes. */
static enum tumble_code put_text(struct tw_buf *out, const char *text) {
    char plain[TUMBLE_ERROR_TEXT * 2];
    size_t length = 0;
    for (; *text && length < sizeof plain; text++) {
        plain[length++] = (unsigned char)*text < 0x80 ? *text : '?';
    }
    struct tumble_bytes view = {plain, length};
    return tw_buf_append_json_string(out, view);
}

static enum tumble_code put_document(struct tw_buf *out, const char *type, const char *message) {
    TW_TRY(tw_buf_append_text(out, "{\"errorMessage\":"));
    TW_TRY(put_text(out, message));
    TW_TRY(tw_buf_append_text(out, ",\"errorType\":"));
    TW_TRY(put_text(out, type));
    return tw_buf_append_text(out, ",\"stackTrace\":[]}");
}

struct tumble_bytes tw_runtime_api_document(struct tw_runtime_api *api, const char *type, const char *message) {
    tw_buf_clear(&api->document);
    if (put_document(&api->document, type, message) != TUMBLE_OK) {
        return tumble_bytes_of(
            "{\"errorMessage\":\"out of memory\",\"errorType\":\"Tumble.OutOfMemory\",\"stackTrace\":[]}");
    }
    return tw_buf_view(&api->document);
}

enum tumble_code tw_runtime_api_register_extension(struct tw_runtime_api *api, const char *name,
                                                   struct tumble_error *err) {
    return tw_lambda_extension_start(api->client, &api->answer, api->address, name, api->alloc, err);
}
