/* What the scripts here ask of adapters/aws, each in a process of its own whose environment they choose:
 *   credentials [PROFILE]      the keys found, as JSON (to stdout only, and only here)
 *   http URL                   one GET: code, failure, status, length of the body
 *   calls SERVICE [--show]     calls from stdin, a line each: method, bucket, key, query, body, hex with tabs between;
 *                               answers status, code, attempts, body's length, and the body
 * Failures go to stderr, exit 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/aws/aws_client.h"
#include "adapters/aws/credentials.h"

enum { LINE = 1 << 20 };

static char line[LINE];
static char decoded[LINE];

static int fail_with(enum tumble_code code, const struct tumble_error *err) {
    fprintf(stderr, "%s: %s\n", tumble_code_name(code), err->text);
    return 1;
}

static int show_credentials(const char *profile_name) {
    struct tumble_error err = {0};
    struct tw_aws_profile profile;
    struct tw_aws_credentials *credentials = NULL;
    struct tw_aws_keys keys;
    struct tw_aws_credentials_options options = {.host = &tw_aws_host_real,
                                                 .profile = &profile,
                                                 .explicit_profile = profile_name != NULL,
                                                 .region = "us-east-1"};
    enum tumble_code code =
        tw_aws_profile_load(&profile, &tw_aws_host_real, profile_name, (struct tumble_alloc){0}, &err);
    if (code == TUMBLE_OK) {
        code = tw_aws_credentials_open(&options, &credentials, &err);
    }
    if (code == TUMBLE_OK) {
        code = tw_aws_credentials_get(credentials, TW_NO_DEADLINE, &keys, &err);
    }
    if (code == TUMBLE_OK) {
        printf("{\"source\": \"%s\", \"id\": \"%s\", \"secret\": \"%s\", \"token\": \"%s\"}\n",
               tw_aws_credentials_source(credentials), keys.access_key_id, keys.secret_access_key,
               keys.session_token ? keys.session_token : "");
    }
    tw_aws_credentials_destroy(credentials);
    tw_aws_profile_clean_up(&profile);
    return code == TUMBLE_OK ? 0 : fail_with(code, &err);
}

static int show_http(const char *url) {
    struct tumble_error err = {0};
    struct tw_http_options options = {.use_proxy = true};
    struct tw_http_client *client;
    struct tw_http_response response;
    struct tw_http_request request = {.method = "GET", .url = url, .timeout_ms = 10000};
    tw_http_response_init(&response, tw_alloc_default(), 1 << 20);
    enum tumble_code code = tw_http_open(&options, &client, &err);
    if (code == TUMBLE_OK) {
        code = tw_http_send(client, &request, &response, &err);
        printf("%s %d %d %zu\n", tumble_code_name(code), (int)response.failure, response.status, response.body.length);
    }
    tw_http_destroy(client);
    tw_http_response_clean_up(&response);
    return code == TUMBLE_OK ? 0 : fail_with(code, &err);
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static int split(struct tumble_bytes *fields, int most) {
    int count = 0;
    char *to = decoded;
    const char *at = line;
    while (count < most) {
        fields[count].data = to;
        for (; *at && *at != '\t' && *at != '\n'; at += 2) {
            *to++ = (char)(digit(at[0]) << 4 | digit(at[1]));
        }
        fields[count].length = (size_t)(to - fields[count].data);
        *to++ = '\0';
        count++;
        if (*at != '\t') {
            break;
        }
        at++;
    }
    return count;
}

static int make_calls(const char *service, int show) {
    struct tumble_error err = {0};
    struct tw_aws_options options = {.max_attempts = 1};
    struct tw_aws_client *client;
    int which = 0;
    while (which < TW_AWS_SERVICE_COUNT && strcmp(service, tw_aws_service_name((enum tw_aws_service)which)) != 0) {
        which++;
    }
    if (which == TW_AWS_SERVICE_COUNT) {
        fprintf(stderr, "no such service: %s\n", service);
        return 2;
    }
    enum tumble_code code = tw_aws_client_open(&options, (enum tw_aws_service)which, &client, &err);
    if (code != TUMBLE_OK) {
        return fail_with(code, &err);
    }
    while (fgets(line, sizeof line, stdin)) {
        struct tumble_bytes f[5];
        struct tw_aws_answer answer;
        if (split(f, 5) != 5) {
            fprintf(stderr, "a line of other than five fields\n");
            return 1;
        }
        struct tw_aws_call call = {.method = f[0].data,
                                   .bucket = f[1].length ? f[1].data : NULL,
                                   .path = f[2],
                                   .query = f[3].data,
                                   .body = f[4].length ? f[4] : (struct tumble_bytes){NULL, 0}};
        code = tw_aws_call(client, &call, &answer, &err);
        printf("%d %s %d %zu\n", answer.status, answer.code[0] ? answer.code : "-", answer.attempts,
               answer.body.length);
        if (show) {
            printf("%.*s\n", (int)answer.body.length, answer.body.data);
        }
        if (code != TUMBLE_OK) {
            fprintf(stderr, "%s: %s\n", tumble_code_name(code), err.text);
        }
    }
    tw_aws_client_destroy(client);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "credentials") == 0) {
        return show_credentials(argc > 2 ? argv[2] : NULL);
    }
    if (argc == 3 && strcmp(argv[1], "http") == 0) {
        return show_http(argv[2]);
    }
    if ((argc == 3 || (argc == 4 && strcmp(argv[3], "--show") == 0)) && strcmp(argv[1], "calls") == 0) {
        return make_calls(argv[2], argc == 4);
    }
    fprintf(stderr, "credentials [PROFILE] | http URL | calls SERVICE\n");
    return 2;
}
