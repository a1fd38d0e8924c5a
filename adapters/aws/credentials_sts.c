#include "adapters/aws/aws_text.h"
#include "adapters/aws/credentials_internal.h"
#include "adapters/aws/digest.h"
#include "adapters/aws/endpoint.h"
#include "adapters/aws/retry.h"
#include "engine/base/fail.h"

enum { TOKEN_BYTES = 64 * 1024, FORM_BYTES = 256 * 1024, STS_MS = 20000, ATTEMPTS = 3 };

/* What says who to be: the environment's, or the profile's. */
struct identity {
    const char *role_arn;
    const char *token_file;
    const char *session_name;
};

static bool find_identity(const struct tw_aws_credentials_options *options, struct identity *identity) {
    const struct tw_aws_host *host = options->host;
    if (!options->explicit_profile) {
        identity->role_arn = tw_aws_variable(host, "AWS_ROLE_ARN");
        identity->token_file = tw_aws_variable(host, "AWS_WEB_IDENTITY_TOKEN_FILE");
        identity->session_name = tw_aws_variable(host, "AWS_ROLE_SESSION_NAME");
        if (identity->role_arn && identity->token_file) {
            return true;
        }
    }
    identity->role_arn = tw_aws_profile_get(options->profile, "role_arn");
    identity->token_file = tw_aws_profile_get(options->profile, "web_identity_token_file");
    identity->session_name = tw_aws_profile_get(options->profile, "role_session_name");
    return identity->role_arn && identity->token_file;
}

static enum tumble_code read_token(const struct tw_aws_host *host, const char *path, struct tw_buf *token,
                                   struct tumble_error *err) {
    bool found = false;
    if (tw_buf_reserve(token, TOKEN_BYTES) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(host->read_file(host->ctx, path, token, &found, err));
    while (token->length && (unsigned char)token->data[token->length - 1] <= ' ') {
        token->length--;
    }
    if (!found || token->length == 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "web identity: no token in %.200s", path);
    }
    return TUMBLE_OK;
}

static enum tumble_code make_form(struct tw_buf *form, const struct identity *identity, struct tumble_bytes token) {
    const char *session = identity->session_name ? identity->session_name : "tumble";
    TW_TRY(tw_buf_reserve(form, token.length * 3 + 8192));
    TW_TRY(tw_buf_append_text(form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn="));
    TW_TRY(tw_percent_encode(form, tumble_bytes_of(identity->role_arn), false));
    TW_TRY(tw_buf_append_text(form, "&RoleSessionName="));
    TW_TRY(tw_percent_encode(form, tumble_bytes_of(session), false));
    TW_TRY(tw_buf_append_text(form, "&WebIdentityToken="));
    return tw_percent_encode(form, token, false);
}

static enum tumble_code take_answer(struct tw_aws_credentials *credentials, struct tumble_error *err) {
    struct tumble_bytes xml = tw_buf_view(&credentials->response.body);
    struct tumble_bytes keys;
    struct tumble_bytes id = {NULL, 0};
    struct tumble_bytes secret = {NULL, 0};
    struct tumble_bytes token = {NULL, 0};
    struct tumble_bytes end;
    int64_t expires_ms = INT64_MAX;
    if (!tw_xml_find(xml, "Credentials", &keys)) {
        return tw_fail(err, TUMBLE_EOUTPUT, "web identity: what STS answered holds no credentials");
    }
    tw_xml_find(keys, "AccessKeyId", &id);
    tw_xml_find(keys, "SecretAccessKey", &secret);
    tw_xml_find(keys, "SessionToken", &token);
    if (tw_xml_find(keys, "Expiration", &end) && !tw_iso_date(end, &expires_ms)) {
        return tw_fail(err, TUMBLE_EOUTPUT, "web identity: Expiration is no time in ISO 8601");
    }
    return tw_credentials_take(credentials, id, secret, token, expires_ms, "web identity", err);
}

/* Asks until there is an answer worth keeping. What STS says of a refusal is not repeated: only its code. */
static enum tumble_code ask(struct tw_aws_credentials *credentials, const char *url, struct tumble_bytes form,
                            int64_t deadline_ms, struct tumble_error *err) {
    static const struct tw_http_header headers[] = {{"Content-Type", "application/x-www-form-urlencoded"},
                                                    {"Accept", "text/xml"}};
    const struct tw_aws_host *host = credentials->options.host;
    const struct tw_http_response *response = &credentials->response;
    struct tw_http_request request = {
        .method = "POST", .url = url, .headers = headers, .header_count = 2, .body = form};
    for (int attempt = 1;; attempt++) {
        enum tumble_code code =
            tw_credentials_ask(credentials, &credentials->sts, true, &request, STS_MS, deadline_ms, err);
        char name[128] = "";
        struct tumble_bytes text;
        if (code == TUMBLE_OK && response->status != 200 && tw_xml_find(tw_buf_view(&response->body), "Code", &text)) {
            tw_copy_cut(text, name, sizeof name);
        }
        enum tw_aws_kind kind = tw_aws_classify(response->status, response->failure, name);
        if (code == TUMBLE_OK && kind == TW_AWS_SUCCESS) {
            return TUMBLE_OK;
        }
        bool again = kind == TW_AWS_TRANSIENT || kind == TW_AWS_THROTTLED;
        if (code == TUMBLE_OK) {
            code = tw_fail(err, again ? TUMBLE_EOUTPUT : TUMBLE_EUSAGE, "web identity: STS answered %d %s",
                           response->status, name);
        }
        int64_t wait_ms = tw_backoff_ms(1000, 5000, attempt, host->random(host->ctx));
        if (!again || attempt == ATTEMPTS ||
            (deadline_ms != TW_NO_DEADLINE && host->steady_ms(host->ctx) + wait_ms >= deadline_ms)) {
            return code;
        }
        host->sleep_ms(host->ctx, wait_ms);
    }
}

static enum tumble_code endpoint_url(const struct tw_aws_credentials_options *options, struct tw_aws_endpoint *endpoint,
                                     struct tumble_error *err) {
    TW_TRY(tw_aws_endpoint_init(endpoint, options->host, options->profile, TW_AWS_STS,
                                options->region ? options->region : "us-east-1", NULL, options->alloc, err));
    endpoint->url.length--; /* its NUL */
    enum tumble_code code = tw_buf_append(&endpoint->url, "/", 2);
    return code == TUMBLE_OK ? code : tw_no_memory(err);
}

enum tumble_code tw_credentials_from_web_identity(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                                  bool *configured, struct tumble_error *err) {
    const struct tw_aws_credentials_options *options = &credentials->options;
    struct identity identity;
    *configured = find_identity(options, &identity);
    if (!*configured) {
        return TUMBLE_OK;
    }
    struct tw_aws_endpoint endpoint = {0};
    struct tw_buf token;
    struct tw_buf form;
    tw_buf_init(&token, options->alloc, TOKEN_BYTES);
    tw_buf_init(&form, options->alloc, FORM_BYTES);
    enum tumble_code code = endpoint_url(options, &endpoint, err);
    if (code == TUMBLE_OK) {
        code = read_token(options->host, identity.token_file, &token, err);
    }
    if (code == TUMBLE_OK && make_form(&form, &identity, tw_buf_view(&token)) != TUMBLE_OK) {
        code = tw_no_memory(err);
    }
    if (code == TUMBLE_OK) {
        code = ask(credentials, endpoint.url.data, tw_buf_view(&form), deadline_ms, err);
    }
    if (code == TUMBLE_OK) {
        code = take_answer(credentials, err);
    }
    tw_wipe(token.data, token.capacity);
    tw_wipe(form.data, form.capacity);
    tw_buf_clean_up(&token);
    tw_buf_clean_up(&form);
    tw_aws_endpoint_clean_up(&endpoint);
    return code;
}
