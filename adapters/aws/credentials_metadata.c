#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "adapters/aws/aws_text.h"
#include "adapters/aws/credentials_internal.h"
#include "adapters/aws/digest.h"
#include "adapters/aws/retry.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

/* Credentials from an address that only this machine or container can reach. */

enum {
    URL_BYTES = 2048,
    TOKEN_BYTES = 16 * 1024,
    CONTAINER_MS = 2000,
    CONTAINER_ATTEMPTS = 3,
    INSTANCE_MS = 1000,
    EXTENDED_MS = 15 * 60 * 1000 /* that an instance's keys past their end are used on, as botocore does */
};

/* Host in lower case and without brackets; false when the authority holds anything but a host and a port. */
static bool take_host(const char *authority, size_t length, char *out, size_t capacity) {
    size_t host = 0;
    if (length && authority[0] == '[') {
        while (host < length && authority[host] != ']') {
            host++;
        }
        if (host == length || (host + 1 < length && authority[host + 1] != ':')) {
            return false;
        }
        authority++;
        host--;
    } else {
        while (host < length && authority[host] != ':') {
            char c = authority[host++];
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-')) {
                return false;
            }
        }
        for (size_t i = host + 1; i < length; i++) {
            if (authority[i] < '0' || authority[i] > '9') {
                return false;
            }
        }
    }
    if (host == 0 || host >= capacity) {
        return false;
    }
    memcpy(out, authority, host);
    out[host] = '\0';
    return true;
}

bool tw_container_uri_allowed(const char *uri) {
    char host[64];
    struct in_addr v4;
    struct in6_addr v6;
    struct in6_addr allowed;
    if (strncasecmp(uri, "https://", 8) == 0) {
        return true;
    }
    if (strncasecmp(uri, "http://", 7) != 0 || !take_host(uri + 7, strcspn(uri + 7, "/?#"), host, sizeof host)) {
        return false;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        uint32_t address = ntohl(v4.s_addr);
        return address >> 24 == 127 || address == 0xa9feaa02 || address == 0xa9feaa17; /* 169.254.170.2, .23 */
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return memcmp(&v6, &in6addr_loopback, sizeof v6) == 0 ||
               (inet_pton(AF_INET6, "fd00:ec2::23", &allowed) == 1 && memcmp(&v6, &allowed, sizeof v6) == 0);
    }
    return strcasecmp(host, "localhost") == 0;
}

/* The value of the Authorization header, NUL-terminated, empty: none. */
static enum tumble_code container_token(const struct tw_aws_host *host, struct tw_buf *token,
                                        struct tumble_error *err) {
    const char *path = tw_aws_variable(host, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *value = tw_aws_variable(host, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    bool found = false;
    if (tw_buf_reserve(token, TOKEN_BYTES) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    if (path) {
        TW_TRY(host->read_file(host->ctx, path, token, &found, err));
        if (!found) {
            return tw_fail(err, TUMBLE_EUSAGE, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: cannot read %.200s", path);
        }
    } else if (value && tw_buf_append_text(token, value) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_EUSAGE, "AWS_CONTAINER_AUTHORIZATION_TOKEN: too long");
    }
    while (token->length && (token->data[token->length - 1] == '\n' || token->data[token->length - 1] == '\r')) {
        token->length--;
    }
    for (size_t i = 0; i < token->length; i++) {
        if ((unsigned char)token->data[i] < ' ') {
            return tw_fail(err, TUMBLE_EUSAGE, "the container's authorization token holds a control character");
        }
    }
    return tw_buf_append_byte(token, '\0') == TUMBLE_OK
               ? TUMBLE_OK
               : tw_fail(err, TUMBLE_EUSAGE, "the container's authorization token is too long");
}

static bool worth_another(const struct tw_http_response *response) {
    enum tw_aws_kind kind = tw_aws_classify(response->status, response->failure, NULL);
    return kind == TW_AWS_TRANSIENT || kind == TW_AWS_THROTTLED;
}

static enum tumble_code ask_container(struct tw_aws_credentials *credentials, const char *url, const char *token,
                                      int64_t deadline_ms, struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    struct tw_http_header headers[] = {{"Accept", "application/json"}, {"Authorization", token}};
    struct tw_http_request request = {.method = "GET", .url = url, .headers = headers, .header_count = *token ? 2 : 1};
    for (int attempt = 1;; attempt++) {
        enum tumble_code code =
            tw_credentials_ask(credentials, &credentials->metadata, false, &request, CONTAINER_MS, deadline_ms, err);
        if (code == TUMBLE_OK && credentials->response.status == 200) {
            return TUMBLE_OK;
        }
        bool again = worth_another(&credentials->response);
        if (code == TUMBLE_OK) {
            code = tw_fail(err, again ? TUMBLE_EOUTPUT : TUMBLE_EUSAGE,
                           "the container's credentials endpoint answered %d", credentials->response.status);
        }
        int64_t wait_ms = tw_backoff_ms(500, 2000, attempt, host->random(host->ctx));
        if (!again || attempt == CONTAINER_ATTEMPTS ||
            (deadline_ms != TW_NO_DEADLINE && host->steady_ms(host->ctx) + wait_ms >= deadline_ms)) {
            return code;
        }
        host->sleep_ms(host->ctx, wait_ms);
    }
}

enum tumble_code tw_credentials_from_container(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                               bool *configured, struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    const char *relative = tw_aws_variable(host, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = tw_aws_variable(host, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    *configured = relative || full;
    if (!*configured) {
        return TUMBLE_OK;
    }
    char url[URL_BYTES];
    int length = relative ? snprintf(url, sizeof url, "http://169.254.170.2%s%s", *relative == '/' ? "" : "/", relative)
                          : snprintf(url, sizeof url, "%s", full);
    if (length >= (int)sizeof url) {
        return tw_fail(err, TUMBLE_EUSAGE, "AWS_CONTAINER_CREDENTIALS_%s_URI: too long",
                       relative ? "RELATIVE" : "FULL");
    }
    if (!tw_container_uri_allowed(url)) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI: must be https, or http to loopback, 169.254.170.2, "
                       "169.254.170.23 or fd00:ec2::23");
    }
    struct tw_buf token;
    tw_buf_init(&token, credentials->options.alloc, TOKEN_BYTES);
    enum tumble_code code = container_token(host, &token, err);
    if (code == TUMBLE_OK) {
        code = ask_container(credentials, url, token.data, deadline_ms, err);
    }
    if (code == TUMBLE_OK) {
        code = tw_credentials_take_json(credentials, tw_buf_view(&credentials->response.body), "Token",
                                        "the container's credentials endpoint", err);
    }
    tw_wipe(token.data, token.capacity);
    tw_buf_clean_up(&token);
    return code;
}

static int64_t number_or(const char *text, int64_t otherwise) {
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;
    return text && !*end && value > 0 && value <= 60 ? value : otherwise;
}

/* One request of the instance's metadata, tried as often as AWS_METADATA_SERVICE_NUM_ATTEMPTS says. */
static enum tumble_code ask_instance(struct tw_aws_credentials *credentials, const struct tw_http_request *request,
                                     int64_t deadline_ms, struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    int64_t timeout_ms = number_or(tw_aws_variable(host, "AWS_METADATA_SERVICE_TIMEOUT"), INSTANCE_MS / 1000) * 1000;
    int64_t attempts = number_or(tw_aws_variable(host, "AWS_METADATA_SERVICE_NUM_ATTEMPTS"), 1);
    enum tumble_code code;
    do {
        code = tw_credentials_ask(credentials, &credentials->metadata, false, request, timeout_ms, deadline_ms, err);
    } while (--attempts > 0 && worth_another(&credentials->response));
    return code;
}

static const char *instance_endpoint(const struct tw_aws_credentials_options *options) {
    const char *url = tw_aws_variable(options->host, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    url = url ? url : tw_aws_profile_get(options->profile, "ec2_metadata_service_endpoint");
    if (url) {
        return url;
    }
    const char *mode = tw_aws_variable(options->host, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    mode = mode ? mode : tw_aws_profile_get(options->profile, "ec2_metadata_service_endpoint_mode");
    return mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

struct instance {
    char base[URL_BYTES]; /* no slash at the end */
    char token[1024];
    char role[512];
};

/* A session token. *there false: nobody answers, or nobody who knows it. */
static enum tumble_code instance_token(struct tw_aws_credentials *credentials, struct instance *instance,
                                       int64_t deadline_ms, bool *there, struct tumble_error *err) {
    static const struct tw_http_header headers[] = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    const struct tw_http_response *response = &credentials->response;
    char url[URL_BYTES + 64];
    snprintf(url, sizeof url, "%s/latest/api/token", instance->base);
    struct tw_http_request request = {.method = "PUT", .url = url, .headers = headers, .header_count = 1};
    enum tumble_code code = ask_instance(credentials, &request, deadline_ms, err);
    *there = code == TUMBLE_OK && response->status == 200;
    if (code == TUMBLE_ENOMEM || *there) {
        tw_copy_cut(tw_buf_view(&response->body), instance->token, sizeof instance->token);
        return code;
    }
    bool was_there = credentials->source >= 0; /* then silence is an outage, not another kind of machine */
    if (was_there || response->status >= 500) {
        return tw_fail(err, TUMBLE_EOUTPUT, "the instance's metadata service does not answer");
    }
    return TUMBLE_OK;
}

/* The role's name, or its credentials when there is one already. *there false: the instance has no role. */
static enum tumble_code instance_get(struct tw_aws_credentials *credentials, const struct instance *instance,
                                     int64_t deadline_ms, bool *there, struct tumble_error *err) {
    struct tw_http_header headers[] = {{"x-aws-ec2-metadata-token", instance->token}};
    char url[URL_BYTES + 600];
    snprintf(url, sizeof url, "%s/latest/meta-data/iam/security-credentials/%s", instance->base, instance->role);
    struct tw_http_request request = {.method = "GET", .url = url, .headers = headers, .header_count = 1};
    TW_TRY(ask_instance(credentials, &request, deadline_ms, err));
    *there = credentials->response.status == 200;
    if (*there || (credentials->response.status == 404 && credentials->source < 0)) {
        return TUMBLE_OK;
    }
    return tw_fail(err, TUMBLE_EOUTPUT, "the instance's metadata service answered %d", credentials->response.status);
}

static enum tumble_code take_instance(struct tw_aws_credentials *credentials, struct tumble_error *err) {
    static const char where[] = "the instance's metadata service";
    const struct tw_aws_host *host = credentials->options.host;
    struct tumble_bytes json = tw_buf_view(&credentials->response.body);
    struct tumble_value object;
    char state[64];
    if (tw_json_document(json, TUMBLE_TYPE_OBJECT, &object, NULL) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_EOUTPUT, "%s: the answer is no JSON object", where);
    }
    if (tw_json_member_text(&object, "Code", state, sizeof state) && strcmp(state, "Success") != 0) {
        return tw_fail(err, TUMBLE_EOUTPUT, "%s: %s", where, state);
    }
    TW_TRY(tw_credentials_take_json(credentials, json, "Token", where, err));
    int64_t now_ms = host->now_ms(host->ctx);
    if (credentials->next.expires_ms <= now_ms) {
        /* The service is late with new ones; AWS asks to go on with the old (static stability). */
        credentials->next.expires_ms = now_ms + EXTENDED_MS;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_credentials_from_instance(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                              bool *configured, struct tumble_error *err) {
    struct instance instance = {.role = ""};
    *configured = false;
    if (tw_aws_variable_true(credentials->options.host, "AWS_EC2_METADATA_DISABLED")) {
        return TUMBLE_OK;
    }
    tw_copy_cut(tumble_bytes_of(instance_endpoint(&credentials->options)), instance.base, sizeof instance.base);
    size_t length = strlen(instance.base);
    while (length && instance.base[length - 1] == '/') {
        instance.base[--length] = '\0';
    }
    bool there = false;
    enum tumble_code code = instance_token(credentials, &instance, deadline_ms, &there, err);
    if (code == TUMBLE_OK && there) {
        code = instance_get(credentials, &instance, deadline_ms, &there, err);
    }
    if (code == TUMBLE_OK && there) {
        struct tumble_bytes names = tw_buf_view(&credentials->response.body);
        const char *end = names.length ? memchr(names.data, '\n', names.length) : NULL;
        names.length = end ? (size_t)(end - names.data) : names.length;
        tw_copy_cut(names, instance.role, sizeof instance.role);
        there = names.length > 0;
    }
    if (code == TUMBLE_OK && there) {
        code = instance_get(credentials, &instance, deadline_ms, &there, err);
    }
    if (code == TUMBLE_OK && there) {
        code = take_instance(credentials, err);
        *configured = code == TUMBLE_OK;
    }
    tw_wipe(instance.token, sizeof instance.token);
    return code;
}
