#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/aws_error.h"
#include "adapters/aws/aws_text.h"

static struct tumble_bytes bytes(const char *text) { return tumble_bytes_of(text); }

static void xml_finds_elements_by_their_whole_name(void **state) {
    (void)state;
    static const struct {
        const char *xml;
        const char *name;
        const char *inner; /* NULL: none */
    } cases[] = {
        {"<a><Key>x</Key></a>", "Key", "x"},
        {"<Keys>n</Keys><Key>x</Key>", "Key", "x"},
        {"<Key xml:lang=\"a\">x</Key>", "Key", "x"},
        {"<Key/>", "Key", ""},
        {"<Key></Key>", "Key", ""},
        {"<Key>a<b>c</b></Key>", "Key", "a<b>c</b>"},
        {"<Key>a</Keys></Key>", "Key", "a</Keys>"},
        {"<Key>open", "Key", NULL},
        {"<Key", "Key", NULL},
        {"<Key>x</Key", "Key", NULL},
        {"<Ke", "Key", NULL},
        {"", "Key", NULL},
        {"<<<<", "Key", NULL},
        {"Key", "Key", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_bytes inner;
        bool found = tw_xml_find(bytes(cases[i].xml), cases[i].name, &inner);
        assert_int_equal(found, cases[i].inner != NULL);
        if (found) {
            assert_true(tumble_bytes_equal(inner, bytes(cases[i].inner)));
        }
    }
}

static void xml_walks_a_list(void **state) {
    (void)state;
    struct tumble_bytes at = bytes("<l><c>1</c><d/><c>2</c><c/></l>");
    struct tumble_bytes inner;
    assert_true(tw_xml_next(&at, "c", &inner));
    assert_true(tumble_bytes_equal(inner, bytes("1")));
    assert_true(tw_xml_next(&at, "c", &inner));
    assert_true(tumble_bytes_equal(inner, bytes("2")));
    assert_true(tw_xml_next(&at, "c", &inner));
    assert_int_equal(inner.length, 0);
    assert_false(tw_xml_next(&at, "c", &inner));
}

static void xml_undoes_entities_and_refuses_others(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *plain; /* NULL: refused */
    } cases[] = {
        {"a &amp;&lt;&gt;&quot;&apos; b", "a &<>\"' b"},
        {"&#65;&#x42;&#x1F61C;", "AB\xf0\x9f\x98\x9c"},
        {"", ""},
        {"&nbsp;", NULL},
        {"&", NULL},
        {"&amp", NULL},
        {"&#;", NULL},
        {"&#x;", NULL},
        {"&#0;", NULL},
        {"&#xD800;", NULL},
        {"&#1114112;", NULL},
        {"&#99999999999999999999;", NULL},
        {"&#1x;", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_buf out;
        tw_buf_init(&out, tw_alloc_default(), 100);
        enum tumble_code code = tw_xml_text(bytes(cases[i].text), &out);
        assert_int_equal(code, cases[i].plain ? TUMBLE_OK : TUMBLE_EJSON);
        if (cases[i].plain) {
            assert_true(tumble_bytes_equal(tw_buf_view(&out), bytes(cases[i].plain)));
        }
        tw_buf_clean_up(&out);
    }
}

static void dates_of_both_forms(void **state) {
    (void)state;
    int64_t ms;
    assert_true(tw_http_date(bytes("Mon, 23 Nov 2026 08:00:01 GMT"), &ms));
    assert_int_equal(ms, INT64_C(1795420801000));
    assert_false(tw_http_date(bytes("Mon, 23 Nov 2026 08:00:01 CET"), &ms));
    assert_false(tw_http_date(bytes("yesterday"), &ms));
    assert_false(tw_http_date(bytes(""), &ms));
    assert_true(tw_iso_date(bytes("2026-11-23T08:00:01Z"), &ms));
    assert_int_equal(ms, INT64_C(1795420801000));
    assert_true(tw_iso_date(bytes("2026-11-23T08:00:01.250Z"), &ms));
    assert_int_equal(ms, INT64_C(1795420801250));
    assert_false(tw_iso_date(bytes("2026-13-23T08:00:01Z"), &ms));
    assert_false(tw_iso_date(bytes("\\u0032026-11-23T08:00:01Z"), &ms));
}

/* A response as http.c would leave it. */
static void make(struct tw_http_response *response, int status, const char *heads, const char *body) {
    tw_http_response_init(response, tw_alloc_default(), 10000);
    response->status = status;
    assert_int_equal(tw_buf_append_text(&response->heads, heads), TUMBLE_OK);
    assert_int_equal(tw_buf_append_text(&response->body, body), TUMBLE_OK);
}

static void errors_are_read_from_all_of_awss_shapes(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *heads;
        const char *body;
        const char *code;
        const char *message;
        const char *request_id;
        int64_t retry_after_ms;
    } cases[] = {
        {400, "x-amzn-requestid:R1\n",
         "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\","
         "\"message\":\"no \\\"table\\\"\"}",
         "ResourceNotFoundException", "no \"table\"", "R1", -1},
        {400, "", "{\"__type\":\"com.amazon.coral.service#SerializationException\",\"Message\":\"M\"}",
         "SerializationException", "M", "", -1},
        {400, "", "{\"code\":\"Throttling:\"}", "Throttling", "", "", -1},
        {400, "x-amzn-query-error:AWS.SimpleQueueService.NonExistentQueue;Sender\n",
         "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"q\"}",
         "AWS.SimpleQueueService.NonExistentQueue", "q", "", -1},
        {403, "x-amzn-errortype:AccessDeniedException:http://internal/\n", "", "AccessDeniedException", "", "", -1},
        {404, "x-amz-request-id:R2\n",
         "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message>"
         "<RequestId>R3</RequestId></Error>",
         "NoSuchKey", "gone", "R2", -1},
        {503, "retry-after:2\n", "<Error><Code>SlowDown</Code><RequestId>R3</RequestId></Error>", "SlowDown", "", "R3",
         2000},
        {429, "x-amz-retry-after:150\nretry-after:2\n", "", "", "", "", 150},
        {503, "retry-after:Mon, 23 Nov 2026 08:00:01 GMT\n", "", "", "", "", -1},
        {404, "", "", "NotFound", "", "", -1},
        {412, "", "", "PreconditionFailed", "", "", -1},
        {502, "", "<html>Bad Gateway</html>", "", "", "", -1},
        {400, "", "{\"__type\":", "BadRequest", "", "", -1},
        {400, "", "{\"__type\":7,\"message\":[]}", "BadRequest", "", "", -1},
        {200, "x-amzn-requestid:R1\n", "{\"__type\":\"ignored\"}", "", "", "R1", -1},
        {200, "", "<Error><Code>InternalError</Code></Error>", "InternalError", "", "", -1},
        {200, "", "<Error/>", "InternalError", "", "", -1},
        {200, "", "<CompleteMultipartUploadResult/>", "", "", "", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_http_response response;
        struct tw_aws_answer answer = {0};
        make(&response, cases[i].status, cases[i].heads, cases[i].body);
        tw_aws_error_read(&response, true, &answer);
        assert_string_equal(answer.code, cases[i].code);
        assert_string_equal(answer.message, cases[i].message);
        assert_string_equal(answer.request_id, cases[i].request_id);
        assert_int_equal(answer.retry_after_ms, cases[i].retry_after_ms);
        tw_http_response_clean_up(&response);
    }
}

static void long_texts_are_cut_at_a_code_point(void **state) {
    (void)state;
    struct tw_http_response response;
    struct tw_aws_answer answer = {0};
    char body[2000] = "{\"__type\":\"";
    memset(body + strlen(body), 'E', 300);
    strcat(body, "\",\"message\":\"x");
    for (int i = 0; i < 200; i++) {
        strcat(body, "\xc3\xa4");
    }
    strcat(body, "\"}");
    make(&response, 400, "", body);
    tw_aws_error_read(&response, false, &answer);
    assert_int_equal(strlen(answer.code), sizeof answer.code - 1);
    assert_int_equal(strlen(answer.message), 255);
    tw_http_response_clean_up(&response);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xml_finds_elements_by_their_whole_name),  cmocka_unit_test(xml_walks_a_list),
        cmocka_unit_test(xml_undoes_entities_and_refuses_others),  cmocka_unit_test(dates_of_both_forms),
        cmocka_unit_test(errors_are_read_from_all_of_awss_shapes), cmocka_unit_test(long_texts_are_cut_at_a_code_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
