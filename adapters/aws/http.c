#include "adapters/aws/http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include <tumble/version.h>

#include "engine/base/fail.h"

struct tw_http_client {
    struct tumble_alloc alloc;
    CURL *easy;
    char *ca_bundle;
    char *user_agent;
    bool use_proxy;
    struct tw_buf line;
    char error[CURL_ERROR_SIZE];
};

/* One exchange, as libcurl's callbacks see it. */
struct exchange {
    const struct tw_http_request *request;
    struct tw_http_response *response;
    size_t sent;              /* of the body */
    bool began;               /* a byte of the body was handed over, so a rewind is a second sending */
    bool stopped;             /* by the caller's stop */
    enum tumble_code trouble; /* that a callback met */
};

void tw_http_response_init(struct tw_http_response *response, struct tumble_alloc alloc, size_t max_body_bytes) {
    memset(response, 0, sizeof *response);
    tw_buf_init(&response->body, alloc, max_body_bytes);
    tw_buf_init(&response->heads, alloc, TW_HTTP_HEADER_BYTES);
}

void tw_http_response_clean_up(struct tw_http_response *response) {
    tw_buf_clean_up(&response->body);
    tw_buf_clean_up(&response->heads);
    response->status = 0;
}

bool tw_http_header(const struct tw_http_response *response, const char *name, struct tumble_bytes *value) {
    size_t length = strlen(name);
    const char *at = response->heads.data;
    const char *end = response->heads.length ? at + response->heads.length : at;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if ((size_t)(stop - at) > length && memcmp(at, name, length) == 0 && at[length] == ':') {
            value->data = at + length + 1;
            value->length = (size_t)(stop - value->data);
            return true;
        }
        at = stop < end ? stop + 1 : end;
    }
    return false;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global;

static void start_libcurl(void) { global = curl_global_init(CURL_GLOBAL_DEFAULT); }

static char *copy(const struct tumble_alloc *alloc, const char *text) {
    return tw_copy_text(alloc, text, strlen(text));
}

enum tumble_code tw_http_open(const struct tw_http_options *options, struct tw_http_client **out,
                              struct tumble_error *err) {
    *out = NULL;
    pthread_once(&once, start_libcurl);
    if (global != CURLE_OK) {
        return tw_fail(err, TUMBLE_EINTERNAL, "libcurl does not start: %s", curl_easy_strerror(global));
    }
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tw_http_client *client = tw_alloc_zero(&alloc, sizeof *client);
    if (!client) {
        return tw_no_memory(err);
    }
    client->alloc = alloc;
    client->use_proxy = options->use_proxy;
    tw_buf_init(&client->line, alloc, TW_HTTP_HEADER_BYTES);
    client->user_agent = copy(&alloc, options->user_agent ? options->user_agent : "tumble/" TUMBLE_VERSION_STRING);
    client->ca_bundle = options->ca_bundle ? copy(&alloc, options->ca_bundle) : NULL;
    client->easy = curl_easy_init();
    if (!client->easy || !client->user_agent || (options->ca_bundle && !client->ca_bundle)) {
        tw_http_destroy(client);
        return tw_no_memory(err);
    }
    *out = client;
    return TUMBLE_OK;
}

void tw_http_destroy(struct tw_http_client *client) {
    if (!client) {
        return;
    }
    struct tumble_alloc alloc = client->alloc;
    curl_easy_cleanup(client->easy);
    tw_buf_clean_up(&client->line);
    tw_free(&alloc, client->ca_bundle);
    tw_free(&alloc, client->user_agent);
    tw_free(&alloc, client);
}

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

const char *tw_http_find_ca_bundle(const char *(*variable)(void *ctx, const char *name), void *ctx) {
    static const char *const variables[] = {"AWS_CA_BUNDLE", "SSL_CERT_FILE"};
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, Amazon Linux */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* the same, elsewhere */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/ssl/cert.pem",
    };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = variable ? variable(ctx, variables[i]) : environment(NULL, variables[i]);
        if (value && *value) {
            return value; /* even one that cannot be read: the error then names what was asked for */
        }
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (access(places[i], R_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

static size_t give_body(char *to, size_t size, size_t count, void *ctx) {
    struct exchange *exchange = ctx;
    size_t room = size * count;
    size_t left = exchange->request->body.length - exchange->sent;
    size_t length = left < room ? left : room;
    if (length) {
        memcpy(to, exchange->request->body.data + exchange->sent, length);
        exchange->sent += length;
        exchange->began = true;
    }
    return length;
}

static int rewind_body(void *ctx, curl_off_t offset, int origin) {
    struct exchange *exchange = ctx;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > exchange->request->body.length) {
        return CURL_SEEKFUNC_FAIL;
    }
    exchange->response->resent = exchange->response->resent || exchange->began;
    exchange->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t take_body(char *from, size_t size, size_t count, void *ctx) {
    struct exchange *exchange = ctx;
    exchange->trouble = tw_buf_append(&exchange->response->body, from, size * count);
    return exchange->trouble == TUMBLE_OK ? size * count : 0;
}

static enum tumble_code keep_head(struct tw_buf *heads, const char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    if (!colon) {
        return TUMBLE_OK; /* the empty line, or nothing that can be asked for */
    }
    const char *value = colon + 1;
    const char *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n')) {
        end--;
    }
    for (const char *c = line; c < colon; c++) {
        TW_TRY(tw_buf_append_byte(heads, *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c));
    }
    TW_TRY(tw_buf_append_byte(heads, ':'));
    TW_TRY(tw_buf_append(heads, value, (size_t)(end - value)));
    return tw_buf_append_byte(heads, '\n');
}

static size_t take_head(char *line, size_t size, size_t count, void *ctx) {
    struct exchange *exchange = ctx;
    size_t length = size * count;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* a status line: what came before was a 1xx or a proxy's */
        tw_buf_clear(&exchange->response->heads);
        return length;
    }
    exchange->trouble = keep_head(&exchange->response->heads, line, length);
    return exchange->trouble == TUMBLE_OK ? length : 0;
}

static int ask_to_stop(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    struct exchange *exchange = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    exchange->stopped = exchange->request->stop(exchange->request->stop_ctx);
    return exchange->stopped;
}

static bool has_header(const struct tw_http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_line(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

/* The headers as libcurl wants them: "name: value", "name;" for an empty one, "name:" for none of libcurl's own. */
static enum tumble_code make_lines(struct tw_http_client *client, const struct tw_http_request *request,
                                   struct curl_slist **list) {
    struct tw_buf *line = &client->line;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct tw_http_header *header = &request->headers[i];
        if (!*header->name || strpbrk(header->name, ":;\r\n \t") || strpbrk(header->value, "\r\n")) {
            return TUMBLE_EINVAL;
        }
        tw_buf_clear(line);
        TW_TRY(tw_buf_append_text(line, header->name));
        TW_TRY(tw_buf_append_text(line, *header->value ? ": " : ";"));
        TW_TRY(tw_buf_append(line, header->value, strlen(header->value) + 1));
        if (!add_line(list, line->data)) {
            return TUMBLE_ENOMEM;
        }
    }
    if (!has_header(request, "expect") && !add_line(list, "Expect:")) {
        return TUMBLE_ENOMEM;
    }
    if (!has_header(request, "content-type") && !add_line(list, "Content-Type:")) {
        return TUMBLE_ENOMEM;
    }
    return TUMBLE_OK;
}

/* libcurl's own memory is the only thing that can be short here, and an option it does not know is a build fault. */
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        CURLcode set_ = curl_easy_setopt(client->easy, (option), (value));                                             \
        if (set_ != CURLE_OK) {                                                                                        \
            return set_;                                                                                               \
        }                                                                                                              \
    } while (0)

static CURLcode set_tls(struct tw_http_client *client) {
    const char *ca = client->ca_bundle ? client->ca_bundle : tw_http_find_ca_bundle(NULL, NULL);
    if (ca) {
        SET(CURLOPT_CAINFO, ca);
    }
    return CURLE_OK;
}

/* What is the same for every request of a client: curl_easy_reset undid it, connections and sessions stay. */
static CURLcode set_client(struct tw_http_client *client) {
    SET(CURLOPT_ERRORBUFFER, client->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_USERAGENT, client->user_agent);
    if (!client->use_proxy) {
        SET(CURLOPT_PROXY, "");
    }
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_SEEKFUNCTION, rewind_body);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_HEADERFUNCTION, take_head);
    /* Wishes only: while a buffer is there already (libcurl keeps it after a name that was not found) they are refused.
     */
    curl_easy_setopt(client->easy, CURLOPT_BUFFERSIZE, 65536L);
    curl_easy_setopt(client->easy, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
    return CURLE_OK;
}

static CURLcode set_method(struct tw_http_client *client, const struct tw_http_request *request) {
    bool sends = request->body.data || strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0;
    if (sends) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
        if (request->body.length == 0) {
            SET(CURLOPT_POSTFIELDS, "");
        }
    } else if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return CURLE_OK;
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    return CURLE_OK;
}

static CURLcode set_request(struct tw_http_client *client, struct exchange *exchange, struct curl_slist *lines) {
    const struct tw_http_request *request = exchange->request;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_HTTPHEADER, lines);
    SET(CURLOPT_READDATA, exchange);
    SET(CURLOPT_SEEKDATA, exchange);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms : TW_HTTP_CONNECT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)(request->timeout_ms > 0 ? request->timeout_ms : 0));
    if (request->stall_timeout_ms > 0) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)((request->stall_timeout_ms + 999) / 1000));
    }
    if (request->stop) {
        SET(CURLOPT_XFERINFOFUNCTION, ask_to_stop);
        SET(CURLOPT_XFERINFODATA, exchange);
        SET(CURLOPT_NOPROGRESS, 0L);
    }
    return set_method(client, request);
}

#undef SET

/* Length of scheme, host and port, for messages; nothing when the URL holds a name and password. */
static int origin_length(const char *url) {
    const char *host = strstr(url, "://");
    size_t length = host ? (size_t)(host - url) + 3 : 0;
    length += strcspn(url + length, "/?#");
    if (memchr(url, '@', length)) {
        return 0;
    }
    return (int)(length < 120 ? length : 120);
}

static enum tw_http_failure failure_of(CURLcode code, const struct exchange *exchange, bool sent) {
    if (exchange->trouble == TUMBLE_ELIMIT) {
        return TW_HTTP_TOO_LARGE;
    }
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL: return sent ? TW_HTTP_BROKEN : TW_HTTP_BAD_REQUEST; /* sent: no HTTP came back */
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_URL_MALFORMAT: return TW_HTTP_BAD_REQUEST;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED: return TW_HTTP_TLS;
    case CURLE_ABORTED_BY_CALLBACK: return TW_HTTP_STOPPED;
    case CURLE_OPERATION_TIMEDOUT: return sent ? TW_HTTP_TIMEOUT : TW_HTTP_UNREACHABLE;
    default: return sent ? TW_HTTP_BROKEN : TW_HTTP_UNREACHABLE;
    }
}

static enum tumble_code report(const struct tw_http_client *client, const struct tw_http_request *request,
                               CURLcode curl_code, enum tw_http_failure failure, struct tumble_error *err) {
    int length = origin_length(request->url);
    const char *why = client->error[0] ? client->error : curl_easy_strerror(curl_code);
    switch (failure) {
    case TW_HTTP_TOO_LARGE:
        return tw_fail(err, TUMBLE_ELIMIT, "%.*s: the response is larger than allowed", length, request->url);
    case TW_HTTP_STOPPED: return tw_fail(err, TUMBLE_EINTERRUPTED, "%.*s: stopped", length, request->url);
    case TW_HTTP_BAD_REQUEST:
        return tw_fail(err, TUMBLE_EINVAL, "%.*s: not a URL that can be asked: %s", length, request->url,
                       curl_easy_strerror(curl_code));
    default: return tw_fail(err, TUMBLE_EOUTPUT, "%.*s: %s", length, request->url, why);
    }
}

/* After a transfer that did not end well. */
static enum tumble_code judge(struct tw_http_client *client, struct exchange *exchange, CURLcode curl_code,
                              struct tumble_error *err) {
    if (curl_code == CURLE_OUT_OF_MEMORY || exchange->trouble == TUMBLE_ENOMEM) {
        exchange->response->failure = TW_HTTP_BROKEN;
        return tw_no_memory(err);
    }
    long request_size = 0;
    curl_easy_getinfo(client->easy, CURLINFO_REQUEST_SIZE, &request_size);
    enum tw_http_failure failure =
        failure_of(curl_code, exchange, request_size > 0 || exchange->began || exchange->response->status);
    exchange->response->failure = failure;
    return report(client, exchange->request, curl_code, failure, err);
}

/* Runs the exchange with SIGPIPE held back: some libcurls leave it to their caller when the other side closes while TLS
 * is written, and it would end the process. One that came meanwhile is taken away, unless it was pending before. */
static CURLcode perform(CURL *easy) {
    static const struct timespec no_wait = {0, 0};
    sigset_t only_pipe;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&only_pipe);
    sigaddset(&only_pipe, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    bool held = pthread_sigmask(SIG_BLOCK, &only_pipe, &before) == 0;
    CURLcode code = curl_easy_perform(easy);
    if (held) {
        if (!was_pending) {
            while (sigtimedwait(&only_pipe, NULL, &no_wait) < 0 && errno == EINTR) {
            }
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return code;
}

enum tumble_code tw_http_send(struct tw_http_client *client, const struct tw_http_request *request,
                              struct tw_http_response *response, struct tumble_error *err) {
    struct exchange exchange = {.request = request, .response = response};
    struct curl_slist *lines = NULL;
    tw_buf_clear(&response->body);
    tw_buf_clear(&response->heads);
    response->status = 0;
    response->failure = TW_HTTP_BAD_REQUEST;
    response->resent = false;
    bool https = strncasecmp(request->url, "https://", 8) == 0;
    if (!https && strncasecmp(request->url, "http://", 7) != 0) {
        return tw_fail(err, TUMBLE_EINVAL, "not a URL that can be asked: only http and https are");
    }
    enum tumble_code code = make_lines(client, request, &lines);
    if (client->line.data) {
        explicit_bzero(client->line.data, client->line.capacity); /* held session tokens */
    }
    if (code != TUMBLE_OK) {
        curl_slist_free_all(lines);
        return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                     : tw_fail(err, code, "%.*s: a header that cannot be sent",
                                               origin_length(request->url), request->url);
    }
    curl_easy_reset(client->easy);
    client->error[0] = '\0';
    CURLcode curl_code = set_client(client);
    if (curl_code == CURLE_OK && https) {
        curl_code = set_tls(client);
    }
    if (curl_code == CURLE_OK) {
        curl_code = set_request(client, &exchange, lines);
    }
    if (curl_code == CURLE_OK) {
        curl_code = perform(client->easy);
    }
    long status = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->failure = TW_HTTP_NONE;
    code = curl_code == CURLE_OK ? TUMBLE_OK : judge(client, &exchange, curl_code, err);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(lines);
    return code;
}
