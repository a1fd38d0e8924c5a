#ifndef TW_HTTP_H
#define TW_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"

/* HTTP over libcurl, which lives in http.c. A client is one connection cache: requests go one after another, the
 * connection is kept between them, HTTP/2 is used where TLS offers it. Nothing of TLS is loaded before the first
 * https URL. A client belongs to one thread at a time; any number of clients may be used at once.
 *
 * Redirects are not followed, cookies and .netrc are not read, and only http and https are spoken. */

struct tw_http_options {
    struct tumble_alloc alloc;
    bool use_proxy;         /* HTTP_PROXY, HTTPS_PROXY, NO_PROXY … count; never for the Runtime API or metadata */
    const char *ca_bundle;  /* PEM file; NULL: tw_http_find_ca_bundle(NULL) at the first https URL. Copied */
    const char *user_agent; /* NULL: "tumble/VERSION". Copied */
};

struct tw_http_header {
    const char *name;
    const char *value; /* "" is sent as an empty value */
};

/* All borrowed for the call. */
struct tw_http_request {
    const char *method; /* "GET", … */
    const char *url; /* sent as it stands: nothing is encoded, "//" and ".." stay. A fragment is the caller's error */
    const struct tw_http_header *headers; /* Content-Length is set from body; no other header is added but Host,
                                             User-Agent and Accept (none of Expect, Content-Type); given ones replace */
    size_t header_count;
    struct tumble_bytes body;   /* data NULL: no body (Content-Length: 0 with PUT and POST) */
    int64_t connect_timeout_ms; /* 0: 10 s (TW_HTTP_CONNECT_MS) */
    int64_t timeout_ms;         /* of the whole exchange; 0: none, for a `next` that blocks until there is work */
    int64_t stall_timeout_ms;   /* nothing sent or received for that long (rounded up to a second); 0: none */
    /* Asked about once a second, and more often while bytes flow: true ends the exchange (TW_HTTP_STOPPED). May be
     * NULL. */
    bool (*stop)(void *ctx);
    void *stop_ctx;
};

enum { TW_HTTP_CONNECT_MS = 10000, TW_HTTP_HEADER_BYTES = 256 * 1024 };

/* Why there is no whole response. */
enum tw_http_failure {
    TW_HTTP_NONE = 0,    /* there is one */
    TW_HTTP_UNREACHABLE, /* name not found, connection refused, time over while connecting: nothing was sent */
    TW_HTTP_TLS,         /* certificate, handshake, CA file: nothing was sent and trying again will not help */
    TW_HTTP_TIMEOUT,     /* the request may have been acted on */
    TW_HTTP_BROKEN,      /* reset, cut short, malformed: the request may have been acted on */
    TW_HTTP_TOO_LARGE,   /* more body or header bytes than allowed: the request was acted on */
    TW_HTTP_STOPPED,     /* stop said so; the request may have been acted on */
    TW_HTTP_BAD_REQUEST  /* URL or header that cannot be sent */
};

/* Zeroed is not valid: tw_http_response_init. Reused from call to call, which keeps its memory. */
struct tw_http_response {
    int status;         /* 0: none came */
    struct tw_buf body; /* as transferred: no content encoding is asked for or undone */
    struct tw_buf
        heads; /* "name:value\n", names in lower case, of the last response (not of a 1xx); see tw_http_header */
    enum tw_http_failure failure;
    bool
        resent; /* libcurl sent it twice: a kept connection died before it answered. The first may have been acted on */
};

void tw_http_response_init(struct tw_http_response *response, struct tumble_alloc alloc, size_t max_body_bytes);
void tw_http_response_clean_up(struct tw_http_response *response); /* idempotent */

/* The value of a header, white space around it left out; name in lower case. false: there is none. Of several, the
 * first. The view lives until the response is used again. */
bool tw_http_header(const struct tw_http_response *response, const char *name, struct tumble_bytes *value);

struct tw_http_client;

/* Errors: ENOMEM, EINTERNAL (libcurl cannot start). */
enum tumble_code tw_http_open(const struct tw_http_options *options, struct tw_http_client **out,
                              struct tumble_error *err);
void tw_http_destroy(struct tw_http_client *client); /* NULL allowed */

/* OK: a whole response came, whatever its status. Otherwise response->failure says why: ENOMEM, ELIMIT (TOO_LARGE),
 * EINVAL (BAD_REQUEST), EINTERRUPTED (STOPPED), EOUTPUT (the rest). What came before the failure stays in response.
 * No error text holds a header or more of the URL than scheme, host and port. */
enum tumble_code tw_http_send(struct tw_http_client *client, const struct tw_http_request *request,
                              struct tw_http_response *response, struct tumble_error *err);

/* The first of: AWS_CA_BUNDLE, SSL_CERT_FILE (as variable gives them; NULL: getenv), Debian's, Fedora's and Amazon
 * Linux's, openSUSE's, Alpine's bundle that can be read. NULL: none, libcurl's own default. */
const char *tw_http_find_ca_bundle(const char *(*variable)(void *ctx, const char *name), void *ctx);

#endif
