#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/inputs/kinesis/capture_file.h"
#include "counting_alloc.h"

static char directory[64];
static struct tumble_error err;

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/tumble-capture-file-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"a", "a.partial", "b", "b.partial"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(directory); /* nothing else was left */
}

static struct tumble_capture_file_options named(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return (struct tumble_capture_file_options){
        .path = path, .stream_arn = "arn:aws:kinesis:eu-west-1:1:stream/s", .region = "eu-west-1"};
}

static struct tumble_kinesis_read record_of(const char *sequence, const char *data) {
    return (struct tumble_kinesis_read){.data = tumble_bytes_of(data),
                                        .partition_key = tumble_bytes_of("k\"\n\xc3\xa9"),
                                        .sequence_number = tumble_bytes_of(sequence),
                                        .arrival_ms = 1795435558007};
}

static char *content(const char *name) {
    static char text[4096];
    FILE *file = fopen(path_of(name), "rb");
    if (!file) {
        return NULL;
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void a_file_has_its_name_once_it_is_whole(void **state) {
    (void)state;
    struct tumble_capture_file *file;
    struct tumble_capture_file_options options = named("a");
    struct tumble_kinesis_read record = record_of("17", "{}");
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_write(file, "shardId-000000000003", &record, &err), TUMBLE_OK);
    assert_null(content("a"));
    assert_int_equal(tumble_capture_file_flush(file, &err), TUMBLE_OK);
    assert_non_null(strstr(content("a.partial"), "\"sequenceNumber\":\"17\""));
    record.kms = 1;
    record.bad = "its Data is not base64";
    record.data = tumble_bytes_of("e*\"");
    assert_int_equal(tumble_capture_file_write(file, "shardId-000000000003", &record, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_finish(file, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_bytes(file), strlen(content("a")));
    tumble_capture_file_close(file);
    assert_null(content("a.partial"));
    assert_string_equal(
        content("a"),
        "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"k\\\"\\n\xc3\xa9\","
        "\"sequenceNumber\":\"17\",\"data\":\"e30=\",\"approximateArrivalTimestamp\":1795435558.007},\"eventSource\":"
        "\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000003:17\",\"eventName\":"
        "\"aws:kinesis:record\",\"awsRegion\":\"eu-west-1\",\"eventSourceARN\":\"arn:aws:kinesis:eu-west-1:1:stream/"
        "s\"}]}"
        "\n"
        "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"k\\\"\\n\xc3\xa9\","
        "\"sequenceNumber\":\"17\",\"data\":\"e*\\\"\",\"approximateArrivalTimestamp\":1795435558.007,"
        "\"encryptionType\":\"KMS\"},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":"
        "\"shardId-000000000003:17\",\"eventName\":\"aws:kinesis:record\",\"awsRegion\":\"eu-west-1\","
        "\"eventSourceARN\":"
        "\"arn:aws:kinesis:eu-west-1:1:stream/s\"}]}\n");
}

static void a_file_that_is_there_stays_unless_it_may_be_replaced(void **state) {
    (void)state;
    struct tumble_capture_file *file;
    struct tumble_capture_file_options options = named("a");
    for (int replace = 0; replace < 2; replace++) {
        options.replace = replace;
        assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_OK);
        assert_int_equal(tumble_capture_file_finish(file, &err), TUMBLE_OK);
        tumble_capture_file_close(file);
        options.replace = 0;
        assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_EUSAGE);
        assert_null(file);
        assert_non_null(strstr(err.text, "--force"));
        assert_null(content("a.partial"));
    }
    /* One that came there meanwhile too. */
    options = named("b");
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_OK);
    FILE *other = fopen(path_of("b"), "wb");
    fputs("other", other);
    fclose(other);
    assert_int_equal(tumble_capture_file_finish(file, &err), TUMBLE_EUSAGE);
    tumble_capture_file_close(file);
    assert_string_equal(content("b"), "other");
    assert_null(content("b.partial"));
}

static void what_another_process_writes_is_left_alone(void **state) {
    (void)state;
    struct tumble_capture_file *first, *second;
    struct tumble_capture_file_options options = named("a");
    struct tumble_kinesis_read record = record_of("17", "{}");
    assert_int_equal(tumble_capture_file_open(&options, &first, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_write(first, "s", &record, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_flush(first, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_open(&options, &second, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "another process"));
    assert_true(strlen(content("a.partial")) > 100);
    tumble_capture_file_close(first); /* not finished */
    assert_null(content("a.partial"));
    assert_null(content("a"));
}

static void what_a_killed_process_left_is_begun_anew(void **state) {
    (void)state;
    struct tumble_capture_file *file;
    struct tumble_capture_file_options options = named("a");
    FILE *left = fopen(path_of("a.partial"), "wb");
    fputs("half a li", left);
    fclose(left);
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_finish(file, &err), TUMBLE_OK);
    tumble_capture_file_close(file);
    assert_string_equal(content("a"), "");
}

static void devices_and_directories(void **state) {
    (void)state;
    struct tumble_capture_file *file;
    struct tumble_capture_file_options options = named("a");
    struct tumble_kinesis_read record = record_of("17", "{}");
    options.path = "/dev/full";
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_write(file, "s", &record, &err), TUMBLE_OK);
    assert_int_equal(tumble_capture_file_finish(file, &err), TUMBLE_EOUTPUT);
    assert_non_null(strstr(err.text, "/dev/full"));
    tumble_capture_file_close(file);
    assert_int_equal(access("/dev/full", F_OK), 0);
    options.path = directory;
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_EUSAGE);
    options.path = "/nowhere/a";
    assert_int_equal(tumble_capture_file_open(&options, &file, &err), TUMBLE_EOUTPUT);
}

static void runs_out_of_memory_cleanly(void **state) {
    (void)state;
    for (int kind = TUMBLE_CAPTURE_PLAIN; kind <= TUMBLE_CAPTURE_ZSTD; kind++) {
        for (size_t nth = 1;; nth++) {
            struct counting_alloc memory = {.fail_at = nth};
            struct tumble_capture_file *file;
            struct tumble_capture_file_options options = named("a");
            struct tumble_kinesis_read record = record_of("17", "{}");
            options.alloc = counting_alloc_of(&memory);
            options.compression = (enum tumble_capture_compression)kind;
            options.replace = 1;
            enum tumble_code code = tumble_capture_file_open(&options, &file, &err);
            if (code == TUMBLE_OK) {
                code = tumble_capture_file_write(file, "s", &record, &err);
                code = code == TUMBLE_OK ? tumble_capture_file_finish(file, &err) : code;
                tumble_capture_file_close(file);
            }
            assert_true(code == (memory.failed ? TUMBLE_ENOMEM : TUMBLE_OK));
            assert_int_equal(memory.live, 0);
            assert_null(content("a.partial"));
            if (!memory.failed) {
                break;
            }
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_its_name_once_it_is_whole),
        TEST(a_file_that_is_there_stays_unless_it_may_be_replaced),
        TEST(what_another_process_writes_is_left_alone),
        TEST(what_a_killed_process_left_is_begun_anew),
        TEST(devices_and_directories),
        TEST(runs_out_of_memory_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
