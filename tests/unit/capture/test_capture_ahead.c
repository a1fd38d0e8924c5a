#include "capture/capture_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* Inputs read ahead, by nobody else or by other threads, against the same read as they come. */

static const struct tumble_timestamp_format automatic = {.kind = TUMBLE_TIMESTAMP_AUTO};

struct helpers {
    struct tumble_capture *capture;
    pthread_t threads[3];
    unsigned count;
    atomic_int ending;
    atomic_uint did;
    atomic_uint asked;
};

static void *help(void *arg) {
    struct helpers *helpers = arg;
    while (!atomic_load(&helpers->ending)) {
        if (tumble_capture_work(helpers->capture)) {
            atomic_fetch_add(&helpers->did, 1);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void note_more(void *ctx) { atomic_fetch_add(&((struct helpers *)ctx)->asked, 1); }

static void begin_help(struct helpers *helpers, struct tumble_capture *capture, unsigned threads, bool lines) {
    memset(helpers, 0, sizeof *helpers);
    helpers->capture = capture;
    struct tumble_ahead_options ahead = {.more = note_more, .more_ctx = helpers};
    if (lines) {
        ahead.wish = (struct tumble_lines_wish){TUMBLE_LINES_MOST, 0, &automatic};
    }
    assert_int_equal(tumble_capture_read_ahead(capture, &ahead, NULL), TUMBLE_OK);
    for (; helpers->count < threads; helpers->count++) {
        assert_int_equal(pthread_create(&helpers->threads[helpers->count], NULL, help, helpers), 0);
    }
}

static void end_help(struct helpers *helpers) {
    atomic_store(&helpers->ending, 1);
    for (unsigned i = 0; i < helpers->count; i++) {
        pthread_join(helpers->threads[i], NULL);
    }
}

static void expect_same_bytes(struct tumble_bytes a, struct tumble_bytes b) {
    assert_int_equal(a.length, b.length);
    if (a.length) {
        assert_memory_equal(a.data, b.data, a.length);
    }
}

static void expect_same_record(const struct tumble_captured *a, const struct tumble_captured *b, size_t values) {
    expect_same_bytes(a->data, b->data);
    expect_same_bytes(a->partition_key, b->partition_key);
    expect_same_bytes(a->explicit_hash_key, b->explicit_hash_key);
    expect_same_bytes(a->sequence_number, b->sequence_number);
    expect_same_bytes(a->shard_id, b->shard_id);
    expect_same_bytes(a->event_source_arn, b->event_source_arn);
    assert_int_equal(a->arrival_ms, b->arrival_ms);
    assert_int_equal(a->bad, b->bad);
    assert_int_equal(a->bad_byte, b->bad_byte);
    assert_int_equal(a->more, b->more);
    assert_int_equal(a->part, b->part);
    assert_int_equal(a->begins_event, b->begins_event);
    assert_int_equal(a->input, b->input);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(!a->values, !b->values);
    for (size_t i = 0; a->values && i < values; i++) {
        assert_int_equal(a->values[i].type, b->values[i].type);
        assert_int_equal(a->values[i].flags, b->values[i].flags);
        struct tumble_bytes here = {a->values[i].text, a->values[i].length};
        struct tumble_bytes there = {b->values[i].text, b->values[i].length};
        expect_same_bytes(here, there);
    }
}

static void expect_same_place(const struct tumble_capture *a, const struct tumble_capture *b) {
    char here[1024], there[1024];
    size_t length = tumble_capture_position(a, here, sizeof here);
    assert_true(length < sizeof here);
    assert_int_equal(tumble_capture_position(b, there, sizeof there), length);
    assert_memory_equal(here, there, length);
}

/* What the quick one shows at once is what the slow one gives one by one; some of it is left. */
static void take_lines(struct tumble_capture *quick, struct tumble_capture *slow, unsigned turn) {
    struct tumble_lines_wish wish = {1 + turn * 7 % 300, 0, &automatic};
    struct tumble_captured_lines lines;
    struct tumble_captured record;
    tumble_capture_lines(quick, &wish, &lines);
    assert_true(lines.count <= wish.most);
    size_t take = turn % 3 ? lines.count : lines.count / 2;
    for (size_t i = 0; i < take; i++) {
        assert_int_equal(next_of(slow, &record), 1);
        expect_same_bytes(lines.records[i].data, record.data);
        assert_int_equal(lines.records[i].values[1].length, record.values[1].length);
        if (i == 0) {
            assert_int_equal(lines.number, record.number);
            assert_int_equal(lines.line, record.line);
            assert_int_equal(lines.offset, record.offset);
            assert_int_equal(lines.input, record.input);
        }
    }
    tumble_capture_lines_taken(quick, take);
}

struct trial {
    char **paths;
    size_t path_count;
    enum tumble_capture_format format;
    const struct tumble_projection *projection;
    size_t block_bytes;
    unsigned threads;
    bool lines;
    unsigned overlapping; /* records between two seals; 0: release */
};

/* Returns how many records there were; *looked: pieces that others worked at. */
static uint64_t expect_same(const struct trial *trial, unsigned *asked) {
    struct tumble_capture_options options = options_of(trial->paths, trial->path_count);
    struct tumble_capture *slow, *quick;
    struct helpers helpers;
    struct tumble_captured record, same;
    struct tumble_error error, expected;
    uint64_t records = 0;
    options.projection = trial->projection;
    options.format = trial->format;
    options.digest = 1;
    slow = open_capture(&options, trial->block_bytes);
    quick = open_capture(&options, trial->block_bytes);
    begin_help(&helpers, quick, trial->threads, trial->lines);
    for (unsigned turn = 0;; turn++) {
        int got, wanted;
        if (trial->lines) {
            take_lines(quick, slow, turn);
        }
        enum tumble_code code = tumble_capture_next(quick, &record, &got, &error);
        assert_int_equal(tumble_capture_next(slow, &same, &wanted, &expected), code);
        if (code != TUMBLE_OK) {
            assert_string_equal(error.text, expected.text);
            assert_int_equal(error.byte, expected.byte);
            break;
        }
        assert_int_equal(got, wanted);
        expect_same_place(quick, slow);
        if (!got) {
            assert_int_equal(tumble_capture_bytes(quick), tumble_capture_bytes(slow));
            break;
        }
        expect_same_record(&record, &same, 2);
        records++;
        if (turn % 50 == 49 && !record.more) {
            if (trial->overlapping) {
                tumble_capture_seal(quick);
            } else {
                tumble_capture_release(quick);
            }
            tumble_capture_release(slow);
        }
        if (trial->overlapping && turn % 50 == 20) {
            tumble_capture_release_sealed(quick);
        }
    }
    end_help(&helpers);
    *asked = atomic_load(&helpers.asked);
    tumble_capture_close(slow);
    tumble_capture_close(quick);
    return records;
}

static const size_t blocks[] = {300, 2000, 16384};

/* In all sizes of blocks, alone and with others. */
static void expect_same_always(struct trial trial, bool is_read_ahead) {
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        for (trial.threads = 0; trial.threads <= 3; trial.threads += trial.threads ? 2 : 1) {
            unsigned asked;
            trial.block_bytes = blocks[b];
            trial.overlapping = (unsigned)b % 2;
            expect_same(&trial, &asked);
            if (is_read_ahead && b < 2) {
                assert_true(asked > 0);
            }
        }
    }
}

static void add_event(struct text *text, const char *shard, int first, int count, const char *between) {
    add(text, "{\"Records\":[");
    for (int i = first; i < first + count; i++) {
        add(text, "%s", i > first ? between : "");
        add_lambda_record(text, shard, i, ARRIVAL + i);
    }
    add(text, "],\"shardId\":\"%s\"}", shard);
}

static void events_are_those_read_as_they_come(void **state) {
    (void)state;
    static const char *const betweens[] = {",", ",\n    ", " , "};
    struct tumble_projection *projection = fixture_projection();
    for (size_t i = 0; i < sizeof betweens / sizeof *betweens; i++) {
        struct text text = {NULL, 0, 0};
        for (int event = 0; event < 12; event++) {
            add_event(&text, event % 2 ? "shardId-000000000001" : "shardId-000000000000", event * 100,
                      event % 5 == 0 ? 1 : 40, betweens[i]);
            add(&text, "%s", event % 3 ? "\n" : event % 2 ? "\n\n " : "");
        }
        for (enum packing packing = PLAIN; packing < PACKINGS; packing++) {
            char *path = fixture_bytes(packing, text.data, text.length);
            struct trial trial = {&path, 1, TUMBLE_CAPTURE_AUTO, projection, 0, 0, false, 0};
            expect_same_always(trial, true);
            free(path);
        }
        free(text.data);
    }
    tw_projection_destroy(projection);
}

/* Most lines alike; some with other members, white space, newlines, escapes, and what looks like a place to cut. */
static void add_line(struct text *text, int i, const char *end) {
    switch (i % 47) {
    case 10: add(text, "{\"name\":\"n%d\",\"n\":%lld}%s", i, 1762732800000LL + i, end); break;
    case 20: add(text, " {\"n\":%lld,\"name\":\"n\\u0041%d\"}%s", 1762732800000LL + i, i, end); break;
    case 25: add(text, "{\"n\":%d,\"name\":\"},{\"}%s", i, end); break;
    case 30: add(text, "{\"n\":%d,\"name\":[{\"a\":1},{\"b\":2},\n{\"c\":3}]}%s", i, end); break;
    case 35: add(text, "{\"n\":%lld,\n\"name\":\"n%d\"}%s", 1762732800000LL + i, i, end); break;
    case 40: add(text, "{\"n\":%d,\"name\":\"%*s\"}%s", i, i % 13 * 100, "x", end); break;
    default: add(text, "{\"n\":%lld,\"name\":\"n%d\"}%s", 1762732800000LL + i * 700LL, i, end); break;
    }
}

static void payloads_are_those_read_as_they_come(void **state) {
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "", "\n\n"};
    struct tumble_projection *projection = fixture_projection();
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
        struct text text = {NULL, 0, 0};
        for (int i = 0; i < 700; i++) {
            add_line(&text, i, ends[e]);
        }
        for (enum packing packing = PLAIN; packing < PACKINGS; packing++) {
            char *path = fixture_bytes(packing, text.data, text.length);
            struct trial trial = {&path, 1, TUMBLE_CAPTURE_NDJSON, projection, 0, 0, false, 0};
            expect_same_always(trial, true);
            trial.lines = true;
            expect_same_always(trial, true);
            free(path);
        }
        free(text.data);
    }
    tw_projection_destroy(projection);
}

static void arrays_and_get_records_are_those_read_as_they_come(void **state) {
    (void)state;
    struct tumble_projection *projection = fixture_projection();
    struct text array = {NULL, 0, 0}, shown = {NULL, 0, 0};
    add(&array, "[");
    add(&shown, "{\"Records\": [");
    for (int i = 0; i < 300; i++) {
        add_line(&array, i, i < 299 ? "," : "]\n");
        add(&shown, i ? ",\n    " : "\n    ");
        add_get_records_record(&shown, i, ARRIVAL + i);
    }
    add(&shown, "\n], \"MillisBehindLatest\": 0}\n");
    char *paths[] = {fixture_bytes(PLAIN, array.data, array.length), fixture_bytes(PLAIN, shown.data, shown.length)};
    struct trial trial = {&paths[0], 1, TUMBLE_CAPTURE_ARRAY, projection, 0, 0, false, 0};
    expect_same_always(trial, true);
    trial.paths = &paths[1];
    trial.format = TUMBLE_CAPTURE_AUTO;
    expect_same_always(trial, true);
    free(paths[0]);
    free(paths[1]);
    free(array.data);
    free(shown.data);
    tw_projection_destroy(projection);
}

/* Small ones among them, which end before anybody reads ahead. */
static void inputs_one_behind_the_other_are_those_read_as_they_come(void **state) {
    (void)state;
    struct tumble_projection *projection = fixture_projection();
    char *paths[5];
    for (int p = 0; p < 5; p++) {
        struct text text = {NULL, 0, 0};
        for (int i = 0; i < (p % 2 ? 2 : 300); i++) {
            add_line(&text, i, "\n");
        }
        paths[p] = fixture_bytes(p == 4 ? GZIP : PLAIN, text.data, text.length);
        free(text.data);
    }
    struct trial trial = {paths, 5, TUMBLE_CAPTURE_NDJSON, projection, 0, 0, true, 0};
    expect_same_always(trial, true);
    for (int p = 0; p < 5; p++) {
        free(paths[p]);
    }
    tw_projection_destroy(projection);
}

static void errors_are_those_of_reading_as_it_comes(void **state) {
    (void)state;
    static const char *const wrongs[] = {"{\"n\":1,,}\n", "{\"n\":\"\xff\"}", "]\n",
                                         "{\"n\":1",      "\xef\xbb\xbf{}",   "nul "};
    struct tumble_projection *projection = fixture_projection();
    for (size_t w = 0; w < sizeof wrongs / sizeof *wrongs; w++) {
        for (int at = 3; at < 400; at += 197) {
            struct text text = {NULL, 0, 0}, events = {NULL, 0, 0};
            for (int i = 0; i < 400; i++) {
                add(&text, "%s", i == at ? wrongs[w] : "");
                add_line(&text, i, "\n");
            }
            add_event(&events, "shardId-000000000000", 0, at / 4 + 1, ",");
            add(&events, "\n%s", wrongs[w]);
            add_event(&events, "shardId-000000000000", 1000, 20, ",");
            char *paths[] = {fixture_bytes(PLAIN, text.data, text.length),
                             fixture_bytes(PLAIN, events.data, events.length)};
            struct trial trial = {&paths[0], 1, TUMBLE_CAPTURE_NDJSON, projection, 0, 0, false, 0};
            expect_same_always(trial, false);
            trial.lines = true;
            expect_same_always(trial, false);
            trial.lines = false;
            trial.paths = &paths[1];
            trial.format = TUMBLE_CAPTURE_LAMBDA;
            expect_same_always(trial, false);
            free(paths[0]);
            free(paths[1]);
            free(text.data);
            free(events.data);
        }
    }
    tw_projection_destroy(projection);
}

/* What follows a file that was cut while it was packed. */
static void an_input_that_cannot_be_read_on_tells_so_behind_its_records(void **state) {
    (void)state;
    struct tumble_projection *projection = fixture_projection();
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 3000; i++) {
        add_line(&text, i * 31, "\n");
    }
    char *packed;
    size_t length = fixture_pack(GZIP, text.data, text.length, &packed);
    char *path = fixture_bytes(PLAIN, packed, length / 2);
    for (unsigned threads = 0; threads < 2; threads++) {
        struct trial trial = {&path, 1, TUMBLE_CAPTURE_NDJSON, projection, 1000, threads, false, 0};
        unsigned asked;
        assert_in_range(expect_same(&trial, &asked), 100, 2999);
        assert_true(asked > 0);
    }
    free(path);
    free(packed);
    free(text.data);
    tw_projection_destroy(projection);
}

/* Read to a place, noted, and read on from there. */
static void a_place_is_gone_on_from(void **state) {
    (void)state;
    struct tumble_projection *projection = fixture_projection();
    struct text text = {NULL, 0, 0};
    for (int event = 0; event < 10; event++) {
        add_event(&text, "shardId-000000000000", event * 100, 50, ",");
        add(&text, "\n");
    }
    char *path = fixture_bytes(PLAIN, text.data, text.length);
    struct tumble_capture_options options = options_of(&path, 1);
    options.digest = 1;
    for (int records = 1; records < 500; records += 73) {
        struct tumble_capture *capture = open_capture(&options, 2000);
        struct helpers helpers;
        struct tumble_captured record;
        char place[1024];
        begin_help(&helpers, capture, 1, false);
        for (int i = 0; i < records; i++) {
            assert_int_equal(next_of(capture, &record), 1);
        }
        struct tumble_bytes position = {place, tumble_capture_position(capture, place, sizeof place)};
        end_help(&helpers);
        tumble_capture_close(capture);
        capture = open_capture(&options, 2000);
        begin_help(&helpers, capture, 1, false);
        assert_int_equal(tumble_capture_seek(capture, position, NULL), TUMBLE_OK);
        for (int i = records; i < 500; i++) {
            assert_int_equal(next_of(capture, &record), 1);
            assert_int_equal(record.number, i + 1);
        }
        assert_int_equal(next_of(capture, &record), 0);
        end_help(&helpers);
        tumble_capture_close(capture);
    }
    free(path);
    free(text.data);
    tw_projection_destroy(projection);
}

static void what_one_waits_for_is_read_as_it_comes(void **state) {
    (void)state;
    char name[128];
    snprintf(name, sizeof name, "%s/pipe", fixture_directory);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 40; i++) {
        add_line(&text, i * 47, "\n");
    }
    assert_int_equal(write(ends[1], text.data, text.length), (ssize_t)text.length);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    char *path = name;
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, 300);
    struct helpers helpers;
    struct tumble_captured record;
    begin_help(&helpers, capture, 1, false);
    assert_int_equal(tumble_capture_reads_ahead(capture), 0);
    uint64_t records = 0;
    while (next_of(capture, &record)) {
        records++;
    }
    assert_int_equal(records, 40);
    end_help(&helpers);
    assert_int_equal(atomic_load(&helpers.did), 0);
    tumble_capture_close(capture);
    close(ends[0]);
    free(text.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_those_read_as_they_come),
        cmocka_unit_test(payloads_are_those_read_as_they_come),
        cmocka_unit_test(arrays_and_get_records_are_those_read_as_they_come),
        cmocka_unit_test(inputs_one_behind_the_other_are_those_read_as_they_come),
        cmocka_unit_test(errors_are_those_of_reading_as_it_comes),
        cmocka_unit_test(an_input_that_cannot_be_read_on_tells_so_behind_its_records),
        cmocka_unit_test(a_place_is_gone_on_from),
        cmocka_unit_test(what_one_waits_for_is_read_as_it_comes),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
