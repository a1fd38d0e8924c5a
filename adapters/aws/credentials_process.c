#include "adapters/aws/aws_text.h"
#include "adapters/aws/credentials_internal.h"
#include "adapters/aws/digest.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

enum { WORDS = 256, OUTPUT_BYTES = 64 * 1024, PROCESS_MS = 60000 };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* Copies a word to *to, undoing quotes; returns the place behind it, NULL for a quote that does not end. */
static char *take_word(char *at, char **to) {
    char quote = '\0';
    for (; *at && (quote || !is_space(*at)); at++) {
        if (quote == '\'') {
            if (*at == '\'') {
                quote = '\0';
                continue;
            }
        } else if (*at == '\\' && (!quote || at[1] == '"' || at[1] == '\\')) {
            if (!at[1]) {
                return NULL;
            }
            at++;
        } else if (quote ? *at == quote : *at == '"' || *at == '\'') {
            quote = quote ? '\0' : *at;
            continue;
        }
        *(*to)++ = *at;
    }
    return quote ? NULL : at;
}

enum tumble_code tw_split_command(char *text, char **argv, size_t capacity, struct tumble_error *err) {
    size_t count = 0;
    char *at = text;
    char *to = text;
    for (;;) {
        while (is_space(*at)) {
            at++;
        }
        if (!*at) {
            break;
        }
        if (count + 1 == capacity) {
            return tw_fail(err, TUMBLE_EUSAGE, "credential_process: more than %zu words", capacity - 1);
        }
        argv[count++] = to;
        at = take_word(at, &to);
        if (!at) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "credential_process: a quote or a backslash at the end without its other half");
        }
        bool more = *at != '\0';
        *to++ = '\0'; /* over the white space behind the word, or the end */
        at += more;
    }
    argv[count] = NULL;
    return count ? TUMBLE_OK : tw_fail(err, TUMBLE_EUSAGE, "credential_process: no command");
}

static enum tumble_code check_version(struct tumble_bytes json, struct tumble_error *err) {
    struct tumble_value object;
    struct tumble_value version;
    int64_t number = 0;
    if (tw_json_document(json, TUMBLE_TYPE_OBJECT, &object, NULL) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_EUSAGE, "credential_process: what the command wrote is no JSON object");
    }
    if (!tw_json_member(&object, "Version", &version) || version.type != TUMBLE_TYPE_NUMBER ||
        !tw_json_integer(&version, &number) || number != 1) {
        return tw_fail(err, TUMBLE_EUSAGE, "credential_process: Version must be 1");
    }
    return TUMBLE_OK;
}

static enum tumble_code run(struct tw_aws_credentials *credentials, char *command, int64_t deadline_ms,
                            struct tw_buf *output, struct tumble_error *err) {
    const struct tw_aws_host *host = credentials->options.host;
    char *argv[WORDS];
    int64_t timeout_ms = PROCESS_MS;
    TW_TRY(tw_split_command(command, argv, WORDS, err));
    if (deadline_ms != TW_NO_DEADLINE && deadline_ms - host->steady_ms(host->ctx) < timeout_ms) {
        timeout_ms = deadline_ms - host->steady_ms(host->ctx);
    }
    if (tw_buf_reserve(output, OUTPUT_BYTES) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    enum tumble_code code = host->run(host->ctx, argv, timeout_ms, output, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "credential_process");
        return code == TUMBLE_ENOMEM ? code : TUMBLE_EOUTPUT;
    }
    TW_TRY(check_version(tw_buf_view(output), err));
    return tw_credentials_take_json(credentials, tw_buf_view(output), "SessionToken", "credential_process", err);
}

enum tumble_code tw_credentials_from_process(struct tw_aws_credentials *credentials, int64_t deadline_ms,
                                             bool *configured, struct tumble_error *err) {
    const struct tumble_alloc *alloc = &credentials->options.alloc;
    const char *command = tw_aws_profile_get(credentials->options.profile, "credential_process");
    *configured = command != NULL;
    if (!command) {
        return TUMBLE_OK;
    }
    size_t length = strlen(command);
    char *words = tw_copy_text(alloc, command, length);
    if (!words) {
        return tw_no_memory(err);
    }
    struct tw_buf output;
    tw_buf_init(&output, *alloc, OUTPUT_BYTES);
    enum tumble_code code = run(credentials, words, deadline_ms, &output, err);
    tw_wipe(output.data, output.capacity);
    tw_buf_clean_up(&output);
    tw_wipe(words, length);
    tw_free(alloc, words);
    return code;
}
