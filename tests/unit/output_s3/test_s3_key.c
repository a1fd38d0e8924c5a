#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "adapters/outputs/s3/s3_key.h"

static struct tw_buf out;
static struct tumble_error err;
static struct tumble_fragment fragment;

static int set_up(void **state) {
    (void)state;
    tw_buf_init(&out, tw_alloc_default(), 1024);
    fragment.shard_id = tumble_bytes_of("shardId-000000000001");
    fragment.first_sequence = tumble_bytes_of("4951");
    fragment.last_sequence = tumble_bytes_of("4960");
    fragment.window_start_ms = INT64_C(1704153660000); /* 2024-01-02T00:01:00Z */
    fragment.window_end_ms = fragment.window_start_ms + 60000;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_buf_clean_up(&out);
    return 0;
}

static void expect(const char *text) {
    assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
    assert_string_equal(out.data, text);
}

static void keys_are_partitions_and_name_the_fragment(void **state) {
    (void)state;
    static const struct {
        enum tw_compression compression;
        const char *key;
    } cases[] = {
        {TW_COMPRESSION_GZIP,
         "p/q/date=2024-01-02/hour=00/20240102T000100Z-60s-shardId-000000000001-4951-id.ndjson.gz"},
        {TW_COMPRESSION_ZSTD,
         "p/q/date=2024-01-02/hour=00/20240102T000100Z-60s-shardId-000000000001-4951-id.ndjson.zst"},
        {TW_COMPRESSION_NONE, "p/q/date=2024-01-02/hour=00/20240102T000100Z-60s-shardId-000000000001-4951-id.ndjson"},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tw_s3_object_key(&out, tumble_bytes_of("p/q"), &fragment, "id", cases[i].compression),
                         TUMBLE_OK);
        expect(cases[i].key);
    }
    assert_int_equal(tw_s3_manifest_key(&out, tumble_bytes_of(""), &fragment, "id"), TUMBLE_OK);
    expect("_manifests/date=2024-01-02/hour=00/20240102T000100Z-60s-shardId-000000000001-4951-id.json");
}

static void a_strange_shard_stays_one_plain_name(void **state) {
    (void)state;
    fragment.shard_id = tumble_bytes_of("a/b c~\xc3\xbc");
    assert_int_equal(tw_s3_object_key(&out, tumble_bytes_of(""), &fragment, "id", TW_COMPRESSION_NONE), TUMBLE_OK);
    expect("date=2024-01-02/hour=00/20240102T000100Z-60s-a~2fb~20c~7e~c3~bc-4951-id.ndjson");
}

static void a_key_that_is_too_long_is_refused(void **state) {
    (void)state;
    char prefix[1000];
    memset(prefix, 'p', sizeof prefix);
    struct tumble_bytes long_prefix = {prefix, sizeof prefix};
    assert_int_equal(tw_s3_object_key(&out, long_prefix, &fragment, "id", TW_COMPRESSION_NONE), TUMBLE_ELIMIT);
}

static void source_and_spec_decide_the_identity(void **state) {
    (void)state;
    char a[TW_S3_IDENTITY], b[TW_S3_IDENTITY];
    struct tumble_alloc alloc = tw_alloc_default();
    assert_int_equal(tw_s3_identity(tumble_bytes_of("clicks"), 1, alloc, a), TUMBLE_OK);
    assert_int_equal(tw_s3_identity(tumble_bytes_of("clicks"), 1, alloc, b), TUMBLE_OK);
    assert_int_equal(strlen(a), 16);
    assert_string_equal(a, b);
    assert_int_equal(tw_s3_identity(tumble_bytes_of("clicks"), 2, alloc, b), TUMBLE_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(tw_s3_identity(tumble_bytes_of("click"), 1, alloc, b), TUMBLE_OK);
    assert_string_not_equal(a, b);
}

static void a_place_is_a_bucket_and_perhaps_a_prefix(void **state) {
    (void)state;
    static const struct {
        const char *target, *bucket, *prefix;
    } good[] = {{"//b", "b", ""},
                {"//b/", "b", ""},
                {"//bucket/p", "bucket", "p"},
                {"//b/p/q/", "b", "p/q"},
                {"//b//p//q//", "b", "p//q"}};
    static const char *const bad[] = {
        "", "b", "/b", "//", "///p", "//abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"};
    struct tw_s3_place place;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(tw_s3_place_read(good[i].target, "s3", &place, &err), TUMBLE_OK);
        assert_string_equal(place.bucket, good[i].bucket);
        assert_true(tumble_bytes_equal(place.prefix, tumble_bytes_of(good[i].prefix)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tw_s3_place_read(bad[i], "s3:x", &place, &err), TUMBLE_EUSAGE);
        assert_string_equal(err.text, "s3:x: write s3://BUCKET/PREFIX");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_partitions_and_name_the_fragment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_strange_shard_stays_one_plain_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_is_too_long_is_refused, set_up, tear_down),
        cmocka_unit_test(source_and_spec_decide_the_identity),
        cmocka_unit_test(a_place_is_a_bucket_and_perhaps_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
