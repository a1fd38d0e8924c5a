#ifndef TW_CREDENTIALS_INTERNAL_H
#define TW_CREDENTIALS_INTERNAL_H

#include "adapters/aws/credentials.h"
#include "adapters/aws/http.h"

/* What the sources share: credentials.c (the chain, environment, shared files), credentials_process.c,
 * credentials_sts.c (web identity), credentials_metadata.c (container, instance). */

/* Keys as a source gave them. */
struct tw_fetched {
    struct tw_buf text; /* access key, secret, token: each NUL-terminated */
    size_t secret;
    size_t token;       /* 0: none */
    int64_t expires_ms; /* INT64_MAX: never */
};

struct tw_aws_credentials {
    struct tw_aws_credentials_options options;
    struct tw_fetched now;
    struct tw_fetched next; /* being fetched */
    bool have;
    int source;                      /* index of the one that has them, -1: not known yet */
    int64_t next_try_ms;             /* steady clock: not fetched ahead of its end before */
    struct tw_http_client *metadata; /* no proxy; opened at first use */
    struct tw_http_client *sts;
    struct tw_http_response response; /* holds secrets: wiped after each use */
};

/* A source: *configured false and OK: nothing says that it is to be used. */
typedef enum tumble_code tw_credential_source(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                              bool *configured, struct tumble_error *err);

tw_credential_source tw_credentials_from_web_identity;
tw_credential_source tw_credentials_from_process;
tw_credential_source tw_credentials_from_container;
tw_credential_source tw_credentials_from_instance;

/* Puts keys into credentials->next; token may be empty. where names the source for messages. Errors: ENOMEM, EUSAGE (a
 * character that no key has, one that is missing). */
enum tumble_code tw_credentials_take(struct tw_aws_credentials *credentials, struct tumble_bytes access_key_id,
                                     struct tumble_bytes secret, struct tumble_bytes token, int64_t expires_ms,
                                     const char *where, struct tumble_error *err);
/* The same from {"AccessKeyId":…,"SecretAccessKey":…,TOKEN:…,"Expiration":…}. */
enum tumble_code tw_credentials_take_json(struct tw_aws_credentials *credentials, struct tumble_bytes json,
                                          const char *token, const char *where, struct tumble_error *err);

/* One request, at most timeout_ms and not beyond the deadline, its answer in credentials->response, which the caller
 * wipes with tw_credentials_wipe_response. */
enum tumble_code tw_credentials_ask(struct tw_aws_credentials *credentials, struct tw_http_client **client,
                                    bool use_proxy, const struct tw_http_request *request, int64_t timeout_ms,
                                    int64_t deadline_ms, struct tumble_error *err);
void tw_credentials_wipe_response(struct tw_aws_credentials *credentials);

/* Splits a command as the AWS CLI does (POSIX words: quotes, backslashes; no shell, no expansion): argv ends in NULL
 * and points into text. Errors: EUSAGE (an open quote, nothing, more than capacity-1 words). */
enum tumble_code tw_split_command(char *text, char **argv, size_t capacity, struct tumble_error *err);

/* May keys and the token be sent there? https anywhere; http only to loopback and the addresses of ECS and EKS. */
bool tw_container_uri_allowed(const char *uri);

#endif
