#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "adapters/outputs/s3/s3_manifest.h"
#include "adapters/outputs/s3/s3_upload.h"
#include "counting_alloc.h"

static struct tumble_error err;

static struct tumble_fragment fragment_of(const char *last, uint8_t digest) {
    struct tumble_fragment fragment = {.shard_id = tumble_bytes_of("shard \"1\""),
                                       .first_sequence = tumble_bytes_of("10"),
                                       .last_sequence = tumble_bytes_of(last),
                                       .window_start_ms = 60000,
                                       .window_end_ms = 120000,
                                       .row_count = 3,
                                       .record_count = 12};
    memset(fragment.digest, digest, sizeof fragment.digest);
    return fragment;
}

static struct tw_s3_manifest_seen seen_of(const struct tumble_fragment *fragment) {
    struct tw_s3_manifest manifest = {.object = tumble_bytes_of("p/\xc3\xbc.gz"),
                                      .compression = "gzip",
                                      .bytes = 77,
                                      .source = tumble_bytes_of("clicks"),
                                      .spec_digest = 0xabc,
                                      .fragment = *fragment};
    struct tw_s3_manifest_seen seen;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    assert_int_equal(tw_s3_manifest_write(&out, &manifest), TUMBLE_OK);
    assert_int_equal(tw_s3_manifest_read(tw_buf_view(&out), &seen, &err), TUMBLE_OK);
    tw_buf_clean_up(&out);
    return seen;
}

static void a_manifest_says_what_the_object_holds(void **state) {
    (void)state;
    struct tumble_fragment fragment = fragment_of("20", 0x5a);
    struct tw_s3_manifest manifest = {.object = tumble_bytes_of("o"),
                                      .compression = "none",
                                      .bytes = 77,
                                      .source = tumble_bytes_of("clicks"),
                                      .spec_digest = 0xabc,
                                      .fragment = fragment};
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), 4096);
    assert_int_equal(tw_s3_manifest_write(&out, &manifest), TUMBLE_OK);
    assert_int_equal(tw_buf_append_byte(&out, '\0'), TUMBLE_OK);
    assert_string_equal(
        out.data,
        "{\"version\":1,\"object\":\"o\",\"format\":\"ndjson\",\"compression\":\"none\",\"bytes\":77,\"rows\":3,"
        "\"records\":12,\"digest\":\"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\",\"source\":\"clicks\",\"spec\":"
        "\"0000000000000abc\","
        "\"window_start\":\"1970-01-01T00:01:00Z\",\"window_end\":\"1970-01-01T00:02:00Z\",\"shard_id\":\"shard "
        "\\\"1\\\"\","
        "\"first_sequence\":\"10\",\"last_sequence\":\"20\"}\n");
    tw_buf_clean_up(&out);
    struct tw_s3_manifest_seen seen = seen_of(&fragment);
    assert_string_equal(seen.object, "p/\xc3\xbc.gz");
    assert_int_equal(seen.bytes, 77);
    assert_int_equal(seen.rows, 3);
    assert_string_equal(seen.last_sequence, "20");
}

static void what_is_there_decides_what_comes(void **state) {
    (void)state;
    struct tumble_fragment there = fragment_of("20", 1), same = fragment_of("020", 1), other = fragment_of("20", 2),
                           longer = fragment_of("100", 2), shorter = fragment_of("9", 1), more = fragment_of("20", 1);
    struct tw_s3_manifest_seen seen = seen_of(&there);
    more.row_count = 4;
    assert_int_equal(tw_s3_judge(NULL, &there), TW_S3_WRITE);
    assert_int_equal(tw_s3_judge(&seen, &same), TW_S3_THERE);
    assert_int_equal(tw_s3_judge(&seen, &other), TW_S3_OVERLAP);
    assert_int_equal(tw_s3_judge(&seen, &more), TW_S3_OVERLAP);
    assert_int_equal(tw_s3_judge(&seen, &longer), TW_S3_WRITE);
    assert_int_equal(tw_s3_judge(&seen, &shorter), TW_S3_SUPERSEDED);
}

static void what_is_no_manifest_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "not json",
        "{\"version\":2,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"1\",\"digest\":\"x\"}",
        "{\"version\":1,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"1\"}",
        "{\"version\":1,\"object\":1,\"bytes\":1,\"rows\":1,\"last_sequence\":\"1\",\"digest\":\"x\"}",
        "{\"version\":1,\"object\":\"o\",\"bytes\":-1,\"rows\":1,\"last_sequence\":\"1\",\"digest\":\"x\"}",
        "{\"version\":1,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"1x\",\"digest\":\"x\"}",
        "{\"version\":1,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"\",\"digest\":\"x\"}",
        "{\"version\":1,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"1\",\"digest\":1}"};
    struct tw_s3_manifest_seen seen;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(tw_s3_manifest_read(tumble_bytes_of(texts[i]), &seen, &err), TUMBLE_ECORRUPT);
    }
}

static void etags_are_those_of_s3(void **state) {
    (void)state;
    char etag[TW_S3_ETAG],
        parts[2][TW_S3_ETAG] = {"\"900150983cd24fb0d6963f7d28e17f72\"", "\"d41d8cd98f00b204e9800998ecf8427e\""};
    tw_s3_plain_etag(tumble_bytes_of("abc"), etag);
    assert_string_equal(etag, parts[0]);
    assert_true(tw_s3_parts_etag(parts, 2, etag));
    assert_string_equal(etag, "\"fdf1fdf1567f6942ffe1743f1e72301e-2\"");
    strcpy(parts[1], "\"no md5\"");
    assert_false(tw_s3_parts_etag(parts, 2, etag));
}

static void a_digest_that_is_too_long_is_refused(void **state) {
    (void)state;
    struct tw_s3_manifest_seen seen;
    const char *text = "{\"version\":1,\"object\":\"o\",\"bytes\":1,\"rows\":1,\"last_sequence\":\"1\","
                       "\"digest\":\"0123456789012345678901234567890123456789\"}";
    assert_int_equal(tw_s3_manifest_read(tumble_bytes_of(text), &seen, &err), TUMBLE_ECORRUPT);
}

static void no_memory_is_an_error(void **state) {
    (void)state;
    struct tumble_fragment fragment = fragment_of("20", 1);
    const struct tw_s3_manifest manifest = {
        .object = tumble_bytes_of("o"), .compression = "gzip", .fragment = fragment};
    struct counting_alloc count = {.fail_at = 1};
    struct tw_buf out;
    tw_buf_init(&out, counting_alloc_of(&count), 4096);
    assert_int_equal(tw_s3_manifest_write(&out, &manifest), TUMBLE_ENOMEM);
    tw_buf_clean_up(&out);
    assert_int_equal(count.live, 0);
    tw_buf_init(&out, tw_alloc_default(), 100);
    assert_int_equal(tw_s3_manifest_write(&out, &manifest), TUMBLE_ELIMIT);
    tw_buf_clean_up(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_says_what_the_object_holds),
        cmocka_unit_test(what_is_there_decides_what_comes),
        cmocka_unit_test(what_is_no_manifest_is_refused),
        cmocka_unit_test(a_digest_that_is_too_long_is_refused),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(etags_are_those_of_s3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
