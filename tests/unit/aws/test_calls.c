#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/dynamodb_calls.h"
#include "adapters/aws/s3_calls.h"
#include "adapters/aws/sqs_calls.h"
#include "canned_server.h"
#include "fake_host.h"

/* The thin calls against answers laid out here; against servers of others: tests/outputs. */

struct trial {
    struct canned_server server;
    struct fake_host fake;
    struct tw_aws_host host;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
    struct tumble_error err;
    struct canned canned[8];
    char *texts[8];
};

/* Bodies become 200s; one that begins with "HTTP/" is an answer by itself. */
static void begin(struct trial *trial, enum tw_aws_service service, const char *const *bodies, size_t count) {
    memset(trial, 0, sizeof *trial);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(bodies[i], "HTTP/", 5) == 0) {
            trial->texts[i] = strdup(bodies[i]);
        } else {
            assert_true(asprintf(&trial->texts[i], "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                 strlen(bodies[i]), bodies[i]) > 0);
        }
        trial->canned[i] = (struct canned){trial->texts[i], CANNED_KEEP};
    }
    assert_true(canned_start(&trial->server, trial->canned, count));
    trial->fake = (struct fake_host){.variables = {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "S"}},
                                     .now_ms = 1795420800000};
    trial->host = fake_host_of(&trial->fake);
    struct tw_aws_options options = {.host = &trial->host, .region = "us-east-1", .endpoint_url = trial->server.url};
    assert_int_equal(tw_aws_client_open(&options, service, &trial->client, &trial->err), TUMBLE_OK);
}

static void end(struct trial *trial) {
    tw_aws_client_destroy(trial->client);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
    for (size_t i = 0; i < 8; i++) {
        free(trial->texts[i]);
    }
}

static bool sent(const struct trial *trial, size_t request, const char *text) {
    return strcasestr(trial->server.requests[request], text) != NULL;
}

static void dynamodb_reads_a_tables_keys(void **state) {
    (void)state;
    static const char *const bodies[] = {
        ("{\"Table\":{\"TableStatus\":\"ACTIVE\",\"AttributeDefinitions\":[{\"AttributeName\":\"sk\",\"AttributeType\":"
         "\"N\"},"
         "{\"AttributeName\":\"p\\u006b\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"pk\","
         "\"KeyType\":\"HASH\"},"
         "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}]}}"),
        ("{\"Table\":{\"AttributeDefinitions\":[{\"AttributeName\":\"id\",\"AttributeType\":\"B\"}],"
         "\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}]}}"),
        "{\"Table\":{\"KeySchema\":[]}}",
        "{\"Table\":{\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}]}}",
        "{}",
        "[]"};
    struct trial trial;
    struct tw_dynamodb_table table;
    begin(&trial, TW_AWS_DYNAMODB, bodies, 6);
    assert_int_equal(tw_dynamodb_describe_table(trial.client, "orders", 0, &table, &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_true(sent(&trial, 0, "X-Amz-Target: DynamoDB_20120810.DescribeTable\r\n"));
    assert_true(sent(&trial, 0, "Content-Type: application/x-amz-json-1.0\r\n"));
    assert_true(sent(&trial, 0, "\r\n\r\n{\"TableName\":\"orders\"}"));
    assert_string_equal(table.hash.name, "pk");
    assert_int_equal(table.hash.type, 'S');
    assert_string_equal(table.range.name, "sk");
    assert_int_equal(table.range.type, 'N');
    assert_string_equal(table.status, "ACTIVE");
    assert_int_equal(tw_dynamodb_describe_table(trial.client, "t", 0, &table, &trial.answer, &trial.err), TUMBLE_OK);
    assert_int_equal(table.hash.type, 'B');
    assert_string_equal(table.range.name, "");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(tw_dynamodb_describe_table(trial.client, "t", 0, &table, &trial.answer, &trial.err),
                         TUMBLE_EOUTPUT);
    }
    end(&trial);
}

static void dynamodb_tells_what_was_not_written(void **state) {
    (void)state;
    static const char *const bodies[] = {"{\"UnprocessedItems\":{}}",
                                         "{\"UnprocessedItems\":{\"t\":[{\"PutRequest\":{\"Item\":{}}}]}}", "{}",
                                         "{\"UnprocessedItems\":[]}", "<html>"};
    struct trial trial;
    struct tumble_value unprocessed;
    struct tumble_bytes request = tumble_bytes_of("{\"RequestItems\":{}}");
    begin(&trial, TW_AWS_DYNAMODB, bodies, 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tw_dynamodb_batch_write(trial.client, request, 0, &unprocessed, &trial.answer, &trial.err),
                         TUMBLE_OK);
        assert_int_equal(unprocessed.type, i == 1 ? TUMBLE_TYPE_OBJECT : TUMBLE_TYPE_MISSING);
    }
    struct tumble_bytes text = {unprocessed.text, unprocessed.length};
    assert_true(tumble_bytes_equal(text, tumble_bytes_of("{\"t\":[{\"PutRequest\":{\"Item\":{}}}]}")));
    for (int i = 2; i < 5; i++) { /* whoever says 200 so is not DynamoDB: nothing was written, for all we know */
        assert_int_equal(tw_dynamodb_batch_write(trial.client, request, 0, &unprocessed, &trial.answer, &trial.err),
                         TUMBLE_EOUTPUT);
        assert_true(trial.answer.may_have_been_done);
    }
    end(&trial);
}

static void dynamodb_gives_the_item_that_stood_in_the_way(void **state) {
    (void)state;
    static const char *const bodies[] = {
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: "
         "70\r\n\r\n{\"__type\":\"ConditionalCheckFailedException\",\"Item\":{\"a\":{\"S\":\"b\"}}}    "),
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 44\r\n\r\n{\"__type\":\"ConditionalCheckFailedException\"} "};
    struct trial trial;
    struct tumble_value value;
    begin(&trial, TW_AWS_DYNAMODB, bodies, 2);
    assert_int_equal(
        tw_dynamodb_call(trial.client, "PutItem", tumble_bytes_of("{}"), 0, &value, &trial.answer, &trial.err),
        TUMBLE_EREJECTED);
    assert_true(tw_dynamodb_old_item(&trial.answer, &value));
    assert_int_equal(value.length, strlen("{\"a\":{\"S\":\"b\"}}"));
    assert_int_equal(
        tw_dynamodb_call(trial.client, "PutItem", tumble_bytes_of("{}"), 0, &value, &trial.answer, &trial.err),
        TUMBLE_EREJECTED);
    assert_false(tw_dynamodb_old_item(&trial.answer, &value));
    end(&trial);
}

static void dynamodb_scans_page_by_page(void **state) {
    (void)state;
    static const char *const bodies[] = {"{\"Items\":[{}],\"LastEvaluatedKey\":{\"id\":{\"S\":\"1\"}}}",
                                         "{\"Items\":[]}"};
    struct trial trial;
    struct tumble_value items;
    struct tumble_value last;
    begin(&trial, TW_AWS_DYNAMODB, bodies, 2);
    assert_int_equal(
        tw_dynamodb_scan(trial.client, "t", tumble_bytes_of(NULL), 0, &items, &last, &trial.answer, &trial.err),
        TUMBLE_OK);
    assert_int_equal(last.type, TUMBLE_TYPE_OBJECT);
    char key[64];
    memcpy(key, last.text, last.length);
    assert_int_equal(tw_dynamodb_scan(trial.client, "t", (struct tumble_bytes){key, last.length}, 0, &items, &last,
                                      &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_int_equal(last.type, TUMBLE_TYPE_MISSING);
    assert_true(sent(&trial, 1, "\"ExclusiveStartKey\":{\"id\":{\"S\":\"1\"}}"));
    assert_true(sent(&trial, 1, "\"ConsistentRead\":true"));
    end(&trial);
}

static void s3_puts_with_a_checksum_and_conditions(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "HTTP/1.1 200 OK\r\nETag: \"e1\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 41\r\n\r\n<Error><Code>PreconditionFailed</Code>   "};
    struct trial trial;
    char etag[TW_S3_ETAG];
    struct tw_s3_put put = {.bucket = "b-1",
                            .key = tumble_bytes_of("k"),
                            .body = tumble_bytes_of("abc"),
                            .content_encoding = "gzip",
                            .if_none_match = "*"};
    begin(&trial, TW_AWS_S3, bodies, 2);
    assert_int_equal(tw_s3_put(trial.client, &put, 0, etag, &trial.answer, &trial.err), TUMBLE_OK);
    assert_string_equal(etag, "\"e1\"");
    assert_false(sent(&trial, 0, "content-md5"));
    assert_true(sent(&trial, 0, "x-amz-checksum-sha256: ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\r\n"));
    assert_true(
        sent(&trial, 0, "x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n"));
    assert_true(sent(&trial, 0, "content-encoding: gzip\r\n"));
    assert_true(sent(&trial, 0, "content-type: application/octet-stream\r\n"));
    assert_true(sent(&trial, 0, "if-none-match: *\r\n"));
    assert_int_equal(tw_s3_put(trial.client, &put, 0, NULL, &trial.answer, &trial.err), TUMBLE_EREJECTED);
    assert_int_equal(trial.answer.status, 412);
    end(&trial);
}

static void s3_does_not_believe_a_put_without_an_etag(void **state) {
    (void)state;
    static const char *const bodies[] = {"<html>log in first</html>"};
    struct trial trial;
    struct tw_s3_put put = {.bucket = "b-1", .key = tumble_bytes_of("k"), .body = tumble_bytes_of("abc")};
    begin(&trial, TW_AWS_S3, bodies, 1);
    assert_int_equal(tw_s3_put(trial.client, &put, 0, NULL, &trial.answer, &trial.err), TUMBLE_EOUTPUT);
    assert_non_null(strstr(trial.err.text, "no ETag"));
    assert_true(trial.answer.may_have_been_done);
    end(&trial);
}

static void s3_gets_what_is_there_and_says_what_is_not(void **state) {
    (void)state;
    static const char *const bodies[] = {
        ("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nLast-Modified: Mon, 23 Nov 2026 08:00:00 GMT\r\nContent-Length: "
         "3\r\n\r\nabc"),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 31\r\n\r\n<Error><Code>NoSuchKey</Code>  ",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 34\r\n\r\n<Error><Code>NoSuchBucket</Code>  ",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-3/10\r\nETag: \"e\"\r\nContent-Length: 2\r\n\r\ncd",
        "HTTP/1.1 416 Range\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nETag: \"h\"\r\nContent-Length: 12345678901\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n\r\n"};
    struct trial trial;
    struct tw_s3_object object;
    struct tumble_bytes key = tumble_bytes_of("k");
    begin(&trial, TW_AWS_S3, bodies, 8);
    assert_int_equal(tw_s3_get(trial.client, "b-1", key, 3, 0, &object, &trial.answer, &trial.err), TUMBLE_OK);
    assert_true(object.found);
    assert_true(tumble_bytes_equal(object.body, tumble_bytes_of("abc")));
    assert_int_equal(object.modified_s, 1795420800);
    assert_string_equal(object.etag, "\"e\"");
    assert_int_equal(tw_s3_get(trial.client, "b-1", key, 3, 0, &object, &trial.answer, &trial.err), TUMBLE_OK);
    assert_false(object.found);
    assert_int_equal(tw_s3_get(trial.client, "b-1", key, 3, 0, &object, &trial.answer, &trial.err), TUMBLE_EREJECTED);
    assert_int_equal(tw_s3_get(trial.client, "b-1", key, 3, 0, &object, &trial.answer, &trial.err), TUMBLE_ELIMIT);
    assert_int_equal(tw_s3_get_range(trial.client, "b-1", key, 2, 2, "\"e\"", 0, &object, &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_true(sent(&trial, 4, "range: bytes=2-3\r\n"));
    assert_true(sent(&trial, 4, "if-match: \"e\"\r\n"));
    assert_int_equal(object.size, 10);
    assert_true(tumble_bytes_equal(object.body, tumble_bytes_of("cd")));
    assert_int_equal(tw_s3_get_range(trial.client, "b-1", key, 10, 2, NULL, 0, &object, &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_true(object.found);
    assert_int_equal(object.size, 10);
    assert_int_equal(object.body.length, 0);
    assert_int_equal(tw_s3_head(trial.client, "b-1", key, 0, &object, &trial.answer, &trial.err), TUMBLE_OK);
    assert_true(object.size == UINT64_C(12345678901));
    assert_int_equal(tw_s3_head(trial.client, "b-1", key, 0, &object, &trial.answer, &trial.err), TUMBLE_OK);
    assert_false(object.found);
    end(&trial);
}

struct seen {
    char keys[200];
    uint64_t bytes;
};

static enum tumble_code see(void *ctx, const struct tw_s3_listed *object, struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)err;
    strncat(strcat(seen->keys, "|"), object->key.data, object->key.length);
    seen->bytes += object->size;
    return tumble_bytes_equal(object->key, tumble_bytes_of("stop")) ? TUMBLE_EINTERRUPTED : TUMBLE_OK;
}

static void s3_lists_all_pages_and_undoes_both_encodings(void **state) {
    (void)state;
    static const char *const bodies[] = {
        ("<?xml version=\"1.0\"?><ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
         "<NextContinuationToken>t&amp;/+=</NextContinuationToken><Contents><Key>a+b%2Bc%25/%C3%A4</Key><Size>7</Size>"
         "<ETag>&quot;e&quot;</ETag><LastModified>2026-11-23T08:00:00.000Z</LastModified></Contents></"
         "ListBucketResult>"),
        ("<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>x+y&lt;z</Key><Size>1</Size></Contents>"
         "<CommonPrefixes/></ListBucketResult>"),
        ("<ListBucketResult><Contents><Key>stop</Key></Contents><Contents><Key>never</Key></Contents></"
         "ListBucketResult>"),
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<html/>",
        "<ListBucketResult><Contents><Key>&bad;</Key></Contents></ListBucketResult>"};
    struct trial trial;
    struct seen seen = {0};
    struct tumble_bytes none = {NULL, 0};
    begin(&trial, TW_AWS_S3, bodies, 6);
    assert_int_equal(tw_s3_list(trial.client, "b-1", tumble_bytes_of("p/="), tumble_bytes_of("after"), 0, see, &seen,
                                &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_string_equal(seen.keys, "|a b+c%/\xc3\xa4|x+y<z");
    assert_int_equal(seen.bytes, 8);
    assert_true(sent(&trial, 0, "GET /b-1/?encoding-type=url&list-type=2&prefix=p%2F%3D&start-after=after HTTP"));
    assert_true(sent(&trial, 1, "&continuation-token=t%26%2F%2B%3D HTTP"));
    assert_int_equal(tw_s3_list(trial.client, "b-1", none, none, 0, see, &seen, &trial.answer, &trial.err),
                     TUMBLE_EINTERRUPTED);
    assert_null(strstr(seen.keys, "never"));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tw_s3_list(trial.client, "b-1", none, none, 0, see, &seen, &trial.answer, &trial.err),
                         TUMBLE_EOUTPUT);
    }
    end(&trial);
}

static void s3_uploads_large_bodies_in_parts(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></InitiateMultipartUploadResult>",
        "HTTP/1.1 200 OK\r\nETag: \"p1\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nETag: \"p2\"\r\nContent-Length: 0\r\n\r\n",
        "<CompleteMultipartUploadResult><ETag>&quot;all-2&quot;</ETag></CompleteMultipartUploadResult>"};
    size_t length = (size_t)5 * 1024 * 1024 + 10;
    char *body = calloc(1, length);
    struct tw_s3_put put = {.bucket = "b-1", .key = tumble_bytes_of("k"), .body = {body, length}, .if_none_match = "*"};
    struct trial trial;
    char etag[TW_S3_ETAG];
    begin(&trial, TW_AWS_S3, bodies, 4);
    /* The canned server reads requests of 1 MiB at most: what is checked here is the small ones around the parts. */
    struct tw_aws_answer answer;
    char upload_id[TW_S3_UPLOAD_ID];
    char etags[2][TW_S3_ETAG];
    assert_int_equal(tw_s3_multipart_create(trial.client, &put, 0, upload_id, &answer, &trial.err), TUMBLE_OK);
    assert_true(sent(&trial, 0, "POST /b-1/k?uploads= HTTP"));
    assert_string_equal(upload_id, "u/1");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tw_s3_multipart_part(trial.client, &put, upload_id, i + 1, (struct tumble_bytes){body, 1000},
                                              0, etags[i], &answer, &trial.err),
                         TUMBLE_OK);
    }
    assert_true(sent(&trial, 2, "PUT /b-1/k?partNumber=2&uploadId=u%2F1 HTTP"));
    assert_int_equal(tw_s3_multipart_complete(trial.client, &put, upload_id, etags, 2, 0, etag, &answer, &trial.err),
                     TUMBLE_OK);
    assert_true(sent(&trial, 3, "<Part><PartNumber>2</PartNumber><ETag>&quot;p2&quot;</ETag></Part>"));
    assert_true(sent(&trial, 3, "if-none-match: *\r\n"));
    assert_string_equal(etag, "\"all-2\"");
    end(&trial);
    free(body);
}

static void s3_complete_that_fails_with_200_is_tried_again(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "<Error><Code>InternalError</Code></Error>",
        "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"};
    struct tw_s3_put put = {.bucket = "b-1", .key = tumble_bytes_of("k")};
    struct trial trial;
    char etags[1][TW_S3_ETAG] = {"\"p\""};
    begin(&trial, TW_AWS_S3, bodies, 2);
    assert_int_equal(tw_s3_multipart_complete(trial.client, &put, "u", etags, 1, 0, NULL, &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_int_equal(trial.answer.attempts, 2);
    end(&trial);
}

static void sqs_sends_a_batch_and_tells_each_messages_fate(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"QueueUrl\":\"http://sqs.us-east-1.localhost/0/q\"}",
        ("{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"m0\",\"MD5OfMessageBody\":"
         "\"900150983cd24fb0d6963f7d28e17f72\"}"
         ","
         "{\"Id\":\"1\",\"MessageId\":\"m1\",\"MD5OfMessageBody\":\"00000000000000000000000000000000\"},{\"Id\":\"99\"}"
         ","
         "{}],"
         "\"Failed\":[{\"Id\":\"2\",\"SenderFault\":true,\"Code\":\"InvalidMessageContents\",\"Message\":\"bad\"},"
         "{\"Id\":\"3\",\"SenderFault\":false,\"Code\":\"InternalError\"},{\"Id\":\"4\",\"SenderFault\":true,\"Code\":"
         "\"RequestThrottled\"}]}")};
    struct tw_sqs_message messages[6] = {0};
    struct tw_sqs_result results[6];
    struct trial trial;
    char url[TW_SQS_URL];
    for (int i = 0; i < 6; i++) {
        messages[i].body = tumble_bytes_of("abc");
    }
    messages[0].group_id = "g";
    messages[0].deduplication_id = "d";
    messages[0].attributes[0] = (struct tw_sqs_attribute){"key", tumble_bytes_of("v\"1")};
    messages[0].attribute_count = 1;
    begin(&trial, TW_AWS_SQS, bodies, 2);
    assert_int_equal(tw_sqs_queue_url(trial.client, "q", 0, url, &trial.answer, &trial.err), TUMBLE_OK);
    assert_string_equal(url, "http://sqs.us-east-1.localhost/0/q");
    assert_true(sent(&trial, 0, "X-Amz-Target: AmazonSQS.GetQueueUrl\r\n"));
    assert_int_equal(tw_sqs_send_batch(trial.client, url, messages, 6, 0, results, &trial.answer, &trial.err),
                     TUMBLE_OK);
    assert_true(sent(&trial, 1,
                     "{\"Id\":\"0\",\"MessageBody\":\"abc\",\"MessageGroupId\":\"g\",\"MessageDeduplicationId\":\"d\","
                     "\"MessageAttributes\":{\"key\":{\"DataType\":\"String\",\"StringValue\":\"v\\\"1\"}}}"));
    static const struct {
        bool sent, again;
        const char *code;
    } expected[] = {{true, false, ""},
                    {false, true, "MD5Mismatch"},
                    {false, false, "InvalidMessageContents"},
                    {false, true, "InternalError"},
                    {false, true, "RequestThrottled"},
                    {false, true, ""}};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(results[i].sent, expected[i].sent);
        assert_int_equal(results[i].again, expected[i].again);
        assert_string_equal(results[i].code, expected[i].code);
    }
    assert_string_equal(results[0].message_id, "m0");
    assert_int_equal(tw_sqs_queue_url(trial.client, "https://h/1/q", 0, url, &trial.answer, &trial.err), TUMBLE_OK);
    assert_string_equal(url, "https://h/1/q");
    assert_int_equal(tw_sqs_send_batch(trial.client, url, messages, 11, 0, results, &trial.answer, &trial.err),
                     TUMBLE_EINVAL);
    assert_int_equal(tw_sqs_message_bytes(&messages[0]), 3 + 3 + 6 + 3);
    end(&trial);
}

static void sqs_knows_the_characters_it_may_send(void **state) {
    (void)state;
    assert_true(tw_sqs_characters_allowed(tumble_bytes_of("a\t\r\n\xc3\xa4\xef\xbf\xbd\xf0\x9f\x98\x9c\x7f")));
    assert_true(tw_sqs_characters_allowed(tumble_bytes_of("")));
    assert_false(tw_sqs_characters_allowed(tumble_bytes_of("\x01")));
    assert_false(tw_sqs_characters_allowed((struct tumble_bytes){"a\0b", 3}));
    assert_false(tw_sqs_characters_allowed(tumble_bytes_of("\xef\xbf\xbe")));
    assert_false(tw_sqs_characters_allowed(tumble_bytes_of("\xef\xbf\xbf")));
    assert_false(tw_sqs_characters_allowed(tumble_bytes_of("\xed\xa0\x80")));
    assert_false(tw_sqs_characters_allowed(tumble_bytes_of("\xff")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dynamodb_reads_a_tables_keys),
        cmocka_unit_test(dynamodb_tells_what_was_not_written),
        cmocka_unit_test(dynamodb_gives_the_item_that_stood_in_the_way),
        cmocka_unit_test(dynamodb_scans_page_by_page),
        cmocka_unit_test(s3_puts_with_a_checksum_and_conditions),
        cmocka_unit_test(s3_does_not_believe_a_put_without_an_etag),
        cmocka_unit_test(s3_gets_what_is_there_and_says_what_is_not),
        cmocka_unit_test(s3_lists_all_pages_and_undoes_both_encodings),
        cmocka_unit_test(s3_uploads_large_bodies_in_parts),
        cmocka_unit_test(s3_complete_that_fails_with_200_is_tried_again),
        cmocka_unit_test(sqs_sends_a_batch_and_tells_each_messages_fate),
        cmocka_unit_test(sqs_knows_the_characters_it_may_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
