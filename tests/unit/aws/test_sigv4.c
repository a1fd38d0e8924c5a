#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/sigv4.h"
#include "counting_alloc.h"

/* What botocore makes of many more requests: tests/aws/sign.py. */

static const struct tw_http_header plain_headers[] = {{"Host", "example.amazonaws.com"}};

static struct tw_sigv4_request plain_request(void) {
    struct tw_sigv4_request request = {.method = "GET",
                                       .path = tumble_bytes_of("/"),
                                       .headers = plain_headers,
                                       .header_count = 1,
                                       .region = "us-east-1",
                                       .service = "service",
                                       .time_s = 1440938160,
                                       .keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL}};
    return request;
}

/* The request of AWS's own documentation, "Signature Version 4 signing process". */
static void sigv4_signs_the_documented_request(void **state) {
    (void)state;
    const struct tw_http_header headers[] = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                                             {"Host", "iam.amazonaws.com"}};
    struct tw_sigv4_request request = plain_request();
    struct tw_sigv4 signer;
    struct tumble_error err;
    request.headers = headers;
    request.header_count = 2;
    request.query = tumble_bytes_of("Action=ListUsers&Version=2010-05-08");
    request.service = "iam";
    tw_sigv4_init(&signer, tw_alloc_default());
    assert_int_equal(tw_sigv4_sign(&signer, &request, &err), TUMBLE_OK);
    assert_string_equal(signer.authorization.data,
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                        "SignedHeaders=content-type;host;x-amz-date, "
                        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    assert_string_equal(signer.date, "20150830T123600Z");
    tw_sigv4_clean_up(&signer);
    tw_sigv4_clean_up(&signer);
}

static void sigv4_forgets_a_kept_key_when_anything_it_came_from_changes(void **state) {
    (void)state;
    struct tw_sigv4 kept;
    tw_sigv4_init(&kept, tw_alloc_default());
    for (int change = 0; change < 6; change++) {
        struct tw_sigv4_request request = plain_request();
        request.region = change == 1 ? "us-east-2" : request.region;
        request.service = change == 2 ? "s3" : request.service;
        request.time_s += change == 3 ? 86400 : change == 4 ? 1 : 0;
        request.keys.secret_access_key = change == 5 ? "other" : request.keys.secret_access_key;
        struct tw_sigv4 fresh;
        tw_sigv4_init(&fresh, tw_alloc_default());
        assert_int_equal(tw_sigv4_sign(&kept, &request, NULL), TUMBLE_OK);
        assert_int_equal(tw_sigv4_sign(&fresh, &request, NULL), TUMBLE_OK);
        assert_string_equal(kept.authorization.data, fresh.authorization.data);
        tw_sigv4_clean_up(&fresh);
    }
    tw_sigv4_clean_up(&kept);
}

static void sigv4_sends_the_payload_hash_for_s3_only_and_the_token_when_there_is_one(void **state) {
    (void)state;
    struct tw_sigv4_request request = plain_request();
    struct tw_sigv4 signer;
    tw_sigv4_init(&signer, tw_alloc_default());
    assert_int_equal(tw_sigv4_sign(&signer, &request, NULL), TUMBLE_OK);
    assert_int_equal(signer.header_count, 2);
    assert_string_equal(signer.headers[0].name, "x-amz-date");
    assert_string_equal(signer.headers[1].name, "authorization");
    request.s3 = true;
    request.keys.session_token = "TOKEN";
    assert_int_equal(tw_sigv4_sign(&signer, &request, NULL), TUMBLE_OK);
    assert_int_equal(signer.header_count, 4);
    assert_string_equal(signer.headers[1].name, "x-amz-content-sha256");
    assert_string_equal(signer.headers[1].value, tw_sha256_of_nothing);
    assert_string_equal(signer.headers[2].value, "TOKEN");
    tw_sigv4_clean_up(&signer);
}

static void sigv4_refuses_what_cannot_be_sent(void **state) {
    (void)state;
    static const struct {
        struct tw_http_header header;
        int64_t time_s;
        const char *says;
    } cases[] = {
        {{"x-a", "b"}, 1, "Host header is missing"},
        {{"host", "a\nb"}, 1, "cannot be sent"},
        {{"host", "a\rb"}, 1, "cannot be sent"},
        {{"ho st", "a"}, 1, "cannot be sent"},
        {{"", "a"}, 1, "cannot be sent"},
        {{"host", "a"}, -1, "clock"},
        {{"host", "a"}, INT64_MAX, "clock"},
    };
    struct tw_sigv4 signer;
    tw_sigv4_init(&signer, tw_alloc_default());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_sigv4_request request = plain_request();
        struct tumble_error err;
        request.headers = &cases[i].header;
        request.time_s = cases[i].time_s;
        assert_int_equal(tw_sigv4_sign(&signer, &request, &err), TUMBLE_EINVAL);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_null(strstr(err.text, request.keys.secret_access_key));
    }
    struct tw_http_header many[TW_SIGV4_MAX_HEADERS + 1];
    for (size_t i = 0; i < TW_SIGV4_MAX_HEADERS + 1; i++) {
        many[i] = (struct tw_http_header){"host", "a"};
    }
    struct tw_sigv4_request request = plain_request();
    request.headers = many;
    request.header_count = TW_SIGV4_MAX_HEADERS + 1;
    assert_int_equal(tw_sigv4_sign(&signer, &request, NULL), TUMBLE_ELIMIT);
    tw_sigv4_clean_up(&signer);
}

static void sigv4_without_memory_says_so_and_works_again_later(void **state) {
    (void)state;
    for (size_t fail_at = 1; fail_at < 20; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_sigv4_request request = plain_request();
        struct tw_sigv4 signer;
        tw_sigv4_init(&signer, counting_alloc_of(&count));
        enum tumble_code code = tw_sigv4_sign(&signer, &request, NULL);
        assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        assert_int_equal(tw_sigv4_sign(&signer, &request, NULL), TUMBLE_OK);
        tw_sigv4_clean_up(&signer);
        assert_int_equal(count.live, 0);
    }
}

static void percent_encoding_leaves_only_the_unreserved(void **state) {
    (void)state;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    for (int c = 1; c < 256; c++) {
        char text[2] = {(char)c, 0};
        bool plain = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c) != NULL;
        tw_buf_clear(&out);
        assert_int_equal(tw_percent_encode(&out, tumble_bytes_of(text), false), TUMBLE_OK);
        assert_int_equal(out.length, plain ? 1 : 3);
        assert_int_equal(out.data[0], plain ? (char)c : '%');
    }
    tw_buf_clear(&out);
    assert_int_equal(tw_percent_encode(&out, (struct tumble_bytes){"a/\0=", 4}, true), TUMBLE_OK);
    assert_true(tumble_bytes_equal(tw_buf_view(&out), tumble_bytes_of("a/%00%3D")));
    tw_buf_clean_up(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigv4_signs_the_documented_request),
        cmocka_unit_test(sigv4_forgets_a_kept_key_when_anything_it_came_from_changes),
        cmocka_unit_test(sigv4_sends_the_payload_hash_for_s3_only_and_the_token_when_there_is_one),
        cmocka_unit_test(sigv4_refuses_what_cannot_be_sent),
        cmocka_unit_test(sigv4_without_memory_says_so_and_works_again_later),
        cmocka_unit_test(percent_encoding_leaves_only_the_unreserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
