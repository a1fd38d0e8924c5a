#define _GNU_SOURCE /* memmem */

#include "adapters/aws/aws_client.h"

#include <stdio.h>
#include <strings.h>

#include "adapters/aws/aws_error.h"
#include "adapters/aws/aws_text.h"
#include "adapters/aws/credentials.h"
#include "adapters/aws/digest.h"
#include "adapters/aws/profile.h"
#include "adapters/aws/sigv4.h"
#include "engine/base/fail.h"

enum {
    RESPONSE_BYTES = 16 * 1024 * 1024,
    URL_BYTES = 64 * 1024,
    CALL_HEADERS = 16, /* of the caller */
    HEADERS = CALL_HEADERS + TW_SIGV4_HEADERS + 3,
    CONNECT_MS = 5000,
    STALL_MS = 20000,
    SLOWEST_BYTES_PER_MS = 64, /* that a large body may trickle at before its attempt is over */
    SKEWED_MS = 4 * 60 * 1000, /* below that a bad signature has another reason than the clock */
    TICK_MS = 2,               /* by which a timer may be early */
    SECRET_BYTES = 8,
    SLICE_MS = 100 /* of a wait, between questions whether to stop */
};

struct tw_aws_client {
    struct tumble_alloc alloc;
    const struct tw_aws_host *host;
    enum tw_aws_service service;
    char *region;
    char *ca_bundle;
    struct tw_aws_profile profile;
    struct tw_aws_credentials *credentials;
    struct tw_aws_endpoint endpoint;
    size_t authority; /* where it begins in the endpoint's URL */
    size_t base_path; /* where the path begins in it; its length when there is none */
    struct tw_http_client *http;
    struct tw_http_response response;
    struct tw_sigv4 signer;
    struct tw_retry retry;
    int64_t attempt_timeout_ms;
    size_t max_response_bytes;
    bool (*stop)(void *ctx);
    void *stop_ctx;
    int64_t skew_ms; /* server's clock minus ours */
    struct tw_buf url;
    struct tw_buf host_header; /* NUL-terminated */
};

static enum tumble_code copy(const struct tumble_alloc *alloc, const char *text, char **out) {
    *out = text && *text ? tw_copy_text(alloc, text, strlen(text)) : NULL;
    return *out || !text || !*text ? TUMBLE_OK : TUMBLE_ENOMEM;
}

static void find_parts(struct tw_aws_client *client) {
    const char *url = client->endpoint.url.data;
    client->authority = (size_t)(strstr(url, "://") + 3 - url);
    client->base_path = client->authority + strcspn(url + client->authority, "/");
}

static enum tumble_code set_up(struct tw_aws_client *client, const struct tw_aws_options *options,
                               struct tumble_error *err) {
    const char *region = NULL;
    const char *ca = options->ca_bundle;
    TW_TRY(tw_aws_profile_load(&client->profile, client->host, options->profile, client->alloc, err));
    TW_TRY(tw_aws_region(client->host, &client->profile, options->region, &region, err));
    TW_TRY(tw_aws_endpoint_init(&client->endpoint, client->host, &client->profile, client->service, region,
                                options->endpoint_url, client->alloc, err));
    find_parts(client);
    struct tw_retry_options retry;
    TW_TRY(tw_retry_options_read(&retry, client->host, &client->profile, client->service == TW_AWS_DYNAMODB, err));
    if (options->max_attempts > 0) {
        retry.max_attempts = options->max_attempts;
    }
    tw_retry_init(&client->retry, &retry);
    ca = ca ? ca : tw_aws_variable(client->host, "AWS_CA_BUNDLE");
    ca = ca ? ca : tw_aws_profile_get(&client->profile, "ca_bundle");
    ca = ca ? ca : tw_http_find_ca_bundle(client->host->variable, client->host->ctx);
    if (copy(&client->alloc, ca, &client->ca_bundle) != TUMBLE_OK ||
        copy(&client->alloc, region, &client->region) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    struct tw_aws_credentials_options credentials = {.alloc = client->alloc,
                                                     .host = client->host,
                                                     .profile = &client->profile,
                                                     .explicit_profile = options->profile != NULL,
                                                     .region = client->region,
                                                     .ca_bundle = client->ca_bundle};
    TW_TRY(tw_aws_credentials_open(&credentials, &client->credentials, err));
    struct tw_http_options http = {client->alloc, true, client->ca_bundle, NULL};
    return tw_http_open(&http, &client->http, err);
}

enum tumble_code tw_aws_client_open(const struct tw_aws_options *options, enum tw_aws_service service,
                                    struct tw_aws_client **out, struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tw_aws_client *client = tw_alloc_zero(&alloc, sizeof *client);
    *out = NULL;
    if (!client) {
        return tw_no_memory(err);
    }
    client->alloc = alloc;
    client->host = options->host ? options->host : &tw_aws_host_real;
    client->service = service;
    client->attempt_timeout_ms = options->attempt_timeout_ms > 0 ? options->attempt_timeout_ms : TW_AWS_ATTEMPT_MS;
    client->max_response_bytes = options->max_response_bytes ? options->max_response_bytes : RESPONSE_BYTES;
    client->stop = options->stop;
    client->stop_ctx = options->stop_ctx;
    tw_http_response_init(&client->response, alloc, client->max_response_bytes);
    tw_sigv4_init(&client->signer, alloc);
    tw_buf_init(&client->url, alloc, URL_BYTES);
    tw_buf_init(&client->host_header, alloc, URL_BYTES);
    tw_buf_init(&client->endpoint.url, alloc, 0);
    enum tumble_code code = set_up(client, options, err);
    if (code != TUMBLE_OK) {
        tw_aws_client_destroy(client);
        return code;
    }
    *out = client;
    return TUMBLE_OK;
}

void tw_aws_client_destroy(struct tw_aws_client *client) {
    if (!client) {
        return;
    }
    struct tumble_alloc alloc = client->alloc;
    tw_http_destroy(client->http);
    tw_aws_credentials_destroy(client->credentials);
    tw_http_response_clean_up(&client->response);
    tw_sigv4_clean_up(&client->signer);
    tw_aws_endpoint_clean_up(&client->endpoint);
    tw_aws_profile_clean_up(&client->profile);
    tw_buf_clean_up(&client->url);
    tw_buf_clean_up(&client->host_header);
    tw_free(&alloc, client->region);
    tw_free(&alloc, client->ca_bundle);
    tw_free(&alloc, client);
}

const struct tw_aws_host *tw_aws_client_host(const struct tw_aws_client *client) { return client->host; }

const char *tw_aws_client_region(const struct tw_aws_client *client) { return client->region; }

const char *tw_aws_client_endpoint(const struct tw_aws_client *client) { return client->endpoint.url.data; }

const char *tw_aws_client_credentials_source(const struct tw_aws_client *client) {
    return tw_aws_credentials_source(client->credentials);
}

bool tw_aws_header(const struct tw_aws_client *client, const char *name, struct tumble_bytes *value) {
    return tw_http_header(&client->response, name, value);
}

bool tw_aws_answer_is(const struct tw_aws_answer *answer, const char *code) { return strcmp(answer->code, code) == 0; }

/* Where the parts of the URL that was made begin. */
struct target {
    size_t path;
    size_t query; /* behind the "?"; the URL's length when there is none */
};

/* The URL, NUL-terminated, and the Host header that goes with it. Only errors: ENOMEM, ELIMIT. */
static enum tumble_code make_url(struct tw_aws_client *client, const struct tw_aws_call *call, struct target *target) {
    const char *base = client->endpoint.url.data;
    size_t base_length = client->endpoint.url.length - 1;
    size_t authority_length = client->base_path - client->authority;
    bool in_host = call->bucket && !client->endpoint.overridden && tw_s3_bucket_as_host(call->bucket);
    struct tw_buf *url = &client->url;
    struct tw_buf *host = &client->host_header;
    tw_buf_clear(url);
    tw_buf_clear(host);
    if (in_host) {
        TW_TRY(tw_buf_append_text(host, call->bucket));
        TW_TRY(tw_buf_append_byte(host, '.'));
    }
    TW_TRY(tw_buf_append(host, base + client->authority, authority_length));
    TW_TRY(tw_buf_append(url, base, client->authority));
    TW_TRY(tw_buf_append(url, host->data, host->length));
    /* What HTTP/1.1 clients send, libcurl too: no default port. */
    const char *port = client->authority == strlen("https://") ? ":443" : ":80";
    size_t port_length = strlen(port);
    if (host->length > port_length && memcmp(host->data + host->length - port_length, port, port_length) == 0) {
        host->length -= port_length;
    }
    TW_TRY(tw_buf_append_byte(host, '\0'));
    target->path = url->length;
    TW_TRY(tw_buf_append(url, base + client->base_path, base_length - client->base_path));
    if (call->bucket && !in_host) {
        TW_TRY(tw_buf_append_byte(url, '/'));
        TW_TRY(tw_percent_encode(url, tumble_bytes_of(call->bucket), false));
    }
    TW_TRY(tw_buf_append_byte(url, '/'));
    TW_TRY(tw_percent_encode(url, call->path, true));
    target->query = url->length;
    if (call->query && *call->query) {
        TW_TRY(tw_buf_append_byte(url, '?'));
        target->query = url->length;
        TW_TRY(tw_buf_append_text(url, call->query));
    }
    return tw_buf_append_byte(url, '\0');
}

/* One signed request, in the state it has while attempts are made of it. */
struct request {
    const struct tw_aws_call *call;
    const char *method;
    struct target target;
    char payload[TW_SHA256_HEX];
    struct tw_http_header headers[HEADERS];
    size_t own_headers; /* those that are signed; the signature's come behind */
    int64_t deadline_ms;
    bool skew_tried;
    bool keys_tried;
    struct tw_aws_keys keys;
};

static enum tumble_code prepare(struct tw_aws_client *client, const struct tw_aws_call *call, struct request *request,
                                struct tumble_error *err) {
    request->call = call;
    request->method = call->method ? call->method : "POST";
    request->deadline_ms = call->deadline_ms ? call->deadline_ms : TW_NO_DEADLINE;
    enum tumble_code code = make_url(client, call, &request->target);
    if (call->body_sha256) {
        tw_hex(call->body_sha256, TW_SHA256_BYTES, request->payload);
    } else if (code == TUMBLE_OK && call->body.length) {
        code = tw_sha256_hex(call->body, request->payload);
    } else {
        memcpy(request->payload, tw_sha256_of_nothing, sizeof request->payload);
    }
    if (code != TUMBLE_OK) {
        return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                     : tw_fail(err, TUMBLE_EINVAL, "%s: path and query are longer than any it takes",
                                               tw_aws_service_name(client->service));
    }
    if (call->header_count > CALL_HEADERS) {
        return tw_fail(err, TUMBLE_EINVAL, "%s: more than %d headers", tw_aws_service_name(client->service),
                       CALL_HEADERS);
    }
    size_t count = 0;
    request->headers[count++] = (struct tw_http_header){"host", client->host_header.data};
    if (call->content_type) {
        request->headers[count++] = (struct tw_http_header){"content-type", call->content_type};
    }
    if (call->target) {
        request->headers[count++] = (struct tw_http_header){"x-amz-target", call->target};
    }
    for (size_t i = 0; i < call->header_count; i++) {
        request->headers[count++] = call->headers[i];
    }
    request->own_headers = count;
    return TUMBLE_OK;
}

static int64_t left_ms(const struct tw_aws_client *client, int64_t deadline_ms) {
    return deadline_ms == TW_NO_DEADLINE ? TW_NO_DEADLINE : deadline_ms - client->host->steady_ms(client->host->ctx);
}

static enum tumble_code sign(struct tw_aws_client *client, struct request *request, struct tumble_error *err) {
    const char *url = client->url.data;
    size_t query = request->target.query;
    size_t end = client->url.length - 1;
    struct tw_sigv4_request signing = {
        .method = request->method,
        .path = {url + request->target.path, (query < end ? query - 1 : query) - request->target.path},
        .query = {url + query, end - query},
        .headers = request->headers,
        .header_count = request->own_headers,
        .payload_sha256 = request->payload,
        .s3 = client->service == TW_AWS_S3,
        .region = client->region,
        .service = tw_aws_service_name(client->service),
        .time_s = (client->host->now_ms(client->host->ctx) + client->skew_ms) / 1000,
        .keys = request->keys,
    };
    TW_TRY(tw_sigv4_sign(&client->signer, &signing, err));
    memcpy(request->headers + request->own_headers, client->signer.headers,
           client->signer.header_count * sizeof *request->headers);
    return TUMBLE_OK;
}

/* One attempt. Errors of the transport are in client->response; what is returned otherwise ends the call. */
static enum tumble_code attempt(struct tw_aws_client *client, struct request *request, struct tumble_error *err) {
    TW_TRY(tw_aws_credentials_get(client->credentials, request->deadline_ms, &request->keys, err));
    TW_TRY(sign(client, request, err));
    int64_t left = left_ms(client, request->deadline_ms);
    int64_t timeout_ms =
        client->attempt_timeout_ms + (int64_t)(request->call->body.length / (size_t)SLOWEST_BYTES_PER_MS);
    timeout_ms = left < timeout_ms ? left : timeout_ms;
    if (timeout_ms <= 0) { /* fetching the credentials took what was left */
        client->response.failure = TW_HTTP_UNREACHABLE;
        client->response.status = 0;
        return tw_fail(err, TUMBLE_EOUTPUT, "no time left");
    }
    size_t cap = request->call->max_response_bytes ? request->call->max_response_bytes : client->max_response_bytes;
    client->response.body.cap = cap > client->response.body.capacity ? cap : client->response.body.capacity;
    struct tw_http_request http = {
        .method = request->method,
        .url = client->url.data,
        .headers = request->headers,
        .header_count = request->own_headers + client->signer.header_count,
        .body = request->call->body,
        .connect_timeout_ms = CONNECT_MS < timeout_ms ? CONNECT_MS : timeout_ms,
        .timeout_ms = timeout_ms,
        .stall_timeout_ms = STALL_MS,
        .stop = client->stop,
        .stop_ctx = client->stop_ctx,
    };
    enum tumble_code code = tw_http_send(client->http, &http, &client->response, err);
    if (code == TUMBLE_OK && client->response.body.length > cap) {
        client->response.failure = TW_HTTP_TOO_LARGE;
        return tw_fail(err, TUMBLE_ELIMIT, "the response is larger than allowed");
    }
    return code;
}

/* DynamoDB sends a checksum of each answer: one that does not fit was damaged on its way. */
static bool is_damaged(const struct tw_aws_client *client) {
    struct tumble_bytes value;
    char expected[16];
    if (client->service != TW_AWS_DYNAMODB || !tw_http_header(&client->response, "x-amz-crc32", &value)) {
        return false;
    }
    snprintf(expected, sizeof expected, "%u", (unsigned)tw_crc32(tw_buf_view(&client->response.body)));
    return !tumble_bytes_equal(value, tumble_bytes_of(expected));
}

/* Shorter ones are no secrets but a test's, and stand in any text. */
static bool holds(struct tumble_bytes text, const char *secret) {
    size_t length = secret ? strlen(secret) : 0;
    return length >= SECRET_BYTES && text.length && memmem(text.data, text.length, secret, length);
}

/* A signature error repeats, from its second paragraph on, what was signed: session token and all. Such words are not
 * kept, nor are any others that a secret stands in. */
static void keep_secrets(const struct tw_aws_client *client, const struct request *request,
                         struct tw_aws_answer *answer) {
    struct tumble_bytes body = tw_buf_view(&client->response.body);
    if (tw_aws_classify(answer->status, TW_HTTP_NONE, answer->code) == TW_AWS_SKEWED ||
        strncmp(answer->code, "IncompleteSignature", strlen("IncompleteSignature")) == 0) {
        answer->message[strcspn(answer->message, "\n")] = '\0';
    }
    if (holds(body, request->keys.session_token) || holds(body, request->keys.secret_access_key)) {
        snprintf(answer->message, sizeof answer->message, "(what the service says repeats a secret)");
    }
}

/* Looks at what came back and fills answer. */
static void judge(struct tw_aws_client *client, const struct request *request, struct tw_aws_answer *answer) {
    struct tw_http_response *response = &client->response;
    answer->status = response->status;
    answer->failure = response->failure;
    answer->body = tw_buf_view(&response->body);
    answer->code[0] = answer->message[0] = answer->request_id[0] = '\0';
    answer->retry_after_ms = -1;
    if (response->failure == TW_HTTP_NONE) {
        tw_aws_error_read(response, request->call->error_in_200, answer);
        keep_secrets(client, request, answer);
        if (is_damaged(client)) {
            answer->failure = TW_HTTP_BROKEN;
        }
    } else {
        answer->status = 0;
    }
    answer->kind = tw_aws_classify(answer->status, answer->failure, answer->code);
    bool unknown = answer->failure == TW_HTTP_TIMEOUT || answer->failure == TW_HTTP_BROKEN ||
                   answer->failure == TW_HTTP_TOO_LARGE || answer->failure == TW_HTTP_STOPPED ||
                   answer->status >= 500 || response->resent;
    answer->may_have_been_done = answer->may_have_been_done || unknown;
}

/* The service's clock from its Date header. true: ours was off by more than a signature bears, and is now corrected. */
static bool correct_clock(struct tw_aws_client *client) {
    struct tumble_bytes date;
    int64_t theirs_ms;
    if (!tw_http_header(&client->response, "date", &date) || !tw_http_date(date, &theirs_ms)) {
        return false;
    }
    int64_t ours_ms = client->host->now_ms(client->host->ctx);
    int64_t off = theirs_ms - ours_ms - client->skew_ms;
    if (off < SKEWED_MS && off > -SKEWED_MS) {
        return false;
    }
    client->skew_ms = theirs_ms - ours_ms;
    return true;
}

/* Did forgetting the keys that were refused bring others? */
static bool renew_keys(struct tw_aws_client *client, struct request *request) {
    char old[TW_SHA256_HEX];
    char new_one[TW_SHA256_HEX];
    struct tw_aws_keys keys;
    const char *what = request->keys.session_token ? request->keys.session_token : request->keys.access_key_id;
    if (tw_sha256_hex(tumble_bytes_of(what), old) != TUMBLE_OK) {
        return false;
    }
    tw_aws_credentials_forget(client->credentials);
    if (tw_aws_credentials_get(client->credentials, request->deadline_ms, &keys, NULL) != TUMBLE_OK) {
        return false;
    }
    what = keys.session_token ? keys.session_token : keys.access_key_id;
    return tw_sha256_hex(tumble_bytes_of(what), new_one) == TUMBLE_OK && strcmp(old, new_one) != 0;
}

/* Waits; false: the deadline comes first, or stop. */
static bool wait(struct tw_aws_client *client, int64_t how_long, int64_t deadline_ms) {
    const struct tw_aws_host *host = client->host;
    int64_t left = left_ms(client, deadline_ms);
    if (left != TW_NO_DEADLINE && how_long >= left) {
        return false;
    }
    while (how_long > 0) {
        if (client->stop && client->stop(client->stop_ctx)) {
            return false;
        }
        int64_t slice = client->stop && how_long > SLICE_MS ? SLICE_MS : how_long;
        host->sleep_ms(host->ctx, slice);
        how_long -= slice;
    }
    return true;
}

/* After a failed attempt: true when there shall be another, and it is time for it. */
static bool once_more(struct tw_aws_client *client, struct request *request, struct tw_aws_answer *answer) {
    if (answer->kind == TW_AWS_SKEWED) {
        bool first = !request->skew_tried;
        request->skew_tried = true;
        return first && correct_clock(client);
    }
    if (answer->kind == TW_AWS_EXPIRED) {
        bool first = !request->keys_tried;
        request->keys_tried = true;
        return first && renew_keys(client, request);
    }
    bool timeout = answer->failure == TW_HTTP_TIMEOUT || answer->failure == TW_HTTP_UNREACHABLE;
    if (request->call->once || !tw_retry_take(&client->retry, answer->kind, answer->attempts, timeout)) {
        return false;
    }
    uint64_t random = client->host->random(client->host->ctx);
    int64_t delay = tw_retry_delay_ms(&client->retry, answer->kind, answer->attempts, random, answer->retry_after_ms);
    bool waited = wait(client, delay, request->deadline_ms);
    answer->deadline = !waited;
    return waited;
}

/* What was asked for: "BatchWriteItem", or "PUT bucket". */
static void describe(const struct request *request, char *out, size_t capacity) {
    const char *target = request->call->target;
    const char *point = target ? strrchr(target, '.') : NULL;
    if (target) {
        snprintf(out, capacity, "%s", point ? point + 1 : target);
    } else {
        snprintf(out, capacity, "%s %s", request->method, request->call->bucket ? request->call->bucket : "");
    }
}

static enum tumble_code report(const struct tw_aws_client *client, const struct request *request,
                               const struct tw_aws_answer *answer, enum tumble_code code, struct tumble_error *err) {
    char what[128];
    const char *service = tw_aws_service_name(client->service);
    describe(request, what, sizeof what);
    if (code != TUMBLE_OK) { /* of the transport: err has its text */
        if (code != TUMBLE_ENOMEM) {
            tw_error_prefix(err, "%s %s", service, what);
        }
        /* A certificate that does not hold will not hold later either. */
        return code == TUMBLE_EOUTPUT && answer->failure == TW_HTTP_TLS ? TUMBLE_EUSAGE : code;
    }
    bool later = answer->kind == TW_AWS_TRANSIENT || answer->kind == TW_AWS_THROTTLED;
    return tw_fail(err, later ? TUMBLE_EOUTPUT : TUMBLE_EREJECTED, "%s %s: %d %s%s%s%s%s%s%s", service, what,
                   answer->status, answer->code[0] ? answer->code : "the answer was damaged",
                   answer->message[0] ? ": " : "", answer->message, answer->deadline ? " (out of time)" : "",
                   answer->request_id[0] ? " (request " : "", answer->request_id, answer->request_id[0] ? ")" : "");
}

/* An error of attempt that is no answer of the service and not the transport's. */
static bool ends_call(const struct tw_aws_client *client, enum tumble_code code) {
    return code == TUMBLE_ENOMEM || (code != TUMBLE_OK && client->response.failure == TW_HTTP_NONE);
}

enum tumble_code tw_aws_call(struct tw_aws_client *client, const struct tw_aws_call *call, struct tw_aws_answer *answer,
                             struct tumble_error *err) {
    struct request request = {0};
    memset(answer, 0, sizeof *answer);
    answer->kind = TW_AWS_REFUSED;
    answer->retry_after_ms = -1;
    client->retry.last_cost = 0;
    TW_TRY(prepare(client, call, &request, err));
    for (;;) {
        if (left_ms(client, request.deadline_ms) <= 0) {
            answer->deadline = true;
            answer->kind = TW_AWS_TRANSIENT;
            return tw_fail(err, TUMBLE_EOUTPUT, "%s: the deadline is over", tw_aws_service_name(client->service));
        }
        client->response.failure = TW_HTTP_NONE;
        client->response.resent = false;
        enum tumble_code code = attempt(client, &request, err);
        answer->attempts++;
        if (ends_call(client, code)) { /* no keys, no memory: nothing was sent */
            answer->kind = code == TUMBLE_EOUTPUT ? TW_AWS_TRANSIENT : TW_AWS_REFUSED;
            answer->deadline = left_ms(client, request.deadline_ms) <= TICK_MS;
            return code;
        }
        judge(client, &request, answer);
        if (code == TUMBLE_OK && answer->kind == TW_AWS_SUCCESS) {
            tw_retry_give_back(&client->retry);
            return TUMBLE_OK;
        }
        if (!once_more(client, &request, answer)) {
            answer->deadline = answer->deadline || left_ms(client, request.deadline_ms) <= TICK_MS ||
                               answer->failure == TW_HTTP_STOPPED;
            if (answer->deadline && client->stop && client->stop(client->stop_ctx)) {
                return tw_fail(err, TUMBLE_EINTERRUPTED, "%s: stopped", tw_aws_service_name(client->service));
            }
            return report(client, &request, answer, code, err);
        }
    }
}

enum tumble_code tw_aws_client_warm(struct tw_aws_client *client, int64_t deadline_ms, struct tumble_error *err) {
    struct tw_aws_keys keys;
    TW_TRY(tw_aws_credentials_get(client->credentials, deadline_ms, &keys, err));
    int64_t left = left_ms(client, deadline_ms);
    if (left <= 0) {
        return tw_fail(err, TUMBLE_EOUTPUT, "%s: the deadline is over", tw_aws_service_name(client->service));
    }
    /* Unsigned and for nothing: whatever is answered, the connection is open then and the certificates are read. */
    struct tw_http_request request = {.method = "HEAD",
                                      .url = client->endpoint.url.data,
                                      .connect_timeout_ms = CONNECT_MS < left ? CONNECT_MS : left,
                                      .timeout_ms = left < STALL_MS ? left : STALL_MS,
                                      .stop = client->stop,
                                      .stop_ctx = client->stop_ctx};
    return tw_http_send(client->http, &request, &client->response, err);
}
