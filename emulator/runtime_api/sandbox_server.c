#include "emulator/runtime_api/sandbox_server.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "emulator/runtime_api/sandbox_extension.h"
#include "emulator/runtime_api/sandbox_route.h"
#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum {
    CONNECTIONS_MAX = 256,
    CONNECTION_BYTES = 64 * 1024,            /* headers, and what is read of a body at a time */
    BODIES_MAX = 4 * (int)TW_RESPONSE_LIMIT, /* of all requests under way: a function may be hostile */
    PASSES_MAX = 1000,                       /* of the daemon before its caller looks at the clock again */
    ID_BYTES = 64,
    TRACE_BYTES = 128
};

/* One HTTP request, from its first line to the end of its answer. */
struct request {
    struct request *next, *previous;
    struct MHD_Connection *connection;
    enum tw_route route;
    struct tw_buf body;
    size_t counted; /* of the server's body_bytes */
    bool too_large;
    bool is_parked;  /* waits in next, of a runtime or of an extension */
    bool is_given;   /* what it waited for is there */
    bool is_refused; /* another one waits in its place */
};

/* STARTING: no runtime asked for an event yet; TOO_LARGE: the response was refused, and the runtime may still say
 * why. */
enum phase { STARTING, IDLE, BUSY, TOO_LARGE };

struct tw_sandbox_server {
    struct tumble_alloc alloc;
    const struct tw_sandbox_identity *identity;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    unsigned port;
    bool no_memory;
    bool heard;
    bool worked;
    struct request *requests;
    size_t body_bytes; /* of all requests */
    enum phase phase;
    struct request *parked;    /* of a runtime; NULL: none waits */
    struct request *sending;   /* the event */
    struct request *answering; /* told that its answer was taken */
    struct tumble_bytes event;
    char request_id[ID_BYTES], invocation_id[ID_BYTES], trace_id[TRACE_BYTES];
    int64_t deadline_ms;
    int64_t sent_us, answered_us;
    enum tw_sandbox_outcome outcome;
    bool was_too_large;
    struct tw_buf answer;
    struct tw_sandbox_extensions extensions;
};

int64_t tw_monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t tw_wall_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- answers ---- */

/* libmicrohttpd takes what it only reads as a pointer to what could be written to. */
static struct MHD_Response *response_of(struct tumble_bytes bytes, enum MHD_ResponseMemoryMode mode) {
    void *data = NULL;
    memcpy(&data, &bytes.data, sizeof data);
    return MHD_create_response_from_buffer(bytes.length, data, mode);
}

static enum MHD_Result queue(struct request *request, unsigned status, struct MHD_Response *response,
                             const char *type) {
    enum MHD_Result result = MHD_NO;
    if (response) {
        MHD_add_response_header(response, "Content-Type", type);
        result = MHD_queue_response(request->connection, status, response);
        MHD_destroy_response(response);
    }
    return result;
}

static enum MHD_Result send_text(struct request *request, unsigned status, const char *text) {
    return queue(request, status, response_of(tumble_bytes_of(text), MHD_RESPMEM_MUST_COPY),
                 status == 404 || status == 405 ? "text/plain" : "application/json");
}

static enum MHD_Result send_error(struct request *request, unsigned status, const char *type, const char *message) {
    char text[512];
    snprintf(text, sizeof text, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n", message, type);
    return send_text(request, status, text);
}

static enum MHD_Result send_ok(struct request *request) { return send_text(request, 202, "{\"status\":\"OK\"}\n"); }

static const char *header_of(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* ---- next ---- */

static enum MHD_Result send_event(struct tw_sandbox_server *server, struct request *request) {
    char deadline[32];
    struct MHD_Response *response = response_of(server->event, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        return MHD_NO;
    }
    snprintf(deadline, sizeof deadline, "%" PRId64, server->deadline_ms);
    MHD_add_response_header(response, "Lambda-Runtime-Aws-Request-Id", server->request_id);
    MHD_add_response_header(response, "Lambda-Runtime-Deadline-Ms", deadline);
    MHD_add_response_header(response, "Lambda-Runtime-Invoked-Function-Arn", server->identity->function_arn);
    MHD_add_response_header(response, "Lambda-Runtime-Trace-Id", server->trace_id);
    MHD_add_response_header(response, "Lambda-Runtime-Invocation-Id", server->invocation_id);
    return queue(request, 200, response, "application/json");
}

static enum MHD_Result park(struct request *request) {
    request->is_parked = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

static void unpark(struct request *request) {
    if (request->is_parked) {
        request->is_parked = false;
        MHD_resume_connection(request->connection);
    }
}

static enum MHD_Result out_of_turn(struct request *request) {
    return send_error(request, 403, "InvalidStateTransition", "State transition is not allowed");
}

/* What the caller of a function sees where the response was above the limit. */
static bool make_error_of_too_large(struct tw_sandbox_server *server) {
    tw_buf_clear(&server->answer);
    server->no_memory =
        server->no_memory ||
        tw_buf_append_text(&server->answer, "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":"
                                            "\"Response payload size exceeded maximum allowed payload size "
                                            "(6291556 bytes).\"}") != TUMBLE_OK;
    server->outcome = TW_SANDBOX_ERROR;
    server->answered_us = tw_monotonic_us();
    return !server->no_memory;
}

/* That a connection is gone is not seen by libmicrohttpd while it waits. True: the one that waits is alive. */
static bool drop_the_dead(struct tw_sandbox_server *server) {
    struct request *parked = server->parked;
    if (!parked) {
        return false;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(parked->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    ssize_t got = info ? recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : -1;
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))) {
        return true;
    }
    parked->is_refused = true;
    server->parked = NULL;
    unpark(parked);
    return false;
}

static enum MHD_Result answer_next(struct tw_sandbox_server *server, struct request *request) {
    if (request->is_given) {
        return send_event(server, request);
    }
    if (request->is_refused || server->phase == BUSY) {
        return out_of_turn(request);
    }
    if (server->phase == TOO_LARGE && !make_error_of_too_large(server)) { /* it has nothing more to say about it */
        return MHD_NO;
    }
    server->phase = IDLE;
    if (drop_the_dead(server)) {
        return out_of_turn(request);
    }
    server->parked = request;
    return park(request);
}

/* ---- response and error ---- */

static enum MHD_Result take_answer(struct tw_sandbox_server *server, struct request *request,
                                   enum tw_sandbox_outcome outcome) {
    struct tw_buf old = server->answer;
    server->answer = request->body;
    request->body = old; /* its room serves no more: cleaned up with the request */
    server->outcome = outcome;
    server->answered_us = tw_monotonic_us();
    server->answering = request;
    return send_ok(request);
}

static enum MHD_Result answer_post(struct tw_sandbox_server *server, struct request *request,
                                   struct tumble_bytes request_id) {
    const char *given = header_of(request, "Lambda-Runtime-Invocation-Id");
    bool is_error = request->route == TW_ROUTE_ERROR;
    bool in_turn = server->phase == BUSY || (server->phase == TOO_LARGE && is_error);
    if (!in_turn || !tumble_bytes_equal(request_id, tumble_bytes_of(server->request_id))) {
        return send_error(request, 400, "InvalidRequestID", "Invalid request ID");
    }
    if (given && strcmp(given, server->invocation_id) != 0) {
        return send_error(request, 400, "InvalidInvocationId", "Invalid invocation ID");
    }
    if (request->too_large) {
        server->phase = TOO_LARGE;
        server->was_too_large = true;
        return send_error(request, 413, "RequestEntityTooLarge",
                          "Exceeded maximum allowed payload size (6291556 bytes).");
    }
    server->phase = IDLE;
    return take_answer(server, request, is_error ? TW_SANDBOX_ERROR : TW_SANDBOX_RESPONSE);
}

static enum MHD_Result answer_init_error(struct tw_sandbox_server *server, struct request *request) {
    if (server->phase != STARTING || server->outcome != TW_SANDBOX_NOTHING) {
        return out_of_turn(request);
    }
    return take_answer(server, request, TW_SANDBOX_INIT_ERROR);
}

/* ---- extensions ---- */

static enum MHD_Result answer_register(struct tw_sandbox_server *server, struct request *request) {
    const char *name = header_of(request, "Lambda-Extension-Name");
    const struct tw_sandbox_identity *identity = server->identity;
    char text[1024];
    if (!name || !*name) {
        return send_error(request, 400, "Extension.InvalidExtensionName", "Lambda-Extension-Name is missing");
    }
    if (server->phase != STARTING) {
        return send_error(request, 403, "Extension.RegistrationClosed", "Extension registration closed already");
    }
    uint64_t unique = (uint64_t)server->port << 32 | (uint64_t)getpid();
    struct tw_sandbox_extension *extension =
        tw_sandbox_extension_register(&server->extensions, tw_buf_view(&request->body), unique);
    if (!extension) {
        return send_error(request, 403, "Extension.TooManyExtensions", "Extension limit (10) reached");
    }
    snprintf(text, sizeof text, "{\"functionName\":\"%.200s\",\"functionVersion\":\"%.100s\",\"handler\":\"%.200s\"}",
             identity->function_name, identity->function_version, identity->handler);
    struct MHD_Response *response = response_of(tumble_bytes_of(text), MHD_RESPMEM_MUST_COPY);
    if (response) {
        MHD_add_response_header(response, "Lambda-Extension-Identifier", extension->id);
    }
    return queue(request, 200, response, "application/json");
}

static struct tw_sandbox_extension *extension_of(struct tw_sandbox_server *server, const struct request *request) {
    const char *id = header_of(request, "Lambda-Extension-Identifier");
    return id ? tw_sandbox_extension_find(&server->extensions, id) : NULL;
}

static enum MHD_Result answer_extension(struct tw_sandbox_server *server, struct request *request) {
    struct tw_sandbox_extension *extension = extension_of(server, request);
    if (!extension) {
        return send_error(request, 403, "Extension.UnknownExtensionIdentifier", "Unknown extension");
    }
    if (request->route != TW_ROUTE_EXTENSION_NEXT) {
        return send_ok(request);
    }
    if (extension->waiting == request) {
        extension->waiting = NULL;
    }
    if (request->is_refused) {
        return out_of_turn(request);
    }
    const char *event = tw_sandbox_extension_take(extension);
    if (event) {
        return send_text(request, 200, event);
    }
    if (extension->waiting) {
        struct request *before = extension->waiting;
        before->is_refused = true;
        unpark(before);
    }
    extension->waiting = request;
    return park(request);
}

static void wake_extensions(struct tw_sandbox_server *server) {
    for (size_t i = 0; i < server->extensions.count; i++) {
        struct tw_sandbox_extension *extension = &server->extensions.list[i];
        if ((extension->is_owed || extension->is_owed_shutdown) && extension->waiting) {
            unpark(extension->waiting);
        }
    }
}

/* ---- requests ---- */

static enum MHD_Result answer(struct tw_sandbox_server *server, struct request *request, const char *method,
                              const char *path) {
    struct tumble_bytes id;
    switch (tw_route_of(method, path, &id)) {
    case TW_ROUTE_NEXT: return answer_next(server, request);
    case TW_ROUTE_RESPONSE:
    case TW_ROUTE_ERROR: return answer_post(server, request, id);
    case TW_ROUTE_INIT_ERROR: return answer_init_error(server, request);
    case TW_ROUTE_EXTENSION_REGISTER: return answer_register(server, request);
    case TW_ROUTE_EXTENSION_NEXT:
    case TW_ROUTE_EXTENSION_ERROR: return answer_extension(server, request);
    case TW_ROUTE_TELEMETRY:
        return send_error(request, 202, "Telemetry.NotSupported", "Telemetry API is not supported");
    case TW_ROUTE_LOGS: return send_error(request, 202, "Logs.NotSupported", "Logs API is not supported");
    case TW_ROUTE_WRONG_METHOD: return send_text(request, 405, "405 method not allowed\n");
    case TW_ROUTE_UNKNOWN: break;
    }
    return send_text(request, 404, "404 page not found\n");
}

static bool begin_request(struct tw_sandbox_server *server, struct MHD_Connection *connection, const char *method,
                          const char *path, void **out) {
    struct request *request = tw_alloc_zero(&server->alloc, sizeof *request);
    struct tumble_bytes id;
    if (!request) {
        server->no_memory = true;
        return false;
    }
    request->connection = connection;
    request->route = tw_route_of(method, path, &id);
    tw_buf_init(&request->body, server->alloc, TW_RESPONSE_LIMIT);
    request->next = server->requests;
    if (request->next) {
        request->next->previous = request;
    }
    server->requests = request;
    server->heard = true;
    *out = request;
    return true;
}

/* What goes beyond a limit is read to its end and dropped, so that the answer is heard. */
static bool take_body(struct tw_sandbox_server *server, struct request *request, const char *data, size_t size) {
    if (request->too_large || request->body.length + size > TW_RESPONSE_LIMIT ||
        server->body_bytes + size > (size_t)BODIES_MAX) {
        request->too_large = true;
        return true;
    }
    if (tw_buf_append(&request->body, data, size) != TUMBLE_OK) {
        server->no_memory = true;
        return false;
    }
    request->counted += size;
    server->body_bytes += size;
    return true;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state) {
    struct tw_sandbox_server *server = cls;
    (void)version;
    server->worked = true;
    if (!*state) {
        return begin_request(server, connection, method, path, state) ? MHD_YES : MHD_NO;
    }
    struct request *request = *state;
    if (*size > 0) {
        bool taken = take_body(server, request, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    return answer(server, request, method, path);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how) {
    struct tw_sandbox_server *server = cls;
    struct request *request = *state;
    (void)connection;
    (void)how;
    if (!request) {
        return;
    }
    server->worked = true;
    *(request->previous ? &request->previous->next : &server->requests) = request->next;
    if (request->next) {
        request->next->previous = request->previous;
    }
    server->parked = server->parked == request ? NULL : server->parked;
    server->sending = server->sending == request ? NULL : server->sending;
    server->answering = server->answering == request ? NULL : server->answering;
    for (size_t i = 0; i < server->extensions.count; i++) {
        if (server->extensions.list[i].waiting == request) {
            server->extensions.list[i].waiting = NULL;
        }
    }
    server->body_bytes -= request->counted;
    tw_buf_clean_up(&request->body);
    tw_free(&server->alloc, request);
    *state = NULL;
}

/* ---- open, run, close ---- */

static enum tumble_code listen_somewhere(int *out, unsigned *port, struct tumble_error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr *generic = (struct sockaddr *)&address;
    if (fd < 0 || bind(fd, generic, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, generic, &length) != 0) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return tw_fail(err, TUMBLE_EINTERNAL, "Runtime API: cannot listen on 127.0.0.1: %s", strerror(error));
    }
    *out = fd;
    *port = ntohs(address.sin_port);
    return TUMBLE_OK;
}

static enum tumble_code start_daemon(struct tw_sandbox_server *server, struct tumble_error *err) {
    int fd = -1;
    TW_TRY(listen_somewhere(&fd, &server->port, err));
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                         0u, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
    if (!server->daemon) {
        close(fd);
        return tw_fail(err, TUMBLE_EINTERNAL, "Runtime API: libmicrohttpd does not start: %s", strerror(errno));
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info) {
        return tw_fail(err, TUMBLE_EINTERNAL, "Runtime API: libmicrohttpd was built without epoll");
    }
    server->epoll_fd = info->epoll_fd;
    return TUMBLE_OK;
}

enum tumble_code tw_sandbox_server_open(const struct tw_sandbox_identity *identity, struct tumble_alloc alloc,
                                        struct tw_sandbox_server **out, struct tumble_error *err) {
    struct tw_sandbox_server *server = tw_alloc_zero(&alloc, sizeof *server);
    *out = NULL;
    if (!server) {
        return tw_no_memory(err);
    }
    server->alloc = alloc;
    server->identity = identity;
    tw_buf_init(&server->answer, alloc, TW_RESPONSE_LIMIT);
    enum tumble_code code = start_daemon(server, err);
    if (code != TUMBLE_OK) {
        tw_sandbox_server_close(server);
        return code;
    }
    *out = server;
    return TUMBLE_OK;
}

void tw_sandbox_server_close(struct tw_sandbox_server *server) {
    if (!server) {
        return;
    }
    if (server->daemon) { /* which must not be stopped while connections are suspended */
        for (struct request *request = server->requests; request; request = request->next) {
            request->is_refused = true;
            unpark(request);
        }
        MHD_stop_daemon(server->daemon);
    }
    tw_buf_clean_up(&server->answer);
    struct tumble_alloc alloc = server->alloc;
    tw_free(&alloc, server);
}

unsigned tw_sandbox_server_port(const struct tw_sandbox_server *server) { return server->port; }

enum tumble_code tw_sandbox_server_run(struct tw_sandbox_server *server, int wake_fd, int64_t wait_ms, bool *busy,
                                       struct tumble_error *err) {
    MHD_UNSIGNED_LONG_LONG due = 0;
    server->worked = false;
    bool waits = MHD_get_timeout(server->daemon, &due) != MHD_YES || due > 0;
    if (waits && wait_ms > 0) {
        struct pollfd fds[2] = {{.fd = server->epoll_fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
        poll(fds, wake_fd >= 0 ? 2 : 1, wait_ms > 60000 ? 60000 : (int)wait_ms);
    }
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        if (MHD_run(server->daemon) != MHD_YES) {
            return tw_fail(err, TUMBLE_EINTERNAL, "Runtime API: libmicrohttpd cannot go on");
        }
        if (MHD_get_timeout(server->daemon, &due) != MHD_YES || due > 0) {
            break;
        }
    }
    *busy = server->worked;
    return server->no_memory ? tw_no_memory(err) : TUMBLE_OK;
}

/* ---- what its caller sees ---- */

bool tw_sandbox_server_heard(const struct tw_sandbox_server *server) { return server->heard; }

bool tw_sandbox_server_ready(struct tw_sandbox_server *server) { return drop_the_dead(server); }

/* Made of the request's id, so that it is the same in the same run. */
static void make_trace_id(struct tw_sandbox_server *server) {
    char digits[33];
    size_t count = 0;
    for (const char *at = server->request_id; *at && count < sizeof digits - 1; at++) {
        if (*at != '-') {
            digits[count++] = *at;
        }
    }
    memset(digits + count, '0', sizeof digits - 1 - count);
    digits[sizeof digits - 1] = '\0';
    snprintf(server->trace_id, sizeof server->trace_id, "Root=1-%.8s-%.24s;Parent=%.16s;Sampled=0", digits, digits + 8,
             digits + 16);
}

void tw_sandbox_server_offer(struct tw_sandbox_server *server, const struct tw_sandbox_invocation *invocation) {
    struct request *request = server->parked;
    if (!request) {
        return;
    }
    snprintf(server->request_id, sizeof server->request_id, "%s", invocation->request_id);
    snprintf(server->invocation_id, sizeof server->invocation_id, "%s", invocation->invocation_id);
    make_trace_id(server);
    server->event = invocation->event;
    server->deadline_ms = invocation->deadline_ms;
    server->outcome = TW_SANDBOX_NOTHING;
    server->was_too_large = false;
    server->phase = BUSY;
    server->parked = NULL;
    server->sending = request;
    server->sent_us = tw_monotonic_us();
    tw_sandbox_extensions_owe_invoke(&server->extensions, server->request_id, server->identity->function_arn,
                                     server->trace_id, server->deadline_ms);
    wake_extensions(server);
    request->is_given = true;
    unpark(request);
}

enum tw_sandbox_outcome tw_sandbox_server_outcome(const struct tw_sandbox_server *server, struct tumble_bytes *body) {
    *body = server->outcome == TW_SANDBOX_NOTHING ? (struct tumble_bytes){0} : tw_buf_view(&server->answer);
    return server->outcome;
}

void tw_sandbox_server_take_answer(struct tw_sandbox_server *server, struct tw_buf *into) {
    struct tw_buf old = *into;
    *into = server->answer;
    server->answer = old;
    tw_buf_clear(&server->answer);
}

bool tw_sandbox_server_was_too_large(const struct tw_sandbox_server *server) { return server->was_too_large; }

bool tw_sandbox_server_settled(const struct tw_sandbox_server *server) {
    return !server->sending && !server->answering;
}

int64_t tw_sandbox_server_sent_us(const struct tw_sandbox_server *server) { return server->sent_us; }

int64_t tw_sandbox_server_answered_us(const struct tw_sandbox_server *server) { return server->answered_us; }

int64_t tw_sandbox_server_shutdown_ms(const struct tw_sandbox_server *server) {
    return tw_sandbox_extensions_shutdown_ms(&server->extensions);
}

void tw_sandbox_server_shut_down(struct tw_sandbox_server *server, const char *reason, int64_t deadline_ms) {
    tw_sandbox_extensions_owe_shutdown(&server->extensions, reason, deadline_ms);
    wake_extensions(server);
}
