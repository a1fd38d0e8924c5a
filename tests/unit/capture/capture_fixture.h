#ifndef CAPTURE_FIXTURE_H
#define CAPTURE_FIXTURE_H

/* Captures made in a directory of the test's own: plain, gzip and zstd. Included by one test file an executable. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "adapters/inputs/capture/capture.h"
#include "adapters/inputs/capture/capture_reader.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"

enum packing { PLAIN, GZIP, ZSTD, PACKINGS };

static char fixture_directory[64];
static int fixture_files;

static inline int fixture_set_up(void **state) {
    (void)state;
    strcpy(fixture_directory, "/tmp/tumble-capture-XXXXXX");
    return mkdtemp(fixture_directory) ? 0 : -1;
}

static inline int fixture_tear_down(void **state) {
    (void)state;
    DIR *directory = opendir(fixture_directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        unlinkat(dirfd(directory), entry->d_name, 0); /* "." and ".." are refused */
    }
    return directory ? closedir(directory) || rmdir(fixture_directory) : -1;
}

static inline size_t fixture_pack(enum packing packing, const char *data, size_t length, char **out) {
    size_t cap = compressBound((uLong)length) + ZSTD_compressBound(length) + 64;
    *out = malloc(cap);
    assert_non_null(*out);
    if (packing == GZIP) {
        z_stream stream;
        memset(&stream, 0, sizeof stream);
        assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_in = (Bytef *)(uintptr_t)data;
        stream.avail_in = (uInt)length;
        stream.next_out = (Bytef *)*out;
        stream.avail_out = (uInt)cap;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        size_t packed = cap - stream.avail_out;
        deflateEnd(&stream);
        return packed;
    }
    if (packing == ZSTD) {
        size_t packed = ZSTD_compress(*out, cap, data, length, 3);
        assert_false(ZSTD_isError(packed));
        return packed;
    }
    memcpy(*out, data, length);
    return length;
}

/* Writes a file and returns its path, which the caller frees. */
static inline char *fixture_bytes(enum packing packing, const char *data, size_t length) {
    char *packed;
    size_t packed_length = fixture_pack(packing, data, length, &packed);
    char path[128];
    int path_length = snprintf(path, sizeof path, "%s/input-%d.json", fixture_directory, fixture_files++);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(packed, 1, packed_length, file), packed_length);
    assert_int_equal(fclose(file), 0);
    free(packed);
    char *copy = malloc((size_t)path_length + 1);
    assert_non_null(copy);
    memcpy(copy, path, (size_t)path_length + 1);
    return copy;
}

static inline char *fixture_text(const char *text) { return fixture_bytes(PLAIN, text, strlen(text)); }

/* A growing text. */
struct text {
    char *data;
    size_t length;
    size_t capacity;
};

static inline void add(struct text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert_true(length >= 0);
    if (text->length + (size_t)length + 1 > text->capacity) {
        text->capacity = (text->length + (size_t)length + 1) * 2;
        text->data = realloc(text->data, text->capacity);
        assert_non_null(text->data);
    }
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    va_end(again);
    text->length += (size_t)length;
}

/* "49…" with the number at its end: 56 digits. */
#define SEQUENCE "49590338271490256608559692538361571095921570000%09d"

static inline void base64_of(const char *plain, char out[256]) {
    struct tumble_bytes bytes = tumble_bytes_of(plain);
    tw_base64_encode(bytes, out);
    out[tw_base64_encoded_length(bytes.length)] = '\0';
}

static inline void add_payload(struct text *text, int number) {
    add(text, "{\"n\":%d,\"name\":\"r\xc3\xa9%d\"}", number, number);
}

static inline void add_lambda_record(struct text *text, const char *shard, int sequence, int64_t arrival_ms) {
    char payload[64];
    char data[256];
    snprintf(payload, sizeof payload, "{\"n\":%d,\"name\":\"r\xc3\xa9%d\"}", sequence, sequence);
    base64_of(payload, data);
    add(text,
        "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"key-%d\",\"sequenceNumber\":\"" SEQUENCE
        "\",\"data\":\"%s\",\"approximateArrivalTimestamp\":%lld.%03lld},\"eventSource\":\"aws:kinesis\","
        "\"eventVersion\":\"1.0\",\"eventID\":\"%s:" SEQUENCE "\",\"eventName\":\"aws:kinesis:record\","
        "\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/lambda-role\",\"awsRegion\":\"us-east-2\","
        "\"eventSourceARN\":\"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream\"}",
        sequence, sequence, data, (long long)(arrival_ms / 1000), (long long)(arrival_ms % 1000), shard, sequence);
}

static inline void add_get_records_record(struct text *text, int sequence, int64_t arrival_ms) {
    char payload[64];
    char data[256];
    snprintf(payload, sizeof payload, "{\"n\":%d,\"name\":\"r\xc3\xa9%d\"}", sequence, sequence);
    base64_of(payload, data);
    add(text,
        "{\n    \"SequenceNumber\": \"" SEQUENCE "\",\n    \"ApproximateArrivalTimestamp\": %lld.%03lld,\n"
        "    \"Data\": \"%s\",\n    \"PartitionKey\": \"key-%d\"\n}",
        sequence, (long long)(arrival_ms / 1000), (long long)(arrival_ms % 1000), data, sequence);
}

#define ARRIVAL INT64_C(1545084650987)

static inline struct tumble_capture_options options_of(char *const *paths, size_t count) {
    struct tumble_capture_options options;
    memset(&options, 0, sizeof options);
    options.paths = (const char *const *)paths;
    options.path_count = count;
    return options;
}

static inline struct tumble_projection *fixture_projection(void) {
    struct tumble_bytes paths[] = {tumble_bytes_of("n"), tumble_bytes_of("name")};
    struct tumble_projection *projection;
    struct tumble_alloc alloc = {0};
    assert_int_equal(tw_projection_new(paths, 2, tw_alloc_or_default(alloc), &projection, NULL), TUMBLE_OK);
    return projection;
}

/* Opens, expecting success and telling why not. */
static inline struct tumble_capture *open_capture(const struct tumble_capture_options *options, size_t block_bytes) {
    struct tumble_capture *capture;
    struct tumble_error err;
    memset(&err, 0, sizeof err);
    enum tumble_code code = tw_capture_open_with(options, block_bytes, &capture, &err);
    if (code != TUMBLE_OK) {
        print_error("%s: %s\n", tumble_code_name(code), err.text);
    }
    assert_int_equal(code, TUMBLE_OK);
    return capture;
}

static inline int next_of(struct tumble_capture *capture, struct tumble_captured *record) {
    struct tumble_error err;
    memset(&err, 0, sizeof err);
    int got = -1;
    enum tumble_code code = tumble_capture_next(capture, record, &got, &err);
    if (code != TUMBLE_OK) {
        print_error("%s: %s\n", tumble_code_name(code), err.text);
    }
    assert_int_equal(code, TUMBLE_OK);
    return got;
}

static inline void assert_text(struct tumble_bytes bytes, const char *text) {
    assert_int_equal(bytes.length, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.length);
}

/* Reads to the end or the first error. */
static inline enum tumble_code read_all(const struct tumble_capture_options *options, size_t block_bytes,
                                        uint64_t *records, struct tumble_error *err) {
    struct tumble_capture *capture;
    *records = 0;
    enum tumble_code code = tw_capture_open_with(options, block_bytes, &capture, err);
    int got = 1;
    while (code == TUMBLE_OK && got) {
        struct tumble_captured record;
        code = tumble_capture_next(capture, &record, &got, err);
        *records += code == TUMBLE_OK && got;
    }
    tumble_capture_close(capture);
    return code;
}

#endif
