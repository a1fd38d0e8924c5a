#include "capture/capture_fixture.h"
#include "event/kpl_message.h"

#include "counting_alloc.h"

/* Adds a get-records record with this data. */
static void add_record(struct text *text, int sequence, const struct kpl_message *data) {
    char encoded[2048];
    struct tumble_bytes bytes = {data->bytes, data->length};
    size_t length = tw_base64_encoded_length(bytes.length);
    assert_true(length < sizeof encoded);
    tw_base64_encode(bytes, encoded);
    add(text,
        "%s{\"SequenceNumber\":\"" SEQUENCE
        "\",\"ApproximateArrivalTimestamp\":1545084650.987,\"PartitionKey\":\"outer\","
        "\"Data\":\"%.*s\"}",
        sequence == 1 ? "{\"Records\":[" : ",\n", sequence, (int)length, encoded);
}

/* A plain record, an aggregate of three (of which the middle one is no JSON), one of none, one that ends in a bad
 * index, and a plain one that begins as an aggregate does. */
static char *usual_capture(void) {
    struct kpl_message plain = {.length = 0}, three = {.length = 0}, none = {.length = 0}, bad = {.length = 0};
    put_text(&three, 1, "a");
    put_text(&three, 1, "b");
    put_text(&three, 2, "12");
    put_record(&three, 0, -1, "{\"n\":1}");
    put_record(&three, 1, 0, "no JSON");
    put_record(&three, 0, -1, "{\"n\":3,\"name\":\"x\"}");
    put_text(&none, 1, "a");
    put_text(&bad, 1, "a");
    put_record(&bad, 0, -1, "{\"n\":4}");
    put_record(&bad, 1, -1, "{\"n\":5}");
    memcpy(plain.bytes, "{\"n\":0}", 7);
    plain.length = 7;
    struct kpl_message aggregates[] = {plain, sealed(&three), sealed(&none), sealed(&bad), sealed(&three)};
    aggregates[4].bytes[aggregates[4].length - 1] ^= 1;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 5; i++) {
        add_record(&text, i + 1, &aggregates[i]);
    }
    add(&text, "]}");
    char *path = fixture_text(text.data);
    free(text.data);
    return path;
}

struct expected {
    const char *key;
    const char *hash_key;
    const char *data; /* NULL: the aggregate */
    uint64_t number;
    uint32_t part;
    int more;
    enum tumble_code bad;
    int projected;
};

static const struct expected all[] = {
    {"outer", "", "{\"n\":0}", 1, 0, 0, TUMBLE_OK, 1}, {"a", "", "{\"n\":1}", 2, 1, 1, TUMBLE_OK, 1},
    {"b", "12", "no JSON", 2, 2, 1, TUMBLE_EJSON, 0},  {"a", "", "{\"n\":3,\"name\":\"x\"}", 2, 3, 0, TUMBLE_OK, 1},
    {"a", "", "{\"n\":4}", 4, 1, 1, TUMBLE_OK, 1},     {"outer", "", NULL, 4, 2, 0, TUMBLE_EEVENT, 0},
    {"outer", "", NULL, 5, 0, 0, TUMBLE_EJSON, 0},
};
enum { ALL = sizeof all / sizeof *all };

static void assert_record(const struct tumble_captured *record, const struct expected *want, int projecting) {
    assert_text(record->partition_key, want->key);
    assert_text(record->explicit_hash_key, want->hash_key);
    if (want->data) {
        assert_text(record->data, want->data);
    } else {
        assert_memory_equal(record->data.data, "\xf3\x89\x9a\xc2", 4);
    }
    assert_int_equal(record->number, want->number);
    assert_int_equal(record->part, want->part);
    assert_int_equal(record->more, want->more);
    assert_int_equal(record->arrival_ms, ARRIVAL);
    assert_int_equal(record->bad, projecting || want->bad != TUMBLE_EJSON ? want->bad : TUMBLE_OK);
    assert_int_equal(record->bad_text != NULL, want->bad == TUMBLE_EEVENT);
    assert_int_equal(record->values != NULL, projecting && want->projected);
}

static void aggregates_are_split_and_the_rest_stays_as_it_is(void **state) {
    (void)state;
    char *path = usual_capture();
    struct tumble_capture_options options = options_of(&path, 1);
    options.projection = fixture_projection();
    for (int projecting = 0; projecting < 2; projecting++) {
        options.project_encoded = projecting;
        struct tumble_capture *capture = open_capture(&options, 4096);
        struct tumble_captured record;
        for (size_t i = 0; i < ALL; i++) {
            assert_int_equal(next_of(capture, &record), 1);
            assert_record(&record, &all[i], projecting);
        }
        assert_int_equal(next_of(capture, &record), 0);
        tumble_capture_close(capture);
    }
    tw_projection_destroy((struct tumble_projection *)(uintptr_t)options.projection);
    free(path);
}

static void they_stay_whole_on_demand(void **state) {
    (void)state;
    char *path = usual_capture();
    struct tumble_capture_options options = options_of(&path, 1);
    options.keep_aggregates = 1;
    struct tumble_capture *capture = open_capture(&options, 4096);
    struct tumble_captured record;
    for (uint64_t number = 1; number <= 5; number++) {
        assert_int_equal(next_of(capture, &record), 1);
        assert_int_equal(record.number, number);
        assert_int_equal(record.part, 0);
        assert_text(record.partition_key, "outer");
    }
    assert_int_equal(next_of(capture, &record), 0);
    tumble_capture_close(capture);
    free(path);
}

/* Wherever no more is to come of an aggregate there is a position, and the rest follows behind it. */
static void a_position_behind_an_aggregate_goes_on_behind_it(void **state) {
    (void)state;
    char *paths[] = {usual_capture(), fixture_text("{\"Records\":[],\"MillisBehindLatest\":0}")};
    for (size_t inputs = 1; inputs <= 2; inputs++) { /* with two they are merged: read ahead */
        struct tumble_capture_options options = options_of(paths, inputs);
        options.digest = 1;
        for (size_t broken = 0; broken <= ALL; broken++) {
            char position[4096];
            struct tumble_captured record = {.more = 0};
            struct tumble_capture *capture = open_capture(&options, 4096);
            for (size_t i = 0; i < broken; i++) {
                assert_int_equal(next_of(capture, &record), 1);
            }
            struct tumble_bytes view = {position, tumble_capture_position(capture, position, sizeof position)};
            tumble_capture_close(capture);
            if (record.more) {
                continue;
            }
            capture = open_capture(&options, 64);
            assert_int_equal(tumble_capture_seek(capture, view, NULL), TUMBLE_OK);
            for (size_t i = broken; i < ALL; i++) {
                assert_int_equal(next_of(capture, &record), 1);
                assert_record(&record, &all[i], 0);
            }
            assert_int_equal(next_of(capture, &record), 0);
            tumble_capture_close(capture);
        }
    }
    free(paths[0]);
    free(paths[1]);
}

static void messages_name_the_place_in_the_aggregate(void **state) {
    (void)state;
    char *path = usual_capture();
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, 4096);
    struct tumble_captured record;
    char where[512], tiny[16];
    assert_int_equal(next_of(capture, &record), 1);
    tumble_capture_where(capture, &record, where, sizeof where);
    assert_null(strstr(where, "aggregated"));
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(next_of(capture, &record), 1);
    tumble_capture_where(capture, &record, where, sizeof where);
    assert_non_null(strstr(where, ": line 2, record 2, byte "));
    assert_non_null(strstr(where, ", aggregated record 2"));
    tumble_capture_where(capture, &record, tiny, sizeof tiny);
    assert_int_equal(strlen(tiny), sizeof tiny - 1);
    tumble_capture_close(capture);
    free(path);
}

static void every_failed_allocation_is_an_error(void **state) {
    (void)state;
    char *path = usual_capture();
    struct tumble_capture_options options = options_of(&path, 1);
    options.projection = fixture_projection();
    options.project_encoded = 1;
    size_t nth = 0;
    for (int failed = 1; failed;) {
        struct counting_alloc count = {.fail_at = ++nth};
        options.alloc = counting_alloc_of(&count);
        uint64_t records;
        enum tumble_code code = read_all(&options, 256, &records, NULL);
        failed = count.failed != 0;
        assert_int_equal(code, failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        assert_int_equal(count.live, 0);
    }
    assert_true(nth > 8);
    tw_projection_destroy((struct tumble_projection *)(uintptr_t)options.projection);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aggregates_are_split_and_the_rest_stays_as_it_is),
        cmocka_unit_test(they_stay_whole_on_demand),
        cmocka_unit_test(a_position_behind_an_aggregate_goes_on_behind_it),
        cmocka_unit_test(messages_name_the_place_in_the_aggregate),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
