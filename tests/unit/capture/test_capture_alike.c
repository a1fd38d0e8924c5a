#include "capture/capture_fixture.h"

#include "engine/codec/layout_read.h"

/* Captured records taken many at once, against the same taken one by one; read as they come, and ahead. */

static const char filler[] = "paddingpaddingpadding";

enum oddity {
    OTHER_ORDER,
    ESCAPE,
    NO_JSON,
    NO_DATA,
    SUSPECT,
    NO_BASE64,
    SPACE,
    ESCAPED_KEY,
    LEADING_ZERO,
    LONGER_ARRIVAL,
    NEWLINE,
    OTHER_SHARD,
    MORE,
    NOT_ABOVE,
    ODDITIES
};
enum { ALIKE = 401 }; /* records with one that is odd */

static void add_data(struct text *text, int i, int odd) {
    char json[256], encoded[512];
    int length = snprintf(json, sizeof json, "{\"ts\":%d,\"name\":\"n%.*s\"}", i, i % 19, filler);
    if (odd == OTHER_ORDER) {
        length = snprintf(json, sizeof json, "{\"name\":\"n%d\",\"ts\":%d}", i, i);
    } else if (odd == ESCAPE) {
        length = snprintf(json, sizeof json, "{\"ts\":%d,\"name\":\"n\\u0041%d\"}", i, i);
    } else if (odd == SUSPECT) {
        length = snprintf(json, sizeof json, "%s", "\xf3\x89\x9a\xc2 no aggregate, though it looks so");
    }
    length = odd == NO_DATA ? 0 : odd == NO_JSON ? length - 1 : length;
    const size_t bytes = tw_base64_encoded_length((size_t)length);
    tw_base64_encode((struct tumble_bytes){json, (size_t)length}, encoded);
    add(text, "%.*s%s", (int)bytes, encoded, odd == NO_BASE64 ? "!" : "");
}

/* Most records alike. */
static void add_record(struct text *text, int i) {
    const int odd = i % ALIKE == ALIKE - 1 ? i / ALIKE % ODDITIES : ODDITIES;
    const long long sequence = 1000000000LL + i * 10LL - (odd == NOT_ABOVE ? 1000 : 0);
    add(text,
        "%s{\"kinesis\":{\"partitionKey\":\"%s%05d\",\"sequenceNumber\":\"%"
        "s4959033827149025660855969250000000000000000000%lld\",\"data\":\"",
        odd == SPACE ? " " : "", odd == ESCAPED_KEY ? "\\u0041" : "key-", i, odd == LEADING_ZERO ? "0" : "", sequence);
    add_data(text, i, odd);
    add(text, "\",\"approximateArrivalTimestamp\":%d.%s},%s\"eventID\":\"shardId-%012d:%lld\"%s}", 1762732800 + i / 50,
        odd == LONGER_ARRIVAL ? "1255" : "125", odd == NEWLINE ? "\n" : "", odd == OTHER_SHARD ? 7 : 1, sequence,
        odd == MORE ? ",\"more\":[1]" : "");
}

static void add_events(struct text *text, int records, int each, const char *between) {
    for (int i = 0; i < records; i++) {
        add(text, "%s", i % each ? "," : i ? between : "{\"Records\":[");
        add_record(text, i);
    }
    add(text, "]}\n");
}

static struct tumble_projection *two_fields(void) {
    struct tumble_projection *projection;
    struct tumble_bytes views[] = {tumble_bytes_of("ts"), tumble_bytes_of("name")};
    assert_int_equal(tw_projection_new(views, 2, (struct tumble_alloc){0}, &projection, NULL), TUMBLE_OK);
    return projection;
}

static struct tumble_capture *opened(char **path, const struct tumble_projection *projection, size_t block_bytes) {
    struct tumble_capture_options options = options_of(path, 1);
    options.projection = projection;
    options.digest = 1;
    return open_capture(&options, block_bytes);
}

static void expect_same_bytes(struct tumble_bytes a, struct tumble_bytes b) {
    assert_int_equal(a.length, b.length);
    if (a.length) {
        assert_memory_equal(a.data, b.data, a.length);
    }
}

static void expect_same_place(const struct tumble_capture *a, const struct tumble_capture *b) {
    char here[512], there[512];
    size_t length = tumble_capture_position(a, here, sizeof here);
    assert_true(length < sizeof here);
    assert_int_equal(tumble_capture_position(b, there, sizeof there), length);
    assert_memory_equal(here, there, length);
}

static void expect_values(const struct tumble_projection *projection, const struct tumble_record *record) {
    struct tumble_value values[2];
    const bool good = tumble_project(projection, record->data, 1, values, NULL, NULL) == TUMBLE_OK;
    assert_int_equal(record->values != NULL, good);
    for (size_t i = 0; i < 2 && good; i++) {
        assert_int_equal(record->values[i].type, values[i].type);
        assert_int_equal(record->values[i].flags, values[i].flags);
        assert_int_equal(record->values[i].length, values[i].length);
        assert_ptr_equal(record->values[i].text, values[i].text);
    }
}

static void expect_record(const struct tumble_captured_alike *alike, size_t i, const struct tumble_captured *one) {
    const struct tumble_record *record = &alike->records[i];
    expect_same_bytes(record->data, one->data);
    expect_same_bytes(record->partition_key, one->partition_key);
    expect_same_bytes(record->sequence_number, one->sequence_number);
    expect_same_bytes(alike->shard_id, one->shard_id);
    assert_int_equal(record->arrival_ms, one->arrival_ms);
    assert_int_equal(one->bad, TUMBLE_OK);
    assert_false(one->begins_event || one->part || one->more);
    assert_null(record->bad);
    assert_int_equal(alike->input, one->input);
    assert_int_equal(alike->number + i, one->number);
    assert_int_equal(alike->line + i * alike->newlines, one->line);
    assert_int_equal(alike->offset + (uint64_t)(alike->begins[i] - alike->begins[0]), one->offset);
}

/* Returns how many were taken at once. */
static size_t expect_same(const struct text *text, size_t block_bytes, unsigned seed, bool ahead) {
    struct tumble_projection *projection = two_fields();
    char *path = fixture_bytes(PLAIN, text->data, text->length);
    struct tumble_capture *slow = opened(&path, projection, block_bytes);
    struct tumble_capture *quick = opened(&path, projection, block_bytes);
    struct tumble_captured record, same;
    size_t at_once = 0;
    int got = 1;
    if (ahead) {
        struct tumble_ahead_options how = {.wish = {.most = 0}};
        assert_int_equal(tumble_capture_read_ahead(quick, &how, NULL), TUMBLE_OK);
    }
    for (unsigned turn = seed; got; turn++) {
        struct tumble_captured_alike alike;
        const size_t most = 24 + turn * 7 % 300;
        tumble_capture_alike(quick, most, &alike);
        assert_true(alike.count <= most);
        const size_t take = turn % 3 ? alike.count : alike.count / 2;
        for (size_t i = 0; i < take; i++) {
            assert_int_equal(next_of(slow, &record), 1);
            expect_record(&alike, i, &record);
            expect_values(projection, &alike.records[i]);
        }
        tumble_capture_alike_taken(quick, take);
        at_once += take;
        expect_same_place(quick, slow);
        got = next_of(quick, &record);
        assert_int_equal(next_of(slow, &same), got);
        if (got) {
            assert_int_equal(record.number, same.number);
            assert_int_equal(record.line, same.line);
            assert_int_equal(record.offset, same.offset);
            assert_int_equal(record.begins_event, same.begins_event);
            expect_same_bytes(record.data, same.data);
            expect_same_bytes(record.sequence_number, same.sequence_number);
        }
        if (turn % 5 == 0) {
            tumble_capture_release(quick);
            tumble_capture_release(slow);
        }
        expect_same_place(quick, slow);
    }
    assert_int_equal(tumble_capture_bytes(quick), text->length);
    tumble_capture_close(slow);
    tumble_capture_close(quick);
    tw_projection_destroy(projection);
    free(path);
    return at_once;
}

static void records_taken_at_once_are_those_taken_one_by_one(void **state) {
    (void)state;
    static const size_t blocks[] = {512, 4096, 32 * 1024, 256 * 1024};
    static const char *const between[] = {"]}\n{\"Records\":[", "]}{\"Records\":[",
                                          "],\"n\":1}\n{\"x\":[{}],\"Records\":["};
    for (size_t e = 0; e < sizeof between / sizeof *between; e++) {
        struct text text = {NULL, 0, 0};
        add_events(&text, ALIKE * ODDITIES, e == 1 ? ALIKE * ODDITIES : 1700, between[e]);
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            for (unsigned seed = 0; seed < 4; seed++) {
                const size_t at_once = expect_same(&text, blocks[b], seed, seed % 2);
                if (blocks[b] >= 32 * 1024 && tw_layout_reads_runs()) {
                    assert_true(at_once > ALIKE * ODDITIES / 4);
                }
            }
        }
        free(text.data);
    }
}

static void records_whose_numbers_do_not_ascend_are_not_taken_at_once(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 3000; i++) {
        add(&text, "%s", i ? "," : "{\"Records\":[");
        add_record(&text, 0); /* alike in every byte */
    }
    add(&text, "]}");
    assert_in_range(expect_same(&text, 256 * 1024, 1, false), 0, 3000 / 2);
    free(text.data);
}

static void nothing_is_shown_of_inputs_that_need_a_look(void **state) {
    (void)state;
    struct text text = {NULL, 0, 0};
    struct tumble_captured record;
    struct tumble_captured_alike alike;
    add_events(&text, 300, 300, "");
    char *paths[] = {fixture_bytes(PLAIN, text.data, text.length), fixture_bytes(PLAIN, text.data, text.length)};
    struct tumble_capture_options options = options_of(paths, 2);
    struct tumble_capture *capture = open_capture(&options, 256 * 1024);
    for (int i = 0; i < 100; i++) { /* two inputs, merged */
        assert_int_equal(next_of(capture, &record), 1);
        tumble_capture_alike(capture, 256, &alike);
        assert_int_equal(alike.count, 0);
    }
    tumble_capture_close(capture);
    options = options_of(paths, 1);
    options.project_encoded = 1;
    capture = open_capture(&options, 256 * 1024);
    tumble_capture_alike(capture, 256, &alike); /* before the first */
    assert_int_equal(alike.count, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(next_of(capture, &record), 1);
        tumble_capture_alike(capture, 256, &alike);
        assert_int_equal(alike.count, 0);
    }
    tumble_capture_close(capture);
    free(paths[0]);
    free(paths[1]);
    free(text.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_taken_at_once_are_those_taken_one_by_one),
        cmocka_unit_test(records_whose_numbers_do_not_ascend_are_not_taken_at_once),
        cmocka_unit_test(nothing_is_shown_of_inputs_that_need_a_look),
    };
    return cmocka_run_group_tests_name("capture_alike", tests, fixture_set_up, fixture_tear_down);
}
