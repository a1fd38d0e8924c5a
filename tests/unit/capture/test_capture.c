#include "capture/capture_fixture.h"

#include <pthread.h>
#include <sys/stat.h>

static const size_t block_sizes[] = {64, 97, 600, 4096, 256 * 1024};
enum { SIZES = sizeof block_sizes / sizeof *block_sizes, COUNT = 40 };

/* Every record of a payload capture, whatever the blocks and the packing. Releases now and then, as a runner does. */
static void expect_payloads(const char *text, size_t length, enum tumble_capture_format format, const char *records_at,
                            int count) {
    struct tumble_projection *projection = fixture_projection();
    for (int packing = 0; packing < PACKINGS; packing++) {
        char *path = fixture_bytes((enum packing)packing, text, length);
        for (size_t s = 0; s < SIZES; s++) {
            struct tumble_capture_options options = options_of(&path, 1);
            options.projection = projection;
            options.records_at = records_at;
            struct tumble_capture *capture = open_capture(&options, block_sizes[s]);
            assert_int_equal(tumble_capture_detected(capture), format);
            struct tumble_captured record;
            for (int i = 0; i < count; i++) {
                assert_int_equal(next_of(capture, &record), 1);
                struct text expected = {NULL, 0, 0};
                add(&expected, "%d", i);
                assert_int_equal(record.values[0].type, TUMBLE_TYPE_NUMBER);
                struct tumble_bytes n = {record.values[0].text, record.values[0].length};
                assert_text(n, expected.data);
                assert_int_equal(record.values[1].type, TUMBLE_TYPE_STRING);
                assert_int_equal(record.number, i + 1);
                assert_int_equal(record.arrival_ms, -1);
                assert_int_equal(record.bad, TUMBLE_OK);
                assert_int_equal(record.sequence_number.length, 0);
                assert_memory_equal(record.data.data, text + record.offset, record.data.length);
                size_t line = 1;
                for (size_t b = 0; b < record.offset; b++) {
                    line += text[b] == '\n';
                }
                assert_int_equal(record.line, line);
                free(expected.data);
                if (i % 7 == 6) {
                    tumble_capture_release(capture);
                }
            }
            assert_int_equal(next_of(capture, &record), 0);
            assert_int_equal(next_of(capture, &record), 0);
            assert_int_equal(tumble_capture_bytes(capture), length);
            tumble_capture_close(capture);
        }
        free(path);
    }
    tw_projection_destroy(projection);
}

static void ndjson_gives_every_payload(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < COUNT; i++) {
        add_payload(&text, i);
        add(&text, "\n");
    }
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_NDJSON, NULL, COUNT);
    free(text.data);
}

static void payloads_back_to_back_need_no_newlines(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < COUNT; i++) {
        add_payload(&text, i);
    }
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_NDJSON, NULL, COUNT);
    free(text.data);
}

static void payloads_may_be_pretty_printed(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "\n\n");
    for (int i = 0; i < COUNT; i++) {
        add(&text, "{\n  \"n\": %d,\n  \"name\": \"x\",\n  \"deep\": [[[{}]]]\n}\r\n", i);
    }
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_NDJSON, NULL, COUNT);
    free(text.data);
}

static void an_array_gives_its_elements(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "[\n");
    for (int i = 0; i < COUNT; i++) {
        add(&text, i ? ",\n  " : "  ");
        add_payload(&text, i);
    }
    add(&text, "\n]\n");
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_ARRAY, NULL, COUNT);
    free(text.data);
}

static void records_at_finds_a_nested_array(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{\"type\":\"FeatureCollection\",\"metadata\":{\"features\":[1,2],\"note\":\"\\\"]}\"},\n\"a\":{"
               "\"features\":[");
    for (int i = 0; i < COUNT; i++) {
        add(&text, i ? "," : "");
        add_payload(&text, i);
    }
    add(&text, "]},\"bbox\":[1,2,{\"x\":[]}]}\n");
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_ARRAY, "/a/features", COUNT);
    free(text.data);
}

/* A payload far longer than a block, among small ones. */
static void a_record_may_be_longer_than_a_block(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    char *filler = malloc(700001);
    assert_non_null(filler);
    memset(filler, 'x', 700000);
    filler[700000] = '\0';
    for (int i = 0; i < 6; i++) {
        add(&text, "{\"name\":\"%s\",\"n\":%d}\n", i % 2 ? filler : "short", i);
    }
    expect_payloads(text.data, text.length, TUMBLE_CAPTURE_NDJSON, NULL, 6);
    free(filler);
    free(text.data);
}

static void expect_encoded(const char *text, size_t length, enum tumble_capture_format format, int count,
                           const char *shard) {
    struct tumble_projection *projection = fixture_projection();
    for (int packing = 0; packing < PACKINGS; packing++) {
        char *path = fixture_bytes((enum packing)packing, text, length);
        for (size_t s = 0; s < SIZES * 2; s++) {
            struct tumble_capture_options options = options_of(&path, 1);
            options.projection = projection;
            options.project_encoded = s >= SIZES;
            struct tumble_capture *capture = open_capture(&options, block_sizes[s % SIZES]);
            assert_int_equal(tumble_capture_detected(capture), format);
            struct tumble_captured record;
            for (int i = 0; i < count; i++) {
                assert_int_equal(next_of(capture, &record), 1);
                char expected[128];
                snprintf(expected, sizeof expected, "{\"n\":%d,\"name\":\"r\xc3\xa9%d\"}", i, i);
                assert_text(record.data, expected);
                snprintf(expected, sizeof expected, SEQUENCE, i);
                assert_text(record.sequence_number, expected);
                snprintf(expected, sizeof expected, "key-%d", i);
                assert_text(record.partition_key, expected);
                assert_text(record.shard_id, shard);
                assert_int_equal(record.arrival_ms, ARRIVAL + i);
                assert_int_equal(record.bad, TUMBLE_OK);
                if (options.project_encoded) {
                    assert_int_equal(record.values[0].type, TUMBLE_TYPE_NUMBER);
                    assert_int_equal((int)strtol(record.values[0].text, NULL, 10), i);
                } else {
                    assert_null(record.values);
                }
                assert_int_equal(text[record.offset], '{');
                size_t line = 1;
                for (size_t b = 0; b < record.offset; b++) {
                    line += text[b] == '\n';
                }
                assert_int_equal(record.line, line);
                if (i % 7 == 6) {
                    tumble_capture_release(capture);
                }
            }
            assert_int_equal(next_of(capture, &record), 0);
            tumble_capture_close(capture);
        }
        free(path);
    }
    tw_projection_destroy(projection);
}

/* Records printed over several lines, an odd one among those that are laid out alike. */
static void lines_are_counted_inside_records_too(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{\n\"Records\": [\n");
    for (int i = 0; i < 60; i++) {
        struct text record = {NULL, 0, 0};
        add_lambda_record(&record, "shardId-000000000006", i, ARRIVAL + i);
        add(&text, i == 0 ? "" : i % 5 ? "," : " ,\n\n");
        for (size_t b = 0; b < record.length; b++) {
            bool between = record.data[b] == '{' || (b > 0 && record.data[b] == ',' && record.data[b - 1] == '"');
            add(&text, between && (i % 11 || b) ? "%c\n  " : "%c", record.data[b]);
        }
        free(record.data);
    }
    add(&text, "\n]\n}\n");
    expect_encoded(text.data, text.length, TUMBLE_CAPTURE_LAMBDA, 60, "shardId-000000000006");
    free(text.data);
}

static void arrival_times_are_read_in_every_form(void **state) {
    (void)state;
    static const struct {
        const char *written;
        int64_t ms;
    } forms[] = {
        {"1545084650.987", INT64_C(1545084650987)},
        {"9999999999.999", INT64_C(9999999999999)},
        {"1000000000.000", INT64_C(1000000000000)},
        {"1545084650.98", INT64_C(1545084650980)},
        {"1545084650.9874", INT64_C(1545084650987)},
        {"1545084650", INT64_C(1545084650000)},
        {"154508465.9871", INT64_C(154508465987)},
        {"15450846509.87", INT64_C(15450846509870)},
        {"1.545084650E+9", INT64_C(1545084650000)},
        {"154508465.1E+1", INT64_C(1545084651000)},
        {"1545084650.9e0", INT64_C(1545084650900)},
        {"1545084650.1E1", INT64_C(15450846501000)},
        /* Of the same second as the one before, and not. */
        {"1545084650.123", INT64_C(1545084650123)},
        {"1545084650.124", INT64_C(1545084650124)},
        {"1545084650.9e0", INT64_C(1545084650900)},
        {"1545084650.2E1", INT64_C(15450846502000)},
        {"1545084651.124", INT64_C(1545084651124)},
        {"1545084651.000", INT64_C(1545084651000)},
        {"1545184651.000", INT64_C(1545184651000)},
        {"2545184651.999", INT64_C(2545184651999)},
    };
    enum { FORMS = sizeof forms / sizeof *forms };
    struct text text = {NULL, 0, 0};
    add(&text, "{\"Records\":[");
    for (int i = 0; i < FORMS; i++) {
        add(&text, "%s{\"kinesis\":{\"sequenceNumber\":\"%d\",\"data\":\"\",\"approximateArrivalTimestamp\":%s}}",
            i ? "," : "", i + 1, forms[i].written);
    }
    add(&text, "]}");
    char *path = fixture_bytes(PLAIN, text.data, text.length);
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, block_sizes[0]);
    for (int i = 0; i < FORMS; i++) {
        struct tumble_captured record;
        assert_int_equal(next_of(capture, &record), 1);
        if (record.arrival_ms != forms[i].ms) {
            fail_msg("%s: %lld", forms[i].written, (long long)record.arrival_ms);
        }
    }
    tumble_capture_close(capture);
    free(path);
    free(text.data);
}

/* lambda-semantics point 6: finals carry no records; a capture is full of them. */
static void lambda_events_give_their_records_with_or_without_windows(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    int number = 0;
    for (int event = 0; event < 8; event++) {
        if (event % 2) {
            add(&text,
                "{\"Records\":[],\"shardId\":\"shardId-000000000006\",\"window\":{\"start\":\"2020-12-09T07:04:00Z\","
                "\"end\":\"2020-12-09T07:06:00Z\"},\"state\":{\"a\":[1]},\"isFinalInvokeForWindow\":true,"
                "\"isWindowTerminatedEarly\":false}\n");
        }
        add(&text, event % 3 ? "{\"state\":{\"Records\":[7]},\"Records\":[" : "{ \"Records\" : [ ");
        for (int i = 0; i < 5; i++) {
            add(&text, i ? ",\n" : "");
            add_lambda_record(&text, "shardId-000000000006", number, ARRIVAL + number);
            number++;
        }
        add(&text, event % 2 ? "]}" : "],\n\"isFinalInvokeForWindow\":false}\n");
    }
    expect_encoded(text.data, text.length, TUMBLE_CAPTURE_LAMBDA, number, "shardId-000000000006");
    free(text.data);
}

static void get_records_answers_give_their_records(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    int number = 0;
    for (int answer = 0; answer < 4; answer++) {
        add(&text, answer == 2 ? "{\n\"NextShardIterator\":\"AAA\",\n\"Records\": [\n" : "{\n\"Records\": [\n");
        for (int i = 0; i < 6; i++) {
            add(&text, i ? ",\n" : "");
            add_get_records_record(&text, number, ARRIVAL + number);
            number++;
        }
        add(&text, "],\n\"MillisBehindLatest\": 0\n}\n");
    }
    expect_encoded(text.data, text.length, TUMBLE_CAPTURE_GET_RECORDS, number, "");
    free(text.data);
}

static void escapes_in_members_are_undone(void **state) {
    (void)state;
    char *path = fixture_text(
        "{\"Records\":[{\"kinesis\":{\"partitionKey\":\"a\\u00e9\\n\",\"sequenceNumber\":\"\\u00311\",\"data\":"
        "\"\\u0065yJuIjoxfQ=\\u003d\",\"approximateArrivalTimestamp\":1.69106871717E9},\"eventID\":\"shard\\u0049d-0:"
        "11\","
        "\"eventSourceARN\":\"arn:\\/"
        "x\"},{\"kinesis\":{\"partitionKey\":\"\",\"sequenceNumber\":\"0012\",\"data\":\"\","
        "\"approximateArrivalTimestamp\":1},\"eventID\":\"\"}]}");
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, 64);
    struct tumble_captured first;
    struct tumble_captured second;
    assert_int_equal(next_of(capture, &first), 1);
    assert_int_equal(next_of(capture, &second), 1);
    /* the first is looked at after the second was read: nothing of it may have been reused */
    assert_text(first.partition_key, "a\xc3\xa9\n");
    assert_text(first.sequence_number, "11");
    assert_text(first.data, "{\"n\":1}");
    assert_text(first.shard_id, "shardId-0");
    assert_text(first.event_source_arn, "arn:/x");
    assert_int_equal(first.arrival_ms, INT64_C(1691068717170)); /* point 24 */
    assert_text(second.sequence_number, "12");
    assert_int_equal(second.data.length, 0);
    assert_int_equal(second.shard_id.length, 0);
    tumble_capture_close(capture);
    free(path);
}

static void a_record_that_cannot_be_decoded_is_bad_and_the_next_one_is_read(void **state) {
    (void)state;
    char *path = fixture_text(
        "{\"Records\":[{\"kinesis\":{\"sequenceNumber\":\"1\",\"data\":\"eyJuIjoxfQ=\",\"approximateArrivalTimestamp\":"
        "1}},"
        "{\"kinesis\":{\"sequenceNumber\":\"2\",\"data\":\"eyJuIjo=\",\"approximateArrivalTimestamp\":1}},"
        "{\"kinesis\":{\"sequenceNumber\":\"3\",\"data\":\"/w==\",\"approximateArrivalTimestamp\":1}},"
        "{\"kinesis\":{\"sequenceNumber\":\"4\",\"data\":\"eyJuIjoxfQ==\",\"approximateArrivalTimestamp\":1}}]}");
    struct tumble_projection *projection = fixture_projection();
    struct tumble_capture_options options = options_of(&path, 1);
    options.projection = projection;
    options.project_encoded = 1;
    struct tumble_capture *capture = open_capture(&options, 4096);
    struct tumble_captured record;
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(record.bad, TUMBLE_EBASE64);
    assert_text(record.data, "eyJuIjoxfQ=");
    assert_null(record.values);
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(record.bad, TUMBLE_EJSON); /* it ends inside the object */
    assert_int_equal(next_of(capture, &record), 1);
    assert_true(record.bad == TUMBLE_EUTF8 || record.bad == TUMBLE_EJSON);
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(record.bad, TUMBLE_OK);
    assert_text(record.data, "{\"n\":1}");
    assert_int_equal(next_of(capture, &record), 0);
    tumble_capture_close(capture);
    tw_projection_destroy(projection);
    free(path);
}

static void many_payload_inputs_are_read_one_after_the_other(void **state) {
    (void)state;
    char *paths[5];
    paths[0] = fixture_text(" \n");
    paths[1] = fixture_text("{\"n\":0}\n{\"n\":1}");
    paths[2] = fixture_text("[{\"n\":2},{\"n\":3}]");
    paths[3] = fixture_text("");
    paths[4] = fixture_bytes(GZIP, "{\"n\":4}", 7);
    struct tumble_capture_options options = options_of(paths, 5);
    struct tumble_capture *capture = open_capture(&options, 256);
    static const uint32_t inputs[] = {1, 1, 2, 2, 4};
    static const uint64_t numbers[] = {1, 2, 1, 2, 1};
    struct tumble_captured record;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(next_of(capture, &record), 1);
        assert_int_equal(record.input, inputs[i]);
        assert_int_equal(record.number, numbers[i]);
        assert_int_equal(record.data.data[5], '0' + i);
    }
    char where[200];
    tumble_capture_where(capture, &record, where, sizeof where);
    assert_non_null(strstr(where, "line 1, record 1, byte 0"));
    assert_non_null(strstr(where, paths[4]));
    assert_int_equal(next_of(capture, &record), 0);
    int64_t done;
    int64_t total;
    tumble_capture_progress(capture, &done, &total);
    assert_int_equal(done, total);
    assert_true(total > 0);
    tumble_capture_close(capture);
    for (int i = 0; i < 5; i++) {
        free(paths[i]);
    }
}

static char *lambda_file(const char *shard, const int *sequences, const int *arrivals, size_t count) {
    struct text text = {NULL, 0, 0};
    add(&text, "{\"Records\":[");
    for (size_t i = 0; i < count; i++) {
        add(&text, i ? "," : "");
        add_lambda_record(&text, shard, sequences[i], ARRIVAL + arrivals[i]);
    }
    add(&text, "]}");
    char *path = fixture_text(text.data);
    free(text.data);
    return path;
}

/* point 25: numeric, not lexicographic, is for tw_sequence_compare; here the rule of design R3. */
static void inputs_with_sequence_numbers_are_merged_by_arrival_and_within_a_shard_by_sequence(void **state) {
    (void)state;
    char *paths[3];
    paths[0] = lambda_file("shardId-000000000000", (int[]){10, 30, 50}, (int[]){0, 20, 40}, 3);
    paths[1] = lambda_file("shardId-000000000001", (int[]){11, 12, 60}, (int[]){5, 20, 30}, 3);
    /* the same shard as the first; 20 arrived (by its clock) after 30 did, yet comes before it */
    paths[2] = lambda_file("shardId-000000000000", (int[]){20, 40, 70}, (int[]){25, 26, 40}, 3);
    static const int expected[] = {10, 11, 20, 12, 60, 30, 40, 50, 70};
    for (size_t s = 0; s < SIZES; s++) {
        struct tumble_capture_options options = options_of(paths, 3);
        struct tumble_capture *capture = open_capture(&options, block_sizes[s]);
        struct tumble_captured record;
        int sequences[9];
        for (int i = 0; i < 9; i++) {
            assert_int_equal(next_of(capture, &record), 1);
            sequences[i] = (int)strtol(record.sequence_number.data + 47, NULL, 10);
            struct text payload = {NULL, 0, 0};
            add_payload(&payload, sequences[i]);
            assert_text(record.data, payload.data);
            free(payload.data);
            tumble_capture_release(capture); /* what was not given out yet must survive this */
        }
        assert_int_equal(next_of(capture, &record), 0);
        /* each shard ascends */
        int last[2] = {-1, -1};
        for (int i = 0; i < 9; i++) {
            int shard = sequences[i] == 11 || sequences[i] == 12 || sequences[i] == 60;
            assert_true(sequences[i] > last[shard]);
            last[shard] = sequences[i];
        }
        assert_int_equal(sequences[0], expected[0]);
        assert_int_equal(sequences[1], expected[1]);
        assert_int_equal(sequences[2], expected[2]);
        tumble_capture_close(capture);
    }
    for (int i = 0; i < 3; i++) {
        free(paths[i]);
    }
}

static void equal_arrivals_of_different_shards_keep_the_order_of_the_inputs(void **state) {
    (void)state;
    char *paths[2];
    paths[0] = lambda_file("shardId-000000000001", (int[]){9}, (int[]){0}, 1);
    paths[1] = lambda_file("shardId-000000000000", (int[]){1}, (int[]){0}, 1);
    struct tumble_capture_options options = options_of(paths, 2);
    struct tumble_capture *capture = open_capture(&options, 4096);
    struct tumble_captured record;
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(record.input, 0);
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(record.input, 1);
    tumble_capture_close(capture);
    free(paths[0]);
    free(paths[1]);
}

static void where_cannot_send_control_characters_to_a_terminal(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/\033[31m\n.json", fixture_directory);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("{\"n\":1}", file);
    assert_int_equal(fclose(file), 0);
    char *paths[] = {path};
    struct tumble_capture_options options = options_of(paths, 1);
    struct tumble_capture *capture = open_capture(&options, 4096);
    struct tumble_captured record;
    assert_int_equal(next_of(capture, &record), 1);
    char where[200];
    tumble_capture_where(capture, &record, where, sizeof where);
    assert_non_null(strstr(where, "/?[31m?.json: line 1, record 1, byte 0"));
    tumble_capture_where(capture, &record, where, 5);
    assert_int_equal(strlen(where), 4);
    tumble_capture_close(capture);
}

struct writer {
    const char *path;
    const char *data;
    size_t length;
};

static void *write_slowly(void *ctx) {
    struct writer *writer = ctx;
    FILE *file = fopen(writer->path, "wb");
    for (size_t i = 0; file && i < writer->length; i++) {
        fputc(writer->data[i], file);
        if (i % 3 == 0) {
            fflush(file);
        }
    }
    if (file) {
        fclose(file);
    }
    return NULL;
}

static void a_fifo_is_read_whatever_the_pieces_it_delivers(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < COUNT; i++) {
        add_payload(&text, i);
    }
    for (int packing = 0; packing < PACKINGS; packing++) {
        char *packed;
        size_t length = fixture_pack((enum packing)packing, text.data, text.length, &packed);
        char path[128];
        snprintf(path, sizeof path, "%s/fifo-%d", fixture_directory, packing);
        assert_int_equal(mkfifo(path, 0600), 0);
        struct writer writer = {path, packed, length};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_slowly, &writer), 0);
        char *paths[] = {path};
        struct tumble_capture_options options = options_of(paths, 1);
        uint64_t records;
        struct tumble_error err;
        assert_int_equal(read_all(&options, 256, &records, &err), TUMBLE_OK);
        assert_int_equal(records, COUNT);
        assert_int_equal(pthread_join(thread, NULL), 0);
        free(packed);
    }
    free(text.data);
}

/* ---- memory ---- */

struct counted {
    size_t allocations;
    size_t alive;
    size_t fail_at; /* 0: never */
};

static void *counted_alloc(void *ctx, size_t size) {
    struct counted *counted = ctx;
    counted->allocations++;
    if (counted->fail_at && counted->allocations >= counted->fail_at) {
        return NULL;
    }
    counted->alive++;
    return malloc(size);
}
static void *counted_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    struct counted *counted = ctx;
    (void)old_size;
    counted->allocations++;
    if (counted->fail_at && counted->allocations >= counted->fail_at) {
        return NULL;
    }
    counted->alive += pointer == NULL;
    return realloc(pointer, new_size);
}
static void counted_release(void *ctx, void *pointer) {
    struct counted *counted = ctx;
    counted->alive--;
    free(pointer);
}

static char *large_lambda_file(int count) {
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < count; i++) {
        add(&text, i % 100 == 0 ? "{\"Records\":[" : ",");
        add_lambda_record(&text, "shardId-000000000000", i, ARRIVAL + i);
        add(&text, i % 100 == 99 ? "]}\n" : "");
    }
    char *path = fixture_text(text.data);
    free(text.data);
    return path;
}

static void nothing_is_allocated_per_record_after_warm_up(void **state) {
    (void)state;
    char *paths[2];
    paths[0] = large_lambda_file(8000);
    paths[1] = large_lambda_file(8000);
    struct tumble_projection *projection = fixture_projection();
    for (size_t inputs = 1; inputs <= 2; inputs++) {
        struct counted counted = {0, 0, 0};
        struct tumble_capture_options options = options_of(paths, inputs);
        options.projection = projection;
        options.project_encoded = 1;
        options.digest = 1;
        options.alloc = (struct tumble_alloc){counted_alloc, counted_resize, counted_release, &counted};
        struct tumble_capture *capture = open_capture(&options, 64 * 1024);
        struct tumble_captured record;
        size_t warm = 0;
        for (size_t i = 0; i < 8000 * inputs; i++) {
            assert_int_equal(next_of(capture, &record), 1);
            if (i % 500 == 499) {
                tumble_capture_release(capture);
            }
            if (i == 3000) {
                warm = counted.allocations;
            }
        }
        assert_int_equal(counted.allocations, warm);
        tumble_capture_close(capture);
        assert_int_equal(counted.alive, 0);
    }
    tw_projection_destroy(projection);
    free(paths[0]);
    free(paths[1]);
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state) {
    (void)state;
    char *paths[2];
    paths[0] = large_lambda_file(200);
    paths[1] = large_lambda_file(100);
    struct tumble_projection *projection = fixture_projection();
    size_t failures = 0;
    for (size_t fail_at = 1; fail_at < 1000; fail_at++) {
        struct counted counted = {0, 0, fail_at};
        struct tumble_capture_options options = options_of(paths, 2);
        options.projection = projection;
        options.project_encoded = 1;
        options.alloc = (struct tumble_alloc){counted_alloc, counted_resize, counted_release, &counted};
        uint64_t records;
        struct tumble_error err;
        memset(&err, 0, sizeof err);
        enum tumble_code code = read_all(&options, 4096, &records, &err);
        assert_int_equal(counted.alive, 0);
        if (code == TUMBLE_OK) {
            break;
        }
        if (code != TUMBLE_ENOMEM) {
            print_error("allocation %zu: %s\n", fail_at, err.text);
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
        assert_int_equal(err.code, TUMBLE_ENOMEM);
        failures++;
    }
    assert_in_range(failures, 10, 990);
    tw_projection_destroy(projection);
    free(paths[0]);
    free(paths[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ndjson_gives_every_payload),
        cmocka_unit_test(payloads_back_to_back_need_no_newlines),
        cmocka_unit_test(payloads_may_be_pretty_printed),
        cmocka_unit_test(an_array_gives_its_elements),
        cmocka_unit_test(records_at_finds_a_nested_array),
        cmocka_unit_test(a_record_may_be_longer_than_a_block),
        cmocka_unit_test(lines_are_counted_inside_records_too),
        cmocka_unit_test(arrival_times_are_read_in_every_form),
        cmocka_unit_test(lambda_events_give_their_records_with_or_without_windows),
        cmocka_unit_test(get_records_answers_give_their_records),
        cmocka_unit_test(escapes_in_members_are_undone),
        cmocka_unit_test(a_record_that_cannot_be_decoded_is_bad_and_the_next_one_is_read),
        cmocka_unit_test(many_payload_inputs_are_read_one_after_the_other),
        cmocka_unit_test(inputs_with_sequence_numbers_are_merged_by_arrival_and_within_a_shard_by_sequence),
        cmocka_unit_test(equal_arrivals_of_different_shards_keep_the_order_of_the_inputs),
        cmocka_unit_test(where_cannot_send_control_characters_to_a_terminal),
        cmocka_unit_test(a_fifo_is_read_whatever_the_pieces_it_delivers),
        cmocka_unit_test(nothing_is_allocated_per_record_after_warm_up),
        cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
