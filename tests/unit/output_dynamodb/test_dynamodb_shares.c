#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <tumble/engine.h>

#include "adapters/outputs/dynamodb/dynamodb_shares.h"
#include "counting_alloc.h"

static struct tumble_error err;
static struct tw_buf shares, after;

static int set_up(void **state) {
    (void)state;
    tw_buf_init(&shares, tw_alloc_default(), 1 << 20);
    tw_buf_init(&after, tw_alloc_default(), 1 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_buf_clean_up(&shares);
    tw_buf_clean_up(&after);
    return 0;
}

/* What a spec with a count gives: the partial state of count is a varint in base64. */
static enum tw_share_fate offer(const char *shard, int first, int last, char digest, int n) {
    static const char *const counts[] = {"AA==", "AQ==", "Ag==", "Aw==", "BA=="};
    char share[512];
    enum tw_share_fate fate;
    memset(share, digest, 32);
    snprintf(
        share + 32, sizeof share - 32,
        " {\"window_start\":\"2024-01-01T00:00:00Z\",\"window_end\":\"2024-01-01T00:01:00Z\",\"shard_id\":\"%s\","
        "\"fragment\":\"%d\",\"last_sequence\":\"%d\",\"g\":\"a\",\"_partials\":{\"n\":\"count:%s\"},\"records\":%d}",
        shard, first, last, counts[n], n);
    tw_buf_clear(&after);
    assert_int_equal(tw_shares_add(tw_buf_view(&shares), tumble_bytes_of(share), &after, &fate, &err), TUMBLE_OK);
    if (fate == TW_SHARE_ADDED) {
        struct tw_buf swap = shares;
        shares = after;
        after = swap;
    } else {
        assert_int_equal(after.length, 0);
    }
    return fate;
}

static void expect_names(const char *text) {
    struct tw_buf names;
    tw_buf_init(&names, tw_alloc_default(), 4096);
    assert_int_equal(tw_shares_names(tw_buf_view(&shares), &names, &err), TUMBLE_OK);
    assert_int_equal(tw_buf_append_byte(&names, '\0'), TUMBLE_OK);
    assert_string_equal(names.data, text);
    tw_buf_clean_up(&names);
}

static void a_fragment_is_in_once_whatever_is_delivered_again(void **state) {
    (void)state;
    assert_int_equal(offer("b", 5, 9, '1', 1), TW_SHARE_ADDED);
    assert_int_equal(offer("a", 5, 9, '2', 2), TW_SHARE_ADDED);
    assert_int_equal(offer("b", 10, 12, '3', 3), TW_SHARE_ADDED);
    assert_int_equal(offer("b", 1, 4, '4', 1), TW_SHARE_ADDED);
    expect_names("\"a 5 9\",\"b 1 4\",\"b 5 9\",\"b 10 12\"");
    assert_int_equal(offer("b", 5, 9, '1', 1), TW_SHARE_THERE);
    assert_int_equal(offer("a", 5, 9, '2', 2), TW_SHARE_THERE);
}

static void the_order_of_delivery_leaves_no_trace(void **state) {
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    char first[2048];
    size_t length = 0;
    for (int i = 0; i < 6; i++) {
        tw_buf_clear(&shares);
        for (int n = 0; n < 3; n++) {
            int which = orders[i][n];
            assert_int_equal(offer(which == 2 ? "z" : "y", which * 100 + 9, which * 100 + 10, (char)('a' + which), 1),
                             TW_SHARE_ADDED);
        }
        if (i == 0) {
            length = shares.length;
            memcpy(first, shares.data, length);
        }
        assert_int_equal(shares.length, length);
        assert_memory_equal(shares.data, first, length);
    }
}

static void a_longer_fragment_replaces_and_a_shorter_one_is_passed_over(void **state) {
    (void)state;
    assert_int_equal(offer("a", 5, 9, '1', 1), TW_SHARE_ADDED);
    assert_int_equal(offer("a", 5, 12, '2', 2), TW_SHARE_ADDED);
    expect_names("\"a 5 12\"");
    assert_int_equal(offer("a", 5, 9, '1', 1), TW_SHARE_SUPERSEDED);
}

static void what_shares_records_is_never_summed(void **state) {
    (void)state;
    assert_int_equal(offer("a", 5, 9, '1', 1), TW_SHARE_ADDED);
    assert_int_equal(offer("a", 5, 9, '2', 1), TW_SHARE_OVERLAP);
    assert_int_equal(offer("a", 9, 12, '2', 1), TW_SHARE_OVERLAP);
    assert_int_equal(offer("a", 1, 5, '2', 1), TW_SHARE_OVERLAP);
    assert_int_equal(offer("a", 6, 7, '2', 1), TW_SHARE_OVERLAP);
    assert_int_equal(offer("a", 1, 20, '2', 1), TW_SHARE_OVERLAP);
    assert_int_equal(offer("b", 1, 20, '2', 1), TW_SHARE_ADDED);
}

static void damaged_shares_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "x", "00000000000000000000000000000000 {}", "00000000000000000000000000000000 [1]",
        "00000000000000000000000000000000 {\"shard_id\":\"a\",\"fragment\":\"x\",\"last_sequence\":\"1\"}",
        "00000000000000000000000000000000x{\"shard_id\":\"a\",\"fragment\":\"1\",\"last_sequence\":\"1\"}"};
    enum tw_share_fate fate;
    assert_int_equal(offer("a", 5, 9, '1', 1), TW_SHARE_ADDED);
    struct tumble_bytes share = {shares.data, shares.length - 1};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tw_buf_clear(&after);
        assert_int_equal(tw_shares_add(tumble_bytes_of(texts[i]), share, &after, &fate, &err), TUMBLE_ECORRUPT);
    }
}

static enum tumble_code keep_share(void *ctx, const struct tumble_row *row) {
    struct tw_buf *share = ctx;
    assert_int_equal(tw_buf_append_text(share, "0123456789abcdef0123456789abcdef "), TUMBLE_OK);
    return tw_buf_append(share, row->json.data, row->json.length);
}

/* The share of one shard's window of count records, as the engine makes it. */
static void make_share(const char *shard_id, int count, struct tw_buf *out) {
    const char *text = "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}],"
                       "\"partials\":true}";
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct tumble_shard *shard;
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(text), NULL, (struct tumble_alloc){0}, &spec, &err), TUMBLE_OK);
    const struct tumble_engine_options options = {.spec = spec, .source = tumble_bytes_of("test")};
    assert_int_equal(tumble_engine_open(&options, &engine, &err), TUMBLE_OK);
    assert_int_equal(tumble_engine_shard(engine, tumble_bytes_of(shard_id), &shard, &err), TUMBLE_OK);
    for (int i = 1; i <= count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const struct tumble_record record = {.data = tumble_bytes_of("{}"),
                                             .partition_key = tumble_bytes_of("k"),
                                             .sequence_number = tumble_bytes_of(number),
                                             .arrival_ms = 1000};
        assert_int_equal(tumble_shard_apply(shard, 0, &record, 1, NULL, &err), TUMBLE_OK);
    }
    assert_int_equal(tumble_shard_rows(shard, 0, keep_share, out, &err), TUMBLE_OK);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

/* Two shards' rows give one, the same whatever fails on the way. */
static void shares_fold_into_one_row(void **state) {
    (void)state;
    static const char *const ids[] = {"a", "b"};
    enum tw_share_fate fate;
    for (int i = 0; i < 2; i++) {
        struct tw_buf share;
        tw_buf_init(&share, tw_alloc_default(), 4096);
        make_share(ids[i], 3 + 4 * i, &share);
        tw_buf_clear(&after);
        assert_int_equal(tw_shares_add(tw_buf_view(&shares), tw_buf_view(&share), &after, &fate, &err), TUMBLE_OK);
        struct tw_buf swap = shares;
        shares = after;
        after = swap;
        tw_buf_clean_up(&share);
    }
    size_t failed = 0;
    for (bool done = false; !done; failed++) {
        struct counting_alloc count = {.fail_at = failed + 1};
        struct tw_buf row;
        tw_buf_init(&row, tw_alloc_default(), 4096);
        enum tumble_code code = tw_shares_merge(tw_buf_view(&shares), counting_alloc_of(&count), &row, &err);
        done = code == TUMBLE_OK;
        if (!done && code != TUMBLE_ENOMEM) {
            fail_msg("%s: %s", tumble_code_name(code), err.text);
        }
        assert_int_equal(count.live, 0);
        if (done) {
            assert_int_equal(tw_buf_append_byte(&row, '\0'), TUMBLE_OK);
            assert_string_equal(row.data,
                                "{\"window_start\":\"1970-01-01T00:00:00Z\",\"window_end\":\"1970-01-01T00:01:00Z\","
                                "\"shards\":2,\"fragments\":2,\"n\":10,\"records\":10}");
        }
        tw_buf_clean_up(&row);
    }
    assert_true(failed > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fragment_is_in_once_whatever_is_delivered_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_order_of_delivery_leaves_no_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_longer_fragment_replaces_and_a_shorter_one_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_shares_records_is_never_summed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shares_fold_into_one_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_shares_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
