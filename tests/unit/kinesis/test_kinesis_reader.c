#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../aws/canned_server.h"
#include "adapters/inputs/kinesis/kinesis_stream.h"
#include "counting_alloc.h"
#include "engine/base/alloc.h"

/* A reader against answers laid out here, in a time of its own; against Kinesis's own ways: tests/kinesis. */

enum { ANSWERS = 24 };

struct trial {
    struct canned_server server;
    struct canned canned[ANSWERS];
    char *texts[ANSWERS];
    size_t count;
    int64_t now;
    int64_t steady;
    int64_t slept;
    int interrupted;
    struct tumble_kinesis_clock clock;
    struct tumble_kinesis_options options;
    struct tumble_kinesis_stream *stream;
    struct tumble_kinesis_reader *reader;
    struct tumble_kinesis_batch batch;
    struct tumble_error err;
};

static int64_t now_ms(void *ctx) { return ((struct trial *)ctx)->now; }
static int64_t steady_ms(void *ctx) { return ((struct trial *)ctx)->steady; }
static void sleep_ms(void *ctx, int64_t how_long) {
    struct trial *trial = ctx;
    trial->slept += how_long;
    trial->steady += how_long;
    trial->now += how_long;
}
static uint64_t no_jitter(void *ctx) {
    (void)ctx;
    return UINT64_MAX;
}
static int interrupted(void *ctx) { return ((struct trial *)ctx)->interrupted; }

#define SUMMARY(status)                                                                                                \
    "{\"StreamDescriptionSummary\":{\"StreamName\":\"clicks\",\"StreamARN\":\"arn:aws:kinesis:eu-west-1:123456789012:" \
    "stream/clicks\",\"StreamStatus\":\"" status "\",\"RetentionPeriodHours\":24,\"OpenShardCount\":1,"                \
    "\"StreamCreationTimestamp\":1795420800.5,\"EncryptionType\":\"NONE\"}}"
#define ITERATOR(text) "{\"ShardIterator\":\"" text "\"}"
#define RECORD(sequence, arrival)                                                                                      \
    "{\"SequenceNumber\":\"" sequence                                                                                  \
    "\",\"PartitionKey\":\"k\",\"Data\":\"AAAA\",\"ApproximateArrivalTimestamp\":" arrival "}"
#define PAGE(records, next, behind)                                                                                    \
    "{\"Records\":[" records "],\"NextShardIterator\":" next ",\"MillisBehindLatest\":" behind "}"
#define SHARD "shardId-000000000000"

static char *refusal(const char *status, const char *code) {
    char *text;
    char body[256];
    snprintf(body, sizeof body, "{\"__type\":\"%s\",\"message\":\"no\"}", code);
    assert_true(asprintf(&text, "HTTP/1.1 %s X\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body) > 0);
    return text;
}

/* "400 Code" is a refusal, "!…" an answer cut short, "~" one that never comes, anything else the body of a 200. */
static void lay(struct trial *trial, const char *body) {
    char *text;
    enum canned_how how = CANNED_KEEP;
    if (body[0] >= '0' && body[0] <= '9') {
        char status[4] = {body[0], body[1], body[2], 0};
        text = refusal(status, body + 4);
    } else if (body[0] == '!') {
        assert_true(asprintf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body) + 10, body + 1) >
                    0);
        how = CANNED_CLOSE;
    } else if (body[0] == '~') {
        text = strdup("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        how = CANNED_STALL;
    } else {
        assert_true(asprintf(&text,
                             "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nContent-Length: %zu\r\n"
                             "\r\n%s",
                             strlen(body), body) > 0);
    }
    if (strstr(body, "StreamStatus")) { /* the reader has a connection of its own, and the server one at a time */
        how = CANNED_CLOSE;
    }
    trial->texts[trial->count] = text;
    trial->canned[trial->count++] = (struct canned){text, how};
}

static void prepare(struct trial *trial, const char *const *bodies, size_t count) {
    memset(trial, 0, sizeof *trial);
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    for (size_t i = 0; i < count; i++) {
        lay(trial, bodies[i]);
    }
    assert_true(canned_start(&trial->server, trial->canned, count));
    trial->now = INT64_C(1795420800000);
    trial->steady = 1000000;
    trial->clock = (struct tumble_kinesis_clock){trial, now_ms, steady_ms, sleep_ms, no_jitter};
    trial->options = (struct tumble_kinesis_options){
        .stream = "clicks",
        .region = "eu-west-1",
        .endpoint_url = trial->server.url,
        .clock = &trial->clock,
        .interrupted = interrupted,
        .interrupted_ctx = trial,
        .max_attempts = 1,
    };
}

static void begin(struct trial *trial, const char *const *bodies, size_t count,
                  const struct tumble_kinesis_position *position) {
    prepare(trial, bodies, count);
    assert_int_equal(tumble_kinesis_open(&trial->options, &trial->stream, &trial->err), TUMBLE_OK);
    assert_int_equal(tumble_kinesis_reader_open(trial->stream, SHARD, position, 0, &trial->reader, &trial->err),
                     TUMBLE_OK);
}

static void end(struct trial *trial) {
    tumble_kinesis_reader_close(trial->reader);
    tumble_kinesis_close(trial->stream);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
    for (size_t i = 0; i < trial->count; i++) {
        free(trial->texts[i]);
    }
}

/* The next poll, at the time it was told. */
static enum tumble_code poll(struct trial *trial) {
    if (trial->batch.next_poll_steady_ms > trial->steady) {
        sleep_ms(trial, trial->batch.next_poll_steady_ms - trial->steady);
    }
    return tumble_kinesis_reader_poll(trial->reader, &trial->batch, &trial->err);
}

static bool sent(const struct trial *trial, size_t request, const char *text) {
    return request < trial->server.served && strstr(trial->server.requests[request], text) != NULL;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const struct tumble_kinesis_position from_begin = {.start = TUMBLE_KINESIS_TRIM_HORIZON};

static void reads_a_shard_to_its_end(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("ACTIVE"), ITERATOR("one\\/1"),
        PAGE(RECORD("10", "1795420800.5") "," RECORD("11", "1.7954208006E9"), "\"two\"", "7"),
        PAGE("", "\"three\"", "0"),
        ("{\"Records\":[],\"NextShardIterator\":null,\"MillisBehindLatest\":0,\"ChildShards\":[{\"ShardId\":\"c\","
         "\"ParentShards\":[\"p\"],\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"9\"}}]}")};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    struct tumble_kinesis_facts facts;
    tumble_kinesis_facts(trial.stream, &facts);
    assert_string_equal(facts.arn, "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks");
    assert_string_equal(facts.region, "eu-west-1");
    assert_int_equal(facts.retention_ms, 86400000);
    assert_int_equal(facts.created_ms, INT64_C(1795420800500));
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_true(trial.batch.asked);
    assert_int_equal(trial.batch.count, 2);
    assert_int_equal(trial.batch.records[1].arrival_ms, INT64_C(1795420800600));
    assert_int_equal(trial.batch.millis_behind_latest, 7);
    assert_int_equal(trial.batch.bytes, 8);
    assert_int_equal(trial.batch.next_poll_steady_ms, trial.steady + 200);
    /* Too early: nothing is sent. */
    size_t served = trial.server.served;
    struct tumble_kinesis_batch early;
    assert_int_equal(tumble_kinesis_reader_poll(trial.reader, &early, &trial.err), TUMBLE_OK);
    assert_false(early.asked);
    assert_int_equal(early.next_poll_steady_ms, trial.steady + 200);
    assert_int_equal(trial.server.served, served);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.next_poll_steady_ms, trial.steady + 1000); /* at the tip */
    assert_int_equal(poll(&trial), TUMBLE_OK);
    for (int again = 0; again < 2; again++) {
        assert_true(trial.batch.is_end);
        assert_int_equal(trial.batch.child_count, 1);
        assert_string_equal(trial.batch.children[0].id, "c");
        assert_string_equal(trial.batch.children[0].parents[0], "p");
        assert_null(trial.batch.children[0].parents[1]);
        assert_int_equal(poll(&trial), TUMBLE_OK);
    }
    assert_true(sent(&trial, 0, "Kinesis_20131202.DescribeStreamSummary"));
    assert_true(sent(&trial, 1, "\"ShardIteratorType\":\"TRIM_HORIZON\""));
    assert_true(sent(&trial, 2, "\"ShardIterator\":\"one/1\",\"Limit\":10000"));
    assert_true(sent(&trial, 4, "\"ShardIterator\":\"three\""));
    end(&trial);
}

static void an_expired_iterator_is_got_anew_at_the_last_record(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("ACTIVE"),
        ITERATOR("a"),
        PAGE(RECORD("10", "1795420800.5"), "\"b\"", "5"),
        "400 ExpiredIteratorException",
        ITERATOR("c"),
        PAGE(RECORD("10", "1795420800.5") "," RECORD("12", "1795420801"), "\"d\"", "0"),
        PAGE(RECORD("13", "1795420801"), "\"e\"", "0")};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_true(trial.batch.iterator_renewed);
    assert_false(trial.batch.asked);
    assert_null(trial.batch.trouble);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.count, 1); /* the record that proves the place was given before */
    assert_memory_equal(trial.batch.records[0].sequence_number.data, "12", 2);
    assert_int_equal(trial.batch.bytes, 4);
    assert_null(trial.batch.gap);
    assert_true(sent(&trial, 4, "\"ShardIteratorType\":\"AT_SEQUENCE_NUMBER\",\"StartingSequenceNumber\":\"10\""));
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_memory_equal(trial.batch.records[0].sequence_number.data, "13", 2);
    struct tumble_kinesis_reader_facts facts;
    tumble_kinesis_reader_facts(trial.reader, &facts);
    assert_int_equal(facts.renewals, 1);
    assert_int_equal(facts.records, 3);
    assert_int_equal(facts.gaps, 0);
    end(&trial);
}

static void iterators_that_expire_for_ever_are_an_error(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),
                                         ITERATOR("a"),
                                         "400 ExpiredIteratorException",
                                         ITERATOR("a"),
                                         "400 ExpiredIteratorException",
                                         ITERATOR("a"),
                                         "400 ExpiredIteratorException",
                                         ITERATOR("a"),
                                         "400 ExpiredIteratorException"};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poll(&trial), TUMBLE_OK);
    }
    assert_int_equal(poll(&trial), TUMBLE_EINPUT);
    end(&trial);
}

static void a_gap_is_told_when_the_place_has_aged_out(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"), ITERATOR("a"), PAGE("", "\"b\"", "90"),
                                         PAGE(RECORD("20", "1795420700"), "\"c\"", "0")};
    static const struct tumble_kinesis_position long_ago = {
        .start = TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER, .sequence = {"10", 2}, .arrival_ms = INT64_C(1795320800000)};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &long_ago);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_null(trial.batch.gap); /* an empty page proves nothing */
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_non_null(trial.batch.gap);
    assert_memory_equal(trial.batch.gap->after.data, "10", 2);
    assert_memory_equal(trial.batch.gap->before.data, "20", 2);
    assert_int_equal(trial.batch.gap->after_ms, INT64_C(1795320800000));
    assert_int_equal(trial.batch.gap->before_ms, INT64_C(1795420700000));
    assert_int_equal(trial.batch.count, 1);
    end(&trial);
    /* The same of a record that cannot have aged out: it was not the first of what followed, no more. */
    static const struct tumble_kinesis_position lately = {
        .start = TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER, .sequence = {"10", 2}, .arrival_ms = INT64_C(1795420600000)};
    begin(&trial, bodies, COUNT(bodies), &lately);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_null(trial.batch.gap);
    end(&trial);
    /* A record that was asked for itself and is not there is a gap at any age. */
    static const struct tumble_kinesis_position itself = {
        .start = TUMBLE_KINESIS_AT_SEQUENCE_NUMBER, .sequence = {"10", 2}, .arrival_ms = INT64_C(1795420600000)};
    begin(&trial, bodies, COUNT(bodies), &itself);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_non_null(trial.batch.gap);
    end(&trial);
}

static void at_a_sequence_number_the_record_itself_is_given(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),
                                         ITERATOR("a"),
                                         PAGE(RECORD("10", "1") "," RECORD("11", "1"), "\"b\"", "0"),
                                         "400 ExpiredIteratorException",
                                         ITERATOR("c"),
                                         PAGE(RECORD("11", "1"), "null", "0")};
    static const struct tumble_kinesis_position at = {.start = TUMBLE_KINESIS_AT_SEQUENCE_NUMBER,
                                                      .sequence = {"0010", 4}};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &at);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.count, 2);
    assert_null(trial.batch.gap);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_true(sent(&trial, 4, "\"StartingSequenceNumber\":\"11\""));
    assert_int_equal(trial.batch.count, 0);
    assert_true(trial.batch.is_end);
    assert_null(trial.batch.gap);
    end(&trial);
}

static void latest_is_the_same_moment_after_a_renewal(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),      ITERATOR("a"),
                                         PAGE("", "\"b\"", "0"), "400 ExpiredIteratorException",
                                         ITERATOR("c"),          PAGE("", "\"d\"", "0")};
    static const struct tumble_kinesis_position latest = {.start = TUMBLE_KINESIS_LATEST};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &latest);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poll(&trial), TUMBLE_OK);
    }
    assert_true(sent(&trial, 1, "\"ShardIteratorType\":\"LATEST\""));
    assert_true(sent(&trial, 4, "\"ShardIteratorType\":\"AT_TIMESTAMP\",\"Timestamp\":1795420800.000")); /* Date */
    end(&trial);
}

static void throttles_wait_longer_each_time(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),
                                         ITERATOR("a"),
                                         "400 ProvisionedThroughputExceededException",
                                         "400 LimitExceededException",
                                         "400 KMSThrottlingException",
                                         PAGE(RECORD("1", "1"), "\"b\"", "1")};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    int64_t waited = 0;
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(poll(&trial), TUMBLE_OK);
        assert_non_null(trial.batch.trouble);
        assert_true(trial.batch.throttled);
        assert_int_equal(trial.batch.failures, i);
        assert_true(trial.batch.next_poll_steady_ms - trial.steady > waited);
        waited = trial.batch.next_poll_steady_ms - trial.steady;
    }
    assert_true(trial.batch.failing_for_ms > 0);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_null(trial.batch.trouble);
    assert_int_equal(trial.batch.count, 1);
    assert_int_equal(trial.slept > 1000, 1);
    struct tumble_kinesis_reader_facts facts;
    tumble_kinesis_reader_facts(trial.reader, &facts);
    assert_int_equal(facts.throttles, 3);
    assert_int_equal(facts.get_iterators, 1); /* the iterator is as good as before */
    end(&trial);
}

static void a_damaged_answer_is_asked_for_again(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),
                                         ITERATOR("a"),
                                         "{}",
                                         "500 InternalFailure",
                                         ITERATOR("b"),
                                         "!{\"Records\":[",
                                         PAGE(RECORD("1", "1"), "\"b\"", "1")};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(poll(&trial), TUMBLE_OK);
        assert_non_null(trial.batch.trouble);
        assert_false(trial.batch.throttled);
        assert_false(trial.batch.is_end);
    }
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.count, 1);
    end(&trial);
}

static void refusals_end_the_reader(void **state) {
    (void)state;
    static const struct {
        const char *iterator, *records;
        enum tumble_code code;
        const char *text;
    } cases[] = {
        {"400 ResourceNotFoundException", NULL, TUMBLE_EINPUT, "gone"},
        {"400 AccessDeniedException", NULL, TUMBLE_EINPUT, "allow the role"},
        {"400 InvalidArgumentException", NULL, TUMBLE_EUSAGE, "refused"},
        {ITERATOR("a"), "400 ResourceNotFoundException", TUMBLE_EINPUT, "gone"},
        {ITERATOR("a"), "400 KMSDisabledException", TUMBLE_EINPUT, "kms:Decrypt"},
        {ITERATOR("a"), PAGE(RECORD("2", "1") "," RECORD("1", "1"), "\"b\"", "1"), TUMBLE_EORDER,
         "does not stand above"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *bodies[] = {SUMMARY("ACTIVE"), cases[i].iterator, cases[i].records};
        struct trial trial;
        begin(&trial, bodies, cases[i].records ? 3 : 2, &from_begin);
        assert_int_equal(poll(&trial), cases[i].code);
        assert_non_null(strstr(trial.err.text, cases[i].text));
        assert_non_null(strstr(trial.err.text, SHARD));
        assert_int_equal(trial.err.code, cases[i].code);
        end(&trial);
    }
}

static void a_position_of_another_stream_is_explained(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"), "400 InvalidArgumentException"};
    static const struct tumble_kinesis_position after = {.start = TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER,
                                                         .sequence = {"10", 2}};
    struct trial trial;
    begin(&trial, bodies, COUNT(bodies), &after);
    assert_int_equal(poll(&trial), TUMBLE_EINPUT);
    assert_non_null(strstr(trial.err.text, "made anew"));
    end(&trial);
}

static void bytes_slow_the_next_poll(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"), ITERATOR("a"),
                                         PAGE(RECORD("1", "1") "," RECORD("2", "1"), "\"b\"", "900")};
    struct trial trial;
    prepare(&trial, bodies, COUNT(bodies));
    trial.options.bytes_per_second = 10;
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_OK);
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &from_begin, 2, &trial.reader, &trial.err),
                     TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.next_poll_steady_ms, trial.steady + 801);
    assert_true(sent(&trial, 2, "\"Limit\":2"));
    end(&trial);
}

static void an_answer_too_large_is_asked_for_with_fewer_records(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("ACTIVE"), ITERATOR("a"),
        PAGE(RECORD("1", "1") "," RECORD("2", "1") "," RECORD("3", "1"), "\"b\"", "900"),
        PAGE(RECORD("1", "1"), "\"b\"", "900")};
    struct trial trial;
    prepare(&trial, bodies, COUNT(bodies));
    trial.options.max_response_bytes = 250;
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_OK);
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &from_begin, 3, &trial.reader, &trial.err),
                     TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_false(trial.batch.asked);
    assert_null(trial.batch.trouble);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.count, 1);
    assert_true(sent(&trial, 3, "\"Limit\":1"));
    end(&trial);
}

static void an_answer_too_slow_is_asked_for_with_fewer_records_for_a_while(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"), ITERATOR("a"), "~", PAGE(RECORD("1", "1"), "\"b\"", "900"),
                                         PAGE(RECORD("2", "1"), "\"c\"", "900")};
    struct trial trial;
    prepare(&trial, bodies, COUNT(bodies));
    trial.options.call_ms = 300;
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_OK);
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &from_begin, 160, &trial.reader, &trial.err),
                     TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_non_null(trial.batch.trouble);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(poll(&trial), TUMBLE_OK);
    assert_int_equal(trial.batch.count, 1);
    assert_true(sent(&trial, 2, "\"Limit\":160"));
    assert_true(sent(&trial, 3, "\"Limit\":80"));
    assert_true(sent(&trial, 4, "\"Limit\":91"));
    end(&trial);
}

static void a_stream_that_is_being_made_is_waited_for(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("CREATING"), SUMMARY("CREATING"), SUMMARY("ACTIVE")};
    struct trial trial;
    prepare(&trial, bodies, COUNT(bodies));
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_OK);
    assert_true(trial.slept >= 2000);
    end(&trial);
    static const char *const never[] = {SUMMARY("CREATING")};
    prepare(&trial, never, 1);
    trial.options.creating_wait_ms = -1;
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_EINPUT);
    assert_non_null(strstr(trial.err.text, "still being made"));
    end(&trial);
    prepare(&trial, never, 1);
    trial.interrupted = 1;
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_EINTERRUPTED);
    end(&trial);
}

static void streams_that_cannot_be_read_are_explained(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum tumble_code code;
        const char *text;
    } cases[] = {
        {"400 ResourceNotFoundException", TUMBLE_EINPUT, "no stream clicks in eu-west-1"},
        {SUMMARY("DELETING"), TUMBLE_EINPUT, "being deleted"},
        {"400 AccessDeniedException", TUMBLE_EINPUT, "allow the role"},
        {"400 UnrecognizedClientException", TUMBLE_EINPUT, "credentials"},
        {"500 InternalFailure", TUMBLE_EINPUT, "500"},
        {"{\"StreamDescriptionSummary\":{}}", TUMBLE_EINPUT, "StreamARN"},
        {"[]", TUMBLE_EINPUT, "JSON"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trial trial;
        prepare(&trial, &cases[i].answer, 1);
        assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), cases[i].code);
        assert_null(trial.stream);
        assert_non_null(strstr(trial.err.text, cases[i].text));
        end(&trial);
    }
    static const struct {
        const char *stream, *text;
    } names[] = {{"", "no stream"},
                 {"a b", "letters"},
                 {"arn:aws:kinesis", "no ARN"},
                 {"arn:aws:dynamodb:eu-west-1:1:stream/a", "no ARN"},
                 {"arn:aws:kinesis:eu-west-1:1:stream/", "letters"},
                 {"arn:aws:kinesis:us-east-1:1:stream/a", "leave the region out"},
                 {"arn:aws:kinesis:eu-west-1:1:stream/a/consumer/b:1", "consumer"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct tumble_kinesis_options options = {.stream = names[i].stream, .region = "eu-west-1"};
        struct tumble_kinesis_stream *stream;
        struct tumble_error err;
        assert_int_equal(tumble_kinesis_open(&options, &stream, &err), TUMBLE_EUSAGE);
        assert_non_null(strstr(err.text, names[i].text));
    }
}

static void a_server_that_knows_no_arns_is_asked_by_name(void **state) {
    (void)state;
    static const char *const bodies[] = {"400 ValidationException", SUMMARY("ACTIVE"), "{\"Shards\":[]}"};
    struct trial trial;
    prepare(&trial, bodies, COUNT(bodies));
    trial.options.stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";
    assert_int_equal(tumble_kinesis_open(&trial.options, &trial.stream, &trial.err), TUMBLE_OK);
    const struct tumble_kinesis_shard *shards;
    size_t count;
    assert_int_equal(tumble_kinesis_shards(trial.stream, &shards, &count, NULL, &trial.err), TUMBLE_OK);
    assert_true(sent(&trial, 0, "\"StreamARN\":\"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks\""));
    assert_true(sent(&trial, 1, "{\"StreamName\":\"clicks\"}"));
    assert_true(sent(&trial, 2, "{\"StreamName\":\"clicks\",\"MaxResults\":1000}"));
    end(&trial);
}

#define LISTED(id, parent, adjacent, ending)                                                                           \
    "{\"ShardId\":\"" id "\",\"ParentShardId\":" parent ",\"AdjacentParentShardId\":" adjacent                         \
    ",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"18446744073709551616\"},"                        \
    "\"SequenceNumberRange\":{"                                                                                        \
    "\"StartingSequenceNumber\":\"7\",\"EndingSequenceNumber\":" ending "}}"

static void lists_shards_page_by_page_in_order(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("ACTIVE"),
        "{\"Shards\":[" LISTED("s-3", "\"s-0\"", "\"s-1\"", "null") "," LISTED(
            "s-0", "null", "null", "\"9223372036854775807\"") "],"
                                                              "\"NextToken\":\"to\\/ken\"}",
        "{\"Shards\":[" LISTED("s-1", "null", "null", "\"8\"") "," LISTED("s-0", "null", "null",
                                                                          "\"8\"") "],\"NextToken\":null}",
        "400 LimitExceededException", "400 ResourceNotFoundException"};
    struct trial trial;
    const struct tumble_kinesis_shard *shards;
    size_t count;
    int may_pass = -1;
    begin(&trial, bodies, COUNT(bodies), &from_begin);
    assert_int_equal(tumble_kinesis_shards(trial.stream, &shards, &count, &may_pass, &trial.err), TUMBLE_OK);
    assert_true(sent(&trial, 2, "{\"NextToken\":\"to/ken\",\"MaxResults\":1000}"));
    assert_int_equal(count, 3); /* s-0 came twice */
    assert_string_equal(shards[0].id, "s-0");
    assert_true(shards[0].is_closed);
    assert_int_equal(shards[0].end.high, 1);
    assert_int_equal(shards[0].parents[0], UINT32_MAX);
    assert_string_equal(shards[2].id, "s-3");
    assert_false(shards[2].is_closed);
    assert_int_equal(shards[2].parents[0], 0);
    assert_int_equal(shards[2].parents[1], 1);
    assert_string_equal(shards[2].starting_sequence, "7");
    assert_int_equal(tumble_kinesis_shards(trial.stream, &shards, &count, &may_pass, &trial.err), TUMBLE_EINPUT);
    assert_int_equal(may_pass, 1);
    assert_int_equal(tumble_kinesis_shards(trial.stream, &shards, &count, &may_pass, &trial.err), TUMBLE_EINPUT);
    assert_int_equal(may_pass, 0);
    assert_non_null(strstr(trial.err.text, "deleted"));
    end(&trial);
}

static void refuses_lists_that_are_none(void **state) {
    (void)state;
    static const char *const lists[] = {
        "{}",
        "{\"Shards\":null}",
        "{\"Shards\":[1]}",
        "{\"Shards\":[{}]}",
        "{\"Shards\":[{\"ShardId\":\"a b\"}]}",
        "{\"Shards\":[{\"ShardId\":\"a\",\"HashKeyRange\":{\"StartingHashKey\":\"x\"}}]}"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        const char *bodies[] = {SUMMARY("ACTIVE"), lists[i]};
        struct trial trial;
        const struct tumble_kinesis_shard *shards;
        size_t count = 1;
        begin(&trial, bodies, 2, &from_begin);
        assert_int_equal(tumble_kinesis_shards(trial.stream, &shards, &count, NULL, &trial.err), TUMBLE_EINPUT);
        assert_int_equal(count, 0);
        end(&trial);
    }
}

static void positions_and_limits_are_checked(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE")};
    struct trial trial;
    begin(&trial, bodies, 1, &from_begin);
    struct tumble_kinesis_reader *reader;
    struct tumble_kinesis_position position = {.start = TUMBLE_KINESIS_AT_SEQUENCE_NUMBER, .sequence = {"1x", 2}};
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &position, 0, &reader, NULL), TUMBLE_ESEQUENCE);
    position.start = TUMBLE_KINESIS_AT_TIMESTAMP;
    position.timestamp_ms = -5;
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &position, 0, &reader, NULL), TUMBLE_ETIMESTAMP);
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, SHARD, &from_begin, 10001, &reader, NULL), TUMBLE_EINVAL);
    assert_int_equal(tumble_kinesis_reader_open(trial.stream, "a/b", &from_begin, 1, &reader, NULL), TUMBLE_EINVAL);
    assert_null(reader);
    end(&trial);
}

/* Each allocation fails once: nothing is lost, nothing leaks, the next poll goes on. */
static void runs_out_of_memory_cleanly(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY("ACTIVE"),
                                         ITERATOR("a"),
                                         PAGE(RECORD("1", "1"), "\"b\"", "1"),
                                         ITERATOR("a"),
                                         PAGE(RECORD("1", "1"), "\"b\"", "1"),
                                         ITERATOR("a"),
                                         PAGE(RECORD("1", "1"), "\"b\"", "1")};
    for (size_t nth = 1;; nth++) {
        struct counting_alloc memory = {.fail_at = nth};
        struct trial trial;
        prepare(&trial, bodies, COUNT(bodies));
        trial.options.alloc = counting_alloc_of(&memory);
        size_t given = 0;
        enum tumble_code code = tumble_kinesis_open(&trial.options, &trial.stream, &trial.err);
        if (code == TUMBLE_OK) {
            code = tumble_kinesis_reader_open(trial.stream, SHARD, &from_begin, 0, &trial.reader, &trial.err);
        }
        for (int tries = 0; tries < 3 && trial.reader && !given; tries++) {
            code = poll(&trial);
            given += code == TUMBLE_OK ? trial.batch.count : 0;
        }
        assert_true(code == TUMBLE_OK || code == TUMBLE_ENOMEM);
        assert_true(!trial.reader || given == 1);
        end(&trial);
        assert_int_equal(memory.live, 0);
        if (!memory.failed) {
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_shard_to_its_end),
        cmocka_unit_test(an_expired_iterator_is_got_anew_at_the_last_record),
        cmocka_unit_test(iterators_that_expire_for_ever_are_an_error),
        cmocka_unit_test(a_gap_is_told_when_the_place_has_aged_out),
        cmocka_unit_test(at_a_sequence_number_the_record_itself_is_given),
        cmocka_unit_test(latest_is_the_same_moment_after_a_renewal),
        cmocka_unit_test(throttles_wait_longer_each_time),
        cmocka_unit_test(a_damaged_answer_is_asked_for_again),
        cmocka_unit_test(refusals_end_the_reader),
        cmocka_unit_test(a_position_of_another_stream_is_explained),
        cmocka_unit_test(bytes_slow_the_next_poll),
        cmocka_unit_test(an_answer_too_large_is_asked_for_with_fewer_records),
        cmocka_unit_test(an_answer_too_slow_is_asked_for_with_fewer_records_for_a_while),
        cmocka_unit_test(a_stream_that_is_being_made_is_waited_for),
        cmocka_unit_test(streams_that_cannot_be_read_are_explained),
        cmocka_unit_test(a_server_that_knows_no_arns_is_asked_by_name),
        cmocka_unit_test(lists_shards_page_by_page_in_order),
        cmocka_unit_test(refuses_lists_that_are_none),
        cmocka_unit_test(positions_and_limits_are_checked),
        cmocka_unit_test(runs_out_of_memory_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
