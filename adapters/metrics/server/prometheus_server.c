#include "adapters/metrics/server/prometheus_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"

enum {
    CONNECTIONS_KEPT = 64, /* beyond it a new one ends the one that asked for nothing for longest */
    CONNECTIONS_MAX = 128, /* those that are being ended too */
    CONNECTION_BYTES = 16 * 1024,
    TIMEOUT_SECONDS = 10,
    BACKLOG = 128
};

struct open_connection { /* the server's thread's alone */
    int fd;              /* -1: the slot is free */
    bool is_ending;
    uint64_t used; /* when it began or was last answered, by a counter */
};

struct tw_prometheus_server {
    struct tumble_alloc alloc;
    struct MHD_Daemon *daemon;
    struct tw_prometheus_text *page;
    tw_prometheus_page_fn *fill;
    void *ctx;
    struct open_connection connections[CONNECTIONS_MAX];
    uint64_t uses;
    int fd; /* listening; the daemon's once it runs */
    char address[TW_METRICS_ADDRESS_TEXT];
};

union any_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* ---- addresses ---- */

static enum tumble_code refuse(struct tumble_error *err, const char *address, const char *why) {
    return tw_fail(err, TUMBLE_EUSAGE, "metrics at %.80s: %.200s", address, why);
}

static bool read_port(const char *text, uint16_t *out) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits]) {
        return false;
    }
    unsigned long port = strtoul(text, NULL, 10);
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

static enum tumble_code read_address(const char *text, union any_address *out, socklen_t *length,
                                     struct tumble_error *err) {
    static const char form[] = "an address and a port, please, as 127.0.0.1:9464 (0.0.0.0:9464: from everywhere)";
    const char *colon = strrchr(text, ':');
    const char *port_text = colon ? colon + 1 : text;
    size_t host_length = colon ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
    uint16_t port = 0;
    if (!read_port(port_text, &port) || host_length >= sizeof host || (colon && host_length == 0)) {
        return refuse(err, text, form);
    }
    bool is_local = host_length == 9 && strncmp(text, "localhost", 9) == 0;
    if (host_length && !is_local) {
        memcpy(host, text, host_length);
        host[host_length] = '\0';
    }
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->four.sin_addr) == 1) {
        out->four.sin_family = AF_INET;
        out->four.sin_port = htons(port);
        *length = sizeof out->four;
        return TUMBLE_OK;
    }
    if (host[0] == '[' && host[host_length - 1] == ']') {
        host[host_length - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &out->six.sin6_addr) == 1) {
            out->six.sin6_family = AF_INET6;
            out->six.sin6_port = htons(port);
            *length = sizeof out->six;
            return TUMBLE_OK;
        }
    }
    return refuse(err, text, form);
}

static void write_address(struct tw_prometheus_server *server, const union any_address *address) {
    char host[INET6_ADDRSTRLEN] = "";
    bool is_six = address->any.sa_family == AF_INET6;
    if (is_six) {
        inet_ntop(AF_INET6, &address->six.sin6_addr, host, sizeof host);
    } else {
        inet_ntop(AF_INET, &address->four.sin_addr, host, sizeof host);
    }
    snprintf(server->address, sizeof server->address, "%s%s%s:%u", is_six ? "[" : "", host, is_six ? "]" : "",
             (unsigned)ntohs(is_six ? address->six.sin6_port : address->four.sin_port));
}

static enum tumble_code listen_at(struct tw_prometheus_server *server, const char *text, struct tumble_error *err) {
    union any_address address;
    socklen_t length = 0;
    int yes = 1;
    TW_TRY(read_address(text, &address, &length, err));
    server->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->fd < 0 || setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(server->fd, &address.any, length) != 0 || listen(server->fd, BACKLOG) != 0 ||
        getsockname(server->fd, &address.any, &length) != 0) {
        return refuse(err, text,
                      errno == EADDRINUSE ? "something listens there already: choose another port, or 0 for a free one"
                                          : strerror(errno));
    }
    write_address(server, &address);
    return TUMBLE_OK;
}

/* ---- answers ---- */

static enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status, const char *type,
                                   struct tumble_bytes body) {
    void *data = NULL; /* libmicrohttpd takes what it only reads as a pointer to what could be written to */
    memcpy(&data, &body.data, sizeof data);
    struct MHD_Response *response = MHD_create_response_from_buffer(body.length, data, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text) {
    return answer_with(connection, status, "text/plain; charset=utf-8", tumble_bytes_of(text));
}

static enum MHD_Result answer_metrics(struct tw_prometheus_server *server, struct MHD_Connection *connection) {
    struct tumble_bytes page;
    struct tumble_error err = {.text = ""};
    tw_prometheus_text_clear(server->page);
    server->fill(server->ctx, server->page);
    if (tw_prometheus_text_view(server->page, &page, &err) != TUMBLE_OK) {
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, err.text);
    }
    return answer_with(connection, MHD_HTTP_OK, TW_PROMETHEUS_CONTENT_TYPE, page);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state) {
    static int begun;
    struct tw_prometheus_server *server = ctx;
    (void)version;
    (void)upload;
    if (!*state) { /* the headers are there, a body may follow */
        *state = &begun;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    return strcmp(url, "/metrics") == 0   ? answer_metrics(server, connection)
           : strcmp(url, "/healthz") == 0 ? answer_text(connection, MHD_HTTP_OK, "ok\n")
           : strcmp(url, "/") == 0        ? answer_text(connection, MHD_HTTP_OK, "tumble: /metrics /healthz\n")
                                          : answer_text(connection, MHD_HTTP_NOT_FOUND, "not here: /metrics\n");
}

/* ---- connections that ask for nothing ---- */

/* A timeout ends who says nothing, not who says a byte every second: without this some dozen of them would keep a
 * scraper waiting. A limit by address would not tell them from a scraper on the same machine, or behind the same proxy.
 */
static void end_the_idlest(struct tw_prometheus_server *server) {
    struct open_connection *idlest = NULL;
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct open_connection *each = &server->connections[i];
        if (each->fd >= 0 && !each->is_ending) {
            count++;
            idlest = idlest && idlest->used < each->used ? idlest : each;
        }
    }
    if (count > CONNECTIONS_KEPT) {
        idlest->is_ending = true;
        shutdown(idlest->fd, SHUT_RDWR); /* the daemon finds it ended, and closes it */
    }
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode what) {
    struct tw_prometheus_server *server = ctx;
    struct open_connection *open = *slot;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (open) {
            open->fd = -1;
        }
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info && i < CONNECTIONS_MAX && !*slot; i++) {
        if (server->connections[i].fd < 0) {
            server->connections[i] = (struct open_connection){.fd = info->connect_fd, .used = ++server->uses};
            *slot = &server->connections[i];
        }
    }
    end_the_idlest(server);
}

static void on_answered(void *ctx, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode how) {
    struct tw_prometheus_server *server = ctx;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct open_connection *open = info ? info->socket_context : NULL;
    (void)state;
    (void)how;
    if (open) {
        open->used = ++server->uses;
    }
}

/* ---- opening and closing ---- */

/* Its thread takes no signals: they are to end what the others wait for. */
static enum tumble_code start(struct tw_prometheus_server *server, struct tumble_error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, answer, server,
                         MHD_OPTION_LISTEN_SOCKET, server->fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                         MHD_OPTION_NOTIFY_COMPLETED, on_answered, server, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return server->daemon ? TUMBLE_OK : tw_fail(err, TUMBLE_ENOMEM, "metrics at %.80s: no server", server->address);
}

enum tumble_code tw_prometheus_server_open(const char *address, tw_prometheus_page_fn *fill, void *ctx,
                                           struct tumble_alloc alloc, struct tw_prometheus_server **out,
                                           struct tumble_error *err) {
    *out = NULL;
    alloc = tw_alloc_or_default(alloc);
    struct tw_prometheus_server *server = tw_alloc_zero(&alloc, sizeof *server);
    if (!server) {
        return tw_no_memory(err);
    }
    server->alloc = alloc;
    server->fd = -1;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        server->connections[i].fd = -1;
    }
    server->fill = fill;
    server->ctx = ctx;
    server->page = tw_prometheus_text_new(alloc);
    enum tumble_code code = server->page ? listen_at(server, address, err) : tw_no_memory(err);
    if (code == TUMBLE_OK) {
        code = start(server, err);
    }
    if (code != TUMBLE_OK) {
        tw_prometheus_server_close(server);
        return code;
    }
    *out = server;
    return TUMBLE_OK;
}

const char *tw_prometheus_server_address(const struct tw_prometheus_server *server) { return server->address; }

void tw_prometheus_server_close(struct tw_prometheus_server *server) {
    if (!server) {
        return;
    }
    struct tumble_alloc alloc = server->alloc;
    if (server->daemon) {
        MHD_stop_daemon(server->daemon);
    } else if (server->fd >= 0) {
        close(server->fd);
    }
    tw_prometheus_text_destroy(server->page);
    tw_free(&alloc, server);
}
