#include "fuzz_target.h"

#include <string.h>

#include "adapters/aws/aws_error.h"
#include "adapters/aws/aws_text.h"
#include "adapters/aws/credentials_internal.h"
#include "adapters/aws/profile.h"

/* What strangers, or a user's hand, write for adapters/aws to read: the first byte says which reader gets the rest. */

static const char *file_text;
static size_t file_length;

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "HOME") == 0 ? "/h" : NULL;
}

static enum tumble_code read_file(void *ctx, const char *path, struct tw_buf *out, bool *found,
                                  struct tumble_error *err) {
    (void)ctx;
    (void)path;
    (void)err;
    *found = true;
    return tw_buf_append(out, file_text, file_length);
}

static void fuzz_profile(const char *text, size_t length) {
    const struct tw_aws_host host = {.variable = variable, .read_file = read_file};
    struct tw_aws_profile profile;
    struct tumble_error err;
    file_text = text;
    file_length = length;
    if (tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, &err) == TUMBLE_OK) {
        const char *value = tw_aws_profile_get(&profile, "region");
        FUZZ_CHECK(!value || strlen(value) <= length);
        tw_aws_profile_service(&profile, "s3", "endpoint_url");
        tw_aws_profile_get_in(&profile, "s3", "a");
    } else {
        FUZZ_CHECK(strstr(err.text, "line"));
    }
    tw_aws_profile_clean_up(&profile);
}

static void fuzz_error(const char *text, size_t length, int status) {
    struct tw_http_response response;
    struct tw_aws_answer answer;
    memset(&answer, 0, sizeof answer);
    tw_http_response_init(&response, tw_alloc_default(), 1 << 20);
    response.status = status;
    if (tw_buf_append(&response.body, text, length) == TUMBLE_OK) {
        tw_aws_error_read(&response, true, &answer);
        FUZZ_CHECK(memchr(answer.code, '\0', sizeof answer.code));
        FUZZ_CHECK(memchr(answer.message, '\0', sizeof answer.message));
    }
    tw_http_response_clean_up(&response);
}

static void fuzz_xml(const char *text, size_t length) {
    struct tumble_bytes at = {text, length};
    struct tumble_bytes inner;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 1 << 20);
    while (tw_xml_next(&at, "Contents", &inner)) {
        FUZZ_CHECK(inner.data >= text && inner.data + inner.length <= text + length);
        tw_buf_clear(&out);
        if (tw_xml_text(inner, &out) == TUMBLE_OK) {
            FUZZ_CHECK(out.length <= inner.length);
        }
    }
    tw_buf_clean_up(&out);
}

static void fuzz_words(const char *text, size_t length) {
    struct tumble_alloc alloc = tw_alloc_default();
    char *copy = tw_copy_text(&alloc, text, length);
    char *argv[32];
    FUZZ_CHECK(copy);
    tw_container_uri_allowed(copy);
    if (tw_split_command(copy, argv, 32, NULL) == TUMBLE_OK) {
        for (size_t i = 0; argv[i]; i++) {
            FUZZ_CHECK(argv[i] >= copy && argv[i] + strlen(argv[i]) <= copy + length);
        }
    }
    tw_free(&alloc, copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    int64_t ms;
    switch (data[0]) {
    case 'p': fuzz_profile(text, size - 1); break;
    case 'e': fuzz_error(text, size - 1, 400); break;
    case 's': fuzz_error(text, size - 1, 200); break;
    case 'x': fuzz_xml(text, size - 1); break;
    case 'd':
        tw_http_date((struct tumble_bytes){text, size - 1}, &ms);
        tw_iso_date((struct tumble_bytes){text, size - 1}, &ms);
        break;
    default: fuzz_words(text, size - 1); break;
    }
    return 0;
}
