#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapters/inputs/kinesis/get_records_body.h"
#include "counting_alloc.h"

static struct tw_get_records answer;
static struct tumble_error err;

static int set_up(void **state) {
    (void)state;
    tw_get_records_init(&answer, (struct tumble_alloc){0});
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_get_records_clean_up(&answer);
    return 0;
}

static enum tumble_code parse(const char *text) { return tw_get_records_read(&answer, tumble_bytes_of(text), &err); }

static void assert_bytes(struct tumble_bytes got, const char *wanted) {
    assert_int_equal(got.length, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.length);
}

#define RECORD(sequence, key, data, arrival)                                                                           \
    "{\"SequenceNumber\":\"" sequence "\",\"PartitionKey\":\"" key "\",\"Data\":\"" data                               \
    "\",\"ApproximateArrivalTimestamp\":" arrival "}"
#define ANSWER(records) "{\"Records\":[" records "],\"NextShardIterator\":\"next\",\"MillisBehindLatest\":0}"

static void reads_records_in_any_order_of_members(void **state) {
    (void)state;
    assert_int_equal(
        parse("{\"MillisBehindLatest\": 1200, \"Records\": [\n"
              "  {\"Data\":\"eyJhIjoxfQ==\", \"Other\":{\"x\":[1,{}]}, \"PartitionKey\":\"k\","
              "\"ApproximateArrivalTimestamp\":1545084650.987, \"SequenceNumber\":\"17\"},\n"
              "  {\"SequenceNumber\":\"018\",\"EncryptionType\":\"KMS\",\"PartitionKey\":\"\",\"Data\":\"\","
              "\"ApproximateArrivalTimestamp\":1545084651}], \"NextShardIterator\":\"AA\\/B=\"}"),
        TUMBLE_OK);
    assert_int_equal(answer.count, 2);
    assert_bytes(answer.records[0].data, "{\"a\":1}");
    assert_bytes(answer.records[0].partition_key, "k");
    assert_bytes(answer.records[0].sequence_number, "17");
    assert_int_equal(answer.records[0].arrival_ms, 1545084650987);
    assert_false(answer.records[0].kms);
    assert_bytes(answer.records[1].sequence_number, "18");
    assert_int_equal(answer.records[1].data.length, 0);
    assert_null(answer.records[1].bad);
    assert_true(answer.records[1].kms);
    assert_bytes(answer.next_iterator, "AA/B=");
    assert_int_equal(answer.millis_behind_latest, 1200);
    assert_int_equal(answer.bytes, 8);
}

static void takes_every_form_of_arrival(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } forms[] = {{"1545084650.987", 1545084650987},
                 {"1545084650", 1545084650000},
                 {"1.545084650987E9", 1545084650987},
                 {"1.69106871717E9", 1691068717170},
                 {"1545084650.9876", 1545084650988},
                 {"1545084650.9", 1545084650900},
                 {"0.001", 1},
                 {"\"2018-12-17T22:10:50.987Z\"", 1545084650987}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{\"Records\":[{\"SequenceNumber\":\"1\",\"Data\":\"\",\"ApproximateArrivalTimestamp\":%s}]}",
                 forms[i].text);
        assert_int_equal(parse(text), TUMBLE_OK);
        assert_int_equal(answer.records[0].arrival_ms, forms[i].ms);
    }
    assert_int_equal(parse("{\"Records\":[{\"SequenceNumber\":\"1\",\"Data\":\"\"}]}"), TUMBLE_ETIMESTAMP);
    assert_int_equal(parse(ANSWER(RECORD("1", "k", "", "-1"))), TUMBLE_ETIMESTAMP);
    assert_int_equal(parse(ANSWER(RECORD("1", "k", "", "1e300"))), TUMBLE_ETIMESTAMP);
    assert_int_equal(parse(ANSWER(RECORD("1", "k", "", "true"))), TUMBLE_ETIMESTAMP);
}

static void null_is_a_member_that_is_not_there(void **state) {
    (void)state;
    assert_int_equal(parse("{\"ChildShards\":null,\"MillisBehindLatest\":null,\"NextShardIterator\":null,\"Records\":["
                           "{\"SequenceNumber\":\"5\",\"EncryptionType\":null,\"PartitionKey\":null,\"Data\":null,"
                           "\"ApproximateArrivalTimestamp\":1}]}"),
                     TUMBLE_OK);
    assert_int_equal(answer.next_iterator.length, 0);
    assert_int_equal(answer.millis_behind_latest, -1);
    assert_int_equal(answer.child_count, 0);
    assert_int_equal(answer.records[0].partition_key.length, 0);
    assert_non_null(answer.records[0].bad);
}

static void undoes_escapes(void **state) {
    (void)state;
    assert_int_equal(parse(ANSWER(RECORD("\\u0031\\u0037", "a\\u00e9\\n\\\"", "eyJ\\u0068IjoxfQ\\u003d=", "1"))),
                     TUMBLE_OK);
    assert_bytes(answer.records[0].sequence_number, "17");
    assert_bytes(answer.records[0].partition_key, "a\xc3\xa9\n\"");
    assert_bytes(answer.records[0].data, "{\"a\":1}");
}

static void data_that_is_not_base64_is_a_bad_record(void **state) {
    (void)state;
    assert_int_equal(parse(ANSWER(RECORD("1", "k", "e*==", "1") "," RECORD("2", "k", "e\\u002a==", "1") "," RECORD(
                         "3", "k", "eyJhIjoxfQ==", "1"))),
                     TUMBLE_OK);
    assert_int_equal(answer.count, 3);
    assert_non_null(answer.records[0].bad);
    assert_bytes(answer.records[0].data, "e*==");
    assert_bytes(answer.records[1].data, "e*==");
    assert_null(answer.records[2].bad);
    assert_bytes(answer.records[2].data, "{\"a\":1}");
}

static void reads_children(void **state) {
    (void)state;
    assert_int_equal(
        parse("{\"Records\":[],\"MillisBehindLatest\":0,\"ChildShards\":[{\"ShardId\":\"shardId-000000000002\","
              "\"ParentShards\":[\"shardId-000000000000\",\"shardId-000000000001\"],\"HashKeyRange\":{"
              "\"StartingHashKey\":"
              "\"0\",\"EndingHashKey\":\"340282366920938463463374607431768211455\"}}]}"),
        TUMBLE_OK);
    assert_int_equal(answer.child_count, 1);
    assert_string_equal(answer.children[0].id, "shardId-000000000002");
    assert_string_equal(answer.children[0].parents[1], "shardId-000000000001");
    assert_int_equal(answer.children[0].end.high, UINT64_MAX);
    assert_int_equal(answer.children[0].end.low, UINT64_MAX);
    /* One that cannot be read: none, so that nobody takes the rest for all of them. */
    assert_int_equal(
        parse("{\"Records\":[],\"ChildShards\":[{\"ShardId\":\"a\",\"ParentShards\":[\"p\"],\"HashKeyRange\":{"
              "\"StartingHashKey\":\"0\",\"EndingHashKey\":\"1\"}},{\"ShardId\":\"b\"}]}"),
        TUMBLE_OK);
    assert_int_equal(answer.child_count, 0);
    assert_int_equal(parse("{\"Records\":[],\"ChildShards\":[1]}"), TUMBLE_OK);
    assert_int_equal(parse("{\"Records\":[],\"ChildShards\":{\"a\":1}}"), TUMBLE_OK);
}

static void refuses_what_get_records_does_not_answer(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum tumble_code code;
    } hostile[] = {
        {"", TUMBLE_EEVENT},
        {" ", TUMBLE_EEVENT},
        {"[]", TUMBLE_EEVENT},
        {"null", TUMBLE_EEVENT},
        {"{}", TUMBLE_EEVENT}, /* not the end of the shard */
        {"{\"NextShardIterator\":null}", TUMBLE_EEVENT},
        {"{\"Records\":null}", TUMBLE_EEVENT},
        {"{\"Records\":{}}", TUMBLE_EEVENT},
        {"{\"Records\":[1]}", TUMBLE_EEVENT},
        {"{\"Records\":[[]]}", TUMBLE_EEVENT},
        {"{\"Records\":[],\"Records\":[]}", TUMBLE_EEVENT},
        {"{\"Records\":[]", TUMBLE_EJSON},
        {"{\"Records\":[}", TUMBLE_EEVENT},
        {"{\"Records\":[]}x", TUMBLE_EJSON},
        {"{\"Records\":[]}{}", TUMBLE_EJSON},
        {"{\"Records\":[],}", TUMBLE_EJSON},
        {"{\"Records\":[{}]}", TUMBLE_ESEQUENCE},
        {"{\"Records\":[{\"SequenceNumber\":17}]}", TUMBLE_ESEQUENCE},
        {"{\"Records\":[{\"SequenceNumber\":\"\"}]}", TUMBLE_ESEQUENCE},
        {"{\"Records\":[{\"SequenceNumber\":\"-1\"}]}", TUMBLE_ESEQUENCE},
        {"{\"Records\":[{\"SequenceNumber\":\"1\",}]}", TUMBLE_EJSON},
        {"{\"Records\":[{\"SequenceNumber\":\"1\"", TUMBLE_EJSON},
        {"{\"Records\":[{\"SequenceNumber\":\"\xff\"}]}", TUMBLE_EUTF8},
        {"{\"Records\":[{\"PartitionKey\":\"\\ud800\"}]}", TUMBLE_EUTF8},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        assert_int_equal(parse(hostile[i].text), hostile[i].code);
        assert_int_equal(answer.count, 0);
        assert_int_equal(answer.next_iterator.length, 0);
    }
    char digits[200];
    memset(digits, '9', 129);
    digits[129] = '\0';
    char text[400];
    snprintf(text, sizeof text,
             "{\"Records\":[{\"SequenceNumber\":\"%s\",\"Data\":\"\",\"ApproximateArrivalTimestamp\":1}]}", digits);
    assert_int_equal(parse(text), TUMBLE_ESEQUENCE);
}

static void a_descent_names_the_record(void **state) {
    (void)state;
    assert_int_equal(parse(ANSWER(RECORD("100", "k", "", "1") "," RECORD("99", "k", "", "1"))), TUMBLE_EORDER);
    assert_int_equal(err.record, 1);
    assert_non_null(strstr(err.text, "99"));
    assert_int_equal(parse(ANSWER(RECORD("7", "k", "", "1") "," RECORD("7", "k", "", "1"))), TUMBLE_EORDER);
}

static void cut_anywhere_is_never_taken_for_whole(void **state) {
    (void)state;
    static const char whole[] = ANSWER(RECORD("1", "k", "eyJhIjoxfQ==", "1.5") "," RECORD("2", "\\u00e9", "", "1E9"));
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char *cut = malloc(length ? length : 1); /* so that a read behind it is seen */
        memcpy(cut, whole, length);
        assert_int_not_equal(tw_get_records_read(&answer, (struct tumble_bytes){cut, length}, &err), TUMBLE_OK);
        free(cut);
    }
    assert_int_equal(parse(whole), TUMBLE_OK);
}

static void takes_10000_records_and_no_more(void **state) {
    (void)state;
    for (size_t count = 10000; count <= 10001; count++) {
        char *text = malloc(count * 120 + 100);
        size_t length = (size_t)sprintf(text, "{\"Records\":[");
        for (size_t i = 0; i < count; i++) {
            length += (size_t)sprintf(text + length,
                                      "%s{\"SequenceNumber\":\"%zu\",\"PartitionKey\":\"k\",\"Data\":\"AAAA\","
                                      "\"ApproximateArrivalTimestamp\":1.0}",
                                      i ? "," : "", i + 1);
        }
        length += (size_t)sprintf(text + length, "]}");
        enum tumble_code code = tw_get_records_read(&answer, (struct tumble_bytes){text, length}, &err);
        assert_int_equal(code, count == 10000 ? TUMBLE_OK : TUMBLE_ELIMIT);
        assert_int_equal(answer.count, count == 10000 ? 10000 : 0);
        free(text);
    }
}

static void runs_out_of_memory_cleanly(void **state) {
    (void)state;
    static const char text[] = ANSWER(RECORD("1", "k", "eyJhIjoxfQ==", "1"));
    for (size_t nth = 1; nth < 10; nth++) {
        struct tw_get_records own;
        struct counting_alloc memory = {.fail_at = nth};
        tw_get_records_init(&own, counting_alloc_of(&memory));
        enum tumble_code code = tw_get_records_read(&own, tumble_bytes_of(text), &err);
        assert_true(code == TUMBLE_OK || code == TUMBLE_ENOMEM);
        tw_get_records_clean_up(&own);
        assert_int_equal(memory.live, 0);
        if (code == TUMBLE_OK) {
            assert_true(nth > 1);
            return;
        }
    }
    fail();
}

static void hash_keys_have_128_bits(void **state) {
    (void)state;
    struct tumble_kinesis_hash hash;
    assert_true(tw_hash_key_read(tumble_bytes_of("170141183460469231731687303715884105728"), &hash));
    assert_int_equal(hash.high, UINT64_C(1) << 63);
    assert_int_equal(hash.low, 0);
    assert_true(tw_hash_key_read(tumble_bytes_of("00018446744073709551617"), &hash));
    assert_int_equal(hash.high, 1);
    assert_int_equal(hash.low, 1);
    assert_false(tw_hash_key_read(tumble_bytes_of("340282366920938463463374607431768211456"), &hash));
    assert_false(tw_hash_key_read(tumble_bytes_of("12a"), &hash));
    assert_false(tw_hash_key_read(tumble_bytes_of(""), &hash));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(reads_records_in_any_order_of_members),
        TEST(takes_every_form_of_arrival),
        TEST(null_is_a_member_that_is_not_there),
        TEST(undoes_escapes),
        TEST(data_that_is_not_base64_is_a_bad_record),
        TEST(reads_children),
        TEST(refuses_what_get_records_does_not_answer),
        TEST(a_descent_names_the_record),
        TEST(cut_anywhere_is_never_taken_for_whole),
        TEST(takes_10000_records_and_no_more),
        TEST(runs_out_of_memory_cleanly),
        TEST(hash_keys_have_128_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
