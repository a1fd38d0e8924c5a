#include "capture/capture_fixture.h"

/* Payloads taken many at once, against the same taken one by one. */

static struct tumble_projection *two_fields(void) {
    static const char *const paths[] = {"ts", "name"};
    struct tumble_projection *projection;
    struct tumble_error error;
    struct tumble_bytes views[] = {tumble_bytes_of(paths[0]), tumble_bytes_of(paths[1])};
    assert_int_equal(tw_projection_new(views, 2, (struct tumble_alloc){0}, &projection, &error), TUMBLE_OK);
    return projection;
}

static const struct tumble_timestamp_format automatic = {.kind = TUMBLE_TIMESTAMP_AUTO};

/* Most lines alike; some with other members, numbers, white space, escapes. */
static void add_line(struct text *text, int i, const char *end) {
    switch (i % 101) {
    case 40: add(text, "{\"name\":\"n%d\",\"ts\":%lld}%s", i, 1762732800000LL + i, end); break;
    case 60: add(text, " {\"ts\":%lld,\"name\":\"n\\u0041%d\"}%s", 1762732800000LL + i, i, end); break;
    case 70: add(text, "{\"ts\":\"2025-11-10T00:00:%02dZ\",\"name\":\"n%d\"}\n%s", i % 60, i, end); break;
    case 71: add(text, "{\"ts\":%lld.5,\"name\":\"n%d\"}%s", 1762732800LL + i, i, end); break;
    case 80: add(text, "{\"ts\":\"never\",\"name\":\"n%d\"}%s", i, end); break;
    case 90: add(text, "{\"ts\":%lld,\n\"name\":\"n%d\"}%s", 1762732800000LL + i, i, end); break;
    default: add(text, "{\"ts\":%lld,\"name\":\"n%d\"}%s", 1762732800000LL + i * 700LL, i, end); break;
    }
}

static struct tumble_capture *opened(char **path, const struct tumble_projection *projection, size_t block_bytes) {
    struct tumble_capture_options options = options_of(path, 1);
    options.projection = projection;
    options.format = TUMBLE_CAPTURE_NDJSON;
    options.digest = 1;
    return open_capture(&options, block_bytes);
}

static void expect_same_value(const struct tumble_value *a, const struct tumble_value *b) {
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->length, b->length);
    if (a->length) {
        assert_memory_equal(a->text, b->text, a->length);
    }
}

static void expect_same_place(const struct tumble_capture *a, const struct tumble_capture *b) {
    char here[512], there[512];
    size_t length = tumble_capture_position(a, here, sizeof here);
    assert_true(length < sizeof here);
    assert_int_equal(tumble_capture_position(b, there, sizeof there), length);
    assert_memory_equal(here, there, length);
}

/* Returns how many were taken at once. */
static size_t expect_same(const char *text, size_t length, size_t block_bytes, unsigned seed) {
    struct tumble_projection *projection = two_fields();
    char *path = fixture_bytes(PLAIN, text, length);
    struct tumble_capture *slow = opened(&path, projection, block_bytes);
    struct tumble_capture *quick = opened(&path, projection, block_bytes);
    struct tumble_captured record, same;
    size_t at_once = 0;
    for (unsigned turn = seed;; turn++) {
        struct tumble_lines_wish wish = {.most = 1 + turn * 7 % 300, .timestamp = 0, .format = &automatic};
        struct tumble_captured_lines lines;
        tumble_capture_lines(quick, &wish, &lines);
        assert_true(lines.count <= wish.most);
        size_t take = turn % 3 ? lines.count : lines.count / 2;
        for (size_t i = 0; i < take; i++) {
            assert_int_equal(next_of(slow, &record), 1);
            const struct tumble_short_record *one = &lines.records[i];
            int64_t arrival_ms;
            assert_int_equal(tumble_timestamp_ms(&automatic, &record.values[0], &arrival_ms, NULL), TUMBLE_OK);
            assert_int_equal(one->arrival_ms, arrival_ms);
            assert_int_equal(one->data.length, record.data.length);
            assert_memory_equal(one->data.data, record.data.data, record.data.length);
            expect_same_value(&one->values[0], &record.values[0]);
            expect_same_value(&one->values[1], &record.values[1]);
            if (i == 0) {
                assert_int_equal(lines.number, record.number);
                assert_int_equal(lines.line, record.line);
                assert_int_equal(lines.offset, record.offset);
                assert_int_equal(lines.input, record.input);
            }
        }
        tumble_capture_lines_taken(quick, take);
        at_once += take;
        expect_same_place(quick, slow);
        int got = next_of(quick, &record);
        assert_int_equal(next_of(slow, &same), got);
        if (!got) {
            break;
        }
        assert_int_equal(record.number, same.number);
        assert_int_equal(record.line, same.line);
        assert_int_equal(record.offset, same.offset);
        expect_same_value(&record.values[0], &same.values[0]);
        if (turn % 5 == 0) {
            tumble_capture_release(quick);
            tumble_capture_release(slow);
        }
        expect_same_place(quick, slow);
    }
    assert_int_equal(tumble_capture_bytes(quick), length);
    tumble_capture_close(slow);
    tumble_capture_close(quick);
    tw_projection_destroy(projection);
    free(path);
    return at_once;
}

static void lines_taken_at_once_are_those_taken_one_by_one(void **state) {
    (void)state;
    static const size_t blocks[] = {256, 1000, 4096, 256 * 1024};
    static const char *const ends[] = {"\n", "\r\n", "", "\n\n"};
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
        struct text text = {NULL, 0, 0};
        for (int i = 0; i < 2000; i++) {
            add_line(&text, i, ends[e]);
        }
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            for (unsigned seed = 0; seed < 4; seed++) {
                size_t at_once = expect_same(text.data, text.length, blocks[b], seed);
                if (e < 2 && blocks[b] >= 4096) {
                    assert_true(at_once > 1500);
                }
            }
        }
        free(text.data);
    }
}

static void nothing_is_shown_where_records_have_to_be_looked_at(void **state) {
    (void)state;
    struct tumble_projection *projection = two_fields();
    char *path = fixture_text("{\"ts\":1,\"name\":\"a\"}\n{\"ts\":2,\"name\":\"b\"}\n{\"ts\":3,\"name\":\"c\"}\n");
    struct tumble_lines_wish wish = {.most = 8, .timestamp = 0, .format = &automatic};
    struct tumble_captured_lines lines;
    struct tumble_captured record;
    struct tumble_capture *capture = opened(&path, projection, 4096);
    tumble_capture_lines(capture, &wish, &lines); /* before the first: no layout is known */
    assert_int_equal(lines.count, 0);
    assert_int_equal(next_of(capture, &record), 1);
    assert_int_equal(next_of(capture, &record), 1); /* laid out like the first */
    tumble_capture_lines(capture, &wish, &lines);
    assert_int_equal(lines.count, 1);
    tumble_capture_lines_taken(capture, 1);
    tumble_capture_lines(capture, &wish, &lines);
    assert_int_equal(lines.count, 0);
    assert_int_equal(next_of(capture, &record), 0);
    tumble_capture_lines(capture, &wish, &lines); /* behind the last */
    assert_int_equal(lines.count, 0);
    tumble_capture_close(capture);
    struct tumble_capture_options options = options_of(&path, 1);
    options.format = TUMBLE_CAPTURE_NDJSON; /* without a projection */
    capture = open_capture(&options, 4096);
    assert_int_equal(next_of(capture, &record), 1);
    tumble_capture_lines(capture, &wish, &lines);
    assert_int_equal(lines.count, 0);
    tumble_capture_close(capture);
    tw_projection_destroy(projection);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_taken_at_once_are_those_taken_one_by_one),
        cmocka_unit_test(nothing_is_shown_where_records_have_to_be_looked_at),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
