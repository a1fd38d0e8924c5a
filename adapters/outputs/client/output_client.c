#include "adapters/outputs/client/output_client.h"

#include <stdio.h>
#include <string.h>

static bool stop(void *ctx) {
    const struct tw_output_client *client = ctx;
    return client->host && client->host->remaining_ms && client->host->remaining_ms(client->host->ctx) <= 0;
}

static enum tumble_code open_with(struct tw_output_client *client, enum tw_aws_service service,
                                  const struct tumble_output_host *host, struct tw_aws_options *options,
                                  struct tumble_error *err) {
    memset(client, 0, sizeof *client);
    client->host = host;
    options->stop = stop;
    options->stop_ctx = client;
    enum tumble_code code = tw_aws_client_open(options, service, &client->aws, err);
    if (code == TUMBLE_OK) {
        client->system = tw_aws_client_host(client->aws);
    }
    return code;
}

const struct tumble_option_value *tw_output_option(const struct tumble_output_open *how, const char *name) {
    for (size_t i = 0; i < how->option_count; i++) {
        if (strcmp(how->options[i].name, name) == 0 && how->options[i].value) {
            return &how->options[i];
        }
    }
    return NULL;
}

static const char *text_of(const struct tumble_output_open *how, const char *name) {
    const struct tumble_option_value *option = tw_output_option(how, name);
    return option ? option->value : NULL;
}

enum tumble_code tw_output_client_open(struct tw_output_client *client, enum tw_aws_service service,
                                       const struct tumble_output_open *how, struct tumble_error *err) {
    struct tw_aws_options options = {.region = text_of(how, "region"),
                                     .profile = text_of(how, "profile"),
                                     .endpoint_url = text_of(how, "endpoint-url")};
    return open_with(client, service, how->host, &options, err);
}

enum tumble_code tw_output_client_open_plain(struct tw_output_client *client, enum tw_aws_service service,
                                             const struct tumble_output_host *host, struct tumble_error *err) {
    struct tw_aws_options options = {0};
    return open_with(client, service, host, &options, err);
}

void tw_output_client_close(struct tw_output_client *client) {
    tw_aws_client_destroy(client->aws);
    client->aws = NULL;
}

static int64_t remaining(const struct tw_output_client *client) {
    return client->host && client->host->remaining_ms ? client->host->remaining_ms(client->host->ctx) : INT64_MAX;
}

int64_t tw_output_client_deadline(const struct tw_output_client *client) {
    int64_t left = remaining(client), deadline;
    if (__builtin_add_overflow(client->system->steady_ms(client->system->ctx), left, &deadline)) {
        return TW_NO_DEADLINE;
    }
    return deadline > 0 ? deadline : 1; /* 0 would mean none */
}

bool tw_output_client_wait(struct tw_output_client *client, int64_t ms) {
    enum { STEP_MS = 100 };
    int64_t end = client->system->steady_ms(client->system->ctx) + ms;
    if (remaining(client) <= ms) {
        return false; /* there would be no time left to do anything with */
    }
    for (;;) {
        int64_t left = end - client->system->steady_ms(client->system->ctx);
        if (left <= 0) {
            return true;
        }
        if (remaining(client) <= 0) {
            return false;
        }
        client->system->sleep_ms(client->system->ctx, left < STEP_MS ? left : STEP_MS);
    }
}

void tw_output_delivered(struct tumble_delivery *delivery) {
    delivery->outcome = TUMBLE_DELIVERED;
    delivery->retry_after_ms = 0;
    delivery->reason = NULL;
}

enum tumble_code tw_output_hold(struct tw_output_client *client, struct tumble_delivery *out, size_t from, size_t count,
                                enum tumble_code code, const struct tumble_error *failure, struct tumble_error *err) {
    bool passing = code == TUMBLE_EOUTPUT || code == TUMBLE_EINTERRUPTED || code == TUMBLE_ENOMEM;
    if (from == 0 && !passing) {
        if (err) {
            *err = *failure;
        }
        return code;
    }
    snprintf(client->reason, sizeof client->reason, "%s", failure->text);
    for (size_t i = from; i < count; i++) {
        out[i].outcome = TUMBLE_RETRY;
        out[i].retry_after_ms = client->answer.retry_after_ms > 0 ? client->answer.retry_after_ms : 0;
        out[i].reason = client->reason;
    }
    return TUMBLE_OK;
}
