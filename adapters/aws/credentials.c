#include "adapters/aws/credentials_internal.h"

#include "adapters/aws/aws_text.h"
#include "adapters/aws/digest.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

enum {
    KEYS_BYTES = 64 * 1024, /* of a whole answer, and of what is kept of it: room from the start, so that growing leaves
                               no copies of secrets behind */
    AHEAD_MS = 15 * 60 * 1000, /* of the end, as botocore does */
    AGAIN_MS = 60 * 1000       /* between attempts to fetch ahead */
};

static tw_credential_source from_environment;
static tw_credential_source from_shared_files;

static const struct {
    const char *name;
    tw_credential_source *fetch;
} sources[] = {
    {"environment", from_environment},
    {"web identity", tw_credentials_from_web_identity},
    {"shared files", from_shared_files},
    {"credential_process", tw_credentials_from_process},
    {"container", tw_credentials_from_container},
    {"instance", tw_credentials_from_instance},
};
enum { SOURCES = sizeof sources / sizeof *sources };

static void wipe(struct tw_fetched *fetched) {
    tw_wipe(fetched->text.data, fetched->text.capacity);
    tw_buf_clear(&fetched->text);
}

enum tumble_code tw_aws_credentials_open(const struct tw_aws_credentials_options *options,
                                         struct tw_aws_credentials **out, struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tw_aws_credentials *credentials = tw_alloc_zero(&alloc, sizeof *credentials);
    *out = NULL;
    if (!credentials) {
        return tw_no_memory(err);
    }
    credentials->options = *options;
    credentials->options.alloc = alloc;
    credentials->source = -1;
    tw_buf_init(&credentials->now.text, alloc, KEYS_BYTES);
    tw_buf_init(&credentials->next.text, alloc, KEYS_BYTES);
    tw_http_response_init(&credentials->response, alloc, KEYS_BYTES);
    *out = credentials;
    return TUMBLE_OK;
}

void tw_aws_credentials_destroy(struct tw_aws_credentials *credentials) {
    if (!credentials) {
        return;
    }
    struct tumble_alloc alloc = credentials->options.alloc;
    wipe(&credentials->now);
    wipe(&credentials->next);
    tw_credentials_wipe_response(credentials);
    tw_buf_clean_up(&credentials->now.text);
    tw_buf_clean_up(&credentials->next.text);
    tw_http_response_clean_up(&credentials->response);
    tw_http_destroy(credentials->metadata);
    tw_http_destroy(credentials->sts);
    tw_free(&alloc, credentials);
}

/* A key with a space, a newline or a NUL is a mistake of whoever set it, and would end a header early. */
static bool sane(struct tumble_bytes text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

enum tumble_code tw_credentials_take(struct tw_aws_credentials *credentials, struct tumble_bytes access_key_id,
                                     struct tumble_bytes secret, struct tumble_bytes token, int64_t expires_ms,
                                     const char *where, struct tumble_error *err) {
    struct tw_fetched *next = &credentials->next;
    if (access_key_id.length == 0 || secret.length == 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: the %s is missing", where,
                       secret.length ? "access key id" : "secret access key");
    }
    if (!sane(access_key_id) || !sane(secret) || !sane(token)) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "%s: a key or token holds a space, a line end or another character no key has", where);
    }
    wipe(next);
    enum tumble_code code = tw_buf_reserve(&next->text, KEYS_BYTES);
    if (code == TUMBLE_OK && access_key_id.length + secret.length + token.length + 3 > KEYS_BYTES) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: keys or token are longer than any there are", where);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append(&next->text, access_key_id.data, access_key_id.length);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&next->text, '\0');
    }
    next->secret = next->text.length;
    if (code == TUMBLE_OK) {
        code = tw_buf_append(&next->text, secret.data, secret.length);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&next->text, '\0');
    }
    next->token = token.length ? next->text.length : 0;
    if (code == TUMBLE_OK) {
        code = tw_buf_append(&next->text, token.data, token.length);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append_byte(&next->text, '\0');
    }
    next->expires_ms = expires_ms;
    return code == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(err);
}

static struct tumble_bytes raw_member(const struct tumble_value *object, const char *name) {
    struct tumble_value value;
    struct tumble_bytes none = {NULL, 0};
    if (!tw_json_member(object, name, &value) || value.type != TUMBLE_TYPE_STRING) {
        return none;
    }
    struct tumble_bytes text = {value.text, value.length};
    return text;
}

/* Keys are base64-like and need no escapes but perhaps \/, which some writers put: it is undone in place. */
static struct tumble_bytes plain_member(const struct tumble_value *object, const char *name, char *scratch) {
    struct tumble_value value;
    struct tumble_bytes text = raw_member(object, name);
    if (text.length && tw_json_member(object, name, &value) && (value.flags & TUMBLE_VALUE_ESCAPED)) {
        text.length = tumble_value_text(&value, scratch, value.length);
        text.data = scratch;
    }
    return text;
}

enum tumble_code tw_credentials_take_json(struct tw_aws_credentials *credentials, struct tumble_bytes json,
                                          const char *token, const char *where, struct tumble_error *err) {
    const struct tumble_alloc *alloc = &credentials->options.alloc;
    struct tumble_value object;
    if (tw_json_document(json, TUMBLE_TYPE_OBJECT, &object, NULL) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: the answer is no JSON object", where);
    }
    int64_t expires_ms = INT64_MAX;
    struct tumble_bytes end = raw_member(&object, "Expiration");
    if (end.length && !tw_iso_date(end, &expires_ms)) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: Expiration is no time in ISO 8601", where);
    }
    char *scratch = tw_alloc(alloc, json.length * 3);
    if (!scratch) {
        return tw_no_memory(err);
    }
    enum tumble_code code =
        tw_credentials_take(credentials, plain_member(&object, "AccessKeyId", scratch),
                            plain_member(&object, "SecretAccessKey", scratch + json.length),
                            plain_member(&object, token, scratch + 2 * json.length), expires_ms, where, err);
    tw_wipe(scratch, json.length * 3);
    tw_free(alloc, scratch);
    return code;
}

enum tumble_code tw_credentials_ask(struct tw_aws_credentials *credentials, struct tw_http_client **client,
                                    bool use_proxy, const struct tw_http_request *request, int64_t timeout_ms,
                                    int64_t deadline_ms, struct tumble_error *err) {
    const struct tw_aws_credentials_options *options = &credentials->options;
    if (!*client) {
        struct tw_http_options http = {options->alloc, use_proxy, options->ca_bundle, NULL};
        TW_TRY(tw_http_open(&http, client, err));
    }
    if (tw_buf_reserve(&credentials->response.body, KEYS_BYTES - credentials->response.body.length) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    struct tw_http_request timed = *request;
    timed.timeout_ms = timeout_ms;
    timed.connect_timeout_ms = timeout_ms;
    if (deadline_ms != TW_NO_DEADLINE) {
        int64_t left = deadline_ms - options->host->steady_ms(options->host->ctx);
        if (left <= 0) {
            credentials->response.failure = TW_HTTP_TIMEOUT;
            return tw_fail(err, TUMBLE_EOUTPUT, "no time left to fetch credentials");
        }
        timed.timeout_ms = left < timeout_ms ? left : timeout_ms;
    }
    return tw_http_send(*client, &timed, &credentials->response, err);
}

void tw_credentials_wipe_response(struct tw_aws_credentials *credentials) {
    tw_wipe(credentials->response.body.data, credentials->response.body.capacity);
    tw_buf_clear(&credentials->response.body);
}

static enum tumble_code from_environment(struct tw_aws_credentials *credentials, int64_t deadline_ms, bool *configured,
                                         struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    (void)deadline_ms;
    const char *id = tw_aws_variable(host, "AWS_ACCESS_KEY_ID");
    *configured = id && !credentials->options.explicit_profile;
    if (!*configured) {
        return TUMBLE_OK;
    }
    return tw_credentials_take(credentials, tumble_bytes_of(id),
                               tumble_bytes_of(tw_aws_variable(host, "AWS_SECRET_ACCESS_KEY")),
                               tumble_bytes_of(tw_aws_variable(host, "AWS_SESSION_TOKEN")), INT64_MAX,
                               "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", err);
}

/* What the AWS CLI would do with such a profile, and we do not: better no credentials than another identity's. */
static enum tumble_code refuse_what_we_cannot(const struct tw_aws_profile *profile, struct tumble_error *err) {
    const char *what = NULL;
    if (tw_aws_profile_get(profile, "role_arn") && !tw_aws_profile_get(profile, "web_identity_token_file")) {
        what = "assumes a role";
    } else if (tw_aws_profile_get(profile, "sso_session") || tw_aws_profile_get(profile, "sso_start_url")) {
        what = "signs in with SSO";
    }
    if (!what) {
        return TUMBLE_OK;
    }
    return tw_fail(err, TUMBLE_EUSAGE,
                   "the AWS profile \"%.60s\" %s, which tumble leaves to the AWS CLI: make another profile with "
                   "credential_process = aws configure export-credentials --profile %.60s",
                   profile->name, what, profile->name);
}

static enum tumble_code take_profile(struct tw_aws_credentials *credentials, const struct tw_aws_profile *profile,
                                     bool *configured, struct tumble_error *err) {
    TW_TRY(refuse_what_we_cannot(profile, err));
    const char *id = tw_aws_profile_get(profile, "aws_access_key_id");
    /* Of the config file, credential_process comes before the keys. */
    *configured = id && (tw_aws_profile_from_credentials(profile, "aws_access_key_id") ||
                         !tw_aws_profile_get(profile, "credential_process"));
    if (!*configured) {
        return TUMBLE_OK;
    }
    char where[160];
    tw_copy_cut(tumble_bytes_of(profile->name), where, 100);
    memcpy(where + strlen(where), " (AWS profile)", sizeof " (AWS profile)");
    return tw_credentials_take(
        credentials, tumble_bytes_of(id), tumble_bytes_of(tw_aws_profile_get(profile, "aws_secret_access_key")),
        tumble_bytes_of(tw_aws_profile_get(profile, "aws_session_token")), INT64_MAX, where, err);
}

static enum tumble_code from_shared_files(struct tw_aws_credentials *credentials, int64_t deadline_ms, bool *configured,
                                          struct tumble_error *err) {
    const struct tw_aws_credentials_options *options = &credentials->options;
    (void)deadline_ms;
    if (credentials->source < 0) {
        return take_profile(credentials, options->profile, configured, err);
    }
    /* Again: somebody may have written new keys since. */
    struct tw_aws_profile fresh;
    TW_TRY(tw_aws_profile_load(&fresh, options->host, options->profile->named ? options->profile->name : NULL,
                               options->alloc, err));
    enum tumble_code code = take_profile(credentials, &fresh, configured, err);
    tw_aws_profile_clean_up(&fresh);
    return code;
}

/* Fills credentials->next from the source that had them before, or the first that has any. */
static enum tumble_code fetch(struct tw_aws_credentials *credentials, int64_t deadline_ms, struct tumble_error *err) {
    int first = credentials->source < 0 ? 0 : credentials->source;
    int last = credentials->source < 0 ? SOURCES - 1 : credentials->source;
    for (int i = first; i <= last; i++) {
        bool configured = false;
        enum tumble_code code = sources[i].fetch(credentials, deadline_ms, &configured, err);
        tw_credentials_wipe_response(credentials);
        if (code != TUMBLE_OK) {
            return code;
        }
        if (configured) {
            credentials->source = i;
            return TUMBLE_OK;
        }
    }
    if (credentials->source >= 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "the AWS credentials from %s are gone", sources[credentials->source].name);
    }
    return tw_fail(err, TUMBLE_EUSAGE,
                   "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (asked: %s"
                   "web identity, profile \"%.60s\", container, instance)",
                   credentials->options.explicit_profile ? "" : "environment, ", credentials->options.profile->name);
}

static void view(const struct tw_aws_credentials *credentials, struct tw_aws_keys *keys) {
    const struct tw_fetched *now = &credentials->now;
    keys->access_key_id = now->text.data;
    keys->secret_access_key = now->text.data + now->secret;
    keys->session_token = now->token ? now->text.data + now->token : NULL;
}

enum tumble_code tw_aws_credentials_get(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                        struct tw_aws_keys *keys, struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    int64_t now_ms = host->now_ms(host->ctx);
    int64_t steady_ms = host->steady_ms(host->ctx);
    int64_t expires_ms = credentials->now.expires_ms;
    bool valid = credentials->have && expires_ms > now_ms;
    if (!valid || (expires_ms - now_ms <= AHEAD_MS && steady_ms >= credentials->next_try_ms)) {
        enum tumble_code code = fetch(credentials, deadline_ms, valid ? NULL : err);
        credentials->next_try_ms = host->steady_ms(host->ctx) + AGAIN_MS;
        if (code == TUMBLE_OK && credentials->next.expires_ms <= now_ms) {
            wipe(&credentials->next);
            code = tw_fail(valid ? NULL : err, TUMBLE_EOUTPUT, "the AWS credentials from %s have expired",
                           sources[credentials->source].name);
        }
        if (code == TUMBLE_OK) {
            struct tw_fetched old = credentials->now;
            credentials->now = credentials->next;
            credentials->next = old;
            wipe(&credentials->next);
            credentials->have = true;
        } else if (!valid) {
            return code;
        }
    }
    view(credentials, keys);
    return TUMBLE_OK;
}

void tw_aws_credentials_forget(struct tw_aws_credentials *credentials) { credentials->have = false; }

const char *tw_aws_credentials_source(const struct tw_aws_credentials *credentials) {
    return credentials->source < 0 ? "none" : sources[credentials->source].name;
}
