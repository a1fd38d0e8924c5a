#ifndef TESTS_CANNED_SERVER_H
#define TESTS_CANNED_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* An HTTP server that answers the requests it gets, in order, with what a test laid out, faults included, and keeps
 * their bytes. It listens on loopback, at a port of the system's choice. */

enum canned_how {
    CANNED_KEEP,  /* send the answer, keep the connection */
    CANNED_CLOSE, /* send it, close */
    CANNED_RESET, /* send it, reset the connection */
    CANNED_STALL, /* send it and then nothing, until the client goes */
    CANNED_DRIP   /* a byte every 100 ms, until the client goes or the end */
};

struct canned {
    const char *answer; /* NUL-terminated; NULL: nothing is sent */
    enum canned_how how;
};

enum { CANNED_MOST = 64 };

struct canned_server {
    const struct canned *answers;
    size_t count;
    int listener;
    int port;
    char url[64];
    pthread_t thread;
    size_t connections;
    size_t served;
    char *requests[CANNED_MOST]; /* NUL-terminated, heads and body */
};

/* Reads a whole request; NULL: the client is gone. */
static char *canned_read(int fd) {
    size_t capacity = 1 << 20;
    size_t length = 0;
    char *text = malloc(capacity);
    for (;;) {
        ssize_t got = length + 1 < capacity ? recv(fd, text + length, capacity - 1 - length, 0) : 0;
        if (got <= 0) {
            free(text);
            return NULL;
        }
        length += (size_t)got;
        text[length] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        if (body) {
            const char *announced = strcasestr(text, "\r\ncontent-length:");
            size_t expected = announced && announced < body ? strtoul(announced + 17, NULL, 10) : 0;
            if (length >= (size_t)(body + 4 - text) + expected) {
                return text;
            }
        }
    }
}

static void canned_wait_for_end(int fd) {
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

/* false: this connection is over. */
static int canned_answer(int fd, const struct canned *canned) {
    size_t length = canned->answer ? strlen(canned->answer) : 0;
    if (canned->how == CANNED_DRIP) {
        for (size_t i = 0; i < length; i++) {
            if (send(fd, canned->answer + i, 1, MSG_NOSIGNAL) != 1) {
                break;
            }
            usleep(100000);
        }
        return 0;
    }
    size_t sent = 0;
    while (sent < length) {
        ssize_t now = send(fd, canned->answer + sent, length - sent, MSG_NOSIGNAL);
        if (now <= 0) {
            return 0;
        }
        sent += (size_t)now;
    }
    if (canned->how == CANNED_STALL) {
        canned_wait_for_end(fd);
    } else if (canned->how == CANNED_RESET) {
        usleep(50000); /* so that the client sees what came before */
        struct linger linger = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    return canned->how == CANNED_KEEP;
}

static void *canned_serve(void *ctx) {
    struct canned_server *server = ctx;
    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        server->connections++;
        int open = 1;
        while (open && server->served < server->count) {
            char *request = canned_read(fd);
            if (!request) {
                break;
            }
            server->requests[server->served] = request;
            open = canned_answer(fd, &server->answers[server->served++]);
        }
        close(fd);
    }
}

static int canned_start(struct canned_server *server, const struct canned *answers, size_t count) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    memset(server, 0, sizeof *server);
    server->answers = answers;
    server->count = count;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (count > CANNED_MOST || bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 16) != 0 || getsockname(server->listener, (struct sockaddr *)&address, &length) != 0) {
        return 0;
    }
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
    return pthread_create(&server->thread, NULL, canned_serve, server) == 0;
}

/* Ends once the client has closed its connection; what was recorded stays until canned_forget. */
static void canned_stop(struct canned_server *server) {
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static void canned_forget(struct canned_server *server) {
    for (size_t i = 0; i < server->served; i++) {
        free(server->requests[i]);
        server->requests[i] = NULL;
    }
}

#endif
