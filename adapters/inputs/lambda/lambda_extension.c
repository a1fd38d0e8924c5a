#include "adapters/inputs/lambda/lambda_extension.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"

enum { TEXT_BYTES = 256, URL_BYTES = 384, CONNECT_MS = 1000, REGISTER_MS = 2000, STACK_BYTES = 1024 * 1024 };

static const char version[] = "2020-01-01";

struct waiter {
    struct tumble_alloc alloc;
    char address[TEXT_BYTES];
    char identifier[TEXT_BYTES];
};

/* Runs until the process ends, or until the Extensions API says that there is nothing to wait for. */
static void *wait_for_events(void *argument) {
    struct waiter *waiter = argument;
    char url[URL_BYTES];
    struct tw_http_header header = {"Lambda-Extension-Identifier", waiter->identifier};
    struct tw_http_options options = {.alloc = waiter->alloc};
    struct tw_http_client *client = NULL;
    struct tw_http_response response;
    snprintf(url, sizeof url, "http://%s/%s/extension/event/next", waiter->address, version);
    struct tw_http_request request = {
        .method = "GET", .url = url, .headers = &header, .header_count = 1, .connect_timeout_ms = CONNECT_MS};
    tw_http_response_init(&response, waiter->alloc, 64 * 1024);
    if (tw_http_open(&options, &client, NULL) == TUMBLE_OK) {
        while (tw_http_send(client, &request, &response, NULL) == TUMBLE_OK && response.status == 200) {
        }
    }
    tw_http_destroy(client);
    tw_http_response_clean_up(&response);
    struct tumble_alloc alloc = waiter->alloc;
    tw_free(&alloc, waiter);
    return NULL;
}

/* SIGTERM is for the thread that runs invocations. */
static int start_thread(struct waiter *waiter) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int failed = pthread_attr_init(&attributes);
    if (failed) {
        return failed;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, &attributes, wait_for_events, waiter);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

static bool take_identifier(const struct tw_http_response *response, char out[TEXT_BYTES]) {
    struct tumble_bytes value;
    bool ok = tw_http_header(response, "lambda-extension-identifier", &value) && value.length > 0 &&
              value.length < TEXT_BYTES;
    for (size_t i = 0; ok && i < value.length; i++) {
        ok = value.data[i] > ' ' && value.data[i] <= '~';
    }
    if (ok) {
        memcpy(out, value.data, value.length);
        out[value.length] = '\0';
    }
    return ok;
}

enum tumble_code tw_lambda_extension_start(struct tw_http_client *client, struct tw_http_response *response,
                                           const char *address, const char *name, struct tumble_alloc alloc,
                                           struct tumble_error *err) {
    char url[URL_BYTES];
    struct tw_http_header headers[] = {{"Lambda-Extension-Name", name}, {"Content-Type", "application/json"}};
    struct tw_http_request request = {.method = "POST",
                                      .url = url,
                                      .headers = headers,
                                      .header_count = 2,
                                      .body = tumble_bytes_of("{\"events\":[]}"),
                                      .connect_timeout_ms = CONNECT_MS,
                                      .timeout_ms = REGISTER_MS};
    snprintf(url, sizeof url, "http://%s/%s/extension/register", address, version);
    TW_TRY(tw_http_send(client, &request, response, err));
    if (response->status != 200) {
        return tw_fail(err, TUMBLE_EINPUT, "the Extensions API answered with status %d", response->status);
    }
    struct waiter *waiter = tw_alloc_zero(&alloc, sizeof *waiter);
    if (!waiter) {
        return tw_no_memory(err);
    }
    waiter->alloc = alloc;
    snprintf(waiter->address, sizeof waiter->address, "%s", address);
    int failed = 0;
    if (!take_identifier(response, waiter->identifier) || (failed = start_thread(waiter)) != 0) {
        tw_free(&alloc, waiter);
        return tw_fail(err, TUMBLE_EINPUT, "the Extensions API: %s",
                       failed ? strerror(failed) : "no Lambda-Extension-Identifier came");
    }
    return TUMBLE_OK;
}
