#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "adapters/outputs/sqs/sqs_body.h"

static void expect(const char *json, size_t length, const char *body, enum tw_sqs_encoding wanted) {
    enum tw_sqs_encoding encoding;
    struct tumble_bytes in = {json, length};
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    assert_int_equal(tw_buf_append_text(&out, "before"), TUMBLE_OK);
    assert_int_equal(tw_sqs_body(&out, in, &encoding), TUMBLE_OK);
    assert_int_equal(encoding, wanted);
    assert_int_equal(out.length, 6 + strlen(body));
    assert_memory_equal(out.data + 6, body, strlen(body));
    tw_buf_clean_up(&out);
}

static void json_stays_json(void **state) {
    (void)state;
    static const char *const texts[] = {"{}", "{\"a\":\"\\u0001 \xc3\xbc \xf0\x9f\x98\x80 \x7f\"}",
                                        "[\"\xef\xbf\xbd\"]", "[\"\xef\xac\x81\"]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect(texts[i], strlen(texts[i]), texts[i], TW_SQS_PLAIN);
    }
}

static void characters_that_sqs_refuses_are_escaped(void **state) {
    (void)state;
    static const char text[] = "[\"\xef\xbf\xbe\",\"x\xef\xbf\xbf\xef\xbf\xbdy\"]";
    expect(text, strlen(text), "[\"\\ufffe\",\"x\\uffff\xef\xbf\xbdy\"]", TW_SQS_PLAIN);
}

static void what_is_no_text_goes_as_base64(void **state) {
    (void)state;
    expect("a\xff", 2, "Yf8=", TW_SQS_BASE64);
    expect("a\xef\xbf", 3, "Ye+/", TW_SQS_BASE64);
    expect("a\0b", 3, "YQBi", TW_SQS_BASE64);
    expect("\x01", 1, "AQ==", TW_SQS_BASE64);
}

static void no_room_is_an_error(void **state) {
    (void)state;
    enum tw_sqs_encoding encoding;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 3);
    assert_int_equal(tw_sqs_body(&out, tumble_bytes_of("[1,2]"), &encoding), TUMBLE_ELIMIT);
    tw_buf_clean_up(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_stays_json),
        cmocka_unit_test(characters_that_sqs_refuses_are_escaped),
        cmocka_unit_test(what_is_no_text_goes_as_base64),
        cmocka_unit_test(no_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
