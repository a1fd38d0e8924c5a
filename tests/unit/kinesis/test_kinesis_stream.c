#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../aws/canned_server.h"
#include "adapters/inputs/kinesis/kinesis_stream.h"

/* What a stream's lists of shards tell of the stream itself. */

enum { ANSWERS = 8 };

struct trial {
    struct canned_server server;
    struct canned canned[ANSWERS];
    char *texts[ANSWERS];
    size_t count;
    struct tumble_kinesis_stream *stream;
    struct tumble_error err;
};

#define SUMMARY(created)                                                                                               \
    "{\"StreamDescriptionSummary\":{\"StreamARN\":\"arn:aws:kinesis:eu-west-1:1:stream/s\",\"StreamStatus\":"          \
    "\"ACTIVE\",\"StreamCreationTimestamp\":" created "}}"
#define SHARD(id, start, end)                                                                                          \
    "{\"ShardId\":\"s-" id "\",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"9\"},"                  \
    "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"" start "\"" end "}}"
#define CLOSED       ",\"EndingSequenceNumber\":\"99\""
#define LIST(shards) "{\"Shards\":[" shards "]}"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void begin(struct trial *trial, const char *const *bodies, size_t count) {
    memset(trial, 0, sizeof *trial);
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    for (size_t i = 0; i < count; i++) {
        const char *status = bodies[i][0] == '{' ? "200" : "500";
        assert_true(asprintf(&trial->texts[i], "HTTP/1.1 %s X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                             status, strlen(bodies[i]), bodies[i]) > 0);
        trial->canned[i] = (struct canned){trial->texts[i], CANNED_CLOSE};
    }
    trial->count = count;
    assert_true(canned_start(&trial->server, trial->canned, count));
    struct tumble_kinesis_options options = {
        .stream = "s", .region = "eu-west-1", .endpoint_url = trial->server.url, .max_attempts = 1};
    assert_int_equal(tumble_kinesis_open(&options, &trial->stream, &trial->err), TUMBLE_OK);
}

static void end(struct trial *trial) {
    tumble_kinesis_close(trial->stream);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
    for (size_t i = 0; i < trial->count; i++) {
        free(trial->texts[i]);
    }
}

static enum tumble_code list(struct trial *trial, size_t *count, int *may_pass) {
    const struct tumble_kinesis_shard *shards;
    return tumble_kinesis_shards(trial->stream, &shards, count, may_pass, &trial->err);
}

static void shards_that_begin_elsewhere_are_another_streams(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("1700000000"), LIST(SHARD("0", "10", "") "," SHARD("1", "11", "")),
        LIST(SHARD("0", "10", CLOSED) "," SHARD("1", "11", "") "," SHARD("2", "50", "")), "no",
        LIST(SHARD("0", "10", CLOSED) "," SHARD("1", "71", ""))};
    struct trial trial;
    size_t count;
    int may_pass;
    begin(&trial, bodies, COUNT(bodies));
    assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_OK);
    assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_OK);
    assert_int_equal(count, 3);
    assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_EINPUT); /* what was listed before is not forgotten */
    assert_true(may_pass);
    assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_EINPUT);
    assert_false(may_pass);
    assert_non_null(strstr(trial.err.text, "stream s was deleted and made anew"));
    end(&trial);
}

static void open_shards_that_are_gone_are_asked_after(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY("1700000000"),      LIST(SHARD("3", "10", "") "," SHARD("4", "11", CLOSED)),
        LIST(SHARD("3", "10", "")), /* one that was closed has aged out */
        LIST(SHARD("5", "20", "")), SUMMARY("1700000000"),
        LIST(SHARD("0", "30", "")), SUMMARY("1700000099")};
    struct trial trial;
    size_t count;
    int may_pass;
    begin(&trial, bodies, COUNT(bodies));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_OK);
    }
    assert_int_equal(list(&trial, &count, &may_pass), TUMBLE_EINPUT);
    assert_false(may_pass);
    assert_non_null(strstr(trial.err.text, "made anew"));
    end(&trial);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shards_that_begin_elsewhere_are_another_streams),
                                       cmocka_unit_test(open_shards_that_are_gone_are_asked_after)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
