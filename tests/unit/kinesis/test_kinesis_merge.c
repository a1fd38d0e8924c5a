#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../aws/canned_server.h"
#include "adapters/inputs/kinesis/kinesis_merge.h"
#include "counting_alloc.h"
#include "engine/base/alloc.h"

/* What is asked of the server, in which order, follows from the answers alone: one thread, in a time of its own. */

enum { ANSWERS = 32 };

struct trial {
    struct canned_server server;
    struct canned canned[ANSWERS];
    char *texts[ANSWERS];
    size_t count;
    int64_t now;
    int64_t steady;
    struct tumble_kinesis_clock clock;
    struct tumble_kinesis_stream *stream;
    struct tumble_kinesis_merge *merge;
    struct tumble_kinesis_merge_options options;
    struct tumble_error err;
    char given[256]; /* "1:10 0:7 …" */
};

static int64_t now_ms(void *ctx) { return ((struct trial *)ctx)->now; }
static int64_t steady_ms(void *ctx) { return ((struct trial *)ctx)->steady++; }
static void sleep_ms(void *ctx, int64_t how_long) {
    struct trial *trial = ctx;
    trial->steady += how_long;
    trial->now += how_long;
}
static uint64_t no_jitter(void *ctx) {
    (void)ctx;
    return 0;
}

#define SUMMARY                                                                                                        \
    "{\"StreamDescriptionSummary\":{\"StreamARN\":\"arn:aws:kinesis:eu-west-1:1:stream/s\",\"StreamStatus\":"          \
    "\"ACTIVE\"}}"
#define SHARD(id, parent, adjacent)                                                                                    \
    "{\"ShardId\":\"s-" id "\",\"ParentShardId\":" parent ",\"AdjacentParentShardId\":" adjacent                       \
    ",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"9\"}}"
#define LIST(shards) "{\"Shards\":[" shards "]}"
#define ITERATOR     "{\"ShardIterator\":\"a\"}"
#define RECORD(sequence, arrival)                                                                                      \
    "{\"SequenceNumber\":\"" sequence                                                                                  \
    "\",\"PartitionKey\":\"k\",\"Data\":\"AAAA\",\"ApproximateArrivalTimestamp\":" arrival "}"
#define PAGE(records) "{\"Records\":[" records "],\"NextShardIterator\":\"b\",\"MillisBehindLatest\":0}"
#define MORE(records) "{\"Records\":[" records "],\"NextShardIterator\":\"b\",\"MillisBehindLatest\":9}"
#define LAST(records) "{\"Records\":[" records "],\"NextShardIterator\":null,\"MillisBehindLatest\":0}"
#define COUNT(array)  (sizeof(array) / sizeof *(array))

static enum tumble_code begin(struct trial *trial, const char *const *bodies, size_t count,
                              struct tumble_kinesis_merge_options options, struct tumble_alloc alloc) {
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
    trial->now = INT64_C(1795420800000);
    trial->steady = 1000;
    trial->clock = (struct tumble_kinesis_clock){trial, now_ms, steady_ms, sleep_ms, no_jitter};
    struct tumble_kinesis_options source = {.stream = "s",
                                            .region = "eu-west-1",
                                            .endpoint_url = trial->server.url,
                                            .clock = &trial->clock,
                                            .alloc = alloc,
                                            .max_attempts = 1};
    enum tumble_code code = tumble_kinesis_open(&source, &trial->stream, &trial->err);
    if (code == TUMBLE_OK) {
        options.stream = trial->stream;
        code = tumble_kinesis_merge_open(&options, &trial->merge, &trial->err);
    }
    return code;
}

static void end(struct trial *trial) {
    tumble_kinesis_merge_close(trial->merge);
    tumble_kinesis_close(trial->stream);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
    for (size_t i = 0; i < trial->count; i++) {
        free(trial->texts[i]);
    }
}

/* Until the end, or so many records. */
static enum tumble_code run(struct trial *trial, size_t most) {
    struct tumble_kinesis_merged merged;
    size_t records = 0;
    for (;;) {
        enum tumble_code code = tumble_kinesis_merge_next(trial->merge, &merged, &trial->err);
        if (code != TUMBLE_OK || merged.step == TUMBLE_KINESIS_STEP_END) {
            return code;
        }
        if (merged.step == TUMBLE_KINESIS_STEP_WAIT) {
            sleep_ms(trial,
                     merged.wait_until_steady_ms > trial->steady ? merged.wait_until_steady_ms - trial->steady : 1);
            continue;
        }
        size_t length = strlen(trial->given);
        snprintf(trial->given + length, sizeof trial->given - length, "%s:%.*s ", merged.shard_id + 2,
                 (int)merged.record->sequence_number.length, merged.record->sequence_number.data);
        if (++records == most) {
            return TUMBLE_OK;
        }
    }
}

static const struct tumble_kinesis_merge_options to_the_tip;

static void shards_are_merged_by_arrival(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY,
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
        ITERATOR,
        MORE(RECORD("20", "3") "," RECORD("21", "5")), /* s-1: turns begin behind the first */
        ITERATOR,
        PAGE(RECORD("10", "3") "," RECORD("11", "4")), /* s-0 is at its tip */
        PAGE(RECORD("22", "6"))};
    struct trial trial;
    assert_int_equal(begin(&trial, bodies, COUNT(bodies), to_the_tip, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 0), TUMBLE_OK);
    assert_string_equal(trial.given, "0:10 1:20 0:11 1:21 1:22 ");
    struct tumble_kinesis_merge_facts facts;
    tumble_kinesis_merge_facts(trial.merge, &facts);
    assert_int_equal(facts.records, 5);
    assert_int_equal(facts.first_arrival_ms, 3000);
    assert_int_equal(facts.last_arrival_ms, 6000);
    assert_int_equal(facts.shards_done, 2);
    assert_int_equal(facts.reads.get_records, 3);
    end(&trial);
}

static void a_time_ends_each_shard_where_it_passes(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY,  LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
                                         ITERATOR, MORE(RECORD("20", "3") "," RECORD("21", "5") "," RECORD("22", "4")),
                                         ITERATOR, PAGE(RECORD("10", "3")),
                                         PAGE("")};
    struct tumble_kinesis_merge_options options = {.until = TUMBLE_KINESIS_UNTIL_TIME, .until_ms = 5000};
    struct trial trial;
    assert_int_equal(begin(&trial, bodies, COUNT(bodies), options, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 0), TUMBLE_OK);
    assert_string_equal(trial.given, "0:10 1:20 ");
    end(&trial);
}

static void children_follow_their_parents(void **state) {
    (void)state;
    static const char *const bodies[] = {
        SUMMARY,
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
        ITERATOR,
        LAST(RECORD("20", "3")),                                         /* s-1 ends, its child not known yet */
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")), /* nor told at once */
        ITERATOR,
        LAST(RECORD("10", "2")), /* s-0 too: the child is of both */
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null") "," SHARD("2", "\"s-0\"", "\"s-1\"")),
        ITERATOR,
        PAGE(RECORD("30", "3"))};
    struct tumble_kinesis_merge_options options = {.until = TUMBLE_KINESIS_UNTIL_STOPPED};
    struct trial trial;
    assert_int_equal(begin(&trial, bodies, COUNT(bodies), options, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 3), TUMBLE_OK);
    assert_string_equal(trial.given, "0:10 1:20 2:30 ");
    assert_non_null(strstr(trial.server.requests[8], "TRIM_HORIZON"));
    end(&trial);
}

static void a_parent_that_ends_empty_lets_nobody_pass_its_child(void **state) {
    (void)state;
    static const char *const listed[] = {
        SUMMARY,  LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null") "," SHARD("2", "\"s-0\"", "null")),
        ITERATOR, PAGE(RECORD("20", "5")), /* s-1 */
        ITERATOR, LAST(""),                /* s-0 */
        ITERATOR, PAGE(RECORD("30", "4"))};
    static const char *const unlisted[] = {
        SUMMARY,
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
        ITERATOR,
        PAGE(RECORD("20", "5")),
        ITERATOR,
        LAST(""),
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
        LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null") "," SHARD("2", "\"s-0\"", "null")),
        ITERATOR,
        PAGE(RECORD("30", "4")),
        PAGE(""),
        PAGE("")};
    struct tumble_kinesis_merge_options options = {.until = TUMBLE_KINESIS_UNTIL_STOPPED};
    struct trial trial;
    assert_int_equal(begin(&trial, listed, COUNT(listed), to_the_tip, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 0), TUMBLE_OK);
    assert_string_equal(trial.given, "2:30 1:20 ");
    end(&trial);
    assert_int_equal(begin(&trial, unlisted, COUNT(unlisted), options, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 2), TUMBLE_OK);
    assert_string_equal(trial.given, "2:30 1:20 ");
    end(&trial);
}

static void a_shard_that_fails_for_too_long_ends_it(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY,  LIST(SHARD("0", "null", "null")),
                                         ITERATOR, "no",
                                         "no",     ITERATOR,
                                         "no",     "no",
                                         ITERATOR, "no",
                                         "no",     ITERATOR,
                                         "no",     "no",
                                         ITERATOR, "no",
                                         "no"};
    struct tumble_kinesis_merge_options options = {.patience_ms = 1000};
    struct trial trial;
    assert_int_equal(begin(&trial, bodies, COUNT(bodies), options, tw_alloc_default()), TUMBLE_OK);
    assert_int_equal(run(&trial, 0), TUMBLE_EINPUT);
    assert_non_null(strstr(trial.err.text, "failing for"));
    assert_non_null(strstr(trial.err.text, "s-0"));
    end(&trial);
}

static void only_shards_that_are_there(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY, LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null")),
                                         LIST(SHARD("0", "null", "null") "," SHARD("1", "null", "null"))};
    static const char *const ids[] = {"s-1", "s-2"};
    struct tumble_kinesis_merge_options options = {.shard_ids = ids, .shard_id_count = 2};
    struct trial trial;
    assert_int_equal(begin(&trial, bodies, COUNT(bodies), options, tw_alloc_default()), TUMBLE_EUSAGE);
    assert_non_null(strstr(trial.err.text, "no shard s-2: it has 2, from s-0 to s-1"));
    assert_null(trial.merge);
    end(&trial);
}

static void runs_out_of_memory_cleanly(void **state) {
    (void)state;
    static const char *const bodies[] = {SUMMARY,  LIST(SHARD("0", "null", "null")), ITERATOR, PAGE(RECORD("10", "3")),
                                         ITERATOR, PAGE(RECORD("10", "3"))};
    for (size_t nth = 1;; nth++) {
        struct counting_alloc memory = {.fail_at = nth};
        struct trial trial;
        enum tumble_code code = begin(&trial, bodies, COUNT(bodies), to_the_tip, counting_alloc_of(&memory));
        if (code == TUMBLE_OK) {
            code = run(&trial, 0);
            assert_string_equal(trial.given, code == TUMBLE_OK ? "0:10 " : "");
        }
        assert_int_equal(code, memory.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        end(&trial);
        assert_int_equal(memory.live, 0);
        if (!memory.failed) {
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_merged_by_arrival),
        cmocka_unit_test(a_time_ends_each_shard_where_it_passes),
        cmocka_unit_test(children_follow_their_parents),
        cmocka_unit_test(a_parent_that_ends_empty_lets_nobody_pass_its_child),
        cmocka_unit_test(a_shard_that_fails_for_too_long_ends_it),
        cmocka_unit_test(only_shards_that_are_there),
        cmocka_unit_test(runs_out_of_memory_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
