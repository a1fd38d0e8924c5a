#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/leases/dynamodb_lease.h"
#include "aws/canned_server.h"

/* Leases against answers laid out here: conditions, calls whose end is not known, items that are none. */

#define OWNED                                                                                                          \
    "\"application\":{\"S\":\"app\"},\"shard\":{\"S\":\"shard-1\"},\"owner\":{\"S\":\"me-1\"},\"term\":{\"N\":\"3\"}," \
    "\"position\":{\"S\":\"START\"},\"sequence\":{\"S\":\"-\"},\"arrival\":{\"N\":\"-1\"},\"done\":{\"N\":\"0\"}"
#define FAILED                                                                                                         \
    "HTTP/1.1 400 Bad Request\r\nContent-Length: "                                                                     \
    "80\r\n\r\n{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\"}    "

struct trial {
    struct canned_server server;
    struct tumble_leases *leases;
    struct tumble_lease lease;
    struct tumble_error err;
    struct canned canned[8];
    char *texts[8];
};

/* Bodies become 200s; "HTTP/…" is an answer by itself; "" is none at all, the connection is cut. */
static void begin(struct trial *trial, const char *const *bodies, size_t count) {
    memset(trial, 0, sizeof *trial);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(bodies[i], "HTTP/", 5) == 0) {
            trial->texts[i] = strdup(bodies[i]);
        } else if (bodies[i][0]) {
            assert_true(asprintf(&trial->texts[i], "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                 strlen(bodies[i]), bodies[i]) > 0);
        }
        trial->canned[i] = (struct canned){trial->texts[i], bodies[i][0] ? CANNED_KEEP : CANNED_CLOSE};
    }
    assert_true(canned_start(&trial->server, trial->canned, count));
    setenv("AWS_ACCESS_KEY_ID", "A", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    struct tumble_leases_options options = {.table = "leases",
                                            .application = "app",
                                            .owner = "me-1",
                                            .region = "us-east-1",
                                            .endpoint_url = trial->server.url,
                                            .call_ms = 5000};
    assert_int_equal(tumble_leases_open(&options, &trial->leases, &trial->err), TUMBLE_OK);
    trial->lease =
        (struct tumble_lease){.shard = "shard-1", .owner = "me-1", .counter = 5, .term = 3, .arrival_ms = -1};
}

static void end(struct trial *trial) {
    tumble_leases_close(trial->leases);
    tumble_lease_clean_up(&trial->lease);
    canned_stop(&trial->server);
    canned_forget(&trial->server);
    for (size_t i = 0; i < 8; i++) {
        free(trial->texts[i]);
    }
}

static int sent(const struct trial *trial, size_t request, const char *text) {
    return strstr(trial->server.requests[request], text) != NULL;
}

static void a_renewal_holds_only_under_its_counter(void **state) {
    (void)state;
    static const char *const bodies[] = {"{\"Attributes\":{" OWNED
                                         ",\"counter\":{\"N\":\"6\"},\"wanted_by\":{\"S\":\"you-2\"}}}"};
    struct trial trial;
    int done = 0;
    begin(&trial, bodies, 1);
    assert_int_equal(tumble_leases_renew(trial.leases, &trial.lease, &done, &trial.err), TUMBLE_OK);
    assert_int_equal(done, 1);
    assert_int_equal(trial.lease.counter, 6);
    assert_string_equal(trial.lease.wanted_by, "you-2");
    assert_true(sent(&trial, 0, "\"ConditionExpression\":\"#o = :o AND #c = :c AND #t = :t\""));
    assert_true(sent(&trial, 0, "\":c\":{\"N\":\"5\"}"));
    assert_true(sent(&trial, 0, "\":n\":{\"N\":\"6\"}"));
    assert_true(sent(&trial, 0, "\":t\":{\"N\":\"3\"}"));
    assert_true(sent(&trial, 0, "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\""));
    end(&trial);
}

/* The write came through and its answer did not: the second attempt fails on the counter that the first one left. */
static void a_write_whose_answer_was_lost_is_found_out(void **state) {
    (void)state;
    static const char *const bodies[] = {"", FAILED, "{\"Item\":{" OWNED ",\"counter\":{\"N\":\"6\"}}}",
                                         "{\"Attributes\":{" OWNED ",\"counter\":{\"N\":\"7\"}}}"};
    struct trial trial;
    int done = 0;
    begin(&trial, bodies, 4);
    assert_int_equal(tumble_leases_write(trial.leases, &trial.lease, 0, &done, &trial.err), TUMBLE_OK);
    assert_int_equal(done, 1);
    assert_int_equal(trial.lease.counter, 7);
    assert_true(sent(&trial, 2, "GetItem") && sent(&trial, 2, "\"ConsistentRead\":true"));
    assert_true(sent(&trial, 3, "\":c\":{\"N\":\"6\"}"));
    end(&trial);
}

static void what_another_has_taken_is_lost(void **state) {
    (void)state;
    static const char *const there[] = {"{\"Item\":{\"shard\":{\"S\":\"shard-1\"},\"owner\":{\"S\":\"you-2\"},"
                                        "\"counter\":{\"N\":\"6\"},\"term\":{\"N\":\"4\"},"
                                        "\"position\":{\"S\":\"START\"}}}",
                                        /* the same name in another term: it was away in between */
                                        "{\"Item\":{\"shard\":{\"S\":\"shard-1\"},\"owner\":{\"S\":\"me-1\"},"
                                        "\"counter\":{\"N\":\"5\"},\"term\":{\"N\":\"4\"},"
                                        "\"position\":{\"S\":\"START\"}}}",
                                        "{}"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        const char *bodies[] = {FAILED, there[i]};
        struct trial trial;
        int done = 1;
        begin(&trial, bodies, 2);
        assert_int_equal(tumble_leases_renew(trial.leases, &trial.lease, &done, &trial.err), TUMBLE_OK);
        assert_int_equal(done, 0);
        end(&trial);
    }
}

static void who_takes_a_lease_reads_its_cuts(void **state) {
    (void)state;
    static const char *const bodies[] = {"{\"Attributes\":{\"shard\":{\"S\":\"shard-1\"},\"owner\":{\"S\":\"me-1\"},"
                                         "\"counter\":{\"N\":\"6\"},\"term\":{\"N\":"
                                         "\"4\"},\"position\":{\"S\":\"AT_SEQUENCE_NUMBER\"},\"sequence\":{\"S\":"
                                         "\"100\"},\"cuts\":{\"L\":[{\"S\":\"60000 100 "
                                         "120 closed\"},{\"S\":\"0 101 101 delivered\"}]}}}"};
    struct trial trial;
    int done = 0;
    begin(&trial, bodies, 1);
    snprintf(trial.lease.owner, sizeof trial.lease.owner, "you-2");
    assert_int_equal(tumble_leases_take(trial.leases, &trial.lease, &done, &trial.err), TUMBLE_OK);
    assert_int_equal(done, 1);
    assert_true(sent(&trial, 0, "#o = :f AND #c = :c AND #t = :t"));
    assert_true(sent(&trial, 0, "\":f\":{\"S\":\"you-2\"}"));
    assert_int_equal(trial.lease.term, 4);
    assert_int_equal(trial.lease.position, TUMBLE_LEASE_AT);
    assert_string_equal(trial.lease.sequence, "100");
    assert_int_equal(trial.lease.cut_count, 2);
    assert_int_equal(trial.lease.cuts[0].start_ms, 60000);
    assert_string_equal(trial.lease.cuts[0].last, "120");
    assert_int_equal(trial.lease.cuts[0].is_delivered, 0);
    assert_int_equal(trial.lease.cuts[1].is_delivered, 1);
    end(&trial);
}

static void nobodys_lease_is_taken_while_it_is_nobodys(void **state) {
    (void)state;
    static const char *const bodies[] = {FAILED};
    struct trial trial;
    int done = 1;
    begin(&trial, bodies, 1);
    trial.lease.owner[0] = '\0';
    assert_int_equal(tumble_leases_take(trial.leases, &trial.lease, &done, &trial.err), TUMBLE_OK);
    assert_int_equal(done, 0);
    assert_true(sent(&trial, 0, "attribute_not_exists(#o) AND #c = :c AND #t = :t"));
    end(&trial);
}

static enum tumble_code ignore(void *ctx, const struct tumble_lease *lease) {
    (void)lease;
    ++*(int *)ctx;
    return TUMBLE_OK;
}

static void an_item_that_is_no_lease_is_refused(void **state) {
    (void)state;
    static const char *const items[] = {
        "\"position\":{\"S\":\"SOMEWHERE\"}",
        "\"position\":{\"S\":\"AT_SEQUENCE_NUMBER\"},\"sequence\":{\"S\":\"12x\"}",
        "\"position\":{\"S\":\"AT_SEQUENCE_NUMBER\"},\"sequence\":{\"N\":\"12\"}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":[{\"S\":\"0 1\"}]}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":[{\"S\":\"0 1 2 closed 3\"}]}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":[{\"S\":\"0 1 b closed\"}]}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":[{\"S\":\"0 1 2 open\"}]}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":[7]}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"L\":\"none\"}",
        "\"position\":{\"S\":\"START\"},\"cuts\":{\"S\":\"none\"}",
        "\"position\":{\"S\":\"START\"},\"owner\":{\"N\":\"1\"}",
    };
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char body[400];
        snprintf(body, sizeof body,
                 "{\"Items\":[{\"shard\":{\"S\":\"#group\"}},{\"shard\":{\"S\":\"shard-1\"},%s,%s}]}",
                 "\"counter\":{\"N\":\"1\"},\"term\":{\"N\":\"1\"}", items[i]);
        const char *bodies[] = {body};
        struct trial trial;
        int visited = 0;
        begin(&trial, bodies, 1);
        assert_int_equal(tumble_leases_list(trial.leases, ignore, &visited, &trial.err), TUMBLE_EINPUT);
        assert_non_null(strstr(trial.err.text, "shard-1"));
        assert_int_equal(visited, 0);
        end(&trial);
    }
}

/* Conditions compare with these: read as 0, they would never be met, and nobody would have the shard. */
static void numbers_that_conditions_need_are_not_guessed(void **state) {
    (void)state;
    static const char *const numbers[] = {"{\"N\":\"1.5\"}",
                                          "{\"N\":\"-1\"}",
                                          "{\"S\":\"1\"}",
                                          "{\"N\":\"1E2\"}",
                                          "{\"N\":\"9223372036854775807\"}",
                                          "7"};
    for (size_t i = 0; i < 2 * (sizeof numbers / sizeof *numbers) + 2; i++) {
        char body[400], number[80] = "";
        size_t which = i / 2;
        if (which < sizeof numbers / sizeof *numbers) {
            snprintf(number, sizeof number, ",\"%s\":%s", i % 2 ? "counter" : "term", numbers[which]);
        }
        snprintf(body, sizeof body,
                 "{\"Items\":[{\"shard\":{\"S\":\"shard-1\"},\"position\":{\"S\":\"START\"},\"%s\":{\"N\":\"1\"}%s}]}",
                 i % 2 ? "term" : "counter", number);
        const char *bodies[] = {body};
        struct trial trial;
        int visited = 0;
        begin(&trial, bodies, 1);
        assert_int_equal(tumble_leases_list(trial.leases, ignore, &visited, &trial.err), TUMBLE_EINPUT);
        assert_int_equal(visited, 0);
        end(&trial);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_renewal_holds_only_under_its_counter),
                                       cmocka_unit_test(a_write_whose_answer_was_lost_is_found_out),
                                       cmocka_unit_test(what_another_has_taken_is_lost),
                                       cmocka_unit_test(who_takes_a_lease_reads_its_cuts),
                                       cmocka_unit_test(nobodys_lease_is_taken_while_it_is_nobodys),
                                       cmocka_unit_test(an_item_that_is_no_lease_is_refused),
                                       cmocka_unit_test(numbers_that_conditions_need_are_not_guessed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
